package api

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaceLifecycle lets nothing new into a namespace that is being deleted
// (Models apiserver/pkg/admission/plugin/namespace/lifecycle). That a
// namespace is there at all is looked at before.
func namespaceLifecycle(x *exchange, r *resource, o, _ object, operation string) error {
	if operation != "create" || !r.Namespaced {
		return nil
	}
	ns := x.s.store.Get("namespaces", "", x.info.nspc)
	if ns == nil || ns.typed.(*corev1.Namespace).Status.Phase != corev1.NamespaceTerminating {
		return nil
	}
	err := apierrors.NewForbidden(r.gr(), admitName(x, o), fmt.Errorf("unable to create new content in namespace %s because it is being terminated", x.info.nspc))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause,
		Message: fmt.Sprintf("namespace %s is being terminated", x.info.nspc), Field: "metadata.namespace"})
	return err
}
