package client

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// program is a row: what tells one client from another.
type program struct {
	parse func(e era.Era, args []string) (Flags, error)
	// agent is its User-Agent; greet what it prints first, dies what it prints
	// when it can't start.
	agent func(e era.Era) string
	greet func(k *Client, c *sim.Ctx)
	dies  func(k *Client, c *sim.Ctx, err string)
	// kinds is what it watches; lists: its client-go lists first. at and reflector
	// are where its log lines come from.
	kinds     []kind
	lists     bool
	at        string
	reflector string
	// complains tells that a kind can't be had, populated that it was, ready that
	// all were.
	complains func(k *Client, c *sim.Ctx, x kind, err string)
	populated func(k *Client, c *sim.Ctx, x kind)
	ready     func(k *Client, c *sim.Ctx)
	// reloadsCA is how often it looks at its CA file again; 0 is never.
	reloadsCA func(e era.Era) time.Duration
	// lock is the Lease of its leader; lost is what it prints when it loses it.
	lock string
	// scrapes: it asks kubelets for metrics. serves: it listens.
	scrapes, serves bool
}

// atStart: what was built with a client-go before 0.36 reads its CA file once.
func atStart(era.Era) time.Duration { return 0 }

func silent(*Client, *sim.Ctx)           {}
func silentKind(*Client, *sim.Ctx, kind) {}

func release(e era.Era) string { return era.KubeletPatch.In(e) }

const factory = "k8s.io/client-go/informers/factory.go:161"

var (
	services       = kind{name: "services", path: "/api/v1/services", typ: "*v1.Service"}
	endpointSlices = kind{name: "endpointslices", path: "/apis/discovery.k8s.io/v1/endpointslices", typ: "*v1.EndpointSlice"}
	nodes          = kind{name: "nodes", path: "/api/v1/nodes", typ: "*v1.Node"}
	pods           = kind{name: "pods", path: "/api/v1/pods", typ: "*v1.Pod"}
	namespace      = kind{name: "namespaces", path: "/api/v1/namespaces", typ: "*v1.Namespace"}
)

// programs are the rows by the name of the binary. They are filled in by init,
// because their functions look into the table again.
var programs map[string]program

