package engine_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

// machines are lines that tell of the recorder's machine, and are passed over
// on either side.
var machines = []struct {
	line *regexp.Regexp
	why  string
}{
	{regexp.MustCompile(`^\t\[(WARNING|ERROR) (SystemVerification|Hostname|Service-kubelet|FileContent--proc-sys-net-ipv4-ip_forward)\]`), "preflight: cgroups, names and services of that machine"},
	{regexp.MustCompile(`^\[preflight\] The system verification failed`), "preflight: cgroups of that machine"},
	{regexp.MustCompile(`^[IW] checks\.go:(90|121|686|406|552|437|652|166|239|466|365)\]`), "preflight: what it is about to look at on that machine"},
	{regexp.MustCompile(`^I (envvar|remote_runtime|remote_image)\.go:`), "feature gates of a client, and a container runtime"},
}

// saidDrawn is what differs from run to run in what kubeadm prints, and what
// stands for it, as long as it where columns hang on it.
var saidDrawn = []struct {
	text *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`(?m)^([IWE])\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ `), "$1 "},
	{regexp.MustCompile(`127\.0\.0\.1:16443|10\.0\.0\.10:6443`), "SERVER"},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), "HASH"},
	{regexp.MustCompile(`(?m)^[0-9a-f]{64}$`), "64 DIGITS"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TTTTTTTTTTTTTTTTTTTT"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC`), "TIME"},
	{regexp.MustCompile(`[A-Z][a-z]{2} \d\d, \d{4} \d\d:\d\d UTC`), "MMM DD, YYYY hh:mm UTC"},
	{regexp.MustCompile(`SerialNumber: \d+`), "SerialNumber: N"},
	{regexp.MustCompile(`client-key-data: \S+`), "client-key-data: KEY"},
	{regexp.MustCompile(`client-key-data: KEY removed\)`), "client-key-data: KEY"},
	{regexp.MustCompile(`\[(failed to reload systemd: )?exit status \d\]`), "[SYSTEMD]"},
}

var (
	tokens    = regexp.MustCompile(`\b[a-z0-9]{6}\.[a-z0-9]{16}\b`)
	fixed     = []string{"9vr73a.a8uxyaju799qwdjv", "abcdef.0123456789abcdef", "nosign.0123456789abcdef", "c0ffee.0123456789abcdef"}
	certData  = regexp.MustCompile(`((?:certificate-authority|client-certificate)-data: )(\S+)`)
	elapsed   = regexp.MustCompile(`healthy after (\S+)`)
	residuals = regexp.MustCompile(`("residualTime": )(\d+)`)
)

// plainSaid is what kubeadm printed without what differs from run to run.
func plainSaid(t *testing.T, text string) string {
	t.Helper()
	for _, d := range saidDrawn {
		text = d.text.ReplaceAllString(text, d.by)
	}
	text = tokens.ReplaceAllStringFunc(text, func(s string) string {
		if slices.Contains(fixed, s) {
			return s
		}
		return "tttttt.tttttttttttttttt"
	})
	text = certData.ReplaceAllStringFunc(text, func(s string) string {
		m := certData.FindStringSubmatch(s)
		data, err := base64.StdEncoding.DecodeString(m[2])
		require.NoError(t, err)
		return m[1] + described(t, data)
	})
	text = elapsed.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.ParseDuration(strings.TrimPrefix(s, "healthy after "))
		require.NoError(t, err)
		return "healthy after about " + d.Round(100*time.Millisecond).String()
	})
	text = residuals.ReplaceAllStringFunc(text, func(s string) string {
		m := residuals.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		return fmt.Sprintf("%sabout %d000", m[1], (n+500)/1000)
	})
	var out []string
	for _, line := range strings.Split(text, "\n") {
		if !slices.ContainsFunc(machines, func(m struct {
			line *regexp.Regexp
			why  string
		}) bool {
			return m.line.MatchString(line)
		}) {
			out = append(out, line)
		}
	}
	// The order of a map: the requests are made in another one each time.
	if i := slices.Index(out, "  front-proxy-client"); i >= 0 {
		end := i
		for i > 0 && strings.HasPrefix(out[i-1], "  ") {
			i--
		}
		for end < len(out) && strings.HasPrefix(out[end], "  ") {
			end++
		}
		slices.Sort(out[i:end])
	}
	return strings.Join(out, "\n")
}

// described is what certificates say, but for keys, serial numbers and when
// they begin; that of the recorder's cluster is of another maker than kubeadm.
func described(t *testing.T, pem []byte) string {
	t.Helper()
	list, err := pki.ParseCerts(pem)
	require.NoError(t, err)
	var out []string
	for _, x := range list {
		if x.IsCA && x.PublicKeyAlgorithm == x509.ECDSA {
			out = append(out, "the CA "+x.Subject.String())
			continue
		}
		out = append(out, strings.ReplaceAll(describe(t, x), "\n", "; "))
	}
	return strings.Join(out, " | ")
}

// describe is a certificate field by field.
func describe(t *testing.T, x *x509.Certificate) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "version %d, %v by %s for %s, %s\n", x.Version, x.SignatureAlgorithm, x.Issuer, x.Subject, keyKind(x.PublicKey))
	fmt.Fprintf(&b, "serial of at most 63 bits: %v\n", x.SerialNumber.BitLen() <= 63 && x.SerialNumber.Sign() > 0)
	fmt.Fprintf(&b, "valid for %v\n", x.NotAfter.Sub(x.NotBefore).Round(time.Minute))
	for _, e := range x.Extensions {
		value := fmt.Sprintf("%x", e.Value)
		switch e.Id.String() {
		case "2.5.29.14", "2.5.29.35": // key identifiers
			value = fmt.Sprintf("%x and an identifier", e.Value[:len(e.Value)-20])
		}
		fmt.Fprintf(&b, "%s critical %v: %s\n", e.Id, e.Critical, value)
	}
	return b.String()
}

func keyKind(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d exponent %d", k.N.BitLen(), k.E)
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	}
	return fmt.Sprintf("%T", key)
}
