package api

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver has against Services and Endpoints. Models
// pkg/apis/core/validation.

func checkService(_ *exchange, o, old object, sub string) (errs field.ErrorList) {
	svc := o.(*corev1.Service)
	s, n := begin(&errs, "spec"), &svc.Spec
	var was *corev1.ServiceSpec
	if old != nil {
		was = &old.(*corev1.Service).Spec
	}
	if sub == "status" {
		begin(&errs, "status", "loadBalancer").ingress(svc.Status.LoadBalancer.Ingress, old.(*corev1.Service).Status.LoadBalancer.Ingress, n)
		return errs
	}
	if was != nil {
		s.serviceChange(n, was)
	}
	if a, b := svc.Annotations["service.kubernetes.io/topology-mode"], svc.Annotations["service.kubernetes.io/topology-aware-hints"]; a != b && has2(svc.Annotations, "service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints") {
		begin(&errs, "metadata").key("annotations", "service.kubernetes.io/topology-mode").bad("", a, "must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified")
	}
	s.service(n, was, svc.Annotations, oldAnnotations(old))
	return errs
}

func has2(m map[string]string, keys ...string) bool {
	return !slices.ContainsFunc(keys, func(k string) bool { _, ok := m[k]; return !ok })
}

func oldAnnotations(old object) map[string]string {
	if old == nil {
		return nil
	}
	return meta(old).Annotations
}

