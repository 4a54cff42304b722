package engine_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// request is a line of an audit log, without what differs from run to run.
type request struct {
	at         time.Time
	what, user string
	code       int
}

// pace says how far apart the times of equal requests may be: slack, and
// hundredths of the pause before the request.
type pace struct {
	what    *regexp.Regexp
	slack   time.Duration
	stretch int64
	// first: the log may lack the first of them (b2/02: of five reflectors that
	// started at once, one has no first watch).
	first bool
	why   string
}

// paces: the first that fits counts.
var paces = []pace{
	{regexp.MustCompile(`^(watch|list) `), 400 * time.Millisecond, 100, true, "a reflector's pause is drawn between one and two times its step"},
	{regexp.MustCompile(`^deletecollection `), 400 * time.Millisecond, 20, false, "the pause is stretched by at most a fifth"},
	{regexp.MustCompile(`/certificatesigningrequests`), 300 * time.Millisecond, 10, false, "the back-off is stretched by at most a tenth"},
	{regexp.MustCompile(``), 300 * time.Millisecond, 4, false, "the pause is fixed"},
}

// passed are requests that are compared with nothing, on either side.
var passed = []struct {
	what *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`/namespaces/[a-z]+/events`), "kubelets here write no Events"},
	{regexp.MustCompile(`^[a-z]+ /healthz`), "the recorder's audit policy left it out"},
	{regexp.MustCompile(`^get (/api/v1/nodes/NODE|/apis/storage.k8s.io/v1/csinodes/NODE) by system:node:NODE`), "the volume plugins' own look at Node and CSINode comes and goes with what is in their caches"},
}

// orders are requests that follow each other in one thread of the kubelet. Those
// of a reflector, which lists and watches, are a thread for each path.
var orders = []*regexp.Regexp{
	regexp.MustCompile(`/certificatesigningrequests`),
	regexp.MustCompile(`^(create /api/v1/nodes|patch /api/v1/nodes/NODE/status)$`),
	regexp.MustCompile(`/leases`),
	regexp.MustCompile(`^(get|create|update|patch) .*/csinodes`),
}

// threadOf names the thread of a request; empty for one that is in none.
func threadOf(what string) string {
	for _, o := range orders {
		if o.MatchString(what) {
			return o.String()
		}
	}
	if verb, uri, _ := strings.Cut(what, " "); verb == "list" || verb == "watch" {
		path, _, _ := strings.Cut(uri, "?")
		return path
	}
	return ""
}

var (
	timeouts = regexp.MustCompile(`&?\btimeout(Seconds)?=\d[0-9a-z]*\b`)
	csrNames = regexp.MustCompile(`(%3D|\b)(csr-[a-z0-9]{5}|node-csr-[A-Za-z0-9_-]{43})\b`)
	verbs    = map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
)

// uriOf leaves out what is drawn. A watch lives as long as its connection here
// (see package kubelet), so how long it was to last is not compared.
func (r *run) uriOf(uri, node string) string {
	watch := strings.Contains(uri, "watch=true")
	if watch {
		uri = timeouts.ReplaceAllString(uri, "")
		uri = strings.ReplaceAll(uri, "?&", "?")
	}
	uri = csrNames.ReplaceAllString(uri, "${1}CSR")
	if node == "" {
		return uri
	}
	return regexp.MustCompile(`\b`+regexp.QuoteMeta(node)+`\b`).ReplaceAllString(uri, "NODE")
}

// requests are those of the kubelet since begin.
func (r *run) requests() (out []request) {
	index := map[uint64]int{}
	for _, o := range r.obs[r.from:] {
		switch o.Kind {
		case trace.Request:
			if o.Actor != "node-1/kubelet" || !strings.Contains(o.Args["to"], "apiserver") {
				continue
			}
			method, uri, _ := strings.Cut(o.Subject, " ")
			path, query, _ := strings.Cut(uri, "?")
			verb := verbs[method]
			switch last := path[strings.LastIndex(path, "/")+1:]; {
			case strings.Contains(query, "watch=true"):
				verb = "watch"
			case verb == "get" && strings.HasSuffix(last, "s") && !strings.HasPrefix(path, "/healthz"):
				verb = "list"
			case verb == "delete" && strings.HasSuffix(last, "s"):
				verb = "deletecollection"
			}
			index[o.ID] = len(out)
			out = append(out, request{at: o.At, what: verb + " " + r.uriOf(uri, r.node)})
		case trace.Authn:
			if i, ok := index[o.Cause]; ok && o.Args["verdict"] != "no" {
				out[i].user = strings.ReplaceAll(o.Subject, r.node, "NODE")
			}
		case trace.Response:
			if i, ok := index[o.Cause]; ok {
				fmt.Sscan(o.Args["code"], &out[i].code)
			}
		}
	}
	return out
}

