package engine

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// How long Go and Linux wait before they give up.
const (
	// dialTimeout is client-go's net.Dialer, handshakeTimeout net/http's
	// Transport (k8s.io/apimachinery/pkg/util/net SetTransportDefaults).
	dialTimeout      = 30 * time.Second
	handshakeTimeout = 10 * time.Second
	// deadAfter is when HTTP/2 gives up a connection on which nothing is
	// heard: ReadIdleTimeout and PingTimeout of
	// k8s.io/apimachinery/pkg/util/net.
	deadAfter = 45 * time.Second
	// noRoute is when Linux gives up to look for a neighbour that is not there:
	// three ARP requests, a second apart.
	noRoute = 3 * time.Second
	// resend and resyn are the first waits of TCP before it sends again data
	// and the first packet of a connection; each next one is twice as long.
	resend = 200 * time.Millisecond
	resyn  = time.Second
	// requestTimeout is kube-apiserver's --request-timeout.
	requestTimeout = time.Minute
)

// held is a message that does not get through for now.
type held struct {
	Event sim.Event `json:"event"`
	// From and To are the hosts that it goes between; From is empty for one that
	// is there already.
	From string `json:"from,omitempty"`
	To   string `json:"to"`
}

// inForce calls f with every fault in force.
func (w *World) inForce(f func(*Fault)) {
	for i := range w.Faults {
		if w.Faults[i].Begun {
			f(&w.Faults[i])
		}
	}
}

// between tells whether a fault is on the way between two hosts.
func (p Place) between(a, b string) bool {
	switch {
	case a == b:
		return false
	case p.On == "link":
		return p.Host == a && p.Peer == b || p.Host == b && p.Peer == a
	case p.On == "host":
		return p.Host == a || p.Host == b
	}
	return false
}

// onWay returns the first fault in force with an effect between two hosts.
func (w *World) onWay(a, b string, e Effect) (found *Fault) {
	w.inForce(func(f *Fault) {
		if found == nil && f.Effect == e && f.Where.between(a, b) {
			found = f
		}
	})
	return found
}

// strikes draws whether a fault strikes this time, and notes that it did.
func (w *World) strikes(f *Fault, cause uint64, what string) bool {
	if f == nil || f.Percent != 0 && int64(w.Chance.N("fault/"+f.name(), 100)) >= f.Percent {
		return false
	}
	w.observe(trace.Observation{Cause: cause, Actor: f.actor(), Kind: trace.Fault, Subject: f.name(), Args: map[string]string{"state": "strike", "what": what}})
	return true
}

func (f *Fault) actor() string { return f.Where.Host + "/fault" }

// severed tells whether nothing at all gets from one host to another.
func (w *World) severed(a, b string) bool {
	if a == b || w.calm() {
		return false
	}
	for _, h := range []string{a, b} {
		if m := w.machine(h); m != nil && m.away() {
			return true
		}
	}
	f := w.onWay(a, b, Drop)
	return f != nil && f.Percent == 0
}

// calm: no fault is in force and every host is up.
func (w *World) calm() bool { return !w.Rough }

func (w *World) weigh() {
	w.Rough = false
	w.inForce(func(*Fault) { w.Rough = true })
	for _, m := range w.Machines {
		w.Rough = w.Rough || m.away()
	}
}

// slow is what faults add to a way of one message. What is lost on the way is
// sent again by TCP.
func (w *World) slow(a, b string) (d time.Duration) {
	if w.calm() {
		return 0
	}
	w.inForce(func(f *Fault) {
		if !f.Where.between(a, b) {
			return
		}
		switch {
		case f.Effect == Delay:
			d += f.By
		case f.Effect == Drop && f.Percent != 0:
			for wait := resend; d < 2*deadAfter && w.strikes(f, 0, "packet"); wait *= 2 {
				d += wait
			}
		}
	})
	return d
}

// ship posts a message of a connection between two hosts, or holds it while
// nothing gets through.
func (w *World) ship(from, to string, e sim.Event) {
	if w.severed(from, to) {
		w.Seq++
		e.Seq = w.Seq
		w.Held = append(slices.Clip(w.Held), held{Event: e, From: from, To: to})
		return
	}
	w.post(e.At, e.To, e.Life, e.Msg)
}

// release lets go what can get through again.
func (w *World) release() {
	kept := []held(nil)
	for _, h := range w.Held {
		if m := w.machine(h.To); m.away() || h.From != "" && w.severed(h.From, h.To) {
			kept = append(kept, h)
			continue
		}
		if h.Event.Msg.Kind == sim.MsgRequest && w.Streams[h.Event.Msg.Stream] == nil {
			continue // its client gave up
		}
		w.post(w.Clock.Add(2*latency), h.Event.To, h.Event.Life, h.Event.Msg)
	}
	w.Held = kept
}

