package browser

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// TestDownload has the program arrive slowly: a bar tells how much is there,
// below a still stage, at both ends of the sizes; then comes the real one.
func TestDownload(t *testing.T) {
	p := newTab(t, 1440, 900)
	_, err := chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: 1 << 17, UploadThroughput: -1}},
	})
	require.NoError(t, err)
	p.open("/?lang=en", "")
	const value = "document.getElementById('loading-bar')?.value"
	p.until("bytes", value+" > 0.05 && "+value+" < 0.9")
	p.shot("download")
	early := js[float64](p, value)
	require.Regexp(t, `^\d+\.\d / \d\d\.\d MB$`, js[string](p, "document.getElementById('loading-bytes').innerText"))
	still := "(([svg]) => svg && svg.getBoundingClientRect().width > 300 && getComputedStyle(svg).display !== 'none')([...document.querySelectorAll('.stillstage svg')].filter((e) => e.checkVisibility()))"
	require.True(t, js[bool](p, still), "a still stage")
	p.resize(390, 844)
	require.True(t, js[bool](p, still), "one for phones")
	require.LessOrEqual(t, js[int](p, "document.documentElement.scrollWidth"), 390)
	p.shot("download-390")
	p.until("more bytes", value+" > "+fmt.Sprint(early))

	_, err = chromedp.Call(p.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{DownloadThroughput: -1, UploadThroughput: -1}},
	})
	require.NoError(t, err)
	p.until("the desk", find("start")+" && !"+find("start")+".disabled && !document.querySelector('#still')?.checkVisibility()")
	p.silent()
}
