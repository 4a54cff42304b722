package client

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kubeconfig is the part of a kubeconfig that a client needs.
type kubeconfig struct {
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server     string `json:"server"`
			ServerName string `json:"tls-server-name"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
			CAFile     string `json:"certificate-authority"`
			CA         []byte `json:"certificate-authority-data"`
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

// readKubeconfig reads the current context of a kubeconfig, with the files that
// it names.
func readKubeconfig(d *sim.Disk, file string) (access, error) {
	var a access
	b, err := d.ReadFile(file)
	if err != nil {
		return a, fmt.Errorf("stat %s: no such file or directory", file)
	}
	var kc kubeconfig
	if err := yaml.Unmarshal(b, &kc); err != nil {
		return a, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	var wrong []string
	data := func(what, owner string, data []byte, name string) ([]byte, string) {
		if len(data) > 0 || name == "" {
			return data, ""
		}
		if !path.IsAbs(name) {
			name = path.Join(path.Dir(file), name)
		}
		b, err := d.ReadFile(name)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("unable to read %s %s for %s due to %v", what, name, owner, err))
		}
		return b, name
	}
	for _, x := range kc.Contexts {
		if x.Name != kc.Current {
			continue
		}
		for _, y := range kc.Clusters {
			if y.Name == x.Context.Cluster {
				a.Server, a.ServerName, a.Insecure = y.Cluster.Server, y.Cluster.ServerName, y.Cluster.Insecure
				a.Roots, a.CAFile = data("certificate-authority", y.Name, y.Cluster.CA, y.Cluster.CAFile)
			}
		}
		for _, y := range kc.Users {
			if y.Name == x.Context.User {
				a.Cert, a.CertFile = data("client-cert", y.Name, y.User.Cert, y.User.CertFile)
				a.Key, a.KeyFile = data("client-key", y.Name, y.User.Key, y.User.KeyFile)
				if a.Token = y.User.Token; a.Token == "" {
					b, name := data("tokenFile", y.Name, nil, y.User.TokenFile)
					a.Token, a.TokenFile = strings.TrimSpace(string(b)), name
				}
			}
		}
	}
	switch {
	case len(wrong) == 1:
		return a, fmt.Errorf("invalid configuration: %s", wrong[0])
	case len(wrong) > 1:
		return a, fmt.Errorf("invalid configuration: [%s]", strings.Join(wrong, ", "))
	case a.Server == "":
		return a, fmt.Errorf("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	if len(a.Roots) > 0 {
		if _, err := pki.ParseCerts(a.Roots); err != nil {
			return a, fmt.Errorf("unable to load root certificates: %w", err)
		}
	}
	return a, nil
}
