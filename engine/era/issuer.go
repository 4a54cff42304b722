package era

// IssuerRequired: kube-apiserver does not start without --service-account-issuer and
// --service-account-signing-key-file. Before, one without them gives no tokens to who
// asks.
var IssuerRequired = row("api/issuer-required", Fact[bool]{Since: "1.20", Value: true, Source: "pkg/kubeapiserver/options/authentication.go, cmd/kube-apiserver/app/options/validation.go (TokenRequest GA)"})

// TokenKeyRequired is what kube-apiserver says when nothing verifies tokens of
// ServiceAccounts.
var TokenKeyRequired = row("api/token-key-required",
	Fact[string]{Since: "1.20", Value: "service-account-key-file is a required flag", Source: "pkg/kubeapiserver/options/authentication.go"},
	Fact[string]{Since: "1.32", Value: "either `--service-account-key-file` or `--service-account-signing-endpoint` must be set", Source: "pkg/kubeapiserver/options/authentication.go"})
