package enginetest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Story is a transcript in parts: a part begins with a step before which a comment
// begins with its label and a dot, "# 4. All pods are started anew." What comes before
// the first is the part "".
type Story struct {
	file  string
	parts []part
	// begun are the worlds as they were before each part, as far as it was played.
	begun map[string]*engine.World
}

type part struct {
	label string
	steps []step
}

var heading = regexp.MustCompile(`(?m)^# ([0-9][0-9a-z.]*)\. `)

// ReadStory reads a transcript.
func ReadStory(t *testing.T, file string) *Story {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	steps, _, err := parse(string(text))
	require.NoError(t, err, file)
	s := &Story{file: file, begun: map[string]*engine.World{}, parts: []part{{}}}
	for _, x := range steps {
		if m := heading.FindStringSubmatch(x.head); m != nil {
			s.parts = append(s.parts, part{label: m[1]})
		}
		p := &s.parts[len(s.parts)-1]
		p.steps = append(p.steps, x)
	}
	return s
}

// Labels are those of the parts, in order, without the first.
func (s *Story) Labels() (out []string) {
	for _, p := range s.parts[1:] {
		out = append(out, p.label)
	}
	return out
}

// Before is a world in which the parts before one were played.
func (s *Story) Before(t *testing.T, label string) *engine.World {
	t.Helper()
	if w := s.begun[label]; w != nil {
		return w.Clone()
	}
	var w *engine.World
	for _, p := range s.parts {
		if s.begun[p.label] == nil {
			if w == nil {
				w = s.world(t)
			}
			s.begun[p.label] = w.Clone()
		}
		if p.label == label {
			return s.begun[label].Clone()
		}
		w = s.begun[p.label].Clone()
		s.Play(t, w, p.label, nil)
	}
	require.Fail(t, "no such part", "%s has no part %q", s.file, label)
	return nil
}

// Close lets go of the worlds that are kept.
func (s *Story) Close() {
	for _, w := range s.begun {
		w.Close()
	}
}

func (s *Story) world(t *testing.T) *engine.World {
	t.Helper()
	return begin(t, s.file, s.parts[0].steps)
}

// Play does what a part does, whatever was done before, and returns what was printed.
// see gets the observations.
func (s *Story) Play(t *testing.T, w *engine.World, label string, see func([]trace.Observation)) string {
	t.Helper()
	var b strings.Builder
	r := &run{w: w}
	for _, p := range s.parts {
		if p.label != label {
			continue
		}
		for i := range p.steps {
			if v := p.steps[i].verb; v == "trust" || v == "why" || v == "refused" {
				continue
			}
			b.WriteString(r.do(t, &p.steps[i], see))
		}
		return b.String()
	}
	require.Fail(t, "no such part", "%s has no part %q", s.file, label)
	return ""
}

// stories are those that transcripts go on from, by file.
type stories map[string]*Story

func (x stories) of(t *testing.T, beside, name string) *Story {
	file := filepath.Join(filepath.Dir(beside), name+".txt")
	if x[file] == nil {
		x[file] = ReadStory(t, file)
	}
	return x[file]
}
