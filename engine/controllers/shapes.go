package controllers

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/era"
)

// check is a rule for a request: what breaks it, and the words for that.
type check struct {
	broken func(r *x509.CertificateRequest) bool
	words  string
}

// Rules for a kubelet's requests, in the order in which they are checked.
// Model k8s.io/kubernetes pkg/apis/certificates/helpers.go; recorded in e2.
var (
	isNodes = check{func(r *x509.CertificateRequest) bool {
		return !slices.Equal(r.Subject.Organization, []string{"system:nodes"})
	}, "subject organization is not system:nodes"}
	noDNS     = check{func(r *x509.CertificateRequest) bool { return len(r.DNSNames) > 0 }, "DNS subjectAltNames are not allowed"}
	noEmail   = check{func(r *x509.CertificateRequest) bool { return len(r.EmailAddresses) > 0 }, "Email subjectAltNames are not allowed"}
	noIP      = check{func(r *x509.CertificateRequest) bool { return len(r.IPAddresses) > 0 }, "IP subjectAltNames are not allowed"}
	noURI     = check{func(r *x509.CertificateRequest) bool { return len(r.URIs) > 0 }, "URI subjectAltNames are not allowed"}
	someName  = check{func(r *x509.CertificateRequest) bool { return len(r.DNSNames)+len(r.IPAddresses) == 0 }, "DNS or IP subjectAltName is required"}
	nameAndIP = check{func(r *x509.CertificateRequest) bool { return len(r.DNSNames) == 0 || len(r.IPAddresses) == 0 }, "DNS and IP subjectAltNames are required"}
	isNodeCN  = check{func(r *x509.CertificateRequest) bool { return !strings.HasPrefix(r.Subject.CommonName, "system:node:") }, "subject common name does not begin with system:node:"}
	clientSet = []certv1.KeyUsage{certv1.UsageClientAuth, certv1.UsageDigitalSignature, certv1.UsageKeyEncipherment}
	serverSet = []certv1.KeyUsage{certv1.UsageDigitalSignature, certv1.UsageKeyEncipherment, certv1.UsageServerAuth}
)

// shape are a signer's rules: checks, then the set of usages (key encipherment
// may be left out, as it means nothing for ECDSA keys), then checks again.
func shape(r *x509.CertificateRequest, usages []certv1.KeyUsage, before []check, set []certv1.KeyUsage, after []check) error {
	if err := first(r, before); err != nil {
		return err
	}
	got := map[certv1.KeyUsage]bool{certv1.UsageKeyEncipherment: true}
	for _, u := range usages {
		got[u] = true
	}
	if len(got) != len(set) || slices.ContainsFunc(set, func(u certv1.KeyUsage) bool { return !got[u] }) {
		return fmt.Errorf("usages did not match %v", set)
	}
	return first(r, after)
}

// first is the first check that is broken.
func first(r *x509.CertificateRequest, checks []check) error {
	for _, x := range checks {
		if x.broken(r) {
			return errors.New(x.words)
		}
	}
	return nil
}

// checkKubeletClient tells why a request is not that of a kubelet's client
// certificate.
func checkKubeletClient(r *x509.CertificateRequest, usages []certv1.KeyUsage) error {
	return shape(r, usages, []check{isNodes, noDNS, noEmail, noIP, noURI, isNodeCN}, clientSet, nil)
}

// checkKubeletServing tells why a request is not that of a kubelet's serving
// certificate.
func checkKubeletServing(r *x509.CertificateRequest, usages []certv1.KeyUsage) error {
	return shape(r, usages, []check{isNodes, someName, noEmail, noURI}, serverSet, []check{isNodeCN})
}

// asShown are the usages of a kubelet's request as a release wants them for a set: those
// that it would refuse are none. Up to 1.17 one that is there twice stands for one that
// is missing; up to 1.24 key encipherment has to be there.
func asShown(e era.Era, usages, set []certv1.KeyUsage) []certv1.KeyUsage {
	switch {
	case era.CSRUsagesCounted.In(e):
		if len(usages) != len(set) || slices.ContainsFunc(usages, func(u certv1.KeyUsage) bool { return !slices.Contains(set, u) }) {
			return nil
		}
		return set
	case era.CSRKeyEncipherment.In(e) && !slices.Contains(usages, certv1.UsageKeyEncipherment):
		return nil
	}
	return usages
}

// checkSelfServing is checkKubeletServing as the approver had it that approved serving
// certificates: it wanted a name and an address, and looked at nothing else.
func checkSelfServing(r *x509.CertificateRequest, usages []certv1.KeyUsage) error {
	return shape(r, usages, []check{isNodes, nameAndIP}, serverSet, []check{isNodeCN})
}

// checkAPIClient tells why a request is not that of a client certificate.
func checkAPIClient(_ *x509.CertificateRequest, usages []certv1.KeyUsage) error {
	client := false
	for _, u := range usages {
		switch u {
		case certv1.UsageDigitalSignature, certv1.UsageKeyEncipherment:
		case certv1.UsageClientAuth:
			client = true
		default:
			return fmt.Errorf("invalid usage for client certificate: %s", u)
		}
	}
	if !client {
		return fmt.Errorf("missing required usage for client certificate: %s", certv1.UsageClientAuth)
	}
	return nil
}

