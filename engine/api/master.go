package api

import (
	"net"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/joinery-lab/joinery/engine/sim"
)

// master is the Service by which pods reach the API servers.
const master = "kubernetes"

// firstOf is the first address of a range that can be given out.
func firstOf(cidr string) string {
	ip, _, err := net.ParseCIDR(cidr)
	if err != nil || ip.To4() == nil {
		return ""
	}
	ip = slices.Clone(ip.To4())
	ip[3]++
	return ip.String()
}

// publishMaster makes Service default/kubernetes and puts the server's address
// into its Endpoints, unless --endpoint-reconciler-type is none (Models
// pkg/controlplane/controller/kubernetesservice).
func (s *Server) publishMaster(c *sim.Ctx, x *exchange) {
	ip := firstOf(s.opts.serviceRange)
	if ip == "" {
		ip = firstOf("10.0.0.0/24") // the default, which kube-apiserver warns of
	}
	policy, family := corev1.ServiceInternalTrafficPolicyCluster, corev1.IPFamilyPolicySingleStack
	labels := map[string]string{"component": "apiserver", "provider": "kubernetes"}
	x.ensure("services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: master, Labels: labels},
		Spec: corev1.ServiceSpec{ClusterIP: ip, ClusterIPs: []string{ip}, Type: corev1.ServiceTypeClusterIP, SessionAffinity: corev1.ServiceAffinityNone,
			InternalTrafficPolicy: &policy, IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol}, IPFamilyPolicy: &family,
			Ports: []corev1.ServicePort{{Name: "https", Protocol: corev1.ProtocolTCP, Port: 443, TargetPort: intstr.FromInt32(int32(s.opts.port))}}}})
	if s.opts.reconciler == "none" {
		return
	}
	x.ensure("endpoints", &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: master}})
	s.endpoint(c, func(list []corev1.EndpointAddress) []corev1.EndpointAddress {
		return append(list, corev1.EndpointAddress{IP: s.address(c)})
	})
}

// endpoint takes the server's own address out of the Endpoints, and puts in
// what with says.
func (s *Server) endpoint(c *sim.Ctx, with func([]corev1.EndpointAddress) []corev1.EndpointAddress) {
	old := s.store.Get("endpoints", "default", master)
	if old == nil {
		return
	}
	n := old.typed.(*corev1.Endpoints).DeepCopy()
	var list []corev1.EndpointAddress
	for _, sub := range n.Subsets {
		list = append(list, sub.Addresses...)
	}
	list = slices.DeleteFunc(list, func(a corev1.EndpointAddress) bool { return a.IP == s.address(c) })
	if list = with(list); len(list) == 0 {
		n.Subsets = nil
	} else {
		n.Subsets = []corev1.EndpointSubset{{Addresses: list, Ports: []corev1.EndpointPort{{Name: "https", Port: int32(s.opts.port), Protocol: corev1.ProtocolTCP}}}}
	}
	if string(encode(n.Subsets)) == string(encode(old.typed.(*corev1.Endpoints).Subsets)) {
		return
	}
	s.store.put(s.catalog.of["endpoints"], n)
	s.flush(c)
}

// unpublishMaster is what a server does that is asked to stop.
func (s *Server) unpublishMaster(c *sim.Ctx) {
	if s.opts.reconciler != "none" {
		s.endpoint(c, func(list []corev1.EndpointAddress) []corev1.EndpointAddress { return list })
	}
}
