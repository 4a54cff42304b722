package shell

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/era"
)

// kubectlFlags are what a verb was called with.
type kubectlFlags struct {
	*pflag.FlagSet
	// Those of every verb.
	kubeconfig, context, cluster, user, namespace, server, token string
	username, password                                           string
	insecure                                                     bool
	// Those of some.
	output, selector, fields, raw, dryRun, validate, group, subresource string
	files, groups, users, accounts                                      []string
	all, watch, labels, noHeaders, force, everywhere, managed           bool
	ignoreMissing, client, quiet                                        bool
	clusterrole, as, container, since, patch, patchType                 string
	insecureBackend, timestamps, previous, stdin, tty                   bool
	tail                                                                int64
	asGroups                                                            []string
}

// verbs are kubectl's commands, with the flags that each takes.
var verbs = map[string]struct {
	flags string
	run   func(k *kube, f *kubectlFlags, args []string) error
}{
	"get":           {"output selector field-selector watch show-labels no-headers all-namespaces ignore-not-found raw show-managed-fields", get},
	"describe":      {"selector field-selector all-namespaces", describe},
	"create":        {"filename output dry-run validate clusterrole group user serviceaccount", create},
	"apply":         {"filename validate", apply},
	"patch":         {"patch type subresource", patch},
	"replace":       {"filename raw validate", replace},
	"delete":        {"filename selector field-selector all ignore-not-found output", remove},
	"certificate":   {"force", certificate},
	"auth":          {"as as-group all-namespaces subresource quiet output", auth},
	"version":       {"output client", version},
	"api-resources": {"api-group no-headers output", apiResources},
	"cluster-info":  {"", clusterInfo},
	"config":        {"", config},
	"logs":          {"container insecure-skip-tls-verify-backend tail timestamps previous since", logs},
	"exec":          {"container stdin tty", execute},
	"attach":        {"container stdin tty", attach},
	"port-forward":  {"", portForward},
	"top":           {"no-headers all-namespaces", top},
}

