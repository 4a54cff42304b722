package controllers

import (
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// refuses is what leaderelection.NewLeaderElector says of durations that can't
// be; the program then panics with it.
func refuses(e era.Era, x *election.Rules) string {
	jittered := x.Retry + x.Retry/100*time.Duration(era.LeaseJitter.In(e)-100)
	switch {
	case !x.On:
		return ""
	case x.Duration <= x.Renew:
		return "leaseDuration must be greater than renewDeadline"
	case x.Renew <= jittered:
		return "renewDeadline must be greater than retryPeriod*JitterFactor"
	case x.Duration < 1:
		return "leaseDuration must be greater than zero"
	case x.Renew < 1:
		return "renewDeadline must be greater than zero"
	case x.Retry < 1:
		return "retryPeriod must be greater than zero"
	}
	return ""
}

// elect enters the election.
func (m *ControllerManager) elect(c *sim.Ctx) {
	x := &m.Flags.Elect
	if !slices.Contains(era.LeaderLocks.In(m.era()), x.Lock) {
		m.quit(c, &era.LineLockError, "Invalid lock-type "+x.Lock)
		return
	}
	if why := refuses(m.era(), x); why != "" {
		c.LogLine('E', 0, "panic: "+why)
		c.Exit(2)
		return
	}
	m.Election = election.New(c, candidate{m}, *x)
	m.Election.Try(c, candidate{m})
}

// elected takes the election's answers to it.
func (m *ControllerManager) elected(c *sim.Ctx, a answer) {
	x := m.Election
	switch {
	case a.Name == "watch" && a.kind == sim.MsgResponse && a.ok():
	case a.Name == "watch":
		x.Watched(c, a.data, a.kind != sim.MsgFrame)
	case a.Index == x.Gen:
		r := election.Answer{OK: a.ok(), Data: a.data}
		if a.kind == sim.MsgResponse {
			r.Code = a.code
		}
		if !r.OK {
			r.Err = a.err()
		}
		x.Answered(c, candidate{m}, a.Name, r)
	}
}

// candidate is a program in the election.
type candidate struct{ m *ControllerManager }

var _ election.Host = candidate{}

func (k candidate) Ask(c *sim.Ctx, step, method, uri string, body any, fold time.Duration) {
	k.m.send(c, k.m.own(), exchange{To: "elect", Index: k.m.Election.Gen, Name: step, Fold: fold}, method, uri, body)
}

// Drop needs nothing: a late answer is told by its number.
func (candidate) Drop(*sim.Ctx, string) {}

func (k candidate) Late(method, uri string) string {
	return (&answer{exchange: exchange{Method: method, URL: uri}, server: k.m.Own.Server, kind: sim.MsgFailed, failure: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"}).err()
}

func (k candidate) Log(c *sim.Ctx, level byte, v int, source, words string, kv ...any) {
	k.m.log(c, level, v, source, words, kv...)
}

func (k candidate) Say(c *sim.Ctx, line era.Line, values ...any) { k.m.line(c, line, values...) }
func (k candidate) Era() era.Era                                 { return k.m.era() }

func (k candidate) Cert() []byte           { return k.m.Own.Cert }
func (k candidate) Lead(c *sim.Ctx)        { k.m.run(c) }
func (candidate) Stand(*sim.Ctx)           {}
func (candidate) Refused(*sim.Ctx, string) {}
func (candidate) Missed(*sim.Ctx) bool     { return false }

// Lost is the last word of who led.
func (k candidate) Lost(c *sim.Ctx) {
	m := k.m
	switch m.Program {
	case csrApprover:
		m.zap(c, "ERROR", "cmd/cmd.go:47", "problem running manager").add("error", "leader election lost").write(c)
	case servingApprover:
		m.zap(c, "FATAL", "cmd/serve.go:147", "Unable to start manager").add("error", "leader election lost").write(c)
	default:
		m.quit(c, &era.LineLost, "")
		return
	}
	c.Exit(1)
}

// Candidate is its part in the election, as election.Election tells it.
func (m *ControllerManager) Candidate() (lock string, leads bool, until time.Time) {
	return m.Election.Candidate()
}
