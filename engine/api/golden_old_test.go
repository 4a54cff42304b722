package api_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/era"
)

// newOldReplay starts a server as golden-old's README says.
func newOldReplay(t *testing.T, release, folder string) *replay {
	t.Helper()
	w := newReplayOf(t, golden.Minor(release), folder, usualFlags)
	w.recorder = notTheBuilds
	return w
}

// notTheBuilds takes out of a body what README says is no word of that release:
// today's Go, and what OpenShift says in 1.11.1 when RBAC has no rule. A name that
// was made up is in selfLink too.
func notTheBuilds(body any) {
	o, ok := body.(map[string]any)
	if !ok {
		return
	}
	delete(o, "goVersion")
	if s, ok := o["message"].(string); ok {
		o["message"] = strings.TrimSuffix(s, ": no RBAC policy matched")
	}
	if m, ok := o["metadata"].(map[string]any); ok && m["generateName"] != nil {
		delete(m, "selfLink")
	}
	if o["kind"] == "Table" {
		for _, r := range o["rows"].([]any) {
			r := r.(map[string]any)
			if cells := r["cells"].([]any); len(cells) == 2 {
				cells[1] = "(differs)" // Created At
			}
			notTheBuilds(r["object"])
		}
	}
	if items, ok := o["items"].([]any); ok {
		for _, i := range items {
			notTheBuilds(i)
		}
	}
}

// makeFound makes what a recorded answer shows and no recording made: the state
// that the recorder's other requests had left; not what is made later.
func (w *replay) makeFound(t *testing.T, x *exchange, later map[string]bool) {
	t.Helper()
	var sent, answered struct {
		Kind     string
		Metadata map[string]any
		Spec     map[string]any
		Items    []map[string]any
	}
	_ = json.Unmarshal(x.Request.Body, &sent)
	_ = json.Unmarshal(x.Response.Body, &answered)
	csrs := era.Path(w.era, "certificates.k8s.io", "certificatesigningrequests")
	put := func(m, spec map[string]any) {
		name, _ := m["name"].(string)
		made := map[string]any{"name": name}
		if later[name] {
			return
		}
		if base, ok := m["generateName"].(string); ok {
			for _, o := range w.store.List("certificatesigningrequests") {
				if strings.HasPrefix(string(o), `{"kind":"CertificateSigningRequest"`) && strings.Contains(string(o), `"generateName":"`+base+`"`) {
					return
				}
			}
			made = map[string]any{"generateName": base}
		} else if w.store.Get("certificatesigningrequests", "", name) != nil {
			return
		}
		as := admin
		if who, _ := spec["username"].(string); strings.HasPrefix(who, "system:node:") {
			as = strings.TrimPrefix(who, "system:node:")
		}
		b, err := json.Marshal(map[string]any{"metadata": made, "spec": map[string]any{"request": spec["request"], "usages": spec["usages"]}})
		require.NoError(t, err)
		resp := w.send(t, "POST", csrs, as, nil, b)
		require.Equal(t, 201, resp.Code, string(resp.Body))
	}
	for _, i := range answered.Items {
		put(i["metadata"].(map[string]any), i["spec"].(map[string]any))
	}
	name, _, found := strings.Cut(strings.TrimPrefix(x.Request.Path, csrs+"/"), "/")
	if x.Response.Code == 404 || !strings.HasPrefix(x.Request.Path, csrs+"/") || !found && x.Request.Method == "GET" && x.Response.Code != 200 {
		return
	}
	for _, from := range []map[string]any{answered.Spec, sent.Spec} {
		if from["request"] != nil && from["username"] != nil {
			put(map[string]any{"name": name}, from)
			return
		}
	}
}

// madeFrom are the names that a folder's recordings create from this one on.
func madeFrom(t *testing.T, r golden.Recording) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.Path), "*.json"))
	require.NoError(t, err)
	out := map[string]bool{}
	for _, f := range files {
		if filepath.Base(f) < r.File {
			continue
		}
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		var x struct {
			Request struct {
				Method string
				Body   struct{ Metadata struct{ Name string } }
			}
		}
		if json.Unmarshal(b, &x) == nil && x.Request.Method == "POST" {
			out[x.Request.Body.Metadata.Name] = true
		}
	}
	return out
}

