package api_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
)

// discovery replays a request whose recorded answer speaks of a whole API
// server: what is served here has to be there, as it is, in its order.
func (w *replay) discovery(t *testing.T, r golden.Recording) {
	var x exchange
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &x))
	header := http.Header{}
	if x.Request.Accept != "" {
		header.Set("Accept", x.Request.Accept)
	}
	resp := w.send(t, x.Request.Method, x.Request.Path, x.Request.As, header, nil)
	require.Equal(t, x.Response.Code, resp.Code)
	for _, h := range []string{"Content-Type", "Cache-Control", "Vary"} {
		require.Equal(t, x.Response.Headers[h], resp.Header.Get(h), h)
	}
	var want, got map[string]any
	require.NoError(t, json.Unmarshal(x.Response.Body, &want))
	require.NoError(t, json.Unmarshal(resp.Body, &got))
	for _, k := range []string{"paths", "groups", "resources", "items"} {
		if want[k] != nil {
			want[k] = served(t, want[k].([]any), got[k].([]any))
		}
	}
	if list, ok := got["items"].([]any); ok {
		require.NotEmpty(t, resp.Header.Get("Etag"))
		for i := range list {
			theirs, ours := versions(want["items"].([]any)[i]), versions(list[i])
			require.Len(t, ours, len(theirs))
			for j := range theirs {
				theirs[j]["resources"] = served(t, theirs[j]["resources"].([]any), ours[j]["resources"].([]any))
			}
		}
	}
	require.Equal(t, pretty(t, want), pretty(t, got))
}

func versions(group any) []map[string]any {
	var out []map[string]any
	for _, v := range group.(map[string]any)["versions"].([]any) {
		out = append(out, v.(map[string]any))
	}
	return out
}

// served takes out of a recorded list what is not served here.
func served(t *testing.T, theirs, ours []any) []any {
	t.Helper()
	require.NotEmpty(t, ours)
	var names []string
	for _, o := range ours {
		names = append(names, nameOf(o))
	}
	return slices.DeleteFunc(slices.Clone(theirs), func(o any) bool { return !slices.Contains(names, nameOf(o)) })
}

// nameOf is what an item of a discovery document is known by.
func nameOf(o any) string {
	m, ok := o.(map[string]any)
	if !ok {
		return o.(string)
	}
	if meta, ok := m["metadata"].(map[string]any); ok {
		name, _ := meta["name"].(string)
		return name
	}
	for _, k := range []string{"name", "resource"} {
		if s, ok := m[k].(string); ok {
			return s
		}
	}
	return ""
}

// tableRequests makes the six CSRs of i that its tables show, as the
// recordings' README tells.
func (w *replay) tableRequests(t *testing.T) {
	t.Helper()
	if w.store.Get("certificatesigningrequests", "", "t-pending") != nil {
		return
	}
	req, err := pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA("t"), pki.Request{Subject: pkix.Name{CommonName: "system:node:node-x", Organization: []string{"system:nodes"}}})
	require.NoError(t, err)
	spec := func(signer string) map[string]any {
		return map[string]any{"request": req, "signerName": signer, "usages": []string{"digital signature", "client auth"}}
	}
	make := func(name string, spec map[string]any) {
		w.must(t, "POST", csrPath, map[string]any{"metadata": map[string]any{"name": name}, "spec": spec})
	}
	decide := func(name string, types ...string) {
		o := w.must(t, "GET", csrPath+"/"+name, nil)
		var list []any
		for _, k := range types {
			list = append(list, map[string]any{"type": k, "status": "True", "reason": "OracleApprove"})
		}
		o["status"] = map[string]any{"conditions": list}
		w.must(t, "PUT", csrPath+"/"+name+"/approval", o)
	}
	make("t-pending", spec("example.com/x"))
	make("t-approved", spec("example.com/x"))
	make("t-denied", spec("example.com/x"))
	long := spec("example.com/x")
	long["expirationSeconds"] = 86400
	make("t-exp", long)
	make("t-issued", spec("kubernetes.io/kube-apiserver-client-kubelet"))
	make("t-failed", spec("kubernetes.io/kube-apiserver-client-kubelet"))
	decide("t-approved", "Approved")
	decide("t-denied", "Denied")
	decide("t-failed", "Approved", "Failed")
	w.sign(t, "t-issued")
}

// bindings are those that the folders d and i begin with.
func (w *replay) bindings(t *testing.T) {
	t.Helper()
	for name, b := range map[string]struct{ role, kind, subject string }{
		"kubeadm:kubelet-bootstrap":          {"system:node-bootstrapper", "Group", "system:bootstrappers"},
		"kubeadm:node-autoapprove-bootstrap": {"system:certificates.k8s.io:certificatesigningrequests:nodeclient", "Group", "system:bootstrappers"},
		"oracle:node-d-autoapprove-rotation": {"system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "User", "system:node:node-d"},
	} {
		w.must(t, "POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", map[string]any{"metadata": map[string]any{"name": name},
			"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": b.role},
			"subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": b.kind, "name": b.subject}}})
	}
}

// bindingRows compares the rows of a Table of ClusterRoleBindings that a fresh
// cluster and the three of d/bindings.json have.
func (w *replay) bindingRows(t *testing.T, r golden.Recording) {
	var x exchange
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &x))
	resp := w.send(t, x.Request.Method, x.Request.Path, x.Request.As, http.Header{"Accept": {x.Request.Accept}}, nil)
	require.Equal(t, 200, resp.Code)
	rows := func(b []byte) (any, map[string][]any) {
		var v struct {
			ColumnDefinitions any
			Rows              []struct{ Cells []any }
		}
		require.NoError(t, json.Unmarshal(b, &v))
		out := map[string][]any{}
		for _, r := range v.Rows {
			r.Cells[2] = "(age)"
			out[r.Cells[0].(string)] = r.Cells
		}
		return v.ColumnDefinitions, out
	}
	columns, want := rows(x.Response.Body)
	ours, got := rows(resp.Body)
	require.Equal(t, columns, ours)
	for name := range want {
		if strings.Contains(name, "openshift") || strings.Contains(name, "service-ca-cert-publisher") || got[name] == nil && !strings.HasPrefix(name, "system:") && !strings.HasPrefix(name, "kubeadm:") && name != "cluster-admin" {
			delete(want, name)
		}
	}
	require.Equal(t, want, got)
}

// rulesOf compares the rules of a user without their order, which is that of a
// map upstream, and without those of OpenShift.
func (w *replay) rulesOf(t *testing.T, r golden.Recording) {
	var x exchange
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &x))
	resp := w.send(t, x.Request.Method, x.Request.Path, x.Request.As, nil, x.Request.Body)
	require.Equal(t, x.Response.Code, resp.Code)
	var both [2]map[string]any
	for i, b := range [][]byte{x.Response.Body, resp.Body} {
		require.NoError(t, json.Unmarshal(b, &both[i]))
		status := both[i]["status"].(map[string]any)
		for _, k := range []string{"resourceRules", "nonResourceRules"} {
			var lines []string
			for _, rule := range status[k].([]any) {
				if line := pretty(t, rule); !strings.Contains(line, "/.well-known") {
					lines = append(lines, line)
				}
			}
			slices.Sort(lines)
			status[k] = lines
		}
	}
	require.Equal(t, both[0], both[1])
}
