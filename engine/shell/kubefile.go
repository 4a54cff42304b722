package shell

import (
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
)

// manifest is one object of a file.
type manifest struct {
	from string
	object
	r resource
}

// manifests reads the files of -f, with the errors that kubectl gives. A
// directory stands for the manifests in it.
func (k *kube) manifests(verb string, files []string) ([]manifest, error) {
	var out []manifest
	for _, name := range files {
		inside, err := k.expand(name)
		if err != nil {
			return nil, err
		}
		found := len(out)
		for _, file := range inside {
			from, b := file, []byte(nil)
			if file == "-" {
				from = "STDIN"
				b, err = io.ReadAll(k.in)
			} else {
				b, err = k.readFile(k.path(file))
			}
			if err != nil {
				return nil, fmt.Errorf("error: the path %q does not exist", file)
			}
			if out, err = k.parse(out, from, string(b)); err != nil {
				return nil, err
			}
		}
		if len(out) == found {
			return nil, fmt.Errorf("error: no objects passed to %s", verb)
		}
	}
	return out, nil
}

func (k *kube) expand(name string) ([]string, error) {
	if name == "-" {
		return []string{name}, nil
	}
	e, err := k.stat(k.path(name), true)
	if err != nil {
		return nil, fmt.Errorf("error: the path %q does not exist", name)
	}
	if !e.Mode.IsDir() {
		return []string{name}, nil
	}
	names, err := k.readDir(k.path(name))
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(n)) })
	if len(names) == 0 {
		return nil, fmt.Errorf("error: error reading [%s]: recognized file extensions are [.json .yaml .yml]", name)
	}
	for i, n := range names {
		names[i] = path.Join(name, n)
	}
	return names, nil
}

// parse adds the objects of a file's documents to out.
func (k *kube) parse(out []manifest, from, text string) ([]manifest, error) {
	for _, doc := range documents(text) {
		js, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, fmt.Errorf("error: error parsing %s: error converting YAML to JSON: %v", from, err)
		}
		if string(js) == "null" {
			continue
		}
		o, err := parseObject(js)
		if err != nil {
			return nil, fmt.Errorf("error: unable to decode %q: a manifest is a mapping with apiVersion and kind", from)
		}
		var unset []string
		for _, field := range []string{"apiVersion", "kind"} {
			if o.text(field) == "" {
				unset = append(unset, field+" not set")
			}
		}
		if len(unset) == 1 {
			return nil, fmt.Errorf("error: error validating %q: error validating data: %s; if you choose to ignore these errors, turn validation off with --validate=false", from, unset[0])
		}
		if len(unset) > 1 {
			return nil, fmt.Errorf("error: error validating %q: error validating data: [%s]; if you choose to ignore these errors, turn validation off with --validate=false", from, strings.Join(unset, ", "))
		}
		items := []any{map[string]any(o)}
		if o.text("kind") == "List" {
			items = o.list("items")
		}
		for _, it := range items {
			m, ok := it.(map[string]any)
			if !ok {
				return nil, fmt.Errorf("error: unable to decode %q: an item of a List is a mapping with apiVersion and kind", from)
			}
			d := manifest{from: from, object: m}
			if d.r, err = k.byKind(d.text("apiVersion"), d.text("kind")); err != nil {
				return nil, unmapped(k.era(), err, d)
			}
			out = append(out, d)
		}
	}
	return out, nil
}

func unmapped(e era.Era, err error, d manifest) error {
	if s, ok := err.(*status); ok && s.Code == http.StatusUnauthorized {
		return fmt.Errorf("error: error validating %q: error validating data: failed to download openapi: the server has asked for the client to provide credentials; if you choose to ignore these errors, turn validation off with --validate=false", d.from)
	}
	if _, ok := err.(noMatch); !ok {
		return err
	}
	if !era.KubectlNamesUnmapped.In(e) {
		return fmt.Errorf("error: unable to recognize %q: %v", d.from, err)
	}
	return fmt.Errorf("error: resource mapping not found for name: %q namespace: %q from %q: %v\nensure CRDs are installed first", d.text("metadata", "name"), d.text("metadata", "namespace"), d.from, err)
}

// documents splits a file at its lines "---". What is before the first one
// keeps its line numbers.
func documents(text string) []string {
	var out []string
	var doc strings.Builder
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, "---"); ok && strings.TrimSpace(rest) == "" {
			out = append(out, doc.String())
			doc.Reset()
			continue
		}
		doc.WriteString(line)
	}
	return append(out, doc.String())
}

// place is the namespace that an object goes to.
func (k *kube) place(m manifest) string {
	if ns := m.text("metadata", "namespace"); ns != "" {
		return ns
	}
	return k.namespace
}

// named is how kubectl names an object of which it tells something.
func (m manifest) named() string { return m.r.one() + "/" + m.text("metadata", "name") }
