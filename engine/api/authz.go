package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// attributes are what authorization is about: may user do verb with it?
type attributes struct {
	user                       *user
	verb                       string
	namespace, group, resource string // of a resource
	sub, name                  string
	fields                     string // fieldSelector
	path                       string // instead of a resource
}

func (a *attributes) full() string {
	if a.sub == "" {
		return a.resource
	}
	return a.resource + "/" + a.sub
}

// qualified is the resource as "plural.group/subresource".
func (a *attributes) qualified() string {
	what := a.resource
	if a.group != "" {
		what += "." + a.group
	}
	if a.sub != "" {
		what += "/" + a.sub
	}
	return what
}

// authorizer decides, or has no opinion and perhaps a reason.
type authorizer func(s *Server, a *attributes) (allowed bool, reason string)

// authorizers are the values of --authorization-mode.
var authorizers = map[string]authorizer{
	"AlwaysAllow": func(*Server, *attributes) (bool, string) { return true, "" },
	"AlwaysDeny":  func(*Server, *attributes) (bool, string) { return false, "Everything is forbidden." },
	"Node":        byNode,
	"RBAC":        byRBAC,
}

// authorize asks the authorizers in the order of --authorization-mode; the
// first that allows wins, reasons of the others are joined (Models
// apiserver/pkg/authorization/union).
func (s *Server) authorize(a *attributes) (bool, string) {
	if a.user.in(masters) && era.MastersFirst.In(s.era) {
		return true, ""
	}
	var reasons []string
	for _, m := range s.opts.modes {
		ok, reason := authorizers[m](s, a)
		if ok {
			return true, reason
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
	}
	return false, strings.Join(reasons, "\n")
}

// allowed authorizes a request itself and notes the decision. On a refusal the
// note tells in "would" which default roles would have allowed it.
func (s *Server) allowed(c *sim.Ctx, a *attributes) (bool, string) {
	ok, reason := s.authorize(a)
	subject, groups := a.path, strings.Join(a.user.Groups, ",")
	var args map[string]string
	if a.resource == "" {
		args = map[string]string{"verdict": "yes", "user": a.user.Name, "groups": groups, "verb": a.verb, "reason": reason}
	} else {
		subject = a.full()
		args = map[string]string{"verdict": "yes", "user": a.user.Name, "groups": groups, "verb": a.verb, "reason": reason,
			"resource": subject, "group": a.group, "name": a.name, "namespace": a.namespace}
		if a.name != "" {
			subject += "/" + a.name
		}
	}
	if !ok {
		args["verdict"] = "no"
		if w := s.would(a); w != nil {
			b, _ := json.Marshal(w)
			args["would"] = string(b)
		}
		if s.unruled(reason) && a.resource != "" {
			args["rule"] = s.denial(a)
			s.logDenial(c, args["rule"])
		}
	}
	c.Note(trace.Authz, subject, args, "")
	return ok, reason
}

// unruled reports whether a refusal's reason says no more than that RBAC has no rule.
func (s *Server) unruled(reason string) bool {
	return reason == "" || reason == era.NoRBACRule.In(s.era)
}

// denial is the sentence that RBAC writes into the log.
func (s *Server) denial(a *attributes) string {
	scope := "cluster-wide"
	if a.namespace != "" {
		scope = fmt.Sprintf("in namespace %q", a.namespace)
	}
	return fmt.Sprintf(era.RBACDenial.In(s.era).Format, a.user.Name, a.user.Groups, fmt.Sprintf("%q resource %q", a.verb, a.qualified()), scope)
}

func (s *Server) logDenial(c *sim.Ctx, words string) {
	line := era.RBACDenial.In(s.era)
	s.log(c, 'I', line.V, line.Source, words)
}
