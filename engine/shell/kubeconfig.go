package shell

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/pki"
)

// kubeconfig is what kubectl reads of a kubeconfig file.
type kubeconfig struct {
	CurrentContext string `json:"current-context"`
	Clusters       []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server     string `json:"server"`
			CAFile     string `json:"certificate-authority"`
			CAData     []byte `json:"certificate-authority-data"`
			Insecure   bool   `json:"insecure-skip-tls-verify"`
			ServerName string `json:"tls-server-name"`
		} `json:"cluster"`
	} `json:"clusters"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster   string `json:"cluster"`
			User      string `json:"user"`
			Namespace string `json:"namespace"`
		} `json:"context"`
	} `json:"contexts"`
	Users []struct {
		Name string `json:"name"`
		User struct {
			CertFile string `json:"client-certificate"`
			CertData []byte `json:"client-certificate-data"`
			KeyFile  string `json:"client-key"`
			KeyData  []byte `json:"client-key-data"`
			Token    string `json:"token"`
			// TokenFile is read when there is no Token.
			TokenFile string `json:"tokenFile"`
		} `json:"user"`
	} `json:"users"`
}

var errRefused = errors.New("The connection to the server localhost:8080 was refused - did you specify the right host or port?")

// loaded is a kubeconfig as it was read, and where.
type loaded struct {
	kubeconfig
	file string
	raw  any
}

// load reads the kubeconfig that the command is to use; without one it is
// empty. The error is kubectl's.
func (k *kube) load() (*loaded, error) {
	if k.config != nil {
		return k.config, nil
	}
	file := k.flags.kubeconfig
	explicit := file != ""
	if file == "" {
		file = k.getenv("KUBECONFIG")
	}
	if file == "" {
		file = path.Join(k.getenv("HOME"), ".kube/config")
	}
	c := &loaded{file: k.path(file)}
	b, err := k.readFile(c.file)
	switch {
	case file == "/dev/null":
	case err != nil && explicit:
		return nil, fmt.Errorf("error: stat %s: no such file or directory", file)
	case err == nil:
		err := yaml.Unmarshal(b, &c.kubeconfig)
		if err == nil {
			err = yaml.Unmarshal(b, &c.raw)
		}
		if err != nil {
			return nil, fmt.Errorf("error: error loading config file %q: %v", file, err)
		}
	}
	k.config = c
	return c, nil
}

// target is what a context names, after the flags.
type target struct{ cluster, user, namespace string }

func (k *kube) context() (target, error) {
	c, err := k.load()
	if err != nil {
		return target{}, err
	}
	name := k.flags.context
	if name == "" {
		name = c.CurrentContext
	}
	var t target
	found := false
	for _, x := range c.Contexts {
		if x.Name == name {
			t, found = target{x.Context.Cluster, x.Context.User, x.Context.Namespace}, true
		}
	}
	if !found && name != "" {
		if k.flags.context == "" {
			return t, fmt.Errorf("error: context was not found for specified context: %s", name)
		}
		return t, fmt.Errorf("error: context %q does not exist", name)
	}
	if k.flags.cluster != "" {
		t.cluster = k.flags.cluster
	}
	if k.flags.user != "" {
		t.user = k.flags.user
	}
	return t, nil
}

// connect finds out where the server is and who the client is there.
func (k *kube) connect() error {
	if k.conn != "" {
		return nil
	}
	t, err := k.context()
	if err != nil {
		return err
	}
	c, err := k.load()
	if err != nil {
		return err
	}
	load := func(what, owner, name string, data []byte) ([]byte, error) {
		if len(data) > 0 || name == "" {
			return data, nil
		}
		name = abs(path.Dir(c.file), name)
		b, err := k.readFile(name)
		if err != nil {
			return nil, fmt.Errorf("error: unable to read %s %s for %s due to %v", what, name, owner, err)
		}
		return b, nil
	}
	server := ""
	for _, cl := range c.Clusters {
		if cl.Name != t.cluster {
			continue
		}
		server = cl.Cluster.Server
		k.dial.Insecure, k.dial.ServerName = cl.Cluster.Insecure, cl.Cluster.ServerName
		if k.dial.Roots, err = load("certificate-authority", cl.Name, cl.Cluster.CAFile, cl.Cluster.CAData); err != nil {
			return err
		}
	}
	if k.flags.server != "" {
		server = k.flags.server
	}
	if server == "" {
		return errRefused
	}
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("error: the server %q is no address of the form https://HOST:PORT", server)
	}
	k.dial.Addr, k.dial.Plain = u.Host, u.Scheme == "http"
	if u.Port() == "" {
		k.dial.Addr += map[bool]string{false: ":443", true: ":80"}[k.dial.Plain]
	}
	for _, us := range c.Users {
		if us.Name != t.user {
			continue
		}
		k.token = us.User.Token
		if k.token == "" && us.User.TokenFile != "" {
			b, err := k.readFile(abs(path.Dir(c.file), us.User.TokenFile))
			if err != nil {
				return fmt.Errorf("error: unable to read tokenFile %s for %s due to %v", us.User.TokenFile, us.Name, err)
			}
			k.token = strings.TrimSpace(string(b))
		}
		if k.dial.Cert, err = load("client-cert", us.Name, us.User.CertFile, us.User.CertData); err != nil {
			return err
		}
		if k.dial.Key, err = load("client-key", us.Name, us.User.KeyFile, us.User.KeyData); err != nil {
			return err
		}
	}
	if k.flags.token != "" {
		k.token = k.flags.token
	}
	if k.flags.insecure {
		k.dial.Insecure, k.dial.Roots = true, nil
	}
	if err := pki.CheckRoots(k.dial.Roots); err != nil {
		return fmt.Errorf("error: unable to load root certificates: %w", err)
	}
	k.live.conns++
	k.conn = connName(k.run.N, k.live.conns)
	me := k.stage.current
	me.conns = append(me.conns, k.conn)
	return nil
}
