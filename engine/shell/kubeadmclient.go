package shell

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/sim"
)

// admClient is kubeadm's client of one API server with one identity.
type admClient struct {
	*adm
	server string // "https://host:port"
	dial   sim.Dial
	token  string
	conn   string
}

// answered is an API server's answer that is an error; its words are the
// status's message.
type answered struct{ *status }

func (r answered) Error() string { return r.Message }

func isReason(err error, reason string) bool {
	r, ok := err.(answered)
	return ok && r.Reason == reason
}

// client makes a client; ca is empty for one that trusts anybody.
func (a *adm) client(server string, ca []byte) *admClient {
	c := &admClient{adm: a, server: server, dial: sim.Dial{Addr: strings.TrimPrefix(server, "https://"), Roots: ca, Insecure: len(ca) == 0}}
	if u, err := url.Parse(server); err == nil && u.Port() == "" {
		c.dial.Addr = u.Host + ":443"
	}
	a.live.conns++
	c.conn = connName(a.live.run.N, a.live.conns)
	me := a.stage.current
	me.conns = append(me.conns, c.conn)
	return c
}

// close closes the client's connection.
func (c *admClient) close() { c.hangUp(c.conn) }

// do sends a request. The error is answered, or what Go's http client says.
func (c *admClient) do(method, target string, body any) (object, error) {
	if c.f.dryRun {
		c.wouldDo(method, target, body)
		if method != "GET" {
			return object{}, nil
		}
	}
	h := http.Header{"User-Agent": {"kubeadm/" + era.KubeadmVersion.In(c.era()) + " (linux/amd64) kubernetes/$Format"}, "Accept": {"application/json"}}
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			return nil, err
		}
		h.Set("Content-Type", map[bool]string{true: "application/strategic-merge-patch+json", false: "application/json"}[method == "PATCH"])
	}
	if c.token != "" {
		h.Set("Authorization", "Bearer "+c.token)
	}
	query := era.KubeadmRequest.In(c.era())
	if strings.Contains(target, "?") {
		query = "&" + query[1:]
	}
	_, m := c.exchange(c.conn, c.dial, sim.Request{Method: method, URL: target + query, Header: h, Body: b})
	if m.Kind != sim.MsgResponse {
		return nil, fmt.Errorf("%s %q: %s", method[:1]+strings.ToLower(method[1:]), c.server+target+query, m.Err)
	}
	if m.Resp.Code >= 400 {
		s := &status{}
		if json.Unmarshal(m.Resp.Body, s) != nil || s.Message == "" {
			s.Message = strings.TrimSpace(string(m.Resp.Body))
		}
		s.Code = m.Resp.Code
		return nil, answered{s}
	}
	o, err := parseObject(m.Resp.Body)
	if c.f.dryRun && err == nil {
		c.attached(map[string]any(o))
	}
	return o, err
}

// put creates an object, or updates the one that is there; it tries for a
// while. Models cmd/kubeadm/app/util/apiclient CreateOrUpdate.
func (c *admClient) put(list, name string, o object) error {
	var err error
	doing := "create"
	c.poll(era.KubeadmAPIRetry.In(c.era()), era.KubeadmAPICall.In(c.era()), func() bool {
		doing = "create"
		_, err = c.do("POST", list, o)
		if isReason(err, "AlreadyExists") {
			doing = "update"
			_, err = c.do("PUT", list+"/"+name, o)
		}
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("unable to %s *v1.%s: %w", doing, o.text("kind"), err)
	}
	return nil
}

// loadKubeconfig reads a kubeconfig with Go's own words for a missing file.
func (a *adm) loadKubeconfig(name string) (*kubeconfig.Config, error) {
	b, err := a.readFile(name)
	if err != nil {
		return nil, err
	}
	return parseKubeconfig(b, name)
}

func parseKubeconfig(b []byte, name string) (*kubeconfig.Config, error) {
	c, err := kubeconfig.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("error loading config file %q: %v", name, err)
	}
	return c, nil
}

// current is the index of the cluster and of the user that a kubeconfig's
// current context names, -1 for none. An unnamed cluster is taken first, as
// kubeadm's GetClusterFromKubeConfig does.
func current(c *kubeconfig.Config) (cluster, user int) {
	cluster, user = -1, -1
	named, userName := "\x00", "\x00"
	for _, x := range c.Contexts {
		if x.Name == c.CurrentContext {
			named, userName = x.Context.Cluster, x.Context.User
		}
	}
	for i, x := range c.Clusters {
		if x.Name == named && cluster < 0 || x.Name == "" {
			cluster = i
		}
	}
	for i, x := range c.Users {
		if x.Name == userName {
			user = i
		}
	}
	return cluster, user
}

