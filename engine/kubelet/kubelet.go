package kubelet

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Phases of a kubelet, as noted.
const (
	PhaseStarting   = "starting"
	PhaseRequesting = "requesting"
	PhasePending    = "pending"
	PhaseIssued     = "issued"
	PhaseJoined     = "joined"
	PhaseRotating   = "rotating"
	PhaseExpired    = "expired"
	PhaseExited     = "exited"
	PhaseStandalone = "standalone"
)

// Kubelet is one kubelet process: a sim.Actor whose exported fields are its
// whole state.
type Kubelet struct {
	Release string `json:"release"`
	Flags   Flags  `json:"flags"`
	Phase   string `json:"phase,omitempty"`
	// Node is the name of the node, Start when the process began, in true time.
	Node  string    `json:"node,omitempty"`
	Start time.Time `json:"start,omitzero"`
	// IPs are those of --node-ip.
	IPs []net.IP `json:"ips,omitempty"`
	// Rotate: it rotates its client certificate. Held is the certificate whose first
	// try the start waits for.
	Rotate bool   `json:"rotate,omitempty"`
	Held   string `json:"held,omitempty"`

	// Running is the configuration that it runs with.
	Running *KubeletConfiguration `json:"running,omitempty"`

	// Cluster is where the API server is and what it is trusted by, as read at
	// the start: a real kubelet does not read the CA file of its kubeconfig again.
	Cluster cluster `json:"cluster"`
	// Token is the bootstrap token; empty when the kubelet started with a valid
	// kubeconfig, and then never used.
	Token string `json:"token,omitempty"`

	Client  rotation `json:"client"`
	Serving rotation `json:"serving"`
	Health  health   `json:"health"`
	Port    port     `json:"port"`

	// Maps are written even when they are empty, so that they are there again
	// after a snapshot is restored.
	Reg     registration        `json:"registration"`
	Lease   lease               `json:"lease"`
	Pods    map[string]pod      `json:"pods"`
	Sources map[string]*source  `json:"sources"`
	Timers  map[string]uint64   `json:"timers"`
	Streams map[uint64]exchange `json:"streams"`
}

// exchange is a request that waits for its answer, by who is to hear of it.
type exchange struct {
	Owner  string `json:"owner"`
	Method string `json:"method"`
	URL    string `json:"url"`
}

// New returns a kubelet that reads the command line args, without the
// program's name. The error is that of the flags ("unknown flag: --x").
func New(e era.Era, args []string) (*Kubelet, error) {
	f, err := parseFlags(e, args)
	if err != nil {
		return nil, err
	}
	return &Kubelet{Release: e.String(), Flags: f, Client: rotation{Use: useClient}, Serving: rotation{Use: useServing},
		Port: port{Waiting: map[uint64]visit{}, Known: map[string]verdict{}}, Pods: map[string]pod{}, Sources: map[string]*source{}, Timers: map[string]uint64{}, Streams: map[uint64]exchange{}}, nil
}

// Clone returns an independent copy.
func (k *Kubelet) Clone() sim.Actor {
	n := *k
	n.Client.Cert, n.Serving.Cert = k.Client.Cert.clone(), k.Serving.Cert.clone()
	n.Pods = maps.Clone(k.Pods)
	n.Port.Waiting, n.Port.Known = maps.Clone(k.Port.Waiting), maps.Clone(k.Port.Known)
	n.Timers = maps.Clone(k.Timers)
	n.Streams = maps.Clone(k.Streams)
	n.Sources = make(map[string]*source, len(k.Sources))
	for name, s := range k.Sources {
		t := *s
		n.Sources[name] = &t
	}
	return &n
}

func (k *Kubelet) era() era.Era { return era.Must(k.Release) }

