package golden

// oldClaims are the rows for recordings of old releases: release/folder/file.
// The first that fits a file counts, so a release's own row goes before.
var oldClaims = []claim{
	{"*/a-default-rbac/01-version.json", "engine/api", "exchange"},
	{"*/a-default-rbac/*.yaml", "engine/api", "objects"},
	{"*/a-default-rbac/all-clusterroles.txt", "engine/api", "names of clusterroles"},
	{"*/a-default-rbac/all-clusterrolebindings.txt", "engine/api", "names of clusterrolebindings"},
}
