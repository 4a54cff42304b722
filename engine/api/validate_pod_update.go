package api

import (
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/validation"
)

// What may not be at a new pod, and what may not change. Models pkg/apis/core/validation
// ValidatePodCreate, ValidatePodUpdate and ValidatePodStatusUpdate.

// created is what only a new pod is asked.
func (p *podLook) created(s spot) {
	if len(p.Spec.EphemeralContainers) > 0 {
		s.forbid("ephemeralContainers", "cannot be set on create")
	}
	if p.Spec.NodeName != "" && len(p.Spec.SchedulingGates) > 0 {
		s.forbid("nodeName", "cannot be set until all schedulingGates have been cleared")
	}
	profile := func(s spot, word, note string, kind string, file *string, plain []string) {
		switch name, ok := strings.CutPrefix(note, "localhost/"); {
		case kind != "Localhost" && !slices.Contains(plain, note), kind == "Localhost" && !ok:
			s.forbid("type", word+" type in annotation and field must match")
		case kind == "Localhost" && (file == nil || *file != name):
			s.forbid("localhostProfile", word+" profile in annotation and field must match")
		}
	}
	seccomp := func(s spot, key string, f *corev1.SeccompProfile) {
		note, ok := p.Annotations[key]
		if plain := map[corev1.SeccompProfileType][]string{"Unconfined": {"unconfined"}, "RuntimeDefault": {"runtime/default", "docker/default"}, "Localhost": {}}; ok && f != nil && plain[f.Type] != nil {
			profile(s.in("securityContext").in("seccompProfile"), "seccomp", note, string(f.Type), f.LocalhostProfile, plain[f.Type])
		}
	}
	if c := p.Spec.SecurityContext; c != nil {
		seccomp(s, seccompPod, c.SeccompProfile)
	}
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		if c.SecurityContext != nil {
			seccomp(s.item(list, i), seccompKey+c.Name, c.SecurityContext.SeccompProfile)
		}
	})
	if p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows {
		return
	}
	containers(&p.Spec, func(list string, i int, c *corev1.Container) {
		var f *corev1.AppArmorProfile
		if p.Spec.SecurityContext != nil {
			f = p.Spec.SecurityContext.AppArmorProfile
		}
		if c.SecurityContext != nil && c.SecurityContext.AppArmorProfile != nil {
			f = c.SecurityContext.AppArmorProfile
		}
		note, ok := p.Annotations[appArmorKey+c.Name]
		if plain := map[corev1.AppArmorProfileType][]string{"Unconfined": {"unconfined"}, "RuntimeDefault": {"runtime/default"}, "Localhost": {}}; ok && f != nil && plain[f.Type] != nil {
			profile(s.item(list, i).in("securityContext").in("appArmorProfile"), "apparmor", note, string(f.Type), f.LocalhostProfile, plain[f.Type])
		}
	})
}

// mayChange are the fields of a spec that an update may touch.
const mayChange = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n"

// updated models the rest of ValidatePodUpdate. The real one goes on with the difference
// between the two specs.
func (p *podLook) updated(s spot) {
	now, was := &p.Spec, &p.old.Spec
	for _, list := range []struct {
		name     string
		now, was []corev1.Container
	}{{"containers", now.Containers, was.Containers}, {"initContainers", now.InitContainers, was.InitContainers}} {
		if len(list.now) != len(list.was) {
			s.forbid(list.name, "pod updates may not add or remove containers")
			return
		}
		for i, c := range list.now {
			s := s.item(list.name, i)
			s.need("image", c.Image)
			s.trimmed(c.Image)
		}
	}
	switch n, o := now.ActiveDeadlineSeconds, was.ActiveDeadlineSeconds; {
	case n != nil && (*n < 0 || *n > math.MaxInt32):
		s.bad("activeDeadlineSeconds", *n, validation.InclusiveRangeError(0, math.MaxInt32))
		return
	case n != nil && o != nil && *o < *n:
		s.bad("activeDeadlineSeconds", *n, "must be less than or equal to previous value")
		return
	case n == nil && o != nil:
		s.bad("activeDeadlineSeconds", n, "must not update from a positive integer to nil value")
	}
	p.addsTolerations(s)
	for i, g := range now.SchedulingGates {
		if !slices.Contains(was.SchedulingGates, g) {
			s.item("schedulingGates", i).forbid("name", "only deletion is allowed, but found new scheduling gate '"+g.Name+"'")
		}
	}
	// What may change is made as it was; nothing that both share is touched.
	rest := *now
	rest.Containers, rest.InitContainers = slices.Clone(now.Containers), slices.Clone(now.InitContainers)
	for i := range rest.Containers {
		rest.Containers[i].Image = was.Containers[i].Image
	}
	for i := range rest.InitContainers {
		rest.InitContainers[i].Image = was.InitContainers[i].Image
	}
	rest.ActiveDeadlineSeconds, rest.SchedulingGates, rest.Tolerations = was.ActiveDeadlineSeconds, was.SchedulingGates, was.Tolerations
	if n, o := now.TerminationGracePeriodSeconds, was.TerminationGracePeriodSeconds; o != nil && *o < 0 && n != nil && *n == 1 {
		rest.TerminationGracePeriodSeconds = o
	}
	if len(was.SchedulingGates) > 0 {
		p.gated(s, &rest)
	}
	if !equality.Semantic.DeepEqual(rest, *was) {
		s.forbid("", mayChange)
	}
}

