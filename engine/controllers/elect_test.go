package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

const leases = "/apis/coordination.k8s.io/v1/leases"

// held is the Lease as another manager writes it.
func held(by string, at time.Time, transitions int) object {
	stamp := at.UTC().Format("2006-01-02T15:04:05.000000Z")
	return object{"metadata": map[string]any{"name": "kube-controller-manager", "namespace": "kube-system"},
		"spec": map[string]any{"holderIdentity": by, "leaseDurationSeconds": 15, "acquireTime": stamp, "renewTime": stamp, "leaseTransitions": transitions}}
}

func (r *rig) lease() map[string]any {
	o := r.find(leases, "kube-system", "kube-controller-manager")
	if o == nil {
		return nil
	}
	return o["spec"].(map[string]any)
}

// asks counts requests for the Lease.
func (r *rig) asks(method string) (n int) {
	for _, q := range r.sent {
		if q.Method == method && strings.Contains(q.URL, "/leases") && !strings.Contains(q.URL, "watch") {
			n++
		}
	}
	return n
}

// end ends the watches of a path, as a server that goes away does.
func (r *rig) end(path string) {
	require.NotZero(r.t, r.watch[path])
	r.post(r.now, sim.Msg{Kind: sim.MsgEnd, Stream: r.watch[path]})
	r.watch[path] = 0
}

func TestLeads(t *testing.T) {
	r := newRig(t, "--leader-elect=true")
	r.run(time.Second)
	require.Equal(t, []string{
		`controllermanager.go:188] "Starting" version="v1.36.3"`,
		`leaderelection.go:258] "Attempting to acquire leader lease..." lock="kube-system/kube-controller-manager"`,
		`leaderelection.go:272] "Successfully acquired lease" lock="kube-system/kube-controller-manager"`,
	}, r.lines()[:3])
	require.Regexp(t, `^control-1_[0-9a-f-]{36}$`, r.lease()["holderIdentity"])
	require.EqualValues(t, 15, r.lease()["leaseDurationSeconds"])
	require.EqualValues(t, 0, r.lease()["leaseTransitions"])
	require.Equal(t, "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/$Format/leader-election", r.sent[0].Header.Get("User-Agent"))
	require.Equal(t, "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager?timeout=5s", r.sent[0].URL)
	r.may = func(string, string) bool { return true }
	r.put(node(t, "csr-a", "u"))
	r.run(4 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate, "who leads runs the controllers")
	// The renewal that stands for those after it.
	require.Equal(t, 1, r.asks("PUT"))
	require.Equal(t, "2s", r.sent[len(r.sent)-2].Header.Get("Joinery-Fold")+"", r.sent[len(r.sent)-2].URL)
	delete(r.csrs, "csr-a")
	n := len(r.sent)
	r.run(30 * time.Minute)
	require.Len(t, r.sent, n, "a year costs nothing")

	// Someone else writes into the Lease: the next renewal finds a conflict, and
	// the manager reads it again.
	o := r.find(leases, "kube-system", "kube-controller-manager")
	o["metadata"].(map[string]any)["labels"] = map[string]any{"x": "y"}
	o["spec"].(map[string]any)["renewTime"] = "2026-01-01T00:29:59.000000Z"
	r.save(leases, o)
	r.run(30*time.Minute + 10*time.Second)
	require.Equal(t, 1, r.count(`leaderelection.go:454] "Failed to update lease optimistically, falling back to slow path" lock="kube-system/kube-controller-manager" err="the object has been modified"`), r.lines())
	require.Equal(t, 3, r.asks("PUT"))
	require.NotContains(t, fmt.Sprint(r.lease()["renewTime"]), "00:29:59")
}

// TestLosesTheLease: who can't renew for 10 s ends.
func TestLosesTheLease(t *testing.T) {
	r := newRig(t, "--leader-elect=true")
	r.run(10 * time.Second)
	r.down = "dial tcp 10.0.0.10:6443: connect: connection refused"
	r.end(strings.Replace(leases, "/leases", "/namespaces/kube-system/leases", 1))
	r.run(21 * time.Second)
	require.NotNil(t, r.code, r.lines())
	require.Equal(t, 1, *r.code)
	require.Equal(t, 5, r.count(`leaderelection.go:461] "Error retrieving lease lock" err="Get \"https://10.0.0.10:6443/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager?timeout=5s\": dial tcp 10.0.0.10:6443: connect: connection refused" lock="kube-system/kube-controller-manager"`), r.lines())
	lines := r.lines()
	require.Equal(t, []string{
		`leaderelection.go:304] "Failed to renew lease" lock="kube-system/kube-controller-manager" err="context deadline exceeded"`,
		`controllermanager.go:355] "leaderelection lost"`,
	}, lines[len(lines)-2:])
	require.WithinDuration(t, newYear.Add(20*time.Second), r.now, 2*time.Second)
}

// TestWaitsForTheLease: who does not lead looks every 2 to 4.4 s, until the
// Lease has not changed for 15 s.
func TestWaitsForTheLease(t *testing.T) {
	r := newRig(t, "--leader-elect=true")
	r.save(leases, held("other", newYear.Add(-time.Hour), 3))
	r.run(14 * time.Second)
	require.Equal(t, "other", r.lease()["holderIdentity"])
	require.InDelta(t, 5, r.asks("GET"), 2)
	require.Equal(t, r.asks("GET"), r.count(`leaderelection.go:481] "Lease is held by and has not yet expired" lock="kube-system/kube-controller-manager" holder="other"`))
	require.Equal(t, r.asks("GET"), r.count(`leaderelection.go:267] "Failed to acquire lease" lock="kube-system/kube-controller-manager"`))
	require.Zero(t, r.count(`certificate_controller.go`), "its controllers rest")
	// How old the record says it is does not matter, only that it stays.
	r.run(20 * time.Second)
	require.Equal(t, r.m.Election.ID, r.lease()["holderIdentity"])
	require.EqualValues(t, 4, r.lease()["leaseTransitions"])

	// A holder that lives.
	r = newRig(t, "--leader-elect=true")
	r.save(leases, held("other", newYear, 3))
	r.folds = true
	r.run(21 * time.Second)
	n := len(r.sent)
	r.run(10 * time.Minute)
	require.Len(t, r.sent, n, "while the holder renews by itself, nobody asks")
	require.Equal(t, "other", r.lease()["holderIdentity"])
	// The holder is gone: its last renewal becomes visible, and then no other.
	r.folds = false
	r.save(leases, held("other", newYear.Add(10*time.Minute), 3))
	r.run(10*time.Minute + 14*time.Second)
	require.Equal(t, "other", r.lease()["holderIdentity"])
	r.run(10*time.Minute + 22*time.Second)
	require.Equal(t, r.m.Election.ID, r.lease()["holderIdentity"])
}

// TestSilentServer: a request of the election is given up after 5 s.
func TestSilentServer(t *testing.T) {
	r := newRig(t, "--leader-elect=true")
	r.silent = true
	r.run(6 * time.Second)
	require.Equal(t, 1, r.count(`leaderelection.go:461] "Error retrieving lease lock" err="Get \"https://10.0.0.10:6443/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager?timeout=5s\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"`), r.lines())
	r.silent = false
	r.run(12 * time.Second)
	require.NotNil(t, r.lease())
}
