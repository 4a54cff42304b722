package controllers

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
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

func TestApproveAndSign(t *testing.T) {
	r := newRig(t)
	r.run(time.Second)
	r.may = func(user, permission string) bool { return permission == "nodeclient" }
	r.put(node(t, "csr-a", "system:bootstrap:07401b"))
	r.run(2 * time.Second)
	got := r.csrs["csr-a"].Status
	require.Len(t, got.Conditions, 1)
	require.Equal(t, "Auto approving kubelet client certificate after SubjectAccessReview.", got.Conditions[0].Message)
	require.Equal(t, "AutoApproved", got.Conditions[0].Reason)
	certs, err := pki.ParseCerts(got.Certificate)
	require.NoError(t, err)
	require.Len(t, certs, 1)
	require.Equal(t, "CN=system:node:node-1,O=system:nodes", certs[0].Subject.String())
	require.Equal(t, 365*24*time.Hour, certs[0].NotAfter.Sub(certs[0].NotBefore))
	require.Equal(t, []string{
		"approved AutoApproved: Auto approving kubelet client certificate after SubjectAccessReview.",
		"issued kubernetes.io/kube-apiserver-client-kubelet: signed with " + caCrt,
	}, r.decisions("csr/csr-a"))
	require.Equal(t, 1, r.count(`certificate_controller.go:84] "Adding certificate request" logger="certificatesigningrequest-approving-controller" csr="csr-a"`))
	require.Equal(t, 4, r.count(`certificate_controller.go:84] "Adding certificate request" logger="certificatesigningrequest-signing-controller" csr="csr-a"`))

	// The manager watches as itself and acts as the certificate controller.
	for i, q := range r.sent {
		if strings.Contains(q.URL, "watch=true") {
			require.Equal(t, "manager", r.dials[i], q.URL)
		} else if strings.Contains(q.URL, ".k8s.io/") {
			require.Equal(t, "token-certificate-controller-1", r.bearers[i], q.URL)
		}
	}
	// Without a CSR to look at there is nothing to do, but for the cleaner.
	n := len(r.sent)
	r.run(59 * time.Minute)
	require.Len(t, r.sent, n)
	r.run(3 * time.Hour)
	require.Len(t, r.sent, n+3, "a new token, and the deletion")
	require.Empty(t, r.csrs, "issued CSRs go after an hour or two")
	_, more := r.queue.Next()
	require.False(t, more, "an empty cluster wakes nobody")
}

func TestRecognizers(t *testing.T) {
	for name, x := range map[string]struct {
		user, may string
		change    func(*certv1.CertificateSigningRequest)
		message   string
	}{
		"a node renews":               {"system:node:node-1", "selfnodeclient", nil, "Auto approving self kubelet client certificate after SubjectAccessReview."},
		"a node with nodeclient only": {"system:node:node-1", "nodeclient", nil, "Auto approving kubelet client certificate after SubjectAccessReview."},
		"a token with selfnodeclient": {"system:bootstrap:07401b", "selfnodeclient", nil, ""},
		"another signer":              {"u", "nodeclient", func(c *certv1.CertificateSigningRequest) { c.Spec.SignerName = "kubernetes.io/kube-apiserver-client" }, ""},
		"another usage":               {"u", "nodeclient", func(c *certv1.CertificateSigningRequest) { c.Spec.Usages = append(c.Spec.Usages, "server auth") }, ""},
		"denied already": {"u", "nodeclient", func(c *certv1.CertificateSigningRequest) {
			c.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: "Denied"}}
		}, ""},
		"with key encipherment as old": {"u", "nodeclient", func(c *certv1.CertificateSigningRequest) { c.Spec.Usages = append(c.Spec.Usages, "key encipherment") }, "Auto approving kubelet client certificate after SubjectAccessReview."},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.run(time.Second)
			r.may = func(_, permission string) bool { return permission == x.may }
			csr := node(t, "csr-a", x.user)
			if x.change != nil {
				x.change(csr)
			}
			r.put(csr)
			r.run(2 * time.Second)
			message := ""
			for _, c := range r.csrs["csr-a"].Status.Conditions {
				message = c.Message
			}
			require.Equal(t, x.message, message)
			require.Equal(t, x.message != "", len(r.csrs["csr-a"].Status.Certificate) > 0)
		})
	}
}

