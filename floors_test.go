package joinery_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/joinery-lab/joinery/"

// floor is one package (or a tree of them, with /...) and what of ours it may
// import. Why is the reason that a failing test tells.
type floor struct {
	pkg string
	may []string
	why string
}

// floors is the table of docs/architecture.md. The first row that fits counts.
var floors = []floor{
	{"engine/trace", nil, "every floor speaks trace, so it stands on nothing"},
	{"engine/pki", nil, "certificates are real without Kubernetes: pki stands on nothing"},
	{"engine/era", nil, "facts about releases stand on nothing"},
	{"engine/sim", []string{"engine/trace"}, "time, wire and disks know HTTP and no Kubernetes"},
	{"engine/election", []string{"engine/sim", "engine/trace", "engine/pki", "engine/era"}, "who leads is decided in one way by all who take part; it knows none of them"},
	{"engine/kubeconfig", nil, "the form of kubeconfigs is one for all actors; files are read through a function, so that it needs no disk"},
	{"engine/api", actorFloor, "actors meet only through requests: none imports another"},
	{"engine/kubelet", actorFloor, "actors meet only through requests: the kubelet can't reach into the API server"},
	{"engine/controllers", actorFloor, "actors meet only through requests: controllers go over the API like everyone else"},
	{"engine/client", actorFloor, "actors meet only through requests: none imports another"},
	{"engine/shell", actorFloor, "actors meet only through requests: kubectl holds no cluster knowledge"},
	{"engine/enginetest/golden", []string{"engine/pki"}, "recordings are files: to read them and to say who replays them needs nothing of ours but certificates"},
	{"engine/enginetest", []string{"engine", "engine/trace", "engine/sim"}, "the transcript harness sees a world from outside"},
	{"engine", []string{"engine/api", "engine/kubelet", "engine/controllers", "engine/client", "engine/shell", "engine/sim", "engine/trace", "engine/pki", "engine/era", "engine/kubeconfig"}, "the world is the only package that knows all actors, and nothing above itself"},
	{"lessons", []string{"engine", "engine/trace", "engine/era"}, "a lesson judges views and observations, never an actor's inside"},
	{"web/desk/...", []string{"lessons", "engine", "engine/trace", "engine/pki", "engine/era", "engine/sim", "web/desk/..."}, "the desk draws views and observations and knows no browser"},
	{"web/...", []string{"web/...", "lessons", "engine", "engine/trace", "engine/pki", "engine/era", "engine/sim"}, "the page reaches actors by inputs alone"},
	{"server/workshop", []string{"lessons", "engine", "engine/trace", "engine/pki", "engine/era", "engine/sim"}, "rooms feed inputs to worlds, as the page does"},
	{"server", []string{"server/workshop", "web/desk/...", "lessons", "engine", "engine/trace", "engine/era", "engine/sim"}, "the server serves the built site; importing web would bring the browser's program into it"},
	{"wasm", []string{"web/..."}, "main for the browser only starts the page"},
	{"tools/opening", []string{"web/desk"}, "it lets the desk's player make the first picture that a site holds"},
	{"tools/replay", []string{"engine"}, "it makes the world of a journal again"},
	{"tools/...", nil, "build tools must work before anything else builds"},
	{".", nil, "the root holds nothing but the test of the floors"},
}

var actorFloor = []string{"engine/sim", "engine/trace", "engine/pki", "engine/era", "engine/kubeconfig", "engine/election"}

// testsMay is what test files of a package may import beyond its floor: a test
// may look at its package from above.
var testsMay = []string{"engine", "engine/enginetest", "engine/enginetest/golden", "engine/sim", "engine/trace", "engine/pki", "engine/era", "lessons"}

func fits(pattern, pkg string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	}
	return pkg == pattern
}

