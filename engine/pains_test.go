package engine_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest"
)

// pain is how a transcript tells of a kind of trouble: the step that brings it
// about, what a person sees of it, and the step that mends it. Fault and fix are
// looked for in what is done; the symptom in what is printed for it, or in the
// command of one that counts.
type pain struct{ file, fault, symptom, fix string }

// pains are in the order of their numbers. What is typed first where nothing is
// wrong but what was left out is the fault.
var pains = []pain{
	{"p01-serving-csr-pending", `serverTLSBootstrap: true`, `remote error: tls: internal error`, `kubectl certificate approve`},
	{"p02-metrics-no-ip-sans", `systemctl start metrics-server`, `cannot validate certificate for 10\.0\.0\.11 because it doesn't contain any IP SANs`, `serverTLSBootstrap: true`},
	{"p03-metrics-unknown-authority", `kubelet-certificate-authority=`, `x509: certificate signed by unknown authority`, `serverTLSBootstrap: true`},
	{"p04-bootstrap-no-rbac", `systemctl start kubelet`, `system:bootstrap:07401b.* cannot create resource .*certificatesigningrequests`, `create clusterrolebinding kubelet-bootstrap .*--group=system:bootstrappers`},
	{"p05-bootstrap-bad-token", `(?s)kubectl create -f .*bootstrap-token-07401b.*47f392`, `cannot create certificate signing request: Unauthorized`, `(?s)kubectl create -f .*bootstrap-token-07401b.*token-id: "?07401b`},
	{"p06-client-cert-expired", `fault add host node-1 stop`, `part of the existing bootstrap client certificate in .* is expired`, `(?s)kubectl create -f .*bootstrap-token-`},
	{"p07-no-bootstrap-kubeconfig", `mv /etc/kubernetes/bootstrap-kubelet.conf`, `unable to load bootstrap kubeconfig: stat .*: no such file`, `mv /root/b.conf /etc/kubernetes/bootstrap-kubelet.conf`},
	{"p08-token-expired", `advance 25h`, `cannot create certificate signing request: Unauthorized`, `(?s)kubectl create -f .*bootstrap-token-`},
	{"p09-unknown-authority", `cp /root/old/ca.crt /etc/kubernetes/pki/ca.crt`, `x509: certificate signed by unknown authority \(possibly because of .*ECDSA verification failure.* candidate authority certificate .*kubernetes`, `cp /root/ca.crt /etc/kubernetes/pki/ca.crt`},
	{"p10-exec-logs-forbidden", `kubelet-client-certificate=.*/kubernetes.certificate`, `Forbidden \(user=kubernetes, verb=`, `--clusterrole=system:kubelet-api-admin`},
	{"p11-clock-skew", `fault add clock node-1 skew`, `x509: certificate has expired or is not yet valid: current time .* is before`, `fault end clock`},
	{"p12-approved-not-issued", `--controllers=\*,-csrsigning`, `Certificate signing request is approved, waiting to be issued`, `--controllers=\*$`},
	{"p12-ca-key-gone", `mv /etc/kubernetes/pki/ca.key`, `error reading CA cert file .*ca.key: no such file`, `mv /root/ca.key /etc/kubernetes/pki/ca.key`},
	{"p13-csr-not-recognised", `systemctl start kubelet`, `grep -c Pending`, `certificatesigningrequests:nodeclient`},
	{"p13-renewal", `advance 335d`, `system:node:node-1 .*Pending`, `certificatesigningrequests:selfnodeclient`},
	{"p14-embedded-certificate", `client-certificate-data`, `part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired`, `cp /root/good.conf /etc/kubernetes/kubelet.conf`},
	{"p15-expired-and-stuck", `fault add link node-1 control-1 drop`, `No valid client certificate is found but the server is not responsive`, `fault end all`},
	{"p16-changed-clock", `date -s '\+2 years'`, `Current certificate is expired`, `date -s '-2 years'`},
	{"p17-ca-swapped", `cp /root/new/apiserver`, `x509: certificate signed by unknown authority \(possibly because of "crypto/rsa: verification error"`, `/root/both.crt`},
	{"p17-client-bundle", `client-ca-file=/root/wrong.crt`, `You must be logged in to the server \(Unauthorized\)`, `client-ca-file=/etc/kubernetes/pki/ca.crt`},
	{"p18-bundle-to-sign-with", `cluster-signing-cert-file=/root/both.crt`, `expected 1 certificate, found 2`, `cluster-signing-cert-file=/etc/kubernetes/pki/ca.crt`},
	{"p19-join-during-ca-rotation", `kubeadm init phase certs ca --cert-dir=/root/new`, `x509: certificate signed by unknown authority`, `kubectl apply -f -`},
	{"p20-ca-pin-mismatch", `ca-cert-hash=sha256:0{64}`, `none of the public keys .* are pinned`, `kubeadm join .*ca-cert-hash=sha256:[1-9a-f]`},
	{"p21-jws-missing", `--controllers=\*,tokencleaner`, `could not find a JWS signature in the cluster-info ConfigMap for token ID`, `--controllers=\*,bootstrapsigner,tokencleaner`},
	{"p22-node-name", `hostname-override=worker-9`, `can only create a node CSR with CN=system:node:node-1`, `rm -r /var/lib/kubelet/pki`},
	{"p23-approver-denies", `PROVIDER_REGEX=\^worker`, `certificate signing request is denied, reason: .*`, `PROVIDER_REGEX=\^node`},
	{"p24-csr-flood", `systemctl start kubelet`, `grep -c Pending`, `certificatesigningrequests:nodeclient`},
	{"p25-cluster-was-off", `fault add host control-1 stop`, `Unable to connect to the server: .* certificate has expired or is not yet valid`, `kubeadm certs renew all`},
	{"p26-duration-has-no-effect", `cluster-signing-duration=24h`, `client_ttl_seconds 31\d{6}`, `rm -rf /var/lib/kubelet/pki`},
	{"p27-old-one-still-used", `kubeadm certs renew all`, `could not find a JWS signature|Unauthorized`, `systemctl restart kube-controller-manager`},
	{"p28-address-changed", `ip addr del 10\.0\.0\.11`, `Current certificate is missing requested IP addresses`, `kubectl certificate approve`},
	{"p29-silent-no-rotation", `fault add host node-1 suspend`, `server_rotation_seconds_count 0`, `systemctl restart kubelet`},
	{"p30-timed-out", `experimental-bootstrap-kubeconfig`, `failed while waiting for (the kubelet to start|TLS bootstrap)`, `create clusterrolebinding kubeadm:node-autoapprove-bootstrap`},
	{"p31-pem-truncated", `fault add disk node-1 corrupt`, `could not convert data from .* into cert/key pair`, `rm -rf /var/lib/kubelet/pki`},
	{"p32-cloned-machine", `fault add disk node-2 clone node-1`, `(?s)10\.0\.0\.11.*10\.0\.0\.12`, `rm -r /var/lib/kubelet/pki /etc/kubernetes/kubelet.conf`},
	{"p33-usages-refused", `ask usages`, `SignerValidationFailure: usages did not match`, `ask right`},
	{"p34-signer-name", `ask none`, `the legacy signerName is not allowed via this API version`, `ask mine kubernetes.io/kube-apiserver-client`},
	{"p35-denied-loop", `kubectl certificate deny`, `certificate signing request is denied, reason: `, `certificatesigningrequests:nodeclient`},
	{"p36-csr-vanished", `kubectl delete csr --all`, `grep -c 'was deleted'`, `certificatesigningrequests:nodeclient`},
	{"p37-server-for-clients", `/root/made/apiserver`, `x509: certificate specifies an incompatible key usage`, `cp /root/good/apiserver`},
	{"p37-wrong-eku", `kubelet-client-certificate=/etc/kubernetes/pki/apiserver.crt`, `x509: certificate specifies an incompatible key usage`, `kubelet-client-certificate=/etc/kubernetes/pki/apiserver-kubelet-client.crt`},
	{"p38-over-broad-approval", `hostname-override=node-2`, `system:node:node-2`, `delete clusterrolebinding approve-client`},
	{"p39-token-usage", `(?s)kubectl create -f .*usage-bootstrap-authentication: "false"`, `cannot create certificate signing request: Unauthorized`, `(?s)kubectl create -f .*usage-bootstrap-authentication: "true"`},
	{"p40-legacy-flags", `--experimental-bootstrap-kubeconfig`, `unknown flag: --experimental-bootstrap-kubeconfig`, `grep -v ' --experimental'`},
	{"p41-kubelet-blocks", `rotateCertificates: false`, `Waiting for client certificate to be issued`, `kubectl certificate approve`},
	{"p42-anonymous", `grep -v 'token:'`, `system:anonymous.* cannot create resource .*certificatesigningrequests`, `cp /root/good.conf /etc/kubernetes/bootstrap-kubelet.conf`},
	{"p43-disk", `fault add disk node-1 deny-write`, `Unable to store the new cert/key pair`, `fault end disk`},
	{"p44-nobody-watched", `advance 22h`, `client_ttl_seconds [1-9]\d{0,3}\n`, `certificatesigningrequests:selfnodeclient`},
	{"p45-valid-for-another", `10\.0\.0\.9`, `x509: certificate is valid for .*, not 10\.0\.0\.10`, `10\.0\.0\.10`},
	{"p46-rotation-off", `grep -v rotateCertificates`, `Unauthorized`, `rotateCertificates: true`},
}

