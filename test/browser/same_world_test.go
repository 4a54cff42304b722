package browser

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// teller tells a story to the page's engine as the page does: app.wasm in a
// Worker of boot.js, one message for each input, a leap for the time between
// two of them. It also says in which zone and language that Worker lives.
const teller = `(async (story) => {
	const where = await new Promise((resolve) => {
		const say = "const o = Intl.DateTimeFormat().resolvedOptions(); postMessage(o.timeZone + ' ' + o.locale)";
		new Worker(URL.createObjectURL(new Blob([say], {type: "text/javascript"}))).onmessage = (e) => resolve(e.data);
	});
	const worker = new Worker("boot.js");
	const heard = [], waiting = [];
	worker.onmessage = ({data}) => {
		if (data.crash) data = JSON.stringify({crash: data.crash});
		if (typeof data !== "string") return;
		heard.push(JSON.parse(data));
		waiting.splice(0).forEach((f) => f());
	};
	const until = async (good) => {
		for (;;) {
			while (heard.length) {
				const m = heard.shift();
				if (!m.n) worker.postMessage('{"heard":true}');
				if (m.crash || m.error) throw new Error(m.crash || m.error);
				if (good(m)) return m;
			}
			await new Promise((f) => waiting.push(f));
		}
	};
	const ask = (m, good) => { worker.postMessage(JSON.stringify(m)); return until(good); };
	worker.postMessage({module: await WebAssembly.compileStreaming(fetch("app.wasm"))});
	const live = (m) => new Date(m.live).getTime();
	let now = live(await ask({open: {config: story.config}}, (m) => m.opened));
	const pass = async (to) => {
		const d = Date.parse(to) - now;
		if (d > 0) now = live(await ask({leap: d * 1e6}, (m) => !m.playing && live(m) === now + d));
	};
	for (const {at, ...input} of story.inputs) {
		await pass(at);
		await ask({input}, (m) => m.journal);
	}
	await pass(story.end);
	const {sum} = await ask({sum: true}, (m) => m.sum);
	worker.terminate();
	return {where, sum};
})`

// TestSameWorld tells the story of engine's test of the same name to the
// engine in Chromium, at the other end of the earth and in another language:
// it comes to the same Observations and disks as natively and in Node.
func TestSameWorld(t *testing.T) {
	story, err := os.ReadFile(filepath.FromSlash("../../engine/testdata/same-world.json"))
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.FromSlash("../../engine/testdata/same-world.txt"))
	require.NoError(t, err)

	ctx, cancel := chromedp.NewExecAllocator(context.Background(), append(options(),
		chromedp.Env("TZ=Pacific/Auckland", "LANG=tr_TR.UTF-8"))...)
	t.Cleanup(cancel)
	ctx, quit := chromedp.NewContext(ctx)
	t.Cleanup(quit)
	require.NoError(t, chromedp.Do(ctx), "another browser starts")
	p := newTabIn(t, ctx, 800, 600)
	_, err = chromedp.Call(p.ctx, emulation.SetLocaleOverride, emulation.SetLocaleOverrideParams{Locale: "tr-TR"})
	require.NoError(t, err)
	p.open("/", "")
	tell := func(story string) (where, sum string) {
		got := later[struct{ Where, Sum string }](p, teller+"("+story+")")
		return got.Where, got.Sum
	}
	where, sum := tell(string(story))
	require.Equal(t, "Pacific/Auckland tr-TR", where, "the zone and language that this is to be independent of")
	require.Equal(t, string(want), sum)

	// That the digest tells worlds apart: another seed is another world.
	var other struct {
		Config map[string]any `json:"config"`
		Inputs []any          `json:"inputs"`
		End    string         `json:"end"`
	}
	require.NoError(t, json.Unmarshal(story, &other))
	other.Config["seed"], other.Inputs, other.End = "another", other.Inputs[:1], "2026-01-01T00:00:00Z"
	b, err := json.Marshal(other)
	require.NoError(t, err)
	_, sum = tell(string(b))
	require.Contains(t, sum, "observations ")
	require.NotEqual(t, string(want), sum)
	p.silent()
}
