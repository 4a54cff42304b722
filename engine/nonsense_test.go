package engine

import (
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nonsense are the ways in which a file may be wrong, by name.
var nonsense = map[string]func(good []byte) []byte{
	"empty":     func([]byte) []byte { return []byte{} },
	"text":      func([]byte) []byte { return []byte("nonsense\n") },
	"truncated": func(good []byte) []byte { return good[:len(good)/2] },
	// A certificate of someone else, which is a PEM file all the same.
	"foreign": nil,
}

// refusals are what a component says of each file that it reads when it is wrong.
// Words are of the sources named; FILE is the path.
var refusals = []struct {
	host, unit, file string
	says             map[string]string
}{
	// cmd/kubelet/app/server.go, pkg/kubelet/kubeletconfig/configfiles.
	{"node-1", "kubelet", "/var/lib/kubelet/config.yaml", map[string]string{
		"missing":   `failed to load kubelet config file, path: FILE, error: failed to load Kubelet config file FILE, error failed to read kubelet config file "FILE", error: open FILE: no such file or directory`,
		"empty":     `error failed to decode: no kind "" is registered for version ""`,
		"text":      `error failed to decode: `,
		"directory": `error failed to read kubelet config file "FILE", error: read FILE: is a directory`,
	}},
	// k8s.io/client-go/tools/clientcmd, pkg/kubelet/certificate/bootstrap.
	{"node-1", "kubelet", "/etc/kubernetes/bootstrap-kubelet.conf", map[string]string{
		"missing":   `failed to run Kubelet: unable to load bootstrap kubeconfig: stat FILE: no such file or directory`,
		"empty":     `unable to load bootstrap kubeconfig: invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable`,
		"text":      `unable to load bootstrap kubeconfig: error loading config file "FILE": couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }`,
		"directory": `unable to load bootstrap kubeconfig: error loading config file "FILE": read FILE: is a directory`,
	}},
	// k8s.io/apiserver/pkg/server/dynamiccertificates; what the kubeconfig names comes first.
	{"node-1", "kubelet", "/etc/kubernetes/pki/ca.crt", map[string]string{
		"missing":   `invalid configuration: unable to read certificate-authority FILE for kubernetes due to open FILE: no such file or directory`,
		"empty":     `failed to run Kubelet: missing content for CA bundle "client-ca-bundle::FILE"`,
		"text":      `failed to run Kubelet: error loading CA bundle for "client-ca-bundle::FILE": data does not contain any valid RSA or ECDSA certificates`,
		"truncated": `failed to run Kubelet: error loading CA bundle for "client-ca-bundle::FILE": data does not contain any valid RSA or ECDSA certificates`,
		"foreign":   `tls: failed to verify certificate: x509: certificate signed by unknown authority`,
	}},
	// cmd/kube-controller-manager/app.
	{"control-1", "kube-controller-manager", "/etc/kubernetes/controller-manager.conf", map[string]string{
		"missing":   `"command failed" err="stat FILE: no such file or directory"`,
		"empty":     `invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable`,
		"text":      `error loading config file "FILE": couldn't get version/kind; json parse error: json: cannot unmarshal string into Go value of type struct {`,
		"foreign":   `error loading config file "FILE": `,
		"directory": `error loading config file "FILE": read FILE: is a directory`,
	}},
	{"control-1", "kube-controller-manager", "/etc/kubernetes/pki/ca.crt", map[string]string{
		"missing":   `error parsing root-ca-file at FILE: open FILE: no such file or directory`,
		"empty":     `error parsing root-ca-file at FILE: data does not contain any valid RSA or ECDSA certificates`,
		"text":      `error parsing root-ca-file at FILE: data does not contain any valid RSA or ECDSA certificates`,
		"truncated": `error parsing root-ca-file at FILE: data does not contain any valid RSA or ECDSA certificates`,
		"directory": `error parsing root-ca-file at FILE: read FILE: is a directory`,
	}},
	{"control-1", "kube-controller-manager", "/etc/kubernetes/pki/ca.key", map[string]string{
		"missing":   `failed to init kubernetes.io/kubelet-serving certificate controller: error reading CA cert file "/etc/kubernetes/pki/ca.crt": open FILE: no such file or directory`,
		"empty":     `error reading CA cert file "/etc/kubernetes/pki/ca.crt": missing content for serving cert "csr-controller::/etc/kubernetes/pki/ca.crt::FILE"`,
		"text":      `tls: failed to find any PEM data in key input`,
		"truncated": `tls: failed to find any PEM data in key input`,
		"foreign":   `tls: found a certificate rather than a key in the PEM for the private key`,
		"directory": `read FILE: is a directory`,
	}},
	{"control-1", "kube-controller-manager", "/etc/kubernetes/pki/sa.key", map[string]string{
		"missing":   `error reading key for service account token controller: error reading private key file FILE: open FILE: no such file or directory`,
		"empty":     `error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
		"text":      `error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
		"truncated": `error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
		"foreign":   `error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
	}},
	// pkg/kubeapiserver/options, k8s.io/apiserver/pkg/server/options.
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/ca.crt", map[string]string{
		"missing":   `unable to load client CA provider: open FILE: no such file or directory`,
		"empty":     `unable to load client CA provider: missing content for CA bundle "client-ca-bundle::FILE"`,
		"text":      `unable to load client CA provider: error loading CA bundle for "client-ca-bundle::FILE": data does not contain any valid RSA or ECDSA certificates`,
		"truncated": `unable to load client CA provider: error loading CA bundle for "client-ca-bundle::FILE": data does not contain any valid RSA or ECDSA certificates`,
		"directory": `unable to load client CA provider: read FILE: is a directory`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/front-proxy-ca.crt", map[string]string{
		"missing": `"command failed" err="open FILE: no such file or directory"`,
		"empty":   `missing content for CA bundle "request-header::FILE"`,
		"text":    `error loading CA bundle for "request-header::FILE": data does not contain any valid RSA or ECDSA certificates`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/apiserver.crt", map[string]string{
		"missing":   `"command failed" err="open FILE: no such file or directory"`,
		"empty":     `missing content for serving cert "serving-cert::FILE::/etc/kubernetes/pki/apiserver.key"`,
		"text":      `tls: failed to find any PEM data in certificate input`,
		"truncated": `tls: failed to find any PEM data in certificate input`,
		"foreign":   `tls: private key does not match public key`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/front-proxy-client.key", map[string]string{
		"missing":   `"command failed" err="open FILE: no such file or directory"`,
		"empty":     `missing content for serving cert "aggregator-proxy-cert::/etc/kubernetes/pki/front-proxy-client.crt::FILE"`,
		"truncated": `tls: failed to find any PEM data in key input`,
		"foreign":   `tls: found a certificate rather than a key in the PEM for the private key`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/sa.key", map[string]string{
		"missing":   `failed to parse service-account-issuer-key-file: open FILE: no such file or directory`,
		"empty":     `failed to parse service-account-issuer-key-file: error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
		"truncated": `failed to parse service-account-issuer-key-file: error reading private key file FILE: data does not contain a valid RSA or ECDSA private key`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/sa.pub", map[string]string{
		"missing":   `"command failed" err="open FILE: no such file or directory"`,
		"empty":     `error reading public key file FILE: data does not contain any valid RSA or ECDSA public keys`,
		"truncated": `error reading public key file FILE: data does not contain any valid RSA or ECDSA public keys`,
	}},
	{"control-1", "kube-apiserver", "/etc/kubernetes/pki/apiserver-kubelet-client.crt", map[string]string{
		"missing":   `"command failed" err="open FILE: no such file or directory"`,
		"directory": `read FILE: is a directory`,
	}},
	{"control-1", "kube-scheduler", "/etc/kubernetes/scheduler.conf", map[string]string{
		"missing":   `stat FILE: no such file or directory`,
		"empty":     `invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable`,
		"text":      `error loading config file "FILE": couldn't get version/kind; json parse error: `,
		"directory": `error loading config file "FILE": read FILE: is a directory`,
	}},
}

