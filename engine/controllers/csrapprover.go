package controllers

import (
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// csrApprover is github.com/postfinance/kubelet-csr-approver.
const csrApprover = "kubelet-csr-approver"

const maxExpiration = 367 * 24 * 3600

// approverFlags are those of both approvers.
type approverFlags struct {
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Level      int    `json:"level,omitempty"`
	Elect      bool   `json:"elect,omitempty"`
	Debug      bool   `json:"debug,omitempty"`
	Namespace  string `json:"namespace,omitempty"`
	// The rest are the rules of kubelet-csr-approver.
	Regex           string `json:"regex,omitempty"`
	Prefixes        string `json:"prefixes,omitempty"`
	MaxSec          int    `json:"maxSec,omitempty"`
	Names           int    `json:"names,omitempty"`
	BypassDNS       bool   `json:"bypassDNS,omitempty"`
	BypassHostname  bool   `json:"bypassHostname,omitempty"`
	IgnoreNonSystem bool   `json:"ignoreNonSystem,omitempty"`
	SkipDeny        bool   `json:"skipDeny,omitempty"`
}

// setting is a flag of kubelet-csr-approver as it is set, "" for none.
func (f *approverFlags) setting(name string) string {
	if name == "" {
		return ""
	}
	values := map[string]any{"provider-regex": f.Regex, "provider-ip-prefixes": f.Prefixes, "max-expiration-sec": f.MaxSec, "allowed-dns-names": f.Names, "bypass-dns-resolution": f.BypassDNS, "bypass-hostname-check": f.BypassHostname}
	return fmt.Sprintf("--%s=%v", name, values[name])
}

// startCSRApprover reads flags, then variables for flags that were not given,
// and begins. Models internal/cmd/cmd.go.
func (m *ControllerManager) startCSRApprover(c *sim.Ctx) {
	f := &m.Approver
	fs := flag.NewFlagSet(csrApprover, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&f.Kubeconfig, "kubeconfig", "", "")
	fs.IntVar(&f.Level, "level", 0, "")
	fs.String("metrics-bind-address", ":8080", "")
	fs.String("health-probe-bind-address", ":8081", "")
	fs.BoolVar(&f.Elect, "leader-election", false, "")
	fs.StringVar(&f.Regex, "provider-regex", ".*", "")
	fs.IntVar(&f.MaxSec, "max-expiration-sec", maxExpiration, "")
	fs.BoolVar(&f.BypassDNS, "bypass-dns-resolution", false, "")
	fs.BoolVar(&f.BypassHostname, "bypass-hostname-check", false, "")
	fs.BoolVar(&f.IgnoreNonSystem, "ignore-non-system-node", false, "")
	fs.BoolVar(&f.SkipDeny, "skip-deny-step", false, "")
	fs.IntVar(&f.Names, "allowed-dns-names", 1, "")
	fs.StringVar(&f.Prefixes, "provider-ip-prefixes", "0.0.0.0/0,::/0", "")
	if err := fs.Parse(m.Args); err != nil {
		m.prints(c, 2, err.Error())
		return
	}
	given := map[string]bool{}
	fs.Visit(func(x *flag.Flag) { given[x.Name] = true })
	var wrong error
	fs.VisitAll(func(x *flag.Flag) {
		name := strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(x.Name))
		if v := m.Env[name]; v != "" && !given[x.Name] && wrong == nil {
			if err := fs.Set(x.Name, v); err != nil {
				wrong = fmt.Errorf("error setting flag %q from environment variable %q: %w", x.Name, name, err)
			}
		}
	})
	switch {
	case wrong != nil:
		m.prints(c, 2, "unable to parse args/envs, exiting. error message: "+wrong.Error())
		return
	case f.MaxSec < 0 || f.MaxSec > maxExpiration:
		m.prints(c, 2, "the maximum expiration seconds cannot be lower than 0 nor greater than 367 days")
		return
	case f.Names < 1 || f.Names > 1000:
		// It says so, and goes on.
		c.LogLine('E', 0, "the number of allowed DNS names must be at least 1 and no more than 1000")
	}
	if f.Level < -5 || f.Level > 10 {
		m.fatal(c, "controller/utils.go:76", "log level should be between -5 and 10 (included)")
		return
	}
	m.verbose(c, 0, "cmd/cmd.go:60", "Kubelet-CSR-Approver controller starting.").add("commit", "993754f", "ref", "refs/tags/v1.2.14").write(c)
	if err := m.clusterConfig(c, f.Kubeconfig); err != nil {
		m.zap(c, "ERROR", "config/config.go:177", "unable to get kubeconfig").add("error", err.Error()).write(c)
		c.Exit(1)
		return
	}
	if f.Regex == "" {
		m.gives(c, "cmd/cmd.go:67", "the provider-spefic regex must be specified, exiting")
		return
	}
	if _, err := regexp.Compile(f.Regex); err != nil {
		m.prints(c, 2, "panic: regexp: Compile("+quoted(f.Regex)+"): "+err.Error())
		return
	}
	for _, p := range strings.Split(f.Prefixes, ",") {
		if _, err := netip.ParsePrefix(p); err != nil {
			m.gives(c, "cmd/cmd.go:83", "Unable to parse IP prefix: "+p+", exiting")
			return
		}
	}
	m.verbose(c, 1, "cmd/cmd.go:44", "starting controller-runtime manager").write(c)
	m.begin(c, f.Elect, "kube-system", csrApprover)
}

