package controllers

import (
	"encoding/json"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// rootCAMap is the ConfigMap with the CA in every namespace.
const (
	rootCAMap      = "kube-root-ca.crt"
	rootCAKey      = "ca.crt"
	descriptionKey = "kubernetes.io/description"
)

// publish puts the CA into a namespace. Models
// pkg/controller/certificates/rootcacertpublisher; recorded in s/04 to s/06.
func (m *ControllerManager) publish(c *sim.Ctx, l *loop) {
	data := map[string]string{rootCAKey: string(m.RootCA)}
	var annotations map[string]string
	description := era.RootCADescription.In(m.era())
	if description != "" {
		annotations = map[string]string{descriptionKey: description}
	}
	path := "/api/v1/namespaces/" + l.Busy + "/configmaps"
	old := m.Maps[l.Busy+"/"+rootCAMap]
	if old == nil {
		m.ask(c, l, "POST", path, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"},
			ObjectMeta: metav1.ObjectMeta{Name: rootCAMap, Annotations: annotations}, Data: data})
		return
	}
	if maps.Equal(old.Data, data) && (description == "" || old.Annotations[descriptionKey] != "") {
		m.finish(c, l, nil)
		return
	}
	cm := old.DeepCopy()
	cm.Kind, cm.APIVersion, cm.Data = "ConfigMap", "v1", data
	if cm.Annotations == nil {
		cm.Annotations = map[string]string{}
	}
	maps.Copy(cm.Annotations, annotations)
	m.ask(c, l, "PUT", path+"/"+rootCAMap, cm)
}

func (m *ControllerManager) published(c *sim.Ctx, l *loop, a answer) {
	switch {
	case a.ok():
		decide(c, "configmap/"+l.Busy+"/"+rootCAMap, l.Controller, "published", "", "")
	case a.Method == "POST" && (a.code == 404 || a.terminating()):
		// A namespace that is gone, or going, needs none.
	default:
		m.finish(c, l, &failure{text: a.err()})
		return
	}
	m.finish(c, l, nil)
}

// terminating tells whether a creation failed because its namespace is being
// deleted.
func (a answer) terminating() bool {
	var s metav1.Status
	if json.Unmarshal(a.data, &s) != nil || s.Details == nil {
		return false
	}
	for _, cause := range s.Details.Causes {
		if cause.Type == corev1.NamespaceTerminatingCause {
			return true
		}
	}
	return false
}

// defaultAccount is the ServiceAccount in every namespace.
const defaultAccount = "default"

// ensureDefault makes the default ServiceAccount of a namespace. Models
// pkg/controller/serviceaccount/serviceaccounts_controller.go.
func (m *ControllerManager) ensureDefault(c *sim.Ctx, l *loop) {
	ns := m.Namespaces[l.Busy]
	if ns == nil || ns.Status.Phase != corev1.NamespaceActive || m.Seats[l.Busy+"/"+defaultAccount] != nil {
		m.finish(c, l, nil)
		return
	}
	m.ask(c, l, "POST", "/api/v1/namespaces/"+l.Busy+"/serviceaccounts", &corev1.ServiceAccount{
		TypeMeta: metav1.TypeMeta{Kind: "ServiceAccount", APIVersion: "v1"}, ObjectMeta: metav1.ObjectMeta{Name: defaultAccount, Namespace: l.Busy}})
}

func (m *ControllerManager) defaultMade(c *sim.Ctx, l *loop, a answer) {
	if !a.ok() && a.code != 409 && !a.terminating() {
		m.finish(c, l, &failure{text: a.err()})
		return
	}
	if a.ok() {
		decide(c, "serviceaccount/"+l.Busy+"/"+defaultAccount, l.Controller, "created", "", "")
	}
	m.finish(c, l, nil)
}

func (m *ControllerManager) namespaceFinished(c *sim.Ctx, name string, took time.Duration) {
	m.say(c, &era.LineAccountSynced, name, took)
}
