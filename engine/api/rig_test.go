package api

import (
	"encoding/json"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// ask sends a request as a peer or with a bearer token, and reads the answer.
func (g *rig) ask(method, url string, peer [][]byte, token, body string) (int, map[string]any) {
	g.t.Helper()
	var header []string
	if token != "" {
		header = []string{"Authorization", "Bearer " + token}
	}
	r := g.do(peer, method, url, body, header...)
	var out map[string]any
	if len(r.Body) > 0 && r.Body[0] == '{' {
		require.NoError(g.t, json.Unmarshal(r.Body, &out), string(r.Body))
	}
	return r.Code, out
}

// create makes an object as the admin, and returns it.
func (g *rig) create(url, body string) map[string]any {
	g.t.Helper()
	code, out := g.ask("POST", url, g.admin(), "", body)
	require.Equal(g.t, 201, code, "%s: %v", url, out)
	return out
}

// refused sends a request that has to be refused, and returns the message.
func (g *rig) refused(code int, peer [][]byte, method, url, body string) string {
	g.t.Helper()
	got, out := g.ask(method, url, peer, "", body)
	require.Equal(g.t, code, got, "%s %s: %v", method, url, out)
	return out["message"].(string)
}

// lastLog is the last line of the server's journal.
func (g *rig) lastLog() string {
	for i := len(g.obs) - 1; i >= 0; i-- {
		if g.obs[i].Kind == trace.Log {
			return g.obs[i].Payload
		}
	}
	return ""
}

func mustJSON(t require.TestingT, b []byte, into any) {
	require.NoError(t, json.Unmarshal(b, into), string(b))
}
