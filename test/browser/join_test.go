package browser

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestJoin is a newcomer's way: a node joins by buttons, in each language, and
// a year later has rotated its certificate.
func TestJoin(t *testing.T) {
	for lang, words := range map[string][]string{
		"en": {"A node joins"},
		"zh": {"一个节点加入集群"},
	} {
		t.Run(lang, func(t *testing.T) {
			p := newTab(t, 1440, 900)
			p.open("/?lesson=first-join&seed=first-join", "")
			p.press("lang-" + lang)
			for _, w := range words {
				p.until(w, fmt.Sprintf("document.body.innerText.includes(%q)", w))
			}
			require.Equal(t, lang, js[string](p, "document.documentElement.lang.slice(0, 2)"))
			p.shot("start-" + lang)

			p.press("start")
			p.met("start")
			p.met("forbidden")
			p.shot("forbidden-" + lang)

			p.press("bind")
			p.met("bind")
			p.met("pending")
			p.until("a CSR that is Pending", find("csr-condition")+"?.innerText.includes('Pending')")
			p.shot("pending-" + lang)

			p.press("approve")
			p.met("approve")
			p.until("a CSR that is Issued", find("csr-condition")+"?.innerText.includes('Approved,Issued')")
			p.met("files")
			p.met("node")
			p.types("kubectl get nodes", "node-1")
			p.until("an empty line to type the next command on", find("terminal-input")+".value === ''")
			p.shot("joined-" + lang)

			p.press("bind-renewal")
			p.met("renewal")
			p.press("skip-year")
			p.met("rotated")
			p.shot("rotated-" + lang)
			p.silent()
		})
	}
}

// TestDeny sees that what is denied is not issued.
func TestDeny(t *testing.T) {
	p := newTab(t, 1440, 900)
	p.open("/?lesson=first-join&seed=first-join", "")
	p.press("start")
	p.met("forbidden")
	p.press("bind")
	p.met("pending")
	p.press("deny")
	p.until("a CSR that is Denied", find("csr-condition")+"?.innerText.includes('Denied')")
	require.Equal(t, "false", js[string](p, find("goal-approve")+".dataset.met"))
	p.silent()
}
