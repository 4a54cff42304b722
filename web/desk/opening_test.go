package desk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

func foretold(t *testing.T, cfg engine.Config) *seat {
	b, err := Foretell()
	require.NoError(t, err)
	lesson, _ := Usual()
	s := &seat{t: t, m: NewModel("en", false, lesson, cfg)}
	s.tell(Foretold(b))
	return s
}

// TestForetold uses the page before its engine is there, and finds all that
// was done kept when it comes.
func TestForetold(t *testing.T) {
	_, cfg := Usual()
	s := foretold(t, cfg)
	require.True(t, s.m.Ready)
	first := s.draw()
	require.Contains(t, first, "node-1")
	s.m.Update(Pick{Kind: "file", ID: "node-1:/etc/kubernetes/bootstrap-kubelet.conf"})
	waiting := s.m.Update(Press{"start"})
	require.NotEmpty(t, waiting, "Start can be pressed")

	s.post(ToEngine{Open: &Open{Config: cfg}})
	require.NotNil(t, s.journal)
	require.Equal(t, "/etc/kubernetes/bootstrap-kubelet.conf", s.m.Sel.File, "what was picked stays picked")
	require.Len(t, s.m.Ledger.Marks, 0)
	s.do(waiting)
	require.True(t, s.watch(20e9, s.met("forbidden")))

	fresh := &seat{t: t, m: NewModel("en", false, "first-join", cfg)}
	fresh.post(ToEngine{Open: &Open{Config: cfg}})
	require.Equal(t, fresh.draw(), first, "the picture that was foretold is the picture")
}

// TestForetoldOtherwise corrects a picture that another build drew, and passes
// over one of another world.
func TestForetoldOtherwise(t *testing.T) {
	_, cfg := Usual()
	s := foretold(t, cfg)
	s.m.View.Digest = "of another build"
	s.m.View.Hosts = nil
	s.post(ToEngine{Open: &Open{Config: cfg}})
	require.NotNil(t, s.m.host("node-1"))

	cfg.Seed = "another"
	require.False(t, foretold(t, cfg).m.Ready)
	s = foretold(t, cfg)
	s.tell(Foretold("no JSON"))
	require.False(t, s.m.Ready)
}
