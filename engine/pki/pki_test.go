package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func world(t *testing.T, seed string) (*pki.Authority, pki.Server, pki.Client) {
	kr := pki.Keyring{Seed: seed}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	sk, ck := kr.ECDSA("server"), kr.ECDSA("client")
	server, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, DNS: []string{"api"}, Server: true, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), Serial: []byte{1}}, sk.Public())
	require.NoError(t, err)
	req, err := pki.NewRequest(ck, pki.Request{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:n"}})
	require.NoError(t, err)
	csr, err := pki.ParseRequest(req)
	require.NoError(t, err)
	require.NoError(t, pki.CheckRequest(csr))
	client, err := ca.Issue(csr, pki.Policy{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), Serial: []byte{2}})
	require.NoError(t, err)
	return ca, pki.Server{Cert: server, Key: pki.KeyPEM(sk)}, pki.Client{Roots: ca.CertPEM(), ServerName: "api", Cert: client, Key: pki.KeyPEM(ck)}
}

// The same seed gives the same bytes, on every machine: the hash is golden.
func TestSameSeedSameBytes(t *testing.T) {
	_, s, c := world(t, "1")
	sum := pki.Fingerprint(append(append([]byte{}, s.Cert...), c.Cert...))
	require.Equal(t, "11bac29ab5071548705c725fdf31da54f81da66d2f63d0a2f243456800a2e52e", hex.EncodeToString(sum[:]))
	pki.ForgetMemo()
	_, s2, c2 := world(t, "1")
	require.Equal(t, s, s2)
	require.Equal(t, c, c2)
	_, s3, _ := world(t, "2")
	require.NotEqual(t, s.Cert, s3.Cert)
}

func TestGreet(t *testing.T) {
	ca, s, c := world(t, "1")
	other, err := pki.NewAuthority(pki.Keyring{Seed: "x"}, "ca", "other", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	twin, err := pki.NewAuthority(pki.Keyring{Seed: "x"}, "ca", "kubernetes", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	for _, tt := range []struct {
		name           string
		change         func(c *pki.Client, s *pki.Server)
		at             time.Time
		client, server string
	}{
		{"mutual", func(*pki.Client, *pki.Server) {}, now, "", ""},
		{"unknown authority", func(c *pki.Client, _ *pki.Server) { c.Roots = other.CertPEM() }, now,
			"tls: failed to verify certificate: x509: certificate signed by unknown authority", "remote error: tls: bad certificate"},
		{"same name, other key", func(c *pki.Client, _ *pki.Server) { c.Roots = twin.CertPEM() }, now,
			`tls: failed to verify certificate: x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "kubernetes")`, "remote error: tls: bad certificate"},
		{"no roots: not the system's either", func(c *pki.Client, _ *pki.Server) { c.Roots = nil }, now,
			"tls: failed to verify certificate: x509: certificate signed by unknown authority", "remote error: tls: bad certificate"},
		{"expired server", func(*pki.Client, *pki.Server) {}, now.AddDate(2, 0, 0),
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2028-01-01T00:00:00Z is after 2027-01-01T00:00:00Z", "remote error: tls: bad certificate"},
		{"wrong name", func(c *pki.Client, _ *pki.Server) { c.ServerName = "10.0.0.10" }, now,
			"tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.10 because it doesn't contain any IP SANs", "remote error: tls: bad certificate"},
		{"insecure", func(c *pki.Client, _ *pki.Server) { c.Insecure, c.Roots = true, nil }, now, "", ""},
		{"client's key of another certificate", func(c *pki.Client, s *pki.Server) { c.Key = s.Key }, now, "tls: private key does not match public key", ""},
		{"a client certificate of another CA is no handshake error", func(c *pki.Client, s *pki.Server) { c.Cert, c.Key = s.Cert, s.Key }, now, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := c, s
			tt.change(&c, &s)
			h := pki.Greet(c, s, tt.at)
			require.Equal(t, tt.client, h.ClientError)
			require.Equal(t, tt.server, h.ServerError)
			require.Equal(t, tt.client == "" && tt.server == "", h.OK)
			require.Equal(t, h, pki.Greet(c, s, tt.at), "a remembered handshake has the same facts")
			pki.ForgetMemo()
			require.Equal(t, h, pki.Greet(c, s, tt.at), "and so has a new one")
			if h.OK {
				require.Equal(t, "TLS 1.3", h.Version)
				require.NotEmpty(t, h.ClientChain)
				require.NotEmpty(t, h.ServerChain)
			}
		})
	}
	_ = ca
}

func TestVerify(t *testing.T) {
	ca, _, c := world(t, "1")
	chain, err := pki.ParseCerts(c.Cert)
	require.NoError(t, err)
	roots := []*x509.Certificate{ca.Cert}
	require.NoError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now))
	require.EqualError(t, pki.Verify(chain, roots, x509.ExtKeyUsageServerAuth, now), "x509: certificate specifies an incompatible key usage")
	require.EqualError(t, pki.Verify(chain, nil, x509.ExtKeyUsageClientAuth, now), "x509: certificate signed by unknown authority")
	require.EqualError(t, pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, now.AddDate(2, 0, 0)),
		"x509: certificate has expired or is not yet valid: current time 2028-01-01T00:00:00Z is after 2027-01-01T00:00:00Z")
}

func TestParseAuthority(t *testing.T) {
	ca, s, _ := world(t, "1")
	key := pki.KeyPEM(ca.Key)
	_, err := pki.ParseAuthority(ca.CertPEM(), key)
	require.NoError(t, err)
	for want, in := range map[string][2][]byte{
		"tls: failed to find any PEM data in certificate input": {[]byte("x"), key},
		"tls: failed to find any PEM data in key input":         {ca.CertPEM(), []byte("x")},
		"tls: private key does not match public key":            {ca.CertPEM(), s.Key},
		"expected 1 certificate, found 2":                       {append(ca.CertPEM(), s.Cert...), key},
	} {
		_, err := pki.ParseAuthority(in[0], in[1])
		require.EqualError(t, err, want)
	}
}

func BenchmarkGreet(b *testing.B) {
	t := &testing.T{}
	_, s, c := world(t, "1")
	for b.Loop() {
		pki.ForgetMemo()
		pki.Greet(c, s, now)
	}
}
