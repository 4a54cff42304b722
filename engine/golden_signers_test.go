package engine_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
)

// verdict is a file of e2.
type verdict struct {
	CreatedBy string
	Usages    []certv1.KeyUsage
	Create    struct {
		Code int
		Body map[string]any
	}
	Final       *certv1.CertificateSigningRequest
	Outcome     string
	RequestText []string `json:"requestText"`
	Certificate []string `json:"certificateText"`
}

// playVerdicts gives CSRs to the signers, approved.
func playVerdicts(t *testing.T, _ string) golden.Play {
	k := newCluster(t, "cluster-signing-duration=1h")
	return func(t *testing.T, rec golden.Recording) {
		var x verdict
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
		var csr *certv1.CertificateSigningRequest
		if x.Create.Code == 201 {
			made := as[certv1.CertificateSigningRequest](t, x.Create.Body)
			csr = csrOf(t, made.Name, made.Spec.SignerName)
			csr.Spec = certv1.CertificateSigningRequestSpec{Request: made.Spec.Request, SignerName: made.Spec.SignerName, Usages: made.Spec.Usages, ExpirationSeconds: made.Spec.ExpirationSeconds}
		} else {
			csr = refusedRequest(t, rec.File, &x)
		}
		code, body := k.call(t, x.CreatedBy, "POST", csrsPath, csr)
		require.Equal(t, x.Create.Code, code, body)
		require.Equal(t, golden.Plain(x.Create.Body), golden.Plain(body))
		if code != 201 {
			require.Equal(t, fmt.Sprintf("rejected %d", code), x.Outcome)
			return
		}
		k.approve(t, body)
		signedAt := k.w.Now()
		k.pass(2 * time.Second)
		final := k.read(t, csr.Name)
		outcome := "approved, not signed"
		failed := func(c *certv1.CertificateSigningRequest) string {
			for _, cond := range c.Status.Conditions {
				if cond.Type == certv1.CertificateFailed {
					return fmt.Sprintf("%s %s: %s", cond.Status, cond.Reason, cond.Message)
				}
			}
			return ""
		}
		switch {
		case len(final.Status.Certificate) > 0:
			outcome = "issued"
		case failed(final) != "":
			outcome = "Failed"
		}
		require.Equal(t, x.Outcome, outcome)
		require.Equal(t, failed(x.Final), failed(final))
		if outcome == "issued" {
			sameCertificate(t, x.Certificate, final.Status.Certificate, signedAt)
		}
	}
}

// refusedRequest makes a request that was refused from what openssl said of it.
func refusedRequest(t *testing.T, file string, x *verdict) *certv1.CertificateSigningRequest {
	t.Helper()
	signer := certv1.KubeAPIServerClientKubeletSignerName
	switch {
	case strings.Contains(file, "serving"):
		signer = certv1.KubeletServingSignerName
	case strings.Contains(file, "apiclient"):
		signer = certv1.KubeAPIServerClientSignerName
	}
	csr := csrOf(t, x.Create.Body["details"].(map[string]any)["name"].(string), signer)
	csr.Spec.Usages = x.Usages
	var r pki.Request
	for i, line := range x.RequestText {
		line = strings.TrimSpace(line)
		if subject, ok := strings.CutPrefix(line, "Subject: "); ok {
			for _, part := range strings.Split(subject, ",") {
				switch key, value, _ := strings.Cut(part, "="); key {
				case "CN":
					r.Subject.CommonName = value
				case "O":
					r.Subject.Organization = append(r.Subject.Organization, value)
				default:
					require.Fail(t, "no such part of a subject here", part)
				}
			}
		}
		if strings.HasPrefix(line, "X509v3 Subject Alternative Name") {
			for _, name := range strings.Split(strings.TrimSpace(x.RequestText[i+1]), ", ") {
				switch kind, value, _ := strings.Cut(name, ":"); kind {
				case "DNS":
					r.DNS = append(r.DNS, value)
				case "IP Address":
					r.IPs = append(r.IPs, net.ParseIP(value).To4())
				case "email":
					r.Emails = append(r.Emails, value)
				default:
					require.Fail(t, "no such name here", name)
				}
			}
		}
	}
	var err error
	csr.Spec.Request, err = pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA(file), r)
	require.NoError(t, err)
	return csr
}

