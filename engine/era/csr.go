package era

// Rules for CertificateSigningRequests (see also the fields that a release does
// not know, in served.go). What v1 is stricter in than v1beta1 follows from the
// version of a request, and is no row.
var (
	// CSRConditionTimes: a condition without lastUpdateTime gets one.
	CSRConditionTimes = row("csr/condition-times", Fact[bool]{Since: "1.9", Value: true, Source: "pkg/registry/certificates/certificates/strategy.go; golden-old */e-api-rejections/53"})
	// CSRChecksStatus: conditions and certificate are validated, and /status may
	// change conditions other than Approved and Denied.
	CSRChecksStatus = row("csr/checks-status", Fact[bool]{Since: "1.19", Value: true, Source: "pkg/apis/certificates/validation, pkg/registry/certificates/certificates/strategy.go"})
	// CSRExclusiveAt: that both Approved and Denied are there is told of the
	// condition, and not of the list.
	CSRExclusiveAt = row("csr/exclusive-at-type", Fact[bool]{Until: "1.34", Value: true, Source: "pkg/apis/certificates/validation/validation.go validateConditions"})
	// CSRUsagesMissing and CSRSignerMissing are said of what has to be there.
	CSRUsagesMissing = row("csr/words-usages", Fact[string]{Until: "1.26", Value: "usages must be provided", Source: "pkg/apis/certificates/validation/validation.go; golden-old */e-api-rejections/03"})
	CSRSignerMissing = row("csr/words-signer", Fact[string]{Until: "1.26", Value: "signerName must be provided", Source: "pkg/apis/certificates/validation/validation.go"})
)

// GoValues: an invalid value that is no plain one is shown as Go writes it.
var GoValues = row("api/invalid-go-syntax", Fact[bool]{Until: "1.34", Value: true, Source: "apimachinery/pkg/util/validation/field/errors.go ErrorBody; golden-old */e-api-rejections/12"})
