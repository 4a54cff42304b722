package controllers

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
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
// for, and what the log says. Models pkg/controller/certificates/cleaner/cleaner.go.
var tooOld = []struct {
	why   string
	line  *era.Row[era.Line]
	since func(csr *certv1.CertificateSigningRequest) time.Time
	age   func(era.Era) time.Duration
}{
	{"approved", &era.LineCleansApproved, func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Certificate) == 0 {
			return time.Time{}
		}
		return decidedAt(csr, certv1.CertificateApproved)
	}, cleansDecided},
	{"denied", &era.LineCleansDenied, func(csr *certv1.CertificateSigningRequest) time.Time {
		return decidedAt(csr, certv1.CertificateDenied)
	}, cleansDecided},
	{"failed", &era.LineCleansFailed, func(csr *certv1.CertificateSigningRequest) time.Time {
		return decidedAt(csr, certv1.CertificateFailed)
	}, func(e era.Era) time.Duration {
		if !era.CleanerFails.In(e) {
			return 0
		}
		return cleansDecided(e)
	}},
	{"unhandled", &era.LineCleansPending, func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Conditions) > 0 {
			return time.Time{}
		}
		return csr.CreationTimestamp.Time
	}, func(e era.Era) time.Duration {
		if !era.Cleaner.In(e) {
			return 0
		}
		return era.CleanerPending.In(e)
	}},
	{"approved, but not issued", &era.LineCleansUnissued, func(csr *certv1.CertificateSigningRequest) time.Time {
		if len(csr.Status.Certificate) > 0 {
			return time.Time{}
		}
		return decidedAt(csr, certv1.CertificateApproved)
	}, era.CleanerUnissued.In},
}

// cleansDecided is how long one that was decided stays, 0 where nobody cleans.
func cleansDecided(e era.Era) time.Duration {
	if !era.Cleaner.In(e) {
		return 0
	}
	return era.CleanerDecided.In(e)
}

// Cleans tells when the cleaner will find a CSR too old, if nothing happens to it,
// and how long after what makes it so. The zero time is never.
func Cleans(e era.Era, csr *certv1.CertificateSigningRequest) (at time.Time, after time.Duration) {
	soonest := func(since time.Time, age time.Duration) {
		if t := since.Add(age); age > 0 && !since.IsZero() && (at.IsZero() || t.Before(at)) {
			at, after = t, age
		}
	}
	if !era.Cleaner.In(e) || cleanError(e, csr) != nil {
		return at, after
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

// cleanError is why a CSR is left for ever in releases that read its certificate
// first.
func cleanError(e era.Era, csr *certv1.CertificateSigningRequest) error {
	when := era.CleanerReadsFirst.In(e)
	if when == "" || len(csr.Status.Certificate) == 0 || when == "conditions" && len(csr.Status.Conditions) == 0 {
		return nil
	}
	b, _ := pem.Decode(csr.Status.Certificate)
	if b == nil {
		return errors.New("expected the certificate associated with the CSR to be PEM encoded")
	}
	if _, err := x509.ParseCertificates(b.Bytes); err != nil {
		return fmt.Errorf("unable to parse certificate data: %w", err)
	}
	return nil
}

// clean is one round of the cleaner.
func (m *ControllerManager) clean(c *sim.Ctx) {
	e, now := m.era(), c.Clock()
	for _, name := range slices.Sorted(maps.Keys(m.CSRs)) {
		csr := m.CSRs[name]
		if err := cleanError(e, csr); err != nil {
			m.say(c, &era.LineCleanerError, err.Error(), name)
			continue
		}
		why := ""
		ended := func() bool {
			certs, err := pki.ParseCerts(csr.Status.Certificate)
			return err == nil && condition(csr, certv1.CertificateApproved) && now.After(certs[0].NotAfter)
		}
		expired := era.CleanerReadsFirst.In(e) != "" && ended()
		if expired {
			m.say(c, &era.LineCleansExpired, name)
		}
		for _, x := range tooOld {
			since, age := x.since(csr), x.age(e)
			if why == "" && age > 0 && !since.IsZero() && now.Sub(since) > age {
				why = x.why
				m.say(c, x.line, name, age)
			}
		}
		if why == "" && (expired || ended()) {
			why = "expired"
			if !expired {
				m.say(c, &era.LineCleansExpired, name)
			}
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
		m.say(c, &era.LineCleanerError, fmt.Sprintf("unable to delete CSR %q: %s", a.Name, a.err()), a.Name)
	}
}