// optional defines the flags that only some verbs take.
var optional = map[string]func(f *kubectlFlags){
	"output":              func(f *kubectlFlags) { f.StringVarP(&f.output, "output", "o", "", "") },
	"selector":            func(f *kubectlFlags) { f.StringVarP(&f.selector, "selector", "l", "", "") },
	"field-selector":      func(f *kubectlFlags) { f.StringVar(&f.fields, "field-selector", "", "") },
	"watch":               func(f *kubectlFlags) { f.BoolVarP(&f.watch, "watch", "w", false, "") },
	"show-labels":         func(f *kubectlFlags) { f.BoolVar(&f.labels, "show-labels", false, "") },
	"no-headers":          func(f *kubectlFlags) { f.BoolVar(&f.noHeaders, "no-headers", false, "") },
	"all-namespaces":      func(f *kubectlFlags) { f.BoolVarP(&f.all, "all-namespaces", "A", false, "") },
	"filename":            func(f *kubectlFlags) { f.StringSliceVarP(&f.files, "filename", "f", nil, "") },
	"force":               func(f *kubectlFlags) { f.BoolVar(&f.force, "force", false, "") },
	"all":                 func(f *kubectlFlags) { f.BoolVar(&f.everywhere, "all", false, "") },
	"ignore-not-found":    func(f *kubectlFlags) { f.BoolVar(&f.ignoreMissing, "ignore-not-found", false, "") },
	"raw":                 func(f *kubectlFlags) { f.StringVar(&f.raw, "raw", "", "") },
	"patch":               func(f *kubectlFlags) { f.StringVarP(&f.patch, "patch", "p", "", "") },
	"type":                func(f *kubectlFlags) { f.StringVar(&f.patchType, "type", "strategic", "") },
	"show-managed-fields": func(f *kubectlFlags) { f.BoolVar(&f.managed, "show-managed-fields", false, "") },
	"dry-run":             func(f *kubectlFlags) { f.StringVar(&f.dryRun, "dry-run", "none", "") },
	"validate":            func(f *kubectlFlags) { f.StringVar(&f.validate, "validate", "strict", "") },
	"clusterrole":         func(f *kubectlFlags) { f.StringVar(&f.clusterrole, "clusterrole", "", "") },
	"group":               func(f *kubectlFlags) { f.StringSliceVar(&f.groups, "group", nil, "") },
	"user":                func(f *kubectlFlags) { f.StringSliceVar(&f.users, "user", nil, "") },
	"serviceaccount":      func(f *kubectlFlags) { f.StringSliceVar(&f.accounts, "serviceaccount", nil, "") },
	"as":                  func(f *kubectlFlags) { f.StringVar(&f.as, "as", "", "") },
	"as-group":            func(f *kubectlFlags) { f.StringSliceVar(&f.asGroups, "as-group", nil, "") },
	"subresource":         func(f *kubectlFlags) { f.StringVar(&f.subresource, "subresource", "", "") },
	"quiet":               func(f *kubectlFlags) { f.BoolVarP(&f.quiet, "quiet", "q", false, "") },
	"client":              func(f *kubectlFlags) { f.BoolVar(&f.client, "client", false, "") },
	"container":           func(f *kubectlFlags) { f.StringVarP(&f.container, "container", "c", "", "") },
	"timestamps":          func(f *kubectlFlags) { f.BoolVar(&f.timestamps, "timestamps", false, "") },
	"previous":            func(f *kubectlFlags) { f.BoolVarP(&f.previous, "previous", "p", false, "") },
	"since":               func(f *kubectlFlags) { f.StringVar(&f.since, "since", "0s", "") },
	"stdin":               func(f *kubectlFlags) { f.BoolVarP(&f.stdin, "stdin", "i", false, "") },
	"tty":                 func(f *kubectlFlags) { f.BoolVarP(&f.tty, "tty", "t", false, "") },
	"tail":                func(f *kubectlFlags) { f.Int64Var(&f.tail, "tail", -1, "") },
	"insecure-skip-tls-verify-backend": func(f *kubectlFlags) {
		f.BoolVar(&f.insecureBackend, "insecure-skip-tls-verify-backend", false, "")
	},
	"api-group": func(f *kubectlFlags) { f.StringVar(&f.group, "api-group", "", "") },
}

func newFlags(some string) *kubectlFlags {
	f := &kubectlFlags{FlagSet: pflag.NewFlagSet("kubectl", pflag.ContinueOnError)}
	f.SetOutput(noOutput{})
	f.StringVar(&f.kubeconfig, "kubeconfig", "", "")
	f.StringVar(&f.context, "context", "", "")
	f.StringVar(&f.cluster, "cluster", "", "")
	f.StringVarP(&f.namespace, "namespace", "n", "", "")
	f.StringVarP(&f.server, "server", "s", "", "")
	f.StringVar(&f.token, "token", "", "")
	f.StringVar(&f.username, "username", "", "")
	f.StringVar(&f.password, "password", "", "")
	f.BoolVar(&f.insecure, "insecure-skip-tls-verify", false, "")
	for _, name := range strings.Fields(some) {
		optional[name](f)
	}
	if f.Lookup("user") == nil { // kubectl create has its own
		f.StringVar(&f.user, "user", "", "")
	}
	if o := f.Lookup("validate"); o != nil {
		o.NoOptDefVal = "strict"
	}
	if o := f.Lookup("dry-run"); o != nil {
		o.NoOptDefVal = "unchanged"
	}
	return f
}

