package shell_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

func newEmptyTown(t *testing.T) *town {
	w, err := engine.New(engine.Config{Seed: "empty", Scenario: "empty"})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return &town{t, w}
}

// What flags of init say goes into certificates, units and the cluster's
// configuration.
func TestKubeadmInitTakesFlags(t *testing.T) {
	w := newEmptyTown(t)
	out, status := w.say("control-1", "kubeadm init --apiserver-cert-extra-sans api.example.com,192.0.2.7 --control-plane-endpoint 10.0.0.10:6443 --service-cidr 10.112.0.0/16"+
		" --pod-network-cidr 10.244.0.0/16 --service-dns-domain example.internal --token abcdef.0123456789abcdef --token-ttl 0 --upload-certs --skip-token-print")
	require.Equal(t, "0", status, out)
	require.Contains(t, out, "DNS names [api.example.com control-1 kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.example.internal] and IPs [10.112.0.1 10.0.0.10 192.0.2.7]")
	require.NotContains(t, out, "abcdef.0123456789abcdef")
	require.Contains(t, out, "--token <value withheld> \\\n")
	require.Contains(t, out, "\t--control-plane --certificate-key ")
	units, _ := w.say("control-1", "cat /etc/systemd/system/kube-apiserver.service /etc/systemd/system/kube-controller-manager.service")
	for _, flag := range []string{"--service-cluster-ip-range=10.112.0.0/16", "--service-account-issuer=https://kubernetes.default.svc.example.internal", "--cluster-cidr=10.244.0.0/16", "--allocate-node-cidrs=true"} {
		require.Contains(t, units, flag)
	}
	out, _ = w.say("control-1", "kubectl get cm kubeadm-config -n kube-system -o yaml; kubeadm token list")
	require.Contains(t, out, "podSubnet: 10.244.0.0/16")
	require.Contains(t, out, "abcdef.0123456789abcdef   <forever>")

	// Phases that are left out can follow.
	w = newEmptyTown(t)
	out, status = w.say("control-1", "kubeadm init --skip-phases addon,show-join-command,bootstrap-token --node-name first")
	require.Equal(t, "0", status, out)
	require.NotContains(t, out, "[addons]")
	require.NotContains(t, out, "initialized successfully")
	out, status = w.say("control-1", "kubeadm init phase addon all; kubectl get sa -n kube-system coredns --no-headers; kubectl get nodes first --no-headers")
	require.Equal(t, "0", status, out)
	require.Contains(t, out, "[addons] Applied essential addon: CoreDNS\n[addons] Applied essential addon: kube-proxy\n")
	require.Contains(t, out, "first   Ready")
}

// A control plane whose component does not live is waited for, and then given up.
func TestKubeadmInitGivesUp(t *testing.T) {
	w := newEmptyTown(t)
	out, _ := w.say("control-1", `cat > /root/k.yaml <<'EOF'
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
controllerManager:
  extraArgs:
  - {name: nosuch, value: "1"}
EOF
kubeadm init --config /root/k.yaml`)
	require.NotContains(t, out, "is not healthy")
	w.AdvanceTo(w.Now().Add(10 * time.Minute))
	out, status := printed(w.Drain())
	require.Equal(t, "1", status)
	require.Contains(t, out, "[control-plane-check] kube-controller-manager is not healthy after 4m0s\n")
	require.Contains(t, out, "- 'crictl --runtime-endpoint unix:///var/run/containerd/containerd.sock ps -a | grep kube | grep -v pause'\n")
	require.Contains(t, out, "error: error execution phase wait-control-plane: failed while waiting for the control plane to start: kube-controller-manager check failed at https://127.0.0.1:10257/healthz: Get \"https://127.0.0.1:10257/healthz\": dial tcp 127.0.0.1:10257: connect: connection refused\n")
	out, _ = w.say("control-1", "journalctl -u kube-controller-manager | grep -c 'unknown flag: --nosuch'")
	require.NotEqual(t, "0\n", out)
}

func TestKubeadmInitRefuses(t *testing.T) {
	w := newEmptyTown(t)
	for line, want := range map[string]string{
		"kubeadm init --nosuch": "error: unknown flag: --nosuch",
		"kubeadm init --config /x.yaml --token-ttl 1h --service-cidr 10.0.0.0/8": "error: can not mix '--config' with arguments [service-cidr token-ttl]",
		"kubeadm init --apiserver-advertise-address here":                        `error: localAPIEndpoint.advertiseAddress: Invalid value: "here": ip address is not valid`,
		"kubeadm init --service-cidr ten":                                        `error: networking.serviceSubnet: Invalid value: "ten": couldn't parse subnet`,
		"kubeadm init --token short":                                             `error: the bootstrap token "short" was not of the form "\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z"`,
		"kubeadm init more":                                                      `error: unknown command "more" for "kubeadm init"`,
	} {
		out, status := w.say("control-1", line)
		require.Equal(t, "1", status, line)
		require.Equal(t, want+moreWords, out, line)
	}
	out, _ := w.say("control-1", "ls /etc/kubernetes; ls /etc/systemd/system | grep -c kube-apiserver")
	require.Equal(t, "addons\n0\n", out)
}

// A dry run of join asks the cluster and changes nothing but its own folder.
func TestKubeadmDryRun(t *testing.T) {
	w := newKubeadmTown(t)
	const join = "kubeadm join 10.0.0.10:6443 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification"
	out, status := w.say("node-1", join+" --dry-run")
	require.Equal(t, "0", status, out)
	require.Contains(t, out, "[dryrun] Would perform action GET on resource \"nodes\" in API group \"core/v1\"\n[dryrun] Resource name \"node-1\", namespace \"\"\n[kubelet-start] Would stop the kubelet\n")
	require.Contains(t, out, "[dryrun] Would write file \"/var/lib/kubelet/kubeadm-flags.env\" with content:\nKUBELET_KUBEADM_ARGS=\"\"\n[kubelet-wait] Would wait for the kubelet to be bootstrapped\n")
	out, _ = w.say("node-1", "ls /etc/kubernetes; ls /etc/kubernetes/tmp/*; systemctl is-active kubelet")
	require.Equal(t, []string{"tmp", "bootstrap-kubelet.conf", "ca.crt", "config.yaml", "instance-config.yaml", "kubeadm-flags.env", "inactive"}, strings.Fields(out))
	out, status = w.say("admin", "kubeadm token create --dry-run; kubeadm token delete abcdef --dry-run; kubeadm token list | grep -c authentication")
	require.Equal(t, "0", status)
	require.Contains(t, out, "[dryrun] Would perform action CREATE on resource \"secrets\" in API group \"core/v1\"\n[dryrun] Attached object:\napiVersion: v1\n")
	require.Contains(t, out, "[dryrun] Would perform action DELETE on resource \"secrets\" in API group \"core/v1\"\n[dryrun] Resource name \"bootstrap-token-abcdef\", namespace \"kube-system\"\n")
	require.True(t, strings.HasSuffix(out, "\n2\n"), out)
	out, status = w.say("node-1", join)
	require.Equal(t, "0", status, out)
}
