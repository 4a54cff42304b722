package era

import "time"

// How kube-controller-manager starts and ends in each release.
var (
	// UnhandledStructured: what utilruntime.HandleError is given is the value of err.
	UnhandledStructured = row("controllers/unhandled", Fact[bool]{Since: "1.31", Value: true, Source: "k8s.io/apimachinery/pkg/util/runtime HandleError"})
	// HealthWords are what is said when the API server is not healthy in time, with what
	// it answered.
	HealthWords = row("controllers/health-words",
		Fact[string]{Value: "failed to get api versions from server: timed out waiting for the condition", Source: managerSource + " GetAvailableResources"},
		Fact[string]{Since: "1.8", Value: "failed to get api versions from server: : timed out waiting for the condition", Source: managerSource + " GetAvailableResources"},
		Fact[string]{Since: "1.10", Value: "failed to wait for apiserver being healthy: timed out waiting for the condition: %s", Source: managerSource + " CreateControllerContext"})
	// BuildsFirst: all controllers are made before the first one runs.
	BuildsFirst = row("controllers/builds-first", Fact[bool]{Since: "1.35", Value: true, Source: managerSource + " BuildControllers"})
	// TokensTold: the controller of ServiceAccounts' tokens, which begins before the
	// others, is told of like them.
	TokensTold = row("controllers/tokens-told", Fact[bool]{Since: "1.29", Value: true, Source: managerSource + " StartControllers"})
	// ControllerNames: controllers are called by their long names.
	ControllerNames = row("controllers/long-names", Fact[bool]{Since: "1.28", Value: true, Source: "cmd/kube-controller-manager/names"})

	// RootCAGate is the gate without which kube-root-ca.crt is not published, where
	// there is one.
	RootCAGate = row("root-ca/gate",
		Fact[string]{Value: "BoundServiceAccountTokenVolume", Source: filesSource + " startRootCACertPublisher"},
		Fact[string]{Since: "1.20", Value: "RootCAConfigMap", Source: filesSource + " startRootCACertPublisher"},
		Fact[string]{Since: "1.21", Value: "", Source: filesSource + " startRootCACertPublisher"})
	// RootCAUnread: a root CA file that can't be read is told from one that is none.
	RootCAUnread = row("root-ca/unread", Fact[bool]{Until: "1.13", Value: true, Source: managerSource + " startServiceAccountTokenController"})
	// Aggregation: there are aggregated ClusterRoles; AggregationApplies: their rules
	// are applied, and not put.
	Aggregation        = row("aggregation", Fact[bool]{Since: "1.9", Value: true, Source: "pkg/controller/clusterroleaggregation"})
	AggregationApplies = row("aggregation/applies", Fact[bool]{Since: "1.21", Value: true, Source: "pkg/controller/clusterroleaggregation"})

	// AggregationWorkers and CollectorWorkers are how many names these have at work.
	AggregationWorkers = row("aggregation/workers", Fact[int]{Value: 5, Source: "cmd/kube-controller-manager/app/rbac.go"})
	CollectorWorkers   = row("garbage/workers", Fact[int]{Value: 20, Source: "--concurrent-gc-syncs"})

	// AutoTokens: every ServiceAccount is given a Secret with a token; AutoTokensGate is
	// the gate that ends it where there is one.
	AutoTokens     = row("account-tokens/auto", Fact[bool]{Until: "1.27", Value: true, Source: tokenSource + " ensureReferencedToken"})
	AutoTokensGate = row("account-tokens/auto-gate", Fact[string]{Since: "1.24", Until: "1.27", Value: "LegacyServiceAccountTokenNoAutoGeneration", Source: managerSource + " AutoGenerate"})
	// ExpiredTokens is how an expired bootstrap token is noticed: by a look every so
	// often, at its time, or, with neither, when something happens to it.
	TokenCleanerTick  = row("token-cleaner/tick", Fact[time.Duration]{Until: "1.10", Value: 10 * time.Second, Source: "pkg/controller/bootstrap/tokencleaner.go evalSecrets"})
	TokenCleanerTimer = row("token-cleaner/timer", Fact[bool]{Since: "1.16", Value: true, Source: "pkg/controller/bootstrap/tokencleaner.go AddAfter"})
	// Resync is the default of --min-resync-period: an informer shows all that it has
	// again after that and up to as much more.
	Resync = row("controllers/resync", Fact[time.Duration]{Value: 12 * time.Hour, Source: managerSource + " ResyncPeriod"})

	// SecretTokens: with --use-service-account-credentials controllers use the token in
	// their account's Secret; TokenRequests: they ask for one if the API server gives
	// any.
	SecretTokens  = row("controllers/secret-tokens", Fact[bool]{Until: "1.21", Value: true, Source: builderSource + " SAControllerClientBuilder"})
	TokenRequests = row("controllers/token-requests", Fact[bool]{Since: "1.15", Value: true, Source: managerSource + " shouldTurnOnDynamicClient"})
	// SecretTokenWait is how long a controller waits for its account's Secret.
	SecretTokenWait = row("controllers/secret-token-wait", Fact[time.Duration]{Until: "1.21", Value: 30 * time.Second, Source: builderSource + " SAControllerClientBuilder"})

	// WatchBookmarks: watches ask for bookmarks.
	WatchBookmarks = row("client/watch-bookmarks", Fact[bool]{Since: "1.16", Value: true, Source: "k8s.io/client-go/tools/cache/reflector.go AllowWatchBookmarks"})
	// WatchLists: informers begin with a watch that shows what there is, and not with a
	// list.
	WatchLists = row("client/watch-lists", Fact[bool]{Since: "1.35", Value: true, Source: "k8s.io/client-go/features WatchListClient"})
)

// Called is a controller's name in the log of a release.
func (c Controller) Called(e Era) string {
	if ControllerNames.In(e) || c.Alias == "" {
		return c.Name
	}
	return c.Alias
}
