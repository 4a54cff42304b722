package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"crypto"
	"crypto/x509"
	"encoding/json"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Server is one kube-apiserver. Its exported fields are its state; the rest is
// derived from them, from the era and from the store.
type Server struct {
	Release string   `json:"release"`
	Args    []string `json:"args"`
	// CA is the client CA bundle in use, CASeen the file's content last looked at.
	CA     []byte        `json:"ca,omitempty"`
	CASeen []byte        `json:"caSeen,omitempty"`
	Tokens []tokenRecord `json:"tokens,omitempty"`
	// Began is when the process began, by its host's clock.
	Began time.Time `json:"began,omitzero"`
	// Serving is the certificate that the server presents.
	Serving []byte `json:"serving,omitempty"`
	// TokenKeys (PEM) verify ServiceAccount tokens, TokenSigner (PEM) signs them.
	TokenKeys   []byte `json:"tokenKeys,omitempty"`
	TokenSigner []byte `json:"tokenSigner,omitempty"`
	// KubeletCA is the content of --kubelet-certificate-authority, as read at KubeletCARead.
	KubeletCA     []byte    `json:"kubeletCA,omitempty"`
	KubeletCARead time.Time `json:"kubeletCARead,omitzero"`
	// Outgoing are the server's own requests that clients wait for, by stream.
	Outgoing map[uint64]*outgoing `json:"outgoing,omitempty"`
	// RequestCA is the content of --requestheader-client-ca-file.
	RequestCA []byte `json:"requestCA,omitempty"`
	// Foreign is what is known of aggregated servers, by APIService.
	Foreign map[string]foreign `json:"foreign"`
	// Watches are the open ones, in the order in which they began. Told is the
	// version of the last change that they were told.
	Watches []*watch `json:"watches,omitempty"`
	Told    uint64   `json:"told"`
	// Counts are what /metrics tells.
	Counts counts `json:"counts,omitzero"`
	// Ways tell in which of the ways to impersonate each user did it last.
	Ways map[string]int `json:"ways,omitempty"`

	era                  era.Era
	catalog              *catalog
	opts                 *options
	store                *Store
	defaultPlugins       []string
	tokenForm, groupForm *regexp.Regexp
	systemNode           []rbacv1.PolicyRule
	rbac                 *era.RBACDefaults
	// refused is why the last bootstrap token was; it is no part of the state.
	refused refusal
	// lastToken and lastGroup are what was read last and is good; nor are they.
	lastToken, lastGroup string
	lastParts            []string

	caEntry   *sim.Entry
	pool      []*x509.Certificate
	poolOf    *byte
	verified  map[string]*verified
	believed  map[string]*signedToken
	tokenPool []crypto.PublicKey
	rules     *rules
	rulesSeen uint64
	index     *watchIndex
	framed    framed
	lineRoom  []byte
}

// New makes a server from the flags of its command line. The error is the
// flag package's ("unknown flag: --x") or names a value that can't be.
func New(e era.Era, args []string, store *Store) (*Server, error) {
	s := &Server{Release: e.String(), Args: slices.Clone(args), Foreign: map[string]foreign{}}
	if err := s.derive(); err != nil {
		return nil, err
	}
	s.Attach(store)
	return s, nil
}

func (s *Server) derive() error {
	var err error
	if s.era, err = era.At(s.Release); err != nil {
		return err
	}
	if s.opts, err = parse(s.era, s.Args); err != nil {
		return err
	}
	s.catalog = catalogOf(s.era)
	s.defaultPlugins = era.DefaultAdmission.In(s.era)
	s.tokenForm, s.groupForm = tokenForms(s.era)
	gates, _ := s.era.GateSet(s.opts.gates) // what is wrong with them is said at the start
	s.rbac = s.era.DefaultRBAC(gates, slices.Contains(s.opts.modes, "Node"))
	for _, r := range s.rbac.Roles {
		if r.Name == "system:node" {
			s.systemNode = policyRules(r.Rules)
		}
	}
	return nil
}

// UnmarshalJSON restores a server from its snapshot; Attach must follow.
func (s *Server) UnmarshalJSON(b []byte) error {
	type plain Server
	if err := json.Unmarshal(b, (*plain)(s)); err != nil {
		return err
	}
	return s.derive()
}

