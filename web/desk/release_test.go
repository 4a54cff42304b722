package desk

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
)

// A sentence about a fact is about one that some release has.
func TestMeanings(t *testing.T) {
	known := map[string]bool{}
	for _, r := range era.Releases() {
		for _, f := range era.Must(r).All() {
			known["era."+f.Name] = true
		}
	}
	b, err := os.ReadFile("text/en.json")
	require.NoError(t, err)
	var catalog map[string]string
	require.NoError(t, json.Unmarshal(b, &catalog))
	for key := range catalog {
		if strings.HasPrefix(key, "era.") {
			require.True(t, known[key], "%s: no release has that fact", key)
		}
	}
}

// The panel compares with another release and goes there in two ways.
func TestReleasePanel(t *testing.T) {
	m := NewModel("en", false, nil, engine.Config{Seed: "1"})
	m.Ready = true
	m.Update(Tab{"left", "release"})
	require.NotEmpty(t, m.Scene().Left.Release.None, "nothing differs from itself")

	m.Update(LookAt{"1.18"})
	p := m.Scene().Left.Release
	require.Equal(t, "Downgrade this cluster to 1.18", p.Along.Label)
	var told []string
	for _, c := range p.Told {
		told = append(told, c.Name)
	}
	require.Contains(t, told, "api/certificates.k8s.io/v1")
	require.Empty(t, p.Rest)
	m.Update(ShowAll{})
	require.NotEmpty(t, m.Scene().Left.Release.Rest)
	m.Update(LookAt{"1.99"})
	require.Equal(t, "1.18", m.Scene().Left.Release.To, "what is not there is not looked at")

	out := m.Update(TakeRelease{})
	require.Equal(t, "1.18", out[len(out)-1].Post.Open.Config.Release)
	m.Ready = true
	m.View.Release = "1.18"
	m.Update(LookAt{"1.19"})
	out = m.Update(TakeRelease{Along: true})
	require.Equal(t, &engine.Upgrade{Release: "1.19"}, out[0].Post.Input.Upgrade)
}
