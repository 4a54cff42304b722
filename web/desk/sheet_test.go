package desk

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/web/desk/text"
)

// TestFieldsHaveWords looks at all certificates of a world that is joined: each
// field has a name in the catalogs, and its bytes stand in the dump.
func TestFieldsHaveWords(t *testing.T) {
	s := sit(t, "en")
	all := s.m.certificates()
	require.NotEmpty(t, all)
	for _, c := range all {
		sheets, err := pki.Explain([]byte(c.pem))
		require.NoError(t, err, c.id)
		for _, f := range sheets[0].Fields {
			require.True(t, text.Has("field."+f.Name), "field.%s of %s", f.Name, c.id)
		}
		n := 0
		for _, l := range dump(sheets[0], 1) {
			for _, h := range l.Spans {
				n += len(strings.Fields(h.Text))
			}
		}
		require.Equal(t, len(sheets[0].DER), n, "every byte is printed once")
	}
	s.tell(Pick{Kind: "cert", ID: all[0].id})
	s.tell(Pick{Kind: "field", N: 2})
	sc := s.m.Scene().Inspector
	require.Equal(t, "certificate", sc.Open)
	require.True(t, sc.Blocks[0].Rows[1].On)
}

func TestSheetOfNothing(t *testing.T) {
	s := sit(t, "en")
	require.Empty(t, s.m.sheet([]byte("no pem"), "x"))
	require.Nil(t, requestOf(`{"kind":"Node"}`))
	require.Nil(t, requestOf("not json"))
}
