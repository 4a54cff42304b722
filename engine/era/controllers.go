package era

import "time"

// Evictions are how many nodes a second are tainted NoExecute, and when fewer are.
type Evictions struct {
	Rate, Lesser float32
	Large        int32
	Unhealthy    float32
}

// What kube-controller-manager does in each release.
var (
	// SigningBackdate is how long before the signing a certificate begins.
	SigningBackdate = row("signing/backdate", Fact[time.Duration]{Value: 5 * time.Minute, Source: "pkg/controller/certificates/signer/signer.go; recorded: e4/durations.json"})
	// SigningShort: a certificate for less than this lives that long from now
	// on, one for more is backdated at its end too.
	SigningShort = row("signing/short", Fact[time.Duration]{Since: "1.22", Value: 8 * time.Hour, Source: "pkg/controller/certificates/authority/policies.go; recorded: e4/durations.json"})
	// SigningMinimum is the shortest lifetime that a requester is given.
	SigningMinimum = row("signing/minimum", Fact[time.Duration]{Since: "1.22", Value: 600 * time.Second, Source: "pkg/controller/certificates/signer/signer.go; recorded: e4/durations.json"})

	// CSRRetry is the wait before a CSR is looked at again after a failure;
	// RetryQPS and RetryBurst limit all retries of one controller together.
	CSRRetry = row("csr/retry", Fact[Backoff]{Value: Backoff{First: 5 * time.Millisecond, Factor: 2, Max: 1000 * time.Second}, Source: "pkg/controller/certificates/certificate_controller.go DefaultControllerRateLimiter"},
		Fact[Backoff]{Since: "1.9", Value: Backoff{First: 200 * time.Millisecond, Factor: 2, Max: 1000 * time.Second}, Source: "pkg/controller/certificates/certificate_controller.go; recorded: c/kcm.log"})
	RetryQPS   = row("csr/retry-qps", Fact[int]{Value: 10, Source: "pkg/controller/certificates/certificate_controller.go"})
	RetryBurst = row("csr/retry-burst", Fact[int]{Value: 100, Source: "pkg/controller/certificates/certificate_controller.go"})
	// ControllerRetry is the wait of every other controller.
	ControllerRetry = row("controllers/retry", Fact[Backoff]{Value: Backoff{First: 5 * time.Millisecond, Factor: 2, Max: 1000 * time.Second}, Source: "k8s.io/client-go/util/workqueue DefaultTypedControllerRateLimiter"})

	// CleanerTick is how often old CSRs are looked for; the others are how long
	// after its creation a CSR that nobody decided about is deleted, and how long
	// after the decision one that was denied, failed, issued, or approved and
	// never issued.
	CleanerTick     = row("cleaner/tick", Fact[time.Duration]{Value: time.Hour, Source: "pkg/controller/certificates/cleaner/cleaner.go"})
	CleanerPending  = row("cleaner/pending", Fact[time.Duration]{Value: 24 * time.Hour, Source: "pkg/controller/certificates/cleaner/cleaner.go"})
	CleanerDecided  = row("cleaner/decided", Fact[time.Duration]{Value: time.Hour, Source: "pkg/controller/certificates/cleaner/cleaner.go"})
	CleanerUnissued = row("cleaner/unissued", Fact[time.Duration]{Since: "1.35", Value: 24 * time.Hour, Source: "pkg/controller/certificates/cleaner/cleaner.go"})

	// AccountToken is how long a controller's token is asked for; it is asked
	// for anew when AccountLeeway hundredths of its life are left. AccountRetry is
	// the wait between failed tries to get one.
	AccountToken  = row("controllers/token", Fact[time.Duration]{Since: "1.20", Value: time.Hour, Source: "k8s.io/controller-manager/pkg/clientbuilder/client_builder_dynamic.go"})
	AccountLeeway = row("controllers/token-leeway", Fact[int64]{Since: "1.20", Value: 20, Source: "k8s.io/controller-manager/pkg/clientbuilder/client_builder_dynamic.go"})
	AccountRetry  = row("controllers/token-retry", Fact[Backoff]{Since: "1.20", Value: Backoff{First: 500 * time.Millisecond, Factor: 2, Steps: 4}, Source: "k8s.io/controller-manager/pkg/clientbuilder/client_builder_dynamic.go"})

	// HealthWait is how long a manager that starts waits for a healthy API
	// server, HealthPoll how often it asks.
	HealthWait = row("controllers/health-wait", Fact[time.Duration]{Value: 10 * time.Second, Source: "cmd/kube-controller-manager/app/controllermanager.go CreateControllerContext"})
	HealthPoll = row("controllers/health-poll", Fact[time.Duration]{Value: time.Second, Source: "k8s.io/controller-manager/app/helper.go WaitForAPIServer"})

	// LeaseDuration, LeaseRenew and LeaseRetry are the defaults of the flags
	// --leader-elect-lease-duration, -renew-deadline and -retry-period; who is
	// not the leader waits LeaseJitter hundredths of the last longer at most.
	LeaseDuration = row("leader/duration", Fact[time.Duration]{Value: 15 * time.Second, Source: "k8s.io/component-base/config/v1alpha1/defaults.go"})
	LeaseRenew    = row("leader/renew-deadline", Fact[time.Duration]{Value: 10 * time.Second, Source: "k8s.io/component-base/config/v1alpha1/defaults.go"})
	LeaseRetry    = row("leader/retry-period", Fact[time.Duration]{Value: 2 * time.Second, Source: "k8s.io/component-base/config/v1alpha1/defaults.go"})
	LeaseJitter   = row("leader/jitter", Fact[int64]{Value: 120, Source: "k8s.io/client-go/tools/leaderelection JitterFactor"})

	// NodeLeases: kubelets renew a Lease, by which the controller of nodes knows them.
	NodeLeases = row("node/leases", Fact[bool]{Since: "1.14", Value: true, Source: "pkg/features NodeLease (beta, on by default in 1.14)"})
	// NodeWorkers is how many nodes the controller of nodes has at work at once.
	NodeWorkers = row("node/workers", Fact[int]{Value: 8, Source: "pkg/controller/nodelifecycle/node_lifecycle_controller.go nodeUpdateWorkerSize"})
	// NodeGrace is how long a node may be silent before it is Unknown, NodeStartup how
	// long one that has not posted a status yet; NodePeriod is the time between two looks.
	NodeGrace = row("node/grace",
		Fact[time.Duration]{Until: "1.32", Value: 40 * time.Second, Source: "pkg/controller/nodelifecycle/config/v1alpha1/defaults.go"},
		Fact[time.Duration]{Since: "1.32", Value: 50 * time.Second, Source: "pkg/controller/nodelifecycle/config/v1alpha1/defaults.go; recorded: i/50-table-nodes.json"})
	NodeStartup = row("node/startup-grace", Fact[time.Duration]{Value: 60 * time.Second, Source: "pkg/controller/nodelifecycle/config/v1alpha1/defaults.go"})
	NodePeriod  = row("node/period", Fact[time.Duration]{Value: 5 * time.Second, Source: "k8s.io/cloud-provider/config/v1alpha1/defaults.go NodeMonitorPeriod"})
	// NodeEvictions are the defaults of --node-eviction-rate,
	// --secondary-node-eviction-rate, --large-cluster-size-threshold and
	// --unhealthy-zone-threshold.
	NodeEvictions = row("node/evictions", Fact[Evictions]{Value: Evictions{Rate: 0.1, Lesser: 0.01, Large: 50, Unhealthy: 0.55}, Source: "cmd/kube-controller-manager/app/options/nodelifecyclecontroller.go; recorded: i/50-table-nodes.json"})

	// RootCADescription is the annotation of every kube-root-ca.crt.
	RootCADescription = row("root-ca/description", Fact[string]{Since: "1.21", Value: "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.", Source: "recorded: s/04-kube-root-ca.json"})
)