// TestRetry: c/kcm.log has tries at 0, 0.2, 0.6 s …; a permission that is given
// late is found at the next of them.
func TestRetry(t *testing.T) {
	r := newRig(t)
	r.run(time.Second)
	r.put(node(t, "csr-a", "system:node:node-1"))
	r.run(8 * time.Second)
	require.Equal(t, 6, r.count(`certificate_controller.go:160] "Sync certificate request failed" csr="csr-a" err="recognized csr \"csr-a\" as [selfnodeclient nodeclient] but subject access review was not approved"`))
	r.may = func(string, string) bool { return true }
	r.run(13 * time.Second)
	require.Empty(t, r.csrs["csr-a"].Status.Certificate)
	r.run(14 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate)
}

func TestPendingCostsItsRetries(t *testing.T) {
	r := newRig(t)
	r.run(time.Second)
	r.put(node(t, "csr-a", "u"))
	r.run(30 * 24 * time.Hour)
	require.Empty(t, r.csrs, "nobody cared for a day")
	require.Less(t, len(r.sent), 200)
}

func TestOffControllers(t *testing.T) {
	r := newRig(t, "--controllers=*,-csrapproving,-csrsigning,-garbagecollector")
	r.may = func(string, string) bool { return true }
	r.run(time.Second)
	r.put(node(t, "csr-a", "u"))
	r.run(10 * time.Second)
	require.Empty(t, r.csrs["csr-a"].Status.Conditions)
	require.Equal(t, 1, r.count(`controllermanager.go:735] "Warning: controller is disabled" controller="certificatesigningrequest-approving-controller"`))
	// tokencleaner is off unless it is named; the garbage collector reads Secrets too.
	require.Equal(t, 1, r.count(`controllermanager.go:735] "Warning: controller is disabled" controller="token-cleaner-controller"`))
	require.Zero(t, r.watch["/api/v1/secrets"])
	r = newRig(t, "--controllers=tokencleaner")
	r.run(time.Second)
	require.NotZero(t, r.watch["/api/v1/secrets"])
	require.Equal(t, 1, r.count(`tokencleaner.go:117] "Starting token cleaner controller"`))
}

func TestSigningFiles(t *testing.T) {
	other, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca2", "kubernetes", newYear, newYear.AddDate(1, 0, 0))
	require.NoError(t, err)
	good := newRig(t)
	crt, _ := good.disk.ReadFile(caCrt)
	two := append(append([]byte(nil), crt...), other.CertPEM()...)
	for name, x := range map[string]struct {
		cert []byte
		want string
	}{
		"two certificates": {two, `error reading CA cert file \"csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key\": expected 1 certificate, found 2`},
		"another's key":    {other.CertPEM(), `error reading CA cert file \"/etc/kubernetes/pki/ca.crt\": tls: private key does not match public key`},
		"empty":            {[]byte{}, `error reading CA cert file \"/etc/kubernetes/pki/ca.crt\": missing content for serving cert \"csr-controller::/etc/kubernetes/pki/ca.crt::/etc/kubernetes/pki/ca.key\"`},
		"garbage":          {[]byte("x"), `error reading CA cert file \"/etc/kubernetes/pki/ca.crt\": tls: failed to find any PEM data in certificate input`},
		"missing":          {nil, `error reading CA cert file \"/etc/kubernetes/pki/ca.crt\": open /etc/kubernetes/pki/ca.crt: no such file or directory`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if x.cert == nil {
				require.NoError(t, r.disk.Remove(caCrt))
			} else {
				r.file(caCrt, x.cert)
			}
			r.run(time.Second)
			require.Equal(t, 1, *r.code)
			require.Equal(t, 1, r.count(`run.go:72] "command failed" err="failed to init kubernetes.io/kubelet-serving certificate controller: `+x.want+`"`), r.lines())
		})
	}
	// While it runs, a second certificate makes every signing fail; the CSR stays
	// Approved and is signed when the file is good again.
	r := newRig(t)
	r.may = func(string, string) bool { return true }
	r.run(time.Second)
	r.file(caCrt, two)
	r.put(node(t, "csr-a", "u"))
	r.run(2 * time.Second)
	require.Len(t, r.csrs["csr-a"].Status.Conditions, 1)
	require.Empty(t, r.csrs["csr-a"].Status.Certificate)
	require.Equal(t, 3, r.count(`certificate_controller.go:158] "Unhandled Error" err="Sync csr-a failed with : error auto signing csr: error reading CA cert file`))
	r.file(caCrt, crt)
	r.run(5 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate)
}