var (
	explained = regexp.MustCompile(`\A[^\n:]*: ([a-z-]+)`)
	well      = regexp.MustCompile(`^(kubelet-joined|client-running|running|csr-issued|cert-valid|token-accepted|apiservice-available)$`)
)

// judge tells what a transcript lacks of start, fault, symptom, why, fix and healed,
// in this order.
func (p pain) judge(steps []enginetest.Told) string {
	at := 0
	next := func(fits func(s enginetest.Told) bool) bool {
		for ; at < len(steps); at++ {
			if fits(steps[at]) {
				at++
				return true
			}
		}
		return false
	}
	does := func(form string) func(s enginetest.Told) bool {
		re := regexp.MustCompile(form)
		return func(s enginetest.Told) bool { return re.MatchString(s.Text) }
	}
	why := func(s enginetest.Told) string {
		m := explained.FindStringSubmatch(s.Out)
		if m == nil || !strings.HasPrefix(s.Text, "why ") {
			return ""
		}
		return m[1]
	}
	shows := regexp.MustCompile(p.symptom)
	if !next(does(p.fault)) {
		return "no step brings the trouble about"
	}
	for _, s := range steps[:at-1] {
		if shows.MatchString(s.Out) {
			return "the symptom is there before the fault"
		}
	}
	at-- // a command may print at once what is wrong with it, or while time passes
	switch {
	case !next(func(s enginetest.Told) bool {
		return why(s) == "" && s.Out != "" && s.Out != "0\n" && (shows.MatchString(s.Out) || strings.Contains(s.Text, "grep -c") && shows.MatchString(s.Text))
	}):
		return "nobody sees the symptom after the fault"
	case !next(func(s enginetest.Told) bool {
		return why(s) != "" && (strings.Contains(s.Out, "knows: ") || !well.MatchString(why(s)))
	}):
		return "nobody asks why after the symptom"
	case !next(does(p.fix)):
		return "the fix does not follow the question why"
	}
	last := ""
	for _, s := range steps[at:] {
		if w := why(s); w != "" {
			last = w
		}
	}
	if !well.MatchString(last) {
		return "it does not end well: " + last
	}
	return ""
}

