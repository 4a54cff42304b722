package kubelet

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

func TestJoinRotateRestart(t *testing.T) {
	r := newRig(t)
	r.serve = r.cluster(365*24*time.Hour, true)
	r.run(30 * time.Second)
	require.Equal(t, []string{PhaseStarting, PhaseRequesting, PhasePending, PhaseIssued, PhaseJoined}, r.phases())
	require.Equal(t, []string{
		`server.go:545] "Kubelet version" kubeletVersion="v1.36.3"`,
		`server.go:991] "Client rotation is on, will bootstrap in background"`,
		`bootstrap.go:101] "Use the bootstrap credentials to request a cert, and set kubeconfig to point to the certificate dir"`,
		`server.go:1048] "Starting client certificate rotation"`,
		`certificate_manager.go:422] "Certificate rotation is enabled" logger="kubernetes.io/kube-apiserver-client-kubelet"`,
		`certificate_manager.go:566] "Rotating certificates" logger="kubernetes.io/kube-apiserver-client-kubelet"`,
		`csr.go:86] "Certificate signing request created" logger="kubernetes.io/kube-apiserver-client-kubelet" csr="csr-a"`,
		`csr.go:272] "Certificate signing request is issued" logger="kubernetes.io/kube-apiserver-client-kubelet" csr="csr-a"`,
		`kubelet_node_status.go:78] "Attempting to register node" node="node-1"`,
		`kubelet_node_status.go:81] "Successfully registered node" node="node-1"`,
		`transport.go:147] "Certificate rotation detected, shutting down client connections to start using new credentials"`,
	}, r.lines()[:11])
	require.Equal(t, "system:bootstrap:07401b", r.obs[phaseIndex(r, PhasePending)].Args["user"])

	dir := "/var/lib/kubelet/pki/"
	names, err := r.disk.ReadDir(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"kubelet-client-2026-01-01-00-00-00.pem", "kubelet-client-current.pem", "kubelet.crt", "kubelet.key"}, names)
	target, err := r.disk.ReadLink(dir + "kubelet-client-current.pem")
	require.NoError(t, err)
	require.Equal(t, dir+names[0], target)
	e, _ := r.disk.Stat(dir + names[0])
	require.EqualValues(t, 0o600, e.Mode.Perm())
	require.True(t, strings.HasPrefix(string(e.Data), "-----BEGIN CERTIFICATE-----"))
	require.Contains(t, string(e.Data), "-----BEGIN EC PRIVATE KEY-----")
	conf, _ := r.disk.Stat("/etc/kubernetes/kubelet.conf")
	require.EqualValues(t, 0o600, conf.Mode.Perm())
	require.Contains(t, string(conf.Data), "  user:\n    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem\n    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem\n")

	// The Lease comes 10 s later and its renewal is folded.
	require.InDeltaSlice(t, []float64{10.26}, r.times("POST", leasesPath), 0.1)
	require.InDeltaSlice(t, []float64{20.26}, r.times("PUT", leasesPath+"/node-1"), 0.1)
	require.Equal(t, "10s", r.sent[len(r.sent)-1].Header.Get(FoldHeader))

	// Nothing happens until the deadline.
	n := len(r.sent)
	r.run(200 * 24 * time.Hour)
	require.Len(t, r.sent, n)
	r.run(365 * 24 * time.Hour)
	require.Equal(t, []string{PhaseJoined, PhaseRotating, PhaseIssued, PhaseJoined}, r.phases()[4:])
	posts := r.times("POST", csrPath)
	require.Len(t, posts, 2)
	day := 24.0 * 3600
	require.True(t, posts[1] > 0.69*365*day && posts[1] < 0.91*365*day)
	for _, s := range r.sent {
		if s.At.After(newYear.Add(time.Hour)) && s.URL == csrPath {
			require.Equal(t, connRenewal, s.Conn)
			require.NotEmpty(t, s.Dial.Cert)
			require.Empty(t, s.Header.Get("Authorization"))
		}
	}
	require.Less(t, len(r.sent)-n, 15, "a rotation costs what its events cost")

	// A restart uses the certificate and draws a new deadline.
	before := r.k.Client.Cert.Deadline
	r.obs, r.sent = nil, nil
	r.start()
	r.run(365*24*time.Hour + time.Minute)
	require.Empty(t, r.times("POST", csrPath))
	require.Contains(t, r.lines(), `bootstrap.go:85] "Current kubeconfig file contents are still valid, no bootstrap necessary"`)
	require.Equal(t, []string{PhaseStarting, PhaseJoined}, r.phases())
	require.NotEqual(t, before, r.k.Client.Cert.Deadline)
	require.Zero(t, r.count("transport.go:147"))
}

