package engine_test

import (
	"crypto/x509"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// The world of kubeadm is made by kubeadm's own commands, and still the same
// each time; no journal has them, and a snapshot holds it.
func TestScenarioKubeadm(t *testing.T) {
	make := func() *engine.World {
		w, err := engine.New(engine.Config{Seed: "kubeadm", Scenario: "kubeadm"})
		require.NoError(t, err)
		t.Cleanup(w.Close)
		return w
	}
	a, b := make(), make()
	require.Equal(t, engine.Start, a.Now())
	require.Empty(t, a.Drain())
	require.Empty(t, a.Journal().Inputs)
	for _, w := range []*engine.World{a, b} {
		_, err := w.Say("control-1", "kubeadm token create abcdef.0123456789abcdef", time.Minute)
		require.NoError(t, err)
		_, err = w.Say("node-1", "kubeadm join 10.0.0.10:6443 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification", time.Minute)
		require.NoError(t, err)
	}
	view := func(w *engine.World) string {
		out, err := json.Marshal(w.View())
		require.NoError(t, err)
		return string(out)
	}
	require.Equal(t, view(a), view(b))
	data, err := a.Snapshot()
	require.NoError(t, err)
	c, err := engine.Restore(data)
	require.NoError(t, err)
	require.Equal(t, view(a), view(c))

	disk := a.Disk("control-1")
	read := func(name string) []byte {
		data, err := disk.ReadFile(name)
		require.NoError(t, err)
		return data
	}
	ca, err := pki.ParseCerts(read("/etc/kubernetes/pki/ca.crt"))
	require.NoError(t, err)
	require.Equal(t, x509.RSA, ca[0].PublicKeyAlgorithm)
	require.Contains(t, string(read("/etc/kubernetes/kubelet.conf")), "client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem")
	names := map[string]string{}
	for _, n := range a.View().Nodes {
		names[n.Name] = n.Status
	}
	require.Equal(t, map[string]string{"control-1": "Ready", "node-1": "Ready"}, names)

	_, err = engine.New(engine.Config{Scenario: "kubespray"})
	require.EqualError(t, err, `there is no scenario "kubespray"; there is empty, kubeadm, or leave it out`)
}

// kubeadm join that waits for a signature may be left: by Ctrl-C, by a clone that
// goes another way, and by the end of the world.
func TestKubeadmJoinIsLeft(t *testing.T) {
	w, err := engine.New(engine.Config{Seed: "left", Scenario: "kubeadm"})
	require.NoError(t, err)
	const join = "kubeadm join 10.0.0.10:6443 --token zzzzzz.0123456789abcdef --discovery-token-unsafe-skip-ca-verification"
	_, err = w.Say("node-1", join, 10*time.Second)
	require.NoError(t, err)
	require.True(t, w.Busy("node-1"))
	clone := w.Clone()
	clone.AdvanceTo(clone.Now().Add(time.Minute))
	clone.Close()
	_, err = w.Say("node-1", "true", time.Second)
	require.NoError(t, err)
	require.False(t, w.Busy("node-1"))
	_, err = w.Say("node-1", join, 10*time.Second)
	require.NoError(t, err)
	w.Close()
}

// TestControlPlaneJoinsByHand: what control planes share may be carried instead
// of uploaded.
func TestControlPlaneJoinsByHand(t *testing.T) {
	w, err := engine.New(engine.Config{Seed: "carried", Scenario: "kubeadm", ControlPlanes: 3})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	say := func(host, line string) string {
		obs, err := w.Say(host, line, time.Minute)
		require.NoError(t, err)
		out := ""
		for _, o := range obs {
			if o.Kind == trace.Printed {
				out += o.Payload
			}
		}
		return out
	}
	say("control-1", "kubeadm token create abcdef.0123456789abcdef")
	for _, name := range []string{"ca.crt", "ca.key", "sa.key", "sa.pub", "front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"} {
		data, err := w.Disk("control-1").ReadFile("/etc/kubernetes/pki/" + name)
		require.NoError(t, err)
		say("control-3", "mkdir -p /etc/kubernetes/pki/etcd; cat > /etc/kubernetes/pki/"+name+" <<'EOF'\n"+string(data)+"EOF")
	}
	const join = "kubeadm join 10.0.0.3:6443 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification"
	out := say("control-3", join+" --control-plane")
	require.Contains(t, say("control-3", "kubeadm join phase control-plane-join mark-control-plane --control-plane"), "[mark-control-plane] Marking the node control-3 as control-plane")
	require.Contains(t, out, "a new control plane instance was created")
	require.NotContains(t, out, "download-certs")
	// What control planes share is the same, what is a host's own is not.
	a, b := w.Disk("control-1"), w.Disk("control-3")
	for name, same := range map[string]bool{"ca.crt": true, "sa.key": true, "etcd/ca.key": true, "apiserver.crt": false, "etcd/peer.crt": false} {
		x, err := a.ReadFile("/etc/kubernetes/pki/" + name)
		require.NoError(t, err)
		y, err := b.ReadFile("/etc/kubernetes/pki/" + name)
		require.NoError(t, err)
		require.Equal(t, same, string(x) == string(y), name)
	}
	// A node joins through the control plane that is left.
	say("control-1", "systemctl stop kube-apiserver kube-controller-manager")
	w.AdvanceTo(w.Now().Add(time.Minute))
	require.Contains(t, say("node-1", join), "This node has joined the cluster:")

	// Without an address that stays there is one control plane.
	w, err = engine.New(engine.Config{Seed: "one", Scenario: "kubeadm"})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	say("control-1", "kubeadm token create abcdef.0123456789abcdef")
	require.Contains(t, say("node-1", "kubeadm join 10.0.0.10:6443 --control-plane --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification"),
		"unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address")
}
