package api

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// review is a row of what is only ever created: a question, answered in status.
type review struct {
	Group, Plural, Kind string
	Namespaced          bool
	new                 func() object
	answer              func(x *exchange, o object) field.ErrorList
	check               func(o object) error // before it, nil for none
	// bare: the answer has no managedFields.
	bare bool

	versions []string // that the release serves
	unnamed  bool     // without a singular name in discovery
}

var reviews []*review

// The rows refer to functions that refer to them, so they are filled in here.
func init() {
	reviews = []*review{
		{Group: "authentication.k8s.io", Plural: "selfsubjectreviews", Kind: "SelfSubjectReview", new: func() object { return new(authenticationv1.SelfSubjectReview) }, answer: whoAmI, bare: true},
		{Group: "authentication.k8s.io", Plural: "tokenreviews", Kind: "TokenReview", new: func() object { return new(authenticationv1.TokenReview) }, answer: whoseToken, check: needsToken},
		{Group: "authorization.k8s.io", Plural: "localsubjectaccessreviews", Kind: "LocalSubjectAccessReview", Namespaced: true, new: func() object { return new(authorizationv1.LocalSubjectAccessReview) }, answer: mayThereLocal},
		{Group: "authorization.k8s.io", Plural: "selfsubjectaccessreviews", Kind: "SelfSubjectAccessReview", new: func() object { return new(authorizationv1.SelfSubjectAccessReview) }, answer: mayI},
		{Group: "authorization.k8s.io", Plural: "selfsubjectrulesreviews", Kind: "SelfSubjectRulesReview", new: func() object { return new(authorizationv1.SelfSubjectRulesReview) }, answer: whatMayI, check: needsNamespace, bare: true},
		{Group: "authorization.k8s.io", Plural: "subjectaccessreviews", Kind: "SubjectAccessReview", new: func() object { return new(authorizationv1.SubjectAccessReview) }, answer: mayThey},
	}
	register()
}

func (x *exchange) review(v *review) sim.Response {
	if _, err := x.writeOptions(); err != nil {
		return failed(err)
	}
	r := &resource{Group: v.Group, Version: x.info.version, versions: v.versions, Plural: v.Plural, Kind: v.Kind, Namespaced: v.Namespaced, untracked: map[string][]string{"": {"status"}}}
	o := v.new()
	if err := x.decode(r.gv().WithKind(v.Kind), o); err != nil {
		return failed(err)
	}
	o.GetObjectKind().SetGroupVersionKind(r.gv().WithKind(v.Kind))
	if !v.bare && era.ManagedFields.In(x.s.era) {
		x.manage(r, o, nil, "")
	}
	meta(o).UID, meta(o).CreationTimestamp, meta(o).DeletionTimestamp = "", metav1.Time{}, nil
	if err := x.inNamespace(r, o); err != nil {
		return failed(err)
	}
	if v.check != nil {
		if err := v.check(o); err != nil {
			return failed(err)
		}
	}
	if errs := v.answer(x, o); len(errs) > 0 {
		// The real one has forgotten by now of which kind it is.
		return failed(apierrors.NewInvalid(schema.GroupKind{Group: r.Group}, "", errs))
	}
	b := encode(o)
	if x.info.version != "v1" {
		b = groupsOf(b, `"groups":[`, `"group":[`)
	} else {
		sim.Remember(b, o)
	}
	return x.finish(201, b)
}

// groupsOf renames the groups of a SubjectAccessReview, which are "group" in v1beta1.
func groupsOf(b []byte, from, to string) []byte {
	return bytes.ReplaceAll(b, []byte(from), []byte(to))
}

func whoAmI(x *exchange, o object) field.ErrorList {
	n := o.(*authenticationv1.SelfSubjectReview)
	n.CreationTimestamp = x.now()
	n.Status.UserInfo = x.user.info()
	return nil
}

func (u *user) info() authenticationv1.UserInfo {
	i := authenticationv1.UserInfo{Username: u.Name, UID: u.UID, Groups: u.Groups}
	for k, v := range u.Extra {
		if i.Extra == nil {
			i.Extra = map[string]authenticationv1.ExtraValue{}
		}
		i.Extra[k] = v
	}
	return i
}

