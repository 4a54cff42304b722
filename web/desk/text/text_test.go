package text

import (
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	placeholder = regexp.MustCompile(`\{[a-z]+\}`)
	code        = regexp.MustCompile("`[^`]*`")
)

// parity lists what a catalog has otherwise than the first.
func parity(a, b map[string]string) []string {
	var out []string
	for k, s := range a {
		t, ok := b[k]
		if !ok {
			out = append(out, k+" is missing")
			continue
		}
		for _, re := range []*regexp.Regexp{placeholder, code} {
			x, y := re.FindAllString(s, -1), re.FindAllString(t, -1)
			slices.Sort(x)
			slices.Sort(y)
			if !slices.Equal(slices.Compact(x), slices.Compact(y)) {
				out = append(out, k+" has other placeholders or code")
			}
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			out = append(out, k+" is too much")
		}
	}
	slices.Sort(out)
	return out
}

func TestParity(t *testing.T) {
	for _, l := range Langs[1:] {
		require.Empty(t, parity(catalog(Langs[0]), catalog(l)), l)
	}
}

func TestParityCanFail(t *testing.T) {
	a := map[string]string{"x": "{n} of `y`", "gone": "z", "same": "{a}"}
	b := map[string]string{"x": "{m} von `z`", "more": "", "same": "{a}, {a}"}
	require.Equal(t, []string{"gone is missing", "more is too much", "x has other placeholders or code", "x has other placeholders or code"}, parity(a, b))
}

func TestOf(t *testing.T) {
	require.Equal(t, "You are looking at the past, 12:00.", Of("en", "notice.past", "at", "12:00"))
	require.Equal(t, "no.such.key", Of("zh", "no.such.key"))
	require.Equal(t, Of("en", "tab.learn"), Of("tlh", "tab.learn"), "an unknown language falls back")
}

func TestChoose(t *testing.T) {
	require.Equal(t, "zh", Choose("fr-FR", "zh-Hans-CN", "en"))
	require.Equal(t, "en", Choose("fr"))
	require.Equal(t, "en", Choose())
}
