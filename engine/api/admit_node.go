package api

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/kubelet/pkg/apis"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// mirrorPod marks the object of a static pod.
const mirrorPod = "kubernetes.io/config.mirror"

// attempt is what a node wants to change.
type attempt struct {
	x              *exchange
	node           string
	name           string
	o, old         object
	operation, sub string
}

// restrictions are the rules of NodeRestriction, by resource.
var restrictions = map[string]func(a *attempt) error{
	"pods":                       (*attempt).pod,
	"nodes":                      (*attempt).own,
	"serviceaccounts":            (*attempt).token,
	"leases":                     (*attempt).lease,
	"csinodes":                   (*attempt).csiNode,
	"certificatesigningrequests": (*attempt).csr,
}

// nodeRestriction keeps a node to itself (Models plugin/pkg/admission/noderestriction).
func nodeRestriction(x *exchange, r *resource, o, old object, operation string) error {
	node, ok := nodeOf(x.user)
	if !ok {
		return nil
	}
	if node == "" {
		return fmt.Errorf("could not determine node from user %q", x.user.Name)
	}
	rule := restrictions[r.Plural]
	if rule == nil {
		return nil
	}
	a := &attempt{x: x, node: node, name: x.info.name, o: o, old: old, operation: operation, sub: x.info.sub}
	if a.name == "" && o != nil {
		a.name = meta(o).Name
	}
	return rule(a)
}

func (a *attempt) lease() error {
	switch {
	case a.x.info.nspc != "kube-node-lease":
		return fmt.Errorf("can only access leases in the %q system namespace", "kube-node-lease")
	case a.name != a.node:
		return errors.New("can only access node lease with the same name as the requesting node")
	}
	return nil
}

func (a *attempt) csiNode() error {
	if a.name != a.node {
		return errors.New("can only access CSINode with the same name as the requesting node")
	}
	return nil
}

func (a *attempt) csr() error {
	if a.operation != "create" || !era.NodeRestrictionCSR.In(a.x.s.era) {
		return nil
	}
	o := a.o.(*certificatesv1.CertificateSigningRequest)
	if o.Spec.SignerName != certificatesv1.KubeletServingSignerName && o.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		return nil
	}
	req, err := pki.ParseRequest(o.Spec.Request)
	if err != nil {
		return fmt.Errorf("unable to parse csr: %w", err)
	}
	if req.Subject.CommonName != nodePrefix+a.node {
		return fmt.Errorf("can only create a node CSR with CN=%s", nodePrefix+a.node)
	}
	return nil
}

func (a *attempt) own() error {
	if a.name != a.node {
		return fmt.Errorf("node %q is not allowed to modify node %q", a.node, a.name)
	}
	switch a.operation {
	case "create":
		n := a.o.(*corev1.Node)
		if n.Spec.ConfigSource != nil {
			return fmt.Errorf("node %q is not allowed to create pods with a non-nil configSource", a.node)
		}
		if bad := forbiddenLabels(n.Labels, nil); len(bad) > 0 {
			return fmt.Errorf("node %q is not allowed to set the following labels: %s", a.node, strings.Join(bad, ", "))
		}
	case "update":
		n, was := a.o.(*corev1.Node), a.old.(*corev1.Node)
		if n.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(n.Spec.ConfigSource, was.Spec.ConfigSource) {
			return fmt.Errorf("node %q is not allowed to update configSource to a new non-nil configSource", a.node)
		}
		if !equality.Semantic.DeepEqual(n.Spec.Taints, was.Spec.Taints) {
			return fmt.Errorf("node %q is not allowed to modify taints", a.node)
		}
		if !equality.Semantic.DeepEqual(n.OwnerReferences, was.OwnerReferences) {
			return fmt.Errorf("node %q is not allowed to modify ownerReferences", a.node)
		}
		if bad := forbiddenLabels(n.Labels, was.Labels); len(bad) > 0 {
			return fmt.Errorf("is not allowed to modify labels: %s", strings.Join(bad, ", "))
		}
	}
	return nil
}

