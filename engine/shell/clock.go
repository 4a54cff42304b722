package shell

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// zone is the zone that a command prints times in: TZ's, else the host's. A TZ
// that is not known is taken for UTC, as the C library does.
func (p *process) zone() *time.Location {
	name := strings.TrimPrefix(p.getenv("TZ"), ":")
	if name == "" {
		name = p.sys(func(c *sim.Ctx) reply { return reply{Text: sim.ZoneName(c.Disk)} }).Text
	}
	z, ok := sim.Zone(name)
	if !ok {
		return time.UTC
	}
	return z
}

// setClock sets the host's clock, which only root may.
func (p *process) setClock(t time.Time) error {
	if p.getenv("USER") != "root" {
		return fmt.Errorf("Operation not permitted")
	}
	p.sys(func(c *sim.Ctx) reply { c.SetClock(t.UTC()); return reply{} })
	return nil
}

// layouts are date's conversions; %s is apart.
var layouts = map[byte]string{
	'Y': "2006", 'm': "01", 'd': "02", 'H': "15", 'M': "04", 'S': "05", 'Z': "MST", 'z': "-0700", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
	'F': "2006-01-02", 'T': "15:04:05", 'e': "_2", 'y': "06", 'j': "002", 'I': "03", 'p': "PM", 'N': "000000000", 'R': "15:04", 'D': "01/02/06",
}

func date(p *process) int {
	zone := p.zone()
	now := p.now()
	format := "%a %b %e %H:%M:%S %Z %Y"
	var set, shown string
	for i := 0; i < len(p.args); i++ {
		a := p.args[i]
		name, value, inline := strings.Cut(a, "=")
		switch {
		case a == "-u" || a == "--utc" || a == "--universal":
			zone = time.UTC
		case strings.HasPrefix(a, "+"):
			format = a[1:]
		case a == "-Is" || a == "-Iseconds" || a == "--iso-8601=seconds":
			format = "%FT%T%:z"
		case a == "-s" || a == "-d" || name == "--set" || name == "--date":
			if !inline {
				if i++; i == len(p.args) {
					return p.fail(1, "date: option requires an argument -- '%s'", strings.TrimLeft(a, "-"))
				}
				value = p.args[i]
			}
			if name == "-s" || name == "--set" {
				set = value
			} else {
				shown = value
			}
		default:
			return p.fail(1, "date: option '%s' is not in this shell; there are -u, -s, -d, -Is and +FORMAT", a)
		}
	}
	status := 0
	if text := set + shown; text != "" {
		t, ok := readTime(text, now.In(zone))
		if !ok {
			return p.fail(1, "date: invalid date ‘%s’", text)
		}
		if now = t; set != "" {
			if err := p.setClock(t); err != nil {
				status = p.fail(1, "date: cannot set date: %v", err)
			}
		}
	}
	text, err := strftime(format, now.In(zone))
	if err != nil {
		return p.fail(1, "date: %v", err)
	}
	p.printf("%s\n", text)
	return status
}

func strftime(format string, t time.Time) (string, error) {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		switch l, ok := layouts[format[i]]; {
		case format[i] == 'N':
			b.WriteString(t.Format(".000000000")[1:])
		case ok:
			b.WriteString(t.Format(l))
		case format[i] == 's':
			b.WriteString(strconv.FormatInt(t.Unix(), 10))
		case format[i] == ':' && strings.HasPrefix(format[i:], ":z"):
			i++
			b.WriteString(t.Format("-07:00"))
		case format[i] == '%':
			b.WriteByte('%')
		default:
			return "", fmt.Errorf("conversion '%%%c' is not in this shell", format[i])
		}
	}
	return b.String(), nil
}

// moments are the forms in which a whole date is written, days those without
// a time, hours those without a day.
var (
	moments = []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-1-2 15:04:05", "2006-1-2 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05 MST", "2006-1-2",
		"Mon Jan _2 15:04:05 MST 2006", "Jan _2 15:04:05 2006 MST", time.RFC1123Z, time.RFC1123}
	hours = []string{"15:04:05", "15:04"}
	// relative is one part of "+6 minutes", "2 days ago", "1 year 3 hours".
	relative = regexp.MustCompile(`^\s*([+-]?)\s*(\d{1,9})?\s*(sec|second|min|minute|hour|day|week|fortnight|month|year)s?(\s+ago)?\b`)
)

