package client

import (
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Trust is whom the process trusts and what it shows, and of a pod also what the
// kubelet's part does for its volume.
func (k *Client) Trust(d *sim.Disk) (out []sim.Held) {
	if k.Mount != nil {
		next, _ := readKubeconfig(d, k.Mount.Pod.Kubeconfig)
		out = k.Mount.Access.held("volume", k.Mount.Pod.Kubeconfig, next)
		for i := range out {
			out[i].Again = 0
		}
	}
	if k.Access.Server == "" {
		return out
	}
	next, file := k.Access, ""
	next.Roots = d.Content(k.file(k.Access.CAFile))
	if k.Flags.Kubeconfig != "" {
		file = k.Flags.Kubeconfig
		next, _ = readKubeconfig(d, file)
	}
	own := k.Access.held("", file, next)
	for i := range own {
		h := &own[i]
		own, every := k.Access.CertFile, era.ClientCertReload.In(k.era())
		if h.Use == sim.ServerCA {
			own, every = k.Access.CAFile, k.program().reloadsCA(k.era())
		}
		if own == "" {
			continue
		}
		if h.File = k.file(own); every > 0 {
			h.Again = every
		}
	}
	out = append(out, own...)
	f := &k.Flags
	if k.program().scrapes && !f.Plain {
		h := sim.Held{Use: sim.KubeletCA, File: k.file(f.KubeletCA), Insecure: f.Insecure, Token: true}
		if h.Has, h.Next = d.Content(h.File), d.Content(h.File); f.KubeletCA == "" {
			h.File, h.Has, h.Next, h.Again = own[0].File, own[0].Has, own[0].Next, own[0].Again
		}
		out = append(out, h)
	}
	if k.Front != nil {
		out = append(out, sim.Held{Use: sim.FrontCA, Has: []byte(k.Front.CA), Again: sim.AtStart, Fetched: true},
			sim.Held{Use: sim.ClientCA, Has: []byte(k.Front.ClientCA), Again: sim.AtStart, Fetched: true})
	}
	return out
}

// held is an access as read at the start, and as it would be read now.
func (a *access) held(part, file string, next access) []sim.Held {
	out := []sim.Held{{Use: sim.ServerCA, Part: part, File: file, Has: a.Roots, Next: next.Roots, Again: sim.AtStart,
		Server: a.Server, Name: a.ServerName, Insecure: a.Insecure, Token: a.Token != ""}}
	if len(a.Cert) > 0 {
		out = append(out, sim.Held{Use: sim.Client, Part: part, File: file, Has: a.Cert, Next: next.Cert, Again: sim.AtStart})
	}
	return out
}