// embed reads the files that a kubeconfig names into it.
func (a *adm) embed(c *kubeconfig.Config, dir string) error {
	cluster, user := current(c)
	type ref struct {
		what string
		file *string
		data *[]byte
	}
	var refs []ref
	if cluster >= 0 {
		x := &c.Clusters[cluster].Cluster
		refs = append(refs, ref{"certificate authority", &x.CAFile, &x.CAData})
	}
	if user >= 0 {
		x := &c.Users[user].User
		refs = append(refs, ref{"client cert", &x.CertFile, &x.CertData}, ref{"client key", &x.KeyFile, &x.KeyData})
	}
	for _, r := range refs {
		if len(*r.data) > 0 || *r.file == "" {
			continue
		}
		b, err := a.readFile(abs(dir, *r.file))
		if err != nil {
			return fmt.Errorf("error while reading %s file defined in kubeconfig: %v", r.what, err)
		}
		*r.data, *r.file = b, ""
	}
	return nil
}

// clientOf is a client as a kubeconfig's current context has it.
func (a *adm) clientOf(c *kubeconfig.Config, dir string) (*admClient, error) {
	if err := a.embed(c, dir); err != nil {
		return nil, err
	}
	i, j := current(c)
	if i < 0 || c.Clusters[i].Cluster.Server == "" {
		return nil, fmt.Errorf("failed to create API client configuration from kubeconfig: invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	cl := c.Clusters[i].Cluster
	client := a.client(cl.Server, cl.CAData)
	client.dial.Insecure, client.dial.ServerName = cl.Insecure, cl.ServerName
	if j >= 0 {
		u := c.Users[j].User
		client.token, client.dial.Cert, client.dial.Key = u.Token, u.CertData, u.KeyData
	}
	return client, nil
}

// adminClient is the client of the commands that need an administrator:
// --kubeconfig, KUBECONFIG, ~/.kube/config or admin.conf, the first that is
// there. Models cmd/kubeadm/app/cmd/util GetKubeConfigPath.
func (a *adm) adminClient() (*admClient, *kubeconfig.Config, error) {
	file := a.f.kubeconfig
	if file == "" {
		for _, f := range []string{a.getenv("KUBECONFIG"), path.Join(a.getenv("HOME"), ".kube/config"), etcKubernetes + "/admin.conf"} {
			if file = f; f != "" && a.exists(a.path(f)) {
				break
			}
		}
	}
	file = a.path(file)
	c, err := a.loadKubeconfig(file)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to load kubeconfig: %v", err)
	}
	client, err := a.clientOf(c, path.Dir(file))
	a.adminFile = file
	return client, c, err
}

// initClient is the client of init's phases. The first makes those
// administrators whom admin.conf names, with super-admin.conf when admin.conf
// may not yet. Models cmd/kubeadm/app/phases/kubeconfig
// EnsureAdminClusterRoleBinding.
func (a *adm) initClient() (*admClient, *kubeconfig.Config, error) {
	client, c, err := a.adminClient()
	grant := era.KubeadmAdmins.In(a.era())
	if err != nil || a.adminFile != etcKubernetes+"/admin.conf" || a.admins || len(grant.Bindings) == 0 {
		return client, c, err
	}
	a.log('I', 1, "kubeconfig.go:657", "ensuring that the ClusterRoleBinding for the kubeadm:cluster-admins Group exists")
	o := objectsOf(a.era(), grant)[0]
	a.admins = true
	if _, err = client.do("POST", o.list, o.object); err == nil || isReason(err, "AlreadyExists") {
		return client, c, nil
	}
	if isReason(err, "Forbidden") && a.exists(etcKubernetes+"/super-admin.conf") {
		a.log('I', 1, "kubeconfig.go:730", "creating the ClusterRoleBinding for the kubeadm:cluster-admins Group by using super-admin.conf")
		var above *kubeconfig.Config
		if above, err = a.loadKubeconfig(etcKubernetes + "/super-admin.conf"); err == nil {
			var super *admClient
			if super, err = a.clientOf(above, etcKubernetes); err == nil {
				err = super.grant(grant)
				super.close()
			}
		}
	}
	if err != nil {
		client.close()
		return nil, nil, fmt.Errorf("could not bootstrap the admin user in file admin.conf: unable to create ClusterRoleBinding: %w", err)
	}
	return client, c, nil
}

// kubeconfigText is a kubeconfig as kubeadm writes it: one cluster, one user
// with what lines say, one context.
func kubeconfigText(server, cluster, user string, ca []byte, lines ...string) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nclusters:\n- cluster:\n")
	if len(ca) > 0 {
		fmt.Fprintf(&b, "    certificate-authority-data: %s\n", base64.StdEncoding.EncodeToString(ca))
	}
	fmt.Fprintf(&b, "    server: %s\n  name: %s\n", server, cluster)
	fmt.Fprintf(&b, "contexts:\n- context:\n    cluster: %s\n    user: %s\n  name: %[2]s@%[1]s\ncurrent-context: %[2]s@%[1]s\nkind: Config\nusers:\n- name: %[2]s\n  user:\n", cluster, user)
	for _, l := range lines {
		b.WriteString("    " + l + "\n")
	}
	return []byte(b.String())
}

// withCert are the lines of a user with an embedded certificate.
func withCert(cert, key []byte) []string {
	b64 := base64.StdEncoding.EncodeToString
	return []string{"client-certificate-data: " + b64(cert), "client-key-data: " + b64(key)}
}
