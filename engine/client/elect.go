package client

import (
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// elect enters the election.
func (k *Client) elect(c *sim.Ctx) {
	rules := election.Defaults(k.era(), "kube-system", k.program().lock)
	rules.Lock = era.LeaderLock.In(k.era())
	k.Election = election.New(c, candidate{k}, rules)
	k.Election.Try(c, candidate{k})
}

// leaseAnswered takes the election's answers to it.
func (k *Client) leaseAnswered(c *sim.Ctx, a answer) {
	switch {
	case a.arg != "watch":
		r := election.Answer{OK: a.ok(), Data: a.data}
		if a.kind == sim.MsgResponse {
			r.Code = a.code
		}
		if !r.OK {
			r.Err = a.err()
		}
		k.Election.Answered(c, candidate{k}, a.arg, r)
	case !a.ok():
		k.Election.Watched(c, a.data, a.kind != sim.MsgFrame)
	}
}

// candidate is a program in the election.
type candidate struct{ k *Client }

var _ election.Host = candidate{}

func (x candidate) Ask(c *sim.Ctx, step, method, uri string, body any, fold time.Duration) {
	x.k.send(c, "lease "+step, method, uri, body, fold)
}

func (x candidate) Drop(c *sim.Ctx, step string) { x.k.cancel(c, "lease "+step) }

func (x candidate) Late(method, uri string) string {
	return (&answer{exchange: exchange{Method: method, URL: uri, Server: x.k.Access.Server}, kind: sim.MsgFailed, failure: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"}).err()
}

func (x candidate) Log(c *sim.Ctx, level byte, v int, source, words string, kv ...any) {
	x.k.log(c, level, v, source, sim.KV(words, kv...))
}

func (x candidate) Say(c *sim.Ctx, line era.Line, values ...any) {
	text := line.Text
	if strings.Contains(text, "%") {
		text = fmt.Sprintf(text, values...)
	}
	x.k.log(c, line.Level, line.V, line.At, text)
}

func (x candidate) Era() era.Era { return x.k.era() }

func (x candidate) Cert() []byte { return x.k.Access.Cert }

func (x candidate) Lead(c *sim.Ctx) {
	x.k.ElectRetry = retry{}
	x.k.run(c)
}

func (x candidate) Stand(c *sim.Ctx) {
	x.k.ElectRetry = retry{}
	if x.k.Phase != PhaseStandby {
		x.k.note(c, PhaseStandby, "")
	}
}

func (x candidate) Refused(c *sim.Ctx, why string) { x.k.refused(c, why) }

// Missed: one who is not answered rests after a while, as with all it asks.
func (x candidate) Missed(c *sim.Ctx) bool {
	k, r := x.k, x.k.Election.Rules
	k.againAfter(c, "elect", &k.ElectRetry, era.Backoff{First: r.Retry, Factor: 1, Max: r.Retry, Jitter: uint64(r.Jitter)})
	return true
}

// Lost ends the process: it may not work any more.
func (x candidate) Lost(c *sim.Ctx) {
	k := x.k
	k.log(c, 'E', 0, "server.go:328", sim.KV("Leaderelection lost"))
	k.note(c, PhaseExited, "leaderelection lost")
	c.Exit(1)
}

// Candidate is its part in the election, as election.Election tells it.
func (k *Client) Candidate() (lock string, leads bool, until time.Time) {
	return k.Election.Candidate()
}
