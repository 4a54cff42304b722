package api_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
)

// call is one request of the upstream e2e test, as the audit log has it.
type call struct {
	Verb, URI, Stage, User string
	Code                   int
}

// generated are names that the test made with generateName.
var generated = regexp.MustCompile(`(e2e-example-csr|tester-csr)-[a-z0-9]{5}\b`)

// calls replays the requests of the upstream e2e test Certificates API: their
// verbs, paths, codes and users; the bodies are not recorded, so what the test
// says that it does is sent.
func (w *replay) calls(t *testing.T, r golden.Recording) {
	var list []call
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &list))
	w.space, w.testing = regexp.MustCompile(`certificates-[0-9]+`).FindString(r.Text(t)), false
	names := map[string]string{} // recorded to ours
	ours := func(uri string) string {
		return generated.ReplaceAllStringFunc(uri, func(n string) string {
			if names[n] != "" {
				return names[n]
			}
			return n
		})
	}
	// What a name that is created next was called: the next one that a path has.
	next := func(i int, prefix string) string {
		for _, c := range list[i:] {
			if n := generated.FindString(c.URI); strings.HasPrefix(n, prefix) && names[n] == "" {
				return n
			}
		}
		return ""
	}
	for i, c := range list {
		if c.Stage == "ResponseStarted" {
			continue // the watch is told of again when it is over
		}
		as := admin
		if c.User != "kubernetes-admin" {
			as = c.User
		}
		method := map[string]string{"get": "GET", "list": "GET", "watch": "GET", "create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE", "deletecollection": "DELETE"}[c.Verb]
		header := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"auth-e2e.test/v0.0.0"}}
		if c.Verb == "patch" {
			header.Set("Content-Type", "application/merge-patch+json")
		}
		uri := ours(c.URI)
		if c.Verb == "watch" {
			uri = regexp.MustCompile(`resourceVersion=[0-9]+`).ReplaceAllString(uri, "resourceVersion="+w.version())
		}
		resp := w.send(t, method, uri, as, header, w.e2eBody(t, c, uri))
		require.Equal(t, c.Code, resp.Code, "%s %s: %s", c.Verb, uri, resp.Body)
		require.Equal(t, c.Verb == "watch", resp.Stream)
		if c.Verb == "create" && strings.HasSuffix(c.URI, "certificatesigningrequests") {
			var o struct{ Metadata struct{ Name string } }
			require.NoError(t, json.Unmarshal(resp.Body, &o))
			prefix := o.Metadata.Name[:len(o.Metadata.Name)-5]
			if n := next(i, prefix); n != "" {
				names[n] = o.Metadata.Name
			}
		}
		for _, kind := range []string{"clusterroles", "clusterrolebindings"} {
			if c.Verb == "create" && strings.HasSuffix(c.URI, kind) {
				var o struct{ Metadata struct{ Name string } }
				require.NoError(t, json.Unmarshal(resp.Body, &o))
				for _, d := range list[i:] {
					if d.Verb == "delete" && strings.Contains(d.URI, "/"+kind+"/") {
						names[generated.FindString(d.URI)] = o.Metadata.Name
					}
				}
			}
		}
		if c.Verb == "update" && strings.Contains(uri, "tester-csr") && strings.HasSuffix(uri, "/approval") {
			name := generated.FindString(uri)
			w.issue(t, name)
			o := w.must(t, "GET", csrPath+"/"+name, nil)
			var cert []byte
			b, err := json.Marshal(o["status"].(map[string]any)["certificate"])
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(b, &cert))
			chain, err := pki.ParseCerts(cert)
			require.NoError(t, err)
			w.chains["tester-csr"] = [][]byte{chain[0].Raw}
		}
	}
}

func (w *replay) version() string {
	b, _ := json.Marshal(w.store.Version)
	return string(b)
}

// e2eBody is what the test sends.
func (w *replay) e2eBody(t *testing.T, c call, uri string) []byte {
	t.Helper()
	path, _, _ := strings.Cut(uri, "?")
	parts := strings.Split(path, "/")
	last := parts[len(parts)-1]
	tester := w.testing
	var o any
	switch {
	case c.Verb == "create" && last == "namespaces":
		o = map[string]any{"metadata": map[string]any{"name": w.space}}
	case c.Verb == "create" && last == "clusterroles":
		w.testing = true
		o = map[string]any{"metadata": map[string]any{"generateName": "tester-csr-"}, "rules": []any{map[string]any{"verbs": []string{"create"}, "apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"certificatesigningrequests"}}}}
	case c.Verb == "create" && last == "clusterrolebindings":
		role := ""
		for _, b := range w.store.List("clusterroles") {
			var r struct{ Metadata struct{ Name string } }
			require.NoError(t, json.Unmarshal(b, &r))
			if strings.HasPrefix(r.Metadata.Name, "tester-csr-") {
				role = r.Metadata.Name
			}
		}
		o = map[string]any{"metadata": map[string]any{"generateName": "tester-csr-"}, "roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "tester-csr"}}}
	case c.Verb == "create":
		cn, prefix, signer := "e2e.example.com", "e2e-example-csr-", "example.com/e2e-"+w.space
		if tester {
			cn, prefix, signer = "tester-csr", "tester-csr-", "kubernetes.io/kube-apiserver-client"
		}
		req, err := pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA(prefix), pki.Request{Subject: pkix.Name{CommonName: cn}})
		require.NoError(t, err)
		o = map[string]any{"metadata": map[string]any{"generateName": prefix}, "spec": map[string]any{"request": req, "signerName": signer, "usages": []string{"digital signature", "key encipherment", "client auth"}}}
	case c.Verb == "patch" && last == "approval":
		o = map[string]any{"metadata": map[string]any{"annotations": map[string]any{"patchedapproval": "true"}}, "status": map[string]any{"conditions": []any{map[string]any{"type": "ApprovalPatch", "status": "True", "reason": "e2e"}}}}
	case c.Verb == "patch":
		o = map[string]any{"metadata": map[string]any{"annotations": map[string]any{"patched" + strings.TrimPrefix(last, generated.FindString(last)): "true"}}}
	case c.Verb == "update":
		object := w.must(t, "GET", csrPath+"/"+generated.FindString(uri), nil)
		if last == "approval" {
			status := object["status"].(map[string]any)
			list, _ := status["conditions"].([]any)
			status["conditions"] = append(list, map[string]any{"type": "Approved", "status": "True", "reason": "E2E", "message": "Set from an e2e test"})
		} else {
			meta := object["metadata"].(map[string]any)
			notes, _ := meta["annotations"].(map[string]any)
			if notes == nil {
				notes = map[string]any{}
			}
			notes["updated"] = "true"
			meta["annotations"] = notes
		}
		o = object
	default:
		return nil
	}
	b, err := json.Marshal(o)
	require.NoError(t, err)
	return b
}
