package era

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// Each line of a table is in order: a name stands once, what holds begins after what
// of the same kind held before, a flag comes and goes by turns, and words have a number.
func TestFlagTables(t *testing.T) {
	for _, table := range flagTables {
		seen, words, source := map[string]bool{}, map[string]bool{}, false
		for line := range strings.Lines(*table.text) {
			line = strings.TrimSuffix(line, "\n")
			if n, _, ok := strings.Cut(line, " "); ok && line[0] == '!' {
				require.False(t, words[n], line)
				words[n] = true
				continue
			}
			if line[0] == '#' {
				source = true
				continue
			}
			fields := strings.Fields(line)
			require.GreaterOrEqual(t, len(fields), 2, line)
			require.False(t, seen[fields[0]], "%s: %s stands twice", table.component, fields[0])
			require.NotContains(t, fields[0], "_", line)
			require.True(t, source, line)
			seen[fields[0]] = true
			last, there := map[byte]int{}, byte('+')
			rest := fields[2:]
			if len(rest) > 0 && rest[0][0] == '@' && len(rest[0]) > 1 {
				rest = rest[1:]
			}
			for i, word := range rest {
				since, what := sinceOf(word)
				require.Contains(t, "+-:=!@", what[:1], line)
				require.LessOrEqual(t, since, Newest, line)
				kind := what[0]
				if kind == '+' || kind == '-' {
					require.Greater(t, since, Oldest-map[bool]int{true: 1}[kind == '-'], line)
					if i > 0 || kind == '-' {
						require.NotEqual(t, there, kind, "%s: %s", table.component, line)
					}
					there, kind = kind, '+'
				} else {
					require.Equal(t, byte('+'), there, "%s: it changes while it is gone: %s", table.component, line)
				}
				require.Less(t, last[kind], since, line)
				last[kind] = since
				if what[0] == '!' && len(what) > 1 {
					require.True(t, words[what], "no words %s: %s", what, line)
				}
			}
		}
		require.Greater(t, len(seen), 70, table.component)
	}
}

// The world that one starts in is made of flags that its release has.
func TestWorldFlagsAreKnown(t *testing.T) {
	for _, release := range Releases() {
		for unit := range worldFlags {
			e := Must(release)
			if Flags(e, unit) == nil {
				continue
			}
			if _, err := ReadCommandLine(e, unit, new(pflag.FlagSet), UnitFlags(e, unit)); err != nil {
				require.Contains(t, err.Error(), "ADDRESS", "%s of %s", unit, release)
			}
		}
	}
}

// So are those of the units that kubeadm makes.
func TestKubeadmFlagsAreKnown(t *testing.T) {
	fill := strings.NewReplacer("{address}", "10.0.0.10", "{port}", "6443", "{services}", "10.96.0.0/12")
	for _, release := range Releases() {
		e := Must(release)
		for _, s := range KubeadmStaticPods(e) {
			if Flags(e, s.Name) == nil {
				continue
			}
			var args []string
			for _, a := range s.Args {
				args = append(args, "--"+fill.Replace(a))
			}
			_, err := ReadCommandLine(e, s.Name, new(pflag.FlagSet), args)
			require.NoError(t, err, "%s of %s", s.Name, release)
		}
	}
}

const byConfig = "This parameter should be set via the config file specified by the Kubelet's --config flag. See https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/ for more information."

