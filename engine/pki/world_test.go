package pki_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

var now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// world is a CA, a server and a client that trust it.
type world struct {
	ca     *pki.Authority
	server pki.Server
	client pki.Client
}

func newWorld(t testing.TB, seed string, now time.Time) world {
	kr := pki.Keyring{Seed: seed}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	sk, ck := kr.ECDSA("server"), kr.ECDSA("client")
	server, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, DNS: []string{"api"}, Server: true, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), Serial: []byte{1}}, sk.Public())
	require.NoError(t, err)
	csr := request(t, ck, pki.Request{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:n"}})
	client, err := ca.Issue(csr, pki.Policy{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), Serial: []byte{2}})
	require.NoError(t, err)
	return world{ca, pki.Server{Cert: server, Key: pki.KeyPEM(sk)}, pki.Client{Roots: ca.CertPEM(), ServerName: "api", Cert: client, Key: pki.KeyPEM(ck)}}
}
