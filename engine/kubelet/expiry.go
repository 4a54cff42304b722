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
	if !k.Rotate {
		// Nobody looks: the server refuses it from now on.
		k.leaseDue(c)
		k.note(c, PhaseExpired, "identity", "client-cert", "user", k.Client.Cert.CN, "notAfter", stamp(k.Client.Cert.NotAfter))
		return
	}
	k.logCert(c, &k.Client, lineExpired)
	k.Health.LastGood = c.Now.Add(-era.KubeletTick.In(k.era()))
	lost := k.Health.LastGood.Add(era.KubeletExitAfter.In(k.era()))
	k.after(c, "lost", lost.Sub(c.Now))
	k.leaseDue(c)
	k.statusDue(c)
	k.note(c, PhaseExpired, "identity", "anonymous", "user", "system:anonymous", "csr", k.Client.Attempt.Name, "next", stamp(lost), "notAfter", stamp(k.Client.Cert.NotAfter))
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
		k.log(c, lineExiting, args...)
		k.note(c, PhaseExited, "error", lineExiting.msg)
		c.Exit(1)
		return
	}
	k.log(c, lineUnresponsive, args...)
	period := k.lostPeriod()
	if c.Now.Sub(k.Start)%era.KubeletTick.In(k.era()) == 0 && !k.Health.Had {
		// Until there is a first certificate both checks look, the slow one too.
		k.log(c, lineUnresponsive, args...)
	}
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
