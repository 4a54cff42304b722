package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// say types a line and returns what was printed.
func say(t *testing.T, w *World, host, line string) string {
	t.Helper()
	obs, err := w.Say(host, line, time.Minute)
	require.NoError(t, err)
	var b strings.Builder
	for _, o := range obs {
		if o.Kind == trace.Printed && o.Actor == host+"/terminal" {
			b.WriteString(o.Payload)
		}
	}
	return b.String()
}

// TestThreeControlPlanes: three API servers over one store behind one address.
// What one of them is told the watches of the others tell; when one stops,
// everyone goes on with the next.
func TestThreeControlPlanes(t *testing.T) {
	_, err := New(Config{Seed: "ha", ControlPlanes: 2})
	require.EqualError(t, err, "2 control planes: a cluster here has 1 or 3")

	w, err := New(Config{Seed: "ha", ControlPlanes: 3})
	require.NoError(t, err)
	require.Equal(t, []string{"control-1", "control-2", "control-3", "admin", "node-1"}, w.Hosts())
	require.Contains(t, say(t, w, "admin", "cat /etc/kubernetes/admin.conf"), "server: https://10.0.0.3:6443")
	for range 3 {
		require.Contains(t, say(t, w, "admin", "kubectl get ns kube-system"), "Active")
	}
	asked := map[string]bool{}
	for _, host := range []string{"control-1", "control-2", "control-3"} {
		asked[host] = strings.Contains(say(t, w, host, "journalctl -u kube-apiserver"), `URI=\"/api/v1/namespaces/kube-system`) ||
			strings.Contains(say(t, w, host, "journalctl -u kube-apiserver"), `URI="/api/v1/namespaces/kube-system`)
	}
	require.Equal(t, map[string]bool{"control-1": true, "control-2": true, "control-3": true}, asked, "the load balancer takes turns")

	// A node joins: the kubelet, the approver and the signer speak to different
	// servers and hear of each other.
	say(t, w, "admin", "kubectl create clusterrolebinding b --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
	say(t, w, "admin", "kubectl create clusterrolebinding a --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
	say(t, w, "node-1", "systemctl start kubelet")
	w.AdvanceTo(w.Now().Add(2 * time.Minute))
	require.Contains(t, say(t, w, "admin", "kubectl get csr"), "Approved,Issued")
	require.Contains(t, say(t, w, "admin", "kubectl get nodes"), "node-1")

	// A clone in the middle goes the same way.
	other := w.Clone()
	for _, w := range []*World{w, other} {
		say(t, w, "control-1", "systemctl stop kube-apiserver")
		w.AdvanceTo(w.Now().Add(time.Minute))
		for range 3 {
			require.Contains(t, say(t, w, "admin", "kubectl get nodes"), "node-1")
		}
		say(t, w, "control-2", "systemctl stop kube-apiserver")
		say(t, w, "control-3", "systemctl stop kube-apiserver")
		require.Contains(t, say(t, w, "admin", "kubectl get nodes"), "10.0.0.3:6443")
		say(t, w, "control-2", "systemctl start kube-apiserver")
		w.AdvanceTo(w.Now().Add(time.Minute))
		require.Contains(t, say(t, w, "admin", "kubectl get nodes"), "node-1")
	}
	require.Equal(t, w.DigestNow(), other.DigestNow())
}

// TestNamespaceGoes: kube-controller-manager fills a new namespace, and empties
// it before it goes.
func TestNamespaceGoes(t *testing.T) {
	w, err := New(Config{Seed: "ns"})
	require.NoError(t, err)
	say(t, w, "admin", "kubectl create -f - <<EOF\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"team\"}}\nEOF")
	w.AdvanceTo(w.Now().Add(10 * time.Second))
	require.Contains(t, say(t, w, "admin", "kubectl get serviceaccounts -n team"), "default")
	require.Contains(t, say(t, w, "admin", "kubectl get configmaps -n team"), "kube-root-ca.crt")
	say(t, w, "admin", "kubectl delete ns team")
	w.AdvanceTo(w.Now().Add(30 * time.Second))
	require.Contains(t, say(t, w, "admin", "kubectl get ns team"), `namespaces "team" not found`)
	require.Nil(t, w.Store.Get("configmaps", "team", "kube-root-ca.crt"))
	require.Nil(t, w.Store.Get("serviceaccounts", "team", "default"))

	// Without it a namespace stays Terminating.
	say(t, w, "control-1", "systemctl stop kube-controller-manager")
	say(t, w, "admin", "kubectl create -f - <<EOF\n{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"team\"}}\nEOF")
	say(t, w, "admin", "kubectl delete ns team")
	w.AdvanceTo(w.Now().Add(time.Hour))
	require.Contains(t, say(t, w, "admin", "kubectl get ns team"), "Terminating")
}
