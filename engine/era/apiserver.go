package era

import "strings"

// A LogLine is a line of a log: from which -v on, where in the source it is
// written, and in which words, as fmt has them.
type LogLine struct {
	V              int
	Source, Format string
}

// RBACDenial is the line in which RBAC tells what it has no rule for: user,
// groups, what was to be done and where.
var RBACDenial = row("api/log-rbac-denial",
	denial("1.7", 2, "114", deny17), denial("1.8", 2, "116", deny17), denial("1.10", 5, "118", deny17), denial("1.17", 5, "119", deny17),
	denial("1.19", 5, "119", noRules), denial("1.37", 5, "122", noRules))

const (
	deny17  = `RBAC DENY: user %q groups %q cannot %s %s`
	noRules = `RBAC: no rules authorize user %q with groups %q to %s %s`
)

func denial(since string, v int, line, format string) Fact[LogLine] {
	return Fact[LogLine]{Since: since, Value: LogLine{v, "rbac.go:" + line, format}, Source: "plugin/pkg/auth/authorizer/rbac/rbac.go; golden-old 1.7.4, 1.8.0/b1-credentials/18"}
}

// RBACReason goes before why RBAC allows or can't say; NoRBACRule is its reason
// when it simply has no rule.
var (
	RBACReason = row("api/rbac-reason", Fact[string]{Since: "1.11", Value: "RBAC: ", Source: "plugin/pkg/auth/authorizer/rbac/rbac.go"})
	NoRBACRule = row("api/rbac-no-rule", Fact[string]{Since: "1.12", Until: "1.13", Value: "no RBAC policy matched", Source: "plugin/pkg/auth/authorizer/rbac/rbac.go (1.12 only; 1.11.1's recordings have it from OpenShift)"})
)

// Unauthenticated is the line for credentials that are no good; one without a
// format has the error as a value beside the message.
var Unauthenticated = row("api/log-unauthenticated",
	unauthenticated("1.7", "58", plainFailure), unauthenticated("1.8", "64", plainFailure), unauthenticated("1.10", "63", plainFailure), unauthenticated("1.11", "62", plainFailure),
	unauthenticated("1.13", "65", plainFailure), unauthenticated("1.16", "89", plainFailure), unauthenticated("1.17", "104", plainFailure), unauthenticated("1.18", "53", plainFailure),
	unauthenticated("1.21", "63", ""), unauthenticated("1.27", "70", ""), unauthenticated("1.29", "73", ""), unauthenticated("1.32", "74", ""), unauthenticated("1.33", "75", ""), unauthenticated("1.37", "76", ""))

const plainFailure = "Unable to authenticate the request due to an error: %v"

func unauthenticated(since, line, format string) Fact[LogLine] {
	return Fact[LogLine]{Since: since, Value: LogLine{0, "authentication.go:" + line, format}, Source: "apiserver/pkg/endpoints/filters/authentication.go; golden-old */b1-credentials"}
}

// TokenAuthenticators: each sort of bearer token is asked by an authenticator of
// its own, which has an error of its own.
var TokenAuthenticators = row("api/token-authenticators", Fact[bool]{Until: "1.8", Value: true, Source: "pkg/kubeapiserver/authenticator/config.go; golden-old 1.7.4/b1-credentials/18"})

// NestedErrors: errors within errors are shown in brackets of their own, and as
// often as they occur.
var NestedErrors = row("api/nested-errors", Fact[bool]{Until: "1.14", Value: true, Source: "apimachinery/pkg/util/errors/errors.go; golden-old */b1-credentials/18"})

// NamedCertificate: the error of a client's certificate names the certificate.
var NamedCertificate = row("api/named-certificate", Fact[bool]{Since: "1.20", Value: true, Source: "apiserver/pkg/authentication/request/x509/x509.go"})

