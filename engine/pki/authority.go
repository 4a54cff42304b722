package pki

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
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

// NewAuthority makes a self-signed CA with the derived P-256 key of that name.
// Usages, the DNS name and the key id are those that kubeadm writes.
//
// Models k8s.io/client-go/util/cert NewSelfSignedCACert.
func NewAuthority(kr Keyring, name, cn string, notBefore, notAfter time.Time) (*Authority, error) {
	return SelfSigned(kr.ECDSA(name), cn, serialOf(kr.Seed, name), notBefore, notAfter)
}

// serialOf derives a CA's own serial number: 63 bits, as kubeadm's are.
func serialOf(seed, name string) []byte {
	sum := sha256.Sum256([]byte("joinery ca serial\x00" + seed + "\x00" + name))
	return new(big.Int).Rsh(new(big.Int).SetBytes(sum[:8]), 1).Bytes()
}

// SelfSigned makes a CA of any key (see NewAuthority). Serial is a positive
// number of at most 20 bytes, big-endian.
func SelfSigned(key crypto.Signer, cn string, serial []byte, notBefore, notAfter time.Time) (*Authority, error) {
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(serial),
		Subject:      pkix.Name{CommonName: cn}, DNSNames: []string{cn},
		NotBefore: notBefore.UTC(), NotAfter: notAfter.UTC(),
		KeyUsage:              x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true, IsCA: true,
		SubjectKeyId: keyID(key.Public()),
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("unable to create CA certificate: %w", err)
	}
	der, err := made.try(digest("ca", pub, []byte(cn), serial, plain([]time.Time{t.NotBefore, t.NotAfter})), func() ([]byte, error) {
		return x509.CreateCertificate(nil, t, t, key.Public(), key)
	})
	if err != nil {
		return nil, fmt.Errorf("unable to create CA certificate: %w", err)
	}
	c, err := ParseDER(der)
	if err != nil {
		return nil, err
	}
	return &Authority{c, key}, nil
}

// keyID is the SHA-1 of the public key bits (RFC 5280, 4.2.1.2, method 1);
// crypto/x509 by itself would take a truncated SHA-256.
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

// ParseAuthority reads a CA from the contents of a certificate and a key file.
// The words are those of kube-controller-manager without the names of the
// files, which the caller puts before them; an empty file's words are the
// caller's alone.
//
// Models pkg/controller/certificates/signer ca_provider and
// apiserver/pkg/server/dynamiccertificates loadCertKeyPair.
func ParseAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	if _, err := Pair(certPEM, keyPEM); err != nil {
		return nil, err
	}
	cs, err := ParseCerts(certPEM)
	if err != nil {
		return nil, err
	}
	if len(cs) != 1 {
		return nil, fmt.Errorf("expected 1 certificate, found %d", len(cs))
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	return &Authority{cs[0], key}, nil
}

// ParseUnmatched is ParseAuthority without a look whether key and certificate belong
// together, as Go did not look before 1.16: then what it signs is signed by nobody
// that the certificate knows.
func ParseUnmatched(certPEM, keyPEM []byte) (*Authority, error) {
	a, err := ParseAuthority(certPEM, keyPEM)
	if err == nil {
		return a, nil
	}
	cs, err := ParseCerts(certPEM)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(keyPEM)
	if err != nil {
		return nil, err
	}
	// A copy that has the key's public half, and is not the same to who remembers.
	c := *cs[0]
	c.PublicKey, c.Raw = key.Public(), slices.Concat(c.Raw, keyPEM)
	switch key.Public().(type) {
	case *rsa.PublicKey:
		c.PublicKeyAlgorithm = x509.RSA
	default:
		c.PublicKeyAlgorithm = x509.ECDSA
	}
	return &Authority{&c, key}, nil
}

var pairs = newMemo[*tls.Certificate]()

// Pair is tls.X509KeyPair, with its words. Equal bytes give the same value: don't
// change it.
func Pair(cert, key []byte) (*tls.Certificate, error) {
	return pairs.try(digest("pair", cert, key), func() (*tls.Certificate, error) {
		if p := known(cert, key); p != nil {
			return p, nil
		}
		p, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, err
		}
		p.Leaf, err = ParseDER(p.Certificate[0])
		return &p, err
	})
}

