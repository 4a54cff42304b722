package enginetest

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

const sample = `# A comment.
admin$ kubectl get csr
----
No resources found

node-1# cat <<X
a

b
X
----
----
a

b
----
----

advance 2d
----
# The end.
`

func TestTranscriptsAreReadAndWritten(t *testing.T) {
	// A comment right after an output would be output: the blank line ends it.
	text := strings.Replace(sample, "----\n# The end.", "----\n\n# The end.", 1)
	steps, tail, err := parse(text)
	require.NoError(t, err)
	require.Len(t, steps, 3)
	require.Equal(t, "admin", steps[0].host)
	require.Equal(t, "kubectl get csr", steps[0].text)
	require.Equal(t, "No resources found\n", steps[0].want)
	require.Equal(t, "cat <<X\na\n\nb\nX", steps[1].text)
	require.Equal(t, "a\n\nb\n", steps[1].want)
	require.Equal(t, 48*time.Hour, steps[2].advance)
	require.Empty(t, steps[2].want)
	require.Equal(t, "\n# The end.\n", tail)

	other, _, err := parse("world scenario=kubeadm nodes=2 controlPlanes=3\n----\n")
	require.NoError(t, err)
	require.Equal(t, engine.Config{Scenario: "kubeadm", Nodes: 2, ControlPlanes: 3}, other[0].world)

	var b strings.Builder
	for i := range steps {
		steps[i].format(&b, steps[i].want)
	}
	b.WriteString(tail)
	require.Equal(t, text, b.String(), "what is read is written back unchanged")
}

func TestBrokenTranscripts(t *testing.T) {
	for text, want := range map[string]string{
		"admin$ date\n":                     "line 1: this step lacks its line of ----",
		"wait 3s\n----\n":                   "is no step",
		"advance soon\n----\n":              "invalid duration",
		"world nodes=two\n----\n":           "invalid syntax",
		"world big\n----\n":                 "a world has no \"big\"",
		"advance 1s\n----\n\nworld\n----\n": "line 4: a world is made first",
		"advance xd\n----\n":                "is no number of days",
		"admin$ date\n----\n----\nx\n":      "lacks its closing lines",
		"\n# c\n\nadmin$ date\n----\n\nx\n": "line 7",
	} {
		_, _, err := parse(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}
