package shell

import (
	"fmt"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
)

// initialize is init as a whole. Static pods are not run here, so its phases
// are what there is.
func initialize(a *adm, _ []string) error {
	return fmt.Errorf("kubeadm init as a whole is not in this shell: the control plane here is not made of static pods; its phases are (kubeadm init phase --help)")
}

// phaseInitKubelet writes what the kubelet of a control plane needs and starts
// it. Models cmd/kubeadm/app/cmd/phases/init runKubeletStart.
func phaseInitKubelet(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	j := &joining{adm: a, joinConfig: &joinConfig{name: c.nodeName(), socket: c.init.text("nodeRegistration", "criSocket"), extraArgs: extraArgs(c.init)}, cluster: c}
	j.stopKubelet()
	if err := j.kubeletFiles(); err != nil {
		return phase("kubelet-start", err)
	}
	j.startKubelet()
	return nil
}

// phaseMark labels and taints the node of a control plane. Models
// cmd/kubeadm/app/phases/markcontrolplane MarkControlPlane.
func phaseMark(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	client, _, err := a.adminClient()
	if err != nil {
		return phase("mark-control-plane", err)
	}
	defer client.close()
	mark := era.KubeadmMark.In(a.era())
	name := c.nodeName()
	a.printf("[mark-control-plane] Marking the node %s as control-plane by adding the labels: [%s]\n", name, strings.Join(mark.Labels, " "))
	a.printf("[mark-control-plane] Marking the node %s as control-plane by adding the taints [%s:%s]\n", name, mark.Taint, mark.Effect)
	labels := map[string]any{}
	for _, l := range mark.Labels {
		labels[l] = ""
	}
	body := object{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"taints": []any{map[string]any{"key": mark.Taint, "effect": mark.Effect}}}}
	var last error
	client.poll(era.KubeadmAPIRetry.In(a.era()), era.KubeadmAPICall.In(a.era()), func() bool {
		_, last = client.do("PATCH", "/api/v1/nodes/"+name, body)
		return last == nil
	})
	if last != nil {
		return phase("mark-control-plane", fmt.Errorf("error patching Node %q: %w", name, last))
	}
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
	i, u := c.current()
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
