package engine_test

import (
	"encoding/base64"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// recordedCommand is a recorded command: what it read, what it wrote on both
// streams, and its status.
type recordedCommand struct{ line, stdin, stdout, stderr, status string }

func readCommand(t *testing.T, text string) (c recordedCommand) {
	t.Helper()
	in, rest, _ := strings.Cut(text, "--- stdout\n")
	for line := range strings.Lines(in) {
		if s, ok := strings.CutPrefix(line, "#| "); ok {
			c.stdin += s
		} else if line == "#|\n" {
			c.stdin += "\n"
		} else if s, ok := strings.CutPrefix(line, "$ "); ok {
			c.line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "# stdin:"))
		}
	}
	c.stdout, rest, _ = strings.Cut(rest, "--- stderr\n")
	var ok bool
	c.stderr, c.status, ok = strings.Cut(rest, "--- exit status ")
	require.True(t, ok, "a recording of another form")
	c.status = strings.TrimSpace(c.status)
	return c
}

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
			k.pass(5 * time.Second)
			require.Empty(t, k.read(t, "my-svc").Status.Certificate, "nobody signs it by itself")
			require.NotContains(t, strings.Join(k.kcmLog(from), "\n"), "failed")
			k.sign(t, c)
			return
		}
		line := c.line
		if c.stdin != "" {
			line += " <<'EOF'\n" + c.stdin + "EOF"
		}
		obs, err := k.w.Say("admin", line, time.Minute)
		require.NoError(t, err)
		k.obs = append(k.obs, obs...)
		var got recordedCommand
		for _, o := range obs {
			switch {
			case o.Kind == trace.Printed && o.Args["stream"] == "stderr":
				got.stderr += o.Payload
			case o.Kind == trace.Printed:
				got.stdout += o.Payload
			case o.Kind == trace.Done:
				got.status = o.Args["status"]
			}
		}
		require.Equal(t, c.stderr, got.stderr)
		require.Equal(t, plainOutput(t, c.stdout), plainOutput(t, got.stdout))
		require.Equal(t, c.status, got.status)
	}
}

// plainOutput takes out of kubectl's output what differs from run to run: the
// rows of other CSRs, ages, names of objects' versions, times, and all of a
// certificate but what it says.
func plainOutput(t *testing.T, text string) string {
	t.Helper()
	if strings.HasPrefix(text, "NAME ") {
		var rows []string
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); f[0] == "NAME" || f[0] == "my-svc" {
				rows = append(rows, strings.Join(slices.Delete(f, 1, 2), " "))
			}
		}
		return strings.Join(rows, "\n")
	}
	text = regexp.MustCompile(`LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS[A-Za-z0-9+/=]+`).ReplaceAllStringFunc(text, func(s string) string {
		der, err := base64.StdEncoding.DecodeString(s)
		require.NoError(t, err)
		list, err := pki.ParseCerts(der)
		if err != nil {
			return s // a request begins alike
		}
		return "a certificate of " + list[0].Subject.String() + " by " + list[0].Issuer.String()
	})
	for _, d := range []struct{ form, by string }{
		{`(uid|resourceVersion|creationTimestamp|lastUpdateTime|lastTransitionTime): \S+`, "$1: (differs)"},
		{`(CreationTimestamp:) .*`, "$1 (differs)"},
		{`X509SHA256=[0-9a-f]+`, "X509SHA256=(differs)"},
	} {
		text = regexp.MustCompile(d.form).ReplaceAllString(text, d.by)
	}
	return text
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
	code, got := k.call(t, adminName, "PUT", csrsPath+"/my-svc/status", body)
	require.Equal(t, 200, code, got)
	for _, o := range []map[string]any{want, got} {
		// The managers were kubectl's commands.
		delete(o["metadata"].(map[string]any), "managedFields")
	}
	require.Equal(t, golden.Plain(want), golden.Plain(got))
}
