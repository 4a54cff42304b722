package engine

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// SnapshotVersion is the format version of Snapshot's bytes. Restore refuses
// any other.
const SnapshotVersion = 1

// snapshotMagic begins every snapshot; the version follows as one byte.
const snapshotMagic = "joinery-world\x00"

// Clone returns an independent copy of the world. What never changes after it
// is made (messages, stored objects, files) is shared.
func (w *World) Clone() *World {
	n := &World{state: w.state, era: w.era, obs: slices.Clone(w.obs)}
	n.Inputs = slices.Clip(w.Inputs)
	n.Troubles, n.Decisions = maps.Clone(w.Troubles), maps.Clone(w.Decisions)
	for client, list := range n.Troubles {
		n.Troubles[client] = maps.Clone(list)
	}
	n.Faults, n.Held = slices.Clone(w.Faults), slices.Clone(w.Held)
	n.Failing = slices.Clone(w.Failing)
	n.Queue = w.Queue.Clone()
	n.Chance = w.Chance.Clone()
	n.Store = w.Store.Clone()
	n.Machines = make([]*machine, len(w.Machines))
	for i, m := range w.Machines {
		c := *m
		c.Disk = m.Disk.Clone()
		c.Up, c.Also = slices.Clone(m.Up), slices.Clone(m.Also)
		c.Notices = slices.Clip(m.Notices)
		c.Units = make(map[string]*unit, len(m.Units))
		for name, u := range m.Units {
			d := *u
			d.Journal = slices.Clip(u.Journal)
			c.Units[name] = &d
		}
		n.Machines[i] = &c
	}
	n.Procs = make(map[string]*proc, len(w.Procs))
	for addr, p := range w.Procs {
		q := *p
		q.actor = p.actor.Clone()
		n.Procs[addr] = &q
	}
	n.attach()
	n.Listeners = maps.Clone(w.Listeners)
	n.Pool = maps.Clone(w.Pool)
	n.Conns = make(map[uint64]*conn, len(w.Conns))
	for id, c := range w.Conns {
		d := *c
		d.Waiting = slices.Clone(c.Waiting)
		d.Open = maps.Clone(c.Open)
		n.Conns[id] = &d
	}
	n.Streams = make(map[uint64]*stream, len(w.Streams))
	for id, s := range w.Streams {
		d := *s
		n.Streams[id] = &d
	}
	return n
}

// attach gives the API servers the store, which is the world's.
func (w *World) attach() {
	for _, addr := range keys(w.Procs) {
		if s, ok := w.Procs[addr].actor.(*api.Server); ok {
			s.Attach(w.Store)
		}
	}
}

// Close lets go of what a world's terminals have parked. A world that is
// simply dropped is collected too, later.
func (w *World) Close() {
	for _, addr := range keys(w.Procs) {
		if c, ok := w.Procs[addr].actor.(io.Closer); ok {
			c.Close()
		}
	}
}

// MarshalJSON and UnmarshalJSON keep a process with its actor.
func (p *proc) MarshalJSON() ([]byte, error) {
	type plain proc
	return json.Marshal(struct {
		*plain
		Actor sim.Actor `json:"actor"`
	}{(*plain)(p), p.actor})
}

func (p *proc) UnmarshalJSON(b []byte) error {
	type plain proc
	var v struct {
		*plain
		Actor json.RawMessage `json:"actor"`
	}
	v.plain = (*plain)(p)
	if err := json.Unmarshal(b, &v); err != nil {
		return err
	}
	make := blank[p.Kind]
	if make == nil {
		return fmt.Errorf("no actor of kind %q", p.Kind)
	}
	p.actor = make()
	return json.Unmarshal(v.Actor, p.actor)
}

