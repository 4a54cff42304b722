package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"
	"mvdan.cc/sh/v3/syntax"

	"github.com/joinery-lab/joinery/engine/sim"
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
	l.rewriter.file(f)
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
		if f, err := parse(src); err == nil && len(f.Stmts) == 1 {
			l.rewriter.file(f)
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
	// Jobs in the background end before the line does.
	me := l.stage.current
	l.stage.wait(func() bool {
		return !slices.ContainsFunc(l.stage.players, func(p *player) bool { return p != me && !p.over })
	})
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

// call sees every simple command before it runs: it serves `read` from our
// pipes and `wait` for our players.
func (l *live) call(ctx context.Context, args []string) ([]string, error) {
	hc := interp.HandlerCtx(ctx)
	switch args[0] {
	case "read":
		if in := l.pipeOf(hc); in != nil {
			return l.read(in, args[1:]), nil
		}
	case "wait":
		me := l.stage.current
		l.stage.wait(func() bool {
			return !slices.ContainsFunc(l.stage.players, func(p *player) bool { return p.id > me.id && !p.over })
		})
		return []string{"true"}, nil
	case "eval", "source", ".":
		return l.again(hc, args), nil
	case "exec", "trap", "ulimit", "umask", "bg", "fg", "jobs", "disown":
		return []string{"\x01refuse", args[0]}, nil
	}
	return args, nil
}

// again prepares text that a line runs itself (eval, source) like the line:
// it may hold pipelines of its own.
func (l *live) again(hc interp.HandlerContext, args []string) []string {
	text := strings.Join(args[1:], " ")
	if args[0] != "eval" {
		if len(args) != 2 {
			return []string{"\x01refuse", args[0] + " with arguments"}
		}
		b, err := l.readFile(abs(hc.Dir, args[1]))
		if err != nil {
			fmt.Fprintf(hc.Stderr, "bash: %s: %s\n", args[1], linux(err))
			return []string{"false"}
		}
		text = string(b)
	}
	f, err := parse(text)
	if err != nil {
		fmt.Fprintln(hc.Stderr, err)
		return []string{"false"}
	}
	for name, src := range sources(f) {
		l.funcs[name] = src
	}
	l.rewriter.file(f)
	var b bytes.Buffer
	if err := syntax.NewPrinter().Print(&b, f); err != nil {
		return []string{"false"}
	}
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

// read takes one line off a pipe, for the builtin of that name.
func (l *live) read(in io.Reader, args []string) []string {
	raw := false
	var names []string
	for _, a := range args {
		switch {
		case a == "-r":
			raw = true
		case strings.HasPrefix(a, "-"):
			return []string{"\x01refuse", "read " + a}
		default:
			names = append(names, a)
		}
	}
	if len(names) == 0 {
		names = []string{"REPLY"}
	}
	var line []byte
	var b [1]byte
	got := false
	for {
		if _, err := in.Read(b[:]); err != nil {
			break
		}
		got = true
		if b[0] == '\n' {
			break
		}
		line = append(line, b[0])
	}
	text := string(line)
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
	if !got {
		set.WriteString("false")
	} else {
		set.WriteString("true")
	}
	return []string{"eval", set.String()}
}

// pipeOf is the pipe that standard input is, if it is one of ours.
func (l *live) pipeOf(hc interp.HandlerContext) io.Reader {
	p := l.stage.current
	if p.stdin != 0 && any(hc.Stdin) == p.base {
		return pipeReader{l.stage, l.stage.pipes[p.stdin]}
	}
	return nil
}

// exec runs a command of the table, or one of the words of a rewritten line.
func (l *live) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	if name, ok := strings.CutPrefix(args[0], "\x01"); ok && len(args) == 2 {
		return l.word(hc, name, args[1])
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
	run := commands[strings.TrimPrefix(strings.TrimPrefix(args[0], "/usr"), "/bin/")]
	if run == nil {
		fmt.Fprintf(p.errs, "bash: %s: command not found\n", args[0])
		return interp.ExitStatus(127)
	}
	if status := run(p); status != 0 {
		return interp.ExitStatus(status)
	}
	return nil
}

// word does what a rewritten line asks for (rewrite.go).
func (l *live) word(hc interp.HandlerContext, name, arg string) error {
	s := l.stage
	n, _ := strconv.Atoi(arg)
	if "\x01"+name == callPlay {
		// Not its turn yet: nothing shared may be touched before begin.
		p := s.numbered(n)
		s.begin(p)
		p.base = hc.Stdin
		return nil
	}
	me := s.current
	switch "\x01" + name {
	case callFork:
		p := s.add()
		if me.base == any(hc.Stdin) {
			p.stdin = me.stdin
		}
		p.pipe = &pipe{}
		s.number(n, p)
	case callEnd:
		s.end(s.numbered(n))
		runtime.Goexit() // what follows would run beside the next turn
	case callBorn:
		<-s.numbered(n).born
	case callFrom:
		<-s.numbered(n).born
		me.outer = append(me.outer, stdin{me.stdin, me.base})
		me.stdin, me.base = n, hc.Stdin
		me.reads = append(me.reads, s.pipes[n])
	case callJoin:
		s.pipes[n].broken = true
		p := s.numbered(n)
		s.wait(func() bool { return p.over })
		last := me.outer[len(me.outer)-1]
		me.outer = me.outer[:len(me.outer)-1]
		me.stdin, me.base = last.pipe, last.base
		if hc.LastExitStatus != 0 {
			return interp.ExitStatus(hc.LastExitStatus)
		}
	case "\x01refuse":
		fmt.Fprintf(hc.Stderr, "bash: %s: not in this shell\n", arg)
		return interp.ExitStatus(2)
	case "\x01var":
		fmt.Fprint(hc.Stdout, l.special(arg))
	}
	return nil
}

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
	case "$":
		return "1000"
	case "PPID":
		return "1"
	}
	return "0"
}

