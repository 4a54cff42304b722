package shell

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"

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
		return nil, fmt.Errorf("error: You must specify the type of resource to get.")
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

func get(k *kube, f *kubectlFlags, args []string) error {
	form, template, _ := strings.Cut(f.output, "=")
	switch form {
	case "", "wide", "yaml", "json", "name", "jsonpath":
	default:
		return fmt.Errorf("error: unable to match a printer suitable for the output format %q, allowed formats are: json,jsonpath,name,wide,yaml", form)
	}
	want, err := k.targets(args)
	if err != nil {
		return err
	}
	if form != "" && form != "wide" {
		return k.getObjects(f, want, form, template)
	}
	printed, failed := 0, error(nil)
	for _, w := range want {
		ns := k.namespace
		if f.all {
			ns = ""
		}
		pr := &tablePrinter{k: k, f: f, prefix: len(want) > 1 && len(want[0].names) == 0, r: w.resource, form: form}
		names := w.names
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			q := f.query()
			if name == "" {
				q.Set("limit", "500")
			}
			target := w.path(ns, name)
			if len(q) > 0 {
				target += "?" + q.Encode()
			}
			_, resp, err := k.open("GET", target, tableAccept, "", nil)
			if err != nil {
				failed = err
				if name != "" && len(names) > 1 {
					fmt.Fprintf(k.errs, "%v\n", err)
					failed = silent(1)
					continue
				}
				return err
			}
			var t table
			if err := json.Unmarshal(resp.Body, &t); err != nil {
				return fmt.Errorf("error: the server's table can't be read: %v", err)
			}
			if printed > 0 && len(t.Rows) > 0 && pr.lines == 0 && len(want) > 1 {
				k.printf("\n")
			}
			pr.add(t)
			printed += len(t.Rows)
			if f.watch {
				pr.flush()
				return k.watch(f, w, ns, name, t.Metadata.ResourceVersion, pr)
			}
		}
		pr.flush()
	}
	if printed == 0 && failed == nil {
		where := ""
		if len(want) == 1 && want[0].namespaced && !f.all {
			where = " in " + k.namespace + " namespace."
		}
		fmt.Fprintf(k.errs, "No resources found%s\n", where)
	}
	return failed
}

// watch prints changes until it is interrupted or nobody reads.
func (k *kube) watch(f *kubectlFlags, w wanted, ns, name, version string, pr *tablePrinter) error {
	q := f.query()
	q.Set("watch", "true")
	q.Set("resourceVersion", version)
	if name != "" {
		q.Set("fieldSelector", "metadata.name="+name)
	}
	id, _, err := k.open("GET", w.path(ns, "")+"?"+q.Encode(), tableAccept, "", nil)
	if err != nil {
		return err
	}
	for {
		m := k.await(id)
		if m.Kind != sim.MsgFrame {
			return nil
		}
		for line := range strings.Lines(string(m.Data)) {
			var e struct {
				Type   string `json:"type"`
				Object table  `json:"object"`
			}
			if json.Unmarshal([]byte(line), &e) != nil || e.Type == "BOOKMARK" || e.Object.Kind != "Table" {
				continue
			}
			pr.add(e.Object)
			pr.flush()
		}
	}
}

// tablePrinter aligns columns; widths are remembered over a watch.
type tablePrinter struct {
	k      *kube
	f      *kubectlFlags
	r      resource
	form   string
	prefix bool
	shown  []int
	rows   [][]string
	widths widths
	lines  int
}

func (p *tablePrinter) add(t table) {
	if len(t.Columns) > 0 && p.shown == nil {
		var head []string
		if p.f.all && p.r.namespaced {
			head = append(head, "NAMESPACE")
		}
		p.shown = []int{}
		for i, c := range t.Columns {
			if c.Priority == 0 || p.form == "wide" {
				p.shown = append(p.shown, i)
				head = append(head, strings.ToUpper(c.Name))
			}
		}
		if p.f.labels {
			head = append(head, "LABELS")
		}
		if !p.f.noHeaders && len(t.Rows) > 0 {
			p.rows = append(p.rows, head)
		} else if !p.f.noHeaders {
			p.shown = nil
		}
	}
	for _, r := range t.Rows {
		var row []string
		if p.f.all && p.r.namespaced {
			row = append(row, r.Object.Metadata.Namespace)
		}
		for n, i := range p.shown {
			if i >= len(r.Cells) {
				continue
			}
			cell := fmt.Sprint(r.Cells[i])
			if n == 0 && p.prefix {
				cell = p.r.one() + "/" + cell
			}
			row = append(row, cell)
		}
		if p.f.labels {
			row = append(row, labelText(r.Object.Metadata.Labels))
		}
		p.rows = append(p.rows, row)
	}
}

