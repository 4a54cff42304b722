package desk

import (
	"encoding/json"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// ToEngine is a message from the page to the player: one field is set, and N.
type ToEngine struct {
	// N is the message's number; what answers it has the same.
	N     uint64        `json:"n,omitempty"`
	Open  *Open         `json:"open,omitempty"`
	Input *engine.Input `json:"input,omitempty"`
	Play  *Play         `json:"play,omitempty"`
	Pause bool          `json:"pause,omitempty"`
	// Step lets the next thing happen that can be seen.
	Step bool `json:"step,omitempty"`
	// Seek shows the world as it was at a moment; one that is not in the past
	// shows the live world again.
	Seek *time.Time `json:"seek,omitempty"`
	// Continue makes the ghost live: what came after it is cut off.
	Continue bool `json:"continue,omitempty"`
	// Leap advances by that much as fast as it can be computed, then pauses.
	Leap time.Duration `json:"leap,omitempty"`
	// Heard: the page has taken in what it was told unasked. It is told no more of
	// a running world before that, and the world waits in the end, so that a slow
	// page isn't left behind.
	Heard bool `json:"heard,omitempty"`
	// Sum asks what the live world has come to, for comparing it with another.
	Sum bool `json:"sum,omitempty"`
	// Trust: from now on, views tell who trusts whom, or not any more.
	Trust *bool `json:"trust,omitempty"`
}

// Open makes a world: a new one from Config, or that of Journal when it is set.
type Open struct {
	Config  engine.Config   `json:"config"`
	Journal json.RawMessage `json:"journal,omitempty"`
}

// Play lets time run: Speed is virtual time for each second of the wall.
type Play struct {
	Speed time.Duration `json:"speed"`
}

// FromEngine is a message from the player to the page. What is not set did not
// change.
type FromEngine struct {
	// Opened: a new world is there; what the page knew of another is void.
	Opened bool `json:"opened,omitempty"`
	// View is what is to be drawn, of the ghost if Ghost.
	View *engine.View `json:"view,omitempty"`
	// Now is the time of what is drawn, Live that of the live world.
	Now  time.Time `json:"now,omitzero"`
	Live time.Time `json:"live,omitzero"`
	// Observations are new ones of the live world, in order.
	Observations []trace.Observation `json:"observations,omitempty"`
	// Cut: observations with a higher ID never happened (after Continue).
	Cut bool `json:"cut,omitempty"`
	// Journal is all that was done to the live world, for keeping outside Go.
	Journal json.RawMessage `json:"journal,omitempty"`
	Ghost   bool            `json:"ghost,omitempty"`
	Playing bool            `json:"playing,omitempty"`
	// Leaping is how much of a leap is done, from 0 to 1; nil when there is none.
	Leaping *float64 `json:"leaping,omitempty"`
	// N is that of the message that this answers, 0 when nothing was asked.
	N uint64 `json:"n,omitempty"`
	// Sum is engine.World.Sum, when it was asked for.
	Sum string `json:"sum,omitempty"`
	// Error is a sentence about an input that was not taken.
	Error string `json:"error,omitempty"`
	// Crash: the world stopped; nothing more will come from it.
	Crash string `json:"crash,omitempty"`
}
