package browser

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// TestSigningDuration turns the flag between two certificates: the first lives
// an hour, the one that replaces it thirty days.
func TestSigningDuration(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=zh", "")
	p.flag("cluster-signing-duration", "1h0m0s")
	p.press("start")
	p.until("the refusal", find("stage-authz")+".dataset.state === 'no'")
	p.press("bind")
	p.press("approve")
	p.press("inspector-certificate")
	p.until("the certificate on the node's disk", title+".startsWith('kubelet-client-2')")
	first := js[string](p, title)
	require.Equal(t, time.Hour+5*time.Minute, p.lifetime(), "a short one is backdated at its beginning alone")

	p.flag("cluster-signing-duration", "720h0m0s")
	p.press("bind-renewal")
	p.speed(hourASecond)
	p.until("the certificate that replaced it", title+".startsWith('kubelet-client-2') && "+title+" !== "+quote(first))
	p.pause()
	require.Equal(t, 720*time.Hour, p.lifetime())
	p.shot("signing-duration")

	p.press("inspector-files")
	p.until("the file is open", `document.querySelector('pre[data-verbatim=true]')?.innerText.includes('BEGIN CERTIFICATE') ||
		([...document.querySelectorAll('[data-test=file]')].find((e) => e.innerText.startsWith('kubelet-client-2')).click(), false)`)
	require.InDelta(t, 0, js[float64](p, `(([pre]) => {
		const r = document.createRange();
		r.selectNodeContents(pre);
		return r.getBoundingClientRect().height / parseFloat(getComputedStyle(pre).lineHeight) - pre.innerText.trimEnd().split("\n").length;
	})(document.querySelectorAll('pre[data-verbatim=true]'))`), 1, "a line of PEM is a line")
	p.shot("pem")
	p.silent()
}

// TestControllers leaves one controller out and then another, where a binding
// lets the first of them approve by itself: without csrapproving a CSR stays
// Pending, without csrsigning Approved, and with both it is issued.
func TestControllers(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join&lang=en", "")
	p.flag("controllers", "*,-csrapproving")
	p.until("csrapproving is off", ctrl("csrapproving")+".dataset.on === 'false' && "+ctrl("csrsigning")+".dataset.on === 'true'")
	p.types("kubectl create clusterrolebinding by-itself --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers", "clusterrolebinding.rbac.authorization.k8s.io/by-itself created")
	p.press("bind")
	p.press("start")
	p.until("a CSR that is Pending", condition+" === 'Pending'")
	p.speed(tenASecond)
	p.lasts("Pending", time.Minute)
	p.shot("without-csrapproving")

	p.flag("controllers", "*,-csrsigning")
	p.until("a CSR that is Approved", condition+" === 'Approved'")
	p.lasts("Approved", time.Minute)
	require.Equal(t, "false", js[string](p, ctrl("csrsigning")+".dataset.on"))
	p.shot("without-csrsigning")

	p.flag("controllers", "*")
	p.until("a CSR that is Issued", condition+" === 'Approved,Issued'")
	p.met("node")
	p.silent()
}

// TestFlagRefused writes a value that does not parse: one sentence says so,
// above the buttons and beside nothing.
func TestFlagRefused(t *testing.T) {
	for lang, words := range map[string]string{"en": "That did not work: ", "zh": "没有成功："} {
		t.Run(lang, func(t *testing.T) {
			p := newTab(t, 1440, 900)
			p.open("/?lesson=first-join&seed=first-join&lang="+lang, "")
			p.write("cluster-signing-duration", "1 hour")
			require.Equal(t, "no", js[string](p, find("notice")+".dataset.tone"), "a sentence")
			said := js[string](p, find("notice")+".innerText")
			require.Contains(t, said, words)
			require.Contains(t, said, "1 hour")
			for _, size := range [][2]int64{{1440, 900}, {390, 844}} {
				p.resize(size[0], size[1])
				p.until("it is in the window, above the buttons", `((n, a) => n.left >= 0 && n.right <= innerWidth && n.top > 0 && n.bottom <= a.top + 1 && n.height < 120)(`+
					find("notice")+`.getBoundingClientRect(), document.querySelector('.actions').getBoundingClientRect())`)
				p.shot(fmt.Sprintf("refused-%s-%d", lang, size[0]))
			}
			p.silent()
		})
	}
}

// condition and title are JavaScript for what the stage says of the latest CSR,
// and what the inspector has open.
const (
	condition = "document.querySelector('[data-test=csr-condition]')?.innerText"
	title     = "document.querySelector('aside.right h2').innerText"
)

// ctrl is JavaScript for a controller's chip on the stage.
func ctrl(name string) string {
	return fmt.Sprintf("[...document.querySelectorAll('.ctrl')].find((e) => e.innerText === %q)", name)
}

// lasts requires that a CSR's condition is the same after that much time.
func (p *tab) lasts(want string, d time.Duration) {
	p.t.Helper()
	for end := p.moment().Add(d); p.moment().Before(end); time.Sleep(100 * time.Millisecond) {
		if js[bool](p, find("play")+" !== null") {
			p.press("play")
		}
		require.Equal(p.t, want, js[string](p, condition))
	}
}

// flag writes a flag's value into its field, as a person does, and goes back to
// the lesson.
func (p *tab) flag(name, value string) {
	p.t.Helper()
	p.write(name, value)
	p.press("tab-learn")
}

func (p *tab) write(name, value string) {
	p.t.Helper()
	field := "flag-" + name
	p.press("tab-flags")
	p.until("the field of --"+name, find(field)+" && !"+find(field)+".disabled")
	p.do(chromedp.Focus(part(field)), chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	p.key(field, value+kb.Enter)
	require.Equal(p.t, value, js[string](p, find(field)+".value"))
}

// lifetime is that of the certificate in the inspector.
func (p *tab) lifetime() time.Duration {
	p.t.Helper()
	var at [2]time.Time
	for i, name := range []string{"notBefore", "notAfter"} {
		s := js[string](p, fmt.Sprintf("[...document.querySelectorAll('aside.right dt')].find((e) => e.innerText === %q).nextElementSibling.innerText", name))
		var err error
		at[i], err = time.Parse("2006-01-02 15:04:05Z", s)
		require.NoError(p.t, err)
	}
	return at[1].Sub(at[0])
}
