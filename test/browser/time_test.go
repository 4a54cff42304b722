package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// TestBackInTime drags a joined world back to before its first refusal, sees
// that moment and nothing later, can do nothing there, goes on from it and lets the
// join end otherwise.
func TestBackInTime(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=en", "")
	p.press("start")
	p.met("forbidden")
	p.press("bind")
	p.met("pending")
	p.press("approve")
	p.until("the node has joined", find("kubelet-phase")+".innerText === 'joined' && "+find("node-status"))
	p.press("pause")
	p.until("time stands", find("play"))
	joined := p.clock()
	p.press("inspector-csr")
	p.until("the CSR in the inspector", "document.querySelector('aside.right h2').innerText.startsWith('csr-')")

	// To the left of the refusal, where the request is on its way.
	to := js[float64](p, "document.querySelector('.mark[data-tone=no]').getBoundingClientRect().left - 1")
	p.drag(js[float64](p, "document.querySelector('.cursor').getBoundingClientRect().left"), to)
	p.until("the past", find("notice")+".dataset.tone === 'past'")
	p.until("the cursor is where the knob was dropped", fmt.Sprintf("Math.abs(document.querySelector('.cursor').getBoundingClientRect().left - %f) < 3", to))
	p.until("the inspector has no CSR", "document.querySelector('aside.right h2').innerText === 'No CSR yet'")
	require.False(t, js[bool](p, "!!document.querySelector('.csr')"), "the stage has no CSR")
	require.False(t, js[bool](p, "!!"+find("node-status")), "the node has not joined")
	require.NotEqual(t, "joined", js[string](p, find("kubelet-phase")+".innerText"))
	require.Equal(t, "idle", js[string](p, find("stage-etcd")+".dataset.state"))
	require.Less(t, p.clock(), joined)
	require.Empty(t, js[[]string](p, "[...document.querySelectorAll('.actions button:enabled')].map((b) => b.innerText)"), "nothing can be pressed in the past")
	require.True(t, js[bool](p, find("terminal-input")+".disabled"), "nothing can be typed in the past")
	p.shot("past")

	p.press("continue")
	p.until("the present", find("notice")+".hidden")
	require.False(t, js[bool](p, "!!document.querySelector('.csr')"), "what came later is gone")
	p.press("play")
	p.until("the refusal again", find("stage-authz")+".dataset.state === 'no'")
	p.press("inspector-request")
	p.until("it is in the inspector", find("request-answer")+"?.innerText.startsWith('403 Forbidden')")
	p.press("bind")
	p.until("a CSR again", "document.querySelector('.csr')")
	p.press("deny")
	p.until("a CSR that is Denied", find("csr-condition")+"?.innerText.includes('Denied')")
	require.False(t, js[bool](p, "!!"+find("node-status")), "no node this time")
	p.shot("past-otherwise")
	p.silent()
}

// TestBackInTimeByKeyboard goes back and forth with the keys alone.
func TestBackInTimeByKeyboard(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=en", "")
	p.press("start")
	p.met("forbidden")
	p.press("pause")
	p.until("time stands", find("play"))
	now := p.clock()
	count := js[string](p, find("event-count")+".innerText")

	key := func(name, key string) {
		p.do(chromedp.Focus(part(name)), chromedp.KeyEvent(key))
	}
	key("step-back", kb.Enter)
	p.until("the past", find("notice")+".dataset.tone === 'past'")
	require.LessOrEqual(t, p.clock(), now)
	was := js[string](p, find("event-count")+".innerText")
	require.NotEqual(t, count, was)
	// However much happened before time stood, some steps back there was no
	// refusal yet; the same way forth there is.
	refused := "document.querySelector('.stagechip[data-state=no]') !== null"
	for js[bool](p, refused) {
		was = js[string](p, find("event-count")+".innerText")
		key("step-back", kb.Enter)
		p.until("one more event back", find("event-count")+".innerText !== "+quote(was))
	}
	p.again("the refusal again", refused, func() { key("step", kb.Enter) })

	// A key moves the knob by a step, however slowly the past is drawn.
	key("timeline", kb.Home)
	p.until("the knob at the start", find("timeline")+".valueAsNumber === 0 && "+find("notice")+".dataset.tone === 'past'")
	key("timeline", strings.Repeat(kb.ArrowRight, 30))
	p.until("the knob went forth", find("timeline")+".valueAsNumber === 30")
	key("timeline", strings.Repeat(kb.ArrowLeft, 10))
	p.until("the knob went back", find("timeline")+".valueAsNumber === 20")
	// There is nothing after the present.
	key("timeline", kb.End)
	p.until("the knob at the present", find("notice")+".hidden")
	require.Less(t, js[int](p, find("timeline")+".valueAsNumber"), 1000)
	key("timeline", strings.Repeat(kb.ArrowLeft, 10))
	p.until("the past again", find("notice")+".dataset.tone === 'past'")
	key("live", kb.Enter)
	p.until("the present", find("notice")+".hidden && "+find("clock")+".innerText === "+quote(now))
	p.silent()
}

