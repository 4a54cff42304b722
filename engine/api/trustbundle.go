package api

import (
	"encoding/pem"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/pki"
)

// trustBundle is certificates.k8s.io/v1 ClusterTrustBundle, which releases serve
// since 1.37: the CAs that a signer's certificates are to be verified with.
type trustBundle struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              struct {
		SignerName  string `json:"signerName,omitempty"`
		TrustBundle string `json:"trustBundle"`
	} `json:"spec"`
}

var trustBundleTable = table{columns{nameColumn(), column("SignerName", "signerName indicates the associated signer, if any.\n\nIn order to create or update a ClusterTrustBundle that sets signerName, you must have the following cluster-scoped permission: group=certificates.k8s.io resource=signers resourceName=<the signer name> verb=attest.\n\nIf signerName is not empty, then the ClusterTrustBundle object must be named with the signer name as a prefix (translating slashes to colons). For example, for the signer name `example.com/foo`, valid ClusterTrustBundle object names include `example.com:foo:abc` and `example.com:foo:v1`.\n\nIf signerName is empty, then the ClusterTrustBundle object's name must not have such a prefix.\n\nList/watch requests for ClusterTrustBundles can filter on this field using a `spec.signerName=NAME` field selector.")},
	func(_ moment, o object) []any {
		b := o.(*trustBundle)
		return []any{b.Name, orNone(b.Spec.SignerName)}
	}}

// mostTrust is how long a bundle may be, in bytes.
const mostTrust = 1 << 20

// validateTrust models pkg/apis/certificates/validation ValidateClusterTrustBundle.
func validateTrust(_ *exchange, o, old object, _ string) (errs field.ErrorList) {
	n := o.(*trustBundle)
	for _, e := range trustName(n.Name, n.Spec.SignerName) {
		errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), n.Name, e))
	}
	spec := field.NewPath("spec")
	if n.Spec.SignerName != "" {
		errs = append(errs, validateSigner(spec.Child("signerName"), n.Spec.SignerName)...)
	}
	was, _ := old.(*trustBundle)
	if was == nil || was.Spec.TrustBundle != n.Spec.TrustBundle {
		errs = append(errs, trustErrors(spec.Child("trustBundle"), n.Spec.TrustBundle)...)
	}
	if was != nil && was.Spec.SignerName != n.Spec.SignerName {
		errs = append(errs, field.Invalid(spec.Child("signerName"), n.Spec.SignerName, "field is immutable"))
	}
	return errs
}

// trustName says what is wrong with a bundle's name: it begins with its signer's.
func trustName(name, signer string) []string {
	if signer == "" {
		if strings.Contains(name, ":") {
			return []string{`ClusterTrustBundle without signer name must not have ":" in its name`}
		}
		return subdomain(name)
	}
	prefix := strings.ReplaceAll(signer, "/", ":") + ":"
	rest, ok := strings.CutPrefix(name, prefix)
	if !ok {
		return []string{fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, prefix)}
	}
	return subdomain(rest)
}

func trustErrors(at *field.Path, text string) (errs field.ErrorList) {
	if len(text) > mostTrust {
		return field.ErrorList{field.TooLong(at, "", mostTrust)}
	}
	bad := func(format string, args ...any) {
		errs = append(errs, field.Invalid(at, "<value omitted>", fmt.Sprintf(format, args...)))
	}
	var anchors []string
	places := map[string][]int{}
	rest := []byte(text)
	for i := 0; ; i++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" {
			bad("entry %d has bad block type: %v", i, b.Type)
			continue
		}
		if len(b.Headers) != 0 {
			bad("entry %d has PEM block headers", i)
			continue
		}
		cert, err := pki.ParseDER(b.Bytes)
		switch {
		case err != nil:
			bad("entry %d does not parse as X.509", i)
		case !cert.IsCA:
			bad("entry %d does not have the CA bit set", i)
		case !cert.BasicConstraintsValid:
			bad("entry %d has invalid basic constraints", i)
		default:
			key := string(b.Bytes)
			if places[key] == nil {
				anchors = append(anchors, key)
			}
			places[key] = append(places[key], i)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	if len(anchors) == 0 {
		bad("at least one trust anchor must be provided")
	}
	for _, a := range anchors {
		if len(places[a]) > 1 {
			bad("duplicate trust anchor (indices %v)", places[a])
		}
	}
	return errs
}

// attest: who publishes a signer's CAs needs the verb attest on it (Models
// plugin/pkg/admission/certificates/ctbattest).
func attest(x *exchange, r *resource, o, old object, operation string) error {
	n, ok := o.(*trustBundle)
	if !ok || operation == "delete" || n.Spec.SignerName == "" {
		return nil
	}
	if was, ok := old.(*trustBundle); ok && was.Spec == n.Spec {
		return nil
	}
	if !x.mayUse("attest", n.Spec.SignerName) {
		return fmt.Errorf("user not permitted to attest for signerName %q", n.Spec.SignerName)
	}
	return nil
}
