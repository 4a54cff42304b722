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
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
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
	"persistentvolumeclaims":     (*attempt).claim,
	"resourceslices":             (*attempt).slice,
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

// claim: of a claim, a node says how large it is, and how resizing it goes.
func (a *attempt) claim() error {
	switch {
	case a.sub != "status":
		return errors.New("may only update PVC status")
	case a.operation != "update":
		return fmt.Errorf("unexpected operation %q", strings.ToUpper(a.operation))
	}
	plain := func(o object) corev1.PersistentVolumeClaim {
		c := *o.(*corev1.PersistentVolumeClaim)
		c.ResourceVersion, c.ManagedFields = "", nil
		c.Status.Capacity, c.Status.Conditions = nil, nil
		c.Status.AllocatedResourceStatuses, c.Status.AllocatedResources = nil, nil
		return c
	}
	if !equality.Semantic.DeepEqual(plain(a.o), plain(a.old)) {
		// The real one goes on with the difference between the two.
		return fmt.Errorf("node %q is not allowed to update fields other than status.quantity and status.conditions: ", a.node)
	}
	return nil
}

// slice: a node lists its own devices.
func (a *attempt) slice() error {
	switch {
	case a.operation == "create" && sliceNode(a.o.(*deviceSlice)) != a.node:
		return errors.New("can only create ResourceSlice with the same NodeName as the requesting node")
	case a.operation == "delete" && sliceNode(a.old.(*deviceSlice)) != a.node:
		return errors.New("can only delete ResourceSlice with the same NodeName as the requesting node")
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
		return fmt.Errorf(era.NodeModifies.In(a.x.s.era), a.node, a.name)
	}
	switch a.operation {
	case "create":
		n := a.o.(*corev1.Node)
		if n.Spec.ConfigSource != nil {
			return fmt.Errorf("node %q is not allowed to create pods with a non-nil configSource", a.node)
		}
		if bad := forbiddenLabels(n.Labels, nil); len(bad) > 0 && era.NodeKeepsLabels.In(a.x.s.era) {
			return fmt.Errorf("node %q is not allowed to set the following labels: %s", a.node, strings.Join(bad, ", "))
		}
	case "update":
		n, was := a.o.(*corev1.Node), a.old.(*corev1.Node)
		if n.Spec.ConfigSource != nil && !equality.Semantic.DeepEqual(n.Spec.ConfigSource, was.Spec.ConfigSource) {
			return fmt.Errorf("node %q is not allowed to update configSource to a new non-nil configSource", a.node)
		}
		if !equality.Semantic.DeepEqual(n.Spec.Taints, was.Spec.Taints) && era.NodeKeepsTaints.In(a.x.s.era) {
			return fmt.Errorf("node %q is not allowed to modify taints", a.node)
		}
		if !equality.Semantic.DeepEqual(n.OwnerReferences, was.OwnerReferences) && era.NodeKeepsOwners.In(a.x.s.era) {
			return fmt.Errorf("node %q is not allowed to modify ownerReferences", a.node)
		}
		if bad := forbiddenLabels(n.Labels, was.Labels); len(bad) > 0 && era.NodeKeepsLabels.In(a.x.s.era) {
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
	found, errs := a.mentions(p, audience)
	switch {
	case found:
		return nil
	case len(errs) > 0:
		return fmt.Errorf("error validating audience %q: %w", audience, utilerrors.NewAggregate(errs))
	}
	if ok, _ := a.x.s.authorize(&attributes{user: a.x.user, verb: "request-serviceaccounts-token-audience", namespace: a.x.info.nspc, resource: audience, name: a.x.info.name}); ok {
		return nil
	}
	return fmt.Errorf("audience %q not found in pod spec volume, %s is not authorized to request tokens for this audience", audience, a.x.user.Name)
}

// mentions tells whether a pod has a volume with a token for an audience: a projected
// one, or one of a CSI driver, by itself or through a claim, that asks for it.
func (a *attempt) mentions(p *corev1.Pod, audience string) (found bool, errs []error) {
	store := a.x.s.store
	missing := func(kind, name string) {
		errs = append(errs, apierrors.NewNotFound(schema.GroupResource{Resource: kind}, name))
	}
	for _, v := range p.Spec.Volumes {
		driver, claim := "", ""
		switch {
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				if s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == audience {
					return true, nil
				}
			}
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
			claim = p.Name + "-" + v.Name
		case v.PersistentVolumeClaim != nil:
			claim = v.PersistentVolumeClaim.ClaimName
		case v.CSI != nil:
			driver = v.CSI.Driver
		}
		if claim != "" {
			c := a.x.s.claim(p.Namespace, claim)
			if c == nil {
				missing("persistentvolumeclaim", claim)
				continue
			}
			pv := store.Get("persistentvolumes", "", c.Spec.VolumeName)
			if pv == nil {
				missing("persistentvolume", c.Spec.VolumeName)
				continue
			}
			if csi := pv.typed.(*corev1.PersistentVolume).Spec.CSI; csi != nil {
				driver = csi.Driver
			}
		}
		if driver == "" {
			continue
		}
		d := store.Get("csidrivers", "", driver)
		if d == nil {
			errs = append(errs, apierrors.NewNotFound(schema.GroupResource{Group: "storage.k8s.io", Resource: "csidriver"}, driver))
			continue
		}
		for _, t := range d.typed.(*storagev1.CSIDriver).Spec.TokenRequests {
			if t.Audience == audience {
				return true, nil
			}
		}
	}
	return false, errs
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
		if !equality.Semantic.DeepEqual(now.Status.ResourceClaimStatuses, was.Status.ResourceClaimStatuses) {
			return fmt.Errorf("node %q cannot update resource claim statues", a.node)
		}
		if !equality.Semantic.DeepEqual(now.Status.ExtendedResourceClaimStatus, was.Status.ExtendedResourceClaimStatus) {
			return fmt.Errorf("node %q cannot update extended resource claim status", a.node)
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
	if what := refersTo(p); what != "" {
		return fmt.Errorf("node %q can not create pods that reference %s", a.node, what)
	}
	return nil
}

// refersTo is the first kind of API objects that a pod has to do with. Models
// pkg/api/pod HasAPIObjectReference.
func refersTo(p *corev1.Pod) string {
	for _, what := range []string{"serviceaccounts", "secrets", "configmaps"} {
		if slices.ContainsFunc(references(p, what), func(name string) bool { return name != "" }) {
			return what
		}
	}
	if len(p.Spec.ResourceClaims) > 0 {
		return "resourceclaims"
	}
	for _, v := range p.Spec.Volumes {
		switch {
		case v.CSI != nil:
			return "csidrivers (via CSI volumes)"
		case v.Glusterfs != nil:
			return "endpoints (via glusterFS volumes)"
		case v.PersistentVolumeClaim != nil:
			return "persistentvolumeclaims"
		case v.Ephemeral != nil:
			return "persistentvolumeclaims (via ephemeral volumes)"
		case v.Projected != nil:
			for _, s := range v.Projected.Sources {
				switch {
				case s.ServiceAccountToken != nil:
					return "serviceaccounts (via projected volumes)"
				case s.ClusterTrustBundle != nil:
					return "clustertrustbundles"
				case s.PodCertificate != nil:
					return "podcertificates"
				}
			}
		}
	}
	return ""
}
