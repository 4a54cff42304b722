package era

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
)

//go:embed gates.txt
var gateText string

const gateSource = "pkg/features, with those of apiserver, apiextensions-apiserver, client-go, controller-manager and component-base"

// Gate is a feature gate as one release has it.
type Gate struct {
	Name string
	// Stage is ALPHA, BETA or DEPRECATED; empty is generally available.
	Stage string
	// On is the default; Locked: it can't be set otherwise.
	On, Locked bool
	// Needs are the gates that must be on with it.
	Needs  []string
	Source string
}

// String is how a component's --help has it: "ALPHA - default=false".
func (g Gate) String() string {
	words := "default=" + strconv.FormatBool(g.On)
	if g.Stage != "" {
		words = g.Stage + " - " + words
	}
	if g.Locked {
		words += ", locked"
	}
	if len(g.Needs) > 0 {
		words += ", needs " + strings.Join(g.Needs, " ")
	}
	return words
}

// gateLists are what Gates found, by minor: the table is read when it is asked.
var gateLists [Newest + 1]atomic.Pointer[[]Gate]

// Gates are the feature gates of a release, sorted by name.
func (e Era) Gates() []Gate {
	if list := gateLists[e.minor].Load(); list != nil {
		return *list
	}
	var list []Gate
	for line := range tableLines(gateText) {
		name, rest, _ := strings.Cut(line, " ")
		g := Gate{Name: name, Source: gateSource}
		known := false
		for word := range strings.FieldsSeq(rest) {
			since, what := sinceOf(word)
			if since > e.minor {
				break
			}
			if needs, ok := strings.CutPrefix(what, ">"); ok {
				g.Needs = strings.FieldsFunc(needs, func(r rune) bool { return r == ',' })
				continue
			}
			known = what != "-"
			g.Stage = gateStages[what[0]]
			g.On, g.Locked = strings.Contains(what, "+"), strings.Contains(what, "!")
		}
		if known {
			list = append(list, g)
		}
	}
	gateLists[e.minor].Store(&list)
	return list
}

var gateStages = map[byte]string{'a': "ALPHA", 'b': "BETA", 'd': "DEPRECATED"}

// Gate finds a feature gate by its name.
func (e Era) Gate(name string) (g Gate, known bool) {
	list := e.Gates()
	if i := sort.Search(len(list), func(i int) bool { return list[i].Name >= name }); i < len(list) && list[i].Name == name {
		return list[i], true
	}
	return Gate{}, false
}

// KnowsGate tells whether there is a feature gate of that name.
func (e Era) KnowsGate(name string) bool {
	_, known := e.Gate(name)
	return known
}

// GateOn tells whether a feature is on when these gates are set.
func (e Era) GateOn(name string, set map[string]bool) bool {
	g, _ := e.Gate(name)
	for _, n := range []string{name, map[string]string{"ALPHA": "AllAlpha", "BETA": "AllBeta"}[g.Stage]} {
		if v, ok := set[n]; ok && (n == name || e.KnowsGate(n)) {
			return v
		}
	}
	return g.On
}

// GateLine is a line of a component's log about the gates that were set.
type GateLine struct {
	Level  byte
	V      int
	Source string
	Text   string
}

// gateWords are how the feature gates of a release speak.
type gateWords struct {
	// Unknown is said of a name that nobody knows, Bad of a value that is no boolean.
	Unknown, Bad string
	// AtOnce: a pair is looked up before its value is read, and before the next one.
	AtOnce bool
	// Level, GA and Deprecated are what is said of a gate whose time is over; OnlyOn:
	// and that is switched on.
	Level          byte
	GA, Deprecated string
	OnlyOn         bool
	// Lines are where it is said in feature_gate.go: by a flag and by a file.
	Lines [2]gateLines
	// All is the line in which all that were set are told, at V 0, of a flag and of
	// a file; empty where it is told from V 1 on.
	All [2]string
}

// gateLines are lines of feature_gate.go: that on GA gates, that on deprecated ones.
type gateLines struct{ GA, Deprecated int }

func bothGates(ga, deprecated int) [2]gateLines {
	return [2]gateLines{{ga, deprecated}, {ga, deprecated}}
}

var gateWordings = func() Row[gateWords] {
	const dir, base = "apiserver/pkg/util/feature/feature_gate.go", "component-base/featuregate/feature_gate.go"
	old := gateWords{Unknown: "unrecognized key: %s", Bad: "invalid value of %s: %s, err: %v", AtOnce: true}
	at := func(minor string, words gateWords, source string) Fact[gateWords] {
		return Fact[gateWords]{Since: minor, Value: words, Source: source}
	}
	all := func(flag, file string) gateWords {
		w := old
		w.All = [2]string{flag, file}
		return w
	}
	ten := all("feature_gate.go:190] feature gates: %v", "feature_gate.go:226] feature gates: &{{} %v}")
	ten.Level, ten.Deprecated, ten.OnlyOn, ten.Lines = 'W', "enabling deprecated feature gate %s", true, [2]gateLines{{0, 177}, {}}
	eleven := ten
	eleven.All, eleven.Lines = [2]string{}, [2]gateLines{{0, 181}, {}}
	later := func(ga, deprecated int) gateWords {
		return gateWords{Unknown: "unrecognized feature gate: %s", Bad: "invalid value of %s=%s, err: %v", Level: 'W', Lines: bothGates(ga, deprecated),
			GA:         "Setting GA feature gate %s=%t. It will be removed in a future release.",
			Deprecated: "Setting deprecated feature gate %s=%t. It will be removed in a future release."}
	}
	structured := later(0, 0)
	structured.Level, structured.Lines = 'I', [2]gateLines{{362, 362}, {477, 477}}
	structured.GA = `"Warning: setting GA feature gate. It will be removed in a future release." featureGate=%q value=%t`
	structured.Deprecated = `"Warning: setting deprecated feature gate. It will be removed in a future release." featureGate=%q value=%t`
	return row("gates/words",
		at("", all("feature_gate.go:144] feature gates: %v", "feature_gate.go:144] feature gates: %v"), dir+"; golden-old 1.7.4/f-flags/08"),
		at("1.8", all("feature_gate.go:156] feature gates: %v", "feature_gate.go:156] feature gates: %v"), dir+"; golden-old 1.8.0/f-flags/08"),
		at("1.9", all("feature_gate.go:184] feature gates: %v", "feature_gate.go:220] feature gates: &{{} %v}"), dir),
		at("1.10", ten, dir), at("1.11", eleven, dir),
		at("1.12", later(198, 196), dir), at("1.14", later(218, 216), dir), at("1.15", later(208, 206), base), at("1.17", later(235, 233), base),
		at("1.22", later(237, 235), base), at("1.26", later(241, 239), base), at("1.30", later(246, 244), base), at("1.31", later(354, 352), base),
		at("1.33", later(352, 350), base), at("1.35", later(410, 408), base), at("1.36", structured, base))
}()

