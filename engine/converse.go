package engine

import (
	"time"

	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Busy reports whether a command is running in a host's terminal.
func (w *World) Busy(host string) bool {
	p := w.Procs[host+"/terminal"]
	if p == nil {
		return false
	}
	t, ok := p.actor.(*shell.Terminal)
	return ok && t.Busy()
}

// Say types a line at a host and lets time pass until its terminal says that
// the line is done, or patience is over. A command that still runs there is
// interrupted first, as a person does with Ctrl-C. It returns all that
// happened meanwhile; Busy tells whether the line is still running. The error
// is Apply's.
func (w *World) Say(host, line string, patience time.Duration) ([]trace.Observation, error) {
	var out []trace.Observation
	if w.Busy(host) {
		if err := w.Apply(Input{Interrupt: &Interrupt{Host: host}}); err != nil {
			return nil, err
		}
		out = w.untilDone(host, patience)
	}
	if err := w.Apply(Input{Typed: &Typed{Host: host, Line: line}}); err != nil {
		return out, err
	}
	return append(out, w.untilDone(host, patience)...), nil
}

// untilDone lets things happen until a host's terminal is done with a line.
func (w *World) untilDone(host string, patience time.Duration) []trace.Observation {
	out := w.Drain()
	end := w.Clock.Add(patience)
	for w.Step(end) {
		now := w.Drain()
		out = append(out, now...)
		for _, o := range now {
			if o.Kind == trace.Done && o.Actor == host+"/terminal" {
				return out
			}
		}
	}
	w.AdvanceTo(end)
	return append(out, w.Drain()...)
}
