package api

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// invalid is a row of what the API server has against an object: the kind, its fields
// besides the name, and the end of the message. Before | are fields of the metadata. With
// "->" the first version is created, and the second one is an update of it; with "~>" it
// is an update of its status.
type invalid struct{ kind, fields, message string }

func (rows refusals) run(t *testing.T, args string) {
	g := newRig(t, args)
	ns := func(plural string) string { return "/api/v1/namespaces/default/" + plural }
	paths := map[string]string{"ConfigMap": ns("configmaps"), "Secret": ns("secrets"), "Pod": ns("pods"), "Service": ns("services"), "Event": ns("events"), "Endpoints": ns("endpoints"), "PersistentVolumeClaim": ns("persistentvolumeclaims"),
		"PersistentVolume": "/api/v1/persistentvolumes", "Node": "/api/v1/nodes", "Namespace": "/api/v1/namespaces", "Lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases", "ServiceAccount": ns("serviceaccounts"),
		"Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
		"ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles", "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", "RuntimeClass": "/apis/node.k8s.io/v1/runtimeclasses",
		"CSINode": "/apis/storage.k8s.io/v1/csinodes", "CSIDriver": "/apis/storage.k8s.io/v1/csidrivers",
		"APIService": "/apis/apiregistration.k8s.io/v1/apiservices", "ResourceSlice": "/apis/resource.k8s.io/v1/resourceslices"}
	g.create(ns("serviceaccounts"), `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}`)
	object := func(kind, rest, version string) string {
		path := paths[kind]
		group := "v1"
		if parts := strings.Split(path, "/"); parts[1] == "apis" {
			group = parts[2] + "/v1"
		}
		name := "x"
		if kind == "APIService" {
			name = "v1.example.com"
		}
		meta := `"name":"` + name + `"` + version
		if m, r, ok := strings.Cut(rest, "|"); ok {
			if meta, rest = meta+","+m, r; strings.HasPrefix(m, `"generateName"`) || strings.HasPrefix(m, `"name"`) {
				meta = m + version
			}
		}
		if rest != "" {
			rest = "," + rest
		}
		return `{"apiVersion":"` + group + `","kind":"` + kind + `","metadata":{` + meta + `}` + rest + `}`
	}
	for _, row := range rows {
		t.Run(row.kind+" "+row.message[:min(len(row.message), 40)], func(t *testing.T) {
			path, sub := paths[row.kind], ""
			first, second, updates := strings.Cut(row.fields, " -> ")
			if before, after, ok := strings.Cut(row.fields, " ~> "); ok {
				first, second, updates, sub = before, after, true, "/status"
			}
			if !updates {
				require.Contains(t, g.refused(422, g.admin(), "POST", path, object(row.kind, first, "")), row.message)
				return
			}
			made := g.create(path, object(row.kind, first, ""))["metadata"].(map[string]any)
			path += "/" + made["name"].(string)
			defer func() {
				g.patched("merge-patch", path, `{"metadata":{"finalizers":null}}`)
				g.do(g.admin(), "DELETE", path, "")
			}()
			version := `,"resourceVersion":"` + made["resourceVersion"].(string) + `"`
			if second == "resourceVersion is left out" {
				second, version = first, ""
			}
			require.Contains(t, g.refused(422, g.admin(), "PUT", path+sub, object(row.kind, second, version)), row.message)
		})
	}
}

type refusals []invalid

