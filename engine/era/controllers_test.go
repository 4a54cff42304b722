package era

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestControllerNames compares the table with what a script read from each release.
func TestControllerNames(t *testing.T) {
	b, err := os.ReadFile("testdata/controllers.txt")
	require.NoError(t, err)
	var want []string
	tested := 0
	check := func(release string) {
		var got []string
		for _, c := range Controllers.In(Must(release)) {
			line := strings.Join(c.Names(Must(release)), " =")
			if c.Off {
				first, rest, alias := strings.Cut(line, " ")
				if line = first + " OFF"; alias {
					line += " " + rest
				}
			}
			got = append(got, line)
		}
		slices.Sort(got)
		slices.Sort(want)
		require.Equal(t, want, got, release)
		tested++
	}
	release := ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch line[0] {
		case '#':
		case '+':
			want = append(want, line[2:])
		case '-':
			i := slices.Index(want, line[2:])
			require.NotEqual(t, -1, i, line)
			want = slices.Delete(want, i, i+1)
		default:
			if release != "" {
				check(release)
			}
			release = line
		}
	}
	check(release)
	require.Equal(t, len(Releases()), tested)
}
