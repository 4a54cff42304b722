package engine_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// playOwnSigner is a person who signs for example.com/serving: a certificate of
// another CA, put into the status of a CSR that was approved.
// kube-controller-manager lets such a CSR alone.
func playOwnSigner(t *testing.T, _ string) golden.Play {
	k := newCluster(t)
	from := len(k.obs)
	return func(t *testing.T, rec golden.Recording) {
		c := readCommand(t, rec.Text(t))
		switch rec.Number {
		case 4:
			k.pass(2 * time.Second)
			require.Empty(t, k.read(t, "my-svc").Status.Conditions, "nobody approves it by itself")
		case 7:
			k.pass(500 * time.Millisecond)
			require.Empty(t, k.read(t, "my-svc").Status.Certificate, "nobody signs it by itself")
			require.NotContains(t, strings.Join(k.kcmLog(from), "\n"), "failed")
			k.sign(t, c)
			return
		}
		got, obs := perform(t, k.w, "admin", c.typed())
		k.obs = append(k.obs, obs...)
		if strings.HasPrefix(c.stdout, "NAME ") {
			// The other rows are of other folders.
			others := regexp.MustCompile(`(?m)^csr-.*\n`)
			c.stdout = others.ReplaceAllString(c.stdout, "")
		}
		compareCommands(t, c, got)
	}
}

// sign puts the recorded certificate into the CSR's status, as a request: who may
// not sign for this signer is refused, and the CSR stays.
func (k *cluster) sign(t *testing.T, c recordedCommand) {
	t.Helper()
	var body, want map[string]any
	require.NoError(t, json.Unmarshal([]byte(c.stdin), &body))
	require.NoError(t, json.Unmarshal([]byte(c.stdout), &want))
	code, now := k.call(t, adminName, "GET", csrsPath+"/my-svc", nil)
	require.Equal(t, 200, code)
	for _, key := range []string{"uid", "resourceVersion", "creationTimestamp"} {
		body["metadata"].(map[string]any)[key] = now["metadata"].(map[string]any)[key]
	}
	code, refusal := k.call(t, "alice", "PUT", csrsPath+"/my-svc/status", body)
	require.Equal(t, 403, code, refusal)
	text, err := json.Marshal(body)
	require.NoError(t, err)
	c.stdin = string(text) + "\n"
	said, obs := perform(t, k.w, "admin", c.typed())
	k.obs = append(k.obs, obs...)
	require.Empty(t, said.stderr)
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(said.stdout), &got))
	for _, o := range []map[string]any{want, got} {
		// The managers were kubectl's commands.
		delete(o["metadata"].(map[string]any), "managedFields")
	}
	require.Equal(t, golden.Plain(want), golden.Plain(got))
}
