package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// JournalVersion is the format version of Journal and of the Inputs in it.
const JournalVersion = 1

// Config is what a world is made from.
type Config struct {
	// Release is "1.36", with which the world begins; Seed any text; Scenario a name, "" for the usual one.
	Release  string `json:"release"`
	Seed     string `json:"seed"`
	Scenario string `json:"scenario,omitempty"`
	// Nodes is how many node hosts there are (node-1 …), 0 for one.
	Nodes int `json:"nodes,omitempty"`
	// ControlPlanes is how many hosts run the control plane: 1 (or 0), or 3
	// behind one address, over one etcd.
	ControlPlanes int `json:"controlPlanes,omitempty"`
}

// Input is one thing that a person or a real client did: exactly one of the
// pointers is set. At is stamped by Apply.
type Input struct {
	At        time.Time  `json:"at,omitzero"`
	Typed     *Typed     `json:"typed,omitempty"`
	Interrupt *Interrupt `json:"interrupt,omitempty"`
	Flag      *Flag      `json:"flag,omitempty"`
	External  *External  `json:"external,omitempty"`
	Fault     *Fault     `json:"fault,omitempty"`
	Lift      *Lift      `json:"lift,omitempty"`
	Upgrade   *Upgrade   `json:"upgrade,omitempty"`
}

// Typed is a line (or several: a here-document) typed at a host's terminal.
type Typed struct {
	Host string `json:"host"`
	Line string `json:"line"`
}

// Interrupt is Ctrl-C at a host's terminal.
type Interrupt struct {
	Host string `json:"host"`
}

// Flag sets a flag in a unit file and restarts the unit if it is running. An
// empty Value removes the flag.
type Flag struct {
	Host  string `json:"host"`
	Unit  string `json:"unit"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// External is a request of a real client, which reached the server at Addr
// ("10.0.0.10:6443") over TLS of its own; Request.Peer is its chain. The
// answer is a trace.Response observation with Args["external"] = ID, frames of
// a watch are trace.Frame observations with the same.
type External struct {
	ID      string      `json:"id"`
	Addr    string      `json:"addr"`
	Request sim.Request `json:"request"`
	// Refused are the server's words for a handshake that failed: there was no
	// request then (see pki.Answer).
	Refused string `json:"refused,omitempty"`
	// Cancel: the client left the exchange of that ID.
	Cancel bool `json:"cancel,omitempty"`
}

// Journal is a world as a save file, a share link, a bug report and a test:
// {build, release, seed, scenario, inputs}.
type Journal struct {
	V      int       `json:"v"`
	Build  string    `json:"build,omitempty"`
	Config Config    `json:"config"`
	Inputs []Input   `json:"inputs"`
	End    time.Time `json:"end"`
	Digest string    `json:"digest,omitempty"`
}

// ParseFlag reads "control-1/kube-controller-manager --controllers=*,-csrsigning";
// an empty value removes the flag. The error is one sentence.
func ParseFlag(text string) (Flag, error) {
	unit, flag, _ := strings.Cut(text, " ")
	host, unit, ok := strings.Cut(unit, "/")
	name, value, eq := strings.Cut(strings.TrimLeft(flag, "- "), "=")
	if !ok || !eq || host == "" || unit == "" || name == "" {
		return Flag{}, fmt.Errorf("%q sets no flag; write control-1/kube-controller-manager --controllers=*", text)
	}
	return Flag{Host: host, Unit: unit, Name: name, Value: value}, nil
}
