package api_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// What an API server does in the release before and after each change.

// release is a server of a release, asked as the recorder's identities.
type release struct {
	*replay
	t *testing.T
}

func of(t *testing.T, minor string) *release {
	t.Helper()
	return &release{newReplayOf(t, minor, "release", usualFlags), t}
}

const csrs = "certificatesigningrequests"

// at is the path of a group's resources in a version; "" is the preferred one.
func (r *release) at(group, version, plural string) string {
	if version == "" {
		return era.Path(r.era, group, plural)
	}
	return "/apis/" + group + "/" + version + "/" + plural
}

// do sends JSON, and gives the code and the body.
func (r *release) do(as, method, url, body string, header ...string) (int, map[string]any, sim.Response) {
	r.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	resp := r.send(r.t, method, url, as, h, []byte(body))
	var out map[string]any
	if len(resp.Body) > 0 && resp.Body[0] == '{' {
		require.NoError(r.t, json.Unmarshal(resp.Body, &out))
	}
	return resp.Code, out, resp
}

// request is a request for a certificate, as it stands in a CSR.
func (r *release) request(req pki.Request) string {
	b, err := pki.NewRequest(pki.Keyring{Seed: "release"}.ECDSA("x"), req)
	require.NoError(r.t, err)
	text, err := json.Marshal(b)
	require.NoError(r.t, err)
	return string(text)
}

var nodeSubject = pkix.Name{CommonName: "system:node:node-x", Organization: []string{"system:nodes"}}

const (
	clientUsages  = `"usages":["digital signature","key encipherment","client auth"]`
	servingUsages = `"usages":["digital signature","key encipherment","server auth"]`
)

// csr makes a CSR of a node's client certificate.
func (r *release) csr(version, name, spec string) (int, map[string]any) {
	r.t.Helper()
	code, out, _ := r.do(admin, "POST", r.at("certificates.k8s.io", version, csrs), `{"metadata":{"name":"`+name+`"},"spec":{"request":`+r.request(pki.Request{Subject: nodeSubject})+","+spec+`}}`)
	return code, out
}

