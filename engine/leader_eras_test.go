package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	coordv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// TestOneLeadsInEveryLock: of three managers one leads, by an Endpoints object, by two
// records, or by a Lease; when it stops another takes over; and when all is quiet nobody
// asks.
func TestOneLeadsInEveryLock(t *testing.T) {
	for release, x := range map[string]struct {
		locks []string
		says  string
	}{
		"1.9":  {[]string{"endpoints"}, "attempting to acquire leader lease..."},
		"1.16": {[]string{"endpoints"}, "attempting to acquire leader lease  kube-system/kube-controller-manager..."},
		"1.18": {[]string{"endpoints", "leases"}, "attempting to acquire leader lease  kube-system/kube-controller-manager..."},
		"1.20": {[]string{"leases"}, "attempting to acquire leader lease kube-system/kube-controller-manager..."},
		"1.35": {[]string{"leases"}, `"Attempting to acquire leader lease..." lock="kube-system/kube-controller-manager"`},
	} {
		t.Run(release, func(t *testing.T) {
			w, err := engine.New(engine.Config{Seed: "leader", Release: release, ControlPlanes: 3})
			require.NoError(t, err)
			k := &cluster{w: w}
			k.pass(time.Minute)
			holders := func() (out []string) {
				for _, lock := range x.locks {
					path := "/api/v1/namespaces/kube-system/endpoints/kube-controller-manager"
					if lock == "leases" {
						path = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager"
					}
					code, body := k.call(t, adminName, "GET", path, nil)
					require.Equal(t, 200, code, body)
					var holder string
					renewed := time.Time{}
					if lock == "leases" {
						s := as[coordv1.Lease](t, body).Spec
						holder, renewed = *s.HolderIdentity, s.RenewTime.Time
					} else {
						var r struct {
							HolderIdentity string
							RenewTime      time.Time
						}
						require.NoError(t, json.Unmarshal([]byte(as[corev1.Endpoints](t, body).Annotations["control-plane.alpha.kubernetes.io/leader"]), &r))
						holder, renewed = r.HolderIdentity, r.RenewTime
					}
					require.WithinDuration(t, w.Now(), renewed, 4*time.Second)
					host, _, uuid := strings.Cut(holder, "_")
					require.Equal(t, release != "1.9", uuid)
					out = append(out, host)
				}
				return out
			}
			first := holders()
			for _, h := range first {
				require.Equal(t, first[0], h)
			}
			k.pass(time.Hour)
			from := len(k.obs)
			k.pass(24 * time.Hour)
			asked := 0
			for _, o := range k.obs[from:] {
				if o.Kind == trace.Request && strings.HasSuffix(o.Actor, "/kube-controller-manager") && (strings.Contains(o.Subject, "/leases") || strings.Contains(o.Subject, "/endpoints/")) {
					asked++
				}
			}
			require.Zero(t, asked, "nobody asks while all is quiet")
			holders()
			k.say(t, first[0], "systemctl stop kube-controller-manager")
			k.pass(30 * time.Second)
			for _, h := range holders() {
				require.NotEqual(t, first[0], h)
			}
			obs, err := w.Say("control-2", "journalctl -u kube-controller-manager", time.Minute)
			require.NoError(t, err)
			text := ""
			for _, o := range obs {
				text += o.Payload
			}
			require.Contains(t, text, x.says)
		})
	}
}
