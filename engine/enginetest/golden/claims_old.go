package golden

// oldClaims are the rows for recordings of old releases: release/folder/file.
// The first that fits a file counts, so a release's own row goes before.
var oldClaims = []claim{
	{"*/a-default-rbac/*.yaml", "engine/api", "objects"},
	{"*/a-default-rbac/all-clusterroles.txt", "engine/api", "names of clusterroles"},
	{"*/a-default-rbac/all-clusterrolebindings.txt", "engine/api", "names of clusterrolebindings"},
	{"*/a-default-rbac/05-apis.json", "engine/api", "discovery"},
	{"*/a-default-rbac/[01]*.json", "engine/api", "exchange"},
	{"*/b1-credentials/*-secret.json", "engine/api", "exchange"},
	{"*/b1-credentials/*.json", "engine/api", "exchange"},
	{"*/b1-credentials/18-apiserver.log", "engine/api", "log of all"},
	{"*/b1-credentials/*-apiserver.log", "engine/api", "log of a request"},
	{"*/e-api-rejections/*.json", "engine/api", "exchange"},
	{"*/e2-signer-verdicts/*-final.json", "engine", "signed"},
	{"*/e2-signer-verdicts/*.json", "engine/api", "exchange"},
	{"*/e2-signer-verdicts/*.x509.txt", "engine", "signed"},
	{"*/d*/*-csr-*.json", "engine", "approved"},
	{"*/d*/*-kcm.log", "engine", "approved"},
}
