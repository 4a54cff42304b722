package desk

import (
	"encoding/json"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/lessons"
)

// Opening is the first that is heard of a world, known before there is one:
// same seed, same world. A site holds that of the usual world, so that its
// page can be used while the engine still makes it; what the person does
// meanwhile waits in line at the player's.
type Opening struct {
	// Plan is the lesson's, whose YAML needn't be read.
	Plan   lessons.Plan  `json:"plan"`
	Config engine.Config `json:"config"`
	// Heard has the files of nodes alone: those of other hosts are most of it,
	// and are not in the first picture.
	Heard FromEngine `json:"heard"`
}

// usual is the lesson of an address that names none.
const usual = "first-join"

// Lesson is the lesson of an address, nil when there is none of that name, and
// the world that it plays in. What the opening knows is not read again.
func (o *Opening) Lesson(id string) (*lessons.Lesson, engine.Config) {
	if id == "" {
		id = usual
	}
	load := func() (*lessons.Lesson, error) { return lessons.Load(id) }
	if o != nil && o.Plan.ID == id {
		load = o.Plan.Lesson
	}
	l, err := load()
	if err != nil {
		return nil, engine.Config{}
	}
	return l, engine.Config{Seed: l.Seed}
}

// Foretell makes the opening of the usual world.
func Foretell() ([]byte, error) {
	var none *Opening
	l, cfg := none.Lesson(usual)
	var e Engine
	o := Opening{l.Plan, cfg, e.Handle(ToEngine{Open: &Open{Config: cfg}})[0]}
	for i := range o.Heard.View.Hosts {
		if h := &o.Heard.View.Hosts[i]; h.Role != "node" {
			h.Files = nil
		}
	}
	return json.Marshal(o)
}

// ReadOpening reads what Foretell made, nil when it is something else.
func ReadOpening(text string) *Opening {
	o := &Opening{}
	if json.Unmarshal([]byte(text), o) != nil || o.Heard.View == nil {
		return nil
	}
	return o
}

// Foretold is an opening that comes before its world. One of another world is
// passed over.
type Foretold struct{ *Opening }

func (f Foretold) apply(m *Model) []Command {
	if f.Config != m.Config {
		return nil
	}
	out := Heard{f.Heard}.apply(m)
	m.foretold = true
	return out
}

// cameTrue reports whether the world that now is there is as it was foretold.
func (m *Model) cameTrue(h Heard) bool {
	was := m.foretold
	m.foretold = false
	if !was || !h.Opened || h.View == nil || h.View.Digest != m.View.Digest {
		return false
	}
	m.View = *h.View
	return true
}
