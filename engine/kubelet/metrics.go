package kubelet

import (
	"fmt"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// ages are the bounds of the histogram of ages at rotation, in seconds. Models
// pkg/kubelet/certificate NewKubeletServerCertificateManager; execAges those of
// k8s.io/component-base/metrics/prometheus/restclient.
var (
	ages     = []float64{60, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000, 31104000, 124416000}
	execAges = []float64{600, 1800, 3600, 14400, 86400, 604800, 2592000, 7776000, 15552000, 31104000, 124416000}
)

// metrics are those about certificates, as Prometheus reads them: sorted by
// name (recorded: q-kubelet-metrics).
func (k *Kubelet) metrics(c *sim.Ctx) string {
	var e sim.Exposition
	ttl := func(name, whose, more string, r *rotation) {
		e.Family(name, "gauge", "ALPHA", "Gauge of the "+more+"TTL (time-to-live) of the Kubelet's "+whose+" certificate. The value is in seconds until certificate expiry (negative if already expired). If "+whose+" certificate is invalid or unused, the value will be +INF.")
		e.Sample(name, "", r.ttl(c))
	}
	e.ClientLives(&k.Port.Lives)
	e.Insecure("webhooks")
	if k.Rotate {
		e.Count("kubelet_certificate_manager_client_expiration_renew_errors", "counter", "Counter of certificate renewal errors.", uint64(k.Client.Errors))
		ttl("kubelet_certificate_manager_client_ttl_seconds", "client", "", &k.Client)
	}
	if k.Port.Bootstrap {
		e.Histogram("kubelet_certificate_manager_server_rotation_seconds", "Histogram of the number of seconds the previous certificate lived before being rotated.", ages, &k.Serving.Lived)
		ttl("kubelet_certificate_manager_server_ttl_seconds", "serving", "shortest ", &k.Serving)
	}
	e.Family("kubelet_node_name", "gauge", "ALPHA", "The node's name. The count is always 1.")
	e.Sample("kubelet_node_name", fmt.Sprintf("{node=%q}", k.Node), "1")
	if k.Port.Bootstrap {
		e.Count("kubelet_server_expiration_renew_errors", "counter", "Counter of certificate renewal errors.", uint64(k.Serving.Errors))
	}
	e.Histogram("rest_client_exec_plugin_certificate_rotation_age", "Histogram of the number of seconds the last auth exec plugin client certificate lived before being rotated. If auth exec plugin client certificates are unused, histogram will contain no data.", execAges, &sim.Histogram{})
	e.Family("rest_client_exec_plugin_ttl_seconds", "gauge", "ALPHA", "Gauge of the shortest TTL (time-to-live) of the client certificate(s) managed by the auth exec plugin. The value is in seconds until certificate expiry (negative if already expired). If auth exec plugins are unused or manage no TLS certificates, the value will be +INF.")
	e.Sample("rest_client_exec_plugin_ttl_seconds", "", "+Inf")
	e.Count("rest_client_transport_cert_rotation_gc_calls_total", "counter", "Number of times a cert rotation goroutine cancel func is called via GC cleanup of the associated transport", 0)
	return e.String()
}

// ttl is the time left of a certificate in whole seconds. One that has expired is
// none any more: Models k8s.io/client-go/util/certificate manager.Current.
func (r *rotation) ttl(c *sim.Ctx) string {
	if !r.valid(c) {
		return "+Inf"
	}
	return fmt.Sprint(int64(r.Cert.NotAfter.Sub(c.Clock()) / time.Second))
}

// What a machine uses here: nothing runs on it but its system, in thousandths of
// a core and in bytes.
const (
	usedCPU    = 43
	usedMemory = 487 << 20
)

// used is the processor time since the start, in milliseconds.
func (k *Kubelet) used(c *sim.Ctx) int64 { return c.Now.Sub(k.Start).Milliseconds() * usedCPU / 1000 }

// resourceMetrics are what metrics-server asks for (Models pkg/kubelet/metrics/collectors
// resource_metrics.go).
func (k *Kubelet) resourceMetrics(c *sim.Ctx) string {
	at := c.Clock().UnixMilli()
	used := k.used(c)
	var e sim.Exposition
	for _, m := range [][4]string{
		{"node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", fmt.Sprintf("%d.%03d", used/1000, used%1000)},
		{"node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", fmt.Sprint(usedMemory)},
	} {
		e.Family(m[0], m[1], "STABLE", m[2])
		e.Sample(m[0], "", fmt.Sprint(m[3], " ", at))
	}
	e.Family("resource_scrape_error", "gauge", "STABLE", "1 if there was an error while getting container metrics, 0 otherwise")
	e.Sample("resource_scrape_error", "", "0")
	return e.String()
}

// probeMetrics are those of probes, which no container here has: only the
// process is left (recorded: n/19).
func (k *Kubelet) probeMetrics(c *sim.Ctx) string {
	const name = "process_start_time_seconds"
	return fmt.Sprintf("# HELP %s [ALPHA] Start time of the process since unix epoch in seconds.\n# TYPE %s gauge\n%s %v\n", name, name, name, float64(k.Start.UnixMilli())/1000)
}
