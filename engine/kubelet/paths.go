package kubelet

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/joinery-lab/joinery/engine/sim"
)

// Ways of a path to its handler.
const (
	wayNone = iota
	// waySlash: it is served with a slash at its end.
	waySlash
	// wayDisabled: debugging handlers are switched off.
	wayDisabled
	// wayHandler is one path, wayRoutes what routes say of.
	wayHandler
	wayRoutes
)

// What the port serves: pages are one path each, routes a path with what is below
// it; those that need debugging handlers, which the read-only port never has, stand
// apart. Models pkg/kubelet/server InstallAuthNotRequiredHandlers,
// InstallAuthRequiredHandlers, InstallSystemLogHandler and
// InstallDebuggingDisabledHandlers.
const (
	pages      = "/healthz /healthz/ping /healthz/log /healthz/syncloop /metrics /metrics/cadvisor /metrics/probes /metrics/resource /metrics/slis"
	debugPages = "/configz /debug/flags/v /flagz /statusz"
	disabled   = "/run/ /exec/ /attach/ /portForward/ /containerLogs/ /runningpods/ /debug/pprof/ /logs/"
)

// routes are the methods of a path, and how many parts may follow it. One that ends
// with a slash is redirected to without it.
var routes = []struct {
	path, methods string
	least, most   int
	debug         bool
}{
	{"/pods", "GET", 0, 0, false}, {"/stats/", "GET POST", 1, 1, false},
	{"/run", "POST", 3, 4, true}, {"/exec", "GET POST", 3, 4, true}, {"/attach", "GET POST", 3, 4, true}, {"/portForward", "GET POST", 2, 3, true},
	{"/containerLogs", "GET", 3, 3, true}, {"/runningpods/", "GET", 0, 0, true}, {"/checkpoint", "POST", 3, 3, true},
	{"/logs/", "GET", 0, 99, true}, {"/debug/pprof/", "GET", 0, 99, true},
}

// wayOf finds the way of a path.
func wayOf(name string, debug bool) int {
	if among(pages, name) || debug && among(debugPages, name) {
		return wayHandler
	}
	for _, x := range strings.Fields(disabled) {
		switch {
		case debug:
		case name+"/" == x:
			return waySlash
		case strings.HasPrefix(name, x):
			return wayDisabled
		}
	}
	for _, x := range routes {
		bare := strings.TrimSuffix(x.path, "/")
		switch {
		case x.debug && !debug:
		case name == bare && bare != x.path:
			return waySlash
		case name == bare, strings.HasPrefix(name, bare+"/"):
			return wayRoutes
		}
	}
	return wayNone
}

// handle answers a request that may be answered. There is no container runtime
// here: a container's log is what stands in its file on the host's disk, and a
// command that is run in one is run by a small fake.
func (k *Kubelet) handle(c *sim.Ctx, r *sim.Request) {
	u, err := url.Parse(r.URL)
	if err != nil {
		k.reply(c, r, 404, plainText, "404 page not found\n")
		return
	}
	parts, query := strings.Split(strings.Trim(u.Path, "/"), "/"), u.Query()
	switch wayOf(u.Path, k.Port.Debug && r.Local != k.Port.Plain) {
	case wayDisabled:
		k.reply(c, r, 405, plainText, "Debug endpoints are disabled.\n")
		return
	case wayRoutes:
		for _, x := range routes {
			rest, ok := strings.CutPrefix(u.Path+"/", strings.TrimSuffix(x.path, "/")+"/")
			n := len(strings.FieldsFunc(rest, func(r rune) bool { return r == '/' }))
			switch {
			case !ok:
				continue
			case n < x.least || n > x.most || x.path == "/stats/" && parts[1] != "summary":
				k.reply(c, r, 404, "", "404: Page Not Found")
				return
			case !among(x.methods, r.Method):
				k.answer(c, r, 405, http.Header{"Content-Type": {plainText}, "Allow": {strings.ReplaceAll(x.methods, " ", ", ")}}, "405: Method Not Allowed")
				return
			case n == x.most && x.most > x.least && x.most < 99:
				parts = slices.Delete(parts, 3, 4) // the pod's UID
			}
			break
		}
	}
	switch parts[0] {
	case "healthz":
		k.healthz(c, r, parts, query)
	case "pods", "runningpods":
		k.replyPods(c, r, parts[0] == "runningpods")
	case "metrics":
		text := k.metrics
		if len(parts) > 1 {
			text = map[string]func(*sim.Ctx) string{"resource": k.resourceMetrics, "probes": k.probeMetrics, "cadvisor": k.machineMetrics, "slis": k.healthMetrics}[parts[1]]
		}
		k.reply(c, r, 200, sim.ExpositionType, text(c))
	case "configz":
		cfg := *k.Running
		cfg.Logging.Verbosity = uint32(k.Flags.V)
		b, _ := json.Marshal(map[string]any{"kubeletconfig": &cfg})
		k.reply(c, r, 200, "application/json", string(b))
	case "stats":
		k.summary(c, r)
	case "logs":
		k.systemLogs(c, r, u.Path)
	case "debug":
		k.debugPage(c, r, u.Path)
	case "containerLogs":
		k.containerLogs(c, r, parts[1:], query.Get("tailLines"), query.Get("timestamps") != "")
	case "run":
		if _, ok := k.container(c, r, parts[1:]); ok {
			out, errText, _ := fake(c, strings.Split(query.Get("cmd"), " "))
			k.reply(c, r, 200, "application/json", out+errText)
		}
	case "exec", "attach", "portForward":
		k.stream(c, r, parts, query["command"])
	case "checkpoint":
		if p, ok := k.Pods[parts[1]+"/"+parts[2]]; !ok {
			k.reply(c, r, 404, "", "pod does not exist")
		} else if !slices.Contains(p.Containers, parts[3]) {
			k.reply(c, r, 404, "", "container "+parts[3]+" does not exist")
		} else {
			k.reply(c, r, 501, plainText, "containers are not simulated, so there is nothing to write down of one\n")
		}
	default:
		k.reply(c, r, 501, plainText, "this page is not simulated\n")
	}
}

