package controllers

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// conditionOf finds a condition of a node.
func conditionOf(n *corev1.Node, kind corev1.NodeConditionType) *corev1.NodeCondition {
	for i := range n.Status.Conditions {
		if n.Status.Conditions[i].Type == kind {
			return &n.Status.Conditions[i]
		}
	}
	return nil
}

func readyOf(n *corev1.Node) *corev1.NodeCondition { return conditionOf(n, corev1.NodeReady) }

// The steps of a look at a node.
const (
	stepReach  = "reach"
	stepStatus = "status"
	stepFresh  = "fresh"
	stepSwap   = "swap"
)

// healthTries is how often a status that could not be written is tried in one pass.
// Models scheduler.NodeHealthUpdateRetry.
const healthTries = 5

// beginHealth looks at one node in a pass.
func (m *ControllerManager) beginHealth(c *sim.Ctx, l *loop) {
	n := m.Nodes[l.Busy]
	if n == nil {
		m.judgedNode(c, l)
		return
	}
	if m.Life.New[l.Busy] && hasTaint(n, unreachable, corev1.TaintEffectNoExecute, notReady) {
		l.Work.Step = stepReach
		m.swap(c, l, nil, []string{unreachable, notReady}, corev1.TaintEffectNoExecute)
		return
	}
	m.judge(c, l, n)
}

// judgedNode ends the look at a node; the last one ends the pass.
func (m *ControllerManager) judgedNode(c *sim.Ctx, l *loop) {
	m.watchOver(c, l.Busy)
	m.finish(c, l, nil)
	m.passed(c)
}

// judge models tryUpdateNodeHealth.
func (m *ControllerManager) judge(c *sim.Ctx, l *loop, n *corev1.Node) {
	life, name := m.Life, n.Name
	h, met := life.Health[name]
	ready := readyOf(n)
	now := c.Now
	if ready == nil && !met {
		// The server's clock wrote it.
		h, met = health{Probe: n.CreationTimestamp.Add(-c.Skew)}, true
	}
	switch {
	case !met:
		m.log(c, 'I', 0, "node_lifecycle_controller.go:869", "Missing timestamp for Node. Assuming now as a timestamp", "node", name)
		h = health{Probe: now, Asked: h.Asked}
	case !h.Posted && ready != nil:
		m.log(c, 'I', 1, "node_lifecycle_controller.go:876", "Creating timestamp entry for newly observed Node", "node", name)
		h = health{Probe: now, Asked: h.Asked}
	case h.Posted && ready == nil:
		m.log(c, 'E', 0, "node_lifecycle_controller.go:883", "ReadyCondition was removed from Status of Node", "node", name)
		h = health{Probe: now, Asked: h.Asked}
	case ready != nil && !h.Beat.Equal(ready.LastHeartbeatTime.Time):
		m.log(c, 'I', 3, "node_lifecycle_controller.go:903", "Node ReadyCondition updated. Updating timestamp", "node", name)
		h = health{Probe: now, Asked: h.Asked}
	}
	observed := corev1.ConditionUnknown
	if h.Posted = ready != nil; h.Posted {
		observed = ready.Status
		h.Beat, h.Turn = ready.LastHeartbeatTime.Time, ready.LastTransitionTime.Time
	}
	b, leased := life.Beats[name]
	_, renewed := b.last(now)
	life.Health[name] = h
	m.recount(name)
	late := m.over(now, name)
	if leased && h.Renewed.Before(renewed) {
		at, _ := b.last(now)
		h.Renewed, h.Probe = renewed, later(h.Probe, m.pass(at))
	}
	life.Health[name] = h
	if late.IsZero() || late.After(now) {
		m.judgedAs(c, l, n, observed)
		return
	}
	next, changed := m.silent(c, n, now.Sub(h.Probe))
	if !changed {
		m.judgedAs(c, l, n, observed)
		return
	}
	l.Work.Step, l.Work.Reason = stepStatus, string(observed)
	m.ask(c, l, "PUT", nodesPath+"/"+name+"/status", next)
}

// silenced are the conditions that nobody tells of when the kubelet does not.
var silenced = []corev1.NodeConditionType{corev1.NodeReady, corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure}