// addsTolerations models validateOnlyAddedTolerations.
func (p *podLook) addsTolerations(s spot) {
	for _, o := range p.old.Spec.Tolerations {
		o.TolerationSeconds = nil
		if !slices.ContainsFunc(p.Spec.Tolerations, func(n corev1.Toleration) bool { n.TolerationSeconds = nil; return n == o }) {
			s.forbid("tolerations", "existing toleration can not be modified except its tolerationSeconds")
			return
		}
	}
	s.tolerations(p.Spec.Tolerations)
}

// gated: a pod that waits may be told more about the nodes for it (Models
// validateNodeSelectorMutation and validateNodeAffinityMutation).
func (p *podLook) gated(s spot, rest *corev1.PodSpec) {
	was := &p.old.Spec
	for k, v := range was.NodeSelector {
		if now, ok := rest.NodeSelector[k]; !ok || now != v {
			s.bad("nodeSelector", rest.NodeSelector, "only additions to spec.nodeSelector are allowed (no mutations or deletions)")
			break
		}
	}
	rest.NodeSelector = was.NodeSelector
	var now, before *corev1.NodeAffinity
	if was.Affinity != nil {
		before = was.Affinity.NodeAffinity
	}
	if rest.Affinity != nil {
		now = rest.Affinity.NodeAffinity
	}
	if equality.Semantic.DeepEqual(now, before) {
		return
	}
	terms := func(a *corev1.NodeAffinity) []corev1.NodeSelectorTerm {
		if a == nil || a.RequiredDuringSchedulingIgnoredDuringExecution == nil {
			return nil
		}
		return a.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
	}
	at := s.in("affinity").in("nodeAffinity").in("requiredDuringSchedulingIgnoredDuringExecution")
	if n, o := terms(now), terms(before); len(o) > 0 && len(n) != len(o) {
		at.bad("nodeSelectorTerms", internal{n}, "no additions/deletions to non-empty NodeSelectorTerms list are allowed")
	} else {
		for i := range o {
			begins := func(n, o []corev1.NodeSelectorRequirement) bool {
				return len(n) >= len(o) && (len(o) == 0 || equality.Semantic.DeepEqual(n[:len(o)], o))
			}
			empty := len(o[i].MatchExpressions)+len(o[i].MatchFields) == 0 && len(n[i].MatchExpressions)+len(n[i].MatchFields) > 0
			if empty || !begins(n[i].MatchExpressions, o[i].MatchExpressions) || !begins(n[i].MatchFields, o[i].MatchFields) {
				at.item("nodeSelectorTerms", i).bad("", internal{n[i]}, "only additions are allowed (no mutations or deletions)")
			}
		}
	}
	switch {
	case rest.Affinity == nil:
		rest.Affinity = &corev1.Affinity{NodeAffinity: before}
	case was.Affinity == nil && rest.Affinity.PodAntiAffinity == nil && rest.Affinity.PodAffinity == nil:
		rest.Affinity = nil
	default:
		a := *rest.Affinity
		a.NodeAffinity = before
		rest.Affinity = &a
	}
}