// redirect sends a client elsewhere.
func (k *Kubelet) redirect(c *sim.Ctx, r *sim.Request, code int, to, body string) {
	h := http.Header{"Location": {to}}
	if body != "" {
		h.Set("Content-Type", "text/html; charset=utf-8")
	}
	k.answer(c, r, code, h, body)
}

// healthz answers how the kubelet is. Models k8s.io/apiserver/pkg/server/healthz.
func (k *Kubelet) healthz(c *sim.Ctx, r *sim.Request, parts []string, query url.Values) {
	checks := []string{"ping", "log", "syncloop"}
	switch {
	case len(parts) > 1:
		k.reply(c, r, 200, plainText, "ok")
		return
	case r.Local == k.Port.Healthz:
		checks = checks[:1]
	}
	k.Port.Healthy++
	if !query.Has("verbose") {
		k.reply(c, r, 200, plainText, "ok")
		return
	}
	k.reply(c, r, 200, plainText, "[+]"+strings.Join(checks, " ok\n[+]")+" ok\nhealthz check passed\n")
}

// healthMetrics tell what was found when somebody asked for the health. Models
// k8s.io/component-base/metrics/prometheus/slis.
func (k *Kubelet) healthMetrics(c *sim.Ctx) string {
	var e sim.Exposition
	for _, x := range [][4]string{
		{"kubernetes_healthcheck", "gauge", "This metric records the result of a single healthcheck.", "1"},
		{"kubernetes_healthchecks_total", "counter", "This metric records the results of all healthcheck.", strconv.Itoa(k.Port.Healthy)},
	} {
		if k.Port.Healthy == 0 {
			break
		}
		e.Family(x[0], x[1], "STABLE", x[2])
		for _, name := range []string{"log", "ping", "syncloop"} {
			labels := `{name="` + name + `",type="healthz"}`
			if x[1] == "counter" {
				labels = `{name="` + name + `",status="success",type="healthz"}`
			}
			e.Sample(x[0], labels, x[3])
		}
	}
	return e.String() + k.probeMetrics(c)
}

// memory is what a machine has, in KiB.
const memory = 4028916

// machineMetrics are cAdvisor's of the machine and of its root container: others
// are not simulated. Models github.com/google/cadvisor/metrics.
func (k *Kubelet) machineMetrics(c *sim.Ctx) string {
	at, used := c.Clock().UnixMilli(), k.used(c)
	const root = `container="",id="/",image="",name="",namespace="",pod=""`
	var b strings.Builder
	for _, m := range [][5]string{
		{"cadvisor_version_info", "gauge", "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.",
			fmt.Sprintf(`cadvisorRevision="",cadvisorVersion="",dockerVersion="",kernelVersion=%q,osVersion=%q`, kernel, system), "1"},
		{"container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.", `container="",cpu="total",id="/",image="",name="",namespace="",pod=""`,
			fmt.Sprintf("%d.%03d %d", used/1000, used%1000, at)},
		{"container_memory_working_set_bytes", "gauge", "Current working set in bytes.", root, fmt.Sprint(usedMemory, " ", at)},
		{"machine_cpu_cores", "gauge", "Number of logical CPU cores.", `boot_id="",machine_id="",system_uuid=""`, "2"},
		{"machine_memory_bytes", "gauge", "Amount of memory installed on the machine.", `boot_id="",machine_id="",system_uuid=""`, fmt.Sprint(memory << 10)},
	} {
		fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n%s{%s} %s\n", m[0], m[2], m[0], m[1], m[0], m[3], m[4])
	}
	return b.String()
}

