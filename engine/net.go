package engine

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

const (
	// latency is one way between two hosts; within a host it is a tenth.
	latency = 500 * time.Microsecond
	// service is what a server takes to answer.
	service = time.Millisecond
)

// listener is an address that a server listens at.
type listener struct {
	Server string     `json:"server"`
	Life   uint64     `json:"life"`
	Listen sim.Listen `json:"listen"`
}

// conn is a connection of a client. While it is being dialled, Waiting are
// the exchanges that go out when it is ready.
type conn struct {
	ID         uint64        `json:"id"`
	Key        string        `json:"key"`
	Client     string        `json:"client"`
	ClientLife uint64        `json:"clientLife"`
	Server     string        `json:"server,omitempty"`
	ServerLife uint64        `json:"serverLife,omitempty"`
	Dial       *sim.Dial     `json:"dial"`
	Since      time.Time     `json:"since"`
	Ready      bool          `json:"ready"`
	Waiting    []uint64      `json:"waiting,omitempty"`
	Delay      time.Duration `json:"delay"`
	// Peer is the client's chain as the server sees it.
	Peer   [][]byte `json:"peer,omitempty"`
	Remote string   `json:"remote"`
	Local  string   `json:"local,omitempty"`
	// Lost: one of its addresses is gone, so nothing gets through any more.
	Lost bool `json:"lost,omitempty"`
	// ToServer and ToClient keep messages in order.
	ToServer time.Time `json:"toServer"`
	ToClient time.Time `json:"toClient"`
	Greeting uint64    `json:"greeting,omitempty"`
	// Tries counts the first packets that were lost.
	Tries int `json:"tries,omitempty"`
	// Open holds the exchanges on it.
	Open map[uint64]bool `json:"open"`
}

// stream is an exchange: a request and its answer.
type stream struct {
	ID         uint64 `json:"id"`
	Client     string `json:"client,omitempty"`
	ClientLife uint64 `json:"clientLife,omitempty"`
	External   string `json:"external,omitempty"`
	// Request is its method and URL.
	Request    string       `json:"request,omitempty"`
	Conn       uint64       `json:"conn,omitempty"`
	Server     string       `json:"server,omitempty"`
	ServerLife uint64       `json:"serverLife,omitempty"`
	Req        *sim.Request `json:"req,omitempty"`
	Cause      uint64       `json:"cause,omitempty"`
	// Answered: the head of the answer is on its way; Over: its end is.
	Answered bool `json:"answered,omitempty"`
	Over     bool `json:"over,omitempty"`
}

// carry does one effect.
func (w *World) carry(addr string, p *proc, e *sim.Effect) {
	switch e.Kind {
	case sim.EffSend:
		w.send(addr, p, e)
	case sim.EffCancel:
		w.leave(e.Stream)
	case sim.EffClose:
		if c := w.Conns[w.Pool[poolKey(addr, e.Conn)]]; c != nil {
			w.closeConn(c, "http2: client connection force closed via ClientConn.Close", true)
		}
	case sim.EffReply:
		w.reply(addr, e)
	case sim.EffPush:
		w.push(addr, e)
	case sim.EffEnd:
		w.end(e)
	case sim.EffListen:
		host, _ := split(addr)
		for _, at := range w.machine(host).places(e.Listen.Addr) {
			if e.Listen.Closed {
				delete(w.Listeners, at)
				continue
			}
			w.Listeners[at] = &listener{Server: addr, Life: p.Life, Listen: *e.Listen}
		}
	case sim.EffWake:
		w.post(w.timer(addr, e.At), addr, p.Life, sim.Msg{Kind: sim.MsgWake, Tag: e.Tag, Cause: e.Cause})
	case sim.EffExit:
		w.exited(addr, p, e.Code)
	case sim.EffClock:
		host, _ := split(addr)
		m := w.machine(host)
		w.setClock(m, m.Clock.Set(w.Clock, e.At), e.Cause)
	case sim.EffAddress:
		host, _ := split(addr)
		w.setAddress(w.machine(host), e.Tag, e.Verb == "add", e.Cause)
	case sim.EffUnit:
		w.order(addr, p, e)
	case sim.EffNotify:
		w.watchFile(addr, p, e.Tag)
	case sim.EffUnfold:
		if c := w.Conns[e.Stream]; c != nil {
			w.post(w.Clock, c.Client, c.ClientLife, sim.Msg{Kind: sim.MsgUnfold, Tag: sim.Changed})
		}
	}
}

func poolKey(addr, name string) string { return addr + "\x00" + name }