// BootstrapLog are the source lines at which a bootstrap token's refusal is
// logged: of a Secret that is not there, and of one that is no good.
var BootstrapLog = row("api/log-bootstrap-token",
	bootstrapLog("1.7", "bootstrap.go:99", "bootstrap.go:60"), bootstrapLog("1.8", "bootstrap.go:102", "bootstrap.go:62"), bootstrapLog("1.10", "bootstrap.go:103", "bootstrap.go:63"),
	bootstrapLog("1.13", "bootstrap.go:105", "bootstrap.go:65"), bootstrapLog("1.16", "bootstrap.go:103", "bootstrap.go:63"), bootstrapLog("1.25", "bootstrap.go:101", "bootstrap.go:62"))

func bootstrapLog(since, missing, wrong string) Fact[[2]string] {
	return Fact[[2]string]{Since: since, Value: [2]string{missing, wrong}, Source: "plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go; golden-old */b1-credentials"}
}

// TokenShown: the log tells the token that a client came with when it is wrong.
var TokenShown = row("api/log-token-shown", Fact[bool]{Until: "1.27", Value: true, Source: "plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go; golden-old */b1-credentials/28"})

// BootstrapExpiry: what the log says of a bootstrap token's expiration is said by
// the package of the Secret's form; before, as of any other key.
var BootstrapExpiry = row("api/log-bootstrap-expiry", Fact[bool]{Since: "1.11", Value: true, Source: "plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go isSecretExpired"})

// BootstrapDeleted: a Secret that awaits its removal is no token any more.
var BootstrapDeleted = row("api/bootstrap-deleted", Fact[bool]{Since: "1.8", Value: true, Source: "plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go"})

// BootstrapGroupsShown is the pattern of BootstrapGroups as a refusal shows it.
var BootstrapGroupsShown = row("api/bootstrap-groups-shown",
	Fact[string]{Since: "1.8", Value: `system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]`, Source: "pkg/bootstrap/api/helpers.go; golden-old 1.8.0"},
	Fact[string]{Since: "1.11", Value: `\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\z`, Source: "client-go/tools/bootstrap/token/api/types.go, cluster-bootstrap/token/api; golden b1/36"})

// PlainRefusals: 401 and 403 are plain text and no Status.
var PlainRefusals = row("api/plain-refusals", Fact[bool]{Until: "1.8", Value: true, Source: "apiserver/pkg/endpoints/handlers/responsewriters/errors.go; golden-old 1.7.4/b1-credentials"})

// ForbiddenResource: a 403 says `resource "x" in API group "y"`, and not just "x.y".
var ForbiddenResource = row("api/forbidden-resource", Fact[bool]{Since: "1.12", Value: true, Source: "apiserver/pkg/endpoints/handlers/responsewriters/errors.go"})

// HealthNosniff: /healthz and its like forbid guessing of their type.
var HealthNosniff = row("api/health-nosniff", Fact[bool]{Since: "1.14", Value: true, Source: "apiserver/pkg/server/healthz/healthz.go"})

// Livez: /livez and /readyz are served beside /healthz.
var Livez = row("api/livez", Fact[bool]{Since: "1.16", Value: true, Source: "apiserver/pkg/server/healthz.go"})

// Discovery.
var (
	// AddressesAlways: serverAddressByClientCIDRs is shown where there are none.
	AddressesAlways = row("api/discovery-addresses", Fact[bool]{Until: "1.11", Value: true, Source: "apimachinery/pkg/apis/meta/v1/types.go; golden-old 1.7.4, 1.8.0/a-default-rbac/02"})
	SingularNames   = row("api/discovery-singular", Fact[bool]{Since: "1.27", Value: true, Source: "apiserver/pkg/endpoints/installer.go SingularNameProvider"})
	StorageHashes   = row("api/discovery-hash", Fact[bool]{Since: "1.15", Value: true, Source: "apiserver/pkg/features StorageVersionHash (beta 1.15)"})
	// AggregatedDiscovery is the version of apidiscovery.k8s.io in which all groups
	// are told at once, the preferred last.
	AggregatedDiscovery = row("api/discovery-aggregated",
		Fact[[]string]{Since: "1.27", Value: []string{"v2beta1"}, Source: "apiserver/pkg/features AggregatedDiscoveryEndpoint (beta 1.27)"},
		Fact[[]string]{Since: "1.30", Value: []string{"v2beta1", "v2"}, Source: "apiserver/pkg/endpoints/discovery/aggregated (v2 in 1.30)"},
		Fact[[]string]{Since: "1.36", Value: []string{"v2"}, Source: "golden i/16"})
)

