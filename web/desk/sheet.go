package desk

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
)

// hexWidth is how many bytes stand in a line of a dump.
const hexWidth = 16

// sheet explains what a PEM holds: its fields, and its bytes with the fields
// marked in them.
func (m *Model) sheet(pem []byte, head string) []Block {
	sheets, err := pki.Explain(pem)
	if err != nil || len(sheets) == 0 {
		return nil
	}
	s := sheets[0]
	b := Block{Head: head + " · " + m.text()("sheet.bytes", "n", len(s.DER))}
	for i, f := range s.Fields {
		r := Row{Key: or(m.known("field."+f.Name), f.Name), Value: clip(f.Value, 120), Mark: i%8 + 1, On: m.Sel.Field == i+1, Msg: Pick{Kind: "field", N: uint64(i + 1)}}
		if f.Critical {
			r.Note = "critical"
		}
		b.Rows = append(b.Rows, r)
	}
	b.Rows = append(b.Rows, Row{Key: m.text()("sheet.fingerprint"), Value: s.Fingerprint})
	b.Hex = dump(s, m.Sel.Field)
	return []Block{b}
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}

// dump prints DER in lines of hexWidth bytes, each byte in the mark of the
// smallest field that it belongs to.
func dump(s pki.Sheet, on int) []HexLine {
	owner := make([]int, len(s.DER))
	order := make([]int, len(s.Fields))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(i, j int) bool { return s.Fields[order[i]].Len > s.Fields[order[j]].Len })
	for _, i := range order {
		f := s.Fields[i]
		for k := max(f.Offset, 0); k < f.Offset+f.Len && k < len(owner); k++ {
			owner[k] = i + 1
		}
	}
	var out []HexLine
	for at := 0; at < len(s.DER); at += hexWidth {
		line := HexLine{Offset: fmt.Sprintf("%03d", at)}
		end := min(at+hexWidth, len(s.DER))
		for k := at; k < end; {
			n := k
			var b strings.Builder
			for ; n < end && owner[n] == owner[k]; n++ {
				if n > k {
					b.WriteByte(' ')
				}
				fmt.Fprintf(&b, "%02X", s.DER[n])
			}
			h := HexSpan{Text: b.String(), On: on != 0 && owner[k] == on}
			if owner[k] > 0 {
				h.Mark = (owner[k]-1)%8 + 1
			}
			line.Spans = append(line.Spans, h)
			k = n
		}
		out = append(out, line)
	}
	return out
}

// insideRequest explains the certificate request in a body.
func (m *Model) insideRequest(x *Exchange) []Block {
	if pem := requestOf(x.Body); pem != nil {
		return m.sheet(pem, m.text()("request.inside"))
	}
	return nil
}

// choice is a certificate that can be looked at.
type choice struct{ id, label, note, pem string }

// certificates lists what can be looked at: what the nodes hold, then what the
// control plane and the admin hold.
func (m *Model) certificates() []choice {
	var nodes, others []choice
	for _, h := range m.View.Hosts {
		for _, f := range h.Files {
			if !strings.Contains(f.Text, "-----BEGIN CERTIFICATE-----") || f.Target != "" {
				continue
			}
			c := choice{h.Name + ":" + f.Path, f.Path[strings.LastIndexByte(f.Path, '/')+1:], h.Name, f.Text}
			if h.Role == "node" && strings.Contains(f.Path, "kubelet") {
				nodes = append(nodes, c)
			} else {
				others = append(others, c)
			}
		}
	}
	slices.Reverse(nodes)
	return append(nodes, others...)
}

func (m *Model) inspectCertificate(r *Inspector) {
	t := m.text()
	all := m.certificates()
	if len(all) == 0 {
		m.empty(r, "cert.none")
		return
	}
	want := or(m.Sel.Cert, m.inUse())
	i := max(0, slices.IndexFunc(all, func(c choice) bool { return c.id == want }))
	c := all[i]
	r.Title, r.Sub = c.label, c.note
	if l := m.lifeOf(c.id); l != nil {
		r.Blocks = append(r.Blocks, m.validity(l))
		if l.Current {
			r.Blocks = append(r.Blocks, m.whyNode(l.Host)...)
		}
	}
	r.Blocks = append(r.Blocks, m.sheet([]byte(c.pem), t("cert.sheet"))...)
	list := Block{Head: t("cert.all")}
	for _, o := range all {
		list.Items = append(list.Items, Item{Text: o.label, Note: o.note, On: o.id == c.id, Msg: Pick{Kind: "cert", ID: o.id}})
	}
	r.Blocks = append(r.Blocks, list)
}

// inUse is the client certificate that the first node shows now.
func (m *Model) inUse() string {
	for _, l := range m.View.Lives {
		if l.Current && l.Use == "client" {
			return l.Host + ":" + l.Path
		}
	}
	return ""
}

func (m *Model) lifeOf(id string) *engine.LifeView {
	for i := range m.View.Lives {
		if l := &m.View.Lives[i]; l.Host+":"+l.Path == id {
			return l
		}
	}
	return nil
}

// validity is the block about a certificate's life in a kubelet's hands.
func (m *Model) validity(l *engine.LifeView) Block {
	t := m.text()
	w := window(*l)
	b := Block{Head: t("cert.validity"), Rows: []Row{
		{Key: "notBefore", Value: clock(l.NotBefore)},
		{Key: "notAfter", Value: clock(l.NotAfter)},
		{Key: t("cert.window"), Value: day(w[0]) + " – " + day(w[1])},
	}}
	if !l.Deadline.IsZero() {
		b.Rows = append(b.Rows, Row{Key: t("cert.deadline"), Value: clock(l.Deadline), Tone: "wait"})
	}
	b.Text = t("cert.validity.text")
	return b
}