// silent is a node as it is after its grace; it tells whether Ready changed.
func (m *ControllerManager) silent(c *sim.Ctx, n *corev1.Node, silence time.Duration) (*corev1.Node, bool) {
	next := *n
	next.Kind, next.APIVersion = "Node", "v1"
	next.Status.Conditions = slices.Clone(n.Status.Conditions)
	now := metav1.NewTime(c.Clock().UTC().Truncate(time.Second))
	changed := false
	for _, kind := range silenced {
		x := conditionOf(&next, kind)
		if x == nil {
			m.log(c, 'I', 2, "node_lifecycle_controller.go:938", "Condition of node was never updated by kubelet", "nodeConditionType", string(kind), "node", n.Name)
			next.Status.Conditions = append(next.Status.Conditions, corev1.NodeCondition{Type: kind, Status: corev1.ConditionUnknown, Reason: "NodeStatusNeverUpdated",
				Message: "Kubelet never posted node status.", LastHeartbeatTime: n.CreationTimestamp, LastTransitionTime: now})
			changed = changed || kind == corev1.NodeReady
			continue
		}
		m.log(c, 'I', 2, "node_lifecycle_controller.go:948", "Node hasn't been updated", "node", n.Name, "duration", silence, "nodeConditionType", string(kind), "currentCondition", asJSON(x))
		if x.Status == corev1.ConditionUnknown {
			continue
		}
		x.Status, x.Reason, x.Message, x.LastTransitionTime = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.", now
		changed = changed || kind == corev1.NodeReady
	}
	return &next, changed
}

// verbatim is a value that a log shows without quotes.
type verbatim string

// asJSON is how klog shows what is no plain value.
func asJSON(v any) verbatim {
	b, _ := json.Marshal(v)
	return verbatim(b)
}

// healthAnswered goes on with a node.
func (m *ControllerManager) healthAnswered(c *sim.Ctx, l *loop, a answer) {
	w, name := &l.Work, l.Busy
	switch w.Step {
	case stepStatus:
		if a.ok() {
			m.silenceWritten(c, l, a)
			return
		}
		m.log(c, 'E', 0, "node_lifecycle_controller.go:963", "Error updating node", "err", a.err(), "node", name)
		w.Step = stepFresh
		m.ask(c, l, "GET", nodesPath+"/"+name, nil)
	case stepFresh:
		var err string
		if w.Tried = append(w.Tried, 0); !a.ok() {
			m.log(c, 'E', 0, "node_lifecycle_controller.go:705", "Failed while getting a Node to retry updating node health. Probably Node was deleted", "node", name)
			err = a.err()
		} else if len(w.Tried) >= healthTries {
			err = "timed out waiting for the condition"
		}
		n, bad := sim.Decode[corev1.Node](sim.Unmanaged(a.data))
		if err != "" || bad != nil {
			m.log(c, 'E', 0, "node_lifecycle_controller.go:710", "Update health of Node from Controller error, Skipping - no pods will be evicted", "err", err, "node", name)
			m.unwritten(c, l, a)
			return
		}
		m.judge(c, l, n)
	default:
		m.swapped(c, l, a)
	}
}

// silenceWritten: everyone can see now that the node is silent.
func (m *ControllerManager) silenceWritten(c *sim.Ctx, l *loop, a answer) {
	h := m.Life.Health[l.Busy]
	n, err := sim.Decode[corev1.Node](sim.Unmanaged(a.data))
	if err != nil {
		m.judgedNode(c, l)
		return
	}
	if ready := readyOf(n); ready != nil {
		h.Posted, h.Beat, h.Turn = true, ready.LastHeartbeatTime.Time, ready.LastTransitionTime.Time
	}
	if b, ok := m.Life.Beats[l.Busy]; ok {
		_, h.Renewed = b.last(c.Now)
	}
	m.Life.Health[l.Busy] = h
	decide(c, "node/"+l.Busy, nodeLife, "silent", readyOf(n).Reason, readyOf(n).Message)
	m.judgedAs(c, l, n, corev1.ConditionStatus(l.Work.Reason))
}

// unwritten: a real controller tries again in every pass. Here it does so when the
// API server tells something again, or after a while.
func (m *ControllerManager) unwritten(c *sim.Ctx, l *loop, a answer) {
	if wait := m.period(); a.kind != sim.MsgFailed {
		h := m.Life.Health[l.Busy]
		h.Asked = m.pass(c.Now.Add(wait * 12))
		m.Life.Health[l.Busy] = h
		c.Wake(h.Asked, "life 0 "+l.Busy)
	}
	m.finish(c, l, nil)
	m.passed(c)
}

