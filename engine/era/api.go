package era

import (
	"strings"
	"time"
)

// DefaultAdmission are the admission plugins of ours that run without
// --enable-admission-plugins.
var DefaultAdmission = row("DefaultAdmission",
	Fact[[]string]{Since: "1.10", Value: []string{"NamespaceLifecycle", "ServiceAccount"}, Source: "pkg/kubeapiserver/options/plugins.go DefaultOffAdmissionPlugins (--admission-control before has no default but AlwaysAdmit)"},
	Fact[[]string]{Since: "1.14", Value: []string{"NamespaceLifecycle", "ServiceAccount", "TaintNodesByCondition"}, Source: "pkg/kubeapiserver/options/plugins.go nodetaint (gate TaintNodesByCondition, beta 1.12)"},
	Fact[[]string]{Since: "1.18", Value: []string{"NamespaceLifecycle", "ServiceAccount", "TaintNodesByCondition", "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction"}, Source: "pkg/kubeapiserver/options/plugins.go DefaultOffAdmissionPlugins"},
	Fact[[]string]{Since: "1.27", Value: []string{"NamespaceLifecycle", "ServiceAccount", "TaintNodesByCondition", "CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction", "ClusterTrustBundleAttest"}, Source: "pkg/kubeapiserver/options/plugins.go DefaultOffAdmissionPlugins"})

// admissionPlugins are all that kube-apiserver knows by a name, those that not every
// release has with SINCE: or SINCE-UNTIL: before them.
const admissionPlugins = `AlwaysAdmit NamespaceAutoProvision NamespaceLifecycle NamespaceExists LimitPodHardAntiAffinityTopology LimitRanger
	ServiceAccount NodeRestriction 14:TaintNodesByCondition AlwaysPullImages ImagePolicyWebhook 22:PodSecurity PodNodeSelector 8:Priority DefaultTolerationSeconds
	PodTolerationRestriction 8:EventRateLimit 9:ExtendedResourceToleration DefaultStorageClass 10:StorageObjectInUseProtection 36:PodGroupProtection
	OwnerReferencesPermissionEnforcement 8:PersistentVolumeClaimResize 16:RuntimeClass 18:CertificateApproval 18:CertificateSigning 27:ClusterTrustBundleAttest
	18:CertificateSubjectRestriction 18:DefaultIngressClass 21:DenyServiceExternalIPs 33:PodTopologyLabels 36-37:PodGroupWorkloadExists
	35:NodeDeclaredFeatureValidator 36:JobValidation 36:PodResizeValidator 32:MutatingAdmissionPolicy 9:MutatingAdmissionWebhook
	26:ValidatingAdmissionPolicy 9:ValidatingAdmissionWebhook ResourceQuota AlwaysDeny 7-31:PersistentVolumeLabel 7-30:SecurityContextDeny
	7-25:PodSecurityPolicy 7-21:DenyEscalatingExec 7-21:DenyExecOnPrivileged 7-20:PodPreset 7-14:Initializers 7-11:InitialResources 9-10:PVCProtection
	7-9:GenericAdmissionWebhook`

// AdmissionPlugins are all that --enable-admission-plugins, or --admission-control
// before it, knows in a release (pkg/kubeapiserver/options/plugins.go
// AllOrderedPlugins; up to 1.9 what is registered).
func AdmissionPlugins(e Era) (out []string) {
	for word := range strings.FieldsSeq(admissionPlugins) {
		if span, name, ok := strings.Cut(word, ":"); !ok {
			out = append(out, word)
		} else if e.within(span) {
			out = append(out, name)
		}
	}
	return out
}

// MastersFirst: group system:masters passes before any authorizer is asked.
var MastersFirst = row("MastersFirst", Fact[bool]{Since: "1.26", Value: true, Source: "pkg/kubeapiserver/authorizer/config.go"})

// CredentialID: an x509 user has the extra authentication.kubernetes.io/credential-id.
var CredentialID = row("CredentialID", Fact[bool]{Since: "1.32", Value: true, Source: "apiserver/pkg/authentication/request/x509; golden e1/49"})

