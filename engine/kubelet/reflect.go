package kubelet

import (
	"net/url"
	"strings"
	"time"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kind is something that a kubelet lists and watches, or asks for until it gets
// an answer, from its start on, where the release serves it. NODE stands for the
// node's name; path follows that of the kind.
type kind struct {
	name     string
	group    string
	path     string
	selector string
	// after is when it is first asked for, counted from the start, or from the
	// first watch of the kind that it follows.
	after   time.Duration
	follows string
	// method is set for a single request; else it is a list and watch. create is
	// where the object is made when the single request does not find it.
	method  string
	create  bool
	backoff func(era.Era) era.Backoff
}

// everySecond is the wait for the CSINode.
var everySecond = era.Backoff{First: time.Second, Factor: 1, Max: time.Second}

// kinds are what the recorded kubelet asks for, at the times at which it does
// (recorded: c/kubelet-audit.json, c/restart-audit.json).
var kinds = []kind{
	{name: "services", selector: "spec.clusterIP!=None", after: 226 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "nodes", selector: "metadata.name=NODE", after: 227 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "csinodes", group: "storage.k8s.io", path: "/NODE?resourceVersion=0", method: "GET", create: true, after: 241 * time.Millisecond, backoff: func(era.Era) era.Backoff { return everySecond }},
	{name: "runtimeclasses", group: "node.k8s.io", after: 252 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "csidrivers", group: "storage.k8s.io", after: 252 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "resourceslices", group: "resource.k8s.io", path: "?fieldSelector=spec.nodeName%3DNODE", method: "DELETE", after: 273 * time.Millisecond, backoff: era.KubeletSliceBackoff.In},
	{name: "pods", selector: "spec.nodeName=NODE", follows: "nodes", after: time.Second, backoff: era.KubeletReflector.In},
}

// timeout is that of every watch, in seconds: 68 years, so that it ends with
// its connection. A real kubelet draws 5 to 10 minutes and watches again.
const timeout = "2147483647"

// createAfter is how soon the CSINode follows its Node (recorded:
// d/kubelet-audit.json).
const createAfter = 200 * time.Millisecond

// longWatch is how long a watch must have lived for the back-off to begin anew.
const longWatch = 2 * time.Minute

// source is the state of a kind.
type source struct {
	Retry  retry     `json:"retry"`
	Opened time.Time `json:"opened,omitzero"`
	// Waits: for the Node, which it belongs to.
	Waits bool `json:"waits,omitempty"`
	// Over: answered, or not served here.
	Over bool `json:"over,omitempty"`
}

// beginReflecting starts what begins with the process.
func (k *Kubelet) beginReflecting(c *sim.Ctx) {
	for _, kind := range kinds {
		if kind.follows == "" && era.Preferred(k.era(), kind.group, kind.name) != "" {
			k.Sources[kind.name] = &source{}
			k.after(c, "source "+kind.name, kind.after)
		}
	}
}

func kindOf(name string) (kind, bool) {
	for _, x := range kinds {
		if x.name == name {
			return x, true
		}
	}
	return kind{}, false
}

// uri is the kind's path with a query of key=value pairs, in Go's order.
func (x kind) uri(e era.Era, node string, pairs ...string) string {
	q := url.Values{}
	if x.selector != "" {
		q.Set("fieldSelector", strings.ReplaceAll(x.selector, "NODE", node))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return era.Path(e, x.group, x.name) + "?" + q.Encode()
}

// ask makes the next try for a kind.
func (k *Kubelet) ask(c *sim.Ctx, name string) {
	x, ok := kindOf(name)
	if !ok || k.Sources[name].Over {
		return
	}
	if x.method != "" {
		k.send(c, "source.single "+name, connAPI, x.method, era.Path(k.era(), x.group, x.name)+strings.ReplaceAll(x.path, "NODE", k.Node), nil)
		return
	}
	k.send(c, "source.watch "+name, connAPI, "GET",
		x.uri(k.era(), k.Node, "allowWatchBookmarks", "true", "resourceVersionMatch", "NotOlderThan", "sendInitialEvents", "true", "timeoutSeconds", timeout, "watch", "true"), nil)
}

// sourceWatched: a watch that is refused is followed by a list, as client-go
// falls back to listing, and then by a wait.
func (k *Kubelet) sourceWatched(c *sim.Ctx, a answer) {
	x, _ := kindOf(a.arg)
	s := k.Sources[a.arg]
	switch {
	case a.kind == sim.MsgFrame:
		switch a.arg {
		case "pods":
			k.podsSeen(c, a.data)
		case "nodes":
			k.nodeSeen(c, a.data)
		}
	case a.kind == sim.MsgResponse && (a.code == 404 || a.code == 400):
		s.Over = true
	case a.ok():
		s.Opened = c.Now
		k.Reg.Seen = k.Reg.Seen || x.name == "nodes"
		k.heard(c)
		for _, y := range kinds {
			if y.follows == x.name && k.Sources[y.name] == nil {
				k.Sources[y.name] = &source{}
				k.after(c, "source "+y.name, y.after)
			}
		}
	case a.kind == sim.MsgResponse:
		k.send(c, "source.list "+a.arg, connAPI, "GET", x.uri(k.era(), k.Node, "limit", "500", "resourceVersion", "0"), nil)
	default:
		// The connection of the heartbeats may be gone with that of the watch.
		k.leaseDue(c)
		if !s.Opened.IsZero() && c.Now.Sub(s.Opened) >= longWatch {
			s.Retry = retry{}
		}
		s.Opened = time.Time{}
		k.again(c, "source "+a.arg, &s.Retry, x.backoff(k.era()))
	}
}

// sourceListed handles the answer to a list or a single request: one that is
// answered, or that there is nothing for, is over, and all else is tried again.
func (k *Kubelet) sourceListed(c *sim.Ctx, a answer) {
	x, _ := kindOf(a.arg)
	s := k.Sources[a.arg]
	switch {
	case a.code == 404 && x.create && a.Method == "GET":
		k.create(c, x)
	case a.ok() && x.method != "", a.code == 404, a.code == 409:
		s.Over = true
	case a.ok():
		s.Retry = retry{}
		k.again(c, "source "+a.arg, &s.Retry, x.backoff(k.era()))
		k.heard(c)
	default:
		k.again(c, "source "+a.arg, &s.Retry, x.backoff(k.era()))
	}
}

// create makes the object that belongs to the Node, once that is there.
func (k *Kubelet) create(c *sim.Ctx, x kind) {
	if !k.Reg.Done {
		k.Sources[x.name].Waits = true
		return
	}
	k.send(c, "source.single "+x.name, connAPI, "POST", era.Path(k.era(), x.group, x.name), &storagev1.CSINode{
		TypeMeta:   metav1.TypeMeta{Kind: "CSINode", APIVersion: era.Preferred(k.era(), x.group, x.name)},
		ObjectMeta: metav1.ObjectMeta{Name: k.Node, OwnerReferences: []metav1.OwnerReference{k.owner()}},
	})
}

// follow goes on with what waited for the Node.
func (k *Kubelet) follow(c *sim.Ctx) {
	for _, x := range kinds {
		if s := k.Sources[x.name]; s != nil && s.Waits {
			s.Waits = false
			k.after(c, "source "+x.name, createAfter)
		}
	}
}

// owner names the Node as the owner of an object.
func (k *Kubelet) owner() metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: k.Node, UID: types.UID(k.Reg.UID)}
}

// heard: the server gave something that was asked for, so what rests may try
// again.
func (k *Kubelet) heard(c *sim.Ctx) {
	for _, x := range kinds {
		if s := k.Sources[x.name]; s != nil && s.Retry.Resting {
			k.changed(c)
			return
		}
	}
	if k.Reg.Retry.Resting || k.Reg.Status.Resting || k.Lease.Retry.Resting {
		k.changed(c)
	}
}
