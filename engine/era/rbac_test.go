package era

import (
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// upstream is what testdata/rbac.txt tells of one release: all lines, how many
// roles and bindings they are, and the sums with and without a gate.
type upstream struct {
	lines           []string
	roles, bindings int
	sums            map[string]string
}

// TestDefaultRBACIsUpstreams compares the table with the facts that a script
// took from upstream's testdata, release by release, and gate by gate.
func TestDefaultRBACIsUpstreams(t *testing.T) {
	facts := readUpstream(t)
	for _, release := range Releases() {
		e, want := Must(release), facts[release]
		require.NotNil(t, want, "testdata/rbac.txt knows nothing of %s", release)
		t.Run(release, func(t *testing.T) {
			for change, sum := range want.sums {
				gates := map[string]bool{}
				if gate, value, ok := strings.Cut(change, "="); ok {
					gates[gate] = value == "true"
				}
				d := e.DefaultRBAC(gates, release != "1.7") // upstream's testdata has no mode Node
				list := grouped(rbacLines(d))
				if change == "" {
					require.Equal(t, want.lines, slices.Sorted(slices.Values(list)))
					require.Equal(t, []int{want.roles, want.bindings}, []int{len(d.Roles), len(d.Bindings)})
				}
				require.Equal(t, sum, fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(list, "\n")+"\n")))[:12], "the order of the rules, or what %q changes", change)
			}
		})
	}
}

// rbacLines are lines as testdata/rbac.txt has them.
func rbacLines(d *RBACDefaults) (out []string) {
	for _, r := range d.Roles {
		for _, line := range r.lines() {
			out = append(out, "role "+strings.TrimPrefix(r.Namespace+"/"+r.Name, "/")+": "+line)
		}
	}
	for _, b := range d.Bindings {
		for _, line := range b.lines() {
			out = append(out, "binding "+strings.TrimPrefix(b.Namespace+"/"+b.Name, "/")+": "+line)
		}
	}
	return out
}

// grouped puts the lines of one object together and sorts the objects.
func grouped(lines []string) []string {
	object := func(line string) string { before, _, _ := strings.Cut(line, ": "); return before }
	sort.SliceStable(lines, func(i, j int) bool { return object(lines[i]) < object(lines[j]) })
	return lines
}

func readUpstream(t *testing.T) map[string]*upstream {
	t.Helper()
	b, err := os.ReadFile("testdata/rbac.txt")
	require.NoError(t, err)
	facts := map[string]*upstream{}
	var now *upstream
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.Fields(line)
		switch f[0] {
		case "#":
		case "+":
			now.lines = append(now.lines, line[2:])
			sort.Strings(now.lines)
		case "-":
			i, found := slices.BinarySearch(now.lines, line[2:])
			require.True(t, found, "%s is taken away and was not there", line)
			now.lines = slices.Delete(now.lines, i, i+1)
		default:
			if sum := f[len(f)-1]; strings.Contains(f[1], "=") {
				facts[f[0]].sums[f[1]] = sum
			} else {
				next := &upstream{sums: map[string]string{"": sum}}
				_, err := fmt.Sscanf(line, f[0]+" "+f[1]+" roles %d bindings %d", &next.roles, &next.bindings)
				require.NoError(t, err, line)
				if now != nil {
					next.lines = slices.Clone(now.lines)
				}
				now, facts[f[0]] = next, next
			}
		}
	}
	return facts
}

// A gate that the API server was not told of is as its release has it.
func TestDefaultRBACByGates(t *testing.T) {
	has := func(release string, gates map[string]bool, node bool, line string) bool {
		return slices.Contains(rbacLines(Must(release).DefaultRBAC(gates, node)), line)
	}
	const selfnodeserver = "role system:certificates.k8s.io:certificatesigningrequests:selfnodeserver: create certificates.k8s.io certificatesigningrequests/selfnodeserver"
	on := map[string]bool{"RotateKubeletServerCertificate": true}
	for release, want := range map[string]bool{"1.7": false, "1.8": true, "1.9": true, "1.10": true, "1.11": false, "1.36": false} {
		require.Equal(t, want, has(release, on, true, selfnodeserver), release)
		require.False(t, has(release, nil, true, selfnodeserver), release)
	}
	const nodes = "binding system:node: Group system:nodes"
	require.True(t, has("1.7", nil, false, nodes))
	require.False(t, has("1.7", nil, true, nodes))
	require.False(t, has("1.8", nil, false, nodes))
	require.True(t, has("1.36", map[string]bool{"AllBeta": true}, true, "role system:cluster-trust-bundle-discovery: get list watch certificates.k8s.io clustertrustbundles"))
	require.False(t, has("1.36", nil, true, "role system:cluster-trust-bundle-discovery: get list watch certificates.k8s.io clustertrustbundles"))
}

// A gate of the table is one that its release knows.
func TestRBACTableKnowsTheGates(t *testing.T) {
	for line := range tableLines(rbacTable) {
		for _, part := range strings.Split(line, "|") {
			span := "-"
			for _, w := range strings.Fields(part) {
				switch {
				case '0' <= w[0] && w[0] <= '9' || w[0] == '-':
					span = w
				case (w[0] == '+' || w[0] == '!') && w != "!Node":
					for _, release := range Releases() {
						if e := Must(release); e.spans(span) && line[0] != '\t' {
							require.True(t, e.KnowsGate(w[1:]), "%s: %s", release, line)
						}
					}
				}
			}
		}
	}
}
