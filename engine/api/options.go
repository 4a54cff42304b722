package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
)

// What stands in the query of a request, and in the body of a DELETE. Parameters that
// nobody knows are no error. Models apimachinery/pkg/apis/meta/v1/validation and
// apimachinery/pkg/apis/meta/internalversion/validation.

// mostBody is what a body may have, in bytes.
const mostBody = 3 << 20

// invalidOptions are errors in the parameters of a request.
func invalidOptions(kind string, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: "meta.k8s.io", Kind: kind}, "", errs)
}

// tooLarge says that a body is.
func (x *exchange) tooLarge() error {
	if len(x.r.Body) > mostBody {
		return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", mostBody))
	}
	return nil
}

// integer reads a number among the parameters.
func integer(q url.Values, name string) (*int64, error) {
	list, ok := q[name]
	if !ok {
		return nil, nil
	}
	n, err := strconv.ParseInt(list[0], 10, 64)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return &n, nil
}

// writeOptions are those of a creation, an update or a patch: whether it is for show only.
func (x *exchange) writeOptions() (dry bool, err error) {
	if err := x.tooLarge(); err != nil {
		return false, err
	}
	if len(x.query) == 0 {
		return false, nil
	}
	var errs field.ErrorList
	s, kind := begin(&errs), map[string]string{"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}[x.info.verb]
	if x.info.verb == "patch" && x.query.Has("force") {
		s.forbid("force", "may not be specified for non-apply patch")
	}
	s.managerName("fieldManager", x.query.Get("fieldManager"))
	s.dryRun(x.query["dryRun"])
	if err := x.noDryRun(x.query["dryRun"]); err != nil {
		return false, err
	}
	if v := x.query.Get("fieldValidation"); v != "" {
		s.plainOf("fieldValidation", v, "", "Ignore", "Strict", "Warn")
	}
	return len(x.query["dryRun"]) > 0, invalidOptions(kind, errs)
}

// noDryRun says that the release can't try.
func (x *exchange) noDryRun(list []string) error {
	if why := era.DryRunRefused.In(x.s.era); why != "" && len(list) > 0 {
		return apierrors.NewBadRequest(why)
	}
	return nil
}

// dryRun says that something else than All is asked for.
func (s spot) dryRun(list []string) {
	if slices.ContainsFunc(list, func(v string) bool { return v != metav1.DryRunAll }) {
		s.add(field.NotSupported(s.path("dryRun"), list, []string{metav1.DryRunAll}))
	}
}

// selection reads the selectors of a list or watch.
func (x *exchange) selection(r *resource) (*selection, error) {
	sel := &selection{resource: r, namespace: x.namespaceOf(r)}
	for _, name := range []string{"timeoutSeconds", "limit"} {
		if _, err := integer(x.query, name); err != nil {
			return nil, err
		}
	}
	var err error
	if sel.labels, err = labels.Parse(x.query.Get("labelSelector")); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if sel.fields, err = parseFields(x.query.Get("fieldSelector")); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if err := x.listOptions(); err != nil {
		return nil, err
	}
	for _, q := range sel.fields.Requirements() {
		if q.Field == "metadata.name" || q.Field == "metadata.namespace" && (r.Namespaced || r.fields == nil) || r.fields[q.Field] != nil {
			continue
		}
		if r.fields == nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("%q is not a known field selector: only %q, %q", q.Field, "metadata.name", "metadata.namespace"))
		}
		return nil, apierrors.NewBadRequest("field label not supported: " + q.Field)
	}
	return sel, nil
}

