package shell

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// adm is one run of kubeadm.
type adm struct {
	*process
	f *admFlags
	// settled is the configuration of init, and tokens are those that it wants,
	// once they are known.
	settled *admConfig
	tokens  []bootToken
	// adminFile is the kubeconfig that was taken for an administrator's; admins:
	// it was seen to that it is one.
	adminFile string
	// tmp is where a dry run writes.
	tmp    string
	admins bool
}

// admFlags are what kubeadm was called with.
type admFlags struct {
	*pflag.FlagSet
	v                                                          int
	config, kubeconfig, certDir, kubeconfigDir, output         string
	ttl, validity                                              time.Duration
	usages, groups, organizations, pins, ignored               []string
	description, token, clientName, nodeName, socket           string
	discoveryToken, discoveryFile, tlsToken                    string
	printJoin, skipTokenPrint, unpinned, dryRun, yes, cleanTmp bool
	// What init and a control plane that joins take besides.
	address, endpoint, podCIDR, serviceCIDR, dnsDomain, version, repository, certificateKey string
	sans, skipPhases                                                                        []string
	port                                                                                    int32
	uploadCerts, skipKeyPrint, controlPlane                                                 bool
}

// admNode is a row of kubeadm's tree of commands: its path, what it says about
// itself, its flags, and what it does. One without run only has children.
type admNode struct {
	path, short, flags string
	// args is how many words it takes at most, -1 as many as there are.
	args int
	run  func(a *adm, args []string) error
}

const (
	etcKubernetes = "/etc/kubernetes"
	varLibKubelet = "/var/lib/kubelet"
)

// admTree are the commands that are here. Those of the renewals and of the
// certificates' phases, one for each certificate, are added by admCommands.
var admTree []admNode

