package golden

// oldClaims are the rows for recordings of old releases: release/folder/file.
// The first that fits a file counts, so a release's own row goes before.
var oldClaims = []claim{
	{"*/a-default-rbac/01-version.json", "engine/api", "exchange"},
}
