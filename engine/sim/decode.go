package sim

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"sync"
	"time"
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
		kind, object, ok := bytes.Cut(rest, []byte(middle))
		kind, _, _ = bytes.Cut(kind, []byte(foldMark))
		if ok && len(kind) < 16 && bytes.HasSuffix(object, []byte("}}")) {
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

// Folding says of a Lease in a watch's frame that it is renewed Every so often by
// itself: the last time Ago before the frame was sent, and, unless Left is 0, for
// as long as Left after it. The zero value: it is not.
type Folding struct {
	Every time.Duration `json:"every,omitempty"`
	Ago   time.Duration `json:"ago,omitempty"`
	Left  time.Duration `json:"left,omitempty"`
}

// foldMark stands between the type of an event and its folding.
const foldMark = `","fold":"`

// FoldedFrame is a frame of a watch that wants to know of folding.
func FoldedFrame(kind string, object []byte, f Folding) []byte {
	b := make([]byte, 0, len(object)+90)
	b = append(append(b, `{"type":"`...), kind...)
	if f.Every > 0 {
		b = append(b, foldMark...)
		for i, d := range []time.Duration{f.Every, f.Ago, f.Left} {
			if i > 0 {
				b = append(b, ' ')
			}
			b = strconv.AppendInt(b, int64(d), 10)
		}
	}
	b = append(append(b, `","object":`...), object...)
	return append(b, "}\n"...)
}

// FoldIn is what a frame's line says of folding.
func FoldIn(line []byte) (f Folding) {
	head, _, _ := bytes.Cut(line, []byte(`","object":`))
	_, mark, ok := bytes.Cut(head, []byte(foldMark))
	if !ok {
		return f
	}
	var n [3]int64
	for i, word := range bytes.Fields(mark) {
		if i < len(n) {
			n[i], _ = strconv.ParseInt(string(word), 10, 64)
		}
	}
	return Folding{Every: time.Duration(n[0]), Ago: time.Duration(n[1]), Left: time.Duration(n[2])}
}
