package pki_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

// papers are one of each block that can be explained.
func papers(t testing.TB) map[string][]byte {
	kr := pki.Keyring{Seed: "sheets"}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	key := kr.ECDSA("node")
	leaf, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, DNS: []string{"kubernetes", "kubernetes.default"}, IPs: []net.IP{net.IPv4(10, 96, 0, 1), net.ParseIP("fd00::1")},
		Server: true, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), Serial: []byte{0x80, 1, 2, 3}}, key.Public())
	require.NoError(t, err)
	node := pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:n"}
	csr, err := pki.NewRequest(key, pki.Request{Subject: node})
	require.NoError(t, err)
	asked, err := pki.NewRequest(key, pki.Request{Subject: node, DNS: []string{"n"}, IPs: []net.IP{net.IPv4(10, 0, 0, 11)},
		Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: []byte{3, 2, 5, 0xa0}}, {Id: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte{5, 0}}}})
	require.NoError(t, err)
	rsaCA, err := pki.SelfSigned(kr.RSA(0), "rsa", []byte{9}, now, now.AddDate(1, 0, 0))
	require.NoError(t, err)
	pub, err := pki.PublicKeyPEM(key.Public())
	require.NoError(t, err)
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		require.NoError(t, err)
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	return map[string][]byte{
		"ca": ca.CertPEM(), "rsa-ca": rsaCA.CertPEM(), "leaf": leaf, "csr": csr, "csr-with-extensions": asked,
		"ec-key": pki.KeyPEM(key), "rsa-key": pki.KeyPEM(kr.RSA(1)), "ed25519-key": pki.KeyPEM(kr.Ed25519("x")),
		"pkcs8-ec-key": pkcs8(key), "pkcs8-rsa-key": pkcs8(kr.RSA(1)), "public-key": pub,
	}
}

// The golden file shows each field with the bytes that say so.
func TestExplain(t *testing.T) {
	all := papers(t)
	var b strings.Builder
	for _, name := range []string{"ca", "leaf", "csr", "csr-with-extensions", "ec-key", "public-key", "ed25519-key", "pkcs8-ec-key"} {
		sheets, err := pki.Explain(all[name])
		require.NoError(t, err, name)
		require.Len(t, sheets, 1)
		s := sheets[0]
		fmt.Fprintf(&b, "# %s: %s, %s, %d bytes\n", name, s.Kind, s.Title, len(s.DER))
		for _, f := range s.Fields {
			critical := ""
			if f.Critical {
				critical = " critical"
			}
			fmt.Fprintf(&b, "%-22s %q%s\n    %d+%d %x\n", f.Name, f.Value, critical, f.Offset, f.Len, s.DER[f.Offset:f.Offset+f.Len])
		}
	}
	golden := filepath.Join("testdata", "sheets.txt")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// The range of a field holds what the field says, whatever the block.
func TestExplainRanges(t *testing.T) {
	for name, data := range papers(t) {
		sheets, err := pki.Explain(data)
		require.NoError(t, err, name)
		s := sheets[0]
		end := 0
		for _, f := range s.Fields {
			require.GreaterOrEqual(t, f.Offset, 0, "%s %s", name, f.Name)
			require.LessOrEqual(t, f.Offset+f.Len, len(s.DER), "%s %s", name, f.Name)
			got := s.DER[f.Offset : f.Offset+f.Len]
			var raw asn1.RawValue
			rest, err := asn1.Unmarshal(got, &raw)
			require.NoError(t, err, "%s %s is one element", name, f.Name)
			require.Empty(t, rest, "%s %s is one element", name, f.Name)
			switch {
			case strings.HasPrefix(f.Name, "subject."), strings.HasPrefix(f.Name, "issuer."):
				require.Equal(t, f.Value, string(raw.Bytes))
			case f.Name == "notBefore", f.Name == "notAfter":
				var at time.Time
				_, err := asn1.Unmarshal(got, &at)
				require.NoError(t, err)
				require.Equal(t, f.Value, at.UTC().Format(time.RFC3339))
			case f.Name == "serialNumber":
				require.Equal(t, f.Value, fmt.Sprintf("%0*X", len(f.Value), new(big.Int).SetBytes(raw.Bytes)))
			case f.Name == "privateKey", f.Name == "signature", f.Name == "publicKey", f.Name == "modulus":
				want := strings.ReplaceAll(f.Value, ":", "")
				require.Contains(t, fmt.Sprintf("%X", got), want)
			}
			// In order; only what attributes hold lies within them.
			if !strings.HasPrefix(f.Name, "ext.") {
				require.GreaterOrEqual(t, f.Offset, end, "%s %s", name, f.Name)
				end = f.Offset + f.Len
			}
		}
	}
}

func TestExplainManyAndNone(t *testing.T) {
	all := papers(t)
	both := append([]byte("text before\n"), pki.KeyPair(all["leaf"], all["ec-key"])...)
	sheets, err := pki.Explain(both)
	require.NoError(t, err)
	require.Len(t, sheets, 2)
	require.Equal(t, "certificate", sheets[0].Kind)
	require.Equal(t, "key", sheets[1].Kind)
	f, ok := sheets[0].Field("subject.CN")
	require.True(t, ok)
	require.Equal(t, "kube-apiserver", f.Value)
	_, ok = sheets[0].Field("subject.O")
	require.False(t, ok)

	_, err = pki.Explain([]byte("no PEM"))
	require.EqualError(t, err, "unable to parse bytes as PEM block")
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 3, 2, 1, 1}})
	sheets, err = pki.Explain(append(bytes.Clone(all["leaf"]), broken...))
	require.EqualError(t, err, "x509: malformed tbs certificate")
	require.Len(t, sheets, 1, "those before the broken one")
}

