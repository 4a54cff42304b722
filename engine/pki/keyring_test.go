package pki_test

import (
	"crypto"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

// The same seed gives the same bytes on every machine, whatever its zone and
// whether or not they were made before. The hashes in the golden file were
// made natively; the wasm build has to meet them too.
func TestSameSeedSameBytes(t *testing.T) {
	render := func(seed string, now time.Time) string {
		kr, w := pki.Keyring{Seed: seed}, newWorld(t, seed, now)
		var b strings.Builder
		for _, x := range []struct {
			name string
			pem  []byte
		}{
			{"ecdsa", pki.KeyPEM(kr.ECDSA("a"))}, {"ecdsa, other name", pki.KeyPEM(kr.ECDSA("b"))},
			{"ed25519", pki.KeyPEM(kr.Ed25519("a"))}, {"rsa", pki.KeyPEM(kr.RSA(0))},
			{"ca", w.ca.CertPEM()}, {"server", w.server.Cert}, {"client", w.client.Cert},
		} {
			fmt.Fprintf(&b, "%s: %x\n", x.name, pki.Fingerprint(x.pem))
		}
		return b.String()
	}
	got := render("1", now)
	golden := filepath.Join("testdata", "seed-1.txt")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
	require.NotEqual(t, got, render("2", now))

	zone := time.FixedZone("far", 11*3600+1800)
	defer func(old *time.Location) { time.Local = old }(time.Local)
	time.Local = zone
	pki.ForgetMemo()
	require.Equal(t, got, render("1", now.In(zone)), "a zone changes nothing")
}

func TestKeys(t *testing.T) {
	kr := pki.Keyring{Seed: "1"}
	require.NotEqual(t, kr.ECDSA("a"), kr.ECDSA("b"))
	require.NotEqual(t, kr.ECDSA("a"), pki.Keyring{Seed: "2"}.ECDSA("a"))
	require.True(t, kr.RSA(0).Equal(kr.RSA(2)))
	require.False(t, kr.RSA(0).Equal(kr.RSA(1)))
	require.Equal(t, 2048, kr.RSA(1).N.BitLen())
	require.NoError(t, kr.RSA(1).Validate())
	for want, key := range map[string]crypto.Signer{"EC": kr.ECDSA("a"), "RSA": kr.RSA(0), "": kr.Ed25519("a")} {
		pem := pki.KeyPEM(key)
		require.Contains(t, string(pem), strings.TrimSpace("-----BEGIN "+want)+" ")
		got, err := pki.ParseKey(append([]byte("before\n"), pem...))
		require.NoError(t, err)
		require.True(t, key.(interface{ Equal(crypto.PrivateKey) bool }).Equal(got))
	}
	var _ *rsa.PrivateKey = kr.RSA(0)
}

func TestParseErrors(t *testing.T) {
	w := newWorld(t, "1", now)
	_, err := pki.ParseKey(w.client.Cert)
	require.EqualError(t, err, "data does not contain a valid RSA or ECDSA private key")
	_, err = pki.ParseCerts(w.client.Key)
	require.EqualError(t, err, "data does not contain any valid RSA or ECDSA certificates")
	_, err = pki.ParseCerts(nil)
	require.Error(t, err)
	cs, err := pki.ParseCerts(append(pki.KeyPair(w.client.Cert, w.client.Key), w.ca.CertPEM()...))
	require.NoError(t, err)
	require.Len(t, cs, 2, "keys between certificates are passed over")
	require.Equal(t, w.ca.CertPEM(), pki.CertsPEM(cs[1]))
	_, err = pki.ParseRequest(w.client.Cert)
	require.EqualError(t, err, "PEM block type must be CERTIFICATE REQUEST")
	_, err = pki.ParseRequest(nil)
	require.EqualError(t, err, "PEM block type must be CERTIFICATE REQUEST")
}

// Toys differ as long as there are others, are as long as they should be, and
// come in another order for another seed.
func TestToys(t *testing.T) {
	for bits, pairs := range map[int]int{2048: 276, 3072: 15, 4096: 15} {
		seen := map[string]bool{}
		kr := pki.Keyring{Seed: "toys"}
		for n := range pairs {
			key := kr.Toy(bits, n)
			require.Equal(t, bits, key.N.BitLen())
			seen[key.N.String()] = true
		}
		require.Len(t, seen, pairs)
		require.NoError(t, kr.Toy(bits, 1).Validate())
		require.True(t, kr.Toy(bits, 0).Equal(kr.Toy(bits, pairs)))
	}
	require.False(t, pki.Keyring{Seed: "toys"}.Toy(2048, 0).Equal(pki.Keyring{Seed: "others"}.Toy(2048, 0)))
	key := pki.Keyring{}.Toy(4096, 3)
	again, err := pki.ParseKey(pki.KeyPEM(key))
	require.NoError(t, err)
	require.True(t, key.Equal(again))
}
