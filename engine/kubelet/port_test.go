package kubelet

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authnv1 "k8s.io/api/authentication/v1"
	authzv1 "k8s.io/api/authorization/v1"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// desk is a kubelet whose port is open, with the answers of an API server to what
// it asks about those who come there.
type desk struct {
	*rig
	end time.Duration
	// tokens says whose a token is, rights who may "VERB SUBRESOURCE"; down: the
	// API server is away.
	tokens map[string]string
	rights map[string]bool
	down   bool
	// reviews are the questions, in order.
	reviews []string
}

// newDesk starts a kubelet with more lines in its configuration.
func newDesk(t *testing.T, config string, args ...string) *desk {
	d := &desk{tokens: map[string]string{}, rights: map[string]bool{}, end: 5 * time.Second}
	d.rig = newRig(t)
	cluster := d.cluster(time.Hour, true)
	d.serve = func(s sent) (*sim.Response, string) {
		var token authnv1.TokenReview
		var access authzv1.SubjectAccessReview
		switch {
		case d.down:
			return nil, "dial tcp 10.0.0.10:6443: connect: connection refused"
		case strings.HasSuffix(s.URL, "/tokenreviews"):
			require.NoError(t, json.Unmarshal(s.Body, &token))
			d.reviews = append(d.reviews, "token "+token.Spec.Token)
			if user := d.tokens[token.Spec.Token]; user != "" {
				token.Status = authnv1.TokenReviewStatus{Authenticated: true, User: authnv1.UserInfo{Username: user}}
			} else if token.Spec.Token == "expired" {
				token.Status.Error = "service account token has expired"
			}
			return object(201, token), ""
		case strings.HasSuffix(s.URL, "/subjectaccessreviews"):
			require.NoError(t, json.Unmarshal(s.Body, &access))
			a := access.Spec.ResourceAttributes
			require.Equal(t, authzv1.ResourceAttributes{Verb: a.Verb, Version: "v1", Resource: "nodes", Subresource: a.Subresource, Name: "node-1"}, *a)
			d.reviews = append(d.reviews, strings.TrimSpace(access.Spec.User+" "+a.Verb)+" "+a.Subresource)
			access.Status.Allowed = d.rights[access.Spec.User+" "+a.Verb+" "+a.Subresource]
			return object(201, access), ""
		}
		return cluster(s)
	}
	ca := "authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}}\n"
	if strings.Contains(config, "authentication:") {
		ca = ""
	}
	d.write("/var/lib/kubelet/config.yaml", kubeletConf+ca+config)
	d.start(args...)
	d.run(d.end)
	return d
}

func (d *desk) write(name, text string) {
	d.t.Helper()
	require.NoError(d.t, d.disk.WriteFile(name, []byte(text), 0o644, d.now))
}

// pass lets time pass.
func (d *desk) pass(by time.Duration) {
	d.end += by
	d.run(d.end)
}

// client is a client certificate; nobody's when the name is empty.
func (d *desk) client(ca *pki.Authority, name string) [][]byte {
	c, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: name}, Client: true, NotBefore: newYear, NotAfter: newYear.Add(time.Hour), Serial: []byte{5}}, pki.Keyring{Seed: "t"}.ECDSA("client").Public())
	require.NoError(d.t, err)
	list, err := pki.ParseCerts(c)
	require.NoError(d.t, err)
	return [][]byte{list[0].Raw}
}

// ask sends a request to a port, and returns the answer as "CODE BODY".
func (d *desk) ask(port int, method, url, token string, peer [][]byte) string {
	d.t.Helper()
	d.stream++
	q := &sim.Request{Method: method, URL: url, Header: http.Header{}, Stream: d.stream, Local: fmt.Sprintf(":%d", port), Peer: peer, Remote: "10.0.0.2:4000"}
	at := "10.0.0.11" + q.Local
	if port == 10248 {
		q.Local = "127.0.0.1:10248"
		at = q.Local
	}
	require.Contains(d.t, d.ports, at, "nobody listens there")
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	d.post(d.now.Add(time.Millisecond), sim.Msg{Kind: sim.MsgRequest, Stream: q.Stream, Req: q})
	d.pass(100 * time.Millisecond)
	r := d.answers[q.Stream]
	require.NotNil(d.t, r, "no answer to %s %s", method, url)
	return strings.TrimSpace(fmt.Sprint(r.Code, " ", string(r.Body)))
}

// asked are the questions since the last look.
func (d *desk) asked() string {
	s := strings.Join(d.reviews, ", ")
	d.reviews = nil
	return s
}

