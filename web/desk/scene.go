package desk

// Scene is all that is drawn, as a plain value: components copy it onto the
// page and add nothing. Texts are in the person's language already; spans
// between backticks are code.
type Scene struct {
	Lang   string
	Embed  bool
	Layout string // wide, narrow or phone
	Ready  bool

	Header    Header
	Left      Left
	Stage     Stage
	Actions   Actions
	Inspector Inspector
	Transport Transport
	Terminal  Terminal
	// Notice is a sentence above the stage: the past is shown, or an input was
	// not taken. Said is the last event, for the live region.
	Notice Notice
	Said   string
}

// Button sends Msg when pressed. Test is its data-test attribute.
type Button struct {
	Test, Label, Hint string
	Disabled, Primary bool
	Pressed           bool
	Msg               Msg
}

// Actions are the buttons below the stage.
type Actions struct {
	Name    string
	Buttons []Button
}

// Header is the bar at the top.
type Header struct {
	Release         Button
	Lesson, Tagline string
	LangName        string
	Langs           []Button
	Reset           Button
}

// Left is the panel of the lesson and the flags.
type Left struct {
	Name  string
	Tabs  []Button
	Open  string
	Learn Learn
	Flags Flags
	// Release is filled while its tab is open.
	Release Release
}

// Learn is the lesson.
type Learn struct {
	Title, StepsTitle, ProgressTitle, ProgressText string
	// Whole leads from an embed to the whole page.
	Whole Button
	Intro []Para
	Steps []LearnStep
	// Progress is from 0 to 100.
	Progress int
}

// LearnStep is a step of a lesson. State is done, now or todo.
type LearnStep struct {
	ID, N, Title, State, Why string
	StateText                string
	Prose                    []Para
	Met                      bool
}

// Para is a paragraph, or with Code a block of it.
type Para struct {
	Text string
	Code bool
}

// Flags are the flags that can be turned.
type Flags struct {
	Note   string
	Groups []FlagGroup
}

// FlagGroup is the flags of one unit.
type FlagGroup struct {
	Title string
	Flags []FlagField
}

// FlagField is a flag with its value. Host and Unit say whose.
type FlagField struct {
	Test, Host, Unit, Name, Value, Hint string
	Choices                             []string
	Disabled                            bool
}

// Notice is a sentence with buttons. Tone is "past" or "no".
type Notice struct {
	Tone, Text string
	Buttons    []Button
}

// Inspector is the panel that takes one thing apart.
type Inspector struct {
	Name   string
	Tabs   []Button
	Open   string
	Title  string
	Sub    string
	Blocks []Block
	Back   Button
}

// Block is a part of the inspector: what is set is drawn, in this order.
type Block struct {
	// Head is a small heading above it.
	Head string
	// Tone colours it: "no", "ok", "wait", "plain" or "" (no box).
	Tone  string
	Bold  string
	Text  string
	Rows  []Row
	Items []Item
	Hex   []HexLine
	Pre   string
	// Verbatim: the lines of Pre are as long as they are.
	Verbatim bool
	// Buttons stand below.
	Buttons []Button
	Test    string
}

// Row is a name and a value. Mark colours it as Hex's mark of that number.
type Row struct {
	Key, Value, Tone string
	Plain            bool
	Mark             int
	On               bool
	Note             string
	Test             string
	Msg              Msg
}

// Item is a line of a list that can be picked.
type Item struct {
	Text, Note, Chip, Tone string
	On                     bool
	Msg                    Msg
	Test                   string
}

// HexLine is a line of a dump: the offset, the bytes in spans, and as text.
type HexLine struct {
	Offset string
	Spans  []HexSpan
}

// HexSpan is bytes of one field; Mark is the field's number, 0 for none.
type HexSpan struct {
	Text string
	Mark int
	On   bool
}

// Transport is the bar of time.
type Transport struct {
	Name                   string
	First, Back, Play, Fwd Button
	Speeds                 []string
	Speed                  int
	SpeedLabel             string
	Clock, Note            string
	Rows                   []TimeRow
	Ticks                  []Tick
	Cursor, Live           float64
	Label                  string
	// Busy: what is drawn is not yet what was asked for last, the moment where
	// the knob is or time that stands.
	Busy bool
	// Leaping is how much of a leap is done, 0 when there is none; Stop ends it.
	Leaping  float64
	LeapText string
	Stop     Button
}

