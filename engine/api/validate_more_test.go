package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	ports    = `"ports":[{"port":80}]`
	longName = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
)

// TestServiceValidation: Models ValidateServiceCreate, ValidateServiceUpdate,
// ValidateServiceStatusUpdate and pkg/registry/core/service/storage. The words are those
// of the functions that stand before the rows.
func TestServiceValidation(t *testing.T) {
	svc := func(fields string) string { return `"spec":{` + fields + `}` }
	plain := svc(ports)
	lb := svc(`"type":"LoadBalancer",` + ports)
	refusals{
		// validateService
		{"Service", svc(`"type":"ExternalName","clusterIP":"10.96.0.9",` + ports), `[spec.clusterIPs: Forbidden: may not be set for ExternalName services, spec.externalName: Required value]`},
		{"Service", svc(`"type":"ExternalName","externalName":"A_b"`), `spec.externalName: Invalid value: "A_b": ` + longName},
		{"Service", svc(`"type":"NodePort","clusterIP":"None",` + ports), `spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services`},
		{"Service", svc(`"ports":[{"port":1,"name":"a","targetPort":"a_b","appProtocol":"a b"},{"port":1,"name":"a"}]`), `[spec.ports[0].targetPort: Invalid value: "a_b": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), spec.ports[0].appProtocol: Invalid value: "a b": name part must consist of`},
		{"Service", svc(`"ports":[{"port":1,"name":"a"},{"port":1,"name":"a"}]`), `[spec.ports[1].name: Duplicate value: "a", spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}]`},
		{"Service", svc(`"selector":{"a":"b c"},"sessionAffinity":"Moon",` + ports), `spec.selector: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters`},
		{"Service", svc(`"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":0}},` + ports), `spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0 and less than 86400`},
		{"Service", svc(`"externalIPs":["127.0.0.1","x"],` + ports), `[spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128), spec.externalIPs[1]: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)]`},
		{"Service", svc(`"ports":[{"port":80,"nodePort":30000}]`), `spec.ports[0].nodePort: Forbidden: may not be used when ` + "`type` is 'ClusterIP'"},
		{"Service", svc(`"loadBalancerSourceRanges":["10.0.0.1/8"],"allocateLoadBalancerNodePorts":true,"loadBalancerClass":"c",` + ports), "[spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer', spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length, spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer', spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer']"},
		{"Service", svc(`"externalTrafficPolicy":"Local","healthCheckNodePort":30000,"internalTrafficPolicy":"Moon","trafficDistribution":"Moon",` + ports), "[spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services, spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local', spec.internalTrafficPolicy: Unsupported value: \"Moon\": supported values: \"Cluster\", \"Local\", spec.trafficDistribution: Unsupported value: \"Moon\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"]"},
		// ValidateServiceClusterIPsRelatedFields, initIPFamilyFields
		{"Service", svc(`"clusterIP":"moon",` + ports), `Service "x" is invalid: spec.clusterIPs[0]: Invalid value: "moon": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`},
		{"Service", svc(`"clusterIP":"10.96.0.9","clusterIPs":["10.96.0.10"],` + ports), "spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: first value must match `clusterIP`"},
		{"Service", svc(`"ipFamilies":["IPv9","IPv4"],"ipFamilyPolicy":"Moon",` + ports), `[spec.ipFamilies[0]: Unsupported value: "IPv9": supported values: "IPv4", "IPv6", spec.ipFamilyPolicy: Unsupported value: "Moon": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"]`},
		{"Service", svc(`"ipFamilyPolicy":"RequireDualStack",` + ports), `spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services`},
		{"Service", svc(`"ipFamilies":["IPv6"],` + ports), `spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster`},
		{"Service", svc(`"clusterIP":"fd00::1",` + ports), `spec.clusterIPs[0]: Invalid value: ["fd00::1"]: IPv6 is not configured on this cluster`},
		// allocIPs, initNodePorts, ipallocator, portallocator
		{"Service", svc(`"clusterIP":"10.96.0.0",` + ports), `spec.clusterIPs: Invalid value: ["10.96.0.0"]: failed to allocate IP 10.96.0.0: the provided IP (10.96.0.0) is not in the valid range. The range of valid IPs is 10.96.0.0/16`},
		{"Service", svc(`"clusterIP":"10.1.0.1",` + ports), `failed to allocate IP 10.1.0.1: the provided network does not match the current range`},
		{"Service", svc(`"clusterIP":"10.96.0.1",` + ports), `failed to allocate IP 10.96.0.1: provided IP is already allocated`},
		{"Service", svc(`"type":"NodePort","ports":[{"port":80,"nodePort":80}]`), `spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767`},
		// ValidateServiceUpdate
		{"Service", svc(`"clusterIP":"10.96.0.9",`+ports) + " -> " + svc(`"clusterIP":"10.96.0.10",`+ports), `spec.clusterIPs[0]: Invalid value: ["10.96.0.10"]: may not change once set`},
		{"Service", plain + " -> " + svc(`"clusterIP":"None",`+ports), `may not change once set`},
		{"Service", lb + " -> " + svc(`"type":"LoadBalancer","loadBalancerClass":"c",`+ports), `spec.loadBalancerClass: Invalid value: "c": may not change once set`},
		// ValidateLoadBalancerStatus
		{"Service", plain + ` ~> "status":{"loadBalancer":{"ingress":[{"ip":"1.1.1.1"}]}}`, "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"},
		{"Service", lb + ` ~> "status":{"loadBalancer":{"ingress":[{"ip":"x","ipMode":"Moon"},{"hostname":"1.1.1.1","ipMode":"VIP"}]}}`, "[status.loadBalancer.ingress[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), status.loadBalancer.ingress[0].ipMode: Unsupported value: \"Moon\": supported values: \"Proxy\", \"VIP\", status.loadBalancer.ingress[1].ipMode: Forbidden: may not be specified when `ip` is not set, status.loadBalancer.ingress[1].hostname: Invalid value: \"1.1.1.1\": must be a DNS name, not an IP address]"},
		// validateEndpointAddress, validateEndpointPort
		{"Endpoints", `"subsets":[{"addresses":[{"ip":"169.254.1.1","hostname":"A","nodeName":"B"}],"ports":[{"port":0},{"port":1,"protocol":"X"}]}]`, `subsets[0].addresses[0].ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10), subsets[0].ports[0].name: Required value, subsets[0].ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, subsets[0].ports[1].name: Required value, subsets[0].ports[1].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"]`},
	}.run(t, "--service-cluster-ip-range=10.96.0.0/16")
}

