package desk

import (
	"sort"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

const (
	// pointEvery is how many observations lie between two checkpoints at
	// least, maxPoints how many checkpoints are kept.
	pointEvery = 400
	maxPoints  = 48
)

// point is the world at a moment, and how many inputs it had had.
type point struct {
	at     time.Time
	inputs int
	world  *engine.World
}

// past is the checkpoints of the live world, earliest first.
type past struct {
	points []point
	since  int
}

// keep counts observations and makes a checkpoint when there were enough.
func (p *past) keep(w *engine.World, observations int) {
	p.since += observations
	if len(p.points) == 0 || p.since >= pointEvery {
		p.mark(w)
	}
}

// mark makes a checkpoint. When there are too many, every second one goes,
// but for the first and the last.
func (p *past) mark(w *engine.World) {
	p.since = 0
	p.points = append(p.points, point{w.Now(), len(w.Inputs), w.Clone()})
	if len(p.points) <= maxPoints {
		return
	}
	thin := p.points[:0]
	for i, q := range p.points {
		if i%2 == 0 || i == len(p.points)-1 {
			thin = append(thin, q)
		} else {
			q.world.Close()
		}
	}
	p.points = thin
}

// before is the last checkpoint that is not after t.
func (p *past) before(t time.Time) point {
	i := sort.Search(len(p.points), func(i int) bool { return p.points[i].at.After(t) })
	return p.points[max(0, i-1)]
}

// cut drops what is later than t.
func (p *past) cut(t time.Time) {
	i := sort.Search(len(p.points), func(i int) bool { return p.points[i].at.After(t) })
	p.points = p.points[:max(1, i)]
}

// ghost is a world of the past that is drawn instead of the live one. Inputs
// of the live world are given to it again as its time comes.
type ghost struct {
	world  *engine.World
	inputs int
}

// advance brings the ghost to t and returns what happened on the way.
func (g *ghost) advance(journal []engine.Input, t time.Time) []trace.Observation {
	for ; g.inputs < len(journal) && !journal[g.inputs].At.After(t); g.inputs++ {
		g.world.AdvanceTo(journal[g.inputs].At)
		// What the live world took, its earlier self takes too.
		_ = g.world.Apply(journal[g.inputs])
	}
	g.world.AdvanceTo(t)
	return g.world.Drain()
}

// next is when something happens again: in the world, or to it.
func (g *ghost) next(journal []engine.Input) (time.Time, bool) {
	at, ok := g.world.Next()
	if g.inputs < len(journal) && (!ok || journal[g.inputs].At.Before(at)) {
		return journal[g.inputs].At, true
	}
	return at, ok
}

// seek shows the world as it was at t.
func (e *Engine) seek(t time.Time) {
	if !t.Before(e.live.Now()) {
		e.ghost = nil
		return
	}
	if first := e.past.points[0]; !t.After(first.at) {
		// The very start is before all inputs, also those of its moment.
		e.ghost = &ghost{first.world.Clone(), first.inputs}
		return
	}
	from := e.past.before(t)
	if e.ghost == nil || t.Before(e.ghost.world.Now()) || from.at.After(e.ghost.world.Now()) {
		e.ghost = &ghost{from.world.Clone(), from.inputs}
	}
	e.ghost.advance(e.live.Inputs, t)
}

// runGhost plays the past until to; where it meets the present it stops.
func (e *Engine) runGhost(to time.Time) {
	if !to.Before(e.live.Now()) {
		e.ghost, e.playing = nil, false
		return
	}
	e.ghost.advance(e.live.Inputs, to)
}
