package kubelet

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// The defaults of 1.36 are those of its flags; other releases have some of their own.
func TestDefaultsByRelease(t *testing.T) {
	plain := new(KubeletConfiguration)
	require.NoError(t, json.Unmarshal([]byte(defaults), plain))
	require.Equal(t, plain, normal(era.Must("1.36")))
	for release, want := range map[string]struct{ qps, burst int32 }{"1.10": {5, 10}, "1.26": {5, 10}, "1.27": {50, 100}} {
		n := normal(era.Must(release))
		require.Equal(t, want.qps, *n.EventRecordQPS, release)
		require.Equal(t, want.burst, n.KubeAPIBurst*1, release)
	}
	require.False(t, *normal(era.Must("1.34")).FailCgroupV1)
	for _, release := range era.Releases() {
		cfg := new(KubeletConfiguration)
		cfg.complete(era.Must(release))
		require.False(t, *cfg.Authentication.Anonymous.Enabled, release)
		require.Zero(t, cfg.ReadOnlyPort, release)
		cfg.legacy(era.Must(release))
		require.True(t, *cfg.Authentication.Anonymous.Enabled, release)
		require.False(t, *cfg.Authentication.Webhook.Enabled, release)
		require.Equal(t, "AlwaysAllow", cfg.Authorization.Mode, release)
		require.EqualValues(t, 10255, cfg.ReadOnlyPort, release)
	}
}

// What the kubelets of 1.7.4, 1.8.0 and 1.11.1 said of their flags: golden-old f-flags.
func TestFlagsAsRecorded(t *testing.T) {
	const byConfig = " has been deprecated, This parameter should be set via the config file specified by the Kubelet's --config flag. See https://kubernetes.io/docs/tasks/administer-cluster/kubelet-config-file/ for more information."
	// What follows the flag that a recording is about.
	rest := strings.Fields("--root-dir=/var/lib/kubelet/root --cert-dir=/var/lib/kubelet/pki --address=127.0.0.1 --port=10266 --read-only-port=0 --healthz-port=0 --docker-endpoint=fake:// --hostname-override=node-f")
	restTold := []string{"Flag --address" + byConfig, "Flag --port" + byConfig, "Flag --read-only-port" + byConfig, "Flag --healthz-port" + byConfig, "Flag --fail-swap-on" + byConfig}
	for _, row := range []struct {
		release, args string
		rest          bool
		why           string
		told          []string
		status        int
	}{
		{release: "1.7", args: "--bogus-flag", why: "unknown flag: --bogus-flag", status: 2},                                                                                                                  // 1.7.4/01
		{release: "1.7", args: "--rotate-certificates", rest: true, why: "unknown flag: --rotate-certificates", status: 2},                                                                                    // 1.7.4/02
		{release: "1.7", args: "--rotate-server-certificates", rest: true, why: "unknown flag: --rotate-server-certificates", status: 2},                                                                      // 1.7.4/03
		{release: "1.7", args: "--experimental-bootstrap-kubeconfig=/nosuch --kubeconfig=/kk", rest: true},                                                                                                    // 1.7.4/04
		{release: "1.7", args: "--api-servers=https://127.0.0.1:16443", rest: true, told: []string{"Flag --api-servers has been deprecated, Use --kubeconfig instead. Will be removed in a future version."}}, // 1.7.4/05
		{release: "1.7", args: "--require-kubeconfig --kubeconfig=/nosuch", rest: true},                                                                                                                       // 1.7.4/06
		{release: "1.7", args: "--feature-gates=Bogus=true", rest: true},                                                                                                                                      // 1.7.4/07: told at the start
		{release: "1.7", args: "--config=/nosuch.yaml", rest: true, why: "unknown flag: --config", status: 2},                                                                                                 // 1.7.4/10
		{release: "1.7", args: "--cert_dir=/var/lib/kubelet/pki2", rest: true},                                                                                                                                // 1.7.4/11
		{release: "1.8", args: "--bogus-flag", why: "unknown flag: --bogus-flag", status: 2},                                                                                                                  // 1.8.0/01
		{release: "1.8", args: "--rotate-certificates", rest: true},                                                                                                                                           // 1.8.0/02
		{release: "1.8", args: "--rotate-server-certificates", rest: true, why: "unknown flag: --rotate-server-certificates", status: 2},                                                                      // 1.8.0/03
		{release: "1.8", args: "--experimental-bootstrap-kubeconfig=/nosuch --kubeconfig=/kk", rest: true},                                                                                                    // 1.8.0/04
		{release: "1.8", args: "--api-servers=https://127.0.0.1:16443", rest: true, why: "unknown flag: --api-servers", status: 2},                                                                            // 1.8.0/05
		{release: "1.8", args: "--require-kubeconfig --kubeconfig=/nosuch", rest: true, told: []string{"Flag --require-kubeconfig has been deprecated, You no longer need to use --require-kubeconfig. This will be removed in a future version. Providing --kubeconfig enables API server mode, omitting --kubeconfig enables standalone mode unless --require-kubeconfig=true is also set. In the latter case, the legacy default kubeconfig path will be used until --require-kubeconfig is removed."}}, // 1.8.0/06
		{release: "1.8", args: "--config=/nosuch.yaml", rest: true, why: "unknown flag: --config", status: 2},                                                                                                           // 1.8.0/10
		{release: "1.11", args: "--bogus", why: "unknown flag: --bogus", status: 255},                                                                                                                                   // 1.11.1/01
		{release: "1.11", args: "--rotate-certificates", rest: true, told: []string{"Flag --rotate-certificates" + byConfig}},                                                                                           // 1.11.1/02
		{release: "1.11", args: "--rotate-server-certificates", rest: true, told: []string{"Flag --rotate-server-certificates" + byConfig}},                                                                             // 1.11.1/03
		{release: "1.11", args: "--experimental-bootstrap-kubeconfig=/nosuch --kubeconfig=/kk", rest: true, told: []string{"Flag --experimental-bootstrap-kubeconfig has been deprecated, Use --bootstrap-kubeconfig"}}, // 1.11.1/04
		{release: "1.11", args: "--require-kubeconfig", rest: true, why: "unknown flag: --require-kubeconfig", status: 255},                                                                                             // 1.11.1/05
		{release: "1.11", args: "--rotate-certificates --feature-gates=RotateKubeletClientCertificate=false", rest: true, told: []string{"Flag --rotate-certificates" + byConfig, "Flag --feature-gates" + byConfig}},   // 1.11.1/06
		// Of releases without a recording: the sources.
		{release: "1.22", args: "--experimental-bootstrap-kubeconfig=/nosuch", told: []string{"Flag --experimental-bootstrap-kubeconfig has been deprecated, Use --bootstrap-kubeconfig"}},
		{release: "1.23", args: "--experimental-bootstrap-kubeconfig=/nosuch", why: "unknown flag: --experimental-bootstrap-kubeconfig", status: 1},
		{release: "1.23", args: "--network-plugin=cni", told: []string{"Flag --network-plugin has been deprecated, will be removed along with dockershim."}},
		{release: "1.24", args: "--network-plugin=cni", why: "unknown flag: --network-plugin", status: 1},
		{release: "1.9", args: "stray"},
		{release: "1.11", args: "stray", why: "stray", status: 255},
		{release: "1.9", args: "--max-pods=many", why: `invalid argument "many" for --max-pods=many: strconv.ParseInt: parsing "many": invalid syntax`, status: 2},
		{release: "1.10", args: "--max-pods=many", why: `invalid argument "many" for "--max-pods" flag: strconv.ParseInt: parsing "many": invalid syntax`, status: 255},
	} {
		args := strings.Fields(row.args)
		if row.rest {
			args = append(args, rest...)
			if row.release != "1.7" {
				args = append(args, "--fail-swap-on=false")
			}
			if row.release == "1.11" && row.why == "" {
				row.told = append(row.told, restTold...)
			}
		}
		f, err := parseFlags(era.Must(row.release), args)
		if row.why == "" {
			require.NoError(t, err, row.args)
			require.Equal(t, row.told, f.Told, "%s %s", row.release, row.args)
			continue
		}
		var refused *era.Refusal
		require.ErrorAs(t, err, &refused)
		require.Equal(t, row.why, refused.Why)
		require.Equal(t, row.status, refused.Ending.Status, row.args)
	}
}

