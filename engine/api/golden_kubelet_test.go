package api_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kubelets are the nodes of n, by name. They are stand-ins: a listener with a
// serving certificate, the client CA ca, and the answers that n's notes tell.
// What is under test is the API server that calls them.
type kubelets struct {
	servers map[string]*api.Server // by the letter of n's notes
	listen  map[string]pki.Server  // by address
	down    map[string]bool
}

// nodes of n and their ports.
var nodes = map[string]int{"n-selfsigned": 10251, "n-serving-csr": 10252, "n-expired": 10253, "n-wrongname": 10254}

const nodeIP = "192.0.2.2"

// letters are the seven API servers: what each has besides the usual flags.
var letters = map[string]string{
	"A":    "--kubelet-client-certificate=PKI/apiserver-kubelet-client.crt --kubelet-client-key=PKI/apiserver-kubelet-client.key",
	"B":    "--kubelet-client-certificate=PKI/apiserver-kubelet-client.crt --kubelet-client-key=PKI/apiserver-kubelet-client.key --kubelet-certificate-authority=PKI/ca.crt",
	"C":    "--kubelet-certificate-authority=PKI/ca.crt",
	"D":    "--kubelet-client-certificate=PKI/alice.crt --kubelet-client-key=PKI/alice.key --kubelet-certificate-authority=PKI/ca.crt",
	"E":    "--kubelet-client-certificate=PKI/other-ca.crt --kubelet-client-key=PKI/other-ca.key --kubelet-certificate-authority=PKI/ca.crt",
	"F":    "--kubelet-client-certificate=PKI/apiserver-kubelet-client.crt --kubelet-client-key=PKI/apiserver-kubelet-client.key --kubelet-certificate-authority=PKI/ca2.crt",
	"main": "--kubelet-client-certificate=PKI/apiserver-kubelet-client.crt --kubelet-client-key=PKI/apiserver-kubelet-client.key --kubelet-certificate-authority=PKI/ca.crt",
}

// callKubelets makes the API servers, the nodes and the pods of n.
func (w *replay) callKubelets(t *testing.T) {
	t.Helper()
	w.kubelets = &kubelets{servers: map[string]*api.Server{}, listen: map[string]pki.Server{}, down: map[string]bool{}}
	kr := pki.Keyring{Seed: "golden"}
	ca2, err := pki.NewAuthority(kr, "ca2", "kubernetes-ca-2", w.now.Add(-time.Hour), w.now.AddDate(10, 0, 0))
	require.NoError(t, err)
	w.ca2 = ca2
	write := func(name string, data []byte) {
		require.NoError(t, w.disk.WriteFile("/etc/kubernetes/pki/"+name, data, 0o600, w.now))
	}
	write("ca2.crt", ca2.CertPEM())
	for name, c := range map[string]struct {
		ca      *pki.Authority
		subject pkix.Name
	}{
		"apiserver-kubelet-client": {w.ca, pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}},
		"alice":                    {w.ca, pkix.Name{CommonName: "alice", Organization: []string{"dev"}}},
		"other-ca":                 {ca2, pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}},
	} {
		w.ids++
		cert, err := c.ca.Leaf(pki.LeafSpec{Subject: c.subject, Client: true, NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.AddDate(1, 0, 0), Serial: []byte{2, byte(w.ids)}}, kr.ECDSA(name).Public())
		require.NoError(t, err)
		write(name+".crt", cert)
		write(name+".key", pki.KeyPEM(kr.ECDSA(name)))
	}
	for letter, more := range letters {
		args := append(strings.Fields(usualFlags), strings.Fields(strings.ReplaceAll(more, "PKI", "/etc/kubernetes/pki"))...)
		if letter != "main" {
			args = append(args, "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname")
		}
		s, err := api.New(era.Must("1.36"), args, w.store)
		require.NoError(t, err)
		s.Step(w.ctx(), sim.Msg{Kind: sim.MsgStart})
		w.kubelets.servers[letter] = s
	}
	w.must(t, "POST", "/api/v1/namespaces/default/serviceaccounts", map[string]any{"metadata": map[string]any{"name": "default"}})
	for name, port := range nodes {
		w.must(t, "POST", "/api/v1/nodes", map[string]any{"metadata": map[string]any{"name": name}, "status": map[string]any{
			"addresses":       []any{map[string]any{"type": "InternalIP", "address": nodeIP}, map[string]any{"type": "Hostname", "address": name}},
			"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": port}}}})
		w.must(t, "POST", "/api/v1/namespaces/default/pods", map[string]any{"metadata": map[string]any{"name": "p-" + name},
			"spec": map[string]any{"nodeName": name, "containers": []any{map[string]any{"name": "c", "image": "i"}}}})
	}
	own, err := pki.NewAuthority(kr, "self", "n-selfsigned-ca", w.now.Add(-time.Hour), w.now.AddDate(1, 0, 0))
	require.NoError(t, err)
	w.serve(t, "n-selfsigned", own, w.now.AddDate(1, 0, 0), "n-selfsigned", "")
	w.serve(t, "n-expired", w.ca, w.now.Add(-30*time.Minute), "n-expired", nodeIP)
	w.serve(t, "n-wrongname", w.ca, w.now.AddDate(1, 0, 0), "", "10.9.9.9")
}

