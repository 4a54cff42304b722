package era

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// RBACRule is one rule of a default role. Words are separated by blanks; the
// API group "" is written "core". A rule with URLs is about paths.
type RBACRule struct{ Verbs, Groups, Resources, Names, URLs string }

// RBACRole is a role that kube-apiserver creates when it starts: a ClusterRole,
// or with Namespace a Role. A role with From has no rules of its own: it is the
// union of all roles which go Into that name.
type RBACRole struct {
	Namespace, Name string
	Into, From      string
	Rules           []RBACRule
}

// RBACBinding is a default ClusterRoleBinding, or with Namespace a
// RoleBinding. Role is empty when it has the binding's name. Subjects read
// "Group name", "User name" or "ServiceAccount namespace/name".
type RBACBinding struct {
	Namespace, Name, Role string
	Subjects              []string
}

// RBACDefaults is all that kube-apiserver creates for RBAC, in order.
type RBACDefaults struct {
	Roles    []RBACRole
	Bindings []RBACBinding
}

// rbacTable is read when it is asked for: most worlds ask for one release.
//
//go:embed rbac.txt
var rbacTable string

const rbacSource = "plugin/pkg/auth/authorizer/rbac/bootstrappolicy policy.go, controller_policy.go, namespace_policy.go of each release; golden a-default-rbac; golden-old */a-default-rbac"

// RBACCreatedV is from which -v on an API server says what it created and
// changed of its default roles and bindings.
var RBACCreatedV = row("rbac/created-v",
	Fact[int]{Value: 0, Source: "pkg/registry/rbac/rest/storage_rbac.go; golden-old 1.7.4 f2-apiserver-flags/06"},
	Fact[int]{Since: "1.15", Value: 2, Source: "pkg/registry/rbac/rest/storage_rbac.go"},
)

// usualRBAC remembers what was read for an API server with no gates set.
var usualRBAC [Newest + 1]atomic.Pointer[RBACDefaults]

// DefaultRBAC is what an API server creates at its start when it is missing,
// labelled kubernetes.io/bootstrapping=rbac-defaults, with these feature gates
// set. Node tells whether the authorization mode Node is on: then 1.7 leaves
// system:nodes out of the binding system:node, which later releases always do.
func (e Era) DefaultRBAC(gates map[string]bool, node bool) *RBACDefaults {
	usual := node && len(gates) == 0
	if d := usualRBAC[e.minor].Load(); usual && d != nil {
		return d
	}
	d := rbacReader{e, gates, node}.read(rbacTable)
	if usual {
		usualRBAC[e.minor].Store(d)
	}
	return d
}

// lines are what a role gives, a line for each rule.
func (r *RBACRole) lines() (out []string) {
	if r.From != "" {
		out = append(out, "is what aggregates to "+r.From)
	}
	if r.Into != "" {
		out = append(out, "aggregates to "+r.Into)
	}
	for _, p := range r.Rules {
		out = append(out, strings.Join(strings.Fields(p.Verbs+" "+p.Groups+" "+p.Resources+" "+p.Names+" "+p.URLs), " "))
	}
	if len(out) == 0 {
		out = append(out, "nothing")
	}
	return out
}

// lines are what a binding gives to whom.
func (b *RBACBinding) lines() []string {
	role := b.Role
	if role == "" {
		role = b.Name
	}
	return append([]string{"binds " + role}, b.Subjects...)
}

// rbacNames are the roles and bindings of the table, as Names has them.
func rbacNames() (names []string) {
	for line := range tableLines(rbacTable) {
		if kind, rest, _ := strings.Cut(line, " "); kind != "" && line[0] != '\t' {
			name, _, _ := strings.Cut(rest, " ")
			name = rbacName(strings.HasSuffix(kind, "Binding"), "", name)
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if account, ok := strings.CutPrefix(name, "role/system:controller:"); ok {
				names = append(names, "binding/system:controller:"+account)
			}
		}
	}
	return names
}

func rbacName(binding bool, namespace, name string) string {
	kind := "role/"
	if binding {
		kind = "binding/"
	}
	if namespace != "" {
		kind += namespace + "/"
	}
	return kind + name
}

// rbacListed is what a default role or binding gives in a release.
func (e Era) rbacListed(name string) string {
	d := e.DefaultRBAC(nil, true)
	for i := range d.Roles {
		if r := &d.Roles[i]; rbacName(false, r.Namespace, r.Name) == name {
			return strings.Join(r.lines(), "; ")
		}
	}
	for i := range d.Bindings {
		if b := &d.Bindings[i]; rbacName(true, b.Namespace, b.Name) == name {
			return strings.Join(b.lines(), "; ")
		}
	}
	return ""
}