// forbidden are the calls that would make a world depend on where and when it
// runs. Packages are import paths; names are selectors, "*" for the import
// itself, "*" with names after it for all but those.
var forbidden = []struct {
	pkg   string
	names []string
	why   string
}{
	{"time", []string{"Now", "Sleep", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}, "time is an argument: use Ctx.Now or Ctx.Clock"},
	{"k8s.io/apimachinery/pkg/apis/meta/v1", []string{"Now", "NowMicro"}, "metav1.Now reads the wall clock: use metav1.NewTime(ctx.Clock())"},
	{"math/rand", []string{"*"}, "chance comes from Ctx.Chance, a stream for each purpose"},
	{"math/rand/v2", []string{"Int", "IntN", "Int64", "Int64N", "Int32", "Int32N", "Uint32", "Uint32N", "Uint64", "Uint64N", "Uint", "UintN", "Float64", "Float32", "NormFloat64", "ExpFloat64", "N", "Perm", "Shuffle"}, "chance comes from Ctx.Chance, a stream for each purpose"},
	{"crypto/rand", []string{"*"}, "keys are derived from the seed: use pki.Keyring"},
	// The interpreter of mvdan.cc/sh hands its open flags over as os's.
	{"os", []string{"*", "O_RDONLY", "O_WRONLY", "O_RDWR", "O_APPEND", "O_CREATE", "O_EXCL", "O_TRUNC", "FileMode"}, "a host's files are on its sim.Disk, its environment in its shell"},
	{"os/exec", []string{"*"}, "commands run in the simulated shell"},
	{"log", []string{"*"}, "units log to their journal by Ctx.Log"},
	{"log/slog", []string{"*"}, "units log to their journal by Ctx.Log"},
	{"k8s.io/klog/v2", []string{"*"}, "units log to their journal by Ctx.Log"},
	{"net", []string{"Listen", "ListenTCP", "ListenPacket", "ListenUDP", "Dial", "DialTimeout", "Dialer", "ListenConfig", "LookupHost", "LookupIP"}, "the wire is simulated: use Ctx.Listen and Ctx.Send"},
	{"net/http", []string{"ListenAndServe", "ListenAndServeTLS", "Get", "Post", "Client", "DefaultClient", "Server", "DefaultTransport", "Transport"}, "the wire is simulated: use Ctx.Listen and Ctx.Send"},
	{"syscall/js", []string{"*"}, "the engine is the same natively and in a browser"},
	{"github.com/maxence-charriere/go-app/v9/pkg/app", []string{"*"}, "the engine draws nothing"},
	{"k8s.io/kubernetes", []string{"*"}, "k8s.io/kubernetes is no library, and does not fit into a page"},
}

// vague names tell nothing about what is inside.
var vague = []string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "types", "misc", "shared"}

// source is one parsed file.
type source struct {
	name string // slash path from the root
	file *ast.File
	set  *token.FileSet
}

func (s source) pkg() string { return path.Dir(s.name) }
func (s source) test() bool  { return strings.HasSuffix(s.name, "_test.go") }
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.name, s.set.Position(n.Pos()).Line)
}

func read(name, text string) (source, error) {
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution|parser.ParseComments)
	return source{name, f, set}, err
}

// judge returns what is wrong with a file, a sentence each.
func judge(s source) []string {
	var out []string
	out = append(out, judgeImports(s)...)
	out = append(out, judgeCalls(s)...)
	out = append(out, judgeEras(s)...)
	out = append(out, judgeNames(s)...)
	return out
}

func judgeImports(s source) (out []string) {
	for _, im := range s.file.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		if p == "syscall/js" && strings.HasPrefix(s.name, "web/") && s.name != jsFile {
			out = append(out, fmt.Sprintf("%s imports syscall/js: only %s does, so that all else runs without a browser", s.at(im), jsFile))
		}
		if !strings.HasPrefix(p, module) {
			continue
		}
		to := strings.TrimPrefix(p, module)
		i := slices.IndexFunc(floors, func(f floor) bool { return fits(f.pkg, s.pkg()) })
		if i < 0 {
			out = append(out, fmt.Sprintf("%s: package %s has no floor: add a row to floors_test.go and docs/architecture.md", s.at(im), s.pkg()))
			continue
		}
		ok := slices.ContainsFunc(floors[i].may, func(m string) bool { return fits(m, to) }) ||
			s.test() && (to == s.pkg() || slices.Contains(testsMay, to))
		if !ok {
			out = append(out, fmt.Sprintf("%s: %s must not import %s: %s", s.at(im), s.pkg(), to, floors[i].why))
		}
	}
	return out
}

// jsFile is the one file that may speak to the browser.
const jsFile = "web/js_wasm.go"

// mayGo are the packages under engine that may start goroutines: crypto/tls
// wants a conn, a pipeline has stages.
var mayGo = []string{"engine/pki", "engine/shell"}

