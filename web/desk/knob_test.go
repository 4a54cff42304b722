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
	busy := func() bool { return s.m.Scene().Transport.Busy }
	require.False(t, busy())
	var late []Command
	for _, x := range []float64{0.10, 0.11, 0.12} {
		late = append(late, s.m.Update(Drag{x})...)
		require.InDelta(t, x, cursor(), 0.0005, "the knob does not wait for the player")
		require.True(t, busy(), "what is drawn is of another moment than the knob's")
	}
	require.Len(t, late, 1, "one moment at a time")
	passed := s.answer(*late[0].Post)
	next := s.m.Update(Heard{passed})
	require.InDelta(t, 0.10, s.m.axis().X(s.m.Now), 0.0005, "a moment that the hand only passed")
	require.InDelta(t, 0.12, cursor(), 0.0005)
	require.True(t, busy(), "it is not the knob's")
	s.do(next)
	require.False(t, busy())
	require.InDelta(t, 0.12, cursor(), 0.0005)
	require.InDelta(t, 0.12, s.m.axis().X(s.m.Now), 0.0005, "what is drawn is where the knob is")
	require.Nil(t, s.m.knob)

	late = s.m.Update(Drag{0.05})
	late = append(late, s.m.Update(Drag{0.02})...)
	late = append(late, s.m.Update(Drive{"live"})...)
	s.do(late)
	require.False(t, s.m.Ghost, "who goes back to now is not dragged to the past again")
	require.Equal(t, s.m.Live, s.m.Now)
	require.False(t, busy())
}

// TestPauseIsNotTakenBack pauses while the player, which has not heard of it,
// tells that time runs.
func TestPauseIsNotTakenBack(t *testing.T) {
	s := sit(t, "en")
	s.tell(Press{"start"})
	late := s.m.Update(Drive{"pause"})
	require.True(t, s.m.Scene().Transport.Busy, "time may still run")
	before := s.m.Now
	s.watch(time.Second, func() bool { return s.m.Now.After(before) })
	require.True(t, s.m.Now.After(before), "a report that was on its way")
	require.False(t, s.m.Playing)
	s.do(late)
	require.False(t, s.m.Playing)
	require.False(t, s.m.Scene().Transport.Busy)
	stood := s.m.Now
	s.rest()
	require.Equal(t, stood, s.m.Now)
}

// TestBusyEnds has the player refuse one thing and lose its world over another:
// the page doesn't wait for what never comes.
func TestBusyEnds(t *testing.T) {
	s := sit(t, "en")
	s.tell(SetFlag{"control-1", "kube-controller-manager", "cluster-signing-duration", "1 hour"})
	require.NotEmpty(t, s.m.Error)
	require.False(t, s.m.waits(), "a refusal is an answer")
	s.m.Update(Drive{"pause"}) // what a player that died never heard
	require.True(t, s.m.waits())
	s.e = Engine{}
	s.post(ToEngine{Open: &Open{Journal: s.journal}})
	require.False(t, s.m.waits(), "a new world has nothing to answer")
}

// TestSlowPage has the page take in nothing for a while: it is not left behind
// by reports that pile up, and misses nothing.
func TestSlowPage(t *testing.T) {
	s := sit(t, "en")
	s.tell(SetSpeed{3})
	s.tell(Press{"start"})
	s.tell(SetSpeed{3})
	var late []FromEngine
	for range 100 {
		late = append(late, s.e.Frame(50*time.Millisecond)...)
	}
	require.Equal(t, 1, len(late), "five seconds in one report")
	for range 1000 {
		late = append(late, s.e.Frame(50*time.Millisecond)...)
	}
	require.Equal(t, 1, len(late))
	require.Less(t, len(s.e.fresh), 2*unreported, "the world waits")
	s.hear(late)
	before := len(s.m.Ledger.Exchanges)
	late = nil
	for range 4 {
		late = append(late, s.e.Frame(50*time.Millisecond)...)
	}
	require.Equal(t, 1, len(late), "the next comes when the page has that one")
	s.hear(late)
	require.Greater(t, len(s.m.Ledger.Exchanges), before)
	for i, x := range s.m.Ledger.Exchanges[1:] {
		require.Greater(t, x.ID, s.m.Ledger.Exchanges[i].ID)
	}
	s.tell(Drive{"pause"})
	require.Equal(t, s.e.live.Now(), s.m.Now)
}
