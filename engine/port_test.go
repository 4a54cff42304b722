package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// http sends a request without a program: to an address, with a token or without.
func (w *city) http(id, addr, method, path, token string, body string, peer [][]byte) (code, answer string) {
	w.t.Helper()
	q := sim.Request{Method: method, URL: path, Header: http.Header{"Content-Type": {"application/json"}}, Remote: "10.0.0.2:40000", Body: []byte(body), Peer: peer}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	require.NoError(w.t, w.Apply(engine.Input{External: &engine.External{ID: id, Addr: addr, Request: q}}))
	w.AdvanceTo(w.Now().Add(50 * time.Millisecond))
	for _, o := range w.Drain() {
		if o.Kind == trace.Response && o.Args["external"] == id {
			return o.Args["code"], o.Payload
		}
	}
	require.Fail(w.t, "no answer", "%s %s", method, path)
	return "", ""
}

// The port asks the API server whose a ServiceAccount's token is, and what it may:
// both words are remembered for as long as a real kubelet remembers them.
func TestPortAsksTheAPIServer(t *testing.T) {
	w := joinedWith(t, "port tokens", false)
	n := 0
	admin, err := (&terminal{city: w}).admin()
	require.NoError(t, err)
	call := func(addr, method, path, token, body string, peer [][]byte) (string, string) {
		n++
		return w.http(fmt.Sprint("call-", n), addr, method, path, token, body, peer)
	}
	w.say("admin", "kubectl create -f - <<'EOF'\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: scraper, namespace: default}\nEOF")
	code, body := call("10.0.0.10:6443", "POST", "/api/v1/namespaces/default/serviceaccounts/scraper/token", "", `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","spec":{}}`, admin)
	require.Equal(t, "201", code, body)
	var made struct{ Status struct{ Token string } }
	require.NoError(t, json.Unmarshal([]byte(body), &made))
	metrics := func() string {
		code, body := call("10.0.0.11:10250", "GET", "/metrics/resource", made.Status.Token, "", nil)
		if code == "200" {
			return code
		}
		return code + " " + body
	}
	const forbidden = "403 Forbidden (user=system:serviceaccount:default:scraper, verb=get, resource=nodes, subresource(s)=[metrics])\n"
	require.Equal(t, forbidden, metrics())
	w.say("admin", "kubectl create clusterrolebinding scraper --clusterrole=system:kubelet-api-admin --serviceaccount=default:scraper")
	w.pass(20 * time.Second)
	require.Equal(t, forbidden, metrics(), "for half a minute a refusal is remembered")
	w.pass(10 * time.Second)
	require.Equal(t, "200", metrics())
	w.say("admin", "kubectl delete clusterrolebinding scraper; kubectl delete serviceaccount scraper")
	w.pass(80 * time.Second)
	require.Equal(t, "200", metrics(), "the token is remembered for two minutes, what it may for five")
	w.pass(10 * time.Second)
	require.Equal(t, "401 Unauthorized", metrics())
	code, body = call("10.0.0.11:10250", "GET", "/metrics/resource", "", "", nil)
	require.Equal(t, "401 Unauthorized", code+" "+body)
}