// whoseToken asks the authenticators about a token alone (Models
// pkg/registry/authentication/tokenreview).
func whoseToken(x *exchange, o object) field.ErrorList {
	n := o.(*authenticationv1.TokenReview)
	wanted := n.Spec.Audiences
	if len(wanted) == 0 {
		wanted = x.s.apiAudiences()
	}
	u, of, err := x.s.byToken(x.c, n.Spec.Token, wanted)
	if u == nil {
		if err == nil {
			err = errBearer
		}
		n.Status = authenticationv1.TokenReviewStatus{Error: err.Error()}
		return nil
	}
	if !u.in(allAuthenticated) {
		u.Groups = append(slices.Clip(u.Groups), allAuthenticated)
	}
	n.Status = authenticationv1.TokenReviewStatus{Authenticated: true, User: u.info(), Audiences: of}
	return nil
}

func needsToken(o object) error {
	if o.(*authenticationv1.TokenReview).Spec.Token == "" {
		return apierrors.NewBadRequest("token is required for TokenReview in authentication")
	}
	return nil
}

func needsNamespace(o object) error {
	if o.(*authorizationv1.SelfSubjectRulesReview).Spec.Namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	return nil
}

// question turns the attributes of a review into those of authorization.
func question(u *user, r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes) *attributes {
	if r != nil {
		return &attributes{user: u, verb: r.Verb, namespace: r.Namespace, group: r.Group, resource: r.Resource, sub: r.Subresource, name: r.Name}
	}
	return &attributes{user: u, verb: n.Verb, path: n.Path}
}

// review models pkg/apis/authorization/validation: what is wrong with a question.
func (s spot) review(o object, r *authorizationv1.ResourceAttributes, n *authorizationv1.NonResourceAttributes, they *authorizationv1.SubjectAccessReviewSpec, local bool) {
	top, s := s, s.in("spec")
	if r != nil && n != nil {
		s.bad("nonResourceAttributes", internal{n}, "cannot be specified in combination with resourceAttributes")
	}
	if r == nil && n == nil {
		s.bad("resourceAttributes", nil, "exactly one of nonResourceAttributes or resourceAttributes must be specified")
	}
	if they != nil && they.User == "" && len(they.Groups) == 0 {
		s.bad("user", they.User, "at least one of user or group must be specified")
	}
	if r != nil && r.FieldSelector != nil {
		s := s.in("resourceAttributes").in("fieldSelector")
		s.rawOrNot(r.FieldSelector.RawSelector, len(r.FieldSelector.Requirements))
		for i, q := range r.FieldSelector.Requirements {
			s := s.item("requirements", i)
			if q.Key == "" {
				s.must("key", "must be specified")
			}
			s.values(string(q.Operator), len(q.Values))
		}
	}
	if r != nil && r.LabelSelector != nil {
		s := s.in("resourceAttributes").in("labelSelector")
		s.rawOrNot(r.LabelSelector.RawSelector, len(r.LabelSelector.Requirements))
		for i, q := range r.LabelSelector.Requirements {
			s := s.item("requirements", i)
			s.values(string(q.Operator), len(q.Values))
			s.labelKey("key", q.Key)
			for j, v := range q.Values {
				s.item("values", j).says("", v, labelValue(v))
			}
		}
	}
	rest := *meta(o)
	if rest.ManagedFields = nil; local {
		rest.Namespace = ""
	}
	if !equality.Semantic.DeepEqual(rest, metav1.ObjectMeta{}) {
		top.bad("metadata", meta(o), map[bool]string{false: "must be empty", true: "must be empty except for namespace"}[local])
	}
	if local && r != nil && r.Namespace != meta(o).Namespace {
		s.in("resourceAttributes").bad("namespace", r.Namespace, "must match metadata.namespace")
	}
	if local && n != nil {
		s.bad("nonResourceAttributes", internal{n}, "disallowed on this kind of request")
	}
}

