package api

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/era"
)

// options is a command line of kube-apiserver, as far as it matters here.
type options struct {
	clientCA, cert, key  string
	modes                []string
	bootstrap, anonymous bool
	allowPrivileged      bool // containers
	tokenFile            string
	enable, disable      []string
	bind, advertise      string
	port, v              int
	external             string
	etcd                 []string
	serviceRange         string
	portRange            string

	issuers, audiences, tokenKeys []string
	signingKey                    string
	maxExpiration                 time.Duration
	extend, lookup                bool

	kubeletCA, kubeletCert, kubeletKey string
	kubeletAddresses                   []string

	proxyCert, proxyKey string
	// Those of the front proxy, as aggregated servers are told of them.
	requestCA                                                string
	requestNames, requestUsers, requestGroups, requestExtras []string
	requestUIDs                                              []string
	reconciler                                               string
	abac, webhook                                            string
	gates                                                    []string
}

// flagKind is a type of flags that are read, so that a value that can't be is
// refused in pflag's words, and change nothing here.
type flagKind struct {
	names  string
	define func(f *pflag.FlagSet, name string)
}

// inert are the flags of kube-apiserver 1.36 that nothing here depends on.
var inert = []flagKind{
	{`admission-control-config-file allow-metric-labels-manifest audit-log-batch-mode audit-log-format audit-log-mode audit-log-path audit-log-version
		audit-policy-file audit-webhook-config-file audit-webhook-mode audit-webhook-version authentication-config authentication-token-webhook-config-file
		authentication-token-webhook-version authorization-config authorization-webhook-version cert-dir debug-socket-path egress-selector-config-file
		encryption-provider-config etcd-cafile etcd-certfile etcd-keyfile etcd-prefix emulated-version min-compatibility-version
		logging-format oidc-ca-file oidc-client-id oidc-groups-claim oidc-groups-prefix oidc-issuer-url oidc-username-claim oidc-username-prefix
		peer-advertise-ip peer-advertise-port peer-ca-file  runtime-config service-account-jwks-uri service-account-signing-endpoint
		show-hidden-metrics-for-version storage-backend storage-media-type tls-min-version tls-sni-cert-key tracing-config-file version vmodule
		log-json-info-buffer-size log-text-info-buffer-size`,
		func(f *pflag.FlagSet, n string) { f.String(n, "", "") }},
	{`admission-control cors-allowed-origins disabled-metrics etcd-servers-overrides oidc-required-claim oidc-signing-algs
		strict-transport-security-directives
		tls-cipher-suites watch-cache-sizes allow-metric-labels tls-curve-preferences`,
		func(f *pflag.FlagSet, n string) { f.StringSlice(n, nil, "") }},
	{`aggregator-reject-forwarding-redirect audit-log-batch-throttle-enable audit-log-compress audit-log-truncate-enabled
		audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled contention-profiling disable-http2-serving emulation-forward-compatible
		enable-aggregator-routing enable-garbage-collector enable-logs-handler enable-priority-and-fairness encryption-provider-config-automatic-reload
		log-json-split-stream log-text-split-stream permit-address-sharing permit-port-sharing profiling runtime-config-emulation-forward-compatible
		shutdown-send-retry-after watch-cache`,
		func(f *pflag.FlagSet, n string) { f.Bool(n, false, "") }},
	{`apiserver-count audit-log-batch-buffer-size audit-log-batch-max-size audit-log-batch-throttle-burst audit-log-maxage audit-log-maxbackup audit-log-maxsize
		audit-webhook-batch-buffer-size audit-webhook-batch-max-size audit-webhook-batch-throttle-burst default-watch-cache-size delete-collection-workers
		http2-max-streams-per-connection kubernetes-service-node-port max-mutating-requests-inflight max-requests-inflight min-request-timeout`,
		func(f *pflag.FlagSet, n string) { f.Int(n, 0, "") }},
	{`audit-log-truncate-max-batch-size audit-log-truncate-max-event-size audit-webhook-truncate-max-batch-size audit-webhook-truncate-max-event-size
		default-not-ready-toleration-seconds default-unreachable-toleration-seconds lease-reuse-duration-seconds max-connection-bytes-per-sec`,
		func(f *pflag.FlagSet, n string) { f.Int64(n, 0, "") }},
	{`kubelet-port kubelet-read-only-port`, func(f *pflag.FlagSet, n string) { f.Uint(n, 0, "") }},
	{`audit-log-batch-throttle-qps audit-webhook-batch-throttle-qps`, func(f *pflag.FlagSet, n string) { f.Float32(n, 0, "") }},
	{`goaway-chance`, func(f *pflag.FlagSet, n string) { f.Float64(n, 0, "") }},
	{`audit-log-batch-max-wait audit-webhook-batch-initial-backoff audit-webhook-batch-max-wait audit-webhook-initial-backoff authentication-token-webhook-cache-ttl
		authorization-webhook-cache-authorized-ttl authorization-webhook-cache-unauthorized-ttl coordinated-leadership-lease-duration
		coordinated-leadership-renew-deadline coordinated-leadership-retry-period etcd-compaction-interval etcd-count-metric-poll-period
		etcd-db-metric-poll-interval etcd-healthcheck-timeout etcd-readycheck-timeout event-ttl kubelet-timeout livez-grace-period log-flush-frequency
		request-timeout shutdown-delay-duration shutdown-watch-termination-grace-period storage-initialization-timeout`,
		func(f *pflag.FlagSet, n string) { f.Duration(n, 0, "") }},
}

