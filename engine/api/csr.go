package api

import (
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// prepareCSR writes what the server decides about a request for a certificate:
// who asks, at the creation; afterwards what each subresource may touch (Models
// pkg/registry/certificates/certificates/strategy.go).
func prepareCSR(x *exchange, o, old object, sub string) {
	n := o.(*certificatesv1.CertificateSigningRequest)
	if old == nil {
		n.Spec.Username, n.Spec.UID = x.user.Name, x.user.UID
		n.Spec.Groups, n.Spec.Extra = slices.Clone(x.user.Groups), nil
		if len(x.user.Extra) > 0 {
			n.Spec.Extra = map[string]certificatesv1.ExtraValue{}
			for k, v := range x.user.Extra {
				n.Spec.Extra[k] = v
			}
		}
		n.Status = certificatesv1.CertificateSigningRequestStatus{}
		return
	}
	was := old.(*certificatesv1.CertificateSigningRequest)
	n.Spec = *was.Spec.DeepCopy()
	conditions, certificate := n.Status.Conditions, n.Status.Certificate
	switch sub {
	case "":
		n.Status = *was.Status.DeepCopy()
	case "approval":
		n.Status = *was.Status.DeepCopy()
		n.Status.Conditions = conditions
		stamp(x.now(), n, was)
	case "status":
		n.Status = *was.Status.DeepCopy()
		n.Status.Certificate = certificate
		n.Status.Conditions = withDecisions(conditions, was.Status.Conditions)
		stamp(x.now(), n, was)
	}
}

// withDecisions keeps Approved and Denied as they were when there are as many
// of them as before: /status can't touch them. Otherwise validation complains.
func withDecisions(now, was []certificatesv1.CertificateSigningRequestCondition) []certificatesv1.CertificateSigningRequestCondition {
	out := slices.Clone(now)
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		before, after := places(was, t), places(now, t)
		if len(before) != len(after) {
			continue
		}
		for i := range before {
			out[after[i]] = was[before[i]]
		}
	}
	return out
}

// places are the indexes of the conditions of a type.
func places(list []certificatesv1.CertificateSigningRequestCondition, t certificatesv1.RequestConditionType) (out []int) {
	for i, c := range list {
		if c.Type == t {
			out = append(out, i)
		}
	}
	return out
}

// stamp fills in the times of conditions that have none.
func stamp(now metav1.Time, n, was *certificatesv1.CertificateSigningRequest) {
	for i := range n.Status.Conditions {
		c := &n.Status.Conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for _, o := range was.Status.Conditions {
			if o.Type == c.Type && o.Status == c.Status && !o.LastTransitionTime.IsZero() {
				c.LastTransitionTime = o.LastTransitionTime
				break
			}
		}
	}
}

// csrCondition is what the table's last column says.
func csrCondition(o *certificatesv1.CertificateSigningRequest) string {
	is := func(t certificatesv1.RequestConditionType) bool {
		return slices.ContainsFunc(o.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool { return c.Type == t })
	}
	var words []string
	switch {
	case is(certificatesv1.CertificateDenied):
		words = append(words, "Denied")
	case is(certificatesv1.CertificateApproved):
		words = append(words, "Approved")
	default:
		words = append(words, "Pending")
	}
	if is(certificatesv1.CertificateFailed) {
		words = append(words, "Failed")
	}
	if len(o.Status.Certificate) > 0 {
		words = append(words, "Issued")
	}
	return strings.Join(words, ",")
}
