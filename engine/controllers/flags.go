package controllers

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/era"
)

// Names of the controllers that are simulated.
const (
	approving    = "certificatesigningrequest-approving-controller"
	signing      = "certificatesigningrequest-signing-controller"
	cleaning     = "certificatesigningrequest-cleaner-controller"
	tokenCleaner = "token-cleaner-controller"
)

// Flags is what the command line said.
type Flags struct {
	Kubeconfig  string        `json:"kubeconfig,omitempty"`
	Controllers []string      `json:"controllers"`
	CertFile    string        `json:"certFile,omitempty"`
	KeyFile     string        `json:"keyFile,omitempty"`
	Duration    time.Duration `json:"duration"`
	// Pairs are the files of single signers, by the signer's short name.
	Pairs       map[string][2]string `json:"pairs,omitempty"`
	Credentials bool                 `json:"credentials,omitempty"`
	V           int                  `json:"v,omitempty"`
}

// signers are the built-in signers in the order in which they start, by the
// short name in their flags.
var signers = []struct{ short, name, loop string }{
	{"kubelet-serving", "kubernetes.io/kubelet-serving", "csrsigning-kubelet-serving"},
	{"kubelet-client", "kubernetes.io/kube-apiserver-client-kubelet", "csrsigning-kubelet-client"},
	{"kube-apiserver-client", "kubernetes.io/kube-apiserver-client", "csrsigning-kube-apiserver-client"},
	{"legacy-unknown", "kubernetes.io/legacy-unknown", "csrsigning-legacy-unknown"},
}

// ignored are flags that are taken and have no effect on what is simulated.
var ignored = []string{
	"allocate-node-cidrs", "authentication-kubeconfig", "authorization-kubeconfig", "bind-address", "client-ca-file", "cluster-cidr", "cluster-name",
	"concurrent-deployment-syncs", "feature-gates", "kube-api-burst", "kube-api-content-type", "kube-api-qps", "leader-elect", "leader-elect-lease-duration",
	"min-resync-period", "node-cidr-mask-size", "profiling", "requestheader-client-ca-file", "root-ca-file", "secure-port",
	"service-account-private-key-file", "service-cluster-ip-range", "terminated-pod-gc-threshold", "tls-cert-file", "tls-private-key-file", "vmodule",
}

// parseFlags reads a command line without the program's name. The error is
// pflag's or the program's own, in its words.
func parseFlags(e era.Era, args []string) (Flags, error) {
	var f Flags
	fs := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.StringSliceVar(&f.Controllers, "controllers", []string{"*"}, "")
	fs.StringVar(&f.CertFile, "cluster-signing-cert-file", "", "")
	fs.StringVar(&f.KeyFile, "cluster-signing-key-file", "", "")
	fs.DurationVar(&f.Duration, "cluster-signing-duration", era.SigningDuration.In(e), "")
	fs.BoolVar(&f.Credentials, "use-service-account-credentials", false, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	type pair struct{ cert, key *string }
	pairs := map[string]pair{}
	for _, s := range signers {
		pairs[s.short] = pair{fs.String("cluster-signing-"+s.short+"-cert-file", "", ""), fs.String("cluster-signing-"+s.short+"-key-file", "", "")}
	}
	for _, name := range ignored {
		fs.String(name, "", "")
		fs.Lookup(name).NoOptDefVal = "true"
	}
	if err := fs.Parse(args); err != nil {
		return f, err
	}
	for _, s := range signers {
		p := pairs[s.short]
		if *p.cert == "" && *p.key == "" {
			continue
		}
		if f.CertFile != "" || f.KeyFile != "" {
			return f, fmt.Errorf("cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time")
		}
		if f.Pairs == nil {
			f.Pairs = map[string][2]string{}
		}
		f.Pairs[s.short] = [2]string{*p.cert, *p.key}
	}
	for _, s := range signers {
		p, ok := f.Pairs[s.short]
		// The message of the client signer names its neighbour, as recorded in
		// o/16-start-per-signer-half.log.
		name := s.short
		if name == "kubelet-client" {
			name = "kube-apiserver-client"
		}
		if ok && p[1] == "" {
			return f, fmt.Errorf("%q: cannot specify cert without key", "cluster-signing-"+name)
		}
		if ok && p[0] == "" {
			return f, fmt.Errorf("%q: cannot specify key without cert", "cluster-signing-"+name)
		}
	}
	return f, checkControllers(e, f.Controllers)
}

// checkControllers finds names that no controller has.
func checkControllers(e era.Era, list []string) error {
	known := map[string]bool{"*": true}
	for _, c := range era.Controllers.In(e) {
		known[c.Name], known[c.Alias] = true, true
	}
	var wrong []string
	for _, name := range list {
		if n := strings.TrimPrefix(name, "-"); n == "" || !known[n] {
			wrong = append(wrong, fmt.Sprintf("%q is not in the list of known controllers", n))
		}
	}
	switch len(wrong) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s", wrong[0])
	}
	return fmt.Errorf("[%s]", strings.Join(wrong, ", "))
}

// enabled tells whether a controller runs: "name" turns it on, "-name" off, and
// "*" on what is on by default; the first that speaks of it counts. Models
// k8s.io/controller-manager/app IsControllerEnabled.
func (f *Flags) enabled(e era.Era, name string) bool {
	var c era.Controller
	for _, x := range era.Controllers.In(e) {
		if x.Name == name {
			c = x
		}
	}
	star := false
	for _, x := range f.Controllers {
		switch n := strings.TrimPrefix(x, "-"); {
		case x == "*":
			star = true
		case n == c.Name || n == c.Alias && n != "":
			return n == x
		}
	}
	return star && !c.Off
}
