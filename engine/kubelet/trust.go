package kubelet

import (
	"path"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Trust is whom the kubelet trusts and what it shows. The CA of its kubeconfig is as
// read at the start; its own certificates it replaces by itself.
func (k *Kubelet) Trust(d *sim.Disk) (out []sim.Held) {
	p := &k.Port
	if file := k.Flags.Kubeconfig; file != "" {
		next, user, _ := readKubeconfig(d, file)
		h := sim.Held{Use: sim.ServerCA, File: file, Has: k.Cluster.Roots, Next: next.Roots, Again: sim.AtStart,
			Server: k.Cluster.Server, Name: k.Cluster.ServerName, Insecure: k.Cluster.Insecure}
		if k.Cluster.CAFile != "" && len(k.Cluster.CAData) == 0 {
			h.File = path.Clean(k.Cluster.CAFile)
		}
		out = append(out, h)
		if x := k.Client.Cert; x != nil {
			c := sim.Held{Use: sim.Client, File: currentFile(k.Flags.CertDir, k.Client.life().prefix), Has: x.Cert, Again: sim.AtStart}
			if c.Next = d.Content(c.File); len(c.Next) == 0 || !k.Rotate {
				c.File, c.Next = file, user.CertData
			}
			out = append(out, c)
		}
	}
	if p.Opened.IsZero() {
		return out
	}
	if p.ClientCA != "" {
		out = append(out, sim.Held{Use: sim.ClientCA, File: p.ClientCA, Has: p.CAs, Next: d.Content(p.ClientCA), Again: era.KubeletClientCAReload.In(k.era()).Again()})
	}
	s := sim.Held{Use: sim.Serving, File: p.CertFile, Has: p.Cert, Next: d.Content(p.CertFile), Again: era.KubeletServingReload.In(k.era()).Again()}
	if p.Bootstrap {
		s.File, s.Has, s.Again = currentFile(k.Flags.CertDir, k.Serving.life().prefix), nil, sim.AtStart
		if x := k.Serving.Cert; x != nil {
			s.Has = x.Cert
		}
		s.Next = d.Content(s.File)
	}
	return append(out, s)
}
