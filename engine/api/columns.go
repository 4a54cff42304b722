package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

type columns = []metav1.TableColumnDefinition

func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return text
}

var plainTable = table{columns{nameColumn(), ageColumn()}, func(t moment, o object) []any {
	return []any{meta(o).Name, t.age(meta(o).CreationTimestamp)}
}}

// csrDocs are what k8s.io/api/certificates/v1beta1 says of its fields. A test
// compares them: the package itself, 30 kB of what a page loads, is left out, as
// nothing else of it is served.
var csrDocs = map[string]string{
	"signerName":        "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n    \"kubernetes.io/kube-apiserver-client-kubelet\".\n 2. If it's a kubelet serving certificate, it is assigned\n    \"kubernetes.io/kubelet-serving\".\n 3. Otherwise, it is assigned \"kubernetes.io/legacy-unknown\".\nDistribution of trust for signers happens out of band. You can select on this field using `spec.signerName`.",
	"request":           "Base64-encoded PKCS#10 CSR data",
	"expirationSeconds": "expirationSeconds is the requested duration of validity of the issued certificate. The certificate signer may issue a certificate with a different validity duration so a client must check the delta between the notBefore and and notAfter fields in the issued certificate to determine the actual duration.\n\nThe v1.22+ in-tree implementations of the well-known Kubernetes signers will honor this field as long as the requested duration is not greater than the maximum duration they will honor per the --cluster-signing-duration CLI flag to the Kubernetes controller manager.\n\nCertificate signers may not honor this field for various reasons:\n\n  1. Old signer that is unaware of the field (such as the in-tree\n     implementations prior to v1.22)\n  2. Signer whose configured maximum is shorter than the requested duration\n  3. Signer whose configured minimum is longer than the requested duration\n\nThe minimum valid value for expirationSeconds is 600, i.e. 10 minutes.",
	"conditions":        "Conditions applied to the request, such as approval or denial.",
}

// The descriptions are those of v1beta1, and Requestor has that of another field: so they are
// upstream (golden e1/58).
var csrTable = table{columns{
	nameColumn(), ageColumn(),
	column("SignerName", csrDocs["signerName"]),
	column("Requestor", csrDocs["request"]),
	column("RequestedDuration", csrDocs["expirationSeconds"]),
	column("Condition", csrDocs["conditions"]),
}, func(t moment, o object) []any {
	c := o.(*certificatesv1.CertificateSigningRequest)
	wanted := "<none>"
	if e := c.Spec.ExpirationSeconds; e != nil {
		wanted = duration.HumanDuration(time.Duration(*e) * time.Second)
	}
	return []any{c.Name, t.age(c.CreationTimestamp), orNone(c.Spec.SignerName), c.Spec.Username, wanted, csrCondition(c)}
}}

var secretTable = table{columns{nameColumn(), column("Type", corev1.Secret{}.SwaggerDoc()["type"]), column("Data", corev1.Secret{}.SwaggerDoc()["data"]), ageColumn()},
	func(t moment, o object) []any {
		s := o.(*corev1.Secret)
		return []any{s.Name, string(s.Type), len(s.Data), t.age(s.CreationTimestamp)}
	}}

var configMapTable = table{columns{nameColumn(), column("Data", corev1.ConfigMap{}.SwaggerDoc()["data"]), ageColumn()},
	func(t moment, o object) []any {
		c := o.(*corev1.ConfigMap)
		return []any{c.Name, len(c.Data) + len(c.BinaryData), t.age(c.CreationTimestamp)}
	}}

var serviceAccountTable = table{columns{nameColumn(), column("Secrets", corev1.ServiceAccount{}.SwaggerDoc()["secrets"]), ageColumn()},
	func(t moment, o object) []any {
		s := o.(*corev1.ServiceAccount)
		return []any{s.Name, len(s.Secrets), t.age(s.CreationTimestamp)}
	}}

var namespaceTable = table{columns{nameColumn(), column("Status", "The status of the namespace"), ageColumn()},
	func(t moment, o object) []any {
		n := o.(*corev1.Namespace)
		return []any{n.Name, string(n.Status.Phase), t.age(n.CreationTimestamp)}
	}}

