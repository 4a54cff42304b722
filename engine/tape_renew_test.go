package engine_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
)

// renewable are the certificates in /etc/kubernetes/pki, as openssl's
// -serial -enddate tells them, and the API server's key.
func (p *tape) renewable(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"apiserver.key": string(p.read(t, "/etc/kubernetes/pki/apiserver.key"))}
	for _, name := range []string{"ca", "apiserver", "apiserver-kubelet-client", "front-proxy-client", "apiserver-etcd-client"} {
		list, err := pki.ParseCerts(p.read(t, "/etc/kubernetes/pki/"+name+".crt"))
		require.NoError(t, err)
		out[name] = fmt.Sprintf("serial=%016X\nnotAfter=%s\n", list[0].SerialNumber, list[0].NotAfter.UTC().Format("Jan _2 15:04:05 2006 GMT"))
	}
	return out
}

// compareRenewed compares what a renewal changed and what it left, and how long
// what it made is valid.
func compareRenewed(t *testing.T, p *tape, rec golden.Recording) {
	var want struct {
		Before, After map[string]string
		SameKey       bool   `json:"apiserver.key the same"`
		SANs          string `json:"apiserver.crt SANs"`
	}
	require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &want))
	before, after := p.remembered, p.renewable(t)
	require.Equal(t, want.SameKey, before["apiserver.key"] == after["apiserver.key"])
	end := func(text string) time.Time {
		_, text, _ = strings.Cut(strings.TrimSpace(text), "notAfter=")
		at, err := time.Parse("Jan _2 15:04:05 2006 GMT", text)
		require.NoError(t, err)
		return at
	}
	for name := range want.Before {
		require.Equal(t, want.Before[name] == want.After[name], before[name] == after[name], name)
		require.Len(t, after[name], len(want.After[name]))
		// From the CA's end on, both have the same length.
		require.InDelta(t, end(want.After["ca"]).Sub(end(want.After[name])).Seconds(), end(after["ca"]).Sub(end(after[name])).Seconds(), 30, name)
	}
	list, err := pki.ParseCerts(p.read(t, "/etc/kubernetes/pki/apiserver.crt"))
	require.NoError(t, err)
	var names []string
	for _, d := range list[0].DNSNames {
		names = append(names, "DNS:"+d)
	}
	for _, ip := range list[0].IPAddresses {
		names = append(names, "IP Address:"+ip.String())
	}
	require.Equal(t, want.SANs, "X509v3 Subject Alternative Name: \n    "+strings.Join(names, ", ")+"\n")
}

// comparePins compares the hashes of two CAs by which a join knows them. The
// command of old answers with that of nothing for a key that is no RSA key.
func comparePins(t *testing.T, _ *tape, rec golden.Recording) {
	pins := map[string]string{}
	for _, kind := range []string{"rsa", "ecdsa"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(rec.Path), "41-ca-hash-"+kind+"-ca.crt"))
		require.NoError(t, err)
		list, err := pki.ParseCerts(b)
		require.NoError(t, err)
		pins[kind] = strings.TrimPrefix(pki.Pin(list[0]), "sha256:")
	}
	if !strings.HasSuffix(rec.File, ".txt") {
		return // read above
	}
	seen := 0
	for _, part := range strings.Split(rec.Text(t), "# ")[1:] {
		kind := strings.ToLower(strings.Fields(part)[0])
		_, out, _ := strings.Cut(part, "--- stdout\n")
		out, _, _ = strings.Cut(out, "\n")
		want := pins[kind]
		if kind == "ecdsa" && strings.Contains(part, "openssl rsa") {
			want = fmt.Sprintf("%x", sha256.Sum256(nil))
		}
		require.Equal(t, want, strings.TrimPrefix(out, "SHA2-256(stdin)= "), part)
		seen++
	}
	require.Equal(t, 4, seen)
}
