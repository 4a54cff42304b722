package api

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamespaceEnds: a deletion begins the end; nothing new comes in, and the
// last finalizer lets it go.
func TestNamespaceEnds(t *testing.T) {
	g := newRig(t, "")
	g.create("/api/v1/namespaces", `{"metadata":{"name":"team"}}`)
	g.create("/api/v1/namespaces/team/configmaps", `{"metadata":{"name":"a"}}`)
	const team = "/api/v1/namespaces/team"
	code, body := g.ask("DELETE", team+"?dryRun=All", g.admin(), "", "")
	require.Equal(t, 200, code)
	require.Equal(t, "Terminating", body["status"].(map[string]any)["phase"])
	_, body = g.ask("GET", team, g.admin(), "", "")
	require.Equal(t, "Active", body["status"].(map[string]any)["phase"])

	code, body = g.ask("DELETE", team, g.admin(), "", "")
	require.Equal(t, 200, code)
	require.Equal(t, "Namespace", body["kind"])
	require.NotEmpty(t, body["metadata"].(map[string]any)["deletionTimestamp"])
	code, body = g.ask("POST", team+"/configmaps", g.admin(), "", `{"metadata":{"name":"b"}}`)
	require.Equal(t, 403, code)
	require.Equal(t, `configmaps "b" is forbidden: unable to create new content in namespace team because it is being terminated`, body["message"])
	require.Equal(t, []any{map[string]any{"reason": "NamespaceTerminating", "message": "namespace team is being terminated", "field": "metadata.namespace"}}, body["details"].(map[string]any)["causes"])
	code, body = g.ask("DELETE", team, g.admin(), "", "")
	require.Equal(t, 200, code, "asked again it is still going")
	require.Equal(t, "Terminating", body["status"].(map[string]any)["phase"])

	code, _ = g.ask("DELETE", team+"/configmaps", g.admin(), "", "")
	require.Equal(t, 200, code)
	code, _ = g.ask("PUT", team, g.admin(), "", `{"metadata":{"name":"team"},"spec":{"finalizers":[]}}`)
	require.Equal(t, 200, code)
	_, body = g.ask("GET", team, g.admin(), "", "")
	require.Equal(t, []any{"kubernetes"}, body["spec"].(map[string]any)["finalizers"], "only /finalize takes it away")
	code, _ = g.ask("PUT", team+"/finalize", g.admin(), "", `{"metadata":{"name":"team"},"spec":{"finalizers":[]}}`)
	require.Equal(t, 200, code)
	code, _ = g.ask("GET", team, g.admin(), "", "")
	require.Equal(t, 404, code)
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		require.Equal(t, `namespaces "`+name+`" is forbidden: this namespace may not be deleted`, g.refused(403, g.admin(), "DELETE", "/api/v1/namespaces/"+name, ""))
	}
}
