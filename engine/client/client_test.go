package client

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// rig runs one client against a server that a test writes.
type rig struct {
	t      testing.TB
	k      *Client
	disk   *sim.Disk
	chance *sim.Chance
	now    time.Time
	queue  sim.Queue
	seq    uint64
	stream uint64
	code   *int
	log    strings.Builder
	sent   []sent
	closed []string
	// answer is what the server says; an error are the transport's words.
	answer func(r sim.Request) (code int, body, failure string)
}

type sent struct {
	at   time.Time
	conn string
	dial sim.Dial
	sim.Request
}

func newRig(t testing.TB, program string, pod *Pod, args ...string) *rig {
	r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, now: newYear}
	r.answer = func(sim.Request) (int, string, string) {
		return 0, "", "dial tcp 10.0.0.10:6443: connect: connection refused"
	}
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca", "kubernetes", newYear.Add(-time.Hour), newYear.AddDate(10, 0, 0))
	require.NoError(t, err)
	r.file("/pki/ca.crt", string(ca.CertPEM()))
	r.file("/pki/token", "first\n")
	r.file("/conf", `clusters: [{name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority: pki/ca.crt}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
users: [{name: u, user: {tokenFile: pki/token}}]
`)
	r.k, err = New(era.Must("1.36"), program, args, pod)
	require.NoError(t, err)
	return r
}

func (r *rig) file(name, text string) {
	require.NoError(r.t, r.disk.MkdirAll(name[:strings.LastIndex(name, "/")]+"/", 0o755, r.now))
	require.NoError(r.t, r.disk.WriteFile(name, []byte(text), 0o644, r.now))
}

func (r *rig) post(at time.Time, m sim.Msg) {
	r.seq++
	r.queue.Push(sim.Event{At: at, Seq: r.seq, Msg: m})
}

func (r *rig) start() { r.post(r.now, sim.Msg{Kind: sim.MsgStart}) }

// run lets time pass and counts the steps of the client.
func (r *rig) run(d time.Duration) (steps int) {
	end := r.now.Add(d)
	for r.code == nil {
		at, ok := r.queue.Next()
		if !ok || at.After(end) {
			break
		}
		e := r.queue.Pop()
		r.now = e.At
		r.step(e.Msg)
		steps++
	}
	r.now = end
	return steps
}

func (r *rig) step(m sim.Msg) {
	c := &sim.Ctx{Now: r.now, Host: "control-1", IP: "10.0.0.10", Unit: r.k.Program, PID: 7, Disk: r.disk, Chance: r.chance,
		NextStream: func() uint64 { r.stream++; return r.stream },
		Observe:    func(trace.Observation) uint64 { return 1 },
		Journal:    func(line string) { r.log.WriteString(line + "\n") }}
	// The state must survive a snapshot and a clone at any moment.
	b, err := json.Marshal(r.k)
	require.NoError(r.t, err)
	restored := new(Client)
	require.NoError(r.t, json.Unmarshal(b, restored))
	r.k = restored.Clone().(*Client)
	r.k.Step(c, m)
	for _, e := range c.Effects {
		switch e.Kind {
		case sim.EffWake:
			r.post(e.At, sim.Msg{Kind: sim.MsgWake, Tag: e.Tag})
		case sim.EffExit:
			r.code = &e.Code
		case sim.EffClose:
			r.closed = append(r.closed, e.Conn)
		case sim.EffSend:
			r.sent = append(r.sent, sent{r.now, e.Conn, *e.Dial, *e.Req})
			code, body, failure := r.answer(*e.Req)
			m := sim.Msg{Kind: sim.MsgFailed, Stream: e.Stream, Err: failure}
			if failure == "" {
				m = sim.Msg{Kind: sim.MsgResponse, Stream: e.Stream, Resp: &sim.Response{Code: code, Body: []byte(body), Stream: code == 200 && strings.Contains(e.Req.URL, "watch=true")}}
			}
			r.post(r.now.Add(time.Millisecond), m)
		}
	}
}

func (r *rig) last() sent { return r.sent[len(r.sent)-1] }

// A token file is read again when it was read a while ago, and at once after a 401.
func TestTokenFile(t *testing.T) {
	r := newRig(t, "kube-proxy", nil, "--kubeconfig=/conf")
	code := 403
	r.answer = func(sim.Request) (int, string, string) { return code, `{"message":"no"}`, "" }
	r.start()
	r.run(time.Millisecond)
	require.Equal(t, "Bearer first", r.last().Header.Get("Authorization"))
	r.file("/pki/token", "second")
	r.run(20 * time.Second)
	require.Equal(t, "Bearer first", r.last().Header.Get("Authorization"), "it was read less than 50 s ago")
	code = 401
	r.run(30 * time.Second)
	require.Equal(t, "Bearer second", r.last().Header.Get("Authorization"))
	require.NoError(t, r.disk.Remove("/pki/token"))
	r.run(2 * time.Minute)
	require.Equal(t, "Bearer second", r.last().Header.Get("Authorization"), "the last good one is kept")
	require.Contains(t, r.log.String(), `"Unable to rotate token" err="failed to read token file \"/pki/token\"`)
}

