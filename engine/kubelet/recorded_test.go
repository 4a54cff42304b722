package kubelet

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// verbs are those of an audit log, by method; a watch is told by its query.
var verbs = map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "deletecollection"}

// TestAsManyRequestsAsRecorded compares how often a kubelet without a
// certificate asked for each thing in its first 4.4 s with the recorded
// kubelets: to one, as the pauses are drawn.
func TestAsManyRequestsAsRecorded(t *testing.T) {
	const span = 4400 * time.Millisecond
	for _, x := range []struct{ file, node string }{
		{"c-bootstrap-manual-approval/kubelet-audit.json", "node-c"},
		{"c-bootstrap-manual-approval/denied-audit.json", "node-c2"},
	} {
		t.Run(x.file, func(t *testing.T) {
			b, err := os.ReadFile("../testdata/golden/" + x.file)
			require.NoError(t, err)
			var rows []struct {
				T               time.Time
				Verb, URI, User string
			}
			require.NoError(t, json.Unmarshal(b, &rows))
			want, seen := map[string]int{}, map[string]bool{}
			var start time.Time
			for _, r := range rows {
				if start.IsZero() && strings.HasPrefix(r.User, "system:bootstrap:") {
					start = r.T.Add(-15 * time.Millisecond)
				}
				if r.User != "system:anonymous" || start.IsZero() || r.T.Sub(start) > span {
					continue
				}
				// A watch is logged when it begins and when it ends.
				if r.Verb == "watch" && seen[r.URI] {
					continue
				}
				seen[r.URI] = true
				path, _, _ := strings.Cut(r.URI, "?")
				want[r.Verb+" "+strings.ReplaceAll(path, x.node, "NODE")]++
			}
			require.NotEmpty(t, want)

			r := newRig(t)
			r.serve = r.cluster(0, false)
			r.run(span)
			got := map[string]int{}
			for _, s := range r.sent {
				path, query, _ := strings.Cut(s.URL, "?")
				verb := verbs[s.Method]
				if strings.Contains(query, "watch=true") {
					verb = "watch"
				} else if verb == "get" && strings.Contains(query, "limit=500") {
					verb = "list"
				}
				if s.Conn == connAPI {
					got[verb+" "+strings.ReplaceAll(path, "node-1", "NODE")]++
				}
			}
			require.Len(t, got, len(want))
			for what, n := range want {
				require.InDelta(t, n, got[what], 1, what)
			}
		})
	}
}
