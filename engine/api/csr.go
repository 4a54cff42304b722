package api

import (
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// prepareCSR writes what the server decides about a request for a certificate:
// who asks, at the creation; afterwards what each subresource may touch (Models
// pkg/registry/certificates/certificates/strategy.go).
func prepareCSR(x *exchange, o, old object, sub string) {
	n := o.(*certificatesv1.CertificateSigningRequest)
	beta := x.info.version != "v1"
	if beta {
		defaultCSR(x, n)
	}
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
	n.Status = *was.Status.DeepCopy()
	switch sub {
	case "":
		return
	case "approval":
		n.Status.Conditions = conditions
	case "status":
		n.Status.Certificate = certificate
		if era.CSRChecksStatus.In(x.s.era) {
			kept, whole := withDecisions(conditions, was.Status.Conditions)
			if whole || !beta {
				n.Status.Conditions = kept
			}
		}
	}
	if era.CSRConditionTimes.In(x.s.era) {
		stamp(x.now(), n, was)
	}
}

// defaultCSR fills in what v1beta1 lets be left out (Models
// pkg/apis/certificates/v1beta1/defaults.go).
func defaultCSR(x *exchange, n *certificatesv1.CertificateSigningRequest) {
	if n.Spec.Usages == nil {
		n.Spec.Usages = []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageKeyEncipherment}
	}
	if n.Spec.SignerName == "" && x.s.knows("certificatesigningrequests", "spec.signerName") {
		n.Spec.SignerName = signerByShape(n.Spec.Request, n.Spec.Usages)
	}
	if x.s.knows("certificatesigningrequests", "status.conditions.status") {
		for i := range n.Status.Conditions {
			if c := &n.Status.Conditions[i]; c.Status == "" {
				c.Status = corev1.ConditionTrue
			}
		}
	}
}

// legacySigner signs what is of no known shape.
const legacySigner = "kubernetes.io/legacy-unknown"

// signerByShape is the signer that a request without one means.
func signerByShape(request []byte, usages []certificatesv1.KeyUsage) string {
	req, err := pki.ParseRequest(request)
	if err != nil || !slices.Equal(req.Subject.Organization, []string{"system:nodes"}) || !strings.HasPrefix(req.Subject.CommonName, nodePrefix) {
		return legacySigner
	}
	kinds := map[certificatesv1.KeyUsage]bool{}
	for _, u := range usages {
		kinds[u] = true
	}
	of := func(purpose certificatesv1.KeyUsage) bool {
		return len(kinds) == 3 && kinds[certificatesv1.UsageDigitalSignature] && kinds[certificatesv1.UsageKeyEncipherment] && kinds[purpose]
	}
	hosts, others := len(req.DNSNames)+len(req.IPAddresses) > 0, len(req.EmailAddresses)+len(req.URIs) > 0
	switch {
	case of(certificatesv1.UsageClientAuth) && !hosts && !others:
		return certificatesv1.KubeAPIServerClientKubeletSignerName
	case of(certificatesv1.UsageServerAuth) && hosts && !others:
		return certificatesv1.KubeletServingSignerName
	}
	return legacySigner
}

// withDecisions keeps Approved and Denied as they were when there are as many
// of them as before: /status can't touch them. Otherwise they are not whole, and
// validation complains.
func withDecisions(now, was []certificatesv1.CertificateSigningRequestCondition) (out []certificatesv1.CertificateSigningRequestCondition, whole bool) {
	out, whole = slices.Clone(now), true
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied} {
		before, after := places(was, t), places(now, t)
		if len(before) != len(after) {
			whole = false
			continue
		}
		for i := range before {
			out[after[i]] = was[before[i]]
		}
	}
	return out, whole
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