func judgeCalls(s source) (out []string) {
	if !strings.HasPrefix(s.name, "engine/") || s.test() || fits("engine/enginetest/...", s.pkg()) {
		return nil
	}
	names := map[string]int{} // local name → row of forbidden
	for _, im := range s.file.Imports {
		p, _ := strconv.Unquote(im.Path.Value)
		for i, f := range forbidden {
			if p != f.pkg && !(f.pkg == "k8s.io/kubernetes" && strings.HasPrefix(p, f.pkg)) {
				continue
			}
			if len(f.names) == 1 && f.names[0] == "*" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", s.at(im), p, f.why))
				continue
			}
			local := path.Base(strings.TrimSuffix(p, "/v2"))
			if im.Name != nil {
				local = im.Name.Name
			}
			names[local] = i
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			if !slices.Contains(mayGo, s.pkg()) {
				out = append(out, fmt.Sprintf("%s starts a goroutine: only %s may, and join it before Step returns", s.at(n), strings.Join(mayGo, " and ")))
			}
		case *ast.SelectorExpr:
			id, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			i, ok := names[id.Name]
			if !ok {
				return true
			}
			but := forbidden[i].names[0] == "*"
			if slices.Contains(forbidden[i].names, n.Sel.Name) != but {
				out = append(out, fmt.Sprintf("%s uses %s.%s: %s", s.at(n), id.Name, n.Sel.Name, forbidden[i].why))
			}
		}
		return true
	})
	return out
}

// judgeEras finds comparisons of releases outside engine/era: an ordering, or
// an equality with a literal release, of something that is called an era,
// release, version or minor.
func judgeEras(s source) (out []string) {
	if s.pkg() == "engine/era" || s.test() || !strings.HasPrefix(s.name, "engine/") {
		return nil
	}
	order := []token.Token{token.LSS, token.LEQ, token.GTR, token.GEQ}
	ast.Inspect(s.file, func(n ast.Node) bool {
		b, ok := n.(*ast.BinaryExpr)
		if !ok {
			return true
		}
		ordered := slices.Contains(order, b.Op) && (namesRelease(b.X) || namesRelease(b.Y))
		equal := (b.Op == token.EQL || b.Op == token.NEQ) && (literalRelease(b.X) || literalRelease(b.Y))
		if ordered || equal {
			out = append(out, fmt.Sprintf("%s compares releases: ask a row of engine/era instead, so that a release is a row and not a condition", s.at(b)))
		}
		return true
	})
	return out
}

func namesRelease(e ast.Expr) bool {
	name := ""
	switch e := e.(type) {
	case *ast.Ident:
		name = e.Name
	case *ast.SelectorExpr:
		name = e.Sel.Name
	case *ast.CallExpr:
		return namesRelease(e.Fun)
	}
	return slices.Contains([]string{"era", "release", "minor"}, strings.ToLower(name))
}

// literalRelease reports a literal such as "1.36" or "v1.18".
func literalRelease(e ast.Expr) bool {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return false
	}
	s, _ := strconv.Unquote(l.Value)
	minor, ok := strings.CutPrefix(strings.TrimPrefix(s, "v"), "1.")
	if !ok {
		return false
	}
	_, err := strconv.Atoi(minor)
	return err == nil
}

func judgeNames(s source) (out []string) {
	base := strings.TrimSuffix(strings.TrimSuffix(path.Base(s.name), ".go"), "_test")
	for _, name := range []string{s.file.Name.Name, base} {
		if slices.Contains(vague, name) {
			out = append(out, fmt.Sprintf("%s: the name %q tells nothing of what is inside", s.name, name))
		}
	}
	return out
}

// sources parses every Go file of the module, without nested modules.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "." {
				return nil
			}
			_, nested := os.Stat(filepath.Join(name, "go.mod"))
			if nested == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules" {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		s, err := read(filepath.ToSlash(name), string(b))
		if err != nil {
			return err
		}
		out = append(out, s)
		return nil
	})
	require.NoError(t, err)
	return out
}

func TestFloors(t *testing.T) {
	all := sources(t)
	require.Greater(t, len(all), 10, "the walk found too few files to mean anything")
	for _, s := range all {
		for _, wrong := range judge(s) {
			t.Error(wrong)
		}
	}
}

func TestPackagesSayWhatTheyAre(t *testing.T) {
	told := map[string]bool{}
	for _, s := range sources(t) {
		if s.test() || strings.HasPrefix(s.name, "tools/") {
			continue
		}
		told[s.pkg()] = told[s.pkg()] || s.file.Doc.Text() != ""
	}
	for pkg, ok := range told {
		require.True(t, ok, "package %s has no comment that says what it is", pkg)
	}
}

