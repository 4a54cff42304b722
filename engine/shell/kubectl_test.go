package shell_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// town is a world, and what was printed in it.
type town struct {
	t *testing.T
	*engine.World
}

func newTown(t *testing.T) *town {
	w, err := engine.New(engine.Config{Seed: "shell"})
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return &town{t, w}
}

func (w *town) say(host, line string) (out, status string) {
	w.t.Helper()
	obs, err := w.Say(host, line, time.Minute)
	require.NoError(w.t, err)
	return printed(obs)
}

func printed(obs []trace.Observation) (out, status string) {
	for _, o := range obs {
		switch o.Kind {
		case trace.Printed:
			out += o.Payload
		case trace.Done:
			status = o.Args["status"]
		}
	}
	return out, status
}

const csrYAML = `apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: my-svc
spec:
  request: REQUEST
  signerName: example.com/serving
  usages: ["digital signature", "key encipherment", "server auth"]
`

// recorded is what a recording of kubectl has on stdout.
func recorded(t *testing.T, name string) string {
	b, err := os.ReadFile(filepath.Join("../testdata/golden", name))
	require.NoError(t, err)
	_, out, ok := strings.Cut(string(b), "--- stdout\n")
	require.True(t, ok, name)
	out, _, _ = strings.Cut(out, "--- stderr\n")
	return out
}

// request is the spec.request that was sent in a recording.
func request(t *testing.T, name string) string {
	b, err := os.ReadFile(filepath.Join("../testdata/golden", name))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(b), "request: ")
	require.True(t, ok, name)
	rest, _, _ = strings.Cut(rest, "\n")
	return rest
}