// wakes is what each timer leads to. A timer may be of something: "VERB WHAT".
var wakes = map[string]func(k *Kubelet, c *sim.Ctx, what string){
	"rotate":   ofLife((*Kubelet).rotate),
	"rewatch":  ofLife((*Kubelet).watchCSR),
	"overdue":  ofLife((*Kubelet).csrOverdue),
	"relook":   ofLife((*Kubelet).lookAtCSR),
	"deadline": ofLife((*Kubelet).drawDeadline),
	"noticed":  alone((*Kubelet).noticed),
	"expired":  alone((*Kubelet).expired),
	"lost":     alone((*Kubelet).checkLost),
	"stale":    alone((*Kubelet).beatDue),
	"register": alone((*Kubelet).register),
	"status":   alone((*Kubelet).reportStatus),
	"address":  alone((*Kubelet).checkAddress),
	"lease":    alone((*Kubelet).ensureLease),
	"renew":    alone((*Kubelet).renewLease),
	"port":     alone((*Kubelet).openPort),
	"cas":      alone((*Kubelet).showClientCAs),
	"template": alone((*Kubelet).checkTemplate),
	"unserve":  alone((*Kubelet).present),
	"server":   alone((*Kubelet).tryServer),
	"late":     alone((*Kubelet).serverLate),
	"source":   (*Kubelet).ask,
	"file":     (*Kubelet).reread,
}

func alone(f func(k *Kubelet, c *sim.Ctx)) func(*Kubelet, *sim.Ctx, string) {
	return func(k *Kubelet, c *sim.Ctx, _ string) { f(k, c) }
}

func ofLife(f func(k *Kubelet, c *sim.Ctx, r *rotation)) func(*Kubelet, *sim.Ctx, string) {
	return func(k *Kubelet, c *sim.Ctx, use string) { f(k, c, k.life(use)) }
}

// answers is who hears of the answer to each kind of request.
var answers = map[string]func(k *Kubelet, c *sim.Ctx, a answer){
	"csr.create":    (*Kubelet).csrCreated,
	"csr.list":      (*Kubelet).csrListed,
	"csr.watch":     (*Kubelet).csrWatched,
	"node.create":   (*Kubelet).nodeCreated,
	"node.get":      (*Kubelet).nodeGot,
	"status.get":    (*Kubelet).statusGot,
	"status.patch":  (*Kubelet).statusPatched,
	"lease.get":     (*Kubelet).leaseGot,
	"lease.create":  (*Kubelet).leaseCreated,
	"lease.update":  (*Kubelet).leaseUpdated,
	"source.watch":  (*Kubelet).sourceWatched,
	"source.list":   (*Kubelet).sourceListed,
	"source.single": (*Kubelet).sourceListed,
	"sync.healthz":  (*Kubelet).serverTried,
	"sync.create":   (*Kubelet).syncCreated,
	"sync.get":      (*Kubelet).syncGot,
	"port.token":    (*Kubelet).tokenReviewed,
	"port.access":   (*Kubelet).accessReviewed,
}

// Step handles one message.
func (k *Kubelet) Step(c *sim.Ctx, m sim.Msg) {
	switch m.Kind {
	case sim.MsgStart:
		k.start(c)
	case sim.MsgWake:
		name, gen, _ := strings.Cut(m.Tag, "#")
		if strconv.FormatUint(k.Timers[name], 10) != gen {
			return
		}
		verb, what, _ := strings.Cut(name, " ")
		if f := wakes[verb]; f != nil {
			f(k, c, what)
		}
	case sim.MsgClock:
		k.watchExpiry(c)
	case sim.MsgAddress:
		k.readdressed(c)
	case sim.MsgUnfold:
		k.Lease.Met = k.Lease.Met || m.Tag == sim.Changed
		k.Reg.Met = k.Reg.Met || m.Tag == sim.Changed
		k.beatDue(c)
	case sim.MsgRequest:
		k.serve(c, m.Req)
	case sim.MsgShake:
		k.shaken(c, m)
	case sim.MsgFile:
		k.changedFile(c, m.Tag)
	case sim.MsgGone:
		delete(k.Port.Waiting, m.Stream)
	case sim.MsgStop:
		if k.Client.Sync && k.Client.Attempt.UID != "" {
			k.log(c, lineCommand, "err", "failed to run Kubelet: timed out waiting for the condition")
		}
		if k.Port.CAs != nil && !k.Port.Opened.IsZero() && era.KubeletCAsShown.In(k.era()) {
			k.log(c, lineStopping)
		}
	case sim.MsgResponse, sim.MsgFrame, sim.MsgEnd, sim.MsgFailed:
		x, ok := k.Streams[m.Stream]
		if !ok {
			return
		}
		a := answer{exchange: x, server: k.Cluster.Server, stream: m.Stream, kind: m.Kind, data: m.Data, failure: m.Err}
		if m.Resp != nil {
			a.code, a.data, a.open = m.Resp.Code, m.Resp.Body, m.Resp.Stream
		}
		if m.Kind != sim.MsgFrame && !(m.Kind == sim.MsgResponse && m.Resp.Stream) {
			delete(k.Streams, m.Stream)
		}
		owner, arg, _ := strings.Cut(x.Owner, " ")
		a.arg = arg
		if f := answers[owner]; f != nil {
			f(k, c, a)
		}
	}
}

