package api

import (
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/sim"
)

// resource is a row of the registry: what is served, and what is special about
// it. Functions that are nil do nothing.
type resource struct {
	Group, Version, Plural, Kind string // Version is that in which it is stored
	Namespaced                   bool
	Short, Categories            []string
	Hash                         string // storageVersionHash of discovery
	Verbs                        []string
	Subs                         []sub
	New                          func() object

	// defaults fills in what whoever sent the object left out, allocate gives it what it
	// asks for before anything else is looked at.
	defaults func(o object)
	allocate func(x *exchange, o, old object) error
	// prepare fills in and takes away what the server decides (old is nil at a
	// creation), validate says what is wrong, both for a subresource or "".
	prepare  func(x *exchange, o, old object, sub string)
	validate func(x *exchange, o, old object, sub string) field.ErrorList
	// guard refuses what gives away rights that the caller does not have.
	guard func(x *exchange, r *resource, o, old object) error
	// retire answers a deletion that only begins with the request; over tells
	// after an update that it ends with it.
	retire func(x *exchange, r *resource, current *Object, dry bool) (sim.Response, bool)
	over   func(o object) bool
	// returned: the answer to a deletion is the object, and no Status.
	returned bool
	// untracked lists top-level fields that managedFields leave out, by subresource.
	untracked map[string][]string
	// checkName says what is wrong with a name.
	checkName func(name string) []string
	// fields are what a fieldSelector can ask besides name and namespace.
	fields map[string]func(o object) string
	table  *table

	// What the release makes of it (see catalogOf): the versions that are served, the
	// fields that it does not know, whether objects link to themselves and lack
	// managedFields.
	versions          []string
	unknown           []string
	linked, unmanaged bool
	unnamed           bool // without a singular name in discovery
}

// sub is a subresource.
type sub struct {
	Name, Kind  string
	Verbs       []string
	Group, Vers string // of Kind, when it is another
	served      bool
	// answer serves a subresource that is no part of the stored object.
	answer func(x *exchange, r *resource) sim.Response
}

var (
	allVerbs = strings.Fields("create delete deletecollection get list patch update watch")
	rwVerbs  = strings.Fields("get patch update")
)

func part(name, kind string) sub { return sub{Name: name, Kind: kind, Verbs: rwVerbs, served: true} }

func (r *resource) gr() schema.GroupResource {
	return schema.GroupResource{Group: r.Group, Resource: r.Plural}
}
func (r *resource) gk() schema.GroupKind { return schema.GroupKind{Group: r.Group, Kind: r.Kind} }
func (r *resource) gv() schema.GroupVersion {
	return schema.GroupVersion{Group: r.Group, Version: r.Version}
}
func (r *resource) singular() string { return strings.ToLower(r.Kind) }

func (r *resource) sub(name string) *sub {
	for i := range r.Subs {
		if r.Subs[i].Name == name && (r.Subs[i].served || r.Subs[i].answer != nil) {
			return &r.Subs[i]
		}
	}
	return nil
}

