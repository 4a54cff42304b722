package shell

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"mvdan.cc/sh/v3/syntax"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Terminal is a person's shell at a host.
type Terminal struct {
	Release string `json:"release"`
	User    string `json:"user"`
	Cwd     string `json:"cwd"`
	// Vars are the shell's variables, Funcs its functions as source.
	Vars    map[string]variable `json:"vars"`
	Funcs   map[string]string   `json:"funcs"`
	History []string            `json:"history,omitempty"`
	Lines   int                 `json:"lines"`
	// Born is when its first line was typed, at the host's own time.
	Born time.Time `json:"born,omitzero"`
	// Run is the line that runs now, Waiting what was typed meanwhile.
	Run     *run     `json:"run,omitempty"`
	Waiting []string `json:"waiting,omitempty"`

	// Host is set by the world before each Step; it is not part of the state.
	Host Host `json:"-"`

	live *live
}

// variable is a shell variable that outlives a line.
type variable struct {
	Value    string   `json:"value,omitempty"`
	List     []string `json:"list,omitempty"`
	Exported bool     `json:"exported,omitempty"`
}

// run is a line that has not ended: all that is needed to run it again.
type run struct {
	N       int       `json:"n"`
	Line    string    `json:"line"`
	Cause   uint64    `json:"cause,omitempty"`
	Msgs    []sim.Msg `json:"msgs,omitempty"`
	Replies []reply   `json:"replies,omitempty"`
}

// live is a line's goroutines and what they share. It never points to the
// Terminal, so that a Terminal that is dropped takes them along.
type live struct {
	run   *run
	start *Terminal // variables and directory at the beginning
	stage *stage
	ctx   *sim.Ctx
	host  Host
	pos   int
	inbox map[uint64][]sim.Msg
	woken map[string]bool
	// work counts statements, spent tells that they were too many.
	work  int
	spent bool

	rewriter rewriter
	funcs    map[string]string // declared by this line
	conns    int
	// evaluated: words of ours came by an eval. pipefail: as set -o has it.
	evaluated, pipefail bool
	// held is what was printed of a line so far, on the stream heldFor.
	held    []byte
	heldFor string

	// What the line left when it ended.
	status int
	after  *Terminal
}

// workLimit is how many statements a line may run in one moment of virtual
// time before it is interrupted.
const workLimit = 200_000

// New makes the terminal of a user, with variables in its environment.
func New(e era.Era, user string, env map[string]string) *Terminal {
	home := "/root"
	uid := "0"
	if user != "root" {
		home, uid = "/home/"+user, "1000"
	}
	t := &Terminal{Release: e.String(), User: user, Cwd: home, Vars: map[string]variable{}}
	for k, v := range map[string]string{"HOME": home, "USER": user, "LOGNAME": user, "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SHELL": "/bin/bash", "TERM": "xterm-256color", "LANG": "C.UTF-8"} {
		t.Vars[k] = variable{Value: v, Exported: true}
	}
	for _, k := range []string{"UID", "EUID", "GID"} {
		t.Vars[k] = variable{Value: uid}
	}
	for k, v := range env {
		t.Vars[k] = variable{Value: v, Exported: true}
	}
	return t
}

// Busy tells whether a line is running.
func (t *Terminal) Busy() bool { return t.Run != nil }

// Dir is the working directory.
func (t *Terminal) Dir() string { return t.Cwd }

// Clone returns an independent copy; a running line is run again in it when it
// next gets a message.
func (t *Terminal) Clone() sim.Actor {
	n := *t
	n.Host, n.live = nil, nil
	n.Vars, n.Funcs = maps.Clone(t.Vars), maps.Clone(t.Funcs)
	n.History, n.Waiting = slices.Clip(t.History), slices.Clone(t.Waiting)
	if t.Run != nil {
		r := *t.Run
		r.Msgs, r.Replies = slices.Clip(r.Msgs), slices.Clip(r.Replies)
		n.Run = &r
	}
	return &n
}

// Close ends the goroutines of a running line. The state is as it was.
func (t *Terminal) Close() error {
	if t.live != nil {
		t.live.stage.close()
		t.live = nil
	}
	return nil
}

