package shell

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// manifest is one document of a file.
type manifest struct {
	from string
	object
	r resource
}

// manifests reads the files of -f, with the errors that kubectl gives.
func (k *kube) manifests(files []string) ([]manifest, error) {
	var out []manifest
	for _, name := range files {
		from := name
		var b []byte
		var err error
		if name == "-" {
			from = "STDIN"
			b, err = io.ReadAll(k.in)
		} else {
			b, err = k.readFile(k.path(name))
		}
		if err != nil {
			return nil, fmt.Errorf("error: the path %q does not exist", name)
		}
		found := 0
		for doc := range strings.SplitSeq(string(b), "\n---") {
			if strings.TrimSpace(stripComments(doc)) == "" {
				continue
			}
			js, err := yaml.YAMLToJSON([]byte(doc))
			if err != nil {
				return nil, fmt.Errorf("error: error parsing %s: error converting YAML to JSON: %v", from, err)
			}
			o, err := parseObject(js)
			if err != nil {
				return nil, fmt.Errorf("error: error parsing %s: a manifest is a mapping with apiVersion and kind", from)
			}
			found++
			if o.text("apiVersion") == "" || o.text("kind") == "" {
				missing := "kind"
				if o.text("apiVersion") == "" {
					missing = "apiVersion"
				}
				return nil, fmt.Errorf("error: error validating %q: error validating data: %s not set; if you choose to ignore these errors, turn validation off with --validate=false", from, missing)
			}
			items := []any{map[string]any(o)}
			if o.text("kind") == "List" {
				items = o.list("items")
			}
			for _, it := range items {
				m, _ := it.(map[string]any)
				d := manifest{from: from, object: m}
				if d.r, err = k.byKind(d.text("apiVersion"), d.text("kind")); err != nil {
					return nil, fmt.Errorf("error: resource mapping not found for name: %q namespace: %q from %q: %v\nensure CRDs are installed first", d.text("metadata", "name"), d.text("metadata", "namespace"), from, err)
				}
				out = append(out, d)
			}
		}
		if found == 0 {
			return nil, fmt.Errorf("error: no objects passed to %s", "create")
		}
	}
	return out, nil
}

func stripComments(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		if !strings.HasPrefix(strings.TrimSpace(l), "#") {
			b.WriteString(l)
		}
	}
	return b.String()
}

func (k *kube) place(m manifest) string {
	if ns := m.text("metadata", "namespace"); ns != "" {
		return ns
	}
	return k.namespace
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
	ms, err := k.manifests(f.files)
	if err != nil {
		return err
	}
	var failed error
	for _, m := range ms {
		body, _ := json.Marshal(m.object)
		b, err := k.do("POST", m.r.path(k.place(m), "")+"?fieldManager=kubectl-create&fieldValidation=Strict", body)
		if err != nil {
			if s, ok := err.(*status); ok && s.Code != http.StatusUnauthorized {
				err = fmt.Errorf("Error from server (%s): error when creating %q: %s", s.Reason, m.from, s.Message)
			}
			if len(ms) == 1 {
				return err
			}
			fmt.Fprintf(k.errs, "%v\n", err)
			failed = silent(1)
			continue
		}
		o, _ := parseObject(b)
		k.printf("%s/%s created\n", m.r.one(), o.text("metadata", "name"))
	}
	return failed
}

func createBinding(k *kube, f *kubectlFlags, args []string) error {
	role, _ := f.GetString("clusterrole")
	if len(args) != 1 {
		return fmt.Errorf("error: exactly one NAME is required, got %d", len(args))
	}
	if role == "" {
		return fmt.Errorf("error: required flag(s) \"clusterrole\" not set")
	}
	const group = "rbac.authorization.k8s.io"
	var subjects []any
	users, _ := f.GetStringSlice("user")
	groups, _ := f.GetStringSlice("group")
	accounts, _ := f.GetStringSlice("serviceaccount")
	for _, n := range users {
		subjects = append(subjects, map[string]any{"kind": "User", "apiGroup": group, "name": n})
	}
	for _, n := range groups {
		subjects = append(subjects, map[string]any{"kind": "Group", "apiGroup": group, "name": n})
	}
	for _, n := range accounts {
		ns, name, ok := strings.Cut(n, ":")
		if !ok || ns == "" || name == "" {
			return fmt.Errorf("error: serviceaccount must be <namespace>:<name>")
		}
		subjects = append(subjects, map[string]any{"kind": "ServiceAccount", "namespace": ns, "name": name})
	}
	o := map[string]any{"kind": "ClusterRoleBinding", "apiVersion": group + "/v1", "metadata": map[string]any{"name": args[0]},
		"subjects": subjects, "roleRef": map[string]any{"apiGroup": group, "kind": "ClusterRole", "name": role}}
	body, _ := json.Marshal(o)
	if _, err := k.do("POST", "/apis/"+group+"/v1/clusterrolebindings?fieldManager=kubectl-create&fieldValidation=Strict", body); err != nil {
		if s, ok := err.(*status); ok && s.Reason == "AlreadyExists" {
			return fmt.Errorf("error: failed to create clusterrolebinding: %s", s.Message)
		}
		if s, ok := err.(*status); ok && s.Code != http.StatusUnauthorized {
			return fmt.Errorf("error: failed to create clusterrolebinding: %s", s.Message)
		}
		return err
	}
	k.printf("clusterrolebinding.%s/%s created\n", group, args[0])
	return nil
}

