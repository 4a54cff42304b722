package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"
	netutils "k8s.io/utils/net"
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
	// Labels is the value of --node-labels.
	Labels string `json:"labels,omitempty"`
	// Version: it is to say its version and end.
	Version bool `json:"version,omitempty"`
	// Given are the others, in the order of their names: most stand for a field of
	// the configuration and win over it.
	Given []given `json:"given,omitempty"`
}

type given struct{ Name, Value string }

// flagRows are the flags of 1.36 beside those of Flags, by what is said of who uses
// one: NAME:KIND or NAME:KIND:FIELD. Kinds are b boolean, n number, d duration, s
// string, i address, l list, m map, e map of thresholds, g feature gates, t taints.
// Models cmd/kubelet/app/options, of which globalflags_linux.go is cAdvisor's.
var flagRows = []struct{ deprecated, rows string }{
	{"", `cloud-provider:s config-dir:s exit-on-lock-contention:b fail-cgroupv1:b:failCgroupV1 help:b housekeeping-interval:d
		image-credential-provider-bin-dir:s image-credential-provider-config:s lock-file:s log-flush-frequency:d provider-id:s:providerID runtime-cgroups:s
		seccomp-default:b:seccompDefault vmodule:s`},
	{"This parameter should be set via the config file specified by the Kubelet's --config flag. See https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/ for more information.",
		`address:i:address allowed-unsafe-sysctls:l:allowedUnsafeSysctls anonymous-auth:b:authentication.anonymous.enabled
		authentication-token-webhook-cache-ttl:d:authentication.webhook.cacheTTL authentication-token-webhook:b:authentication.webhook.enabled
		authorization-mode:s:authorization.mode authorization-webhook-cache-authorized-ttl:d:authorization.webhook.cacheAuthorizedTTL
		authorization-webhook-cache-unauthorized-ttl:d:authorization.webhook.cacheUnauthorizedTTL cgroup-driver:s:cgroupDriver cgroup-root:s:cgroupRoot
		cgroups-per-qos:b:cgroupsPerQOS client-ca-file:s:authentication.x509.clientCAFile cluster-dns:l:clusterDNS cluster-domain:s:clusterDomain
		container-log-max-files:n:containerLogMaxFiles container-log-max-size:s:containerLogMaxSize
		container-runtime-endpoint:s:containerRuntimeEndpoint contention-profiling:b:enableContentionProfiling cpu-cfs-quota:b:cpuCFSQuota
		cpu-cfs-quota-period:d:cpuCFSQuotaPeriod cpu-manager-policy:s:cpuManagerPolicy cpu-manager-policy-options:m:cpuManagerPolicyOptions
		cpu-manager-reconcile-period:d:cpuManagerReconcilePeriod enable-controller-attach-detach:b:enableControllerAttachDetach
		enable-debugging-handlers:b:enableDebuggingHandlers enable-server:b:enableServer enforce-node-allocatable:l:enforceNodeAllocatable
		event-burst:n:eventBurst event-qps:n:eventRecordQPS eviction-hard:e:evictionHard eviction-max-pod-grace-period:n:evictionMaxPodGracePeriod
		eviction-minimum-reclaim:m:evictionMinimumReclaim eviction-pressure-transition-period:d:evictionPressureTransitionPeriod
		eviction-soft:e:evictionSoft eviction-soft-grace-period:m:evictionSoftGracePeriod fail-swap-on:b:failSwapOn feature-gates:g:featureGates
		file-check-frequency:d:fileCheckFrequency hairpin-mode:s:hairpinMode healthz-bind-address:i:healthzBindAddress healthz-port:n:healthzPort
		http-check-frequency:d:httpCheckFrequency image-gc-high-threshold:n:imageGCHighThresholdPercent
		image-gc-low-threshold:n:imageGCLowThresholdPercent image-service-endpoint:s:imageServiceEndpoint
		kernel-memcg-notification:b:kernelMemcgNotification kube-api-burst:n:kubeAPIBurst kube-api-content-type:s:contentType
		kube-api-qps:n:kubeAPIQPS kube-reserved-cgroup:s:kubeReservedCgroup kube-reserved:m:kubeReserved kubelet-cgroups:s:kubeletCgroups
		local-storage-capacity-isolation:b:localStorageCapacityIsolation log-json-info-buffer-size:s:logging.options.json.infoBufferSize
		log-json-split-stream:b:logging.options.json.splitStream log-text-info-buffer-size:s:logging.options.text.infoBufferSize
		log-text-split-stream:b:logging.options.text.splitStream logging-format:s:logging.format
		make-iptables-util-chains:b:makeIPTablesUtilChains manifest-url:s:staticPodURL manifest-url-header:s max-open-files:n:maxOpenFiles
		max-pods:n:maxPods memory-manager-policy:s:memoryManagerPolicy minimum-image-ttl-duration:d:imageMinimumGCAge
		node-status-max-images:n:nodeStatusMaxImages node-status-update-frequency:d:nodeStatusUpdateFrequency oom-score-adj:n:oomScoreAdj
		pod-cidr:s:podCIDR pod-manifest-path:s:staticPodPath pod-max-pids:n:podPidsLimit pods-per-core:n:podsPerCore port:n:port
		protect-kernel-defaults:b:protectKernelDefaults qos-reserved:m:qosReserved read-only-port:n:readOnlyPort register-node:b:registerNode
		register-with-taints:t:registerWithTaints registry-burst:n:registryBurst registry-qps:n:registryPullQPS reserved-cpus:s:reservedSystemCPUs
		reserved-memory:s resolv-conf:s:resolvConf rotate-certificates:b:rotateCertificates rotate-server-certificates:b:serverTLSBootstrap
		runonce:b:runOnce runtime-request-timeout:d:runtimeRequestTimeout serialize-image-pulls:b:serializeImagePulls
		streaming-connection-idle-timeout:d:streamingConnectionIdleTimeout sync-frequency:d:syncFrequency system-cgroups:s:systemCgroups
		system-reserved-cgroup:s:systemReservedCgroup system-reserved:m:systemReserved tls-cert-file:s:tlsCertFile
		tls-cipher-suites:l:tlsCipherSuites tls-min-version:s:tlsMinVersion tls-private-key-file:s:tlsPrivateKeyFile
		topology-manager-policy:s:topologyManagerPolicy topology-manager-policy-options:m:topologyManagerPolicyOptions
		topology-manager-scope:s:topologyManagerScope volume-plugin-dir:s:volumePluginDir volume-stats-agg-period:d:volumeStatsAggPeriod`},
	{"Use --eviction-hard or --eviction-soft instead. Will be removed in a future version.",
		`maximum-dead-containers:n maximum-dead-containers-per-container:n minimum-container-ttl-duration:d`},
	{"will be removed in 1.25 or later. in favor of using CSI.", `experimental-mounter-path:s`},
	{"will be removed in 1.25 or later.", `experimental-allocatable-ignore-eviction:b`},
	{"This is a cadvisor flag that was mistakenly registered with the Kubelet. Due to legacy concerns, it will follow the standard CLI deprecation timeline before being removed.",
		`application-metrics-count-limit:n boot-id-file:s container-hints:s containerd:s containerd-namespace:s enable-load-reader:b
		event-storage-age-limit:s event-storage-event-limit:s global-housekeeping-interval:d log-cadvisor-usage:b machine-id-file:s
		storage-driver-buffer-duration:d storage-driver-db:s storage-driver-host:s storage-driver-password:s storage-driver-secure:b
		storage-driver-table:s storage-driver-user:s`},
}

