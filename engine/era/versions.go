package era

// patches are the patch releases that a minor is shown by: those recorded, and
// otherwise the first. Source is that of 1.36's.
func patches(source string) (out []Fact[string]) {
	recorded := map[int]Fact[string]{
		7:  {Value: "v1.7.4", Source: "golden-old 1.7.4/a-default-rbac/01"},
		11: {Value: "v1.11.1", Source: "golden-old 1.11.1/a-default-rbac/01"},
		21: {Value: "v1.21.5", Source: "seed 004"},
		36: {Value: "v1.36.3", Source: source},
		37: {Value: "v1.37.0-beta.0", Source: "tag v1.37.0-beta.0"},
	}
	for m := Oldest; m <= Newest; m++ {
		e := Era{m}.String()
		f, ok := recorded[m]
		if !ok {
			f = Fact[string]{Value: "v" + e + ".0", Source: "tag v" + e + ".0"}
		}
		f.Since = e
		out = append(out, f)
	}
	return out
}

// What /version tells.
var (
	GitVersion = row("GitVersion", patches("golden i/01")...)
	GitCommit  = row("api/git-commit",
		Fact[string]{Value: "$Format:%H$", Source: "golden i/01"},
		Fact[string]{Since: "1.7", Until: "1.8", Value: "793658f2d7ca7f064d2bdf606519f9fe1229c381", Source: "golden-old 1.7.4/a-default-rbac/01"},
		Fact[string]{Since: "1.8", Until: "1.9", Value: "57c3c2c0bc", Source: "golden-old 1.8.0/a-default-rbac/01"},
		Fact[string]{Since: "1.11", Until: "1.12", Value: "d8e072147f", Source: "golden-old 1.11.1/a-default-rbac/01"})
	BuildDate = row("api/build-date",
		Fact[string]{Value: "1970-01-01T00:00:00Z", Source: "golden i/01"},
		Fact[string]{Since: "1.7", Until: "1.9", Value: "2017-08-17T08:30:00Z", Source: "golden-old 1.7.4, 1.8.0/a-default-rbac/01"},
		Fact[string]{Since: "1.11", Until: "1.12", Value: "2018-10-11T08:30:00Z", Source: "golden-old 1.11.1/a-default-rbac/01"})

	// EmulatedVersion: /version tells also the release that is emulated, and the
	// oldest that the server is compatible with.
	EmulatedVersion = row("api/emulated-version", Fact[bool]{Since: "1.33", Value: true, Source: "apimachinery/pkg/version/types.go"})
)

// GoVersion is the Go that a release is built with, as /version tells it.
var GoVersion = row("GoVersion",
	builtWith("1.7", "go1.8.3"), builtWith("1.9", "go1.9.2"), builtWith("1.10", "go1.9.3"), builtWith("1.11", "go1.10.3"), builtWith("1.12", "go1.10.4"),
	builtWith("1.13", "go1.11.2"), builtWith("1.14", "go1.12.1"), builtWith("1.15", "go1.12.5"), builtWith("1.16", "go1.12.9"), builtWith("1.17", "go1.13.4"),
	builtWith("1.18", "go1.13.8"), builtWith("1.19", "go1.15"), builtWith("1.20", "go1.15.5"), builtWith("1.21", "go1.16.1"), builtWith("1.22", "go1.16.6"),
	builtWith("1.23", "go1.17.3"), builtWith("1.24", "go1.18.1"), builtWith("1.25", "go1.19"), builtWith("1.26", "go1.19.4"), builtWith("1.27", "go1.20.3"),
	builtWith("1.28", "go1.20.7"), builtWith("1.29", "go1.21.5"), builtWith("1.30", "go1.22.2"), builtWith("1.31", "go1.22.5"), builtWith("1.32", "go1.23.3"),
	builtWith("1.33", "go1.24.2"), builtWith("1.34", "go1.24.6"), builtWith("1.35", "go1.25.5"),
	Fact[string]{Since: "1.36", Value: "go1.26.8", Source: "golden i/01"},
	Fact[string]{Since: "1.37", Value: "go1.26.5", Source: ".go-version"})

func builtWith(since, version string) Fact[string] {
	return Fact[string]{Since: since, Value: version, Source: "build/build-image/cross/VERSION, .go-version"}
}

// CacheControl: answers have the header Cache-Control.
var CacheControl = row("api/cache-control", Fact[bool]{Since: "1.19", Value: true, Source: "apiserver/pkg/server/config.go WithCacheControl"})