// TestServiceAllocation: what a Service is given, and keeps.
func TestServiceAllocation(t *testing.T) {
	g := newRig(t, "--service-cluster-ip-range=10.96.0.0/28 --service-node-port-range=30000-30001")
	const path = "/api/v1/namespaces/default/services"
	spec := func(name string) map[string]any {
		_, out := g.ask("GET", path+"/"+name, g.admin(), "", "")
		return out["spec"].(map[string]any)
	}
	g.create(path, `{"metadata":{"name":"a"},"spec":{"type":"NodePort","ports":[{"name":"t","port":53},{"name":"u","port":53,"protocol":"UDP"}]}}`)
	a := spec("a")
	require.Equal(t, a["ports"].([]any)[0].(map[string]any)["nodePort"], a["ports"].([]any)[1].(map[string]any)["nodePort"])
	require.EqualValues(t, 53, a["ports"].([]any)[0].(map[string]any)["targetPort"])
	require.Equal(t, []any{"IPv4"}, a["ipFamilies"])
	// The same again changes nothing; another type gives the port back, another name the address.
	r := g.do(g.admin(), "PUT", path+"/a", `{"metadata":{"name":"a"},"spec":{"type":"NodePort","ports":[{"name":"t","port":53},{"name":"u","port":53,"protocol":"UDP"}]}}`)
	require.Equal(t, 200, r.Code, string(r.Body))
	require.Equal(t, a, spec("a"))
	r = g.do(g.admin(), "PUT", path+"/a", `{"metadata":{"name":"a"},"spec":{"type":"ExternalName","externalName":"b"}}`)
	require.Equal(t, 200, r.Code, string(r.Body))
	require.NotContains(t, spec("a"), "clusterIP")
	// 14 addresses are in the range, of which the API has one.
	for i := range 13 {
		g.create(path, `{"metadata":{"generateName":"s-"},"spec":{"ports":[{"port":80}]}}`)
		_ = i
	}
	require.Equal(t, `Internal error occurred: failed to allocate a serviceIP for Service "z": range is full`, g.refused(500, g.admin(), "POST", path, `{"metadata":{"name":"z"},"spec":{"ports":[{"port":80}]}}`))
}