func field(o map[string]any, path string) any {
	var v any = o
	for p := range strings.SplitSeq(path, ".") {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestRefusalInEachRelease(t *testing.T) {
	for minor, want := range map[string]string{
		"1.7":  `User "alice" cannot list certificatesigningrequests.certificates.k8s.io at the cluster scope.`,
		"1.8":  `certificatesigningrequests.certificates.k8s.io is forbidden: User "alice" cannot list certificatesigningrequests.certificates.k8s.io at the cluster scope.`,
		"1.9":  `certificatesigningrequests.certificates.k8s.io is forbidden: User "alice" cannot list certificatesigningrequests.certificates.k8s.io at the cluster scope`,
		"1.11": `certificatesigningrequests.certificates.k8s.io is forbidden: User "alice" cannot list certificatesigningrequests.certificates.k8s.io at the cluster scope`,
		"1.12": `certificatesigningrequests.certificates.k8s.io is forbidden: User "alice" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope: no RBAC policy matched`,
		"1.13": `certificatesigningrequests.certificates.k8s.io is forbidden: User "alice" cannot list resource "certificatesigningrequests" in API group "certificates.k8s.io" at the cluster scope`,
	} {
		r := of(t, minor)
		code, out, resp := r.do("alice", "GET", r.at("certificates.k8s.io", "", csrs), "")
		require.Equal(t, 403, code)
		if minor == "1.7" {
			require.Equal(t, want, string(resp.Body))
			continue
		}
		require.Equal(t, want, out["message"], minor)
	}
}

// The group system:masters passes by RBAC's binding, and since 1.26 without it.
func TestMastersInEachRelease(t *testing.T) {
	for minor, want := range map[string]int{"1.25": 403, "1.26": 200} {
		r := of(t, minor)
		r.must(t, "DELETE", r.at("rbac.authorization.k8s.io", "", "clusterrolebindings")+"/cluster-admin", nil)
		code, _, _ := r.do(admin, "GET", "/api/v1/nodes", "")
		require.Equal(t, want, code, minor)
	}
}

func TestServedVersionsOfRequests(t *testing.T) {
	for minor, want := range map[string][2]int{"1.7": {200, 404}, "1.18": {200, 404}, "1.19": {200, 200}, "1.21": {200, 200}, "1.22": {404, 200}, "1.37": {404, 200}} {
		r := of(t, minor)
		beta, _, _ := r.do(admin, "GET", r.at("certificates.k8s.io", "v1beta1", csrs), "")
		v1, out, _ := r.do(admin, "GET", r.at("certificates.k8s.io", "v1", csrs), "")
		require.Equal(t, want, [2]int{beta, v1}, minor)
		if v1 == 404 {
			require.Equal(t, "the server could not find the requested resource", out["message"])
		}
	}
}

func TestSignerNameInEachRelease(t *testing.T) {
	r := of(t, "1.17")
	_, out := r.csr("v1beta1", "a", clientUsages+`,"signerName":"example.com/a"`)
	require.Nil(t, field(out, "spec.signerName"), "1.17 does not know the field")

	for minor := range map[string]bool{"1.18": true, "1.21": true} {
		r = of(t, minor)
		_, out = r.csr("v1beta1", "client", clientUsages)
		require.Equal(t, "kubernetes.io/kube-apiserver-client-kubelet", field(out, "spec.signerName"), minor)
		_, out = r.csr("v1beta1", "other", `"usages":["client auth"]`)
		require.Equal(t, "kubernetes.io/legacy-unknown", field(out, "spec.signerName"), minor)
		_, out = r.csr("v1beta1", "none", `"signerName":"kubernetes.io/kube-apiserver-client"`)
		require.Equal(t, []any{"digital signature", "key encipherment"}, field(out, "spec.usages"), "v1beta1 fills in usages")
		serving := r.request(pki.Request{Subject: nodeSubject, DNS: []string{"node-x"}, IPs: []net.IP{net.IPv4(10, 0, 0, 1).To4()}})
		_, out, _ = r.do(admin, "POST", r.at("certificates.k8s.io", "v1beta1", csrs), `{"metadata":{"name":"serving"},"spec":{"request":`+serving+","+servingUsages+`}}`)
		require.Equal(t, "kubernetes.io/kubelet-serving", field(out, "spec.signerName"), minor)
		_, out = r.csr("v1beta1", "bad", clientUsages+`,"signerName":"nodomain"`)
		require.Contains(t, out["message"], "must be a fully qualified domain and path")
	}

	for minor, words := range map[string]string{"1.19": ": signerName must be provided", "1.25": ": signerName must be provided", "1.26": ""} {
		r = of(t, minor)
		code, out := r.csr("v1", "a", clientUsages)
		require.Equal(t, 422, code)
		require.Equal(t, `CertificateSigningRequest.certificates.k8s.io "a" is invalid: spec.signerName: Required value`+words, out["message"], minor)
		code, out = r.csr("v1", "b", clientUsages+`,"signerName":"kubernetes.io/legacy-unknown"`)
		require.Equal(t, 422, code)
		require.Contains(t, out["message"], "the legacy signerName is not allowed via this API version")
		code, out = r.csr("v1", "c", `"usages":["bogus"],"signerName":"example.com/a"`)
		require.Equal(t, 422, code)
		require.Contains(t, out["message"], `Unsupported value: "bogus"`)
	}
}

func TestExpirationInEachRelease(t *testing.T) {
	const spec = clientUsages + `,"signerName":"example.com/a","expirationSeconds":`
	r := of(t, "1.21")
	code, out := r.csr("v1", "a", spec+"599")
	require.Equal(t, 201, code)
	require.Nil(t, field(out, "spec.expirationSeconds"))
	r = of(t, "1.22")
	code, out = r.csr("v1", "a", spec+"599")
	require.Equal(t, 422, code)
	require.Contains(t, out["message"], "may not specify a duration less than 600 seconds (10 minutes)")
	_, out = r.csr("v1", "b", spec+"600")
	require.Equal(t, 600.0, field(out, "spec.expirationSeconds"))
}

// condition puts a condition into a CSR through a subresource.
func (r *release) condition(version, name, sub, list string) (int, map[string]any) {
	r.t.Helper()
	url := r.at("certificates.k8s.io", version, csrs) + "/" + name
	_, o, _ := r.do(admin, "GET", url, "")
	var conditions any
	require.NoError(r.t, json.Unmarshal([]byte(list), &conditions))
	o["status"] = map[string]any{"conditions": conditions}
	b, err := json.Marshal(o)
	require.NoError(r.t, err)
	code, out, _ := r.do(admin, "PUT", url+"/"+sub, string(b))
	return code, out
}

func TestConditionsInEachRelease(t *testing.T) {
	const approved, both = `[{"type":"Approved","reason":"R"}]`, `[{"type":"Approved","reason":"R"},{"type":"Denied","reason":"R"}]`
	for minor, want := range map[string]string{
		"1.8":  `{"lastUpdateTime":null,"reason":"R","type":"Approved"}`,
		"1.9":  `{"lastUpdateTime":"2026-11-23T02:27:02Z","reason":"R","type":"Approved"}`,
		"1.18": `{"lastUpdateTime":"2026-11-23T02:27:02Z","reason":"R","type":"Approved"}`,
		"1.19": `{"lastTransitionTime":"2026-11-23T02:27:02Z","lastUpdateTime":"2026-11-23T02:27:02Z","reason":"R","status":"True","type":"Approved"}`,
	} {
		r := of(t, minor)
		r.csr("v1beta1", "a", clientUsages)
		code, out := r.condition("v1beta1", "a", "approval", approved)
		require.Equal(t, 200, code)
		b, _ := json.Marshal(field(out, "status.conditions").([]any)[0])
		require.Equal(t, want, string(b), minor)
	}

	// Both at once, and taken away again: nothing forbids it until 1.18.
	r := of(t, "1.18")
	r.csr("v1beta1", "a", clientUsages)
	code, _ := r.condition("v1beta1", "a", "approval", both)
	require.Equal(t, 200, code)
	code, _ = r.condition("v1beta1", "a", "approval", `[]`)
	require.Equal(t, 200, code)
	// /status can't touch conditions.
	code, out := r.condition("v1beta1", "a", "status", `[{"type":"Failed"}]`)
	require.Equal(t, 200, code)
	require.Nil(t, field(out, "status.conditions"))

	const exclusive = "Approved and Denied conditions are mutually exclusive"
	for minor, at := range map[string]string{"1.19": "status.conditions[1].type: ", "1.33": "status.conditions[1].type: ", "1.34": "status.conditions: "} {
		r = of(t, minor)
		r.csr("v1", "a", clientUsages+`,"signerName":"example.com/a"`)
		code, out = r.condition("v1", "a", "approval", strings.ReplaceAll(both, `"reason"`, `"status":"True","reason"`))
		require.Equal(t, 422, code)
		require.Contains(t, out["message"], at+`Invalid value: "Denied": `+exclusive, minor)
	}

	// v1beta1 beside v1: lenient, and what is forbidden is passed over.
	r = of(t, "1.21")
	r.csr("v1beta1", "a", clientUsages)
	code, out = r.condition("v1beta1", "a", "approval", both)
	require.Equal(t, 422, code)
	require.Contains(t, out["message"], exclusive)
	code, _ = r.condition("v1beta1", "a", "approval", `[{"type":"","status":"True"},{"type":"","status":"False"}]`)
	require.Equal(t, 200, code, "no type, and twice")
	code, out = r.condition("v1beta1", "a", "status", approved)
	require.Equal(t, 200, code)
	require.Len(t, field(out, "status.conditions"), 2, "as they were")
	code, out = r.condition("v1", "a", "status", `[{"type":"Approved","status":"True"}]`)
	require.Equal(t, 422, code)
	require.Contains(t, out["message"], `updates may not add a condition of type "Approved"`)
	code, out = r.condition("v1", "a", "status", `[{"type":"Failed","status":"True"}]`)
	require.Equal(t, 200, code)
	require.Equal(t, "Failed", field(field(out, "status.conditions").([]any)[0].(map[string]any), "type"))
}

func TestSubresourcesInEachRelease(t *testing.T) {
	for minor, want := range map[string][2]int{"1.10": {405, 405}, "1.11": {200, 405}, "1.18": {200, 405}, "1.19": {200, 200}} {
		r := of(t, minor)
		r.csr("v1beta1", "a", clientUsages)
		url := r.at("certificates.k8s.io", "v1beta1", csrs) + "/a/"
		status, _, _ := r.do(admin, "GET", url+"status", "")
		approval, _, _ := r.do(admin, "GET", url+"approval", "")
		require.Equal(t, want, [2]int{status, approval}, minor)
	}
}

// Since 1.18 who approves needs the verb approve on the signer too, who signs the
// verb sign, and nobody gets a certificate for system:masters.
func TestSignersVerbsInEachRelease(t *testing.T) {
	for minor, want := range map[string]int{"1.17": 200, "1.18": 403} {
		r := of(t, minor)
		r.csr("v1beta1", "a", clientUsages)
		rbac := strings.TrimSuffix(r.at("rbac.authorization.k8s.io", "", "clusterroles"), "clusterroles")
		r.must(t, "POST", rbac+"clusterroles", map[string]any{"metadata": map[string]any{"name": "u"}, "rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{csrs, csrs + "/approval"}, "verbs": []string{"*"}}}})
		r.must(t, "POST", rbac+"clusterrolebindings", map[string]any{"metadata": map[string]any{"name": "u"}, "roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "u"}, "subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}}})
		url := r.at("certificates.k8s.io", "", csrs) + "/a"
		_, o, _ := r.do("alice", "GET", url, "")
		o["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Approved"}}}
		b, _ := json.Marshal(o)
		code, out, _ := r.do("alice", "PUT", url+"/approval", string(b))
		require.Equal(t, want, code, "%s %v", minor, out)
		if code == 403 {
			require.Equal(t, `certificatesigningrequests.certificates.k8s.io "a" is forbidden: user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client-kubelet"`, out["message"])
		}
		code, _, _ = r.do(admin, "POST", r.at("certificates.k8s.io", "", csrs), `{"metadata":{"name":"m"},"spec":{"request":`+r.request(pki.Request{Subject: pkix.Name{CommonName: "m", Organization: []string{"system:masters"}}})+`,"usages":["client auth"],"signerName":"kubernetes.io/kube-apiserver-client"}}`)
		require.Equal(t, map[string]int{"1.17": 201, "1.18": 403}[minor], code)
	}
}

