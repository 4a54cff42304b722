package client

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/sim"
)

// scraper is metrics-server's way to the kubelets. A real one asks every kubelet
// every --metric-resolution for ever. This one does so for the first minutes
// after something changed, and then only when somebody asks it for metrics: what
// it then finds is what the last scrape would have found.
type scraper struct {
	Nodes map[string]*target `json:"nodes"`
	// Since is when something last changed; Due: the next round is set.
	Since time.Time `json:"since,omitzero"`
	Due   bool      `json:"due,omitempty"`
	// Pending is how many nodes the present round still waits for, Waiting are the
	// visits that its end will answer.
	Pending int      `json:"pending,omitempty"`
	Waiting []uint64 `json:"waiting,omitempty"`
	// Fit is what the probes of the pod found, Fails how many failed in a row. Rested:
	// the present round is the first after a rest, so the probes have found long since
	// what it finds. Probes are the requests that the end of the round lets in or not.
	Fit    bool           `json:"fit,omitempty"`
	Fails  int            `json:"fails,omitempty"`
	Rested bool           `json:"rested,omitempty"`
	Probes []*sim.Request `json:"probes,omitempty"`
}

// The probes of a pod of metrics-server: the first comes so long after the start,
// each next one so long after it, and so many in a row have to fail. Models
// metrics-server manifests/base/deployment.yaml.
const (
	probeAfter = 20 * time.Second
	probeEvery = 10 * time.Second
	probeFails = 3
)

// probe is a kubelet's look at /readyz, which asks for two points of a node. Models
// metrics-server pkg/server probeMetricStorageReady.
func (k *Client) probe(c *sim.Ctx) {
	s := k.Scraper
	if len(s.points()) > 0 {
		s.Fit, s.Fails = true, 0
	} else {
		k.probeFailed(c)
		s.Fails++
		s.Fit = s.Fit && s.Fails < probeFails
	}
	if s.Due {
		k.after(c, "probe", probeEvery)
	}
}

// probeNext sets the next probe.
func (k *Client) probeNext(c *sim.Ctx) {
	wait := k.Started.Add(probeAfter).Sub(c.Now)
	if wait < 0 {
		wait = probeEvery + wait%probeEvery
	}
	k.after(c, "probe", wait)
}

// weigh is the end of a round: those who asked during it are let in or not.
func (k *Client) weigh(c *sim.Ctx) {
	s := k.Scraper
	if s.Rested {
		s.Rested, s.Fails, s.Fit = false, 0, len(s.points()) > 0
	}
	probes := s.Probes
	s.Probes = nil
	for _, r := range probes {
		k.letIn(c, r)
	}
}

// probeHeader asks whether the pod is ready, which lets the request in, and
// unreadyHeader says that it is not: there are no endpoints that a kubelet would keep.
const (
	probeHeader   = "Joinery-Probe"
	unreadyHeader = "Joinery-Unready"
)

// probed lets a request in when the pod is ready, and out otherwise. While it rests,
// a round tells.
func (k *Client) probed(c *sim.Ctx, r *sim.Request) {
	s := k.Scraper
	if s.Due || !k.Ready {
		k.letIn(c, r)
		return
	}
	s.Probes = append(s.Probes, r)
	k.askRested(c)
}

func (k *Client) letIn(c *sim.Ctx, r *sim.Request) {
	if !k.Scraper.Fit {
		c.Reply(r.Stream, sim.Response{Code: http.StatusServiceUnavailable, Header: http.Header{unreadyHeader: {"1"}}})
		return
	}
	in := *r
	in.Header = r.Header.Clone()
	in.Header.Del(probeHeader)
	k.serve(c, &in)
}

// askRested has the rounds go on, and makes one at once when none was due: what the
// last one would have found.
func (k *Client) askRested(c *sim.Ctx) {
	quiet := !k.Scraper.Due
	k.stirScrapes(c)
	if quiet {
		k.Scraper.Rested = true
		k.scrape(c)
	}
}

// target is a node whose kubelet is asked.
type target struct {
	Addresses []corev1.NodeAddress `json:"addresses,omitempty"`
	Port      int32                `json:"port,omitempty"`
	Ready     bool                 `json:"ready,omitempty"`
	// Last and Prev are the two last points. Asked: the round waits for it; Stream
	// is the request that is under way.
	Last   *point `json:"last,omitempty"`
	Prev   *point `json:"prev,omitempty"`
	Asked  bool   `json:"asked,omitempty"`
	Stream uint64 `json:"stream,omitempty"`
}

// point is what a kubelet said: nanoseconds of a core since it was started, and
// bytes.
type point struct {
	At     time.Time     `json:"at"`
	CPU    time.Duration `json:"cpu"`
	Memory int64         `json:"memory"`
}

func newScraper() *scraper { return &scraper{Nodes: map[string]*target{}} }

