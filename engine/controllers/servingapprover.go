package controllers

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
	authzv1 "k8s.io/api/authorization/v1"
	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// servingApprover is github.com/alex1989hu/kubelet-serving-cert-approver.
const servingApprover = "kubelet-serving-cert-approver"

// startServingApprover reads the command line and begins. Models cmd/root.go
// and cmd/serve.go.
func (m *ControllerManager) startServingApprover(c *sim.Ctx) {
	f := &m.Approver
	fs := pflag.NewFlagSet(servingApprover, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	debug := fs.BoolP("debug", "d", false, "")
	fs.BoolVar(&f.Elect, "enable-leader-election", false, "")
	fs.StringVarP(&f.Namespace, "namespace", "n", servingApprover, "")
	if err := fs.Parse(m.Args); err != nil {
		m.prints(c, 1, "Error: "+err.Error())
		return
	}
	// viper knows of a variable for each flag, and is asked for these two only: by
	// the logger, and for the namespace.
	f.Debug = *debug
	if !fs.Changed("debug") {
		f.Debug, _ = strconv.ParseBool(m.Env["DEBUG"])
	}
	if ns := m.Env["NAMESPACE"]; ns != "" && !fs.Changed("namespace") {
		f.Namespace = ns
	}
	switch rest := fs.Args(); {
	case len(rest) == 0:
		// cobra prints the help, and that is all.
		m.prints(c, 0, "Approves kubernetes.io/kubelet-serving Certificate Signing Request")
		return
	case rest[0] != "serve":
		m.prints(c, 1, fmt.Sprintf("Error: unknown command %q for %q", rest[0], servingApprover))
		return
	}
	m.zap(c, "INFO", "cmd/serve.go:66", "Kubelet Serving Certificate Approver has been started").
		add("GitBranch", "HEAD", "GitCommit", "3aed1f3", "Time", "", "namespace", f.Namespace, "ha", f.Elect, "debug", *debug).write(c)
	m.zap(c, "INFO", "cmd/serve.go:77", "Try to talk to Kubernetes API Server, will exit in case of failure").write(c)
	if err := m.clusterConfig(c, ""); err != nil {
		z := m.zap(c, "ERROR", "config/config.go:177", "unable to get kubeconfig")
		z.logger = "ctrllog.controller-runtime.client.config"
		z.add("error", err.Error()).write(c)
		c.Exit(1)
		return
	}
	m.zap(c, "INFO", "cmd/serve.go:118", "Successfully connected to Kubernetes API Server").write(c)
	m.zap(c, "DEBUG", "cmd/serve.go:144", "Certificate Signing Request Reconciler has ben added").write(c)
	m.begin(c, f.Elect, f.Namespace, "kubelet-serving-certificate-approver")
}

// servingLine begins a line about the CSR at work.
func (m *ControllerManager) servingLine(c *sim.Ctx, l *loop, level string, line int, msg string) *zapLine {
	return m.zap(c, level, fmt.Sprintf("certificatesigningrequest/controller.go:%d", line), msg).add("controller", "certificatesigningrequest", "csr.name", l.Busy, "csr.namespace", "")
}

// readServing asks for the CSR: this approver does not believe its cache.
// Models controller/certificatesigningrequest/controller.go Reconcile.
func (m *ControllerManager) readServing(c *sim.Ctx, l *loop) {
	l.Work.Step = "get"
	m.ask(c, l, "GET", m.csrs()+"/"+l.Busy, nil)
}

// serving goes on with an answer.
func (m *ControllerManager) serving(c *sim.Ctx, l *loop, a answer) {
	step := l.Work.Step
	switch {
	case step == "get" && a.code == 404:
		l.Work.Object = new(certv1.CertificateSigningRequest) // it goes on with that
		m.judgeServing(c, l)
	case step == "get" && !a.ok():
		m.servingLine(c, l, "ERROR", 62, "Unable to to get Certificate Signing Requests").add("error", a.err()).write(c)
		m.finish(c, l, &failure{text: "Unable to to get Certificate Signing Requests " + a.err()})
	case step == "get":
		csr, err := sim.Decode[certv1.CertificateSigningRequest](a.data)
		if err != nil {
			csr = new(certv1.CertificateSigningRequest)
		}
		l.Work.Object = csr
		m.judgeServing(c, l)
	case step == "review" && !a.ok():
		m.servingLine(c, l, "ERROR", 198, "Can not create SubjectAccessReviews resource").add("error", a.err()).write(c)
		why := "can not perform Subject Access Review action: " + a.err()
		m.servingFails(c, l, 125, "Unable to get authorization of Certificate Signing Request", "", why, why)
	case step == "review":
		var review authzv1.SubjectAccessReview
		json.Unmarshal(a.data, &review)
		if !review.Status.Allowed {
			m.servingFails(c, l, 160, "Node is not authorized. Unable to perform Subject Access Review, ", ": ", "", "could not perform Subject Access Review")
			return
		}
		l.Work.Step = "approval"
		csr := m.copied(l.Work.Object)
		csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: certv1.CertificateApproved, Status: corev1.ConditionTrue,
			Reason: "Approved by Kubelet Serving Certificate Approver", Message: "Auto approving Kubelet Serving Certificate after Subject Access Review.", LastUpdateTime: metav1.Time{Time: c.Clock().Truncate(time.Second)}})
		l.Work.Object = csr
		m.ask(c, l, "PUT", m.csrs()+"/"+csr.Name+"/approval", csr)
	case step == "approval" && !a.ok():
		m.servingFails(c, l, 141, "Unable to perform UpdateApproval", "(", a.err(), "Unable to perform UpdateApproval: "+a.err())
	default:
		csr := l.Work.Object
		req, _ := pki.ParseRequest(csr.Spec.Request)
		ips := []string{}
		for _, ip := range req.IPAddresses {
			ips = append(ips, ip.String())
		}
		m.servingLine(c, l, "INFO", 149, "The Certificate Signing Request has been approved").add("csr.request.dns", append([]string{}, req.DNSNames...), "csr.request.ip", ips).write(c)
		x := csr.Status.Conditions[len(csr.Status.Conditions)-1]
		decide(c, "csr/"+csr.Name, l.Controller, "approved", x.Reason, x.Message)
		m.recordEvent(c, csr, corev1.EventTypeNormal, "Approved", "The Certificate Signing Request has been approved: "+csr.Name)
		m.finish(c, l, nil)
	}
}