// defaultAddresses is the default of --kubelet-preferred-address-types.
var defaultAddresses = []string{"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"}

// parse reads a command line. The error is pflag's: "unknown flag: --x", or
// "invalid argument …".
func parse(e era.Era, args []string) (*options, error) {
	o := &options{}
	f := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName { // Models component-base/cli/flag WordSepNormalizeFunc
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	f.StringVar(&o.clientCA, "client-ca-file", "", "")
	f.StringVar(&o.cert, "tls-cert-file", "", "")
	f.StringVar(&o.key, "tls-private-key-file", "", "")
	f.StringSliceVar(&o.modes, "authorization-mode", []string{"AlwaysAllow"}, "")
	f.StringVar(&o.abac, "authorization-policy-file", "", "")
	f.StringVar(&o.webhook, "authorization-webhook-config-file", "", "")
	f.BoolVar(&o.bootstrap, "enable-bootstrap-token-auth", false, "")
	for name, kind := range era.OldServerFlags.In(e) {
		if kind == "int" {
			f.Int(name, 0, "")
		} else {
			f.BoolVar(&o.bootstrap, name, false, "")
		}
	}
	f.BoolVar(&o.anonymous, "anonymous-auth", true, "")
	f.StringVar(&o.tokenFile, "token-auth-file", "", "")
	f.StringSliceVar(&o.enable, "enable-admission-plugins", nil, "")
	f.StringSliceVar(&o.disable, "disable-admission-plugins", nil, "")
	bind := f.IP("bind-address", net.IPv4zero, "")
	advertise := f.IP("advertise-address", nil, "")
	f.IntVar(&o.port, "secure-port", 6443, "")
	f.StringSliceVar(&o.etcd, "etcd-servers", nil, "")
	f.StringArrayVar(&o.issuers, "service-account-issuer", nil, "")
	f.StringSliceVar(&o.audiences, "api-audiences", nil, "")
	f.StringArrayVar(&o.tokenKeys, "service-account-key-file", nil, "")
	f.StringVar(&o.signingKey, "service-account-signing-key-file", "", "")
	f.DurationVar(&o.maxExpiration, "service-account-max-token-expiration", 0, "")
	f.BoolVar(&o.extend, "service-account-extend-token-expiration", true, "")
	f.BoolVar(&o.lookup, "service-account-lookup", true, "")
	f.StringVar(&o.kubeletCA, "kubelet-certificate-authority", "", "")
	f.StringVar(&o.kubeletCert, "kubelet-client-certificate", "", "")
	f.StringVar(&o.kubeletKey, "kubelet-client-key", "", "")
	f.StringSliceVar(&o.kubeletAddresses, "kubelet-preferred-address-types", defaultAddresses, "")
	f.StringVar(&o.requestCA, "requestheader-client-ca-file", "", "")
	f.StringSliceVar(&o.requestNames, "requestheader-allowed-names", nil, "")
	f.StringSliceVar(&o.requestUIDs, "requestheader-uid-headers", nil, "")
	f.StringVar(&o.reconciler, "endpoint-reconciler-type", "lease", "")
	f.StringSliceVar(&o.requestUsers, "requestheader-username-headers", nil, "")
	f.StringSliceVar(&o.requestGroups, "requestheader-group-headers", nil, "")
	f.StringSliceVar(&o.requestExtras, "requestheader-extra-headers-prefix", nil, "")
	f.StringVar(&o.proxyCert, "proxy-client-cert-file", "", "")
	f.StringVar(&o.proxyKey, "proxy-client-key-file", "", "")
	f.StringVar(&o.serviceRange, "service-cluster-ip-range", "", "")
	f.StringVar(&o.external, "external-hostname", "", "")
	f.StringArrayVar(&o.gates, "feature-gates", nil, "")
	f.BoolVar(&o.allowPrivileged, "allow-privileged", false, "")
	f.StringVar(&o.portRange, "service-node-port-range", "", "")
	v := f.Uint32P("v", "v", 0, "")
	for _, k := range inert {
		for _, n := range strings.Fields(k.names) {
			k.define(f, n)
		}
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if rest := f.Args(); len(rest) > 0 {
		return nil, fmt.Errorf(`"kube-apiserver" does not take any arguments, got %q`, rest)
	}
	o.bind, o.v = bind.String(), int(*v)
	if *advertise != nil {
		o.advertise = advertise.String()
	}
	return o, nil
}

// modes are the values of --authorization-mode that kube-apiserver knows.
var modes = []string{"ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"}

// validate lists what is wrong with values that could be read, in
// kube-apiserver's order (Models pkg/controlplane/apiserver/options Validate
// and what it calls).
func (o *options) validate(e era.Era) []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(o.etcd) == 0 {
		bad("--etcd-servers must be specified")
	}
	if o.port < 1 || o.port > 65535 {
		bad("--secure-port %d must be between 1 and 65535, inclusive. It cannot be turned off with 0", o.port)
	}
	for i, is := range o.issuers {
		switch {
		case is == "":
			bad("service-account-issuer should not be an empty string")
		case slices.Contains(o.issuers[:i], is):
			bad("service-account-issuer %q is already specified", is)
		}
	}
	if len(o.issuers) == 0 && era.IssuerRequired.In(e) {
		bad("service-account-issuer is a required flag")
	}
	if len(o.tokenKeys) == 0 {
		bad("either `--service-account-key-file` or `--service-account-signing-endpoint` must be set")
	}
	errs = append(errs, o.validateModes()...)
	known := era.AdmissionPlugins.In(e)
	for i, list := range [][]string{o.enable, o.disable} {
		for _, n := range list {
			if !slices.Contains(known, n) {
				bad("%s-admission-plugins plugin %q is unknown", []string{"enable", "disable"}[i], n)
			}
		}
	}
	if twice := both(o.enable, o.disable); len(twice) > 0 {
		slices.Sort(twice)
		bad("%v in enable-admission-plugins and disable-admission-plugins overlapped", slices.Compact(twice))
	}
	if o.signingKey == "" && len(o.issuers) == 0 && len(o.audiences) == 0 {
		if !era.IssuerRequired.In(e) {
			return errs
		}
		bad("--service-account-signing-key-file and --service-account-issuer are required flags")
	} else if o.signingKey == "" || len(o.issuers) == 0 || o.issuers[0] == "" {
		bad("--service-account-signing-key-file, --service-account-issuer, and --api-audiences should be specified together")
	}
	return errs
}

func (o *options) validateModes() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(o.modes) == 0 {
		bad("at least one authorization-mode must be passed")
	}
	unique := slices.Clone(o.modes)
	slices.Sort(unique)
	for _, m := range o.modes {
		switch {
		case !slices.Contains(modes, m):
			bad("authorization-mode %q is not a valid mode", m)
		case m == "ABAC" && o.abac == "":
			bad("authorization-mode ABAC's authorization policy file not passed")
		case m == "Webhook" && o.webhook == "":
			bad("authorization-mode Webhook's authorization config file not passed")
		case authorizers[m] == nil:
			bad("authorization-mode %q is a real one, but this API server does not have it", m)
		}
	}
	if o.abac != "" && !slices.Contains(o.modes, "ABAC") {
		bad("cannot specify --authorization-policy-file without mode ABAC")
	}
	if o.webhook != "" && !slices.Contains(o.modes, "Webhook") {
		bad("cannot specify --authorization-webhook-config-file without mode Webhook")
	}
	if len(slices.Compact(unique)) != len(o.modes) {
		bad("authorization-mode %q has mode specified more than once", o.modes)
	}
	return errs
}

// plugin reports whether an admission plugin runs.
func (s *Server) plugin(name string) bool {
	if slices.Contains(s.opts.disable, name) {
		return false
	}
	return slices.Contains(s.opts.enable, name) || slices.Contains(s.defaultPlugins, name)
}
