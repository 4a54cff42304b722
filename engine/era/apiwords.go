package era

// APIWords are what kube-apiserver of a release says of flags and files that can't be.
type APIWords struct {
	// Range is said without --service-cluster-ip-range; Mode and Plugin of a mode of
	// authorization and of a plugin of --admission-control that there is not. Late: the
	// last two are looked at after the files.
	Range, Mode, Plugin  string
	LateMode, LatePlugin bool
	// Pair, ClientCA and Tokens stand before what is wrong with the serving pair, the CA
	// of clients and --token-auth-file. File: ClientCA names the file, and NoCerts is said
	// of one without certificates.
	Pair, ClientCA, Tokens string
	File                   bool
	NoCerts                string
	// Storage: the CA of kubelets is read so late that it ends the process at once, in
	// this line; StorageAt is where.
	Storage, StorageAt string
	// Anonymous is the warning that goes with AlwaysAllow, AnonymousAt where it stands.
	Anonymous, AnonymousAt string
}

// APIRefusals are those words.
var APIRefusals = func() Row[APIWords] {
	const src = "cmd/kube-apiserver/app/server.go, app/options/validation.go, pkg/kubeapiserver/options, apiserver/pkg/server/options"
	at := func(release string, w APIWords, recorded string) Fact[APIWords] {
		return Fact[APIWords]{Since: release, Value: w, Source: src + recorded}
	}
	seven := APIWords{Range: "no --service-cluster-ip-range specified",
		Mode: "invalid authorization config: Unknown authorization mode %s specified", LateMode: true,
		Plugin: "failed to initialize admission: Unknown admission plugin: %s", LatePlugin: true,
		Pair: "unable to load server certificate: ", ClientCA: "unable to load client CA file: unable to load client CA file: ", File: true, NoCerts: "could not read any certificates",
		Tokens: "invalid authentication config: ", Storage: "Error building core storage: %s", StorageAt: "master.go:289",
		Anonymous: "AnonymousAuth is not allowed with the AllowAll authorizer.  Resetting AnonymousAuth to false. You should use a different authorizer", AnonymousAt: "authentication.go:368"}
	eight := seven
	eight.NoCerts, eight.StorageAt, eight.AnonymousAt = "data does not contain any valid RSA or ECDSA certificates", "master.go:290", "authentication.go:380"
	ten := eight
	ten.StorageAt, ten.Plugin, ten.LatePlugin = "master.go:371", "admission-control plugin %q is unknown", false
	eleven := ten
	eleven.StorageAt, eleven.AnonymousAt, eleven.Mode, eleven.LateMode = "master.go:374", "authentication.go:378", "authorization-mode %q is not a valid mode", false
	eleven.Anonymous = "AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer"
	sixteen := eleven
	sixteen.Range, sixteen.Storage = "", ""
	seventeen := sixteen
	seventeen.Pair, seventeen.ClientCA, seventeen.File = "", "unable to load client CA provider: ", false
	nineteen := seventeen
	nineteen.Tokens = ""
	newest := nineteen
	newest.AnonymousAt = "authentication.go:841"
	return row("api/refusals", at("", seven, "; golden-old 1.7.4/f2-apiserver-flags"), at("1.8", eight, "; golden-old 1.8.0/f2-apiserver-flags"),
		at("1.10", ten, ""), at("1.11", eleven, "; golden-old 1.11.1/f2-apiserver-flags"), at("1.16", sixteen, ""), at("1.17", seventeen, ""), at("1.19", nineteen, ""), at("1.36", newest, ""))
}()
