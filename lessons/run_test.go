package lessons

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// TestALongStepIsHandedOnInSlices: what is seen is the same, in several calls, of
// which the last says that it is.
func TestALongStepIsHandedOnInSlices(t *testing.T) {
	s, err := ParseSession("long", "node-1# systemctl start kubelet\nadmin$ sleep 30m; echo late\nadvance 90m\nexpect late\nadvance 1s\nrefuse late\n")
	require.NoError(t, err)
	w, err := engine.New(engine.Config{Seed: "long"})
	require.NoError(t, err)
	defer w.Close()
	calls, last, most := map[int]int{}, w.View().Last, 0
	over := map[int]bool{}
	require.NoError(t, s.Run(w, func(d Do, obs []trace.Observation, more bool) {
		require.False(t, over[d.Line], "a step that is over goes on")
		calls[d.Line]++
		over[d.Line] = !more
		for _, o := range obs {
			require.Equal(t, last+1, o.ID, "one is missing, or comes twice")
			last = o.ID
		}
		if d.Verb == Advance {
			most = max(most, len(obs))
		}
	}))
	require.Equal(t, w.View().Last, last)
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 5: true}, over)
	require.Greater(t, calls[3], 3)
	require.Equal(t, 1, calls[5])
	require.Less(t, most, 4*slice, "not all of ninety minutes at once")
}
