package era

import "strings"

// A Line is a line of a program's log as a release words it: a format before the
// program logs in a structured way, and after that a message and the names of its
// values. None: the release does not say it.
type Line struct {
	Level byte
	// V is the verbosity from which on it is written.
	V int
	// At is where it is written, "certificate_controller.go:84".
	At, Text   string
	Structured bool
	Keys       []Key
}

// A Key is a name in a structured line, and which of the values it is for.
type Key struct {
	Name string
	Of   int
}

// String is the line as klog writes it, with the names of values for these.
func (l Line) String() string {
	if l.At == "" {
		return "-"
	}
	text := l.Text
	if l.Structured {
		text = `"` + text + `"`
		for _, k := range l.Keys {
			text += " " + k.Name
		}
	}
	return string([]byte{l.Level, '0' + byte(l.V)}) + " " + l.At + "] " + text
}

// lines is a row of lines. A word of it is `SINCE LEVEL+V AT] TEXT`, where TEXT in
// quotation marks is a message that names follow: of the values in their order, or
// NAME=N of the Nth. `SINCE -` ends it.
func lines(name, source string, words ...string) Row[Line] {
	var facts []Fact[Line]
	for _, w := range words {
		since, rest, _ := strings.Cut(w, " ")
		f := Fact[Line]{Since: since, Source: source}
		if head, text, ok := strings.Cut(rest, "] "); ok {
			l := &f.Value
			l.Level, l.V, l.At, l.Text = head[0], int(head[1]-'0'), head[3:], text
			if message, keys, ok := strings.Cut(strings.TrimPrefix(text, `"`), `"`); ok && text[0] == '"' {
				l.Structured, l.Text = true, message
				for i, word := range strings.Fields(keys) {
					k := Key{word, i}
					if key, of, ok := strings.Cut(word, "="); ok {
						k = Key{key, number(of) - 1}
					}
					l.Keys = append(l.Keys, k)
				}
			}
		}
		facts = append(facts, f)
	}
	return row(name, facts...)
}
