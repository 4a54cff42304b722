package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func subdomain(name string) []string {
	if plainName(name) {
		return nil
	}
	return validation.IsDNS1123Subdomain(name)
}

func label(name string) []string {
	if plainName(name) && !strings.Contains(name, ".") {
		return nil
	}
	return validation.IsDNS1123Label(name)
}

// plainName spares nearly every name the regular expressions: lowercase letters,
// digits, - and . between them, short enough for a label.
func plainName(name string) bool {
	last := byte('.')
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' && last != '.':
		case c == '.' && last != '.' && last != '-':
		default:
			return false
		}
		last = name[i]
	}
	return last != '.' && last != '-' && len(name) <= 63
}

// segment is the rule for names without a rule of their own: they must fit
// into a path (Models apimachinery/pkg/api/validation/path).
func segment(name string) []string {
	for _, bad := range []string{".", ".."} {
		if name == bad {
			return []string{fmt.Sprintf("may not be '%s'", bad)}
		}
	}
	var errs []string
	for _, bad := range []string{"/", "%"} {
		if strings.Contains(name, bad) {
			errs = append(errs, fmt.Sprintf("may not contain '%s'", bad))
		}
	}
	return errs
}

// checkMeta validates metadata (Models apimachinery/pkg/api/validation ValidateObjectMeta).
func checkMeta(r *resource, o, old object) field.ErrorList {
	var errs field.ErrorList
	at, m := field.NewPath("metadata"), meta(o)
	check := r.checkName
	if check == nil {
		check = segment
	}
	switch {
	case old != nil: // the name is that of the path
	case m.Name == "":
		errs = append(errs, field.Required(at.Child("name"), "name or generateName is required"))
	default:
		for _, e := range check(m.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), m.Name, e))
		}
	}
	for _, k := range sortedKeys(m.Labels) {
		for _, e := range validation.IsQualifiedName(k) {
			errs = append(errs, field.Invalid(at.Child("labels"), k, e))
		}
		if v := m.Labels[k]; v == "" || plainName(v) {
			continue
		}
		for _, e := range validation.IsValidLabelValue(m.Labels[k]) {
			errs = append(errs, field.Invalid(at.Child("labels"), m.Labels[k], e))
		}
	}
	size := 0
	for _, k := range sortedKeys(m.Annotations) {
		for _, e := range validation.IsQualifiedName(strings.ToLower(k)) {
			errs = append(errs, field.Invalid(at.Child("annotations"), k, e))
		}
		size += len(k) + len(m.Annotations[k])
	}
	if size > annotationsLimit {
		errs = append(errs, field.TooLong(at.Child("annotations"), "", annotationsLimit))
	}
	errs = append(errs, checkOwners(at.Child("ownerReferences"), m.OwnerReferences)...)
	var was *metav1.ObjectMeta
	if old != nil {
		was = meta(old)
	}
	return append(errs, checkFinalizers(at.Child("finalizers"), m, was)...)
}

func checkKeys(at *field.Path, keys []string) field.ErrorList {
	var errs field.ErrorList
	for _, k := range keys {
		for _, e := range validation.IsConfigMapKey(k) {
			errs = append(errs, field.Invalid(at.Key(k), k, e))
		}
	}
	return errs
}

// secret turns stringData into data and gives the default type.
func secret(_ *exchange, o, old object, _ string) {
	s := o.(*corev1.Secret)
	for k, v := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
		if old != nil {
			s.Type = old.(*corev1.Secret).Type
		}
	}
}

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

func checkClusterRoleBinding(_ *exchange, o, old object, _ string) field.ErrorList {
	b := o.(*rbacv1.ClusterRoleBinding)
	errs := checkRef(b.RoleRef, []string{"ClusterRole"})
	errs = append(errs, checkSubjects(b.Subjects, false)...)
	if old != nil && old.(*rbacv1.ClusterRoleBinding).RoleRef != b.RoleRef {
		errs = append(errs, field.Invalid(field.NewPath("roleRef"), b.RoleRef, "cannot change roleRef"))
	}
	return errs
}

func checkRoleBinding(_ *exchange, o, old object, _ string) field.ErrorList {
	b := o.(*rbacv1.RoleBinding)
	errs := checkRef(b.RoleRef, []string{"ClusterRole", "Role"})
	errs = append(errs, checkSubjects(b.Subjects, true)...)
	if old != nil && old.(*rbacv1.RoleBinding).RoleRef != b.RoleRef {
		errs = append(errs, field.Invalid(field.NewPath("roleRef"), b.RoleRef, "cannot change roleRef"))
	}
	return errs
}

func checkRef(r rbacv1.RoleRef, kinds []string) field.ErrorList {
	var errs field.ErrorList
	at := field.NewPath("roleRef")
	if r.APIGroup != rbacGroup {
		errs = append(errs, field.NotSupported(at.Child("apiGroup"), r.APIGroup, []string{rbacGroup}))
	}
	if !has(kinds, r.Kind) {
		errs = append(errs, field.NotSupported(at.Child("kind"), r.Kind, kinds))
	}
	if r.Name == "" {
		return append(errs, field.Required(at.Child("name"), ""))
	}
	for _, e := range segment(r.Name) {
		errs = append(errs, field.Invalid(at.Child("name"), r.Name, e))
	}
	return errs
}

