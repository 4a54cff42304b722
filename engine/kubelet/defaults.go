package kubelet

import (
	"encoding/json"
	"maps"
	"reflect"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
)

// defaults are what fields that are not set stand for in 1.36; what depends on others
// is in complete. Where a flag of the release has another default, that is it: both are
// from the same place. Models pkg/kubelet/apis/config/v1beta1/defaults.go.
const defaults = `{"enableServer":true,"syncFrequency":"1m","fileCheckFrequency":"20s","httpCheckFrequency":"20s","address":"0.0.0.0","port":10250,
"authentication":{"anonymous":{"enabled":false},"webhook":{"enabled":true,"cacheTTL":"2m"}},
"authorization":{"mode":"Webhook","webhook":{"cacheAuthorizedTTL":"5m","cacheUnauthorizedTTL":"30s"}},
"registryPullQPS":5,"registryBurst":10,"eventRecordQPS":50,"eventBurst":100,"enableDebuggingHandlers":true,"healthzPort":10248,"healthzBindAddress":"127.0.0.1",
"oomScoreAdj":-999,"streamingConnectionIdleTimeout":"4h","nodeStatusUpdateFrequency":"10s","nodeStatusReportFrequency":"5m","nodeLeaseDurationSeconds":40,
"imageMinimumGCAge":"2m","imageGCHighThresholdPercent":85,"imageGCLowThresholdPercent":80,"volumeStatsAggPeriod":"1m","cgroupsPerQOS":true,"cgroupDriver":"cgroupfs",
"cpuManagerPolicy":"none","cpuManagerReconcilePeriod":"10s","memoryManagerPolicy":"None","topologyManagerPolicy":"none","topologyManagerScope":"container",
"runtimeRequestTimeout":"2m","hairpinMode":"promiscuous-bridge","maxPods":110,"podPidsLimit":-1,"resolvConf":"/etc/resolv.conf","cpuCFSQuota":true,
"cpuCFSQuotaPeriod":"100ms","nodeStatusMaxImages":50,"maxOpenFiles":1000000,"contentType":"application/vnd.kubernetes.protobuf","kubeAPIQPS":50,"kubeAPIBurst":100,
"serializeImagePulls":true,"evictionPressureTransitionPeriod":"5m","mergeDefaultEvictionSettings":false,"enableControllerAttachDetach":true,
"makeIPTablesUtilChains":true,"iptablesMasqueradeBit":14,"iptablesDropBit":15,"failSwapOn":true,"containerLogMaxSize":"10Mi","containerLogMaxFiles":5,
"containerLogMaxWorkers":1,"containerLogMonitorInterval":"10s","configMapAndSecretChangeDetectionStrategy":"Watch","enforceNodeAllocatable":["pods"],
"volumePluginDir":"/usr/libexec/kubernetes/kubelet-plugins/volume/exec/","logging":{"format":"text","flushFrequency":"5s","options":{"text":{"infoBufferSize":"0"},"json":{"infoBufferSize":"0"}}},
"enableSystemLogHandler":true,"enableProfilingHandler":true,"enableDebugFlagsHandler":true,"seccompDefault":false,"failCgroupV1":true,"memoryThrottlingFactor":0.9,
"memoryReservationPolicy":"None","registerNode":true,"localStorageCapacityIsolation":true,"containerRuntimeEndpoint":"unix:///run/containerd/containerd.sock",
"podLogsDir":"/var/log/pods"}`

// evictionHard are eviction's own defaults, which a configuration from a file gets
// that names none. Models pkg/kubelet/eviction DefaultEvictionHard.
var evictionHard = map[string]string{"memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%", "imagefs.available": "15%", "imagefs.inodesFree": "5%"}

// complete gives the fields that are not set their defaults.
func (cfg *KubeletConfiguration) complete(e era.Era) {
	if cfg.NodeStatusReportFrequency.Duration == 0 {
		cfg.NodeStatusReportFrequency = cfg.NodeStatusUpdateFrequency
	}
	if cfg.PodPidsLimit != nil && *cfg.PodPidsLimit < 0 {
		cfg.PodPidsLimit = nil
	}
	if n := cfg.MaxParallelImagePulls; cfg.SerializeImagePulls == nil && n != nil && *n >= 2 {
		cfg.SerializeImagePulls = new(bool)
	}
	if cfg.CrashLoopBackOff.MaxContainerRestartPeriod == nil && e.GateOn("KubeletCrashLoopBackOffMax", cfg.FeatureGates) {
		cfg.CrashLoopBackOff.MaxContainerRestartPeriod = &metav1.Duration{Duration: 300 * time.Second}
	}
	if cfg.ImagePullCredentialsVerificationPolicy == "" && e.GateOn("KubeletEnsureSecretPulledImages", cfg.FeatureGates) {
		cfg.ImagePullCredentialsVerificationPolicy = "NeverVerifyPreloadedImages"
	}
	if cfg.Logging.flushes() == 0 {
		cfg.Logging.FlushFrequency = nil
	}
	fill(reflect.ValueOf(cfg).Elem(), reflect.ValueOf(normal(e)).Elem())
}

var normals sync.Map // by release

// normal is a configuration of a release in which nothing was set.
func normal(e era.Era) *KubeletConfiguration {
	if n, ok := normals.Load(e); ok {
		return n.(*KubeletConfiguration)
	}
	cfg := new(KubeletConfiguration)
	json.Unmarshal([]byte(defaults), cfg)
	var f Flags
	for _, x := range era.Flags(e, "kubelet") {
		if x.Field != "" && !among(legacies, x.Name) {
			f.Given = append(f.Given, unset(x)...)
		}
	}
	f.override(e, cfg)
	normals.Store(e, cfg)
	return cfg
}

// unset is a flag as if its default had been given; none when that is not known, or
// nothing but a boolean that is false.
func unset(f era.Flag) []given {
	switch {
	case f.Default == "?" || f.Default == "" && f.Kind != "bool":
		return nil
	case f.Default == "":
		return []given{{f.Name, "false"}}
	}
	return []given{{f.Name, f.Default}}
}

// fill sets what is zero in v as it is in normal. A type that is written in one
// word is set as a whole.
func fill(v, normal reflect.Value) {
	for i := range v.NumField() {
		x, d := v.Field(i), normal.Field(i)
		if _, word := x.Addr().Interface().(json.Unmarshaler); x.Kind() == reflect.Struct && !word {
			fill(x, d)
		} else if x.IsZero() {
			x.Set(d)
		}
	}
}

// evict adds eviction's defaults to a configuration that came from a file.
func (cfg *KubeletConfiguration) evict() {
	all := maps.Clone(evictionHard)
	switch {
	case cfg.EvictionHard == nil:
		cfg.EvictionHard = all
	case truth(cfg.MergeDefaultEvictionSettings, false):
		maps.Copy(all, cfg.EvictionHard)
		cfg.EvictionHard = all
	}
}

// legacies are the flags whose defaults are others than those of the fields in a
// configuration file.
const legacies = "anonymous-auth authentication-token-webhook authorization-mode read-only-port"

// legacy are the defaults of a kubelet without a configuration file. Models
// cmd/kubelet/app/options applyLegacyDefaults.
func (cfg *KubeletConfiguration) legacy(e era.Era) {
	var f Flags
	for _, x := range era.Flags(e, "kubelet") {
		if among(legacies, x.Name) {
			f.Given = append(f.Given, unset(x)...)
		}
	}
	f.override(e, cfg)
}
