package api

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/era"
)

const nodePrefix = "system:node:"

// nodeOf tells the node that a user is: name with the prefix and group
// system:nodes (Models pkg/auth/nodeidentifier).
func nodeOf(u *user) (string, bool) {
	name, ok := strings.CutPrefix(u.Name, nodePrefix)
	return name, ok && u.in("system:nodes")
}

// nodeRules are the resources that a node may reach in part only, by
// "group/resource"; everything else follows ClusterRole system:node.
var nodeRules = map[string]func(s *Server, node string, a *attributes) (bool, string){
	"/secrets":                         related,
	"/configmaps":                      related,
	"/nodes":                           ownNode,
	"/pods":                            ownPods,
	"coordination.k8s.io/leases":       ownLease,
	"storage.k8s.io/csinodes":          ownCSINode,
	"/serviceaccounts":                 serviceAccounts,
	"/persistentvolumeclaims":          claimOfPods,
	"/persistentvolumes":               oneOfPods,
	"storage.k8s.io/volumeattachments": oneOfPods,
	"resource.k8s.io/resourceclaims":   oneOfPods,
	"resource.k8s.io/resourceslices":   ownSlices,
}

// byNode is the Node authorizer (Models plugin/pkg/auth/authorizer/node).
func byNode(s *Server, a *attributes) (bool, string) {
	node, ok := nodeOf(a.user)
	if !ok {
		return false, ""
	}
	if node == "" {
		return false, fmt.Sprintf("unknown node for user %q", a.user.Name)
	}
	if a.resource != "" {
		if rule := nodeRules[a.group+"/"+a.resource]; rule != nil {
			return rule(s, node, a)
		}
	}
	return s.nodeRole(a), ""
}

// nodeRole applies the rules of ClusterRole system:node, which nobody is bound to.
func (s *Server) nodeRole(a *attributes) bool {
	return slices.ContainsFunc(s.systemNode, func(r rbacv1.PolicyRule) bool { return covers(&r, a) })
}

func ownNode(s *Server, node string, a *attributes) (bool, string) {
	if !era.NodeReadsOwnNode.In(s.era) {
		return s.nodeRole(a), ""
	}
	switch a.full() + " " + a.verb {
	case "nodes create", "nodes update", "nodes patch", "nodes/status update", "nodes/status patch":
		return true, "" // NodeRestriction looks at the name
	case "nodes get", "nodes list", "nodes watch":
		switch a.name {
		case node:
			return true, ""
		case "":
			return false, fmt.Sprintf("node '%s' cannot read all nodes, only its own Node object", node)
		}
		return false, fmt.Sprintf("node '%s' cannot read '%s', only its own Node object", node, a.name)
	}
	return false, ""
}

func ownPods(s *Server, node string, a *attributes) (bool, string) {
	if !era.NodeReadsOwnNode.In(s.era) {
		return s.nodeRole(a), ""
	}
	switch a.full() + " " + a.verb {
	case "pods/status update", "pods/status patch", "pods/eviction create", "pods create", "pods delete":
		return true, ""
	case "pods get":
		o := s.store.Get("pods", a.namespace, a.name)
		if o != nil && o.typed.(*corev1.Pod).Spec.NodeName == node {
			return true, ""
		}
		return false, s.unrelated(node)
	case "pods list", "pods watch":
		sel, err := parseFields(a.fields)
		if err == nil && sel.exact("spec.nodeName") == node {
			return true, ""
		}
		return false, "can only list/watch pods with spec.nodeName field selector"
	}
	return false, ""
}

var leaseVerbs = []string{"get", "create", "update", "patch", "delete"}

func ownLease(_ *Server, node string, a *attributes) (bool, string) {
	switch {
	case !slices.Contains(leaseVerbs, a.verb):
		return false, "can only get, create, update, patch, or delete a node lease"
	case a.namespace != "kube-node-lease":
		return false, `can only access leases in the "kube-node-lease" system namespace`
	case a.verb != "create" && a.name != node:
		return false, "can only access node lease with the same name as the requesting node"
	}
	return true, ""
}

func ownCSINode(_ *Server, node string, a *attributes) (bool, string) {
	switch {
	case a.sub != "":
		return false, "cannot authorize CSINode subresources"
	case !slices.Contains(leaseVerbs, a.verb):
		return false, "can only get, create, update, patch, or delete a CSINode"
	case a.verb != "create" && a.name != node:
		return false, "can only access CSINode with the same name as the requesting node"
	}
	return true, ""
}

func (s *Server) unrelated(node string) string {
	words := era.NodeUnrelated.In(s.era)
	if !strings.Contains(words, "%") {
		return words
	}
	return fmt.Sprintf(words, node)
}

// related lets a node read what a pod on it refers to.
func related(s *Server, node string, a *attributes) (bool, string) {
	if !era.NodeListsItsObjects.In(s.era) {
		return oneOfPods(s, node, a)
	}
	switch {
	case a.verb != "get" && a.verb != "list" && a.verb != "watch":
		return false, "can only read resources of this type"
	case a.sub != "":
		return false, "cannot read subresource"
	case a.namespace == "":
		return false, "can only read namespaced object of this type"
	case a.name == "":
		return false, "No Object name found"
	case !s.refers(node, a):
		return false, s.unrelated(node)
	}
	return true, ""
}

