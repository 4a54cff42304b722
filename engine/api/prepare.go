package api

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// namespace gives a new Namespace its label, finalizer and phase.
func namespace(x *exchange, o, old object, sub string) {
	n := o.(*corev1.Namespace)
	if old == nil {
		n.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
		if !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes) {
			n.Spec.Finalizers = append(n.Spec.Finalizers, corev1.FinalizerKubernetes)
		}
		if era.NamespaceLabel.In(x.s.era) {
			if n.Labels == nil {
				n.Labels = map[string]string{}
			}
			n.Labels[corev1.LabelMetadataName] = n.Name
		}
		return
	}
	was := old.(*corev1.Namespace)
	switch sub {
	case "status":
		n.Spec = *was.Spec.DeepCopy()
	case "finalize":
		n.Status = *was.Status.DeepCopy()
	default:
		n.Spec.Finalizers = was.DeepCopy().Spec.Finalizers
		n.Status = *was.Status.DeepCopy()
	}
}

// retireNamespace begins the end of a namespace: it is Terminating until
// kube-controller-manager has emptied it and takes the finalizer away (Models
// pkg/registry/core/namespace/storage).
func retireNamespace(x *exchange, r *resource, current *Object, dry bool) (sim.Response, bool) {
	was := current.typed.(*corev1.Namespace)
	if was.DeletionTimestamp != nil {
		return x.show(200, r, current), len(was.Spec.Finalizers) > 0
	}
	n := was.DeepCopy()
	now := x.now()
	n.DeletionTimestamp, n.Status.Phase = &now, corev1.NamespaceTerminating
	if dry {
		return x.show(200, r, written(r, n, current.Version)), true
	}
	return x.show(200, r, x.commit(r, "delete", n)), true
}

// namespaceOver: nothing holds it any more.
func namespaceOver(o object) bool {
	n := o.(*corev1.Namespace)
	return n.DeletionTimestamp != nil && len(n.Spec.Finalizers) == 0
}

// node keeps spec and metadata apart from status. A new Node may bring its
// status: the kubelet does.
func node(_ *exchange, o, old object, sub string) {
	if old == nil {
		return
	}
	n, was := o.(*corev1.Node), old.(*corev1.Node)
	if sub == "status" {
		n.Spec = *was.Spec.DeepCopy()
	} else {
		n.Status = *was.Status.DeepCopy()
	}
}

// pod keeps spec and status apart. What old has is shared, not copied: nobody
// changes it, and copying a PodSpec is 150 kB of a page's program.
func pod(_ *exchange, o, old object, sub string) {
	p := o.(*corev1.Pod)
	switch {
	case old == nil:
		dropDisabled(&p.Spec)
		p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: qosClass(&p.Spec)}
	case sub == "status":
		was := old.(*corev1.Pod)
		p.Spec, p.DeletionTimestamp, p.OwnerReferences = was.Spec, was.DeletionTimestamp, was.OwnerReferences
		fill(&p.Status.QOSClass, was.Status.QOSClass)
	default:
		dropDisabled(&p.Spec)
		p.Status = old.(*corev1.Pod).Status
	}
}

// claim and volume keep spec and status apart.
func claim(_ *exchange, o, old object, sub string) {
	c := o.(*corev1.PersistentVolumeClaim)
	switch {
	case old == nil:
		c.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimPending}
	case sub == "status":
		c.Spec = old.(*corev1.PersistentVolumeClaim).Spec
	default:
		c.Status = old.(*corev1.PersistentVolumeClaim).Status
	}
}

func volume(_ *exchange, o, old object, sub string) {
	v := o.(*corev1.PersistentVolume)
	switch {
	case old == nil:
		v.Status = corev1.PersistentVolumeStatus{Phase: corev1.VolumePending}
	case sub == "status":
		v.Spec = old.(*corev1.PersistentVolume).Spec
	default:
		v.Status = old.(*corev1.PersistentVolume).Status
	}
}

// service keeps spec and status apart. What it is given, it has by now.
func service(_ *exchange, o, old object, sub string) {
	s := o.(*corev1.Service)
	switch {
	case old == nil:
		s.Status = corev1.ServiceStatus{}
	case sub == "status":
		s.Spec = old.(*corev1.Service).Spec
	default:
		s.Status = old.(*corev1.Service).Status
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			s.Status.LoadBalancer = corev1.LoadBalancerStatus{}
		}
	}
}

// secret turns stringData into data and gives the default type.
func secret(_ *exchange, o, old object, _ string) {
	s := o.(*corev1.Secret)
	for k, v := range s.StringData {
		if s.Data == nil {
			s.Data = map[string][]byte{}
		}
		s.Data[k] = []byte(v)
	}
	s.StringData = nil
	if s.Type == "" {
		s.Type = corev1.SecretTypeOpaque
		if old != nil {
			s.Type = old.(*corev1.Secret).Type
		}
	}
}