// subresourceVerbs are what a release serves of a subresource, where it is less
// than today.
var subresourceVerbs = []struct {
	at    string
	verbs Row[string]
}{
	verbsOf("certificatesigningrequests/approval", "1.19", "update", "pkg/registry/certificates/certificates/storage ApprovalREST; golden-old */e-api-rejections/70"),
	verbsOf("certificatesigningrequests/status", "1.11", "update", "pkg/registry/certificates/certificates/storage StatusREST; golden-old */e-api-rejections/71"),
}

func verbsOf(at, until, verbs, source string) struct {
	at    string
	verbs Row[string]
} {
	return struct {
		at    string
		verbs Row[string]
	}{at, row("api/verbs-"+at, Fact[string]{Until: until, Value: verbs, Source: source})}
}

// SubresourceVerbs are the verbs of "plural/subresource"; empty when they are
// those of today.
func SubresourceVerbs(e Era, at string) string {
	for i := range subresourceVerbs {
		if v := &subresourceVerbs[i]; v.at == at {
			return v.verbs.In(e)
		}
	}
	return ""
}

// HTTPLine is the line for each request: LogLine.Format is its shape, which says
// how much of it there is: "list" and "plain" (method, path, time, status, agent),
// "verb" (the same as values), and "" (structured), of which HTTPAudit and HTTPFlow
// are parts.
var HTTPLine = row("api/log-http",
	httpLine("1.7", 2, "wrap.go:42", "list"), httpLine("1.11", 3, "wrap.go:42", "list"), httpLine("1.12", 3, "wrap.go:42", "plain"), httpLine("1.13", 3, "wrap.go:47", "plain"),
	httpLine("1.16", 3, "httplog.go:90", "plain"), httpLine("1.18", 3, "httplog.go:90", "verb"), httpLine("1.19", 3, "httplog.go:89", ""), httpLine("1.22", 3, "httplog.go:104", ""),
	httpLine("1.23", 3, "httplog.go:129", ""), httpLine("1.24", 3, "httplog.go:131", ""), httpLine("1.26", 3, "httplog.go:132", ""), httpLine("1.31", 3, "httplog.go:134", ""))

func httpLine(since string, v int, source, shape string) Fact[LogLine] {
	return Fact[LogLine]{Since: since, Value: LogLine{v, source, shape}, Source: "apiserver/pkg/server/httplog/httplog.go; golden-old */b1-credentials/18"}
}

var (
	HTTPAudit = row("api/log-http-audit", Fact[bool]{Since: "1.22", Value: true, Source: "apiserver/pkg/server/httplog/httplog.go"})
	HTTPFlow  = row("api/log-http-flow", Fact[bool]{Since: "1.23", Value: true, Source: "apiserver/pkg/server/filters/priority-and-fairness.go"})
	HTTPSeats = row("api/log-http-seats", Fact[bool]{Since: "1.24", Value: true, Source: "apiserver/pkg/server/filters/priority-and-fairness.go apf_iseats"})
)

// SchemeName is what a server calls its scheme when a kind is not in it; empty
// where it does not say.
var SchemeName = row("api/scheme-name",
	Fact[string]{Since: "1.11", Value: "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:29", Source: "golden-old 1.11.1/e-api-rejections/27"},
	Fact[string]{Since: "1.15", Value: "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30", Source: "pkg/api/legacyscheme/scheme.go"},
	Fact[string]{Since: "1.24", Value: "pkg/api/legacyscheme/scheme.go:30", Source: "hack/lib/golang.sh (all=-trimpath since 1.24); golden e1/47"})

