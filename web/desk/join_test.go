package desk

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
)

// seat is a desk and its player, joined by JSON as they are in life.
type seat struct {
	t *testing.T
	m *Model
	e Engine
	// journal and crash are what was to be kept and shown.
	journal json.RawMessage
	crash   string
}

func sit(t *testing.T, lang string) *seat {
	lesson, _ := plain(t, "first-join")
	s := &seat{t: t, m: NewModel(lang, false, lesson, engine.Config{Seed: "desk"})}
	s.post(ToEngine{Open: &Open{Config: s.m.Config}})
	require.True(t, s.m.Ready)
	return s
}

func (s *seat) do(cmds []Command) {
	for _, c := range cmds {
		switch {
		case c.Post != nil:
			s.post(*c.Post)
		case c.Journal != nil:
			s.journal = c.Journal
		case c.Crash != "":
			s.crash = c.Crash
		}
	}
}

func (s *seat) post(m ToEngine) { s.hear(s.e.Handle(s.sent(m))) }

// answer is what the player answers, before it is heard.
func (s *seat) answer(m ToEngine) FromEngine { return s.e.Handle(s.sent(m))[0] }

// sent is a message as it arrives.
func (s *seat) sent(m ToEngine) ToEngine {
	b, err := json.Marshal(m)
	require.NoError(s.t, err)
	var back ToEngine
	require.NoError(s.t, json.Unmarshal(b, &back))
	return back
}

func (s *seat) hear(list []FromEngine) {
	for _, f := range list {
		b, err := json.Marshal(f)
		require.NoError(s.t, err)
		var back FromEngine
		require.NoError(s.t, json.Unmarshal(b, &back))
		s.do(s.m.Update(Heard{back}))
	}
}

func (s *seat) tell(m Msg) { s.do(s.m.Update(m)) }

// watch lets that much time pass on the wall, or less when done says so.
func (s *seat) watch(wall time.Duration, done func() bool) bool {
	for t := time.Duration(0); t < wall; t += 50 * time.Millisecond {
		if done() {
			return true
		}
		s.hear(s.e.Frame(50 * time.Millisecond))
	}
	return done()
}

// rest lets two seconds pass on the wall.
func (s *seat) rest() { s.watch(2*time.Second, func() bool { return false }) }

func (s *seat) met(goal string) func() bool {
	return func() bool {
		for _, g := range s.m.Scene().Left.Learn.Steps {
			if g.ID == goal {
				return g.Met
			}
		}
		return false
	}
}

// draw prints the stage as text.
func (s *seat) draw() string {
	sc := s.m.Scene()
	var b strings.Builder
	for _, c := range sc.Stage.Cards {
		fmt.Fprintf(&b, "%s %s | %s | %s\n", c.Name, c.Status.Text, c.Phase.Text, c.Identity.Text)
	}
	for _, st := range sc.Stage.API.Stages {
		fmt.Fprintf(&b, "%s=%s ", st.Label, st.State)
	}
	b.WriteString("\n")
	for _, r := range sc.Stage.API.Lines {
		fmt.Fprintf(&b, "%s %s\n", r.Key, r.Value)
	}
	for _, c := range sc.Stage.API.CSRs {
		fmt.Fprintf(&b, "csr %s\n", c.Title)
	}
	return b.String()
}

func TestJoin(t *testing.T) {
	s := sit(t, "en")
	require.Equal(t, "node-1  | stopped | none yet\nTLS=idle AuthN=idle AuthZ=idle Admit=idle etcd=idle \n No request yet. Start node-1 and watch one arrive.\n", s.draw())
	for _, g := range s.m.Scene().Left.Learn.Steps {
		require.False(t, g.Met, g.ID)
	}

	s.tell(Press{"approve"})
	require.Empty(t, s.e.live.Inputs, "a button that makes no sense does nothing")

	s.tell(Press{"start"})
	require.True(t, s.watch(20*time.Second, s.met("forbidden")))
	require.Contains(t, s.draw(), "TLS=yes AuthN=yes AuthZ=no Admit=idle etcd=idle")
	require.Contains(t, s.draw(), "no rule lets this user create certificatesigningrequests.certificates.k8s.io")
	text := fmt.Sprint(s.m.Scene().Inspector.Blocks)
	require.Contains(t, text, `certificatesigningrequests.certificates.k8s.io is forbidden: User "system:bootstrap:07401b" cannot create resource`)
	require.Contains(t, text, "A ClusterRoleBinding from `system:bootstrappers` to ClusterRole `system:node-bootstrapper`")
	require.Contains(t, text, "system:node:node-1", "the CSR inside the request is decoded")
	require.NotContains(t, text, "f395accd246ae52d", "the token's secret is not shown")

	s.rest()
	s.tell(Press{"bind"})
	require.True(t, s.watch(time.Minute, s.met("pending")))
	require.Contains(t, s.draw(), "csr Pending")
	require.Contains(t, s.m.Scene().Terminal.Lines[0].Text, "kubectl create clusterrolebinding", "the button types its command")

	s.tell(Press{"approve"})
	require.True(t, s.watch(time.Minute, s.met("node")))
	require.True(t, s.watch(time.Minute, func() bool { return strings.Contains(s.draw(), "node-1 Ready | joined | system:node:node-1") }), s.draw())

	t.Run("the past", func(t *testing.T) { s.past(t) })
	t.Run("a journal", func(t *testing.T) { s.reopened(t) })
}