var nodeTable = table{columns{
	nameColumn(), column("Status", "The status of the node"), column("Roles", "The roles of the node"), ageColumn(),
	column("Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kubeletVersion"]),
	wide("Internal-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"]), wide("External-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"]),
	wide("OS-Image", corev1.NodeSystemInfo{}.SwaggerDoc()["osImage"]), wide("Kernel-Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kernelVersion"]),
	wide("Container-Runtime", corev1.NodeSystemInfo{}.SwaggerDoc()["containerRuntimeVersion"]),
}, nodeCells}

const rolePrefix = "node-role.kubernetes.io/"

func nodeCells(t moment, o object) []any {
	n := o.(*corev1.Node)
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	var roles []string
	for _, k := range sortedKeys(n.Labels) {
		if r, ok := strings.CutPrefix(k, rolePrefix); ok && r != "" {
			roles = append(roles, r)
		} else if k == "kubernetes.io/role" && n.Labels[k] != "" {
			roles = append(roles, n.Labels[k])
		}
	}
	slices.Sort(roles)
	address := func(kind corev1.NodeAddressType) string {
		for _, a := range n.Status.Addresses {
			if a.Type == kind {
				return a.Address
			}
		}
		return "<none>"
	}
	unknown := func(s string) string {
		if s == "" {
			return "<unknown>"
		}
		return s
	}
	i := n.Status.NodeInfo
	return []any{n.Name, status, orNone(strings.Join(roles, ",")), t.age(n.CreationTimestamp), i.KubeletVersion,
		address(corev1.NodeInternalIP), address(corev1.NodeExternalIP), unknown(i.OSImage), unknown(i.KernelVersion), unknown(i.ContainerRuntimeVersion)}
}

var podTable = table{columns{
	nameColumn(), column("Ready", "The aggregate readiness state of this pod for accepting traffic."), column("Status", "The aggregate status of the containers in this pod."),
	column("Restarts", "The number of times the containers in this pod have been restarted and when the last container in this pod has restarted."), ageColumn(),
	wide("IP", corev1.PodStatus{}.SwaggerDoc()["podIP"]), wide("Node", corev1.PodSpec{}.SwaggerDoc()["nodeName"]),
	wide("Nominated Node", corev1.PodStatus{}.SwaggerDoc()["nominatedNodeName"]), wide("Readiness Gates", corev1.PodSpec{}.SwaggerDoc()["readinessGates"]),
}, func(t moment, o object) []any {
	p := o.(*corev1.Pod)
	ready, restarts := 0, 0
	for _, c := range p.Status.ContainerStatuses {
		restarts += int(c.RestartCount)
		if c.Ready {
			ready++
		}
	}
	status := string(p.Status.Phase)
	if p.Status.Reason != "" {
		status = p.Status.Reason
	}
	gates, open := "", 0
	for _, g := range p.Spec.ReadinessGates {
		for _, c := range p.Status.Conditions {
			if c.Type == g.ConditionType && c.Status == corev1.ConditionTrue {
				open++
			}
		}
		gates = fmt.Sprintf("%d/%d", open, len(p.Spec.ReadinessGates))
	}
	return []any{p.Name, fmt.Sprintf("%d/%d", ready, len(p.Spec.Containers)), status, fmt.Sprint(restarts), t.age(p.CreationTimestamp), orNone(p.Status.PodIP), orNone(p.Spec.NodeName), orNone(p.Status.NominatedNodeName), orNone(gates)}
}}

var endpointsTable = table{columns{nameColumn(), column("Endpoints", corev1.Endpoints{}.SwaggerDoc()["subsets"]), ageColumn()},
	func(t moment, o object) []any {
		e := o.(*corev1.Endpoints)
		var list []string
		for _, s := range e.Subsets {
			for _, p := range s.Ports {
				for _, a := range s.Addresses {
					list = append(list, fmt.Sprintf("%s:%d", a.IP, p.Port))
				}
			}
		}
		if len(list) > 3 {
			list = append(list[:3], fmt.Sprintf("+ %d more...", len(list)-3))
		}
		return []any{e.Name, orNone(strings.Join(list, ",")), t.age(e.CreationTimestamp)}
	}}

