package client

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// access is where the API server is, what it is trusted by, and who the client
// is there. What came from a file may be read again: each kind at its own time.
type access struct {
	Server     string `json:"server,omitempty"`
	ServerName string `json:"serverName,omitempty"`
	Insecure   bool   `json:"insecure,omitempty"`
	Roots      []byte `json:"roots,omitempty"`
	Cert       []byte `json:"cert,omitempty"`
	Key        []byte `json:"key,omitempty"`
	Token      string `json:"token,omitempty"`
	// The files that these came from; empty for what a kubeconfig has in itself.
	CAFile    string `json:"caFile,omitempty"`
	CertFile  string `json:"certFile,omitempty"`
	KeyFile   string `json:"keyFile,omitempty"`
	TokenFile string `json:"tokenFile,omitempty"`
	// CARead and TokenRead are when these files were last looked at, in true time.
	CARead    time.Time `json:"caRead,omitzero"`
	TokenRead time.Time `json:"tokenRead,omitzero"`
	// Gen counts the bundles: requests after a new one go over a new connection.
	Gen int `json:"gen,omitempty"`
}

// conn is the name of the connection that new requests go over.
func (a *access) conn() string { return fmt.Sprintf("api %d", a.Gen) }

// The volume of a ServiceAccount, as a pod sees it.
const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// serviceAddress is what the variables KUBERNETES_SERVICE_HOST and _PORT say: the
// first address of the services' range.
const serviceAddress = "https://10.96.0.1:443"

// file is where a file of the process is on its host's disk: a pod has a volume
// of its own.
func (k *Client) file(name string) string {
	if rest, ok := strings.CutPrefix(name, accountDir+"/"); ok && k.Mount != nil {
		return path.Join(k.Mount.Pod.Dir, rest)
	}
	return name
}

