package api

import (
	"fmt"
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

const jsonType = "application/json"

// answer makes a response as kube-apiserver heads it.
func answer(code int, contentType string, body []byte) sim.Response {
	return sim.Response{Code: code, Header: http.Header{"Cache-Control": {"no-cache, private"}, "Content-Type": {contentType}}, Body: body}
}

// asJSON answers with a JSON body, which ends with a line break.
func asJSON(code int, body []byte) sim.Response {
	return answer(code, jsonType, line(body))
}

// failed answers with an error; those of apimachinery carry their Status.
func failed(err error) sim.Response {
	e, ok := err.(apierrors.APIStatus)
	if !ok {
		e = apierrors.NewInternalError(err)
	}
	st := e.Status()
	return statusAnswer(&st)
}

func statusAnswer(st *metav1.Status) sim.Response {
	st.Kind, st.APIVersion = "Status", "v1"
	return asJSON(int(st.Code), encode(st))
}

func plainStatus(code int32, reason metav1.StatusReason, message string, details *metav1.StatusDetails) sim.Response {
	return statusAnswer(&metav1.Status{Status: metav1.StatusFailure, Code: code, Reason: reason, Message: message, Details: details})
}

// unauthorized is all that a client learns about bad credentials.
func (s *Server) unauthorized() sim.Response {
	if era.PlainRefusals.In(s.era) {
		return text(401, "Unauthorized\n")
	}
	return plainStatus(401, metav1.StatusReasonUnauthorized, "Unauthorized", nil)
}

// notServed is the answer to a path under /api that leads nowhere.
func notServed() sim.Response {
	return plainStatus(404, metav1.StatusReasonNotFound, "the server could not find the requested resource", &metav1.StatusDetails{})
}

func notAllowed() sim.Response {
	return plainStatus(405, metav1.StatusReasonMethodNotAllowed, "the server does not allow this method on the requested resource", &metav1.StatusDetails{})
}

// text answers in plain text, as http.Error and the health checks do.
func text(code int, body string) sim.Response {
	r := answer(code, "text/plain; charset=utf-8", []byte(body))
	r.Header.Set("X-Content-Type-Options", "nosniff")
	return r
}

// unmarked keeps a name from being read as HTML.
var unmarked = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// refusal says what a user can't do.
func (s *Server) refusal(a *attributes) string {
	cannot := `User "` + a.user.Name + `" cannot ` + a.verb
	if a.resource == "" {
		return cannot + ` path "` + a.path + `"`
	}
	scope := "at the cluster scope"
	if a.namespace != "" {
		scope = `in the namespace "` + a.namespace + `"`
	}
	if !era.ForbiddenResource.In(s.era) {
		return cannot + " " + a.qualified() + " " + scope
	}
	return cannot + ` resource "` + a.full() + `" in API group "` + a.group + `" ` + scope
}

// forbidden is the refusal of authorization, in Kubernetes' sentence (Models
// apiserver/pkg/endpoints/handlers/responsewriters).
func (s *Server) forbidden(a *attributes, reason string) sim.Response {
	if era.PlainRefusals.In(s.era) {
		body := unmarked.Replace(s.refusal(a) + ".")
		if reason != "" {
			body += fmt.Sprintf(": %q", reason)
		}
		r := answer(403, "text/plain", []byte(body))
		r.Header.Set("X-Content-Type-Options", "nosniff")
		return r
	}
	tail := ""
	if reason != "" {
		tail = ": " + reason
	}
	details := &metav1.StatusDetails{}
	message := ""
	if a.resource == "" {
		message = "forbidden: " + unmarked.Replace(s.refusal(a)+era.ForbiddenEnd.In(s.era)) + tail
	} else {
		details = &metav1.StatusDetails{Name: a.name, Group: a.group, Kind: a.resource}
		what := a.resource
		if a.group != "" {
			what += "." + a.group
		}
		if a.name != "" {
			what += ` "` + a.name + `"`
		}
		message = what + " is forbidden: " + unmarked.Replace(s.refusal(a)+era.ForbiddenEnd.In(s.era)) + tail
	}
	r := plainStatus(403, metav1.StatusReasonForbidden, message, details)
	r.Header.Set("X-Content-Type-Options", "nosniff")
	return r
}
