package desk

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

// Msg is something that happened to the desk: the player told something
// (Heard), or the person did something (all others).
type Msg interface{ apply(m *Model) []Command }

// Update changes the model and returns what is to be done.
func (m *Model) Update(msg Msg) []Command {
	switch msg.(type) {
	case Heard, Foretold, Resize:
	default:
		m.Error = ""
	}
	out := msg.apply(m)
	if p, ok := msg.(Pick); ok && p.Kind == "exchange" {
		m.tick()
	}
	return out
}

// Heard is a message of the player.
type Heard struct{ FromEngine }

// Resize is the size of the window, in CSS pixels.
type Resize struct{ W, H int }

// Press is a button that types a command or lets time pass: see Actions.
type Press struct{ Action string }

// Drive is a button of the transport: first, back, play, pause, step, live,
// continue, reset.
type Drive struct{ Verb string }

// Drag is the timeline's knob, from 0 to 1.
type Drag struct{ X float64 }

// SetSpeed chooses one of Speeds by its index.
type SetSpeed struct{ Index int }

// Tab opens a tab of an area ("left", "right", "bottom").
type Tab struct{ Area, Name string }

// Pick selects a thing: exchange, csr, cert, host, file or field.
type Pick struct {
	Kind string
	ID   string
	N    uint64
}

// TypeLine is a line typed into a host's terminal, Interrupt its Ctrl-C.
type TypeLine struct{ Host, Line string }
type Interrupt struct{ Host string }

// SetFlag turns a flag of a unit.
type SetFlag struct{ Host, Unit, Name, Value string }

// SetLang chooses the language.
type SetLang struct{ Lang string }

func (h Heard) apply(m *Model) []Command {
	var out []Command
	if h.Crash != "" {
		m.Playing = false
		return []Command{{Crash: h.Crash}}
	}
	if h.Error != "" {
		m.Error = h.Error
		return m.hear(h)
	}
	if m.cameTrue(h) {
		return []Command{{Journal: h.Journal}}
	}
	if h.Opened {
		m.Ledger, m.Sel, m.Goals = NewLedger(), Selection{}, newGoals(held(m.Lesson, m.Config.Release))
		m.Ready = true
	}
	if h.View != nil {
		m.View = *h.View
		if !h.Ghost {
			m.lasting = h.View.Lives
		}
	}
	if h.Cut {
		m.Ledger.Cut(m.View.Last)
		m.Sel.Exchange = 0
	}
	m.Now, m.Live, m.Ghost = h.Now, h.Live, h.Ghost
	out = append(out, m.hear(h)...)
	if !m.waits() {
		// Else this was said before play or pause was heard.
		m.Playing = h.Playing
	}
	m.Leaping = 0
	if h.Leaping != nil {
		m.Leaping = max(*h.Leaping, 0.001)
	}
	m.Ledger.Add(h.Observations)
	m.Goals.add(h.Observations)
	if h.View != nil && !m.Ghost {
		m.Goals.check(m.View)
	}
	m.tick()
	if h.N == 0 {
		out = append(out, Command{Post: &ToEngine{Heard: true}})
	}
	if h.Journal != nil {
		out = append(out, Command{Journal: h.Journal})
	}
	return out
}

func (r Resize) apply(m *Model) []Command {
	m.W, m.H = r.W, r.H
	return nil
}

func (p Press) apply(m *Model) []Command {
	a, ok := m.action(p.Action)
	if !ok || !a.Enabled {
		return nil
	}
	if a.Leap > 0 {
		return []Command{m.post(ToEngine{Leap: a.Leap})}
	}
	m.Tabs.Bottom = a.Host
	m.Sel.Exchange = 0
	return m.do(engine.Input{Typed: &engine.Typed{Host: a.Host, Line: a.Line}})
}

// do gives an input to the world, and lets time run so that it is seen.
func (m *Model) do(in engine.Input) []Command {
	if m.Ghost {
		m.Error = "past"
		return nil
	}
	out := []Command{m.post(ToEngine{Input: &in})}
	if !m.Playing {
		m.Playing = true
		if Speeds[m.Speed] > Speeds[realTime] {
			m.Speed = realTime
		}
		out = append(out, m.post(ToEngine{Play: &Play{Speeds[m.Speed]}}))
	}
	return out
}

func (d Drive) apply(m *Model) []Command {
	m.knob, m.moved = nil, false
	switch d.Verb {
	case "play":
		m.Playing = true
		return []Command{m.post(ToEngine{Play: &Play{Speeds[m.Speed]}})}
	case "pause":
		m.Playing = false
		return []Command{m.post(ToEngine{Pause: true})}
	case "step":
		return []Command{m.post(ToEngine{Step: true})}
	case "first":
		return m.seek(engine.Start)
	case "back":
		return m.seek(m.before())
	case "live":
		return m.seek(m.Live)
	case "continue":
		return []Command{m.post(ToEngine{Continue: true})}
	case "reset":
		m.Ready = false
		return []Command{m.post(ToEngine{Open: &Open{Config: m.Config}})}
	}
	return nil
}

