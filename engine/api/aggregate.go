package api

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// An APIService says that another server answers for a version of a group
// (Models k8s.io/kube-aggregator/pkg/apis/apiregistration/v1).
type apiService struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              apiServiceSpec   `json:"spec,omitempty"`
	Status            apiServiceStatus `json:"status,omitempty"`
}

type apiServiceSpec struct {
	Service       *serviceReference `json:"service,omitempty"`
	Group         string            `json:"group,omitempty"`
	Version       string            `json:"version,omitempty"`
	Insecure      bool              `json:"insecureSkipTLSVerify,omitempty"`
	CABundle      []byte            `json:"caBundle,omitempty"`
	GroupPriority int32             `json:"groupPriorityMinimum"`
	Priority      int32             `json:"versionPriority"`
}

type serviceReference struct {
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Port      *int32 `json:"port,omitempty"`
}

type apiServiceStatus struct {
	Conditions []apiServiceCondition `json:"conditions,omitempty"`
}

type apiServiceCondition struct {
	Type       string      `json:"type"`
	Status     string      `json:"status"`
	Transition metav1.Time `json:"lastTransitionTime,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	Message    string      `json:"message,omitempty"`
}

// available is the condition Available; nil while nobody looked.
func (a *apiService) available() *apiServiceCondition {
	for i := range a.Status.Conditions {
		if a.Status.Conditions[i].Type == "Available" {
			return &a.Status.Conditions[i]
		}
	}
	return nil
}

func prepareAPIService(_ *exchange, o, old object, sub string) {
	a := o.(*apiService)
	switch {
	case sub == "status":
		a.Spec = old.(*apiService).Spec
	case old == nil:
		a.Status = apiServiceStatus{}
	default:
		a.Status = old.(*apiService).Status
	}
	if a.Spec.Service != nil && a.Spec.Service.Port == nil {
		port := int32(443)
		a.Spec.Service.Port = &port
	}
}

// validateAPIService models kube-aggregator/pkg/apis/apiregistration/validation. Nobody
// looks whether a caBundle is PEM.
func validateAPIService(_ *exchange, o, _ object, sub string) (errs field.ErrorList) {
	a, top := o.(*apiService), begin(&errs)
	if sub == "status" {
		for i, c := range a.Status.Conditions {
			top.in("status").item("conditions", i).oneOf("status", c.Status, "True", "False", "Unknown")
		}
		return errs
	}
	s := top.in("spec")
	if want := a.Spec.Version + "." + a.Spec.Group; a.Name != want {
		top.in("metadata").bad("name", a.Name, fmt.Sprintf("must be `spec.version+\".\"+spec.group`: %q", want))
	}
	if a.Spec.Group == "" && a.Spec.Version != "v1" {
		s.must("group", "only v1 may have an empty group and it better be legacy kube")
	}
	if a.Spec.Group != "" {
		s.says("group", a.Spec.Group, subdomain(a.Spec.Group))
	}
	s.says("version", a.Spec.Version, validation.IsDNS1035Label(a.Spec.Version))
	if a.Spec.GroupPriority <= 0 || a.Spec.GroupPriority > 20000 {
		s.bad("groupPriorityMinimum", a.Spec.GroupPriority, "must be positive and less than 20000")
	}
	if a.Spec.Priority <= 0 || a.Spec.Priority > 1000 {
		s.bad("versionPriority", a.Spec.Priority, "must be positive and less than 1000")
	}
	if a.Spec.Service == nil {
		if n := len(a.Spec.CABundle); n > 0 {
			s.bad("caBundle", fmt.Sprintf("%d bytes", n), "local APIServices may not have a caBundle")
		}
		if a.Spec.Insecure {
			s.bad("insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify")
		}
		return errs
	}
	s.in("service").needs("namespace", a.Spec.Service.Namespace, "name", a.Spec.Service.Name)
	if bad := validation.IsValidPortNum(int(*a.Spec.Service.Port)); bad != nil {
		s.in("service").bad("port", *a.Spec.Service.Port, "port is not valid: "+strings.Join(bad, ", "))
	}
	if a.Spec.Insecure && len(a.Spec.CABundle) > 0 {
		s.bad("insecureSkipTLSVerify", true, "may not be true if caBundle is present")
	}
	return errs
}

