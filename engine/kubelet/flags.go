package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	netutils "k8s.io/utils/net"

	"github.com/joinery-lab/joinery/engine/era"
)

// Flags is what a kubelet's command line said.
type Flags struct {
	Config              string `json:"config,omitempty"`
	BootstrapKubeconfig string `json:"bootstrapKubeconfig,omitempty"`
	Kubeconfig          string `json:"kubeconfig,omitempty"`
	CertDir             string `json:"certDir"`
	HostnameOverride    string `json:"hostnameOverride,omitempty"`
	NodeIP              string `json:"nodeIP,omitempty"`
	RootDir             string `json:"rootDir"`
	RegisterNode        bool   `json:"registerNode,omitempty"`
	V                   int    `json:"v,omitempty"`
	// Labels is the value of --node-labels.
	Labels string `json:"labels,omitempty"`
	// RequireKubeconfig: it is to have an API server, or to end.
	RequireKubeconfig bool `json:"requireKubeconfig,omitempty"`
	// Version: it is to say its version and end.
	Version bool `json:"version,omitempty"`
	// Given are the others, in the order of their names: most stand for a field of
	// the configuration and win over it.
	Given []given `json:"given,omitempty"`
	// Told is what is said of those that are deprecated.
	Told []string `json:"told,omitempty"`
}

type given struct{ Name, Value string }

// flagRow is what is known of a flag: how its value is read, and the field of the
// configuration that it sets. Conversions are b boolean, n number, d duration, s string,
// i address, l list, m map, e map of thresholds, g feature gates, t taints.
type flagRow struct{ conversion, field string }

func rowOf(e era.Era, name string) (r flagRow, ok bool) {
	f, ok := era.FlagOf(e, "kubelet", strings.ReplaceAll(name, "_", "-"))
	r.field = f.Field
	switch f.Kind {
	case "bool":
		r.conversion = "b"
	case "duration":
		r.conversion = "d"
	case "int", "int32", "int64", "uint", "float64":
		r.conversion = "n"
	case "ip":
		r.conversion = "i"
	case "stringSlice":
		r.conversion = "l"
	case "mapStringString":
		r.conversion = "m"
	case "mapStringString<":
		r.conversion = "e"
	case "mapStringBool":
		r.conversion = "g"
	case "taints":
		r.conversion = "t"
	default:
		r.conversion = "s"
	}
	return r, ok
}

// ofText is how a string is read that older kubelets take apart later than others.
var ofText = map[string]string{"evictionHard": "e", "evictionSoft": "e", "evictionSoftGracePeriod": "m", "evictionMinimumReclaim": "m", "featureGates": "g"}

// among tells whether a word is in a list.
func among(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// pairs is the value of a flag that is checked when it is read. Models
// component-base/cli/flag, pkg/util/flag.
type pairs struct{ kind, text string }

func (p *pairs) String() string { return p.text }
func (p *pairs) Type() string {
	return map[string]string{"i": "ip", "l": "strings", "g": "mapStringBool", "t": "[]string"}[p.kind]
}

func (p *pairs) Set(value string) error {
	if p.kind == "i" {
		p.text = value
		if value != "" && netutils.ParseIPSloppy(value) == nil {
			return fmt.Errorf("%q is not a valid IP address", value)
		}
		return nil
	}
	for _, pair := range strings.Split(value, ",") {
		name, v, ok := strings.Cut(pair, "=")
		switch {
		case pair == "" && p.kind != "l":
			continue
		case p.kind == "m" && !ok:
			return errors.New("malformed pair, expect string=string")
		case p.kind == "e" && !strings.Contains(pair, "<"):
			return errors.New("malformed pair, expect string<string")
		case p.kind == "t":
			if _, err := taintOf(pair); err != nil {
				return err
			}
		case p.kind == "g" && !ok:
			return errors.New("malformed pair, expect string=bool")
		case p.kind == "g":
			name, v = strings.TrimSpace(name), strings.TrimSpace(v)
			on, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("invalid value of %s: %s, err: %w", name, v, err)
			}
			pair = fmt.Sprintf("%s=%t", name, on)
		}
		if p.text != "" {
			p.text += ","
		}
		p.text += pair
	}
	return nil
}

// taintOf reads "KEY=VALUE:EFFECT". Models pkg/util/taints parseTaint.
func taintOf(text string) (map[string]string, error) {
	front, effect, ok := strings.Cut(text, ":")
	key, value, _ := strings.Cut(front, "=")
	switch {
	case strings.Contains(effect, ":") || strings.Contains(value, "="):
		return nil, fmt.Errorf("invalid taint spec: %v", text)
	case ok && !among("NoSchedule PreferNoSchedule NoExecute", effect):
		return nil, fmt.Errorf("invalid taint effect: %v, unsupported taint effect", effect)
	}
	if errs := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); len(errs) > 0 {
		return nil, fmt.Errorf("invalid taint spec: %v, %s", text, strings.Join(errs, "; "))
	}
	return map[string]string{"key": key, "value": value, "effect": effect}, nil
}

