package shell

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
)

// validation are the words of --validate and what the server is asked for.
var validation = map[string]string{"strict": "Strict", "true": "Strict", "warn": "Warn", "ignore": "Ignore", "false": "Ignore"}

// writing is the query of a request that writes.
func (f *kubectlFlags) writing(manager string) (string, error) {
	v := validation[f.validate]
	if v == "" {
		return "", fmt.Errorf("error: invalid - validate option %q; must be one of strict (or true), warn, ignore (or false)", f.validate)
	}
	q := "?fieldManager=" + manager + "&fieldValidation=" + v
	switch f.dryRun {
	case "", "none", "client":
	case "server":
		q = "?dryRun=All&fieldManager=" + manager + "&fieldValidation=" + v
	default:
		return "", fmt.Errorf("error: Invalid dry-run value (%s). Must be \"none\", \"server\", or \"client\".", f.dryRun)
	}
	return q, nil
}

func create(k *kube, f *kubectlFlags, args []string) error {
	if len(args) > 0 {
		if args[0] != "clusterrolebinding" {
			return fmt.Errorf("error: kubectl create here takes -f FILE or clusterrolebinding, not %q", args[0])
		}
		return createBinding(k, f, args[1:])
	}
	if len(f.files) == 0 {
		return fmt.Errorf("error: must specify one of -f and -k")
	}
	for _, name := range []string{"clusterrole", "group", "user", "serviceaccount"} {
		if f.Changed(name) {
			return fmt.Errorf("error: unknown flag: --%s\nSee 'kubectl create --help' for usage.", name)
		}
	}
	if _, err := f.writing("kubectl-create"); err != nil {
		return err
	}
	ms, err := k.manifests("create", f.files)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range ms {
		if err := k.createOne(f, m); err != nil {
			if s, ok := err.(*status); ok {
				err = s.while("creating", m.from)
			}
			failed = append(failed, err)
		}
	}
	return k.all(failed)
}

// createOne creates an object, or only shows it with --dry-run=client.
func (k *kube) createOne(f *kubectlFlags, m manifest) error {
	query, err := f.writing("kubectl-create")
	if err != nil {
		return err
	}
	o, how := m.object, " created"
	if f.dryRun == "client" {
		how = " created (dry run)"
	} else {
		body, err := json.Marshal(m.object)
		if err != nil {
			return err
		}
		b, err := k.do("POST", m.r.path(k.place(m), "")+query, body)
		if err != nil {
			return err
		}
		if o, err = parseObject(b); err != nil {
			return err
		}
		if f.dryRun == "server" {
			how = " created (server dry run)"
		}
	}
	if f.output != "" {
		if meta, ok := o["metadata"].(map[string]any); ok {
			delete(meta, "managedFields")
		}
		return k.printAs(f.output, o, "json", "name", "yaml")
	}
	k.printf("%s/%s%s\n", m.r.one(), o.text("metadata", "name"), how)
	return nil
}

func createBinding(k *kube, f *kubectlFlags, args []string) error {
	if len(f.files) > 0 {
		return fmt.Errorf("error: unknown shorthand flag: 'f' in -f\nSee 'kubectl create clusterrolebinding --help' for usage.")
	}
	if f.clusterrole == "" {
		return fmt.Errorf("error: required flag(s) \"clusterrole\" not set")
	}
	if len(args) != 1 {
		return fmt.Errorf("error: exactly one NAME is required, got %d\nSee 'kubectl create clusterrolebinding -h' for help and examples", len(args))
	}
	const group = "rbac.authorization.k8s.io"
	subjects := []any{}
	for _, n := range f.users {
		subjects = append(subjects, map[string]any{"kind": "User", "apiGroup": group, "name": n})
	}
	for _, n := range f.groups {
		subjects = append(subjects, map[string]any{"kind": "Group", "apiGroup": group, "name": n})
	}
	for _, n := range f.accounts {
		ns, name, ok := strings.Cut(n, ":")
		if !ok || ns == "" || name == "" {
			return fmt.Errorf("error: serviceaccount must be <namespace>:<name>")
		}
		subjects = append(subjects, map[string]any{"kind": "ServiceAccount", "namespace": ns, "name": name})
	}
	version := era.KubectlRBAC.In(k.era())
	o := object{"kind": "ClusterRoleBinding", "apiVersion": group + "/" + version, "metadata": map[string]any{"name": args[0]},
		"roleRef": map[string]any{"apiGroup": group, "kind": "ClusterRole", "name": f.clusterrole}}
	if len(subjects) > 0 {
		o["subjects"] = subjects
	}
	err := k.createOne(f, manifest{object: o, r: resource{group: group, version: version, name: "clusterrolebindings", singular: "clusterrolebinding"}})
	if s, ok := err.(*status); ok && s.Code != http.StatusUnauthorized {
		return fmt.Errorf("error: failed to create clusterrolebinding: %s", s.Message)
	}
	return err
}

// lastApplied is the annotation that kubectl apply keeps.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func apply(k *kube, f *kubectlFlags, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("error: Unexpected args: %v\nSee 'kubectl apply -h' for help and examples", args)
	}
	if len(f.files) == 0 {
		return fmt.Errorf("error: must specify one of -f and -k")
	}
	query, err := f.writing("kubectl-client-side-apply")
	if err != nil {
		return err
	}
	ms, err := k.manifests("apply", f.files)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range ms {
		if err := k.applyOne(m, query); err != nil {
			failed = append(failed, err)
		}
	}
	return k.all(failed)
}

