package engine_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
)

// line is the line of a Trust that begins so.
func trustLine(t *testing.T, w *city, begins string) string {
	t.Helper()
	got, err := w.Trust("")
	require.NoError(t, err)
	for l := range strings.Lines(got.String()) {
		if strings.HasPrefix(l, begins) {
			return strings.TrimSuffix(l, "\n")
		}
	}
	t.Fatalf("no line %q in\n%s", begins, got)
	return ""
}

// Two CAs of one name are told apart, what a process has in memory from what its file
// has by now, and what is refused is told in the words in which it is refused.
func TestTrustTellsMemoryFromFiles(t *testing.T) {
	w := newCity(t, "trust")
	old := w.cluster()
	other, err := pki.NewAuthority(pki.Keyring{Seed: "new"}, "new", "kubernetes", w.Now(), w.Now().AddDate(10, 0, 0))
	require.NoError(t, err)
	require.Contains(t, trustLine(t, w, "bundle: control-1/kube-apiserver client-ca"), " A reads=0s file=/etc/kubernetes/pki/ca.crt")
	require.Contains(t, trustLine(t, w, "shows: control-1/kube-controller-manager signing"), " by=A ")
	now, err := w.Trust("")
	require.NoError(t, err)
	require.Empty(t, now.Broken)
	require.Contains(t, now.String(), "without A: client admin:/etc/kubernetes/admin.conf at control-1/kube-apiserver: tls: failed to verify certificate: x509: certificate signed by unknown authority heals=no\n")

	// The API server takes a bundle up at once; what the controller-manager publishes
	// it read when it began.
	w.put("/etc/kubernetes/pki/ca.crt", string(old.CertPEM())+string(other.CertPEM()))
	w.pass(time.Second)
	now, err = w.Trust("")
	require.NoError(t, err)
	require.Len(t, now.CAs, 3, "the front proxy's too")
	require.Equal(t, []string{"CN=kubernetes", "CN=kubernetes"}, []string{now.CAs[0].Subject, now.CAs[2].Subject})
	require.NotEqual(t, now.CAs[0].KeyID, now.CAs[2].KeyID)
	require.NotEqual(t, now.CAs[0].Print, now.CAs[2].Print)
	require.Contains(t, trustLine(t, w, "bundle: control-1/kube-apiserver client-ca"), " A+C reads=0s")
	require.Contains(t, trustLine(t, w, "bundle: control-1/kube-controller-manager root-ca"), " A file-has=A+C reads=start")

	// What is refused: kubectl says what was foretold.
	cert, key := w.leaf(other, "kube-apiserver", 365*24*time.Hour, true)
	w.put("/etc/kubernetes/pki/apiserver.crt", cert)
	w.put("/etc/kubernetes/pki/apiserver.key", key)
	broken := func(client string) engine.Break {
		w.pass(time.Second)
		now, err = w.Trust("")
		require.NoError(t, err)
		for _, b := range now.Broken {
			if b.Client == client {
				return b
			}
		}
		t.Fatalf("%s is not refused:\n%s", client, now)
		return engine.Break{}
	}
	b := broken("admin:/etc/kubernetes/admin.conf")
	require.Equal(t, "Unable to connect to the server: "+b.Words+"\n", w.say("admin", "kubectl get nodes"))
	require.Equal(t, []string{"client", ""}, []string{b.Kind, b.Heals})

	// And the other way round: a client of the new CA, of an API server that has not
	// heard of it.
	cert, key = w.leaf(other, "kubernetes-admin", time.Hour, false)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	w.put("/root/new.conf", `apiVersion: v1
kind: Config
clusters:
- {name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority-data: `+b64(string(other.CertPEM()))+`}}
contexts:
- {name: c, context: {cluster: k, user: u}}
current-context: c
users:
- {name: u, user: {client-certificate-data: `+b64(cert)+`, client-key-data: `+b64(key)+`}}
`)
	require.NotContains(t, now.String(), "/root/new.conf")
	w.put("/etc/kubernetes/pki/ca.crt", string(old.CertPEM()))
	b = broken("control-1:/root/new.conf")
	require.Equal(t, []string{"server", "Unauthorized"}, []string{b.Kind, b.Words})
	require.Equal(t, "error: You must be logged in to the server ("+b.Words+")\n", w.say("control-1", "kubectl --kubeconfig=/root/new.conf get nodes"))
	require.True(t, strings.Contains(w.journal("kube-apiserver"), strings.ReplaceAll(b.Log, `"`, `\"`)), b.Log)

	// A question about another CA, and about none that there is.
	front, err := w.Trust("B")
	require.NoError(t, err)
	for _, b := range front.Breaks {
		require.True(t, b.Already, "there is no aggregated server: %s", b)
	}
	byKey, err := w.Trust(strings.ToLower(front.CAs[1].KeyID[:11]))
	require.NoError(t, err)
	require.Equal(t, "B", byKey.Old)
	_, err = w.Trust("Z")
	require.ErrorContains(t, err, `nobody trusts a CA "Z"`)
}

