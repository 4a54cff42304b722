package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newObject makes the stored form of o, which it owns from now on.
func newObject(r *resource, o object, version uint64) *Object {
	meta(o).ResourceVersion = strconv.FormatUint(version, 10)
	return written(r, o, version)
}

// written is o with its JSON. managedFields, which are much of it and need no
// reflection, are written by hand into the rest.
func written(r *resource, o object, version uint64) *Object {
	n := &Object{Resource: r.Plural, row: r, Namespace: meta(o).Namespace, Name: meta(o).Name, Version: version, typed: o}
	fields := meta(o).ManagedFields
	if len(fields) == 0 {
		n.JSON = ended(without(encode(o), r.unknown))
		return n
	}
	meta(o).ManagedFields = nil
	rest := without(encode(o), r.unknown)
	meta(o).ManagedFields = fields
	at := metadataEnd(rest)
	b := make([]byte, 0, len(rest)+1024)
	b = append(b, rest[:at]...)
	b = appendManaged(append(b, `,"managedFields":`...), fields)
	n.managed = [2]int{at, len(b)}
	n.JSON = ended(append(b, rest[at:]...))
	return n
}

// ended puts a line break behind JSON, where an answer needs one (see line).
func ended(b []byte) []byte { return append(b, '\n')[:len(b)] }

// line is JSON with a line break behind it, without a copy if it was put there
// beforehand.
func line(b []byte) []byte {
	if n := len(b); cap(b) > n && b[:n+1][n] == '\n' {
		return b[:n+1]
	}
	return slices.Concat(b, []byte{'\n'})
}

// metadataEnd is where the brace is that closes an object's metadata.
func metadataEnd(b []byte) int {
	const mark = `"metadata":{`
	i := bytes.Index(b, []byte(mark)) + len(mark)
	for depth := 1; ; i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i
			}
		}
	}
}

// appendManaged writes managedFields as encoding/json does.
func appendManaged(b []byte, list []metav1.ManagedFieldsEntry) []byte {
	for i, e := range list {
		b = append(b, "[,"[min(i, 1)])
		b = append(b, '{')
		member := func(name, value string) {
			if value == "" {
				return
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			b = append(append(append(b, '"'), name...), `":`...)
			b = append(b, quoted(value)...)
		}
		member("manager", e.Manager)
		member("operation", string(e.Operation))
		member("apiVersion", e.APIVersion)
		if e.Time != nil {
			b = append(e.Time.UTC().AppendFormat(append(b, `,"time":"`...), time.RFC3339), '"')
		}
		member("fieldsType", e.FieldsType)
		if e.FieldsV1 != nil {
			b = append(append(b, `,"fieldsV1":`...), e.FieldsV1.Raw...)
		}
		member("subresource", e.Subresource)
		b = append(b, '}')
	}
	return append(b, ']')
}

// versioned is o as the given version; o is not stored yet.
func (o *Object) versioned(version uint64) *Object {
	const mark = `"resourceVersion":"`
	n := *o
	n.Version = version
	was := mark + meta(o.typed).ResourceVersion + `"`
	meta(o.typed).ResourceVersion = strconv.FormatUint(version, 10)
	i := bytes.Index(o.JSON, []byte(was))
	if i < 0 || i > metadataEnd(o.JSON) {
		return written(o.row, o.typed, version)
	}
	text := mark + meta(o.typed).ResourceVersion + `"`
	if len(text) == len(was) { // nobody else has seen these bytes
		copy(o.JSON[i:], text)
		return &n
	}
	n.JSON = slices.Concat(o.JSON[:i], []byte(text), o.JSON[i+len(was):])
	if n.managed[1] > 0 {
		n.managed[0] += len(text) - len(was)
		n.managed[1] += len(text) - len(was)
	}
	return &n
}

// decode fills the typed form from the JSON.
func (o *Object) decode() error {
	r := resources[o.Resource]
	if r == nil {
		return fmt.Errorf("a stored object is of resource %q, which is not served", o.Resource)
	}
	o.typed = r.New()
	return json.Unmarshal(o.JSON, o.typed)
}

// encode is json.Marshal for values that can always be written.
func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("api: %T can't be written as JSON: %v", v, err))
	}
	return b
}

// item is an object's JSON as an item of a list: without kind and apiVersion.
func item(b []byte) []byte {
	const mark = `"metadata":`
	if i := bytes.Index(b, []byte(mark)); i > 0 {
		return b[i:]
	}
	return b[1:]
}

// meta is an object's metadata, to read and to write.
func meta(o object) *metav1.ObjectMeta { return o.GetObjectMeta().(*metav1.ObjectMeta) }

// twin is an object of its own that shares all that o points to.
func twin(o object) object {
	n := reflect.New(reflect.TypeOf(o).Elem())
	n.Elem().Set(reflect.ValueOf(o).Elem())
	return n.Interface().(object)
}

// public is an object's JSON as observations show it: without managedFields,
// which nobody reads.
func (o *Object) public() []byte {
	if len(meta(o.typed).ManagedFields) == 0 {
		return o.JSON
	}
	if o.managed[1] == 0 { // it came from a snapshot
		o = written(o.row, twin(o.typed), o.Version)
	}
	return slices.Concat(o.JSON[:o.managed[0]], o.JSON[o.managed[1]:])
}