// send puts a request on the client's connection, which is dialled if need be.
func (w *World) send(addr string, p *proc, e *sim.Effect) {
	s := &stream{ID: e.Stream, Client: addr, ClientLife: p.Life, Req: e.Req, Cause: e.Cause, Request: e.Req.Method + " " + e.Req.URL}
	w.Streams[s.ID] = s
	key := poolKey(addr, e.Conn)
	c := w.Conns[w.Pool[key]]
	if c == nil {
		w.ConnSeq++
		host, _ := split(addr)
		c = &conn{ID: w.ConnSeq, Key: key, Client: addr, ClientLife: p.Life, Dial: e.Dial, Since: w.Clock, Open: map[uint64]bool{},
			Remote: w.machine(host).IP + ":" + strconv.FormatUint(32768+w.ConnSeq*7919%28000, 10)}
		w.Conns[c.ID], w.Pool[key] = c, c.ID
		target, _ := w.resolve(e.Dial.Addr)
		if c.Delay = latency; host == w.hostAt(target) || strings.HasPrefix(target, "127.") {
			c.Delay = latency / 10
		}
		w.post(w.Clock.Add(min(2*(c.Delay+w.onlyDelay(host, w.hostAt(target))), dialTimeout)), "", 0, sim.Msg{Kind: msgDial, Stream: c.ID})
	}
	s.Conn = c.ID
	c.Open[s.ID] = true
	if !w.calm() || c.Lost {
		w.late(s.ID, e.Req.URL)
	}
	if c.Ready {
		w.transmit(c, s, w.Clock)
	} else {
		c.Waiting = append(c.Waiting, s.ID)
	}
}

// transmit puts a request on a ready connection.
func (w *World) transmit(c *conn, s *stream, at time.Time) {
	s.Server, s.ServerLife = c.Server, c.ServerLife
	from, _ := split(c.Client)
	to, _ := split(c.Server)
	arrives := later(at.Add(c.Delay+w.slow(from, to)), c.ToServer)
	c.ToServer = arrives
	r := *s.Req
	s.Req = nil
	r.Stream, r.Conn, r.Remote, r.Local, r.Peer = s.ID, c.ID, c.Remote, c.Local, c.Peer
	identity, credential := w.credentialOf(&r)
	r.Cause = w.observe(trace.Observation{At: at, Until: arrives, Cause: s.Cause, Actor: s.Client, Kind: trace.Request,
		Subject: r.Method + " " + r.URL, Payload: text(r.Body), Args: map[string]string{
			"to": c.Server, "conn": number(c.ID), "stream": number(s.ID), "identity": identity,
			"credential": credential, "agent": r.Header.Get("User-Agent"), "greeting": number(c.Greeting)}})
	s.Cause = r.Cause
	e := sim.Event{At: arrives, To: c.Server, Life: c.ServerLife, Msg: sim.Msg{Kind: sim.MsgRequest, Stream: s.ID, Req: &r, Cause: r.Cause}}
	if c.Lost {
		return
	}
	w.ship(from, to, e)
	if !w.calm() && w.strikes(w.onWay(from, to, Duplicate), r.Cause, r.Method+" "+r.URL) {
		w.twice(e)
	}
}

// external brings a real client's request to the server at its address.
func (w *World) external(x *External) {
	if x.Cancel {
		for _, id := range keys(w.Streams) {
			if s := w.Streams[id]; s.External == x.ID {
				w.leave(id)
			}
		}
		return
	}
	target, err := w.resolve(x.Addr)
	target = w.behind(target)
	l := w.Listeners[target]
	if l != nil && x.Refused != "" {
		w.shaken(l, x.Refused, x.Request.Remote, 0)
		return
	}
	refused := ""
	switch {
	case err != nil || l == nil:
		refused = "connect: connection refused"
	case !l.Listen.Plain && len(l.Listen.Cert) == 0:
		refused = "remote error: tls: internal error"
		words := l.Listen.Without
		if words == "" {
			words = "tls: no certificates configured"
		}
		w.shaken(l, words, x.Request.Remote, 0)
	}
	if refused != "" {
		w.observe(trace.Observation{Actor: "external", Kind: trace.Response, Subject: x.Request.Method + " " + x.Request.URL,
			Args: map[string]string{"external": x.ID, "code": "0", "error": refused}})
		return
	}
	w.StreamSeq++
	r := x.Request
	r.Stream, r.Local = w.StreamSeq, l.Listen.Addr
	identity, credential := w.credentialOf(&r)
	r.Cause = w.observe(trace.Observation{Actor: "external", Kind: trace.Request, Subject: r.Method + " " + r.URL, Payload: text(r.Body),
		Args: map[string]string{"to": l.Server, "external": x.ID, "stream": number(r.Stream), "identity": identity, "credential": credential, "agent": r.Header.Get("User-Agent")}})
	w.Streams[r.Stream] = &stream{ID: r.Stream, External: x.ID, Server: l.Server, ServerLife: l.Life, Cause: r.Cause}
	w.post(w.Clock, l.Server, l.Life, sim.Msg{Kind: sim.MsgRequest, Stream: r.Stream, Req: &r, Cause: r.Cause})
}