// open serves redirections: our pipes, and the host's disk.
func (l *live) open(ctx context.Context, name string, flag int, perm os.FileMode) (io.ReadWriteCloser, error) {
	if n, ok := strings.CutPrefix(name, pipePath); ok {
		i, _ := strconv.Atoi(n)
		return &pipeWriter{l: l, n: i}, nil
	}
	name = abs(interp.HandlerCtx(ctx).Dir, name)
	if name == "/dev/null" {
		return &openFile{}, nil
	}
	if flag&(os.O_WRONLY|os.O_RDWR) == 0 {
		b, err := l.readFile(name)
		if err != nil {
			return nil, err
		}
		return &openFile{Reader: bytes.NewReader(b)}, nil
	}
	if err := l.writeFile(name, nil, flag&os.O_APPEND != 0); err != nil {
		return nil, err
	}
	return &openFile{l: l, name: name}, nil
}

// openFile is a file behind a redirection: read whole at once, or written as
// it goes.
type openFile struct {
	*bytes.Reader
	l    *live
	name string
}

func (f *openFile) Read(p []byte) (int, error) {
	if f.Reader == nil {
		return 0, io.EOF
	}
	return f.Reader.Read(p)
}
func (f *openFile) Write(p []byte) (int, error) {
	if f.l == nil {
		return len(p), nil
	}
	if err := f.l.writeFile(f.name, bytes.Clone(p), true); err != nil {
		return 0, err
	}
	return len(p), nil
}
func (f *openFile) Close() error { return nil }

// terminalOut is what a command prints to the person.
type terminalOut struct {
	l      *live
	stream string
}

func (t terminalOut) Write(p []byte) (int, error) {
	t.l.print(t.stream, p)
	return len(p), nil
}

type pipeWriter struct {
	l *live
	n int
	q *pipe
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	s := w.l.stage
	if w.q == nil {
		w.q = s.pipes[w.n]
	}
	q := w.q
	for done := 0; done < len(b); {
		s.wait(func() bool { return q.broken || len(q.buf) < pipeLimit })
		if q.broken {
			// SIGPIPE: the writer ends without a word.
			s.end(s.current)
			runtime.Goexit()
		}
		n := min(len(b)-done, pipeLimit-len(q.buf))
		q.buf = append(q.buf, b[done:done+n]...)
		done += n
	}
	return len(b), nil
}
func (w *pipeWriter) Read([]byte) (int, error) { return 0, io.EOF }
func (w *pipeWriter) Close() error             { return nil }

type pipeReader struct {
	s *stage
	p *pipe
}

func (r pipeReader) Read(b []byte) (int, error) {
	r.s.wait(func() bool { return len(r.p.buf) > 0 || r.p.closed })
	if len(r.p.buf) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.p.buf)
	r.p.buf = r.p.buf[n:]
	return n, nil
}

// dir and statInfo show the disk to globs and tests.
func (l *live) dir(ctx context.Context, name string) ([]fs.DirEntry, error) {
	name = abs(interp.HandlerCtx(ctx).Dir, name)
	names, err := l.readDir(name)
	if err != nil {
		return nil, err
	}
	var out []fs.DirEntry
	for _, n := range names {
		e, err := l.stat(abs(name, n), false)
		if err == nil {
			out = append(out, fs.FileInfoToDirEntry(info{n, e}))
		}
	}
	return out, nil
}

func (l *live) statInfo(ctx context.Context, name string, follow bool) (fs.FileInfo, error) {
	name = abs(interp.HandlerCtx(ctx).Dir, name)
	e, err := l.stat(name, follow)
	if err != nil {
		return nil, err
	}
	return info{name[strings.LastIndexByte(name, '/')+1:], e}, nil
}

type info struct {
	name string
	e    *sim.Entry
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return int64(len(i.e.Data)) }
func (i info) Mode() fs.FileMode  { return i.e.Mode }
func (i info) ModTime() time.Time { return i.e.Time }
func (i info) IsDir() bool        { return i.e.Mode.IsDir() }
func (i info) Sys() any           { return nil }
