package lessons

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
)

//go:embed */*
var files embed.FS

// Format is the version of lesson.yaml that this build reads.
const Format = 1

// Langs are the languages that every lesson speaks.
var Langs = []string{"en", "zh"}

// Lesson is one lesson, with its prose in every language.
type Lesson struct {
	ID       string
	Releases []string
	// Seed is the seed of the lesson's world.
	Seed  string
	Steps []Step
	// Solutions reach every goal. Fails do not: see Fail.
	Solutions []*Session
	Fails     []Fail
	// Plan is what lesson.yaml says, for Plan.Lesson.
	Plan Plan

	prose map[string]*prose
}

// Step is one thing to do or to see.
type Step struct {
	ID   string
	Goal Goal

	lesson *Lesson
}

// Fail is a tempting session that must not meet the goal Misses. The file says
// so in its first line: `# misses: GOAL`.
type Fail struct {
	*Session
	Misses string
}

// Title is the lesson's name.
func (l *Lesson) Title(lang string) string { return l.in(lang).title }

// Intro is what comes before the first step, as Markdown.
func (l *Lesson) Intro(lang string) string { return l.in(lang).intro }

// Why says what is missing for a goal.
func (l *Lesson) Why(lang string, k Key) string { return l.in(lang).step(string(k)).why }

// Title is the step's heading.
func (s Step) Title(lang string) string { return s.lesson.in(lang).step(s.ID).title }

// Text is the step's prose, as Markdown.
func (s Step) Text(lang string) string { return s.lesson.in(lang).step(s.ID).text }

// in returns the prose in a language, English for one that is not there.
func (l *Lesson) in(lang string) *prose {
	if p := l.prose[lang]; p != nil {
		return p
	}
	return l.prose["en"]
}

// All returns every lesson, sorted by ID. It panics when one can't be read,
// which a test rules out.
func All() []*Lesson {
	var out []*Lesson
	dirs, _ := fs.ReadDir(files, ".")
	for _, d := range dirs {
		l, err := Load(d.Name())
		if err != nil {
			panic(err)
		}
		out = append(out, l)
	}
	return out
}

// Lesson is that of a plan that was read before: Load, without the YAML and
// without the sessions, for a page that is in a hurry.
func (p Plan) Lesson() (*Lesson, error) {
	l, err := p.lesson(p.ID, "")
	if err != nil {
		return nil, err
	}
	return l, l.readProse(files, p.ID)
}

// Load returns one lesson of this build.
func Load(id string) (*Lesson, error) {
	if _, err := fs.Stat(files, path.Join(id, "lesson.yaml")); err != nil {
		return nil, fmt.Errorf("there is no lesson %q", id)
	}
	return LoadFrom(files, id)
}

// LoadFrom reads the lesson in a folder. Errors name file and line, and what
// would be right.
func LoadFrom(from fs.FS, dir string) (*Lesson, error) {
	name := path.Join(dir, "lesson.yaml")
	b, err := fs.ReadFile(from, name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	l, err := readLesson(name, string(b))
	if err != nil {
		return nil, err
	}
	if l.ID != path.Base(dir) {
		return nil, at(name, string(b), "id:", "the id is %q; it must be the folder's name, %q", l.ID, path.Base(dir))
	}
	if err := l.readProse(from, dir); err != nil {
		return nil, err
	}
	if l.Solutions, err = readSessions(from, path.Join(dir, "solutions")); err != nil {
		return nil, err
	}
	if len(l.Solutions) == 0 {
		return nil, fmt.Errorf("%s: a lesson has at least one session that solves it", path.Join(dir, "solutions"))
	}
	fails, err := readSessions(from, path.Join(dir, "fail"))
	if err != nil {
		return nil, err
	}
	for _, s := range fails {
		b, _ := fs.ReadFile(from, s.Name)
		first, _, _ := strings.Cut(string(b), "\n")
		misses, ok := strings.CutPrefix(first, "# misses: ")
		if !ok || !slices.ContainsFunc(l.Steps, func(st Step) bool { return st.ID == misses }) {
			return nil, fmt.Errorf("%s:1: the first line of a fail is `# misses: GOAL`, with a step of the lesson", s.Name)
		}
		l.Fails = append(l.Fails, Fail{s, misses})
	}
	return l, nil
}

func (l *Lesson) readProse(from fs.FS, dir string) error {
	for _, lang := range Langs {
		name := path.Join(dir, lang+".md")
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return fmt.Errorf("%s: every lesson is written in %s: %w", name, strings.Join(Langs, " and "), err)
		}
		if l.prose[lang], err = readProse(name, string(b), l.Steps); err != nil {
			return err
		}
	}
	return nil
}

// Plan is lesson.yaml.
type Plan struct {
	Format   int        `json:"format"`
	ID       string     `json:"id"`
	Releases []string   `json:"releases"`
	Seed     string     `json:"seed"`
	Steps    []PlanStep `json:"steps"`
}

// PlanStep is a step in lesson.yaml, its goal in the language of Predicate.
type PlanStep struct {
	ID   string `json:"id"`
	Goal string `json:"goal"`
}

func readLesson(name, text string) (*Lesson, error) {
	var p Plan
	if err := yaml.UnmarshalStrict([]byte(text), &p); err != nil {
		word := ""
		if _, field, ok := strings.Cut(err.Error(), `unknown field "`); ok {
			field = strings.TrimSuffix(field, `"`)
			word = field[strings.LastIndexByte(field, '.')+1:] + ":"
		}
		return nil, at(name, text, word, "%v", err)
	}
	return p.lesson(name, text)
}

// lesson makes the lesson of a plan; name and text are for its errors.
func (p Plan) lesson(name, text string) (*Lesson, error) {
	if p.Format != Format {
		return nil, at(name, text, "format:", "format is %d; this build reads format %d", p.Format, Format)
	}
	l := &Lesson{ID: p.ID, Releases: p.Releases, Seed: p.Seed, Plan: p, prose: map[string]*prose{}}
	for _, r := range p.Releases {
		if _, err := era.At(r); err != nil {
			return nil, at(name, text, "releases:", "%v", err)
		}
	}
	if len(l.Releases) == 0 {
		return nil, at(name, text, "releases:", "a lesson names the releases that it holds for, such as [%q]", era.Releases()[0])
	}
	seen := map[string]bool{}
	for i, s := range p.Steps {
		if s.ID == "" || seen[s.ID] {
			return nil, at(name, text, "steps:", "step %d needs an id of its own, not %q", i+1, s.ID)
		}
		seen[s.ID] = true
		when, err := ParsePredicate(s.Goal)
		if err != nil {
			return nil, at(name, text, "id: "+s.ID, "the goal of %s: %v", s.ID, err)
		}
		l.Steps = append(l.Steps, Step{s.ID, Goal{s.ID, when}, l})
	}
	if len(l.Steps) == 0 {
		return nil, at(name, text, "steps:", "a lesson has at least one step")
	}
	return l, nil
}

// at makes an error with the line on which a word of the file first stands.
func at(name, text, word, format string, args ...any) error {
	line := 1
	if i := strings.Index(text, word); i > 0 {
		line += strings.Count(text[:i], "\n")
	}
	return fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...))
}

// readSessions reads the sessions of a folder, which may be missing.
func readSessions(from fs.FS, dir string) ([]*Session, error) {
	list, err := fs.ReadDir(from, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []*Session
	for _, f := range list {
		name := path.Join(dir, f.Name())
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		s, err := ParseSession(name, string(b))
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}
