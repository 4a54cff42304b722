package kubelet

import (
	"encoding/json"
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
	after time.Duration
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
	{name: "services", after: 226 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "nodes", selector: "metadata.name=NODE", after: 227 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "csinodes", group: "storage.k8s.io", path: "/NODE?resourceVersion=0", method: "GET", create: true, after: 241 * time.Millisecond, backoff: func(era.Era) era.Backoff { return everySecond }},
	{name: "runtimeclasses", group: "node.k8s.io", after: 252 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "csidrivers", group: "storage.k8s.io", after: 252 * time.Millisecond, backoff: era.KubeletReflector.In},
	{name: "resourceslices", group: "resource.k8s.io", path: "?fieldSelector=spec.nodeName%3DNODE", method: "DELETE", after: 273 * time.Millisecond, backoff: era.KubeletSliceBackoff.In},
	{name: "pods", selector: "spec.nodeName=NODE", after: time.Second, backoff: era.KubeletReflector.In},
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
	// Seen is the version from which its watch goes on, where a list comes first.
	Seen string `json:"seen,omitempty"`
}

// beginReflecting starts what begins with the process.
func (k *Kubelet) beginReflecting(c *sim.Ctx) {
	for _, kind := range kinds {
		if k.follows(kind) == "" && era.Preferred(k.era(), kind.group, kind.name) != "" {
			k.Sources[kind.name] = &source{}
			k.after(c, "source "+kind.name, min(kind.after, latestSource))
		}
	}
}

// latestSource is when the last of what begins with the process begins.
const latestSource = 273 * time.Millisecond

// follows is the kind whose first watch a kind waits for: pods wait for the Node
// since the kubelet decides by it which it takes.
func (k *Kubelet) follows(x kind) string {
	if x.name == "pods" && era.KubeletPodsFollow.In(k.era()) {
		return "nodes"
	}
	return ""
}

// selectorOf is which objects of a kind are asked for.
func (k *Kubelet) selectorOf(x kind) string {
	if x.name == "services" {
		return era.KubeletServices.In(k.era())
	}
	return strings.ReplaceAll(x.selector, "NODE", k.Node)
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
func (k *Kubelet) uri(x kind, pairs ...string) string {
	q := url.Values{}
	if s := k.selectorOf(x); s != "" {
		q.Set("fieldSelector", s)
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return era.Path(k.era(), x.group, x.name) + "?" + q.Encode()
}

// list asks for all objects of a kind, as the server's cache has them.
func (k *Kubelet) list(c *sim.Ctx, x kind) {
	pairs := []string{"resourceVersion", "0"}
	if era.ClientPages.In(k.era()) {
		pairs = append(pairs, "limit", "500")
	}
	k.send(c, "source.list "+x.name, connAPI, "GET", k.uri(x, pairs...), nil)
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
	if !era.ClientWatchList.In(k.era()) {
		k.list(c, x)
		return
	}
	k.send(c, "source.watch "+name, connAPI, "GET",
		k.uri(x, "allowWatchBookmarks", "true", "resourceVersionMatch", "NotOlderThan", "sendInitialEvents", "true", "timeoutSeconds", timeout, "watch", "true"), nil)
}

// watchOn watches a kind from where its list ended.
func (k *Kubelet) watchOn(c *sim.Ctx, x kind) {
	pairs := []string{"resourceVersion", k.Sources[x.name].Seen, "timeoutSeconds", timeout, "watch", "true"}
	if era.ClientBookmarks.In(k.era()) {
		pairs = append(pairs, "allowWatchBookmarks", "true")
	}
	k.send(c, "source.watch "+x.name, connAPI, "GET", k.uri(x, pairs...), nil)
}

// listed takes in what a list showed, and watches from there.
func (k *Kubelet) listed(c *sim.Ctx, x kind, a answer) {
	s := k.Sources[x.name]
	var list struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(sim.Unmanaged(a.data), &list) != nil {
		s.Over = true
		return
	}
	s.Seen = list.Metadata.ResourceVersion
	k.heard(c)
	switch x.name {
	case "pods":
		k.Pods = map[string]pod{}
		for _, object := range list.Items {
			k.podSeen(c, "ADDED", object)
		}
	case "nodes":
		for _, object := range list.Items {
			k.nodeSeen(c, object)
		}
	}
	k.watchOn(c, x)
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
			if k.follows(y) == x.name && k.Sources[y.name] == nil {
				k.Sources[y.name] = &source{}
				k.after(c, "source "+y.name, y.after)
			}
		}
	case a.kind == sim.MsgResponse && era.ClientWatchList.In(k.era()):
		k.list(c, x)
	default:
		// The connection of the heartbeats may be gone with that of the watch.
		k.beatDue(c)
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
	case a.ok() && !era.ClientWatchList.In(k.era()):
		k.listed(c, x, a)
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
