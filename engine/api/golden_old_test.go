package api_test

import (
	"strings"
	"testing"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// newOldReplay starts a server as golden-old's README says.
func newOldReplay(t *testing.T, release, folder string) *replay {
	t.Helper()
	w := newReplayOf(t, golden.Minor(release), folder, usualFlags)
	w.recorder = notTheBuilds
	return w
}

// notTheBuilds takes out of a body what README says is no word of that release:
// today's Go, and what OpenShift says in 1.11.1 when RBAC has no rule.
func notTheBuilds(body any) {
	o, ok := body.(map[string]any)
	if !ok {
		return
	}
	delete(o, "goVersion")
	if s, ok := o["message"].(string); ok {
		o["message"] = strings.TrimSuffix(s, ": no RBAC policy matched")
	}
}
