package lessons

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/joinery-lab/joinery/engine"
)

// Predicate is a sentence about a world, such as
//
//	any csrs where condition contains Issued and requestor is system:bootstrap:07401b
//	at least 2 lives where use is client
//	no bindings where role is cluster-admin
//	any seen where kind is authz and verdict is no
//
// It begins with any, no or "at least N"; names one of the lists csrs, nodes,
// bindings, lives, units, files (of the View) or seen (observations so far);
// and may go on with conditions joined by and. A condition is a field, one of
// is, is not, contains, starts with, ends with, and a value, which is in
// double quotes when it has spaces.
type Predicate struct {
	text  string
	least int // rows that must fit; 0 means none may
	list  string
	conds []cond
}

type cond struct {
	field, op, value string
}

func (p *Predicate) String() string { return p.text }

// row is one thing in a list: its fields as text.
type row map[string]string

// lists are what a predicate may speak of: the fields that each row has, and
// where the rows come from. A field that ends with a dot is a prefix. The rows
// of seen are kept by Evidence.
var lists = map[string]struct {
	fields []string
	rows   func(engine.View) []row
}{
	"csrs": {[]string{"name", "signer", "requestor", "groups", "usages", "condition", "reason", "message"}, func(v engine.View) (out []row) {
		for _, c := range v.CSRs {
			out = append(out, row{"name": c.Name, "signer": c.Signer, "requestor": c.Requestor, "groups": strings.Join(c.Groups, ", "),
				"usages": strings.Join(c.Usages, ", "), "condition": c.Condition, "reason": c.Reason, "message": c.Message})
		}
		return out
	}},
	"nodes": {[]string{"name", "status", "ip"}, func(v engine.View) (out []row) {
		for _, n := range v.Nodes {
			out = append(out, row{"name": n.Name, "status": n.Status, "ip": n.IP})
		}
		return out
	}},
	"bindings": {[]string{"name", "role", "subjects"}, func(v engine.View) (out []row) {
		for _, b := range v.Bindings {
			out = append(out, row{"name": b.Name, "role": b.Role, "subjects": strings.Join(b.Subjects, ", ")})
		}
		return out
	}},
	"lives": {[]string{"host", "use", "path", "current"}, func(v engine.View) (out []row) {
		for _, l := range v.Lives {
			out = append(out, row{"host": l.Host, "use": l.Use, "path": l.Path, "current": strconv.FormatBool(l.Current)})
		}
		return out
	}},
	"units": {[]string{"host", "name", "state", "phase", "flag."}, func(v engine.View) (out []row) {
		for _, h := range v.Hosts {
			for _, u := range h.Units {
				r := row{"host": h.Name, "name": u.Name, "state": u.State, "phase": u.Phase}
				for k, f := range u.Flags {
					r["flag."+k] = f
				}
				out = append(out, r)
			}
		}
		return out
	}},
	"files": {[]string{"host", "path", "mode", "target", "text"}, func(v engine.View) (out []row) {
		for _, h := range v.Hosts {
			for _, f := range h.Files {
				out = append(out, row{"host": h.Name, "path": f.Path, "mode": f.Mode, "target": f.Target, "text": f.Text})
			}
		}
		return out
	}},
	"seen": {[]string{"kind", "actor", "host", "subject", "payload", "arg."}, nil},
}

// ops are the comparisons by their words.
var ops = map[string]func(has, want string) bool{
	"is":          func(has, want string) bool { return has == want },
	"is not":      func(has, want string) bool { return has != want },
	"contains":    strings.Contains,
	"starts with": strings.HasPrefix,
	"ends with":   strings.HasSuffix,
}

// ParsePredicate reads a Predicate; the error says what would be right.
func ParsePredicate(text string) (*Predicate, error) {
	words, err := split(text)
	if err != nil {
		return nil, err
	}
	p := &Predicate{text: text}
	next := func() string {
		if len(words) == 0 {
			return ""
		}
		w := words[0]
		words = words[1:]
		return w
	}
	switch w := next(); w {
	case "any":
		p.least = 1
	case "no":
	case "at":
		least, n := next(), next()
		if p.least, err = strconv.Atoi(n); least != "least" || err != nil || p.least < 1 {
			return nil, fmt.Errorf("write `at least N` with a number from 1, not `at %s %s`", least, n)
		}
	default:
		return nil, fmt.Errorf("a goal begins with any, no or at least N, not with %q", w)
	}
	p.list = next()
	fields, ok := lists[p.list]
	if !ok {
		return nil, fmt.Errorf("there is no list %q; the lists are %s", p.list, strings.Join(keysOf(lists), ", "))
	}
	for join := "where"; len(words) > 0; join = "and" {
		if w := next(); w != join {
			return nil, fmt.Errorf("%q stands where %q belongs", w, join)
		}
		var c cond
		c.field, c.op = next(), next()
		if !hasField(fields.fields, c.field) {
			return nil, fmt.Errorf("%s have no field %q; they have %s", p.list, c.field, strings.Join(fields.fields, ", "))
		}
		if len(words) > 1 && ops[c.op+" "+words[0]] != nil {
			c.op += " " + next()
		}
		if ops[c.op] == nil {
			return nil, fmt.Errorf("%q compares nothing; write one of %s", c.op, strings.Join(keysOf(ops), ", "))
		}
		if len(words) == 0 {
			return nil, fmt.Errorf("`%s %s` lacks a value", c.field, c.op)
		}
		c.value = next()
		p.conds = append(p.conds, c)
	}
	return p, nil
}

func hasField(fields []string, name string) bool {
	return slices.ContainsFunc(fields, func(f string) bool {
		if strings.HasSuffix(f, ".") {
			return strings.HasPrefix(name, f) && name != f
		}
		return f == name
	})
}

// fits reports whether a row has all that the conditions ask for.
func (p *Predicate) fits(r row) bool {
	for _, c := range p.conds {
		if !ops[c.op](r[c.field], c.value) {
			return false
		}
	}
	return true
}

// holds judges a number of fitting rows.
func (p *Predicate) holds(n int) bool {
	if p.least == 0 {
		return n == 0
	}
	return n >= p.least
}

// count counts the rows of a view that fit.
func (p *Predicate) count(v engine.View) (n int) {
	for _, r := range lists[p.list].rows(v) {
		if p.fits(r) {
			n++
		}
	}
	return n
}

// split cuts a sentence into words; what is in double quotes is one word.
func split(text string) ([]string, error) {
	var out []string
	rest := strings.TrimSpace(text)
	for rest != "" {
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			word, more, closed := strings.Cut(quoted, `"`)
			if !closed {
				return nil, fmt.Errorf("a quote in %q is not closed", text)
			}
			out, rest = append(out, word), strings.TrimSpace(more)
			continue
		}
		word, more, _ := strings.Cut(rest, " ")
		out, rest = append(out, word), strings.TrimSpace(more)
	}
	return out, nil
}

func keysOf[V any](m map[string]V) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
