package engine

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// checkFault finds what of a fault this world has not got.
func (w *World) checkFault(f *Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	for _, h := range []string{f.Where.Host, f.Where.Peer} {
		if m := w.machine(h); (m == nil || m.Name != h) && (h != "" || f.Where.Host == "") {
			return fmt.Errorf("there is no host %q; there are %v", h, w.Hosts())
		}
	}
	m := w.machine(f.Where.Host)
	switch {
	case f.Where.On == "link" && f.Where.Host == f.Where.Peer:
		return fmt.Errorf("a link has two ends; %s is one host", f.Where.Host)
	case f.Where.On == "link" && f.Where.Peer == "":
		return fmt.Errorf("a link has two ends; write link %s control-1", f.Where.Host)
	case f.Where.On == "apiserver":
		if _, err := m.readUnit(apiserver); err != nil {
			return fmt.Errorf("there is no API server on %s", m.Name)
		}
	case f.Effect == Corrupt:
		if _, err := m.Disk.ReadFile(f.Match); err != nil {
			return fmt.Errorf("on %s: %w", m.Name, err)
		}
	case f.Effect == Clone:
		from := w.machine(f.Match)
		if from == nil || from.Name != f.Match {
			return fmt.Errorf("there is no host %q; there are %v", f.Match, w.Hosts())
		}
		if from == m || from.Role != "node" || m.Role != "node" {
			return fmt.Errorf("a clone is of one node's disk to another node; write disk node-2 clone node-1")
		}
	case !f.Until.IsZero() && !f.Until.After(w.Clock):
		return fmt.Errorf("this fault would have ended already")
	}
	if w.fault(f.name()) != nil {
		return fmt.Errorf("this fault is set already: %s", f.name())
	}
	return nil
}

const apiserver = "kube-apiserver"

// fault finds a fault by its name.
func (w *World) fault(name string) *Fault {
	for i := range w.Faults {
		if w.Faults[i].name() == name {
			return &w.Faults[i]
		}
	}
	return nil
}

func (w *World) checkLift(l *Lift) error {
	if slices.ContainsFunc(w.Faults, l.names) || l.Faults == "all" {
		return nil
	}
	if len(w.Faults) == 0 {
		return fmt.Errorf("no fault is set")
	}
	return fmt.Errorf("no fault is called %q; there are: %s", l.Faults, join(w.FaultNames()))
}

func join(names []string) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += "; "
		}
		out += n
	}
	return out
}

// setFault takes a fault up; it begins now or when its time comes.
func (w *World) setFault(f Fault) {
	if f.From.Before(w.Clock) {
		f.From = w.Clock
	}
	w.Faults = append(slices.Clip(w.Faults), f)
	if f.From.After(w.Clock) {
		w.post(f.From, "", 0, sim.Msg{Kind: msgFault, Tag: f.name()})
	} else {
		w.begin(f.name())
	}
	if !f.Until.IsZero() {
		w.post(f.Until, "", 0, sim.Msg{Kind: msgHealed, Tag: f.name()})
	}
}

// lift ends faults before their time.
func (w *World) lift(l *Lift) {
	for _, f := range slices.Clone(w.Faults) {
		if l.names(f) {
			w.endFault(f.name())
		}
	}
}

func (w *World) noteFault(f *Fault, state string) uint64 {
	return w.observe(trace.Observation{Actor: f.actor(), Kind: trace.Fault, Subject: f.name(), Args: map[string]string{"state": state}})
}

// begin brings a fault into force, with what happens at once.
func (w *World) begin(name string) {
	f := w.fault(name)
	if f == nil || f.Begun || f.From.After(w.Clock) {
		return
	}
	f.Begun = true
	cause := w.noteFault(f, "begin")
	w.weigh()
	m := w.machine(f.Where.Host)
	switch f.Effect {
	case Drop, Delay, Duplicate:
		if f.Effect == Drop && f.Where.On != "apiserver" && f.Percent == 0 {
			w.doubt(f.Where.between)
		} else {
			w.connsOn(f.Where.between, func(c *conn) { w.unfold(func(o *conn) bool { return o == c }) })
		}
	case Refuse:
		w.connsOn(f.Where.between, func(c *conn) { w.closeConn(c, reset(c, w.target(c)), true) })
	case Stop, Restart:
		if f.Where.On == "apiserver" {
			w.stopUnit(m, apiserver)
		} else {
			w.powerOff(m)
		}
	case Suspend:
		w.suspend(m)
	case DenyWrite, Full:
		w.deny(m)
	case Corrupt:
		w.corrupt(m, f.Match, cause)
	case Clone:
		w.clone(m, w.machine(f.Match))
	case Skew:
		w.setClock(m, m.Clock.Set(w.Clock, m.Clock.At(w.Clock).Add(f.By)), cause)
	case Drift:
		w.setClock(m, m.Clock.Drift(w.Clock, f.N), cause)
	}
	if f.Where.On == "apiserver" {
		w.connsOn(func(a, b string) bool { return b == m.Name }, func(c *conn) { w.unfold(func(o *conn) bool { return o == c }) })
	}
	if c, _ := canOf(f.Where.On, f.Effect); c.once {
		w.endFault(name)
	}
}

// endFault ends a fault; what it held goes on.
func (w *World) endFault(name string) {
	f := w.fault(name)
	if f == nil {
		return
	}
	over := *f
	w.Faults = slices.DeleteFunc(slices.Clone(w.Faults), func(g Fault) bool { return g.name() == name })
	if !over.Begun {
		return
	}
	cause := w.noteFault(&over, "end")
	w.weigh()
	m := w.machine(over.Where.Host)
	switch over.Effect {
	case Stop, Restart:
		if over.Where.On == "apiserver" {
			w.startUnit(m, apiserver)
		} else {
			w.powerOn(m)
		}
	case Suspend:
		w.wake(m)
	case DenyWrite, Full:
		w.deny(m)
	case Skew, Drift:
		w.setClock(m, sim.Clock{}, cause)
	}
	w.release()
	w.rouse()
}

// deny gives a disk what is denied on it now.
func (w *World) deny(m *machine) {
	m.Disk.Denied = nil
	w.inForce(func(f *Fault) {
		if f.Where.On == "disk" && f.Where.Host == m.Name {
			m.Disk.Denied = append(m.Disk.Denied, sim.Denial{Path: cmp.Or(f.Match, "/"), Full: f.Effect == Full})
		}
	})
}

// clone gives a machine the disk of another one; the units that run there run
// here too, once it has booted.
func (w *World) clone(m, from *machine) {
	down := m.Off
	w.powerOff(m)
	m.Disk = from.Disk.Clone()
	w.deny(m)
	m.Up = nil
	for _, name := range w.unitNames(from) {
		if s := from.unit(name).State; s == "active" || s == "activating" {
			m.Up = append(m.Up, name)
		}
	}
	if !down {
		w.powerOn(m)
	}
}

// corrupt cuts a file in half, as a write that the power was cut in.
func (w *World) corrupt(m *machine, name string, cause uint64) {
	b, err := m.Disk.ReadFile(name)
	if err != nil {
		return
	}
	m.Disk.Changed = func(op, name string, e *sim.Entry) {
		w.observe(trace.Observation{Cause: cause, Actor: m.Name + "/fault", Kind: trace.File, Subject: name, Args: fileArgs(op, e)})
		w.fileChanged(m, name, cause)
	}
	m.Disk.WriteFile(name, b[:len(b)/2], 0o644, m.Clock.At(w.Clock))
	m.Disk.Changed = nil
}
