package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kind is something that a program lists and watches. NODE stands for the host's
// name, NAMESPACE for the pod's.
type kind struct {
	name, path, typ string
	selector        string
}

// watchTimeout is that of every watch, in seconds: 68 years, so that it ends with
// its connection. A real client draws 5 to 10 minutes and watches again.
const watchTimeout = "2147483647"

// longWatch is how long a watch must have lived for the back-off to begin anew.
const longWatch = 2 * time.Minute

// source is the state of a kind.
type source struct {
	Retry  retry     `json:"retry"`
	Opened time.Time `json:"opened,omitzero"`
	// Synced: what there is was told once.
	Synced bool `json:"synced,omitempty"`
	// Version is that of the last list; empty: the next watch begins with a list.
	Version string `json:"version,omitempty"`
	// Over: the API server has no such thing.
	Over bool `json:"over,omitempty"`
}

func (p program) kind(name string) kind {
	for _, x := range p.kinds {
		if x.name == name {
			return x
		}
	}
	return kind{}
}

// uri is a kind's path with a query of key=value pairs.
func (k *Client) uri(c *sim.Ctx, x kind, pairs ...string) string {
	q := url.Values{}
	if x.selector != "" {
		q.Set("fieldSelector", strings.ReplaceAll(x.selector, "NODE", k.node(c)))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	path := x.path
	if k.Mount != nil {
		path = strings.ReplaceAll(path, "NAMESPACE", k.Mount.Pod.Namespace)
	}
	return strings.ReplaceAll(path, "NAMESPACE", "default") + "?" + q.Encode()
}

func (k *Client) node(c *sim.Ctx) string {
	if k.Flags.HostnameOverride != "" {
		return k.Flags.HostnameOverride
	}
	return c.Host
}

// open begins a kind anew: with a watch that tells what there is first, or with a
// list, as the program's client-go does.
func (k *Client) open(c *sim.Ctx, name string) {
	s := k.Sources[name]
	if s == nil || s.Over {
		return
	}
	x := k.program().kind(name)
	if k.program().lists || !era.ClientWatchList.In(k.era()) {
		k.list(c, x)
		return
	}
	s.Version = ""
	k.send(c, "source.watch "+name, "GET", k.uri(c, x, "allowWatchBookmarks", "true", "resourceVersionMatch", "NotOlderThan", "sendInitialEvents", "true", "timeoutSeconds", watchTimeout, "watch", "true"), nil, 0)
}

func (k *Client) list(c *sim.Ctx, x kind) {
	k.send(c, "source.list "+x.name, "GET", k.uri(c, x, "limit", "500", "resourceVersion", "0"), nil, 0)
}

// watched handles what a watch brings. One that can't begin because nobody
// listens is tried again without a word; any other refusal leads to a list, whose
// refusal is told. Models k8s.io/client-go/tools/cache Reflector.
func (k *Client) watched(c *sim.Ctx, a answer) {
	x, s := k.program().kind(a.arg), k.Sources[a.arg]
	switch {
	case a.kind == sim.MsgFrame:
		k.told(c, x, s, a.data)
	case a.kind == sim.MsgResponse && a.code == http.StatusNotFound:
		s.Over = true
		k.settle(c)
	case a.ok():
		s.Opened = c.Now
		if s.Synced || s.Version != "" {
			k.synced(c, x, s)
		}
	default:
		lived := !s.Opened.IsZero()
		switch {
		case lived && c.Now.Sub(s.Opened) >= longWatch:
			s.Retry = retry{}
		case lived:
			s.Retry.Since = c.Now
		}
		s.Opened = time.Time{}
		switch {
		case lived || nobody(a):
			if !lived {
				k.log(c, 'I', 2, "reflector.go:816", sim.KV("watch-list failed - backing off", "reflector", k.program().reflector, "type", x.typ, "err", a.err()))
			}
			if !lived {
				k.refused(c, a.err())
			}
			k.again(c, "source "+x.name, &s.Retry)
		default:
			k.list(c, x)
		}
	}
}

// nobody listens there.
func nobody(a answer) bool {
	return a.kind == sim.MsgFailed && strings.HasSuffix(a.failure, "connect: connection refused")
}

// told reads the events of a watch.
func (k *Client) told(c *sim.Ctx, x kind, s *source, data []byte) {
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		if k.Scraper != nil && x.name == "nodes" {
			k.nodeEvent(c, line)
		}
		if s.Synced || !bytes.HasPrefix(line, []byte(`{"type":"BOOKMARK"`)) {
			continue
		}
		var e struct {
			Object metav1.PartialObjectMetadata `json:"object"`
		}
		if json.Unmarshal(line, &e) == nil && e.Object.Annotations[metav1.InitialEventsAnnotationKey] == "true" {
			k.synced(c, x, s)
		}
	}
}

