package lessons

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// world makes a lesson's world in one of its releases.
func world(t *testing.T, l *Lesson, release string) *engine.World {
	t.Helper()
	w, err := engine.New(engine.Config{Release: release, Seed: l.Seed})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// play runs a session and lists the goals that it misses, judging after every
// step as the page does.
func play(t *testing.T, l *Lesson, release string, s *Session) []Key {
	t.Helper()
	w := world(t, l, release)
	ev := l.Evidence()
	missing := l.Judge(w.View(), ev)
	err := s.Run(w, func(_ Do, obs []trace.Observation, _ bool) {
		ev.Add(obs)
		missing = l.Judge(w.View(), ev)
	})
	require.NoError(t, err)
	return missing
}

func TestLessons(t *testing.T) {
	all := All()
	require.NotEmpty(t, all)
	for _, l := range all {
		for _, release := range l.Releases {
			t.Run(l.ID+"/"+release, func(t *testing.T) {
				start := l.Judge(world(t, l, release).View(), l.Evidence())
				require.Len(t, start, len(l.Steps), "no goal is met at the start")
				for _, s := range l.Solutions {
					t.Run(path.Base(s.Name), func(t *testing.T) {
						require.Empty(t, play(t, l, release, s), "a solution meets every goal")
						short := &Session{Name: s.Name, Does: s.Does[:lastTwo(s)]}
						require.NotEmpty(t, play(t, l, release, short), "without its last steps it does not")
					})
				}
				for _, f := range l.Fails {
					t.Run(path.Base(f.Name), func(t *testing.T) {
						require.Contains(t, play(t, l, release, f.Session), Key(f.Misses), "it must miss what it says")
					})
				}
			})
		}
	}
}

// lastTwo is where the last step of a session that lets time pass begins.
func lastTwo(s *Session) int {
	for i, d := range slices.Backward(s.Does) {
		if d.Verb == Advance {
			return i
		}
	}
	return len(s.Does) - 1
}

var span = regexp.MustCompile("(?s)```.*?```|`[^`\n]+`")

// TestLanguagesSayTheSame compares what must be alike: steps, and the code in
// each. Sentences need not match.
func TestLanguagesSayTheSame(t *testing.T) {
	spans := func(text string) []string {
		out := span.FindAllString(text, -1)
		slices.Sort(out)
		return slices.Compact(out)
	}
	for _, l := range All() {
		for _, lang := range Langs {
			require.NotEmpty(t, l.Title(lang))
			require.Equal(t, spans(l.Intro("en")), spans(l.Intro(lang)), "%s %s", l.ID, lang)
			for _, s := range l.Steps {
				require.NotEmpty(t, s.Title(lang))
				require.Equal(t, spans(s.Text("en")), spans(s.Text(lang)), "%s/%s %s", l.ID, s.ID, lang)
				require.Equal(t, spans(l.Why("en", Key(s.ID))), spans(l.Why(lang, Key(s.ID))), "%s/%s %s", l.ID, s.ID, lang)
			}
		}
		require.NotEqual(t, l.Title("en"), l.Title("zh"))
		require.Equal(t, l.Title("en"), l.Title("fr"), "English where a language is not there")
	}
}

func TestLoad(t *testing.T) {
	l, err := Load("first-join")
	require.NoError(t, err)
	require.Equal(t, "first-join", l.ID)
	_, err = Load("no-such")
	require.EqualError(t, err, `there is no lesson "no-such"`)
	_, err = Load("../lessons")
	require.Error(t, err)
}

// TestBrokenLessons breaks first-join in one place each.
func TestBrokenLessons(t *testing.T) {
	for name, c := range map[string]struct{ file, old, new, want string }{
		"unknown field":       {"lesson.yaml", "releases:", "relaeses:", `lesson.yaml:4: `},
		"no yaml":             {"lesson.yaml", "steps:", "steps: [", "lesson.yaml:"},
		"format":              {"lesson.yaml", "format: 1", "format: 9", "lesson.yaml:2: format is 9; this build reads format 1"},
		"id":                  {"lesson.yaml", "id: first-join", "id: other", `lesson.yaml:3: the id is "other"; it must be the folder's name`},
		"release":             {"lesson.yaml", "1.36", "1.99", `lesson.yaml:4: release "1.99" is not here`},
		"goal":                {"lesson.yaml", "any units", "some units", `lesson.yaml:7: the goal of start: a goal begins with`},
		"same step twice":     {"lesson.yaml", "id: forbidden", "id: start", `step 2 needs an id of its own, not "start"`},
		"no title":            {"en.md", "# A node joins", "A node joins", "en.md:1: the first line is `# `"},
		"heading without id":  {"zh.md", "## 读懂 403 {#forbidden}", "## 读懂 403", "zh.md:"},
		"a step too few":      {"zh.md", "{#forbidden}", "{#elsewhere}", `step 2 of lesson.yaml is "forbidden"`},
		"no why":              {"en.md", "> The kubelet on", "The kubelet on", `step "start" needs a text, and a line`},
		"an unreadable step":  {"solutions/1.session", "advance 10s", "advance soon", "solutions/1.session:4:9: "},
		"a fail with no goal": {"fail/deny.session", "# misses: approve", "# misses: nothing", "deny.session:1: the first line of a fail"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := copyOf(t, "first-join")
			f := broken["first-join/"+c.file]
			require.Contains(t, string(f.Data), c.old)
			f.Data = []byte(strings.Replace(string(f.Data), c.old, c.new, 1))
			_, err := LoadFrom(broken, "first-join")
			require.ErrorContains(t, err, c.want)
		})
	}
	whole := copyOf(t, "first-join")
	_, err := LoadFrom(whole, "first-join")
	require.NoError(t, err, "unbroken, it loads")
	delete(whole, "first-join/zh.md")
	_, err = LoadFrom(whole, "first-join")
	require.ErrorContains(t, err, "zh.md: every lesson is written in en and zh")
}

func copyOf(t *testing.T, dir string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	require.NoError(t, fs.WalkDir(files, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		out[name] = &fstest.MapFile{Data: b}
		return err
	}))
	return out
}
