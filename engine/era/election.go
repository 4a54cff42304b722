package era

const electionSource = "k8s.io/client-go/tools/leaderelection/leaderelection.go"

// How programs agree on the one that works in each release.
var (
	// LeaderLock is the default of --leader-elect-resource-lock.
	LeaderLock = row("leader/lock",
		Fact[string]{Value: "endpoints", Source: "pkg/apis/componentconfig/v1alpha1/defaults.go, k8s.io/component-base/config/v1alpha1/defaults.go"},
		Fact[string]{Since: "1.17", Value: "endpointsleases", Source: "pkg/controller/apis/config/v1alpha1/defaults.go"},
		Fact[string]{Since: "1.20", Value: "leases", Source: "k8s.io/controller-manager/config/v1alpha1/defaults.go"})
	// LeaderLocks are the locks that there are.
	LeaderLocks = row("leader/locks",
		Fact[[]string]{Value: []string{"endpoints", "configmaps"}, Source: "tools/leaderelection/resourcelock/interface.go"},
		Fact[[]string]{Since: "1.14", Value: []string{"endpoints", "configmaps", "leases"}, Source: "tools/leaderelection/resourcelock/interface.go"},
		Fact[[]string]{Since: "1.17", Value: []string{"endpoints", "configmaps", "leases", "endpointsleases", "configmapsleases"}, Source: "tools/leaderelection/resourcelock/interface.go"},
		Fact[[]string]{Since: "1.24", Value: []string{"leases", "endpointsleases", "configmapsleases"}, Source: "tools/leaderelection/resourcelock/interface.go"},
		Fact[[]string]{Since: "1.28", Value: []string{"leases"}, Source: "tools/leaderelection/resourcelock/interface.go"})
	// LeaderIsHost: a candidate is called by its host's name, without anything random.
	LeaderIsHost = row("leader/is-host", Fact[bool]{Until: "1.10", Value: true, Source: managerSource})
	// LeaderFast: who leads renews without looking.
	LeaderFast = row("leader/fast", Fact[bool]{Since: "1.29", Value: true, Source: electionSource})
	// LeaderEnds is why a renewal is given up.
	LeaderEnds = row("leader/ends", Fact[string]{Value: "timed out waiting for the condition", Source: electionSource}, Fact[string]{Since: "1.33", Value: "context deadline exceeded", Source: electionSource})

	LineLeaderTries = lines("leader/log/tries", electionSource,
		"1.7 I0 leaderelection.go:179] attempting to acquire leader lease...",
		"1.10 I0 leaderelection.go:175] attempting to acquire leader lease  %v...",
		"1.20 I0 leaderelection.go:243] attempting to acquire leader lease %v...",
		`1.35 I0 leaderelection.go:258] "Attempting to acquire leader lease..." lock`)
	LineLeaderLeads = lines("leader/log/leads", electionSource,
		"1.7 I0 leaderelection.go:189] successfully acquired lease %v",
		`1.35 I0 leaderelection.go:272] "Successfully acquired lease" lock`)
	LineLeaderMisses = lines("leader/log/misses", electionSource,
		"1.7 I4 leaderelection.go:185] failed to acquire lease %v",
		`1.35 I4 leaderelection.go:267] "Failed to acquire lease" lock`)
	LineLeaderHeld = lines("leader/log/held", electionSource,
		"1.7 I4 leaderelection.go:248] lock is held by %[2]v and has not yet expired",
		`1.35 I4 leaderelection.go:481] "Lease is held by and has not yet expired" lock holder`)
	LineLeaderUnread = lines("leader/log/unread", electionSource,
		"1.7 E0 leaderelection.go:229] error retrieving resource lock %v: %v",
		`1.35 E0 leaderelection.go:461] "Error retrieving lease lock" err=2 lock=1`)
	LineLeaderUncreated = lines("leader/log/uncreated", electionSource,
		"1.7 E0 leaderelection.go:233] error initially creating leader election record: %[2]v",
		`1.35 E0 leaderelection.go:465] "Error initially creating lease lock" err=2 lock=1`)
	LineLeaderStale = lines("leader/log/stale", electionSource,
		"1.7 E0 leaderelection.go:263] Failed to update lock: %[2]v",
		`1.35 E0 leaderelection.go:497] "Failed to update lease" err=2 lock=1`)
	LineLeaderSlow = lines("leader/log/slow", electionSource,
		"1.31 E0 leaderelection.go:429] Failed to update lock optimistically: %[2]v, falling back to slow path",
		`1.34 E0 leaderelection.go:445] "Failed to update lease optimistically, falling back to slow path" err=2 lock=1`,
		`1.36 I2 leaderelection.go:454] "Failed to update lease optimistically, falling back to slow path" lock err`)
	LineLeaderEnds = lines("leader/log/ends", electionSource,
		"1.7 I0 leaderelection.go:208] failed to renew lease %[1]v",
		"1.8 I0 leaderelection.go:203] failed to renew lease %v: %v",
		`1.35 I0 leaderelection.go:304] "Failed to renew lease" lock err`)
)
