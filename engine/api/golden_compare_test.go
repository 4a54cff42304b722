package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/sim"
)

// compare holds an answer against a recorded one, as the recordings' README
// says under "Comparing".
func (w *replay) compare(t *testing.T, want *given, got *sim.Response) {
	t.Helper()
	require.Equal(t, want.Code, got.Code, "code; body: %s", got.Body)
	for _, h := range []string{"Content-Type", "Warning", "Cache-Control", "X-Content-Type-Options"} {
		require.Equal(t, want.Headers[h], strings.Join(got.Header.Values(h), ", "), h)
	}
	var text string
	if json.Unmarshal(want.Body, &text) == nil {
		require.Equal(t, text, string(got.Body))
		return
	}
	require.True(t, strings.HasSuffix(string(got.Body), "\n"), "a JSON body ends with a line break")
	var a, b any
	require.NoError(t, json.Unmarshal(want.Body, &a))
	require.NoError(t, json.Unmarshal(got.Body, &b), string(got.Body))
	w.sameVersion(t, a, b)
	if w.recorder != nil {
		w.recorder(a)
		w.recorder(b)
	}
	require.Equal(t, pretty(t, golden.Plain(a)), pretty(t, golden.Plain(b)))
}

func pretty(t *testing.T, v any) string {
	b, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(b)
}

// sameVersion checks that an object's resourceVersion stayed the same where
// the recorded one did, and changed where it changed.
func (w *replay) sameVersion(t *testing.T, want, got any) {
	t.Helper()
	version := func(v any) string {
		o, _ := v.(map[string]any)
		m, _ := o["metadata"].(map[string]any)
		s, _ := m["resourceVersion"].(string)
		return s
	}
	r, o := version(want), version(got)
	require.Equal(t, r == "", o == "", "one of them has no resourceVersion")
	if r == "" {
		return
	}
	if known, ok := w.versions[r]; ok {
		require.Equal(t, known, o, "the recorded resourceVersion %s stayed the same", r)
	} else if other, ok := w.back[o]; ok {
		require.Equal(t, r, other, "the recorded resourceVersion changed")
	}
	w.versions[r], w.back[o] = o, r
}
