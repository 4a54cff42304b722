package shell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
)

// manifestDir is where kubeadm leaves what the kubelet of a control plane runs.
// Static Pods are units here: each has the arguments that its Pod would have.
const manifestDir = "/etc/systemd/system"

func podFile(name string) string { return manifestDir + "/" + name + ".service" }

// staticPods are those of the names, in the order in which they need each other;
// all without a name.
func (a *adm) staticPods(names ...string) (out []era.KubeadmStatic) {
	for _, s := range era.KubeadmStaticPods(a.era()) {
		if len(names) == 0 || slices.Contains(names, s.Name) {
			out = append(out, s)
		}
	}
	return out
}

// staticArgs are a component's flags: kubeadm's, overruled by extraArgs. Models
// cmd/kubeadm/app/util ArgumentsToCommand.
func (c *admConfig) staticArgs(s era.KubeadmStatic) []string {
	port, _ := c.init.get("localAPIEndpoint", "bindPort").(float64)
	fill := strings.NewReplacer("{certs}", c.certDir(), "{address}", c.init.text("localAPIEndpoint", "advertiseAddress"), "{port}", strconv.Itoa(int(port)),
		"{services}", c.cluster.text("networking", "serviceSubnet"), "{domain}", c.cluster.text("networking", "dnsDomain"), "{cluster}", c.cluster.text("clusterName"),
		"{node}", c.nodeName(), "{data}", c.cluster.text("etcd", "local", "dataDir"))
	var extra []string
	for _, x := range c.cluster.list(append(strings.Split(s.Section, "."), "extraArgs")...) {
		m, _ := x.(map[string]any)
		extra = append(extra, fmt.Sprintf("%v=%v", m["name"], m["value"]))
	}
	named := func(name string) bool {
		return slices.ContainsFunc(extra, func(x string) bool { return strings.HasPrefix(x, name+"=") })
	}
	out := extra
	for _, arg := range s.Args {
		if name, _, _ := strings.Cut(arg, "="); !named(name) {
			out = append(out, fill.Replace(arg))
		}
	}
	if s.Name == "kube-controller-manager" {
		if pods := c.cluster.text("networking", "podSubnet"); pods != "" && !named("cluster-cidr") {
			out = append(out, "allocate-node-cidrs=true", "cluster-cidr="+pods, "service-cluster-ip-range="+c.cluster.text("networking", "serviceSubnet"))
		}
	}
	slices.Sort(out)
	return out
}

// writeStatic writes a component's unit.
func (a *adm) writeStatic(c *admConfig, s era.KubeadmStatic) error {
	text := "[Unit]\nDescription=" + s.Description + "\n\n[Service]\nExecStart=/usr/bin/" + s.Name
	for _, arg := range c.staticArgs(s) {
		text += " \\\n  --" + arg
	}
	text += "\nRestart=always\nRestartSec=10\n\n[Install]\nWantedBy=multi-user.target\n"
	if a.f.dryRun {
		a.wouldWrite(podFile(s.Name), text)
		return nil
	}
	return a.write(podFile(s.Name), []byte(text), 0o644)
}

// runStatic is the part of the kubelet that runs static Pods: those that are
// there run while it does.
func (a *adm) runStatic() {
	if u, _ := a.unit("kubelet"); u.State != "active" {
		return
	}
	for _, s := range a.staticPods() {
		if u, ok := a.unit(s.Name); ok && u.State != "active" && a.exists(podFile(s.Name)) {
			// One that does not start says why in its own journal.
			_ = a.order("start", s.Name)
		}
	}
}

// wouldWrite shows a file instead of writing it. Models
// cmd/kubeadm/app/util/dryrun PrintDryRunFiles.
func (a *adm) wouldWrite(name, text string) {
	a.printf("[dryrun] Would write file %q with content:\n%s", name, text)
}

func phaseEtcdLocal(a *adm, _ []string) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	a.printf("[etcd] Creating static Pod manifest for local etcd in %q\n", manifestDir)
	if err := a.writeStatic(c, a.staticPods("etcd")[0]); err != nil {
		return phase("etcd/local", err)
	}
	a.runStatic()
	return nil
}

// phaseControlPlane writes the control plane's components, or one of them.
func phaseControlPlane(names ...string) func(a *adm, _ []string) error {
	return func(a *adm, _ []string) error {
		c, err := a.begin()
		if err != nil {
			return err
		}
		if len(names) > 1 {
			a.printf("[control-plane] Using manifest folder %q\n", manifestDir)
		}
		for _, s := range a.staticPods(names...) {
			a.printf("[control-plane] Creating static Pod manifest for %q\n", s.Name)
			if err := a.writeStatic(c, s); err != nil {
				return phase("control-plane", err)
			}
		}
		a.runStatic()
		return nil
	}
}