// sameCertificate holds a certificate against a recorded one: all but the
// issuer's key, the serial and the time.
func sameCertificate(t *testing.T, text []string, got []byte, now time.Time) {
	t.Helper()
	_, g := likeRecorded(t, strings.Join(text, "\n"), got, 128)
	require.InDelta(t, -300, g.NotBefore.Sub(now).Seconds(), 2)
}

// likeRecorded compares what does not depend on the moment or on the issuer's key,
// and returns both certificates, the recorded one first. Serials have about so many bits.
func likeRecorded(t *testing.T, text string, got []byte, bits int) (w, g *x509.Certificate) {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	require.NotNil(t, block)
	w, err := x509.ParseCertificate(block.Bytes)
	require.NoError(t, err)
	list, err := pki.ParseCerts(got)
	require.NoError(t, err)
	require.Len(t, list, 1)
	g = list[0]
	require.Equal(t, w.RawSubject, g.RawSubject, "the order of a subject too")
	require.Equal(t, w.RawSubjectPublicKeyInfo, g.RawSubjectPublicKeyInfo)
	require.Equal(t, w.Issuer.String(), g.Issuer.String())
	require.Equal(t, w.SignatureAlgorithm, g.SignatureAlgorithm)
	require.Equal(t, w.Version, g.Version)
	require.InDelta(t, bits, g.SerialNumber.BitLen(), 12)
	require.Len(t, g.Extensions, len(w.Extensions))
	for i, e := range w.Extensions {
		require.Equal(t, e.Id, g.Extensions[i].Id, "the order of extensions")
		require.Equal(t, e.Critical, g.Extensions[i].Critical, "%v", e.Id)
		if !e.Id.Equal([]int{2, 5, 29, 35}) { // the key that signed
			require.Equal(t, e.Value, g.Extensions[i].Value, "%v", e.Id)
		}
	}
	require.Equal(t, w.NotAfter.Sub(w.NotBefore), g.NotAfter.Sub(g.NotBefore))
	return w, g
}

// signingCAs are the CAs that kube-controller-manager had besides ca: by a word
// of the recorder's about its flags.
var signingCAs = []struct {
	words    string
	cn       string
	from, to time.Duration
	flags    []string
}{
	{"expires in 30 minutes", "kubernetes-short", -time.Hour, 30 * time.Minute, []string{"cluster-signing-cert-file=FILE.crt", "cluster-signing-key-file=FILE.key"}},
	{"expired 24h ago", "kubernetes-expired", -48 * time.Hour, -24 * time.Hour, []string{"cluster-signing-cert-file=FILE.crt", "cluster-signing-key-file=FILE.key"}},
	{"only --cluster-signing-kubelet-client-{cert,key}-file", "kubernetes-ca-2", -time.Hour, 10 * 8760 * time.Hour,
		[]string{"cluster-signing-cert-file=", "cluster-signing-key-file=", "cluster-signing-kubelet-client-cert-file=FILE.crt", "cluster-signing-kubelet-client-key-file=FILE.key"}},
}

// played is what a kube-controller-manager made of the recorder's CSRs.
type played struct {
	k    *cluster
	from int
}

