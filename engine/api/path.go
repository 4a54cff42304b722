package api

import (
	"net/url"
	"strings"
)

// requestInfo is what a request line means (Models
// apiserver/pkg/endpoints/request RequestInfoFactory).
type requestInfo struct {
	isResource                                bool
	path, verb, prefix                        string
	group, version, resource, sub, name, nspc string
	parts                                     []string
}

// verbOf maps methods to verbs of objects; GET and DELETE without a name are
// list and deletecollection.
var verbOf = map[string]string{"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}

func readPath(method string, u *url.URL, query url.Values) requestInfo {
	i := requestInfo{path: u.Path, verb: strings.ToLower(method)}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) >= 3:
		i.prefix, i.version, parts = "api", parts[1], parts[2:]
	case parts[0] == "apis" && len(parts) >= 4:
		i.prefix, i.group, i.version, parts = "apis", parts[1], parts[2], parts[3:]
	default:
		return i
	}
	i.isResource = true
	i.verb = verbOf[method]
	if parts[0] == "watch" && len(parts) > 1 {
		i.verb, parts = "watch", parts[1:]
	}
	if parts[0] == "namespaces" && len(parts) > 1 {
		i.nspc = parts[1]
		// /namespaces/NAME is the object itself, and so are its subresources.
		if len(parts) > 2 && parts[2] != "finalize" && parts[2] != "status" {
			parts = parts[2:]
		}
	}
	i.parts = parts
	i.resource = parts[0]
	if len(parts) > 1 {
		i.name = parts[1]
	}
	if len(parts) > 2 {
		i.sub = parts[2]
	}
	if i.name == "" && i.verb == "get" {
		i.verb = "list"
		if w := query.Get("watch"); w == "true" || w == "1" || query.Has("watch") && w == "" {
			i.verb = "watch"
		}
	}
	if i.name == "" && i.verb == "delete" {
		i.verb = "deletecollection"
	}
	// A request for one name by selector is about that name.
	if i.name == "" && (i.verb == "list" || i.verb == "watch" || i.verb == "deletecollection") {
		if sel, err := parseFields(query.Get("fieldSelector")); err == nil {
			i.name = sel.name()
		}
	}
	return i
}

// full is the resource with its subresource, as rules write it.
func (i *requestInfo) full() string {
	if i.sub == "" {
		return i.resource
	}
	return i.resource + "/" + i.sub
}
