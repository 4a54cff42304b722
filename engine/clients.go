package engine

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"net/netip"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/client"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

func init() {
	for _, name := range client.Programs() {
		binaries[name] = func(w *World, e era.Era, f *unitFile) (sim.Actor, error) {
			return actor(client.New(e, name, f.Args[1:], f.Pod))
		}
		blank[name] = func() sim.Actor { return new(client.Client) }
	}
}

// podSetting is a line of a unit file's section X-Pod, which systemd passes over:
// it makes the unit a pod, with a volume that a kubelet would keep for it.
func (f *unitFile) podSetting(unit, key, value string) {
	switch key {
	case "ServiceAccount":
		f.Pod = &client.Pod{Dir: "/var/lib/kubelet/pods/" + unit + "/volumes/kubernetes.io~projected/kube-api-access"}
		f.Pod.Namespace, f.Pod.Account, _ = strings.Cut(value, "/")
	case "VolumeKubeconfig":
		if f.Pod != nil {
			f.Pod.Kubeconfig = value
		}
	}
}

// serviceRange is where the addresses of Services are; the first is the API's.
var serviceRange = netip.MustParsePrefix("10.96.0.0/12")

const apiService = "10.96.0.1"

// service is what the address of a Service leads to, as kube-proxy has every host
// know it: the first one to the API, another one to the unit with the Service's
// name.
func (w *World) service(host, port string) (string, bool) {
	if a, err := netip.ParseAddr(host); err != nil || !serviceRange.Contains(a) {
		return "", false
	}
	if host == apiService && port == "443" {
		return w.Config.endpoint(), true
	}
	for _, b := range w.Store.List("services") {
		var s corev1.Service
		if json.Unmarshal(b, &s) != nil || s.Spec.ClusterIP != host {
			continue
		}
		for _, addr := range keys(w.Listeners) {
			l := w.Listeners[addr]
			if _, unit := split(l.Server); unit == s.Name {
				return addr, true
			}
		}
	}
	return "", false
}

// issuer signs a certificate of the world's beginning.
type issuer func(name string, subject pkix.Name, dns []string, ips []net.IP, server bool) (cert, key []byte, err error)

// clientFiles are the files of those who are installed and stopped: kubeconfigs,
// unit files, and manifests with what they need in the cluster. A scheduler is on
// every control plane, the others on the first.
func (w *World) clientFiles(ca []byte, issue issuer) (files []file, err error) {
	pair := map[string][2][]byte{}
	for _, cn := range []string{"system:kube-scheduler", "system:kube-proxy"} {
		cert, key, err := issue(cn, pkix.Name{CommonName: cn}, nil, nil, false)
		if err != nil {
			return nil, err
		}
		pair[cn] = [2][]byte{cert, key}
	}
	conf := func(m *machine, name, cn, server string) file {
		return file{m, "/etc/kubernetes/" + name, 0o600, kubeconfig(cn, server, ca, pair[cn][0], pair[cn][1])}
	}
	for _, m := range w.controlHosts() {
		files = append(files, conf(m, "scheduler.conf", "system:kube-scheduler", "https://"+m.IP+":6443"),
			file{m, unitDir + "kube-scheduler.service", 0o644, []byte(schedulerUnit)})
	}
	first := w.controlHosts()[0]
	files = append(files, conf(first, "kube-proxy.conf", "system:kube-proxy", "https://"+w.Config.endpoint()),
		file{first, "/etc/coredns/Corefile", 0o644, []byte(corefile)})
	for name, text := range clientUnits {
		files = append(files, file{first, unitDir + name + ".service", 0o644, []byte(text)})
	}
	for name, text := range addons {
		for _, m := range []*machine{first, w.machine("admin")} {
			files = append(files, file{m, "/etc/kubernetes/addons/" + name + ".yaml", 0o644, []byte(w.manifest(text))})
		}
	}
	return files, nil
}

// frontProxyFiles are the CA and the certificate by which aggregated API servers
// know the API server in front of them.
func (w *World) frontProxyFiles(notBefore time.Time) (files []file, err error) {
	kr := pki.Keyring{Seed: w.Config.Seed}
	until := w.Clock.AddDate(10, 0, 0)
	ca, err := pki.NewAuthority(kr, "front-proxy-ca", "front-proxy-ca", notBefore, until)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	w.Chance.Fill("pki/front-proxy-serial", serial)
	key := kr.ECDSA("front-proxy-client")
	cert, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "front-proxy-client"}, Client: true, NotBefore: notBefore, NotAfter: ca.Cert.NotAfter, Serial: serial}, key.Public())
	if err != nil {
		return nil, err
	}
	for _, m := range w.controlHosts() {
		files = append(files,
			file{m, "/etc/kubernetes/pki/front-proxy-ca.crt", 0o644, ca.CertPEM()},
			file{m, "/etc/kubernetes/pki/front-proxy-ca.key", 0o600, pki.KeyPEM(ca.Key)},
			file{m, "/etc/kubernetes/pki/front-proxy-client.crt", 0o644, cert},
			file{m, "/etc/kubernetes/pki/front-proxy-client.key", 0o600, pki.KeyPEM(key)})
	}
	return files, nil
}

