package api

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
)

const (
	bootstrapLabel  = "kubernetes.io/bootstrapping"
	autoupdate      = "rbac.authorization.kubernetes.io/autoupdate"
	aggregatePrefix = "rbac.authorization.k8s.io/aggregate-to-"
)

// bootstrapRBAC creates the default roles and bindings that are missing, and
// gives those that are there what they lack: what somebody added stays. One
// that says autoupdate "false" is left alone (Models the post-start hook
// rbac/bootstrap-roles, pkg/registry/rbac/rest/storage_rbac.go).
func (x *exchange) bootstrapRBAC(d *era.RBACDefaults) {
	x.migrate(d)
	for _, r := range d.Roles {
		m := defaultMeta(r.Namespace, r.Name)
		if r.Into != "" {
			m.Labels[aggregatePrefix+r.Into] = "true"
		}
		if r.Namespace != "" {
			x.reconcile("roles", &rbacv1.Role{ObjectMeta: m, Rules: policyRules(r.Rules)})
			continue
		}
		o := &rbacv1.ClusterRole{ObjectMeta: m, Rules: policyRules(r.Rules)}
		if r.From != "" {
			o.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{aggregatePrefix + r.From: "true"}}}}
			if x.s.store.Get("clusterroles", "", r.Name) == nil {
				o.Rules = aggregate(d.Roles, r.From)
			}
		}
		x.reconcile("clusterroles", o)
	}
	for _, b := range d.Bindings {
		role := b.Role
		if role == "" {
			role = b.Name
		}
		m := defaultMeta(b.Namespace, b.Name)
		if b.Namespace != "" {
			x.reconcile("rolebindings", &rbacv1.RoleBinding{ObjectMeta: m, Subjects: subjects(b.Subjects), RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "Role", Name: role}})
		} else {
			x.reconcile("clusterrolebindings", &rbacv1.ClusterRoleBinding{ObjectMeta: m, Subjects: subjects(b.Subjects), RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: role}})
		}
	}
}

// migrate takes along what a release before had under another name: the rules
// of a role that is aggregated now, and whom system:discovery was bound to
// (Models primeAggregatedClusterRoles and primeSplitClusterRoleBindings).
func (x *exchange) migrate(d *era.RBACDefaults) {
	s := x.s
	for _, r := range d.Roles {
		old := s.store.Get("clusterroles", "", r.Into)
		if r.Name != "system:aggregate-to-"+r.Into || old == nil || s.store.Get("clusterroles", "", r.Name) != nil {
			continue
		}
		was := old.typed.(*rbacv1.ClusterRole)
		if was.AggregationRule != nil {
			break
		}
		s.log(x.c, 'I', 1, "storage_rbac.go:369", "migrating "+was.Name+" to "+r.Name)
		x.ensure("clusterroles", &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: r.Name, Labels: maps.Clone(was.Labels), Annotations: maps.Clone(was.Annotations)}, Rules: was.DeepCopy().Rules})
	}
	const from, to = "system:discovery", "system:public-info-viewer"
	old := s.store.Get("clusterrolebindings", "", from)
	if old == nil || s.store.Get("clusterrolebindings", "", to) != nil || !slices.ContainsFunc(d.Bindings, func(b era.RBACBinding) bool { return b.Name == to }) {
		return
	}
	was := old.typed.(*rbacv1.ClusterRoleBinding)
	s.log(x.c, 'I', 1, "storage_rbac.go:405", fmt.Sprintf("copying subjects, labels, and annotations from ClusterRoleBinding %q to template %q", from, to))
	x.ensure("clusterrolebindings", &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: to, Labels: maps.Clone(was.Labels), Annotations: maps.Clone(was.Annotations)},
		Subjects: slices.Clone(was.Subjects), RoleRef: rbacv1.RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: to}})
}

// reconcile makes one object what it should be at least.
func (x *exchange) reconcile(plural string, want object) {
	s, r := x.s, x.s.catalog.of[plural]
	name, in := strings.ToLower(r.Kind)+"."+rbacGroup+"/"+meta(want).Name, ""
	if meta(want).Namespace != "" {
		in = " in " + meta(want).Namespace
	}
	said := era.RBACCreatedV.In(s.era)
	stored := s.store.Get(plural, meta(want).Namespace, meta(want).Name)
	if stored == nil {
		x.ensure(plural, want)
		s.log(x.c, 'I', said, "storage_rbac.go:226", "created "+name+in)
		return
	}
	old := stored.typed
	lacked, lacks, gathers, changed := "permissions", []string(nil), false, object(nil)
	switch old := old.(type) {
	case *rbacv1.Role:
		n := *old
		n.Rules, lacks = giveRules(old.Rules, want.(*rbacv1.Role).Rules)
		changed = &n
	case *rbacv1.ClusterRole:
		n, want := *old, want.(*rbacv1.ClusterRole)
		n.Rules, lacks = giveRules(old.Rules, want.Rules)
		n.AggregationRule = gathering(old.AggregationRule, want.AggregationRule)
		gathers = n.AggregationRule != old.AggregationRule // otherwise than it should
		changed = &n
	case *rbacv1.RoleBinding:
		n, want := *old, want.(*rbacv1.RoleBinding)
		n.Subjects, lacks = giveSubjects(old.Subjects, want.Subjects)
		lacked, changed = "subjects", &n
		if old.RoleRef != want.RoleRef {
			changed = want
		}
	case *rbacv1.ClusterRoleBinding:
		n, want := *old, want.(*rbacv1.ClusterRoleBinding)
		n.Subjects, lacks = giveSubjects(old.Subjects, want.Subjects)
		lacked, changed = "subjects", &n
		if old.RoleRef != want.RoleRef {
			changed = want
		}
	}
	other := changed == want // a binding of another role is made anew
	labels, annotations := merged(meta(old).Labels, meta(want).Labels), merged(meta(old).Annotations, meta(want).Annotations)
	if !other && !gathers && len(lacks) == 0 && len(labels) == len(meta(old).Labels) && len(annotations) == len(meta(old).Annotations) {
		return
	}
	switch {
	case meta(old).Annotations[autoupdate] == "false":
		if other {
			lacks = nil
		}
		s.log(x.c, 'W', 0, "storage_rbac.go:222", fmt.Sprintf("skipped reconcile-protected %s%s with missing %s: %v", name, in, lacked, lacks))
		return
	case other:
		s.store.remove(plural, meta(old).Namespace, meta(old).Name)
		x.ensure(plural, want)
		s.log(x.c, 'I', said, "storage_rbac.go:258", "recreated "+name+in)
	default:
		meta(changed).Labels, meta(changed).Annotations = labels, annotations
		manage(r, changed, old, "", "kube-apiserver", x.now())
		s.store.put(r, changed)
		s.flush(x.c)
		s.log(x.c, 'I', said, "storage_rbac.go:224", fmt.Sprintf("updated %s%s with additional %s: %v", name, in, lacked, lacks))
	}
	s.store.reconsider(x.c)
}

