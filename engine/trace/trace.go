// Package trace is the vocabulary of what happened in a world.
//
// Everything a person sees (stage, inspector, timeline, goals) is computed
// from Observations and from read-only views. An Observation is a plain value:
// it has no prose in any language beyond what Kubernetes itself says, and it
// never points back into the engine.
//
// It imports nothing of ours, so that every floor can speak it.
package trace

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Version is the format version of Observations as written by Encode.
// A reader refuses a higher one.
const Version = 1

// Kind says what sort of thing happened. The set is closed: Valid knows all.
type Kind string

const (
	// Handshake: a TLS handshake between client (Actor) and server (Subject,
	// host:port). Args: version, resumed, client (CN), server (CN), and on
	// failure client-error, server-error, in each side's own words.
	Handshake Kind = "handshake"
	// Request: bytes on their way to a server, from At to Until. Subject is
	// "METHOD /path". Args: to, conn, stream, identity (token, client-cert,
	// serving-cert, admin, controller-manager, anonymous), credential, agent.
	// Payload is the body.
	Request Kind = "request"
	// Authn, Authz, Admit, Stored: the API server's decisions about a request
	// (Cause), each with its reason. Args: verdict (yes, no, none), user,
	// groups, reason, rule, would-allow.
	Authn  Kind = "authn"
	Authz  Kind = "authz"
	Admit  Kind = "admit"
	Stored Kind = "stored"
	// Response: the answer on its way back, from At to Until. Args: code,
	// reason, stream. Payload is the body.
	Response Kind = "response"
	// Frame: one event of a watch on its way to the client. Args: stream, type.
	Frame Kind = "frame"
	// Object: a stored object changed. Subject is "resource/name" or
	// "resource/namespace/name". Args: verb, version, by. Payload is the
	// object as JSON; empty after a deletion.
	Object Kind = "object"
	// Decision: a controller decided something about Subject. Args: verdict,
	// reason, message.
	Decision Kind = "decision"
	// Phase: an actor entered a named phase. Args: phase, next (RFC 3339, when
	// it will act again if nothing happens), and what the actor adds.
	Phase Kind = "phase"
	// Log: a line that a unit wrote to its journal. Subject is the unit,
	// Args: level, v. Payload is the line.
	Log Kind = "log"
	// File: a disk changed. Subject is the path. Args: op (write, mkdir,
	// symlink, rename, remove, chmod), mode, target, size.
	File Kind = "file"
	// Unit: a unit started, stopped or exited. Subject is the unit. Args: state, code.
	Unit Kind = "unit"
	// Clock: a host's clock was set, and by how much. Subject is the host.
	// Args: by, ahead.
	Clock Kind = "clock"
	// Fault: a fault began, struck or ended. Subject is the fault in its own
	// words ("link node-1 control-1 drop"). Args: state (begin, strike, end),
	// and on a strike what was struck.
	Fault Kind = "fault"
	// Typed, Printed, Done: a line typed at a terminal, what came back
	// (Args: stream, stdout or stderr), and the end of the line (Args: status).
	Typed   Kind = "typed"
	Printed Kind = "printed"
	Done    Kind = "done"
)

// Kinds lists every Kind.
var Kinds = []Kind{Handshake, Request, Authn, Authz, Admit, Stored, Response, Frame, Object, Decision, Phase, Log, File, Unit, Clock, Fault, Typed, Printed, Done}

// Valid reports whether k is one of Kinds.
func (k Kind) Valid() bool { return slices.Contains(Kinds, k) }

// Observation is one thing that happened.
type Observation struct {
	// ID counts from 1 in the order in which things happened.
	ID uint64 `json:"id"`
	// At is when it began, Until when it ended (zero for an instant), in
	// virtual UTC.
	At    time.Time `json:"at"`
	Until time.Time `json:"until,omitzero"`
	// Cause is the ID of the observation that led to this one, 0 for none.
	Cause uint64 `json:"cause,omitempty"`
	// Actor is who did it: "host/unit", or "host/terminal".
	Actor   string            `json:"actor"`
	Kind    Kind              `json:"kind"`
	Subject string            `json:"subject,omitempty"`
	Args    map[string]string `json:"args,omitempty"`
	Payload string            `json:"payload,omitempty"`
}

// Host returns the host part of the actor.
func (o Observation) Host() string {
	h, _, _ := strings.Cut(o.Actor, "/")
	return h
}

// Digest folds Observations, in order, into one value. The zero Digest is
// that of no Observations. It is a plain value: copying it forks it.
type Digest [sha256.Size]byte

// scratch holds what is hashed: an observation is a kilobyte or two, and there
// are many.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// Add folds o into d.
func (d *Digest) Add(o *Observation) {
	room := scratch.Get().(*[]byte)
	b := append((*room)[:0], d[:]...)
	b = binary.BigEndian.AppendUint64(b, o.ID)
	b = binary.BigEndian.AppendUint64(b, uint64(o.At.UnixNano()))
	if !o.Until.IsZero() {
		b = binary.BigEndian.AppendUint64(b, uint64(o.Until.UnixNano()))
	}
	b = binary.BigEndian.AppendUint64(b, o.Cause)
	b = appendText(b, o.Actor)
	b = appendText(b, string(o.Kind))
	b = appendText(b, o.Subject)
	var few [16][2]string
	args := few[:0]
	for k, v := range o.Args { // some few, in any order
		i := len(args)
		args = append(args, [2]string{})
		for ; i > 0 && args[i-1][0] > k; i-- {
			args[i] = args[i-1]
		}
		args[i] = [2]string{k, v}
	}
	for _, a := range args {
		b = appendText(appendText(b, a[0]), a[1])
	}
	b = appendText(b, o.Payload)
	*d = sha256.Sum256(b)
	*room = b
	scratch.Put(room)
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText and UnmarshalText write a Digest as hex.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(d) {
		return fmt.Errorf("digest %q is not %d bytes of hex", b, len(d))
	}
	copy(d[:], v)
	return nil
}

// Encode writes one Observation a line, as JSON (NDJSON).
func Encode(w io.Writer, obs []Observation) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range obs {
		if err := e.Encode(&obs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads what Encode wrote. An unknown Kind is an error that names the line.
func Decode(r io.Reader) ([]Observation, error) {
	var out []Observation
	s := bufio.NewScanner(r)
	s.Buffer(nil, 64<<20)
	for n := 1; s.Scan(); n++ {
		if len(s.Bytes()) == 0 {
			continue
		}
		var o Observation
		if err := json.Unmarshal(s.Bytes(), &o); err != nil {
			return out, fmt.Errorf("line %d: %w", n, err)
		}
		if !o.Kind.Valid() {
			return out, fmt.Errorf("line %d: unknown kind %q", n, o.Kind)
		}
		out = append(out, o)
	}
	return out, s.Err()
}
