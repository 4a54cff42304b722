package client

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/era"
)

// Flags is what a command line said.
type Flags struct {
	Kubeconfig       string `json:"kubeconfig,omitempty"`
	Master           string `json:"master,omitempty"`
	HostnameOverride string `json:"hostnameOverride,omitempty"`
	LeaderElect      bool   `json:"leaderElect,omitempty"`
	Corefile         string `json:"corefile,omitempty"`
	V                int    `json:"v,omitempty"`
	// Gates are the values of --feature-gates, Told what is said of flags that are
	// deprecated.
	Gates []string `json:"gates,omitempty"`
	Told  []string `json:"told,omitempty"`

	// Those of metrics-server.
	Resolution   time.Duration `json:"resolution,omitempty"`
	Timeout      time.Duration `json:"timeout,omitempty"`
	Port         int           `json:"port,omitempty"`
	KubeletPort  int           `json:"kubeletPort,omitempty"`
	StatusPort   bool          `json:"statusPort,omitempty"`
	Insecure     bool          `json:"insecure,omitempty"`
	Plain        bool          `json:"plain,omitempty"`
	KubeletCA    string        `json:"kubeletCA,omitempty"`
	KubeletCert  string        `json:"kubeletCert,omitempty"`
	KubeletKey   string        `json:"kubeletKey,omitempty"`
	AddressTypes []string      `json:"addressTypes,omitempty"`
	TLSCert      string        `json:"tlsCert,omitempty"`
	TLSKey       string        `json:"tlsKey,omitempty"`
}

// componentFlags are those of Kubernetes' own programs, as far as they matter.
func componentFlags(fs *pflag.FlagSet, f *Flags) {
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.StringVar(&f.Master, "master", "", "")
	fs.StringVar(&f.HostnameOverride, "hostname-override", "", "")
	fs.BoolVar(&f.LeaderElect, "leader-elect", true, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
}

// component returns what reads the command line of one of Kubernetes' own programs,
// which has the flags of its release.
func component(program string) func(e era.Era, args []string) (Flags, error) {
	return func(e era.Era, args []string) (Flags, error) {
		var f Flags
		fs := pflag.NewFlagSet(program, pflag.ContinueOnError)
		componentFlags(fs, &f)
		fs.StringArrayVar(&f.Gates, "feature-gates", nil, "")
		c, err := era.ReadCommandLine(e, program, fs, args)
		f.Told = c.Told
		return f, err
	}
}

// inert names flags that are taken and change nothing here.
func inert(names string) []string { return strings.Fields(names) }

// parser returns what reads a program's command line. The error is pflag's or the
// program's own, in its words.
func parser(program string, define func(*pflag.FlagSet, *Flags), inert []string) func(e era.Era, args []string) (Flags, error) {
	return func(_ era.Era, args []string) (Flags, error) {
		var f Flags
		fs := pflag.NewFlagSet(program, pflag.ContinueOnError)
		fs.SetOutput(io.Discard)
		fs.Usage = func() {}
		define(fs, &f)
		for _, name := range inert {
			fs.String(name, "", "")
			fs.Lookup(name).NoOptDefVal = "true"
		}
		if err := fs.Parse(args); err != nil {
			return f, err
		}
		if rest := fs.Args(); len(rest) > 0 {
			return f, errNoArguments(program, rest)
		}
		return f, nil
	}
}

// parseCoreDNS reads flags of Go's own kind: one dash is as good as two.
func parseCoreDNS(_ era.Era, args []string) (Flags, error) {
	f := Flags{Corefile: "Corefile"}
	for i := 0; i < len(args); i++ {
		name, value, eq := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(args[i], "-"), "-"), "=")
		switch {
		case !strings.HasPrefix(args[i], "-"):
			return f, fmt.Errorf("extra command line arguments: %v", args[i:])
		case name == "quiet":
		case name != "conf" && name != "dns.port" && name != "p" && name != "pidfile":
			return f, fmt.Errorf("flag provided but not defined: -%s", name)
		default:
			if !eq {
				if i++; i == len(args) {
					return f, fmt.Errorf("flag needs an argument: -%s", name)
				}
				value = args[i]
			}
			if name == "conf" {
				f.Corefile = value
			}
		}
	}
	return f, nil
}