// parseFlags reads a command line without the program's name. The error is
// what the process ends with.
func parseFlags(e era.Era, args []string) (Flags, error) {
	var f Flags
	fs := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	for _, x := range []struct {
		into *string
		name string
	}{{&f.Config, "config"}, {&f.BootstrapKubeconfig, "bootstrap-kubeconfig"}, {&f.BootstrapKubeconfig, "experimental-bootstrap-kubeconfig"}, {&f.Kubeconfig, "kubeconfig"},
		{&f.CertDir, "cert-dir"}, {&f.HostnameOverride, "hostname-override"}, {&f.NodeIP, "node-ip"}, {&f.RootDir, "root-dir"}, {&f.Labels, "node-labels"}} {
		fs.StringVar(x.into, x.name, "", "")
	}
	fs.BoolVar(&f.RequireKubeconfig, "require-kubeconfig", false, "")
	fs.BoolVar(&f.Version, "version", false, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	own := map[string]bool{}
	fs.VisitAll(func(x *pflag.Flag) { own[x.Name] = true })
	for _, a := range args {
		name, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimPrefix(a, "--"), "_", "-"), "=")
		if row, ok := rowOf(e, name); ok && among("i l m e g t", row.conversion) && fs.Lookup(name) == nil {
			fs.Var(&pairs{kind: row.conversion}, name, "")
		}
	}
	c, err := era.ReadCommandLine(e, "kubelet", fs, args)
	f.Told = c.Told
	if err != nil {
		return f, err
	}
	if !c.Changed("kubeconfig") && f.BootstrapKubeconfig == "" && !f.RequireKubeconfig {
		f.Kubeconfig = "" // its default is for who asks for the API server in another way
	}
	c.Visit(func(x *pflag.Flag) {
		if !own[x.Name] {
			f.Given = append(f.Given, given{x.Name, x.Value.String()})
		}
	})
	return f, nil
}

// gates are the feature gates of the command line. The error is that of a release which
// takes them apart only now.
func (f Flags) gates(e era.Era) (gates map[string]bool, err error) {
	var cfg KubeletConfiguration
	for _, g := range f.Given {
		if g.Name == "feature-gates" {
			if row, _ := rowOf(e, g.Name); row.conversion == "s" {
				_, err = e.ReadGates([]string{g.Value})
			}
			Flags{Given: []given{g}}.override(e, &cfg)
		}
	}
	return cfg.FeatureGates, err
}

// override puts the flags that were given into a configuration: as the JSON that
// would stand in its file. Feature gates are added to those of the file.
func (f Flags) override(e era.Era, cfg *KubeletConfiguration) {
	for _, g := range f.Given {
		row, _ := rowOf(e, g.Name)
		if row.field == "" {
			continue
		}
		if c := ofText[row.field]; c != "" && row.conversion == "s" {
			row.conversion = c
		}
		value := any(g.Value)
		words := strings.Split(g.Value, ",")
		switch row.conversion {
		case "b", "n":
			value = json.RawMessage(g.Value)
		case "l":
			value = words
		case "t":
			var list []any
			for _, w := range words {
				if t, err := taintOf(w); err == nil {
					list = append(list, t)
				}
			}
			value = list
		case "m", "e", "g":
			m := map[string]any{}
			for _, w := range words {
				name, v, _ := strings.Cut(w, map[bool]string{false: "=", true: "<"}[row.conversion == "e"])
				if m[name] = any(v); row.conversion == "g" {
					m[strings.TrimSpace(name)], _ = strconv.ParseBool(strings.TrimSpace(v))
				}
			}
			delete(m, "")
			value = m
		}
		for _, v := range []any{nil, value} {
			if v == nil && row.conversion == "g" {
				continue
			}
			keys := strings.Split(row.field, ".")
			for i := len(keys) - 1; i >= 0; i-- {
				v = map[string]any{keys[i]: v}
			}
			b, _ := json.Marshal(v)
			json.Unmarshal(b, cfg)
		}
	}
}

// nodeLabels are those of --node-labels. The error is what the process ends with:
// Models cmd/kubelet/app/options ValidateKubeletFlags.
func (f Flags) nodeLabels(e era.Era) (map[string]string, error) {
	var unknown, bad []string
	labels := map[string]string{}
	for _, pair := range strings.Split(f.Labels, ",") {
		key, value, _ := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "" {
			continue
		}
		labels[key] = value
		space, _, _ := strings.Cut(key, "/")
		if in(space, "kubernetes.io", "k8s.io") && !slices.Contains(kubeletLabels, key) && !in(space, labelSpaces...) && strings.Contains(key, "/") {
			unknown = append(unknown, key)
		}
		for _, x := range []struct {
			what string
			errs []string
		}{{key, validation.IsQualifiedName(key)}, {value, validation.IsValidLabelValue(value)}} {
			if len(x.errs) > 0 {
				bad = append(bad, fmt.Sprintf("'%s' - %s", x.what, strings.Join(x.errs, ", ")))
			}
		}
	}
	if slices.Sort(unknown); len(unknown) > 0 && era.KubeletChecksLabels.In(e) {
		return nil, fmt.Errorf("unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: %v\n--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix (%s) or be in the specifically allowed set (%s)",
			unknown, strings.Join(labelSpaces, ", "), strings.Join(kubeletLabels, ", "))
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("invalid node labels: %s", strings.Join(bad, "; "))
	}
	return labels, nil
}

// in tells whether a domain is one of some, or below one.
func in(domain string, of ...string) bool {
	return slices.ContainsFunc(of, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) })
}

// What a kubelet may label its Node with. Models k8s.io/kubelet/pkg/apis
// well_known_labels.go.
var (
	labelSpaces   = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}
	kubeletLabels = []string{"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os", "failure-domain.beta.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone", "kubernetes.io/arch", "kubernetes.io/hostname", "kubernetes.io/os", "node.kubernetes.io/instance-type",
		"topology.kubernetes.io/region", "topology.kubernetes.io/zone"}
)
