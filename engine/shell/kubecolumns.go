package shell

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
)

// ownColumn is one of those that kubectl makes itself, where the server makes no table.
type ownColumn struct {
	name string
	cell func(k *kube, o object) (string, error)
}

func plainCell(path ...string) func(k *kube, o object) (string, error) {
	return func(_ *kube, o object) (string, error) { return o.text(path...), nil }
}

func counted(path ...string) func(k *kube, o object) (string, error) {
	return func(_ *kube, o object) (string, error) {
		m, _ := o.get(path...).(map[string]any)
		return fmt.Sprint(len(m) + len(o.list(path...))), nil
	}
}

// ownColumns are those of kinds that have more than a name and an age.
//
// Models pkg/printers/internalversion/printers.go @1.7 to @1.10.
func (k *kube) ownColumns(r resource) []ownColumn {
	name, age := ownColumn{"Name", plainCell("metadata", "name")}, ownColumn{"Age", ownAge}
	switch r.name {
	case "certificatesigningrequests":
		return []ownColumn{name, age, {"Requestor", plainCell("spec", "username")}, {"Condition", csrCondition}}
	case "nodes":
		roles := []ownColumn{{"Roles", nodeRoles}}
		if !era.KubectlNodeRoles.In(k.era()) {
			roles = nil
		}
		return append(append([]ownColumn{name, {"Status", nodeReady}}, roles...), age, ownColumn{"Version", plainCell("status", "nodeInfo", "kubeletVersion")})
	case "secrets":
		return []ownColumn{name, {"Type", plainCell("type")}, {"Data", counted("data")}, age}
	case "configmaps":
		return []ownColumn{name, {"Data", counted("data")}, age}
	case "serviceaccounts":
		return []ownColumn{name, {"Secrets", counted("secrets")}, age}
	case "namespaces":
		return []ownColumn{name, {"Status", plainCell("status", "phase")}, age}
	}
	return []ownColumn{name, age}
}

// tabulate makes a table of an object or a list.
func (k *kube) tabulate(r resource, body []byte) (t table, err error) {
	o, err := parseObject(body)
	if err != nil {
		return t, err
	}
	t.Kind = "Table"
	t.Metadata.ResourceVersion = o.text("metadata", "resourceVersion")
	items := []any{map[string]any(o)}
	if strings.HasSuffix(o.text("kind"), "List") {
		items = o.list("items")
	}
	columns := k.ownColumns(r)
	var whole struct {
		Columns []map[string]any `json:"columnDefinitions"`
		Rows    []map[string]any `json:"rows"`
	}
	for _, c := range columns {
		whole.Columns = append(whole.Columns, map[string]any{"name": c.name})
	}
	for _, it := range items {
		m, _ := it.(map[string]any)
		var cells []string
		for _, c := range columns {
			text, err := c.cell(k, m)
			if err != nil {
				return t, err
			}
			cells = append(cells, text)
		}
		whole.Rows = append(whole.Rows, map[string]any{"cells": cells, "object": map[string]any{"metadata": m["metadata"]}})
	}
	b, err := json.Marshal(whole)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(b, &t)
}

// ownAge models pkg/kubectl/util ShortHumanDuration.
func ownAge(k *kube, o object) (string, error) {
	at, err := time.Parse(time.RFC3339, o.text("metadata", "creationTimestamp"))
	if err != nil {
		return "<unknown>", nil
	}
	d := k.now().Sub(at)
	switch s := int64(d / time.Second); {
	case s < -1:
		return "<invalid>", nil
	case s < 0:
		return "0s", nil
	case s < 60:
		return fmt.Sprintf("%ds", s), nil
	case s < 60*60:
		return fmt.Sprintf("%dm", s/60), nil
	case s < 24*60*60:
		return fmt.Sprintf("%dh", s/60/60), nil
	case s < 365*24*60*60:
		return fmt.Sprintf("%dd", s/60/60/24), nil
	default:
		return fmt.Sprintf("%dy", s/60/60/24/365), nil
	}
}

// csrCondition models extractCSRStatus. A condition of another kind is nothing that it
// can print (recorded: golden-old e).
func csrCondition(_ *kube, o object) (string, error) {
	approved, denied := false, false
	for _, c := range o.list("status", "conditions") {
		c := object(c.(map[string]any))
		switch c.text("type") {
		case "Approved":
			approved = true
		case "Denied":
			denied = true
		default:
			return "", fmt.Errorf("error: unknown csr condition {%q %q %q %q}", c.text("type"), c.text("reason"), c.text("message"), c.text("lastUpdateTime"))
		}
	}
	status := "Pending"
	switch {
	case denied:
		status = "Denied"
	case approved:
		status = "Approved"
	}
	if o.text("status", "certificate") != "" {
		status += ",Issued"
	}
	return status, nil
}

func nodeReady(_ *kube, o object) (string, error) {
	status := "Unknown"
	for _, c := range o.list("status", "conditions") {
		if c := object(c.(map[string]any)); c.text("type") == "Ready" {
			status = "Ready"
			if c.text("status") != "True" {
				status = "NotReady"
			}
		}
	}
	if off, _ := o.get("spec", "unschedulable").(bool); off {
		status += ",SchedulingDisabled"
	}
	return status, nil
}

func nodeRoles(_ *kube, o object) (string, error) {
	var roles []string
	labels, _ := o.get("metadata", "labels").(map[string]any)
	for name, v := range labels {
		role, is := strings.CutPrefix(name, "node-role.kubernetes.io/")
		if s, _ := v.(string); name == "kubernetes.io/role" && s != "" {
			role, is = s, true
		}
		if is && role != "" {
			roles = append(roles, role)
		}
	}
	sort.Strings(roles)
	if len(roles) == 0 {
		return "<none>", nil
	}
	return strings.Join(roles, ","), nil
}
