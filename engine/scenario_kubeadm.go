package engine

import (
	"fmt"
	"path"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/trace"
)

// scenarios are the worlds that can be begun with, beside the usual one.
var scenarios map[string]func(w *World) error

func init() {
	scenarios = map[string]func(w *World) error{"empty": (*World).emptyHosts, "kubeadm": (*World).kubeadmCluster}
}

// emptyHosts takes away what the usual world begins with, and leaves what the
// packages of kubeadm and the kubelet bring.
func (w *World) emptyHosts() error {
	for _, m := range w.Machines {
		names, _ := m.Disk.ReadDir("/etc/kubernetes")
		for _, n := range names {
			if path.Ext(n) == ".conf" || n == "pki" {
				m.Disk.RemoveAll("/etc/kubernetes/" + n)
			}
		}
		if m.Role == "admin" {
			continue
		}
		m.Disk.RemoveAll("/var/lib/kubelet")
		for _, n := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
			m.Disk.RemoveAll(unitDir + n + ".service")
		}
		for name, text := range kubeadmKubelet {
			if err := w.put(m, name, text); err != nil {
				return err
			}
		}
		if !era.KubeletConfigFile.In(w.era) {
			if err := w.put(m, unitDir+"kubelet.service.d/10-kubeadm.conf", era.KubeadmDropIn(w.era)); err != nil {
				return err
			}
		}
	}
	return nil
}

// kubeadmCluster is what kubeadm init leaves behind on control-1. Other control
// planes are still to join.
func (w *World) kubeadmCluster() error {
	if err := w.emptyHosts(); err != nil {
		return err
	}
	control := w.machine("control-1")
	endpoint := ""
	if w.Config.controls() > 1 {
		endpoint = "controlPlaneEndpoint: " + w.Config.endpoint() + "\n"
	}
	if err := w.put(control, "/root/kubeadm.yaml", fmt.Sprintf(kubeadmYAML, control.Name, control.IP, endpoint)); err != nil {
		return err
	}
	for _, line := range []string{
		"kubeadm init --config /root/kubeadm.yaml",
		"kubeadm kubeconfig user --config /root/kubeadm.yaml --client-name system:kube-proxy > /etc/kubernetes/kube-proxy.conf; chmod 600 /etc/kubernetes/kube-proxy.conf",
	} {
		if err := w.typeAt(control, line); err != nil {
			return err
		}
	}
	// What a person carries to where they work.
	admin := w.machine("admin")
	for _, name := range []string{"/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.crt"} {
		b, err := control.Disk.ReadFile(name)
		if err != nil {
			return err
		}
		if err := w.put(admin, name, string(b)); err != nil {
			return err
		}
	}
	return admin.Disk.Chmod("/etc/kubernetes/admin.conf", 0o600)
}

// put writes a file while a world is made.
func (w *World) put(m *machine, name, text string) error {
	if err := m.Disk.MkdirAll(path.Dir(name), 0o755, w.Clock); err != nil {
		return err
	}
	return m.Disk.WriteFile(name, []byte(text), 0o644, w.Clock)
}

// typeAt types a line while a world is made: no journal has it.
func (w *World) typeAt(m *machine, line string) error {
	w.do(Input{Typed: &Typed{Host: m.Name, Line: line}})
	said, status := "", "none"
	for _, o := range w.untilDone(m.Name, boot) {
		switch o.Kind {
		case trace.Printed:
			said += o.Payload
		case trace.Done:
			status = o.Args["status"]
		}
	}
	if status != "0" {
		return fmt.Errorf("the scenario kubeadm can't be made: %s: status %s\n%s", strings.SplitN(line, "\n", 2)[0], status, said)
	}
	return nil
}

// kubeadmKubelet are the kubelet's unit, the drop-in that the package kubeadm
// brings, and what a host adds for itself.
var kubeadmKubelet = map[string]string{
	unitDir + "kubelet.service": `[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`,
	unitDir + "kubelet.service.d/10-kubeadm.conf": `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
	"/etc/default/kubelet": "KUBELET_EXTRA_ARGS=--v=2\n",
}

const kubeadmYAML = `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  name: %s
localAPIEndpoint:
  advertiseAddress: %s
  bindPort: 6443
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
%sapiServer:
  extraArgs:
  - {name: v, value: "3"}
controllerManager:
  extraArgs:
  - {name: v, value: "4"}
`
