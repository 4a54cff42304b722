package controllers

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// nodeLife is the controller that says of a node whose kubelet is not heard of that it
// is not ready. Models pkg/controller/nodelifecycle/node_lifecycle_controller.go.
//
// A real one goes over all nodes every --node-monitor-period, for years. Here a pass
// looks at those of which something was seen, and at those whose grace is over; all
// passes are whole periods after the first. A Lease whose renewals are folded is shown
// by the watch once, with how it goes on (beat), and again when that ends.
const nodeLife = "node-lifecycle-controller"

// lifecycle is the state of the controller.
type lifecycle struct {
	Client int `json:"client"`
	// Began is the first pass; zero until the caches are filled.
	Began time.Time `json:"began,omitzero"`
	// Beats are the Leases of nodes, Health what was seen of each node, which outlasts
	// it as upstream. Known are the nodes that a pass has met, by name their UID.
	Beats  map[string]beat   `json:"beats"`
	Health map[string]health `json:"health"`
	Known  map[string]string `json:"known"`
	// Look are the nodes of the next pass, Next its time; New are those that the present
	// pass meets for the first time. Turned: one of them is otherwise than before.
	Look   map[string]bool `json:"look"`
	New    map[string]bool `json:"new"`
	Next   time.Time       `json:"next,omitzero"`
	Turned bool            `json:"turned,omitempty"`
	Zones  map[string]zone `json:"zones"`
	Events recorder        `json:"events"`

	tally *tally // follows from the rest; nil until it is counted
}

// beat is a node's Lease as the watch last showed it: a renewal that came At, with the
// time Renewed in it, by the node's clock. With Every the same comes again every so
// often, and no later than Until, if that is set.
type beat struct {
	At      time.Time     `json:"at"`
	Renewed time.Time     `json:"renewed"`
	Every   time.Duration `json:"every,omitempty"`
	Until   time.Time     `json:"until,omitzero"`
}

// last is the last renewal up to a time.
func (b beat) last(now time.Time) (at, renewed time.Time) {
	if !b.Until.IsZero() && now.After(b.Until) {
		now = b.Until
	}
	if b.Every <= 0 || now.Before(b.At) {
		return b.At, b.Renewed
	}
	passed := now.Sub(b.At) / b.Every * b.Every
	return b.At.Add(passed), b.Renewed.Add(passed)
}

// health is what is remembered of a node.
type health struct {
	// Probe is the pass that last saw a sign of life, which is a renewal or a report of
	// the status. A node's own clock does not matter.
	Probe time.Time `json:"probe"`
	// Renewed is the time in the newest Lease seen. Posted: there was a condition Ready,
	// with the heartbeat Beat and the transition Turn.
	Renewed time.Time `json:"renewed,omitzero"`
	Posted  bool      `json:"posted,omitempty"`
	Beat    time.Time `json:"beat,omitzero"`
	Turn    time.Time `json:"turn,omitzero"`
	// Status is that of the condition as the controller left it, Asked the time of the
	// timer that looks whether the grace is over.
	Status corev1.ConditionStatus `json:"status,omitempty"`
	Asked  time.Time              `json:"asked,omitzero"`
}

func (l *lifecycle) clone() *lifecycle {
	if l == nil {
		return nil
	}
	n := *l
	n.Beats, n.Health, n.Known, n.Look, n.New, n.Zones = maps.Clone(l.Beats), maps.Clone(l.Health), maps.Clone(l.Known), maps.Clone(l.Look), maps.Clone(l.New), maps.Clone(l.Zones)
	n.Events, n.tally = l.Events.clone(), nil
	return &n
}

func (m *ControllerManager) startLife(c *sim.Ctx) {
	cl := m.addClient(nodeLife)
	m.Life = &lifecycle{Client: cl.Index, Beats: map[string]beat{}, Health: map[string]health{}, Known: map[string]string{}, Look: map[string]bool{}, New: map[string]bool{}, Zones: map[string]zone{}, Events: recorder{Seen: map[string]seenEvent{}, Unsent: map[int]unsent{}}}
	m.log(c, 'I', 0, "node_lifecycle_controller.go:402", "Controller will reconcile labels")
	m.log(c, 'I', 0, "node_lifecycle_controller.go:436", "Sending events to api server")
	m.log(c, 'I', 0, "node_lifecycle_controller.go:443", "Starting node controller")
	m.loop(&loop{Name: "node_lifecycle_controller", Kind: kindNodeTaint, Controller: nodeLife}, cl)
	m.loop(&loop{Name: "node_lifecycle_health", Kind: kindNodeHealth, Controller: nodeLife}, cl)
	m.loop(&loop{Name: "node_lifecycle_evictor", Kind: kindNodeEvict, Controller: nodeLife}, cl)
	m.addFeed(c, "leases", era.Path(m.era(), "coordination.k8s.io", "leases"))
	m.addFeed(c, "pods", "/api/v1/pods")
	m.addFeed(c, "nodes", nodesPath)
}

