package api

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// watch is an open answer that is told of changes.
type watch struct {
	Stream    uint64 `json:"stream"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Fields    string `json:"fields,omitempty"`
	Labels    string `json:"labels,omitempty"`
	As        string `json:"as,omitempty"`
	// Version is that of the API, when it is not the one that is stored.
	Version string `json:"version,omitempty"`
	// Sent is the version of the last change that was looked at when it began.
	Sent uint64 `json:"sent"`
	// Headed: the columns of a Table were sent.
	Headed bool `json:"headed,omitempty"`
	// First is how it begins: objects (all of them), or the history after Sent;
	// Mark ends the objects with a bookmark.
	Objects bool      `json:"objects,omitempty"`
	Mark    bool      `json:"mark,omitempty"`
	Until   time.Time `json:"until"`
	Bare    bool      `json:"bare,omitempty"` // includeObject=None
	// Told: it wants to know which Leases are renewed by themselves.
	Told bool `json:"told,omitempty"`
}

// watchIndex finds the watches that a change concerns: those of the resource,
// and those of one name in it. A thousand kubelets that each watch their own
// CertificateSigningRequest cost nothing to each other.
type watchIndex struct {
	all   map[string][]*watch // by resource
	named map[string][]*watch // by resource and name
	wants map[*watch]*selection
	open  map[uint64]*watch // by stream
	of    *catalog
}

func (w *watch) selection(c *catalog) *selection {
	sel := &selection{resource: c.of[w.Resource], namespace: w.Namespace}
	sel.fields, _ = parseFields(w.Fields)
	sel.labels, _ = labels.Parse(w.Labels)
	return sel
}

func (x *watchIndex) add(w *watch) {
	sel := w.selection(x.of)
	x.wants[w], x.open[w.Stream] = sel, w
	if name := sel.fields.name(); name != "" {
		x.named[w.Resource+"/"+name] = append(x.named[w.Resource+"/"+name], w)
	} else {
		x.all[w.Resource] = append(x.all[w.Resource], w)
	}
}

func (x *watchIndex) remove(w *watch) {
	is := func(o *watch) bool { return o == w }
	if name := x.wants[w].fields.name(); name != "" {
		key := w.Resource + "/" + name
		if x.named[key] = slices.DeleteFunc(x.named[key], is); len(x.named[key]) == 0 {
			delete(x.named, key)
		}
	} else {
		x.all[w.Resource] = slices.DeleteFunc(x.all[w.Resource], is)
	}
	delete(x.wants, w)
	delete(x.open, w.Stream)
}

func (s *Server) watchers() *watchIndex {
	if s.index == nil {
		s.index = &watchIndex{all: map[string][]*watch{}, named: map[string][]*watch{}, wants: map[*watch]*selection{}, open: map[uint64]*watch{}, of: s.catalog}
		for _, w := range s.Watches {
			s.index.add(w)
		}
	}
	return s.index
}

// defaultTimeout bounds a watch that does not say timeoutSeconds: 30 to 60
// minutes (--min-request-timeout 1800).
const defaultTimeout = 1800

// watch opens a watch: the answer is open, begin sends its first frames.
func (x *exchange) watch(r *resource) sim.Response {
	if _, err := x.selection(r); err != nil {
		return failed(err)
	}
	w := &watch{Stream: x.r.Stream, Resource: r.Plural, Namespace: x.namespaceOf(r), Fields: x.query.Get("fieldSelector"), Labels: x.query.Get("labelSelector"), As: x.form.as, Bare: x.query.Get("includeObject") == "None",
		Told: r.Plural == "leases" && x.r.Header.Get(foldHeader) == toldHeader}
	if v := x.wanted(r).Version; v != r.Version {
		w.Version = v
	}
	initial := x.query.Get("sendInitialEvents") == "true" || x.query.Get("sendInitialEvents") == "1"
	from := x.query.Get("resourceVersion")
	version, err := parseVersion(from)
	if err != nil {
		return x.refuse(err)
	}
	switch {
	case initial:
		w.Objects, w.Mark = true, x.query.Get("allowWatchBookmarks") == "true" || x.query.Get("allowWatchBookmarks") == "1"
	case from == "" || from == "0":
		w.Objects = true
	default:
		w.Sent = version
	}
	seconds, err := strconv.ParseUint(x.query.Get("timeoutSeconds"), 10, 31)
	if err != nil || seconds == 0 {
		seconds = defaultTimeout + x.c.Chance.N("watch timeout", defaultTimeout)
	}
	w.Until = x.c.Now.Add(time.Duration(seconds) * time.Second)
	x.s.flush(x.c)
	index := x.s.watchers() // before the new one stands in the list
	x.s.Watches = append(x.s.Watches, w)
	index.add(w)
	x.c.Wake(w.Until, watchTag+strconv.FormatUint(w.Stream, 10))
	resp := answer(200, jsonType, nil)
	resp.Stream = true
	return resp
}

const watchTag = "watch "

// begin sends a new watch what it asked to see first.
func (s *Server) begin(c *sim.Ctx, stream uint64) {
	w := s.find(stream)
	if w == nil {
		return
	}
	sel := s.watchers().wants[w]
	now := s.store.Version
	if w.Objects {
		for _, o := range s.store.matching(sel) {
			s.tell(c, w, added, s.store.folded(c.Now, o))
		}
		if w.Mark {
			c.Push(w.Stream, frame("BOOKMARK", bookmark(sel.resource, w.gv(sel.resource), versionText(now))))
		}
	} else {
		events, ok := s.store.since(w.Sent)
		if !ok {
			s.expired(c, w)
			return
		}
		for _, e := range events {
			if e.Object.Resource == w.Resource {
				s.offer(c, w, sel, e)
			}
		}
		if w.Told {
			// The list before it did not tell.
			for _, o := range s.store.matching(sel) {
				if _, ok := s.store.Folds[foldKey(o.Resource, o.Namespace, o.Name)]; ok {
					s.tell(c, w, modified, s.store.folded(c.Now, o))
				}
			}
		}
	}
	w.Sent = now
}

// gv is the version in which a watch sees objects.
func (w *watch) gv(r *resource) schema.GroupVersion {
	if w.Version != "" {
		return schema.GroupVersion{Group: r.Group, Version: w.Version}
	}
	return r.gv()
}

// marks are bookmarks of resources, cut where their version stands.
var marks sync.Map

// bookmark says that all objects that a watch begins with were shown.
func bookmark(r *resource, gv schema.GroupVersion, version string) []byte {
	key := gv.WithKind(r.Kind)
	v, ok := marks.Load(key)
	if !ok {
		o := r.New()
		o.GetObjectKind().SetGroupVersionKind(key)
		meta(o).ResourceVersion = "VERSION"
		meta(o).Annotations = map[string]string{"k8s.io/initial-events-end": "true"}
		before, after, _ := bytes.Cut(without(encode(o), r.unknown), []byte("VERSION"))
		v = [2][]byte{before, after}
		marks.Store(key, v)
	}
	around := v.([2][]byte)
	return slices.Concat(around[0], []byte(version), around[1])
}

// expired ends a watch that asks for a past that is forgotten.
func (s *Server) expired(c *sim.Ctx, w *watch) {
	err := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", w.Sent, s.store.History[0].Object.Version))
	st := err.ErrStatus
	st.Kind, st.APIVersion = "Status", "v1"
	c.Push(w.Stream, frame("ERROR", encode(st)))
	c.End(w.Stream)
	s.forget(w.Stream)
}

func frame(kind string, object []byte) []byte {
	b := make([]byte, 0, len(object)+40)
	b = append(append(b, `{"type":"`...), kind...)
	b = append(append(b, `","object":`...), object...)
	return append(b, "}\n"...)
}

// offer tells a watch of a change if it concerns it: an object that is no
// longer selected is deleted for the watcher, one that is now is added.
func (s *Server) offer(c *sim.Ctx, w *watch, sel *selection, e Event) {
	if e.Type == stopped && !w.Told {
		return
	}
	now, kind := sel.matches(e.Object), e.Type
	if kind == stopped {
		kind = modified
	}
	if kind == modified && (!sel.labels.Empty() || len(sel.fields.Requirements()) > 0 && sel.fields.name() == "") {
		was := s.before(e.Object)
		before := was != nil && sel.matches(was)
		switch {
		case now && !before:
			kind = added
		case !now && before:
			now, kind = true, deleted
		}
	}
	if now {
		s.tell(c, w, kind, e.Object)
	}
}

// before finds the state of an object before a change.
func (s *Server) before(o *Object) *Object {
	for i := len(s.store.History) - 1; i >= 0; i-- {
		e := s.store.History[i]
		if e.Object.Version < o.Version && e.Object.Resource == o.Resource && e.Object.key() == o.key() {
			return e.Object
		}
	}
	return nil
}

// metaVersion is the version of meta.k8s.io that a release prefers.
func metaVersion(e era.Era) string {
	if v := era.Tables.In(e); len(v) > 0 {
		return v[0]
	}
	return "v1"
}

// tell sends one frame in the watch's form.
func (s *Server) tell(c *sim.Ctx, w *watch, kind string, o *Object) {
	r := s.catalog.of[w.Resource]
	body := []byte(o.JSON)
	switch {
	case w.As == "Table":
		include := "Metadata"
		if w.Bare {
			include = "None"
		}
		t := metav1.Table{ListMeta: metav1.ListMeta{ResourceVersion: meta(o.typed).ResourceVersion}}
		var err error
		if body, err = s.tableJSON(c, r, []*Object{o}, t, metaVersion(s.era), include, !w.Headed); err != nil {
			return
		}
		w.Headed = true
	case w.As == "PartialObjectMetadata" || w.As == "PartialObjectMetadataList":
		body = encode(partial(r, o, metaVersion(s.era)))
	case w.Version != "" || r.linked:
		body = shaped(r, o, w.gv(r), "")
		if !w.Told {
			c.Push(w.Stream, frame(kind, body))
			return
		}
	}
	if w.Told {
		c.Push(w.Stream, sim.FoldedFrame(kind, body, s.store.folding(c.Now, o)))
		return
	}
	if w.As == "" {
		// All who watch are sent the same bytes.
		if f := &s.framed; f.of != o || f.kind != kind {
			f.of, f.kind, f.data = o, kind, frame(kind, body)
		}
		c.Push(w.Stream, s.framed.data)
		return
	}
	c.Push(w.Stream, frame(kind, body))
}

// framed is the last frame that shows an object as it is stored.
type framed struct {
	of   *Object
	kind string
	data []byte
}

// announce notes a change and tells the watchers of it.
func (s *Server) announce(c *sim.Ctx, o *Object, args map[string]string, payload string) {
	cause := c.Cause
	c.Cause = c.Note(trace.Object, o.Resource+"/"+o.key(), args, payload)
	s.flush(c)
	c.Cause = cause
}

// Poke tells the watchers of changes that another server made in the same store.
func (s *Server) Poke(c *sim.Ctx) { s.flush(c) }

// flush tells the watches of all changes that they were not told yet.
func (s *Server) flush(c *sim.Ctx) {
	if s.Told >= s.store.Version {
		return
	}
	events, _ := s.store.since(s.Told)
	s.Told = s.store.Version
	if len(s.Watches) == 0 {
		return
	}
	x := s.watchers()
	for _, e := range events {
		for _, list := range [][]*watch{x.all[e.Object.Resource], x.named[e.Object.Resource+"/"+e.Object.Name]} {
			for _, w := range list {
				if e.Object.Version > w.Sent {
					s.offer(c, w, x.wants[w], e)
				}
			}
		}
	}
}

func (s *Server) find(stream uint64) *watch { return s.watchers().open[stream] }

// forget drops a watch whose client is gone.
func (s *Server) forget(stream uint64) {
	w := s.find(stream)
	if w == nil {
		return
	}
	s.watchers().remove(w)
	// Those that end soon began lately.
	for i := len(s.Watches) - 1; i >= 0; i-- {
		if s.Watches[i] == w {
			s.Watches = slices.Delete(s.Watches, i, i+1)
			return
		}
	}
}

// expire ends a watch whose time is over.
func (s *Server) expire(c *sim.Ctx, tag string) {
	text, ok := strings.CutPrefix(tag, watchTag)
	stream, err := strconv.ParseUint(text, 10, 64)
	if !ok || err != nil || s.find(stream) == nil {
		return
	}
	c.End(stream)
	s.forget(stream)
}