// listOptions models ValidateListOptions, and what the storage says of a version.
func (x *exchange) listOptions() error {
	if len(x.query) == 0 {
		return nil
	}
	var errs field.ErrorList
	s := begin(&errs)
	match, from, more := x.query.Get("resourceVersionMatch"), x.query.Get("resourceVersion"), x.query.Get("continue")
	initial, watches := x.query.Has("sendInitialEvents"), x.info.verb == "watch"
	if watches && initial && match != "NotOlderThan" {
		s.forbid("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")
	}
	if watches && initial && !era.InitialEvents.In(x.s.era) {
		s.forbid("sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
	}
	if match != "" {
		switch {
		case watches && !initial:
			s.forbid("resourceVersionMatch", era.MatchOfWatch.In(x.s.era))
		case !watches && from == "":
			s.forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
		}
		if watches {
			s.oneOf("resourceVersionMatch", match, "NotOlderThan")
		}
		if more != "" {
			s.forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
		}
		if !watches {
			s.oneOf("resourceVersionMatch", match, "Exact", "NotOlderThan", "")
			if match == "Exact" && from == "0" {
				s.forbid("resourceVersionMatch", `resourceVersionMatch "exact" is forbidden for resourceVersion "0"`)
			}
		}
	}
	if initial && !watches {
		s.forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
	}
	if err := invalidOptions("ListOptions", errs); err != nil || watches {
		return err
	}
	if more != "" {
		if err := continues(more); err != nil {
			return apierrors.NewBadRequest("invalid continue token: continue key is not valid" + err.Error())
		}
		if from != "" && from != "0" {
			return apierrors.NewBadRequest("specifying resource version is not allowed when using continue")
		}
		return nil
	}
	version, err := parseVersion(from)
	if err != nil {
		return apierrors.NewBadRequest("invalid resource version: " + err.Error())
	}
	return x.notBefore(version)
}

// continues reads what a server gave to somebody who wants to go on with a list (Models
// apiserver/pkg/storage DecodeContinue).
func continues(token string) error {
	b, err := base64.RawURLEncoding.DecodeString(token)
	var t struct {
		V, Start string
		RV       int64
	}
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	switch key := "/" + strings.TrimPrefix(t.Start, "/"); {
	case err != nil:
		return fmt.Errorf(": %v", err)
	case t.V != "meta.k8s.io/v1":
		return fmt.Errorf(": server does not recognize this encoded version %s", t.V)
	case t.RV == 0:
		return fmt.Errorf(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
	case t.Start == "":
		return fmt.Errorf(": encoded start key empty (version meta.k8s.io/v1)")
	case path.Clean(key) != key:
		return fmt.Errorf(": %s", t.Start)
	}
	return nil
}

// parseVersion reads a resourceVersion; the error is in the words of the storage.
func parseVersion(text string) (uint64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, field.Invalid(field.NewPath("resourceVersion"), text, err.Error())
	}
	return n, nil
}

// notBefore says that the store has not come to a version yet, as the real one does when
// it has waited for 3 seconds (Models NewTooLargeResourceVersionError).
func (x *exchange) notBefore(version uint64) error {
	if version <= x.s.store.Version {
		return nil
	}
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", version, x.s.store.Version), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

// deleteOptions reads the body of a DELETE, or the query when there is none.
func (x *exchange) deleteOptions() (d metav1.DeleteOptions, err error) {
	if err := x.tooLarge(); err != nil {
		return d, err
	}
	if len(x.r.Body) > 0 {
		b, _, err := x.bodyJSON()
		if err != nil {
			return d, err
		}
		var is metav1.TypeMeta
		if err := json.Unmarshal(b, &is); err != nil {
			return d, apierrors.NewBadRequest("couldn't get version/kind; json parse error: " + err.Error())
		}
		if is.Kind != "" && is.Kind != "DeleteOptions" {
			return d, apierrors.NewBadRequest(fmt.Sprintf("no kind %q is registered for version %q in scheme %q", is.Kind, is.APIVersion, "pkg/apis/meta/internalversion/scheme/register.go:27"))
		}
		if err := json.Unmarshal(b, &d); err != nil {
			return d, apierrors.NewBadRequest(err.Error())
		}
	} else if len(x.query) > 0 {
		if d.GracePeriodSeconds, err = integer(x.query, "gracePeriodSeconds"); err != nil {
			return d, err
		}
		if x.query.Has("orphanDependents") {
			orphan := truth(x.query.Get("orphanDependents"))
			d.OrphanDependents = &orphan
		}
		if x.query.Has("propagationPolicy") {
			policy := metav1.DeletionPropagation(x.query.Get("propagationPolicy"))
			d.PropagationPolicy = &policy
		}
		d.DryRun = x.query["dryRun"]
		if uid, version := types.UID(x.query.Get("uid")), x.query.Get("resourceVersion"); x.info.verb == "delete" && (uid != "" || version != "") {
			d.Preconditions = &metav1.Preconditions{}
			if uid != "" {
				d.Preconditions.UID = &uid
			}
			if version != "" {
				d.Preconditions.ResourceVersion = &version
			}
		}
	}
	var errs field.ErrorList
	s := begin(&errs)
	if p := d.PropagationPolicy; p != nil {
		if d.OrphanDependents != nil {
			s.bad("propagationPolicy", word(*p), "orphanDependents and deletionPropagation cannot be both set")
		}
		s.oneOf("propagationPolicy", string(*p), "Foreground", "Background", "Orphan", "nil")
	}
	s.dryRun(d.DryRun)
	if err := x.noDryRun(d.DryRun); err != nil {
		return d, err
	}
	return d, invalidOptions("DeleteOptions", errs)
}

// tableOptions says that something else of the objects is asked for than there is (Models
// ValidateTableOptions).
func (x *exchange) tableOptions() error {
	v := x.query.Get("includeObject")
	if x.form.as != "Table" || slices.Contains([]string{"", "Metadata", "Object", "None"}, v) {
		return nil
	}
	return apierrors.NewBadRequest("Unable to convert to Table as requested: " + field.Invalid(field.NewPath("includeObject"), word(v), "must be 'Metadata', 'Object', 'None', or empty").Error())
}

// badTimeout says that a request has a timeout that is none. Those that go on for long
// have none (Models apiserver/pkg/endpoints/filters WithRequestDeadline).
func (x *exchange) badTimeout() error {
	v := x.query.Get("timeout")
	if v == "" || x.info.verb == "watch" || slices.Contains([]string{"attach", "exec", "proxy", "log", "portforward"}, x.info.sub) {
		return nil
	}
	if _, err := time.ParseDuration(v); err != nil {
		return apierrors.NewBadRequest("invalid timeout specified in the request URL - " + err.Error())
	}
	return nil
}
