package api

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Nobody gives away rights that they do not have: a role may hold what its
// writer holds, a binding may give what its writer holds, unless the verbs
// escalate and bind say otherwise (Models pkg/registry/rbac/*/policybased).

// fullAuthority is what an aggregation rule can gather.
var fullAuthority = []rbacv1.PolicyRule{
	{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}},
	{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}},
}

func guardRole(x *exchange, r *resource, o, old object) error {
	n := o.(*rbacv1.Role)
	if old != nil && equality.Semantic.DeepEqual(n.Rules, old.(*rbacv1.Role).Rules) && onlyMetadataForGC(o, old) {
		return nil
	}
	return x.guardRules(r, n.Name, n.Rules)
}

func guardClusterRole(x *exchange, r *resource, o, old object) error {
	n := o.(*rbacv1.ClusterRole)
	gathers := func(c *rbacv1.ClusterRole) bool {
		return c.AggregationRule != nil && len(c.AggregationRule.ClusterRoleSelectors) > 0
	}
	all := gathers(n)
	if old != nil {
		was := old.(*rbacv1.ClusterRole)
		if equality.Semantic.DeepEqual(n.Rules, was.Rules) && equality.Semantic.DeepEqual(n.AggregationRule, was.AggregationRule) && onlyMetadataForGC(o, old) {
			return nil
		}
		all = all || gathers(was)
	}
	if err := x.guardRules(r, n.Name, n.Rules); err != nil {
		return err
	}
	if all && !x.mayEscalate(r) && x.lacks(fullAuthority) != nil {
		return apierrors.NewForbidden(r.gr(), n.Name, errors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

// onlyMetadataForGC: owner references and finalizers alone change nobody's rights.
func onlyMetadataForGC(o, old object) bool {
	return equality.Semantic.DeepEqual(meta(o).Labels, meta(old).Labels) && equality.Semantic.DeepEqual(meta(o).Annotations, meta(old).Annotations)
}

func (x *exchange) mayEscalate(r *resource) bool {
	if x.user.in(masters) {
		return true
	}
	ok, _ := x.s.authorize(&attributes{user: x.user, verb: "escalate", namespace: x.namespaceOf(r), group: r.Group, resource: r.Plural, name: x.info.name})
	return ok
}

func (x *exchange) guardRules(r *resource, name string, rules []rbacv1.PolicyRule) error {
	if x.mayEscalate(r) {
		return nil
	}
	if err := x.lacks(rules); err != nil {
		return apierrors.NewForbidden(r.gr(), name, err)
	}
	return nil
}

func guardClusterRoleBinding(x *exchange, r *resource, o, old object) error {
	n := o.(*rbacv1.ClusterRoleBinding)
	if old != nil {
		was := old.(*rbacv1.ClusterRoleBinding)
		if n.RoleRef == was.RoleRef && equality.Semantic.DeepEqual(n.Subjects, was.Subjects) && onlyMetadataForGC(o, old) {
			return nil
		}
	}
	return x.guardBinding(r, n.Name, "", n.RoleRef)
}

func guardRoleBinding(x *exchange, r *resource, o, old object) error {
	n := o.(*rbacv1.RoleBinding)
	if old != nil {
		was := old.(*rbacv1.RoleBinding)
		if n.RoleRef == was.RoleRef && equality.Semantic.DeepEqual(n.Subjects, was.Subjects) && onlyMetadataForGC(o, old) {
			return nil
		}
	}
	return x.guardBinding(r, n.Name, x.info.nspc, n.RoleRef)
}

func (x *exchange) guardBinding(r *resource, name, namespace string, ref rbacv1.RoleRef) error {
	if x.user.in(masters) {
		return nil
	}
	completeRef(&ref)
	plural := map[string]string{"ClusterRole": "clusterroles", "Role": "roles"}[ref.Kind]
	if plural == "" {
		return apierrors.NewInternalError(fmt.Errorf("unsupported role reference kind: %q", ref.Kind))
	}
	if ok, _ := x.s.authorize(&attributes{user: x.user, verb: "bind", namespace: namespace, group: ref.APIGroup, resource: plural, name: ref.Name}); ok {
		return nil
	}
	in := namespace
	if plural == "clusterroles" {
		in = ""
	}
	role := x.s.store.Get(plural, in, ref.Name)
	if role == nil {
		return apierrors.NewNotFound(resources[plural].gr(), ref.Name)
	}
	var rules []rbacv1.PolicyRule
	switch role := role.typed.(type) {
	case *rbacv1.ClusterRole:
		rules = role.Rules
	case *rbacv1.Role:
		rules = role.Rules
	}
	if err := x.lacks(rules); err != nil {
		return apierrors.NewForbidden(r.gr(), name, err)
	}
	return nil
}

// lacks says which of the rules the caller does not have (Models
// pkg/registry/rbac/validation ConfirmNoEscalation).
func (x *exchange) lacks(rules []rbacv1.PolicyRule) error {
	var own []rbacv1.PolicyRule
	var missing []string
	for _, b := range x.s.policy().bindings {
		if b.namespace != "" && b.namespace != x.info.nspc || !slices.ContainsFunc(b.subjects, func(s rbacv1.Subject) bool { return applies(&s, b.namespace, x.user) }) {
			continue
		}
		if b.missing != "" {
			missing = append(missing, apierrors.NewNotFound(resources[map[string]string{"Role": "roles", "ClusterRole": "clusterroles"}[b.roleKind]].gr(), b.role).Error())
		}
		own = append(own, b.rules...)
	}
	var lacking []rbacv1.PolicyRule
	for _, r := range rules {
		for _, one := range atoms(r) {
			if !slices.ContainsFunc(own, func(o rbacv1.PolicyRule) bool { return includes(&o, &one) }) {
				lacking = append(lacking, one)
			}
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	message := fmt.Sprintf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", x.user.Name, x.user.Groups, strings.Join(compact(lacking), "\n"))
	switch len(missing) {
	case 0:
	case 1:
		message += fmt.Sprintf("; resolution errors: [%s]", missing[0])
	default:
		message += fmt.Sprintf("; resolution errors: [[%s]]", strings.Join(missing, ", "))
	}
	return errors.New(message)
}

// atoms takes a rule apart into rules of one verb for one thing (Models
// component-helpers/auth/rbac/validation BreakdownRule).
func atoms(r rbacv1.PolicyRule) []rbacv1.PolicyRule {
	var out []rbacv1.PolicyRule
	for _, group := range r.APIGroups {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				one := rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}
				if len(r.ResourceNames) == 0 {
					out = append(out, one)
				}
				for _, name := range r.ResourceNames {
					one.ResourceNames = []string{name}
					out = append(out, one)
				}
			}
		}
	}
	for _, u := range r.NonResourceURLs {
		for _, verb := range r.Verbs {
			out = append(out, rbacv1.PolicyRule{NonResourceURLs: []string{u}, Verbs: []string{verb}})
		}
	}
	return out
}

// includes reports whether a rule gives all that an atom gives (Models
// component-helpers/auth/rbac/validation ruleCovers).
func includes(r, one *rbacv1.PolicyRule) bool {
	if !has(r.Verbs, one.Verbs[0]) {
		return false
	}
	if len(one.NonResourceURLs) > 0 {
		u := one.NonResourceURLs[0]
		return slices.ContainsFunc(r.NonResourceURLs, func(o string) bool {
			prefix, star := strings.CutSuffix(o, "*")
			return o == u || star && strings.HasPrefix(u, prefix)
		})
	}
	if !has(r.APIGroups, one.APIGroups[0]) {
		return false
	}
	what := one.Resources[0]
	if !has(r.Resources, what) {
		_, sub, ok := strings.Cut(what, "/")
		if !ok || !slices.Contains(r.Resources, "*/"+sub) {
			return false
		}
	}
	if len(r.ResourceNames) == 0 {
		return true
	}
	return len(one.ResourceNames) > 0 && slices.Contains(r.ResourceNames, one.ResourceNames[0])
}

// compact writes atoms as lines, those that differ in the verb alone as one
// (Models pkg/registry/rbac/validation CompactRules).
func compact(list []rbacv1.PolicyRule) []string {
	verbs := map[string][]string{}
	for _, r := range list {
		parts := []struct {
			name   string
			values []string
		}{{"APIGroups", r.APIGroups}, {"Resources", r.Resources}, {"NonResourceURLs", r.NonResourceURLs}, {"ResourceNames", r.ResourceNames}}
		var head []string
		for _, p := range parts {
			if len(p.values) > 0 {
				head = append(head, fmt.Sprintf("%s:%q", p.name, p.values))
			}
		}
		key := strings.Join(head, ", ")
		if len(r.NonResourceURLs) > 0 {
			// Those are not put together.
			key += "\x00" + r.Verbs[0]
		}
		verbs[key] = append(verbs[key], r.Verbs...)
	}
	var out []string
	for key, v := range verbs {
		head, _, _ := strings.Cut(key, "\x00")
		out = append(out, fmt.Sprintf("{%s, Verbs:%q}", head, v))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
