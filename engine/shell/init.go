package shell

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/joinery-lab/joinery/engine/sim"
)

// units asks the host's init for all units.
func (l *live) units() []UnitState {
	return l.sys(func(*sim.Ctx) reply {
		if l.host == nil {
			return reply{}
		}
		return reply{Units: l.host.Units()}
	}).Units
}

// journal is what a unit wrote after its first seen lines, and how many lines there
// are now: a line that runs again must keep what it heard, so it asks for no more
// than it needs.
func (l *live) journal(unit string, seen int) ([]JournalLine, int) {
	r := l.sys(func(*sim.Ctx) reply {
		if l.host == nil {
			return reply{}
		}
		lines, now := l.host.Journal(unit, seen)
		return reply{Journal: lines, N: uint64(now)}
	})
	return r.Journal, int(r.N)
}

func service(name string) string { return strings.TrimSuffix(name, ".service") + ".service" }

func (l *live) unit(name string) (UnitState, bool) {
	units := l.units()
	i := slices.IndexFunc(units, func(u UnitState) bool { return service(u.Name) == service(name) })
	if i < 0 {
		return UnitState{}, false
	}
	return units[i], true
}

// systemctl's verbs.
func systemctl(p *process) int {
	args := slices.DeleteFunc(slices.Clone(p.args), func(a string) bool { return a == "--no-pager" || a == "-l" || a == "--full" })
	if len(args) == 0 {
		return p.fail(1, "systemctl: say what to do: start, stop, restart, status, is-active, cat, enable or daemon-reload")
	}
	verb, names := args[0], args[1:]
	for _, n := range names {
		if strings.HasPrefix(n, "-") && n != "--now" {
			return p.fail(1, "systemctl: option '%s' is not in this shell", n)
		}
	}
	if verb == "daemon-reload" {
		return 0
	}
	if len(names) == 0 {
		return p.fail(1, "systemctl: %s which unit?", verb)
	}
	status := 0
	for _, n := range names {
		if n == "--now" {
			continue
		}
		status = max(status, systemctlOne(p, verb, n, slices.Contains(names, "--now")))
	}
	return status
}

func systemctlOne(p *process, verb, name string, now bool) int {
	switch verb {
	case "start", "stop", "restart":
		if err := p.order(verb, strings.TrimSuffix(name, ".service")); err != nil {
			return p.fail(5, "Failed to %s %s: %v", verb, service(name), err)
		}
		return 0
	case "enable", "disable":
		if _, ok := p.unit(name); !ok {
			return p.fail(1, "Failed to %s unit: Unit file %s does not exist.", verb, service(name))
		}
		if now && verb == "enable" {
			return systemctlOne(p, "start", name, false)
		}
		return 0
	case "is-active":
		u, ok := p.unit(name)
		if !ok {
			u.State = "inactive"
		}
		p.printf("%s\n", u.State)
		if u.State != "active" {
			return 3
		}
		return 0
	case "cat":
		r := p.sys(func(*sim.Ctx) reply {
			if p.host == nil {
				return reply{}
			}
			path, text, ok := p.host.UnitFile(strings.TrimSuffix(name, ".service"))
			if !ok {
				return reply{}
			}
			return reply{Text: text, Names: []string{path}}
		})
		if len(r.Names) == 0 {
			return p.fail(1, "No files found for %s.", service(name))
		}
		p.printf("# %s\n%s", r.Names[0], r.Text)
		return 0
	case "status":
		return unitStatus(p, name)
	}
	return p.fail(1, "Unknown command verb '%s'.", verb)
}

// substate is systemd's second word for a state.
var substate = map[string]string{"active": "running", "inactive": "dead", "activating": "auto-restart"}

func unitStatus(p *process, name string) int {
	u, ok := p.unit(name)
	if !ok {
		return p.fail(4, "Unit %s could not be found.", service(name))
	}
	mark := map[string]string{"active": "●", "failed": "×", "inactive": "○", "activating": "●"}[u.State]
	p.printf("%s %s", mark, service(u.Name))
	if u.Description != "" {
		p.printf(" - %s", u.Description)
	}
	p.printf("\n     Loaded: loaded (/etc/systemd/system/%s; enabled; preset: enabled)\n", service(u.Name))
	for i, name := range u.DropIns {
		switch i {
		case 0:
			p.printf("    Drop-In: /etc/systemd/system/%s.d\n             └─%s", service(u.Name), name)
		default:
			p.printf(", %s", name)
		}
	}
	if len(u.DropIns) > 0 {
		p.printf("\n")
	}
	p.printf("     Active: %s", u.State)
	if sub, ok := substate[u.State]; ok {
		p.printf(" (%s)", sub)
	}
	over := u.State != "active" && u.Last != 0
	if over && u.Code != 0 {
		p.printf(" (Result: exit-code)")
	}
	if !u.Since.IsZero() {
		p.printf(" since %s; %s ago", u.Since.In(p.zone()).Format("Mon 2006-01-02 15:04:05 MST"), span(p.now().Sub(u.Since)))
	}
	p.printf("\n")
	if over && u.State != "activating" && u.Ran > 0 {
		p.printf("   Duration: %s\n", lasted(u.Ran))
	}
	for i, doc := range u.Docs {
		p.printf("   %9s %s\n", map[bool]string{true: "Docs:"}[i == 0], doc)
	}
	switch ended := fmt.Sprintf("(code=exited, status=%d%s)", u.Code, map[int]string{0: "/SUCCESS", 1: "/FAILURE", 203: "/EXEC"}[u.Code]); {
	case u.PID != 0:
		p.printf("   Main PID: %d (%s)\n", u.PID, u.Name)
	case over:
		p.printf("    Process: %d ExecStart=%s %s\n   Main PID: %d %s\n", u.Last, u.Command, ended, u.Last, ended)
	}
	lines, _ := p.journal(u.Name, 0)
	if len(lines) > 0 {
		p.printf("\n")
	}
	zone := p.zone()
	for _, l := range lines[max(0, len(lines)-10):] {
		p.journalLine(l, "", zone)
	}
	if u.State != "active" {
		return 3
	}
	return 0
}

