package engine_test

import (
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// badServers are the certificates that the recorder's second API server
// presented, by the words of his files.
var badServers = map[string]func(s *pki.LeafSpec, now time.Time) (ca string){
	"expired": func(s *pki.LeafSpec, now time.Time) string {
		s.NotBefore, s.NotAfter = now.Add(-2*time.Hour), now.Add(-time.Hour)
		return "ca"
	},
	"future": func(s *pki.LeafSpec, now time.Time) string {
		s.NotBefore, s.NotAfter = now.Add(time.Hour), now.Add(2*time.Hour)
		return "ca"
	},
	"wrong-name": func(s *pki.LeafSpec, now time.Time) string {
		s.DNS, s.IPs = []string{"somewhere-else"}, ips("10.9.9.9")
		return "ca"
	},
	"unknown-ca":   func(*pki.LeafSpec, time.Time) string { return "ca2" },
	"same-name-ca": func(*pki.LeafSpec, time.Time) string { return "rogue-ca" },
	"no-san": func(s *pki.LeafSpec, now time.Time) string {
		s.DNS, s.IPs, s.Subject.CommonName = nil, nil, "10.0.0.10"
		return "ca"
	},
	"clientauth-only": func(s *pki.LeafSpec, now time.Time) string { s.Server, s.Client = false, true; return "ca" },
}

func ips(list ...string) (out []net.IP) {
	for _, s := range list {
		out = append(out, net.ParseIP(s).To4())
	}
	return out
}

// otherCAs are the recorder's CAs beside that of the cluster.
func otherCA(t *testing.T, name string, now time.Time) *pki.Authority {
	t.Helper()
	cn := map[string]string{"ca2": "kubernetes-ca-2", "rogue-ca": "kubernetes"}[name]
	ca, err := pki.NewAuthority(pki.Keyring{Seed: name}, name, cn, now.Add(-time.Hour), now.AddDate(10, 0, 0))
	require.NoError(t, err)
	return ca
}

// present makes the API server present such a certificate.
func present(t *testing.T, w *engine.World, kind string) {
	t.Helper()
	c := &city{t, w}
	spec := pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, Server: true, DNS: []string{"kubernetes"}, IPs: ips("10.0.0.10", "127.0.0.1"),
		NotBefore: w.Now().Add(-time.Minute), NotAfter: w.Now().AddDate(1, 0, 0), Serial: []byte{3}}
	require.Contains(t, badServers, kind)
	ca := c.cluster()
	if name := badServers[kind](&spec, w.Now()); name != "ca" {
		ca = otherCA(t, name, w.Now())
	}
	key := pki.Keyring{Seed: "present"}.ECDSA(kind)
	cert, err := ca.Leaf(spec, key.Public())
	require.NoError(t, err)
	c.put("/etc/kubernetes/pki/apiserver.crt", string(cert))
	c.put("/etc/kubernetes/pki/apiserver.key", string(pki.KeyPEM(key)))
}

// shakes is the world in which the recorder's clients shake hands again.
type shakes struct {
	*city
	kind string
	// heard is what happened at the number, calls how many were sent without a
	// program.
	heard  []trace.Observation
	number int
	calls  int
}

func playHandshakes(t *testing.T, _ string) golden.Play {
	w := &shakes{city: newCity(t, "handshakes")}
	// The recorder's server knew of no front proxy.
	for name, value := range map[string]string{"v": "5", "requestheader-client-ca-file": ""} {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-apiserver", Name: name, Value: value}}))
	}
	w.pass(10 * time.Second)
	w.files()
	return w.play
}