// TestNonsenseInFiles: a file that is wrong is refused by who reads it, when it
// reads it, in its own words.
func TestNonsenseInFiles(t *testing.T) {
	base, err := New(Config{Seed: "nonsense"})
	require.NoError(t, err)
	defer base.Close()
	foreign, err := base.Disk("control-1").ReadFile("/etc/kubernetes/pki/front-proxy-client.crt")
	require.NoError(t, err)
	for _, row := range refusals {
		for kind, words := range row.says {
			w := base.Clone()
			m := w.machine(row.host)
			good, err := m.Disk.ReadFile(row.file)
			require.NoError(t, err)
			switch kind {
			case "missing", "directory":
				require.NoError(t, m.Disk.Remove(row.file))
				if kind == "directory" {
					require.NoError(t, m.Disk.MkdirAll(row.file, 0o755, w.Now()))
				}
			case "foreign":
				require.NoError(t, m.Disk.WriteFile(row.file, foreign, 0o600, w.Now()))
			default:
				require.NoError(t, m.Disk.WriteFile(row.file, nonsense[kind](good), 0o600, w.Now()))
			}
			said := restarted(t, w, row.host, row.unit)
			want := strings.ReplaceAll(words, "FILE", row.file)
			require.Contains(t, plainly(said), plainly(want), "%s on %s, %s %s", row.unit, row.host, path.Base(row.file), kind)
			w.Close()
		}
	}
}

