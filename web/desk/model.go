package desk

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/lessons"
)

// Model is all that the page knows. Scene draws it; only Update changes it.
type Model struct {
	Lang   string
	Embed  bool
	Lesson *lessons.Lesson // nil where there is none
	W, H   int
	Config engine.Config

	Ready bool
	// foretold: what is drawn was known before the engine was there.
	foretold bool
	View     engine.View
	// Now is the time that is drawn, Live that of the live world; Ghost says
	// that they differ because the person looks at the past.
	Now, Live time.Time
	Ghost     bool
	Playing   bool
	Speed     int
	Leaping   float64
	Error     string

	// sent numbers the messages to the player, answered is the last of them whose
	// answer is drawn.
	sent, answered uint64
	// knob is where the timeline's knob was put while that moment isn't drawn
	// yet, moved that the player hasn't been asked for it.
	knob  *time.Time
	moved bool

	Ledger *Ledger
	Sel    Selection
	Tabs   Tabs
	Goals  *goals
	// Release is what the person looks at in the panel of releases.
	Release looking
	beats   map[string]beat
	// lasting are the lives of the live world: the timeline keeps its measure
	// while the past is looked at.
	lasting []engine.LifeView
}

// Selection is what the person picked; zero values follow what happens.
type Selection struct {
	Exchange uint64
	CSR      string
	Cert     string
	Host     string
	File     string
	Field    int
}

// Tabs are the tabs that are open in each area.
type Tabs struct {
	Left, Right, Bottom string
}

// Areas and their tabs, in the order in which they stand. "inspect" is there
// in narrow windows only, where the inspector takes the place of the lesson.
var (
	LeftTabs  = []string{"learn", "flags", "release", "inspect"}
	RightTabs = []string{"request", "certificate", "csr", "rbac", "files", "trust"}
)

// Speeds are the choices of how fast time runs, as virtual time a second.
var Speeds = []time.Duration{20 * time.Millisecond, time.Second, 10 * time.Second, time.Minute, time.Hour, 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour}

// realTime is the index in Speeds of a second a second.
const realTime = 1

// Year is what "let a year pass" lets pass.
const Year = 365 * 24 * time.Hour

// held is a lesson where it holds: nil in a release that it does not name.
func held(l *lessons.Lesson, release string) *lessons.Lesson {
	if l == nil || release != "" && !slices.Contains(l.Releases, release) {
		return nil
	}
	return l
}

// NewModel is the desk before the engine is there.
func NewModel(lang string, embed bool, lesson *lessons.Lesson, cfg engine.Config) *Model {
	return &Model{Lang: lang, Embed: embed, Lesson: lesson, Config: cfg, W: 1440, H: 900, Speed: realTime,
		Ledger: NewLedger(), beats: map[string]beat{}, Tabs: Tabs{"learn", "request", "admin"}, Goals: newGoals(held(lesson, cfg.Release))}
}

// Command is what Update wants done: one field is set.
type Command struct {
	Post  *ToEngine
	Store *Preference
	// Journal is to be kept outside Go.
	Journal json.RawMessage
	// Crash is the sentence that the world ended with.
	Crash string
	// Lang is the language that the document is in now.
	Lang string
	// Visit is an address, relative to the page's, to be opened beside it.
	Visit string
}

// Preference is a choice that outlives the page.
type Preference struct{ Key, Value string }

func (m *Model) post(to ToEngine) Command {
	m.sent++
	to.N = m.sent
	return Command{Post: &to}
}

// waits reports whether the player was told something that what is drawn
// doesn't know of yet.
func (m *Model) waits() bool { return m.answered < m.sent }

// until is the last observation that the desk draws.
func (m *Model) until() uint64 {
	if m.Ghost {
		return m.View.Last
	}
	return m.Ledger.Last
}

// host finds a host of the view, nil when it is not there.
func (m *Model) host(name string) *engine.HostView {
	for i := range m.View.Hosts {
		if m.View.Hosts[i].Name == name {
			return &m.View.Hosts[i]
		}
	}
	return nil
}

func (m *Model) unit(host, unit string) *engine.UnitView {
	if h := m.host(host); h != nil {
		for i := range h.Units {
			if h.Units[i].Name == unit {
				return &h.Units[i]
			}
		}
	}
	return nil
}

// csr is the certificate request that is selected, or the latest that waits,
// or the latest.
func (m *Model) csr() *engine.CSRView {
	var latest, pending *engine.CSRView
	for i := range m.View.CSRs {
		c := &m.View.CSRs[i]
		if c.Name == m.Sel.CSR {
			return c
		}
		if latest == nil || c.Created.After(latest.Created) {
			latest = c
		}
		if c.Condition == "Pending" && (pending == nil || c.Created.After(pending.Created)) {
			pending = c
		}
	}
	if pending != nil {
		return pending
	}
	return latest
}

// pending is the certificate request that Approve and Deny act on.
func (m *Model) pending() *engine.CSRView {
	if c := m.csr(); c != nil && c.Condition == "Pending" {
		return c
	}
	return nil
}

// exchange is the one that is selected, or the one that happens.
func (m *Model) exchange() *Exchange {
	if x := m.Ledger.Find(m.Sel.Exchange); x != nil && x.ID <= m.until() {
		return x
	}
	return m.Ledger.Focus(m.until())
}