// conns calls f with every connection between hosts for which way holds.
func (w *World) connsOn(way func(a, b string) bool, f func(c *conn)) {
	for _, id := range keys(w.Conns) {
		c := w.Conns[id]
		if c == nil || c.Server == "" {
			continue
		}
		a, _ := split(c.Client)
		b, _ := split(c.Server)
		if way(a, b) {
			f(c)
		}
	}
}

// doubt: nothing gets through on some ways any more. Connections on them are
// found dead later; heartbeats that were folded into them stop now.
func (w *World) doubt(way func(a, b string) bool) {
	w.connsOn(way, func(c *conn) {
		w.post(w.Clock.Add(deadAfter), "", 0, sim.Msg{Kind: msgDead, Stream: c.ID})
		w.unfold(func(o *conn) bool { return o == c })
	})
}

// dead closes a connection on which nothing was heard for too long.
func (w *World) dead(id uint64) {
	c := w.Conns[id]
	if c == nil {
		return
	}
	a, _ := split(c.Client)
	b, _ := split(c.Server)
	if !c.Lost && !w.severed(a, b) {
		return
	}
	if w.machine(a).away() {
		// It learns it when it wakes and sends something: the other side has
		// forgotten the connection.
		w.closeConn(c, reset(c, w.target(c)), true)
		return
	}
	w.closeConn(c, "http2: client connection lost", true)
}

func (w *World) target(c *conn) string {
	t, _ := w.resolve(c.Dial.Addr)
	return t
}

func reset(c *conn, target string) string {
	return fmt.Sprintf("read tcp %s->%s: read: connection reset by peer", c.Remote, target)
}

// hostAt is the host that has an address, up or not.
func (w *World) hostAt(target string) string {
	ip, _, _ := strings.Cut(target, ":")
	if m := w.machine(ip); m != nil && m.Name != ip {
		return m.Name
	}
	return ""
}

// nobody tells whether no host has the address of "ip:port".
func (w *World) nobody(target string) bool {
	ip, err := netip.ParseAddrPort(target)
	return err == nil && w.hostAt(target) == "" && !ip.Addr().IsLoopback() && !serviceRange.Contains(ip.Addr()) && target != w.Config.endpoint()
}

// hinder is what faults do to a connection that is being dialled: it returns
// true when that is all that happens now.
func (w *World) hinder(c *conn, target string) bool {
	if w.calm() {
		return false
	}
	a, _ := split(c.Client)
	b := w.hostAt(target)
	if b == "" || a == b {
		return false
	}
	later := func(after time.Duration, err string) bool {
		w.post(later(c.Since.Add(after), w.Clock), "", 0, sim.Msg{Kind: msgNoDial, Stream: c.ID, Err: err})
		return true
	}
	cause := w.causeOf(c)
	m := w.machine(b)
	rtt := 2 * (c.Delay + w.onlyDelay(a, b))
	drop := w.onWay(a, b, Drop)
	switch {
	case m.Off:
		return later(noRoute, "dial tcp "+target+": connect: no route to host")
	case w.strikes(w.onWay(a, b, Refuse), cause, "connection"):
		return later(0, "dial tcp "+target+": connect: connection refused")
	case w.severed(a, b), rtt > dialTimeout:
		if drop != nil {
			w.strikes(drop, cause, "connection")
		}
		return later(dialTimeout, "dial tcp "+target+": i/o timeout")
	case drop != nil && w.strikes(drop, cause, "SYN"):
		wait := resyn << c.Tries
		c.Tries++
		if w.Clock.Add(wait).Sub(c.Since) >= dialTimeout {
			return later(dialTimeout, "dial tcp "+target+": i/o timeout")
		}
		w.post(w.Clock.Add(wait), "", 0, sim.Msg{Kind: msgDial, Stream: c.ID})
		return true
	case rtt > handshakeTimeout:
		return later(rtt+handshakeTimeout, "net/http: TLS handshake timeout")
	case w.strikes(w.onWay(a, b, Cut), cause, "handshake"):
		w.observe(trace.Observation{At: c.Since, Until: w.Clock, Cause: cause, Actor: c.Client, Kind: trace.Handshake, Subject: target,
			Args: map[string]string{"conn": fmt.Sprint(c.ID), "client-error": "EOF", "server-error": "EOF"}})
		return later(0, "EOF")
	}
	return false
}

