package api

import (
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

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

// TestBundlesThatChange: both bundles of clients' CAs are taken into use as they
// change, stay when the file is lost, and are published beside what was there.
func TestBundlesThatChange(t *testing.T) {
	g := newRig(t, "--v=2 --requestheader-client-ca-file=/pki/front.crt --requestheader-username-headers=X-Remote-User --requestheader-allowed-names=front")
	authority := func(name string, till time.Time) []byte {
		a, err := pki.NewAuthority(keys, name, name, g.now.AddDate(0, 0, -1), till)
		require.NoError(t, err)
		return a.CertPEM()
	}
	write := func(name string, data []byte) {
		if data == nil {
			require.NoError(t, g.disk.Remove(name))
		} else {
			require.NoError(t, g.disk.WriteFile(name, data, 0o600, g.now))
		}
		g.step(sim.Msg{Kind: sim.MsgFile, Tag: name})
	}
	published := func() map[string]any {
		_, body := g.ask("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication", g.admin(), "", "")
		return body["data"].(map[string]any)
	}
	front, short := authority("front", g.now.AddDate(1, 0, 0)), authority("short", g.now.AddDate(0, 1, 0))
	write("/pki/front.crt", short)
	g.step(sim.Msg{Kind: sim.MsgStart})
	require.Equal(t, string(short), published()["requestheader-client-ca-file"])
	require.Equal(t, string(g.ca.CertPEM()), published()["client-ca-file"])

	write("/pki/front.crt", front)
	require.Equal(t, string(short)+string(front), published()["requestheader-client-ca-file"])
	require.Contains(t, g.logs(), `"Loaded a new CA Bundle and Verifier" name="request-header::/pki/front.crt"`)
	require.Contains(t, g.logs(), "writing updated authentication info to  kube-system configmaps/extension-apiserver-authentication")

	g.obs = nil
	write("/pki/ca.crt", nil)
	g.step(sim.Msg{Kind: sim.MsgFile, Tag: "/pki/ca.crt"})
	require.Equal(t, 1, strings.Count(g.logs(), `"Failed to watch CA file, will retry later" err="error adding watch for file /pki/ca.crt: no such file or directory"`))
	require.Equal(t, 1, strings.Count(g.logs(), `err="key failed with : open /pki/ca.crt: no such file or directory"`))
	write("/pki/ca.crt", []byte("x"))
	require.Contains(t, g.logs(), "data does not contain any valid RSA or ECDSA certificates")
	write("/pki/ca.crt", g.ca.CertPEM())
	require.NotContains(t, g.logs(), "Loaded a new CA Bundle", "it is what is in use")

	g.now = g.now.AddDate(0, 2, 0)
	write("/pki/ca.crt", append(g.ca.CertPEM(), authority("next", g.now.AddDate(1, 0, 0))...))
	require.Equal(t, string(front), published()["requestheader-client-ca-file"], "what has expired goes")
	require.Contains(t, published()["client-ca-file"], string(g.ca.CertPEM()))
}
