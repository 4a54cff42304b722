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
	data = bytes.TrimSuffix(data, []byte("\n")) // an answer's, which a frame has not
	k := decoded{of, unsafe.String(unsafe.SliceData(data), len(data))}
	seen.Lock()
	v := seen.values[k]
	seen.Unlock()
	if v != nil {
		return v, nil
	}
	v = reflect.New(of).Interface()
	if err := json.Unmarshal(data, v); err != nil {
		return nil, err
	}
	seen.Lock()
	defer seen.Unlock()
	if seen.values == nil || len(seen.values) >= mostSeen {
		seen.values = map[decoded]any{}
	}
	seen.values[k] = v
	return v, nil
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
