package lessons

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/joinery-lab/joinery/engine"
)

// Session is a script: what is typed at which host, how much time passes, and
// what must have been printed. One step a line.
type Session struct {
	// Name is the file it was read from, for messages.
	Name string
	Does []Do
	// Words puts an explanation into words; without it, it is kinds and values.
	Words func(engine.Explanation) string
	// Trusts does so for who trusts whom.
	Trusts func(*engine.Trust) string
}

// Verb says what a line of a session does.
type Verb string

const (
	// Type types Text at Host.
	Type Verb = "type"
	// Advance lets For pass.
	Advance Verb = "advance"
	// Expect and Refuse want Text to be, or not to be, in what the step
	// before printed on stdout and stderr.
	Expect Verb = "expect"
	Refuse Verb = "refuse"
	// Exit wants Status of the step before.
	Exit Verb = "exit"
	// Fault sets the fault that Text describes; Lift ends those that it names.
	// Why asks what keeps Text as it is.
	Why Verb = "why"
	// Trust asks who trusts whom, and what the end of the CA Text would break.
	Trust Verb = "trust"
	Fault Verb = "fault add"
	// Set sets a flag in a unit file and restarts the unit.
	Set  Verb = "flag"
	Lift Verb = "fault end"
	// Upgrade installs another release, as engine.ParseUpgrade reads it.
	Upgrade Verb = "upgrade"
)

// Do is one step of a session, at a line and column that count from 1.
type Do struct {
	Line, Col int
	Verb      Verb
	Host      string
	// Prompt is as it was written: "admin$" or "node-1#".
	Prompt string
	Text   string
	For    time.Duration
	Status int
}

// SyntaxError is a session that can't be read.
type SyntaxError struct {
	Name      string
	Line, Col int
	Says      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.Name, e.Line, e.Col, e.Says)
}

var prompt = regexp.MustCompile(`^([a-z0-9][a-z0-9.-]*)([$#])(?:\s+|$)`)

// ParseSession reads a session. Every error is a *SyntaxError.
func ParseSession(name, text string) (*Session, error) {
	s := &Session{Name: name}
	lines := strings.Split(strings.TrimPrefix(text, "\ufeff"), "\n")
	for i := 0; i < len(lines); i++ {
		line := strings.TrimRight(lines[i], " \t\r")
		body := strings.TrimLeft(line, " \t")
		if body == "" || body[0] == '#' {
			continue
		}
		d := Do{Line: i + 1, Col: len(line) - len(body) + 1}
		bad := func(col int, format string, args ...any) error {
			return &SyntaxError{name, d.Line, col, fmt.Sprintf(format, args...)}
		}
		if m := prompt.FindStringSubmatch(body); m != nil {
			col := d.Col + len(m[0])
			d.Verb, d.Host, d.Prompt = Type, m[1], m[1]+m[2]
			d.Text = body[len(m[0]):]
			if d.Text == "" {
				return nil, bad(col, "nothing is typed at %s", d.Prompt)
			}
			used, why := continues(d.Text, lines[i+1:])
			if why != "" {
				return nil, bad(col, "this command does not end before the file does: %s", why)
			}
			for range used {
				i++
				d.Text += "\n" + strings.TrimSuffix(lines[i], "\r")
			}
			s.Does = append(s.Does, d)
			continue
		}
		word, rest, _ := strings.Cut(body, " ")
		col := d.Col + len(word) + 1 + len(rest)
		rest = strings.TrimSpace(rest)
		col -= len(rest)
		if why := d.fill(Verb(word), rest); why != "" {
			if why == unknown {
				col = d.Col
			}
			return nil, bad(col, "%s", why)
		}
		if slices.Contains([]Verb{Expect, Refuse, Exit}, d.Verb) && len(s.Does) == 0 {
			return nil, bad(d.Col, "%s has no step before it to look at", d.Verb)
		}
		s.Does = append(s.Does, d)
	}
	if len(s.Does) == 0 {
		return nil, &SyntaxError{name, 1, 1, "this session has no steps"}
	}
	return s, nil
}

const unknown = "a step is `HOST$ COMMAND`, `HOST# COMMAND`, `advance 30s`, `fault add …`, `fault end …`, `flag UNIT --NAME=VALUE`, `upgrade RELEASE`, `why OBJECT`, `trust`, `expect TEXT`, `refuse TEXT` or `exit N`; a comment begins with #"

// fill makes d a step that is not typed. What it returns is the complaint.
func (d *Do) fill(verb Verb, rest string) string {
	d.Verb = verb
	switch verb {
	case Advance:
		t, err := engine.ParseDuration(rest)
		if err != nil {
			return err.Error()
		}
		d.For = t
	case Expect, Refuse:
		if rest == "" {
			return fmt.Sprintf("%s needs a text", verb)
		}
		d.Text = rest
	case Exit:
		n, err := strconv.Atoi(rest)
		if err != nil || n < 0 || n > 255 {
			return fmt.Sprintf("exit needs a status from 0 to 255, not %q", rest)
		}
		d.Status = n
	case Set:
		if _, err := engine.ParseFlag(rest); err != nil {
			return err.Error()
		}
		d.Text = rest
	case Upgrade:
		if _, err := engine.ParseUpgrade(rest); err != nil {
			return err.Error()
		}
		d.Text = rest
	case Trust:
		d.Text = rest
	case Why:
		if rest == "" {
			return "why needs an object: " + engine.Objects
		}
		d.Text = rest
	case "fault":
		how, what, _ := strings.Cut(rest, " ")
		d.Text = strings.TrimSpace(what)
		switch d.Verb = Verb("fault " + how); d.Verb {
		case Fault:
			if _, err := engine.ParseFault(d.Text, engine.Start); err != nil {
				return err.Error()
			}
		case Lift:
			if d.Text == "" {
				return "fault end needs the name of a fault, or all"
			}
		default:
			return "write `fault add link node-1 control-1 drop` and `fault end link node-1 control-1`, or `fault end all`"
		}
	default:
		return unknown
	}
	return ""
}

// continues tells how many of the following lines belong to a command: those
// of its here-documents, of an open quote or of an open loop. Why is not empty
// when the file ends first. What is wrong otherwise is for the shell to say.
func continues(command string, following []string) (used int, why string) {
	for {
		open := incomplete(command)
		if open == nil {
			return used, ""
		}
		if used == len(following) {
			return 0, open.Error()
		}
		command += "\n" + strings.TrimSuffix(following[used], "\r")
		used++
	}
}

// incomplete returns why a command is not finished, nil when it is.
func incomplete(command string) error {
	_, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(command), "")
	var pe syntax.ParseError
	switch {
	case errors.As(err, &pe) && (pe.Incomplete || strings.HasPrefix(pe.Text, "unclosed here-document")):
		return errors.New(pe.Text)
	case trailingBackslash.MatchString(command):
		return errors.New("its last line ends with a backslash")
	}
	return nil
}

var trailingBackslash = regexp.MustCompile(`(^|[^\\])(\\\\)*\\$`)