var controlComponents = []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// waitControlPlane waits until the API server says that it lives and the units
// of the others run. Models cmd/kubeadm/app/util/apiclient
// WaitForControlPlaneComponents; a kube-controller-manager and a scheduler have
// no port of their own here, so their units are looked at.
func (a *adm) waitControlPlane(c *admConfig) error {
	wait := era.KubeadmHealthCheck.In(a.era())
	if s := c.init.text("timeouts", "controlPlaneComponentHealthCheck"); s != "" {
		wait = parsedDuration(s, wait)
	}
	config, err := a.loadKubeconfig(etcKubernetes + "/admin.conf")
	if err != nil {
		return fmt.Errorf("cannot obtain client without bootstrap: failed to load admin kubeconfig: %w", err)
	}
	if i, _ := current(config); i >= 0 {
		config.Clusters[i].Cluster.Server = c.local()
	}
	client, err := a.clientOf(config, etcKubernetes)
	if err != nil {
		return err
	}
	defer client.close()
	how := era.KubeadmWaits.In(a.era())
	if !how.All {
		return a.waitAPI(client, how, wait)
	}
	a.printf("[control-plane-check] Waiting for healthy control plane components. This can take up to %v\n", wait)
	checks := []struct {
		name, url string
		check     func(url string) error
	}{
		{"kube-controller-manager", "https://127.0.0.1:10257/healthz", nil},
		{"kube-scheduler", "https://127.0.0.1:10259/livez", nil},
		{"kube-apiserver", c.local() + how.Path, func(string) error { return client.alive(how.Path) }},
	}
	for _, i := range []int{2, 0, 1} {
		a.printf("[control-plane-check] Checking %s at %s\n", checks[i].name, checks[i].url)
	}
	begin := a.moment()
	var wrong []string
	for _, x := range checks {
		var last error
		a.poll(era.KubeadmAPIRetry.In(a.era()), wait-a.moment().Sub(begin), func() bool {
			last = nil
			if x.check != nil {
				last = x.check(x.url)
			} else if u, _ := a.unit(x.name); u.State != "active" {
				addr := strings.Split(strings.TrimPrefix(x.url, "https://"), "/")[0]
				last = fmt.Errorf("Get %q: dial tcp %s: connect: connection refused", x.url, addr)
			}
			return last == nil
		})
		if last != nil {
			a.printf("[control-plane-check] %s is not healthy after %v\n", x.name, a.moment().Sub(begin))
			wrong = append(wrong, fmt.Sprintf("%s check failed at %s: %v", x.name, x.url, last))
			continue
		}
		a.printf("[control-plane-check] %s is healthy after %v\n", x.name, a.moment().Sub(begin))
	}
	return aggregate(wrong)
}

// waitAPI waits for the API server alone, as releases did before.
func (a *adm) waitAPI(client *admClient, how era.KubeadmWait, wait time.Duration) error {
	if how.Before != "" {
		a.printf(how.Before+"\n", wait)
	}
	begin := a.moment()
	var last error
	a.poll(era.KubeadmAPIRetry.In(a.era()), wait, func() bool {
		last = client.alive(how.Path)
		return last == nil
	})
	said, took := how.Healthy, a.moment().Sub(begin)
	if last != nil {
		said = how.Unhealthy
	}
	long := took.String()
	if how.Seconds {
		long = fmt.Sprintf("%f", took.Seconds())
	}
	if said != "" {
		a.printf(said+"\n", long)
	}
	return last
}

// alive is what is wrong with an API server's /livez, or what its release has.
func (c *admClient) alive(path string) error {
	_, err := c.do("GET", path, nil)
	if _, refused := err.(answered); refused || err != nil && strings.HasPrefix(err.Error(), "Get ") {
		return err
	}
	return nil // the answer is no object
}

// controlFailed is what kubeadm advises when a component does not live. Models
// cmd/kubeadm/app/util/apiclient controlPlaneFailTempl.
const controlFailed = "\nA control plane component may have crashed or exited when started by the container runtime.\n" +
	"To troubleshoot, list all containers using your preferred container runtimes CLI.\n" +
	"Here is one example how you may list all running Kubernetes containers by using crictl:\n" +
	"\t- 'crictl --runtime-endpoint %[1]s ps -a | grep kube | grep -v pause'\n" +
	"\tOnce you have found the failing container, you can inspect its logs with:\n" +
	"\t- 'crictl --runtime-endpoint %[1]s logs CONTAINERID'\n"

func phaseWaitControlPlane(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	a.printf("[wait-control-plane] Waiting for the kubelet to boot up the control plane as static Pods from directory %q\n", manifestDir)
	j := a.ownKubelet(c)
	if err := j.waitKubelet(); err != nil {
		a.printf(joinFailed)
		return phase("wait-control-plane", fmt.Errorf("failed while waiting for the kubelet to start: %w", err))
	}
	if err := a.waitControlPlane(c); err != nil {
		a.printf(controlFailed, j.socket)
		return phase("wait-control-plane", fmt.Errorf("failed while waiting for the control plane to start: %w", err))
	}
	return nil
}
