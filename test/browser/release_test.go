package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRelease goes to another release, by a new world and along with this one.
func TestRelease(t *testing.T) {
	for lang, size := range map[string][2]int64{"en": {1440, 900}, "zh": {390, 844}} {
		t.Run(lang, func(t *testing.T) {
			p := newTab(t, size[0], size[1])
			p.open("/?seed=another&lang="+lang, "")
			p.press("release")
			p.until("the panel", find("release-to")+".value === '1.36'")
			p.shot("release-same-" + lang)
			choose := func(r string) {
				js[any](p, find("release-to")+".value = '"+r+"', "+find("release-to")+".dispatchEvent(new Event('change'))")
				p.until("what differs", find("release-count")+".innerText.includes('"+r+"')")
			}
			choose("1.22")
			p.press("release-all")
			p.until("all that differs", "document.querySelectorAll('.change').length > 50")
			p.shot("release-diff-" + lang)
			require.Zero(t, js[int](p, "Math.max(0, document.documentElement.scrollWidth - innerWidth)"))
			p.press("release-anew")
			p.until("a world of 1.22", find("release")+".innerText.includes('1.22')")
			choose("1.23")
			p.press("release-along")
			p.until("the cluster is of 1.23", find("release")+".innerText.includes('1.23')")
			p.shot("release-along-" + lang)
			p.silent()
		})
	}
}