const denied = "Unable to authenticate the request due to an error"

// A bearer token is the API server's to judge. Its word is remembered for
// cacheTTL, its errors are not.
func TestPortTokens(t *testing.T) {
	d := newDesk(t, "authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}, webhook: {cacheTTL: 10s}}\n")
	d.tokens["good"], d.rights["bob get healthz"] = "bob", true
	require.Equal(t, "200 ok", d.ask(10250, "GET", "/healthz", "good", nil))
	require.Equal(t, "token good, bob get healthz", d.asked())
	require.Equal(t, "200 ok", d.ask(10250, "GET", "/healthz", "good", nil))
	require.Empty(t, d.asked(), "both words are remembered")
	d.tokens["good"] = ""
	d.pass(10 * time.Second)
	require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/healthz", "good", nil))
	require.Equal(t, "token good", d.asked())
	require.Equal(t, 1, d.count(`server.go:376] "`+denied+`" err="invalid bearer token"`))

	// That a token is nobody's is remembered too, but not an error.
	require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/healthz", "good", nil))
	require.Empty(t, d.asked())
	for range 2 {
		require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/healthz", "expired", nil))
		require.Equal(t, "token expired", d.asked())
	}
	require.Equal(t, 2, d.count(`server.go:376] "`+denied+`" err="service account token has expired"`))

	// Nobody with nothing is told nothing, and nothing is logged.
	n := d.count("server.go:376]")
	require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/healthz", "", nil))
	require.Equal(t, n, d.count("server.go:376]"))

	d.down = true
	require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/healthz", "new", nil))
	require.Equal(t, 1, d.count(`server.go:376] "`+denied+`" err="Post \"https://10.0.0.10:6443/apis/authentication.k8s.io/v1/tokenreviews\": dial tcp 10.0.0.10:6443: connect: connection refused"`), d.lines())
}

// Certificate, token and nobody: each counts where the one before it is not
// enough, and an error in one of them keeps anybody from being nobody.
func TestPortWhoAsks(t *testing.T) {
	stranger, err := pki.NewAuthority(pki.Keyring{Seed: "s"}, "s", "stranger", newYear, newYear.AddDate(1, 0, 0))
	require.NoError(t, err)
	with := func(webhook, anonymous bool) *desk {
		d := newDesk(t, fmt.Sprintf("authentication: {x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}, webhook: {enabled: %v}, anonymous: {enabled: %v}}\n", webhook, anonymous))
		d.tokens["good"] = "bob"
		for _, user := range []string{"bob", "carol", "system:anonymous"} {
			d.rights[user+" get proxy"] = true
		}
		return d
	}
	for _, c := range []struct {
		name               string
		webhook, anonymous bool
		token, cert        string
		foreign            bool
		code               string
		who                string
	}{
		{"certificate", true, false, "", "carol", false, "200", "carol"},
		{"a certificate before a token", true, false, "good", "carol", false, "200", "carol"},
		{"a token beside a bad certificate", true, false, "good", "carol", true, "200", "bob"},
		{"a bad certificate", true, false, "", "carol", true, "401", ""},
		{"a bad certificate where strangers may ask", true, true, "", "carol", true, "401", ""},
		{"a bad token where strangers may ask", true, true, "bad", "", false, "401", ""},
		{"a token where nobody looks at tokens", false, false, "good", "", false, "401", ""},
		{"a token where nobody looks at tokens and strangers may ask", false, true, "good", "", false, "200", "system:anonymous"},
		{"a certificate without a name", true, false, "", "-", false, "401", ""},
		{"nothing where strangers may ask", true, true, "", "", false, "200", "system:anonymous"},
		{"nothing", true, false, "", "", false, "401", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := with(c.webhook, c.anonymous)
			var peer [][]byte
			if c.cert != "" {
				ca := d.ca
				if c.foreign {
					ca = stranger
				}
				peer = d.client(ca, strings.TrimPrefix(c.cert, "-"))
			}
			code, _, _ := strings.Cut(d.ask(10250, "GET", "/exec", c.token, peer), " ")
			if code == "404" { // it may, and there is no such pod
				code = "200"
			}
			asked := d.asked()
			require.Equal(t, c.code, code, asked)
			if c.who != "" {
				require.Contains(t, asked, c.who+" get proxy")
			}
		})
	}

	// Both errors are in the log.
	d := with(true, false)
	d.ask(10250, "GET", "/pods", "bad", d.client(stranger, "carol"))
	require.Equal(t, 1, d.count(`server.go:376] "`+denied+`" err="[verifying certificate SN=5, SKID=, AKID=`), d.lines())
	require.Contains(t, strings.Join(d.lines(), "\n"), `x509: certificate signed by unknown authority, invalid bearer token]"`)
}

