package engine

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// explainSilence tells what the controller of nodes makes of a node that is not heard
// of: since when it is Unknown, or when it will be.
func (w *World) explainSilence(e *Explanation, name string) {
	n, err := find[*corev1.Node](w, "nodes", "Node", "", name)
	if err != nil {
		return
	}
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	addr, m := w.manager()
	if i < 0 || m == nil || !m.Runs("node-lifecycle-controller") {
		return
	}
	switch c := n.Status.Conditions[i]; c.Status {
	case corev1.ConditionUnknown:
		silent := reason("node-silent", "node", name, "message", c.Message).at(c.LastTransitionTime.Time)
		if e.State.Kind == "kubelet-joined" && e.State.Args["as"] == "system:node:"+name {
			// It knows nothing of it, or is heard of again.
			if e.State = silent; m.Renewed(name) {
				add(&e.Next, reason("reports"))
			}
			return
		}
		add(&e.Knows, silent, w.log(addr, `"Node hasn't been updated" node="`+name+`"`, 2))
	case corev1.ConditionTrue:
		if at := m.Silent(w.Clock, name); !at.IsZero() {
			add(&e.Next, reason("not-ready", "node", name).at(at))
		}
	}
}
