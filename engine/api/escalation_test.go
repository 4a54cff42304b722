package api

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

const rbacPath = "/apis/rbac.authorization.k8s.io/v1/"

// give lets user alice do something everywhere.
func (g *rig) give(name, rules string) {
	g.t.Helper()
	g.create(rbacPath+"clusterroles", fmt.Sprintf(`{"metadata":{"name":%q},"rules":[%s]}`, name, rules))
	g.create(rbacPath+"clusterrolebindings", fmt.Sprintf(`{"metadata":{"name":%q},"roleRef":{"kind":"ClusterRole","name":%q},"subjects":[{"kind":"User","name":"alice"}]}`, name, name))
}

const manageRBAC = `{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings","clusterroles","clusterrolebindings"],"verbs":["create","update","patch"]}`

// TestEscalation: who may write roles still gives away only what she has.
func TestEscalation(t *testing.T) {
	g := newRig(t, "")
	alice := g.peer("alice", "dev")
	g.give("manage", manageRBAC)
	role := func(name, rules string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"rules":[%s]}`, name, rules)
	}
	csrs := `{"apiGroups":["certificates.k8s.io"],"resources":["certificatesigningrequests"],"verbs":["get","list"]}`
	require.Equal(t, "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: user \"alice\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"+
		`{APIGroups:["certificates.k8s.io"], Resources:["certificatesigningrequests"], Verbs:["get" "list"]}`,
		g.refused(403, alice, "POST", rbacPath+"clusterroles", role("r", csrs)))
	require.Equal(t, "clusterroles.rbac.authorization.k8s.io \"r\" is forbidden: user \"alice\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"+
		`{APIGroups:[""], Resources:["secrets"], ResourceNames:["a"], Verbs:["get"]}`+"\n"+`{NonResourceURLs:["/metrics"], Verbs:["get"]}`,
		g.refused(403, alice, "POST", rbacPath+"clusterroles", role("r", `{"apiGroups":[""],"resources":["secrets"],"resourceNames":["a"],"verbs":["get"]},{"nonResourceURLs":["/metrics"],"verbs":["get"]}`)))

	g.give("reader", csrs)
	code, _ := g.ask("POST", rbacPath+"clusterroles", alice, "", role("r", csrs))
	require.Equal(t, 201, code, "what she has, she may give")
	code, _ = g.ask("POST", rbacPath+"namespaces/default/roles", alice, "", role("r", csrs))
	require.Equal(t, 201, code)
	message := g.refused(403, alice, "PUT", rbacPath+"clusterroles/r", role("r", csrs+`,{"apiGroups":[""],"resources":["pods"],"verbs":["*"]}`))
	require.Contains(t, message, `{APIGroups:[""], Resources:["pods"], Verbs:["*"]}`)
	require.NotContains(t, message, "certificatesigningrequests\"], Verbs", "what she has is no part of the complaint")
	require.Contains(t, g.refused(403, alice, "POST", rbacPath+"clusterroles", `{"metadata":{"name":"all"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"a":"b"}}]}}`),
		`clusterroles.rbac.authorization.k8s.io "all" is forbidden: must have cluster-admin privileges to use the aggregationRule`)

	bind := func(name, role string) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},"subjects":[{"kind":"User","name":"bob"}]}`, name, role)
	}
	require.Contains(t, g.refused(403, alice, "POST", rbacPath+"clusterrolebindings", bind("b", "cluster-admin")), `{APIGroups:["*"], Resources:["*"], Verbs:["*"]}`+"\n"+`{NonResourceURLs:["*"], Verbs:["*"]}`)
	require.Equal(t, `clusterroles.rbac.authorization.k8s.io "none" not found`, g.refused(404, alice, "POST", rbacPath+"clusterrolebindings", bind("b", "none")))
	code, _ = g.ask("POST", rbacPath+"namespaces/default/rolebindings", alice, "", bind("b", "reader"))
	require.Equal(t, 201, code)

	// The verbs bind and escalate lift it, for the names that they are given for.
	g.give("binder", `{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["cluster-admin"],"verbs":["bind"]}`)
	require.Contains(t, g.refused(403, alice, "POST", rbacPath+"clusterrolebindings", bind("c", "admin")), "not currently held")
	code, _ = g.ask("POST", rbacPath+"clusterrolebindings", alice, "", bind("c", "cluster-admin"))
	require.Equal(t, 201, code)
	g.give("escalator", `{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"verbs":["escalate"]}`)
	code, _ = g.ask("POST", rbacPath+"clusterroles", alice, "", role("big", `{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}`))
	require.Equal(t, 201, code)

	// A binding to a role that is gone is told.
	code, _ = g.ask("DELETE", rbacPath+"clusterroles/reader", g.admin(), "", "")
	require.Equal(t, 200, code)
	require.Contains(t, g.refused(403, alice, "POST", rbacPath+"namespaces/default/roles", role("s", csrs)), `; resolution errors: [clusterroles.rbac.authorization.k8s.io "reader" not found]`)
}