func (s *scraper) clone() *scraper {
	if s == nil {
		return nil
	}
	n := *s
	n.Nodes = make(map[string]*target, len(s.Nodes))
	for name, t := range s.Nodes {
		u := *t
		n.Nodes[name] = &u
	}
	n.Waiting, n.Probes = slices.Clone(s.Waiting), slices.Clone(s.Probes)
	return &n
}

// nodesListed and nodeEvent keep the nodes as the API server tells of them.
func (k *Client) nodesListed(c *sim.Ctx, items []json.RawMessage) {
	old := k.Scraper.Nodes
	k.Scraper.Nodes = map[string]*target{}
	for _, b := range items {
		k.nodeIs(c, b, old)
	}
}

func (k *Client) nodeEvent(c *sim.Ctx, line []byte) {
	var e struct {
		Type   string
		Object json.RawMessage
	}
	if json.Unmarshal(line, &e) != nil || e.Type == "BOOKMARK" {
		return
	}
	if e.Type == "DELETED" {
		var n corev1.Node
		if json.Unmarshal(e.Object, &n) == nil {
			if t := k.Scraper.Nodes[n.Name]; t != nil {
				delete(k.Scraper.Nodes, n.Name)
				k.came(c, t)
			}
		}
		return
	}
	k.nodeIs(c, e.Object, k.Scraper.Nodes)
}

func (k *Client) nodeIs(c *sim.Ctx, b json.RawMessage, old map[string]*target) {
	var n corev1.Node
	if json.Unmarshal(b, &n) != nil {
		return
	}
	t := target{}
	if o := old[n.Name]; o != nil {
		t = *o
	}
	was := t
	t.Addresses, t.Port, t.Ready = n.Status.Addresses, n.Status.DaemonEndpoints.KubeletEndpoint.Port, false
	for _, x := range n.Status.Conditions {
		if x.Type == corev1.NodeReady {
			t.Ready = x.Status == corev1.ConditionTrue
		}
	}
	k.Scraper.Nodes[n.Name] = &t
	if was.Ready != t.Ready || !slices.Equal(was.Addresses, t.Addresses) {
		k.stirScrapes(c)
	}
}

// stirScrapes: something changed, so the rounds go on for a while.
func (k *Client) stirScrapes(c *sim.Ctx) {
	s := k.Scraper
	if s == nil || !k.Ready {
		return
	}
	s.Since = c.Now
	if !s.Due {
		s.Due = true
		every := k.Flags.Resolution
		k.after(c, "scrape", every-c.Now.Sub(k.Started)%every)
		k.probeNext(c)
	}
}

// stagger is by how much the requests of a round are apart at most, for each node
// and in all. Models metrics-server pkg/scraper.
const (
	stagger    = 8 * time.Millisecond
	staggerMax = 4 * time.Second
)

// scrape is a round: every kubelet is asked.
func (k *Client) scrape(c *sim.Ctx) {
	s := k.Scraper
	if s.Since.IsZero() {
		s.Since = c.Now
		k.probeNext(c)
	}
	names := slices.Sorted(maps.Keys(s.Nodes))
	k.log(c, 'I', 1, "scraper.go:110", sim.KV("Scraping metrics from nodes", "nodes", plain(fmt.Sprintf("%q", names)), "nodeCount", len(names), "nodeSelector", ""))
	spread := min(stagger*time.Duration(len(names)), staggerMax)
	for _, name := range names {
		if t := s.Nodes[name]; !t.Asked {
			t.Asked = true
			s.Pending++
			k.after(c, "node "+name, time.Duration(c.Chance.N(c.Actor()+"/stagger", uint64(spread/time.Millisecond)))*time.Millisecond)
		}
	}
	if s.Due = c.Now.Sub(s.Since) < restAfter; s.Due {
		k.after(c, "scrape", k.Flags.Resolution)
	}
	k.answerWaiting(c)
}

// came: the round need not wait for a node any more.
func (k *Client) came(c *sim.Ctx, t *target) {
	if t.Asked {
		t.Asked, t.Stream = false, 0
		k.Scraper.Pending--
	}
	k.answerWaiting(c)
}

// plain is printed without quotes.
type plain string

