package shell

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// joining is a run of join: what it was told, and what it found out.
type joining struct {
	*adm
	*joinConfig
	boot    *kubeconfig.Config
	cluster *admConfig
}

const (
	bootstrapConf = etcKubernetes + "/bootstrap-kubelet.conf"
	kubeletConf   = etcKubernetes + "/kubelet.conf"
)

func (a *adm) joining(args []string) (*joining, error) {
	c, err := a.joinConfig(args)
	if err != nil {
		return nil, err
	}
	return &joining{adm: a, joinConfig: c}, nil
}

// phase names the phase in an error.
func phase(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("error execution phase %s: %w", name, err)
}

func join(a *adm, args []string) error {
	j, err := a.joining(args)
	if err != nil {
		return err
	}
	if a.f.dryRun {
		a.dryDir("join")
	}
	for _, p := range []struct {
		name    string
		control bool
		run     func(*joining) error
	}{
		{"preflight", false, (*joining).preflight}, {"", true, (*joining).prepareControl}, {"kubelet-start", false, (*joining).kubeletStart},
		{"", true, (*joining).joinEtcd}, {"kubelet-wait-bootstrap", false, (*joining).waitBootstrap},
		{"control-plane-join/mark-control-plane", true, func(j *joining) error {
			j.f.kubeconfig = etcKubernetes + "/admin.conf"
			return j.markNode(j.name)
		}},
		{"wait-control-plane", true, func(j *joining) error { return j.waitControlPlane(j.cluster) }},
	} {
		if p.control && !j.control.on {
			continue
		}
		if err := p.run(j); err != nil {
			if p.name == "" {
				return err
			}
			return phase(p.name, err)
		}
	}
	if j.control.on {
		a.printf(joinedControl)
		return nil
	}
	a.printf("\nThis node has joined the cluster:\n* Certificate signing request was sent to apiserver and a response was received.\n* The Kubelet was informed of the new secure connection details.\n\nRun 'kubectl get nodes' on the control-plane to see this node join the cluster.\n\n")
	return nil
}

func phasePreflight(a *adm, args []string) error {
	j, err := a.joining(args)
	if err != nil {
		return err
	}
	return phase("preflight", j.preflight())
}

func phaseKubeletStart(a *adm, args []string) error {
	j, err := a.joining(args)
	if err != nil {
		return err
	}
	return phase("kubelet-start", j.kubeletStart())
}

// phaseKubeletWait has no flags for discovery, so by itself it wants a file
// that only a control plane has.
func phaseKubeletWait(a *adm, _ []string) error {
	admin := etcKubernetes + "/admin.conf"
	if !a.exists(admin) {
		return fmt.Errorf("File %s does not exists. Please use 'kubeadm join phase control-plane-prepare' subcommands to generate it.", admin)
	}
	return fmt.Errorf("kubelet-wait-bootstrap on a control plane: not in this shell")
}

// check is a preflight check. What is simulated of a host is checked; a host
// here has all else that kubeadm wants.
type check struct {
	name, source, line string
	// run returns what is wrong; warn: kubeadm goes on all the same.
	run  func(j *joining) []string
	warn bool
}

func fileAvailable(name string) check {
	return check{"FileAvailable-" + strings.ReplaceAll(name, "/", "-"), "checks.go:316", "validating the existence of file " + name, func(j *joining) []string {
		if j.exists(name) {
			return []string{name + " already exists"}
		}
		return nil
	}, false}
}

// checks of a node that joins, in kubeadm's order. Models
// cmd/kubeadm/app/preflight RunJoinNodeChecks.
func (j *joining) checks() []check {
	list := j.nodeChecks()
	if !j.control.on {
		list = append(list, fileAvailable(j.caPath))
	}
	return list
}

func (j *joining) nodeChecks() []check {
	return []check{
		fileAvailable(kubeletConf), fileAvailable(bootstrapConf),
		{"Hostname", "checks.go:437", "checking whether the given node name is valid and reachable using net.LookupHost", func(j *joining) []string {
			words := j.lookup(j.name)
			if words == "" {
				return nil
			}
			return []string{fmt.Sprintf("hostname %q could not be reached", j.name), fmt.Sprintf("hostname %q: %s", j.name, words)}
		}, true},
		{"Service-kubelet", "checks.go:166", `validating if the "kubelet" service is enabled and active`, func(j *joining) []string {
			if _, ok := j.unit("kubelet"); !ok {
				return []string{"kubelet service does not exist"}
			}
			return nil
		}, true},
		{"Port-10250", "checks.go:239", "validating availability of port 10250", func(j *joining) []string {
			if u, _ := j.unit("kubelet"); u.State == "active" {
				return []string{"Port 10250 is in use"}
			}
			return nil
		}, false},
	}
}

