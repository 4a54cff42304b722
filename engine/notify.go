package engine

import (
	"slices"

	"github.com/joinery-lab/joinery/engine/sim"
)

// notice is a file that a process of the host wants to know of.
type notice struct {
	Path string `json:"path"`
	Unit string `json:"unit"`
	Life uint64 `json:"life"`
}

// watchFile remembers that a process wants to know of a file.
func (w *World) watchFile(addr string, p *proc, path string) {
	host, unit := split(addr)
	m := w.machine(host)
	n := notice{Path: path, Unit: unit, Life: p.Life}
	if !slices.Contains(m.Notices, n) {
		m.Notices = append(m.Notices, n)
	}
}

// unwatchFiles forgets what a process that ended wanted to know of.
func (w *World) unwatchFiles(addr string, p *proc) {
	host, unit := split(addr)
	m := w.machine(host)
	var left []notice
	for _, n := range m.Notices {
		if n.Unit != unit || n.Life != p.Life {
			left = append(left, n)
		}
	}
	m.Notices = left
}

// fileChanged tells those who want to know that the file name changed on a
// host, whoever changed it. They learn of it at once.
func (w *World) fileChanged(m *machine, name string, cause uint64) {
	for _, n := range m.Notices {
		if n.Path != name {
			if real, err := m.Disk.Resolve("stat", n.Path, true); err != nil || real != name {
				continue
			}
		}
		w.post(w.Clock, m.Name+"/"+n.Unit, n.Life, sim.Msg{Kind: sim.MsgFile, Tag: n.Path, Cause: cause})
	}
}