// scrapeNode asks one kubelet, or gives up waiting for it.
func (k *Client) scrapeNode(c *sim.Ctx, name string) {
	t := k.Scraper.Nodes[name]
	if t == nil {
		return
	}
	if t.Stream != 0 {
		c.Cancel(t.Stream)
		delete(k.Streams, t.Stream)
		k.notScraped(c, name, t, `Get "`+k.metricsURL(t)+`": context deadline exceeded`, true)
		return
	}
	if k.Access.TokenFile != "" && k.Mount.stale(c) {
		k.Held = append(k.Held, exchange{Owner: "scrape " + name})
		k.refreshToken(c)
		return
	}
	host, err := k.kubeletHost(t)
	if err != nil {
		k.notScraped(c, name, t, err.Error(), false)
		return
	}
	k.log(c, 'I', 2, "scraper.go:133", sim.KV("Scraping node", "node", name))
	f := &k.Flags
	d := sim.Dial{Addr: net.JoinHostPort(host, k.kubeletPort(t)), ServerName: host, Roots: k.Access.Roots, Insecure: f.Insecure, Plain: f.Plain}
	h := http.Header{"User-Agent": {k.program().agent(k.era())}}
	switch {
	case f.Plain:
		d.Roots = nil
	case f.Insecure:
		d.Roots = nil
	case f.KubeletCA != "":
		d.Roots, _ = c.Disk.ReadFile(k.file(f.KubeletCA))
	}
	if !f.Plain {
		d.Cert, d.Key = k.pair(c)
		if f.KubeletCert != "" {
			d.Cert, _ = c.Disk.ReadFile(k.file(f.KubeletCert))
			d.Key, _ = c.Disk.ReadFile(k.file(f.KubeletKey))
		}
		if token := k.token(c); token != "" {
			h.Set("Authorization", "Bearer "+token)
		}
	}
	conn := "kubelet " + name
	server, _, _ := strings.Cut(k.metricsURL(t), "/metrics")
	t.Stream = c.Send(conn, d, sim.Request{Method: "GET", URL: "/metrics/resource", Header: h})
	k.Streams[t.Stream] = exchange{Owner: "scrape " + name, Method: "GET", URL: "/metrics/resource", Conn: conn, Server: server}
	k.after(c, "node "+name, f.Timeout)
}

func (k *Client) kubeletPort(t *target) string {
	port := k.Flags.KubeletPort
	if k.Flags.StatusPort && t.Port != 0 {
		port = int(t.Port)
	}
	return strconv.Itoa(port)
}

// kubeletHost is the address that is asked: the first of the preferred types that
// the node has. Models metrics-server pkg/utils NodeAddress.
func (k *Client) kubeletHost(t *target) (string, error) {
	for _, kind := range k.Flags.AddressTypes {
		for _, a := range t.Addresses {
			if string(a.Type) == kind {
				return a.Address, nil
			}
		}
	}
	return "", fmt.Errorf("no address matched types %v", k.Flags.AddressTypes)
}

func (k *Client) metricsURL(t *target) string {
	host, _ := k.kubeletHost(t)
	scheme := "https"
	if k.Flags.Plain {
		scheme = "http"
	}
	return scheme + "://" + net.JoinHostPort(host, k.kubeletPort(t)) + "/metrics/resource"
}

// scraped is a kubelet's answer.
func (k *Client) scraped(c *sim.Ctx, a answer) {
	t := k.Scraper.Nodes[a.arg]
	if t == nil {
		return
	}
	k.stop("node " + a.arg)
	switch {
	case a.kind == sim.MsgFailed:
		k.notScraped(c, a.arg, t, a.err(), false)
	case a.code != http.StatusOK:
		k.notScraped(c, a.arg, t, fmt.Sprintf("request failed, status: %q", fmt.Sprintf("%d %s", a.code, http.StatusText(a.code))), false)
	default:
		p, ok := readMetrics(string(a.data), c.Clock())
		if !ok {
			k.notScraped(c, a.arg, t, "", false)
			return
		}
		t.Prev, t.Last = t.Last, &p
		if t.Prev != nil && (t.Prev.CPU > p.CPU || !p.At.After(t.Prev.At)) {
			t.Prev = nil // the kubelet was started anew
		}
		k.came(c, t)
	}
}

// notScraped is a kubelet that gave nothing.
func (k *Client) notScraped(c *sim.Ctx, name string, t *target, why string, late bool) {
	t.Prev, t.Last = nil, nil
	switch {
	case why == "":
	case !t.Ready:
		k.log(c, 'I', 4, "scraper.go:144", sim.KV("Failed to scrape node, node is not ready", "node", name, "err", why))
	case late:
		k.log(c, 'E', 0, "scraper.go:147", sim.KV("Failed to scrape node, timeout to access kubelet", "err", why, "node", name, "timeout", k.Flags.Timeout.String()))
	default:
		k.log(c, 'E', 0, "scraper.go:149", sim.KV("Failed to scrape node", "err", why, "node", name))
	}
	k.came(c, t)
}

// readMetrics finds a node's two numbers in a kubelet's metrics. Models
// metrics-server pkg/scraper/client/resource decodeBatch.
func readMetrics(text string, now time.Time) (point, bool) {
	p := point{At: now}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		switch f[0] {
		case "node_cpu_usage_seconds_total":
			p.CPU, _ = time.ParseDuration(f[1] + "s")
		case "node_memory_working_set_bytes":
			p.Memory, _ = strconv.ParseInt(f[1], 10, 64)
		default:
			continue
		}
		if ms, err := strconv.ParseInt(f[2], 10, 64); err == nil {
			p.At = time.UnixMilli(ms).UTC()
		}
	}
	return p, p.CPU > 0 && p.Memory > 0
}