// bind gives a user or group the role of bootstrappers, once.
func (w *replay) bind(t *testing.T, kind, name string) {
	t.Helper()
	if w.store.Get("clusterrolebindings", "", strings.ReplaceAll(name, ":", "-")) != nil {
		return
	}
	w.must(t, "POST", era.Path(w.era, "rbac.authorization.k8s.io", "clusterrolebindings"), map[string]any{"metadata": map[string]any{"name": strings.ReplaceAll(name, ":", "-")},
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-bootstrapper"},
		"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}}})
}

// prepareOld brings the state to what an old request was recorded on.
func (w *replay) prepareOld(t *testing.T, r golden.Recording, x *exchange) {
	t.Helper()
	switch r.Folder {
	case "b1-credentials":
		if r.Number >= 19 {
			w.bind(t, "User", "kubelet-bootstrap")
		}
		if r.Number >= 43 {
			w.bind(t, "Group", "system:bootstrappers")
		}
		// The recorder deleted each Secret afterwards, and once more before the next,
		// and the token cleaner those that had expired.
		made := x.Request.Path == secrets
		for _, o := range w.store.List("secrets") {
			var s struct {
				Metadata struct{ Name string }
				Data     map[string][]byte
			}
			require.NoError(t, json.Unmarshal(o, &s))
			if made && strings.HasPrefix(s.Metadata.Name, "bootstrap-token-") || len(s.Data["expiration"]) > 0 {
				w.must(t, "DELETE", secrets+"/"+s.Metadata.Name, nil)
			}
		}
		w.began[r.Number] = len(w.lines)
		id, _, token := strings.Cut(strings.TrimPrefix(x.Request.As, "bearer "), ".")
		name := "bootstrap-token-" + id
		if made {
			var s struct{ Metadata struct{ Name string } }
			require.NoError(t, json.Unmarshal(x.Request.Body, &s))
			name = s.Metadata.Name
		}
		if before, _ := filepath.Glob(filepath.Join(filepath.Dir(r.Path), fmt.Sprintf("%02d-*-secret.json", r.Number-1))); made || token && len(before) == 0 {
			w.send(t, "DELETE", secrets+"/"+name, admin, http.Header{}, nil)
		}
		return
	case "e-api-rejections":
		if b, err := os.ReadFile(filepath.Join(filepath.Dir(r.Path), "38-list.json")); err == nil && r.Number >= 33 && r.Number < 40 {
			var list exchange
			require.NoError(t, json.Unmarshal(b, &list))
			w.makeFound(t, &list, madeFrom(t, r))
		}
		if r.Number > 40 {
			w.makeFound(t, x, nil)
		}
	}
	w.began[r.Number] = len(w.lines)
}

// othersLine tells the lines of a recorded log that are about requests of others:
// the controllers of kube-controller-manager.
func othersLine(line string) bool {
	return strings.Contains(line, "kube-controller-manager/") || strings.Contains(line, "certificatesigningrequests.certificates.k8s.io/nodeclient")
}

// logOfAll compares the log of a whole run: of what was wrong with the requests that
// are replayed here each line has to be there.
func (w *replay) logOfAll(t *testing.T, text string) {
	got := map[string]bool{}
	for _, l := range w.lines {
		got[withoutChance(l)] = true
	}
	compared := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		user, _, _ := strings.Cut(line, `" groups`)
		if othersLine(line) || !strings.Contains(line, "Unable to authenticate") && !strings.Contains(user, "RBAC") || strings.Contains(line, "system:anonymous") {
			continue
		}
		if strings.Contains(line, `cannot "list" resource "certificatesigningrequests`) {
			continue // kubectl's, which is not replayed here
		}
		require.True(t, got[withoutChance(line)], "not logged: %s", line)
		compared++
	}
	require.NotZero(t, compared)
}

// asPython is JSON as the recorder wrote it: with a blank after each comma and colon.
func asPython(b []byte) []byte {
	var compact bytes.Buffer
	if json.Compact(&compact, b) != nil {
		return b
	}
	var out []byte
	text := false
	for i, c := range compact.Bytes() {
		out = append(out, c)
		if c == '"' && (i == 0 || compact.Bytes()[i-1] != '\\') {
			text = !text
		}
		if !text && (c == ',' || c == ':') {
			out = append(out, ' ')
		}
	}
	return out
}

// A request that is no base64 is refused in the words of each release's JSON library
// (README of golden-old for 1.7; 1.8 to 1.22 from json-iterator's source).
func TestNoBase64(t *testing.T) {
	const body = `{"apiVersion": "certificates.k8s.io/v1beta1", "kind": "CertificateSigningRequest", "metadata": {"name": "e8"}, "spec": {"request": "%%%", "usages": ["client auth"]}}`
	const chain = `v1beta1.CertificateSigningRequest.Spec: v1beta1.CertificateSigningRequestSpec.Usages: []v1beta1.KeyUsage: Request: decode base64: `
	for release, want := range map[string]string{
		"1.7.0":  `[pos 136]: json: error decoding base64 binary '%%%': illegal base64 data at input byte 0`,
		"1.8.0":  chain + `illegal base64 data at input byte 0, parsing 136 ...st": "%%%"... at ` + body,
		"1.11.0": chain + `illegal base64 data at input byte 0, error found in #10 byte of ...|st": "%%%", "usages"|..., bigger context ...|tadata": {"name": "e8"}, "spec": {"request": "%%%", "usages": ["client auth"]}}|...`,
		"1.23.0": `illegal base64 data at input byte 0`,
	} {
		w := newOldReplay(t, release, "e-api-rejections")
		version, sent := "v1beta1", body
		if release == "1.23.0" {
			version, sent = "v1", strings.Replace(body, "v1beta1", "v1", 1)
		}
		resp := w.send(t, "POST", era.Path(w.era, "certificates.k8s.io", "certificatesigningrequests"), admin, nil, []byte(sent))
		require.Equal(t, 400, resp.Code)
		var st struct{ Message string }
		require.NoError(t, json.Unmarshal(resp.Body, &st))
		require.Equal(t, `CertificateSigningRequest in version "`+version+`" cannot be handled as a CertificateSigningRequest: `+want, st.Message, release)
	}
}
