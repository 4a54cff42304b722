package client

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// front is what metrics-server knows of the API server in front of it, from the
// ConfigMap kube-system/extension-apiserver-authentication as read at its start:
// whose word it takes for who asks.
type front struct {
	CA    string   `json:"ca,omitempty"`
	Names []string `json:"names,omitempty"`
	// ClientCA is for those who come by themselves.
	ClientCA string `json:"clientCA,omitempty"`
}

// visit is a request on its way through authentication and authorization.
type visit struct {
	Req  *sim.Request     `json:"req"`
	User authnv1.UserInfo `json:"user"`
}

const (
	metricsAPI = "/apis/metrics.k8s.io/v1beta1"
	frontMap   = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
)

// prepare asks for the ConfigMap, without which an aggregated API server does not
// begin. Models k8s.io/apiserver/pkg/server/options DelegatingAuthenticationOptions.
func (k *Client) prepare(c *sim.Ctx) {
	k.send(c, "front", "GET", frontMap, nil, 0)
}

func (k *Client) fronted(c *sim.Ctx, a answer) {
	if !a.ok() {
		why := "unable to load configmap based request-header-client-ca-file: " + a.err()
		commandFailed(k, c, why)
		k.note(c, PhaseExited, why)
		c.Exit(1)
		return
	}
	var m corev1.ConfigMap
	json.Unmarshal(a.data, &m)
	k.Front = &front{CA: m.Data["requestheader-client-ca-file"], ClientCA: m.Data["client-ca-file"]}
	json.Unmarshal([]byte(m.Data["requestheader-allowed-names"]), &k.Front.Names)
	k.listen(c)
	k.run(c)
}

// listen opens the port, with a pair from files or one that the server makes for
// itself and nobody trusts. Models k8s.io/apiserver/pkg/server/options
// MaybeDefaultWithSelfSignedCerts.
func (k *Client) listen(c *sim.Ctx) {
	f := &k.Flags
	var cert, key []byte
	if f.TLSCert != "" {
		var err1, err2 error
		cert, err1 = c.Disk.ReadFile(f.TLSCert)
		key, err2 = c.Disk.ReadFile(f.TLSKey)
		if err1 != nil || err2 != nil {
			why := fmt.Sprintf("open %s: no such file or directory", f.TLSCert)
			if err1 == nil {
				why = fmt.Sprintf("open %s: no such file or directory", f.TLSKey)
			}
			commandFailed(k, c, why)
			c.Exit(1)
			return
		}
	} else {
		cert, key = selfSigned(c)
		k.log(c, 'I', 0, "serving.go:380", "Generated self-signed cert (/tmp/apiserver.crt, /tmp/apiserver.key)")
	}
	k.log(c, 'I', 0, "handler.go:288", "Adding GroupVersion metrics.k8s.io v1beta1 to ResourceManager")
	c.Listen(sim.Listen{Addr: fmt.Sprintf(":%d", f.Port), Cert: cert, Key: key})
	k.log(c, 'I', 0, "secure_serving.go:211", fmt.Sprintf("Serving securely on [::]:%d", f.Port))
}

// selfSigned makes a pair for "localhost".
func selfSigned(c *sim.Ctx) (cert, key []byte) {
	stream := c.Actor() + "/self-signed"
	var serials [2][8]byte
	for i := range serials {
		c.Chance.Fill(stream, serials[i][:])
		serials[i][0] &= 0x7f
	}
	kr := pki.Keyring{Seed: c.Chance.Seed}
	n := int(serials[0][7]) // any will do
	ca, own := kr.Toy(2048, n), kr.Toy(2048, n+1)
	cert, err := pki.SelfSignedPair("localhost", ca, own, serials[0][:], serials[1][:], c.Clock(), time.Hour, 1)
	if err != nil {
		panic("client: " + err.Error())
	}
	return cert, pki.KeyPEM(own)
}

