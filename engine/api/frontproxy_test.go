package api

import (
	"crypto/x509/pkix"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// TestFrontProxy: this server believes such headers too, from the right proxy.
func TestFrontProxy(t *testing.T) {
	g := newRig(t, "--requestheader-client-ca-file=/pki/front.crt --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- --requestheader-allowed-names=front")
	front, err := pki.NewAuthority(keys, "front", "front-proxy-ca", g.now.AddDate(0, 0, -1), g.now.AddDate(1, 0, 0))
	require.NoError(t, err)
	require.NoError(t, g.disk.WriteFile("/pki/front.crt", front.CertPEM(), 0o600, g.now))
	g.step(sim.Msg{Kind: sim.MsgStart})
	proxy := func(cn string) [][]byte {
		b, err := front.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: cn}, Client: true, NotBefore: g.now.AddDate(0, 0, -1), NotAfter: g.now.AddDate(1, 0, 0), Serial: []byte{4}}, keys.ECDSA("leaf").Public())
		require.NoError(t, err)
		list, err := pki.ParseCerts(b)
		require.NoError(t, err)
		return [][]byte{list[0].Raw}
	}
	whoami := func(peer [][]byte) (int, string) {
		r := g.do(peer, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{}`, "X-Remote-User", "carol", "X-Remote-Group", "ops", "X-Remote-Extra-Team", "blue")
		return r.Code, string(r.Body)
	}
	code, body := whoami(proxy("front"))
	require.Equal(t, 201, code)
	require.Contains(t, body, `"username":"carol","groups":["ops","system:authenticated"],"extra":{"team":["blue"]}`)
	code, _ = whoami(proxy("back"))
	require.Equal(t, 401, code)
	require.Contains(t, g.lastLog(), "x509: subject with cn=back is not in the allowed list")
	code, body = whoami(g.peer("alice", "dev"))
	require.Equal(t, 201, code, "a client is who its own certificate says")
	require.Contains(t, body, `"username":"alice"`)
}
