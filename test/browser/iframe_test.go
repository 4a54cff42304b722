package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestInAFrame has a join in the frame of somebody else's page, once with an
// origin of its own and once in a sandbox without one.
func TestInAFrame(t *testing.T) {
	for name, sandbox := range map[string]string{"plain": "", "sandboxed": `sandbox="allow-scripts"`} {
		t.Run(name, func(t *testing.T) {
			docs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				fmt.Fprintf(w, `<!doctype html><link rel="icon" href="data:,"><h1>Docs</h1><iframe %s width="640" height="480" src="%s/embed?lesson=first-join&lang=en"></iframe>`, sandbox, site)
			}))
			t.Cleanup(docs.Close)
			p := newTab(t, 720, 640)
			p.openAt(docs.URL, "")
			in := p.inFrame
			in("the button start", find("start")+" && !"+find("start")+".disabled && ("+find("start")+".click(), true)")
			in("the 403", "[...document.querySelectorAll('.code span')].some((e) => e.innerText === '403 Forbidden')")
			in("no header, no sides", "!document.querySelector('#desk header, #desk aside')")
			in("nothing hangs out", "document.documentElement.scrollWidth <= 640")
			p.shot("frame-" + name)
			p.mu.Lock()
			defer p.mu.Unlock()
			require.Empty(t, p.said, "the console is silent")
		})
	}
}

// inFrame waits for a JavaScript condition in a frame of the site.
func (p *tab) inFrame(what, condition string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		p.mu.Lock()
		contexts := p.contexts
		p.mu.Unlock()
		for id, host := range contexts {
			if strings.HasPrefix(host, "http://") && host != site {
				continue
			}
			r, err := chromedp.Call(p.ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "!!(" + condition + ")", ContextID: id})
			if err == nil && r.Result != nil && string(r.Result.Value) == "true" {
				return
			}
		}
	}
	p.shot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
	require.FailNow(p.t, "this never came in the frame: "+what)
}

func quote(s string) string { return fmt.Sprintf("%q", s) }
