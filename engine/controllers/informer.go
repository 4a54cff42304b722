package controllers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// csrs is where the API has CertificateSigningRequests.
func (m *ControllerManager) csrs() string {
	return era.Path(m.era(), "certificates.k8s.io", "certificatesigningrequests")
}

// feed is a watch that fills a cache. It begins with what there is, until a
// bookmark says that this was all; what was not named by then is gone.
type feed struct {
	Index    int    `json:"index"`
	Kind     string `json:"kind"`
	URL      string `json:"url"`
	Selector string `json:"selector,omitempty"`
	// Seen are the names so far, until the bookmark; Synced that there was one.
	Seen   map[string]bool `json:"seen"`
	Synced bool            `json:"synced,omitempty"`
	Fails  int             `json:"fails,omitempty"`
}

// feedBackoff is the wait before a watch is opened again.
var feedBackoff = era.Backoff{First: time.Second, Factor: 2, Max: 30 * time.Second}

func (f *feed) clone() *feed {
	n := *f
	n.Seen = maps.Clone(f.Seen)
	return &n
}

// timeout is that of every watch, in seconds: 68 years, so that it ends with
// its connection. A real manager draws 5 to 10 minutes and watches again.
const timeout = "2147483647"

// open opens the watch.
func (m *ControllerManager) open(c *sim.Ctx, f *feed) {
	f.Seen = map[string]bool{}
	m.rouse(c) // what changed while it was not heard of is not known
	if !era.WatchLists.In(m.era()) {
		q := url.Values{"resourceVersion": {"0"}}
		if f.Selector != "" {
			q.Set("fieldSelector", f.Selector)
		}
		m.send(c, m.own(), exchange{To: "feed", Index: f.Index, Name: listing}, "GET", f.URL+"?"+q.Encode(), nil)
		return
	}
	q := url.Values{"allowWatchBookmarks": {"true"}, "resourceVersionMatch": {"NotOlderThan"}, "sendInitialEvents": {"true"}, "timeoutSeconds": {timeout}, "watch": {"true"}}
	if f.Selector != "" {
		q.Set("fieldSelector", f.Selector)
	}
	m.send(c, m.own(), exchange{To: "feed", Index: f.Index}, "GET", f.URL+"?"+q.Encode(), nil)
}

// listing is the name of the request for what there is, where it is not a watch.
const listing = "list"

// listed takes what there is, and watches from then on.
func (m *ControllerManager) listed(c *sim.Ctx, f *feed, a answer) {
	var list struct {
		Metadata metav1.ListMeta
		Items    []json.RawMessage
	}
	if err := json.Unmarshal(a.data, &list); err != nil {
		m.feedFailed(c, f, err.Error())
		return
	}
	for _, object := range list.Items {
		m.event(c, f, "ADDED", object)
	}
	m.complete(c, f)
	q := url.Values{"resourceVersion": {list.Metadata.ResourceVersion}, "timeoutSeconds": {timeout}, "watch": {"true"}}
	if era.WatchBookmarks.In(m.era()) {
		q.Set("allowWatchBookmarks", "true")
	}
	if f.Selector != "" {
		q.Set("fieldSelector", f.Selector)
	}
	m.send(c, m.own(), exchange{To: "feed", Index: f.Index}, "GET", f.URL+"?"+q.Encode(), nil)
}

// feedFailed tells of a feed that could not be opened.
func (m *ControllerManager) feedFailed(c *sim.Ctx, f *feed, why string) {
	const reflector = "k8s.io/client-go/informers/factory.go:161"
	of := "*v1." + feedTypes[f.Kind]
	if f.Kind == "csrs" || f.Kind == "clusterroles" {
		group := map[string]string{"csrs": "certificates.k8s.io", "clusterroles": rbacGroup}[f.Kind]
		plural := map[string]string{"csrs": "certificatesigningrequests", "clusterroles": "clusterroles"}[f.Kind]
		of = "*" + strings.TrimPrefix(era.Preferred(m.era(), group, plural), group+"/") + "." + feedTypes[f.Kind]
	}
	failed := "failed to list " + of + ": " + why
	m.say(c, &era.LineListFailed, why, of, "failed to list "+f.Kind+": "+why, "UnhandledError", reflector, failed, reflector+": Failed to watch "+of+": "+failed)
}

// feedTypes are the Go types of what feeds bring.
var feedTypes = map[string]string{"csrs": "CertificateSigningRequest", "secrets": "Secret", "configmaps": "ConfigMap", "namespaces": "Namespace", "serviceaccounts": "ServiceAccount", "clusterroles": "ClusterRole",
	"nodes": "Node", "pods": "Pod", "leases": "Lease"}

