package controllers

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// collecting is the controller that deletes what belongs to an object that is no
// more. Here it knows Secrets that belong to a Secret, as kubeadm-certs does to the
// token that makes it go after two hours.
const collecting = "garbage-collector-controller"

func (m *ControllerManager) startCollector(c *sim.Ctx) {
	m.loop(&loop{Name: "garbage_collector_attempt_to_delete", Kind: kindGarbage, Controller: collecting}, m.addClient(collecting))
	m.say(c, &era.LineCollectorStart, "garbagecollector")
	m.addFeed(c, "secrets", "/api/v1/secrets")
}

// The steps of an attempt: the object itself, its owners one after the other, its
// deletion. Models pkg/controller/garbagecollector attemptToDeleteItem.
const (
	stepItem   = "item"
	stepOwner  = "owner"
	stepDelete = "delete"
)

func secretPath(namespace, name string) string {
	return "/api/v1/namespaces/" + namespace + "/secrets/" + name
}

func secretKey(s *corev1.Secret) string { return s.Namespace + "/" + s.Name }

// itemOf is an object as the collector's log names it.
func itemOf(s *corev1.Secret) string {
	return fmt.Sprintf("[v1/Secret, namespace: %s, name: %s, uid: %s]", s.Namespace, s.Name, s.UID)
}

// collect looks at a Secret that belongs to others, when the cache has none of
// them.
func (m *ControllerManager) collect(c *sim.Ctx, l *loop) {
	s := m.Secrets[l.Busy]
	if s == nil || len(s.OwnerReferences) == 0 {
		m.finish(c, l, nil)
		return
	}
	for _, o := range s.OwnerReferences {
		owner := m.Secrets[s.Namespace+"/"+o.Name]
		if o.Kind != "Secret" || owner != nil && owner.UID == o.UID {
			m.finish(c, l, nil)
			return
		}
	}
	m.say(c, &era.LineCollects, itemOf(s), false, secretKey(s), s.UID, "Secret")
	l.Work.Step = stepItem
	m.ask(c, l, "GET", secretPath(s.Namespace, s.Name), nil)
}

func (m *ControllerManager) collected(c *sim.Ctx, l *loop, a answer) {
	s, w := m.Secrets[l.Busy], &l.Work
	var got corev1.Secret
	json.Unmarshal(a.data, &got)
	switch {
	case s == nil, a.code == 404 && w.Step != stepOwner:
		m.finish(c, l, nil)
		return
	case !a.ok() && a.code != 404:
		m.finish(c, l, &failure{text: a.err()})
		return
	case w.Step == stepDelete, w.Step == stepItem && got.UID != s.UID, w.Step == stepOwner && a.ok() && got.UID == s.OwnerReferences[len(w.Tried)-1].UID:
		m.finish(c, l, nil)
		return
	}
	if n := len(w.Tried); n < len(s.OwnerReferences) {
		w.Step, w.Tried = stepOwner, append(w.Tried, n)
		m.ask(c, l, "GET", secretPath(s.Namespace, s.OwnerReferences[n].Name), nil)
		return
	}
	w.Step = stepDelete
	m.say(c, &era.LineCollected, itemOf(s), string(metav1.DeletePropagationBackground), secretKey(s), s.UID, "Secret")
	decide(c, "secret/"+s.Name, l.Controller, "deleted", "OwnerGone", s.OwnerReferences[0].Name)
	m.ask(c, l, "DELETE", secretPath(s.Namespace, s.Name), map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": map[string]string{"uid": string(s.UID)},
		"propagationPolicy": metav1.DeletePropagationBackground})
}

// orphaned lets the collector look at what belonged to a Secret that is gone.
func (m *ControllerManager) orphaned(c *sim.Ctx, old *corev1.Secret) {
	have := map[string]bool{}
	keysOf(m.Secrets, have)
	for _, key := range sorted(have) {
		for _, o := range m.Secrets[key].OwnerReferences {
			if o.UID == old.UID {
				m.each(c, kindGarbage, key)
			}
		}
	}
}
