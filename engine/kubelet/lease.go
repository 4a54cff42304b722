package kubelet

import (
	"time"

	coordv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// FoldHeader asks the API server to take a renewal for one that comes again in
// every such interval.
const FoldHeader = "Joinery-Fold"

// leases is where the API has the Leases of nodes.
func (k *Kubelet) leases() string {
	return "/apis/" + era.Preferred(k.era(), "coordination.k8s.io", "leases") + "/namespaces/kube-node-lease/leases"
}

// lease is the node's heartbeat.
type lease struct {
	// Object is the Lease as the server last gave it; nil while it is not known
	// to be there.
	Object  *coordv1.Lease `json:"object,omitempty"`
	Renewed time.Time      `json:"renewed,omitzero"`
	// Tries counts renewals that failed in a row.
	Tries int `json:"tries,omitempty"`
	// Met: somebody else changed it since the last renewal. Contested counts the
	// renewals in a row before which that happened.
	Contested int  `json:"contested,omitempty"`
	Met       bool `json:"met,omitempty"`
	// Ensured: the tries are those after it was looked for.
	Ensured bool  `json:"ensured,omitempty"`
	Retry   retry `json:"retry"`
}

// ensureLease looks for the Lease. Models
// k8s.io/component-helpers/apimachinery/lease.
func (k *Kubelet) ensureLease(c *sim.Ctx) {
	k.Lease.Object = nil
	k.send(c, "lease.get", connAPI, "GET", k.leases()+"/"+k.Node+"?timeout=10s", nil)
}

func (k *Kubelet) leaseGot(c *sim.Ctx, a answer) {
	switch {
	case a.ok():
		k.haveLease(c, a)
		k.Lease.Ensured = true
		k.renewLease(c)
	case a.kind == sim.MsgResponse && a.code == 404:
		k.Lease.Retry = retry{}
		k.heard(c)
		if !k.Reg.Done {
			// A Lease without its Node as owner is not made; the next try comes
			// with the next renewal.
			k.after(c, "lease", k.renewEvery())
			return
		}
		k.send(c, "lease.create", connAPI, "POST", k.leases()+"?timeout=10s", k.renewal(c, &coordv1.Lease{
			TypeMeta: metav1.TypeMeta{Kind: "Lease", APIVersion: era.Preferred(k.era(), "coordination.k8s.io", "leases")},
			ObjectMeta: metav1.ObjectMeta{Name: k.Node, Namespace: "kube-node-lease",
				OwnerReferences: []metav1.OwnerReference{k.owner()}},
		}))
	default:
		k.noLease(c, a)
	}
}

// noLease: the Lease can't be had; it is looked for again, at first soon.
func (k *Kubelet) noLease(c *sim.Ctx, a answer) {
	b := era.KubeletLease.In(k.era())
	wait := k.again(c, "lease", &k.Lease.Retry, b)
	k.log(c, lineNoLease, "err", a.err(), "interval", wait)
	if k.Lease.Retry.Resting {
		k.after(c, "lease", restProbe)
	}
}

func (k *Kubelet) haveLease(c *sim.Ctx, a answer) {
	l, err := sim.Decode[coordv1.Lease](sim.Unmanaged(a.data))
	if err != nil {
		l = new(coordv1.Lease)
	}
	k.Lease.Object, k.Lease.Tries = l, 0
	k.Lease.Retry.Resting = false
	k.heard(c)
	k.Lease.Retry = retry{}
}

func (k *Kubelet) leaseCreated(c *sim.Ctx, a answer) {
	if !a.ok() {
		k.noLease(c, a)
		return
	}
	k.haveLease(c, a)
	k.Lease.Renewed = c.Now
	k.after(c, "renew", k.renewEvery())
}

// renewEvery is the interval of renewals. Models pkg/kubelet nodeLeaseRenewIntervalFraction.
func (k *Kubelet) renewEvery() time.Duration {
	return time.Duration(k.Running.NodeLeaseDurationSeconds) * time.Second / 4
}

// renewal is a Lease with the present time in it.
func (k *Kubelet) renewal(c *sim.Ctx, old *coordv1.Lease) *coordv1.Lease {
	l := old.DeepCopy()
	holder, seconds := k.Node, k.Running.NodeLeaseDurationSeconds
	l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds = &holder, &seconds
	l.Spec.RenewTime = &metav1.MicroTime{Time: c.Clock().Truncate(time.Microsecond)}
	return l
}

// renewLease renews the Lease for as long as its connection lives.
func (k *Kubelet) renewLease(c *sim.Ctx) {
	if k.Lease.Object == nil {
		return
	}
	k.stop("renew")
	k.send(c, "lease.update", connAPI, "PUT", k.leases()+"/"+k.Node+"?timeout=10s", k.renewal(c, k.Lease.Object), FoldHeader, k.renewEvery().String())
}

func (k *Kubelet) leaseUpdated(c *sim.Ctx, a answer) {
	if a.ok() {
		k.haveLease(c, a)
		if k.Lease.Renewed, k.Lease.Ensured = c.Now, false; k.Lease.Met {
			k.Lease.Contested++
		} else {
			k.Lease.Contested = 0
		}
		k.Lease.Met = false
		return
	}
	if a.kind == sim.MsgResponse && a.code == 409 {
		// It was changed: read it anew. What its own folded renewals changed is no
		// conflict for a real kubelet.
		if k.Lease.Met {
			k.log(c, lineNoRenewal, "err", a.err())
		}
		k.ensureLease(c)
		return
	}
	k.log(c, lineNoRenewal, "err", a.err())
	if a.code == 401 && k.Client.Cert != nil && k.gone(c) {
		c.CloseConn(connAPI)
	}
	k.Lease.Tries++
	if k.Lease.Tries < era.KubeletLeaseTries.In(k.era()) && k.Lease.Object != nil {
		k.renewLease(c)
		return
	}
	k.Lease.Tries = 0
	if k.Lease.Ensured {
		// It is there and can't be written: that was all for this interval.
		k.Lease.Ensured = false
		k.after(c, "renew", k.renewEvery())
		return
	}
	k.ensureLease(c)
}

// beatDue sends the heartbeat that would come next by itself, because what it
// was folded into has ended or is about to.
func (k *Kubelet) beatDue(c *sim.Ctx) {
	if k.beats() {
		k.statusBeatDue(c)
		return
	}
	if k.Lease.Object == nil || k.Lease.Renewed.IsZero() {
		return
	}
	every := k.renewEvery()
	if k.Lease.Contested >= contestsInFull {
		// Two that renew one Lease would do so for ever.
		every = complaintsEvery
	}
	k.after(c, "renew", every-c.Now.Sub(k.Lease.Renewed)%every)
}
