package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEmbed sees the same world without header and side panels.
func TestEmbed(t *testing.T) {
	p := newTab(t, 768, 600)
	p.open("/embed?lesson=first-join", "")
	p.press("start")
	p.until("the stage", find("stage-authz"))
	require.False(t, js[bool](p, "!!document.querySelector('header') && document.querySelector('header').offsetHeight > 0"))
	p.shot("embed")
	p.silent()
}

// TestWithoutWorker has the engine in the page itself, asked for or because a
// Worker can't be had.
func TestWithoutWorker(t *testing.T) {
	for name, c := range map[string]struct{ path, before string }{
		"asked for": {"/?worker=0&lesson=first-join", ""},
		"not there": {"/?lesson=first-join", "delete window.Worker"},
		"forbidden": {"/?lesson=first-join", "window.Worker = function () { throw new DOMException('no', 'SecurityError') }"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newTab(t, 1440, 900)
			p.open(c.path, c.before)
			p.press("start")
			p.met("forbidden")
			p.silent()
		})
	}
}

// TestWithoutWebAssembly reads a sentence where the program can't run.
func TestWithoutWebAssembly(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/", "delete window.WebAssembly")
	p.until("a sentence about WebAssembly", "document.body.innerText.includes('WebAssembly')")
	require.NotContains(t, js[string](p, "document.body.innerText"), "Error:")
	p.shot("without-webassembly")
	p.silent()
}

// TestWithoutTheProgram reads a sentence where the download fails.
func TestWithoutTheProgram(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/", "const f = window.fetch; window.fetch = (u, ...o) => String(u.url ?? u).includes('.wasm') ? Promise.reject(new TypeError('Failed to fetch')) : f(u, ...o)")
	p.until("a sentence", "document.getElementById('failed').checkVisibility() && document.getElementById('failed').innerText.length > 40")
	p.shot("without-program")
	p.silent()
}