// TestValidation: what the API server has against an object, in its words.
func TestValidation(t *testing.T) {
	const service = `"service":{"name":"s","namespace":"n"}`
	api := func(rest string) string {
		return `"spec":{"group":"example.com","version":"v1","groupPriorityMinimum":1,"versionPriority":1` + rest + `}`
	}
	refusals{
		{"ConfigMap", `"data":{"a":"1"},"binaryData":{"a":"Yg=="}`, `data[a]: Invalid value: "a": duplicate of key present in binaryData`},
		{"ConfigMap", `"data":{"a":"` + strings.Repeat("x", 1<<20+1) + `"}`, `[]: Too long: may not be more than 1048576 bytes`},
		{"ConfigMap", `"immutable":true,"data":{"a":"1"} -> "immutable":false,"data":{"a":"2"}`, "[immutable: Forbidden: field is immutable when `immutable` is set, data: Forbidden: field is immutable when `immutable` is set]"},
		{"ConfigMap", `"annotations":{"a":"` + strings.Repeat("x", 256<<10) + `"}|`, "metadata.annotations: Too long: may not be more than 262144 bytes"},
		{"ConfigMap", `"finalizers":["a b"]|`, `metadata.finalizers: Invalid value: "a b": name part must consist of`},
		{"ConfigMap", `"ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":""}]|`, `[metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty, metadata.ownerReferences.kind: Invalid value: "": must not be empty, metadata.ownerReferences.name: Invalid value: "": must not be empty, metadata.ownerReferences.uid: Invalid value: "": must not be empty]`},
		{"ConfigMap", `"ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"a","uid":"1","controller":true},{"apiVersion":"v1","kind":"Pod","name":"b","uid":"2","controller":true}]|`, `Only one reference can have Controller set to true. Found "true" in references for Pod/a and Pod/b`},
		{"Secret", `"type":"kubernetes.io/service-account-token"`, "metadata.annotations[kubernetes.io/service-account.name]: Required value"},
		{"Secret", `"type":"kubernetes.io/tls","data":{"tls.crt":""}`, "data[tls.key]: Required value"},
		{"Secret", `"type":"kubernetes.io/dockercfg"`, "data[.dockercfg]: Required value"},
		{"Secret", `"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"x"}`, `data[.dockerconfigjson]: Invalid value: "<secret contents redacted>": invalid character 'x' looking for beginning of value`},
		{"Secret", `"type":"kubernetes.io/basic-auth"`, "[data[username]: Required value, data[password]: Required value]"},
		{"Secret", `"type":"kubernetes.io/ssh-auth","data":{"ssh-privatekey":""}`, "data[ssh-privatekey]: Required value"},
		{"Secret", `"data":{"a":"` + base64.StdEncoding.EncodeToString(make([]byte, 1<<20+1)) + `"}`, "data: Too long: may not be more than 1048576 bytes"},
		{"Secret", `"type":"a" -> "type":"b"`, `type: Invalid value: "b": field is immutable`},
		{"Secret", `"immutable":true -> "immutable":true,"data":{"a":""}`, "data: Forbidden: field is immutable when `immutable` is set"},
		{"Namespace", `"spec":{"finalizers":["mine"]}`, `spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified`},
		{"Node", `"spec":{"taints":[{"key":"a","effect":"Never"},{"key":"b"},{"key":"b"}]}`, `[metadata.taints[0].effect: Unsupported value: "Never": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute", metadata.taints[1].effect: Required value, metadata.taints[2].effect: Required value, metadata.taints[2]: Duplicate value: {"Key":"b","Value":"","Effect":"","TimeAdded":null}: taints must be unique by key and effect pair]`},
		{"Node", `"spec":{"podCIDRs":["moon"]}`, `spec.podCIDRs[0]: Invalid value: "moon": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)`},
		{"Node", `"spec":{"podCIDRs":["10.0.0.0/24"],"providerID":"a"} -> "spec":{"podCIDRs":["10.0.1.0/24"],"providerID":"b"}`, `[spec.podCIDRs: Forbidden: node updates may not change podCIDR except from "" to valid, spec.providerID: Forbidden: node updates may not change providerID except from "" to valid]`},
		{"Lease", `"spec":{"leaseDurationSeconds":0,"leaseTransitions":-1,"preferredHolder":"a"}`, "[spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0, spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0, spec.preferredHolder: Forbidden: may only be specified if `strategy` is defined]"},
		{"Lease", `"spec":{} -> resourceVersion is left out`, `leases.coordination.k8s.io "x" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update`},
		{"Event", `"involvedObject":{"namespace":"kube-system"}`, `involvedObject.namespace: Invalid value: "kube-system": does not match event.namespace`},
		{"Event", `"eventTime":"2026-01-01T00:00:00.000000Z"`, "[reportingComponent: Required value, reportingComponent: Invalid value: \"\": name part must be non-empty"},
		{"Pod", `"spec":{}`, "spec.containers: Required value"},
		{"Pod", `"spec":{"containers":[{"name":"A"},{"name":"b","image":"i"},{"name":"b","image":"i"}]}`, `[spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist of`},
		{"Pod", `"spec":{"restartPolicy":"Sometimes","containers":[{"name":"a"}]}`, `[spec.containers[0].image: Required value, spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"]`},
		{"Pod", `"spec":{"volumes":[{"name":"v"},{"name":"v"}],"containers":[{"name":"a","image":"i","volumeMounts":[{"name":"w","mountPath":"/w"}]}]}`, `[spec.volumes[1].name: Duplicate value: "v", spec.containers[0].volumeMounts[0].name: Not found: "w"]`},
		{"Service", `"spec":{}`, "spec.ports: Required value"},
		{"Service", `"spec":{"type":"Moon","ports":[{"port":0,"protocol":"X"},{"port":1}]}`, `[spec.ports[0].name: Required value, spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive, spec.ports[0].protocol: Unsupported value: "X": supported values: "SCTP", "TCP", "UDP", spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive, spec.ports[1].name: Required value, spec.type: Unsupported value: "Moon": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]`},
		{"Endpoints", `"subsets":[{},{"addresses":[{"ip":"moon"}]}]`, "[subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`, subsets[1].addresses[0].ip: Invalid value: \"moon\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff), subsets[1].addresses[0].ip: Invalid value: \"moon\": must be a valid IP address]"},
		{"PersistentVolumeClaim", `"spec":{}`, "[spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required value]"},
		{"PersistentVolume", `"spec":{"accessModes":["Moon"],"capacity":{"storage":"1Gi"}}`, `[spec.accessModes: Unsupported value: "Moon": supported values: "ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod", spec: Required value: must specify a volume type]`},
		{"ClusterRole", `"rules":[],"aggregationRule":{}`, "aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"},
		{"ClusterRoleBinding", `"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"ServiceAccount","name":"A","namespace":"n"}]`, `subjects[0].name: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of`},
		{"RuntimeClass", `"handler":"A"`, `handler: Invalid value: "A": a lowercase RFC 1123 label must consist of`},
		{"ResourceSlice", `"spec":{"pool":{},"nodeName":"a","allNodes":true}`, "[spec.driver: Required value, spec.pool.name: Required value, spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero, spec: Invalid value: \"{`nodeName`, `allNodes`}\": exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set]"},
		{"APIService", `"spec":{"version":"V1"}`, `metadata.name: Invalid value: "v1.example.com": must be ` + "`spec.version+\".\"+spec.group`" + `: "V1."`},
		{"APIService", `"spec":{"version":"v2","groupPriorityMinimum":1,"versionPriority":1}`, `spec.group: Required value: only v1 may have an empty group and it better be legacy kube`},
		{"APIService", api(`,"caBundle":"eA==","insecureSkipTLSVerify":true`), `[spec.caBundle: Invalid value: "1 bytes": local APIServices may not have a caBundle, spec.insecureSkipTLSVerify: Invalid value: true: local APIServices may not have insecureSkipTLSVerify]`},
		{"APIService", api(`,"service":{"port":70000}`), `[spec.service.namespace: Required value, spec.service.name: Required value, spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive]`},
		{"APIService", api(`,"caBundle":"eA==","insecureSkipTLSVerify":true,` + service), `spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present`},
	}.run(t, "")
}