func phaseIndex(r *rig, phase string) int {
	for i, o := range r.obs {
		if o.Kind == trace.Phase && o.Args["phase"] == phase {
			return i
		}
	}
	return -1
}

func TestBackoffAsRecorded(t *testing.T) {
	r := newRig(t)
	r.run(100 * time.Second)
	got := r.times("POST", csrPath)
	// q-kubelet-timings/07: 0, 2.1, 6.2, 14.8, 31.2 s, then every 32 s.
	low := []float64{0, 2, 6, 14, 30, 62, 94}
	high := []float64{0.01, 2.21, 6.63, 15.45, 33.1, 65.1, 97.1}
	require.Len(t, got, len(low))
	for i := range low {
		require.GreaterOrEqual(t, got[i], low[i])
		require.LessOrEqual(t, got[i], high[i])
	}
	require.InDelta(t, 32, got[5]-got[4], 0.01)
	require.InDelta(t, 32, got[6]-got[5], 0.01)
	require.Equal(t, 1, r.count(`certificate_manager.go:461] "Reached backoff limit, still unable to rotate certs" err="timed out waiting for the condition"`))
	require.Equal(t, len(got), r.count(`certificate_manager.go:596] "Failed while requesting a signed certificate from the control plane" err="cannot create certificate signing request: forbidden" logger="kubernetes.io/kube-apiserver-client-kubelet.UnhandledError"`))
	keys := map[string]bool{}
	for _, s := range r.sent {
		if s.URL == csrPath {
			keys[string(s.Body)] = true
			require.Equal(t, connBootstrap, s.Conn)
			require.Equal(t, "Bearer 07401b.f395accd246ae52d", s.Header.Get("Authorization"))
		}
	}
	require.Len(t, keys, 7, "each try has a key of its own")

	// 403 is an answer of a server that works: the kubelet ends after 5 min.
	r.run(10 * time.Minute)
	require.NotNil(t, r.code)
	require.Equal(t, 1, *r.code)
	require.Equal(t, newYear.Add(5*time.Minute), r.now)
	require.Equal(t, 1, r.count(`transport.go:120] "No valid client certificate is found and the server is responsive, exiting." lastCertificateAvailabilityTime="2026-01-01 00:00:00 +0000 UTC m=+0.000000000" shutdownThreshold="5m0s"`))
}

// TestNoiseAsRecorded compares the anonymous requests of the first seconds with
// those of c/kubelet-audit.json and b2/01-no-rbac-binding-403-audit.json.
func TestNoiseAsRecorded(t *testing.T) {
	r := newRig(t)
	r.run(4 * time.Second)
	for _, x := range []struct {
		method, path string
		want         []float64
		slack        float64
	}{
		{"POST", nodesPath, []float64{0.375, 0.59, 1.0, 1.81, 3.42}, 0.05},
		{"GET", nodesPath + "/node-1", []float64{0.375, 0.59, 1.0, 1.81, 3.42}, 0.05},
		{"GET", leasesPath + "/node-1", []float64{0.251, 0.46, 0.87, 1.67, 3.28}, 0.05},
		{"GET", "/apis/storage.k8s.io/v1/csinodes/node-1", []float64{0.241, 1.245, 2.246, 3.246}, 0.05},
	} {
		require.InDeltaSlice(t, x.want, r.times(x.method, x.path), x.slack, x.path)
	}
	// Each list and watch asks twice (watch, then list) and waits 0.8 to 1.6 s,
	// then 1.6 to 3.2 s.
	for _, x := range []string{"/api/v1/services", nodesPath, "/apis/storage.k8s.io/v1/csidrivers", "/apis/node.k8s.io/v1/runtimeclasses"} {
		n := len(r.times("GET", x))
		require.True(t, n == 4 || n == 6, "%s: %d", x, n)
	}
	require.Empty(t, r.times("GET", "/api/v1/pods"), "pods wait for the nodes")
	require.Equal(t, 5, r.count(`controller.go:201] "Failed to ensure lease exists, will retry" err="forbidden" interval=`))
	require.Equal(t, 1, r.count(`controller.go:201] "Failed to ensure lease exists, will retry" err="forbidden" interval="800ms"`))
	require.Equal(t, 5, r.count(`kubelet_node_status.go:117] "Unable to register node with API server, error getting existing node" err="forbidden" node="node-1"`))
}