func labelText(l map[string]string) string {
	if len(l) == 0 {
		return "<none>"
	}
	var out []string
	for k, v := range l {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (p *tablePrinter) flush() {
	p.lines += len(p.rows)
	p.widths.print(p.k.out, p.rows)
	p.rows = nil
}

// widths are columns' widths, at least 6, with three blanks between.
//
// Models k8s.io/cli-runtime/pkg/printers GetNewTabWriter.
type widths []int

func (w *widths) print(out io.Writer, rows [][]string) {
	for _, r := range rows {
		for i, c := range r {
			if i == len(*w) {
				*w = append(*w, 6)
			}
			(*w)[i] = max((*w)[i], len([]rune(c))+3)
		}
	}
	var b strings.Builder
	for _, r := range rows {
		for i, c := range r {
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", (*w)[i]-len([]rune(c))))
			}
		}
		b.WriteByte('\n')
	}
	if b.Len() > 0 {
		io.WriteString(out, b.String())
	}
}

// getObjects prints whole objects.
func (k *kube) getObjects(f *kubectlFlags, want []wanted, form, template string) error {
	var items []any
	single := false
	var owner []resource
	for _, w := range want {
		ns := k.namespace
		if f.all {
			ns = ""
		}
		names := w.names
		if len(names) == 0 {
			names = []string{""}
		}
		for _, name := range names {
			target := w.path(ns, name)
			if q := f.query(); len(q) > 0 && name == "" {
				target += "?" + q.Encode()
			}
			b, err := k.do("GET", target, nil)
			if err != nil {
				return err
			}
			o, err := parseObject(b)
			if err != nil {
				return err
			}
			if name != "" {
				single = len(want) == 1 && len(names) == 1
				items, owner = append(items, map[string]any(o)), append(owner, w.resource)
				continue
			}
			for _, it := range o.list("items") {
				m := it.(map[string]any)
				m["apiVersion"], m["kind"] = strings.TrimPrefix(w.group+"/"+w.version, "/"), w.kind
				items, owner = append(items, m), append(owner, w.resource)
			}
		}
	}
	for _, it := range items {
		if m, ok := it.(map[string]any)["metadata"].(map[string]any); ok {
			delete(m, "managedFields")
		}
	}
	if form == "name" {
		for i, it := range items {
			k.printf("%s/%s\n", owner[i].one(), object(it.(map[string]any)).text("metadata", "name"))
		}
		return nil
	}
	var whole any = map[string]any{"apiVersion": "v1", "kind": "List", "items": items, "metadata": map[string]any{"resourceVersion": ""}}
	if items == nil {
		whole.(map[string]any)["items"] = []any{}
	}
	if single {
		whole = items[0]
	}
	switch form {
	case "yaml":
		b, err := yaml.Marshal(whole)
		if err != nil {
			return err
		}
		k.printf("%s", b)
	case "json":
		b, err := json.MarshalIndent(whole, "", "    ")
		if err != nil {
			return err
		}
		k.printf("%s\n", b)
	case "jsonpath":
		j := jsonpath.New("out").AllowMissingKeys(true)
		if !strings.Contains(template, "{") {
			template = "{" + template + "}"
		}
		if err := j.Parse(template); err != nil {
			return fmt.Errorf("error: error parsing jsonpath %s, %v", template, err)
		}
		var b strings.Builder
		if err := j.Execute(&b, whole); err != nil {
			return fmt.Errorf("error: error executing jsonpath %q: %v", template, err)
		}
		k.printf("%s", b.String())
	}
	return nil
}