// recorded reads an audit log: the kubelet's requests by when they began to be
// answered, and when the log ends.
func (r *run) recorded(t *testing.T, text string) (out []request, node string, end time.Time) {
	var rows []struct {
		T                      time.Time
		Verb, URI, User, Agent string
		Stage                  string
		Code                   int
	}
	require.NoError(t, json.Unmarshal([]byte(text), &rows))
	agents := false // else there is nobody but the kubelet
	for _, x := range rows {
		end, agents = x.T, agents || x.Agent != ""
		if m := regexp.MustCompile(`fieldSelector=metadata.name%3D(node-[a-z0-9]+|q[a-z0-9-]+)&`).FindStringSubmatch(x.URI); m != nil && strings.HasPrefix(x.URI, "/api/v1/nodes") {
			node = m[1]
		}
	}
	if node == "" {
		node = r.node
	}
	seen := map[string]bool{}
	for _, x := range rows {
		// A watch is written down when it begins and when it ends; when it is
		// refused, both at once.
		if agents && !strings.HasPrefix(x.Agent, "kubelet/") {
			continue
		}
		if began := seen[x.URI]; x.Verb == "watch" {
			if seen[x.URI] = !began; began {
				continue
			}
		}
		q := request{at: x.T, what: x.Verb + " " + r.uriOf(x.URI, node), user: x.User, code: x.Code}
		if node != "" {
			q.user = strings.ReplaceAll(q.user, node, "NODE")
		}
		out = append(out, q)
	}
	return out, node, end
}

// showAudit compares the kubelet's requests: for each verb and URI how many
// there were, by whom, with which answer and at what pace.
// With an argument, only of what it matches: some logs were filtered.
func showAudit(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	only := regexp.MustCompile(strings.Join(args, "|"))
	pick := func(list []request) (out []request) {
		for _, q := range list {
			name := q.what + " by " + q.user
			skip := false
			for _, p := range passed {
				skip = skip || p.what.MatchString(name)
			}
			if regexp.MustCompile(`/resourceslices.* by system:node:`).MatchString(name) {
				q.code = 0 // the group resource.k8s.io is not served here
			}
			if !skip && only.MatchString(name) {
				out = append(out, q)
			}
		}
		return out
	}
	now := *r
	got := pick(now.requests())
	return func(t *testing.T, text string) {
		want, _, end := now.recorded(t, text)
		want = pick(want)
		if len(want) == 0 {
			require.Empty(t, got)
			return
		}
		require.NotEmpty(t, got, "the kubelet asked for nothing")
		zero, ours := want[0].at, got[0].at
		by := func(list []request, zero time.Time) (map[string][]request, []string) {
			m := map[string][]request{}
			var order []string
			for _, q := range list {
				if m[q.what] == nil {
					order = append(order, q.what)
				}
				m[q.what] = append(m[q.what], q)
			}
			return m, order
		}
		w, order := by(want, zero)
		g, more := by(got, ours)
		for _, what := range order {
			require.NotEmpty(t, g[what], "the kubelet never asked: %s", what)
			matchRequests(t, what, w[what], g[what], zero, ours, end.Sub(zero))
		}
		for _, what := range more {
			if w[what] == nil {
				// What came just before the log ended may not be in it.
				require.Greater(t, g[what][0].at.Sub(ours)+500*time.Millisecond, end.Sub(zero), "a real kubelet did not ask: %s", what)
			}
		}
		a, b := inThreads(want), inThreads(got)
		for thread := range a {
			n := min(len(a[thread]), len(b[thread]))
			require.Equal(t, a[thread][:n], b[thread][:n], "in this order")
		}
	}
}