// service models validateService.
func (s spot) service(n, was *corev1.ServiceSpec, notes, oldNotes map[string]string) {
	const onlyLB, named = "may only be used when `type` is 'LoadBalancer'", "may not be set for ExternalName services"
	balanced := n.Type == corev1.ServiceTypeLoadBalancer
	if len(n.Ports) == 0 && !headless(n) && n.Type != corev1.ServiceTypeExternalName {
		s.must("ports", "")
	}
	switch n.Type {
	case corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeNodePort:
		if headless(n) {
			s.item("clusterIPs", 0).bad("", n.ClusterIPs[0], "may not be set to 'None' for "+string(n.Type)+" services")
		}
	case corev1.ServiceTypeExternalName:
		for _, f := range []given{{"clusterIPs", len(n.ClusterIPs) > 0}, {"ipFamilies", len(n.IPFamilies) > 0}, {"ipFamilyPolicy", n.IPFamilyPolicy != nil}} {
			if f.set {
				s.forbid(f.name, named)
			}
		}
		if name := strings.TrimSuffix(n.ExternalName, "."); s.need("externalName", name) {
			s.says("externalName", name, subdomain(name))
		}
	}
	for i := range n.Ports {
		p, at := &n.Ports[i], s.item("ports", i)
		at.portName(p.Name, len(n.Ports) > 1)
		if p.Name != "" && slices.ContainsFunc(n.Ports[:i], func(o corev1.ServicePort) bool { return o.Name == p.Name }) {
			at.twice("name", p.Name)
		}
		at.port("port", p.Port)
		at.choice("protocol", string(p.Protocol), "SCTP", "TCP", "UDP")
		at.portOrName("targetPort", p.TargetPort)
		if p.AppProtocol != nil {
			at.labelKey("appProtocol", *p.AppProtocol)
		}
	}
	s.labels("selector", n.Selector)
	s.choice("sessionAffinity", string(n.SessionAffinity), "ClientIP", "None")
	switch c := n.SessionAffinityConfig; {
	case n.SessionAffinity == corev1.ServiceAffinityClientIP && c != nil && c.ClientIP != nil && c.ClientIP.TimeoutSeconds != nil:
		if t := *c.ClientIP.TimeoutSeconds; t <= 0 || t > 86400 {
			s.in("sessionAffinityConfig").in("clientIP").bad("timeoutSeconds", t, "must be greater than 0 and less than 86400")
		}
	case n.SessionAffinity == corev1.ServiceAffinityNone && c != nil:
		s.forbid("sessionAffinityConfig", "must not be set when session affinity is None")
	}
	s.clusterIPs(n, was)
	for i, ip := range n.ExternalIPs {
		var old []string
		if was != nil {
			old = was.ExternalIPs
		}
		if at := s.item("externalIPs", i); at.ip("", ip, old...) {
			at.endpointIP("", ip)
		}
	}
	s.choice("type", string(n.Type), "ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
	for i, p := range n.Ports {
		if p.NodePort != 0 && n.Type == corev1.ServiceTypeClusterIP {
			s.item("ports", i).forbid("nodePort", "may not be used when `type` is 'ClusterIP'")
		}
	}
	for i, p := range n.Ports {
		if p.NodePort != 0 && slices.ContainsFunc(n.Ports[:i], func(o corev1.ServicePort) bool { return o.Protocol == p.Protocol && o.NodePort == p.NodePort }) {
			s.item("ports", i).twice("nodePort", p.NodePort)
		}
	}
	for i, p := range n.Ports {
		if slices.ContainsFunc(n.Ports[:i], func(o corev1.ServicePort) bool { return o.Protocol == p.Protocol && o.Port == p.Port }) {
			s.item("ports", i).twice("", internal{corev1.ServicePort{Protocol: p.Protocol, Port: p.Port}})
		}
	}
	s.sources(n, was, notes, oldNotes, onlyLB)
	if n.AllocateLoadBalancerNodePorts != nil && !balanced {
		s.forbid("allocateLoadBalancerNodePorts", onlyLB)
	}
	if c := n.LoadBalancerClass; c != nil && balanced {
		s.labelKey("loadBalancerClass", *c)
	} else if c != nil {
		s.forbid("loadBalancerClass", onlyLB)
	}
	if p := string(n.ExternalTrafficPolicy); !reachable(n) && p != "" {
		s.bad("externalTrafficPolicy", word(p), "may only be set for externally-accessible services")
	} else if reachable(n) {
		s.choice("externalTrafficPolicy", p, "Cluster", "Local")
	}
	switch p := n.HealthCheckNodePort; {
	case !checked(n) && p != 0:
		s.bad("healthCheckNodePort", p, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
	case checked(n) && p == 0:
		s.must("healthCheckNodePort", "")
	case checked(n):
		s.port("healthCheckNodePort", p)
	}
	maybe(s, "internalTrafficPolicy", n.InternalTrafficPolicy, "Cluster", "Local")
	if t := n.TrafficDistribution; t != nil && !slices.Contains([]string{"PreferClose", "PreferSameZone", "PreferSameNode"}, *t) {
		s.oneOf("trafficDistribution", *t, "PreferClose", "PreferSameZone", "PreferSameNode")
	}
}

// sources are the clients that a load balancer lets through.
func (s spot) sources(n, was *corev1.ServiceSpec, notes, oldNotes map[string]string, onlyLB string) {
	const note = "service.beta.kubernetes.io/load-balancer-source-ranges"
	balanced := n.Type == corev1.ServiceTypeLoadBalancer
	if len(n.LoadBalancerSourceRanges) > 0 {
		if !balanced {
			s.forbid("LoadBalancerSourceRanges", onlyLB)
		}
		var old []string
		for _, r := range oldRanges(was) {
			old = append(old, strings.TrimSpace(r))
		}
		for i, r := range n.LoadBalancerSourceRanges {
			s.item("LoadBalancerSourceRanges", i).cidr(strings.TrimSpace(r), old...)
		}
		return
	}
	v, ok := notes[note]
	if !ok {
		return
	}
	at := begin(s.errs, "metadata").key("annotations", note)
	if !balanced {
		at.forbid("", onlyLB)
	}
	if was == nil || oldNotes[note] != v {
		for r := range strings.SplitSeq(strings.TrimSpace(v), ",") {
			if strings.TrimSpace(v) != "" {
				at.cidr(strings.TrimSpace(r))
			}
		}
	}
}

func oldRanges(was *corev1.ServiceSpec) []string {
	if was == nil {
		return nil
	}
	return was.LoadBalancerSourceRanges
}

// portName is the name of a port of a Service or of Endpoints, which may be left out when
// there is but one.
func (s spot) portName(name string, several bool) {
	if several && name == "" {
		s.must("name", "")
	} else if name != "" {
		s.says("name", name, label(name))
	}
}

// clusterIPs models ValidateServiceClusterIPsRelatedFields.
func (s spot) clusterIPs(n, was *corev1.ServiceSpec) {
	if n.Type == corev1.ServiceTypeExternalName {
		return
	}
	switch {
	case n.ClusterIP != "" && len(n.ClusterIPs) == 0:
		s.must("clusterIPs", "")
	case n.ClusterIP != "" && n.ClusterIPs[0] != n.ClusterIP:
		s.bad("clusterIPs", n.ClusterIPs, "first value must match `clusterIP`")
	case n.ClusterIP == "" && len(n.ClusterIPs) > 0:
		s.bad("clusterIPs", n.ClusterIPs, "must be empty when `clusterIP` is not specified")
	}
	for i, f := range n.IPFamilies {
		at := s.item("ipFamilies", i)
		if at.oneOf("", string(f), "IPv4", "IPv6"); slices.Contains(n.IPFamilies[:i], f) {
			at.twice("", word(f))
		}
	}
	maybe(s, "ipFamilyPolicy", n.IPFamilyPolicy, "PreferDualStack", "RequireDualStack", "SingleStack")
	var old []string
	if was != nil {
		old = was.ClusterIPs
	}
	bad := false
	for i, ip := range n.ClusterIPs {
		if i == 0 && ip == corev1.ClusterIPNone {
			if len(n.ClusterIPs) > 1 {
				s.bad("clusterIPs", n.ClusterIPs, "'None' must be the first and only value")
				bad = true
			}
			continue
		}
		bad = !s.item("clusterIPs", i).ip("", ip, old...) || bad
	}
	if len(n.ClusterIPs) > 2 {
		s.bad("clusterIPs", n.ClusterIPs, "may only hold up to 2 values")
	}
	if bad {
		return
	}
	if len(n.ClusterIPs) > 1 && !dual(n.ClusterIPs) {
		s.bad("clusterIPs", n.ClusterIPs, "may specify no more than one IP for each IP family")
	}
	if headless(n) {
		return
	}
	for i, ip := range n.ClusterIPs {
		if i < len(n.IPFamilies) && n.IPFamilies[i] != familyOf(ip) {
			s.item("clusterIPs", i).bad("", ip, fmt.Sprintf("expected an %s value as indicated by `ipFamilies[%v]`", n.IPFamilies[i], i))
		}
	}
}

// serviceChange models the first part of ValidateServiceUpdate: what may not change.
func (s spot) serviceChange(n, o *corev1.ServiceSpec) {
	const once, name = "may not change once set", corev1.ServiceTypeExternalName
	single := n.IPFamilyPolicy != nil && *n.IPFamilyPolicy == corev1.IPFamilyPolicySingleStack
	// list is what both lists have in common.
	list := func(field string, now, was []string, shown any, each bool) {
		at := s.item(field, 0)
		switch {
		case len(was) == len(now):
			for i := range was {
				if was[i] != now[i] {
					if each {
						at = s.item(field, i)
					}
					at.bad("", shown, once)
				}
			}
			return
		case len(was) > 0 && len(now) > 0 && was[0] != now[0]:
			at.bad("", shown, once)
		}
		if kind := map[bool]string{true: "clusterIP", false: "ipFamily"}[each]; len(was) > len(now) {
			if len(n.ClusterIPs) == 0 {
				at.bad("", shown, "primary "+kind+" can not be unset")
			}
			if len(now) == 1 && !single {
				s.bad("ipFamilyPolicy", n.IPFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary "+kind)
			}
		}
	}
	if n.Type != name && o.Type != name {
		if !headless(n) || !headless(o) {
			list("clusterIPs", n.ClusterIPs, o.ClusterIPs, n.ClusterIPs, true)
		}
		if !headless(n) && !headless(o) {
			words := func(f []corev1.IPFamily) (out []string) {
				for _, w := range f {
					out = append(out, string(w))
				}
				return out
			}
			list("ipFamilies", words(n.IPFamilies), words(o.IPFamilies), n.IPFamilies, false)
		}
	}
	if n.Type == corev1.ServiceTypeLoadBalancer && o.Type == n.Type && !equal(n.LoadBalancerClass, o.LoadBalancerClass) {
		s.bad("loadBalancerClass", n.LoadBalancerClass, once)
	}
	if c := n.LoadBalancerClass; c != nil && n.Type == corev1.ServiceTypeLoadBalancer {
		s.labelKey("loadBalancerClass", *c)
	} else if c != nil {
		s.forbid("loadBalancerClass", "may only be used when `type` is 'LoadBalancer'")
	}
	if checked(n) && checked(o) && n.HealthCheckNodePort != o.HealthCheckNodePort {
		s.forbid("healthCheckNodePort", immutable)
	}
}

// ingress models ValidateLoadBalancerStatus.
func (s spot) ingress(now, was []corev1.LoadBalancerIngress, spec *corev1.ServiceSpec) {
	if spec.Type != corev1.ServiceTypeLoadBalancer && len(now) > 0 {
		s.forbid("ingress", "may only be used when `spec.type` is 'LoadBalancer'")
		return
	}
	var old []string
	for _, g := range was {
		old = append(old, g.IP)
	}
	for i, g := range now {
		s := s.item("ingress", i)
		if g.IP != "" {
			s.ip("ip", g.IP, old...)
		}
		switch {
		case g.IPMode == nil && g.IP != "":
			s.must("ipMode", "must be specified when `ip` is set")
		case g.IPMode != nil && g.IP == "":
			s.forbid("ipMode", "may not be specified when `ip` is not set")
		default:
			maybe(s, "ipMode", g.IPMode, "Proxy", "VIP")
		}
		if g.Hostname == "" {
			continue
		}
		s.says("hostname", g.Hostname, validation.IsDNS1123Subdomain(g.Hostname))
		if _, err := netip.ParseAddr(g.Hostname); err == nil {
			s.bad("hostname", g.Hostname, "must be a DNS name, not an IP address")
		}
	}
}

// endpointIP models ValidateEndpointIP.
func (s spot) endpointIP(name, ip string) {
	a, err := netip.ParseAddr(ip)
	if err != nil {
		s.bad(name, ip, "must be a valid IP address")
		return
	}
	a = a.Unmap()
	for _, k := range []struct {
		is    bool
		words string
	}{{a.IsUnspecified(), "unspecified (" + ip + ")"}, {a.IsLoopback(), "in the loopback range (127.0.0.0/8, ::1/128)"},
		{a.IsLinkLocalUnicast(), "in the link-local range (169.254.0.0/16, fe80::/10)"}, {a.IsLinkLocalMulticast(), "in the link-local multicast range (224.0.0.0/24, ff02::/10)"}} {
		if k.is {
			s.bad(name, ip, "may not be "+k.words)
		}
	}
}

func checkEndpoints(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	e := o.(*corev1.Endpoints)
	top := begin(&errs)
	for i, sub := range e.Subsets {
		s := top.item("subsets", i)
		if len(sub.Addresses)+len(sub.NotReadyAddresses) == 0 {
			s.must("", "must specify `addresses` or `notReadyAddresses`")
		}
		for _, list := range []struct {
			name string
			of   []corev1.EndpointAddress
		}{{"addresses", sub.Addresses}, {"notReadyAddresses", sub.NotReadyAddresses}} {
			for j, a := range list.of {
				s := s.item(list.name, j)
				s.ip("ip", a.IP)
				if a.Hostname != "" {
					s.says("hostname", a.Hostname, label(a.Hostname))
				}
				if a.NodeName != nil {
					s.says("nodeName", *a.NodeName, subdomain(*a.NodeName))
				}
				s.endpointIP("ip", a.IP)
			}
		}
		for j, p := range sub.Ports {
			s := s.item("ports", j)
			s.portName(p.Name, len(sub.Ports) > 1)
			s.port("port", p.Port)
			s.choice("protocol", string(p.Protocol), "SCTP", "TCP", "UDP")
			if p.AppProtocol != nil {
				s.labelKey("appProtocol", *p.AppProtocol)
			}
		}
	}
	return errs
}

// defaultEndpoints models SetDefaults_Endpoints.
func defaultEndpoints(o object) {
	for _, sub := range o.(*corev1.Endpoints).Subsets {
		for i := range sub.Ports {
			fill(&sub.Ports[i].Protocol, corev1.ProtocolTCP)
		}
	}
}
