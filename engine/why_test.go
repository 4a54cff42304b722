package engine_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

func TestWhyOfWhatIsNotThere(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "why"})
	for object, want := range map[string]string{
		"moon":                    `"moon" can't be explained; there are csr/NAME, node/NAME`,
		"csr/x":                   `there is no certificate signing request "x"`,
		"node/node-9":             `there is no host "node-9"`,
		"unit/node-1/nginx":       "Unit nginx.service not found.",
		"unit/moon/kubelet":       `there is no host "moon"`,
		"cert/node-1/etc/x":       "open /etc/x: no such file or directory",
		"cert/admin/etc/hostname": "/etc/hostname holds no certificate",
		"cert/moon/x":             `there is no host "moon"`,
	} {
		_, err := w.Why(object)
		require.ErrorContains(t, err, want, object)
	}
}

// TestAnExplanationIsPlainData: it is the same after a journey as JSON, in a
// clone and from a snapshot, and asking changes nothing.
func TestAnExplanationIsPlainData(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "why"})
	said(t, w, "node-1", "systemctl start kubelet")
	after(w, 10*time.Second)
	before := w.DigestNow()
	e, err := w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "refused", e.State.Kind)
	require.Equal(t, before, w.DigestNow())
	byAddress, err := w.Why("node/10.0.0.11")
	require.NoError(t, err)
	require.Equal(t, e.State, byAddress.State)
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var back engine.Explanation
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, e, back)
	s, err := w.Snapshot()
	require.NoError(t, err)
	r, err := engine.Restore(s)
	require.NoError(t, err)
	t.Cleanup(r.Close)
	for _, o := range []*engine.World{w.Clone(), r} {
		again, err := o.Why("node/node-1")
		require.NoError(t, err)
		require.Equal(t, e, again)
	}
	// What was wrong is forgotten when it goes well.
	said(t, w, "admin", bindBootstrap)
	after(w, time.Minute)
	e, err = w.Why("node/node-1")
	require.NoError(t, err)
	require.Equal(t, "kubelet-pending", e.State.Kind)
}
