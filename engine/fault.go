package engine

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Place is what a fault is on.
type Place struct {
	// On is "link", "host", "disk", "clock" or "apiserver".
	On   string `json:"on"`
	Host string `json:"host"`
	// Peer is the other end of a link.
	Peer string `json:"peer,omitempty"`
}

func (p Place) String() string { return strings.TrimSpace(p.On + " " + p.Host + " " + p.Peer) }

// Effect is what a fault does.
type Effect string

// What faults do. On a host, those of a link strike all links of it.
const (
	// Drop loses what is sent; TCP sends it again, until a side gives up.
	Drop Effect = "drop"
	// Delay makes everything take By longer, each way.
	Delay Effect = "delay"
	// Duplicate lets each request arrive twice, as a proxy does that tries
	// again; the second answer is lost.
	Duplicate Effect = "duplicate"
	// Cut ends connections in the middle of their handshake.
	Cut Effect = "cut"
	// Refuse refuses connections, and resets those that are open.
	Refuse Effect = "refuse"
	// Status answers with the status N.
	Status Effect = "status"
	// Stop switches a host off, or stops a server, until the fault ends;
	// Restart does it for a moment. Suspend lets a host sleep.
	Stop    Effect = "stop"
	Restart Effect = "restart"
	Suspend Effect = "suspend"
	// DenyWrite lets nothing change below a path; Full is a disk without room;
	// Corrupt cuts a file in half, once.
	DenyWrite Effect = "deny-write"
	Full      Effect = "full"
	Corrupt   Effect = "corrupt"
	// Clone makes a node's disk that of another one, as when a machine is made
	// from an image of one that has joined; it is started anew, once.
	Clone Effect = "clone"
	// Skew puts a clock By ahead, Drift makes it gain N millionths; when the
	// fault ends, the clock is right again.
	Skew  Effect = "skew"
	Drift Effect = "drift"
)

// Fault is a row: what goes wrong where, and when.
type Fault struct {
	// From is when it begins, zero for at once; Until when it ends by itself,
	// zero for not before it is ended.
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	Where Place     `json:"where"`
	// Match narrows it: to a path on a disk; on an API server to requests, as
	// "PUT", "/apis/coordination.k8s.io/*" or "PUT /apis/*". Of a clone it is the
	// host that is copied.
	Match  string        `json:"match,omitempty"`
	Effect Effect        `json:"effect"`
	By     time.Duration `json:"by,omitempty"`
	N      int64         `json:"n,omitempty"`
	// Percent is how often it strikes, 0 for always.
	Percent int64 `json:"percent,omitempty"`
	// Begun: it is in force.
	Begun bool `json:"begun,omitempty"`
}

// can is a row of what a fault can do where. takes is what follows the effect:
// "duration", "signed", "status" or "rate"; match is "path", "request", "host"
// or empty; once: it does not last; chance: Percent counts.
type can struct {
	on     string
	effect Effect
	takes  string
	match  string
	once   bool
	chance bool
}

var cans = []can{
	{on: "link", effect: Drop, chance: true}, {on: "link", effect: Delay, takes: "duration"}, {on: "link", effect: Duplicate, chance: true},
	{on: "link", effect: Cut, chance: true}, {on: "link", effect: Refuse},
	{on: "host", effect: Drop, chance: true}, {on: "host", effect: Delay, takes: "duration"}, {on: "host", effect: Duplicate, chance: true},
	{on: "host", effect: Cut, chance: true}, {on: "host", effect: Refuse},
	{on: "host", effect: Stop}, {on: "host", effect: Restart, once: true}, {on: "host", effect: Suspend},
	{on: "disk", effect: DenyWrite, match: "path"}, {on: "disk", effect: Full}, {on: "disk", effect: Corrupt, match: "path", once: true},
	{on: "disk", effect: Clone, match: "host", once: true},
	{on: "clock", effect: Skew, takes: "signed"}, {on: "clock", effect: Drift, takes: "rate"},
	{on: "apiserver", effect: Drop, match: "request", chance: true}, {on: "apiserver", effect: Delay, takes: "duration", match: "request", chance: true},
	{on: "apiserver", effect: Duplicate, match: "request", chance: true}, {on: "apiserver", effect: Status, takes: "status", match: "request", chance: true},
	{on: "apiserver", effect: Stop}, {on: "apiserver", effect: Restart, once: true},
}