func (m *Model) seek(t time.Time) []Command { return []Command{m.post(ToEngine{Seek: &t})} }

// before is the moment before the last thing that happened.
func (m *Model) before() time.Time {
	for _, x := range slices.Backward(m.Ledger.Notable) {
		if x.Weight < matters {
			continue
		}
		if x.Response != nil && x.Response.At.Before(m.Now) {
			return x.Response.At
		}
		if x.At.Before(m.Now) {
			return x.At.Add(-time.Nanosecond)
		}
	}
	return engine.Start
}

func (d Drag) apply(m *Model) []Command {
	t := m.axis().Time(min(max(d.X, 0), 1))
	if t.After(m.Live) {
		t = m.Live
	}
	m.knob = &t
	if m.waits() {
		m.moved = true
		return nil
	}
	return m.seek(t)
}

// hear notes what h answers and goes on to where the knob is by now. The knob
// stays where the person put it, and one moment at a time is asked for, so that
// a fast hand is not held up by all the moments that it passed.
func (m *Model) hear(h Heard) []Command {
	m.answered = max(m.answered, h.N)
	if h.Opened {
		// What the world before it was told is void, and has no answer.
		m.answered, m.knob, m.moved = m.sent, nil, false
	}
	if m.waits() {
		return nil
	}
	if m.moved {
		m.moved = false
		return m.seek(*m.knob)
	}
	m.knob = nil
	return nil
}

func (s SetSpeed) apply(m *Model) []Command {
	if s.Index < 0 || s.Index >= len(Speeds) {
		return nil
	}
	m.Speed = s.Index
	if m.Playing {
		return []Command{m.post(ToEngine{Play: &Play{Speeds[m.Speed]}})}
	}
	return nil
}

func (t Tab) apply(m *Model) []Command {
	switch t.Area {
	case "left":
		m.Tabs.Left = t.Name
	case "right":
		return m.open(t.Name)
	case "bottom":
		m.Tabs.Bottom = t.Name
	}
	return nil
}

// open opens a tab of the inspector. Who trusts whom is worked out while its tab is
// open only.
func (m *Model) open(tab string) []Command {
	was := m.Tabs.Right == "trust"
	m.Tabs.Right = tab
	if on := tab == "trust"; on != was {
		return []Command{m.post(ToEngine{Trust: &on})}
	}
	return nil
}

// picks say what each kind of selection opens in the inspector.
var picks = map[string]struct {
	tab string
	set func(*Selection, Pick)
}{
	"exchange": {"request", func(s *Selection, p Pick) { s.Exchange = p.N }},
	"csr":      {"csr", func(s *Selection, p Pick) { s.CSR, s.Field = p.ID, 0 }},
	"cert":     {"certificate", func(s *Selection, p Pick) { s.Cert, s.Field = p.ID, 0 }},
	"host":     {"files", func(s *Selection, p Pick) { s.Host, s.File = p.ID, "" }},
	"file":     {"files", func(s *Selection, p Pick) { s.File = p.ID }},
	"field":    {"", func(s *Selection, p Pick) { s.Field = int(p.N) }},
	"rbac":     {"rbac", func(*Selection, Pick) {}},
}

func (p Pick) apply(m *Model) []Command {
	k, ok := picks[p.Kind]
	if !ok {
		return nil
	}
	if p.Kind == "file" && strings.Contains(p.ID, ":") {
		m.Sel.Host, p.ID, _ = strings.Cut(p.ID, ":")
	}
	k.set(&m.Sel, p)
	if k.tab == "" {
		return nil
	}
	if m.narrow() {
		m.Tabs.Left = "inspect"
	}
	return m.open(k.tab)
}

func (t TypeLine) apply(m *Model) []Command {
	if strings.TrimSpace(t.Line) == "" {
		return nil
	}
	return m.do(engine.Input{Typed: &engine.Typed{Host: t.Host, Line: t.Line}})
}

func (i Interrupt) apply(m *Model) []Command {
	return m.do(engine.Input{Interrupt: &engine.Interrupt{Host: i.Host}})
}

func (f SetFlag) apply(m *Model) []Command {
	if u := m.unit(f.Host, f.Unit); u != nil && u.Flags[f.Name] == f.Value {
		return nil
	}
	return m.do(engine.Input{Flag: &engine.Flag{Host: f.Host, Unit: f.Unit, Name: f.Name, Value: f.Value}})
}

// Leave opens the whole of Joinery from an embed.
type Leave struct{}

func (Leave) apply(m *Model) []Command {
	id := ""
	if m.Lesson != nil {
		id = m.Lesson.ID
	}
	return []Command{{Visit: "./?lesson=" + url.QueryEscape(id) + "&lang=" + m.Lang}}
}

func (s SetLang) apply(m *Model) []Command {
	m.Lang = s.Lang
	return []Command{{Store: &Preference{"lang", s.Lang}}, {Lang: s.Lang}}
}