const nodesPath = "/api/v1/nodes"

// period is the time between two passes.
func (m *ControllerManager) period() time.Duration {
	return max(m.Flags.NodePeriod, time.Millisecond)
}

// pass is the first one at or after a time.
func (m *ControllerManager) pass(t time.Time) time.Time {
	l, every := m.Life, m.period()
	if !t.After(l.Began) {
		return l.Began
	}
	return l.Began.Add((t.Sub(l.Began) + every - 1) / every * every)
}

// beginLife is the first pass, over all nodes.
func (m *ControllerManager) beginLife(c *sim.Ctx) {
	l := m.Life
	if l == nil || !l.Began.IsZero() {
		return
	}
	l.Began = c.Now
	for name := range m.Nodes {
		l.Look[name] = true
	}
	m.passSoon(c)
}

// passSoon asks for the next pass.
func (m *ControllerManager) passSoon(c *sim.Ctx) {
	l := m.Life
	if l.Began.IsZero() {
		return
	}
	at := m.pass(c.Now)
	if l.Next.Equal(at) {
		return
	}
	l.Next = at
	c.Wake(at, "life")
}

// leaseSeen takes a node's Lease.
func (m *ControllerManager) leaseSeen(c *sim.Ctx, kind string, object json.RawMessage, f sim.Folding) string {
	l, err := sim.Decode[coordv1.Lease](sim.Unmanaged(object))
	if err != nil || m.Life == nil || l.Namespace != corev1.NamespaceNodeLease {
		return ""
	}
	name := l.Name
	if kind == "DELETED" {
		delete(m.Life.Beats, name)
		return ""
	}
	if l.Spec.RenewTime == nil {
		return name
	}
	old, was := m.Life.Beats[name]
	b := beat{At: c.Now.Add(-f.Ago), Renewed: l.Spec.RenewTime.Time, Every: f.Every}
	if f.Left > 0 {
		b.Until = c.Now.Add(f.Left)
	}
	if was && f.Every == 0 {
		// It ended: the last of those that were not shown came when its time says.
		if at, renewed := old.last(c.Now); !renewed.Before(b.Renewed) {
			b.At = at.Add(b.Renewed.Sub(renewed))
		}
	}
	m.Life.Beats[name] = b
	m.watchOver(c, name)
	return name
}

// leasesLost: nothing is heard of Leases any more, so no renewal is seen.
func (m *ControllerManager) leasesLost(c *sim.Ctx) {
	if m.Life == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.Life.Beats)) {
		b := m.Life.Beats[name]
		b.At, b.Renewed = b.last(c.Now)
		b.Every, b.Until = 0, time.Time{}
		m.Life.Beats[name] = b
		m.watchOver(c, name)
	}
}

// grace is how long a node may be silent: longer, before it has posted a status.
func (m *ControllerManager) grace(n *corev1.Node) time.Duration {
	if readyOf(n) == nil {
		return m.Flags.NodeStartup
	}
	return m.Flags.NodeGrace
}

