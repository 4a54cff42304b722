package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Phases of a client, as noted.
const (
	// PhaseMounting: its pod's volume is not there yet.
	PhaseMounting = "mounting"
	PhaseStarting = "starting"
	// PhaseStandby: another one leads.
	PhaseStandby = "standby"
	PhaseRunning = "running"
	PhaseRefused = "refused"
	PhaseExited  = "exited"
)

// Client is one process: a sim.Actor whose exported fields are its whole state.
type Client struct {
	Release string `json:"release"`
	// Program names a row of programs.
	Program string `json:"program"`
	Flags   Flags  `json:"flags"`
	Phase   string `json:"phase,omitempty"`
	// Started is when the process began, in true time; zero while its volume is
	// not mounted.
	Started time.Time `json:"started,omitzero"`

	// Serving: it listens; Ready: everything that it watches was told once.
	Serving bool `json:"serving,omitempty"`
	Ready   bool `json:"ready,omitempty"`

	Access access `json:"access"`
	Mount  *mount `json:"mount,omitempty"`
	// Sources are the lists and watches by name. Maps are written even when they
	// are empty, so that they are there again after a snapshot is restored.
	Sources map[string]*source `json:"sources"`
	// Election is one's part in who works, ElectRetry how its tries fare.
	Election   *election.Election `json:"election,omitempty"`
	ElectRetry retry              `json:"electRetry,omitzero"`
	Scraper    *scraper           `json:"scraper,omitempty"`
	// Front and Visits are those of an aggregated API server.
	Front   *front              `json:"front,omitempty"`
	Visits  map[uint64]visit    `json:"visits"`
	Timers  map[string]uint64   `json:"timers"`
	Streams map[uint64]exchange `json:"streams"`
	// Held are the requests that wait for a new token in the volume.
	Held []exchange `json:"held,omitempty"`
}

// exchange is a request that waits for its answer, by who is to hear of it.
type exchange struct {
	Owner  string `json:"owner"`
	Method string `json:"method"`
	URL    string `json:"url"`
	// Conn is the connection it goes over, Server what errors name before the URL.
	Conn   string `json:"conn,omitempty"`
	Server string `json:"server,omitempty"`
	Body   []byte `json:"body,omitempty"`
	Fold   string `json:"fold,omitempty"`
}

// New returns a client of that program with the command line args, without the
// program's name; a pod has a volume. The error is the program's, in its words.
func New(e era.Era, program string, args []string, pod *Pod) (*Client, error) {
	p := programs[program]
	f, err := p.parse(e, args)
	if err != nil {
		return nil, err
	}
	k := &Client{Release: e.String(), Program: program, Flags: f, Sources: map[string]*source{}, Visits: map[uint64]visit{}, Timers: map[string]uint64{}, Streams: map[uint64]exchange{}}
	if pod != nil {
		k.Mount = &mount{Pod: *pod}
	}
	return k, nil
}

// Programs lists what New can make, sorted.
func Programs() []string { return slices.Sorted(maps.Keys(programs)) }

// Clone returns an independent copy.
func (k *Client) Clone() sim.Actor {
	n := *k
	n.Sources = make(map[string]*source, len(k.Sources))
	for name, s := range k.Sources {
		t := *s
		n.Sources[name] = &t
	}
	if k.Mount != nil {
		m := *k.Mount
		n.Mount = &m
	}
	n.Election = k.Election.Clone()
	n.Scraper = k.Scraper.clone()
	n.Visits = maps.Clone(k.Visits)
	n.Timers, n.Streams, n.Held = maps.Clone(k.Timers), maps.Clone(k.Streams), slices.Clone(k.Held)
	return &n
}

func (k *Client) era() era.Era     { return era.Must(k.Release) }
func (k *Client) program() program { return programs[k.Program] }

// wakes is what each timer leads to; "VERB WHAT" is one of several.
var wakes = map[string]func(k *Client, c *sim.Ctx, what string){
	"mount":    func(k *Client, c *sim.Ctx, _ string) { k.mount(c) },
	"sync":     func(k *Client, c *sim.Ctx, _ string) { k.syncVolume(c) },
	"remake":   func(k *Client, c *sim.Ctx, _ string) { k.watchVolume(c) },
	"reload":   func(k *Client, c *sim.Ctx, _ string) { k.reloadCert(c) },
	"source":   (*Client).open,
	"elect":    func(k *Client, c *sim.Ctx, _ string) { k.Election.Try(c, candidate{k}) },
	"unsynced": func(k *Client, c *sim.Ctx, _ string) { k.unsynced(c) },
	"scrape":   func(k *Client, c *sim.Ctx, _ string) { k.scrape(c) },
	"probe":    func(k *Client, c *sim.Ctx, _ string) { k.probe(c) },
	"node":     (*Client).scrapeNode,
}

// answers is who hears of the answer to each kind of request.
var answers = map[string]func(k *Client, c *sim.Ctx, a answer){
	"mount.token":  (*Client).tokenCame,
	"mount.bundle": (*Client).bundleCame,
	"source.watch": (*Client).watched,
	"source.list":  (*Client).listed,
	"lease":        (*Client).leaseAnswered,
	"scrape":       (*Client).scraped,

	"front":         (*Client).fronted,
	"review.token":  (*Client).tokenReviewed,
	"review.access": (*Client).accessReviewed,
}

