package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// fieldTree is the FieldsV1 format: "f:name" a field, `k:{"type":"Ready"}` an
// item of a keyed list, `v:"x"` an item of a set, "." the thing itself.
type fieldTree map[string]fieldTree

// keyedLists are lists whose items are known by a field, and setLists those
// whose items are known by value; other lists are one value. They are +listType
// of k8s.io/api, by JSON name.
var (
	keyedLists = map[string]string{"conditions": "type", "addresses": "type", "containers": "name", "initContainers": "name", "volumes": "name",
		"env": "name", "volumeMounts": "mountPath", "ownerReferences": "uid", "imagePullSecrets": "name", "secrets": "name", "drivers": "name"}
	setLists = map[string]bool{"finalizers": true, "podCIDRs": true}
	// atomicMaps are maps that are one value.
	atomicMaps = map[string]bool{"selector": true, "nodeSelector": true, "matchLabels": true}
)

// systemFields of metadata are never tracked.
var systemFields = strings.Fields("name namespace uid resourceVersion creationTimestamp generation managedFields selfLink deletionTimestamp deletionGracePeriodSeconds")

var marshaler = reflect.TypeFor[json.Marshaler]()

// leaves collects what is set in v, as path and value.
func leaves(path string, name string, v reflect.Value, out map[string]string) {
	pointer := false
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return
		}
		pointer = true
		if v.Type().Implements(marshaler) {
			break
		}
		v = v.Elem()
	}
	whole := func() { out[path] = string(encode(v.Interface())) }
	t := v.Type()
	if t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
		whole()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		before := len(out)
		structLeaves(path, v, out)
		if pointer && len(out) > before {
			out[path+"\x00."] = ""
		} else if len(out) == before {
			out[path] = ""
		}
	case reflect.Map:
		if atomicMaps[name] {
			whole()
			return
		}
		out[path+"\x00."] = ""
		for _, k := range v.MapKeys() {
			leaves(path+"\x00f:"+k.String(), k.String(), v.MapIndex(k), out)
		}
	case reflect.Slice:
		listLeaves(path, name, v, out, whole)
	default:
		whole()
	}
}

func listLeaves(path, name string, v reflect.Value, out map[string]string, whole func()) {
	key := keyedLists[name]
	elem := v.Type().Elem()
	switch {
	case setLists[name]:
		out[path+"\x00."] = ""
		for i := range v.Len() {
			out[path+"\x00v:"+string(encode(v.Index(i).Interface()))] = ""
		}
	case key != "" && elem.Kind() == reflect.Struct:
		out[path+"\x00."] = ""
		for i := range v.Len() {
			id := fieldNamed(v.Index(i), key)
			if !id.IsValid() {
				whole()
				return
			}
			p := path + "\x00k:" + string(encode(map[string]any{key: id.Interface()}))
			out[p+"\x00."] = ""
			structLeaves(p, v.Index(i), out)
		}
	default:
		whole()
	}
}

func fieldNamed(v reflect.Value, name string) reflect.Value {
	for i := range v.NumField() {
		if n, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ","); n == name {
			return v.Field(i)
		}
	}
	return reflect.Value{}
}

// structLeaves walks the fields that JSON would write.
func structLeaves(path string, v reflect.Value, out map[string]string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag := f.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		fv := v.Field(i)
		if name == "" {
			if f.Anonymous && fv.Kind() == reflect.Struct {
				structLeaves(path, fv, out)
			}
			continue
		}
		if empty(fv) && (strings.Contains(opts, "omitempty") || fv.Kind() == reflect.Slice || fv.Kind() == reflect.Pointer || fv.Kind() == reflect.Map) || fv.IsZero() && fv.Kind() == reflect.Struct {
			continue
		}
		leaves(path+"\x00f:"+name, name, fv, out)
	}
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// tracked is what managedFields say of an object: the set fields, without what
// the system owns.
func tracked(o object) map[string]string {
	out := map[string]string{}
	v := reflect.ValueOf(o).Elem()
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fv := v.Field(i)
		switch {
		case name == "" || empty(fv):
		case name == "metadata":
			structLeaves("\x00f:metadata", fv, out)
			for _, s := range systemFields {
				drop(out, "\x00f:metadata\x00f:"+s)
			}
		case fv.Kind() == reflect.Struct && (name == "spec" || name == "status"):
			structLeaves("\x00f:"+name, fv, out)
		default:
			leaves("\x00f:"+name, name, fv, out)
		}
	}
	// roleRef is atomic in rbac's schema.
	if v.FieldByName("RoleRef").IsValid() {
		drop(out, "\x00f:roleRef")
		out["\x00f:roleRef"] = string(encode(v.FieldByName("RoleRef").Interface()))
	}
	return out
}

