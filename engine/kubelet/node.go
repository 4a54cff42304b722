package kubelet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// When the node's own requests begin, counted from the start (recorded:
// c/kubelet-audit.json).
const (
	registerAfter = 375 * time.Millisecond
	leaseAfter    = 251 * time.Millisecond
)

// statusBackoff is the wait between reports of the node's status that failed.
var statusBackoff = era.Backoff{First: 10 * time.Second, Factor: 1, Max: 10 * time.Second}

// registration is how far the Node is.
type registration struct {
	Done bool `json:"done,omitempty"`
	// Seen: its own watch showed the Node. Tries counts status reports that failed
	// in a row.
	Seen  bool `json:"seen,omitempty"`
	Tries int  `json:"tries,omitempty"`
	// Bare: the Node that was there does not tell what this machine is and has.
	// Moved: it has other addresses or another port.
	// Contested counts how often somebody else gave it others since.
	Bare      bool   `json:"bare,omitempty"`
	Moved     bool   `json:"moved,omitempty"`
	Contested int    `json:"contested,omitempty"`
	UID       string `json:"uid,omitempty"`
	Retry     retry  `json:"retry"`
	Status    retry  `json:"status"`
	// Faults counts looks that could not tell the node's addresses, in a row.
	Faults int `json:"faults,omitempty"`
	// Beat is when the status was written last, where that is the heartbeat. Met:
	// somebody else changed the Node since; Crowded counts heartbeats in a row before
	// which that happened.
	Beat    time.Time `json:"beat,omitzero"`
	Met     bool      `json:"met,omitempty"`
	Crowded int       `json:"crowded,omitempty"`
	// Refused: the creation was forbidden, so the Node is looked for.
	Refused bool `json:"refused,omitempty"`
}

const nodesPath = "/api/v1/nodes"

// register tries to create the Node.
func (k *Kubelet) register(c *sim.Ctx) {
	if k.Reg.Done || !k.Flags.RegisterNode || k.Held == useServing {
		return
	}
	k.checkAddress(c)
	k.log(c, lineRegister, "node", k.Node)
	k.send(c, "node.create", connAPI, "POST", nodesPath, k.object(c, false))
}

func (k *Kubelet) nodeCreated(c *sim.Ctx, a answer) {
	switch {
	case a.ok():
		k.registered(c, a)
	case a.kind == sim.MsgResponse && (a.code == 409 || a.code == 403 && era.KubeletRegisterLooks.In(k.era())):
		k.send(c, "node.get", connAPI, "GET", nodesPath+"/"+k.Node, nil)
	default:
		k.log(c, lineNoRegister, "err", a.err(), "node", k.Node)
		k.again(c, "register", &k.Reg.Retry, era.KubeletRegister.In(k.era()))
	}
}

func (k *Kubelet) nodeGot(c *sim.Ctx, a answer) {
	if !a.ok() {
		k.log(c, lineNoNode, "err", a.err(), "node", k.Node)
		k.again(c, "register", &k.Reg.Retry, era.KubeletRegister.In(k.era()))
		return
	}
	k.log(c, lineKnown, "node", k.Node)
	if n, err := sim.Decode[corev1.Node](sim.Unmanaged(a.data)); err == nil {
		own := k.object(c, true).Status.Addresses
		k.Reg.Moved = own != nil && !slices.Equal(n.Status.Addresses, own) || n.Status.DaemonEndpoints.KubeletEndpoint.Port != k.portNumber()
		k.Reg.Bare = n.Status.NodeInfo.KubeletVersion != era.KubeletPatch.In(k.era())
	}
	k.registered(c, a)
}

func (k *Kubelet) registered(c *sim.Ctx, a answer) {
	k.log(c, lineRegistered, "node", k.Node)
	k.Reg.Done, k.Reg.Retry = true, retry{}
	k.remember(a)
	k.heard(c)
	k.follow(c)
	k.settled(c)
	k.reportStatus(c)
}

// contestsInFull is how often a kubelet that shares its name with another one
// answers at once; two that do so for ever are folded.
const contestsInFull = 60