func canOf(on string, e Effect) (can, bool) {
	i := slices.IndexFunc(cans, func(c can) bool { return c.on == on && c.effect == e })
	if i < 0 {
		return can{}, false
	}
	return cans[i], true
}

// name is what a fault is called: all of it but its times.
func (f Fault) name() string {
	s := f.Where.String() + " " + string(f.Effect)
	switch c, _ := canOf(f.Where.On, f.Effect); c.takes {
	case "duration":
		s += " " + f.By.String()
	case "signed":
		s += fmt.Sprintf(" %s%s", map[bool]string{true: "", false: "+"}[f.By < 0], f.By)
	case "status":
		s += " " + strconv.FormatInt(f.N, 10)
	case "rate":
		s += fmt.Sprintf(" %dppm", f.N)
	}
	if f.Match != "" {
		s += " " + f.Match
	}
	if f.Percent != 0 {
		s += fmt.Sprintf(" %d%%", f.Percent)
	}
	return s
}

// ParseFault reads a fault as it is written in a session:
//
//	link node-1 control-1 drop 30% for 5m
//	apiserver control-1 status 429 PUT /apis/* after 10s
//
// Its times count from now. The error is one sentence.
func ParseFault(text string, now time.Time) (Fault, error) {
	words := strings.Fields(text)
	f, rest, err := readPlace(words)
	if err != nil {
		return f, err
	}
	if len(rest) == 0 {
		return f, fmt.Errorf("what does %s do? It can %s", f.Where, effectsOn(f.Where.On))
	}
	f.Effect = Effect(rest[0])
	c, ok := canOf(f.Where.On, f.Effect)
	if !ok {
		return f, fmt.Errorf("a fault on a %s can't %q; it can %s", f.Where.On, rest[0], effectsOn(f.Where.On))
	}
	rest = rest[1:]
	if c.takes != "" {
		if len(rest) == 0 {
			return f, fmt.Errorf("%s needs %s", f.Effect, wants[c.takes])
		}
		if err := f.take(c.takes, rest[0]); err != nil {
			return f, err
		}
		rest = rest[1:]
	}
	for len(rest) > 0 {
		w := rest[0]
		rest = rest[1:]
		percent, isPercent := strings.CutSuffix(w, "%")
		switch {
		case w == "for" || w == "after":
			if len(rest) == 0 {
				return f, fmt.Errorf("%s needs a duration, such as 5m", w)
			}
			d, err := ParseDuration(rest[0])
			if err != nil {
				return f, err
			}
			if rest = rest[1:]; w == "after" {
				f.From = now.Add(d)
			} else {
				f.Until = now.Add(d)
			}
		case isPercent:
			n, err := strconv.ParseInt(percent, 10, 64)
			if err != nil || n < 1 || n > 100 {
				return f, fmt.Errorf("%q is no chance from 1%% to 100%%", w)
			}
			if !c.chance {
				return f, fmt.Errorf("%s happens or not; it has no chance of %s", f.Effect, w)
			}
			f.Percent = n % 100
		case c.match != "":
			f.Match = strings.TrimSpace(f.Match + " " + w)
		default:
			return f, fmt.Errorf("%q says nothing about %s; what may follow is 30%%, for 5m, after 10s", w, f.Effect)
		}
	}
	if !f.From.IsZero() && !f.Until.IsZero() {
		f.Until = f.Until.Add(f.From.Sub(now))
	}
	return f, f.check()
}

var wants = map[string]string{"duration": "a duration, such as 2s", "signed": "a duration with a sign, such as -10m or +1h", "status": "an HTTP status from 400 to 599", "rate": "a rate, such as 200ppm"}

func (f *Fault) take(what, w string) (err error) {
	switch what {
	case "duration":
		f.By, err = ParseDuration(w)
		return err
	case "signed":
		f.By, err = ParseDuration(strings.TrimLeft(w, "+-"))
		if strings.HasPrefix(w, "-") {
			f.By = -f.By
		}
		if err != nil {
			return fmt.Errorf("skew needs %s, not %q", wants[what], w)
		}
	case "status":
		f.N, err = strconv.ParseInt(w, 10, 64)
		if err != nil {
			return fmt.Errorf("status needs %s, not %q", wants[what], w)
		}
	case "rate":
		f.N, err = strconv.ParseInt(strings.TrimSuffix(w, "ppm"), 10, 64)
		if err != nil {
			return fmt.Errorf("drift needs %s, not %q", wants[what], w)
		}
	}
	return nil
}

