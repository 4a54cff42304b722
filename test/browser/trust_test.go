package browser

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTrust looks at who trusts whom: two CAs of one name are drawn apart, what would
// break is told, and the panel has room in every window and language.
func TestTrust(t *testing.T) {
	for _, lang := range []string{"en", "zh"} {
		t.Run(lang, func(t *testing.T) {
			p := newTab(t, 1440, 900)
			p.open("/?seed=trust&lang="+lang, "")
			p.press("start")
			p.press("tab-node-1")
			p.types("kubeadm init phase certs ca --cert-dir=/root/new; cat /etc/kubernetes/pki/ca.crt /root/new/ca.crt > /root/both.crt; cp /root/both.crt /etc/kubernetes/pki/ca.crt", "Generating")
			p.press("inspector-trust")
			p.until("two CAs of one name", "[..."+find("trust-cas")+".querySelectorAll('.t')].filter((e) => e.innerText === 'CN=kubernetes').length === 2")
			p.pause()
			require.Contains(t, js[string](p, find("trust-bundles")+".innerText"), "A+C")
			require.Contains(t, js[string](p, find("trust-breaks")+".innerText"), "x509: certificate signed by unknown authority")
			for _, size := range [][2]int64{{1440, 900}, {1024, 768}, {390, 844}} {
				p.resize(size[0], size[1])
				if size[0] < 1440 {
					js[bool](p, "("+find("tab-inspect")+".click(), true)")
					p.settle()
				}
				name := fmt.Sprintf("trust-%s-%d", lang, size[0])
				p.shot(name)
				require.LessOrEqual(t, js[int](p, "document.documentElement.scrollWidth"), int(size[0]), name+": nothing hangs out at the side")
			}
			p.silent()
		})
	}
}
