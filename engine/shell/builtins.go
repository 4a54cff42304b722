package shell

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/joinery-lab/joinery/engine/sim"
)

// refused are builtins of the interpreter that would reach the real machine,
// print in the order of a map, start goroutines, or do nothing.
var refused = []string{"alias", "unalias", "bg", "bind", "compgen", "complete", "compopt", "disown", "enable", "exec", "fc", "fg", "hash", "history", "jobs", "kill", "mapfile", "newgrp", "readarray", "suspend", "times", "trap", "ulimit", "umask"}

// What a call of a function and a new player count as, in statements: frames
// and goroutines are what recursion fills the memory with.
const (
	functionCost = 40
	forkCost     = 100
)

// bytesPerStatement is how much text that is passed or written counts as one
// statement.
const bytesPerStatement = 64

// call sees every simple command before it runs: it serves the builtins that
// must read our pipes, our disk or our players, and returns what the
// interpreter is to run instead.
func (l *live) call(ctx context.Context, args []string) ([]string, error) {
	hc := interp.HandlerCtx(ctx)
	name := args[0]
	if name != callPlay { // which comes before its turn
		size := 0
		for _, a := range args {
			size += len(a)
		}
		l.charge(size / bytesPerStatement)
	}
	if l.isFunc(name) {
		l.charge(functionCost)
		l.weigh(hc.Env)
		return args, nil
	}
	if slices.Contains(refused, name) {
		return complain(hc, 2, "%s: not in this shell", name), nil
	}
	if b, ok := builtins[name]; ok {
		return b(l, hc, args), nil
	}
	return args, nil
}

// builtins returns what to run instead of a command: eval with a text that
// does no more than leave a status, most times.
var builtins map[string]func(l *live, hc interp.HandlerContext, args []string) []string

func init() {
	builtins = map[string]func(l *live, hc interp.HandlerContext, args []string) []string{
		"read": read, "wait": wait, "eval": again, "source": again, ".": again, "set": set, "cd": cd, "pwd": pwd,
		"test": test, "[": test, "type": typeOf, "command": command,
	}
}

// left is a command that does nothing but end with a status.
func left(status int) []string { return []string{"eval", fmt.Sprintf("(exit %d)", status)} }

func complain(hc interp.HandlerContext, status int, format string, a ...any) []string {
	fmt.Fprintf(hc.Stderr, "bash: "+format+"\n", a...)
	return left(status)
}

func (l *live) isFunc(name string) bool {
	_, now := l.funcs[name]
	_, before := l.start.Funcs[name]
	return now || before
}

func wait(l *live, _ interp.HandlerContext, _ []string) []string {
	l.stage.alone(l.stage.current.id)
	return left(0)
}

func set(l *live, hc interp.HandlerContext, args []string) []string {
	for i, a := range args[1:] {
		if a == "--" {
			break
		}
		if a == "pipefail" {
			l.pipefail = strings.HasPrefix(args[i], "-")
		}
		if a == "xtrace" || a == "verbose" || a == "noexec" || len(a) > 1 && a[0] == '-' && strings.ContainsAny(a, "xvn") {
			return complain(hc, 2, "set: %s: not in this shell", a)
		}
	}
	return args
}

func cd(l *live, hc interp.HandlerContext, args []string) []string {
	if len(args) != 2 || args[1] == "-" {
		return args
	}
	name := args[1]
	e, err := l.stat(abs(hc.Dir, name), true)
	switch {
	case err != nil:
		return complain(hc, 1, "cd: %s: %s", name, linux(err))
	case !e.Mode.IsDir():
		return complain(hc, 1, "cd: %s: Not a directory", name)
	}
	return args
}

func pwd(l *live, hc interp.HandlerContext, args []string) []string {
	if !slices.Contains(args[1:], "-P") {
		return args
	}
	real := l.sys(func(c *sim.Ctx) reply {
		p, _ := c.Disk.Resolve("stat", hc.Dir, true)
		return reply{Text: p}
	}).Text
	fmt.Fprintln(hc.Stdout, real)
	return left(0)
}

// test refuses the tests for which the interpreter wants a real file.
func test(_ *live, hc interp.HandlerContext, args []string) []string {
	for _, a := range args[1:] {
		if a == "-N" || a == "-O" || a == "-G" {
			return complain(hc, 2, "%s: %s: not in this shell", args[0], a)
		}
	}
	return args
}

// what tells what a word is as a command: its kind, and bash's sentence.
func (l *live) what(name string) (kind, text string) {
	switch {
	case syntax.IsKeyword(name):
		return "keyword", name + " is a shell keyword"
	case l.isFunc(name):
		return "function", name + " is a function"
	case interp.IsBuiltin(name) && !slices.Contains(refused, name):
		return "builtin", name + " is a shell builtin"
	case commands[binary(name)] != nil:
		return "file", name + " is /usr/bin/" + binary(name)
	}
	return "", ""
}