// What must be allowed on the node, by method and path: the narrow subresource
// first, then proxy.
func TestPortPermissions(t *testing.T) {
	d := newDesk(t, "")
	alice := d.client(d.ca, "alice")
	for _, c := range []struct{ method, url, asked, body string }{
		{"GET", "/pods", "alice get pods, alice get proxy", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[pods proxy])"},
		{"GET", "/runningpods/", "", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[pods proxy])"},
		{"GET", "/healthz/ping", "alice get healthz", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[healthz proxy])"},
		{"GET", "/configz", "alice get configz", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[configz proxy])"},
		{"GET", "/stats/summary", "alice get stats", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[stats])"},
		{"GET", "/metrics/resource?x=y", "alice get metrics", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[metrics])"},
		{"GET", "/logs/", "alice get log", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[log])"},
		{"POST", "/checkpoint/default/p/c", "alice create checkpoint", "Forbidden (user=alice, verb=create, resource=nodes, subresource(s)=[checkpoint])"},
		{"GET", "/containerLogs/default/p/c", "", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[proxy])"},
		{"GET", "/exec/default/p/c?command=x", "", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[proxy])"},
		{"POST", "/exec/default/p/c?command=x", "alice create proxy", "Forbidden (user=alice, verb=create, resource=nodes, subresource(s)=[proxy])"},
		{"POST", "/run/default/p/c", "", "Forbidden (user=alice, verb=create, resource=nodes, subresource(s)=[proxy])"},
		{"PUT", "/debug/flags/v", "alice update proxy", "Forbidden (user=alice, verb=update, resource=nodes, subresource(s)=[proxy])"},
		{"HEAD", "/attach/default/p/c", "alice proxy", "Forbidden (user=alice, verb=, resource=nodes, subresource(s)=[proxy])"},
		{"GET", "/debug/pprof/", "", "Forbidden (user=alice, verb=get, resource=nodes, subresource(s)=[proxy])"},
	} {
		require.Equal(t, "403 "+c.body, d.ask(10250, c.method, c.url, "", alice), c.url)
		require.Equal(t, c.asked, d.asked(), c.url)
	}
	require.Equal(t, 1, d.count(`server.go:414] "Forbidden" user="alice" verb="get" resource="nodes" subresource(s)=["healthz","proxy"]`))

	// A refusal is remembered for half a minute, a permission for five.
	d.rights["alice get proxy"] = true
	require.Contains(t, d.ask(10250, "GET", "/pods", "", alice), "403")
	d.pass(30 * time.Second)
	require.Contains(t, d.ask(10250, "GET", "/pods", "", alice), `200 {"kind":"PodList"`)
	require.Equal(t, "alice get pods, alice get proxy", d.asked())
	d.rights["alice get proxy"] = false
	d.pass(4*time.Minute + 50*time.Second)
	require.Contains(t, d.ask(10250, "GET", "/debug/pprof/", "", alice), "501")
	require.Empty(t, d.asked())
	d.pass(10 * time.Second)
	require.Contains(t, d.ask(10250, "GET", "/debug/pprof/", "", alice), "403")

	d.pass(time.Minute)
	d.down = true
	require.Equal(t, "500 Authorization error (user=alice, verb=get, resource=nodes, subresource=stats)", d.ask(10250, "GET", "/stats/", "", alice))
	require.Equal(t, 1, d.count(`server.go:404] "Authorization error" err="Post \"https://10.0.0.10:6443/apis/authorization.k8s.io/v1/subjectaccessreviews\": dial tcp 10.0.0.10:6443: connect: connection refused" user="alice" verb="get" resource="nodes" subresource="stats"`), d.lines())
}

// How long words are remembered is in the configuration, or a flag.
func TestPortMemory(t *testing.T) {
	d := newDesk(t, "authorization: {webhook: {cacheAuthorizedTTL: 3s}}\n", "--authorization-webhook-cache-unauthorized-ttl=7s")
	alice := d.client(d.ca, "alice")
	d.ask(10250, "GET", "/stats/", "", alice)
	d.rights["alice get stats"] = true
	d.pass(6 * time.Second)
	require.Contains(t, d.ask(10250, "GET", "/stats/", "", alice), "403")
	d.pass(time.Second)
	require.Contains(t, d.ask(10250, "GET", "/stats/", "", alice), "404")
	d.rights["alice get stats"] = false
	d.pass(3 * time.Second)
	require.Contains(t, d.ask(10250, "GET", "/stats/", "", alice), "403")
}

