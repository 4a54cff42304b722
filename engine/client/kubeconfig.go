package client

import (
	"fmt"
	"path"

	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// readKubeconfig reads the current context of a kubeconfig, with the files that
// it names.
func readKubeconfig(d *sim.Disk, file string) (access, error) {
	var a access
	if _, err := d.Stat(file); err != nil {
		return a, err
	}
	b, err := d.ReadFile(file)
	if err != nil {
		return a, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	kc, err := kubeconfig.Parse(b)
	if err != nil {
		return a, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	cluster, user := kc.Current()
	got, unread := kubeconfig.Read(d.ReadFile, path.Dir(file), cluster, user)
	a = access{Roots: got.Roots, Cert: got.Cert, Key: got.Key, Token: got.Token, CAFile: got.CAFile, CertFile: got.CertFile, KeyFile: got.KeyFile, TokenFile: got.TokenFile}
	if cluster != nil {
		x := &cluster.Cluster
		a.Server, a.ServerName, a.Insecure = x.Server, x.ServerName, x.Insecure
	}
	if err := kubeconfig.Invalid(unread); err != nil {
		return a, err
	}
	if a.Server == "" {
		return a, fmt.Errorf("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	if len(a.Roots) > 0 {
		if _, err := pki.ParseCerts(a.Roots); err != nil {
			return a, fmt.Errorf("unable to load root certificates: %w", err)
		}
	}
	return a, nil
}
