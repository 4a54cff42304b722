package engine_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

// showX509 compares the certificates at the end of openssl's text with those of a
// file on node-1, field by field: x509 FILE PATH.
func showX509(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	data, err := r.w.Disk("node-1").ReadFile(args[0])
	require.NoError(t, err)
	return func(t *testing.T, text string) {
		want, err := pki.ParseCerts([]byte(text))
		require.NoError(t, err)
		got, err := pki.ParseCerts(data)
		require.NoError(t, err)
		require.NotEmpty(t, want)
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, plainX509(describe(t, want[i])), plainX509(describe(t, got[i])))
		}
	}
}

// plainX509 takes out of a description where the node was and when it named its
// own CA.
func plainX509(text string) string {
	text = regexp.MustCompile(`@\d{10}\b`).ReplaceAllString(text, "@TIME")
	return strings.Replace(text, "8704c0000202", "87040a00000b", 1)
}

// showRequest compares what openssl shows of a request with that of the newest CSR.
func showRequest(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	var csr struct {
		Spec struct{ Request []byte }
	}
	b, err := json.Marshal(r.get(t, csrsPath+"/"+r.withNames(t, "request", "{csr}")))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &csr))
	x, err := pki.ParseRequest(csr.Spec.Request)
	require.NoError(t, err)
	return func(t *testing.T, text string) {
		has := func(key, value string) {
			t.Helper()
			m := regexp.MustCompile(`(?m)^ *` + key + `:? ?\n? *(.*)$`).FindStringSubmatch(text)
			require.NotNil(t, m, key)
			require.Equal(t, m[1], value, key)
		}
		has("Version", fmt.Sprintf("%d (%#x)", x.Version+1, x.Version))
		var subject []string
		for _, a := range x.Subject.Names {
			subject = append([]string{map[string]string{"2.5.4.10": "O", "2.5.4.3": "CN"}[a.Type.String()] + "=" + fmt.Sprint(a.Value)}, subject...)
		}
		has("Subject", strings.Join(subject, ","))
		has("Public Key Algorithm", "id-ecPublicKey")
		require.Equal(t, "ECDSA P-256", keyKind(x.PublicKey))
		has("NIST CURVE", "P-256")
		require.Equal(t, "ECDSA-SHA256", x.SignatureAlgorithm.String())
		has("Signature Algorithm", "ecdsa-with-SHA256")
		var names []string
		for _, d := range x.DNSNames {
			names = append(names, "DNS:"+d)
		}
		for _, ip := range x.IPAddresses {
			names = append(names, "IP Address:"+strings.Replace(ip.String(), "10.0.0.11", "192.0.2.2", 1))
		}
		if names == nil {
			require.NotContains(t, text, "X509v3")
			require.Empty(t, x.Extensions)
			return
		}
		require.Len(t, x.Extensions, 1)
		has("X509v3 Subject Alternative Name", strings.Join(names, ", "))
	}
}

// showAlert compares the alert by which the kubelet's port ends a handshake with
// that which OpenSSL was sent.
func showAlert(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	h := shake(t, r.w, r.port())
	return func(t *testing.T, text string) {
		m := regexp.MustCompile(`SSL alert number (\d+)`).FindStringSubmatch(text)
		require.NotNil(t, m)
		var number uint8
		fmt.Sscan(m[1], &number)
		require.Equal(t, "remote error: "+tls.AlertError(number).Error(), h.ClientError)
	}
}
