package desk

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKnob drags while the player is slow: the knob stays where it was put, and
// the moments that the hand only passed are not asked for.
func TestKnob(t *testing.T) {
	s := sit(t, "en")
	s.tell(Press{"start"})
	require.True(t, s.watch(20*time.Second, s.met("forbidden")))
	s.tell(Drive{"pause"})

	cursor := func() float64 { return s.m.Scene().Transport.Cursor }
	var late []Command
	for _, x := range []float64{0.10, 0.11, 0.12} {
		late = append(late, s.m.Update(Drag{x})...)
		require.InDelta(t, x, cursor(), 0.0005, "the knob does not wait for the player")
	}
	require.Len(t, late, 1, "one moment at a time")
	s.do(late)
	require.InDelta(t, 0.12, cursor(), 0.0005)
	require.InDelta(t, 0.12, s.m.axis().X(s.m.Now), 0.0005, "what is drawn is where the knob is")
	require.Nil(t, s.m.knob)
	require.Nil(t, s.m.sought)

	late = s.m.Update(Drag{0.05})
	late = append(late, s.m.Update(Drag{0.02})...)
	late = append(late, s.m.Update(Drive{"live"})...)
	s.do(late)
	require.False(t, s.m.Ghost, "who goes back to now is not dragged to the past again")
	require.Equal(t, s.m.Live, s.m.Now)
}