// over is the pass that finds the grace of a node over if nothing more is heard of
// it than is known now; zero when enough is.
//
// A pass is a little later than a whole number of periods after the one before (the
// next period begins when a pass has ended), so that a grace of ten periods is over at
// the tenth (recorded: i/50, node-c).
func (m *ControllerManager) over(now time.Time, name string) time.Time {
	l := m.Life
	h, b, n := l.Health[name], l.Beats[name], m.Nodes[name]
	every := m.period()
	grace := (m.grace(n) + every - 1) / every * every
	last, renewed := b.last(now)
	probe, counts := h.Probe, !b.At.IsZero() && h.Renewed.Before(renewed)
	if counts {
		probe = later(probe, m.pass(last))
	}
	end := probe.Add(grace)
	if b.Every <= 0 {
		return end
	}
	next := last.Add(b.Every)
	if !counts {
		// A node's clock went back: renewals count again from where it was.
		next = next.Add((h.Renewed.Sub(renewed)) / b.Every * b.Every)
	}
	switch {
	case next.After(end), !b.Until.IsZero() && next.After(b.Until):
		return end
	case b.Every > grace:
		return m.pass(next).Add(grace)
	case b.Until.IsZero():
		return time.Time{}
	}
	final, _ := b.last(b.Until)
	return m.pass(final).Add(grace)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// watchOver sets the timer that looks whether the grace of a node is over, if there
// is none that is early enough.
func (m *ControllerManager) watchOver(c *sim.Ctx, name string) {
	l := m.Life
	h, met := l.Health[name]
	if !met || m.Nodes[name] == nil || h.Status == corev1.ConditionUnknown {
		return
	}
	at := m.over(c.Now, name)
	if at.IsZero() || !h.Asked.IsZero() && !at.Before(h.Asked) {
		return
	}
	h.Asked = later(at, c.Now)
	l.Health[name] = h
	c.Wake(h.Asked, "life 0 "+name)
}

// graceOver is that timer.
func (m *ControllerManager) graceOver(c *sim.Ctx, name string) {
	l := m.Life
	h, met := l.Health[name]
	if !met || h.Asked.After(c.Now) {
		return
	}
	h.Asked = time.Time{}
	l.Health[name] = h
	if m.Nodes[name] == nil || h.Status == corev1.ConditionUnknown {
		return
	}
	if at := m.over(c.Now, name); at.IsZero() || at.After(c.Now) {
		m.watchOver(c, name)
		return
	}
	l.Look[name] = true
	m.passSoon(c)
}

// nodeChanged takes a Node from the watch.
func (m *ControllerManager) nodeChanged(c *sim.Ctx, object json.RawMessage) string {
	n, err := sim.Decode[corev1.Node](sim.Unmanaged(object))
	if err != nil {
		return ""
	}
	if old := m.Nodes[n.Name]; old != nil && old.UID == n.UID && old.ResourceVersion == n.ResourceVersion {
		return n.Name
	}
	m.Nodes[n.Name] = n
	m.recount(n.Name)
	m.lookAt(c, n.Name)
	m.each(c, kindNodeTaint, n.Name)
	return n.Name
}

func (m *ControllerManager) nodeGone(c *sim.Ctx, name string) {
	delete(m.Nodes, name)
	m.recount(name)
	m.lookAt(c, name)
}

func (m *ControllerManager) lookAt(c *sim.Ctx, name string) {
	if m.Life != nil {
		m.Life.Look[name] = true
		m.passSoon(c)
	}
}

// monitor is one pass. Models monitorNodeHealth.
func (m *ControllerManager) monitor(c *sim.Ctx) {
	l := m.Life
	if l == nil || l.Next.After(c.Now) || l.Next.IsZero() {
		return
	}
	l.Next = time.Time{}
	if m.judging() {
		// The one before waits for answers.
		l.Next = m.pass(c.Now.Add(1))
		c.Wake(l.Next, "life")
		return
	}
	names := sorted(l.Look)
	clear(l.Look)
	var present []string
	for _, name := range names {
		n := m.Nodes[name]
		if uid, known := l.Known[name]; known && n == nil {
			m.log(c, 'I', 1, "node_lifecycle_controller.go:679", "Controller observed a Node deletion", "node", name)
			m.nodeEvent(c, name, uid, "RemovingNode", "Removing Node "+name+" from Controller")
			delete(l.Known, name)
			l.Turned = true
			m.recount(name)
		}
		if n == nil {
			continue
		}
		present = append(present, name)
		if _, known := l.Known[name]; !known {
			m.log(c, 'I', 1, "node_lifecycle_controller.go:671", "Controller observed a new Node", "node", name)
			m.nodeEvent(c, name, string(n.UID), "RegisteredNode", "Registered Node "+name+" in Controller")
			l.Known[name], l.New[name], l.Turned = string(n.UID), true, true
			m.recount(name)
		}
		m.newZone(c, zoneOf(n))
	}
	for _, name := range present {
		m.each(c, kindNodeHealth, name)
	}
	m.passed(c)
}

// judging tells whether a pass goes on.
func (m *ControllerManager) judging() bool {
	return slices.ContainsFunc(m.Loops, func(l *loop) bool {
		return l.Kind == kindNodeHealth && (len(l.Jobs) > 0 || len(l.Queue) > 0 || l.Busy != "")
	})
}

// passed ends a pass, when all its nodes are judged.
func (m *ControllerManager) passed(c *sim.Ctx) {
	if m.judging() {
		return
	}
	clear(m.Life.New)
	if m.Life.Turned {
		m.Life.Turned = false
		m.disruption(c)
	}
}
