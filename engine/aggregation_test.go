package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAggregatedRoles: kube-controller-manager writes into a role with an
// aggregationRule what it selects, and takes it out again.
func TestAggregatedRoles(t *testing.T) {
	w, err := New(Config{Seed: "aggregation"})
	require.NoError(t, err)
	defer w.Close()
	make := func(name, labels, rest string) string {
		return say(t, w, "admin", "kubectl apply -f - <<'X'\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: "+name+", labels: {"+labels+"}}\n"+rest+"\nX")
	}
	rules := func(name string) string {
		w.AdvanceTo(w.Now().Add(2 * time.Second))
		return say(t, w, "admin", "kubectl get clusterrole "+name+" -o jsonpath='{.rules}'")
	}
	gathered := func() int {
		return strings.Count(say(t, w, "control-1", "journalctl -u kube-apiserver -o cat"), `userAgent="kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/$Format/system:serviceaccount:kube-system:clusterrole-aggregation-controller"`)
	}
	require.Zero(t, gathered(), "admin, edit and view have what they gather: nothing is asked")

	make("monitoring", "", "aggregationRule:\n  clusterRoleSelectors:\n  - matchLabels: {to-monitoring: \"true\"}\nrules: []")
	require.Empty(t, strings.Trim(rules("monitoring"), "[]"))
	make("b-nodes", `to-monitoring: "true"`, "rules:\n- {apiGroups: [\"\"], resources: [nodes], verbs: [get]}")
	make("a-pods", `to-monitoring: "true"`, "rules:\n- {apiGroups: [\"\"], resources: [pods], verbs: [get]}\n- {apiGroups: [\"\"], resources: [nodes], verbs: [get]}")
	pods, nodes := `{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}`, `{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}`
	require.Equal(t, "["+pods+","+nodes+"]", rules("monitoring"), "by name, each rule once")

	make("b-nodes", `to-monitoring: "no"`, "rules:\n- {apiGroups: [\"\"], resources: [nodes], verbs: [list]}")
	say(t, w, "admin", "kubectl delete clusterrole a-pods")
	require.Empty(t, strings.Trim(rules("monitoring"), "[]"))

	// What is added to view comes to edit, and from there to admin.
	make("see-certificates", `rbac.authorization.k8s.io/aggregate-to-view: "true"`, "rules:\n- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests], verbs: [get, list]}")
	for _, name := range []string{"view", "edit", "admin"} {
		require.Contains(t, rules(name), "certificatesigningrequests", name)
	}

	// It survives a snapshot, and does nothing when nothing changes.
	before := gathered()
	b, err := w.Snapshot()
	require.NoError(t, err)
	restored, err := Restore(b)
	require.NoError(t, err)
	for _, x := range []*World{w, restored} {
		x.AdvanceTo(x.Now().Add(24 * time.Hour))
	}
	require.Equal(t, w.DigestNow(), restored.DigestNow())
	require.Equal(t, before, gathered())
}

// TestAggregationAndEscalation: what the controller gathers it need not have itself,
// but for that it needs the verb escalate.
func TestAggregationAndEscalation(t *testing.T) {
	w, err := New(Config{Seed: "escalation"})
	require.NoError(t, err)
	defer w.Close()
	say(t, w, "admin", "kubectl apply -f - <<'X'\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:controller:clusterrole-aggregation-controller\"}\nrules:\n- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [get, list, patch, update, watch]}\nX")
	say(t, w, "admin", "kubectl create -f - <<'X'\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\naggregationRule:\n  clusterRoleSelectors:\n  - matchLabels: {kubernetes.io/bootstrapping: rbac-defaults}\nrules: []\nX")
	w.AdvanceTo(w.Now().Add(5 * time.Second))
	log := say(t, w, "control-1", "journalctl -u kube-controller-manager -o cat | grep 'all failed with' | tail -n 1")
	require.Contains(t, log, `all failed with : clusterroles.rbac.authorization.k8s.io "all" is forbidden: user "system:serviceaccount:kube-system:clusterrole-aggregation-controller" (groups=`)
	require.Contains(t, log, "is attempting to grant RBAC permissions not currently held:")
	require.Empty(t, strings.Trim(say(t, w, "admin", "kubectl get clusterrole all -o jsonpath='{.rules}'"), "[]"))

	say(t, w, "admin", "kubectl apply -f - <<'X'\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"system:controller:clusterrole-aggregation-controller\"}\nrules:\n- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [escalate, get, list, patch, update, watch]}\nX")
	w.AdvanceTo(w.Now().Add(20 * time.Minute))
	require.Contains(t, say(t, w, "admin", "kubectl get clusterrole all -o jsonpath='{.rules}'"), `{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}`)
}
