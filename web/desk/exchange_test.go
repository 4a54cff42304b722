package desk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

func TestTargetOf(t *testing.T) {
	for in, want := range map[string]Target{
		"POST /apis/certificates.k8s.io/v1/certificatesigningrequests":               {Method: "POST", Group: "certificates.k8s.io", Resource: "certificatesigningrequests"},
		"PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1/approval": {Method: "PUT", Group: "certificates.k8s.io", Resource: "certificatesigningrequests", Name: "csr-1", Sub: "approval"},
		"GET /api/v1/namespaces/kube-system/secrets/x?watch=true":                    {Method: "GET", Namespace: "kube-system", Resource: "secrets", Name: "x", Watch: true},
		"GET /api/v1/namespaces/default":                                             {Method: "GET", Resource: "namespaces", Name: "default"},
		"GET /apis":                                                                  {Method: "GET"},
		"GET /healthz":                                                               {Method: "GET"},
	} {
		got := targetOf(in)
		got.Path = ""
		require.Equal(t, want, got, in)
	}
	require.Equal(t, "PUT csr/approval", targetOf("PUT /apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval").Label())
	require.Equal(t, "WATCH csr", targetOf("GET /apis/certificates.k8s.io/v1/certificatesigningrequests?watch=1").Label())
	require.Equal(t, "GET /healthz", targetOf("GET /healthz").Label())
}

func TestWeight(t *testing.T) {
	weight := func(subject, identity string) int {
		return requestWeight(&trace.Observation{Subject: subject, Args: map[string]string{"identity": identity}})
	}
	const csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	require.GreaterOrEqual(t, weight("POST "+csrs, "token"), matters)
	require.GreaterOrEqual(t, weight("PUT "+csrs+"/x/status", "controller-manager"), matters)
	require.Less(t, weight("GET "+csrs+"?watch=true", "token"), matters)
	require.Less(t, weight("GET /api/v1/nodes/node-1", "anonymous"), notable)
	require.Less(t, weight("POST /api/v1/nodes", "anonymous"), matters, "the anonymous kubelet's tries are noise")
}

func TestLedgerCut(t *testing.T) {
	l := NewLedger()
	l.Add([]trace.Observation{
		{ID: 1, Kind: trace.Request, Actor: "node-1/kubelet", Subject: "POST /apis/certificates.k8s.io/v1/certificatesigningrequests", Args: map[string]string{"stream": "7", "identity": "token"}},
		{ID: 2, Kind: trace.Authn, Cause: 1, Args: map[string]string{"verdict": "yes"}},
		{ID: 3, Kind: trace.Authz, Cause: 1, Args: map[string]string{"verdict": "no"}},
		{ID: 4, Kind: trace.Response, Cause: 1, Args: map[string]string{"stream": "7", "code": "403"}},
		{ID: 5, Kind: trace.Typed, Actor: "admin/terminal", Payload: "kubectl get csr"},
	})
	x := l.Focus(5)
	require.Equal(t, [5]string{"yes", "yes", "no"}, x.Verdicts(5))
	require.Equal(t, [5]string{"yes", "yes"}, x.Verdicts(2), "the past knows no later verdict")
	require.Equal(t, "403", x.Code())
	require.Len(t, l.Marks, 1)
	require.Equal(t, "diamond", l.Marks[0].Shape)
	l.Cut(2)
	require.Nil(t, x.Response)
	require.Empty(t, l.Marks)
	require.Empty(t, l.Terminals["admin"])
	l.Add([]trace.Observation{{ID: 2, Kind: trace.Log}, {ID: 3, Kind: trace.Log, Payload: "new"}})
	require.Len(t, l.Logs, 1, "what is known already is not added again")
}

func TestUnfinished(t *testing.T) {
	require.True(t, Unfinished("cat <<EOF"))
	require.True(t, Unfinished("kubectl create -f - <<'EOF'\nkind: Secret"))
	require.False(t, Unfinished("kubectl create -f - <<EOF\nkind: Secret\nEOF"))
	require.False(t, Unfinished("kubectl get csr"))
}

func TestProse(t *testing.T) {
	require.Equal(t, []Para{{"Start it:", false}, {"systemctl start kubelet", true}, {"It runs.", false}}, prose("Start it:\n\n```\nsystemctl start kubelet\n```\n\nIt\nruns.\n"))
	require.Empty(t, prose(""))
}

func TestSameFailureIsNewsOnce(t *testing.T) {
	l := NewLedger()
	fail := func(id uint64, why string) trace.Observation {
		return trace.Observation{ID: id, Kind: trace.Handshake, Actor: "node-1/kubelet", Subject: "10.0.0.10:6443", Args: map[string]string{"client-error": why}}
	}
	const expired = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2027-01-01T00:00:0"
	l.Add([]trace.Observation{fail(1, expired+"1Z"), fail(2, expired+"2Z"), fail(3, "remote error: tls: bad certificate")})
	require.Len(t, l.Marks, 2)
	require.Len(t, l.Notable, 2)
	require.Equal(t, [5]string{"no"}, l.Exchanges[0].Verdicts(9))
	l.Add([]trace.Observation{{ID: 4, Kind: trace.Handshake, Actor: "node-1/kubelet"}, fail(5, "remote error: tls: bad certificate")})
	require.Len(t, l.Marks, 3, "after a success it is news again")
}
