//go:build unix

package engine_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// rival does the bare crypto of what a world does, in a process of its own: it
// has a heap of its own then, and none of it is the world's to look through. Its
// turns come between those of the world, so that a machine that is slow for a
// while is slow for both.
type rival struct {
	t     *testing.T
	ask   *json.Encoder
	told  *json.Decoder
	since time.Duration
	// spent is the processor time of its turns, chains that of checking clients'
	// chains besides.
	spent, chains time.Duration
}

func newRival(t *testing.T) *rival {
	cmd := exec.Command(os.Args[0], "-test.run", "^TestRival$")
	cmd.Env = append(os.Environ(), "JOINERY_RIVAL=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	runtime.GC()
	return &rival{t: t, ask: json.NewEncoder(in), told: json.NewDecoder(out), since: spent()}
}

// turn is the crypto of c, now.
func (r *rival) turn(c counts) {
	var took [2]time.Duration
	require.NoError(r.t, r.ask.Encode(c))
	require.NoError(r.t, r.told.Decode(&took))
	r.spent += took[0]
	r.chains += took[1]
}

// ours is the processor time of this process since the rival is there, garbage
// collection included.
func (r *rival) ours() time.Duration { return spent() - r.since }

// ratio is what all cost beside the bare crypto of as many handshakes and
// requests; strict beside that of the handshakes and certificates alone.
func (r *rival) ratio() float64  { return float64(r.ours()) / float64(r.spent+r.chains) }
func (r *rival) strict() float64 { return float64(r.ours()) / float64(r.spent) }

// TestRival is the other process: counts come in, processor times go out.
func TestRival(t *testing.T) {
	if os.Getenv("JOINERY_RIVAL") == "" {
		t.Skip("TestScale and TestYear run it")
	}
	engine.Tidy(1400 << 20)
	crypto, chains := bareCrypto(t)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var c counts
		if err := in.Decode(&c); err == io.EOF {
			return
		} else {
			require.NoError(t, err)
		}
		start := spent()
		crypto(c)
		between := spent()
		chains(c)
		require.NoError(t, out.Encode([2]time.Duration{between - start, spent() - between}))
	}
}

// spent is the processor time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
