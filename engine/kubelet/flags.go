package kubelet

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Flags is what a kubelet's command line said.
type Flags struct {
	Config              string `json:"config,omitempty"`
	BootstrapKubeconfig string `json:"bootstrapKubeconfig,omitempty"`
	Kubeconfig          string `json:"kubeconfig,omitempty"`
	CertDir             string `json:"certDir"`
	HostnameOverride    string `json:"hostnameOverride,omitempty"`
	NodeIP              string `json:"nodeIP,omitempty"`
	RootDir             string `json:"rootDir"`
	RegisterNode        bool   `json:"registerNode,omitempty"`
	V                   int    `json:"v,omitempty"`
	// Given are the flags that stand for a field of the configuration and win
	// over it, in the order in which they are named.
	Given []given `json:"given,omitempty"`
}

type given struct{ Name, Value string }

// fields are the flags that stand for a field of the configuration. They are
// deprecated, and a kubelet says so for each that is used.
var fields = map[string]func(cfg *KubeletConfiguration, v string){
	"address":                      func(c *KubeletConfiguration, v string) { c.Address = v },
	"port":                         func(c *KubeletConfiguration, v string) { c.Port = number(v) },
	"read-only-port":               func(c *KubeletConfiguration, v string) { c.ReadOnlyPort = number(v) },
	"healthz-port":                 func(c *KubeletConfiguration, v string) { n := number(v); c.HealthzPort = &n },
	"healthz-bind-address":         func(c *KubeletConfiguration, v string) { c.HealthzBindAddress = v },
	"client-ca-file":               func(c *KubeletConfiguration, v string) { c.Authentication.X509.ClientCAFile = v },
	"anonymous-auth":               func(c *KubeletConfiguration, v string) { c.Authentication.Anonymous.Enabled = boolean(v) },
	"authentication-token-webhook": func(c *KubeletConfiguration, v string) { c.Authentication.Webhook.Enabled = boolean(v) },
	"authorization-mode":           func(c *KubeletConfiguration, v string) { c.Authorization.Mode = v },
	"tls-cert-file":                func(c *KubeletConfiguration, v string) { c.TLSCertFile = v },
	"tls-private-key-file":         func(c *KubeletConfiguration, v string) { c.TLSPrivateKeyFile = v },
	"tls-min-version":              func(c *KubeletConfiguration, v string) { c.TLSMinVersion = v },
	"tls-cipher-suites":            func(c *KubeletConfiguration, v string) { c.TLSCipherSuites = strings.Split(v, ",") },
	"enable-server":                func(c *KubeletConfiguration, v string) { c.EnableServer = boolean(v) },
	"rotate-certificates":          func(c *KubeletConfiguration, v string) { c.RotateCertificates = v == "true" },
	"rotate-server-certificates":   func(c *KubeletConfiguration, v string) { c.ServerTLSBootstrap = v == "true" },
	"feature-gates": func(c *KubeletConfiguration, v string) {
		gates := map[string]bool{}
		for k, on := range c.FeatureGates {
			gates[k] = on
		}
		for _, g := range strings.FieldsFunc(v, func(r rune) bool { return r == ',' }) {
			name, on, _ := strings.Cut(g, "=")
			gates[name] = on == "true"
		}
		c.FeatureGates = gates
	},
	"authentication-token-webhook-cache-ttl": func(c *KubeletConfiguration, v string) {
		c.Authentication.Webhook.CacheTTL = duration(v)
	},
	"authorization-webhook-cache-authorized-ttl": func(c *KubeletConfiguration, v string) {
		c.Authorization.Webhook.CacheAuthorizedTTL = duration(v)
	},
	"authorization-webhook-cache-unauthorized-ttl": func(c *KubeletConfiguration, v string) {
		c.Authorization.Webhook.CacheUnauthorizedTTL = duration(v)
	},
	"enable-debugging-handlers": func(c *KubeletConfiguration, v string) { c.EnableDebuggingHandlers = boolean(v) },
	"register-node":             nil,
}

// Flags of 1.36 that change nothing in what is simulated, by the type of their
// value. Models cmd/kubelet/app/options AddKubeletConfigFlags.
const (
	otherBooleans = `cgroups-per-qos contention-profiling cpu-cfs-quota enable-controller-attach-detach fail-cgroupv1 fail-swap-on kernel-memcg-notification
		local-storage-capacity-isolation make-iptables-util-chains protect-kernel-defaults runonce serialize-image-pulls exit-on-lock-contention seccomp-default`
	otherDurations = `cpu-cfs-quota-period cpu-manager-reconcile-period eviction-pressure-transition-period file-check-frequency http-check-frequency
		minimum-image-ttl-duration node-status-update-frequency runtime-request-timeout streaming-connection-idle-timeout sync-frequency volume-stats-agg-period`
	otherNumbers = `container-log-max-files event-burst event-qps eviction-max-pod-grace-period image-gc-high-threshold image-gc-low-threshold kube-api-burst
		kube-api-qps max-pods node-status-max-images oom-score-adj pods-per-core registry-burst registry-qps max-open-files pod-max-pids`
	otherWords = `cgroup-driver cluster-dns cluster-domain pod-manifest-path resolv-conf container-runtime-endpoint image-service-endpoint register-with-taints
		allowed-unsafe-sysctls enforce-node-allocatable cgroup-root container-log-max-size cpu-manager-policy hairpin-mode kube-api-content-type
		kube-reserved-cgroup kubelet-cgroups manifest-url memory-manager-policy pod-cidr provider-id reserved-cpus system-cgroups system-reserved-cgroup
		topology-manager-policy topology-manager-scope volume-plugin-dir cpu-manager-policy-options eviction-hard eviction-minimum-reclaim eviction-soft
		eviction-soft-grace-period kube-reserved manifest-url-header qos-reserved reserved-memory system-reserved topology-manager-policy-options `
	// ownWords are no fields of the configuration, so nothing is said of them.
	ownWords = `node-labels cloud-provider vmodule config-dir image-credential-provider-bin-dir image-credential-provider-config lock-file runtime-cgroups`
	own      = ownWords + ` config bootstrap-kubeconfig kubeconfig cert-dir hostname-override node-ip root-dir v exit-on-lock-contention seccomp-default`
)

