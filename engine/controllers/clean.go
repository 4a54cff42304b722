package controllers

import (
	"fmt"
	"maps"
	"slices"
	"time"

	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// cleaner deletes old CSRs at every full hour after the manager's start. It
// sleeps while there are none.
type cleaner struct {
	On     bool      `json:"on,omitempty"`
	Client int       `json:"client,omitempty"`
	Waits  time.Time `json:"waits,omitzero"`
}

// cleanLater asks to be woken at the next round.
func (m *ControllerManager) cleanLater(c *sim.Ctx) {
	if !m.Cleaner.On || m.Cleaner.Waits.After(c.Now) {
		return
	}
	tick := era.CleanerTick.In(m.era())
	m.Cleaner.Waits = m.Started.Add((c.Now.Sub(m.Started)/tick + 1) * tick)
	c.Wake(m.Cleaner.Waits, "clean")
}

// tooOld are the reasons to delete a CSR, in the order in which they are looked
// for, and their lines: source, words and what they call the age. Models
// pkg/controller/certificates/cleaner/cleaner.go.
var tooOld = []struct {
	why   string
	line  string
	words string
	limit string
	since func(csr *certv1.CertificateSigningRequest) time.Time
	age   func(era.Era) time.Duration
}{
	{"approved", "cleaner.go:189", "more than approvedExpiration duration old and approved.", "approvedExpiration", func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Certificate) == 0 {
			return time.Time{}
		}
		return decidedAt(csr, certv1.CertificateApproved)
	}, era.CleanerDecided.In},
	{"denied", "cleaner.go:160", "more than deniedExpiration duration old and denied.", "deniedExpiration", func(csr *certv1.CertificateSigningRequest) time.Time {
		return decidedAt(csr, certv1.CertificateDenied)
	}, era.CleanerDecided.In},
	{"failed", "cleaner.go:173", "more than deniedExpiration duration old and failed.", "deniedExpiration", func(csr *certv1.CertificateSigningRequest) time.Time {
		return decidedAt(csr, certv1.CertificateFailed)
	}, era.CleanerDecided.In},
	{"unhandled", "cleaner.go:148", "more than pendingExpiration duration old and unhandled.", "pendingExpiration", func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Conditions) > 0 {
			return time.Time{}
		}
		return csr.CreationTimestamp.Time
	}, era.CleanerPending.In},
	{"approved, but not issued", "cleaner.go:205", "approved but unissued for more than pendingExpiration duration.", "pendingExpiration", func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Certificate) > 0 {
			return time.Time{}
		}
		return decidedAt(csr, certv1.CertificateApproved)
	}, era.CleanerUnissued.In},
}

// Cleans tells when the cleaner will find a CSR too old, if nothing happens to it,
// and how long after what makes it so. The zero time is never.
func Cleans(e era.Era, csr *certv1.CertificateSigningRequest) (at time.Time, after time.Duration) {
	soonest := func(since time.Time, age time.Duration) {
		if t := since.Add(age); age > 0 && !since.IsZero() && (at.IsZero() || t.Before(at)) {
			at, after = t, age
		}
	}
	for _, x := range tooOld {
		soonest(x.since(csr), x.age(e))
	}
	if certs, err := pki.ParseCerts(csr.Status.Certificate); err == nil {
		if since := decidedAt(csr, certv1.CertificateApproved); !since.IsZero() {
			soonest(since, certs[0].NotAfter.Sub(since))
		}
	}
	return at, after
}

func decidedAt(csr *certv1.CertificateSigningRequest, kind certv1.RequestConditionType) time.Time {
	for _, x := range csr.Status.Conditions {
		if x.Type == kind {
			return x.LastUpdateTime.Time
		}
	}
	return time.Time{}
}

// clean is one round of the cleaner.
func (m *ControllerManager) clean(c *sim.Ctx) {
	now := c.Clock()
	for _, name := range slices.Sorted(maps.Keys(m.CSRs)) {
		csr := m.CSRs[name]
		why := ""
		for _, x := range tooOld {
			since, age := x.since(csr), x.age(m.era())
			if why == "" && age > 0 && !since.IsZero() && now.Sub(since) > age {
				why = x.why
				m.log(c, 'I', 0, x.line, "Cleaning CSR as it is "+x.words, "csr", name, x.limit, age)
			}
		}
		if certs, err := pki.ParseCerts(csr.Status.Certificate); why == "" && err == nil && condition(csr, certv1.CertificateApproved) && now.After(certs[0].NotAfter) {
			why = "expired"
			m.log(c, 'I', 0, "cleaner.go:134", "Cleaning CSR as the associated certificate is expired.", "csr", name)
		}
		if why != "" {
			decide(c, "csr/"+name, cleaning, "deleted", why, "")
			m.send(c, m.Clients[m.Cleaner.Client], exchange{To: "clean", Name: name}, "DELETE", m.csrs()+"/"+name, nil)
		}
	}
	if len(m.CSRs) > 0 {
		m.cleanLater(c)
	}
}

func (m *ControllerManager) cleaned(c *sim.Ctx, a answer) {
	if !a.ok() {
		m.log(c, 'E', 0, "cleaner.go:109", "Error while attempting to clean CSR", "err", fmt.Sprintf("unable to delete CSR %q: %s", a.Name, a.err()), "csr", a.Name)
	}
}