var apiServiceTable = table{columns{nameColumn(), column("Service", "The reference to the service that hosts this API endpoint."),
	column("Available", "Whether this service is available."), ageColumn()}, func(t moment, o object) []any {
	a := o.(*apiService)
	service, state := "Local", "Unknown"
	if s := a.Spec.Service; s != nil {
		service = s.Namespace + "/" + s.Name
	}
	if c := a.available(); c != nil {
		if state = c.Status; state != "True" {
			state += " (" + c.Reason + ")"
		}
	}
	return []any{a.Name, service, state, t.age(a.CreationTimestamp)}
}}

// services are the APIServices that another server answers for, by name.
func (s *Server) apiServices() (out []*apiService) {
	for _, o := range s.store.in("apiservices", "") {
		if a := o.typed.(*apiService); a.Spec.Service != nil {
			out = append(out, a)
		}
	}
	return out
}

// elsewhere is the APIService whose server answers for a path.
func (s *Server) elsewhere(path string) *apiService {
	for _, a := range s.apiServices() {
		base := "/apis/" + a.Spec.Group + "/" + a.Spec.Version
		if path == base || strings.HasPrefix(path, base+"/") {
			return a
		}
	}
	return nil
}

// foreign are the groups that other servers answer for.
func (s *Server) foreign() (out []string) {
	for _, a := range s.apiServices() {
		if !slices.Contains(s.catalog.groups, a.Spec.Group) && !slices.Contains(out, a.Spec.Group) {
			out = append(out, a.Spec.Group)
		}
	}
	return out
}

// foreignGroup is such a group as discovery shows it.
func (s *Server) foreignGroup(name string) metav1.APIGroup {
	g := metav1.APIGroup{Name: name}
	for _, a := range s.apiServices() {
		if a.Spec.Group == name {
			g.Versions = append(g.Versions, metav1.GroupVersionForDiscovery{GroupVersion: name + "/" + a.Spec.Version, Version: a.Spec.Version})
		}
	}
	g.PreferredVersion = g.Versions[0]
	return g
}

// foreignDiscovery is such a group in the one document of discovery: what its
// server said of itself, or Stale while it is not available.
func (s *Server) foreignDiscovery(name string) discoveryGroup {
	g := discoveryGroup{}
	g.Metadata.Name = name
	for _, a := range s.apiServices() {
		if a.Spec.Group != name {
			continue
		}
		v := discoveryVersion{Version: a.Spec.Version, Resources: []discoveryResource{}, Freshness: "Stale"}
		if c := a.available(); c != nil && c.Status == "True" {
			v.Freshness = "Current"
			var list metav1.APIResourceList
			json.Unmarshal(s.Foreign[a.Name].Resources, &list)
			for _, r := range list.APIResources {
				d := discoveryResource{Resource: r.Name, ResponseKind: discoveryKind{name, a.Spec.Version, r.Kind}, Scope: "Cluster", SingularResource: r.SingularName, Verbs: r.Verbs}
				if r.Namespaced {
					d.Scope = "Namespaced"
				}
				v.Resources = append(v.Resources, d)
			}
		}
		g.Versions = append(g.Versions, v)
	}
	return g
}

// foreign is what a server knows of an aggregated one.
type foreign struct {
	// Resources is its own list of resources, as it last gave it.
	Resources []byte `json:"resources,omitempty"`
	// Since is when the present looks at it began; Looks is when the next comes,
	// zero when none is set.
	Since time.Time `json:"since,omitzero"`
	Looks time.Time `json:"looks,omitzero"`
}

// How often an aggregated server that does not answer is looked at again, and for
// how long: as often as its kubelet probes it, which is when its endpoints change. A
// real one is looked at for ever; here it is asked again when someone wants
// something of it.
const (
	lookEvery = 10 * time.Second
	lookFor   = 5 * time.Minute
)

// There are no endpoints here, which a kubelet's probes would keep: a request with
// probeHeader asks its server whether the last probe found it ready, and is answered
// with unreadyHeader when not, as if there were no endpoint to send it to.
const (
	probeHeader   = "Joinery-Probe"
	unreadyHeader = "Joinery-Unready"
)

// lookTag begins the tag of the wake for the next look.
const lookTag = "look "

