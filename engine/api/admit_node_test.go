package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// nodeTown is an API server with node-1 and node-2, and on node-1 the pod p with
// volumes of every kind that has to do with tokens.
func nodeTown(t *testing.T) *rig {
	g := newRig(t, "")
	const ns = "/api/v1/namespaces/default/"
	for _, n := range []string{"node-1", "node-2"} {
		g.create("/api/v1/nodes", `{"apiVersion":"v1","kind":"Node","metadata":{"name":"`+n+`"}}`)
	}
	g.create(ns+"serviceaccounts", `{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"app"}}`)
	for _, d := range []string{"inline", "claimed"} {
		g.create("/apis/storage.k8s.io/v1/csidrivers", `{"apiVersion":"storage.k8s.io/v1","kind":"CSIDriver","metadata":{"name":"`+d+`"},"spec":{"tokenRequests":[{"audience":"`+d+`"}]}}`)
	}
	g.create("/api/v1/persistentvolumes", `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"pv"},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"csi":{"driver":"claimed","volumeHandle":"h"}}}`)
	for _, c := range []string{"c", "p-e"} {
		g.create(ns+"persistentvolumeclaims", `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"`+c+`"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}},"volumeName":"pv"}}`)
	}
	pod := func(name, node, volumes string) {
		g.create(ns+"pods", fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q},"spec":{"nodeName":%q,"serviceAccountName":"app","containers":[{"name":"c","image":"i"}],"volumes":[%s]}}`, name, node, volumes))
	}
	pod("p", "node-1", `{"name":"t","projected":{"sources":[{"serviceAccountToken":{"audience":"projected","path":"t"}}]}},{"name":"i","csi":{"driver":"inline"}},{"name":"c","persistentVolumeClaim":{"claimName":"c"}}`)
	pod("lost", "node-1", `{"name":"c","persistentVolumeClaim":{"claimName":"gone"}},{"name":"d","csi":{"driver":"gone"}}`)
	pod("e", "node-1", `{"name":"e","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}}}`)
	pod("other", "node-2", `{"name":"c","persistentVolumeClaim":{"claimName":"c"}}`)
	return g
}

// sends is a request of node-1, and what it is told.
type sends struct {
	code           int
	method, url    string
	body, message  string
	audience, from string // of a token
}

func (g *rig) tells(rows []sends) {
	g.t.Helper()
	node := g.peer("system:node:node-1", "system:nodes")
	for _, r := range rows {
		code, out := g.ask(r.method, r.url, node, "", r.body)
		require.Equal(g.t, r.code, code, "%s %s: %v", r.method, r.url, out)
		if r.message != "" {
			require.Contains(g.t, out["message"], r.message, r.url)
		}
	}
}

// TestNodeRestrictionOfTokens: a node has tokens for audiences that its pod's volumes
// ask for, by themselves or through a CSI driver.
func TestNodeRestrictionOfTokens(t *testing.T) {
	g := nodeTown(t)
	var rows []sends
	for _, r := range []sends{
		{code: 201, from: "p", audience: `"projected"`}, {code: 201, from: "p", audience: `"inline"`}, {code: 201, from: "p", audience: `"claimed"`},
		{code: 403, from: "p", audience: `"moon"`, message: `audience "moon" not found in pod spec volume, system:node:node-1 is not authorized to request tokens for this audience`},
		{code: 403, from: "p", audience: `"projected","inline"`, message: "node may only request 0 or 1 audiences"},
		{code: 403, from: "lost", audience: `"moon"`, message: `error validating audience "moon": [persistentvolumeclaim "gone" not found, csidriver.storage.k8s.io "gone" not found]`},
		{code: 403, from: "e", audience: `"claimed"`, message: `error validating audience "claimed": persistentvolumeclaim "e-e" not found`},
		{code: 403, from: "other", audience: `"claimed"`, message: "node requested token bound to a pod scheduled on a different node"},
	} {
		_, pod := g.ask("GET", "/api/v1/namespaces/default/pods/"+r.from, g.admin(), "", "")
		uid := pod["metadata"].(map[string]any)["uid"]
		r.method, r.url = "POST", "/api/v1/namespaces/default/serviceaccounts/app/token"
		r.body = fmt.Sprintf(`{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"audiences":[%s],"boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":%q,"uid":%q}}}`, r.audience, r.from, uid)
		rows = append(rows, r)
	}
	g.tells(rows)
}

// TestNodeRestrictionOfClaimsAndSlices: what a node may say of its pods' claims, of
// its own devices, and in the status of a pod.
func TestNodeRestrictionOfClaimsAndSlices(t *testing.T) {
	g := nodeTown(t)
	const claim, slices = "/api/v1/namespaces/default/persistentvolumeclaims/c", "/apis/resource.k8s.io/v1/resourceslices"
	slice := func(name, node string) string {
		return `{"apiVersion":"resource.k8s.io/v1","kind":"ResourceSlice","metadata":{"name":"` + name + `"},"spec":{"driver":"d.example.com","pool":{"name":"p","resourceSliceCount":1},"nodeName":"` + node + `","devices":[{"name":"a","attributes":{"x":{"int":1}}}]}}`
	}
	g.create(slices, slice("theirs", "node-2"))
	const pods = "/api/v1/namespaces/default/pods/"
	g.tells([]sends{
		{code: 200, method: "GET", url: claim},
		{code: 403, method: "GET", url: claim + "x", message: "no relationship found between node 'node-1' and this object"},
		{code: 403, method: "GET", url: claim + "/status", message: "can only get/update/patch this type"},
		{code: 200, method: "GET", url: "/api/v1/persistentvolumes/pv"},
		{code: 403, method: "GET", url: "/api/v1/persistentvolumes/x", message: "no relationship found between node 'node-1' and this object"},
		{code: 403, method: "PUT", url: claim, body: `{}`, message: "can only get individual resources of this type"},
		{code: 403, method: "GET", url: "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims/x", message: "no relationship found between node 'node-1' and this object"},

		{code: 201, method: "POST", url: slices, body: slice("mine", "node-1")},
		{code: 403, method: "POST", url: slices, body: slice("x", "node-2"), message: "can only create ResourceSlice with the same NodeName as the requesting node"},
		{code: 200, method: "GET", url: slices + "/mine"},
		{code: 200, method: "PUT", url: slices + "/mine", body: slice("mine", "node-1")},
		{code: 403, method: "GET", url: slices + "/theirs", message: "no relationship found between node 'node-1' and this object"},
		{code: 403, method: "DELETE", url: slices + "/theirs", message: "no relationship found between node 'node-1' and this object"},
		{code: 403, method: "GET", url: slices, message: "can only list/watch/deletecollection resourceslices with nodeName field selector"},
		{code: 200, method: "GET", url: slices + "?fieldSelector=spec.nodeName%3Dnode-1"},
		{code: 403, method: "GET", url: slices + "/mine/status", message: "cannot authorize ResourceSlice subresources"},
		{code: 200, method: "DELETE", url: slices + "/mine"},

		{code: 403, method: "POST", url: "/apis/certificates.k8s.io/v1beta1/namespaces/default/podcertificaterequests", body: "{}", message: `cannot create resource "podcertificaterequests" in API group "certificates.k8s.io"`},
	})
	status := func(url, body, message string, code int) {
		r := g.do(g.peer("system:node:node-1", "system:nodes"), "PATCH", url+"/status", body, "Content-Type", "application/merge-patch+json")
		require.Equal(t, code, r.Code, string(r.Body))
		require.Contains(t, strings.ReplaceAll(string(r.Body), `\"`, `"`), message)
	}
	status(claim, `{"status":{"capacity":{"storage":"1Gi"},"conditions":[{"type":"Resizing","status":"True"}],"allocatedResources":{"storage":"1Gi"},"allocatedResourceStatuses":{"storage":"NodeResizePending"}}}`, "1Gi", 200)
	status(claim, `{"status":{"phase":"Bound"}}`, `node "node-1" is not allowed to update fields other than status.quantity and status.conditions: `, 403)
	status(claim, `{"metadata":{"labels":{"a":"b"}}}`, `node "node-1" is not allowed to update fields other than status.quantity and status.conditions: `, 403)
	status(pods+"p", `{"status":{"phase":"Running"}}`, "Running", 200)
	status(pods+"p", `{"status":{"resourceClaimStatuses":[{"name":"a"}]}}`, `node "node-1" cannot update resource claim statues`, 403)
	status(pods+"p", `{"status":{"extendedResourceClaimStatus":{"resourceClaimName":"a","requestMappings":[]}}}`, `node "node-1" cannot update extended resource claim status`, 403)
}

// TestNodeRestrictionOfMirrors: a mirror of a static pod has nothing to do with other
// objects.
func TestNodeRestrictionOfMirrors(t *testing.T) {
	g := nodeTown(t)
	_, n := g.ask("GET", "/api/v1/nodes/node-1", g.admin(), "", "")
	uid := n["metadata"].(map[string]any)["uid"]
	for spec, what := range map[string]string{
		`"resourceClaims":[{"name":"a"}]`:                                                                                                  "resourceclaims",
		`"volumes":[{"name":"v","csi":{"driver":"d"}}]`:                                                                                    "csidrivers (via CSI volumes)",
		`"volumes":[{"name":"v","glusterfs":{"endpoints":"e","path":"/"}}]`:                                                                "endpoints (via glusterFS volumes)",
		`"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}}]`:                                                               "persistentvolumeclaims",
		`"volumes":[{"name":"v","ephemeral":{}}]`:                                                                                          "persistentvolumeclaims (via ephemeral volumes)",
		`"volumes":[{"name":"v","projected":{"sources":[{"clusterTrustBundle":{"path":"t"}}]}}]`:                                           "clustertrustbundles",
		`"volumes":[{"name":"v","projected":{"sources":[{"podCertificate":{"signerName":"a.com/b","keyType":"RSA3072","keyPath":"k"}}]}}]`: "podcertificates",
	} {
		g.tells([]sends{{code: 403, method: "POST", url: "/api/v1/namespaces/default/pods", message: `node "node-1" can not create pods that reference ` + what,
			body: fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"m","annotations":{"kubernetes.io/config.mirror":"x"},"ownerReferences":[{"apiVersion":"v1","kind":"Node","name":"node-1","controller":true,"uid":%q}]},"spec":{"nodeName":"node-1","containers":[{"name":"c","image":"i"}],%s}}`, uid, spec)}})
	}
}
