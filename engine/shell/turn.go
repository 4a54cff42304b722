package shell

import (
	"runtime"
	"slices"
	"time"
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
	// stdin is what it reads from now, outer what it read from before the
	// pipelines that it is in.
	stdin stdin
	outer []stdin
	// pipe is where its output goes, closed when it ends.
	pipe *pipe
	// status is that of its command, when it ended by itself.
	status uint8
	// conns are the connections that it has open.
	conns []string
	// ticks are when the commands that it times began.
	ticks []time.Time
}

// stdin is a pipe of ours as standard input, as long as a handler sees base
// there: an explicit redirection changes that. In a pipeline, number is the
// pipeline's and writer who writes into the pipe.
type stdin struct {
	pipe   *pipe
	base   any
	number int
	writer *player
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
	// players are those that have not ended, oldest first; made counts all.
	players []*player
	made    int
	current *player
	// starting was forked by current and is not born yet: the one time when two
	// goroutines run. What they do then must not depend on which is faster.
	starting *player
	// back is sent on by the player that gives the turn back.
	back chan struct{}
	dead bool
}

func newStage() *stage { return &stage{back: make(chan struct{})} }

// add makes a player that has not begun.
func (s *stage) add() *player {
	p := &player{id: s.made, turn: make(chan bool, 1), born: make(chan struct{})}
	s.made++
	s.players = append(s.players, p)
	return p
}

// fork makes a player whose goroutine is about to be started by the
// interpreter; awaitBirth must follow.
func (s *stage) fork() *player {
	s.starting = s.add()
	return s.starting
}

// awaitBirth waits, without giving the turn back, until the forked player's
// goroutine is there.
func (s *stage) awaitBirth() *player {
	p := s.starting
	<-p.born
	s.starting = nil
	return p
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
	for _, p := range slices.Backward(s.players) {
		if p.can == nil || p.can() {
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

// alone waits until no player younger than after is left but the one that asks.
func (s *stage) alone(after int) {
	me := s.current
	s.wait(func() bool {
		return !slices.ContainsFunc(s.players, func(p *player) bool { return p != me && p.id > after })
	})
}

// end gives the turn back for good.
func (s *stage) end(p *player) {
	if p.over {
		return
	}
	p.over = true
	s.players = slices.DeleteFunc(s.players, func(q *player) bool { return q == p })
	if p.pipe != nil {
		p.pipe.closed = true
	}
	for _, in := range append(p.outer, p.stdin) {
		if in.writer != nil {
			in.pipe.broken = true
		}
	}
	if !s.dead {
		s.back <- struct{}{}
	}
}

// close ends all players: each gets its turn with the word to end.
func (s *stage) close() {
	s.dead = true
	for _, p := range s.players {
		p.over = true
		p.turn <- false
	}
	s.players = nil
}
