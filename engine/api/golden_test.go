package api_test

import (
	"bufio"
	"encoding/json"
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

// goldenDir holds recordings of a real control plane; JOINERY_GOLDEN may name
// a second folder of the same form, whose files fill the gaps of the first.
const goldenDir = "../testdata/golden"

// exceptionsFile lists what is not replayed, a pattern and a reason a line.
const exceptionsFile = "../testdata/golden-exceptions.txt"

// recording is a file: what was sent, and what a real API server answered.
type recording struct {
	folder, file, path string
	number             int // of its name, 0 without one
}

func (r recording) name() string { return r.folder + "/" + r.file }

// recordings lists all files by folder, each folder in the order of numbers.
func recordings(t *testing.T) map[string][]recording {
	t.Helper()
	out := map[string][]recording{}
	seen := map[string]bool{}
	for _, root := range []string{goldenDir, os.Getenv("JOINERY_GOLDEN")} {
		if root == "" {
			continue
		}
		if _, err := os.Stat(root); err != nil && !filepath.IsAbs(root) {
			root = filepath.Join("../..", root) // as seen from the module's root
		}
		files, err := filepath.Glob(filepath.Join(root, "*", "*"))
		require.NoError(t, err)
		require.NotEmpty(t, files, "no recordings in %s", root)
		for _, f := range files {
			r := recording{folder: filepath.Base(filepath.Dir(f)), file: filepath.Base(f), path: f}
			if seen[r.name()] {
				continue
			}
			seen[r.name()] = true
			if digits, _, ok := strings.Cut(r.file, "-"); ok {
				r.number, _ = strconv.Atoi(digits)
			}
			out[r.folder] = append(out[r.folder], r)
		}
	}
	for _, list := range out {
		slices.SortStableFunc(list, func(a, b recording) int {
			if a.number != b.number {
				return a.number - b.number
			}
			// A log belongs to the request of its number, so it comes after it.
			if l := strings.HasSuffix(a.file, ".log"); l != strings.HasSuffix(b.file, ".log") {
				if l {
					return 1
				}
				return -1
			}
			return strings.Compare(a.file, b.file)
		})
	}
	return out
}

// exception is a line of exceptionsFile.
type exception struct {
	pattern, reason string
	used            bool
}

func exceptions(t *testing.T) []*exception {
	t.Helper()
	f, err := os.Open(exceptionsFile)
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

func excepted(t *testing.T, list []*exception, name string) bool {
	t.Helper()
	found := false
	for _, e := range list {
		ok, err := path.Match(e.pattern, name)
		require.NoError(t, err, "pattern %q", e.pattern)
		if ok {
			e.used, found = true, true
		}
	}
	return found
}

// TestGolden replays recordings against the API server, one subtest a file, in
// the order of their numbers, on the state that the recordings' README tells.
func TestGolden(t *testing.T) {
	all := recordings(t)
	list := exceptions(t)
	folders := make([]string, 0, len(all))
	for f := range all {
		folders = append(folders, f)
	}
	slices.Sort(folders)
	// Which are left out does not depend on which subtests run.
	left := map[string]bool{}
	for _, f := range folders {
		for _, r := range all[f] {
			left[r.name()] = excepted(t, list, r.name())
		}
	}
	for _, folder := range folders {
		t.Run(folder, func(t *testing.T) {
			var w *replay
			for _, r := range all[folder] {
				if left[r.name()] {
					continue
				}
				if w == nil {
					w = newReplay(t, folder)
				}
				t.Run(r.file, func(t *testing.T) { w.play(t, r) })
			}
		})
	}
	for _, e := range list {
		if !e.used {
			t.Errorf("exception %q (%s) matches no recording", e.pattern, e.reason)
		}
	}
}

// exchange is the form of a recorded request with its answer.
type exchange struct {
	Note     string `json:"note"`
	Request  *asked `json:"request"`
	Response *given `json:"response"`
}

type asked struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	As     string          `json:"as"`
	Body   json.RawMessage `json:"body"`
	Accept string          `json:"accept"`
	Ctype  string          `json:"ctype"`
}

type given struct {
	Code    int               `json:"code"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// play replays one file by its form; a file of no known form fails.
func (w *replay) play(t *testing.T, r recording) {
	data, err := os.ReadFile(r.path)
	require.NoError(t, err)
	switch ext := filepath.Ext(r.file); {
	case ext == ".json":
		var x exchange
		require.NoError(t, json.Unmarshal(data, &x))
		if x.Request == nil || x.Response == nil {
			var only given
			require.NoError(t, json.Unmarshal(data, &only))
			require.Equal(t, "token-secret-created.json", r.file, "a JSON file of unknown form: it has no request and response")
			w.compareSecret(t, &only)
			return
		}
		w.request(t, r, &x)
	case ext == ".yaml":
		w.objects(t, data)
	case r.file == "all-clusterrole-names.txt":
		w.roleNames(t, string(data))
	case strings.HasSuffix(r.file, "-apiserver.log"):
		w.logLines(t, r, string(data))
	default:
		require.Fail(t, fmt.Sprintf("%s has no known form and no exception", r.name()))
	}
}
