package engine

import (
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine/sim"
)

// addresses are a host's, the first before the others.
func (m *machine) addresses() []string {
	if m.IP == "" {
		return nil
	}
	return append([]string{m.IP}, m.Also...)
}

// places are the keys of a listener at "ip:port", or at every address: ":port".
func (m *machine) places(addr string) (out []string) {
	if !strings.HasPrefix(addr, ":") {
		return []string{place(m.Name, addr)}
	}
	for _, ip := range m.addresses() {
		out = append(out, ip+addr)
	}
	return out
}

// led tells whether a connection leads to an address, perhaps behind the load
// balancer.
func (w *World) led(c *conn, ip string) bool {
	at := w.target(c)
	return strings.HasPrefix(at, ip+":") || at == w.Config.endpoint() && slices.Contains(controlIPs[:], ip)
}

// setAddress gives a host an address, or takes one from it, and lets everyone
// there know. Who listens at every address is at the new one too; connections of
// one that is gone hang until HTTP/2 gives them up. The second address becomes
// the first, as with promote_secondaries of systemd's sysctl.d.
func (w *World) setAddress(m *machine, ip string, has bool, cause uint64) {
	list := slices.DeleteFunc(m.addresses(), func(a string) bool { return a == ip })
	if has {
		list = append(list, ip)
	}
	m.IP, m.Also = "", nil
	if len(list) > 0 {
		m.IP, m.Also = list[0], list[1:]
	}
	w.named = 0
	for _, at := range keys(w.Listeners) {
		l := w.Listeners[at]
		if host, _ := split(l.Server); host != m.Name {
			continue
		}
		bound := l.Listen.Addr[0] != ':'
		switch {
		case !has && strings.HasPrefix(at, ip+":"):
			if delete(w.Listeners, at); bound {
				w.Listeners[m.Name+"/"+at] = l // until the address comes back
			}
		case has && bound && strings.HasPrefix(at, m.Name+"/"+ip+":"):
			delete(w.Listeners, at)
			w.Listeners[l.Listen.Addr] = l
		case has && !bound:
			w.Listeners[ip+l.Listen.Addr] = l
		}
	}
	for _, id := range keys(w.Conns) {
		c := w.Conns[id]
		client, _ := split(c.Client)
		server, _ := split(c.Server)
		if !has && (client == m.Name && strings.HasPrefix(c.Remote, ip+":") || server == m.Name && w.led(c, ip)) {
			c.Lost = true
			w.post(w.Clock.Add(deadAfter), "", 0, sim.Msg{Kind: msgDead, Stream: c.ID})
			w.unfold(func(o *conn) bool { return o == c })
		}
	}
	for _, addr := range w.actorsOf(m) {
		w.post(w.Clock, addr, w.Procs[addr].Life, sim.Msg{Kind: sim.MsgAddress, Cause: cause})
	}
}

// Taken tells whether another host, or the load balancer, has an address.
func (f face) Taken(ip string) bool {
	other := f.w.machine(ip)
	return other != nil && other != f.m || strings.HasPrefix(f.w.Config.endpoint(), ip+":")
}
