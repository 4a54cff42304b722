package shell

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/sim"
)

// kube is kubectl's client: a kubeconfig, a connection, what the server offers.
type kube struct {
	*process
	conn      string
	dial      sim.Dial
	token     string
	namespace string
	user      string
	offered   []resource
}

// resource is a row of discovery.
type resource struct {
	group, version, name, singular, kind string
	short                                []string
	namespaced                           bool
}

func (r resource) path(namespace, name string) string {
	p := "/apis/" + r.group + "/" + r.version
	if r.group == "" {
		p = "/api/" + r.version
	}
	if r.namespaced && namespace != "" {
		p += "/namespaces/" + namespace
	}
	p += "/" + r.name
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// full is the resource with its group, as kubectl prints it.
func (r resource) full() string {
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}

// one is the singular with its group, as in "secret/x created".
func (r resource) one() string {
	if r.group == "" {
		return r.singular
	}
	return r.singular + "." + r.group
}

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
		} `json:"user"`
	} `json:"users"`
}

var errRefused = errors.New("The connection to the server localhost:8080 was refused - did you specify the right host or port?")

// connect reads the kubeconfig that the command is to use.
func (p *process) connect(file, context string) (*kube, error) {
	if file == "" {
		file = p.getenv("KUBECONFIG")
	}
	explicit := file != ""
	if file == "" {
		file = path.Join(p.getenv("HOME"), ".kube/config")
	}
	b, err := p.readFile(p.path(file))
	if err != nil {
		if explicit {
			return nil, fmt.Errorf("error: stat %s: no such file or directory", file)
		}
		return nil, errRefused
	}
	var c kubeconfig
	if err := yaml.Unmarshal(b, &c); err != nil {
		return nil, fmt.Errorf("error: error loading config file %q: %v", file, err)
	}
	if context == "" {
		context = c.CurrentContext
	}
	k := &kube{process: p, namespace: "default"}
	i := slices.IndexFunc(c.Contexts, func(x struct {
		Name    string `json:"name"`
		Context struct {
			Cluster   string `json:"cluster"`
			User      string `json:"user"`
			Namespace string `json:"namespace"`
		} `json:"context"`
	}) bool {
		return x.Name == context
	})
	if i < 0 {
		if context == "" {
			return nil, errRefused
		}
		return nil, fmt.Errorf("error: context %q does not exist", context)
	}
	ctx := c.Contexts[i].Context
	if ctx.Namespace != "" {
		k.namespace = ctx.Namespace
	}
	file = p.path(file)
	load := func(what, owner, name string, data []byte) ([]byte, error) {
		if len(data) > 0 || name == "" {
			return data, nil
		}
		b, err := p.readFile(abs(path.Dir(file), name))
		if err != nil {
			return nil, fmt.Errorf("error: unable to read %s %s for %s due to %v", what, name, owner, err)
		}
		return b, nil
	}
	for _, cl := range c.Clusters {
		if cl.Name != ctx.Cluster {
			continue
		}
		u, err := url.Parse(cl.Cluster.Server)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("error: the server %q of cluster %q is no address", cl.Cluster.Server, cl.Name)
		}
		k.dial.Addr, k.dial.Insecure, k.dial.ServerName = u.Host, cl.Cluster.Insecure, cl.Cluster.ServerName
		if u.Port() == "" {
			k.dial.Addr += ":443"
		}
		if k.dial.Roots, err = load("certificate-authority", cl.Name, cl.Cluster.CAFile, cl.Cluster.CAData); err != nil {
			return nil, err
		}
	}
	if k.dial.Addr == "" {
		return nil, errRefused
	}
	for _, us := range c.Users {
		if us.Name != ctx.User {
			continue
		}
		k.user, k.token = us.Name, us.User.Token
		if k.dial.Cert, err = load("client-cert", us.Name, us.User.CertFile, us.User.CertData); err != nil {
			return nil, err
		}
		if k.dial.Key, err = load("client-key", us.Name, us.User.KeyFile, us.User.KeyData); err != nil {
			return nil, err
		}
	}
	p.live.conns++
	k.conn = connName(p.run.N, p.live.conns)
	me := p.stage.current
	me.conns = append(me.conns, k.conn)
	return k, nil
}

// status is an answer that is an error.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
}

func (s *status) Error() string {
	if s.Code == http.StatusUnauthorized {
		return "error: You must be logged in to the server (" + s.Message + ")"
	}
	if s.Reason == "" {
		return "Error from server: " + s.Message
	}
	return fmt.Sprintf("Error from server (%s): %s", s.Reason, s.Message)
}

const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

// agent is kubectl's User-Agent.
func (k *kube) agent() string {
	return "kubectl/v" + k.start.Release + ".3 (linux/amd64) kubernetes/$Format"
}