// summary is what the node uses; of its pods nothing is known. Models
// k8s.io/kubelet/pkg/apis/stats/v1alpha1 Summary.
func (k *Kubelet) summary(c *sim.Ctx, r *sim.Request) {
	now := c.Clock().UTC().Format("2006-01-02T15:04:05Z")
	type nanos struct {
		Time  string `json:"time"`
		Cores uint64 `json:"usageNanoCores"`
		Total uint64 `json:"usageCoreNanoSeconds"`
	}
	type bytes struct {
		Time       string `json:"time"`
		Available  uint64 `json:"availableBytes"`
		WorkingSet uint64 `json:"workingSetBytes"`
	}
	b, _ := json.MarshalIndent(struct {
		Node struct {
			Name    string `json:"nodeName"`
			Started string `json:"startTime"`
			CPU     nanos  `json:"cpu"`
			Memory  bytes  `json:"memory"`
		} `json:"node"`
		Pods []any `json:"pods"`
	}{Pods: []any{}, Node: struct {
		Name    string `json:"nodeName"`
		Started string `json:"startTime"`
		CPU     nanos  `json:"cpu"`
		Memory  bytes  `json:"memory"`
	}{k.Node, k.Start.Add(c.Skew).UTC().Format("2006-01-02T15:04:05Z"), nanos{now, usedCPU * 1_000_000, uint64(k.used(c)) * 1_000_000}, bytes{now, memory<<10 - usedMemory, usedMemory}}}, "", " ")
	k.reply(c, r, 200, "application/json", string(b)+"\n")
}

// systemLogs is a file server for /var/log. Models pkg/kubelet ServeLogs and
// net/http FileServer.
func (k *Kubelet) systemLogs(c *sim.Ctx, r *sim.Request, at string) {
	if !*k.Running.EnableSystemLogHandler {
		k.reply(c, r, 405, plainText, "logs endpoint is disabled.\n")
		return
	}
	name := path.Join("/var/log", strings.TrimPrefix(at, "/logs"))
	slash := strings.HasSuffix(at, "/")
	e, err := c.Disk.Stat(name)
	switch {
	case err != nil:
		k.reply(c, r, 404, plainText, "404 page not found\n")
	case e.Mode.IsDir() && !slash:
		k.redirect(c, r, 301, path.Base(name)+"/", "")
	case e.Mode.IsDir():
		names, _ := c.Disk.ReadDir(name)
		var b strings.Builder
		b.WriteString("<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n")
		for _, n := range names {
			if x, err := c.Disk.Lstat(path.Join(name, n)); err == nil && x.Mode.IsDir() {
				n += "/"
			}
			link := url.URL{Path: n}
			fmt.Fprintf(&b, "<a href=\"%s\">%s</a>\n", link.String(), html.EscapeString(n))
		}
		k.reply(c, r, 200, "text/html; charset=utf-8", b.String()+"</pre>\n")
	case slash:
		k.redirect(c, r, 301, "../"+path.Base(name), "")
	default:
		data, err := c.Disk.ReadFile(name)
		if err != nil {
			k.reply(c, r, 500, plainText, "500 Internal Server Error\n")
			return
		}
		kind := plainText
		if !utf8.Valid(data) {
			kind = "application/octet-stream"
		}
		k.reply(c, r, 200, kind, string(data))
	}
}

// debugPage sets the verbosity, as a PUT to /debug/flags/v does. Models
// k8s.io/apiserver/pkg/server/routes StringFlagPutHandler and component-base/logs
// GlogSetter.
func (k *Kubelet) debugPage(c *sim.Ctx, r *sim.Request, at string) {
	if strings.HasPrefix(at, "/debug/pprof/") {
		if !*k.Running.EnableProfilingHandler {
			k.reply(c, r, 405, plainText, "profiling endpoint is disabled.\n")
			return
		}
		k.reply(c, r, 501, plainText, "profiles are not simulated\n")
		return
	}
	v, err := strconv.ParseUint(string(r.Body), 10, 32)
	switch {
	case !*k.Running.EnableDebugFlagsHandler:
		k.reply(c, r, 405, plainText, "flags endpoint is disabled.\n")
	case r.Method != http.MethodPut:
		k.reply(c, r, 406, "text/plain", "unsupported http method\n")
	case err != nil:
		k.reply(c, r, 400, "text/plain", err.Error()+"\n")
	default:
		k.Flags.V = int(min(v, 1<<31-1))
		k.reply(c, r, 200, "text/plain", fmt.Sprintf("successfully set klog.logging.verbosity to %s\n", r.Body))
	}
}
