package controllers

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

const (
	notReady    = corev1.TaintNodeNotReady
	unreachable = corev1.TaintNodeUnreachable
)

// conditionTaints are the taints of conditions, NoSchedule. Models
// nodeConditionToTaintKeyStatusMap.
var conditionTaints = []struct {
	kind   corev1.NodeConditionType
	status corev1.ConditionStatus
	key    string
}{
	{corev1.NodeReady, corev1.ConditionFalse, notReady},
	{corev1.NodeReady, corev1.ConditionUnknown, unreachable},
	{corev1.NodeMemoryPressure, corev1.ConditionTrue, corev1.TaintNodeMemoryPressure},
	{corev1.NodeDiskPressure, corev1.ConditionTrue, corev1.TaintNodeDiskPressure},
	{corev1.NodeNetworkUnavailable, corev1.ConditionTrue, corev1.TaintNodeNetworkUnavailable},
	{corev1.NodePIDPressure, corev1.ConditionTrue, corev1.TaintNodePIDPressure},
}

// hasTaint tells whether a node has a taint with one of some keys.
func hasTaint(n *corev1.Node, key string, effect corev1.TaintEffect, more ...string) bool {
	return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool {
		return t.Effect == effect && (t.Key == key || slices.Contains(more, t.Key))
	})
}

// taintFor is the NoExecute taint of a node that is not ready, and the one that it must
// not have beside it.
func taintFor(status corev1.ConditionStatus) (want, other string) {
	if status == corev1.ConditionFalse {
		return notReady, unreachable
	}
	return unreachable, notReady
}

// taintNode keeps a node's NoSchedule taints as its conditions are. Models
// doNoScheduleTaintingPass.
func (m *ControllerManager) taintNode(c *sim.Ctx, l *loop) {
	n := m.Nodes[l.Busy]
	if n == nil {
		m.finish(c, l, nil)
		return
	}
	want := map[string]bool{}
	if n.Spec.Unschedulable {
		want[corev1.TaintNodeUnschedulable] = true
	}
	managed := []string{corev1.TaintNodeUnschedulable}
	for _, x := range conditionTaints {
		managed = append(managed, x.key)
		if s := conditionOf(n, x.kind); s != nil && s.Status == x.status {
			want[x.key] = true
		}
	}
	var add, drop []string
	for _, t := range n.Spec.Taints {
		if t.Effect != corev1.TaintEffectNoSchedule || !slices.Contains(managed, t.Key) {
			continue
		}
		if !want[t.Key] {
			drop = append(drop, t.Key)
		}
		delete(want, t.Key)
	}
	if add = sorted(want); len(add)+len(drop) == 0 {
		m.finish(c, l, nil)
		return
	}
	m.swap(c, l, add, drop, corev1.TaintEffectNoSchedule)
}

// swap gives a node taints and takes others away: it reads the Node and writes its
// taints, first with those to add, then without those to drop. Models
// pkg/controller/util/node SwapNodeControllerTaint.
func (m *ControllerManager) swap(c *sim.Ctx, l *loop, add, drop []string, effect corev1.TaintEffect) {
	w := &l.Work
	w.Todo, w.Content, w.Rule, w.Said, w.Tried = add, drop, string(effect), "", nil
	m.swapNext(c, l)
}

// swapNext reads the Node for what is to be done next, or ends.
func (m *ControllerManager) swapNext(c *sim.Ctx, l *loop) {
	w := &l.Work
	if w.Said == "" && len(w.Todo) == 0 {
		w.Said = "drop"
	}
	n := m.Nodes[l.Busy]
	if w.Said == "drop" && (n == nil || !slices.ContainsFunc(w.Content, func(key string) bool { return hasTaint(n, key, corev1.TaintEffect(w.Rule)) })) {
		m.swapDone(c, l, "")
		return
	}
	query := "?resourceVersion=0"
	if len(w.Tried) > 0 {
		query = ""
	}
	m.ask(c, l, "GET", nodesPath+"/"+l.Busy+query, nil)
}

