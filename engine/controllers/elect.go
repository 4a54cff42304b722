package controllers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// foldHeader asks the API server to take a renewal for one that comes again in
// every such interval.
const foldHeader = "Joinery-Fold"

// electTimeout is that of each request of the election: half of the renewal's
// deadline. Models cmd/kube-controller-manager/app leaderElectAndRun.
func (x *Elect) timeout() time.Duration { return max(x.Renew/2, time.Second) }

// election is a manager's part in the election of the one that runs the
// controllers. Models k8s.io/client-go/tools/leaderelection.
//
// A real leader renews its Lease every 2 s, and the others look at it every 2 to
// 4.4 s, for years. Here the leader's renewal is folded (it stands for those
// after it), and a watch tells both when anything but that happens to the
// Lease; then they renew and look as the real ones do, until it is quiet again.
type election struct {
	ID string `json:"id"`
	// Lease is the object as it was last read or written, Record its spec as
	// text; Seen is when that last changed.
	Lease  *coordv1.Lease `json:"lease,omitempty"`
	Record string         `json:"record,omitempty"`
	Seen   time.Time      `json:"seen,omitzero"`
	// Step is the request that is under way, Round when the present round of
	// tries to renew began; Gen tells timers of a request from old ones.
	Step    string    `json:"step,omitempty"`
	Round   time.Time `json:"round,omitzero"`
	Gen     int       `json:"gen"`
	Leading bool      `json:"leading,omitempty"`
	// Quiet: no timer runs, the watch would tell. Stirred is when something
	// last happened. Watch: it is open. Sent and Renewed are the time in this
	// manager's last renewal, by its host's clock, and when it succeeded.
	Quiet   bool      `json:"quiet,omitempty"`
	Stirred time.Time `json:"stirred,omitzero"`
	Watch   bool      `json:"watch,omitempty"`
	Sent    time.Time `json:"sent,omitzero"`
	Renewed time.Time `json:"renewed,omitzero"`
}

func (m *ControllerManager) lock() string {
	return m.Flags.Elect.Namespace + "/" + m.Flags.Elect.Name
}

func (m *ControllerManager) leasePath() string {
	return "/apis/coordination.k8s.io/v1/namespaces/" + m.Flags.Elect.Namespace + "/leases"
}

// elect enters the election.
func (m *ControllerManager) elect(c *sim.Ctx) {
	x := &m.Flags.Elect
	if x.Lock != "leases" {
		m.log(c, 'E', 0, "controllermanager.go:871", "Error creating lock", "err", "Invalid lock-type "+x.Lock)
		c.Exit(1)
		return
	}
	if why := x.panics(m.era()); why != "" {
		c.LogLine('E', 0, "panic: "+why)
		c.Exit(2)
		return
	}
	m.Election = &election{ID: c.Host + "_" + c.Chance.UUID(c.Actor()+"/leader"), Stirred: c.Now}
	m.log(c, 'I', 0, "leaderelection.go:258", "Attempting to acquire leader lease...", "lock", m.lock())
	m.tryLease(c)
}

// leads tells whether the last record names this manager.
func (x *election) leads() bool {
	return x.Lease != nil && x.Lease.Spec.HolderIdentity != nil && *x.Lease.Spec.HolderIdentity == x.ID
}

// valid tells whether the last record was seen so lately that its holder leads.
func (x *election) valid(now time.Time) bool {
	return x.Lease != nil && x.Lease.Spec.LeaseDurationSeconds != nil &&
		x.Seen.Add(time.Duration(*x.Lease.Spec.LeaseDurationSeconds)*time.Second).After(now)
}

// observe keeps a record, and when it changed.
func (x *election) observe(l *coordv1.Lease, now time.Time) {
	b, _ := json.Marshal(l.Spec)
	x.Lease = l
	if string(b) != x.Record {
		x.Record, x.Seen = string(b), now
	}
}

// tryLease tries once to get or to keep the Lease.
func (m *ControllerManager) tryLease(c *sim.Ctx) {
	x := m.Election
	x.Quiet = false
	if x.Leading && x.Round.IsZero() {
		x.Round = c.Now
	}
	if x.leads() && x.valid(c.Now) {
		m.writeLease(c, "fast")
		return
	}
	m.askLease(c, "get", "GET", m.leasePath()+"/"+m.Flags.Elect.Name, nil, 0)
}