// playDurations compares how long certificates are valid, per setting, and what
// the log says of CAs that can't sign.
func playDurations(t *testing.T, _ string) golden.Play {
	var settings []played
	return func(t *testing.T, rec golden.Recording) {
		if rec.File != "durations.json" {
			require.NotEmpty(t, settings, "durations.json comes first")
			s := settings[len(settings)-2]
			if strings.HasPrefix(rec.File, "per-signer") {
				s = settings[len(settings)-1]
			}
			spoken{"certificates.go:85": "signers", "certificates.go:111": "signers", "certificates.go:124": "signers", "dynamic_serving_content.go:116": "files", "dynamic_serving_content.go:135": "eyes",
				"certificate_controller.go:158": "failures"}.says(t, trueName(rec.Text(t)), s.k.kcmLog(s.from))
			return
		}
		var rows []struct {
			KCM, Case         string
			ExpirationSeconds *int32
			OpenSSL           []string
			NotBefore         *int64 `json:"notBeforeMinusSigning"`
			NotAfter          *int64 `json:"notAfterMinusSigning"`
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &rows))
		var k *cluster
		caEnd := time.Time{}
		for i, x := range rows {
			if x.KCM != "" {
				k, caEnd = newCluster(t), time.Time{}
				from := len(k.obs)
				if _, d, ok := strings.Cut(x.KCM, "--cluster-signing-duration="); ok {
					k.flag(t, "cluster-signing-duration="+d)
				}
				for _, ca := range signingCAs {
					if !strings.Contains(x.KCM, ca.words) {
						continue
					}
					caEnd = k.w.Now().Add(ca.to).Truncate(time.Second)
					name := ca.cn[len("kubernetes-"):]
					k.authority(t, name, ca.cn, k.w.Now().Add(ca.from), caEnd)
					for _, f := range ca.flags {
						k.flag(t, strings.ReplaceAll(f, "FILE", "/etc/kubernetes/pki/"+name))
					}
				}
				k.pass(3 * time.Second)
				settings = append(settings, played{k, from})
				continue
			}
			signer := certv1.KubeAPIServerClientKubeletSignerName
			if strings.HasSuffix(x.Case, "-apiclient") {
				signer = certv1.KubeAPIServerClientSignerName
			}
			csr := csrOf(t, "dur-"+strings.ToLower(x.Case), signer)
			csr.Spec.ExpirationSeconds = x.ExpirationSeconds
			code, body := k.call(t, adminName, "POST", csrsPath, csr)
			require.Equal(t, 201, code, body)
			k.approve(t, body)
			now := k.w.Now()
			k.pass(2 * time.Second)
			final := k.read(t, csr.Name)
			if x.NotAfter == nil {
				require.Empty(t, final.Status.Certificate, x.Case)
				continue
			}
			certs, err := pki.ParseCerts(final.Status.Certificate)
			require.NoError(t, err, "%s (row %d)", x.Case, i)
			require.InDelta(t, *x.NotBefore, certs[0].NotBefore.Sub(now).Seconds(), 2, x.Case)
			if x.Case == "short-ca" {
				require.Equal(t, caEnd.Unix(), certs[0].NotAfter.Unix(), "as long as its CA")
			} else {
				require.InDelta(t, *x.NotAfter, certs[0].NotAfter.Sub(now).Seconds(), 2, x.Case)
			}
			require.Contains(t, x.OpenSSL, "issuer="+certs[0].Issuer.String())
		}
	}
}

// trueName gives the recorder's files of other CAs the names that they have here.
func trueName(text string) string {
	return strings.NewReplacer("/pki/ca-expired.", "/pki/expired.", "/pki/ca2.", "/pki/ca-2.").Replace(text)
}

// signingFiles is what was in ca.crt and ca.key at a start, by the recording's
// name.
var signingFiles = map[string]string{
	"two-certificates-first-has-key":  "cat client-ca.crt ca2.crt > ca.crt",
	"two-certificates-second-has-key": "cat ca2.crt client-ca.crt > ca.crt",
	"mismatched-key":                  "cp ca2.key ca.key",
	"key-file-missing":                "rm ca.key",
	"cert-file-missing":               "rm ca.crt",
	"cert-file-empty":                 "rm ca.crt; touch ca.crt",
	"key-file-empty":                  "rm ca.key; touch ca.key",
	"cert-file-garbage":               "echo garbage > ca.crt",
	"key-file-garbage":                "echo garbage > ca.key",
	"cert-file-a-directory":           "rm ca.crt; mkdir ca.crt",
	"key-file-a-directory":            "rm ca.key; mkdir ca.key",
	"only-cert-flag":                  "true", "only-key-flag": "true", "no-flags": "true", "both-forms": "true",
	"per-signer-client-only": "true", "per-signer-half": "true",
}

