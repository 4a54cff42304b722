package api

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/joinery-lab/joinery/engine/sim"
)

// outgoing is a request of the server's own, to a kubelet or to an aggregated
// API server, whose answer is that of the client's request Req. Until it comes
// the client waits.
type outgoing struct {
	// Kind names a row of passers: how the answer is passed on.
	Kind string `json:"kind"`
	// Name is the pod's or node's, URL the one that errors show.
	Name string       `json:"name,omitempty"`
	URL  string       `json:"url"`
	Req  *sim.Request `json:"req"`
	User *user        `json:"user"`
	// Flowing: the head of the answer went out, frames follow.
	Flowing bool `json:"flowing,omitempty"`
}

// passer passes on what came back: an answer, or the transport's error.
type passer struct {
	answered func(o *outgoing, r sim.Response) sim.Response
	failed   func(s *Server, c *sim.Ctx, o *outgoing, words string) sim.Response
}

var passers = map[string]passer{
	"log":     {logAnswer, logFailed},
	"proxy":   {proxied, proxyFailed},
	"service": {proxied, serviceFailed},
	"upgrade": {upgraded, upgradeFailed},

	"aggregated": {forwarded, forwardFailed},
}

// later is what ServeHTTP returns for a request whose answer comes as an
// effect, when that of another one is there.
var later = sim.Response{}

// ask sends a request of the server's own for the one at hand.
func (x *exchange) ask(kind, name, conn string, d sim.Dial, r sim.Request) sim.Response {
	stream := x.c.Send(conn, d, r)
	if x.s.Outgoing == nil {
		x.s.Outgoing = map[uint64]*outgoing{}
	}
	x.s.Outgoing[stream] = &outgoing{Kind: kind, Name: name, URL: "https://" + d.Addr + r.URL, Req: x.r, User: x.user}
	x.waits = true
	return later
}

// cameBack passes on what an outgoing exchange brings.
func (s *Server) cameBack(c *sim.Ctx, m sim.Msg) {
	o := s.Outgoing[m.Stream]
	if o == nil {
		return
	}
	if o.Kind == "look" {
		delete(s.Outgoing, m.Stream)
		s.looked(c, o, m)
		return
	}
	client := o.Req.Stream
	switch m.Kind {
	case sim.MsgFrame:
		c.Push(client, m.Data)
		return
	case sim.MsgEnd:
		c.End(client)
	case sim.MsgFailed:
		if o.Flowing {
			c.End(client)
			break
		}
		s.pass(c, o, passers[o.Kind].failed(s, c, o, m.Err), false)
	case sim.MsgResponse:
		if o.Kind == "aggregated" && m.Resp.Header.Get(unreadyHeader) != "" {
			s.pass(c, o, s.unready(c, o), false)
			break
		}
		r := passers[o.Kind].answered(o, *m.Resp)
		if m.Resp.Stream && r.Stream {
			f := *o
			f.Flowing = true
			s.Outgoing[m.Stream] = &f
			s.pass(c, o, r, o.Kind == "upgrade")
			return
		}
		s.pass(c, o, r, o.Kind == "upgrade")
	}
	delete(s.Outgoing, m.Stream)
}

// pass answers the client. With hijacked the client's connection was left to the
// backend.
func (s *Server) pass(c *sim.Ctx, o *outgoing, r sim.Response, hijacked bool) {
	x := &exchange{s: s, c: c, r: o.Req, user: o.User, connect: true, hijacked: hijacked}
	if u, err := url.ParseRequestURI(o.Req.URL); err == nil {
		x.info = readPath(o.Req.Method, u, u.Query())
	}
	s.httpLog(c, x, &r)
	c.Reply(o.Req.Stream, r)
}

// leave takes back what was asked for a client that is gone.
func (s *Server) leave(c *sim.Ctx, client uint64) {
	for _, id := range sortedStreams(s.Outgoing) {
		if r := s.Outgoing[id].Req; r != nil && r.Stream == client {
			c.Cancel(id)
			delete(s.Outgoing, id)
		}
	}
}