// without leaves out top-level fields.
func without(m map[string]string, skip []string) map[string]string {
	if len(skip) == 0 {
		return m
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		top, _, _ := strings.Cut(k[len("\x00f:"):], "\x00")
		if !slices.Contains(skip, top) {
			out[k] = v
		}
	}
	return out
}

// drop removes a path and what is below it.
func drop(m map[string]string, path string) {
	for k := range m {
		if k == path || strings.HasPrefix(k, path+"\x00") {
			delete(m, k)
		}
	}
}

// tree turns paths into FieldsV1.
func tree(paths []string) []byte {
	root := fieldTree{}
	for _, p := range paths {
		at := root
		for _, s := range strings.Split(p[1:], "\x00") {
			if at[s] == nil {
				at[s] = fieldTree{}
			}
			at = at[s]
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(root)
	return bytes.TrimRight(b.Bytes(), "\n")
}

// paths is tree's inverse. Fields with nothing below are members; others are
// only when they have a ".".
func (t fieldTree) paths(prefix string, out []string) []string {
	for _, k := range sortedKeys(t) {
		if len(t[k]) == 0 {
			out = append(out, prefix+"\x00"+k)
		} else {
			out = t[k].paths(prefix+"\x00"+k, out)
		}
	}
	return out
}

// manager is who changes an object: ?fieldManager, else the User-Agent up to "/".
func (x *exchange) manager() string {
	if m := x.query.Get("fieldManager"); m != "" {
		return m
	}
	if m, _, _ := strings.Cut(x.r.Header.Get("User-Agent"), "/"); m != "" {
		return m
	}
	return "unknown"
}

// manage writes managedFields as a creation or an Update does: what changed
// belongs to its manager now. An object that has none stays without.
// apimachinery's managedfields are not used: they read the wall clock.
func (x *exchange) manage(r *resource, o, old object, sub string) {
	manage(r, o, old, sub, x.manager(), x.now())
}

func manage(r *resource, o, old object, sub, manager string, now metav1.Time) {
	skip := r.untracked[sub]
	everything := tracked(o)
	set := without(everything, skip)
	var was map[string]string
	var entries []metav1.ManagedFieldsEntry
	if old != nil {
		if len(old.GetManagedFields()) == 0 {
			o.SetManagedFields(nil)
			return
		}
		was = without(tracked(old), skip)
		for _, e := range old.GetManagedFields() {
			entries = append(entries, *e.DeepCopy())
		}
	}
	var mine []string
	for k, v := range set {
		if w, ok := was[k]; !ok || w != v {
			mine = append(mine, k)
		}
	}
	gv := r.gv().String()
	var out []metav1.ManagedFieldsEntry
	found := false
	for _, e := range entries {
		before := fieldPaths(e.FieldsV1)
		own := e.Manager == manager && e.Subresource == sub && e.Operation == metav1.ManagedFieldsOperationUpdate && e.APIVersion == gv
		after := slices.DeleteFunc(slices.Clone(before), func(p string) bool {
			_, still := everything[p]
			return !still || !own && slices.Contains(mine, p) && !strings.HasSuffix(p, "\x00.")
		})
		if own {
			found = true
			after = append(after, mine...)
		}
		slices.Sort(after)
		after = slices.Compact(after)
		if len(after) == 0 {
			continue
		}
		if !slices.Equal(before, after) {
			e.FieldsV1 = &metav1.FieldsV1{Raw: tree(after)}
			if own {
				e.Time = &now
			}
		}
		out = append(out, e)
	}
	if !found && len(mine) > 0 {
		slices.Sort(mine)
		out = append(out, metav1.ManagedFieldsEntry{Manager: manager, Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: gv, Time: &now, FieldsType: "FieldsV1", FieldsV1: &metav1.FieldsV1{Raw: tree(mine)}, Subresource: sub})
	}
	slices.SortStableFunc(out, func(a, b metav1.ManagedFieldsEntry) int {
		if c := a.Time.Compare(b.Time.Time); c != 0 {
			return c
		}
		if c := strings.Compare(a.Manager, b.Manager); c != 0 {
			return c
		}
		return strings.Compare(a.Subresource, b.Subresource)
	})
	o.SetManagedFields(out)
}

func fieldPaths(f *metav1.FieldsV1) []string {
	if f == nil {
		return nil
	}
	var t fieldTree
	if json.Unmarshal(f.Raw, &t) != nil {
		return nil
	}
	out := t.paths("", nil)
	slices.Sort(out)
	return out
}
