package shell

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
)

// initPhase is a phase of init, which --skip-phases can leave out.
type initPhase struct {
	name string
	run  func(a *adm, _ []string) error
}

// initPhases are the phases in their order. Models cmd/kubeadm/app/cmd
// newCmdInit.
func initPhases() []initPhase {
	return []initPhase{
		{"preflight", phaseInitPreflight}, {"certs", phaseCertsAll}, {"kubeconfig", phaseKubeconfigAll}, {"etcd", phaseEtcdLocal},
		{"control-plane", phaseControlPlane(controlComponents...)}, {"kubelet-start", phaseInitKubelet}, {"wait-control-plane", phaseWaitControlPlane},
		{"upload-config", phaseUploadAll}, {"upload-certs", phaseUploadCerts}, {"mark-control-plane", phaseMark}, {"bootstrap-token", phaseBootstrapToken},
		{"kubelet-finalize", phaseFinalize}, {"addon", phaseAddonAll}, {"show-join-command", phaseShowJoin},
	}
}

// initialize is init as a whole.
func initialize(a *adm, _ []string) error {
	if a.f.dryRun {
		return fmt.Errorf("kubeadm init --dry-run: not in this shell: its later phases ask an API server that is not there")
	}
	c, err := a.begin()
	if err != nil {
		return err
	}
	if _, err := a.wanted(c); err != nil {
		return err
	}
	phases := initPhases()
	skip := append(slices.Clone(a.f.skipPhases), words(c.init.list("skipPhases"))...)
	for _, s := range skip {
		if !slices.ContainsFunc(phases, func(p initPhase) bool { return p.name == s }) {
			return fmt.Errorf("phase %q not found or is not a phase that is skipped here; there are %s", s, phaseNames(phases))
		}
	}
	a.f.kubeconfig, a.f.kubeconfigDir = etcKubernetes+"/admin.conf", etcKubernetes
	a.printf("[init] Using Kubernetes version: %s\n", c.cluster.text("kubernetesVersion"))
	for _, p := range phases {
		if slices.Contains(skip, p.name) {
			continue
		}
		if err := p.run(a, nil); err != nil {
			return err
		}
	}
	return nil
}