func init() {
	programs = map[string]program{
		"kube-scheduler": {
			parse: component("kube-scheduler"),
			agent: func(e era.Era) string {
				return "kube-scheduler/" + release(e) + " (linux/amd64) kubernetes/$Format/scheduler"
			},
			greet: func(k *Client, c *sim.Ctx) {
				k.log(c, 'I', 0, "serving.go:411", "Generated self-signed cert in-memory")
			},
			dies: commandFailed,
			kinds: []kind{nodes, pods, namespace, services,
				{name: "csinodes", path: "/apis/storage.k8s.io/v1/csinodes", typ: "*v1.CSINode"},
				{name: "csidrivers", path: "/apis/storage.k8s.io/v1/csidrivers", typ: "*v1.CSIDriver"}},
			at: "reflector.go:227", reflector: factory,
			complains: unhandled, populated: cachesPopulated, ready: silent,
			reloadsCA: era.ClientCAReload.In,
			lock:      "kube-scheduler",
		},
		"kube-proxy": {
			parse: component("kube-proxy"),
			agent: func(e era.Era) string { return "kube-proxy/" + release(e) + " (linux/amd64) kubernetes/$Format" },
			greet: func(k *Client, c *sim.Ctx) {
				if k.Flags.Kubeconfig == "" && k.Flags.Master == "" {
					k.log(c, 'I', 0, "server.go:420", sim.KV("Neither kubeconfig file nor master URL was specified, falling back to in-cluster config"))
				}
			},
			dies: func(k *Client, c *sim.Ctx, err string) {
				k.log(c, 'E', 0, "server.go:136", sim.KV("Error running ProxyServer", "err", err))
				commandFailed(k, c, err)
			},
			kinds: []kind{{name: "nodes", path: nodes.path, typ: nodes.typ, selector: "metadata.name=NODE"}, services, endpointSlices},
			at:    "reflector.go:227", reflector: factory,
			complains: unhandled, populated: cachesPopulated,
			ready: func(k *Client, c *sim.Ctx) {
				k.log(c, 'I', 0, "server.go:539", sim.KV("Version info", "version", release(k.era())))
			},
			reloadsCA: era.ClientCAReload.In,
		},
		"coredns": {
			parse: parseCoreDNS,
			agent: func(era.Era) string { return "coredns/v0.0.0 (linux/amd64) kubernetes/$Format" },
			greet: func(k *Client, c *sim.Ctx) {
				c.LogLine('I', 0, "[INFO] plugin/kubernetes: waiting for Kubernetes API before starting server")
				k.after(c, "unsynced", corednsPatience)
			},
			dies: func(_ *Client, c *sim.Ctx, err string) {
				if !strings.HasPrefix(err, noCorefile) {
					err = "plugin/kubernetes: " + err
				}
				c.LogLine('E', 0, err)
			},
			kinds: []kind{services, endpointSlices, namespace}, lists: true,
			complains: corednsFailed, populated: silentKind,
			ready: func(k *Client, c *sim.Ctx) {
				k.serveDNS(c)
			},
			reloadsCA: atStart,
		},
		"metrics-server": {
			parse: parseMetricsServer,
			agent: func(era.Era) string { return metricsServerAgent },
			greet: silent, dies: func(_ *Client, c *sim.Ctx, err string) {
				c.LogLine('E', 0, "Error: unable to construct lister client config: "+err)
			},
			kinds: []kind{nodes, {name: "pods", path: pods.path, typ: "*v1.PartialObjectMetadata"}}, lists: true,
			at: "reflector.go:200", reflector: "pkg/mod/k8s.io/client-go@v0.33.2/tools/cache/reflector.go:285",
			complains: unhandled, populated: silentKind, ready: func(k *Client, c *sim.Ctx) { k.scrape(c) },
			reloadsCA: atStart,
			scrapes:   true, serves: true,
		},
		// app is any program in a pod that calls the API: it reads its CA once.
		"app": {
			parse: parser("app", componentFlags, nil),
			agent: func(era.Era) string { return "app/v0.0.0 (linux/amd64) kubernetes/$Format" },
			greet: silent, dies: commandFailed,
			kinds: []kind{{name: "pods", path: "/api/v1/namespaces/NAMESPACE/pods", typ: pods.typ}}, lists: true,
			at: "reflector.go:204", reflector: "pkg/mod/k8s.io/client-go@v0.35.0/tools/cache/reflector.go:290",
			complains: unhandled, populated: cachesPopulated, ready: silent,
			reloadsCA: atStart,
		},
	}
}

// commandFailed is what a program says that can't run, as its release words it.
func commandFailed(k *Client, c *sim.Ctx, err string) {
	for _, l := range era.RunFailed(k.era(), k.Program).Lines {
		c.Say(l.Level, l.Source, l.Message, l.Key, l.Text(err))
	}
}

// noCorefile begins what CoreDNS says without its configuration (Models
// github.com/coredns/caddy LoadCaddyfile).
const noCorefile = "loading Caddyfile via flag: "

// corednsPatience is how long CoreDNS waits for the API before it serves without.
// Models plugin/kubernetes InitKubeCache.
const corednsPatience = 5 * time.Second

// unsynced: CoreDNS begins without what it waited for.
func (k *Client) unsynced(c *sim.Ctx) {
	if !k.Ready && k.Program == "coredns" {
		c.LogLine('W', 0, "[WARNING] plugin/kubernetes: starting server with unsynced Kubernetes API")
		k.serveDNS(c)
	}
}

// serveDNS is CoreDNS's beginning.
func (k *Client) serveDNS(c *sim.Ctx) {
	if k.Serving {
		return
	}
	k.Serving = true
	for _, line := range []string{".:53", "CoreDNS-" + corednsVersion, "linux/amd64, go1.25.5, "} {
		c.LogLine('I', 0, line)
	}
}

const (
	corednsVersion       = "1.14.0"
	metricsServerVersion = "v0.8.0"
	metricsServerAgent   = "metrics-server/" + metricsServerVersion + " (linux/amd64) kubernetes/$Format"
)

var errNoArguments = func(program string, args []string) error {
	return fmt.Errorf("%q does not take any arguments, got %q", program, args)
}