// defaultAddressTypes is the default of --kubelet-preferred-address-types. Models
// metrics-server pkg/utils DefaultAddressTypePriority.
var defaultAddressTypes = []string{"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"}

// parseMetricsServer models metrics-server cmd/metrics-server/app/options.
func parseMetricsServer(e era.Era, args []string) (Flags, error) {
	f, err := parser("metrics-server", func(fs *pflag.FlagSet, f *Flags) {
		fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
		fs.DurationVar(&f.Resolution, "metric-resolution", time.Minute, "")
		fs.DurationVar(&f.Timeout, "kubelet-request-timeout", 10*time.Second, "")
		fs.IntVar(&f.Port, "secure-port", 443, "")
		fs.IntVar(&f.KubeletPort, "kubelet-port", 10250, "")
		fs.BoolVar(&f.StatusPort, "kubelet-use-node-status-port", false, "")
		fs.BoolVar(&f.Insecure, "kubelet-insecure-tls", false, "")
		fs.BoolVar(&f.Plain, "deprecated-kubelet-completely-insecure", false, "")
		fs.StringVar(&f.KubeletCA, "kubelet-certificate-authority", "", "")
		fs.StringVar(&f.KubeletCert, "kubelet-client-certificate", "", "")
		fs.StringVar(&f.KubeletKey, "kubelet-client-key", "", "")
		fs.StringSliceVar(&f.AddressTypes, "kubelet-preferred-address-types", defaultAddressTypes, "")
		fs.StringVar(&f.TLSCert, "tls-cert-file", "", "")
		fs.StringVar(&f.TLSKey, "tls-private-key-file", "", "")
		fs.IntVarP(&f.V, "v", "v", 0, "")
	}, inert("authentication-kubeconfig authorization-kubeconfig authentication-skip-lookup authorization-always-allow-paths bind-address cert-dir client-ca-file node-selector requestheader-client-ca-file tls-cipher-suites tls-min-version vmodule"))(e, args)
	if err != nil {
		return f, err
	}
	var wrong []error
	for _, rule := range []struct {
		broken bool
		words  string
	}{
		{f.KubeletCA != "" && f.Insecure, "cannot use both --kubelet-certificate-authority and --kubelet-insecure-tls"},
		{(f.KubeletKey != "") != (f.KubeletCert != ""), "need both --kubelet-client-key and --kubelet-client-certificate"},
		{f.KubeletKey != "" && f.Plain, "cannot use both --kubelet-client-key and --deprecated-kubelet-completely-insecure"},
		{f.KubeletCert != "" && f.Plain, "cannot use both --kubelet-client-certificate and --deprecated-kubelet-completely-insecure"},
		{f.Insecure && f.Plain, "cannot use both --kubelet-insecure-tls and --deprecated-kubelet-completely-insecure"},
		{f.KubeletCA != "" && f.Plain, "cannot use both --kubelet-certificate-authority and --deprecated-kubelet-completely-insecure"},
		{f.Timeout <= 0, "kubelet-request-timeout should be positive"},
	} {
		if rule.broken {
			wrong = append(wrong, errors.New(rule.words))
		}
	}
	return f, aggregate(wrong)
}

// aggregate words several errors as one. Models k8s.io/apimachinery/pkg/util/errors
// NewAggregate.
func aggregate(list []error) error {
	switch len(list) {
	case 0:
		return nil
	case 1:
		return list[0]
	}
	var words []string
	for _, err := range list {
		words = append(words, err.Error())
	}
	return fmt.Errorf("[%s]", strings.Join(words, ", "))
}
