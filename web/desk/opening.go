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
	Config engine.Config `json:"config"`
	Heard  FromEngine    `json:"heard"`
}

// usual is the lesson of an address that names none.
const usual = "first-join"

// Usual is the lesson and the world of an address that asks for no others.
func Usual() (lesson string, cfg engine.Config) { return usual, ConfigOf(usual) }

// ConfigOf is the world that a lesson plays in.
func ConfigOf(lesson string) engine.Config {
	if l, err := lessons.Load(lesson); err == nil {
		return engine.Config{Seed: l.Seed}
	}
	return engine.Config{}
}

// Foretell makes the opening of the usual world.
func Foretell() ([]byte, error) {
	_, cfg := Usual()
	var e Engine
	return json.Marshal(Opening{cfg, e.Handle(ToEngine{Open: &Open{Config: cfg}})[0]})
}

// Foretold is an Opening as JSON. One of another world is passed over.
type Foretold string

func (f Foretold) apply(m *Model) []Command {
	var o Opening
	if json.Unmarshal([]byte(f), &o) != nil || o.Config != m.Config || o.Heard.View == nil {
		return nil
	}
	out := Heard{o.Heard}.apply(m)
	m.foretold = true
	return out
}

// cameTrue reports whether the world that now is there is as it was foretold.
func (m *Model) cameTrue(h Heard) bool {
	was := m.foretold
	m.foretold = false
	return was && h.Opened && h.View != nil && h.View.Digest == m.View.Digest
}
