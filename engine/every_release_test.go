package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// In every release a node joins that a person approves, and one that nobody has to;
// both rotate their client certificate, and live on when the first one has ended.
func TestEveryReleaseJoinsAndRotates(t *testing.T) {
	for _, release := range era.Releases() {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			joinAndRotate(t, release)
		})
	}
}

func joinAndRotate(t *testing.T, release string) {
	e := era.Must(release)
	w := newWorld(t, engine.Config{Seed: "every release", Release: release, Nodes: 2})
	seen := enginetest.NewTally(w)
	pass := func(d time.Duration) {
		after(w, d)
		seen.See(w.Drain())
	}
	refused := func() (nodes []enginetest.Refusal) {
		for _, r := range seen.Take() {
			// Not those of the cleaner of 1.9, which may not delete.
			if strings.HasSuffix(r.Client, "/kubelet") {
				nodes = append(nodes, r)
			}
		}
		return nodes
	}
	f, err := engine.ParseFlag("control-1/kube-controller-manager " + durationFlag(e) + "=1h")
	require.NoError(t, err)
	require.NoError(t, w.Apply(engine.Input{Flag: &f}))
	require.Contains(t, said(t, w, "admin", bindBootstrap), "created")
	pass(5 * time.Second)

	said(t, w, "node-1", "systemctl start kubelet")
	pass(30 * time.Second)
	require.Regexp(t, `(?m)^\S+ +\S+ +.*Pending$`, said(t, w, "admin", "kubectl get csr"), "nobody approves what no rule allows")
	require.NotContains(t, said(t, w, "admin", "kubectl get nodes"), "node-1")
	// Twice: older kubelets ask for a serving certificate too, and wait for it.
	for range 2 {
		said(t, w, "admin", "kubectl certificate approve $(kubectl get csr -o name)")
		pass(30 * time.Second)
	}
	require.Contains(t, said(t, w, "admin", "kubectl get csr"), "Approved,Issued")
	require.Regexp(t, `(?m)^node-1 +Ready`, said(t, w, "admin", "kubectl get nodes"), "approved by hand: %s", said(t, w, "node-1", "journalctl -u kubelet -o cat | tail -n 20"))

	for _, line := range approvals(t, w) {
		require.Contains(t, said(t, w, "admin", line), "created")
	}
	said(t, w, "node-2", "systemctl start kubelet")
	pass(time.Minute)
	require.Regexp(t, `(?m)^node-2 +Ready`, said(t, w, "admin", "kubectl get nodes"), "approved by a rule: %s", said(t, w, "node-2", "journalctl -u kubelet -o cat | tail -n 20"))
	first := map[string]string{}
	for _, host := range []string{"node-1", "node-2"} {
		first[host] = shownCert(t, w, host)
	}
	seen.Take()

	pass(50 * time.Minute)
	for _, host := range []string{"node-1", "node-2"} {
		link := "/var/lib/kubelet/pki/kubelet-client-current.pem"
		require.True(t, issuedTo(w, "system:node:"+host), "%s asks for a new certificate with its own, and gets it:\n%s", host, said(t, w, "admin", "kubectl get csr"))
		now, err := w.Disk(host).ReadFile(link)
		require.NoError(t, err, host)
		require.NotEqual(t, first[host], string(now), "%s has a new certificate", host)
		certs, err := pki.ParseCerts(now)
		require.NoError(t, err)
		require.Equal(t, "system:node:"+host, certs[0].Subject.CommonName)
	}
	require.Empty(t, refused(), "no node is refused anything")

	pass(30 * time.Minute)
	if era.KubeletTick.In(e) == 0 {
		// The connection lives on, and with it who was there when it was opened.
		require.Contains(t, fmt.Sprint(refused()), "401 Unauthorized")
		for _, host := range []string{"node-1", "node-2"} {
			said(t, w, host, "systemctl restart kubelet")
		}
		pass(30 * time.Second)
		refused()
		pass(time.Minute)
	}
	require.Regexp(t, `(?m)^node-1 +Ready(.*\n)+node-2 +Ready`, said(t, w, "admin", "kubectl get nodes"))
	require.Empty(t, refused(), "the first certificates have ended, and no node is refused anything")
}

// durationFlag is how a controller-manager is told how long its certificates live.
func durationFlag(e era.Era) string {
	for _, f := range era.UnitFlags(e, "kube-controller-manager") {
		if name, _, _ := strings.Cut(f, "="); strings.HasSuffix(name, "cluster-signing-duration") {
			return name
		}
	}
	panic("a controller-manager of " + e.String() + " signs for as long as it likes")
}

// approvals are what lets the approver approve clients: bindings, and before them the
// roles that the release has not.
func approvals(t *testing.T, w *engine.World) (lines []string) {
	bindings := map[string]string{"nodeclient": bindApproval, "selfnodeclient": bindRenewal}
	subs := []string{"nodeclient", "selfnodeclient"}
	if era.CSRServerGate.In(era.Must(w.Release())) != "" {
		subs = append(subs, "selfnodeserver")
		bindings["selfnodeserver"] = "kubectl create clusterrolebinding approve-serving --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeserver --group=system:nodes"
	}
	for _, sub := range subs {
		role := "system:certificates.k8s.io:certificatesigningrequests:" + sub
		if out := said(t, w, "admin", "kubectl get clusterrole "+role); strings.Contains(out, "NotFound") {
			lines = append(lines, "kubectl create -f - "+roleText(era.Must(w.Release()), role, sub))
		}
		lines = append(lines, bindings[sub])
	}
	return lines
}

// shownCert is the file that a node's kubeconfig shows.
func shownCert(t *testing.T, w *engine.World, host string) string {
	conf, err := w.Disk(host).ReadFile("/etc/kubernetes/kubelet.conf")
	require.NoError(t, err, host)
	_, rest, _ := strings.Cut(string(conf), "client-certificate: ")
	path, _, _ := strings.Cut(rest, "\n")
	b, err := w.Disk(host).ReadFile(path)
	require.NoError(t, err, host)
	return string(b)
}

func issuedTo(w *engine.World, user string) bool {
	for _, c := range w.View().CSRs {
		if c.Requestor == user && c.Condition == "Approved,Issued" {
			return true
		}
	}
	return false
}

// roleText is a here-document of a role that the approver asks for.
func roleText(e era.Era, name, sub string) string {
	return fmt.Sprintf(`<<'EOF'
apiVersion: %s
kind: ClusterRole
metadata: {name: %q}
rules:
- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/%s], verbs: [create]}
EOF`, era.Preferred(e, "rbac.authorization.k8s.io", "clusterroles"), name, sub)
}