// rbacReader reads the lines of a table that hold.
type rbacReader struct {
	era   Era
	gates map[string]bool
	node  bool
}

func (c rbacReader) read(table string) *RBACDefaults {
	d := &RBACDefaults{}
	var controllers, namespaced []RBACBinding
	var role *RBACRole
	var binding *RBACBinding
	for line := range tableLines(table) {
		f := strings.Fields(line)
		switch {
		case line[0] == '\t':
			if f, ok := c.holds(f); ok && role != nil {
				role.Rules = append(role.Rules, rbacRule(f))
			} else if ok && binding != nil {
				binding.Subjects = append(binding.Subjects, strings.Join(f, " "))
			}
		default:
			role, binding = nil, nil
			kind, namespace, name := f[0], "", f[1]
			if strings.HasPrefix(kind, "Role") {
				namespace, name, _ = strings.Cut(name, "/")
			}
			options, f := rbacOptions(f[2:])
			if !c.ever(f) {
				continue
			}
			switch kind {
			case "Role", "ClusterRole":
				d.Roles = append(d.Roles, RBACRole{Namespace: namespace, Name: name, Into: options["into"], From: options["from"]})
				role = &d.Roles[len(d.Roles)-1]
				if account, ok := strings.CutPrefix(name, "system:controller:"); ok && namespace == "" {
					controllers = append(controllers, RBACBinding{Name: name, Subjects: []string{"ServiceAccount kube-system/" + account}})
				}
			case "RoleBinding":
				namespaced = append(namespaced, RBACBinding{Namespace: namespace, Name: name, Role: options["role"]})
				binding = &namespaced[len(namespaced)-1]
			default:
				d.Bindings = append(d.Bindings, RBACBinding{Name: name, Role: options["role"]})
				binding = &d.Bindings[len(d.Bindings)-1]
			}
		}
	}
	d.Bindings = append(append(d.Bindings, controllers...), namespaced...)
	return d
}

// rbacOptions takes the words into:, from: and role: off an object's line.
func rbacOptions(words []string) (options map[string]string, rest []string) {
	for ; len(words) > 0; words = words[1:] {
		key, value, ok := strings.Cut(words[0], ":")
		if !ok {
			break
		}
		if options == nil {
			options = map[string]string{}
		}
		options[key] = value
	}
	return options, words
}

// ever tells whether one of an object's times, with "|" between them, is now.
func (c rbacReader) ever(words []string) bool {
	for {
		rest, ok := c.holds(words)
		if ok {
			return true
		}
		for len(rest) > 0 && rest[0] != "|" {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			return false
		}
		words = rest[1:]
	}
}

// holds reads the span and the gates that a line begins with.
func (c rbacReader) holds(words []string) (rest []string, ok bool) {
	ok = true
	for ; len(words) > 0; words = words[1:] {
		w := words[0]
		switch {
		case w[0] == '+':
			ok = ok && c.era.GateOn(w[1:], c.gates)
		case w == "!Node":
			ok = ok && !c.node
		case w[0] == '!':
			ok = ok && !c.era.GateOn(w[1:], c.gates)
		case w[0] == '-' || '0' <= w[0] && w[0] <= '9':
			ok = ok && c.era.spans(w)
		default:
			return words, ok
		}
	}
	return nil, ok
}

// spans reads a span of minors: "9-", "-11", "12-19" or "16".
func (e Era) spans(span string) bool {
	since, until, open := strings.Cut(span, "-")
	if !open {
		until = since
	}
	first, _ := strconv.Atoi(since)
	last, err := strconv.Atoi(until)
	return e.minor >= first && (err != nil || e.minor <= last)
}

// rbacVerbs are the sets of verbs that many rules share.
var rbacVerbs = map[string]string{
	"read":  "get list watch",
	"write": "create delete deletecollection patch update",
	"all":   "create delete deletecollection get list patch update watch",
}

func rbacRule(f []string) (r RBACRule) {
	for i := range f {
		f[i] = strings.ReplaceAll(f[i], ",", " ")
	}
	if r.Verbs = rbacVerbs[f[0]]; r.Verbs == "" {
		r.Verbs = f[0]
	}
	if f[1] == "url" {
		r.URLs = f[2]
		return r
	}
	r.Groups, r.Resources = f[1], f[2]
	if len(f) > 3 {
		r.Names = f[3]
	}
	return r
}
