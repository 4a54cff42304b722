package client

import (
	"bytes"
	"encoding/json"
	"net/url"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// election is a client's part in the election of the one that works. Models
// k8s.io/client-go/tools/leaderelection.
//
// A real leader renews its Lease every 2 s and the others look at it about as
// often, for years. Here the renewal is folded, and a watch tells when anything
// else happens to the Lease; then all go on as the real ones do, until it is quiet
// again.
type election struct {
	ID string `json:"id"`
	// Lease is the object as last read or written, Record its spec as text, Seen
	// when that last changed.
	Lease  *coordv1.Lease `json:"lease,omitempty"`
	Record string         `json:"record,omitempty"`
	Seen   time.Time      `json:"seen,omitzero"`
	// Step is the request under way; Round when the present tries to renew began.
	Step    string    `json:"step,omitempty"`
	Round   time.Time `json:"round,omitzero"`
	Leading bool      `json:"leading,omitempty"`
	// Quiet: no timer runs, the watch would tell; Stirred is when something last
	// happened. Sent is the time in the last renewal, Renewed when it succeeded.
	Quiet   bool      `json:"quiet,omitempty"`
	Stirred time.Time `json:"stirred,omitzero"`
	Watch   bool      `json:"watch,omitempty"`
	Sent    time.Time `json:"sent,omitzero"`
	Renewed time.Time `json:"renewed,omitzero"`
	Retry   retry     `json:"retry"`
}

// lockSpace is the namespace of the leaders' Leases.
const lockSpace = "kube-system"

const leases = "/apis/coordination.k8s.io/v1/namespaces/" + lockSpace + "/leases"

func (k *Client) lock() string { return lockSpace + "/" + k.program().lock }

// leads tells whether the last record names this client.
func (x *election) leads() bool {
	return x.Lease != nil && x.Lease.Spec.HolderIdentity != nil && *x.Lease.Spec.HolderIdentity == x.ID
}

// valid tells whether the last record was seen so lately that its holder leads.
func (x *election) valid(now time.Time) bool {
	return x.Lease != nil && x.Lease.Spec.LeaseDurationSeconds != nil &&
		x.Seen.Add(time.Duration(*x.Lease.Spec.LeaseDurationSeconds)*time.Second).After(now)
}

func (x *election) observe(l *coordv1.Lease, now time.Time) {
	b, _ := json.Marshal(l.Spec)
	x.Lease = l
	if string(b) != x.Record {
		x.Record, x.Seen = string(b), now
	}
}

// tryLease tries once to get or to keep the Lease.
func (k *Client) tryLease(c *sim.Ctx) {
	x := k.Election
	x.Quiet = false
	if x.Leading {
		if x.Round.IsZero() {
			x.Round = c.Now
		}
		if c.Now.Sub(x.Round) >= era.LeaderRenew.In(k.era()) {
			k.loseLease(c)
			return
		}
	}
	if x.leads() && x.valid(c.Now) {
		k.writeLease(c, "fast")
		return
	}
	k.askLease(c, "get", "GET", leases+"/"+k.program().lock, nil, 0)
}

// askLease sends a request about the Lease; it may take half of the time in which
// a leader must succeed.
func (k *Client) askLease(c *sim.Ctx, step, method, uri string, body any, fold time.Duration) {
	timeout := era.LeaderRenew.In(k.era()) / 2
	k.Election.Step = step
	k.after(c, "overdue", timeout)
	k.send(c, "lease "+step, method, uri+"?timeout="+timeout.String(), body, fold)
}

// writeLease writes this client's record: over the one it knows, or a new one.
func (k *Client) writeLease(c *sim.Ctx, step string) {
	x := k.Election
	now := metav1.MicroTime{Time: c.Clock().Truncate(time.Microsecond)}
	l := &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: k.program().lock, Namespace: lockSpace}}
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
	l.Kind, l.APIVersion = "Lease", "coordination.k8s.io/v1"
	seconds := int32(era.LeaderLease.In(k.era()) / time.Second)
	l.Spec = coordv1.LeaseSpec{HolderIdentity: &x.ID, LeaseDurationSeconds: &seconds, AcquireTime: &acquired, RenewTime: &now, LeaseTransitions: &transitions}
	if step == "create" {
		k.askLease(c, step, "POST", leases, l, 0)
		return
	}
	k.askLease(c, step, "PUT", leases+"/"+k.program().lock, l, era.LeaderRetry.In(k.era()))
}