// logAnswer passes a log on as text; a refusal becomes a Status that names the
// pod (Models apiserver/pkg/registry/generic/rest GenericHttpResponseChecker).
func logAnswer(o *outgoing, r sim.Response) sim.Response {
	body := string(r.Body)
	switch {
	case r.Code >= 200 && r.Code <= 206:
		out := answer(200, "text/plain", r.Body)
		out.Stream = r.Stream
		return out
	case r.Code == http.StatusInternalServerError:
		return failed(apierrors.NewInternalError(fmt.Errorf("%s", body)))
	case r.Code == http.StatusBadRequest:
		return failed(apierrors.NewBadRequest(body))
	}
	return failed(apierrors.NewGenericServerResponse(r.Code, "", schema.GroupResource{Resource: "pods/log"}, o.Name, body, 0, false))
}

// logFailed: an error that is no Status becomes a 500 without a reason, and is
// told in the log (Models apiserver/pkg/endpoints/handlers/responsewriters ErrorToAPIStatus).
func logFailed(s *Server, c *sim.Ctx, o *outgoing, words string) sim.Response {
	message := fmt.Sprintf("Get %q: %s", o.URL, words)
	return s.noStatus(c, fmt.Sprintf("&url.Error{Op:%q, URL:%q, Err:%s}", "Get", o.URL, errorType(c, words)), message)
}

// noStatus answers with an error that has no Status of its own.
func (s *Server) noStatus(c *sim.Ctx, value, message string) sim.Response {
	r := plainStatus(500, "", message, nil)
	s.unhandled(c, "status.go:71", fmt.Errorf("apiserver received an error that is not an metav1.Status: %s: %s", value, message))
	return r
}

// errorType is how Go's %#v shows the error of a dial. Where it lies in memory
// differs from run to run.
func errorType(c *sim.Ctx, words string) string {
	at := fmt.Sprintf("0xc%09x", c.Chance.N("pointers", 1<<32)&^0xf)
	switch {
	case strings.Contains(words, "failed to verify certificate"):
		return "(*tls.CertificateVerificationError)(" + at + ")"
	case strings.HasPrefix(words, "remote error"):
		return "(*tls.permanentError)(" + at + ")"
	case strings.HasPrefix(words, "dial tcp"), strings.HasPrefix(words, "read tcp"):
		return "(*net.OpError)(" + at + ")"
	}
	return "(*errors.errorString)(" + at + ")"
}

// proxied passes an answer on as it is (Models net/http/httputil ReverseProxy).
func proxied(_ *outgoing, r sim.Response) sim.Response {
	out := sim.Response{Code: r.Code, Header: http.Header{}, Body: r.Body, Stream: r.Stream}
	for k, v := range r.Header {
		out.Header[k] = v
	}
	if out.Header.Get("Cache-Control") == "" {
		out.Header.Set("Cache-Control", "no-cache, private")
	}
	return out
}

// proxyFailed models apimachinery/pkg/util/proxy Transport; a name that can't
// be found is noticed earlier, by pkg/registry/core/node ResourceLocation.
func proxyFailed(_ *Server, _ *sim.Ctx, _ *outgoing, words string) sim.Response {
	if name, ok := strings.CutPrefix(words, "dial tcp: lookup "); ok {
		return failed(apierrors.NewBadRequest("lookup " + name))
	}
	return failed(apierrors.NewServiceUnavailable("error trying to reach service: " + words))
}

// upgraded passes a switch of protocols on, and a refusal as it is.
func upgraded(o *outgoing, r sim.Response) sim.Response { return proxied(o, r) }

// upgradeFailed models apimachinery/pkg/util/proxy UpgradeAwareHandler DialForUpgrade.
func upgradeFailed(s *Server, c *sim.Ctx, _ *outgoing, words string) sim.Response {
	message := "error dialing backend: " + words
	return s.noStatus(c, fmt.Sprintf("&errors.errorString{s:%q}", message), message)
}
