package engine

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/trace"
)

// scenarios are the worlds that can be begun with, beside the usual one: what is
// done before the control plane starts, and after it.
var scenarios map[string]scenario

type scenario struct{ before, after func(w *World) error }

func init() {
	scenarios = map[string]scenario{"kubeadm": {(*World).kubeadmFiles, (*World).kubeadmCluster}}
}

// kubeadmFiles takes away what the usual world begins with and lets kubeadm
// make the control plane's certificates and kubeconfigs, as init does.
func (w *World) kubeadmFiles() error {
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
		for name, text := range kubeadmKubelet {
			if err := w.put(m, name, text); err != nil {
				return err
			}
		}
	}
	control := w.machine("control-1")
	if err := w.put(control, "/root/kubeadm.yaml", fmt.Sprintf(kubeadmYAML, control.Name, control.IP)); err != nil {
		return err
	}
	for _, line := range []string{
		"kubeadm init phase certs all --config /root/kubeadm.yaml",
		"kubeadm init phase kubeconfig all --config /root/kubeadm.yaml",
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

// kubeadmCluster is the rest of init, once there is an API server.
func (w *World) kubeadmCluster() error {
	control := w.machine("control-1")
	for _, line := range []string{
		"kubectl --kubeconfig /etc/kubernetes/super-admin.conf create clusterrolebinding kubeadm:cluster-admins --clusterrole=cluster-admin --group=kubeadm:cluster-admins",
		"kubeadm init phase upload-config all --config /root/kubeadm.yaml",
		"kubeadm init phase kubelet-start --config /root/kubeadm.yaml",
		"kubectl create -f - <<'EOF'\n" + kubeProxyYAML + "EOF",
		"kubeadm init phase bootstrap-token --config /root/kubeadm.yaml",
		"kubeadm init phase mark-control-plane --config /root/kubeadm.yaml",
		"sleep 2; kubeadm init phase kubelet-finalize all --config /root/kubeadm.yaml",
	} {
		if err := w.typeAt(control, line); err != nil {
			return err
		}
	}
	return nil
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
	for _, o := range w.untilDone(m.Name, 5*time.Second) {
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
`

// kubeProxyYAML is what kubeadm join reads of kube-proxy's addon, and who may.
// Models cmd/kubeadm/app/phases/addons/proxy.
const kubeProxyYAML = `apiVersion: v1
kind: ConfigMap
metadata: {name: kube-proxy, namespace: kube-system, labels: {app: kube-proxy}}
data:
  config.conf: |
    apiVersion: kubeproxy.config.k8s.io/v1alpha1
    kind: KubeProxyConfiguration
    bindAddress: 0.0.0.0
    clientConnection:
      kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: kube-proxy, namespace: kube-system}
rules:
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [kube-proxy]
  verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: kube-proxy, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: kube-proxy}
subjects:
- {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:bootstrappers:kubeadm:default-node-token"}
`
