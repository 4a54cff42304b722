package engine

import "github.com/joinery-lab/joinery/engine/sim"

// Presents is what a server presents at an address, "ip:port"; false when
// nobody listens there.
func (w *World) Presents(addr string) (sim.Listen, bool) {
	l := w.Listeners[addr]
	if l == nil {
		return sim.Listen{}, false
	}
	return l.Listen, true
}

// shaken tells a server that a handshake failed.
func (w *World) shaken(l *listener, words, remote string, cause uint64) {
	w.post(w.Clock, l.Server, l.Life, sim.Msg{Kind: sim.MsgShake, Err: words, Line: remote, Cause: cause})
}

// plainly connects without TLS, when both sides mean it so. One that speaks TLS
// to a server that does not, or the other way round, hears Go's words for it.
func (w *World) plainly(c *conn, l *listener) {
	switch {
	case !l.Listen.Plain:
		w.shaken(l, "client sent an HTTP request to an HTTPS server", c.Remote, 0)
		for _, id := range c.Waiting {
			if s := w.Streams[id]; s != nil {
				delete(c.Open, id)
				w.post(w.Clock.Add(c.Delay), s.Client, s.ClientLife, sim.Msg{Kind: sim.MsgResponse, Stream: id, Cause: s.Cause,
					Resp: &sim.Response{Code: 400, Body: []byte("Client sent an HTTP request to an HTTPS server.\n")}})
			}
		}
		w.closeConn(c, "", false)
	case !c.Dial.Plain:
		w.closeConn(c, "http: server gave HTTP response to HTTPS client", true)
	default:
		w.connected(c, l, nil, w.Clock)
	}
}
