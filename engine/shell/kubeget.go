package shell

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// wanted is what a person asked for: a resource, and names (none: all).
type wanted struct {
	resource
	names []string
}

// targets reads "csr,nodes", "csr NAME…" and "csr/NAME …".
func (k *kube) targets(args []string) ([]wanted, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("error: You must provide one or more resources by argument or filename.")
	}
	var out []wanted
	if strings.Contains(args[0], "/") {
		for _, a := range args {
			kind, name, ok := strings.Cut(a, "/")
			if !ok {
				return nil, fmt.Errorf("error: there is no need to specify a resource type as a separate argument when passing arguments in resource/name form (e.g. 'kubectl get resource/<resource_name>' instead of 'kubectl get resource resource/<resource_name>'")
			}
			r, err := k.find(kind)
			if err != nil {
				return nil, err
			}
			if n := len(out); n > 0 && out[n-1].full() == r.full() {
				out[n-1].names = append(out[n-1].names, name)
				continue
			}
			out = append(out, wanted{r, []string{name}})
		}
		return out, nil
	}
	for _, kind := range strings.Split(args[0], ",") {
		r, err := k.find(kind)
		if err != nil {
			return nil, err
		}
		out = append(out, wanted{r, args[1:]})
	}
	return out, nil
}

// table is the server's answer to ;as=Table.
type table struct {
	Kind     string `json:"kind"`
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
	} `json:"metadata"`
	Columns []struct {
		Name     string `json:"name"`
		Priority int    `json:"priority"`
	} `json:"columnDefinitions"`
	Rows []struct {
		Cells  []any `json:"cells"`
		Object struct {
			Metadata struct {
				Name      string            `json:"name"`
				Namespace string            `json:"namespace"`
				Labels    map[string]string `json:"labels"`
			} `json:"metadata"`
		} `json:"object"`
	} `json:"rows"`
}

func (f *kubectlFlags) query() url.Values {
	q := url.Values{}
	if f.selector != "" {
		q.Set("labelSelector", f.selector)
	}
	if f.fields != "" {
		q.Set("fieldSelector", f.fields)
	}
	return q
}

func withQuery(target string, q url.Values) string {
	if len(q) > 0 {
		target += "?" + q.Encode()
	}
	return target
}

const nothingToGet = `You must specify the type of resource to get. Use "kubectl api-resources" for a complete list of supported resources.

error: Required resource not specified.
Use "kubectl explain <resource>" for a detailed description of that resource (e.g. kubectl explain pods).
See 'kubectl get -h' for help and examples`

func get(k *kube, f *kubectlFlags, args []string) error {
	if f.raw != "" {
		b, err := k.do("GET", f.raw, nil)
		k.printf("%s", b)
		return err
	}
	form, template, _ := strings.Cut(f.output, "=")
	if !slices.Contains([]string{"", "wide", "yaml", "json", "name", "jsonpath", "custom-columns"}, form) {
		return fmt.Errorf("error: unable to match a printer suitable for the output format %q, allowed formats are: custom-columns,json,jsonpath,name,wide,yaml", form)
	}
	if len(args) == 0 {
		return errors.New(nothingToGet)
	}
	want, err := k.targets(args)
	if err != nil {
		return err
	}
	if f.watch && (len(want) > 1 || len(want[0].names) > 1) {
		return fmt.Errorf("error: you may only specify a single resource type, or a single name, with --watch")
	}
	if form != "" && form != "wide" {
		return k.getObjects(f, want, form, template)
	}
	return k.getTables(f, want, form)
}

// getTables prints the tables that the server makes, one for each kind.
func (k *kube) getTables(f *kubectlFlags, want []wanted, form string) error {
	printed := 0
	var failed []error
	for _, w := range want {
		ns := k.namespace
		if f.all {
			ns = ""
		}
		pr := &tablePrinter{k: k, f: f, prefix: len(want) > 1, r: w.resource, form: form}
		names := w.names
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			q := f.query()
			if name == "" {
				q.Set("limit", "500")
			} else {
				q = nil
			}
			_, resp, err := k.open("GET", withQuery(w.path(ns, name), q), k.tableAccept(), "", nil)
			if err != nil {
				failed = append(failed, f.notListed(w, name, err))
				continue
			}
			t, err := k.table(w.resource, resp.Body)
			if err != nil {
				return err
			}
			if printed > 0 && len(t.Rows) > 0 && pr.rows == nil {
				k.printf("\n")
			}
			pr.add(t)
			printed += len(t.Rows)
			if f.watch {
				pr.flush()
				return k.watch(f, w, ns, name, t.Metadata.ResourceVersion, k.tableAccept(), func(data json.RawMessage) error {
					t, err := k.table(w.resource, data)
					if err == nil {
						pr.add(t)
						pr.flush()
					}
					return nil
				})
			}
		}
		pr.flush()
	}
	if printed == 0 && len(failed) == 0 && !f.ignoreMissing {
		k.noResources(f, want)
	}
	if f.ignoreMissing {
		failed = slices.DeleteFunc(failed, missing)
	}
	return k.all(failed)
}

// tableAccept asks for tables, where kubectl prints those of the server.
func (k *kube) tableAccept() string {
	if era.ServerTables.In(k.era()) {
		return tableAccept
	}
	return "application/json"
}

