package engine_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// states are the nodes' in the column STATUS, by name.
func states(t testing.TB, w *engine.World) string {
	t.Helper()
	var out []string
	for _, line := range strings.Split(strings.TrimSpace(said(t, w, "admin", "kubectl get nodes --no-headers")), "\n") {
		f := strings.Fields(line)
		require.Greater(t, len(f), 1, line)
		out = append(out, f[0]+" "+f[1])
	}
	return strings.Join(out, ", ")
}

// TestASilentNodeIsNotReady: whatever keeps a kubelet from renewing its Lease, its node
// is Unknown when 50 s have passed, not before, and Ready again when it is mended.
func TestASilentNodeIsNotReady(t *testing.T) {
	for _, x := range []struct{ name, breaks, mends string }{
		{"kubelet stopped", "node-1# systemctl stop kubelet", "node-1# systemctl start kubelet"},
		{"host suspended", "host node-1 suspend", "all"},
		{"host off", "host node-1 stop", "all"},
		{"link cut", "link node-1 control-1 drop", "all"},
		{"refused", "link node-1 control-1 refuse", "all"},
	} {
		t.Run(x.name, func(t *testing.T) {
			w := joined(t, engine.Config{Seed: "silent"})
			after(w, time.Minute)
			require.Equal(t, "node-1 Ready", states(t, w))
			change := func(what string) {
				if host, line, typed := strings.Cut(what, "# "); typed {
					said(t, w, host, line)
				} else if what == "all" {
					heal(t, w, what)
				} else {
					fault(t, w, what)
				}
			}
			change(x.breaks)
			after(w, 38*time.Second)
			require.Equal(t, "node-1 Ready", states(t, w), "its grace is not over")
			e, err := w.Why("node/node-1")
			require.NoError(t, err)
			require.Contains(t, e.String(), "not-ready")
			soon := e.Next[slices.IndexFunc(e.Next, func(r engine.Reason) bool { return r.Kind == "not-ready" })]
			require.WithinDuration(t, w.Now().Add(10*time.Second), soon.At, 10*time.Second)
			after(w, 20*time.Second)
			require.Equal(t, "node-1 NotReady", states(t, w))
			e, err = w.Why("node/node-1")
			require.NoError(t, err)
			e.Knows = append(e.Knows, e.State)
			told := e.Knows[slices.IndexFunc(e.Knows, func(r engine.Reason) bool { return r.Kind == "node-silent" })]
			require.WithinDuration(t, soon.At, told.At, 1100*time.Millisecond, "it came as was told")
			text := said(t, w, "admin", "kubectl describe node node-1")
			require.Equal(t, 4, strings.Count(text, "NodeStatusUnknown"))
			require.Regexp(t, `Ready +Unknown .* NodeStatusUnknown +Kubelet stopped posting node status\.`, text)
			require.Contains(t, text, "node.kubernetes.io/unreachable:NoSchedule")
			require.NotContains(t, text, "NoExecute", "nothing is evicted when no node is ready")
			require.Contains(t, said(t, w, "admin", "kubectl get events"), "NodeNotReady     node/node-1   Node node-1 status is now: NodeNotReady")
			require.Contains(t, said(t, w, "control-1", "journalctl -u kube-controller-manager -o cat"), "Controller detected that all Nodes are not-Ready. Entering master disruption mode")
			change(x.mends)
			after(w, 2*time.Minute)
			require.Equal(t, "node-1 Ready", states(t, w))
			text = said(t, w, "admin", "kubectl describe node node-1")
			require.NotContains(t, text, "Unknown")
			require.Contains(t, text, "Taints:             <none>")
		})
	}
}

// TestALeaseThatIsRefused: a kubelet that can report its status, and can't renew its
// Lease, is found silent again and again, and reports.
func TestALeaseThatIsRefused(t *testing.T) {
	w := joined(t, engine.Config{Seed: "lease"})
	after(w, time.Minute)
	fault(t, w, "apiserver control-1 status 500 PUT /apis/coordination.k8s.io/*")
	seen := map[string]int{}
	for range 150 {
		after(w, 2*time.Second)
		seen[states(t, w)]++
	}
	require.Greater(t, seen["node-1 NotReady"], 2)
	require.Greater(t, seen["node-1 Ready"], 100)
	require.Regexp(t, `^1 [3-6]\s*$`, said(t, w, "admin", "kubectl get events -o jsonpath={.items[*].count}"), "registered once, found silent each time")
}