func TestPendingForEver(t *testing.T) {
	r := newRig(t)
	r.serve = r.cluster(0, false)
	r.run(20 * time.Minute)
	require.Nil(t, r.code, "a pending kubelet does not end")
	posts := r.times("POST", csrPath)
	require.Len(t, posts, 2)
	require.Greater(t, posts[1], 902.0)
	require.Less(t, posts[1], 902.3)
	require.Equal(t, 1, r.count(`certificate_manager.go:613] "Certificate request was not signed" err="timed out waiting for the condition"`))
	require.Equal(t, 12, r.count("transport.go:123]"), "ten complaints, the first by both checks, then one in 10 minutes")
	// What was refused for 5 minutes rests.
	n := len(r.times("POST", nodesPath))
	r.run(24 * time.Hour)
	require.Len(t, r.times("POST", nodesPath), n)
	require.Less(t, len(r.sent), 2000)
}

func TestVerdicts(t *testing.T) {
	for name, x := range map[string]struct {
		event string
		set   func(*certv1.CertificateSigningRequest)
		err   string
	}{
		"denied": {"MODIFIED", func(c *certv1.CertificateSigningRequest) {
			c.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.CertificateDenied, Reason: "KubectlDeny", Message: "This CSR was denied by kubectl certificate deny."}}
		}, `cannot watch on the certificate signing request: certificate signing request is denied, reason: KubectlDeny, message: This CSR was denied by kubectl certificate deny.`},
		"failed": {"MODIFIED", func(c *certv1.CertificateSigningRequest) {
			c.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.CertificateFailed, Reason: "R", Message: "M"}}
		}, `cannot watch on the certificate signing request: certificate signing request failed, reason: R, message: M`},
		"deleted": {"DELETED", func(c *certv1.CertificateSigningRequest) {}, `cannot watch on the certificate signing request: csr \"csr-a\" was deleted`},
		"another": {"MODIFIED", func(c *certv1.CertificateSigningRequest) { c.UID = "other" }, `cannot watch on the certificate signing request: csr \"csr-a\" changed UIDs`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.serve = r.cluster(0, false)
			r.run(time.Second)
			csr := r.csr(r.sent[0], "csr-a")
			x.set(csr)
			r.frame(csrPath, x.event, csr)
			r.run(4 * time.Second)
			require.Equal(t, 1, r.count(`certificate_manager.go:613] "Certificate request was not signed" err="`+x.err+`" logger="kubernetes.io/kube-apiserver-client-kubelet.UnhandledError"`), r.lines())
			posts := r.times("POST", csrPath)
			require.Len(t, posts, 2)
			require.InDelta(t, 3.1, posts[1], 0.11)
		})
	}
}

func TestApprovedThenIssued(t *testing.T) {
	r := newRig(t)
	r.serve = r.cluster(time.Hour, false)
	r.run(3 * time.Second)
	csr := r.csr(r.sent[0], "csr-a")
	csr.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.CertificateApproved, Status: "True"}}
	r.frame(csrPath, "MODIFIED", csr)
	r.run(3500 * time.Millisecond)
	require.Equal(t, 1, r.count("csr.go:276]"))
	require.Zero(t, r.count("csr.go:272]"))
	r.frame(csrPath, "MODIFIED", r.sign(csr, time.Hour))
	r.run(3999 * time.Millisecond)
	require.Equal(t, 1, r.count("csr.go:272]"))
	require.Zero(t, r.count("transport.go:147]"), "the first certificate is noticed at a full second")
	r.run(4 * time.Second)
	require.Equal(t, 1, r.count("transport.go:147]"))
	r.run(40 * time.Second)
	require.Equal(t, PhaseJoined, r.k.Phase)
}

