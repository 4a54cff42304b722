package api

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/era"
)

// rules is the RBAC policy in a form that is quick to ask. It is derived from
// the store and made again when an object of rbac.authorization.k8s.io changed.
type rules struct {
	prefix   string    // of reasons
	bindings []binding // ClusterRoleBindings, then RoleBindings, by key
	// of remembers the bindings of users, by their name and groups, and would
	// which of the default roles allow what was refused.
	of       map[string][]bound
	defaults []candidate
	would    map[string][]string
}

// bound is a binding that applies to a user, by one of its subjects.
type bound struct {
	*binding
	subject *rbacv1.Subject
	reason  string
}

// mostRemembered bounds what the rules remember.
const mostRemembered = 1 << 12

// boundTo are the bindings that apply to a user, in order.
func (p *rules) boundTo(u *user) []bound {
	key := u.Name + "\x00" + strings.Join(u.Groups, "\x00")
	if list, ok := p.of[key]; ok {
		return list
	}
	var out []bound
	for i := range p.bindings {
		b := &p.bindings[i]
		j := slices.IndexFunc(b.subjects, func(sub rbacv1.Subject) bool { return applies(&sub, b.namespace, u) })
		if j >= 0 {
			s := &b.subjects[j]
			out = append(out, bound{b, s, fmt.Sprintf("%sallowed by %s %q of %s %q to %s", p.prefix, b.kind, objectName(b), b.roleKind, b.role, describe(s))})
		}
	}
	if p.of == nil || len(p.of) >= mostRemembered {
		p.of = map[string][]bound{}
	}
	p.of[key] = out
	return out
}

// binding is a binding with the rules of its role.
type binding struct {
	kind, namespace, name string
	roleKind, role        string
	subjects              []rbacv1.Subject
	rules                 []rbacv1.PolicyRule
	missing               string // the role's name when it does not exist
}

var rbacResources = []string{"clusterroles", "clusterrolebindings", "roles", "rolebindings"}

// policy returns the rules in force.
func (s *Server) policy() *rules {
	fresh := s.rules != nil
	if fresh {
		events, ok := s.store.since(s.rulesSeen)
		fresh = ok && !slices.ContainsFunc(events, func(e Event) bool { return slices.Contains(rbacResources, e.Object.Resource) })
	}
	s.rulesSeen = s.store.Version
	if fresh {
		return s.rules
	}
	p := &rules{prefix: era.RBACReason.In(s.era)}
	for _, o := range s.store.Tables["clusterrolebindings"] {
		b := o.typed.(*rbacv1.ClusterRoleBinding)
		p.add(s, binding{kind: "ClusterRoleBinding", name: b.Name, roleKind: b.RoleRef.Kind, role: b.RoleRef.Name, subjects: b.Subjects})
	}
	for _, o := range s.store.Tables["rolebindings"] {
		b := o.typed.(*rbacv1.RoleBinding)
		p.add(s, binding{kind: "RoleBinding", namespace: b.Namespace, name: b.Name, roleKind: b.RoleRef.Kind, role: b.RoleRef.Name, subjects: b.Subjects})
	}
	s.rules = p
	return p
}

func (p *rules) add(s *Server, b binding) {
	if b.roleKind == "Role" {
		if o := s.store.Get("roles", b.namespace, b.role); o != nil {
			b.rules = o.typed.(*rbacv1.Role).Rules
		} else {
			b.missing = fmt.Sprintf("role.rbac.authorization.k8s.io %q not found", b.role)
		}
	} else if o := s.store.Get("clusterroles", "", b.role); o != nil {
		b.rules = o.typed.(*rbacv1.ClusterRole).Rules
	} else {
		b.missing = fmt.Sprintf("clusterrole.rbac.authorization.k8s.io %q not found", b.role)
	}
	p.bindings = append(p.bindings, b)
}

// byRBAC models plugin/pkg/auth/authorizer/rbac: cluster bindings first, then
// those of the namespace; the first rule that covers the request allows.
func byRBAC(s *Server, a *attributes) (bool, string) {
	var missing []string
	for _, b := range s.policy().boundTo(a.user) {
		if b.namespace != "" && b.namespace != a.namespace {
			continue
		}
		if b.missing != "" {
			missing = append(missing, b.missing)
			continue
		}
		for k := range b.rules {
			if covers(&b.rules[k], a) {
				return true, b.reason
			}
		}
	}
	switch len(missing) {
	case 0:
		return false, era.NoRBACRule.In(s.era)
	case 1:
		return false, era.RBACReason.In(s.era) + missing[0]
	}
	return false, era.RBACReason.In(s.era) + "[" + strings.Join(missing, ", ") + "]"
}

func objectName(b *binding) string {
	if b.namespace == "" {
		return b.name
	}
	return b.name + "/" + b.namespace
}

func describe(s *rbacv1.Subject) string {
	if s.Kind == rbacv1.ServiceAccountKind {
		return fmt.Sprintf("%s %q", s.Kind, s.Name+"/"+s.Namespace)
	}
	return fmt.Sprintf("%s %q", s.Kind, s.Name)
}

func applies(s *rbacv1.Subject, namespace string, u *user) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return s.Name == u.Name
	case rbacv1.GroupKind:
		return u.in(s.Name)
	case rbacv1.ServiceAccountKind:
		ns := s.Namespace
		if ns == "" {
			ns = namespace
		}
		rest, ok := strings.CutPrefix(u.Name, "system:serviceaccount:")
		return ok && ns != "" && rest == ns+":"+s.Name
	}
	return false
}

// covers reports whether a rule allows what is asked (Models
// pkg/registry/rbac/validation and pkg/apis/rbac/v1 evaluation_helpers).
func covers(r *rbacv1.PolicyRule, a *attributes) bool {
	if !has(r.Verbs, a.verb) {
		return false
	}
	if a.resource == "" {
		return slices.ContainsFunc(r.NonResourceURLs, func(u string) bool {
			prefix, star := strings.CutSuffix(u, "*")
			return u == a.path || star && strings.HasPrefix(a.path, prefix)
		})
	}
	if !has(r.APIGroups, a.group) {
		return false
	}
	if !has(r.Resources, a.full()) && (a.sub == "" || !slices.Contains(r.Resources, "*/"+a.sub)) {
		return false
	}
	return len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, a.name)
}

func has(list []string, want string) bool {
	for _, x := range list {
		if x == want || x == "*" {
			return true
		}
	}
	return false
}
