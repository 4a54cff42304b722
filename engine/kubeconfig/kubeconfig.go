// Package kubeconfig knows the form of kubeconfig files, for all who have one.
//
// Models k8s.io/client-go/tools/clientcmd. A file is read through a function, so
// that the package stands beside the disks and not on them:
//
//	c, err := kubeconfig.Parse(text)
//	cluster, user := c.Current()
//	content, unread := kubeconfig.Read(disk.ReadFile, path.Dir(file), cluster, user)
//
// What one is to make of files that can't be read, and in which words, differs
// from program to program.
package kubeconfig

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Config is a kubeconfig file.
type Config struct {
	APIVersion     string         `json:"apiVersion"`
	Clusters       []NamedCluster `json:"clusters"`
	Contexts       []NamedContext `json:"contexts"`
	CurrentContext string         `json:"current-context"`
	Kind           string         `json:"kind"`
	Users          []NamedUser    `json:"users"`
}

// NamedCluster is a cluster and what contexts call it.
type NamedCluster struct {
	Cluster Cluster `json:"cluster"`
	Name    string  `json:"name"`
}

// NamedContext is a context and what it is called.
type NamedContext struct {
	Context Context `json:"context"`
	Name    string  `json:"name"`
}

// NamedUser is a user and what contexts call it.
type NamedUser struct {
	Name string `json:"name"`
	User User   `json:"user"`
}

// Context says by their names where one works and as whom.
type Context struct {
	Cluster   string `json:"cluster"`
	Namespace string `json:"namespace,omitempty"`
	User      string `json:"user"`
}

// Cluster says where an API server is and who vouches for it.
type Cluster struct {
	CAFile     string `json:"certificate-authority,omitempty"`
	CAData     []byte `json:"certificate-authority-data,omitempty"`
	Insecure   bool   `json:"insecure-skip-tls-verify,omitempty"`
	Server     string `json:"server"`
	ServerName string `json:"tls-server-name,omitempty"`
}

// User is what somebody shows to an API server.
type User struct {
	CertFile string `json:"client-certificate,omitempty"`
	CertData []byte `json:"client-certificate-data,omitempty"`
	KeyFile  string `json:"client-key,omitempty"`
	KeyData  []byte `json:"client-key-data,omitempty"`
	Token    string `json:"token,omitempty"`
	// TokenFile is read when there is no Token.
	TokenFile string `json:"tokenFile,omitempty"`
}

// Parse reads the text of a kubeconfig. Case counts, and what nobody knows is
// passed over. The error is client-go's. Models
// k8s.io/apimachinery/pkg/runtime/serializer/json Decode.
func Parse(text []byte) (*Config, error) {
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, err
	}
	var is struct {
		APIVersion string `json:"apiVersion,omitempty"`
		Kind       string `json:"kind,omitempty"`
	}
	if err := json.Unmarshal(data, &is); err != nil {
		return nil, fmt.Errorf("couldn't get version/kind; json parse error: %w", err)
	}
	if kind, version := cmp.Or(is.Kind, "Config"), cmp.Or(is.APIVersion, "v1"); kind != "Config" || version != "v1" {
		return nil, fmt.Errorf("no kind %q is registered for version %q in scheme \"k8s.io/client-go/tools/clientcmd/api/latest/latest.go:50\"", kind, version)
	}
	c := &Config{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(data, c); err != nil {
		return nil, errors.New(theirs.Replace(err.Error()))
	}
	return c, nil
}

// theirs are client-go's names of the types that an error names.
var theirs = strings.NewReplacer("NamedUser.", "NamedAuthInfo.", " User.", " AuthInfo.", "kubeconfig.NamedUser", "v1.NamedAuthInfo", "kubeconfig.User", "v1.AuthInfo", "kubeconfig.", "v1.")

// Current are the cluster and the user that the current context names, nil for
// one that is not there.
func (c *Config) Current() (cluster *NamedCluster, user *NamedUser) {
	for _, x := range c.Contexts {
		if x.Name == c.CurrentContext {
			cluster, user = c.Cluster(x.Context.Cluster), c.User(x.Context.User)
		}
	}
	return cluster, user
}

// Cluster is the last cluster of that name, or nil.
func (c *Config) Cluster(name string) (found *NamedCluster) {
	for i := range c.Clusters {
		if c.Clusters[i].Name == name {
			found = &c.Clusters[i]
		}
	}
	return found
}

// User is the last user of that name, or nil.
func (c *Config) User(name string) (found *NamedUser) {
	for i := range c.Users {
		if c.Users[i].Name == name {
			found = &c.Users[i]
		}
	}
	return found
}

// Content is what a cluster and a user have in themselves or in files; the paths
// are those of what came from files.
type Content struct {
	Roots, Cert, Key                     []byte
	Token                                string
	CAFile, CertFile, KeyFile, TokenFile string
}

// Unread is a file that a kubeconfig names and that could not be read.
type Unread struct {
	// What it is for, and whose it is by the kubeconfig's names.
	What, Owner string
	File        string
	Err         error
}

func (u Unread) Error() string {
	return fmt.Sprintf("unable to read %s %s for %s due to %v", u.What, u.File, u.Owner, u.Err)
}

// Invalid words files that could not be read as client-go does; nil for none.
func Invalid(list []Unread) error {
	words := make([]string, len(list))
	for i, u := range list {
		words[i] = u.Error()
	}
	switch len(list) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("invalid configuration: %s", words[0])
	}
	return fmt.Errorf("invalid configuration: [%s]", strings.Join(words, ", "))
}

// Read reads the files that a cluster and a user name, either of which may be
// nil. A relative path is one in dir. What stands in the kubeconfig itself goes
// first.
func Read(read func(name string) ([]byte, error), dir string, cluster *NamedCluster, user *NamedUser) (c Content, unread []Unread) {
	get := func(what, owner, name string, data []byte) ([]byte, string) {
		if len(data) > 0 || name == "" {
			return data, ""
		}
		if !path.IsAbs(name) {
			name = path.Join(dir, name)
		}
		b, err := read(name)
		if err != nil {
			unread = append(unread, Unread{What: what, Owner: owner, File: name, Err: err})
		}
		return b, name
	}
	if cluster != nil {
		x := &cluster.Cluster
		c.Roots, c.CAFile = get("certificate-authority", cluster.Name, x.CAFile, x.CAData)
	}
	if user != nil {
		x := &user.User
		c.Cert, c.CertFile = get("client-cert", user.Name, x.CertFile, x.CertData)
		c.Key, c.KeyFile = get("client-key", user.Name, x.KeyFile, x.KeyData)
		if c.Token = x.Token; c.Token == "" {
			b, name := get("tokenFile", user.Name, x.TokenFile, nil)
			c.Token, c.TokenFile = strings.TrimSpace(string(b)), name
		}
	}
	return c, unread
}
