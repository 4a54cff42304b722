package kubelet

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

// --node-ip as each value of it is taken. Words are of
// k8s.io/component-helpers/node/util and pkg/kubelet validateNodeIP.
func TestNodeIP(t *testing.T) {
	for flag, says := range map[string]string{
		"10.0.0.11":           "10.0.0.11",
		"abc":                 `"Could not parse some node IP(s), ignoring them" IPs=["abc"]`,
		"abc, 10.0.0.11":      `"Could not parse some node IP(s), ignoring them" IPs=["abc"]`,
		"::":                  "10.0.0.11",
		"10.0.0.11,10.0.0.12": `err="failed to run Kubelet: bad --node-ip \"10.0.0.11,10.0.0.12\": must contain either a single IP or a dual-stack pair of IPs"`,
		"10.0.0.11,::":        `err="failed to run Kubelet: bad --node-ip \"10.0.0.11,::\": dual-stack node IP cannot include '0.0.0.0' or '::'"`,
		"10.0.0.11,fd00::1":   `err="failed to validate secondaryNodeIP: node IP: \"fd00::1\" not found in the host's network interfaces"`,
		"10.0.0.12":           `err="failed to validate nodeIP: node IP: \"10.0.0.12\" not found in the host's network interfaces"`,
		"127.0.0.1":           `err="failed to validate nodeIP: nodeIP can't be loopback address"`,
		"224.0.0.1":           `err="failed to validate nodeIP: nodeIP can't be a multicast address"`,
		"169.254.1.1":         `err="failed to validate nodeIP: nodeIP can't be a link-local unicast address"`,
	} {
		r := newRig(t, "--node-ip="+flag)
		r.run(time.Second)
		said := strings.Join(r.lines(), "\n")
		if c := (&sim.Ctx{IP: "10.0.0.11"}); r.code == nil && !strings.Contains(says, "failed") {
			require.Equal(t, "10.0.0.11", r.k.address(c), flag)
			says = strings.TrimPrefix(says, "10.0.0.11")
		}
		require.Contains(t, said, says, flag)
	}
}
