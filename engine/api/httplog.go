package api

import (
	"strconv"
	"strings"
	"unsafe"

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
	if s.opts.v < 3 {
		return
	}
	micro := 400 + len(x.r.Body)/4 + len(resp.Body)/8
	took := strconv.Itoa(micro/1000) + "." + strconv.Itoa(1000 + micro%1000)[1:] + "ms"
	b := s.lineRoom[:0]
	q := func(k, v string) {
		b = append(append(append(b, ' '), k...), '=')
		b = sim.AppendQuote(b, v)
	}
	b = append(b, `"HTTP"`...)
	verb := x.r.Method
	if x.info.verb == "list" || x.info.verb == "watch" {
		verb = strings.ToUpper(x.info.verb)
	}
	if x.connect {
		verb = "CONNECT"
	}
	q("verb", verb)
	q("URI", x.r.URL)
	q("latency", took)
	q("userAgent", x.r.Header.Get("User-Agent"))
	q("audit-ID", c.Chance.UUID("audit"))
	q("srcIP", x.r.Remote)
	if x.user != nil && resp.Code != 403 && !x.connect {
		for _, f := range flows {
			if f.is(x) {
				q("apf_pl", f.level)
				q("apf_fs", f.schema)
				b = append(b, " apf_iseats=1 apf_fseats=0"...)
				q("apf_additionalLatency", "0s")
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
	c.Log('I', 3, "httplog.go:134", unsafe.String(unsafe.SliceData(b), len(b)))
}
