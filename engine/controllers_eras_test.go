package engine_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// old is a cluster of a release whose API is called in that release's versions.
type old struct {
	*cluster
	e era.Era
}

func newOld(t *testing.T, release string, flags ...string) *old {
	t.Helper()
	return &old{newOldCluster(t, release, flags...), era.Must(release)}
}

// create makes an object as the admin.
func (o *old) create(t *testing.T, group, plural, namespace string, body map[string]any) map[string]any {
	t.Helper()
	path := era.Path(o.e, group, plural)
	if namespace != "" {
		path = strings.Replace(path, "/"+plural, "/namespaces/"+namespace+"/"+plural, 1)
	}
	body["apiVersion"] = era.Preferred(o.e, group, plural)
	code, got := o.call(t, adminName, "POST", path, body)
	require.Equal(t, 201, code, got)
	return got
}

const rbacGroup = "rbac.authorization.k8s.io"

// may lets all nodes create a subresource of certificatesigningrequests.
func (o *old) may(t *testing.T, permission string) {
	t.Helper()
	name := "may-" + permission
	o.create(t, rbacGroup, "clusterroles", "", map[string]any{"kind": "ClusterRole", "metadata": map[string]any{"name": name},
		"rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"certificatesigningrequests/" + permission}, "verbs": []string{"create"}}}})
	o.create(t, rbacGroup, "clusterrolebindings", "", map[string]any{"kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
		"roleRef": map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": name}, "subjects": []any{map[string]any{"apiGroup": rbacGroup, "kind": "Group", "name": "system:nodes"}}})
}

// asked is what a CSR asks for.
type asked struct {
	cn, org string
	dns     []string
	ips     []string
	usages  []string
	signer  string
	life    int
}

var (
	clientCSR  = asked{cn: "system:node:node-x", org: "system:nodes", usages: []string{"digital signature", "key encipherment", "client auth"}, signer: "kubernetes.io/kube-apiserver-client-kubelet"}
	servingCSR = asked{cn: "system:node:node-x", org: "system:nodes", dns: []string{"node-x"}, ips: []string{"10.0.0.11"}, usages: []string{"digital signature", "key encipherment", "server auth"}, signer: "kubernetes.io/kubelet-serving"}
)

// ask creates a CSR as someone.
func (o *old) ask(t *testing.T, who, name string, a asked) {
	t.Helper()
	r := pki.Request{Subject: pkix.Name{CommonName: a.cn, Organization: []string{a.org}}, DNS: a.dns}
	for _, ip := range a.ips {
		r.IPs = append(r.IPs, net.ParseIP(ip).To4())
	}
	pem, err := pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA(name), r)
	require.NoError(t, err)
	spec := map[string]any{"request": pem, "usages": a.usages}
	if era.CSRSigners.In(o.e) {
		spec["signerName"] = a.signer
	}
	if a.life > 0 {
		spec["expirationSeconds"] = a.life
	}
	path := era.Path(o.e, "certificates.k8s.io", "certificatesigningrequests")
	code, got := o.call(t, who, "POST", path, map[string]any{"kind": "CertificateSigningRequest", "apiVersion": era.Preferred(o.e, "certificates.k8s.io", "certificatesigningrequests"), "metadata": map[string]any{"name": name}, "spec": spec})
	require.Equal(t, 201, code, got)
}

func (o *old) csr(t *testing.T, name string) *certv1.CertificateSigningRequest {
	t.Helper()
	code, body := o.call(t, adminName, "GET", era.Path(o.e, "certificates.k8s.io", "certificatesigningrequests")+"/"+name, nil)
	if code == 404 {
		return nil
	}
	require.Equal(t, 200, code, body)
	return as[certv1.CertificateSigningRequest](t, body)
}

// approve approves a CSR by hand.
func (o *old) approveIt(t *testing.T, name string) {
	t.Helper()
	csr := o.csr(t, name)
	if len(csr.Status.Conditions) > 0 {
		return // by the approver, as the admin may do all
	}
	csr.Kind, csr.APIVersion = "CertificateSigningRequest", era.Preferred(o.e, "certificates.k8s.io", "certificatesigningrequests")
	csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: "Approved", Status: "True", Reason: "ByHand", LastUpdateTime: csr.CreationTimestamp})
	code, got := o.call(t, adminName, "PUT", era.Path(o.e, "certificates.k8s.io", "certificatesigningrequests")+"/"+name+"/approval", csr)
	require.Equal(t, 200, code, got)
}

// state is a CSR in words: its conditions, and whether it is issued.
func (o *old) state(t *testing.T, name string) string {
	t.Helper()
	csr := o.csr(t, name)
	if csr == nil {
		return "gone"
	}
	words := []string{"Pending"}
	for i, c := range csr.Status.Conditions {
		if i == 0 {
			words = nil
		}
		words = append(words, string(c.Type))
	}
	if len(csr.Status.Certificate) > 0 {
		words = append(words, "Issued")
	}
	return strings.Join(words, ",")
}

func (o *old) cert(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	csr := o.csr(t, name)
	list, err := pki.ParseCerts(csr.Status.Certificate)
	require.NoError(t, err)
	return list[0]
}

// logged tells whether the manager wrote a line with these words.
func (o *old) logged(words string) bool {
	for _, line := range o.kcmLog(0) {
		if strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// TestManagerOfEveryRelease: in every minor a node's request is approved by itself and
// signed, and its renewal too, and one for a serving certificate is signed when somebody
// approves it.
func TestManagerOfEveryRelease(t *testing.T) {
	for _, release := range era.Releases() {
		t.Run(release, func(t *testing.T) {
			o := newOld(t, release)
			o.may(t, "selfnodeclient")
			for _, name := range []string{"first", "renewal"} {
				o.ask(t, "node-x", name, clientCSR)
				o.pass(2 * time.Second)
				require.Equal(t, "Approved,Issued", o.state(t, name), strings.Join(o.kcmLog(0), "\n"))
				c := o.csr(t, name).Status.Conditions[0]
				require.Equal(t, "AutoApproved: Auto approving self kubelet client certificate after SubjectAccessReview.", c.Reason+": "+c.Message)
				require.Equal(t, era.ConditionStatus.In(o.e), c.Status == corev1.ConditionTrue)
				require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, o.cert(t, name).ExtKeyUsage)
				o.pass(time.Hour / 2)
			}
			o.ask(t, "node-x", "serving", servingCSR)
			o.pass(2 * time.Second)
			require.Equal(t, "Pending", o.state(t, "serving"))
			o.approveIt(t, "serving")
			o.pass(2 * time.Second)
			require.Equal(t, "Approved,Issued", o.state(t, "serving"))
		})
	}
}

// change is a sentence about two releases: what is so in the one, and in the next.
type change struct {
	before, after string
	of            func(t *testing.T, o *old) string
	was, is       string
	flags         []string
}

// changes are what the manager does otherwise from a release on.
var changes = map[string]change{
	"selfnodeserver goes": {"1.10", "1.11", func(t *testing.T, o *old) string {
		o.may(t, "selfnodeserver")
		o.ask(t, "node-x", "s", servingCSR)
		o.pass(2 * time.Second)
		return o.state(t, "s")
	}, "Approved,Issued", "Pending", nil},
	"refused without words from 1.9 on": {"1.8", "1.9", func(t *testing.T, o *old) string {
		o.ask(t, "node-x", "c", clientCSR)
		o.pass(2 * time.Second)
		for _, line := range o.kcmLog(0) {
			if at := strings.Index(line, "Sync c failed"); at >= 0 {
				return line[:1] + " " + line[at:]
			}
		}
		return "nothing"
	}, `E Sync c failed with : recognized csr "c" as [selfnodeclient nodeclient] but subject access review was not approved`,
		`I Sync c failed with : recognized csr "c" as [selfnodeclient nodeclient] but subject access review was not approved`, nil},
	"twice the same usage": {"1.17", "1.18", func(t *testing.T, o *old) string {
		o.may(t, "selfnodeclient")
		a := clientCSR
		a.usages = []string{"client auth", "client auth", "digital signature"}
		o.ask(t, "node-x", "c", a)
		o.pass(2 * time.Second)
		return o.state(t, "c")
	}, "Approved,Issued", "Pending", nil},
	"key encipherment may be left out": {"1.24", "1.25", func(t *testing.T, o *old) string {
		o.may(t, "selfnodeclient")
		a := clientCSR
		a.usages = []string{"client auth", "digital signature"}
		o.ask(t, "node-x", "c", a)
		o.pass(2 * time.Second)
		return o.state(t, "c")
	}, "Pending", "Approved,Issued", nil},
	"any shape is signed": {"1.17", "1.18", otherShape, "Approved,Issued", "Approved", nil},
	"a wrong shape fails": {"1.18", "1.19", otherShape, "Approved", "Approved,Failed", nil},
	"unknown usages": {"1.16", "1.17", func(t *testing.T, o *old) string {
		a := clientCSR
		a.usages = []string{"client auth", "bogus"}
		o.ask(t, adminName, "c", a)
		o.approveIt(t, "c")
		o.pass(2 * time.Second)
		return fmt.Sprint(o.state(t, "c"), " ", o.logged(`error auto signing csr: unrecognized usage values: ["bogus"]`))
	}, "Approved,Issued false", "Approved true", nil},
	"the CA's end is the end": {"1.12", "1.13", pastTheCA, "later true", "with the CA true", []string{"experimental-cluster-signing-duration=876000h"}},
	"a short life is not shortened": {"1.21", "1.22", func(t *testing.T, o *old) string {
		o.ask(t, adminName, "c", clientCSR)
		o.approveIt(t, "c")
		o.pass(2 * time.Second)
		c := o.cert(t, "c")
		return c.NotAfter.Sub(c.NotBefore).String()
	}, "1h0m0s", "1h5m0s", []string{"cluster-signing-duration=1h"}},
	"as long as was asked for": {"1.21", "1.22", func(t *testing.T, o *old) string {
		a := clientCSR
		a.life = 36000
		o.ask(t, adminName, "c", a)
		o.approveIt(t, "c")
		o.pass(2 * time.Second)
		c := o.cert(t, "c")
		return c.NotAfter.Sub(c.NotBefore).String()
	}, "8760h0m0s", "10h0m0s", nil},
	"old requests are cleaned": {"1.8", "1.9", func(t *testing.T, o *old) string {
		o.ask(t, adminName, "c", asked{cn: "x", org: "y", usages: []string{"client auth"}, signer: "kubernetes.io/kube-apiserver-client"})
		o.pass(26 * time.Hour)
		return fmt.Sprint(o.state(t, "c"), " ", o.logged(`Cleaning CSR "c" as it is more than 24h0m0s old and unhandled.`))
	}, "Pending false", "Pending true", nil}, // and may not delete it yet
	"the cleaner may delete": {"1.9", "1.10", func(t *testing.T, o *old) string {
		o.ask(t, adminName, "c", asked{cn: "x", org: "y", usages: []string{"client auth"}, signer: "kubernetes.io/kube-apiserver-client"})
		o.pass(26 * time.Hour)
		return fmt.Sprint(o.state(t, "c"), " ", o.logged(`Error while attempting to clean CSR "c": unable to delete CSR "c": certificatesigningrequests.certificates.k8s.io "c" is forbidden`))
	}, "Pending true", "gone false", nil},
	"approved and not issued": {"1.34", "1.35", func(t *testing.T, o *old) string {
		o.ask(t, adminName, "c", asked{cn: "x", org: "y", usages: []string{"client auth"}, signer: "example.com/x"})
		o.approveIt(t, "c")
		o.pass(26 * time.Hour)
		return o.state(t, "c")
	}, "Approved", "gone", nil},
	"expired tokens": {"1.15", "1.16", func(t *testing.T, o *old) string {
		soon := o.w.Now().Add(time.Hour).Format(time.RFC3339)
		o.create(t, "", "secrets", "kube-system", map[string]any{"kind": "Secret", "type": "bootstrap.kubernetes.io/token", "metadata": map[string]any{"name": "bootstrap-token-aaaaaa"},
			"stringData": map[string]any{"token-id": "aaaaaa", "token-secret": "bbbbbbbbbbbbbbbb", "expiration": soon}})
		there := func() bool {
			code, _ := o.call(t, adminName, "GET", "/api/v1/namespaces/kube-system/secrets/bootstrap-token-aaaaaa", nil)
			return code == 200
		}
		out := fmt.Sprint(there())
		o.pass(time.Hour + time.Minute)
		out += fmt.Sprint(" ", there())
		o.pass(48 * time.Hour)
		return out + fmt.Sprint(" ", there())
	}, "true true false", "true false false", nil},
	"expired tokens before informers": {"1.9", "1.10", func(t *testing.T, o *old) string {
		soon := o.w.Now().Add(time.Hour).Format(time.RFC3339)
		o.create(t, "", "secrets", "kube-system", map[string]any{"kind": "Secret", "type": "bootstrap.kubernetes.io/token", "metadata": map[string]any{"name": "bootstrap-token-aaaaaa"},
			"stringData": map[string]any{"token-id": "aaaaaa", "token-secret": "bbbbbbbbbbbbbbbb", "expiration": soon}})
		o.pass(time.Hour + 11*time.Second)
		code, _ := o.call(t, adminName, "GET", "/api/v1/namespaces/kube-system/secrets/bootstrap-token-aaaaaa", nil)
		return fmt.Sprint(code)
	}, "404", "200", nil},
	"every account has a token": {"1.23", "1.24", func(t *testing.T, o *old) string {
		o.create(t, "", "serviceaccounts", "default", map[string]any{"kind": "ServiceAccount", "metadata": map[string]any{"name": "app"}})
		o.pass(5 * time.Second)
		_, body := o.call(t, adminName, "GET", "/api/v1/namespaces/default/serviceaccounts/app", nil)
		sa := as[corev1.ServiceAccount](t, body)
		if len(sa.Secrets) == 0 {
			return "none"
		}
		_, body = o.call(t, adminName, "GET", "/api/v1/namespaces/default/secrets/"+sa.Secrets[0].Name, nil)
		s := as[corev1.Secret](t, body)
		require.Regexp(t, `^app-token-[a-z0-9]{5}$`, s.Name)
		require.Equal(t, "default", string(s.Data["namespace"]))
		require.Contains(t, string(s.Data["ca.crt"]), "BEGIN CERTIFICATE")
		require.NotEmpty(t, s.Data["token"])
		return string(s.Type)
	}, "kubernetes.io/service-account-token", "none", nil},
	"files of single signers": {"1.18", "1.19", func(t *testing.T, o *old) string {
		for _, f := range []string{"cluster-signing-cert-file", "cluster-signing-key-file", "cluster-signing-kubelet-client-cert-file=/etc/kubernetes/pki/ca.crt", "cluster-signing-kubelet-client-key-file=/etc/kubernetes/pki/ca.key"} {
			o.flag(t, f)
		}
		o.pass(5 * time.Second)
		return fmt.Sprint(o.logged("unknown flag: --cluster-signing-kubelet-client-cert-file"), " ",
			o.logged(`skipping CSR signer controller "kubernetes.io/kubelet-serving" because specific files were specified for other signers and not this one.`))
	}, "true false", "false true", nil},
	"who asks for an account's token": {"1.19", "1.20", func(t *testing.T, o *old) string {
		o.ask(t, "node-x", "c", clientCSR)
		o.pass(2 * time.Second)
		out := ""
		for _, x := range o.obs {
			if x.Kind == trace.Request && x.Actor == "control-1/"+kcmUnit && strings.Contains(x.Subject, "/serviceaccounts/certificate-controller/token") {
				out = "asks"
			}
		}
		if o.logged("Verified credential for kube-system/certificate-controller") {
			out += "reads its Secret"
		}
		return out
	}, "reads its Secret", "asks", []string{"v=4", "root-ca-file"}},
	"kube-root-ca.crt":                 {"1.19", "1.20", rootCAMaps, "404 ", "200 ", nil},
	"kube-root-ca.crt says what it is": {"1.20", "1.21", rootCAMaps, "200 ", "200 " + "Contains a CA bundle", nil},
	"it is said in a structured way": {"1.27", "1.28", func(t *testing.T, o *old) string {
		o.ask(t, adminName, "c", clientCSR)
		o.pass(time.Second)
		return fmt.Sprint(o.logged("] Adding certificate request c"), o.logged(`] "Adding certificate request" logger="certificatesigningrequest-signing-controller" csr="c"`))
	}, "true false", "false true", nil},
}

func rootCAMaps(t *testing.T, o *old) string {
	code, body := o.call(t, adminName, "GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", nil)
	cm := as[corev1.ConfigMap](t, body)
	text, _, _ := strings.Cut(cm.Annotations["kubernetes.io/description"], " that")
	return fmt.Sprint(code, " ", text)
}

// otherShape asks for a client certificate with a name in it.
func otherShape(t *testing.T, o *old) string {
	a := clientCSR
	a.dns = []string{"www.example.com"}
	o.ask(t, adminName, "c", a)
	o.approveIt(t, "c")
	o.pass(2 * time.Second)
	return o.state(t, "c")
}

// pastTheCA asks for a certificate that would outlive the CA.
func pastTheCA(t *testing.T, o *old) string {
	o.ask(t, adminName, "c", clientCSR)
	o.approveIt(t, "c")
	o.pass(2 * time.Second)
	c, ca := o.cert(t, "c"), o.ca(t, "ca").Cert
	out := "later"
	if c.NotAfter.Sub(ca.NotAfter) < 0 && ca.NotAfter.Sub(c.NotAfter) < 7*time.Minute {
		out = "with the CA"
	}
	return fmt.Sprint(out, " ", c.NotBefore.Second() == 0)
}

func TestManagerChanges(t *testing.T) {
	for name, x := range changes {
		t.Run(name, func(t *testing.T) {
			for release, want := range map[string]string{x.before: x.was, x.after: x.is} {
				require.Equal(t, want, x.of(t, newOld(t, release, x.flags...)), release)
			}
		})
	}
}

// TestWhyPendingWithoutSigners: a request of a release without signers is explained by
// its shape: what would approve it, or that nobody does.
func TestWhyPendingWithoutSigners(t *testing.T) {
	o := newOld(t, "1.11")
	o.ask(t, "node-x", "client", clientCSR)
	o.ask(t, "node-x", "serving", servingCSR)
	o.pass(2 * time.Second)
	e, err := o.w.Why("csr/client")
	require.NoError(t, err)
	require.Equal(t, "kube-controller-manager", e.State.Args["signer"])
	require.NotEmpty(t, e.Needs)
	require.Equal(t, "binding", e.Needs[0].Kind)
	e, err = o.w.Why("csr/serving")
	require.NoError(t, err)
	require.Contains(t, fmt.Sprint(e.Knows), "no-approver-shape")
	require.Equal(t, "approval", e.Needs[len(e.Needs)-1].Kind)
}
