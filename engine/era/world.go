package era

import "strings"

// worldFlags are the command lines in the unit files of the world that one starts
// in, as an admin of the release would write them: SINCE FLAG, or SINCE-UNTIL FLAG,
// in the order of the file. What a flag does, and when it came and went, is in the
// tables of flags; seed 000 has those of 1.7 and 1.8.
var worldFlags = map[string]string{
	"etcd": `
7 --data-dir=/var/lib/etcd
7 --listen-client-urls=https://127.0.0.1:2379`,
	"kube-apiserver": `
7 --advertise-address=10.0.0.10
7 --secure-port=6443
7-20 --insecure-port=0
7 --etcd-servers=https://127.0.0.1:2379
7 --tls-cert-file=/etc/kubernetes/pki/apiserver.crt
7 --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
7 --client-ca-file=/etc/kubernetes/pki/ca.crt
7-9 --token-auth-file=/etc/kubernetes/token.csv
7-8 --experimental-bootstrap-token-auth=true
8 --enable-bootstrap-token-auth=true
7 --authorization-mode=Node,RBAC
7-10 --admission-control=NamespaceLifecycle,LimitRanger,ServiceAccount,DefaultTolerationSeconds,NodeRestriction,ResourceQuota
10 --enable-admission-plugins=NodeRestriction
7 --kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt
7 --kubelet-client-key=/etc/kubernetes/pki/apiserver-kubelet-client.key
7 --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname
7 --requestheader-client-ca-file=/etc/kubernetes/pki/front-proxy-ca.crt
7 --requestheader-allowed-names=front-proxy-client
7 --requestheader-username-headers=X-Remote-User
7 --requestheader-group-headers=X-Remote-Group
7 --requestheader-extra-headers-prefix=X-Remote-Extra-
7 --proxy-client-cert-file=/etc/kubernetes/pki/front-proxy-client.crt
7 --proxy-client-key-file=/etc/kubernetes/pki/front-proxy-client.key
7 --service-cluster-ip-range=10.96.0.0/12
20 --service-account-issuer=https://kubernetes.default.svc.cluster.local
7 --service-account-key-file=/etc/kubernetes/pki/sa.pub
20 --service-account-signing-key-file=/etc/kubernetes/pki/sa.key
7 --v=3`,
	"kube-controller-manager": `
7 --kubeconfig=/etc/kubernetes/controller-manager.conf
7 --use-service-account-credentials=true
7 --controllers=*,bootstrapsigner,tokencleaner
7-11 --feature-gates=RotateKubeletServerCertificate=true
7 --cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt
7 --cluster-signing-key-file=/etc/kubernetes/pki/ca.key
7-19 --experimental-cluster-signing-duration=8760h0m0s
19 --cluster-signing-duration=8760h0m0s
7 --root-ca-file=/etc/kubernetes/pki/ca.crt
7 --service-account-private-key-file=/etc/kubernetes/pki/sa.key
7 --leader-elect=false
7 --v=4`,
	"kubelet": `
7-9 --experimental-bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf
9 --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf
7 --kubeconfig=/etc/kubernetes/kubelet.conf
7-8 --require-kubeconfig=true
7-11 --feature-gates=RotateKubeletClientCertificate=true,RotateKubeletServerCertificate=true
8-11 --rotate-certificates=true
7-11 --client-ca-file=/etc/kubernetes/pki/ca.crt
7-11 --anonymous-auth=false
7-11 --authentication-token-webhook=true
7-11 --authorization-mode=Webhook
11 --config=/var/lib/kubelet/config.yaml
7 --cert-dir=/var/lib/kubelet/pki
7 --hostname-override=NODE
7 --node-ip=ADDRESS
7 --v=2`,
}

// UnitFlags are the flags of a unit of the world that one starts in, in the order of
// its file; NODE and ADDRESS stand for the host's name and address.
func UnitFlags(e Era, unit string) (out []string) {
	for line := range strings.Lines(strings.TrimSpace(worldFlags[unit])) {
		span, flag, _ := strings.Cut(strings.TrimSpace(line), " ")
		if e.within(span) {
			out = append(out, flag)
		}
	}
	return out
}

// within tells whether a release is one of SINCE or SINCE-UNTIL, minors of which the
// last is the first without.
func (e Era) within(span string) bool {
	since, until, ended := strings.Cut(span, "-")
	return e.minor >= number(since) && (!ended || e.minor < number(until))
}

func number(digits string) (n int) {
	for i := range digits {
		n = 10*n + int(digits[i]-'0')
	}
	return n
}

// TokenFile: nodes of the world that one starts in bootstrap with a token of
// --token-auth-file, and not with a Secret.
var TokenFile = row("world/token-file", Fact[bool]{Until: "1.9", Value: true, Source: "seed 000"})

// KubeletConfigFile: the kubelet of the world that one starts in has --config.
var KubeletConfigFile = row("world/kubelet-config-file", Fact[bool]{Since: "1.11", Value: true, Source: "pkg/kubelet/apis/kubeletconfig/v1beta1 rotateCertificates (#63912)"})
