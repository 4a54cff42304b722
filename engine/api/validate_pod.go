package api

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against Pods, with the gates that are on in 1.36. Models
// pkg/apis/core/validation ValidatePodCreate, ValidatePodUpdate and
// ValidatePodStatusUpdate, in their order; the functions here are named after theirs.

// podLook is a pod that is looked at.
type podLook struct {
	*corev1.Pod
	old    *corev1.Pod
	claims []string // the names in spec.resourceClaims
	// privileged containers are allowed on the server.
	privileged bool
}

func checkPod(x *exchange, o, old object, sub string) (errs field.ErrorList) {
	p := &podLook{Pod: o.(*corev1.Pod), privileged: x.s.opts.allowPrivileged}
	s := begin(&errs)
	if old != nil {
		p.old = old.(*corev1.Pod)
	}
	switch {
	case old == nil:
		p.look(s)
		p.created(s.in("spec"))
	case sub == "status":
		p.keepsAnnotations(s.in("metadata").in("annotations"))
		p.status(s.in("status"))
	default:
		p.look(s)
		p.keepsAnnotations(s.in("metadata").in("annotations"))
		p.updated(s.in("spec"))
	}
	return errs
}

// look models validatePodMetadataAndSpec.
func (p *podLook) look(s spot) {
	p.annotations(s.in("metadata").in("annotations"))
	s = s.in("spec")
	p.spec(s)
	if p.Spec.ServiceAccountName == "" {
		for i, v := range p.Spec.Volumes {
			if v.Projected == nil {
				continue
			}
			for j, f := range v.Projected.Sources {
				if f.ServiceAccountToken != nil {
					s.item("volumes", i).in("projected").item("sources", j).forbid("serviceAccountToken", "must not be specified when serviceAccountName is not set")
				}
			}
		}
	}
	for _, list := range []string{"containers", "initContainers"} {
		containers(&p.Spec, func(of string, i int, c *corev1.Container) {
			if of == list {
				s.item(list, i).trimmed(c.Image)
			}
		})
	}
}

func (s spot) trimmed(image string) {
	if image != strings.TrimSpace(image) {
		s.bad("image", image, "must not have leading or trailing whitespace")
	}
}

const (
	appArmorKey  = "container.apparmor.security.beta.kubernetes.io/"
	seccompPod   = "seccomp.security.alpha.kubernetes.io/pod"
	seccompKey   = "container.seccomp.security.alpha.kubernetes.io/"
	deletionCost = "controller.kubernetes.io/pod-deletion-cost"
)

// annotations models ValidatePodSpecificAnnotations.
func (p *podLook) annotations(s spot) {
	if v, ok := p.Annotations[mirrorPod]; ok && p.Spec.NodeName == "" {
		s.key("", mirrorPod).bad("", v, "must set spec.nodeName if mirror pod annotation is set")
	}
	if v, ok := p.Annotations[deletionCost]; ok {
		if _, err := strconv.ParseInt(v, 10, 32); err != nil || v[0] == '+' || v[0] == '0' && v != "0" {
			s.key("", deletionCost).bad("", v, "must be a 32bit integer")
		}
	}
	for _, k := range sortedKeys(p.Annotations) {
		v := p.Annotations[k]
		if k != seccompPod && !strings.HasPrefix(k, seccompKey) || slices.Contains([]string{"runtime/default", "docker/default", "unconfined"}, v) {
			continue
		}
		if file, ok := strings.CutPrefix(v, "localhost/"); ok {
			s.relative(k, file)
		} else {
			s.bad(k, v, "must be a valid seccomp profile")
		}
	}
	for _, k := range sortedKeys(p.Annotations) {
		name, ok := strings.CutPrefix(k, appArmorKey)
		if !ok {
			continue
		}
		found := false
		containers(&p.Spec, func(_ string, _ int, c *corev1.Container) { found = found || c.Name == name })
		if !found {
			s.key("", k).bad("", name, "container not found")
		}
		if v := p.Annotations[k]; v != "" && v != "runtime/default" && v != "unconfined" && !strings.HasPrefix(v, "localhost/") {
			s.key("", k).bad("", v, fmt.Sprintf("invalid AppArmor profile name: %q", v))
		}
	}
}

