package shell

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// kube is kubectl's client: a kubeconfig, a connection, what the server offers.
type kube struct {
	*process
	conn      string
	dial      sim.Dial
	token     string
	namespace string
	flags     *kubectlFlags
	config    *loaded
	offered   []resource
}

// resource is a row of discovery.
type resource struct {
	group, version, name, singular, kind string
	short                                []string
	namespaced                           bool
}

func (r resource) path(namespace, name string) string {
	p := "/apis/" + r.group + "/" + r.version
	if r.group == "" {
		p = "/api/" + r.version
	}
	if r.namespaced && namespace != "" {
		p += "/namespaces/" + namespace
	}
	p += "/" + r.name
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

// full is the resource with its group, as kubectl prints it.
func (r resource) full() string {
	if r.group == "" {
		return r.name
	}
	return r.name + "." + r.group
}

// one is the singular with its group, as in "secret/x created".
func (r resource) one() string {
	if r.group == "" {
		return r.singular
	}
	return r.singular + "." + r.group
}

// status is an answer that is an error.
type status struct {
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Code    int    `json:"code"`
	Details *struct {
		Name   string `json:"name"`
		Kind   string `json:"kind"`
		Causes []struct {
			Field   string `json:"field"`
			Message string `json:"message"`
		} `json:"causes"`
	} `json:"details"`
}

// Error is what kubectl prints for it.
//
// Models k8s.io/kubectl/pkg/cmd/util checkErr.
func (s *status) Error() string {
	switch {
	case s.Code == http.StatusUnauthorized:
		return "error: You must be logged in to the server (" + s.Message + ")"
	case s.Reason == "Invalid":
		return s.invalid()
	case s.Reason == "":
		return "Error from server: " + s.Message
	}
	return fmt.Sprintf("Error from server (%s): %s", s.Reason, s.Message)
}

func (s *status) invalid() string {
	d := s.Details
	if d == nil || d.Kind == "" && d.Name == "" && len(d.Causes) == 0 {
		return "The request is invalid: " + s.Message
	}
	head := "The request is invalid"
	if d.Kind != "" || d.Name != "" {
		head = fmt.Sprintf("The %s %q is invalid", d.Kind, d.Name)
	}
	var causes []string
	for _, c := range d.Causes {
		causes = append(causes, strings.TrimPrefix(c.Field+": "+c.Message, ": "))
	}
	switch len(causes) {
	case 0:
		return head
	case 1:
		return head + ": " + causes[0]
	}
	return head + ": \n* " + strings.Join(causes, "\n* ")
}

// while says what was being done with which file when the server refused.
func (s *status) while(doing, file string) error {
	t := *s
	t.Message = fmt.Sprintf("error when %s %q: %s", doing, file, s.Message)
	return &t
}

const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"

// agent is kubectl's User-Agent.
func (k *kube) agent() string {
	return "kubectl/" + era.KubectlVersion.In(k.era()) + " (linux/amd64) kubernetes/$Format"
}

func (k *kube) era() era.Era { return era.Must(k.start.Release) }

// open sends a request; the answer may be an open watch.
func (k *kube) open(method, target, accept, ctype string, body []byte) (uint64, *sim.Response, error) {
	h := http.Header{"Accept": {accept}}
	if body != nil {
		h.Set("Content-Type", ctype)
	}
	return k.request(method, target, h, body)
}

// request sends a request with these headers and its own. The error of an answer
// that is none is a *status.
func (k *kube) request(method, target string, h http.Header, body []byte) (uint64, *sim.Response, error) {
	if err := k.connect(); err != nil {
		return 0, nil, err
	}
	h.Set("User-Agent", k.agent())
	switch {
	case k.token != "":
		h.Set("Authorization", "Bearer "+k.token)
	case k.flags.username != "":
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(k.flags.username+":"+k.flags.password)))
	}
	id, m := k.exchange(k.conn, k.dial, sim.Request{Method: method, URL: target, Header: h, Body: body})
	if m.Kind != sim.MsgResponse {
		if strings.HasSuffix(m.Err, "connect: connection refused") {
			return 0, nil, fmt.Errorf("The connection to the server %s was refused - did you specify the right host or port?", k.dial.Addr)
		}
		return 0, nil, fmt.Errorf("Unable to connect to the server: %s", m.Err)
	}
	if m.Resp.Code < 400 {
		return id, m.Resp, nil
	}
	s := &status{}
	if json.Unmarshal(m.Resp.Body, s) != nil || s.Message == "" {
		s = generic(m.Resp.Code, strings.TrimSpace(string(m.Resp.Body)))
	}
	s.Code = m.Resp.Code
	return id, m.Resp, s
}

