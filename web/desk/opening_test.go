package desk

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/lessons"
)

func foretold(t *testing.T, cfg engine.Config) *seat {
	b, err := Foretell()
	require.NoError(t, err)
	o := ReadOpening(string(b))
	require.NotNil(t, o)
	lesson, _ := o.Lesson("")
	s := &seat{t: t, m: NewModel("en", false, lesson, cfg)}
	s.tell(Foretold{o})
	return s
}

// plain is a lesson as its files have it, and its world.
func plain(t *testing.T, id string) (*lessons.Lesson, engine.Config) {
	var none *Opening
	l, cfg := none.Lesson(id)
	require.NotNil(t, l)
	return l, cfg
}

// TestForetold uses the page before its engine is there, and finds all that
// was done kept when it comes.
func TestForetold(t *testing.T) {
	lesson, cfg := plain(t, "")
	s := foretold(t, cfg)
	require.True(t, s.m.Ready)
	require.Contains(t, s.draw(), "node-1")
	fresh := &seat{t: t, m: NewModel("en", false, lesson, cfg)}
	fresh.post(ToEngine{Open: &Open{Config: cfg}})
	require.Equal(t, fresh.m.Scene(), s.m.Scene(), "the picture that was foretold is the picture")
	s.m.Update(Pick{Kind: "file", ID: "node-1:/etc/kubernetes/bootstrap-kubelet.conf"})
	waiting := s.m.Update(Press{"start"})
	require.NotEmpty(t, waiting, "Start can be pressed")

	s.post(ToEngine{Open: &Open{Config: cfg}})
	require.NotNil(t, s.journal)
	require.Equal(t, "/etc/kubernetes/bootstrap-kubelet.conf", s.m.Sel.File, "what was picked stays picked")
	require.Len(t, s.m.Ledger.Marks, 0)
	require.Equal(t, fresh.m.View, s.m.View, "files that were left out are there")
	s.do(waiting)
	require.True(t, s.watch(20e9, s.met("forbidden")))
}

// TestForetoldOtherwise corrects a picture that another build drew, and passes
// over one of another world.
func TestForetoldOtherwise(t *testing.T) {
	_, cfg := plain(t, "")
	s := foretold(t, cfg)
	s.m.View.Digest = "of another build"
	s.m.View.Hosts = nil
	s.post(ToEngine{Open: &Open{Config: cfg}})
	require.NotNil(t, s.m.host("node-1"))

	cfg.Seed = "another"
	require.False(t, foretold(t, cfg).m.Ready)
	require.Nil(t, ReadOpening("no JSON"))
	require.Nil(t, ReadOpening("{}"))
}

// TestLessonOfAnAddress finds the lesson in the opening, in its files, or not.
func TestLessonOfAnAddress(t *testing.T) {
	read, _ := plain(t, "first-join")
	o := &Opening{Plan: read.Plan}
	o.Plan.Seed = "of the opening"
	l, cfg := o.Lesson("")
	require.Equal(t, "of the opening", cfg.Seed)
	for i, s := range read.Steps {
		require.Equal(t, s.Title("zh"), l.Steps[i].Title("zh"))
		require.Equal(t, s.Goal, l.Steps[i].Goal)
	}
	o.Plan.ID = "another"
	_, cfg = o.Lesson("")
	require.Equal(t, "first-join", cfg.Seed)
	l, _ = o.Lesson("none of that name")
	require.Nil(t, l)
	m := NewModel("en", false, nil, engine.Config{})
	require.Equal(t, m.text()("learn.none.title"), m.Scene().Left.Learn.Title)
}