// With AlwaysAllow everybody who is known may do everything, and the API server
// is not asked.
func TestPortAlwaysAllow(t *testing.T) {
	d := newDesk(t, "authorization: {mode: AlwaysAllow}\n")
	require.Contains(t, d.ask(10250, "GET", "/pods", "", d.client(d.ca, "alice")), "200")
	require.Equal(t, "401 Unauthorized", d.ask(10250, "GET", "/pods", "", nil))
	require.Empty(t, d.asked())
	require.Contains(t, d.ask(10250, "GET", "/containerLogs/default/p/c", "", d.client(d.ca, "alice")), `404 pod "p" does not exist`)
	require.Contains(t, d.ask(10250, "POST", "/attach/default/p/c", "", d.client(d.ca, "alice")), `404 pod does not exist`)
}

// Without a configuration file the port is as open as it always was.
func TestPortOfOld(t *testing.T) {
	d := newDesk(t, "", "--config=", "--rotate-certificates")
	require.Contains(t, d.ask(10250, "GET", "/pods", "", nil), "200")
	require.Contains(t, d.ask(10255, "GET", "/pods", "", nil), "200")
	require.Empty(t, d.asked())
}

// The read-only port asks nobody who he is; it has what needs no authorization.
// The port for health answers its own host.
func TestPortsBeside(t *testing.T) {
	d := newDesk(t, "readOnlyPort: 10255\n")
	for url, code := range map[string]string{"/healthz": "200 ok", "/pods": "200", "/metrics": "200", "/metrics/probes": "200", "/metrics/nothing": "404",
		"/containerLogs/default/p/c": "405 Debug endpoints are disabled.", "/exec/default/p/c": "405 Debug endpoints are disabled.", "/logs/": "405", "/debug/pprof/": "405", "/configz": "404", "/spec": "404", "/": "404"} {
		require.Contains(t, d.ask(10255, "GET", url, "", nil), code, url)
	}
	require.Equal(t, "200 ok", d.ask(10248, "GET", "/healthz", "", nil))
	require.Equal(t, "200 ok", d.ask(10248, "GET", "/healthz/ping", "", nil))
	require.Equal(t, "404 404 page not found", d.ask(10248, "GET", "/healthz/nothing", "", nil))
	require.Equal(t, "404 404 page not found", d.ask(10248, "GET", "/pods", "", nil))
	require.Empty(t, d.asked())
	require.True(t, d.ports["10.0.0.11:10255"].Plain && d.ports["127.0.0.1:10248"].Plain)

	off := newDesk(t, "healthzPort: 0\nenableDebuggingHandlers: false\nauthorization: {mode: AlwaysAllow}\n")
	require.Len(t, off.ports, 1, "one port: %v", off.ports)
	require.Equal(t, "405 Debug endpoints are disabled.", off.ask(10250, "GET", "/exec/default/p/c", "", off.client(off.ca, "alice")))
	require.Contains(t, off.ask(10250, "GET", "/pods", "", off.client(off.ca, "alice")), "200")
}

// A configuration by which nobody could ever be let in is an end, and so is one
// that can't be read.
func TestPortOfNobody(t *testing.T) {
	for config, words := range map[string]string{
		"authentication: {webhook: {enabled: false}}\n":                          "failed to run Kubelet: no authentication method configured",
		"authorization: {mode: RBAC}\n":                                          "failed to run Kubelet: unknown authorization mode RBAC",
		"authorization: {webhook: {cacheAuthorizedTTL: soon}}\n":                 "failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error failed to decode: time: invalid duration \\\"soon\\\"",
		"nodeStatusReportFrequency: 5\n":                                         "failed to load kubelet config file, path: /var/lib/kubelet/config.yaml, error: failed to load Kubelet config file /var/lib/kubelet/config.yaml, error failed to decode: json: cannot unmarshal number into Go struct field KubeletConfiguration.nodeStatusReportFrequency of type string",
		"authentication: {x509: {clientCAFile: /etc/kubernetes/pki/gone.crt}}\n": "failed to run Kubelet: open /etc/kubernetes/pki/gone.crt: no such file or directory",
	} {
		d := newDesk(t, config)
		require.NotNil(t, d.code, config)
		require.Equal(t, 1, d.count(`run.go:72] "command failed" err="`+words+`"`), d.lines())
	}
}

