package engine

import (
	"time"

	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// booting is how long a host takes from power to its units.
const booting = 30 * time.Second

// away: the host is switched off or asleep.
func (m *machine) away() bool { return m.Off || !m.Asleep.IsZero() }

// lull is why a host is away.
func (m *machine) lull() string {
	if m.Off {
		return "switched off"
	}
	return "asleep"
}

// suspend lets a host sleep: nobody there gets anything until it wakes.
func (w *World) suspend(m *machine) {
	if m.away() {
		return
	}
	m.Asleep = w.Clock
	w.weigh()
	w.doubt(func(a, b string) bool { return a == m.Name || b == m.Name })
}

// wake lets a host wake. Timers count no sleep, so they fire as much later as
// the host slept: the monotonic clock of Linux stops, the clock on the wall
// goes on.
func (w *World) wake(m *machine) {
	if m.Asleep.IsZero() {
		return
	}
	slept := w.Clock.Sub(m.Asleep)
	m.Asleep = time.Time{}
	w.weigh()
	shift := func(e *sim.Event) bool {
		host, unit := split(e.To)
		if e.To == "" && e.Msg.Kind == msgRestart {
			host, unit = split(e.Msg.Tag)
		} else if e.Msg.Kind != sim.MsgWake {
			return false
		}
		if host == m.Name {
			e.At = e.At.Add(slept)
			if e.Msg.Kind == msgRestart && e.Msg.Stream == m.unit(unit).Plan {
				m.unit(unit).Next = e.At
			}
		}
		return host == m.Name
	}
	var q sim.Queue
	for _, p := range w.Queue.Events {
		e := *p
		shift(&e)
		q.Push(e)
	}
	kept := []held(nil)
	for _, h := range w.Held {
		if e := h.Event; h.To == m.Name && shift(&e) {
			q.Push(e)
			continue
		}
		kept = append(kept, h)
	}
	w.Queue, w.Held = q, kept
	w.release()
}

// powerOff ends everything on a host at once, with no word to anyone.
func (w *World) powerOff(m *machine) {
	if m.Off {
		return
	}
	w.wake(m)
	m.Off, m.Up = true, nil
	w.weigh()
	w.doubt(func(a, b string) bool { return a == m.Name || b == m.Name })
	for _, name := range w.unitNames(m) {
		u := m.unit(name)
		if u.State == "active" || u.State == "activating" {
			m.Up = append(m.Up, name)
		}
		u.State, u.Since, u.Code, u.Phase, u.PhaseArgs, u.Restarting = "inactive", w.Clock, 0, "", nil, false
		w.unitNote(m, name, map[string]string{"state": "inactive"})
	}
	for _, addr := range w.actorsOf(m) {
		p := w.Procs[addr]
		if t, ok := p.actor.(*shell.Terminal); ok {
			w.newTerminal(m, t)
			continue
		}
		delete(w.Procs, addr)
		w.endFolds(addr)
		w.unwatchFiles(addr, p)
		for _, a := range keys(w.Listeners) {
			if w.Listeners[a].Server == addr {
				delete(w.Listeners, a)
			}
		}
		for _, id := range keys(w.Conns) {
			if c := w.Conns[id]; c.Client == addr {
				w.closeConn(c, "", false)
			}
		}
	}
}

// newTerminal is a shell anew, where one was cut off.
func (w *World) newTerminal(m *machine, old *shell.Terminal) {
	addr := m.Name + "/terminal"
	busy := old.Busy()
	old.Close()
	w.hangUp(addr, w.Procs[addr].Life)
	w.Life++
	w.Procs[addr] = &proc{Kind: "terminal", Life: w.Life, PID: 1, actor: w.newShell(m)}
	if busy {
		w.observe(trace.Observation{Actor: addr, Kind: trace.Printed, Args: map[string]string{"stream": "stderr"}, Payload: "client_loop: send disconnect: Broken pipe\n"})
		w.observe(trace.Observation{Actor: addr, Kind: trace.Done, Args: map[string]string{"status": "255"}})
	}
}

// powerOn starts a host; its units follow.
func (w *World) powerOn(m *machine) {
	w.post(w.Clock.Add(booting), "", 0, sim.Msg{Kind: msgBoot, Tag: m.Name})
}

// booted: what ran before runs again. Connections from before are answered
// with a reset.
func (w *World) booted(m *machine) {
	if !m.Off {
		return
	}
	m.Off = false
	w.weigh()
	w.connsOn(func(a, b string) bool { return b == m.Name }, func(c *conn) { w.closeConn(c, reset(c, w.target(c)), true) })
	for _, name := range m.Up {
		w.startUnit(m, name)
	}
	m.Up = nil
	w.release()
}
