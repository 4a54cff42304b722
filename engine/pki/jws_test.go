package pki

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDetachedJWS makes the signatures of recorded cluster-info ConfigMaps again.
func TestDetachedJWS(t *testing.T) {
	secrets := map[string]string{"abcdef": "0123456789abcdef", "second": "fedcba9876543210"}
	n := 0
	for _, file := range []string{"02-cluster-info-signed", "03-cluster-info-resigned", "04-cluster-info-after-token-deleted"} {
		b, err := os.ReadFile("../testdata/golden/h-tokencleaner-bootstrapsigner/" + file + ".json")
		require.NoError(t, err)
		var x struct {
			Response struct {
				Body struct{ Data map[string]string }
			}
		}
		require.NoError(t, json.Unmarshal(b, &x))
		for id, secret := range secrets {
			if want, ok := x.Response.Body.Data["jws-kubeconfig-"+id]; ok {
				require.Equal(t, want, DetachedJWS(x.Response.Body.Data["kubeconfig"], id, secret))
				require.NotEqual(t, want, DetachedJWS(x.Response.Body.Data["kubeconfig"], id, secret+"x"))
				require.NotEqual(t, want, DetachedJWS(x.Response.Body.Data["kubeconfig"]+" ", id, secret))
				n++
			}
		}
	}
	require.Equal(t, 5, n)
}