// CertificateUID: a user's UID is read from subject OID 1.3.6.1.4.1.57683.2
// (gate AllowParsingUserUIDFromCertAuth).
var CertificateUID = row("CertificateUID", Fact[bool]{Since: "1.33", Value: true, Source: "apiserver/pkg/authentication/request/x509"})

// NodeRestrictionCSR: a node may ask for kubelet certificates in its own name only.
var NodeRestrictionCSR = row("NodeRestrictionCSR", Fact[bool]{Since: "1.31", Value: true, Source: "plugin/pkg/admission/noderestriction; golden e1/54"})

// NodeReadsOwnNode: the Node authorizer lets a node read its own Node only, and
// list pods of its own only (gate AuthorizeNodeWithSelectors).
var NodeReadsOwnNode = row("NodeReadsOwnNode", Fact[bool]{Since: "1.32", Value: true, Source: "plugin/pkg/auth/authorizer/node; golden i/112"})

// CSRMinExpiration is the least spec.expirationSeconds, in seconds.
var CSRMinExpiration = row("CSRMinExpiration", Fact[int32]{Since: "1.22", Value: 600, Source: "pkg/apis/certificates/validation; golden e1/31"})

// CSRSigningChecksConditions: CertificateSigning admission looks also at
// status.conditions, not only at status.certificate.
var CSRSigningChecksConditions = row("CSRSigningChecksConditions", Fact[bool]{Since: "1.19", Value: true, Source: "plugin/pkg/admission/certificates/signing"})

// BootstrapGroups is what auth-extra-groups of a bootstrap token must match.
var BootstrapGroups = row("BootstrapGroups", Fact[string]{Since: "1.8", Value: `\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`, Source: "cluster-bootstrap/token/api; golden b1/36"})

// BootstrapToken is what a bootstrap token looks like.
var BootstrapToken = row("BootstrapToken", Fact[string]{Value: `\A([a-z0-9]{6})\.([a-z0-9]{16})\z`, Source: "cluster-bootstrap/token/api"})

// TokenID: a ServiceAccount token has a jti, which its user has as
// authentication.kubernetes.io/credential-id (gate ServiceAccountTokenJTI).
var TokenID = row("TokenID", Fact[bool]{Since: "1.30", Value: true, Source: "pkg/features ServiceAccountTokenJTI (beta 1.30, GA 1.32); golden s/08, s/09"})

// TokenPodNode: the token of a pod names its node too, and a token may be bound
// to a Node (gates ServiceAccountTokenPodNodeInfo, ServiceAccountTokenNodeBinding).
var TokenPodNode = row("TokenPodNode", Fact[bool]{Since: "1.31", Value: true, Source: "pkg/features (beta 1.30 and 1.31, GA 1.32 and 1.33)"})

// TokenAudienceRestricted: a node may ask for a token only with an audience
// that its pod mentions (gate ServiceAccountNodeAudienceRestriction).
var TokenAudienceRestricted = row("TokenAudienceRestricted", Fact[bool]{Since: "1.33", Value: true, Source: "pkg/features; plugin/pkg/admission/noderestriction"})

// ClientCAReload is how often a client looks at its CA file again; zero is
// never (gate ClientsAllowCARotation).
var ClientCAReload = row("ClientCAReload", Fact[time.Duration]{Since: "1.36", Value: 5 * time.Minute, Source: "client-go/features, client-go/transport/ca_rotation.go"})

// UpgradeNeedsCreate: a GET that switches protocols on pods/exec, attach or
// portforward needs the verb create too (gate AuthorizePodWebsocketUpgradeCreatePermission).
var UpgradeNeedsCreate = row("UpgradeNeedsCreate", Fact[bool]{Since: "1.35", Value: true, Source: "pkg/features; pkg/registry/core/pod/rest/authorize.go"})

// ConstrainedImpersonation: impersonation may be limited to a kind of user and
// to what is done as it (gate ConstrainedImpersonation).
var ConstrainedImpersonation = row("ConstrainedImpersonation", Fact[bool]{Since: "1.36", Value: true, Source: "apiserver/pkg/features (beta 1.36); apiserver/pkg/endpoints/filters/impersonation"})
