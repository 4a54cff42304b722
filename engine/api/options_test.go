package api

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequestsThatAreRefused: what the API server has against a request, whatever the
// object. Before the rows stands whose words these are.
func TestRequestsThatAreRefused(t *testing.T) {
	g := newRig(t, "")
	made := g.create(configMap1, `{"metadata":{"name":"a"},"data":{"k":"v"}}`)["metadata"].(map[string]any)
	g.create("/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"default"}}`)
	g.create("/api/v1/namespaces/default/pods", `{"metadata":{"name":"p"},`+spec("")+`}`)
	const pods, one = "/api/v1/pods", configMap1 + "/a"
	const merge, strategicMerge, jsonPatch = "application/merge-patch+json", "application/strategic-merge-patch+json", "application/json-patch+json"
	const reviews = "/apis/authorization.k8s.io/v1/"
	at := func(path, query string) string {
		q, err := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B"))
		require.NoError(t, err)
		return path + "?" + q.Encode()
	}
	for _, row := range []struct {
		method, url, kind, body string
		code                    int
		message                 string
	}{
		// ValidateCreateOptions, ValidateUpdateOptions, ValidatePatchOptions
		{"POST", at(configMap1, "dryRun=maybe&fieldValidation=Loose&fieldManager=a\x01"), "", `{}`, 422, `CreateOptions.meta.k8s.io "" is invalid: [fieldManager: Invalid value: "a\x01": invalid character U+0001 (at position 1), dryRun: Unsupported value: ["maybe"]: supported values: "All", fieldValidation: Unsupported value: "Loose": supported values: "", "Ignore", "Strict", "Warn"]`},
		{"PUT", at(one, "fieldManager="+strings.Repeat("m", 129)), "", `{}`, 422, `UpdateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes`},
		{"PATCH", at(one, "force=true"), merge, `{}`, 422, `PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch`},
		// ValidateDeleteOptions, DeleteResource
		{"DELETE", one, "", `{"propagationPolicy":"Maybe"}`, 422, `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Maybe": supported values: "Foreground", "Background", "Orphan", "nil"`},
		{"DELETE", one, "", `{"propagationPolicy":"Orphan","orphanDependents":true}`, 422, `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set`},
		{"DELETE", one, "", `{"kind":"Pod","apiVersion":"v1"}`, 400, `no kind "Pod" is registered for version "v1" in scheme "pkg/apis/meta/internalversion/scheme/register.go:27"`},
		{"DELETE", one, "", `{`, 400, `couldn't get version/kind; json parse error: unexpected end of JSON input`},
		{"DELETE", at(one, "gracePeriodSeconds=soon"), "", "", 400, `strconv.ParseInt: parsing "soon": invalid syntax`},
		{"DELETE", at(one, "dryRun=no"), "", "", 422, `DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["no"]: supported values: "All"`},
		{"DELETE", at(one, "uid=b"), "", "", 409, `the UID in the precondition (b) does not match`},
		// listOpts, ValidateListOptions, storage.ValidateListOptions
		{"GET", at(pods, "labelSelector=a b"), "", "", 400, `unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt`},
		{"GET", at(pods, "fieldSelector=a"), "", "", 400, `invalid selector: 'a'; can't understand 'a'`},
		{"GET", at(pods, "fieldSelector=spec.moon=a"), "", "", 400, `field label not supported: spec.moon`},
		{"GET", at("/apis/rbac.authorization.k8s.io/v1/clusterroles", "fieldSelector=spec.moon=a"), "", "", 400, `"spec.moon" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		{"GET", at(pods, "limit=many"), "", "", 400, `strconv.ParseInt: parsing "many": invalid syntax`},
		{"GET", at(pods, "resourceVersion=new"), "", "", 400, `invalid resource version: resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax`},
		{"GET", at(pods, "resourceVersionMatch=Exact"), "", "", 422, `ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`},
		{"GET", at(pods, "resourceVersion=0&resourceVersionMatch=Exact"), "", "", 422, `resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`},
		{"GET", at(pods, "resourceVersion=99999"), "", "", 504, `Timeout: Too large resource version: 99999, current: `},
		{"GET", at(pods, "continue=!"), "", "", 400, `invalid continue token: continue key is not valid: illegal base64 data at input byte 0`},
		{"GET", at(pods, "sendInitialEvents=true"), "", "", 422, `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list`},
		{"GET", at(pods, "watch=true&sendInitialEvents=true"), "", "", 422, `resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan`},
		{"GET", at(pods, "watch=true&resourceVersion=new"), "", "", 500, `resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax`},
		{"GET", at(one, "resourceVersion=new"), "", "", 500, `resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax`},
		{"DELETE", at(configMap1, "fieldSelector=spec.moon=a"), "", "", 400, `"spec.moon" is not a known field selector`},
		// WithRequestDeadline, limitedReadBody
		{"GET", at(pods, "timeout=long"), "", "", 400, `invalid timeout specified in the request URL - time: invalid duration "long"`},
		{"POST", configMap1, "", strings.Repeat(" ", 3<<20+1), 413, `Request entity too large: limit is 3145728`},
		// checkName, storage.Create, ObjectResourceVersion
		{"PUT", one, "", `{"metadata":{"name":"b"}}`, 400, `the name of the object (b) does not match the name on the URL (a)`},
		{"PUT", one, "", `{"metadata":{}}`, 400, `the name of the object (a based on URL) was undeterminable: name must be provided`},
		{"PUT", one, "", `{"metadata":{"name":"a","resourceVersion":"new"}}`, 500, `strconv.ParseUint: parsing "new": invalid syntax`},
		{"POST", configMap1, "", `{"metadata":{"name":"c","resourceVersion":"5"}}`, 500, `resourceVersion should not be set on objects to be created`},
		{"PATCH", one, merge, `{"metadata":{"name":"b"}}`, 400, `the name of the object (b) does not match the name on the URL (a)`},
		{"PATCH", one, merge, `{"metadata":{"namespace":"b"}}`, 400, `the namespace of the provided object does not match the namespace sent on the request`},
		// applyJSPatch, strategicPatchObject, applyPatchToObject
		{"PATCH", one, merge, `{"kind":"Secret"}`, 422, `unable to decode /v1, Kind=Secret into *core.ConfigMap`},
		{"PATCH", one, merge, `{"kind":"Moon"}`, 422, `no kind "Moon" is registered for version "v1" in scheme "pkg/api/legacyscheme/scheme.go:30"`},
		{"PATCH", at(one, "fieldValidation=Strict"), merge, `{"moon":1}`, 422, `: strict decoding error: unknown field "moon"`},
		{"PATCH", at(one, "fieldValidation=Strict"), strategicMerge, `{"moon":1}`, 422, ` "" is invalid: patch: Invalid value: "map[moon:1]": strict decoding error: unknown field "moon"`},
		{"PATCH", at(one, "fieldValidation=Strict"), jsonPatch, `[{"op":"add","path":"/data/z","value":"1","moon":1}]`, 422, `strict decoding error: json patch unknown field "[0].moon"`},
		{"PATCH", at(one, "fieldValidation=Ignore"), merge, `{`, 400, `Invalid JSON Patch`},
		{"PATCH", one, strategicMerge, `{`, 400, `unexpected end of JSON input`},
		{"PATCH", one, jsonPatch, `[` + strings.Repeat(`{"op":"test"},`, 10000) + `{}]`, 413, `Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001`},
		// mergepatch, strategicpatch
		{"PATCH", one, strategicMerge, `{"$patch":"moon"}`, 500, `unknown patch type: moon in map: map[$patch:moon]`},
		{"PATCH", one, strategicMerge, `{"$retainKeys":"a"}`, 400, `invalid patch format of retainKeys`},
		{"PATCH", one, strategicMerge, `{"$retainKeys":["metadata"],"data":{}}`, 400, `invalid patch format of retainKeys`},
		{"PATCH", one, strategicMerge, `{"metadata":{"$deleteFromPrimitiveList":["a"]}}`, 400, `invalid patch format of primitive list`},
		{"PATCH", one, strategicMerge, `{"metadata":{"$setElementOrder/finalizers":"a"}}`, 400, `invalid patch format of setElementOrder list`},
		{"PATCH", one, strategicMerge, `{"metadata":{"finalizers":[["a"]]}}`, 422, `the server rejected our request due to an error in our request`},
		{"PATCH", "/api/v1/namespaces/default/pods/p", strategicMerge, `{"spec":{"containers":[{"image":"j"}]}}`, 500, `map: map[image:j] does not contain declared merge key: name`},
		{"PATCH", "/api/v1/namespaces/default/pods/p", strategicMerge, `{"spec":{"containers":[{"name":"a","$patch":"merge"}]}}`, 500, `merging lists cannot yet be specified in the patch`},
		{"PATCH", "/api/v1/namespaces/default/pods/p", strategicMerge, `{"spec":{"$setElementOrder/containers":[{"name":"b"}],"containers":[{"name":"a","image":"j"}]}}`, 500, "The order in patch list:\n[map[image:j name:a]]\n doesn't match $setElementOrder list:\n[map[name:b]]\n"},
		// pkg/apis/authorization/validation, selfsubjectrulesreview
		{"POST", reviews + "subjectaccessreviews", "", `{"metadata":{"name":"a"},"spec":{"resourceAttributes":{"fieldSelector":{}},"nonResourceAttributes":{}}}`, 422, `.authorization.k8s.io "" is invalid: [spec.nonResourceAttributes: Invalid value: {"Path":"","Verb":""}: cannot be specified in combination with resourceAttributes, spec.user: Invalid value: "": at least one of user or group must be specified, spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector is specified, requirements or rawSelector is required, metadata: Invalid value: {"name":"a"`},
		{"POST", reviews + "selfsubjectaccessreviews", "", `{"spec":{}}`, 422, `spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified`},
		{"POST", reviews + "namespaces/default/localsubjectaccessreviews", "", `{"spec":{"user":"u","resourceAttributes":{"namespace":"b"}}}`, 422, `spec.resourceAttributes.namespace: Invalid value: "b": must match metadata.namespace`},
		{"POST", reviews + "selfsubjectrulesreviews", "", `{"spec":{}}`, 400, `no namespace on request`},
		{"POST", at(reviews+"selfsubjectaccessreviews", "dryRun=no"), "", `{"spec":{}}`, 422, `CreateOptions.meta.k8s.io "" is invalid: dryRun`},
	} {
		var header []string
		if row.kind != "" {
			header = []string{"Content-Type", row.kind}
		}
		r := g.do(g.admin(), row.method, row.url, row.body, header...)
		require.Equal(t, row.code, r.Code, "%s %s %.80s: %.300s", row.method, row.url, row.body, r.Body)
		var st struct{ Message string }
		mustJSON(t, r.Body, &st)
		require.Contains(t, st.Message, row.message, "%s %s %.80s", row.method, row.url, row.body)
	}
	// Nothing of it was done.
	_, now := g.ask("GET", one, g.admin(), "", "")
	require.Equal(t, made["resourceVersion"], now["metadata"].(map[string]any)["resourceVersion"])
}

// TestDirectives: what a strategic merge patch may say besides (Models
// apimachinery/pkg/util/strategicpatch).
func TestDirectives(t *testing.T) {
	g := newRig(t, "")
	g.create(configMap1, `{"metadata":{"name":"a","finalizers":["x.example/a","x.example/b"]},"data":{"k":"v","l":"w"}}`)
	for _, row := range [][2]string{
		{`{"metadata":{"$deleteFromPrimitiveList/finalizers":["x.example/a"]}}`, `"finalizers":["x.example/b"]`},
		{`{"data":{"$retainKeys":["k"],"k":"u"}}`, `"data":{"k":"u"}`},
		{`{"kind":"Moon","data":{"$patch":"replace","m":"n"}}`, `"data":{"m":"n"}`},
	} {
		r := g.do(g.admin(), "PATCH", configMap1+"/a", row[0], "Content-Type", strategic)
		require.Equal(t, 200, r.Code, string(r.Body))
		require.Contains(t, string(r.Body), row[1])
	}
}
