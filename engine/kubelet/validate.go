package kubelet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
)

// wrongs are what is wrong with a configuration, in the order in which it is found.
type wrongs []error

// when adds an error where it is the case.
func (w *wrongs) when(is bool, format string, args ...any) {
	if is {
		*w = append(*w, fmt.Errorf("invalid configuration: "+format, args...))
	}
}

// Levels of --enforce-node-allocatable. Models pkg/kubelet/types.
var enforcements = []any{"pods", "system-reserved", "system-reserved-compressible", "kube-reserved", "kube-reserved-compressible", "none"}

// invalid is what validation has against a configuration; on tells whether a
// feature is. The line for cgroups of version 1 is
// left out: hosts here have version 2. Models pkg/kubelet/apis/config/validation.
func (cfg *KubeletConfiguration) invalid(on func(gate string) bool, e era.Era) error {
	var w wrongs
	negative := func(key, flag string, n int64) {
		w.when(n < 0, "%s (--%s) %v must not be a negative number", key, flag, n)
	}
	within := func(key, flag string, n *int32, least, most int32) {
		w.when(*n < least || *n > most, "%s (--%s) %v must be between %d and %d, inclusive", key, flag, *n, least, most)
	}
	oneOf := func(value string, list ...string) bool { return slices.Contains(list, value) }

	w.when(cfg.NodeLeaseDurationSeconds <= 0, "nodeLeaseDurationSeconds must be greater than 0")
	w.when(cfg.SystemCgroups != "" && cfg.CgroupRoot == "", "systemCgroups (--system-cgroups) was specified and cgroupRoot (--cgroup-root) was not specified")
	negative("eventBurst", "event-burst", int64(cfg.EventBurst))
	negative("eventRecordQPS", "event-qps", int64(*cfg.EventRecordQPS))
	if *cfg.HealthzPort != 0 {
		within("healthzPort", "healthz-port", cfg.HealthzPort, 1, 65535)
	}
	quota, custom := cfg.CPUCFSQuotaPeriod, on("CustomCPUCFSQuotaPeriod")
	w.when(!custom && quota.Duration != 100*time.Millisecond, "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) %v requires feature gate CustomCPUCFSQuotaPeriod", *quota)
	w.when(custom && (quota.Duration < time.Millisecond || quota.Duration > time.Second), "cpuCFSQuotaPeriod (--cpu-cfs-quota-period) %v must be between 1ms and 1sec, inclusive", *quota)
	high, low := cfg.ImageGCHighThresholdPercent, cfg.ImageGCLowThresholdPercent
	within("imageGCHighThresholdPercent", "image-gc-high-threshold", high, 0, 100)
	within("imageGCLowThresholdPercent", "image-gc-low-threshold", low, 0, 100)
	w.when(*low >= *high, "imageGCLowThresholdPercent (--image-gc-low-threshold) %v must be less than imageGCHighThresholdPercent (--image-gc-high-threshold) %v", *low, *high)
	least, most := cfg.ImageMinimumGCAge.Duration, cfg.ImageMaximumGCAge.Duration
	w.when(least < 0, "imageMinimumGCAge %v must not be negative", least)
	w.when(most < 0, "imageMaximumGCAge %v must not be negative", most)
	w.when(most > 0 && most <= least, "imageMaximumGCAge %v must be greater than imageMinimumGCAge %v", most, least)
	within("iptablesDropBit", "iptables-drop-bit", cfg.IPTablesDropBit, 0, 31)
	within("iptablesMasqueradeBit", "iptables-masquerade-bit", cfg.IPTablesMasqueradeBit, 0, 31)
	negative("kubeAPIBurst", "kube-api-burst", int64(cfg.KubeAPIBurst))
	negative("kubeAPIQPS", "kube-api-qps", int64(*cfg.KubeAPIQPS))
	w.when(*cfg.NodeStatusMaxImages < -1, "nodeStatusMaxImages (--node-status-max-images) %v must be -1 or greater", *cfg.NodeStatusMaxImages)
	negative("maxOpenFiles", "max-open-files", cfg.MaxOpenFiles)
	negative("maxPods", "max-pods", int64(cfg.MaxPods))
	within("oomScoreAdj", "oom-score-adj", cfg.OOMScoreAdj, -1000, 1000)
	negative("podsPerCore", "pods-per-core", int64(cfg.PodsPerCore))
	within("port", "port", &cfg.Port, 1, 65535)
	within("readOnlyPort", "read-only-port", &cfg.ReadOnlyPort, 0, 65535)
	negative("registryBurst", "registry-burst", int64(cfg.RegistryBurst))
	negative("registryPullQPS", "registry-qps", int64(*cfg.RegistryPullQPS))
	if n := cfg.MaxParallelImagePulls; n != nil {
		w.when(*n < 1, "maxParallelImagePulls %v must be a positive number", *n)
		w.when(*cfg.SerializeImagePulls && *n > 1, "maxParallelImagePulls cannot be larger than 1 unless SerializeImagePulls (--serialize-image-pulls) is set to false")
	}
	gated := era.KubeletGateWords.In(e)
	w.when(cfg.RotateCertificates && gated[0] != "" && !on("RotateKubeletClientCertificate"), "%s true requires feature gate RotateKubeletClientCertificate", gated[0])
	w.when(cfg.ServerTLSBootstrap && gated[1] != "" && !on("RotateKubeletServerCertificate"), "%s true requires feature gate RotateKubeletServerCertificate", gated[1])
	w.when(cfg.RunOnce, "runOnce (--runOnce) %v, Runonce mode has been deprecated and should not be set", true)
	for _, t := range cfg.RegisterWithTaints {
		if _, err := taintOf(t.Key + "=" + t.Value + ":" + string(t.Effect)); err != nil && (t.Effect != "" || !strings.HasPrefix(err.Error(), "invalid taint effect")) {
			w = append(w, fmt.Errorf("invalid taint: %v", t))
		}
		w.when(t.TimeAdded != nil, "taint.TimeAdded is not nil")
	}
	policies := []string{"none", "best-effort", "restricted", "single-numa-node"}
	w.when(!oneOf(cfg.TopologyManagerPolicy, policies...), "topologyManagerPolicy (--topology-manager-policy) %q must be one of: %q", cfg.TopologyManagerPolicy, policies)
	w.when(!oneOf(cfg.TopologyManagerScope, "container", "pod"), "topologyManagerScope (--topology-manager-scope) %q must be one of: %q, or %q", cfg.TopologyManagerScope, "container", "pod")
	cfg.invalidShutdown(&w, on)
	w.when(!oneOf(cfg.MemorySwap.SwapBehavior, "", "NoSwap", "LimitedSwap"), "memorySwap.swapBehavior %q must be one of: \"\", %q or %q", cfg.MemorySwap.SwapBehavior, "LimitedSwap", "NoSwap")
	restart := cfg.CrashLoopBackOff.MaxContainerRestartPeriod
	switch {
	case !on("KubeletCrashLoopBackOffMax"):
		w.when(restart != nil, "FeatureGate KubeletCrashLoopBackOffMax not enabled, CrashLoopBackOff.MaxContainerRestartPeriod must not be set")
	case restart == nil:
		w.when(true, "FeatureGate KubeletCrashLoopBackOffMax is enabled, CrashLoopBackOff.MaxContainerRestartPeriod must be set")
	default:
		ms := restart.Duration.Milliseconds()
		w.when(ms < 1000 || ms > 300000, "CrashLoopBackOff.MaxContainerRestartPeriod (got: %v seconds) must be set between 1s and 300s", restart.Seconds())
	}
	cfg.invalidEnforcement(&w)
	w.when(!oneOf(cfg.HairpinMode, "none", "hairpin-veth", "promiscuous-bridge"), "option %q specified for hairpinMode (--hairpin-mode). Valid options are %q, %q or %q", cfg.HairpinMode, "none", "hairpin-veth", "promiscuous-bridge")
	cfg.invalidImages(&w, on)
	if cpus := cfg.ReservedSystemCPUs; cpus != "" {
		w.when(cfg.SystemReservedCgroup != "" || cfg.KubeReservedCgroup != "", "can't use reservedSystemCPUs (--reserved-cpus) with systemReservedCgroup (--system-reserved-cgroup) or kubeReservedCgroup (--kube-reserved-cgroup)")
		if err := badCPUs(cpus); err != nil {
			w.when(true, "unable to parse reservedSystemCPUs (--reserved-cpus) %v, error: %w", cpus, err)
		}
	}
	cfg.invalidMemory(&w)
	if u := cfg.UserNamespaces; u != nil && u.IDsPerPod != nil {
		n := *u.IDsPerPod
		w.when(n < 65536, "userNamespaces.idsPerPod must not be less than %d", 65536)
		w.when(n >= 65536 && n%65536 != 0, "userNamespaces.idsPerPod must be a multiple of %d", 65536)
		w.when(n > math.MaxUint32 && n%65536 == 0, "userNamespaces.idsPerPod must not be more than %d", int64(math.MaxUint32))
	}
	if v := cfg.ShowHiddenMetricsForVersion; v != "" && v != e.Before() {
		w = append(w, fmt.Errorf("invalid showHiddenMetricsForVersion: %w", field.Invalid(field.NewPath("showHiddenMetricsForVersion"), v,
			fmt.Sprintf("must be omitted or have the value '%v'; only the previous minor version is allowed", e.Before()))))
	}
	cfg.invalidTracing(&w)
	factor, tiered := *cfg.MemoryThrottlingFactor, cfg.MemoryReservationPolicy == "TieredReservation"
	w.when(factor <= 0 || factor > 1, "memoryThrottlingFactor %v must be greater than 0 and less than or equal to 1.0", factor)
	w.when(tiered && !on("MemoryQoS"), "memoryReservationPolicy %q requires MemoryQoS feature gate to be enabled", cfg.MemoryReservationPolicy)
	w.when(!tiered && cfg.MemoryReservationPolicy != "None", "option %q specified for memoryReservationPolicy. Valid options are %q or %q", cfg.MemoryReservationPolicy, "None", "TieredReservation")
	w.when(cfg.ContainerRuntimeEndpoint == "", "the containerRuntimeEndpoint was not specified or empty")
	w.when(truth(cfg.EnableSystemLogQuery, false) && !*cfg.EnableSystemLogHandler, "enableSystemLogHandler is required for enableSystemLogQuery")
	w.when(*cfg.ContainerLogMaxWorkers < 1, "containerLogMaxWorkers must be greater than or equal to 1")
	w.when(cfg.ContainerLogMonitorInterval.Duration < 3*time.Second, "containerLogMonitorInterval must be a positive time duration greater than or equal to 3s")
	w.when(*cfg.ContainerLogMaxFiles <= 1, "containerLogMaxFiles must be greater than 1")
	dir := cfg.PodLogsDir
	w.when(!path.IsAbs(dir), "pod logs path %q must be absolute path", dir)
	w.when(path.Clean(dir) != dir, "pod logs path %q must be normalized", dir)
	w.when(strings.IndexFunc(dir, func(r rune) bool { return r > 127 }) >= 0, "pod logs path %q mut contains ASCII characters only", dir)
	return utilerrors.NewAggregate(w)
}

