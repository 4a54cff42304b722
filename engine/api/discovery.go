package api

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// page answers a path that is no resource.
func (x *exchange) page() sim.Response {
	path := strings.TrimSuffix(x.info.path, "/")
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if parts[0] == "healthz" || parts[0] == "livez" || parts[0] == "readyz" {
		return x.health(parts)
	}
	if x.info.verb != "get" && x.info.verb != "head" {
		if path == "/version" || parts[0] == "api" || parts[0] == "apis" {
			return notAllowed()
		}
		return text(404, "404 page not found\n")
	}
	f, ok := x.s.negotiate(x.r.Header.Get("Accept"))
	if !ok && (parts[0] == "api" || parts[0] == "apis") {
		return plainStatus(406, metav1.StatusReasonNotAcceptable, notAcceptable, &metav1.StatusDetails{})
	}
	x.form = f
	switch {
	case path == "":
		return asJSON(200, encode(map[string][]string{"paths": x.s.paths()}))
	case path == "/metrics":
		return answer(200, sim.ExpositionType, []byte(x.s.Counts.String()))
	case path == "/version":
		return asJSON(200, encode(x.s.version()))
	case path == "/api" && f.as == "APIGroupDiscoveryList":
		return aggregated([]string{""}, x.s, f.version, false)
	case path == "/apis" && f.as == "APIGroupDiscoveryList":
		return aggregated(x.s.catalog.groups, x.s, f.version, true)
	case path == "/api":
		return x.finish(200, encode(metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"},
			ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{{ClientCIDR: "0.0.0.0/0", ServerAddress: net.JoinHostPort(x.s.address(x.c), strconv.Itoa(x.s.opts.port))}}}))
	case path == "/apis":
		list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
		for _, g := range x.s.catalog.groups {
			list.Groups = append(list.Groups, x.s.catalog.group(g))
		}
		for _, g := range x.s.foreign() {
			list.Groups = append(list.Groups, x.s.foreignGroup(g))
		}
		return x.finish(200, x.s.addressed(encode(list)))
	case path == "/api/v1":
		return x.finish(200, encode(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList"}, GroupVersion: "v1", APIResources: x.s.core()}))
	case parts[0] == "apis" && len(parts) == 2 && slices.Contains(x.s.foreign(), parts[1]):
		g := x.s.foreignGroup(parts[1])
		g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
		return x.finish(200, x.s.addressed(encode(g)))
	case parts[0] == "apis" && slices.Contains(x.s.catalog.groups, parts[1]) && len(parts) == 2:
		g := x.s.catalog.group(parts[1])
		g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
		return x.finish(200, x.s.addressed(encode(g)))
	case parts[0] == "apis" && slices.Contains(x.s.catalog.groups, parts[1]) && len(parts) == 3 && slices.Contains(x.s.catalog.versionsOf(parts[1]), parts[2]):
		return x.finish(200, encode(metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: parts[1] + "/" + parts[2], APIResources: x.s.catalog.listed(parts[1], parts[2])}))
	}
	if len(parts) > 1 && (parts[0] == "api" || parts[0] == "apis" && slices.Contains(x.s.catalog.groups, parts[1])) {
		return notServed() // the group is there, and says it
	}
	return text(404, "404 page not found\n")
}

// addressed is a discovery document with the addresses that old releases show
// where there are none, behind each group's preferred version.
func (s *Server) addressed(b []byte) []byte {
	if !era.AddressesAlways.In(s.era) {
		return b
	}
	const mark = `"preferredVersion":{`
	var out []byte
	for {
		i := bytes.Index(b, []byte(mark))
		if i < 0 {
			return append(out, b...)
		}
		i += bytes.IndexByte(b[i:], '}') + 1
		out = append(append(out, b[:i]...), `,"serverAddressByClientCIDRs":null`...)
		b = b[i:]
	}
}

// discoveryList and the rest are apidiscovery.k8s.io/v2, which k8s.io/api has
// with fields in this order.
type discoveryList struct {
	Kind       string           `json:"kind"`
	APIVersion string           `json:"apiVersion"`
	Metadata   struct{}         `json:"metadata"`
	Items      []discoveryGroup `json:"items"`
}

type discoveryGroup struct {
	Metadata struct {
		Name string `json:"name,omitempty"`
	} `json:"metadata"`
	Versions []discoveryVersion `json:"versions"`
}

type discoveryVersion struct {
	Version   string              `json:"version"`
	Resources []discoveryResource `json:"resources"`
	Freshness string              `json:"freshness"`
}

type discoveryKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

type discoveryResource struct {
	Resource         string         `json:"resource"`
	ResponseKind     discoveryKind  `json:"responseKind"`
	Scope            string         `json:"scope"`
	SingularResource string         `json:"singularResource"`
	Verbs            []string       `json:"verbs"`
	ShortNames       []string       `json:"shortNames,omitempty"`
	Categories       []string       `json:"categories,omitempty"`
	Subresources     []discoverySub `json:"subresources,omitempty"`
}

