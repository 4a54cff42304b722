package desk

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

func TestAxisIsMonotoneAndInvertible(t *testing.T) {
	var at []time.Time
	for _, d := range []time.Duration{0, 2 * time.Millisecond, time.Second, time.Minute, 24 * time.Hour, Year, time.Second} {
		at = append(at, engine.Start.Add(d))
	}
	a := newAxis(at)
	require.Equal(t, 0.0, a.X(engine.Start))
	require.Equal(t, 0.0, a.X(engine.Start.Add(-time.Hour)))
	require.Equal(t, 1.0, a.X(engine.Start.Add(2*Year)))
	before := -1.0
	for d := time.Duration(0); d < Year; d += Year / 997 {
		x := a.X(engine.Start.Add(d))
		require.GreaterOrEqual(t, x, before)
		before = x
		require.WithinDuration(t, engine.Start.Add(d), a.Time(x), time.Second)
	}
	require.Greater(t, a.X(engine.Start.Add(time.Second))-a.X(engine.Start.Add(2*time.Millisecond)), 0.03, "seconds are seen beside a year")
}

func TestAxisOfNothing(t *testing.T) {
	a := newAxis(nil)
	require.Equal(t, engine.Start, a.Time(0.5))
	require.Equal(t, 0.0, a.X(engine.Start.Add(time.Hour)))
}

func TestScaleDoesNotOverflow(t *testing.T) {
	require.Equal(t, Year/4, scale(Year, 250*time.Millisecond).Round(time.Hour))
	require.Equal(t, 20*time.Millisecond, scale(20*time.Millisecond, time.Second))
	require.Equal(t, 16500*time.Microsecond, scale(time.Second, 16500*time.Microsecond))
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{2400 * time.Millisecond: "2.4 s", 3 * time.Millisecond: "3 ms", 15 * time.Minute: "15 min", 60 * 24 * time.Hour: "60 d", 500 * time.Microsecond: "500 µs"} {
		require.Equal(t, want, span(d))
	}
}

// TestTicksKeepApart: words under the timeline never run into each other, in
// any language and on any width.
func TestTicksKeepApart(t *testing.T) {
	start, end, mid := Tick{Text: "2026-01-01", Align: "start"}, Tick{X: 1, Text: "2026-12-31 过期", Align: "end"}, Tick{X: 0.5, Text: "70% 到 90% 之间轮换", Align: "middle"}
	require.Equal(t, []Tick{start, end, mid}, apart([]Tick{start, end, mid}, 600))
	require.Equal(t, []Tick{start, end}, apart([]Tick{start, end, mid}, 266), "a phone has no room for the window")
	end.X = 0.3
	require.Equal(t, []Tick{start}, apart([]Tick{start, end}, 266), "a short life ends beside its beginning")
	end.X = 0.05
	require.Equal(t, []Tick{start}, apart([]Tick{start, end}, 600), "it would begin left of the track")
}
