package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// A host changes its address: who listens at every address is at the new one,
// connections of the old one are lost, and a copy of the world goes on alike.
func TestAddressChanges(t *testing.T) {
	w := joined(t, engine.Config{Seed: "address"})
	require.Contains(t, said(t, w, "node-1", "ip address show dev eth0"), "inet 10.0.0.11/24 scope global eth0\n")
	require.Equal(t, "RTNETLINK answers: File exists\n", said(t, w, "node-1", "ip addr add 10.0.0.11/24 dev eth0"))
	require.Equal(t, "RTNETLINK answers: Cannot assign requested address\n", said(t, w, "node-1", "ip addr del 10.0.0.12/24 dev eth0"))
	require.Equal(t, "RTNETLINK answers: Operation not permitted\n", said(t, w, "admin", "ip addr del 10.0.0.2/24 dev eth0"))
	require.Equal(t, "Cannot find device \"eth1\"\n", said(t, w, "node-1", "ip addr del 10.0.0.11/24 dev eth1"))
	require.Contains(t, said(t, w, "node-1", "ip addr add 10.0.0.10/24 dev eth0"), "another host's")
	require.Contains(t, said(t, w, "node-1", "ip addr add 10.0.0.9/8 dev eth0"), "10.0.0.9/8 is none")
	require.Contains(t, said(t, w, "node-1", "ip -br addr"), "ip: '-br' is not in this shell")
	require.Contains(t, said(t, w, "node-1", "ip addr flush dev eth0"), "ip: 'flush' is not in this shell")

	require.Empty(t, said(t, w, "node-1", "ip addr add 10.0.0.77/24 dev eth0"))
	require.Equal(t, "10.0.0.11 10.0.0.77\n", said(t, w, "node-1", "hostname -I"))
	for _, at := range []string{"10.0.0.11:10250", "10.0.0.77:10250"} {
		_, there := w.Presents(at)
		require.True(t, there, at)
	}
	// It writes its heartbeats over a connection that nothing gets through any more,
	// and then over a new one.
	require.Empty(t, said(t, w, "node-1", "ip addr del 10.0.0.11/24 dev eth0"))
	_, there := w.Presents("10.0.0.11:10250")
	require.False(t, there)
	after(w, 50*time.Second)
	require.Contains(t, said(t, w, "node-1", "journalctl -u kubelet -o cat"), "context deadline exceeded")
	n := w.Clone()
	defer n.Close()
	for _, x := range []*engine.World{w, n} {
		after(x, 2*time.Minute)
		require.Contains(t, said(t, x, "admin", "kubectl get nodes --no-headers"), " Ready ")
		require.Contains(t, said(t, x, "node-1", "journalctl -u kubelet -o cat"), "http2: client connection lost")
	}
	require.Equal(t, w.Digest, n.Digest)

	// Without any address nothing can be reached.
	require.Empty(t, said(t, w, "node-1", "ip addr del 10.0.0.77/24 dev eth0; systemctl restart kubelet"))
	after(w, 30*time.Second)
	require.Contains(t, said(t, w, "node-1", "journalctl -u kubelet -o cat"), "connect: network is unreachable")
}