// files are what the recorder's kubeconfigs name. What is wrong with each stands
// in its recording's first line.
func (w *shakes) files() {
	put := func(name, text string) {
		require.Empty(w.t, w.say("admin", "cat > "+name+" <<'EOF'\n"+text+"EOF"))
	}
	w.say("admin", "mkdir -p /etc/kubernetes/pki")
	cert, key := w.leaf(w.cluster(), "kubernetes-admin", time.Hour, false)
	_, other := w.leaf(w.cluster(), "other", time.Hour, false)
	put("/etc/kubernetes/pki/p.crt", cert)
	put("/etc/kubernetes/pki/p.key", key)
	put("/etc/kubernetes/pki/p-other.key", other)
	for _, name := range []string{"ca2", "rogue-ca"} {
		put("/etc/kubernetes/pki/"+name+".crt", string(otherCA(w.t, name, w.Now()).CertPEM()))
	}
	put("/etc/kubernetes/pki/empty.crt", "")
	put("/etc/kubernetes/pki/garbage.crt", "no PEM\n")
	for name, x := range map[string]struct{ ca, server, cert, key string }{
		"p1": {ca: "ca2"}, "p2": {ca: "rogue-ca"}, "p3": {server: "127.0.0.2:16443"}, "p4": {key: "p-other"}, "p5": {cert: "nosuch"},
		"p6": {ca: "nosuch"}, "p7": {ca: "empty"}, "p8": {ca: "garbage"}, "p9": {server: "127.0.0.1:16499"}, "pb": {},
	} {
		or := func(s, other string) string {
			if s == "" {
				return other
			}
			return s
		}
		put("/etc/kubernetes/"+name+".kubeconfig", fmt.Sprintf("clusters: [{name: oracle, cluster: {server: 'https://%s', certificate-authority: /etc/kubernetes/pki/%s.crt}}]\ncontexts: [{name: c, context: {cluster: oracle, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {client-certificate: /etc/kubernetes/pki/%s.crt, client-key: /etc/kubernetes/pki/%s.key}}]\n",
			or(x.server, "10.0.0.10:6443"), or(x.ca, "ca"), or(x.cert, "p"), or(x.key, "p")))
	}
}

// badClients are the certificates of j2's clients, by the words of its files.
var badClients = map[string]func(s *pki.LeafSpec, now time.Time) (ca string){
	"ok":         func(*pki.LeafSpec, time.Time) string { return "ca" },
	"expired":    func(s *pki.LeafSpec, now time.Time) string { s.NotAfter = now.Add(-time.Hour); return "ca" },
	"future":     func(s *pki.LeafSpec, now time.Time) string { s.NotBefore = now.Add(time.Hour); return "ca" },
	"unknownca":  func(*pki.LeafSpec, time.Time) string { return "ca2" },
	"rogue":      func(*pki.LeafSpec, time.Time) string { return "rogue-ca" },
	"serveronly": func(s *pki.LeafSpec, _ time.Time) string { s.Client, s.Server = false, true; return "ca" },
	"noeku":      func(s *pki.LeafSpec, _ time.Time) string { s.Client = false; return "ca" },
	"nocn":       func(s *pki.LeafSpec, _ time.Time) string { s.Subject.CommonName = ""; return "ca" },
	"empty":      func(s *pki.LeafSpec, _ time.Time) string { s.Subject = pkix.Name{}; return "ca" },
}

// client is a certificate of bob's that is bad in such a way, and its key.
func (w *shakes) client(kind string) (cert, key []byte) {
	w.t.Helper()
	s := pki.LeafSpec{Subject: pkix.Name{CommonName: "bob", Organization: []string{"dev", "ops"}}, Client: true, NotBefore: w.Now().Add(-2 * time.Hour), NotAfter: w.Now().Add(2 * time.Hour), Serial: []byte{4}}
	require.Contains(w.t, badClients, kind)
	ca := w.cluster()
	if name := badClients[kind](&s, w.Now()); name != "ca" {
		ca = otherCA(w.t, name, w.Now())
	}
	k := pki.Keyring{Seed: "golden"}.ECDSA(kind)
	cert, err := ca.Leaf(s, k.Public())
	require.NoError(w.t, err)
	return cert, pki.KeyPEM(k)
}

