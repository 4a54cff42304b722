package enginetest

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
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
	told := stories{}
	defer func() {
		for _, s := range told {
			s.Close()
		}
	}()
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), filepath.Ext(name)), func(t *testing.T) { play(t, name, told) })
	}
}

func play(t *testing.T, name string, told stories) {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	steps, tail, err := parse(string(text))
	require.NoError(t, err, name)
	var w *engine.World
	if len(steps) > 0 && steps[0].verb == "from" {
		file, label, _ := strings.Cut(steps[0].arg, " ")
		w = told.of(t, name, file).Before(t, label)
	} else {
		w = begin(t, name, steps)
	}
	defer w.Close()
	r := &run{w: w, file: name, told: told, seen: NewTally(w)}
	var out strings.Builder
	for i := range steps {
		s := &steps[i]
		got := steady(r.do(t, s, r.seen.See))
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

// begin makes the world of a transcript.
func begin(t *testing.T, name string, steps []step) *engine.World {
	cfg := engine.Config{}
	if len(steps) > 0 && steps[0].verb == "world" {
		cfg = steps[0].world
	}
	cfg.Seed = filepath.Base(name)
	w, err := engine.New(cfg)
	require.NoError(t, err)
	return w
}

// run is a transcript that is played.
type run struct {
	w    *engine.World
	file string
	told stories
	seen *Tally
}

// drawn are what chance gives: names, times within a second, process numbers and
// the day of a rotation. A transcript is about none of them.
var drawn = []struct {
	what *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`\bcsr-[bcdfghjklmnpqrstvwxz2456789]{5}\b`), "csr-xxxxx"},
	{regexp.MustCompile(`\b([IWE]\d{4} \d\d:\d\d:\d\d)\.\d{6} +\d+ `), "$1.xxxxxx "},
	{regexp.MustCompile(`\b([a-z_]+\.go):\d+\]`), "$1]"},
	{regexp.MustCompile(`(next: rotate at|next: rotate-late use="[a-z]+" at) \S+`), "$1 xxxx-xx-xx"},
	{regexp.MustCompile(`(knows: late deadline=)\S+`), "${1}xxxx-xx-xx"},
}

func steady(s string) string {
	for _, d := range drawn {
		s = d.what.ReplaceAllString(s, d.with)
	}
	return s
}

// do does one step and returns what was printed, by whomever; see gets what was
// observed.
func (r *run) do(t *testing.T, s *step, see func([]trace.Observation)) string {
	w := r.w
	var obs []trace.Observation
	switch {
	case s.verb == "world", s.verb == "from":
		return ""
	case s.verb == "refused":
		var b strings.Builder
		for _, x := range r.seen.Take() {
			b.WriteString(x.String() + "\n")
		}
		return b.String()
	case s.verb == "play":
		var b strings.Builder
		file, labels, _ := strings.Cut(s.arg, " ")
		for _, label := range strings.Fields(labels) {
			b.WriteString(r.told.of(t, r.file, file).Play(t, w, label, see))
		}
		return b.String()
	case s.verb == "why":
		return why(t, w, s)
	case s.verb == "trust":
		return trust(t, w, s)
	case s.verb == "fault add":
		f, err := engine.ParseFault(s.arg, w.Now())
		require.NoError(t, err)
		require.NoError(t, w.Apply(engine.Input{Fault: &f}))
		obs = w.Drain()
	case s.verb == "upgrade":
		u, err := engine.ParseUpgrade(s.arg)
		require.NoError(t, err)
		require.NoError(t, w.Apply(engine.Input{Upgrade: &u}))
		obs = w.Drain()
	case s.verb == "flag":
		f, err := engine.ParseFlag(s.arg)
		require.NoError(t, err)
		require.NoError(t, w.Apply(engine.Input{Flag: &f}))
		obs = w.Drain()
	case s.verb == "fault end":
		require.NoError(t, w.Apply(engine.Input{Lift: &engine.Lift{Faults: s.arg}}))
		obs = w.Drain()
	case s.host == "":
		w.AdvanceTo(w.Now().Add(s.advance))
		obs = w.Drain()
	default:
		var err error
		obs, err = w.Say(s.host, s.text, Patience)
		require.NoError(t, err)
	}
	if see != nil {
		see(obs)
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

// why is an explanation. "csr/*" means the newest request, whose name no
// transcript can know.
func why(t *testing.T, w *engine.World, s *step) string {
	object := s.arg
	if object == "csr/*" {
		var newest engine.CSRView
		for _, c := range w.View().CSRs {
			if newest.Name == "" || c.Created.After(newest.Created) {
				newest = c
			}
		}
		object = "csr/" + newest.Name
	}
	e, err := w.Why(object)
	if err != nil {
		return err.Error() + "\n"
	}
	return e.String()
}

// trust is who trusts whom: "trust CA", and after "|" the beginnings of the lines that
// are looked at, which is all of them by default.
func trust(t *testing.T, w *engine.World, s *step) string {
	ca, only, some := strings.Cut(s.arg, "|")
	got, err := w.Trust(strings.TrimSpace(ca))
	if err != nil {
		return err.Error() + "\n"
	}
	if !some {
		return got.String()
	}
	var b strings.Builder
	for line := range strings.Lines(got.String()) {
		for _, head := range strings.Split(only, ",") {
			if strings.HasPrefix(line, strings.TrimSpace(head)) {
				b.WriteString(line)
				break
			}
		}
	}
	return b.String()
}
