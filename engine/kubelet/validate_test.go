package kubelet

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// What validation says of a configuration, alone and of several things at once.
// Words are of pkg/kubelet/apis/config/validation, k8s.io/component-base/logs and
// k8s.io/component-base/tracing.
func TestInvalidConfiguration(t *testing.T) {
	for text, words := range map[string]string{
		"port: -1": "port (--port) -1 must be between 1 and 65535, inclusive",
		"port: 70000\nreadOnlyPort: -1\nmaxPods: -5": "[invalid configuration: maxPods (--max-pods) -5 must not be a negative number, invalid configuration: port (--port) 70000 must be between 1 and 65535, inclusive, invalid configuration: readOnlyPort (--read-only-port) -1 must be between 0 and 65535, inclusive]",
		"healthzPort: 65536":                         "healthzPort (--healthz-port) 65536 must be between 1 and 65535, inclusive",
		"nodeLeaseDurationSeconds: -1":               "nodeLeaseDurationSeconds must be greater than 0",
		"systemCgroups: /s":                          "systemCgroups (--system-cgroups) was specified and cgroupRoot (--cgroup-root) was not specified",
		"eventRecordQPS: -1":                         "eventRecordQPS (--event-qps) -1 must not be a negative number",
		"cpuCFSQuotaPeriod: 2s":                      "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {2s} must be between 1ms and 1sec, inclusive",
		"cpuCFSQuotaPeriod: 2s\nfeatureGates: {CustomCPUCFSQuotaPeriod: false}": "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) {2s} requires feature gate CustomCPUCFSQuotaPeriod",
		"imageGCLowThresholdPercent: 90":                                        "imageGCLowThresholdPercent (--image-gc-low-threshold) 90 must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) 85",
		"imageMaximumGCAge: 1m":                                                 "imageMaximumGCAge 1m0s must be greater than imageMinimumGCAge 2m0s",
		"iptablesDropBit: 32":                                                   "iptablesDropBit (--iptables-drop-bit) 32 must be between 0 and 31, inclusive",
		"oomScoreAdj: 1001":                                                     "oomScoreAdj (--oom-score-adj) 1001 must be between -1000 and 1000, inclusive",
		"maxParallelImagePulls: 0":                                              "maxParallelImagePulls 0 must be a positive number",
		"maxParallelImagePulls: 2\nserializeImagePulls: true":                   "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls (--serialize-image-pulls) is set to false",
		"serverTLSBootstrap: true\nfeatureGates: {AllBeta: false}":              "serverTLSBootstrap true requires feature gate RotateKubeletServerCertificate",
		"runOnce: true":                                                         "runOnce (--runOnce) true, Runonce mode has been deprecated and should not be set",
		"registerWithTaints: [{key: a b, effect: NoSchedule}]":                  "invalid taint: {a b  NoSchedule <nil>}",
		"topologyManagerPolicy: best":                                           `topologyManagerPolicy (--topology-manager-policy) "best" must be one of: ["none" "best-effort" "restricted" "single-numa-node"]`,
		"topologyManagerScope: node":                                            `topologyManagerScope (--topology-manager-scope) "node" must be one of: "container", or "pod"`,
		"shutdownGracePeriodCriticalPods: 1m":                                   "shutdownGracePeriodCriticalPods {1m0s} must be <= shutdownGracePeriod {0s}",
		"shutdownGracePeriod: 1ms":                                              "shutdownGracePeriod {1ms} must be either zero or otherwise >= 1 sec",
		"shutdownGracePeriod: 1s\nshutdownGracePeriodByPodPriority: [{priority: 1, shutdownGracePeriodSeconds: 1}]": "Cannot specify both shutdownGracePeriodByPodPriority and shutdownGracePeriod at the same time",
		"memorySwap: {swapBehavior: All}":                    `memorySwap.swapBehavior "All" must be one of: "", "LimitedSwap" or "NoSwap"`,
		"crashLoopBackOff: {maxContainerRestartPeriod: 10m}": "CrashLoopBackOff.MaxContainerRestartPeriod (got: 600 seconds) must be set between 1s and 300s",
		"enforceNodeAllocatable: [pods, pods]":               `duplicated enforcements "pods" in enforceNodeAllocatable (--enforce-node-allocatable)`,
		"enforceNodeAllocatable: [kube-reserved]":            `kubeReservedCgroup (--kube-reserved-cgroup) must be specified when "kube-reserved" or "kube-reserved-compressible" included in enforceNodeAllocatable (--enforce-node-allocatable)`,
		"enforceNodeAllocatable: [all]":                      `option "all" specified for enforceNodeAllocatable (--enforce-node-allocatable). Valid options are "pods", "system-reserved", "system-reserved-compressible", "kube-reserved", "kube-reserved-compressible" or "none"`,
		"cgroupsPerQOS: false":                               `cgroupsPerQOS (--cgroups-per-qos) must be set to true when "pods" contained in enforceNodeAllocatable (--enforce-node-allocatable)`,
		"hairpinMode: bridge":                                `option "bridge" specified for hairpinMode (--hairpin-mode). Valid options are "none", "hairpin-veth" or "promiscuous-bridge"`,
		"preloadedImagesVerificationAllowlist: [a]":          "can't set `preloadedImagesVerificationAllowlist` if `imagePullCredentialsVertificationPolicy` is not \"NeverVerifyAllowlistedImages\"",
		"imagePullCredentialsVerificationPolicy: NeverVerifyAllowlistedImages\npreloadedImagesVerificationAllowlist: ['a/*/b']": "invalid image pattern in `preloadedImagesVerificationAllowlist`: not a valid wildcard pattern, only patterns ending with '/*' are allowed: a/*/b",
		"reservedSystemCPUs: 3-1":                                   `unable to parse reservedSystemCPUs (--reserved-cpus) 3-1, error: invalid range "3-1" (3 > 1)`,
		"reservedMemory: [{numaNode: 0, limits: {cpu: 1}}]":         `the limit type "cpu" for NUMA node 0 is not supported, only [memory hugepages-<HugePageSize>] is accepted`,
		"userNamespaces: {idsPerPod: 65537}":                        "userNamespaces.idsPerPod must be a multiple of 65536",
		"showHiddenMetricsForVersion: '1.30'":                       `invalid showHiddenMetricsForVersion: showHiddenMetricsForVersion: Invalid value: "1.30": must be omitted or have the value '1.35'; only the previous minor version is allowed`,
		"tracing: {samplingRatePerMillion: -1}":                     "tracing.samplingRatePerMillion: Invalid value: -1: sampling rate must be positive",
		"tracing: {endpoint: 'ftp://x'}":                            `tracing.endpoint: Invalid value: "ftp://x": unsupported scheme: ftp.`,
		"memoryReservationPolicy: TieredReservation":                `memoryReservationPolicy "TieredReservation" requires MemoryQoS feature gate to be enabled`,
		"enableSystemLogQuery: true\nenableSystemLogHandler: false": "enableSystemLogHandler is required for enableSystemLogQuery",
		"containerLogMonitorInterval: 0s":                           "containerLogMonitorInterval must be a positive time duration greater than or equal to 3s",
		"containerLogMaxFiles: 1":                                   "containerLogMaxFiles must be greater than 1",
		"podLogsDir: logs/":                                         `[invalid configuration: pod logs path "logs/" must be absolute path, invalid configuration: pod logs path "logs/" must be normalized]`,
		"logging: {format: yaml}":                                   `"initialize logging: logging.format: Invalid value: \"yaml\": Unsupported log format"`,
		"logging: {flushFrequency: -1s, verbosity: 3000000000}":     `initialize logging: [logging.flushFrequency: Invalid value: \"-1s\": Must be greater than zero, logging.verbosity: Invalid value: 3000000000: Must be <= 2147483647]`,
		"tlsCurvePreferences: [29, 29]":                             "failed to construct kubelet dependencies: duplicate curve preference 29",
		"featureGates: {NodeSwap: false}":                           "panic: failed to merge global and in-flight KubeletConfiguration while setting defaults, error: cannot set feature gate NodeSwap to false, feature is locked to true",
	} {
		r := newRig(t)
		require.NoError(t, r.disk.WriteFile("/var/lib/kubelet/config.yaml", []byte(kubeletConf+text+"\n"), 0o644, newYear))
		r.run(time.Second)
		require.NotNil(t, r.code, text)
		said := r.said()
		require.Contains(t, strings.ReplaceAll(said, `\"`, `"`), strings.ReplaceAll(words, `\"`, `"`), text)
	}
	// Defaults, and what a file may say, are in order.
	for _, text := range []string{"", "maxParallelImagePulls: 5", "evictionHard: {memory.available: 1%}", "podPidsLimit: -7", "logging: {format: json, verbosity: 4}", "registerWithTaints: [{key: a}]",
		"enforceNodeAllocatable: []\ncgroupsPerQOS: false", "reservedSystemCPUs: 0-1,3", "nodeStatusUpdateFrequency: 20s"} {
		r := newRig(t)
		require.NoError(t, r.disk.WriteFile("/var/lib/kubelet/config.yaml", []byte(kubeletConf+text+"\n"), 0o644, newYear))
		r.run(time.Second)
		require.Nil(t, r.code, text+r.said())
	}
}