// TestExpired is j1: the renewal is never approved.
func TestExpired(t *testing.T) {
	r := newRig(t)
	good := r.cluster(3*time.Minute, true)
	r.serve = good
	r.run(30 * time.Second)
	require.Equal(t, PhaseJoined, r.k.Phase)
	never := r.cluster(0, false)
	r.serve = func(s sent) (*sim.Response, string) {
		if len(s.Dial.Cert) > 0 && s.At.After(newYear.Add(3*time.Minute)) {
			return status(401, "Unauthorized"), ""
		}
		return never(s)
	}
	r.run(20 * time.Minute)
	require.Equal(t, 1, *r.code)
	// The last tick with a valid certificate is at 3 min, 5 min before the end.
	require.Equal(t, newYear.Add(8*time.Minute), r.now)
	require.Equal(t, 1, r.count(`transport.go:120] "No valid client certificate is found and the server is responsive, exiting." lastCertificateAvailabilityTime="2026-01-01 00:03:00 +0000 UTC m=+180.000000000"`), r.lines())
	require.Contains(t, r.phases(), PhaseExpired)
	require.NotZero(t, r.count(`certificate_manager.go:387] "Current certificate is expired"`))
	require.NotZero(t, r.count(`controller.go:251] "Failed to update lease" err="User`))

	r.obs, r.sent = nil, nil
	r.serve = r.cluster(time.Hour, true)
	r.start()
	r.run(10 * time.Minute)
	require.Equal(t, 1, r.count(`bootstrap.go:267] "Unhandled Error" err="part of the existing bootstrap client certificate in /etc/kubernetes/kubelet.conf is expired: 2026-01-01 00:03:00 +0000 UTC" logger="UnhandledError"`))
	require.Equal(t, []string{PhaseStarting, PhaseRequesting, PhasePending, PhaseIssued, PhaseJoined}, r.phases())
}

func TestServerAway(t *testing.T) {
	r := newRig(t)
	r.serve = func(sent) (*sim.Response, string) { return nil, "dial tcp 10.0.0.10:6443: connect: connection refused" }
	r.run(6 * time.Minute)
	require.Nil(t, r.code)
	require.NotZero(t, r.count(`kubelet_node_status.go:111] "Unable to register node with API server" err="Post \"https://10.0.0.10:6443/api/v1/nodes\": dial tcp 10.0.0.10:6443: connect: connection refused" node="node-1"`))
	require.Equal(t, 11, r.count("transport.go:123]"))
	require.Equal(t, 1, r.count(`certificate_manager.go:461]`))
	// It comes back and says no: that is the end.
	r.serve = func(sent) (*sim.Response, string) { return status(401, "Unauthorized"), "" }
	r.run(8 * time.Minute)
	require.NotNil(t, r.code)
	require.Less(t, r.now.Sub(newYear), 7*time.Minute)
}