// signed is what came of a CSR, in o.
type signed struct {
	Name, Signer, Issuer, VerifiesWith string
	Issued                             bool
	Conditions                         []metav1.Condition
}

// playSigningFiles starts kube-controller-manager with files and flags.
func playSigningFiles(t *testing.T, _ string) golden.Play {
	tries := map[string]played{}
	return func(t *testing.T, rec golden.Recording) {
		name := strings.TrimSuffix(rec.File, path.Ext(rec.File))
		_, slug, _ := strings.Cut(name, "-start-")
		if path.Ext(rec.File) == ".log" {
			s, ok := tries[name]
			require.True(t, ok, "%s.json comes first", name)
			spoken{"dynamic_serving_content.go:116": "files", "controllermanager.go:683": "errors", "controllermanager.go:296": "errors", "run.go:72": "errors",
				"controllermanager.go:687": "skipped", "certificates.go:59": "skipped", "certificates.go:85": "signers", "certificates.go:98": "signers", "certificates.go:111": "signers", "certificates.go:124": "signers",
			}.says(t, rec.Text(t), s.k.kcmLog(s.from))
			return
		}
		var x struct {
			Flags   []string
			Exit    *int `json:"exit status"`
			Seconds *float64
			CSRs    []signed
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
		k := newCluster(t)
		k.apart(t)
		k.authority(t, "ca2", "kubernetes-ca-2", k.w.Now().Add(-time.Hour), k.w.Now().AddDate(10, 0, 0))
		require.Contains(t, signingFiles, slug, "what was in the files is not known here")
		k.say(t, "control-1", "systemctl stop kube-controller-manager; cd /etc/kubernetes/pki; "+signingFiles[slug])
		k.pass(time.Second)
		from, began := len(k.obs), k.w.Now()
		text := "[Service]\nExecStart=/usr/bin/kube-controller-manager --kubeconfig=/etc/kubernetes/controller-manager.conf --use-service-account-credentials=true --leader-elect=false --v=4 --controllers=csrsigning,csrapproving,csrcleaner --cluster-signing-duration=1h " + strings.Join(x.Flags, " ")
		k.say(t, "control-1", "echo '"+text+"' | sed 's/\\\\n/\\n/' > /dev/null; cat > /etc/systemd/system/kube-controller-manager.service <<'EOF'\n"+text+"\nEOF\nsystemctl start kube-controller-manager")
		k.pass(2 * time.Second)
		code, at := k.exited(from)
		require.Equal(t, x.Exit, code)
		tries[name] = played{k, from}
		if x.Exit != nil {
			require.Less(t, at.Sub(began).Seconds(), *x.Seconds+1)
			return
		}
		for _, want := range x.CSRs {
			got := k.try(t, want.Name, want.Signer)
			compareSigned(t, k, want, got)
		}
	}
}

// exited is the status with which kube-controller-manager ended first since an
// observation, and when.
func (k *cluster) exited(from int) (*int, time.Time) {
	for _, o := range k.obs[from:] {
		if o.Actor == "control-1/systemd" && o.Subject == kcmUnit && o.Args["state"] == "failed" {
			code := 0
			fmt.Sscan(o.Args["code"], &code)
			return &code, o.At
		}
	}
	return nil, time.Time{}
}

// try makes a CSR, approves it and waits for 4 s.
func (k *cluster) try(t *testing.T, name, signer string) *certv1.CertificateSigningRequest {
	t.Helper()
	code, body := k.call(t, adminName, "POST", csrsPath, csrOf(t, name, signer))
	require.Equal(t, 201, code, body)
	// The recorder's approver came first for what it approves by itself.
	if signer == certv1.KubeAPIServerClientKubeletSignerName {
		k.pass(100 * time.Millisecond)
	}
	k.approve(t, body)
	k.pass(4 * time.Second)
	return k.read(t, name)
}

func compareSigned(t *testing.T, k *cluster, want signed, got *certv1.CertificateSigningRequest) {
	t.Helper()
	require.Equal(t, want.Issued, len(got.Status.Certificate) > 0, want.Name)
	require.Len(t, got.Status.Conditions, len(want.Conditions))
	for i, c := range want.Conditions {
		g := got.Status.Conditions[i]
		require.Equal(t, []string{c.Type, string(c.Status), c.Reason, c.Message}, []string{string(g.Type), string(g.Status), g.Reason, g.Message})
	}
	if want.Issued {
		certs, err := pki.ParseCerts(got.Status.Certificate)
		require.NoError(t, err)
		require.Equal(t, want.Issuer, "issuer="+certs[0].Issuer.String())
		if want.VerifiesWith != "" {
			name := map[string]string{"ca": "client-ca", "ca2": "ca2"}[want.VerifiesWith]
			require.NoError(t, certs[0].CheckSignatureFrom(k.ca(t, name).Cert))
		}
	}
}

// replacements are what is done to the files while one process runs.
var replacements = map[string]string{
	"start: ca": "true",
	"ca.crt replaced by ca + ca2, key unchanged":     "cat client-ca.crt ca2.crt > x; mv x ca.crt",
	"ca.crt back to ca":                              "cp client-ca.crt x; mv x ca.crt",
	"both replaced by ca2":                           "cp ca2.crt x; mv x ca.crt; cp ca2.key x; mv x ca.key",
	"only the key replaced by that of ca (mismatch)": "cp client-ca.key x; mv x ca.key",
	"certificate too: ca (pair again)":               "cp client-ca.crt x; mv x ca.crt",
	"ca.key removed":                                 "rm ca.key",
	"ca.key there again":                             "cp client-ca.key x; mv x ca.key",
	"ca.crt emptied":                                 "rm ca.crt; touch ca.crt",
	"ca.crt there again":                             "cp client-ca.crt x; mv x ca.crt",
}

// playReplacedFiles replaces signing files under a running manager.
func playReplacedFiles(t *testing.T, _ string) golden.Play {
	var s played
	return func(t *testing.T, rec golden.Recording) {
		if path.Ext(rec.File) == ".log" {
			require.NotNil(t, s.k, "the .json comes first")
			// Of the CSRs' lines only the failures are told apart; of the files'
			// what the last step but one began with. The others differ with the
			// order in which four watchers woke.
			spoken{"certificate_controller.go:158": "failures"}.says(t, rec.Text(t), s.k.kcmLog(s.from))
			for _, line := range []string{`"key failed with : tls: private key does not match public key"`, `"key failed with : open /etc/kubernetes/pki/ca.key: no such file or directory"`,
				`"Failed to watch cert and key file, will retry later" err="error adding watch for file /etc/kubernetes/pki/ca.key: no such file or directory"`} {
				require.Contains(t, rec.Text(t), line)
				require.Contains(t, strings.Join(s.k.kcmLog(s.from), "\n"), line)
			}
			return
		}
		var steps []struct {
			Step string
			CSR  []signed
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &steps))
		k := newCluster(t, "cluster-signing-duration=1h")
		k.apart(t)
		k.authority(t, "ca2", "kubernetes-ca-2", k.w.Now().Add(-time.Hour), k.w.Now().AddDate(10, 0, 0))
		s = played{k, len(k.obs)}
		var failed string
		for i, step := range steps {
			if step.Step == "" {
				continue
			}
			require.Contains(t, replacements, step.Step)
			k.say(t, "control-1", "cd /etc/kubernetes/pki; "+replacements[step.Step])
			k.pass(3 * time.Second)
			for _, want := range step.CSR {
				got := k.try(t, want.Name, want.Signer)
				compareSigned(t, k, want, got)
				if !want.Issued {
					failed = want.Name
				}
			}
			require.NotContains(t, fmt.Sprint(k.exited(s.from)), "failed", i)
		}
		require.NotEmpty(t, failed)
		require.NotEmpty(t, k.read(t, failed).Status.Certificate, "signed after the file was right again, without another event")
	}
}