// generic is what client-go makes of an answer without a Status.
//
// Models k8s.io/apimachinery/pkg/api/errors NewGenericServerResponse.
func generic(code int, body string) *status {
	g := map[int]status{
		http.StatusBadRequest:          {Reason: "BadRequest", Message: "the server rejected our request for an unknown reason"},
		http.StatusMethodNotAllowed:    {Reason: "MethodNotAllowed", Message: "the server does not allow this method on the requested resource"},
		http.StatusUnauthorized:        {Reason: "Unauthorized", Message: "the server has asked for the client to provide credentials"},
		http.StatusForbidden:           {Reason: "Forbidden", Message: body},
		http.StatusNotFound:            {Reason: "NotFound", Message: "the server could not find the requested resource"},
		http.StatusInternalServerError: {Reason: "InternalError", Message: fmt.Sprintf("an error on the server (%q) has prevented the request from succeeding", body)},
		http.StatusServiceUnavailable:  {Reason: "ServiceUnavailable", Message: "the server is currently unable to handle the request"},
	}
	s, ok := g[code]
	if !ok {
		s = status{Message: body}
	}
	return &s
}

// do sends a request and warns of what the server warns of.
func (k *kube) do(method, target string, body []byte) ([]byte, error) {
	ctype := "application/json"
	if method == "PATCH" {
		ctype = "application/merge-patch+json"
	}
	return k.doAs(method, target, ctype, body)
}

// doAs is do with a body of another media type.
func (k *kube) doAs(method, target, ctype string, body []byte) ([]byte, error) {
	_, r, err := k.open(method, target, "application/json", ctype, body)
	if err != nil {
		return nil, err
	}
	for _, w := range r.Header.Values("Warning") {
		if _, text, ok := strings.Cut(w, " - "); ok {
			var s string
			if json.Unmarshal([]byte(text), &s) == nil {
				fmt.Fprintf(k.errs, "Warning: %s\n", s)
			}
		}
	}
	return r.Body, nil
}

// discover asks the server what it serves, once a command: all at once, when both
// know how, or else version by version.
//
// Models k8s.io/client-go/discovery ServerGroupsAndResources.
func (k *kube) discover() error {
	if k.offered != nil {
		return nil
	}
	for _, root := range []string{"/api", "/apis"} {
		_, r, err := k.open("GET", root, era.DiscoveryAccept.In(k.era()), "", nil)
		if err != nil {
			return err
		}
		read := k.versions
		if strings.Contains(r.Header.Get("Content-Type"), "as=APIGroupDiscoveryList") {
			read = k.aggregated
		}
		if err := read(root, r.Body); err != nil {
			return err
		}
	}
	return nil
}

func unreadable(at string, err error) error {
	return fmt.Errorf("error: the server's discovery at %s can't be read: %v", at, err)
}

