package golden

// claim says who replays the files of a pattern (folder/file, as path.Match has
// it). Form tells the test in what manner: it is the test's own word.
type claim struct{ pattern, test, form string }

// claims are the rows; the first that fits a file counts. A file that is in the
// list of exceptions may be claimed too: then it is left out.
var claims = []claim{
	{"a-default-rbac/*.json", "engine/api", "exchange"},
	{"a-default-rbac/*.yaml", "engine/api", "objects"},
	{"a-default-rbac/all-clusterrole-names.txt", "engine/api", "names of ClusterRoles"},
	{"b1-bootstrap-token-api/token-secret-created.json", "engine/api", "Secret"},
	{"b1-bootstrap-token-api/*.json", "engine/api", "exchange"},
	{"b1-bootstrap-token-api/*-apiserver.log", "engine/api", "log of a request"},
	{"e1-csr-create-validation/*.json", "engine/api", "exchange"},
	{"e3-approval-status-updates/*.json", "engine/api", "exchange"},
	{"i-kubectl-and-discovery/03-raw-apis.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/09-raw-core-v1.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/10-raw-root.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/16-apis-aggregated.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/17-api-aggregated.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/24-alice-apis.json", "engine/api", "discovery"},
	{"i-kubectl-and-discovery/52-table-crb.json", "engine/api", "rows of bindings"},
	{"i-kubectl-and-discovery/123-ssrr.json", "engine/api", "rules of a user"},
	{"i-kubectl-and-discovery/*.json", "engine/api", "exchange"},
	{"j2-ca-rotation-and-bad-client-certs/[a-z]*.json", "engine/api", "bundle"},
	{"j2-ca-rotation-and-bad-client-certs/[a-z]*-apiserver.log", "engine/api", "log of a bundle"},
	{"j2-ca-rotation-and-bad-client-certs/*.json", "engine/api", "exchange"},
	{"j2-ca-rotation-and-bad-client-certs/*-apiserver.log", "engine/api", "log of a request"},
	{"k-upstream-e2e/*-requests.json", "engine/api", "calls"},
	{"n-apiserver-to-kubelet/*-log.json", "engine/api", "exchange"},
	{"n-apiserver-to-kubelet/*-node-proxy.json", "engine/api", "exchange"},
	{"n-apiserver-to-kubelet/*", "engine", "terminal"},
	{"j2-ca-rotation-and-bad-client-certs/*.txt", "engine", "handshakes"},
	{"p-handshakes/*-kubelet-*", "engine", "run"},
	{"p-handshakes/*", "engine", "handshakes"},
	{"s-cleaners-rootca-tokens/08-serviceaccount-token.json", "engine/api", "claims of a token"},
	{"s-cleaners-rootca-tokens/09-serviceaccount-tokenreview.json", "engine/api", "answer to a token"},
	{"s-cleaners-rootca-tokens/10-serviceaccount-whoami.json", "engine/api", "answer to a token"},
	{"s-cleaners-rootca-tokens/11-serviceaccount-create-csr.json", "engine/api", "answer to a token"},

	// A kubelet in a world of its own: engine/testdata/runs/FOLDER.txt tells what
	// was done, and which file shows what came of it.
	{"b2-real-kubelet-refused/*", "engine", "run"},
	{"c-bootstrap-manual-approval/*", "engine", "run"},
	{"c2-bootstrap-rotateCertificates-false/*", "engine", "run"},
	{"d-auto-approval-rotation-serving/*", "engine", "run"},
	{"j1-client-cert-expires/*", "engine", "run"},
	{"q-kubelet-states/*", "engine", "run"},
	{"q-kubelet-timings/*", "engine", "run"},
	{"q-kubelet-metrics/*", "engine", "run"},
	{"m-ca-rotation-kubelet-side/*", "engine", "run"},
	{"m2-server-ca-change-kubelet/*", "engine", "run"},
	{"c3-pending-csr-deleted/*", "engine", "run"},

	// kube-controller-manager in a world of its own.
	{"e2-signer-verdicts/*.json", "engine", "verdict"},
	{"e4-signing-durations/*", "engine", "durations"},
	{"o-signing-files/17-*", "engine", "files replaced"},
	{"o-signing-files/*", "engine", "signing files"},
	{"g-custom-signer/*.txt", "engine", "own signer"},
	{"h-tokencleaner-bootstrapsigner/0[1-5]-*.json", "engine", "cluster-info"},
	{"h-tokencleaner-bootstrapsigner/tokencleaner*", "engine", "tokens"},
	{"s-cleaners-rootca-tokens/0[12]-*", "engine", "cleaner"},
	{"s-cleaners-rootca-tokens/03-*", "engine", "tokens"},
	{"s-cleaners-rootca-tokens/0[4-7]-*", "engine", "root CA"},
	{"s-cleaners-rootca-tokens/12-*", "engine", "token of a Secret"},

	// kubeadm's commands are typed again, each at its number: what they print is
	// compared, and what they leave behind. engine/testdata/runs/FOLDER.txt tells
	// what was done besides. A form ends with the number of the command after
	// which a file was made that has no number of its own.
	{"h-tokencleaner-bootstrapsigner/*-kubeadm-*.txt", "engine", "typed"},
	{"h-tokencleaner-bootstrapsigner/*-audit.json", "engine", "calls"},
	{"h-tokencleaner-bootstrapsigner/07-*.json", "engine", "answer"},
	{"h-tokencleaner-bootstrapsigner/kubeadm-rbac-*.yaml", "engine", "object @6"},
	{"h-tokencleaner-bootstrapsigner/kubeadm-token-secret.json", "engine", "object @6"},
	{"h-tokencleaner-bootstrapsigner/kubeadm-cluster-info.json", "engine", "object @6"},
	{"r-kubeadm/*-kubeadm-*.txt", "engine", "typed"},
	{"r-kubeadm/*-files.txt", "engine", "listing"},
	{"r-kubeadm/*x509.txt", "engine", "certificate"},
	{"r-kubeadm/*-form.txt", "engine", "key"},
	{"r-kubeadm/*-generate-csr-*.txt", "engine", "request"},
	{"r-kubeadm/*.conf", "engine", "kubeconfig"},
	{"r2-kubeadm-join-phase/*-kubeadm-*.txt", "engine", "typed"},
	{"r2-kubeadm-join-phase/*-files.txt", "engine", "files"},
	{"r2-kubeadm-join-phase/*-configmap-*.json", "engine", "answer"},
	{"r2-kubeadm-join-phase/*-audit.json", "engine", "calls"},
	{"r2-kubeadm-join-phase/13-get-nodes.txt", "engine", "typed"},
	{"r2-kubeadm-join-phase/14-get-csr.txt", "engine", "rows"},
	{"r2-kubeadm-join-phase/15-node-k.json", "engine", "answer"},
	{"r2-kubeadm-join-phase/17-kubelet.log", "engine", "shown"},
	{"r3-kubeadm-join/*-kubeadm-*.txt", "engine", "typed"},
	{"r3-kubeadm-join/06-get-csr.txt", "engine", "rows"},
	{"r3-kubeadm-join/09-kubelet.log", "engine", "shown"},
	{"r3-kubeadm-join/14-get-csr-pending.txt", "engine", "rows"},
	{"r3-kubeadm-join/*-files.txt", "engine", "files"},
	{"r3-kubeadm-join/*-audit.json", "engine", "calls"},
}
