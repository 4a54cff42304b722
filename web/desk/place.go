package desk

// Measures of the stage, in CSS pixels.
const (
	edge      = 24  // from the stage's edge to a card
	nodeW     = 244 // a node's card
	laneMin   = 140 // between nodes and control plane
	laneMax   = 260
	controlW  = 348
	controlHi = 420
	labelW    = 132
	labelH    = 36
	codeH     = 22
)

// place puts the cards where they belong.
func (m *Model) place(s *Stage) {
	if m.layout() == "phone" {
		m.placePhone(s)
		return
	}
	w, h := m.stageSize()
	s.W, s.H = w, h
	cw := min(max(w-2*edge-nodeW-laneMin, 290), controlHi)
	lane := min(max(w-2*edge-nodeW-cw, 110), laneMax)
	left := edge
	if rest := w - nodeW - lane - cw - 2*edge; rest > 0 {
		left += rest / 2
	}
	top, gap := 40, 28
	apiH, kcmH, youH := 188, 122, 64
	tight := h-30-top-apiH-kcmH-youH < 2*gap
	if tight {
		top, apiH, youH = 32, 182, 62
		gap = min(max((h-10-top-apiH-kcmH-youH)/2, 10), gap)
	}
	cx := left + nodeW + lane
	s.Nodes, s.Control = Place{left, top - 24, nodeW, 16}, Place{cx, top - 24, cw, 16}
	s.API.Place = Place{cx, top, cw, apiH}
	s.KCM.Place = Place{cx, s.API.Bottom() + gap, cw, kcmH}
	s.You.Place = Place{cx, s.KCM.Bottom() + gap, cw, youH}
	s.LegendAt = Place{left, s.You.Bottom() + 14, w - 2*left, 18}
	bottom := s.You.Bottom()
	if tight {
		// The legend goes under the nodes, where there is room.
		s.LegendAt = Place{left, bottom - 56, nodeW, 56}
		bottom -= 66
	}
	n := len(s.Cards)
	for i := range s.Cards {
		c := &s.Cards[i]
		full := 292
		if len(c.Lives) > 0 {
			full += 22*len(c.Lives) + 6
		}
		each := (bottom - top - (n-1)*14) / max(n, 1)
		c.Place = Place{left, top + i*(each+14), nodeW, min(full, each)}
		if c.H < 200 {
			c.Groups = nil
		}
		if c.H < 150 {
			c.Rows = c.Rows[:min(1, len(c.Rows))]
		}
	}
	s.H = max(s.H, s.LegendAt.Bottom()+6)
}

// stageSize is the room that the page leaves for the stage.
func (m *Model) stageSize() (w, h int) {
	switch {
	case m.Embed:
		return m.W, max(m.H-40-104-110-actionsH, 400)
	case m.layout() == "wide":
		return m.W - 296 - 372, m.H - 46 - m.bottomH() - actionsH
	}
	return m.W - 288, m.H - 46 - m.bottomH() - actionsH
}

const actionsH = 44

// trackW is how wide the timeline's tracks are: what is left beside its edges
// and the labels.
func (m *Model) trackW() int {
	w := m.W
	if !m.Embed && m.layout() != "phone" {
		w, _ = m.stageSize()
	}
	return w - 2*16 - 92
}

// bottomH is the height of timeline and terminal together.
func (m *Model) bottomH() int {
	if m.H < 820 {
		return 104 + 128
	}
	return 112 + 172
}

// placePhone stacks the cards: the API server above, the nodes that call it
// below, then what else calls it as one line each; their lanes run along the
// right edge. Files, controllers and colours are left to the inspector and to
// words, so that the lesson begins on the first screen.
func (m *Model) placePhone(s *Stage) {
	const pad, gutter, gap, line = 14, 26, 48, 38
	w := m.W
	s.W = w
	cw := w - 2*pad - gutter
	s.API.Place = Place{pad, 10, w - 2*pad, 168}
	y := s.API.Bottom() + gap
	for i := range s.Cards {
		c := &s.Cards[i]
		c.Groups, c.Rows = nil, c.Rows[:min(1, len(c.Rows))]
		c.Place = Place{pad, y, cw, 132 + 22*len(c.Lives)}
		y = c.Bottom() + 12
	}
	s.KCM.Place = Place{pad, y, cw, line}
	s.You.Place = Place{pad, s.KCM.Bottom() + 14, cw, line}
	s.H = s.You.Bottom() + 14
}