// oneOfPods lets a node get a volume of a pod on it.
func oneOfPods(s *Server, node string, a *attributes) (bool, string) {
	switch {
	case a.verb != "get" || a.name == "":
		return false, "can only get individual resources of this type"
	case a.sub != "":
		return false, "cannot get subresource"
	case !s.refers(node, a):
		return false, s.unrelated(node)
	}
	return true, ""
}

// claimOfPods lets a node also say how far the claim of a pod on it is.
func claimOfPods(s *Server, node string, a *attributes) (bool, string) {
	switch {
	case a.sub != "status":
		return oneOfPods(s, node, a)
	case a.verb != "update" && a.verb != "patch":
		return false, "can only get/update/patch this type"
	case !s.refers(node, a):
		return false, s.unrelated(node)
	}
	return true, ""
}

// sliceNode is whose devices a slice lists; empty for none or several.
func sliceNode(o *deviceSlice) string {
	if o.Spec.NodeName == nil {
		return ""
	}
	return *o.Spec.NodeName
}

// ownSlices lets a node keep the slices that name it; NodeRestriction looks at a new
// one, and at each that is deleted.
func ownSlices(s *Server, node string, a *attributes) (bool, string) {
	switch {
	case a.sub != "":
		return false, "cannot authorize ResourceSlice subresources"
	case a.verb == "create":
		return true, ""
	case slices.Contains(leaseVerbs, a.verb):
		switch o := s.store.Get("resourceslices", "", a.name); {
		case a.name == "":
			return false, "No Object name found"
		case o == nil || sliceNode(o.typed.(*deviceSlice)) != node:
			return false, s.unrelated(node)
		}
		return true, ""
	case a.verb == "watch" || a.verb == "list" || a.verb == "deletecollection":
		if sel, err := parseFields(a.fields); err == nil && sel.exact("spec.nodeName") == node {
			return true, ""
		}
		return false, "can only list/watch/deletecollection resourceslices with nodeName field selector"
	}
	return false, "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection"
}

// serviceAccounts lets a node make tokens for, and get, those of its pods.
func serviceAccounts(s *Server, node string, a *attributes) (bool, string) {
	switch {
	case a.verb == "get" && a.sub == "":
		return related(s, node, a)
	case a.verb != "create" || a.name == "":
		return false, "can only create tokens for individual service accounts"
	case a.sub != "token":
		return false, "can only create token subresource of serviceaccount"
	case !s.refers(node, a):
		return false, s.unrelated(node)
	}
	return true, ""
}

// refers reports whether a pod on the node mentions the object.
func (s *Server) refers(node string, a *attributes) bool {
	for _, o := range s.store.in("pods", a.namespace) {
		p := o.typed.(*corev1.Pod)
		if p.Spec.NodeName != node {
			continue
		}
		if a.resource == "persistentvolumes" {
			for _, name := range references(p, "persistentvolumeclaims") {
				if c := s.claim(p.Namespace, name); c != nil && c.Spec.VolumeName == a.name {
					return true
				}
			}
		} else if slices.Contains(references(p, a.resource), a.name) {
			return true
		}
	}
	return false
}

// claim is a PersistentVolumeClaim, nil for none.
func (s *Server) claim(namespace, name string) *corev1.PersistentVolumeClaim {
	if o := s.store.Get("persistentvolumeclaims", namespace, name); o != nil {
		return o.typed.(*corev1.PersistentVolumeClaim)
	}
	return nil
}

// references lists the names of objects of a resource that a pod mentions.
func references(p *corev1.Pod, resource string) []string {
	var secrets, maps, claims []string
	for _, r := range p.Spec.ImagePullSecrets {
		secrets = append(secrets, r.Name)
	}
	for _, v := range p.Spec.Volumes {
		switch {
		case v.Secret != nil:
			secrets = append(secrets, v.Secret.SecretName)
		case v.ConfigMap != nil:
			maps = append(maps, v.ConfigMap.Name)
		case v.PersistentVolumeClaim != nil:
			claims = append(claims, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			claims = append(claims, p.Name+"-"+v.Name)
		case v.Projected != nil:
			for _, x := range v.Projected.Sources {
				if x.Secret != nil {
					secrets = append(secrets, x.Secret.Name)
				}
				if x.ConfigMap != nil {
					maps = append(maps, x.ConfigMap.Name)
				}
			}
		}
	}
	for _, k := range slices.Concat(p.Spec.InitContainers, p.Spec.Containers) {
		for _, e := range k.EnvFrom {
			if e.SecretRef != nil {
				secrets = append(secrets, e.SecretRef.Name)
			}
			if e.ConfigMapRef != nil {
				maps = append(maps, e.ConfigMapRef.Name)
			}
		}
		for _, e := range k.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				secrets = append(secrets, e.ValueFrom.SecretKeyRef.Name)
			}
			if e.ValueFrom != nil && e.ValueFrom.ConfigMapKeyRef != nil {
				maps = append(maps, e.ValueFrom.ConfigMapKeyRef.Name)
			}
		}
	}
	switch resource {
	case "secrets":
		return secrets
	case "configmaps":
		return maps
	case "persistentvolumeclaims":
		return claims
	case "serviceaccounts":
		return []string{p.Spec.ServiceAccountName}
	case "resourceclaims":
		var names []string
		for _, c := range p.Spec.ResourceClaims {
			if c.ResourceClaimName != nil {
				names = append(names, *c.ResourceClaimName)
			}
		}
		for _, c := range p.Status.ResourceClaimStatuses {
			if c.ResourceClaimName != nil {
				names = append(names, *c.ResourceClaimName)
			}
		}
		return names
	}
	return nil
}
