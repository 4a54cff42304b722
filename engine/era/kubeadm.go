package era

import "time"

// KubeadmCert is a certificate in kubeadm's PKI. Base is its file below
// certificatesDir without extension; CA the Base of who signs it, empty for a
// CA. Names says which names it carries: "" none, "apiserver" or "etcd"; a CN
// of "NODE" is the node's name.
type KubeadmCert struct {
	Name, Base, LongName string
	CA, CN, Names        string
	Server, Client       bool
}

// KubeadmKubeconfig is a kubeconfig with a client certificate that kubeadm
// writes: User is its CN and O its group. Local: it names this node's API
// server and not the cluster's endpoint. LongName is what renew calls it; the
// kubelet's has none, as it renews its own.
type KubeadmKubeconfig struct {
	File, LongName, User, O string
	Local                   bool
}

const certlist = "cmd/kubeadm/app/phases/certs/certlist.go; golden r-kubeadm/02, 03, 08, 11"

// What kubeadm makes and how long it lasts.
var (
	KubeadmVersion = row("kubeadm/version", patches("golden r2/03, r3/07")...)

	// KubeadmCerts are the certificates in the order in which init makes them.
	KubeadmCerts = row("kubeadm/certs", Fact[[]KubeadmCert]{Source: certlist, Value: []KubeadmCert{
		{Name: "ca", Base: "ca", LongName: "self-signed Kubernetes CA to provision identities for other Kubernetes components", CN: "kubernetes"},
		{Name: "apiserver", Base: "apiserver", LongName: "certificate for serving the Kubernetes API", CA: "ca", CN: "kube-apiserver", Names: "apiserver", Server: true},
		{Name: "apiserver-kubelet-client", Base: "apiserver-kubelet-client", LongName: "certificate for the API server to connect to kubelet", CA: "ca", CN: "kube-apiserver-kubelet-client", Client: true},
		{Name: "front-proxy-ca", Base: "front-proxy-ca", LongName: "self-signed CA to provision identities for front proxy", CN: "front-proxy-ca"},
		{Name: "front-proxy-client", Base: "front-proxy-client", LongName: "certificate for the front proxy client", CA: "front-proxy-ca", CN: "front-proxy-client", Client: true},
		{Name: "etcd-ca", Base: "etcd/ca", LongName: "self-signed CA to provision identities for etcd", CN: "etcd-ca"},
		{Name: "etcd-server", Base: "etcd/server", LongName: "certificate for serving etcd", CA: "etcd/ca", CN: "NODE", Names: "etcd", Server: true, Client: true},
		{Name: "etcd-peer", Base: "etcd/peer", LongName: "certificate for etcd nodes to communicate with each other", CA: "etcd/ca", CN: "NODE", Names: "etcd", Server: true, Client: true},
		{Name: "etcd-healthcheck-client", Base: "etcd/healthcheck-client", LongName: "certificate for liveness probes to healthcheck etcd", CA: "etcd/ca", CN: "kube-etcd-healthcheck-client", Client: true},
		{Name: "apiserver-etcd-client", Base: "apiserver-etcd-client", LongName: "certificate the apiserver uses to access etcd", CA: "etcd/ca", CN: "kube-apiserver-etcd-client", Client: true},
	}})
	// KubeadmKubeconfigs are those of init, in its order. A User that ends with
	// ":" is followed by the node's name.
	KubeadmKubeconfigs = func() Row[[]KubeadmKubeconfig] {
		const source = "cmd/kubeadm/app/phases/kubeconfig"
		admin := KubeadmKubeconfig{File: "admin.conf", User: "kubernetes-admin", O: "system:masters", LongName: "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself"}
		super := KubeadmKubeconfig{File: "super-admin.conf", User: "kubernetes-super-admin", O: "system:masters", LongName: "certificate embedded in the kubeconfig file for the super-admin"}
		others := []KubeadmKubeconfig{
			{File: "kubelet.conf", User: "system:node:", O: "system:nodes", Local: true},
			{File: "controller-manager.conf", User: "system:kube-controller-manager", Local: true, LongName: "certificate embedded in the kubeconfig file for the controller manager to use"},
			{File: "scheduler.conf", User: "system:kube-scheduler", Local: true, LongName: "certificate embedded in the kubeconfig file for the scheduler manager to use"},
		}
		before := append([]KubeadmKubeconfig{admin}, others...)
		admin.O = "kubeadm:cluster-admins"
		return row("kubeadm/kubeconfigs", Fact[[]KubeadmKubeconfig]{Value: before, Source: source},
			Fact[[]KubeadmKubeconfig]{Since: "1.29", Value: append([]KubeadmKubeconfig{admin, super}, others...), Source: source + "; golden r-kubeadm/05, 06, 11"})
	}()
	KubeadmCertLife = row("kubeadm/cert-life", Fact[time.Duration]{Value: 365 * 24 * time.Hour, Source: "cmd/kubeadm/app/constants CertificateValidityPeriod; golden r-kubeadm/03, r2/03"})
	KubeadmCALife   = row("kubeadm/ca-life", Fact[time.Duration]{Value: 10 * 365 * 24 * time.Hour, Source: "cmd/kubeadm/app/constants CACertificateValidityPeriod; golden r-kubeadm/03, r2/03"})
	// KubeadmBackdate is how much older the certificates of init say they are;
	// those of kubeconfig files and renewed ones begin when their CA does.
	KubeadmBackdate = row("kubeadm/backdate", Fact[time.Duration]{Value: 5 * time.Minute, Source: "cmd/kubeadm/app/constants CertificateBackdate; phases/certs GetConfig; golden r-kubeadm/03, 28"})
	// KubeadmAlgorithms are the keys that encryptionAlgorithm can ask for; the
	// first of KubeadmAlgorithm is the default.
	KubeadmAlgorithms = row("kubeadm/algorithms", Fact[[]string]{Value: []string{"ECDSA-P256", "ECDSA-P384", "RSA-2048", "RSA-3072", "RSA-4096"}, Source: "golden r-kubeadm/39"})
	KubeadmAlgorithm  = row("kubeadm/algorithm", Fact[string]{Value: "RSA-2048", Source: "golden r2/03"})
)

