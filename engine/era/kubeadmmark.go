package era

import "strings"

// KubeadmMarking is how a control plane's Node is marked: labels without a value,
// and taints that keep Pods away. Before and After are what is said of it; NODE
// is the node's name.
type KubeadmMarking struct {
	Labels, Taints []string
	Before, After  string
}

// KubeadmMark is what init phase mark-control-plane adds to the Node.
var KubeadmMark = func() Row[KubeadmMarking] {
	const (
		source  = "cmd/kubeadm/app/phases/markcontrolplane, before 1.13 phases/markmaster; cmd/kubeadm/app/constants ControlPlaneTaint, OldControlPlaneTaint"
		master  = "node-role.kubernetes.io/master"
		control = "node-role.kubernetes.io/control-plane"
		balance = "node.kubernetes.io/exclude-from-external-load-balancers"
		keeps   = ":NoSchedule"
		marking = "[mark-control-plane] Marking the node NODE as control-plane by adding the "
	)
	mark := func(since string, labels, taints []string, before, after string) Fact[KubeadmMarking] {
		return Fact[KubeadmMarking]{Since: since, Value: KubeadmMarking{labels, taints, before, after}, Source: source}
	}
	old := []string{master}
	both := []string{master, control}
	three := []string{master, control, balance}
	now := []string{control, balance}
	by := func(labels string, taints ...string) string {
		return marking + labels + "\n" + marking + "taints [" + strings.Join(taints, " ") + "]\n"
	}
	set := func(labels ...string) string { return "labels: [" + strings.Join(labels, " ") + "]" }
	return row("kubeadm/mark",
		mark("", old, []string{master + keeps}, "", ""),
		mark("1.8", old, []string{master + keeps}, "[markmaster] Will mark node NODE as master by adding a label and a taint\n",
			"[markmaster] Master NODE tainted and labelled with key/value: "+master+"=\"\"\n"),
		mark("1.11", old, []string{master + keeps}, strings.NewReplacer("[mark-control-plane]", "[markmaster]", "as control-plane", "as master").Replace(by("label \""+master+"=''\"", master+keeps)), ""),
		mark("1.13", old, []string{master + keeps}, by("label \""+master+"=''\"", master+keeps), ""),
		mark("1.20", both, []string{master + keeps}, by("labels \""+master+"=''\" and \""+control+"='' (deprecated)\"", master+keeps), ""),
		mark("1.21", three, []string{master + keeps}, by(set(master+"(deprecated)", control, balance), master+keeps), ""),
		mark("1.24", now, []string{master + keeps, control + keeps}, by(set(now...), master+keeps, control+keeps), ""),
		mark("1.25", now, []string{control + keeps}, by(set(now...), control+keeps), ""))
}()