// TestABundleThatIsNone: nobody validates a caBundle. With one that is no PEM the
// condition stays what it was, and the log says why.
func TestABundleThatIsNone(t *testing.T) {
	g := newRig(t, "")
	g.create("/api/v1/namespaces/default/services", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"ports":[{"port":443}]}}`)
	const path = "/apis/apiregistration.k8s.io/v1/apiservices"
	for bundle, why := range map[string]string{
		"moon": "unable to parse bytes as PEM block",
		"-----BEGIN CERTIFICATE-----\nMTIz\n-----END CERTIFICATE-----\n": "failed to parse certificate: x509: malformed certificate",
		"-----BEGIN PRIVATE KEY-----\nMTIz\n-----END PRIVATE KEY-----\n": "no valid certificate authority data seen",
	} {
		g.create(path, `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.example.com"},"spec":{"group":"example.com","version":"v1","groupPriorityMinimum":1,"versionPriority":1,"service":{"name":"s","namespace":"default"},"caBundle":"`+base64.StdEncoding.EncodeToString([]byte(bundle))+`"}}`)
		require.Contains(t, g.logged(), `"Unhandled Error" err="v1.example.com failed with: unable to load root certificates: `+why+`" logger="UnhandledError"`)
		_, a := g.ask("GET", path+"/v1.example.com", g.admin(), "", "")
		require.Empty(t, a["status"])
		r := g.do(g.admin(), "GET", "/apis/example.com/v1", "")
		require.Equal(t, 503, r.Code)
		require.Equal(t, "service unavailable\n", string(r.Body))
		// One that was available answers with the reason.
		r = g.do(g.admin(), "PATCH", path+"/v1.example.com/status", `{"status":{"conditions":[{"type":"Available","status":"True"}]}}`, "Content-Type", "application/merge-patch+json")
		require.Equal(t, 200, r.Code, string(r.Body))
		r = g.do(g.admin(), "GET", "/apis/example.com/v1", "")
		require.Equal(t, 500, r.Code)
		require.Equal(t, "unable to load root certificates: "+why+"\n", string(r.Body))
		g.do(g.admin(), "DELETE", path+"/v1.example.com", "")
	}
}

// logged is the server's journal.
func (g *rig) logged() string {
	var b strings.Builder
	for _, o := range g.obs {
		if o.Kind == trace.Log {
			b.WriteString(o.Payload + "\n")
		}
	}
	return b.String()
}
