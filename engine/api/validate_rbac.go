package api

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against roles and bindings. Models pkg/apis/rbac/validation.

const rbacGroup = "rbac.authorization.k8s.io"

// completeRef and completeSubjects fill in what rbac v1 defaults (Models pkg/apis/rbac/v1 SetDefaults).
func completeRef(r *rbacv1.RoleRef) {
	if r.APIGroup == "" {
		r.APIGroup = rbacGroup
	}
}

func completeSubjects(list []rbacv1.Subject) {
	for i := range list {
		if s := &list[i]; s.APIGroup == "" && (s.Kind == rbacv1.UserKind || s.Kind == rbacv1.GroupKind) {
			s.APIGroup = rbacGroup
		}
	}
}

func clusterRoleBinding(_ *exchange, o, _ object, _ string) {
	b := o.(*rbacv1.ClusterRoleBinding)
	completeRef(&b.RoleRef)
	completeSubjects(b.Subjects)
}

func roleBinding(_ *exchange, o, _ object, _ string) {
	b := o.(*rbacv1.RoleBinding)
	completeRef(&b.RoleRef)
	completeSubjects(b.Subjects)
}

func checkClusterRoleBinding(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	b, s := o.(*rbacv1.ClusterRoleBinding), begin(&errs)
	s.binding(b.RoleRef, b.Subjects, "ClusterRole")
	if old != nil {
		s.sameRef(b.RoleRef, old.(*rbacv1.ClusterRoleBinding).RoleRef)
	}
	return errs
}

func checkRoleBinding(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	b, s := o.(*rbacv1.RoleBinding), begin(&errs)
	s.binding(b.RoleRef, b.Subjects, "Role", "ClusterRole")
	if old != nil {
		s.sameRef(b.RoleRef, old.(*rbacv1.RoleBinding).RoleRef)
	}
	return errs
}

func (s spot) sameRef(now, was rbacv1.RoleRef) {
	if now != was {
		s.bad("roleRef", internal{now}, "cannot change roleRef")
	}
}

// plainOf says that a text is none of those that there are.
func (s spot) plainOf(name, value string, known ...string) {
	for _, k := range known {
		if value == k {
			return
		}
	}
	s.add(field.NotSupported(s.path(name), value, known))
}

func (s spot) binding(r rbacv1.RoleRef, subjects []rbacv1.Subject, kinds ...string) {
	ref := s.in("roleRef")
	ref.plainOf("apiGroup", r.APIGroup, rbacGroup)
	ref.plainOf("kind", r.Kind, kinds...)
	if ref.need("name", r.Name) {
		ref.says("name", r.Name, segment(r.Name))
	}
	for i, sub := range subjects {
		s := s.item("subjects", i)
		named := s.need("name", sub.Name)
		switch sub.Kind {
		case rbacv1.ServiceAccountKind:
			if named {
				s.says("name", sub.Name, subdomain(sub.Name))
			}
			s.plainOf("apiGroup", sub.APIGroup, "")
			if len(kinds) == 1 {
				s.need("namespace", sub.Namespace)
			}
		case rbacv1.UserKind, rbacv1.GroupKind:
			s.plainOf("apiGroup", sub.APIGroup, rbacGroup)
		default:
			s.plainOf("kind", sub.Kind, rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind)
		}
	}
}

func checkRole(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	begin(&errs).rules(o.(*rbacv1.Role).Rules, true)
	return errs
}

func checkClusterRole(_ *exchange, o, _ object, _ string) (errs field.ErrorList) {
	r, s := o.(*rbacv1.ClusterRole), begin(&errs)
	s.rules(r.Rules, false)
	a := r.AggregationRule
	if a == nil {
		return errs
	}
	s = s.in("aggregationRule")
	if len(a.ClusterRoleSelectors) == 0 {
		s.must("clusterRoleSelectors", "at least one clusterRoleSelector required if aggregationRule is non-nil")
	}
	for i := range a.ClusterRoleSelectors {
		s := s.item("clusterRoleSelectors", i)
		before := len(errs)
		if s.selector("", &a.ClusterRoleSelectors[i]); len(errs) > before {
			s.bad("", nil, "invalid label selector.")
		}
	}
	return errs
}

func (s spot) rules(list []rbacv1.PolicyRule, namespaced bool) {
	for i, r := range list {
		s := s.item("rules", i)
		if len(r.Verbs) == 0 {
			s.must("verbs", "verbs must contain at least one value")
		}
		if len(r.NonResourceURLs) > 0 {
			if namespaced {
				s.bad("nonResourceURLs", r.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs")
			}
			if len(r.APIGroups) > 0 || len(r.Resources) > 0 || len(r.ResourceNames) > 0 {
				s.bad("nonResourceURLs", r.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs")
			}
			continue
		}
		if len(r.APIGroups) == 0 {
			s.must("apiGroups", "resource rules must supply at least one api group")
		}
		if len(r.Resources) == 0 {
			s.must("resources", "resource rules must supply at least one resource")
		}
	}
}
