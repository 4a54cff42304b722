package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
)

// sent prints flights: ">ClientHello <ServerHello".
func sent(h pki.Handshake) string {
	var out []string
	for _, f := range h.Flights {
		out = append(out, map[string]string{"client": ">", "server": "<"}[f.From]+f.Name)
	}
	return strings.Join(out, " ")
}

func TestGreet(t *testing.T) {
	w := newWorld(t, "1", now)
	other, err := pki.NewAuthority(pki.Keyring{Seed: "x"}, "ca", "other", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	twin, err := pki.NewAuthority(pki.Keyring{Seed: "x"}, "ca", "kubernetes", now, now.AddDate(10, 0, 0))
	require.NoError(t, err)
	const (
		refused = "remote error: tls: bad certificate"
		unknown = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
		hello   = ">ClientHello <ServerHello <EncryptedExtensions <CertificateRequest <Certificate <CertificateVerify <Finished"
		mutual  = hello + " >Certificate >CertificateVerify >Finished"
		anon    = hello + " >Certificate >Finished"
		bad     = hello + " >Alert: bad certificate"
		noCert  = ">ClientHello <Alert: internal error"
	)
	for _, tt := range []struct {
		name           string
		change         func(c *pki.Client, s *pki.Server)
		at             time.Time
		client, server string
		flights        string
	}{
		{"mutual", func(*pki.Client, *pki.Server) {}, now, "", "", mutual},
		{"half a year later", func(*pki.Client, *pki.Server) {}, now.AddDate(0, 6, 0), "", "", mutual},
		{"anonymous", func(c *pki.Client, _ *pki.Server) { c.Cert, c.Key = nil, nil }, now, "", "", anon},
		{"unknown authority", func(c *pki.Client, _ *pki.Server) { c.Roots = other.CertPEM() }, now, unknown, refused, bad},
		{"same name, other key", func(c *pki.Client, _ *pki.Server) { c.Roots = twin.CertPEM() }, now,
			unknown + ` (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "kubernetes")`, refused, bad},
		{"old and new authority", func(c *pki.Client, _ *pki.Server) { c.Roots = append(twin.CertPEM(), w.ca.CertPEM()...) }, now, "", "", mutual},
		{"no roots: not the system's either", func(c *pki.Client, _ *pki.Server) { c.Roots = nil }, now, unknown, refused, bad},
		{"expired server", func(*pki.Client, *pki.Server) {}, now.AddDate(2, 0, 0),
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2028-01-01T00:00:00Z is after 2027-01-01T00:00:00Z", refused, bad},
		{"not yet valid server", func(*pki.Client, *pki.Server) {}, now.Add(-time.Hour),
			"tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2025-12-31T23:00:00Z is before 2026-01-01T00:00:00Z", refused, bad},
		{"wrong name", func(c *pki.Client, _ *pki.Server) { c.ServerName = "other" }, now,
			"tls: failed to verify certificate: x509: certificate is valid for api, not other", refused, bad},
		{"an address", func(c *pki.Client, _ *pki.Server) { c.ServerName = "10.0.0.10" }, now,
			"tls: failed to verify certificate: x509: cannot validate certificate for 10.0.0.10 because it doesn't contain any IP SANs", refused, bad},
		{"a server with a client's certificate", func(c *pki.Client, s *pki.Server) { s.Cert, s.Key, c.ServerName = c.Cert, c.Key, "n" }, now,
			"tls: failed to verify certificate: x509: certificate is not valid for any names, but wanted to match n", refused, bad},
		{"insecure", func(c *pki.Client, _ *pki.Server) { c.Insecure, c.Roots = true, nil }, now.AddDate(2, 0, 0), "", "", mutual},
		{"client's key of another certificate", func(c *pki.Client, s *pki.Server) { c.Key = s.Key }, now, "tls: private key does not match public key", "EOF", ""},
		{"client's key missing", func(c *pki.Client, _ *pki.Server) { c.Key = nil }, now, "tls: failed to find any PEM data in key input", "EOF", ""},
		{"a client certificate of another CA is no handshake error", func(c *pki.Client, s *pki.Server) { c.Cert, c.Key = s.Cert, s.Key }, now, "", "", mutual},
		{"server without certificate", func(_ *pki.Client, s *pki.Server) { *s = pki.Server{} }, now,
			"remote error: tls: internal error", "tls: no certificates configured", noCert},
		{"kubelet without certificate", func(_ *pki.Client, s *pki.Server) {
			*s = pki.Server{Without: "no serving certificate available for the kubelet"}
		}, now, "remote error: tls: internal error", "no serving certificate available for the kubelet", noCert},
		{"server's key of another certificate", func(c *pki.Client, s *pki.Server) { s.Key = c.Key }, now,
			"remote error: tls: internal error", "tls: private key does not match public key", noCert},
		{"no name to check", func(c *pki.Client, _ *pki.Server) { c.ServerName = "" }, now,
			"tls: either ServerName or InsecureSkipVerify must be specified in the tls.Config", "EOF", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := w.client, w.server
			tt.change(&c, &s)
			h := pki.Greet(c, s, tt.at)
			require.Equal(t, tt.client, h.ClientError)
			require.Equal(t, tt.server, h.ServerError)
			require.Equal(t, tt.client == "" && tt.server == "", h.OK)
			require.Equal(t, tt.flights, sent(h))
			require.Equal(t, h, pki.Greet(c, s, tt.at), "a remembered handshake has the same facts")
			pki.ForgetMemo()
			require.Equal(t, h, pki.Greet(c, s, tt.at), "and so has a new one")
			met := strings.Contains(tt.flights, "ServerHello")
			require.Equal(t, met, h.Version == "TLS 1.3")
			require.Equal(t, met, h.Cipher == "TLS_AES_128_GCM_SHA256")
			require.Equal(t, met, len(h.ServerChain) > 0, "also a refused server was seen")
			require.Equal(t, h.OK && len(c.Cert) > 0, len(h.ClientChain) > 0)
		})
	}
}

// A hit at another time within the same windows is the same handshake; where
// the words name the time, each time has its own.
func TestGreetRemembersByWindow(t *testing.T) {
	w := newWorld(t, "1", now)
	old, err := pki.NewAuthority(pki.Keyring{Seed: "x"}, "ca", "old", now.AddDate(-2, 0, 0), now.AddDate(-1, 0, 0))
	require.NoError(t, err)
	c := w.client
	c.Roots = append(old.CertPEM(), c.Roots...)
	a, b := pki.Greet(c, w.server, now), pki.Greet(c, w.server, now.Add(time.Hour))
	require.True(t, a.OK)
	require.Same(t, &a.Flights[0], &b.Flights[0], "an expired root that plays no part does not matter")

	late := now.AddDate(2, 0, 0)
	require.Contains(t, pki.Greet(c, w.server, late).ClientError, "current time 2028-01-01T00:00:00Z")
	require.Contains(t, pki.Greet(c, w.server, late.Add(time.Hour)).ClientError, "current time 2028-01-01T01:00:00Z")
}

// Many worlds may run at once in one process.
func TestGreetAtOnce(t *testing.T) {
	w := newWorld(t, "1", now)
	pki.ForgetMemo()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 5 {
				if !pki.Greet(w.client, w.server, now).OK {
					t.Error("refused")
				}
				pki.ForgetMemo()
			}
		})
	}
	wg.Wait()
}