// loadAccess finds the API server and the credentials, as a process does at its
// start. The error is client-go's.
func (k *Client) loadAccess(c *sim.Ctx) (err error) {
	if name := k.Flags.Corefile; name != "" {
		if _, err := c.Disk.ReadFile(name); err != nil {
			return fmt.Errorf(noCorefile+"open %s: no such file or directory", name)
		}
	}
	switch {
	case k.Flags.Kubeconfig != "":
		k.Access, err = readKubeconfig(c.Disk, k.Flags.Kubeconfig)
	case k.Mount != nil:
		k.Access, err = k.inCluster(c)
	default:
		return fmt.Errorf("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	if err != nil {
		return err
	}
	if k.Flags.Master != "" {
		k.Access.Server = k.Flags.Master
	}
	k.Access.CARead, k.Access.TokenRead = c.Now, c.Now
	for _, name := range []string{k.Access.CAFile, k.Access.CertFile, k.Access.KeyFile, k.Access.TokenFile} {
		if name != "" {
			c.Notify(k.file(name))
		}
	}
	return nil
}

// inCluster is the configuration of a pod. Models k8s.io/client-go/rest
// InClusterConfig: without a usable bundle the system's roots are left, and
// these know nobody here.
func (k *Client) inCluster(c *sim.Ctx) (access, error) {
	a := access{Server: serviceAddress, CAFile: accountDir + "/ca.crt", TokenFile: accountDir + "/token"}
	b, err := c.Disk.ReadFile(k.file(a.TokenFile))
	if err != nil {
		return a, fmt.Errorf("open %s: no such file or directory", a.TokenFile)
	}
	a.Token = strings.TrimSpace(string(b))
	b, err = c.Disk.ReadFile(k.file(a.CAFile))
	if err == nil {
		_, err = pki.ParseCerts(b)
	}
	if err != nil {
		k.log(c, 'E', 0, "config.go:562", fmt.Sprintf("Expected to load root CA config from %s, but got err: %v", a.CAFile, err))
		a.CAFile = ""
		return a, nil
	}
	a.Roots = b
	return a, nil
}

// Holds is the certificate that the process presents, the one that its kubeconfig
// has now, and that kubeconfig if it is read at the start only: certificates in
// files of their own are read again.
func (k *Client) Holds(d *sim.Disk) (presented, there []byte, file string) {
	if k.Flags.Kubeconfig == "" || k.Access.CertFile != "" {
		return k.Access.Cert, nil, ""
	}
	a, _ := readKubeconfig(d, k.Flags.Kubeconfig)
	return k.Access.Cert, a.Cert, k.Flags.Kubeconfig
}

// roots is the bundle in use. Where the program's client-go does so, the file is
// looked at again at the first request after the interval; a bad one keeps the
// last good one. Models k8s.io/client-go/transport atomicTransportHolder.
func (k *Client) roots(c *sim.Ctx) []byte {
	a := &k.Access
	every := k.program().reloadsCA(k.era())
	if a.CAFile == "" || every == 0 || c.Now.Sub(a.CARead) < every {
		return a.Roots
	}
	a.CARead = c.Now
	where := []any{"caFile", a.CAFile}
	data, err := c.Disk.ReadFile(k.file(a.CAFile))
	switch {
	case err != nil:
		k.log(c, 'E', 0, "ca_rotation.go:99", sim.KV("Failed to read CA data from file", append([]any{"err", err}, where...)...))
	case len(data) == 0:
		k.log(c, 'I', 0, "ca_rotation.go:105", sim.KV("CA file empty, skipping transport rotation", where...))
	case bytes.Equal(data, a.Roots):
		k.log(c, 'I', 4, "ca_rotation.go:111", sim.KV("CA file unchanged, skipping transport rotation", where...))
	default:
		k.log(c, 'I', 4, "ca_rotation.go:116", sim.KV("CA content changed, updating transport", where...))
		if _, err := pki.ParseCerts(data); err != nil {
			k.log(c, 'E', 0, "ca_rotation.go:122", sim.KV("Failed to parse CA data from file", append([]any{"err", err}, where...)...))
			break
		}
		old := a.conn()
		a.Roots, a.Gen = data, a.Gen+1
		if !k.uses(old) {
			c.CloseConn(old)
		}
		k.log(c, 'I', 4, "ca_rotation.go:136", sim.KV("Transport updated for CA rotation", where...))
		k.note(c, k.Phase, "")
	}
	return a.Roots
}

// uses tells whether something is still open on a connection.
func (k *Client) uses(conn string) bool {
	for _, x := range k.Streams {
		if x.Conn == conn {
			return true
		}
	}
	return false
}

// token is what a request shows. A file is read again when it was read a while
// ago. Models k8s.io/client-go/transport NewCachedFileTokenSource.
func (k *Client) token(c *sim.Ctx) string {
	a := &k.Access
	if a.TokenFile == "" || c.Now.Sub(a.TokenRead) < era.ClientTokenReload.In(k.era()) {
		return a.Token
	}
	b, err := c.Disk.ReadFile(k.file(a.TokenFile))
	t := strings.TrimSpace(string(b))
	switch {
	case err != nil:
		err = fmt.Errorf("failed to read token file %q: %v", a.TokenFile, err)
	case t == "":
		err = fmt.Errorf("read empty token from file %q", a.TokenFile)
	}
	if err != nil {
		k.log(c, 'E', 0, "token_source.go:188", sim.KV("Unable to rotate token", "err", err))
		return a.Token
	}
	a.Token, a.TokenRead = t, c.Now
	return t
}

// pair is the client certificate of the next handshake: files are read for each.
func (k *Client) pair(c *sim.Ctx) (cert, key []byte) {
	a := &k.Access
	if a.CertFile == "" || a.KeyFile == "" {
		return a.Cert, a.Key
	}
	cert, err1 := c.Disk.ReadFile(a.CertFile)
	key, err2 := c.Disk.ReadFile(a.KeyFile)
	if err1 != nil || err2 != nil {
		return a.Cert, a.Key
	}
	return cert, key
}

// fileChanged: a file that the client reads changed. One that rests tries again;
// a client certificate is looked at every few minutes, counted from the start.
func (k *Client) fileChanged(c *sim.Ctx, name string) {
	if k.Mount != nil && name == k.Mount.Pod.Kubeconfig {
		k.remount(c)
	}
	if name == k.Access.CertFile || name == k.Access.KeyFile {
		every := era.ClientCertReload.In(k.era())
		k.after(c, "reload", every-c.Now.Sub(k.Started)%every)
	}
	k.changed(c)
}

// reloadCert takes a new client certificate into use: all connections are closed.
// Models k8s.io/client-go/transport dynamicClientCert.
func (k *Client) reloadCert(c *sim.Ctx) {
	a := &k.Access
	cert, key := k.pair(c)
	if bytes.Equal(cert, a.Cert) && bytes.Equal(key, a.Key) {
		return
	}
	if _, err := pki.ParseCerts(cert); err != nil {
		k.log(c, 'E', 0, "cert_rotation.go:172", sim.KV("Loading client cert failed", "err", err, "logger", "tls-transport-cache.UnhandledError", "key", "key"))
		return
	}
	a.Cert, a.Key = cert, key
	k.log(c, 'I', 1, "cert_rotation.go:92", sim.KV("Certificate rotation detected, shutting down client connections to start using new credentials", "logger", "tls-transport-cache"))
	c.CloseConn(a.conn())
	k.note(c, k.Phase, "")
}

// send sends a request to the API server; body is sent as JSON. One that shows a
// token which the volume should have renewed waits for the new one.
func (k *Client) send(c *sim.Ctx, owner, method, uri string, body any, fold time.Duration) {
	x := exchange{Owner: owner, Method: method, URL: uri}
	if body != nil {
		x.Body, _ = json.Marshal(body)
	}
	if fold > 0 {
		x.Fold = fold.String()
	}
	if k.Access.TokenFile != "" && k.Mount.stale(c) {
		k.Held = append(k.Held, x)
		k.refreshToken(c)
		return
	}
	k.deliver(c, x)
}

func (k *Client) deliver(c *sim.Ctx, x exchange) {
	h := http.Header{"User-Agent": {k.program().agent(k.era())}, "Accept": {"application/json, */*"}}
	if x.Body != nil {
		h.Set("Content-Type", "application/json")
	}
	if x.Fold != "" {
		h.Set(election.FoldHeader, x.Fold)
	}
	if t := k.token(c); t != "" {
		h.Set("Authorization", "Bearer "+t)
	}
	d := sim.Dial{ServerName: k.Access.ServerName, Roots: k.roots(c), Insecure: k.Access.Insecure}
	d.Cert, d.Key = k.pair(c)
	d.Addr = address(k.Access.Server)
	x.Conn, x.Server = k.Access.conn(), k.Access.Server
	stream := c.Send(x.Conn, d, sim.Request{Method: x.Method, URL: x.URL, Header: h, Body: x.Body})
	x.Body = nil
	k.Streams[stream] = x
}

// told is what a note says of an access: who is trusted (the fingerprints of the
// bundle's certificates), what is shown, until when it is good, and when each is
// read again.
func (a *access) told(k *Client) map[string]string {
	out := map[string]string{"server": a.Server}
	certs, _ := pki.ParseCerts(a.Roots)
	var prints []string
	for _, x := range certs {
		f := pki.Fingerprint(x.Raw)
		prints = append(prints, hex.EncodeToString(f[:8]))
	}
	out["trusts"] = strings.Join(prints, ",")
	out["reads"] = "start"
	if every := k.program().reloadsCA(k.era()); a.CAFile != "" && every > 0 {
		out["reads"] = every.String()
	}
	switch list, err := pki.ParseCerts(a.Cert); {
	case a.Token != "":
		out["identity"] = "token"
	case err == nil && len(list) > 0:
		out["identity"], out["user"] = "certificate", list[0].Subject.CommonName
		out["expires"] = list[0].NotAfter.UTC().Format(time.RFC3339)
	default:
		out["identity"] = "anonymous"
	}
	return out
}

// address is the "host:port" of a server's URL.
func address(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" {
		return server
	}
	if u.Port() == "" {
		return u.Hostname() + ":443"
	}
	return u.Host
}
