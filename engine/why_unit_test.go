package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// want asks why, and compares the State's kind and the Needs, as a transcript has
// them.
func want(t *testing.T, w *engine.World, object, state string, needs ...string) engine.Explanation {
	t.Helper()
	e, err := w.Why(object)
	require.NoError(t, err)
	require.Equal(t, state, e.State.Kind, e.String())
	var has []string
	for _, r := range e.Needs {
		has = append(has, r.String())
	}
	require.Equal(t, needs, has, e.String())
	return e
}

// TestWhyAUnitEnded: of flags and files that a program refuses, what it asks for.
func TestWhyAUnitEnded(t *testing.T) {
	const manager, server, kubelet = "control-1/kube-controller-manager", "control-1/kube-apiserver", "node-1/kubelet"
	for _, x := range []struct{ unit, flags, need string }{
		{manager, "controllers=*,moon", `unknown-controller name="moon" unit="` + manager + `"`},
		{manager, "cluster-signing-duration=1year", `flag-value error="time: unknown unit \"year\" in duration \"1year\"" flag="--cluster-signing-duration" unit="` + manager + `" value="1year"`},
		{manager, "v=x", `flag-value error="strconv.ParseInt: parsing \"x\": invalid syntax" flag="--v" unit="` + manager + `" value="x"`},
		{manager, "cluster-signing-legacy-unknown-key-file=/x", `exclusive-flags one="--cluster-signing-{cert,key}-file" other="--cluster-signing-*-file" unit="` + manager + `"`},
		{manager, "cluster-signing-cert-file= cluster-signing-key-file= cluster-signing-legacy-unknown-key-file=/x", `half-pair lacks="cluster-signing-legacy-unknown-cert-file" unit="` + manager + `"`},
		{manager, "feature-gates=Moon=true", `as-said path="/etc/systemd/system/kube-controller-manager.service" said="unrecognized feature gate: Moon" unit="` + manager + `"`},
		{manager, "leader-elect=true leader-elect-lease-duration=1s", `as-said path="/etc/systemd/system/kube-controller-manager.service" said="panic: leaseDuration must be greater than renewDeadline" unit="` + manager + `"`},
		{server, "tls-cert-file=", `half-pair lacks="tls-cert-file" unit="` + server + `"`},
		{server, "moon=1", `unknown-flag flag="--moon" release="1.36" unit="` + server + `"`},
		{kubelet, "tls-cert-file=/x", `file error="no such file or directory" host="node-1" path="/x"`},
		{kubelet, "tls-private-key-file=/x", `half-pair lacks="tls-cert-file" unit="` + kubelet + `"`},
	} {
		t.Run(x.unit+" "+x.flags, func(t *testing.T) {
			w := newWorld(t, engine.Config{Seed: "ended"})
			host, unit, _ := strings.Cut(x.unit, "/")
			for _, f := range strings.Fields(x.flags) {
				name, value, _ := strings.Cut(f, "=")
				require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: host, Unit: unit, Name: name, Value: value}}))
			}
			said(t, w, host, "systemctl restart "+unit)
			after(w, 3*time.Second)
			e := want(t, w, "unit/"+x.unit, "restarting", x.need)
			require.Equal(t, []string{"log"}, kinds(e.Knows))
			require.Equal(t, []string{"restart"}, kinds(e.Next))
			for _, h := range w.View().Hosts {
				if h.Name == host {
					require.Equal(t, e.Needs, h.Why.Needs, "the page shows it")
				}
			}
		})
	}
}