// lookup is what the resolver says of a name that it does not know.
func (j *joining) lookup(name string) string {
	if name == j.hostname() {
		return ""
	}
	return "lookup " + name + " on 10.0.0.2:53: no such host"
}

func (j *joining) preflight() error {
	j.printf("[preflight] Running pre-flight checks\n")
	j.log('I', 1, "preflight.go:93", "[preflight] Running general checks")
	if err := j.examine(j.checks()); err != nil {
		return err
	}
	if err := j.learn(); err != nil {
		return err
	}
	if j.control.on {
		return j.preflightControl()
	}
	return nil
}

// examine makes checks and says what is wrong.
func (j *joining) examine(checks []check) error {
	ignored := func(name string) bool {
		return slices.ContainsFunc(j.ignored, func(s string) bool { return strings.EqualFold(s, name) || strings.EqualFold(s, "all") })
	}
	var fatal []string
	if user := j.getenv("USER"); user != "" && user != "root" {
		fatal = append(fatal, "\t[ERROR IsPrivilegedUser]: user is not running as root\n")
	} else {
		for _, c := range checks {
			j.log('I', 1, c.source, "%s", c.line)
			for _, words := range c.run(j) {
				if c.warn || ignored(c.name) {
					fmt.Fprintf(j.errs, "\t[WARNING %s]: %s\n", c.name, words)
					continue
				}
				fatal = append(fatal, fmt.Sprintf("\t[ERROR %s]: %s\n", c.name, words))
			}
		}
	}
	if fatal != nil {
		fmt.Fprintf(j.errs, "[preflight] Some fatal errors occurred:\n%s[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`\n", strings.Join(fatal, ""))
		return fmt.Errorf("preflight checks failed")
	}
	return nil
}

// learn discovers the cluster and fetches its configuration, once a run.
func (j *joining) learn() error {
	if j.cluster != nil {
		return nil
	}
	boot, err := j.discover(j.joinConfig)
	if err != nil {
		return err
	}
	j.log('I', 1, "join.go:567", "[preflight] Fetching init configuration")
	j.log('I', 1, "join.go:681", "[preflight] Retrieving KubeConfig objects")
	client, err := j.clientOf(boot, etcKubernetes)
	if err != nil {
		return fmt.Errorf("unable to access the cluster: %w", err)
	}
	defer client.close()
	c, err := client.fetchConfig("preflight", j.apiCall)
	if err != nil {
		return fmt.Errorf("unable to fetch the kubeadm-config ConfigMap: %w", err)
	}
	j.boot, j.cluster = boot, c
	if j.control.on {
		return j.settleControl()
	}
	return nil
}

// bootText is the bootstrap kubeconfig, with the cluster's name.
func (j *joining) bootText() []byte {
	i, u := current(j.boot)
	user := j.boot.Users[u]
	lines := []string{"token: " + user.User.Token}
	if user.User.Token == "" {
		lines = withCert(user.User.CertData, user.User.KeyData)
	}
	cl := j.boot.Clusters[i].Cluster
	return kubeconfigText(j.localServer(cl.Server), j.cluster.cluster.text("clusterName"), user.Name, cl.CAData, lines...)
}

