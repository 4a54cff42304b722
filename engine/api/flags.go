package api

import (
	"fmt"
	"net"
	"slices"
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
	// control are all plugins that run, where they are named so.
	control         []string
	insecure        int // the port without TLS, which is not here
	bind, advertise string
	port, v         int
	external        string
	etcd            []string
	serviceRange    string
	portRange       string

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
	// told is what is said of flags that are deprecated.
	told []string
}

// defaultAddresses is the default of --kubelet-preferred-address-types.
var defaultAddresses = []string{"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"}

// parse reads a command line. The error is pflag's: "unknown flag: --x", or
// "invalid argument …".
func parse(e era.Era, args []string) (*options, error) {
	o := &options{}
	f := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	f.StringVar(&o.clientCA, "client-ca-file", "", "")
	f.StringVar(&o.cert, "tls-cert-file", "", "")
	f.StringVar(&o.key, "tls-private-key-file", "", "")
	f.StringSliceVar(&o.modes, "authorization-mode", []string{"AlwaysAllow"}, "")
	f.StringVar(&o.abac, "authorization-policy-file", "", "")
	f.StringVar(&o.webhook, "authorization-webhook-config-file", "", "")
	f.BoolVar(&o.bootstrap, "experimental-bootstrap-token-auth", false, "")
	f.BoolVar(&o.bootstrap, "enable-bootstrap-token-auth", false, "")
	f.BoolVar(&o.anonymous, "anonymous-auth", true, "")
	f.StringVar(&o.tokenFile, "token-auth-file", "", "")
	f.StringSliceVar(&o.enable, "enable-admission-plugins", nil, "")
	f.StringSliceVar(&o.disable, "disable-admission-plugins", nil, "")
	f.StringSliceVar(&o.control, "admission-control", nil, "")
	f.IntVar(&o.insecure, "insecure-port", 0, "")
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
	c, err := era.ReadCommandLine(e, "kube-apiserver", f, args)
	if o.told = c.Told; err != nil {
		return nil, err
	}
	if x, _ := era.FlagOf(e, "kube-apiserver", "admission-control"); len(o.control) == 0 && x.Default != "" {
		o.control = []string{x.Default}
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
	words := era.APIRefusals.In(e)
	if words.Range != "" && o.serviceRange == "" {
		bad("%s", words.Range)
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
	if key := era.TokenKeyRequired.In(e); len(o.tokenKeys) == 0 && key != "" {
		bad("%s", key)
	}
	errs = append(errs, o.validateModes(words)...)
	known := era.AdmissionPlugins(e)
	if n := o.strange(known); n != "" && !words.LatePlugin {
		bad(words.Plugin, n)
	}
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

// strange is the first plugin of --admission-control that is none of those known.
func (o *options) strange(known []string) string {
	for _, n := range o.control {
		if !slices.Contains(known, n) {
			return n
		}
	}
	return ""
}

// late are the checks of flags that some releases make when they use them.
func (o *options) late(e era.Era, words era.APIWords) error {
	for _, m := range o.modes {
		if words.LateMode && !slices.Contains(modes, m) {
			return fmt.Errorf(words.Mode, m)
		}
	}
	if n := o.strange(era.AdmissionPlugins(e)); n != "" && words.LatePlugin {
		return fmt.Errorf(words.Plugin, n)
	}
	return nil
}

func (o *options) validateModes(words era.APIWords) []error {
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
			if !words.LateMode {
				bad(words.Mode, m)
			}
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
	if s.opts.control != nil {
		return slices.Contains(s.opts.control, name)
	}
	if slices.Contains(s.opts.disable, name) {
		return false
	}
	return slices.Contains(s.opts.enable, name) || slices.Contains(s.defaultPlugins, name)
}