// flagRow is a row of flagRows.
type flagRow struct{ kind, field, deprecated string }

func rowOf(name string) (r flagRow, ok bool) {
	for _, list := range flagRows {
		for word := range strings.FieldsSeq(list.rows) {
			if !strings.HasPrefix(word, name) {
				continue
			}
			if n, rest, _ := strings.Cut(word, ":"); n == name {
				r.kind, r.field, _ = strings.Cut(rest, ":")
				r.deprecated = list.deprecated
				return r, true
			}
		}
	}
	return r, false
}

// among tells whether a word is in a list.
func among(list, name string) bool { return slices.Contains(strings.Fields(list), name) }

// pairs is the value of a flag that is checked when it is read. Models
// component-base/cli/flag, pkg/util/flag.
type pairs struct{ kind, text string }

func (p *pairs) String() string { return p.text }
func (p *pairs) Type() string {
	return map[string]string{"i": "ip", "l": "strings", "g": "mapStringBool", "t": "[]string"}[p.kind]
}

func (p *pairs) Set(value string) error {
	if p.kind == "i" {
		p.text = value
		if value != "" && netutils.ParseIPSloppy(value) == nil {
			return fmt.Errorf("%q is not a valid IP address", value)
		}
		return nil
	}
	for _, pair := range strings.Split(value, ",") {
		name, v, ok := strings.Cut(pair, "=")
		switch {
		case pair == "" && p.kind != "l":
			continue
		case p.kind == "m" && !ok:
			return errors.New("malformed pair, expect string=string")
		case p.kind == "e" && !strings.Contains(pair, "<"):
			return errors.New("malformed pair, expect string<string")
		case p.kind == "t":
			if _, err := taintOf(pair); err != nil {
				return err
			}
		case p.kind == "g" && !ok:
			return errors.New("malformed pair, expect string=bool")
		case p.kind == "g":
			name, v = strings.TrimSpace(name), strings.TrimSpace(v)
			on, err := strconv.ParseBool(v)
			if err != nil {
				return fmt.Errorf("invalid value of %s: %s, err: %w", name, v, err)
			}
			pair = fmt.Sprintf("%s=%t", name, on)
		}
		if p.text != "" {
			p.text += ","
		}
		p.text += pair
	}
	return nil
}