// keepsAnnotations models ValidatePodSpecificAnnotationUpdates.
func (p *podLook) keepsAnnotations(s spot) {
	for _, k := range sortedKeys(p.old.Annotations) {
		if now, ok := p.Annotations[k]; ok && now == p.old.Annotations[k] {
			continue
		}
		if strings.HasPrefix(k, appArmorKey) {
			s.key("", k).forbid("", "may not remove or update AppArmor annotations")
		}
		if k == mirrorPod {
			s.key("", k).forbid("", "may not remove or update mirror pod annotation")
		}
	}
	for _, k := range sortedKeys(p.Annotations) {
		if _, ok := p.old.Annotations[k]; ok {
			continue
		}
		if strings.HasPrefix(k, appArmorKey) {
			s.key("", k).forbid("", "may not add AppArmor annotations")
		}
		if k == mirrorPod {
			s.key("", k).forbid("", "may not add mirror pod annotation")
		}
	}
	p.annotations(s)
}

// spec models ValidatePodSpec.
func (p *podLook) spec(s spot) {
	spec := &p.Spec
	volumes := p.volumes(s)
	for _, c := range spec.ResourceClaims {
		if c.Name != "" {
			p.claims = append(p.claims, c.Name)
		}
	}
	p.resourceClaims(s)
	p.containers(s, volumes)
	p.resources(s.in("resources"))
	if spec.HostNetwork {
		for i, c := range spec.Containers {
			for j, port := range c.Ports {
				if port.HostPort != port.ContainerPort {
					s.item("containers", i).item("ports", j).bad("hostPort", port.HostPort, "must match `containerPort` when `hostNetwork` is true")
				}
			}
		}
	}
	s.oneOf("restartPolicy", string(spec.RestartPolicy), "Always", "OnFailure", "Never")
	s.oneOf("dnsPolicy", string(spec.DNSPolicy), "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
	s.labels("nodeSelector", spec.NodeSelector)
	p.security(s.in("securityContext"))
	p.affinity(s.in("affinity"))
	p.dns(s.in("dnsConfig"))
	for i, g := range spec.ReadinessGates {
		s.item("readinessGates", i).labelKey("conditionType", string(g.ConditionType))
	}
	for i, g := range spec.SchedulingGates {
		s.item("schedulingGates", i).labelKey("", g.Name)
		if slices.ContainsFunc(spec.SchedulingGates[:i], func(o corev1.PodSchedulingGate) bool { return o.Name == g.Name }) {
			s.item("schedulingGates", i).twice("", g.Name)
		}
	}
	p.spread(s)
	p.hostProcess(s)
	p.hostUsers(s)
	if h := spec.HostnameOverride; h != nil {
		if spec.SetHostnameAsFQDN != nil && *spec.SetHostnameAsFQDN {
			s.forbid("hostnameOverride", "may not be specified when setHostnameAsFQDN is true")
		}
		if spec.HostNetwork {
			s.forbid("hostnameOverride", "may not be specified when hostNetwork is true")
		}
		if len(*h) > 64 {
			s.tooLong("hostnameOverride", 64)
		}
		s.says("hostnameOverride", *h, subdomain(*h))
	}
	if spec.ServiceAccountName != "" {
		s.says("serviceAccountName", spec.ServiceAccountName, subdomain(spec.ServiceAccountName))
	}
	if spec.NodeName != "" {
		s.says("nodeName", spec.NodeName, subdomain(spec.NodeName))
	}
	if n := spec.ActiveDeadlineSeconds; n != nil && (*n < 1 || *n > math.MaxInt32) {
		s.bad("activeDeadlineSeconds", *n, validation.InclusiveRangeError(1, math.MaxInt32))
	}
	if spec.Hostname != "" {
		s.says("hostname", spec.Hostname, label(spec.Hostname))
	}
	if spec.Subdomain != "" {
		s.says("subdomain", spec.Subdomain, label(spec.Subdomain))
	}
	s.tolerations(spec.Tolerations)
	for i, a := range spec.HostAliases {
		s := s.item("hostAliases", i)
		s.ip("ip", a.IP)
		for j, name := range a.Hostnames {
			s.item("hostnames", j).says("", name, subdomain(name))
		}
	}
	if spec.PriorityClassName != "" {
		s.says("priorityClassName", spec.PriorityClassName, subdomain(spec.PriorityClassName))
	}
	if r := spec.RuntimeClassName; r != nil {
		s.says("runtimeClassName", *r, subdomain(*r))
	}
	if n := spec.PreemptionPolicy; n != nil {
		s.choice("preemptionPolicy", string(*n), "PreemptLowerPriority", "Never")
	}
	s.in("overhead").amounts(&corev1.ResourceRequirements{Limits: spec.Overhead}, containerResource)
	if spec.OS != nil {
		switch name := string(spec.OS.Name); name {
		case "":
			s.in("os").must("name", "")
		case "linux":
			p.linux(s)
		case "windows":
			p.windows(s)
		default:
			s.oneOf("os", name, "linux", "windows")
		}
	}
	p.fileKeys(s)
}

// resourceClaims models validatePodResourceClaims.
func (p *podLook) resourceClaims(s spot) {
	var names []string
	for i, c := range p.Spec.ResourceClaims {
		s := s.item("resourceClaims", i)
		if _, ok := p.Annotations[mirrorPod]; ok {
			begin(s.errs, "").forbid("", "static pods do not support resource claims")
			continue
		}
		switch {
		case !s.need("name", c.Name):
		case slices.Contains(names, c.Name):
			s.twice("name", c.Name)
		default:
			s.says("name", c.Name, label(c.Name))
			names = append(names, c.Name)
		}
		if c.ResourceClaimName != nil && c.ResourceClaimTemplateName != nil {
			s.bad("", internal{c}, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")
		}
		if c.ResourceClaimName == nil && c.ResourceClaimTemplateName == nil {
			s.bad("", internal{c}, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")
		}
		if n := c.ResourceClaimName; n != nil {
			s.says("resourceClaimName", *n, subdomain(*n))
		}
		if n := c.ResourceClaimTemplateName; n != nil {
			s.says("resourceClaimTemplateName", *n, subdomain(*n))
		}
	}
}

// resources models validatePodResources: what a whole pod may use.
func (p *podLook) resources(s spot) {
	r := p.Spec.Resources
	switch {
	case r == nil:
		return
	case p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows:
		s.forbid("", "may not be set for a windows pod")
		return
	case r.Claims != nil:
		s.forbid("claims", "claims may not be set for Resources at pod-level")
	}
	s.amounts(r, func(s spot, name string) {
		n := len(*s.errs)
		if s.resourceName(name); len(*s.errs) == n && !podResource(name) {
			s.oneOf("", name, "cpu", "hugepages-", "memory")
		}
	})
	s.claimNames(r.Claims, p.claims)
	sums := sumOf(&p.Spec, false)
	for _, name := range sortedResources(sums) {
		sum, mine := sums[name], r.Requests[name]
		if _, ok := r.Requests[name]; ok && sum.Cmp(mine) > 0 {
			s.key("requests", string(name)).bad("", mine.String(), "must be greater than or equal to aggregate container requests of "+sum.String())
		}
	}
	sums = sumOf(&p.Spec, true)
	for _, name := range sortedResources(sums) {
		sum, mine := sums[name], r.Limits[name]
		if _, ok := r.Limits[name]; ok && hugePages(string(name)) && sum.Cmp(mine) > 0 {
			s.key("limits", string(name)).bad("", mine.String(), "must be greater than or equal to aggregate container limits of "+sum.String())
		}
	}
	for i, c := range p.Spec.Containers {
		for _, name := range sortedResources(c.Resources.Limits) {
			limit, mine := c.Resources.Limits[name], r.Limits[name]
			if _, ok := r.Limits[name]; ok && limit.Cmp(mine) > 0 {
				s.item("containers", i).key("", string(name)).bad("limits", limit.String(), "must be less than or equal to pod limits of "+mine.String())
			}
		}
	}
}

// dns models validatePodDNSConfig.
func (p *podLook) dns(s spot) {
	c := p.Spec.DNSConfig
	if p.Spec.DNSPolicy == corev1.DNSNone {
		if c == nil {
			s.must("", "must provide `dnsConfig` when `dnsPolicy` is None")
			return
		}
		if len(c.Nameservers) == 0 {
			s.must("nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None")
			return
		}
	}
	if c == nil {
		return
	}
	if len(c.Nameservers) > 3 {
		s.bad("nameservers", c.Nameservers, "must not have more than 3 nameservers")
	}
	for i, n := range c.Nameservers {
		s.item("nameservers", i).ip("", n)
	}
	if len(c.Searches) > 32 {
		s.bad("searches", c.Searches, "must not have more than 32 search paths")
	}
	if len(strings.Join(c.Searches, " ")) > 2048 {
		s.bad("searches", c.Searches, "must not have more than 2048 characters (including spaces) in the search list")
	}
	for i, n := range c.Searches {
		if n != "." {
			n = strings.TrimSuffix(n, ".")
			s.item("searches", i).says("", n, validation.IsDNS1123SubdomainWithUnderscore(n))
		}
	}
	for i, o := range c.Options {
		if o.Name == "" {
			s.item("options", i).must("", "must not be empty")
		}
	}
}

// tolerations models ValidateTolerations.
func (s spot) tolerations(list []corev1.Toleration) {
	for i, t := range list {
		s := s.item("tolerations", i)
		if t.Key != "" {
			s.labelKey("key", t.Key)
		}
		if t.Key == "" && t.Operator != corev1.TolerationOpExists {
			s.bad("operator", word(t.Operator), "operator must be Exists when `key` is empty, which means \"match all values and all keys\"")
		}
		if t.TolerationSeconds != nil && t.Effect != corev1.TaintEffectNoExecute {
			s.bad("effect", word(t.Effect), "effect must be 'NoExecute' when `tolerationSeconds` is set")
		}
		switch t.Operator {
		case corev1.TolerationOpEqual, "":
			if bad := labelValue(t.Value); len(bad) > 0 {
				s.bad("operator", t.Value, strings.Join(bad, ";"))
			}
		case corev1.TolerationOpExists:
			if t.Value != "" {
				s.bad("operator", t.Value, "value must be empty when `operator` is 'Exists'")
			}
		case "Lt", "Gt":
			s.add(field.NotSupported(s.path("operator"), word(t.Operator), []string{"Equal", "Exists", "Lt", "Gt"}))
		default:
			s.oneOf("operator", string(t.Operator), "Equal", "Exists")
		}
		if t.Effect != "" {
			s.taintEffect(t.Effect)
		}
	}
}

func (s spot) taintEffect(e corev1.TaintEffect) {
	s.choice("effect", string(e), "NoSchedule", "PreferNoSchedule", "NoExecute")
}

// spread models validateTopologySpreadConstraints.
func (p *podLook) spread(s spot) {
	list := p.Spec.TopologySpreadConstraints
	for i, c := range list {
		s, action := s.item("topologySpreadConstraints", i), string(c.WhenUnsatisfiable)
		if c.MaxSkew <= 0 {
			s.bad("maxSkew", int64(c.MaxSkew), "must be greater than zero")
		}
		if c.TopologyKey == "" {
			s.must("topologyKey", "can not be empty")
		}
		s.oneOf("whenUnsatisfiable", action, "DoNotSchedule", "ScheduleAnyway")
		if slices.ContainsFunc(list[i+1:], func(o corev1.TopologySpreadConstraint) bool {
			return o.TopologyKey == c.TopologyKey && o.WhenUnsatisfiable == c.WhenUnsatisfiable
		}) {
			s.twice("{topologyKey, whenUnsatisfiable}", "{"+c.TopologyKey+", "+action+"}")
		}
		if n := c.MinDomains; n != nil {
			if *n <= 0 {
				s.bad("minDomains", int64(*n), "must be greater than zero")
			}
			if action != "DoNotSchedule" {
				s.bad("minDomains", *n, "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "+action)
			}
		}
		maybe(s, "nodeAffinityPolicy", c.NodeAffinityPolicy, "Honor", "Ignore")
		maybe(s, "nodeTaintsPolicy", c.NodeTaintsPolicy, "Honor", "Ignore")
		p.labelKeys(s, c.MatchLabelKeys, nil, c.LabelSelector)
		s.selector("labelSelector", c.LabelSelector)
	}
}

// labelKeys models ValidateMatchLabelKeysAndMismatchLabelKeys. The real one has made
// matchLabelKeys part of the selector before, for the labels that a new pod has.
func (p *podLook) labelKeys(s spot, match, mismatch []string, sel *metav1.LabelSelector) {
	for _, list := range []struct {
		name string
		keys []string
	}{{"matchLabelKeys", match}, {"mismatchLabelKeys", mismatch}} {
		if len(list.keys) > 0 && sel == nil {
			s.forbid(list.name, "must not be specified when labelSelector is not set")
			continue
		}
		for i, k := range list.keys {
			s.item(list.name, i).labelKey("", k)
		}
	}
	if sel != nil {
		var seen []string
		for k := range sel.MatchLabels {
			seen = append(seen, k)
		}
		look := func(k string) {
			if i := slices.Index(match, k); i >= 0 && slices.Contains(seen, k) {
				s.item("", i).bad("", k, "exists in both matchLabelKeys and labelSelector")
			}
			seen = append(seen, k)
		}
		for _, e := range sel.MatchExpressions {
			look(e.Key)
		}
		for _, k := range match {
			if _, ok := p.Labels[k]; ok && p.old == nil {
				look(k)
			}
		}
	}
	for i, k := range match {
		if slices.Contains(mismatch, k) {
			s.item("matchLabelKeys", i).bad("", k, "exists in both matchLabelKeys and mismatchLabelKeys")
		}
	}
}

// affinity models validateAffinity.
func (p *podLook) affinity(s spot) {
	const required, preferred, weight = "requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution", "must be in the range 1-100"
	a := p.Spec.Affinity
	if a == nil {
		return
	}
	if n := a.NodeAffinity; n != nil {
		s := s.in("nodeAffinity")
		if n.RequiredDuringSchedulingIgnoredDuringExecution != nil {
			s.in(required).nodeSelector(n.RequiredDuringSchedulingIgnoredDuringExecution)
		}
		for i, t := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			s := s.item(preferred, i)
			if t.Weight <= 0 || t.Weight > 100 {
				s.bad("weight", t.Weight, weight)
			}
			s.in("preference").nodeSelectorTerm(&t.Preference, true)
		}
	}
	terms := func(s spot, must []corev1.PodAffinityTerm, may []corev1.WeightedPodAffinityTerm) {
		for i := range must {
			p.affinityTerm(s.item(required, i), &must[i])
		}
		for i := range may {
			s := s.item(preferred, i)
			if w := may[i].Weight; w <= 0 || w > 100 {
				s.bad("weight", w, weight)
			}
			p.affinityTerm(s.in("podAffinityTerm"), &may[i].PodAffinityTerm)
		}
	}
	if o := a.PodAffinity; o != nil {
		terms(s.in("podAffinity"), o.RequiredDuringSchedulingIgnoredDuringExecution, o.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if o := a.PodAntiAffinity; o != nil {
		terms(s.in("podAntiAffinity"), o.RequiredDuringSchedulingIgnoredDuringExecution, o.PreferredDuringSchedulingIgnoredDuringExecution)
	}
}

func (p *podLook) affinityTerm(s spot, t *corev1.PodAffinityTerm) {
	s.selector("labelSelector", t.LabelSelector)
	s.selector("namespaceSelector", t.NamespaceSelector)
	for _, n := range t.Namespaces {
		s.says("namespace", n, label(n))
	}
	p.labelKeys(s, t.MatchLabelKeys, t.MismatchLabelKeys, t.LabelSelector)
	if t.TopologyKey == "" {
		s.must("topologyKey", "can not be empty")
	}
	s.labelKey("topologyKey", t.TopologyKey)
}

// nodeSelector models ValidateNodeSelector.
func (s spot) nodeSelector(n *corev1.NodeSelector) {
	if len(n.NodeSelectorTerms) == 0 {
		s.must("nodeSelectorTerms", "must have at least one node selector term")
	}
	for i := range n.NodeSelectorTerms {
		s.item("nodeSelectorTerms", i).nodeSelectorTerm(&n.NodeSelectorTerms[i], false)
	}
}

func (s spot) nodeSelectorTerm(t *corev1.NodeSelectorTerm, anyValue bool) {
	for i, r := range t.MatchExpressions {
		s := s.item("matchExpressions", i)
		switch {
		case s.values(string(r.Operator), len(r.Values)):
		case r.Operator != corev1.NodeSelectorOpGt && r.Operator != corev1.NodeSelectorOpLt:
			s.bad("operator", word(r.Operator), "not a valid selector operator")
		case len(r.Values) != 1:
			s.must("values", "must be specified single value when `operator` is 'Lt' or 'Gt'")
		}
		s.labelKey("key", r.Key)
		for j, v := range r.Values {
			if !anyValue {
				s.item("values", j).says("", v, labelValue(v))
			}
		}
	}
	for i, r := range t.MatchFields {
		s := s.item("matchFields", i)
		if r.Operator != corev1.NodeSelectorOpIn && r.Operator != corev1.NodeSelectorOpNotIn {
			s.bad("operator", word(r.Operator), "not a valid selector operator")
		} else if len(r.Values) != 1 {
			s.must("values", "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")
		}
		if r.Key != "metadata.name" {
			s.bad("key", r.Key, "not a valid field selector key")
			continue
		}
		for j, v := range r.Values {
			s.item("values", j).says("", v, subdomain(v))
		}
	}
}

// fileKeys models validateFileKeyRefVolumes.
func (p *podLook) fileKeys(s spot) {
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		for j, e := range c.Env {
			if e.ValueFrom == nil || e.ValueFrom.FileKeyRef == nil {
				continue
			}
			name := e.ValueFrom.FileKeyRef.VolumeName
			s := s.item(list, i).item("env", j).in("valueFrom").in("fileKeyRef")
			k := slices.IndexFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name })
			if k < 0 {
				s.absent("volumeName", name)
			} else if p.Spec.Volumes[k].EmptyDir == nil {
				s.bad("volumeName", name, "referenced volume must be of type emptyDir")
			}
		}
	})
}
