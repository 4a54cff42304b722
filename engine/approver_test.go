package engine

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ApproverRoles are what the manifest of kubelet-csr-approver grants, and a token;
// ApproverConf its kubeconfig with a TOKEN, ApproverUnit its unit with the PATTERN of
// nodes' names.
const ApproverRoles = `kubectl create -f - <<'EOF'
apiVersion: v1
kind: ServiceAccount
metadata: {name: kubelet-csr-approver, namespace: kube-system}
EOF
kubectl create -f - <<'EOF'
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: kubelet-csr-approver}
rules:
- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests], verbs: [get, list, watch]}
- {apiGroups: [certificates.k8s.io], resources: [certificatesigningrequests/approval], verbs: [update]}
- {apiGroups: [certificates.k8s.io], resources: [signers], resourceNames: [kubernetes.io/kubelet-serving], verbs: [approve]}
EOF
kubectl create clusterrolebinding kubelet-csr-approver --clusterrole=kubelet-csr-approver --serviceaccount=kube-system:kubelet-csr-approver
kubectl create -f - <<'EOF'
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata: {name: approver, namespace: kube-system, annotations: {kubernetes.io/service-account.name: kubelet-csr-approver}}
EOF`

const ApproverConf = `mkdir -p /root/.kube; cat > /root/.kube/config <<'EOF'
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.0.0.10:6443", certificate-authority: /etc/kubernetes/pki/ca.crt}}]
users: [{name: u, user: {token: TOKEN}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
EOF`

const ApproverUnit = `cat > /etc/systemd/system/approver.service <<'EOF'
[Service]
Environment=PROVIDER_REGEX=PATTERN
ExecStart=/usr/bin/kubelet-csr-approver
EOF
systemctl restart approver`

// TestApproverAsUnit: a kubelet asks for a serving certificate, which nobody
// approves; a unit with kubelet-csr-approver, acting with the token of a
// ServiceAccount, then does, or denies it by its rules.
func TestApproverAsUnit(t *testing.T) {
	w, err := New(Config{Seed: "approver"})
	require.NoError(t, err)
	say(t, w, "admin", "kubectl create clusterrolebinding b --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
	say(t, w, "admin", "kubectl create clusterrolebinding a --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
	say(t, w, "node-1", "echo 'serverTLSBootstrap: true' >> /var/lib/kubelet/config.yaml; systemctl start kubelet")
	w.AdvanceTo(w.Now().Add(time.Minute))
	serving := func() string {
		for line := range strings.Lines(say(t, w, "admin", "kubectl get csr")) {
			if strings.Contains(line, "kubelet-serving") {
				return line
			}
		}
		return ""
	}
	require.Contains(t, serving(), "Pending")

	out := say(t, w, "admin", ApproverRoles)
	require.NotContains(t, out, "rror", out)
	w.AdvanceTo(w.Now().Add(time.Second))
	token := say(t, w, "admin", "kubectl get secret approver -n kube-system -o jsonpath='{.data.token}' | base64 -d")
	require.Len(t, strings.Split(token, "."), 3, token)
	say(t, w, "control-1", strings.Replace(ApproverConf, "TOKEN", token, 1))

	denying := w.Clone()
	say(t, denying, "control-1", strings.Replace(ApproverUnit, "PATTERN", `^worker-[0-9]+$`, 1))
	denying.AdvanceTo(denying.Now().Add(time.Second))
	log := say(t, denying, "control-1", "journalctl -u approver")
	require.Contains(t, log, `"msg":"Denying kubelet-serving CSR. DNS checks failed. Reason:The SAN DNS name in the x509 CR is not allowed by the Cloud provider regex"`)
	require.Contains(t, say(t, denying, "admin", "kubectl get csr"), "Denied")

	say(t, w, "control-1", strings.Replace(ApproverUnit, "PATTERN", `^node-[0-9]+$`, 1))
	w.AdvanceTo(w.Now().Add(10 * time.Second))
	require.Contains(t, serving(), "Approved,Issued", say(t, w, "control-1", "journalctl -u approver"))
	require.Contains(t, say(t, w, "node-1", "ls /var/lib/kubelet/pki"), "kubelet-server-current.pem")
	require.Contains(t, say(t, w, "control-1", "systemctl is-active approver"), "active")

	// It goes on in a snapshot.
	b, err := w.Snapshot()
	require.NoError(t, err)
	restored, err := Restore(b)
	require.NoError(t, err)
	for _, x := range []*World{w, restored} {
		x.AdvanceTo(x.Now().Add(30 * 24 * time.Hour))
	}
	require.Equal(t, w.DigestNow(), restored.DigestNow())
}

// TestWhyOfAnApproverThatLeavesARequest: one of the approvers never denies; its log
// holds the reason, and the request goes on waiting.
func TestWhyOfAnApproverThatLeavesARequest(t *testing.T) {
	w, err := New(Config{Seed: "left alone"})
	require.NoError(t, err)
	say(t, w, "control-1", `printf '[Service]\nEnvironment=KUBECONFIG=/etc/kubernetes/admin.conf\nExecStart=/usr/bin/kubelet-serving-cert-approver serve\n' > /etc/systemd/system/approver.service; systemctl start approver`)
	say(t, w, "control-1", `kubeadm certs generate-csr --cert-dir=/root/made --kubeconfig-dir=/root/made; kubectl create -f - <<X
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: odd}
spec:
  signerName: kubernetes.io/kubelet-serving
  usages: [digital signature, server auth]
  request: $(base64 -w0 /root/made/apiserver.csr)
X`)
	w.AdvanceTo(w.Now().Add(10 * time.Second))
	e, err := w.Why("csr/odd")
	require.NoError(t, err)
	require.Equal(t, "csr-pending", e.State.Kind)
	require.Equal(t, "control-1/approver", e.Knows[0].Args["unit"], e)
	require.Contains(t, say(t, w, "control-1", "journalctl -u approver"), e.Knows[0].Args["line"])
	require.Equal(t, "rule", e.Needs[0].Kind)
	require.Contains(t, e.Needs[0].Args["rule"], "organization does not match")
}