// taintTries is how often taints are written when somebody else changed the Node
// meanwhile. Models pkg/controller UpdateTaintBackoff.
const taintTries = 5

// swapped goes on with an answer.
func (m *ControllerManager) swapped(c *sim.Ctx, l *loop, a answer) {
	w := &l.Work
	effect := corev1.TaintEffect(w.Rule)
	switch {
	case a.code == 409 && a.Method == "PATCH" && len(w.Tried) < taintTries-1:
		w.Tried = append(w.Tried, 0)
		m.swapNext(c, l)
		return
	case !a.ok():
		m.swapDone(c, l, a.err())
		return
	}
	if a.Method == "GET" {
		n, err := sim.Decode[corev1.Node](sim.Unmanaged(a.data))
		if err != nil {
			m.swapDone(c, l, err.Error())
			return
		}
		if taints, changed := swapTaints(n.Spec.Taints, w.Said, w.Todo, w.Content, effect, metav1.NewTime(c.Clock().UTC().Truncate(time.Second))); changed {
			var list any
			if len(taints) > 0 {
				list = taints
			}
			m.ask(c, l, "PATCH", nodesPath+"/"+l.Busy, map[string]any{"metadata": map[string]any{"resourceVersion": n.ResourceVersion}, "spec": map[string]any{"taints": list}})
			return
		}
	}
	if w.Said == "" {
		m.log(c, 'I', 4, "controller_utils.go:211", "Added taint to node", "taint", taintsText(w.Todo, effect), "node", l.Busy)
		w.Said, w.Tried = "drop", nil
		m.swapNext(c, l)
		return
	}
	m.log(c, 'I', 4, "controller_utils.go:223", "Made sure that node has no taint", "node", l.Busy, "taint", taintsText(w.Content, effect))
	m.swapDone(c, l, "")
}

func taintsText(keys []string, effect corev1.TaintEffect) verbatim {
	list := []corev1.Taint{}
	for _, key := range keys {
		list = append(list, corev1.Taint{Key: key, Effect: effect})
	}
	return asJSON(list)
}

// swapTaints are a node's taints with some more, or without some.
func swapTaints(have []corev1.Taint, step string, add, drop []string, effect corev1.TaintEffect, now metav1.Time) (out []corev1.Taint, changed bool) {
	if step == "drop" {
		out = slices.DeleteFunc(slices.Clone(have), func(t corev1.Taint) bool { return t.Effect == effect && slices.Contains(drop, t.Key) })
		return out, len(out) != len(have)
	}
	out = slices.Clone(have)
	for _, key := range add {
		if !slices.ContainsFunc(out, func(t corev1.Taint) bool { return t.Effect == effect && t.Key == key }) {
			out, changed = append(out, corev1.Taint{Key: key, Effect: effect, TimeAdded: &now}), true
		}
	}
	return out, changed
}

// swapDone goes on with what the taints were changed for.
func (m *ControllerManager) swapDone(c *sim.Ctx, l *loop, why string) {
	w, name := &l.Work, l.Busy
	if why != "" {
		m.log(c, 'E', 0, "controller_utils.go:205", "Unhandled Error", "err", fmt.Sprintf("unable to taint %s unresponsive Node %q: %s", taintsText(slices.Concat(w.Todo, w.Content), corev1.TaintEffect(w.Rule)), name, why), "logger", "UnhandledError")
	}
	n := m.Nodes[name]
	switch {
	case l.Kind == kindNodeTaint:
		if why != "" {
			m.log(c, 'E', 0, "node_lifecycle_controller.go:510", "Failed to taint NoSchedule on node, requeue it", "err", "failed to swap taints of node "+name, "node", name)
		}
		m.finish(c, l, nil)
	case l.Kind == kindNodeEvict:
		if why != "" && n != nil {
			m.toTaintAgain(c, n)
		}
		m.finish(c, l, nil)
	case n == nil:
		m.judgedNode(c, l)
	case w.Step == stepReach:
		m.judge(c, l, n)
	default:
		if ready := readyOf(n); ready != nil && ready.Status == corev1.ConditionTrue {
			m.reached(c, n)
		}
		m.judgedNode(c, l)
	}
}