var serviceTable = table{columns{
	nameColumn(), column("Type", corev1.ServiceSpec{}.SwaggerDoc()["type"]), column("Cluster-IP", corev1.ServiceSpec{}.SwaggerDoc()["clusterIP"]),
	column("External-IP", corev1.ServiceSpec{}.SwaggerDoc()["externalIPs"]), column("Port(s)", corev1.ServiceSpec{}.SwaggerDoc()["ports"]), ageColumn(),
	wide("Selector", corev1.ServiceSpec{}.SwaggerDoc()["selector"]),
}, func(t moment, o object) []any {
	s := o.(*corev1.Service)
	var ports, selector []string
	for _, p := range s.Spec.Ports {
		ports = append(ports, fmt.Sprintf("%d/%s", p.Port, p.Protocol))
	}
	for _, k := range sortedKeys(s.Spec.Selector) {
		selector = append(selector, k+"="+s.Spec.Selector[k])
	}
	return []any{s.Name, string(s.Spec.Type), orNone(s.Spec.ClusterIP), orNone(strings.Join(s.Spec.ExternalIPs, ",")), orNone(strings.Join(ports, ",")), t.age(s.CreationTimestamp), orNone(strings.Join(selector, ","))}
}}

var leaseTable = table{columns{nameColumn(), column("Holder", coordinationv1.LeaseSpec{}.SwaggerDoc()["holderIdentity"]), ageColumn()},
	func(t moment, o object) []any {
		l := o.(*coordinationv1.Lease)
		holder := ""
		if l.Spec.HolderIdentity != nil {
			holder = *l.Spec.HolderIdentity
		}
		return []any{l.Name, holder, t.age(l.CreationTimestamp)}
	}}

var eventTable = table{columns{
	column("Last Seen", corev1.Event{}.SwaggerDoc()["lastTimestamp"]), column("Type", corev1.Event{}.SwaggerDoc()["type"]), column("Reason", corev1.Event{}.SwaggerDoc()["reason"]),
	column("Object", corev1.Event{}.SwaggerDoc()["involvedObject"]), column("Message", corev1.Event{}.SwaggerDoc()["message"]),
}, func(t moment, o object) []any {
	e := o.(*corev1.Event)
	seen := t.age(e.LastTimestamp)
	if e.LastTimestamp.IsZero() {
		seen = t.age(e.CreationTimestamp)
	}
	return []any{seen, e.Type, e.Reason, strings.ToLower(e.InvolvedObject.Kind) + "/" + e.InvolvedObject.Name, strings.TrimSpace(e.Message)}
}}

var clusterRoleTable = table{columns{nameColumn(), column("Created At", metaDocs["creationTimestamp"])}, createdAt}
var roleTable = table{columns{nameColumn(), column("Created At", metaDocs["creationTimestamp"])}, createdAt}

func createdAt(_ moment, o object) []any {
	return []any{meta(o).Name, meta(o).CreationTimestamp.UTC().Format(time.RFC3339)}
}

// roleRefDoc is the description of v1beta1, which upstream's columns have, and
// which ends a sentence earlier (golden i/52).
func roleRefDoc(docs map[string]string) string {
	return strings.TrimSuffix(docs["roleRef"], " This field is immutable.")
}

func bindingColumns(kind, roleDoc string) columns {
	return columns{nameColumn(), column("Role", roleDoc), ageColumn(),
		wide("Users", "Users in the "+kind), wide("Groups", "Groups in the "+kind), wide("ServiceAccounts", "ServiceAccounts in the "+kind)}
}

var clusterRoleBindingTable = table{bindingColumns("clusterRoleBinding", roleRefDoc(rbacv1.ClusterRoleBinding{}.SwaggerDoc())), func(t moment, o object) []any {
	b := o.(*rbacv1.ClusterRoleBinding)
	return bindingCells(t, o, b.RoleRef, b.Subjects)
}}

var roleBindingTable = table{bindingColumns("roleBinding", roleRefDoc(rbacv1.RoleBinding{}.SwaggerDoc())), func(t moment, o object) []any {
	b := o.(*rbacv1.RoleBinding)
	return bindingCells(t, o, b.RoleRef, b.Subjects)
}}

func bindingCells(t moment, o object, ref rbacv1.RoleRef, subjects []rbacv1.Subject) []any {
	by := map[string][]string{}
	for _, s := range subjects {
		name := s.Name
		if s.Kind == rbacv1.ServiceAccountKind {
			name = s.Namespace + "/" + s.Name
		}
		by[s.Kind] = append(by[s.Kind], name)
	}
	list := func(kind string) string { return strings.Join(by[kind], ", ") }
	return []any{meta(o).Name, ref.Kind + "/" + ref.Name, t.age(meta(o).CreationTimestamp), list(rbacv1.UserKind), list(rbacv1.GroupKind), list(rbacv1.ServiceAccountKind)}
}
