package shell_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
)

// newKubeadmTown is a world as kubeadm init leaves it, with a token.
func newKubeadmTown(t *testing.T) *town {
	w, err := engine.New(engine.Config{Seed: "kubeadm", Scenario: "kubeadm"})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	tw := &town{t, w}
	_, status := tw.say("admin", "kubeadm token create abcdef.0123456789abcdef")
	require.Equal(t, "0", status)
	tw.AdvanceTo(tw.Now().Add(2 * time.Second))
	return tw
}

const moreWords = "\nTo see the stack trace of this error execute with --v=5 or higher\n"

// What kubeadm says to what it can't do; all of it before it touches anything.
func TestKubeadmRefuses(t *testing.T) {
	w := newKubeadmTown(t)
	const join = "kubeadm join 10.0.0.10:6443 --token abcdef.0123456789abcdef "
	for line, want := range map[string]string{
		"kubeadm nosuch":                         `error: unknown command "nosuch" for "kubeadm"`,
		"kubeadm token nosuch":                   `error: unknown command "nosuch" for "kubeadm token"`,
		"kubeadm token create --sed":             "error: unknown flag: --sed",
		"kubeadm token create a b":               "error: accepts at most 1 arg(s), received 2",
		"kubeadm token create --ttl soon":        `error: invalid argument "soon" for "--ttl" flag: time: invalid duration "soon"`,
		"kubeadm token create --usages x":        `error: [bootstrapTokens.0.usages: Invalid value: ["x"]: invalid bootstrap token usage string: x, valid usage options: authentication,signing, bootstrapTokens.0.groups: Invalid value: ["system:bootstrappers:kubeadm:default-node-token"]: token groups cannot be specified unless --usages includes "authentication"]`,
		"kubeadm token create --groups system:x": `error: bootstrapTokens.0.groups: Invalid value: ["system:x"]: bootstrap group "system:x" is invalid (must match \Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z)`,
		"kubeadm token create abcdef.0123456789abcdef --kubeconfig /etc/kubernetes/admin.conf": `error: failed to load kubeconfig: open /etc/kubernetes/admin.conf: no such file or directory`,
		"kubeadm token delete": `error: missing argument; 'token delete' is missing token of form ["\\A([a-z0-9]{6})\\z"]`,
		"kubeadm join":         `error: discovery: Invalid value: "": bootstrapToken or file must be set`,
		"kubeadm join 10.0.0.10:6443 --discovery-token-unsafe-skip-ca-verification":                              `error: [discovery.bootstrapToken.token: Invalid value: "": the bootstrap token is invalid, discovery.tlsBootstrapToken: Invalid value: "": the bootstrap token is invalid]`,
		"kubeadm join 10.0.0.10 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification":   `error: discovery.bootstrapToken.apiServerEndpoint: Invalid value: "10.0.0.10": address 10.0.0.10: missing port in address`,
		"kubeadm join --discovery-file /nosuch.conf":                                                             `error: discovery.file.kubeConfigPath: Invalid value: "/nosuch.conf": not a valid HTTPS URL or a file on disk`,
		"kubeadm join --discovery-file http://x/y":                                                               `error: discovery.file.kubeConfigPath: Invalid value: "http://x/y": if a URL is used, the scheme must be https`,
		"kubeadm join --config /nosuch.yaml":                                                                     `error: unable to read config from "/nosuch.yaml" : open /nosuch.yaml: no such file or directory`,
		"kubeadm join --config /nosuch.yaml --token x":                                                           `error: can not mix '--config' with arguments [token]`,
		join + "--discovery-token-ca-cert-hash md5:aa":                                                           `error: error execution phase preflight: couldn't validate the identity of the API Server: invalid discovery token CA certificate hash: unknown hash format "md5". Known format(s) are: sha256`,
		join + "--discovery-token-ca-cert-hash abcd":                                                             `error: error execution phase preflight: couldn't validate the identity of the API Server: invalid discovery token CA certificate hash: invalid hash, expected "format:hex-value". Known format(s) are: sha256`,
		join + "--discovery-token-ca-cert-hash sha256:abcd":                                                      `error: error execution phase preflight: couldn't validate the identity of the API Server: invalid discovery token CA certificate hash: invalid hash "sha256:abcd", expected a 32 byte SHA-256 hash, found 2 bytes`,
		join + "--discovery-token-ca-cert-hash sha256:" + strings.Repeat("0g", 32):                               `error: error execution phase preflight: couldn't validate the identity of the API Server: invalid discovery token CA certificate hash: invalid hash "sha256:` + strings.Repeat("0g", 32) + `", could not decode SHA-256 from hex: encoding/hex: invalid byte: U+0067 'g'`,
		"echo 'kind: JoinConfiguration' > /j.yaml; kubeadm join --config /j.yaml":                                `error: invalid configuration for GroupVersionKind /, Kind=JoinConfiguration: kind and apiVersion is mandatory information that must be specified`,
		"echo '{apiVersion: v1, kind: Secret}' > /j.yaml; kubeadm join --config /j.yaml":                         `error: invalid configuration for GroupVersionKind /v1, Kind=Secret: kind and apiVersion is mandatory information that must be specified`,
		"echo '{apiVersion: apps/v1, kind: Deployment}' > /j.yaml; kubeadm join --config /j.yaml 2>&1 | tail -2": `error: no JoinConfiguration kind was found in the YAML file`,
		"echo '{apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration, certificateValidityPeriod: long}' > /c.yaml; kubeadm init phase certs ca --config /c.yaml": `error: time: invalid duration "long"`,
	} {
		out, _ := w.say("node-1", line)
		out = strings.TrimPrefix(out, "[preflight] Running pre-flight checks\n")
		require.Equal(t, want+moreWords, out, line)
	}
	out, _ := w.say("node-1", "ls /etc/kubernetes")
	require.Empty(t, out)
	out, status := w.say("admin", join+"--discovery-token-unsafe-skip-ca-verification")
	require.Equal(t, "1", status)
	require.Contains(t, out, "[ERROR IsPrivilegedUser]: user is not running as root\n")
	out, _ = w.say("node-1", "echo '{apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration, tokens: []}' > /j.yaml; kubeadm join --config /j.yaml")
	require.Contains(t, out, `strict decoding error: unknown field "tokens"`)
	out, _ = w.say("node-1", "echo '{apiVersion: kubeadm.k8s.io/v1beta4, kind: JoinConfiguration, discovery: {bootstrapToken: {hash: x}, files: {}}, nodeRegistration: {names: x}}' > /j.yaml; kubeadm join --config /j.yaml")
	require.Contains(t, out, `Kind:"JoinConfiguration"}: strict decoding error: unknown field "discovery.bootstrapToken.hash", unknown field "discovery.files", unknown field "nodeRegistration.names"`+"\n")
	for line, want := range map[string]string{
		"kubeadm config images pull": "error: kubeadm config: not in this shell: ",
		"kubeadm upgrade plan":       "error: kubeadm upgrade: not in this shell: a world has one release\n",
		"kubeadm init --dry-run":     "error: kubeadm init --dry-run: not in this shell: ",
	} {
		out, status := w.say("node-1", line)
		require.Equal(t, "1", status)
		require.Contains(t, out, want)
	}
	out, _ = w.say("admin", "kubeadm token delete ABC")
	require.Equal(t, `error: given token "ABC" didn't match pattern "\\A([a-z0-9]{6})\\z" or "\\A([a-z0-9]{6})\\z"`+moreWords, out)
	out, _ = w.say("admin", "kubeadm token create abcdef.aaaaaaaaaaaaaaaa")
	require.Equal(t, `error: a token with id "abcdef" already exists`+moreWords, out)
	out, status = w.say("node-1", "kubeadm token --help")
	require.Equal(t, "0", status)
	require.Contains(t, out, "Available Commands:\n  create      Create bootstrap tokens on the server\n")
}

