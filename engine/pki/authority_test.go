package pki_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

func request(t testing.TB, key crypto.Signer, r pki.Request) *x509.CertificateRequest {
	data, err := pki.NewRequest(key, r)
	require.NoError(t, err)
	csr, err := pki.ParseRequest(data)
	require.NoError(t, err)
	require.NoError(t, pki.CheckRequest(csr))
	return csr
}

func names(es []pkix.Extension) (out []string) {
	for _, e := range es {
		name := e.Id.String()
		if e.Critical {
			name += " critical"
		}
		out = append(out, name)
	}
	return out
}

func TestAuthority(t *testing.T) {
	w := newWorld(t, "1", now)
	c := w.ca.Cert
	require.True(t, c.IsCA)
	require.Equal(t, []string{"kubernetes"}, c.DNSNames)
	require.Equal(t, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment, c.KeyUsage)
	require.Len(t, c.SubjectKeyId, 20)
	require.NoError(t, c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature))
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", pki.Pin(c))
}

func TestIssue(t *testing.T) {
	w := newWorld(t, "1", now)
	key := pki.Keyring{Seed: "1"}.ECDSA("k")
	csr := request(t, key, pki.Request{
		Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:n"}, DNS: []string{"n"}, IPs: []net.IP{net.IPv4(10, 0, 0, 11)},
		Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}},
	})
	p := pki.Policy{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		NotBefore:   now, NotAfter: now.AddDate(0, 0, 7), Serial: bytes.Repeat([]byte{0xff}, 16)}
	data, err := w.ca.Issue(csr, p)
	require.NoError(t, err)
	cs, err := pki.ParseCerts(data)
	require.NoError(t, err)
	c := cs[0]
	require.Equal(t, csr.RawSubject, c.RawSubject)
	require.Equal(t, csr.RawSubjectPublicKeyInfo, c.RawSubjectPublicKeyInfo)
	require.Equal(t, []string{"n"}, c.DNSNames)
	require.Len(t, c.IPAddresses, 1)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, c.ExtKeyUsage, "sorted, once each")
	require.Equal(t, 128, c.SerialNumber.BitLen())
	require.Equal(t, now, c.NotBefore)
	require.Equal(t, w.ca.Cert.SubjectKeyId, c.AuthorityKeyId)
	// Key usage, extended key usage, constraints, AKI, SAN, in the order in
	// which kube-controller-manager was seen to write them, and nothing else.
	require.Equal(t, []string{"2.5.29.15 critical", "2.5.29.37", "2.5.29.19 critical", "2.5.29.35", "2.5.29.17"}, names(c.Extensions))

	p.SubjectKeyID = true
	old, err := w.ca.Issue(csr, p)
	require.NoError(t, err)
	cs, err = pki.ParseCerts(old)
	require.NoError(t, err)
	require.Len(t, cs[0].SubjectKeyId, 20)

	// What is given away is the caller's: writing to it spoils nothing.
	p.SubjectKeyID = false
	spoilt, _ := w.ca.Issue(csr, p)
	clear(spoilt)
	again, err := w.ca.Issue(csr, p)
	require.NoError(t, err)
	require.Equal(t, data, again)
}

func TestCheckRequestRefusesAForgedOne(t *testing.T) {
	good, err := pki.NewRequest(pki.Keyring{Seed: "1"}.ECDSA("k"), pki.Request{Subject: pkix.Name{CommonName: "a"}})
	require.NoError(t, err)
	b, _ := pem.Decode(good)
	b.Bytes[bytes.IndexByte(b.Bytes, 'a')] = 'b'
	csr, err := pki.ParseRequest(pem.EncodeToMemory(b))
	require.NoError(t, err)
	require.Equal(t, "b", csr.Subject.CommonName)
	for range 2 { // also when remembered
		require.EqualError(t, pki.CheckRequest(csr), "x509: ECDSA verification failure")
	}
}

func TestVerify(t *testing.T) {
	w := newWorld(t, "1", now)
	chain, err := pki.ParseCerts(w.client.Cert)
	require.NoError(t, err)
	roots := []*x509.Certificate{w.ca.Cert}
	for range 2 { // also when remembered
		require.NoError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now))
		require.NoError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now.AddDate(0, 6, 0)))
		require.EqualError(t, pki.Verify(chain, roots, x509.ExtKeyUsageServerAuth, now), "x509: certificate specifies an incompatible key usage")
		require.EqualError(t, pki.Verify(chain, nil, x509.ExtKeyUsageClientAuth, now), "x509: certificate signed by unknown authority")
		require.EqualError(t, pki.Verify(nil, roots, x509.ExtKeyUsageClientAuth, now), "x509: no certificate")
		require.EqualError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now.AddDate(2, 0, 0)),
			"x509: certificate has expired or is not yet valid: current time 2028-01-01T00:00:00Z is after 2027-01-01T00:00:00Z")
		require.EqualError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now.AddDate(3, 0, 0)),
			"x509: certificate has expired or is not yet valid: current time 2029-01-01T00:00:00Z is after 2027-01-01T00:00:00Z")
		require.ErrorContains(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now.AddDate(0, 0, -1)), "is before 2026-01-01T00:00:00Z")
	}
}

func TestParseAuthority(t *testing.T) {
	w := newWorld(t, "1", now)
	key := pki.KeyPEM(w.ca.Key)
	got, err := pki.ParseAuthority(w.ca.CertPEM(), key)
	require.NoError(t, err)
	require.Equal(t, w.ca.Cert, got.Cert)
	for want, in := range map[string][2][]byte{
		"tls: failed to find any PEM data in certificate input":                     {[]byte("x"), key},
		"tls: failed to find any PEM data in key input":                             {w.ca.CertPEM(), []byte("x")},
		"tls: private key does not match public key":                                {w.ca.CertPEM(), w.server.Key},
		"expected 1 certificate, found 2":                                           {append(w.ca.CertPEM(), w.server.Cert...), key},
		"tls: found a certificate rather than a key in the PEM for the private key": {w.ca.CertPEM(), w.ca.CertPEM()},
	} {
		_, err := pki.ParseAuthority(in[0], in[1])
		require.EqualError(t, err, want)
	}
}