// leaseLines are where leaderelection.go tells of a failure, by what was tried.
var leaseLines = map[string][2]string{
	"get":    {"leaderelection.go:461", "Error retrieving lease lock"},
	"create": {"leaderelection.go:465", "Error initially creating lease lock"},
	"update": {"leaderelection.go:497", "Failed to update lease"},
}

// leaseAnswered handles the answers, and what the watch brings.
func (k *Client) leaseAnswered(c *sim.Ctx, a answer) {
	x := k.Election
	if a.arg == "watch" {
		k.leaseWatched(c, a)
		return
	}
	if x.Step != a.arg {
		return
	}
	k.stop("overdue")
	x.Step = ""
	var l coordv1.Lease
	if a.ok() {
		json.Unmarshal(a.data, &l)
	}
	switch {
	case a.arg == "get" && a.ok():
		x.observe(&l, c.Now)
		if h := l.Spec.HolderIdentity; !x.leads() && h != nil && *h != "" && x.valid(c.Now) {
			k.log(c, 'I', 4, "leaderelection.go:481", sim.KV("Lease is held by and has not yet expired", "lock", k.lock(), "holder", *h))
			if k.Phase != PhaseStandby {
				k.note(c, PhaseStandby, "")
			}
			k.leaseMissed(c, true)
			return
		}
		k.writeLease(c, "update")
	case a.arg == "get" && a.kind == sim.MsgResponse && a.code == 404:
		k.writeLease(c, "create")
	case a.arg == "fast" && !a.ok():
		k.log(c, 'I', 2, "leaderelection.go:454", sim.KV("Failed to update lease optimistically, falling back to slow path", "lock", k.lock(), "err", a.err()))
		k.askLease(c, "get", "GET", leases+"/"+k.program().lock, nil, 0)
	case !a.ok():
		at := leaseLines[a.arg]
		k.log(c, 'E', 0, at[0], sim.KV(at[1], "err", a.err(), "lock", k.lock()))
		k.refused(c, a.err())
		k.leaseMissed(c, false)
	default:
		x.observe(&l, c.Now)
		k.leaseHeld(c, a.arg != "create")
	}
}

