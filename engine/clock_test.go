package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// said is all that a host printed in answer to a line.
func said(t testing.TB, w *engine.World, host, line string) string {
	t.Helper()
	obs, err := w.Say(host, line, time.Minute)
	require.NoError(t, err)
	var b strings.Builder
	for _, o := range obs {
		if o.Kind == trace.Printed {
			b.WriteString(o.Payload)
		}
	}
	return b.String()
}

func after(w *engine.World, d time.Duration) { w.AdvanceTo(w.Now().Add(d)) }

const (
	bindBootstrap = "kubectl create clusterrolebinding kubelet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers"
	bindApproval  = "kubectl create clusterrolebinding approve-client --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers"
	bindRenewal   = "kubectl create clusterrolebinding approve-renewal --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes"
)

// joined is a world whose node has joined and will renew by itself.
func joined(t testing.TB, cfg engine.Config) *engine.World {
	t.Helper()
	w := newWorld(t, cfg)
	for _, line := range []string{bindBootstrap, bindApproval, bindRenewal} {
		said(t, w, "admin", line)
	}
	for _, h := range w.Hosts() {
		if strings.HasPrefix(h, "node-") {
			said(t, w, h, "systemctl start kubelet")
		}
	}
	after(w, time.Minute)
	require.Contains(t, said(t, w, "admin", "kubectl get nodes"), "node-1")
	return w
}

func TestEachHostHasAClockOfItsOwn(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "clocks"})
	require.Equal(t, "Fri Jan  2 10:00:00 UTC 2026\n", said(t, w, "node-1", "date -s '2026-01-02 10:00:00'"))
	require.Contains(t, said(t, w, "node-1", "date"), "Fri Jan  2 10:00:00 UTC 2026")
	require.Contains(t, said(t, w, "admin", "date"), "Thu Jan  1 00:00:00 UTC 2026")
	// A clock that was set back is before the API server's certificate, and the
	// words of crypto/tls show the clock in the host's zone.
	said(t, w, "node-1", "timedatectl set-timezone Asia/Shanghai; date -s 2025-06-01; systemctl start kubelet")
	after(w, 10*time.Second)
	out := said(t, w, "node-1", "journalctl -u kubelet | grep 'not yet valid' | head -n 1; ls -l /etc/localtime")
	require.Contains(t, out, "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2025-06-01T00:00:0")
	require.Contains(t, out, "+08:00 is before 2025-12-31T23:")
	require.Contains(t, out, "Jun 01 00:00:0", "journalctl and klog's header are in the host's zone")
	require.Contains(t, out, "E0601 00:00:0")
	require.Contains(t, out, "Jan  2  2026 /etc/localtime -> ../usr/share/zoneinfo/Asia/Shanghai", "a file from the future is shown with its year")
	// The others never heard of it.
	require.NotContains(t, said(t, w, "control-1", "journalctl -u kube-apiserver"), "x509")
}

func TestAClockThatJumpsPastExpiryIsNoticed(t *testing.T) {
	w := joined(t, engine.Config{Seed: "jump"})
	said(t, w, "node-1", "date -s '+2 years'")
	after(w, 11*time.Second)
	require.Contains(t, said(t, w, "node-1", "journalctl -u kubelet | tail -n 20"), "Current certificate is expired")

	// The API server's clock says who is let in: the node's own clock is right.
	w = joined(t, engine.Config{Seed: "jump"})
	require.Contains(t, said(t, w, "admin", "kubectl get nodes"), "Ready")
	said(t, w, "control-1", "date -s '+2 years'")
	after(w, time.Minute)
	require.Contains(t, said(t, w, "control-1", "journalctl -u kube-apiserver"), "x509: certificate has expired or is not yet valid: current time 2028-01-01T")
	require.NotContains(t, said(t, w, "node-1", "journalctl -u kubelet"), "Current certificate is expired")
}
