package engine_test

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// city is a world with a memory of what was printed.
type city struct {
	t *testing.T
	*engine.World
}

func newCity(t *testing.T, seed string) *city {
	return &city{t, newWorld(t, engine.Config{Seed: seed})}
}

// say types a line and returns what was printed.
func (w *city) say(host, line string) string {
	w.t.Helper()
	obs, err := w.Say(host, line, time.Minute)
	require.NoError(w.t, err)
	var b strings.Builder
	for _, o := range obs {
		if o.Kind == trace.Printed {
			b.WriteString(o.Payload)
		}
	}
	return b.String()
}

func (w *city) pass(d time.Duration) { w.AdvanceTo(w.Now().Add(d)); w.Drain() }

func (w *city) journal(unit string) string { return w.say("control-1", "journalctl -u "+unit) }

// put writes a file on control-1, as a person does: those who want to know of it
// learn of it.
func (w *city) put(name, text string) {
	w.t.Helper()
	require.Empty(w.t, w.say("control-1", "mkdir -p "+path.Dir(name)+"; cat > "+name+" <<'EOF'\n"+strings.TrimSuffix(text, "\n")+"\nEOF"))
}

// authority is another CA.
func (w *city) authority(name string) *pki.Authority {
	ca, err := pki.NewAuthority(pki.Keyring{Seed: name}, name, "kubernetes", w.Now().Add(-time.Hour), w.Now().AddDate(10, 0, 0))
	require.NoError(w.t, err)
	return ca
}

// cluster is the CA that the world began with.
func (w *city) cluster() *pki.Authority {
	cert, err := w.Disk("control-1").ReadFile("/etc/kubernetes/pki/ca.crt")
	require.NoError(w.t, err)
	key, err := w.Disk("control-1").ReadFile("/etc/kubernetes/pki/ca.key")
	require.NoError(w.t, err)
	ca, err := pki.ParseAuthority(cert, key)
	require.NoError(w.t, err)
	return ca
}

// leaf is a certificate and its key.
func (w *city) leaf(ca *pki.Authority, cn string, life time.Duration, server bool) (cert, key string) {
	if server {
		return w.leafFor(ca, cn, life, "10.0.0.10", "10.96.0.1")
	}
	return w.leafFor(ca, cn, life)
}

// leafFor is a server's certificate for addresses, or a client's for none.
func (w *city) leafFor(ca *pki.Authority, cn string, life time.Duration, ips ...string) (cert, key string) {
	k := pki.Keyring{Seed: "leaf"}.ECDSA(cn + life.String())
	s := pki.LeafSpec{Subject: pkix.Name{CommonName: cn}, Server: len(ips) > 0, Client: len(ips) == 0, NotBefore: w.Now().Add(min(-time.Minute, 2*life)), NotAfter: w.Now().Add(life), Serial: []byte{9}}
	for _, ip := range ips {
		s.IPs = append(s.IPs, net.ParseIP(ip).To4())
	}
	c, err := ca.Leaf(s, k.Public())
	require.NoError(w.t, err)
	return string(c), string(pki.KeyPEM(k))
}

// roots makes these CAs what the controller-manager publishes to pods.
func (w *city) roots(cas ...*pki.Authority) {
	w.t.Helper()
	text := ""
	for _, ca := range cas {
		text += string(ca.CertPEM())
	}
	w.put("/etc/kubernetes/pki/roots.crt", text)
	require.NoError(w.t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "root-ca-file", Value: "/etc/kubernetes/pki/roots.crt"}}))
}

