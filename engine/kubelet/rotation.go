package kubelet

import (
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// The two certificates that a kubelet may keep live the same life.
const (
	useClient  = "client"
	useServing = "serving"
)

// life is what tells the two apart.
type life struct {
	signer string
	// prefix is that of its files in cert-dir, and of its keys' names.
	prefix string
	usages *era.Row[[]string]
}

var lives = map[string]life{
	useClient:  {"kubernetes.io/kube-apiserver-client-kubelet", "kubelet-client", &era.KubeletCSRUsages},
	useServing: {"kubernetes.io/kubelet-serving", "kubelet-server", &era.KubeletServingUsages},
}

// rotation is the life of one certificate: it is asked for, waited for, stored,
// and asked for again before it ends. Models k8s.io/client-go/util/certificate
// certificate_manager.go.
type rotation struct {
	Use     string       `json:"use"`
	Cert    *certificate `json:"cert,omitempty"`
	Attempt attempt      `json:"attempt"`
	// Sync: the process waits for this certificate before it does anything else.
	Sync bool `json:"sync,omitempty"`
	// DNS and IPs are the names that are asked for.
	DNS []string `json:"dns,omitempty"`
	IPs []string `json:"ips,omitempty"`
	// Errors counts failed tries. Lived are the ages at which earlier
	// certificates were replaced.
	Errors int           `json:"errors,omitempty"`
	Lived  sim.Histogram `json:"lived,omitzero"`
}

func (r *rotation) life() life { return lives[r.Use] }

// life is the rotation of a use.
func (k *Kubelet) life(use string) *rotation {
	if use == useServing {
		return &k.Serving
	}
	return &k.Client
}

// valid tells whether there is a certificate that the host's clock does not
// call expired.
func (r *rotation) valid(c *sim.Ctx) bool {
	return r.Cert != nil && !c.Clock().After(r.Cert.NotAfter)
}

func (r *rotation) deadline() string {
	if r.Cert == nil {
		return ""
	}
	return stamp(r.Cert.Deadline)
}

// noteLife notes a phase of a life. The phase of the kubelet is that of its
// client certificate; the serving certificate's is noted under its own name.
func (k *Kubelet) noteLife(c *sim.Ctx, r *rotation, phase string, pairs ...string) {
	pairs = append(k.asker(r), pairs...)
	if r.Use == useClient {
		k.note(c, phase, pairs...)
		return
	}
	c.Note(trace.Phase, c.Unit+"-"+r.Use, phaseArgs(phase, pairs), "")
}

// store takes a signed certificate into use and onto the disk.
func (k *Kubelet) store(c *sim.Ctx, r *rotation, cert []byte) {
	a := &r.Attempt
	if r.Sync {
		k.synced(c, cert)
		return
	}
	next, err := parsePair(cert, a.Key)
	if err == nil {
		err = saveStore(c.Disk, k.Flags.CertDir, r.life().prefix, cert, a.Key, c.Clock())
	}
	if err != nil {
		k.failed(c, r, lineNotStored, err.Error())
		return
	}
	k.leaveCSR(c, r)
	first := r.Cert == nil
	if !first {
		r.Lived.Observe(ages, c.Clock().Sub(r.Cert.NotBefore).Seconds())
	}
	name, conn := a.Name, a.Conn
	r.Attempt = attempt{}
	if !first && r.Use == useClient && era.KubeletTick.In(k.era()) == 0 {
		// Nobody closes the connections: they end being good with the old one.
		k.after(c, "stale", r.Cert.NotAfter.Sub(c.Clock())+1)
	}
	r.Cert = next
	k.after(c, "deadline "+r.Use, era.KubeletSettle.In(k.era()))
	if r.Use == useServing {
		k.served(c, first, name)
		return
	}
	// One that a certificate which has expired since was shown on would be refused
	// at the next renewal; a real one is closed when it has been idle for 90 s.
	c.CloseConn(connBootstrap)
	c.CloseConn(connRenewal)
	if k.Held == useClient {
		// The start waited for it, and nothing was connected before.
		r.Cert.Noticed, k.Health.Server, k.Health.Had = true, true, true
		k.note(c, PhaseIssued, "identity", "client-cert", "user", next.CN, "csr", name, "by", conn)
		k.watchExpiry(c)
		k.released(c)
		return
	}
	first = first && !k.Health.Had
	k.Health.Server, k.Health.Had, k.Health.Complaints = true, true, 0
	k.stop("lost")

	period := era.KubeletTick.In(k.era())
	if first {
		period = era.KubeletFirstTick.In(k.era())
	}
	noticed := k.tick(c, period, c.Now)
	if period > 0 {
		k.after(c, "noticed", noticed)
	}
	k.watchExpiry(c)
	k.note(c, PhaseIssued, "identity", "client-cert", "user", next.CN, "csr", name, "by", conn, "next", stamp(c.Now.Add(noticed)))
}

// tick is the first tick of a period, counted from the start, that is not
// before t, as the pause from now.
func (k *Kubelet) tick(c *sim.Ctx, period time.Duration, t time.Time) time.Duration {
	if period == 0 {
		return t.Sub(c.Now)
	}
	n := (t.Sub(k.Start) + period - 1) / period
	return k.Start.Add(n * period).Sub(c.Now)
}

// noticed: a tick finds that the certificate is another one, and the
// connections are closed so that new ones present it.
func (k *Kubelet) noticed(c *sim.Ctx) {
	if k.Client.Cert == nil || k.Client.Cert.Noticed {
		return
	}
	k.Client.Cert.Noticed = true
	k.log(c, lineRotated)
	c.CloseConn(connAPI)
	k.changed(c)
	k.settled(c)
}

// drawDeadline draws when the certificate will be rotated: at 70 to 90 % of its
// lifetime, in integers. Models k8s.io/client-go/util/certificate jitteryDuration.
func (k *Kubelet) drawDeadline(c *sim.Ctx, r *rotation) {
	if r.Cert == nil || !k.Rotate && r.Use == useClient {
		return
	}
	life := r.Cert.NotAfter.Sub(r.Cert.NotBefore)
	purpose := c.Actor() + "/rotation"
	if r.Use == useServing {
		purpose += "-serving"
	}
	jitter := Jittery(k.era(), life, func(n uint64) uint64 { return c.Chance.N(purpose, n) })
	r.Cert.Deadline = r.Cert.NotBefore.Add(jitter)
	k.logCert(c, r, lineDeadline, "expiration", r.Cert.NotAfter, "deadline", r.Cert.Deadline)
	sleep := r.Cert.Deadline.Sub(c.Clock())
	if sleep <= 0 {
		k.rotateAtOnce(c, r)
		return
	}
	k.logCert(c, r, lineWaiting, "sleep", sleep)
	k.after(c, "rotate "+r.Use, sleep)
	if r.Use == useServing {
		if t := &k.Port.Template; t.Queued {
			t.Queued = false
			k.after(c, "deadline "+r.Use, era.KubeletSettle.In(k.era()))
		}
		k.noteLife(c, r, PhaseJoined, "deadline", r.deadline(), "next", r.deadline(), "notAfter", stamp(r.Cert.NotAfter))
		return
	}
	k.settled(c)
}

// Jittery is how long after its NotBefore a certificate that lives for life is
// rotated; draw returns a number below n. Models k8s.io/client-go/util/certificate
// jitteryDuration.
func Jittery(e era.Era, life time.Duration, draw func(n uint64) uint64) time.Duration {
	percent := int64(life) / 100
	from := percent * era.KubeletRotateFrom.In(e)
	span := percent * era.KubeletRotateSpan.In(e)
	if span <= 0 {
		return time.Duration(from)
	}
	return time.Duration(from + int64(draw(uint64(span))))
}

// settled notes that the node is joined, once all that belongs to it is there.
func (k *Kubelet) settled(c *sim.Ctx) {
	r := &k.Client
	if !r.valid(c) || !r.Cert.Noticed && era.KubeletTick.In(k.era()) > 0 || !k.Reg.Done || r.Attempt.Name != "" || k.Rotate && r.Cert.Deadline.IsZero() {
		return
	}
	k.note(c, PhaseJoined, "identity", "client-cert", "user", r.Cert.CN, "node", k.Node, "deadline", stamp(r.Cert.Deadline), "next", stamp(r.Cert.Deadline),
		"notAfter", stamp(r.Cert.NotAfter))
}