// A node joins with the hash of the CA's key, and with a kubeconfig that only
// names the cluster.
func TestKubeadmJoins(t *testing.T) {
	w := newKubeadmTown(t)
	out, _ := w.say("control-1", "kubeadm token create --print-join-command")
	w.AdvanceTo(w.Now().Add(2 * time.Second))
	out, status := w.say("node-1", strings.TrimSpace(out)+" --v=1")
	require.Equal(t, "0", status, out)
	require.Contains(t, out, "[discovery] Cluster info signature and contents are valid and TLS certificate validates against pinned roots, will use API Server \"10.0.0.10:6443\"\n")
	require.Contains(t, out, "\tSignatureAlgorithm: SHA256-RSA\n")

	out, status = w.say("node-1", "kubeadm reset -f; cat > /tmp/discovery.conf <<'EOF'\napiVersion: v1\nkind: Config\nclusters:\n- name: ''\n  cluster: {server: 'https://10.0.0.10:6443', insecure-skip-tls-verify: true}\nEOF\nkubeadm join --discovery-file /tmp/discovery.conf --tls-bootstrap-token abcdef.0123456789abcdef --node-name other")
	require.Equal(t, "0", status, out)
	out, _ = w.say("admin", "kubectl get nodes")
	require.Contains(t, out, "other")

	// Without credentials of its own, and without a token, it is of no use.
	out, status = w.say("node-1", "kubeadm reset -f; kubeadm join --discovery-file /tmp/discovery.conf --node-name other")
	require.Equal(t, "1", status)
	require.Contains(t, out, "couldn't find authentication credentials for the TLS boostrap process")

	// A CA that the server is not of.
	out, status = w.say("node-1", "kubeadm init phase certs ca --cert-dir /tmp/pki; cat > /tmp/discovery.conf <<EOF\napiVersion: v1\nkind: Config\nclusters:\n- name: ''\n  cluster: {server: 'https://10.0.0.10:6443', certificate-authority: /tmp/pki/ca.crt}\nEOF\nkubeadm join --discovery-file /tmp/discovery.conf --tls-bootstrap-token abcdef.0123456789abcdef")
	require.NotEqual(t, "0", status, out)
	w.AdvanceTo(w.Now().Add(5 * time.Minute))
	out, _ = printed(w.Drain())
	require.Contains(t, out, "Abort reading the cluster-info ConfigMap after timeout of 5m0s: Get \"https://10.0.0.10:6443/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s\": tls: failed to verify certificate: x509: certificate signed by unknown authority")
}

