package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// What systemd 252 says of a unit that ends again and again, and of one that is
// stopped. Words are of its src/core/service.c, job.c and systemctl-show.c.
func TestInitsWords(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "init"})
	const name = "kubelet.service - kubelet: The Kubernetes Node Agent"
	ended := []string{"kubelet.service: Main process exited, code=exited, status=1/FAILURE", "kubelet.service: Failed with result 'exit-code'."}
	words := func() string {
		return said(t, w, "node-1", "journalctl -u kubelet | grep -o 'systemd\\[1\\]: .*'")
	}
	lines := func(list ...string) string { return "systemd[1]: " + strings.Join(list, "\nsystemd[1]: ") + "\n" }
	said(t, w, "node-1", "cp /var/lib/kubelet/config.yaml /root/; echo nonsense > /var/lib/kubelet/config.yaml; systemctl start kubelet")
	after(w, 21*time.Second)
	again := func(n string) []string {
		return append([]string{"kubelet.service: Scheduled restart job, restart counter is at " + n + ".", "Stopped " + name + ".", "Started " + name + "."}, ended...)
	}
	require.Equal(t, lines(append(append(append([]string{"Started " + name + "."}, ended...), again("1")...), again("2")...)...), words())
	status := said(t, w, "node-1", "systemctl status kubelet")
	require.Contains(t, status, "● "+name+"\n     Loaded: loaded (/etc/systemd/system/kubelet.service; enabled; preset: enabled)\n     Active: activating (auto-restart) (Result: exit-code) since Thu 2026-01-01 00:00:20 UTC; 1s ago\n    Process: 621 ExecStart=/usr/bin/kubelet --bootstrap-kubeconfig=")
	require.Contains(t, status, " --v=2 (code=exited, status=1/FAILURE)\n   Main PID: 621 (code=exited, status=1/FAILURE)\n")

	// Somebody's start counts anew.
	said(t, w, "node-1", "systemctl stop kubelet; cp /root/config.yaml /var/lib/kubelet/config.yaml; systemctl start kubelet")
	after(w, 9500*time.Millisecond)
	require.Contains(t, said(t, w, "node-1", "systemctl status kubelet"), "Active: active (running) since")
	said(t, w, "node-1", "systemctl stop kubelet")
	require.True(t, strings.HasSuffix(words(), lines("Stopped "+name+".", "Started "+name+".", "Stopping "+name+"...", "kubelet.service: Deactivated successfully.", "Stopped "+name+".")), words())
	status = said(t, w, "node-1", "systemctl status kubelet")
	require.Contains(t, status, "○ "+name)
	require.Contains(t, status, "Active: inactive (dead) since")
	require.Contains(t, status, "\n   Duration: 9.5")
	require.Contains(t, status, "(code=exited, status=0/SUCCESS)\n   Main PID: 628 (code=exited, status=0/SUCCESS)\n")

	// kubeadm's package brings a file beside the unit, and says where the manual is.
	k := newWorld(t, engine.Config{Seed: "init", Scenario: "empty"})
	require.Contains(t, said(t, k, "node-1", "systemctl status kubelet"), "    Drop-In: /etc/systemd/system/kubelet.service.d\n             └─10-kubeadm.conf\n     Active: inactive (dead)\n       Docs: https://kubernetes.io/docs/\n")
}
