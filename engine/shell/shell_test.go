package shell_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rig is a host with a terminal and nothing else: a clock and a queue.
type rig struct {
	t      *shell.Terminal
	disk   *sim.Disk
	chance *sim.Chance
	queue  sim.Queue
	now    time.Time
	seq    uint64
	obs    []trace.Observation
}

func newRig() *rig {
	r := &rig{t: shell.New(era.Must("1.36"), "root", nil), disk: sim.NewDisk(start), chance: &sim.Chance{Seed: "1"}, now: start}
	r.disk.MkdirAll("/root", 0o755, start)
	r.disk.MkdirAll("/etc", 0o755, start)
	r.disk.WriteFile("/etc/hostname", []byte("node-1\n"), 0o644, start)
	return r
}

func (r *rig) clone() *rig {
	n := *r
	n.t = r.t.Clone().(*shell.Terminal)
	n.disk, n.chance, n.queue = r.disk.Clone(), r.chance.Clone(), r.queue.Clone()
	n.obs = append([]trace.Observation(nil), r.obs...)
	return &n
}

func (r *rig) step(m sim.Msg) {
	c := &sim.Ctx{Now: r.now, Host: "node-1", Unit: "terminal", Disk: r.disk, Chance: r.chance,
		NextStream: func() uint64 { r.seq++; return r.seq },
		Observe: func(o trace.Observation) uint64 {
			o.ID = uint64(len(r.obs) + 1)
			r.obs = append(r.obs, o)
			return o.ID
		}}
	r.t.Step(c, m)
	for _, e := range c.Effects {
		if e.Kind == sim.EffWake {
			r.seq++
			r.queue.Push(sim.Event{At: e.At, Seq: r.seq, Msg: sim.Msg{Kind: sim.MsgWake, Tag: e.Tag}})
		}
	}
}

func (r *rig) one() bool {
	if len(r.queue.Events) == 0 {
		return false
	}
	e := r.queue.Pop()
	r.now = e.At
	r.step(e.Msg)
	return true
}

func (r *rig) run(line string) (out string, status string) {
	from := len(r.obs)
	r.step(sim.Msg{Kind: sim.MsgTyped, Line: line})
	for i := 0; i < 1000 && r.t.Busy() && r.one(); i++ {
	}
	for _, o := range r.obs[from:] {
		switch o.Kind {
		case trace.Printed:
			out += o.Payload
		case trace.Done:
			status = o.Args["status"]
		}
	}
	return out, status
}

func TestLines(t *testing.T) {
	r := newRig()
	for _, tt := range []struct{ line, out, status string }{
		{"echo hello", "hello\n", "0"},
		{"echo a b | wc -w", "2\n", "0"},
		{"X=1; Y=two", "", "0"},
		{"echo $X $Y", "1 two\n", "0"},
		{"cd /etc; ls", "hostname\n", "0"},
		{"pwd", "/etc\n", "0"},
		{"cat hostname | tee /tmp/x", "tee: /tmp/x: No such file or directory\nnode-1\n", "1"},
		{"mkdir /tmp; cat > /tmp/f <<EOF\none\ntwo $X\nEOF", "", "0"},
		{"cat /tmp/f | grep two | head -1", "two 1\n", "0"},
		{"for i in 1 2 3; do echo $i; done | while read n; do echo \"<$n>\"; done", "<1>\n<2>\n<3>\n", "0"},
		{"f() { echo in $1 | cat; }; f x", "in x\n", "0"},
		{"f y", "in y\n", "0"},
		{"echo $(echo a | tr b c)", "bash: tr: command not found\n\n", "0"},
		{"nosuch", "bash: nosuch: command not found\n", "127"},
		{"false | true; echo $?", "0\n", "0"},
		{"true | false", "", "1"},
		{"while true; do echo y; done | head -2", "y\ny\n", "0"},
		{"yes() { while true; do echo $1; done; }; yes z | head -1 | cat", "z\n", "0"},
		{"date -u", "Thu Jan  1 00:00:00 UTC 2026\n", "0"},
		{"sleep 90; date +%T", "00:01:30\n", "0"},
		{"echo hi > /tmp/g; echo ho >> /tmp/g; cat < /tmp/g", "hi\nho\n", "0"},
		{"ls -l /nosuch", "ls: cannot access '/nosuch': No such file or directory\n", "2"},
		{"ls -Z", "ls: option '-Z' is not in this shell\n", "2"},
		{"echo 'open", "bash: line 1: syntax error: reached EOF without closing quote `'`\n", "2"},
		{"sleep 5 & echo first; wait; echo second", "first\nsecond\n", "0"},
		{"echo $UID $USER $HOME", "0 root /root\n", "0"},
		{"eval 'echo e | cat'; echo 'echo s | cat' > /tmp/s; . /tmp/s; rm /tmp/s", "e\ns\n", "0"},
		{"cat <(echo x)", "bash: <(…) and >(…) are not in this shell; use a pipe or a file\n", "2"},
		{"g() { echo g | cat; }; g | cat | f; f z | cat", "in\nin z\n", "0"},
		{"[ -f /tmp/f ] && echo yes; test -d /etc/passwd || echo no", "yes\nno\n", "0"},
		{"echo /tmp/*", "/tmp/f /tmp/g\n", "0"},
	} {
		out, status := r.run(tt.line)
		require.Equal(t, tt.out, out, tt.line)
		require.Equal(t, tt.status, status, tt.line)
	}
}