func TestCannotStart(t *testing.T) {
	_, err := New(era.Must("1.36"), []string{"--nosuch-flag"})
	require.EqualError(t, err, "unknown flag: --nosuch-flag")

	// What 1.36 knows is taken, whether it does something here or not; what it has
	// no more is not.
	_, err = New(era.Must("1.36"), []string{"--max-pods=250", "--kube-reserved=cpu=1", "--seccomp-default", "--sync-frequency=1m", "--cloud-provider=external", "--tls-min-version=VersionTLS13"})
	require.NoError(t, err)
	for flag, want := range map[string]string{
		"--pod-infra-container-image=pause": "unknown flag: --pod-infra-container-image",
		"--max-pods=many":                   `invalid argument "many" for "--max-pods" flag: strconv.ParseInt: parsing "many": invalid syntax`,
		"--runonce=perhaps":                 `invalid argument "perhaps" for "--runonce" flag: strconv.ParseBool: parsing "perhaps": invalid syntax`,
		"--address=here":                    `invalid argument "here" for "--address" flag: "here" is not a valid IP address`,
		"--eviction-hard=memory=1":          `invalid argument "memory=1" for "--eviction-hard" flag: malformed pair, expect string<string`,
		"--system-reserved=cpu":             `invalid argument "cpu" for "--system-reserved" flag: malformed pair, expect string=string`,
		"--register-with-taints=a=b:Never":  `invalid argument "a=b:Never" for "--register-with-taints" flag: invalid taint effect: Never, unsupported taint effect`,
		"--sync-frequency=5":                `invalid argument "5" for "--sync-frequency" flag: time: missing unit in duration "5"`,
	} {
		_, err = New(era.Must("1.36"), []string{flag})
		require.EqualError(t, err, want)
	}
	_, err = New(era.Must("1.36"), []string{"--v=2", "run"})
	require.EqualError(t, err, "run")

	config := func(text string) func(d *sim.Disk) {
		return func(d *sim.Disk) {
			d.WriteFile("/var/lib/kubelet/config.yaml", []byte(kubeletConf+text), 0o644, newYear)
		}
	}
	for name, x := range map[string]struct {
		prepare func(d *sim.Disk)
		err     string
	}{
		"TLS version":  {config("tlsMinVersion: VersionTLS19\n"), `"failed to construct kubelet dependencies: unknown tls version \"VersionTLS19\""`},
		"cipher suite": {config("tlsCipherSuites: [TLS_AES_128_GCM_SHA256, NOSUCH]\n"), `"failed to construct kubelet dependencies: Cipher suite NOSUCH not supported or doesn't exist"`},
		"port": {config("port: 99999\n"),
			`"failed to validate kubelet configuration, error: invalid configuration: port (--port) 99999 must be between 1 and 65535, inclusive, path: &TypeMeta{Kind:,APIVersion:,}"`},
		"ports": {config("healthzPort: -1\nreadOnlyPort: 65536\n"),
			`"failed to validate kubelet configuration, error: [invalid configuration: healthzPort (--healthz-port) -1 must be between 1 and 65535, inclusive, invalid configuration: readOnlyPort (--read-only-port) 65536 must be between 0 and 65535, inclusive], path: &TypeMeta{Kind:,APIVersion:,}"`},
		"no bootstrap kubeconfig": {func(d *sim.Disk) { d.Remove("/etc/kubernetes/bootstrap-kubelet.conf") },
			`"failed to run Kubelet: unable to load bootstrap kubeconfig: stat /etc/kubernetes/bootstrap-kubelet.conf: no such file or directory"`},
		"empty current.pem": {func(d *sim.Disk) {
			d.MkdirAll("/var/lib/kubelet/pki", 0o755, newYear)
			d.WriteFile("/var/lib/kubelet/pki/kubelet-client-current.pem", nil, 0o600, newYear)
		}, `"failed to run Kubelet: failed to initialize client certificate manager: could not convert data from \"/var/lib/kubelet/pki/kubelet-client-current.pem\" into cert/key pair: tls: failed to find any PEM data in certificate input"`},
		"wrong type in the configuration": {func(d *sim.Disk) {
			d.WriteFile("/var/lib/kubelet/config.yaml", []byte("apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nrotateCertificates: \"yes\"\n"), 0o644, newYear)
		}, `"failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error failed to decode: json: cannot unmarshal string into Go struct field KubeletConfiguration.rotateCertificates of type bool"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			x.prepare(r.disk)
			r.run(time.Second)
			require.Equal(t, 1, *r.code)
			require.Equal(t, 1, r.count(`run.go:72] "command failed" err=`+x.err), r.lines())
			require.Equal(t, PhaseExited, r.k.Phase)
			require.Empty(t, r.sent)
		})
	}
}

func TestJittery(t *testing.T) {
	e := era.Must("1.36")
	life := 100 * time.Hour
	require.Equal(t, 70*time.Hour, Jittery(e, life, func(uint64) uint64 { return 0 }))
	require.Less(t, Jittery(e, life, func(n uint64) uint64 { return n - 1 }), 90*time.Hour)
	require.Zero(t, Jittery(e, 0, func(uint64) uint64 { t.Fatal("drawn"); return 0 }))
}

func TestRequestIsAsRecorded(t *testing.T) {
	r := newRig(t)
	r.run(time.Millisecond)
	var csr certv1.CertificateSigningRequest
	require.NoError(t, json.Unmarshal(r.sent[0].Body, &csr))
	require.Equal(t, "csr-", csr.GenerateName)
	require.Equal(t, []certv1.KeyUsage{"digital signature", "client auth"}, csr.Spec.Usages)
	require.Equal(t, "kubernetes.io/kube-apiserver-client-kubelet", csr.Spec.SignerName)
	require.Nil(t, csr.Spec.ExpirationSeconds)
	req, err := pki.ParseRequest(csr.Spec.Request)
	require.NoError(t, err)
	require.NoError(t, pki.CheckRequest(req))
	require.Equal(t, "CN=system:node:node-1,O=system:nodes", req.Subject.String())
	require.Equal(t, "kubelet/v1.36.3 (linux/amd64) kubernetes/$Format", r.sent[0].Header.Get("User-Agent"))
	require.Equal(t, r.sent[0].Dial.Addr, "10.0.0.10:6443")
	require.Empty(t, r.sent[0].Dial.Cert)
}

func TestCloneIsIndependent(t *testing.T) {
	r := newRig(t)
	r.serve = r.cluster(time.Hour, true)
	r.run(2 * time.Second)
	a, _ := json.Marshal(r.k)
	n := r.k.Clone().(*Kubelet)
	n.Timers["rotate"]++
	n.Sources["nodes"].Over = true
	delete(n.Streams, 1)
	n.Reg.Done = false
	n.Client.Cert.Noticed = false
	b, _ := json.Marshal(r.k)
	require.Equal(t, string(a), string(b))
}

// A CA file that is extended is read again by what is client-go's, at the first
// request after five minutes, and never by the connection that is the kubelet's
// own work.
func TestCAFileReadAgain(t *testing.T) {
	r := newRig(t, "--v=4")
	r.serve = r.cluster(0, false)
	r.run(time.Minute)
	const file = "/etc/kubernetes/pki/ca.crt"
	other, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca2", "kubernetes-ca-2", newYear.Add(-time.Hour), newYear.AddDate(10, 0, 0))
	require.NoError(t, err)
	old, both := string(r.ca.CertPEM()), string(r.ca.CertPEM())+string(other.CertPEM())
	// trusted is what each connection trusted while d passed.
	trusted := func(d time.Duration) map[string][]string {
		from, out := len(r.sent), map[string][]string{}
		r.run(r.now.Sub(newYear) + d)
		for _, s := range r.sent[from:] {
			if list := out[s.Conn]; !slices.Contains(list, string(s.Dial.Roots)) {
				out[s.Conn] = append(list, string(s.Dial.Roots))
			}
		}
		return out
	}
	write := func(text string) { require.NoError(t, r.disk.WriteFile(file, []byte(text), 0o644, r.now)) }
	write(both)
	require.Equal(t, map[string][]string{connBootstrap: {both}, connAPI: {old}}, trusted(16*time.Minute))
	require.Equal(t, 1, r.count(`ca_rotation.go:136] "Transport updated for CA rotation" caFile="`+file+`"`))
	// What can't be used changes nothing.
	for text, words := range map[string]string{"": `ca_rotation.go:105] "CA file empty, skipping transport rotation"`, "no PEM": `ca_rotation.go:122] "Failed to parse CA data from file"`} {
		write(text)
		require.Equal(t, map[string][]string{connBootstrap: {both}, connAPI: {old}}, trusted(16*time.Minute))
		require.NotZero(t, r.count(words))
	}
}

// filesConf is a kubeconfig that names a certificate outside of the kubelet's own
// directory, as a provisioner writes one.
const filesConf = `apiVersion: v1
clusters:
- cluster: {certificate-authority: /etc/kubernetes/pki/ca.crt, server: "https://10.0.0.10:6443"}
  name: c