// fed handles what a watch brings.
func (m *ControllerManager) fed(c *sim.Ctx, f *feed, a answer) {
	switch {
	case a.Name == listing && a.ok():
		m.listed(c, f, a)
	case a.kind == sim.MsgFrame:
		for _, line := range bytes.Split(bytes.TrimSpace(a.data), []byte("\n")) {
			kind, object, ok := sim.OpenFrame(line)
			switch {
			case !ok:
			case f.Kind == "leases" && kind != "BOOKMARK":
				if name := m.leaseSeen(c, kind, object, sim.FoldIn(line)); name != "" && f.Seen != nil {
					f.Seen[name] = true
				}
			default:
				m.event(c, f, kind, object)
			}
		}
	case a.ok():
		f.Fails = 0
	default:
		if a.kind != sim.MsgEnd {
			m.feedFailed(c, f, a.err())
		}
		if f.Kind == "leases" {
			m.leasesLost(c)
		}
		c.Wake(c.Now.Add(feedBackoff.At(f.Fails)), fmt.Sprintf("feed %d", f.Index))
		f.Fails++
	}
}

// event applies one event to the cache.
func (m *ControllerManager) event(c *sim.Ctx, f *feed, kind string, object json.RawMessage) {
	if kind == "BOOKMARK" {
		var b metav1.PartialObjectMetadata
		if json.Unmarshal(object, &b) == nil && b.Annotations[metav1.InitialEventsAnnotationKey] == "true" && f.Seen != nil {
			m.complete(c, f)
		}
		return
	}
	if f.Kind != "csrs" {
		m.cached(c, f, kind, object)
		return
	}
	csr, err := sim.Decode[certv1.CertificateSigningRequest](sim.Unmanaged(object))
	if err != nil {
		return
	}
	if len(csr.ManagedFields) > 0 {
		n := *csr
		slim(&n.ObjectMeta)
		csr = &n
	}
	name := csr.Name
	if kind != "DELETED" {
		m.csrChanged(c, csr)
	}
	if kind == "DELETED" {
		m.forget(c, f, name)
	} else if f.Seen != nil {
		f.Seen[name] = true
	}
}

// complete ends the beginning of a feed: what it did not name is gone.
func (m *ControllerManager) complete(c *sim.Ctx, f *feed) {
	for _, name := range slices.Sorted(maps.Keys(m.known(f))) {
		if !f.Seen[name] {
			m.forget(c, f, name)
		}
	}
	f.Seen, f.Synced = nil, true
	m.ready(c)
}

// ready lets the controllers work whose caches are filled.
func (m *ControllerManager) ready(c *sim.Ctx) {
	for _, l := range m.Loops {
		if !l.Ready && !slices.ContainsFunc(kinds[l.Kind].needs, func(kind string) bool {
			return !slices.ContainsFunc(m.Feeds, func(f *feed) bool { return f.Kind == kind && f.Synced })
		}) {
			l.Ready = true
			if l.Kind == kindNodeHealth {
				m.beginLife(c)
			}
			m.next(c, l)
		}
	}
}

// cached applies one event to a cache that is not that of CSRs.
func (m *ControllerManager) cached(c *sim.Ctx, f *feed, kind string, object json.RawMessage) {
	if kind == "DELETED" {
		var o metav1.PartialObjectMetadata
		if json.Unmarshal(object, &o) == nil {
			key := o.Name
			if o.Namespace != "" {
				key = o.Namespace + "/" + o.Name
			}
			m.forget(c, f, key)
		}
		return
	}
	if key := caches[f.Kind].changed(m, c, object); key != "" && f.Seen != nil {
		f.Seen[key] = true
	}
}

// known are the names in a feed's cache.
func (m *ControllerManager) known(f *feed) map[string]bool {
	out := map[string]bool{}
	if f.Kind == "csrs" {
		keysOf(m.CSRs, out)
	} else {
		caches[f.Kind].names(m, out)
	}
	return out
}

// csrChanged tells every loop of a new or changed CSR.
func (m *ControllerManager) csrChanged(c *sim.Ctx, csr *certv1.CertificateSigningRequest) {
	old := m.CSRs[csr.Name]
	if old != nil && old.UID == csr.UID && old.ResourceVersion == csr.ResourceVersion && csr.ResourceVersion != "" {
		return
	}
	m.CSRs[csr.Name] = csr
	for _, l := range m.Loops {
		if !slices.Contains(kinds[l.Kind].needs, "csrs") {
			continue
		}
		if l.Logger == "" {
			// An approver, which says nothing of what it sees.
		} else if old == nil {
			m.say(c, &era.LineCSRAdded, l.Logger, csr.Name)
		} else {
			m.say(c, &era.LineCSRUpdated, l.Logger, csr.Name)
		}
		m.enqueue(c, l, csr.Name)
	}
	m.cleanLater(c)
}

// forget removes what was deleted.
func (m *ControllerManager) forget(c *sim.Ctx, f *feed, name string) {
	if f.Kind != "csrs" {
		caches[f.Kind].forget(m, c, name)
		return
	}
	delete(m.CSRs, name)
	for _, l := range m.Loops {
		if !slices.Contains(kinds[l.Kind].needs, "csrs") {
			continue
		}
		if l.Logger != "" {
			m.say(c, &era.LineCSRDeleted, l.Logger, name)
		}
		m.enqueue(c, l, name)
	}
}

func sorted(have map[string]bool) []string { return slices.Sorted(maps.Keys(have)) }
