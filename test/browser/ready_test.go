package browser

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// clock runs ahead of a page's own scripts and notes, in milliseconds since
// navigation, when the Start button can be pressed.
const clock = `(() => {
	const look = () => {
		const b = document.querySelector('[data-test="start"]');
		if (b && !b.disabled) window.readyAt = performance.now();
		else requestAnimationFrame(look);
	};
	requestAnimationFrame(look);
})()`

// TestReady measures the time from navigation to a Start button that works,
// beside that of an empty go-app page. Each round is a cold start in a browser
// context of its own; both kinds take turns and their medians count, because
// machines are noisy.
func TestReady(t *testing.T) {
	empty := os.Getenv("JOINERY_EMPTY")
	if empty == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_EMPTY")
	}
	serve := exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--site", empty)
	at, err := start(serve)
	require.NoError(t, err)
	t.Cleanup(func() {
		serve.Process.Signal(os.Interrupt)
		serve.Wait()
	})
	ready := func(host string) float64 {
		p := newTab(t, 1440, 900)
		p.openAt(host+"/", clock)
		p.until("the Start button", "window.readyAt")
		return js[float64](p, "window.readyAt")
	}
	var ours, bare []float64
	for range 9 {
		bare = append(bare, ready(at))
		ours = append(ours, ready(site))
	}
	slices.Sort(ours)
	slices.Sort(bare)
	a, b := ours[len(ours)/2], bare[len(bare)/2]
	fmt.Printf("ready after %.0f ms (%.0f at best); an empty go-app page after %.0f ms (%.0f at best); ratio of the medians %.2f (at most 3)\n", a, ours[0], b, bare[0], a/b)
	require.LessOrEqual(t, a/b, 3.0)
}
