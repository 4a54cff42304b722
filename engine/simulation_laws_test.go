package engine_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

var (
	master  = pkix.Name{Organization: []string{"system:masters"}, CommonName: "simulation"}
	someone = pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:someone"}
)

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

type observation = trace.Observation

// law is what must hold after every event; it says what does not.
type law struct {
	name  string
	holds func(l *laws, w *engine.World, o *observation) string
}

// laws is what the laws remember of a world.
type laws struct {
	ca      *x509.Certificate
	version uint64
	issued  map[string]bool
	oracle  oracle
	era     era.Era
}

var allLaws = []law{
	{"versions rise", versionsRise},
	{"a certificate is approved, and is what was asked for", issuedAsAsked},
	{"current leads to a key of its own", currentIsOwn},
	{"what is allowed is allowed by a rule", allowedByARule},
	{"observations are of a known kind", func(_ *laws, _ *engine.World, o *observation) string {
		if !o.Kind.Valid() {
			return string(o.Kind)
		}
		return ""
	}},
	{"a cause comes before its effect", func(_ *laws, _ *engine.World, o *observation) string {
		if o.Cause >= o.ID {
			return fmt.Sprintf("%d is caused by %d", o.ID, o.Cause)
		}
		return ""
	}},
}

func newLaws(w *engine.World) *laws {
	l := &laws{issued: map[string]bool{}, era: era.Must(w.Release())}
	b, _ := w.Disk("control-1").ReadFile("/etc/kubernetes/pki/ca.crt")
	certs, err := pki.ParseCerts(b)
	if err != nil {
		panic(err)
	}
	l.ca = certs[0]
	w.Drain()
	l.oracle.learn(w)
	return l
}

// look looks at what happened since the last look.
func (l *laws) look(w *engine.World) *breach {
	obs := w.Drain()
	for i := range obs {
		o := &obs[i]
		if o.Kind == trace.Object {
			l.oracle.see(o)
		}
		for _, x := range allLaws {
			if says := x.holds(l, w, o); says != "" {
				return &breach{x.name, says, w.Now()}
			}
		}
	}
	return nil
}

const atTheEnd = "when the faults end, "

// end is looked at when all is healed: every node has joined, and is ready.
func (l *laws) end(w *engine.World, p *plan) *breach {
	v := w.View()
	for _, h := range v.Hosts {
		if h.Role != "node" {
			continue
		}
		i := slices.IndexFunc(h.Units, func(u engine.UnitView) bool { return u.Name == "kubelet" })
		if u := h.Units[i]; u.State != "active" || u.Phase != "joined" {
			return &breach{atTheEnd + "every node joins", fmt.Sprintf("%s is %s, %s %v", h.Name, u.State, u.Phase, u.PhaseArgs), w.Now()}
		}
		n := slices.IndexFunc(v.Nodes, func(n engine.NodeView) bool { return n.Name == h.Name })
		if n < 0 {
			return &breach{atTheEnd + "every node joins", "there is no Node " + h.Name, w.Now()}
		}
		if s := v.Nodes[n].Status; s != "Ready" && !strings.HasPrefix(s, "Ready,") {
			return &breach{atTheEnd + "every node is ready", h.Name + " is " + s, w.Now()}
		}
		if says := l.serves(w, h.Name); says != "" {
			return &breach{atTheEnd + "every node serves", says, w.Now()}
		}
	}
	return nil
}

func versionsRise(l *laws, _ *engine.World, o *observation) string {
	if o.Kind != trace.Object || o.Args["version"] == "" {
		return ""
	}
	n, err := strconv.ParseUint(o.Args["version"], 10, 64)
	if err != nil || n <= l.version {
		return fmt.Sprintf("%s has version %s after %d", o.Subject, o.Args["version"], l.version)
	}
	l.version = n
	return ""
}