// forbiddenLabels are the changed labels that a node may not touch: those of
// kubernetes.io and k8s.io but a kubelet's own, and those that restrict it.
func forbiddenLabels(now, was map[string]string) []string {
	if maps.Equal(now, was) {
		return nil
	}
	var out []string
	under := func(domain, of string) bool { return domain == of || strings.HasSuffix(domain, "."+of) }
	for _, m := range []map[string]string{now, was} {
		for k := range m {
			v, before := was[k]
			w, after := now[k]
			if before && after && v == w {
				continue
			}
			domain, _, ok := strings.Cut(k, "/")
			if !ok {
				continue
			}
			if under(domain, corev1.LabelNamespaceNodeRestriction) || (under(domain, "kubernetes.io") || under(domain, "k8s.io")) && !apis.IsKubeletLabel(k) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bound finds a pod in the request's namespace that a node speaks of.
func (a *attempt) boundPod(name string) (*corev1.Pod, error) {
	o := a.x.s.store.Get("pods", a.x.info.nspc, name)
	if o == nil {
		return nil, apierrors.NewNotFound(resources["pods"].gr(), name)
	}
	return o.typed.(*corev1.Pod), nil
}

// token: a node may have tokens for its pods only, bound to them, for the
// audiences that they mention.
func (a *attempt) token() error {
	if a.operation != "create" || a.sub != "token" {
		return nil
	}
	t := a.o.(*authenticationv1.TokenRequest)
	ref := t.Spec.BoundObjectRef
	if ref == nil || ref.APIVersion != "v1" || ref.Kind != "Pod" || ref.Name == "" {
		return errors.New("node requested token not bound to a pod")
	}
	if ref.UID == "" {
		return errors.New("node requested token with a pod binding without a uid")
	}
	p, err := a.boundPod(ref.Name)
	if err != nil {
		return err
	}
	if ref.UID != p.UID {
		return fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID)
	}
	if p.Spec.NodeName != a.node {
		return errors.New("node requested token bound to a pod scheduled on a different node")
	}
	if !era.TokenAudienceRestricted.In(a.x.s.era) {
		return nil
	}
	audience := ""
	switch len(t.Spec.Audiences) {
	case 0:
	case 1:
		audience = t.Spec.Audiences[0]
	default:
		return errors.New("node may only request 0 or 1 audiences")
	}
	for _, v := range p.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
				return nil
			}
		}
	}
	if ok, _ := a.x.s.authorize(&attributes{user: a.x.user, verb: "request-serviceaccounts-token-audience", namespace: a.x.info.nspc, resource: audience, name: a.x.info.name}); ok {
		return nil
	}
	return fmt.Errorf("audience %q not found in pod spec volume, %s is not authorized to request tokens for this audience", audience, a.x.user.Name)
}

func (a *attempt) pod() error {
	switch a.sub + " " + a.operation {
	case " create":
		return a.mirror(a.o.(*corev1.Pod))
	case " delete":
		if a.old.(*corev1.Pod).Spec.NodeName != a.node {
			return fmt.Errorf("node %q can only delete pods with spec.nodeName set to itself", a.node)
		}
		return nil
	case "status update":
		now, was := a.o.(*corev1.Pod), a.old.(*corev1.Pod)
		if was.Spec.NodeName != a.node {
			return fmt.Errorf("node %q can only update pod status for pods with spec.nodeName set to itself", a.node)
		}
		if !maps.Equal(now.Labels, was.Labels) {
			return fmt.Errorf("node %q cannot update labels through pod status", a.node)
		}
		return nil
	}
	switch a.sub {
	case "":
		return fmt.Errorf("unexpected operation %q, node %q can only create and delete mirror pods", strings.ToUpper(a.operation), a.node)
	case "status":
		return fmt.Errorf("unexpected operation %q", strings.ToUpper(a.operation))
	}
	return fmt.Errorf("unexpected pod subresource %q, only 'status' and 'eviction' are allowed", a.sub)
}

// mirror: the only pods that a node creates are the mirrors of its static ones.
func (a *attempt) mirror(p *corev1.Pod) error {
	if _, ok := p.Annotations[mirrorPod]; !ok {
		return fmt.Errorf("pod does not have %q annotation, node %q can only create mirror pods", mirrorPod, a.node)
	}
	if p.Spec.NodeName != a.node {
		return fmt.Errorf("node %q can only create pods with spec.nodeName set to itself", a.node)
	}
	if len(p.OwnerReferences) > 1 {
		return fmt.Errorf("node %q can only create pods with a single owner reference set to itself", a.node)
	}
	if len(p.OwnerReferences) == 0 {
		return fmt.Errorf("node %q can only create pods with an owner reference set to itself", a.node)
	}
	owner := p.OwnerReferences[0]
	switch {
	case owner.APIVersion != "v1" || owner.Kind != "Node" || owner.Name != a.node:
		return fmt.Errorf("node %q can only create pods with an owner reference set to itself", a.node)
	case owner.Controller == nil || !*owner.Controller:
		return fmt.Errorf("node %q can only create pods with a controller owner reference set to itself", a.node)
	case owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion:
		return fmt.Errorf("node %q must not set blockOwnerDeletion on an owner reference", a.node)
	}
	n := a.x.s.store.Get("nodes", "", a.node)
	if n == nil {
		return apierrors.NewNotFound(resources["nodes"].gr(), a.node)
	}
	if uid := meta(n.typed).UID; owner.UID != uid {
		return fmt.Errorf("node %s UID mismatch: expected %s got %s", a.node, owner.UID, uid)
	}
	for _, what := range []string{"serviceaccounts", "secrets", "configmaps", "persistentvolumeclaims"} {
		if slices.ContainsFunc(references(p, what), func(name string) bool { return name != "" }) {
			return fmt.Errorf("node %q can not create pods that reference %s", a.node, what)
		}
	}
	for _, v := range p.Spec.Volumes {
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil }) {
			return fmt.Errorf("node %q can not create pods that reference serviceaccounts (via projected volumes)", a.node)
		}
	}
	return nil
}
