package engine_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// TestSigningFilesByRelease: what a manager says of signing files that it can't use when
// it starts, and whether it goes on.
func TestSigningFilesByRelease(t *testing.T) {
	two := func(t *testing.T, o *old) {
		other, err := pki.NewAuthority(pki.Keyring{Seed: "other"}, "other", "kubernetes", o.w.Now().Add(-time.Hour), o.w.Now().AddDate(1, 0, 0))
		require.NoError(t, err)
		crt, err := o.w.Disk("control-1").ReadFile("/etc/kubernetes/pki/ca.crt")
		require.NoError(t, err)
		o.file(t, "ca.crt", append(crt, other.CertPEM()...))
	}
	gone := func(t *testing.T, o *old) { o.flag(t, "cluster-signing-cert-file=/nosuch") }
	garbage := func(t *testing.T, o *old) {
		o.file(t, "ca.key", []byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"))
	}
	const crt, key = `"/etc/kubernetes/pki/ca.crt"`, `"/etc/kubernetes/pki/ca.key"`
	for _, x := range []struct {
		release string
		spoil   func(*testing.T, *old)
		runs    bool
		words   string
	}{
		{"1.8", gone, true, "E0 Failed to start certificate controller: error reading CA cert file \"/nosuch\": open /nosuch: no such file or directory"},
		{"1.9", gone, false, "F0 error starting controllers: failed to start certificate controller: error reading CA cert file \"/nosuch\": open /nosuch: no such file or directory"},
		{"1.16", two, false, "F0 error starting controllers: failed to start certificate controller: error parsing CA cert file " + crt + `: {"code":1003,"message":"the PEM file should contain only one object"}`},
		{"1.15", garbage, false, `F0 error starting controllers: failed to start certificate controller: Malformed private key {"code":2003,"message":"Failed to parse private key"}`},
		{"1.16", garbage, false, `F0 error starting controllers: failed to start certificate controller: malformed private key {"code":2003,"message":"Failed to parse private key"}`},
		{"1.17", two, false, "F0 error starting controllers: failed to start certificate controller: error reading CA cert file " + crt + ": expected 1 certificate, found 2"},
		{"1.17", garbage, false, "F0 error starting controllers: failed to start certificate controller: error reading CA key file " + key + ": data does not contain a valid RSA or ECDSA private key"},
		{"1.18", two, false, `F0 error starting controllers: failed to start certificate controller: error reading CA cert file "csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key": expected 1 certificate, found 2`},
		{"1.19", two, false, `F0 error starting controllers: failed to start kubernetes.io/kubelet-serving certificate controller: error reading CA cert file "csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key": expected 1 certificate, found 2`},
		{"1.27", two, false, `E0 "Error starting controllers" err="failed to start kubernetes.io/kubelet-serving certificate controller: error reading CA cert file \"csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key\": expected 1 certificate, found 2"`},
		{"1.35", two, false, `E0 "Error building controllers" err="failed to init kubernetes.io/kubelet-serving certificate controller: error reading CA cert file \"csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key\": expected 1 certificate, found 2"`},
	} {
		t.Run(x.release, func(t *testing.T) {
			o := newOld(t, x.release)
			x.spoil(t, o)
			from := len(o.obs)
			o.say(t, "control-1", "systemctl restart kube-controller-manager")
			o.pass(5 * time.Second)
			said := false
			for _, line := range o.kcmLog(from) {
				_, text, _ := strings.Cut(line, "] ")
				said = said || line[:1]+"0 "+text == x.words
			}
			require.True(t, said, "%s\n%s", x.words, strings.Join(o.kcmLog(from), "\n"))
			o.say(t, "control-1", "systemctl is-active kube-controller-manager")
			why, err := o.w.Why("unit/control-1/kube-controller-manager")
			require.NoError(t, err)
			if !x.runs {
				require.NotEmpty(t, why.Needs)
				require.NotEmpty(t, why.Knows)
			}
		})
	}
}

// TestSigningFilesReadAgain: a pair that is replaced is used by itself from 1.18 on,
// within a minute, and before when the manager starts again; a pair that is none was
// signed with all the same.
func TestSigningFilesReadAgain(t *testing.T) {
	for release, after := range map[string]time.Duration{"1.17": 0, "1.18": time.Minute, "1.22": time.Minute, "1.23": 2 * time.Second} {
		t.Run(release, func(t *testing.T) {
			o := newOld(t, release)
			o.apart(t)
			o.authority(t, "next", "another", o.w.Now().Add(-time.Hour), o.w.Now().AddDate(10, 0, 0))
			o.say(t, "control-1", "cd /etc/kubernetes/pki; cp next.crt ca.crt; cp next.key ca.key")
			issuer := func(name string) string {
				o.ask(t, adminName, name, clientCSR)
				o.approveIt(t, name)
				o.pass(2 * time.Second)
				return o.cert(t, name).Issuer.CommonName
			}
			if after != 2*time.Second {
				require.Equal(t, "kubernetes", issuer("at-once"))
			}
			o.pass(max(after, time.Second))
			want := "another"
			if after == 0 {
				want = "kubernetes"
			}
			require.Equal(t, want, issuer("later"))
			o.say(t, "control-1", "systemctl restart kube-controller-manager")
			o.pass(5 * time.Second)
			require.Equal(t, "another", issuer("restarted"))
		})
	}
	o := newOld(t, "1.16")
	o.apart(t)
	other, err := pki.NewAuthority(pki.Keyring{Seed: "other"}, "other", "kubernetes", o.w.Now().Add(-time.Hour), o.w.Now().AddDate(1, 0, 0))
	require.NoError(t, err)
	o.file(t, "ca.key", pki.KeyPEM(other.Key))
	o.say(t, "control-1", "systemctl restart kube-controller-manager")
	o.pass(5 * time.Second)
	o.ask(t, adminName, "c", clientCSR)
	o.approveIt(t, "c")
	o.pass(2 * time.Second)
	crt, err := o.w.Disk("control-1").ReadFile("/etc/kubernetes/pki/ca.crt")
	require.NoError(t, err)
	ca, err := pki.ParseCerts(crt)
	require.NoError(t, err)
	require.Error(t, o.cert(t, "c").CheckSignatureFrom(ca[0]), "signed with a key that is not the CA's")
	require.NoError(t, o.cert(t, "c").CheckSignatureFrom(other.Cert))
	require.True(t, era.SigningCFSSL.In(o.e))
}

// TestEncryptedSigningKey: cfssl reads a key with the password of a variable.
func TestEncryptedSigningKey(t *testing.T) {
	const unit = "/etc/systemd/system/kube-controller-manager.service"
	o := newOld(t, "1.11")
	o.apart(t)
	disk := o.w.Disk("control-1")
	plain, err := disk.ReadFile("/etc/kubernetes/pki/ca.key")
	require.NoError(t, err)
	o.file(t, "ca.key", encrypted(t, plain, "secret"))
	from := len(o.obs)
	o.say(t, "control-1", "systemctl restart kube-controller-manager")
	o.pass(5 * time.Second)
	require.Contains(t, strings.Join(o.kcmLog(from), "\n"), `Malformed private key {"code":2100,"message":"Private key is encrypted."}`)
	text, err := disk.ReadFile(unit)
	require.NoError(t, err)
	require.NoError(t, disk.WriteFile(unit, []byte(strings.Replace(string(text), "[Service]\n", "[Service]\nEnvironment=CFSSL_CA_PK_PASSWORD=secret\n", 1)), 0o644, o.w.Now()))
	o.say(t, "control-1", "systemctl daemon-reload; systemctl restart kube-controller-manager")
	o.pass(5 * time.Second)
	o.ask(t, adminName, "c", clientCSR)
	o.approveIt(t, "c")
	o.pass(2 * time.Second)
	require.Equal(t, "Approved,Issued", o.state(t, "c"))
}

func encrypted(t *testing.T, key []byte, password string) []byte {
	t.Helper()
	b, _ := pem.Decode(key)
	//nolint:staticcheck // what these releases read
	out, err := x509.EncryptPEMBlock(rand.Reader, b.Type, b.Bytes, []byte(password), x509.PEMCipherAES256)
	require.NoError(t, err)
	return pem.EncodeToMemory(out)
}
