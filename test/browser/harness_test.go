package browser

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The program, the browser, and where screenshots go; make sets them.
var (
	program   = os.Getenv("JOINERY")
	chrome    = os.Getenv("CHROME")
	artifacts = os.Getenv("ARTIFACTS")
)

// patience is how long anything on the page may take, in wall time. It is
// long: two cores may be busy with other suites.
const patience = 60 * time.Second

// site is the address of the program's playground, http://127.0.0.1:PORT.
var site string

// allocator is the one browser of the suite; each test has its own context in
// it, with nothing kept from another.
var allocator context.Context

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if program == "" || chrome == "" {
		fmt.Println("the browser suite is run by `make test-browser`, which sets JOINERY and CHROME")
		return 1
	}
	if artifacts == "" {
		artifacts = filepath.Join(os.TempDir(), "joinery-artifacts")
	}
	if err := os.MkdirAll(artifacts, 0o755); err != nil {
		fmt.Println(err)
		return 1
	}
	serve := exec.Command(program, "serve", "--listen", "127.0.0.1:0")
	var err error
	if site, err = start(serve); err != nil {
		fmt.Println("joinery serve:", err)
		return 1
	}
	defer func() {
		serve.Process.Signal(os.Interrupt)
		serve.Wait()
	}()

	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options()...)
	defer cancel()
	ctx, quit := chromedp.NewContext(ctx)
	defer quit()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Println("the browser does not start:", err)
		return 1
	}
	allocator = ctx
	return m.Run()
}

// options are those of every browser of the suite.
func options() []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chrome),
		chromedp.NoSandbox,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		// A sandboxed frame stays in its page's process, where a test reaches it.
		chromedp.Flag("disable-features", "site-per-process,Translate,BlinkGenPropertyTrees,IsolateSandboxedIframes"),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(1440, 900),
		chromedp.WSURLReadTimeout(patience),
	)
}

// start starts `joinery serve` and returns the address that it prints.
func start(serve *exec.Cmd) (string, error) {
	serve.Stderr = os.Stderr
	out, err := serve.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := serve.Start(); err != nil {
		return "", err
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	i := strings.Index(line, "http://")
	if i < 0 {
		return "", fmt.Errorf("it said %q and no address", line)
	}
	return strings.TrimSpace(line[i:]), nil
}

// tab is one page, and what it did that a page must not do.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu      sync.Mutex
	said    []string // on the console, exceptions and the browser's log
	foreign []string // requests to other hosts

	contexts map[runtime.ExecutionContextID]string // of scripts, with their origin
}

// newTab opens a tab in a browser context of its own.
func newTab(t *testing.T, width, height int64) *tab {
	t.Helper()
	return newTabIn(t, allocator, width, height)
}

// newTabIn opens it in another browser than the suite's.
func newTabIn(t *testing.T, browser context.Context, width, height int64) *tab {
	t.Helper()
	p := &tab{t: t}
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	t.Cleanup(cancel)
	p.ctx = ctx
	p.do() // opens the tab, whose life is that of ctx without the limit below
	ctx, stop := context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(stop)
	p.ctx = ctx
	_, err := chromedp.Call(ctx, network.Enable, network.EnableParams{})
	require.NoError(t, err)
	p.do(chromedp.EmulateViewport(width, height))
	return p
}

func (p *tab) hear(ev any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		var words []string
		for _, a := range ev.Args {
			words = append(words, string(a.Value)+a.Description)
		}
		p.said = append(p.said, fmt.Sprintf("console.%s: %s", ev.Type, strings.Join(words, " ")))
	case *runtime.EventExecutionContextCreated:
		contexts := maps.Clone(p.contexts)
		if contexts == nil {
			contexts = map[runtime.ExecutionContextID]string{}
		}
		contexts[ev.Context.ID] = ev.Context.Origin
		p.contexts = contexts
	case *runtime.EventExceptionThrown:
		p.said = append(p.said, "exception: "+thrown(ev.ExceptionDetails))
	case *log.EventEntryAdded:
		p.said = append(p.said, fmt.Sprintf("%s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL))
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(ev.Request.URL)
		if err != nil || u.Host != "" && "http://"+u.Host != site {
			p.foreign = append(p.foreign, ev.Request.URL)
		}
	}
}

func thrown(d *runtime.ExceptionDetails) string {
	if d.Exception != nil {
		return d.Text + " " + d.Exception.Description
	}
	return d.Text
}

// silent requires that the console said nothing and no other host was asked.
func (p *tab) silent() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(p.t, p.said, "the console is silent")
	require.Empty(p.t, p.foreign, "no request to another host")
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, steps...))
}