func typeOf(l *live, hc interp.HandlerContext, args []string) []string {
	status := 0
	short := false
	for _, a := range args[1:] {
		if a == "-t" {
			short = true
			continue
		}
		if strings.HasPrefix(a, "-") {
			return complain(hc, 2, "type: %s: not in this shell", a)
		}
		kind, text := l.what(a)
		switch {
		case kind == "":
			status = 1
			if !short {
				fmt.Fprintf(hc.Stderr, "bash: type: %s: not found\n", a)
			}
		case short:
			fmt.Fprintln(hc.Stdout, kind)
		default:
			fmt.Fprintln(hc.Stdout, text)
		}
	}
	return left(status)
}

func command(l *live, hc interp.HandlerContext, args []string) []string {
	if len(args) < 2 || !strings.HasPrefix(args[1], "-") {
		if len(args) > 1 && (builtins[args[1]] != nil || slices.Contains(refused, args[1])) {
			return complain(hc, 2, "command %s: not in this shell", args[1])
		}
		return args
	}
	if args[1] != "-v" {
		return complain(hc, 2, "command: %s: not in this shell", args[1])
	}
	status := 0
	for _, a := range args[2:] {
		switch kind, _ := l.what(a); kind {
		case "":
			status = 1
		case "file":
			fmt.Fprintln(hc.Stdout, "/usr/bin/"+binary(a))
		default:
			fmt.Fprintln(hc.Stdout, a)
		}
	}
	return left(status)
}

// again prepares text that a line runs itself (eval, source) like the line:
// it may hold pipelines of its own.
func again(l *live, hc interp.HandlerContext, args []string) []string {
	text := strings.Join(args[1:], " ")
	if args[0] != "eval" {
		if len(args) != 2 {
			return complain(hc, 2, "%s with arguments: not in this shell", args[0])
		}
		b, err := l.readFile(abs(hc.Dir, args[1]))
		if err != nil {
			return complain(hc, 1, "%s: %s", args[1], linux(err))
		}
		text = string(b)
	}
	f, err := parse(text)
	if err == nil {
		for name, src := range sources(f) {
			l.funcs[name] = src
		}
		err = l.rewriter.file(f)
	}
	if err != nil {
		fmt.Fprintln(hc.Stderr, err)
		return left(2)
	}
	var b bytes.Buffer
	if err := syntax.NewPrinter().Print(&b, f); err != nil {
		return left(2)
	}
	// The interpreter reads the text itself, so words of ours have places in it
	// like those of a person.
	l.evaluated = l.evaluated || bytes.Contains(b.Bytes(), []byte(word))
	return []string{"eval", b.String()}
}

// sources are the functions that a program declares, as they were written.
func sources(f *syntax.File) map[string]string {
	out := map[string]string{}
	syntax.Walk(f, func(n syntax.Node) bool {
		if d, ok := n.(*syntax.FuncDecl); ok && d.Name != nil {
			var b bytes.Buffer
			if syntax.NewPrinter().Print(&b, d.Body) == nil {
				out[d.Name.Value] = b.String()
			}
		}
		return true
	})
	return out
}

// read takes one line off a pipe of ours; other inputs the interpreter reads.
func read(l *live, hc interp.HandlerContext, args []string) []string {
	in := l.pipeOf(hc)
	if in == nil {
		return args
	}
	raw := false
	var names []string
	for _, a := range args[1:] {
		switch {
		case a == "-r":
			raw = true
		case !syntax.ValidName(a):
			return complain(hc, 2, "read: %s: not in this shell", a)
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 {
		names = []string{"REPLY"}
	}
	line, err := readLine(in)
	got := err == nil
	text := strings.TrimSuffix(line, "\n")
	if !raw {
		text = strings.ReplaceAll(text, `\`, ``)
	}
	var set strings.Builder
	rest := strings.Trim(text, " \t")
	for i, n := range names {
		field := rest
		if i < len(names)-1 {
			field, rest, _ = strings.Cut(rest, " ")
			rest = strings.TrimLeft(rest, " \t")
		}
		q, err := syntax.Quote(field, syntax.LangBash)
		if err != nil {
			q = "''"
		}
		fmt.Fprintf(&set, "%s=%s; ", n, q)
	}
	fmt.Fprint(&set, got)
	return []string{"eval", set.String()}
}

// readLine reads up to and with the end of the line, and not a byte more: what
// follows is for whoever reads next. The error is io.EOF when no end of line came.
func readLine(in io.Reader) (string, error) {
	var line []byte
	var b [1]byte
	for {
		n, err := in.Read(b[:])
		if n == 0 && err != nil {
			return string(line), io.EOF
		}
		line = append(line, b[:n]...)
		if n > 0 && b[0] == '\n' {
			return string(line), nil
		}
	}
}