// leaseOverdue: no answer came in time.
func (k *Client) leaseOverdue(c *sim.Ctx) {
	x := k.Election
	if x == nil || x.Step == "" {
		return
	}
	step := x.Step
	k.cancel(c, "lease "+step)
	method := map[string]string{"get": "GET", "create": "POST"}[step]
	if method == "" {
		method = "PUT"
	}
	uri := leases
	if step != "create" {
		uri += "/" + k.program().lock
	}
	k.leaseAnswered(c, answer{exchange: exchange{Method: method, URL: uri + "?timeout=" + (era.LeaderRenew.In(k.era()) / 2).String(), Server: k.Access.Server}, arg: step,
		kind: sim.MsgFailed, failure: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"})
}

// leaseHeld is a try that succeeded: the client leads for now.
func (k *Client) leaseHeld(c *sim.Ctx, folded bool) {
	x := k.Election
	x.Round, x.Renewed, x.Retry = time.Time{}, c.Now, retry{}
	if !x.Leading {
		x.Leading = true
		k.log(c, 'I', 0, "leaderelection.go:272", sim.KV("Successfully acquired lease", "lock", k.lock()))
		c.Note(trace.Decision, "lease/"+k.lock(), map[string]string{"controller": "leaderelection", "verdict": "leads", "reason": x.ID, "message": ""}, "")
		k.run(c)
	}
	if !folded {
		k.after(c, "elect", era.LeaderRetry.In(k.era()))
		return
	}
	k.watchLease(c)
	x.Quiet = true
	// The fold ends with the certificate that it was asked for with.
	if certs, err := pki.ParseCerts(k.Access.Cert); err == nil {
		if left := certs[0].NotAfter.Sub(c.Clock()); left > 0 {
			k.after(c, "expired", left+time.Millisecond)
		}
	}
}

// leaseMissed is a try that failed. Who leads tries again until its deadline; who
// does not looks again, or lets the watch tell when another one leads in peace.
func (k *Client) leaseMissed(c *sim.Ctx, held bool) {
	x := k.Election
	retryEvery, renew, lease := era.LeaderRetry.In(k.era()), era.LeaderRenew.In(k.era()), era.LeaderLease.In(k.era())
	if x.Leading {
		k.after(c, "elect", min(retryEvery, x.Round.Add(renew).Sub(c.Now)))
		return
	}
	k.log(c, 'I', 4, "leaderelection.go:267", sim.KV("Failed to acquire lease", "lock", k.lock()))
	if held {
		x.Retry = retry{}
	}
	if held && c.Now.Sub(x.Stirred) > lease && c.Now.Sub(x.Seen) < lease/2 {
		k.watchLease(c)
		x.Quiet = true
		return
	}
	k.againAfter(c, "elect", &x.Retry, era.Backoff{First: retryEvery, Factor: 1, Max: retryEvery, Jitter: leaseJitter})
}

// leaseJitter stretches the wait between two looks, in hundredths. Models
// k8s.io/client-go/tools/leaderelection JitterFactor.
const leaseJitter = 120

// loseLease ends the process: it may not work any more.
func (k *Client) loseLease(c *sim.Ctx) {
	x := k.Election
	k.log(c, 'I', 0, "leaderelection.go:304", sim.KV("Failed to renew lease", "lock", k.lock(), "err", "context deadline exceeded"))
	k.log(c, 'E', 0, "server.go:328", sim.KV("Leaderelection lost"))
	c.Note(trace.Decision, "lease/"+k.lock(), map[string]string{"controller": "leaderelection", "verdict": "lost", "reason": x.ID, "message": ""}, "")
	k.note(c, PhaseExited, "leaderelection lost")
	c.Exit(1)
}

// watchLease opens the watch of the Lease, if it is not open.
func (k *Client) watchLease(c *sim.Ctx) {
	x := k.Election
	if x.Watch {
		return
	}
	x.Watch = true
	q := url.Values{"fieldSelector": {"metadata.name=" + k.program().lock}, "resourceVersion": {x.Lease.ResourceVersion}, "timeoutSeconds": {watchTimeout}, "watch": {"true"}}
	k.send(c, "lease watch", "GET", leases+"?"+q.Encode(), nil, 0)
}

func (k *Client) leaseWatched(c *sim.Ctx, a answer) {
	x := k.Election
	if a.ok() {
		return
	}
	if a.kind != sim.MsgFrame {
		x.Watch = false
		k.stirLease(c)
		return
	}
	for _, line := range bytes.Split(bytes.TrimSpace(a.data), []byte("\n")) {
		var e struct {
			Type   string
			Object coordv1.Lease
		}
		if json.Unmarshal(line, &e) != nil || e.Type == "BOOKMARK" {
			continue
		}
		if t := e.Object.Spec.RenewTime; x.Leading && e.Type != "DELETED" && t != nil && t.Time.Equal(x.Sent) {
			continue // its own renewal
		}
		k.stirLease(c)
	}
}

// stirLease ends the quiet: the Lease is looked at again when the next renewal, or
// the next look, would have come.
func (k *Client) stirLease(c *sim.Ctx) {
	x := k.Election
	if x == nil {
		return
	}
	x.Stirred = c.Now
	if !x.Quiet {
		return
	}
	x.Quiet = false
	every := era.LeaderRetry.In(k.era())
	if x.Leading {
		x.Seen = c.Now // it was renewed until now
		k.after(c, "elect", every-c.Now.Sub(x.Renewed)%every)
		return
	}
	k.after(c, "elect", time.Duration(c.Chance.N(c.Actor()+"/leader", uint64(every))))
}

// Candidate is its part in the election: for which Lease, none for who takes part in
// none, whether it leads, and until when it takes another one for the leader; zero
// while the watch would tell if that one did not renew.
func (k *Client) Candidate() (lock string, leads bool, until time.Time) {
	x := k.Election
	if x == nil {
		return "", false, until
	}
	if !x.Quiet && x.Lease != nil && x.Lease.Spec.LeaseDurationSeconds != nil {
		until = x.Seen.Add(time.Duration(*x.Lease.Spec.LeaseDurationSeconds) * time.Second)
	}
	return k.lock(), x.Leading, until
}