// open goes to a path of the site. Before is JavaScript that runs ahead of the
// page's own, to take something away from it.
func (p *tab) open(path, before string) {
	p.t.Helper()
	p.openAt(site+path, before)
}

func (p *tab) openAt(address, before string) {
	p.t.Helper()
	if before != "" {
		_, err := chromedp.Call(p.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: before})
		require.NoError(p.t, err)
	}
	p.do(chromedp.Navigate(address))
}

// js evaluates an expression.
func js[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression))
	require.NoError(p.t, err, expression)
	return v
}

// later evaluates an expression that is a promise.
func later[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return v
}

// until waits for a JavaScript condition, in which await may stand; what names
// it when it never comes. The world may run meanwhile: what is to hold at one
// moment stands in one condition.
func (p *tab) until(what, condition string) {
	p.t.Helper()
	end := time.Now().Add(patience)
	for {
		ok, err := chromedp.Run(p.ctx, chromedp.Evaluate[bool]("(async () => !!("+condition+"))()", chromedp.EvalAwaitPromise))
		if err == nil && ok {
			return
		}
		if time.Now().After(end) {
			p.shot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
			p.mu.Lock()
			defer p.mu.Unlock()
			require.FailNow(p.t, "this never came: "+what, "%v; the console said %q", err, p.said)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// part is the selector of an element by its data-test.
func part(name string) chromedp.CSS { return chromedp.CSS(fmt.Sprintf("[data-test=%q]", name)) }

// find is JavaScript for the element by its data-test.
func find(name string) string {
	return fmt.Sprintf("document.querySelector('[data-test=%q]')", name)
}

// drawn is JavaScript for a promise that is kept when all that the page has
// heard by now is drawn: it draws by a timer, after a sixtieth of a second, and
// its timers come in their order, however late.
const drawn = "new Promise((f) => setTimeout(f, 50))"

// settle waits until what is drawn is what the page was told last, of which the
// engine knows.
func (p *tab) settle() {
	p.t.Helper()
	p.until("the page has settled", "await "+drawn+", "+find("timeline")+".ariaBusy === 'false'")
}

// still waits until a thing is there, enabled, uncovered, and doesn't move: a
// click would meet what was there.
func (p *tab) still(name string) {
	p.t.Helper()
	p.until(name+" that stands still", fmt.Sprintf(`await (async (e) => {
		if (!e || e.disabled) return false;
		e.scrollIntoViewIfNeeded();
		const at = () => { const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; };
		const was = at();
		await %s;
		return !e.disabled && was.join() === at().join() && e.contains(document.elementFromPoint(...was));
	})(%s)`, drawn, find(name)))
}

// press clicks a button when that is possible, and sees it done.
func (p *tab) press(name string) {
	p.t.Helper()
	p.still(name)
	p.do(chromedp.Click(part(name)))
	p.settle()
}

// key types keys at a thing, and sees it done.
func (p *tab) key(name, keys string) {
	p.t.Helper()
	p.do(chromedp.Focus(part(name)), chromedp.KeyEvent(keys))
	p.settle()
}

// resize makes the window that large, and sees the page drawn for it.
func (p *tab) resize(width, height int64) {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(width, height))
	p.until("the window", fmt.Sprintf("innerWidth === %d && (await new Promise(requestAnimationFrame), await %s, true)", width, drawn))
}

// met waits for a goal to be ticked off.
func (p *tab) met(goal string) {
	p.t.Helper()
	p.until("goal "+goal, find("goal-"+goal)+"?.dataset.met === 'true'")
}

// types types a line at the terminal and waits until its output has want.
func (p *tab) types(line, want string) {
	p.t.Helper()
	p.still("terminal-input")
	p.do(chromedp.Click(part("terminal-input")), chromedp.SendKeys(part("terminal-input"), line+"\r"))
	p.until("the output "+want, fmt.Sprintf("%s?.innerText.includes(%q)", find("terminal-output"), want))
}

// shot keeps a picture of the page.
func (p *tab) shot(name string) {
	p.t.Helper()
	png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Log("no screenshot:", err)
		return
	}
	require.NoError(p.t, os.WriteFile(filepath.Join(artifacts, name+".png"), png, 0o644))
}
