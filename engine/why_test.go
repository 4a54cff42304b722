package engine_test

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
)

func TestWhyOfWhatIsNotThere(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "why"})
	for object, want := range map[string]string{
		"moon":                    `"moon" can't be explained; there are csr/NAME, node/NAME`,
		"csr/x":                   `there is no certificate signing request "x"`,
		"node/node-9":             `there is no host "node-9"`,
		"unit/node-1/nginx":       "Unit nginx.service not found.",
		"unit/moon/kubelet":       `there is no host "moon"`,
		"cert/node-1/etc/x":       "open /etc/x: no such file or directory",
		"cert/admin/etc/hostname": "/etc/hostname holds no certificate",
		"cert/moon/x":             `there is no host "moon"`,
	} {
		_, err := w.Why(object)
		require.ErrorContains(t, err, want, object)
	}
}

// TestWhyOfAKubeconfig: the certificate is its user's, in it or in a file.
func TestWhyOfAKubeconfig(t *testing.T) {
	w := joined(t, engine.Config{Seed: "kubeconfigs"})
	for object, who := range map[string]string{"cert/admin/etc/kubernetes/admin.conf": "CN=kubernetes-admin,O=system:masters", "cert/node-1/etc/kubernetes/kubelet.conf": "CN=system:node:node-1,O=system:nodes"} {
		e, err := w.Why(object)
		require.NoError(t, err)
		require.Equal(t, "cert-valid", e.State.Kind)
		require.Equal(t, who, e.State.Args["subject"])
	}
	_, err := w.Why("cert/node-1/etc/kubernetes/bootstrap-kubelet.conf")
	require.ErrorContains(t, err, "holds no certificate")
}

// TestAnExplanationIsPlainData: it is the same after a journey as JSON, in a
// clone and from a snapshot, and asking changes nothing.
func TestAnExplanationIsPlainData(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "why"})
	said(t, w, "node-1", "systemctl start kubelet")
	after(w, 10*time.Second)
	before := w.DigestNow()
	e, err := w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "refused", e.State.Kind)
	require.Equal(t, before, w.DigestNow())
	byAddress, err := w.Why("node/10.0.0.11")
	require.NoError(t, err)
	require.Equal(t, e.State, byAddress.State)
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var back engine.Explanation
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e, back)
	s, err := w.Snapshot()
	require.NoError(t, err)
	r, err := engine.Restore(s)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	for _, o := range []*engine.World{w.Clone(), r} {
		again, err := o.Why("node/node-1")
		require.NoError(t, err)
		require.Equal(t, e, again)
	}
	// What was wrong is forgotten when it goes well.
	said(t, w, "admin", bindBootstrap)
	after(w, time.Minute)
	e, err = w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "kubelet-pending", e.State.Kind)
}

// kinds are those of reasons, in their order.
func kinds(list []engine.Reason) (out []string) {
	for _, r := range list {
		out = append(out, r.Kind)
	}
	return out
}