// Since 1.31 a node asks for kubelet certificates in its own name only.
func TestNodeNamesInEachRelease(t *testing.T) {
	for minor, want := range map[string]int{"1.30": 201, "1.31": 403} {
		r := of(t, minor)
		req := r.request(pki.Request{Subject: pkix.Name{CommonName: "system:node:other", Organization: []string{"system:nodes"}}})
		code, out, _ := r.do("node-x", "POST", r.at("certificates.k8s.io", "v1", csrs), `{"metadata":{"name":"a"},"spec":{"request":`+req+","+clientUsages+`,"signerName":"kubernetes.io/kube-apiserver-client-kubelet"}}`)
		require.Equal(t, want, code, minor)
		if code == 403 {
			require.Contains(t, out["message"], "can only create a node CSR with CN=system:node:node-x")
		}
	}
}

func TestBytesOfErrorsInEachRelease(t *testing.T) {
	for minor, want := range map[string]string{"1.33": `Invalid value: []byte{0x68, 0x65, 0x6c, 0x6c, 0x6f}: `, "1.34": `Invalid value: "aGVsbG8=": `} {
		r := of(t, minor)
		_, out, _ := r.do(admin, "POST", r.at("certificates.k8s.io", "v1", csrs), `{"metadata":{"name":"a"},"spec":{"request":"aGVsbG8=",`+clientUsages+`,"signerName":"example.com/a"}}`)
		require.Contains(t, out["message"], want, minor)
	}
}