// Snapshot is the whole world as bytes: a version and compressed JSON.
// Observations that were not drained are not in it.
func (w *World) Snapshot() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(snapshotMagic)
	b.WriteByte(SnapshotVersion)
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err := json.NewEncoder(z).Encode(&w.state); err != nil {
		return nil, fmt.Errorf("this world can't be kept: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Restore makes the world of a snapshot. The error is one sentence.
func Restore(b []byte) (*World, error) {
	rest, ok := bytes.CutPrefix(b, []byte(snapshotMagic))
	if !ok || len(rest) == 0 {
		return nil, errors.New("these bytes are no snapshot of a Joinery world")
	}
	if rest[0] != SnapshotVersion {
		return nil, fmt.Errorf("this snapshot has format %d; this build reads format %d", rest[0], SnapshotVersion)
	}
	z, err := gzip.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil, fmt.Errorf("this snapshot is damaged: %w", err)
	}
	w := &World{}
	if err := json.NewDecoder(z).Decode(&w.state); err != nil {
		return nil, fmt.Errorf("this snapshot is damaged: %w", err)
	}
	// At its end gzip compares its checksum.
	if _, err := io.Copy(io.Discard, z); err != nil {
		return nil, fmt.Errorf("this snapshot is damaged: %w", err)
	}
	if err := w.sound(); err != nil {
		return nil, fmt.Errorf("this snapshot is damaged: %w", err)
	}
	if w.era, err = era.At(w.Config.Release); err != nil {
		return nil, err
	}
	w.attach()
	return w, nil
}

// sound finds what a world can't be without.
func (s *state) sound() error {
	if s.Chance == nil || s.Store == nil || s.Procs == nil || s.Listeners == nil || s.Conns == nil || s.Pool == nil || s.Streams == nil {
		return errors.New("a part of the world is missing")
	}
	known := map[string]bool{}
	for _, m := range s.Machines {
		if m == nil || m.Units == nil || m.Disk == nil || m.Disk.Entries["/"] == nil || known[m.Name] {
			return errors.New("a host is not whole")
		}
		known[m.Name] = true
		for _, e := range m.Disk.Entries {
			if e == nil {
				return fmt.Errorf("a file of %s is missing", m.Name)
			}
		}
		for _, u := range m.Units {
			if u == nil {
				return fmt.Errorf("a unit of %s is missing", m.Name)
			}
		}
	}
	for addr, p := range s.Procs {
		if host, _ := split(addr); p == nil || p.actor == nil || !known[host] {
			return fmt.Errorf("the process %q is on no host", addr)
		}
	}
	for id, c := range s.Conns {
		if c == nil || c.Dial == nil || c.Open == nil {
			return fmt.Errorf("the connection %d is not whole", id)
		}
	}
	for id, x := range s.Streams {
		if x == nil {
			return fmt.Errorf("the exchange %d is not whole", id)
		}
	}
	for _, l := range s.Listeners {
		if l == nil {
			return errors.New("a listener is missing")
		}
	}
	return nil
}

// Build names the program in journals; the shells set it.
var Build = "development"

// Journal is what was done to the world until now.
func (w *World) Journal() Journal {
	return Journal{V: JournalVersion, Build: Build, Config: w.Config, Inputs: slices.Clip(w.Inputs), End: w.Clock, Digest: w.Digest.String()}
}

// ReadJournal decodes a journal; the error says what is wrong with it.
func ReadJournal(b []byte) (Journal, error) {
	var j Journal
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&j); err != nil {
		return j, fmt.Errorf("this is no journal of a Joinery world: %w", err)
	}
	if j.V != JournalVersion {
		return j, fmt.Errorf("this journal has format %d; this build reads format %d", j.V, JournalVersion)
	}
	last := Start
	for i, in := range j.Inputs {
		if in.At.Before(last) {
			return j, fmt.Errorf("input %d of this journal is earlier than the one before it, or than the world", i+1)
		}
		last = in.At
	}
	if j.End.Before(last) {
		return j, fmt.Errorf("this journal ends at %s, before its last input", j.End.Format(time.RFC3339))
	}
	return j, nil
}

// MostEvents is how many events a journal may have, which bounds the work of who
// opens a foreign one: some minutes, or what 5,000 nodes do in years.
const MostEvents = 20_000_000

// ErrTooMuch says that a journal has more than MostEvents.
var ErrTooMuch = errors.New("this journal is more work than a world is opened with: leave out its last inputs, or end it earlier")

// Replay makes the world of a journal as it was at until; the zero time means
// the journal's end. A journal of another build may end in another digest:
// compare Digest.
func Replay(j Journal, until time.Time) (*World, error) { return replay(j, until, MostEvents) }

func replay(j Journal, until time.Time, events int) (*World, error) {
	if j.V != JournalVersion {
		return nil, fmt.Errorf("this journal has format %d; this build reads format %d", j.V, JournalVersion)
	}
	w, err := New(j.Config)
	if err != nil {
		return nil, err
	}
	if until.IsZero() {
		until = j.End
	}
	for i, in := range j.Inputs {
		if in.At.After(until) {
			break
		}
		if in.At.Before(w.Clock) {
			w.Close()
			return nil, fmt.Errorf("input %d of this journal is earlier than the one before it", i+1)
		}
		if events = w.AdvanceWithin(in.At, events); events == 0 {
			w.Close()
			return nil, ErrTooMuch
		}
		if err := w.Apply(in); err != nil {
			w.Close()
			return nil, fmt.Errorf("input %d of this journal: %w", i+1, err)
		}
	}
	if w.AdvanceWithin(until, events) == 0 {
		w.Close()
		return nil, ErrTooMuch
	}
	return w, nil
}
