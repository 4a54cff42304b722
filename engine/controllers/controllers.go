package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// ControllerManager is one kube-controller-manager process: a sim.Actor whose
// exported fields are its whole state.
type ControllerManager struct {
	Release string `json:"release"`
	Flags   Flags  `json:"flags"`

	// Own is the manager's own identity, which watches; Certs that of the
	// certificate controllers.
	Own   identity `json:"own"`
	Certs identity `json:"certs"`

	Loops   []*loop                                      `json:"loops,omitempty"`
	CSRs    map[string]*certv1.CertificateSigningRequest `json:"csrs"`
	Feeds   []*feed                                      `json:"feeds,omitempty"`
	Tokens  map[string]token                             `json:"tokens"`
	Cleaner cleaner                                      `json:"cleaner"`
	Started time.Time                                    `json:"started,omitzero"`
	// Pairs are the signing files as last read, by "cert::key".
	Pairs   map[string]pair     `json:"pairs"`
	Streams map[uint64]exchange `json:"streams"`
}

// exchange is a request that waits for its answer.
type exchange struct {
	// To is the kind of waiter, Index which one, Name the object it is about.
	To     string `json:"to"`
	Index  int    `json:"index,omitempty"`
	Name   string `json:"name,omitempty"`
	Method string `json:"method"`
	URL    string `json:"url"`
}

// New returns a kube-controller-manager that reads the command line args,
// without the program's name. The error is that of the flags, in its words.
func New(e era.Era, args []string) (*ControllerManager, error) {
	f, err := parseFlags(e, args)
	if err != nil {
		return nil, err
	}
	return &ControllerManager{Release: e.String(), Flags: f}, nil
}

func (m *ControllerManager) era() era.Era { return era.Must(m.Release) }

// Clone returns an independent copy. Objects in the cache are never changed, so
// they are shared.
func (m *ControllerManager) Clone() sim.Actor {
	n := *m
	n.Loops = make([]*loop, len(m.Loops))
	for i, l := range m.Loops {
		n.Loops[i] = l.clone()
	}
	n.Feeds = make([]*feed, len(m.Feeds))
	for i, f := range m.Feeds {
		n.Feeds[i] = f.clone()
	}
	n.CSRs, n.Tokens, n.Pairs, n.Streams = maps.Clone(m.CSRs), maps.Clone(m.Tokens), maps.Clone(m.Pairs), maps.Clone(m.Streams)
	return &n
}

// Step handles one message.
func (m *ControllerManager) Step(c *sim.Ctx, msg sim.Msg) {
	switch msg.Kind {
	case sim.MsgStart:
		m.start(c)
	case sim.MsgWake:
		m.wake(c, msg.Tag)
	case sim.MsgResponse, sim.MsgFrame, sim.MsgEnd, sim.MsgFailed:
		x, ok := m.Streams[msg.Stream]
		if !ok {
			return
		}
		a := answer{exchange: x, kind: msg.Kind, data: msg.Data, failure: msg.Err, server: m.Own.Server}
		if msg.Resp != nil {
			a.code, a.data = msg.Resp.Code, msg.Resp.Body
		}
		if msg.Kind != sim.MsgFrame && !(msg.Kind == sim.MsgResponse && msg.Resp.Stream) {
			delete(m.Streams, msg.Stream)
		}
		switch x.To {
		case "feed":
			m.fed(c, m.Feeds[x.Index], a)
		case "loop":
			m.answered(c, m.Loops[x.Index], a)
		case "clean":
			m.cleaned(c, a)
		case "token":
			m.tokenGone(c, a)
		}
	}
}

// wake handles a timer, whose tag is "kind index name".
func (m *ControllerManager) wake(c *sim.Ctx, tag string) {
	kind, rest, _ := strings.Cut(tag, " ")
	index, name, _ := strings.Cut(rest, " ")
	i := 0
	fmt.Sscan(index, &i)
	switch {
	case kind == "feed" && i < len(m.Feeds):
		m.open(c, m.Feeds[i])
	case kind == "retry" && i < len(m.Loops):
		m.enqueue(c, m.Loops[i], name)
	case kind == "clean":
		m.clean(c)
	case kind == "token":
		m.checkToken(c, name)
	}
}

// send sends a request as one of the manager's identities.
func (m *ControllerManager) send(c *sim.Ctx, id *identity, x exchange, method, uri string, body any) {
	h := http.Header{
		"User-Agent": {"kube-controller-manager/" + era.KubeletPatch.In(m.era()) + " (linux/amd64) kubernetes/$Format"},
		"Accept":     {"application/json, */*"},
	}
	var b []byte
	if body != nil {
		b, _ = json.Marshal(body)
		h.Set("Content-Type", "application/json")
	}
	x.Method, x.URL = method, uri
	stream := c.Send(id.Conn, id.dial(), sim.Request{Method: method, URL: uri, Header: h, Body: b})
	m.Streams[stream] = x
}

// answer is what came of a request.
type answer struct {
	exchange
	server  string
	kind    sim.MsgKind
	code    int
	data    []byte
	failure string
}

func (a answer) ok() bool { return a.kind == sim.MsgResponse && a.code/100 == 2 }

// err is what client-go says about an answer that is no success.
func (a answer) err() string {
	if a.kind == sim.MsgFailed {
		return fmt.Sprintf("%s %q: %s", a.Method[:1]+strings.ToLower(a.Method[1:]), a.server+a.URL, a.failure)
	}
	var s metav1.Status
	if json.Unmarshal(a.data, &s) == nil && s.Message != "" {
		return s.Message
	}
	return fmt.Sprintf("the server responded with the status code %d but did not return more information", a.code)
}

// decide notes what a controller decided about an object.
func decide(c *sim.Ctx, subject, controller, verdict, reason, message string) {
	c.Note(trace.Decision, subject, map[string]string{"controller": controller, "verdict": verdict, "reason": reason, "message": message}, "")
}

// log writes a line that --v shows.
func (m *ControllerManager) log(c *sim.Ctx, level byte, v int, source, msg string, kv ...any) {
	if v <= m.Flags.V {
		c.Log(level, v, source, sim.KV(msg, kv...))
	}
}

// address is the "host:port" of a server's URL.
func address(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return server
	}
	if u.Port() == "" {
		return u.Hostname() + ":443"
	}
	return u.Host
}
