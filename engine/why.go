package engine

import (
	"crypto/x509"
	"fmt"
	"maps"
	dir "path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/controllers"
	config "github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// ExplanationVersion is the format version of Explanation.
const ExplanationVersion = 1

// Explanation is why something is as it is: kinds and values, no words of any
// language. It is read from what the actors decided and from their state.
type Explanation struct {
	V      int    `json:"v"`
	Object string `json:"object"`
	// State is how it is: "pending", "refused", "joined" …
	State Reason `json:"state"`
	// Knows is who knows why, and where it stands.
	Knows []Reason `json:"knows,omitempty"`
	// Needs is what would have to be different: of those of one Kind, one is
	// enough.
	Needs []Reason `json:"needs,omitempty"`
	// Next is what happens if nobody does anything.
	Next []Reason `json:"next,omitempty"`
}

// Reason is one point of an Explanation.
type Reason struct {
	Kind string            `json:"kind"`
	At   time.Time         `json:"at,omitzero"`
	Args map[string]string `json:"args,omitempty"`
}

// String is a Reason as a transcript has it.
func (r Reason) String() string {
	s := r.Kind
	for _, k := range slices.Sorted(maps.Keys(r.Args)) {
		s += fmt.Sprintf(" %s=%q", k, r.Args[k])
	}
	if !r.At.IsZero() {
		s += " at " + r.At.UTC().Format(time.RFC3339)
	}
	return s
}

func (e Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", e.Object, e.State)
	for _, part := range []struct {
		name string
		list []Reason
	}{{"knows", e.Knows}, {"needs", e.Needs}, {"next", e.Next}} {
		for _, r := range part.list {
			fmt.Fprintf(&b, "%s: %s\n", part.name, r)
		}
	}
	return b.String()
}

func reason(kind string, pairs ...string) Reason {
	r := Reason{Kind: kind}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			if r.Args == nil {
				r.Args = map[string]string{}
			}
			r.Args[pairs[i]] = pairs[i+1]
		}
	}
	return r
}

// add appends: one copy of what append does, instead of one at each place.
//
//go:noinline
func add(list *[]Reason, more ...Reason) { *list = append(*list, more...) }

func (r Reason) at(t time.Time) Reason { r.At = t; return r }

// trouble is the last thing that went wrong for a client, until the same goes
// well.
type trouble struct {
	At time.Time `json:"at"`
	// Code is the status of a refusal; 0 when there was no answer, and Error
	// says why.
	Code    int    `json:"code,omitempty"`
	Error   string `json:"error,omitempty"`
	Request string `json:"request,omitempty"`
	Server  string `json:"server,omitempty"`
	// Dial is how the client wanted to be connected, when it could not be.
	Dial *sim.Dial `json:"dial,omitempty"`
	// Log is the line that tells why in the server's log, and V what shows it.
	Log string `json:"log,omitempty"`
	V   int    `json:"v,omitempty"`
	// Args are those of the decision.
	Args map[string]string `json:"args,omitempty"`
}

// What goes well or wrong for a client, each by itself: a connection to an
// address, requests about CSRs and others to an API server, and requests to
// another server.
const (
	aspectConn   = "conn "
	aspectCSR    = "csr"
	aspectOther  = "other"
	aspectAnswer = "answer "
)

// aspect is what an answer is about, and at whom.
func (w *World) aspect(server, url string) (aspect, at string) {
	if p := w.Procs[server]; p != nil {
		if _, ok := p.actor.(*api.Server); !ok {
			return aspectAnswer, server
		}
	}
	if strings.Contains(url, "/certificatesigningrequests") {
		return aspectCSR, ""
	}
	return aspectOther, ""
}

// startsAnew forgets what went wrong for a process before it.
func (w *World) startsAnew(addr string) { delete(w.Troubles, addr) }

// goesWrong and goesWell keep the troubles.
func (w *World) goesWrong(client, aspect, at string, t trouble) {
	if w.Troubles == nil {
		w.Troubles = map[string]map[string]trouble{}
	}
	if w.Troubles[client] == nil {
		w.Troubles[client] = map[string]trouble{}
	}
	t.At = w.Clock
	w.Troubles[client][aspect+at] = t
}

func (w *World) goesWell(client, aspect, at string) {
	list := w.Troubles[client]
	if len(list) == 0 {
		return
	}
	if delete(list, aspect+at); len(list) == 0 {
		delete(w.Troubles, client)
	}
}

// trouble is what goes wrong for a client in an aspect, at anyone.
func (w *World) trouble(client, aspect string) (trouble, bool) {
	list := w.Troubles[client]
	for _, name := range keys(list) {
		if strings.HasPrefix(name, aspect) {
			return list[name], true
		}
	}
	return trouble{}, false
}

