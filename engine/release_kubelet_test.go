package engine_test

import (
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// Each sentence about the kubelet that begins "since 1.N" is tried in the release
// before and in 1.N.

// beforeAndAfter runs a test in two releases.
func beforeAndAfter(t *testing.T, before, since string, try func(t *testing.T, b *bygone, after bool)) {
	for _, release := range []string{before, since} {
		t.Run(release, func(t *testing.T) { try(t, inRelease(t, engine.Config{Release: release}), release == since) })
	}
}

// change changes a file of node-1, unit its kubelet's command line.
func (b *bygone) change(file, old, by string) {
	b.t.Helper()
	text, err := b.w.Disk("node-1").ReadFile(file)
	require.NoError(b.t, err)
	require.Contains(b.t, string(text), old)
	b.on("cat > " + file + " <<'EOF'\n" + strings.TrimSpace(strings.ReplaceAll(string(text), old, by)) + "\nEOF")
}

func (b *bygone) unit(old, by string) {
	b.t.Helper()
	b.change("/etc/systemd/system/kubelet.service", old, by)
	b.on("systemctl daemon-reload")
}

// names are those of all requests for certificates, of a node's own or of its
// bootstrap.
func (b *bygone) names() (out []string) {
	for _, csr := range b.csrs() {
		out = append(out, csr["metadata"].(map[string]any)["name"].(string))
	}
	return out
}

func (b *bygone) spec(i int) map[string]any { return b.csrs()[i]["spec"].(map[string]any) }

func TestOldKubeletLooksIntoItsKubeconfig(t *testing.T) {
	beforeAndAfter(t, "1.8", "1.9", func(t *testing.T, b *bygone, after bool) {
		b.on("echo nonsense > /etc/kubernetes/kubelet.conf; systemctl start kubelet")
		b.pass(3 * time.Second)
		if after {
			require.Contains(t, b.log(), "] Unable to read existing bootstrap client config: ")
			require.Contains(t, b.names()[0], "node-csr-")
			return
		}
		require.Contains(t, b.log(), "] Kubeconfig /etc/kubernetes/kubelet.conf exists, skipping bootstrap")
		require.Empty(t, b.names())
	})
}

// Whoever has an expired certificate: it is shown for ever, or ends the process at
// once, or is none any more and ends it after five minutes.
func TestOldKubeletWithAnExpiredCertificate(t *testing.T) {
	for release, words := range map[string]string{
		"1.8":  "",
		"1.9":  "] The currently active client certificate has expired and the server is responsive, exiting.",
		"1.13": "] The currently active client certificate has expired and the server is responsive, exiting.",
		"1.14": "] It has been 5m0s since a valid client cert was found and the server is responsive, exiting.",
		"1.20": "] It has been 5m0s since a valid client cert was found and the server is responsive, exiting.",
		"1.21": `] "No valid client certificate is found and the server is responsive, exiting." lastCertificateAvailabilityTime=`,
	} {
		t.Run(release, func(t *testing.T) {
			b := inRelease(t, engine.Config{Release: release})
			b.signsFor("1h")
			b.joins()
			// A certificate that is renewed makes the server one that answers.
			b.automatic()
			b.pass(70 * time.Minute)
			require.Equal(t, 200, b.unbind("selfnodeclient"))
			require.Equal(t, 200, b.unbind("nodeclient"))
			b.pass(2 * time.Hour)
			log := b.log()
			if words == "" {
				require.NotContains(t, log, "exiting")
				require.Contains(t, log, "Error updating node status, will retry: error getting node \"node-1\": Unauthorized")
				require.NotContains(t, log, "Main process exited")
				return
			}
			require.Contains(t, log, words)
			require.Contains(t, log, map[bool]string{true: "status=1/FAILURE", false: "status=255/EXCEPTION"}[release == "1.21"])
		})
	}
}

// unbind takes a group's ClusterRole away.
func (b *bygone) unbind(name string) int {
	code, _ := b.call(b.t, adminName, "DELETE", b.bindings()+"/"+name, nil)
	return code
}

func TestOldKubeletFiles(t *testing.T) {
	beforeAndAfter(t, "1.10", "1.11", func(t *testing.T, b *bygone, after bool) {
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		pending := b.on("ls /var/lib/kubelet/pki")
		b.settle("Approved")
		b.pass(3 * time.Second)
		issued, conf := b.on("ls /var/lib/kubelet/pki"), b.on("cat /etc/kubernetes/kubelet.conf")
		if after {
			require.Contains(t, pending, "kubelet-client.key.tmp")
			require.NotContains(t, issued, "kubelet-client.key")
			require.Contains(t, conf, "client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem")
			return
		}
		require.Contains(t, pending, "kubelet-client.key\n")
		require.Contains(t, issued, "kubelet-client.crt\nkubelet-client.key\n")
		require.Contains(t, conf, "client-certificate: /var/lib/kubelet/pki/kubelet-client.crt\n    client-key: /var/lib/kubelet/pki/kubelet-client.key")
	})
}

// The pair that a kubelet gives its port: an authority of its own, signed by one
// that is thrown away, and from an hour ago.
func TestOldKubeletOwnPair(t *testing.T) {
	for release, want := range map[string]struct {
		certs int
		early time.Duration
	}{"1.9": {1, 0}, "1.10": {2, 0}, "1.11": {2, 0}, "1.12": {2, time.Hour}} {
		t.Run(release, func(t *testing.T) {
			b := inRelease(t, engine.Config{Release: release})
			if want.certs == 1 || release == "1.10" {
				b.unit("RotateKubeletServerCertificate=true", "RotateKubeletServerCertificate=false")
			}
			b.on("systemctl start kubelet")
			b.pass(3 * time.Second)
			text, err := b.w.Disk("node-1").ReadFile("/var/lib/kubelet/pki/kubelet.crt")
			require.NoError(t, err)
			certs, err := pki.ParseCerts(text)
			require.NoError(t, err)
			require.Len(t, certs, want.certs)
			require.Equal(t, want.certs == 1, certs[0].IsCA)
			require.WithinDuration(t, b.w.Now().Add(-want.early), certs[0].NotBefore, time.Minute)
			require.Equal(t, 365*24*time.Hour, certs[0].NotAfter.Sub(certs[0].NotBefore))
		})
	}
}

// With the gate alone the cluster is asked for the port's certificate; since 1.11
// serverTLSBootstrap must say so.
func TestOldKubeletServing(t *testing.T) {
	beforeAndAfter(t, "1.10", "1.11", func(t *testing.T, b *bygone, after bool) {
		b.joins()
		files := b.on("ls /var/lib/kubelet/pki")
		require.Equal(t, !after, strings.Contains(files, "kubelet-server-current.pem"), files)
		require.Equal(t, after, strings.Contains(files, "kubelet.crt"), files)
	})
	// Before 1.10 nothing goes on until somebody has answered.
	beforeAndAfter(t, "1.9", "1.10", func(t *testing.T, b *bygone, after bool) {
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		b.settle("Approved")
		b.pass(30 * time.Second)
		require.Len(t, b.names(), 2)
		status, _ := b.ready("node-1")
		require.Equal(t, map[bool]string{false: "", true: "True"}[after], status)
		b.settle("Approved")
		b.pass(30 * time.Second)
		status, _ = b.ready("node-1")
		require.Equal(t, "True", status)
	})
}

// Since 1.14 a kubelet that rotates starts without a certificate: its request has a
// name that is made up, and no refusal ends it.
func TestOldKubeletStartsInTheBackground(t *testing.T) {
	beforeAndAfter(t, "1.13", "1.14", func(t *testing.T, b *bygone, after bool) {
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		require.Equal(t, !after, strings.HasPrefix(b.names()[0], "node-csr-"), b.names())
		b.settle("Denied")
		b.pass(3 * time.Second)
		if after {
			require.Contains(t, b.log(), "certificate request was not signed: cannot watch on the certificate signing request: certificate signing request is not approved, reason: KubectlDeny"[1:])
			require.NotContains(t, b.log(), "exited")
			return
		}
		require.Contains(t, b.log(), "server.go:261] failed to run Kubelet: cannot watch on the certificate signing request: certificate signing request is not approved, reason: KubectlDeny")
		require.Contains(t, b.log(), "status=255/EXCEPTION")
	})
}

// signsFor is how long certificates live.
func (b *bygone) signsFor(d string) {
	b.t.Helper()
	for _, f := range era.UnitFlags(b.e, kcmUnit) {
		if name, _, _ := strings.Cut(f, "="); strings.HasSuffix(name, "cluster-signing-duration") {
			b.flag(b.t, name+"="+d)
		}
	}
	b.pass(5 * time.Second)
}

// How often a renewal that nobody approves is asked for anew in two hours.
func TestOldKubeletWaits(t *testing.T) {
	for release, want := range map[string]int{"1.8": 2, "1.9": 9, "1.13": 9, "1.14": 8, "1.36": 8} {
		t.Run(release, func(t *testing.T) {
			b := inRelease(t, engine.Config{Release: release})
			b.signsFor("24h")
			b.joins()
			renewals := func() (n int) {
				for i, csr := range b.csrs() {
					usages := csr["spec"].(map[string]any)["usages"].([]any)
					if usages[len(usages)-1] == "client auth" && b.names()[i] != "" && csr["status"].(map[string]any)["certificate"] == nil {
						n++
					}
				}
				return n
			}
			for b.pass(16 * time.Hour); renewals() == 0; {
				b.pass(5 * time.Minute)
			}
			b.pass(2 * time.Hour)
			require.InDelta(t, want, renewals()-1, 1)
		})
	}
}

// The name of the older bootstrap's request is a digest of the private key, since
// 1.16 of the public one.
func TestOldKubeletNamesItsRequest(t *testing.T) {
	beforeAndAfter(t, "1.15", "1.16", func(t *testing.T, b *bygone, after bool) {
		b.change("/var/lib/kubelet/config.yaml", "rotateCertificates: true", "rotateCertificates: false")
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		text, err := b.w.Disk("node-1").ReadFile("/var/lib/kubelet/pki/kubelet-client.key.tmp")
		require.NoError(t, err)
		piece := text
		if after {
			key, err := pki.ParseKey(text)
			require.NoError(t, err)
			piece, err = x509.MarshalPKIXPublicKey(key.Public())
			require.NoError(t, err)
		}
		var all string
		for _, x := range []string{string(piece), "system:node:node-1", "system:nodes", "digital signature", "key encipherment", "client auth"} {
			all += base64.RawURLEncoding.EncodeToString([]byte(x)) + "|"
		}
		sum := sha512.Sum512_256([]byte(all))
		require.Equal(t, []string{"node-csr-" + base64.RawURLEncoding.EncodeToString(sum[:])}, b.names())
	})
}

func TestOldKubeletAsksFor(t *testing.T) {
	beforeAndAfter(t, "1.26", "1.27", func(t *testing.T, b *bygone, after bool) {
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		want := []any{"digital signature", "key encipherment", "client auth"}
		if after {
			want = []any{"digital signature", "client auth"}
		}
		require.Equal(t, want, b.spec(0)["usages"])
		b.settle("Approved")
		b.pass(11 * time.Second)
		// The first certificate is noticed at the next tick: of ten seconds, since 1.27
		// of one.
		b.on("systemctl stop kubelet")
		log := b.log()
		require.Equal(t, after, strings.Contains(log, "04.00") && strings.Contains(log, "Certificate rotation detected") && !strings.Contains(log, ":10.004000     607 transport.go"), log)
	})
	beforeAndAfter(t, "1.17", "1.18", func(t *testing.T, b *bygone, after bool) {
		b.on("systemctl start kubelet")
		b.pass(3 * time.Second)
		require.Equal(t, after, b.spec(0)["signerName"] != nil)
	})
}

// What somebody who searches for it finds in the log.
func TestOldKubeletWords(t *testing.T) {
	for release, words := range map[string]string{
		"1.8":  `] error: `,
		"1.15": `] Failed while requesting a signed certificate from the master: cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden`,
		"1.21": `] Failed while requesting a signed certificate from the master: cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden`,
		"1.22": `] kubernetes.io/kube-apiserver-client-kubelet: Failed while requesting a signed certificate from the control plane: cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden`,
		"1.31": `] "Unhandled Error" err="kubernetes.io/kube-apiserver-client-kubelet: Failed while requesting a signed certificate from the control plane: cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden`,
		"1.33": `] "Failed while requesting a signed certificate from the control plane" err="cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden`,
	} {
		t.Run(release, func(t *testing.T) {
			b := inRelease(t, engine.Config{Release: release})
			require.Equal(t, 200, b.unbind("bootstrap"))
			b.on("systemctl start kubelet")
			b.pass(8 * time.Second)
			if release == "1.8" {
				words = `error: failed to run Kubelet: cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is forbidden: User "kubelet-bootstrap" cannot create certificatesigningrequests.certificates.k8s.io at the cluster scope`
			}
			require.Contains(t, b.log(), words)
		})
	}
}

// Before 1.14 the heartbeat is the Node's status, which costs nothing while nothing
// happens; then it is a Lease.
func TestOldKubeletHeartbeats(t *testing.T) {
	beforeAndAfter(t, "1.13", "1.14", func(t *testing.T, b *bygone, after bool) {
		b.joins()
		_, first := b.ready("node-1")
		b.pass(6 * time.Hour)
		from := len(b.obs)
		b.pass(24 * time.Hour)
		require.Less(t, len(b.obs)-from, 200)
		status, heard := b.ready("node-1")
		require.Equal(t, "True", status)
		if after {
			require.Equal(t, first, heard)
			return
		}
		at, err := time.Parse(time.RFC3339, heard)
		require.NoError(t, err)
		require.WithinDuration(t, b.w.Now(), at, 11*time.Second)
		// It ends with the kubelet.
		b.on("systemctl stop kubelet")
		stopped := b.w.Now()
		b.pass(time.Hour)
		_, heard = b.ready("node-1")
		at, err = time.Parse(time.RFC3339, heard)
		require.NoError(t, err)
		require.WithinDuration(t, stopped, at, 11*time.Second)
	})
}
