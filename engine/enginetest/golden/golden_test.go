package golden

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGolden holds claims and exceptions against the files that are there.
func TestGolden(t *testing.T) {
	for _, s := range []*set{&recent, &old} {
		for _, f := range faults(s.recordings(t), s.claims, s.exceptions(t)) {
			t.Run(f[0], func(t *testing.T) { t.Error(f[1]) })
		}
	}
}

func TestFaults(t *testing.T) {
	files := []Recording{{Folder: "a", File: "1.json"}, {Folder: "b", File: "1.log"}, {Folder: "c", File: "1.txt"}}
	rows := []claim{{"a/*.json", "x", "f"}}
	except := func(patterns ...string) (out []*exception) {
		for _, p := range patterns {
			out = append(out, &exception{pattern: p, reason: "r"})
		}
		return out
	}
	require.Empty(t, faults(files, rows, except("b/*", "c/*")))
	require.Equal(t, [][2]string{{"c/1.txt", "no test claims this file, and it is not in the list of exceptions"}}, faults(files, rows, except("b/*")))
	require.Equal(t, [][2]string{{"exceptions/d/*", "this exception (r) matches no recording"}}, faults(files, rows, except("b/*", "c/*", "d/*")))
	require.Equal(t, [][2]string{{"claims/e/*", "the row of x (f) claims no file that is there"}}, faults(files, append(rows, claim{"e/*", "x", "f"}), except("b/*", "c/*")))
	require.Equal(t, "run", first(claims, "b2-real-kubelet-refused/06-missing-bootstrap-kubeconfig.log").form)
}