// listed handles the answer to a list.
func (k *Client) listed(c *sim.Ctx, a answer) {
	x, s := k.program().kind(a.arg), k.Sources[a.arg]
	if a.kind == sim.MsgResponse && a.code == http.StatusNotFound {
		s.Over = true
		k.settle(c)
		return
	}
	if !a.ok() {
		k.program().complains(k, c, x, "failed to list "+x.typ+": "+a.err())
		k.refused(c, a.err())
		k.again(c, "source "+x.name, &s.Retry)
		return
	}
	var l struct {
		Metadata metav1.ListMeta   `json:"metadata"`
		Items    []json.RawMessage `json:"items"`
	}
	json.Unmarshal(a.data, &l)
	if k.Scraper != nil && x.name == "nodes" {
		k.nodesListed(c, l.Items)
	}
	s.Version = l.Metadata.ResourceVersion
	k.send(c, "source.watch "+x.name, "GET", k.uri(c, x, "allowWatchBookmarks", "true", "resourceVersion", s.Version, "timeoutSeconds", watchTimeout, "watch", "true"), nil, 0)
}

// synced: what there is of a kind was told, or is told again.
func (k *Client) synced(c *sim.Ctx, x kind, s *source) {
	k.heard(c)
	if !s.Synced {
		s.Synced = true
		k.program().populated(k, c, x)
	}
	k.settle(c)
}

// settle goes on when everything that is watched was told.
func (k *Client) settle(c *sim.Ctx) {
	for _, s := range k.Sources {
		if (!s.Synced || s.Opened.IsZero()) && !s.Over {
			return
		}
	}
	if !k.Ready {
		k.Ready = true
		k.program().ready(k, c)
	}
	if k.Phase != PhaseRunning {
		k.note(c, PhaseRunning, "")
	}
}

// refused notes that the client can't do its work, and why.
func (k *Client) refused(c *sim.Ctx, why string) {
	if k.Phase != PhaseRefused {
		k.note(c, PhaseRefused, why)
	}
}

// How long something is refused before it rests, and how often it is tried then.
const (
	restAfter = 5 * time.Minute
	restEvery = 10 * time.Minute
	restLate  = 6 * time.Hour
)

// retry counts the failures of something that is tried until it succeeds.
type retry struct {
	Fails   int       `json:"fails,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Resting bool      `json:"resting,omitempty"`
}

// again sets the timer of the next try, with the back-off of lists and watches.
func (k *Client) again(c *sim.Ctx, timer string, r *retry) {
	k.againAfter(c, timer, r, era.ClientReflector.In(k.era()))
}

func (k *Client) againAfter(c *sim.Ctx, timer string, r *retry, b era.Backoff) {
	if r.Fails == 0 {
		r.Since = c.Now
	}
	d := b.At(r.Fails)
	if s := b.Stretch(d); s > 0 {
		d += time.Duration(c.Chance.N(c.Actor()+"/"+timer, uint64(s)))
	}
	r.Fails++
	passed := c.Now.Sub(r.Since)
	if r.Resting = passed >= restAfter; r.Resting {
		if d = restEvery; passed >= 24*time.Hour {
			d = restLate
		}
	}
	k.after(c, timer, d)
}

// resume lets what rests go on within its own interval.
func (k *Client) resume(c *sim.Ctx, timer string, r *retry, b era.Backoff) {
	if !r.Resting {
		return
	}
	r.Resting, r.Since = false, c.Now
	k.after(c, timer, time.Duration(c.Chance.N(c.Actor()+"/"+timer, uint64(b.At(r.Fails)))))
}

// changed is called when what was refused may be allowed now.
func (k *Client) changed(c *sim.Ctx) {
	b := era.ClientReflector.In(k.era())
	for _, x := range k.program().kinds {
		if s := k.Sources[x.name]; s != nil {
			k.resume(c, "source "+x.name, &s.Retry, b)
		}
	}
	if k.Mount != nil {
		k.resume(c, "mount", &k.Mount.Retry, era.VolumeBackoff.In(k.era()))
	}
	if k.Election != nil {
		k.resume(c, "elect", &k.ElectRetry, b)
	}
}

// heard: the server gave something, so what rests may try again.
func (k *Client) heard(c *sim.Ctx) {
	for _, x := range k.program().kinds {
		if s := k.Sources[x.name]; s != nil && s.Retry.Resting {
			k.changed(c)
			return
		}
	}
}

// unhandled is how client-go words a failure in klog.
func unhandled(k *Client, c *sim.Ctx, x kind, err string) {
	k.log(c, 'E', 0, k.program().at, sim.KV("Failed to watch", "err", err, "logger", "UnhandledError", "reflector", k.program().reflector, "type", x.typ))
}

func cachesPopulated(k *Client, c *sim.Ctx, x kind) {
	k.log(c, 'I', 2, "reflector.go:507", sim.KV("Caches populated", "type", x.typ, "reflector", k.program().reflector))
}

// corednsFailed is how CoreDNS words a failure.
func corednsFailed(k *Client, c *sim.Ctx, _ kind, err string) {
	c.LogLine('E', 0, fmt.Sprintf("[ERROR] plugin/kubernetes: Failed to watch: %s", err))
}
