package controllers

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

func namespaceObject(name, phase string) object {
	return object{"metadata": map[string]any{"name": name}, "status": map[string]any{"phase": phase}}
}

const namespaces, accounts = "/api/v1/namespaces", "/api/v1/serviceaccounts"

// TestRootCA has the steps of s/06-root-ca-cert-publisher.json.
func TestRootCA(t *testing.T) {
	const file = "/etc/kubernetes/pki/root-ca.crt"
	ca2, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca2", "kubernetes-ca-2", newYear, newYear.AddDate(1, 0, 0))
	require.NoError(t, err)
	r := newRig(t, "--root-ca-file="+file)
	ca, _ := r.disk.ReadFile(caCrt)
	r.file(file, ca)
	for _, ns := range []string{"default", "kube-system"} {
		r.save(namespaces, namespaceObject(ns, "Active"))
	}
	r.run(time.Second)
	holds := func(ns string) map[string]any { return r.data(ns, "kube-root-ca.crt") }
	want := map[string]any{"ca.crt": string(ca)}
	require.Equal(t, want, holds("default"))
	require.Equal(t, want, holds("kube-system"))
	require.Equal(t, "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
		meta(r.find(configmaps, "default", "kube-root-ca.crt"))["annotations"].(map[string]any)["kubernetes.io/description"])

	r.remove(configmaps, "default", "kube-root-ca.crt")
	r.run(1040 * time.Millisecond)
	require.Equal(t, want, holds("default"), "there again after 0.04 s")

	edited := r.find(configmaps, "default", "kube-root-ca.crt")
	edited["data"] = map[string]any{"ca.crt": "mine", "more": "x"}
	r.save(configmaps, edited)
	r.run(1100 * time.Millisecond)
	require.Equal(t, want, holds("default"), "an edit is undone, and extra keys go")

	r.file(file, append(append([]byte(nil), ca...), ca2.CertPEM()...))
	r.run(10 * time.Second)
	r.save(namespaces, namespaceObject("new", "Active"))
	r.run(11 * time.Second)
	require.Equal(t, want, holds("default"), "the file is read once")
	require.Equal(t, want, holds("new"))
	require.Nil(t, r.data("nosuch", "kube-root-ca.crt"))

	objects := r.objects
	r = newRig(t, "--root-ca-file="+file)
	r.objects, r.rv = objects, 1000
	r.file(file, append(append([]byte(nil), ca...), ca2.CertPEM()...))
	r.run(1700 * time.Millisecond)
	require.Equal(t, map[string]any{"ca.crt": string(ca) + string(ca2.CertPEM())}, holds("default"))
	require.Equal(t, map[string]any{"ca.crt": string(ca) + string(ca2.CertPEM())}, holds("new"))

	// A file without a certificate ends the process, as recorded in s/07.
	for _, key := range []string{"", caKey} {
		r = newRig(t, "--root-ca-file="+file, "--service-account-private-key-file="+key)
		r.file(file, []byte("nonsense\n"))
		r.run(time.Second)
		require.Equal(t, 1, *r.code)
		name := "root-ca-certificate-publisher-controller"
		if key != "" {
			name = "serviceaccount-token-controller"
		}
		why := `err="error parsing root-ca-file at ` + file + `: data does not contain any valid RSA or ECDSA certificates"`
		require.Equal(t, 1, r.count(`controllermanager.go:683] "Error initializing a controller" `+why+` controller="`+name+`"`), r.lines())
		require.Equal(t, 1, r.count(`controllermanager.go:296] "Error building controllers" `+why))
		require.Equal(t, 1, r.count(`run.go:72] "command failed" `+why))
	}
}

