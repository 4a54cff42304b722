package engine

import (
	"crypto/x509"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/client"
	"github.com/joinery-lab/joinery/engine/kubelet"
	"github.com/joinery-lab/joinery/engine/pki"
)

// listenerFor is the listener that an address leads a client to; nil when nobody
// listens there. Behind a load balancer all are alike: it is the first.
func (w *World) listenerFor(client, addr string) (at string, l *listener) {
	host, _ := split(client)
	at, _ = w.resolve(addr)
	if w.Config.controls() > 1 && at == w.Config.endpoint() {
		_, port, _ := strings.Cut(at, ":")
		at = controlIPs[0] + ":" + port
	}
	return at, w.at(host, at)
}

// connNeeds is what would have to be different for a client to get through to a
// server: it can't be reached, or the client refuses its certificate.
func (w *World) connNeeds(client string, t trouble) (out []Reason) {
	host, _ := split(client)
	at, l := w.listenerFor(client, t.Server)
	switch {
	case strings.Contains(t.Error, "connection refused"):
		return []Reason{reason("unit", "unit", w.unitAt(at))}
	case l == nil || t.Dial == nil || !strings.Contains(t.Error, "x509: ") && !strings.Contains(t.Error, "tls: "):
		return []Reason{reason("link", "host", host, "server", t.Server)}
	}
	certs, _ := pki.ParseCerts(l.Listen.Cert)
	_, kubeletServes := w.actorAt(l.Server).(*kubelet.Kubelet)
	switch {
	case len(certs) == 0:
	case strings.Contains(t.Error, "is before"), strings.Contains(t.Error, "is after"):
		m := w.machine(host)
		if by := m.Clock.Skew(w.Clock); by.Abs() > time.Minute {
			add(&out, reason("clock", "host", host, "by", (-by).String()))
		} else {
			add(&out, reason("certificate", "subject", certs[0].Subject.CommonName))
		}
	case strings.Contains(t.Error, "unknown authority") && !kubeletServes:
		add(&out, reason("ca", "host", host))
	case strings.Contains(t.Error, "unknown authority"):
		if !w.selfMade(l.Server) {
			add(&out, w.trust(client, certs[0]))
		}
	case strings.Contains(t.Error, "key usage"):
		add(&out, reason("usage", "unit", l.Server, "usage", "server auth", "subject", certs[0].Subject.CommonName))
	default:
		add(&out, reason("name", "unit", l.Server, "name", serverName(t.Dial), "has", strings.Join(namesIn(certs[0]), ", ")))
	}
	if kubeletServes {
		add(&out, w.servingNeeds(l.Server)...)
	}
	return out
}

// getsThrough tells whether a client that could not be connected would be now: it
// may not have tried since.
func (w *World) getsThrough(client string, t trouble) bool {
	_, l := w.listenerFor(client, t.Server)
	host, _ := split(client)
	return t.Dial != nil && l != nil && strings.Contains(t.Error, "tls: ") && w.greet(host, t.Dial, l).OK
}

// actorAt is the actor that runs at an address; nil for none.
func (w *World) actorAt(addr string) any {
	if p := w.Procs[addr]; p != nil {
		return p.actor
	}
	return nil
}

// unitAt is the unit that would listen at "ip:port".
func (w *World) unitAt(at string) string {
	host := w.hostAt(at)
	switch {
	case strings.HasSuffix(at, ":10250"):
		return host + "/kubelet"
	case strings.HasSuffix(at, ":6443"):
		return "kube-apiserver"
	}
	return at
}