// zone is one of the failure domains that nodes are in. Rate is how many of its nodes
// may be tainted NoExecute in 1,000 seconds, Free when the next one may; Queue are
// those that wait. Models scheduler.RateLimitedTimedQueue with its burst of 1.
type zone struct {
	State string    `json:"state"`
	Rate  int64     `json:"rate,omitempty"`
	Free  time.Time `json:"free,omitzero"`
	Queue []string  `json:"queue,omitempty"`
	Asked time.Time `json:"asked,omitzero"`
}

// The states of a zone.
const (
	zoneInitial = "Initial"
	zoneNormal  = "Normal"
	zoneFull    = "FullDisruption"
	zonePartial = "PartialDisruption"
)

// zoneOf is a node's zone. Models k8s.io/component-helpers/node/topology GetZoneKey.
func zoneOf(n *corev1.Node) string {
	region := cmp.Or(n.Labels[corev1.LabelTopologyRegion], n.Labels[corev1.LabelFailureDomainBetaRegion])
	name := cmp.Or(n.Labels[corev1.LabelTopologyZone], n.Labels[corev1.LabelFailureDomainBetaZone])
	if region == "" && name == "" {
		return ""
	}
	return region + ":\x00:" + name
}

// perThousand is a rate of a flag.
func perThousand(rate float32) int64 { return int64(float64(rate)*1000 + 0.5) }

func (m *ControllerManager) newZone(c *sim.Ctx, name string) {
	if _, ok := m.Life.Zones[name]; ok {
		return
	}
	m.Life.Zones[name] = zone{State: zoneInitial, Rate: perThousand(m.Flags.Evict), Free: c.Now}
	m.log(c, 'I', 0, "node_lifecycle_controller.go:1217", "Initializing eviction metric for zone", "zone", name)
}

// toTaint queues a node for its NoExecute taint. A real controller says so in each
// pass until the node has it.
func (m *ControllerManager) toTaint(c *sim.Ctx, n *corev1.Node, status corev1.ConditionStatus) {
	line, words := "node_lifecycle_controller.go:787", "Node is unresponsive. Adding it to the Taint queue"
	if status == corev1.ConditionFalse {
		line, words = "node_lifecycle_controller.go:777", "Node is NotReady. Adding it to the Taint queue"
	}
	m.log(c, 'I', 2, line, words, "node", n.Name, "timeStamp", c.Clock().String())
	m.toTaintAgain(c, n)
}

func (m *ControllerManager) toTaintAgain(c *sim.Ctx, n *corev1.Node) {
	key := zoneOf(n)
	z := m.Life.Zones[key]
	if !slices.Contains(z.Queue, n.Name) {
		z.Queue = append(slices.Clip(z.Queue), n.Name)
		m.Life.Zones[key] = z
	}
	m.evictLater(c, key)
}

// reached: a node is ready, so nothing is to be tainted.
func (m *ControllerManager) reached(c *sim.Ctx, n *corev1.Node) {
	key := zoneOf(n)
	z := m.Life.Zones[key]
	waits := slices.Contains(z.Queue, n.Name)
	if waits {
		z.Queue = slices.DeleteFunc(slices.Clone(z.Queue), func(name string) bool { return name == n.Name })
		m.Life.Zones[key] = z
	}
	if waits || hasTaint(n, unreachable, corev1.TaintEffectNoExecute, notReady) {
		m.log(c, 'I', 2, "node_lifecycle_controller.go:795", "Node is healthy again, removed all taints", "node", n.Name)
	}
}