// TestWhyASynchronousBootstrapStaysDenied: a restart asks for the same again, until
// the request or its key is gone; and -v counts as its unit file has it.
func TestWhyASynchronousBootstrapStaysDenied(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "denied"})
	said(t, w, "admin", bindBootstrap)
	said(t, w, "node-1", "grep -v rotateCert /var/lib/kubelet/config.yaml > /tmp/c; cp /tmp/c /var/lib/kubelet/config.yaml; systemctl start kubelet")
	after(w, 5*time.Second)
	said(t, w, "admin", "kubectl certificate deny $(kubectl get csr -o name)")
	const key = "/var/lib/kubelet/pki/kubelet-client.key.tmp"
	for range 3 {
		after(w, 11*time.Second)
		e, err := w.Why("node/node-1")
		require.NoError(t, err)
		require.Equal(t, []string{"same-request"}, kinds(e.Needs))
		require.Equal(t, key, e.Needs[0].Args["path"])
		require.Equal(t, []string{"cleaned", "restart"}, kinds(e.Next))
	}
	said(t, w, "node-1", "rm "+key)
	after(w, 11*time.Second)
	e, err := w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "kubelet-pending", e.State.Kind)
	require.Equal(t, "log", e.Knows[0].Kind)
	require.Equal(t, "4", e.Knows[0].Args["has"])
	said(t, w, "control-1", "systemctl stop kube-controller-manager")
	e, err = w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "4", e.Knows[0].Args["has"], "a unit that does not run would be started with its -v")
	require.Contains(t, kinds(e.Needs), "unit")
}

// TestWhyNobodyLeads: who takes over, when, and why a request waits until then.
func TestWhyNobodyLeads(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "leads", ControlPlanes: 3})
	after(w, time.Minute)
	const lock = "kube-system/kube-controller-manager"
	e := want(t, w, "unit/control-2/kube-controller-manager", "standby")
	require.Equal(t, map[string]string{"lease": lock, "leader": "control-1/kube-controller-manager"}, e.State.Args)
	want(t, w, "unit/control-1/kube-controller-manager", "running")
	require.Equal(t, "lease-good", want(t, w, "lease/"+lock, "lease-good").State.Kind)

	said(t, w, "admin", bindBootstrap)
	said(t, w, "control-1", "systemctl stop kube-controller-manager")
	stopped := w.Now()
	said(t, w, "node-1", "systemctl start kubelet")
	after(w, 4*time.Second)
	e, err := w.Why("unit/control-1/kube-controller-manager")
	require.NoError(t, err)
	require.Equal(t, []string{"lease-held"}, kinds(e.Knows))
	require.Equal(t, []string{"takes-over"}, kinds(e.Next))
	next, at := e.Next[0].Args["unit"], e.Next[0].At
	require.WithinRange(t, at, stopped.Add(11*time.Second), stopped.Add(18*time.Second))
	e, err = w.Why("csr/" + strings.TrimPrefix(strings.Fields(said(t, w, "admin", "kubectl get csr -o name"))[0], "certificatesigningrequest.certificates.k8s.io/"))
	require.NoError(t, err)
	require.Equal(t, "leader", e.Needs[0].Kind, e.String())
	require.Contains(t, kinds(e.Next), "takes-over")
	w.AdvanceTo(at)
	require.Equal(t, "lease-over", want(t, w, "lease/"+lock, "lease-over").State.Kind)
	after(w, 5*time.Second)
	e, err = w.Why("unit/control-1/kube-controller-manager")
	require.NoError(t, err)
	require.Empty(t, e.Next)
	for _, host := range []string{"control-2", "control-3"} {
		e, err = w.Why("unit/" + host + "/kube-controller-manager")
		require.NoError(t, err)
		require.Equal(t, map[bool]string{true: "running", false: "standby"}[next == host+"/kube-controller-manager"], e.State.Kind)
	}
}

