package sim

import (
	"strconv"
	"strings"
)

// Exposition is what a component answers to a GET of /metrics, in the text
// format of Prometheus, version 0.0.4.
type Exposition struct{ b strings.Builder }

// ExpositionType is its Content-Type.
const ExpositionType = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

func (e *Exposition) String() string { return e.b.String() }

// Family begins a metric: name, kind ("counter", "gauge", "histogram"), how
// stable it is ("ALPHA", "STABLE"), and its help.
func (e *Exposition) Family(name, kind, stability, help string) {
	e.b.WriteString("# HELP " + name + " [" + stability + "] " + help + "\n# TYPE " + name + " " + kind + "\n")
}

// Sample is a line; labels are written as they are, with their braces.
func (e *Exposition) Sample(name, labels, value string) {
	e.b.WriteString(name + labels + " " + value + "\n")
}

// Count is a family of one number without labels.
func (e *Exposition) Count(name, kind, help string, n uint64) {
	e.Family(name, kind, "ALPHA", help)
	e.Sample(name, "", strconv.FormatUint(n, 10))
}

// Histogram counts what was observed by upper bounds, which belong to the metric.
type Histogram struct {
	// Below counts what lies at or below each bound and above the one before.
	Below [14]uint64 `json:"below"`
	Sum   float64    `json:"sum"`
	N     uint64     `json:"n"`
}

// Observe counts a value.
func (h *Histogram) Observe(bounds []float64, v float64) {
	h.N++
	h.Sum += v
	for i, le := range bounds {
		if v <= le {
			h.Below[i]++
			return
		}
	}
}

// Histogram writes a family of one histogram.
func (e *Exposition) Histogram(name, help string, bounds []float64, h *Histogram) {
	e.Family(name, "histogram", "ALPHA", help)
	n := uint64(0)
	for i, le := range bounds {
		n += h.Below[i]
		e.Sample(name, `_bucket{le="`+float(le)+`"}`, strconv.FormatUint(n, 10))
	}
	e.Sample(name, `_bucket{le="+Inf"}`, strconv.FormatUint(h.N, 10))
	e.Sample(name, "_sum", float(h.Sum))
	e.Sample(name, "_count", strconv.FormatUint(h.N, 10))
}

func float(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// clientLives are the bounds of the histogram of clients' certificates, in
// seconds. Models apiserver/pkg/authentication/request/x509.
var clientLives = []float64{0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000}

// ObserveClient counts the life that is left of a certificate with which a
// request came, in seconds, whether it is trusted or not.
func (h *Histogram) ObserveClient(left float64) { h.Observe(clientLives, left) }

// ClientLives writes the histogram of clients' certificates.
func (e *Exposition) ClientLives(h *Histogram) {
	e.Histogram("apiserver_client_certificate_expiration_seconds", "Distribution of the remaining lifetime on the certificate used to authenticate a request.", clientLives, h)
}

// Insecure writes the two counters of servers' certificates that Go takes no
// more; nothing here has such certificates. What names who calls them.
func (e *Exposition) Insecure(what string) {
	const ending = " (either/or, based on the runtime environment)"
	e.Count("apiserver_"+what+"_x509_insecure_sha1_total", "counter", "Counts the number of requests to servers with insecure SHA1 signatures in their serving certificate OR the number of connection failures due to the insecure SHA1 signatures"+ending, 0)
	e.Count("apiserver_"+what+"_x509_missing_san_total", "counter", "Counts the number of requests to servers missing SAN extension in their serving certificate OR the number of connection failures due to the lack of x509 certificate SAN extension missing"+ending, 0)
}
