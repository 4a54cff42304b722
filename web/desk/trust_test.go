package desk

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/web/desk/text"
)

// What is held and what is refused has words, of whatever use and kind it is.
func TestEveryTrustHasWords(t *testing.T) {
	b, err := os.ReadFile("../../engine/sim/held.go")
	require.NoError(t, err)
	uses := regexp.MustCompile(`(?m)^\t[A-Za-z]+ += "([a-z-]+)"`).FindAllStringSubmatch(string(b), -1)
	require.Greater(t, len(uses), 8)
	for _, m := range append(uses, []string{"", "aggregated-ca"}, []string{"", "volume-server-ca"}, []string{"", "volume-client"}) {
		require.True(t, text.Has("trust.use."+m[1]), m[1])
	}
	files, err := filepath.Glob("../../engine/trust*.go")
	require.NoError(t, err)
	n := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?:Kind: |Heals(?:, b\.(?:In|At))? = |return )"(client|server|signer|pin|reads|rotation)"`).FindAllStringSubmatch(string(b), -1) {
			n++
			require.True(t, text.Has("trust.break."+m[1]) || text.Has("trust.heals."+m[1]), m[1])
		}
	}
	require.Greater(t, n, 5)
}

// Who trusts whom is worked out while somebody looks at it, and is told in words and
// drawn in the inspector.
func TestTrustIsDrawnWhenItIsLookedAt(t *testing.T) {
	d := sit(t, "en")
	require.Nil(t, d.m.View.Trust)
	d.tell(Tab{"right", "trust"})
	require.NotNil(t, d.m.View.Trust)
	in := d.m.Scene().Inspector
	require.Equal(t, "Who trusts whom", in.Title)
	find := func(test string) Block {
		for _, b := range in.Blocks {
			if b.Test == test {
				return b
			}
		}
		t.Fatal(test)
		return Block{}
	}
	require.Equal(t, "A", find("trust-cas").Items[0].Chip)
	require.Equal(t, "Nothing.", find("trust-broken").Text)
	require.Contains(t, find("trust-breaks").Items[0].Note, "x509: certificate signed by unknown authority")
	require.Equal(t, "control-1/kube-apiserver trusts clients of", find("trust-bundles").Items[0].Text)
	for _, lang := range text.Langs {
		said := Trusts(lang, d.m.View.Trust)
		require.NotContains(t, said, "trust.", lang)
		require.NotRegexp(t, `\{[a-z]+\}`, said, lang)
		require.Contains(t, said, d.m.View.Trust.CAs[0].KeyID)
	}
	require.Contains(t, Trusts("en", d.m.View.Trust), "Would break if A went now:\n  - control-1/kube-controller-manager refuses control-1/kube-apiserver: tls: failed")
	d.tell(Tab{"right", "files"})
	d.tell(Drive{"pause"})
	require.Nil(t, d.m.View.Trust)
}