// TestWhyOfAnAPIService: an API that another server answers for fails in many
// places, and each says what it lacks.
func TestWhyOfAnAPIService(t *testing.T) {
	w := newCity(t, "why apiservice")
	w.say("admin", bindBootstrap+"; "+bindApproval)
	w.say("node-1", "systemctl start kubelet")
	w.pass(10 * time.Second)
	const name = "v1beta1.metrics.k8s.io"
	why := func() engine.Explanation {
		e, err := w.Why("apiservice/" + name)
		require.NoError(t, err)
		return e
	}
	require.Equal(t, "apiservice-missing", why().State.Kind)
	require.Equal(t, []string{"apiservice"}, kinds(why().Needs))

	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/metrics-server.yaml; kubectl delete service metrics-server -n kube-system; kubectl top nodes")
	w.pass(time.Second)
	require.Equal(t, "ServiceNotFound", why().State.Args["reason"])
	require.Equal(t, []string{"service"}, kinds(why().Needs))

	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/metrics-server.yaml; kubectl top nodes")
	w.pass(time.Minute)
	require.Equal(t, "MissingEndpoints", why().State.Args["reason"])
	require.Equal(t, []string{"unit"}, kinds(why().Needs))
	require.Equal(t, []string{"retry"}, kinds(why().Next))

	// It runs, and has nothing to serve.
	w.say("control-1", "systemctl start metrics-server")
	w.pass(time.Minute)
	require.Equal(t, "MissingEndpoints", why().State.Args["reason"])
	require.Equal(t, []string{"apiservice-condition", "log", "no-connection", "log"}, kinds(why().Knows))
	require.Contains(t, why().Knows[1].Args["line"], "Failed probe")
	require.Equal(t, []string{"name", "serving"}, kinds(why().Needs))
	w.insecure()
	w.pass(time.Minute)
	require.Equal(t, "apiservice-available", why().State.Kind)
	require.Empty(t, why().Needs)

	// Who may not see it is told what would let them.
	cert, key := w.leaf(w.cluster(), "alice", time.Hour, false)
	w.put("/root/alice.crt", cert)
	w.put("/root/alice.key", key)
	w.put("/root/alice.conf", `apiVersion: v1
kind: Config
clusters: [{name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority: /etc/kubernetes/pki/ca.crt}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
users: [{name: u, user: {client-certificate: /root/alice.crt, client-key: /root/alice.key}}]
`)
	require.Contains(t, w.say("control-1", "kubectl --kubeconfig=/root/alice.conf top nodes"), `User "alice" cannot list resource "nodes" in API group "metrics.k8s.io"`)
	require.Equal(t, []string{"answered", "log-hidden"}, kinds(why().Knows))
	require.Equal(t, "alice", why().Knows[0].Args["as"])
	require.Equal(t, []string{"binding"}, kinds(why().Needs))
	w.say("control-1", "kubectl top nodes")
	require.Empty(t, why().Knows)

	// Its own certificate is for localhost: whom it has to be for is in its Service.
	bundle := base64.StdEncoding.EncodeToString(w.cluster().CertPEM())
	w.say("admin", "kubectl delete apiservice "+name+"; kubectl create -f - <<'EOF'\napiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: "+name+"}\nspec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, service: {name: metrics-server, namespace: kube-system}, caBundle: "+bundle+"}\nEOF")
	w.pass(time.Second)
	require.Equal(t, "apiservice-unavailable", why().State.Kind)
	require.Equal(t, []string{"name"}, kinds(why().Needs))
	require.Equal(t, "metrics-server.kube-system.svc", why().Needs[0].Args["name"])

	// With the right names, it has to be from a CA that is in the bundle.
	other := w.authority("other")
	k := pki.Keyring{Seed: "leaf"}.ECDSA("metrics")
	own, err := other.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "m"}, DNS: []string{"metrics-server.kube-system.svc"}, Server: true, NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().Add(time.Hour), Serial: []byte{1}}, k.Public())
	require.NoError(t, err)
	w.put("/etc/kubernetes/metrics/tls.crt", string(own))
	w.put("/etc/kubernetes/metrics/tls.key", string(pki.KeyPEM(k)))
	for flag, file := range map[string]string{"tls-cert-file": "tls.crt", "tls-private-key-file": "tls.key"} {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "metrics-server", Name: flag, Value: "/etc/kubernetes/metrics/" + file}}))
	}
	w.pass(2 * time.Minute)
	require.Contains(t, why().State.Args["message"], "unknown authority")
	require.Equal(t, []string{"ca-bundle"}, kinds(why().Needs))
	w.say("control-1", "systemctl stop kube-apiserver")
	require.Equal(t, "apiservice-unknown", why().State.Kind)
}