func (cfg *KubeletConfiguration) invalidShutdown(w *wrongs, on func(string) bool) {
	all, critical := cfg.ShutdownGracePeriod, cfg.ShutdownGracePeriodCriticalPods
	short := func(d metav1.Duration) bool { return d.Duration < 0 || d.Duration > 0 && d.Duration < time.Second }
	set := all.Duration > 0 || critical.Duration > 0
	if on("GracefulNodeShutdown") {
		w.when(critical.Duration > all.Duration, "shutdownGracePeriodCriticalPods %v must be <= shutdownGracePeriod %v", critical, all)
		w.when(short(all), "shutdownGracePeriod %v must be either zero or otherwise >= 1 sec", all)
		w.when(short(critical), "shutdownGracePeriodCriticalPods %v must be either zero or otherwise >= 1 sec", critical)
	} else {
		w.when(set, "specifying shutdownGracePeriod or shutdownGracePeriodCriticalPods requires feature gate GracefulNodeShutdown")
	}
	byPriority, few := on("GracefulNodeShutdownBasedOnPodPriority"), len(cfg.ShutdownGracePeriodByPodPriority) == 0
	w.when(byPriority && !few && set, "Cannot specify both shutdownGracePeriodByPodPriority and shutdownGracePeriod at the same time")
	w.when(!byPriority && !few, "Specifying shutdownGracePeriodByPodPriority requires feature gate GracefulNodeShutdownBasedOnPodPriority")
}