func issuedAsAsked(l *laws, _ *engine.World, o *observation) string {
	if o.Kind != trace.Object || o.Payload == "" || !strings.HasPrefix(o.Subject, "certificatesigningrequests/") {
		return ""
	}
	var csr certv1.CertificateSigningRequest
	if err := json.Unmarshal([]byte(o.Payload), &csr); err != nil {
		return err.Error()
	}
	if len(csr.Status.Certificate) == 0 || l.issued[string(csr.UID)] {
		return ""
	}
	l.issued[string(csr.UID)] = true
	has := func(t certv1.RequestConditionType) bool {
		return slices.ContainsFunc(csr.Status.Conditions, func(c certv1.CertificateSigningRequestCondition) bool {
			return c.Type == t && (c.Status == "True" || c.Status == "" && !era.ConditionStatus.In(l.era))
		})
	}
	if !has(certv1.CertificateApproved) || has(certv1.CertificateDenied) || has(certv1.CertificateFailed) {
		return fmt.Sprintf("%s has a certificate and the conditions %v", csr.Name, csr.Status.Conditions)
	}
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		return err.Error()
	}
	certs, err := pki.ParseCerts(csr.Status.Certificate)
	if err != nil {
		return err.Error()
	}
	c := certs[0]
	if !bytes.Equal(c.RawSubjectPublicKeyInfo, req.RawSubjectPublicKeyInfo) {
		return csr.Name + " has another key than was asked for"
	}
	if c.Subject.String() != req.Subject.String() {
		return fmt.Sprintf("%s is for %s, asked for was %s", csr.Name, c.Subject, req.Subject)
	}
	if c.NotAfter.After(l.ca.NotAfter) && era.SigningCapped.In(l.era) {
		return fmt.Sprintf("%s ends at %s, its CA at %s", csr.Name, c.NotAfter, l.ca.NotAfter)
	}
	if err := c.CheckSignatureFrom(l.ca); err != nil {
		return csr.Name + ": " + err.Error()
	}
	if c.IsCA {
		return csr.Name + " is a CA"
	}
	if e := csr.Spec.ExpirationSeconds; e != nil {
		// Backdated by 5 minutes, which count.
		if d := c.NotAfter.Sub(c.NotBefore); d > time.Duration(*e)*time.Second+5*time.Minute {
			return fmt.Sprintf("%s lives for %s", csr.Name, d)
		}
	}
	signer := csr.Spec.SignerName
	if !era.CSRSigners.In(l.era) {
		// There is one signer, and it signs whatever is approved.
		signer = "kubernetes.io/legacy-unknown"
	}
	return policies[signer].holds(c, req)
}

// policy is what a signer may put into a certificate. Models
// pkg/controller/certificates/signer and pkg/apis/certificates ValidateKubelet…CSR.
type policy struct {
	usages []x509.ExtKeyUsage
	// node: the subject is a node's. names are "any", "none" or "host": at least
	// one DNS name or address, and nothing else.
	node  bool
	names string
}

var policies = map[string]policy{
	"kubernetes.io/kube-apiserver-client":         {usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, names: "any"},
	"kubernetes.io/kube-apiserver-client-kubelet": {usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, node: true, names: "none"},
	"kubernetes.io/kubelet-serving":               {usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, node: true, names: "host"},
	// Whatever is approved (recorded: e2-signer-verdicts), but nothing that makes a CA.
	"kubernetes.io/legacy-unknown": {names: "any"},
}

