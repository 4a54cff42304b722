package desk

import (
	"fmt"
	"strings"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
	"github.com/joinery-lab/joinery/lessons"
)

// goals is the lesson that is open and what the person has reached of it.
type goals struct {
	lesson *lessons.Lesson
	ev     *lessons.Evidence
	met    map[string]bool
	why    map[string]lessons.Key
}

// newGoals opens a lesson, nil when there is none.
func newGoals(l *lessons.Lesson) *goals {
	g := &goals{lesson: l, met: map[string]bool{}, why: map[string]lessons.Key{}}
	if l != nil {
		g.ev = l.Evidence()
	}
	return g
}

func (g *goals) add(obs []trace.Observation) {
	if g.lesson != nil {
		g.ev.Add(obs)
	}
}

// check asks all goals. A step that was met stays ticked.
func (g *goals) check(v engine.View) {
	if g.lesson == nil {
		return
	}
	for _, s := range g.lesson.Steps {
		g.met[s.ID], g.why[s.ID] = s.Goal.Met(v, g.ev)
	}
}

func (g *goals) title(lang string) string {
	if g.lesson == nil {
		return ""
	}
	return g.lesson.Title(lang)
}

func (m *Model) left() Left {
	t := m.text()
	l := Left{Name: t("area.left"), Open: m.Tabs.Left, Learn: m.learn(), Flags: m.flags()}
	if l.Open == "release" {
		l.Release = m.releasePanel()
	}
	for _, n := range LeftTabs {
		if n == "inspect" && !m.narrow() {
			continue
		}
		l.Tabs = append(l.Tabs, Button{Test: "tab-" + n, Label: t("tab." + n), Pressed: n == m.Tabs.Left, Msg: Tab{"left", n}})
	}
	if l.Open == "inspect" && !m.narrow() {
		l.Open = "learn"
		l.Tabs[0].Pressed = true
	}
	return l
}

func (m *Model) learn() Learn {
	t := m.text()
	g := m.Goals
	if g.lesson == nil {
		return Learn{Whole: Button{Test: "whole", Label: t("embed.whole"), Msg: Leave{}}, Title: t("learn.none.title"), Intro: prose(t("learn.none.text"))}
	}
	l := Learn{Whole: Button{Test: "whole", Label: t("embed.whole"), Msg: Leave{}}, Title: g.title(m.Lang), Intro: prose(g.lesson.Intro(m.Lang)), StepsTitle: t("learn.steps"), ProgressTitle: t("learn.progress")}
	met, now := 0, false
	for i, s := range g.lesson.Steps {
		d := LearnStep{ID: s.ID, N: fmt.Sprint(i + 1), Title: s.Title(m.Lang), State: "todo", Met: g.met[s.ID]}
		switch {
		case d.Met:
			d.State, d.N = "done", "✓"
			met++
		case !now:
			d.State, now = "now", true
			d.Prose = prose(s.Text(m.Lang))
			if m.Ready {
				d.Why = g.lesson.Why(m.Lang, g.why[s.ID])
			}
		}
		d.StateText = t("learn." + d.State)
		l.Steps = append(l.Steps, d)
	}
	if met > 0 {
		l.Intro = nil
	}
	l.Progress = 100 * met / max(1, len(l.Steps))
	l.ProgressText = t("learn.progress.text", "met", met, "all", len(l.Steps))
	return l
}

// turnable are the flags that the panel offers, as rows.
var turnable = []struct {
	host, unit, name string
	choices          []string
}{
	{"control-1", "kube-controller-manager", "cluster-signing-duration", []string{"10m0s", "1h0m0s", "24h0m0s", "720h0m0s", "8760h0m0s"}},
	{"control-1", "kube-controller-manager", "controllers", []string{"*,bootstrapsigner,tokencleaner", "*,-csrsigning,bootstrapsigner,tokencleaner", "*,-csrapproving,bootstrapsigner,tokencleaner"}},
}

func (m *Model) flags() Flags {
	t := m.text()
	f := Flags{Note: t("flags.note")}
	for _, r := range turnable {
		if n := len(f.Groups); n == 0 || f.Groups[n-1].Title != r.unit {
			f.Groups = append(f.Groups, FlagGroup{Title: r.unit})
		}
		d := FlagField{Test: "flag-" + r.name, Host: r.host, Unit: r.unit, Name: r.name, Hint: t("flag." + r.name), Choices: r.choices, Disabled: m.Ghost || !m.Ready}
		if u := m.unit(r.host, r.unit); u != nil {
			d.Value = u.Flags[r.name]
		}
		g := &f.Groups[len(f.Groups)-1]
		g.Flags = append(g.Flags, d)
	}
	return f
}

// prose takes a lesson's Markdown apart: paragraphs, and blocks of code
// between fences. Within a paragraph only code between backticks and
// **strong** words are known; components draw them.
func prose(s string) []Para {
	var out []Para
	for i, part := range strings.Split(s, "```") {
		if i%2 == 1 {
			if _, rest, ok := strings.Cut(part, "\n"); ok {
				part = rest
			}
			out = append(out, Para{strings.Trim(part, "\n"), true})
			continue
		}
		for _, p := range strings.Split(part, "\n\n") {
			if p = strings.TrimSpace(p); p != "" {
				out = append(out, Para{strings.ReplaceAll(p, "\n", " "), false})
			}
		}
	}
	return out
}
