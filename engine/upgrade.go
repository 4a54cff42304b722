package engine

import (
	"fmt"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Upgrade installs the programs of another release on a host, or on all hosts when
// none is named, and starts those anew that run. Files stay as they are: what the new
// release does not take any more, it refuses. The other way round it is a downgrade.
type Upgrade struct {
	Host    string `json:"host,omitempty"`
	Release string `json:"release"`
}

// eraOf is the release of the programs on a host.
func (w *World) eraOf(m *machine) era.Era {
	if m.Release == "" {
		return w.era
	}
	return era.Must(m.Release)
}

// newest is the release that the first control plane runs.
func (w *World) newest() era.Era {
	if hosts := w.controlHosts(); len(hosts) > 0 {
		return w.eraOf(hosts[0])
	}
	return w.era
}

func (w *World) checkUpgrade(u *Upgrade) error {
	if _, err := era.At(u.Release); err != nil {
		return err
	}
	for _, m := range w.Machines {
		if (u.Host == "" || m.Name == u.Host) && m.away() {
			return fmt.Errorf("%s is %s: nothing can be installed there", m.Name, m.lull())
		}
	}
	return nil
}

// upgrade goes through the hosts in their order: control planes, then the admin's,
// then nodes.
func (w *World) upgrade(u *Upgrade) {
	e := era.Must(u.Release)
	for _, m := range w.Machines {
		if u.Host != "" && m.Name != u.Host || w.eraOf(m) == e {
			continue
		}
		w.observe(trace.Observation{Actor: m.Name, Kind: trace.Unit, Subject: "upgrade", Args: map[string]string{"from": w.eraOf(m).String(), "to": e.String()}})
		m.Release = e.String()
		if p := w.Procs[m.Name+"/terminal"]; p != nil {
			if t, ok := p.actor.(*shell.Terminal); ok {
				t.Release = m.Release
			}
		}
		for _, name := range w.unitNames(m) {
			if state := m.unit(name).State; name == "etcd" || state != "active" && state != "activating" {
				continue
			}
			// A unit that is there can be stopped and started; whether its program stays
			// is told by its journal.
			_ = w.stopUnit(m, name)
			_ = w.startUnit(m, name)
		}
	}
}

// ParseUpgrade reads "1.9" for all hosts, or "node-1 1.9". The error is one sentence.
func ParseUpgrade(text string) (Upgrade, error) {
	words := strings.Fields(text)
	u := Upgrade{}
	switch len(words) {
	case 1:
		u.Release = words[0]
	case 2:
		u.Host, u.Release = words[0], words[1]
	default:
		return u, fmt.Errorf("%q is no upgrade; write 1.9 for all hosts, or node-1 1.9", text)
	}
	_, err := era.At(u.Release)
	return u, err
}