func readPlace(words []string) (f Fault, rest []string, err error) {
	if len(words) == 0 {
		return f, nil, fmt.Errorf("a fault is on a link, a host, a disk, a clock or an apiserver")
	}
	n := 2
	switch words[0] {
	case "link":
		n = 3
	case "host", "disk", "clock", "apiserver":
	default:
		return f, nil, fmt.Errorf("a fault is on a link, a host, a disk, a clock or an apiserver, not on %q", words[0])
	}
	if len(words) < n {
		return f, nil, fmt.Errorf("%s of which host? Write %s", words[0], map[bool]string{true: "link node-1 control-1", false: words[0] + " node-1"}[n == 3])
	}
	f.Where = Place{On: words[0], Host: words[1]}
	if n == 3 {
		f.Where.Peer = words[2]
	}
	return f, words[n:], nil
}

func effectsOn(on string) string {
	var out []string
	for _, c := range cans {
		if c.on == on {
			out = append(out, string(c.effect))
		}
	}
	return strings.Join(out, ", ")
}

// check finds what makes no sense, in a fault that was typed or decoded.
func (f Fault) check() error {
	c, ok := canOf(f.Where.On, f.Effect)
	switch {
	case !ok:
		return fmt.Errorf("there is no fault %q on %q", f.Effect, f.Where.On)
	case c.match == "path" && !strings.HasPrefix(f.Match, "/"):
		return fmt.Errorf("%s needs a path, such as /var/lib/kubelet/pki", f.Effect)
	case c.match == "host" && (f.Match == "" || strings.Contains(f.Match, " ")):
		return fmt.Errorf("%s needs the host whose disk is copied, such as node-1", f.Effect)
	case c.match == "" && f.Match != "":
		return fmt.Errorf("%s on a %s strikes everything; %q can't narrow it", f.Effect, f.Where.On, f.Match)
	case c.takes == "status" && (f.N < 400 || f.N > 599):
		return fmt.Errorf("status needs %s, not %d", wants["status"], f.N)
	case c.takes == "duration" && (f.By <= 0 || f.By > time.Hour):
		return fmt.Errorf("%s takes more than nothing and at most an hour, not %s", f.Effect, f.By)
	case c.takes == "signed" && (f.By == 0 || f.By.Abs() > maxSkew):
		return fmt.Errorf("%s takes a duration other than 0 and at most 100 years, not %s", f.Effect, f.By)
	case c.takes == "rate" && (f.N == 0 || max(f.N, -f.N) > maxRate):
		return fmt.Errorf("a clock drifts by 1 to %d ppm, not by %d", maxRate, f.N)
	case f.Percent < 0 || f.Percent > 99 || f.Percent != 0 && !c.chance:
		return fmt.Errorf("%s can't have a chance of %d%%", f.Effect, f.Percent)
	case c.once && !f.Until.IsZero():
		return fmt.Errorf("%s happens once; leave out for", f.Effect)
	case !f.Until.IsZero() && !f.Until.After(f.From):
		return fmt.Errorf("a fault ends after it begins")
	case f.Begun:
		return fmt.Errorf("a fault that is set has not begun")
	}
	return nil
}

const (
	maxSkew = 100 * 365 * 24 * time.Hour
	// maxRate is a clock that gains or loses a tenth, which no quartz does.
	maxRate = 100_000
)

// matches tells whether a request is among those that a fault is narrowed to.
func (f Fault) matches(method, path string) bool {
	for _, w := range strings.Fields(f.Match) {
		prefix, open := strings.CutSuffix(w, "*")
		switch {
		case !strings.HasPrefix(w, "/"):
			if w != method {
				return false
			}
		case open && !strings.HasPrefix(path, prefix), !open && path != w:
			return false
		}
	}
	return true
}

// Lift names the faults that end: those whose name begins with these words;
// "all" ends all.
type Lift struct {
	Faults string `json:"faults"`
}

func (l Lift) names(f Fault) bool {
	words := strings.Fields(l.Faults)
	if slices.Equal(words, []string{"all"}) {
		return true
	}
	have := strings.Fields(f.name())
	return len(words) > 0 && len(words) <= len(have) && slices.Equal(words, have[:len(words)])
}

// FaultNames lists the faults that are set, by their names, those in force first.
func (w *World) FaultNames() []string {
	fs := slices.Clone(w.Faults)
	sort.SliceStable(fs, func(i, j int) bool { return fs[i].Begun && !fs[j].Begun })
	var out []string
	for _, f := range fs {
		out = append(out, f.name())
	}
	return out
}