// known is a pair whose key was made here or read before: what is left to do is to
// read the certificates and to see that they fit. Nil says that crypto/tls shall
// judge.
func known(cert, key []byte) *tls.Certificate {
	b := onlyKey(key)
	if b == nil {
		return nil
	}
	k, ok := keys.peek(digest("key", b))
	if !ok {
		return nil
	}
	p := &tls.Certificate{PrivateKey: k}
	for b, rest := pem.Decode(cert); b != nil; b, rest = pem.Decode(rest) {
		if b.Type == blockCert {
			p.Certificate = append(p.Certificate, b.Bytes)
		}
	}
	if len(p.Certificate) == 0 {
		return nil
	}
	var err error
	if p.Leaf, err = ParseDER(p.Certificate[0]); err != nil {
		return nil
	}
	pub, ok := k.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !pub.Equal(p.Leaf.PublicKey) {
		return nil
	}
	return p
}

// Policy is what an authority decides about a certificate; subject and names
// come from the request.
type Policy struct {
	KeyUsage    x509.KeyUsage
	ExtKeyUsage []x509.ExtKeyUsage
	// NotBefore and NotAfter are cut to seconds by the encoding.
	NotBefore, NotAfter time.Time
	// Serial is a positive number of at most 20 bytes, big-endian.
	Serial []byte
	// SubjectKeyID adds the SHA-1 of the key, as Kubernetes up to 1.16 does, by cfssl.
	SubjectKeyID bool
	// CFSSL leaves out URIs, and the extended usages as they stand.
	CFSSL bool
}

// Issue signs a request: subject and names are copied, every extension that
// the request asks for is dropped, BasicConstraints says CA:FALSE. It returns
// one CERTIFICATE block. It does not check the request's signature: see
// CheckRequest. Equal arguments give equal bytes.
//
// Models pkg/controller/certificates/authority Sign.
func (a *Authority) Issue(csr *x509.CertificateRequest, p Policy) ([]byte, error) {
	eku, uris := p.ExtKeyUsage, csr.URIs
	if p.CFSSL {
		uris = nil
	} else {
		eku = slices.Clone(eku)
		slices.Sort(eku)
		eku = slices.Compact(eku)
	}
	t := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(p.Serial),
		RawSubject:   csr.RawSubject,
		DNSNames:     csr.DNSNames, IPAddresses: csr.IPAddresses, EmailAddresses: csr.EmailAddresses, URIs: uris,
		NotBefore: p.NotBefore.UTC(), NotAfter: p.NotAfter.UTC(),
		KeyUsage: p.KeyUsage, ExtKeyUsage: eku,
		BasicConstraintsValid: true,
	}
	if p.SubjectKeyID {
		t.SubjectKeyId = keyID(csr.PublicKey)
	}
	return a.sign(digest("issue", a.Cert.Raw, csr.Raw, plain(p)), t, csr.PublicKey)
}

func (a *Authority) sign(k id, t *x509.Certificate, pub crypto.PublicKey) ([]byte, error) {
	out, err := made.try(k, func() ([]byte, error) {
		der, err := x509.CreateCertificate(nil, t, a.Cert, pub, a.Key)
		return block(blockCert, der), err
	})
	if err != nil {
		return nil, err
	}
	return slices.Clone(out), nil
}

// AsksForCA tells whether a request asks for the certificate of a CA.
func AsksForCA(r *x509.CertificateRequest) bool {
	for _, x := range r.Extensions {
		var basic struct {
			IsCA bool `asn1:"optional"`
			Path int  `asn1:"optional,default:-1"`
		}
		if x.Id.String() == "2.5.29.19" {
			_, err := asn1.Unmarshal(x.Value, &basic)
			return err == nil && basic.IsCA
		}
	}
	return false
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

// Leaf makes a certificate for a public key: one CERTIFICATE block.
//
// Models cmd/kubeadm/app/util/pkiutil NewSignedCert.
func (a *Authority) Leaf(s LeafSpec, pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
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
	return a.sign(digest("leaf", a.Cert.Raw, der, plain(s)), t, pub)
}

// Fingerprint is the SHA-256 of a certificate's DER.
func Fingerprint(der []byte) [sha256.Size]byte { return sha256.Sum256(der) }

// Pin names a CA by its public key: "sha256:" and the hash of its
// SubjectPublicKeyInfo in hex, as --discovery-token-ca-cert-hash takes it.
//
// Models cmd/kubeadm/app/util/pubkeypin Hash.
func Pin(c *x509.Certificate) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}
