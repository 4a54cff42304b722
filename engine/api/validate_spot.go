package api

import (
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// spot is a place in an object that is looked at, and the list of what is wrong with the
// object. Its methods take the name of a field of it, or "" for the spot itself; a path
// is made only when something is wrong there.
type spot struct {
	at   *field.Path
	errs *field.ErrorList
}

// begin is the place from which everything is looked at.
func begin(errs *field.ErrorList, names ...string) spot {
	s := spot{nil, errs}
	for _, n := range names {
		s.at = s.at.Child(n)
	}
	return s
}

func (s spot) path(name string) *field.Path {
	if name == "" {
		return s.at
	}
	return s.at.Child(name)
}

func (s spot) in(name string) spot           { return spot{s.path(name), s.errs} }
func (s spot) item(list string, i int) spot  { return spot{s.path(list).Index(i), s.errs} }
func (s spot) key(name, key string) spot     { return spot{s.path(name).Key(key), s.errs} }
func (s spot) add(e *field.Error)            { *s.errs = append(*s.errs, e) }
func (s spot) must(name, detail string)      { s.add(field.Required(s.path(name), detail)) }
func (s spot) forbid(name, detail string)    { s.add(field.Forbidden(s.path(name), detail)) }
func (s spot) twice(name string, value any)  { s.add(field.Duplicate(s.path(name), value)) }
func (s spot) absent(name, value string)     { s.add(field.NotFound(s.path(name), value)) }
func (s spot) tooLong(name string, most int) { s.add(field.TooLong(s.path(name), "", most)) }

func (s spot) bad(name string, value any, detail string) {
	s.add(field.Invalid(s.path(name), value, detail))
}

// need says that a field is empty, and tells whether it is not.
func (s spot) need(name, value string) bool {
	if value == "" {
		s.must(name, "")
	}
	return value != ""
}

// says notes a value's errors in the words of a check.
func (s spot) says(name, value string, msgs []string) {
	for _, m := range msgs {
		s.bad(name, value, m)
	}
}

// word is a value of a type of its own in the real one: an error shows it as JSON.
type word string

// oneOf says that a value is none of those that there are.
func (s spot) oneOf(name, value string, known ...string) {
	if !slices.Contains(known, value) {
		s.add(field.NotSupported(s.path(name), word(value), known))
	}
}

// choice is a value that has to be there and to be one of those that there are.
func (s spot) choice(name, value string, known ...string) {
	if s.need(name, value) {
		s.oneOf(name, value, known...)
	}
}

// maybe is a value that may be left out.
func maybe[T ~string](s spot, name string, value *T, known ...string) {
	if value != nil {
		s.oneOf(name, string(*value), known...)
	}
}

// internal shows a value as one of the real one's internal types, whose fields have no
// other names.
type internal struct{ v any }

// MarshalJSON writes the value with the names of Go.
func (v internal) MarshalJSON() ([]byte, error) {
	return appendInternal(nil, reflect.ValueOf(v.v)), nil
}

func appendInternal(b []byte, v reflect.Value) []byte {
	list := func(n int, ends string, each func(i int)) {
		b = append(b, ends[0])
		for i := range n {
			if i > 0 {
				b = append(b, ',')
			}
			each(i)
		}
		b = append(b, ends[1])
	}
	switch k := v.Kind(); {
	case (k == reflect.Pointer || k == reflect.Slice || k == reflect.Map) && v.IsNil():
		return append(b, "null"...)
	case v.Type().Implements(marshaler):
	case k == reflect.Pointer:
		return appendInternal(b, v.Elem())
	case k == reflect.Struct:
		list(v.NumField(), "{}", func(i int) {
			b = append(appendQuoted(b, v.Type().Field(i).Name), ':')
			b = appendInternal(b, v.Field(i))
		})
		return b
	case k == reflect.Slice:
		list(v.Len(), "[]", func(i int) { b = appendInternal(b, v.Index(i)) })
		return b
	}
	return append(b, encode(v.Interface())...)
}

const (
	negative  = "must be greater than or equal to 0"
	immutable = "field is immutable" // is what is said of a field that keeps its value
	// oneType is said of a second source of a volume.
	oneType = "may not specify more than 1 volume type"
)

// natural says that a number is below 0 (Models ValidateNonnegativeField).
func (s spot) natural(name string, n int64) {
	if n < 0 {
		s.bad(name, n, negative)
	}
}

// port and portOrName are a number, or what stands for one.
func (s spot) port(name string, n int32) {
	for _, m := range validation.IsValidPortNum(int(n)) {
		s.bad(name, n, m)
	}
}

// labels, labelKey and selector validate labels and what selects by them (Models
// apimachinery/pkg/apis/meta/v1/validation).
func (s spot) labels(name string, m map[string]string) {
	for _, k := range sortedKeys(m) {
		s.labelKey(name, k)
		s.says(name, m[k], labelValue(m[k]))
	}
}

func (s spot) labelKey(name, key string) { s.says(name, key, qualified(key)) }

func labelValue(v string) []string {
	if v == "" || plainName(v) {
		return nil
	}
	return validation.IsValidLabelValue(v)
}

// qualified spares the names that nearly everybody uses the regular expressions.
func qualified(name string) []string {
	if domain, rest, ok := strings.Cut(name, "/"); plainName(rest) && plainName(domain) || !ok && plainName(name) {
		return nil
	}
	return validation.IsQualifiedName(name)
}

func (s spot) selector(name string, l *metav1.LabelSelector) {
	if l == nil {
		return
	}
	s = s.in(name)
	s.labels("matchLabels", l.MatchLabels)
	for i, r := range l.MatchExpressions {
		s := s.item("matchExpressions", i)
		if !s.values(string(r.Operator), len(r.Values)) {
			s.bad("operator", word(r.Operator), "not a valid selector operator")
		}
		s.labelKey("key", r.Key)
		for j, v := range r.Values {
			for _, m := range labelValue(v) {
				s.item("values", j).bad("", v, m)
			}
		}
	}
}

// values says that an operator has too many values or too few, and tells whether it is
// one of the four that all selectors have.
func (s spot) values(operator string, n int) bool {
	switch operator {
	case "In", "NotIn":
		if n == 0 {
			s.must("values", "must be specified when `operator` is 'In' or 'NotIn'")
		}
	case "Exists", "DoesNotExist":
		if n > 0 {
			s.forbid("values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
		}
	default:
		return false
	}
	return true
}

// ip and cidr are addresses as fields from before IPv6 have them; what an old object
// has stays (Models validation.IsValidIPForLegacyField).
func (s spot) ip(name, value string, old ...string) bool {
	errs := validation.IsValidIPForLegacyField(s.path(name), value, true, old)
	*s.errs = append(*s.errs, errs...)
	return len(errs) == 0
}

func (s spot) cidr(value string, old ...string) {
	*s.errs = append(*s.errs, validation.IsValidCIDRForLegacyField(s.at, value, true, old)...)
}

// dual says that there are two addresses, but not one of each family.
func dual(list []string) bool {
	return len(list) == 2 && strings.Contains(list[0], ":") != strings.Contains(list[1], ":")
}

// noDots says that a path leads upwards, relative also that it begins at the root, and
// local also that it begins with two dots (Models validatePathNoBacksteps,
// validateLocalDescendingPath and ValidateLocalNonReservedPath).
func (s spot) noDots(name, path string) {
	if slices.Contains(strings.Split(path, "/"), "..") {
		s.bad(name, path, "must not contain '..'")
	}
}

func (s spot) relative(name, path string) {
	if strings.HasPrefix(path, "/") {
		s.bad(name, path, "must be a relative path")
	}
	s.noDots(name, path)
}

func (s spot) local(name, path string) {
	s.relative(name, path)
	if strings.HasPrefix(path, "..") && !strings.HasPrefix(path, "../") {
		s.bad(name, path, "must not start with '..'")
	}
}
