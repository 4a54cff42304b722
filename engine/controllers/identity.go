package controllers

import (
	"fmt"
	"path"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/sim"
)

// identity is a user of the API.
type identity struct {
	Conn   string `json:"conn,omitempty"`
	Server string `json:"server,omitempty"`
	Roots  []byte `json:"roots,omitempty"`
	Cert   []byte `json:"cert,omitempty"`
	Key    []byte `json:"key,omitempty"`
	// Token is a bearer token that stands in the kubeconfig.
	Token string `json:"token,omitempty"`
}

// Holds is the certificate that the process presents, the one that its kubeconfig
// names now, and that kubeconfig, which is read at the start only.
func (m *ControllerManager) Holds(d *sim.Disk) (presented, there []byte, file string) {
	if m.Program != "" || len(m.Clients) == 0 {
		return nil, nil, ""
	}
	id, _ := readIdentity(d, m.Flags.Kubeconfig, "")
	return m.Own.Cert, id.Cert, m.Flags.Kubeconfig
}

func (id *identity) dial() sim.Dial {
	return sim.Dial{Addr: address(id.Server), Roots: id.Roots, Cert: id.Cert, Key: id.Key}
}

// readIdentity reads the current context of a kubeconfig with all its files.
func readIdentity(d *sim.Disk, file, conn string) (identity, error) {
	id := identity{Conn: conn}
	if _, err := d.Stat(file); err != nil {
		return id, err
	}
	b, err := d.ReadFile(file)
	if err != nil {
		return id, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	kc, err := kubeconfig.Parse(b)
	if err != nil {
		return id, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	cluster, user := kc.Current()
	got, unread := kubeconfig.Read(d.ReadFile, path.Dir(file), cluster, user)
	id.Roots, id.Cert, id.Key, id.Token = got.Roots, got.Cert, got.Key, got.Token
	if cluster != nil {
		id.Server = cluster.Cluster.Server
	}
	if len(unread) > 0 {
		return id, unread[0].Err
	}
	if id.Server == "" {
		return id, fmt.Errorf("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	return id, nil
}

// die ends the process as the real one of its release does that can't start.
func (m *ControllerManager) die(c *sim.Ctx, err string) {
	end := era.RunFailed(m.era(), "kube-controller-manager")
	for _, l := range end.Lines {
		c.Say(l.Level, l.Source, l.Message, l.Key, l.Text(err))
	}
	c.Exit(end.Status)
}
