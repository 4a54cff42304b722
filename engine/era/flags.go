package era

import (
	_ "embed"
	"sort"
	"strings"
	"sync/atomic"
)

// The flags of each component, in tables: a line for each flag, NAME KIND [@FIELD]
// WORD…. KIND is its type as pflag names it, FIELD what it sets in the configuration
// of a kubelet. A word is the minor of 1.x from which it holds (none: 1.7, the oldest),
// and then: + there is the flag, - there is none, :KIND it is of that type, =DEFAULT
// (? is not known; without a word it is the zero of its type), !N it is deprecated
// with the words N (none: no longer), @ a configuration file has its field. A line
// with ! has the words of one number, one with # says where the flags below it are in
// the newest release that has them. They were read off the sources of v1.7.0, v1.8.0
// and so on, v1.11.1, v1.36.3 and v1.37.0-beta.0, with the modules of the same release.
var (
	//go:embed flags_kubelet.txt
	kubeletFlags string
	//go:embed flags_kube-apiserver.txt
	apiserverFlags string
	//go:embed flags_kube-controller-manager.txt
	managerFlags string
	//go:embed flags_kube-scheduler.txt
	schedulerFlags string
	//go:embed flags_kube-proxy.txt
	proxyFlags string
)

// Flag is a flag of a component as one release has it.
type Flag struct {
	Name string
	// Kind is its type, as pflag names it.
	Kind string
	// Default is the value without it; empty is the zero of its type, ? not known.
	Default string
	// Deprecated are the words for who uses it; empty for one that may be used.
	Deprecated string
	// Field is what it stands for in the configuration of a kubelet; InFile: a
	// configuration file of this release has it.
	Field  string
	InFile bool
	Source string
}

// String tells the flag in one line.
func (f Flag) String() string {
	words := f.Kind
	if f.Default != "" && f.Default != "?" {
		words += ", default " + f.Default
	}
	if f.InFile {
		words += ", in a file " + f.Field
	}
	if f.Deprecated != "" {
		words += ", deprecated: " + f.Deprecated
	}
	return words
}

// flagTable is the flags of one component.
type flagTable struct {
	component string
	text      *string
	lists     [Newest + 1]atomic.Pointer[[]Flag] // by minor, once they were asked
}

var flagTables = []*flagTable{
	{component: "kube-apiserver", text: &apiserverFlags},
	{component: "kube-controller-manager", text: &managerFlags},
	{component: "kube-proxy", text: &proxyFlags},
	{component: "kube-scheduler", text: &schedulerFlags},
	{component: "kubelet", text: &kubeletFlags},
}

// Flags are the flags of a component in a release, sorted by name; nil when there is
// no table of it.
func Flags(e Era, component string) []Flag {
	for _, t := range flagTables {
		if t.component == component {
			if list := t.lists[e.minor].Load(); list != nil {
				return *list
			}
			list := t.read(e)
			t.lists[e.minor].Store(&list)
			return list
		}
	}
	return nil
}

func (t *flagTable) read(e Era) (out []Flag) {
	words := map[string]string{}
	source := ""
	for line := range strings.Lines(*t.text) {
		line = strings.TrimSuffix(line, "\n")
		switch line[0] {
		case '!':
			n, text, _ := strings.Cut(line[1:], " ")
			words[n] = text
		case '#':
			source = line[2:]
		default:
			f := Flag{Source: source}
			var rest string
			f.Name, rest, _ = strings.Cut(line, " ")
			f.Kind, rest, _ = strings.Cut(rest, " ")
			known := true
			for i, word := range strings.Fields(rest) {
				if field, ok := strings.CutPrefix(word, "@"); ok && i == 0 {
					f.Field = field
					continue
				}
				since, what := sinceOf(word)
				if what == "+" && since > e.minor {
					known = false
				}
				if since > e.minor {
					break
				}
				switch rest := what[1:]; what[0] {
				case '+':
					known = true
				case '-':
					known = false
				case ':':
					f.Kind = rest
				case '=':
					f.Default = rest
				case '!':
					f.Deprecated = words[rest]
				case '@':
					f.InFile = true
				}
			}
			if known {
				out = append(out, f)
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// FlagOf finds a flag of a component by its name, with dashes.
func FlagOf(e Era, component, name string) (f Flag, known bool) {
	list := Flags(e, component)
	if i := sort.Search(len(list), func(i int) bool { return list[i].Name >= name }); i < len(list) && list[i].Name == name {
		return list[i], true
	}
	return Flag{}, false
}

// KubeletGateWords name rotateCertificates and serverTLSBootstrap where a kubelet says
// that they need their feature gates; empty: it says nothing.
var KubeletGateWords = row("kubelet/gate-words",
	Fact[[2]string]{Since: "1.11", Value: [2]string{"RotateCertificates", "ServerTLSBootstrap"}, Source: "pkg/kubelet/apis/kubeletconfig/validation; golden-old 1.11.1/f-flags/03, 06"},
	Fact[[2]string]{Since: "1.19", Value: [2]string{"", "ServerTLSBootstrap"}, Source: "pkg/kubelet/apis/config/validation"},
	Fact[[2]string]{Since: "1.20", Value: [2]string{"", "serverTLSBootstrap"}, Source: "pkg/kubelet/apis/config/validation"})
