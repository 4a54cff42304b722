package shell_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

// FuzzFiles: whatever stands in a file that kubectl, kubeadm, openssl, cfssl or
// jq reads, the command ends, or waits for an answer; one that fails says why.
func FuzzFiles(f *testing.F) {
	const conf = "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'https://10.0.0.10:6443', insecure-skip-tls-verify: true}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\nusers: [{name: u, user: {token: a}}]\n"
	const server = "kubectl --server https://10.0.0.10:6443 --token a --insecure-skip-tls-verify "
	rows := []struct{ line, text string }{
		{"kubectl --kubeconfig /f get nodes", conf}, {"kubectl --kubeconfig /f config view --raw", conf}, {"kubectl --kubeconfig /f config get-contexts", conf},
		{"kubectl --kubeconfig /f config set-context x --user=v; cat /f", conf},
		{server + "apply -f /f", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {b: c}\n---\nkind: List\nitems: []\n"}, {server + "create -f /f", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}`},
		{"kubeadm init phase certs ca --config /f", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\ncaCertificateValidityPeriod: 1h\n"},
		{"kubeadm join --config /f", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: JoinConfiguration\ndiscovery: {bootstrapToken: {token: abcdef.0123456789abcdef, apiServerEndpoint: '10.0.0.10:6443', unsafeSkipCAVerification: true}}\n"},
		{"kubeadm join --discovery-file /f --tls-bootstrap-token abcdef.0123456789abcdef", conf},
		{"kubeadm kubeconfig user --config /f --client-name a", "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n"},
		{"openssl x509 -in /f -noout -text; openssl req -in /f -noout -text; openssl verify -CAfile /f /f", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"},
		{"jq .a /f; jq -n -f /f", `{"a":[1]}`}, {"bash /f; . /f", "echo a | cat\n"}, {"cfssl genkey /f | cfssljson -bare x; cfssl gencert -initca /f", `{"CN":"a","hosts":["b"],"key":{"algo":"ecdsa","size":256}}`},
	}
	for i, row := range rows {
		f.Add(byte(i), row.text)
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		r := newRig()
		require.NoError(t, r.disk.WriteFile("/f", []byte(text), 0o600, start))
		line := rows[int(which)%len(rows)].line
		out, status := r.run(line)
		if r.t.Busy() {
			r.step(sim.Msg{Kind: sim.MsgInterrupt})
		} else if status != "0" && !strings.HasPrefix(line, "bash") { // a script may fail so
			require.NotEmpty(t, out, "it failed without a word")
		}
		require.False(t, r.t.Busy())
	})
}