const corefile = `.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    cache 30
}
`

const clientUnitEnd = `Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
`

// podUnitEnd makes a unit a pod with a ServiceAccount.
func podUnitEnd(account string) string {
	return clientUnitEnd + `
[X-Pod]
ServiceAccount=` + account + `
VolumeKubeconfig=/etc/kubernetes/admin.conf
`
}

const schedulerUnit = `[Unit]
Description=Kubernetes Scheduler
After=kube-apiserver.service

[Service]
ExecStart=/usr/bin/kube-scheduler \
  --kubeconfig=/etc/kubernetes/scheduler.conf \
  --leader-elect=true \
  --v=2
` + clientUnitEnd

var clientUnits = map[string]string{
	"kube-proxy": `[Unit]
Description=Kubernetes Kube Proxy
After=kube-apiserver.service

[Service]
ExecStart=/usr/bin/kube-proxy \
  --kubeconfig=/etc/kubernetes/kube-proxy.conf \
  --hostname-override=control-1 \
  --v=2
` + clientUnitEnd,
	"coredns": `[Unit]
Description=CoreDNS
After=kube-apiserver.service

[Service]
ExecStart=/usr/bin/coredns -conf /etc/coredns/Corefile
` + podUnitEnd("kube-system/coredns"),
	"metrics-server": `[Unit]
Description=Kubernetes Metrics Server
After=kube-apiserver.service

[Service]
ExecStart=/usr/bin/metrics-server \
  --secure-port=4443 \
  --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname \
  --kubelet-use-node-status-port \
  --metric-resolution=15s
` + podUnitEnd("kube-system/metrics-server"),
	"app": `[Unit]
Description=A pod that calls the API
After=kube-apiserver.service

[Service]
ExecStart=/usr/bin/app --v=2
` + podUnitEnd("default/app"),
}

// addons are what the pods need in the cluster: ServiceAccount, role, binding, and
// for metrics-server a Service (Models metrics-server's components.yaml and
// kubeadm's CoreDNS, without their Deployments).
var addons = map[string]string{
	"metrics-server": account("kube-system", "metrics-server") + clusterRole("system:metrics-server", `- apiGroups: [""]
  resources: ["nodes/metrics"]
  verbs: ["get"]
- apiGroups: [""]
  resources: ["pods", "nodes"]
  verbs: ["get", "list", "watch"]
`) + clusterBinding("system:metrics-server", "system:metrics-server", "kube-system", "metrics-server") +
		clusterBinding("metrics-server:system:auth-delegator", "system:auth-delegator", "kube-system", "metrics-server") + `apiVersion: v1
kind: Service
metadata:
  name: metrics-server
  namespace: kube-system
spec:
  ports:
  - name: https
    port: 443
    protocol: TCP
    targetPort: 4443
  selector:
    k8s-app: metrics-server
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata:
  name: v1beta1.metrics.k8s.io
spec:
  group: metrics.k8s.io
  groupPriorityMinimum: 100
  insecureSkipTLSVerify: true
  service:
    name: metrics-server
    namespace: kube-system
  version: v1beta1
  versionPriority: 100
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: metrics-server-auth-reader
  namespace: kube-system
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: extension-apiserver-authentication-reader
subjects:
- kind: ServiceAccount
  name: metrics-server
  namespace: kube-system
`,
	"coredns": account("kube-system", "coredns") + clusterRole("system:coredns", `- apiGroups: [""]
  resources: ["endpoints", "services", "pods", "namespaces"]
  verbs: ["list", "watch"]
- apiGroups: ["discovery.k8s.io"]
  resources: ["endpointslices"]
  verbs: ["list", "watch"]
`) + clusterBinding("system:coredns", "system:coredns", "kube-system", "coredns"),
	"app": account("default", "app") + clusterBinding("app-view", "view", "default", "app"),
}

func account(namespace, name string) string {
	return "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: " + name + "\n  namespace: " + namespace + "\n---\n"
}

func clusterRole(name, rules string) string {
	return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: " + name + "\nrules:\n" + rules + "---\n"
}

func clusterBinding(name, role, namespace, account string) string {
	return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: " + name +
		"\nroleRef:\n  apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: " + role +
		"\nsubjects:\n- kind: ServiceAccount\n  name: " + account + "\n  namespace: " + namespace + "\n---\n"
}

// manifest is a manifest in the versions that the release prefers.
func (w *World) manifest(text string) string {
	return strings.NewReplacer(
		"apiVersion: rbac.authorization.k8s.io/v1\n", "apiVersion: "+era.Preferred(w.era, "rbac.authorization.k8s.io", "clusterroles")+"\n",
		"apiVersion: apiregistration.k8s.io/v1\n", "apiVersion: "+era.Preferred(w.era, "apiregistration.k8s.io", "apiservices")+"\n",
	).Replace(text)
}
