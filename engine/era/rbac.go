package era

import "strings"

// RBACRule is one rule of a default role. Words are separated by blanks; the
// API group "" is written "core". A rule with URLs is about paths.
type RBACRule struct{ Verbs, Groups, Resources, Names, URLs string }

// RBACRole is a role that kube-apiserver creates when it starts: a ClusterRole,
// or with Namespace a Role. A role with From has no rules of its own: it is the
// union of all roles which go Into that name.
type RBACRole struct {
	Namespace, Name string
	Into, From      string
	Rules           []RBACRule
}

// RBACBinding is a default ClusterRoleBinding, or with Namespace a
// RoleBinding. Role is empty when it has the binding's name. Subjects read
// "Group name", "User name" or "ServiceAccount namespace/name".
type RBACBinding struct {
	Namespace, Name, Role string
	Subjects              []string
}

// RBACDefaults is all that kube-apiserver creates for RBAC, in order.
type RBACDefaults struct {
	Roles    []RBACRole
	Bindings []RBACBinding
}

// DefaultRBAC is what an API server creates at its start when it is missing,
// labelled kubernetes.io/bootstrapping=rbac-defaults.
var DefaultRBAC = row("DefaultRBAC", Fact[RBACDefaults]{
	Value:  RBACDefaults{Roles: defaultRoles(), Bindings: defaultBindings()},
	Source: "plugin/pkg/auth/authorizer/rbac/bootstrappolicy at 1.36; golden a-default-rbac",
})

// Sets of verbs that many rules share.
const (
	read  = "get list watch"
	write = "create delete deletecollection patch update"
	all   = "create delete deletecollection get list patch update watch"
)

// events lets a component report events.
var events = RBACRule{Verbs: "create patch update", Groups: "core events.k8s.io", Resources: "events"}

func defaultRoles() []RBACRole {
	out := append([]RBACRole(nil), clusterRoles...)
	out = append(out, controllerRoles...)
	return append(out, namespaceRoles...)
}

// defaultBindings gives every controller's role to the service account of the
// same name, as bootstrappolicy.addControllerRole does.
func defaultBindings() []RBACBinding {
	out := append([]RBACBinding(nil), clusterRoleBindings...)
	for _, r := range controllerRoles {
		out = append(out, RBACBinding{Name: r.Name, Subjects: []string{"ServiceAccount kube-system/" + strings.TrimPrefix(r.Name, "system:controller:")}})
	}
	return append(out, namespaceRoleBindings...)
}

var clusterRoleBindings = []RBACBinding{
	{Name: "cluster-admin", Subjects: []string{"Group system:masters"}},
	{Name: "system:basic-user", Subjects: []string{"Group system:authenticated"}},
	{Name: "system:discovery", Subjects: []string{"Group system:authenticated"}},
	{Name: "system:kube-controller-manager", Subjects: []string{"User system:kube-controller-manager"}},
	{Name: "system:kube-dns", Subjects: []string{"ServiceAccount kube-system/kube-dns"}},
	{Name: "system:kube-scheduler", Subjects: []string{"User system:kube-scheduler"}},
	{Name: "system:monitoring", Subjects: []string{"Group system:monitoring"}},
	{Name: "system:node"},
	{Name: "system:node-proxier", Subjects: []string{"User system:kube-proxy"}},
	{Name: "system:public-info-viewer", Subjects: []string{"Group system:authenticated", "Group system:unauthenticated"}},
	{Name: "system:service-account-issuer-discovery", Subjects: []string{"Group system:serviceaccounts"}},
	{Name: "system:volume-scheduler", Subjects: []string{"User system:kube-scheduler"}},
}

// namespaceRoles and namespaceRoleBindings stand in kube-system and kube-public.
var namespaceRoles = []RBACRole{
	{Namespace: "kube-public", Name: "system:controller:bootstrap-signer", Rules: []RBACRule{
		{Verbs: read, Groups: "core", Resources: "configmaps"},
		{Verbs: "update", Groups: "core", Resources: "configmaps", Names: "cluster-info"},
		events,
	}},
	{Namespace: "kube-system", Name: "extension-apiserver-authentication-reader", Rules: []RBACRule{
		{Verbs: read, Groups: "core", Resources: "configmaps", Names: "extension-apiserver-authentication"},
	}},
	{Namespace: "kube-system", Name: "system::leader-locking-kube-controller-manager", Rules: []RBACRule{
		{Verbs: "create get list update watch", Groups: "coordination.k8s.io", Resources: "leases"},
		{Verbs: "create get list update watch", Groups: "coordination.k8s.io", Resources: "leasecandidates"},
	}},
	{Namespace: "kube-system", Name: "system::leader-locking-kube-scheduler", Rules: []RBACRule{
		{Verbs: "create get list update watch", Groups: "coordination.k8s.io", Resources: "leases"},
		{Verbs: "create get list update watch", Groups: "coordination.k8s.io", Resources: "leasecandidates"},
	}},
	{Namespace: "kube-system", Name: "system:controller:bootstrap-signer", Rules: []RBACRule{
		{Verbs: read, Groups: "core", Resources: "secrets"},
	}},
	{Namespace: "kube-system", Name: "system:controller:cloud-provider", Rules: []RBACRule{
		{Verbs: "create get list watch", Groups: "core", Resources: "configmaps"},
	}},
	{Namespace: "kube-system", Name: "system:controller:token-cleaner", Rules: []RBACRule{
		{Verbs: "delete get list watch", Groups: "core", Resources: "secrets"},
		events,
	}},
}

var namespaceRoleBindings = []RBACBinding{
	{Namespace: "kube-public", Name: "system:controller:bootstrap-signer", Subjects: []string{"ServiceAccount kube-system/bootstrap-signer"}},
	{Namespace: "kube-system", Name: "system::extension-apiserver-authentication-reader", Role: "extension-apiserver-authentication-reader", Subjects: []string{"User system:kube-controller-manager", "User system:kube-scheduler"}},
	{Namespace: "kube-system", Name: "system::leader-locking-kube-controller-manager", Subjects: []string{"User system:kube-controller-manager", "ServiceAccount kube-system/kube-controller-manager", "ServiceAccount kube-system/leader-election-controller"}},
	{Namespace: "kube-system", Name: "system::leader-locking-kube-scheduler", Subjects: []string{"User system:kube-scheduler", "ServiceAccount kube-system/kube-scheduler"}},
	{Namespace: "kube-system", Name: "system:controller:bootstrap-signer", Subjects: []string{"ServiceAccount kube-system/bootstrap-signer"}},
	{Namespace: "kube-system", Name: "system:controller:cloud-provider", Subjects: []string{"ServiceAccount kube-system/cloud-provider"}},
	{Namespace: "kube-system", Name: "system:controller:token-cleaner", Subjects: []string{"ServiceAccount kube-system/token-cleaner"}},
}
