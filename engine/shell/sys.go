package shell

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Host is the machine's init as a terminal sees it: read-only.
type Host interface {
	Units() []UnitState
	// Journal returns a unit's lines after the first seen ones, oldest first, and
	// how many there were until now; "" means all units'. The oldest may be gone.
	Journal(unit string, seen int) (lines []JournalLine, now int)
	// UnitFile returns the path and text of a unit's file.
	UnitFile(unit string) (path, text string, ok bool)
	// Taken tells whether another host has an address.
	Taken(ip string) bool
}

// UnitState is what systemctl status knows. State is "active", "inactive",
// "failed" or "activating".
type UnitState struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	State       string    `json:"state"`
	Since       time.Time `json:"since,omitzero"`
	PID         int       `json:"pid,omitempty"`
	Code        int       `json:"code,omitempty"`
	// Last is the PID of the process that ran last, Ran how long it ran when it has
	// ended. DropIns are the names of files beside the unit's.
	Last    int           `json:"last,omitempty"`
	Ran     time.Duration `json:"ran,omitempty"`
	Docs    []string      `json:"docs,omitempty"`
	DropIns []string      `json:"dropIns,omitempty"`
	Command string        `json:"command,omitempty"`
}

// JournalLine is a line of a unit's journal, at the host's time.
type JournalLine struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	PID  int       `json:"pid"`
	Line string    `json:"line"`
}

// reply is what the world answered to a running line: kept, so that a clone
// can run the line again and hear the same.
type reply struct {
	Text    string        `json:"text,omitempty"`
	Data    []byte        `json:"data,omitempty"`
	N       uint64        `json:"n,omitempty"`
	Time    time.Time     `json:"time,omitzero"`
	Names   []string      `json:"names,omitempty"`
	Entry   *sim.Entry    `json:"entry,omitempty"`
	Units   []UnitState   `json:"units,omitempty"`
	Journal []JournalLine `json:"journal,omitempty"`
	Err     string        `json:"err,omitempty"`
	Missing bool          `json:"missing,omitempty"`
}

// sysError is a disk's error that came through the boundary.
type sysError struct {
	text    string
	missing bool
}

func (e *sysError) Error() string { return e.text }
func (e *sysError) Is(target error) bool {
	return e.missing && target == fs.ErrNotExist
}

func (r reply) err() error {
	if r.Err == "" {
		return nil
	}
	return &sysError{r.Err, r.Missing}
}

func failed(err error) reply {
	if err == nil {
		return reply{}
	}
	var missing bool
	if e, ok := err.(interface{ Unwrap() error }); ok {
		if i, ok := e.Unwrap().(interface{ Is(error) bool }); ok {
			missing = i.Is(fs.ErrNotExist)
		}
	}
	return reply{Err: err.Error(), Missing: missing}
}

// sys is the boundary: do happens once, in the world where the line runs; a
// line that is run again hears what was answered then.
func (l *live) sys(do func(c *sim.Ctx) reply) reply {
	if l.pos < len(l.run.Replies) {
		r := l.run.Replies[l.pos]
		l.pos++
		return r
	}
	r := do(l.ctx)
	l.run.Replies = append(l.run.Replies, r)
	l.pos++
	return r
}

func (l *live) now() time.Time {
	return l.sys(func(c *sim.Ctx) reply { return reply{Time: c.Clock()} }).Time
}

func (l *live) stat(name string, follow bool) (*sim.Entry, error) {
	r := l.sys(func(c *sim.Ctx) reply {
		if name == "/dev/null" {
			return reply{Entry: &sim.Entry{Mode: fs.ModeDevice | fs.ModeCharDevice | 0o666, Time: c.Clock()}}
		}
		get := c.Disk.Lstat
		if follow {
			get = c.Disk.Stat
		}
		e, err := get(name)
		if err != nil {
			return failed(err)
		}
		return reply{Entry: e}
	})
	return r.Entry, r.err()
}

func (l *live) readFile(name string) ([]byte, error) {
	r := l.sys(func(c *sim.Ctx) reply {
		b, err := c.Disk.ReadFile(name)
		r := failed(err)
		r.Data = b
		return r
	})
	return r.Data, r.err()
}

func (l *live) readDir(name string) ([]string, error) {
	r := l.sys(func(c *sim.Ctx) reply {
		names, err := c.Disk.ReadDir(name)
		r := failed(err)
		r.Names = names
		return r
	})
	return r.Names, r.err()
}

// change does something to the disk.
func (l *live) change(f func(d *sim.Disk, now time.Time) error) error {
	return l.sys(func(c *sim.Ctx) reply { return failed(f(c.Disk, c.Clock())) }).err()
}

func (l *live) writeFile(name string, data []byte, grow bool) error {
	return l.change(func(d *sim.Disk, now time.Time) error {
		if grow {
			if old, err := d.ReadFile(name); err == nil {
				data = append(old, data...)
			}
		}
		return d.WriteFile(name, data, 0o644, now)
	})
}

func (l *live) print(stream string, text []byte) {
	l.sys(func(c *sim.Ctx) reply {
		c.Note(trace.Printed, "", map[string]string{"stream": stream}, string(text))
		return reply{}
	})
}

// exchange sends a request and waits for the head of the answer.
func (l *live) exchange(conn string, d sim.Dial, r sim.Request) (uint64, sim.Msg) {
	l.flush()
	id := l.sys(func(c *sim.Ctx) reply { return reply{N: c.Send(conn, d, r)} }).N
	return id, l.await(id)
}

// await waits for the next message of an exchange.
func (l *live) await(stream uint64) sim.Msg {
	l.stage.wait(func() bool { return len(l.inbox[stream]) > 0 })
	m := l.inbox[stream][0]
	l.inbox[stream] = l.inbox[stream][1:]
	return m
}

// hangUp closes a connection. A line that was ended has its connections closed
// for it, and no world to ask.
func (l *live) hangUp(conn string) {
	if l.stage.dead {
		return
	}
	me := l.stage.current
	me.conns = slices.DeleteFunc(me.conns, func(c string) bool { return c == conn })
	l.sys(func(c *sim.Ctx) reply { c.CloseConn(conn); return reply{} })
}

func (l *live) leave(stream uint64) {
	l.sys(func(c *sim.Ctx) reply { c.Cancel(stream); return reply{} })
}

// order asks the host's init, and waits.
func (l *live) order(verb, unit string) error {
	id := l.sys(func(c *sim.Ctx) reply { return reply{N: c.UnitOrder(verb, unit)} }).N
	if m := l.await(id); m.Err != "" {
		return fmt.Errorf("%s", m.Err)
	}
	return nil
}

// sleep waits for virtual time to pass.
func (l *live) sleep(d time.Duration) {
	tag := fmt.Sprintf("line %d sleep %d", l.run.N, l.pos)
	l.sys(func(c *sim.Ctx) reply { c.Wake(c.Now.Add(d), tag); return reply{} })
	l.stage.wait(func() bool { return l.woken[tag] })
}

func (l *live) draw(purpose string, n uint64) uint64 {
	return l.sys(func(c *sim.Ctx) reply { return reply{N: c.Chance.N(c.Host+"/shell/"+purpose, n)} }).N
}

// abs makes a path absolute.
func abs(dir, name string) string {
	if !path.IsAbs(name) {
		name = path.Join(dir, name)
	}
	return path.Clean(name)
}