// serve gives a node's kubelet a serving certificate.
func (w *replay) serve(t *testing.T, node string, ca *pki.Authority, until time.Time, dns, ip string) {
	t.Helper()
	kr := pki.Keyring{Seed: "golden"}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(int64(nodes[node])), Subject: pkix.Name{CommonName: node}, NotBefore: w.now.Add(-time.Hour), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	if dns != "" {
		tmpl.DNSNames = []string{dns}
	}
	if ip != "" {
		tmpl.IPAddresses = []net.IP{net.ParseIP(ip)}
	}
	der, err := x509.CreateCertificate(nil, tmpl, ca.Cert, kr.ECDSA(node).Public(), ca.Key)
	require.NoError(t, err)
	w.kubelets.listen[fmt.Sprintf("%s:%d", nodeIP, nodes[node])] = pki.Server{Cert: pki.CertPEM(der), Key: pki.KeyPEM(kr.ECDSA(node))}
}

// kubeletState brings the kubelets to what the name of a recording says.
func (w *replay) kubeletState(t *testing.T, r golden.Recording) {
	t.Helper()
	addr := fmt.Sprintf("%s:%d", nodeIP, nodes["n-serving-csr"])
	if strings.Contains(r.File, "-signed-") {
		if len(w.kubelets.listen[addr].Cert) == 0 {
			w.serve(t, "n-serving-csr", w.ca, w.now.AddDate(1, 0, 0), "n-serving-csr", nodeIP)
		}
	} else if strings.Contains(r.File, "-pending-") {
		w.kubelets.listen[addr] = pki.Server{Without: "no serving certificate available for the kubelet"}
	}
	w.kubelets.down[fmt.Sprintf("%s:%d", nodeIP, nodes["n-wrongname"])] = strings.Contains(r.File, "-kubelet-down-")
}

// asked is the API server that a note of n names, nil elsewhere.
func (w *replay) asked(t *testing.T, x *exchange) *api.Server {
	t.Helper()
	letter, ok := strings.CutPrefix(x.Note, "apiserver ")
	if !ok || w.kubelets == nil {
		return nil
	}
	letter, _, _ = strings.Cut(letter, "-")
	require.Contains(t, w.kubelets.servers, letter)
	return w.kubelets.servers[letter]
}

// settleAt sends a request to a server and waits for its answer, which may wait
// for a kubelet's.
func settleAt(t *testing.T, w *replay, s *api.Server, r *sim.Request) sim.Response {
	t.Helper()
	w.ids++
	stream := w.ids
	r.Stream = stream
	todo := []sim.Msg{{Kind: sim.MsgRequest, Stream: stream, Req: r}}
	for len(todo) > 0 {
		c := w.ctx()
		s.Step(c, todo[0])
		todo = todo[1:]
		for _, e := range c.Effects {
			switch e.Kind {
			case sim.EffReply:
				require.Equal(t, stream, e.Stream)
				return *e.Resp
			case sim.EffSend:
				todo = append(todo, w.kubelets.answer(t, w, &e))
			}
		}
	}
	require.Fail(t, "no answer came")
	return sim.Response{}
}

// answer is what a kubelet of n does with a connection and a request.
func (k *kubelets) answer(t *testing.T, w *replay, e *sim.Effect) sim.Msg {
	t.Helper()
	failed := func(words string) sim.Msg { return sim.Msg{Kind: sim.MsgFailed, Stream: e.Stream, Err: words} }
	host, _, err := net.SplitHostPort(e.Dial.Addr)
	require.NoError(t, err)
	if net.ParseIP(host) == nil {
		return failed("dial tcp: lookup " + host + " on 192.0.2.53:53: no such host")
	}
	srv, ok := k.listen[e.Dial.Addr]
	if !ok || k.down[e.Dial.Addr] {
		return failed("dial tcp " + e.Dial.Addr + ": connect: connection refused")
	}
	h := pki.Greet(pki.Client{Roots: e.Dial.Roots, Insecure: e.Dial.Insecure, ServerName: e.Dial.ServerName, Cert: e.Dial.Cert, Key: e.Dial.Key}, srv, w.now)
	if !h.OK {
		return failed(h.ClientError)
	}
	says := func(code int, body string) sim.Msg {
		return sim.Msg{Kind: sim.MsgResponse, Stream: e.Stream, Resp: &sim.Response{Code: code, Body: []byte(body), Header: http.Header{"Content-Type": {"text/plain; charset=utf-8"}, "X-Content-Type-Options": {"nosniff"}}}}
	}
	path, _, _ := strings.Cut(e.Req.URL, "?")
	var chain []*x509.Certificate
	for _, der := range h.ClientChain {
		c, err := pki.ParseDER(der)
		require.NoError(t, err)
		chain = append(chain, c)
	}
	if len(chain) == 0 || pki.Verify(chain, []*x509.Certificate{w.ca.Cert}, x509.ExtKeyUsageClientAuth, w.now) != nil {
		r := says(401, "Unauthorized")
		r.Resp.Header.Del("X-Content-Type-Options")
		return r
	}
	if user := chain[0].Subject.CommonName; user == "alice" {
		sub := "proxy"
		if path == "/healthz" {
			sub = "healthz proxy"
		}
		r := says(403, fmt.Sprintf("Forbidden (user=%s, verb=get, resource=nodes, subresource(s)=[%s])\n", user, sub))
		r.Resp.Header.Del("X-Content-Type-Options")
		return r
	}
	switch {
	case path == "/healthz":
		return says(200, "ok")
	case strings.HasPrefix(path, "/containerLogs/default/p-n-") && strings.HasSuffix(path, "/c"):
		return says(200, "line 1\nline 2\nline 3\n")
	}
	return says(404, "404 page not found\n")
}
