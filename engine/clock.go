package engine

import (
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// local is a host's clock in the host's zone.
func (w *World) local(host string) time.Time {
	m := w.machine(host)
	return m.Clock.At(w.Clock).In(sim.ZoneOf(m.Disk))
}

// timer is when a timer that an actor set for at fires: its host counts the
// time until then with its own clock.
func (w *World) timer(addr string, at time.Time) time.Time {
	host, _ := split(addr)
	return w.Clock.Add(w.machine(host).Clock.True(at.Sub(w.Clock)))
}

// setClock gives a host another clock, and lets everyone there know.
func (w *World) setClock(m *machine, k sim.Clock, cause uint64) {
	by := k.Skew(w.Clock) - m.Clock.Skew(w.Clock)
	m.Clock = k
	cause = w.observe(trace.Observation{Cause: cause, Actor: m.Name + "/clock", Kind: trace.Clock, Subject: m.Name,
		Args: map[string]string{"by": by.String(), "ahead": k.Skew(w.Clock).String()}})
	for _, addr := range w.actorsOf(m) {
		w.post(w.Clock, addr, w.Procs[addr].Life, sim.Msg{Kind: sim.MsgClock, Cause: cause})
	}
	w.unfold(func(c *conn) bool { return w.ends(c, m.Name) })
}

// actorsOf lists the addresses of a host's actors.
func (w *World) actorsOf(m *machine) []string {
	var out []string
	for _, addr := range keys(w.Procs) {
		if host, _ := split(addr); host == m.Name {
			out = append(out, addr)
		}
	}
	return out
}

// ends tells whether a connection has one of its ends at a host.
func (w *World) ends(c *conn, host string) bool {
	client, _ := split(c.Client)
	server, _ := split(c.Server)
	return host == client || host == server
}

// unfold ends the folding of heartbeats over some connections: what happens
// next to them does not stand for what comes later.
func (w *World) unfold(which func(*conn) bool) {
	for _, id := range keys(w.Conns) {
		c := w.Conns[id]
		if !c.Ready || !which(c) {
			continue
		}
		w.post(w.Clock, c.Server, c.ServerLife, sim.Msg{Kind: sim.MsgGone, Tag: gone(c)})
		w.post(w.Clock, c.Client, c.ClientLife, sim.Msg{Kind: sim.MsgUnfold})
	}
}

// endFolds ends what an API server that is gone had folded.
func (w *World) endFolds(addr string) {
	if !strings.HasSuffix(addr, "/kube-apiserver") {
		return
	}
	before := w.Store.Version
	w.Store.EndFolds(w.Clock, addr)
	if w.Store.Version != before && w.Config.controls() > 1 {
		w.tellOthers(addr)
	}
}

// heartbeat begins the request of a kubelet that may be folded.
const heartbeat = "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"

// imperils: the request over a connection is a heartbeat, and a fault is in
// force that the next one may not survive, so that one does not stand for many.
func (w *World) imperils(c *conn, request string) (perilous bool) {
	if w.calm() || !strings.HasPrefix(request, heartbeat) {
		return false
	}
	a, _ := split(c.Client)
	b, _ := split(c.Server)
	method, uri, _ := strings.Cut(request, " ")
	path, _, _ := strings.Cut(uri, "?")
	w.inForce(func(f *Fault) {
		switch f.Effect {
		case Drop, Delay, Duplicate, Status:
			perilous = perilous || f.Where.between(a, b) || f.Where.On == "apiserver" && f.Where.Host == b && f.matches(method, path)
		}
	})
	return perilous
}