// gives up with 10. The program asks for level -5, which is that of fatal errors
// to zap, and logr takes for 0.
func (m *ControllerManager) gives(c *sim.Ctx, caller, msg string) {
	m.verbose(c, 0, caller, msg).write(c)
	c.Exit(10)
}

// quoted is a pattern as regexp.MustCompile quotes it.
func quoted(s string) string {
	if strconv.CanBackquote(s) {
		return "`" + s + "`"
	}
	return strconv.Quote(s)
}

// begin runs a program's controller, or waits until it leads.
func (m *ControllerManager) begin(c *sim.Ctx, elect bool, namespace, name string) {
	if !elect {
		m.runProgram(c)
		return
	}
	m.Flags.Elect = election.Defaults(m.era(), namespace, name)
	m.elect(c)
}

const denying = "Denying kubelet-serving CSR. Reason:"

// judgeCSR looks at a CSR and writes its verdict. Models
// internal/controller/csr_controller.go Reconcile.
func (m *ControllerManager) judgeCSR(c *sim.Ctx, l *loop) {
	csr := m.CSRs[l.Busy]
	if csr == nil {
		m.finish(c, l, nil)
		return
	}
	fields := csrFields(c, csr.Name)
	say := func(v, line int, msg string, kv ...any) {
		m.verbose(c, v, fmt.Sprintf("controller/csr_controller.go:%d", line), msg).add(fields...).add(kv...).write(c)
	}
	approved, denied := condition(csr, certv1.CertificateApproved), condition(csr, certv1.CertificateDenied)
	switch {
	case csr.Spec.SignerName != certv1.KubeletServingSignerName:
		say(4, 103, "Ignoring non-kubelet-serving CSR.")
	case approved || denied:
		say(3, 108, "The CSR is already approved|denied. Ignoring", "approved", approved, "denied", denied)
	case len(csr.Status.Certificate) > 0:
		say(3, 113, "The CSR is already signed. No need to do anything else.")
	default:
		req, err := pki.ParseRequest(csr.Spec.Request)
		if err != nil {
			m.zap(c, "ERROR", "controller/csr_controller.go:120", fmt.Sprintf("unable to parse csr %q", csr.Name)).add(fields...).add("error", err.Error()).write(c)
			break
		}
		if !strings.HasPrefix(csr.Spec.Username, "system:node:") && m.Approver.IgnoreNonSystem {
			say(0, 126, "Ignoring a CSR with username different than system:node:")
			break
		}
		for _, x := range csrRules {
			if b := x.broken(m, c, csr, req); b.reason != "" {
				l.Work.Said = x.words + b.reason
				say(0, x.line, l.Work.Said, x.with(csr, req)...)
				m.verdict(c, l, csr, b, fields)
				return
			}
		}
		say(0, 171, "CSR approved")
		m.verdict(c, l, csr, breach{}, fields)
		return
	}
	m.finish(c, l, nil)
}

