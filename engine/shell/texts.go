package shell

import (
	"bufio"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mvdan.cc/sh/v3/expand"
)

func itoa(n int) string { return strconv.Itoa(n) }

// count reads the number of lines that head and tail are asked for.
func (p *process) count(known string) (int, []string, error) {
	for i, a := range p.args {
		if len(a) > 1 && a[0] == '-' && a[1] >= '0' && a[1] <= '9' {
			p.args = append(slices.Clone(p.args[:i]), append([]string{"-n", a[1:]}, p.args[i+1:]...)...)
		}
	}
	opt, names, err := p.options(known)
	if err != nil {
		return 0, nil, err
	}
	n := 10
	if v, ok := opt['n']; ok {
		if n, err = strconv.Atoi(v); err != nil || n < 0 {
			return 0, nil, &sysError{text: p.name + ": invalid number of lines: '" + v + "'"}
		}
	}
	return n, names, nil
}

func head(p *process) int {
	n, names, err := p.count("n:")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) == 0 {
		// Line by line, and no further: what writes may go on for ever.
		for range n {
			line, err := readLine(p.in)
			p.printf("%s", line)
			if err != nil {
				break
			}
		}
		return 0
	}
	return p.inputs(names, func(_ string, b []byte) {
		i := 0
		for line := range strings.Lines(string(b)) {
			if i++; i > n {
				return
			}
			p.printf("%s", line)
		}
	})
}

func tail(p *process) int {
	n, names, err := p.count("n:")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	return p.inputs(names, func(_ string, b []byte) {
		lines := slices.Collect(strings.Lines(string(b)))
		for _, l := range lines[max(0, len(lines)-n):] {
			p.printf("%s", l)
		}
	})
}

func grep(p *process) int {
	opt, rest, err := p.options("iEvcnqFo")
	if err != nil {
		return p.fail(2, "%v", err)
	}
	if len(rest) == 0 {
		return p.fail(2, "usage: grep [-EFcinoqv] PATTERN [FILE]...")
	}
	pattern := rest[0]
	if opt['F'] != "" {
		pattern = regexp.QuoteMeta(pattern)
	} else if opt['E'] == "" {
		pattern = basic(pattern)
	}
	if opt['i'] != "" {
		pattern = "(?i)" + pattern
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return p.fail(2, "grep: %s: not a regular expression", rest[0])
	}
	found, number := 0, 0
	match := func(prefix, line string) {
		number++
		if re.MatchString(line) == (opt['v'] != "") {
			return
		}
		found++
		switch {
		case opt['q'] != "" || opt['c'] != "":
		case opt['o'] != "":
			for _, m := range re.FindAllString(line, -1) {
				p.printf("%s%s\n", prefix, m)
			}
		case opt['n'] != "":
			p.printf("%s%d:%s\n", prefix, number, line)
		default:
			p.printf("%s%s\n", prefix, line)
		}
	}
	code := 0
	if len(rest) == 1 {
		s := bufio.NewScanner(onlyReader{p.in})
		s.Buffer(nil, 1<<24)
		for s.Scan() {
			match("", s.Text())
		}
	} else {
		code = p.inputs(rest[1:], func(name string, b []byte) {
			number = 0
			prefix := ""
			if len(rest) > 2 {
				prefix = name + ":"
			}
			for line := range strings.Lines(string(b)) {
				match(prefix, strings.TrimSuffix(line, "\n"))
			}
		})
	}
	if opt['c'] != "" {
		p.printf("%d\n", found)
	}
	if code != 0 {
		return 2
	}
	if found == 0 {
		return 1
	}
	return 0
}