func TestWatchEnds(t *testing.T) {
	r := newRig(t)
	r.run(time.Second)
	r.may = func(string, string) bool { return true }
	r.put(node(t, "csr-a", "u"))
	r.run(2 * time.Second)
	require.NotEmpty(t, r.csrs["csr-a"].Status.Certificate)
	// What was deleted while the watch was away is forgotten at the bookmark.
	delete(r.csrs, "csr-a")
	r.post(r.now, sim.Msg{Kind: sim.MsgEnd, Stream: r.watch[csrPath]})
	r.run(25 * time.Second)
	require.Empty(t, r.m.CSRs)
	// The server is away: 1, 3, 7 and 15 s.
	r.down = "dial tcp 10.0.0.10:6443: connect: connection refused"
	r.post(r.now, sim.Msg{Kind: sim.MsgEnd, Stream: r.watch[csrPath]})
	n := len(r.sent)
	r.run(42 * time.Second)
	require.Len(t, r.sent[n:], 4)
	r.down = ""
	r.put(node(t, "csr-b", "u"))
	r.run(80 * time.Second)
	require.NotEmpty(t, r.csrs["csr-b"].Status.Certificate)
}

// TestRecordedVerdicts gives the shapes of e2 to the rules.
func TestRecordedVerdicts(t *testing.T) {
	files, err := filepath.Glob("../testdata/golden/e2-signer-verdicts/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			var x struct {
				Outcome string
				Final   struct {
					Body *certv1.CertificateSigningRequest
				}
				Create struct {
					Body *certv1.CertificateSigningRequest
				}
			}
			if json.Unmarshal(b, &x) != nil || x.Create.Body == nil || len(x.Create.Body.Spec.Request) == 0 {
				t.Skip("the server did not take it")
			}
			spec := x.Create.Body.Spec
			req, err := pki.ParseRequest(spec.Request)
			require.NoError(t, err)
			f := checks[spec.SignerName]
			switch x.Outcome {
			case "issued":
				if f != nil {
					require.NoError(t, f(req, spec.Usages))
				}
				_, _, err := certificateUsages(spec.Usages)
				require.NoError(t, err)
			case "Failed":
				got := ""
				if f != nil {
					if err := f(req, spec.Usages); err != nil {
						got = err.Error()
					}
				}
				require.NotEmpty(t, got)
				require.Contains(t, string(b), fmt.Sprintf("%q", got))
			}
		})
	}
}

