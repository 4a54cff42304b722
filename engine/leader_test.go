package engine

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// leaseOf is what the API tells of the managers' Lease.
func leaseOf(t *testing.T, w *World) (holder string, transitions int, renewed time.Time) {
	t.Helper()
	var l struct {
		Spec struct {
			HolderIdentity   string
			LeaseTransitions int
			RenewTime        time.Time
		}
	}
	text := say(t, w, "admin", "kubectl get --raw /apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager")
	require.NoError(t, json.Unmarshal([]byte(text), &l), text)
	host, _, _ := strings.Cut(l.Spec.HolderIdentity, "_")
	return host, l.Spec.LeaseTransitions, l.Spec.RenewTime
}

// TestOneManagerLeads: of three kube-controller-managers one works; when it goes
// another takes over within the Lease's 15 s and a look or two; and a year of
// renewals and looks costs nothing.
func TestOneManagerLeads(t *testing.T) {
	w, err := New(Config{Seed: "leader", ControlPlanes: 3})
	require.NoError(t, err)
	first, transitions, _ := leaseOf(t, w)
	require.Equal(t, "control-1", first)
	require.Zero(t, transitions)
	for _, host := range []string{"control-2", "control-3"} {
		log := say(t, w, host, "journalctl -u kube-controller-manager")
		require.Contains(t, log, `"Attempting to acquire leader lease..." lock="kube-system/kube-controller-manager"`)
		require.NotContains(t, log, "Starting certificate controller")
	}
	w.AdvanceTo(w.Now().Add(time.Minute))
	w.Drain()
	w.AdvanceTo(w.Now().AddDate(1, 0, 0))
	asked := 0
	for _, o := range w.Drain() {
		if o.Kind == trace.Request && strings.HasSuffix(o.Actor, "/kube-controller-manager") && strings.Contains(o.Subject, "/leases") {
			asked++
		}
	}
	require.Zero(t, asked, "nobody asks while all is quiet")
	_, transitions, renewed := leaseOf(t, w)
	require.Zero(t, transitions)
	require.WithinDuration(t, w.Now(), renewed, 3*time.Second, "the Lease is renewed all the same")

	follows := func(stop func(leader string)) {
		t.Helper()
		old, before, _ := leaseOf(t, w)
		stop(old)
		w.AdvanceTo(w.Now().Add(12 * time.Second))
		if holder, _, _ := leaseOf(t, w); holder != old {
			require.Equal(t, old, holder, "the Lease is good for 15 s")
		}
		w.AdvanceTo(w.Now().Add(18 * time.Second))
		holder, transitions, _ := leaseOf(t, w)
		require.NotEqual(t, old, holder)
		require.Equal(t, before+1, transitions)
		require.Contains(t, say(t, w, holder, "journalctl -u kube-controller-manager"), `"Successfully acquired lease" lock="kube-system/kube-controller-manager"`)
	}
	follows(func(leader string) { say(t, w, leader, "systemctl stop kube-controller-manager") })
	say(t, w, "control-1", "systemctl start kube-controller-manager")
	w.AdvanceTo(w.Now().Add(time.Minute))

	// A manager calls the API server beside it; without it, it can't renew, and
	// ends after 10 s.
	gone := ""
	follows(func(leader string) { gone = leader; say(t, w, leader, "systemctl stop kube-apiserver") })
	log := say(t, w, gone, "journalctl -u kube-controller-manager")
	require.Contains(t, log, `"Failed to renew lease" lock="kube-system/kube-controller-manager" err="context deadline exceeded"`)
	require.Contains(t, log, `"leaderelection lost"`)
	require.Contains(t, log, "kube-controller-manager.service: Main process exited, code=exited, status=1/FAILURE")

	// The new leader approves and signs.
	say(t, w, "admin", "kubectl create clusterrolebinding b --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
	say(t, w, "admin", "kubectl create clusterrolebinding a --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
	require.NotContains(t, say(t, w, "admin", "kubectl create -f - <<EOF\n"+leaderToken(w)+"\nEOF"), "Error")
	say(t, w, "node-1", "systemctl start kubelet")
	w.AdvanceTo(w.Now().Add(time.Minute))
	require.Contains(t, say(t, w, "admin", "kubectl get csr"), "Approved,Issued")

	// All of this is in a snapshot.
	other := w.Clone()
	for _, w := range []*World{w, other} {
		w.AdvanceTo(w.Now().Add(time.Hour))
	}
	require.Equal(t, w.DigestNow(), other.DigestNow())
}

// leaderToken is the token that the node has, valid again.
func leaderToken(w *World) string {
	b, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
		"metadata": map[string]string{"name": "bootstrap-token-" + TokenID, "namespace": "kube-system"},
		"stringData": map[string]string{"token-id": TokenID, "token-secret": TokenSecret, "usage-bootstrap-authentication": "true",
			"expiration": w.Now().Add(time.Hour).Format(time.RFC3339)}})
	return string(b)
}
