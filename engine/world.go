package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Start is the virtual time at which every world begins.
var Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// World is a cluster and its machines at one moment of virtual time.
type World struct {
	state
	era era.Era
	// clock is the time as New and AdvanceTo move it; inside a step it is
	// that of the event.
	// verdict is the refusal that the present step of a server decided.
	verdict map[string]string
	obs     []trace.Observation

	idle   []*sim.Ctx
	tokens map[string][2]string // what bearer tokens show; it follows from them
	byName map[string]*machine  // and by address
	named  int                  // how many machines are in it
}

// state is all that a world is, as plain data.
type state struct {
	Config Config       `json:"config"`
	Clock  time.Time    `json:"now"`
	Inputs []Input      `json:"inputs"`
	Digest trace.Digest `json:"digest"`
	Queue  sim.Queue    `json:"queue"`
	Chance *sim.Chance  `json:"chance"`
	Store  *api.Store   `json:"store"`

	// Counters: each is the last number given.
	Seq       uint64 `json:"seq"`
	Obs       uint64 `json:"obs"`
	StreamSeq uint64 `json:"streamSeq"`
	ConnSeq   uint64 `json:"connSeq"`
	Life      uint64 `json:"life"`
	// Turn is the control plane that the load balancer gave the last connection to.
	Turn uint64 `json:"turn,omitempty"`

	// Faults are those that are set; Rough: one is in force or a host is away.
	// Held is what does not get through for now.
	Faults []Fault `json:"faults,omitempty"`
	Rough  bool    `json:"rough,omitempty"`
	Held   []held  `json:"held,omitempty"`
	// Failing are the units that failed and are started again, by address.
	Failing []string `json:"failing,omitempty"`

	// Troubles and Decisions are what goes wrong, waits or was denied, for Why: by
	// client and aspect, and by the subject of the decision.
	Troubles  map[string]map[string]trouble `json:"troubles,omitempty"`
	Decisions map[string]decision           `json:"decisions,omitempty"`

	Machines  []*machine           `json:"machines"`
	Procs     map[string]*proc     `json:"procs"`
	Listeners map[string]*listener `json:"listeners"`
	Conns     map[uint64]*conn     `json:"conns"`
	Pool      map[string]uint64    `json:"pool"`
	Streams   map[uint64]*stream   `json:"streams"`
}

// proc is a running actor. Life tells its incarnations apart: what was meant
// for an earlier one is dropped.
type proc struct {
	Kind  string `json:"kind"`
	Life  uint64 `json:"life"`
	PID   int    `json:"pid"`
	actor sim.Actor
}

// Now is the virtual time, UTC.
func (w *World) Now() time.Time { return w.Clock }

// Release is the Kubernetes release of the cluster.
func (w *World) Release() string { return w.newest().String() }

// Next is when the world next wants to run by itself; false when never.
func (w *World) Next() (time.Time, bool) { return w.Queue.Next() }

// Drain returns the Observations since the last call.
func (w *World) Drain() []trace.Observation {
	o := w.obs
	w.obs = make([]trace.Observation, 0, len(o)) // as many are likely to follow
	return o
}

// DigestNow is the digest of all Observations since the world was made.
func (w *World) DigestNow() trace.Digest { return w.Digest }

// Hosts lists the names of the machines in the order in which they were made.
func (w *World) Hosts() []string {
	var out []string
	for _, m := range w.Machines {
		out = append(out, m.Name)
	}
	return out
}

// Disk is a host's disk, to be read; nil for a host that is not there.
func (w *World) Disk(host string) *sim.Disk {
	if m := w.machine(host); m != nil {
		return m.Disk
	}
	return nil
}

// Apply does an Input at the present time. The error is one sentence for the
// person who gave it; the world is then as before.
func (w *World) Apply(in Input) error {
	if err := w.check(in); err != nil {
		return err
	}
	// What is due at this moment comes first, so that a journal, which knows
	// the time of an Input only, has the same order.
	w.AdvanceTo(w.Clock)
	in.At = w.Clock
	w.Inputs = append(w.Inputs, in) // clones have clipped theirs
	w.do(in)
	return nil
}