// TestStorageValidation: Models ValidatePersistentVolumeClaim, ValidatePersistentVolume
// and their updates, ValidateCSIDriver and ValidateCSINode.
func TestStorageValidation(t *testing.T) {
	claim := func(fields string) string {
		return `"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}` + comma(fields) + `}`
	}
	volume := func(fields string) string {
		return `"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"}` + comma(fields) + `}`
	}
	host := volume(`"hostPath":{"path":"/a"}`)
	refusals{
		// ValidatePersistentVolumeClaimSpec
		{"PersistentVolumeClaim", `"spec":{"accessModes":["ReadWriteOncePod","ReadWriteMany"],"selector":{"matchExpressions":[{"key":"a","operator":"Like"}]},"volumeMode":"Moon","storageClassName":"A","resources":{"requests":{"storage":"0"}}}`,
			`[spec.selector.matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator, spec.accessModes: Forbidden: may not use ReadWriteOncePod with other access modes, spec.resources[storage]: Invalid value: "0": must be greater than zero, spec.storageClassName: Invalid value: "A": ` + longName},
		{"PersistentVolumeClaim", claim(`"dataSourceRef":{"kind":"Pod","name":""}`), `[spec.dataSource.name: Required value, spec.dataSource: Invalid value: "Pod": must be 'PersistentVolumeClaim' when referencing the default apiGroup, spec.dataSourceRef.name: Required value, spec.dataSourceRef: Invalid value: "Pod": must be 'PersistentVolumeClaim' when referencing the default apiGroup]`},
		// ValidatePersistentVolumeClaimUpdate
		{"PersistentVolumeClaim", claim("") + " -> " + claim(`"volumeMode":"Block"`), `[spec: Forbidden: spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims` + "\n" + `, volumeMode: Invalid value: "Block": field is immutable]`},
		// ValidatePersistentVolumeClaimStatusUpdate
		{"PersistentVolumeClaim", claim("") + ` ~> "status":{"capacity":{"storage":"-1"},"allocatedResources":{"cpu":"1"}}`, `[status.capacity[storage]: Invalid value: -1: must be a valid resource quantity, status.allocatedResources: Unsupported value: "cpu": supported values: "storage"]`},
		// ValidatePersistentVolumeSpec
		{"PersistentVolume", volume(`"hostPath":{"path":"/"},"persistentVolumeReclaimPolicy":"Recycle","nfs":{"server":"s","path":"/"}`), `[spec.nfs: Forbidden: may not specify more than 1 volume type, spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/']`},
		{"PersistentVolume", volume(`"local":{"path":"/a"}`), `spec.nodeAffinity: Required value: Local volume requires node affinity`},
		{"PersistentVolume", volume(`"csi":{"driver":"d","volumeHandle":"","nodePublishSecretRef":{"name":"n"}},"persistentVolumeReclaimPolicy":"No"`), `[spec.persistentVolumeReclaimPolicy: Unsupported value: "No": supported values: "Delete", "Recycle", "Retain", spec.csi.volumeHandle: Required value, spec.csi.nodePublishSecretRef.namespace: Required value]`},
		// ValidatePersistentVolumeUpdate
		{"PersistentVolume", host + " -> " + volume(`"hostPath":{"path":"/b"}`), "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation\n"},
		// validateCSIDriverSpec, ValidateCSIDriverUpdate
		{"CSIDriver", `"spec":{"fsGroupPolicy":"Moon","tokenRequests":[{"audience":"a"},{"audience":"a"},{"audience":"b","expirationSeconds":5}],"volumeLifecycleModes":["Moon"],"nodeAllocatableUpdatePeriodSeconds":5}`, `[spec.fsGroupPolicy: Unsupported value: "Moon": supported values: "File", "None", "ReadWriteOnceWithFSType", spec.tokenRequests[1].audience: Duplicate value: "a", spec.tokenRequests[2].expirationSeconds: Invalid value: 5: may not specify a duration less than 10 minutes, spec.volumeLifecycleModes: Unsupported value: "Moon": supported values: "Persistent", "Ephemeral", spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 5: must be greater than or equal to 10 seconds]`},
		{"CSIDriver", `"spec":{} -> "spec":{"attachRequired":false}`, `spec.attachedRequired: Invalid value: false: field is immutable`},
		// validateCSINodeDriver, ValidateCSINodeUpdate
		{"CSINode", `"spec":{"drivers":[{"name":"A b","nodeID":"","topologyKeys":["","k","k"],"allocatable":{"count":-1}},{"name":"A b","nodeID":"n"}]}`, `[spec.drivers[0].name: Invalid value: "A b": ` + longName},
		{"CSINode", `"spec":{"drivers":[{"name":"a","nodeID":"","topologyKeys":["k","k"],"allocatable":{"count":-1}},{"name":"a","nodeID":"n"}]}`, `[spec.drivers[0].nodeID: Required value, spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0, spec.drivers[0]: Duplicate value: "k", spec.drivers[1].name: Duplicate value: "a"]`},
		{"CSINode", `"spec":{"drivers":[{"name":"a","nodeID":"n"}]} -> "spec":{"drivers":[{"name":"a","nodeID":"m"}]}`, `spec.drivers: Invalid value: {"Name":"a","NodeID":"m","TopologyKeys":null,"Allocatable":null}: field is immutable`},
	}.run(t, "")
}

