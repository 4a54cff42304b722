package desk

import (
	"strings"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// caOf says which CA is which: several may have one name.
func caOf(lang string, c engine.CA) string {
	return text.Of(lang, "trust.ca", "subject", c.Subject, "key", c.KeyID, "print", c.Print[:16], "until", day(c.To))
}

// twins are the letters of the CAs that have one name.
func twins(t *engine.Trust) string {
	for _, a := range t.CAs {
		same := a.Letter
		for _, b := range t.CAs {
			if b.Subject == a.Subject && b.Letter != a.Letter {
				same += ", " + b.Letter
			}
		}
		if same != a.Letter {
			return same
		}
	}
	return ""
}

// breakOf says who is refused by whom, breakWords in which words, and breakHeals how it
// heals.
func breakOf(lang string, b engine.Break) string {
	return text.Of(lang, "trust.break."+b.Kind, "client", b.Client, "servers", strings.Join(b.Servers, ", "))
}

func breakWords(lang string, b engine.Break) string {
	return strings.ReplaceAll(text.Of(lang, "trust.words."+b.Kind, "words", b.Words, "log", b.Log), "`", "")
}

func breakHeals(lang string, b engine.Break) string {
	return text.Of(lang, "trust.heals."+or(b.Heals, "no"), "in", b.In, "at", clock(b.At))
}

// anew leaves out what is refused already: that is told under another heading.
func anew(list []engine.Break) (out []engine.Break) {
	for _, b := range list {
		if !b.Already {
			out = append(out, b)
		}
	}
	return out
}

// mark is a letter, or that there is none.
func mark(letters string) string { return or(letters, "–") }

// bundleNote says where a bundle stands, and whether what is there is another one.
func bundleNote(lang string, b engine.TrustBundle) string {
	note := b.File
	if b.There != "" {
		note += " " + text.Of(lang, "trust.newer."+when(b.Reads), "has", b.There, "in", b.Reads)
	}
	return strings.TrimSpace(note)
}

func shownNote(lang string, s engine.TrustShown) string {
	note := text.Of(lang, "trust.key", "subject", s.Subject, "key", s.KeyID, "print", s.Print[:8], "until", day(s.To))
	if s.There != "" {
		note += " " + text.Of(lang, "trust.newer."+when(s.Reads), "has", s.There+" ("+mark(s.ThereBy)+")", "in", s.Reads)
	}
	if !s.Ends.IsZero() {
		note += " " + text.Of(lang, "trust.ends", "at", clock(s.Ends))
	}
	return note
}

// when is whether a change in a file is taken up at all.
func when(reads string) string {
	if reads == "start" {
		return "start"
	}
	return "itself"
}

// Trusts puts who trusts whom into words.
func Trusts(lang string, t *engine.Trust) string {
	var b strings.Builder
	line := func(s string) { b.WriteString(strings.ReplaceAll(s, "`", "") + "\n") }
	line(text.Of(lang, "trust.head", "at", clock(t.Now)))
	for _, c := range t.CAs {
		line("  " + c.Letter + " = " + caOf(lang, c))
	}
	if same := twins(t); same != "" {
		line("  " + text.Of(lang, "trust.twins", "letters", same))
	}
	line(text.Of(lang, "trust.bundles") + ":")
	for _, x := range t.Bundles {
		line("  " + mark(x.CAs) + "  " + x.Holder + " " + text.Of(lang, "trust.use."+x.Use) + "  " + bundleNote(lang, x))
	}
	line(text.Of(lang, "trust.shown") + ":")
	for _, x := range t.Shown {
		line("  " + mark(x.By) + "  " + x.Holder + " " + text.Of(lang, "trust.use."+x.Use) + "  " + shownNote(lang, x))
	}
	breaks := func(head string, list []engine.Break) {
		list = anew(list)
		line(head + ":")
		for _, x := range list {
			line("  - " + breakOf(lang, x) + ": " + breakWords(lang, x) + " " + breakHeals(lang, x))
		}
		if len(list) == 0 {
			line("  - " + text.Of(lang, "trust.nothing"))
		}
	}
	breaks(text.Of(lang, "trust.broken"), t.Broken)
	if t.Old != "" {
		breaks(text.Of(lang, "trust.breaks", "old", t.Old), t.Breaks)
	}
	return b.String()
}

// inspectTrust draws who trusts whom: each CA by its letter, and for each host whom
// its programs trust and what they show.
func (m *Model) inspectTrust(r *Inspector) {
	t := m.text()
	r.Title = t("trust.title")
	v := m.View.Trust
	if v == nil {
		r.Blocks = append(r.Blocks, Block{Text: t("trust.wait")})
		return
	}
	cas := Block{Test: "trust-cas"}
	for _, c := range v.CAs {
		cas.Items = append(cas.Items, Item{Text: c.Subject, Note: t("trust.ca.note", "key", c.KeyID, "print", c.Print[:16], "until", day(c.To)), Chip: c.Letter, Tone: tone(v, c.Letter)})
	}
	if same := twins(v); same != "" {
		cas.Text, cas.Tone = t("trust.twins", "letters", same), "wait"
	}
	r.Blocks = append(r.Blocks, cas)
	r.Blocks = append(r.Blocks, m.breakBlock("trust-broken", "no", t("trust.broken"), v.Broken))
	if v.Old != "" {
		r.Blocks = append(r.Blocks, m.breakBlock("trust-breaks", "wait", t("trust.breaks", "old", v.Old), v.Breaks))
	}
	bundles, shown := Block{Head: t("trust.bundles"), Test: "trust-bundles"}, Block{Head: t("trust.shown"), Test: "trust-shown"}
	for _, x := range v.Bundles {
		bundles.Items = append(bundles.Items, Item{Text: x.Holder + " " + t("trust.use."+x.Use), Note: bundleNote(m.Lang, x), Chip: mark(x.CAs), Tone: tone(v, x.CAs)})
	}
	for _, x := range v.Shown {
		shown.Items = append(shown.Items, Item{Text: x.Holder + " " + t("trust.use."+x.Use), Note: shownNote(m.Lang, x), Chip: mark(x.By), Tone: tone(v, x.By)})
	}
	r.Blocks = append(r.Blocks, bundles, shown)
}

// tone colours the old CA, and what has it alone.
func tone(v *engine.Trust, letters string) string {
	switch letters {
	case v.Old:
		return "wait"
	case "":
		return "off"
	}
	return "ok"
}

func (m *Model) breakBlock(test, tone, head string, list []engine.Break) Block {
	b := Block{Head: head, Tone: "plain", Text: m.text()("trust.nothing"), Test: test}
	list = anew(list)
	if len(list) > 0 {
		b.Tone, b.Text = tone, ""
	}
	for _, x := range list {
		b.Items = append(b.Items, Item{Text: breakOf(m.Lang, x), Note: breakWords(m.Lang, x) + " " + breakHeals(m.Lang, x)})
	}
	return b
}
