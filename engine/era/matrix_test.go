package era

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/matrix.txt anew")

// matrix is the whole table: under each name the releases and what they have.
func matrix() string {
	type span struct {
		from, to int
		Told
	}
	spans := map[string][]span{}
	for minor := Oldest; minor <= Newest; minor++ {
		for _, t := range (Era{minor}).All() {
			s := spans[t.Name]
			if n := len(s); n > 0 && s[n-1].to == minor-1 && s[n-1].Value == t.Value && s[n-1].Source == t.Source {
				s[n-1].to = minor
				continue
			}
			spans[t.Name] = append(s, span{minor, minor, t})
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(spans)) {
		fmt.Fprintln(&b, name)
		for _, s := range spans[name] {
			until := fmt.Sprintf("1.%d", s.to)
			if s.to == Newest {
				until = ""
			}
			fmt.Fprintf(&b, "  1.%d-%s: %s [%s]\n", s.from, until, s.Value, s.Source)
		}
	}
	return b.String()
}

// The whole table stands in testdata/matrix.txt, where a change of a fact is read
// before it is taken: go test ./engine/era -run TestMatrix -update.
func TestMatrix(t *testing.T) {
	const file = "testdata/matrix.txt"
	got := matrix()
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	if got != string(want) {
		a, b := strings.Split(string(want), "\n"), strings.Split(got, "\n")
		for i := range min(len(a), len(b)) {
			require.Equal(t, a[i], b[i], "%s:%d; read the change and take it with -update", file, i+1)
		}
		t.Fatalf("%s has %d lines, the table %d; read the change and take it with -update", file, len(a), len(b))
	}
}

func TestDiff(t *testing.T) {
	var got []string
	for _, c := range Diff(Must("1.18"), Must("1.19")) {
		got = append(got, c.Name+": "+c.Before+" -> "+c.After)
	}
	require.Contains(t, got, "api/certificates.k8s.io/v1:  -> certificatesigningrequests")
	back := Diff(Must("1.19"), Must("1.18"))
	require.Len(t, back, len(got))
	require.Empty(t, Diff(Must("1.36"), Must("1.36")))
}