func (w *World) check(in Input) error {
	set := 0
	host := ""
	if in.Typed != nil {
		set++
		host = in.Typed.Host
	}
	if in.Interrupt != nil {
		set++
		host = in.Interrupt.Host
	}
	if in.Flag != nil {
		set++
		host = in.Flag.Host
	}
	if in.External != nil {
		set++
	}
	if in.Fault != nil {
		set++
		host = in.Fault.Where.Host
	}
	if in.Lift != nil {
		set++
	}
	if in.Upgrade != nil {
		set++
		host = in.Upgrade.Host
	}
	if set != 1 {
		return fmt.Errorf("an input does exactly one thing; this one does %d", set)
	}
	if in.External == nil && in.Lift == nil && !(in.Upgrade != nil && host == "") && w.machine(host) == nil {
		return fmt.Errorf("there is no host %q; there are %v", host, w.Hosts())
	}
	if f := in.Flag; f != nil {
		return w.checkFlag(f)
	}
	if in.Upgrade != nil {
		return w.checkUpgrade(in.Upgrade)
	}
	if in.Fault != nil {
		return w.checkFault(in.Fault)
	}
	if in.Lift != nil {
		return w.checkLift(in.Lift)
	}
	if m := w.machine(host); (in.Typed != nil || in.Interrupt != nil) && m.away() {
		return fmt.Errorf("%s is %s: nothing can be typed there", host, m.lull())
	}
	return nil
}

func (w *World) do(in Input) {
	w.rouse()
	switch {
	case in.Typed != nil:
		w.post(w.Clock, in.Typed.Host+"/terminal", 0, sim.Msg{Kind: sim.MsgTyped, Line: in.Typed.Line})
	case in.Interrupt != nil:
		w.post(w.Clock, in.Interrupt.Host+"/terminal", 0, sim.Msg{Kind: sim.MsgInterrupt})
	case in.Flag != nil:
		w.setFlag(in.Flag)
	case in.External != nil:
		w.external(in.External)
	case in.Fault != nil:
		w.setFault(*in.Fault)
	case in.Lift != nil:
		w.lift(in.Lift)
	case in.Upgrade != nil:
		w.upgrade(in.Upgrade)
	}
}

// AdvanceTo lets everything happen that happens up to and at t. A t in the
// past does nothing.
func (w *World) AdvanceTo(t time.Time) {
	for w.Step(t) {
	}
	if t.After(w.Clock) {
		w.Clock = t
	}
}

// AdvanceWithin is AdvanceTo for at most so many events. It returns how many are
// left; with none left the world may stand before t.
func (w *World) AdvanceWithin(t time.Time, events int) (left int) {
	for ; events > 0 && w.Step(t); events-- {
	}
	if events > 0 {
		w.AdvanceTo(t)
	}
	return events
}

// Step lets the next thing happen, if it happens up to and at t; it returns
// false, and leaves the time as it is, when nothing does.
func (w *World) Step(t time.Time) bool {
	next, ok := w.Queue.Next()
	if !ok || next.After(t) {
		return false
	}
	e := w.Queue.Pop()
	w.Clock = e.At
	w.deliver(e)
	return true
}

// post queues a message.
func (w *World) post(at time.Time, to string, life uint64, m sim.Msg) {
	w.Seq++
	w.Queue.Push(sim.Event{At: at, Seq: w.Seq, To: to, Life: life, Msg: m})
}

// observe numbers an observation, folds it into the digest and keeps it.
func (w *World) observe(o trace.Observation) uint64 {
	w.Obs++
	o.ID = w.Obs
	if o.At.IsZero() {
		o.At = w.Clock
	}
	w.Digest.Add(&o)
	w.hear(&o)
	if o.Kind == trace.Phase {
		host, name := split(o.Actor)
		if m := w.machine(host); m != nil {
			u := m.unit(name)
			if o.Subject == name {
				u.Phase, u.PhaseArgs = o.Args["phase"], o.Args
			} else {
				u.Beside = maps.Clone(u.Beside)
				if u.Beside == nil {
					u.Beside = map[string]map[string]string{}
				}
				u.Beside[o.Subject] = o.Args
			}
		}
	}
	if len(w.obs) == cap(w.obs) {
		w.obs = slices.Grow(w.obs, max(64, len(w.obs))) // a burst makes thousands
	}
	w.obs = append(w.obs, o)
	return o.ID
}

