package kubelet

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// visit is a request to the port on its way through authentication and
// authorization.
type visit struct {
	Req  *sim.Request     `json:"req"`
	User authnv1.UserInfo `json:"user"`
	// Refused is what was wrong with its certificate.
	Refused string `json:"refused,omitempty"`
	// Try is which of the subresources is asked about.
	Try int `json:"try,omitempty"`
}

// verdict is an answer of the API server that is remembered.
type verdict struct {
	Until time.Time         `json:"until"`
	Yes   bool              `json:"yes,omitempty"`
	User  *authnv1.UserInfo `json:"user,omitempty"`
}

// serve answers a request to one of the ports. What no handler is there for is
// answered before anybody asks who comes. Models pkg/kubelet/server.
func (k *Kubelet) serve(c *sim.Ctx, r *sim.Request) {
	name, _, _ := strings.Cut(r.URL, "?")
	own := r.Local == k.Port.Healthz
	debug := k.Port.Debug && r.Local != k.Port.Plain
	way := wayOf(name, debug)
	switch {
	case own && name != "/healthz" && name != "/healthz/ping":
		k.reply(c, r, 404, plainText, "404 page not found\n")
	case way == wayNone:
		k.reply(c, r, 404, plainText, "404 page not found\n")
	case way == waySlash:
		k.redirect(c, r, 307, name+"/", "<a href=\""+name+"/\">Temporary Redirect</a>.\n\n")
	case own, r.Local == k.Port.Plain:
		k.handle(c, r)
	default:
		k.authenticate(c, &visit{Req: r})
	}
}

const plainText = "text/plain; charset=utf-8"

// reply answers with a text. Without a kind it is one that go-restful wrote, and
// net/http found out what it is.
func (k *Kubelet) reply(c *sim.Ctx, r *sim.Request, code int, kind, body string) {
	h := http.Header{"Content-Type": {orText(kind, plainText)}}
	if code != 200 && kind == plainText || body == "ok" {
		h.Set("X-Content-Type-Options", "nosniff")
	}
	k.answer(c, r, code, h, body)
}

// answer is reply with headers of its own.
func (k *Kubelet) answer(c *sim.Ctx, r *sim.Request, code int, h http.Header, body string) {
	c.Reply(r.Stream, sim.Response{Code: code, Header: h, Body: []byte(body)})
	k.httpLog(c, r, code, body)
}

// httpLog writes the line of a request. Virtual time stands still while it is
// handled, so what that took is a guess from its size. Models
// k8s.io/apiserver/pkg/server/httplog.
func (k *Kubelet) httpLog(c *sim.Ctx, r *sim.Request, code int, body string) {
	form, ok := k.era().KubeletLine(string(lineHTTP))
	if !ok || k.Flags.V < form.V {
		return
	}
	kv := []any{"verb", r.Method, "URI", r.URL, "latency", fmt.Sprintf("%dµs", 200+len(body)/8), "userAgent", r.Header.Get("User-Agent"), "audit-ID", "", "srcIP", r.Remote}
	if code == http.StatusSwitchingProtocols {
		kv = append(kv, "hijacked", true)
	} else {
		kv = append(kv, "resp", code)
	}
	l := sim.KV(form.Words, kv...)
	if !form.Structured {
		if code == http.StatusSwitchingProtocols {
			kv = append(kv, "resp", "hijacked")
		}
		if l = sentence(form.Words, kv); !slices.Contains(plainCodes, code) {
			l = strings.Replace(l, " [", fmt.Sprintf("\nlogging error output: %q\n [", body), 1)
		}
	} else if !slices.Contains(plainCodes, code) {
		l += fmt.Sprintf(" statusStack=<\n\tlogging error output: %q\n >", body)
	}
	c.Log(form.Level, form.V, form.Source, l)
}

// plainCodes are those that are logged without what was said. Models
// pkg/kubelet/server statusesNoTracePred.
var plainCodes = []int{101, 200, 301, 302, 307, 400, 404}

// authenticate finds out who asks: by certificate, else by token; who shows
// neither may be nobody. Models
// k8s.io/apiserver/pkg/authentication/authenticatorfactory DelegatingAuthenticatorConfig.
func (k *Kubelet) authenticate(c *sim.Ctx, v *visit) {
	if len(v.Req.Peer) > 0 && k.Port.ClientCA != "" {
		x, err := k.verify(v.Req.Peer, c.Clock())
		if err == nil && x.Subject.CommonName != "" {
			k.identified(c, v, &authnv1.UserInfo{Username: x.Subject.CommonName, Groups: x.Subject.Organization}, "")
			return
		}
		if err != nil {
			v.Refused = err.Error()
		}
	}
	token := bearer(v.Req)
	switch {
	case token != "" && k.Port.Tokens:
		if known := k.known(c, "token "+token); known != nil {
			k.identified(c, v, known.User, "invalid bearer token")
			return
		}
		k.ponder(c, v, "port.token", era.Path(k.era(), "authentication.k8s.io", "tokenreviews"), &authnv1.TokenReview{
			TypeMeta: metav1.TypeMeta{Kind: "TokenReview", APIVersion: era.Preferred(k.era(), "authentication.k8s.io", "tokenreviews")}, Spec: authnv1.TokenReviewSpec{Token: token}})
	case v.Refused == "" && k.Port.Anonymous:
		v.User = authnv1.UserInfo{Username: "system:anonymous", Groups: []string{"system:unauthenticated"}}
		k.authorize(c, v)
	default:
		k.unauthorized(c, v, "")
	}
}

