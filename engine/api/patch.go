package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// patch is the body of a PATCH.
type patch struct {
	kind string
	data []byte
}

// patchKinds are the formats that are served; apply patches are not.
const patchKinds = "application/json-patch+json, application/merge-patch+json, " + strategic

const strategic = "application/strategic-merge-patch+json"

func (x *exchange) readPatch() (*patch, error) {
	kind, _, err := mime.ParseMediaType(x.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(strings.Split(patchKinds, ", "), kind) {
		return nil, unsupportedMedia("the body of the request was in an unknown format - accepted media types include: " + patchKinds)
	}
	return &patch{kind, x.r.Body}, nil
}

// generic reads JSON into maps and lists; numbers stay as they are written.
func generic(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(into)
}

// mostOperations may stand in one JSON patch.
const mostOperations = 10000

// apply makes the patched object of the current one, both as JSON, and returns also what
// a strict reader has against the patch (Models apiserver/pkg/endpoints/handlers
// applyJSPatch and strategicPatchObject). An error without a Status is one of the server.
func (p *patch) apply(r *resource, current []byte, strict bool) (_ []byte, extra []error, err error) {
	read := func(into any) error {
		if !strict {
			return kjson.UnmarshalCaseSensitivePreserveInts(p.data, into)
		}
		extra, err = kjson.UnmarshalStrict(p.data, into)
		return err
	}
	if p.kind == "application/json-patch+json" {
		var doc map[string]any
		if err := generic(current, &doc); err != nil {
			return nil, nil, apierrors.NewInternalError(err)
		}
		var ops []operation
		if err := read(&ops); err != nil {
			return nil, nil, badPatch(err, strict)
		}
		for i, e := range extra {
			extra[i] = fmt.Errorf("json patch %v", e)
		}
		if n := len(ops); n > mostOperations {
			return nil, nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", mostOperations, n))
		}
		var out any = doc
		for _, o := range ops {
			var err error
			if out, err = o.apply(out); err != nil {
				// It is not told which operation it was that failed, nor why.
				return nil, nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
			}
		}
		return encode(out), extra, nil
	}
	var change map[string]any
	if err := read(&change); err != nil {
		switch {
		case p.kind == strategic:
			return nil, nil, apierrors.NewBadRequest(err.Error())
		case !strict:
			return nil, nil, apierrors.NewBadRequest("Invalid JSON Patch")
		}
		return nil, nil, badPatch(err, true)
	}
	var m merger
	var t reflect.Type
	doc := members(json.RawMessage(current))
	if p.kind == strategic {
		t = reflect.TypeOf(r.New()).Elem()
		// Nobody looks at what a strategic patch says of these.
		delete(change, "kind")
		delete(change, "apiVersion")
	}
	if doc = m.merge(doc, change, t); m.err != nil {
		return nil, nil, m.err
	}
	return encode(doc), extra, nil
}

// badPatch is a patch that is none; the type that it names is the server's own.
func badPatch(err error, strict bool) error {
	text := strings.NewReplacer("api.operation", "handlers.jsonPatchOp").Replace(err.Error())
	if strict {
		text = "error decoding patch: " + text
	}
	return apierrors.NewBadRequest(text)
}

// decodePatched reads what a patch made. What is wrong with it is wrong with the patch.
func (x *exchange) decodePatched(r *resource, p *patch, data []byte, extra []error, want schema.GroupVersionKind, o object) error {
	err := x.decodeJSON(data, extra, want, o)
	if err == nil {
		return nil
	}
	text := err.Error()
	var is metav1.TypeMeta
	_ = json.Unmarshal(data, &is)
	got := schema.FromAPIVersionAndKind(is.APIVersion, is.Kind)
	if _, strict, ok := strings.Cut(text, "strict decoding error: "); ok && x.strictness() == "Strict" {
		text = "strict decoding error: " + strict
	} else if !x.s.catalog.kinds[got] {
		text = fmt.Sprintf("no kind %q is registered for version %q in scheme %q", got.Kind, got.GroupVersion(), "pkg/api/legacyscheme/scheme.go:30")
	} else if got != want {
		text = fmt.Sprintf("unable to decode %s into *%s.%s", got, groupWord(want.Group), want.Kind)
	} else if _, broken := kjson.UnmarshalStrict(data, r.New()); broken != nil {
		text = broken.Error()
	}
	shown := string(data)
	if p.kind == strategic {
		var change map[string]any
		_ = kjson.UnmarshalCaseSensitivePreserveInts(p.data, &change)
		shown = fmt.Sprintf("%+v", change)
	}
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), shown, text)})
}

// members are those of a JSON object, read no further than that: a patch speaks of
// few of them.
func members(v any) map[string]any {
	raw, ok := v.(json.RawMessage)
	if !ok {
		m, _ := v.(map[string]any)
		return m
	}
	var parts map[string]json.RawMessage
	if json.Unmarshal(raw, &parts) != nil || parts == nil {
		return nil
	}
	out := make(map[string]any, len(parts))
	for k, p := range parts {
		out[k] = p
	}
	return out
}

