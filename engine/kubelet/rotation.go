package kubelet

import (
	"fmt"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// health is what decides whether a kubelet without a valid certificate ends.
type health struct {
	// Server: the last failed request was answered by a working server, or a
	// certificate was stored since.
	Server bool `json:"server,omitempty"`
	// Had: this process has had a certificate.
	Had bool `json:"had,omitempty"`
	// LastGood is the last tick that found a valid certificate, or the start.
	LastGood time.Time `json:"lastGood,omitzero"`
	// Complaints counts the lines about a server that does not respond.
	Complaints int `json:"complaints,omitempty"`
}

// complaintsInFull and complaintsEvery fold a line that a real kubelet writes
// once per second for ever.
const (
	complaintsInFull = 10
	complaintsEvery  = 10 * time.Minute
)

// valid tells whether the kubelet has a certificate that the host's clock does
// not call expired.
func (k *Kubelet) valid(c *sim.Ctx) bool {
	return k.Cert != nil && !c.Clock().After(k.Cert.NotAfter)
}

// tick is the first tick of a period, counted from the start, that is not
// before t, as the pause from now.
func (k *Kubelet) tick(c *sim.Ctx, period time.Duration, t time.Time) time.Duration {
	n := (t.Sub(k.Start) + period - 1) / period
	return k.Start.Add(n * period).Sub(c.Now)
}

// store takes a signed certificate into use and onto the disk.
func (k *Kubelet) store(c *sim.Ctx, cert []byte) {
	a := &k.Attempt
	next, err := parsePair(cert, a.Key)
	if err == nil {
		err = saveStore(c.Disk, k.Flags.CertDir, cert, a.Key, c.Clock())
	}
	if err != nil {
		k.failed(c, lineNotStored, err.Error())
		return
	}
	k.leaveCSR(c)
	c.CloseConn(a.Conn)
	first := k.Cert == nil && !k.Health.Had
	name, conn := a.Name, a.Conn
	k.Attempt = attempt{}
	k.Cert = next
	k.Health.Server, k.Health.Had, k.Health.Complaints = true, true, 0
	k.stop("lost")

	period := era.KubeletTick.In(k.era())
	if first {
		period = era.KubeletFirstTick.In(k.era())
	}
	noticed := k.tick(c, period, c.Now)
	k.after(c, "noticed", noticed)
	k.after(c, "deadline", era.KubeletSettle.In(k.era()))
	k.watchExpiry(c)
	k.note(c, PhaseIssued, "identity", "client-cert", "user", k.Cert.CN, "csr", name, "by", conn, "next", stamp(c.Now.Add(noticed)))
}

// noticed: a tick finds that the certificate is another one, and the
// connections are closed so that new ones present it.
func (k *Kubelet) noticed(c *sim.Ctx) {
	if k.Cert == nil || k.Cert.Noticed {
		return
	}
	k.Cert.Noticed = true
	k.log(c, lineRotated)
	c.CloseConn(connAPI)
	k.changed(c)
	k.settled(c)
}

// drawDeadline draws when the certificate will be rotated: at 70 to 90 % of its
// lifetime, in integers. Models k8s.io/client-go/util/certificate jitteryDuration.
func (k *Kubelet) drawDeadline(c *sim.Ctx) {
	if k.Cert == nil || !k.Rotate {
		return
	}
	life := k.Cert.NotAfter.Sub(k.Cert.NotBefore)
	jitter := Jittery(k.era(), life, func(n uint64) uint64 { return c.Chance.N(c.Actor()+"/rotation", n) })
	k.Cert.Deadline = k.Cert.NotBefore.Add(jitter)
	k.logCert(c, lineDeadline, "expiration", k.Cert.NotAfter, "deadline", k.Cert.Deadline)
	sleep := k.Cert.Deadline.Sub(c.Clock())
	if sleep <= 0 {
		k.rotate(c)
		return
	}
	k.logCert(c, lineWaiting, "sleep", sleep)
	k.after(c, "rotate", sleep)
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
	if !k.valid(c) || !k.Cert.Noticed || !k.Reg.Done || k.Attempt.Name != "" || k.Rotate && k.Cert.Deadline.IsZero() {
		return
	}
	k.note(c, PhaseJoined, "identity", "client-cert", "user", k.Cert.CN, "node", k.Node, "deadline", stamp(k.Cert.Deadline), "next", stamp(k.Cert.Deadline),
		"notAfter", stamp(k.Cert.NotAfter))
}

// watchExpiry asks to be woken at the first tick that finds the certificate
// expired.
func (k *Kubelet) watchExpiry(c *sim.Ctx) {
	if k.Cert == nil {
		return
	}
	past := c.Now.Add(k.Cert.NotAfter.Sub(c.Clock()) + 1)
	k.after(c, "expired", k.tick(c, era.KubeletTick.In(k.era()), past))
}

// expired: a tick finds no valid certificate any more. The connections stay: the
// next request on one of them learns it from the server.
func (k *Kubelet) expired(c *sim.Ctx) {
	if k.Cert == nil {
		return
	}
	if k.valid(c) {
		k.watchExpiry(c)
		return
	}
	k.logCert(c, lineExpired)
	k.Health.LastGood = c.Now.Add(-era.KubeletTick.In(k.era()))
	lost := k.Health.LastGood.Add(era.KubeletExitAfter.In(k.era()))
	k.after(c, "lost", lost.Sub(c.Now))
	k.leaseDue(c)
	k.note(c, PhaseExpired, "identity", "anonymous", "user", "system:anonymous", "csr", k.Attempt.Name, "next", stamp(lost), "notAfter", stamp(k.Cert.NotAfter))
}

// checkLost: no valid certificate for 5 minutes. A kubelet that believes that
// the server answers ends and leaves the rest to its restart; one that does not
// only complains. Models pkg/kubelet/certificate/transport.go.
func (k *Kubelet) checkLost(c *sim.Ctx) {
	if k.valid(c) {
		return
	}
	if k.Cert != nil {
		k.logCert(c, lineExpired)
	}
	// As Go prints a time that carries the process's own clock.
	last := k.Health.LastGood
	up := last.Sub(k.Start)
	args := []any{"lastCertificateAvailabilityTime", fmt.Sprintf("%v m=+%d.%09d", last.Add(c.Skew), up/time.Second, up%time.Second), "shutdownThreshold", era.KubeletExitAfter.In(k.era())}
	if k.Health.Server {
		k.log(c, lineExiting, args...)
		k.note(c, PhaseExited, "error", lineExiting.msg)
		c.Exit(1)
		return
	}
	k.log(c, lineUnresponsive, args...)
	period := k.lostPeriod()
	k.Health.Complaints++
	if k.Health.Complaints >= complaintsInFull {
		period = complaintsEvery
	}
	k.after(c, "lost", period)
}

// lostPeriod is how often the kubelet looks whether it is lost.
func (k *Kubelet) lostPeriod() time.Duration {
	if k.Health.Had {
		return era.KubeletTick.In(k.era())
	}
	return era.KubeletFirstTick.In(k.era())
}