func init() {
	initial := "config ignore-preflight-errors dry-run node-name cri-socket cert-dir token token-ttl skip-token-print upload-certs certificate-key skip-certificate-key-print skip-phases" +
		" apiserver-advertise-address apiserver-bind-port apiserver-cert-extra-sans control-plane-endpoint service-cidr pod-network-cidr service-dns-domain kubernetes-version image-repository"
	joining := "control-plane certificate-key apiserver-advertise-address apiserver-bind-port config ignore-preflight-errors token discovery-token discovery-token-ca-cert-hash discovery-token-unsafe-skip-ca-verification discovery-file tls-bootstrap-token node-name cri-socket dry-run"
	admTree = []admNode{
		{"", "", "", 0, nil},
		{"certs", "Commands related to handling Kubernetes certificates", "", 0, nil},
		{"certs certificate-key", "Generate certificate keys", "", 0, certificateKey},
		{"certs check-expiration", "Check certificates expiration for a Kubernetes cluster", "config cert-dir kubeconfig output", 0, checkExpiration},
		{"certs generate-csr", "Generate keys and certificate signing requests", "config cert-dir kubeconfig-dir", 0, generateCSRs},
		{"certs renew", "Renew certificates for a Kubernetes cluster", "", 0, nil},
		{"certs renew all", "Renew all available certificates", "config cert-dir kubeconfig", 0, renewAll},
		{"init", "Run this command in order to set up the Kubernetes control plane", initial, 0, initialize},
		{"init phase", "Use this command to invoke single phase of the \"init\" workflow", "", 0, nil},
		{"init phase addon", "Install required addons for passing conformance tests", "", 0, nil},
		{"init phase addon all", "Install all the addons", "config kubeconfig", 0, phaseAddonAll},
		{"init phase addon coredns", "Install the CoreDNS addon to a Kubernetes cluster", "config kubeconfig", 0, phaseAddonDNS},
		{"init phase addon kube-proxy", "Install the kube-proxy addon to a Kubernetes cluster", "config kubeconfig", 0, phaseAddonProxy},
		{"init phase bootstrap-token", "Generates bootstrap tokens used to join a node to a cluster", "config kubeconfig skip-token-print", 0, phaseBootstrapToken},
		{"init phase certs", "Certificate generation", "", 0, nil},
		{"init phase certs all", "Generate all certificates", "config cert-dir", 0, phaseCertsAll},
		{"init phase certs sa", "Generate a private key for signing service account tokens along with its public key", "cert-dir config", 0, phaseServiceAccount},
		{"init phase control-plane", "Generate all static Pod manifest files necessary to establish the control plane", "", 0, nil},
		{"init phase control-plane all", "Generate all static Pod manifest files", "config cert-dir apiserver-advertise-address apiserver-bind-port control-plane-endpoint", 0, phaseControlPlane(controlComponents...)},
		{"init phase control-plane apiserver", "Generates the kube-apiserver static Pod manifest", "config cert-dir apiserver-advertise-address apiserver-bind-port control-plane-endpoint", 0, phaseControlPlane("kube-apiserver")},
		{"init phase control-plane controller-manager", "Generates the kube-controller-manager static Pod manifest", "config cert-dir", 0, phaseControlPlane("kube-controller-manager")},
		{"init phase control-plane scheduler", "Generates the kube-scheduler static Pod manifest", "config cert-dir", 0, phaseControlPlane("kube-scheduler")},
		{"init phase etcd", "Generate static Pod manifest file for local etcd", "", 0, nil},
		{"init phase etcd local", "Generate the static Pod manifest file for a local, single-node local etcd instance", "config cert-dir", 0, phaseEtcdLocal},
		{"init phase kubeconfig", "Generate all kubeconfig files necessary to establish the control plane and the admin kubeconfig file", "", 0, nil},
		{"init phase kubeconfig all", "Generate all kubeconfig files", "config cert-dir kubeconfig-dir", 0, phaseKubeconfigAll},
		{"init phase kubelet-finalize", "Updates settings relevant to the kubelet after TLS bootstrap", "", 0, nil},
		{"init phase kubelet-finalize all", "Run all kubelet-finalize phases", "config cert-dir", 0, phaseFinalize},
		{"init phase kubelet-finalize enable-client-cert-rotation", "Enable kubelet client certificate rotation", "config cert-dir", 0, phaseFinalize},
		{"init phase kubelet-start", "Write kubelet settings and (re)start the kubelet", "config", 0, phaseInitKubelet},
		{"init phase mark-control-plane", "Mark a node as a control-plane", "config kubeconfig", 0, phaseMark},
		{"init phase preflight", "Run pre-flight checks", "config ignore-preflight-errors", 0, phaseInitPreflight},
		{"init phase show-join-command", "Show the join command for control-plane and worker node", "config", 0, phaseShowJoin},
		{"init phase upload-certs", "Upload certificates to kubeadm-certs", "config kubeconfig upload-certs certificate-key skip-certificate-key-print", 0, phaseUploadCerts},
		{"init phase wait-control-plane", "Wait for the control plane to start", "config", 0, phaseWaitControlPlane},
		{"init phase upload-config", "Upload the kubeadm and kubelet configuration to ConfigMaps", "", 0, nil},
		{"init phase upload-config all", "Upload all configuration to ConfigMaps", "config kubeconfig", 0, phaseUploadAll},
		{"init phase upload-config kubeadm", "Upload the kubeadm ClusterConfiguration to a ConfigMap", "config kubeconfig", 0, phaseUploadKubeadm},
		{"init phase upload-config kubelet", "Upload the kubelet configuration to a ConfigMap", "config kubeconfig", 0, phaseUploadKubelet},
		{"join", "Run this on any machine you wish to join an existing cluster", joining, 1, join},
		{"join phase", "Use this command to invoke single phase of the \"join\" workflow", "", 0, nil},
		{"join phase control-plane-join", "Join a machine as a control plane instance", "", 0, nil},
		{"join phase control-plane-join mark-control-plane", "Mark a node as a control-plane", "config control-plane node-name", 0, phaseJoinMark},
		{"join phase control-plane-prepare", "Prepare the machine for serving a control plane", "", 0, nil},
		{"join phase control-plane-prepare all", "Prepare the machine for serving a control plane", joining, 1, phasePrepare},
		{"join phase kubelet-start", "Write kubelet settings, certificates and (re)start the kubelet", joining, 1, phaseKubeletStart},
		{"join phase kubelet-wait-bootstrap", "Wait for the kubelet to bootstrap itself", "config cri-socket dry-run", 0, phaseKubeletWait},
		{"join phase preflight", "Run join pre-flight checks", joining, 1, phasePreflight},
		{"config", "Manage configuration for a kubeadm cluster persisted in a ConfigMap in the cluster", "", -1, notHere("kubeadm config", "what is in the cluster, kubectl shows (ConfigMap kubeadm-config in kube-system), and images are pulled by nobody: units here run programs that are installed")},
		{"upgrade", "Upgrade your cluster smoothly to a newer version with this command", "", -1, notHere("kubeadm upgrade", "a world has one release")},
		{"kubeconfig", "Kubeconfig file utilities", "", 0, nil},
		{"kubeconfig user", "Output a kubeconfig file for an additional user", "config token client-name org validity-period", 0, kubeconfigUser},
		{"reset", "Performs a best effort revert of changes made to this host by 'kubeadm init' or 'kubeadm join'", "force cert-dir cri-socket cleanup-tmp-dir dry-run ignore-preflight-errors kubeconfig", 0, reset},
		{"reset phase", "Use this command to invoke single phase of the \"reset\" workflow", "", 0, nil},
		{"reset phase cleanup-node", "Run cleanup node.", "cert-dir cri-socket cleanup-tmp-dir dry-run", 0, phaseCleanup},
		{"token", "Manage bootstrap tokens", "", 0, nil},
		{"token create", "Create bootstrap tokens on the server", "config kubeconfig dry-run print-join-command certificate-key ttl usages groups description", 1, tokenCreate},
		{"token delete", "Delete bootstrap tokens on the server", "kubeconfig dry-run", -1, tokenDelete},
		{"token generate", "Generate and print a bootstrap token, but do not create it on the server", "kubeconfig dry-run", 0, tokenGenerate},
		{"token list", "List bootstrap tokens on the server", "kubeconfig dry-run output", 0, tokenList},
		{"version", "Print the version of kubeadm", "output", 0, admVersion},
	}
}