// What the same kubelets said when they had read their flags, of the lines of
// golden-old f-flags that are about flags and gates.
func TestStartAsRecorded(t *testing.T) {
	const rest = " --root-dir=/var/lib/kubelet/root --cert-dir=/var/lib/kubelet/pki --address=127.0.0.1 --port=10266 --read-only-port=0 --healthz-port=0 --docker-endpoint=fake:// --hostname-override=node-f"
	const maybe = `invalid value of RotateKubeletClientCertificate: maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax`
	for _, row := range []struct {
		release, args string
		first, last   string
		status        int
	}{
		{"1.7", "--feature-gates=Bogus=true", "", "error: failed to run Kubelet: unrecognized key: Bogus", 1},                                                                                                                         // 1.7.4/07
		{"1.7", "--feature-gates=RotateKubeletClientCertificate=maybe", "", "error: failed to run Kubelet: " + maybe, 1},                                                                                                              // 1.7.4/09
		{"1.7", "--feature-gates=RotateKubeletClientCertificate=true,RotateKubeletServerCertificate=true", "feature_gate.go:144] feature gates: map[RotateKubeletClientCertificate:true RotateKubeletServerCertificate:true]", "", 0}, // 1.7.4/08
		{"1.7", "--api-servers=https://127.0.0.1:16443", "Flag --api-servers has been deprecated, Use --kubeconfig instead. Will be removed in a future version.", "", 0},                                                             // 1.7.4/05
		{"1.7", "--experimental-bootstrap-kubeconfig=/var/lib/kubelet/nosuch --kubeconfig=/var/lib/kubelet/kubelet.kubeconfig", "feature_gate.go:144] feature gates: map[]",
			"error: failed to run Kubelet: unable to load bootstrap kubeconfig: stat /var/lib/kubelet/nosuch: no such file or directory", 1}, // 1.7.4/04
		{"1.8", "--feature-gates=Bogus=true", "", "error: unrecognized key: Bogus", 1},            // 1.8.0/07
		{"1.8", "--feature-gates=RotateKubeletClientCertificate=maybe", "", "error: " + maybe, 1}, // 1.8.0/09
		{"1.8", "--feature-gates=RotateKubeletClientCertificate=true,RotateKubeletServerCertificate=true", "feature_gate.go:156] feature gates: map[RotateKubeletClientCertificate:true RotateKubeletServerCertificate:true]", "", 0}, // 1.8.0/08
		{"1.8", "--rotate-certificates", "feature_gate.go:156] feature gates: map[]", "", 0}, // 1.8.0/02
		{"1.8", "--experimental-bootstrap-kubeconfig=/var/lib/kubelet/nosuch --kubeconfig=/var/lib/kubelet/kubelet.kubeconfig", "feature_gate.go:156] feature gates: map[]",
			"error: failed to run Kubelet: unable to load bootstrap kubeconfig: stat /var/lib/kubelet/nosuch: no such file or directory", 1}, // 1.8.0/04
		{"1.11", "--rotate-server-certificates", "Flag --rotate-server-certificates has been deprecated", "server.go:207] invalid configuration: ServerTLSBootstrap true requires feature gate RotateKubeletServerCertificate", 255},                                        // 1.11.1/03
		{"1.11", "--rotate-certificates --feature-gates=RotateKubeletClientCertificate=false", "Flag --rotate-certificates has been deprecated", "server.go:207] invalid configuration: RotateCertificates true requires feature gate RotateKubeletClientCertificate", 255}, // 1.11.1/06
		{"1.11", "--rotate-certificates --bootstrap-kubeconfig=/var/lib/kubelet/nosuch --kubeconfig=/var/lib/kubelet/kk", "Flag --rotate-certificates has been deprecated",
			"server.go:262] failed to run Kubelet: unable to load bootstrap kubeconfig: stat /var/lib/kubelet/nosuch: no such file or directory", 255}, // 1.11.1/02
		{"1.11", "--experimental-bootstrap-kubeconfig=/var/lib/kubelet/nosuch --kubeconfig=/var/lib/kubelet/kk", "Flag --experimental-bootstrap-kubeconfig has been deprecated, Use --bootstrap-kubeconfig",
			"server.go:262] failed to run Kubelet: unable to load bootstrap kubeconfig: stat /var/lib/kubelet/nosuch: no such file or directory", 255}, // 1.11.1/04
		// The sources.
		{"1.20", "--feature-gates=Bogus=true", "", "server.go:182] unrecognized feature gate: Bogus", 255},
		{"1.21", "--feature-gates=RotateKubeletClientCertificate=true", "", `server.go:186] "Failed to set feature gates from initial flags-based config" err="unrecognized feature gate: RotateKubeletClientCertificate"`, 1},
		{"1.24", "--feature-gates=Bogus=true", "", "Error: failed to set feature gates from initial flags-based config: unrecognized feature gate: Bogus", 1},
		{"1.30", "--feature-gates=Bogus=true", "", `run.go:74] "command failed" err="failed to set feature gates from initial flags-based config: unrecognized feature gate: Bogus"`, 1},
		{"1.20", "--feature-gates=RotateKubeletClientCertificate=true", "", "", 0},
	} {
		r := newRig(t)
		r.obs = nil
		args := row.args
		if row.release < "1.2" || row.release == "1.7" || row.release == "1.8" {
			args += rest
		}
		k, err := New(era.Must(row.release), strings.Fields(args))
		require.NoError(t, err, args)
		r.k, r.queue, r.open, r.code = k, sim.Queue{}, map[uint64]sent{}, nil
		r.post(r.now, sim.Msg{Kind: sim.MsgStart})
		r.run(0)
		var lines []string
		for _, o := range r.obs {
			if o.Kind == trace.Log {
				_, l, header := strings.Cut(o.Payload, "       7 ")
				if !header {
					l = o.Payload
				}
				lines = append(lines, l)
			}
		}
		told := strings.Join(lines, "\n")
		require.Contains(t, told, row.first, "%s %s", row.release, row.args)
		if row.status == 0 {
			require.Nil(t, r.code, "%s %s: %s", row.release, row.args, told)
			continue
		}
		require.NotNil(t, r.code, told)
		require.Equal(t, row.status, *r.code, told)
		require.Equal(t, row.last, lines[len(lines)-1])
	}
}