// TestKubeadmDates: the certificates of init begin five minutes before it is
// typed, those of kubeconfig files when their CA does.
func TestKubeadmDates(t *testing.T) {
	w := newKubeadmTown(t)
	began := w.Now()
	backdated := func(at time.Time) time.Time { return at.Add(-5 * time.Minute).Truncate(time.Second) }
	starts := func(command string) time.Time {
		out, status := w.say("control-1", command)
		require.Equal(t, "0", status, out)
		if _, data, ok := strings.Cut(out, "client-certificate-data: "); ok {
			data, _, _ = strings.Cut(data, "\n")
			raw, err := base64.StdEncoding.DecodeString(data)
			require.NoError(t, err)
			out = string(raw)
		}
		certs, err := pki.ParseCerts([]byte(out))
		require.NoError(t, err, out)
		return certs[0].NotBefore
	}
	require.Equal(t, backdated(began), starts("kubeadm init phase certs ca --cert-dir /tmp/pki >/dev/null; cat /tmp/pki/ca.crt"))
	w.AdvanceTo(began.Add(24 * time.Hour))
	require.Equal(t, backdated(w.Now()), starts("kubeadm init phase certs apiserver --cert-dir /tmp/pki >/dev/null; cat /tmp/pki/apiserver.crt"))
	require.Equal(t, backdated(began), starts("printf 'apiVersion: kubeadm.k8s.io/v1beta4\\nkind: ClusterConfiguration\\ncertificatesDir: /tmp/pki\\n' > /tmp/c.yaml; kubeadm kubeconfig user --client-name ann --config /tmp/c.yaml"))
}
