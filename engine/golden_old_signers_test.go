package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

func init() {
	oldForms["signed"] = playOldVerdicts
}

// newOldCluster is a cluster of a release whose signer makes certificates for a time.
func newOldCluster(t *testing.T, release string, flags ...string) *cluster {
	t.Helper()
	w, err := engine.New(engine.Config{Seed: "golden", Release: release})
	require.NoError(t, err)
	k := &cluster{w: w}
	for _, f := range flags {
		k.flag(t, f)
	}
	k.pass(3 * time.Second)
	return k
}

// playOldVerdicts creates and approves the CSRs of e2 and holds what came of them
// against what did.
func playOldVerdicts(t *testing.T, release, _ string) golden.Play {
	k := newOldCluster(t, golden.Minor(release), "experimental-cluster-signing-duration=1h")
	// certs are those that were read, by the CSR's name.
	certs := map[string][]byte{}
	send := func(t *testing.T, file string) (want, got map[string]any) {
		t.Helper()
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var x struct {
			Request struct {
				Method, Path, As string
				Body             map[string]any
			}
			Response struct {
				Code int
				Body map[string]any
			}
		}
		require.NoError(t, json.Unmarshal(text, &x))
		var body any
		if x.Request.Body != nil {
			if m, ok := x.Request.Body["metadata"].(map[string]any); ok {
				delete(m, "uid")
				delete(m, "resourceVersion")
			}
			body = x.Request.Body
		}
		code, got := k.call(t, x.Request.As, x.Request.Method, x.Request.Path, body)
		require.Equal(t, x.Response.Code, code, got)
		return x.Response.Body, got
	}
	return func(t *testing.T, rec golden.Recording) {
		name := strings.TrimSuffix(strings.TrimSuffix(rec.File[3:], ".x509.txt"), "-final.json")
		if !strings.HasSuffix(rec.File, ".json") {
			sameOldCertificate(t, rec.Text(t), certs[name], k.w.Now())
			return
		}
		for _, step := range []string{".json", "-approve.json"} {
			files, err := filepath.Glob(filepath.Join(filepath.Dir(rec.Path), "[0-9][0-9]-"+name+step))
			require.NoError(t, err)
			for _, file := range files {
				send(t, file)
			}
		}
		k.pass(2 * time.Second)
		want, got := send(t, rec.Path)
		was, is := signature(want), signature(got)
		require.Equal(t, was != nil, is != nil, "signed")
		require.Equal(t, golden.Plain(want), golden.Plain(got))
		certs[name] = is
	}
}

// signature takes the certificate out of a CSR.
func signature(csr map[string]any) []byte {
	status, _ := csr["status"].(map[string]any)
	text, ok := status["certificate"].(string)
	if !ok {
		return nil
	}
	status["certificate"] = "(signed)"
	var out struct{ Text []byte }
	b, _ := json.Marshal(map[string]string{"Text": text})
	if json.Unmarshal(b, &out) != nil {
		return nil
	}
	return out.Text
}

// sameOldCertificate holds a certificate that cfssl would have made against a
// recorded one: all but the CA's key, the serial number and the minute.
func sameOldCertificate(t *testing.T, text string, got []byte, now time.Time) {
	t.Helper()
	w, g := likeRecorded(t, text[strings.Index(text, "-----BEGIN"):], got, 159)
	require.Zero(t, w.NotBefore.Second())
	require.Zero(t, g.NotBefore.Second(), "counted from the nearest minute")
	require.InDelta(t, -300, g.NotBefore.Sub(now).Seconds(), 34)
}