// kubeletStart writes what a kubelet needs and starts it. Models
// cmd/kubeadm/app/cmd/phases/join runKubeletStartJoinPhase.
func (j *joining) kubeletStart() error {
	if err := j.learn(); err != nil {
		return err
	}
	conf, ca := bootstrapConf, j.caPath
	if j.f.dryRun {
		conf, ca = j.dryDir("join")+"/bootstrap-kubelet.conf", j.dryDir("join")+"/ca.crt"
	}
	j.log('I', 1, "kubelet.go:161", "[kubelet-start] writing bootstrap kubelet config file at %s", conf)
	if err := j.write(conf, j.bootText(), 0o600); err != nil {
		return fmt.Errorf("couldn't save bootstrap-kubelet.conf to disk: %w", err)
	}
	i, _ := current(j.boot)
	if !j.exists(ca) {
		j.log('I', 1, "kubelet.go:176", "[kubelet-start] writing CA certificate at %s", ca)
		if err := j.write(ca, j.boot.Clusters[i].Cluster.CAData, 0o644); err != nil {
			return fmt.Errorf("couldn't save the CA certificate to disk: %w", err)
		}
	}
	if err := j.nobodyElse(); err != nil {
		return err
	}
	if j.f.dryRun {
		j.printf("[kubelet-start] Would stop the kubelet\n")
	} else {
		j.stopKubelet()
	}
	if err := j.kubeletConfig(); err != nil {
		return err
	}
	if err := j.kubeletFlags(); err != nil {
		return err
	}
	if j.f.dryRun {
		j.printf("[kubelet-start] Would start the kubelet\n")
		return j.wouldShow(j.dryDir("join"))
	}
	j.startKubelet()
	return nil
}

// kubeletDir is where the kubelet's configuration goes.
func (j *joining) kubeletDir() string {
	if j.f.dryRun {
		return j.dryDir("join")
	}
	return varLibKubelet
}

func (j *joining) stopKubelet() {
	j.log('I', 1, "kubelet.go:207", "[kubelet-start] Stopping the kubelet")
	if err := j.order("stop", "kubelet"); err != nil {
		j.log('W', 0, "kubelet.go:63", "[kubelet-start] WARNING: unable to stop the kubelet service momentarily: [exit status 5]")
	}
}

func (j *joining) startKubelet() {
	j.printf("[kubelet-start] Starting the kubelet\n")
	if err := j.order("restart", "kubelet"); err != nil {
		j.log('W', 0, "kubelet.go:43", "[kubelet-start] WARNING: unable to start the kubelet service: [exit status 5]")
		j.printf("[kubelet-start] Please ensure kubelet is reloaded and running manually.\n")
	}
	j.runStatic()
}

// nobodyElse refuses to take the name of a node that is Ready.
func (j *joining) nobodyElse() error {
	j.log('I', 1, "kubelet.go:191", "[kubelet-start] Checking for an existing Node in the cluster with name %q and status \"Ready\"", j.name)
	client, err := j.clientOf(j.boot, etcKubernetes)
	if err != nil {
		return err
	}
	defer client.close()
	node, err := client.do("GET", "/api/v1/nodes/"+j.name, nil)
	if err != nil && !isReason(err, "NotFound") {
		return fmt.Errorf("cannot get Node %q: %w", j.name, err)
	}
	for _, x := range node.list("status", "conditions") {
		if m, _ := x.(map[string]any); m["type"] == "Ready" && m["status"] == "True" {
			return fmt.Errorf("a Node with name %q and status \"Ready\" already exists in the cluster. You must delete the existing Node or change the name of this new joining Node", j.name)
		}
	}
	return nil
}

// kubeletConfig writes the kubelet's configuration: the cluster's, patched with
// what is this host's own. Models cmd/kubeadm/app/phases/kubelet
// WriteConfigToDisk.
func (j *joining) kubeletConfig() error {
	instance, config := j.kubeletDir()+"/instance-config.yaml", j.kubeletDir()+"/config.yaml"
	j.printf("[kubelet-start] Writing kubelet configuration to file %q\n", instance)
	if err := j.write(instance, fmt.Appendf(nil, "containerRuntimeEndpoint: %q\n", j.socket), 0o644); err != nil {
		return err
	}
	o, err := j.cluster.kubeletDefaults()
	if err != nil {
		return err
	}
	j.printf("[patches] Applied patch of type \"application/strategic-merge-patch+json\" to target \"kubeletconfiguration\"\n")
	o["containerRuntimeEndpoint"] = j.socket
	b, err := yaml.Marshal(map[string]any(o))
	if err != nil {
		return err
	}
	j.printf("[kubelet-start] Writing kubelet configuration to file %q\n", config)
	return j.write(config, b, 0o644)
}