func TestDefaultAccount(t *testing.T) {
	r := newRig(t)
	r.save(namespaces, namespaceObject("default", "Active"))
	r.save(namespaces, namespaceObject("going", "Terminating"))
	r.run(time.Second)
	require.NotNil(t, r.find(accounts, "default", "default"))
	require.Nil(t, r.find(accounts, "going", "default"))
	r.remove(accounts, "default", "default")
	r.run(2 * time.Second)
	require.NotNil(t, r.find(accounts, "default", "default"))
	r.save(namespaces, namespaceObject("team-a", "Active"))
	r.run(3 * time.Second)
	require.NotNil(t, r.find(accounts, "team-a", "default"))
	require.NotZero(t, r.count(`serviceaccounts_controller.go:184] "Finished syncing namespace" namespace="team-a"`))
	// What the API refuses is tried again: 5, 10, 20 ms …
	r.refuse = func(method, path string) int {
		if path == "/api/v1/namespaces/team-b/serviceaccounts" {
			return 403
		}
		return 0
	}
	r.save(namespaces, namespaceObject("team-b", "Active"))
	r.run(3100 * time.Millisecond)
	require.Equal(t, 5, r.count(`serviceaccounts_controller.go:177] "Unhandled Error" err="team-b failed with : POST /api/v1/namespaces/team-b/serviceaccounts is refused" logger="UnhandledError"`))
	r.refuse = nil
	r.run(4 * time.Second)
	require.NotNil(t, r.find(accounts, "team-b", "default"))
}

// TestAccountTokens fills a Secret as s/12-serviceaccount-legacy-secret.json.
func TestAccountTokens(t *testing.T) {
	r := newRig(t, "--service-account-private-key-file="+caKey, "--root-ca-file="+caCrt)
	r.save(namespaces, namespaceObject("default", "Active"))
	secret := func(name, account string) {
		r.save(secrets, object{"type": "kubernetes.io/service-account-token",
			"metadata": map[string]any{"name": name, "namespace": "default", "annotations": map[string]any{"kubernetes.io/service-account.name": account}}})
	}
	r.run(time.Second)
	secret("sa-legacy", "default")
	secret("sa-nobody", "nobody")
	r.run(2 * time.Second)
	require.Nil(t, r.find(secrets, "default", "sa-nobody"), "its account is not there")
	o := r.find(secrets, "default", "sa-legacy")
	require.NotNil(t, o)
	data := o["data"].(map[string]any)
	ca, _ := r.disk.ReadFile(caCrt)
	require.Equal(t, base64.StdEncoding.EncodeToString(ca), data["ca.crt"])
	require.Equal(t, "ZGVmYXVsdA==", data["namespace"])
	uid := meta(r.find(accounts, "default", "default"))["uid"]
	require.Equal(t, uid, meta(o)["annotations"].(map[string]any)["kubernetes.io/service-account.uid"])
	token, err := base64.StdEncoding.DecodeString(data["token"].(string))
	require.NoError(t, err)
	jwt, ok := pki.ParseJWT(string(token))
	require.True(t, ok)
	require.JSONEq(t, fmt.Sprintf(`{"iss":"kubernetes/serviceaccount","kubernetes.io/serviceaccount/namespace":"default","kubernetes.io/serviceaccount/secret.name":"sa-legacy",
		"kubernetes.io/serviceaccount/service-account.name":"default","kubernetes.io/serviceaccount/service-account.uid":%q,"sub":"system:serviceaccount:default:default"}`, uid), string(jwt.Claims))
	n := len(r.sent)
	r.run(time.Minute)
	require.Len(t, r.sent, n, "it is complete")
	// A CA that someone changed is put back; the token stays.
	data["ca.crt"] = "eA=="
	r.save(secrets, o)
	r.run(2 * time.Minute)
	o = r.find(secrets, "default", "sa-legacy")
	require.Equal(t, base64.StdEncoding.EncodeToString(ca), o["data"].(map[string]any)["ca.crt"])
	// The account goes, and another with the same name comes.
	r.remove(accounts, "default", "default")
	r.run(3 * time.Minute)
	require.Nil(t, r.find(secrets, "default", "sa-legacy"))

	for key, want := range map[string]string{
		"/nosuch": "error reading key for service account token controller: error reading private key file /nosuch: open /nosuch: no such file or directory",
		caCrt:     "error reading key for service account token controller: error reading private key file " + caCrt + ": data does not contain a valid RSA or ECDSA private key",
	} {
		r := newRig(t, "--service-account-private-key-file="+key)
		r.run(time.Second)
		require.Equal(t, 1, *r.code)
		require.Equal(t, 1, r.count(`run.go:72] "command failed" err="`+want+`"`), r.lines())
	}
}
