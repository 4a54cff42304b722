package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/trace"
)

// TestOpenSSL lets openssl judge everything that a joined and renewed node
// leaves on the disks, and every request that was made on the way.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl here to ask")
	}
	dir := t.TempDir()
	status, out, errs := joinery("", "run", "--json", "--export", dir, "testdata/0-v1.11-good-path.session")
	require.Zero(t, status, errs)
	ca := filepath.Join(dir, "control-1/etc/kubernetes/pki/ca.crt")

	certs, pairs := 0, 0
	for name, bundle := range pemFiles(t, dir) {
		var keys []string
		for _, b := range bundle {
			if strings.HasSuffix(b.Type, "PRIVATE KEY") {
				keys = append(keys, openssl(t, b, "pkey", "-pubout"))
			}
		}
		for i, b := range bundle {
			if b.Type != "CERTIFICATE" {
				continue
			}
			certs++
			// A kubelet without a serving certificate signs one for itself,
			// by a CA of its own that it keeps nowhere.
			if filepath.Base(name) != "kubelet.crt" {
				root := ca
				if strings.HasPrefix(filepath.Base(name), "front-proxy-") {
					root = filepath.Join(filepath.Dir(ca), "front-proxy-ca.crt")
				}
				// Leaves are up to a year apart: no one day suits them all.
				require.Contains(t, openssl(t, b, "verify", "-no_check_time", "-CAfile", root), "OK", "%s", name)
			}
			if i == 0 && len(keys) == 1 {
				pairs++
				require.Equal(t, openssl(t, b, "x509", "-noout", "-pubkey"), keys[0], "%s: the key is the certificate's", name)
			}
		}
	}
	require.GreaterOrEqual(t, certs, 8)
	require.GreaterOrEqual(t, pairs, 4)

	obs, err := trace.Decode(strings.NewReader(out))
	require.NoError(t, err)
	requests := map[string]bool{}
	for _, o := range obs {
		if o.Kind != trace.Object || !strings.HasPrefix(o.Subject, "certificatesigningrequests/") || o.Payload == "" {
			continue
		}
		var csr struct {
			Spec struct {
				Request []byte `json:"request"`
			} `json:"spec"`
		}
		require.NoError(t, json.Unmarshal([]byte(o.Payload), &csr))
		block, _ := pem.Decode(csr.Spec.Request)
		require.NotNil(t, block)
		openssl(t, block, "req", "-verify", "-noout")
		requests[string(block.Bytes)] = true
	}
	require.GreaterOrEqual(t, len(requests), 2, "the first request and the renewal's")
}

// openssl runs a command on one PEM block and requires that it succeeds.
func openssl(t *testing.T, b *pem.Block, args ...string) string {
	t.Helper()
	c := exec.Command("openssl", args...)
	c.Stdin = bytes.NewReader(pem.EncodeToMemory(b))
	out, err := c.CombinedOutput()
	require.NoError(t, err, "openssl %s: %s", strings.Join(args, " "), out)
	return strings.TrimSpace(string(out))
}

// pemFiles finds all PEM below a folder, also what is embedded in kubeconfigs.
func pemFiles(t *testing.T, dir string) map[string][]*pem.Block {
	t.Helper()
	out := map[string][]*pem.Block{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var user struct {
			Users []struct {
				User struct {
					Cert string `json:"client-certificate-data"`
					Key  string `json:"client-key-data"`
				} `json:"user"`
			} `json:"users"`
		}
		if filepath.Ext(name) == ".conf" && yaml.Unmarshal(b, &user) == nil && len(user.Users) == 1 {
			b = nil
			for _, data := range []string{user.Users[0].User.Cert, user.Users[0].User.Key} {
				part, err := base64.StdEncoding.DecodeString(data)
				require.NoError(t, err, name)
				b = append(b, part...)
			}
		}
		for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
			out[name] = append(out[name], block)
		}
		return nil
	}))
	return out
}