contexts:
- context: {cluster: c, user: u}
  name: x
current-context: x
kind: Config
users:
- name: u
  user: `

// What the kubeconfig names, or holds, is taken when the store has nothing, as
// client-go's getCurrentCertificateOrBootstrap does: files are used for as long as
// they are good, what is embedded is rotated at once.
func TestCertificateOfTheKubeconfig(t *testing.T) {
	const crt, key = "/etc/kubernetes/node.crt", "/etc/kubernetes/node.key"
	r := newRig(t)
	leaf := func(notAfter time.Time) []byte {
		c, err := r.ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes"}}, Client: true,
			NotBefore: newYear.Add(-time.Hour), NotAfter: notAfter, Serial: []byte{9}}, pki.Keyring{Seed: "t"}.ECDSA("node").Public())
		require.NoError(t, err)
		return c
	}
	keyPEM := pki.KeyPEM(pki.Keyring{Seed: "t"}.ECDSA("node"))
	write := func(file string, text []byte) { require.NoError(t, r.disk.WriteFile(file, text, 0o600, newYear)) }
	restart := func() {
		r.serve, r.obs, r.sent = r.cluster(365*24*time.Hour, true), nil, nil
		r.now = newYear
		r.start("--v=0")
		r.run(20 * time.Second)
	}
	named := []byte(filesConf + "{client-certificate: " + crt + ", client-key: " + key + "}\n")

	write("/etc/kubernetes/kubelet.conf", named)
	write(crt, leaf(newYear.AddDate(1, 0, 0)))
	write(key, keyPEM)
	restart()
	require.Nil(t, r.code, r.lines())
	require.Empty(t, r.times("POST", csrPath), "it is good for a year")
	require.Equal(t, 1, r.count(`certificate_store.go:160] "Loading cert/key pair" certFile="`+crt+`" keyFile="`+key+`"`), r.lines())
	require.Equal(t, PhaseJoined, r.k.Phase)
	require.Equal(t, string(leaf(newYear.AddDate(1, 0, 0))), string(r.sent[len(r.sent)-1].Dial.Cert))
	_, err := r.disk.Stat("/var/lib/kubelet/pki/kubelet-client-current.pem")
	require.Error(t, err, "nothing was issued, so nothing is stored")

	// A key of another certificate. Without a bootstrap kubeconfig nothing looks at it before.
	write(key, pki.KeyPEM(pki.Keyring{Seed: "t"}.ECDSA("other")))
	restart()
	require.Equal(t, 1, *r.code)
	require.Equal(t, 1, r.count(`run.go:72] "command failed" err="failed to run Kubelet: failed to initialize client certificate manager: tls: private key does not match public key"`), r.lines())

	// Embedded, beside an expired certificate in the store.
	b64 := base64.StdEncoding.EncodeToString
	write("/etc/kubernetes/kubelet.conf", []byte(filesConf+"{client-certificate-data: "+b64(leaf(newYear.AddDate(0, 6, 0)))+", client-key-data: "+b64(keyPEM)+"}\n"))
	write("/var/lib/kubelet/pki/old.pem", append(leaf(newYear.Add(-time.Minute)), keyPEM...))
	require.NoError(t, r.disk.Symlink("/var/lib/kubelet/pki/old.pem", "/var/lib/kubelet/pki/kubelet-client-current.pem", newYear))
	restart()
	require.Nil(t, r.code, r.lines())
	require.Equal(t, 1, r.count(`certificate_store.go:147] "Loading cert/key pair from a file"`), r.lines())
	require.Len(t, r.times("POST", csrPath), 1)
	for _, s := range r.sent {
		if s.Method == http.MethodPost && s.URL == csrPath {
			require.Equal(t, string(leaf(newYear.AddDate(0, 6, 0))), string(s.Dial.Cert), "asked for as the node that it is")
		}
	}
	require.Equal(t, PhaseJoined, r.k.Phase)
}