type discoverySub struct {
	Subresource  string        `json:"subresource"`
	ResponseKind discoveryKind `json:"responseKind"`
	Verbs        []string      `json:"verbs"`
}

// aggregated is the discovery of many groups in one document.
func aggregated(names []string, s *Server, version string, others bool) sim.Response {
	list := discoveryList{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/" + version}
	for _, n := range names {
		g := discoveryGroup{}
		g.Metadata.Name = n
		for _, version := range s.catalog.versionsOf(n) {
			g.Versions = append(g.Versions, s.discovered(n, version))
		}
		list.Items = append(list.Items, g)
	}
	if others {
		for _, n := range s.foreign() {
			list.Items = append(list.Items, s.foreignDiscovery(n))
		}
	}
	body := encode(list)
	resp := asJSON(200, body)
	resp.Header.Set("Cache-Control", "public")
	resp.Header.Set("Content-Type", "application/json;g=apidiscovery.k8s.io;v="+version+";as=APIGroupDiscoveryList")
	resp.Header.Set("Etag", fmt.Sprintf("%q", fmt.Sprintf("%X", sha512.Sum512(body))))
	resp.Header.Set("Vary", "Accept")
	return resp
}

// discovered is one version of a group.
func (s *Server) discovered(group, version string) discoveryVersion {
	v := discoveryVersion{Version: version, Freshness: "Current"}
	for _, r := range s.catalog.listed(group, version) {
		kind := discoveryKind{r.Group, r.Version, r.Kind}
		if _, sub, ok := strings.Cut(r.Name, "/"); ok {
			parent := &v.Resources[len(v.Resources)-1]
			parent.Subresources = append(parent.Subresources, discoverySub{sub, kind, r.Verbs})
			continue
		}
		d := discoveryResource{Resource: r.Name, ResponseKind: kind, Scope: "Cluster", SingularResource: r.SingularName, Verbs: r.Verbs, ShortNames: r.ShortNames, Categories: r.Categories}
		if r.Namespaced {
			d.Scope = "Namespaced"
		}
		v.Resources = append(v.Resources, d)
	}
	return v
}

// version is the answer of /version.
func (s *Server) version() any {
	minor, emulated, oldest := strconv.Itoa(s.era.Minor()), "", ""
	major := ""
	if era.EmulatedVersion.In(s.era) {
		major, emulated, oldest = "1", minor, strconv.Itoa(s.era.Minor()-1)
	}
	return struct {
		Major                 string `json:"major"`
		Minor                 string `json:"minor"`
		EmulationMajor        string `json:"emulationMajor,omitempty"`
		EmulationMinor        string `json:"emulationMinor,omitempty"`
		MinCompatibilityMajor string `json:"minCompatibilityMajor,omitempty"`
		MinCompatibilityMinor string `json:"minCompatibilityMinor,omitempty"`
		GitVersion            string `json:"gitVersion"`
		GitCommit             string `json:"gitCommit"`
		GitTreeState          string `json:"gitTreeState"`
		BuildDate             string `json:"buildDate"`
		GoVersion             string `json:"goVersion"`
		Compiler              string `json:"compiler"`
		Platform              string `json:"platform"`
	}{"1", minor, major, emulated, major, oldest, era.GitVersion.In(s.era), era.GitCommit.In(s.era), "clean", era.BuildDate.In(s.era), era.GoVersion.In(s.era), "gc", "linux/amd64"}
}

// paths lists what / shows: what is served here.
func (s *Server) paths() []string {
	out := []string{"/api", "/api/v1", "/apis", "/apis/", "/healthz", "/livez", "/metrics", "/readyz", "/version"}
	for _, g := range s.catalog.groups {
		out = append(out, "/apis/"+g)
		for _, v := range s.catalog.versionsOf(g) {
			out = append(out, "/apis/"+g+"/"+v)
		}
	}
	slices.Sort(out)
	return out
}

// checks are those that ?verbose names, shortened.
var checks = []string{"ping", "log", "etcd", "poststarthook/start-apiserver-admission-initializer", "poststarthook/rbac/bootstrap-roles", "poststarthook/bootstrap-controller"}

func (x *exchange) health(parts []string) sim.Response {
	if parts[0] != "healthz" && !era.Livez.In(x.s.era) {
		return text(404, "404 page not found\n")
	}
	if len(parts) > 1 && !slices.Contains(checks, strings.Join(parts[1:], "/")) {
		return text(404, "404 page not found\n")
	}
	if !x.query.Has("verbose") {
		ok := text(200, "ok")
		if !era.HealthNosniff.In(x.s.era) {
			ok.Header.Del("X-Content-Type-Options")
		}
		return ok
	}
	var b strings.Builder
	for _, c := range checks {
		b.WriteString("[+]" + c + " ok\n")
	}
	b.WriteString(parts[0] + " check passed\n")
	return text(200, b.String())
}
