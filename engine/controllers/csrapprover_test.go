package controllers

import (
	"crypto/x509/pkix"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// newProgram runs an approver in a rig.
func newProgram(t *testing.T, name string, env map[string]string, args ...string) *rig {
	r := newRig(t)
	r.file("/root/.kube/config", func() []byte { b, _ := r.disk.ReadFile("/etc/kubernetes/controller-manager.conf"); return b }())
	r.file("/etc/hosts", []byte("127.0.0.1 localhost\n10.0.0.11 node-1 # here\n"))
	r.queue = sim.Queue{}
	r.m = NewProgram(era.Must("1.36"), name, args, env)
	r.post(r.now, sim.Msg{Kind: sim.MsgStart})
	return r
}

// servingCSR is that of a kubelet's serving certificate.
func servingCSR(t *testing.T, name string, change func(*certv1.CertificateSigningRequest, *pki.Request)) *certv1.CertificateSigningRequest {
	req := pki.Request{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:node-1"}, DNS: []string{"node-1"}, IPs: []net.IP{net.ParseIP("10.0.0.11").To4()}}
	csr := &certv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certv1.CertificateSigningRequestSpec{
		SignerName: certv1.KubeletServingSignerName, Usages: []certv1.KeyUsage{"digital signature", "server auth"}, Username: "system:node:node-1", Groups: []string{"system:nodes"}}}
	if change != nil {
		change(csr, &req)
	}
	pem, err := pki.NewRequest(pki.Keyring{Seed: "t"}.ECDSA("serving"), req)
	require.NoError(t, err)
	csr.Spec.Request = pem
	return csr
}

// said are the messages of a program's log, with their levels.
func (r *rig) said() (out []string) {
	for _, o := range r.obs {
		var x struct{ Level, Msg, Error string }
		if json.Unmarshal([]byte(o.Payload), &x) == nil && x.Msg != "" {
			out = append(out, strings.TrimSpace(x.Level+" "+x.Msg+" "+x.Error))
		}
	}
	return out
}

func TestCSRApprover(t *testing.T) {
	type change = func(*certv1.CertificateSigningRequest, *pki.Request)
	year := int32(366 * 24 * 3600)
	for name, x := range map[string]struct {
		flags  string
		env    map[string]string
		change change
		want   string // the reason of a denial; "" is an approval
	}{
		"a node asks for itself": {want: ""},
		"by its address only":    {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = nil }, want: ""},
		"not a node": {change: func(c *certv1.CertificateSigningRequest, _ *pki.Request) { c.Spec.Username = "alice" },
			want: "CSR Spec.Username is not prefixed with system:node:"},
		"no names": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS, r.IPs = nil, nil },
			want: "The x509 Cert Request SAN contains neither an IP address nor a DNS name"},
		"another's common name": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.Subject.CommonName = "system:node:node-2" },
			want: "CSR username does not match the parsed x509 certificate request commonname"},
		"two names": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = []string{"node-1", "node-1.lan"} },
			want: "The x509 Cert Request contains more DNS names than allowed through the config flag"},
		"two names, allowed": {flags: "--allowed-dns-names=2 --bypass-dns-resolution", change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = []string{"node-1", "node-1.lan"} }},
		"another's name": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = []string{"auth.company.ch"} },
			want: "The SAN DNS Name in the x509 CSR is not prefixed by the node name (hostname)"},
		"another's name, allowed":  {flags: "-bypass-hostname-check -bypass-dns-resolution", change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = []string{"auth.company.ch"} }},
		"the regex":                {flags: `--provider-regex=^node-\w*\.int\.company\.ch$`, want: "The SAN DNS name in the x509 CR is not allowed by the Cloud provider regex"},
		"the regex by a variable":  {env: map[string]string{"PROVIDER_REGEX": "^[abcdef]$"}, want: "The SAN DNS name in the x509 CR is not allowed by the Cloud provider regex"},
		"a flag before a variable": {flags: "--provider-regex=^node-1$", env: map[string]string{"PROVIDER_REGEX": "^x$"}},
		"nobody knows the name": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) { r.DNS = []string{"node-1.lan"} },
			want: "The SAN DNS Name could not be resolved, denying the CSR"},
		"the name is elsewhere": {change: func(_ *certv1.CertificateSigningRequest, r *pki.Request) {
			r.IPs = []net.IP{net.ParseIP("10.0.0.12").To4()}
		},
			want: "One of the SAN IP addresses, 10.0.0.12, is not contained in the set of resolved IP addresses, denying the CSR."},
		"a name outside of the prefixes": {flags: "--provider-ip-prefixes=192.168.0.0/16,fc00::/7", want: "One of the resolved IP addresses, 10.0.0.11,isn't part of the provider-specified set of whitelisted IP. denying the certificate"},
		"an address outside of the prefixes": {flags: "--provider-ip-prefixes=192.168.0.0/16,fc00::/7 --bypass-dns-resolution",
			want: "One of the SAN IP addresses, 10.0.0.11, is not partof the allowed IP Prefixes/Subnets, denying the CSR."},
		"too long": {flags: "--max-expiration-sec=31536000", change: func(c *certv1.CertificateSigningRequest, _ *pki.Request) { c.Spec.ExpirationSeconds = &year },
			want: "CSR spec.expirationSeconds is longer than the maximum allowed expiration second"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newProgram(t, csrApprover, x.env, strings.Fields(x.flags)...)
			r.run(time.Second)
			require.Nil(t, r.code, r.last())
			r.put(servingCSR(t, "csr-a", x.change))
			r.put(node(t, "csr-client", "u"))
			r.run(2 * time.Second)
			require.Empty(t, r.csrs["csr-client"].Status.Conditions, "only serving certificates")
			require.Len(t, r.csrs["csr-a"].Status.Conditions, 1, r.said())
			got := r.csrs["csr-a"].Status.Conditions[0]
			if x.want == "" {
				require.Equal(t, certv1.CertificateApproved, got.Type, got.Message)
				require.Equal(t, "kubelet-serving cert validated", got.Reason)
				require.Equal(t, "CSR complied with kubelet-csr-approver validation process", got.Message)
				require.Contains(t, r.said(), "INFO CSR approved")
				return
			}
			require.Equal(t, certv1.CertificateDenied, got.Type)
			require.Equal(t, "kubelet-serving cert denied", got.Reason)
			require.Equal(t, "CSR not complying with kubelet-csr-approver validation process. Reason: "+x.want, got.Message)
			require.Contains(t, strings.Join(r.said(), "\n"), "Reason:"+x.want)
		})
	}
}