// span prints how long ago as systemd does, roughly: its two largest units.
func span(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d < time.Second {
		return "0s"
	}
	var out []string
	for _, u := range []struct {
		d time.Duration
		s string
	}{{24 * time.Hour, " days"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.d; n > 0 {
			d -= n * u.d
			s := u.s
			if s == " days" && n == 1 {
				s = " day"
			}
			out = append(out, strconv.Itoa(int(n))+s)
		}
	}
	return strings.Join(out[:min(2, len(out))], " ")
}

// lasted prints how long something took, to the millisecond. Models systemd's
// format_timespan.
func lasted(d time.Duration) string {
	var out []string
	for _, u := range []struct {
		d time.Duration
		s string
	}{{7 * 24 * time.Hour, "w"}, {24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if n := d / u.d; n > 0 {
			d -= n * u.d
			out = append(out, strconv.Itoa(int(n))+u.s)
		}
	}
	switch ms := d.Milliseconds(); {
	case ms >= 1000 && ms%1000 > 0:
		out = append(out, fmt.Sprintf("%d.%03ds", ms/1000, ms%1000))
	case ms >= 1000:
		out = append(out, fmt.Sprintf("%ds", ms/1000))
	case ms > 0:
		out = append(out, fmt.Sprintf("%dms", ms))
	}
	return strings.Join(out, " ")
}

func (p *process) journalLine(l JournalLine, output string, zone *time.Location) {
	if output == "cat" {
		p.printf("%s\n", l.Line)
		return
	}
	host := p.sys(func(c *sim.Ctx) reply { return reply{Text: c.Host} }).Text
	p.printf("%s %s %s[%d]: %s\n", l.At.In(zone).Format("Jan 02 15:04:05"), host, l.By, l.PID, l.Line)
}

func journalctl(p *process) int {
	f := pflag.NewFlagSet("journalctl", pflag.ContinueOnError)
	f.SetOutput(noOutput{})
	units := f.StringSliceP("unit", "u", nil, "")
	lines := f.StringP("lines", "n", "", "")
	output := f.StringP("output", "o", "short", "")
	follow := f.BoolP("follow", "f", false, "")
	f.Bool("no-pager", false, "")
	f.BoolP("pager-end", "e", false, "")
	f.BoolP("catalog", "x", false, "")
	f.BoolP("quiet", "q", false, "")
	f.Lookup("lines").NoOptDefVal = "10"
	args := slices.Clone(p.args)
	for i := 0; i+1 < len(args); i++ { // "-n 5" as people write it
		if (args[i] == "-n" || args[i] == "--lines") && !strings.HasPrefix(args[i+1], "-") {
			args = append(args[:i], append([]string{"--lines=" + args[i+1]}, args[i+2:]...)...)
		}
	}
	if err := f.Parse(args); err != nil {
		return p.fail(1, "journalctl: %v", err)
	}
	if *output != "short" && *output != "cat" {
		return p.fail(1, "journalctl: output '%s' is not in this shell; there are short and cat", *output)
	}
	if len(*units) == 0 {
		*units = []string{""}
	}
	n := -1
	if *lines != "" && *lines != "all" {
		var err error
		if n, err = strconv.Atoi(*lines); err != nil || n < 0 {
			return p.fail(1, "Failed to parse lines '%s'", *lines)
		}
	}
	if *follow && n < 0 {
		n = 10
	}
	seen := make([]int, len(*units))
	fresh := func() []JournalLine {
		var out []JournalLine
		for i, u := range *units {
			lines, now := p.journal(strings.TrimSuffix(u, ".service"), seen[i])
			seen[i] = now
			out = append(out, lines...)
		}
		// Of one unit they stand in the order in which they were written, also
		// when the clock was set back between them.
		if len(*units) > 1 {
			sort.SliceStable(out, func(i, j int) bool { return out[i].At.Before(out[j].At) })
		}
		return out
	}
	got := fresh()
	if len(got) == 0 && !*follow {
		p.printf("-- No entries --\n")
	}
	if n >= 0 {
		got = got[max(0, len(got)-n):]
	}
	pause, zone := soonest, p.zone()
	for {
		for _, l := range got {
			p.journalLine(l, *output, zone)
		}
		if !*follow {
			return 0
		}
		// A quiet journal is looked at less and less often: a year of waiting
		// must not cost a year of looks.
		if pause = min(2*pause, latest); len(got) > 0 {
			pause = soonest
		}
		p.live.sleep(pause)
		got = fresh()
	}
}

// How often journalctl -f looks.
const soonest, latest = time.Second, 10 * time.Minute

type noOutput struct{}

func (noOutput) Write(b []byte) (int, error) { return len(b), nil }