// A scheduler leads and then makes no steps: a year of it costs nothing.
func TestSchedulerLeadsInPeace(t *testing.T) {
	w := newCity(t, "scheduler")
	w.say("control-1", "systemctl start kube-scheduler")
	w.pass(time.Minute)
	require.Contains(t, w.journal("kube-scheduler"), `"Successfully acquired lease" lock="kube-system/kube-scheduler"`)
	require.Contains(t, w.journal("kube-scheduler"), `"Caches populated" type="*v1.Pod" reflector="k8s.io/client-go/informers/factory.go:161"`)
	before := w.View().Last
	w.pass(300 * 24 * time.Hour)
	for _, o := range w.Drain() {
		require.NotEqual(t, "control-1/kube-scheduler", o.Actor)
	}
	require.Less(t, w.View().Last-before, uint64(200))
	renewed := w.say("admin", "kubectl get lease -n kube-system kube-scheduler -o jsonpath='{.spec.renewTime}'")
	at, err := time.Parse(time.RFC3339Nano, renewed)
	require.NoError(t, err)
	require.Less(t, w.Now().Sub(at), 3*time.Second, "a reader sees the last of the folded renewals")
}

// A scheduler whose certificate expires loses its lease within the renewal's
// deadline, ends, and can't come back: the word is the API server's.
func TestSchedulerCertificateExpires(t *testing.T) {
	w := newCity(t, "scheduler expires")
	cert, key := w.leaf(w.cluster(), "system:kube-scheduler", time.Hour, false)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	w.put("/etc/kubernetes/scheduler.conf", fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- {name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority-data: %s}}
contexts:
- {name: c, context: {cluster: k, user: u}}
current-context: c
users:
- {name: u, user: {client-certificate-data: %s, client-key-data: %s}}
`, b64(string(w.cluster().CertPEM())), b64(cert), b64(key)))
	w.say("control-1", "systemctl start kube-scheduler")
	w.pass(59 * time.Minute)
	require.NotContains(t, w.journal("kube-scheduler"), "Unauthorized")
	w.pass(2 * time.Minute)
	j := w.journal("kube-scheduler")
	for _, words := range []string{
		`"Error retrieving lease lock" err="Unauthorized" lock="kube-system/kube-scheduler"`,
		`"Failed to renew lease" lock="kube-system/kube-scheduler" err="context deadline exceeded"`,
		`server.go:328] "Leaderelection lost"`,
		"kube-scheduler.service: Main process exited, code=exited, status=1/FAILURE",
	} {
		require.Contains(t, j, words)
	}
	require.Equal(t, "refused", phase(w, "kube-scheduler")["phase"])
	require.Equal(t, "Unauthorized", phase(w, "kube-scheduler")["error"])
	require.Contains(t, w.say("control-1", "journalctl -u kube-apiserver | tail -n 20"), "certificate has expired or is not yet valid")
	// A year of it costs a bounded number of tries.
	before := w.View().Last
	w.pass(365 * 24 * time.Hour)
	require.Less(t, w.View().Last-before, uint64(20000))
}

func phase(w *city, name string) map[string]string {
	for _, h := range w.View().Hosts {
		for _, u := range h.Units {
			if h.Name == "control-1" && u.Name == name {
				return u.PhaseArgs
			}
		}
	}
	return nil
}

// What stands in files is taken into use at its own time: a client certificate
// within five minutes, closing connections; a CA at the first request after that.
func TestClientFilesReload(t *testing.T) {
	w := newCity(t, "reload")
	first, firstKey := w.leaf(w.cluster(), "system:kube-proxy", 90*24*time.Hour, false)
	second, secondKey := w.leaf(w.cluster(), "system:kube-proxy", 180*24*time.Hour, false)
	w.put("/etc/kubernetes/proxy/ca.crt", string(w.cluster().CertPEM()))
	w.put("/etc/kubernetes/proxy/tls.crt", first)
	w.put("/etc/kubernetes/proxy/tls.key", firstKey)
	w.put("/etc/kubernetes/kube-proxy.conf", `apiVersion: v1
