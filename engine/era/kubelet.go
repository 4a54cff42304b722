package era

import "time"

// Backoff is a wait that grows: First, then Factor times the last one up to
// Max (0: no limit), each stretched by at most Jitter hundredths of itself.
// Steps is how many tries there are before it gives up; 0 is for ever.
type Backoff struct {
	First  time.Duration
	Factor int64
	Max    time.Duration
	Jitter uint64
	Steps  int
}

// At returns the wait after the n-th failure, n from 0, without jitter.
func (b Backoff) At(n int) time.Duration {
	d := b.First
	for ; n > 0 && (b.Max == 0 || d < b.Max); n-- {
		d *= time.Duration(b.Factor)
	}
	if b.Max > 0 && d > b.Max {
		d = b.Max
	}
	return d
}

// Stretch is the most that jitter adds to a wait of d.
func (b Backoff) Stretch(d time.Duration) time.Duration {
	return d / 100 * time.Duration(b.Jitter)
}

const certManager = "k8s.io/client-go/util/certificate/certificate_manager.go"

// What a kubelet does in each release.
var (
	// KubeletPatch is the full version that a kubelet says it has.
	KubeletPatch = row("kubelet/version", patches("recorded: c/node.json")...)

	// KubeletDeclares are the features that a kubelet's Node tells of.
	KubeletDeclares = row("kubelet/declares", Fact[[]string]{Since: "1.36", Value: []string{"ExtendWebSocketsToKubelet", "InPlacePodLevelResourcesVerticalScaling",
		"InPlacePodVerticalScalingInitContainers", "RestartAllContainersOnContainerExits"}, Source: "pkg/kubelet discoverNodeDeclaredFeatures; recorded: c/node.json"})

	// KubeletCSRBackoff is the wait between failed tries to get a certificate;
	// KubeletCSRPoll the interval of the tries after them.
	KubeletCSRBackoff = row("kubelet/csr-backoff", Fact[Backoff]{
		Value:  Backoff{First: 2 * time.Second, Factor: 2, Jitter: 10, Steps: 5},
		Source: certManager + "; recorded: q-kubelet-timings/07",
	})
	KubeletCSRPoll = row("kubelet/csr-poll", Fact[time.Duration]{Value: 32 * time.Second, Source: certManager + "; recorded: q-kubelet-timings/07"})
	// KubeletCSRWait is how long a kubelet waits for one CSR.
	KubeletCSRWait = row("kubelet/csr-wait", Fact[time.Duration]{Value: 15 * time.Minute, Source: certManager + "; recorded: q-kubelet-timings/01"})
	// KubeletServerWait is the wait for the API server before the older bootstrap's
	// request, KubeletSyncWait the wait for its certificate.
	KubeletServerWait = row("kubelet/server-wait", Fact[Backoff]{
		Value: Backoff{First: 2 * time.Second, Factor: 1, Max: 2 * time.Second, Jitter: 20, Steps: 30}, Source: "pkg/kubelet/certificate/bootstrap waitForServer; recorded: q-kubelet-timings/04",
	})
	KubeletSyncWait = row("kubelet/sync-wait", Fact[time.Duration]{Value: time.Hour, Source: "pkg/kubelet/certificate/bootstrap requestNodeCertificate"})
	// KubeletCSRUsages are the usages that a kubelet with an ECDSA key asks for.
	KubeletCSRUsages = row("kubelet/csr-usages", Fact[[]string]{Value: []string{"digital signature", "client auth"}, Source: "recorded: c/csr-pending.json"})
	// KubeletServingUsages are those for its serving certificate.
	KubeletServingUsages = row("kubelet/serving-usages", Fact[[]string]{Value: []string{"digital signature", "server auth"}, Source: "recorded: d/serving-csr-pending.json"})
	// KubeletTemplate is how often a kubelet looks whether its addresses are in
	// its serving certificate.
	KubeletTemplate = row("kubelet/template", Fact[time.Duration]{Value: time.Second, Source: certManager + "; recorded: d/kubelet.log, q-kubelet-states/34"})
	// KubeletStatusReport is about how often a node whose status stays the same
	// reports it, KubeletStatusTries how often one report is tried.
	KubeletStatusReport = row("kubelet/status-report", Fact[time.Duration]{Value: 5 * time.Minute, Source: "k8s.io/kubelet/config/v1beta1 nodeStatusReportFrequency"})
	// KubeletStatusCheck is how often it looks whether its status is still as it
	// would write it.
	KubeletStatusCheck = row("kubelet/status-check", Fact[time.Duration]{Value: 10 * time.Second, Source: "k8s.io/kubelet/config/v1beta1 nodeStatusUpdateFrequency"})
	KubeletStatusTries = row("kubelet/status-tries", Fact[int]{Value: 5, Source: "pkg/kubelet/kubelet.go nodeStatusUpdateRetry; recorded: j1/kubelet.log"})

	// KubeletRotateFrom and KubeletRotateSpan, in hundredths of a certificate's
	// lifetime: it is rotated between From and From+Span of it.
	KubeletRotateFrom = row("kubelet/rotate-from", Fact[int64]{Value: 70, Source: certManager + " jitteryDuration"})
	KubeletRotateSpan = row("kubelet/rotate-span", Fact[int64]{Value: 20, Source: certManager + " jitteryDuration"})
	// KubeletSettle is the pause between a stored certificate and the next
	// rotation deadline.
	KubeletSettle = row("kubelet/settle", Fact[time.Duration]{Value: time.Second, Source: certManager + "; recorded: c/kubelet.log"})

	// KubeletTick is how often a kubelet looks for a changed certificate,
	// KubeletFirstTick how often while it has none; counted from its start.
	KubeletTick      = row("kubelet/tick", Fact[time.Duration]{Value: 10 * time.Second, Source: "pkg/kubelet/certificate/transport.go; recorded: d/kubelet-serving-expired.log"})
	KubeletFirstTick = row("kubelet/first-tick", Fact[time.Duration]{Value: time.Second, Source: "pkg/kubelet/certificate/transport.go; recorded: c/kubelet.log"})
	// KubeletExitAfter is how long a kubelet lives without a valid certificate,
	// when it believes that the server answers.
	KubeletExitAfter = row("kubelet/exit-after", Fact[time.Duration]{Value: 5 * time.Minute, Source: "cmd/kubelet/app/server.go; recorded: j1/kubelet.log"})

	// KubeletRegister, KubeletLease and KubeletReflector are the waits between
	// failed tries to register the Node, to have a Lease, and to list and watch;
	// KubeletSliceBackoff that of the removal of ResourceSlices.
	KubeletRegister = row("kubelet/register-backoff", Fact[Backoff]{
		Value: Backoff{First: 200 * time.Millisecond, Factor: 2, Max: 7 * time.Second}, Source: "recorded: c/kubelet-audit.json",
	})
	KubeletLease = row("kubelet/lease-backoff", Fact[Backoff]{
		Value: Backoff{First: 200 * time.Millisecond, Factor: 2, Max: 7 * time.Second}, Source: "k8s.io/component-helpers/apimachinery/lease; recorded: c/kubelet.log",
	})
	KubeletReflector = row("kubelet/reflector-backoff", Fact[Backoff]{
		Value: Backoff{First: 800 * time.Millisecond, Factor: 2, Max: 30 * time.Second, Jitter: 100}, Source: "k8s.io/client-go/tools/cache/reflector.go; recorded: b2/01-no-rbac-binding-403-audit.json",
	})
	KubeletSliceBackoff = row("kubelet/slice-backoff", Fact[Backoff]{
		Value: Backoff{First: time.Second, Factor: 2, Max: 30 * time.Second, Jitter: 20}, Source: "recorded: b2/01-no-rbac-binding-403-audit.json",
	})
	// KubeletLeaseTries is how often a renewal is tried before the Lease is looked
	// for again.
	KubeletLeaseTries = row("kubelet/lease-tries", Fact[int]{Value: 5, Source: "k8s.io/component-helpers/apimachinery/lease maxUpdateRetries; recorded: j1/kubelet.log"})
)