// breach is why a rule is broken, "" when it is kept, and the flag that the rule
// comes from; some can't be set otherwise.
type breach struct{ reason, flag string }

// csrRule is one of kubelet-csr-approver's rules: what its log says when it is
// broken, and why it is.
type csrRule struct {
	line   int
	words  string
	broken func(m *ControllerManager, c *sim.Ctx, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) breach
	fields func(csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) []any
}

func (r *csrRule) with(csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) []any {
	if r.fields == nil {
		return nil
	}
	return r.fields(csr, req)
}

// csrRules stand in the order in which they are checked.
var csrRules = []csrRule{
	{131, denying, func(_ *ControllerManager, _ *sim.Ctx, csr *certv1.CertificateSigningRequest, _ *x509.CertificateRequest) breach {
		return unless(strings.HasPrefix(csr.Spec.Username, "system:node:"), "CSR Spec.Username is not prefixed with system:node:", "")
	}, nil},
	{136, denying, func(_ *ControllerManager, _ *sim.Ctx, _ *certv1.CertificateSigningRequest, req *x509.CertificateRequest) breach {
		return unless(len(req.DNSNames)+len(req.IPAddresses) > 0, "The x509 Cert Request SAN contains neither an IP address nor a DNS name", "")
	}, nil},
	{141, denying, func(_ *ControllerManager, _ *sim.Ctx, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) breach {
		return unless(req.Subject.CommonName == csr.Spec.Username, "CSR username does not match the parsed x509 certificate request commonname", "")
	}, func(csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) []any {
		return []any{"commonName", req.Subject.CommonName, "specUsername", csr.Spec.Username}
	}},
	{151, "Denying kubelet-serving CSR. DNS checks failed. Reason:", (*ControllerManager).checkDNS, nil},
	{160, "Denying kubelet-serving CSR. IP whitelist check failed. Reason:", func(m *ControllerManager, _ *sim.Ctx, _ *certv1.CertificateSigningRequest, req *x509.CertificateRequest) breach {
		for _, ip := range req.IPAddresses {
			if a := addr(ip); !m.allowed(a) {
				return breach{fmt.Sprintf("One of the SAN IP addresses, %s, is not partof the allowed IP Prefixes/Subnets, denying the CSR.", a), "provider-ip-prefixes"}
			}
		}
		return breach{}
	}, nil},
	{164, denying, func(m *ControllerManager, _ *sim.Ctx, csr *certv1.CertificateSigningRequest, _ *x509.CertificateRequest) breach {
		return unless(csr.Spec.ExpirationSeconds == nil || int(*csr.Spec.ExpirationSeconds) <= m.Approver.MaxSec, "CSR spec.expirationSeconds is longer than the maximum allowed expiration second", "max-expiration-sec")
	}, nil},
}

func unless(kept bool, reason, flag string) breach {
	if kept {
		return breach{}
	}
	return breach{reason, flag}
}

func addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// allowed tells whether an address is in --provider-ip-prefixes.
func (m *ControllerManager) allowed(a netip.Addr) bool {
	for _, text := range strings.Split(m.Approver.Prefixes, ",") {
		if p, err := netip.ParsePrefix(text); err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

// checkDNS holds the names of a request against the rules for them. Models
// internal/controller/regex_ip_checks.go DNSCheck.
func (m *ControllerManager) checkDNS(c *sim.Ctx, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) breach {
	f := &m.Approver
	if len(req.DNSNames) > f.Names {
		return breach{"The x509 Cert Request contains more DNS names than allowed through the config flag", "allowed-dns-names"}
	}
	if len(req.DNSNames) == 0 {
		return breach{}
	}
	pattern := regexp.MustCompile(f.Regex)
	for _, name := range req.DNSNames {
		if !strings.HasPrefix(name, strings.TrimPrefix(csr.Spec.Username, "system:node:")) && !f.BypassHostname {
			return breach{"The SAN DNS Name in the x509 CSR is not prefixed by the node name (hostname)", "bypass-hostname-check"}
		}
		if !pattern.MatchString(name) {
			return breach{"The SAN DNS name in the x509 CR is not allowed by the Cloud provider regex", "provider-regex"}
		}
	}
	if f.BypassDNS {
		return breach{}
	}
	found := map[netip.Addr]bool{}
	var order []netip.Addr
	for _, name := range req.DNSNames {
		addrs := m.lookup(c.Disk, name)
		if len(addrs) == 0 {
			return breach{"The SAN DNS Name could not be resolved, denying the CSR", "bypass-dns-resolution"}
		}
		order = append(order, addrs...)
	}
	for _, a := range order {
		found[a] = true
		if !m.allowed(a) {
			return breach{fmt.Sprintf("One of the resolved IP addresses, %s,isn't part of the provider-specified set of whitelisted IP. denying the certificate", a), "provider-ip-prefixes"}
		}
	}
	for _, ip := range req.IPAddresses {
		if a := addr(ip); !found[a] {
			return breach{fmt.Sprintf("One of the SAN IP addresses, %s, is not contained in the set of resolved IP addresses, denying the CSR.", a), "bypass-dns-resolution"}
		}
	}
	return breach{}
}

// hosts is what /etc/hosts said when it was read last; it follows from the file.
type hosts struct {
	file  *sim.Entry
	names map[string][]netip.Addr // lowercase
}

// lookup finds the addresses of a name in the host's /etc/hosts, the only
// resolver that a host here has.
func (m *ControllerManager) lookup(d *sim.Disk, name string) []netip.Addr {
	file, err := d.Stat("/etc/hosts")
	if err != nil {
		return nil
	}
	if m.hosts.file != file {
		m.hosts = hosts{file, map[string][]netip.Addr{}}
		for line := range strings.Lines(string(file.Data)) {
			line, _, _ = strings.Cut(line, "#")
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			a, err := netip.ParseAddr(words[0])
			for _, w := range words[1:] {
				if w = strings.ToLower(w); err == nil {
					m.hosts.names[w] = append(m.hosts.names[w], a)
				}
			}
		}
	}
	return m.hosts.names[strings.ToLower(name)]
}

// verdict writes an approval, or a denial for a reason.
func (m *ControllerManager) verdict(c *sim.Ctx, l *loop, csr *certv1.CertificateSigningRequest, b breach, fields []any) {
	csr = m.copied(csr)
	reason := b.reason
	l.Work.Rule = m.Approver.setting(b.flag)
	x := certv1.CertificateSigningRequestCondition{Type: certv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "kubelet-serving cert validated",
		Message: "CSR complied with kubelet-csr-approver validation process", LastUpdateTime: metav1.Time{Time: c.Clock().Truncate(time.Second)}}
	if reason != "" {
		x.Type, x.Reason, x.Message = certv1.CertificateDenied, "kubelet-serving cert denied", "CSR not complying with kubelet-csr-approver validation process. Reason: "+reason
	}
	if reason != "" && m.Approver.SkipDeny {
		m.verbose(c, 0, "controller/csr_controller.go:201", "Skipping the 'deny' step, the CSR will be left untouched.").add(fields...).write(c)
		l.Work.Step, l.Work.Reason, l.Work.Message = "waits", "DenyStepSkipped", reason
	} else {
		csr.Status.Conditions = append(csr.Status.Conditions, x)
		l.Work.Step, l.Work.Reason, l.Work.Message = strings.ToLower(string(x.Type)), x.Reason, x.Message
	}
	m.ask(c, l, "PUT", m.csrs()+"/"+csr.Name+"/approval", csr)
}

// judged handles the answer to a verdict.
func (m *ControllerManager) judged(c *sim.Ctx, l *loop, a answer) {
	switch {
	case a.ok():
		args := map[string]string{"controller": l.Controller, "verdict": l.Work.Step, "reason": l.Work.Reason, "message": l.Work.Message}
		for name, v := range map[string]string{"log": l.Work.Said, "rule": l.Work.Rule} {
			if v != "" {
				args[name] = v
			}
		}
		c.Note(trace.Decision, "csr/"+l.Busy, args, "")
		m.finish(c, l, nil)
	case a.code == 404 || a.code == 409:
		m.finish(c, l, &failure{text: requeue})
	default:
		m.zap(c, "ERROR", "controller/csr_controller.go:182", "Couldn't update the CSR to include the approval").add(csrFields(c, l.Busy)...).add("error", a.err()).write(c)
		m.finish(c, l, &failure{text: a.err()})
	}
}
