package engine_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// showTimes compares when a request was made, with the first as zero: times FILE
// METHOD PATH. What is counted is the pause before each, as of all requests.
func showTimes(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	what := verbs[args[0]] + " " + args[1]
	var got []request
	for _, q := range r.requests() {
		if q.what == what {
			got = append(got, q)
		}
	}
	return func(t *testing.T, text string) {
		var times []time.Time
		require.NoError(t, json.Unmarshal([]byte(text), &times))
		var want []request
		for _, at := range times {
			want = append(want, request{at: at, what: what, user: got[0].user, code: got[0].code})
		}
		require.Len(t, got, len(want))
		matchRequests(t, what, want, got, want[0].at, got[0].at, time.Hour)
	}
}

// watching is a CSR's watches, one after the other.
type watching struct {
	from, until []time.Time
	lasts       []time.Duration // as they were told
	resumed     []bool          // from a version that was seen
}

// add notes the beginning of a watch.
func (w *watching) add(t *testing.T, at time.Time, uri string) {
	_, query, _ := strings.Cut(uri, "?")
	q, err := url.ParseQuery(query)
	require.NoError(t, err)
	d, err := time.ParseDuration(q.Get("timeoutSeconds") + "s")
	require.NoError(t, err)
	w.from, w.lasts = append(w.from, at), append(w.lasts, d)
	w.resumed = append(w.resumed, q.Get("resourceVersion") != "")
	require.Equal(t, w.resumed[len(w.resumed)-1], q.Get("sendInitialEvents") == "", uri)
}

// lawful tells what holds for all watches of CSRs: they are to last 5 to 10
// minutes, each follows the one before at once and goes on from what that saw,
// and after 15 minutes the wait is over.
func (w *watching) lawful(t *testing.T) {
	t.Helper()
	for i, d := range w.lasts {
		require.GreaterOrEqual(t, d, 5*time.Minute)
		require.Less(t, d, 10*time.Minute)
		require.Equal(t, i > 0, w.resumed[i], "watch %d", i+1)
		if i > 0 {
			require.InDelta(t, w.lasts[i-1].Seconds(), w.from[i].Sub(w.from[i-1]).Seconds(), 0.02, "watch %d", i+1)
		}
	}
	for i, at := range w.until {
		if i == len(w.from)-1 {
			require.LessOrEqual(t, at.Sub(w.from[0]), 15*time.Minute, "the last watch")
			continue
		}
		require.InDelta(t, w.lasts[i].Seconds(), at.Sub(w.from[i]).Seconds(), 0.02, "watch %d", i+1)
	}
}

// showWatches compares how a CSR that nobody decides is watched: how often
// depends on what is drawn, so both must keep the same laws.
func showWatches(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	got := map[string]*watching{}
	var order []string
	pending := r.pending()
	for _, o := range r.obs[r.from:] {
		method, uri, _ := strings.Cut(o.Subject, " ")
		if method != "GET" || o.Actor != "node-1/kubelet" || !strings.HasPrefix(uri, csrsPath) || !strings.Contains(uri, "watch=true") || o.Args["to"] == "" {
			continue
		}
		name := strings.TrimPrefix(csrNames.FindString(uri), "%3D")
		if !slices.Contains(pending, name) {
			continue
		}
		if got[name] == nil {
			got[name] = &watching{}
			order = append(order, name)
		}
		got[name].add(t, o.At, uri)
	}
	return func(t *testing.T, text string) {
		var rows []struct {
			T                time.Time
			Verb, URI, Stage string
			Code             int
		}
		require.NoError(t, json.Unmarshal([]byte(text), &rows))
		want := map[string]*watching{}
		for _, x := range rows {
			require.Less(t, x.Code, 300)
			if x.Verb != "watch" {
				continue
			}
			name := csrNames.FindString(x.URI)
			if want[name] == nil {
				want[name] = &watching{}
			}
			if w := want[name]; x.Stage == "ResponseComplete" {
				w.until = append(w.until, x.T)
			} else {
				w.add(t, x.T, x.URI)
			}
		}
		long := 0
		for name, w := range want {
			t.Run("recorded "+strings.TrimPrefix(name, "%3D"), func(t *testing.T) { w.lawful(t) })
			long = max(long, len(w.from))
		}
		require.Greater(t, long, 1, "no watch of this recording was followed by another")
		require.Len(t, got, 2, "a CSR, and another one after 15 minutes")
		for _, name := range order {
			got[name].lawful(t)
		}
		require.Greater(t, len(got[order[0]].from), 1)
		pause := got[order[1]].from[0].Sub(got[order[0]].from[0])
		require.InDelta(t, (15*time.Minute + 2*time.Second).Seconds(), pause.Seconds(), 0.5)
	}
}