// bearer is the token of a request. Models
// k8s.io/apiserver/pkg/authentication/request/bearertoken.
func bearer(r *sim.Request) string {
	parts := strings.SplitN(strings.TrimSpace(r.Header.Get("Authorization")), " ", 3)
	if len(parts) < 2 || !strings.EqualFold(parts[0], "bearer") {
		return ""
	}
	return parts[1]
}

// verify checks a client's certificate against the file of client CAs.
func (k *Kubelet) verify(peer [][]byte, now time.Time) (*x509.Certificate, error) {
	var chain []*x509.Certificate
	for _, der := range peer {
		x, err := pki.ParseDER(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, x)
	}
	k.Port.Lives.ObserveClient(chain[0].NotAfter.Sub(now).Seconds())
	roots, _ := pki.ParseCerts(k.Port.CAs)
	if err := pki.VerifyClient(chain, roots, now); err != nil {
		return nil, err
	}
	return chain[0], nil
}

// ponder asks the API server about a request, which waits for the answer.
func (k *Kubelet) ponder(c *sim.Ctx, v *visit, owner, uri string, review any) {
	k.Port.Waiting[v.Req.Stream] = *v
	k.send(c, fmt.Sprintf("%s %d", owner, v.Req.Stream), connAPI, "POST", uri, review)
}

// waiting is the request that an answer is about, if it still waits.
func (k *Kubelet) waiting(a answer) *visit {
	var id uint64
	fmt.Sscan(a.arg, &id)
	v, ok := k.Port.Waiting[id]
	if !ok {
		return nil
	}
	delete(k.Port.Waiting, id)
	return &v
}

func (k *Kubelet) known(c *sim.Ctx, question string) *verdict {
	w, ok := k.Port.Known[question]
	if !ok || c.Now.After(w.Until) {
		return nil
	}
	return &w
}

// remember keeps an answer for a while, and forgets those that are too old.
func (k *Kubelet) rememberAnswer(c *sim.Ctx, question string, w verdict, d time.Duration) {
	for q, old := range k.Port.Known {
		if c.Now.After(old.Until) {
			delete(k.Port.Known, q)
		}
	}
	if w.Until = c.Now.Add(d); d > 0 {
		k.Port.Known[question] = w
	}
}

func (k *Kubelet) tokenReviewed(c *sim.Ctx, a answer) {
	v := k.waiting(a)
	if v == nil {
		return
	}
	var review authnv1.TokenReview
	if !a.ok() || json.Unmarshal(a.data, &review) != nil {
		k.unauthorized(c, v, a.err())
		return
	}
	var user *authnv1.UserInfo
	if review.Status.Authenticated {
		user = &review.Status.User
	}
	if review.Status.Error == "" {
		// What went wrong is not remembered.
		k.rememberAnswer(c, "token "+bearer(v.Req), verdict{User: user}, k.Port.TokenTTL)
	}
	k.identified(c, v, user, orText(review.Status.Error, "invalid bearer token"))
}

// identified goes on with who it is, or says why it is nobody.
func (k *Kubelet) identified(c *sim.Ctx, v *visit, user *authnv1.UserInfo, err string) {
	if user == nil {
		k.unauthorized(c, v, err)
		return
	}
	v.User = *user
	if !slices.Contains(v.User.Groups, "system:authenticated") {
		v.User.Groups = append(slices.Clone(v.User.Groups), "system:authenticated")
	}
	k.authorize(c, v)
}

// unauthorized refuses a request of whom nothing is known. Its log tells what was
// wrong with the certificate, with the token, or with both; nothing where nothing
// was shown.
func (k *Kubelet) unauthorized(c *sim.Ctx, v *visit, why string) {
	switch {
	case v.Refused != "" && why != "":
		why = "[" + v.Refused + ", " + why + "]"
	case v.Refused != "":
		why = v.Refused
	}
	args := map[string]string{"verdict": "no", "reason": "no credentials"}
	if why != "" {
		k.log(c, lineUnknownClient, "err", why)
		args["reason"] = why
		args["log"], args["v"] = k.shown(lineUnknownClient, "err", why)
	}
	k.noteAbout(c, v, trace.Authn, "", args)
	k.reply(c, v.Req, 401, "", "Unauthorized")
}

// noteAbout notes a refusal as what the request led to, though an answer of the
// API server may have come between.
func (k *Kubelet) noteAbout(c *sim.Ctx, v *visit, kind trace.Kind, subject string, args map[string]string) {
	cause := c.Cause
	c.Cause = v.Req.Cause
	c.Note(kind, subject, args, "")
	c.Cause = cause
}

// verbsOf are the verbs of authorization by method; another method has none, so
// that only who may do everything may use it.
var verbsOf = map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

