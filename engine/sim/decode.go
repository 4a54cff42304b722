package sim

import (
	"bytes"
	"encoding/json"
	"reflect"
	"sync"
	"unsafe"
)

// Decode reads JSON into a T. Equal bytes give the same value, because several
// who watch a thing are all shown it: don't change it, nor the bytes.
//
// What is remembered follows from the bytes alone, so that it changes nothing
// but the cost.
func Decode[T any](data []byte) (*T, error) {
	v, err := decode(data, reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	return v.(*T), nil
}

// decoded is named by its type and its text.
type decoded struct {
	of   reflect.Type
	text string
}

// seen is what was decoded lately.
var seen struct {
	sync.Mutex
	values map[decoded]any
}

// mostSeen is how many values are remembered: some 10 kB each.
const mostSeen = 1 << 10

func decode(data []byte, of reflect.Type) (any, error) {
	k := named(data, of)
	if v := recall(k); v != nil {
		if Doubt != nil {
			Doubt(data, v)
		}
		return v, nil
	}
	v := reflect.New(of).Interface()
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	remember(k, v)
	return v, nil
}

// Encode is json.Marshal of what v points to, and spares whoever gets the bytes
// the decoding of them: v must not be changed any more.
func Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err == nil {
		Remember(b, v)
	}
	return b, err
}

// Remember tells what bytes decode to; neither may be changed any more. Times in v
// are whole seconds, as JSON has them.
func Remember(data []byte, v any) {
	if t := reflect.TypeOf(v); t.Kind() == reflect.Pointer {
		remember(named(data, t.Elem()), v)
	}
}

// Recall returns what Decode, given the same bytes, would, if it is remembered, or
// nil. Sample points to a value of that type.
func Recall(data []byte, sample any) any {
	v := recall(named(data, reflect.TypeOf(sample).Elem()))
	if v != nil && Doubt != nil {
		Doubt(data, v)
	}
	return v
}

// Doubt, if it is set, is shown all that is recalled: a test looks whether it is true.
var Doubt func(data []byte, v any)

func named(data []byte, of reflect.Type) decoded {
	data = bytes.TrimSuffix(data, []byte("\n")) // an answer's, which a frame has not
	return decoded{of, unsafe.String(unsafe.SliceData(data), len(data))}
}

func recall(k decoded) any {
	seen.Lock()
	defer seen.Unlock()
	return seen.values[k]
}

func remember(k decoded, v any) {
	seen.Lock()
	defer seen.Unlock()
	if seen.values == nil || len(seen.values) >= mostSeen {
		seen.values = map[decoded]any{}
	}
	seen.values[k] = v
}

// Unmanaged is an object of the API without its managedFields, which are much of it
// and which few read.
func Unmanaged(object []byte) []byte {
	const begin = `,"managedFields":[{`
	from := bytes.Index(object, []byte(begin))
	if from < 0 || from > bytes.Index(object, []byte(`"spec":`)) {
		return object // or somebody gave that name to a thing of his own
	}
	to, depth := from+len(begin), 2
	for ; depth > 0; to++ {
		if to >= len(object) {
			return object
		}
		switch object[to] {
		case '"':
			for to++; to < len(object) && object[to] != '"'; to++ {
				if object[to] == '\\' {
					to++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return append(append(make([]byte, 0, len(object)-to+from), object[:from]...), object[to:]...)
}

// OpenFrame takes the event of a watch apart, which is one line of a frame. Who
// writes the type first and the object last spares us reading the object twice.
func OpenFrame(line []byte) (kind string, object json.RawMessage, ok bool) {
	const head, middle = `{"type":"`, `","object":`
	if rest, ok := bytes.CutPrefix(line, []byte(head)); ok {
		if kind, object, ok := bytes.Cut(rest, []byte(middle)); ok && len(kind) < 16 && bytes.HasSuffix(object, []byte("}}")) {
			return string(kind), json.RawMessage(object[:len(object)-1]), true
		}
	}
	var e struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	err := json.Unmarshal(line, &e)
	return e.Type, e.Object, err == nil
}
