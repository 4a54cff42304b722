package desk

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/trace"
)

const (
	// maxExchanges, maxLines and maxMarks bound what a long life leaves behind.
	maxExchanges = 3000
	maxLines     = 4000
	maxMarks     = 400
)

// Ledger is all observations, sorted by what they are shown as. Everything in
// it carries its observation's ID, so that the past is drawn by leaving out
// what is later.
type Ledger struct {
	// Exchanges are all, Notable those of weight 2 and more: they are kept when
	// a year of noise pushes the others out.
	Exchanges, Notable []*Exchange
	// Terminals by host, Logs and Events of all.
	Terminals map[string][]Line
	Logs      []Line
	Events    []Line
	Marks     []Mark
	Last      uint64

	byRequest  map[uint64]*Exchange
	byStream   map[string]*Exchange
	handshakes map[string]*trace.Observation
	// failing is the error with which each client's last handshake ended: a
	// client that fails the same way for months is news once.
	failing map[string]string
}

// Line is a line of a terminal, a log or the list of events.
type Line struct {
	ID   uint64
	At   time.Time
	Who  string
	Kind string // typed, stdout, stderr, status; a log's level; an event's kind
	Text string
	Args map[string]string
}

// Mark is an event on the timeline. Shape is "dot", "diamond" or "square";
// Tone is an identity or "no", "ok", "ink". Key is its sentence in the
// catalogs, Args the words to put into it.
type Mark struct {
	ID    uint64
	At    time.Time
	Host  string
	Shape string
	Tone  string
	Key   string
	Args  map[string]string
}

// NewLedger returns one with nothing in it.
func NewLedger() *Ledger {
	return &Ledger{Terminals: map[string][]Line{}, byRequest: map[uint64]*Exchange{}, byStream: map[string]*Exchange{}, handshakes: map[string]*trace.Observation{}, failing: map[string]string{}}
}

// Add takes new observations, in order. Those it has are ignored.
func (l *Ledger) Add(obs []trace.Observation) {
	for i := range obs {
		o := &obs[i]
		if o.ID <= l.Last {
			continue
		}
		l.Last = o.ID
		if f := takers[o.Kind]; f != nil {
			f(l, o)
		}
	}
	l.trim()
	l.Logs, l.Events, l.Marks = tail(l.Logs, maxLines), tail(l.Events, maxLines), tail(l.Marks, maxMarks)
	for h := range l.Terminals {
		l.Terminals[h] = tail(l.Terminals[h], maxLines)
	}
}

// trim forgets the oldest exchanges when there are too many.
func (l *Ledger) trim() {
	kept := tail(l.Exchanges, maxExchanges)
	for _, x := range l.Exchanges[:len(l.Exchanges)-len(kept)] {
		if x.Weight >= notable {
			continue
		}
		delete(l.byRequest, x.ID)
		if l.byStream[x.Stream] == x {
			delete(l.byStream, x.Stream)
		}
	}
	l.Exchanges = kept
	l.Notable = tail(l.Notable, maxExchanges)
}

func tail[T any](s []T, n int) []T {
	if len(s) > n+n/4 {
		return append([]T(nil), s[len(s)-n:]...)
	}
	return s
}

// Cut forgets what is later than the observation id.
func (l *Ledger) Cut(id uint64) {
	if id >= l.Last {
		return
	}
	l.Last = id
	l.Exchanges, l.Notable = upTo(l.Exchanges, id), upTo(l.Notable, id)
	for _, x := range l.Exchanges {
		for _, o := range []**trace.Observation{&x.Authn, &x.Authz, &x.Admit, &x.Stored, &x.Response} {
			if *o != nil && (*o).ID > id {
				*o = nil
			}
		}
		n := sort.Search(len(x.Frames), func(i int) bool { return x.Frames[i].ID > id })
		x.Frames = x.Frames[:n]
	}
	l.Logs, l.Events = linesUpTo(l.Logs, id), linesUpTo(l.Events, id)
	l.Marks = marksUpTo(l.Marks, id)
	for h, t := range l.Terminals {
		l.Terminals[h] = linesUpTo(t, id)
	}
}

