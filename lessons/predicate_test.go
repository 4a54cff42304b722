package lessons

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

var sample = engine.View{
	CSRs:     []engine.CSRView{{Name: "csr-1", Requestor: "system:bootstrap:07401b", Groups: []string{"a", "b"}, Condition: "Approved,Issued"}},
	Bindings: []engine.BindingView{{Name: "x", Role: "cluster-admin", Subjects: []string{"Group system:nodes", "User u"}}},
	Lives:    []engine.LifeView{{Host: "node-1", Use: "client"}, {Host: "node-1", Use: "client", Current: true}, {Host: "node-1", Use: "serving"}},
	Hosts: []engine.HostView{{Name: "node-1",
		Units: []engine.UnitView{{Name: "kubelet", State: "active", Flags: map[string]string{"v": "2"}}},
		Files: []engine.FileView{{Path: "/etc/x", Text: "two words"}}}},
}

func TestPredicates(t *testing.T) {
	for text, want := range map[string]bool{
		"any csrs": true,
		"no csrs":  false,
		"any csrs where condition contains Issued":                     true,
		"any csrs where condition is Issued":                           false,
		"any csrs where condition ends with Issued and groups is b":    false,
		`any csrs where groups is "a, b"`:                              true,
		"no csrs where requestor starts with system:node:":             true,
		"any csrs where requestor is not x":                            true,
		"any nodes":                                                    false,
		"no nodes where name is node-1":                                true,
		"at least 2 lives where use is client":                         true,
		"at least 3 lives where use is client":                         false,
		"any lives where current is true":                              true,
		`any bindings where subjects contains "Group system:nodes"`:    true,
		"any units where host is node-1 and flag.v is 2":               true,
		"any units where flag.v is 4":                                  false,
		`any files where path is /etc/x and text contains "two words"`: true,
	} {
		p, err := ParsePredicate(text)
		require.NoError(t, err, text)
		require.Equal(t, text, p.String())
		require.Equal(t, want, p.holds(p.count(sample)), text)
	}
}

func TestPredicatesSayWhatWouldBeRight(t *testing.T) {
	for text, want := range map[string]string{
		"":                                      "begins with any, no or at least N",
		"some csrs":                             `not with "some"`,
		"at most 3 csrs":                        "write `at least N`",
		"at least zero csrs":                    "not `at least zero`",
		"any pods":                              "the lists are bindings, csrs, files, lives, nodes, seen, units",
		"any csrs with name is x":               `"with" stands where "where" belongs`,
		"any csrs where color is x":             `csrs have no field "color"; they have name, signer`,
		"any units where flag. is x":            "no field",
		"any csrs where name like x":            "write one of contains, ends with, is, is not, starts with",
		"any csrs where name is":                "lacks a value",
		"any csrs where name is x or":           `"or" stands where "and" belongs`,
		`any csrs where name is "x`:             "is not closed",
		"any csrs where name starts system:foo": `"starts" compares nothing`,
	} {
		_, err := ParsePredicate(text)
		require.ErrorContains(t, err, want, "%q", text)
	}
}

func TestEvidence(t *testing.T) {
	p, err := ParsePredicate("any seen where kind is authz and arg.verdict is no and host is control-1")
	require.NoError(t, err)
	l := &Lesson{Steps: []Step{{ID: "seen", Goal: Goal{"seen", p}}}}
	ev := l.Evidence()

	met, why := l.Steps[0].Goal.Met(sample, ev)
	require.False(t, met)
	require.Equal(t, Key("seen"), why)

	ev.Add([]trace.Observation{{Actor: "control-1/kube-apiserver", Kind: trace.Authz, Args: map[string]string{"verdict": "yes"}}})
	require.Equal(t, []Key{"seen"}, l.Judge(sample, ev))

	fork := ev.Clone()
	ev.Add([]trace.Observation{{Actor: "control-1/kube-apiserver", Kind: trace.Authz, Args: map[string]string{"verdict": "no"}}})
	require.Empty(t, l.Judge(sample, ev))
	require.NotEmpty(t, l.Judge(sample, fork), "a clone has evidence of its own")
}

func TestAGoalThatWasMetStaysMet(t *testing.T) {
	p, err := ParsePredicate("any csrs")
	require.NoError(t, err)
	g := Goal{"csr", p}
	ev := (&Lesson{}).Evidence()
	met, _ := g.Met(sample, ev)
	require.True(t, met)
	met, _ = g.Met(engine.View{}, ev)
	require.True(t, met)
}
