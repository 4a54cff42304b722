package era

import "time"

// What everyone else who calls the API does in each release.
var (
	// ClientCertReload is how often client-go looks at the files of a client
	// certificate again.
	ClientCertReload = row("client/cert-reload", Fact[time.Duration]{Since: "1.18", Value: 5 * time.Minute, Source: "k8s.io/client-go/transport/cert_rotation.go CertCallbackRefreshDuration"})
	// ClientTokenReload is how old a token file as read may be: a minute, less ten
	// seconds.
	ClientTokenReload = row("client/token-reload", Fact[time.Duration]{Value: 50 * time.Second, Source: "k8s.io/client-go/transport/token_source.go NewCachedFileTokenSource"})
	// ClientReflector is the wait between failed tries to list and watch.
	ClientReflector = row("client/reflector-backoff", Fact[Backoff]{
		Value: Backoff{First: 800 * time.Millisecond, Factor: 2, Max: 30 * time.Second, Jitter: 100}, Source: "k8s.io/client-go/tools/cache/reflector.go",
	})
	// ClientPages: lists ask for 500 objects at a time. ClientBookmarks: watches ask to
	// be told of the version that they came to. ClientWatchList: they begin with what
	// there is, so that no list is needed.
	ClientPages     = row("client/pages", Fact[bool]{Since: "1.8", Value: true, Source: "k8s.io/client-go/tools/cache/listwatch.go @1.8; golden-old 1.8.0 c/25"})
	ClientBookmarks = row("client/bookmarks", Fact[bool]{Since: "1.15", Value: true, Source: "k8s.io/client-go/tools/cache/reflector.go @1.15"})
	ClientWatchList = row("client/watch-list", Fact[bool]{Since: "1.35", Value: true, Source: "k8s.io/client-go/features WatchListClient (on 1.35)"})
	// KubeconfigPreferences: a kubeconfig that is written has its empty preferences.
	KubeconfigPreferences = row("client/kubeconfig-preferences", Fact[bool]{Until: "1.34", Value: true, Source: "k8s.io/client-go/tools/clientcmd/api/v1 @1.33; golden-old 1.7.4 c/22"})

	// VolumeTokenLife is the life that a kubelet asks for the token of a pod's
	// volume: an hour and seven seconds.
	VolumeTokenLife = row("client/volume-token-life", Fact[time.Duration]{Since: "1.21", Value: 3607 * time.Second, Source: "plugin/pkg/admission/serviceaccount/admission.go TokenVolumeSource"})
	// VolumeSync is the longest that a changed ConfigMap takes to a pod's volume
	// when it is watched: a sync of the kubelet and half as much jitter.
	VolumeSync = row("client/volume-sync", Fact[time.Duration]{Value: 90 * time.Second, Source: "pkg/kubelet/kubelet.go, pkg/kubelet/pod_workers.go workerResyncIntervalJitterFactor"})
	// VolumeBackoff is the wait between tries to mount a volume.
	VolumeBackoff = row("client/volume-backoff", Fact[Backoff]{
		Value: Backoff{First: 500 * time.Millisecond, Factor: 2, Max: 2*time.Minute + 2*time.Second}, Source: "pkg/util/goroutinemap/exponentialbackoff",
	})
)
