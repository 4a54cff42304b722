package controllers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// ControllerManager is one kube-controller-manager process: a sim.Actor whose
// exported fields are its whole state.
type ControllerManager struct {
	Release string `json:"release"`
	Flags   Flags  `json:"flags"`
	// Program is the name of an approver (program.go), "" for
	// kube-controller-manager; Args and Env are what it was started with,
	// Approver what it read in them.
	Program  string            `json:"program,omitempty"`
	Args     []string          `json:"args,omitempty"`
	Env      map[string]string `json:"env,omitempty"`
	Approver approverFlags     `json:"approver,omitzero"`
	// Refused is why the process ends as soon as it has read its flags.
	Refused string    `json:"refused,omitempty"`
	Started time.Time `json:"started,omitzero"`
	// Resync is how often its informers show all again, once somebody asked.
	Resync time.Duration `json:"resync,omitempty"`

	// Own is the manager's own identity, Bearer one without a certificate for
	// requests with a ServiceAccount's token.
	Own    identity `json:"own"`
	Bearer identity `json:"bearer"`

	Clients  []*client  `json:"clients,omitempty"`
	Accounts []*account `json:"accounts,omitempty"`
	// Throttled is when a long wait for a bucket was last told.
	Throttled time.Time `json:"throttled,omitzero"`
	// Health is when the API server's health was first asked for, Booted how
	// many ServiceAccounts were looked for.
	Health time.Time `json:"health,omitzero"`
	Booted int       `json:"booted,omitempty"`
	// Dynamic: its accounts ask for tokens, where they may have them from Secrets too.
	// TokensOn: the controller of tokens runs before the others.
	Dynamic  bool               `json:"dynamic,omitempty"`
	TokensOn bool               `json:"tokensOn,omitempty"`
	Election *election.Election `json:"election,omitempty"`

	Loops   []*loop `json:"loops,omitempty"`
	Feeds   []*feed `json:"feeds,omitempty"`
	Cleaner cleaner `json:"cleaner"`
	// Pairs are the signing files as last read, by "cert::key"; RootCA and
	// AccountKey were read at the start.
	Pairs      map[string]pair `json:"pairs"`
	RootCA     []byte          `json:"rootCA,omitempty"`
	AccountKey []byte          `json:"accountKey,omitempty"`

	// The caches, by name or "namespace/name". Seats are ServiceAccounts, Roles
	// ClusterRoles.
	CSRs       map[string]*certv1.CertificateSigningRequest `json:"csrs"`
	Secrets    map[string]*corev1.Secret                    `json:"secrets"`
	Maps       map[string]*corev1.ConfigMap                 `json:"maps"`
	Namespaces map[string]*corev1.Namespace                 `json:"namespaces"`
	Seats      map[string]*corev1.ServiceAccount            `json:"seats"`
	Roles      map[string]*role                             `json:"roles"`
	Nodes      map[string]*corev1.Node                      `json:"nodes"`
	Pods       map[string]*corev1.Pod                       `json:"pods"`

	// Life is the controller of nodes (life.go), nil where it does not run.
	Life *lifecycle `json:"life,omitempty"`

	Streams map[uint64]exchange `json:"streams"`
	// Roused is when names that rested were last told to go on.
	Roused time.Time `json:"roused,omitzero"`

	hosts hosts
}

// exchange is a request that waits for its answer.
type exchange struct {
	// To is the kind of waiter, Index which one, Name the object it is about.
	To     string `json:"to"`
	Index  int    `json:"index,omitempty"`
	Name   string `json:"name,omitempty"`
	Method string `json:"method"`
	URL    string `json:"url"`
	// Account is who it was sent as; Fold asks for the same request again and
	// again.
	Account string        `json:"account,omitempty"`
	Fold    time.Duration `json:"fold,omitempty"`
}

// New returns a kube-controller-manager that reads the command line args,
// without the program's name. The error is that of the flags, in its words.
func New(e era.Era, args []string) (*ControllerManager, error) {
	f, err := parseFlags(e, args)
	if err != nil {
		return nil, err
	}
	return &ControllerManager{Release: e.String(), Flags: f, Refused: f.refused(e)}, nil
}

func (m *ControllerManager) era() era.Era { return era.Must(m.Release) }

// Clone returns an independent copy. Objects in the cache are never changed, so
// they are shared.
func (m *ControllerManager) Clone() sim.Actor {
	n := *m
	n.Loops = cloned(m.Loops, (*loop).clone)
	n.Feeds = cloned(m.Feeds, (*feed).clone)
	n.Clients = cloned(m.Clients, func(cl *client) *client {
		x := *cl
		x.Held = slices.Clone(cl.Held)
		return &x
	})
	n.Accounts = cloned(m.Accounts, func(a *account) *account {
		x := *a
		x.Waiting = slices.Clone(a.Waiting)
		return &x
	})
	n.Election = m.Election.Clone()
	n.CSRs, n.Secrets, n.Maps, n.Namespaces, n.Seats = maps.Clone(m.CSRs), maps.Clone(m.Secrets), maps.Clone(m.Maps), maps.Clone(m.Namespaces), maps.Clone(m.Seats)
	n.Roles, n.Nodes, n.Pods = maps.Clone(m.Roles), maps.Clone(m.Nodes), maps.Clone(m.Pods)
	n.Life = m.Life.clone()
	n.Pairs, n.Streams = maps.Clone(m.Pairs), maps.Clone(m.Streams)
	return &n
}