// taintOf reads "KEY=VALUE:EFFECT". Models pkg/util/taints parseTaint.
func taintOf(text string) (map[string]string, error) {
	front, effect, ok := strings.Cut(text, ":")
	key, value, _ := strings.Cut(front, "=")
	switch {
	case strings.Contains(effect, ":") || strings.Contains(value, "="):
		return nil, fmt.Errorf("invalid taint spec: %v", text)
	case ok && !among("NoSchedule PreferNoSchedule NoExecute", effect):
		return nil, fmt.Errorf("invalid taint effect: %v, unsupported taint effect", effect)
	}
	if errs := slices.Concat(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)); len(errs) > 0 {
		return nil, fmt.Errorf("invalid taint spec: %v, %s", text, strings.Join(errs, "; "))
	}
	return map[string]string{"key": key, "value": value, "effect": effect}, nil
}

// parseFlags reads a command line without the program's name. The error is
// what the process ends with.
func parseFlags(args []string) (Flags, error) {
	var f Flags
	fs := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	normal := func(name string) string { return strings.ReplaceAll(name, "_", "-") }
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName { return pflag.NormalizedName(normal(name)) })
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	for _, x := range []struct {
		into         *string
		name, normal string
	}{{&f.Config, "config", ""}, {&f.BootstrapKubeconfig, "bootstrap-kubeconfig", ""}, {&f.Kubeconfig, "kubeconfig", ""}, {&f.CertDir, "cert-dir", "/var/lib/kubelet/pki"},
		{&f.HostnameOverride, "hostname-override", ""}, {&f.NodeIP, "node-ip", ""}, {&f.RootDir, "root-dir", "/var/lib/kubelet"}, {&f.Labels, "node-labels", ""}} {
		fs.StringVar(x.into, x.name, x.normal, "")
	}
	fs.BoolVar(&f.Version, "version", false, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	own := map[string]bool{}
	fs.VisitAll(func(x *pflag.Flag) { own[x.Name] = true })
	for _, a := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		row, ok := rowOf(normal(name))
		switch {
		case !ok || fs.Lookup(name) != nil:
		case row.kind == "b":
			fs.Bool(name, false, "")
		case row.kind == "d":
			fs.Duration(name, 0, "")
		case row.kind == "n" && among("max-open-files pod-max-pids", normal(name)):
			fs.Int64(name, 0, "")
		case row.kind == "n":
			fs.Int32(name, 0, "")
		case row.kind == "s":
			fs.String(name, "", "")
		default:
			fs.Var(&pairs{kind: row.kind}, name, "")
		}
	}
	if err := fs.Parse(args); err != nil {
		return f, fmt.Errorf("failed to parse kubelet flag: %w", err)
	}
	if fs.NArg() > 0 {
		return f, fmt.Errorf("unknown command %s", fs.Arg(0))
	}
	fs.Visit(func(x *pflag.Flag) {
		if !own[x.Name] {
			f.Given = append(f.Given, given{x.Name, x.Value.String()})
		}
	})
	return f, nil
}

