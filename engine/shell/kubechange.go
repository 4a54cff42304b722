package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// patchTypes are what --type may be, in the order of its complaint.
var patchTypes = []string{"json", "merge", "strategic"}

// patch changes parts of objects. Models k8s.io/kubectl/pkg/cmd/patch.
func patch(k *kube, f *kubectlFlags, args []string) error {
	kind := strings.ToLower(f.patchType)
	if f.patch == "" {
		return fmt.Errorf("error: must specify --patch or --patch-file containing the contents of the patch")
	}
	if !slices.Contains(patchTypes, kind) {
		return fmt.Errorf("error: --type must be one of %v, not %q", patchTypes, f.patchType)
	}
	body, err := yaml.YAMLToJSON([]byte(f.patch))
	if err != nil {
		return fmt.Errorf("error: unable to parse %q: %v", f.patch, strings.TrimPrefix(err.Error(), "error converting YAML to JSON: "))
	}
	ctype := "application/" + map[string]string{"json": "json-patch", "merge": "merge-patch", "strategic": "strategic-merge-patch"}[kind] + "+json"
	all, err := k.victims(f, args)
	if err != nil {
		return err
	}
	var failed []error
	for _, v := range all {
		target := v.r.path(v.ns, v.name)
		if f.subresource != "" {
			target += "/" + f.subresource
		}
		was, err := k.do("GET", target, nil)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		is, err := k.doAs("PATCH", target+"?fieldManager=kubectl-patch", ctype, body)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		how := ""
		if bytes.Equal(was, is) {
			how = " (no change)"
		}
		k.printf("%s/%s patched%s\n", v.r.one(), v.name, how)
	}
	return k.all(failed)
}

// replace puts objects in the place of others; with --raw it sends a file as it is.
// Models k8s.io/kubectl/pkg/cmd/replace.
func replace(k *kube, f *kubectlFlags, args []string) error {
	if f.raw != "" {
		if len(f.files) != 1 {
			return fmt.Errorf("error: --raw can only use a single local file or stdin")
		}
		if !strings.HasPrefix(f.raw, "/") {
			return fmt.Errorf("error: --raw must be a valid URL path: parse %q: invalid URI for request", f.raw)
		}
		b, err := k.readIn(f.files[0])
		if err != nil {
			return err
		}
		if b, err = k.do("PUT", f.raw, b); err != nil {
			return err
		}
		k.printf("%s", b)
		return nil
	}
	if len(f.files) == 0 {
		return fmt.Errorf("error: must specify --filename to replace")
	}
	query, err := f.writing("kubectl-replace")
	if err != nil {
		return err
	}
	ms, err := k.manifests("replace", f.files)
	if err != nil {
		return err
	}
	var failed []error
	for _, m := range ms {
		body, err := json.Marshal(m.object)
		if err == nil {
			_, err = k.do("PUT", m.r.path(k.place(m), m.text("metadata", "name"))+query, body)
		}
		if err != nil {
			failed = append(failed, while(err, "replacing", m.from))
			continue
		}
		k.printf("%s replaced\n", m.named())
	}
	return k.all(failed)
}

// readIn reads a file, or standard input when it is called "-".
func (k *kube) readIn(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(k.in)
	}
	b, err := k.readFile(k.path(file))
	if err != nil {
		return nil, fmt.Errorf("error: the path %q does not exist", file)
	}
	return b, nil
}
