package engine_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
)

// playKubectl types the commands of people at the admin's again. Who it is stands
// at the end of a file's name.
func playKubectl(t *testing.T, folder string) golden.Play {
	k := newCluster(t)
	for _, who := range []string{"alice", "node-x"} {
		now := k.w.Now()
		key := pki.Keyring{Seed: "golden"}.ECDSA(who)
		cert, err := k.clientCA(t).Leaf(pki.LeafSpec{Subject: subjects[who], Client: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), Serial: []byte{7}}, key.Public())
		require.NoError(t, err)
		k.person(t, who, "client-certificate-data: "+base64.StdEncoding.EncodeToString(cert)+", client-key-data: "+base64.StdEncoding.EncodeToString(pki.KeyPEM(key)))
	}
	k.person(t, "bootstrap", "token: abcdef.0123456789abcdef")
	k.person(t, "unknown-token", "token: zzzzzz.0123456789abcdef")
	if strings.HasPrefix(folder, "i-") {
		k.call(t, adminName, "POST", secretsPath, bootstrapSecret("abcdef", nil))
		k.pass(2 * time.Minute)
		k.say(t, "admin", "kubectl create clusterrolebinding kubeadm:kubelet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
		k.say(t, "admin", "kubectl create clusterrolebinding kubeadm:node-autoapprove-bootstrap --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
		k.say(t, "admin", "kubectl create clusterrolebinding oracle:node-d-autoapprove-rotation --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --user=system:node:node-d")
		k.decided(t)
		k.pass(time.Second)
	}
	return func(t *testing.T, rec golden.Recording) {
		text := rec.Text(t)
		if rec.File == "all-clusterrolebindings-wide.txt" {
			k.w.AdvanceTo(k.w.Now().Add(70 * time.Second))
			text = "$ kubectl get clusterrolebindings -o wide\n--- stdout\n" + text + "--- stderr\n--- exit status 0\n"
		}
		want := readCommand(t, text)
		line := want.typed()
		if m := regexp.MustCompile(`-(alice|node-x|bootstrap|unknown-token)\.txt$`).FindStringSubmatch(rec.File); m != nil {
			line = strings.Replace(line, "kubectl ", "kubectl --kubeconfig=/root/"+m[1]+".conf ", 1)
		}
		got, _ := perform(t, k.w, "admin", line)
		for _, c := range []*recordedCommand{&want, &got} {
			// No part of Kubernetes, or of other folders.
			c.stdout = regexp.MustCompile(`(?m)^( .*/\.well-known.*|system:openshift:.*|system:controller:service-ca-cert-publisher.*|csr-.*)\n`).ReplaceAllString(c.stdout, "")
		}
		want.stderr = memcache.ReplaceAllString(want.stderr, "")
		compareCommands(t, want, got)
	}
}

// memcache are lines of kubectl's own log, of which there are none here.
var memcache = regexp.MustCompile(`(?m)^E\d{4} .*(memcache|cert_rotation)\.go:\d+\] .*\n`)

// person writes somebody's kubeconfig to the admin's host.
func (k *cluster) person(t *testing.T, name, user string) {
	t.Helper()
	k.say(t, "admin", fmt.Sprintf("mkdir -p /root; cat > /root/%s.conf <<'EOF'\nclusters: [{name: k, cluster: {server: 'https://10.0.0.10:6443', certificate-authority-data: %s}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {%s}}]\nEOF",
		name, base64.StdEncoding.EncodeToString(k.ca(t, "ca").CertPEM()), user))
}

// decided makes the six CSRs that the recorder looked at.
func (k *cluster) decided(t *testing.T) {
	t.Helper()
	for _, x := range []struct{ name, who, signer, kind string }{
		{"t-pending", adminName, "example.com/x", ""},
		{"t-approved", adminName, "example.com/x", "Approved"},
		{"t-denied", adminName, "example.com/x", "Denied"},
		{"t-issued", "node-x", certv1.KubeAPIServerClientKubeletSignerName, "Approved"},
		{"t-failed", adminName, certv1.KubeAPIServerClientKubeletSignerName, "Approved"},
		{"t-exp", adminName, "example.com/x", ""},
	} {
		csr := csrOf(t, x.name, x.signer)
		switch x.name {
		case "t-failed":
			csr.Spec.Usages = []certv1.KeyUsage{certv1.UsageClientAuth}
		case "t-exp":
			day := int32(86400)
			csr.Spec.ExpirationSeconds = &day
		}
		code, made := k.call(t, x.who, "POST", csrsPath, csr)
		require.Equal(t, 201, code, made)
		if x.kind == "" {
			continue
		}
		csr = as[certv1.CertificateSigningRequest](t, made)
		csr.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.RequestConditionType(x.kind), Status: "True", Reason: "OracleApprove", Message: "approved by the oracle driver"}}
		code, made = k.call(t, adminName, "PUT", csrsPath+"/"+x.name+"/approval", csr)
		require.Equal(t, 200, code, made)
	}
}
