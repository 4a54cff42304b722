package api

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// foldHeader says that a heartbeat stands for one every so often.
const foldHeader = "Joinery-Fold"

// Fold is a renewal of a Lease, or a heartbeat of a Node, that goes on by itself: it came at From, and the
// same comes every Every until the connection Conn closes, another request
// changes the object, Server ("host/unit") stops, or Until, when the client's
// certificate is not good any more.
type Fold struct {
	From   time.Time     `json:"from"`
	Every  time.Duration `json:"every"`
	Until  time.Time     `json:"until,omitzero"`
	Conn   uint64        `json:"conn"`
	Server string        `json:"server"`
}

func foldKey(resource, namespace, name string) string {
	return resource + "/" + objectKey(namespace, name)
}

// at is the time of the last renewal up to now.
func (f Fold) at(now time.Time) time.Time {
	if !f.Until.IsZero() && now.After(f.Until) {
		now = f.Until
	}
	if now.Before(f.From) {
		return f.From
	}
	return f.From.Add(now.Sub(f.From) / f.Every * f.Every)
}

// folded is a stored object as a reader sees it now: a folded Lease has the
// renewTime of its last renewal, a folded Node the time of its last heartbeat. It makes no observation and no version, so it
// does not depend on the steps in which time goes on.
func (s *Store) folded(now time.Time, o *Object) *Object {
	f, ok := s.Folds[foldKey(o.Resource, o.Namespace, o.Name)]
	if !ok {
		return o
	}
	passed := f.at(now).Sub(f.From)
	if passed == 0 {
		return o
	}
	var n object
	switch typed := o.typed.(type) {
	case *coordinationv1.Lease:
		if typed.Spec.RenewTime == nil {
			return o
		}
		l := typed.DeepCopy()
		l.Spec.RenewTime = &metav1.MicroTime{Time: l.Spec.RenewTime.Add(passed).UTC()}
		n = l
	case *corev1.Node:
		node := typed.DeepCopy()
		for i := range node.Status.Conditions {
			at := &node.Status.Conditions[i].LastHeartbeatTime
			*at = metav1.NewTime(at.Add(passed).UTC())
		}
		n = node
	case *corev1.Endpoints:
		e := typed.DeepCopy()
		if !renewRecord(e.Annotations, passed) {
			return o
		}
		n = e
	default:
		return o
	}
	return &Object{Resource: o.Resource, Namespace: o.Namespace, Name: o.Name, Version: o.Version, JSON: encode(n), typed: n}
}

// leaderKey is the annotation with a leader's record, where that is no Lease.
const leaderKey = "control-plane.alpha.kubernetes.io/leader"

// renewRecord renews the record in an annotation. Models client-go's
// resourcelock.LeaderElectionRecord.
func renewRecord(annotations map[string]string, passed time.Duration) bool {
	var r struct {
		Holder      string      `json:"holderIdentity"`
		Seconds     int         `json:"leaseDurationSeconds"`
		Acquire     metav1.Time `json:"acquireTime"`
		Renew       metav1.Time `json:"renewTime"`
		Transitions int         `json:"leaderTransitions"`
	}
	if json.Unmarshal([]byte(annotations[leaderKey]), &r) != nil {
		return false
	}
	r.Renew = metav1.NewTime(r.Renew.Add(passed).UTC())
	b, err := json.Marshal(r)
	annotations[leaderKey] = string(b)
	return err == nil
}

// Lease is a Lease as a reader sees it now; nil when there is none.
func (s *Store) Lease(now time.Time, namespace, name string) *coordinationv1.Lease {
	o := s.Get("leases", namespace, name)
	if o == nil {
		return nil
	}
	return s.folded(now, o).typed.(*coordinationv1.Lease)
}

// renews tells whether a request is a heartbeat that may be folded: a Lease, or the
// status of a Node.
func (x *exchange) renews(r *resource) bool {
	return x.r.Header.Get(foldHeader) != "" && (r.Plural == "leases" || r.Plural == "endpoints" || r.Plural == "nodes" && x.info.sub == "status")
}

// renewed stores a renewal that carries the header, and folds those after it.
func (x *exchange) renewed(r *resource, verb string, o object) *Object {
	stored := x.s.store.put(r, o)
	key := foldKey(stored.Resource, stored.Namespace, stored.Name)
	x.interfere(key)
	every, err := time.ParseDuration(x.r.Header.Get(foldHeader))
	if err != nil || every <= 0 {
		x.s.store.unfold(key)
		return x.stored(verb, stored)
	}
	f := Fold{From: x.c.Now, Every: every, Conn: x.r.Conn, Server: x.c.Actor()}
	if len(x.r.Peer) > 0 {
		if v := x.s.verified[string(x.r.Peer[0])]; v != nil {
			f.Until = v.till.Add(-x.c.Skew)
		}
	}
	x.s.store.fold(key, f)
	return x.stored(verb, stored) // who watches is told that it goes on
}

