package shell

import (
	"errors"
	"fmt"
	"net/url"
	"path"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
)

var errRefused = errors.New("The connection to the server localhost:8080 was refused - did you specify the right host or port?")

// loaded is a kubeconfig as it was read, and where.
type loaded struct {
	*kubeconfig.Config
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
	c := &loaded{Config: &kubeconfig.Config{}, file: k.path(file)}
	b, err := k.readFile(c.file)
	switch {
	case file == "/dev/null":
	case err != nil && explicit:
		return nil, fmt.Errorf("error: stat %s: no such file or directory", file)
	case err == nil:
		read, err := kubeconfig.Parse(b)
		if err == nil {
			c.Config = read
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
	cluster, user := c.Cluster(t.cluster), c.User(t.user)
	got, unread := kubeconfig.Read(k.readFile, path.Dir(c.file), cluster, user)
	if len(unread) > 0 {
		return fmt.Errorf("error: %w", unread[0])
	}
	server := ""
	if cluster != nil {
		server = cluster.Cluster.Server
		k.dial.Insecure, k.dial.ServerName = cluster.Cluster.Insecure, cluster.Cluster.ServerName
	}
	k.dial.Roots, k.dial.Cert, k.dial.Key, k.token = got.Roots, got.Cert, got.Key, got.Token
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