// TestNodeValidation: Models ValidateNode, ValidateNodeUpdate, ValidateRuntimeClass,
// ValidateLeaseSpec and ValidateResourceSlice.
func TestNodeValidation(t *testing.T) {
	refusals{
		{"Node", `"spec":{"podCIDRs":["10.0.0.1/24"]}`, `spec.podCIDRs[0]: Invalid value: "10.0.0.1/24": must not have bits set beyond the prefix length`},
		{"Node", `"spec":{"podCIDRs":["10.0.0.0/24","10.0.1.0/24"]}`, `spec.podCIDRs: Invalid value: ["10.0.0.0/24","10.0.1.0/24"]: may specify no more than one CIDR for each IP family`},
		{"Node", `"status":{"capacity":{"pods":"1500m","cpu":"-1"},"declaredFeatures":["b","A"]}`, `[status.capacity.cpu: Invalid value: "-1": must be greater than or equal to 0, status.capacity.pods: Invalid value: "1500m": must be an integer, ` +
			`status.allocatable.cpu: Invalid value: "-1": must be greater than or equal to 0, status.allocatable.pods: Invalid value: "1500m": must be an integer, status.declaredFeatures[0]: Invalid value: "b": invalid feature name "b": must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes, status.declaredFeatures[1]: Invalid value: "A": list must be sorted alphabetically]`},
		{"Node", `"annotations":{"scheduler.alpha.kubernetes.io/taints":"moon"}|`, `metadata.annotations: Invalid value: "scheduler.alpha.kubernetes.io/taints": invalid character 'm' looking for beginning of value`},
		{"Node", ` ~> "status":{"addresses":[{"type":"InternalIP","address":"a"},{"type":"InternalIP","address":"a"}]}`, `status.addresses[1]: Duplicate value: {"Type":"InternalIP","Address":"a"}`},
		{"Node", ` -> "spec":{"configSource":{"configMap":{"namespace":"A","uid":"u"}}}`, `[spec.configSource.configMap.uid: Forbidden: uid must not be set in spec, spec.configSource.configMap.namespace: Invalid value: "A": a lowercase RFC 1123 label must consist of`},
		{"Node", ` -> "spec":{"externalID":"e"}`, `spec.externalID: Forbidden: may not be updated`},
		{"Lease", `"spec":{"strategy":"Moon"}`, `spec.strategy.strategy: Unsupported value: "Moon": supported values: "OldestEmulationVersion"`},
		{"Lease", `"spec":{"strategy":"a b/c"}`, `spec.strategy.strategy: Invalid value: "a b/c": prefix part a lowercase RFC 1123 subdomain must consist of`},
		{"RuntimeClass", `"handler":"a","overhead":{"podFixed":{"moon":"1"}},"scheduling":{"nodeSelector":{"a b":""},"tolerations":[{"key":"k","operator":"Exists"},{"key":"k","operator":"Exists"}]}`, `scheduling.tolerations[1]: Duplicate value: {"Key":"k","Operator":"Exists","Value":"","Effect":"","TolerationSeconds":null}`},
		{"RuntimeClass", `"handler":"a" -> "handler":"b"`, `handler: Invalid value: "b": field is immutable`},
		{"ResourceSlice", `"spec":{"driver":"d","pool":{"name":"a//b","resourceSliceCount":1},"nodeName":"A"}`, `[spec.pool.name: Invalid value: "": ` + longName},
		{"ResourceSlice", `"spec":{"driver":"d","pool":{"name":"p","resourceSliceCount":1},"nodeSelector":{"nodeSelectorTerms":[]},"allNodes":false,"devices":[],"sharedCounters":[]}`, "[spec.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term, spec.nodeSelector.nodeSelectorTerms: Invalid value: []: must have exactly one node selector term, spec.allNodes: Invalid value: false: must be either unset or set to true, spec: Invalid value: \"\": only one of `sharedCounters` or `devices` is allowed]"},
	}.run(t, "")
}

