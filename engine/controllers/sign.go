package controllers

import (
	"crypto/x509"
	"fmt"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// sign signs a CSR that is approved, or writes why its signer does not.
func (m *ControllerManager) sign(c *sim.Ctx, l *loop) {
	csr := l.Work.Object
	if !condition(csr, certv1.CertificateApproved) || condition(csr, certv1.CertificateDenied) || condition(csr, certv1.CertificateFailed) || csr.Spec.SignerName != l.Signer {
		m.finish(c, l, nil)
		return
	}
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		m.finish(c, l, &failure{text: fmt.Sprintf("unable to parse csr %q: %v", csr.Name, err)})
		return
	}
	csr = m.copied(csr)
	l.Work.Object = csr
	if f := checks[l.Signer]; f != nil {
		err = f(req, csr.Spec.Usages)
	}
	if err != nil {
		l.Work.Step, l.Work.Reason, l.Work.Message = "failed", "SignerValidationFailure", err.Error()
		csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{
			Type: certv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: l.Work.Reason, Message: l.Work.Message, LastUpdateTime: metav1.Time{Time: c.Clock().Truncate(time.Second)}})
	} else {
		cert, err := m.issue(c, l, csr, req)
		if err != nil {
			decide(c, "csr/"+csr.Name, l.Controller, "waits", "SigningError", err.Error())
			m.finish(c, l, &failure{text: "error auto signing csr: " + err.Error()})
			return
		}
		l.Work.Step, l.Work.Reason, l.Work.Message = "issued", l.Signer, "signed with "+l.CertFile
		csr.Status.Certificate = cert
	}
	m.ask(c, l, "PUT", m.csrs()+"/"+csr.Name+"/status", csr)
}

// signed handles the answer to a status that was written.
func (m *ControllerManager) signed(c *sim.Ctx, l *loop, a answer) {
	name, w := l.Work.Object.Name, l.Work
	if a.ok() {
		decide(c, "csr/"+name, l.Controller, w.Step, w.Reason, w.Message)
		m.finish(c, l, nil)
		return
	}
	words := "error updating signature for csr: "
	if w.Step == "failed" {
		words = "error adding failure condition for csr: "
	}
	m.finish(c, l, &failure{text: words + a.err()})
}

// issue makes the certificate.
func (m *ControllerManager) issue(c *sim.Ctx, l *loop, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) ([]byte, error) {
	ca, err := m.authority(l.CertFile, l.KeyFile)
	if err != nil {
		return nil, err
	}
	if err := pki.CheckRequest(req); err != nil {
		return nil, fmt.Errorf("unable to verify certificate request signature: %w", err)
	}
	bits, ext, err := certificateUsages(csr.Spec.Usages)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter, err := Validity(m.era(), c.Clock(), ca.Cert.NotAfter, Lifetime(m.era(), m.Flags.Duration, csr.Spec.ExpirationSeconds))
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	c.Chance.Fill(c.Actor()+"/serial", serial)
	cert, err := ca.Issue(req, pki.Policy{KeyUsage: bits, ExtKeyUsage: ext, NotBefore: notBefore, NotAfter: notAfter, Serial: serial})
	if err != nil {
		return nil, fmt.Errorf("failed to sign certificate: %w", err)
	}
	return cert, nil
}

// Lifetime is how long a certificate is made for: what was asked for, at most
// limit (--cluster-signing-duration), and at least 600 s unless the limit is
// less. Models signer.go duration; recorded in e4/durations.json.
func Lifetime(e era.Era, limit time.Duration, asked *int32) time.Duration {
	if asked == nil {
		return limit
	}
	return min(max(time.Duration(*asked)*time.Second, era.SigningMinimum.In(e)), limit)
}

// Validity is when a certificate that is signed now begins and ends: it is
// backdated by 5 min, at its end only if it is made for 8 h or more, and never
// outlives its CA. Models authority/policies.go; recorded in e4/durations.json.
func Validity(e era.Era, now, caEnd time.Time, life time.Duration) (notBefore, notAfter time.Time, err error) {
	backdate := era.SigningBackdate.In(e)
	notBefore = now.Add(-backdate)
	if !notBefore.Before(caEnd) {
		return notBefore, notAfter, fmt.Errorf("the signer has expired: NotAfter=%v", caEnd)
	}
	notAfter = now.Add(life)
	if life >= era.SigningShort.In(e) {
		notAfter = notAfter.Add(-backdate)
	}
	if !notAfter.Before(caEnd) {
		notAfter = caEnd
	}
	if !now.Before(caEnd) {
		return notBefore, notAfter, fmt.Errorf("refusing to sign a certificate that expired in the past: NotAfter=%v", caEnd)
	}
	return notBefore, notAfter, nil
}