// TestRecordedDurations compares with e4/durations.json, to two seconds.
func TestRecordedDurations(t *testing.T) {
	b, err := os.ReadFile("../testdata/golden/e4-signing-durations/durations.json")
	require.NoError(t, err)
	var rows []struct {
		KCM               string
		Case              string
		ExpirationSeconds *int32
		NotBefore         *int64 `json:"notBeforeMinusSigning"`
		NotAfter          *int64 `json:"notAfterMinusSigning"`
	}
	require.NoError(t, json.Unmarshal(b, &rows))
	e, limit, n := era.Must("1.36"), time.Duration(0), 0
	now := newYear
	for _, x := range rows {
		if _, d, ok := strings.Cut(x.KCM, "--cluster-signing-duration="); ok {
			d, _, _ = strings.Cut(d, " ")
			if limit, err = time.ParseDuration(d); err != nil {
				limit = 0
			}
		}
		if x.NotAfter == nil || limit == 0 || strings.Contains(x.Case, "ca") || strings.Contains(x.KCM, "ca") {
			continue
		}
		from, to, err := Validity(e, now, now.AddDate(10, 0, 0), Lifetime(e, limit, x.ExpirationSeconds))
		require.NoError(t, err)
		require.InDelta(t, *x.NotBefore, from.Sub(now).Seconds(), 2, x.Case)
		require.InDelta(t, *x.NotAfter, to.Sub(now).Seconds(), 2, x.Case)
		n++
	}
	require.Greater(t, n, 8)
}

func TestValidityOfTheCA(t *testing.T) {
	e := era.Must("1.36")
	end := newYear.Add(30 * time.Minute)
	_, to, err := Validity(e, newYear, end, time.Hour)
	require.NoError(t, err)
	require.Equal(t, end, to)
	_, _, err = Validity(e, end.Add(time.Minute), end, time.Hour)
	require.EqualError(t, err, "refusing to sign a certificate that expired in the past: NotAfter=2026-01-01 00:30:00 +0000 UTC")
	_, _, err = Validity(e, end.Add(5*time.Minute), end, time.Hour)
	require.EqualError(t, err, "the signer has expired: NotAfter=2026-01-01 00:30:00 +0000 UTC")
	ask := int32(600)
	require.Equal(t, 3*time.Minute, Lifetime(e, 3*time.Minute, &ask))
}

func TestUnknownUsage(t *testing.T) {
	_, _, err := certificateUsages([]certv1.KeyUsage{"client auth", "x"})
	require.EqualError(t, err, `unrecognized usage values: ["x"]`)
}

func TestCloneIsIndependent(t *testing.T) {
	r := newRig(t)
	r.run(time.Second)
	for i := range 5 {
		r.put(node(t, fmt.Sprint("csr-", i), "u"))
	}
	r.run(1020 * time.Millisecond)
	a, err := json.Marshal(r.m)
	require.NoError(t, err)
	n := r.m.Clone().(*ControllerManager)
	b, _ := json.Marshal(n)
	require.Equal(t, string(a), string(b))
	n.Loops[4].Queue = append(n.Loops[4].Queue, "x")
	n.Loops[4].Fails["csr-0"] = 9
	delete(n.CSRs, "csr-1")
	n.Feeds[0].Fails++
	b, _ = json.Marshal(r.m)
	require.Equal(t, string(a), string(b))
}

// TestCleans: what is told beforehand of a CSR's end. One that was signed and
// never approved is pending to the cleaner, whatever its certificate.
func TestCleans(t *testing.T) {
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca", "kubernetes", newYear, newYear.Add(10*time.Minute))
	require.NoError(t, err)
	for _, x := range []struct {
		cert  []byte
		kinds []certv1.RequestConditionType
		want  time.Duration
	}{
		{nil, nil, 24 * time.Hour},
		{[]byte("c"), nil, 24 * time.Hour},
		{nil, []certv1.RequestConditionType{certv1.CertificateApproved}, 24 * time.Hour},
		{[]byte("c"), []certv1.RequestConditionType{certv1.CertificateApproved}, time.Hour},
		{ca.CertPEM(), []certv1.RequestConditionType{certv1.CertificateApproved}, 10 * time.Minute},
		{[]byte("c"), []certv1.RequestConditionType{certv1.CertificateDenied}, time.Hour},
		{nil, []certv1.RequestConditionType{certv1.CertificateApproved, certv1.CertificateFailed}, time.Hour},
		{nil, []certv1.RequestConditionType{"Mine"}, 0},
	} {
		csr := node(t, "a", "u")
		csr.CreationTimestamp, csr.Status.Certificate = metav1.Time{Time: newYear}, x.cert
		for _, k := range x.kinds {
			csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: k, LastUpdateTime: metav1.Time{Time: newYear}})
		}
		at, after := Cleans(era.Must("1.36"), csr)
		require.Equal(t, x.want, after, "%v", x)
		require.Equal(t, x.want > 0, !at.IsZero())
	}
}

