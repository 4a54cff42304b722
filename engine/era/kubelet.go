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

const oldCertManager = "pkg/kubelet/certificate/certificate_manager.go @1.7, @1.8"

// Expired is what becomes of a certificate that has expired.
type Expired string

const (
	ExpiredShown Expired = "it is still shown"
	ExpiredEnds  Expired = "the process ends"
	ExpiredGone  Expired = "there is none any more"
)

// OwnPair is how a kubelet makes a certificate for its port itself: as an authority
// of its own, or else signed by one that is thrown away; and how long before now it
// begins.
type OwnPair struct {
	Authority bool
	Early     time.Duration
}

// What a kubelet does in each release.
var (
	// KubeletPatch is the full version that a kubelet says it has.
	KubeletPatch = row("kubelet/version", patches("recorded: c/node.json")...)

	// KubeletDeclares are the features that a kubelet's Node tells of.
	KubeletDeclares = row("kubelet/declares", Fact[[]string]{Since: "1.36", Value: []string{"ExtendWebSocketsToKubelet", "InPlacePodLevelResourcesVerticalScaling",
		"InPlacePodVerticalScalingInitContainers", "RestartAllContainersOnContainerExits"}, Source: "pkg/kubelet discoverNodeDeclaredFeatures; recorded: c/node.json"})

	// KubeletChecksLabels: labels of kubernetes.io that a kubelet may not give itself end
	// it. In 1.13 to 1.15 it warned of them, which is not here.
	KubeletChecksLabels = row("kubelet/checks-labels", Fact[bool]{Since: "1.16", Value: true, Source: "cmd/kubelet/app/options/options.go @1.16 ValidateKubeletFlags"})

	// KubeletCSRBackoff is the wait between failed tries to get a certificate;
	// KubeletCSRPoll the interval of the tries after them.
	KubeletCSRBackoff = row("kubelet/csr-backoff", Fact[Backoff]{
		Value: Backoff{First: 2 * time.Second, Factor: 2, Jitter: 10, Steps: 7}, Source: oldCertManager,
	}, Fact[Backoff]{
		Since:  "1.9",
		Value:  Backoff{First: 2 * time.Second, Factor: 2, Jitter: 10, Steps: 5},
		Source: certManager + "; recorded: q-kubelet-timings/07",
	})
	KubeletCSRPoll = row("kubelet/csr-poll", Fact[time.Duration]{Value: 128 * time.Second, Source: oldCertManager},
		Fact[time.Duration]{Since: "1.9", Value: 32 * time.Second, Source: certManager + "; recorded: q-kubelet-timings/07"})
	// KubeletCSRWaits are how long a kubelet waits for one CSR: so long each time it
	// looks, with KubeletCSRPauses between, each stretched by a tenth at most.
	KubeletCSRWaits = row("kubelet/csr-waits",
		Fact[[]time.Duration]{Value: []time.Duration{time.Hour}, Source: oldCertManager + " requestCertificate"},
		Fact[[]time.Duration]{Since: "1.9", Value: []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute, 4 * time.Minute}, Source: certManager + " @1.9 rotateCerts"},
		Fact[[]time.Duration]{Since: "1.14", Value: []time.Duration{15 * time.Minute}, Source: certManager + "; recorded: q-kubelet-timings/01"})
	KubeletCSRPauses = row("kubelet/csr-pauses",
		Fact[[]time.Duration]{Since: "1.9", Until: "1.14", Value: []time.Duration{30 * time.Second, 45 * time.Second, 67500 * time.Millisecond}, Source: certManager + " @1.9 certificateWaitBackoff"})
	// KubeletCSRListed: the watch for a CSR begins with a list of it; without, nobody
	// hears that it was deleted.
	KubeletCSRListed = row("kubelet/csr-listed", Fact[bool]{Since: "1.9", Value: true, Source: certManager + " @1.9; k8s.io/client-go/util/certificate/csr WaitForCertificate"})
	// KubeletCSRInformed: an informer waits for the CSR, and goes on when its watch ends.
	// KubeletCSRProbed: first it is looked whether CSRs can be listed in that version.
	KubeletCSRInformed = row("kubelet/csr-informed", Fact[bool]{Since: "1.13", Value: true, Source: "k8s.io/client-go/util/certificate/csr @1.13 UntilWithSync"})
	KubeletCSRProbed   = row("kubelet/csr-probed", Fact[bool]{Since: "1.19", Value: true, Source: "k8s.io/client-go/util/certificate/csr @1.19; recorded: l"})
	// KubeletAnnounces: a line tells that a new certificate is requested.
	KubeletAnnounces = row("kubelet/announces", Fact[bool]{Until: "1.9", Value: true, Source: "golden-old 1.7.4, 1.8.0 d/12"})
	// KubeletCSRDeleted: a CSR that is deleted ends the wait for it.
	KubeletCSRDeleted = row("kubelet/csr-deleted", Fact[bool]{Since: "1.9", Value: true, Source: "k8s.io/client-go/util/certificate/csr WaitForCertificate; golden-old 1.7.4, 1.8.0 c2/17"})
	// KubeletCSRDenied is what a kubelet says of a request that was denied.
	KubeletCSRDenied = row("kubelet/csr-denied", Fact[string]{Value: "is not approved", Source: "golden-old 1.7.4, 1.8.0, 1.11.1 c2/09"},
		Fact[string]{Since: "1.19", Value: "is denied", Source: "k8s.io/client-go/util/certificate/csr @1.19; recorded: c2/denied-kubelet.log"})
	// KubeletCSRSigner: a request names its signer.
	KubeletCSRSigner = row("kubelet/csr-signer", Fact[bool]{Since: "1.18", Value: true, Source: "pkg/kubelet/certificate/kubelet.go @1.18"})
	// KubeletCSRDigest is what of the key is in the digest that names the request of
	// the older bootstrap.
	KubeletCSRDigest = row("kubelet/csr-digest", Fact[string]{Value: "private key", Source: "pkg/kubelet/util/csr @1.7 digestedName"},
		Fact[string]{Since: "1.16", Value: "public key", Source: "pkg/kubelet/certificate/bootstrap @1.16 digestedName; recorded: c2/csr-pending.json"})
	// KubeletServerWait is the wait for the API server before the older bootstrap's
	// request, KubeletSyncWait the wait for its certificate.
	KubeletServerWait = row("kubelet/server-wait", Fact[Backoff]{
		Since: "1.12", Value: Backoff{First: 2 * time.Second, Factor: 1, Max: 2 * time.Second, Jitter: 20, Steps: 30}, Source: "pkg/kubelet/certificate/bootstrap waitForServer; recorded: q-kubelet-timings/04",
	})
	KubeletSyncWait = row("kubelet/sync-wait", Fact[time.Duration]{Value: time.Hour, Source: "pkg/kubelet/certificate/bootstrap requestNodeCertificate"})
	// KubeletCSRUsages are the usages that a kubelet with an ECDSA key asks for.
	KubeletCSRUsages = row("kubelet/csr-usages",
		Fact[[]string]{Value: []string{"digital signature", "key encipherment", "client auth"}, Source: "golden-old 1.7.4 c/01; pkg/kubelet/certificate/kubelet.go @1.26"},
		Fact[[]string]{Since: "1.27", Value: []string{"digital signature", "client auth"}, Source: "recorded: c/csr-pending.json"})
	// KubeletServingUsages are those for its serving certificate.
	KubeletServingUsages = row("kubelet/serving-usages",
		Fact[[]string]{Value: []string{"digital signature", "key encipherment", "server auth"}, Source: "golden-old 1.7.4 d/08; pkg/kubelet/certificate/kubelet.go @1.26"},
		Fact[[]string]{Since: "1.27", Value: []string{"digital signature", "server auth"}, Source: "recorded: d/serving-csr-pending.json"})
	// KubeletTemplate is how often a kubelet looks whether its addresses are in
	// its serving certificate.
	KubeletTemplate = row("kubelet/template", Fact[time.Duration]{Since: "1.12", Value: time.Second, Source: certManager + "; recorded: d/kubelet.log, q-kubelet-states/34"})
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
	KubeletSettle = row("kubelet/settle", Fact[time.Duration]{Since: "1.12", Value: time.Second, Source: certManager + "; recorded: c/kubelet.log"})

	// KubeletTick is how often a kubelet looks for a changed certificate,
	// KubeletFirstTick how often while it has none; counted from its start.
	KubeletTick      = row("kubelet/tick", Fact[time.Duration]{Since: "1.8", Value: 10 * time.Second, Source: "pkg/kubelet/certificate/transport.go; golden-old 1.8.0 d/11; recorded: d/kubelet-serving-expired.log"})
	KubeletFirstTick = row("kubelet/first-tick", Fact[time.Duration]{Since: "1.8", Value: 10 * time.Second, Source: "pkg/kubelet/certificate/transport.go @1.14"},
		Fact[time.Duration]{Since: "1.27", Value: time.Second, Source: "pkg/kubelet/certificate/transport.go; recorded: c/kubelet.log"})
	// KubeletExitAfter is how long a kubelet lives without a valid certificate,
	// when it believes that the server answers.
	KubeletExitAfter = row("kubelet/exit-after", Fact[time.Duration]{Since: "1.10", Value: 5 * time.Minute, Source: "cmd/kubelet/app/server.go; recorded: j1/kubelet.log"})

	// KubeletExpired is what a kubelet does with a certificate that has expired: it
	// goes on showing it, it ends at the next tick if the server answers, or it has
	// none any more.
	KubeletExpired = row("kubelet/expired", Fact[Expired]{Value: ExpiredShown, Source: "pkg/kubelet/certificate/transport.go @1.8; golden-old 1.7.4 d2/12"},
		Fact[Expired]{Since: "1.9", Value: ExpiredEnds, Source: "pkg/kubelet/certificate/transport.go @1.9"},
		Fact[Expired]{Since: "1.14", Value: ExpiredGone, Source: certManager + " @1.14 Current; recorded: j1"})
	// KubeletExitCode is the code of a process that ends because it has no valid
	// certificate.
	KubeletExitCode = row("kubelet/exit-code", Fact[int]{Value: 255, Source: "pkg/kubelet/certificate/transport.go @1.9 glog.Fatalf"},
		Fact[int]{Since: "1.21", Value: 1, Source: "pkg/kubelet/certificate/transport.go @1.21; recorded: j1"})

	// KubeletBackground: a kubelet that rotates starts without a certificate and asks
	// for its first one beside everything else.
	KubeletBackground = row("kubelet/background", Fact[bool]{Since: "1.14", Value: true, Source: "cmd/kubelet/app/server.go @1.14 buildKubeletClientConfig"})
	// KubeletRotateSetting and KubeletRotateGate: rotation of the client certificate
	// is asked for, and needs the gate RotateKubeletClientCertificate.
	KubeletRotateSetting = row("kubelet/rotate-setting", Fact[bool]{Since: "1.8", Value: true, Source: "cmd/kubelet/app/server.go @1.8"})
	KubeletRotateGate    = row("kubelet/rotate-gate", Fact[bool]{Until: "1.19", Value: true, Source: "cmd/kubelet/app/server.go @1.18"})
	// KubeletServingSetting: a serving certificate from the cluster is asked for with
	// serverTLSBootstrap; before, the gate RotateKubeletServerCertificate alone did.
	KubeletServingSetting = row("kubelet/serving-setting", Fact[bool]{Since: "1.11", Value: true, Source: "pkg/kubelet/kubelet.go @1.11"})
	// KubeletChecksKubeconfig: a kubeconfig that is there is looked into before the
	// bootstrap is left out.
	KubeletChecksKubeconfig = row("kubelet/checks-kubeconfig", Fact[bool]{Since: "1.9", Value: true, Source: "pkg/kubelet/certificate/bootstrap @1.9 verifyBootstrapClientConfig; golden-old 1.7.4 c/27"})
	// KubeletBootstrapKey and KubeletBootstrapCert are the files in cert-dir of the
	// older bootstrap; without the second the certificate goes into the store, and the
	// key is there only until then. KubeletBootstrapCleans: they are removed when it
	// fails.
	KubeletBootstrapKey = row("kubelet/bootstrap-key", Fact[string]{Value: "kubelet-client.key", Source: "golden-old 1.7.4 c/07"},
		Fact[string]{Since: "1.11", Value: "kubelet-client.key.tmp", Source: "pkg/kubelet/certificate/bootstrap @1.11; golden-old 1.11.1 c/07"})
	KubeletBootstrapCert   = row("kubelet/bootstrap-cert", Fact[string]{Until: "1.11", Value: "kubelet-client.crt", Source: "golden-old 1.7.4 c/22"})
	KubeletBootstrapCleans = row("kubelet/bootstrap-cleans", Fact[bool]{Since: "1.9", Until: "1.11", Value: true, Source: "pkg/kubelet/certificate/bootstrap @1.9 LoadClientCert"})
	// KubeletFirstTryBlocks: what is due when a certificate's life begins is done before
	// the process goes on.
	KubeletFirstTryBlocks = row("kubelet/first-try-blocks", Fact[bool]{Until: "1.10", Value: true, Source: oldCertManager + " Start"})
	// KubeletStoreChecks: an expired certificate of the store is none at the start,
	// and one that is embedded in the kubeconfig goes into the store.
	KubeletStoreChecks = row("kubelet/store-checks", Fact[bool]{Since: "1.10", Value: true, Source: certManager + " @1.10 getCurrentCertificateOrBootstrap"})
	// KubeletCertDir is --cert-dir when it is not given.
	KubeletCertDir = row("kubelet/cert-dir", Fact[string]{Value: "/var/run/kubernetes", Source: "cmd/kubelet/app/options @1.8"},
		Fact[string]{Since: "1.9", Value: "/var/lib/kubelet/pki", Source: "cmd/kubelet/app/options @1.9"})
	// KubeletOwnPair is how the pair is made that a kubelet gives its port.
	KubeletOwnPair = row("kubelet/own-pair", Fact[OwnPair]{Value: OwnPair{Authority: true}, Source: "k8s.io/client-go/util/cert @1.7 GenerateSelfSignedCertKey; golden-old 1.7.4 c/26"},
		Fact[OwnPair]{Since: "1.10", Value: OwnPair{}, Source: "k8s.io/client-go/util/cert @1.10"},
		Fact[OwnPair]{Since: "1.12", Value: OwnPair{Early: time.Hour}, Source: "k8s.io/client-go/util/cert @1.12; recorded: c/17"})
	// KubeletOwnPairLate: that pair is made after the bootstrap.
	KubeletOwnPairLate = row("kubelet/own-pair-late", Fact[bool]{Until: "1.8", Value: true, Source: "cmd/kubelet/app/server.go @1.7 UnsecuredKubeletDeps; golden-old 1.7.4 c/07"})
	// KubeletServingNames: the names for the serving certificate are those of the
	// Node's addresses, and are looked at again and again. KubeletServingNeedsIP: an
	// address must be among them (gate AllowDNSOnlyNodeCSR).
	KubeletServingNames   = row("kubelet/serving-names", Fact[bool]{Since: "1.12", Value: true, Source: "pkg/kubelet/certificate/kubelet.go @1.12"})
	KubeletServingNeedsIP = row("kubelet/serving-needs-ip", Fact[bool]{Since: "1.31", Value: true, Source: "pkg/kubelet/certificate/kubelet.go @1.31"})
	// KubeletWithoutServing are the port's words while it waits for its certificate.
	KubeletWithoutServing = row("kubelet/without-serving", Fact[string]{Value: "no certificate available", Source: "pkg/kubelet/kubelet.go @1.9"},
		Fact[string]{Since: "1.10", Value: "no serving certificate available for the kubelet", Source: "pkg/kubelet/kubelet.go @1.10; recorded: d/kubelet.log"})
	// KubeletPairReload: a pair of files is taken into use when it changes;
	// KubeletCAsShown: so is the list of the clients' CAs that is shown to clients.
	KubeletPairReload = row("kubelet/pair-reload", Fact[bool]{Since: "1.31", Value: true, Source: "pkg/features ReloadKubeletServerCertificateFile (beta 1.31)"})
	KubeletCAsShown   = row("kubelet/cas-shown", Fact[bool]{Since: "1.36", Value: true, Source: "pkg/features ReloadKubeletClientCAFile (beta 1.36); recorded: m2"})
	// KubeletStatusTimeout is in the query of heartbeats. KubeletStatusWatched: the Node
	// as its own watch showed it is what a status is written to, and nobody reads it
	// first. KubeletRegisterLooks: who may not create a Node looks whether it is there.
	KubeletStatusTimeout = row("kubelet/status-timeout", Fact[string]{Since: "1.9", Value: "timeout=10s", Source: "cmd/kubelet/app/server.go @1.9 heartbeatClientConfig; golden-old 1.8.0 c/25 has none"})
	KubeletStatusWatched = row("kubelet/status-watched", Fact[bool]{Since: "1.31", Value: true, Source: "pkg/kubelet/kubelet_node_status.go @1.31 tryUpdateNodeStatus"})
	KubeletRegisterLooks = row("kubelet/register-looks", Fact[bool]{Since: "1.32", Value: true, Source: "pkg/kubelet/kubelet_node_status.go @1.32 tryRegisterWithAPIServer"})
	// KubeletForbidsMany: a refusal at the port names all subresources that would do.
	KubeletForbidsMany = row("kubelet/forbids-many", Fact[bool]{Since: "1.32", Value: true, Source: "pkg/kubelet/server/server.go @1.32; recorded: d/curl-10250-after-alice.txt"})
	// KubeletServices selects the services that a kubelet watches. KubeletPodsFollow: it
	// waits for its Node before it asks for pods.
	KubeletServices   = row("kubelet/services", Fact[string]{Since: "1.31", Value: "spec.clusterIP!=None", Source: "pkg/kubelet/kubelet.go @1.31"})
	KubeletPodsFollow = row("kubelet/pods-follow", Fact[bool]{Since: "1.22", Value: true, Source: "pkg/kubelet/config/apiserver.go @1.22"})
	// KubeletHeartbeat is how often a kubelet writes its status whatever it is, where
	// that is the heartbeat and not a Lease.
	KubeletHeartbeat = row("kubelet/heartbeat", Fact[time.Duration]{Until: "1.14", Value: 10 * time.Second, Source: "pkg/kubelet/kubelet_node_status.go @1.13; pkg/features NodeLease (beta 1.14)"})

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
		Value: Backoff{First: time.Second, Factor: 1, Max: time.Second}, Source: "k8s.io/client-go/tools/cache/reflector.go @1.17",
	}, Fact[Backoff]{
		Since: "1.18", Value: Backoff{First: 800 * time.Millisecond, Factor: 2, Max: 30 * time.Second, Jitter: 100}, Source: "k8s.io/client-go/tools/cache/reflector.go; recorded: b2/01-no-rbac-binding-403-audit.json",
	})
	KubeletSliceBackoff = row("kubelet/slice-backoff", Fact[Backoff]{
		Value: Backoff{First: time.Second, Factor: 2, Max: 30 * time.Second, Jitter: 20}, Source: "recorded: b2/01-no-rbac-binding-403-audit.json",
	})
	// KubeletLeaseTries is how often a renewal is tried before the Lease is looked
	// for again.
	KubeletLeaseTries = row("kubelet/lease-tries", Fact[int]{Value: 5, Source: "k8s.io/component-helpers/apimachinery/lease maxUpdateRetries; recorded: j1/kubelet.log"})
)
