package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/trace"
)

// again starts the server of another release on the same store, and returns
// what its log then says of default roles and bindings.
func (g *rig) again(release, flags string) (lines []string) {
	g.t.Helper()
	next := newRigAt(g.t, release, flags)
	next.s.Attach(g.store)
	next.obs, next.store = nil, g.store
	next.s.bootstrap(next.ctx())
	for _, o := range next.obs {
		if o.Kind == trace.Log && strings.Contains(o.Payload, "storage_rbac.go") {
			_, line, _ := strings.Cut(o.Payload, "] ")
			lines = append(lines, o.Payload[:1]+" "+line)
		}
	}
	return lines
}

// What an API server finds at its start it completes, and takes nothing away,
// unless it is told to leave it alone (pkg/registry/rbac/rest/storage_rbac.go,
// component-helpers/auth/rbac/reconciliation).
func TestDefaultRBACIsCompleted(t *testing.T) {
	g := newRig(t, "")
	rules := func(name string) []rbacv1.PolicyRule {
		return g.store.Get("clusterroles", "", name).typed.(*rbacv1.ClusterRole).Rules
	}
	before := g.store.Version
	require.Empty(t, g.again("1.36", "--v=2"))
	require.Equal(t, before, g.store.Version, "nothing was changed, and so nothing is stored")

	g.patch("clusterroles/system:node-bootstrapper", `{"rules":[{"apiGroups":["certificates.k8s.io"],"resources":["certificatesigningrequests"],"verbs":["create","get"]},{"apiGroups":[""],"resources":["nodes"],"verbs":["get"]}]}`)
	require.Equal(t, []string{"I updated clusterrole.rbac.authorization.k8s.io/system:node-bootstrapper with additional permissions: " +
		"[{[list] [certificates.k8s.io] [certificatesigningrequests] [] []} {[watch] [certificates.k8s.io] [certificatesigningrequests] [] []}]"}, g.again("1.36", "--v=2"))
	require.Len(t, rules("system:node-bootstrapper"), 4, "what was added stays")

	g.patch("clusterroles/system:node-proxier", `{"metadata":{"annotations":{"rbac.authorization.kubernetes.io/autoupdate":"false"}},"rules":[]}`)
	said := g.again("1.36", "")
	require.Len(t, said, 1)
	require.Contains(t, said[0], "W skipped reconcile-protected clusterrole.rbac.authorization.k8s.io/system:node-proxier with missing permissions: [{[list] [] [endpoints] [] []} ")
	require.Empty(t, rules("system:node-proxier"))

	g.patch("clusterroles/system:node-bootstrapper", `{"metadata":{"labels":null}}`)
	require.Contains(t, g.again("1.36", "--v=2"), "I updated clusterrole.rbac.authorization.k8s.io/system:node-bootstrapper with additional permissions: []")
	require.Equal(t, map[string]string{bootstrapLabel: "rbac-defaults"}, meta(g.store.Get("clusterroles", "", "system:node-bootstrapper").typed).Labels)

	g.patch("clusterrolebindings/system:node", `{"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"system:nodes"}]}`)
	g.patch("clusterrolebindings/system:kube-scheduler", `{"subjects":[]}`)
	require.Contains(t, g.again("1.36", "--v=2"), "I updated clusterrolebinding.rbac.authorization.k8s.io/system:kube-scheduler with additional subjects: [{User rbac.authorization.k8s.io system:kube-scheduler }]")
	require.Len(t, g.store.Get("clusterrolebindings", "", "system:node").typed.(*rbacv1.ClusterRoleBinding).Subjects, 1, "whom somebody bound stays bound")

	g.delete("clusterrolebindings/cluster-admin")
	g.create(rbacPath+"clusterrolebindings", `{"metadata":{"name":"cluster-admin"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"subjects":[{"kind":"User","name":"u"}]}`)
	require.Contains(t, g.again("1.36", "--v=2"), "I recreated clusterrolebinding.rbac.authorization.k8s.io/cluster-admin")
	require.Equal(t, "cluster-admin", g.store.Get("clusterrolebindings", "", "cluster-admin").typed.(*rbacv1.ClusterRoleBinding).RoleRef.Name)

	g.delete("clusterroles/system:monitoring")
	require.Contains(t, g.again("1.36", "--v=2"), "I created clusterrole.rbac.authorization.k8s.io/system:monitoring")
}

// A cluster that is upgraded keeps what it had, and gets what is new.
func TestDefaultRBACOfAnUpgrade(t *testing.T) {
	g := newRigAt(t, "1.8", "")
	g.patch("clusterroles/view", `{"rules":[{"apiGroups":["example.com"],"resources":["things"],"verbs":["get"]}]}`)
	said := g.again("1.9", "--v=1")
	require.Contains(t, said, "I migrating view to system:aggregate-to-view")
	require.Contains(t, said, "I created clusterrole.rbac.authorization.k8s.io/system:controller:clusterrole-aggregation-controller", "before 1.15 at any verbosity")
	own := g.store.Get("clusterroles", "", "system:aggregate-to-view").typed.(*rbacv1.ClusterRole)
	require.Equal(t, []string{"example.com"}, own.Rules[0].APIGroups)
	require.Equal(t, "true", own.Labels[aggregatePrefix+"view"])
	require.NotNil(t, g.store.Get("clusterroles", "", "view").typed.(*rbacv1.ClusterRole).AggregationRule)

	for _, release := range []string{"1.10", "1.11", "1.12", "1.13"} {
		g.again(release, "")
	}
	g.patch("clusterrolebindings/system:discovery", `{"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"somebody"}]}`)
	require.Contains(t, g.again("1.14", "--v=1"), `I copying subjects, labels, and annotations from ClusterRoleBinding "system:discovery" to template "system:public-info-viewer"`)
	var bound []string
	for _, s := range g.store.Get("clusterrolebindings", "", "system:public-info-viewer").typed.(*rbacv1.ClusterRoleBinding).Subjects {
		bound = append(bound, s.Name)
	}
	require.Equal(t, []string{"somebody", "system:authenticated", "system:unauthenticated"}, bound)
	require.NotNil(t, g.store.Get("clusterroles", "", "system:aws-cloud-provider"))
	g.again("1.15", "")
	require.NotNil(t, g.store.Get("clusterroles", "", "system:aws-cloud-provider"), "what a release has no more is not deleted")
}

func (g *rig) patch(path, change string) {
	g.t.Helper()
	r := g.do(g.admin(), "PATCH", rbacPath+path, change, "Content-Type", "application/merge-patch+json")
	require.Equal(g.t, 200, r.Code, "%s", r.Body)
}

func (g *rig) delete(path string) {
	g.t.Helper()
	require.Equal(g.t, 200, g.do(g.admin(), "DELETE", rbacPath+path, "").Code)
}