func phaseNames(phases []initPhase) string {
	var names []string
	for _, p := range phases {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// words are the strings of a list.
func words(list []any) (out []string) {
	for _, x := range list {
		out = append(out, fmt.Sprint(x))
	}
	return out
}

func parsedDuration(s string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(s); err == nil {
		return d
	}
	return otherwise
}

// initChecks are the preflight checks of a control plane that can fail here.
// Models cmd/kubeadm/app/preflight RunInitNodeChecks.
func (a *adm) initChecks(c *admConfig, joins bool) (out []check) {
	port := func(n, unit string) check {
		return check{"Port-" + n, "checks.go:239", "validating availability of port " + n, func(j *joining) []string {
			if u, _ := j.unit(unit); u.State == "active" {
				return []string{"Port " + n + " is in use"}
			}
			return nil
		}, false}
	}
	_, api, _ := strings.Cut(strings.TrimPrefix(c.local(), "https://"), ":")
	out = append(out, port(api, "kube-apiserver"), port("10259", "kube-scheduler"), port("10257", "kube-controller-manager"))
	for _, name := range append(slices.Clone(controlComponents), "etcd") {
		out = append(out, fileAvailable(podFile(name)))
	}
	if joins {
		return out
	}
	for _, x := range a.ownKubelet(c).nodeChecks() {
		if !strings.HasPrefix(x.name, "FileAvailable") {
			out = append(out, x)
		}
	}
	return append(out, port("2379", "etcd"), port("2380", "etcd"))
}

const pullLines = "[preflight] Pulling images required for setting up a Kubernetes cluster\n" +
	"[preflight] This might take a minute or two, depending on the speed of your internet connection\n" +
	"[preflight] You can also perform this action beforehand using 'kubeadm config images pull'\n"

// phaseInitPreflight looks at the host. Its images need not be pulled: units are
// of programs that are installed.
func phaseInitPreflight(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	a.printf("[preflight] Running pre-flight checks\n")
	j := a.ownKubelet(c)
	j.ignored = append(slices.Clone(a.f.ignored), words(c.init.list("nodeRegistration", "ignorePreflightErrors"))...)
	if err := j.examine(a.initChecks(c, false)); err != nil {
		return phase("preflight", err)
	}
	a.printf(pullLines)
	return nil
}

// ownKubelet is the kubelet of a control plane, configured as one that joins.
func (a *adm) ownKubelet(c *admConfig) *joining {
	return &joining{adm: a, cluster: c, joinConfig: &joinConfig{name: c.nodeName(), socket: c.init.text("nodeRegistration", "criSocket"), extraArgs: extraArgs(c.init),
		health: parsedDuration(c.init.text("timeouts", "kubeletHealthCheck"), era.KubeadmHealthCheck.In(a.era()))}}
}

// phaseInitKubelet writes what the kubelet of a control plane needs and starts
// it. Models cmd/kubeadm/app/cmd/phases/init runKubeletStart.
func phaseInitKubelet(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	j := a.ownKubelet(c)
	j.stopKubelet()
	if err := j.kubeletFlags(); err != nil {
		return phase("kubelet-start", err)
	}
	if err := j.kubeletConfig(); err != nil {
		return phase("kubelet-start", err)
	}
	j.startKubelet()
	return nil
}

// phaseMark labels and taints the node of a control plane.
func phaseMark(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	return phase("mark-control-plane", a.markNode(c.nodeName()))
}

// markNode models cmd/kubeadm/app/phases/markcontrolplane MarkControlPlane.
func (a *adm) markNode(name string) error {
	client, _, err := a.initClient()
	if err != nil {
		return err
	}
	defer client.close()
	mark := era.KubeadmMark.In(a.era())
	say := func(text string) { a.printf("%s", strings.ReplaceAll(text, "NODE", name)) }
	say(mark.Before)
	labels := map[string]any{}
	for _, l := range mark.Labels {
		labels[l] = ""
	}
	var last error
	client.poll(era.KubeadmAPIRetry.In(a.era()), era.KubeadmAPICall.In(a.era()), func() bool {
		var node object
		if node, last = client.do("GET", "/api/v1/nodes/"+name, nil); last != nil {
			return false
		}
		// The taints of others stay.
		var taints []any
		for _, t := range mark.Taints {
			key, effect, _ := strings.Cut(t, ":")
			taints = append(taints, map[string]any{"key": key, "effect": effect})
		}
		for _, t := range node.list("spec", "taints") {
			if o, ok := t.(map[string]any); ok && !slices.Contains(mark.Taints, fmt.Sprint(o["key"], ":", o["effect"])) {
				taints = append(taints, t)
			}
		}
		_, last = client.do("PATCH", "/api/v1/nodes/"+name, object{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"taints": taints}})
		return last == nil
	})
	if last != nil {
		return fmt.Errorf("error patching Node %q: %w", name, last)
	}
	say(mark.After)
	return nil
}

// phaseFinalize lets the kubelet's kubeconfig name the certificate that it
// rotates instead of the one that init embedded, and restarts the kubelet.
// Models cmd/kubeadm/app/cmd/phases/init runKubeletFinalizeEnableClientCertRotation.
func phaseFinalize(a *adm, _ []string) error {
	const name = "kubelet-finalize/enable-client-cert-rotation"
	pem := varLibKubelet + "/pki/kubelet-client-current.pem"
	if !a.exists(pem) {
		a.log('I', 1, "kubeletfinalize.go:110", "[kubelet-finalize] Assuming that kubelet client certificate rotation is disabled: did not find %q", pem)
		return nil
	}
	c, err := a.loadKubeconfig(kubeletConf)
	if err != nil {
		return phase(name, fmt.Errorf("could not load %q: %w", kubeletConf, err))
	}
	i, u := current(c)
	if i < 0 || u < 0 {
		return phase(name, fmt.Errorf("the file %q does not contain authentication for user in its current context", kubeletConf))
	}
	a.printf("[kubelet-finalize] Updating %q to point to a rotatable kubelet client certificate and key\n", kubeletConf)
	text := kubeconfigText(c.Clusters[i].Cluster.Server, c.Clusters[i].Name, c.Users[u].Name, c.Clusters[i].Cluster.CAData, "client-certificate: "+pem, "client-key: "+pem)
	if err := a.write(kubeletConf, text, 0o600); err != nil {
		return phase(name, err)
	}
	if err := a.order("restart", "kubelet"); err != nil {
		a.log('W', 0, "kubelet.go:83", "[kubelet-finalize] WARNING: unable to restart the kubelet service: [exit status 5]")
	}
	return nil
}

// joinCommand is what to type on another host. Models cmd/kubeadm/app/cmd/util
// getJoinCommand.
func (a *adm) joinCommand(config *kubeconfig.Config, token, key string, control bool) (string, error) {
	i, _ := current(config)
	if i < 0 {
		return "", fmt.Errorf("failed to get default cluster config")
	}
	cl := config.Clusters[i].Cluster
	if len(cl.CAData) == 0 {
		return "", fmt.Errorf("no CA certificates found in kubeconfig")
	}
	cas, err := pki.ParseCerts(cl.CAData)
	if err != nil {
		return "", fmt.Errorf("failed to parse CA certificate from kubeconfig: %v", err)
	}
	if a.f.skipTokenPrint {
		token = "<value withheld>"
	}
	if key != "" && a.f.skipKeyPrint {
		key = "<value withheld>"
	}
	out := fmt.Sprintf("kubeadm join %s --token %s \\\n", strings.TrimPrefix(cl.Server, "https://"), token)
	for _, ca := range cas {
		out += "\t--discovery-token-ca-cert-hash " + pki.Pin(ca) + " "
	}
	if control {
		out += "\\\n\t--control-plane "
		if key != "" {
			out += "--certificate-key " + key
		}
	}
	return out, nil
}

// phaseShowJoin says what to do next. Models cmd/kubeadm/app/cmd/phases/init
// showJoinCommand.
func phaseShowJoin(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	config, err := a.loadKubeconfig(etcKubernetes + "/admin.conf")
	if err != nil {
		return phase("show-join-command", fmt.Errorf("failed to print join command: failed to load kubeconfig: %w", err))
	}
	tokens, err := a.wanted(c)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		worker, err := a.joinCommand(config, t.String(), "", false)
		if err != nil {
			return phase("show-join-command", fmt.Errorf("failed to print join command: %w", err))
		}
		control, err := a.joinCommand(config, t.String(), a.f.certificateKey, true)
		if err != nil {
			return phase("show-join-command", fmt.Errorf("failed to print join command: %w", err))
		}
		a.printf("%s", initDone)
		switch {
		case c.cluster.text("controlPlaneEndpoint") == "":
		case a.f.uploadCerts:
			a.printf(moreControlPlanesUploaded, control)
		default:
			a.printf(moreControlPlanesCopied, control)
		}
		a.printf("Then you can join any number of worker nodes by running the following on each as root:\n\n%s\n", worker)
	}
	return nil
}

const (
	initDone = `
Your Kubernetes control-plane has initialized successfully!

To start using your cluster, you need to run the following as a regular user:

  mkdir -p $HOME/.kube
  sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
  sudo chown $(id -u):$(id -g) $HOME/.kube/config

Alternatively, if you are the root user, you can run:

  export KUBECONFIG=/etc/kubernetes/admin.conf

You should now deploy a pod network to the cluster.
Run "kubectl apply -f [podnetwork].yaml" with one of the options listed at:
  https://kubernetes.io/docs/concepts/cluster-administration/addons/

`
	moreControlPlanesUploaded = `You can now join any number of control-plane nodes running the following command on each as root:

  %s

Please note that the certificate-key gives access to cluster sensitive data, keep it secret!
As a safeguard, uploaded-certs will be deleted in two hours; If necessary, you can use
"kubeadm init phase upload-certs --upload-certs" to reload certs afterward.

`
	moreControlPlanesCopied = `You can now join any number of control-plane nodes by copying certificate authorities
and service account keys on each node and then running the following as root:

  %s

`
)