// judgedAs goes on with a node of which it is known whether it is ready, and with what
// was observed before. Models what monitorNodeHealth does with it.
func (m *ControllerManager) judgedAs(c *sim.Ctx, l *loop, n *corev1.Node, observed corev1.ConditionStatus) {
	ready, name := readyOf(n), l.Busy
	h := m.Life.Health[name]
	status := corev1.ConditionStatus("")
	if ready != nil {
		status = ready.Status
	}
	if h.Status != status {
		h.Status = status
		m.Life.Health[name], m.Life.Turned = h, true
		m.recount(name)
	}
	if ready == nil {
		m.judgedNode(c, l)
		return
	}
	if status != corev1.ConditionTrue && observed == corev1.ConditionTrue {
		m.log(c, 'I', 2, "controller_utils.go:186", "Recording status change event message for node", "status", "NodeNotReady", "node", name)
		m.record(c, nodeRef(name, string(n.UID)), corev1.EventTypeNormal, "NodeNotReady", "Node "+name+" status is now: NodeNotReady")
		m.podsNotReady(c, name)
	}
	if status == corev1.ConditionTrue {
		if hasTaint(n, unreachable, corev1.TaintEffectNoExecute, notReady) {
			l.Work.Step = stepSwap
			m.swap(c, l, nil, []string{unreachable, notReady}, corev1.TaintEffectNoExecute)
			return
		}
		m.reached(c, n)
		m.judgedNode(c, l)
		return
	}
	want, other := taintFor(status)
	switch {
	case hasTaint(n, other, corev1.TaintEffectNoExecute):
		l.Work.Step = stepSwap
		m.swap(c, l, []string{want}, []string{other}, corev1.TaintEffectNoExecute)
		return
	case !hasTaint(n, want, corev1.TaintEffectNoExecute):
		m.toTaint(c, n, status)
	}
	m.judgedNode(c, l)
}

// podsNotReady says of all pods of a node that they are not. Models
// pkg/controller/util/node MarkPodsNotReady.
func (m *ControllerManager) podsNotReady(c *sim.Ctx, node string) {
	m.log(c, 'I', 2, "controller_utils.go:123", "Update ready status of pods on node", "node", node)
	have := map[string]bool{}
	keysOf(m.Pods, have)
	for _, key := range sorted(have) {
		if p := m.Pods[key]; p.Spec.NodeName == node {
			m.podNotReady(c, key, p)
		}
	}
}

func (m *ControllerManager) podNotReady(c *sim.Ctx, key string, p *corev1.Pod) {
	i := slices.IndexFunc(p.Status.Conditions, func(x corev1.PodCondition) bool { return x.Type == corev1.PodReady })
	if i < 0 || p.Status.Conditions[i].Status == corev1.ConditionFalse {
		return
	}
	m.log(c, 'I', 2, "controller_utils.go:144", "Updating ready status of pod to false", "pod", key)
	n := *p
	n.Kind, n.APIVersion = "Pod", "v1"
	n.Status.Conditions = slices.Clone(p.Status.Conditions)
	n.Status.Conditions[i].Status, n.Status.Conditions[i].LastTransitionTime = corev1.ConditionFalse, metav1.NewTime(c.Clock().UTC().Truncate(time.Second))
	m.send(c, m.Clients[m.Life.Client], exchange{To: "pod", Name: key}, "PUT", "/api/v1/namespaces/"+p.Namespace+"/pods/"+p.Name+"/status", &n)
}

// podMarked: the event follows the change.
func (m *ControllerManager) podMarked(c *sim.Ctx, a answer) {
	p := m.Pods[a.Name]
	if a.code == 404 || p == nil || m.Life == nil {
		return
	}
	if !a.ok() {
		m.log(c, 'I', 0, "controller_utils.go:151", "Failed to update status for pod", "pod", a.Name, "err", a.err())
	}
	m.record(c, corev1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: p.Namespace, Name: p.Name, UID: p.UID, ResourceVersion: p.ResourceVersion},
		corev1.EventTypeWarning, "NodeNotReady", "Node is not ready")
}

// podChanged takes a pod from the watch: one that comes to a node that is not ready
// is not either.
func (m *ControllerManager) podChanged(c *sim.Ctx, object json.RawMessage) string {
	p, err := sim.Decode[corev1.Pod](sim.Unmanaged(object))
	if err != nil {
		return ""
	}
	key := p.Namespace + "/" + p.Name
	old := m.Pods[key]
	m.Pods[key] = p
	if m.Life == nil || p.Spec.NodeName == "" || old != nil && old.Spec.NodeName == p.Spec.NodeName {
		return key
	}
	if h, met := m.Life.Health[p.Spec.NodeName]; met && h.Status != "" && h.Status != corev1.ConditionTrue {
		m.podNotReady(c, key, p)
	}
	return key
}