// open sends a request; the answer may be an open watch.
func (k *kube) open(method, target, accept, ctype string, body []byte) (uint64, *sim.Response, error) {
	h := http.Header{"User-Agent": {k.agent()}, "Accept": {accept}}
	if body != nil {
		h.Set("Content-Type", ctype)
	}
	if k.token != "" {
		h.Set("Authorization", "Bearer "+k.token)
	}
	for range 2 {
		id, m := k.exchange(k.conn, k.dial, sim.Request{Method: method, URL: target, Header: h, Body: body})
		if m.Kind != sim.MsgResponse {
			if strings.HasSuffix(m.Err, "connect: connection refused") {
				return 0, nil, fmt.Errorf("The connection to the server %s was refused - did you specify the right host or port?", k.dial.Addr)
			}
			return 0, nil, fmt.Errorf("Unable to connect to the server: %s", m.Err)
		}
		if m.Resp.Code >= 400 {
			s := &status{Code: m.Resp.Code}
			if json.Unmarshal(m.Resp.Body, s) != nil || s.Message == "" {
				s.Message = "the server could not find the requested resource"
				if s.Code == http.StatusForbidden || s.Code == http.StatusUnauthorized {
					s.Message = strings.TrimSpace(string(m.Resp.Body))
				}
			}
			s.Code = m.Resp.Code
			return id, m.Resp, s
		}
		return id, m.Resp, nil
	}
	return 0, nil, nil
}

// do sends a request and warns of what the server warns of.
func (k *kube) do(method, target string, body []byte) ([]byte, error) {
	ctype := "application/json"
	if method == "PATCH" {
		ctype = "application/merge-patch+json"
	}
	_, r, err := k.open(method, target, "application/json", ctype, body)
	if err != nil {
		return nil, err
	}
	for _, w := range r.Header.Values("Warning") {
		if _, text, ok := strings.Cut(w, " - "); ok {
			var s string
			if json.Unmarshal([]byte(text), &s) == nil {
				fmt.Fprintf(k.errs, "Warning: %s\n", s)
			}
		}
	}
	return r.Body, nil
}

const discoveryAccept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"

// discover asks the server what it serves, once a command.
func (k *kube) discover() error {
	if k.offered != nil {
		return nil
	}
	for _, root := range []string{"/api", "/apis"} {
		_, r, err := k.open("GET", root, discoveryAccept, "", nil)
		if err != nil {
			return err
		}
		var list struct {
			Items []struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
				Versions []struct {
					Version   string `json:"version"`
					Resources []struct {
						Resource         string   `json:"resource"`
						Scope            string   `json:"scope"`
						SingularResource string   `json:"singularResource"`
						ShortNames       []string `json:"shortNames"`
						ResponseKind     struct {
							Kind string `json:"kind"`
						} `json:"responseKind"`
					} `json:"resources"`
				} `json:"versions"`
			} `json:"items"`
		}
		if err := json.Unmarshal(r.Body, &list); err != nil {
			return fmt.Errorf("error: the server's discovery at %s can't be read: %v", root, err)
		}
		for _, g := range list.Items {
			for _, v := range g.Versions {
				for _, x := range v.Resources {
					k.offered = append(k.offered, resource{g.Metadata.Name, v.Version, x.Resource, x.SingularResource, x.ResponseKind.Kind, x.ShortNames, x.Scope == "Namespaced"})
				}
			}
		}
	}
	return nil
}

// find is the resource that a person means: plural, singular, short name or
// kind, with or without group.
func (k *kube) find(word string) (resource, error) {
	if err := k.discover(); err != nil {
		return resource{}, err
	}
	name, group, _ := strings.Cut(strings.ToLower(word), ".")
	for _, r := range k.offered {
		if group != "" && group != r.group && group != r.version+"."+r.group {
			continue
		}
		if name == r.name || name == r.singular || name == strings.ToLower(r.kind) || slices.Contains(r.short, name) {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("error: the server doesn't have a resource type %q", word)
}

// byKind finds where objects of a kind go.
func (k *kube) byKind(apiVersion, kind string) (resource, error) {
	if err := k.discover(); err != nil {
		return resource{}, err
	}
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	for _, r := range k.offered {
		if r.group == group && r.version == version && r.kind == kind {
			return r, nil
		}
	}
	return resource{}, fmt.Errorf("no matches for kind %q in version %q", kind, apiVersion)
}

// object is any Kubernetes object.
type object map[string]any

func (o object) get(path ...string) any {
	var v any = map[string]any(o)
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (o object) text(path ...string) string {
	s, _ := o.get(path...).(string)
	return s
}

func (o object) list(path ...string) []any {
	l, _ := o.get(path...).([]any)
	return l
}

func parseObject(b []byte) (object, error) {
	var o object
	return o, json.Unmarshal(b, &o)
}

func decode64(s string) []byte {
	b, _ := base64.StdEncoding.DecodeString(s)
	return b
}
