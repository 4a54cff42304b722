package controllers

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
)

// Names of the controllers that are simulated.
const (
	approving       = "certificatesigningrequest-approving-controller"
	signing         = "certificatesigningrequest-signing-controller"
	cleaning        = "certificatesigningrequest-cleaner-controller"
	tokenCleaner    = "token-cleaner-controller"
	bootstrapSigner = "bootstrap-signer-controller"
	rootCA          = "root-ca-certificate-publisher-controller"
	defaultAccounts = "serviceaccount-controller"
	accountTokens   = "serviceaccount-token-controller"
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
	RootCAFile  string               `json:"rootCAFile,omitempty"`
	AccountKey  string               `json:"accountKey,omitempty"`
	QPS         float32              `json:"qps"`
	Burst       int                  `json:"burst"`
	Elect       election.Rules       `json:"elect"`
	// NodeGrace is how long a node may be silent, NodeStartup one that is new;
	// NodePeriod is the time between two looks. Evict and EvictLess are how many nodes a
	// second are tainted NoExecute, Large and Unhealthy when it is the lesser.
	NodeGrace   time.Duration `json:"nodeGrace"`
	NodeStartup time.Duration `json:"nodeStartup"`
	NodePeriod  time.Duration `json:"nodePeriod"`
	Evict       float32       `json:"evict"`
	EvictLess   float32       `json:"evictLess"`
	Large       int32         `json:"large"`
	Unhealthy   float32       `json:"unhealthy"`
	Gates       []string      `json:"gates,omitempty"`
	V           int           `json:"v,omitempty"`
	// Told is what is said of flags that are deprecated.
	Told []string `json:"told,omitempty"`
}

type signerRow struct{ short, name, loop string }

// signers are the built-in signers in the order in which they start, by the
// short name in their flags.
var signers = []signerRow{
	{"kubelet-serving", "kubernetes.io/kubelet-serving", "csrsigning-kubelet-serving"},
	{"kubelet-client", "kubernetes.io/kube-apiserver-client-kubelet", "csrsigning-kubelet-client"},
	{"kube-apiserver-client", "kubernetes.io/kube-apiserver-client", "csrsigning-kube-apiserver-client"},
	{"legacy-unknown", "kubernetes.io/legacy-unknown", "csrsigning-legacy-unknown"},
}

// parseFlags reads a command line without the program's name. The error is
// pflag's, in its words; what the program itself refuses is told by refused.
func parseFlags(e era.Era, args []string) (Flags, error) {
	var f Flags
	var burst int32
	fs := pflag.NewFlagSet("kube-controller-manager", pflag.ContinueOnError)
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.StringSliceVar(&f.Controllers, "controllers", []string{"*"}, "")
	fs.StringVar(&f.CertFile, "cluster-signing-cert-file", "", "")
	fs.StringVar(&f.KeyFile, "cluster-signing-key-file", "", "")
	fs.DurationVar(&f.Duration, "experimental-cluster-signing-duration", 0, "")
	fs.DurationVar(&f.Duration, "cluster-signing-duration", 0, "")
	fs.BoolVar(&f.Credentials, "use-service-account-credentials", false, "")
	fs.StringVar(&f.RootCAFile, "root-ca-file", "", "")
	fs.StringVar(&f.AccountKey, "service-account-private-key-file", "", "")
	fs.Float32Var(&f.QPS, "kube-api-qps", 0, "")
	fs.Int32Var(&burst, "kube-api-burst", 0, "")
	fs.BoolVar(&f.Elect.On, "leader-elect", true, "")
	fs.DurationVar(&f.Elect.Duration, "leader-elect-lease-duration", 0, "")
	fs.DurationVar(&f.Elect.Renew, "leader-elect-renew-deadline", 0, "")
	fs.DurationVar(&f.Elect.Retry, "leader-elect-retry-period", 0, "")
	fs.StringVar(&f.Elect.Lock, "leader-elect-resource-lock", "", "")
	fs.StringVar(&f.Elect.Name, "leader-elect-resource-name", "kube-controller-manager", "")
	fs.StringVar(&f.Elect.Namespace, "leader-elect-resource-namespace", "kube-system", "")
	fs.DurationVar(&f.NodeGrace, "node-monitor-grace-period", era.NodeGrace.In(e), "")
	fs.DurationVar(&f.NodeStartup, "node-startup-grace-period", era.NodeStartup.In(e), "")
	fs.DurationVar(&f.NodePeriod, "node-monitor-period", era.NodePeriod.In(e), "")
	fs.Float32Var(&f.Evict, "node-eviction-rate", era.NodeEvictions.In(e).Rate, "")
	fs.Float32Var(&f.EvictLess, "secondary-node-eviction-rate", era.NodeEvictions.In(e).Lesser, "")
	fs.Int32Var(&f.Large, "large-cluster-size-threshold", era.NodeEvictions.In(e).Large, "")
	fs.Float32Var(&f.Unhealthy, "unhealthy-zone-threshold", era.NodeEvictions.In(e).Unhealthy, "")
	fs.StringArrayVar(&f.Gates, "feature-gates", nil, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	for _, s := range signers {
		fs.String("cluster-signing-"+s.short+"-cert-file", "", "")
		fs.String("cluster-signing-"+s.short+"-key-file", "", "")
	}
	c, err := era.ReadCommandLine(e, "kube-controller-manager", fs, args)
	if err != nil {
		return f, err
	}
	f.Told, f.Burst, f.Elect.Jitter = c.Told, int(burst), era.LeaseJitter.In(e)
	for _, s := range signers {
		cert, _ := fs.GetString("cluster-signing-" + s.short + "-cert-file")
		key, _ := fs.GetString("cluster-signing-" + s.short + "-key-file")
		if cert == "" && key == "" {
			continue
		}
		if f.Pairs == nil {
			f.Pairs = map[string][2]string{}
		}
		f.Pairs[s.short] = [2]string{cert, key}
	}
	return f, nil
}

// refused says why the program does not run with flags that it could read.
// Models KubeControllerManagerOptions.Validate; recorded in o/15 and o/16.
func (f *Flags) refused(e era.Era) string {
	if _, err := e.ReadGates(f.Gates); err != nil {
		return err.Error()
	}
	if err := checkControllers(e, f.Controllers); err != nil {
		return err.Error()
	}
	if len(f.Pairs) > 0 && (f.CertFile != "" || f.KeyFile != "") {
		return "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time"
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
			return fmt.Sprintf("%q: cannot specify cert without key", "cluster-signing-"+name)
		}
		if ok && p[0] == "" {
			return fmt.Sprintf("%q: cannot specify key without cert", "cluster-signing-"+name)
		}
	}
	return ""
}

// checkControllers finds names that no controller has.
func checkControllers(e era.Era, list []string) error {
	known := map[string]bool{}
	for _, c := range era.Controllers.In(e) {
		for _, name := range c.Names(e) {
			known[name] = true
		}
	}
	var wrong []string
	for _, name := range list {
		if n := strings.TrimPrefix(name, "-"); name != "*" && (n == "" || !known[n]) {
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
	if c.Name == "" {
		return false // the release has none
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
