package enginetest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

var rewrite = flag.Bool("rewrite", false, "write what transcripts print now into their files")

// Patience is how long a transcript waits for a command, in virtual time.
const Patience = time.Minute

// Run plays every transcript that a pattern finds, a subtest each, in a world
// whose seed is the file's name.
func Run(t *testing.T, glob string) {
	t.Helper()
	files, err := filepath.Glob(glob)
	require.NoError(t, err)
	require.NotEmpty(t, files, "no transcript at %s", glob)
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) { play(t, name) })
	}
}

func play(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	steps, tail, err := parse(string(text))
	require.NoError(t, err, name)
	w, err := engine.New(engine.Config{Seed: filepath.Base(name)})
	require.NoError(t, err)
	defer w.Close()
	var out strings.Builder
	for i := range steps {
		s := &steps[i]
		got := do(t, w, s)
		s.format(&out, got)
		if !*rewrite {
			require.Equal(t, s.want, got, "%s:%d: %s%s", name, s.line, s.prompt, s.text)
		}
	}
	out.WriteString(tail)
	if *rewrite {
		require.NoError(t, os.WriteFile(name, []byte(out.String()), 0o644))
	}
}

// do does one step and returns what was printed, by whomever.
func do(t *testing.T, w *engine.World, s *step) string {
	var obs []trace.Observation
	if s.host == "" {
		w.AdvanceTo(w.Now().Add(s.advance))
		obs = w.Drain()
	} else {
		var err error
		obs, err = w.Say(s.host, s.text, Patience)
		require.NoError(t, err)
	}
	var b strings.Builder
	for _, o := range obs {
		if o.Kind == trace.Printed {
			b.WriteString(o.Payload)
		}
	}
	if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
		b.WriteString("\n")
	}
	return b.String()
}