// nodeSeen: the Node changed. One that has other addresses than this machine gets
// them back when the kubelet next looks: somebody else reports for it too. Models
// pkg/kubelet tryUpdateNodeStatus, which compares what it would write.
func (k *Kubelet) nodeSeen(c *sim.Ctx, data []byte) {
	t := &k.Port.Template
	before := t.Raw
	if k.Reg.Done && bytes.Contains(data, silenced) {
		// Its controller did not hear of this kubelet for a while.
		k.after(c, "status", time.Duration(c.Chance.N(c.Actor()+"/status", uint64(era.KubeletStatusCheck.In(k.era())))))
	}
	if !t.observe(data) || t.Raw == before {
		return
	}
	if every := era.KubeletTemplate.In(k.era()); before != "" && k.Port.Bootstrap && !k.Port.Opened.IsZero() {
		k.after(c, "template", every-c.Now.Sub(k.Port.Opened)%every)
	}
	own, err := k.addresses(c)
	if !k.Reg.Done || err != nil || slices.Equal(own, t.Observed) {
		return
	}
	k.Reg.Moved = true
	k.Reg.Contested++
	every := era.KubeletStatusCheck.In(k.era())
	if k.Reg.Contested >= contestsInFull {
		every = complaintsEvery
	}
	k.after(c, "status", time.Duration(c.Chance.N(c.Actor()+"/status", uint64(every))))
}

// silenced is the reason of the conditions of a node that was not heard of.
var silenced = []byte(`"NodeStatusUnknown"`)

// remember keeps the UID of the Node, which the Lease names as its owner.
func (k *Kubelet) remember(a answer) {
	if n, err := sim.Decode[corev1.Node](sim.Unmanaged(a.data)); err == nil {
		k.Reg.UID = string(n.UID)
	}
}

// reportStatus reads the Node and writes its status. The status reports of a
// node that nothing happens to are left out.
func (k *Kubelet) reportStatus(c *sim.Ctx) {
	watched := era.KubeletStatusWatched.In(k.era())
	if k.Reg.Seen && watched {
		// Its own watch showed the Node already.
		k.patchStatus(c)
		return
	}
	var from string
	if !watched && k.Reg.Tries == 0 {
		from = "resourceVersion=0"
	}
	k.getStatus(c, from)
}

// getStatus reads the Node to write its status.
func (k *Kubelet) getStatus(c *sim.Ctx, query string) {
	k.send(c, "status.get", connAPI, "GET", nodesPath+"/"+k.Node+k.timed(query), nil)
}

// timed is a query with the timeout that heartbeats have.
func (k *Kubelet) timed(query string) string {
	switch timeout := era.KubeletStatusTimeout.In(k.era()); {
	case query == "" && timeout == "":
		return ""
	case query == "" || timeout == "":
		return "?" + query + timeout
	default:
		return "?" + query + "&" + timeout
	}
}

// beats tells whether the status is the heartbeat, and no Lease is renewed.
func (k *Kubelet) beats() bool { return era.KubeletHeartbeat.In(k.era()) > 0 }

// statusBeatDue writes the status that would come next by itself, because what it was
// folded into has ended or is about to.
func (k *Kubelet) statusBeatDue(c *sim.Ctx) {
	if k.Reg.Beat.IsZero() {
		return
	}
	every := era.KubeletHeartbeat.In(k.era())
	if k.Reg.Crowded >= contestsInFull {
		// Something that others change for ever is written as rarely as they can tell.
		every = complaintsEvery
	}
	k.after(c, "status", every-c.Now.Sub(k.Reg.Beat)%every)
}

func (k *Kubelet) statusGot(c *sim.Ctx, a answer) {
	if !a.ok() {
		k.statusFailed(c, fmt.Sprintf("error getting node %q: %s", k.Node, a.err()))
		return
	}
	k.remember(a)
	k.patchStatus(c)
}

func (k *Kubelet) patchStatus(c *sim.Ctx) {
	headers := []string{"Content-Type", "application/strategic-merge-patch+json"}
	if k.beats() {
		headers = append(headers, FoldHeader, era.KubeletHeartbeat.In(k.era()).String())
	}
	k.send(c, "status.patch", connAPI, "PATCH", nodesPath+"/"+k.Node+"/status"+k.timed(""), k.statusPatch(c), headers...)
}

func (k *Kubelet) statusPatch(c *sim.Ctx) map[string]any {
	status := k.object(c, true).Status
	changed := map[string]any{"conditions": status.Conditions}
	if k.Reg.Moved {
		changed["daemonEndpoints"] = status.DaemonEndpoints
		var list []any
		for _, a := range status.Addresses {
			list = append(list, a)
		}
		if list != nil {
			changed["addresses"] = append(list, map[string]string{"$patch": "replace"})
		}
	}
	if k.Reg.Bare {
		changed["nodeInfo"], changed["capacity"], changed["allocatable"], changed["declaredFeatures"] = status.NodeInfo, status.Capacity, status.Allocatable, status.DeclaredFeatures
	}
	return map[string]any{"status": changed}
}

