package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// place is the key of a listener: a loopback address is its host's alone.
func place(host, addr string) string {
	if strings.HasPrefix(addr, "127.") {
		return host + "/" + addr
	}
	return addr
}

// at is who listens where a host's "ip:port" leads; nil when nobody does. Who
// listens at every address is at loopback too.
func (w *World) at(host, addr string) *listener {
	if l := w.Listeners[place(host, addr)]; l != nil {
		return l
	}
	ip, port, _ := strings.Cut(addr, ":")
	if m := w.machine(host); m != nil && strings.HasPrefix(ip, "127.") {
		if l := w.Listeners[m.IP+":"+port]; l != nil && l.Listen.Addr[0] == ':' {
			return l
		}
	}
	return nil
}

// resolve turns "host:port" into "ip:port"; the error is the resolver's.
func (w *World) resolve(addr string) (string, error) {
	host, port, ok := strings.Cut(addr, ":")
	if !ok {
		return addr, fmt.Errorf("dial tcp: address %s: missing port in address", addr)
	}
	if m := w.machine(host); m != nil && m.Name == host {
		return m.IP + ":" + port, nil
	}
	if to, ok := w.service(host, port); ok {
		return to, nil
	}
	if strings.Trim(host, "0123456789.") == "" {
		return addr, nil
	}
	if host == "localhost" {
		return "127.0.0.1:" + port, nil
	}
	return addr, fmt.Errorf("dial tcp: lookup %s on 10.0.0.2:53: no such host", host)
}

// dialled is the moment when the client's hello reaches the server.
func (w *World) dialled(id uint64) {
	c := w.Conns[id]
	if c == nil {
		return
	}
	target, err := w.resolve(c.Dial.Addr)
	host, _ := split(c.Client)
	target = w.behind(target)
	l := w.at(host, target)
	if err == nil && w.machine(host).IP == "" && !strings.HasPrefix(target, "127.") {
		err = fmt.Errorf("dial tcp %s: connect: network is unreachable", target)
	}
	if err == nil && w.hinder(c, target) {
		return
	}
	if err == nil && l == nil {
		if w.nobody(target) {
			w.post(w.Clock.Add(noRoute), "", 0, sim.Msg{Kind: msgNoDial, Stream: c.ID, Err: "dial tcp " + target + ": connect: no route to host"})
			return
		}
		err = fmt.Errorf("dial tcp %s: connect: connection refused", target)
	}
	if err != nil {
		w.closeConn(c, err.Error(), true)
		return
	}
	if c.Dial.Plain || l.Listen.Plain {
		w.plainly(c, l)
		return
	}
	name := serverName(c.Dial)
	h := w.greet(host, c.Dial, l)
	args := map[string]string{"version": h.Version, "conn": number(c.ID), "client": cn(h.ClientChain), "server": cn(h.ServerChain), "name": name}
	if h.ClientError != "" {
		args["client-error"] = h.ClientError
	}
	if h.ServerError != "" {
		args["server-error"] = h.ServerError
	}
	server, _ := split(l.Server)
	ready := w.Clock.Add(2 * (c.Delay + w.onlyDelay(host, server)))
	c.Greeting = w.observe(trace.Observation{At: c.Since, Until: ready, Cause: w.causeOf(c), Actor: c.Client, Kind: trace.Handshake, Subject: target, Args: args})
	if !h.OK {
		msg := h.ClientError
		if msg == "" {
			msg = h.ServerError
		}
		if h.ServerError != "" {
			w.shaken(l, h.ServerError, c.Remote, c.Greeting)
		}
		w.closeConn(c, msg, true)
		return
	}
	w.connected(c, l, h.ClientChain, ready)
}

// serverName is the name that a client wants to find in a server's certificate.
func serverName(d *sim.Dial) string {
	if d.ServerName != "" {
		return d.ServerName
	}
	name, _, _ := strings.Cut(d.Addr, ":")
	return name
}

// greet is the handshake of a client on a host with who listens.
func (w *World) greet(host string, d *sim.Dial, l *listener) pki.Handshake {
	return pki.Greet(
		pki.Client{Roots: d.Roots, Insecure: d.Insecure, ServerName: serverName(d), Cert: d.Cert, Key: d.Key},
		pki.Server{Cert: l.Listen.Cert, Key: l.Listen.Key, Without: l.Listen.Without}, w.local(host))
}

// connected sends what waited for a connection.
func (w *World) connected(c *conn, l *listener, peer [][]byte, ready time.Time) {
	w.goesWell(c.Client, aspectConn, c.Dial.Addr)
	c.Ready, c.Peer, c.Server, c.ServerLife, c.Local = true, peer, l.Server, l.Life, l.Listen.Addr
	waiting := c.Waiting
	c.Waiting = nil
	for _, id := range waiting {
		if s := w.Streams[id]; s != nil {
			w.transmit(c, s, ready)
		}
	}
}

func (w *World) causeOf(c *conn) uint64 {
	if len(c.Waiting) > 0 {
		if s := w.Streams[c.Waiting[0]]; s != nil {
			return s.Cause
		}
	}
	return 0
}
