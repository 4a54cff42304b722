package browser

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// clashes lists texts of the stage and the timeline that run into each other,
// and texts that are cut while no title tells the whole.
//
// It looks at each line of each text node as it is drawn: its box, cut to the
// boxes of the elements around it that hide what hangs out. A line's box is
// taller than its letters (ascent and descent of the font), so two lines clash
// only where they share more than a quarter of the lower one's height, and
// more than 2 px of width, since glyphs have room at their sides. A text is cut
// when more than 1.5 px of its width, or a third of its height, is hidden:
// browsers round boxes to whole pixels and text to fractions.
const clashes = `(() => {
	const out = [], lines = [];
	const name = (e) => (e.dataset?.test || e.className || e.tagName) + "";
	for (const root of document.querySelectorAll(".canvas, .time")) {
		const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
		while (walk.nextNode()) {
			const node = walk.currentNode, e = node.parentElement, text = node.data.trim();
			if (!text || e.closest(".sr, [hidden], select, svg") || !e.checkVisibility({opacityProperty: false, visibilityProperty: true})) continue;
			const clips = [];
			for (let a = e; a && a !== root; a = a.parentElement) {
				const {overflowX} = getComputedStyle(a);
				if (overflowX !== "visible") clips.push(a.getBoundingClientRect());
			}
			const range = document.createRange();
			range.selectNodeContents(node);
			for (const r of range.getClientRects()) {
				if (r.width < 1) continue;
				const box = {l: r.left, t: r.top, r: r.right, b: r.bottom};
				for (const c of clips) {
					box.l = Math.max(box.l, c.left); box.t = Math.max(box.t, c.top);
					box.r = Math.min(box.r, c.right); box.b = Math.min(box.b, c.bottom);
				}
				const w = box.r - box.l, h = box.b - box.t;
				if ((r.width - Math.max(w, 0) > 1.5 || r.height - Math.max(h, 0) > r.height / 3) && !e.closest("[title]"))
					out.push("cut: " + JSON.stringify(text) + " in " + name(e));
				if (w > 0 && h > 0) lines.push({...box, e, text});
			}
		}
	}
	for (const [i, a] of lines.entries()) for (const b of lines.slice(0, i)) {
		if (a.e === b.e) continue;
		const w = Math.min(a.r, b.r) - Math.max(a.l, b.l), h = Math.min(a.b, b.b) - Math.max(a.t, b.t);
		if (w > 2 && h > Math.min(a.b - a.t, b.b - b.t) / 4)
			out.push("overlap: " + JSON.stringify(a.text) + " in " + name(a.e) + " and " + JSON.stringify(b.text) + " in " + name(b.e));
	}
	return lines.length > 20 ? [...new Set(out)] : ["there is next to no text: " + lines.length];
})()`

// TestTexts looks for texts that clash or are cut: on the joined world and a
// year later, at each size that the page is made for, in each language.
func TestTexts(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		t.Run(lang, func(t *testing.T) {
			p := newTab(t, 1440, 900)
			p.open("/?lesson=first-join&seed=first-join&lang="+lang, "")
			p.press("start")
			p.met("forbidden")
			p.press("bind")
			p.met("pending")
			p.press("approve")
			p.met("node")
			p.pause()
			p.clashFree("joined-" + lang)
			p.resize(1440, 900)
			p.press("bind-renewal")
			p.met("renewal")
			p.press("skip-year")
			p.met("rotated")
			p.until("the year is over", find("leaping")+".hidden")
			p.clashFree("year-" + lang)

			// That the detector sees: a text on another, and one that is cut.
			js[bool](p, "(() => { const c = document.querySelector('.cnote'); c.removeAttribute('title'); c.style.width = '20px'; const a = document.querySelector('.ip'); a.style.marginLeft = '-40px'; return true })()")
			require.Len(t, js[[]string](p, clashes), 2)
			p.silent()
		})
	}
}

func (p *tab) clashFree(name string) {
	p.t.Helper()
	for _, size := range [][2]int64{{1440, 900}, {1024, 768}, {390, 844}} {
		p.resize(size[0], size[1])
		layout := map[int64]string{1440: "wide", 1024: "narrow", 390: "phone"}[size[0]]
		require.Equal(p.t, layout, js[string](p, "document.getElementById('desk').dataset.layout"))
		name := fmt.Sprintf("texts-%s-%d", name, size[0])
		p.shot(name)
		require.Empty(p.t, js[[]string](p, clashes), name)
		require.LessOrEqual(p.t, js[int](p, "document.documentElement.scrollWidth"), int(size[0]), name+": nothing hangs out at the side")
	}
}