func (s spot) rawOrNot(raw string, n int) {
	if raw != "" && n > 0 {
		s.bad("rawSelector", raw, "may not specified at the same time as requirements")
	}
	if raw == "" && n == 0 {
		s.must("requirements", fmt.Sprintf("when %s is specified, requirements or rawSelector is required", s.at))
	}
}

func (x *exchange) decide(a *attributes) authorizationv1.SubjectAccessReviewStatus {
	ok, reason := x.s.authorize(a)
	verdict := "no"
	if ok {
		verdict = "yes"
	} else if a.resource != "" && x.s.opts.v >= era.RBACDenial.In(x.s.era).V && x.s.unruled(reason) {
		x.s.logDenial(x.c, x.s.denial(a))
	}
	subject := a.path
	if a.resource != "" {
		subject = a.full()
	}
	x.c.Note(trace.Authz, subject, map[string]string{"verdict": verdict, "user": a.user.Name, "groups": strings.Join(a.user.Groups, ","), "verb": a.verb, "resource": a.full(), "group": a.group, "name": a.name, "namespace": a.namespace, "reason": reason, "asked": "yes"}, "")
	return authorizationv1.SubjectAccessReviewStatus{Allowed: ok, Reason: reason}
}

func asked(s *authorizationv1.SubjectAccessReviewSpec) *attributes {
	return question(&user{Name: s.User, UID: s.UID, Groups: s.Groups}, s.ResourceAttributes, s.NonResourceAttributes)
}

func mayThey(x *exchange, o object) (errs field.ErrorList) {
	n := o.(*authorizationv1.SubjectAccessReview)
	if begin(&errs).review(o, n.Spec.ResourceAttributes, n.Spec.NonResourceAttributes, &n.Spec, false); len(errs) == 0 {
		n.Status = x.decide(asked(&n.Spec))
		x.stand()
	}
	return errs
}

func mayThereLocal(x *exchange, o object) (errs field.ErrorList) {
	n := o.(*authorizationv1.LocalSubjectAccessReview)
	if begin(&errs).review(o, n.Spec.ResourceAttributes, n.Spec.NonResourceAttributes, &n.Spec, true); len(errs) == 0 {
		n.Status = x.decide(asked(&n.Spec))
	}
	return errs
}

func mayI(x *exchange, o object) (errs field.ErrorList) {
	n := o.(*authorizationv1.SelfSubjectAccessReview)
	if begin(&errs).review(o, n.Spec.ResourceAttributes, n.Spec.NonResourceAttributes, nil, false); len(errs) == 0 {
		n.Status = x.decide(question(x.user, n.Spec.ResourceAttributes, n.Spec.NonResourceAttributes))
	}
	return errs
}

// whatMayI lists the rules that RBAC has for the caller; other authorizers
// can't tell theirs.
func whatMayI(x *exchange, o object) field.ErrorList {
	n := o.(*authorizationv1.SelfSubjectRulesReview)
	namespace := n.Spec.Namespace
	n.Spec.Namespace = ""
	st := authorizationv1.SubjectRulesReviewStatus{ResourceRules: []authorizationv1.ResourceRule{}, NonResourceRules: []authorizationv1.NonResourceRule{}}
	if slices.Contains(x.s.opts.modes, "Node") {
		if _, ok := nodeOf(x.user); ok {
			st.Incomplete, st.EvaluationError = true, "node authorizer does not support user rule resolution"
		}
	}
	if slices.Contains(x.s.opts.modes, "RBAC") {
		for _, b := range x.s.policy().bindings {
			if b.namespace != "" && b.namespace != namespace || !slices.ContainsFunc(b.subjects, func(s rbacv1.Subject) bool { return applies(&s, b.namespace, x.user) }) {
				continue
			}
			for _, r := range b.rules {
				if len(r.Resources) > 0 {
					st.ResourceRules = append(st.ResourceRules, authorizationv1.ResourceRule{Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames})
				}
				if len(r.NonResourceURLs) > 0 {
					st.NonResourceRules = append(st.NonResourceRules, authorizationv1.NonResourceRule{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
				}
			}
		}
	}
	n.Status = st
	return nil
}
