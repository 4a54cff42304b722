package sim

import (
	"net/http"
	"slices"
	"time"
)

// Request is an HTTP request as a plain value: what a client hands to the
// wire, and what a server gets from it.
type Request struct {
	Method string `json:"method"`
	// URL is path and query, as on the request line.
	URL    string      `json:"url"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`

	// The rest is filled in by the wire, for the server.

	// Stream names the exchange in the whole world: answers carry it.
	Stream uint64 `json:"stream,omitempty"`
	// Conn is the connection it came over. Remote is the client's address.
	Conn   uint64 `json:"conn,omitempty"`
	Remote string `json:"remote,omitempty"`
	// Local is the address that it came to, as the server listens there.
	Local string `json:"local,omitempty"`
	// Peer is the certificate chain that the client presented in the
	// handshake (DER, leaf first); empty when it presented none. The server
	// asks for a certificate and does not verify it, as kube-apiserver does.
	Peer [][]byte `json:"peer,omitempty"`
	// Cause is the ID of the trace.Request observation.
	Cause uint64 `json:"cause,omitempty"`
}

// Response is an HTTP answer. With Stream set the body is open: Push sends
// frames until End.
type Response struct {
	Code   int         `json:"code"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	Stream bool        `json:"stream,omitempty"`
}

// Dial says how a client reaches a server and what it trusts and presents.
// All PEM.
type Dial struct {
	// Addr is "host:port" as the client was told; names resolve by hosts.
	Addr       string `json:"addr"`
	ServerName string `json:"serverName,omitempty"`
	// Roots is the bundle the client trusts. Insecure skips verification.
	Roots    []byte `json:"roots,omitempty"`
	Insecure bool   `json:"insecure,omitempty"`
	// Cert (chain, leaf first) and Key are what the client presents, if asked.
	Cert []byte `json:"cert,omitempty"`
	Key  []byte `json:"key,omitempty"`
	// Plain: the client speaks HTTP without TLS.
	Plain bool `json:"plain,omitempty"`
}

// Listen says what a server presents at an address. All PEM. A server without
// a certificate refuses every handshake. ":port" is every address of the host.
type Listen struct {
	Addr string `json:"addr"`
	Cert []byte `json:"cert,omitempty"`
	Key  []byte `json:"key,omitempty"`
	// Without are the server's own words while it has no certificate.
	Without string `json:"without,omitempty"`
	// Asks are the CAs whose clients it asks for, PEM. Loopback is when it made a
	// certificate for itself, which it presents to who can't use the other one.
	Asks     []byte    `json:"asks,omitempty"`
	Loopback time.Time `json:"loopback,omitzero"`
	// Plain: HTTP without TLS. Closed: nobody listens there any more.
	Plain  bool `json:"plain,omitempty"`
	Closed bool `json:"closed,omitempty"`
}

// MsgKind says what a message is.
type MsgKind string

const (
	// MsgStart is the first message an actor gets; MsgStop asks it to stop
	// (it gets nothing after it, and its connections are closed by the wire).
	MsgStart MsgKind = "start"
	MsgStop  MsgKind = "stop"
	// MsgWake: a Wake that the actor asked for; Tag is its own word for it.
	MsgWake MsgKind = "wake"
	// MsgRequest: to a server. Req is set.
	MsgRequest MsgKind = "request"
	// MsgShake: to a server: a handshake failed. Err are the server's own words,
	// Line is the client's address.
	MsgShake MsgKind = "shake"
	// MsgGone: to a server: the client left the exchange Stream (cancelled, or
	// its connection closed).
	MsgGone MsgKind = "gone"
	// MsgResponse: to a client: Resp is set. If Resp.Stream, MsgFrame follow
	// (Data is one chunk) until MsgEnd.
	MsgResponse MsgKind = "response"
	MsgFrame    MsgKind = "frame"
	MsgEnd      MsgKind = "end"
	// MsgFailed: to a client: no answer will come. Err is the transport's
	// error as Go words it ("dial tcp …: connect: connection refused",
	// "tls: failed to verify certificate: …", "remote error: tls: …").
	MsgFailed MsgKind = "failed"
	// MsgTyped: to a terminal: Line was typed. MsgInterrupt: Ctrl-C.
	MsgTyped     MsgKind = "typed"
	MsgInterrupt MsgKind = "interrupt"
	// MsgUnit: to a terminal: answer to a unit order. Err is systemctl's
	// complaint, or empty.
	MsgUnit MsgKind = "unit"
	// MsgFile: a file that the actor wants to know of (Notify) changed, came or
	// went; Tag is its path.
	MsgFile MsgKind = "file"
	// MsgClock: the host's clock was set: what was worked out from it must be
	// worked out anew. Timers go on; they don't ask the clock.
	MsgClock MsgKind = "clock"
	// MsgAddress: the host has other addresses than before.
	MsgAddress MsgKind = "address"
	// MsgUnfold: to a client: the server has stopped taking one renewal for
	// many, so the next one must be sent. Its Tag is Changed when that is because
	// somebody else changed what is renewed.
	MsgUnfold MsgKind = "unfold"
)

// Changed is the Tag of a MsgUnfold that Ctx.Unfold leads to.
const Changed = "changed"

// Msg is a message to an actor: a plain value, so that a queue of them can be
// cloned, kept and replayed.
type Msg struct {
	Kind   MsgKind   `json:"kind"`
	Stream uint64    `json:"stream,omitempty"`
	Tag    string    `json:"tag,omitempty"`
	Req    *Request  `json:"req,omitempty"`
	Resp   *Response `json:"resp,omitempty"`
	Data   []byte    `json:"data,omitempty"`
	Err    string    `json:"err,omitempty"`
	Line   string    `json:"line,omitempty"`
	// Cause is the observation that brought the message, for Notes about it.
	Cause uint64 `json:"cause,omitempty"`
}

// EffectKind says what an actor does.
type EffectKind string

const (
	EffSend   EffectKind = "send"   // Conn, Dial, Req, Stream
	EffCancel EffectKind = "cancel" // Stream
	EffClose  EffectKind = "close"  // Conn
	EffReply  EffectKind = "reply"  // Stream, Resp
	EffPush   EffectKind = "push"   // Stream, Data
	EffEnd    EffectKind = "end"    // Stream
	EffListen EffectKind = "listen" // Listen
	EffWake   EffectKind = "wake"   // At, Tag
	EffExit   EffectKind = "exit"   // Code
	EffUnit   EffectKind = "unit"   // Verb, Unit
	EffNotify EffectKind = "notify" // Tag is a path
	EffClock  EffectKind = "clock"  // At
	// EffAddress: Verb is add or del, Tag the address.
	EffAddress EffectKind = "address"
	EffUnfold  EffectKind = "unfold" // Stream is the number of a connection
)

// Effect is one thing an actor does to the world outside its own state, its
// host's disk and its notes. The world carries effects out, in order, when
// Step returns.
type Effect struct {
	Kind   EffectKind `json:"kind"`
	Conn   string     `json:"conn,omitempty"`
	Stream uint64     `json:"stream,omitempty"`
	Dial   *Dial      `json:"dial,omitempty"`
	Req    *Request   `json:"req,omitempty"`
	Resp   *Response  `json:"resp,omitempty"`
	Data   []byte     `json:"data,omitempty"`
	Listen *Listen    `json:"listen,omitempty"`
	At     time.Time  `json:"at,omitzero"`
	Tag    string     `json:"tag,omitempty"`
	Code   int        `json:"code,omitempty"`
	Verb   string     `json:"verb,omitempty"`
	Unit   string     `json:"unit,omitempty"`
	Cause  uint64     `json:"cause,omitempty"`
}

// Actor is a machine that does nothing but decide. Everything it knows is in
// itself, in the message, and in Ctx. Its state is plain data: json.Marshal of
// it is its snapshot, json.Unmarshal into a new one its restoration.
type Actor interface {
	// Step handles one message.
	Step(c *Ctx, m Msg)
	// Clone returns an independent copy. Values that never change after they
	// are made may be shared.
	Clone() Actor
}

// Event is a message on its way: delivered at At, in the order of Seq.
type Event struct {
	At  time.Time `json:"at"`
	Seq uint64    `json:"seq"`
	// To is the address of the actor: "host/unit".
	To string `json:"to"`
	// Life is the incarnation of the actor the event is meant for, 0 for any.
	Life uint64 `json:"life,omitempty"`
	Msg  Msg    `json:"msg"`
}

// Queue is a priority queue of Events by (At, Seq). An Event in it never changes.
type Queue struct {
	Events []*Event `json:"events"`
}

func (q *Queue) less(i, j int) bool {
	a, b := q.Events[i], q.Events[j]
	if c := a.At.Compare(b.At); c != 0 {
		return c < 0
	}
	return a.Seq < b.Seq
}

// Push adds an event.
func (q *Queue) Push(e Event) {
	q.Events = append(q.Events, &e)
	for i := len(q.Events) - 1; i > 0; {
		p := (i - 1) / 2
		if !q.less(i, p) {
			return
		}
		q.Events[i], q.Events[p] = q.Events[p], q.Events[i]
		i = p
	}
}

// Next returns the time of the first event; false when there is none.
func (q *Queue) Next() (time.Time, bool) {
	if len(q.Events) == 0 {
		return time.Time{}, false
	}
	return q.Events[0].At, true
}

// Pop removes and returns the first event. It panics when there is none.
func (q *Queue) Pop() Event {
	e := q.Events[0]
	n := len(q.Events) - 1
	q.Events[0] = q.Events[n]
	q.Events[n] = nil
	q.Events = q.Events[:n]
	for i := 0; ; {
		l := 2*i + 1
		if l >= n {
			break
		}
		if r := l + 1; r < n && q.less(r, l) {
			l = r
		}
		if !q.less(l, i) {
			break
		}
		q.Events[i], q.Events[l] = q.Events[l], q.Events[i]
		i = l
	}
	return *e
}

// Clone returns an independent copy that shares the events.
func (q *Queue) Clone() Queue {
	return Queue{Events: slices.Clone(q.Events)}
}
