package engine_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

var ofCSR = regexp.MustCompile(`(?:csr|old)="([a-z0-9-]+)"`)

// managed sorts the lines of kube-controller-manager by the CSR that they are
// about, in the order in which these first appear, and what was left out of each.
func managed(t *testing.T, text string) (names []string, lines, cut map[string][]string) {
	lines, cut = map[string][]string{}, map[string][]string{}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if m := leftOut.FindStringSubmatch(line); m != nil {
			// It is cut within a value, which may be the CSR's name.
			cut[last] = append(cut[last], m[1][:strings.LastIndex(m[1], `="`)])
			continue
		}
		m := ofCSR.FindStringSubmatch(line)
		require.NotNil(t, m, line)
		if last = m[1]; lines[last] == nil {
			names = append(names, last)
		}
		lines[last] = append(lines[last], line)
	}
	return names, lines, cut
}

// showLives compares what the controllers of kube-controller-manager say of each
// CSR of a log in which several mix: lives FILE N…, where N says which CSR here,
// counted in the order of creation, is the next one of the recording.
func showLives(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	made := r.csrNamesMade()
	var all []string
	for _, o := range r.obs {
		if o.Kind == trace.Log && o.Actor == "control-1/kube-controller-manager" && ofCSR.MatchString(o.Payload) {
			all = append(all, o.Payload)
		}
	}
	return func(t *testing.T, text string) {
		names, want, cut := managed(t, text)
		_, got, _ := managed(t, strings.Join(all, "\n"))
		require.Len(t, args, len(names))
		for i, name := range names {
			n, err := strconv.Atoi(args[i])
			require.NoError(t, err)
			require.LessOrEqual(t, n, len(made))
			ours := made[n-1]
			t.Run(name, func(t *testing.T) {
				plain := func(lines []string, name string) []logged {
					return readLog(t, strings.Split(strings.ReplaceAll(strings.Join(lines, "\n"), name, "CSR"), "\n"), "")
				}
				w, g := plain(want[name], name), plain(got[ours], ours)
				require.NotEmpty(t, w)
				require.NotEmpty(t, g, "%v", made)
				for _, th := range []string{"signers", "approver", "approver's tries", "workers"} {
					want, got := ofThread(w, th), shorten(ofThread(g, th), ofThread(w, th), cut[name])
					if i == len(names)-1 && len(got) > len(want) {
						got = got[:len(want)] // the log ends within the life of its last CSR
					}
					matchLog(t, fmt.Sprint(th, " of ", ours), want, got, w[0].at, g[0].at)
				}
			})
		}
	}
}