// serve handles a request to the port: it finds out who asks.
func (k *Client) serve(c *sim.Ctx, r *sim.Request) {
	switch path, _, _ := strings.Cut(r.URL, "?"); path {
	case "/healthz", "/livez":
		reply(c, r, 200, []byte("ok"))
		return
	case "/readyz":
		if len(k.Scraper.points()) > 0 {
			reply(c, r, 200, []byte("ok"))
			return
		}
		k.probeFailed(c)
		reply(c, r, 500, []byte("[+]ping ok\n[-]metric-storage-ready failed: reason withheld\nreadyz check failed\n"))
		return
	}
	if r.Header.Get(probeHeader) != "" {
		k.probed(c, r)
		return
	}
	v := visit{Req: r, User: authnv1.UserInfo{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}}}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch {
	case k.vouched(c, r.Peer, k.Front.CA, k.Front.Names) != nil && r.Header.Get("X-Remote-User") != "":
		v.User = authnv1.UserInfo{Username: r.Header.Get("X-Remote-User"), Groups: append(slices.Clone(r.Header.Values("X-Remote-Group")), "system:authenticated")}
	case k.vouched(c, r.Peer, k.Front.ClientCA, nil) != nil:
		x := k.vouched(c, r.Peer, k.Front.ClientCA, nil)
		v.User = authnv1.UserInfo{Username: x.Subject.CommonName, Groups: append(slices.Clone(x.Subject.Organization), "system:authenticated")}
	case bearer:
		k.Visits[r.Stream] = v
		k.send(c, fmt.Sprintf("review.token %d", r.Stream), "POST", "/apis/authentication.k8s.io/v1/tokenreviews",
			&authnv1.TokenReview{TypeMeta: metav1.TypeMeta{Kind: "TokenReview", APIVersion: "authentication.k8s.io/v1"}, Spec: authnv1.TokenReviewSpec{Token: token}}, 0)
		return
	}
	if len(r.Peer) > 0 && v.User.Username == "system:anonymous" {
		// Who shows a certificate that nobody vouches for is not nobody, but refused.
		k.log(c, 'E', 0, "authentication.go:75", sim.KV("Unable to authenticate the request", "err", k.unknown(c, r.Peer)))
		replyStatus(c, r, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
		return
	}
	k.authorize(c, v)
}

// unknown says why the CA of clients does not vouch for a peer. Models
// k8s.io/apiserver/pkg/authentication/authenticatorfactory, where an error of one
// authenticator is one of all unless another one succeeds.
func (k *Client) unknown(c *sim.Ctx, peer [][]byte) error {
	var chain []*x509.Certificate
	for _, der := range peer {
		x, err := pki.ParseDER(der)
		if err != nil {
			return err
		}
		chain = append(chain, x)
	}
	roots, _ := pki.ParseCerts([]byte(k.Front.ClientCA))
	return pki.VerifyClient(chain, roots, c.Clock())
}

// vouched is the certificate of a peer whom a CA vouches for, under one of these
// names, if there are any.
func (k *Client) vouched(c *sim.Ctx, peer [][]byte, ca string, names []string) *x509.Certificate {
	if len(peer) == 0 || ca == "" {
		return nil
	}
	var chain []*x509.Certificate
	for _, der := range peer {
		x, err := pki.ParseDER(der)
		if err != nil {
			return nil
		}
		chain = append(chain, x)
	}
	roots, err := pki.ParseCerts([]byte(ca))
	if err != nil || pki.Verify(chain, roots, x509.ExtKeyUsageClientAuth, c.Clock()) != nil || len(names) > 0 && !slices.Contains(names, chain[0].Subject.CommonName) {
		return nil
	}
	return chain[0]
}

