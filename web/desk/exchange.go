package desk

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/trace"
)

// An exchange is worth a beat and the focus from weight matters on, and a line
// in the list of requests from notable on.
const (
	notable = 2
	matters = 3
)

// Exchange is a request and all that became of it.
type Exchange struct {
	// ID is that of the Request observation; of the Handshake where no request
	// was sent because it failed.
	ID     uint64
	Stream string
	At     time.Time
	Client string
	Server string
	Target Target
	// Identity is the kind of identity that was shown (see trace.Request).
	Identity, Credential, Agent string
	Body                        string
	Weight                      int

	Handshake, Authn, Authz, Admit, Stored, Response *trace.Observation
	Frames                                           []trace.Observation
}

// Failed reports whether the exchange ended in the handshake.
func (x *Exchange) Failed() bool { return x.Handshake != nil && x.ID == x.Handshake.ID }

// Code is the answer's status code, 0 while there is none.
func (x *Exchange) Code() string {
	if x.Response == nil {
		return ""
	}
	return x.Response.Args["code"]
}

// Refused reports whether the answer was an error.
func (x *Exchange) Refused() bool { return x.Failed() || x.Code() >= "400" }

// Target is what a request line names.
type Target struct {
	Method, Group, Namespace, Resource, Name, Sub string
	Watch                                         bool
	// Path is the path where it is no resource's.
	Path string
}

// targetOf takes a request line ("POST /apis/…") apart.
func targetOf(subject string) Target {
	method, raw, _ := strings.Cut(subject, " ")
	t := Target{Method: method}
	u, err := url.Parse(raw)
	if err != nil {
		t.Path = raw
		return t
	}
	t.Path = u.Path
	w := u.Query().Get("watch")
	t.Watch = w == "true" || w == "1"
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		t.Group = parts[1]
		parts = parts[3:]
	default:
		return t
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		t.Namespace = parts[1]
		parts = parts[2:]
	}
	t.Resource = parts[0]
	if len(parts) > 1 {
		t.Name = parts[1]
	}
	if len(parts) > 2 {
		t.Sub = strings.Join(parts[2:], "/")
	}
	return t
}

// short are the names that fit on an arrow.
var short = map[string]string{
	"certificatesigningrequests": "csr", "clusterrolebindings": "binding", "nodes": "node", "leases": "lease",
	"subjectaccessreviews": "SAR", "selfsubjectaccessreviews": "self SAR", "selfsubjectreviews": "whoami", "secrets": "secret",
}

// Label is the request in few words: "POST csr", "PUT csr/approval".
func (t Target) Label() string {
	if t.Resource == "" {
		return t.Method + " " + t.Path
	}
	s := short[t.Resource]
	if s == "" {
		s = t.Resource
	}
	if t.Sub != "" {
		s += "/" + t.Sub
	}
	if t.Watch {
		return "WATCH " + s
	}
	return t.Method + " " + s
}

// weigh are the rows that say how much an exchange matters, first match first;
// an empty field matches all. What is not here weighs 1.
var weigh = []struct {
	methods, resource, identity string
	watch                       bool
	weight                      int
}{
	{"", "", "", true, 1},
	{"", "subjectaccessreviews", "", false, 2},
	{"", "events", "", false, 1},
	{"DELETE", "certificatesigningrequests", "controller-manager", false, 2},
	{"POST PUT PATCH DELETE", "certificatesigningrequests", "", false, 5},
	{"POST PUT PATCH DELETE", "clusterrolebindings", "", false, 4},
	{"POST", "nodes", "client-cert", false, 4},
	{"GET", "certificatesigningrequests", "admin", false, 2},
	{"GET", "nodes", "admin", false, 2},
	{"POST PUT PATCH DELETE", "", "admin", false, 3},
	{"GET", "", "token", false, 2},
}

// requestWeight is how much a Request observation matters.
func requestWeight(o *trace.Observation) int {
	t := targetOf(o.Subject)
	for _, r := range weigh {
		if (r.methods == "" || slices.Contains(strings.Fields(r.methods), t.Method)) &&
			(r.resource == "" || r.resource == t.Resource) &&
			(r.identity == "" || r.identity == o.Args["identity"]) &&
			(!r.watch || t.Watch) {
			return r.weight
		}
	}
	return 1
}

// Stages of the API server, in the order in which a request passes.
var Stages = []string{"tls", "authn", "authz", "admit", "etcd"}

// Verdicts tells for each of Stages what it said: "yes", "no" or "" (not
// reached). It looks no further than the observation until.
func (x *Exchange) Verdicts(until uint64) [5]string {
	var v [5]string
	if x == nil {
		return v
	}
	v[0] = "yes"
	if x.Failed() {
		v[0] = "no"
		return v
	}
	for i, o := range []*trace.Observation{x.Authn, x.Authz, x.Admit, x.Stored} {
		if o == nil || o.ID > until {
			continue
		}
		v[i+1] = "yes"
		if o.Args["verdict"] == "no" {
			v[i+1] = "no"
		}
	}
	return v
}

// refusal is the observation that refused, if one did, up to until.
func (x *Exchange) refusal(until uint64) *trace.Observation {
	if x == nil {
		return nil
	}
	if x.Failed() {
		return x.Handshake
	}
	for _, o := range []*trace.Observation{x.Authn, x.Authz, x.Admit, x.Stored} {
		if o != nil && o.ID <= until && o.Args["verdict"] == "no" {
			return o
		}
	}
	return nil
}
