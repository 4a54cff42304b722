package engine

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/controllers"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubelet"
	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// machine is a host: an address, a disk, a clock and units.
type machine struct {
	Name string `json:"name"`
	// IP is its address, Also are further ones. A host without any has none.
	IP string `json:"ip"`
	// Release is that of its programs; empty for the world's.
	Release string    `json:"release,omitempty"`
	Also    []string  `json:"also,omitempty"`
	Role    string    `json:"role"`
	Clock   sim.Clock `json:"clock"`
	// Asleep is when it was suspended; Off: it has no power, and Up are the
	// units that ran before.
	Asleep time.Time        `json:"asleep,omitzero"`
	Off    bool             `json:"off,omitempty"`
	Up     []string         `json:"up,omitempty"`
	Disk   *sim.Disk        `json:"disk"`
	Units  map[string]*unit `json:"units"`
	PIDs   int              `json:"pids"`
	// Notices are the files that processes want to know of.
	Notices []notice `json:"notices,omitempty"`
}

// unit is what the host's init knows of a unit.
type unit struct {
	State      string    `json:"state"`
	Since      time.Time `json:"since,omitzero"`
	Code       int       `json:"code,omitempty"`
	Restarting bool      `json:"restarting,omitempty"`
	// Restarts counts those of its init since somebody started it. PID is that of its
	// last process, From when that began, Ended when it ended.
	Restarts int       `json:"restarts,omitempty"`
	PID      int       `json:"pid,omitempty"`
	From     time.Time `json:"from,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
	// Next is when it is started again, Plan the number of that plan: there is one
	// at a time. Failing is since when it has done nothing but fail.
	Next      time.Time         `json:"next,omitzero"`
	Plan      uint64            `json:"plan,omitempty"`
	Failing   time.Time         `json:"failing,omitzero"`
	Phase     string            `json:"phase,omitempty"`
	PhaseArgs map[string]string `json:"phaseArgs,omitempty"`
	// Beside are the last phases of what the unit does beside, by its name: of
	// kubelet-serving, the kubelet's serving certificate.
	Beside map[string]map[string]string `json:"beside,omitempty"`
	// Starts are the times of the last ones, for the limit of systemd.unit(5).
	Starts []time.Time `json:"starts,omitempty"`
	// Journal never changes but at its end, so clones share its head. Vacuumed are
	// the lines that stood before it.
	Journal  []entry `json:"journal,omitempty"`
	Vacuumed int     `json:"vacuumed,omitempty"`
}

// mostLines is how many lines of a unit are kept at least, and half of how many at
// most: journald too drops the oldest of what gets too much.
const mostLines = 1 << 15

func (u *unit) write(e entry) {
	if len(u.Journal) >= 2*mostLines {
		u.Vacuumed += len(u.Journal) - mostLines
		u.Journal = u.Journal[len(u.Journal)-mostLines:]
	}
	if len(u.Journal) == cap(u.Journal) {
		u.Journal = slices.Grow(u.Journal, max(8, len(u.Journal)))
	}
	u.Journal = append(u.Journal, e)
}

type entry struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	PID  int       `json:"pid"`
	Line string    `json:"line"`
}

func split(addr string) (host, unit string) {
	host, unit, _ = strings.Cut(addr, "/")
	return host, unit
}

// machine finds a host by its name or address.
func (w *World) machine(name string) *machine {
	if w.named != len(w.Machines) {
		w.byName = make(map[string]*machine, 2*len(w.Machines))
		for _, m := range w.Machines {
			w.byName[m.Name] = m
			for _, ip := range m.addresses() {
				w.byName[ip] = m
			}
		}
		w.named = len(w.Machines)
	}
	return w.byName[name]
}

// unit returns what is known of a unit, known or not.
func (m *machine) unit(name string) *unit {
	u := m.Units[name]
	if u == nil {
		u = &unit{State: "inactive"}
		m.Units[name] = u
	}
	return u
}

func (m *machine) log(now time.Time, name string, pid int, line string) {
	m.unit(name).write(entry{m.Clock.At(now), name, pid, line})
}

// binaries are the programs that can be a unit.
var binaries = map[string]func(w *World, e era.Era, f *unitFile) (sim.Actor, error){
	"kube-apiserver": func(w *World, e era.Era, f *unitFile) (sim.Actor, error) {
		return actor(api.New(e, f.Args[1:], w.Store))
	},
	"kube-controller-manager": func(w *World, e era.Era, f *unitFile) (sim.Actor, error) {
		m, err := controllers.New(e, f.Args[1:])
		if err != nil {
			return nil, err
		}
		m.Password(f.Env)
		return m, nil
	},
	"kubelet": func(w *World, e era.Era, f *unitFile) (sim.Actor, error) {
		return actor(kubelet.New(e, f.Args[1:]))
	},
	"etcd": func(*World, era.Era, *unitFile) (sim.Actor, error) { return &etcd{}, nil },
}

func init() {
	for _, name := range controllers.Programs() {
		binaries[name] = func(w *World, e era.Era, f *unitFile) (sim.Actor, error) {
			return controllers.NewProgram(e, name, f.Args[1:], f.Env), nil
		}
		blank[name] = func() sim.Actor { return new(controllers.ControllerManager) }
	}
}

func actor[A sim.Actor](a A, err error) (sim.Actor, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}

// blank makes an empty actor of a kind, to be filled from a snapshot.
var blank = map[string]func() sim.Actor{
	"kube-apiserver":          func() sim.Actor { return new(api.Server) },
	"kube-controller-manager": func() sim.Actor { return new(controllers.ControllerManager) },
	"kubelet":                 func() sim.Actor { return new(kubelet.Kubelet) },
	"etcd":                    func() sim.Actor { return new(etcd) },
	"terminal":                func() sim.Actor { return new(shell.Terminal) },
}

// etcd keeps nothing itself: the world keeps the Store, so that it survives
// the API servers.
type etcd struct{}

func (e *etcd) Step(c *sim.Ctx, m sim.Msg) {
	if m.Kind == sim.MsgStart {
		t := c.Clock()
		c.LogLine('I', 0, fmt.Sprintf(`{"level":"info","ts":"%s","caller":"embed/serve.go:210","msg":"serving client traffic securely","traffic":"grpc+http","address":"127.0.0.1:2379"}`, t.Format("2006-01-02T15:04:05.000000Z")))
	}
}
func (e *etcd) Clone() sim.Actor { return &etcd{} }

// startUnit starts a unit as somebody asks for it; the error is systemctl's.
func (w *World) startUnit(m *machine, name string) error {
	m.unit(name).Restarts, m.unit(name).Failing = 0, time.Time{}
	return w.begun(m, name)
}

// begun starts a unit.
func (w *World) begun(m *machine, name string) error {
	addr := m.Name + "/" + name
	f, err := m.readUnit(name)
	if err != nil {
		return err
	}
	u := m.unit(name)
	u.Restarting = false
	if w.Procs[addr] != nil {
		return nil
	}
	m.PIDs += 7
	pid := m.PIDs
	u.Starts = append(slices.Clip(u.Starts[min(len(u.Starts), max(0, len(u.Starts)+1-f.Burst)):]), w.Clock)
	u.State, u.Since, u.Code, u.Phase, u.PhaseArgs = "active", w.Clock, 0, "", nil
	u.PID, u.From, u.Ended = pid, w.Clock, time.Time{}
	w.init(m, name, "Started "+name+".service"+m.dash(name)+".")
	w.unitNote(m, name, map[string]string{"state": "active", "pid": strconv.Itoa(pid)})
	kind := path.Base(f.Args[0])
	make := binaries[kind]
	if make == nil {
		w.ended(m, name, f, 203)
		return nil
	}
	a, err := make(w, w.eraOf(m), f)
	if err != nil {
		w.ended(m, name, f, w.refuse(m, name, pid, kind, err))
		return nil
	}
	w.startsAnew(addr)
	w.Life++
	p := &proc{Kind: kind, Life: w.Life, PID: pid, actor: a}
	w.Procs[addr] = p
	w.post(w.Clock, addr, p.Life, sim.Msg{Kind: sim.MsgStart})
	return nil
}

// refuse logs a command line that the program does not take, and returns the status
// with which it ends.
func (w *World) refuse(m *machine, name string, pid int, kind string, err error) int {
	log := func(level byte, line string) {
		w.observe(trace.Observation{Actor: m.Name + "/" + name, Kind: trace.Log, Subject: name, Args: map[string]string{"level": string(level), "v": "0"}, Payload: line})
		m.log(w.Clock, name, pid, line)
	}
	refused := &era.Refusal{Why: err.Error(), Ending: era.FlagsRefused(w.eraOf(m), kind)}
	errors.As(err, &refused)
	for _, line := range refused.Told {
		log('I', line)
	}
	for _, l := range refused.Ending.Lines {
		line, level := l.Text(refused.Why), byte('E')
		if l.Message != "" {
			line = sim.KV(l.Message, l.Key, line)
		}
		if l.Level != 0 {
			level = l.Level
			t := m.Clock.At(w.Clock)
			line = fmt.Sprintf("%c%02d%02d %02d:%02d:%02d.%06d %7d %s] %s", level, int(t.Month()), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond()/1000, pid, l.Source, line)
		}
		log(level, line)
	}
	return refused.Ending.Status
}

// dash is a unit's description as it stands behind its name.
func (m *machine) dash(name string) string {
	f, err := m.readUnit(name)
	if err != nil || f.Description == "" {
		return ""
	}
	return " - " + f.Description
}

// init writes a line of the host's init into a unit's journal.
func (w *World) init(m *machine, name, line string) {
	m.unit(name).write(entry{m.Clock.At(w.Clock), "systemd", 1, line})
}

func (w *World) unitNote(m *machine, name string, args map[string]string) {
	w.observe(trace.Observation{Actor: m.Name + "/systemd", Kind: trace.Unit, Subject: name, Args: args})
}

// exitNames are the names of a status in systemd's journal; those in systemctl's
// output are fewer (exit_status_to_string of systemd's exit-status.c).
var exitNames = map[int]string{1: "/FAILURE", 2: "/INVALIDARGUMENT", 203: "/EXEC", 255: "/EXCEPTION"}

// ended is a process that ended by itself, and what its unit makes of that. Words
// are those of systemd 252, which Debian 12 has.
func (w *World) ended(m *machine, name string, f *unitFile, code int) {
	u := m.unit(name)
	if u.Failing.IsZero() || w.Clock.Sub(u.Since) >= unitRestAfter && u.State == "active" {
		u.Failing = w.Clock
	}
	u.Ended = w.Clock
	if code == 0 {
		w.init(m, name, name+".service: Deactivated successfully.")
		u.State, u.Since, u.Code = "inactive", w.Clock, 0
	} else {
		w.init(m, name, fmt.Sprintf("%s.service: Main process exited, code=exited, status=%d%s", name, code, exitNames[code]))
		w.init(m, name, name+".service: Failed with result 'exit-code'.")
		u.State, u.Since, u.Code = "failed", w.Clock, code
	}
	w.unitNote(m, name, map[string]string{"state": u.State, "code": strconv.Itoa(code)})
	if f != nil && (f.Always || f.Restart && code != 0) {
		u.State, u.Restarting = "activating", true
		// A process needs a moment to begin and to end.
		wait := max(f.RestartSec, time.Millisecond)
		switch failing := w.Clock.Sub(u.Failing); {
		case failing >= 24*time.Hour:
			wait = max(wait, unitRestLate)
		case failing >= unitRestAfter:
			wait = max(wait, unitRestEvery)
		}
		w.plan(m, name, w.Clock.Add(wait))
	}
}

// A unit that fails for long rests: systemd starts it every few seconds for
// years, which nobody watches. Whatever is done to the world wakes it.
const (
	unitRestAfter = time.Hour
	unitRestEvery = 10 * time.Minute
	unitRestLate  = 6 * time.Hour
)

// plan sets when a unit that failed is started again.
func (w *World) plan(m *machine, name string, at time.Time) {
	u := m.unit(name)
	u.Plan++
	u.Next = at
	if i, found := slices.BinarySearch(w.Failing, m.Name+"/"+name); !found {
		w.Failing = slices.Insert(w.Failing, i, m.Name+"/"+name)
	}
	w.post(at, "", 0, sim.Msg{Kind: msgRestart, Tag: m.Name + "/" + name, Stream: u.Plan})
}

// rouse lets units that rest fail at their own pace again: something was done that
// may have healed them.
func (w *World) rouse() {
	w.Failing = slices.DeleteFunc(w.Failing, func(addr string) bool {
		host, name := split(addr)
		return !w.machine(host).unit(name).Restarting
	})
	for _, addr := range w.Failing {
		host, name := split(addr)
		m := w.machine(host)
		u := m.unit(name)
		if w.Clock.Sub(u.Failing) < unitRestAfter {
			continue
		}
		if f, err := m.readUnit(name); err == nil {
			u.Failing = w.Clock
			if at := w.Clock.Add(max(f.RestartSec, time.Millisecond)); at.Before(u.Next) {
				w.plan(m, name, at)
			}
		}
	}
}

// restart starts a unit that failed once more, unless that was too often. Models
// systemd's unit_test_start_limit.
func (w *World) restart(m *machine, name string) {
	u := m.unit(name)
	f, err := m.readUnit(name)
	u.Restarts++
	w.init(m, name, fmt.Sprintf("%s.service: Scheduled restart job, restart counter is at %d.", name, u.Restarts))
	w.init(m, name, "Stopped "+name+".service"+m.dash(name)+".")
	if err == nil && f.Interval > 0 && f.Burst > 0 && len(u.Starts) >= f.Burst && w.Clock.Sub(u.Starts[len(u.Starts)-f.Burst]) < f.Interval {
		w.init(m, name, name+".service: Start request repeated too quickly.")
		w.init(m, name, name+".service: Failed with result 'exit-code'.")
		w.init(m, name, "Failed to start "+name+".service"+m.dash(name)+".")
		u.State, u.Since, u.Restarting = "failed", w.Clock, false
		w.unitNote(m, name, map[string]string{"state": "failed", "code": strconv.Itoa(u.Code)})
		return
	}
	w.begun(m, name)
}

// exited is an actor that ended its own process.
func (w *World) exited(addr string, p *proc, code int) {
	host, name := split(addr)
	m := w.machine(host)
	w.drop(addr, p)
	f, _ := m.readUnit(name)
	w.ended(m, name, f, code)
}

// drop removes a process and all that it had open.
func (w *World) drop(addr string, p *proc) {
	delete(w.Procs, addr)
	w.endFolds(addr)
	w.unwatchFiles(addr, p)
	w.hangUp(addr, p.Life)
}

// stopUnit stops a unit, if it runs.
func (w *World) stopUnit(m *machine, name string) error {
	addr := m.Name + "/" + name
	u := m.unit(name)
	u.Restarting = false
	p := w.Procs[addr]
	if p == nil {
		if _, err := m.readUnit(name); err != nil {
			return errors.New("Unit " + name + ".service not loaded.")
		}
		if u.State == "activating" {
			u.State = "inactive"
			w.init(m, name, "Stopped "+name+".service"+m.dash(name)+".")
		}
		return nil
	}
	w.init(m, name, "Stopping "+name+".service"+m.dash(name)+"...")
	w.step(addr, p, sim.Msg{Kind: sim.MsgStop})
	if w.Procs[addr] == p {
		w.drop(addr, p)
	}
	u.State, u.Since, u.Code, u.Phase, u.PhaseArgs, u.Ended = "inactive", w.Clock, 0, "", nil, w.Clock
	w.init(m, name, name+".service: Deactivated successfully.")
	w.init(m, name, "Stopped "+name+".service"+m.dash(name)+".")
	w.unitNote(m, name, map[string]string{"state": "inactive"})
	return nil
}

// order is systemctl's: it is answered when it is done.
func (w *World) order(addr string, p *proc, e *sim.Effect) {
	host, _ := split(addr)
	m := w.machine(host)
	name := strings.TrimSuffix(e.Unit, ".service")
	var err error
	switch e.Verb {
	case "start":
		err = w.startUnit(m, name)
	case "stop":
		err = w.stopUnit(m, name)
	case "restart":
		if _, err = m.readUnit(name); err == nil {
			if err = w.stopUnit(m, name); err == nil {
				err = w.startUnit(m, name)
			}
		}
	default:
		err = fmt.Errorf("Unknown command verb %s.", e.Verb)
	}
	msg := sim.Msg{Kind: sim.MsgUnit, Stream: e.Stream, Cause: e.Cause}
	if err != nil {
		msg.Err = err.Error()
	}
	w.post(w.Clock.Add(20*time.Millisecond), addr, p.Life, msg)
}

// flagUnits are the units whose flags an Input may turn.
func (w *World) checkFlag(f *Flag) error {
	m := w.machine(f.Host)
	if _, err := m.readUnit(f.Unit); err != nil {
		return fmt.Errorf("host %s has no unit %q", f.Host, f.Unit)
	}
	if f.Name == "" || strings.ContainsAny(f.Name+f.Value, " \t\n\\\"'") {
		return fmt.Errorf("--%s=%s can't stand in a unit file: no spaces, quotes or backslashes", f.Name, f.Value)
	}
	return nil
}

// setFlag edits the unit file as a person would, and restarts the unit.
func (w *World) setFlag(f *Flag) {
	m := w.machine(f.Host)
	name := unitDir + f.Unit + ".service"
	b, _ := m.Disk.ReadFile(name)
	var out []string
	lines := strings.Split(string(b), "\n")
	prefix := "--" + f.Name + "="
	done := false
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		trimmed := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "\\"))
		if strings.HasPrefix(trimmed, prefix) {
			done = true
			if f.Value == "" {
				// A flag that goes takes its line with it; the line before may
				// have been kept open for it.
				if !strings.HasSuffix(line, "\\") && len(out) > 0 {
					out[len(out)-1] = strings.TrimRight(strings.TrimSuffix(out[len(out)-1], "\\"), " ")
				}
				continue
			}
			line = strings.Replace(line, trimmed, prefix+f.Value, 1)
		}
		out = append(out, line)
	}
	if !done && f.Value != "" {
		for i, line := range out {
			if strings.HasPrefix(line, "ExecStart=") {
				open := strings.HasSuffix(line, "\\")
				out[i] = strings.TrimRight(strings.TrimSuffix(line, "\\"), " ") + " \\"
				tail := "  " + prefix + f.Value
				if open {
					tail += " \\"
				}
				out = slices.Insert(out, i+1, tail)
				break
			}
		}
	}
	m.Disk.Changed = func(op, name string, e *sim.Entry) {
		w.observe(trace.Observation{Actor: m.Name + "/systemd", Kind: trace.File, Subject: name, Args: fileArgs(op, e)})
	}
	m.Disk.WriteFile(name, []byte(strings.Join(out, "\n")), 0o644, m.Clock.At(w.Clock))
	m.Disk.Changed = nil
	if u := m.unit(f.Unit); w.Procs[m.Name+"/"+f.Unit] != nil || u.State == "failed" || u.State == "activating" {
		w.stopUnit(m, f.Unit)
		w.startUnit(m, f.Unit)
	}
}

func fileArgs(op string, e *sim.Entry) map[string]string {
	a := map[string]string{"op": op, "mode": e.Mode.String()}
	if e.Target != "" {
		a["target"] = e.Target
	}
	if e.Data != nil {
		a["size"] = strconv.Itoa(len(e.Data))
	}
	return a
}

// lend gives an actor what it may read of its host.
func (w *World) lend(m *machine, p *proc) {
	if t, ok := p.actor.(*shell.Terminal); ok {
		t.Host = face{w, m}
	}
}

// face is a host's init as its terminal sees it.
type face struct {
	w *World
	m *machine
}

func (f face) Units() []shell.UnitState {
	var out []shell.UnitState
	for _, name := range f.w.unitNames(f.m) {
		s := shell.UnitState{Name: name, State: "inactive"}
		if u := f.m.Units[name]; u != nil {
			s.State, s.Code, s.Last = u.State, u.Code, u.PID
			if !u.Ended.IsZero() {
				s.Ran = u.Ended.Sub(u.From)
			}
			if !u.Since.IsZero() {
				s.Since = f.m.Clock.At(u.Since)
			}
		}
		if file, err := f.m.readUnit(name); err == nil {
			s.Description, s.Docs, s.Command = file.Description, file.Docs, strings.Join(file.Args, " ")
			for _, x := range f.m.unitText(name)[1:] {
				s.DropIns = append(s.DropIns, path.Base(x[0]))
			}
		}
		if p := f.w.Procs[f.m.Name+"/"+name]; p != nil {
			s.PID = p.PID
		}
		out = append(out, s)
	}
	return out
}

func (f face) Journal(name string, seen int) ([]shell.JournalLine, int) {
	var out []shell.JournalLine
	vacuumed := 0
	for _, n := range f.w.unitNames(f.m) {
		if u := f.m.Units[n]; u != nil && (name == "" || n == name) {
			vacuumed += u.Vacuumed
			for _, e := range u.Journal {
				out = append(out, shell.JournalLine{At: e.At, By: e.By, PID: e.PID, Line: e.Line})
			}
		}
	}
	if name == "" {
		sort.SliceStable(out, func(i, j int) bool { return out[i].At.Before(out[j].At) })
	}
	return out[min(max(seen-vacuumed, 0), len(out)):], vacuumed + len(out)
}