// gates are the feature gates of the command line.
func (f Flags) gates() map[string]bool {
	var cfg KubeletConfiguration
	for _, g := range f.Given {
		if g.Name == "feature-gates" {
			Flags{Given: []given{g}}.override(&cfg)
		}
	}
	return cfg.FeatureGates
}

// override puts the flags that were given into a configuration: as the JSON that
// would stand in its file. Feature gates are added to those of the file.
func (f Flags) override(cfg *KubeletConfiguration) {
	for _, g := range f.Given {
		row, _ := rowOf(g.Name)
		if row.field == "" {
			continue
		}
		value := any(g.Value)
		words := strings.Split(g.Value, ",")
		switch row.kind {
		case "b", "n":
			value = json.RawMessage(g.Value)
		case "l":
			value = words
		case "t":
			var list []any
			for _, w := range words {
				if t, err := taintOf(w); err == nil {
					list = append(list, t)
				}
			}
			value = list
		case "m", "e", "g":
			m := map[string]any{}
			for _, w := range words {
				name, v, _ := strings.Cut(w, map[bool]string{false: "=", true: "<"}[row.kind == "e"])
				if m[name] = any(v); row.kind == "g" {
					m[name] = v == "true"
				}
			}
			delete(m, "")
			value = m
		}
		for _, v := range []any{nil, value} {
			if v == nil && row.kind == "g" {
				continue
			}
			keys := strings.Split(row.field, ".")
			for i := len(keys) - 1; i >= 0; i-- {
				v = map[string]any{keys[i]: v}
			}
			b, _ := json.Marshal(v)
			json.Unmarshal(b, cfg)
		}
	}
}

// nodeLabels are those of --node-labels. The error is what the process ends with:
// Models cmd/kubelet/app/options ValidateKubeletFlags.
func (f Flags) nodeLabels() (map[string]string, error) {
	var unknown, bad []string
	labels := map[string]string{}
	for _, pair := range strings.Split(f.Labels, ",") {
		key, value, _ := strings.Cut(pair, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if key == "" {
			continue
		}
		labels[key] = value
		space, _, _ := strings.Cut(key, "/")
		if in(space, "kubernetes.io", "k8s.io") && !slices.Contains(kubeletLabels, key) && !in(space, labelSpaces...) && strings.Contains(key, "/") {
			unknown = append(unknown, key)
		}
		for _, x := range []struct {
			what string
			errs []string
		}{{key, validation.IsQualifiedName(key)}, {value, validation.IsValidLabelValue(value)}} {
			if len(x.errs) > 0 {
				bad = append(bad, fmt.Sprintf("'%s' - %s", x.what, strings.Join(x.errs, ", ")))
			}
		}
	}
	if slices.Sort(unknown); len(unknown) > 0 {
		return nil, fmt.Errorf("unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: %v\n--node-labels in the 'kubernetes.io' namespace must begin with an allowed prefix (%s) or be in the specifically allowed set (%s)",
			unknown, strings.Join(labelSpaces, ", "), strings.Join(kubeletLabels, ", "))
	}
	if len(bad) > 0 {
		return nil, fmt.Errorf("invalid node labels: %s", strings.Join(bad, "; "))
	}
	return labels, nil
}

// in tells whether a domain is one of some, or below one.
func in(domain string, of ...string) bool {
	return slices.ContainsFunc(of, func(d string) bool { return domain == d || strings.HasSuffix(domain, "."+d) })
}

// What a kubelet may label its Node with. Models k8s.io/kubelet/pkg/apis
// well_known_labels.go.
var (
	labelSpaces   = []string{"kubelet.kubernetes.io", "node.kubernetes.io"}
	kubeletLabels = []string{"beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "beta.kubernetes.io/os", "failure-domain.beta.kubernetes.io/region",
		"failure-domain.beta.kubernetes.io/zone", "kubernetes.io/arch", "kubernetes.io/hostname", "kubernetes.io/os", "node.kubernetes.io/instance-type",
		"topology.kubernetes.io/region", "topology.kubernetes.io/zone"}
)
