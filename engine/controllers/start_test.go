package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestServerAwayAtStart: a manager that finds no healthy API server within 10 s
// ends, and its unit starts it again.
func TestServerAwayAtStart(t *testing.T) {
	r := newRig(t)
	r.down = "dial tcp 10.0.0.10:6443: connect: connection refused"
	r.run(9 * time.Second)
	require.Nil(t, r.code)
	r.run(11 * time.Second)
	require.Equal(t, 1, *r.code)
	require.Equal(t, 1, r.count(`controllermanager.go:224] "Error building controller context" err="failed to wait for apiserver being healthy: timed out waiting for the condition: failed to get apiserver /healthz status: Get \"https://10.0.0.10:6443/healthz\": dial tcp 10.0.0.10:6443: connect: connection refused"`))
}

// TestAccounts: with --use-service-account-credentials every controller acts as
// its own ServiceAccount, which the manager makes, with a token that it asks for.
func TestAccounts(t *testing.T) {
	r := newRig(t)
	r.may = func(string, string) bool { return true }
	r.run(time.Second)
	for _, name := range []string{"certificate-controller", "root-ca-cert-publisher", "service-account-controller"} {
		require.NotNil(t, r.find("/api/v1/serviceaccounts", "kube-system", name), name)
	}
	require.Nil(t, r.find("/api/v1/serviceaccounts", "kube-system", "token-cleaner"), "off unless it is named")
	require.Zero(t, r.tokens, "nobody has anything to do yet")
	r.put(node(t, "csr-a", "u"))
	r.run(2 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate)
	require.Equal(t, 1, r.tokens)
	acted := func() (out []string) {
		for i, q := range r.sent {
			if r.bearers[i] != "" {
				require.Empty(t, r.dials[i], "a token needs no certificate")
				require.True(t, strings.HasSuffix(q.Header.Get("User-Agent"), "/system:serviceaccount:kube-system:certificate-controller"))
				path, _, _ := strings.Cut(q.URL, "?")
				out = append(out, q.Method+" "+path+" "+r.bearers[i])
			}
		}
		return out
	}
	require.Equal(t, []string{
		"POST /apis/authorization.k8s.io/v1/subjectaccessreviews token-certificate-controller-1",
		"PUT " + csrPath + "/csr-a/approval token-certificate-controller-1",
		"PUT " + csrPath + "/csr-a/status token-certificate-controller-1",
	}, acted())
	// The token is used for 48 of its 60 minutes, and then asked for anew.
	r.run(47 * time.Minute)
	r.put(node(t, "csr-b", "u"))
	r.run(48*time.Minute + 30*time.Second)
	require.Equal(t, 1, r.tokens)
	r.put(node(t, "csr-c", "u"))
	r.run(49 * time.Minute)
	require.NotEmpty(t, r.csrs["csr-c"].Status.Certificate)
	require.Equal(t, 2, r.tokens)
	require.Contains(t, acted()[len(acted())-1], "-2")
}

func TestNoToken(t *testing.T) {
	r := newRig(t)
	r.may = func(string, string) bool { return true }
	r.refuse = func(method, path string) int {
		if strings.HasSuffix(path, "/token") {
			return 403
		}
		return 0
	}
	r.run(time.Second)
	r.put(node(t, "csr-a", "u"))
	// 0, 0.5, 1.5 and 3.5 s, then the review fails and is put back.
	r.run(4600 * time.Millisecond)
	require.Equal(t, 4, r.count(`client_builder_dynamic.go:195] "get token failed" namespace="kube-system" serviceAccountName="certificate-controller" error="POST `+accountsPath+`/certificate-controller/token is refused"`), r.lines())
	require.Equal(t, 1, r.count(`certificate_controller.go:158] "Unhandled Error" err="Sync csr-a failed with : Post \"https://10.0.0.10:6443/apis/authorization.k8s.io/v1/subjectaccessreviews\": failed to get token for kube-system/certificate-controller: timed out waiting for the condition"`), r.lines())
	r.refuse = nil
	r.run(10 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate)

	// An account that can't be made ends the process.
	r = newRig(t)
	r.refuse = func(method, path string) int {
		if method == "POST" {
			return 403
		}
		return 0
	}
	r.run(time.Second)
	require.Equal(t, 1, *r.code)
	require.Equal(t, 1, r.count(`client_builder_dynamic.go:127] "Error in getting client" err="POST `+accountsPath+` is refused"`))
}

// TestThrottle: the approver needs two requests for a CSR, so that with 20
// requests a second it approves ten.
func TestThrottle(t *testing.T) {
	approved := func(r *rig) (n int) {
		for _, x := range r.csrs {
			if len(x.Status.Conditions) > 0 {
				n++
			}
		}
		return n
	}
	r := newRig(t, "--v=2")
	r.may = func(string, string) bool { return true }
	r.run(time.Second)
	for i := range 40 {
		r.put(node(t, fmt.Sprintf("csr-%03d", i), "u"))
	}
	r.run(1500 * time.Millisecond)
	require.InDelta(t, 20, approved(r), 2, "a burst of 30 requests, and half a second")
	r.run(2500 * time.Millisecond)
	require.InDelta(t, 30, approved(r), 2)
	r.run(10 * time.Second)
	require.Equal(t, 40, approved(r))
	require.Zero(t, r.count(`request.go:683]`), "only at -v=3")

	fast := newRig(t, "--kube-api-qps=5000", "--kube-api-burst=10000")
	fast.may = func(string, string) bool { return true }
	fast.run(time.Second)
	for i := range 40 {
		fast.put(node(t, fmt.Sprintf("csr-%03d", i), "u"))
	}
	fast.run(2 * time.Second)
	require.Equal(t, 40, approved(fast))

	slow := newRig(t, "--kube-api-qps=0.5", "--kube-api-burst=1")
	slow.may = func(string, string) bool { return true }
	slow.run(30 * time.Second)
	slow.put(node(t, "csr-a", "u"))
	slow.run(40 * time.Second)
	require.Equal(t, 1, slow.count(`request.go:683] "Waited before sending request" delay="1.998s" reason="client-side throttling, not priority and fairness" verb="POST" URL="https://10.0.0.10:6443`+accountsPath+`/certificate-controller/token"`), slow.lines())
	require.Equal(t, slow.count(`request.go:683]`), slow.count(`request.go:752]`), "over a second, and not more often than once a second")
}
