package pki

import (
	"encoding/binary"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoIsBounded(t *testing.T) {
	m := newMemo[int]()
	name := func(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
	for i := range 5 * memoHalf {
		m.put(digest("n", name(i)), i)
		_, ok := m.peek(digest("n", name(0)))
		require.True(t, ok, "what is asked for again and again stays")
		require.LessOrEqual(t, len(m.young)+len(m.old), 2*memoHalf)
	}
	_, ok := m.peek(digest("n", name(1)))
	require.False(t, ok, "what nobody asked for is gone")
	ForgetMemo()
	_, ok = m.peek(digest("n", name(0)))
	require.False(t, ok)
}

func TestMemoRemembersNoErrors(t *testing.T) {
	m, calls := newMemo[int](), 0
	fail := func() (int, error) { calls++; return 0, errors.New("no") }
	for range 2 {
		_, err := m.try(id{}, fail)
		require.Error(t, err)
	}
	require.Equal(t, 2, calls)
	for range 2 {
		require.Equal(t, 7, m.get(id{}, func() int { calls++; return 7 }))
	}
	require.Equal(t, 3, calls)
}

// Neighbouring parts must not run into each other.
func TestDigestKeepsPartsApart(t *testing.T) {
	require.NotEqual(t, digest("x", []byte("ab"), []byte("c")), digest("x", []byte("a"), []byte("bc")))
	require.NotEqual(t, digest("x", nil), digest("x"))
}
