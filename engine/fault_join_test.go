package engine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// TestAJoinOutlivesFaults: whatever goes wrong for five minutes, and more, in
// the midst of a join, the node is ready some time afterwards, serves with the
// certificate that it asked for, and has on its disk what it uses.
func TestAJoinOutlivesFaults(t *testing.T) {
	for _, what := range []string{"apiserver control-1 status 503", "apiserver control-1 status 429", "apiserver control-1 drop", "apiserver control-1 stop",
		"link node-1 control-1 drop 40%", "link node-1 control-1 cut", "disk node-1 deny-write /var/lib/kubelet", "disk node-1 full"} {
		for _, phase := range []time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond, 500 * time.Millisecond} {
			t.Run(fmt.Sprint(what, " after ", phase), func(t *testing.T) {
				w := newWorld(t, engine.Config{Seed: "outlives"})
				said(t, w, "admin", bindBootstrap)
				said(t, w, "admin", bindApproval)
				said(t, w, "control-1", `printf '[Service]\nEnvironment=KUBECONFIG=/etc/kubernetes/admin.conf\nExecStart=/usr/bin/kubelet-csr-approver\n' > /etc/systemd/system/approver.service; systemctl start approver`)
				said(t, w, "node-1", "echo 'serverTLSBootstrap: true' >> /var/lib/kubelet/config.yaml")
				fault(t, w, fmt.Sprintf("%s after %s for 6m", what, phase))
				said(t, w, "node-1", "systemctl start kubelet")
				after(w, 40*time.Minute)
				require.Contains(t, said(t, w, "admin", "kubectl get nodes"), " Ready ")
				require.Equal(t, "ok", said(t, w, "admin", "kubectl get --raw /api/v1/nodes/node-1/proxy/healthz"))
				require.Equal(t, "2\n", said(t, w, "node-1", "cat /var/lib/kubelet/pki/kubelet-client-current.pem /var/lib/kubelet/pki/kubelet-server-current.pem | grep -c 'BEGIN CERT'"))
			})
		}
	}
}

// TestRenewalAfterItExpired: a kubelet that could renew its certificate only with
// its token, since the server was at fault for too long, renews the next one as
// ever: not over the connection on which it had shown the one that expired.
func TestRenewalAfterItExpired(t *testing.T) {
	w := joined(t, engine.Config{Seed: "renewal"})
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "cluster-signing-duration", Value: "1h"}}))
	said(t, w, "node-1", "rm /var/lib/kubelet/pki/* /etc/kubernetes/kubelet.conf; systemctl restart kubelet")
	after(w, 30*time.Minute)
	fault(t, w, "apiserver control-1 status 503 for 2h")
	after(w, 2*time.Hour+10*time.Minute)
	refused := "journalctl -u kubelet | grep -c 'certificate signing request: Unauthorized'"
	before := said(t, w, "node-1", refused)
	after(w, 4*time.Hour)
	require.Equal(t, before, said(t, w, "node-1", refused))
}

// TestAUnitThatFailsForYears: it rests after an hour, and what is done to the
// world wakes it.
func TestAUnitThatFailsForYears(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "years"})
	said(t, w, "node-1", "mv /var/lib/kubelet/config.yaml /root; systemctl start kubelet")
	w.Drain()
	starts := func() (n int) {
		for _, o := range w.Drain() {
			if o.Kind == trace.Unit && o.Args["state"] == "active" {
				n++
			}
		}
		return n
	}
	after(w, time.Hour)
	require.Equal(t, 360, starts(), "every 10 s")
	after(w, 23*time.Hour)
	require.Equal(t, 23*6, starts())
	after(w, 365*24*time.Hour)
	require.LessOrEqual(t, starts(), 4*365+1)
	e, err := w.Why("unit/node-1/kubelet")
	require.NoError(t, err)
	require.NotEmpty(t, e.Next)
	require.True(t, e.Next[0].At.After(w.Now()))
	said(t, w, "admin", "true")
	after(w, time.Minute)
	require.Equal(t, 6, starts())
	said(t, w, "node-1", "mv /root/config.yaml /var/lib/kubelet")
	after(w, 11*time.Second)
	require.Equal(t, "active\n", said(t, w, "node-1", "systemctl is-active kubelet"))
}
