package kubelet

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// ages are the buckets of the histogram of ages at rotation, in seconds.
var ages = []float64{60, 3600, 14400, 86400, 604800, 2.592e+06, 7.776e+06, 1.5552e+07, 3.1104e+07, 1.24416e+08}

// metrics are those about certificates, as Prometheus reads them (recorded:
// q-kubelet-metrics).
func (k *Kubelet) metrics(c *sim.Ctx) string {
	var b strings.Builder
	metric := func(name, kind, help string) {
		fmt.Fprintf(&b, "# HELP %s [ALPHA] %s\n# TYPE %s %s\n", name, help, name, kind)
	}
	if k.Rotate {
		const name = "kubelet_certificate_manager_client_expiration_renew_errors"
		metric(name, "counter", "Counter of certificate renewal errors.")
		fmt.Fprintf(&b, "%s %d\n", name, k.Client.Errors)
	}
	const ttl = "kubelet_certificate_manager_client_ttl_seconds"
	metric(ttl, "gauge", "Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds until certificate expiry (negative if already expired). If client certificate is invalid or unused, the value will be +INF.")
	fmt.Fprintf(&b, "%s %s\n", ttl, k.Client.ttl(c))
	if k.Port.Bootstrap {
		const name = "kubelet_certificate_manager_server_rotation_seconds"
		metric(name, "histogram", "Histogram of the number of seconds the previous certificate lived before being rotated.")
		var sum time.Duration
		for _, d := range k.Serving.Lived {
			sum += d
		}
		for _, le := range ages {
			n := 0
			for _, d := range k.Serving.Lived {
				if d.Seconds() <= le {
					n++
				}
			}
			fmt.Fprintf(&b, "%s_bucket{le=%q} %d\n", name, fmt.Sprint(le), n)
		}
		n := len(k.Serving.Lived)
		fmt.Fprintf(&b, "%s_bucket{le=\"+Inf\"} %d\n%s_sum %v\n%s_count %d\n", name, n, name, sum.Seconds(), name, n)
		const sttl = "kubelet_certificate_manager_server_ttl_seconds"
		metric(sttl, "gauge", "Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is in seconds until certificate expiry (negative if already expired). If serving certificate is invalid or unused, the value will be +INF.")
		fmt.Fprintf(&b, "%s %s\n", sttl, k.Serving.ttl(c))
	}
	fmt.Fprintf(&b, "# HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.\n# TYPE kubelet_node_name gauge\nkubelet_node_name{node=%q} 1\n", k.Node)
	if k.Port.Bootstrap {
		const name = "kubelet_server_expiration_renew_errors"
		metric(name, "counter", "Counter of certificate renewal errors.")
		fmt.Fprintf(&b, "%s %d\n", name, k.Serving.Errors)
	}
	return b.String()
}

// ttl is the time left of a certificate in whole seconds.
func (r *rotation) ttl(c *sim.Ctx) string {
	if r.Cert == nil {
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

// resourceMetrics are what metrics-server asks for (Models pkg/kubelet/metrics/collectors
// resource_metrics.go).
func (k *Kubelet) resourceMetrics(c *sim.Ctx) string {
	at := c.Clock().UnixMilli()
	used := c.Now.Sub(k.Start).Milliseconds() * usedCPU / 1000
	var b strings.Builder
	for _, m := range []struct{ name, kind, help, value string }{
		{"node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", fmt.Sprintf("%d.%03d", used/1000, used%1000)},
		{"node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", fmt.Sprint(usedMemory)},
	} {
		fmt.Fprintf(&b, "# HELP %s [STABLE] %s\n# TYPE %s %s\n%s %s %d\n", m.name, m.help, m.name, m.kind, m.name, m.value, at)
	}
	b.WriteString("# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise\n# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n")
	return b.String()
}

// probeMetrics are those of probes, which no container here has: only the
// process is left (recorded: n/19).
func (k *Kubelet) probeMetrics(c *sim.Ctx) string {
	const name = "process_start_time_seconds"
	return fmt.Sprintf("# HELP %s [ALPHA] Start time of the process since unix epoch in seconds.\n# TYPE %s gauge\n%s %v\n", name, name, name, float64(k.Start.UnixMilli())/1000)
}