// aggregated reads an APIGroupDiscoveryList.
func (k *kube) aggregated(root string, body []byte) error {
	var list struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Versions []struct {
				Version   string `json:"version"`
				Resources []struct {
					Resource         string   `json:"resource"`
					Scope            string   `json:"scope"`
					SingularResource string   `json:"singularResource"`
					ShortNames       []string `json:"shortNames"`
					ResponseKind     struct {
						Kind string `json:"kind"`
					} `json:"responseKind"`
				} `json:"resources"`
			} `json:"versions"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return unreadable(root, err)
	}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			for _, x := range v.Resources {
				k.offered = append(k.offered, resource{g.Metadata.Name, v.Version, x.Resource, x.SingularResource, x.ResponseKind.Kind, x.ShortNames, x.Scope == "Namespaced"})
			}
		}
	}
	return nil
}

// versions reads an APIVersions or an APIGroupList, and asks for each version's
// resources, of each group those of the preferred version first.
func (k *kube) versions(root string, body []byte) error {
	type version struct {
		Version string `json:"version"`
	}
	type group struct {
		Name      string    `json:"name"`
		Versions  []version `json:"versions"`
		Preferred version   `json:"preferredVersion"`
	}
	var list struct {
		Versions []string `json:"versions"`
		Groups   []group  `json:"groups"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return unreadable(root, err)
	}
	for _, v := range list.Versions {
		list.Groups = append(list.Groups, group{Versions: []version{{v}}})
	}
	for _, g := range list.Groups {
		sort.SliceStable(g.Versions, func(i, j int) bool { return g.Versions[i] == g.Preferred && g.Versions[j] != g.Preferred })
		for _, v := range g.Versions {
			if err := k.resources(root, g.Name, v.Version); err != nil {
				return err
			}
		}
	}
	return nil
}

// resources asks for those of one version. A group whose server is away is left out.
func (k *kube) resources(root, group, version string) error {
	at := strings.Replace(root+"/"+group+"/"+version, "//", "/", 1)
	_, r, err := k.open("GET", at, "application/json", "", nil)
	if _, refused := err.(*status); refused {
		return nil
	}
	if err != nil {
		return err
	}
	var list struct {
		Resources []struct {
			Name       string   `json:"name"`
			Singular   string   `json:"singularName"`
			Namespaced bool     `json:"namespaced"`
			Kind       string   `json:"kind"`
			Short      []string `json:"shortNames"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(r.Body, &list); err != nil {
		return unreadable(at, err)
	}
	for _, x := range list.Resources {
		if strings.Contains(x.Name, "/") {
			continue
		}
		if x.Singular == "" {
			x.Singular = strings.ToLower(x.Kind)
		}
		k.offered = append(k.offered, resource{group, version, x.Name, x.Singular, x.Kind, x.Short, x.Namespaced})
	}
	return nil
}

// find is the resource that a person means: plural, singular, short name or
// kind, with or without group.
func (k *kube) find(word string) (resource, error) {
	if err := k.discover(); err != nil {
		return resource{}, err
	}
	name, group, _ := strings.Cut(strings.ToLower(word), ".")
	for _, r := range k.offered {
		if group != "" && group != r.group && group != r.version+"."+r.group {
			continue
		}
		if name == r.name || name == r.singular || name == strings.ToLower(r.kind) || slices.Contains(r.short, name) {
			return r, nil
		}
	}
	return resource{}, noSuchType(word)
}

// noSuchType is a word that names nothing that the server offers.
type noSuchType string

func (n noSuchType) Error() string {
	return fmt.Sprintf("error: the server doesn't have a resource type %q", string(n))
}

// byKind finds where objects of a kind go.
func (k *kube) byKind(apiVersion, kind string) (resource, error) {
	if err := k.discover(); err != nil {
		return resource{}, err
	}
	group, version, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group, version = "", apiVersion
	}
	for _, r := range k.offered {
		if r.group == group && r.version == version && r.kind == kind {
			return r, nil
		}
	}
	return resource{}, noMatch(fmt.Sprintf("no matches for kind %q in version %q", kind, apiVersion))
}

// noMatch is a kind that the server does not offer.
type noMatch string

func (n noMatch) Error() string { return string(n) }

// object is any Kubernetes object.
type object map[string]any

func (o object) get(path ...string) any {
	var v any = map[string]any(o)
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (o object) text(path ...string) string {
	s, _ := o.get(path...).(string)
	return s
}

func (o object) list(path ...string) []any {
	l, _ := o.get(path...).([]any)
	return l
}

func parseObject(b []byte) (object, error) {
	var o object
	return o, json.Unmarshal(b, &o)
}

func decode64(s string) []byte {
	b, _ := base64.StdEncoding.DecodeString(s)
	return b
}