kind: Config
clusters:
- {name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority: proxy/ca.crt}}
contexts:
- {name: c, context: {cluster: k, user: u}}
current-context: c
users:
- {name: u, user: {client-certificate: proxy/tls.crt, client-key: proxy/tls.key}}
`)
	w.say("control-1", "systemctl start kube-proxy")
	w.pass(time.Minute)
	was := phase(w, "kube-proxy")
	require.Equal(t, []string{"running", "certificate", "system:kube-proxy", "5m0s"}, []string{was["phase"], was["identity"], was["user"], was["reads"]})
	w.put("/etc/kubernetes/proxy/tls.crt", second)
	w.put("/etc/kubernetes/proxy/tls.key", secondKey)
	w.pass(3 * time.Minute)
	require.NotContains(t, w.journal("kube-proxy"), "Certificate rotation detected")
	w.pass(2 * time.Minute)
	require.Contains(t, w.journal("kube-proxy"), `cert_rotation.go:92] "Certificate rotation detected, shutting down client connections to start using new credentials" logger="tls-transport-cache"`)
	w.pass(time.Minute)
	require.NotEqual(t, was["expires"], phase(w, "kube-proxy")["expires"])

	// Another CA signs the API server's certificate, while only the old one is
	// trusted; the new one in the file heals it without a restart.
	other := w.authority("other")
	cert, key := w.leaf(other, "kube-apiserver", 365*24*time.Hour, true)
	w.put("/etc/kubernetes/pki/apiserver.crt", cert)
	w.put("/etc/kubernetes/pki/apiserver.key", key)
	w.say("control-1", "systemctl restart kube-apiserver")
	w.pass(time.Minute)
	require.Contains(t, w.journal("kube-proxy"), `"Failed to watch" err="failed to list *v1.Service: Get \"https://10.0.0.10:6443/api/v1/services?limit=500&resourceVersion=0\": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
	require.Equal(t, "refused", phase(w, "kube-proxy")["phase"])
	w.put("/etc/kubernetes/proxy/ca.crt", string(w.cluster().CertPEM())+string(other.CertPEM()))
	w.pass(6 * time.Minute)
	require.Equal(t, "running", phase(w, "kube-proxy")["phase"])
	require.Len(t, strings.Split(phase(w, "kube-proxy")["trusts"], ","), 2)
}

// A pod's volume follows the ConfigMap with the cluster's CA, and the process
// does not look at it again: it must be started anew.
func TestPodKeepsAStaleBundle(t *testing.T) {
	w := newCity(t, "stale bundle")
	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/app.yaml -f /etc/kubernetes/addons/coredns.yaml; systemctl start app coredns")
	w.pass(5 * time.Minute)
	require.Equal(t, "running", phase(w, "app")["phase"])
	require.Equal(t, "start", phase(w, "app")["reads"])
	require.Equal(t, "token", phase(w, "app")["identity"])
	require.Contains(t, w.journal("coredns"), "CoreDNS-")
	const volume = "/var/lib/kubelet/pods/app/volumes/kubernetes.io~projected/kube-api-access/"
	require.Equal(t, string(w.cluster().CertPEM()), w.say("control-1", "cat "+volume+"ca.crt"))
	require.Equal(t, "default", w.say("control-1", "cat "+volume+"namespace"))

	other := w.authority("other")
	w.roots(w.cluster(), other)
	w.pass(2 * time.Minute)
	require.Contains(t, w.say("control-1", "cat "+volume+"ca.crt"), string(other.CertPEM()), "the volume has both within a sync")
	cert, key := w.leaf(other, "kube-apiserver", 365*24*time.Hour, true)
	w.put("/etc/kubernetes/pki/apiserver.crt", cert)
	w.put("/etc/kubernetes/pki/apiserver.key", key)
	w.say("control-1", "systemctl restart kube-apiserver")
	w.pass(10 * time.Minute)
	const unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
	require.Contains(t, w.journal("app"), `"Failed to watch" err="failed to list *v1.Pod: Get \"https://10.96.0.1:443/api/v1/namespaces/default/pods?limit=500&resourceVersion=0\": `+unknown)
	require.Contains(t, w.journal("coredns"), `[ERROR] plugin/kubernetes: Failed to watch: failed to list *v1.Service: Get "https://10.96.0.1:443/api/v1/services?limit=500&resourceVersion=0": `+unknown)
	require.Equal(t, "refused", phase(w, "app")["phase"])
	// kubectl, whose kubeconfig has the old CA alone, hears the same.
	require.Contains(t, w.say("admin", "kubectl get nodes"), "Unable to connect to the server: "+unknown)

	w.say("control-1", "systemctl restart app")
	w.pass(time.Minute)
	// The volume's own keeper is the admin's kubeconfig, which is stale too.
	require.Contains(t, w.journal("app"), `MountVolume.SetUp failed for volume "kube-api-access-app" : failed to fetch token: Post "https://10.0.0.10:6443/api/v1/namespaces/default/serviceaccounts/app/token": `+unknown)
	conf := w.say("control-1", "cat /etc/kubernetes/admin.conf")
	old := base64.StdEncoding.EncodeToString(w.cluster().CertPEM())
	require.Contains(t, conf, old)
	w.put("/etc/kubernetes/admin.conf", strings.ReplaceAll(conf, old, base64.StdEncoding.EncodeToString([]byte(string(w.cluster().CertPEM())+string(other.CertPEM())))))
	w.pass(5 * time.Minute)
	require.Equal(t, "running", phase(w, "app")["phase"])
}

