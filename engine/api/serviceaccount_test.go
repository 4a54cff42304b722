package api

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/pki"
)

const accounts = "/api/v1/namespaces/default/serviceaccounts"

// asToken is a request with a bearer token alone.
func (g *rig) asToken(token, method, url, body string) (int, map[string]any) {
	g.t.Helper()
	return g.ask(method, url, nil, token, body)
}

// request asks for a token and returns what TokenRequest says, or the refusal.
func (g *rig) tokenFor(peer [][]byte, account, spec string) (authenticationv1.TokenRequest, map[string]any, int) {
	g.t.Helper()
	code, body := g.ask("POST", accounts+"/"+account+"/token", peer, "", `{"spec":`+spec+`}`)
	b, err := json.Marshal(body)
	require.NoError(g.t, err)
	var t authenticationv1.TokenRequest
	if code == 201 {
		require.NoError(g.t, json.Unmarshal(b, &t))
	}
	return t, body, code
}

// TestTokenLives: a token is good until a minute after its end, while its
// account, and what it is bound to, is the same; each refusal stands in the log.
func TestTokenLives(t *testing.T) {
	g := newRig(t, "")
	admin := g.peer("admin", "system:masters")
	g.create("/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"app"}}`)
	tr, _, code := g.tokenFor(admin, "app", `{"expirationSeconds":600}`)
	require.Equal(t, 201, code)
	require.Equal(t, "app", tr.Name)
	require.Equal(t, []string{"https://kubernetes.default.svc"}, tr.Spec.Audiences)
	require.Equal(t, g.now.Add(10*time.Minute), tr.Status.ExpirationTimestamp.UTC())
	whoami := func() (int, string) {
		code, body := g.asToken(tr.Status.Token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`)
		if code != 201 {
			return code, g.lastLog()
		}
		return code, body["status"].(map[string]any)["userInfo"].(map[string]any)["username"].(string)
	}
	code, who := whoami()
	require.Equal(t, 201, code)
	require.Equal(t, "system:serviceaccount:default:app", who)

	g.now = g.now.Add(11 * time.Minute)
	code, _ = whoami()
	require.Equal(t, 201, code, "clocks may differ by a minute")
	g.now = g.now.Add(time.Second)
	code, log := whoami()
	require.Equal(t, 401, code)
	require.Contains(t, log, `"Unable to authenticate the request" err="[invalid bearer token, service account token has expired]"`)

	tr, _, _ = g.tokenFor(admin, "app", `{}`)
	require.Equal(t, int64(3600), *tr.Spec.ExpirationSeconds)
	g.now = g.now.Add(-2 * time.Minute)
	code, log = whoami()
	require.Equal(t, 401, code)
	require.Contains(t, log, "service account token is not valid yet")
	g.now = g.now.Add(2 * time.Minute)

	code, _ = g.ask("DELETE", accounts+"/app", admin, "", "")
	require.Equal(t, 200, code)
	code, log = whoami()
	require.Equal(t, 401, code)
	require.Contains(t, log, `serviceaccounts \"app\" not found`)
	g.create(accounts, `{"metadata":{"name":"app"}}`)
	code, log = whoami()
	require.Equal(t, 401, code, "another account of the same name")
	require.Contains(t, log, "does not match claim")
}

// TestTokenOfPod: a node gets tokens for its own pods only, and they end with
// the pod.
func TestTokenOfPod(t *testing.T) {
	g := newRig(t, "")
	admin, node := g.peer("admin", "system:masters"), g.peer("system:node:n1", "system:nodes")
	g.create(accounts, `{"metadata":{"name":"default"}}`)
	g.create("/api/v1/nodes", `{"metadata":{"name":"n1"}}`)
	pod := g.create("/api/v1/namespaces/default/pods", `{"metadata":{"name":"p"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i"}]}}`)
	other := g.create("/api/v1/namespaces/default/pods", `{"metadata":{"name":"q"},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"i"}]}}`)
	uid := func(o map[string]any) string { return o["metadata"].(map[string]any)["uid"].(string) }

	// The pod got its account and the volume with its token.
	var p corev1.Pod
	b, _ := json.Marshal(pod)
	require.NoError(t, json.Unmarshal(b, &p))
	require.Equal(t, "default", p.Spec.ServiceAccountName)
	require.True(t, strings.HasPrefix(p.Spec.Volumes[0].Name, "kube-api-access-"))
	require.Equal(t, "/var/run/secrets/kubernetes.io/serviceaccount", p.Spec.Containers[0].VolumeMounts[0].MountPath)
	require.Equal(t, int64(3607), *p.Spec.Volumes[0].Projected.Sources[0].ServiceAccountToken.ExpirationSeconds)

	for spec, want := range map[string]string{
		`{}`: "node requested token not bound to a pod",
		`{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p"}}`:                                                                 "node requested token with a pod binding without a uid",
		`{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"x"}}`:                                                       "the UID in the bound object reference (x) does not match the UID in record. The object might have been deleted and then recreated",
		`{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"q","uid":"` + uid(other) + `"}}`:                                      "node requested token bound to a pod scheduled on a different node",
		`{"audiences":["vault"],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"` + uid(pod) + `"}}`:                  `audience "vault" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience`,
		`{"audiences":["a","b"],"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"` + uid(pod) + `"}}`:                  "node may only request 0 or 1 audiences",
		`{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"` + uid(pod) + `"}} ,"status":{} `: "",
	} {
		_, body, code := g.tokenFor(node, "default", spec)
		if want == "" {
			require.Equal(t, 201, code, body)
			continue
		}
		require.Equal(t, 403, code, spec)
		require.Equal(t, `serviceaccounts "default" is forbidden: `+want, body["message"])
	}

	tr, _, code := g.tokenFor(node, "default", `{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"`+uid(pod)+`"}}`)
	require.Equal(t, 201, code)
	j, ok := pki.ParseJWT(tr.Status.Token)
	require.True(t, ok)
	var c claims
	require.NoError(t, json.Unmarshal(j.Claims, &c))
	require.Equal(t, int64(extended), c.Expiry-c.IssuedAt, "it lives for a year")
	require.Equal(t, c.IssuedAt+3607, c.Kubernetes.WarnAfter)
	require.Equal(t, g.now.Add(3607*time.Second), tr.Status.ExpirationTimestamp.UTC(), "which the kubelet is not told")
	require.Equal(t, "n1", c.Kubernetes.Node.Name)

	code, body := g.asToken(tr.Status.Token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`)
	require.Equal(t, 201, code)
	extra := body["status"].(map[string]any)["userInfo"].(map[string]any)["extra"].(map[string]any)
	require.Equal(t, []any{"p"}, extra["authentication.kubernetes.io/pod-name"])
	require.Equal(t, []any{"n1"}, extra["authentication.kubernetes.io/node-name"])

	code, _ = g.ask("DELETE", "/api/v1/namespaces/default/pods/p", admin, "", "")
	require.Equal(t, 200, code)
	code, _ = g.asToken(tr.Status.Token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`)
	require.Equal(t, 401, code)
	require.Contains(t, g.lastLog(), "service account token has been invalidated")
}

// TestTokenRefused: requests that can't be, and tokens that are not for here.
func TestTokenRefused(t *testing.T) {
	g := newRig(t, "")
	admin := g.peer("admin", "system:masters")
	g.create(accounts, `{"metadata":{"name":"app"}}`)
	for spec, want := range map[string]string{
		`{"expirationSeconds":599}`:                                                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes",
		`{"expirationSeconds":4294967297}`:                                         "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds",
		`{"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"none"}}`:        `pods "none" not found`,
		`{"boundObjectRef":{"kind":"Deployment","apiVersion":"apps/v1"}}`:          "cannot bind token to object of type apps/v1, Kind=Deployment",
		`{},"metadata":{"name":"other"}`:                                           `TokenRequest.authentication.k8s.io "app" is invalid: metadata.name: Invalid value: "other": must match the service account name if specified`,
		`{"audiences":["x"]},"metadata":{"uid":"0","name":"app"},"kind":"Nothing"`: `no kind "Nothing" is registered`,
	} {
		_, body, code := g.tokenFor(admin, "app", spec)
		require.GreaterOrEqual(t, code, 400, spec)
		require.Contains(t, body["message"], want)
	}
	_, body, code := g.tokenFor(admin, "none", `{}`)
	require.Equal(t, 404, code)
	require.Equal(t, `serviceaccounts "none" not found`, body["message"])
	code, _ = g.ask("GET", accounts+"/app/token", admin, "", "")
	require.Equal(t, 405, code)

	tr, _, _ := g.tokenFor(admin, "app", `{"audiences":["vault"]}`)
	code, _ = g.asToken(tr.Status.Token, "GET", "/api", "")
	require.Equal(t, 401, code)
	require.Contains(t, g.lastLog(), `token audiences [\"vault\"] is invalid for the target audiences [\"https://kubernetes.default.svc\"]`)
	_, body = g.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", admin, "", `{"spec":{"audiences":["vault"],"token":"`+tr.Status.Token+`"}}`)
	require.Equal(t, true, body["status"].(map[string]any)["authenticated"])
	require.Equal(t, []any{"vault"}, body["status"].(map[string]any)["audiences"])
	code, body = g.ask("POST", "/apis/authentication.k8s.io/v1/tokenreviews", admin, "", `{"spec":{}}`)
	require.Equal(t, 400, code)
	require.Equal(t, "token is required for TokenReview in authentication", body["message"])

	forged, err := pki.SignJWT(keys.RSA(1), []byte(`{"iss":"https://kubernetes.default.svc","sub":"system:serviceaccount:default:app"}`))
	require.NoError(t, err)
	code, _ = g.asToken(forged, "GET", "/api", "")
	require.Equal(t, 401, code)
	require.Contains(t, g.lastLog(), "invalid signature, no keys found")
	code, _ = g.asToken(tr.Status.Token[:len(tr.Status.Token)-4]+"AAAA", "GET", "/api", "")
	require.Equal(t, 401, code)
	require.Contains(t, g.lastLog(), "go-jose/go-jose: error in cryptographic primitive")
}

// TestTokenOfTheDeleted: an account that finalizers hold is as good as gone after
// a minute, and what a deletion answers is the account.
func TestTokenOfTheDeleted(t *testing.T) {
	g := newRig(t, "")
	const path = "/api/v1/namespaces/default/serviceaccounts"
	g.create(path, `{"metadata":{"name":"app","finalizers":["a.example/hold"]}}`)
	tr, _, code := g.tokenFor(g.admin(), "app", `{"expirationSeconds":600}`)
	require.Equal(t, 201, code)
	whoami := func() int {
		code, _ := g.asToken(tr.Status.Token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`)
		return code
	}
	code, body := g.ask("DELETE", path+"/app", g.admin(), "", "")
	require.Equal(t, 200, code)
	require.Equal(t, "ServiceAccount", body["kind"])
	g.now = g.now.Add(time.Minute)
	require.Equal(t, 201, whoami())
	g.now = g.now.Add(time.Second)
	require.Equal(t, 401, whoami())
	require.Contains(t, g.lastLog(), `err="[invalid bearer token, service account default/app has been deleted]"`)

	g.create(path, `{"metadata":{"name":"free"}}`)
	_, body = g.ask("DELETE", path+"/free", g.admin(), "", "")
	require.Equal(t, "free", body["metadata"].(map[string]any)["name"])
}

// TestBearer: the word after the first space is the token.
func TestBearer(t *testing.T) {
	g := newRig(t, "")
	tr, _, code := g.tokenFor(g.admin(), "default", `{}`)
	require.Equal(t, 404, code)
	g.create("/api/v1/namespaces/default/serviceaccounts", `{"metadata":{"name":"app"}}`)
	tr, _, _ = g.tokenFor(g.admin(), "app", `{}`)
	for header, want := range map[string]int{"Bearer " + tr.Status.Token: 201, "bearer " + tr.Status.Token + " more": 201, "Bearer  " + tr.Status.Token: 403, "Bearer": 403, "Bearer x": 401, "Basic x": 403} {
		r := g.do(nil, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "Authorization", header)
		require.Equal(t, want, r.Code, header)
	}
}
