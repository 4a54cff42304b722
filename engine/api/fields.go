package api

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"sort"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A field's path in an object is written as FieldsV1 names its steps, each
// after a zero byte: "f:name" a field, `k:{"type":"Ready"}` an item of a keyed
// list, `v:"x"` an item of a set, "." the thing itself. In the order of paths
// what is below a field follows it at once.

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

// leaf is a field that is set, with its path.
type leaf struct {
	path string
	v    reflect.Value
}

// leafRoom holds lists of leaves to be used again.
var leafRoom = sync.Pool{New: func() any { return new([]leaf) }}

// top is the top-level field that a leaf belongs to: "spec".
func (l leaf) top() string {
	name, _, _ := strings.Cut(l.path[len("\x00f:"):], "\x00")
	return name
}

// equal reports whether two leaves of one path have the same value in JSON.
func (l leaf) equal(o leaf) bool {
	if !l.v.IsValid() || !o.v.IsValid() {
		return l.v.IsValid() == o.v.IsValid()
	}
	if l.v.Kind() == reflect.String && o.v.Kind() == reflect.String {
		return l.v.String() == o.v.String()
	}
	a, b := l.v.Interface(), o.v.Interface()
	return reflect.DeepEqual(a, b) || bytes.Equal(encode(a), encode(b))
}

// find looks a path up in sorted leaves.
func find(list []leaf, path string) (int, bool) {
	return slices.BinarySearchFunc(list, path, func(l leaf, p string) int { return strings.Compare(l.path, p) })
}

// plan is what managedFields see in a Go type at a place of an object: made
// once for each type, because every write asks.
type plan struct {
	index int
	step  string // "\x00f:name", or "" for what is inlined
	path  string // from the top of the object, or from the item of a keyed list
	form  breaking
	// always: also when it is empty, as JSON writes it.
	always bool
	fields []plan // of a struct, or of the items of a keyed list
	key    int    // of a keyed list, the field that tells items apart
	keyed  string // its JSON name
}

// breaking says how a value is broken into leaves.
type breaking byte

const (
	whole breaking = iota
	structure
	contents // a structure that is never a leaf itself
	pointed  // a pointer to a structure
	mapping
	set
	keyed
)

var plans sync.Map // reflect.Type to []plan

// plansOf are the plans of an object's top-level fields.
func plansOf(t reflect.Type) []plan {
	if p, ok := plans.Load(t); ok {
		return p.([]plan)
	}
	var out []plan
	for _, p := range structPlans(t) {
		switch p.step {
		case "":
			continue // TypeMeta
		case "\x00f:metadata":
			p.form = contents
			p.fields = slices.DeleteFunc(p.fields, func(f plan) bool { return slices.Contains(systemFields, strings.TrimPrefix(f.step, "\x00f:")) })
		case "\x00f:spec", "\x00f:status":
			if p.form == structure {
				p.form = contents
			}
		case "\x00f:roleRef":
			p.form = whole // atomic in rbac's schema
		}
		out = append(out, p)
	}
	place(out, "")
	sorted(out)
	plans.Store(t, out)
	return out
}

// place tells plans where they are, so that no path is put together when an object
// is looked at.
func place(fields []plan, path string) {
	for i := range fields {
		p := &fields[i]
		p.path = path + p.step
		if p.form == keyed {
			place(p.fields, "")
		} else {
			place(p.fields, p.path)
		}
	}
}

// sorted puts fields in the order of their paths, so that little is left to sort
// when an object is looked at.
func sorted(fields []plan) {
	sort.SliceStable(fields, func(i, j int) bool { return fields[i].step < fields[j].step })
	for i := range fields {
		sorted(fields[i].fields)
	}
}

// structPlans are the fields that JSON would write.
func structPlans(t reflect.Type) []plan {
	var out []plan
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, opts, _ := strings.Cut(tag, ",")
		if tag == "-" || !f.IsExported() {
			continue
		}
		p := plan{index: i}
		if name == "" {
			if !f.Anonymous || f.Type.Kind() != reflect.Struct {
				continue
			}
			p.form, p.fields, p.always = contents, structPlans(f.Type), true
		} else {
			p.step = "\x00f:" + name
			p.always = !strings.Contains(opts, "omitempty") && !slices.Contains([]reflect.Kind{reflect.Slice, reflect.Pointer, reflect.Map, reflect.Struct}, f.Type.Kind())
			p.read(name, f.Type)
		}
		out = append(out, p)
	}
	return out
}

// read decides how values of a type are broken up.
func (p *plan) read(name string, t reflect.Type) {
	if t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		if e := t.Elem(); e.Kind() == reflect.Struct && !e.Implements(marshaler) && !t.Implements(marshaler) {
			p.form, p.fields = pointed, structPlans(e)
		}
	case reflect.Struct:
		p.form, p.fields = structure, structPlans(t)
	case reflect.Map:
		if !atomicMaps[name] {
			p.form = mapping
		}
	case reflect.Slice:
		e := t.Elem()
		switch {
		case setLists[name]:
			p.form = set
		case keyedLists[name] != "" && e.Kind() == reflect.Struct:
			p.keyed, p.fields = keyedLists[name], structPlans(e)
			for _, f := range p.fields {
				if f.step == "\x00f:"+p.keyed {
					p.form, p.key = keyed, f.index
				}
			}
		}
	}
}