// namesIn are the names that a server's certificate is for.
func namesIn(c *x509.Certificate) (out []string) {
	out = append(out, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return out
}

// trust is where a client gets the CAs that it takes kubelets' certificates from.
func (w *World) trust(client string, cert *x509.Certificate) Reason {
	host, name := split(client)
	const flag = "kubelet-certificate-authority"
	has := ""
	if f, err := w.machine(host).readUnit(name); err == nil {
		has = flagsOf(f.Args[1:])[flag]
	}
	return reason("trust", "unit", client, "flag", "--"+flag, "has", has, "issuer", cert.Issuer.CommonName)
}

// selfMade tells whether a kubelet serves the pair that it made for itself.
func (w *World) selfMade(addr string) bool {
	k, ok := w.actorAt(addr).(*kubelet.Kubelet)
	return ok && !k.Port.Bootstrap && k.Port.CertFile == k.Flags.CertDir+"/kubelet.crt"
}

// servingNeeds is what a kubelet's own certificate for its port waits for.
func (w *World) servingNeeds(addr string) (out []Reason) {
	k, ok := w.actorAt(addr).(*kubelet.Kubelet)
	host, name := split(addr)
	switch {
	case !ok:
	case w.selfMade(addr):
		add(&out, reason("serving", "host", host, "path", k.Flags.Config, "file", k.Port.CertFile))
	case !k.Port.Bootstrap:
		add(&out, reason("pair", "host", host, "path", k.Port.CertFile))
	default:
		var inner Explanation
		if csr := w.machine(host).unit(name).Beside[name+"-serving"]["csr"]; csr != "" && w.whyCSR(&inner, csr) == nil {
			add(&out, inner.Needs...)
		}
	}
	return out
}

// explainServing says how a kubelet fares with the certificate for its port,
// while it waits for one.
func (w *World) explainServing(e *Explanation, m *machine) {
	args := m.unit("kubelet").Beside["kubelet-serving"]
	if args["phase"] == "" || args["phase"] == kubelet.PhaseJoined || args["phase"] == kubelet.PhaseIssued {
		return
	}
	var inner Explanation
	if args["csr"] == "" || w.whyCSR(&inner, args["csr"]) != nil {
		return
	}
	add(&e.Knows, reason("serving-waits", "csr", args["csr"], "state", inner.State.Kind))
	add(&e.Knows, inner.Knows...)
	add(&e.Needs, inner.Needs...)
	if t, err := time.Parse(time.RFC3339Nano, args["next"]); err == nil && t.After(w.Clock) {
		next := reason("ask-again")
		if inner.State.Kind != "csr-pending" {
			next = reason("retry")
		}
		add(&e.Next, next.at(t))
	}
}

// explainCallers says who can't do at a kubelet's port what they want to, and
// why: it is mostly the caller who knows.
func (w *World) explainCallers(e *Explanation, m *machine) {
	own := m.Name + "/kubelet"
	for _, client := range keys(w.Troubles) {
		if _, unit := split(client); unit == "terminal" {
			continue
		}
		for _, aspect := range keys(w.Troubles[client]) {
			t := w.Troubles[client][aspect]
			at, _ := w.listenerFor(client, t.Server)
			if aspect == aspectAnswer+own || strings.HasPrefix(aspect, aspectConn) && w.unitAt(at) == own {
				w.explainPeer(e, client, t)
			}
		}
	}
}

// explainPeers says whom of those that a program calls, besides API servers, it
// can't use, and why.
func (w *World) explainPeers(e *Explanation, client string) {
	for _, aspect := range keys(w.Troubles[client]) {
		if strings.HasPrefix(aspect, aspectConn) || strings.HasPrefix(aspect, aspectAnswer) {
			w.explainPeer(e, client, w.Troubles[client][aspect])
		}
	}
}

// explainPeer says why a client gets nothing from a server.
func (w *World) explainPeer(e *Explanation, client string, t trouble) {
	if t.Code == 0 && w.getsThrough(client, t) || t.Code == 403 && len(w.mayNeeds(t)) == 0 {
		return
	}
	w.triesAgain(e, client)
	if t.Code == 0 {
		add(&e.Knows, reason("no-connection", "client", client, "server", t.Server), w.log(client, t.Error, 0))
		if strings.Contains(t.Error, "internal error") {
			// The server has no certificate to show, and says why.
			if _, l := w.listenerFor(client, t.Server); l != nil && l.Listen.Without != "" {
				add(&e.Knows, w.log(l.Server, l.Listen.Without, 0))
			}
		}
		add(&e.Needs, w.connNeeds(client, t)...)
		return
	}
	add(&e.Knows, reason("answered", "client", client, "unit", t.Server, "code", strconv.Itoa(t.Code), "request", t.Request, "as", t.Args["user"]))
	if t.Log != "" {
		add(&e.Knows, w.log(t.Server, t.Log, t.V))
	}
	host, _ := split(t.Server)
	switch {
	case t.Code == 401 && t.Log == "":
		add(&e.Knows, reason("no-log", "unit", t.Server))
		add(&e.Needs, reason("flag", "unit", client, "flag", "--kubelet-client-certificate"))
	case t.Code == 401 && strings.Contains(t.Log, "unknown authority"):
		if k, ok := w.actorAt(t.Server).(*kubelet.Kubelet); ok {
			add(&e.Needs, reason("kubelet-client-ca", "host", host, "path", k.Port.ClientCA))
		}
	case t.Code == 401 && strings.Contains(t.Log, "key usage"):
		add(&e.Needs, reason("usage", "unit", client, "usage", "client auth"))
	case t.Code == 401 && (strings.Contains(t.Log, "is before") || strings.Contains(t.Log, "is after")):
		add(&e.Needs, reason("client-certificate", "unit", client))
		if by := w.machine(host).Clock.Skew(w.Clock); by.Abs() > time.Minute {
			add(&e.Needs, reason("clock", "host", host, "by", (-by).String()))
		}
	case t.Code == 403:
		add(&e.Needs, w.mayNeeds(t)...)
	case t.Code == 500 && t.Log != "":
		// It could not ask the API server about the caller: what keeps it from
		// that keeps it from everything.
		var own Explanation
		w.explainTroubles(&own, t.Server, w.machine(host))
		e.Knows, e.Needs = append(e.Knows, own.Knows...), append(e.Needs, own.Needs...)
	}
}

// triesAgain says when a client calls a server again.
func (w *World) triesAgain(e *Explanation, addr string) {
	next := reason("when-asked", "client", addr)
	if k, ok := w.actorAt(addr).(*client.Client); ok && k.Scraper != nil && k.Scraper.Due {
		next = reason("every", "client", addr, "every", k.Flags.Resolution.String())
	}
	add(&e.Next, next)
}

// mayNeeds is the binding that a refusal of a kubelet's asks for.
func (w *World) mayNeeds(t trouble) []Reason {
	var would api.Would
	if json.Unmarshal([]byte(t.Args["would"]), &would) == nil {
		return bindings(&would)
	}
	_, s := w.server()
	if s == nil {
		return nil
	}
	resource, sub, _ := strings.Cut(t.Args["resource"], "/")
	_, missing := s.May(t.Args["user"], strings.Split(t.Args["groups"], ","), t.Args["verb"], t.Args["group"], resource, sub, t.Args["name"])
	return bindings(missing)
}

// whyAPIService explains an APIService that another server answers for, and
// whether that one has what it is asked for.
func (w *World) whyAPIService(e *Explanation, name string) error {
	addr, s := w.server()
	if s == nil {
		e.State = reason("apiservice-unknown", "name", name)
		add(&e.Needs, reason("unit", "unit", "kube-apiserver"))
		return nil
	}
	a, ok := s.Aggregated(name)
	if !ok {
		e.State = reason("apiservice-missing", "name", name)
		add(&e.Needs, reason("apiservice", "name", name))
		return nil
	}
	if a.Service == "" || a.Status == "True" {
		e.State = reason("apiservice-available", "name", name)
	} else {
		e.State = reason("apiservice-unavailable", "name", name, "reason", a.Reason, "message", a.Message)
		add(&e.Knows, reason("apiservice-condition", "name", name, "message", a.Message))
		if !a.Looks.IsZero() {
			add(&e.Next, reason("retry").at(a.Looks))
		}
	}
	if a.Service == "" {
		return nil
	}
	w.explainAskers(e, name)
	if a.Bundle != "" {
		add(&e.Knows, w.log(addr, name+" failed with: "+a.Bundle, 0))
		add(&e.Needs, reason("ca-bundle", "name", name))
		return nil
	}
	if a.Reason == "ServiceNotFound" {
		add(&e.Needs, reason("service", "name", a.Namespace+"/"+a.Service))
		return nil
	}
	for _, m := range w.Machines {
		if _, err := m.readUnit(a.Service); err != nil {
			continue
		}
		if w.Procs[m.Name+"/"+a.Service] == nil {
			var inner Explanation
			if w.whyUnit(&inner, m.Name, a.Service) == nil {
				e.Knows, e.Needs, e.Next = append(e.Knows, inner.Knows...), append(e.Needs, inner.Needs...), append(e.Next, inner.Next...)
			}
			return nil
		}
		if a.Reason == "MissingEndpoints" {
			add(&e.Knows, w.log(m.Name+"/"+a.Service, `"Failed probe" probe="metric-storage-ready" err="no metrics to serve"`, 0))
		}
		w.explainPeers(e, m.Name+"/"+a.Service)
	}
	t, ok := w.Troubles[addr][aspectConn+a.Addr]
	switch {
	case !ok || a.Status == "True" || a.Reason == "MissingEndpoints":
	case strings.Contains(t.Error, "unknown authority"):
		add(&e.Needs, reason("ca-bundle", "name", name))
	default:
		add(&e.Needs, w.connNeeds(addr, t)...)
	}
	return nil
}

// explainAskers says who may not ask for an API that another server answers for.
func (w *World) explainAskers(e *Explanation, name string) {
	version, group, _ := strings.Cut(name, ".")
	for _, client := range keys(w.Troubles) {
		if t := w.Troubles[client][aspectOther]; t.Code == 403 && strings.Contains(t.Request, "/apis/"+group+"/"+version+"/") {
			w.explainPeer(e, client, t)
		}
	}
}

// verbosity is the -v of what runs at an address, or of what its unit file would
// start there.
func (w *World) verbosity(addr string) int {
	switch a := w.actorAt(addr).(type) {
	case interface{ Verbosity() int }:
		return a.Verbosity()
	case *kubelet.Kubelet:
		return a.Flags.V
	case *client.Client:
		return a.Flags.V
	}
	host, name := split(addr)
	m := w.machine(host)
	if m == nil {
		return 0
	}
	f, err := m.readUnit(name)
	if err != nil {
		return 0
	}
	v := 0
	for i, a := range f.Args {
		a, ok := strings.CutPrefix(strings.TrimPrefix(a, "-"), "-v")
		switch {
		case !ok:
		case a == "" && i+1 < len(f.Args):
			v, _ = strconv.Atoi(f.Args[i+1])
		default:
			v, _ = strconv.Atoi(strings.TrimPrefix(a, "="))
		}
	}
	return v
}
