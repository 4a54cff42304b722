package web

import (
	"encoding/json"
	"time"

	"github.com/joinery-lab/joinery/web/desk"
)

// frame is how often a running world is advanced, on the wall.
const frame = 16 * time.Millisecond

// play is the loop of the player: it hands messages to the desk's Engine and,
// while time runs, lets it have a frame's worth of it. It returns when in is
// closed. Messages are JSON both ways, also where both ends are in one page:
// so there is one protocol, and nothing is shared.
func play(in <-chan string, out func(string)) {
	begun := time.Now()
	e := desk.Engine{Wall: func() time.Duration { return time.Since(begun) }}
	tell := func(list []desk.FromEngine) {
		for i := range list {
			b, err := json.Marshal(&list[i])
			if err != nil {
				b, _ = json.Marshal(desk.FromEngine{Crash: err.Error()})
			}
			out(string(b))
		}
	}
	handle := func(s string) {
		var m desk.ToEngine
		if err := json.Unmarshal([]byte(s), &m); err != nil {
			tell([]desk.FromEngine{{Error: err.Error()}})
			return
		}
		tell(e.Handle(m))
	}
	last := begun
	for {
		if !e.Playing() {
			s, ok := <-in
			if !ok {
				return
			}
			last = time.Now()
			handle(s)
			continue
		}
		select {
		case s, ok := <-in:
			if !ok {
				return
			}
			handle(s)
		case <-time.After(frame):
			now := time.Now()
			tell(e.Frame(now.Sub(last)))
			last = now
		}
	}
}
