package lessons

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// prose is a lesson's text in one language, a Markdown file of this form:
//
//	# Title
//
//	What comes before the first step.
//
//	## Heading of a step {#id}
//
//	What the step says.
//
//	> What is still missing, for when its goal is not met.
type prose struct {
	title, intro string
	steps        []passage
}

type passage struct {
	id, title, text, why string
}

func (p *prose) step(id string) passage {
	i := slices.IndexFunc(p.steps, func(s passage) bool { return s.id == id })
	if i < 0 {
		return passage{id: id}
	}
	return p.steps[i]
}

var heading = regexp.MustCompile(`^## (.+?) \{#([a-z0-9-]+)\}$`)

// readProse reads a lesson's text; it must have the given steps in their order.
func readProse(name, text string, steps []Step) (*prose, error) {
	p := &prose{}
	var body, why []string
	end := func() {
		text := strings.TrimSpace(strings.Join(body, "\n"))
		if len(p.steps) == 0 {
			p.intro = text
		} else {
			s := &p.steps[len(p.steps)-1]
			s.text, s.why = text, strings.TrimSpace(strings.Join(why, " "))
		}
		body, why = nil, nil
	}
	bad := func(line int, format string, args ...any) error {
		return fmt.Errorf("%s:%d: %s", name, line, fmt.Sprintf(format, args...))
	}
	lines := strings.Split(text, "\n")
	lineOf := map[string]int{}
	for i, line := range lines {
		line = strings.TrimRight(line, " \r")
		switch {
		case i == 0:
			title, ok := strings.CutPrefix(line, "# ")
			if !ok {
				return nil, bad(1, "the first line is `# ` and the lesson's title")
			}
			p.title = title
		case strings.HasPrefix(line, "## "):
			m := heading.FindStringSubmatch(line)
			if m == nil {
				return nil, bad(i+1, "the heading of a step is `## Heading {#id}`")
			}
			end()
			p.steps = append(p.steps, passage{id: m[2], title: m[1]})
			lineOf[m[2]] = i + 1
		case len(p.steps) > 0 && strings.HasPrefix(line, "> "):
			why = append(why, line[2:])
		default:
			body = append(body, line)
		}
	}
	end()
	for i, s := range steps {
		if i >= len(p.steps) || p.steps[i].id != s.ID {
			return nil, bad(max(lineOf[s.ID], 1), "step %d of lesson.yaml is %q; the text has the steps in another order, or lacks it", i+1, s.ID)
		}
		if p.steps[i].text == "" || p.steps[i].why == "" {
			return nil, bad(lineOf[s.ID], "step %q needs a text, and a line `> …` that says what is still missing", s.ID)
		}
	}
	if n := len(steps); len(p.steps) > n {
		return nil, bad(lineOf[p.steps[n].id], "lesson.yaml has no step %q", p.steps[n].id)
	}
	return p, nil
}
