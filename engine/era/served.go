package era

import (
	"strings"
	"sync"
)

// apiVersions are the versions in which groups are served without --runtime-config,
// the preferred first: only those resources stand in them that are here.
var apiVersions = []struct {
	group, version string
	plurals        Row[string]
}{
	served("", "v1", "", "", "configmaps endpoints events namespaces nodes persistentvolumeclaims persistentvolumes pods secrets serviceaccounts services"),
	served("apiregistration.k8s.io", "v1", "1.10", "", "apiservices"),
	served("apiregistration.k8s.io", "v1beta1", "1.7", "1.22", "apiservices"),
	served("authentication.k8s.io", "v1", "1.6", "", "tokenreviews", Fact[string]{Since: "1.28", Value: "selfsubjectreviews tokenreviews", Source: "pkg/registry/authentication/rest"}),
	served("authentication.k8s.io", "v1beta1", "1.4", "1.22", "tokenreviews"),
	served("authorization.k8s.io", "v1", "1.6", "", "localsubjectaccessreviews selfsubjectaccessreviews subjectaccessreviews",
		Fact[string]{Since: "1.8", Value: "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews", Source: "pkg/registry/authorization/rest"}),
	served("authorization.k8s.io", "v1beta1", "1.4", "1.8", "localsubjectaccessreviews selfsubjectaccessreviews subjectaccessreviews",
		Fact[string]{Since: "1.8", Until: "1.22", Value: "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews", Source: "pkg/registry/authorization/rest"}),
	served("certificates.k8s.io", "v1", "1.19", "", "certificatesigningrequests", Fact[string]{Since: "1.37", Value: "certificatesigningrequests clustertrustbundles", Source: "pkg/registry/certificates/rest, pkg/features ClusterTrustBundle (GA 1.37)"}),
	served("certificates.k8s.io", "v1beta1", "1.6", "1.22", "certificatesigningrequests"),
	served("rbac.authorization.k8s.io", "v1", "1.8", "", "clusterrolebindings clusterroles rolebindings roles"),
	served("rbac.authorization.k8s.io", "v1beta1", "1.6", "1.22", "clusterrolebindings clusterroles rolebindings roles"),
	served("rbac.authorization.k8s.io", "v1alpha1", "1.6", "1.9", "clusterrolebindings clusterroles rolebindings roles"),
	served("storage.k8s.io", "v1", "1.17", "", "csinodes", Fact[string]{Since: "1.18", Value: "csidrivers csinodes", Source: "pkg/registry/storage/rest"}),
	served("storage.k8s.io", "v1beta1", "1.14", "1.22", "csidrivers csinodes"),
	served("coordination.k8s.io", "v1", "1.14", "", "leases"),
	served("coordination.k8s.io", "v1beta1", "1.12", "1.22", "leases"),
	served("node.k8s.io", "v1", "1.20", "", "runtimeclasses"),
	served("node.k8s.io", "v1beta1", "1.14", "1.25", "runtimeclasses"),
	served("resource.k8s.io", "v1", "1.34", "", "resourceslices"),
}

func served(group, version, since, until, plurals string, more ...Fact[string]) struct {
	group, version string
	plurals        Row[string]
} {
	facts := append([]Fact[string]{{Since: since, Until: until, Value: plurals, Source: "pkg/master, pkg/controlplane DefaultAPIResourceConfigSource; pkg/registry"}}, more...)
	return struct {
		group, version string
		plurals        Row[string]
	}{group, version, row("api/"+group+"/"+version, facts...)}
}

// A GroupVersion is an API version that is served, and the plurals in it.
type GroupVersion struct {
	Group, Version string
	Plurals        []string
}

// String is how objects name it: "certificates.k8s.io/v1".
func (g GroupVersion) String() string {
	if g.Group == "" {
		return g.Version
	}
	return g.Group + "/" + g.Version
}

// Served are the API versions of a release, group by group in the order of
// discovery, the preferred version first.
func Served(e Era) (out []GroupVersion) {
	for i := range apiVersions {
		v := &apiVersions[i]
		if plurals := v.plurals.In(e); plurals != "" {
			out = append(out, GroupVersion{v.group, v.version, strings.Fields(plurals)})
		}
	}
	return out
}

// Preferred is the version in which a release serves a resource first, such as
// "certificates.k8s.io/v1beta1"; empty when it does not serve it.
func Preferred(e Era, group, plural string) string {
	v, _ := placeOf(e, group, plural)
	return v
}

// placed is a question to placeOf; places are the answers so far, since programs
// ask before each request.
type placed struct {
	e             Era
	group, plural string
}

var places sync.Map

func placeOf(e Era, group, plural string) (version, path string) {
	q := placed{e, group, plural}
	if p, ok := places.Load(q); ok {
		p := p.([2]string)
		return p[0], p[1]
	}
	version = preferred(e, group, plural)
	switch {
	case version == "":
	case group == "":
		path = "/api/" + version + "/" + plural
	default:
		path = "/apis/" + version + "/" + plural
	}
	places.Store(q, [2]string{version, path})
	return version, path
}

func preferred(e Era, group, plural string) string {
	for i := range apiVersions {
		v := &apiVersions[i]
		if v.group != group {
			continue
		}
		for p := range strings.FieldsSeq(v.plurals.In(e)) {
			if p == plural {
				return GroupVersion{v.group, v.version, nil}.String()
			}
		}
	}
	return ""
}