// Step handles one message.
func (k *Client) Step(c *sim.Ctx, m sim.Msg) {
	switch m.Kind {
	case sim.MsgStart:
		if k.Mount != nil {
			k.mount(c)
			return
		}
		k.start(c)
	case sim.MsgWake:
		if strings.HasPrefix(m.Tag, election.Tag) {
			k.Election.Timer(c, candidate{k}, m.Tag)
			return
		}
		name, gen, _ := strings.Cut(m.Tag, "#")
		if strconv.FormatUint(k.Timers[name], 10) != gen {
			return
		}
		verb, what, _ := strings.Cut(name, " ")
		if f := wakes[verb]; f != nil {
			f(k, c, what)
		}
	case sim.MsgFile:
		k.fileChanged(c, m.Tag)
	case sim.MsgClock:
		k.changed(c)
	case sim.MsgUnfold:
		k.Election.Stir(c)
		k.stirScrapes(c)
		k.changed(c)
	case sim.MsgRequest:
		k.serve(c, m.Req)
	case sim.MsgGone:
		delete(k.Visits, m.Stream)
	case sim.MsgShake:
		k.log(c, 'I', 0, "???:1", sim.KV("http: TLS handshake error from "+m.Line+": "+m.Err))
	case sim.MsgResponse, sim.MsgFrame, sim.MsgEnd, sim.MsgFailed:
		x, ok := k.Streams[m.Stream]
		if !ok {
			return
		}
		a := answer{exchange: x, stream: m.Stream, kind: m.Kind, data: m.Data, failure: m.Err}
		if m.Resp != nil {
			a.code, a.data, a.open = m.Resp.Code, m.Resp.Body, m.Resp.Stream
		}
		if m.Kind != sim.MsgFrame && !a.open {
			delete(k.Streams, m.Stream)
		}
		owner, arg, _ := strings.Cut(x.Owner, " ")
		a.arg = arg
		if a.kind == sim.MsgResponse && a.code == http.StatusUnauthorized && !strings.HasPrefix(owner, "mount") {
			k.Access.TokenRead = time.Time{} // client-go reads the file anew after a 401
		}
		if f := answers[owner]; f != nil {
			f(k, c, a)
		}
	}
}

// after starts (or moves) a timer, stop stops some.
func (k *Client) after(c *sim.Ctx, name string, d time.Duration) {
	k.Timers[name]++
	c.Wake(c.Now.Add(d), fmt.Sprintf("%s#%d", name, k.Timers[name]))
}

func (k *Client) stop(names ...string) {
	for _, name := range names {
		k.Timers[name]++
	}
}

// start is the process's own beginning.
func (k *Client) start(c *sim.Ctx) {
	k.Started = c.Now
	p := k.program()
	for _, line := range k.Flags.Told {
		c.LogLine('I', 0, line)
	}
	over, err := k.era().ReadGates(k.Flags.Gates)
	if err != nil {
		why := err.Error()
		if k.Program == "kube-proxy" {
			why = era.ProxyComplete.In(k.era()) + why
		}
		commandFailed(k, c, why)
		k.note(c, PhaseExited, why)
		c.Exit(era.RunFailed(k.era(), k.Program).Status)
		return
	}
	for _, line := range over {
		k.log(c, line.Level, line.V, line.Source, line.Text)
	}
	p.greet(k, c)
	if err := k.loadAccess(c); err != nil {
		p.dies(k, c, err.Error())
		k.note(c, PhaseExited, err.Error())
		c.Exit(era.RunFailed(k.era(), k.Program).Status)
		return
	}
	k.note(c, PhaseStarting, "")
	if p.serves {
		k.prepare(c)
		return
	}
	if p.lock != "" && k.Flags.LeaderElect {
		k.elect(c)
		return
	}
	k.run(c)
}

// run begins what the program is there for.
func (k *Client) run(c *sim.Ctx) {
	for i, x := range k.program().kinds {
		k.Sources[x.name] = &source{}
		k.after(c, "source "+x.name, time.Duration(i)*time.Millisecond)
	}
	if k.program().scrapes {
		k.Scraper = newScraper()
	}
}

// note records a phase, with what the client trusts, what it shows and until
// when, and when it reads these again.
func (k *Client) note(c *sim.Ctx, phase, failure string) {
	k.Phase = phase
	args := map[string]string{"phase": phase, "program": k.Program}
	for name, v := range k.Access.told(k) {
		args[name] = v
	}
	if failure != "" {
		args["error"] = failure
	}
	c.Note(trace.Phase, c.Unit, args, "")
}

// log writes a line that --v shows.
func (k *Client) log(c *sim.Ctx, level byte, v int, source, msg string) {
	if v <= k.Flags.V {
		c.Log(level, v, source, msg)
	}
}

// answer is what came of a request.
type answer struct {
	exchange
	arg     string
	stream  uint64
	kind    sim.MsgKind
	code    int
	data    []byte
	failure string
	// open: the answer is a watch that goes on.
	open bool
}

func (a answer) ok() bool { return a.kind == sim.MsgResponse && a.code/100 == 2 }

// err is what client-go says about an answer that is no success.
func (a answer) err() string {
	if a.kind == sim.MsgFailed {
		return fmt.Sprintf("%s %q: %s", a.Method[:1]+strings.ToLower(a.Method[1:]), a.Server+a.URL, a.failure)
	}
	var s metav1.Status
	if json.Unmarshal(a.data, &s) == nil && s.Message != "" {
		return s.Message
	}
	return fmt.Sprintf("the server responded with the status code %d but did not return more information", a.code)
}

// cancel leaves all exchanges of an owner.
func (k *Client) cancel(c *sim.Ctx, owner string) {
	for _, id := range slices.Sorted(maps.Keys(k.Streams)) {
		if k.Streams[id].Owner == owner {
			c.Cancel(id)
			delete(k.Streams, id)
		}
	}
}