// openssl reads the same out of the same bytes.
func TestExplainAgreesWithOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl on this machine")
	}
	ask := func(in []byte, args ...string) string {
		c := exec.Command(openssl, args...)
		c.Stdin = bytes.NewReader(in)
		out, err := c.Output()
		require.NoError(t, err, "openssl %v", args)
		return strings.TrimSpace(string(out))
	}
	all := papers(t)
	for _, name := range []string{"ca", "rsa-ca", "leaf"} {
		sheets, err := pki.Explain(all[name])
		require.NoError(t, err)
		s := sheets[0]
		value := func(name string) string { f, _ := s.Field(name); return f.Value }
		date := func(name string) string {
			at, err := time.Parse(time.RFC3339, value(name))
			require.NoError(t, err)
			return at.Format("Jan _2 15:04:05 2006 GMT")
		}
		require.Equal(t, strings.Join([]string{
			"subject=CN = " + value("subject.CN"),
			"issuer=CN = " + value("issuer.CN"),
			"serial=" + value("serialNumber"),
			"notBefore=" + date("notBefore"), "notAfter=" + date("notAfter"),
			"sha256 Fingerprint=" + s.Fingerprint,
		}, "\n"), ask(all[name], "x509", "-noout", "-subject", "-issuer", "-serial", "-dates", "-fingerprint", "-sha256"))
		text := ask(all[name], "x509", "-noout", "-text")
		for _, ext := range []string{"ext.subjectAltName", "ext.basicConstraints", "ext.authorityKeyId", "ext.subjectKeyId"} {
			if v := value(ext); v != "" && !strings.Contains(v, "fd00::1") { // openssl writes FD00:0:0:0:0:0:0:1
				require.Contains(t, text, v)
			}
		}
	}
	require.Contains(t, ask(all["csr-with-extensions"], "req", "-noout", "-verify", "-subject"), "subject=O = system:nodes, CN = system:node:n")
	for _, name := range []string{"ec-key", "rsa-key", "ed25519-key"} {
		ask(all[name], "pkey", "-noout")
	}
}

func FuzzExplain(f *testing.F) {
	for _, data := range papers(f) {
		b, _ := pem.Decode(data)
		f.Add(b.Type, b.Bytes)
	}
	f.Fuzz(func(t *testing.T, kind string, der []byte) {
		if strings.ContainsAny(kind, "\n:-") {
			return
		}
		sheets, _ := pki.Explain(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
		for _, s := range sheets {
			for _, f := range s.Fields {
				_ = s.DER[f.Offset : f.Offset+f.Len]
			}
		}
	})
}