// checks are the rules of each signer; kubernetes.io/legacy-unknown has none.
var checks = map[string]func(*x509.CertificateRequest, []certv1.KeyUsage) error{
	certv1.KubeletServingSignerName:             checkKubeletServing,
	certv1.KubeAPIServerClientKubeletSignerName: checkKubeletClient,
	certv1.KubeAPIServerClientSignerName:        checkAPIClient,
}

// keyUsages and extKeyUsages are what each usage becomes in a certificate.
// Models pkg/controller/certificates/authority/policies.go.
var keyUsages = map[certv1.KeyUsage]x509.KeyUsage{
	certv1.UsageSigning:           x509.KeyUsageDigitalSignature,
	certv1.UsageDigitalSignature:  x509.KeyUsageDigitalSignature,
	certv1.UsageContentCommitment: x509.KeyUsageContentCommitment,
	certv1.UsageKeyEncipherment:   x509.KeyUsageKeyEncipherment,
	certv1.UsageKeyAgreement:      x509.KeyUsageKeyAgreement,
	certv1.UsageDataEncipherment:  x509.KeyUsageDataEncipherment,
	certv1.UsageCertSign:          x509.KeyUsageCertSign,
	certv1.UsageCRLSign:           x509.KeyUsageCRLSign,
	certv1.UsageEncipherOnly:      x509.KeyUsageEncipherOnly,
	certv1.UsageDecipherOnly:      x509.KeyUsageDecipherOnly,
}

var extKeyUsages = map[certv1.KeyUsage]x509.ExtKeyUsage{
	certv1.UsageAny:             x509.ExtKeyUsageAny,
	certv1.UsageServerAuth:      x509.ExtKeyUsageServerAuth,
	certv1.UsageClientAuth:      x509.ExtKeyUsageClientAuth,
	certv1.UsageCodeSigning:     x509.ExtKeyUsageCodeSigning,
	certv1.UsageEmailProtection: x509.ExtKeyUsageEmailProtection,
	certv1.UsageSMIME:           x509.ExtKeyUsageEmailProtection,
	certv1.UsageIPsecEndSystem:  x509.ExtKeyUsageIPSECEndSystem,
	certv1.UsageIPsecTunnel:     x509.ExtKeyUsageIPSECTunnel,
	certv1.UsageIPsecUser:       x509.ExtKeyUsageIPSECUser,
	certv1.UsageTimestamping:    x509.ExtKeyUsageTimeStamping,
	certv1.UsageOCSPSigning:     x509.ExtKeyUsageOCSPSigning,
	certv1.UsageMicrosoftSGC:    x509.ExtKeyUsageMicrosoftServerGatedCrypto,
	certv1.UsageNetscapeSGC:     x509.ExtKeyUsageNetscapeServerGatedCrypto,
}

// wanted are the sets of usages of the signers that have one.
var wanted = map[string][]certv1.KeyUsage{certv1.KubeletServingSignerName: serverSet, certv1.KubeAPIServerClientKubeletSignerName: clientSet}

// refusedBy tells why a signer does not sign a request, in a release that looks.
func refusedBy(e era.Era, signer string, r *x509.CertificateRequest, usages []certv1.KeyUsage) error {
	f := checks[signer]
	if f == nil {
		return nil
	}
	if set := wanted[signer]; set != nil {
		usages = asShown(e, usages, set)
	}
	return f(r, usages)
}

// cfsslUsages is certificateUsages by cfssl, which passes over what it does not know.
func cfsslUsages(usages []certv1.KeyUsage) (bits x509.KeyUsage, ext []x509.ExtKeyUsage, err error) {
	for _, u := range usages {
		if x, ok := extKeyUsages[u]; ok {
			ext = append(ext, x)
		}
		bits |= keyUsages[u]
	}
	if bits == 0 && len(ext) == 0 {
		err = cfssl(5100, "Invalid policy: no key usage available")
	}
	return bits, ext, err
}

// certificateUsages turns the usages of a CSR into those of a certificate.
func certificateUsages(usages []certv1.KeyUsage) (bits x509.KeyUsage, ext []x509.ExtKeyUsage, err error) {
	unknown := map[string]bool{}
	for _, u := range usages {
		if bit, ok := keyUsages[u]; ok {
			bits |= bit
		} else if x, ok := extKeyUsages[u]; ok {
			ext = append(ext, x)
		} else {
			unknown[string(u)] = true
		}
	}
	if len(unknown) > 0 {
		var names []string
		for u := range unknown {
			names = append(names, fmt.Sprintf("%q", u))
		}
		sort.Strings(names)
		return 0, nil, fmt.Errorf("unrecognized usage values: [%s]", strings.Join(names, " "))
	}
	return bits, ext, nil
}