// Tokens.
var (
	KubeadmTokenTTL    = row("kubeadm/token-ttl", Fact[time.Duration]{Since: "1.8", Value: 24 * time.Hour, Source: "cmd/kubeadm/app/constants DefaultTokenDuration"})
	KubeadmTokenGroup  = row("kubeadm/token-group", Fact[string]{Since: "1.8", Value: "system:bootstrappers:kubeadm:default-node-token", Source: "cmd/kubeadm/app/constants NodeBootstrapTokenAuthGroup; golden h/kubeadm-token-secret.json"})
	KubeadmTokenUsages = row("kubeadm/token-usages", Fact[[]string]{Value: []string{"signing", "authentication"}, Source: "cmd/kubeadm/app/constants DefaultTokenUsages"})
	// KubeadmInitToken describes the token that init makes when no configuration
	// names one.
	KubeadmInitToken = row("kubeadm/init-token", Fact[string]{Value: "The default bootstrap token generated by 'kubeadm init'.", Source: "cmd/kubeadm/app/cmd/options"})
)

// How long join waits: each can be said in timeouts of its configuration.
var (
	KubeadmDiscovery      = row("kubeadm/discovery", Fact[time.Duration]{Value: 5 * time.Minute, Source: "cmd/kubeadm/app/apis/kubeadm/v1beta4 SetDefaults_Timeouts"})
	KubeadmDiscoveryRetry = row("kubeadm/discovery-retry", Fact[time.Duration]{Value: 5 * time.Second, Source: "cmd/kubeadm/app/constants DiscoveryRetryInterval; golden h/19"})
	KubeadmHealthCheck    = row("kubeadm/health-check", Fact[time.Duration]{Value: 4 * time.Minute, Source: "cmd/kubeadm/app/apis/kubeadm/v1beta4 SetDefaults_Timeouts"})
	// KubeadmAPIRetry is the pause between tries of a call of an API server or of
	// the kubelet, KubeadmAPICall how long an API server's is tried.
	KubeadmAPIRetry     = row("kubeadm/api-retry", Fact[time.Duration]{Value: 500 * time.Millisecond, Source: "cmd/kubeadm/app/constants KubernetesAPICallRetryInterval; golden h/16-join-ok-audit.json, r3/03"})
	KubeadmAPICall      = row("kubeadm/api-call", Fact[time.Duration]{Value: time.Minute, Source: "cmd/kubeadm/app/apis/kubeadm/v1beta4 SetDefaults_Timeouts; golden h/16-join-ok-audit.json"})
	KubeadmTLSBootstrap = row("kubeadm/tls-bootstrap", Fact[time.Duration]{Value: 5 * time.Minute, Source: "cmd/kubeadm/app/apis/kubeadm/v1beta4 SetDefaults_Timeouts"})
	KubeadmTLSRetry     = row("kubeadm/tls-retry", Fact[time.Duration]{Value: time.Second, Source: "cmd/kubeadm/app/constants TLSBootstrapRetryInterval"})
	// KubeadmShortRetry and KubeadmShortTry: how long it tries to get a
	// ConfigMap that it can do without.
	KubeadmShortRetry = row("kubeadm/short-retry", Fact[time.Duration]{Value: 50 * time.Millisecond, Source: "cmd/kubeadm/app/util/apiclient GetConfigMapWithShortRetry; golden r3/08"})
	KubeadmShortTry   = row("kubeadm/short-try", Fact[time.Duration]{Value: 350 * time.Millisecond, Source: "cmd/kubeadm/app/util/apiclient GetConfigMapWithShortRetry; golden r3/08"})
	// KubeadmRequest is what every request says of its patience.
	KubeadmRequest = row("kubeadm/request", Fact[string]{Value: "?timeout=10s", Source: "cmd/kubeadm/app/util/kubeconfig ToClientSet; golden h/16-join-ok-audit.json"})
)