func upTo(s []*Exchange, id uint64) []*Exchange {
	return s[:sort.Search(len(s), func(i int) bool { return s[i].ID > id })]
}

func linesUpTo(s []Line, id uint64) []Line {
	return s[:sort.Search(len(s), func(i int) bool { return s[i].ID > id })]
}

func marksUpTo(s []Mark, id uint64) []Mark {
	return s[:sort.Search(len(s), func(i int) bool { return s[i].ID > id })]
}

// Focus is the exchange that the stage shows when nobody selected one: the
// last that matters, or the last of all.
func (l *Ledger) Focus(until uint64) *Exchange {
	for _, x := range slices.Backward(upTo(l.Notable, until)) {
		if x.Weight >= matters {
			return x
		}
	}
	if s := upTo(l.Exchanges, until); len(s) > 0 {
		return s[len(s)-1]
	}
	return nil
}

// Find returns the exchange with that ID, nil when there is none.
func (l *Ledger) Find(id uint64) *Exchange { return l.byRequest[id] }

// Recent are the last n exchanges that are notable, or with all set the last n
// of all, latest first.
func (l *Ledger) Recent(until uint64, all bool, n int) []*Exchange {
	s := l.Notable
	if all {
		s = l.Exchanges
	}
	s = upTo(s, until)
	out := slices.Clone(s[max(0, len(s)-n):])
	slices.Reverse(out)
	return out
}

// takers say what each kind of observation leaves in the ledger.
var takers = map[trace.Kind]func(*Ledger, *trace.Observation){
	trace.Handshake: (*Ledger).handshake,
	trace.Request:   (*Ledger).request,
	trace.Authn:     func(l *Ledger, o *trace.Observation) { l.decided(o, func(x *Exchange) { x.Authn = o }) },
	trace.Authz:     func(l *Ledger, o *trace.Observation) { l.decided(o, func(x *Exchange) { x.Authz = o }) },
	trace.Admit:     func(l *Ledger, o *trace.Observation) { l.decided(o, func(x *Exchange) { x.Admit = o }) },
	trace.Stored:    func(l *Ledger, o *trace.Observation) { l.decided(o, func(x *Exchange) { x.Stored = o }) },
	trace.Response:  (*Ledger).response,
	trace.Frame:     (*Ledger).frame,
	trace.Object:    (*Ledger).object,
	trace.Decision:  (*Ledger).decision,
	trace.Phase:     (*Ledger).phase,
	trace.Unit:      (*Ledger).unit,
	trace.Log: func(l *Ledger, o *trace.Observation) {
		l.Logs = append(l.Logs, Line{ID: o.ID, At: o.At, Who: o.Actor, Kind: o.Args["level"], Text: o.Payload})
	},
	trace.Typed:   func(l *Ledger, o *trace.Observation) { l.printed(o, "typed", o.Subject+o.Payload) },
	trace.Printed: func(l *Ledger, o *trace.Observation) { l.printed(o, o.Args["stream"], o.Payload) },
	trace.Done:    func(l *Ledger, o *trace.Observation) { l.printed(o, "status", o.Args["status"]) },
}

func (l *Ledger) printed(o *trace.Observation, kind, text string) {
	h := o.Host()
	l.Terminals[h] = append(l.Terminals[h], Line{ID: o.ID, At: o.At, Who: h, Kind: kind, Text: text, Args: o.Args})
}

func (l *Ledger) handshake(o *trace.Observation) {
	l.handshakes[fmt.Sprint(o.ID)] = o
	why := or(o.Args["client-error"], o.Args["server-error"])
	if why == "" {
		delete(l.failing, o.Actor)
		return
	}
	// Go's words end in the current time, which is no news.
	short, _, _ := strings.Cut(why, ": current time")
	again := l.failing[o.Actor] == short
	l.failing[o.Actor] = short
	x := &Exchange{ID: o.ID, At: o.At, Client: o.Actor, Server: o.Subject, Handshake: o, Weight: matters, Target: Target{Method: "TLS", Path: o.Subject}}
	if again {
		x.Weight = 1
	}
	l.add(x)
	if again {
		return
	}
	l.mark(Mark{ID: o.ID, At: o.At, Host: hostOf(o.Actor), Shape: "diamond", Tone: "no", Key: "mark.exchange",
		Args: map[string]string{"who": hostOf(o.Actor), "what": "TLS", "code": why}})
}