// inThreads are the requests of each thread, in their order.
func inThreads(list []request) map[string][]string {
	out := map[string][]string{}
	for _, q := range list {
		if th := threadOf(q.what); th != "" {
			out[th] = append(out[th], fmt.Sprintf("%s by %q: %d", q.what, q.user, q.code))
		}
	}
	return out
}

// showCalls is for logs that hold the requests of several kubelets, and end
// early: each of this one's must have been made, by the same user and with the
// same answer, and those of a thread in their order: calls PATTERN.
func showCalls(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	got := r.requests()
	node := r.node
	return func(t *testing.T, text string) {
		var rows []struct {
			Verb, URI, User, Agent, Stage string
			Code                          int
		}
		require.NoError(t, json.Unmarshal([]byte(text), &rows))
		n := 0
		var want []request
		for _, x := range rows {
			if !strings.HasPrefix(x.Agent, "kubelet/") || !strings.Contains(x.URI+" "+x.User, node) {
				continue
			}
			q := request{what: x.Verb + " " + r.uriOf(x.URI, node), user: strings.ReplaceAll(x.User, node, "NODE"), code: x.Code}
			if slices.ContainsFunc(passed, func(p struct {
				what *regexp.Regexp
				why  string
			}) bool {
				return p.what.MatchString(q.what + " by " + q.user)
			}) {
				continue
			}
			if q.code == 404 && strings.HasPrefix(q.what, "get /api/v1/nodes/NODE") {
				continue // looked for before it was registered
			}
			n++
			want = append(want, q)
			ok := slices.ContainsFunc(got, func(g request) bool { return g.what == q.what && g.user == q.user && g.code == q.code })
			require.True(t, ok, "never asked: %s by %q: %d, but %v", q.what, q.user, q.code, got)
		}
		b := inThreads(got)
		for thread, list := range inThreads(want) {
			rest := b[thread]
			for _, call := range list {
				i := slices.Index(rest, call)
				require.GreaterOrEqual(t, i, 0, "not asked in this order: %s\nof %s\nbut %s", call, strings.Join(list, "\n"), strings.Join(b[thread], "\n"))
				rest = rest[i+1:]
			}
		}
		if n == 0 {
			require.Empty(t, slices.DeleteFunc(slices.Clone(got), func(g request) bool { return !strings.Contains(g.user, "NODE") }), "the recorded kubelet asked for nothing as its node")
		}
	}
}

func matchRequests(t *testing.T, what string, want, got []request, zero, ours time.Time, window time.Duration) {
	t.Helper()
	p := paces[slices.IndexFunc(paces, func(p pace) bool { return p.what.MatchString(what) })]
	lastW, lastG := zero, ours
	if p.first && len(got) > 1 && want[0].at.Sub(zero)-got[0].at.Sub(ours) > p.slack {
		got = got[1:]
	}
	n := min(len(want), len(got))
	for i := range n {
		require.Equal(t, fmt.Sprintf("%q: %d", want[i].user, want[i].code), fmt.Sprintf("%q: %d", got[i].user, got[i].code), "%s, number %d at %v", what, i+1, want[i].at.Sub(zero))
		a, b := want[i].at.Sub(lastW), got[i].at.Sub(lastG)
		far := p.slack + time.Duration(p.stretch)*min(a, b)/100
		require.InDelta(t, a.Seconds(), b.Seconds(), far.Seconds(), "the pause before %s, number %d, at %v (%s)", what, i+1, want[i].at.Sub(zero), p.why)
		lastW, lastG = want[i].at, got[i].at
	}
	// Pauses that are drawn add up, so that one more or less comes in time.
	late := func(rest []request, zero time.Time) bool {
		return len(rest) == 0 || p.stretch > 0 && len(rest) == 1 || rest[0].at.Sub(zero)+500*time.Millisecond > window
	}
	require.True(t, late(want[n:], zero) && late(got[n:], ours), "%s: %d times, and a real kubelet %d times", what, len(got), len(want))
}
