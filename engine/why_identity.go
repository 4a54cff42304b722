package engine

import (
	"bytes"
	"crypto/x509"
	"strconv"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubelet"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// holder is an actor that read who it is from a file when it began: what it
// presents, what the file has now, and the file's name, empty when it is not
// read once and for all.
type holder interface {
	Holds(d *sim.Disk) (presented, there []byte, file string)
}

// explainHeld says of a process that presents what it once read that the file
// has another certificate since, and until when it gets by.
func (w *World) explainHeld(e *Explanation, addr string, m *machine) {
	h, ok := w.actorAt(addr).(holder)
	if !ok {
		return
	}
	presented, there, file := h.Holds(m.Disk)
	old := firstCert(presented)
	if old == nil {
		return
	}
	now := m.Clock.At(w.Clock)
	if now.Before(old.NotAfter) {
		add(&e.Next, reason("identity-expires", "unit", addr).at(w.Clock.Add(old.NotAfter.Sub(now))))
	} else if file != "" {
		add(&e.Next, reason("refused-on", "unit", addr))
	}
	if renewed := firstCert(there); file != "" && renewed != nil && !bytes.Equal(renewed.Raw, old.Raw) && renewed.NotAfter.After(now) {
		add(&e.Needs, reason("read-anew", "unit", addr, "path", file, "has", renewed.NotAfter.UTC().Format(time.RFC3339), "presents", old.NotAfter.UTC().Format(time.RFC3339)))
	}
}

// firstCert is the first certificate of PEM, or nil.
func firstCert(data []byte) *x509.Certificate {
	certs, err := pki.ParseCerts(data)
	if err != nil || len(certs) == 0 {
		return nil
	}
	return certs[0]
}

// who is whose certificate an actor presents, or should.
func (w *World) who(addr string, m *machine) string {
	_, unit := split(addr)
	if h, ok := w.actorAt(addr).(holder); ok {
		if presented, _, _ := h.Holds(m.Disk); firstCert(presented) != nil {
			return firstCert(presented).Subject.CommonName
		}
	}
	if user := m.unit(unit).PhaseArgs["user"]; unit != "kubelet" && user != "" {
		return user
	}
	return "system:node:" + m.Name
}

// renewed: the file that the actor read its certificate from has another one.
func (w *World) renewed(addr string, m *machine) bool {
	var e Explanation
	w.explainHeld(&e, addr, m)
	return len(e.Needs) > 0
}

// explainShared says of a kubelet that another host's presents the same
// certificate, or that its certificate has another host's name.
func (w *World) explainShared(e *Explanation, addr string, m *machine) {
	k, ok := w.actorAt(addr).(*kubelet.Kubelet)
	if !ok || k.Client.Cert == nil {
		return
	}
	mine, name := firstCert(k.Client.Cert.Cert), strings.TrimPrefix(k.Client.Cert.CN, "system:node:")
	var from []string
	var strangers []Reason
	for _, n := range w.Machines {
		o, ok := w.actorAt(n.Name + "/kubelet").(*kubelet.Kubelet)
		if !ok || o.Client.Cert == nil || o.Client.Cert.CN != k.Client.Cert.CN {
			continue
		}
		if theirs := firstCert(o.Client.Cert.Cert); mine != nil && theirs != nil && bytes.Equal(mine.Raw, theirs.Raw) {
			from = append(from, n.IP)
		} else if n != m && n.Name != name && w.machine(name) != nil {
			add(&e.Knows, reason("other-host", "as", o.Client.Cert.CN, "host", n.Name))
		}
		if n.Name != name {
			strangers = append(strangers, reason("own-identity", "host", n.Name, "path", o.Flags.CertDir, "kubeconfig", o.Flags.Kubeconfig))
		}
	}
	if len(from) > 1 {
		server, _ := w.server()
		add(&e.Knows, reason("shared", "unit", server, "as", k.Client.Cert.CN, "from", strings.Join(from, ", "), "v", "3", "has", strconv.Itoa(w.verbosity(server))))
	} else if w.machine(name) == nil {
		return // a machine may be called otherwise than its node
	} else if m.Name != name {
		add(&e.Knows, reason("other-host", "as", k.Client.Cert.CN, "host", m.Name))
	}
	if e.Needs = append(e.Needs, strangers...); len(strangers) > 0 {
		add(&e.Next, reason("contend", "as", k.Client.Cert.CN))
	}
}

// explainTries says of a kubelet whose renewal does not come what its metrics
// tell, and when it is too late.
func (w *World) explainTries(e *Explanation, addr string, m *machine) {
	k, ok := w.actorAt(addr).(*kubelet.Kubelet)
	if !ok || k.Client.Cert == nil {
		return
	}
	left := k.Client.Cert.NotAfter.Sub(m.Clock.At(w.Clock))
	if k.Client.Errors > 0 {
		add(&e.Knows, reason("metrics", "unit", addr, "ttl", strconv.FormatInt(int64(left/time.Second), 10), "errors", strconv.Itoa(k.Client.Errors)))
	}
	if left > 0 {
		add(&e.Next, reason("expires").at(w.Clock.Add(left)))
	}
}

// explainGrant says why a request was approved by itself, when the certificate
// has another name than who asked: the permission is one for every name.
func (w *World) explainGrant(e *Explanation, o *certificatesv1.CertificateSigningRequest) {
	for _, c := range o.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved && c.Reason != "" {
			add(&e.Knows, reason("condition", "csr", o.Name, "message", c.Message))
		}
	}
	_, s := w.server()
	r, err := pki.ParseRequest(o.Spec.Request)
	if s == nil || err != nil || o.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName || r.Subject.CommonName == o.Spec.Username {
		return
	}
	if rule := s.Rule(o.Spec.Username, o.Spec.Groups, "create", "certificates.k8s.io", "certificatesigningrequests", "nodeclient"); rule != "" {
		add(&e.Knows, reason("any-name", "by", o.Spec.Username, "subject", r.Subject.CommonName, "rule", rule))
	}
}

