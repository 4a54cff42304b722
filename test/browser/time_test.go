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
	p.pause()
	joined := p.clock()
	p.press("inspector-csr")
	p.until("the CSR in the inspector", "document.querySelector('aside.right h2').innerText.startsWith('csr-')")

	// To the left of the refusal, where the request is on its way.
	to := js[float64](p, "document.querySelector('.mark[data-tone=no]').getBoundingClientRect().left - 1")
	p.drag(js[float64](p, "document.querySelector('.cursor').getBoundingClientRect().left"), to)
	require.Equal(t, "past", js[string](p, find("notice")+".dataset.tone"))
	require.InDelta(t, to, js[float64](p, "document.querySelector('.cursor').getBoundingClientRect().left"), 3, "the cursor is where the knob was dropped")
	require.Equal(t, "No CSR yet", js[string](p, "document.querySelector('aside.right h2').innerText"))
	require.False(t, js[bool](p, "!!document.querySelector('.csr')"), "the stage has no CSR")
	require.False(t, js[bool](p, "!!"+find("node-status")), "the node has not joined")
	require.NotEqual(t, "joined", js[string](p, find("kubelet-phase")+".innerText"))
	require.Equal(t, "idle", js[string](p, find("stage-etcd")+".dataset.state"))
	require.Less(t, p.clock(), joined)
	require.Empty(t, js[[]string](p, "[...document.querySelectorAll('.actions button:enabled')].map((b) => b.innerText)"), "nothing can be pressed in the past")
	require.True(t, js[bool](p, find("terminal-input")+".disabled"), "nothing can be typed in the past")
	p.shot("past")

	p.press("continue")
	require.True(t, js[bool](p, find("notice")+".hidden"), "the present")
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
	p.pause()
	now := p.clock()
	count := js[string](p, find("event-count")+".innerText")

	past := find("notice") + ".dataset.tone === 'past'"
	p.key("step-back", kb.Enter)
	require.True(t, js[bool](p, past))
	require.LessOrEqual(t, p.clock(), now)
	was := js[string](p, find("event-count")+".innerText")
	require.NotEqual(t, count, was)
	// However much happened before time stood, some steps back there was no
	// refusal yet; the same way forth there is.
	refused := "document.querySelector('.stagechip[data-state=no]') !== null"
	for js[bool](p, refused) {
		was = js[string](p, find("event-count")+".innerText")
		p.key("step-back", kb.Enter)
		require.NotEqual(t, was, js[string](p, find("event-count")+".innerText"), "one more event back")
	}
	p.again("the refusal again", refused, func() { p.key("step", kb.Enter) })

	// A key moves the knob by a step, however slowly the past is drawn.
	knob := find("timeline") + ".valueAsNumber"
	p.key("timeline", kb.Home)
	require.Zero(t, js[int](p, knob))
	require.True(t, js[bool](p, past))
	p.key("timeline", strings.Repeat(kb.ArrowRight, 30))
	require.Equal(t, 30, js[int](p, knob))
	p.key("timeline", strings.Repeat(kb.ArrowLeft, 10))
	require.Equal(t, 20, js[int](p, knob))
	// There is nothing after the present.
	p.key("timeline", kb.End)
	require.True(t, js[bool](p, find("notice")+".hidden"), "the present")
	require.Less(t, js[int](p, knob), 1000)
	p.key("timeline", strings.Repeat(kb.ArrowLeft, 10))
	require.True(t, js[bool](p, past))
	p.key("live", kb.Enter)
	require.True(t, js[bool](p, find("notice")+".hidden"), "the present")
	require.Equal(t, now, p.clock())
	p.silent()
}

// TestTransport runs time, stops it, lets it take one step, and runs it faster.
func TestTransport(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=zh", "")
	begin := "2026-01-01 00:00:00Z"
	p.press("play")
	p.until("time runs", find("clock")+".innerText > "+quote(begin))
	p.pause()
	stood := p.clock()
	time.Sleep(1500 * time.Millisecond)
	require.Equal(t, stood, p.clock(), "it stays where it was stopped")

	p.press("start")
	p.until("the refusal", find("stage-authz")+".dataset.state === 'no'")
	p.pause()
	// Time may have gone on to the next try before it stood.
	authz := find("stage-authz") + ".dataset.state"
	now, state := p.clock(), js[string](p, authz)
	p.press("first")
	require.Equal(t, begin, p.clock())
	require.Equal(t, "idle", js[string](p, authz))
	require.False(t, js[bool](p, find("notice")+".hidden"), "the past")
	steps, refusals := 0, 0
	p.again("the present, by steps", find("notice")+".hidden", func() {
		require.True(t, js[bool](p, "!!"+find("play")), "time stands between steps")
		p.press("step")
		steps++
		if js[string](p, authz) == "no" {
			refusals++
		}
	})
	require.Greater(t, steps, 1)
	require.Positive(t, refusals, "steps lead to the refusal")
	require.Equal(t, now, p.clock(), "and so to the present")
	require.Equal(t, state, js[string](p, authz))

	p.speed(hourASecond)
	before := p.moment()
	p.press("play")
	p.until("an hour a second", fmt.Sprintf("new Date(%s.innerText.replace(' ', 'T')) - new Date(%q) > 20 * 60e3", find("clock"), before.Format(time.RFC3339)))
	p.pause()
	p.silent()
}

// pause has time stand.
func (p *tab) pause() {
	p.t.Helper()
	p.press("pause")
	require.True(p.t, js[bool](p, "!!"+find("play")), "time stands")
}

// again does something over and over until the page shows that it was enough.
func (p *tab) again(what, condition string, do func()) {
	p.t.Helper()
	for end := time.Now().Add(patience); !js[bool](p, condition); {
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
	p.key("speed", kb.Home+strings.Repeat(kb.ArrowDown, index))
	require.Equal(p.t, fmt.Sprint(index), js[string](p, find("speed")+".value"))
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

// drag takes the timeline's knob with the pointer and leaves it elsewhere, where
// its moment is drawn.
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
	p.settle()
}