// kubectl holds no knowledge of the cluster: it asks the server what there is,
// and the server how to print it.
func kubectl(p *process) int {
	lead := newFlags("")
	lead.SetInterspersed(false)
	if err := lead.Parse(p.args); err != nil {
		return p.fail(1, "error: %v\nSee 'kubectl --help' for usage.", err)
	}
	args := lead.Args()
	if len(args) == 0 {
		return p.fail(1, "kubectl controls the Kubernetes cluster manager. Here it knows: %s", strings.Join(verbNames(), ", "))
	}
	v, ok := verbs[args[0]]
	if !ok {
		return p.fail(1, "error: unknown command %q for \"kubectl\"; this shell's kubectl has %s", args[0], strings.Join(verbNames(), ", "))
	}
	f := newFlags(v.flags)
	flags := append(slices.Clone(p.args[:len(p.args)-len(args)]), args[1:]...)
	if err := f.Parse(flags); err != nil {
		return p.fail(1, "error: %v\nSee 'kubectl %s --help' for usage.", err, args[0])
	}
	k := &kube{process: p, namespace: "default"}
	err := v.run(k, f.begin(k), f.Args())
	if k.conn != "" {
		p.hangUp(k.conn)
	}
	if s, ok := err.(silent); ok {
		return int(s)
	}
	if err != nil {
		return p.fail(1, "%v", err)
	}
	return 0
}

// begin keeps what the client will need when it first asks the server.
func (f *kubectlFlags) begin(k *kube) *kubectlFlags {
	k.flags = f
	if c, err := k.context(); err == nil && c.namespace != "" {
		k.namespace = c.namespace
	}
	if f.namespace != "" {
		k.namespace = f.namespace
	}
	return f
}

// silent is an exit status without a word.
type silent int

func (s silent) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

func verbNames() []string {
	var out []string
	for n := range verbs {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func certificate(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 || args[0] != "approve" && args[0] != "deny" {
		return fmt.Errorf("error: kubectl certificate needs approve or deny, and the name of a certificate signing request")
	}
	if len(args) == 1 {
		return fmt.Errorf("error: one or more CSRs must be specified as <name> or -f <filename>")
	}
	kind, other, reason, past, message := "Approved", "Denied", "KubectlApprove", "approved", "This CSR was approved by kubectl certificate approve."
	if args[0] == "deny" {
		kind, other, reason, past, message = "Denied", "Approved", "KubectlDeny", "denied", era.KubectlDenyMessage.In(k.era())
	}
	r, err := k.find("certificatesigningrequests.certificates.k8s.io")
	if err != nil {
		return err
	}
	decide := func(name string) error {
		for try := 0; ; try++ {
			b, err := k.do("GET", r.path("", name), nil)
			if err != nil {
				return err
			}
			o, err := parseObject(b)
			if err != nil {
				return err
			}
			has := func(t string) bool {
				return slices.ContainsFunc(o.list("status", "conditions"), func(c any) bool { return object(c.(map[string]any)).text("type") == t })
			}
			if has(other) && era.KubectlRefusesOpposite.In(k.era()) {
				return fmt.Errorf("error: certificate signing request %q is already %s", name, other)
			}
			if !has(kind) || f.force || !era.KubectlKeepsCondition.In(k.era()) {
				st, _ := o["status"].(map[string]any)
				if st == nil {
					st = map[string]any{}
				}
				now := k.now().UTC().Format("2006-01-02T15:04:05Z")
				st["conditions"] = append(o.list("status", "conditions"), map[string]any{"type": kind, "status": "True", "reason": reason,
					"message": message, "lastUpdateTime": now})
				o["status"] = st
				body, _ := json.Marshal(o)
				if _, err = k.do("PUT", r.path("", name)+"/approval", body); err != nil {
					if s, ok := err.(*status); ok && s.Reason == "Conflict" && try < 10 {
						continue
					}
					return err
				}
			}
			k.printf("%s/%s %s\n", r.one(), name, past)
			return nil
		}
	}
	// One that can't be decided stops none of the others. Models
	// k8s.io/cli-runtime/pkg/resource ContinueOnErrorVisitor and kubectl's checkErr.
	var failed []error
	for _, name := range args[1:] {
		if err := decide(name[strings.LastIndexByte(name, '/')+1:]); err != nil {
			failed = append(failed, err)
		}
	}
	switch len(failed) {
	case 0:
		return nil
	case 1:
		return failed[0]
	}
	var words []string
	for _, err := range failed {
		words = append(words, strings.TrimPrefix(err.Error(), "error: "))
	}
	return errors.New(strings.Join(words, "\n"))
}