// subresourcesOf are what must be allowed on the node, one of them: the narrow
// one first, and proxy for all that has none. Models pkg/kubelet/server
// GetRequestAttributes with KubeletFineGrainedAuthz.
var subresourcesOf = []struct{ path, sub string }{
	{"/stats", "stats"}, {"/metrics", "metrics"}, {"/logs", "log"}, {"/checkpoint", "checkpoint"}, {"/statusz", "statusz"}, {"/flagz", "configz"},
	{"/configz", "configz,proxy"}, {"/healthz", "healthz,proxy"}, {"/pods", "pods,proxy"}, {"/runningpods", "pods,proxy"},
}

func (k *Kubelet) subresources(uri string) []string {
	path, _, _ := strings.Cut(uri, "?")
	fine := k.era().GateOn("KubeletFineGrainedAuthz", k.Running.FeatureGates)
	for _, x := range subresourcesOf {
		if path != x.path && !strings.HasPrefix(path, x.path+"/") {
			continue
		}
		if fine || among("stats metrics log checkpoint", x.sub) {
			return strings.Split(x.sub, ",")
		}
	}
	return []string{"proxy"}
}

// authorize asks the API server whether that is allowed.
func (k *Kubelet) authorize(c *sim.Ctx, v *visit) {
	subs := k.subresources(v.Req.URL)
	for ; v.Try < len(subs) && !k.Port.Allow; v.Try++ {
		review := k.access(v, subs[v.Try])
		known := k.known(c, question(review))
		if known == nil {
			k.ponder(c, v, "port.access", era.Path(k.era(), "authorization.k8s.io", "subjectaccessreviews"), review)
			return
		}
		if known.Yes {
			break
		}
	}
	if v.Try == len(subs) {
		verb := verbsOf[v.Req.Method]
		words := []any{"user", v.User.Username, "verb", verb, "resource", "nodes", "subresource", subs[0]}
		body := fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource=%s)", v.User.Username, verb, subs[0])
		if era.KubeletForbidsMany.In(k.era()) {
			words = append(words[:6], "subresource(s)", quoted(subs))
			body = fmt.Sprintf("Forbidden (user=%s, verb=%s, resource=nodes, subresource(s)=%v)\n", v.User.Username, verb, subs)
		}
		k.log(c, lineForbidden, words...)
		text, level := k.shown(lineForbidden, words...)
		k.noteAbout(c, v, trace.Authz, verb+" nodes", map[string]string{"verdict": "no", "user": v.User.Username, "groups": strings.Join(v.User.Groups, ","), "verb": verb,
			"resource": "nodes/" + subs[len(subs)-1], "name": k.Node, "log": text, "v": level})
		k.reply(c, v.Req, 403, "", body)
		return
	}
	k.handle(c, v.Req)
}

func (k *Kubelet) access(v *visit, sub string) *authzv1.SubjectAccessReview {
	return &authzv1.SubjectAccessReview{
		TypeMeta: metav1.TypeMeta{Kind: "SubjectAccessReview", APIVersion: era.Preferred(k.era(), "authorization.k8s.io", "subjectaccessreviews")},
		Spec: authzv1.SubjectAccessReviewSpec{User: v.User.Username, UID: v.User.UID, Groups: v.User.Groups,
			ResourceAttributes: &authzv1.ResourceAttributes{Verb: verbsOf[v.Req.Method], Version: "v1", Resource: "nodes", Subresource: sub, Name: k.Node}},
	}
}

func question(r *authzv1.SubjectAccessReview) string {
	return fmt.Sprintf("access %s %q %s %s", r.Spec.User, r.Spec.Groups, r.Spec.ResourceAttributes.Verb, r.Spec.ResourceAttributes.Subresource)
}

func (k *Kubelet) accessReviewed(c *sim.Ctx, a answer) {
	v := k.waiting(a)
	if v == nil {
		return
	}
	var review authzv1.SubjectAccessReview
	if !a.ok() || json.Unmarshal(a.data, &review) != nil {
		subs := k.subresources(v.Req.URL)
		words := []any{"err", a.err(), "user", v.User.Username, "verb", verbsOf[v.Req.Method], "resource", "nodes", "subresource", subs[v.Try]}
		k.log(c, lineNoAccess, words...)
		text, level := k.shown(lineNoAccess, words...)
		k.noteAbout(c, v, trace.Authz, "", map[string]string{"verdict": "no", "user": v.User.Username, "reason": a.err(), "log": text, "v": level})
		k.reply(c, v.Req, 500, "", fmt.Sprintf("Authorization error (user=%s, verb=%s, resource=nodes, subresource=%s)", v.User.Username, verbsOf[v.Req.Method], subs[v.Try]))
		return
	}
	ttl := k.Port.DeniedTTL
	if review.Status.Allowed {
		ttl = k.Port.AllowedTTL
	}
	k.rememberAnswer(c, question(k.access(v, k.subresources(v.Req.URL)[v.Try])), verdict{Yes: review.Status.Allowed}, ttl)
	k.authorize(c, v)
}
