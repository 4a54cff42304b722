package desk

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

const (
	// Beat is how long time stands still, on the wall, after an exchange that
	// matters, so that its arrow can be watched.
	Beat = 900 * time.Millisecond
	// beatSpeed is the fastest time at which it stands still at all.
	beatSpeed = time.Second
	// slice is how long one Frame may compute, on the wall.
	slice = 12 * time.Millisecond
	// report is how often, on the wall, a running world is reported.
	report = 90 * time.Millisecond
	// unreported is how many observations a running world makes ahead of a page
	// that has not taken in those before.
	unreported = 1000
	// keepJournal is how often, on the wall, a running world's journal is sent.
	keepJournal = 2 * time.Second
	// maxFrame bounds what one Frame makes of a tab that slept.
	maxFrame = 250 * time.Millisecond
)

// Engine is the player of a world. It is used from one goroutine.
type Engine struct {
	// Wall is a monotonic clock for the slices of work; nil means no limit.
	Wall func() time.Duration

	live  *engine.World
	ghost *ghost
	past  past

	playing bool
	speed   time.Duration
	leap    leap
	hold    time.Duration

	// weights of the exchanges that are open, by stream, for the beats.
	weights map[string]int
	// quiet and unkept are the wall time since the last report and journal.
	quiet, unkept time.Duration
	// unheard: the page has not taken in the last of these reports.
	unheard bool
	// trust: somebody looks at who trusts whom.
	trust bool
	fresh []trace.Observation
}

type leap struct{ from, to time.Time }

func (l leap) on() bool { return !l.to.IsZero() }

// Playing reports whether Frame has something to do.
func (e *Engine) Playing() bool { return e.playing && e.live != nil }

// Handle does what the page asks for and returns what it is to hear. A panic
// of the world becomes FromEngine.Crash.
func (e *Engine) Handle(m ToEngine) (out []FromEngine) {
	defer func() {
		for i := range out {
			out[i].N = m.N
		}
	}()
	defer e.rescue(&out)
	if m.Open != nil {
		return e.open(*m.Open)
	}
	if e.live == nil {
		return nil
	}
	switch {
	case m.Heard:
		e.unheard = false
		return nil
	case m.Input != nil:
		return e.input(*m.Input)
	case m.Play != nil:
		e.playing, e.speed, e.leap = true, m.Play.Speed, leap{}
	case m.Pause:
		e.playing, e.leap, e.hold = false, leap{}, 0
		return e.report(true, true)
	case m.Step:
		e.step()
	case m.Seek != nil:
		e.playing, e.leap = false, leap{}
		e.seek(*m.Seek)
	case m.Continue && e.ghost != nil:
		e.live, e.ghost = e.ghost.world, nil
		e.past.cut(e.live.Now())
		e.fresh = nil
		e.weights = map[string]int{}
		out = e.report(true, true)
		out[0].Cut = true
		return out
	case m.Trust != nil:
		e.trust = *m.Trust
	case m.Leap > 0:
		e.ghost = nil
		e.playing, e.hold = true, 0
		e.leap = leap{e.live.Now(), e.live.Now().Add(m.Leap)}
	}
	out = e.report(true, false)
	if m.Sum {
		out[0].Sum = e.live.Sum()
	}
	return out
}

// Frame lets as much virtual time pass as elapsed on the wall is worth.
func (e *Engine) Frame(elapsed time.Duration) (out []FromEngine) {
	defer e.rescue(&out)
	if !e.Playing() {
		return nil
	}
	if e.unheard && len(e.fresh) >= unreported {
		return nil
	}
	elapsed = min(elapsed, maxFrame)
	e.quiet += elapsed
	e.unkept += elapsed
	if e.hold > 0 {
		e.hold -= elapsed
		if e.hold > 0 {
			return nil
		}
		elapsed, e.hold = -e.hold, 0
	}
	to := e.now().Add(scale(e.speed, elapsed))
	if e.leap.on() {
		to = e.leap.to
	}
	if e.ghost != nil {
		e.runGhost(to)
	} else {
		e.run(to)
	}
	if e.leap.on() && !e.live.Now().Before(e.leap.to) {
		e.leap, e.playing = leap{}, false
		return e.report(true, true)
	}
	if e.hold > 0 || !e.playing {
		return e.report(true, true)
	}
	if e.quiet < report || e.unheard {
		return nil
	}
	e.unheard = true
	return e.report(false, e.unkept > keepJournal)
}

// scale is speed × elapsed, in integers that don't overflow for a year a second.
func scale(speed, elapsed time.Duration) time.Duration {
	const unit = time.Millisecond
	return speed/1000*(elapsed/unit) + speed/1000/1000*(elapsed%unit)/1000
}

func (e *Engine) now() time.Time {
	if e.ghost != nil {
		return e.ghost.world.Now()
	}
	return e.live.Now()
}

