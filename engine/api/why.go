package api

import (
	"time"

	corev1 "k8s.io/api/core/v1"
)

// May tells whether a user may do something now, and what binding would let
// them: the answer that the server itself would give, without asking it.
func (s *Server) May(name string, groups []string, verb, group, resource, sub, object string) (bool, *Would) {
	a := &attributes{user: &user{Name: name, Groups: groups}, verb: verb, group: group, resource: resource, sub: sub, name: object}
	if ok, _ := s.authorize(a); ok {
		return true, nil
	}
	return false, s.would(a)
}

// Rule tells by which binding a user may do something now, in the words of RBAC;
// nothing when they may not.
func (s *Server) Rule(name string, groups []string, verb, group, resource, sub string) string {
	ok, rule := s.authorize(&attributes{user: &user{Name: name, Groups: groups}, verb: verb, group: group, resource: resource, sub: sub})
	if !ok {
		return ""
	}
	return rule
}

// Token tells what the server would say about the bootstrap token of an id at a
// time of its clock: nothing, or the line of its log and the verbosity that
// shows it; and when the token expires, if it does.
func (s *Server) Token(now time.Time, id string) (refusal string, v int, expires time.Time, found bool) {
	secret := ""
	if stored := s.store.Get("secrets", "kube-system", bootstrapPrefix+id); stored != nil {
		o := stored.typed.(*corev1.Secret)
		secret, found = string(o.Data["token-secret"]), true
		expires, _ = time.Parse(time.RFC3339, string(o.Data["expiration"]))
	}
	_, r := s.judgeToken(now, id, secret)
	return r.Line, r.V, expires, found
}

// TokenSigns tells whether there is a bootstrap token of an id, and whether it is
// one that cluster-info is signed with.
func (s *Server) TokenSigns(id string) (found, signs bool) {
	o := s.store.Get("secrets", "kube-system", bootstrapPrefix+id)
	if o == nil {
		return false, false
	}
	return true, string(o.typed.(*corev1.Secret).Data["usage-bootstrap-signing"]) == "true"
}

// Verbosity is its --v.
func (s *Server) Verbosity() int { return s.opts.v }

// Aggregated is what a server knows of an APIService: by whom it is answered, if
// not by itself, where that one is, and whether it was found to answer.
type Aggregated struct {
	Namespace, Service, Addr string
	Status, Reason, Message  string
	// Looks is when it is looked at again, zero when nobody asks for it.
	Looks time.Time
	// Bundle is what is wrong with its caBundle, none when it has CAs.
	Bundle string
	// CAs is the caBundle; Insecure: nobody is asked to vouch for its server.
	CAs      []byte
	Insecure bool
}

// Aggregated finds an APIService by its name.
func (s *Server) Aggregated(name string) (out Aggregated, ok bool) {
	o := s.store.Get("apiservices", "", name)
	if o == nil {
		return out, false
	}
	a := o.typed.(*apiService)
	if a.Spec.Service == nil {
		return out, true
	}
	out.Namespace, out.Service, out.Looks = a.Spec.Service.Namespace, a.Spec.Service.Name, s.Foreign[name].Looks
	out.Bundle, out.CAs, out.Insecure = noBundle(a.Spec.CABundle), a.Spec.CABundle, a.Spec.Insecure
	if c := a.available(); c != nil {
		out.Status, out.Reason, out.Message = c.Status, c.Reason, c.Message
	}
	if o := s.store.Get("services", out.Namespace, out.Service); o != nil {
		out.Addr = serviceAddr(o.typed.(*corev1.Service), a)
	}
	return out, true
}
