package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The API server passes requests on to Services and pods. Nobody vouches for what
// is there, so its certificate is not verified, and the API server shows none.
func TestProxyToServicesAndPods(t *testing.T) {
	w := joinedWith(t, "proxies", false)
	raw := func(path string) string { return w.say("admin", "kubectl get --raw "+path) }
	const ns = "/api/v1/namespaces/"

	// Itself is the one Service with Endpoints.
	require.Contains(t, raw(ns+"default/services/https:kubernetes:https/proxy/version"), `"major"`)
	require.Contains(t, raw(ns+"default/services/https:kubernetes:443/proxy/healthz"), "ok")
	require.Equal(t, "Error from server (BadRequest): the server rejected our request for an unknown reason\n", raw(ns+"default/services/kubernetes:https/proxy/version"))
	require.Contains(t, raw(ns+"default/services/https:kubernetes:https/proxy/api/v1/nodes"), `User "system:anonymous" cannot list resource "nodes"`)

	// What a unit listens at.
	require.NotContains(t, raw(ns+"kube-system/services/https:metrics-server:https/proxy/readyz"), "no endpoints")
	w.say("control-1", "systemctl stop metrics-server")
	w.pass(time.Second)
	require.Equal(t, "Error from server (ServiceUnavailable): no endpoints available for service \"https:metrics-server:https\"\n", raw(ns+"kube-system/services/https:metrics-server:https/proxy/readyz"))
	require.Equal(t, "Error from server (ServiceUnavailable): no endpoints available for service \"https:kubernetes:nosuch\"\n", raw(ns+"default/services/https:kubernetes:nosuch/proxy/version"))
	require.Equal(t, "Error from server (ServiceUnavailable): no service port 80 found for service \"kubernetes\"\n", raw(ns+"default/services/kubernetes:80/proxy/version"))
	require.Equal(t, "Error from server (NotFound): services \"nosuch\" not found\n", raw(ns+"default/services/nosuch/proxy/"))
	require.Equal(t, "Error from server (BadRequest): invalid service request \"ftp:kubernetes:https\"\n", raw(ns+"default/services/ftp:kubernetes:https/proxy/"))

	// A pod, whose processes are not simulated.
	require.Contains(t, w.say("admin", "kubectl create -f - <<'EOF'\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default}\nspec:\n  nodeName: node-1\n  containers: [{name: c, image: c}]\nEOF"), "created")
	w.pass(time.Second)
	require.Regexp(t, `p +1/1 +Running `, w.say("admin", "kubectl get pods"))
	require.Equal(t, "Error from server (ServiceUnavailable): error trying to reach service: dial tcp :80: connect: connection refused\n", raw(ns+"default/pods/p/proxy/"))
	require.Equal(t, "Error from server (NotFound): pods \"q\" not found\n", raw(ns+"default/pods/q/proxy/"))
	require.Equal(t, "Error from server (BadRequest): invalid pod request \":p\"\n", raw(ns+"default/pods/:p/proxy/"))
}
