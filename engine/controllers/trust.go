package controllers

import (
	"slices"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Trust is whom the manager trusts, what it shows, what it hands on to pods, and what
// it signs with: each signer's certificate once.
func (m *ControllerManager) Trust(d *sim.Disk) (out []sim.Held) {
	if m.Program != "" || m.Own.Server == "" {
		return nil
	}
	next, _ := readIdentity(d, m.Flags.Kubeconfig, "")
	out = append(out,
		sim.Held{Use: sim.ServerCA, File: m.Flags.Kubeconfig, Has: m.Own.Roots, Next: next.Roots, Again: sim.AtStart, Server: m.Own.Server, Token: m.Own.Token != ""},
		sim.Held{Use: sim.Client, File: m.Flags.Kubeconfig, Has: m.Own.Cert, Next: next.Cert, Again: sim.AtStart})
	if file := m.Flags.RootCAFile; file != "" && len(m.RootCA) > 0 {
		out = append(out, sim.Held{Use: sim.RootCA, File: file, Has: m.RootCA, Next: d.Content(file), Again: sim.AtStart})
	}
	for _, p := range m.signingFiles() {
		h := sim.Held{Use: sim.Signing, File: p[0], Has: m.Pairs[p[0]+"::"+p[1]].Cert, Next: d.Content(p[0]), Again: era.SigningReload.In(m.era()).Again()}
		if !m.Leads() {
			h.Has = h.Next // it reads them when it leads
		}
		out = append(out, h)
	}
	return out
}

// signingFiles are the pairs of files of the signers, each once.
func (m *ControllerManager) signingFiles() (out [][2]string) {
	f := &m.Flags
	if len(f.Pairs) == 0 && f.CertFile != "" && f.KeyFile != "" {
		return [][2]string{{f.CertFile, f.KeyFile}}
	}
	for _, s := range signers {
		if p, ok := f.Pairs[s.short]; ok && !slices.Contains(out, [2]string{p[0], p[1]}) {
			out = append(out, [2]string{p[0], p[1]})
		}
	}
	return out
}