// TestImpersonation: the words of a refusal name the first way that was tried;
// the old verb impersonate still works.
func TestImpersonation(t *testing.T) {
	g := newRig(t, "--v=3")
	alice := g.peer("alice", "dev")
	as := func(peer [][]byte, headers ...string) (int, map[string]any) {
		r := g.do(peer, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, headers...)
		code, body := r.Code, map[string]any{}
		mustJSON(t, r.Body, &body)
		return code, body
	}
	info := func(body map[string]any) map[string]any {
		return body["status"].(map[string]any)["userInfo"].(map[string]any)
	}
	code, body := as(alice, "Impersonate-User", "bob")
	require.Equal(t, 403, code)
	require.Equal(t, `selfsubjectreviews.authentication.k8s.io is forbidden: User "alice" cannot impersonate-on:user-info:create resource "selfsubjectreviews" in API group "authentication.k8s.io" at the cluster scope`, body["message"])
	code, body = as(alice, "Impersonate-Group", "dev")
	require.Equal(t, 400, code)
	require.Equal(t, `requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"dev"}, Extra:map[string][]string(nil)} without impersonating a user name`, body["message"])

	code, body = as(g.admin(), "Impersonate-User", "bob", "Impersonate-Group", "ops", "Impersonate-Uid", "7", "Impersonate-Extra-Example.com%2fteam", "blue")
	require.Equal(t, 201, code)
	require.Equal(t, map[string]any{"username": "bob", "uid": "7", "groups": []any{"ops", "system:authenticated"}, "extra": map[string]any{"example.com/team": []any{"blue"}}}, info(body))
	_, body = as(g.admin(), "Impersonate-User", "system:serviceaccount:kube-system:x")
	require.Equal(t, []any{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"}, info(body)["groups"])
	_, body = as(g.admin(), "Impersonate-User", "system:node:n1")
	require.Equal(t, []any{"system:nodes", "system:authenticated"}, info(body)["groups"], "a node is a node")
	code, body = as(g.admin(), "Impersonate-User", "system:anonymous")
	require.Equal(t, 403, code)
	require.Contains(t, body["message"], `User "system:anonymous" cannot create resource "selfsubjectreviews"`)

	// The old verb, for one user.
	g.give("as-bob", `{"apiGroups":[""],"resources":["users"],"resourceNames":["bob"],"verbs":["impersonate"]}`)
	code, body = as(alice, "Impersonate-User", "bob")
	require.Equal(t, 201, code)
	require.Equal(t, "bob", info(body)["username"])
	require.Contains(t, g.lastLog(), `resp=201 addedInfo="alice[dev,system:authenticated] is impersonating bob[system:authenticated]"`)
	// A refusal is now of the way that was good before.
	code, body = as(alice, "Impersonate-User", "carol")
	require.Equal(t, 403, code)
	require.Equal(t, `users "carol" is forbidden: User "alice" cannot impersonate resource "users" in API group "" at the cluster scope`, body["message"])
	code, body = as(alice, "Impersonate-User", "bob", "Impersonate-Group", "system:masters")
	require.Equal(t, 403, code)
	require.Equal(t, `groups "system:masters" is forbidden: User "alice" cannot impersonate resource "groups" in API group "" at the cluster scope`, body["message"])

	// The new ones: who, and what may be done as them; never system:masters.
	g.give("as-carol", `{"apiGroups":["authentication.k8s.io"],"resources":["users"],"resourceNames":["carol"],"verbs":["impersonate:user-info"]},
		{"apiGroups":["authentication.k8s.io"],"resources":["groups"],"verbs":["impersonate:user-info"]},
		{"apiGroups":["authentication.k8s.io"],"resources":["selfsubjectreviews"],"verbs":["impersonate-on:user-info:create"]}`)
	code, _ = as(alice, "Impersonate-User", "carol", "Impersonate-Group", "ops")
	require.Equal(t, 201, code)
	code, body = as(alice, "Impersonate-User", "carol", "Impersonate-Group", "system:masters")
	require.Equal(t, 403, code)
	require.Contains(t, body["message"], "impersonating the system:masters group is not allowed")
	require.Equal(t, 403, g.do(alice, "GET", "/api/v1/namespaces", "", "Impersonate-User", "carol").Code)
}
