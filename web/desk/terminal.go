package desk

import "strings"

// termLines is how many lines of a terminal, a log or the events are drawn.
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
