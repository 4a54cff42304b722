package era

import (
	"fmt"
	"sort"
	"strings"
)

// Told is one fact of a release as a person reads it. Names are paths: a row's own,
// "gate/NAME", and those of the other lists.
type Told struct{ Name, Value, Source string }

// lists tell the facts that don't stand in rows: one fact for each of what is listed.
var lists = []func(e Era, tell func(name, value, source string)){
	func(e Era, tell func(name, value, source string)) {
		for _, g := range e.Gates() {
			tell("gate/"+g.Name, g.String(), g.Source)
		}
	},
	func(e Era, tell func(name, value, source string)) {
		for _, t := range flagTables {
			for _, f := range Flags(e, t.component) {
				tell("flag/"+t.component+"/"+f.Name, f.String(), f.Source)
			}
		}
	},
	func(e Era, tell func(name, value, source string)) {
		tell("AdmissionPlugins", strings.Join(AdmissionPlugins(e), " "), "pkg/kubeapiserver/options/plugins.go AllOrderedPlugins")
		for _, s := range KubeadmStaticPods(e) {
			tell("kubeadm/static-pods/"+s.Name, strings.Join(s.Args, " "), kubeadmStaticSource)
		}
	},
	func(e Era, tell func(name, value, source string)) {
		for unit := range worldFlags {
			tell("world/"+unit, strings.Join(UnitFlags(e, unit), " "), "seed 000 for 1.7 and 1.8")
		}
	},
	func(e Era, tell func(name, value, source string)) {
		tell("controllers/names", controllerNames(e), controllerSource)
		for _, name := range rbacNames() {
			if value := e.rbacListed(name); value != "" {
				tell(name, value, rbacSource)
			}
		}
	},
}

// All are the facts of a release, sorted by name. What a release has not, such as the
// value of a row that begins later, is not among them.
func (e Era) All() []Told {
	var out []Told
	for name, row := range rows {
		if v, source := tell(row, e); source != "" {
			out = append(out, Told{name, print(v), source})
		}
	}
	for _, list := range lists {
		list(e, func(name, value, source string) { out = append(out, Told{name, value, source}) })
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// print is a value in one line.
func print(v any) string {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case []string:
		s = strings.Join(v, " ")
	default:
		s = fmt.Sprintf("%+v", v)
	}
	return strings.ReplaceAll(s, "\n", "\\n")
}

// Change is a fact that differs between two releases. Before is empty for what the
// first has not, After for what the second has not; Source is where the later of both
// is from.
type Change struct{ Name, Before, After, Source string }

// Diff is what differs between two releases, sorted by name.
func Diff(from, to Era) []Change {
	var out []Change
	a, b := from.All(), to.All()
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && a[0].Name < b[0].Name:
			out = append(out, Change{a[0].Name, a[0].Value, "", a[0].Source})
			a = a[1:]
		case len(a) == 0 || b[0].Name < a[0].Name:
			out = append(out, Change{b[0].Name, "", b[0].Value, b[0].Source})
			b = b[1:]
		default:
			if a[0].Value != b[0].Value {
				source := b[0].Source
				if from.minor > to.minor {
					source = a[0].Source
				}
				out = append(out, Change{a[0].Name, a[0].Value, b[0].Value, source})
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}