// after starts (or moves) a timer.
func (k *Kubelet) after(c *sim.Ctx, name string, d time.Duration) {
	k.Timers[name]++
	c.Wake(c.Now.Add(d), fmt.Sprintf("%s#%d", name, k.Timers[name]))
}

// stop stops a timer.
func (k *Kubelet) stop(names ...string) {
	for _, name := range names {
		k.Timers[name]++
	}
}

// note records a phase with what belongs to it: pairs of name and value, of
// which empty values are left out.
func (k *Kubelet) note(c *sim.Ctx, phase string, pairs ...string) {
	k.Phase = phase
	c.Note(trace.Phase, c.Unit, phaseArgs(phase, pairs), "")
}

func phaseArgs(phase string, pairs []string) map[string]string {
	args := map[string]string{"phase": phase}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			args[pairs[i]] = pairs[i+1]
		}
	}
	return args
}

// stamp writes a time for a note; the zero time is empty.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// answer is what came of a request.
type answer struct {
	exchange
	arg     string
	server  string
	stream  uint64
	kind    sim.MsgKind
	code    int
	data    []byte
	failure string
	// open: the answer is a watch that goes on.
	open bool
}

func (a answer) ok() bool { return a.kind == sim.MsgResponse && a.code/100 == 2 }

// status is the metav1.Status that an answer carries, if it carries one.
func (a answer) status() (s metav1.Status) {
	json.Unmarshal(a.data, &s)
	return s
}

// err is what client-go says about an answer that is no success: the message of
// the Status, or the transport's error with the verb and the address before it.
func (a answer) err() string {
	if a.kind == sim.MsgFailed {
		verb := a.Method[:1] + strings.ToLower(a.Method[1:])
		return fmt.Sprintf("%s %q: %s", verb, a.server+a.URL, a.failure)
	}
	if s := a.status(); s.Message != "" {
		return s.Message
	}
	words := ""
	switch a.code {
	case 401:
		words = "the server has asked for the client to provide credentials"
	case 403:
		words = strings.TrimSpace(string(a.data))
	}
	if words != "" {
		return words + about(a.Method, a.URL)
	}
	return fmt.Sprintf("the server responded with the status code %d but did not return more information", a.code)
}

// about is what client-go adds to an answer that is no Status: what was asked of which
// resource. Models k8s.io/apimachinery/pkg/api/errors NewGenericServerResponse.
func about(method, uri string) string {
	path, _, _ := strings.Cut(uri, "?")
	parts := strings.Split(strings.Trim(path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = "."+parts[1], parts[3:]
	default:
		return ""
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	name := ""
	if len(parts) > 1 {
		name = " " + parts[1]
	}
	return " (" + strings.ToLower(method) + " " + parts[0] + group + name + ")"
}

// cancel leaves all exchanges of an owner.
func (k *Kubelet) cancel(c *sim.Ctx, owner string) {
	for _, id := range slices.Sorted(maps.Keys(k.Streams)) {
		if k.Streams[id].Owner == owner {
			c.Cancel(id)
			delete(k.Streams, id)
		}
	}
}

// pause is a back-off's n-th wait with its jitter, drawn in integers: floating
// point differs between processors. Models k8s.io/apimachinery/pkg/util/wait
// Jitter.
func (k *Kubelet) pause(c *sim.Ctx, purpose string, b era.Backoff, n int) time.Duration {
	d := b.At(n)
	if s := b.Stretch(d); s > 0 {
		d += time.Duration(c.Chance.N(c.Actor()+"/"+purpose, uint64(s)))
	}
	return d
}