// registry lists what is stored and served, in discovery's order within a group.
func registry() []*resource {
	return []*resource{
		{Version: "v1", Plural: "configmaps", Kind: "ConfigMap", Namespaced: true, Short: []string{"cm"}, Hash: "qFsyl6wFWjQ=", New: func() object { return new(corev1.ConfigMap) },
			checkName: subdomain, validate: configMap, table: &configMapTable},
		{Version: "v1", Plural: "endpoints", Kind: "Endpoints", Namespaced: true, Short: []string{"ep"}, Hash: "fWeeMqaN/OA=", New: func() object { return new(corev1.Endpoints) },
			checkName: subdomain, defaults: defaultEndpoints, validate: checkEndpoints, table: &endpointsTable},
		{Version: "v1", Plural: "events", Kind: "Event", Namespaced: true, Short: []string{"ev"}, Hash: "r2yiGXH7wu8=", New: func() object { return new(corev1.Event) },
			validate: checkEvent, table: &eventTable, fields: eventFields},
		{Version: "v1", Plural: "namespaces", Kind: "Namespace", Short: []string{"ns"}, Hash: "Q3oi5N2YM8M=", Verbs: strings.Fields("create delete get list patch update watch"), New: func() object { return new(corev1.Namespace) },
			Subs: []sub{{Name: "finalize", Kind: "Namespace", Verbs: []string{"update"}, served: true}, part("status", "Namespace")}, checkName: label, validate: checkNamespace, prepare: namespace, table: &namespaceTable,
			fields: map[string]func(object) string{"status.phase": func(o object) string { return string(o.(*corev1.Namespace).Status.Phase) }},
			retire: retireNamespace, over: namespaceOver,
			untracked: map[string][]string{"": {"status"}, "status": {"spec"}, "finalize": {"status"}}},
		{Version: "v1", Plural: "nodes", Kind: "Node", Short: []string{"no"}, Hash: "XwShjMxG9Fs=", New: func() object { return new(corev1.Node) },
			Subs: []sub{{Name: "proxy", Kind: "NodeProxyOptions", Verbs: strings.Fields("create delete get patch update"), answer: nodeProxy}, part("status", "Node")}, checkName: subdomain, defaults: defaultNode, validate: checkNode, prepare: node, table: &nodeTable,
			fields:    map[string]func(object) string{"spec.unschedulable": func(o object) string { return boolWord(o.(*corev1.Node).Spec.Unschedulable) }},
			untracked: statusApart},
		{Version: "v1", Plural: "persistentvolumeclaims", Kind: "PersistentVolumeClaim", returned: true, Namespaced: true, Short: []string{"pvc"}, Hash: "QWTyNDq0dC4=", New: func() object { return new(corev1.PersistentVolumeClaim) },
			Subs: []sub{part("status", "PersistentVolumeClaim")}, checkName: subdomain, defaults: defaultClaim, validate: checkClaim, prepare: claim, table: &plainTable, untracked: statusApart},
		{Version: "v1", Plural: "persistentvolumes", Kind: "PersistentVolume", returned: true, Short: []string{"pv"}, Hash: "HN/zwEC+JgM=", New: func() object { return new(corev1.PersistentVolume) },
			Subs: []sub{part("status", "PersistentVolume")}, checkName: subdomain, defaults: defaultVolumeObject, validate: checkVolume, prepare: volume, table: &plainTable, untracked: statusApart},
		{Version: "v1", Plural: "pods", Kind: "Pod", Namespaced: true, Short: []string{"po"}, Categories: []string{"all"}, Hash: "xPOwRZ+Yhw8=", New: func() object { return new(corev1.Pod) },
			Subs: podSubs, checkName: subdomain, defaults: defaultPod, validate: checkPod, prepare: pod, returned: true, table: &podTable, fields: podFields, untracked: statusApart},
		{Version: "v1", Plural: "secrets", Kind: "Secret", Namespaced: true, Hash: "S6u1pOWzb84=", New: func() object { return new(corev1.Secret) },
			checkName: subdomain, prepare: secret, validate: checkSecret, table: &secretTable,
			fields: map[string]func(object) string{"type": func(o object) string { return string(o.(*corev1.Secret).Type) }}},
		{Version: "v1", Plural: "serviceaccounts", Kind: "ServiceAccount", Namespaced: true, Short: []string{"sa"}, returned: true, Hash: "pbx9ZvyFpBE=", New: func() object { return new(corev1.ServiceAccount) },
			Subs: []sub{{Name: "token", Kind: "TokenRequest", Verbs: []string{"create"}, Group: "authentication.k8s.io", Vers: "v1", answer: requestToken}}, checkName: subdomain, table: &serviceAccountTable},
		{Version: "v1", Plural: "services", Kind: "Service", Namespaced: true, Short: []string{"svc"}, returned: true, Categories: []string{"all"}, Hash: "0/CO1lhkEBI=", New: func() object { return new(corev1.Service) },
			Subs:      []sub{{Name: "proxy", Kind: "ServiceProxyOptions", Verbs: strings.Fields("create delete get patch update"), answer: serviceProxy}, part("status", "Service")},
			checkName: label, defaults: defaultService, allocate: (*exchange).allocateService, validate: checkService, prepare: service, table: &serviceTable, fields: serviceFields, untracked: statusApart},

		{Group: "apiregistration.k8s.io", Version: "v1", Plural: "apiservices", Kind: "APIService", Categories: []string{"api-extensions"}, New: func() object { return new(apiService) },
			Subs: []sub{part("status", "APIService")}, checkName: subdomain, prepare: prepareAPIService, validate: validateAPIService, table: &apiServiceTable, untracked: statusApart},

		{Group: "certificates.k8s.io", Version: "v1", Plural: "certificatesigningrequests", Kind: "CertificateSigningRequest", Short: []string{"csr"}, Hash: "95fRKMXA+00=",
			New:  func() object { return new(certificatesv1.CertificateSigningRequest) },
			Subs: []sub{part("approval", "CertificateSigningRequest"), part("status", "CertificateSigningRequest")}, prepare: prepareCSR, validate: validateCSR, table: &csrTable,
			fields:    map[string]func(object) string{"spec.signerName": func(o object) string { return o.(*certificatesv1.CertificateSigningRequest).Spec.SignerName }},
			untracked: map[string][]string{"": {"spec", "status"}, "approval": {"spec"}, "status": {"spec"}}},
		{Group: "certificates.k8s.io", Version: "v1", Plural: "clustertrustbundles", Kind: "ClusterTrustBundle", New: func() object { return new(trustBundle) }, validate: validateTrust, table: &trustBundleTable,
			fields: map[string]func(object) string{"spec.signerName": func(o object) string { return o.(*trustBundle).Spec.SignerName }}},

		{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: "clusterrolebindings", Kind: "ClusterRoleBinding", Hash: "48tpQ8gZHFc=", New: func() object { return new(rbacv1.ClusterRoleBinding) },
			prepare: clusterRoleBinding, validate: checkClusterRoleBinding, guard: guardClusterRoleBinding, table: &clusterRoleBindingTable},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: "clusterroles", Kind: "ClusterRole", Hash: "bYE5ZWDrJ44=", New: func() object { return new(rbacv1.ClusterRole) },
			validate: checkClusterRole, guard: guardClusterRole, table: &clusterRoleTable},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: "rolebindings", Kind: "RoleBinding", Namespaced: true, Hash: "eGsCzGH6b1g=", New: func() object { return new(rbacv1.RoleBinding) },
			prepare: roleBinding, validate: checkRoleBinding, guard: guardRoleBinding, table: &roleBindingTable},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: "roles", Kind: "Role", Namespaced: true, Hash: "7FuwZcIIItM=", New: func() object { return new(rbacv1.Role) },
			validate: checkRole, guard: guardRole, table: &roleTable},

		{Group: "storage.k8s.io", Version: "v1", Plural: "csidrivers", Kind: "CSIDriver", returned: true, New: func() object { return new(storagev1.CSIDriver) }, checkName: subdomain, defaults: defaultDriver, validate: checkDriver, table: &plainTable},
		{Group: "storage.k8s.io", Version: "v1", Plural: "csinodes", Kind: "CSINode", returned: true, New: func() object { return new(storagev1.CSINode) }, checkName: subdomain, validate: checkCSINode, table: &plainTable},

		{Group: "coordination.k8s.io", Version: "v1", Plural: "leases", Kind: "Lease", Namespaced: true, New: func() object { return new(coordinationv1.Lease) }, checkName: subdomain, validate: checkLease, table: &leaseTable},

		{Group: "node.k8s.io", Version: "v1", Plural: "runtimeclasses", Kind: "RuntimeClass", New: func() object { return new(nodev1.RuntimeClass) }, checkName: subdomain, validate: checkRuntimeClass, table: &plainTable},

		{Group: "resource.k8s.io", Version: "v1", Plural: "resourceslices", Kind: "ResourceSlice", New: func() object { return new(deviceSlice) }, checkName: subdomain, validate: resourceSlice, table: &plainTable,
			fields: map[string]func(object) string{"spec.driver": func(o object) string { return o.(*deviceSlice).Spec.Driver },
				"spec.nodeName": func(o object) string { return sliceNode(o.(*deviceSlice)) }}},
	}
}

