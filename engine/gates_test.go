package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// A feature gate that nobody knows, or that can't be set so, ends a component
// when it starts, with the words of Kubernetes in its journal; the recorded
// kubelet only warns of an unknown one.
func TestFeatureGates(t *testing.T) {
	for unit, x := range map[string]struct{ host, gate, words string }{
		"kube-apiserver":          {"control-1", "Nosuch=true", `run.go:72] "command failed" err="unrecognized feature gate: Nosuch"`},
		"kube-controller-manager": {"control-1", "kube:AuthorizeNodeWithSelectors=false", `run.go:72] "command failed" err="cannot set feature gate AuthorizeNodeWithSelectors to false, feature is locked to true"`},
		"kube-scheduler":          {"control-1", "wardle:A=true", `run.go:72] "command failed" err="component not registered: wardle"`},
		"kube-proxy":              {"control-1", "Nosuch=true", `run.go:72] "command failed" err="failed complete: unrecognized feature gate: Nosuch"`},
		"kubelet":                 {"node-1", "AuthorizeNodeWithSelectors=false", `run.go:72] "command failed" err="failed to set feature gates from initial flags-based config: cannot set feature gate AuthorizeNodeWithSelectors to false, feature is locked to true"`},
	} {
		t.Run(unit, func(t *testing.T) {
			w := newCity(t, "gates")
			w.say(x.host, "systemctl start "+unit)
			flag := func(value string) string {
				require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: x.host, Unit: unit, Name: "feature-gates", Value: value}}))
				w.pass(time.Second)
				return w.say(x.host, "journalctl -u "+unit)
			}
			require.Contains(t, flag("RotateKubeletServerCertificate=true"), "Started ")
			require.Contains(t, w.say(x.host, "systemctl is-active "+unit), "active\n")
			require.Contains(t, flag(x.gate), x.words)
			require.NotEqual(t, "active\n", w.say(x.host, "systemctl is-active "+unit))
		})
	}
	w := newCity(t, "gates")
	// In its file it is told of and passed over (recorded: q-kubelet-states/22), on
	// the command line it ends the process.
	w.say("node-1", "cp /var/lib/kubelet/config.yaml /root/; echo 'featureGates: {Nosuch: true}' >> /var/lib/kubelet/config.yaml; systemctl restart kubelet")
	w.pass(time.Second)
	require.Contains(t, w.say("node-1", "journalctl -u kubelet"), `] unrecognized feature gate: Nosuch`)
	require.Equal(t, "active\n", w.say("node-1", "systemctl is-active kubelet"))
	w.say("node-1", "cp /root/config.yaml /var/lib/kubelet/config.yaml")
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "node-1", Unit: "kubelet", Name: "feature-gates", Value: "Nosuch=true"}}))
	w.say("node-1", "systemctl restart kubelet")
	require.Contains(t, w.say("node-1", "journalctl -u kubelet"), `"command failed" err="failed to set feature gates from initial flags-based config: unrecognized feature gate: Nosuch"`)
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "node-1", Unit: "kubelet", Name: "feature-gates", Value: "Nosuch=maybe"}}))
	w.say("node-1", "systemctl restart kubelet")
	require.Contains(t, w.say("node-1", "journalctl -u kubelet"), `"command failed" err="failed to parse kubelet flag: invalid argument \"Nosuch=maybe\" for \"--feature-gates\" flag: invalid value of Nosuch: maybe, err: strconv.ParseBool: parsing \"maybe\": invalid syntax"`)
}