// admCommands is the tree with a command for each certificate and kubeconfig.
func admCommands(e era.Era) []admNode {
	out := slices.Clone(admTree)
	for _, c := range era.KubeadmCerts.In(e) {
		out = append(out, admNode{"init phase certs " + c.Name, "Generate the " + c.LongName, "config cert-dir", 0, func(a *adm, _ []string) error { return a.phaseCert(c) }})
		if c.CA != "" {
			out = append(out, admNode{"certs renew " + c.Name, "Renew the " + c.LongName, "config cert-dir kubeconfig", 0, func(a *adm, _ []string) error { return a.renewOne(c.Name) }})
		}
	}
	for _, k := range era.KubeadmKubeconfigs.In(e) {
		name := strings.TrimSuffix(k.File, ".conf")
		out = append(out, admNode{"init phase kubeconfig " + name, "Generate a kubeconfig file for " + k.User, "config cert-dir kubeconfig-dir", 0, func(a *adm, _ []string) error { return a.phaseKubeconfig(k) }})
		if k.LongName != "" {
			out = append(out, admNode{"certs renew " + k.File, "Renew the " + k.LongName, "config cert-dir kubeconfig", 0, func(a *adm, _ []string) error { return a.renewOne(k.File) }})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path < out[j].path })
	return out
}

