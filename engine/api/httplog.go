package api

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// flows are the priority levels and flow schemas of API priority and fairness
// that log lines tell, in the order in which they are tried (Models
// pkg/apis/flowcontrol/bootstrap).
var flows = []struct {
	level, schema string
	is            func(x *exchange) bool
}{
	{"exempt", "exempt", func(x *exchange) bool { return x.user.in(masters) }},
	{"exempt", "probes", func(x *exchange) bool {
		return x.info.path == "/healthz" || x.info.path == "/livez" || x.info.path == "/readyz"
	}},
	{"node-high", "system-node-high", func(x *exchange) bool {
		return x.user.in("system:nodes") && (x.info.resource == "nodes" || x.info.resource == "leases")
	}},
	{"system", "system-nodes", func(x *exchange) bool { return x.user.in("system:nodes") }},
	{"workload-high", "kube-controller-manager", func(x *exchange) bool { return x.user.Name == "system:kube-controller-manager" }},
	{"workload-low", "service-accounts", func(x *exchange) bool { return x.user.in("system:serviceaccounts") }},
	{"global-default", "global-default", func(x *exchange) bool { return x.user.in(allAuthenticated) }},
	{"catch-all", "catch-all", func(x *exchange) bool { return true }},
}

// httpLog writes the line that kube-apiserver writes at --v=3 for each request.
// Virtual time stands still while a request is handled, so what it took is a
// guess from its size.
func (s *Server) httpLog(c *sim.Ctx, x *exchange, resp *sim.Response) {
	line := era.HTTPLine.In(s.era)
	if s.opts.v < line.V {
		return
	}
	micro := 400 + len(x.r.Body)/4 + len(resp.Body)/8
	took := strconv.Itoa(micro/1000) + "." + strconv.Itoa(1000 + micro%1000)[1:] + "ms"
	if line.Format != "" {
		c.Log('I', line.V, line.Source, oldHTTPLine(line.Format, x, took, resp.Code))
		return
	}
	b := s.lineRoom[:0]
	q := func(k, v string) {
		b = append(append(append(b, ' '), k...), '=')
		b = sim.AppendQuote(b, v)
	}
	b = append(b, `"HTTP"`...)
	verb := x.r.Method
	if (x.info.verb == "list" || x.info.verb == "watch") && era.HTTPAudit.In(s.era) {
		verb = strings.ToUpper(x.info.verb)
	}
	if x.connect {
		verb = "CONNECT"
	}
	q("verb", verb)
	q("URI", x.r.URL)
	q("latency", took)
	q("userAgent", x.r.Header.Get("User-Agent"))
	if era.HTTPAudit.In(s.era) {
		q("audit-ID", c.Chance.UUID("audit"))
	}
	q("srcIP", x.r.Remote)
	if x.user != nil && resp.Code != 403 && !x.connect && era.HTTPFlow.In(s.era) {
		for _, f := range flows {
			if f.is(x) {
				q("apf_pl", f.level)
				q("apf_fs", f.schema)
				if era.HTTPSeats.In(s.era) {
					b = append(b, " apf_iseats=1 apf_fseats=0"...)
					q("apf_additionalLatency", "0s")
				}
				q("apf_execution_time", took)
				break
			}
		}
	}
	if x.hijacked {
		b = append(b, " hijacked=true"...)
	} else {
		b = strconv.AppendInt(append(b, " resp="...), int64(resp.Code), 10)
	}
	if resp.Code >= 500 && !x.hijacked {
		b = append(strconv.AppendQuote(append(b, " statusStack=<\n\tlogging error output: "...), string(resp.Body)), "\n >"...)
	}
	if x.added != "" && !x.hijacked {
		q("addedInfo", x.added)
	}
	s.lineRoom = b
	c.Log('I', line.V, line.Source, unsafe.String(unsafe.SliceData(b), len(b)))
}

// oldHTTPLine is the line of releases that write no structured ones.
func oldHTTPLine(shape string, x *exchange, took string, code int) string {
	agent, status := x.r.Header.Get("User-Agent"), strconv.Itoa(code)
	if x.hijacked {
		status = "hijacked"
	}
	if shape == "verb" {
		if x.hijacked {
			return fmt.Sprintf("verb=%q URI=%q latency=%s UserAgent=%q srcIP=%q: hijacked", x.r.Method, x.r.URL, took, agent, x.r.Remote)
		}
		return fmt.Sprintf("verb=%q URI=%q latency=%s resp=%s UserAgent=%q srcIP=%q: ", x.r.Method, x.r.URL, took, status, agent, x.r.Remote)
	}
	if shape == "list" { // a header is a list
		agent = "[" + agent + "]"
	}
	return fmt.Sprintf("%s %s: (%s) %s [%s %s]", x.r.Method, x.r.URL, took, status, agent, x.r.Remote)
}