// status models the rest of ValidatePodStatusUpdate.
func (p *podLook) status(s spot) {
	const observed = "must be a non-negative integer"
	now, was := &p.Status, &p.old.Status
	for i, c := range now.Conditions {
		s := s.item("conditions", i)
		if c.ObservedGeneration < 0 {
			s.bad("observedGeneration", c.ObservedGeneration, observed)
		}
		if c.Type != corev1.PodScheduled && c.Type != corev1.PodReady && c.Type != corev1.PodInitialized {
			s.labelKey("Type", string(c.Type))
		}
	}
	if n := now.NominatedNodeName; n != was.NominatedNodeName && n != "" {
		s.says("nominatedNodeName", n, subdomain(n))
		if p.old.Spec.NodeName != "" {
			s.forbid("nominatedNodeName", "may not be set on pods that are already bound to a node")
		}
	}
	if now.ObservedGeneration < 0 {
		s.bad("observedGeneration", now.ObservedGeneration, observed)
	}
	if now.QOSClass != was.QOSClass {
		s.bad("qosClass", word(now.QOSClass), immutable)
	}
	lists := []struct {
		name     string
		now, was []corev1.ContainerStatus
		of       []corev1.Container
	}{{"containerStatuses", now.ContainerStatuses, was.ContainerStatuses, p.Spec.Containers},
		{"initContainerStatuses", now.InitContainerStatuses, was.InitContainerStatuses, p.Spec.InitContainers},
		{"ephemeralContainerStatuses", now.EphemeralContainerStatuses, was.EphemeralContainerStatuses, nil}}
	for _, l := range lists {
		for i, o := range l.was {
			if o.State.Terminated == nil {
				continue
			}
			n := slices.IndexFunc(l.now, func(n corev1.ContainerStatus) bool { return n.Name == o.Name })
			if n >= 0 && l.now[n].State.Terminated == nil && !p.startsAgain(l.of, &o) {
				s.item(l.name, i).forbid("state", "may not be transitioned to non-terminated state")
			}
		}
	}
	p.claimStatuses(s)
	for _, l := range []struct {
		name     string
		now, was []string
		shown    any
	}{{"podIPs", podIPs(now.PodIPs), podIPs(was.PodIPs), internal{now.PodIPs}}, {"hostIPs", hostIPs(now.HostIPs), hostIPs(was.HostIPs), internal{now.HostIPs}}} {
		if l.name == "hostIPs" && len(l.now) > 0 && l.now[0] != now.HostIP {
			s.item(l.name, 0).bad("ip", l.now[0], "must be equal to `hostIP`")
		}
		for i, ip := range l.now {
			s.item(l.name, i).ip("", ip, l.was...)
		}
		if len(l.now) > 1 && !dual(l.now) {
			s.bad(l.name, l.shown, "may specify no more than one IP for each IP family")
		}
	}
	for _, l := range lists {
		for i, c := range l.now {
			if c.User == nil || c.User.Linux == nil {
				continue
			}
			u, s := c.User.Linux, s.item(l.name, i).in("user").in("linux")
			if p.Spec.OS != nil && p.Spec.OS.Name == corev1.Windows {
				s.forbid("", "cannot be set for a windows pod")
				continue
			}
			s.user("uid", &u.UID)
			s.group("gid", &u.GID)
			for j := range u.SupplementalGroups {
				s.item("supplementalGroups", j).group("", &u.SupplementalGroups[j])
			}
		}
	}
	for _, l := range lists {
		for i := range l.now {
			s.item(l.name, i).health(&l.now[i], l.of, l.name)
		}
	}
}

func podIPs(list []corev1.PodIP) (out []string) {
	for _, ip := range list {
		out = append(out, ip.IP)
	}
	return out
}

func hostIPs(list []corev1.HostIP) (out []string) {
	for _, ip := range list {
		out = append(out, ip.IP)
	}
	return out
}

// startsAgain reports whether a container that ended is started again (Models
// pkg/api/v1/pod ContainerShouldRestart and AllContainersCouldRestart).
func (p *podLook) startsAgain(list []corev1.Container, o *corev1.ContainerStatus) bool {
	all := false
	containers(&p.old.Spec, func(_ string, _ int, c *corev1.Container) {
		all = all || slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool { return r.Action == "RestartAllContainers" })
	})
	if all {
		return true
	}
	i := slices.IndexFunc(list, func(c corev1.Container) bool { return c.Name == o.Name })
	if i < 0 {
		return false
	}
	c, code, policy := &list[i], o.State.Terminated.ExitCode, string(p.old.Spec.RestartPolicy)
	if c.RestartPolicy != nil {
		for _, r := range c.RestartPolicyRules {
			if r.ExitCodes != nil && slices.Contains(r.ExitCodes.Values, code) == (r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
				return true
			}
		}
		policy = string(*c.RestartPolicy)
	}
	return policy == "Always" || policy == "OnFailure" && code != 0
}

