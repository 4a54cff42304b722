package kubelet

import (
	"io"
	"time"

	"github.com/spf13/pflag"
)

// Flags is what a kubelet's command line said.
type Flags struct {
	Config              string `json:"config,omitempty"`
	BootstrapKubeconfig string `json:"bootstrapKubeconfig,omitempty"`
	Kubeconfig          string `json:"kubeconfig,omitempty"`
	CertDir             string `json:"certDir"`
	HostnameOverride    string `json:"hostnameOverride,omitempty"`
	NodeIP              string `json:"nodeIP,omitempty"`
	RootDir             string `json:"rootDir"`
	RotateCertificates  bool   `json:"rotateCertificates,omitempty"`
	RegisterNode        bool   `json:"registerNode,omitempty"`
	V                   int    `json:"v,omitempty"`
}

// parseFlags reads a command line without the program's name. The error is
// pflag's, such as "unknown flag: --x".
func parseFlags(args []string) (Flags, error) {
	var f Flags
	fs := pflag.NewFlagSet("kubelet", pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {}
	fs.StringVar(&f.Config, "config", "", "")
	fs.StringVar(&f.BootstrapKubeconfig, "bootstrap-kubeconfig", "", "")
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.StringVar(&f.CertDir, "cert-dir", "/var/lib/kubelet/pki", "")
	fs.StringVar(&f.HostnameOverride, "hostname-override", "", "")
	fs.StringVar(&f.NodeIP, "node-ip", "", "")
	fs.StringVar(&f.RootDir, "root-dir", "/var/lib/kubelet", "")
	fs.BoolVar(&f.RotateCertificates, "rotate-certificates", false, "")
	fs.BoolVar(&f.RegisterNode, "register-node", true, "")
	fs.IntVarP(&f.V, "v", "v", 0, "")
	// Accepted, and without effect on what is simulated.
	for _, name := range []string{"container-runtime-endpoint", "image-service-endpoint", "pod-infra-container-image",
		"node-labels", "register-with-taints", "feature-gates", "tls-cert-file", "tls-private-key-file", "client-ca-file", "cgroup-driver",
		"cluster-dns", "cluster-domain", "cloud-provider", "pod-manifest-path", "resolv-conf", "vmodule", "address", "authorization-mode"} {
		fs.String(name, "", "")
	}
	for _, name := range []string{"anonymous-auth", "authentication-token-webhook", "fail-swap-on", "logtostderr", "rotate-server-certificates"} {
		fs.Bool(name, false, "")
	}
	fs.Int("port", 10250, "")
	fs.Duration("node-status-update-frequency", 10*time.Second, "")
	return f, fs.Parse(args)
}
