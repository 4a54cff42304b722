package shell

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// kubectlFlags are what a verb was called with.
type kubectlFlags struct {
	*pflag.FlagSet
	kubeconfig, context, namespace, output, selector, fields string
	files                                                    []string
	all, watch, labels, noHeaders, force, everywhere         bool
	ignoreMissing                                            bool
}

// verbs are kubectl's commands, with the flags that each takes.
var verbs = map[string]struct {
	flags string
	run   func(k *kube, f *kubectlFlags, args []string) error
}{
	"get":         {"output selector fields watch labels headers all files", get},
	"describe":    {"selector all files", describe},
	"create":      {"files output", create},
	"apply":       {"files", apply},
	"delete":      {"files selector fields everything missing", remove},
	"certificate": {"force", certificate},
	"auth":        {"as all", auth},
	"version":     {"output", version},
}

// kubectl holds no knowledge of the cluster: it asks the server what there is,
// and the server how to print it.
func kubectl(p *process) int {
	args := p.args
	var lead []string
	for len(args) > 0 && strings.HasPrefix(args[0], "-") { // flags before the verb
		lead = append(lead, args[0])
		if !strings.Contains(args[0], "=") && len(args) > 1 && args[0] != "-A" {
			lead = append(lead, args[1])
			args = args[1:]
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return p.fail(1, "kubectl controls the Kubernetes cluster manager. Here it knows: %s", strings.Join(verbNames(), ", "))
	}
	v, ok := verbs[args[0]]
	if !ok {
		return p.fail(1, "error: unknown command %q for \"kubectl\"; this shell's kubectl has %s", args[0], strings.Join(verbNames(), ", "))
	}
	f := newFlags(v.flags)
	if err := f.Parse(append(lead, args[1:]...)); err != nil {
		return p.fail(1, "error: %v\nSee 'kubectl %s --help' for usage.", err, args[0])
	}
	k, err := p.connect(f.kubeconfig, f.context)
	if err == nil {
		if f.namespace != "" {
			k.namespace = f.namespace
		}
		err = v.run(k, f, f.Args())
		p.hangUp(k.conn)
	}
	if err != nil {
		if s, ok := err.(silent); ok {
			return int(s)
		}
		return p.fail(1, "%v", err)
	}
	return 0
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

func newFlags(groups string) *kubectlFlags {
	f := &kubectlFlags{FlagSet: pflag.NewFlagSet("kubectl", pflag.ContinueOnError)}
	f.SetOutput(noOutput{})
	f.StringVar(&f.kubeconfig, "kubeconfig", "", "")
	f.StringVar(&f.context, "context", "", "")
	f.StringVarP(&f.namespace, "namespace", "n", "", "")
	for _, g := range strings.Fields(groups) {
		switch g {
		case "output":
			f.StringVarP(&f.output, "output", "o", "", "")
		case "selector":
			f.StringVarP(&f.selector, "selector", "l", "", "")
		case "fields":
			f.StringVar(&f.fields, "field-selector", "", "")
		case "watch":
			f.BoolVarP(&f.watch, "watch", "w", false, "")
		case "labels":
			f.BoolVar(&f.labels, "show-labels", false, "")
		case "headers":
			f.BoolVar(&f.noHeaders, "no-headers", false, "")
		case "all":
			f.BoolVarP(&f.all, "all-namespaces", "A", false, "")
		case "files":
			f.StringSliceVarP(&f.files, "filename", "f", nil, "")
		case "force":
			f.BoolVar(&f.force, "force", false, "")
		case "everything":
			f.BoolVar(&f.everywhere, "all", false, "")
		case "missing":
			f.BoolVar(&f.ignoreMissing, "ignore-not-found", false, "")
		case "as":
			f.String("as", "", "")
			f.StringSlice("as-group", nil, "")
		}
	}
	// The flags of kubectl create's own kinds.
	if strings.HasPrefix(groups, "files output") {
		f.String("clusterrole", "", "")
		f.StringSlice("group", nil, "")
		f.StringSlice("user", nil, "")
		f.StringSlice("serviceaccount", nil, "")
	}
	return f
}

func certificate(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 || args[0] != "approve" && args[0] != "deny" {
		return fmt.Errorf("error: kubectl certificate needs approve or deny, and the name of a certificate signing request")
	}
	if len(args) == 1 {
		return fmt.Errorf("error: one or more CSRs must be specified as <name> or -f <filename>")
	}
	kind, other, reason, past := "Approved", "Denied", "KubectlApprove", "approved"
	if args[0] == "deny" {
		kind, other, reason, past = "Denied", "Approved", "KubectlDeny", "denied"
	}
	r, err := k.find("certificatesigningrequests.certificates.k8s.io")
	if err != nil {
		return err
	}
	for _, name := range args[1:] {
		name = name[strings.LastIndexByte(name, '/')+1:]
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
			if has(other) {
				return fmt.Errorf("error: certificate signing request %q is already %s", name, other)
			}
			if !has(kind) || f.force {
				st, _ := o["status"].(map[string]any)
				if st == nil {
					st = map[string]any{}
				}
				now := k.now().UTC().Format("2006-01-02T15:04:05Z")
				st["conditions"] = append(o.list("status", "conditions"), map[string]any{"type": kind, "status": "True", "reason": reason,
					"message": "This CSR was " + past + " by kubectl certificate " + args[0] + ".", "lastUpdateTime": now})
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
			break
		}
	}
	return nil
}

func auth(k *kube, f *kubectlFlags, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "whoami":
		b, err := k.do("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", []byte(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"status":{"userInfo":{}}}`))
		if err != nil {
			return err
		}
		o, _ := parseObject(b)
		rows := [][]string{{"ATTRIBUTE", "VALUE"}, {"Username", o.text("status", "userInfo", "username")}}
		var groups []string
		for _, g := range o.list("status", "userInfo", "groups") {
			groups = append(groups, fmt.Sprint(g))
		}
		rows = append(rows, []string{"Groups", "[" + strings.Join(groups, " ") + "]"})
		extra, _ := o.get("status", "userInfo", "extra").(map[string]any)
		keys := make([]string, 0, len(extra))
		for e := range extra {
			keys = append(keys, e)
		}
		slices.Sort(keys)
		for _, e := range keys {
			rows = append(rows, []string{"Extra: " + e, fmt.Sprint(extra[e])})
		}
		var w widths
		w.print(k.out, rows)
		return nil
	case len(args) >= 3 && args[0] == "can-i":
		return canI(k, f, args[1], args[2:])
	}
	return fmt.Errorf("error: kubectl auth has whoami, and can-i VERB RESOURCE [NAME]")
}

func canI(k *kube, f *kubectlFlags, verb string, args []string) error {
	word, name, _ := strings.Cut(args[0], "/")
	if len(args) > 1 {
		name = args[1]
	}
	r, err := k.find(word)
	if err != nil {
		return err
	}
	attributes := map[string]any{"verb": verb, "group": r.group, "resource": r.name}
	if name != "" {
		attributes["name"] = name
	}
	if r.namespaced {
		attributes["namespace"] = k.namespace
	} else {
		where := ""
		if r.group != "" {
			where = fmt.Sprintf(" in group '%s'", r.group)
		}
		fmt.Fprintf(k.errs, "Warning: resource '%s' is not namespace scoped%s\n\n", r.name, where)
	}
	kind, target, spec := "SelfSubjectAccessReview", "selfsubjectaccessreviews", map[string]any{"resourceAttributes": attributes}
	if as, _ := f.GetString("as"); as != "" {
		// An impersonated question is asked as a SubjectAccessReview: the
		// answer is the same, and needs no impersonation.
		kind, target = "SubjectAccessReview", "subjectaccessreviews"
		groups, _ := f.GetStringSlice("as-group")
		spec["user"], spec["groups"] = as, append(groups, "system:authenticated")
	}
	body, _ := json.Marshal(map[string]any{"kind": kind, "apiVersion": "authorization.k8s.io/v1", "spec": spec})
	b, err := k.do("POST", "/apis/authorization.k8s.io/v1/"+target, body)
	if err != nil {
		return err
	}
	o, _ := parseObject(b)
	if allowed, _ := o.get("status", "allowed").(bool); allowed {
		k.printf("yes\n")
		return nil
	}
	k.printf("no\n")
	return silent(1)
}

func version(k *kube, _ *kubectlFlags, _ []string) error {
	k.printf("Client Version: v%s.3\n", k.start.Release)
	b, err := k.do("GET", "/version", nil)
	if err != nil {
		return err
	}
	o, _ := parseObject(b)
	k.printf("Server Version: %s\n", o.text("gitVersion"))
	return nil
}
