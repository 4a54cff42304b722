package kubelet

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// template is what the kubelet knows of the names for its serving certificate.
type template struct {
	// Observed are the addresses that the watch of the Node showed last, Raw the
	// same as they came, DNS and IPs the names in them: when there is an IP there is
	// something to ask for (Models pkg/kubelet getLastObservedNodeAddresses).
	Raw      string               `json:"raw,omitempty"`
	Observed []corev1.NodeAddress `json:"observed,omitempty"`
	DNS      []string             `json:"dns,omitempty"`
	IPs      []string             `json:"ips,omitempty"`
	// Queued: when the first certificate was asked for, the watch of the template
	// called for it too, so the deadline is drawn twice (recorded: d/kubelet.log).
	Queued bool `json:"queued,omitempty"`
	// Missing counts the lines about names that the certificate lacks.
	Missing int `json:"missing,omitempty"`
}

// beginServing starts the life of the serving certificate.
func (k *Kubelet) beginServing(c *sim.Ctx) bool {
	r := &k.Serving
	cert, err := k.loadStore(c, r, k.Port.CertFile, k.Port.KeyFile)
	if err != nil {
		k.die(c, "failed to run Kubelet: failed to create kubelet: failed to initialize certificate manager: "+err.Error())
		return false
	}
	k.logCert(c, r, lineEnabled)
	if r.Cert = cert; cert != nil && era.KubeletStoreChecks.In(k.era()) && !r.valid(c) {
		r.Cert = nil
	}
	named := era.KubeletServingNames.In(k.era())
	if era.KubeletFirstTryBlocks.In(k.era()) {
		k.Held = useServing
	}
	switch {
	case r.Cert != nil:
		k.drawDeadline(c, r)
	case !named:
		k.rotateAtOnce(c, r)
	}
	if k.Held == useServing && r.Attempt.Try == 0 {
		k.Held = ""
	}
	if named {
		k.after(c, "template", era.KubeletTemplate.In(k.era()))
	}
	return true
}

// checkTemplate looks whether the node's addresses stand in the certificate: a
// certificate without them is asked for anew at once. What is there and not
// needed any more does no harm.
func (k *Kubelet) checkTemplate(c *sim.Ctx) {
	r, t := &k.Serving, &k.Port.Template
	every := era.KubeletTemplate.In(k.era())
	if !k.namesServing() {
		k.after(c, "template", every)
		return
	}
	first := !slices.Equal(r.DNS, t.DNS) || !slices.Equal(r.IPs, t.IPs)
	k.nameServing(c)
	if r.Cert == nil {
		if first {
			k.renamed(c, r)
		}
		return
	}
	dns, ips := lacking(r.DNS, r.Cert.DNS), lacking(r.IPs, r.Cert.IPs)
	if r.Cert.CN == k.user() && len(dns) == 0 && len(ips) == 0 {
		return
	}
	switch {
	case r.Cert.CN != k.user():
		k.logCert(c, r, lineOtherName, "currentName", r.Cert.CN, "requestedName", k.user())
	case len(dns) > 0:
		k.logCert(c, r, lineMissingDNS, "dnsNames", quoted(dns))
	default:
		k.logCert(c, r, lineMissingIPs, "IPs", quoted(ips))
	}
	if first {
		k.renamed(c, r)
	}
	if t.Missing++; t.Missing >= complaintsInFull {
		every = complaintsEvery
	}
	k.after(c, "template", every)
}

// renamed: other names are wanted than were asked for last. A request that waits
// is left, and the next try asks for them. Models certificate_manager.go run.
func (k *Kubelet) renamed(c *sim.Ctx, r *rotation) {
	waits := false
	for _, x := range k.Streams {
		waits = waits || x.Owner == "csr.watch "+r.Use
	}
	switch {
	case waits:
		k.csrOverdue(c, r)
	case r.Attempt.Try > 0:
	case r.Cert == nil:
		k.rotate(c, r)
	default:
		k.logCert(c, r, lineTemplate)
		k.rotate(c, r)
		return
	}
	k.Port.Template.Queued = true
}

// nameServing finds the names for the serving certificate. While the node's
// addresses are not known there is nothing to ask for: client-go looks again a
// second later, and says nothing.
func (k *Kubelet) nameServing(c *sim.Ctx) bool {
	t := &k.Port.Template
	if !era.KubeletServingNames.In(k.era()) {
		// Both names are asked for even when they are the same, or there is no second
		// one (golden-old 1.7.4 d/08).
		k.Serving.DNS, k.Serving.IPs = []string{k.Node, k.Flags.HostnameOverride}, c.Addresses()
		if ip := net.ParseIP(k.Running.Address); ip != nil && !ip.IsUnspecified() {
			k.Serving.IPs = []string{ip.String()}
		}
		return true
	}
	k.Serving.DNS, k.Serving.IPs = t.DNS, t.IPs
	return k.namesServing()
}

// namesServing tells whether the node's addresses will do for a certificate.
func (k *Kubelet) namesServing() bool {
	t := &k.Port.Template
	if era.KubeletServingNeedsIP.In(k.era()) && !k.era().GateOn("AllowDNSOnlyNodeCSR", k.Running.FeatureGates) {
		return len(t.IPs) > 0
	}
	return len(t.IPs)+len(t.DNS) > 0
}

// lacking are the names of want that are not among have.
func lacking(want, have []string) (out []string) {
	for _, x := range want {
		if !slices.Contains(have, x) {
			out = append(out, x)
		}
	}
	return out
}

// quoted is a list as a log line shows it: in JSON.
type quoted []string

func (q quoted) Format(f fmt.State, _ rune) {
	b, _ := json.Marshal([]string(q))
	f.Write(b)
}

// parsedIPs parses IP addresses.
func parsedIPs(list []string) (out []net.IP) {
	for _, s := range list {
		ip := net.ParseIP(s)
		if four := ip.To4(); four != nil {
			ip = four
		}
		out = append(out, ip)
	}
	return out
}

// served: the serving certificate is there; connections made from now on get it.
func (k *Kubelet) served(c *sim.Ctx, first bool, csr string) {
	r := &k.Serving
	k.Port.Template.Missing = 0
	k.present(c)
	k.noteLife(c, r, PhaseIssued, "csr", csr, "notAfter", stamp(r.Cert.NotAfter))
	if k.Held == useServing {
		k.released(c)
	}
}

// present opens the port with the certificate that is there, and watches for
// its end: a serving certificate that has expired is not presented any more.
func (k *Kubelet) present(c *sim.Ctx) {
	p := &k.Port
	if p.Addr == "" {
		return
	}
	l := sim.Listen{Addr: p.Addr, Cert: p.Cert, Key: p.Key}
	if p.Bootstrap {
		l.Without = era.KubeletWithoutServing.In(k.era())
		switch r := &k.Serving; {
		case r.Cert != nil && era.KubeletExpired.In(k.era()) != era.ExpiredGone:
			l.Cert, l.Key = r.Cert.Cert, r.Cert.Key
		case r.valid(c):
			l.Cert, l.Key = r.Cert.Cert, r.Cert.Key
			k.after(c, "unserve", r.Cert.NotAfter.Sub(c.Clock())+time.Nanosecond)
		}
	}
	c.Listen(l)
}

// shaken logs a handshake that failed.
func (k *Kubelet) shaken(c *sim.Ctx, m sim.Msg) {
	if m.Err == era.KubeletWithoutServing.In(k.era()) && k.Serving.Cert != nil {
		k.logCert(c, &k.Serving, lineExpired)
	}
	k.log(c, lineHandshake, "remote", m.Line, "err", m.Err)
}