// evictionPeriod is how often the queues are looked at. Models
// scheduler.NodeEvictionPeriod.
const evictionPeriod = 100 * time.Millisecond

// evictLater sets the timer of a zone's queue.
func (m *ControllerManager) evictLater(c *sim.Ctx, key string) {
	z := m.Life.Zones[key]
	if len(z.Queue) == 0 || z.Rate <= 0 {
		return
	}
	at := later(c.Now.Add(evictionPeriod), z.Free)
	if z.Asked.After(c.Now) && !at.Before(z.Asked) {
		return
	}
	z.Asked = at
	m.Life.Zones[key] = z
	c.Wake(at, "evict 0 "+key)
}

// evict gives the first node of a zone's queue its NoExecute taint. Models
// doNoExecuteTaintingPass.
func (m *ControllerManager) evict(c *sim.Ctx, key string) {
	z := m.Life.Zones[key]
	if z.Asked.After(c.Now) {
		return
	}
	z.Asked = time.Time{}
	if len(z.Queue) == 0 || z.Rate <= 0 || z.Free.After(c.Now) {
		m.Life.Zones[key] = z
		m.evictLater(c, key)
		return
	}
	name := z.Queue[0]
	z.Queue = slices.Clone(z.Queue[1:])
	z.Free = c.Now.Add(1000 * time.Second / time.Duration(z.Rate))
	m.Life.Zones[key] = z
	if m.Nodes[name] == nil {
		m.log(c, 'I', 0, "node_lifecycle_controller.go:608", "Node no longer present in nodeLister", "node", name)
	} else {
		m.each(c, kindNodeEvict, name)
	}
	m.evictLater(c, key)
}

// evictNode does it for a node, or, when nothing is evicted, takes such taints away.
func (m *ControllerManager) evictNode(c *sim.Ctx, l *loop) {
	name := l.Busy
	n := m.Nodes[name]
	if n == nil || readyOf(n) == nil {
		m.finish(c, l, nil)
		return
	}
	if m.calm() {
		m.swap(c, l, nil, []string{unreachable, notReady}, corev1.TaintEffectNoExecute)
		return
	}
	if readyOf(n).Status == corev1.ConditionTrue {
		m.log(c, 'I', 4, "node_lifecycle_controller.go:633", "Node was in a taint queue, but it's ready now. Ignoring taint request", "node", name)
		m.finish(c, l, nil)
		return
	}
	want, other := taintFor(readyOf(n).Status)
	m.swap(c, l, []string{want}, []string{other}, corev1.TaintEffectNoExecute)
}

// calm: all zones are in full disruption, so that nothing is evicted.
func (m *ControllerManager) calm() bool {
	for _, z := range m.Life.Zones {
		if z.State != zoneFull {
			return false
		}
	}
	return true
}

// excluded is the label of nodes that don't count for a zone's state.
const excluded = "node.kubernetes.io/exclude-disruption"

// tally counts the nodes of each zone that are ready and those that are not. It is kept
// up with each node, because a cluster of thousands is looked at with each that joins.
type tally struct {
	of          map[string]counted
	ready, sick map[string]int // by zone
}

// counted is what a node counts as.
type counted struct {
	zone  string
	ready bool
}

// recount counts a node as it is now.
func (m *ControllerManager) recount(name string) {
	if m.Life == nil || m.Life.tally == nil {
		return
	}
	t := m.Life.tally
	add := func(is counted, by int) {
		if is.ready {
			t.ready[is.zone] += by
		} else {
			t.sick[is.zone] += by
		}
	}
	if was, ok := t.of[name]; ok {
		add(was, -1)
		delete(t.of, name)
	}
	n := m.Nodes[name]
	if _, known := m.Life.Known[name]; !known || n == nil {
		return
	}
	if _, out := n.Labels[excluded]; out {
		return
	}
	t.of[name] = counted{zoneOf(n), m.Life.Health[name].Status == corev1.ConditionTrue}
	add(t.of[name], 1)
}

