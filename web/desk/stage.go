package desk

// Stage is the picture: cards at places in CSS pixels and the lanes on which
// messages travel. List is the same in sentences.
type Stage struct {
	Name        string
	W, H        int
	Nodes       Place
	Control     Place
	NodesTitle  string
	ControlText string
	Cards       []NodeCard
	API         APICard
	KCM         KCMCard
	You         YouCard
	Lanes       []Lane
	Legend      []Chip
	LegendTitle string
	LegendAt    Place
	// Still: nothing moves, because a moment of the past is looked at or time
	// runs too fast to be watched.
	Still     bool
	ListTitle string
	List      []string
}

// Place is a rectangle.
type Place struct{ X, Y, W, H int }

// Right, Bottom and Mid are its edges and the middle of its height.
func (p Place) Right() int  { return p.X + p.W }
func (p Place) Bottom() int { return p.Y + p.H }
func (p Place) Mid() int    { return p.Y + p.H/2 }

// Chip is a small label. Tone is an identity, ok, no, wait or off.
type Chip struct {
	Text, Tone, Test, Title string
	On                      bool
	Msg                     Msg
}

// NodeCard is a node and its kubelet.
type NodeCard struct {
	Place
	Name, IP string
	Status   Chip
	Kubelet  string
	Phase    Chip
	Rows     []Row
	Identity Chip
	IDLabel  string
	Groups   []FileGroup
	Lives    []LifeBar
	Msg      Msg
}

// FileGroup is a directory with the names in it.
type FileGroup struct {
	Dir   string
	Files []Item
	// Empty says so when there are none.
	Empty string
}

// LifeBar is a certificate's life: how much is over, and the window in which
// it is rotated, in percent.
type LifeBar struct {
	Label, Use, Title        string
	Done, From, To, Deadline float64
	Msg                      Msg
}

// APICard is kube-apiserver with the stages a request passes.
type APICard struct {
	Place
	Name, Addr, Off string
	Beat            uint64
	Stages          []StageChip
	Lines           []Row
	CSRs            []Chip
	CSRLabel        string
}

// StageChip is one stage. State is idle, yes or no; Text says it in words.
type StageChip struct{ Key, Label, State, Text string }

// KCMCard is kube-controller-manager with its controllers.
type KCMCard struct {
	Place
	Name, Off, Note string
	Chips           []Chip
}

// YouCard is the person at the admin's terminal.
type YouCard struct {
	Place
	Name, As, Identity, Note string
}

// Lane is where the messages of one client travel. Beat changes with each
// exchange, so that its animation begins anew. Paths are SVG; labels and
// badges are boxes around their centre.
type Lane struct {
	ID               string
	Beat             uint64
	Tone             string
	Request, Answer  string
	Label, Sub, Code string
	CodeTone         string
	LabelAt, CodeAt  Place
	On, Open         bool
	Msg              Msg
	Title            string
}

// Identities are the kinds of identity, in the order of the legend.
var Identities = []string{"token", "client-cert", "serving-cert", "admin", "controller-manager", "anonymous"}

func (m *Model) stage() Stage {
	t := m.text()
	s := Stage{Name: t("area.stage"), NodesTitle: t("stage.nodes"), ControlText: t("stage.control"), LegendTitle: t("stage.identity"), ListTitle: t("stage.list")}
	for _, id := range Identities {
		s.Legend = append(s.Legend, Chip{Text: t("identity." + id), Tone: id})
	}
	for i := range m.View.Hosts {
		if h := &m.View.Hosts[i]; h.Role == "node" && len(s.Cards) < 6 {
			s.Cards = append(s.Cards, m.nodeCard(h))
		}
	}
	s.Still = m.Ghost && !m.Playing || m.Leaping > 0 || m.Playing && Speeds[m.Speed] > beatSpeed
	x := m.exchange()
	s.API, s.KCM, s.You = m.apiCard(x), m.kcmCard(), m.youCard()
	m.place(&s)
	m.lanes(&s, x)
	s.List = m.list(&s)
	return s
}
