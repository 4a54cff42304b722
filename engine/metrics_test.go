package engine_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// joinedWith is a world with a joined node-1 and metrics-server installed and
// started; serving turns serverTLSBootstrap on.
func joinedWith(t *testing.T, seed string, serving bool) *city {
	w := newCity(t, seed)
	w.say("admin", "kubectl create clusterrolebinding kubelet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
	w.say("admin", "kubectl create clusterrolebinding auto --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
	if serving {
		w.say("node-1", "echo 'serverTLSBootstrap: true' >> /var/lib/kubelet/config.yaml")
	}
	w.say("node-1", "systemctl start kubelet")
	w.say("control-1", "kubectl create -f /etc/kubernetes/addons/metrics-server.yaml; systemctl start metrics-server")
	w.pass(2 * time.Minute)
	require.Contains(t, w.say("admin", "kubectl get nodes"), " Ready ")
	return w
}

// insecure has metrics-server take every kubelet's certificate.
func (w *city) insecure() {
	require.NoError(w.t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "metrics-server", Name: "kubelet-insecure-tls", Value: "true"}}))
}

// metrics-server trusts the cluster's CA for kubelets too, and a kubelet that
// signed its own certificate is refused: first for its name. With
// --kubelet-insecure-tls it is taken as it is.
func TestMetricsWithoutServingCertificates(t *testing.T) {
	w := joinedWith(t, "metrics self-signed", false)
	require.Contains(t, w.journal("metrics-server"), `scraper.go:149] "Failed to scrape node" err="Get \"https://10.0.0.11:10250/metrics/resource\": tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.11 because it doesn't contain any IP SANs" node="node-1"`)
	require.Contains(t, w.journal("metrics-server"), `server.go:192] "Failed probe" probe="metric-storage-ready" err="no metrics to serve"`)
	// Without metrics the pod is not ready, and the API has no endpoint.
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "v1beta1.metrics.k8s.io   kube-system/metrics-server   False (MissingEndpoints)")
	require.Equal(t, `endpointslices for service/metrics-server in "kube-system" have no addresses with port name "https"`, w.say("admin", "kubectl get apiservice v1beta1.metrics.k8s.io -o jsonpath='{.status.conditions[0].message}'"))
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", w.say("admin", "kubectl top nodes"))
	flag := func(name, value string) {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "metrics-server", Name: name, Value: value}}))
		w.pass(time.Minute)
	}
	// By its name the certificate is nobody's that is known.
	flag("kubelet-preferred-address-types", "Hostname")
	require.Contains(t, w.journal("metrics-server"), `"Failed to scrape node" err="Get \"https://node-1:10250/metrics/resource\": tls: failed to verify certificate: x509: certificate signed by unknown authority`)
	flag("kubelet-insecure-tls", "true")
	require.Regexp(t, `^NAME     CPU\(cores\)   CPU\(%\)   MEMORY\(bytes\)   MEMORY\(%\)   \nnode-1   4\dm          \d+% +487Mi           \d+% +\n$`, w.say("admin", "kubectl top nodes"))
	require.Contains(t, w.say("admin", "kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes"), `"kind":"NodeMetricsList"`)
	// It is quiet until somebody asks, and then knows the present.
	w.pass(10 * time.Minute)
	before := w.View().Last
	w.pass(30 * 24 * time.Hour)
	require.Less(t, w.View().Last-before, uint64(100))
	require.Contains(t, w.say("admin", "kubectl top nodes"), "node-1   4")
	w.say("node-1", "systemctl stop kubelet")
	w.pass(time.Minute)
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", w.say("admin", "kubectl top nodes"))
	w.say("node-1", "systemctl start kubelet")
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", "kubectl top nodes"), "node-1   ")
}

// unable is what kubectl says of an API whose server is not available.
const unable = "Error from server (ServiceUnavailable): the server is currently unable to handle the request"

// metrics-server is ready when a probe finds that it has two points of a node: the
// first comes 20 s after its start. It stays ready until three fail in a row.
func TestMetricsServerIsReady(t *testing.T) {
	w := joinedWith(t, "metrics ready", false)
	w.insecure()
	started := w.Now()
	top := func() string { return w.say("admin", "kubectl top nodes") }
	w.pass(started.Add(19 * time.Second).Sub(w.Now()))
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", top(), "it has metrics for four seconds, and nobody has looked")
	w.pass(started.Add(32 * time.Second).Sub(w.Now()))
	require.Contains(t, top(), "node-1   4")
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "True")

	w.say("node-1", "systemctl stop kubelet")
	w.pass(17 * time.Second)
	require.Equal(t, "error: metrics not available yet\n", top(), "one or two probes failed")
	w.pass(30 * time.Second)
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", top())
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "False (MissingEndpoints)")
	w.say("node-1", "systemctl start kubelet")
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "True")
}

// With certificates from the cluster there is none at first, and all is well once
// somebody approves.
func TestMetricsWithServingCertificates(t *testing.T) {
	w := joinedWith(t, "metrics signed", true)
	require.Contains(t, w.journal("metrics-server"), `"Failed to scrape node" err="Get \"https://10.0.0.11:10250/metrics/resource\": remote error: tls: internal error" node="node-1"`)
	w.say("admin", "kubectl certificate approve $(kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -o name)")
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", "kubectl top nodes"), "node-1   4")
	// The kubelet asks who comes, and whether they may.
	w.say("admin", "kubectl delete clusterrolebinding system:metrics-server")
	w.pass(20 * time.Minute)
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", w.say("admin", "kubectl top nodes"))
	require.Contains(t, w.journal("metrics-server"), `"Failed to scrape node" err="request failed, status: \"403 Forbidden\"" node="node-1"`)
}

// An aggregated API is only as good as the way to its server.
func TestAggregatedAPI(t *testing.T) {
	w := joinedWith(t, "aggregated", false)
	w.insecure()
	w.say("control-1", "systemctl stop metrics-server")
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", w.say("admin", "kubectl top nodes"))
	w.pass(time.Second)
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "False (MissingEndpoints)")
	require.Equal(t, unable+"\n", w.say("admin", "kubectl get --raw /apis/metrics.k8s.io/v1beta1/nodes"))
	w.say("control-1", "systemctl start metrics-server")
	w.pass(time.Minute)
	require.Contains(t, w.say("admin", "kubectl get apiservices"), "True")
	// Its own certificate is nobody's: with a bundle it must be somebody's.
	require.Contains(t, w.say("admin", "kubectl delete apiservice v1beta1.metrics.k8s.io; kubectl create -f - <<'EOF'\napiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1beta1.metrics.k8s.io}\nspec:\n  group: metrics.k8s.io\n  version: v1beta1\n  groupPriorityMinimum: 100\n  versionPriority: 100\n  service: {name: metrics-server, namespace: kube-system}\n  caBundle: "+
		base64.StdEncoding.EncodeToString(w.cluster().CertPEM())+"\nEOF"), "created")
	w.pass(time.Second)
	require.Contains(t, w.say("admin", "kubectl get apiservice v1beta1.metrics.k8s.io -o jsonpath='{.status.conditions[0].message}'"), "/apis/metrics.k8s.io/v1beta1\": tls: failed to verify certificate: x509: certificate is valid for localhost, not metrics-server.kube-system.svc")
	require.Equal(t, unable+" (get nodes.metrics.k8s.io)\n", w.say("admin", "kubectl top nodes"))
}