// deliver hands an event to whom it is for.
func (w *World) deliver(e sim.Event) {
	if e.To == "" {
		w.own(e.Msg)
		return
	}
	p := w.Procs[e.To]
	if p == nil || e.Life != 0 && p.Life != e.Life {
		return
	}
	if host, _ := split(e.To); w.Rough && w.machine(host).away() {
		w.Held = append(slices.Clip(w.Held), held{Event: e, To: host})
		return
	}
	if e.Msg.Kind == sim.MsgRequest && w.meets(&e) {
		return
	}
	if !w.arrives(&e.Msg) {
		return
	}
	w.step(e.To, p, e.Msg)
}

// step runs one actor and carries out what it wants.
func (w *World) step(addr string, p *proc, m sim.Msg) {
	host, unit := split(addr)
	mc := w.machine(host)
	c := w.context()
	c.Now, c.Host, c.IP, c.Also, c.Unit, c.PID, c.Skew, c.Disk, c.Chance, c.Cause = w.Clock, host, mc.IP, mc.Also, unit, p.PID, mc.Clock.Skew(w.Clock), mc.Disk, w.Chance, m.Cause
	c.Address = addr
	c.Journal = func(line string) { mc.log(w.Clock, unit, p.PID, line) }
	mc.Disk.Changed = func(op, name string, e *sim.Entry) {
		w.observe(trace.Observation{Cause: c.Cause, Actor: addr, Kind: trace.File, Subject: name, Args: fileArgs(op, e)})
		w.fileChanged(mc, name, c.Cause)
	}
	w.lend(mc, p)
	before := w.Store.Version
	w.verdict = nil
	p.actor.Step(c, m)
	mc.Disk.Changed = nil
	if w.Store.Version != before && w.Config.controls() > 1 {
		w.tellOthers(addr)
	}
	for i := range c.Effects {
		w.carry(addr, p, &c.Effects[i])
	}
	clear(c.Effects)
	c.Effects = c.Effects[:0]
	w.idle = append(w.idle, c)
}

// context returns a Ctx for one step. They are used again; a step within a
// step, as of a unit that an order stops, has one of its own.
func (w *World) context() *sim.Ctx {
	if n := len(w.idle); n > 0 {
		c := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return c
	}
	return &sim.Ctx{
		NextStream: func() uint64 { w.StreamSeq++; return w.StreamSeq },
		Observe:    w.observe,
	}
}

// own handles the world's own events.
func (w *World) own(m sim.Msg) {
	switch m.Kind {
	case msgDial:
		w.dialled(m.Stream)
	case msgNoDial:
		if c := w.Conns[m.Stream]; c != nil {
			w.closeConn(c, m.Err, true)
		}
	case msgDead:
		w.dead(m.Stream)
	case msgLate:
		w.giveUp(m.Stream)
	case msgAnswer:
		if code, err := strconv.Atoi(m.Line); err == nil {
			w.answer(m.Tag, m.Stream, code)
		}
	case msgFault:
		w.begin(m.Tag)
	case msgHealed:
		if f := w.fault(m.Tag); f != nil && f.Until.Equal(w.Clock) {
			w.endFault(m.Tag)
		}
	case msgBoot:
		w.booted(w.machine(m.Tag))
	case msgRestart:
		host, unit := split(m.Tag)
		if mc := w.machine(host); mc != nil && mc.unit(unit).Restarting && mc.unit(unit).Plan == m.Stream {
			if mc.away() {
				w.Held = append(slices.Clip(w.Held), held{Event: sim.Event{At: w.Clock, Msg: m}, To: host})
				return
			}
			w.restart(mc, unit)
		}
	}
}

// Messages of the world to itself.
const (
	msgDial    sim.MsgKind = "dial"
	msgRestart sim.MsgKind = "restart"
	// msgNoDial: the connection Stream can't be made: Err. msgDead: look whether
	// it is dead. msgLate: the client of the exchange Stream gives up. msgAnswer:
	// the server Tag answers it with the status Line.
	msgNoDial sim.MsgKind = "no-dial"
	msgDead   sim.MsgKind = "dead"
	msgLate   sim.MsgKind = "late"
	msgAnswer sim.MsgKind = "answer"
	// msgFault and msgHealed: the fault Tag begins and ends. msgBoot: the host
	// Tag has booted.
	msgFault  sim.MsgKind = "fault"
	msgHealed sim.MsgKind = "healed"
	msgBoot   sim.MsgKind = "boot"
)
