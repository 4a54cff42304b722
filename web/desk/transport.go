package desk

import (
	"strings"

	"github.com/joinery-lab/joinery/engine"
)

func (m *Model) transport() Transport {
	t := m.text()
	r := Transport{Name: t("area.time"), Speed: m.Speed, SpeedLabel: t("time.speed"), Clock: clock(m.Now), Label: t("time.label"), Leaping: m.Leaping, LeapText: t("time.leaping")}
	r.Stop = Button{Test: "leap-stop", Label: t("time.stop"), Msg: Drive{"pause"}}
	busy := !m.Ready
	r.First = Button{Test: "first", Label: t("time.first"), Disabled: busy, Msg: Drive{"first"}}
	r.Back = Button{Test: "step-back", Label: t("time.back"), Disabled: busy, Msg: Drive{"back"}}
	r.Play = Button{Test: "play", Label: t("time.play"), Disabled: busy, Msg: Drive{"play"}}
	if m.Playing {
		r.Play = Button{Test: "pause", Label: t("time.pause"), Disabled: busy, Pressed: true, Msg: Drive{"pause"}}
	}
	r.Fwd = Button{Test: "step", Label: t("time.step"), Disabled: busy || m.Playing, Msg: Drive{"step"}}
	for _, s := range Speeds {
		r.Speeds = append(r.Speeds, t("speed."+s.String()))
	}
	a := m.axis()
	until := m.until()
	r.Cursor, r.Live = a.X(m.Now), a.X(m.Live)
	marks := m.Ledger.Marks
	n := len(marksUpTo(marks, until))
	r.Note = t("time.count", "n", n, "all", len(marks))
	if m.Ghost {
		r.Note = t("time.past", "n", n, "all", len(marks))
	}
	events := TimeRow{Label: t("time.events"), Bars: []Bar{{To: a.X(m.Live), Kind: "past"}}}
	for _, k := range marks {
		events.Marks = append(events.Marks, Dot{X: a.X(k.At), Shape: k.Shape, Tone: k.Tone, Title: stamp(k.At) + " " + m.markText(k), Later: k.ID > until})
	}
	r.Rows = append([]TimeRow{events}, m.lives(a)...)
	r.Ticks = m.ticks(a)
	return r
}

// lives are the rows of certificates: one a host and use, at most two.
func (m *Model) lives(a Axis) []TimeRow {
	t := m.text()
	var out []TimeRow
	index := map[string]int{}
	for _, l := range m.View.Lives {
		name := l.Host + " " + t("life.short."+l.Use)
		i, ok := index[name]
		if !ok {
			if len(out) == 2 {
				continue
			}
			i = len(out)
			index[name] = i
			out = append(out, TimeRow{Label: name})
		}
		r := &out[i]
		r.Bars = append(r.Bars, Bar{From: a.X(l.NotBefore), To: a.X(l.NotAfter), Kind: l.Use, Title: t("life.title", "from", clock(l.NotBefore), "to", clock(l.NotAfter))})
		if !l.Current {
			continue
		}
		w := window(l)
		r.Bars = append(r.Bars, Bar{From: a.X(w[0]), To: a.X(w[1]), Kind: "window", Title: t("life.window", "from", day(w[0]), "to", day(w[1]))})
		if !l.Deadline.IsZero() {
			r.Bars = append(r.Bars, Bar{From: a.X(l.Deadline), To: a.X(l.Deadline), Kind: "deadline", Title: t("life.deadline", "at", clock(l.Deadline))})
		}
	}
	if len(out) == 0 {
		out = append(out, TimeRow{Label: "node-1 " + t("life.short.client")})
	}
	return out
}

// ticks are the words under the timeline.
func (m *Model) ticks(a Axis) []Tick {
	t := m.text()
	out := []Tick{{Text: t("tick.start", "day", day(engine.Start)), Align: "start"}}
	for _, l := range m.View.Lives {
		if !l.Current || l.Use != "client" {
			continue
		}
		w := window(l)
		mid, end := (a.X(w[0])+a.X(w[1]))/2, a.X(l.NotAfter)
		if mid < end-0.27 && mid > 0.2 {
			out = append(out, Tick{X: mid, Text: t("tick.window"), Align: "middle"})
		}
		out = append(out, Tick{X: end, Text: t("tick.expires", "day", day(l.NotAfter)), Align: "end"})
		return out
	}
	return out
}

const termLines = 160

