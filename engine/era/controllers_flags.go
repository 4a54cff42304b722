package era

import "strings"

// ManagerFlags are the flags of kube-controller-manager by their kind, as
// pflag names it, besides those that are simulated. A kind decides which values
// are refused, and with which words.
var ManagerFlags = row("controllers/flags", Fact[map[string][]string]{Value: map[string][]string{
	"bool": strings.Fields(`allocate-node-cidrs authentication-skip-lookup authentication-tolerate-lookup-failure configure-cloud-routes
		contention-profiling disable-attach-detach-reconcile-sync disable-force-detach-on-timeout disable-http2-serving
		emulation-forward-compatible enable-dynamic-provisioning enable-garbage-collector enable-hostpath-provisioner enable-leader-migration
		log-text-split-stream permit-address-sharing permit-port-sharing profiling version`),
	"duration": strings.Fields(`attach-detach-reconcile-sync-period authentication-token-webhook-cache-ttl authorization-webhook-cache-authorized-ttl
		authorization-webhook-cache-unauthorized-ttl controller-start-interval endpoint-updates-batch-period endpointslice-updates-batch-period
		horizontal-pod-autoscaler-cpu-initialization-period horizontal-pod-autoscaler-downscale-stabilization
		horizontal-pod-autoscaler-initial-readiness-delay horizontal-pod-autoscaler-sync-period legacy-service-account-token-clean-up-period
		log-flush-frequency min-resync-period mirroring-endpointslice-updates-batch-period namespace-sync-period
	 pvclaimbinder-sync-period resource-quota-sync-period route-reconciliation-period`),
	"float64": strings.Fields(`horizontal-pod-autoscaler-tolerance`),
	"int":     strings.Fields(`http2-max-streams-per-connection secure-port`),
	"int32": strings.Fields(`concurrent-cron-job-syncs concurrent-daemonset-syncs concurrent-deployment-syncs concurrent-device-taint-eviction-syncs
		concurrent-endpoint-syncs concurrent-ephemeralvolume-syncs concurrent-gc-syncs concurrent-horizontal-pod-autoscaler-syncs
		concurrent-job-syncs concurrent-namespace-syncs concurrent-replicaset-syncs concurrent-resource-claim-syncs concurrent-resource-quota-syncs
		concurrent-service-endpoint-syncs concurrent-service-syncs concurrent-serviceaccount-token-syncs concurrent-statefulset-syncs
		concurrent-ttl-after-finished-syncs concurrent-validating-admission-policy-status-syncs concurrent_rc_syncs
		max-endpoints-per-slice mirroring-concurrent-service-endpoint-syncs mirroring-max-endpoints-per-subset node-cidr-mask-size
		node-cidr-mask-size-ipv4 node-cidr-mask-size-ipv6 pv-recycler-increment-timeout-nfs pv-recycler-minimum-timeout-hostpath
		pv-recycler-minimum-timeout-nfs pv-recycler-timeout-increment-hostpath terminated-pod-gc-threshold`),
	"ip": strings.Fields(`bind-address`),
	"string": strings.Fields(`allow-metric-labels allow-metric-labels-manifest authentication-kubeconfig authorization-kubeconfig cert-dir
		cidr-allocator-type client-ca-file cloud-config cloud-provider cluster-cidr cluster-name emulated-version external-cloud-volume-plugin
		flex-volume-plugin-dir kube-api-content-type leader-migration-config log-text-info-buffer-size logging-format master
		pv-recycler-pod-template-filepath-hostpath pv-recycler-pod-template-filepath-nfs requestheader-client-ca-file
		service-cluster-ip-range show-hidden-metrics-for-version tls-cert-file tls-min-version tls-private-key-file tls-sni-cert-key vmodule`),
	"stringSlice": strings.Fields(`authorization-always-allow-paths disabled-metrics requestheader-allowed-names requestheader-extra-headers-prefix
		requestheader-group-headers requestheader-uid-headers requestheader-username-headers tls-cipher-suites`),
}, Source: "cmd/kube-controller-manager/app/options; kubernetes.io/docs/reference/command-line-tools-reference/kube-controller-manager"})