// lastApplied is the annotation that kubectl apply keeps.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

func apply(k *kube, f *kubectlFlags, args []string) error {
	if len(f.files) == 0 || len(args) > 0 {
		return fmt.Errorf("error: must specify one of -f and -k")
	}
	ms, err := k.manifests(f.files)
	if err != nil {
		return err
	}
	for _, m := range ms {
		plain, _ := json.Marshal(m.object)
		meta, _ := m.object["metadata"].(map[string]any)
		if meta == nil || m.text("metadata", "name") == "" {
			return fmt.Errorf("error: error when retrieving current configuration of: resource name may not be empty")
		}
		notes, _ := meta["annotations"].(map[string]any)
		if notes == nil {
			notes = map[string]any{}
		}
		notes[lastApplied] = string(plain) + "\n"
		meta["annotations"] = notes
		body, _ := json.Marshal(m.object)
		target := m.r.path(k.place(m), "")
		const query = "?fieldManager=kubectl-client-side-apply&fieldValidation=Strict"
		name := m.text("metadata", "name")
		_, err := k.do("GET", m.r.path(k.place(m), name), nil)
		past := "configured"
		if s, ok := err.(*status); ok && s.Code == http.StatusNotFound {
			_, err = k.do("POST", target+query, body)
			past = "created"
		} else if err == nil {
			_, err = k.do("PATCH", m.r.path(k.place(m), name)+query, body)
		}
		if err != nil {
			if s, ok := err.(*status); ok && s.Code != http.StatusUnauthorized {
				return fmt.Errorf("Error from server (%s): error when applying %q: %s", s.Reason, m.from, s.Message)
			}
			return err
		}
		k.printf("%s/%s %s\n", m.r.one(), name, past)
	}
	return nil
}

func remove(k *kube, f *kubectlFlags, args []string) error {
	type victim struct {
		r        resource
		ns, name string
	}
	var all []victim
	if len(f.files) > 0 {
		ms, err := k.manifests(f.files)
		if err != nil {
			return err
		}
		for _, m := range ms {
			all = append(all, victim{m.r, k.place(m), m.text("metadata", "name")})
		}
	} else {
		want, err := k.targets(args)
		if err != nil {
			return err
		}
		for _, w := range want {
			for _, n := range w.names {
				all = append(all, victim{w.resource, k.namespace, n})
			}
			if len(w.names) > 0 {
				continue
			}
			if f.selector == "" && f.fields == "" && !f.everywhere {
				return fmt.Errorf("error: resource(s) were provided, but no name was specified")
			}
			target := w.path(k.namespace, "")
			if q := f.query(); len(q) > 0 {
				target += "?" + q.Encode()
			}
			b, err := k.do("GET", target, nil)
			if err != nil {
				return err
			}
			o, _ := parseObject(b)
			for _, it := range o.list("items") {
				all = append(all, victim{w.resource, k.namespace, object(it.(map[string]any)).text("metadata", "name")})
			}
			if len(o.list("items")) == 0 {
				fmt.Fprintln(k.errs, "No resources found")
			}
		}
	}
	var failed error
	for _, v := range all {
		if _, err := k.do("DELETE", v.r.path(v.ns, v.name), nil); err != nil {
			if s, ok := err.(*status); ok && s.Code == http.StatusNotFound && f.ignoreMissing {
				continue
			}
			if len(all) == 1 {
				return err
			}
			fmt.Fprintf(k.errs, "%v\n", err)
			failed = silent(1)
			continue
		}
		where := ""
		if v.r.namespaced {
			where = " from " + v.ns + " namespace"
		}
		k.printf("%s %q deleted%s\n", v.r.one(), v.name, where)
	}
	return failed
}

func sortedKeys(m map[string]any) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