func (cfg *KubeletConfiguration) invalidEnforcement(w *wrongs) {
	list := cfg.EnforceNodeAllocatable
	for _, key := range []string{"system-reserved", "kube-reserved"} {
		w.when(slices.Contains(list, key) && slices.Contains(list, key+"-compressible"),
			"both %q and %q cannot be specified together in enforceNodeAllocatable (--enforce-node-allocatable)", key, key+"-compressible")
	}
	for i, val := range list {
		switch {
		case slices.Contains(list[:i], val):
			w.when(true, "duplicated enforcements %q in enforceNodeAllocatable (--enforce-node-allocatable)", val)
			continue
		case !slices.Contains(enforcements, any(val)):
			w.when(true, "option %q specified for enforceNodeAllocatable (--enforce-node-allocatable). Valid options are %q, %q, %q, %q, %q or %q", append([]any{val}, enforcements...)...)
			continue
		case val == "none":
			w.when(len(list) > 1, "enforceNodeAllocatable (--enforce-node-allocatable) may not contain additional enforcements when %q is specified", val)
			continue
		}
		for key, has := range map[string]string{"system": cfg.SystemReservedCgroup, "kube": cfg.KubeReservedCgroup} {
			w.when(strings.HasPrefix(val, key) && has == "", "%sReservedCgroup (--%s-reserved-cgroup) must be specified when %q or %q included in enforceNodeAllocatable (--enforce-node-allocatable)",
				key, key, key+"-reserved", key+"-reserved-compressible")
		}
		w.when(!*cfg.CgroupsPerQOS, "cgroupsPerQOS (--cgroups-per-qos) must be set to true when %q contained in enforceNodeAllocatable (--enforce-node-allocatable)", val)
	}
}