// among tells whether a flag is in a list.
func among(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// gates is the value of --feature-gates. Models component-base/cli/flag MapStringBool.
type gates string

func (g *gates) String() string { return string(*g) }
func (g *gates) Type() string   { return "mapStringBool" }

func (g *gates) Set(value string) error {
	for _, pair := range strings.Split(value, ",") {
		if pair == "" {
			continue
		}
		name, on, ok := strings.Cut(pair, "=")
		if !ok {
			return fmt.Errorf("malformed pair, expect string=bool")
		}
		name, on = strings.TrimSpace(name), strings.TrimSpace(on)
		b, err := strconv.ParseBool(on)
		if err != nil {
			return fmt.Errorf("invalid value of %s: %s, err: %w", name, on, err)
		}
		if *g != "" {
			*g += ","
		}
		*g += gates(fmt.Sprintf("%s=%t", name, b))
	}
	return nil
}

// booleans are those of fields that need no value.
var booleans = []string{"anonymous-auth", "enable-debugging-handlers", "authentication-token-webhook", "rotate-certificates", "rotate-server-certificates", "enable-server"}

func number(v string) int32 {
	n, _ := strconv.ParseInt(v, 10, 32)
	return int32(n)
}

func duration(v string) metav1.Duration {
	d, _ := time.ParseDuration(v)
	return metav1.Duration{Duration: d}
}

func boolean(v string) *bool {
	b := v == "true"
	return &b
}

// deprecated is what pflag says of each of them.
const deprecated = "This parameter should be set via the config file specified by the Kubelet's --config flag. See https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/ for more information."

// parseFlags reads a command line without the program's name. The error is
// pflag's, such as "unknown flag: --x".
func parseFlags(args []string) (Flags, error) {
	var f Flags
	fs := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&f.Config, "config", "", "")
	fs.StringVar(&f.BootstrapKubeconfig, "bootstrap-kubeconfig", "", "")
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.StringVar(&f.CertDir, "cert-dir", "/var/lib/kubelet/pki", "")
	fs.StringVar(&f.HostnameOverride, "hostname-override", "", "")
	fs.StringVar(&f.NodeIP, "node-ip", "", "")
	fs.StringVar(&f.RootDir, "root-dir", "/var/lib/kubelet", "")
	fs.BoolVar(&f.RegisterNode, "register-node", true, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	for name := range fields {
		switch {
		case name == "register-node":
		case slices.Contains(booleans, name):
			fs.Bool(name, false, "")
		case strings.HasSuffix(name, "port"):
			fs.Int32(name, 0, "")
		case name == "feature-gates":
			fs.Var(new(gates), name, "")
		case strings.HasSuffix(name, "-ttl"):
			fs.Duration(name, 10*time.Second, "")
		default:
			fs.String(name, "", "")
		}
	}
	for _, a := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		switch {
		case fs.Lookup(name) != nil:
		case among(otherBooleans, name):
			fs.Bool(name, false, "")
		case among(otherDurations, name):
			fs.Duration(name, 0, "")
		case among(otherNumbers, name):
			fs.Int32(name, 0, "")
		case among(otherWords+ownWords, name):
			fs.String(name, "", "")
		}
	}
	err := fs.Parse(args)
	fs.Visit(func(x *pflag.Flag) {
		if !among(own, x.Name) {
			f.Given = append(f.Given, given{x.Name, x.Value.String()})
		}
	})
	return f, err
}

// legacy are the defaults of a kubelet without a configuration file. Models
// cmd/kubelet/app/options applyLegacyDefaults.
func (cfg *KubeletConfiguration) legacy() {
	cfg.Authentication.Anonymous.Enabled = boolean("true")
	cfg.Authentication.Webhook.Enabled = boolean("false")
	cfg.Authorization.Mode = "AlwaysAllow"
	cfg.ReadOnlyPort = 10255
}

// override puts the flags that were given into a configuration.
func (f Flags) override(cfg *KubeletConfiguration) {
	for _, g := range f.Given {
		if set := fields[g.Name]; set != nil {
			set(cfg, g.Value)
		}
	}
}