// onlyDelay is what the delays between two hosts add, each way.
func (w *World) onlyDelay(a, b string) (d time.Duration) {
	w.inForce(func(f *Fault) {
		if f.Effect == Delay && f.Where.between(a, b) {
			d += f.By
		}
	})
	return d
}

// twice lets a request that changes something arrive a second time; nobody
// waits for that answer.
func (w *World) twice(e sim.Event) {
	if e.Msg.Req.Method == "GET" {
		return
	}
	w.StreamSeq++
	r := *e.Msg.Req
	r.Stream = w.StreamSeq
	w.Streams[r.Stream] = &stream{ID: r.Stream, External: fmt.Sprintf("again %d", e.Msg.Stream), Server: e.To, ServerLife: e.Life, Cause: e.Msg.Cause}
	m := e.Msg
	m.Stream, m.Req, m.Tag = r.Stream, &r, struck
	w.post(e.At, e.To, e.Life, m)
}

// struck marks a request that has met the faults of its server.
const struck = "struck"

// meets lets a request meet the faults of the API server that it has reached;
// it returns true when the server itself does not get it now.
func (w *World) meets(e *sim.Event) bool {
	host, unit := split(e.To)
	if w.calm() || unit != "kube-apiserver" || e.Msg.Tag == struck {
		return false
	}
	e.Msg.Tag = struck
	r := e.Msg.Req
	path, _, _ := strings.Cut(r.URL, "?")
	gone := false
	w.inForce(func(f *Fault) {
		if gone || f.Where.On != "apiserver" || f.Where.Host != host || !f.matches(r.Method, path) || f.Effect == Stop || !w.strikes(f, r.Cause, r.Method+" "+r.URL) {
			return
		}
		switch f.Effect {
		case Duplicate:
			again := *e
			again.At = w.Clock
			w.twice(again)
		case Delay:
			gone = true
			w.post(w.Clock.Add(f.By), e.To, e.Life, e.Msg)
		case Drop:
			gone = true
			w.post(w.Clock.Add(requestTimeout), "", 0, sim.Msg{Kind: msgAnswer, Stream: e.Msg.Stream, Tag: e.To, Line: "504"})
		case Status:
			gone = true
			w.answer(e.To, e.Msg.Stream, int(f.N))
		}
	})
	return gone
}

// late lets a client give up that said how long it waits, as client-go says it
// in the query of each of its requests.
func (w *World) late(stream uint64, uri string) {
	u, err := url.Parse(uri)
	if err != nil {
		return
	}
	if d, err := time.ParseDuration(u.Query().Get("timeout")); err == nil && d > 0 {
		w.post(w.Clock.Add(d), "", 0, sim.Msg{Kind: msgLate, Stream: stream})
	}
}

// giveUp is the end of a client's patience.
func (w *World) giveUp(id uint64) {
	s := w.Streams[id]
	if s == nil || s.Answered || s.Client == "" {
		return
	}
	w.leave(id)
	w.Streams[id] = s // to be there when it is told
	s.Over = true
	w.post(w.Clock, s.Client, s.ClientLife, sim.Msg{Kind: sim.MsgFailed, Stream: id, Err: "context deadline exceeded", Cause: s.Cause})
}

// answer is an answer that the API server's own code never saw the request of.
func (w *World) answer(server string, stream uint64, code int) {
	h := http.Header{"Content-Type": {"application/json"}}
	s := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Code: int32(code)}
	body := []byte(nil)
	switch code {
	case http.StatusTooManyRequests:
		// k8s.io/apiserver/pkg/server/filters tooManyRequests.
		h = http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "Retry-After": {"1"}}
		body = []byte("Too many requests, please try again later.\n")
	case http.StatusInternalServerError:
		s.Message = "etcdserver: request timed out"
	case http.StatusServiceUnavailable:
		s.Message, s.Reason = "the server is currently unable to handle the request", metav1.StatusReasonServiceUnavailable
	case http.StatusGatewayTimeout:
		s.Message, s.Reason, s.Details = "Timeout: request did not complete within the allotted timeout", metav1.StatusReasonTimeout, &metav1.StatusDetails{}
	default:
		h = http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
		body = []byte(strconv.Itoa(code) + " " + http.StatusText(code) + "\n")
	}
	if body == nil {
		body, _ = json.Marshal(s)
		body = append(body, '\n')
	}
	w.reply(server, &sim.Effect{Kind: sim.EffReply, Stream: stream, Resp: &sim.Response{Code: code, Header: h, Body: body}})
}
