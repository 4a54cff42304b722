package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// oracle is RBAC once more, written without a look at the API server's: it
// learns the objects from what is listed and noted, and asks every rule.
type oracle struct {
	objects map[string]map[string]rbacObject // resource → namespace/name
}

type rbacObject struct {
	Metadata struct{ Name, Namespace string }
	Rules    []struct{ Verbs, APIGroups, Resources, ResourceNames, NonResourceURLs []string }
	RoleRef  struct{ Kind, Name string }
	Subjects []struct{ Kind, Name, Namespace string }
}

// learn lists what there is, as the admin.
func (q *oracle) learn(w *engine.World) {
	q.objects = map[string]map[string]rbacObject{}
	admin, _ := identities(w.Journal().Config)
	// In a clone, so that the world does not know that it was asked.
	c := w.Clone()
	defer c.Close()
	for _, r := range []string{"clusterroles", "clusterrolebindings", "roles", "rolebindings"} {
		q.objects[r] = map[string]rbacObject{}
		err := c.Apply(engine.Input{External: &engine.External{ID: r, Addr: "10.0.0.10:6443", Request: sim.Request{Method: "GET", URL: era.Path(era.Must(w.Release()), "rbac.authorization.k8s.io", r), Peer: admin, Header: http.Header{}}}})
		if err != nil {
			panic(err)
		}
		c.AdvanceTo(c.Now().Add(time.Second))
		for _, o := range c.Drain() {
			if o.Kind != trace.Response || o.Args["external"] != r {
				continue
			}
			var list struct{ Items []rbacObject }
			if err := json.Unmarshal([]byte(o.Payload), &list); err != nil || len(list.Items) == 0 {
				panic(fmt.Sprintf("%s: %v %s", r, err, o.Payload))
			}
			for _, x := range list.Items {
				q.objects[r][x.Metadata.Namespace+"/"+x.Metadata.Name] = x
			}
		}
	}
}

// see follows a change.
func (q *oracle) see(o *observation) {
	resource, key, _ := strings.Cut(o.Subject, "/")
	objects, ok := q.objects[resource]
	if !ok {
		return
	}
	if !strings.Contains(key, "/") {
		key = "/" + key
	}
	if o.Payload == "" {
		delete(objects, key)
		return
	}
	var x rbacObject
	if err := json.Unmarshal([]byte(o.Payload), &x); err != nil {
		panic(err)
	}
	objects[key] = x
}

// allows: a rule of a role that is bound to the user allows it, or the user is
// a node and it is what nodes may do.
func (q *oracle) allows(a map[string]string) bool {
	groups := strings.Split(a["groups"], ",")
	if slices.Contains(groups, "system:masters") {
		return true
	}
	if node, ok := strings.CutPrefix(a["user"], "system:node:"); ok && slices.Contains(groups, "system:nodes") && q.nodeMay(node, a) {
		return true
	}
	for _, r := range []string{"clusterrolebindings", "rolebindings"} {
		for _, b := range q.objects[r] {
			if b.Metadata.Namespace != "" && b.Metadata.Namespace != a["namespace"] {
				continue
			}
			for _, s := range b.Subjects {
				ns := s.Namespace
				if s.Kind == "User" && s.Name == a["user"] || s.Kind == "Group" && slices.Contains(groups, s.Name) || s.Kind == "ServiceAccount" && a["user"] == "system:serviceaccount:"+ns+":"+s.Name {
					if q.roleAllows(b, a) {
						return true
					}
				}
			}
		}
	}
	return false
}

func (q *oracle) roleAllows(b rbacObject, a map[string]string) bool {
	role, ok := q.objects["clusterroles"]["/"+b.RoleRef.Name]
	if b.RoleRef.Kind == "Role" {
		role, ok = q.objects["roles"][b.Metadata.Namespace+"/"+b.RoleRef.Name]
	}
	return ok && ruled(role, a)
}

func ruled(role rbacObject, a map[string]string) bool {
	path := a["path"]
	in := func(list []string, x string) bool { return slices.Contains(list, "*") || slices.Contains(list, x) }
	for _, r := range role.Rules {
		if !in(r.Verbs, a["verb"]) {
			continue
		}
		if a["resource"] == "" {
			for _, u := range r.NonResourceURLs {
				if u == "*" || u == path || strings.HasSuffix(u, "*") && strings.HasPrefix(path, strings.TrimSuffix(u, "*")) {
					return true
				}
			}
			continue
		}
		_, sub, _ := strings.Cut(a["resource"], "/")
		resource := in(r.Resources, a["resource"]) || sub != "" && slices.Contains(r.Resources, "*/"+sub)
		if in(r.APIGroups, a["group"]) && resource && (len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, a["name"])) {
			return true
		}
	}
	return false
}

// narrowed are what a node may reach in part only: the name that it must give,
// NODE for its own.
var narrowed = map[string]string{"nodes": "NODE", "nodes/status": "", "leases": "NODE", "csinodes": "NODE", "secrets": "?", "configmaps": "?", "persistentvolumeclaims": "?", "persistentvolumes": "?", "volumeattachments": "?"}

func (q *oracle) nodeMay(node string, a map[string]string) bool {
	if !ruled(q.objects["clusterroles"]["/system:node"], a) && a["resource"] != "nodes" {
		return false
	}
	switch want := narrowed[a["resource"]]; {
	case want == "", a["verb"] == "create":
		return true
	case want == "NODE":
		return a["name"] == node || a["resource"] == "nodes" && (a["verb"] == "update" || a["verb"] == "patch")
	}
	return a["name"] != ""
}