// judgeServing looks at the CSR that was read.
func (m *ControllerManager) judgeServing(c *sim.Ctx, l *loop) {
	csr := l.Work.Object
	switch {
	case csr.Spec.SignerName != certv1.KubeletServingSignerName:
		m.servingLine(c, l, "DEBUG", 72, "Certificate Signing Request is not Kubelet serving Certificate").add("csr.signer", csr.Spec.SignerName).write(c)
		m.finish(c, l, nil)
		return
	case len(csr.Status.Certificate) > 0:
		m.servingLine(c, l, "DEBUG", 86, "Certificate Signing Request is already signed").add("csr.signer", csr.Spec.SignerName).write(c)
		m.finish(c, l, nil)
		return
	case len(csr.Status.Conditions) > 0:
		m.servingLine(c, l, "DEBUG", 93, "Certificate Signing Request already has approval condition").add("csr.conditions", csr.Status.Conditions).write(c)
		m.finish(c, l, nil)
		return
	}
	req, err := pki.ParseRequest(csr.Spec.Request)
	if err != nil {
		m.servingFails(c, l, 101, "Unable to parse Certificate Signing Request", "): ", err.Error(), err.Error())
		return
	}
	if err := m.conforms(c, l, csr, req); err != nil {
		m.servingFails(c, l, 112, "Unable to recognize the Certificate Signing Request", "): ", err.Error(), "the Certificate Signing Request does not conform with expectation: "+err.Error())
		return
	}
	l.Work.Step = "review"
	extra := map[string]authzv1.ExtraValue{}
	for k, v := range csr.Spec.Extra {
		extra[k] = authzv1.ExtraValue(v)
	}
	review := &authzv1.SubjectAccessReview{Spec: authzv1.SubjectAccessReviewSpec{User: csr.Spec.Username, UID: csr.Spec.UID, Groups: csr.Spec.Groups, Extra: extra,
		ResourceAttributes: &authzv1.ResourceAttributes{Verb: "create", Group: "certificates.k8s.io", Resource: "certificatesigningrequests"}}}
	review.Kind, review.APIVersion = "SubjectAccessReview", era.Preferred(m.era(), "authorization.k8s.io", "subjectaccessreviews")
	m.ask(c, l, "POST", era.Path(m.era(), "authorization.k8s.io", "subjectaccessreviews"), review)
}

// servingFails logs an error, makes an Event of it and puts the CSR back: this
// approver never denies.
func (m *ControllerManager) servingFails(c *sim.Ctx, l *loop, line int, msg, between, why, failed string) {
	z := m.servingLine(c, l, "ERROR", line, msg)
	if why != "" {
		z.add("error", why)
	}
	z.write(c)
	decide(c, "csr/"+l.Busy, l.Controller, "waits", "ApproveFailed", failed)
	text := msg + ": " + l.Busy + between + why
	if between == "(" {
		text = msg + "(" + l.Busy + "): " + why
	}
	m.recordEvent(c, l.Work.Object, corev1.EventTypeWarning, "ApproveFailed", text)
	m.finish(c, l, &failure{text: failed})
}

