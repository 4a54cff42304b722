package controllers

import (
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/joinery-lab/joinery/engine/sim"
)

// recorder writes events. Models k8s.io/client-go/tools/record as far as it counts
// events that come again.
type recorder struct {
	// Seen are the events written so far, by all that makes them the same; Unsent those
	// that wait for an answer, Last the number of the newest.
	Seen   map[string]seenEvent `json:"seen"`
	Unsent map[int]unsent       `json:"unsent"`
	Last   int                  `json:"last,omitempty"`
}

type seenEvent struct {
	Name  string      `json:"name"`
	Count int32       `json:"count"`
	First metav1.Time `json:"first"`
}

// unsent is an event on its way. Again: it was written before, and is counted only.
type unsent struct {
	Event *corev1.Event `json:"event"`
	Again bool          `json:"again,omitempty"`
	Tries int           `json:"tries,omitempty"`
}

// How many events are remembered, how often one is tried, and after which pause.
const (
	mostEvents = 4096
	eventTries = 12
	eventPause = 10 * time.Second
)

func (r recorder) clone() recorder {
	r.Seen, r.Unsent = maps.Clone(r.Seen), maps.Clone(r.Unsent)
	return r
}

func nodeRef(name, uid string) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: types.UID(uid)}
}

// nodeEvent models pkg/controller/util/node RecordNodeEvent.
func (m *ControllerManager) nodeEvent(c *sim.Ctx, name, uid, reason, event string) {
	m.log(c, 'I', 2, "controller_utils.go:173", "Recording event message for node", "event", event, "node", name)
	m.record(c, nodeRef(name, uid), corev1.EventTypeNormal, reason, "Node "+name+" event: "+event)
}

// record writes an event about an object.
func (m *ControllerManager) record(c *sim.Ctx, of corev1.ObjectReference, kind, reason, message string) {
	r := &m.Life.Events
	object := of.Name
	if of.Namespace != "" {
		object = of.Namespace + "/" + object
	}
	m.log(c, 'I', 3, "event.go:389", "Event occurred", "object", object, "fieldPath", "", "kind", of.Kind, "apiVersion", of.APIVersion, "type", kind, "reason", reason, "message", message)
	now := metav1.NewTime(c.Clock().UTC().Truncate(time.Second))
	e := &corev1.Event{TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: "v1"},
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", of.Name, c.Clock().UnixNano()), Namespace: metav1.NamespaceDefault},
		InvolvedObject: of, Reason: reason, Message: message, Type: kind, FirstTimestamp: now, LastTimestamp: now, Count: 1,
		Source: corev1.EventSource{Component: "node-controller"}, ReportingController: "node-controller"}
	if of.Namespace != "" {
		e.Namespace = of.Namespace
	}
	key := fmt.Sprint(of.Kind, "/", object, "/", of.UID, "/", kind, "/", reason, "/", message)
	old, again := r.Seen[key]
	if again {
		e.Name, e.FirstTimestamp, e.Count = old.Name, old.First, old.Count+1
	}
	if len(r.Seen) >= mostEvents {
		clear(r.Seen)
	}
	r.Seen[key] = seenEvent{e.Name, e.Count, e.FirstTimestamp}
	r.Last++
	r.Unsent[r.Last] = unsent{Event: e, Again: again}
	m.writeEvent(c, r.Last)
}

func (m *ControllerManager) writeEvent(c *sim.Ctx, n int) {
	if m.Life == nil {
		return
	}
	u, ok := m.Life.Events.Unsent[n]
	if !ok {
		return
	}
	path := "/api/v1/namespaces/" + u.Event.Namespace + "/events"
	x, cl := exchange{To: "record", Index: n}, m.Clients[m.Life.Client]
	if u.Again {
		m.send(c, cl, x, "PATCH", path+"/"+u.Event.Name, map[string]any{"count": u.Event.Count, "lastTimestamp": u.Event.LastTimestamp, "message": u.Event.Message})
		return
	}
	m.send(c, cl, x, "POST", path, u.Event)
}

// eventWritten models recordEvent.
func (m *ControllerManager) eventWritten(c *sim.Ctx, a answer) {
	r := &m.Life.Events
	u, ok := r.Unsent[a.Index]
	switch {
	case !ok:
	case a.code == 404 && u.Again:
		// It was too old, and is gone.
		u.Again = false
		r.Unsent[a.Index] = u
		m.writeEvent(c, a.Index)
	case a.ok():
		delete(r.Unsent, a.Index)
	case a.kind == sim.MsgFailed:
		m.log(c, 'E', 0, "event.go:368", "Unable to write event (may retry after sleeping)", "err", a.err(), "event", asJSON(u.Event))
		if u.Tries++; u.Tries >= eventTries {
			m.log(c, 'E', 0, "event.go:307", "Unable to write event (retry limit exceeded!)", "event", asJSON(u.Event))
			delete(r.Unsent, a.Index)
			return
		}
		r.Unsent[a.Index] = u
		wait := eventPause
		if u.Tries == 1 {
			wait = time.Duration(c.Chance.N(c.Actor()+"/event", uint64(eventPause)))
		}
		c.Wake(c.Now.Add(wait), fmt.Sprintf("record %d", a.Index))
	default:
		m.log(c, 'E', 0, "event.go:359", "Server rejected event (will not retry!)", "err", a.err(), "event", asJSON(u.Event))
		delete(r.Unsent, a.Index)
	}
}