// The token in a pod's volume lives an hour and is always a good one.
func TestPodTokenIsRenewed(t *testing.T) {
	w := newCity(t, "token")
	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/app.yaml; systemctl start app")
	w.pass(5 * time.Minute)
	const token = "cat /var/lib/kubelet/pods/app/volumes/kubernetes.io~projected/kube-api-access/token"
	first := w.say("control-1", token)
	require.Len(t, strings.Split(first, "."), 3)
	w.pass(30 * 24 * time.Hour)
	require.Equal(t, first, w.say("control-1", token), "nobody used it")
	// Its watch is gone with the server, so it asks again.
	w.say("control-1", "systemctl restart kube-apiserver")
	w.pass(5 * time.Minute)
	require.NotEqual(t, first, w.say("control-1", token))
	require.Equal(t, "running", phase(w, "app")["phase"])
	require.NotContains(t, w.journal("app"), "Unauthorized")
	// Without its ServiceAccount there is none to be had.
	w.say("admin", "kubectl delete serviceaccount app")
	w.pass(2 * time.Hour)
	w.say("control-1", "systemctl restart kube-apiserver")
	w.pass(5 * time.Minute)
	require.Contains(t, w.journal("app"), `"Couldn't update token" err="serviceaccounts \"app\" not found"`)
	require.Contains(t, w.journal("app"), `failed to list *v1.Pod: Unauthorized`)
}

// What a client is started with that it can't use is told in its own words.
func TestClientsRefuse(t *testing.T) {
	for unit, c := range map[string]struct{ do, words string }{
		"kube-scheduler": {"sed", `Error: unknown flag: --no-such`},
		"coredns":        {"sed", "flag provided but not defined: -no-such"},
		"metrics-server": {"sed", "unknown flag: --no-such"},
	} {
		w := newCity(t, "refuse "+unit)
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: unit, Name: "no-such", Value: "x"}}))
		w.say("control-1", "systemctl start "+unit)
		require.Contains(t, w.journal(unit), c.words)
	}
	w := newCity(t, "refuse files")
	w.say("control-1", "rm /etc/kubernetes/scheduler.conf /etc/kubernetes/admin.conf; systemctl start kube-scheduler coredns")
	require.Contains(t, w.journal("kube-scheduler"), `"command failed" err="stat /etc/kubernetes/scheduler.conf: no such file or directory"`)
	require.Contains(t, w.journal("coredns"), `MountVolume.SetUp failed for volume "kube-api-access-coredns" : stat /etc/kubernetes/admin.conf: no such file or directory`)
	v := newCity(t, "refuse Corefile")
	v.say("control-1", "kubectl create -f /etc/kubernetes/addons/coredns.yaml; rm /etc/coredns/Corefile; systemctl start coredns")
	v.pass(5 * time.Second)
	require.Contains(t, v.journal("coredns"), "loading Caddyfile via flag: open /etc/coredns/Corefile: no such file or directory")
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "metrics-server", Name: "kubelet-insecure-tls", Value: "true"}}))
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "metrics-server", Name: "kubelet-certificate-authority", Value: "/etc/kubernetes/pki/ca.crt"}}))
	w.say("control-1", "systemctl start metrics-server")
	require.Contains(t, w.journal("metrics-server"), "cannot use both --kubelet-certificate-authority and --kubelet-insecure-tls")
}

