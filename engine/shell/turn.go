package shell

import (
	"runtime"
	"sync"
)

// player is a goroutine of a running line.
type player struct {
	id int
	// turn is sent on to let the player go on; false tells it to end.
	turn chan bool
	// born is closed when the player's goroutine is there, waiting for a turn:
	// until then whoever forked it keeps the turn, so that no goroutine ever
	// runs beside the one that has it.
	born chan struct{}
	// can tells whether a waiting player could go on; nil: it can.
	can func() bool
	// over: it has ended.
	over bool
	// stdin is the pipe it reads from, 0 for none, as long as its handler sees
	// base as standard input: an explicit redirection changes that.
	stdin int
	base  any
	outer []stdin
	// pipe is where its output goes, closed when it ends; reads are the pipes
	// that it reads from, which break when it ends.
	pipe  *pipe
	reads []*pipe
}

// stdin is what a player read from before a pipeline in it.
type stdin struct {
	pipe int
	base any
}

// pipe is a pipe between two stages.
type pipe struct {
	buf    []byte
	closed bool // no more will be written
	broken bool // nobody will read
}

// pipeLimit is how much a pipe holds before its writer waits, in bytes: less
// than a real one, so that a writer without end is stopped early.
const pipeLimit = 4 << 10

// stage runs the goroutines of one line in turns.
type stage struct {
	players []*player
	current *player
	// back is sent on by the player that gives the turn back.
	back  chan struct{}
	pipes map[int]*pipe
	// byNumber finds the players of rewritten lines. A pipeline in a loop
	// makes a new player under the same number each time.
	byNumber map[int]*player
	mu       sync.Mutex // guards byNumber: a goroutine looks itself up before its first turn
	dead     bool
}

func newStage() *stage {
	return &stage{back: make(chan struct{}), pipes: map[int]*pipe{}, byNumber: map[int]*player{}}
}

// add makes a player that has not begun.
func (s *stage) add() *player {
	p := &player{id: len(s.players), turn: make(chan bool, 1), born: make(chan struct{})}
	s.players = append(s.players, p)
	return p
}

// number and numbered find a player by its number in the rewritten line.
func (s *stage) number(n int, p *player) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipes[n], s.byNumber[n] = p.pipe, p
}

func (s *stage) numbered(n int) *player {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byNumber[n]
}

// play lets players go on until none can.
func (s *stage) play() {
	for {
		p := s.next()
		if p == nil {
			return
		}
		s.current = p
		p.can = nil
		p.turn <- true
		<-s.back
	}
}

// next is the leftmost player that can go on: a pipeline's left side is forked
// later than its right one.
func (s *stage) next() *player {
	for i := len(s.players) - 1; i >= 0; i-- {
		p := s.players[i]
		if !p.over && (p.can == nil || p.can()) {
			return p
		}
	}
	return nil
}

// begin waits for a player's first turn. It is the first thing that its
// goroutine does.
func (s *stage) begin(p *player) {
	close(p.born)
	if !<-p.turn {
		runtime.Goexit()
	}
}

// wait gives the turn back until can holds. It is called by the player that
// has the turn.
func (s *stage) wait(can func() bool) {
	if s.dead {
		runtime.Goexit()
	}
	if can() {
		return
	}
	p := s.current
	p.can = can
	s.back <- struct{}{}
	if !<-p.turn {
		runtime.Goexit()
	}
}

// end gives the turn back for good.
func (s *stage) end(p *player) {
	if p.over {
		return
	}
	p.over = true
	if p.pipe != nil {
		p.pipe.closed = true
	}
	for _, q := range p.reads {
		q.broken = true
	}
	if !s.dead {
		s.back <- struct{}{}
	}
}

// close ends all players: each gets its turn with the word to end.
func (s *stage) close() {
	s.dead = true
	for _, p := range s.players {
		if !p.over {
			p.over = true
			p.turn <- false
		}
	}
}
