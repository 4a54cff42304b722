package engine

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/api"
)

// find is a stored object; the error says in a sentence that there is none.
func find[T interface {
	GetName() string
	GetNamespace() string
}](w *World, resource, kind, namespace, name string) (out T, err error) {
	for o := range api.All[T](w.Store, resource) {
		if o.GetNamespace() == namespace && o.GetName() == name {
			return o, nil
		}
	}
	return out, fmt.Errorf("there is no %s %q in the namespace %q", kind, name, namespace)
}

// whySecret explains a Secret that somebody acts on: a bootstrap token, or a
// ServiceAccount's token.
func (w *World) whySecret(e *Explanation, namespace, name string) error {
	o, err := find[*corev1.Secret](w, "secrets", "Secret", namespace, name)
	if err != nil {
		return err
	}
	id, named := strings.CutPrefix(name, "bootstrap-token-")
	switch {
	case named && namespace == "kube-system":
		return w.whyToken(e, id)
	case o.Type != corev1.SecretTypeServiceAccountToken:
		return fmt.Errorf("the Secret %s/%s is of type %s: there is something to explain of bootstrap tokens, which are in kube-system and named after their id, and of tokens of ServiceAccounts", namespace, name, o.Type)
	}
	account := o.Annotations[corev1.ServiceAccountNameKey]
	if len(o.Data[corev1.ServiceAccountTokenKey]) > 0 {
		e.State = reason("account-token", "account", namespace+"/"+account)
		return nil
	}
	e.State = reason("account-token-empty", "account", namespace+"/"+account)
	w.needController(e, "serviceaccount-token-controller")
	return nil
}

// needController: what a controller of kube-controller-manager would do waits for it.
func (w *World) needController(e *Explanation, name string) {
	addr, m := w.manager()
	switch {
	case m == nil:
		add(&e.Needs, reason("unit", "unit", "kube-controller-manager"))
	case !m.Runs(name):
		add(&e.Needs, reason("controller", "unit", addr, "name", name))
	default:
		w.needLeader(e, addr)
	}
}

// makers are the controllers that make an object in every namespace.
var makers = map[string]string{"configmap/kube-root-ca.crt": "root-ca-certificate-publisher-controller", "serviceaccount/default": "serviceaccount-controller"}

// whyKept explains an object of which there is no more to say than whether it is
// there, and who makes it.
func (w *World) whyKept(e *Explanation, kind, namespace, name string) {
	if w.Store.Get(kind+"s", namespace, name) != nil {
		e.State = reason("there")
	} else if e.State = reason("absent"); w.Store.Get("namespaces", "", namespace) == nil {
		add(&e.Needs, reason("object", "object", "namespace/"+namespace))
	} else if by := makers[kind+"/"+name]; by != "" {
		w.needController(e, by)
	} else {
		add(&e.Needs, reason("object", "object", e.Object))
	}
	if kind == "configmap" && namespace+"/"+name == "kube-public/cluster-info" {
		w.needController(e, "bootstrap-signer-controller")
	}
}

// whyLease explains who holds a Lease, and what comes when it is over.
func (w *World) whyLease(e *Explanation, namespace, name string) error {
	l := w.Store.Lease(w.Clock, namespace, name)
	if l == nil {
		return fmt.Errorf("there is no Lease %q in the namespace %q", name, namespace)
	}
	holder, until, lasts := "", time.Time{}, time.Duration(0)
	if l.Spec.HolderIdentity != nil {
		holder = *l.Spec.HolderIdentity
	}
	if l.Spec.RenewTime != nil && l.Spec.LeaseDurationSeconds != nil {
		lasts = time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
		until = l.Spec.RenewTime.Add(lasts)
	}
	if until.Before(w.Clock) {
		e.State = reason("lease-over", "holder", holder).at(until)
	} else {
		e.State = reason("lease-good", "holder", holder, "for", lasts.String()).at(until)
	}
	switch {
	case namespace == corev1.NamespaceNodeLease && w.machine(name) != nil && until.Before(w.Clock):
		return w.inside(e, func(o *Explanation) error { return w.whyNode(o, name) })
	case namespace != corev1.NamespaceNodeLease && w.explainLeader(e, namespace+"/"+name) == "":
		for _, addr := range w.candidates(namespace + "/" + name) {
			w.explainTroubles(e, addr, w.machine(strings.Split(addr, "/")[0]))
		}
	}
	return nil
}

// inside takes what an explanation of something else says over into one.
func (w *World) inside(e *Explanation, why func(*Explanation) error) error {
	var o Explanation
	if err := why(&o); err != nil {
		return err
	}
	e.Knows, e.Needs, e.Next = append(e.Knows, o.Knows...), append(e.Needs, o.Needs...), append(e.Next, o.Next...)
	return nil
}

// whyPod explains where a pod is, and what keeps its node from it.
func (w *World) whyPod(e *Explanation, namespace, name string) error {
	o, err := find[*corev1.Pod](w, "pods", "Pod", namespace, name)
	if err != nil {
		return err
	}
	if o.Spec.NodeName == "" {
		e.State = reason("pod-unbound")
		add(&e.Needs, reason("binding-to-node"))
		add(&e.Next, reason("stays"))
		return nil
	}
	e.State = reason("pod-bound", "node", o.Spec.NodeName, "state", string(o.Status.Phase))
	if w.machine(o.Spec.NodeName) == nil {
		add(&e.Needs, reason("host", "host", o.Spec.NodeName))
		return nil
	}
	return w.inside(e, func(n *Explanation) error { return w.whyNode(n, o.Spec.NodeName) })
}