func (p policy) holds(c *x509.Certificate, req *x509.CertificateRequest) string {
	if p.names == "" {
		return "nobody signs that"
	}
	for _, u := range c.ExtKeyUsage {
		if p.usages != nil && !slices.Contains(p.usages, u) {
			return fmt.Sprintf("extended key usage %v", u)
		}
	}
	if p.usages != nil && (len(c.ExtKeyUsage) == 0 || len(c.UnknownExtKeyUsage) > 0) {
		return "it says not what it is for"
	}
	if p.usages != nil && c.KeyUsage&^(x509.KeyUsageDigitalSignature|x509.KeyUsageKeyEncipherment) != 0 && p.node {
		return fmt.Sprintf("key usage %b", c.KeyUsage)
	}
	if p.node && (!slices.Equal(c.Subject.Organization, []string{"system:nodes"}) || !strings.HasPrefix(c.Subject.CommonName, "system:node:")) {
		return "the subject is " + c.Subject.String()
	}
	if slices.Contains(c.Subject.Organization, "system:masters") && p.usages != nil {
		return "it is for system:masters"
	}
	got, want := fmt.Sprint(c.DNSNames, c.IPAddresses, c.URIs, c.EmailAddresses), fmt.Sprint(req.DNSNames, req.IPAddresses, req.URIs, req.EmailAddresses)
	hosts, others := len(c.DNSNames)+len(c.IPAddresses), len(c.URIs)+len(c.EmailAddresses)
	if got != want || p.names == "none" && hosts+others > 0 || p.names == "host" && (hosts == 0 || others > 0) {
		return fmt.Sprintf("names %s, asked for were %s", got, want)
	}
	return ""
}

// currentIsOwn: a current link that a kubelet touched leads to a certificate with
// its key, of this node, and what a server shows names it.
func currentIsOwn(_ *laws, w *engine.World, o *observation) string {
	if o.Kind != trace.File || !strings.HasSuffix(o.Actor, "/kubelet") {
		return ""
	}
	dir, base := path.Split(o.Subject)
	for _, use := range []string{"client", "server"} {
		if !strings.HasPrefix(base, "kubelet-"+use+"-") {
			continue
		}
		link := dir + "kubelet-" + use + "-current.pem"
		if _, err := w.Disk(o.Host()).ReadLink(link); err != nil {
			continue
		}
		if says := ownPair(w, o.Host(), link, use); says != "" {
			return says
		}
	}
	return ""
}

func ownPair(w *engine.World, host, link, use string) string {
	b, err := w.Disk(host).ReadFile(link)
	if err != nil {
		return fmt.Sprintf("on %s: %v", host, err)
	}
	p, err := tls.X509KeyPair(b, b)
	if err != nil {
		return fmt.Sprintf("on %s, %s: %v", host, link, err)
	}
	if cn := p.Leaf.Subject.CommonName; cn != "system:node:"+host {
		return fmt.Sprintf("on %s, %s is for %s", host, link, cn)
	}
	if use == "server" && p.Leaf.VerifyHostname(host) != nil {
		return fmt.Sprintf("on %s, %s is for the names %v", host, link, p.Leaf.DNSNames)
	}
	return ""
}

// serves: a kubelet that asks for its serving certificate has one, and it is good.
func (l *laws) serves(w *engine.World, host string) string {
	d := w.Disk(host)
	config, _ := d.ReadFile("/var/lib/kubelet/config.yaml")
	if !bytes.Contains(config, []byte("serverTLSBootstrap: true")) {
		return ""
	}
	unit, _ := d.ReadFile("/etc/systemd/system/kubelet.service")
	_, rest, _ := strings.Cut(string(unit), "--cert-dir=")
	link := strings.Fields(rest + " ?")[0] + "/kubelet-server-current.pem"
	if says := ownPair(w, host, link, "server"); says != "" {
		return says
	}
	b, _ := d.ReadFile(link)
	certs, err := pki.ParseCerts(b)
	if err != nil {
		return err.Error()
	}
	if c := certs[0]; c.CheckSignatureFrom(l.ca) != nil || c.NotAfter.Before(w.Now()) {
		return fmt.Sprintf("on %s, %s is of %s and ends at %s", host, link, c.Issuer, c.NotAfter)
	}
	return ""
}

func allowedByARule(l *laws, _ *engine.World, o *observation) string {
	if o.Kind != trace.Authz || o.Args["verdict"] != "yes" {
		return ""
	}
	a := maps.Clone(o.Args)
	a["path"] = o.Subject
	if l.oracle.allows(a) {
		return ""
	}
	return fmt.Sprintf("%v was allowed, and no rule says so", o.Args)
}
