package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// object is anything that the rig's server keeps besides CSRs.
type object = map[string]any

func meta(o object) map[string]any {
	if o["metadata"] == nil {
		o["metadata"] = map[string]any{}
	}
	return o["metadata"].(map[string]any)
}

// plural splits a path of the core group and of leases: the path of all
// objects of the kind, the namespace, the name, the subresource.
func plural(path string) (all, ns, name, sub string) {
	head, rest := "/api/v1/", strings.TrimPrefix(path, "/api/v1/")
	if rest == path {
		head = "/apis/coordination.k8s.io/v1/"
		rest = strings.TrimPrefix(path, head)
	}
	parts := strings.Split(rest, "/")
	if parts[0] == "namespaces" && len(parts) > 2 {
		ns, parts = parts[1], parts[2:]
	}
	parts = append(parts, "", "")
	return head + parts[0], ns, parts[1], parts[2]
}

// save stores an object and shows it to the watches of its kind.
func (r *rig) save(all string, o object) object {
	md := meta(o)
	key := fmt.Sprint(all, "|", md["namespace"], "/", md["name"])
	kind := "MODIFIED"
	if r.objects[key] == nil {
		kind = "ADDED"
		md["uid"], md["creationTimestamp"] = "uid-"+key, metav1.Time{Time: r.now}
	}
	r.rv++
	md["resourceVersion"] = fmt.Sprint(r.rv)
	r.objects[key] = o
	r.show(all, kind, o)
	return o
}

// show tells the watches of all namespaces and of the object's.
func (r *rig) show(all, kind string, o object) {
	r.event(all, kind, o, time.Millisecond)
	if ns := meta(o)["namespace"]; ns != nil {
		i := strings.LastIndex(all, "/")
		r.event(fmt.Sprint(all[:i], "/namespaces/", ns, all[i:]), kind, o, time.Millisecond)
	}
}

func (r *rig) remove(all, ns, name string) bool {
	key := all + "|" + ns + "/" + name
	if ns == "" {
		key = all + "|<nil>/" + name
	}
	o := r.objects[key]
	if o != nil {
		delete(r.objects, key)
		r.show(all, "DELETED", o)
	}
	return o != nil
}

func (r *rig) find(all, ns, name string) object {
	if ns == "" {
		return r.objects[all+"|<nil>/"+name]
	}
	return r.objects[all+"|"+ns+"/"+name]
}

// data is the data of a ConfigMap.
func (r *rig) data(ns, name string) map[string]any {
	o := r.find("/api/v1/configmaps", ns, name)
	if o == nil {
		return nil
	}
	return o["data"].(map[string]any)
}

func status(code int, reason metav1.StatusReason, message string) *sim.Response {
	b, _ := json.Marshal(metav1.Status{Status: "Failure", Code: int32(code), Reason: reason, Message: message})
	return &sim.Response{Code: code, Body: b}
}

// keep serves the core group and leases.
func (r *rig) keep(q *sim.Request, path string) *sim.Response {
	all, ns, name, sub := plural(path)
	old := r.find(all, ns, name)
	if r.refuse != nil {
		if code := r.refuse(q.Method, path); code != 0 {
			return status(code, metav1.StatusReasonForbidden, fmt.Sprintf("%s %s is refused", q.Method, path))
		}
	}
	switch {
	case sub == "token":
		require.Equal(r.t, "POST", q.Method)
		if old == nil {
			return status(404, metav1.StatusReasonNotFound, "no such account")
		}
		r.tokens++
		b, _ := json.Marshal(object{"status": object{"token": fmt.Sprintf("token-%s-%d", name, r.tokens), "expirationTimestamp": r.now.Add(time.Hour).Format(time.RFC3339)}})
		return &sim.Response{Code: 201, Body: b}
	case q.Method == "GET" || q.Method == "DELETE":
		if old == nil {
			return status(404, metav1.StatusReasonNotFound, fmt.Sprintf("%q not found", name))
		}
		if q.Method == "DELETE" {
			r.remove(all, ns, name)
		}
		if spec, ok := old["spec"].(map[string]any); ok && r.folds {
			spec["renewTime"] = r.now.UTC().Format("2006-01-02T15:04:05.000000Z")
		}
		b, _ := json.Marshal(old)
		return &sim.Response{Code: 200, Body: b}
	}
	var o object
	require.NoError(r.t, json.Unmarshal(q.Body, &o))
	if ns != "" {
		meta(o)["namespace"] = ns
	}
	if q.Method == "POST" && r.find(all, ns, fmt.Sprint(meta(o)["name"])) != nil {
		return status(409, metav1.StatusReasonAlreadyExists, "already exists")
	}
	if q.Method == "PUT" && (old == nil || meta(old)["resourceVersion"] != meta(o)["resourceVersion"]) {
		return status(409, metav1.StatusReasonConflict, "the object has been modified")
	}
	b, _ := json.Marshal(r.save(all, o))
	return &sim.Response{Code: 200, Body: b}
}
