package engine_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// The simulation: random topologies, flags, faults and inputs from a seed; the
// laws are looked at after every event. `make test` runs 200
// of it, `make sim RUNS=10000` more, `make sim SEED=17` one world. A world that breaks a law is cut down to the
// inputs that are needed, and its journal is printed.

var (
	simRuns = flag.Int("sim.runs", 20, "how many random worlds TestSimulation makes")
	simSeed = flag.Uint64("sim.seed", 0, "the one random world that TestSimulation makes, by its number")
)

// breach is a law that does not hold.
type breach struct {
	Law, Says string
	At        time.Time
}

func (b *breach) Error() string {
	return fmt.Sprintf("%s: %s, at %s", b.Law, b.Says, b.At.Format(time.RFC3339Nano))
}

// play makes a world of a plan and returns the first law that it breaks.
func (p *plan) play() (w *engine.World, broken *breach) {
	w, err := engine.New(p.Config)
	if err != nil {
		return nil, &breach{"a world can be made", err.Error(), engine.Start}
	}
	defer func() {
		if r := recover(); r != nil {
			broken = &breach{"nothing panics", fmt.Sprintf("%v\n%s", r, stack()), w.Now()}
		}
	}()
	l := newLaws(w)
	for i, in := range p.Inputs {
		if broken = l.until(w, in.At); broken != nil {
			return w, broken
		}
		if slices.Contains(p.Forks, i) {
			if w, err = fork(w, i); err != nil {
				return w, &breach{"a world can be kept", err.Error(), in.At}
			}
		}
		// What the world does not take (a host that is asleep, a fault that is
		// set) has no consequence.
		_ = w.Apply(in)
	}
	if broken = l.until(w, p.End); broken != nil {
		return w, broken
	}
	return w, l.end(w, p)
}

// fork goes on in a clone or in what a snapshot restores.
func fork(w *engine.World, i int) (*engine.World, error) {
	defer w.Close()
	if i%2 == 0 {
		c := w.Clone()
		c.Drain()
		return c, nil
	}
	b, err := w.Snapshot()
	if err != nil {
		return w, err
	}
	return engine.Restore(b)
}

// until lets everything happen up to and at t.
func (l *laws) until(w *engine.World, t time.Time) *breach {
	for w.Step(t) {
		if b := l.look(w); b != nil {
			return b
		}
	}
	w.AdvanceTo(t)
	return l.look(w)
}

func stack() string {
	b := make([]byte, 4<<10)
	return string(b[:runtime.Stack(b, false)])
}

// shrink leaves out of a plan what is not needed to break the same law. What
// brings all in order at the end is needed for the laws of the end.
func (p *plan) shrink(law string) *plan {
	breaks := func(q *plan) bool {
		w, b := q.play()
		if w != nil {
			w.Close()
		}
		return b != nil && b.Law == law
	}
	small := *p
	small.Forks = nil
	if !breaks(&small) {
		small.Forks = p.Forks // numbers of inputs: none can be left out
		return &small
	}
	kept := 0
	if strings.HasPrefix(law, atTheEnd) {
		kept = p.Last
	}
	for size := (len(small.Inputs) - kept + 1) / 2; size > 0; size /= 2 {
		for i := 0; i < len(small.Inputs)-kept; {
			q := small
			q.Inputs = slices.Delete(slices.Clone(small.Inputs), i, min(i+size, len(small.Inputs)-kept))
			if breaks(&q) {
				small = q
			} else {
				i += size
			}
		}
	}
	return &small
}

// journal is a plan as a session, and as what Replay reads.
func (p *plan) journal() string {
	var b strings.Builder
	at := engine.Start
	for _, in := range p.Inputs {
		if in.At.After(at) {
			fmt.Fprintf(&b, "advance %dms\n", in.At.Sub(at).Milliseconds())
			at = in.At
		}
		switch {
		case in.Typed != nil:
			fmt.Fprintf(&b, "%s$ %s\n", in.Typed.Host, in.Typed.Line)
		default:
			j, _ := json.Marshal(in)
			fmt.Fprintf(&b, "# %s\n", j)
		}
	}
	fmt.Fprintf(&b, "advance %dms\n", p.End.Sub(at).Milliseconds())
	j, _ := json.Marshal(engine.Journal{V: engine.JournalVersion, Config: p.Config, Inputs: p.Inputs, End: p.End})
	return b.String() + string(j)
}

// report is what a person needs of a world that breaks a law.
func report(p *plan, b *breach) error {
	small := p.shrink(b.Law)
	return fmt.Errorf("world %d breaks a law: %w\nfor the whole of it: make sim SEED=%d\nwhat is needed (%d of %d inputs):\n%s", p.Seed, b, p.Seed, len(small.Inputs), len(p.Inputs), small.journal())
}

// simulate plays one world, and again from its journal.
func simulate(seed uint64) error {
	p := newPlan(seed)
	w, b := p.play()
	if b != nil {
		return report(p, b)
	}
	defer w.Close()
	if seed%4 != 0 {
		return nil
	}
	j := w.Journal()
	again, err := engine.Replay(j, time.Time{})
	if err != nil {
		return fmt.Errorf("world %d: its journal can't be played: %w", seed, err)
	}
	defer again.Close()
	if got := again.Journal().Digest; got != j.Digest {
		return fmt.Errorf("world %d is another one from its journal", seed)
	}
	return nil
}

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		require.NoError(t, simulate(*simSeed))
		return
	}
	seeds := make(chan uint64)
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range seeds {
				if err := simulate(seed); err != nil {
					mu.Lock()
					failed = errors.Join(failed, err)
					mu.Unlock()
				}
			}
		})
	}
	for seed := range uint64(*simRuns) {
		seeds <- seed + 1
		mu.Lock()
		stop := failed != nil
		mu.Unlock()
		if stop {
			break
		}
	}
	close(seeds)
	wg.Wait()
	require.NoError(t, failed)
}

// TestSimulationFindsAndCutsDown: a law that does not hold is found, and what
// is left of the world is what breaks it.
func TestSimulationFindsAndCutsDown(t *testing.T) {
	defer func(old []law) { allLaws = old }(allLaws)
	allLaws = append(slices.Clone(allLaws), law{"nobody is named mallory", func(_ *laws, _ *engine.World, o *observation) string {
		if strings.Contains(o.Payload, "mallory") && o.Kind == "object" {
			return "there is mallory"
		}
		return ""
	}})
	p := newPlan(3)
	i := slices.IndexFunc(p.Inputs, func(in engine.Input) bool { return in.Typed != nil && in.Typed.Line == bindRenewal })
	p.Inputs = slices.Insert(p.Inputs, i, typing(p.Inputs[i].At, "admin", "kubectl create clusterrolebinding mallory --clusterrole=view --user=eve"))
	w, b := p.play()
	w.Close()
	require.NotNil(t, b)
	require.Equal(t, "nobody is named mallory", b.Law)
	small := p.shrink(b.Law)
	require.Len(t, small.Inputs, 1)
	require.Contains(t, small.journal(), "admin$ kubectl create clusterrolebinding mallory")
}