func (cfg *KubeletConfiguration) invalidImages(w *wrongs, on func(string) bool) {
	policy, list := cfg.ImagePullCredentialsVerificationPolicy, cfg.PreloadedImagesVerificationAllowlist
	if !on("KubeletEnsureSecretPulledImages") {
		w.when(policy != "", "`imagePullCredentialsVerificationPolicy` must not be set if KubeletEnsureSecretPulledImages feature gate is not enabled")
		w.when(len(list) > 0, "`preloadedImagesVerificationAllowlist` must not be set if KubeletEnsureSecretPulledImages feature gate is not enabled")
		return
	}
	const listed = "NeverVerifyAllowlistedImages"
	w.when(!among("NeverVerify NeverVerifyPreloadedImages AlwaysVerify "+listed, policy), "option %q specified for imagePullCredentialsVerificationPolicy. Valid options are %q, %q, %q or %q",
		policy, "NeverVerify", "NeverVerifyPreloadedImages", listed, "AlwaysVerify")
	if len(list) > 0 && policy != listed {
		w.when(true, "can't set `preloadedImagesVerificationAllowlist` if `imagePullCredentialsVertificationPolicy` is not \"NeverVerifyAllowlistedImages\"")
		return
	}
	for _, p := range list {
		bare, wild := strings.CutSuffix(p, "*")
		wild = wild && strings.HasSuffix(bare, "/")
		why := ""
		switch _, name := path.Split(p); {
		case p != strings.TrimSpace(p):
			why = "leading/trailing spaces are not allowed: " + p
		case p == "":
			why = "the supplied pattern is too short: " + p
		case strings.Contains(bare, "*") || !wild && strings.Contains(p, "*"):
			why = "not a valid wildcard pattern, only patterns ending with '/*' are allowed: " + p
		case wild && bare == "/":
			why = "at least registry hostname is required"
		case !wild && strings.ContainsAny(name, ":@"):
			why = "neither tag nor digest is accepted in an image reference: " + p
		}
		if why != "" {
			w.when(true, "invalid image pattern in `preloadedImagesVerificationAllowlist`: %w", errors.New(why))
			return
		}
	}
}

// badCPUs is what is wrong with a list of CPUs. Models k8s.io/utils/cpuset Parse.
func badCPUs(text string) error {
	for _, r := range strings.Split(text, ",") {
		from, to, ranges := strings.Cut(r, "-")
		a, err := strconv.Atoi(from)
		if err != nil || !ranges {
			if err != nil {
				return err
			}
			continue
		}
		b, err := strconv.Atoi(to)
		if err != nil {
			return err
		}
		if a > b {
			return fmt.Errorf("invalid range %q (%d > %d)", r, a, b)
		}
	}
	return nil
}