// kubectl's ways into a pod, and what keeps one from them: the argument, the API
// server, the kubelet, and the container.
func TestWaysIntoAPod(t *testing.T) {
	w := joinedWith(t, "ways into a pod", false)
	pod := func(name, spec string) {
		require.Contains(t, w.say("admin", "kubectl create -f - <<'EOF'\napiVersion: v1\nkind: Pod\nmetadata: {name: "+name+", namespace: default}\nspec: {"+spec+"}\nEOF"), "created")
	}
	pod("p", "nodeName: node-1, containers: [{name: c, image: c}]")
	pod("q", "nodeName: node-1, containers: [{name: c, image: c}, {name: d, image: d}]")
	pod("nowhere", "containers: [{name: c, image: c}]")
	pod("lost", "nodeName: node-9, containers: [{name: c, image: c}]")
	w.pass(time.Second)
	cert, key := w.leaf(w.cluster(), "alice", time.Hour, false)
	w.say("admin", "cat > /tmp/a.crt <<'EOF'\n"+cert+"EOF\ncat > /tmp/a.key <<'EOF'\n"+key+"EOF\ncat > /tmp/a.conf <<'EOF'\nclusters: [{name: k, cluster: {server: 'https://10.0.0.10:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {client-certificate: /tmp/a.crt, client-key: /tmp/a.key}}]\nEOF")
	w.say("admin", "kubectl create clusterrolebinding alice --clusterrole=view --user=alice")
	const alice = "kubectl --kubeconfig=/tmp/a.conf "
	for line, want := range map[string]string{
		"kubectl exec p -- echo hello":              "hello\n",
		"kubectl exec p -- sh -c 'exit 7'; echo $?": "command terminated with exit code 7\n7\n",
		"kubectl exec q -- hostname":                "Defaulted container \"c\" out of: c, d\nnode-1\n",
		"kubectl exec q -c e -- hostname":           "error: container e is not valid for pod q out of: c, d\n",
		"kubectl exec nosuch -- ls":                 "Error from server (NotFound): pods \"nosuch\" not found\n",
		"kubectl exec nowhere -- ls":                "Error from server (BadRequest): pod nowhere does not have a host assigned\n",
		"kubectl exec lost -- ls":                   "Error from server (NotFound): nodes \"node-9\" not found\n",
		"kubectl attach nosuch":                     "Error from server (NotFound): pods \"nosuch\" not found\n",
		"kubectl attach":                            "error: at least 1 argument is required for attach\nSee 'kubectl attach -h' for help and examples\n",
		"kubectl port-forward p":                    "error: TYPE/NAME and list of ports are required for port-forward\nSee 'kubectl port-forward -h' for help and examples\n",
		"kubectl port-forward nosuch 80":            "Error from server (NotFound): pods \"nosuch\" not found\n",
		"kubectl port-forward nowhere 80":           "error: unable to forward port because pod is not running. Current status=Pending\n",
		"kubectl port-forward p 0":                  "error: remote port must be > 0: \"0\"\n",
		"kubectl port-forward p 8080:80 443": "Forwarding from 127.0.0.1:8080 -> 80\nForwarding from [::1]:8080 -> 80\nForwarding from 127.0.0.1:443 -> 443\nForwarding from [::1]:443 -> 443\n" +
			"error: the connection to the pod stands, but its processes are not simulated, so nothing listens at its ports\n",
		alice + "exec p -- ls":                                       "Error from server (Forbidden): pods \"p\" is forbidden: User \"alice\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"default\"\n",
		alice + "port-forward p 80":                                  "error: error upgrading connection: pods \"p\" is forbidden: User \"alice\" cannot create resource \"pods/portforward\" in API group \"\" in the namespace \"default\"\n",
		alice + "get --raw /api/v1/namespaces/default/pods/p/proxy/": "Error from server (Forbidden): pods \"p\" is forbidden: User \"alice\" cannot get resource \"pods/proxy\" in API group \"\" in the namespace \"default\"\n",
	} {
		require.Equal(t, want, w.say("admin", line), line)
	}
	require.Contains(t, w.say("admin", alice+"attach p"), "pods \"p\" is forbidden: User \"alice\" cannot create resource \"pods/attach\" in API group \"\" in the namespace \"default\"\n")
	require.Contains(t, w.say("admin", "kubectl attach p"), "error: the connection to the container stands")
	w.say("node-1", "systemctl stop kubelet")
	w.pass(time.Second)
	require.Equal(t, "error: unable to upgrade connection: error dialing backend: dial tcp 10.0.0.11:10250: connect: connection refused\n", w.say("admin", "kubectl exec p -- ls"))
	require.Equal(t, "error: error upgrading connection: unable to upgrade connection: error dialing backend: dial tcp 10.0.0.11:10250: connect: connection refused\n", w.say("admin", "kubectl port-forward p 80"))
}