func checkSubjects(list []rbacv1.Subject, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i, s := range list {
		at := field.NewPath("subjects").Index(i)
		if s.Name == "" {
			errs = append(errs, field.Required(at.Child("name"), ""))
		}
		switch s.Kind {
		case rbacv1.ServiceAccountKind:
			if s.Name != "" {
				errs = append(errs, says(at.Child("name"), s.Name, subdomain(s.Name))...)
			}
			if s.APIGroup != "" {
				errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{""}))
			}
			if !namespaced && s.Namespace == "" {
				errs = append(errs, field.Required(at.Child("namespace"), ""))
			}
		case rbacv1.UserKind, rbacv1.GroupKind:
			if s.APIGroup != rbacGroup {
				errs = append(errs, field.NotSupported(at.Child("apiGroup"), s.APIGroup, []string{rbacGroup}))
			}
		default:
			errs = append(errs, field.NotSupported(at.Child("kind"), s.Kind, []string{rbacv1.ServiceAccountKind, rbacv1.UserKind, rbacv1.GroupKind}))
		}
	}
	return errs
}

func checkRole(_ *exchange, o, _ object, _ string) field.ErrorList {
	return checkRules(o.(*rbacv1.Role).Rules, true)
}

func checkClusterRole(_ *exchange, o, _ object, _ string) field.ErrorList {
	r := o.(*rbacv1.ClusterRole)
	errs := checkRules(r.Rules, false)
	if a := r.AggregationRule; a != nil && len(a.ClusterRoleSelectors) == 0 {
		errs = append(errs, field.Required(field.NewPath("aggregationRule", "clusterRoleSelectors"), "at least one clusterRoleSelector required if aggregationRule is non-nil"))
	}
	return errs
}

func checkRules(list []rbacv1.PolicyRule, namespaced bool) field.ErrorList {
	var errs field.ErrorList
	for i, r := range list {
		at := field.NewPath("rules").Index(i)
		if len(r.Verbs) == 0 {
			errs = append(errs, field.Required(at.Child("verbs"), "verbs must contain at least one value"))
		}
		if len(r.NonResourceURLs) > 0 {
			if namespaced {
				errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "namespaced rules cannot apply to non-resource URLs"))
			}
			if len(r.APIGroups) > 0 || len(r.Resources) > 0 || len(r.ResourceNames) > 0 {
				errs = append(errs, field.Invalid(at.Child("nonResourceURLs"), r.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
			}
			continue
		}
		if len(r.APIGroups) == 0 {
			errs = append(errs, field.Required(at.Child("apiGroups"), "resource rules must supply at least one api group"))
		}
		if len(r.Resources) == 0 {
			errs = append(errs, field.Required(at.Child("resources"), "resource rules must supply at least one resource"))
		}
	}
	return errs
}

// deviceSlice is a ResourceSlice; the devices are kept as they came. Models
// k8s.io/api/resource/v1, whose own types are 2 % of a page's program.
type deviceSlice struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		Driver string `json:"driver"`
		Pool   struct {
			Name               string `json:"name"`
			Generation         int64  `json:"generation"`
			ResourceSliceCount int64  `json:"resourceSliceCount"`
		} `json:"pool"`
		NodeName               *string              `json:"nodeName,omitempty"`
		NodeSelector           *corev1.NodeSelector `json:"nodeSelector,omitempty"`
		AllNodes               *bool                `json:"allNodes,omitempty"`
		Devices                json.RawMessage      `json:"devices,omitempty"`
		PerDeviceNodeSelection *bool                `json:"perDeviceNodeSelection,omitempty"`
		SharedCounters         json.RawMessage      `json:"sharedCounters,omitempty"`
	} `json:"spec"`
}

// resourceSlice validates whose devices a slice lists, and in which pool; the devices
// themselves are not looked at. Models pkg/apis/resource/validation
// ValidateResourceSlice.
func resourceSlice(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	s, path := &o.(*deviceSlice).Spec, field.NewPath("spec")
	if s.Driver == "" {
		errs = append(errs, field.Required(path.Child("driver"), ""))
	}
	if s.Pool.Name == "" {
		errs = append(errs, field.Required(path.Child("pool", "name"), ""))
	}
	if n := s.Pool.ResourceSliceCount; n <= 0 {
		errs = append(errs, field.Invalid(path.Child("pool", "resourceSliceCount"), n, "must be greater than zero"))
	}
	if n := s.Pool.Generation; n < 0 {
		errs = append(errs, field.Invalid(path.Child("pool", "generation"), n, "must be greater than or equal to zero"))
	}
	if old != nil {
		was := &old.(*deviceSlice).Spec
		if s.Pool.Name != was.Pool.Name {
			errs = append(errs, field.Invalid(path.Child("pool", "name"), s.Pool.Name, immutable))
		}
		if s.Driver != was.Driver {
			errs = append(errs, field.Invalid(path.Child("driver"), s.Driver, immutable))
		}
		if !reflect.DeepEqual(s.NodeName, was.NodeName) {
			errs = append(errs, field.Invalid(path.Child("nodeName"), s.NodeName, immutable))
		}
	}
	if s.NodeName != nil && *s.NodeName == "" {
		errs = append(errs, field.Invalid(path.Child("nodeName"), "", "must be either unset or set to a non-empty string"))
	}
	var set []string
	for _, f := range []struct {
		name string
		on   bool
	}{{"nodeName", s.NodeName != nil && *s.NodeName != ""}, {"nodeSelector", s.NodeSelector != nil}, {"allNodes", s.AllNodes != nil && *s.AllNodes}, {"perDeviceNodeSelection", s.PerDeviceNodeSelection != nil && *s.PerDeviceNodeSelection}} {
		if f.on {
			set = append(set, "`"+f.name+"`")
		}
	}
	const one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
	switch len(set) {
	case 0:
		errs = append(errs, field.Required(path, one))
	case 1:
	default:
		errs = append(errs, field.Invalid(path, "{"+strings.Join(set, ", ")+"}", one+", but multiple fields are set"))
	}
	return errs
}

// immutable is what is said of a field that keeps its value.
const immutable = "field is immutable"