// TestWhyOfOtherObjects: each says how it is, or in a sentence why there is nothing
// to say.
func TestWhyOfOtherObjects(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "objects"})
	said(t, w, "admin", "kubectl create -f - <<X\napiVersion: v1\nkind: Secret\nmetadata: {name: opaque, namespace: default}\nX")
	for object, no := range map[string]string{
		"secret/default/x":       `there is no Secret "x" in the namespace "default"`,
		"lease/default/x":        `there is no Lease "x" in the namespace "default"`,
		"pod/default/x":          `there is no Pod "x" in the namespace "default"`,
		"secret/default/opaque":  "the Secret default/opaque is of type Opaque: there is something to explain of bootstrap tokens",
		"file/node-1/etc/nobody": "open /etc/nobody: no such file or directory",
	} {
		_, err := w.Why(object)
		require.ErrorContains(t, err, no)
	}
	want(t, w, "secret/kube-system/bootstrap-token-07401b", "token-accepted")
	want(t, w, "serviceaccount/default/default", "there")
	want(t, w, "configmap/default/moon", "absent", `object object="configmap/default/moon"`)
	want(t, w, "configmap/moon/kube-root-ca.crt", "absent", `object object="namespace/moon"`)
	said(t, w, "admin", "kubectl create -f - <<X\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default}\nspec: {containers: [{name: c, image: i}]}\nX")
	require.Equal(t, []string{"stays"}, kinds(want(t, w, "pod/default/p", "pod-unbound", "binding-to-node").Next))
	said(t, w, "admin", "kubectl create -f - <<X\napiVersion: v1\nkind: Pod\nmetadata: {name: q, namespace: default}\nspec: {nodeName: node-1, containers: [{name: c, image: i}]}\nX")
	want(t, w, "pod/default/q", "pod-bound", `unit unit="kubelet"`)

	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "controllers", Value: "*,-serviceaccount-token,-root-ca-certificate-publisher-controller,-serviceaccount-controller"}}))
	after(w, time.Minute)
	said(t, w, "admin", "kubectl create -f - <<X\napiVersion: v1\nkind: Namespace\nmetadata: {name: moon}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: t, namespace: default, annotations: {kubernetes.io/service-account.name: default}}\ntype: kubernetes.io/service-account-token\nX")
	const unit = `unit="control-1/kube-controller-manager"`
	want(t, w, "secret/default/t", "account-token-empty", `controller name="serviceaccount-token-controller" `+unit)
	want(t, w, "configmap/moon/kube-root-ca.crt", "absent", `controller name="root-ca-certificate-publisher-controller" `+unit)
	want(t, w, "serviceaccount/moon/default", "absent", `controller name="serviceaccount-controller" `+unit)
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "controllers", Value: ""}}))
	after(w, time.Minute)
	want(t, w, "secret/default/t", "account-token")
	want(t, w, "configmap/moon/kube-root-ca.crt", "there")

	said(t, w, "admin", bindBootstrap)
	said(t, w, "admin", bindApproval)
	said(t, w, "node-1", "systemctl start kubelet")
	after(w, time.Minute)
	want(t, w, "lease/kube-node-lease/node-1", "lease-good")
	said(t, w, "node-1", "systemctl stop kubelet")
	after(w, 2*time.Minute)
	want(t, w, "lease/kube-node-lease/node-1", "lease-over", `unit unit="kubelet"`)
}

// TestWhyAHealthyNodeIsNotForEver: both certificates have an end, and a rotation
// that is drawn between 70 and 90 %.
func TestWhyAHealthyNodeIsNotForEver(t *testing.T) {
	w := joinedWith(t, "healthy", true)
	node := func() []engine.Reason {
		e, err := w.Why("node/node-1")
		require.NoError(t, err)
		return e.Next
	}
	w.say("admin", "kubectl certificate approve $(kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -o name)")
	w.pass(time.Minute)
	next := map[string]engine.Reason{}
	for _, r := range node() {
		next[r.Kind] = r
	}
	require.Contains(t, next, "rotate")
	for _, l := range w.View().Lives {
		if l.Use == "serving" && l.Current {
			require.Equal(t, l.Deadline, next["serving-rotates"].At)
			require.Equal(t, l.NotAfter, next["serving-expires"].At)
			require.WithinRange(t, l.Deadline, parse(t, next["serving-rotates"].Args["from"]), parse(t, next["serving-rotates"].Args["to"]))
		}
	}
	// One from a file is nobody's to renew.
	w = joinedWith(t, "healthy", false)
	require.Equal(t, []string{"rotate", "expires", "pair-expires"}, kinds(node())[:3])
}

func parse(t *testing.T, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return at
}