// reach is where the server of an APIService is, and what it is trusted by.
func (s *Server) reach(c *sim.Ctx, a *apiService) (d sim.Dial, reason, message string) {
	ref := a.Spec.Service
	o := s.store.Get("services", ref.Namespace, ref.Name)
	if o == nil {
		return d, "ServiceNotFound", fmt.Sprintf("service/%s in %q is not present", ref.Name, ref.Namespace)
	}
	if o.typed.(*corev1.Service).Spec.Type == corev1.ServiceTypeClusterIP && a.port(o.typed.(*corev1.Service)) == nil {
		return d, "ServicePortError", fmt.Sprintf("service/%s in %q is not listening on port %d", ref.Name, ref.Namespace, *ref.Port)
	}
	d = sim.Dial{Addr: serviceAddr(o.typed.(*corev1.Service), a), ServerName: ref.Name + "." + ref.Namespace + ".svc",
		Insecure: a.Spec.Insecure, Roots: a.Spec.CABundle}
	if s.opts.proxyCert != "" {
		d.Cert, _ = c.Disk.ReadFile(s.opts.proxyCert)
		d.Key, _ = c.Disk.ReadFile(s.opts.proxyKey)
	}
	return d, "", ""
}

// port is the Service's port that the APIService names.
func (a *apiService) port(o *corev1.Service) *corev1.ServicePort {
	for i := range o.Spec.Ports {
		if o.Spec.Ports[i].Port == *a.Spec.Service.Port {
			return &o.Spec.Ports[i]
		}
	}
	return nil
}

// missing is what is said of a Service whose pods are not ready, or that has none.
func (s *Server) missing(a *apiService) string {
	ref, name := a.Spec.Service, ""
	if o := s.store.Get("services", ref.Namespace, ref.Name); o != nil {
		if p := a.port(o.typed.(*corev1.Service)); p != nil {
			name = p.Name
		}
	}
	return fmt.Sprintf("endpointslices for service/%s in %q have no addresses with port name %q", ref.Name, ref.Namespace, name)
}

// serviceAddr is where the server of an APIService is.
func serviceAddr(o *corev1.Service, a *apiService) string {
	return net.JoinHostPort(o.Spec.ClusterIP, strconv.Itoa(int(*a.Spec.Service.Port)))
}

// lookAll begins to look at all aggregated servers.
func (s *Server) lookAll(c *sim.Ctx) {
	for _, a := range s.apiServices() {
		s.Foreign[a.Name] = foreign{Resources: s.Foreign[a.Name].Resources, Since: c.Now}
		s.look(c, a.Name)
	}
}

// look asks an aggregated server for its resources (Models
// kube-aggregator/pkg/controllers/status/remote).
func (s *Server) look(c *sim.Ctx, name string) {
	o := s.store.Get("apiservices", "", name)
	if o == nil {
		delete(s.Foreign, name)
		return
	}
	a := o.typed.(*apiService)
	f := s.Foreign[name]
	f.Looks = time.Time{}
	s.Foreign[name] = f
	d, reason, message := s.reach(c, a)
	if reason != "" {
		s.judge(c, a, "False", reason, message)
		return
	}
	if why := noBundle(a.Spec.CABundle); why != "" {
		// The condition stays what it was.
		s.log(c, 'E', 0, "remote_available_controller.go:471", sim.KV("Unhandled Error", "err", name+" failed with: "+why, "logger", "UnhandledError"))
		s.lookLater(c, name)
		return
	}
	h := http.Header{"User-Agent": {"Go-http-client/2.0"}, "X-Remote-User": {"system:kube-aggregator"}, "X-Remote-Group": {"system:masters"}, probeHeader: {"readyz"}}
	stream := c.Send("apiservice "+name+" "+fingerprint(d.Roots, d.Cert), d, sim.Request{Method: "GET", URL: "/apis/" + a.Spec.Group + "/" + a.Spec.Version, Header: h})
	if s.Outgoing == nil {
		s.Outgoing = map[uint64]*outgoing{}
	}
	s.Outgoing[stream] = &outgoing{Kind: "look", Name: name, URL: "https://" + d.Addr + "/apis/" + a.Spec.Group + "/" + a.Spec.Version}
}

