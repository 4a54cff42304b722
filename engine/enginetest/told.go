package enginetest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Told is a step of a transcript as it stands in its file: what was done, with the
// prompt of what was typed, and what came of it.
type Told struct {
	Line      int
	Text, Out string
	// Typed: at a host; else one of the steps of a world.
	Typed bool
}

// Steps reads the steps of a transcript.
func Steps(t *testing.T, file string) (out []Told) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	steps, _, err := parse(string(b))
	require.NoError(t, err, file)
	for _, s := range steps {
		out = append(out, Told{s.line, s.prompt + s.text, s.want, s.prompt != ""})
	}
	return out
}
