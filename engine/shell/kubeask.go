package shell

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
)

// The verbs that ask about the server and about oneself.

func auth(k *kube, f *kubectlFlags, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "whoami":
		return whoAmI(k, f)
	case len(args) >= 3 && args[0] == "can-i":
		return canI(k, f, args[1], args[2:])
	}
	return fmt.Errorf("error: kubectl auth has whoami, and can-i VERB RESOURCE [NAME]")
}

func whoAmI(k *kube, f *kubectlFlags) error {
	b, err := k.do("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", []byte(`{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"status":{"userInfo":{}}}`))
	if err != nil {
		return err
	}
	o, err := parseObject(b)
	if err != nil {
		return err
	}
	if f.output != "" {
		return k.printAs(f.output, o, "yaml", "json")
	}
	rows := [][]string{{"ATTRIBUTE", "VALUE"}, {"Username", o.text("status", "userInfo", "username")}}
	if uid := o.text("status", "userInfo", "uid"); uid != "" {
		rows = append(rows, []string{"UID", uid})
	}
	if groups := o.list("status", "userInfo", "groups"); len(groups) > 0 {
		rows = append(rows, []string{"Groups", bracket(groups)})
	}
	extra, _ := o.get("status", "userInfo", "extra").(map[string]any)
	for _, e := range sortedKeys(extra) {
		rows = append(rows, []string{"Extra: " + e, fmt.Sprint(extra[e])})
	}
	var w widths
	w.print(k.out, rows)
	return nil
}

// printAs prints an object in one of the forms that a verb knows.
func (k *kube) printAs(form string, o object, known ...string) error {
	if !slices.Contains(known, form) {
		return fmt.Errorf("error: unable to match a printer suitable for the output format %q, allowed formats are: %s", form, strings.Join(known, ","))
	}
	print, err := k.printer(form, "")
	if err != nil {
		return err
	}
	return print(map[string]any(o), []any{map[string]any(o)})
}

func canI(k *kube, f *kubectlFlags, verb string, args []string) error {
	spec := map[string]any{}
	if strings.HasPrefix(args[0], "/") {
		spec["nonResourceAttributes"] = map[string]any{"verb": verb, "path": args[0]}
	} else {
		attributes, err := k.attributes(f, verb, args)
		if err != nil {
			return err
		}
		spec["resourceAttributes"] = attributes
	}
	kind, target := "SelfSubjectAccessReview", "selfsubjectaccessreviews"
	if f.as != "" {
		// An impersonated question is asked as a SubjectAccessReview: the
		// answer is the same, and needs no impersonation.
		kind, target = "SubjectAccessReview", "subjectaccessreviews"
		spec["user"], spec["groups"] = f.as, append(f.asGroups, "system:authenticated")
	}
	body, err := json.Marshal(map[string]any{"kind": kind, "apiVersion": "authorization.k8s.io/v1", "spec": spec})
	if err != nil {
		return err
	}
	b, err := k.do("POST", "/apis/authorization.k8s.io/v1/"+target, body)
	if err != nil {
		return err
	}
	o, err := parseObject(b)
	if err != nil {
		return err
	}
	allowed, _ := o.get("status", "allowed").(bool)
	if !f.quiet {
		k.printf("%s\n", map[bool]string{true: "yes", false: "no"}[allowed])
	}
	if !allowed {
		return silent(1)
	}
	return nil
}

// attributes are what is asked about, with kubectl's warnings about it.
func (k *kube) attributes(f *kubectlFlags, verb string, args []string) (map[string]any, error) {
	kind, name, _ := strings.Cut(args[0], "/")
	if len(args) > 1 {
		name = args[1]
	}
	a := map[string]any{"verb": verb}
	if name != "" {
		a["name"] = name
	}
	if f.subresource != "" {
		a["subresource"] = f.subresource
	}
	in := func(group string) string {
		if group == "" {
			return ""
		}
		return fmt.Sprintf(" in group '%s'", group)
	}
	if kind == "*" {
		a["group"], a["resource"] = "*", "*"
		return a, nil
	}
	r, err := k.find(kind)
	if _, unknown := err.(noSuchType); unknown {
		resource, group, _ := strings.Cut(kind, ".")
		fmt.Fprintf(k.errs, "Warning: the server doesn't have a resource type '%s'%s\n\n", resource, in(group))
		a["group"], a["resource"] = group, resource
		return a, nil
	}
	if err != nil {
		return nil, err
	}
	a["group"], a["resource"] = r.group, r.name
	switch {
	case !r.namespaced:
		fmt.Fprintf(k.errs, "Warning: resource '%s' is not namespace scoped%s\n\n", r.name, in(r.group))
	case !f.all:
		a["namespace"] = k.namespace
	}
	return a, nil
}