// plainly leaves out what a log escapes with.
func plainly(s string) string { return strings.ReplaceAll(s, `\`, "") }

// restarted restarts a unit and returns what it says in the next seconds.
func restarted(t *testing.T, w *World, host, unit string) string {
	u := w.machine(host).unit(unit)
	from := len(u.Journal)
	require.NoError(t, w.Apply(Input{Typed: &Typed{host, "systemctl restart " + unit}}))
	require.NotZero(t, w.AdvanceWithin(w.Now().Add(5*time.Second), 50_000))
	var said strings.Builder
	for _, e := range w.machine(host).unit(unit).Journal[from:] {
		said.WriteString(e.Line + "\n")
	}
	return said.String()
}

// TestNonsenseInSettings: a value that can't be is refused, and a field that nobody
// knows is told of.
func TestNonsenseInSettings(t *testing.T) {
	base, err := New(Config{Seed: "settings"})
	require.NoError(t, err)
	defer base.Close()
	for _, row := range []struct{ host, unit, file, from, to, says string }{
		{"node-1", "kubelet", "/var/lib/kubelet/config.yaml", "rotateCertificates: true", "rotateCertificates: true\nrotateServerCertificates: true", `"Using lenient decoding as strict decoding failed" err="strict decoding error: unknown field "rotateServerCertificates""`},
		{"node-1", "kubelet", "/var/lib/kubelet/config.yaml", "rotateCertificates: true", `rotateCertificates: "yes"`, "failed to decode: json: cannot unmarshal string into Go struct field KubeletConfiguration.rotateCertificates of type bool"},
		{"node-1", "kubelet", "/var/lib/kubelet/config.yaml", "v1beta1", "v1", `no kind "KubeletConfiguration" is registered for version "kubelet.config.k8s.io/v1"`},
		{"node-1", "kubelet", "/etc/kubernetes/bootstrap-kubelet.conf", "kind: Config", "kind: Secret", `no kind "Secret" is registered for version "v1" in scheme "k8s.io/client-go/tools/clientcmd/api/latest/latest.go:50"`},
		{"node-1", "kubelet", "/etc/kubernetes/bootstrap-kubelet.conf", "users:\n- name: tls-bootstrap-token-user\n  user:", "users:\n- name: tls-bootstrap-token-user\n  user: x\n  other:", "json: cannot unmarshal string into Go struct field NamedAuthInfo.users.user of type v1.AuthInfo"},
		{"node-1", "kubelet", unitDir + "kubelet.service", "--v=2", "--v=2 --nosuch", "failed to parse kubelet flag: unknown flag: --nosuch"},
		{"node-1", "kubelet", unitDir + "kubelet.service", "--v=2", "--v=x", "failed to parse kubelet flag: invalid argument"},
		{"control-1", "kube-apiserver", unitDir + "kube-apiserver.service", "--v=3", "--nosuch=1", "Error: unknown flag: --nosuch"},
		{"control-1", "kube-apiserver", unitDir + "kube-apiserver.service", "--v=3", "--secure-port=x", `Error: invalid argument "x" for "--secure-port" flag`},
		{"control-1", "kube-controller-manager", unitDir + "kube-controller-manager.service", "--v=4", "--nosuch", "Error: unknown flag: --nosuch"},
		{"control-1", "kube-controller-manager", unitDir + "kube-controller-manager.service", "8760h0m0s", "1y", `Error: invalid argument "1y" for "--cluster-signing-duration" flag: time: unknown unit "y" in duration "1y"`},
		{"control-1", "kube-controller-manager", unitDir + "kube-controller-manager.service", "--controllers=*,", "--controllers=nosuch,*,", `"nosuch" is not in the list of known controllers`},
	} {
		w := base.Clone()
		m := w.machine(row.host)
		b, err := m.Disk.ReadFile(row.file)
		require.NoError(t, err)
		require.Contains(t, string(b), row.from)
		require.NoError(t, m.Disk.WriteFile(row.file, []byte(strings.Replace(string(b), row.from, row.to, 1)), 0o644, w.Now()))
		require.Contains(t, plainly(restarted(t, w, row.host, row.unit)), row.says, row.to)
		w.Close()
	}
}
