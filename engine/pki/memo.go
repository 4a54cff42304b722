package pki

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"sync"
)

// memo remembers the values of a pure function: a hit and a miss give the
// same value, so that a replay costs next to nothing and changes nothing.
//
// It is bounded: when the young half is full it becomes the old half, and what
// nobody asked for since is dropped.
type memo[V any] struct {
	mu         sync.Mutex
	young, old map[id]V
}

// id names a computation by its inputs.
type id [sha256.Size]byte

// memoHalf is how many values are in one half of a memo. A parsed certificate
// is some 5 kB, so that a full memo of them is 20 MB.
const memoHalf = 1 << 11

var forget []func()

func newMemo[V any]() *memo[V] {
	m := &memo[V]{young: map[id]V{}}
	forget = append(forget, m.forget)
	return m
}

// ForgetMemo empties every memo, for measurements and tests.
func ForgetMemo() {
	for _, f := range forget {
		f()
	}
}

func (m *memo[V]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.young, m.old = map[id]V{}, nil
}

func (m *memo[V]) peek(k id) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.young[k]
	if !ok {
		if v, ok = m.old[k]; ok {
			m.keep(k, v)
		}
	}
	return v, ok
}

func (m *memo[V]) put(k id, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keep(k, v)
}

func (m *memo[V]) keep(k id, v V) {
	if len(m.young) >= memoHalf {
		m.young, m.old = map[id]V{}, m.young
	}
	m.young[k] = v
}

// get returns what is remembered, or calls f and remembers its value. Two that
// ask at the same time may both call f: that costs time only.
func (m *memo[V]) get(k id, f func() V) V {
	v, ok := m.peek(k)
	if !ok {
		v = f()
		m.put(k, v)
	}
	return v
}

// try is get for a function that may fail. Errors are not remembered.
func (m *memo[V]) try(k id, f func() (V, error)) (V, error) {
	if v, ok := m.peek(k); ok {
		return v, nil
	}
	v, err := f()
	if err == nil {
		m.put(k, v)
	}
	return v, err
}

// digest names a computation by what it does and what it is done to.
func digest(what string, parts ...[]byte) (k id) {
	h := sha256.New()
	var size [8]byte
	write := func(b []byte) {
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	write([]byte(what))
	for _, p := range parts {
		write(p)
	}
	h.Sum(k[:0])
	return k
}

// plain is a description as bytes, to put into a digest.
func plain(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("pki: a description that is not plain data: " + err.Error())
	}
	return b
}
