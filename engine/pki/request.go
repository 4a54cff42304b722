package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"net"
)

// Request is what a certificate request asks for.
type Request struct {
	Subject pkix.Name
	DNS     []string
	IPs     []net.IP
	Emails  []string
	// Extra are further extensions. Authority.Issue drops them.
	Extra []pkix.Extension
}

var made = newMemo[[]byte]()

// NewRequest makes a request, signed by key: one CERTIFICATE REQUEST block.
// Equal arguments give equal bytes (RFC 6979 for ECDSA).
func NewRequest(key crypto.Signer, r Request) ([]byte, error) {
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	out, err := made.try(digest("request", pub, plain(r)), func() ([]byte, error) {
		der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{
			Subject: r.Subject, DNSNames: r.DNS, IPAddresses: r.IPs, EmailAddresses: r.Emails, ExtraExtensions: r.Extra}, key)
		if err != nil {
			return nil, err
		}
		return block(blockRequest, der), nil
	})
	return append([]byte(nil), out...), err
}

var requests = newMemo[*x509.CertificateRequest]()

// ParseRequest reads the first PEM block, which must be a request. Equal bytes
// give the same value: don't change it.
//
// Models pkg/apis/certificates ParseCSR, with its words.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	return requests.try(digest("csr", data), func() (*x509.CertificateRequest, error) {
		b, _ := pem.Decode(data)
		if b == nil || b.Type != blockRequest {
			return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
		}
		return x509.ParseCertificateRequest(b.Bytes)
	})
}

var checked = newMemo[error]()

// CheckRequest verifies that a request is signed by its own key. The error is
// crypto/x509's.
func CheckRequest(r *x509.CertificateRequest) error {
	return checked.get(digest("check", r.Raw), r.CheckSignature)
}
