package era

// What the approver, the signers and the cleaner of CertificateSigningRequests do in
// each release, besides their words (controllers_lines.go).
const (
	approverSource  = "pkg/controller/certificates/approver/sarapprove.go"
	signerSource    = "pkg/controller/certificates/signer/signer.go"
	cfsslSource     = "pkg/controller/certificates/signer/cfssl_signer.go, github.com/cloudflare/cfssl"
	authoritySource = "pkg/controller/certificates/authority"
	shapeSource     = "pkg/apis/certificates/helpers.go"
)

var (
	// CSRWorkers is how many CSRs the approver, and each signer, has at work at once.
	CSRWorkers = row("csr/workers", Fact[int]{Value: 1, Source: filesSource + " Run(1)"}, Fact[int]{Since: "1.21", Value: 5, Source: filesSource + " Run(5)"})

	// CSRReviews is the API version in which the approver asks.
	CSRReviews = row("csr/reviews", Fact[string]{Value: "authorization.k8s.io/v1beta1", Source: approverSource}, Fact[string]{Since: "1.18", Value: "authorization.k8s.io/v1", Source: approverSource})
	// CSRVersion is the version in the resource attributes that the approver asks about.
	CSRVersion = row("csr/review-version", Fact[string]{Since: "1.28", Value: "*", Source: approverSource})
	// CSRReviewUID: the approver's question has the requester's uid.
	CSRReviewUID = row("csr/review-uid", Fact[bool]{Since: "1.8", Value: true, Source: approverSource})
	// CSRServerGate is the gate of kube-controller-manager with which it approves a
	// kubelet's serving certificate, if the kubelet may create selfnodeserver.
	CSRServerGate = row("csr/selfnodeserver-gate", Fact[string]{Until: "1.11", Value: "RotateKubeletServerCertificate", Source: approverSource + " (#62471)"})
	// CSRIgnorable: that a requester may not is told from -v=4 on only.
	CSRIgnorable = row("csr/ignorable", Fact[bool]{Since: "1.9", Value: true, Source: csrSource + " IgnorableError"})
	// ConditionStatus: conditions have a status.
	ConditionStatus = row("csr/condition-status", Fact[bool]{Since: "1.19", Value: true, Source: approverSource + " appendApprovalCondition"})

	// CSRSigners: a CSR names its signer, which the approver and the signer look at.
	CSRSigners = row("csr/signers", Fact[bool]{Since: "1.18", Value: true, Source: approverSource + ", " + signerSource})
	// CSRUsagesCounted: a kubelet's usages are right when each is one of three, and
	// there are three; later as a set.
	CSRUsagesCounted = row("csr/usages-counted", Fact[bool]{Until: "1.18", Value: true, Source: approverSource + " hasExactUsages"})
	// CSRKeyEncipherment: a kubelet has to ask for key encipherment.
	CSRKeyEncipherment = row("csr/key-encipherment", Fact[bool]{Until: "1.25", Value: true, Source: shapeSource + " allowOmittingUsageKeyEncipherment"})
	// CSRLooksAtURIs: a kubelet's client certificate may have no URIs.
	CSRLooksAtURIs = row("csr/uris", Fact[bool]{Since: "1.17", Value: true, Source: approverSource + " isNodeClientCert"})

	// SigningCFSSL: certificates are made by cfssl: for the nearest minute, with a key
	// id, the usages as they were asked for, and whatever was approved.
	SigningCFSSL = row("signing/cfssl", Fact[bool]{Until: "1.17", Value: true, Source: cfsslSource + "; golden-old e2"})
	// SigningCapped: a certificate ends with its CA at the latest.
	SigningCapped = row("signing/capped", Fact[bool]{Since: "1.13", Value: true, Source: cfsslSource + " (1.13 as the fact sheet has it; the tags v1.13.0 and v1.13.12 have it not, v1.14.0 has)"})
	// SigningEd25519: keys of that kind are signed.
	SigningEd25519 = row("signing/ed25519", Fact[bool]{Since: "1.11", Value: true, Source: "golden-old e2/58; by today's crypto/x509"})
	// SigningSerial is how many random bytes a serial number has.
	SigningSerial = row("signing/serial", Fact[int]{Value: 20, Source: cfsslSource + "; golden-old e2"}, Fact[int]{Since: "1.17", Value: 16, Source: authoritySource + "/authority.go"})
	// SigningApart: each signer has a loop, and may have files, of its own.
	SigningApart = row("signing/apart", Fact[bool]{Since: "1.19", Value: true, Source: signerSource + ", " + filesSource})
	// SigningFails: a CSR that breaks its signer's rules fails; before, it was left as
	// it is.
	SigningFails = row("signing/fails", Fact[bool]{Since: "1.19", Value: true, Source: signerSource})
	// SigningPast is said when the CA has expired in the last five minutes.
	SigningPast = row("signing/past", Fact[string]{Since: "1.17", Value: "refusing to sign a certificate that expired in the past", Source: authoritySource + "/authority.go"},
		Fact[string]{Since: "1.22", Value: "refusing to sign a certificate that expired in the past: NotAfter=%v", Source: authoritySource + "/policies.go"})
	// SigningRefused is what the manager ends with whose signer has no good files: of
	// one signer, of each; nothing when it goes on without.
	SigningRefused = row("signing/refused",
		Fact[string]{Since: "1.9", Value: "failed to start certificate controller: %[2]v", Source: filesSource},
		Fact[string]{Since: "1.19", Value: "failed to start %s certificate controller: %v", Source: filesSource},
		Fact[string]{Since: "1.35", Value: "failed to init %s certificate controller: %v", Source: filesSource + "; recorded: o"})
	// SigningMalformed is said of a key that cfssl can't read.
	SigningMalformed = row("signing/malformed", Fact[string]{Value: "Malformed private key %w", Source: cfsslSource}, Fact[string]{Since: "1.16", Value: "malformed private key %w", Source: cfsslSource})
	// SigningMissesDefaults: with the default flags and none of their files there is no
	// signer, and that is all.
	SigningMissesDefaults = row("signing/misses-defaults", Fact[bool]{Since: "1.9", Until: "1.19", Value: true, Source: filesSource})

	// Cleaner: there is a cleaner of CSRs.
	Cleaner = row("cleaner", Fact[bool]{Since: "1.9", Value: true, Source: cleanerSource + " (#51840)"})
	// CleanerFailed is how long after it one that failed is deleted, as CleanerDecided.
	// CleanerReadsFirst: the certificate is read before anything else, and one that
	// can't be read is never deleted; up to 1.11 only when the CSR has conditions.
	CleanerReadsFirst = row("cleaner/reads-first", Fact[string]{Since: "1.9", Value: "conditions", Source: cleanerSource}, Fact[string]{Since: "1.12", Value: "always", Source: cleanerSource}, Fact[string]{Since: "1.22", Value: "", Source: cleanerSource + " (the fact sheet has 1.23)"})
	CleanerFails      = row("cleaner/fails", Fact[bool]{Since: "1.19", Value: true, Source: cleanerSource + " isFailedPastDeadline"})
)
