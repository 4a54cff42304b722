package desk

import (
	"regexp"
	"strings"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// unsaid is a value that a sentence has a place for and the engine none.
var unsaid = regexp.MustCompile(`\{[a-z]+\}`)

// why puts one point of an explanation into words; part is "state", "knows",
// "need" or "next".
func why(lang, part string, r engine.Reason) string {
	kv := []any{"at", clock(r.At)}
	for k, v := range r.Args {
		kv = append(kv, k, v)
	}
	return unsaid.ReplaceAllString(text.Of(lang, "why."+part+"."+r.Kind, kv...), "–")
}

// Explain puts an explanation into words, a point a line.
func Explain(lang string, e engine.Explanation) string {
	var b strings.Builder
	b.WriteString(e.Object + ": " + why(lang, "state", e.State) + "\n")
	for _, part := range []struct {
		head, name string
		list       []engine.Reason
	}{{"why.who", "knows", e.Knows}, {"why.what", "need", e.Needs}, {"why.then", "next", e.Next}} {
		if len(part.list) > 0 {
			b.WriteString(text.Of(lang, part.head) + ":\n")
		}
		for _, r := range part.list {
			b.WriteString("  - " + why(lang, part.name, r) + "\n")
		}
	}
	return b.String()
}

// whyBlocks is an explanation in the inspector.
func (m *Model) whyBlocks(e *engine.Explanation) []Block {
	if e == nil {
		return nil
	}
	t := m.text()
	out := []Block{{Head: t("why.title", "object", e.Object), Text: why(m.Lang, "state", e.State), Test: "why"}}
	for _, part := range []struct {
		head, name string
		list       []engine.Reason
	}{{"why.who", "knows", e.Knows}, {"why.what", "need", e.Needs}, {"why.then", "next", e.Next}} {
		b := Block{Head: t(part.head), Test: "why-" + part.name}
		for _, r := range part.list {
			b.Items = append(b.Items, Item{Text: strings.ReplaceAll(why(m.Lang, part.name, r), "`", "")})
		}
		if len(b.Items) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// whyNode is the explanation of the node that is a host.
func (m *Model) whyNode(host string) []Block {
	for _, h := range m.View.Hosts {
		if h.Name == host {
			return m.whyBlocks(h.Why)
		}
	}
	return nil
}
