package desk

import (
	"slices"

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
	r.Busy = m.waits()
	if m.knob != nil {
		r.Cursor = a.X(*m.knob)
	}
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

// ticks are the words under the timeline. Those that matter most take their
// place first; one that would run into another is left out.
func (m *Model) ticks(a Axis) []Tick {
	t := m.text()
	all := []Tick{{Text: t("tick.start", "day", day(engine.Start)), Align: "start"}}
	for _, l := range m.View.Lives {
		if !l.Current || l.Use != "client" {
			continue
		}
		w := window(l)
		all = append(all, Tick{X: a.X(l.NotAfter), Text: t("tick.expires", "day", day(l.NotAfter)), Align: "end"},
			Tick{X: (a.X(w[0]) + a.X(w[1])) / 2, Text: t("tick.window"), Align: "middle"})
		break
	}
	return apart(all, m.trackW())
}

const (
	// letter is how wide a letter of a tick is at most, and a Chinese one.
	letter, character = 5.9, 9.5
	// between two ticks there is this much at least.
	between = 10
)

// apart keeps the ticks that have room on a track of that width.
func apart(all []Tick, width int) []Tick {
	type stretch struct{ from, to float64 }
	var out []Tick
	var taken []stretch
	for _, k := range all {
		w := 0.0
		for _, r := range k.Text {
			if r < 0x2e80 {
				w += letter
			} else {
				w += character
			}
		}
		x := k.X * float64(width)
		s := map[string]stretch{"start": {x, x + w}, "middle": {x - w/2, x + w/2}, "end": {x - w, x}}[k.Align]
		clash := slices.ContainsFunc(taken, func(o stretch) bool { return s.from < o.to+between && o.from < s.to+between })
		if clash || s.from < 0 || s.to > float64(width)+1 {
			continue
		}
		taken, out = append(taken, s), append(out, k)
	}
	return out
}