// table is what a server made, or else what kubectl makes of objects.
func (k *kube) table(r resource, body []byte) (t table, err error) {
	if err := json.Unmarshal(body, &t); err != nil {
		return t, fmt.Errorf("error: the server's table can't be read: %v", err)
	}
	switch t.Kind {
	case "Table":
	case "Status": // a watch that ends with an error
		return t, fmt.Errorf("error: there is no table in a Status")
	default:
		return k.tabulate(r, body)
	}
	return t, nil
}

// notListed says what was to be listed when the server can't do that (Models
// cli-runtime/pkg/resource Selector.Visit).
func (f *kubectlFlags) notListed(w wanted, name string, err error) error {
	s, ok := err.(*status)
	if !ok || name != "" || s.Reason != "BadRequest" && s.Reason != "NotFound" {
		return err
	}
	what := fmt.Sprintf("%q", w.resource.group+"/"+w.resource.version+", Resource="+w.resource.name)
	if f.selector == "" && f.fields == "" {
		s.Message = "Unable to list " + what + ": " + s.Message
	} else {
		s.Message = fmt.Sprintf("Unable to find %s that match label selector %q, field selector %q: %s", what, f.selector, f.fields, s.Message)
	}
	return s
}

func missing(err error) bool {
	s, ok := err.(*status)
	return ok && s.Code == http.StatusNotFound
}

func (k *kube) noResources(f *kubectlFlags, want []wanted) {
	where := ""
	if slices.ContainsFunc(want, func(w wanted) bool { return w.namespaced }) && !f.all {
		where = " in " + k.namespace + " namespace."
	}
	fmt.Fprintf(k.errs, "No resources found%s\n", where)
}

// all is what several failures are together: kubectl tells each, and ends with
// status 1.
func (k *kube) all(failed []error) error {
	if len(failed) < 2 {
		return errors.Join(failed...)
	}
	for _, err := range failed {
		fmt.Fprintf(k.errs, "%v\n", err)
	}
	return silent(1)
}

// watch hands each change to f until the server ends, or nobody reads.
func (k *kube) watch(f *kubectlFlags, w wanted, ns, name, version, accept string, change func(json.RawMessage) error) error {
	q := f.query()
	q.Set("watch", "true")
	q.Set("resourceVersion", version)
	if name != "" {
		q.Set("fieldSelector", "metadata.name="+name)
	}
	id, _, err := k.open("GET", withQuery(w.path(ns, ""), q), accept, "", nil)
	if err != nil {
		return err
	}
	var rest []byte
	for {
		m := k.await(id)
		if m.Kind != sim.MsgFrame {
			return nil
		}
		// A frame is a piece of the stream: an event ends where its line does.
		rest = append(rest, m.Data...)
		for {
			line, more, ok := bytes.Cut(rest, []byte("\n"))
			if !ok {
				break
			}
			rest = more
			var e struct {
				Type   string          `json:"type"`
				Object json.RawMessage `json:"object"`
			}
			if json.Unmarshal(line, &e) != nil || e.Type == "BOOKMARK" {
				continue
			}
			if err := change(e.Object); err != nil {
				return err
			}
		}
	}
}

// getObjects prints whole objects.
func (k *kube) getObjects(f *kubectlFlags, want []wanted, form, template string) error {
	print, err := k.printer(form, template)
	if err != nil {
		return err
	}
	var items []any
	var failed []error
	for _, w := range want {
		objects, errs := k.collect(f, w)
		failed = append(failed, errs...)
		for _, o := range objects {
			if m, ok := o["metadata"].(map[string]any); ok && !f.managed {
				delete(m, "managedFields")
			}
			items = append(items, map[string]any(o))
		}
	}
	if f.ignoreMissing {
		failed = slices.DeleteFunc(failed, missing)
	}
	if f.watch {
		if len(failed) > 0 {
			return k.all(failed)
		}
		return k.watchObjects(f, want[0], items, print)
	}
	single := len(want) == 1 && len(want[0].names) == 1
	switch {
	case len(items) == 0 && (len(failed) > 0 || single):
	case single:
		err = print(items[0], items)
	default:
		if items == nil {
			items = []any{}
		}
		err = print(map[string]any{"apiVersion": "v1", "kind": "List", "items": items, "metadata": map[string]any{"resourceVersion": ""}}, items)
	}
	if err != nil {
		return err
	}
	return k.all(failed)
}

// watchObjects prints what there is, then each change, an object at a time.
func (k *kube) watchObjects(f *kubectlFlags, w wanted, items []any, print func(any, []any) error) error {
	ns, name := k.namespace, ""
	if f.all {
		ns = ""
	}
	if len(w.names) > 0 {
		name = w.names[0]
	}
	// The list's own version is not in its items: ask once more for it alone.
	b, err := k.do("GET", withQuery(w.path(ns, ""), url.Values{"limit": {"1"}}), nil)
	if err != nil {
		return err
	}
	o, err := parseObject(b)
	if err != nil {
		return err
	}
	for _, it := range items {
		if err := print(it, []any{it}); err != nil {
			return err
		}
	}
	return k.watch(f, w, ns, name, o.text("metadata", "resourceVersion"), "application/json", func(data json.RawMessage) error {
		o, err := parseObject(data)
		if err != nil {
			return err
		}
		if m, ok := o["metadata"].(map[string]any); ok && !f.managed {
			delete(m, "managedFields")
		}
		return print(map[string]any(o), []any{map[string]any(o)})
	})
}