func cloned[T any](list []*T, clone func(*T) *T) []*T {
	out := make([]*T, len(list))
	for i, x := range list {
		out[i] = clone(x)
	}
	return out
}

// Step handles one message.
func (m *ControllerManager) Step(c *sim.Ctx, msg sim.Msg) {
	switch msg.Kind {
	case sim.MsgStart:
		m.start(c)
	case sim.MsgWake:
		m.wake(c, msg.Tag)
	case sim.MsgUnfold:
		m.rouse(c)
	case sim.MsgFile:
		m.fileChanged(c, msg.Tag)
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
		if a.code == http.StatusUnauthorized && x.Account != "" && !m.legacy() {
			// A token that is refused is not used again. Models client-go's
			// ResettableTokenSourceWrapTransport.
			m.account(x.Account).Token = ""
		}
		m.deliver(c, a)
	}
}

// deliver gives an answer to who waits for it.
func (m *ControllerManager) deliver(c *sim.Ctx, a answer) {
	switch a.To {
	case "feed":
		m.fed(c, m.Feeds[a.Index], a)
	case "loop":
		m.answered(c, m.Loops[a.Index], a)
	case "clean":
		m.cleaned(c, a)
	case "account":
		m.accounted(c, a)
	case "health":
		m.healthy(c, a)
	case "tokens":
		m.tokensChosen(c, a)
	case "elect":
		m.elected(c, a)
	case "pod":
		m.podMarked(c, a)
	case "record":
		m.eventWritten(c, a)
	}
}

// wake handles a timer, whose tag is "kind index name".
func (m *ControllerManager) wake(c *sim.Ctx, tag string) {
	kind, rest, _ := strings.Cut(tag, " ")
	index, name, _ := strings.Cut(rest, " ")
	i, _ := strconv.Atoi(index)
	switch {
	case kind == "feed" && i < len(m.Feeds):
		m.open(c, m.Feeds[i])
	case kind == "retry" && i < len(m.Loops):
		m.enqueue(c, m.Loops[i], name)
	case kind == "held" && i < len(m.Clients):
		m.release(c, m.Clients[i])
	case kind == "account" && i == 1:
		if a := m.account(name); a.Asked == "watch" {
			m.noToken(c, a, "")
		}
	case kind == "account":
		m.want(c, m.account(name), "get")
	case kind == "health":
		m.askHealth(c)
	case kind == "elect":
		m.Election.Timer(c, candidate{m}, tag)
	case kind == "clean":
		m.clean(c)
	case kind == "file":
		m.reread(c, name)
	case kind == "life" && name != "":
		m.graceOver(c, name)
	case kind == "life":
		m.monitor(c)
	case kind == "evict":
		m.evict(c, name)
	case kind == "record":
		m.writeEvent(c, i)
	}
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
		c.LogKV(level, v, source, msg, kv...)
	}
}

// say writes a line of the log as the release words it, with values for its names or
// its format.
func (m *ControllerManager) say(c *sim.Ctx, row *era.Row[era.Line], values ...any) {
	m.line(c, row.In(m.era()), values...)
}

func (m *ControllerManager) line(c *sim.Ctx, l era.Line, values ...any) {
	switch {
	case l.At == "" || l.V > m.Flags.V:
	case l.Structured:
		kv := make([]any, 0, 2*len(l.Keys))
		for _, k := range l.Keys {
			kv = append(kv, k.Name, values[k.Of])
		}
		c.LogKV(l.Level, l.V, l.At, l.Text, kv...)
	case strings.Contains(l.Text, "%"):
		c.Log(l.Level, l.V, l.At, fmt.Sprintf(l.Text, values...))
	default:
		c.Log(l.Level, l.V, l.At, l.Text)
	}
}

// unhandled writes a failure as utilruntime.HandleError does.
func (m *ControllerManager) unhandled(c *sim.Ctx, source, text string) {
	if era.UnhandledStructured.In(m.era()) {
		m.log(c, 'E', 0, source, "Unhandled Error", "err", text, "logger", "UnhandledError")
		return
	}
	m.plain(c, 'E', 0, source, text)
}

// plain writes a line that --v shows as it is.
func (m *ControllerManager) plain(c *sim.Ctx, level byte, v int, source, text string) {
	if v <= m.Flags.V {
		c.Log(level, v, source, text)
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

// logf writes a line that --v shows as it is, as klog's older calls do.
func (m *ControllerManager) logf(c *sim.Ctx, level byte, v int, source, format string, args ...any) {
	m.plain(c, level, v, source, fmt.Sprintf(format, args...))
}

// gate tells whether a feature is on.
func (m *ControllerManager) gate(name string) bool {
	set := map[string]bool{}
	for pair := range strings.SplitSeq(strings.Join(m.Flags.Gates, ","), ",") {
		key, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(pair), "kube:"), "=")
		on, err := strconv.ParseBool(strings.TrimSpace(value))
		if err == nil {
			set[strings.TrimSpace(key)] = on
		}
	}
	return m.era().GateOn(name, set)
}