func TestCSRApproverOptions(t *testing.T) {
	ask := func(flags ...string) *rig {
		r := newProgram(t, csrApprover, nil, flags...)
		r.run(time.Second)
		r.put(servingCSR(t, "csr-a", func(c *certv1.CertificateSigningRequest, _ *pki.Request) { c.Spec.Username = "alice" }))
		r.run(2 * time.Second)
		require.Empty(t, r.csrs["csr-a"].Status.Conditions)
		return r
	}
	require.Contains(t, ask("--ignore-non-system-node").said(), "INFO Ignoring a CSR with username different than system:node:")
	r := ask("--skip-deny-step")
	require.Equal(t, []string{"INFO Denying kubelet-serving CSR. Reason:CSR Spec.Username is not prefixed with system:node:", "INFO Skipping the 'deny' step, the CSR will be left untouched."}, r.said()[len(r.said())-2:])
	require.Regexp(t, `^\{"level":"INFO","ts":"2026-01-01T00:00:01\.\d{3}Z","caller":"controller/csr_controller\.go:201","msg":"Skipping the 'deny' step, the CSR will be left untouched\.","controller":"certificatesigningrequest","controllerGroup":"certificates\.k8s\.io","controllerKind":"CertificateSigningRequest","CertificateSigningRequest":\{"name":"csr-a"\},"namespace":"","name":"csr-a","reconcileID":"[0-9a-f-]{36}"\}$`, r.last())
}