// items are those of a JSON list.
func items(v any) []any {
	raw, ok := v.(json.RawMessage)
	if !ok {
		list, _ := v.([]any)
		return list
	}
	var out []any
	if kjson.UnmarshalCaseSensitivePreserveInts(raw, &out) != nil {
		return nil
	}
	return out
}

// merger merges, and remembers what it could not.
type merger struct{ err error }

func (m *merger) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// badDirective is one that can't be read (Models apimachinery/pkg/util/mergepatch).
func (m *merger) badDirective(of string) {
	m.fail(apierrors.NewBadRequest("invalid patch format of " + of))
}

// merge is RFC 7386, and with the Go type t a strategic merge: lists whose
// field has a patchMergeKey are merged item by item (Models
// apimachinery/pkg/util/strategicpatch).
func (m *merger) merge(doc, change map[string]any, t reflect.Type) map[string]any {
	if d, ok := change["$patch"]; ok && t != nil {
		switch d {
		case "replace":
			delete(change, "$patch")
			return change
		case "delete":
			return map[string]any{}
		}
		m.fail(fmt.Errorf("unknown patch type: %s in map: %v", d, change))
	}
	if doc == nil {
		doc = map[string]any{}
	}
	if keep, ok := change["$retainKeys"]; ok && t != nil {
		m.retain(doc, change, keep)
	}
	for _, k := range sortedKeys(change) {
		v := change[k]
		if strings.HasPrefix(k, "$") && t != nil {
			m.directive(doc, change, k, v)
			continue
		}
		switch v := v.(type) {
		case nil:
			delete(doc, k)
		case map[string]any:
			if v["$patch"] == "delete" && t != nil {
				delete(doc, k)
				continue
			}
			doc[k] = m.merge(members(doc[k]), v, fieldType(t, k))
		case []any:
			ft, tag := jsonField(t, k)
			if tag == nil || !strings.Contains(tag.Get("patchStrategy"), "merge") {
				doc[k] = v
				continue
			}
			order, _ := change["$setElementOrder/"+k].([]any)
			doc[k] = m.mergeList(items(doc[k]), v, order, tag.Get("patchMergeKey"), ft.Elem())
		default:
			doc[k] = v
		}
	}
	return doc
}

// retain takes away what $retainKeys does not name, and says that the patch has what it
// does not name.
func (m *merger) retain(doc, change map[string]any, keep any) {
	list, ok := keep.([]any)
	if !ok {
		m.badDirective("retainKeys")
		return
	}
	delete(change, "$retainKeys")
	for k, v := range change {
		if v != nil && !strings.HasPrefix(k, "$deleteFromPrimitiveList") && !strings.HasPrefix(k, "$setElementOrder") && !slices.Contains(list, any(k)) {
			m.badDirective("retainKeys")
			return
		}
	}
	for _, k := range sortedKeys(doc) {
		if !slices.Contains(list, any(k)) {
			delete(doc, k)
		}
	}
}

// directive follows one that concerns a list beside it.
func (m *merger) directive(doc, change map[string]any, k string, v any) {
	name, of, ok := strings.Cut(k, "/")
	list, isList := v.([]any)
	switch name {
	case "$deleteFromPrimitiveList":
		if !ok {
			m.badDirective("primitive list")
		} else if was := items(doc[of]); isList && was != nil {
			doc[of] = slices.DeleteFunc(was, func(w any) bool { return slices.Contains(list, w) })
		}
	case "$setElementOrder":
		if !ok || !isList {
			m.badDirective("setElementOrder list")
		} else if given, is := change[of].([]any); change[of] != nil && !is {
			m.badDirective("setElementOrder list")
		} else if !inOrder(given, list) {
			m.fail(fmt.Errorf("The order in patch list:\n%v\n doesn't match $setElementOrder list:\n%v\n", given, list))
		}
	}
}

// inOrder reports that items come in the order of a list, where they have one.
func inOrder(given, order []any) bool {
	if len(order) == 0 {
		return true
	}
	at := 0
	for _, g := range given {
		item, isMap := g.(map[string]any)
		if _, special := item["$patch"]; special {
			continue
		}
		same := func(o any) bool {
			om, ok := o.(map[string]any)
			if !isMap || !ok {
				return !isMap && !ok && o == g
			}
			for k, v := range om { // it has nothing but the key
				if item[k] != v {
					return false
				}
			}
			return true
		}
		i := slices.IndexFunc(order[at:], same)
		if i < 0 {
			return false
		}
		at += i + 1
	}
	return true
}

