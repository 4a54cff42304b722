package engine_test

import (
	"testing"

	"github.com/joinery-lab/joinery/engine/enginetest"
)

// TestPains plays what goes wrong in real clusters: each from its symptom by way
// of the explanation to its cure.
func TestPains(t *testing.T) { enginetest.Run(t, "testdata/p[0-9]*.txt") }

// TestKubeadm plays what people do with kubeadm from the first command on.
func TestKubeadm(t *testing.T) { enginetest.Run(t, "testdata/kubeadm-*.txt") }

func TestFirstJoin(t *testing.T) { enginetest.Run(t, "testdata/first-join.txt") }

func TestAggregatedRole(t *testing.T) { enginetest.Run(t, "testdata/aggregated-role.txt") }

// TestRotation plays the rotation of the CA: in the right order, each pair of steps
// swapped, and what else belongs to it.
func TestRotation(t *testing.T) { enginetest.Run(t, "testdata/ca-*.txt") }