func version(k *kube, f *kubectlFlags, _ []string) error {
	e := k.era()
	gitVersion, kustomize := era.KubectlVersion.In(e), era.KustomizeVersion.In(e)
	minor := strings.TrimPrefix(e.String(), "1.")
	info := object{"clientVersion": map[string]any{"major": "1", "minor": minor, "gitVersion": gitVersion, "gitCommit": "$Format:%H$", "gitTreeState": "clean",
		"buildDate": "1970-01-01T00:00:00Z", "compiler": "gc", "goVersion": "go1.26.8", "platform": "linux/amd64"}, "kustomizeVersion": kustomize}
	var failed error
	server := ""
	if !f.client {
		b, err := k.do("GET", "/version", nil)
		if failed = err; err == nil {
			o, err := parseObject(b)
			if err != nil {
				return err
			}
			info["serverVersion"], server = map[string]any(o), o.text("gitVersion")
		}
	}
	switch f.output {
	case "":
		k.printf("Client Version: %s\nKustomize Version: %s\n", gitVersion, kustomize)
		if server != "" {
			k.printf("Server Version: %s\n", server)
		}
	case "yaml":
		b, err := yaml.Marshal(info)
		if err != nil {
			return err
		}
		k.printf("%s\n", b)
	case "json":
		b, err := json.MarshalIndent(info, "", "  ")
		if err != nil {
			return err
		}
		k.printf("%s\n", b)
	default:
		return fmt.Errorf("error: --output must be 'yaml' or 'json'")
	}
	return failed
}

func apiResources(k *kube, f *kubectlFlags, _ []string) error {
	if err := k.discover(); err != nil {
		return err
	}
	if f.output != "" && f.output != "name" {
		return fmt.Errorf("error: --output %v is not available", f.output)
	}
	offered := slices.DeleteFunc(slices.Clone(k.offered), func(r resource) bool {
		return f.Changed("api-group") && r.group != f.group
	})
	sort.SliceStable(offered, func(i, j int) bool {
		a, b := &offered[i], &offered[j]
		return cmp.Or(strings.Compare(a.group, b.group), strings.Compare(a.name, b.name)) < 0
	})
	var rows [][]string
	if !f.noHeaders && f.output == "" {
		rows = append(rows, []string{"NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"})
	}
	for _, r := range offered {
		if f.output == "name" {
			rows = append(rows, []string{r.full()})
			continue
		}
		rows = append(rows, []string{r.name, strings.Join(r.short, ","), strings.TrimPrefix(r.group+"/"+r.version, "/"), fmt.Sprint(r.namespaced), r.kind})
	}
	var w widths
	w.print(k.out, rows)
	return nil
}

func clusterInfo(k *kube, _ *kubectlFlags, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("error: kubectl cluster-info %s: not in this shell", args[0])
	}
	if _, err := k.do("GET", "/api", nil); err != nil {
		return err
	}
	k.printf("Kubernetes control plane is running at https://%s\n\nTo further debug and diagnose cluster problems, use 'kubectl cluster-info dump'.\n", k.dial.Addr)
	return nil
}

// config tells what the kubeconfig says; it changes nothing.
func config(k *kube, _ *kubectlFlags, args []string) error {
	c, err := k.load()
	if err != nil {
		return err
	}
	switch strings.Join(args, " ") {
	case "current-context":
		if c.CurrentContext == "" {
			return fmt.Errorf("error: current-context is not set")
		}
		k.printf("%s\n", c.CurrentContext)
	case "view":
		b, err := yaml.Marshal(hidden(c.raw))
		if err != nil {
			return err
		}
		k.printf("%s", b)
	default:
		return fmt.Errorf("error: kubectl config here has view and current-context, not %q", strings.Join(args, " "))
	}
	return nil
}

// secrets are the fields that kubectl config view does not show.
var secrets = map[string]string{"certificate-authority-data": "DATA+OMITTED", "client-certificate-data": "DATA+OMITTED", "client-key-data": "DATA+OMITTED", "token": "REDACTED", "password": "REDACTED"}

func hidden(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for n, x := range v {
			out[n] = hidden(x)
			if hide := secrets[n]; hide != "" && x != "" {
				out[n] = hide
			}
		}
		return out
	case []any:
		var out []any
		for _, x := range v {
			out = append(out, hidden(x))
		}
		return out
	}
	return v
}
