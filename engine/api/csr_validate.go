package api

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// usages are all that spec.usages may hold, sorted.
var usages = []certificatesv1.KeyUsage{
	"any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only",
	"digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
	"key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
}

// validateCSR models pkg/apis/certificates/validation of v1. What the stored
// object already does wrong is no error of an update.
func validateCSR(x *exchange, o, old object, sub string) field.ErrorList {
	n := o.(*certificatesv1.CertificateSigningRequest)
	if old == nil {
		return validateCSRSpec(x, n) // its status is empty
	}
	if !era.CSRChecksStatus.In(x.s.era) {
		return nil
	}
	was := old.(*certificatesv1.CertificateSigningRequest)
	return append(x.validateCSRStatus(n, was), validateCSRChange(n, was, sub, x.info.version != "v1")...)
}

func validateCSRSpec(x *exchange, n *certificatesv1.CertificateSigningRequest) field.ErrorList {
	var errs field.ErrorList
	spec := field.NewPath("spec")
	req, err := pki.ParseRequest(n.Spec.Request)
	if err == nil {
		err = pki.CheckRequest(req)
	}
	if err != nil {
		errs = append(errs, field.Invalid(spec.Child("request"), x.bytesShown(n.Spec.Request), err.Error()))
	}
	if len(n.Spec.Usages) == 0 {
		errs = append(errs, field.Required(spec.Child("usages"), era.CSRUsagesMissing.In(x.s.era)))
	}
	beta := x.info.version != "v1"
	if !beta {
		errs = append(errs, usageErrors(spec.Child("usages"), n.Spec.Usages)...)
	}
	signer := spec.Child("signerName")
	switch {
	case !x.s.knows("certificatesigningrequests", "spec.signerName"):
	case n.Spec.SignerName == "":
		errs = append(errs, field.Required(signer, era.CSRSignerMissing.In(x.s.era)))
	case n.Spec.SignerName == legacySigner && !beta:
		errs = append(errs, field.Invalid(signer, n.Spec.SignerName, "the legacy signerName is not allowed via this API version"))
	default:
		errs = append(errs, validateSigner(signer, n.Spec.SignerName)...)
	}
	if e := n.Spec.ExpirationSeconds; e != nil && *e < era.CSRMinExpiration.In(x.s.era) {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *e, fmt.Sprintf("may not specify a duration less than %d seconds (%d minutes)", era.CSRMinExpiration.In(x.s.era), era.CSRMinExpiration.In(x.s.era)/60)))
	}
	return errs
}

// goBytes are bytes that an error shows as Go writes them.
type goBytes []byte

func (goBytes) MarshalJSON() ([]byte, error) { return nil, errors.New("shown by String") }
func (b goBytes) String() string             { return fmt.Sprintf("%#v", []byte(b)) }

// bytesShown are bytes as a release shows them in an error.
func (x *exchange) bytesShown(b []byte) any {
	if len(b) == 0 && era.EmptyBytes.In(x.s.era) {
		b = nil
	}
	if era.GoValues.In(x.s.era) {
		return goBytes(b)
	}
	return b
}

// usageErrors are those of v1; v1beta1 takes any usages.
func usageErrors(at *field.Path, list []certificatesv1.KeyUsage) (errs field.ErrorList) {
	for i, u := range list {
		if !slices.Contains(usages, u) {
			errs = append(errs, field.NotSupported(at.Index(i), u, usages))
		}
	}
	for i, u := range list {
		if slices.Contains(list[:i], u) {
			errs = append(errs, field.Duplicate(at.Index(i), u))
		}
	}
	return errs
}

// validateSigner models ValidateSignerName: a domain of two labels or more, one
// slash, a path that is a subdomain.
func validateSigner(at *field.Path, name string) field.ErrorList {
	parts := strings.Split(name, "/")
	if len(parts) != 2 {
		return field.ErrorList{field.Invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	domain, path := parts[0], parts[1]
	var errs field.ErrorList
	if len(domain) > validation.DNS1123SubdomainMaxLength {
		errs = append(errs, field.TooLong(at, "", validation.DNS1123SubdomainMaxLength))
	}
	errs = append(errs, labelErrors(at, domain, validation.IsDNS1123Label)...)
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(at, domain, "should be a domain with at least two segments separated by dots"))
	}
	errs = append(errs, labelErrors(at, path, validation.IsDNS1123Subdomain)...)
	const most = 2*validation.DNS1123SubdomainMaxLength + validation.DNS1123LabelMaxLength + 2
	if len(name) > most {
		errs = append(errs, field.TooLong(at, "", most))
	}
	return errs
}

