package kubelet

import (
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// restAfter is how long something is refused before it rests; restProbe is how
// often the Lease is still tried then. A real kubelet goes on for ever.
const (
	restAfter = 5 * time.Minute
	restProbe = 10 * time.Minute
)

// retry counts the failures of something that is tried until it succeeds.
type retry struct {
	Fails   int       `json:"fails,omitempty"`
	Since   time.Time `json:"since,omitzero"`
	Resting bool      `json:"resting,omitempty"`
}

// again sets the timer of the next try and returns the wait. What has rested is
// woken by changed.
func (k *Kubelet) again(c *sim.Ctx, timer string, r *retry, b era.Backoff) time.Duration {
	if r.Fails == 0 {
		r.Since = c.Now
	}
	d := k.pause(c, timer, b, r.Fails)
	r.Fails++
	if r.Resting = c.Now.Sub(r.Since) >= restAfter; r.Resting {
		k.stop(timer)
	} else {
		k.after(c, timer, d)
	}
	return d
}

// resume lets a rested retry go on within its own interval.
func (k *Kubelet) resume(c *sim.Ctx, timer string, r *retry, b era.Backoff) {
	if !r.Resting {
		return
	}
	r.Resting, r.Since = false, c.Now
	k.after(c, timer, time.Duration(c.Chance.N(c.Actor()+"/"+timer, uint64(b.At(r.Fails)))))
}

// changed is called when what was refused may be allowed now: the credentials
// are new, or the server was heard of after a silence.
func (k *Kubelet) changed(c *sim.Ctx) {
	k.resume(c, "register", &k.Reg.Retry, era.KubeletRegister.In(k.era()))
	k.resume(c, "status", &k.Reg.Status, statusBackoff)
	k.resume(c, "lease", &k.Lease.Retry, era.KubeletLease.In(k.era()))
	for _, kind := range kinds {
		if s := k.Sources[kind.name]; s != nil {
			k.resume(c, "source "+kind.name, &s.Retry, kind.backoff(k.era()))
		}
	}
	k.beatDue(c)
}