// readTime reads a date as GNU date does, in the forms that people type.
func readTime(text string, now time.Time) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if s, ok := strings.CutPrefix(text, "@"); ok {
		n, err := strconv.ParseInt(s, 10, 64)
		return time.Unix(n, 0), err == nil && n > -1<<35 && n < 1<<35
	}
	for _, form := range moments {
		// An abbreviation other than the zone's own says nothing certain.
		if t, err := time.ParseInLocation(form, text, now.Location()); err == nil {
			if _, off := t.Zone(); off == 0 && strings.Contains(form, "MST") && !strings.Contains(text, "UTC") && !strings.Contains(text, "GMT") {
				continue
			}
			return t, true
		}
	}
	for _, form := range hours {
		if t, err := time.Parse(form, text); err == nil {
			y, m, d := now.Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location()), true
		}
	}
	t, rest := now, text
	for _, word := range []string{"now", "today", "tomorrow", "yesterday"} {
		if after, ok := strings.CutPrefix(rest, word); ok {
			rest = after
			switch word {
			case "tomorrow":
				t = t.AddDate(0, 0, 1)
			case "yesterday":
				t = t.AddDate(0, 0, -1)
			}
			if strings.TrimSpace(rest) == "" {
				return t, true
			}
			break
		}
	}
	if rest == "" {
		return t, false
	}
	for strings.TrimSpace(rest) != "" {
		m := relative.FindStringSubmatch(rest)
		if m == nil {
			return t, false
		}
		n := 1
		if m[2] != "" {
			n, _ = strconv.Atoi(m[2])
		}
		if (m[1] == "-") != (m[4] != "") {
			n = -n
		}
		switch m[3] {
		case "sec", "second":
			t = t.Add(time.Duration(n) * time.Second)
		case "min", "minute":
			t = t.Add(time.Duration(n) * time.Minute)
		case "hour":
			t = t.Add(time.Duration(n) * time.Hour)
		case "day":
			t = t.AddDate(0, 0, n)
		case "week":
			t = t.AddDate(0, 0, 7*n)
		case "fortnight":
			t = t.AddDate(0, 0, 14*n)
		case "month":
			t = t.AddDate(0, n, 0)
		case "year":
			t = t.AddDate(n, 0, 0)
		}
		rest = rest[len(m[0]):]
	}
	return t, true
}

// timedatectl knows no NTP service, as on a host where none is installed.
func timedatectl(p *process) int {
	verb, args := "status", p.args
	if len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	one := func() (string, bool) {
		if len(args) == 1 {
			return args[0], true
		}
		p.fail(1, "Too %s arguments.", map[bool]string{true: "few", false: "many"}[len(args) < 1])
		return "", false
	}
	switch verb {
	case "status", "show":
		zone, now := p.zone(), p.now()
		name := p.sys(func(c *sim.Ctx) reply { return reply{Text: sim.ZoneName(c.Disk)} }).Text
		if verb == "show" {
			p.printf("Timezone=%s\nLocalRTC=no\nCanNTP=no\nNTP=no\nNTPSynchronized=no\nTimeUSec=%s\n", name, now.In(zone).Format("Mon 2006-01-02 15:04:05 MST"))
			return 0
		}
		const form = "Mon 2006-01-02 15:04:05"
		p.printf("               Local time: %s\n           Universal time: %s\n                 RTC time: %s\n                Time zone: %s (%s)\nSystem clock synchronized: no\n              NTP service: n/a\n          RTC in local TZ: no\n",
			now.In(zone).Format(form+" MST"), now.UTC().Format(form+" MST"), now.UTC().Format(form), name, now.In(zone).Format("MST, -0700"))
		return 0
	case "list-timezones":
		for _, z := range sim.Zones() {
			p.printf("%s\n", z)
		}
		return 0
	case "set-time":
		text, ok := one()
		if !ok {
			return 1
		}
		t, ok := readTime(text, p.now().In(p.zone()))
		if !ok {
			return p.fail(1, "Failed to parse time specification '%s': Invalid argument", text)
		}
		if err := p.setClock(t); err != nil {
			return p.fail(1, "Failed to set time: Access denied")
		}
		return 0
	case "set-timezone":
		name, ok := one()
		if !ok {
			return 1
		}
		if _, ok := sim.Zone(name); !ok {
			return p.fail(1, "Failed to set time zone: Invalid or not installed time zone '%s'", name)
		}
		if p.getenv("USER") != "root" {
			return p.fail(1, "Failed to set time zone: Access denied")
		}
		if err := p.change(func(d *sim.Disk, now time.Time) error { return sim.SetZone(d, name, now) }); err != nil {
			return p.fail(1, "Failed to set time zone: %s", linux(err))
		}
		return 0
	case "set-ntp":
		return p.fail(1, "Failed to set ntp: NTP not supported")
	}
	return p.fail(1, "Unknown command verb '%s'.", verb)
}
