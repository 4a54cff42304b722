package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"
)

// main runs the line in the interpreter. It has the turn.
func (l *live) main() {
	keep := *l.start
	l.after, l.status = nil, 0
	f, err := parse(l.run.Line)
	if err != nil {
		l.print("stderr", []byte(err.Error()+"\n"))
		l.status, l.after = 2, &keep
		return
	}
	l.funcs = sources(f)
	if err := l.rewriter.file(f); err != nil {
		l.print("stderr", []byte(err.Error()+"\n"))
		l.status, l.after = 2, &keep
		return
	}
	r, err := interp.New(
		interp.Env(l.environ()),
		// interp.Dir would ask the real machine whether the directory is there.
		func(r *interp.Runner) error { r.Dir = l.start.Cwd; return nil },
		interp.StdIO(nil, terminalOut{l, "stdout"}, terminalOut{l, "stderr"}),
		interp.ExecHandlers(func(interp.ExecHandlerFunc) interp.ExecHandlerFunc { return l.exec }),
		interp.CallHandler(l.call),
		interp.OpenHandler(l.open),
		interp.ReadDirHandler2(l.dir),
		interp.StatHandler(l.statInfo),
		interp.AccessHandler(func(ctx context.Context, name string, _ interp.AccessMode) error {
			_, err := l.stat(abs(interp.HandlerCtx(ctx).Dir, name), true)
			return err
		}),
	)
	if err != nil {
		panic("shell: the interpreter can't be made: " + err.Error())
	}
	r.Reset()
	for name, src := range l.start.Funcs {
		if f, err := parse(src); err == nil && len(f.Stmts) == 1 && l.rewriter.file(f) == nil && len(f.Stmts) == 1 {
			if r.Funcs == nil {
				r.Funcs = map[string]*syntax.Stmt{}
			}
			r.Funcs[name] = f.Stmts[0]
		}
	}
	err = r.Run(budget{context.Background(), l}, f)
	if status, ok := errors.AsType[interp.ExitStatus](err); ok {
		l.status = int(status)
	} else if err != nil {
		l.status = 1
		l.print("stderr", []byte("bash: "+err.Error()+"\n"))
	}
	// Pipelines that were left early, and jobs in the background, end before
	// the line does.
	l.join(l.stage.current, 0, 0)
	l.stage.alone(0)
	keep.Cwd = r.Dir
	keep.Vars = map[string]variable{}
	for name, v := range r.Vars {
		if !v.IsSet() || slices.Contains(transient, name) {
			continue
		}
		switch v.Kind {
		case expand.String:
			keep.Vars[name] = variable{Value: v.Str, Exported: v.Exported}
		case expand.Indexed:
			keep.Vars[name] = variable{List: v.List, Exported: v.Exported}
		}
	}
	for name := range l.start.Vars {
		if _, ok := keep.Vars[name]; !ok && !slices.Contains(transient, name) {
			if v, ok := r.Vars[name]; !ok || v.IsSet() {
				keep.Vars[name] = l.start.Vars[name]
			}
		}
	}
	keep.Funcs = map[string]string{}
	for name := range r.Funcs {
		if src, ok := l.funcs[name]; ok {
			keep.Funcs[name] = src
		} else if src, ok := l.start.Funcs[name]; ok {
			keep.Funcs[name] = src
		}
	}
	l.after = &keep
}

// transient variables are the interpreter's own.
var transient = []string{"PWD", "OLDPWD", "IFS", "OPTIND", "_"}

// environ is the terminal's variables for the interpreter.
func (l *live) environ() expand.Environ {
	names := make([]string, 0, len(l.start.Vars))
	for n := range l.start.Vars {
		names = append(names, n)
	}
	slices.Sort(names)
	return environ{l.start.Vars, names}
}

type environ struct {
	vars  map[string]variable
	names []string
}

func (e environ) Get(name string) expand.Variable {
	v, ok := e.vars[name]
	if !ok {
		return expand.Variable{}
	}
	if v.List != nil {
		return expand.Variable{Set: true, Kind: expand.Indexed, List: v.List, Exported: v.Exported}
	}
	return expand.Variable{Set: true, Kind: expand.String, Str: v.Value, Exported: v.Exported}
}

func (e environ) Each(f func(string, expand.Variable) bool) {
	for _, n := range e.names {
		if !f(n, e.Get(n)) {
			return
		}
	}
}

// pipeOf is the pipe that standard input is, if it is one of ours.
func (l *live) pipeOf(hc interp.HandlerContext) io.Reader {
	in := l.stage.current.stdin
	if in.pipe != nil && any(hc.Stdin) == in.base {
		return pipeReader{l.stage, in.pipe}
	}
	return nil
}