// Attach gives the server its store: the world keeps it, and hands over its
// own copy after a Clone or a restore.
func (s *Server) Attach(store *Store) {
	s.store, s.rules, s.rulesSeen = store, nil, 0
	store.of(s.catalog)
}

// Clone returns an independent copy that stands on the same store until Attach.
func (s *Server) Clone() sim.Actor {
	n := *s
	n.Watches = make([]*watch, len(s.Watches))
	for i, w := range s.Watches {
		c := *w
		n.Watches[i] = &c
	}
	n.Outgoing, n.Foreign = maps.Clone(s.Outgoing), maps.Clone(s.Foreign)
	n.Counts.Users, n.Ways = maps.Clone(s.Counts.Users), maps.Clone(s.Ways)
	n.index, n.verified, n.believed, n.lineRoom = nil, nil, nil, nil
	return &n
}

// Changed is the tag of a MsgWake that says that another server changed what
// the store holds.
const Changed = "etcd"

// Step handles a message.
func (s *Server) Step(c *sim.Ctx, m sim.Msg) {
	switch m.Kind {
	case sim.MsgStart:
		s.start(c)
	case sim.MsgRequest:
		if m.Req == nil {
			return
		}
		r := *m.Req
		r.Stream = m.Stream
		resp := s.ServeHTTP(c, &r)
		if resp.Code == later.Code {
			return
		}
		c.Reply(m.Stream, resp)
		if resp.Stream {
			s.begin(c, m.Stream)
		}
	case sim.MsgGone:
		if conn, ok := strings.CutPrefix(m.Tag, connTag); ok {
			if n, err := strconv.ParseUint(conn, 10, 64); err == nil {
				s.Unfold(c, n)
			}
			return
		}
		s.forget(m.Stream)
		s.leave(c, m.Stream)
	case sim.MsgResponse, sim.MsgFrame, sim.MsgEnd, sim.MsgFailed:
		s.cameBack(c, m)
	case sim.MsgStop:
		s.unpublishMaster(c)
		s.unfoldAll(c)
	case sim.MsgWake:
		if m.Tag == Changed {
			s.Poke(c)
			return
		}
		if path, ok := strings.CutPrefix(m.Tag, fileTag); ok {
			s.reread(c, path)
			return
		}
		if name, ok := strings.CutPrefix(m.Tag, lookTag); ok {
			s.lookAgain(c, name)
			return
		}
		s.expire(c, m.Tag)
	case sim.MsgFile:
		s.changedFile(c, m.Tag)
	case sim.MsgShake:
		s.Counts.Shakes++
		s.log(c, 'I', 5, "secure_serving.go:303", "http: TLS handshake error from "+m.Line+": "+m.Err)
	}
}

// log writes a line to the journal when --v asks for it.
func (s *Server) log(c *sim.Ctx, level byte, v int, source, msg string) {
	if v <= s.opts.v {
		c.Log(level, v, source, msg)
	}
}

func (s *Server) unhandled(c *sim.Ctx, source string, err error) {
	s.log(c, 'E', 0, source, sim.KV("Unhandled Error", "err", err, "logger", "UnhandledError"))
}

// exchange is one request on its way through the server.
type exchange struct {
	s        *Server
	c        *sim.Ctx
	r        *sim.Request
	query    url.Values
	info     requestInfo
	user     *user
	form     form
	warnings []string
	waits    bool // for an outgoing exchange
	connect  bool // to another server, as the log's verb says
	hijacked bool
	added    string // what the log says beside
}

