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
	"k8s.io/apimachinery/pkg/runtime/schema"
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

// apply makes the patched object of the current one, both as JSON.
func (p *patch) apply(r *resource, current []byte) ([]byte, error) {
	if p.kind == "application/json-patch+json" {
		var doc map[string]any
		if err := generic(current, &doc); err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		var ops []operation
		if err := json.Unmarshal(p.data, &ops); err != nil {
			return nil, badPatch(err)
		}
		var out any = doc
		for _, o := range ops {
			var err error
			if out, err = o.apply(out); err != nil {
				// It is not told which operation it was that failed, nor why.
				return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
			}
		}
		return encode(out), nil
	}
	var change map[string]any
	if err := generic(p.data, &change); err != nil {
		if again := json.Unmarshal(p.data, &change); again != nil {
			err = again
		}
		return nil, badPatch(err)
	}
	var t reflect.Type
	if p.kind == strategic {
		t = reflect.TypeOf(r.New()).Elem()
	}
	return encode(merge(members(json.RawMessage(current)), change, t)), nil
}

// badPatch is a patch that is none; the type that it names is the server's own
// (Models apiserver/pkg/endpoints/handlers applyJSPatch).
func badPatch(err error) error {
	return apierrors.NewBadRequest("error decoding patch: " + strings.NewReplacer("api.operation", "handlers.jsonPatchOp").Replace(err.Error()))
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
	if generic(raw, &out) != nil {
		return nil
	}
	return out
}

// merge is RFC 7386, and with the Go type t a strategic merge: lists whose
// field has a patchMergeKey are merged item by item (Models
// apimachinery/pkg/util/strategicpatch).
func merge(doc, change map[string]any, t reflect.Type) map[string]any {
	if change["$patch"] == "replace" {
		delete(change, "$patch")
		return change
	}
	if doc == nil {
		doc = map[string]any{}
	}
	for _, k := range sortedKeys(change) {
		v := change[k]
		if strings.HasPrefix(k, "$") && t != nil {
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
			doc[k] = merge(members(doc[k]), v, fieldType(t, k))
		case []any:
			ft, tag := jsonField(t, k)
			if tag == nil || !strings.Contains(tag.Get("patchStrategy"), "merge") {
				doc[k] = v
				continue
			}
			order, _ := change["$setElementOrder/"+k].([]any)
			doc[k] = mergeList(items(doc[k]), v, order, tag.Get("patchMergeKey"), ft.Elem())
		default:
			doc[k] = v
		}
	}
	return doc
}

func mergeList(was, change, order []any, key string, t reflect.Type) []any {
	if key == "" {
		for _, v := range change {
			if !slices.Contains(was, v) {
				was = append(was, v)
			}
		}
		return was
	}
	special := func(v any) bool { m, _ := v.(map[string]any); return m["$patch"] == "replace" }
	if slices.ContainsFunc(change, special) {
		return slices.DeleteFunc(slices.Clone(change), special)
	}
	for _, c := range change {
		c, ok := c.(map[string]any)
		if !ok {
			continue
		}
		i := slices.IndexFunc(was, func(w any) bool { m, _ := w.(map[string]any); return m != nil && m[key] == c[key] })
		switch {
		case c["$patch"] == "delete":
			if i >= 0 {
				was = slices.Delete(was, i, i+1)
			}
		case i >= 0:
			was[i] = merge(was[i].(map[string]any), c, t)
		default:
			was = append(was, any(merge(nil, c, t)))
		}
	}
	rank := func(v any) int {
		m, _ := v.(map[string]any)
		i := slices.IndexFunc(order, func(o any) bool { om, _ := o.(map[string]any); return om != nil && om[key] == m[key] })
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
