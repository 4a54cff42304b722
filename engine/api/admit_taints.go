package api

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// taintNodes gives a new Node the taint that keeps pods away until the node's
// controller has seen it ready (Models plugin/pkg/admission/nodetaint).
func taintNodes(x *exchange, r *resource, o, _ object, operation string) error {
	if r.Plural != "nodes" || x.info.sub != "" || operation != "create" {
		return nil
	}
	n := o.(*corev1.Node)
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
		n.Spec.Taints = append(slices.Clip(n.Spec.Taints), taint)
	}
	return nil
}
