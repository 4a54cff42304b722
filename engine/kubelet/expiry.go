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

// watchExpiry asks to be woken at the first tick that finds the certificate
// expired.
func (k *Kubelet) watchExpiry(c *sim.Ctx) {
	if k.Client.Cert == nil {
		return
	}
	past := c.Now.Add(k.Client.Cert.NotAfter.Sub(c.Clock()) + 1)
	k.after(c, "expired", k.tick(c, era.KubeletTick.In(k.era()), past))
}

// expired: a tick finds no valid certificate any more. The connections stay: the
// next request on one of them learns it from the server.
func (k *Kubelet) expired(c *sim.Ctx) {
	if k.Client.Cert == nil {
		return
	}
	if k.Client.valid(c) {
		k.watchExpiry(c)
		return
	}
	switch rule := era.KubeletExpired.In(k.era()); {
	case !k.Rotate || rule == era.ExpiredShown:
		// Nobody looks: the server refuses it from now on.
		k.beatDue(c)
		k.note(c, PhaseExpired, "identity", "client-cert", "user", k.Client.Cert.CN, "notAfter", stamp(k.Client.Cert.NotAfter))
		return
	case rule == era.ExpiredEnds:
		k.ended(c)
		return
	}
	k.logCert(c, &k.Client, lineExpired)
	k.Health.LastGood = c.Now.Add(-era.KubeletTick.In(k.era()))
	lost := k.Health.LastGood.Add(era.KubeletExitAfter.In(k.era()))
	k.after(c, "lost", lost.Sub(c.Now))
	k.beatDue(c)
	k.statusDue(c)
	k.note(c, PhaseExpired, "identity", "anonymous", "user", "system:anonymous", "csr", k.Client.Attempt.Name, "next", stamp(lost), "notAfter", stamp(k.Client.Cert.NotAfter))
}

// ended: a tick finds a certificate that has expired, in the releases that end the
// process then if the server answers. Models pkg/kubelet/certificate/transport.go @1.9.
func (k *Kubelet) ended(c *sim.Ctx) {
	if k.Health.Server {
		k.exit(c, lineEnded)
		return
	}
	if k.Health.Complaints == 0 {
		k.beatDue(c)
		k.note(c, PhaseExpired, "identity", "client-cert", "user", k.Client.Cert.CN, "csr", k.Client.Attempt.Name, "notAfter", stamp(k.Client.Cert.NotAfter))
	}
	k.log(c, lineNotEnded)
	k.after(c, "expired", k.complainAgain(era.KubeletTick.In(k.era())))
}

// exit ends the process because it has no valid certificate.
func (k *Kubelet) exit(c *sim.Ctx, l line, args ...any) {
	k.log(c, l, args...)
	k.note(c, PhaseExited, "error", k.words(l))
	c.Exit(era.KubeletExitCode.In(k.era()))
}

// complainAgain is when a complaint comes next that a real kubelet makes in every
// period.
func (k *Kubelet) complainAgain(period time.Duration) time.Duration {
	if k.Health.Complaints++; k.Health.Complaints >= complaintsInFull {
		return complaintsEvery
	}
	return period
}

// checkLost: no valid certificate for 5 minutes. A kubelet that believes that
// the server answers ends and leaves the rest to its restart; one that does not
// only complains. Models pkg/kubelet/certificate/transport.go.
func (k *Kubelet) checkLost(c *sim.Ctx) {
	if k.Client.valid(c) {
		return
	}
	if k.Client.Cert != nil {
		k.logCert(c, &k.Client, lineExpired)
	}
	// As Go prints a time that carries the process's own clock.
	last := k.Health.LastGood
	up := last.Sub(k.Start)
	args := []any{"lastCertificateAvailabilityTime", fmt.Sprintf("%v m=+%d.%09d", last.Add(c.Skew), up/time.Second, up%time.Second), "shutdownThreshold", era.KubeletExitAfter.In(k.era())}
	if k.Health.Server {
		k.exit(c, lineExiting, args...)
		return
	}
	k.log(c, lineUnresponsive, args...)
	period := k.lostPeriod()
	if tick := era.KubeletTick.In(k.era()); c.Now.Sub(k.Start)%tick == 0 && !k.Health.Had && period != tick {
		// Until there is a first certificate both checks look, the slow one too.
		k.log(c, lineUnresponsive, args...)
	}
	k.after(c, "lost", k.complainAgain(period))
}

// lostPeriod is how often the kubelet looks whether it is lost.
func (k *Kubelet) lostPeriod() time.Duration {
	if k.Health.Had {
		return era.KubeletTick.In(k.era())
	}
	return era.KubeletFirstTick.In(k.era())
}
