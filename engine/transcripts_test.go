package engine_test

import (
	"os"
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

func TestAggregatedRole(t *testing.T) { enginetest.Run(t, "testdata/aggregated-role.txt") }

// TestRotation plays the rotation of the CA: in the right order, each pair of steps
// swapped, and what else belongs to it.
func TestRotation(t *testing.T) { enginetest.Run(t, "testdata/ca-*.txt") }

// TestSeeds plays what the articles that Joinery grew from say, and what Kubernetes does
// in the release that they speak of.
func TestSeeds(t *testing.T) {
	for claim, shown := range seedClaims {
		_, err := os.Stat(shown)
		require.NoError(t, err, "nothing shows what becomes of %q", claim)
	}
	enginetest.Run(t, "testdata/seed-*.txt")
}

const sessions = "../server/testdata/0-seed-"

// seedClaims are what the articles say that is not so, or not in every release, and
// where it is shown.
var seedClaims = map[string]string{
	"a missing binding gives 401":                               "testdata/seed-403-not-401.txt",
	"the API server approves and signs":                         "testdata/seed-who-approves.txt",
	"1.8 makes two of the three roles":                          "testdata/seed-default-roles.txt",
	"1.11 approves serving certificates by a role":              "testdata/seed-selfnodeserver.txt",
	"1.11 has kubelet-client.crt":                               "testdata/seed-layout.txt",
	"the gate alone asks for serving certificates in 1.11":      sessions + "002-v1.11.session",
	"a Secret's name and its token-id may differ":               "../server/testdata/0-v1.11-sample-secret.session",
	"usages must all be true":                                   "testdata/p39-token-usage.txt",
	"system:bootstrappers:default-node-token":                   sessions + "001-v1.22.session",
	"a CSR is named kubernetes.io/kube-apiserver-client":        sessions + "001-v1.22.session",
	"rotateServerCertificates":                                  sessions + "001-v1.22.session",
	"certificates of a hundred years":                           sessions + "001-v1.22.session",
	"a kubelet renews what has expired":                         "testdata/p06-client-cert-expired.txt",
	"a restart makes the rotation happen":                       sessions + "004-v1.21.session",
	"the controller-manager's gate awards serving certificates": sessions + "004-v1.21.session",
	"1.7 does not use what it renewed":                          sessions + "000-v1.7.session",
	"1.8 needs the flag so that it reloads":                     "testdata/seed-rotation-of-1.8.txt",
	"kubelet-server.crt":                                        sessions + "000-v1.8.session",
	"--experimental-bootstrap-kubeconfig":                       "testdata/seed-bootstrap-flag.txt",
	"--experimental-cluster-signing-duration":                   "testdata/seed-duration-flag.txt",
	"a bundle to sign with":                                     "testdata/p18-bundle-to-sign-with.txt",
	"every ServiceAccount gets a Secret":                        "testdata/seed-account-secrets.txt",
	"Kubernetes denies":                                         "testdata/p35-denied-loop.txt",
	"bootstrap tokens need no flag":                             "testdata/seed-token-auth-flag.txt",
	"a manifest of v1beta1":                                     "testdata/seed-not-served.txt",
}
