package shell

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/yaml"
)

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
			cell := cellText(r.Cells[i])
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

func cellText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case float64: // a number of JSON: whole ones are told without an exponent
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
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

// printer makes what prints objects in a form: whole is the object or the
// list, items are the objects in it.
func (k *kube) printer(form, template string) (func(whole any, items []any) error, error) {
	switch form {
	case "yaml":
		documents := 0
		return func(whole any, _ []any) error {
			b, err := yaml.Marshal(whole)
			if documents++; documents > 1 {
				k.printf("---\n")
			}
			k.printf("%s", b)
			return err
		}, nil
	case "json":
		return func(whole any, _ []any) error {
			b, err := json.MarshalIndent(whole, "", "    ")
			k.printf("%s\n", b)
			return err
		}, nil
	case "name":
		return func(_ any, items []any) error {
			for _, it := range items {
				o := object(it.(map[string]any))
				r, err := k.byKind(o.text("apiVersion"), o.text("kind"))
				if err != nil {
					return err
				}
				k.printf("%s/%s\n", r.one(), o.text("metadata", "name"))
			}
			return nil
		}, nil
	case "custom-columns":
		return k.customColumns(template)
	}
	if template == "" {
		return nil, fmt.Errorf("error: template format specified but no template given")
	}
	j := jsonpath.New("out").AllowMissingKeys(true)
	if err := j.Parse(braced(template)); err != nil {
		return nil, fmt.Errorf("error: error parsing jsonpath %s, %v", template, err)
	}
	return func(whole any, _ []any) error {
		var b strings.Builder
		if err := j.Execute(&b, whole); err != nil {
			return fmt.Errorf("error: error executing jsonpath %q: %v", template, err)
		}
		k.printf("%s", b.String())
		return nil
	}, nil
}

// braced allows the short form of a path, as kubectl does: .metadata.name.
func braced(path string) string {
	if strings.Contains(path, "{") {
		return path
	}
	if !strings.HasPrefix(path, ".") {
		path = "." + path
	}
	return "{" + path + "}"
}

// customColumns prints NAME:PATH,… as columns, "<none>" where nothing is.
func (k *kube) customColumns(spec string) (func(any, []any) error, error) {
	if spec == "" {
		return nil, fmt.Errorf("error: custom-columns format specified but no custom columns given")
	}
	var head []string
	var paths []*jsonpath.JSONPath
	for _, c := range strings.Split(spec, ",") {
		name, path, ok := strings.Cut(c, ":")
		if !ok {
			return nil, fmt.Errorf("error: unexpected custom-columns spec: %s, expected <header>:<json-path-expr>", c)
		}
		j := jsonpath.New(name).AllowMissingKeys(true)
		if err := j.Parse(braced(path)); err != nil {
			return nil, fmt.Errorf("error: %v", err)
		}
		head, paths = append(head, name), append(paths, j)
	}
	var w widths
	return func(_ any, items []any) error {
		var rows [][]string
		if head != nil && !k.flags.noHeaders {
			rows, head = append(rows, head), nil
		}
		for _, it := range items {
			var row []string
			for _, j := range paths {
				found, err := j.FindResults(it)
				if err != nil {
					return fmt.Errorf("error: %v", err)
				}
				var cells []string
				for _, r := range found {
					for _, v := range r {
						cells = append(cells, fmt.Sprint(v.Interface()))
					}
				}
				if cells == nil {
					cells = []string{"<none>"}
				}
				row = append(row, strings.Join(cells, ","))
			}
			rows = append(rows, row)
		}
		w.print(k.out, rows)
		return nil
	}, nil
}