func (l *Ledger) request(o *trace.Observation) {
	x := &Exchange{ID: o.ID, Stream: o.Args["stream"], At: o.At, Client: o.Actor, Server: o.Args["to"], Target: targetOf(o.Subject),
		Identity: o.Args["identity"], Credential: o.Args["credential"], Agent: o.Args["agent"], Body: o.Payload, Weight: requestWeight(o),
		Handshake: l.handshakes[o.Args["greeting"]]}
	l.add(x)
	l.byStream[x.Stream] = x
}

func (l *Ledger) add(x *Exchange) {
	l.Exchanges = append(l.Exchanges, x)
	if x.Weight >= notable {
		l.Notable = append(l.Notable, x)
	}
	l.byRequest[x.ID] = x
}

func (l *Ledger) decided(o *trace.Observation, set func(*Exchange)) {
	if x := l.byRequest[o.Cause]; x != nil {
		set(x)
	}
}

func (l *Ledger) response(o *trace.Observation) {
	x := l.byStream[o.Args["stream"]]
	if x == nil {
		return
	}
	x.Response = o
	if x.Weight < matters {
		return
	}
	m := Mark{ID: o.ID, At: o.At, Host: hostOf(x.Client), Shape: "dot", Tone: x.Identity, Key: "mark.exchange",
		Args: map[string]string{"who": hostOf(x.Client), "what": x.Target.Label(), "code": x.Code()}}
	if x.Refused() {
		m.Shape, m.Tone = "diamond", "no"
	}
	l.mark(m)
}

// frame keeps what a watch brought. Only those about certificate requests are
// kept whole: a year of others is nothing to look at.
func (l *Ledger) frame(o *trace.Observation) {
	if x := l.byStream[o.Args["stream"]]; x != nil {
		x.Frames = append(tail(x.Frames, 40), *o)
	}
}

func (l *Ledger) object(o *trace.Observation) {
	resource, name, _ := strings.Cut(o.Subject, "/")
	if resource == "leases" || resource == "events" {
		return
	}
	l.Events = append(l.Events, Line{ID: o.ID, At: o.At, Who: o.Args["by"], Kind: "object", Text: o.Subject, Args: o.Args})
	if resource == "nodes" && o.Args["verb"] == "create" {
		l.mark(Mark{ID: o.ID, At: o.At, Host: name, Shape: "square", Tone: "ok", Key: "mark.node", Args: map[string]string{"name": name}})
	}
}

func (l *Ledger) decision(o *trace.Observation) {
	l.Events = append(l.Events, Line{ID: o.ID, At: o.At, Who: o.Actor, Kind: "decision", Text: o.Subject, Args: o.Args})
}

func (l *Ledger) phase(o *trace.Observation) {
	if o.Args["phase"] == "" {
		return
	}
	l.Events = append(l.Events, Line{ID: o.ID, At: o.At, Who: o.Actor, Kind: "phase", Text: o.Args["phase"], Args: o.Args})
}

func (l *Ledger) unit(o *trace.Observation) {
	l.Events = append(l.Events, Line{ID: o.ID, At: o.At, Who: o.Host(), Kind: "unit", Text: o.Subject, Args: o.Args})
	tone := map[string]string{"active": "ink", "failed": "no"}[o.Args["state"]]
	if tone == "" {
		tone = "anonymous"
	}
	l.mark(Mark{ID: o.ID, At: o.At, Host: o.Host(), Shape: "square", Tone: tone, Key: "mark.unit",
		Args: map[string]string{"unit": o.Subject, "host": o.Host(), "state": o.Args["state"]}})
}

func (l *Ledger) mark(m Mark) { l.Marks = append(l.Marks, m) }

func hostOf(actor string) string {
	h, _, _ := strings.Cut(actor, "/")
	return h
}