// GatePrefixes: the gates of a component with an emulated version may be named by it,
// kube:NAME=true, and are looked at when the command line has been read.
var GatePrefixes = row("gates/prefixes", Fact[bool]{Since: "1.31", Value: true, Source: "apiserver/pkg/util/version, from 1.32 component-base/featuregate and compatibility: registry.go"})

// ReadGates reads the values of --feature-gates: NAME=true,…, and where a release
// knows prefixes kube:NAME=true. What comes back are the lines of the log. Models
// featuregate Set and component-base/cli/flag ColonSeparatedMultimapStringString.
func (e Era) ReadGates(values []string) (over []GateLine, err error) {
	set, err := e.GateSet(values)
	if err != nil {
		return nil, err
	}
	return e.checkGates(set, 0)
}

// GateSet is what --feature-gates sets, whether or not it may be set so.
func (e Era) GateSet(values []string) (map[string]bool, error) {
	words := gateWordings.In(e)
	of := map[string][]string{}
	for _, pair := range strings.Split(strings.Join(values, ","), ",") {
		component, gate, named := strings.Cut(pair, ":")
		if !named || !GatePrefixes.In(e) {
			component, gate = "", pair
		}
		if component = strings.TrimSpace(component); pair != "" {
			of[component] = append(of[component], strings.TrimSpace(gate))
		}
	}
	if of[""] != nil && of["kube"] != nil {
		return nil, fmt.Errorf("set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use")
	}
	set := map[string]bool{}
	for _, component := range slices.Sorted(maps.Keys(of)) {
		if component != "" && component != "kube" {
			return nil, fmt.Errorf("component not registered: %s", component)
		}
		for _, gate := range of[component] {
			name, value, ok := strings.Cut(gate, "=")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			switch {
			case words.AtOnce && !e.KnowsGate(name):
				return nil, fmt.Errorf(words.Unknown, name)
			case !ok:
				return nil, fmt.Errorf("missing bool value for %s", name)
			}
			on, err := strconv.ParseBool(value)
			if err != nil {
				return nil, fmt.Errorf(words.Bad, name, value, err)
			}
			set[name] = on
		}
	}
	return set, nil
}

// CheckGates refuses gates of a configuration that can't be set so, in the words of
// featuregate SetFromMap, and returns the lines of the log.
func (e Era) CheckGates(set map[string]bool) (over []GateLine, err error) {
	return e.checkGates(set, 1)
}

// checkGates looks at gates from a flag (by 0) or a configuration (by 1).
func (e Era) checkGates(set map[string]bool, by int) (over []GateLine, err error) {
	words := gateWordings.In(e)
	if len(set) == 0 && words.All[by] == "" {
		return nil, nil
	}
	var bad []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		g, known := e.Gate(name)
		told, line := words.GA, words.Lines[by].GA
		if g.Stage != "" {
			told, line = words.Deprecated, words.Lines[by].Deprecated
		}
		switch {
		case !known:
			return nil, fmt.Errorf(words.Unknown, name)
		case g.Locked && g.On != set[name]:
			bad = append(bad, fmt.Sprintf("cannot set feature gate %v to %v, feature is locked to %v", name, set[name], g.On))
		case g.Stage != "" && g.Stage != "DEPRECATED" || line == 0 || words.OnlyOn && !set[name]:
		case words.OnlyOn:
			over = append(over, GateLine{words.Level, 0, fmt.Sprintf("feature_gate.go:%d", line), fmt.Sprintf(told, name)})
		default:
			over = append(over, GateLine{words.Level, 0, fmt.Sprintf("feature_gate.go:%d", line), fmt.Sprintf(told, name, set[name])})
		}
	}
	refused := len(bad) > 0
	for _, g := range e.Gates() {
		if len(g.Needs) == 0 || refused || !e.GateOn(g.Name, set) {
			continue
		}
		var off []string
		for _, need := range g.Needs {
			if !e.GateOn(need, set) {
				off = append(off, need)
			}
		}
		if len(off) > 0 {
			bad = append(bad, fmt.Sprintf("%s is enabled, but depends on features that are disabled: %v", g.Name, off))
		}
	}
	switch len(bad) {
	case 0:
		if source, text, ok := strings.Cut(words.All[by], "] "); ok {
			over = append(over, GateLine{'I', 0, source, fmt.Sprintf(text, set)})
		}
		return over, nil
	case 1:
		return nil, fmt.Errorf("%s", bad[0])
	}
	return nil, fmt.Errorf("[%s]", strings.Join(bad, ", "))
}
