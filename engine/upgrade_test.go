package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A host that is upgraded runs the programs of the other release, started anew; the
// others stay, and a journal knows of it.
func TestUpgrade(t *testing.T) {
	w, err := New(Config{Seed: "1", Nodes: 2})
	require.NoError(t, err)
	require.NoError(t, w.Apply(Input{Typed: &Typed{Host: "node-1", Line: "systemctl start kubelet"}}))
	w.AdvanceTo(w.Now().Add(time.Minute))
	before := w.machine("node-1").unit("kubelet").PID

	require.NoError(t, w.Apply(Input{Upgrade: &Upgrade{Host: "node-1", Release: "1.37"}}))
	w.AdvanceTo(w.Now().Add(time.Minute))
	require.Equal(t, "1.36", w.Release(), "the control plane stays")
	require.Equal(t, "1.37", w.eraOf(w.machine("node-1")).String())
	require.Equal(t, "1.36", w.eraOf(w.machine("node-2")).String())
	require.NotEqual(t, before, w.machine("node-1").unit("kubelet").PID)

	require.NoError(t, w.Apply(Input{Upgrade: &Upgrade{Release: "1.37"}}))
	w.AdvanceTo(w.Now().Add(time.Minute))
	require.Equal(t, "1.37", w.Release())
	require.Equal(t, "inactive", w.machine("node-2").unit("kubelet").State, "what was stopped stays so")

	again, err := Replay(w.Journal(), w.Now())
	require.NoError(t, err)
	require.Equal(t, w.View().Digest, again.View().Digest)
	require.Equal(t, "1.37", again.Clone().Release())

	require.EqualError(t, w.Apply(Input{Upgrade: &Upgrade{Release: "1.99"}}), `release "1.99" is not here; choose one of 1.7 to 1.37`)
	require.ErrorContains(t, w.Apply(Input{Upgrade: &Upgrade{Host: "node-9", Release: "1.37"}}), `there is no host "node-9"`)
}