// TestEveryPainIsTold: each has a transcript that names it, and tells in this order
// how it came about, what is seen of it, why that is, how it is mended, and that it
// is well again.
func TestEveryPainIsTold(t *testing.T) {
	files, err := filepath.Glob("testdata/p[0-9]*.txt")
	require.NoError(t, err)
	require.Len(t, files, len(pains), "each file has a row")
	told := map[string]bool{}
	for i, f := range files {
		p := pains[i]
		require.Equal(t, "testdata/"+p.file+".txt", f)
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		id := strings.ToUpper(p.file[:3])
		require.Regexp(t, `\A# `+id+`\b`, string(b), f)
		told[id] = true
		if lacks := p.judge(enginetest.Steps(t, f)); lacks != "" {
			t.Errorf("%s: %s", f, lacks)
		}
	}
	require.Len(t, told, 46, "P01 to P46; none of them is of another release only")
}

// TestJudge: what is told in another order is found out.
func TestJudge(t *testing.T) {
	p := pain{"p99", "break", "broken", "mend"}
	story := []enginetest.Told{{Text: "admin$ break", Typed: true}, {Text: "admin$ look", Out: "broken\n", Typed: true}, {Text: "why node/x", Out: "node/x: refused\nneeds: a\n"},
		{Text: "admin$ mend", Typed: true}, {Text: "why node/x", Out: "node/x: running\n"}}
	require.Empty(t, p.judge(story))
	for i, lacks := range []string{"no step brings the trouble about", "nobody sees the symptom after the fault", "nobody asks why after the symptom", "the fix does not follow the question why", "it does not end well: "} {
		without := append(append([]enginetest.Told{}, story[:i]...), story[i+1:]...)
		require.Equal(t, lacks, p.judge(without), "without step %d", i+1)
	}
	require.Equal(t, "the symptom is there before the fault", p.judge(append([]enginetest.Told{story[1]}, story...)))
	story[1], story[2] = story[2], story[1]
	require.Equal(t, "nobody asks why after the symptom", p.judge(story))
}