// tracked is what managedFields say of an object, by path: the fields that are
// set, without what the system owns.
// They are added to out.
func tracked(o object, out []leaf) []leaf {
	v := reflect.ValueOf(o).Elem()
	plans := plansOf(v.Type())
	for i := range plans {
		if f := v.Field(plans[i].index); !empty(f) {
			out = plans[i].leaves("", f, out)
		}
	}
	slices.SortFunc(out, func(a, b leaf) int { return strings.Compare(a.path, b.path) })
	return out
}

// leaves adds those of a value that is not empty. Before is the path of the item
// of a keyed list that it is in, if any.
func (p *plan) leaves(before string, v reflect.Value, out []leaf) []leaf {
	path := p.path
	if before != "" {
		path = before + path
	}
	switch p.form {
	case structure, contents, pointed:
		if p.form == pointed {
			v = v.Elem()
		}
		n := len(out)
		out = within(p.fields, before, v, out)
		switch {
		case len(out) == n && p.form != contents:
			out = append(out, leaf{path: path})
		case p.form == pointed:
			out = append(out, leaf{path: path + "\x00."})
		}
	case mapping:
		out = append(out, leaf{path: path + "\x00."})
		for it := v.MapRange(); it.Next(); {
			out = append(out, leaf{path + "\x00f:" + it.Key().String(), it.Value()})
		}
	case set:
		out = append(out, leaf{path: path + "\x00."})
		for i := range v.Len() {
			out = append(out, leaf{path: path + "\x00v:" + quoted(v.Index(i).String())})
		}
	case keyed:
		out = append(out, leaf{path: path + "\x00."})
		for i := range v.Len() {
			at := path + "\x00k:{" + quoted(p.keyed) + ":" + keyText(v.Index(i).Field(p.key)) + "}"
			out = append(out, leaf{path: at + "\x00."})
			out = within(p.fields, at, v.Index(i), out)
		}
	default:
		for v.Kind() == reflect.Pointer && !v.Type().Implements(marshaler) {
			v = v.Elem()
		}
		out = append(out, leaf{path, v})
	}
	return out
}

// keyText is the JSON of a field by which items are told apart.
func keyText(v reflect.Value) string {
	if v.Kind() == reflect.String && !v.Type().Implements(marshaler) {
		return quoted(v.String())
	}
	return string(encode(v.Interface()))
}

// within adds the leaves of a struct's fields.
func within(fields []plan, before string, v reflect.Value, out []leaf) []leaf {
	for i := range fields {
		f := &fields[i]
		if fv := v.Field(f.index); f.always || !empty(fv) {
			out = f.leaves(before, fv, out)
		}
	}
	return out
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	}
	return v.IsZero()
}

// fieldsOf writes sorted paths as FieldsV1.
func fieldsOf(paths []string) *metav1.FieldsV1 {
	size := 2
	for _, p := range paths {
		size += len(p) / 2
	}
	b := make([]byte, 0, size)
	var open []string // the steps that are open
	steps := make([]string, 0, 8)
	b = append(b, '{')
	for _, p := range paths {
		steps = steps[:0]
		for rest := p[1:]; ; {
			step, more, ok := strings.Cut(rest, "\x00")
			steps = append(steps, step)
			if !ok {
				break
			}
			rest = more
		}
		same := 0
		for same < len(open) && same < len(steps) && open[same] == steps[same] {
			same++
		}
		for range len(open) - same {
			b = append(b, '}')
		}
		open = append(open[:same], steps[same:]...)
		for _, s := range steps[same:] {
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(appendQuoted(b, s), ":{"...)
		}
	}
	for range len(open) + 1 {
		b = append(b, '}')
	}
	return &metav1.FieldsV1{Raw: b}
}

// appendQuoted writes a JSON string, and leaves <, > and & as they are.
func appendQuoted(b []byte, s string) []byte {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			plain = false
		}
	}
	if !plain {
		var w bytes.Buffer
		e := json.NewEncoder(&w)
		e.SetEscapeHTML(false)
		_ = e.Encode(s)
		return append(b, bytes.TrimRight(w.Bytes(), "\n")...)
	}
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

func quoted(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return string(encode(s))
		}
	}
	return `"` + s + `"`
}

// read remembers the paths of FieldsV1: thousands of nodes have the same. It
// is a pure function's memory, so what is in it changes nothing but the cost.
var read = struct {
	sync.Mutex
	paths map[string][]string
}{paths: map[string][]string{}}

const mostRead = 1 << 12

// fieldPaths is fieldsOf's inverse. Fields with nothing below are members;
// others are only when they have a ".".
func fieldPaths(f *metav1.FieldsV1) []string {
	if f == nil {
		return nil
	}
	read.Lock()
	defer read.Unlock()
	if p, ok := read.paths[string(f.Raw)]; ok {
		return p
	}
	var t fieldTree
	if json.Unmarshal(f.Raw, &t) != nil {
		return nil
	}
	out := t.paths("", nil)
	slices.Sort(out)
	if len(read.paths) >= mostRead {
		clear(read.paths)
	}
	read.paths[string(f.Raw)] = out
	return out
}

type fieldTree map[string]fieldTree

func (t fieldTree) paths(prefix string, out []string) []string {
	for k, below := range t {
		if len(below) == 0 {
			out = append(out, prefix+"\x00"+k)
		} else {
			out = below.paths(prefix+"\x00"+k, out)
		}
	}
	return out
}
