package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest"
)

// TestPains plays what goes wrong in real clusters: each from its symptom by way
// of the explanation to its cure.
func TestPains(t *testing.T) { enginetest.Run(t, "testdata/p[0-9]*.txt") }

// TestKubeadm plays what people do with kubeadm from the first command on.
func TestKubeadm(t *testing.T) { enginetest.Run(t, "testdata/kubeadm-*.txt") }

func TestFirstJoin(t *testing.T) { enginetest.Run(t, "testdata/first-join.txt") }

// pains is how many kinds of trouble are known; none of them is of another
// release only.
const pains = 46

var (
	asked = regexp.MustCompile(`(?m)^why \S+\n----\n[^\n:]*: ([a-z-]+)`)
	well  = regexp.MustCompile(`^(kubelet-joined|client-running|running|csr-issued|cert-valid|token-accepted|apiservice-available)$`)
)

// TestEveryPainIsTold: each has a transcript that names it, asks why, and ends
// with an explanation of something that is well again.
func TestEveryPainIsTold(t *testing.T) {
	for n := range pains {
		id := n + 1
		files, err := filepath.Glob(fmt.Sprintf("testdata/p%02d-*.txt", id))
		require.NoError(t, err)
		require.NotEmpty(t, files, "nothing tells P%02d", id)
		for _, f := range files {
			b, err := os.ReadFile(f)
			require.NoError(t, err)
			require.Regexp(t, fmt.Sprintf(`\A# P%02d\b`, id), string(b), f)
			answers := asked.FindAllStringSubmatch(string(b), -1)
			require.NotEmpty(t, answers, "%s asks no why", f)
			require.Regexp(t, `(?m)^needs: `, string(b), "%s says of nothing what would have to be different", f)
			last := answers[len(answers)-1][1]
			require.Regexp(t, well, last, "%s does not end well", f)
		}
	}
}

func TestAggregatedRole(t *testing.T) { enginetest.Run(t, "testdata/aggregated-role.txt") }
