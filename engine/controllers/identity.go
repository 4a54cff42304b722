package controllers

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

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

// kubeconfig is the part of a kubeconfig that a controller needs.
type kubeconfig struct {
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server string `json:"server"`
			CAFile string `json:"certificate-authority"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Current string `json:"current-context"`
	Users   []struct {
		Name string `json:"name"`
		User struct {
			CertFile  string `json:"client-certificate"`
			Cert      []byte `json:"client-certificate-data"`
			KeyFile   string `json:"client-key"`
			Key       []byte `json:"client-key-data"`
			Token     string `json:"token"`
			TokenFile string `json:"tokenFile"`
		} `json:"user"`
	} `json:"users"`
}

// readIdentity reads the current context of a kubeconfig with all its files.
func readIdentity(d *sim.Disk, file, conn string) (identity, error) {
	id := identity{Conn: conn}
	b, err := d.ReadFile(file)
	if err != nil {
		return id, err
	}
	var kc kubeconfig
	if err := yaml.Unmarshal(b, &kc); err != nil {
		return id, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	var failed error
	data := func(data []byte, name string) []byte {
		if len(data) > 0 || name == "" {
			return data
		}
		if !path.IsAbs(name) {
			name = path.Join(path.Dir(file), name)
		}
		b, err := d.ReadFile(name)
		if err != nil && failed == nil {
			failed = err
		}
		return b
	}
	for _, x := range kc.Contexts {
		if x.Name != kc.Current {
			continue
		}
		for _, y := range kc.Clusters {
			if y.Name == x.Context.Cluster {
				id.Server, id.Roots = y.Cluster.Server, data(y.Cluster.CA, y.Cluster.CAFile)
			}
		}
		for _, y := range kc.Users {
			if y.Name == x.Context.User {
				id.Cert, id.Key = data(y.User.Cert, y.User.CertFile), data(y.User.Key, y.User.KeyFile)
				if id.Token = y.User.Token; y.User.TokenFile != "" {
					id.Token = strings.TrimSpace(string(data(nil, y.User.TokenFile)))
				}
			}
		}
	}
	if failed != nil {
		return id, failed
	}
	if id.Server == "" {
		return id, fmt.Errorf("invalid configuration: no server found for context %q in %s", kc.Current, file)
	}
	return id, nil
}

// die ends the process as the real one does that can't start.
func (m *ControllerManager) die(c *sim.Ctx, err string) {
	m.log(c, 'E', 0, "run.go:72", "command failed", "err", err)
	c.Exit(1)
}