// SelfLinkStored: the selfLink that a client puts into an update is stored.
var SelfLinkStored = row("api/self-link-stored", Fact[bool]{Until: "1.8", Value: true, Source: "apiserver/pkg/storage/etcd/api_object_versioner.go; golden-old 1.7.4/e-api-rejections/41"})

// EmptyBytes: an empty string is no bytes at all.
var EmptyBytes = row("api/empty-bytes", Fact[bool]{Until: "1.8", Value: true, Source: "golden-old 1.7.4/e-api-rejections/10"})

// ForbiddenEnd ends the sentence of a Status of 403.
var ForbiddenEnd = row("api/forbidden-end", Fact[string]{Until: "1.9", Value: ".", Source: "golden-old 1.8.0/b1-credentials/01"})

// NameFormat: the column of names has the format that says so.
var NameFormat = row("api/table-name-format", Fact[bool]{Since: "1.8", Value: true, Source: "apiserver/pkg/registry/rest/table.go; golden-old 1.7.4/e-api-rejections/39"})

// TableColumns: tables have the columns that kubectl shows, and not just name and
// time of creation.
var TableColumns = row("api/table-columns", Fact[bool]{Since: "1.10", Value: true, Source: "pkg/printers/storage; golden-old 1.11.1/e-api-rejections/39"})

// Decoder is the library that reads bodies, of whose errors each has words of its
// own; empty for sigs.k8s.io/json.
var Decoder = row("api/decoder",
	Fact[string]{Until: "1.8", Value: "ugorji", Source: "apimachinery/pkg/runtime/serializer/json; golden-old README"},
	Fact[string]{Since: "1.8", Value: "jsoniter, all", Source: "vendor/github.com/json-iterator/go/feature_iter.go ReportError"},
	Fact[string]{Since: "1.11", Value: "jsoniter", Source: "github.com/json-iterator/go iter.go ReportError"},
	Fact[string]{Since: "1.23", Value: "", Source: "sigs.k8s.io/json"})

// parameters of a query are passed over by releases that do not know them: with
// ?dryRun=All the change is made.
var parameters = []struct {
	name  string
	known Row[bool]
}{
	{"dryRun", row("api/parameter-dryRun", Fact[bool]{Since: "1.11", Value: true, Source: "apiserver/pkg/endpoints/handlers/create.go"})},
	{"fieldManager", row("api/parameter-fieldManager", Fact[bool]{Since: "1.14", Value: true, Source: "apimachinery/pkg/apis/meta/v1/types.go CreateOptions"})},
	{"resourceVersionMatch", row("api/parameter-resourceVersionMatch", Fact[bool]{Since: "1.19", Value: true, Source: "apimachinery/pkg/apis/meta/v1/types.go ListOptions"})},
	{"sendInitialEvents", row("api/parameter-sendInitialEvents", Fact[bool]{Since: "1.27", Value: true, Source: "apimachinery/pkg/apis/meta/v1/types.go ListOptions"})},
	{"fieldValidation", row("api/parameter-fieldValidation", Fact[bool]{Since: "1.23", Value: true, Source: "apimachinery/pkg/apis/meta/v1/types.go CreateOptions"})},
}

// UnknownParameters are the names of those that a release does not know.
func UnknownParameters(e Era) (out []string) {
	for i := range parameters {
		if p := &parameters[i]; !p.known.In(e) {
			out = append(out, p.name)
		}
	}
	return out
}

// InitialEvents: a watch may begin with what there is, told by a bookmark to be all.
var InitialEvents = row("api/initial-events",
	Fact[bool]{Since: "1.32", Until: "1.33", Value: true, Source: "apiserver/pkg/features WatchList (beta 1.32, off 1.33, on 1.34)"},
	Fact[bool]{Since: "1.34", Value: true, Source: "apiserver/pkg/features WatchList (beta 1.32, off 1.33, on 1.34)"})