// What the real machine knows must not show.
func TestNothingReal(t *testing.T) {
	require.NoError(t, os.WriteFile(t.TempDir()+"/real", nil, 0o600))
	t.Setenv("JOINERY_LEAK", "leak")
	a, b := newRig(), newRig()
	line := `echo $RANDOM $RANDOM $$ $PPID $SECONDS "$JOINERY_LEAK" $HOSTNAME; ls /usr; cat /proc/version; cd /proc; echo ~ $((RANDOM*0)) $EPOCHSECONDS`
	outA, _ := a.run(line)
	outB, _ := b.run(line)
	require.Equal(t, outA, outB)
	require.NotContains(t, outA, "leak")
	require.NotContains(t, outA, "Linux")
	require.Contains(t, outA, "cannot access '/usr'")
}

func TestBudget(t *testing.T) {
	for _, line := range []string{"while true; do :; done", "while ((1)); do ((1)); done", "f() { f; }; while :; do X=1; done | cat"} {
		r := newRig()
		out, _ := r.run(line)
		require.Contains(t, out, "interrupted: the line used up its budget of work", line)
	}
}

func TestInterrupt(t *testing.T) {
	r := newRig()
	r.step(sim.Msg{Kind: sim.MsgTyped, Line: "sleep 1000; echo never"})
	require.True(t, r.t.Busy())
	r.step(sim.Msg{Kind: sim.MsgInterrupt})
	require.False(t, r.t.Busy())
	require.Equal(t, "130", r.obs[len(r.obs)-1].Args["status"])
	out, _ := r.run("echo next")
	require.Equal(t, "next\n", out)
}

// A clone taken at any moment, through JSON too, goes on to the same end.
func TestCloneWhileRunning(t *testing.T) {
	line := `for i in 1 2 3; do sleep $i; echo $i $RANDOM; done | while read n; do echo "got $n" | tee /tmp.log; sleep 1; done | head -2; (sleep 3; echo bg) & date +%s; wait`
	whole := newRig()
	want, _ := whole.run(line)
	require.Contains(t, want, "got 1")
	for at := 0; ; at++ {
		r := newRig()
		r.step(sim.Msg{Kind: sim.MsgTyped, Line: line})
		for range at {
			if !r.one() {
				break
			}
		}
		if !r.t.Busy() {
			break
		}
		n := r.clone()
		b, err := json.Marshal(n.t)
		require.NoError(t, err)
		n.t = new(shell.Terminal)
		require.NoError(t, json.Unmarshal(b, n.t))
		for _, x := range []*rig{n, r} {
			for x.t.Busy() && x.one() {
			}
			var got strings.Builder
			for _, o := range x.obs {
				if o.Kind == trace.Printed {
					got.WriteString(o.Payload)
				}
			}
			require.Equal(t, want, got.String(), fmt.Sprint("clone at ", at))
		}
	}
}

func TestUnitsWithoutHost(t *testing.T) {
	r := newRig()
	out, status := r.run("systemctl status nosuch")
	require.Equal(t, "Unit nosuch.service could not be found.\n", out)
	require.Equal(t, "4", status)
	out, _ = r.run("journalctl -u nosuch")
	require.Equal(t, "-- No entries --\n", out)
	out, _ = r.run("kubectl get csr")
	require.Equal(t, "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n", out)
}

func FuzzLine(f *testing.F) {
	for _, s := range []string{"echo $(", "a | b | c &", "for", "x=$((1/0)); echo $x", "cat <<E\nx", "exit 3", "echo ${a[@]}", ":(){ :|:& };:", "read x", "exec ls", "trap 'echo' EXIT", "time sleep 1", "echo ~root", "select x in a; do :; done", "ls | ls |", "[[ a =~ ( ]]", "printf '%s' | cat - -"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := newRig()
		r.run(line)
		if r.t.Busy() {
			r.step(sim.Msg{Kind: sim.MsgInterrupt})
		}
		require.False(t, r.t.Busy())
	})
}
