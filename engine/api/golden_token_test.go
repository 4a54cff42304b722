package api_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// accountToken is a token of ServiceAccount default for ten minutes, as
// "kubectl create token default --duration=10m" asks for it.
func (w *replay) accountToken(t *testing.T) string {
	t.Helper()
	if w.token == "" {
		const accounts = "/api/v1/namespaces/default/serviceaccounts"
		w.must(t, "POST", accounts, map[string]any{"metadata": map[string]any{"name": "default"}})
		o := w.must(t, "POST", accounts+"/default/token", map[string]any{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": map[string]any{"expirationSeconds": 600}})
		w.token = o["status"].(map[string]any)["token"].(string)
	}
	return w.token
}

// tokenClaims compares a token's header and claims with the recorded ones.
func (w *replay) tokenClaims(t *testing.T, r golden.Recording) {
	var want struct{ Header, Payload map[string]any }
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &want))
	parts := strings.Split(w.accountToken(t), ".")
	require.Len(t, parts, 3)
	var got [2]map[string]any
	for i := range got {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, &got[i]))
	}
	header, payload := got[0], got[1]
	require.Len(t, header["kid"], len(want.Header["kid"].(string)))
	for _, p := range []map[string]any{payload, want.Payload} {
		require.Equal(t, 600.0, p["exp"].(float64)-p["iat"].(float64))
		require.Equal(t, p["iat"], p["nbf"])
		require.Len(t, p["jti"], 36)
		for _, k := range []string{"exp", "iat", "nbf", "jti"} {
			p[k] = "(differs)"
		}
	}
	header["kid"] = want.Header["kid"]
	require.Equal(t, want.Header, header)
	require.Equal(t, pretty(t, golden.Plain(want.Payload)), pretty(t, golden.Plain(payload)))
}

// tokenAnswers are the requests that belong to the recorded answers: who makes
// them, and with what.
var tokenAnswers = map[string]struct{ as, path, body string }{
	"09-serviceaccount-tokenreview.json": {admin, "/apis/authentication.k8s.io/v1/tokenreviews", `{"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","spec":{"token":"TOKEN"}}`},
	"10-serviceaccount-whoami.json":      {"bearer TOKEN", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`},
	"11-serviceaccount-create-csr.json":  {"bearer TOKEN", csrPath, `{"kind":"CertificateSigningRequest","apiVersion":"certificates.k8s.io/v1"}`},
}

func (w *replay) tokenAnswer(t *testing.T, r golden.Recording) {
	var want given
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &want))
	ask, ok := tokenAnswers[r.File]
	require.True(t, ok)
	token := w.accountToken(t)
	fill := func(s string) string { return strings.ReplaceAll(s, "TOKEN", token) }
	resp := w.send(t, "POST", ask.path, fill(ask.as), http.Header{"Content-Type": {"application/json"}}, []byte(fill(ask.body)))
	resp.Body = []byte(strings.ReplaceAll(string(resp.Body), token, "(masked)"))
	w.compare(t, &want, &resp)
}
