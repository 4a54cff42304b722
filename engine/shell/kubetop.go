package shell

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	quantity "k8s.io/apimachinery/pkg/api/resource"

	"github.com/joinery-lab/joinery/engine/era"
)

const metricsGroup = "metrics.k8s.io"

// topKinds are the words for what kubectl top shows.
var topKinds = map[string]func(k *kube, f *kubectlFlags, names []string) error{
	"node": topNodes, "nodes": topNodes, "no": topNodes, "pod": topPods, "pods": topPods, "po": topPods,
}

func top(k *kube, f *kubectlFlags, args []string) error {
	if len(args) == 0 || topKinds[args[0]] == nil {
		return fmt.Errorf("error: kubectl top shows node or pod")
	}
	// Models k8s.io/kubectl/pkg/cmd/top: the group must be among those served.
	ok, err := k.serves(metricsGroup, "v1beta1")
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("error: Metrics API not available")
	}
	return topKinds[args[0]](k, f, args[1:])
}

// serves asks whether a version of a group is served, by whomever.
func (k *kube) serves(group, version string) (bool, error) {
	_, r, err := k.open("GET", "/apis", era.DiscoveryAccept.In(k.era()), "", nil)
	if err != nil {
		return false, err
	}
	type versions []struct{ Version string }
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Versions versions
		}
		// One that tells its groups only.
		Groups []struct {
			Name     string
			Versions versions
		}
	}
	if err := json.Unmarshal(r.Body, &list); err != nil {
		return false, err
	}
	has := func(list versions) bool {
		return slices.ContainsFunc(list, func(v struct{ Version string }) bool { return v.Version == version })
	}
	for _, g := range list.Items {
		if g.Metadata.Name == group {
			return has(g.Versions), nil
		}
	}
	for _, g := range list.Groups {
		if g.Name == group {
			return has(g.Versions), nil
		}
	}
	return false, nil
}

// usage is an item of a list of metrics.
type usage struct {
	Metadata   struct{ Name, Namespace string }
	Usage      map[string]string
	Containers []struct{ Usage map[string]string }
}

// metrics asks for a kind of metrics, all or one.
func (k *kube) metrics(kind, namespace, name string) ([]usage, error) {
	target := "/apis/" + metricsGroup + "/v1beta1/"
	if namespace != "" {
		target += "namespaces/" + namespace + "/"
	}
	target += kind
	if name != "" {
		target += "/" + url.PathEscape(name)
	}
	_, r, err := k.open("GET", target, "application/json", "", nil)
	if err != nil {
		if s, ok := err.(*status); ok && s.Details == nil && s.Code == http.StatusServiceUnavailable {
			s.Message += fmt.Sprintf(" (get %s.%s", kind, metricsGroup)
			if name != "" {
				s.Message += " " + name
			}
			s.Message += ")"
		}
		return nil, err
	}
	if name != "" {
		one := make([]usage, 1)
		return one, json.Unmarshal(r.Body, &one[0])
	}
	var list struct{ Items []usage }
	err = json.Unmarshal(r.Body, &list)
	return list.Items, err
}

// cell prints an amount of CPU or memory.
func cell(kind, amount string) string {
	q, err := quantity.ParseQuantity(amount)
	if err != nil {
		return "<unknown>"
	}
	if kind == "cpu" {
		return fmt.Sprintf("%dm", q.MilliValue())
	}
	return fmt.Sprintf("%dMi", q.Value()/(1<<20))
}

// percent prints an amount in hundredths of another.
func percent(amount, of string) string {
	q, err1 := quantity.ParseQuantity(amount)
	all, err2 := quantity.ParseQuantity(of)
	if err1 != nil || err2 != nil || all.MilliValue() == 0 {
		return "<unknown>"
	}
	return fmt.Sprintf("%d%%", q.MilliValue()*100/all.MilliValue())
}

func topNodes(k *kube, f *kubectlFlags, names []string) error {
	name := ""
	if len(names) > 0 {
		name = names[0]
	}
	list, err := k.metrics("nodes", "", name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return fmt.Errorf("error: metrics not available yet")
	}
	b, err := k.do("GET", "/api/v1/nodes", nil)
	if err != nil {
		return err
	}
	o, err := parseObject(b)
	if err != nil {
		return err
	}
	var rows [][]string
	if !f.noHeaders {
		rows = append(rows, append(strings.Fields(era.TopColumns.In(k.era())), ""))
	}
	known := map[string]usage{}
	for _, u := range list {
		known[u.Metadata.Name] = u
	}
	for _, it := range o.list("items") {
		n := object(it.(map[string]any))
		who := n.text("metadata", "name")
		u, ok := known[who]
		if name != "" && who != name {
			continue
		}
		if !ok {
			rows = append(rows, []string{who, "<unknown>", "<unknown>", "<unknown>", "<unknown>", ""})
			continue
		}
		rows = append(rows, []string{who, cell("cpu", u.Usage["cpu"]), percent(u.Usage["cpu"], n.text("status", "allocatable", "cpu")),
			cell("memory", u.Usage["memory"]), percent(u.Usage["memory"], n.text("status", "allocatable", "memory")), ""})
	}
	var w widths
	w.print(k.out, rows)
	return nil
}

func topPods(k *kube, f *kubectlFlags, names []string) error {
	name, ns := "", k.namespace
	if len(names) > 0 {
		name = names[0]
	}
	if f.all {
		ns = ""
	}
	list, err := k.metrics("pods", ns, name)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		where := " in " + ns + " namespace."
		if ns == "" {
			where = ""
		}
		fmt.Fprintf(k.errs, "No resources found%s\n", where)
		return nil
	}
	head := []string{"NAME", "CPU(cores)", "MEMORY(bytes)", ""}
	if f.all {
		head = append([]string{"NAMESPACE"}, head...)
	}
	var rows [][]string
	if !f.noHeaders {
		rows = append(rows, head)
	}
	for _, u := range list {
		var cpu, memory quantity.Quantity
		for _, c := range u.Containers {
			if q, err := quantity.ParseQuantity(c.Usage["cpu"]); err == nil {
				cpu.Add(q)
			}
			if q, err := quantity.ParseQuantity(c.Usage["memory"]); err == nil {
				memory.Add(q)
			}
		}
		row := []string{u.Metadata.Name, cell("cpu", cpu.String()), cell("memory", memory.String()), ""}
		if f.all {
			row = append([]string{u.Metadata.Namespace}, row...)
		}
		rows = append(rows, row)
	}
	var w widths
	w.print(k.out, rows)
	return nil
}