// recordEvent records an Event about a CSR; nobody waits for the answer.
func (m *ControllerManager) recordEvent(c *sim.Ctx, csr *certv1.CertificateSigningRequest, kind, reason, message string) {
	now := metav1.Time{Time: c.Clock().Truncate(time.Second)}
	m.send(c, m.own(), exchange{To: "event", Name: csr.Name}, "POST", "/api/v1/namespaces/default/events", &corev1.Event{
		TypeMeta:       metav1.TypeMeta{Kind: "Event", APIVersion: "v1"},
		ObjectMeta:     metav1.ObjectMeta{Name: fmt.Sprintf("%s.%x", csr.Name, c.Clock().UnixNano()), Namespace: "default"},
		InvolvedObject: corev1.ObjectReference{Kind: "CertificateSigningRequest", APIVersion: era.Preferred(m.era(), "certificates.k8s.io", "certificatesigningrequests"), Name: csr.Name, UID: csr.UID, ResourceVersion: csr.ResourceVersion},
		Reason:         reason, Message: message, Type: kind, Count: 1, FirstTimestamp: now, LastTimestamp: now,
		Source: corev1.EventSource{Component: "kubelet-serving-cert-aprover"}, ReportingController: "kubelet-serving-cert-aprover",
	})
}

// servingRule is a rule of this approver: what breaks it, what its log says
// then, and the error.
type servingRule struct {
	line   int
	words  string
	broken func(csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) bool
	fields func(csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) []any
	err    error
}

// servingUsages are the usages that a CSR may have.
var servingUsages = []certv1.KeyUsage{certv1.UsageDigitalSignature, certv1.UsageServerAuth, certv1.UsageKeyEncipherment}

// servingRules stand in the order in which they are checked. Model
// controller/certificatesigningrequest/helper.go isRequestConform.
var servingRules = []servingRule{
	{93, "X509 Organization does not match", func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) bool {
		return !slices.Equal(r.Subject.Organization, []string{"system:nodes"})
	}, func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) []any {
		return []any{"csr.request.organization", append([]string{}, r.Subject.Organization...), "expected", "system:nodes"}
	}, errors.New("organization does not match")},
	{101, "X509 Common Name does not start with expected prefix", func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) bool {
		return !strings.HasPrefix(r.Subject.CommonName, "system:node:")
	}, func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) []any {
		return []any{"csr.request.cn", r.Subject.CommonName, "expected", "system:node:"}
	}, errors.New("x509 Common Name does not start with 'system:node'")},
	{109, "X509 Common Name does not match with Certificate Signing Request Username", func(csr *certv1.CertificateSigningRequest, r *x509.CertificateRequest) bool {
		return csr.Spec.Username != r.Subject.CommonName
	}, func(csr *certv1.CertificateSigningRequest, r *x509.CertificateRequest) []any {
		return []any{"csr.username", csr.Spec.Username, "csr.request.cn", r.Subject.CommonName}
	}, errors.New("x509 Common Name does not match with Certificate Signing Request Username")},
	{123, "Forbidden EmailAddress or URI subjectAltName extensions are found", func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) bool {
		return len(r.EmailAddresses)+len(r.URIs) > 0
	}, func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) []any {
		uris := []string{}
		for _, u := range r.URIs {
			uris = append(uris, u.String())
		}
		return []any{"csr.request.emails", append([]string{}, r.EmailAddresses...), "csr.request.uris", uris}
	}, errors.New("emailAddress and URI subjectAltName extensions are forbidden")},
	{131, "DNSNames or IP Addresses must be present", func(_ *certv1.CertificateSigningRequest, r *x509.CertificateRequest) bool {
		return len(r.DNSNames)+len(r.IPAddresses) == 0
	}, nil, errors.New("either DNS Names or IP Addresses is missing")},
	{137, "Certificate Signing Request Usages do not match", func(csr *certv1.CertificateSigningRequest, _ *x509.CertificateRequest) bool {
		return slices.ContainsFunc(csr.Spec.Usages, func(u certv1.KeyUsage) bool { return !slices.Contains(servingUsages, u) })
	}, func(csr *certv1.CertificateSigningRequest, _ *x509.CertificateRequest) []any {
		return []any{"csr.usages", csr.Spec.Usages}
	}, errors.New("key usage does not match")},
}

// conforms tells which rule a CSR breaks first.
func (m *ControllerManager) conforms(c *sim.Ctx, l *loop, csr *certv1.CertificateSigningRequest, req *x509.CertificateRequest) error {
	warn := func(line int, msg string, kv ...any) {
		m.zap(c, "WARN", fmt.Sprintf("certificatesigningrequest/helper.go:%d", line), msg).
			add("controller", "certificatesigningrequest", "csr.name", l.Busy, "csr.namespace", "").add(kv...).write(c)
	}
	for _, x := range servingRules {
		if !x.broken(csr, req) {
			continue
		}
		var kv []any
		if x.fields != nil {
			kv = x.fields(csr, req)
		}
		if x.line == 137 {
			i := slices.IndexFunc(csr.Spec.Usages, func(u certv1.KeyUsage) bool { return !slices.Contains(servingUsages, u) })
			warn(75, "Found disallowed certificate usage(s)", "usage", string(csr.Spec.Usages[i]))
		}
		warn(x.line, x.words, kv...)
		return x.err
	}
	return nil
}
