package controllers

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// cache is what a feed fills besides the CSRs: only what a controller needs.
type cache struct {
	// changed keeps an object that was added or changed, and tells who wants to
	// know; it returns its key, "" for one that nobody needs.
	changed func(m *ControllerManager, c *sim.Ctx, object json.RawMessage) string
	// names are the keys kept; forget drops one that was deleted.
	names  func(m *ControllerManager, have map[string]bool)
	forget func(m *ControllerManager, c *sim.Ctx, key string)
}

var caches map[string]cache

func init() {
	caches = map[string]cache{
		"secrets": {(*ControllerManager).secretChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Secrets, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) {
				old := m.Secrets[key]
				delete(m.Secrets, key)
				if old == nil {
					return
				}
				if old.Type == corev1.SecretTypeBootstrapToken {
					m.each(c, kindBootstrapSigner, clusterInfo)
				}
				m.secretGone(c, old)
				m.orphaned(c, old)
			}},
		"configmaps": {(*ControllerManager).mapChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Maps, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) {
				old := m.Maps[key]
				delete(m.Maps, key)
				if old != nil && old.Name == rootCAMap {
					m.each(c, kindRootCA, old.Namespace)
				}
			}},
		"nodes": {(*ControllerManager).nodeChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Nodes, have) }, (*ControllerManager).nodeGone},
		"pods": {(*ControllerManager).podChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Pods, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) { delete(m.Pods, key) }},
		"leases": {func(m *ControllerManager, c *sim.Ctx, object json.RawMessage) string {
			return m.leaseSeen(c, "ADDED", object, sim.Folding{})
		}, func(m *ControllerManager, have map[string]bool) { keysOf(m.Life.Beats, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) { delete(m.Life.Beats, key) }},
		"clusterroles": {(*ControllerManager).roleChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Roles, have) }, (*ControllerManager).roleGone},
		"namespaces": {(*ControllerManager).namespaceChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Namespaces, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) { delete(m.Namespaces, key) }},
		"serviceaccounts": {(*ControllerManager).seatChanged, func(m *ControllerManager, have map[string]bool) { keysOf(m.Seats, have) },
			func(m *ControllerManager, c *sim.Ctx, key string) {
				old := m.Seats[key]
				delete(m.Seats, key)
				if old != nil {
					m.each(c, kindDefaultAccount, old.Namespace)
					m.tokensOf(c, old)
				}
			}},
	}
}

func keysOf[V any](m map[string]V, have map[string]bool) {
	for k := range m {
		have[k] = true
	}
}

// slim takes away what no controller reads, as a manager's informers do to save
// memory. Models cmd/kube-controller-manager/app CreateControllerContext.
func slim(o *metav1.ObjectMeta) { o.ManagedFields = nil }

func (m *ControllerManager) secretChanged(c *sim.Ctx, object json.RawMessage) string {
	s := new(corev1.Secret)
	if json.Unmarshal(object, s) != nil {
		return ""
	}
	slim(&s.ObjectMeta)
	key := s.Namespace + "/" + s.Name
	switch {
	case s.Type == corev1.SecretTypeBootstrapToken && s.Namespace == metav1.NamespaceSystem:
		m.Secrets[key] = s
		m.each(c, kindTokenCleaner, key)
		m.each(c, kindBootstrapSigner, clusterInfo)
	case s.Type == corev1.SecretTypeServiceAccountToken:
		m.Secrets[key] = s
		m.each(c, kindAccountToken, key)
	case len(s.OwnerReferences) > 0:
		m.Secrets[key] = s
	default:
		return ""
	}
	if len(s.OwnerReferences) > 0 {
		m.each(c, kindGarbage, key)
	}
	return key
}

func (m *ControllerManager) mapChanged(c *sim.Ctx, object json.RawMessage) string {
	cm := new(corev1.ConfigMap)
	if json.Unmarshal(object, cm) != nil {
		return ""
	}
	slim(&cm.ObjectMeta)
	key := cm.Namespace + "/" + cm.Name
	switch {
	case key == clusterInfo:
		m.Maps[key] = cm
		m.each(c, kindBootstrapSigner, clusterInfo)
	case cm.Name == rootCAMap:
		m.Maps[key] = cm
		m.each(c, kindRootCA, cm.Namespace)
	default:
		return ""
	}
	return key
}

func (m *ControllerManager) namespaceChanged(c *sim.Ctx, object json.RawMessage) string {
	ns := new(corev1.Namespace)
	if json.Unmarshal(object, ns) != nil {
		return ""
	}
	slim(&ns.ObjectMeta)
	old := m.Namespaces[ns.Name]
	m.Namespaces[ns.Name] = ns
	if old == nil || ns.Status.Phase == corev1.NamespaceActive {
		m.each(c, kindRootCA, ns.Name)
	}
	m.each(c, kindDefaultAccount, ns.Name)
	m.each(c, kindNamespace, ns.Name)
	return ns.Name
}

func (m *ControllerManager) seatChanged(c *sim.Ctx, object json.RawMessage) string {
	a := new(corev1.ServiceAccount)
	if json.Unmarshal(object, a) != nil {
		return ""
	}
	slim(&a.ObjectMeta)
	m.Seats[a.Namespace+"/"+a.Name] = a
	m.each(c, kindSeatToken, a.Namespace+"/"+a.Name)
	m.tokensOf(c, a)
	return a.Namespace + "/" + a.Name
}

// tokensOf looks again at the Secrets that hold tokens of a ServiceAccount.
func (m *ControllerManager) tokensOf(c *sim.Ctx, a *corev1.ServiceAccount) {
	have := map[string]bool{}
	keysOf(m.Secrets, have)
	for _, key := range sorted(have) {
		s := m.Secrets[key]
		if s.Type == corev1.SecretTypeServiceAccountToken && s.Namespace == a.Namespace && s.Annotations[corev1.ServiceAccountNameKey] == a.Name {
			m.each(c, kindAccountToken, key)
		}
	}
}