// TestGraceIsOverInTime: the words and the time of the log, as recorded in i/50: a node
// is found silent 50 s after the look that saw its last renewal.
func TestGraceIsOverInTime(t *testing.T) {
	w := joined(t, engine.Config{Seed: "grace"})
	after(w, time.Minute)
	fault(t, w, "host node-1 stop")
	last := said(t, w, "admin", "kubectl get lease -n kube-node-lease node-1 -o jsonpath={.spec.renewTime}")
	renewed, err := time.Parse(time.RFC3339, strings.TrimSpace(last))
	require.NoError(t, err)
	after(w, 2*time.Minute)
	var marked time.Time
	for _, o := range w.Drain() {
		if o.Kind == trace.Request && strings.HasPrefix(o.Subject, "PUT /api/v1/nodes/node-1/status") {
			require.Zero(t, marked, "once")
			marked = o.At
		}
	}
	require.NotZero(t, marked)
	require.GreaterOrEqual(t, marked.Sub(renewed), 50*time.Second)
	require.LessOrEqual(t, marked.Sub(renewed), 55100*time.Millisecond)
	log := said(t, w, "control-1", "journalctl -u kube-controller-manager -o cat")
	require.Regexp(t, regexp.MustCompile(`"Node hasn't been updated" node="node-1" duration="50(\.\d+)?s" nodeConditionType="Ready" currentCondition={"type":"Ready","status":"True",`), log)
}

// TestALifeCostsNothing: a year in which nothing happens has no look at any node.
func TestALifeCostsNothing(t *testing.T) {
	w := joined(t, engine.Config{Seed: "life"})
	after(w, 10*time.Minute)
	w.Drain()
	after(w, 100*24*time.Hour)
	for _, o := range w.Drain() {
		if o.Kind == trace.Request {
			require.NotContains(t, o.Subject, "node", o.At)
		}
		require.NotContains(t, o.Payload, "node_lifecycle", o.At)
	}
	require.Equal(t, "node-1 Ready", states(t, w))
}

// TestNodesOfALargerCluster: one node of three is silent, so it is tainted NoExecute
// too; three managers over three API servers see the same, whoever leads.
func TestNodesOfALargerCluster(t *testing.T) {
	for _, planes := range []int{1, 3} {
		w := joined(t, engine.Config{Seed: "larger", Nodes: 3, ControlPlanes: planes})
		after(w, time.Minute)
		require.Equal(t, "node-1 Ready, node-2 Ready, node-3 Ready", states(t, w))
		said(t, w, "node-2", "systemctl stop kubelet")
		after(w, 80*time.Second)
		require.Equal(t, "node-1 Ready, node-2 NotReady, node-3 Ready", states(t, w))
		text := said(t, w, "admin", "kubectl describe node node-2")
		require.Contains(t, text, "node.kubernetes.io/unreachable:NoSchedule")
		require.Contains(t, text, "node.kubernetes.io/unreachable:NoExecute")
		said(t, w, "control-1", "systemctl restart kube-controller-manager")
		after(w, 30*time.Second)
		require.Equal(t, "node-1 Ready, node-2 NotReady, node-3 Ready", states(t, w))
		said(t, w, "control-1", "systemctl stop kube-controller-manager")
		said(t, w, "node-2", "systemctl start kubelet")
		said(t, w, "node-3", "systemctl stop kubelet")
		after(w, 3*time.Minute)
		if planes == 1 {
			require.Equal(t, "node-1 Ready, node-2 Ready, node-3 Ready", states(t, w), "nobody looks")
			said(t, w, "control-1", "systemctl start kube-controller-manager")
			after(w, 45*time.Second)
			require.Equal(t, "node-1 Ready, node-2 Ready, node-3 Ready", states(t, w), "a manager that starts has heard of nobody, and waits")
			after(w, 30*time.Second)
		}
		require.Equal(t, "node-1 Ready, node-2 Ready, node-3 NotReady", states(t, w))
		require.Contains(t, said(t, w, "admin", "kubectl describe node node-2"), "Taints:             <none>")
		said(t, w, "node-3", "systemctl start kubelet")
		after(w, 30*time.Second)
		require.Equal(t, "node-1 Ready, node-2 Ready, node-3 Ready", states(t, w))
	}
}

// TestNodesOfOlderReleases: whether or not an informer begins with a list.
func TestNodesOfOlderReleases(t *testing.T) {
	for _, x := range []struct{ release, silent string }{{"1.31", "node-1 NotReady"}, {"1.34", "node-1 NotReady"}, {"1.37", "node-1 NotReady"}} {
		t.Run(x.release, func(t *testing.T) {
			w := joined(t, engine.Config{Seed: "older", Release: x.release})
			after(w, 10*time.Minute)
			require.Equal(t, "node-1 Ready", states(t, w))
			said(t, w, "node-1", "systemctl stop kubelet")
			after(w, time.Minute)
			require.Equal(t, x.silent, states(t, w))
			said(t, w, "node-1", "systemctl start kubelet")
			after(w, time.Minute)
			require.Equal(t, "node-1 Ready", states(t, w))
		})
	}
}