// Step handles one message.
func (t *Terminal) Step(c *sim.Ctx, m sim.Msg) {
	switch m.Kind {
	case sim.MsgTyped:
		if t.Run != nil {
			t.Waiting = append(t.Waiting, m.Line)
			return
		}
		t.begin(c, m.Line)
	case sim.MsgInterrupt:
		t.Waiting = nil
		if t.Run == nil {
			return
		}
		c.Cause = t.Run.Cause
		t.resume(c)
		c.Note(trace.Printed, "", map[string]string{"stream": "stderr"}, "^C\n")
		t.finish(c, 130, nil)
	default:
		if t.Run == nil {
			return
		}
		c.Cause = t.Run.Cause
		t.resume(c)
		t.Run.Msgs = append(t.Run.Msgs, m)
		t.live.feed(c, t.Host, m)
	}
	for t.Run != nil && t.live != nil && t.live.after != nil {
		t.finish(c, t.live.status, t.live.after)
		if len(t.Waiting) > 0 {
			line := t.Waiting[0]
			t.Waiting = t.Waiting[1:]
			t.begin(c, line)
		}
	}
}

func (t *Terminal) begin(c *sim.Ctx, line string) {
	if t.Lines++; t.Born.IsZero() {
		t.Born = c.Clock()
	}
	if strings.TrimSpace(line) != "" {
		t.History = append(t.History, line)
	}
	c.Cause = 0
	c.Cause = c.Note(trace.Typed, line, map[string]string{"user": t.User, "dir": t.Cwd}, "")
	t.Run = &run{N: t.Lines, Line: line, Cause: c.Cause}
	t.spawn()
	t.live.feed(c, t.Host, sim.Msg{})
}

// resume brings a running line back in a clone: it runs again, hears what was
// answered before, and stops where the original is.
func (t *Terminal) resume(c *sim.Ctx) {
	if t.live != nil {
		return
	}
	t.spawn()
	t.live.feed(c, t.Host, sim.Msg{})
	for _, m := range t.Run.Msgs {
		t.live.feed(c, t.Host, m)
	}
	if t.live.pos != len(t.Run.Replies) {
		panic(fmt.Sprintf("shell: a line run again heard %d of %d answers: %q", t.live.pos, len(t.Run.Replies), t.Run.Line))
	}
}

// spawn makes the goroutines of the line; the first turn is not theirs yet.
func (t *Terminal) spawn() {
	start := t.Clone().(*Terminal)
	start.Run, start.History = nil, nil
	l := &live{run: t.Run, start: start, stage: newStage(), inbox: map[uint64][]sim.Msg{}, woken: map[string]bool{}}
	t.live = l
	runtime.AddCleanup(t, func(s *stage) { s.close() }, l.stage)
	p := l.stage.add()
	// Goroutine: the line itself. It only runs while it has the turn.
	go func() {
		l.stage.begin(p)
		defer l.stage.end(p)
		l.main()
	}()
}

// feed hands a message to the line and lets it go on until it waits.
func (l *live) feed(c *sim.Ctx, h Host, m sim.Msg) {
	l.ctx, l.host, l.work = c, h, 0
	switch m.Kind {
	case sim.MsgWake:
		l.woken[m.Tag] = true
	case "":
	default:
		l.inbox[m.Stream] = append(l.inbox[m.Stream], m)
	}
	l.stage.play()
	l.flush()
	if l.spent {
		l.print("stderr", []byte("interrupted: the line used up its budget of work\n"))
		l.status, l.after = 130, l.start
	}
	l.ctx, l.host = nil, nil
}

// finish is the end of a line.
func (t *Terminal) finish(c *sim.Ctx, status int, after *Terminal) {
	if after != nil {
		t.Cwd, t.Vars, t.Funcs = after.Cwd, after.Vars, after.Funcs
	}
	for i := range t.live.conns {
		c.CloseConn(connName(t.Run.N, i+1))
	}
	t.live.stage.close()
	t.live, t.Run = nil, nil
	c.Note(trace.Done, "", map[string]string{"status": fmt.Sprint(status)}, "")
}

func connName(line, n int) string { return fmt.Sprintf("line-%d/%d", line, n) }

// parse reads a line; the error is bash's.
func parse(line string) (*syntax.File, error) {
	f, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(line), "")
	if err != nil {
		if pe, ok := err.(syntax.ParseError); ok {
			return nil, fmt.Errorf("bash: line %d: syntax error: %s", pe.Pos.Line(), pe.Text)
		}
		return nil, fmt.Errorf("bash: syntax error: %w", err)
	}
	return f, nil
}

// budget is a context whose Err counts: the interpreter asks it before each
// statement, so a loop that does nothing ends too.
type budget struct {
	context.Context
	l *live
}

func (b budget) Err() error {
	if b.l.stage.starting == nil {
		b.l.charge(1)
	}
	return nil
}

// charge counts work. It is called by the player that has the turn, and ends
// it when that was too much.
func (l *live) charge(n int) {
	if l.work += n; l.work > workLimit && !l.stage.dead {
		l.spent = true
		l.stage.end(l.stage.current)
		runtime.Goexit()
	}
}
