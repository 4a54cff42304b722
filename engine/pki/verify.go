package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"
)

// windows tells of each certificate whether now is before, in or after its
// validity. Verdicts depend on the time by nothing else, and only the words of
// some name it: see timeless.
func windows(now time.Time, sets ...[]*x509.Certificate) []byte {
	var out []byte
	for _, set := range sets {
		for _, c := range set {
			switch {
			case now.Before(c.NotBefore):
				out = append(out, '<')
			case now.After(c.NotAfter):
				out = append(out, '>')
			default:
				out = append(out, '=')
			}
		}
		out = append(out, '.')
	}
	return out
}

// timeless tells whether the words of an error are the same at every time with
// the same windows. (crypto/x509: "current time … is after …".)
func timeless(words string) bool { return !strings.Contains(words, "current time ") }

// moment is now, but never the zero time, for which crypto/x509 would take the
// wall clock. It keeps its zone: some words of crypto/x509 show it.
func moment(now time.Time) time.Time {
	if now.IsZero() {
		return now.Add(1)
	}
	return now
}

var verified = newMemo[error]()

// Verify checks a chain (leaf first) against a bundle of roots at a time, for
// a usage. The error is crypto/x509's.
func Verify(chain []*x509.Certificate, roots []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("x509: no certificate")
	}
	parts := [][]byte{{byte(usage)}, windows(now, chain, roots)}
	for _, set := range [][]*x509.Certificate{chain, roots} {
		for _, c := range set {
			parts = append(parts, c.Raw)
		}
	}
	k := digest("verify", parts...)
	if err, ok := verified.peek(k); ok {
		return err
	}
	o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: moment(now), KeyUsages: []x509.ExtKeyUsage{usage}}
	for _, c := range roots {
		o.Roots.AddCert(c)
	}
	for _, c := range chain[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(o)
	if err == nil || timeless(err.Error()) {
		verified.put(k, err)
	}
	return err
}

// VerifyClient checks the chain of who comes with a certificate, as servers do. The
// words are theirs. Models k8s.io/apiserver/pkg/authentication/request/x509.
func VerifyClient(chain []*x509.Certificate, roots []*x509.Certificate, now time.Time) error {
	if err := Verify(chain, roots, x509.ExtKeyUsageClientAuth, now); err != nil {
		return fmt.Errorf("verifying certificate SN=%d, SKID=%s, AKID=%s failed: %w", chain[0].SerialNumber, Colons(chain[0].SubjectKeyId), Colons(chain[0].AuthorityKeyId), err)
	}
	return nil
}

// VerifyServer is what a client says of a server's certificate that it does not take
// for one of that name, in the words of crypto/tls.
func VerifyServer(chain []*x509.Certificate, roots []*x509.Certificate, name string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("remote error: tls: internal error")
	}
	err := chain[0].VerifyHostname(name)
	if err == nil {
		err = Verify(chain, roots, x509.ExtKeyUsageServerAuth, now)
	}
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: chain, Err: err}
	}
	return nil
}

// KeyID is the key id of a certificate: the one that it names, or that which its
// key would be given.
func KeyID(c *x509.Certificate) []byte {
	if len(c.SubjectKeyId) > 0 {
		return c.SubjectKeyId
	}
	return keyID(c.PublicKey)
}

var signed = newMemo[bool]()

// Signed tells whether the key of a CA signed a certificate.
func Signed(ca, x *x509.Certificate) bool {
	return signed.get(digest("signed", ca.Raw, x.Raw), func() bool {
		return bytes.Equal(ca.RawSubject, x.RawIssuer) && ca.CheckSignature(x.SignatureAlgorithm, x.RawTBSCertificate, x.Signature) == nil
	})
}
