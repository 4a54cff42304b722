package api_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// TestGolden replays recordings against the API server, one subtest a file, in
// the order of their numbers, on the state that the recordings' README tells.
func TestGolden(t *testing.T) {
	golden.Run(t, "engine/api", func(t *testing.T, folder string) golden.Play {
		return newReplay(t, folder).play
	})
	golden.RunOld(t, "engine/api", func(t *testing.T, release, folder string) golden.Play {
		return newOldReplay(t, release, folder).play
	})
}

// exchange is the form of a recorded request with its answer.
type exchange struct {
	Note     string `json:"note"`
	Request  *asked `json:"request"`
	Response *given `json:"response"`
}

type asked struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	As     string          `json:"as"`
	Body   json.RawMessage `json:"body"`
	Accept string          `json:"accept"`
	Ctype  string          `json:"ctype"`
}

type given struct {
	Code    int               `json:"code"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// forms are how a file is replayed, by the word of its claim.
var forms = map[string]func(w *replay, t *testing.T, r golden.Recording){
	"exchange": func(w *replay, t *testing.T, r golden.Recording) {
		var x exchange
		require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &x))
		require.True(t, x.Request != nil && x.Response != nil, "a JSON file of unknown form: it has no request and response")
		w.request(t, r, &x)
	},
	"Secret": func(w *replay, t *testing.T, r golden.Recording) {
		var only given
		require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &only))
		w.compareSecret(t, &only)
	},
	"objects":                      func(w *replay, t *testing.T, r golden.Recording) { w.objects(t, []byte(r.Text(t))) },
	"names of clusterroles":        func(w *replay, t *testing.T, r golden.Recording) { w.names(t, "clusterroles", r.Text(t)) },
	"names of clusterrolebindings": func(w *replay, t *testing.T, r golden.Recording) { w.names(t, "clusterrolebindings", r.Text(t)) },
	"discovery":                    func(w *replay, t *testing.T, r golden.Recording) { w.discovery(t, r) },
	"calls":                        func(w *replay, t *testing.T, r golden.Recording) { w.calls(t, r) },
	"bundle":                       func(w *replay, t *testing.T, r golden.Recording) { w.reloaded(t, r) },
	"log of a bundle":              func(w *replay, t *testing.T, r golden.Recording) { w.bundleLog(t, r) },
	"rules of a user":              func(w *replay, t *testing.T, r golden.Recording) { w.rulesOf(t, r) },
	"rows of bindings":             func(w *replay, t *testing.T, r golden.Recording) { w.bindingRows(t, r) },
	"claims of a token":            func(w *replay, t *testing.T, r golden.Recording) { w.tokenClaims(t, r) },
	"answer to a token":            func(w *replay, t *testing.T, r golden.Recording) { w.tokenAnswer(t, r) },
	"log of all":                   func(w *replay, t *testing.T, r golden.Recording) { w.logOfAll(t, r.Text(t)) },
	"log of a request":             func(w *replay, t *testing.T, r golden.Recording) { w.logLines(t, r, r.Text(t)) },
}

func (w *replay) play(t *testing.T, r golden.Recording) {
	replay := forms[r.Form]
	require.NotNil(t, replay, "%s is claimed in a form that is not known here: %q", r.Name(), r.Form)
	replay(w, t, r)
}