func (cfg *KubeletConfiguration) invalidMemory(w *wrongs) {
	seen := map[string]bool{}
	for _, m := range cfg.ReservedMemory {
		var names []string
		for name := range m.Limits {
			names = append(names, string(name))
		}
		sort.Strings(names)
		for _, name := range names {
			q, key := m.Limits[corev1.ResourceName(name)], fmt.Sprint(m.NumaNode, " ", name)
			w.when(name != "memory" && !strings.HasPrefix(name, "hugepages-"), "the limit type %q for NUMA node %d is not supported, only %v is accepted", name, m.NumaNode, []string{"memory", "hugepages-<HugePageSize>"})
			w.when(q.IsZero(), "reserved memory may not be zero for NUMA node %d and resource %q", m.NumaNode, name)
			w.when(seen[key], "the reserved memory has a duplicate value for NUMA node %d and resource %q", m.NumaNode, name)
			seen[key] = true
		}
	}
}

// invalidTracing models k8s.io/component-base/tracing/api/v1.
func (cfg *KubeletConfiguration) invalidTracing(w *wrongs) {
	t, p := cfg.Tracing, field.NewPath("tracing")
	if t == nil {
		return
	}
	if n := t.SamplingRatePerMillion; n != nil && *n < 0 {
		*w = append(*w, field.Invalid(p.Child("samplingRatePerMillion"), *n, "sampling rate must be positive"))
	} else if n != nil && *n > 1000000 {
		*w = append(*w, field.Invalid(p.Child("samplingRatePerMillion"), *n, "sampling rate per million must be less than or equal to one million"))
	}
	if t.Endpoint == nil {
		return
	}
	at := *t.Endpoint
	if !strings.Contains(at, "//") {
		at = "dns://" + at
	}
	u, err := url.Parse(at)
	switch {
	case err != nil:
		*w = append(*w, field.Invalid(p.Child("endpoint"), at, err.Error()))
	case !among("dns unix unix-abstract", u.Scheme):
		*w = append(*w, field.Invalid(p.Child("endpoint"), at,
			fmt.Sprintf("unsupported scheme: %v.  Options are none, dns, unix, or unix-abstract.  See https://github.com/grpc/grpc/blob/master/doc/naming.md", u.Scheme)))
	}
}

// flushes is how often the log is flushed.
func (l *logging) flushes() time.Duration {
	var every metav1.Duration
	if json.Unmarshal(l.FlushFrequency, &every) != nil {
		json.Unmarshal(l.FlushFrequency, &every.Duration)
	}
	return every.Duration
}

// invalid models k8s.io/component-base/logs/api/v1 Validate.
func (l *logging) invalid(on func(string) bool) error {
	var errs field.ErrorList
	p := field.NewPath("logging")
	add := func(e *field.Error) { errs = append(errs, e) }
	if l.flushes() <= 0 {
		add(field.Invalid(p.Child("flushFrequency"), l.FlushFrequency, "Must be greater than zero"))
	}
	switch {
	case !among("text json", l.Format):
		add(field.Invalid(p.Child("format"), l.Format, "Unsupported log format"))
	case l.Format == "json" && !on("LoggingBetaOptions"):
		add(field.Forbidden(p.Child("format"), "Log format json is disabled, see LoggingBetaOptions feature"))
	}
	high := func(p *field.Path, v uint32) {
		if v > math.MaxInt32 {
			add(field.Invalid(p, v, fmt.Sprintf("Must be <= %d", math.MaxInt32)))
		}
	}
	high(p.Child("verbosity"), l.Verbosity)
	if len(l.VModule) > 0 && l.Format != "text" {
		add(field.Forbidden(p.Child("vmodule"), "Only supported for text log format"))
	}
	for i, x := range l.VModule {
		at := p.Child("vmodule").Index(i)
		if x.FilePattern == "" {
			add(field.Required(at, "File pattern must not be empty"))
		}
		if strings.ContainsAny(x.FilePattern, "=,") {
			add(field.Invalid(at, x.FilePattern, "File pattern must not contain equal sign or comma"))
		}
		high(at, x.Verbosity)
	}
	for _, x := range []struct {
		name string
		r    *routing
	}{{"text", &l.Options.Text}, {"json", &l.Options.JSON}} {
		at := p.Child("options", x.name)
		if x.r.SplitStream && !on("LoggingAlphaOptions") {
			add(field.Forbidden(at.Child("splitStream"), "Feature LoggingAlphaOptions is disabled"))
		}
		if !x.r.InfoBufferSize.IsZero() && !on("LoggingAlphaOptions") {
			add(field.Forbidden(at.Child("infoBufferSize"), "Feature LoggingAlphaOptions is disabled"))
		}
	}
	return errs.ToAggregate()
}
