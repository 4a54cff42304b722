package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// newObject makes the stored form of o, which it owns from now on.
func newObject(resource string, o object, version uint64) *Object {
	o.SetResourceVersion(strconv.FormatUint(version, 10))
	return &Object{Resource: resource, Namespace: o.GetNamespace(), Name: o.GetName(), Version: version, JSON: encode(o), typed: o}
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

// meta is an object's metadata, shared.
func meta(o object) metav1.ObjectMeta {
	return reflect.ValueOf(o).Elem().FieldByName("ObjectMeta").Interface().(metav1.ObjectMeta)
}

// public is an object's JSON as observations show it: without managedFields,
// which nobody reads.
func (o *Object) public() string {
	if len(o.typed.GetManagedFields()) == 0 {
		return string(o.JSON)
	}
	v := reflect.ValueOf(o.typed).Elem()
	c := reflect.New(v.Type())
	c.Elem().Set(v) // shallow: nothing below is changed
	c.Interface().(object).SetManagedFields(nil)
	return string(encode(c.Interface()))
}
