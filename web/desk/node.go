package desk

import (
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

// tones say how a kubelet's phase is coloured.
var tones = map[string]string{"joined": "ok", "issued": "ok", "running": "ok", "expired": "no", "exited": "no", "failed": "no", "denied": "no"}

func (m *Model) nodeCard(h *engine.HostView) NodeCard {
	t := m.text()
	c := NodeCard{Name: h.Name, IP: h.IP, Kubelet: "kubelet", IDLabel: t("node.identity"), Msg: Pick{Kind: "host", ID: h.Name}}
	for _, n := range m.View.Nodes {
		if n.Name == h.Name {
			c.Status = Chip{Text: n.Status, Tone: map[string]string{"Ready": "ok", "NotReady": "no"}[n.Status], Test: "node-status"}
		}
	}
	u := m.unit(h.Name, "kubelet")
	if u == nil {
		return c
	}
	c.Phase = m.phase(u)
	id := or(u.PhaseArgs["identity"], "")
	if u.State != "active" {
		c.Identity = Chip{Text: t("node.noidentity"), Tone: "off"}
	} else {
		c.Identity = Chip{Text: or(u.PhaseArgs["user"], m.known("identity."+id), t("node.noidentity")), Tone: or(id, "off")}
	}
	c.Rows = append(c.Rows, Row{Key: t("node.next"), Value: m.next(h, u)}, Row{Key: ":10250", Value: m.port(h, u)})
	c.Groups = files(h)
	for i := range c.Groups {
		if len(c.Groups[i].Files) == 0 {
			c.Groups[i].Empty = t("node.nofiles")
		}
		for j := range c.Groups[i].Files {
			f := &c.Groups[i].Files[j]
			if f.Note != "" {
				f.Note = t(f.Note)
			}
		}
	}
	for _, l := range m.View.Lives {
		if l.Host == h.Name && l.Current {
			c.Lives = append(c.Lives, m.life(l))
		}
	}
	return c
}

// phase is what the kubelet does, in the person's words.
func (m *Model) phase(u *engine.UnitView) Chip {
	t := m.text()
	if u.State != "active" {
		return Chip{Text: t("unit." + u.State), Tone: map[string]string{"failed": "no", "activating": "wait"}[u.State], Test: "kubelet-phase"}
	}
	p := or(u.Phase, "starting")
	c := Chip{Text: or(m.known("phase."+p), p), Tone: or(tones[p], "wait"), Test: "kubelet-phase"}
	if n := u.PhaseArgs["try"]; p == "requesting" && n != "" && n != "0" && n != "1" {
		c.Text += t("phase.try", "n", n)
	}
	return c
}

// next is when the kubelet acts again if nothing happens.
func (m *Model) next(h *engine.HostView, u *engine.UnitView) string {
	t := m.text()
	at, err := time.Parse(time.RFC3339Nano, or(u.PhaseArgs["next"], u.PhaseArgs["deadline"]))
	if err != nil || u.State != "active" {
		return "—"
	}
	skew := h.Clock.Sub(m.View.Now)
	d := at.Sub(m.Now.Add(skew))
	switch {
	case d < 0:
		return t("node.now")
	case d > 48*time.Hour:
		return t("node.rotates", "day", day(at))
	}
	return t("node.in", "span", span(d))
}

// port is what the kubelet shows at :10250.
func (m *Model) port(h *engine.HostView, u *engine.UnitView) string {
	if u.State != "active" {
		return m.text()("node.closed")
	}
	for _, f := range []string{"kubelet-server-current.pem", "kubelet.crt"} {
		if slices.ContainsFunc(h.Files, func(v engine.FileView) bool { return strings.HasSuffix(v.Path, "/"+f) }) {
			return f
		}
	}
	return m.text()("node.noserving")
}

// shown are the directories that a node's card lists; names that take no part
// in joining are left out.
var shown = []struct {
	dir  string
	only []string
}{
	{"/var/lib/kubelet/pki", nil},
	{"/etc/kubernetes", []string{"bootstrap-kubelet.conf", "kubelet.conf"}},
}

func files(h *engine.HostView) []FileGroup {
	have := map[string]bool{}
	for _, f := range h.Files {
		have[f.Path] = true
	}
	var out []FileGroup
	for _, s := range shown {
		g := FileGroup{Dir: s.dir}
		for _, f := range h.Files {
			name, ok := strings.CutPrefix(f.Path, s.dir+"/")
			if !ok || strings.Contains(name, "/") || s.only != nil && !slices.Contains(s.only, name) {
				continue
			}
			it := Item{Text: name, Msg: Pick{Kind: "file", ID: h.Name + ":" + f.Path}}
			if f.Target != "" {
				it.Note = "node.link"
			}
			if name == "kubelet.conf" && !have["/var/lib/kubelet/pki/kubelet-client-current.pem"] {
				it.Note = "node.notyet"
			}
			g.Files = append(g.Files, it)
		}
		out = append(out, g)
	}
	return out
}

// life is a certificate's life as the card draws it.
func (m *Model) life(l engine.LifeView) LifeBar {
	t := m.text()
	w := window(l)
	pc := func(at time.Time) float64 {
		p := 100 * float64(at.Sub(l.NotBefore)) / float64(l.NotAfter.Sub(l.NotBefore))
		return min(max(p, 0), 100)
	}
	b := LifeBar{Label: t("life." + l.Use), Use: l.Use, Done: pc(m.Now), From: pc(w[0]), To: pc(w[1]), Msg: Pick{Kind: "cert", ID: l.Host + ":" + l.Path},
		Title: t("life.title", "from", clock(l.NotBefore), "to", clock(l.NotAfter))}
	if !l.Deadline.IsZero() {
		b.Deadline = pc(l.Deadline)
	}
	return b
}