// TestMetadataValidation: what all objects have (Models apimachinery/pkg/api/validation
// ValidateObjectMetaAccessor and ValidateObjectMetaAccessorUpdate), and RBAC and
// Namespaces.
func TestMetadataValidation(t *testing.T) {
	refusals{
		{"ConfigMap", `"generateName":"A--"|`, `[metadata.generateName: Invalid value: "A--": ` + longName},
		{"ConfigMap", `"generation":-1|`, `metadata.generation: Invalid value: -1: must be greater than or equal to 0`},
		{"ConfigMap", `"labels":{"a b":"c d"}|`, `[metadata.labels: Invalid value: "a b": name part must consist of`},
		{"ConfigMap", `"annotations":{"a/b/c":""}|`, `metadata.annotations: Invalid value: "a/b/c": a valid label key must consist of`},
		{"ConfigMap", `"ownerReferences":[{"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}]|`, `metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}: /v1, Kind=Event is disallowed from being an owner`},
		{"ConfigMap", `"finalizers":["orphan","foregroundDeletion"]|`, `metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set`},
		{"ConfigMap", ` -> "labels":{"a":"c d"}|`, `metadata.labels: Invalid value: "c d": a valid label must be an empty string or consist of`},
		{"ConfigMap", ` -> "deletionTimestamp":"2026-01-01T00:00:00Z"|`, `metadata.deletionTimestamp: Invalid value: "2026-01-01T00:00:00Z": field is immutable`},
		{"ServiceAccount", `"name":"A"|`, `ServiceAccount "A" is invalid: metadata.name: Invalid value: "A": ` + longName},
		{"Event", `"name":"a/b"|"involvedObject":{}`, `Event "a/b" is invalid: metadata.name: Invalid value: "a/b": may not contain '/'`},
		{"Namespace", ` ~> "status":{"phase":"Moon"}`, "status.Phase: Invalid value: \"Moon\": may only be 'Active' if `deletionTimestamp` is empty"},
		// ValidatePolicyRule, ValidateClusterRole, ValidateRoleBinding
		{"Role", `"rules":[{"nonResourceURLs":["/a"]},{"verbs":["get"]}]`, `[rules[0].verbs: Required value: verbs must contain at least one value, rules[0].nonResourceURLs: Invalid value: ["/a"]: namespaced rules cannot apply to non-resource URLs, rules[1].apiGroups: Required value: resource rules must supply at least one api group, rules[1].resources: Required value: resource rules must supply at least one resource]`},
		{"ClusterRole", `"aggregationRule":{"clusterRoleSelectors":[{"matchExpressions":[{"key":"a","operator":"Like"}]}]}`, `[aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "Like": not a valid selector operator, aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.]`},
		{"RoleBinding", `"roleRef":{"apiGroup":"x","kind":"Moon","name":"a/b"},"subjects":[{"kind":"ServiceAccount","name":"a","apiGroup":"x"},{"kind":"Moon"}]`, `[roleRef.apiGroup: Unsupported value: "x": supported values: "rbac.authorization.k8s.io", roleRef.kind: Unsupported value: "Moon": supported values: "Role", "ClusterRole", roleRef.name: Invalid value: "a/b": may not contain '/', ` +
			`subjects[0].apiGroup: Unsupported value: "x": supported values: "", subjects[1].name: Required value, subjects[1].kind: Unsupported value: "Moon": supported values: "ServiceAccount", "User", "Group"]`},
	}.run(t, "")
}

// TestCauses: an update's metadata are looked at more than once, and each time leaves a
// cause (Models rest.BeforeUpdate).
func TestCauses(t *testing.T) {
	g := newRig(t, "")
	g.create(configMap1, `{"metadata":{"name":"a"}}`)
	_, out := g.ask("PUT", configMap1+"/a", g.admin(), "", `{"metadata":{"name":"a","labels":{"a":"c d"}}}`)
	details := out["details"].(map[string]any)
	require.Equal(t, "ConfigMap", details["kind"])
	causes := details["causes"].([]any)
	require.Len(t, causes, 4)
	require.Equal(t, "metadata.labels", causes[0].(map[string]any)["field"])
	require.Equal(t, "FieldValueInvalid", causes[0].(map[string]any)["reason"])
	require.Equal(t, 1, strings.Count(out["message"].(string), "c d"))
}
