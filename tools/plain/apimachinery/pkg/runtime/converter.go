package runtime

import (
	"encoding/json"
	"maps"
	"slices"
)

// UnstructuredConverter turns objects into maps and back.
type UnstructuredConverter interface {
	ToUnstructured(obj any) (map[string]any, error)
	FromUnstructured(u map[string]any, obj any) error
}

// DefaultUnstructuredConverter does it by way of JSON. The real one reflects, and needs
// a JSON library and structured-merge-diff for it; the page's program has no
// unstructured objects.
var DefaultUnstructuredConverter UnstructuredConverter = byJSON{}

type byJSON struct{}

func (byJSON) ToUnstructured(obj any) (u map[string]any, err error) {
	b, err := json.Marshal(obj)
	if err == nil {
		err = json.Unmarshal(b, &u)
	}
	return u, err
}

func (byJSON) FromUnstructured(u map[string]any, obj any) error {
	b, err := json.Marshal(u)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, obj)
}

// DeepCopyJSON copies what JSON was decoded to.
func DeepCopyJSON(x map[string]any) map[string]any {
	n := maps.Clone(x)
	for k, v := range n {
		n[k] = DeepCopyJSONValue(v)
	}
	return n
}

// DeepCopyJSONValue copies one value of it.
func DeepCopyJSONValue(x any) any {
	switch x := x.(type) {
	case map[string]any:
		return DeepCopyJSON(x)
	case []any:
		n := slices.Clone(x)
		for i, v := range n {
			n[i] = DeepCopyJSONValue(v)
		}
		return n
	}
	return x
}