// answered keeps what an answer means for its client.
func (w *World) answered(s *stream, server string, code int) {
	if s.Client == "" || s.Request == "" {
		return
	}
	_, url, _ := strings.Cut(s.Request, " ")
	aspect, at := w.aspect(server, url)
	// That there is no such thing is an answer; a refusal it is not. Nor is it one
	// that a pod is not ready: that is the state of its API.
	good := code < 500 && code != 401 && code != 403 && code != 429 || code == 503 && aspect == aspectAnswer
	if good && len(w.Troubles[s.Client]) == 0 {
		return
	}
	if good {
		w.goesWell(s.Client, aspect, at)
		return
	}
	t := trouble{Code: code, Request: s.Request, Server: server}
	if v := w.verdict; v != nil {
		t.Args, t.Log = v, v["log"]
		t.V, _ = strconv.Atoi(v["v"])
		if v["rule"] != "" {
			t.Log, t.V = v["rule"], 5
		}
	}
	w.goesWrong(s.Client, aspect, at, t)
}

// decision is the last word of an actor about something.
type decision struct {
	By   string            `json:"by"`
	Args map[string]string `json:"args"`
}

// kept are the verdicts that explain something as long as they stand.
var kept = []string{"waits", "denied", "no"}

// hear keeps of an observation what explains something later.
func (w *World) hear(o *trace.Observation) {
	switch o.Kind {
	case trace.Authn, trace.Authz, trace.Admit:
		if o.Args["verdict"] == "no" && o.Args["asked"] == "" {
			w.verdict = o.Args
		}
	case trace.Decision:
		if !slices.Contains(kept, o.Args["verdict"]) {
			delete(w.Decisions, o.Subject)
			return
		}
		if w.Decisions == nil {
			w.Decisions = map[string]decision{}
		}
		w.Decisions[o.Subject] = decision{o.Actor, o.Args}
	case trace.Object:
		if name, ok := strings.CutPrefix(o.Subject, "certificatesigningrequests/"); ok && o.Args["verb"] == "delete" {
			delete(w.Decisions, "csr/"+name)
		}
	}
}

// Objects are those that Why explains.
const Objects = "csr/NAME, node/NAME, unit/HOST/UNIT, cert/HOST/PATH, token/ID, secret/NS/NAME, apiservice/NAME, lease/NS/NAME, pod/NS/NAME, serviceaccount/NS/NAME and configmap/NS/NAME"

// Why explains one of Objects.
// The error is one sentence for the person who asked.
func (w *World) Why(object string) (Explanation, error) {
	kind, name, _ := strings.Cut(object, "/")
	namespace, own, _ := strings.Cut(name, "/")
	e := Explanation{V: ExplanationVersion, Object: object}
	var err error
	switch kind {
	case "csr":
		err = w.whyCSR(&e, name)
	case "node":
		err = w.whyNode(&e, name)
	case "unit":
		host, unit, _ := strings.Cut(name, "/")
		err = w.whyUnit(&e, host, strings.TrimSuffix(unit, ".service"))
	case "cert", "file":
		host, path, _ := strings.Cut(name, "/")
		err = w.whyCert(&e, host, "/"+path)
	case "token":
		err = w.whyToken(&e, strings.TrimPrefix(name, "bootstrap-token-"))
	case "apiservice":
		err = w.whyAPIService(&e, name)
	case "secret":
		err = w.whySecret(&e, namespace, own)
	case "lease":
		err = w.whyLease(&e, namespace, own)
	case "pod":
		err = w.whyPod(&e, namespace, own)
	case "serviceaccount", "configmap":
		w.whyKept(&e, kind, namespace, own)
	default:
		err = fmt.Errorf("%q can't be explained; there are %s", object, Objects)
	}
	e.Knows, e.Needs, e.Next = unique(e.Knows), unique(e.Needs), unique(e.Next)
	return e, err
}

// unique leaves out what was said before.
func unique(list []Reason) (out []Reason) {
	said := map[string]bool{}
	for _, r := range list {
		if s := r.String(); !said[s] {
			said[s] = true
			out = append(out, r)
		}
	}
	return out
}

// server is the first API server that runs.
func (w *World) server() (addr string, s *api.Server) {
	for _, a := range keys(w.Procs) {
		if s, ok := w.Procs[a].actor.(*api.Server); ok {
			return a, s
		}
	}
	return "", nil
}