// giveRules adds to a role's rules what they do not give, verb by verb, and
// says what that is, as Go prints it.
func giveRules(have, want []rbacv1.PolicyRule) ([]rbacv1.PolicyRule, []string) {
	var lacks []rbacv1.PolicyRule
	var said []string
	for i, w := range want {
		if i < len(have) && same(have[i], w) {
			continue
		}
		for _, one := range atoms(w) {
			if !slices.ContainsFunc(have, func(h rbacv1.PolicyRule) bool { return includes(&h, &one) }) {
				lacks = append(lacks, one)
				said = append(said, fmt.Sprintf("{%v %v %v %v %v}", one.Verbs, one.APIGroups, one.Resources, one.ResourceNames, one.NonResourceURLs))
			}
		}
	}
	return append(slices.Clip(have), lacks...), said
}

func same(a, b rbacv1.PolicyRule) bool {
	return slices.Equal(a.Verbs, b.Verbs) && slices.Equal(a.APIGroups, b.APIGroups) && slices.Equal(a.Resources, b.Resources) &&
		slices.Equal(a.ResourceNames, b.ResourceNames) && slices.Equal(a.NonResourceURLs, b.NonResourceURLs)
}

// giveSubjects does the same for a binding's subjects.
func giveSubjects(have, want []rbacv1.Subject) ([]rbacv1.Subject, []string) {
	var said []string
	all := slices.Clip(have)
	for _, w := range want {
		if !slices.Contains(all, w) {
			all = append(all, w)
			said = append(said, "{"+w.Kind+" "+w.APIGroup+" "+w.Name+" "+w.Namespace+"}")
		}
	}
	return all, said
}

// gathering is an aggregation with the selectors that it lacked: the same one
// when it lacked none, and none when the role should not be aggregated.
func gathering(have, want *rbacv1.AggregationRule) *rbacv1.AggregationRule {
	if have == nil || want == nil {
		return want
	}
	n := *have
	for _, w := range want.ClusterRoleSelectors {
		if !slices.ContainsFunc(have.ClusterRoleSelectors, func(h metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(h, w) }) {
			n.ClusterRoleSelectors = append(slices.Clip(n.ClusterRoleSelectors), w)
		}
	}
	if len(n.ClusterRoleSelectors) == len(have.ClusterRoleSelectors) {
		return have
	}
	return &n
}

// merged are the labels or annotations with those that are missing; what is
// there stays.
func merged(have, want map[string]string) map[string]string {
	all := maps.Clone(want)
	maps.Copy(all, have)
	return all
}

// aggregate is the union that kube-controller-manager's
// clusterrole-aggregation controller writes into admin, edit and view.
func aggregate(roles []era.RBACRole, into string) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range roles {
		if r.Into != into {
			continue
		}
		if r.From != "" {
			out = append(out, aggregate(roles, r.From)...)
		}
		out = append(out, policyRules(r.Rules)...)
	}
	return out
}

func defaultMeta(namespace, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{bootstrapLabel: "rbac-defaults"}, Annotations: map[string]string{autoupdate: "true"}}
}

// words splits a fact's words; "core" is the API group "".
func words(text string) []string {
	var out []string
	for _, w := range strings.Fields(text) {
		if w == "core" {
			w = ""
		}
		out = append(out, w)
	}
	return out
}

// policyRules turns an era's rules into those of rbac/v1.
func policyRules(list []era.RBACRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, r := range list {
		out = append(out, rbacv1.PolicyRule{Verbs: words(r.Verbs), APIGroups: words(r.Groups), Resources: words(r.Resources), ResourceNames: words(r.Names), NonResourceURLs: words(r.URLs)})
	}
	return out
}

func subjects(list []string) []rbacv1.Subject {
	var out []rbacv1.Subject
	for _, text := range list {
		kind, name, _ := strings.Cut(text, " ")
		s := rbacv1.Subject{Kind: kind, Name: name, APIGroup: rbacGroup}
		if kind == rbacv1.ServiceAccountKind {
			s.APIGroup, s.Namespace, s.Name = "", path.Dir(name), path.Base(name)
		}
		out = append(out, s)
	}
	return out
}