// TestWhyForgetsWhatWouldGoWell: a caller that was refused and has not tried since
// is no reason any more, once it would be let in.
func TestWhyForgetsWhatWouldGoWell(t *testing.T) {
	w := joinedWith(t, "would go well", true)
	w.say("control-1", "systemctl stop metrics-server")
	node := func() engine.Explanation {
		e, err := w.Why("node/node-1")
		require.NoError(t, err)
		return e
	}
	const ask = "kubectl get --raw /api/v1/nodes/node-1/proxy/healthz"
	require.Contains(t, w.say("admin", ask), "tls: internal error")
	require.Contains(t, kinds(node().Knows), "no-connection")
	w.say("admin", "kubectl certificate approve $(kubectl get csr -o name)")
	w.pass(time.Minute)
	require.NotContains(t, kinds(node().Knows), "no-connection")

	cert, key := w.leaf(w.cluster(), "kubernetes", time.Hour, false)
	w.put("/etc/kubernetes/pki/k.crt", cert)
	w.put("/etc/kubernetes/pki/k.key", key)
	for flag, file := range map[string]string{"kubelet-client-certificate": "k.crt", "kubelet-client-key": "k.key"} {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-apiserver", Name: flag, Value: "/etc/kubernetes/pki/" + file}}))
	}
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", ask), "Forbidden (user=kubernetes")
	require.Contains(t, kinds(node().Needs), "binding")
	w.say("admin", "kubectl create clusterrolebinding k --clusterrole=system:kubelet-api-admin --user=kubernetes")
	require.NotContains(t, kinds(node().Knows), "answered")
	require.NotContains(t, kinds(node().Needs), "binding")

	// A certificate of a CA that the kubelet does not know.
	cert, key = w.leaf(w.authority("other"), "kubernetes", time.Hour, false)
	w.put("/etc/kubernetes/pki/k.crt", cert)
	w.put("/etc/kubernetes/pki/k.key", key)
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", ask), "the server has asked for the client to provide credentials")
	require.Contains(t, kinds(node().Needs), "kubelet-client-ca")
}

// TestWhyASignerSignsNothing: of flags for all signers and for single ones the one
// is named that this manager can be started with; and whose log it was stays known
// when nobody is there any more.
func TestWhyASignerSignsNothing(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "signs nothing"})
	flags := func(values ...string) {
		for i := 0; i < len(values); i += 2 {
			require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: values[i], Value: values[i+1]}}))
		}
		after(w, 2*time.Second)
	}
	said(t, w, "admin", bindBootstrap)
	said(t, w, "admin", bindApproval)
	name, seen := "", map[string]bool{}
	why := func() engine.Explanation { // of the newest request
		for _, n := range strings.Fields(said(t, w, "admin", "kubectl get csr -o name")) {
			if _, n, _ = strings.Cut(n, "/"); !seen[n] {
				name = n
			}
			seen[n] = true
		}
		e, err := w.Why("csr/" + name)
		require.NoError(t, err)
		return e
	}
	const ca = "/etc/kubernetes/pki/ca"
	flags("cluster-signing-key-file", "")
	said(t, w, "node-1", "systemctl start kubelet")
	after(w, 10*time.Second)
	require.Equal(t, []string{"flag"}, kinds(why().Needs), "csrsigning is not left out by --controllers")
	require.Equal(t, "--cluster-signing-key-file", why().Needs[0].Args["flag"])

	flags("cluster-signing-cert-file", "", "cluster-signing-kubelet-serving-cert-file", ca+".crt", "cluster-signing-kubelet-serving-key-file", ca+".key")
	require.Equal(t, "--cluster-signing-kubelet-client-cert-file", why().Needs[0].Args["flag"])
	flags("cluster-signing-kubelet-client-cert-file", ca+".crt", "cluster-signing-kubelet-client-key-file", ca+".key")
	require.Equal(t, "csr-issued", why().State.Kind)

	// A file with two certificates, and then no manager.
	said(t, w, "control-1", "cat "+ca+".crt /etc/kubernetes/pki/front-proxy-ca.crt > /tmp/two; cat /tmp/two > "+ca+".crt")
	said(t, w, "node-1", "systemctl stop kubelet; rm /etc/kubernetes/kubelet.conf /var/lib/kubelet/pki/kubelet-client-current.pem; systemctl start kubelet")
	after(w, 10*time.Second)
	require.Equal(t, []string{"file"}, kinds(why().Needs))
	for text, want := range map[string]string{"x": "data does not contain any valid RSA or ECDSA certificates", "": "missing content"} {
		v := w.Clone()
		said(t, v, "node-1", "printf '"+text+"' > "+ca+".crt; systemctl restart kubelet")
		e, err := v.Why("unit/node-1/kubelet")
		require.NoError(t, err)
		require.Equal(t, ca+".crt", e.Needs[0].Args["path"])
		require.Equal(t, want, e.Needs[0].Args["error"])
	}
	said(t, w, "control-1", "systemctl stop kube-controller-manager")
	require.Equal(t, []string{"unit"}, kinds(why().Needs))
	require.Equal(t, "control-1/kube-controller-manager", why().Knows[0].Args["unit"])
}