// labelErrors are those of the first bad label between the dots of a part.
func labelErrors(at *field.Path, part string, check func(string) []string) field.ErrorList {
	var errs field.ErrorList
	for label := range strings.SplitSeq(part, ".") {
		for _, e := range check(label) {
			errs = append(errs, field.Invalid(at, part, fmt.Sprintf("validating label %q: %s", label, e)))
		}
		if len(errs) > 0 {
			break
		}
	}
	return errs
}

// once are the conditions that stay for ever and are only ever True.
var once = []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed}

func (x *exchange) validateCSRStatus(n, was *certificatesv1.CertificateSigningRequest) field.ErrorList {
	beta := x.info.version != "v1"
	errs := x.conditionErrors(n.Status.Conditions, was.Status.Conditions, beta)
	if len(x.conditionErrors(was.Status.Conditions, nil, beta)) > 0 && equality.Semantic.DeepEqual(was.Status.Conditions, n.Status.Conditions) {
		errs = nil
	}
	if len(n.Status.Certificate) > 0 && !beta && !bytes.Equal(was.Status.Certificate, n.Status.Certificate) {
		if err := checkIssued(n.Status.Certificate); err != nil {
			errs = append(errs, field.Invalid(field.NewPath("status", "certificate"), "<certificate data>", err.Error()))
		}
	}
	return errs
}

// conditionErrors are those of a list of conditions that were other ones before.
// v1beta1 lets types be empty, and be there twice.
func (x *exchange) conditionErrors(list, was []certificatesv1.CertificateSigningRequestCondition, beta bool) field.ErrorList {
	var errs field.ErrorList
	both := len(places(was, certificatesv1.CertificateApproved)) > 0 && len(places(was, certificatesv1.CertificateDenied)) > 0
	at := field.NewPath("status", "conditions")
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range list {
		p := at.Index(i)
		if c.Type == "" && !beta {
			errs = append(errs, field.Required(p.Child("type"), ""))
		}
		all := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
		if slices.Contains(once, c.Type) {
			all = []corev1.ConditionStatus{corev1.ConditionTrue}
		}
		switch {
		case c.Status == "":
			errs = append(errs, field.Required(p.Child("status"), ""))
		case !slices.Contains(all, c.Status):
			errs = append(errs, field.NotSupported(p.Child("status"), c.Status, all))
		}
		if !both && (c.Type == certificatesv1.CertificateApproved && seen[certificatesv1.CertificateDenied] || c.Type == certificatesv1.CertificateDenied && seen[certificatesv1.CertificateApproved]) {
			of := at
			if era.CSRExclusiveAt.In(x.s.era) {
				of = p.Child("type")
			}
			errs = append(errs, field.Invalid(of, c.Type, "Approved and Denied conditions are mutually exclusive"))
		}
		if seen[c.Type] && !beta {
			errs = append(errs, field.Duplicate(p.Child("type"), c.Type))
		}
		seen[c.Type] = true
	}
	return errs
}

// checkIssued says what is wrong with a certificate that a signer put in.
func checkIssued(b []byte) error {
	found := false
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type)
		}
		if len(block.Headers) != 0 {
			return fmt.Errorf("no PEM block headers are permitted")
		}
		// One certificate is what nearly every block has, and others will read it too.
		if _, err := pki.ParseDER(block.Bytes); err == nil {
			found = true
			continue
		}
		list, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return fmt.Errorf("found CERTIFICATE PEM block containing 0 certificates")
		}
		found = true
	}
	if !found {
		return fmt.Errorf("must contain at least one CERTIFICATE PEM block")
	}
	return nil
}

// validateCSRChange holds what an update may not do to decisions and certificate.
func validateCSRChange(n, was *certificatesv1.CertificateSigningRequest, sub string, beta bool) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("status", "conditions")
	for _, t := range once {
		if len(places(n.Status.Conditions, t)) < len(places(was.Status.Conditions, t)) {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("updates may not remove a condition of type %q", t)))
		}
	}
	for _, t := range once {
		if sub != "approval" && t != certificatesv1.CertificateFailed && len(places(n.Status.Conditions, t)) > len(places(was.Status.Conditions, t)) {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("updates may not add a condition of type %q", t)))
		}
	}
	if !bytes.Equal(n.Status.Certificate, was.Status.Certificate) {
		at := field.NewPath("status", "certificate")
		if sub != "status" {
			errs = append(errs, field.Forbidden(at, "updates may not set certificate content"))
		} else if len(was.Status.Certificate) > 0 && !beta {
			errs = append(errs, field.Forbidden(at, "updates may not modify existing certificate content"))
		}
	}
	return errs
}
