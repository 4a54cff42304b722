package api

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// object is a Kubernetes object of k8s.io/api. It is smaller than v1.Object and
// runtime.Object: a linker keeps a method that is called by an interface for
// every type that has it, the kinds that nobody serves among them, so metadata
// is reached by one method (see meta) and nothing is copied by DeepCopyObject.
type object interface {
	v1.ObjectMetaAccessor
	GetObjectKind() schema.ObjectKind
}

// Object is one object as it is stored: never changed after it was made, so
// that clones of a Store share it.
type Object struct {
	// Resource is the plural ("nodes"); Namespace is empty for what has none.
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
	Version   uint64 `json:"version"`
	// JSON is the whole object, kind and apiVersion first, without a newline.
	JSON json.RawMessage `json:"json"`

	typed object // the same, decoded
	row   *resource
	// managed is where managedFields stand in JSON, with the comma before
	// them; zero when that is not known.
	managed [2]int
}

func (o *Object) key() string { return objectKey(o.Namespace, o.Name) }

// objectKey orders objects as etcd's keys do.
func objectKey(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// compare orders an object and a key.
func (o *Object) compare(key string) int {
	if n := len(o.Namespace); n > 0 {
		if len(key) > n && key[n] == '/' && key[:n] == o.Namespace {
			return strings.Compare(o.Name, key[n+1:])
		}
		return strings.Compare(o.key(), key)
	}
	return strings.Compare(o.Name, key)
}

// Event types of a watch.
const (
	added    = "ADDED"
	modified = "MODIFIED"
	deleted  = "DELETED"
	// stopped is no event of Kubernetes: a Lease that was renewed by itself is not
	// any more, and did not change. Only who asked for it is told (see toldHeader).
	stopped = "STOPPED"
)

// Event is one change. Object is the new state; after a deletion it is the
// last one, with the version of the deletion.
type Event struct {
	Type   string  `json:"type"`
	Object *Object `json:"object"`
}

// historyLength is how many changes a Store remembers for watches that begin
// in the past. kube-apiserver's watch cache grows to about as many.
const historyLength = 4096

// Store is what etcd holds: the objects, the version that rises with each
// change, and the latest changes. It is plain data.
type Store struct {
	Version uint64               `json:"version"`
	Tables  map[string][]*Object `json:"tables"` // by resource, sorted by key
	History []Event              `json:"history"`
	Folds   map[string]Fold      `json:"folds,omitempty"`
	// Standing are the connections over which somebody asks again and again who
	// may do something, and wants to hear when that may have changed.
	Standing []uint64 `json:"standing,omitempty"`

	byConn map[uint64][]string // see foldsOf
}

// NewStore returns an empty store at version 1, as a new etcd begins.
func NewStore() *Store { return &Store{Version: 1, Tables: map[string][]*Object{}} }

// Clone returns an independent copy, which shares the objects.
func (s *Store) Clone() *Store {
	n := &Store{Version: s.Version, Tables: make(map[string][]*Object, len(s.Tables)), History: slices.Clip(s.History), Standing: slices.Clone(s.Standing)}
	for r, t := range s.Tables {
		n.Tables[r] = slices.Clone(t)
	}
	if s.Folds != nil {
		n.Folds = make(map[string]Fold, len(s.Folds))
		for k, f := range s.Folds {
			n.Folds[k] = f
		}
	}
	return n
}

// UnmarshalJSON restores a store from its snapshot. An object of a resource
// that is not served any more is an error.
func (s *Store) UnmarshalJSON(b []byte) error {
	type plain Store
	if err := json.Unmarshal(b, (*plain)(s)); err != nil {
		return err
	}
	if s.Tables == nil {
		s.Tables = map[string][]*Object{}
	}
	for resource, t := range s.Tables {
		for _, o := range t {
			if o == nil || o.Resource != resource {
				return fmt.Errorf("an object among %s is none of them", resource)
			}
			if err := o.decode(); err != nil {
				return err
			}
		}
	}
	for i := range s.History {
		o := s.History[i].Object
		if o == nil {
			return fmt.Errorf("change %d has no object", i+1)
		}
		if same := s.Get(o.Resource, o.Namespace, o.Name); same != nil && same.Version == o.Version {
			s.History[i].Object = same
		} else if err := o.decode(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) find(resource, key string) (int, bool) {
	return slices.BinarySearchFunc(s.Tables[resource], key, (*Object).compare)
}

// Get returns an object, or nil.
func (s *Store) Get(resource, namespace, name string) *Object {
	if i, ok := s.find(resource, objectKey(namespace, name)); ok {
		return s.Tables[resource][i]
	}
	return nil
}

// List returns the JSON of all objects of a resource, sorted by namespace and
// name. The caller must not change it.
func (s *Store) List(resource string) [][]byte {
	var out [][]byte
	for _, o := range s.Tables[resource] {
		out = append(out, o.JSON)
	}
	return out
}

// All yields all objects of a resource, sorted by namespace and name, as they
// are held: the caller must not change them. T is the kind of the resource.
func All[T any](s *Store, resource string) iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, o := range s.Tables[resource] {
			if !yield(o.typed.(T)) {
				return
			}
		}
	}
}

// in returns the objects of a resource in a namespace, or in all of them.
func (s *Store) in(resource, namespace string) []*Object {
	t := s.Tables[resource]
	if namespace == "" {
		return t
	}
	from, _ := s.find(resource, namespace+"/")
	to, _ := s.find(resource, namespace+"0") // "0" follows "/"
	return t[from:to]
}

// matching returns the objects that are wanted, sorted by key.
func (s *Store) matching(sel *selection) []*Object {
	r := sel.resource
	if name := sel.fields.name(); name != "" && (sel.namespace != "" || !r.Namespaced) {
		if o := s.Get(r.Plural, sel.namespace, name); o != nil && sel.matches(o) {
			return []*Object{o}
		}
		return nil
	}
	var out []*Object
	for _, o := range s.in(r.Plural, sel.namespace) {
		if sel.matches(o) {
			out = append(out, o)
		}
	}
	return out
}

// put stores an object, new or changed, with the next version, and returns it.
func (s *Store) put(r *resource, o object) *Object {
	return s.keep(newObject(r, o, s.Version+1))
}

// of gives the objects of a snapshot their rows.
func (s *Store) of(c *catalog) {
	for plural, t := range s.Tables {
		for _, o := range t {
			if o.row != nil {
				break
			}
			if o.row = c.of[plural]; o.row == nil {
				o.row = resources[plural]
			}
		}
	}
}

// keep stores an object that has the next version.
func (s *Store) keep(stored *Object) *Object {
	s.Version = stored.Version
	resource := stored.Resource
	i, found := s.find(resource, stored.key())
	kind := added
	if found {
		kind = modified
		s.Tables[resource][i] = stored
	} else {
		s.Tables[resource] = slices.Insert(s.Tables[resource], i, stored)
	}
	s.remember(Event{kind, stored})
	return stored
}

// stop remembers that an object does not go on by itself. It takes a version, so
// that all servers tell it in its order.
func (s *Store) stop(o *Object) {
	s.Version++
	n := *o
	n.Version = s.Version
	s.remember(Event{stopped, &n})
}

// remove takes an object away and returns its last state, or nil.
func (s *Store) remove(resource, namespace, name string) *Object {
	i, found := s.find(resource, objectKey(namespace, name))
	if !found {
		return nil
	}
	last, row := twin(s.Tables[resource][i].typed), s.Tables[resource][i].row
	s.Tables[resource] = slices.Delete(s.Tables[resource], i, i+1)
	s.unfold(foldKey(resource, namespace, name))
	s.Version++
	gone := newObject(row, last, s.Version)
	s.remember(Event{deleted, gone})
	return gone
}

func (s *Store) remember(e Event) {
	if len(s.History) >= 2*historyLength {
		s.History = slices.Clone(s.History[len(s.History)-historyLength:])
	}
	s.History = append(s.History, e)
}

// since returns the changes after a version; false when they are forgotten.
func (s *Store) since(version uint64) ([]Event, bool) {
	i, _ := slices.BinarySearchFunc(s.History, version+1, func(e Event, v uint64) int {
		switch {
		case e.Object.Version < v:
			return -1
		case e.Object.Version > v:
			return 1
		}
		return 0
	})
	remembered := len(s.History) == 0 || version+1 >= s.History[0].Object.Version || s.History[0].Object.Version <= 2
	return s.History[i:], remembered
}