// basic turns a basic regular expression into an extended one: \( \) \{ \} \|
// \+ \? swap meaning with the bare characters.
func basic(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			if !strings.ContainsRune("(){}|+?", rune(s[i])) {
				b.WriteByte('\\')
			}
			b.WriteByte(s[i])
		case strings.ContainsRune("(){}|+?", rune(c)):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func wc(p *process) int {
	opt, names, err := p.options("lwc")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	type row struct {
		n    [3]int
		name string
	}
	var rows []row
	total := row{name: "total"}
	status := p.inputs(names, func(name string, b []byte) {
		s := string(b)
		r := row{[3]int{strings.Count(s, "\n"), len(strings.Fields(s)), len(s)}, name}
		for i, n := range r.n {
			total.n[i] += n
		}
		rows = append(rows, r)
	})
	if len(names) > 1 {
		rows = append(rows, total)
	}
	show := []bool{opt['l'] != "" || len(opt) == 0, opt['w'] != "" || len(opt) == 0, opt['c'] != "" || len(opt) == 0}
	// Columns are as wide as the largest number; of standard input nobody
	// knows it in advance.
	width := len(itoa(total.n[2]))
	if len(names) == 0 {
		width = 7
	}
	if len(opt) == 1 && len(rows) == 1 {
		width = 1
	}
	for _, r := range rows {
		var out []string
		for i, n := range r.n {
			if show[i] {
				out = append(out, fmt.Sprintf("%*d", width, n))
			}
		}
		if len(names) > 0 {
			out = append(out, r.name)
		}
		p.printf("%s\n", strings.Join(out, " "))
	}
	return status
}

func sortLines(p *process) int {
	opt, names, err := p.options("ru")
	if err != nil {
		return p.fail(2, "%v", err)
	}
	var lines []string
	code := p.inputs(names, func(_ string, b []byte) {
		for l := range strings.Lines(string(b)) {
			lines = append(lines, strings.TrimSuffix(l, "\n"))
		}
	})
	slices.Sort(lines)
	if opt['u'] != "" {
		lines = slices.Compact(lines)
	}
	if opt['r'] != "" {
		slices.Reverse(lines)
	}
	for _, l := range lines {
		p.printf("%s\n", l)
	}
	return code
}

// sleepUnits are the suffixes of an interval.
var sleepUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// longestSleep is more than any world lives.
const longestSleep = 100 * 365 * 24 * time.Hour

func interval(s string) (time.Duration, bool) {
	unit := time.Second
	if n := len(s); n > 0 && sleepUnits[s[n-1]] != 0 {
		unit, s = sleepUnits[s[n-1]], s[:n-1]
	}
	whole, part, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint("0"+whole, 10, 32)
	if err != nil || whole+part == "" || strings.ContainsAny(whole, "+-") {
		return 0, false
	}
	d := time.Duration(n) * time.Second
	if part != "" {
		f, err := strconv.ParseUint((part + "000000000")[:9], 10, 32)
		if err != nil {
			return 0, false
		}
		d += time.Duration(f)
	}
	if d > longestSleep/(unit/time.Second) {
		return longestSleep, true
	}
	return d * (unit / time.Second), true
}

func sleep(p *process) int {
	if len(p.args) == 0 {
		return p.fail(1, "sleep: missing operand\nTry 'sleep --help' for more information.")
	}
	var total time.Duration
	for _, a := range p.args {
		d, ok := interval(a)
		if !ok {
			return p.fail(1, "sleep: invalid time interval '%s'\nTry 'sleep --help' for more information.", a)
		}
		total = min(total+d, longestSleep)
	}
	p.live.sleep(total)
	return 0
}

func hostname(p *process) int {
	opt, names, err := p.options("siI")
	if err != nil {
		return p.fail(1, "%v", err)
	}
	if len(names) > 0 {
		return p.fail(1, "hostname: a host of this world keeps its name")
	}
	if opt['i'] != "" || opt['I'] != "" {
		p.printf("%s\n", strings.Join(p.addresses(), " "))
		return 0
	}
	b, err := p.readFile("/etc/hostname")
	if err != nil {
		return p.fail(1, "hostname: %v", err)
	}
	p.out.Write(b)
	return 0
}

// none fails when a command that takes no arguments got some.
func (p *process) none() error {
	if len(p.args) > 0 {
		return fmt.Errorf("%s: '%s' is not in this shell", p.name, p.args[0])
	}
	return nil
}

func whoami(p *process) int {
	if err := p.none(); err != nil {
		return p.fail(1, "%v", err)
	}
	p.printf("%s\n", p.start.User)
	return 0
}

func clearScreen(p *process) int {
	if err := p.none(); err != nil {
		return p.fail(1, "%v", err)
	}
	p.printf("\x1b[H\x1b[2J\x1b[3J")
	return 0
}

// env prints the exported variables, sorted; printenv also those it is asked for.
func env(p *process) int {
	exported := map[string]string{}
	p.env.Each(func(name string, v expand.Variable) bool {
		if delete(exported, name); v.Exported && v.IsSet() {
			exported[name] = v.String()
		}
		return true
	})
	if len(p.args) == 0 {
		for _, name := range slices.Sorted(maps.Keys(exported)) {
			p.printf("%s=%s\n", name, exported[name])
		}
		return 0
	}
	if p.name == "env" || strings.HasPrefix(p.args[0], "-") {
		return p.fail(1, "%s: '%s' is not in this shell", p.name, p.args[0])
	}
	status := 0
	for _, name := range p.args {
		v, ok := exported[name]
		if !ok {
			status = 1
			continue
		}
		p.printf("%s\n", v)
	}
	return status
}
