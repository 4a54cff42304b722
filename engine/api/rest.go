package api

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unsafe"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// namespaceOf is the namespace that objects of the row have in this request.
func (x *exchange) namespaceOf(r *resource) string {
	if r.Namespaced {
		return x.info.nspc
	}
	return ""
}

// now is the time that the server writes into objects: whole seconds of its clock.
func (x *exchange) now() metav1.Time { return metav1.NewTime(x.c.Clock().Truncate(1e9).UTC()) }

func (x *exchange) get(r *resource) sim.Response {
	if version, err := parseVersion(x.query.Get("resourceVersion")); err != nil {
		return x.refuse(err)
	} else if err := x.notBefore(version); err != nil {
		return failed(err)
	}
	o := x.s.store.Get(r.Plural, x.namespaceOf(r), x.info.name)
	if o == nil {
		return failed(apierrors.NewNotFound(r.gr(), x.info.name))
	}
	return x.show(200, r, x.s.store.folded(x.c.Now, o))
}

// selected lists the stored objects that are wanted, sorted by key.
func (x *exchange) selected(sel *selection) []*Object {
	out := x.s.store.matching(sel)
	for i, o := range out {
		out[i] = x.s.store.folded(x.c.Now, o)
	}
	return out
}

func (x *exchange) list(r *resource) sim.Response {
	sel, err := x.selection(r)
	if err != nil {
		return failed(err)
	}
	return x.showList(r, x.selected(sel))
}

// nameFrom completes generateName, as names.SimpleNameGenerator does.
func (x *exchange) nameFrom(o object) {
	if meta(o).Name == "" && meta(o).GenerateName != "" {
		base := meta(o).GenerateName
		if len(base) > 58 {
			base = base[:58]
		}
		meta(o).Name = base + x.c.Chance.Suffix("names", 5)
	}
}

func (x *exchange) create(r *resource) sim.Response {
	dry, err := x.writeOptions()
	if err != nil {
		return failed(err)
	}
	o := r.New()
	if err := x.decode(x.wanted(r).WithKind(r.Kind), o); err != nil {
		return failed(err)
	}
	if r.defaults != nil {
		r.defaults(o)
	}
	if err := x.inNamespace(r, o); err != nil {
		return failed(err)
	}
	if r.Namespaced && x.s.store.Get("namespaces", "", x.info.nspc) == nil {
		return failed(apierrors.NewNotFound(resources["namespaces"].gr(), x.info.nspc))
	}
	if err := x.admitEarly(r, o, nil, "create"); err != nil {
		return failed(err)
	}
	if r.guard != nil {
		if err := r.guard(x, r, o, nil); err != nil {
			return failed(err)
		}
	}
	x.fillIn(r, o)
	if r.allocate != nil {
		if err := r.allocate(x, o, nil); err != nil {
			return failed(err)
		}
	}
	if r.prepare != nil {
		r.prepare(x, o, nil, "")
	}
	if errs := x.check(r, o, nil, ""); len(errs) > 0 {
		return failed(apierrors.NewInvalid(r.gk(), meta(o).Name, errs))
	}
	if err := x.admitLate(r, o, nil, "create"); err != nil {
		return failed(err)
	}
	if v, err := strconv.ParseUint(meta(o).ResourceVersion, 10, 64); err == nil && v != 0 {
		return x.refuse(errors.New("resourceVersion should not be set on objects to be created"))
	}
	meta(o).ResourceVersion = ""
	if x.s.store.Get(r.Plural, meta(o).Namespace, meta(o).Name) != nil {
		return failed(apierrors.NewAlreadyExists(r.gr(), meta(o).Name))
	}
	x.manage(r, o, nil, "")
	if dry {
		return x.show(201, r, written(r, o, 0))
	}
	return x.show(201, r, x.commit(r, "create", o))
}

