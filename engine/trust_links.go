package engine

import (
	"crypto/x509"
	"fmt"
	dir "path"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/controllers"
	config "github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/kubelet"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// What objects hand on.
const (
	authMap     = "configmap/kube-system/extension-apiserver-authentication"
	clusterInfo = "configmap/kube-public/cluster-info"
	// aggregatedCA is an APIService's caBundle.
	aggregatedCA = "aggregated-ca"
)

// gather asks all processes, files and objects what they hold.
func (w *World) gather() *trustees {
	v := &trustees{w: w}
	used := map[string]bool{}
	for _, addr := range keys(w.Procs) {
		x, ok := w.Procs[addr].actor.(sim.Holder)
		if !ok {
			continue
		}
		host, unit := split(addr)
		if f, err := w.machine(host).readUnit(unit); err == nil {
			used[host+":"+flagsOf(f.Args[1:])["kubeconfig"]] = true
		}
		for _, h := range x.Trust(w.machine(host).Disk) {
			v.held = append(v.held, &trustee{h, addr, host})
		}
	}
	for _, m := range w.Machines {
		for _, top := range []string{"/etc/kubernetes", "/root", "/home"} {
			for _, name := range m.Disk.Walk(top) {
				if e := m.Disk.Entries[name]; e.Mode.IsRegular() && !used[m.Name+":"+name] {
					v.kubeconfig(m, name, e.Data)
				}
			}
		}
	}
	v.objects()
	v.find()
	return v
}

// kubeconfig takes in a file of a person's, if it is one.
func (v *trustees) kubeconfig(m *machine, name string, text []byte) {
	if !strings.Contains(string(text), "current-context:") {
		return
	}
	k, err := config.Parse(text)
	if err != nil {
		return
	}
	cluster, user := k.Current()
	if cluster == nil {
		return
	}
	c, _ := config.Read(m.Disk.ReadFile, dir.Dir(name), cluster, user)
	x := &cluster.Cluster
	holder := m.Name + ":" + name
	v.held = append(v.held, &trustee{sim.Held{Use: sim.ServerCA, File: or(c.CAFile, name), Has: c.Roots, Next: c.Roots, Server: x.Server, Name: x.ServerName, Insecure: x.Insecure, Token: c.Token != ""}, holder, m.Name})
	if len(c.Cert) > 0 {
		v.held = append(v.held, &trustee{sim.Held{Use: sim.Client, File: or(c.CertFile, name), Has: c.Cert, Next: c.Cert}, holder, m.Name})
	}
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// objects takes in what the API hands on.
func (v *trustees) objects() {
	addr, _ := v.w.server()
	host, _ := split(addr)
	if v.w.machine(host) == nil {
		host = v.w.Machines[0].Name
	}
	put := func(holder string, h sim.Held) {
		if h.Next = h.Has; len(h.Has) > 0 {
			v.held = append(v.held, &trustee{h, holder, host})
		}
	}
	roots := map[string][]string{}
	for o := range api.All[*corev1.ConfigMap](v.w.Store, "configmaps") {
		name := "configmap/" + o.Namespace + "/" + o.Name
		switch {
		case o.Name == "kube-root-ca.crt":
			roots[o.Data["ca.crt"]] = append(roots[o.Data["ca.crt"]], name)
		case name == authMap:
			for _, h := range v.held {
				if h.Fetched && h.Use == sim.FrontCA {
					h.Next = []byte(o.Data["requestheader-client-ca-file"])
				} else if h.Fetched && h.Use == sim.ClientCA {
					h.Next = []byte(o.Data["client-ca-file"])
				}
			}
			put(name, sim.Held{Use: sim.ClientCA, Has: []byte(o.Data["client-ca-file"]), Fetched: true})
			put(name, sim.Held{Use: sim.FrontCA, Has: []byte(o.Data["requestheader-client-ca-file"]), Fetched: true})
		case name == clusterInfo:
			// Anyone may ask, and shows nothing.
			if k, err := config.Parse([]byte(o.Data["kubeconfig"])); err == nil && len(k.Clusters) > 0 {
				x := k.Clusters[0].Cluster
				put(name, sim.Held{Use: sim.ServerCA, Has: x.CAData, Server: x.Server})
			}
		}
	}
	for _, text := range keys(roots) {
		list := roots[text]
		if len(list) > 1 {
			list = []string{"configmap/*/kube-root-ca.crt"}
			if len(roots) > 1 {
				list[0] += " (" + strings.Join(namespaces(roots[text]), ", ") + ")"
			}
		}
		put(list[0], sim.Held{Use: sim.RootCA, Has: []byte(text)})
	}
	for o := range api.All[*corev1.Secret](v.w.Store, "secrets") {
		if o.Type == corev1.SecretTypeServiceAccountToken {
			put("secret/"+o.Namespace+"/"+o.Name, sim.Held{Use: sim.RootCA, Has: o.Data[corev1.ServiceAccountRootCAKey]})
		}
	}
	if _, s := v.w.server(); s != nil {
		for _, name := range s.Aggregates() {
			if a, ok := s.Aggregated(name); ok {
				put("apiservice/"+name, sim.Held{Use: aggregatedCA, Has: a.CAs})
			}
		}
	}
}

func namespaces(list []string) (out []string) {
	for _, name := range list {
		out = append(out, strings.Split(name, "/")[1])
	}
	return out
}

// link is somebody who calls somebody else: trusts is by what the client knows the
// server, name what it wants to find; shows is by what the server knows the client.
// Either may have nothing to say.
type link struct {
	client, server string
	// trusts and serves are the client's part, knows and shows the server's.
	trusts, serves, knows, shows *trustee
	name                         string
}

// links are all who call each other.
func (v *trustees) links() (out []link) {
	for _, h := range v.held {
		if h.Use != sim.ServerCA {
			continue
		}
		l := link{client: h.holder, trusts: h, shows: v.of(h.holder, h.Part, sim.Client), name: h.Name}
		if h.Part != "" {
			l.client += " " + h.Part
		}
		addr := strings.TrimPrefix(h.Server, "https://")
		if !strings.Contains(addr, ":") {
			addr += ":443"
		}
		if l.name == "" {
			l.name, _, _ = strings.Cut(addr, ":")
		}
		if h.Insecure {
			l.trusts = nil
		}
		if h.Token {
			l.shows = nil
		}
		for _, s := range v.apiServers(h.host, addr) {
			l.server, l.serves, l.knows = s, v.of(s, "", sim.Serving), v.of(s, "", sim.ClientCA)
			out = append(out, l)
		}
	}
	for _, addr := range keys(v.w.Procs) {
		_, front := v.w.actorAt(addr).(*api.Server)
		own := v.of(addr, "", sim.KubeletCA)
		if front || own != nil {
			out = append(out, v.toKubelets(addr, own, front)...)
		}
		if front {
			out = append(out, v.toAggregated(addr)...)
		}
	}
	return out
}

// apiServers are those that an address leads to: behind the load balancer all.
func (v *trustees) apiServers(host, addr string) (out []string) {
	at, err := v.w.resolve(addr)
	if err != nil {
		return nil
	}
	if v.w.Config.controls() > 1 && at == v.w.Config.endpoint() {
		for _, m := range v.w.controlHosts() {
			if _, ok := v.w.actorAt(m.Name + "/kube-apiserver").(*api.Server); ok {
				out = append(out, m.Name+"/kube-apiserver")
			}
		}
		return out
	}
	if l := v.w.at(host, at); l != nil {
		if _, ok := v.w.actorAt(l.Server).(*api.Server); ok {
			out = append(out, l.Server)
		}
	}
	return out
}

// toKubelets are the calls of an API server, or of who scrapes, to kubelets that are
// nodes and have a certificate to show.
func (v *trustees) toKubelets(client string, own *trustee, front bool) (out []link) {
	for _, m := range v.w.Machines {
		at := m.Name + "/kubelet"
		k, ok := v.w.actorAt(at).(*kubelet.Kubelet)
		if !ok || v.w.Store.Get("nodes", "", k.Node) == nil {
			continue
		}
		l := link{client: client, server: at, trusts: own, serves: v.of(at, "", sim.Serving), name: m.IP}
		if l.serves == nil || len(l.serves.Has) == 0 {
			continue
		}
		if own != nil && own.Insecure {
			l.trusts = nil
		}
		if front {
			l.shows, l.knows = v.of(client, "", sim.KubeletClient), v.of(at, "", sim.ClientCA)
		}
		out = append(out, l)
	}
	return out
}

// toAggregated are the calls of an API server to those that it is in front of.
func (v *trustees) toAggregated(client string) (out []link) {
	s := v.w.actorAt(client).(*api.Server)
	for _, name := range s.Aggregates() {
		a, _ := s.Aggregated(name)
		host, port, _ := strings.Cut(a.Addr, ":")
		at, ok := v.w.service(host, port)
		l := v.w.Listeners[at]
		if !ok || l == nil {
			continue
		}
		x := link{client: client, server: l.Server, trusts: v.of("apiservice/"+name, "", aggregatedCA), name: a.Service + "." + a.Namespace + ".svc",
			serves: &trustee{Held: sim.Held{Has: l.Listen.Cert, Next: l.Listen.Cert}}, shows: v.of(client, "", sim.ProxyClient), knows: v.of(l.Server, "", sim.FrontCA)}
		if a.Insecure {
			x.trusts = nil
		}
		out = append(out, x)
	}
	return out
}

// refusal is what comes of a call when everyone has what get says: the kind of a
// Break, and the words of who refuses; nothing when it is taken.
func (l *link) refusal(w *World, get func(h *trustee) []byte) (kind string, words error) {
	if l.trusts != nil && l.serves != nil {
		if err := pki.VerifyServer(certsOf(get(l.serves)), certsOf(get(l.trusts)), l.name, w.local(l.trusts.host)); err != nil {
			return "client", err
		}
	}
	if l.shows != nil && l.knows != nil {
		if chain := certsOf(get(l.shows)); len(chain) > 0 {
			if err := pki.VerifyClient(chain, certsOf(get(l.knows)), w.local(l.knows.host)); err != nil {
				return "server", err
			}
		}
	}
	return "", nil
}

func certsOf(data []byte) []*x509.Certificate {
	certs, _ := pki.ParseCerts(data)
	return certs
}

// breaks are the calls that fail when everyone has what get says, and what is signed
// and would fail. old is the CA without which that is, nil for now.
func (v *trustees) breaks(get func(h *trustee) []byte, old *CA) (out []Break) {
	put := func(b Break, server string) {
		for i := range out {
			if o := &out[i]; o.Kind == b.Kind && o.Client == b.Client && o.Words == b.Words && o.Log == b.Log && o.Heals == b.Heals && o.At.Equal(b.At) {
				if !slices.Contains(o.Servers, server) {
					o.Servers = append(o.Servers, server)
				}
				return
			}
		}
		b.Servers = []string{server}
		out = append(out, b)
	}
	lost := map[string]bool{}
	links := v.links()
	for i := range links {
		l := &links[i]
		kind, err := l.refusal(v.w, get)
		if kind == "" {
			continue
		}
		lost[l.client] = true
		b := Break{Kind: kind, Client: l.client, Words: err.Error()}
		if kind == "server" {
			b.Words, b.Log = "Unauthorized", err.Error()
		}
		if k, _ := l.refusal(v.w, soon); old == nil && k == "" {
			b.Heals, b.In = "reads", l.within().String()
		} else if at := v.rotates(l, get); kind == "client" && !at.IsZero() && !lost[l.server] {
			b.Heals, b.At = "rotation", at
		}
		put(b, l.server)
	}
	for _, h := range v.held {
		if h.Use != sim.Signing {
			continue
		}
		if n := len(certsOf(get(h))); n > 1 {
			put(Break{Kind: "signer", Client: h.holder, Words: fmt.Sprintf("expected 1 certificate, found %d", n), Log: h.File}, h.holder)
			continue
		}
		for _, s := range keys(v.w.Procs) {
			for _, use := range []string{sim.ClientCA, sim.KubeletCA} {
				knows := v.of(s, "", use)
				if _, ok := v.w.actorAt(s).(*api.Server); !ok || knows == nil || len(get(h)) == 0 {
					continue
				}
				if err := pki.Verify(certsOf(get(h))[:1], certsOf(get(knows)), x509.ExtKeyUsageAny, v.w.local(knows.host)); err != nil {
					put(Break{Kind: "signer", Client: h.holder, Words: err.Error(), Log: use}, s)
				}
			}
		}
	}
	if h := v.of(clusterInfo, "", sim.ServerCA); old != nil && h != nil && strings.Contains(v.letters(h.Has), old.Letter) {
		var pins []string
		for _, x := range certsOf(get(h)) {
			pins = append(pins, fmt.Sprintf("%q", pki.Pin(x)))
		}
		put(Break{Kind: "pin", Client: pki.Pin(old.cert), Words: "cluster CA found in cluster-info ConfigMap is invalid: none of the public keys " + strings.Join(pins, " ") + " are pinned"}, clusterInfo)
	}
	return out
}

// soon is what everyone has once they have read again what they read by themselves.
func soon(h *trustee) []byte {
	if h.Again < 0 {
		return h.Has
	}
	return h.Next
}

// within is how long it takes until then.
func (l *link) within() (d time.Duration) {
	for _, h := range []*trustee{l.trusts, l.serves, l.knows, l.shows} {
		if h != nil {
			d = max(d, h.Again)
		}
	}
	return d
}

// rotates is when a kubelet will show a certificate that a client takes, by itself:
// the zero time when it won't.
func (v *trustees) rotates(l *link, get func(h *trustee) []byte) (at time.Time) {
	k, ok := v.w.actorAt(l.server).(*kubelet.Kubelet)
	if !ok || !k.Port.Bootstrap || k.Serving.Cert == nil || l.trusts == nil {
		return at
	}
	for _, h := range v.held {
		m, _ := v.w.actorAt(h.holder).(*controllers.ControllerManager)
		if h.Use != sim.Signing || m == nil || !m.Leads() {
			continue
		}
		if file, _ := m.Signs(certificatesv1.KubeletServingSignerName); file != h.File {
			continue
		}
		if certs := certsOf(get(h)); len(certs) == 1 && pki.Verify(certs, certsOf(get(l.trusts)), x509.ExtKeyUsageAny, v.w.local(l.trusts.host)) == nil {
			return k.Serving.Cert.Deadline
		}
	}
	return at
}
