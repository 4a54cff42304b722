package api

import (
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Trust is whom the server trusts and what it shows.
func (s *Server) Trust(d *sim.Disk) (out []sim.Held) {
	o, again := s.opts, era.ServingReload.In(s.era).Again()
	put := func(h sim.Held) {
		if h.File != "" {
			h.Next = d.Content(h.File)
			out = append(out, h)
		}
	}
	put(sim.Held{Use: sim.ClientCA, File: o.clientCA, Has: s.CA, Again: again})
	put(sim.Held{Use: sim.FrontCA, File: o.requestCA, Has: s.RequestCA, Again: again})
	kubelets := sim.AtStart
	if every := era.ClientCAReload.In(s.era); every > 0 {
		kubelets = every
	}
	put(sim.Held{Use: sim.KubeletCA, File: o.kubeletCA, Has: s.KubeletCA, Again: kubelets})
	put(sim.Held{Use: sim.Serving, File: o.cert, Has: s.Serving, Again: again})
	// The files of these are read for each connection.
	put(sim.Held{Use: sim.KubeletClient, File: o.kubeletCert, Has: d.Content(o.kubeletCert)})
	put(sim.Held{Use: sim.ProxyClient, File: o.proxyCert, Has: d.Content(o.proxyCert)})
	return out
}

// Aggregates are the APIServices that other servers answer for.
func (s *Server) Aggregates() (names []string) {
	for _, a := range s.apiServices() {
		names = append(names, a.Name)
	}
	return names
}