func (m *ControllerManager) askLease(c *sim.Ctx, step, method, path string, body any, fold time.Duration) {
	x := m.Election
	x.Step = step
	x.Gen++
	timeout := m.Flags.Elect.timeout()
	m.send(c, m.own(), exchange{To: "elect", Index: x.Gen, Name: step, Fold: fold}, method, path+"?timeout="+timeout.String(), body)
	c.Wake(c.Now.Add(timeout), fmt.Sprintf("elect %d timeout", x.Gen))
}

// writeLease writes this manager's own record: over the one it knows, or a new
// one.
func (m *ControllerManager) writeLease(c *sim.Ctx, step string) {
	x, f := m.Election, &m.Flags.Elect
	now := metav1.MicroTime{Time: c.Clock().Truncate(time.Microsecond)}
	l := &coordv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: f.Name, Namespace: f.Namespace}}
	acquired, transitions := now, int32(0)
	if step != "create" {
		l = x.Lease.DeepCopy()
		transitions = 1
		if n := l.Spec.LeaseTransitions; n != nil {
			transitions += *n
		}
		if x.leads() {
			transitions--
			if t := l.Spec.AcquireTime; t != nil {
				acquired = *t
			}
		}
	}
	x.Sent = now.Time
	l.Kind, l.APIVersion = "Lease", "coordination.k8s.io/v1"
	seconds := int32(f.Duration / time.Second)
	l.Spec = coordv1.LeaseSpec{HolderIdentity: &x.ID, LeaseDurationSeconds: &seconds, AcquireTime: &acquired, RenewTime: &now, LeaseTransitions: &transitions}
	if step == "create" {
		m.askLease(c, step, "POST", m.leasePath(), l, 0)
		return
	}
	m.askLease(c, step, "PUT", m.leasePath()+"/"+f.Name, l, f.Retry)
}

// elected handles the answers.
func (m *ControllerManager) elected(c *sim.Ctx, a answer) {
	x := m.Election
	if a.Name == "watch" {
		m.leaseWatched(c, a)
		return
	}
	if a.Index != x.Gen || x.Step == "" {
		return
	}
	step := x.Step
	x.Step = ""
	var l coordv1.Lease
	if a.ok() {
		json.Unmarshal(a.data, &l)
	}
	switch {
	case step == "get" && a.ok():
		x.observe(&l, c.Now)
		if !x.leads() && l.Spec.HolderIdentity != nil && *l.Spec.HolderIdentity != "" && x.valid(c.Now) {
			m.log(c, 'I', 4, "leaderelection.go:481", "Lease is held by and has not yet expired", "lock", m.lock(), "holder", *l.Spec.HolderIdentity)
			m.leaseLost(c)
			return
		}
		m.writeLease(c, "update")
	case step == "get" && a.code == 404 && a.kind == sim.MsgResponse:
		m.writeLease(c, "create")
	case step == "get":
		m.log(c, 'E', 0, "leaderelection.go:461", "Error retrieving lease lock", "err", a.err(), "lock", m.lock())
		m.leaseLost(c)
	case step == "fast" && !a.ok():
		m.log(c, 'I', 2, "leaderelection.go:454", "Failed to update lease optimistically, falling back to slow path", "lock", m.lock(), "err", a.err())
		m.askLease(c, "get", "GET", m.leasePath()+"/"+m.Flags.Elect.Name, nil, 0)
	case !a.ok():
		where, words := "leaderelection.go:497", "Failed to update lease"
		if step == "create" {
			where, words = "leaderelection.go:465", "Error initially creating lease lock"
		}
		m.log(c, 'E', 0, where, words, "err", a.err(), "lock", m.lock())
		m.leaseLost(c)
	default:
		x.observe(&l, c.Now)
		m.leaseHeld(c, step != "create")
	}
}

// leaseHeld is a try that succeeded: the manager leads for now.
func (m *ControllerManager) leaseHeld(c *sim.Ctx, folded bool) {
	x := m.Election
	x.Round, x.Renewed = time.Time{}, c.Now
	if !x.Leading {
		x.Leading = true
		m.log(c, 'I', 0, "leaderelection.go:272", "Successfully acquired lease", "lock", m.lock())
		decide(c, "lease/"+m.lock(), "leaderelection", "leads", x.ID, "")
		m.run(c)
	}
	if folded {
		m.watchLease(c)
		x.Quiet = true
		// The fold ends with the certificate that it was asked for with.
		if certs, err := pki.ParseCerts(m.Own.Cert); err == nil {
			if left := certs[0].NotAfter.Sub(c.Clock()); left > 0 {
				c.Wake(c.Now.Add(left), fmt.Sprintf("elect %d expired", x.Gen))
			}
		}
		return
	}
	m.nextTry(c, m.Flags.Elect.Retry)
}