func TestKubectlWords(t *testing.T) {
	w := newTown(t)
	req := request(t, "g-custom-signer/01-apply.txt")
	for _, tt := range []struct{ line, out, status string }{
		{"kubectl version", recorded(t, "i-kubectl-and-discovery/142-version.txt"), "0"},
		{"kubectl version --client -o yaml", recorded(t, "i-kubectl-and-discovery/143-version-client.txt"), "0"},
		{"kubectl get csr", "No resources found\n", "0"},
		{"kubectl get secrets", "No resources found in default namespace.\n", "0"},
		{"kubectl get csr nosuch", "Error from server (NotFound): certificatesigningrequests.certificates.k8s.io \"nosuch\" not found\n", "1"},
		{"kubectl get csr nosuch --ignore-not-found", "", "0"},
		{"kubectl get nosuch", "error: the server doesn't have a resource type \"nosuch\"\n", "1"},
		{"kubectl get csr --nosuch", "error: unknown flag: --nosuch\nSee 'kubectl get --help' for usage.\n", "1"},
		{"kubectl get csr --force", "error: unknown flag: --force\nSee 'kubectl get --help' for usage.\n", "1"},
		{"kubectl get csr -o nosuch", "error: unable to match a printer suitable for the output format \"nosuch\", allowed formats are: custom-columns,json,jsonpath,name,wide,yaml\n", "1"},
		{"kubectl certificate approve", "error: one or more CSRs must be specified as <name> or -f <filename>\n", "1"},
		{"kubectl certificate approve nosuch", "Error from server (NotFound): certificatesigningrequests.certificates.k8s.io \"nosuch\" not found\n", "1"},
		{"kubectl certificate deny nosuch nor-this", "Error from server (NotFound): certificatesigningrequests.certificates.k8s.io \"nosuch\" not found\nError from server (NotFound): certificatesigningrequests.certificates.k8s.io \"nor-this\" not found\n", "1"},
		{"kubectl create clusterrolebinding y --group=g", "error: required flag(s) \"clusterrole\" not set\n", "1"},
		{"kubectl create clusterrolebinding x-binding --clusterrole=system:node-bootstrapper --group=system:bootstrappers", "clusterrolebinding.rbac.authorization.k8s.io/x-binding created\n", "0"},
		{"kubectl create clusterrolebinding x-binding --clusterrole=system:node-bootstrapper --group=system:bootstrappers", "error: failed to create clusterrolebinding: clusterrolebindings.rbac.authorization.k8s.io \"x-binding\" already exists\n", "1"},
		{"kubectl create clusterrolebinding z --clusterrole=a --user=u --dry-run=client -o name", "clusterrolebinding.rbac.authorization.k8s.io/z\n", "0"},
		{"kubectl get clusterrolebinding x-binding", recorded(t, "i-kubectl-and-discovery/74-get-crb.txt"), "0"},
		{"kubectl get clusterrolebinding x-binding -o wide", recorded(t, "i-kubectl-and-discovery/75-get-crb-wide.txt"), "0"},
		{"kubectl describe clusterrolebinding x-binding", recorded(t, "i-kubectl-and-discovery/76-describe-crb.txt"), "0"},
		{"kubectl delete clusterrolebinding x-binding", recorded(t, "i-kubectl-and-discovery/78-delete-crb.txt"), "0"},
		{"kubectl delete clusterrolebinding", "error: resource(s) were provided, but no name was specified\n", "1"},
		{"kubectl describe clusterrole nosuch", "Error from server (NotFound): clusterroles.rbac.authorization.k8s.io \"nosuch\" not found\n", "1"},
		{"kubectl auth can-i create csr", "Warning: resource 'certificatesigningrequests' is not namespace scoped in group 'certificates.k8s.io'\n\nyes\n", "0"},
		{"kubectl auth can-i list csr --as system:bootstrap:abcdef --as-group system:bootstrappers", "Warning: resource 'certificatesigningrequests' is not namespace scoped in group 'certificates.k8s.io'\n\nno\n", "1"},
		{"kubectl auth can-i approve signers.certificates.k8s.io/kubernetes.io/kubelet-serving", "Warning: the server doesn't have a resource type 'signers' in group 'certificates.k8s.io'\n\nyes\n", "0"},
		{"kubectl api-resources --api-group=certificates.k8s.io", recorded(t, "i-kubectl-and-discovery/144-api-resources-certificates.txt"), "0"},
		{"kubectl create -f nosuch.yaml", "error: the path \"nosuch.yaml\" does not exist\n", "1"},
		{"printf 'a: [b\\n' | kubectl apply -f -", "error: error parsing STDIN: error converting YAML to JSON: yaml: line 1: did not find expected ',' or ']'\n", "1"},
		{"printf 'a:\\n\\tb: c\\n' | kubectl apply -f -", "error: error parsing STDIN: error converting YAML to JSON: yaml: line 2: found character that cannot start any token\n", "1"},
		{"printf 'apiVersion: v1\\nkind: Nosuch\\nmetadata: {name: td}\\n' | kubectl apply -f -", "error: resource mapping not found for name: \"td\" namespace: \"\" from \"STDIN\": no matches for kind \"Nosuch\" in version \"v1\"\nensure CRDs are installed first\n", "1"},
		{"printf 'kind: Secret\\n' | kubectl create -f -", "error: error validating \"STDIN\": error validating data: apiVersion not set; if you choose to ignore these errors, turn validation off with --validate=false\n", "1"},
		{"printf '# only words\\n---\\n' | kubectl create -f -", "error: no objects passed to create\n", "1"},
		{"cat > csr.yaml <<'E'\n" + strings.Replace(csrYAML, "REQUEST", req, 1) + "E\nkubectl apply -f csr.yaml", "certificatesigningrequest.certificates.k8s.io/my-svc created\n", "0"},
		{"kubectl get csr", "NAME     AGE   SIGNERNAME            REQUESTOR          REQUESTEDDURATION   CONDITION\nmy-svc   0s    example.com/serving   kubernetes-admin   <none>              Pending\n", "0"},
		{"kubectl get csr -o name", "certificatesigningrequest.certificates.k8s.io/my-svc\n", "0"},
		{"kubectl get csr my-svc -o jsonpath='{.spec.signerName}'", "example.com/serving", "0"},
		{"kubectl get csr -o custom-columns=NAME:.metadata.name,SIGNER:.spec.signerName,NONE:.nosuch", "NAME     SIGNER                NONE\nmy-svc   example.com/serving   <none>\n", "0"},
		{"kubectl get csr --no-headers", "my-svc   0s    example.com/serving   kubernetes-admin   <none>   Pending\n", "0"},
		{"kubectl certificate approve my-svc", "certificatesigningrequest.certificates.k8s.io/my-svc approved\n", "0"},
		{"kubectl certificate approve csr/my-svc", "certificatesigningrequest.certificates.k8s.io/my-svc approved\n", "0"},
		{"kubectl certificate deny my-svc", "error: certificate signing request \"my-svc\" is already Approved\n", "1"},
		{"kubectl apply -f csr.yaml", "certificatesigningrequest.certificates.k8s.io/my-svc unchanged\n", "0"},
		{"kubectl patch csr my-svc", "error: must specify --patch or --patch-file containing the contents of the patch\n", "1"},
		{"kubectl patch csr my-svc --type=apply -p '{}'", "error: --type must be one of [json merge strategic], not \"apply\"\n", "1"},
		{"kubectl patch csr my-svc -p '{a'", "error: unable to parse \"{a\": yaml: line 1: did not find expected ',' or '}'\n", "1"},
		{"kubectl patch csr none -p '{}'", "Error from server (NotFound): certificatesigningrequests.certificates.k8s.io \"none\" not found\n", "1"},
		{"kubectl patch csr my-svc -p '{metadata: {labels: {a: b}}}'", "certificatesigningrequest.certificates.k8s.io/my-svc patched\n", "0"},
		{"kubectl patch csr/my-svc --type=json -p '[{op: test, path: /metadata/labels/a, value: b}]'", "certificatesigningrequest.certificates.k8s.io/my-svc patched (no change)\n", "0"},
		{"kubectl replace", "error: must specify --filename to replace\n", "1"},
		{"kubectl replace --raw /x", "error: --raw can only use a single local file or stdin\n", "1"},
		{"kubectl replace --raw x -f csr.yaml", "error: --raw must be a valid URL path: parse \"x\": invalid URI for request\n", "1"},
		{"kubectl get csr my-svc -o yaml | kubectl replace -f -", "certificatesigningrequest.certificates.k8s.io/my-svc replaced\n", "0"},
		{"kubectl delete -f csr.yaml", "certificatesigningrequest.certificates.k8s.io \"my-svc\" deleted\n", "0"},
		{"kubectl delete csr my-svc", "Error from server (NotFound): certificatesigningrequests.certificates.k8s.io \"my-svc\" not found\n", "1"},
		{"kubectl -n kube-system get secret bootstrap-token-07401b --no-headers -o custom-columns=A:.type", "bootstrap.kubernetes.io/token\n", "0"},
		{"KUBECONFIG= kubectl get csr", "The connection to the server localhost:8080 was refused - did you specify the right host or port?\n", "1"},
		{"kubectl --kubeconfig /nosuch get csr", "error: stat /nosuch: no such file or directory\n", "1"},
		{"kubectl get csr --server=https://10.0.0.10:1", "The connection to the server 10.0.0.10:1 was refused - did you specify the right host or port?\n", "1"},
		{"kubectl get csr --context nosuch", "error: context \"nosuch\" does not exist\n", "1"},
		{"kubectl config current-context", "kubernetes-admin@kubernetes\n", "0"},
		{"kubectl get csr --user nosuch --token abcdef.0123456789abcdef", "error: You must be logged in to the server (Unauthorized)\n", "1"},
	} {
		out, status := w.say("admin", tt.line)
		require.Equal(t, tt.out, out, tt.line)
		require.Equal(t, tt.status, status, tt.line)
	}
}

