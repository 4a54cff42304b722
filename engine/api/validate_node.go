package api

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against Nodes and what belongs to them. Models
// pkg/apis/core/validation, pkg/apis/node/validation and pkg/apis/storage/validation.

// defaultNode models SetDefaults_NodeStatus.
func defaultNode(o object) {
	if s := &o.(*corev1.Node).Status; s.Allocatable == nil {
		s.Allocatable = s.Capacity
	}
}

// checkNode models ValidateNode and ValidateNodeUpdate; an update of the spec is looked at
// by both.
func checkNode(_ *exchange, o, old object, sub string) (errs field.ErrorList) {
	n, s := o.(*corev1.Node), begin(&errs)
	if old == nil {
		s.node(n)
		return errs
	}
	if was := old.(*corev1.Node); sub == "" {
		s.node(n)
		s.nodeChange(n, was)
	} else {
		s.nodeChange(n, was)
	}
	return errs
}

func (s spot) node(n *corev1.Node) {
	s.nodeAnnotations(n.Annotations)
	s.in("metadata").taints("taints", n.Spec.Taints)
	s.nodeResources(n)
	if swap := n.Status.NodeInfo.Swap; swap != nil && swap.Capacity != nil && *swap.Capacity <= 0 {
		s.in("metadata").in("nodeSwapStatus").bad("capacity", *swap.Capacity, "must be greater than zero")
	}
	s.features(n.Status.DeclaredFeatures)
	if len(n.Spec.PodCIDRs) == 0 {
		return
	}
	s = s.in("spec")
	for i, c := range n.Spec.PodCIDRs {
		s.item("podCIDRs", i).cidr(c)
	}
	if len(n.Spec.PodCIDRs) > 1 {
		for _, c := range n.Spec.PodCIDRs {
			if _, err := netip.ParsePrefix(c); err != nil {
				return
			}
		}
		if !dual(n.Spec.PodCIDRs) {
			s.bad("podCIDRs", n.Spec.PodCIDRs, "may specify no more than one CIDR for each IP family")
		}
	}
}

func (s spot) nodeChange(n, was *corev1.Node) {
	s.nodeAnnotations(n.Annotations)
	s.nodeResources(n)
	s.features(n.Status.DeclaredFeatures)
	for i, a := range n.Status.Addresses {
		if slices.Contains(n.Status.Addresses[:i], a) {
			s.in("status").item("addresses", i).twice("", internal{a})
		}
	}
	spec := s.in("spec")
	const cidr = `node updates may not change podCIDR except from "" to valid`
	if now, old := n.Spec.PodCIDRs, was.Spec.PodCIDRs; len(old) > 0 && len(old) != len(now) {
		spec.forbid("podCIDRs", cidr)
	} else {
		for i := range old {
			if old[i] != now[i] {
				spec.forbid("podCIDRs", cidr)
			}
		}
	}
	if was.Spec.ProviderID != "" && was.Spec.ProviderID != n.Spec.ProviderID {
		spec.forbid("providerID", `node updates may not change providerID except from "" to valid`)
	}
	if c := n.Spec.ConfigSource; c != nil {
		spec.in("configSource").configSource(c, false)
	}
	if c := n.Status.Config; c != nil {
		s := s.in("status").in("config")
		for _, f := range []struct {
			name string
			of   *corev1.NodeConfigSource
		}{{"assigned", c.Assigned}, {"active", c.Active}, {"lastKnownGood", c.LastKnownGood}} {
			if f.of != nil {
				s.in(f.name).configSource(f.of, true)
			}
		}
	}
	// The real one says metadata here, too.
	s.in("metadata").taints("taints", n.Spec.Taints)
	if n.Spec.DoNotUseExternalID != was.Spec.DoNotUseExternalID {
		spec.forbid("externalID", "may not be updated")
	}
}

// nodeAnnotations models ValidateNodeSpecificAnnotations.
func (s spot) nodeAnnotations(notes map[string]string) {
	const taints, avoid = "scheduler.alpha.kubernetes.io/taints", "scheduler.alpha.kubernetes.io/preferAvoidPods"
	s = s.in("metadata").in("annotations")
	if v := notes[taints]; v != "" {
		var list []corev1.Taint
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			s.bad("", taints, err.Error())
		} else {
			s.taints(taints, list)
		}
	}
	if v := notes[avoid]; v != "" {
		var list corev1.AvoidPods
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			s.bad("AvoidPods", avoid, err.Error())
		}
		for i, e := range list.PreferAvoidPods {
			s := s.item(avoid, i)
			if c := e.PodSignature.PodController; c == nil {
				s.must("PodSignature", "")
			} else if c.Controller == nil || !*c.Controller {
				s.in("PodSignature").in("PodController").bad("Controller", false, "must point to a controller")
			}
		}
	}
}

// taints models validateNodeTaints.
func (s spot) taints(name string, list []corev1.Taint) {
	for i, t := range list {
		s := s.item(name, i)
		s.labelKey("key", t.Key)
		if bad := labelValue(t.Value); len(bad) > 0 {
			s.bad("value", t.Value, strings.Join(bad, ";"))
		}
		s.taintEffect(t.Effect)
		if slices.ContainsFunc(list[:i], func(o corev1.Taint) bool { return o.Key == t.Key && o.Effect == t.Effect }) {
			twice := field.Duplicate(s.at, internal{t})
			twice.Detail = "taints must be unique by key and effect pair"
			s.add(twice)
		}
	}
}