// toldHeader is what foldHeader says in a watch that wants to know whether what it
// is shown goes on by itself.
const toldHeader = "told"

// folding is what such a watch is told of an object.
func (s *Store) folding(now time.Time, o *Object) sim.Folding {
	f, ok := s.Folds[foldKey(o.Resource, o.Namespace, o.Name)]
	if !ok {
		return sim.Folding{}
	}
	out := sim.Folding{Every: f.Every, Ago: now.Sub(f.at(now))}
	if !f.Until.IsZero() {
		out.Left = max(1, f.Until.Sub(now))
	}
	return out
}

// EndFolds ends the folds of a server ("host/unit") that is gone without a word.
func (s *Store) EndFolds(now time.Time, server string) {
	s.endFolds(now, s.foldsBy(server))
}

// foldsBy are the folds that came to a server.
func (s *Store) foldsBy(server string) (out []string) {
	for key, f := range s.Folds {
		if f.Server == server {
			out = append(out, key)
		}
	}
	return out
}

func (s *Store) endFolds(now time.Time, folds []string) {
	slices.Sort(folds)
	for _, key := range folds {
		resource, name, _ := strings.Cut(key, "/")
		i, ok := s.find(resource, name)
		if !ok {
			continue
		}
		o := s.Tables[resource][i]
		last := s.folded(now, o)
		s.unfold(key)
		if last != o {
			s.put(o.row, last.typed)
		} else {
			s.stop(o)
		}
	}
}

// interfere tells whoever renews an object that somebody else changed it: the
// next renewal is refused as one of an old version.
func (x *exchange) interfere(key string) {
	if f, ok := x.s.store.Folds[key]; ok && f.Conn != x.r.Conn {
		x.c.Unfold(f.Conn)
	}
}

// stand remembers that a question stands: it is asked again and again over this
// connection, and the answer is the same until the rules change.
func (x *exchange) stand() {
	if x.r.Header.Get(foldHeader) != "" && !slices.Contains(x.s.store.Standing, x.r.Conn) {
		x.s.store.Standing = append(x.s.store.Standing, x.r.Conn)
	}
}

// reconsider tells all whose questions stand that the rules changed.
func (s *Store) reconsider(c *sim.Ctx) {
	for _, conn := range s.Standing {
		c.Unfold(conn)
	}
	s.Standing = nil
}

// Unfold ends the folds of a connection: what was renewed until now is stored,
// without an observation. The world calls it when a connection to the server
// closes, or sends MsgGone with the Tag "conn N".
func (s *Server) Unfold(c *sim.Ctx, conn uint64) {
	s.store.Standing = slices.DeleteFunc(s.store.Standing, func(n uint64) bool { return n == conn })
	s.unfold(c, s.store.foldsOf(conn))
}

// unfoldAll ends the folds of this server.
func (s *Server) unfoldAll(c *sim.Ctx) { s.unfold(c, s.store.foldsBy(c.Actor())) }

func (s *Server) unfold(c *sim.Ctx, folds []string) {
	s.store.endFolds(c.Now, folds)
	s.flush(c)
}

// fold sets a fold; unfold takes it away.
func (s *Store) fold(key string, f Fold) {
	s.unfold(key)
	if s.Folds == nil {
		s.Folds = map[string]Fold{}
	}
	s.Folds[key] = f
	if s.byConn != nil {
		s.byConn[f.Conn] = append(s.byConn[f.Conn], key)
	}
}

func (s *Store) unfold(key string) {
	f, ok := s.Folds[key]
	if !ok {
		return
	}
	delete(s.Folds, key)
	if s.byConn != nil {
		s.byConn[f.Conn] = slices.DeleteFunc(s.byConn[f.Conn], func(k string) bool { return k == key })
		if len(s.byConn[f.Conn]) == 0 {
			delete(s.byConn, f.Conn)
		}
	}
}

// foldsOf are the folds of a connection. Thousands of connections come and go,
// so there is an index, made when it is first asked for.
func (s *Store) foldsOf(conn uint64) []string {
	if s.byConn == nil {
		s.byConn = map[uint64][]string{}
		for key, f := range s.Folds {
			s.byConn[f.Conn] = append(s.byConn[f.Conn], key)
		}
	}
	return slices.Clone(s.byConn[conn])
}

const connTag = "conn "

func versionText(v uint64) string { return strconv.FormatUint(v, 10) }
