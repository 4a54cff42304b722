package api_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
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
	require.Equal(t, pretty(t, plain(a, "")), pretty(t, plain(b, "")))
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

// dropped are keys whose values differ from run to run.
var dropped = map[string]bool{"uid": true, "resourceVersion": true, "creationTimestamp": true, "time": true, "lastUpdateTime": true, "lastTransitionTime": true}

// plain takes out of a body what differs from run to run.
func plain(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if _, text := x.(string); text && dropped[k] {
				out[k] = "(differs)"
				continue
			}
			out[k] = plain(x, k)
		}
		if base, ok := v["generateName"].(string); ok {
			if name, ok := v["name"].(string); ok && strings.HasPrefix(name, base) {
				out["name"] = fmt.Sprintf("%s(%d)", base, len(name))
			}
		}
		if v["kind"] == "Table" {
			table(out)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x, key)
		}
		if key == "authentication.kubernetes.io/credential-id" {
			return "(differs)"
		}
		return out
	case string:
		if key == "certificate" {
			return certificate(v)
		}
	}
	return v
}

// table takes ages, and names of generated objects, out of a Table's rows.
func table(t map[string]any) {
	age := -1
	columns, _ := t["columnDefinitions"].([]any)
	for i, c := range columns {
		if c.(map[string]any)["name"] == "Age" {
			age = i
		}
	}
	rows, _ := t["rows"].([]any)
	for _, r := range rows {
		r := r.(map[string]any)
		cells := r["cells"].([]any)
		if age >= 0 {
			cells[age] = "(differs)"
		}
		if o, ok := r["object"].(map[string]any); ok {
			cells[0] = o["metadata"].(map[string]any)["name"]
		}
	}
}

// certificate is what a certificate says, without key, serial and times.
func certificate(text string) string {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text
	}
	list, err := pki.ParseCerts(der)
	if err != nil || len(list) == 0 {
		return text
	}
	return "a certificate of " + list[0].Subject.String()
}