// toClient is when something sent now over the stream's connection arrives.
func (w *World) toClient(s *stream, after time.Duration) time.Time {
	c := w.Conns[s.Conn]
	if c == nil {
		return w.Clock.Add(after)
	}
	from, _ := split(c.Server)
	to, _ := split(c.Client)
	c.ToClient = later(w.Clock.Add(after+c.Delay+w.slow(from, to)), c.ToClient)
	return c.ToClient
}

// back posts a message to the client of an exchange.
func (w *World) back(s *stream, at time.Time, m sim.Msg) {
	if c := w.Conns[s.Conn]; c != nil && c.Lost {
		return
	}
	from, _ := split(s.Server)
	to, _ := split(s.Client)
	w.ship(from, to, sim.Event{At: at, To: s.Client, Life: s.ClientLife, Msg: m})
}

func (w *World) reply(addr string, e *sim.Effect) {
	s := w.Streams[e.Stream]
	if s == nil || s.Answered {
		return
	}
	s.Answered = true
	s.Over = !e.Resp.Stream
	w.answered(s, addr, e.Resp.Code)
	at := w.toClient(s, service)
	args := map[string]string{"code": strconv.Itoa(e.Resp.Code), "stream": number(s.ID), "to": s.Client}
	if e.Resp.Stream {
		args["open"] = "true"
	}
	if s.External != "" {
		args["external"] = s.External
	}
	id := w.observe(trace.Observation{Until: at, Cause: s.Cause, Actor: addr, Kind: trace.Response, Subject: strconv.Itoa(e.Resp.Code), Args: args, Payload: text(e.Resp.Body)})
	if s.External != "" {
		if s.Over {
			w.forget(s)
		}
		return
	}
	w.back(s, at, sim.Msg{Kind: sim.MsgResponse, Stream: s.ID, Resp: e.Resp, Cause: id})
}

func (w *World) push(addr string, e *sim.Effect) {
	s := w.Streams[e.Stream]
	if s == nil || s.Over {
		return
	}
	at := w.toClient(s, 0)
	args := map[string]string{"stream": number(s.ID), "to": s.Client}
	if s.External != "" {
		args["external"] = s.External
	}
	id := w.observe(trace.Observation{Until: at, Cause: e.Cause, Actor: addr, Kind: trace.Frame, Args: args, Payload: text(e.Data)})
	if s.External == "" {
		w.back(s, at, sim.Msg{Kind: sim.MsgFrame, Stream: s.ID, Data: e.Data, Cause: id})
	}
}

func (w *World) end(e *sim.Effect) {
	s := w.Streams[e.Stream]
	if s == nil || s.Over {
		return
	}
	s.Over = true
	if s.External != "" {
		w.observe(trace.Observation{Actor: s.Server, Kind: trace.Frame, Args: map[string]string{"external": s.External, "end": "true"}})
		w.forget(s)
		return
	}
	w.back(s, w.toClient(s, 0), sim.Msg{Kind: sim.MsgEnd, Stream: s.ID, Cause: e.Cause})
}

// forget ends an exchange's record.
func (w *World) forget(s *stream) {
	delete(w.Streams, s.ID)
	if c := w.Conns[s.Conn]; c != nil {
		delete(c.Open, s.ID)
	}
}

// leave is the client's end of an exchange.
func (w *World) leave(id uint64) {
	s := w.Streams[id]
	if s == nil {
		return
	}
	w.forget(s)
	if s.Server == "" {
		return
	}
	at := w.Clock
	if c := w.Conns[s.Conn]; c != nil {
		at = later(at.Add(c.Delay), c.ToServer)
		c.ToServer = at
	}
	w.post(at, s.Server, s.ServerLife, sim.Msg{Kind: sim.MsgGone, Stream: id, Cause: s.Cause})
}