// Flags win over the file, are told of when they are deprecated, and are refused.
func TestFlagsOverFile(t *testing.T) {
	for _, row := range []struct{ flags, says string }{
		{"--feature-gates=Nonsense=true", `"failed to set feature gates from initial flags-based config: unrecognized feature gate: Nonsense"`},
		{"--max-pods=-1", "maxPods (--max-pods) -1 must not be a negative number"},
		{"--port=0", "port (--port) 0 must be between 1 and 65535, inclusive"},
		{"--tls_min_version=VersionTLS9", `unknown tls version "VersionTLS9"`},
		{"--logging-format=x", `logging.format: Invalid value: "x": Unsupported log format`},
		{"--node-labels=kubernetes.io/x=1", "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [kubernetes.io/x]"},
		{"--node-labels=a=b c", "invalid node labels: 'b c' - a valid label must be an empty string"},
		{"--config-dir=/etc/none", `failed to merge kubelet configs: failed to walk through kubelet dropin directory "/etc/none": lstat /etc/none: no such file or directory`},
		{"--version", "Kubernetes v1.36.3"},
	} {
		r := newRig(t, strings.Split(row.flags, "\n")...)
		r.run(time.Second)
		require.NotNil(t, r.code, row.flags)
		require.Contains(t, strings.ReplaceAll(r.said(), `\"`, `"`), row.says)
	}
	r := newRig(t, "--max-pods=7", "--eviction-hard=memory.available<5%", "--maximum-dead-containers=3", "--storage_driver_user=u", "--housekeeping-interval=10s", "--provider-id=p",
		"--cluster-dns=10.96.0.10,10.96.0.11", "--register-with-taints=a=b:NoSchedule", "--node-labels=node.kubernetes.io/x=1,y", "--config-dir=/etc/drop")
	require.NoError(t, r.disk.MkdirAll("/etc/drop/more", 0o755, newYear))
	require.NoError(t, r.disk.WriteFile("/etc/drop/10.conf", []byte(kubeletConf+"podsPerCore: 3\nmaxPods: 9\nport: 10251\n"), 0o644, newYear))
	require.NoError(t, r.disk.WriteFile("/etc/drop/more/20.conf", []byte(kubeletConf+"port: 10252\n"), 0o644, newYear))
	require.NoError(t, r.disk.WriteFile("/etc/drop/not", []byte("x"), 0o644, newYear))
	r.run(time.Second)
	require.Nil(t, r.code)
	said := r.said()
	for _, want := range []string{"Flag --max-pods has been deprecated, This parameter should be set via the config file", "Flag --maximum-dead-containers has been deprecated, Use --eviction-hard or --eviction-soft instead. Will be removed in a future version.",
		"Flag --storage-driver-user has been deprecated, This is a cadvisor flag that was mistakenly registered with the Kubelet."} {
		require.Contains(t, said, want)
	}
	require.NotContains(t, said, "--housekeeping-interval")
	require.NotContains(t, said, "--provider-id")
	cfg := r.k.Running
	require.EqualValues(t, []any{int32(7), int32(3), int32(10252), "p"}, []any{cfg.MaxPods, cfg.PodsPerCore, cfg.Port, cfg.ProviderID})
	require.Equal(t, map[string]string{"memory.available": "5%"}, cfg.EvictionHard)
	require.Equal(t, []string{"10.96.0.10", "10.96.0.11"}, cfg.ClusterDNS)
	require.Equal(t, "a", cfg.RegisterWithTaints[0].Key)
}

// said is all that the log has.
func (r *rig) said() string {
	var b strings.Builder
	for _, o := range r.obs {
		if o.Kind == trace.Log {
			b.WriteString(o.Payload + "\n")
		}
	}
	return b.String()
}
