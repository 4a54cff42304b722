package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
)

// bygone is a world of a release, in which a person does by raw requests what kubectl
// would do.
type bygone struct {
	cluster
	t *testing.T
	e era.Era
}

// inRelease is a world in which bootstrappers may ask for certificates.
func inRelease(t *testing.T, cfg engine.Config) *bygone {
	t.Helper()
	if cfg.Seed == "" {
		cfg.Seed = "release " + cfg.Release
	}
	w, err := engine.New(cfg)
	require.NoError(t, err)
	b := &bygone{cluster{w: w}, t, era.Must(cfg.Release)}
	b.bind("bootstrap", "system:node-bootstrapper", "system:bootstrappers")
	return b
}

// bind gives a group a ClusterRole.
func (b *bygone) bind(name, role, group string) {
	b.t.Helper()
	const api = "rbac.authorization.k8s.io"
	code, out := b.call(b.t, adminName, "POST", b.bindings(), map[string]any{
		"apiVersion": era.Preferred(b.e, api, "clusterrolebindings"), "kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
		"roleRef":  map[string]any{"apiGroup": api, "kind": "ClusterRole", "name": role},
		"subjects": []any{map[string]any{"apiGroup": api, "kind": "Group", "name": group}}})
	require.Equal(b.t, 201, code, out)
}

func (b *bygone) bindings() string {
	return era.Path(b.e, "rbac.authorization.k8s.io", "clusterrolebindings")
}

// automatic has the client certificates of nodes approved: the roles for it are
// made where the release has none.
func (b *bygone) automatic() {
	const api, csrs = "rbac.authorization.k8s.io", "certificatesigningrequests"
	for _, kind := range []string{"nodeclient", "selfnodeclient"} {
		name := "system:certificates.k8s.io:certificatesigningrequests:" + kind
		code, out := b.call(b.t, adminName, "POST", era.Path(b.e, api, "clusterroles"), map[string]any{
			"apiVersion": era.Preferred(b.e, api, "clusterroles"), "kind": "ClusterRole", "metadata": map[string]any{"name": name},
			"rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{csrs + "/" + kind}, "verbs": []string{"create"}}}})
		require.Contains(b.t, []int{201, 409}, code, out)
		b.bind(kind, name, map[string]string{"nodeclient": "system:bootstrappers", "selfnodeclient": "system:nodes"}[kind])
	}
}

// csrs are all requests.
func (b *bygone) csrs() (out []map[string]any) {
	b.t.Helper()
	code, list := b.call(b.t, adminName, "GET", era.Path(b.e, "certificates.k8s.io", "certificatesigningrequests"), nil)
	require.Equal(b.t, 200, code)
	items, _ := list["items"].([]any)
	for _, x := range items {
		out = append(out, x.(map[string]any))
	}
	return out
}

// settle approves or denies all requests that wait.
func (b *bygone) settle(verdict string) {
	b.t.Helper()
	path := era.Path(b.e, "certificates.k8s.io", "certificatesigningrequests")
	verb := map[string]string{"Approved": "Approve", "Denied": "Deny"}[verdict]
	for _, csr := range b.csrs() {
		status, _ := csr["status"].(map[string]any)
		if status["conditions"] != nil {
			continue
		}
		name := csr["metadata"].(map[string]any)["name"].(string)
		csr["status"] = map[string]any{"conditions": []any{map[string]any{"type": verdict, "status": "True", "reason": "Kubectl" + verb, "message": "This CSR was approved by kubectl certificate " + strings.ToLower(verb) + "."}}}
		csr["apiVersion"], csr["kind"] = era.Preferred(b.e, "certificates.k8s.io", "certificatesigningrequests"), "CertificateSigningRequest"
		code, out := b.call(b.t, adminName, "PUT", path+"/"+name+"/approval", csr)
		require.Equal(b.t, 200, code, out)
	}
}

// ready is the status of a node's condition Ready, and when it was last heard of.
func (b *bygone) ready(node string) (status, heard string) {
	b.t.Helper()
	_, n := b.call(b.t, adminName, "GET", "/api/v1/nodes/"+node, nil)
	s, _ := n["status"].(map[string]any)
	conditions, _ := s["conditions"].([]any)
	for _, x := range conditions {
		if c := x.(map[string]any); c["type"] == "Ready" {
			return fmt.Sprint(c["status"]), fmt.Sprint(c["lastHeartbeatTime"])
		}
	}
	return "", ""
}

// on types a line at node-1 and returns what it says; log is the kubelet's.
func (b *bygone) on(line string) string {
	b.t.Helper()
	return said(b.t, b.w, "node-1", line)
}

func (b *bygone) log() string { return b.on("journalctl -u kubelet -o cat") }

// starts starts the kubelet and approves what it asks for until it is ready.
func (b *bygone) joins() {
	b.t.Helper()
	b.on("systemctl start kubelet")
	for range 4 {
		b.pass(10 * time.Second)
		b.settle("Approved")
	}
	b.pass(20 * time.Second)
	status, _ := b.ready("node-1")
	require.Equal(b.t, "True", status, b.log())
}

// In every release a node joins when a person approves its requests, and later has
// its client certificate renewed in the same way.
func TestEveryReleaseJoins(t *testing.T) {
	for _, release := range era.Releases() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			b := inRelease(t, engine.Config{Release: release})
			b.joins()
			files := func() int { return strings.Count(b.on("ls /var/lib/kubelet/pki"), "kubelet-client-2") }
			b.pass(254 * 24 * time.Hour)
			for first := files(); files() == first; b.settle("Approved") {
				require.True(t, b.w.Now().Before(engine.Start.AddDate(0, 11, 0)), b.log())
				b.pass(12 * time.Hour)
			}
			b.pass(time.Minute)
			status, _ := b.ready("node-1")
			require.Equal(t, "True", status, b.log())
		})
	}
}
