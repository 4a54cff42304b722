package controllers

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
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
	csr, e := l.Work.Object, m.era()
	if !condition(csr, certv1.CertificateApproved) || condition(csr, certv1.CertificateDenied) || era.SigningFails.In(e) && condition(csr, certv1.CertificateFailed) || !l.signs(csr.Spec.SignerName) {
		m.finish(c, l, nil)
		return
	}
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		text := fmt.Sprintf("unable to parse csr %q: %v", csr.Name, err)
		if era.SigningCFSSL.In(e) {
			text = "error auto signing csr: " + cfssl(9003, err.Error()).Error()
		} else if !era.CSRSigners.In(e) {
			text = "error auto signing csr: " + text
		}
		m.finish(c, l, &failure{text: text})
		return
	}
	csr = m.copied(csr)
	l.Work.Object = csr
	err = refusedBy(e, csr.Spec.SignerName, req, csr.Spec.Usages)
	switch {
	case err != nil && !era.SigningFails.In(e):
		decide(c, "csr/"+csr.Name, l.Controller, "waits", "SignerValidationFailure", err.Error())
		m.finish(c, l, nil)
		return
	case err != nil:
		l.Work.Step, l.Work.Reason, l.Work.Message = "failed", "SignerValidationFailure", err.Error()
		csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{
			Type: certv1.CertificateFailed, Status: corev1.ConditionTrue, Reason: l.Work.Reason, Message: l.Work.Message, LastUpdateTime: metav1.Time{Time: c.Clock().Truncate(time.Second)}})
	default:
		cert, err := m.issue(c, l, csr, req)
		if err != nil {
			decide(c, "csr/"+csr.Name, l.Controller, "waits", "SigningError", err.Error())
			m.finish(c, l, &failure{text: "error auto signing csr: " + err.Error()})
			return
		}
		reason := l.Signer
		if reason == "" {
			reason = signing
		}
		l.Work.Step, l.Work.Reason, l.Work.Message = "issued", reason, "signed with "+l.CertFile
		csr.Status.Certificate = cert
	}
	m.ask(c, l, "PUT", m.csrs()+"/"+csr.Name+"/status", csr)
}

// signs tells whether a loop is for a signer: that of a release without signers is for
// none, and one for all of them for those that it knows.
func (l *loop) signs(signer string) bool {
	if l.Signer != "" || signer == "" {
		return l.Signer == signer
	}
	return slices.ContainsFunc(signers, func(s signerRow) bool { return s.name == signer })
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
	e := m.era()
	ca, err := m.authority(l.CertFile, l.KeyFile)
	if err != nil {
		return nil, err
	}
	if err := m.checkRequest(c, req); err != nil {
		return nil, err
	}
	usages := certificateUsages
	if era.SigningCFSSL.In(e) {
		usages = cfsslUsages
	}
	bits, ext, err := usages(csr.Spec.Usages)
	if err != nil {
		return nil, err
	}
	notBefore, notAfter, err := Validity(e, c.Clock(), ca.Cert.NotAfter, Lifetime(e, m.Flags.Duration, csr.Spec.ExpirationSeconds))
	if err != nil {
		return nil, err
	}
	serial := make([]byte, era.SigningSerial.In(e))
	c.Chance.Fill(c.Actor()+"/serial", serial)
	old := era.SigningCFSSL.In(e)
	if old {
		serial[0] &= 0x7f
	}
	cert, err := ca.Issue(req, pki.Policy{KeyUsage: bits, ExtKeyUsage: ext, NotBefore: notBefore, NotAfter: notAfter, Serial: serial, SubjectKeyID: old, CFSSL: old})
	if err != nil {
		return nil, fmt.Errorf("failed to sign certificate: %w", err)
	}
	m.say(c, &era.LineSigned, new(big.Int).SetBytes(serial))
	return cert, nil
}

// checkRequest looks at a request's signature; cfssl refuses one for a CA too.
func (m *ControllerManager) checkRequest(c *sim.Ctx, req *x509.CertificateRequest) error {
	err := pki.CheckRequest(req)
	switch {
	case !era.SigningCFSSL.In(m.era()):
		if err != nil {
			return fmt.Errorf("unable to verify certificate request signature: %w", err)
		}
		return nil
	case err != nil:
		return cfssl(9300, err.Error())
	case req.PublicKeyAlgorithm == x509.Ed25519 && !era.SigningEd25519.In(m.era()):
		return errors.New("only RSA and ECDSA public keys are supported")
	case pki.AsksForCA(req):
		m.logf(c, 'E', 0, "logs.go:41", "[ERROR] local signer policy disallows issuing CA certificate")
		return cfssl(5300, "Policy violation request")
	}
	return nil
}

// cfssl is an error of github.com/cloudflare/cfssl, which shows as JSON.
func cfssl(code int, message string) error {
	b, _ := json.Marshal(message)
	return fmt.Errorf(`{"code":%d,"message":%s}`, code, b)
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
// backdated by 5 min, at its end only if it is made for 8 h or more (before 1.22
// always), and never outlives its CA. Models authority/policies.go; recorded in
// e4/durations.json. cfssl counts from the nearest minute (golden-old e2).
func Validity(e era.Era, now, caEnd time.Time, life time.Duration) (notBefore, notAfter time.Time, err error) {
	backdate := era.SigningBackdate.In(e)
	notBefore = now.Add(-backdate)
	if era.SigningCFSSL.In(e) {
		if era.SigningCapped.In(e) {
			left := caEnd.Sub(now)
			if left <= 0 {
				return notBefore, notAfter, fmt.Errorf("the signer has expired: %v", caEnd)
			}
			life = min(life, left)
		}
		notBefore = now.Round(time.Minute).Add(-backdate)
		if life == 0 {
			err = cfssl(5200, "Invalid or unknown policy")
		}
		return notBefore, notBefore.Add(life), err
	}
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
		words := era.SigningPast.In(e)
		if strings.Contains(words, "%v") {
			words = fmt.Sprintf(words, caEnd)
		}
		return notBefore, notAfter, errors.New(words)
	}
	return notBefore, notAfter, nil
}