// claimStatuses models validatePodResourceClaimStatuses and
// validatePodExtendedResourceClaimStatus.
func (p *podLook) claimStatuses(s spot) {
	for i, c := range p.Status.ResourceClaimStatuses {
		s := s.item("resourceClaimStatuses", i)
		if !slices.ContainsFunc(p.Spec.ResourceClaims, func(o corev1.PodResourceClaim) bool { return o.Name == c.Name }) {
			s.bad("name", c.Name, "must match the name of an entry in `spec.resourceClaims`")
		}
		if slices.ContainsFunc(p.Status.ResourceClaimStatuses[:i], func(o corev1.PodResourceClaimStatus) bool { return o.Name == c.Name }) {
			s.twice("name", c.Name)
		}
		if n := c.ResourceClaimName; n != nil {
			s.says("resourceClaimName", *n, subdomain(*n))
		}
	}
	e := p.Status.ExtendedResourceClaimStatus
	if e == nil {
		return
	}
	s = s.in("extendedResourceClaimStatus")
	if len(e.RequestMappings) == 0 {
		s.must("requestMappings", "at least one request mapping is required")
	}
	for i, m := range e.RequestMappings {
		all, s := s, s.item("requestMappings", i)
		known, asked := false, false
		containers(&p.Spec, func(_ string, _ int, c *corev1.Container) {
			if c.Name == m.ContainerName {
				_, asked = c.Resources.Requests[corev1.ResourceName(m.ResourceName)]
				known = true
			}
		})
		if !known {
			s.bad("containerName", m.ContainerName, "must match the name of an entry in spec.initContainers.name or spec.containers.name")
		} else if !asked {
			s.bad("resourceName", m.ResourceName, "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests")
		}
		all.says("requestName", m.RequestName, label(m.RequestName))
		if slices.Contains(e.RequestMappings[:i], m) {
			s.twice("containerName", m.ContainerName)
			s.twice("resourceName", m.ResourceName)
			s.twice("requestName", m.RequestName)
		}
	}
	if s.need("resourceClaimName", e.ResourceClaimName) {
		s.says("resourceClaimName", e.ResourceClaimName, subdomain(e.ResourceClaimName))
	}
}

// health models validateContainerStatusAllocatedResourcesStatus.
func (s spot) health(c *corev1.ContainerStatus, list []corev1.Container, of string) {
	if of == "ephemeralContainerStatuses" {
		if len(c.AllocatedResourcesStatus) > 0 {
			s.forbid("allocatedResourcesStatus", "must not be specified in container status")
		}
		return
	}
	at := slices.IndexFunc(list, func(o corev1.Container) bool { return o.Name == c.Name })
	for i, r := range c.AllocatedResourcesStatus {
		s := s.item("allocatedResourcesStatus", i)
		if at >= 0 {
			has, words := false, "must match one of the container's resource requests"
			if name, ok := strings.CutPrefix(string(r.Name), "claim:"); ok {
				words = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
				has = slices.ContainsFunc(list[at].Resources.Claims, func(o corev1.ResourceClaim) bool {
					return name == strings.TrimSuffix(fmt.Sprintf("%s/%s", o.Name, o.Request), "/")
				})
			} else {
				_, has = list[at].Resources.Requests[r.Name]
			}
			if !has {
				s.bad("name", word(r.Name), words)
			}
		}
		for j, h := range r.Resources {
			s := s.item("resources", j)
			s.oneOf("health", string(h.Health), "Healthy", "Unhealthy", "Unknown")
			if m := h.Message; m != nil && *m == "" {
				s.must("message", "must be non-empty if specified")
			} else if m != nil && len(*m) > corev1.ResourceHealthMessageMaxLength {
				s.tooLong("message", corev1.ResourceHealthMessageMaxLength)
			}
			if slices.ContainsFunc(r.Resources[:j], func(o corev1.ResourceHealth) bool { return o.ResourceID == h.ResourceID }) {
				s.twice("resourceID", word(h.ResourceID))
			}
		}
	}
}