// How soon a bundle of clients and a signing pair are taken up is a matter of the
// release: not before a new start up to 1.16 and 1.17, within a minute from 1.17 and
// 1.18, at once from 1.23 (kubernetes-tls.md 6.1).
func TestReloadByRelease(t *testing.T) {
	for _, c := range []struct{ release, bundle, signing, bundleAfter, signingAfter string }{
		{"1.16", "start", "start", "never", "never"},
		{"1.17", "1m0s", "start", "minute", "never"},
		{"1.18", "1m0s", "1m0s", "minute", "minute"},
		{"1.22", "1m0s", "1m0s", "minute", "minute"},
		{"1.23", "0s", "0s", "once", "once"},
		{"1.36", "0s", "0s", "once", "once"},
	} {
		t.Run(c.release, func(t *testing.T) {
			w := &city{t, newWorld(t, engine.Config{Seed: "reload", Release: c.release})}
			other, err := pki.NewAuthority(pki.Keyring{Seed: "new"}, "new", "kubernetes", w.Now(), w.Now().AddDate(10, 0, 0))
			require.NoError(t, err)
			w.say("control-1", "cp /etc/kubernetes/pki/ca.crt /root/ca.crt; cp /etc/kubernetes/pki/ca.key /root/ca.key")
			for unit, flags := range map[string]map[string]string{"kube-apiserver": {"client-ca-file": "/root/bundle.crt"}, "kube-controller-manager": {"cluster-signing-cert-file": "/root/ca.crt", "cluster-signing-key-file": "/root/ca.key"}} {
				w.put("/root/bundle.crt", string(w.cluster().CertPEM()))
				for name, value := range flags {
					require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: unit, Name: name, Value: value}}))
				}
			}
			w.pass(90 * time.Second)
			bundle := func() string { return trustLine(t, w, "bundle: control-1/kube-apiserver client-ca") }
			signing := func() string { return trustLine(t, w, "shows: control-1/kube-controller-manager signing") }
			require.Contains(t, bundle(), "reads="+c.bundle)
			require.Contains(t, signing(), "reads="+c.signing)
			w.put("/root/bundle.crt", string(w.cluster().CertPEM())+string(other.CertPEM()))
			w.put("/root/ca.crt", string(other.CertPEM()))
			w.put("/root/ca.key", string(pki.KeyPEM(other.Key)))
			after := func(has func() string, want string) string {
				if l := has(); strings.Contains(l, want) && !strings.Contains(l, "file-has") {
					return "once"
				}
				return ""
			}
			w.pass(time.Second)
			first := []string{after(bundle, " A+"), after(signing, " by=C reads")}
			w.pass(time.Minute)
			for i, has := range []string{after(bundle, " A+"), after(signing, " by=C reads")} {
				switch {
				case first[i] != "":
				case has != "":
					first[i] = "minute"
				default:
					first[i] = "never"
				}
			}
			require.Equal(t, []string{c.bundleAfter, c.signingAfter}, first)
			w.say("control-1", "systemctl restart kube-apiserver kube-controller-manager")
			w.pass(time.Minute)
			require.Contains(t, bundle(), " A+C reads")
			require.Contains(t, signing(), " by=C reads")
		})
	}
}