// authorize asks the API server whether that is allowed.
func (k *Client) authorize(c *sim.Ctx, v visit) {
	k.Visits[v.Req.Stream] = v
	spec := authzv1.SubjectAccessReviewSpec{User: v.User.Username, Groups: v.User.Groups, UID: v.User.UID}
	if a, ok := metricsOf(v.Req.URL); ok && a.resource != "" {
		verb := "list"
		if a.name != "" {
			verb = "get"
		}
		spec.ResourceAttributes = &authzv1.ResourceAttributes{Verb: verb, Group: "metrics.k8s.io", Version: "v1beta1", Resource: a.resource, Namespace: a.namespace, Name: a.name}
	} else {
		path, _, _ := strings.Cut(v.Req.URL, "?")
		spec.NonResourceAttributes = &authzv1.NonResourceAttributes{Verb: strings.ToLower(v.Req.Method), Path: path}
	}
	k.send(c, fmt.Sprintf("review.access %d", v.Req.Stream), "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
		&authzv1.SubjectAccessReview{TypeMeta: metav1.TypeMeta{Kind: "SubjectAccessReview", APIVersion: "authorization.k8s.io/v1"}, Spec: spec}, 0)
}

// visitOf is the visit that an answer is about.
func (k *Client) visitOf(a answer) (visit, bool) {
	var id uint64
	fmt.Sscan(a.arg, &id)
	v, ok := k.Visits[id]
	delete(k.Visits, id)
	return v, ok
}

func (k *Client) tokenReviewed(c *sim.Ctx, a answer) {
	v, ok := k.visitOf(a)
	var review authnv1.TokenReview
	switch {
	case !ok:
	case !a.ok() || json.Unmarshal(a.data, &review) != nil || !review.Status.Authenticated:
		replyStatus(c, v.Req, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
	default:
		v.User = review.Status.User
		k.authorize(c, v)
	}
}

func (k *Client) accessReviewed(c *sim.Ctx, a answer) {
	v, ok := k.visitOf(a)
	if !ok {
		return
	}
	var review authzv1.SubjectAccessReview
	if !a.ok() || json.Unmarshal(a.data, &review) != nil {
		replyStatus(c, v.Req, http.StatusInternalServerError, metav1.StatusReasonInternalError, "Internal Server Error: "+a.err())
		return
	}
	m, known := metricsOf(v.Req.URL)
	switch {
	case !review.Status.Allowed && m.resource == "":
		path, _, _ := strings.Cut(v.Req.URL, "?")
		replyStatus(c, v.Req, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("forbidden: User %q cannot %s path %q", v.User.Username, strings.ToLower(v.Req.Method), path))
	case !review.Status.Allowed:
		replyStatus(c, v.Req, http.StatusForbidden, metav1.StatusReasonForbidden, m.forbidden(v.User.Username))
	case !known:
		reply(c, v.Req, http.StatusNotFound, []byte("404 page not found\n"))
	case m.resource == "":
		reply(c, v.Req, 200, []byte(metricsResources))
	default:
		k.Visits[v.Req.Stream] = v
		k.Scraper.Waiting = append(k.Scraper.Waiting, v.Req.Stream)
		k.askRested(c)
		k.answerWaiting(c)
	}
}

// asked is what a path of the metrics API asks for.
type asked struct{ resource, namespace, name string }

func (a asked) forbidden(user string) string {
	verb, where := "list", " at the cluster scope"
	if a.name != "" {
		verb = "get"
	}
	if a.namespace != "" {
		where = fmt.Sprintf(" in the namespace %q", a.namespace)
	}
	name := ""
	if a.name != "" {
		name = fmt.Sprintf(" %q", a.name)
	}
	return fmt.Sprintf("%s.metrics.k8s.io%s is forbidden: User %q cannot %s resource %q in API group %q%s", a.resource, name, user, verb, a.resource, "metrics.k8s.io", where)
}

// metricsOf reads a path of the metrics API.
func metricsOf(uri string) (a asked, ok bool) {
	u, err := url.Parse(uri)
	if err != nil {
		return a, false
	}
	rest, ok := strings.CutPrefix(u.Path, metricsAPI)
	if !ok {
		return a, false
	}
	parts := strings.FieldsFunc(rest, func(r rune) bool { return r == '/' })
	if len(parts) > 2 && parts[0] == "namespaces" {
		a.namespace, parts = parts[1], parts[2:]
	}
	switch {
	case len(parts) == 0:
		return a, true
	case parts[0] != "nodes" && parts[0] != "pods" || len(parts) > 2:
		return a, false
	}
	a.resource = parts[0]
	if len(parts) > 1 {
		a.name = parts[1]
	}
	return a, true
}

const metricsResources = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/v1beta1","resources":[` +
	`{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]},` +
	`{"name":"pods","singularName":"","namespaced":true,"kind":"PodMetrics","verbs":["get","list"]}]}`

// usage is an item of the metrics API.
type usage struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Timestamp       metav1.Time       `json:"timestamp"`
	Window          metav1.Duration   `json:"window"`
	Usage           map[string]string `json:"usage"`
}

