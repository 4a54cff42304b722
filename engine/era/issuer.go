package era

// IssuerRequired: kube-apiserver does not start without --service-account-issuer and
// --service-account-signing-key-file. Before, one without them gives no tokens to who
// asks.
var IssuerRequired = row("api/issuer-required", Fact[bool]{Since: "1.20", Value: true, Source: "pkg/kubeapiserver/options/authentication.go, cmd/kube-apiserver/app/options/validation.go (TokenRequest GA)"})

// OldServerFlags are flags of kube-apiserver that went, by their kind: the port without
// TLS, which is not simulated, and the old name of --enable-bootstrap-token-auth.
var OldServerFlags = row("api/old-flags",
	Fact[map[string]string]{Value: map[string]string{"insecure-port": "int", "experimental-bootstrap-token-auth": "bool"}, Source: "pkg/kubeapiserver/options"},
	Fact[map[string]string]{Since: "1.9", Value: map[string]string{"insecure-port": "int"}, Source: "pkg/kubeapiserver/options"},
	Fact[map[string]string]{Since: "1.24", Source: "pkg/kubeapiserver/options"})
