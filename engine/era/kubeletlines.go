package era

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed kubeletlines.txt
var kubeletLines string

// KubeletLine is a line of a kubelet's log in one release.
type KubeletLine struct {
	// Level is I, W, E or F; V the verbosity that shows it. Bare: it has no head.
	Level  byte
	V      int
	Bare   bool
	Source string
	// Words are a message, or a sentence with {NAME} in it. Structured: what is told
	// beside it follows. Handled: it goes through HandleError, which Unhandled says.
	Words      string
	Structured bool
	Handled    bool
}

// Unhandled: HandleError tells of an error in a line "Unhandled Error".
var Unhandled = row("UnhandledError", Fact[bool]{Since: "1.31", Value: true, Source: "k8s.io/apimachinery/pkg/util/runtime @1.31"})

// linesOf are the lines of each release that was asked for.
var linesOf sync.Map

// KubeletLine finds a line by its name; ok is false when the release does not log it.
func (e Era) KubeletLine(name string) (l KubeletLine, ok bool) {
	lines, known := linesOf.Load(e)
	if !known {
		lines, _ = linesOf.LoadOrStore(e, e.readLines())
	}
	l, ok = lines.(map[string]KubeletLine)[name]
	return l, ok
}

func (e Era) readLines() map[string]KubeletLine {
	lines := map[string]KubeletLine{}
	var name string
	for text := range tableLines(kubeletLines) {
		head, words, _ := strings.Cut(text, "\t")
		fields := strings.Fields(head)
		if len(fields) == 1 {
			name = fields[0]
			continue
		}
		since, _ := sinceOf(fields[0])
		switch {
		case since > e.minor:
			continue
		case fields[1] == "-":
			delete(lines, name)
			continue
		}
		l := KubeletLine{Level: fields[1][0]}
		if l.Bare = l.Level == '-'; !l.Bare {
			l.V, _ = strconv.Atoi(fields[1][1:])
			file, numbers, _ := strings.Cut(fields[2], ":")
			l.Source = file + ":" + numberIn(numbers, e.minor)
		}
		if words, l.Handled = strings.CutPrefix(words, "!"); l.Handled && Unhandled.In(e) {
			l.Structured = true
		} else if !l.Handled && strings.HasPrefix(words, `"`) {
			words, l.Structured = strings.Trim(words, `"`), true
		}
		l.Words = words
		lines[name] = l
	}
	return lines
}

// numberIn is the number that a list such as "120,12:133" has in a minor.
func numberIn(list string, minor int) (number string) {
	for word := range strings.SplitSeq(list, ",") {
		since, n, later := strings.Cut(word, ":")
		if !later {
			number = word
		} else if from, _ := strconv.Atoi(since); from <= minor {
			number = n
		}
	}
	return number
}