// explainName warns whoever approves that the node whose name is asked for is there
// already, and that somebody else asks.
func (w *World) explainName(e *Explanation, o *certificatesv1.CertificateSigningRequest) {
	r, err := pki.ParseRequest(o.Spec.Request)
	if err != nil || r.Subject.CommonName == o.Spec.Username {
		return
	}
	if name, ok := strings.CutPrefix(r.Subject.CommonName, "system:node:"); ok && w.Store.Get("nodes", "", name) != nil {
		add(&e.Knows, reason("name-taken", "by", o.Spec.Username, "node", name))
	}
}

// explainDuration says of a node's certificate that the signer gives others another
// life now. What is signed keeps its end, and the signer's CA bounds it.
func (w *World) explainDuration(e *Explanation, c *x509.Certificate) {
	addr, m := w.manager()
	if m == nil || !strings.HasPrefix(c.Subject.CommonName, "system:node:") {
		return
	}
	host, _ := split(addr)
	file, _ := m.Signs(certificatesv1.KubeAPIServerClientKubeletSignerName)
	b, _ := w.machine(host).Disk.ReadFile(file)
	ca := firstCert(b)
	life := c.NotAfter.Sub(c.NotBefore)
	backdate := era.SigningBackdate.In(w.newest())
	if ca == nil || c.NotAfter.Equal(ca.NotAfter) || c.CheckSignatureFrom(ca) != nil || life == m.Flags.Duration || life == m.Flags.Duration+backdate {
		return
	}
	add(&e.Knows, reason("duration", "unit", addr, "now", m.Flags.Duration.String(), "life", life.String()))
	add(&e.Needs, reason("signed-anew", "subject", c.Subject.CommonName))
}
