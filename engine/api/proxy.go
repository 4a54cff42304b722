package api

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/joinery-lab/joinery/engine/sim"
)

// backend is what [SCHEME:]NAME[:PORT] names, with the kind of thing that it is.
type backend struct{ scheme, name, port string }

// backendOf reads the name of a request to a proxy (Models
// apimachinery/pkg/util/net SplitSchemeNamePort).
func (x *exchange) backendOf(kind string) (b backend, err error) {
	parts := strings.Split(x.info.name, ":")
	switch len(parts) {
	case 1:
		b.name = parts[0]
	case 2:
		b.name, b.port = parts[0], parts[1]
	case 3:
		b.scheme, b.name, b.port = parts[0], parts[1], parts[2]
	}
	if b.name == "" || b.scheme != "" && b.scheme != "http" && b.scheme != "https" {
		return b, apierrors.NewBadRequest(fmt.Sprintf("invalid %s request %q", kind, x.info.name))
	}
	return b, nil
}

// addressNotAllowed: what is no address of the network's is not proxied to
// (Models apimachinery/pkg/util/proxy IsProxyableIP).
func addressNotAllowed(host string) error {
	if ip := net.ParseIP(host); ip != nil && !ip.IsGlobalUnicast() {
		return apierrors.NewBadRequest("address not allowed")
	}
	return nil
}

// nodeProxy answers nodes/NAME/proxy/PATH (Models pkg/registry/core/node
// ResourceLocation).
func nodeProxy(x *exchange, _ *resource) sim.Response {
	b, err := x.backendOf("node")
	if err != nil {
		return failed(err)
	}
	k, err := x.kubeletOf(b.name)
	if err == nil {
		err = addressNotAllowed(k.host)
	}
	if err != nil {
		return x.refuse(err)
	}
	// Another port than the kubelet's is reached without its client certificate.
	if b.port != "" && b.port != k.port {
		return x.proxy("proxy", b, net.JoinHostPort(k.host, b.port))
	}
	r, done := x.proxied()
	if done != nil {
		return *done
	}
	return x.askKubelet("proxy", b.name, k, false, r)
}

// podProxy answers pods/NAME/proxy/PATH (Models pkg/registry/core/pod
// ResourceLocation).
func podProxy(x *exchange, _ *resource) sim.Response {
	b, err := x.backendOf("pod")
	if err != nil {
		return failed(err)
	}
	o := x.s.store.Get("pods", x.info.nspc, b.name)
	if o == nil {
		return failed(apierrors.NewNotFound(resources["pods"].gr(), b.name))
	}
	p := o.typed.(*corev1.Pod)
	for _, c := range p.Spec.Containers {
		if b.port == "" && len(c.Ports) > 0 {
			b.port = strconv.Itoa(int(c.Ports[0].ContainerPort))
		}
	}
	if err := addressNotAllowed(p.Status.PodIP); err != nil {
		return failed(err)
	}
	if b.port == "" {
		b.port = map[string]string{"https": "443"}[b.scheme]
	}
	if b.port == "" {
		b.port = "80"
	}
	return x.proxy("proxy", b, net.JoinHostPort(p.Status.PodIP, b.port))
}

// serviceProxy answers services/NAME/proxy/PATH (Models
// pkg/registry/core/service/storage ResourceLocation). What has no Endpoints is
// reached at the Service's own address: nobody makes them here but the API
// server for itself.
func serviceProxy(x *exchange, _ *resource) sim.Response {
	b, err := x.backendOf("service")
	if err != nil {
		return failed(err)
	}
	o := x.s.store.Get("services", x.info.nspc, b.name)
	if o == nil {
		return failed(apierrors.NewNotFound(resources["services"].gr(), b.name))
	}
	s := o.typed.(*corev1.Service)
	name := b.port
	if n, err := strconv.ParseInt(b.port, 10, 64); err == nil {
		name = "\x00"
		for _, p := range s.Spec.Ports {
			if int64(p.Port) == n {
				name = p.Name
			}
		}
		if name == "\x00" {
			return failed(apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %d found for service %q", n, b.name)))
		}
	}
	if e := x.s.store.Get("endpoints", x.info.nspc, b.name); e != nil {
		for _, set := range e.typed.(*corev1.Endpoints).Subsets {
			for _, p := range set.Ports {
				if p.Name == name && len(set.Addresses) > 0 {
					i := x.c.Chance.N("endpoints", uint64(len(set.Addresses)))
					return x.proxy("proxy", b, net.JoinHostPort(set.Addresses[i].IP, strconv.Itoa(int(p.Port))))
				}
			}
		}
	} else if s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone {
		for _, p := range s.Spec.Ports {
			if p.Name == name {
				return x.proxy("service", b, net.JoinHostPort(s.Spec.ClusterIP, strconv.Itoa(int(p.Port))))
			}
		}
	}
	return noEndpoints(x.info.name)
}

func noEndpoints(service string) sim.Response {
	return failed(apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", service)))
}

// serviceFailed: a Service at whose address nobody listens has no endpoints.
func serviceFailed(s *Server, c *sim.Ctx, o *outgoing, words string) sim.Response {
	if strings.HasSuffix(words, ": connect: connection refused") {
		return noEndpoints(o.Name)
	}
	return proxyFailed(s, c, o, words)
}

// proxy sends the request to an address that nobody vouches for: with https its
// certificate is not verified. Kind is the row of passers.
func (x *exchange) proxy(kind string, b backend, addr string) sim.Response {
	r, done := x.proxied()
	if done != nil {
		return *done
	}
	host, _, _ := net.SplitHostPort(addr)
	d := sim.Dial{Addr: addr, ServerName: host, Insecure: true, Plain: b.scheme != "https"}
	return x.ask(kind, x.info.name, "proxy "+b.scheme+" "+addr, d, r)
}

// proxied is the request as it goes on; or the answer, where the path says no more
// than that something is to be proxied to.
func (x *exchange) proxied() (sim.Request, *sim.Response) {
	path := ""
	if len(x.info.parts) > 3 {
		path = "/" + strings.Join(x.info.parts[3:], "/")
	}
	if strings.HasSuffix(x.info.path, "/") {
		path += "/"
	}
	query := ""
	if _, q, ok := strings.Cut(x.r.URL, "?"); ok {
		query = "?" + q
	}
	if path == "" && (x.r.Method == "GET" || x.r.Method == "HEAD") {
		r := answer(301, "", nil)
		r.Header.Del("Content-Type")
		r.Header.Set("Location", x.info.path+"/"+query)
		return sim.Request{}, &r
	}
	h := http.Header{}
	for n, v := range x.r.Header {
		if n != "Authorization" && n != "Connection" && !strings.HasPrefix(n, "Impersonate-") {
			h[n] = v
		}
	}
	return sim.Request{Method: x.r.Method, URL: path + query, Header: h, Body: x.r.Body}, nil
}
