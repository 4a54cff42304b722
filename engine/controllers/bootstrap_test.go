package controllers

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

const secrets, configmaps = "/api/v1/secrets", "/api/v1/configmaps"

// bootstrapToken is the Secret of a bootstrap token that may sign.
func bootstrapToken(id, expiration string) object {
	data := map[string]any{"token-id": []byte(id), "token-secret": []byte("0123456789abcdef"), "usage-bootstrap-signing": []byte("true")}
	if expiration != "" {
		data["expiration"] = []byte(expiration)
	}
	return object{"metadata": map[string]any{"name": "bootstrap-token-" + id, "namespace": "kube-system"}, "type": "bootstrap.kubernetes.io/token", "data": data}
}

// TestTokenCleaner gives the recorded tokens of h and s to the cleaner, at the
// same distances from now.
func TestTokenCleaner(t *testing.T) {
	type row struct {
		Token               string
		Expiration, Deleted *string
		CreatedAt           time.Time
		DeletedAt           time.Time
		Changed             []struct{ To *string }
	}
	for _, file := range []string{"h-tokencleaner-bootstrapsigner/tokencleaner.json", "s-cleaners-rootca-tokens/03-tokencleaner.json"} {
		b, err := os.ReadFile("../testdata/golden/" + file)
		require.NoError(t, err)
		var rows []row
		require.NoError(t, json.Unmarshal(b, &rows))
		require.NotEmpty(t, rows)
		r := newRig(t, "--controllers=tokencleaner")
		r.run(time.Second)
		// shift is between the recording's clock and this one.
		shift := rows[0].CreatedAt.Sub(r.now)
		here := func(expiration string) string {
			at, err := time.Parse(time.RFC3339, expiration)
			if err != nil {
				return expiration
			}
			return at.Add(-shift).Format("2006-01-02T15:04:05.999999999Z07:00")
		}
		want := map[string]time.Time{}
		for _, x := range rows {
			expiration := ""
			if x.Expiration != nil {
				expiration = here(*x.Expiration)
			}
			r.save(secrets, bootstrapToken(x.Token, expiration))
			if !x.DeletedAt.IsZero() {
				want[x.Token] = x.DeletedAt.Add(-shift)
			}
		}
		r.run(1200 * time.Millisecond)
		for _, x := range rows {
			for _, change := range x.Changed {
				expiration := ""
				if change.To != nil {
					expiration = here(*change.To)
				}
				r.save(secrets, bootstrapToken(x.Token, expiration))
			}
		}
		got := map[string]time.Time{}
		for d := 1300 * time.Millisecond; d < 40*time.Second; d += 50 * time.Millisecond {
			r.run(d)
			for _, x := range rows {
				if got[x.Token].IsZero() && r.find(secrets, "kube-system", "bootstrap-token-"+x.Token) == nil {
					got[x.Token] = r.now
				}
			}
		}
		require.Len(t, got, len(want), file)
		for token, at := range want {
			require.WithinDuration(t, at, got[token], 250*time.Millisecond, token)
		}
		r.run(50 * time.Minute)
		require.Nil(t, r.code)
	}
}

// TestTokenCleanerWords has the lines of h/tokencleaner-kcm.log.
func TestTokenCleanerWords(t *testing.T) {
	r := newRig(t, "--controllers=tokencleaner")
	r.run(time.Second)
	r.save(secrets, bootstrapToken("past00", "2020-01-01T00:00:00Z"))
	r.save(secrets, bootstrapToken("nodate", "soon"))
	r.save(secrets, bootstrapToken("later0", "2026-01-01T01:00:00Z"))
	r.run(2 * time.Second)
	for _, line := range []string{
		`secrets.go:73] Expired bootstrap token in kube-system/bootstrap-token-past00 Secret: 2020-01-01T00:00:00Z`,
		`secrets.go:66] Unparseable expiration time (soon) in kube-system/bootstrap-token-nodate Secret: parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006". Treating as expired.`,
		`tokencleaner.go:202] "Deleting expired secret" secret="kube-system/bootstrap-token-past00"`,
		`tokencleaner.go:173] "Finished syncing secret" secret="kube-system/bootstrap-token-later0" elapsedTime="0s"`,
	} {
		require.Equal(t, 1, r.count(line), "%s\n%s", line, strings.Join(r.lines(), "\n"))
	}
	deleted := ""
	for _, q := range r.sent {
		if q.Method == "DELETE" {
			deleted += string(q.Body)
		}
	}
	require.Contains(t, deleted, `"preconditions":{"uid":"uid-/api/v1/secrets|kube-system/bootstrap-token-past00"}`)
}

// TestBootstrapSigner: cluster-info has a signature of every token that may
// sign; recorded in h/01 to h/04.
func TestBootstrapSigner(t *testing.T) {
	r := newRig(t, "--controllers=bootstrapsigner")
	no := bootstrapToken("nosign", "")
	delete(no["data"].(map[string]any), "usage-bootstrap-signing")
	odd := bootstrapToken("odd000", "")
	odd["data"].(map[string]any)["token-id"] = []byte("even00")
	for _, o := range []object{bootstrapToken("abcdef", ""), bootstrapToken("second", ""), bootstrapToken("past00", "2020-01-01T00:00:00Z"), no, odd} {
		r.save(secrets, o)
	}
	r.run(time.Second)
	info := func(data map[string]any) {
		r.save(configmaps, object{"metadata": map[string]any{"name": "cluster-info", "namespace": "kube-public"}, "data": data})
	}
	signatures := func() map[string]any {
		out := map[string]any{}
		for k, v := range r.data("kube-public", "cluster-info") {
			if id, ok := strings.CutPrefix(k, "jws-kubeconfig-"); ok {
				out[id] = v
			}
		}
		return out
	}
	info(map[string]any{"kubeconfig": "x", "jws-kubeconfig-zzzzzz": "left over"})
	r.run(2 * time.Second)
	sign := func(content string, ids ...string) map[string]any {
		out := map[string]any{}
		for _, id := range ids {
			out[id] = pki.DetachedJWS(content, id, "0123456789abcdef")
		}
		return out
	}
	require.Equal(t, sign("x", "abcdef", "second"), signatures())
	info(map[string]any{"kubeconfig": "y", "jws-kubeconfig-abcdef": signatures()["abcdef"]})
	r.run(3 * time.Second)
	require.Equal(t, sign("y", "abcdef", "second"), signatures())
	r.remove(secrets, "kube-system", "bootstrap-token-second")
	r.run(4 * time.Second)
	require.Equal(t, sign("y", "abcdef"), signatures())
	// Nothing to sign, and nothing to do for what is right.
	n := len(r.sent)
	r.run(time.Hour)
	require.Len(t, r.sent, n)
	info(map[string]any{"other": "z"})
	r.run(time.Hour + time.Second)
	require.Empty(t, signatures())
	require.Equal(t, 1, r.count(`bootstrapsigner.go:225] "No key in ConfigMap" key="kubeconfig" configMap="kube-public/cluster-info"`))
	require.NotZero(t, r.count(`util.go:45] "Token ID doesn't match secret name" tokenID="even00" secretName="bootstrap-token-odd000"`))
}