// inNamespace makes the object's namespace that of the path.
func (x *exchange) inNamespace(r *resource, o object) error {
	ns := x.namespaceOf(r)
	if meta(o).Namespace != "" && meta(o).Namespace != ns {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	meta(o).Namespace = ns
	return nil
}

// sameName holds an object's name against the path (Models
// apiserver/pkg/endpoints/handlers checkName).
func (x *exchange) sameName(o object) error {
	switch meta(o).Name {
	case x.info.name:
		return nil
	case "":
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", x.info.name))
	}
	return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", meta(o).Name, x.info.name))
}

// fillIn writes what only the server decides (Models rest.FillObjectMetaSystemFields).
func (x *exchange) fillIn(r *resource, o object) {
	x.nameFrom(o)
	meta(o).DeletionTimestamp = nil
	meta(o).CreationTimestamp = x.now()
	meta(o).UID = types.UID(x.c.Chance.UUID("uid"))
	meta(o).SelfLink = ""
	meta(o).ManagedFields = nil
	o.GetObjectKind().SetGroupVersionKind(r.gv().WithKind(r.Kind))
}

// conditional are the groups whose objects are changed only by who says which version
// of them they saw. Models AllowUnconditionalUpdate of their strategies.
var conditional = []string{"apiregistration.k8s.io", "coordination.k8s.io", "node.k8s.io", "storage.k8s.io"}

// commit stores a new or changed object, notes it and tells the watchers.
func (x *exchange) commit(r *resource, verb string, o object) *Object {
	return x.stored(verb, x.s.store.put(r, o))
}

// stored notes what was stored.
func (x *exchange) stored(verb string, o *Object) *Object {
	b := o.public()
	shown := twin(o.typed)
	meta(shown).ManagedFields = nil
	sim.Remember(b, shown)
	x.changed(verb, o, unsafe.String(unsafe.SliceData(b), len(b)))
	return o
}

func (x *exchange) changed(verb string, o *Object, payload string) {
	version := strconv.FormatUint(o.Version, 10)
	x.c.Note(trace.Stored, o.Resource+"/"+o.key(), map[string]string{"verdict": "yes", "verb": verb, "resource": o.Resource, "version": version}, "")
	x.s.announce(x.c, o, map[string]string{"verb": verb, "version": version, "by": x.user.Name}, payload)
	if (o.Resource == "apiservices" || o.Resource == "services") && x.user.Name != "system:apiserver" {
		x.s.lookAll(x.c)
	}
	if resources[o.Resource].Group == "rbac.authorization.k8s.io" {
		x.s.store.reconsider(x.c)
	}
}

// update answers PUT and, with a patch, PATCH.
func (x *exchange) update(r *resource, patch *patch) sim.Response {
	dry, err := x.writeOptions()
	if err != nil {
		return failed(err)
	}
	verb := "update"
	current := x.s.store.Get(r.Plural, x.namespaceOf(r), x.info.name)
	o := r.New()
	want := x.wanted(r).WithKind(r.Kind)
	if patch == nil {
		if err := x.decode(want, o); err != nil {
			return failed(err)
		}
		if err := x.inNamespace(r, o); err != nil {
			return failed(err)
		}
		if err := x.sameName(o); err != nil {
			return failed(err)
		}
	}
	if current == nil {
		return failed(apierrors.NewNotFound(r.gr(), x.info.name))
	}
	if patch != nil {
		verb = "patch"
		// managedFields are much of an object, and a patch seldom speaks of them.
		was := x.s.store.folded(x.c.Now, current)
		doc := []byte(was.JSON)
		if !bytes.Contains(patch.data, []byte("managedFields")) {
			doc = was.public()
		}
		data, extra, err := patch.apply(r, doc, x.strictness() != "Ignore")
		if err != nil {
			return x.refuse(err)
		}
		if err := x.decodePatched(r, patch, data, extra, want, o); err != nil {
			return failed(err)
		}
		if err := x.inNamespace(r, o); err != nil {
			return failed(err)
		}
		if err := x.sameName(o); err != nil {
			return failed(err)
		}
	}
	old := current.typed
	if r.defaults != nil {
		r.defaults(o)
	}
	o.GetObjectKind().SetGroupVersionKind(r.gv().WithKind(r.Kind))
	if err := x.admitEarly(r, o, old, "update"); err != nil {
		return failed(err)
	}
	if r.guard != nil {
		if err := r.guard(x, r, o, old); err != nil {
			return failed(err)
		}
	}
	if v := meta(o).ResourceVersion; v != "" {
		if _, err := strconv.ParseUint(v, 10, 64); err != nil {
			return x.refuse(err)
		}
	}
	if v := meta(o).ResourceVersion; (v == "" || v == "0") && slices.Contains(conditional, r.Group) {
		return failed(apierrors.NewInvalid(schema.GroupKind{Group: r.Group, Kind: r.Plural}, x.info.name, field.ErrorList{field.Invalid(field.NewPath("metadata", "resourceVersion"), uint64(0), "must be specified for an update")}))
	}
	if v := meta(o).ResourceVersion; v != "" && v != "0" && v != strconv.FormatUint(current.Version, 10) || meta(o).UID != "" && meta(o).UID != meta(old).UID {
		why := fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again")
		if meta(o).UID != "" && meta(o).UID != meta(old).UID {
			// Models apiserver/pkg/storage StorageError.
			why = fmt.Errorf("StorageError: invalid object, Code: 4, Key: /registry/%s/%s, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: %s, UID in object meta: %s", r.Plural, current.key(), meta(o).UID, meta(old).UID)
		}
		return failed(apierrors.NewConflict(r.gr(), x.info.name, why))
	}
	x.keep(o, old)
	if r.allocate != nil && x.info.sub == "" {
		if err := r.allocate(x, o, old); err != nil {
			return failed(err)
		}
	}
	if r.prepare != nil {
		r.prepare(x, o, old, x.info.sub)
	}
	if errs := x.check(r, o, old, x.info.sub); len(errs) > 0 {
		return failed(apierrors.NewInvalid(r.gk(), x.info.name, errs))
	}
	if err := x.admitLate(r, o, old, "update"); err != nil {
		return failed(err)
	}
	x.manage(r, o, old, x.info.sub)
	meta(o).ResourceVersion = meta(old).ResourceVersion
	if x.renews(r) && !dry {
		return x.show(200, r, x.renewed(r, verb, o))
	}
	next := written(r, o, current.Version)
	if bytes.Equal(next.JSON, current.JSON) {
		return x.show(200, r, current) // an update that changes nothing is none
	}
	if dry {
		return x.show(200, r, next)
	}
	key := foldKey(r.Plural, meta(o).Namespace, meta(o).Name)
	x.interfere(key)
	x.s.store.unfold(key)
	changed := x.stored(verb, x.s.store.keep(next.versioned(x.s.store.Version+1)))
	if meta(o).DeletionTimestamp != nil && len(meta(o).Finalizers) == 0 && (r.over == nil || r.over(o)) {
		x.erase(r, changed)
	}
	return x.show(200, r, changed)
}

// keep restores what an update can't change (Models rest.BeforeUpdate).
func (x *exchange) keep(o, old object) {
	meta(o).UID = meta(old).UID
	meta(o).CreationTimestamp = meta(old).CreationTimestamp
	if meta(old).DeletionTimestamp != nil {
		meta(o).DeletionTimestamp = meta(old).DeletionTimestamp
	}
	if meta(o).DeletionGracePeriodSeconds == nil {
		meta(o).DeletionGracePeriodSeconds = meta(old).DeletionGracePeriodSeconds
	}
	if !era.SelfLinkStored.In(x.s.era) {
		meta(o).SelfLink = ""
	}
	meta(o).Generation = meta(old).Generation
	meta(o).GenerateName = meta(old).GenerateName
}

func (x *exchange) delete(r *resource) sim.Response {
	d, err := x.deleteOptions()
	if err != nil {
		return failed(err)
	}
	dry := len(d.DryRun) > 0
	ns := x.namespaceOf(r)
	current := x.s.store.Get(r.Plural, ns, x.info.name)
	if current == nil {
		return failed(apierrors.NewNotFound(r.gr(), x.info.name))
	}
	if err := x.admitEarly(r, nil, current.typed, "delete"); err != nil {
		return failed(err)
	}
	if err := precedes(r, d.Preconditions, meta(current.typed)); err != nil {
		return failed(err)
	}
	if r.Plural == "namespaces" && immortal[x.info.name] {
		return failed(apierrors.NewForbidden(r.gr(), x.info.name, fmt.Errorf("this namespace may not be deleted")))
	}
	if r.retire != nil {
		if resp, done := r.retire(x, r, current, dry); done {
			return resp
		}
	}
	if len(meta(current.typed).Finalizers) > 0 {
		return x.show(200, r, x.doom(r, current, dry))
	}
	if !dry {
		current = x.erase(r, current)
	}
	if r.returned {
		return x.show(200, r, current)
	}
	st := &metav1.Status{Status: metav1.StatusSuccess, Details: &metav1.StatusDetails{Name: x.info.name, Group: r.Group, Kind: r.Plural, UID: meta(current.typed).UID}}
	st.Code = 200
	st.Kind, st.APIVersion = "Status", "v1"
	code := int(st.Code)
	st.Code = 0
	return asJSON(code, encode(st))
}

// precedes holds what a deletion wants against what is there (Models
// apiserver/pkg/registry/rest BeforeDelete).
func precedes(r *resource, p *metav1.Preconditions, m *metav1.ObjectMeta) error {
	const words = "the %s in the precondition (%s) does not match the %s in record (%s). The object might have been %s"
	var why error
	switch {
	case p == nil:
		return nil
	case p.UID != nil && *p.UID != m.UID:
		why = fmt.Errorf(words, "UID", *p.UID, "UID", m.UID, "deleted and then recreated")
	case p.ResourceVersion != nil && *p.ResourceVersion != m.ResourceVersion:
		why = fmt.Errorf(words, "ResourceVersion", *p.ResourceVersion, "ResourceVersion", m.ResourceVersion, "modified")
	default:
		return nil
	}
	return apierrors.NewConflict(schema.GroupResource{Group: r.Group, Resource: r.Kind}, m.Name, why)
}

// doom begins the end of an object that finalizers hold: it goes when the last of
// them does (Models apiserver/pkg/registry/generic/registry markAsDeleting).
func (x *exchange) doom(r *resource, current *Object, dry bool) *Object {
	if meta(current.typed).DeletionTimestamp != nil {
		return current
	}
	o, now := twin(current.typed), x.now()
	m := meta(o)
	m.DeletionTimestamp, m.DeletionGracePeriodSeconds = &now, new(int64)
	if dry {
		return written(r, o, current.Version)
	}
	return x.commit(r, "delete", o)
}

// immortal are the namespaces that can't be deleted (Models the
// NamespaceLifecycle plugin).
var immortal = map[string]bool{"default": true, "kube-system": true, "kube-public": true}

// erase removes an object and returns it as it was.
func (x *exchange) erase(r *resource, o *Object) *Object {
	if r.Plural == "leases" || r.Plural == "nodes" {
		x.interfere(foldKey(r.Plural, o.Namespace, o.Name))
	}
	gone := x.s.store.remove(r.Plural, o.Namespace, o.Name)
	if gone == nil {
		return o
	}
	x.changed("delete", gone, "")
	return gone
}

func (x *exchange) deleteAll(r *resource) sim.Response {
	sel, err := x.selection(r)
	if err != nil {
		return failed(err)
	}
	gone := append([]*Object(nil), x.selected(sel)...)
	d, err := x.deleteOptions()
	if err != nil {
		return failed(err)
	}
	if len(d.DryRun) == 0 {
		for _, o := range gone {
			if len(meta(o.typed).Finalizers) > 0 {
				x.doom(r, o, false)
			} else {
				x.erase(r, o)
			}
		}
	}
	return x.showList(r, gone)
}