func TestProgramsRefuse(t *testing.T) {
	for name, x := range map[string]struct {
		program, flags string
		env            map[string]string
		code           int
		last           string
	}{
		"flag":           {csrApprover, "--nosuch", nil, 2, "flag provided but not defined: -nosuch"},
		"value":          {csrApprover, "--max-expiration-sec=x", nil, 2, `invalid value "x" for flag -max-expiration-sec: parse error`},
		"variable":       {csrApprover, "", map[string]string{"MAX_EXPIRATION_SEC": "x"}, 2, `unable to parse args/envs, exiting. error message: error setting flag "max-expiration-sec" from environment variable "MAX_EXPIRATION_SEC": parse error`},
		"too long":       {csrApprover, "--max-expiration-sec=99999999", nil, 2, "the maximum expiration seconds cannot be lower than 0 nor greater than 367 days"},
		"prefix":         {csrApprover, "--provider-ip-prefixes=10.0.0.0", nil, 10, "INFO Unable to parse IP prefix: 10.0.0.0, exiting"},
		"no regex":       {csrApprover, "--provider-regex=", nil, 10, "INFO the provider-spefic regex must be specified, exiting"},
		"bad regex":      {csrApprover, "--provider-regex=(", nil, 2, "panic: regexp: Compile(`(`): error parsing regexp: missing closing ): `(`"},
		"no kubeconfig":  {csrApprover, "--kubeconfig=/nosuch", nil, 1, "ERROR unable to get kubeconfig stat /nosuch: no such file or directory"},
		"a word":         {servingApprover, "run", nil, 1, `Error: unknown command "run" for "kubelet-serving-cert-approver"`},
		"serving flag":   {servingApprover, "serve --nosuch", nil, 1, "Error: unknown flag: --nosuch"},
		"serving config": {servingApprover, "serve", map[string]string{"HOME": "/nosuch"}, 1, "error unable to get kubeconfig invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newProgram(t, x.program, x.env, strings.Fields(x.flags)...)
			r.run(time.Second)
			require.NotNil(t, r.code)
			require.Equal(t, x.code, *r.code)
			if said := r.said(); len(said) > 0 && strings.HasPrefix(r.last(), "{") {
				require.Equal(t, x.last, said[len(said)-1])
			} else {
				require.Equal(t, x.last, r.last())
			}
		})
	}
}

func TestServingApprover(t *testing.T) {
	r := newProgram(t, servingApprover, nil, "serve")
	r.may = func(user, permission string) bool { return user == "system:node:node-1" && permission == "" }
	r.run(time.Second)
	require.Nil(t, r.code, r.last())
	r.put(servingCSR(t, "csr-a", nil))
	r.run(1200 * time.Millisecond)
	got := r.csrs["csr-a"].Status.Conditions
	require.Len(t, got, 1, r.said())
	require.Equal(t, "Approved by Kubelet Serving Certificate Approver", got[0].Reason)
	require.Equal(t, "Auto approving Kubelet Serving Certificate after Subject Access Review.", got[0].Message)
	require.Regexp(t, `^\{"level":"info","time":"2026-01-01T00:00:01\.\d{3}Z","caller":"certificatesigningrequest/controller\.go:149","msg":"The Certificate Signing Request has been approved","controller":"certificatesigningrequest","csr\.name":"csr-a","csr\.namespace":"","csr\.request\.dns":\["node-1"\],"csr\.request\.ip":\["10\.0\.0\.11"\]\}$`, r.last())
	require.Len(t, r.events(), 1)
	require.Equal(t, "Normal Approved The Certificate Signing Request has been approved: csr-a", r.events()[0])

	for name, x := range map[string]struct {
		change func(*certv1.CertificateSigningRequest, *pki.Request)
		err    string
	}{
		"organization": {func(_ *certv1.CertificateSigningRequest, q *pki.Request) { q.Subject.Organization = nil }, "organization does not match"},
		"prefix":       {func(_ *certv1.CertificateSigningRequest, q *pki.Request) { q.Subject.CommonName = "node-1" }, "x509 Common Name does not start with 'system:node'"},
		"another node": {func(c *certv1.CertificateSigningRequest, _ *pki.Request) { c.Spec.Username = "system:node:node-2" }, "x509 Common Name does not match with Certificate Signing Request Username"},
		"email":        {func(_ *certv1.CertificateSigningRequest, q *pki.Request) { q.Emails = []string{"a@b.c"} }, "emailAddress and URI subjectAltName extensions are forbidden"},
		"no names":     {func(_ *certv1.CertificateSigningRequest, q *pki.Request) { q.DNS, q.IPs = nil, nil }, "either DNS Names or IP Addresses is missing"},
		"usages": {func(c *certv1.CertificateSigningRequest, _ *pki.Request) {
			c.Spec.Usages = []certv1.KeyUsage{"client auth"}
		}, "key usage does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newProgram(t, servingApprover, nil, "serve")
			r.may = func(string, string) bool { return true }
			r.run(time.Second)
			r.put(servingCSR(t, "csr-a", x.change))
			r.run(1200 * time.Millisecond)
			require.Empty(t, r.csrs["csr-a"].Status.Conditions, "it never denies")
			require.Contains(t, r.said(), "error Unable to recognize the Certificate Signing Request "+x.err)
			require.Contains(t, r.said(), "error Reconciler error the Certificate Signing Request does not conform with expectation: "+x.err)
			require.Equal(t, "Warning ApproveFailed Unable to recognize the Certificate Signing Request: csr-a): "+x.err, r.events()[0])
		})
	}
	r = newProgram(t, servingApprover, nil, "serve")
	r.run(time.Second)
	r.put(servingCSR(t, "csr-a", nil))
	r.run(1200 * time.Millisecond)
	require.Contains(t, r.said(), "error Node is not authorized. Unable to perform Subject Access Review,")
	require.Contains(t, r.said(), "error Reconciler error could not perform Subject Access Review")
	r.may = func(string, string) bool { return true }
	r.run(5 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Conditions, "tried again")
}