// TestCleaner: which request goes when, and the line that says so, which is there
// whatever the verbosity.
func TestCleaner(t *testing.T) {
	r := newRig(t, "--controllers=csrcleaner", "--v=0")
	old := func(name string, age time.Duration, cert []byte, kinds ...certv1.RequestConditionType) {
		x := node(t, name, "u")
		x.Status.Certificate = cert
		for _, k := range kinds {
			x.Status.Conditions = append(x.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: k, Status: "True", LastUpdateTime: metav1.NewTime(newYear.Add(-age))})
		}
		r.put(x)
		r.csrs[name].CreationTimestamp = metav1.NewTime(newYear.Add(-age))
	}
	leaf := func(notAfter time.Time) []byte {
		ca, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca", "kubernetes", newYear.AddDate(-1, 0, 0), newYear.AddDate(10, 0, 0))
		require.NoError(t, err)
		c, err := ca.Leaf(pki.LeafSpec{Client: true, NotBefore: newYear.Add(-time.Hour), NotAfter: notAfter, Serial: []byte{7}}, ca.Key.Public())
		require.NoError(t, err)
		return c
	}
	old("approved", 30*time.Minute, leaf(newYear.AddDate(1, 0, 0)), certv1.CertificateApproved)
	old("denied", 30*time.Minute, nil, certv1.CertificateDenied)
	old("failed", 30*time.Minute, nil, certv1.CertificateApproved, certv1.CertificateFailed)
	old("pending", 23*time.Hour+30*time.Minute, nil)
	old("unissued", 23*time.Hour+30*time.Minute, nil, certv1.CertificateApproved)
	old("expired", -time.Minute, leaf(newYear.Add(30*time.Minute)), certv1.CertificateApproved)
	old("young", -30*time.Minute, nil)
	r.run(59 * time.Minute)
	require.Len(t, r.csrs, 7)
	r.run(61 * time.Minute)
	require.Len(t, r.csrs, 1)
	require.Contains(t, r.csrs, "young")
	for _, l := range []string{
		`cleaner.go:189] "Cleaning CSR as it is more than approvedExpiration duration old and approved." csr="approved" approvedExpiration="1h0m0s"`,
		`cleaner.go:160] "Cleaning CSR as it is more than deniedExpiration duration old and denied." csr="denied" deniedExpiration="1h0m0s"`,
		`cleaner.go:173] "Cleaning CSR as it is more than deniedExpiration duration old and failed." csr="failed" deniedExpiration="1h0m0s"`,
		`cleaner.go:148] "Cleaning CSR as it is more than pendingExpiration duration old and unhandled." csr="pending" pendingExpiration="24h0m0s"`,
		`cleaner.go:205] "Cleaning CSR as it is approved but unissued for more than pendingExpiration duration." csr="unissued" pendingExpiration="24h0m0s"`,
		`cleaner.go:134] "Cleaning CSR as the associated certificate is expired." csr="expired"`,
	} {
		require.Equal(t, 1, r.count(l), l+"\n"+strings.Join(r.lines(), "\n"))
	}
	require.Zero(t, r.count(`controllermanager.go:810]`), "that is said at -v=1")
}