// looked is the answer.
func (s *Server) looked(c *sim.Ctx, o *outgoing, m sim.Msg) {
	got := s.store.Get("apiservices", "", o.Name)
	if got == nil {
		return
	}
	a := got.typed.(*apiService)
	f := s.Foreign[o.Name]
	// An address of the cluster at which nobody takes a connection has no endpoint.
	nobody := strings.HasSuffix(m.Err, "connection refused") || strings.HasSuffix(m.Err, "no route to host")
	switch {
	case m.Kind == sim.MsgFailed && nobody, m.Kind == sim.MsgResponse && m.Resp.Header.Get(unreadyHeader) != "":
		s.judge(c, a, "False", "MissingEndpoints", s.missing(a))
	case m.Kind != sim.MsgResponse:
		s.judge(c, a, "False", "FailedDiscoveryCheck", fmt.Sprintf("failing or missing response from %s: Get %q: %s", o.URL, o.URL, m.Err))
	case m.Resp.Code/100 != 2:
		s.judge(c, a, "False", "FailedDiscoveryCheck", fmt.Sprintf("failing or missing response from %s: bad status from %s: %d", o.URL, o.URL, m.Resp.Code))
	default:
		f.Resources = m.Resp.Body
		s.Foreign[o.Name] = f
		s.judge(c, a, "True", "Passed", "all checks passed")
		return
	}
	s.lookLater(c, o.Name)
}

func (s *Server) lookLater(c *sim.Ctx, name string) {
	if f := s.Foreign[name]; c.Now.Sub(f.Since) < lookFor {
		f.Looks = c.Now.Add(lookEvery)
		s.Foreign[name] = f
		c.Wake(f.Looks, lookTag+name)
	}
}

// noBundle is what client-go says of a bundle of CAs that has none. Models
// client-go/transport createErrorParsingCAData.
func noBundle(bundle []byte) string {
	why := ""
	for rest := bundle; len(rest) > 0; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		bad := "unable to parse bytes as PEM block"
		if block != nil {
			if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
				continue
			}
			_, err := pki.ParseDER(block.Bytes)
			if err == nil {
				return ""
			}
			bad = "failed to parse certificate: " + err.Error()
		}
		if why == "" {
			why = bad
		}
		if block == nil {
			break
		}
	}
	if len(bundle) == 0 {
		return ""
	} else if why == "" {
		why = "no valid certificate authority data seen"
	}
	return "unable to load root certificates: " + why
}

// lookAgain is a wake: old ones are passed over.
func (s *Server) lookAgain(c *sim.Ctx, name string) {
	if f, ok := s.Foreign[name]; ok && f.Looks.Equal(c.Now) {
		s.look(c, name)
	}
}

// judge writes what was found into the APIService, when it is new.
func (s *Server) judge(c *sim.Ctx, a *apiService, status, reason, message string) {
	if old := a.available(); old != nil && old.Status == status && old.Reason == reason && old.Message == message {
		return
	}
	n := *a
	at := metav1.NewTime(c.Clock().Truncate(time.Second).UTC())
	if old := a.available(); old != nil && old.Status == status {
		at = old.Transition
	}
	n.Status.Conditions = []apiServiceCondition{{Type: "Available", Status: status, Transition: at, Reason: reason, Message: message}}
	x := &exchange{s: s, c: c, r: &sim.Request{}, user: &user{Name: "system:apiserver", Groups: []string{masters}}}
	x.commit(x.s.catalog.of["apiservices"], "update", &n)
}

// forward hands a request to the server that answers for it, in the name of who
// asks (Models kube-aggregator/pkg/apiserver proxyHandler).
func (x *exchange) forward(a *apiService) sim.Response {
	f := x.s.Foreign[a.Name]
	d, reason, _ := x.s.reach(x.c, a)
	if c := a.available(); reason != "" || c != nil && c.Status != "True" && !f.Looks.IsZero() {
		return text(http.StatusServiceUnavailable, "service unavailable\n")
	}
	if why := noBundle(d.Roots); why != "" {
		if c := a.available(); c == nil || c.Status != "True" {
			return text(http.StatusServiceUnavailable, "service unavailable\n")
		}
		return text(http.StatusInternalServerError, why+"\n")
	}
	h := http.Header{}
	for n, v := range x.r.Header {
		if n != "Authorization" && !strings.HasPrefix(n, "Impersonate-") && !strings.HasPrefix(n, "X-Remote-") {
			h[n] = v
		}
	}
	h.Set(probeHeader, "readyz")
	h.Set("X-Remote-User", x.user.Name)
	h["X-Remote-Group"] = slices.Clone(x.user.Groups)
	return x.ask("aggregated", a.Name, "apiservice "+a.Name+" "+fingerprint(d.Roots, d.Cert), d, sim.Request{Method: x.r.Method, URL: x.r.URL, Header: h, Body: x.r.Body})
}