func (s spot) nodeResources(n *corev1.Node) {
	for _, list := range []struct {
		name string
		of   corev1.ResourceList
	}{{"capacity", n.Status.Capacity}, {"allocatable", n.Status.Allocatable}} {
		for _, name := range sortedResources(list.of) {
			q := list.of[name]
			if plain := name == corev1.ResourceCPU || name == corev1.ResourceMemory; plain && q.Sign() >= 0 {
				continue
			}
			s.in("status").in(list.name).in(string(name)).quantity(string(name), q)
		}
	}
}

// features models validateNodeDeclaredFeatures.
func (s spot) features(list []string) {
	for i, f := range list {
		s := s.in("status")
		at := func(i int) spot { return s.item("declaredFeatures", i) }
		if len(f) > 253 {
			at(i).bad("", f, `invalid feature name "`+f+`": must be no more than 253 characters`)
		} else if !featureName(f) {
			at(i).bad("", f, `invalid feature name "`+f+`": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes`)
		}
		if i+1 == len(list) {
			break
		}
		if next := list[i+1]; next == f {
			at(i+1).twice("", next)
		} else if f > next {
			at(i+1).bad("", next, "list must be sorted alphabetically")
		}
	}
}

func featureName(f string) bool {
	for i, part := range strings.Split(f, "/") {
		if part == "" || !(part[0] >= 'A' && part[0] <= 'Z' || i > 0 && part[0] >= 'a' && part[0] <= 'z') {
			return false
		}
		if strings.ContainsFunc(part, func(r rune) bool { return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') }) {
			return false
		}
	}
	return true
}

// configSource models validateNodeConfigSourceSpec and validateNodeConfigSourceStatus.
func (s spot) configSource(c *corev1.NodeConfigSource, status bool) {
	if c.ConfigMap == nil {
		s.bad("", internal{c}, "exactly one reference subfield must be non-nil")
		return
	}
	s, m := s.in("configMap"), c.ConfigMap
	for _, f := range [][2]string{{"uid", string(m.UID)}, {"resourceVersion", m.ResourceVersion}} {
		if status {
			s.need(f[0], f[1])
		} else if f[1] != "" {
			s.forbid(f[0], f[0]+" must not be set in spec")
		}
	}
	for _, f := range []struct {
		name, value string
		check       func(string) []string
	}{{"namespace", m.Namespace, label}, {"name", m.Name, subdomain}, {"kubeletConfigKey", m.KubeletConfigKey, validation.IsConfigMapKey}} {
		if s.need(f.name, f.value) {
			s.says(f.name, f.value, f.check(f.value))
		}
	}
}

// checkRuntimeClass models ValidateRuntimeClass and ValidateRuntimeClassUpdate.
func checkRuntimeClass(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	r, s := o.(*nodev1.RuntimeClass), begin(&errs)
	if s.need("handler", r.Handler) {
		s.says("handler", r.Handler, label(r.Handler))
	}
	if r.Overhead != nil {
		s.in("overhead").amounts(&corev1.ResourceRequirements{Limits: r.Overhead.PodFixed}, containerResource)
	}
	if c := r.Scheduling; c != nil {
		s := s.in("scheduling")
		s.labels("nodeSelector", c.NodeSelector)
		s.tolerations(c.Tolerations)
		for i, t := range c.Tolerations {
			if slices.ContainsFunc(c.Tolerations[:i], func(o corev1.Toleration) bool {
				return o.Key == t.Key && o.Operator == t.Operator && o.Value == t.Value && o.Effect == t.Effect
			}) {
				s.item("tolerations", i).twice("", internal{t})
			}
		}
	}
	if old != nil && old.(*nodev1.RuntimeClass).Handler != r.Handler {
		s.bad("handler", r.Handler, immutable)
	}
	return errs
}

// checkCSINode models ValidateCSINode and ValidateCSINodeUpdate.
func checkCSINode(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	n, s := o.(*storagev1.CSINode), begin(&errs, "spec")
	for i, d := range n.Spec.Drivers {
		s := s.item("drivers", i)
		s.driverName("name", d.Name)
		if s.need("nodeID", d.NodeID); len(d.NodeID) > 256 {
			s.bad("nodeID", d.NodeID, "must be 256 characters or less")
		}
		if a := d.Allocatable; a != nil && a.Count != nil {
			s.in("allocatable").natural("count", int64(*a.Count))
		}
		if slices.ContainsFunc(n.Spec.Drivers[:i], func(o storagev1.CSINodeDriver) bool { return o.Name == d.Name }) {
			s.twice("name", d.Name)
		}
		for j, k := range d.TopologyKeys {
			if s.need("", k); slices.Contains(d.TopologyKeys[:j], k) {
				s.twice("", k)
			}
			s.labelKey("", k)
		}
	}
	if old == nil {
		return errs
	}
	for _, was := range old.(*storagev1.CSINode).Spec.Drivers {
		for _, d := range n.Spec.Drivers {
			if d.Name == was.Name {
				was.Allocatable, d.Allocatable = nil, nil
				if !equality.Semantic.DeepEqual(d, was) {
					s.bad("drivers", internal{d}, immutable)
				}
			}
		}
	}
	return errs
}