// bring makes j2's world what it was at a recording, and the kubeconfig the one
// that was used: whose name does not show there.
func (w *shakes) bring(file string) {
	t := w.t
	put := func(name, text string) {
		t.Helper()
		require.Empty(t, w.say("admin", "cat > "+name+" <<'EOF'\n"+text+"EOF"))
	}
	ca, pair := "ca", "p"
	name := strings.TrimSuffix(file[len("NN-kubectl-"):], ".txt")
	if kind, ok := strings.CutPrefix(name, "client-cert-"); ok {
		cert, key := w.client(kind)
		put("/etc/kubernetes/pki/x.crt", string(cert))
		put("/etc/kubernetes/pki/x.key", string(key))
		pair = "x"
	}
	trust := func(file string) {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-apiserver", Name: "client-ca-file", Value: file}}))
		w.pass(10 * time.Second)
	}
	switch name {
	case "admin-old-ca-removed":
		w.put("/etc/kubernetes/pki/client-ca.crt", string(otherCA(t, "ca2", w.Now()).CertPEM()))
		trust("/etc/kubernetes/pki/client-ca.crt")
	case "wrong-ca":
		trust("/etc/kubernetes/pki/ca.crt")
		ca = "ca2"
	case "same-name-rogue-ca":
		ca = "rogue-ca"
	case "srv-future", "srv-clientonly", "srv-nosan":
		present(t, w.World, map[string]string{"srv-future": "future", "srv-clientonly": "clientauth-only", "srv-nosan": "no-san"}[name])
		w.pass(time.Second)
	}
	put("/tmp/j2.kubeconfig", fmt.Sprintf("clusters: [{name: oracle, cluster: {server: 'https://10.0.0.10:6443', certificate-authority: /etc/kubernetes/pki/%s.crt}}]\ncontexts: [{name: c, context: {cluster: oracle, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {client-certificate: /etc/kubernetes/pki/%s.crt, client-key: /etc/kubernetes/pki/%s.key}}]\n", ca, pair, pair))
}

func (w *shakes) play(t *testing.T, rec golden.Recording) {
	w.t = t
	if strings.HasPrefix(rec.Folder, "j2-") {
		w.bring(rec.File)
		w.compareKubectl(strings.Replace(rec.Text(t), "$ kubectl ", "$ kubectl --kubeconfig=/tmp/j2.kubeconfig ", 1))
		return
	}
	if kind, ok := strings.CutPrefix(regexp.MustCompile(`bad-server-[a-z-]+?(-apiserver)?\.`).FindString(rec.File), "bad-server-"); ok {
		if kind = strings.TrimSuffix(strings.TrimSuffix(kind, "."), "-apiserver"); w.kind != kind {
			w.kind = kind
			present(t, w.World, kind)
			w.pass(time.Second)
		}
	}
	if w.number != rec.Number {
		w.number, w.heard = rec.Number, nil
	}
	text := rec.Text(t)
	switch {
	case strings.HasSuffix(rec.File, "-apiserver.log"):
		w.compareServer(text)
	case strings.HasSuffix(rec.File, ".json"):
		w.compareBytes(text)
	case strings.Contains(text, "openssl s_client"):
		w.compareOpenSSL(text)
	case strings.Contains(rec.File, "-client-cert-"):
		w.compareClient(strings.TrimSuffix(rec.File[len("NN-client-cert-"):], ".txt"), text)
	default:
		w.compareKubectl(text)
	}
}

// place names the recorder's servers as ours are named.
func place(text string) string {
	return regexp.MustCompile(`127\.0\.0\.1:164(43|51)`).ReplaceAllString(text, "10.0.0.10:6443")
}

