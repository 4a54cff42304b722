package golden

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Recording is a file with what a real component did.
type Recording struct {
	// Release is that of golden-old's folder ("1.7.4"), empty in golden.
	Release, Folder, File, Path string
	// Number is that of the file's name, 0 without one.
	Number int
	// Form is the word of the claim.
	Form string
}

// Name is "folder/file", in golden-old "release/folder/file".
func (r Recording) Name() string { return path.Join(r.Release, r.Folder, r.File) }

// Minor is the minor release that it was recorded of: "1.7".
func (r Recording) Minor() string { return Minor(r.Release) }

// Minor is the minor of a release: "1.7" of "1.7.4".
func Minor(release string) string { return release[:strings.LastIndex(release, ".")] }

// Text is what the file holds.
func (r Recording) Text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.Path)
	require.NoError(t, err)
	return string(b)
}

// Play replays one recording.
type Play func(t *testing.T, r Recording)

// A set is a folder of recordings, with who replays them.
type set struct {
	dir string
	// env is the variable that names a folder with more of them. What is in it
	// goes before a file of the same name here.
	env    string
	except string
	claims []claim
	// deep: a folder for each release goes before the others.
	deep bool
}

var (
	recent = set{dir: "engine/testdata/golden", env: "JOINERY_GOLDEN", except: "engine/testdata/golden-exceptions.txt", claims: claims}
	old    = set{dir: "engine/testdata/golden-old", env: "JOINERY_GOLDEN_OLD", except: "engine/testdata/golden-old-exceptions.txt", claims: oldClaims, deep: true}
)

// Claimed are the recordings that a test claims, by folder, in the order of
// their numbers.
func Claimed(t *testing.T, test string) map[string][]Recording {
	t.Helper()
	mine := recent.claimed(t, test)
	require.NotEmpty(t, mine, "no row of claims names %s", test)
	return mine
}

// ClaimedOld is Claimed for the recordings of old releases: the keys are
// "release/folder".
func ClaimedOld(t *testing.T, test string) map[string][]Recording {
	t.Helper()
	return old.claimed(t, test)
}

func (s *set) claimed(t *testing.T, test string) map[string][]Recording {
	mine := map[string][]Recording{}
	list := s.exceptions(t)
	for _, r := range s.recordings(t) {
		if c := first(s.claims, r.Name()); c != nil && c.test == test && !excepted(list, r.Name()) {
			r.Form = c.form
			at := path.Join(r.Release, r.Folder)
			mine[at] = append(mine[at], r)
		}
	}
	return mine
}

// Run plays all recordings that a test claims, folder by folder in the order of
// their numbers. Folder is called before the first file of each.
func Run(t *testing.T, test string, folder func(t *testing.T, folder string) Play) {
	t.Helper()
	run(t, Claimed(t, test), folder)
}

// RunOld is Run for the recordings of old releases: their subtests are
// RELEASE/FOLDER/FILE.
func RunOld(t *testing.T, test string, folder func(t *testing.T, release, folder string) Play) {
	t.Helper()
	byRelease := map[string]map[string][]Recording{}
	for at, list := range ClaimedOld(t, test) {
		release := path.Dir(at)
		if byRelease[release] == nil {
			byRelease[release] = map[string][]Recording{}
		}
		byRelease[release][path.Base(at)] = list
	}
	for _, release := range sorted(byRelease) {
		t.Run(release, func(t *testing.T) {
			run(t, byRelease[release], func(t *testing.T, f string) Play { return folder(t, release, f) })
		})
	}
}

func run(t *testing.T, mine map[string][]Recording, folder func(t *testing.T, folder string) Play) {
	for _, f := range sorted(mine) {
		t.Run(f, func(t *testing.T) {
			play := folder(t, f)
			for _, r := range mine[f] {
				t.Run(r.File, func(t *testing.T) { play(t, r) })
			}
		})
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// faults are what is wrong with the rows and the exceptions, a sentence each,
// by the subtest that tells it.
func faults(files []Recording, rows []claim, list []*exception) (out [][2]string) {
	used := map[claim]bool{}
	for _, r := range files {
		c := first(rows, r.Name())
		if c != nil {
			used[*c] = true
		}
		if !excepted(list, r.Name()) && c == nil {
			out = append(out, [2]string{r.Name(), "no test claims this file, and it is not in the list of exceptions"})
		}
	}
	for _, c := range rows {
		if !used[c] {
			out = append(out, [2]string{"claims/" + c.pattern, fmt.Sprintf("the row of %s (%s) claims no file that is there", c.test, c.form)})
		}
	}
	for _, e := range list {
		if !e.used {
			out = append(out, [2]string{"exceptions/" + e.pattern, fmt.Sprintf("this exception (%s) matches no recording", e.reason)})
		}
	}
	return out
}

func first(rows []claim, name string) *claim {
	for i, c := range rows {
		if fits(c.pattern, name) {
			return &rows[i]
		}
	}
	return nil
}

func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	if err != nil {
		panic(fmt.Sprintf("golden: pattern %q: %v", pattern, err))
	}
	return ok
}

// root is the module's folder, found from where a test runs.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		require.NotEqual(t, up, dir, "no go.mod above this test")
		dir = up
	}
}

// recordings lists all files by folder, each folder in the order of numbers.
func (s *set) recordings(t *testing.T) (out []Recording) {
	t.Helper()
	top := root(t)
	seen := map[string]bool{}
	for _, dir := range []string{os.Getenv(s.env), filepath.Join(top, s.dir)} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(dir); err != nil && !filepath.IsAbs(dir) {
			dir = filepath.Join(top, dir)
		}
		pattern := "*/*"
		if s.deep {
			pattern = "*/*/*"
		}
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no recordings in %s", dir)
		for _, f := range files {
			r := Recording{Folder: filepath.Base(filepath.Dir(f)), File: filepath.Base(f), Path: f}
			if s.deep {
				r.Release = filepath.Base(filepath.Dir(filepath.Dir(f)))
			}
			// note.txt tells the state of its folder in words.
			if seen[r.Name()] || r.File == "note.txt" {
				continue
			}
			seen[r.Name()] = true
			if digits, _, ok := strings.Cut(r.File, "-"); ok {
				r.Number, _ = strconv.Atoi(digits)
			}
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b Recording) int {
		if c := cmp.Or(strings.Compare(a.Release, b.Release), strings.Compare(a.Folder, b.Folder)); c != 0 {
			return c
		}
		if a.Number != b.Number {
			return a.Number - b.Number
		}
		// A log belongs to the request of its number, so it comes after it.
		if l := strings.HasSuffix(a.File, ".log"); l != strings.HasSuffix(b.File, ".log") {
			if l {
				return 1
			}
			return -1
		}
		return strings.Compare(a.File, b.File)
	})
	return out
}

// exception is a line of a list of exceptions.
type exception struct {
	pattern, reason string
	used            bool
}

func (s *set) exceptions(t *testing.T) []*exception {
	t.Helper()
	f, err := os.Open(filepath.Join(root(t), s.except))
	require.NoError(t, err)
	defer f.Close()
	var out []*exception
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		pattern, reason, _ := strings.Cut(line, " ")
		require.NotEmpty(t, strings.TrimSpace(reason), "exception %q has no reason", pattern)
		out = append(out, &exception{pattern: pattern, reason: strings.TrimSpace(reason)})
	}
	return out
}

// excepted marks all exceptions that fit.
func excepted(list []*exception, name string) bool {
	found := false
	for _, e := range list {
		if fits(e.pattern, name) {
			e.used, found = true, true
		}
	}
	return found
}