// admOptional defines the flags that only some commands take.
func (f *admFlags) admOptional(e era.Era) map[string]func() {
	return map[string]func(){
		"config":                       func() { f.StringVar(&f.config, "config", "", "") },
		"kubeconfig":                   func() { f.StringVar(&f.kubeconfig, "kubeconfig", "", "") },
		"cert-dir":                     func() { f.StringVar(&f.certDir, "cert-dir", "", "") },
		"kubeconfig-dir":               func() { f.StringVar(&f.kubeconfigDir, "kubeconfig-dir", etcKubernetes, "") },
		"output":                       func() { f.StringVarP(&f.output, "output", "o", "text", "") },
		"ttl":                          func() { f.DurationVar(&f.ttl, "ttl", era.KubeadmTokenTTL.In(e), "") },
		"usages":                       func() { f.StringSliceVar(&f.usages, "usages", era.KubeadmTokenUsages.In(e), "") },
		"groups":                       func() { f.StringSliceVar(&f.groups, "groups", strings.Fields(era.KubeadmTokenGroup.In(e)), "") },
		"description":                  func() { f.StringVar(&f.description, "description", "", "") },
		"print-join-command":           func() { f.BoolVar(&f.printJoin, "print-join-command", false, "") },
		"skip-token-print":             func() { f.BoolVar(&f.skipTokenPrint, "skip-token-print", false, "") },
		"dry-run":                      func() { f.BoolVar(&f.dryRun, "dry-run", false, "") },
		"force":                        func() { f.BoolVarP(&f.yes, "force", "f", false, "") },
		"cleanup-tmp-dir":              func() { f.BoolVar(&f.cleanTmp, "cleanup-tmp-dir", false, "") },
		"token":                        func() { f.StringVar(&f.token, "token", "", "") },
		"discovery-token":              func() { f.StringVar(&f.discoveryToken, "discovery-token", "", "") },
		"discovery-file":               func() { f.StringVar(&f.discoveryFile, "discovery-file", "", "") },
		"tls-bootstrap-token":          func() { f.StringVar(&f.tlsToken, "tls-bootstrap-token", "", "") },
		"discovery-token-ca-cert-hash": func() { f.StringSliceVar(&f.pins, "discovery-token-ca-cert-hash", nil, "") },
		"discovery-token-unsafe-skip-ca-verification": func() { f.BoolVar(&f.unpinned, "discovery-token-unsafe-skip-ca-verification", false, "") },
		"node-name":                   func() { f.StringVar(&f.nodeName, "node-name", "", "") },
		"cri-socket":                  func() { f.StringVar(&f.socket, "cri-socket", "", "") },
		"ignore-preflight-errors":     func() { f.StringSliceVar(&f.ignored, "ignore-preflight-errors", nil, "") },
		"client-name":                 func() { f.StringVar(&f.clientName, "client-name", "", "") },
		"org":                         func() { f.StringSliceVar(&f.organizations, "org", nil, "") },
		"apiserver-advertise-address": func() { f.StringVar(&f.address, "apiserver-advertise-address", "", "") },
		"apiserver-bind-port":         func() { f.Int32Var(&f.port, "apiserver-bind-port", 6443, "") },
		"apiserver-cert-extra-sans":   func() { f.StringSliceVar(&f.sans, "apiserver-cert-extra-sans", nil, "") },
		"control-plane-endpoint":      func() { f.StringVar(&f.endpoint, "control-plane-endpoint", "", "") },
		"pod-network-cidr":            func() { f.StringVar(&f.podCIDR, "pod-network-cidr", "", "") },
		"service-cidr":                func() { f.StringVar(&f.serviceCIDR, "service-cidr", "", "") },
		"service-dns-domain":          func() { f.StringVar(&f.dnsDomain, "service-dns-domain", "", "") },
		"kubernetes-version":          func() { f.StringVar(&f.version, "kubernetes-version", "", "") },
		"image-repository":            func() { f.StringVar(&f.repository, "image-repository", "", "") },
		"token-ttl":                   func() { f.DurationVar(&f.ttl, "token-ttl", era.KubeadmTokenTTL.In(e), "") },
		"skip-phases":                 func() { f.StringSliceVar(&f.skipPhases, "skip-phases", nil, "") },
		"upload-certs":                func() { f.BoolVar(&f.uploadCerts, "upload-certs", false, "") },
		"skip-certificate-key-print":  func() { f.BoolVar(&f.skipKeyPrint, "skip-certificate-key-print", false, "") },
		"certificate-key":             func() { f.StringVar(&f.certificateKey, "certificate-key", "", "") },
		"control-plane":               func() { f.BoolVar(&f.controlPlane, "control-plane", false, "") },
		"validity-period":             func() { f.DurationVar(&f.validity, "validity-period", era.KubeadmCertLife.In(e), "") },
	}
}

// notHere is a command that is kubeadm's, and why it is not here.
func notHere(command, why string) func(*adm, []string) error {
	return func(*adm, []string) error { return fmt.Errorf("%s: not in this shell: %s", command, why) }
}

// kubeadm runs the command that its words name.
func kubeadm(p *process) int {
	a := &adm{process: p, f: &admFlags{FlagSet: pflag.NewFlagSet("kubeadm", pflag.ContinueOnError)}}
	if err := a.run(); err != nil {
		return p.fail(1, "error: %v\nTo see the stack trace of this error execute with --v=5 or higher", err)
	}
	return 0
}

func (a *adm) run() error {
	tree := admCommands(a.era())
	node, rest := descend(tree, a.args)
	f := a.f
	f.SetOutput(noOutput{})
	f.IntVarP(&f.v, "v", "v", 0, "")
	f.String("rootfs", "", "")
	f.String("vmodule", "", "")
	help := f.BoolP("help", "h", false, "")
	optional := f.admOptional(a.era())
	for _, name := range strings.Fields(node.flags) {
		optional[name]()
	}
	if err := f.Parse(rest); err != nil {
		return err
	}
	for _, name := range []string{"rootfs", "vmodule"} {
		if f.Changed(name) {
			return fmt.Errorf("--%s: not in this shell", name)
		}
	}
	full := strings.TrimSpace("kubeadm " + node.path)
	switch words := f.Args(); {
	case *help || node.run == nil && len(words) == 0:
		a.help(tree, node)
		if *help {
			return nil
		}
		return fmt.Errorf("\nerror: subcommand is required")
	case node.run == nil || node.args == 0 && len(words) > 0:
		return fmt.Errorf("unknown command %q for %q", words[0], full)
	case node.args > 0 && len(words) > node.args:
		return fmt.Errorf("accepts at most %d arg(s), received %d", node.args, len(words))
	case strings.HasPrefix(node.path, "init"):
		if err := a.mixed(); err != nil {
			return err
		}
		fallthrough
	default:
		return node.run(a, words)
	}
}

