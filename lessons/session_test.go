package lessons

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

func TestParseSession(t *testing.T) {
	s, err := ParseSession("s", strings.Join([]string{
		"# a comment",
		"",
		"admin$ kubectl get csr",
		"expect No resources found",
		"  refuse csr-",
		"exit 0",
		"node-1# cat <<'EOF' > /tmp/x",
		"admin$ this is text",
		"EOF",
		"advance 1d12h",
		"admin$ echo a \\",
		"  b",
		"admin$ for i in 1 2; do",
		"  echo $i",
		"done\r",
	}, "\n"))
	require.NoError(t, err)
	require.Equal(t, []Do{
		{Line: 3, Col: 1, Verb: Type, Host: "admin", Prompt: "admin$", Text: "kubectl get csr"},
		{Line: 4, Col: 1, Verb: Expect, Text: "No resources found"},
		{Line: 5, Col: 3, Verb: Refuse, Text: "csr-"},
		{Line: 6, Col: 1, Verb: Exit},
		{Line: 7, Col: 1, Verb: Type, Host: "node-1", Prompt: "node-1#", Text: "cat <<'EOF' > /tmp/x\nadmin$ this is text\nEOF"},
		{Line: 10, Col: 1, Verb: Advance, For: 36 * time.Hour},
		{Line: 11, Col: 1, Verb: Type, Host: "admin", Prompt: "admin$", Text: "echo a \\\n  b"},
		{Line: 13, Col: 1, Verb: Type, Host: "admin", Prompt: "admin$", Text: "for i in 1 2; do\n  echo $i\ndone"},
	}, s.Does)
}

func TestParseSessionSaysWhereItIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "s:1:1: this session has no steps",
		"# only a comment":                "s:1:1: this session has no steps",
		"admin$ a\nadvanse 3s":            "s:2:1: a step is",
		"admin$ a\n  advance 3 years":     `s:2:11: "3 years" is no duration`,
		"admin$ a\nadvance":               `"" is no duration`,
		"admin$ a\nadvance 999999999999d": "is too long",
		"admin$ a\nexit maybe":            `s:2:6: exit needs a status from 0 to 255, not "maybe"`,
		"admin$ a\nexit 256":              "from 0 to 255",
		"admin$ a\nexpect":                "expect needs a text",
		"expect x":                        "s:1:1: expect has no step before it",
		"admin$":                          "s:1:7: nothing is typed at admin$",
		"admin$ a\nadmin$ cat <<EOF\nx":   "s:2:8: this command does not end before the file does: unclosed here-document",
		"admin$ echo 'a":                  "s:1:8: this command does not end before the file does",
		"admin$ echo a \\":                "ends with a backslash",
		"Admin$ a":                        "s:1:1: a step is",
		"%d%s":                            "s:1:1: a step is",
	} {
		_, err := ParseSession("s", text)
		var se *SyntaxError
		require.ErrorAs(t, err, &se, "%q", text)
		require.Contains(t, err.Error(), want, "%q", text)
		require.NotContains(t, err.Error(), "%!")
	}
}

// What the shell would refuse is for the shell to say, while the world runs.
func TestParseSessionLeavesShellErrorsToTheShell(t *testing.T) {
	s, err := ParseSession("s", "admin$ ls )\nadmin$ fi")
	require.NoError(t, err)
	require.Len(t, s.Does, 2)
}

func TestExpectations(t *testing.T) {
	obs := []trace.Observation{
		{Actor: "admin/terminal", Kind: trace.Printed, Payload: "csr-1   Pending\n"},
		{Actor: "node-1/terminal", Kind: trace.Done, Args: map[string]string{"status": "130"}},
		{Actor: "admin/terminal", Kind: trace.Done, Args: map[string]string{"status": "1"}},
	}
	s := listen(obs, "admin")
	for do, want := range map[Do]string{
		{Verb: Expect, Text: "Pending"}:  "",
		{Verb: Expect, Text: "Approved"}: `expected "Approved"`,
		{Verb: Refuse, Text: "Approved"}: "",
		{Verb: Refuse, Text: "Pending"}:  `refused "Pending", and it was printed`,
		{Verb: Exit, Status: 1}:          "",
		{Verb: Exit, Status: 0}:          "expected exit status 0, it was 1",
	} {
		require.Equal(t, want, s.check(do))
	}
	require.Equal(t, "130", listen(obs, "node-1").status)
	require.Contains(t, said{}.check(Do{Verb: Exit}), "no command ended")
	require.Contains(t, said{running: true}.check(Do{Verb: Exit}), "still running")
	require.Equal(t, "s:3: expected \"x\"; what was printed:\ny", (&Failure{"s", 3, `expected "x"`, "y\n"}).Error())
}

func FuzzParseSession(f *testing.F) {
	f.Add("admin$ kubectl get csr\nexpect x\nadvance 3d\nexit 0")
	f.Add("node-1# cat <<EOF\nEOF\n")
	f.Add("a$ $(")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSession("s", text)
		if err != nil {
			var se *SyntaxError
			require.ErrorAs(t, err, &se)
			require.NotContains(t, se.Says, "\n")
			return
		}
		require.NotEmpty(t, s.Does)
	})
}
