package era

import "time"

// KubeadmStatic is a component that kubeadm lets the kubelet of a control plane
// run. Section is where its extraArgs stand in a ClusterConfiguration. Args are
// its flags: {certs}, {address}, {port}, {services}, {domain}, {cluster}, {node}
// and {data} are what the configuration says.
type KubeadmStatic struct {
	Name, Description, Section string
	Args                       []string
}

// KubeadmStaticPods are the components in the order in which they need each
// other.
var KubeadmStaticPods = row("kubeadm/static-pods", Fact[[]KubeadmStatic]{Source: "cmd/kubeadm/app/phases/controlplane getAPIServerCommand, getControllerManagerCommand, getSchedulerCommand; phases/etcd getEtcdCommand", Value: []KubeadmStatic{
	{Name: "etcd", Description: "etcd", Section: "etcd.local", Args: []string{
		"advertise-client-urls=https://{address}:2379", "cert-file={certs}/etcd/server.crt", "client-cert-auth=true", "data-dir={data}",
		"initial-advertise-peer-urls=https://{address}:2380", "initial-cluster={node}=https://{address}:2380", "key-file={certs}/etcd/server.key",
		"listen-client-urls=https://127.0.0.1:2379,https://{address}:2379", "listen-metrics-urls=http://127.0.0.1:2381", "listen-peer-urls=https://{address}:2380",
		"name={node}", "peer-cert-file={certs}/etcd/peer.crt", "peer-client-cert-auth=true", "peer-key-file={certs}/etcd/peer.key",
		"peer-trusted-ca-file={certs}/etcd/ca.crt", "snapshot-count=10000", "trusted-ca-file={certs}/etcd/ca.crt",
	}},
	{Name: "kube-apiserver", Description: "Kubernetes API Server", Section: "apiServer", Args: []string{
		"advertise-address={address}", "allow-privileged=true", "authorization-mode=Node,RBAC", "client-ca-file={certs}/ca.crt",
		"enable-admission-plugins=NodeRestriction", "enable-bootstrap-token-auth=true",
		"etcd-cafile={certs}/etcd/ca.crt", "etcd-certfile={certs}/apiserver-etcd-client.crt", "etcd-keyfile={certs}/apiserver-etcd-client.key", "etcd-servers=https://127.0.0.1:2379",
		"kubelet-client-certificate={certs}/apiserver-kubelet-client.crt", "kubelet-client-key={certs}/apiserver-kubelet-client.key", "kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
		"proxy-client-cert-file={certs}/front-proxy-client.crt", "proxy-client-key-file={certs}/front-proxy-client.key",
		"requestheader-allowed-names=front-proxy-client", "requestheader-client-ca-file={certs}/front-proxy-ca.crt", "requestheader-extra-headers-prefix=X-Remote-Extra-", "requestheader-group-headers=X-Remote-Group", "requestheader-username-headers=X-Remote-User",
		"secure-port={port}", "service-account-issuer=https://kubernetes.default.svc.{domain}", "service-account-key-file={certs}/sa.pub", "service-account-signing-key-file={certs}/sa.key", "service-cluster-ip-range={services}",
		"tls-cert-file={certs}/apiserver.crt", "tls-private-key-file={certs}/apiserver.key",
	}},
	{Name: "kube-controller-manager", Description: "Kubernetes Controller Manager", Section: "controllerManager", Args: []string{
		"authentication-kubeconfig=/etc/kubernetes/controller-manager.conf", "authorization-kubeconfig=/etc/kubernetes/controller-manager.conf", "bind-address=127.0.0.1", "client-ca-file={certs}/ca.crt",
		"cluster-name={cluster}", "cluster-signing-cert-file={certs}/ca.crt", "cluster-signing-key-file={certs}/ca.key", "controllers=*,bootstrapsigner,tokencleaner",
		"kubeconfig=/etc/kubernetes/controller-manager.conf", "leader-elect=true", "requestheader-client-ca-file={certs}/front-proxy-ca.crt", "root-ca-file={certs}/ca.crt",
		"service-account-private-key-file={certs}/sa.key", "use-service-account-credentials=true",
	}},
	{Name: "kube-scheduler", Description: "Kubernetes Scheduler", Section: "scheduler", Args: []string{
		"authentication-kubeconfig=/etc/kubernetes/scheduler.conf", "authorization-kubeconfig=/etc/kubernetes/scheduler.conf", "bind-address=127.0.0.1",
		"kubeconfig=/etc/kubernetes/scheduler.conf", "leader-elect=true",
	}},
}})

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