// ServeHTTP answers one request, from its credentials to what is stored. The
// answer's Stream is set for a watch, whose first frames follow Reply; a Code of
// 0 says that it comes later, as an effect, when another server has answered.
func (s *Server) ServeHTTP(c *sim.Ctx, r *sim.Request) sim.Response {
	u, err := url.ParseRequestURI(r.URL)
	if err != nil || !strings.HasPrefix(u.Path, "/") {
		return answer(400, "text/plain; charset=utf-8", []byte("400 Bad Request"))
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	x := &exchange{s: s, c: c, r: r, query: u.Query()}
	x.info = readPath(r.Method, u, x.query)
	if len(x.query) > 0 {
		for _, p := range s.catalog.unknown {
			x.query.Del(p)
		}
	}
	resp := x.serve()
	if x.waits {
		return later
	}
	if !era.CacheControl.In(s.era) {
		resp.Header.Del("Cache-Control")
	}
	s.httpLog(c, x, &resp)
	return resp
}

func (x *exchange) serve() sim.Response {
	if err := x.badTimeout(); err != nil {
		return failed(err)
	}
	if x.user = x.s.authenticate(x.c, x.r); x.user == nil {
		return x.s.unauthorized()
	}
	if resp, done := x.impersonate(); done {
		return resp
	}
	a := x.attributes()
	if ok, reason := x.s.allowed(x.c, a); !ok {
		return x.s.forbidden(a, reason)
	}
	if a := x.s.elsewhere(x.info.path); a != nil {
		return x.forward(a)
	}
	if !x.info.isResource {
		return x.page()
	}
	resp := x.resource()
	if w := x.deprecation(); w != "" && resp.Header != nil {
		resp.Header.Add("Warning", warning(w))
	}
	return resp
}

// deprecation is what is said of a request for a version that will go.
func (x *exchange) deprecation() string {
	i := &x.info
	if i.version == "v1" {
		return ""
	}
	gv, kind := i.group+"/"+i.version, ""
	if r := x.s.catalog.lookup(i); r != nil {
		kind = r.Kind
	} else if v := x.s.catalog.review(i); v != nil {
		kind = v.Kind
	} else {
		return ""
	}
	return era.Deprecation(x.s.era, gv, i.resource, kind)
}

// attributes is what the request asks of authorization.
func (x *exchange) attributes() *attributes {
	i := &x.info
	if !i.isResource {
		return &attributes{user: x.user, verb: i.verb, path: i.path}
	}
	return &attributes{user: x.user, verb: i.verb, namespace: i.nspc, group: i.group, resource: i.resource, sub: i.sub, name: i.name, fields: x.query.Get("fieldSelector")}
}

// resource answers a request for something in the registry or for a review.
func (x *exchange) resource() sim.Response {
	i := &x.info
	if review := x.s.catalog.review(i); review != nil {
		if i.verb != "create" || i.name != "" {
			return notAllowed()
		}
		x.form, _ = x.s.negotiate(x.r.Header.Get("Accept"))
		return x.review(review)
	}
	r := x.s.catalog.lookup(i)
	if r == nil || len(i.parts) > 3 && i.sub != "proxy" || i.sub != "" && r.sub(i.sub) == nil || r.Namespaced && i.nspc == "" && i.verb != "list" && i.verb != "watch" {
		return notServed()
	}
	if !r.Namespaced && i.nspc != "" && r.Plural != "namespaces" {
		return notServed()
	}
	named := len(i.parts) > 1
	verbs := r.Verbs
	if i.sub != "" {
		verbs = r.sub(i.sub).Verbs
	}
	collection := i.verb == "list" || i.verb == "watch" || i.verb == "deletecollection" || i.verb == "create"
	if sub := r.sub(i.sub); sub != nil && sub.answer != nil {
		if !named || !slices.Contains(verbs, i.verb) {
			return notAllowed()
		}
		var ok bool
		if i.sub == "token" && len(x.s.TokenSigner) == 0 {
			return notServed() // only with an issuer and its key
		}
		if x.form, ok = x.s.negotiate(x.r.Header.Get("Accept")); !ok {
			x.form = form{}
		}
		return sub.answer(x, r)
	}
	if !slices.Contains(verbs, i.verb) || i.verb == "" || named && collection && i.verb != "watch" || !named && !collection {
		return notAllowed()
	}
	var ok bool
	if x.form, ok = x.s.negotiate(x.r.Header.Get("Accept")); !ok || x.form.as == "APIGroupDiscoveryList" {
		return plainStatus(406, metav1.StatusReasonNotAcceptable, notAcceptable, &metav1.StatusDetails{})
	}
	if err := x.tableOptions(); err != nil {
		return failed(err)
	}
	switch i.verb {
	case "get":
		return x.get(r)
	case "list":
		return x.list(r)
	case "watch":
		return x.watch(r)
	case "create":
		return x.create(r)
	case "update":
		return x.update(r, nil)
	case "patch":
		p, err := x.readPatch()
		if err != nil {
			return failed(err)
		}
		return x.update(r, p)
	case "delete":
		return x.delete(r)
	case "deletecollection":
		return x.deleteAll(r)
	}
	return failed(apierrors.NewInternalError(fmt.Errorf("verb %q", i.verb)))
}
