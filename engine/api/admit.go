package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// plugin is an admission plugin: early ones run before validation, late ones
// after it, as admission's Admit and Validate do.
type plugin struct {
	name  string
	early bool
	check func(x *exchange, r *resource, o, old object, operation string) error
}

var plugins = []plugin{
	{"NamespaceLifecycle", true, namespaceLifecycle},
	{"ServiceAccount", true, serviceAccount},
	{"NodeRestriction", true, nodeRestriction},
	{"TaintNodesByCondition", true, taintNodes},
	{"CertificateApproval", false, certificateApproval},
	{"CertificateSigning", false, certificateSigning},
	{"CertificateSubjectRestriction", false, subjectRestriction},
	{"ClusterTrustBundleAttest", false, attest},
}

func (x *exchange) admitEarly(r *resource, o, old object, operation string) error {
	return x.admit(true, r, o, old, operation)
}

func (x *exchange) admitLate(r *resource, o, old object, operation string) error {
	if err := x.admit(false, r, o, old, operation); err != nil {
		return err
	}
	x.c.Note(trace.Admit, x.subject(), map[string]string{"verdict": "yes", "plugin": "", "reason": ""}, "")
	return nil
}

func (x *exchange) subject() string {
	if x.info.name == "" {
		return x.info.full()
	}
	return x.info.full() + "/" + x.info.name
}

func (x *exchange) admit(early bool, r *resource, o, old object, operation string) error {
	for i := range plugins {
		p := &plugins[i]
		if p.early != early || !x.s.plugin(p.name) {
			continue
		}
		if err := p.check(x, r, o, old, operation); err != nil {
			x.c.Note(trace.Admit, x.subject(), map[string]string{"verdict": "no", "plugin": p.name, "reason": err.Error()}, "")
			if _, ok := err.(apierrors.APIStatus); ok {
				return err
			}
			return apierrors.NewForbidden(r.gr(), admitName(x, o), err)
		}
	}
	return nil
}

// admitName is the name that a refusal speaks of: a name not yet generated is
// shown as its beginning (Models admission.NewForbidden).
func admitName(x *exchange, o object) string {
	switch {
	case x.info.name != "":
		return x.info.name
	case o == nil:
		return "Unknown"
	case meta(o).Name != "":
		return meta(o).Name
	case meta(o).GenerateName != "":
		return meta(o).GenerateName
	}
	return "Unknown"
}

// mayUse asks whether the user has a verb on the synthetic resource "signers",
// for this signer or for its whole domain (Models plugin/pkg/admission/certificates).
func (x *exchange) mayUse(verb, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		if ok, _ := x.s.authorize(&attributes{user: x.user, verb: verb, group: "certificates.k8s.io", resource: "signers", name: name}); ok {
			return true
		}
	}
	return false
}

func certificateApproval(x *exchange, r *resource, _, old object, operation string) error {
	if r.Plural != "certificatesigningrequests" || x.info.sub != "approval" || operation != "update" {
		return nil
	}
	signer := old.(*certificatesv1.CertificateSigningRequest).Spec.SignerName
	if !x.mayUse("approve", signer) {
		return fmt.Errorf("user not permitted to approve requests with signerName %q", signer)
	}
	return nil
}

func certificateSigning(x *exchange, r *resource, o, old object, operation string) error {
	if r.Plural != "certificatesigningrequests" || x.info.sub != "status" || operation != "update" {
		return nil
	}
	now, was := o.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	if bytes.Equal(now.Status.Certificate, was.Status.Certificate) &&
		(!era.CSRSigningChecksConditions.In(x.s.era) || equality.Semantic.DeepEqual(now.Status.Conditions, was.Status.Conditions)) {
		return nil
	}
	if !x.mayUse("sign", was.Spec.SignerName) {
		return fmt.Errorf("user not permitted to sign requests with signerName %q", was.Spec.SignerName)
	}
	return nil
}

func subjectRestriction(_ *exchange, r *resource, o, _ object, operation string) error {
	if r.Plural != "certificatesigningrequests" || operation != "create" {
		return nil
	}
	n := o.(*certificatesv1.CertificateSigningRequest)
	if n.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	req, err := pki.ParseRequest(n.Spec.Request)
	if err != nil {
		return fmt.Errorf("failed to parse CSR: %v", err)
	}
	if slices.Contains(req.Subject.Organization, masters) {
		return fmt.Errorf("use of %s signer with system:masters group is not allowed", n.Spec.SignerName)
	}
	return nil
}
