package controllers

import (
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// endings is the controller that empties a namespace that is to be deleted,
// and then lets it go.
const endings = "namespace-controller"

func (m *ControllerManager) startNamespaces(c *sim.Ctx) {
	m.loop(&loop{Name: "namespace", Kind: kindNamespace, Controller: endings}, m.addClient(endings))
	m.say(c, &era.LineNamespacesStart)
	m.addFeed(c, "namespaces", "/api/v1/namespaces")
}

// The steps of a namespace's end: which groups are served, which resources they
// have, all objects of each, the finalizer. Models
// pkg/controller/namespace/deletion/namespaced_resources_deleter.go.
const (
	stepGroups    = "groups"
	stepResources = "resources"
	stepContent   = "content"
	stepFinalize  = "finalize"
)

// endNamespace looks at a namespace; most are to stay.
func (m *ControllerManager) endNamespace(c *sim.Ctx, l *loop) {
	ns := m.Namespaces[l.Busy]
	if ns == nil || ns.DeletionTimestamp == nil || !slices.Contains(ns.Spec.Finalizers, corev1.FinalizerKubernetes) {
		m.finish(c, l, nil)
		return
	}
	m.say(c, &era.LineNamespaceEnds, l.Busy)
	l.Work.Step = stepGroups
	m.ask(c, l, "GET", "/apis", nil)
}

func (m *ControllerManager) namespaceEnds(c *sim.Ctx, l *loop, a answer) {
	w := &l.Work
	if !a.ok() && !(w.Step == stepFinalize && (a.code == 404 || a.code == 409)) {
		m.finish(c, l, &failure{text: a.err()})
		return
	}
	switch w.Step {
	case stepGroups:
		var list metav1.APIGroupList
		if err := json.Unmarshal(a.data, &list); err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		w.Step, w.Todo = stepResources, []string{"/api/v1"}
		for _, g := range list.Groups {
			w.Todo = append(w.Todo, "/apis/"+g.PreferredVersion.GroupVersion)
		}
	case stepResources:
		var list metav1.APIResourceList
		if err := json.Unmarshal(a.data, &list); err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		for _, r := range list.APIResources {
			if r.Namespaced && slices.Contains(r.Verbs, "deletecollection") {
				w.Content = append(w.Content, a.URL+"/namespaces/"+l.Busy+"/"+r.Name)
			}
		}
	case stepFinalize:
		if a.ok() {
			m.say(c, &era.LineNamespaceGone, l.Busy)
			decide(c, "namespace/"+l.Busy, l.Controller, "deleted", "", "")
		}
		m.finish(c, l, nil)
		return
	}
	if len(w.Todo) == 0 && w.Step == stepResources {
		w.Step, w.Todo = stepContent, w.Content
	}
	if len(w.Todo) > 0 {
		next := w.Todo[0]
		w.Todo = w.Todo[1:]
		if w.Step == stepResources {
			m.ask(c, l, "GET", next, nil)
		} else {
			m.ask(c, l, "DELETE", next, nil)
		}
		return
	}
	ns := m.Namespaces[l.Busy]
	if ns == nil {
		m.finish(c, l, nil)
		return
	}
	w.Step = stepFinalize
	n := ns.DeepCopy()
	n.Kind, n.APIVersion = "Namespace", "v1"
	n.Spec.Finalizers = slices.DeleteFunc(n.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
	m.ask(c, l, "PUT", "/api/v1/namespaces/"+l.Busy+"/finalize", n)
}
