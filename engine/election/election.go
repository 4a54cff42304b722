// Package election is how programs agree on the one that works: kube-scheduler and the
// controllers take part in it alike. It holds a candidate's state, which is plain data,
// and is given its Host, the program, with every step:
//
//	x := election.New(c, rules)
//	x.Try(c, host)                           // and then
//	x.Timer(c, host, tag)                    // for a wake whose tag begins with Tag
//	x.Answered(c, host, step, answer)        // for an answer to what host.Ask sent
package election

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// Rules are what the flags --leader-elect… say.
type Rules struct {
	On       bool          `json:"on"`
	Duration time.Duration `json:"duration"`
	Renew    time.Duration `json:"renew"`
	Retry    time.Duration `json:"retry"`
	// Jitter stretches the wait between two looks by that many hundredths at most.
	Jitter    int64  `json:"jitter"`
	Lock      string `json:"lock"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

// Defaults are the rules for a Lease without a flag.
func Defaults(e era.Era, namespace, name string) Rules {
	return Rules{On: true, Duration: era.LeaseDuration.In(e), Renew: era.LeaseRenew.In(e), Retry: era.LeaseRetry.In(e), Jitter: era.LeaseJitter.In(e), Lock: lockLeases, Name: name, Namespace: namespace}
}

// Host is the program that takes part.
type Host interface {
	// Ask sends a request; its answer comes to Answered with the same step, and Drop
	// gives it up. A fold lets the request stand for more of its kind.
	Ask(c *sim.Ctx, step, method, uri string, body any, fold time.Duration)
	Drop(c *sim.Ctx, step string)
	// Late is how client-go words that no answer came in time.
	Late(method, uri string) string
	Log(c *sim.Ctx, level byte, v int, source, words string, kv ...any)
	// Say writes a line that is a format, and Era is the release that it is of.
	Say(c *sim.Ctx, line era.Line, values ...any)
	Era() era.Era
	// Cert is the client certificate, PEM, that requests are sent with.
	Cert() []byte
	// Lead begins to work, Stand waits while another one leads, Lost says the last
	// words and ends. Refused tells of a try that failed. Missed is asked by one that
	// does not lead after that; with true the host tries again by itself.
	Lead(c *sim.Ctx)
	Stand(c *sim.Ctx)
	Lost(c *sim.Ctx)
	Refused(c *sim.Ctx, why string)
	Missed(c *sim.Ctx) bool
}

// Election is a candidate's part. Models k8s.io/client-go/tools/leaderelection.
//
// A real leader renews its Lease every 2 s, and the others look at it every 2 to
// 4.4 s, for years. Here the leader's renewal is folded (it stands for those
// after it), and a watch tells both when anything but that happens to the
// Lease; then they renew and look as the real ones do, until it is quiet again.
type Election struct {
	Rules Rules  `json:"rules"`
	ID    string `json:"id"`
	// Lease is the object as it was last read or written, Record its spec as
	// text; Seen is when that last changed.
	Lease *coordv1.Lease `json:"lease,omitempty"`
	// Second is the version of the other record, where there are two.
	Second string    `json:"second,omitempty"`
	Record string    `json:"record,omitempty"`
	Seen   time.Time `json:"seen,omitzero"`
	// Step is the request that is under way, Round when the present round of
	// tries to renew began; Gen tells requests and timers from old ones.
	Step    string    `json:"step,omitempty"`
	Round   time.Time `json:"round,omitzero"`
	Gen     int       `json:"gen"`
	Leading bool      `json:"leading,omitempty"`
	// Quiet: no timer runs, the watch would tell. Stirred is when something
	// last happened. Watch: it is open. Sent and Renewed are the time in this
	// candidate's last renewal, by its host's clock, and when it succeeded.
	Quiet   bool      `json:"quiet,omitempty"`
	Stirred time.Time `json:"stirred,omitzero"`
	Watch   bool      `json:"watch,omitempty"`
	Sent    time.Time `json:"sent,omitzero"`
	Renewed time.Time `json:"renewed,omitzero"`
}

// Tag begins the tags of timers: "elect GEN WHAT".
const Tag = "elect "

// FoldHeader asks the API server to take a renewal for one that comes again in every
// such interval.
const FoldHeader = "Joinery-Fold"

// New is the part of a candidate that begins. It tries at once.
func New(c *sim.Ctx, h Host, r Rules) *Election {
	x := &Election{Rules: r, ID: c.Host + "_" + c.Chance.UUID(c.Actor()+"/leader"), Stirred: c.Now}
	if era.LeaderIsHost.In(h.Era()) {
		x.ID = c.Host
	}
	x.say(c, h, &era.LineLeaderTries, x.Name())
	return x
}

// Clone is an independent copy; nil stays nil.
func (x *Election) Clone() *Election {
	if x == nil {
		return nil
	}
	n := *x
	return &n
}

// Name is that of the Lease, "namespace/name".
func (x *Election) Name() string { return x.Rules.Namespace + "/" + x.Rules.Name }

// Candidate is the part in short: for which Lease, none for who takes part in none,
// whether it leads, and until when it takes another one for the leader; zero while the
// watch would tell if that one did not renew.
func (x *Election) Candidate() (lock string, leads bool, until time.Time) {
	if x == nil {
		return "", false, until
	}
	if !x.Quiet && x.Lease != nil {
		until = x.until()
	}
	return x.Name(), x.Leading, until
}

// timeout is that of each request: half of the renewal's deadline. Models
// cmd/kube-controller-manager/app leaderElectAndRun.
func (x *Election) timeout() time.Duration { return max(x.Rules.Renew/2, time.Second) }

// leads tells whether the last record names this candidate.
func (x *Election) leads() bool {
	return x.Lease != nil && x.Lease.Spec.HolderIdentity != nil && *x.Lease.Spec.HolderIdentity == x.ID
}

// until is how long the last record is good, from when it was first seen.
func (x *Election) until() time.Time {
	if n := x.Lease.Spec.LeaseDurationSeconds; n != nil {
		return x.Seen.Add(time.Duration(*n) * time.Second)
	}
	return time.Time{}
}

func (x *Election) valid(now time.Time) bool { return x.Lease != nil && x.until().After(now) }

// observe keeps a record, and when it changed.
func (x *Election) observe(l *coordv1.Lease, now time.Time) {
	b, _ := json.Marshal(l.Spec)
	x.Lease = l
	if string(b) != x.Record {
		x.Record, x.Seen = string(b), now
	}
}

// Try tries once to get or to keep the Lease.
func (x *Election) Try(c *sim.Ctx, h Host) {
	x.Quiet = false
	if x.Leading && x.Round.IsZero() {
		x.Round = c.Now
	}
	if x.leads() && x.valid(c.Now) && era.LeaderFast.In(h.Era()) {
		x.write(c, h, "fast")
		return
	}
	x.read(c, h)
}

func (x *Election) read(c *sim.Ctx, h Host) { x.ask(c, h, "get", nil, 0) }

// methods are those of the steps.
var methods = map[string]string{"get": "GET", "create": "POST", "update": "PUT", "fast": "PUT", "second": "POST", "second again": "PUT", "second get": "GET"}

// uri is what a step asks for.
func (x *Election) uri(e era.Era, step string) string {
	own := "/" + x.Rules.Name
	if methods[step] == "POST" {
		own = ""
	}
	return x.lockPath(e, step) + own + "?timeout=" + x.timeout().String()
}

func (x *Election) ask(c *sim.Ctx, h Host, step string, body any, fold time.Duration) {
	x.Step = step
	x.after(c, "timeout", x.timeout())
	h.Ask(c, step, methods[step], x.uri(h.Era(), step), body, fold)
}

// after sets a timer; those that were set before don't count any more.
func (x *Election) after(c *sim.Ctx, what string, wait time.Duration) {
	x.Gen++
	c.Wake(c.Now.Add(wait), fmt.Sprintf("%s%d %s", Tag, x.Gen, what))
}

// write writes this candidate's own record: over the one it knows, or a new one.
func (x *Election) write(c *sim.Ctx, h Host, step string) {
	now := metav1.MicroTime{Time: x.renewed(c.Clock())}
	l := &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: x.Rules.Name, Namespace: x.Rules.Namespace}}
	acquired, transitions := now, int32(0)
	if step != "create" {
		l = x.Lease.DeepCopy()
		if n := l.Spec.LeaseTransitions; n != nil {
			transitions = *n
		}
		if !x.leads() {
			transitions++
		} else if t := l.Spec.AcquireTime; t != nil {
			acquired = *t
		}
	}
	x.Sent = now.Time
	seconds := int32(x.Rules.Duration / time.Second)
	l.Spec = coordv1.LeaseSpec{HolderIdentity: &x.ID, LeaseDurationSeconds: &seconds, AcquireTime: &acquired, RenewTime: &now, LeaseTransitions: &transitions}
	fold := x.Rules.Retry
	if step == "create" {
		fold = 0
	}
	x.ask(c, h, step, x.body(h.Era(), l), fold)
}

// Answer is what came of a request: a status and a body, or, with Code 0, no answer.
// Err is how client-go words what went wrong.
type Answer struct {
	OK   bool
	Code int
	Data []byte
	Err  string
}

// failures are where leaderelection.go tells of one, by what was tried.
var failures = map[string]*era.Row[era.Line]{"get": &era.LineLeaderUnread, "create": &era.LineLeaderUncreated, "update": &era.LineLeaderStale, "second": &era.LineLeaderStale, "second again": &era.LineLeaderStale, "second get": &era.LineLeaderUnread}

// Answered handles an answer to the request of a step.
func (x *Election) Answered(c *sim.Ctx, h Host, step string, a Answer) {
	if x.Step != step {
		return
	}
	x.Step = ""
	var l coordv1.Lease
	if a.OK {
		l = x.decode(a.Data)
	}
	switch {
	case strings.HasPrefix(step, "second") && a.OK:
		var l coordv1.Lease
		json.Unmarshal(a.Data, &l)
		if x.Second = l.ResourceVersion; step == "second get" {
			x.second(c, h)
			return
		}
		x.held(c, h, step == "second again")
	case a.Code == 409 && (step == "second" || step == "second again"):
		// Another one wrote it.
		x.ask(c, h, "second get", nil, 0)
	case step == "get" && a.OK:
		x.observe(&l, c.Now)
		if by := l.Spec.HolderIdentity; !x.leads() && by != nil && *by != "" && x.valid(c.Now) {
			x.say(c, h, &era.LineLeaderHeld, x.Name(), *by)
			h.Stand(c)
			x.missed(c, h, true)
			return
		}
		x.write(c, h, "update")
	case step == "get" && a.Code == 404:
		x.write(c, h, "create")
	case step == "fast" && !a.OK:
		x.say(c, h, &era.LineLeaderSlow, x.Name(), a.Err)
		x.read(c, h)
	case !a.OK:
		x.say(c, h, failures[step], x.Name(), a.Err)
		h.Refused(c, a.Err)
		x.missed(c, h, false)
	default:
		x.observe(&l, c.Now)
		if x.both() {
			x.second(c, h)
			return
		}
		x.held(c, h, step != "create")
	}
}

// note tells who watches the world of a change.
func (x *Election) note(c *sim.Ctx, verdict string) {
	c.Note(trace.Decision, "lease/"+x.Name(), map[string]string{"controller": "leaderelection", "verdict": verdict, "reason": x.ID, "message": ""}, "")
}

// held is a try that succeeded: the candidate leads for now.
func (x *Election) held(c *sim.Ctx, h Host, folded bool) {
	x.Round, x.Renewed = time.Time{}, c.Now
	if !x.Leading {
		x.Leading = true
		x.say(c, h, &era.LineLeaderLeads, x.Name())
		x.note(c, "leads")
		h.Lead(c)
	}
	if !folded {
		x.after(c, "try", x.Rules.Retry)
		return
	}
	x.watch(c, h)
	x.Quiet = true
	// The fold ends with the certificate that it was asked for with.
	if certs, err := pki.ParseCerts(h.Cert()); err == nil {
		if left := certs[0].NotAfter.Sub(c.Clock()); left > 0 {
			x.after(c, "expired", left+time.Millisecond)
		}
	}
}

// missed is a try that failed, or, with taken, found that another one leads: who leads gives up at
// its deadline, who does not looks again.
func (x *Election) missed(c *sim.Ctx, h Host, taken bool) {
	f := &x.Rules
	if x.Leading {
		x.after(c, "try", min(f.Retry, x.Round.Add(f.Renew).Sub(c.Now)))
		return
	}
	x.say(c, h, &era.LineLeaderMisses, x.Name())
	switch {
	case taken && c.Now.Sub(x.Stirred) > f.Duration && c.Now.Sub(x.Seen) < f.Duration/2:
		// The holder renews, and the watch will tell when it does not.
		x.watch(c, h)
		x.Quiet = true
	case taken || !h.Missed(c):
		stretch := int64(f.Retry) / 100 * f.Jitter
		x.after(c, "try", f.Retry+time.Duration(c.Chance.N(c.Actor()+"/leader", uint64(stretch)+1)))
	}
}

// Timer handles a timer of the election.
func (x *Election) Timer(c *sim.Ctx, h Host, tag string) {
	n, what, _ := strings.Cut(strings.TrimPrefix(tag, Tag), " ")
	if gen, _ := strconv.Atoi(n); x == nil || gen != x.Gen {
		return
	}
	switch {
	case what == "timeout" && x.Step != "":
		h.Drop(c, x.Step)
		x.Answered(c, h, x.Step, Answer{Err: h.Late(methods[x.Step], x.uri(h.Era(), x.Step))})
	case what == "expired":
		x.Stir(c)
	case what == "try" && x.Leading && !x.Round.IsZero() && c.Now.Sub(x.Round) >= x.Rules.Renew:
		x.say(c, h, &era.LineLeaderEnds, x.Name(), era.LeaderEnds.In(h.Era()))
		x.note(c, "lost")
		h.Lost(c)
	case what == "try":
		x.Try(c, h)
	}
}

// watchTimeout is that of the watch, in seconds: 68 years, so that it ends with the
// connection only.
const watchTimeout = "2147483647"

// watch opens the watch of the Lease, if it is not open.
func (x *Election) watch(c *sim.Ctx, h Host) {
	if x.Watch {
		return
	}
	x.Watch = true
	q := url.Values{"fieldSelector": {"metadata.name=" + x.Rules.Name}, "resourceVersion": {x.Lease.ResourceVersion}, "timeoutSeconds": {watchTimeout}, "watch": {"true"}}
	h.Ask(c, "watch", "GET", x.lockPath(h.Era(), "watch")+"?"+q.Encode(), nil, x.Rules.Retry)
}

// Watched handles what the watch brings: frames, or, with none, its end.
func (x *Election) Watched(c *sim.Ctx, frame []byte, over bool) {
	if over {
		x.Watch = false
		x.Stir(c)
		return
	}
	for _, line := range bytes.Split(bytes.TrimSpace(frame), []byte("\n")) {
		var e struct {
			Type   string
			Object json.RawMessage
		}
		if json.Unmarshal(line, &e) != nil || e.Type == "BOOKMARK" {
			continue
		}
		if t := x.decode(e.Object).Spec.RenewTime; x.Leading && e.Type != "DELETED" && t != nil && t.Time.Equal(x.Sent) {
			continue // this candidate's own renewal
		}
		x.Stir(c)
	}
}

// Stir ends the quiet: the Lease is looked at again, at the time at which the
// next renewal, or the next look, would have come.
func (x *Election) Stir(c *sim.Ctx) {
	if x == nil {
		return
	}
	x.Stirred = c.Now
	if !x.Quiet {
		return
	}
	x.Quiet = false
	if x.Leading {
		// It was renewed until now.
		x.Seen = c.Now
		x.after(c, "try", x.Rules.Retry-c.Now.Sub(x.Renewed)%x.Rules.Retry)
		return
	}
	x.after(c, "try", time.Duration(c.Chance.N(c.Actor()+"/leader", uint64(x.Rules.Retry))))
}
