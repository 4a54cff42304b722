package engine_test

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// These tests run natively and, by `make test-wasm`, under GOOS=js in Node
// with another zone and locale; the browser suite tells the same story to the
// page's own Worker. All compare with one golden file, so that they compare
// with each other, and with other processors.

var update = flag.Bool("update", false, "write the digest of the same world into its golden file")

const (
	goldenDigest = "testdata/same-world.txt"
	goldenStory  = "testdata/same-world.json"
)

// storyStep is something typed, a fault, or time that passes.
type storyStep struct {
	host, line string
	fault      string
	pass       time.Duration
}

// do is a step that takes no time.
func (s storyStep) do(t testing.TB, w *engine.World) {
	t.Helper()
	in := engine.Input{Typed: &engine.Typed{Host: s.host, Line: s.line}}
	if s.fault != "" {
		f, err := engine.ParseFault(s.fault, w.Now())
		require.NoError(t, err)
		in = engine.Input{Fault: &f}
	}
	require.NoError(t, w.Apply(in))
}

// story is a node's whole way: refused, bound, approved, renewed after a year;
// with a pipeline that is still running while time passes.
var story = []storyStep{
	{host: "node-1", line: "systemctl start kubelet"},
	{host: "control-1", line: "date -s '+3 seconds'; timedatectl set-timezone Asia/Shanghai"},
	{pass: 20 * time.Second},
	{host: "admin", line: "kubectl create clusterrolebinding kubelet-bootstrap --clusterrole=system:node-bootstrapper --group=system:bootstrappers"},
	{pass: time.Second},
	{host: "admin", line: "kubectl get csr -w | head -n 3"},
	{fault: "link node-1 control-1 drop 40% for 4m"},
	{pass: 5 * time.Minute},
	{host: "control-1", line: "kubectl certificate approve $(kubectl get csr -o name)"},
	{pass: time.Minute},
	{host: "node-1", line: "ls -l /var/lib/kubelet/pki; cat /etc/kubernetes/kubelet.conf; date"},
	{host: "control-1", line: "kubectl create clusterrolebinding node-client-auto-renew-crt --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes"},
	{fault: "host node-1 suspend for 30d"},
	{fault: "clock control-1 drift 20ppm after 60d for 200d"},
	{fault: "apiserver control-1 status 503 PUT 50% after 40d for 1h"},
	{fault: "host node-1 restart after 70d"},
	{pass: 330 * 24 * time.Hour},
	{host: "control-1", line: "kubectl get csr,nodes; journalctl -u kube-apiserver | tail -n 5"},
	{pass: 10 * time.Second},
}

var storyConfig = engine.Config{Seed: "same world"}

func newWorld(t testing.TB, cfg engine.Config) *engine.World {
	t.Helper()
	w, err := engine.New(cfg)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

// tell plays steps of the story. Pass lets time pass; between is called after
// each step and may put another world in place.
func tell(t testing.TB, w *engine.World, steps []storyStep, pass func(*engine.World, time.Duration), between func(int, *engine.World) *engine.World) *engine.World {
	t.Helper()
	for i, s := range steps {
		if s.pass > 0 {
			pass(w, s.pass)
		} else {
			s.do(t, w)
		}
		if between != nil {
			w = between(i, w)
		}
	}
	return w
}

func inOneStep(w *engine.World, d time.Duration) { w.AdvanceTo(w.Now().Add(d)) }

func inSteps(n int) func(*engine.World, time.Duration) {
	return func(w *engine.World, d time.Duration) {
		end := w.Now().Add(d)
		for range n {
			w.AdvanceTo(w.Now().Add(d / time.Duration(n)))
		}
		w.AdvanceTo(end)
	}
}

// storyOf is the story as a journal, so that other programs can tell it too:
// what was typed, when, and until when time passed.
func storyOf(w *engine.World) []byte {
	j := w.Journal()
	// The digest has a file of its own, and a build is none of a story's parts.
	j.Build, j.Digest = "", ""
	b, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		panic(err)
	}
	return append(b, '\n')
}

func TestSameWorldEverywhere(t *testing.T) {
	w := tell(t, newWorld(t, storyConfig), story, inOneStep, nil)
	for file, got := range map[string]string{goldenDigest: w.Sum(), goldenStory: string(storyOf(w))} {
		if *update {
			require.NoError(t, os.WriteFile(filepath.FromSlash(file), []byte(got), 0o644))
		}
		want, err := os.ReadFile(filepath.FromSlash(file))
		require.NoError(t, err)
		require.Equal(t, string(want), got, "when you meant to change the world, run go test ./engine -run SameWorldEverywhere -update")
	}
}