// TimeRow is a line of the timeline.
type TimeRow struct {
	Label string
	Bars  []Bar
	Marks []Dot
}

// Bar is a stretch of time; Kind is client, serving, window, deadline or past.
type Bar struct {
	From, To float64
	Kind     string
	Title    string
}

// Dot is an event.
type Dot struct {
	X                  float64
	Shape, Tone, Title string
	Later              bool
}

// Tick is a word under the timeline. Align is start, middle or end.
type Tick struct {
	X           float64
	Text, Align string
}

// Terminal is the dark strip.
type Terminal struct {
	Name  string
	Tabs  []Button
	Open  string
	Lines []TermLine
	// Prompt and Host: where the input line goes; no Host, no input line.
	Prompt, Host, Hint, Empty string
	Busy, Disabled            bool
	// History is what was typed there, latest last.
	History []string
	Stop    Button
}

// TermLine is a line of it. Tone is typed, err, dim, warn or "".
type TermLine struct {
	Prompt, Text, Tone string
}

// Scene draws the model.
func (m *Model) Scene() Scene {
	s := Scene{Lang: m.Lang, Embed: m.Embed, Layout: m.layout(), Ready: m.Ready}
	s.Header = m.header()
	s.Left = m.left()
	s.Stage = m.stage()
	s.Actions = m.buttons()
	s.Inspector = m.inspector()
	s.Transport = m.transport()
	s.Terminal = m.terminal()
	s.Notice = m.notice()
	s.Said = m.said()
	return s
}

// layout is how the page is arranged: by the width of the window.
func (m *Model) layout() string {
	switch {
	case m.W < 690, m.W < 760 && !m.Embed:
		return "phone"
	case m.W < 1240 || m.Embed:
		return "narrow"
	}
	return "wide"
}

func (m *Model) narrow() bool { return m.layout() != "wide" }

func (m *Model) header() Header {
	t := m.text()
	h := Header{Release: Button{Test: "release", Label: t("header.release", "release", m.release()), Hint: t("header.release.hint"), Pressed: m.Tabs.Left == "release", Msg: Tab{"left", "release"}}, Tagline: t("header.tagline"), LangName: t("area.lang"),
		Lesson: m.Goals.title(m.Lang),
		Reset:  Button{Test: "reset", Label: t("header.reset"), Hint: t("header.reset.hint"), Primary: true, Msg: Drive{"reset"}}}
	if m.layout() == "phone" {
		h.Release.Label = t("header.short", "release", m.release())
	}
	for _, l := range []struct{ lang, label string }{{"en", "EN"}, {"zh", "中文"}} {
		h.Langs = append(h.Langs, Button{Test: "lang-" + l.lang, Label: l.label, Pressed: m.Lang == l.lang, Msg: SetLang{l.lang}})
	}
	return h
}

// buttons are the actions as they are drawn.
func (m *Model) buttons() Actions {
	t := m.text()
	out := Actions{Name: t("area.actions")}
	for _, a := range m.Actions() {
		b := Button{Test: a.Name, Label: t("action." + a.Name), Disabled: !a.Enabled, Primary: a.Primary, Msg: Press{a.Name}}
		b.Hint = t("action.year.hint")
		if a.Line != "" {
			b.Hint = a.Host + "$ " + a.Line
		}
		out.Buttons = append(out.Buttons, b)
	}
	return out
}

func (m *Model) notice() Notice {
	t := m.text()
	switch {
	case m.Ghost:
		return Notice{Tone: "past", Text: t("notice.past", "at", clock(m.Now)), Buttons: []Button{
			{Test: "continue", Label: t("notice.continue"), Hint: t("notice.continue.hint"), Msg: Drive{"continue"}},
			{Test: "live", Label: t("notice.live"), Primary: true, Msg: Drive{"live"}},
		}}
	case m.Error == "past":
		return Notice{Tone: "no", Text: t("notice.refused.past")}
	case m.Error != "":
		return Notice{Tone: "no", Text: t("notice.refused", "error", m.Error)}
	}
	return Notice{}
}

func or(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return ""
}
