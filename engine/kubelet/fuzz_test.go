package kubelet

import (
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// FuzzFiles: whatever stands in a file that a kubelet reads, or in its flags, it
// runs for ten seconds, or ends with a line that says why.
func FuzzFiles(f *testing.F) {
	const own = "apiVersion: v1\nkind: Config\nclusters:\n- {name: c, cluster: {server: 'https://10.0.0.10:6443', certificate-authority: pki/ca.crt}}\ncontexts:\n- {name: x, context: {cluster: c, user: u}}\ncurrent-context: x\nusers:\n- {name: u, user: {client-certificate: /k/own.pem, client-key: /k/own.pem}}\n"
	const serving = kubeletConf + "serverTLSBootstrap: true\nauthentication: {x509: {clientCAFile: /k/ca.crt}}\n"
	const files = kubeletConf + "tlsCertFile: /k/tls.crt\ntlsPrivateKeyFile: /k/tls.key\n"
	kr := pki.Keyring{Seed: "t"}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", newYear.Add(-time.Hour), newYear.AddDate(10, 0, 0))
	require.NoError(f, err)
	leaf, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:node-1"}, Client: true, Server: true, NotBefore: newYear.Add(-time.Hour), NotAfter: newYear.AddDate(1, 0, 0), Serial: []byte{7}}, kr.ECDSA("leaf").Public())
	require.NoError(f, err)
	pair := string(leaf) + string(pki.KeyPEM(kr.ECDSA("leaf")))
	// Each world has all files; one of them is what comes.
	rows := []struct{ file, config, text string }{
		{"", kubeletConf, "--node-ip=10.0.0.11 --rotate-certificates=false --tls-cert-file=/k/tls.crt"},
		{"/k/config.yaml", "", kubeletConf}, {"/k/config.yaml", "", serving}, {"/k/config.yaml", "", files},
		{"/k/boot.conf", kubeletConf, bootConf}, {"/k/boot.conf", "rotateCertificates: false", bootConf}, {"/k/kubelet.conf", kubeletConf, own}, {"/k/kubelet.conf", "rotateCertificates: false", own},
		{"/k/ca.crt", serving, string(ca.CertPEM())}, {"/etc/kubernetes/pki/ca.crt", kubeletConf, string(ca.CertPEM())},
		{"/k/tls.crt", files, string(leaf)}, {"/k/tls.key", files, string(pki.KeyPEM(kr.ECDSA("leaf")))},
		{"/k/own.pem", kubeletConf, pair}, {"/k/pki/kubelet-client-current.pem", kubeletConf, pair}, {"/k/pki/kubelet-server-current.pem", serving, pair},
		{"/k/pki/kubelet-client.key.tmp", "rotateCertificates: false", string(pki.KeyPEM(kr.ECDSA("leaf")))},
	}
	for i, row := range rows {
		f.Add(byte(i), row.text)
	}
	f.Fuzz(func(t *testing.T, which byte, text string) {
		row := rows[int(which)%len(rows)]
		r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, ca: ca, now: newYear, open: map[uint64]sent{}, answers: map[uint64]*sim.Response{}, ports: map[string]sim.Listen{}}
		r.serve = func(sent) (*sim.Response, string) { return status(403, "forbidden"), "" }
		put := func(name, text string) {
			r.disk.MkdirAll(name[:strings.LastIndex(name, "/")], 0o755, newYear)
			r.disk.WriteFile(name, []byte(text), 0o600, newYear)
		}
		config := row.config
		if strings.HasPrefix(config, "rotate") {
			config = strings.Replace(kubeletConf, "rotateCertificates: true", config, 1)
		}
		put("/k/config.yaml", config)
		put("/k/boot.conf", bootConf)
		put("/etc/kubernetes/pki/ca.crt", string(ca.CertPEM()))
		put("/k/ca.crt", string(ca.CertPEM()))
		put("/k/tls.crt", string(leaf))
		put("/k/tls.key", string(pki.KeyPEM(kr.ECDSA("leaf"))))
		args := []string{"--bootstrap-kubeconfig=/k/boot.conf", "--kubeconfig=/k/kubelet.conf", "--config=/k/config.yaml", "--cert-dir=/k/pki", "--v=5"}
		if row.file == "" {
			args = append(args, strings.Fields(text)...)
		} else {
			if row.file == "/k/own.pem" {
				put("/k/kubelet.conf", own)
			}
			put(row.file, text)
		}
		k, err := New(era.Must("1.36"), args)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		r.k, r.queue = k, sim.Queue{}
		r.post(r.now, sim.Msg{Kind: sim.MsgStart})
		for steps := 0; r.code == nil; steps++ {
			at, ok := r.queue.Next()
			if !ok || at.After(newYear.Add(10*time.Second)) {
				break
			}
			require.Less(t, steps, 2000, "it does not come to rest")
			e := r.queue.Pop()
			r.now = e.At
			r.step(e.Msg)
		}
		if r.code != nil {
			require.NotZero(t, *r.code)
			require.NotEmpty(t, r.lines(), "it ended without a word")
		}
	})
}