// Of three schedulers one leads; when it goes, another one takes over once its
// Lease has run out.
func TestThreeSchedulers(t *testing.T) {
	w := &city{t, newWorld(t, engine.Config{Seed: "three schedulers", ControlPlanes: 3})}
	for _, host := range []string{"control-1", "control-2", "control-3"} {
		w.say(host, "systemctl start kube-scheduler")
	}
	w.pass(5 * time.Minute)
	holder := func() string {
		h, _, _ := strings.Cut(w.say("admin", "kubectl get lease -n kube-system kube-scheduler -o jsonpath='{.spec.holderIdentity}'"), "_")
		return h
	}
	first := holder()
	require.Equal(t, "control-1", first)
	before := w.View().Last
	w.pass(100 * 24 * time.Hour)
	require.Less(t, w.View().Last-before, uint64(500), "who waits is told by a watch")
	require.Equal(t, first, holder())
	w.say(first, "systemctl stop kube-scheduler")
	w.pass(10 * time.Second)
	require.Equal(t, first, holder(), "the Lease is not over yet")
	w.pass(15 * time.Second)
	require.NotEqual(t, first, holder())
	require.Equal(t, "1", w.say("admin", "kubectl get lease -n kube-system kube-scheduler -o jsonpath='{.spec.leaseTransitions}'"))
}

// With all of them at work, a clone, a snapshot and other steps of time lead to
// the same world.
func TestClientsAreDeterministic(t *testing.T) {
	w := joinedWith(t, "deterministic", true)
	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/app.yaml -f /etc/kubernetes/addons/coredns.yaml; systemctl start app coredns kube-scheduler kube-proxy")
	w.pass(time.Minute)
	go1 := func(w *engine.World, steps int) string {
		tell := func(line string) {
			_, err := w.Say("control-1", line, time.Minute)
			require.NoError(t, err)
		}
		wait := func(d time.Duration) {
			end := w.Now().Add(d)
			for range steps {
				w.AdvanceTo(w.Now().Add(d / time.Duration(steps)))
			}
			w.AdvanceTo(end)
		}
		tell("kubectl certificate approve $(kubectl get csr -o name)")
		wait(90 * time.Second)
		tell("kubectl top nodes; systemctl restart kube-apiserver")
		wait(3 * time.Hour)
		tell("date -s '+20 minutes'; systemctl stop metrics-server; kubectl top nodes")
		wait(40 * 24 * time.Hour)
		tell("kubectl get apiservices; kubectl get lease -A")
		return w.DigestNow().String()
	}
	cloned := w.Clone()
	t.Cleanup(cloned.Close)
	b, err := w.Snapshot()
	require.NoError(t, err)
	restored, err := engine.Restore(b)
	require.NoError(t, err)
	t.Cleanup(restored.Close)
	want := go1(w.World, 1)
	require.Equal(t, want, go1(cloned, 7), "a clone, in other steps")
	require.Equal(t, want, go1(restored, 3), "a snapshot, in other steps")
	replayed, err := engine.Replay(w.Journal(), time.Time{})
	require.NoError(t, err)
	t.Cleanup(replayed.Close)
	require.Equal(t, want, replayed.DigestNow().String(), "its journal")
}
