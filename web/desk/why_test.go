package desk

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// TestEveryReasonHasWords reads the engine's source for the kinds that it can
// give, so that a new one without words is found.
func TestEveryReasonHasWords(t *testing.T) {
	kind := regexp.MustCompile(`(State|Knows|Needs|Next)\b[^\n]*?\breason\("([a-z-]+)"`)
	part := map[string]string{"State": "state", "Knows": "knows", "Needs": "need", "Next": "next"}
	files, err := filepath.Glob("../../engine/why*.go")
	require.NoError(t, err)
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range kind.FindAllStringSubmatch(string(b), -1) {
			n++
			require.True(t, text.Has("why."+part[m[1]]+"."+m[2]), "%s: why.%s.%s", f, part[m[1]], m[2])
		}
	}
	require.Greater(t, n, 30)
	// Some are made apart from where they are put: each has words for some place.
	any := regexp.MustCompile(`(?m)(?:\breason\(|^\t\{)"([a-z-]+)"`)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range any.FindAllStringSubmatch(string(b), -1) {
			require.True(t, text.Has("why.state."+m[1]) || text.Has("why.knows."+m[1]) || text.Has("why.need."+m[1]) || text.Has("why.next."+m[1]), "%s: %s", f, m[1])
		}
	}
	for _, phase := range []string{"starting", "requesting", "pending", "issued", "joined", "rotating", "expired", "exited", "standalone"} {
		require.True(t, text.Has("why.state.kubelet-"+phase), phase)
	}
	for _, phase := range []string{"mounting", "starting", "standby", "running", "refused", "exited"} {
		require.True(t, text.Has("why.state.client-"+phase), phase)
	}
}

func TestExplain(t *testing.T) {
	e := engine.Explanation{Object: "node/node-1", State: engine.Reason{Kind: "kubelet-joined", Args: map[string]string{"as": "system:node:node-1"}},
		Needs: []engine.Reason{{Kind: "renewal-binding", Args: map[string]string{"role": "r", "group": "g"}}},
		Next:  []engine.Reason{{Kind: "rotate", At: engine.Start}}}
	require.Equal(t, "node/node-1: The node has joined as system:node:node-1.\n"+
		"What would have to be different:\n"+
		"  - Before the next rotation: a ClusterRoleBinding of r to the group g or the user –, or somebody who approves it.\n"+
		"What happens if nobody does anything:\n"+
		"  - The kubelet asks for the next certificate at 2026-01-01 00:00:00Z.\n", Explain("en", e))
	require.Contains(t, Explain("zh", e), "节点已以 system:node:node-1 的身份加入。")
}

// TestTheInspectorExplains: the tabs of the request and of the CSR say
// why there is none yet, and what would have to be different.
func TestTheInspectorExplains(t *testing.T) {
	for lang, says := range map[string][2]string{"en": {"answers 403", "waits for approval"}, "zh": {"403", "等待批准"}} {
		s := sit(t, lang)
		panel := func(tab string) string {
			s.tell(Tab{"right", tab})
			out := ""
			for _, b := range s.m.Scene().Inspector.Blocks {
				if strings.HasPrefix(b.Test, "why") {
					out += b.Head + " " + b.Text + "\n"
					for _, i := range b.Items {
						out += i.Text + "\n"
					}
				}
			}
			return out
		}
		s.tell(Press{"start"})
		s.rest()
		require.Contains(t, panel("request"), says[0])
		require.Contains(t, panel("request"), "system:node-bootstrapper")
		s.tell(Press{"bind"})
		require.True(t, s.watch(time.Minute, func() bool { return len(s.m.View.CSRs) > 0 }))
		s.rest()
		require.Contains(t, panel("csr"), says[1])
		require.Contains(t, panel("csr"), "kubectl certificate approve csr-")
	}
}