// The file of client CAs is read again when it changes; a bad one changes
// nothing.
func TestPortClientCAReloads(t *testing.T) {
	d := newDesk(t, "authorization: {mode: AlwaysAllow}\n")
	other, err := pki.NewAuthority(pki.Keyring{Seed: "o"}, "o", "other", newYear, newYear.AddDate(1, 0, 0))
	require.NoError(t, err)
	ours, theirs := d.client(d.ca, "alice"), d.client(other, "alice")
	change := func(text string) {
		d.write("/etc/kubernetes/pki/ca.crt", text)
		d.post(d.now, sim.Msg{Kind: sim.MsgFile, Tag: "/etc/kubernetes/pki/ca.crt"})
	}
	require.Contains(t, d.ask(10250, "GET", "/pods", "", theirs), "401")
	change(string(d.ca.CertPEM()) + string(other.CertPEM()))
	require.Contains(t, d.ask(10250, "GET", "/pods", "", theirs), "200")
	change("no PEM\n")
	require.Contains(t, d.ask(10250, "GET", "/pods", "", theirs), "200")
	change(string(other.CertPEM()))
	require.Contains(t, d.ask(10250, "GET", "/pods", "", ours), "401")
}

// A pair in files is presented anew when it changes; one whose halves don't fit
// leaves the last good one.
func TestPortPairReloads(t *testing.T) {
	d := newDesk(t, "tlsCertFile: /etc/kubernetes/pki/s.crt\ntlsPrivateKeyFile: /etc/kubernetes/pki/s.key\n")
	require.NotNil(t, d.code, "a pair that is not there is an end")
	require.Equal(t, 1, d.count(`run.go:72] "command failed" err="failed to run Kubelet: failed to create kubelet: failed to initialize file based certificate manager: unable to set up dynamic certificate manager for kubelet server cert files: open /etc/kubernetes/pki/s.crt: no such file or directory"`), d.lines())

	pair := func(name string) (string, string) {
		key := pki.Keyring{Seed: "t"}.ECDSA(name)
		c, err := d.ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: name}, DNS: []string{"node-1"}, Server: true, NotBefore: newYear, NotAfter: newYear.AddDate(1, 0, 0), Serial: []byte{6}}, key.Public())
		require.NoError(t, err)
		return string(c), string(pki.KeyPEM(key))
	}
	cert, key := pair("one")
	d.write("/etc/kubernetes/pki/s.crt", cert)
	d.write("/etc/kubernetes/pki/s.key", key)
	d.start()
	d.pass(5 * time.Second)
	require.Equal(t, cert, string(d.ports["10.0.0.11:10250"].Cert))
	next, nextKey := pair("two")
	for name, text := range map[string]string{"/etc/kubernetes/pki/s.crt": next} {
		d.write(name, text)
		d.post(d.now, sim.Msg{Kind: sim.MsgFile, Tag: name})
	}
	d.pass(time.Second)
	require.Equal(t, cert, string(d.ports["10.0.0.11:10250"].Cert), "half a pair changes nothing")
	d.write("/etc/kubernetes/pki/s.key", nextKey)
	d.post(d.now, sim.Msg{Kind: sim.MsgFile, Tag: "/etc/kubernetes/pki/s.key"})
	d.pass(time.Second)
	require.Equal(t, next, string(d.ports["10.0.0.11:10250"].Cert))
	require.Equal(t, nextKey, string(d.ports["10.0.0.11:10250"].Key))
}