// descend follows the words of a command line down the tree; flags may stand
// between them.
func descend(tree []admNode, args []string) (admNode, []string) {
	find := func(name string) *admNode {
		for i := range tree {
			if tree[i].path == name {
				return &tree[i]
			}
		}
		return nil
	}
	node := find("")
	var rest []string
	for i, w := range args {
		if strings.HasPrefix(w, "-") {
			rest = append(rest, w)
			continue
		}
		child := find(strings.TrimSpace(node.path + " " + w))
		if child == nil {
			return *node, append(rest, args[i:]...)
		}
		node = child
	}
	return *node, rest
}

// help is what a command says about itself, as cobra lays it out.
func (a *adm) help(tree []admNode, node admNode) {
	full := strings.TrimSpace("kubeadm " + node.path)
	var children []admNode
	wide := 11
	for _, n := range tree {
		name, ok := strings.CutPrefix(n.path, strings.TrimSpace(node.path)+" ")
		if node.path == "" {
			name, ok = n.path, n.path != ""
		}
		if ok && !strings.Contains(name, " ") {
			n.path = name
			children = append(children, n)
			wide = max(wide, len(name))
		}
	}
	if node.short != "" {
		a.printf("%s\n\n", node.short)
	}
	a.printf("Usage:\n  %s [flags]\n", full)
	if len(children) > 0 {
		a.printf("  %s [command]\n\nAvailable Commands:\n", full)
		for _, n := range children {
			a.printf("  %-*s %s\n", wide, n.path, n.short)
		}
	}
	a.printf("\nFlags:\n")
	for _, name := range strings.Fields(node.flags) {
		a.printf("      --%s\n", name)
	}
	a.printf("  -h, --help   help for %s\n\nGlobal Flags:\n", path.Base(strings.ReplaceAll(full, " ", "/")))
	a.printf("      --rootfs string        The path to the 'real' host root filesystem. This will cause kubeadm to chroot into the provided path.\n" +
		"  -v, --v Level              number for the log level verbosity\n" +
		"      --vmodule moduleSpec   comma-separated list of pattern=N settings for file-filtered logging\n")
	if len(children) > 0 {
		a.printf("\nUse \"%s [command] --help\" for more information about a command.\n", full)
	}
}

func (a *adm) era() era.Era { return era.Must(a.start.Release) }

// log writes a line as klog does, if -v is at least v.
func (a *adm) log(level byte, v int, source, format string, args ...any) {
	if v > a.f.v {
		return
	}
	t := a.now().In(a.zone())
	fmt.Fprintf(a.errs, "%c%s %7d %s] %s\n", level, t.Format("0102 15:04:05.000000"), 2000+a.live.run.N, source, fmt.Sprintf(format, args...))
}

// moment is the time that passes, which setting the clock does not change.
func (a *adm) moment() time.Time {
	return a.sys(func(c *sim.Ctx) reply { return reply{Time: c.Now} }).Time
}

// poll calls f at once and then at every interval until it is done; false when
// the time is over. Models k8s.io/apimachinery/pkg/util/wait
// PollUntilContextTimeout, called with immediate.
func (a *adm) poll(interval, timeout time.Duration, f func() bool) bool {
	begin := a.moment()
	for next := begin; ; {
		if f() {
			return true
		}
		now := a.moment()
		for !next.After(now) {
			next = next.Add(interval)
		}
		if end := begin.Add(timeout); !next.Before(end) {
			if now.Before(end) {
				a.live.sleep(end.Sub(now))
			}
			return false
		}
		a.live.sleep(next.Sub(now))
	}
}

// write writes a file with its mode, and the directories above it.
func (a *adm) write(name string, data []byte, mode fs.FileMode) error {
	return a.change(func(d *sim.Disk, now time.Time) error {
		if err := d.MkdirAll(path.Dir(name), 0o755, now); err != nil {
			return err
		}
		return d.WriteFile(name, data, mode, now)
	})
}

func (a *adm) exists(name string) bool {
	_, err := a.stat(name, true)
	return err == nil
}

func (a *adm) hostname() string {
	return a.sys(func(c *sim.Ctx) reply { return reply{Text: c.Host} }).Text
}

func admVersion(a *adm, _ []string) error {
	v := era.KubeadmVersion.In(a.era())
	if a.f.output == "short" {
		a.printf("%s\n", v)
		return nil
	}
	if a.f.Changed("output") {
		return fmt.Errorf("invalid output format: %s", a.f.output)
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(v, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	a.printf("kubeadm version: &version.Info{Major:%q, Minor:%q, GitVersion:%q}\n", major, minor, v)
	return nil
}
