package era

import (
	"strings"
	"time"
)

// KubeadmStatic is a component that kubeadm lets the kubelet of a control plane
// run. Section is where its extraArgs stand in a ClusterConfiguration. Args are
// its flags, those that not every release has behind SINCE or SINCE-UNTIL: {certs},
// {address}, {port}, {services}, {domain}, {cluster}, {node} and {data} are what the
// configuration says.
type KubeadmStatic struct {
	Name, Description, Section string
	Args                       []string
}

// KubeadmStaticPods are the components in the order in which they need each
// other, with the flags of a release.
func KubeadmStaticPods(e Era) (out []KubeadmStatic) {
	for _, s := range kubeadmStatics {
		var args []string
		for _, arg := range s.Args {
			if span, flag, ok := strings.Cut(arg, " "); !ok {
				args = append(args, arg)
			} else if e.within(span) {
				args = append(args, flag)
			}
		}
		s.Args = args
		out = append(out, s)
	}
	return out
}

const kubeadmStaticSource = "cmd/kubeadm/app/phases/controlplane getAPIServerCommand, getControllerManagerCommand, getSchedulerCommand; phases/etcd getEtcdCommand"

var kubeadmStatics = []KubeadmStatic{
	{Name: "etcd", Description: "etcd", Section: "etcd.local", Args: []string{
		"advertise-client-urls=https://{address}:2379", "cert-file={certs}/etcd/server.crt", "client-cert-auth=true", "data-dir={data}",
		"initial-advertise-peer-urls=https://{address}:2380", "initial-cluster={node}=https://{address}:2380", "key-file={certs}/etcd/server.key",
		"listen-client-urls=https://127.0.0.1:2379,https://{address}:2379", "listen-metrics-urls=http://127.0.0.1:2381", "listen-peer-urls=https://{address}:2380",
		"name={node}", "peer-cert-file={certs}/etcd/peer.crt", "peer-client-cert-auth=true", "peer-key-file={certs}/etcd/peer.key",
		"peer-trusted-ca-file={certs}/etcd/ca.crt", "snapshot-count=10000", "trusted-ca-file={certs}/etcd/ca.crt",
	}},
	{Name: "kube-apiserver", Description: "Kubernetes API Server", Section: "apiServer", Args: []string{
		"advertise-address={address}", "allow-privileged=true", "authorization-mode=Node,RBAC", "client-ca-file={certs}/ca.crt",
		"7-9 admission-control=Initializers,NamespaceLifecycle,LimitRanger,ServiceAccount,PersistentVolumeLabel,DefaultStorageClass,DefaultTolerationSeconds,NodeRestriction,ResourceQuota",
		"9-11 admission-control=Initializers,NamespaceLifecycle,LimitRanger,ServiceAccount,DefaultStorageClass,DefaultTolerationSeconds,NodeRestriction,ResourceQuota",
		"11-12 disable-admission-plugins=PersistentVolumeLabel", "11 enable-admission-plugins=NodeRestriction", "7-8 experimental-bootstrap-token-auth=true", "8 enable-bootstrap-token-auth=true",
		"10 etcd-cafile={certs}/etcd/ca.crt", "10 etcd-certfile={certs}/apiserver-etcd-client.crt", "10 etcd-keyfile={certs}/apiserver-etcd-client.key", "7-10 etcd-servers=http://127.0.0.1:2379", "10 etcd-servers=https://127.0.0.1:2379",
		"7-22 insecure-port=0",
		"kubelet-client-certificate={certs}/apiserver-kubelet-client.crt", "kubelet-client-key={certs}/apiserver-kubelet-client.key", "kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"proxy-client-cert-file={certs}/front-proxy-client.crt", "proxy-client-key-file={certs}/front-proxy-client.key",
		"requestheader-allowed-names=front-proxy-client", "requestheader-client-ca-file={certs}/front-proxy-ca.crt", "requestheader-extra-headers-prefix=X-Remote-Extra-", "requestheader-group-headers=X-Remote-Group", "requestheader-username-headers=X-Remote-User",
		"secure-port={port}", "20 service-account-issuer=https://kubernetes.default.svc.{domain}", "service-account-key-file={certs}/sa.pub", "20 service-account-signing-key-file={certs}/sa.key", "service-cluster-ip-range={services}",
		"tls-cert-file={certs}/apiserver.crt", "tls-private-key-file={certs}/apiserver.key",
	}},
	{Name: "kube-controller-manager", Description: "Kubernetes Controller Manager", Section: "controllerManager", Args: []string{
		"12 authentication-kubeconfig=/etc/kubernetes/controller-manager.conf", "12 authorization-kubeconfig=/etc/kubernetes/controller-manager.conf", "7-14 address=127.0.0.1", "14 bind-address=127.0.0.1", "12 client-ca-file={certs}/ca.crt",
		"18 cluster-name={cluster}", "cluster-signing-cert-file={certs}/ca.crt", "cluster-signing-key-file={certs}/ca.key", "controllers=*,bootstrapsigner,tokencleaner",
		"kubeconfig=/etc/kubernetes/controller-manager.conf", "leader-elect=true", "19-23 port=0", "12 requestheader-client-ca-file={certs}/front-proxy-ca.crt", "root-ca-file={certs}/ca.crt",
		"service-account-private-key-file={certs}/sa.key", "use-service-account-credentials=true",
	}},
	{Name: "kube-scheduler", Description: "Kubernetes Scheduler", Section: "scheduler", Args: []string{
		"16 authentication-kubeconfig=/etc/kubernetes/scheduler.conf", "16 authorization-kubeconfig=/etc/kubernetes/scheduler.conf", "7-14 address=127.0.0.1", "14 bind-address=127.0.0.1",
		"kubeconfig=/etc/kubernetes/scheduler.conf", "leader-elect=true", "19-23 port=0",
	}},
}

