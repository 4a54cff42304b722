package engine_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// recordedCommand is a recorded command: what it read and what it wrote.
func recordedCommand(text string) (stdin, stdout string) {
	in, rest, _ := strings.Cut(text, "--- stdout\n")
	for line := range strings.Lines(in) {
		if s, ok := strings.CutPrefix(line, "#| "); ok {
			stdin += s
		} else if line == "#|\n" {
			stdin += "\n"
		}
	}
	stdout, _, _ = strings.Cut(rest, "--- stderr\n")
	return stdin, stdout
}

// playOwnSigner is a person who signs for example.com/serving: a certificate of
// another CA, put into the status of a CSR that was approved.
// kube-controller-manager lets such a CSR alone.
func playOwnSigner(t *testing.T, folder string) golden.Play {
	k := newCluster(t)
	from := len(k.obs)
	b, err := os.ReadFile(filepath.Join("testdata/golden", folder, "01-apply.txt"))
	require.NoError(t, err)
	manifest, _ := recordedCommand(string(b))
	k.say(t, "admin", "kubectl apply -f - <<'EOF'\n"+manifest+"EOF")
	k.pass(2 * time.Second)
	require.Empty(t, k.read(t, "my-svc").Status.Conditions, "nobody approves it by itself")
	k.say(t, "admin", "kubectl certificate approve my-svc")
	k.pass(5 * time.Second)
	require.Empty(t, k.read(t, "my-svc").Status.Certificate, "nobody signs it by itself")
	require.NotContains(t, strings.Join(k.kcmLog(from), "\n"), "failed")
	return func(t *testing.T, rec golden.Recording) {
		stdin, stdout := recordedCommand(rec.Text(t))
		var body, want map[string]any
		require.NoError(t, json.Unmarshal([]byte(stdin), &body))
		require.NoError(t, json.Unmarshal([]byte(stdout), &want))
		code, now := k.call(t, adminName, "GET", csrsPath+"/my-svc", nil)
		require.Equal(t, 200, code)
		for _, key := range []string{"uid", "resourceVersion", "creationTimestamp"} {
			body["metadata"].(map[string]any)[key] = now["metadata"].(map[string]any)[key]
		}
		// Who may not sign for this signer is refused, and the CSR stays.
		code, refusal := k.call(t, "alice", "PUT", csrsPath+"/my-svc/status", body)
		require.Equal(t, 403, code, refusal)
		code, got := k.call(t, adminName, "PUT", csrsPath+"/my-svc/status", body)
		require.Equal(t, 200, code, got)
		for _, o := range []map[string]any{want, got} {
			// The managers were kubectl's commands.
			delete(o["metadata"].(map[string]any), "managedFields")
		}
		require.Equal(t, golden.Plain(want), golden.Plain(got))
	}
}
