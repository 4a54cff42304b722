package lessons

import (
	"maps"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Key names a sentence in a lesson's catalogs: Lesson.Why says it in the
// person's language.
type Key string

// Goal is what a step of a lesson wants to become true.
type Goal struct {
	// ID is that of its step.
	ID   string
	When *Predicate
}

// Evidence is what has happened as far as a lesson's goals care, as plain
// data: Seen counts the observations that fit a predicate about seen, Met
// holds the goals that were met. A goal that was met once stays met: a person
// who cleans up afterwards has still learned it.
type Evidence struct {
	Seen map[string]int  `json:"seen"`
	Met  map[string]bool `json:"met"`

	watched []*Predicate
}

// Evidence begins the evidence of someone who starts this lesson.
func (l *Lesson) Evidence() *Evidence {
	ev := &Evidence{Seen: map[string]int{}, Met: map[string]bool{}}
	for _, s := range l.Steps {
		if s.Goal.When.list == "seen" {
			ev.watched = append(ev.watched, s.Goal.When)
		}
	}
	return ev
}

// Add takes what happened into account. Each observation is to be added once.
func (ev *Evidence) Add(obs []trace.Observation) {
	for i := range obs {
		var r row
		for _, p := range ev.watched {
			if r == nil {
				r = rowOf(&obs[i])
			}
			if p.fits(r) {
				ev.Seen[p.text]++
			}
		}
	}
}

// Clone returns an independent copy.
func (ev *Evidence) Clone() *Evidence {
	return &Evidence{maps.Clone(ev.Seen), maps.Clone(ev.Met), ev.watched}
}

func rowOf(o *trace.Observation) row {
	r := row{"kind": string(o.Kind), "actor": o.Actor, "host": o.Host(), "subject": o.Subject, "payload": o.Payload}
	for k, v := range o.Args {
		r["arg."+k] = v
	}
	return r
}

// Met judges the goal by the world as it is and by what has happened, and
// notes in ev when it is met. Why names the sentence that says what is
// missing.
func (g Goal) Met(v engine.View, ev *Evidence) (met bool, why Key) {
	if ev.Met[g.ID] {
		return true, ""
	}
	n := ev.Seen[g.When.text]
	if g.When.list != "seen" {
		n = g.When.count(v)
	}
	if !g.When.holds(n) {
		return false, Key(g.ID)
	}
	ev.Met[g.ID] = true
	return true, ""
}

// Judge asks every goal of the lesson and lists those that are not met.
func (l *Lesson) Judge(v engine.View, ev *Evidence) (missing []Key) {
	for _, s := range l.Steps {
		if ok, why := s.Goal.Met(v, ev); !ok {
			missing = append(missing, why)
		}
	}
	return missing
}