// TestSameWorldTellsTheStory sees that what the digest is of is not nothing.
func TestSameWorldTellsTheStory(t *testing.T) {
	w := newWorld(t, storyConfig)
	tell(t, w, story, inOneStep, nil)
	obs := w.Drain()
	kinds := map[trace.Kind]int{}
	var printed strings.Builder
	digest := trace.Digest{}
	for i := range obs {
		kinds[obs[i].Kind]++
		digest.Add(&obs[i])
		if obs[i].Kind == trace.Printed {
			printed.WriteString(obs[i].Payload)
		}
	}
	for _, k := range trace.Kinds {
		require.NotZero(t, kinds[k], "nothing of kind %s happened", k)
	}
	require.Contains(t, printed.String(), "Pending")
	require.Contains(t, printed.String(), "approved")
	require.Len(t, w.View().Nodes, 1)
	lives := 0
	for _, l := range w.View().Lives {
		if l.Use == "client" {
			lives++
		}
	}
	require.GreaterOrEqual(t, lives, 2, "the certificate was rotated")
}

func TestSameWorldForAnotherSeedIsAnother(t *testing.T) {
	a := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	b := tell(t, newWorld(t, engine.Config{Seed: "another"}), story, inOneStep, nil).Sum()
	require.NotEqual(t, a, b)
}

func TestSameWorldInAHundredSteps(t *testing.T) {
	want := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	for _, n := range []int{2, 7, 100} {
		require.Equal(t, want, tell(t, newWorld(t, storyConfig), story, inSteps(n), nil).Sum(), "in %d steps", n)
	}
}

// TestSameWorldInAnyZone moves the zone of the process under the engine.
func TestSameWorldInAnyZone(t *testing.T) {
	want := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	here := time.Local
	defer func() { time.Local = here }()
	for _, hours := range []int{-11, 5, 14} {
		time.Local = time.FixedZone("elsewhere", hours*3600+1800)
		require.Equal(t, want, tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum(), "UTC%+d:30", hours)
	}
}

// TestSameWorldFromAClone goes on in a clone, and in a clone of that, from
// after every step, also while a pipeline runs. What was cloned goes on too.
func TestSameWorldFromAClone(t *testing.T) {
	want := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	var left []*engine.World
	w := tell(t, newWorld(t, storyConfig), story, inOneStep, func(_ int, w *engine.World) *engine.World {
		c := w.Clone()
		t.Cleanup(c.Close)
		left = append(left, w)
		return c
	})
	require.Equal(t, want, w.Sum(), "the last of a chain of clones")
	for i, w := range left {
		require.Equal(t, want, tell(t, w, story[i+1:], inOneStep, nil).Sum(), "what was cloned after step %d", i)
	}
}

// TestSameWorldFromRandomPoints stops at random moments inside the story,
// clones there, spoils one of the two, and goes on with the other.
func TestSameWorldFromRandomPoints(t *testing.T) {
	want := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld(t, storyConfig)
		for _, s := range story {
			if s.pass == 0 {
				s.do(t, w)
				continue
			}
			end := w.Now().Add(s.pass)
			w.AdvanceTo(w.Now().Add(time.Duration(r.Int64N(int64(s.pass)))))
			spoilt := w.Clone()
			t.Cleanup(spoilt.Close)
			if r.IntN(2) == 0 {
				w, spoilt = spoilt, w
			}
			require.NoError(t, spoilt.Apply(engine.Input{Interrupt: &engine.Interrupt{Host: "admin"}}))
			require.NoError(t, spoilt.Apply(engine.Input{Typed: &engine.Typed{Host: "control-1", Line: "systemctl restart kube-apiserver"}}))
			spoilt.AdvanceTo(end)
			w.AdvanceTo(end)
		}
		require.Equal(t, want, w.Sum(), "seed %d", seed)
	}
}

// TestSameWorldFromASnapshot keeps the world as bytes after every step.
func TestSameWorldFromASnapshot(t *testing.T) {
	var seen [3]bool
	want := tell(t, newWorld(t, storyConfig), story, inOneStep, nil).Sum()
	w := tell(t, newWorld(t, storyConfig), story, inOneStep, func(i int, w *engine.World) *engine.World {
		b, err := w.Snapshot()
		require.NoError(t, err, "after step %d", i)
		n, err := engine.Restore(b)
		require.NoError(t, err, "after step %d", i)
		t.Cleanup(n.Close)
		v := w.View()
		require.Equal(t, v, n.View(), "what is drawn of objects as they are held is what they say as JSON")
		seen[0], seen[1], seen[2] = seen[0] || v.CSRs != nil, seen[1] || v.Nodes != nil, seen[2] || v.Bindings != nil
		return n
	})
	require.Equal(t, want, w.Sum())
	require.Equal(t, [3]bool{true, true, true}, seen)
}

// TestSameWorldFromItsJournal plays the journal again.
func TestSameWorldFromItsJournal(t *testing.T) {
	w := tell(t, newWorld(t, storyConfig), story, inSteps(3), nil)
	j := w.Journal()
	require.Equal(t, w.View().Digest, j.Digest)
	again, err := engine.Replay(j, time.Time{})
	require.NoError(t, err)
	t.Cleanup(again.Close)
	require.Equal(t, w.Sum(), again.Sum())
}
