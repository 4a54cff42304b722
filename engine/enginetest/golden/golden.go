package golden

import (
	"bufio"
	"fmt"
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
	Folder, File, Path string
	// Number is that of the file's name, 0 without one.
	Number int
	// Form is the word of the claim.
	Form string
}

// Name is "folder/file".
func (r Recording) Name() string { return r.Folder + "/" + r.File }

// Text is what the file holds.
func (r Recording) Text(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(r.Path)
	require.NoError(t, err)
	return string(b)
}

// Play replays one recording.
type Play func(t *testing.T, r Recording)

// Claimed are the recordings that a test claims, by folder, in the order of
// their numbers.
func Claimed(t *testing.T, test string) map[string][]Recording {
	t.Helper()
	mine := map[string][]Recording{}
	list := exceptions(t)
	for _, r := range recordings(t) {
		if c := claimed(r.Name()); c != nil && c.test == test && !excepted(list, r.Name()) {
			r.Form = c.form
			mine[r.Folder] = append(mine[r.Folder], r)
		}
	}
	require.NotEmpty(t, mine, "no row of claims names %s", test)
	return mine
}

// Run plays all recordings that a test claims, folder by folder in the order of
// their numbers. Folder is called before the first file of each.
func Run(t *testing.T, test string, folder func(t *testing.T, folder string) Play) {
	t.Helper()
	mine := Claimed(t, test)
	folders := make([]string, 0, len(mine))
	for f := range mine {
		folders = append(folders, f)
	}
	slices.Sort(folders)
	for _, f := range folders {
		t.Run(f, func(t *testing.T) {
			play := folder(t, f)
			for _, r := range mine[f] {
				t.Run(r.File, func(t *testing.T) { play(t, r) })
			}
		})
	}
}

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

func claimed(name string) *claim { return first(claims, name) }

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
func recordings(t *testing.T) (out []Recording) {
	t.Helper()
	top := root(t)
	seen := map[string]bool{}
	for _, dir := range []string{filepath.Join(top, "engine/testdata/golden"), os.Getenv("JOINERY_GOLDEN")} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(dir); err != nil && !filepath.IsAbs(dir) {
			dir = filepath.Join(top, dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no recordings in %s", dir)
		for _, f := range files {
			r := Recording{Folder: filepath.Base(filepath.Dir(f)), File: filepath.Base(f), Path: f}
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
		if c := strings.Compare(a.Folder, b.Folder); c != 0 {
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

// exception is a line of golden-exceptions.txt.
type exception struct {
	pattern, reason string
	used            bool
}

func exceptions(t *testing.T) []*exception {
	t.Helper()
	f, err := os.Open(filepath.Join(root(t), "engine/testdata/golden-exceptions.txt"))
	require.NoError(t, err)
	defer f.Close()
	var out []*exception
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
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
