package pki

import (
	"bytes"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

// Authority is a certificate authority: a certificate and its key.
type Authority struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// NewAuthority makes a self-signed CA with a derived P-256 key. Usages, the
// DNS name and the key id are those that kubeadm writes
// (k8s.io/client-go/util/cert NewSelfSignedCACert).
func NewAuthority(kr Keyring, name, cn string, notBefore, notAfter time.Time) (*Authority, error) {
	key := kr.ECDSA(name)
	serial := sha256.Sum256([]byte("joinery ca serial\x00" + kr.Seed + "\x00" + name))
	t := &x509.Certificate{
		SerialNumber: new(big.Int).Rsh(new(big.Int).SetBytes(serial[:8]), 1),
		Subject:      pkix.Name{CommonName: cn}, DNSNames: []string{cn},
		NotBefore: notBefore.UTC(), NotAfter: notAfter.UTC(),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true,
		SubjectKeyId: keyID(key.Public()),
	}
	der, err := x509.CreateCertificate(nil, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("unable to create CA certificate: %w", err)
	}
	c, err := ParseDER(der)
	if err != nil {
		return nil, err
	}
	return &Authority{c, key}, nil
}

// keyID is the SHA-1 of the public key bits (RFC 5280, 4.2.1.2, method 1).
func keyID(pub crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Bits      asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil
	}
	sum := sha1.Sum(info.Bits.Bytes)
	return sum[:]
}

// CertPEM is the CA's certificate.
func (a *Authority) CertPEM() []byte { return CertPEM(a.Cert.Raw) }

// ParseAuthority reads a CA from a certificate and a key file. The words are
// those of kube-controller-manager without the names of the files, which the
// caller puts before them.
func ParseAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	cs, err := ParseCerts(certPEM)
	if err != nil {
		return nil, errors.New("tls: failed to find any PEM data in certificate input")
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, errors.New("tls: failed to find any PEM data in key input")
	}
	if !samePublic(cs[0].PublicKey, key.Public()) {
		return nil, errors.New("tls: private key does not match public key")
	}
	if len(cs) != 1 {
		return nil, fmt.Errorf("expected 1 certificate, found %d", len(cs))
	}
	return &Authority{cs[0], key}, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	e, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && e.Equal(b)
}

// Policy is what an authority decides about a certificate; subject and names
// come from the request.
type Policy struct {
	KeyUsage    x509.KeyUsage
	ExtKeyUsage []x509.ExtKeyUsage
	// NotBefore and NotAfter are rounded down to seconds by the encoding.
	NotBefore, NotAfter time.Time
	// Serial is a positive number of at most 16 bytes, big-endian.
	Serial []byte
}

// Issue signs a request: subject and names are copied, every extension that
// the request asks for is dropped, BasicConstraints says CA:FALSE. It returns
// one CERTIFICATE block. It does not check the request's signature: see
// CheckRequest.
//
// Models pkg/controller/certificates/authority Sign.
func (a *Authority) Issue(csr *x509.CertificateRequest, p Policy) ([]byte, error) {
	eku := slices.Clone(p.ExtKeyUsage)
	slices.Sort(eku)
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(p.Serial),
		RawSubject:   csr.RawSubject,
		DNSNames:     csr.DNSNames, IPAddresses: csr.IPAddresses, EmailAddresses: csr.EmailAddresses, URIs: csr.URIs,
		NotBefore: p.NotBefore.UTC(), NotAfter: p.NotAfter.UTC(),
		KeyUsage: p.KeyUsage, ExtKeyUsage: slices.Compact(eku),
		BasicConstraintsValid: true,
	}
	return a.sign(t, csr.PublicKey)
}

func (a *Authority) sign(t *x509.Certificate, pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.CreateCertificate(nil, t, a.Cert, pub, a.Key)
	if err != nil {
		return nil, err
	}
	return CertPEM(der), nil
}

// LeafSpec describes a certificate that is made without a request, as kubeadm
// makes those of the control plane.
type LeafSpec struct {
	Subject             pkix.Name
	DNS                 []string
	IPs                 []net.IP
	Server, Client      bool
	NotBefore, NotAfter time.Time
	Serial              []byte
}

// Leaf makes a certificate for a public key.
func (a *Authority) Leaf(s LeafSpec, pub crypto.PublicKey) ([]byte, error) {
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(s.Serial), Subject: s.Subject, DNSNames: s.DNS, IPAddresses: s.IPs,
		NotBefore: s.NotBefore.UTC(), NotAfter: s.NotAfter.UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	if s.Server {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if s.Client {
		t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	return a.sign(t, pub)
}

// Request is what a certificate request asks for.
type Request struct {
	Subject pkix.Name
	DNS     []string
	IPs     []net.IP
}

// NewRequest makes a request, signed by key: one CERTIFICATE REQUEST block.
func NewRequest(key crypto.Signer, r Request) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(nil, &x509.CertificateRequest{Subject: r.Subject, DNSNames: r.DNS, IPAddresses: r.IPs}, key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

var requests = newMemo[*x509.CertificateRequest]()

// ParseRequest reads the first PEM block, which must be a request. Equal bytes
// give the same value: don't change it.
//
// Models k8s.io/apis/certificates ParseCSR, with its words.
func ParseRequest(data []byte) (*x509.CertificateRequest, error) {
	id := digest("csr", data)
	if r, ok := requests.peek(id); ok {
		return r, nil
	}
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	r, err := x509.ParseCertificateRequest(b.Bytes)
	if err != nil {
		return nil, err
	}
	requests.put(id, r)
	return r, nil
}

var checked = newMemo[error]()

// CheckRequest verifies that a request is signed by its own key.
func CheckRequest(r *x509.CertificateRequest) error {
	return checked.get(digest("check", r.Raw), r.CheckSignature)
}

type verdict struct{ err error }

var verified = newMemo[verdict]()

// Verify checks a chain (leaf first) against a bundle of roots at a time, for
// a usage. The error is crypto/x509's.
func Verify(chain []*x509.Certificate, roots []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("x509: no certificate")
	}
	// The verdict depends on the time only through the validity of what takes
	// part, and its words through the time itself when something is not valid.
	valid := true
	parts := [][]byte{{byte(usage)}}
	for _, set := range [][]*x509.Certificate{chain, roots} {
		for _, c := range set {
			parts = append(parts, c.Raw)
			valid = valid && !now.Before(c.NotBefore) && !now.After(c.NotAfter)
		}
		parts = append(parts, nil)
	}
	check := func() verdict {
		o := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage}}
		for _, c := range roots {
			o.Roots.AddCert(c)
		}
		for _, c := range chain[1:] {
			o.Intermediates.AddCert(c)
		}
		_, err := chain[0].Verify(o)
		return verdict{err}
	}
	if !valid {
		return check().err
	}
	return verified.get(digest("verify", parts...), check).err
}

// KeyPair joins a certificate chain and a key, as one file of the kubelet's
// store holds them: certificates, then the key.
func KeyPair(cert, key []byte) []byte { return append(bytes.Clone(cert), key...) }

// Fingerprint is the SHA-256 of a certificate's DER.
func Fingerprint(der []byte) [32]byte { return sha256.Sum256(der) }