func (m *merger) mergeList(was, change, order []any, key string, t reflect.Type) []any {
	for _, v := range slices.Concat(was, change) {
		_, isMap := v.(map[string]any)
		if _, isList := v.([]any); isList {
			m.fail(apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", "lists of lists are not supported", 0, false))
			return was
		}
		if isMap != (key != "") {
			m.fail(fmt.Errorf("list element types are not identical: %v", slices.Concat(was, change)))
			return was
		}
	}
	if key == "" {
		for _, v := range change {
			if !slices.Contains(was, v) {
				was = append(was, v)
			}
		}
		return was
	}
	special := func(v any) bool { i, _ := v.(map[string]any); return i["$patch"] == "replace" }
	for _, c := range change {
		c := c.(map[string]any)
		d, ok := c["$patch"]
		_, keyed := c[key]
		switch {
		case d == "merge":
			m.fail(fmt.Errorf("merging lists cannot yet be specified in the patch"))
		case ok && d != "delete" && d != "replace":
			m.fail(fmt.Errorf("unknown patch type: %s in map: %v", d, c))
		case !keyed && d != "replace":
			m.fail(fmt.Errorf("map: %v does not contain declared merge key: %s", c, key))
		}
	}
	if m.err != nil {
		return was
	}
	if slices.ContainsFunc(change, special) {
		return slices.DeleteFunc(slices.Clone(change), special)
	}
	for _, c := range change {
		c := c.(map[string]any)
		i := slices.IndexFunc(was, func(w any) bool { return w.(map[string]any)[key] == c[key] })
		switch {
		case c["$patch"] == "delete":
			if i >= 0 {
				was = slices.Delete(was, i, i+1)
			}
		case i >= 0:
			was[i] = m.merge(was[i].(map[string]any), c, t)
		default:
			was = append(was, any(m.merge(nil, c, t)))
		}
	}
	rank := func(v any) int {
		i := slices.IndexFunc(order, func(o any) bool {
			om, _ := o.(map[string]any)
			return om != nil && om[key] == v.(map[string]any)[key]
		})
		if i < 0 {
			return len(order)
		}
		return i
	}
	if len(order) > 0 {
		sort.SliceStable(was, func(i, j int) bool { return rank(was[i]) < rank(was[j]) })
	}
	return was
}

// jsonField finds the type and tag of a field by its JSON name.
func jsonField(t reflect.Type, name string) (reflect.Type, *reflect.StructTag) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil, nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if n, _, _ := strings.Cut(f.Tag.Get("json"), ","); n == name {
			ft := f.Type
			for ft.Kind() == reflect.Pointer {
				ft = ft.Elem()
			}
			return ft, &f.Tag
		}
	}
	return nil, nil
}

func fieldType(t reflect.Type, name string) reflect.Type {
	if t != nil && t.Kind() == reflect.Map {
		return t.Elem()
	}
	ft, _ := jsonField(t, name)
	return ft
}

// operation is one of RFC 6902.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	From  string          `json:"from"`
	Value json.RawMessage `json:"value"`
}

func (o *operation) apply(doc any) (any, error) {
	var value any
	if len(o.Value) > 0 {
		if err := generic(o.Value, &value); err != nil {
			return nil, err
		}
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	parts := strings.Split(o.Path, "/")
	for i := range parts {
		parts[i] = unescape.Replace(parts[i])
	}
	if o.Path == "" || parts[0] != "" {
		return nil, fmt.Errorf("jsonpatch %s operation does not apply: doc is missing path: %q", o.Op, o.Path)
	}
	return o.at(doc, parts[1:], value)
}

// at changes doc below path and returns it.
func (o *operation) at(doc any, path []string, value any) (any, error) {
	missing := fmt.Errorf("jsonpatch %s operation does not apply: doc is missing path: %q: missing value", o.Op, o.Path)
	last := len(path) == 1
	switch d := doc.(type) {
	case map[string]any:
		old, ok := d[path[0]]
		switch {
		case !last && !ok, last && !ok && o.Op != "add":
			return nil, missing
		case !last:
			n, err := o.at(old, path[1:], value)
			if err == nil {
				d[path[0]] = n
			}
			return d, err
		case o.Op == "add" || o.Op == "replace":
			d[path[0]] = value
		case o.Op == "remove":
			delete(d, path[0])
		case o.Op == "test":
			if !reflect.DeepEqual(old, value) {
				return nil, fmt.Errorf("testing value %s failed: test failed", o.Path)
			}
		default:
			return nil, fmt.Errorf("Unexpected kind: %s", o.Op)
		}
		return d, nil
	case []any:
		i := len(d)
		if path[0] != "-" {
			var err error
			if i, err = strconv.Atoi(path[0]); err != nil || i < 0 || i > len(d) {
				return nil, missing
			}
		}
		switch {
		case last && o.Op == "add":
			return slices.Insert(d, i, value), nil
		case i >= len(d):
			return nil, missing
		case !last:
			n, err := o.at(d[i], path[1:], value)
			if err == nil {
				d[i] = n
			}
			return d, err
		case o.Op == "replace":
			d[i] = value
		case o.Op == "remove":
			return slices.Delete(d, i, i+1), nil
		case o.Op == "test" && !reflect.DeepEqual(d[i], value):
			return nil, fmt.Errorf("testing value %s failed: test failed", o.Path)
		}
		return d, nil
	}
	return nil, missing
}