// Path is where a release serves a resource: "/apis/GROUP/VERSION/PLURAL" in its
// preferred version; empty when it does not serve it.
func Path(e Era, group, plural string) string {
	_, path := placeOf(e, group, plural)
	return path
}

// objectFields are those that a release does not know, by the resource whose
// objects would have them; lists are passed through.
var objectFields = []struct {
	plural, path string
	known        Row[bool]
}{
	known("certificatesigningrequests", "spec.signerName", "1.18", "k8s.io/api/certificates/v1beta1"),
	known("certificatesigningrequests", "spec.expirationSeconds", "1.22", "k8s.io/api/certificates/v1"),
	known("certificatesigningrequests", "status.conditions.status", "1.19", "k8s.io/api/certificates/v1beta1"),
	known("certificatesigningrequests", "status.conditions.lastTransitionTime", "1.19", "k8s.io/api/certificates/v1beta1"),
	known("nodes", "status.declaredFeatures", "1.35", "k8s.io/api/core/v1"),
	known("nodes", "status.features", "1.31", "k8s.io/api/core/v1"),
	known("nodes", "status.runtimeHandlers", "1.30", "k8s.io/api/core/v1"),
	known("nodes", "status.nodeInfo.swap", "1.34", "k8s.io/api/core/v1"),
	known("services", "spec.clusterIPs", "1.20", "k8s.io/api/core/v1"),
	known("services", "spec.internalTrafficPolicy", "1.21", "k8s.io/api/core/v1"),
	known("services", "spec.ipFamilies", "1.20", "k8s.io/api/core/v1"),
	known("services", "spec.ipFamilyPolicy", "1.20", "k8s.io/api/core/v1"),
}

func known(plural, path, since, source string) struct {
	plural, path string
	known        Row[bool]
} {
	return struct {
		plural, path string
		known        Row[bool]
	}{plural, path, row("field/"+plural+"."+path, Fact[bool]{Since: since, Value: true, Source: source})}
}

// Unknown are the paths of fields that a release does not know in objects of a
// resource: "spec.signerName".
func Unknown(e Era, plural string) (out []string) {
	for i := range objectFields {
		if f := &objectFields[i]; f.plural == plural && !f.known.In(e) {
			out = append(out, f.path)
		}
	}
	return out
}

// ManagedFields: objects tell who changed which of their fields.
var ManagedFields = row("api/managed-fields", Fact[bool]{Since: "1.18", Value: true, Source: "apiserver/pkg/endpoints/handlers/fieldmanager (1.16 and 1.17 only for who applies)"})

// SelfLink: objects tell the path that they were read from.
var SelfLink = row("api/self-link", Fact[bool]{Until: "1.20", Value: true, Source: "apiserver/pkg/features RemoveSelfLink (beta 1.20)"})

// FieldValidation: the server tells of unknown fields, or refuses them.
var FieldValidation = row("api/field-validation", Fact[bool]{Since: "1.25", Value: true, Source: "apiserver/pkg/features ServerSideFieldValidation (beta 1.25)"})

// Tables are the versions of meta.k8s.io in which the server prints objects as
// tables, and tells their metadata alone.
var Tables = row("api/tables",
	Fact[[]string]{Since: "1.7", Value: []string{"v1alpha1"}, Source: "apimachinery/pkg/apis/meta/v1alpha1; golden-old 1.7.4, 1.8.0/e-api-rejections/39"},
	Fact[[]string]{Since: "1.10", Value: []string{"v1beta1"}, Source: "apimachinery/pkg/apis/meta/v1beta1; golden-old 1.11.1/e-api-rejections/39"},
	Fact[[]string]{Since: "1.15", Value: []string{"v1", "v1beta1"}, Source: "apiserver/pkg/endpoints/handlers/response.go"})

// DocLinks are what the description of a field refers to, where it is another
// address than today's.
var DocLinks = row("api/doc-links",
	Fact[[][2]string]{Since: "1.16", Until: "1.27", Value: [][2]string{namesLink}, Source: "apimachinery/pkg/apis/meta/v1/types_swagger_doc_generated.go"},
	Fact[[][2]string]{Until: "1.16", Value: [][2]string{namesLink, {"devel/sig-architecture/api-conventions.md", "devel/api-conventions.md"}}, Source: "apimachinery/pkg/apis/meta/v1/types_swagger_doc_generated.go; golden-old */e-api-rejections/39"})

var namesLink = [2]string{"https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names", "http://kubernetes.io/docs/user-guide/identifiers#names"}

// ShortAges: an age has one unit only.
var ShortAges = row("api/short-ages", Fact[bool]{Until: "1.12", Value: true, Source: "pkg/printers/internalversion translateTimestamp, apimachinery/pkg/util/duration"})

// NamespaceLabel: a Namespace has the label kubernetes.io/metadata.name.
var NamespaceLabel = row("api/namespace-label", Fact[bool]{Since: "1.21", Value: true, Source: "pkg/apis/core/v1/defaults.go NamespaceDefaultLabelName"})

// Warnings: answers may have the header Warning.
var Warnings = row("api/warnings", Fact[bool]{Since: "1.19", Value: true, Source: "apiserver/pkg/features WarningHeaders"})
