package desk

import (
	"math"
	"slices"
	"sort"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

// Axis maps time to places from 0 to 1 on the timeline. A join takes seconds
// and a certificate lives a year, so no even scale shows both: between two
// moments that matter the axis takes room by the logarithm of the time that
// lies between them. It is monotone, so a place is one moment.
type Axis struct {
	at []time.Time
	x  []float64
}

// newAxis makes the axis of the moments that matter; they need not be sorted.
func newAxis(moments []time.Time) Axis {
	sort.Slice(moments, func(i, j int) bool { return moments[i].Before(moments[j]) })
	a := Axis{at: slices.CompactFunc(moments, func(a, b time.Time) bool { return a.Equal(b) })}
	a.x = make([]float64, len(a.at))
	// Neighbours stay apart while there are few of them.
	least := min(2.5, 40/float64(len(a.at)+1))
	for i := 1; i < len(a.at); i++ {
		d := a.at[i].Sub(a.at[i-1]).Seconds()
		a.x[i] = a.x[i-1] + least + 0.8*math.Log1p(d/0.2)
	}
	if n := len(a.x); n > 1 {
		total := a.x[n-1]
		for i := range a.x {
			a.x[i] /= total
		}
		a.x[n-1] = 1
	}
	return a
}

// X is the place of a moment.
func (a Axis) X(t time.Time) float64 {
	n := len(a.at)
	if n < 2 || !t.After(a.at[0]) {
		return 0
	}
	if !t.Before(a.at[n-1]) {
		return 1
	}
	i := sort.Search(n, func(i int) bool { return a.at[i].After(t) })
	part := float64(t.Sub(a.at[i-1])) / float64(a.at[i].Sub(a.at[i-1]))
	return a.x[i-1] + part*(a.x[i]-a.x[i-1])
}

// Time is the moment at a place.
func (a Axis) Time(x float64) time.Time {
	n := len(a.at)
	if n == 0 {
		return engine.Start
	}
	if n == 1 || x <= 0 {
		return a.at[0]
	}
	i := sort.SearchFloat64s(a.x, x)
	if i >= n {
		return a.at[n-1]
	}
	if i == 0 {
		i = 1
	}
	part := (x - a.x[i-1]) / (a.x[i] - a.x[i-1])
	return a.at[i-1].Add(time.Duration(part * float64(a.at[i].Sub(a.at[i-1]))))
}

// axis is the timeline's: from the world's start over all marks and the lives
// of certificates to a little after the last of them.
func (m *Model) axis() Axis {
	at := []time.Time{engine.Start}
	end := m.Live
	for _, k := range m.Ledger.Marks {
		at = append(at, k.At)
	}
	for _, l := range m.lasting {
		from := l.NotBefore
		if from.Before(engine.Start) {
			from = engine.Start
		}
		at = append(at, from, l.NotAfter)
		if l.Current {
			w := window(l)
			at = append(at, w[0], w[1])
		}
		if l.NotAfter.After(end) {
			end = l.NotAfter
		}
	}
	at = append(at, m.Live)
	if len(m.lasting) == 0 {
		// Room for what comes, in steps, so that the axis does not creep.
		room := 30 * time.Second
		for engine.Start.Add(room).Before(m.Live.Add(room / 4)) {
			room *= 2
		}
		end = engine.Start.Add(room)
	}
	return newAxis(append(at, end))
}

// window is when a kubelet may rotate a certificate: from 70 to 90 % of its
// life. Models k8s.io/client-go/util/certificate jitteryDuration.
func window(l engine.LifeView) [2]time.Time {
	life := l.NotAfter.Sub(l.NotBefore)
	return [2]time.Time{l.NotBefore.Add(life / 10 * 7), l.NotBefore.Add(life / 10 * 9)}
}
