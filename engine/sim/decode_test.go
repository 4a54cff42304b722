package sim

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDecode(t *testing.T) {
	type thing struct{ A, B string }
	one, err := Decode[thing]([]byte(`{"a":"x"}`))
	require.NoError(t, err)
	require.Equal(t, &thing{A: "x"}, one)
	again, err := Decode[thing]([]byte("{\"a\":\"x\"}\n"))
	require.NoError(t, err)
	require.Same(t, one, again, "equal bytes give the same value")
	other, err := Decode[struct{ A string }]([]byte(`{"a":"x"}`))
	require.NoError(t, err)
	require.Equal(t, "x", other.A)
	for range 2 {
		_, err = Decode[thing]([]byte(`{"a":`))
		require.Error(t, err)
	}
	for i := range 2 * mostSeen {
		_, err := Decode[thing]([]byte(`{"b":"` + string(rune('a'+i)) + `"}`))
		require.NoError(t, err)
		require.LessOrEqual(t, len(seen.values), mostSeen)
	}
}

func TestUnmanaged(t *testing.T) {
	for _, x := range []struct{ object, want string }{
		{`{"metadata":{"name":"a","managedFields":[{"manager":"m","fieldsV1":{"f:spec":{"v:\"]}\\":{}}}},{"manager":"n"}]},"spec":{"x":1}}`, `{"metadata":{"name":"a"},"spec":{"x":1}}`},
		{`{"metadata":{"name":"a"},"spec":{"extra":{"k":["v"],"managedFields":[{"a":1}]}}}`, ""},
		{`{"metadata":{"name":"a"},"spec":{}}`, ""},
		{`{"metadata":{"name":"a","managedFields":[{"manager":"m"`, ""},
		{`{"metadata":{"name":"a","managedFields":[{"manager":"m\`, ""},
		{`{"metadata":{"name":"a","managedFields":[{"manager":"m\` + `"spec":`, ""},
	} {
		if x.want == "" {
			x.want = x.object
		}
		require.Equal(t, x.want, string(Unmanaged([]byte(x.object))))
	}
}

func TestOpenFrame(t *testing.T) {
	for _, line := range []string{`{"type":"ADDED","object":{"a":1}}`, `{ "object": {"a":1}, "type":"ADDED" }`} {
		kind, object, ok := OpenFrame([]byte(line))
		require.True(t, ok)
		require.Equal(t, "ADDED", kind)
		require.Equal(t, json.RawMessage(`{"a":1}`), object)
	}
	_, _, ok := OpenFrame([]byte("no JSON"))
	require.False(t, ok)
}