// closeConn ends a connection: what is open on it fails for the client with
// err (when it is to be told), and the server learns that it is gone.
func (w *World) closeConn(c *conn, err string, tell bool) {
	if tell && !c.Ready {
		w.goesWrong(c.Client, aspectConn, c.Dial.Addr, trouble{Error: err, Server: c.Dial.Addr, Dial: c.Dial})
	}
	delete(w.Conns, c.ID)
	if w.Pool[c.Key] == c.ID {
		delete(w.Pool, c.Key)
	}
	for _, id := range keys(c.Open) {
		s := w.Streams[id]
		if tell {
			// Told last: the stream must still be there when it arrives.
			s.Over = true
			w.post(w.Clock, s.Client, s.ClientLife, sim.Msg{Kind: sim.MsgFailed, Stream: id, Err: err, Cause: s.Cause})
		} else {
			w.forget(s)
		}
		if s.Server != "" {
			w.post(w.Clock.Add(c.Delay), s.Server, s.ServerLife, sim.Msg{Kind: sim.MsgGone, Stream: id, Cause: s.Cause})
		}
	}
	if c.Server != "" {
		// What the server keeps for the connection itself (folded heartbeats)
		// ends with it.
		w.post(w.Clock.Add(c.Delay), c.Server, c.ServerLife, sim.Msg{Kind: sim.MsgGone, Tag: gone(c)})
	}
}

// gone names a connection to the server that kept something for it.
func gone(c *conn) string { return fmt.Sprintf("conn %d", c.ID) }

// arrives decides whether a message about an exchange still finds it open, and
// closes the exchange when it is the last one.
func (w *World) arrives(m *sim.Msg) bool {
	switch m.Kind {
	case sim.MsgResponse, sim.MsgFrame, sim.MsgEnd, sim.MsgFailed:
		s := w.Streams[m.Stream]
		if s == nil {
			return false
		}
		if c := w.Conns[s.Conn]; c != nil && m.Kind == sim.MsgResponse && w.imperils(c, s.Request) {
			w.unfold(func(o *conn) bool { return o == c })
		}
		if m.Kind == sim.MsgEnd || m.Kind == sim.MsgFailed || m.Kind == sim.MsgResponse && !m.Resp.Stream {
			w.forget(s)
		}
	}
	return true
}

// hangUp closes all that a dead actor had open, on both sides.
func (w *World) hangUp(addr string, life uint64) {
	for _, a := range keys(w.Listeners) {
		if l := w.Listeners[a]; l.Server == addr && l.Life == life {
			delete(w.Listeners, a)
		}
	}
	for _, id := range keys(w.Conns) {
		c := w.Conns[id]
		switch {
		case c.Client == addr && c.ClientLife == life:
			w.closeConn(c, "", false)
		case c.Server == addr && c.ServerLife == life:
			w.closeConn(c, "unexpected EOF", true)
		}
	}
}

// credentialOf tells what a request shows of its sender, for the colour of its
// arrow: the kind of identity, and the credential without secrets.
func (w *World) credentialOf(r *sim.Request) (identity, credential string) {
	if len(r.Peer) > 0 {
		name := cn(r.Peer)
		switch {
		case strings.HasPrefix(name, "system:node:"):
			return "client-cert", name
		case name == "system:kube-controller-manager", strings.HasPrefix(name, "system:serviceaccount:kube-system:"):
			return "controller-manager", name
		case name == "kubernetes-admin":
			return "admin", name
		}
		return "client-cert", name
	}
	t, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return "anonymous", ""
	}
	if c, ok := w.tokens[t]; ok {
		return c[0], c[1]
	}
	identity, credential = bearerOf(t)
	if w.tokens == nil || len(w.tokens) >= 64 {
		w.tokens = map[string][2]string{}
	}
	w.tokens[t] = [2]string{identity, credential}
	return identity, credential
}

// bearerOf is credentialOf for a bearer token.
func bearerOf(t string) (identity, credential string) {
	if jwt, ok := pki.ParseJWT(t); ok {
		var claims struct {
			Sub string `json:"sub"`
		}
		json.Unmarshal(jwt.Claims, &claims)
		if strings.HasPrefix(claims.Sub, "system:serviceaccount:kube-system:") {
			return "controller-manager", claims.Sub
		}
		return "token", claims.Sub
	}
	id, secret, _ := strings.Cut(t, ".")
	if len(id) > 12 {
		id = id[:6]
	}
	return "token", id + "." + strings.Repeat("*", len(secret))
}

// cn is the common name of a chain's leaf.
func cn(chain [][]byte) string {
	if len(chain) == 0 {
		return ""
	}
	c, err := leaf(chain[0])
	if err != nil {
		return ""
	}
	return c.Subject.CommonName
}

func leaf(der []byte) (*x509.Certificate, error) { return pki.ParseDER(der) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// text is a message's bytes as a string. They are not copied: what was sent
// never changes.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func keys[K string | uint64, V any](m map[K]V) []K {
	out := make([]K, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