// points are the nodes with two points, which is what a usage needs.
func (s *scraper) points() (names []string) {
	for _, name := range slices.Sorted(maps.Keys(s.Nodes)) {
		if t := s.Nodes[name]; t.Last != nil && t.Prev != nil {
			names = append(names, name)
		}
	}
	return names
}

func (k *Client) usageOf(c *sim.Ctx, name string) usage {
	t := k.Scraper.Nodes[name]
	window := t.Last.At.Sub(t.Prev.At)
	// Nanocores: nanoseconds of a core each second.
	cores := int64(t.Last.CPU-t.Prev.CPU) * 1000 / max(window.Milliseconds(), 1)
	return usage{TypeMeta: metav1.TypeMeta{Kind: "NodeMetrics", APIVersion: "metrics.k8s.io/v1beta1"},
		Metadata:  metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(c.Clock().Truncate(time.Second))},
		Timestamp: metav1.NewTime(t.Last.At.Truncate(time.Second)), Window: metav1.Duration{Duration: window},
		Usage: map[string]string{"cpu": fmt.Sprintf("%dn", cores), "memory": fmt.Sprintf("%dKi", t.Last.Memory/1024)}}
}

// answerWaiting answers those who asked for metrics, once the round is over.
func (k *Client) answerWaiting(c *sim.Ctx) {
	s := k.Scraper
	if s.Pending > 0 {
		return
	}
	k.weigh(c)
	waiting := s.Waiting
	s.Waiting = nil
	names := s.points()
	for _, id := range waiting {
		v, ok := k.Visits[id]
		delete(k.Visits, id)
		if !ok {
			continue
		}
		m, _ := metricsOf(v.Req.URL)
		switch {
		case m.name != "" && (m.resource != "nodes" || !slices.Contains(names, m.name)):
			replyStatus(c, v.Req, http.StatusNotFound, metav1.StatusReasonNotFound, fmt.Sprintf("%s.metrics.k8s.io %q not found", m.resource, m.name))
		case m.name != "":
			b, _ := json.Marshal(k.usageOf(c, m.name))
			reply(c, v.Req, 200, b)
		default:
			list := struct {
				metav1.TypeMeta `json:",inline"`
				Metadata        metav1.ListMeta `json:"metadata"`
				Items           []usage         `json:"items"`
			}{TypeMeta: metav1.TypeMeta{Kind: "NodeMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}, Items: []usage{}}
			if m.resource == "pods" {
				list.Kind = "PodMetricsList"
			} else {
				for _, name := range names {
					list.Items = append(list.Items, k.usageOf(c, name))
				}
			}
			b, _ := json.Marshal(list)
			reply(c, v.Req, 200, b)
		}
	}
}

// probeFailed is what a kubelet's look at the readiness leaves in the log.
func (k *Client) probeFailed(c *sim.Ctx) {
	k.log(c, 'I', 0, "server.go:192", sim.KV("Failed probe", "probe", "metric-storage-ready", "err", "no metrics to serve"))
}

func reply(c *sim.Ctx, r *sim.Request, code int, body []byte) {
	kind := "application/json"
	if len(body) == 0 || body[0] != '{' {
		kind = "text/plain; charset=utf-8"
	}
	c.Reply(r.Stream, sim.Response{Code: code, Header: http.Header{"Content-Type": {kind}}, Body: body})
}

func replyStatus(c *sim.Ctx, r *sim.Request, code int32, reason metav1.StatusReason, message string) {
	b, _ := json.Marshal(metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: message, Reason: reason, Code: code})
	reply(c, r, int(code), b)
}