// A CSR with names is described as recorded, with its long annotation.
func TestDescribeCSR(t *testing.T) {
	w := newTown(t)
	req := request(t, "g-custom-signer/01-apply.txt")
	w.say("admin", "kubectl apply -f - <<'E'\n"+strings.Replace(csrYAML, "REQUEST", req, 1)+"E\n")
	out, status := w.say("admin", "kubectl describe csr my-svc")
	require.Equal(t, "0", status)
	want := strings.Replace(recorded(t, "g-custom-signer/03-describe-pending.txt"), "Mon, 23 Nov 2026 02:37:12 +0000", "Thu, 01 Jan 2026 00:00:00 +0000", 1)
	require.Equal(t, want, out)
}

// What a clone of the world that was taken at any step goes on to, while a
// pipeline with a watch runs: all end alike.
func TestWatchSurvivesClones(t *testing.T) {
	const line = "kubectl get csr -w | head -3; echo done $RANDOM"
	w := newTown(t)
	w.say("admin", "kubectl create clusterrolebinding kb --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
	require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "admin", Line: line}}))
	require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "node-1", Line: "systemctl start kubelet"}}))
	approve := func(w *engine.World) (out string) {
		w.AdvanceTo(engine.Start.Add(20 * time.Second))
		_, err := w.Say("control-1", "sleep 1; kubectl certificate approve $(kubectl get csr -o name)", time.Minute)
		require.NoError(t, err)
		w.AdvanceTo(engine.Start.Add(2 * time.Minute))
		return w.DigestNow().String()
	}
	var clones []*engine.World
	for i := 0; i < 60 && w.Step(engine.Start.Add(19*time.Second)) && w.Busy("admin"); i++ {
		clones = append(clones, w.Clone())
	}
	require.Greater(t, len(clones), 20)
	want := approve(w.World)
	require.False(t, w.Busy("admin"), "head has had its lines")
	for i, c := range clones {
		if i%3 == 0 { // and from bytes
			b, err := c.Snapshot()
			require.NoError(t, err)
			c, err = engine.Restore(b)
			require.NoError(t, err)
		}
		require.Equal(t, want, approve(c), i)
		c.Close()
	}
}

// An interrupted watch leaves no connection behind.
func TestInterruptHangsUp(t *testing.T) {
	w := newTown(t)
	w.say("admin", "kubectl get nodes -w")
	require.True(t, w.Busy("admin"))
	_, status := w.say("admin", "echo next")
	require.Equal(t, "0", status)
	b, err := json.Marshal(w.Conns)
	require.NoError(t, err)
	w.AdvanceTo(w.Now().Add(time.Second))
	for _, c := range w.Conns {
		require.NotEqual(t, "admin/terminal", c.Client, string(b))
	}
}