// events are the Events that were recorded: type, reason, message.
func (r *rig) events() (out []string) {
	for _, q := range r.sent {
		if q.Method == "POST" && strings.HasSuffix(q.URL, "/events") {
			var e struct{ Type, Reason, Message string }
			require.NoError(r.t, json.Unmarshal(q.Body, &e))
			out = append(out, e.Type+" "+e.Reason+" "+e.Message)
		}
	}
	return out
}

// TestProgramLeads: with leader election only one of two approvers works.
func TestProgramLeads(t *testing.T) {
	r := newProgram(t, csrApprover, nil, "--leader-election")
	r.save(leases, object{"metadata": map[string]any{"name": "kubelet-csr-approver", "namespace": "kube-system"}, "spec": held("other", newYear, 0)["spec"]})
	r.run(10 * time.Second)
	r.put(servingCSR(t, "csr-a", nil))
	r.run(12 * time.Second)
	require.Empty(t, r.csrs["csr-a"].Status.Conditions)
	r.run(22 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Conditions)
}

// TestServingApproverVariables: viper is asked for the namespace, and by the logger
// for debug; leader election is the flag's alone. A CSR that is gone when it is
// read is taken for one without a signer.
func TestServingApproverVariables(t *testing.T) {
	r := newProgram(t, servingApprover, map[string]string{"DEBUG": "1", "ENABLE-LEADER-ELECTION": "true", "NAMESPACE": "certs"}, "serve")
	r.run(time.Second)
	require.False(t, r.m.Approver.Elect)
	require.Equal(t, "certs", r.m.Approver.Namespace)
	require.Contains(t, r.said(), "debug Certificate Signing Request Reconciler has ben added")
	require.Regexp(t, `"namespace":"certs","ha":false,"debug":false\}$`, r.line("has been started"))
	r.put(node(t, "csr-client", "u"))
	delete(r.csrs, "csr-client")
	r.run(2 * time.Second)
	require.Contains(t, r.said(), "debug Certificate Signing Request is not Kubelet serving Certificate")
	require.Contains(t, r.line("is not Kubelet serving"), `"csr.signer":""}`)
}

// line is the last line of the log that has a text.
func (r *rig) line(has string) (found string) {
	for _, o := range r.obs {
		if strings.Contains(o.Payload, has) {
			found = o.Payload
		}
	}
	return found
}