func (k *Kubelet) statusPatched(c *sim.Ctx, a answer) {
	if !a.ok() {
		patch, _ := json.Marshal(k.statusPatch(c))
		k.statusFailed(c, fmt.Sprintf("failed to patch status %q for node %q: %s", patch, k.Node, a.err()))
		return
	}
	k.Reg.Status.Resting = false
	k.heard(c)
	k.Reg.Status, k.Reg.Tries, k.Reg.Bare = retry{}, 0, false
	if k.beats() {
		k.stop("status")
		k.Reg.Beat = c.Now
		if k.Reg.Met {
			k.Reg.Crowded++
		} else {
			k.Reg.Crowded = 0
		}
		k.Reg.Met = false
	}
}

// statusFailed tries five times at once, each time with a Node that is read
// anew, and then after 10 s (recorded: j1/kubelet.log).
func (k *Kubelet) statusFailed(c *sim.Ctx, err string) {
	k.log(c, lineNoStatus, "err", err)
	if k.Reg.Tries++; k.Reg.Tries < era.KubeletStatusTries.In(k.era()) {
		k.getStatus(c, "")
		return
	}
	k.Reg.Tries = 0
	k.log(c, lineNoStatusAtAll, "err", "update node status exceeds retry count")
	k.again(c, "status", &k.Reg.Status, statusBackoff)
	if k.beats() && k.Reg.Status.Resting {
		k.after(c, "status", restProbe)
	}
}

// statusDue sends the report that would come next by itself: those of a node
// that nothing happens to are left out, but one that has lost its certificate
// learns it there too. The pause between two is drawn around 5 minutes.
func (k *Kubelet) statusDue(c *sim.Ctx) {
	if k.Reg.Done {
		every := era.KubeletStatusReport.In(k.era())
		k.after(c, "status", time.Duration(c.Chance.N(c.Actor()+"/status", uint64(every/2))))
	}
}

// What every machine runs.
const (
	kernel = "6.1.0"
	system = "Debian GNU/Linux 12 (bookworm)"
)

// capacity is what every machine has (shaped as c/node.json).
var capacity = []struct {
	name               corev1.ResourceName
	total, schedulable string
}{
	{corev1.ResourceCPU, "2", "2"},
	{corev1.ResourceEphemeralStorage, "41151808Ki", "37925506191"},
	{"hugepages-1Gi", "0", "0"},
	{"hugepages-2Mi", "0", "0"},
	{corev1.ResourceMemory, fmt.Sprint(memory, "Ki"), "3926516Ki"},
}

// conditions are those of a healthy node.
var conditions = []struct {
	kind            corev1.NodeConditionType
	status          corev1.ConditionStatus
	reason, message string
}{
	{corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"},
	{corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"},
	{corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"},
	{corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"},
}

// object is the Node as the kubelet sees it: not yet ready at registration,
// when the container runtime was not heard of.
func (k *Kubelet) object(c *sim.Ctx, ready bool) *corev1.Node {
	own, _ := k.addresses(c)
	version := era.KubeletPatch.In(k.era())
	n := &corev1.Node{
		TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			Name: k.Node,
			Labels: map[string]string{"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
				"kubernetes.io/hostname": k.Node, "kubernetes.io/os": "linux"},
			Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
		},
		Status: corev1.NodeStatus{
			Capacity: corev1.ResourceList{}, Allocatable: corev1.ResourceList{},
			Addresses:       own,
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: k.portNumber()}},
			NodeInfo: corev1.NodeSystemInfo{KernelVersion: kernel, OSImage: system, ContainerRuntimeVersion: "containerd://2.2.0",
				KubeletVersion: version, OperatingSystem: "linux", Architecture: "amd64"},
			DeclaredFeatures: era.KubeletDeclares.In(k.era()),
		},
	}
	labels, _ := k.Flags.nodeLabels(k.era())
	maps.Copy(n.Labels, labels)
	n.Spec.Taints = k.Running.RegisterWithTaints
	for _, x := range capacity {
		n.Status.Capacity[x.name] = resource.MustParse(x.total)
		n.Status.Allocatable[x.name] = resource.MustParse(x.schedulable)
	}
	pods := *resource.NewQuantity(int64(k.Running.MaxPods), resource.DecimalSI)
	n.Status.Capacity[corev1.ResourcePods], n.Status.Allocatable[corev1.ResourcePods] = pods, pods
	now := metav1.Time{Time: c.Clock().Truncate(time.Second)}
	for _, x := range conditions {
		cond := corev1.NodeCondition{Type: x.kind, Status: x.status, Reason: x.reason, Message: x.message, LastHeartbeatTime: now, LastTransitionTime: now}
		if x.kind == corev1.NodeReady && !ready {
			cond.Status, cond.Reason, cond.Message = corev1.ConditionFalse, "KubeletNotReady", "[container runtime status check may not have completed yet]"
		}
		n.Status.Conditions = append(n.Status.Conditions, cond)
	}
	return n
}