// manager is the kube-controller-manager that leads, else the first that runs.
func (w *World) manager() (addr string, m *controllers.ControllerManager) {
	for _, a := range keys(w.Procs) {
		if x, ok := w.Procs[a].actor.(*controllers.ControllerManager); ok && x.Program == "" && (m == nil || x.Leads()) {
			addr, m = a, x
		}
	}
	return addr, m
}

// log says that a unit's log holds the reason, and whether its -v shows it.
func (w *World) log(addr, line string, v int) Reason {
	has := w.verbosity(addr)
	kind := "log"
	if has < v {
		kind = "log-hidden"
	}
	return reason(kind, "unit", addr, "line", line, "v", strconv.Itoa(v), "has", strconv.Itoa(has))
}

// bindings are the needs of a permission: each a role for a user or a group.
func bindings(would *api.Would) []Reason {
	if would == nil || len(would.Roles) == 0 {
		return nil
	}
	return []Reason{reason("binding", "role", would.Roles[0], "user", would.User, "group", narrowest(would.Groups))}
}

// narrowest is the group that fewest are in, of those that a user is in: one of a
// part of another's has that one's name before its own.
func narrowest(groups []string) string {
	best := ""
	for _, g := range groups {
		if g != "system:authenticated" && g != "system:unauthenticated" && (best == "" || strings.HasPrefix(g, best+":")) {
			best = g
		}
	}
	return best
}

// whyCert explains a certificate in a file, or that of a kubeconfig's user.
func (w *World) whyCert(e *Explanation, host, path string) error {
	m := w.machine(host)
	if m == nil {
		return fmt.Errorf("there is no host %q; there are %v", host, w.Hosts())
	}
	b, err := m.Disk.ReadFile(path)
	if err != nil {
		return fmt.Errorf("on %s: %w", host, err)
	}
	certs, err := pki.ParseCerts(b)
	if k, broken := config.Parse(b); err != nil && broken == nil {
		_, user := k.Current()
		own, _ := config.Read(m.Disk.ReadFile, dir.Dir(path), nil, user)
		certs, err = pki.ParseCerts(own.Cert)
	}
	if err != nil || len(certs) == 0 {
		return fmt.Errorf("on %s: %s holds no certificate", host, path)
	}
	c, now := certs[0], m.Clock.At(w.Clock)
	args := []string{"subject", c.Subject.String(), "from", c.NotBefore.UTC().Format(time.RFC3339), "to", c.NotAfter.UTC().Format(time.RFC3339), "clock", now.UTC().Format(time.RFC3339)}
	switch {
	case now.Before(c.NotBefore):
		e.State = reason("cert-early", args...)
		add(&e.Needs, reason("clock", "host", host, "by", c.NotBefore.Sub(now).String()))
		add(&e.Next, reason("begins").at(w.Clock.Add(c.NotBefore.Sub(now))))
	case now.After(c.NotAfter):
		e.State = reason("cert-expired", args...)
		add(&e.Needs, reason("certificate", "subject", c.Subject.CommonName))
	default:
		e.State = reason("cert-valid", args...)
		w.explainDuration(e, c)
		add(&e.Next, reason("expires").at(w.Clock.Add(c.NotAfter.Sub(now))))
	}
	if ca, err := m.Disk.ReadFile("/etc/kubernetes/pki/ca.crt"); err == nil {
		if roots, err := pki.ParseCerts(ca); err == nil {
			if err := pki.Verify(certs, roots, x509.ExtKeyUsageAny, now); err != nil {
				add(&e.Knows, reason("verify", "error", err.Error(), "ca", "/etc/kubernetes/pki/ca.crt"))
			}
		}
	}
	return nil
}

// whyToken explains a bootstrap token by its id.
func (w *World) whyToken(e *Explanation, id string) error {
	addr, s := w.server()
	if s == nil {
		return fmt.Errorf("no API server runs, and only one could say")
	}
	host, _ := split(addr)
	now := w.machine(host).Clock.At(w.Clock)
	line, v, expires, found := s.Token(now, id)
	if line == "" {
		e.State = reason("token-accepted", "id", id)
		if !expires.IsZero() {
			add(&e.Next, reason("expires").at(w.Clock.Add(expires.Sub(now))))
		}
		return nil
	}
	e.State = reason("token-refused", "id", id)
	add(&e.Knows, w.log(addr, line, v))
	switch {
	case !found:
		add(&e.Needs, reason("token", "secret", "bootstrap-token-"+id))
	case !expires.IsZero() && !now.Before(expires):
		add(&e.Needs, reason("token-expiration", "secret", "bootstrap-token-"+id, "was", expires.UTC().Format(time.RFC3339)))
	default:
		add(&e.Needs, reason("token-fields", "secret", "bootstrap-token-"+id))
	}
	return nil
}