// disruption looks how many nodes of each zone are ready, and changes how fast those
// that are not are tainted. Models handleDisruption.
func (m *ControllerManager) disruption(c *sim.Ctx) {
	l := m.Life
	if l.tally == nil {
		l.tally = &tally{of: map[string]counted{}, ready: map[string]int{}, sick: map[string]int{}}
		for name := range l.Known {
			m.recount(name)
		}
	}
	ready, sick := l.tally.ready, l.tally.sick
	states := map[string]string{}
	now, before := true, true // all zones are, or were, in full disruption
	for key := range l.Zones {
		if ready[key]+sick[key] == 0 {
			continue
		}
		states[key] = m.zoneState(ready[key], sick[key])
		now = now && states[key] == zoneFull
	}
	zones := slices.Sorted(maps.Keys(l.Zones))
	for _, key := range zones {
		if states[key] == "" {
			delete(l.Zones, key)
		} else {
			before = before && l.Zones[key].State == zoneFull
		}
	}
	if now && before {
		return
	}
	switch {
	case now:
		m.log(c, 'I', 0, "node_lifecycle_controller.go:1021", "Controller detected that all Nodes are not-Ready. Entering master disruption mode")
	case before:
		m.log(c, 'I', 0, "node_lifecycle_controller.go:1040", "Controller detected that some Nodes are Ready. Exiting master disruption mode")
		for name, h := range l.Health {
			h.Probe = c.Now
			l.Health[name] = h
		}
	}
	for _, key := range zones {
		z, ok := l.Zones[key]
		if !ok || z.State == states[key] && !now && !before {
			continue
		}
		if !now && !before {
			m.log(c, 'I', 0, "node_lifecycle_controller.go:1063", "Controller detected that zone is now in new state", "zone", key, "newState", states[key])
		}
		z.State = states[key]
		l.Zones[key] = m.limited(c, z, m.rate(states[key], ready[key]+sick[key], now))
		m.evictLater(c, key)
	}
	if now {
		for _, name := range sorted(namesOf(m.Nodes)) {
			if hasTaint(m.Nodes[name], unreachable, corev1.TaintEffectNoExecute, notReady) {
				m.each(c, kindNodeEvict, name)
			}
		}
	}
}

func namesOf[V any](all map[string]V) map[string]bool {
	out := map[string]bool{}
	keysOf(all, out)
	return out
}

// zoneState models ComputeZoneState.
func (m *ControllerManager) zoneState(ready, sick int) string {
	switch {
	case ready == 0 && sick > 0:
		return zoneFull
	case sick > 2 && float32(sick)/float32(sick+ready) >= m.Flags.Unhealthy:
		return zonePartial
	}
	return zoneNormal
}

// rate is how many nodes of a zone of some size may be tainted in 1,000 s.
func (m *ControllerManager) rate(state string, size int, all bool) int64 {
	switch {
	case all:
		return 0
	case state != zonePartial:
		return perThousand(m.Flags.Evict)
	case size > int(m.Flags.Large):
		return perThousand(m.Flags.EvictLess)
	}
	return 0
}

// limited gives a zone's queue another rate. Who had to wait before has to wait now
// (recorded: i/50, the taints of two nodes 10 and 20 s after another one was ready).
// Models RateLimitedTimedQueue.SwapLimiter.
func (m *ControllerManager) limited(c *sim.Ctx, z zone, rate int64) zone {
	if z.Rate == rate {
		return z
	}
	waits := z.Rate <= 0 || z.Free.After(c.Now)
	if z.Rate, z.Free = rate, c.Now; waits && rate > 0 {
		z.Free = c.Now.Add(1000 * time.Second / time.Duration(rate))
	}
	return z
}
