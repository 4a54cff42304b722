package era

import "strings"

// What there is much of, feature gates and flags, stands in tables of text that are
// read when they are asked: a line for each name, with words for what changed since
// when.

// tableLines are the lines of a table that are no comments.
func tableLines(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); line != "" && line[0] != '#' && !yield(line) {
				return
			}
		}
	}
}

// sinceOf reads a word of a table: the minor from which it holds, and what holds.
func sinceOf(word string) (minor int, what string) {
	n := 0
	for n < len(word) && word[n] >= '0' && word[n] <= '9' {
		minor = minor*10 + int(word[n]-'0')
		n++
	}
	if n == 0 {
		minor = Oldest
	}
	return minor, word[n:]
}

// listed are the names of what stands in tables, as Names has them.
func listed() (names []string) {
	for line := range tableLines(gateText) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, "gate/"+name)
	}
	for _, t := range flagTables {
		for line := range tableLines(*t.text) {
			if name, _, _ := strings.Cut(line, " "); name[0] != '!' {
				names = append(names, "flag/"+t.component+"/"+name)
			}
		}
	}
	return append(names, rbacNames()...)
}

// listed is what a table says of a name in a release; empty when there is none.
func (e Era) listed(name string) (value, source string) {
	if gate, ok := strings.CutPrefix(name, "gate/"); ok {
		if g, known := e.Gate(gate); known {
			return g.String(), g.Source
		}
	}
	if flag, ok := strings.CutPrefix(name, "flag/"); ok {
		component, flag, _ := strings.Cut(flag, "/")
		if f, known := FlagOf(e, component, flag); known {
			return f.String(), f.Source
		}
	}
	if value = e.rbacListed(name); value != "" {
		return value, rbacSource
	}
	return "", ""
}
