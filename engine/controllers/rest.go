package controllers

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// restFrom is the pause from which on a name rests instead of being tried again.
// A request that nobody may approve is looked at every 1,000 s for the day that
// it lives, and a kubelet makes a new one every 15 minutes, for years. The answer
// is the same until the rules change, so the questions after the first seven are
// folded, as heartbeats are: they carry the header Joinery-Fold, and the API
// server tells when the rules changed. Then the name is tried when a real
// manager would have tried it next.
const restFrom = 10 * time.Second

// rests is the pause after the question that is about to be asked, if the name
// would rest in it; else 0.
func (m *ControllerManager) rests(l *loop) time.Duration {
	if l.Kind != kindApprove {
		return 0
	}
	wait := era.CSRRetry.In(m.era()).At(l.Fails[l.Busy])
	if wait < restFrom {
		return 0
	}
	return wait
}

// rouse ends all rest: the rules changed, or it can't be known whether they did.
func (m *ControllerManager) rouse(c *sim.Ctx) {
	m.Roused = c.Now
	for _, l := range m.Loops {
		for _, name := range slices.Sorted(maps.Keys(l.Resting)) {
			at := l.Resting[name]
			for !at.After(c.Now) {
				at = at.Add(kinds[l.Kind].retry.In(m.era()).At(l.Fails[name]))
				l.Fails[name]++
			}
			c.Wake(at, fmt.Sprintf("retry %d %s", l.Index, name))
		}
		l.Resting = nil
	}
}