// The CA file is looked at by the first request after five minutes, and only by a
// program whose client-go does so; a bad one keeps the last good one.
func TestCAFile(t *testing.T) {
	for program, reloads := range map[string]bool{"kube-proxy": true, "app": false} {
		r := newRig(t, program, nil, "--kubeconfig=/conf", "--v=4")
		r.answer = func(sim.Request) (int, string, string) {
			return 0, "", "tls: failed to verify certificate: x509: certificate signed by unknown authority"
		}
		r.start()
		r.run(time.Minute)
		good := r.last().dial.Roots
		r.file("/pki/ca.crt", "nonsense")
		r.run(9 * time.Minute)
		require.Equal(t, good, r.last().dial.Roots, program)
		require.Equal(t, reloads, strings.Contains(r.log.String(), `"Failed to parse CA data from file"`), program)
		r.file("/pki/ca.crt", string(good)+string(good))
		r.post(r.now, sim.Msg{Kind: sim.MsgFile, Tag: "/pki/ca.crt"})
		r.run(30 * time.Minute)
		require.Equal(t, reloads, len(r.last().dial.Roots) == 2*len(good), program)
		require.Equal(t, reloads, r.last().conn == "api 1", "%s: a new bundle means a new connection", program)
	}
}

// What is refused is tried with a back-off, then rests, and is tried at once when
// something changes: a year of it is some thousand steps.
func TestRests(t *testing.T) {
	r := newRig(t, "app", nil, "--kubeconfig=/conf")
	r.answer = func(sim.Request) (int, string, string) { return 403, `{"message":"pods is forbidden"}`, "" }
	r.start()
	r.run(5 * time.Minute)
	require.Contains(t, r.log.String(), `"Failed to watch" err="failed to list *v1.Pod: pods is forbidden" logger="UnhandledError"`)
	tries := len(r.sent)
	require.Greater(t, tries, 8)
	require.Less(t, r.run(365*24*time.Hour), 4000)
	require.Equal(t, PhaseRefused, r.k.Phase)
	r.answer = func(q sim.Request) (int, string, string) { return 200, `{"metadata":{"resourceVersion":"7"}}`, "" }
	r.post(r.now, sim.Msg{Kind: sim.MsgClock})
	r.run(31 * time.Second)
	require.Equal(t, PhaseRunning, r.k.Phase)
	require.Contains(t, r.last().URL, "resourceVersion=7")
	require.Zero(t, r.run(365*24*time.Hour), "one that is content makes no steps")
}

// A pod's process begins when its volume is there, and not before.
func TestMount(t *testing.T) {
	pod := &Pod{Namespace: "default", Account: "app", Kubeconfig: "/conf", Dir: "/volume"}
	r := newRig(t, "app", pod)
	r.answer = func(q sim.Request) (int, string, string) {
		if q.Method == "POST" {
			return 404, `{"message":"serviceaccounts \"app\" not found"}`, ""
		}
		return 200, "", ""
	}
	r.start()
	r.run(10 * time.Second)
	require.Contains(t, r.log.String(), `MountVolume.SetUp failed for volume "kube-api-access-app" : failed to fetch token: serviceaccounts "app" not found`)
	require.Equal(t, PhaseMounting, r.k.Phase)
	require.True(t, r.k.Started.IsZero())
	require.JSONEq(t, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"audiences":null,"expirationSeconds":3607,"boundObjectRef":null},"status":{"token":"","expirationTimestamp":null}}`, string(r.sent[0].Body))
	_, err := r.disk.ReadFile("/volume/token")
	require.Error(t, err)
}

// Flags and files that can't be used are refused in the program's words.
func TestFlags(t *testing.T) {
	for _, c := range []struct{ program, args, words string }{
		{"kube-scheduler", "--no-such", "unknown flag: --no-such"},
		{"kube-scheduler", "extra", `"kube-scheduler" does not take any arguments, got ["extra"]`},
		{"kube-proxy", "--v=x", `invalid argument "x" for "-v, --v" flag: strconv.ParseInt: parsing "x": invalid syntax`},
		{"coredns", "-no-such", "flag provided but not defined: -no-such"},
		{"coredns", "-conf", "flag needs an argument: -conf"},
		{"metrics-server", "--kubelet-client-key=/k", "need both --kubelet-client-key and --kubelet-client-certificate"},
		{"metrics-server", "--kubelet-insecure-tls --kubelet-certificate-authority=/c --kubelet-request-timeout=0s", "[cannot use both --kubelet-certificate-authority and --kubelet-insecure-tls, kubelet-request-timeout should be positive]"},
	} {
		_, err := New(era.Must("1.36"), c.program, strings.Fields(c.args), nil)
		require.EqualError(t, err, c.words)
	}
	for conf, words := range map[string]string{
		"clusters: {":  `"command failed" err="error loading config file \"/bad\":`,
		"contexts: []": `"command failed" err="invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable"`,
		`{clusters: [{name: k, cluster: {server: "https://x", certificate-authority: /none}}], contexts: [{name: c, context: {cluster: k, user: u}}], current-context: c}`: `"command failed" err="invalid configuration: unable to read certificate-authority /none for k due to open /none: no such file or directory"`,
	} {
		r := newRig(t, "app", nil, "--kubeconfig=/bad")
		r.file("/bad", conf)
		r.start()
		r.run(time.Second)
		require.Contains(t, r.log.String(), words)
		require.Equal(t, 1, *r.code)
	}
}

// A node's two numbers are found in a kubelet's metrics, or it has none.
func TestReadMetrics(t *testing.T) {
	p, ok := readMetrics("# HELP x\nnode_cpu_usage_seconds_total 12.500 1767225600000\nnode_memory_working_set_bytes 1048576 1767225600000\n", newYear)
	require.True(t, ok)
	require.Equal(t, point{At: newYear, CPU: 12500 * time.Millisecond, Memory: 1 << 20}, p)
	_, ok = readMetrics("node_cpu_usage_seconds_total 12.500 1767225600000\n", newYear)
	require.False(t, ok)
}