// With serverTLSBootstrap the files are what is presented until the cluster signs:
// the certificate manager's store falls back to them, whoever they are of.
func TestPortPairBesideBootstrap(t *testing.T) {
	d := newDesk(t, "")
	key := pki.Keyring{Seed: "t"}.ECDSA("one")
	cert, err := d.ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "node-1.corp"}, DNS: []string{"node-1"}, Server: true, NotBefore: newYear, NotAfter: newYear.AddDate(1, 0, 0), Serial: []byte{6}}, key.Public())
	require.NoError(t, err)
	d.write("/etc/kubernetes/pki/s.crt", string(cert))
	d.write("/etc/kubernetes/pki/s.key", string(pki.KeyPEM(key)))
	d.start("--rotate-server-certificates=true", "--tls-cert-file=/etc/kubernetes/pki/s.crt", "--tls-private-key-file=/etc/kubernetes/pki/s.key")
	d.pass(500 * time.Millisecond)
	require.Equal(t, 1, d.count(`certificate_store.go:160] "Loading cert/key pair" certFile="/etc/kubernetes/pki/s.crt" keyFile="/etc/kubernetes/pki/s.key"`), d.lines())
	require.Equal(t, string(cert), string(d.ports["10.0.0.11:10250"].Cert))
	require.True(t, d.k.Port.Bootstrap, "and another one is asked for")

	// Half a pair is none, and no error as without serverTLSBootstrap.
	d.start("--rotate-server-certificates=true", "--tls-cert-file=/etc/kubernetes/pki/s.crt")
	d.pass(500 * time.Millisecond)
	require.Nil(t, d.code, d.lines())
	require.Equal(t, "no serving certificate available for the kubelet", d.ports["10.0.0.11:10250"].Without)
	require.Empty(t, d.ports["10.0.0.11:10250"].Cert)
}

// What the port answers, and where it has nothing: before anybody asks who comes.
func TestPortPages(t *testing.T) {
	d := newDesk(t, "authorization: {mode: AlwaysAllow}\nmaxPods: 7\n")
	alice := d.client(d.ca, "alice")
	for url, answer := range map[string]string{"/podsx": "404 404 page not found", "/": "404 404 page not found", "/metrics/": "404 404 page not found", "/configz/x": "404 404 page not found", "/spec/": "404 404 page not found",
		"/logs": `307 <a href="/logs/">Temporary Redirect</a>.`, "/stats": "307 ", "/pods": "401 Unauthorized", "/stats/x": "401 Unauthorized", "/configz": "401 Unauthorized"} {
		require.Contains(t, d.ask(10250, "GET", url, "", nil), answer, url)
	}
	require.NoError(t, d.disk.MkdirAll("/var/log/pods", 0o755, newYear))
	require.NoError(t, d.disk.WriteFile("/var/log/a<b.log", []byte("line\n"), 0o644, newYear))
	for url, answer := range map[string]string{
		"/configz": `200 {"kubeletconfig":{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1","enableServer":true,"podLogsDir":"/var/log/pods","syncFrequency":"1m0s",`,
		"/pods":    `200 {"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}`, "/runningpods/": `"items":null`,
		"/stats/summary": "\"nodeName\": \"node-1\",\n  \"startTime\": \"2026-01-01T00:00:00Z\",\n  \"cpu\": {", "/stats/": "404 404: Page Not Found", "/stats/container/": "404 404: Page Not Found", "/exec/default/p": "404 404: Page Not Found",
		"/run/default/p/c": "405 405: Method Not Allowed", "/checkpoint/a/b/c": "405 405: Method Not Allowed", "/healthz?verbose": "200 [+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed",
		"/metrics/cadvisor": "machine_cpu_cores{boot_id=\"\",machine_id=\"\",system_uuid=\"\"} 2\n", "/metrics/slis": "process_start_time_seconds",
		"/logs/": "<pre>\n<a href=\"a%3Cb.log\">a&lt;b.log</a>\n<a href=\"pods/\">pods/</a>\n</pre>", "/logs/a%3Cb.log": "200 line", "/logs/pods": "301", "/logs/a%3Cb.log/": "301", "/logs/../../etc/passwd": "404 404 page not found",
		"/debug/flags/v": "406 unsupported http method", "/debug/pprof/heap": "501 profiles are not simulated", "/statusz": "501 ",
	} {
		require.Contains(t, d.ask(10250, "GET", url, "", alice), answer, url)
	}
	require.Contains(t, d.ask(10250, "GET", "/configz", "", alice), `"maxPods":7,`)
	require.Contains(t, d.ask(10250, "GET", "/metrics/slis", "", alice), "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"healthz\"} 1\n")
	require.Contains(t, d.ask(10250, "POST", "/checkpoint/a/b/c", "", alice), "404 pod does not exist")

	off := newDesk(t, "authorization: {mode: AlwaysAllow}\nenableSystemLogHandler: false\nenableProfilingHandler: false\nenableDebugFlagsHandler: false\n")
	alice = off.client(off.ca, "alice")
	for url, answer := range map[string]string{"/logs/": "405 logs endpoint is disabled.", "/debug/pprof/": "405 profiling endpoint is disabled.", "/debug/flags/v": "405 flags endpoint is disabled."} {
		require.Contains(t, off.ask(10250, "GET", url, "", alice), answer)
	}
}
