package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
)

// TestGolden plays what was done to real components in a world, and holds what
// came of it against what was recorded.
func TestGolden(t *testing.T) {
	golden.Run(t, "engine", func(t *testing.T, folder string) golden.Play {
		r := playRun(t, folder)
		return func(t *testing.T, rec golden.Recording) {
			require.Equal(t, "run", rec.Form, "%s is claimed in a form that is not known here", rec.Name())
			r.compare(t, rec)
		}
	})
}
