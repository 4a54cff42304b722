package api

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

const extraHeader = "Impersonate-Extra-"

// wantedUser reads the Impersonate- headers; nil when there are none (Models
// apiserver/pkg/endpoints/filters/impersonation processImpersonationHeaders).
func (x *exchange) wantedUser() (*user, error) {
	h := x.r.Header
	any := false
	for name := range h {
		any = any || strings.HasPrefix(name, "Impersonate-")
	}
	if !any {
		return nil, nil
	}
	u := &user{Name: h.Get("Impersonate-User"), UID: h.Get("Impersonate-Uid"), Groups: slices.Clone(h.Values("Impersonate-Group")), method: x.user.method}
	extra := false
	for _, name := range sortedKeys(h) {
		key, ok := strings.CutPrefix(name, extraHeader)
		if !ok {
			continue
		}
		extra = true
		if len(h[name]) == 0 {
			continue
		}
		key = strings.ToLower(key)
		if plain, err := url.PathUnescape(key); err == nil {
			key = plain
		}
		if u.Extra == nil {
			u.Extra = map[string][]string{}
		}
		u.Extra[key] = append(u.Extra[key], h[name]...)
	}
	if u.Name != "" {
		return u, nil
	}
	if u.UID != "" || len(u.Groups) > 0 || extra {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("requested &user.DefaultInfo{Name:%q, UID:%q, Groups:%#v, Extra:%#v} without impersonating a user name", u.Name, u.UID, u.Groups, u.Extra))
	}
	return nil, nil
}

// impersonation is a way in which one may act as another, in the order in which
// they are tried. What is not the last one is constrained: the caller needs
// impersonate-on:NAME:VERB for the request itself, and the rights to the
// user's parts under a verb of its own (Models
// apiserver/pkg/endpoints/filters/impersonation/mode.go).
type impersonation struct {
	name string
	fits func(want, by *user) bool
}

func onlyName(u *user) bool { return u.UID == "" && len(u.Groups) == 0 && len(u.Extra) == 0 }

func nodeName(name string) (string, bool) {
	node, ok := strings.CutPrefix(name, nodePrefix)
	return node, ok && len(subdomain(node)) == 0
}

var impersonations = []impersonation{
	{"associated-node", func(want, by *user) bool {
		node, ok := nodeName(want.Name)
		_, _, account := splitSA(by.Name)
		return ok && account && onlyName(want) && slices.Equal(by.Extra[nodeNameKey], []string{node})
	}},
	{"arbitrary-node", func(want, _ *user) bool { _, ok := nodeName(want.Name); return ok && onlyName(want) }},
	{"serviceaccount", func(want, _ *user) bool { _, _, ok := splitSA(want.Name); return ok && onlyName(want) }},
	{"user-info", func(want, _ *user) bool {
		_, node := nodeName(want.Name)
		_, _, account := splitSA(want.Name)
		return !node && !account
	}},
	{"", func(_, _ *user) bool { return true }},
}

// String is a user as the log tells it (Models
// apiserver/pkg/endpoints/filters/impersonation userString).
func (u *user) String() string {
	if len(u.Groups) == 0 {
		return u.Name
	}
	return u.Name + "[" + strings.Join(u.Groups, ",") + "]"
}

// denied is a check that failed; why is a reason beside the authorizers'.
type denied struct {
	a   attributes
	why string
}

// impersonate takes on the user of Impersonate-User, when the caller may.
func (x *exchange) impersonate() (sim.Response, bool) {
	want, err := x.wantedUser()
	if err != nil {
		return failed(err), true
	}
	if want == nil {
		return sim.Response{}, false
	}
	// The way that was good for this user last is tried first, so that its refusal
	// is what is told.
	order := make([]int, len(impersonations))
	for i := range order {
		order[i] = i
	}
	if last, ok := x.s.Ways[x.user.Name]; ok {
		order = slices.Insert(slices.Delete(order, last, last+1), 0, last)
	}
	var first *denied
	for _, i := range order {
		m := impersonations[i]
		if m.name != "" && !era.ConstrainedImpersonation.In(x.s.era) || !m.fits(want, x.user) {
			continue
		}
		as, no := x.impersonateBy(m.name, want)
		if no == nil {
			if x.s.Ways == nil {
				x.s.Ways = map[string]int{}
			}
			x.s.Ways[x.user.Name] = i
			x.added = x.user.String() + " is impersonating " + as.String()
			x.user = as
			return sim.Response{}, false
		}
		if first == nil {
			first = no
		}
	}
	_, reason := x.s.allowed(x.c, &first.a)
	if first.why != "" {
		reason = first.why
	}
	r := x.s.forbidden(&first.a, reason)
	r.Header.Del("X-Content-Type-Options")
	return r, true
}

