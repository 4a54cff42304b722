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