func TestConventionsInEachRelease(t *testing.T) {
	node := `{"metadata":{"name":"n"},"spec":{"foo":1}}`
	warned := func(minor, url string) string {
		r := of(t, minor)
		_, _, resp := r.do(admin, "POST", url, node)
		return resp.Header.Get("Warning")
	}
	require.Empty(t, warned("1.24", "/api/v1/nodes"))
	require.Equal(t, `299 - "unknown field \"spec.foo\""`, warned("1.25", "/api/v1/nodes"))

	// v1beta1 is warned of where v1 is there.
	for minor, want := range map[string]string{"1.18": "", "1.19": `299 - "certificates.k8s.io/v1beta1 CertificateSigningRequest is deprecated in v1.19+, unavailable in v1.22+; use certificates.k8s.io/v1 CertificateSigningRequest"`} {
		r := of(t, minor)
		_, _, resp := r.do(admin, "GET", r.at("certificates.k8s.io", "v1beta1", csrs), "")
		require.Equal(t, want, resp.Header.Get("Warning"), minor)
	}

	dry := func(minor string) (int, any, bool) {
		r := of(t, minor)
		code, out, _ := r.do(admin, "POST", "/api/v1/nodes?dryRun=All", `{"metadata":{"name":"n"}}`)
		return code, out["message"], r.store.Get("nodes", "", "n") != nil
	}
	code, _, there := dry("1.10")
	require.Equal(t, []any{201, true}, []any{code, there}, "1.10 does not know it")
	code, message, there := dry("1.11")
	require.Equal(t, []any{400, "dryRun is not supported yet", false}, []any{code, message, there})
	code, message, _ = dry("1.12")
	require.Equal(t, []any{400, "the dryRun alpha feature is disabled"}, []any{code, message})
	code, _, there = dry("1.13")
	require.Equal(t, []any{201, false}, []any{code, there})

	for minor, want := range map[string][]bool{"1.17": {true, false}, "1.18": {true, true}, "1.19": {true, true}, "1.20": {false, true}} {
		r := of(t, minor)
		_, out, _ := r.do(admin, "POST", "/api/v1/nodes", `{"metadata":{"name":"n","labels":{"a":"b"}}}`)
		require.Equal(t, want, []bool{field(out, "metadata.selfLink") != nil, field(out, "metadata.managedFields") != nil}, "selfLink and managedFields in %s", minor)
	}

	for minor, want := range map[string]string{"1.9": "meta.k8s.io/v1alpha1", "1.10": "meta.k8s.io/v1beta1", "1.14": "meta.k8s.io/v1beta1", "1.15": "meta.k8s.io/v1"} {
		r := of(t, minor)
		_, out, _ := r.do(admin, "GET", "/api/v1/namespaces", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json;as=Table;v=v1alpha1;g=meta.k8s.io")
		require.Equal(t, want, out["apiVersion"], minor)
	}

	// A watch that begins with what there is: unknown, forbidden, served, off again.
	for minor, want := range map[string]int{"1.26": 200, "1.27": 422, "1.31": 422, "1.32": 200, "1.33": 422, "1.34": 200} {
		r := of(t, minor)
		code, out, _ := r.do(admin, "GET", "/api/v1/nodes?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "")
		if want == 200 && minor == "1.26" {
			require.Equal(t, 422, code, "it knows resourceVersionMatch, and that it is for lists")
			require.Contains(t, out["message"], "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch")
			require.NotContains(t, out["message"], "unless")
			code, out, _ = r.do(admin, "GET", "/api/v1/nodes?watch=true&sendInitialEvents=true", "")
		}
		require.Equal(t, want, code, "%s: %v", minor, out)
		if want == 422 {
			require.Contains(t, out["message"], "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
		}
	}

	for minor, want := range map[string]bool{"1.13": false, "1.14": true} {
		require.Equal(t, want, of(t, minor).store.Get("namespaces", "", "kube-node-lease") != nil, "kube-node-lease in %s", minor)
	}
	for minor, want := range map[string]int{"1.11": 404, "1.12": 201} {
		r := of(t, minor)
		r.must(t, "POST", "/api/v1/namespaces/default/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "a"}})
		code, _, _ := r.do(admin, "POST", "/api/v1/namespaces/default/serviceaccounts/a/token", `{}`)
		require.Equal(t, want, code, "a token of %s", minor)
	}
	for minor, want := range map[string]string{"1.26": "APIGroupList", "1.27": "apidiscovery.k8s.io/v2beta1", "1.30": "apidiscovery.k8s.io/v2"} {
		r := of(t, minor)
		_, out, _ := r.do(admin, "GET", "/apis", "", "Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json")
		if out["kind"] == "APIGroupDiscoveryList" {
			require.Equal(t, want, out["apiVersion"], minor)
		} else {
			require.Equal(t, want, out["kind"], minor)
		}
	}
}

// A bootstrap token has groups of its own since 1.8.
func TestTokenGroupsInEachRelease(t *testing.T) {
	for minor, want := range map[string]string{"1.7": `["system:bootstrappers","system:authenticated"]`, "1.8": `["system:bootstrappers","system:bootstrappers:kubeadm:default-node-token","system:authenticated"]`} {
		r := of(t, minor)
		r.putToken(t, "abcdef", nil)
		r.bind(t, "Group", "system:bootstrappers")
		_, out, _ := r.do("bearer abcdef.0123456789abcdef", "POST", r.at("certificates.k8s.io", "", csrs), `{"metadata":{"name":"a"},"spec":{"request":`+r.request(pki.Request{Subject: nodeSubject})+","+clientUsages+`}}`)
		b, _ := json.Marshal(field(out, "spec.groups"))
		require.Equal(t, want, string(b), minor)
	}
}

// What the log says of a certificate of nobody's CA.
func TestStrangersInEachRelease(t *testing.T) {
	for minor, want := range map[string]string{
		"1.19": `authentication.go:53] Unable to authenticate the request due to an error: x509: certificate signed by unknown authority`,
		"1.20": `authentication.go:53] Unable to authenticate the request due to an error: verifying certificate SN=`,
		"1.21": `authentication.go:63] "Unable to authenticate the request" err="verifying certificate SN=`,
	} {
		r := of(t, minor)
		other, err := pki.NewAuthority(pki.Keyring{Seed: "golden"}, "other", "kubernetes-other", r.now, r.now.AddDate(1, 0, 0))
		require.NoError(t, err)
		ours := r.ca
		r.ca = other
		r.chains["stranger"] = [][]byte{pemBytes(t, r.leaf(t, pkix.Name{CommonName: "eve"}, "eve"))}
		r.ca = ours
		code, _, _ := r.do("stranger", "GET", "/api/v1/nodes", "")
		require.Equal(t, 401, code)
		require.Contains(t, strings.Join(r.lines, "\n"), want, minor)
	}
}

func pemBytes(t *testing.T, b []byte) []byte {
	t.Helper()
	list, err := pki.ParseCerts(b)
	require.NoError(t, err)
	return list[0].Raw
}

// ClusterTrustBundles are served since 1.37.
func TestTrustBundlesInEachRelease(t *testing.T) {
	r := of(t, "1.36")
	code, _, _ := r.do(admin, "GET", "/apis/certificates.k8s.io/v1/clustertrustbundles", "")
	require.Equal(t, 404, code)
	r = of(t, "1.37")
	const url = "/apis/certificates.k8s.io/v1/clustertrustbundles"
	bundle := func(as, name, signer, trust string) (int, any) {
		b, _ := json.Marshal(map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"signerName": signer, "trustBundle": trust}})
		code, out, _ := r.do(as, "POST", url, string(b))
		return code, out["message"]
	}
	ca := string(r.ca.CertPEM())
	code, message := bundle(admin, "example.com:a:x", "example.com/a", ca)
	require.Equal(t, 201, code, message)
	for _, x := range []struct{ name, signer, trust, want string }{
		{"y", "example.com/a", ca, "metadata.name: Invalid value: \"y\": ClusterTrustBundle for signerName example.com/a must be named with prefix example.com:a:"},
		{"a:b", "", ca, "ClusterTrustBundle without signer name must not have \":\" in its name"},
		{"none", "", "nothing", "spec.trustBundle: Invalid value: \"<value omitted>\": at least one trust anchor must be provided"},
		{"twice", "", ca + ca, "duplicate trust anchor (indices [0 1])"},
		{"leaf", "", string(r.leaf(t, pkix.Name{CommonName: "x"}, "x")), "entry 0 does not have the CA bit set"},
	} {
		code, message = bundle(admin, x.name, x.signer, x.trust)
		require.Equal(t, 422, code)
		require.Contains(t, message, x.want)
	}
	rbac := "/apis/rbac.authorization.k8s.io/v1/"
	r.must(t, "POST", rbac+"clusterroles", map[string]any{"metadata": map[string]any{"name": "u"}, "rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"clustertrustbundles"}, "verbs": []string{"*"}}}})
	r.must(t, "POST", rbac+"clusterrolebindings", map[string]any{"metadata": map[string]any{"name": "u"}, "roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "u"}, "subjects": []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "alice"}}})
	code, message = bundle("alice", "example.com:a:y", "example.com/a", ca)
	require.Equal(t, []any{403, `clustertrustbundles.certificates.k8s.io "example.com:a:y" is forbidden: user not permitted to attest for signerName "example.com/a"`}, []any{code, message})
	code, message = bundle("alice", "plain", "", ca)
	require.Equal(t, 201, code, message)
}

// What a node is told in the release before and after.
func TestNodesWordsInEachRelease(t *testing.T) {
	for minor, want := range map[string][2]string{
		"1.13": {"no path found to object", `node "node-x" cannot modify node "other"`},
		"1.14": {`no relationship found between node "node-x" and this object`, `node "node-x" is not allowed to modify node "other"`},
		"1.18": {`no relationship found between node "node-x" and this object`, `node "node-x" is not allowed to modify node "other"`},
		"1.19": {`no relationship found between node 'node-x' and this object`, `node "node-x" is not allowed to modify node "other"`},
	} {
		r := of(t, minor)
		_, out, _ := r.do("node-x", "GET", "/api/v1/namespaces/default/secrets/x", "")
		require.True(t, strings.HasSuffix(out["message"].(string), ": "+want[0]), "%s: %v", minor, out["message"])
		code, out, _ := r.do("node-x", "POST", "/api/v1/nodes", `{"metadata":{"name":"other"}}`)
		require.Equal(t, 403, code)
		require.True(t, strings.HasSuffix(out["message"].(string), "is forbidden: "+want[1]), "%s: %v", minor, out["message"])
	}
	for minor, want := range map[string]string{"1.10": "can only get individual resources of this type", "1.11": "can only read namespaced object of this type"} {
		r := of(t, minor)
		_, out, _ := r.do("node-x", "GET", "/api/v1/secrets", "")
		require.Contains(t, out["message"], want, minor)
	}
}