// showDecided compares what became of the CSRs since begin: the recording has
// their names, conditions and whether they were issued. How many came is in the
// log beside it; the recorder listed those of an earlier try too.
func showDecided(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	got := map[string]string{}
	for _, name := range r.csrNamesMade()[r.before:] {
		o := r.get(t, csrsPath+"/"+name)
		status := o["status"].(map[string]any)
		kinds := []string{}
		for _, x := range status["conditions"].([]any) {
			kinds = append(kinds, x.(map[string]any)["type"].(string))
		}
		got[name] = fmt.Sprint(kinds, status["certificate"] != nil)
	}
	return func(t *testing.T, text string) {
		var rows [][3]any
		require.NoError(t, json.Unmarshal([]byte(text), &rows))
		require.LessOrEqual(t, len(got), len(rows))
		require.NotEmpty(t, got)
		for _, x := range rows {
			for _, have := range got {
				require.Equal(t, fmt.Sprint(x[1], x[2]), have)
			}
		}
	}
}

// showSeconds compares how long after begin something was logged: seconds FILE
// ACTOR MOST WORDS. How long hangs on when it is tried, so both are at most MOST.
func showSeconds(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	most, err := time.ParseDuration(args[1])
	require.NoError(t, err)
	words := strings.Join(args[2:], " ")
	after := time.Duration(-1)
	for _, o := range r.obs[r.from:] {
		if after < 0 && o.Kind == trace.Log && o.Actor == args[0] && strings.Contains(o.Payload, words) {
			after = o.At.Sub(r.began)
		}
	}
	return func(t *testing.T, text string) {
		var want map[string]float64
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.Len(t, want, 1)
		for _, seconds := range want {
			require.LessOrEqual(t, seconds, most.Seconds())
		}
		require.GreaterOrEqual(t, after, time.Duration(0), "nobody logged %q", words)
		require.LessOrEqual(t, after, most)
	}
}

// showLost compares how a kubelet that does not trust the API server goes on
// without it, for as long as the recording tells: of its kinds of lines, those of
// reflectors are not written here.
func showLost(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	var lines []logged
	for _, o := range r.obs[r.from:] {
		if o.Kind == trace.Log && o.Actor == "node-1/kubelet" {
			lines = append(lines, readLog(t, []string{o.Payload}, r.node)...)
		}
	}
	began, ended := r.began, r.w.Now()
	return func(t *testing.T, text string) {
		var want struct {
			SecondsObserved       int
			UnknownAuthorityLines int
			First, Last           string
		}
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.GreaterOrEqual(t, ended.Sub(began), time.Duration(want.SecondsObserved)*time.Second)
		const unknown = "x509: certificate signed by unknown authority"
		var mine []logged
		for _, l := range lines {
			if strings.Contains(l.text, unknown) {
				mine = append(mine, l)
			}
		}
		require.NotZero(t, want.UnknownAuthorityLines)
		require.GreaterOrEqual(t, len(mine), want.SecondsObserved/7, "one each 7 s")
		last := mine[len(mine)-1].at.AddDate(ended.Year(), 0, 0) // log lines have no year
		require.Less(t, ended.Sub(last), 8*time.Second, "and still")
		first := regexp.MustCompile(`leases/[a-z0-9-]+`).ReplaceAllString(klog.FindStringSubmatch(want.First)[4], "leases/NODE")
		require.Contains(t, mine[0].text, strings.TrimSuffix(neutral(first, ""), "?ti"))
	}
}
