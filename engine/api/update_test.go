package api

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

const (
	secretsPath = "/api/v1/namespaces/kube-system/secrets"
	configMap1  = "/api/v1/namespaces/default/configmaps"
)

// patched sends a patch as the admin and returns the code and the message.
func (g *rig) patched(kind, url, body string) (int, string) {
	g.t.Helper()
	r := g.do(g.admin(), "PATCH", url, body, "Content-Type", "application/"+kind+"+json")
	var st struct{ Message string }
	mustJSON(g.t, r.Body, &st)
	return r.Code, st.Message
}

// TestFinalizers: what they hold is only marked by a deletion, gets no new ones
// and goes with the last. A bootstrap token that is held is refused meanwhile.
func TestFinalizers(t *testing.T) {
	g := newRig(t, "--v=3")
	require.Contains(t, g.refused(422, g.admin(), "POST", configMap1, `{"metadata":{"name":"a","finalizers":["x"]}}`),
		`metadata.finalizers[0]: Invalid value: "x": name is neither a standard finalizer name nor is it fully qualified`)

	g.create(secretsPath, `{"metadata":{"name":"bootstrap-token-abcdef","finalizers":["a.example/hold"]},"type":"bootstrap.kubernetes.io/token","stringData":{"token-id":"abcdef","token-secret":"0123456789abcdef","usage-bootstrap-authentication":"true"}}`)
	const token, whoami = "abcdef.0123456789abcdef", "/apis/authentication.k8s.io/v1/selfsubjectreviews"
	code, _ := g.ask("POST", whoami, nil, token, `{}`)
	require.Equal(t, http.StatusCreated, code)

	at := secretsPath + "/bootstrap-token-abcdef"
	code, out := g.ask("DELETE", at, g.admin(), "", "")
	require.Equal(t, http.StatusOK, code)
	m := out["metadata"].(map[string]any)
	require.Equal(t, "2026-01-01T00:00:00Z", m["deletionTimestamp"])
	require.EqualValues(t, 0, m["deletionGracePeriodSeconds"])
	_, again := g.ask("DELETE", at, g.admin(), "", "")
	require.Equal(t, out, again)

	code, _ = g.ask("POST", whoami, nil, token, `{}`)
	require.Equal(t, http.StatusUnauthorized, code)
	require.Contains(t, g.logs(), "Bootstrap secret kube-system/bootstrap-token-abcdef matching bearer token is deleted and awaiting removal")

	code, said := g.patched("merge-patch", at, `{"metadata":{"finalizers":["b.example/late","a.example/hold"]}}`)
	require.Equal(t, http.StatusUnprocessableEntity, code)
	require.Contains(t, said, `metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"b.example/late"}`)
	code, _ = g.patched("merge-patch", at, `{"metadata":{"finalizers":null}}`)
	require.Equal(t, http.StatusOK, code)
	code, _ = g.ask("GET", at, g.admin(), "", "")
	require.Equal(t, http.StatusNotFound, code)

	// And a deletion of all.
	g.create(configMap1, `{"metadata":{"name":"held","finalizers":["a.example/hold"]}}`)
	g.create(configMap1, `{"metadata":{"name":"free"}}`)
	code, _ = g.ask("DELETE", configMap1, g.admin(), "", "")
	require.Equal(t, http.StatusOK, code)
	_, list := g.ask("GET", configMap1, g.admin(), "", "")
	require.Len(t, list["items"], 1)
}

// logs is the server's journal.
func (g *rig) logs() string {
	var b strings.Builder
	for _, o := range g.obs {
		if o.Kind == "log" {
			b.WriteString(o.Payload + "\n")
		}
	}
	return b.String()
}

// TestPreconditions: whom an update or a deletion means must still be there.
func TestPreconditions(t *testing.T) {
	g := newRig(t, "")
	m := g.create(configMap1, `{"metadata":{"name":"a"}}`)["metadata"].(map[string]any)
	require.Equal(t, `Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: /registry/configmaps/default/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: b, UID in object meta: `+m["uid"].(string),
		g.refused(409, g.admin(), "PUT", configMap1+"/a", `{"metadata":{"name":"a","uid":"b"}}`))
	require.Equal(t, `Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (b) does not match the UID in record (`+m["uid"].(string)+`). The object might have been deleted and then recreated`,
		g.refused(409, g.admin(), "DELETE", configMap1+"/a", `{"preconditions":{"uid":"b"}}`))
	require.Equal(t, `Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (`+m["resourceVersion"].(string)+`). The object might have been modified`,
		g.refused(409, g.admin(), "DELETE", configMap1+"/a", `{"preconditions":{"resourceVersion":"1"}}`))
}

// TestPatchesThatFail: a patch that is none, one that does not fit, and one that
// makes something that is no object of the kind.
func TestPatchesThatFail(t *testing.T) {
	g := newRig(t, "")
	g.create(configMap1, `{"metadata":{"name":"a"},"data":{"k":"v"}}`)
	const invalid = "the server rejected our request due to an error in our request"
	for body, want := range map[string]struct {
		kind string
		code int
		said string
	}{
		`{"op":"remove"}`: {"json-patch", 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"},
		`[{"op":"test","path":"/data/k","value":"w"}]`: {"json-patch", 422, invalid},
		`[{"op":"remove","path":"/data/none"}]`:        {"json-patch", 422, invalid},
		`{`:                                            {"merge-patch", 400, "error decoding patch: unexpected end of JSON input"},
		`[]`:                                           {"merge-patch", 400, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"},
	} {
		code, said := g.patched(want.kind, configMap1+"/a", body)
		require.Equal(t, want.code, code, body)
		require.Equal(t, want.said, said, body)
	}
	code, said := g.patched("merge-patch", configMap1+"/a", `{"data":"x"}`)
	require.Equal(t, 422, code)
	require.Regexp(t, `^ "" is invalid: patch: Invalid value: ".*": json: cannot unmarshal string into Go struct field ConfigMap\.data of type map\[string\]string$`, said)
}

// TestStatusKeepsDecisions: /status leaves an approval as it is, also when it is
// refused for another.
func TestStatusKeepsDecisions(t *testing.T) {
	g := newRig(t, "")
	request, err := pki.NewRequest(keys.ECDSA("leaf"), pki.Request{Subject: pkix.Name{CommonName: "a"}})
	require.NoError(t, err)
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"name": "a"}, "spec": map[string]any{"signerName": "example.com/a", "usages": []string{"any"}, "request": request}})
	require.NoError(t, err)
	g.create(csrs, string(body))
	code, said := g.patched("merge-patch", csrs+"/a/approval", `{"status":{"conditions":[{"type":"Approved","status":"True","message":"m"}]}}`)
	require.Equal(t, 200, code, said)
	code, said = g.patched("merge-patch", csrs+"/a/status", `{"status":{"conditions":[{"type":"Approved","status":"True","message":"other"},{"type":"Denied","status":"True"}]}}`)
	require.Equal(t, 422, code)
	require.Equal(t, `CertificateSigningRequest.certificates.k8s.io "a" is invalid: [status.conditions: Invalid value: "Denied": Approved and Denied conditions are mutually exclusive, status.conditions: Forbidden: updates may not add a condition of type "Denied"]`, said)
}