// impersonateBy asks for all that a mode needs; the first refusal counts.
func (x *exchange) impersonateBy(mode string, want *user) (*user, *denied) {
	verb, group := "impersonate", ""
	if mode != "" {
		on := *x.attributes()
		on.verb = "impersonate-on:" + mode + ":" + on.verb
		if ok, _ := x.s.authorize(&on); !ok {
			return nil, &denied{a: on}
		}
		verb, group = "impersonate:"+mode, "authentication.k8s.io"
	}
	as := &user{Name: want.Name, UID: want.UID, Groups: want.Groups, Extra: want.Extra, method: want.method}
	checks := []attributes{{user: x.user, verb: verb, group: group, resource: "users", name: want.Name}}
	if ns, account, ok := splitSA(want.Name); ok {
		checks[0].resource, checks[0].namespace, checks[0].name = "serviceaccounts", ns, account
		if len(want.Groups) == 0 {
			as.Groups = saGroups(ns)
		}
	} else if node, ok := nodeName(want.Name); ok && mode != "" {
		checks[0].resource, checks[0].name = "nodes", node
		if mode == "associated-node" {
			checks[0].name = "*"
		}
		as.Groups = []string{"system:nodes"}
	}
	if want.UID != "" {
		checks = append(checks, attributes{user: x.user, verb: verb, group: "authentication.k8s.io", resource: "uids", name: want.UID})
	}
	for _, g := range want.Groups {
		a := attributes{user: x.user, verb: verb, group: group, resource: "groups", name: g}
		if mode != "" && (g == "" || g == masters) {
			word := "the empty string group"
			if g == masters {
				word = "the " + masters + " group"
			}
			return nil, &denied{a, "impersonating " + word + " is not allowed"}
		}
		checks = append(checks, a)
	}
	if err := checkExtra(want.Extra); err != nil && mode != "" {
		return nil, &denied{attributes{user: x.user, verb: verb, group: "authentication.k8s.io", resource: "userextras"}, err.Error()}
	}
	for _, k := range sortedKeys(want.Extra) {
		for _, v := range want.Extra[k] {
			checks = append(checks, attributes{user: x.user, verb: verb, group: "authentication.k8s.io", resource: "userextras", sub: k, name: v})
		}
	}
	for i := range checks {
		if ok, _ := x.s.authorize(&checks[i]); !ok {
			return nil, &denied{a: checks[i]}
		}
	}
	x.s.allowed(x.c, &checks[0])
	switch {
	case as.Name == anonymous:
		if !as.in(allUnauthenticated) {
			as.Groups = append(slices.Clip(as.Groups), allUnauthenticated)
		}
	case !as.in(allUnauthenticated) && !as.in(allAuthenticated):
		as.Groups = append(slices.Clip(as.Groups), allAuthenticated)
	}
	return as, nil
}

func checkExtra(extra map[string][]string) error {
	for _, k := range sortedKeys(extra) {
		if k == "" {
			return errors.New("impersonating the empty string key in extra is not allowed")
		}
		if err := validation.IsDomainPrefixedPath(field.NewPath("extra", "key"), k).ToAggregate(); err != nil {
			return fmt.Errorf("impersonating an invalid key in extra is not allowed: %w", err)
		}
		if slices.Contains(extra[k], "") {
			return errors.New("impersonating the empty string value in extra is not allowed")
		}
	}
	return nil
}