// The rows of the fact sheet's sections 1.1 to 1.3, in the releases before and after
// each change; and what the recorded help of 1.7.4, 1.8.0 and 1.11.1 says.
func TestFlagsByRelease(t *testing.T) {
	const none = "none"
	type change struct{ release, value, deprecated string }
	for _, row := range []struct {
		component, name string
		changes         []change
	}{
		{"kubelet", "experimental-bootstrap-kubeconfig", []change{{"1.7", "", ""}, {"1.10", "", ""}, {"1.11", "", "Use --bootstrap-kubeconfig"}, {"1.22", "", "Use --bootstrap-kubeconfig"}, {"1.23", none, ""}}},
		{"kubelet", "bootstrap-kubeconfig", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kubelet", "kubeconfig", []change{{"1.7", "/var/lib/kubelet/kubeconfig", ""}, {"1.9", "/var/lib/kubelet/kubeconfig", ""}, {"1.10", "", ""}}},
		{"kubelet", "require-kubeconfig", []change{{"1.7", "", ""}, {"1.9", "", "You no longer need to use --require-kubeconfig. This will be removed in a future version. Providing --kubeconfig enables API server mode, omitting --kubeconfig enables standalone mode unless --require-kubeconfig=true is also set. In the latter case, the legacy default kubeconfig path will be used until --require-kubeconfig is removed."}, {"1.10", none, ""}}},
		{"kubelet", "api-servers", []change{{"1.7", "", "Use --kubeconfig instead. Will be removed in a future version."}, {"1.8", none, ""}}},
		{"kubelet", "cert-dir", []change{{"1.7", "/var/run/kubernetes", ""}, {"1.8", "/var/run/kubernetes", ""}, {"1.9", "/var/lib/kubelet/pki", ""}, {"1.36", "/var/lib/kubelet/pki", ""}}},
		{"kubelet", "rotate-certificates", []change{{"1.7", none, ""}, {"1.8", "", ""}, {"1.10", "", ""}, {"1.11", "", byConfig}, {"1.36", "", byConfig}}},
		{"kubelet", "rotate-server-certificates", []change{{"1.10", none, ""}, {"1.11", "", byConfig}, {"1.36", "", byConfig}}},
		{"kubelet", "config", []change{{"1.9", none, ""}, {"1.10", "", ""}}},
		{"kubelet", "tls-cert-file", []change{{"1.7", "", ""}, {"1.10", "", byConfig}}},
		{"kubelet", "client-ca-file", []change{{"1.7", "", ""}, {"1.10", "", byConfig}}},
		{"kubelet", "tls-cipher-suites", []change{{"1.9", none, ""}, {"1.10", "", byConfig}}},
		{"kubelet", "tls-min-version", []change{{"1.9", none, ""}, {"1.10", "", byConfig}}},
		{"kubelet", "port", []change{{"1.7", "10250", ""}, {"1.36", "10250", byConfig}}},
		{"kubelet", "read-only-port", []change{{"1.7", "10255", ""}, {"1.36", "10255", byConfig}}},
		{"kubelet", "anonymous-auth", []change{{"1.7", "true", ""}, {"1.36", "true", byConfig}}},
		{"kubelet", "authentication-token-webhook", []change{{"1.7", "", ""}, {"1.36", "", byConfig}}},
		{"kubelet", "authorization-mode", []change{{"1.7", "AlwaysAllow", ""}, {"1.36", "AlwaysAllow", byConfig}}},
		{"kubelet", "cloud-provider", []change{{"1.7", "auto-detect", ""}, {"1.8", "auto-detect", ""}, {"1.9", "", ""}, {"1.18", "", ""},
			{"1.19", "", "will be removed in 1.23, in favor of removing cloud provider code from Kubelet."}, {"1.29", "", ""}}},
		{"kubelet", "node-ip", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kubelet", "hostname-override", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kubelet", "network-plugin", []change{{"1.20", "", ""}, {"1.23", "", "will be removed along with dockershim."}, {"1.24", none, ""}}},
		{"kubelet", "cadvisor-port", []change{{"1.7", "4194", ""}, {"1.11", "", "The default will change to 0 (disabled) in 1.11, and the cadvisor port will be removed entirely in 1.12"}, {"1.12", none, ""}}},

		{"kube-apiserver", "client-ca-file", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kube-apiserver", "token-auth-file", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kube-apiserver", "basic-auth-file", []change{{"1.15", "", ""}, {"1.16", "", "Basic authentication mode is deprecated and will be removed in a future release. It is not recommended for production environments."}, {"1.19", none, ""}}},
		{"kube-apiserver", "experimental-bootstrap-token-auth", []change{{"1.7", "", ""}, {"1.8", "", "use --enable-bootstrap-token-auth instead."}, {"1.9", none, ""}}},
		{"kube-apiserver", "enable-bootstrap-token-auth", []change{{"1.7", none, ""}, {"1.8", "", ""}, {"1.37", "", ""}}},
		{"kube-apiserver", "authorization-mode", []change{{"1.7", "AlwaysAllow", ""}, {"1.36", "AlwaysAllow", ""}}},
		{"kube-apiserver", "authorization-config", []change{{"1.28", none, ""}, {"1.29", "", ""}}},
		{"kube-apiserver", "anonymous-auth", []change{{"1.7", "true", ""}, {"1.37", "true", ""}}},
		{"kube-apiserver", "admission-control", []change{{"1.9", "AlwaysAdmit", ""}, {"1.10", "", "Use --enable-admission-plugins or --disable-admission-plugins instead. Will be removed in a future version."},
			{"1.36", "", "Use --enable-admission-plugins or --disable-admission-plugins instead. Will be removed in a future version."}}},
		{"kube-apiserver", "enable-admission-plugins", []change{{"1.9", none, ""}, {"1.10", "", ""}}},
		{"kube-apiserver", "disable-admission-plugins", []change{{"1.9", none, ""}, {"1.10", "", ""}}},
		{"kube-apiserver", "kubelet-certificate-authority", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kube-apiserver", "kubelet-client-certificate", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kube-apiserver", "kubelet-https", []change{{"1.18", "true", ""}, {"1.19", "true", "API Server connections to kubelets always use https. This flag will be removed in 1.22."}, {"1.22", none, ""}}},
		{"kube-apiserver", "tls-cipher-suites", []change{{"1.9", none, ""}, {"1.10", "", ""}}},
		{"kube-apiserver", "tls-ca-file", []change{{"1.9", "", ""}, {"1.10", "", "This flag has no effect."}, {"1.11", none, ""}}},
		{"kube-apiserver", "insecure-port", []change{{"1.9", "8080", ""}, {"1.19", "8080", "This flag will be removed in a future version."},
			{"1.20", "", "This flag has no effect now and will be removed in v1.24."}, {"1.24", none, ""}}},

		{"kube-controller-manager", "cluster-signing-cert-file", []change{{"1.7", "/etc/kubernetes/ca/ca.pem", ""}, {"1.18", "/etc/kubernetes/ca/ca.pem", ""}, {"1.19", "", ""}}},
		{"kube-controller-manager", "cluster-signing-key-file", []change{{"1.7", "/etc/kubernetes/ca/ca.key", ""}, {"1.18", "/etc/kubernetes/ca/ca.key", ""}, {"1.19", "", ""}}},
		{"kube-controller-manager", "cluster-signing-kubelet-client-cert-file", []change{{"1.18", none, ""}, {"1.19", "", ""}}},
		{"kube-controller-manager", "experimental-cluster-signing-duration", []change{{"1.7", "8760h0m0s", ""}, {"1.18", "8760h0m0s", ""}, {"1.19", "8760h0m0s", "use --cluster-signing-duration"},
			{"1.24", "8760h0m0s", "use --cluster-signing-duration"}, {"1.25", none, ""}}},
		{"kube-controller-manager", "cluster-signing-duration", []change{{"1.18", none, ""}, {"1.19", "8760h0m0s", ""}}},
		{"kube-controller-manager", "controllers", []change{{"1.7", "*", ""}, {"1.37", "*", ""}}},
		{"kube-controller-manager", "root-ca-file", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
		{"kube-controller-manager", "insecure-experimental-approve-all-kubelet-csrs-for-group", []change{{"1.7", "", ""}, {"1.12", "", ""}, {"1.13", none, ""}}},
		{"kube-controller-manager", "use-service-account-credentials", []change{{"1.7", "", ""}, {"1.37", "", ""}}},
	} {
		for _, c := range row.changes {
			f, known := FlagOf(Must(c.release), row.component, row.name)
			require.Equal(t, c.value != none, known, "%s --%s in %s", row.component, row.name, c.release)
			if known {
				require.Equal(t, c.value, f.Default, "%s --%s in %s", row.component, row.name, c.release)
				require.Equal(t, c.deprecated, f.Deprecated, "%s --%s in %s", row.component, row.name, c.release)
			}
		}
	}
}
