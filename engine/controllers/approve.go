package controllers

import (
	"crypto/x509"
	"fmt"
	"strings"

	authzv1 "k8s.io/api/authorization/v1"
	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// recognizer is a kind of CSR that may be approved by itself: if the requester
// may create its subresource of certificatesigningrequests.
type recognizer struct {
	permission string
	matches    func(e era.Era, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) bool
	message    string
}

// recognizers are asked in this order; the first whose permission is there
// counts. Models pkg/controller/certificates/approver/sarapprove.go.
var recognizers = []recognizer{
	{"selfnodeclient", func(e era.Era, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) bool {
		return isNodeClient(e, csr, req) && csr.Spec.Username == req.Subject.CommonName
	}, "Auto approving self kubelet client certificate after SubjectAccessReview."},
	{"nodeclient", isNodeClient, "Auto approving kubelet client certificate after SubjectAccessReview."},
	{selfNodeServer, func(e era.Era, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) bool {
		return checkSelfServing(req, asShown(e, csr.Spec.Usages, serverSet)) == nil && csr.Spec.Username == req.Subject.CommonName
	}, "Auto approving self kubelet server certificate after SubjectAccessReview."},
}

// selfNodeServer is the recognizer that only some releases have, and with a gate.
const selfNodeServer = "selfnodeserver"

func isNodeClient(e era.Era, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) bool {
	if era.CSRSigners.In(e) && csr.Spec.SignerName != certv1.KubeAPIServerClientKubeletSignerName {
		return false
	}
	if !era.CSRLooksAtURIs.In(e) && len(req.URIs) > 0 {
		r := *req
		r.URIs, req = nil, &r
	}
	return checkKubeletClient(req, asShown(e, csr.Spec.Usages, clientSet)) == nil
}

// recognizes tells whether this manager has a recognizer.
func (m *ControllerManager) recognizes(r *recognizer) bool {
	if r.permission != selfNodeServer {
		return true
	}
	gate := era.CSRServerGate.In(m.era())
	return gate != "" && m.gate(gate)
}

// Permissions are those of the recognizers that match a CSR, in the order in which they
// are asked about.
func (m *ControllerManager) Permissions(csr *certv1.CertificateSigningRequest) (out []string) {
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		return nil
	}
	for i := range recognizers {
		if r := &recognizers[i]; m.recognizes(r) && r.matches(m.era(), csr, req) {
			out = append(out, r.permission)
		}
	}
	return out
}

// condition tells whether a CSR has a condition of a type that is true; an
// Approved or Denied one is true by being there.
func condition(csr *certv1.CertificateSigningRequest, kind certv1.RequestConditionType) bool {
	for _, x := range csr.Status.Conditions {
		if x.Type == kind && (kind != certv1.CertificateFailed || x.Status == corev1.ConditionTrue) {
			return true
		}
	}
	return false
}

// approve looks at a CSR and asks whether its requester has the permission.
func (m *ControllerManager) approve(c *sim.Ctx, l *loop) {
	csr := l.Work.Object
	if condition(csr, certv1.CertificateApproved) || condition(csr, certv1.CertificateDenied) {
		m.finish(c, l, nil)
		return
	}
	m.recognize(c, l, 0)
}

// recognize asks about the first recognizer from i on that matches.
func (m *ControllerManager) recognize(c *sim.Ctx, l *loop, i int) {
	csr, e := l.Work.Object, m.era()
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		m.finish(c, l, &failure{text: fmt.Sprintf("unable to parse csr %q: %v", csr.Name, err)})
		return
	}
	for ; i < len(recognizers); i++ {
		r := &recognizers[i]
		if !m.recognizes(r) || !r.matches(e, csr, req) {
			continue
		}
		l.Work.Tried = append(l.Work.Tried, i)
		l.Work.Step = "review"
		extra := map[string]authzv1.ExtraValue{}
		for k, v := range csr.Spec.Extra {
			extra[k] = authzv1.ExtraValue(v)
		}
		review := &authzv1.SubjectAccessReview{Spec: authzv1.SubjectAccessReviewSpec{
			User: csr.Spec.Username, Groups: csr.Spec.Groups, Extra: extra,
			ResourceAttributes: &authzv1.ResourceAttributes{Verb: "create", Group: "certificates.k8s.io", Version: era.CSRVersion.In(e), Resource: "certificatesigningrequests", Subresource: r.permission},
		}}
		if era.CSRReviewUID.In(e) {
			review.Spec.UID = csr.Spec.UID
		}
		version := era.CSRReviews.In(e)
		review.Kind, review.APIVersion = "SubjectAccessReview", version
		m.ask(c, l, "POST", "/apis/"+version+"/subjectaccessreviews", review)
		return
	}
	if len(l.Work.Tried) == 0 {
		// Not one of ours: it stays as it is, and that is no failure.
		m.finish(c, l, nil)
		return
	}
	var tried []string
	for _, i := range l.Work.Tried {
		tried = append(tried, recognizers[i].permission)
	}
	text := fmt.Sprintf("recognized csr %q as [%s] but subject access review was not approved", csr.Name, strings.Join(tried, " "))
	decide(c, "csr/"+csr.Name, l.Controller, "waits", "NotPermitted", text)
	m.finish(c, l, &failure{text, true})
}

// reviewed handles the answers to a review and to an approval.
func (m *ControllerManager) reviewed(c *sim.Ctx, l *loop, a answer) {
	csr := l.Work.Object
	switch l.Work.Step {
	case "review":
		if !a.ok() {
			m.finish(c, l, &failure{text: a.err()})
			return
		}
		review, err := sim.Decode[authzv1.SubjectAccessReview](a.data)
		if err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		i := l.Work.Tried[len(l.Work.Tried)-1]
		if !review.Status.Allowed {
			m.recognize(c, l, i+1)
			return
		}
		l.Work.Step, l.Work.Reason, l.Work.Message = "approval", "AutoApproved", recognizers[i].message
		csr = m.copied(csr)
		l.Work.Object = csr
		x := certv1.CertificateSigningRequestCondition{Type: certv1.CertificateApproved, Reason: l.Work.Reason, Message: l.Work.Message}
		if era.ConditionStatus.In(m.era()) {
			x.Status = corev1.ConditionTrue
		}
		csr.Status.Conditions = append(csr.Status.Conditions, x)
		m.ask(c, l, "PUT", m.csrs()+"/"+csr.Name+"/approval", csr)
	case "approval":
		if !a.ok() {
			m.finish(c, l, &failure{text: "error updating approval for csr: " + a.err()})
			return
		}
		decide(c, "csr/"+csr.Name, l.Controller, "approved", l.Work.Reason, l.Work.Message)
		m.finish(c, l, nil)
	}
}

// copied is a CSR to be changed. It names its kind, which objects from a watch
// may lack.
func (m *ControllerManager) copied(csr *certv1.CertificateSigningRequest) *certv1.CertificateSigningRequest {
	n := csr.DeepCopy()
	n.Kind, n.APIVersion = "CertificateSigningRequest", era.Preferred(m.era(), "certificates.k8s.io", "certificatesigningrequests")
	return n
}
