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

// Verbosity is its --v.
func (s *Server) Verbosity() int { return s.opts.v }