// past goes back to the refusal, can do nothing there, and comes back.
func (s *seat) past(t *testing.T) {
	s.tell(Drive{"pause"})
	now := s.draw()
	refused := s.m.Ledger.Marks[1]
	at := refused.At.Add(time.Millisecond)
	s.post(ToEngine{Seek: &at})
	require.True(t, s.m.Ghost)
	require.Contains(t, s.draw(), "AuthZ=no")
	require.NotContains(t, s.draw(), "csr ")
	require.Equal(t, "past", s.m.Scene().Notice.Tone)
	for _, b := range s.m.Scene().Actions.Buttons {
		require.True(t, b.Disabled, b.Test)
	}
	inputs := len(s.e.live.Inputs)
	s.tell(TypeLine{"admin", "kubectl get csr"})
	require.Len(t, s.e.live.Inputs, inputs, "nothing is done in the past")
	require.Contains(t, s.m.Scene().Notice.Text, "the past")
	s.tell(Drive{"live"})
	require.False(t, s.m.Ghost)
	require.Equal(t, now, s.draw())
}

// reopened makes the same world again from what was kept.
func (s *seat) reopened(t *testing.T) {
	require.NotEmpty(t, s.journal)
	digest := s.m.View.Digest
	again := &seat{t: t, m: NewModel("zh", false, s.m.Lesson, engine.Config{})}
	again.post(ToEngine{Open: &Open{Journal: s.journal}})
	require.True(t, again.m.Ready)
	require.Equal(t, digest, again.m.View.Digest)
	require.True(t, again.met("node")(), "what was learned is still ticked")
	require.Contains(t, again.draw(), "已加入")

	again.post(ToEngine{Open: &Open{Journal: json.RawMessage(`{"v":99}`)}})
	require.Contains(t, again.m.Error, "format 99")
}

func TestContinueCutsTheFuture(t *testing.T) {
	s := sit(t, "en")
	s.tell(Press{"start"})
	require.True(t, s.watch(20*time.Second, s.met("forbidden")))
	s.tell(Press{"bind"})
	require.True(t, s.watch(time.Minute, s.met("pending")))
	s.tell(Drive{"first"})
	require.True(t, s.m.Ghost)
	s.tell(Drive{"continue"})
	require.False(t, s.m.Ghost)
	require.Empty(t, s.m.Ledger.Exchanges)
	require.Empty(t, s.m.View.CSRs)
	s.tell(Press{"start"})
	require.True(t, s.watch(20*time.Second, func() bool { return strings.Contains(s.draw(), "AuthZ=no") }), s.draw())
}

// TestStep goes through the first moments step by step, live and once more as
// the past, where the input that began them comes again too.
func TestStep(t *testing.T) {
	s := sit(t, "en")
	s.tell(Press{"start"})
	s.tell(Drive{"pause"})
	walk := func() (out []string) {
		for range 20 {
			s.tell(Drive{"step"})
			require.False(t, s.m.Playing)
			out = append(out, s.m.Now.Format("05.0000 ")+s.draw())
			if s.met("forbidden")() && !s.m.Ghost {
				return out
			}
		}
		return out
	}
	live := walk()
	require.Greater(t, len(live), 2)
	require.Contains(t, live[len(live)-1], "AuthZ=no")
	s.tell(Drive{"first"})
	past := walk()
	require.NotContains(t, past[0], "AuthZ=no")
	require.Equal(t, live, past[len(past)-len(live):])
}

func TestBeatHoldsTimeOnlyWhenItRunsSlowly(t *testing.T) {
	s := sit(t, "en")
	s.tell(Press{"start"})
	s.watch(10*time.Second, func() bool { return s.e.hold > 0 })
	require.Positive(t, s.e.hold)
	now := s.e.live.Now()
	s.hear(s.e.Frame(50 * time.Millisecond))
	require.Equal(t, now, s.e.live.Now())
	s.tell(Drive{"pause"})
	s.tell(SetSpeed{4})
	s.tell(Drive{"play"})
	s.watch(time.Second, func() bool { return s.e.hold > 0 })
	require.Zero(t, s.e.hold)
}

func TestFlag(t *testing.T) {
	s := sit(t, "en")
	s.tell(SetFlag{"control-1", "kube-controller-manager", "cluster-signing-duration", "1h0m0s"})
	require.Equal(t, "1h0m0s", s.m.Scene().Left.Flags.Groups[0].Flags[0].Value)
	s.tell(SetFlag{"control-1", "kube-controller-manager", "cluster-signing-duration", "1 hour"})
	require.Equal(t, "no", s.m.Scene().Notice.Tone)
	s.tell(SetFlag{"control-1", "kube-controller-manager", "controllers", "*,-csrsigning"})
	for _, c := range s.m.Scene().Stage.KCM.Chips {
		require.Equal(t, c.Text == "csrapproving" || c.Text == "csrcleaner", c.On, c.Text)
	}
}

func TestCrashIsASentence(t *testing.T) {
	s := sit(t, "en")
	s.e.live.Procs = nil
	s.e.live.Machines = nil
	s.e.live.Machines = append(s.e.live.Machines, nil)
	s.tell(TypeLine{"admin", "kubectl get csr"})
	require.NotEmpty(t, s.crash)
	require.False(t, s.e.Playing())
}
