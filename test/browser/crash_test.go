package browser

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// keepWorkers keeps the page's Workers at hand, so that one can be lost, and
// notes of each that its engine has told of a world.
const keepWorkers = `(() => {
	const W = window.Worker;
	window.workers = [];
	window.Worker = function (...a) {
		const w = new W(...a);
		w.addEventListener("message", (e) => { w.told ||= typeof e.data === "string"; });
		window.workers.push(w);
		return w;
	};
})()`

// TestCrash loses the engine in the middle of a join, as when its program
// dies, and goes on from the journal that was kept outside it.
func TestCrash(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join", keepWorkers)
	p.press("start")
	p.met("forbidden")
	p.press("bind")
	p.met("pending")
	p.pause()
	name := js[string](p, "document.querySelector('.csr span').innerText")

	const lose = "(() => { const w = workers.at(-1), tell = w.onmessage; w.terminate(); tell({data: {crash: 'fatal error: all goroutines are asleep'}}); })()"
	p.do(chromedp.Evaluate[chromedp.Void](lose))
	p.until("a sentence, not a trace", "!document.getElementById('crash').hidden && document.getElementById('crash').innerText.includes('This world stopped.')")
	p.shot("crash")
	p.journal("\"kubectl create clusterrolebinding kubelet-bootstrap ")
	p.press("crash-again")
	p.until("the box is gone", "document.getElementById('crash').hidden")
	p.until("the world again", "workers.length === 2 && workers[1].told && (await "+drawn+", true)")
	require.Equal(t, name, js[string](p, "document.querySelector('.csr span')?.innerText"), "the same CSR")
	require.Len(t, js[[]string](p, "[...document.querySelectorAll('[data-test^=goal-][data-met=true]')].map((e) => e.dataset.test)"), 4, "goals stay ticked")
	p.press("approve")
	p.met("node")
	p.silent()
}

// journal downloads the journal from the crash box, as a file, and makes its
// world again outside the browser: it comes to the same digest. Input is
// something that was done in it.
func (p *tab) journal(input string) {
	p.t.Helper()
	dir := p.t.TempDir()
	_, err := chromedp.CallBrowser(p.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	})
	require.NoError(p.t, err)
	p.press("crash-save")
	file := filepath.Join(dir, "joinery-journal.json")
	require.Eventually(p.t, func() bool {
		_, err := os.Stat(file) // it has another name until it is whole
		return err == nil
	}, patience, 50*time.Millisecond, "the download")
	b, err := os.ReadFile(file)
	require.NoError(p.t, err)
	require.Contains(p.t, string(b), input)

	replay := exec.Command("go", "run", "./tools/replay", file)
	replay.Dir = filepath.FromSlash("../..")
	out, err := replay.CombinedOutput()
	require.NoError(p.t, err, string(out))
	require.Contains(p.t, string(out), "digest ")
}
