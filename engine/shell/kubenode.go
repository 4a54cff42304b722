package shell

import (
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"
)

// describeNode prints a Node and its Lease. Pods are not in this world, so
// what a node has allocated to them is nothing.
func describeNode(k *kube, p *sheet, o object) error {
	name := o.text("metadata", "name")
	p.printf("Name:\t%s\n", name)
	p.printf("Roles:\t%s\n", roles(o))
	p.lines("Labels", o.get("metadata", "labels"), func(k string, v any) string { return fmt.Sprintf("%s=%v", k, v) })
	p.lines("Annotations", o.get("metadata", "annotations"), func(k string, v any) string { return fmt.Sprintf("%s: %v", k, v) })
	p.printf("CreationTimestamp:\t%s\n", stampZ(o.text("metadata", "creationTimestamp")))
	var taints []string
	for _, t := range o.list("spec", "taints") {
		m := object(t.(map[string]any))
		text := m.text("key")
		if v := m.text("value"); v != "" {
			text += "=" + v
		}
		taints = append(taints, text+":"+m.text("effect"))
	}
	if taints == nil {
		taints = []string{"<none>"}
	}
	p.printf("Taints:\t%s\n", strings.Join(taints, "\n\t"))
	unschedulable, _ := o.get("spec", "unschedulable").(bool)
	p.printf("Unschedulable:\t%t\n", unschedulable)
	k.describeLease(p, name)
	if cs := o.list("status", "conditions"); len(cs) > 0 {
		p.printf("Conditions:\n  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage\n  ----\t------\t-----------------\t------------------\t------\t-------\n")
		for _, c := range cs {
			m := object(c.(map[string]any))
			p.printf("  %s \t%s \t%s \t%s \t%s \t%s\n", m.text("type"), m.text("status"), stampZ(m.text("lastHeartbeatTime")), stampZ(m.text("lastTransitionTime")), m.text("reason"), m.text("message"))
		}
	}
	p.printf("Addresses:\n")
	for _, a := range o.list("status", "addresses") {
		m := object(a.(map[string]any))
		p.printf("  %s:\t%s\n", m.text("type"), m.text("address"))
	}
	for _, what := range []string{"capacity", "allocatable"} {
		amounts, _ := o.get("status", what).(map[string]any)
		if len(amounts) == 0 {
			continue
		}
		p.printf("%s:\n", strings.ToUpper(what[:1])+what[1:])
		for _, n := range sortedKeys(amounts) {
			p.printf("  %s:\t%v\n", n, amounts[n])
		}
	}
	p.printf("System Info:\n")
	for _, row := range systemInfo {
		p.printf("  %s:\t%s\n", row[0], o.text("status", "nodeInfo", row[1]))
	}
	p.printf("Non-terminated Pods:\t(0 in total)\n  Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge\n  ---------\t----\t\t------------\t----------\t---------------\t-------------\t---\n")
	p.printf("Allocated resources:\n  (Total limits may be over 100 percent, i.e., overcommitted.)\n  Resource\tRequests\tLimits\n  --------\t--------\t------\n")
	for _, n := range []string{"cpu", "memory", "ephemeral-storage"} {
		p.printf("  %s\t0 (0%%)\t0 (0%%)\n", n)
	}
	k.describeEvents(p, "Node", name, o.text("metadata", "uid"))
	return nil
}

// describeEvents prints the events of an object without a namespace. Models
// k8s.io/kubectl/pkg/describe DescribeEvents; of a Node it asks twice, because those
// of a kubelet have its name for the UID.
func (k *kube) describeEvents(p *sheet, kind, name, uid string) {
	var events []object
	for _, id := range []string{uid, name} {
		q := url.Values{"fieldSelector": {"involvedObject.kind=" + kind + ",involvedObject.name=" + name + ",involvedObject.namespace=,involvedObject.uid=" + id}, "limit": {"500"}}
		b, err := k.do("GET", "/api/v1/events?"+q.Encode(), nil)
		if err != nil {
			continue
		}
		list, _ := parseObject(b)
		for _, it := range list.list("items") {
			if m, ok := it.(map[string]any); ok {
				events = append(events, m)
			}
		}
	}
	if len(events) == 0 {
		p.printf("Events:\t<none>\n")
		return
	}
	sort.SliceStable(events, func(i, j int) bool { return events[i].text("lastTimestamp") < events[j].text("lastTimestamp") })
	p.printf("Events:\n  Type\tReason\tAge\tFrom\tMessage\n  ----\t------\t----\t----\t-------\n")
	since := func(e object, field string) string {
		t, err := time.Parse(time.RFC3339, e.text(field))
		if err != nil {
			return "<unknown>"
		}
		return duration.HumanDuration(k.now().Sub(t))
	}
	for _, e := range events {
		age := since(e, "firstTimestamp")
		if n, _ := e["count"].(float64); n > 1 {
			age = fmt.Sprintf("%s (x%d over %s)", since(e, "lastTimestamp"), int(n), age)
		}
		p.printf("  %s\t%s\t%s\t%s\t%s\n", e.text("type"), e.text("reason"), age, e.text("source", "component"), strings.TrimSpace(e.text("message")))
	}
}

// systemInfo are the lines of that block and the fields of status.nodeInfo.
var systemInfo = [][2]string{
	{"Machine ID", "machineID"}, {"System UUID", "systemUUID"}, {"Boot ID", "bootID"}, {"Kernel Version", "kernelVersion"}, {"OS Image", "osImage"},
	{"Operating System", "operatingSystem"}, {"Architecture", "architecture"}, {"Container Runtime Version", "containerRuntimeVersion"}, {"Kubelet Version", "kubeletVersion"},
}

// roles are told by labels, as in the column ROLES.
func roles(o object) string {
	const prefix = "node-role.kubernetes.io/"
	labels, _ := o.get("metadata", "labels").(map[string]any)
	var out []string
	for _, l := range sortedKeys(labels) {
		if r, ok := strings.CutPrefix(l, prefix); ok && r != "" {
			out = append(out, r)
		}
	}
	if out == nil {
		return "<none>"
	}
	return strings.Join(out, ",")
}

func (k *kube) describeLease(p *sheet, name string) {
	p.printf("Lease:\n")
	b, err := k.do("GET", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/"+name, nil)
	if err != nil {
		p.printf("  Failed to get lease: %v\n", strings.TrimPrefix(err.Error(), "Error from server (NotFound): "))
		return
	}
	l, _ := parseObject(b)
	for _, row := range [][2]string{{"HolderIdentity", "holderIdentity"}, {"AcquireTime", "acquireTime"}, {"RenewTime", "renewTime"}} {
		v := l.text("spec", row[1])
		if row[1] != "holderIdentity" {
			v = stampZ(v)
		}
		if v == "" {
			v = "<unset>"
		}
		p.printf("  %s:\t%s\n", row[0], v)
	}
}
