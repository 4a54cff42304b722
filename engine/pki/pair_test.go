package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPair: the quick way is that of crypto/tls, whatever stands in the files.
func TestPair(t *testing.T) {
	ForgetMemo()
	kr := Keyring{Seed: "pair"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	ca, err := NewAuthority(kr, "ca", "ca", now, now.AddDate(1, 0, 0))
	require.NoError(t, err)
	key, other := kr.ECDSA("key"), kr.ECDSA("other")
	cert, err := ca.Leaf(LeafSpec{Subject: pkix.Name{CommonName: "a"}, NotBefore: now, NotAfter: now.AddDate(0, 1, 0), Serial: []byte{1}}, key.Public())
	require.NoError(t, err)
	pem, wrong := KeyPEM(key), KeyPEM(other)
	chain := append(bytes.Clone(cert), ca.CertPEM()...)
	damaged := bytes.Replace(cert, []byte("MII"), []byte("MIA"), 1)
	for name, x := range map[string][2][]byte{
		"fits": {cert, pem}, "a chain": {chain, pem}, "the CA first": {append(ca.CertPEM(), cert...), pem},
		"one file": {KeyPair(cert, pem), KeyPair(cert, pem)}, "key first": {append(bytes.Clone(pem), cert...), append(bytes.Clone(pem), cert...)},
		"another key": {cert, wrong}, "two keys": {cert, append(bytes.Clone(wrong), pem...)}, "no key": {cert, cert}, "no certificate": {pem, pem},
		"RSA": {cert, KeyPEM(kr.RSA(0))}, "damaged": {damaged, pem}, "nothing": {nil, nil}, "text": {[]byte("a"), []byte("b")},
		"cut key": {cert, pem[:len(pem)-3]}, "text before the key": {cert, append([]byte("x\n"), pem...)},
	} {
		want, wantErr := tls.X509KeyPair(x[0], x[1])
		got, err := Pair(x[0], x[1])
		if wantErr != nil {
			require.EqualError(t, err, wantErr.Error(), name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, want.Certificate, got.Certificate, name)
		require.True(t, key.Equal(got.PrivateKey), name)
		require.Equal(t, want.Certificate[0], got.Leaf.Raw, name)
	}
	require.NotNil(t, known(cert, pem), "a key that was made here is known")
	require.NotNil(t, known(KeyPair(cert, pem), KeyPair(cert, pem)))
}