// forwardFailed: the words of the transport, as they are; the server is looked at.
func forwardFailed(s *Server, c *sim.Ctx, o *outgoing, words string) sim.Response {
	s.log(c, 'E', 0, "handler_proxy.go:299", "Error while proxying request: "+words)
	f := s.Foreign[o.Name]
	f.Since = c.Now
	s.Foreign[o.Name] = f
	s.look(c, o.Name)
	return text(http.StatusServiceUnavailable, words+"\n")
}

// unready: there was no endpoint to send the request to.
func (s *Server) unready(c *sim.Ctx, o *outgoing) sim.Response {
	s.Foreign[o.Name] = foreign{Resources: s.Foreign[o.Name].Resources, Since: c.Now}
	s.looked(c, o, sim.Msg{Kind: sim.MsgResponse, Resp: &sim.Response{Header: http.Header{unreadyHeader: {"1"}}}})
	return text(http.StatusServiceUnavailable, "service unavailable\n")
}

// forwarded passes an answer on; one of a server that was given up shows that it
// is back.
func forwarded(_ *outgoing, r sim.Response) sim.Response { return proxied(nil, r) }

// authenticationMap is where aggregated servers learn whose word to take.
const authenticationMap = "extension-apiserver-authentication"

// publishTrust writes the CAs of clients and of the front proxy into the ConfigMap
// that aggregated servers read. What stands there stays: a CA until it has expired
// (Models pkg/controlplane/controller/clusterauthenticationtrust).
func (s *Server) publishTrust(x *exchange) {
	if len(s.RequestCA) == 0 {
		return
	}
	o := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: authenticationMap}}
	var was map[string]string
	old := s.store.Get("configmaps", o.Namespace, o.Name)
	if old != nil {
		o = twin(old.typed).(*corev1.ConfigMap)
		was = o.Data
	}
	list := func(key string, now []string) string {
		var before []string
		json.Unmarshal([]byte(was[key]), &before)
		for _, v := range now {
			if !slices.Contains(before, v) {
				before = append(before, v)
			}
		}
		b, _ := json.Marshal(before)
		return string(b)
	}
	bundle := func(key string, now []byte) string {
		var out []byte
		for _, ca := range certificates(slices.Concat([]byte(was[key]), []byte{'\n'}, now)) {
			if b := pki.CertPEM(ca.Raw); ca.NotAfter.After(x.c.Clock().Add(-5*time.Minute)) && !bytes.Contains(out, b) {
				out = append(out, b...)
			}
		}
		return string(out)
	}
	o.Data = map[string]string{
		"client-ca-file":                     bundle("client-ca-file", s.CA),
		"requestheader-client-ca-file":       bundle("requestheader-client-ca-file", s.RequestCA),
		"requestheader-allowed-names":        list("requestheader-allowed-names", s.opts.requestNames),
		"requestheader-username-headers":     list("requestheader-username-headers", s.opts.requestUsers),
		"requestheader-group-headers":        list("requestheader-group-headers", s.opts.requestGroups),
		"requestheader-extra-headers-prefix": list("requestheader-extra-headers-prefix", s.opts.requestExtras),
	}
	switch {
	case old == nil:
		x.ensure("configmaps", o)
	case !maps.Equal(was, o.Data):
		s.log(x.c, 'I', 2, "cluster_authentication_trust_controller.go:169", "writing updated authentication info to  kube-system configmaps/"+authenticationMap)
		manage(x.s.catalog.of["configmaps"], o, old.typed, "", "kube-apiserver", x.now())
		x.commit(x.s.catalog.of["configmaps"], "update", o)
	}
}