// What kubeadm uploads for control planes that are to come.
var (
	KubeadmCertsTTL   = row("kubeadm/certs-ttl", Fact[time.Duration]{Value: 2 * time.Hour, Source: "cmd/kubeadm/app/constants DefaultCertTokenDuration"})
	KubeadmCertsToken = row("kubeadm/certs-token", Fact[string]{Value: "Proxy for managing TTL for the kubeadm-certs secret", Source: "cmd/kubeadm/app/phases/copycerts createShortLivedBootstrapToken"})
)

// KubeadmWait is how kubeadm init waits for the control plane. All: it looks at every
// component at its own port. Otherwise it asks the API server alone, at Path;
// Before, Healthy and Unhealthy are what is said, the last two followed by how long
// it took. An empty line is not said. Seconds: as a number.
type KubeadmWait struct {
	All                        bool
	Path                       string
	Before, Healthy, Unhealthy string
	Seconds                    bool
}

// KubeadmWaits is that of each release: the gate WaitForAllControlPlaneComponents came
// with 1.30 and is on since 1.33.
var KubeadmWaits = row("kubeadm/wait-control-plane",
	Fact[KubeadmWait]{Value: KubeadmWait{Path: "/healthz", Healthy: "[apiclient] All control plane components are healthy after %s seconds", Seconds: true}, Source: "cmd/kubeadm/app/util/apiclient/wait.go WaitForAPI; 1.7: cmd/kubeadm/app/master/apiclient.go"},
	Fact[KubeadmWait]{Since: "1.30", Value: KubeadmWait{Path: "/healthz", Before: "[api-check] Waiting for a healthy API server. This can take up to %v", Healthy: "[api-check] The API server is healthy after %s", Unhealthy: "[api-check] The API server is not healthy after %s"}, Source: "cmd/kubeadm/app/util/apiclient/wait.go WaitForAPI"},
	Fact[KubeadmWait]{Since: "1.33", Value: KubeadmWait{All: true, Path: "/livez"}, Source: "cmd/kubeadm/app/util/apiclient/wait.go WaitForControlPlaneComponents; golden r2/03"})

// kubeadmDropIn is what the package kubeadm adds to the kubelet's unit where it makes no
// configuration file: SINCE or SINCE-UNTIL VARIABLE FLAGS (build/debs/10-kubeadm.conf).
const kubeadmDropIn = `
7-8 KUBECONFIG --kubeconfig=/etc/kubernetes/kubelet.conf --require-kubeconfig=true
8 KUBECONFIG --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf
7 SYSTEM_PODS --pod-manifest-path=/etc/kubernetes/manifests --allow-privileged=true
7 NETWORK --network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin
7 DNS --cluster-dns=10.96.0.10 --cluster-domain=cluster.local
7 AUTHZ --authorization-mode=Webhook --client-ca-file=/etc/kubernetes/pki/ca.crt
8 CADVISOR --cadvisor-port=0
8 CERTIFICATE --rotate-certificates=true --cert-dir=/var/lib/kubelet/pki`

// KubeadmDropIn is that of a release, as a file.
func KubeadmDropIn(e Era) string {
	text, command := "[Service]\n", "/usr/bin/kubelet"
	for line := range strings.Lines(strings.TrimSpace(kubeadmDropIn)) {
		span, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name, flags, _ := strings.Cut(rest, " "); e.within(span) {
			text += `Environment="KUBELET_` + name + "_ARGS=" + flags + "\"\n"
			command += " $KUBELET_" + name + "_ARGS"
		}
	}
	return text + "EnvironmentFile=-/etc/default/kubelet\nExecStart=\nExecStart=" + command + " $KUBELET_EXTRA_ARGS\n"
}
