package shell

import (
	"fmt"
	"net"

	"github.com/joinery-lab/joinery/engine/era"
)

// joinControl is what join was told of a control plane; on: it is to be one.
type joinControl struct {
	on           bool
	key, address string
	port         float64
}

const notReadyToControl = "\nOne or more conditions for hosting a new control plane instance is not satisfied.\n\n%v\n\n" +
	"Please ensure that:\n* The cluster has a stable controlPlaneEndpoint address.\n* The certificates that must be shared among control plane instances are provided.\n\n"

// shared says what is missing of the files that control planes share. Models
// cmd/kubeadm/app/phases/certs SharedCertificateExists.
func (a *adm) shared(dir string) error {
	var wrong []string
	for _, x := range []struct{ base, name string }{{"ca", "CA"}, {"sa", "service account"}, {"front-proxy-ca", "front-proxy CA"}, {"etcd/ca", "etcd CA"}} {
		if x.base != "sa" {
			if _, err := a.loadCert(dir, x.base); err != nil {
				wrong = append(wrong, fmt.Sprintf("failure loading certificate for %s: %v", x.name, err))
				continue
			}
		}
		if _, err := a.loadKey(dir, x.base); err != nil {
			wrong = append(wrong, fmt.Sprintf("failure loading key for %s: %v", x.name, err))
		}
	}
	return aggregate(wrong)
}

// preflightControl models the part of cmd/kubeadm/app/cmd/phases/join
// runPreflight that is for control planes.
func (j *joining) preflightControl() error {
	var err error
	if j.cluster.cluster.text("controlPlaneEndpoint") == "" {
		err = fmt.Errorf("unable to add a new control plane instance to a cluster that doesn't have a stable controlPlaneEndpoint address")
	} else if j.control.key == "" {
		err = j.shared(j.cluster.certDir())
	}
	if err != nil {
		return fmt.Errorf(notReadyToControl, err)
	}
	j.printf("[preflight] Running pre-flight checks before initializing the new control plane instance\n")
	if err := j.examine(j.initChecks(j.cluster, true)); err != nil {
		return err
	}
	j.printf(pullLines)
	return nil
}

// prepareControl makes the certificates, kubeconfigs and components. Models
// cmd/kubeadm/app/cmd/phases/join NewControlPlanePreparePhase.
func (j *joining) prepareControl() error {
	const name = "control-plane-prepare/"
	if err := j.learn(); err != nil {
		return phase(name+"download-certs", err)
	}
	c := j.cluster
	if j.control.key != "" {
		client, err := j.clientOf(j.boot, etcKubernetes)
		if err != nil {
			return phase(name+"download-certs", err)
		}
		defer client.close()
		if err := client.downloadCerts(c, j.control.key); err != nil {
			return phase(name+"download-certs", fmt.Errorf("error downloading certs: %w", err))
		}
	}
	j.printf("[certs] Using certificateDir folder %q\n", c.certDir())
	for _, x := range era.KubeadmCerts.In(j.era()) {
		if x.CA == "" {
			continue
		}
		if err := j.makeCert(c, x); err != nil {
			return phase(name+"certs", err)
		}
	}
	j.printf("[certs] Valid certificates and keys now exist in %q\n", c.certDir())
	if err := j.serviceAccount(c); err != nil {
		return err
	}
	j.printf("[kubeconfig] Generating kubeconfig files\n[kubeconfig] Using kubeconfig folder %q\n", etcKubernetes)
	j.f.kubeconfigDir = etcKubernetes
	for _, k := range era.KubeadmKubeconfigs.In(j.era()) {
		if k.File == "kubelet.conf" || k.File == "super-admin.conf" {
			continue
		}
		if err := j.makeKubeconfig(c, k); err != nil {
			return err
		}
	}
	j.printf("[control-plane] Using manifest folder %q\n", manifestDir)
	for _, s := range j.staticPods(controlComponents...) {
		j.printf("[control-plane] Creating static Pod manifest for %q\n", s.Name)
		if err := j.writeStatic(c, s); err != nil {
			return phase(name+"control-plane", err)
		}
	}
	return nil
}

func phasePrepare(a *adm, args []string) error {
	j, err := a.joining(args)
	if err != nil || !j.control.on {
		return err
	}
	return j.prepareControl()
}

// phaseJoinMark asks no cluster: admin.conf names it.
func phaseJoinMark(a *adm, _ []string) error {
	if !a.f.controlPlane {
		return nil
	}
	a.f.kubeconfig = etcKubernetes + "/admin.conf"
	return phase("control-plane-join/mark-control-plane", a.markNode(orText(a.f.nodeName, a.hostname())))
}

// joinEtcd: all API servers share one store, so that there is no member to add.
func (j *joining) joinEtcd() error {
	j.printf("[etcd] Creating static Pod manifest for \"etcd\"\n[etcd] No member joins: the control planes of this world share one etcd\n")
	if err := j.writeStatic(j.cluster, j.staticPods("etcd")[0]); err != nil {
		return phase("etcd-join", err)
	}
	j.runStatic()
	return nil
}

// settleControl puts what is this host's own into the cluster's configuration.
func (j *joining) settleControl() error {
	j.cluster.init = object{"nodeRegistration": map[string]any{"name": j.name, "criSocket": j.socket}}
	at := map[string]any{}
	if j.control.address != "" {
		at["advertiseAddress"] = j.control.address
	}
	if j.control.port != 0 {
		at["bindPort"] = j.control.port
	}
	j.cluster.init["localAPIEndpoint"] = at
	return j.cluster.settle(j.adm)
}

// localServer is the API server that the kubelet of a control plane asks: the
// one beside it.
func (j *joining) localServer(server string) string {
	if j.control.on {
		return j.cluster.local()
	}
	return server
}

const joinedControl = `
This node has joined the cluster and a new control plane instance was created:

* Certificate signing request was sent to apiserver and approval was received.
* The Kubelet was informed of the new secure connection details.
* Control plane label and taint were applied to the new node.
* The Kubernetes control plane instances scaled up.


To start administering your cluster from this node, you need to run the following as a regular user:

	mkdir -p $HOME/.kube
	sudo cp -i /etc/kubernetes/admin.conf $HOME/.kube/config
	sudo chown $(id -u):$(id -g) $HOME/.kube/config

Run 'kubectl get nodes' to see this node join the cluster.

`

// wrong are the complaints about what join was told of a control plane.
func (c joinControl) wrong() (out []string) {
	if c.address != "" && net.ParseIP(c.address) == nil {
		out = append(out, fmt.Sprintf("controlPlane.localAPIEndpoint.advertiseAddress: Invalid value: %q: ip address is not valid", c.address))
	}
	return out
}
