package api

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"
)

// options is a command line of kube-apiserver, as far as it matters here.
type options struct {
	clientCA, cert, key    string
	modes                  []string
	bootstrap, anonymous   bool
	tokenFile              string
	enable, disable        []string
	bind, advertise        string
	port, v                int
	issuer                 string
	serviceRange, external string
}

// ignored are flags that are accepted and change nothing here.
var ignored = []string{
	"etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-prefix", "storage-backend", "endpoint-reconciler-type",
	"service-account-key-file", "service-account-signing-key-file", "service-account-max-token-expiration", "api-audiences",
	"service-node-port-range", "kubelet-client-certificate", "kubelet-client-key", "kubelet-certificate-authority",
	"kubelet-preferred-address-types", "kubelet-timeout", "audit-policy-file", "audit-log-path", "audit-log-maxage", "audit-log-maxbackup",
	"audit-log-maxsize", "audit-log-format", "requestheader-client-ca-file", "requestheader-allowed-names", "requestheader-username-headers",
	"requestheader-group-headers", "requestheader-extra-headers-prefix", "proxy-client-cert-file", "proxy-client-key-file",
	"tls-cipher-suites", "tls-min-version", "cert-dir", "feature-gates", "runtime-config", "event-ttl", "max-requests-inflight",
	"max-mutating-requests-inflight", "request-timeout", "min-request-timeout", "encryption-provider-config", "vmodule", "logging-format",
	"cors-allowed-origins", "default-not-ready-toleration-seconds", "default-unreachable-toleration-seconds", "log-flush-frequency",
}

// ignoredSwitches are such flags without a value.
var ignoredSwitches = []string{"allow-privileged", "enable-aggregator-routing", "profiling", "contention-profiling", "service-account-lookup", "goaway-chance"}

// parse reads a command line. The error is pflag's: "unknown flag: --x".
func parse(args []string) (*options, error) {
	o := &options{}
	f := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	f.StringVar(&o.clientCA, "client-ca-file", "", "")
	f.StringVar(&o.cert, "tls-cert-file", "", "")
	f.StringVar(&o.key, "tls-private-key-file", "", "")
	f.StringSliceVar(&o.modes, "authorization-mode", []string{"AlwaysAllow"}, "")
	f.BoolVar(&o.bootstrap, "enable-bootstrap-token-auth", false, "")
	f.BoolVar(&o.anonymous, "anonymous-auth", true, "")
	f.StringVar(&o.tokenFile, "token-auth-file", "", "")
	f.StringSliceVar(&o.enable, "enable-admission-plugins", nil, "")
	f.StringSliceVar(&o.disable, "disable-admission-plugins", nil, "")
	f.StringVar(&o.bind, "bind-address", "0.0.0.0", "")
	f.StringVar(&o.advertise, "advertise-address", "", "")
	f.IntVar(&o.port, "secure-port", 6443, "")
	f.StringVar(&o.issuer, "service-account-issuer", "https://kubernetes.default.svc", "")
	f.StringVar(&o.serviceRange, "service-cluster-ip-range", "", "")
	f.StringVar(&o.external, "external-hostname", "", "")
	f.IntVarP(&o.v, "v", "v", 0, "")
	for _, n := range ignored {
		f.String(n, "", "")
	}
	for _, n := range ignoredSwitches {
		f.Bool(n, false, "")
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if rest := f.Args(); len(rest) > 0 {
		return nil, fmt.Errorf(`"kube-apiserver" does not take any arguments, got %q`, rest)
	}
	for _, m := range o.modes {
		if authorizers[m] == nil {
			return nil, fmt.Errorf("authorization-mode %q is not a valid mode", m)
		}
	}
	return o, nil
}

// plugin reports whether an admission plugin runs.
func (s *Server) plugin(name string) bool {
	if slices.Contains(s.opts.disable, name) {
		return false
	}
	return slices.Contains(s.opts.enable, name) || slices.Contains(s.defaultPlugins, name)
}