// rows are those of registry, in its order.
var rows []*resource

// statusApart: status is changed through /status only, and nothing else there.
var statusApart = map[string][]string{"": {"status"}, "status": {"spec"}}

var podSubs = []sub{
	{Name: "attach", Kind: "PodAttachOptions", Verbs: []string{"create", "get"}, answer: podStream},
	{Name: "binding", Kind: "Binding", Verbs: []string{"create"}},
	{Name: "ephemeralcontainers", Kind: "Pod", Verbs: rwVerbs},
	{Name: "eviction", Kind: "Eviction", Verbs: []string{"create"}, Group: "policy", Vers: "v1"},
	{Name: "exec", Kind: "PodExecOptions", Verbs: []string{"create", "get"}, answer: podStream},
	{Name: "log", Kind: "Pod", Verbs: []string{"get"}, answer: podLog},
	{Name: "portforward", Kind: "PodPortForwardOptions", Verbs: []string{"create", "get"}, answer: podStream},
	{Name: "proxy", Kind: "PodProxyOptions", Verbs: strings.Fields("create delete get patch update"), answer: podProxy},
	{Name: "resize", Kind: "Pod", Verbs: rwVerbs},
	part("status", "Pod"),
}

var podFields = map[string]func(object) string{
	"spec.nodeName":      func(o object) string { return o.(*corev1.Pod).Spec.NodeName },
	"spec.restartPolicy": func(o object) string { return string(o.(*corev1.Pod).Spec.RestartPolicy) },
	"status.phase":       func(o object) string { return string(o.(*corev1.Pod).Status.Phase) },
}