// kubeletFlags writes the kubelet's flags. Models cmd/kubeadm/app/phases/kubelet
// WriteKubeletDynamicEnvFile.
func (j *joining) kubeletFlags() error {
	flags := j.kubeletDir() + "/kubeadm-flags.env"
	args := slices.Clone(j.extraArgs)
	if j.name != j.hostname() {
		args = append(args, "--hostname-override="+j.name)
	}
	slices.Sort(args)
	j.printf("[kubelet-start] Writing kubelet environment file with flags to file %q\n", flags)
	return j.write(flags, fmt.Appendf(nil, "KUBELET_KUBEADM_ARGS=%q\n", strings.Join(args, " ")), 0o644)
}

const joinFailed = "\nUnfortunately, an error has occurred, likely caused by:\n\t- The kubelet is not running\n\t- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)\n\n" +
	"If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:\n\t- 'systemctl status kubelet'\n\t- 'journalctl -xeu kubelet'\n\n"

// waitBootstrap waits for the kubelet to live, and then to have its
// certificate; the token on the disk goes in any case. Models
// cmd/kubeadm/app/cmd/phases/join runKubeletWaitBootstrapPhase.
func (j *joining) waitBootstrap() error {
	if j.f.dryRun {
		j.printf("[kubelet-wait] Would wait for the kubelet to be bootstrapped\n")
		return nil
	}
	defer j.change(func(d *sim.Disk, _ time.Time) error { return d.Remove(bootstrapConf) })
	if err := j.waitKubelet(); err != nil {
		j.printf(joinFailed)
		return fmt.Errorf("failed while waiting for the kubelet to start: %w", err)
	}
	j.printf("[kubelet-start] Waiting for the kubelet to perform the TLS Bootstrap\n")
	if !j.poll(era.KubeadmTLSRetry.In(j.era()), j.tlsBootstrap, func() bool { return j.bootstrapped() }) {
		j.printf(joinFailed)
		return fmt.Errorf("failed while waiting for TLS bootstrap: context deadline exceeded")
	}
	return nil
}

// bootstrapped: the kubelet's kubeconfig is there, and what it names.
func (j *joining) bootstrapped() bool {
	c, err := j.loadKubeconfig(kubeletConf)
	if err != nil || j.embed(c, path.Dir(kubeletConf)) != nil {
		return false
	}
	i, u := current(c)
	if i < 0 || u < 0 {
		return false
	}
	_, err = pki.ParseCerts(c.Users[u].User.CertData)
	return err == nil
}

// waitKubelet asks the kubelet on this host whether it is well. Models
// cmd/kubeadm/app/util/apiclient WaitForKubelet.
func (j *joining) waitKubelet() error {
	o := j.cluster.kubelet
	port, host := 10248, orText(o.text("healthzBindAddress"), "127.0.0.1")
	if p, ok := o.get("healthzPort").(float64); ok {
		port = int(p)
	}
	if port == 0 {
		j.printf("[kubelet-check] Skipping the kubelet health check because the healthz port is set to 0\n")
		return nil
	}
	addr := host + ":" + strconv.Itoa(port)
	client := j.client("http://"+addr, nil)
	client.dial = sim.Dial{Addr: addr, Plain: true}
	defer client.close()
	j.printf("[kubelet-check] Waiting for a healthy kubelet at %s/healthz. This can take up to %v\n", client.server, j.health)
	begin := j.moment()
	var last error
	ok := j.poll(era.KubeadmAPIRetry.In(j.era()), j.health, func() bool {
		last = client.healthy()
		return last == nil
	})
	if !ok {
		j.printf("[kubelet-check] The kubelet is not healthy after %v\n", j.moment().Sub(begin))
		return last
	}
	j.printf("[kubelet-check] The kubelet is healthy after %v\n", j.moment().Sub(begin))
	return nil
}

// healthy is what is wrong with /healthz. A connection is not kept.
func (c *admClient) healthy() error {
	_, m := c.exchange(c.conn, c.dial, sim.Request{Method: "GET", URL: "/healthz"})
	defer c.close()
	at := c.server + "/healthz"
	switch {
	case m.Kind != sim.MsgResponse:
		return fmt.Errorf("The HTTP call equal to 'curl -sSL %s' returned error: Get %q: %s\n", at, at, m.Err)
	case m.Resp.Code != 200:
		return fmt.Errorf("The HTTP call equal to 'curl -sSL %s' returned status code: %d\n", at, m.Resp.Code)
	}
	return nil
}