// TestTransport runs time, stops it, lets it take one step, and runs it faster.
func TestTransport(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=zh", "")
	begin := "2026-01-01 00:00:00Z"
	p.press("play")
	p.until("time runs", find("clock")+".innerText > "+quote(begin))
	p.press("pause")
	p.until("time stands", find("play"))
	stood := p.clock()
	time.Sleep(1500 * time.Millisecond)
	require.Equal(t, stood, p.clock(), "it stays where it was stopped")

	p.press("start")
	p.until("the refusal", find("stage-authz")+".dataset.state === 'no'")
	p.press("pause")
	p.until("time stands", find("play"))
	p.press("first")
	p.until("the start", find("clock")+".innerText === "+quote(begin)+" && "+find("stage-authz")+".dataset.state === 'idle'")
	p.until("the past", "!"+find("notice")+".hidden")
	steps := 0
	p.again("the present, by steps", find("notice")+".hidden", func() {
		require.True(t, js[bool](p, "!!"+find("play")), "time stands between steps")
		p.press("step")
		steps++
	})
	require.Greater(t, steps, 1)
	require.Equal(t, "no", js[string](p, find("stage-authz")+".dataset.state"), "steps lead to the refusal, and so to the present")

	p.speed(hourASecond)
	before := p.moment()
	p.press("play")
	p.until("an hour a second", fmt.Sprintf("new Date(%s.innerText.replace(' ', 'T')) - new Date(%q) > 20 * 60e3", find("clock"), before.Format(time.RFC3339)))
	p.press("pause")
	p.until("time stands", find("play"))
	p.silent()
}

// again does something over and over until the page shows that it was enough.
func (p *tab) again(what, condition string, do func()) {
	p.t.Helper()
	for end := time.Now().Add(patience); !js[bool](p, condition); time.Sleep(100 * time.Millisecond) {
		require.True(p.t, time.Now().Before(end), "this never came: "+what)
		do()
	}
}

// Choices of the speed of time, as they stand in the list.
const (
	tenASecond  = 2
	hourASecond = 4
)

// speed chooses how fast time runs, by the keys of a list.
func (p *tab) speed(index int) {
	p.t.Helper()
	p.do(chromedp.Focus(part("speed")), chromedp.KeyEvent(kb.Home+strings.Repeat(kb.ArrowDown, index)))
	p.until("the speed is chosen", fmt.Sprintf("%s.value === '%d'", find("speed"), index))
}

// clock is the time that the page shows.
func (p *tab) clock() string {
	p.t.Helper()
	return js[string](p, find("clock")+".innerText")
}

func (p *tab) moment() time.Time {
	p.t.Helper()
	at, err := time.Parse("2006-01-02 15:04:05Z", p.clock())
	require.NoError(p.t, err)
	return at
}

// drag takes the timeline's knob with the pointer and leaves it elsewhere.
func (p *tab) drag(from, to float64) {
	p.t.Helper()
	y := js[float64](p, "(({top, height}) => top + height / 2)("+find("timeline")+".getBoundingClientRect())")
	mouse := func(what input.DispatchMouseEventType, x float64) {
		p.do(chromedp.MouseEvent(what, x, y, chromedp.ButtonLeft))
	}
	mouse(input.DispatchMouseEventTypeMousePressed, from)
	const steps = 12
	for i := 1; i <= steps; i++ {
		mouse(input.DispatchMouseEventTypeMouseMoved, from+(to-from)*float64(i)/steps)
	}
	mouse(input.DispatchMouseEventTypeMouseReleased, to)
}