func BenchmarkGreet(b *testing.B) {
	w := newWorld(b, "1", now)
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			pki.ForgetMemo()
			pki.Greet(w.client, w.server, now)
		}
	})
	b.Run("remembered", func(b *testing.B) {
		for b.Loop() {
			pki.Greet(w.client, w.server, now)
		}
	})
	// What crypto/tls costs by itself, with everything parsed before.
	b.Run("bare", func(b *testing.B) {
		pair := func(cert, key []byte) []tls.Certificate {
			p, err := tls.X509KeyPair(cert, key)
			require.NoError(b, err)
			return []tls.Certificate{p}
		}
		roots := x509.NewCertPool()
		roots.AddCert(w.ca.Cert)
		clock := func() time.Time { return now }
		curves := []tls.CurveID{tls.X25519, tls.CurveP256}
		cc := &tls.Config{Time: clock, RootCAs: roots, ServerName: "api", Certificates: pair(w.client.Cert, w.client.Key), CurvePreferences: curves}
		sc := &tls.Config{Time: clock, ClientAuth: tls.RequestClientCert, Certificates: pair(w.server.Cert, w.server.Key), CurvePreferences: curves, SessionTicketsDisabled: true}
		for b.Loop() {
			x, y := net.Pipe()
			done := make(chan error)
			go func() { done <- tls.Server(y, sc).Handshake() }()
			require.NoError(b, tls.Client(x, cc).Handshake())
			require.NoError(b, <-done)
		}
	})
}
