package desk

import (
	"fmt"
	"strings"
)

// beat counts the exchanges that were shown on a lane, so that each begins its
// animation anew.
type beat struct{ id, n uint64 }

// tick notes which exchanges are shown now.
func (m *Model) tick() {
	focus := m.exchange()
	note := func(lane string, x *Exchange) {
		if b := m.beats[lane]; b.id != x.ID {
			m.beats[lane] = beat{x.ID, b.n + 1}
		}
	}
	for lane, x := range m.travelling(focus) {
		note(lane, x)
	}
	if focus != nil {
		note("", focus)
	}
}

// travelling is the exchange that is shown on each client's lane: the focus on
// its own, on the others the last that matters, or the last of all.
func (m *Model) travelling(focus *Exchange) map[string]*Exchange {
	shown := map[string]*Exchange{}
	for _, all := range []bool{false, true} {
		for _, x := range m.Ledger.Recent(m.until(), all, 160) {
			if old := shown[x.Client]; old == nil || old.Weight < matters && x.Weight >= matters {
				shown[x.Client] = x
			}
		}
	}
	if focus != nil {
		shown[focus.Client] = focus
	}
	return shown
}

// lanes draws the last exchange of each client that has one to show.
func (m *Model) lanes(s *Stage, focus *Exchange) {
	until := m.until()
	shown := m.travelling(focus)
	phone := m.layout() == "phone"
	for i := range s.Cards {
		c := &s.Cards[i]
		l := m.lane(c.Name+"/kubelet", shown[c.Name+"/kubelet"], focus, until)
		if phone {
			upright(&l, c.X+60, s.API.Bottom(), c.Y)
		} else {
			across(&l, c.Place, s.API.Place, i)
		}
		s.Lanes = append(s.Lanes, l)
	}
	for i, k := range []struct {
		id string
		at Place
	}{{"control-1/kube-controller-manager", s.KCM.Place}, {"admin/terminal", s.You.Place}} {
		l := m.lane(k.id, shown[k.id], focus, until)
		if phone {
			along(&l, k.at, s.API.Place, s.W-12-i*9)
		} else {
			around(&l, k.at, s.API.Place, i)
		}
		s.Lanes = append(s.Lanes, l)
	}
}

// lane is what is said on a lane, without the places.
func (m *Model) lane(id string, x, focus *Exchange, until uint64) Lane {
	l := Lane{ID: strings.ReplaceAll(id, "/", "-"), Tone: "off"}
	if x == nil {
		return l
	}
	t := m.text()
	l.Beat, l.Tone, l.On = m.beats[x.Client].n, or(x.Identity, "off"), x == focus
	l.Label = x.Target.Label()
	l.Sub = t("lane."+or(x.Identity, "anonymous"), "credential", brief(x.Credential))
	l.Msg = Pick{Kind: "exchange", N: x.ID}
	l.Open = true
	switch {
	case x.Failed():
		l.Sub, l.Code, l.CodeTone = t("lane.failed"), "TLS", "no"
	case x.Response != nil && x.Response.ID <= until:
		l.Code, l.CodeTone = status(x.Code()), "ok"
		if x.Refused() {
			l.CodeTone = "no"
		}
	}
	l.Title = t("lane.title", "who", x.Client, "what", x.Target.Label(), "answer", or(l.Code, t("lane.open")))
	return l
}

// brief shortens the stars that stand for a token's secret.
func brief(credential string) string {
	return strings.ReplaceAll(credential, "****************", "******")
}

// statuses are the words of net/http for the codes that the API server gives.
var statuses = map[string]string{"200": "OK", "201": "Created", "400": "Bad Request", "401": "Unauthorized", "403": "Forbidden", "404": "Not Found",
	"409": "Conflict", "422": "Unprocessable", "429": "Too Many Requests", "500": "Server Error", "503": "Unavailable"}

func status(code string) string { return strings.TrimSpace(code + " " + statuses[code]) }

// across is the lane of a node: over the gap, the answer below the request.
func across(l *Lane, from, to Place, i int) {
	x0, x1 := from.Right(), to.X
	y0, y1 := from.Y+72, to.Y+62
	if i > 0 {
		y0, y1 = from.Y+40, to.Y+62+6*i
	}
	mid := (x0 + x1) / 2
	l.Request = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x0, y0, mid, y0, mid, y1, x1-3, y1)
	l.Answer = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1+68, mid, y1+68, mid, y0+34, x0+3, y0+34)
	l.LabelAt = boxed(mid, y0-33, min(labelW, x1-x0-10), labelH)
	l.CodeAt = boxed(mid, y1+86, min(112, x1-x0-12), codeH)
	if i > 0 {
		l.LabelAt = boxed(mid, y0, min(labelW, x1-x0-10), labelH)
		l.CodeAt = boxed(mid, y0+32, min(112, x1-x0-12), codeH)
	}
}

// around is the lane of what stands below the API server: out to the left and
// up to its side.
func around(l *Lane, from, to Place, i int) {
	x, y := from.X, from.Mid()
	up := to.Bottom() - 22 - 16*i
	out := 46 + 20*i
	l.Request = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x, y-4, x-out, y-4, x-out, up, x-3, up)
	l.Answer = fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x, up+8, x-out+10, up+8, x-out+10, y+6, x-3, y+6)
	l.LabelAt = boxed(x-76, y-12, 122, labelH)
	l.CodeAt = boxed(x-76, y+20, 104, codeH)
}

// upright is the lane of a node on a phone: up to the API server and down.
func upright(l *Lane, x, top, bottom int) {
	l.Request = fmt.Sprintf("M%d %dL%d %d", x, bottom, x, top+3)
	l.Answer = fmt.Sprintf("M%d %dL%d %d", x+158, top, x+158, bottom-3)
	mid := (top + bottom) / 2
	l.LabelAt = boxed(x+10+67, mid, 134, labelH)
	l.CodeAt = boxed(x+168+48, mid, 100, codeH)
}

// along is the lane of the control plane on a phone: by the right edge.
func along(l *Lane, from, to Place, x int) {
	y := from.Mid()
	l.Request = fmt.Sprintf("M%d %dL%d %dL%d %d", from.Right(), y, x, y, x, to.Bottom()+3)
	l.Answer = ""
	// It sits on the card's lower edge, where no words are.
	l.CodeAt = boxed(from.Right()-62, from.Bottom(), 100, codeH)
	l.LabelAt = Place{}
}

func boxed(cx, cy, w, h int) Place { return Place{cx - w/2, cy - h/2, w, h} }
