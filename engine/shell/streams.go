package shell

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"time"

	"mvdan.cc/sh/v3/interp"

	"github.com/joinery-lab/joinery/engine/sim"
)

// open serves redirections: our pipes, and the host's disk.
func (l *live) open(ctx context.Context, name string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
	if name == pipePath && l.stage.starting != nil {
		return &pipeWriter{l, l.stage.starting.pipe}, nil
	}
	hc := interp.HandlerCtx(ctx)
	write := flag&(os.O_WRONLY|os.O_RDWR) != 0
	switch {
	case name == "/dev/null":
		return stream{in: eof{}, out: io.Discard}, nil
	case name == "/dev/stdout" && write:
		return stream{in: eof{}, out: hc.Stdout}, nil
	case name == "/dev/stderr" && write:
		return stream{in: eof{}, out: hc.Stderr}, nil
	}
	full := abs(hc.Dir, name)
	// The interpreter goes on with the next statement after a PathError only.
	refuse := func(err error) (io.ReadWriteCloser, error) {
		return nil, &fs.PathError{Op: "bash:", Path: name, Err: errors.New(linux(err))}
	}
	if !write {
		b, err := l.readFile(full)
		if err != nil {
			return refuse(err)
		}
		return stream{in: onlyReader{bytes.NewReader(b)}, out: io.Discard}, nil
	}
	if err := l.writeFile(full, nil, flag&os.O_APPEND != 0); err != nil {
		return refuse(err)
	}
	return stream{in: eof{}, out: fileWriter{l, full}}, nil
}

// stream is what stands behind a redirection.
type stream struct {
	in  io.Reader
	out io.Writer
}

func (s stream) Read(b []byte) (int, error)  { return s.in.Read(b) }
func (s stream) Write(b []byte) (int, error) { return s.out.Write(b) }
func (s stream) Close() error                { return nil }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// fileWriter adds to a file as it goes.
type fileWriter struct {
	l    *live
	name string
}

func (f fileWriter) Write(b []byte) (int, error) {
	f.l.charge(len(b) / bytesPerStatement)
	if err := f.l.writeFile(f.name, bytes.Clone(b), true); err != nil {
		return 0, err
	}
	return len(b), nil
}

// terminalOut is what a command prints to the person.
type terminalOut struct {
	l      *live
	stream string
}

// chunk is how much is printed at once at most, in bytes.
const chunk = 32 << 10

// Write keeps what it gets until the end of a line, so that a line is one
// Observation.
func (t terminalOut) Write(b []byte) (int, error) {
	l := t.l
	if l.heldFor != t.stream {
		l.flush()
		l.heldFor = t.stream
	}
	l.charge(len(b) / bytesPerStatement)
	l.held = append(l.held, b...)
	if bytes.HasSuffix(b, []byte("\n")) || len(l.held) > chunk {
		l.flush()
	}
	return len(b), nil
}

// flush prints what was held.
func (l *live) flush() {
	if len(l.held) > 0 {
		l.print(l.heldFor, l.held)
		l.held = nil
	}
}

// pipeWriter is the standard output of a pipeline's left side.
type pipeWriter struct {
	l *live
	q *pipe
}

func (w *pipeWriter) Write(b []byte) (int, error) {
	s, q := w.l.stage, w.q
	w.l.charge(len(b) / bytesPerStatement)
	for done := 0; done < len(b); {
		s.wait(func() bool { return q.broken || len(q.buf) < pipeLimit })
		if q.broken {
			// SIGPIPE: the writer ends without a word.
			for _, c := range s.current.conns {
				w.l.sys(func(x *sim.Ctx) reply { x.CloseConn(c); return reply{} })
			}
			s.current.status = 128 + 13
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