// applyOne creates an object, or changes what its manifest says differently.
func (k *kube) applyOne(m manifest, query string) error {
	name := m.text("metadata", "name")
	if name == "" {
		kind := m.text("apiVersion")
		return fmt.Errorf("error: error when retrieving current configuration of:\nResource: \"%s, Resource=%s\", GroupVersionKind: \"%s, Kind=%s\"\nName: \"\", Namespace: %q\nfrom server for: %q: resource name may not be empty", kind, m.r.name, kind, m.r.kind, m.namespaceOf(k), m.from)
	}
	meta, _ := m.object["metadata"].(map[string]any)
	notes, _ := meta["annotations"].(map[string]any)
	if notes == nil {
		notes = map[string]any{}
		meta["annotations"] = notes
	}
	delete(notes, lastApplied)
	if m.r.namespaced {
		meta["namespace"] = k.place(m)
	}
	plain, err := json.Marshal(m.object)
	if err != nil {
		return err
	}
	notes[lastApplied] = string(plain) + "\n"
	target := m.r.path(k.place(m), name)
	b, err := k.do("GET", target, nil)
	if missing(err) {
		body, err := json.Marshal(m.object)
		if err != nil {
			return err
		}
		if _, err = k.do("POST", m.r.path(k.place(m), "")+query, body); err != nil {
			return while(err, "creating", m.from)
		}
		k.printf("%s created\n", m.named())
		return nil
	}
	if err != nil {
		return while(err, "retrieving current configuration of", m.from)
	}
	current, err := parseObject(b)
	if err != nil {
		return err
	}
	var last map[string]any
	annotations, _ := current.get("metadata", "annotations").(map[string]any)
	if text, _ := annotations[lastApplied].(string); text != "" {
		last, _ = parseObject([]byte(text))
	} else {
		fmt.Fprintf(k.errs, "Warning: resource %s/%s is missing the %s annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n", m.r.name, name, lastApplied)
	}
	patch := changes(last, m.object, current)
	delete(patch, "status")
	if len(patch) == 0 {
		k.printf("%s unchanged\n", m.named())
		return nil
	}
	body, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err := k.do("PATCH", target+query, body); err != nil {
		return while(err, "applying patch to", m.from)
	}
	k.printf("%s configured\n", m.named())
	return nil
}

func (m manifest) namespaceOf(k *kube) string {
	if !m.r.namespaced {
		return ""
	}
	return k.place(m)
}

func while(err error, doing, file string) error {
	if s, ok := err.(*status); ok {
		return s.while(doing, file)
	}
	return err
}

// changes is the merge patch from what is to what is wanted: what differs, and
// null for what was applied before and is no longer wanted.
func changes(last, want, is map[string]any) map[string]any {
	patch := map[string]any{}
	for name, w := range want {
		if text, ok := w.(string); ok && text == "" && is[name] == nil {
			continue
		}
		wm, ok := w.(map[string]any)
		im, also := is[name].(map[string]any)
		switch {
		case ok && len(wm) == 0 && is[name] == nil:
		case ok && also:
			lm, _ := last[name].(map[string]any)
			if sub := changes(lm, wm, im); len(sub) > 0 {
				patch[name] = sub
			}
		case !reflect.DeepEqual(w, is[name]):
			patch[name] = w
		}
	}
	for name := range last {
		if _, ok := want[name]; !ok && is[name] != nil {
			patch[name] = nil
		}
	}
	return patch
}

// victim is an object to delete.
type victim struct {
	r        resource
	ns, name string
}

func remove(k *kube, f *kubectlFlags, args []string) error {
	if f.output != "" && f.output != "name" {
		return fmt.Errorf("error: unexpected -o output mode: %s. We only support '-o name'", f.output)
	}
	all, err := k.victims(f, args)
	if err != nil {
		return err
	}
	var failed []error
	for _, v := range all {
		_, err := k.do("DELETE", v.r.path(v.ns, v.name), nil)
		switch {
		case missing(err) && f.ignoreMissing:
		case err != nil:
			failed = append(failed, err)
		case f.output == "name":
			k.printf("%s/%s\n", v.r.one(), v.name)
		default:
			where := ""
			if v.r.namespaced && era.DeleteTellsNamespace.In(k.era()) {
				where = " from " + v.ns + " namespace"
			}
			k.printf("%s %q deleted%s\n", v.r.one(), v.name, where)
		}
	}
	return k.all(failed)
}

// victims finds what is to be deleted: by file, by name, by selector.
func (k *kube) victims(f *kubectlFlags, args []string) ([]victim, error) {
	var all []victim
	if len(f.files) > 0 {
		ms, err := k.manifests("delete", f.files)
		for _, m := range ms {
			all = append(all, victim{m.r, k.place(m), m.text("metadata", "name")})
		}
		return all, err
	}
	want, err := k.targets(args)
	if err != nil {
		return nil, err
	}
	for _, w := range want {
		for _, n := range w.names {
			all = append(all, victim{w.resource, k.namespace, n})
		}
		if len(w.names) > 0 {
			continue
		}
		if f.selector == "" && f.fields == "" && !f.everywhere {
			return nil, fmt.Errorf("error: resource(s) were provided, but no name was specified")
		}
		objects, errs := k.collect(f, w)
		if err := k.all(errs); err != nil {
			return nil, err
		}
		for _, o := range objects {
			all = append(all, victim{w.resource, k.namespace, o.text("metadata", "name")})
		}
		if len(objects) == 0 {
			fmt.Fprintln(k.errs, "No resources found")
		}
	}
	return all, nil
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
