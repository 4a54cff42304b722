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