// run advances the live world until to, until its slice of work is used up, or
// until an exchange ends that is worth a beat.
func (e *Engine) run(to time.Time) {
	begun := e.wall()
	for n := 0; ; n++ {
		if n&7 == 0 && e.Wall != nil && e.wall()-begun > slice {
			return
		}
		if !e.live.Step(to) {
			e.live.AdvanceTo(to)
			return
		}
		if e.gather() && e.speed <= beatSpeed && !e.leap.on() {
			// All that happens at this very moment belongs to it, so that an
			// input which comes now finds the same world when it is replayed.
			e.live.AdvanceTo(e.live.Now())
			e.gather()
			e.hold = Beat
			return
		}
	}
}

func (e *Engine) wall() time.Duration {
	if e.Wall == nil {
		return 0
	}
	return e.Wall()
}

// gather takes the world's new observations and reports whether one of them
// ends an exchange that matters.
func (e *Engine) gather() (beat bool) {
	obs := e.live.Drain()
	for i := range obs {
		o := &obs[i]
		switch o.Kind {
		case trace.Request:
			if w := requestWeight(o); w >= matters {
				e.weights[o.Args["stream"]] = w
			}
		case trace.Response:
			if _, ok := e.weights[o.Args["stream"]]; ok {
				delete(e.weights, o.Args["stream"])
				beat = true
			}
		}
	}
	e.fresh = append(e.fresh, obs...)
	e.past.keep(e.live, len(obs))
	return beat
}

// step lets the world that is drawn run to the next observation that can be
// seen. Where the past meets the present, it is the present.
func (e *Engine) step() {
	e.playing, e.leap, e.hold = false, leap{}, 0
	for range 500 {
		var happened []trace.Observation
		if e.ghost != nil {
			next, ok := e.ghost.next(e.live.Inputs)
			if !ok || !next.Before(e.live.Now()) {
				e.ghost = nil
				return
			}
			happened = e.ghost.advance(e.live.Inputs, next)
		} else {
			next, ok := e.live.Next()
			if !ok {
				return
			}
			before := len(e.fresh)
			e.live.AdvanceTo(next)
			e.gather()
			happened = e.fresh[before:]
		}
		if slices.ContainsFunc(happened, func(o trace.Observation) bool { return o.Kind != trace.Log && o.Kind != trace.File }) {
			return
		}
	}
}

func (e *Engine) open(o Open) []FromEngine {
	j := engine.Journal{V: engine.JournalVersion, Config: o.Config}
	if len(o.Journal) > 0 {
		var err error
		if j, err = engine.ReadJournal(o.Journal); err != nil {
			return []FromEngine{{Error: err.Error()}}
		}
	}
	w, err := engine.New(j.Config)
	if err != nil {
		return []FromEngine{{Error: err.Error()}}
	}
	n := Engine{Wall: e.Wall, trust: e.trust, live: w, speed: time.Second, weights: map[string]int{}}
	n.past.keep(w, 0)
	left := engine.MostEvents
	for i, in := range j.Inputs {
		if left = w.AdvanceWithin(in.At, left); left == 0 {
			return []FromEngine{{Error: engine.ErrTooMuch.Error()}}
		}
		n.gather()
		n.past.mark(w)
		if err := w.Apply(in); err != nil {
			return []FromEngine{{Error: fmt.Sprintf("input %d of this journal: %v", i+1, err)}}
		}
	}
	if w.AdvanceWithin(j.End, left) == 0 {
		return []FromEngine{{Error: engine.ErrTooMuch.Error()}}
	}
	*e = n
	out := e.report(true, true)
	out[0].Opened = true
	return out
}

func (e *Engine) input(in engine.Input) []FromEngine {
	if e.ghost != nil {
		return []FromEngine{{Error: "past"}}
	}
	e.live.AdvanceTo(e.live.Now())
	e.gather()
	e.past.mark(e.live)
	if err := e.live.Apply(in); err != nil {
		return []FromEngine{{Error: err.Error()}}
	}
	e.gather()
	e.hold = 0
	return e.report(true, true)
}

// report tells what changed. A View is sent when it is asked for or when there
// is something new in it; a journal when it is asked for.
func (e *Engine) report(view, journal bool) []FromEngine {
	e.gather()
	m := FromEngine{Now: e.now(), Live: e.live.Now(), Ghost: e.ghost != nil, Playing: e.playing, Observations: e.fresh}
	if e.leap.on() {
		done := float64(e.live.Now().Sub(e.leap.from)) / float64(e.leap.to.Sub(e.leap.from))
		m.Leaping = &done
	}
	if view || len(e.fresh) > 0 || e.ghost != nil {
		w := e.live
		if e.ghost != nil {
			w = e.ghost.world
		}
		v := w.View()
		if e.trust {
			v.Trust, _ = w.Trust("")
		}
		m.View = &v
	}
	if journal {
		m.Journal, _ = json.Marshal(e.live.Journal())
		e.unkept = 0
	}
	e.fresh, e.quiet = nil, 0
	return []FromEngine{m}
}

// rescue turns a panic of the world into a sentence; the world is given up.
func (e *Engine) rescue(out *[]FromEngine) {
	if p := recover(); p != nil {
		e.live, e.ghost, e.playing = nil, nil, false
		*out = []FromEngine{{Crash: fmt.Sprint(p)}}
	}
}