// A kubelet lists services by spec.clusterIP!=None.
var serviceFields = map[string]func(object) string{
	"spec.clusterIP": func(o object) string { return o.(*corev1.Service).Spec.ClusterIP },
	"spec.type":      func(o object) string { return string(o.(*corev1.Service).Spec.Type) },
}

var eventFields = map[string]func(object) string{
	"involvedObject.kind":      func(o object) string { return o.(*corev1.Event).InvolvedObject.Kind },
	"involvedObject.name":      func(o object) string { return o.(*corev1.Event).InvolvedObject.Name },
	"involvedObject.namespace": func(o object) string { return o.(*corev1.Event).InvolvedObject.Namespace },
	"involvedObject.uid":       func(o object) string { return string(o.(*corev1.Event).InvolvedObject.UID) },
	"reason":                   func(o object) string { return o.(*corev1.Event).Reason },
	"type":                     func(o object) string { return o.(*corev1.Event).Type },
}

func boolWord(b bool) string {
	if b {
		return "true"
	}
	return "false"
}

// resources finds rows by plural; no two groups here have the same. What a release
// makes of them is in its catalog.
var resources = map[string]*resource{}

// register fills the map; reviews.go calls it when its rows stand.
func register() {
	for _, r := range registry() {
		if r.Verbs == nil {
			r.Verbs = allVerbs
		}
		rows = append(rows, r)
		resources[r.Plural] = r
	}
}

func (r *resource) serves(verb string) bool { return slices.Contains(r.Verbs, verb) }