// TestFloorsCanFail shows that each rule bites.
func TestFloorsCanFail(t *testing.T) {
	for name, c := range map[string]struct{ file, text, want string }{
		"an actor imports another":     {"engine/kubelet/a.go", `import _ "github.com/joinery-lab/joinery/engine/api"`, "engine/kubelet must not import engine/api"},
		"the ground stands on nothing": {"engine/trace/a.go", `import _ "github.com/joinery-lab/joinery/engine/era"`, "engine/trace must not import engine/era"},
		"the engine looks up":          {"engine/a.go", `import _ "github.com/joinery-lab/joinery/lessons"`, "engine must not import lessons"},
		"the server imports the page":  {"server/a.go", `import _ "github.com/joinery-lab/joinery/web"`, "server must not import web"},
		"a package without a floor":    {"attic/a.go", `import _ "github.com/joinery-lab/joinery/engine"`, "has no floor"},
		"wall clock":                   {"engine/api/a.go", "import \"time\"\nvar _ = time.Now()", "uses time.Now"},
		"wall clock by another name":   {"engine/api/a.go", "import t \"time\"\nvar f = t.Now", "uses t.Now"},
		"metav1.Now":                   {"engine/api/a.go", "import metav1 \"k8s.io/apimachinery/pkg/apis/meta/v1\"\nvar _ = metav1.Now()", "reads the wall clock"},
		"global chance":                {"engine/sim/a.go", "import \"math/rand/v2\"\nvar _ = rand.IntN(6)", "a stream for each purpose"},
		"system chance":                {"engine/pki/a.go", `import _ "crypto/rand"`, "derived from the seed"},
		"the operating system":         {"engine/shell/a.go", "import \"os\"\nvar _ = os.Getenv(\"HOME\")", "uses os.Getenv: a host's files"},
		"a listener":                   {"engine/pki/a.go", "import \"net\"\nvar _, _ = net.Listen(\"tcp\", \"\")", "the wire is simulated"},
		"a logger":                     {"engine/api/a.go", `import _ "log"`, "by Ctx.Log"},
		"the browser":                  {"engine/api/a.go", `import _ "syscall/js"`, "the same natively"},
		"a second file with js":        {"web/desk/a.go", `import _ "syscall/js"`, "only " + jsFile},
		"go-app below":                 {"engine/a.go", `import _ "github.com/maxence-charriere/go-app/v9/pkg/app"`, "draws nothing"},
		"a goroutine":                  {"engine/api/a.go", "func f() { go f() }", "starts a goroutine"},
		"an ordering of eras":          {"engine/api/a.go", "func f(minor int) bool { return minor >= 18 }", "compares releases"},
		"a release by name":            {"engine/api/a.go", `func f(r string) bool { return r == "1.18" }`, "compares releases"},
		"a package called util":        {"engine/util/a.go", "", "tells nothing"},
		"a file called helper":         {"engine/api/helper.go", "", "tells nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(c.file, "package "+path.Base(path.Dir(c.file))+"\n"+c.text)
			require.NoError(t, err)
			require.Contains(t, strings.Join(judge(s), "\n"), c.want)
		})
	}
	for name, c := range map[string]struct{ file, text string }{
		"actors may use their floor":   {"engine/kubelet/a.go", `import _ "github.com/joinery-lab/joinery/engine/sim"`},
		"a test may look from above":   {"engine/kubelet/a_test.go", `import _ "github.com/joinery-lab/joinery/engine"`},
		"a duration is no clock":       {"engine/api/a.go", "import \"time\"\nvar _ = time.Second"},
		"open flags are no system":     {"engine/shell/a.go", "import \"os\"\nvar _ = os.O_RDWR"},
		"the shell has stages":         {"engine/shell/a.go", "func f() { go f() }"},
		"an API version is no release": {"engine/api/a.go", `func f(v string) bool { return v == "v1" }`},
		"the server reads the clock":   {"server/a.go", "import \"time\"\nvar _ = time.Now()"},
		"eras compare themselves":      {"engine/era/a.go", "func f(minor int) bool { return minor >= 18 }"},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := read(c.file, "package "+path.Base(path.Dir(c.file))+"\n"+c.text)
			require.NoError(t, err)
			require.Empty(t, judge(s))
		})
	}
}
