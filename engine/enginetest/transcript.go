package enginetest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

// step is one step of a transcript. Head is kept as it is when a file is
// rewritten: comments and blank lines before the step.
type step struct {
	line int
	head string
	// text is the step as it was written, without the prompt for a typed one.
	text         string
	prompt, host string
	advance      time.Duration
	// verb is "world", "advance", "fault add", "fault end", "flag", "upgrade", "why", "trust", "refused", "from" or "play"; arg
	// is what follows, and world what it means.
	verb, arg string
	world     engine.Config
	want      string
}

const dashes = "----"

var prompt = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*)[$#] `)

// parse reads a transcript; tail is what follows the last step.
func parse(text string) (steps []step, tail string, err error) {
	lines := strings.SplitAfter(text, "\n")
	trim := func(i int) string { return strings.TrimRight(lines[i], " \t\r\n") }
	var head strings.Builder
	for i := 0; i < len(lines); i++ {
		if l := trim(i); l == "" || l[0] == '#' {
			head.WriteString(lines[i])
			continue
		}
		s := step{line: i + 1, head: head.String()}
		head.Reset()
		var input []string
		for ; i < len(lines) && trim(i) != dashes; i++ {
			input = append(input, trim(i))
		}
		if i == len(lines) {
			return nil, "", fmt.Errorf("line %d: this step lacks its line of %s", s.line, dashes)
		}
		s.text = strings.Join(input, "\n")
		if err := s.read(); err != nil {
			return nil, "", fmt.Errorf("line %d: %w", s.line, err)
		}
		if (s.verb == "world" || s.verb == "from") && len(steps) > 0 {
			return nil, "", fmt.Errorf("line %d: a world is made first, before any other step", s.line)
		}
		var want strings.Builder
		if i+1 < len(lines) && trim(i+1) == dashes {
			for i += 2; ; i++ {
				if i+1 >= len(lines) {
					return nil, "", fmt.Errorf("line %d: this output lacks its closing lines of %s", s.line, dashes)
				}
				if trim(i) == dashes && trim(i+1) == dashes {
					i++
					break
				}
				want.WriteString(lines[i])
			}
		} else {
			for i++; i < len(lines) && trim(i) != ""; i++ {
				want.WriteString(lines[i])
			}
			i--
		}
		s.want = want.String()
		steps = append(steps, s)
	}
	return steps, head.String(), nil
}

func (s *step) read() (err error) {
	if m := prompt.FindString(s.text); m != "" {
		s.prompt, s.host = m, m[:len(m)-2]
		s.text = s.text[len(m):]
		return nil
	}
	verb, arg, _ := strings.Cut(s.text, " ")
	if verb == "fault" {
		how, what, _ := strings.Cut(arg, " ")
		verb, arg = verb+" "+how, what
	}
	s.verb, s.arg = verb, arg
	switch verb {
	case "trust", "refused", "play", "why", "flag", "fault add", "fault end", "upgrade":
		return nil
	case "from":
		return nil
	case "world":
		return s.readWorld()
	case "advance":
	default:
		return fmt.Errorf("%q is no step: begin with a world, type at a host, advance, fault add, fault end, flag, upgrade, why, or trust", s.text)
	}
	if days, ok := strings.CutSuffix(arg, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days, "%d", &n); err != nil {
			return fmt.Errorf("%q is no number of days", days)
		}
		s.advance = time.Duration(n) * 24 * time.Hour
		return nil
	}
	s.advance, err = time.ParseDuration(arg)
	return err
}

// readWorld reads "nodes=2 controlPlanes=3 scenario=kubeadm", each where it is
// not the usual.
func (s *step) readWorld() (err error) {
	for _, word := range strings.Fields(s.arg) {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "release":
			s.world.Release = value
		case "scenario":
			s.world.Scenario = value
		case "nodes":
			s.world.Nodes, err = strconv.Atoi(value)
		case "controlPlanes":
			s.world.ControlPlanes, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("a world has no %q: write release=1.N, nodes=N, controlPlanes=N or scenario=NAME", word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// format writes a step with what was printed.
func (s *step) format(b *strings.Builder, printed string) {
	fmt.Fprintf(b, "%s%s%s\n%s\n", s.head, s.prompt, s.text, dashes)
	if printed != "" && !strings.HasSuffix(printed, "\n") {
		printed += "\n"
	}
	if blank.MatchString(printed) {
		fmt.Fprintf(b, "%s\n%s%s\n%s\n", dashes, printed, dashes, dashes)
		return
	}
	b.WriteString(printed)
}

// blank finds what would end the output too early.
var blank = regexp.MustCompile(`(?m)^[ \t]*$\n|\A----`)