func (m *Model) terminal() Terminal {
	t := m.text()
	r := Terminal{Name: t("area.terminal"), Open: m.Tabs.Bottom, Empty: t("term.empty." + termKind(m.Tabs.Bottom)), Hint: t("term.hint", "host", m.Tabs.Bottom)}
	for _, n := range m.bottomTabs() {
		label := t("tab.host", "host", n)
		switch n {
		case "admin":
			label = t("tab.you")
		case "logs", "events":
			label = t("tab." + n)
		}
		r.Tabs = append(r.Tabs, Button{Test: "tab-" + n, Label: label, Pressed: n == r.Open, Msg: Tab{"bottom", n}})
	}
	until := m.until()
	switch r.Open {
	case "logs":
		for _, l := range last(linesUpTo(m.Ledger.Logs, until)) {
			r.Lines = append(r.Lines, TermLine{Prompt: strings.Replace(l.Who, "control-1/", "", 1), Text: l.Text, Tone: map[string]string{"E": "err", "W": "warn"}[l.Kind]})
		}
		return r
	case "events":
		for _, l := range last(linesUpTo(m.Ledger.Events, until)) {
			r.Lines = append(r.Lines, TermLine{Prompt: stamp(l.At), Text: m.event(l), Tone: map[string]string{"object": "", "unit": "warn"}[l.Kind]})
		}
		return r
	}
	r.Host, r.Prompt = r.Open, prompt(r.Open)
	if h := m.host(r.Host); h != nil {
		r.Busy = h.Busy
	}
	r.Disabled = m.Ghost || !m.Ready
	r.Stop = Button{Test: "interrupt", Label: "Ctrl-C", Hint: t("term.stop"), Msg: Interrupt{r.Host}}
	for _, l := range last(linesUpTo(m.Ledger.Terminals[r.Host], until)) {
		switch l.Kind {
		case "typed":
			r.Lines = append(r.Lines, TermLine{Prompt: r.Prompt, Text: l.Text, Tone: "typed"})
			r.History = append(r.History, l.Text)
		case "status":
		default:
			tone := ""
			if l.Kind == "stderr" {
				tone = "err"
			}
			for _, s := range strings.Split(strings.TrimSuffix(l.Text, "\n"), "\n") {
				r.Lines = append(r.Lines, TermLine{Text: s, Tone: tone})
			}
		}
	}
	return r
}

// maxTerminals is how many nodes have a tab of their own.
const maxTerminals = 3

// bottomTabs are the admin's terminal, those of the nodes, logs and events.
func (m *Model) bottomTabs() []string {
	out := []string{"admin"}
	for _, h := range m.View.Hosts {
		if h.Role == "node" && len(out) <= maxTerminals {
			out = append(out, h.Name)
		}
	}
	return append(out, "logs", "events")
}

func termKind(tab string) string {
	if tab == "logs" || tab == "events" {
		return tab
	}
	return "host"
}

func prompt(host string) string {
	if strings.HasPrefix(host, "node-") {
		return "#"
	}
	return "$"
}

func last(s []Line) []Line { return s[max(0, len(s)-termLines):] }

// event is a line of the list of events.
func (m *Model) event(l Line) string {
	t := m.text()
	switch l.Kind {
	case "object":
		return t("event.object", "what", l.Text, "verb", l.Args["verb"], "by", l.Who)
	case "decision":
		return t("event.decision", "who", or(l.Args["controller"], l.Who), "what", l.Text, "verdict", l.Args["verdict"], "message", or(l.Args["message"], l.Args["reason"]))
	case "phase":
		return t("event.phase", "who", l.Who, "phase", or(m.known("phase."+l.Text), l.Text))
	case "unit":
		return t("event.unit", "unit", l.Text, "host", l.Who, "state", l.Args["state"])
	}
	return l.Text
}

// Unfinished reports whether a line opens a here-document that is not closed.
func Unfinished(line string) bool {
	_, rest, ok := strings.Cut(line, "<<")
	if !ok {
		return false
	}
	rest = strings.TrimLeft(rest, "-")
	word, body, _ := strings.Cut(rest, "\n")
	word = strings.Trim(strings.TrimSpace(word), `'"`)
	if word, _, _ = strings.Cut(word, " "); word == "" {
		return false
	}
	for _, l := range strings.Split(body, "\n") {
		if strings.TrimSpace(l) == word {
			return false
		}
	}
	return true
}