// compareKubectl types a command again. The lines of kubectl's own log, how often
// it tried, are the terminal's matter.
func (w *shakes) compareKubectl(text string) {
	t := w.t
	m := blocks.FindStringSubmatch(text)
	require.NotNil(t, m, "a recording of another form")
	line := place(m[1])
	if strings.Contains(line, "/dev/null") || strings.Contains(m[3], "system:anonymous") {
		// The recorder's kubectl remembered what the server offers, which it could
		// not have asked here.
		line = strings.Replace(strings.Replace(line, "get csr", "get --raw "+csrsPath, 1), "get nodes", "get --raw /api/v1/nodes", 1)
	}
	obs, err := w.Say("admin", line, time.Minute)
	require.NoError(t, err)
	w.pass(10 * time.Millisecond)
	w.heard = append(w.heard, obs...)
	var out, errs, status string
	for _, o := range obs {
		switch {
		case o.Kind == trace.Printed && o.Args["stream"] == "stderr":
			errs += o.Payload
		case o.Kind == trace.Printed:
			out += o.Payload
		case o.Kind == trace.Done:
			status = o.Args["status"]
		}
	}
	want := memcache.ReplaceAllString(m[3], "")
	want = regexp.MustCompile(`Unable to list "[^"]*": (.*) \(get [a-z.0-9]+\)`).ReplaceAllString(want, "$1")
	same := func(s string) string {
		return strings.TrimSpace(times(strings.ReplaceAll(place(s), "not 127.0.0.1", "not 10.0.0.10")))
	}
	require.Equal(t, same(want), same(errs))
	require.Equal(t, same(m[2]), same(out))
	require.Equal(t, m[4], status)
}

func times(s string) string {
	return regexp.MustCompile(`current time \S+ is (after|before) [0-9T:Z-]+`).ReplaceAllString(s, "current time TIME is $1 TIME")
}

// compareClient shows a bad client certificate, which is no handshake error, and
// compares the answer.
func (w *shakes) compareClient(kind, text string) {
	t := w.t
	cert, _ := w.client(map[string]string{"unknown-ca": "unknownca", "same-name-ca": "rogue"}[kind] + map[string]string{"expired": "expired", "future": "future"}[kind])
	list, err := pki.ParseCerts(cert)
	require.NoError(t, err)
	w.calls++
	id := fmt.Sprint("call-", w.calls)
	require.NoError(t, w.Apply(engine.Input{External: &engine.External{ID: id, Addr: "10.0.0.10:6443", Request: sim.Request{Method: "GET", URL: csrsPath, Header: http.Header{}, Remote: "10.0.0.2:40000", Peer: [][]byte{list[0].Raw}}}}))
	w.AdvanceTo(w.Now().Add(10 * time.Millisecond))
	obs := w.Drain()
	w.heard = append(w.heard, obs...)
	i := slices.IndexFunc(obs, func(o trace.Observation) bool { return o.Kind == trace.Response && o.Args["external"] == id })
	require.GreaterOrEqual(t, i, 0, "no answer")
	m := blocks.FindStringSubmatch(text)
	require.NotNil(t, m, "a recording of another form")
	head, body, _ := strings.Cut(m[2], "\n\n")
	require.Contains(t, head, "HTTP/1.1 "+obs[i].Args["code"]+" ")
	require.JSONEq(t, body, obs[i].Payload)
}

// compareServer compares what the API server logged of it. How often a client
// tried is its own matter.
func (w *shakes) compareServer(text string) {
	read := func(lines []string) (out []string) {
		for _, line := range lines {
			m := regexp.MustCompile(`^([IWEF])\d{4} \S+ +\d+ ((?:secure_serving|authentication)\.go:\d+)\] (.*)$`).FindStringSubmatch(line)
			if m == nil {
				continue
			}
			s := m[1] + " " + m[2] + " " + times(m[3])
			s = regexp.MustCompile(`(handshake error from) [0-9.]+:\d+`).ReplaceAllString(s, "$1 CLIENT")
			// OpenSSL offers the signal of RFC 5746, 3.3, where Go sends the extension.
			s = strings.Replace(s, "client offered: [3c ff]", "client offered: [3c]", 1)
			if s = regexp.MustCompile(`\b(SN|AKID|SKID)=[0-9A-F:]*`).ReplaceAllString(s, "$1="); len(out) == 0 || out[len(out)-1] != s {
				out = append(out, s)
			}
		}
		return out
	}
	var lines []string
	for _, o := range w.heard {
		if o.Kind == trace.Log && o.Actor == "control-1/kube-apiserver" {
			lines = append(lines, o.Payload)
		}
	}
	require.Equal(w.t, read(strings.Split(text, "\n")), read(lines), "what the API server logged")
}
