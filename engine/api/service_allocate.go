package api

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What kube-apiserver gives a Service: addresses of its range and ports of the nodes.
// Models pkg/registry/core/service/storage.

// defaultService fills in what a Service leaves out (Models pkg/apis/core/v1
// SetDefaults_Service).
func defaultService(o object) {
	s := &o.(*corev1.Service).Spec
	fill(&s.SessionAffinity, corev1.ServiceAffinityNone)
	switch c := s.SessionAffinityConfig; {
	case s.SessionAffinity == corev1.ServiceAffinityNone:
		s.SessionAffinityConfig = nil
	case s.SessionAffinity == corev1.ServiceAffinityClientIP && (c == nil || c.ClientIP == nil || c.ClientIP.TimeoutSeconds == nil):
		timeout := corev1.DefaultClientIPServiceAffinitySeconds
		s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}}
	}
	fill(&s.Type, corev1.ServiceTypeClusterIP)
	for i := range s.Ports {
		p := &s.Ports[i]
		fill(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) || p.TargetPort == intstr.FromString("") {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if reachable(s) {
		fill(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer || s.Type == corev1.ServiceTypeClusterIP {
		or(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	if s.Type == corev1.ServiceTypeLoadBalancer {
		or(&s.AllocateLoadBalancerNodePorts, true)
		for i := range o.(*corev1.Service).Status.LoadBalancer.Ingress {
			if g := &o.(*corev1.Service).Status.LoadBalancer.Ingress[i]; g.IP != "" {
				or(&g.IPMode, corev1.LoadBalancerIPModeVIP)
			}
		}
	}
}

// reachable reports whether a Service is for clients outside of the cluster, checked
// whether it has a port for those who ask for its health, and headless whether it has no
// address.
func reachable(s *corev1.ServiceSpec) bool {
	return onNodes(s) || s.Type == corev1.ServiceTypeClusterIP && len(s.ExternalIPs) > 0
}

func onNodes(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer || s.Type == corev1.ServiceTypeNodePort
}

func checked(s *corev1.ServiceSpec) bool {
	return s.Type == corev1.ServiceTypeLoadBalancer && s.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

func headless(s *corev1.ServiceSpec) bool {
	return len(s.ClusterIPs) == 1 && s.ClusterIPs[0] == corev1.ClusterIPNone
}

// kept leaves out of a Service what its new type has no use for (Models
// dropTypeDependentFields), and fills in what it had, when nothing is said of it (Models
// patchAllocatedValues and normalizeClusterIPs).
func (s *updatedService) keep() {
	n, o := s.now, s.was
	same := n.ClusterIP == o.ClusterIP && slices.Equal(n.ClusterIPs, o.ClusterIPs)
	named, lost := n.Type == corev1.ServiceTypeExternalName, o.Type != corev1.ServiceTypeExternalName
	if lost && !named {
		fill(&n.ClusterIP, o.ClusterIP)
		if len(n.ClusterIPs) == 0 {
			n.ClusterIPs = o.ClusterIPs
		}
	}
	if onNodes(o) && onNodes(n) {
		ports, used := map[string]int32{}, map[int32]bool{0: true}
		for _, p := range n.Ports {
			used[p.NodePort] = true
		}
		for _, p := range o.Ports {
			ports[p.Name] = p.NodePort
		}
		for i := range n.Ports {
			if p := &n.Ports[i]; p.NodePort == 0 && !used[ports[p.Name]] {
				p.NodePort = ports[p.Name]
			}
		}
	}
	if checked(o) && checked(n) {
		number(&n.HealthCheckNodePort, o.HealthCheckNodePort)
	}
	if n.ClusterIP != o.ClusterIP && slices.Equal(n.ClusterIPs, o.ClusterIPs) {
		if n.ClusterIPs = nil; n.ClusterIP != "" {
			n.ClusterIPs = []string{n.ClusterIP}
		}
	}
	if lost && named {
		if same {
			n.ClusterIP, n.ClusterIPs = "", nil
		}
		if slices.Equal(n.IPFamilies, o.IPFamilies) {
			n.IPFamilies = nil
		}
		if equal(n.IPFamilyPolicy, o.IPFamilyPolicy) {
			n.IPFamilyPolicy = nil
		}
	}
	if onNodes(o) && !onNodes(n) {
		for i := range n.Ports {
			if slices.ContainsFunc(o.Ports, func(p corev1.ServicePort) bool { return p.NodePort == n.Ports[i].NodePort }) {
				n.Ports[i].NodePort = 0
			}
		}
	}
	if checked(o) && !checked(n) && n.HealthCheckNodePort == o.HealthCheckNodePort {
		n.HealthCheckNodePort = 0
	}
	if o.Type == corev1.ServiceTypeLoadBalancer && n.Type != o.Type {
		if equal(n.AllocateLoadBalancerNodePorts, o.AllocateLoadBalancerNodePorts) {
			n.AllocateLoadBalancerNodePorts = nil
		}
		if equal(n.LoadBalancerClass, o.LoadBalancerClass) {
			n.LoadBalancerClass = nil
		}
	}
	if reachable(o) && !reachable(n) && n.ExternalTrafficPolicy == o.ExternalTrafficPolicy {
		n.ExternalTrafficPolicy = ""
	}
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

type updatedService struct{ now, was *corev1.ServiceSpec }

// allocateService gives a Service what it asks for, or says why it can't have that
// (Models allocateCreate and allocateUpdate). It comes before all other checks.
func (x *exchange) allocateService(o, old object) error {
	s := &o.(*corev1.Service).Spec
	var was *corev1.ServiceSpec
	if old != nil {
		was = &old.(*corev1.Service).Spec
		(&updatedService{s, was}).keep()
	} else if s.ClusterIP != "" && len(s.ClusterIPs) == 0 {
		s.ClusterIPs = []string{s.ClusterIP}
	}
	var errs field.ErrorList
	refuse := func() error {
		if len(errs) == 0 {
			return nil
		}
		return apierrors.NewInvalid(resources["services"].gk(), meta(o).Name, errs)
	}
	if s.Type != corev1.ServiceTypeExternalName {
		if x.families(begin(&errs, "spec"), s, was); len(errs) > 0 {
			return refuse()
		}
		if !headless(s) {
			for i, f := range s.IPFamilies {
				if i < len(s.ClusterIPs) && was != nil && slices.Contains(was.ClusterIPs, s.ClusterIPs[i]) || was != nil && len(was.ClusterIPs) > 0 && len(was.IPFamilies) == len(s.IPFamilies) {
					continue
				}
				if i >= len(s.ClusterIPs) {
					ip := x.freeAddress(f)
					if ip == "" {
						return apierrors.NewInternalError(fmt.Errorf("failed to allocate a serviceIP for Service %q: range is full", meta(o).Name))
					}
					s.ClusterIPs = append(s.ClusterIPs, ip)
				} else if why := x.takeAddress(f, s.ClusterIPs[i]); why != "" {
					begin(&errs, "spec").bad("clusterIPs", s.ClusterIPs, "failed to allocate IP "+s.ClusterIPs[i]+": "+why)
					return refuse()
				}
			}
			if len(s.ClusterIPs) > 0 {
				s.ClusterIP = s.ClusterIPs[0]
			}
		}
	}
	if onNodes(s) {
		x.nodePorts(begin(&errs, "spec"), s, was)
	}
	if checked(s) && s.HealthCheckNodePort == 0 {
		s.HealthCheckNodePort = x.freePort(nil)
	} else if checked(s) && (was == nil || !checked(was)) {
		if why := x.takePort(s.HealthCheckNodePort); why != "" {
			return apierrors.NewInternalError(fmt.Errorf("failed to allocate requested HealthCheck NodePort %v: %v", s.HealthCheckNodePort, why))
		}
	}
	return refuse()
}

// families models initIPFamilyFields.
func (x *exchange) families(s spot, n, o *corev1.ServiceSpec) {
	const single, dualStack = corev1.IPFamilyPolicySingleStack, corev1.IPFamilyPolicyRequireDualStack
	alone := n.ClusterIP == corev1.ClusterIPNone && len(n.Selector) == 0
	switch {
	case n.IPFamilyPolicy != nil:
	case o != nil && o.IPFamilyPolicy != nil:
		n.IPFamilyPolicy = o.IPFamilyPolicy
	case alone:
		or(&n.IPFamilyPolicy, dualStack)
	default:
		or(&n.IPFamilyPolicy, single)
	}
	before := len(*s.errs)
	if s.clusterIPs(n, o); len(*s.errs) > before {
		return
	}
	policy, ours := *n.IPFamilyPolicy, x.ranges()
	bad := func(words string) { s.bad("ipFamilyPolicy", word(policy), words) }
	if o != nil && policy == single {
		if slices.Equal(n.ClusterIPs, o.ClusterIPs) && len(n.ClusterIPs) > 1 {
			n.ClusterIPs = n.ClusterIPs[:1]
		}
		if slices.Equal(n.IPFamilies, o.IPFamilies) && len(n.IPFamilies) > 1 {
			n.IPFamilies = n.IPFamilies[:1]
		}
	}
	if o != nil && policy != single {
		if len(n.ClusterIPs) == 1 && len(o.ClusterIPs) == 2 && n.ClusterIPs[0] == o.ClusterIPs[0] {
			bad("must be 'SingleStack' to release the secondary cluster IP")
		}
		if len(n.IPFamilies) == 1 && len(o.IPFamilies) == 2 && n.IPFamilies[0] == o.IPFamilies[0] {
			bad("must be 'SingleStack' to release the secondary IP family")
		}
	}
	if policy == single && len(n.ClusterIPs) == 2 {
		bad("must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified")
	}
	if policy == single && len(n.IPFamilies) == 2 {
		bad("must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified")
	}
	for i, ip := range n.ClusterIPs {
		if ip == corev1.ClusterIPNone {
			break
		}
		if f := familyOf(ip); i >= len(n.IPFamilies) {
			if !slices.ContainsFunc(ours, func(p netip.Prefix) bool { return familyOf(p.String()) == f }) {
				s.item("clusterIPs", i).bad("", n.ClusterIPs, string(f)+" is not configured on this cluster")
			} else {
				n.IPFamilies = append(slices.Clip(n.IPFamilies), f)
			}
		}
	}
	if len(*s.errs) > before {
		return
	}
	first := corev1.IPv4Protocol
	if len(ours) > 0 {
		first = familyOf(ours[0].String())
	}
	other := func() {
		second := corev1.IPv6Protocol
		if n.IPFamilies[0] == second {
			second = corev1.IPv4Protocol
		}
		n.IPFamilies = append(slices.Clip(n.IPFamilies), second)
	}
	if alone {
		if len(n.IPFamilies) == 0 {
			n.IPFamilies = []corev1.IPFamily{first}
		}
		if len(n.IPFamilies) < 2 && policy != single {
			other()
		}
		return
	}
	if policy == dualStack && len(ours) < 2 {
		bad("this cluster is not configured for dual-stack services")
	}
	for i, f := range n.IPFamilies {
		if !slices.ContainsFunc(ours, func(p netip.Prefix) bool { return familyOf(p.String()) == f }) {
			s.item("ipFamilies", i).bad("", word(f), "not configured on this cluster")
		}
	}
	if len(*s.errs) > before {
		return
	}
	if len(n.IPFamilies) == 0 {
		n.IPFamilies = []corev1.IPFamily{first}
	}
	if policy != single && len(n.IPFamilies) == 1 && len(ours) == 2 {
		other()
	}
}

func familyOf(ip string) corev1.IPFamily {
	if strings.Contains(ip, ":") {
		return corev1.IPv6Protocol
	}
	return corev1.IPv4Protocol
}

// ranges are those of --service-cluster-ip-range.
func (x *exchange) ranges() (out []netip.Prefix) {
	text := x.s.opts.serviceRange
	if text == "" {
		text = "10.0.0.0/24"
	}
	for r := range strings.SplitSeq(text, ",") {
		if p, err := netip.ParsePrefix(r); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// taken are the addresses that Services have.
func (x *exchange) taken() map[string]bool {
	taken := map[string]bool{}
	for _, o := range x.s.store.in("services", "") {
		for _, ip := range o.typed.(*corev1.Service).Spec.ClusterIPs {
			taken[ip] = true
		}
	}
	return taken
}

// takeAddress says why a Service can't have an address.
func (x *exchange) takeAddress(f corev1.IPFamily, ip string) string {
	a, err := netip.ParseAddr(ip)
	for _, p := range x.ranges() {
		if err != nil || !p.Contains(a) {
			continue
		}
		last := p.Addr().Is4() && !p.Contains(a.Next())
		switch {
		case a == p.Addr() || last:
			return fmt.Sprintf("the provided IP (%v) is not in the valid range. The range of valid IPs is %s", a, p)
		case x.taken()[ip]:
			return "provided IP is already allocated"
		}
		return ""
	}
	return "the provided network does not match the current range"
}

// freeAddress is an address of --service-cluster-ip-range that no Service has: not
// the first, which is the API's, nor those after it, which are left for choosing as long
// as there are others (Models pkg/registry/core/service/ipallocator).
func (x *exchange) freeAddress(f corev1.IPFamily) string {
	taken := x.taken()
	for _, p := range x.ranges() {
		if familyOf(p.String()) != f {
			continue
		}
		if size, kept := addressesOf(p); size > kept+1 {
			base := binary.BigEndian.Uint32(p.Addr().AsSlice())
			for tries := uint64(0); tries < 4*size; tries++ {
				var b [4]byte
				binary.BigEndian.PutUint32(b[:], base+uint32(kept+x.c.Chance.N("cluster-ip", size-kept-1)))
				if a := netip.AddrFrom4(b).String(); !taken[a] {
					return a
				}
				if uint64(len(taken)) >= size-kept-1 {
					break
				}
			}
		}
		for a := p.Addr().Next(); p.Contains(a) && (p.Addr().Is6() || p.Contains(a.Next())); a = a.Next() {
			if !taken[a.String()] {
				return a.String()
			}
		}
	}
	return ""
}

// addressesOf is how many addresses of the fourth version a range has, and how many of
// them are left for choosing.
func addressesOf(p netip.Prefix) (size, kept uint64) {
	if !p.Addr().Is4() {
		return 0, 0
	}
	size = uint64(1) << (32 - p.Bits())
	return size, min(max(size/16, 16), 256)
}

// portRange is --service-node-port-range.
func (x *exchange) portRange() (base, size int) {
	from, to, ok := strings.Cut(x.s.opts.portRange, "-")
	a, err := strconv.Atoi(from)
	b, bad := strconv.Atoi(to)
	if !ok || err != nil || bad != nil || b < a {
		return 30000, 2768
	}
	return a, b - a + 1
}

// takenPorts are the ports that Services have on every node.
func (x *exchange) takenPorts() map[int32]bool {
	taken := map[int32]bool{}
	for _, o := range x.s.store.in("services", "") {
		s := &o.typed.(*corev1.Service).Spec
		for _, p := range s.Ports {
			taken[p.NodePort] = true
		}
		taken[s.HealthCheckNodePort] = true
	}
	return taken
}

// takePort says why a Service can't have a port.
func (x *exchange) takePort(port int32) string {
	base, size := x.portRange()
	switch {
	case int(port) < base || int(port) >= base+size:
		return fmt.Sprintf("provided port is not in the valid range. The range of valid ports is %d-%d", base, base+size-1)
	case x.takenPorts()[port]:
		return "provided port is already allocated"
	}
	return ""
}

func (x *exchange) freePort(also map[int32]bool) int32 {
	base, size := x.portRange()
	taken := x.takenPorts()
	from := int(x.c.Chance.N("node-port", uint64(size)))
	for i := range size {
		if p := int32(base + (from+i)%size); !taken[p] && !also[p] {
			return p
		}
	}
	return 0
}

// nodePorts models initNodePorts and updateNodePorts: ports of one number, of two
// protocols, have one port on the nodes.
func (x *exchange) nodePorts(s spot, n, o *corev1.ServiceSpec) {
	had, given, own := map[int32]bool{}, map[int32]int32{}, map[int32]bool{}
	if o != nil {
		for _, p := range o.Ports {
			had[p.NodePort] = true
		}
	}
	for i := range n.Ports {
		p := &n.Ports[i]
		if p.NodePort == 0 && n.Type == corev1.ServiceTypeLoadBalancer && !*n.AllocateLoadBalancerNodePorts {
			continue
		}
		if p.NodePort == 0 && o == nil {
			if p.NodePort = given[p.Port]; p.NodePort == 0 {
				if j := slices.IndexFunc(n.Ports, func(q corev1.ServicePort) bool { return q.Port == p.Port && q.NodePort != 0 }); j >= 0 {
					p.NodePort = n.Ports[j].NodePort
				}
			}
		}
		if p.NodePort == 0 {
			p.NodePort = x.freePort(own)
		} else if !had[p.NodePort] && !own[p.NodePort] {
			if why := x.takePort(p.NodePort); why != "" {
				s.item("ports", i).bad("nodePort", p.NodePort, why)
				return
			}
		}
		given[p.Port], own[p.NodePort] = p.NodePort, true
	}
}
