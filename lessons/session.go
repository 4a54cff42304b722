package lessons

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"
)

// Session is a script: what is typed at which host, how much time passes, and
// what must have been printed. One step a line.
type Session struct {
	// Name is the file it was read from, for messages.
	Name string
	Does []Do
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
		if d.Verb != Advance && len(s.Does) == 0 {
			return nil, bad(d.Col, "%s has no step before it to look at", d.Verb)
		}
		s.Does = append(s.Does, d)
	}
	if len(s.Does) == 0 {
		return nil, &SyntaxError{name, 1, 1, "this session has no steps"}
	}
	return s, nil
}

const unknown = "a step is `HOST$ COMMAND`, `HOST# COMMAND`, `advance 30s`, `expect TEXT`, `refuse TEXT` or `exit N`; a comment begins with #"

// fill makes d a step that is not typed. What it returns is the complaint.
func (d *Do) fill(verb Verb, rest string) string {
	d.Verb = verb
	switch verb {
	case Advance:
		t, err := ParseDuration(rest)
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

var durationPart = regexp.MustCompile(`^([0-9]{1,18})(ms|s|m|h|d)`)

var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// longest is how far one step may advance; beyond it dates leave the range of
// time.Duration.
const longest = 200 * 365 * 24 * time.Hour

// ParseDuration reads "30s", "5m", "300d" or a sum such as "1d12h".
func ParseDuration(s string) (time.Duration, error) {
	var sum time.Duration
	rest := s
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		if n > int64((longest-sum)/units[m[2]]) {
			return 0, fmt.Errorf("%q is too long; the longest is 200 years", s)
		}
		sum += time.Duration(n) * units[m[2]]
		rest = rest[len(m[0]):]
	}
	if s == "" || rest != "" {
		return 0, fmt.Errorf("%q is no duration; write 30s, 5m, 2h or 300d", s)
	}
	return sum, nil
}
