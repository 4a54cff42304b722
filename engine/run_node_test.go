package engine_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// passedOfNode are a Node's fields that are compared with nothing.
var passedOfNode = []struct{ field, why string }{
	{"metadata|managedFields", "which values a later report changed hangs on the second; another manager is the ttl controller, which is not simulated"},
	{"metadata|annotations|node.alpha.kubernetes.io/ttl", "the ttl controller"},
	{"status|capacity|memory", "the machine"},
	{"status|allocatable|memory", "the machine"},
	{"status|capacity|ephemeral-storage", "the recorder's kubelet did not tell"},
	{"status|allocatable|ephemeral-storage", "the recorder's kubelet did not tell"},
	{"status|nodeInfo|machineID", "the machine"},
	{"status|nodeInfo|systemUUID", "the machine"},
	{"status|nodeInfo|bootID", "the machine"},
	{"status|nodeInfo|kernelVersion", "the machine"},
	{"status|nodeInfo|containerRuntimeVersion", "the container runtime"},
}

func plainNode(t *testing.T, o map[string]any) string {
	t.Helper()
	for _, p := range passedOfNode {
		path := strings.Split(p.field, "|")
		at := o
		for _, key := range path[:len(path)-1] {
			at, _ = at[key].(map[string]any)
		}
		delete(at, path[len(path)-1])
	}
	delete(o, "kind")
	delete(o, "apiVersion")
	b, err := json.MarshalIndent(golden.Plain(o), "", " ")
	require.NoError(t, err)
	text := strings.ReplaceAll(string(b), "192.0.2.2", "10.0.0.11")
	return regexp.MustCompile(`("lastHeartbeatTime"): "[^"]*"`).ReplaceAllString(text, "$1")
}

// showNode compares the Node: node FILE.
func showNode(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	got := plainNode(t, r.get(t, "/api/v1/nodes/"+r.node))
	return func(t *testing.T, text string) {
		var want map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.Equal(t, plainNode(t, want), got)
	}
}

// compareNode is that of a tape, which asked for node-k.
func compareNode(t *testing.T, p *tape, rec golden.Recording) {
	var x struct {
		Request  struct{ Path string }
		Response struct{ Body map[string]any }
	}
	require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
	require.Equal(t, plainNode(t, x.Response.Body), strings.Replace(plainNode(t, p.get(t, x.Request.Path)), `"Port": 10250`, `"Port": 10390`, 1))
}

// compareNodes is a list of nodes by kubectl. The recorder's was not Ready until
// its container runtime was heard of, and had been registered before.
func compareNodes(t *testing.T, p *tape, rec golden.Recording) {
	want := readCommand(t, rec.Text(t))
	got, _ := perform(t, p.w, "admin", want.line)
	require.Contains(t, want.stdout, "NotReady")
	require.Contains(t, got.stdout, "Ready   ")
	want.stdout = strings.Replace(want.stdout, "NotReady", "Ready", 1)
	only := regexp.MustCompile(`^node-k `)
	want.stdout, got.stdout = rowKinds(t, only, false, want.stdout), rowKinds(t, only, false, got.stdout)
	compareCommands(t, want, got)
}