// exec runs a command of the table, or one of the words of a rewritten line.
func (l *live) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	if strings.HasPrefix(args[0], word) && len(args) == 2 && (l.evaluated || !hc.Pos.IsValid()) {
		return l.word(hc, args[0], args[1])
	}
	p := &process{live: l, name: args[0], args: args[1:], dir: hc.Dir, env: hc.Env, out: hc.Stdout, errs: hc.Stderr}
	switch in := l.pipeOf(hc); {
	case in != nil:
		p.in = in
	case hc.Stdin != nil:
		p.in = hc.Stdin
	default:
		p.in = bytes.NewReader(nil)
	}
	run := commands[binary(args[0])]
	if run == nil {
		fmt.Fprintf(p.errs, "bash: %s: command not found\n", args[0])
		return interp.ExitStatus(127)
	}
	return exit(run(p))
}

// binary is the name of a command without the directories of $PATH.
func binary(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "/usr"), "/bin/")
}

func exit(status int) error {
	if status == 0 {
		return nil
	}
	return interp.ExitStatus(status)
}

// word does what a rewritten line asks for (rewrite.go).
func (l *live) word(hc interp.HandlerContext, name, arg string) error {
	s := l.stage
	n, _ := strconv.Atoi(arg)
	if name == callPlay {
		// Not its turn yet: nothing shared may be touched before begin.
		p := s.starting
		s.begin(p)
		p.stdin.base = hc.Stdin
		return nil
	}
	me := s.current
	switch name {
	case callFork:
		l.charge(forkCost)
		p := s.fork()
		if any(hc.Stdin) == me.stdin.base {
			p.stdin.pipe = me.stdin.pipe
		}
		p.pipe = &pipe{}
	case callEnd:
		me.status = uint8(hc.LastExitStatus)
		s.end(me)
		runtime.Goexit() // what follows would run beside the next turn
	case callBorn:
		s.awaitBirth()
	case callFrom:
		p := s.awaitBirth()
		me.outer = append(me.outer, me.stdin)
		me.stdin = stdin{p.pipe, hc.Stdin, n, p}
	case callJoin:
		return exit(l.join(me, n, hc.LastExitStatus))
	case callLoop:
		l.weigh(hc.Env)
		return exit(hc.LastExitStatus)
	case callTick:
		me.ticks = append(me.ticks, l.now())
	case callTock:
		l.tock(me, hc, n == 1)
		return exit(hc.LastExitStatus)
	case callVar:
		fmt.Fprint(hc.Stdout, l.special(arg))
	case callNum:
		fmt.Fprint(hc.Stdout, l.number(hc.Env, arg))
	}
	return nil
}

// heaviest is how much the variables of a line may hold, in bytes.
const heaviest = 16 << 20

// weigh ends a line whose variables grow without end: a=$a$a doubles.
func (l *live) weigh(env expand.Environ) {
	total := 0
	env.Each(func(_ string, v expand.Variable) bool {
		total += len(v.Str)
		for _, s := range v.List {
			total += len(s)
		}
		return true
	})
	if total > heaviest {
		l.charge(workLimit)
	}
}

// join ends pipeline n for its reader, and those in it that were left by a
// return. It gives the pipeline's status.
func (l *live) join(me *player, n, status int) int {
	for len(me.outer) > 0 {
		in := me.stdin
		me.stdin = me.outer[len(me.outer)-1]
		me.outer = me.outer[:len(me.outer)-1]
		in.pipe.broken = true
		l.stage.wait(func() bool { return in.writer.over })
		if in.number == n {
			if l.pipefail && status == 0 {
				status = int(in.writer.status)
			}
			break
		}
	}
	return status
}

// tock prints how long a command took, in virtual time.
func (l *live) tock(me *player, hc interp.HandlerContext, posix bool) {
	if len(me.ticks) == 0 {
		return
	}
	d := l.now().Sub(me.ticks[len(me.ticks)-1]).Milliseconds()
	me.ticks = me.ticks[:len(me.ticks)-1]
	if posix {
		fmt.Fprintf(hc.Stderr, "real %d.%02d\nuser 0.00\nsys 0.00\n", d/1000, d%1000/10)
		return
	}
	fmt.Fprintf(hc.Stderr, "\nreal\t%dm%d.%03ds\nuser\t0m0.000s\nsys\t0m0.000s\n", d/60000, d/1000%60, d%1000)
}

// number follows a value that is the name of a variable, as bash does in an
// expression, until it is none.
func (l *live) number(env expand.Environ, value string) string {
	for range 100 {
		switch {
		case slices.Contains(special, value):
			return l.special(value)
		case !syntax.ValidName(value):
			return value
		}
		value = env.Get(value).String()
	}
	return "0"
}

// special is the value of a variable that would be the real machine's.
func (l *live) special(name string) string {
	switch name {
	case "RANDOM":
		return strconv.FormatUint(l.draw("random", 32768), 10)
	case "SRANDOM":
		return strconv.FormatUint(l.draw("srandom", 1<<32), 10)
	case "EPOCHSECONDS":
		return strconv.FormatInt(l.now().Unix(), 10)
	case "EPOCHREALTIME":
		t := l.now()
		return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000)
	case "SECONDS":
		return strconv.FormatInt(int64(l.now().Sub(l.start.Born)/time.Second), 10)
	case "$":
		return "1000"
	case "PPID":
		return "1"
	}
	return ""
}