// leaseLost is a try that failed: who leads gives up at its deadline, who does
// not looks again.
func (m *ControllerManager) leaseLost(c *sim.Ctx) {
	x, f := m.Election, &m.Flags.Elect
	if x.Leading {
		if c.Now.Sub(x.Round)+f.Retry < f.Renew {
			m.nextTry(c, f.Retry)
			return
		}
		m.nextTry(c, x.Round.Add(f.Renew).Sub(c.Now))
		return
	}
	m.log(c, 'I', 4, "leaderelection.go:267", "Failed to acquire lease", "lock", m.lock())
	if x.Lease != nil && !x.leads() && c.Now.Sub(x.Stirred) > f.Duration && c.Now.Sub(x.Seen) < f.Duration/2 {
		// The holder renews, and the watch will tell when it does not.
		m.watchLease(c)
		x.Quiet = true
		return
	}
	stretch := int64(f.Retry) / 100 * era.LeaseJitter.In(m.era())
	m.nextTry(c, f.Retry+time.Duration(c.Chance.N(c.Actor()+"/leader", uint64(stretch)+1)))
}

func (m *ControllerManager) nextTry(c *sim.Ctx, wait time.Duration) {
	m.Election.Gen++
	c.Wake(c.Now.Add(wait), fmt.Sprintf("elect %d try", m.Election.Gen))
}

// electTimer handles the election's timers.
func (m *ControllerManager) electTimer(c *sim.Ctx, gen int, what string) {
	x, f := m.Election, &m.Flags.Elect
	if x == nil || gen != x.Gen {
		return
	}
	switch {
	case what == "timeout" && x.Step != "":
		m.elected(c, answer{exchange: exchange{To: "elect", Index: x.Gen, Name: x.Step, Method: electMethod[x.Step], URL: m.leasePath() + "/" + f.Name + "?timeout=" + f.timeout().String()},
			server: m.Own.Server, kind: sim.MsgFailed, failure: "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"})
	case what == "expired":
		m.stir(c)
	case what == "try" && x.Leading && !x.Round.IsZero() && c.Now.Sub(x.Round) >= f.Renew:
		m.log(c, 'I', 0, "leaderelection.go:304", "Failed to renew lease", "lock", m.lock(), "err", "context deadline exceeded")
		m.leaseGone(c)
		decide(c, "lease/"+m.lock(), "leaderelection", "lost", x.ID, "")
		c.Exit(1)
	case what == "try":
		m.tryLease(c)
	}
}

// leaseGone is the last word of who led.
func (m *ControllerManager) leaseGone(c *sim.Ctx) {
	switch m.Program {
	case csrApprover:
		m.zap(c, "ERROR", "cmd/cmd.go:47", "problem running manager").add("error", "leader election lost").write(c)
	case servingApprover:
		m.zap(c, "FATAL", "cmd/serve.go:147", "Unable to start manager").add("error", "leader election lost").write(c)
	default:
		m.log(c, 'E', 0, "controllermanager.go:355", "leaderelection lost")
	}
}

var electMethod = map[string]string{"get": "GET", "create": "POST", "update": "PUT", "fast": "PUT"}

// watchLease opens the watch of the Lease, if it is not open.
func (m *ControllerManager) watchLease(c *sim.Ctx) {
	x := m.Election
	if x.Watch {
		return
	}
	x.Watch = true
	q := url.Values{"fieldSelector": {"metadata.name=" + m.Flags.Elect.Name}, "resourceVersion": {x.Lease.ResourceVersion}, "timeoutSeconds": {timeout}, "watch": {"true"}}
	m.send(c, m.own(), exchange{To: "elect", Name: "watch", Fold: m.Flags.Elect.Retry}, "GET", m.leasePath()+"?"+q.Encode(), nil)
}

// leaseWatched handles what the watch brings.
func (m *ControllerManager) leaseWatched(c *sim.Ctx, a answer) {
	x := m.Election
	if a.kind == sim.MsgResponse && a.ok() {
		return
	}
	if a.kind != sim.MsgFrame {
		x.Watch = false
		m.stir(c)
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
			// This manager's own renewal.
			continue
		}
		m.stir(c)
	}
}

// stir ends the quiet: the Lease is looked at again, at the time at which the
// next renewal, or the next look, would have come.
func (m *ControllerManager) stir(c *sim.Ctx) {
	x, f := m.Election, &m.Flags.Elect
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
		m.nextTry(c, f.Retry-c.Now.Sub(x.Renewed)%f.Retry)
		return
	}
	m.nextTry(c, time.Duration(c.Chance.N(c.Actor()+"/leader", uint64(f.Retry))))
}