// MatchOfWatch is said of a watch that would match a version otherwise than by being
// newer.
var MatchOfWatch = row("api/match-of-watch",
	Fact[string]{Since: "1.19", Value: "resourceVersionMatch is forbidden for watch", Source: "apimachinery/pkg/apis/meta/internalversion/validation/validation.go"},
	Fact[string]{Since: "1.27", Value: "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided", Source: "apimachinery/pkg/apis/meta/internalversion/validation/validation.go"})

// DryRunRefused is why nothing may be tried.
var (
	DryRunRefused = row("api/dry-run-refused",
		Fact[string]{Since: "1.11", Until: "1.12", Value: "dryRun is not supported yet", Source: "apiserver/pkg/endpoints/handlers/create.go"},
		Fact[string]{Since: "1.12", Until: "1.13", Value: "the dryRun alpha feature is disabled", Source: "apiserver/pkg/endpoints/handlers/create.go, apiserver/pkg/features DryRun (beta 1.13)"})
)

// TokenSubresource: ServiceAccounts have the subresource token.
var TokenSubresource = row("api/token-subresource", Fact[bool]{Since: "1.12", Value: true, Source: "pkg/features TokenRequest (beta 1.12), pkg/registry/core/rest/storage_core.go"})

// SystemNamespaces are those that the server makes.
var SystemNamespaces = row("api/system-namespaces",
	Fact[[]string]{Value: []string{"kube-system", "kube-public", "default"}, Source: "pkg/master/controller.go"},
	Fact[[]string]{Since: "1.14", Value: []string{"kube-system", "kube-public", "kube-node-lease", "default"}, Source: "pkg/master/controller.go, pkg/features NodeLease (beta 1.14)"})

// deprecations are what is said of whoever asks for a version that will go.
var deprecations = []struct {
	gv     string
	plural string // of one resource only
	words  Row[string]
}{
	deprecated("certificates.k8s.io/v1beta1", "", "1.19", "1.22", "certificates.k8s.io/v1"),
	deprecated("coordination.k8s.io/v1beta1", "", "1.19", "1.22", "coordination.k8s.io/v1"),
	deprecated("authentication.k8s.io/v1beta1", "", "1.19", "1.22", "authentication.k8s.io/v1"),
	deprecated("authorization.k8s.io/v1beta1", "", "1.19", "1.22", "authorization.k8s.io/v1"),
	deprecated("apiregistration.k8s.io/v1beta1", "", "1.19", "1.22", "apiregistration.k8s.io/v1"),
	deprecated("rbac.authorization.k8s.io/v1beta1", "", "1.17", "1.22", "rbac.authorization.k8s.io/v1"),
	deprecated("storage.k8s.io/v1beta1", "csinodes", "1.17", "1.22", "storage.k8s.io/v1"),
	deprecated("storage.k8s.io/v1beta1", "csidrivers", "1.19", "1.22", "storage.k8s.io/v1"),
	deprecated("node.k8s.io/v1beta1", "", "1.22", "1.25", ""),
}

func deprecated(gv, plural, since, until, instead string) struct {
	gv     string
	plural string
	words  Row[string]
} {
	words := " is deprecated in v" + since + "+, unavailable in v" + until + "+"
	if instead != "" {
		words += "; use " + instead + " "
	}
	return struct {
		gv     string
		plural string
		words  Row[string]
	}{gv, plural, row("api/deprecated-"+gv+plural, Fact[string]{Since: since, Until: until, Value: words, Source: "k8s.io/api zz_generated.prerelease-lifecycle.go, apiserver/pkg/endpoints/deprecation"})}
}

// Deprecation is the warning for a request of a version and kind; empty where
// there is none.
func Deprecation(e Era, gv, plural, kind string) string {
	if !Warnings.In(e) {
		return ""
	}
	for i := range deprecations {
		if d := &deprecations[i]; d.gv == gv && (d.plural == "" || d.plural == plural) {
			words := d.words.In(e)
			if strings.HasSuffix(words, " ") {
				words += kind
			}
			if words != "" {
				return gv + " " + kind + words
			}
		}
	}
	return ""
}
