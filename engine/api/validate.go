package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

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

// check validates the metadata and what the row adds. An update's metadata are looked at
// by what is common to all kinds, and once more by the kind, so that each of their errors
// is there more than once among the causes (Models apiserver/pkg/registry/rest
// BeforeCreate and BeforeUpdate).
func (x *exchange) check(r *resource, o, old object, sub string) (errs field.ErrorList) {
	more := func() {
		if r.validate != nil {
			errs = append(errs, r.validate(x, o, old, sub)...)
		}
	}
	s, m := begin(&errs, "metadata"), meta(o)
	switch {
	case r.Plural == "events" && old == nil: // its own check leaves the metadata out
		if more(); len(errs) == 0 {
			s.name(m, segment)
			s.meta(m)
		}
		return errs
	case old == nil:
		name := r.checkName
		if name == nil {
			name = segment
		}
		s.name(m, name)
		s.meta(m)
		s.finalizers(m)
	case !sameMeta(m, meta(old)):
		s.meta(m)
		s.change(m, meta(old))
		switch r.Plural {
		case "events":
		case "leases", "csidrivers":
			s.change(m, meta(old))
		case "csinodes":
			s.meta(m)
			s.finalizers(m)
		default:
			s.change(m, meta(old))
			if sub == "" {
				s.meta(m)
			}
			s.finalizers(m)
		}
	}
	more()
	return errs
}

// sameMeta reports that an update changes nothing of the metadata that is looked at.
func sameMeta(m, old *metav1.ObjectMeta) bool {
	return maps.Equal(m.Labels, old.Labels) && maps.Equal(m.Annotations, old.Annotations) && slices.Equal(m.Finalizers, old.Finalizers) &&
		len(m.OwnerReferences) == 0 && (m.DeletionTimestamp == nil) == (old.DeletionTimestamp == nil) &&
		(m.DeletionGracePeriodSeconds == nil) == (old.DeletionGracePeriodSeconds == nil)
}

// name validates a new object's name, and what one was made from: there a dash may end it.
func (s spot) name(m *metav1.ObjectMeta, check func(string) []string) {
	if g := m.GenerateName; g != "" {
		masked := g
		if len(g) > 1 && strings.HasSuffix(g, "-") {
			masked = g[:len(g)-2] + "a" // as the real one has it
		}
		s.says("generateName", g, check(masked))
	}
	if m.Name == "" {
		s.must("name", "name or generateName is required")
		return
	}
	s.says("name", m.Name, check(m.Name))
}

// meta models apimachinery/pkg/api/validation ValidateObjectMetaAccessor without the name.
func (s spot) meta(m *metav1.ObjectMeta) {
	s.natural("generation", m.Generation)
	s.notes(m)
	both := 0
	for _, f := range m.Finalizers {
		s.says("finalizers", f, qualified(f))
		if f == metav1.FinalizerOrphanDependents {
			both |= 1
		}
		if f == metav1.FinalizerDeleteDependents {
			both |= 2
		}
	}
	if both == 3 {
		s.bad("finalizers", m.Finalizers, fmt.Sprintf("finalizer %s and %s cannot be both set", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents))
	}
}

// notes are what creation and update look at in the same way.
func (s spot) notes(m *metav1.ObjectMeta) {
	s.labels("labels", m.Labels)
	s.annotations("annotations", m.Annotations)
	s.owners(m.OwnerReferences)
}

func (s spot) annotations(name string, m map[string]string) {
	size := 0
	for _, k := range sortedKeys(m) {
		s.says(name, k, qualified(strings.ToLower(k)))
		size += len(k) + len(m[k])
	}
	if size > annotationsLimit {
		s.tooLong(name, annotationsLimit)
	}
}

func (s spot) owners(list []metav1.OwnerReference) {
	first, s := "", s.in("ownerReferences")
	for _, r := range list {
		if r.APIVersion == "" {
			s.bad("apiVersion", r.APIVersion, "version must not be empty")
		}
		for _, f := range [][2]string{{"kind", r.Kind}, {"name", r.Name}, {"uid", string(r.UID)}} {
			if f[1] == "" {
				s.bad(f[0], "", "must not be empty")
			}
		}
		if r.APIVersion == "v1" && r.Kind == "Event" {
			s.bad("", r, "/v1, Kind=Event is disallowed from being an owner")
		}
		if r.Controller == nil || !*r.Controller {
			continue
		}
		if first == "" {
			first = r.Kind + "/" + r.Name
			continue
		}
		s.bad("", list, fmt.Sprintf("Only one reference can have Controller set to true. Found \"true\" in references for %v and %v", first, r.Kind+"/"+r.Name))
	}
}

// managerName validates who somebody says to be (Models ValidateFieldManager). Those in
// managedFields are not looked at: what somebody sends there is sorted out before.
func (s spot) managerName(name, value string) {
	if len(value) > 128 {
		s.tooLong(name, 128)
	}
	for i, r := range value {
		if !unicode.IsPrint(r) {
			s.bad(name, value, fmt.Sprintf("invalid character %#U (at position %d)", r, i))
		}
	}
}

// change models ValidateObjectMetaAccessorUpdate, as far as an update can get at it.
func (s spot) change(m, old *metav1.ObjectMeta) {
	if old.DeletionTimestamp != nil {
		var extra []string
		for _, f := range m.Finalizers {
			if !slices.Contains(old.Finalizers, f) {
				extra = append(extra, f)
			}
		}
		if slices.Sort(extra); len(extra) > 0 {
			s.forbid("finalizers", fmt.Sprintf("no new finalizers can be added if the object is being deleted, found new finalizers %#v", extra))
		}
	}
	if m.DeletionTimestamp != nil && old.DeletionTimestamp == nil {
		s.bad("deletionTimestamp", m.DeletionTimestamp, immutable)
	}
	if g := m.DeletionGracePeriodSeconds; g != nil && (old.DeletionGracePeriodSeconds == nil || *g != *old.DeletionGracePeriodSeconds) {
		s.bad("deletionGracePeriodSeconds", *g, immutable)
	}
	s.notes(m)
}

// finalizers that have no domain are Kubernetes' own (Models pkg/apis/core/validation
// validateKubeFinalizerName).
func (s spot) finalizers(m *metav1.ObjectMeta) {
	for i, f := range m.Finalizers {
		s.item("finalizers", i).standardFinalizer(f)
	}
}

func (s spot) standardFinalizer(f string) {
	if !strings.Contains(f, "/") && !slices.Contains([]string{"kubernetes", metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents}, f) {
		s.bad("", f, "name is neither a standard finalizer name nor is it fully qualified")
	}
}
