package engine_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// TestSpeed is `make bench`: what a join costs beside its bare crypto, and
// what 1,000 joins cost beside one. It compares within one run, because
// machines are noisy, and takes the best of several rounds of each.
func TestSpeed(t *testing.T) {
	if os.Getenv("JOINERY_BENCH") == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_BENCH")
	}
	const rounds = 9
	var join, bare time.Duration
	var tally counts
	for range rounds {
		d, c := timeJoin(t, 1)
		tally = c
		join = least(join, d)
		bare = least(bare, timeBare(t, c))
	}
	ratio := float64(join) / float64(bare)
	fmt.Printf("one join: %d handshakes, %d requests, %d certificates: %v; bare crypto %v; ratio %.2f (at most 2)\n",
		tally.handshakes, tally.requests, tally.certificates, join, bare, ratio)
	require.LessOrEqual(t, ratio, 2.0, "one join beside its bare crypto")

	const many = 1000
	var crowd time.Duration
	for range 2 {
		d, c := timeJoin(t, many)
		require.Equal(t, many, c.certificates)
		crowd = least(crowd, d)
	}
	per := crowd / many
	fmt.Printf("%d joins: %v, %v a node; ratio to one %.2f (at most 1.3)\n", many, crowd, per, float64(per)/float64(join))
	require.LessOrEqual(t, float64(per)/float64(join), 1.3, "a join among 1,000 beside one alone")
}

func least(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

type counts struct{ handshakes, requests, certificates int }

// timeJoin lets n nodes join with automatic approval, all at once, until the
// last is registered; the control plane's start is not counted.
func timeJoin(t *testing.T, n int) (time.Duration, counts) {
	w, err := engine.New(engine.Config{Release: "1.36", Seed: "bench", Nodes: n})
	require.NoError(t, err)
	for _, line := range []string{
		"kubectl create clusterrolebinding a --clusterrole=system:node-bootstrapper --group=system:bootstrappers",
		"kubectl create clusterrolebinding b --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers",
	} {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "admin", Line: line}}))
		w.AdvanceTo(w.Now().Add(10 * time.Second))
	}
	w.Drain()
	pki.ForgetMemo()
	start := time.Now()
	for i := 1; i <= n; i++ {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: fmt.Sprintf("node-%d", i), Line: "systemctl start kubelet"}}))
	}
	var c counts
	for limit := w.Now().Add(10 * time.Minute); w.Now().Before(limit) && len(nodesReady(w)) < n; {
		w.AdvanceTo(w.Now().Add(500 * time.Millisecond))
		for _, o := range w.Drain() {
			switch {
			case o.Kind == trace.Handshake:
				c.handshakes++
			case o.Kind == trace.Request:
				c.requests++
			case o.Kind == trace.Decision && o.Args["verdict"] == "issued":
				c.certificates++
			}
		}
	}
	d := time.Since(start)
	require.Len(t, nodesReady(w), n)
	return d, c
}

func nodesReady(w *engine.World) []string { return w.ObjectNames("nodes") }

// timeBare does the crypto of c joins' worth with nothing around it: per
// certificate a key, a request and its checks (at creation, by approver and
// signer), a signature, and the chain check; and every handshake.
func timeBare(t *testing.T, c counts) time.Duration {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	caKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	require.NoError(t, err)
	ca, _ = x509.ParseCertificate(caDER)
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	leaf := func(key *ecdsa.PrivateKey, eku x509.ExtKeyUsage) tls.Certificate {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, DNSNames: []string{"leaf"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{eku}}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, ca, key.Public(), caKey)
		require.NoError(t, err)
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	serverKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	server := &tls.Config{Certificates: []tls.Certificate{leaf(serverKey, x509.ExtKeyUsageServerAuth)}, ClientAuth: tls.RequestClientCert, Time: func() time.Time { return now }, NextProtos: []string{"h2"}, CurvePreferences: []tls.CurveID{tls.X25519}, SessionTicketsDisabled: true}

	start := time.Now()
	var clientCert tls.Certificate
	for range c.certificates {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "leaf"}}, key)
		require.NoError(t, err)
		csr, err := x509.ParseCertificateRequest(der)
		require.NoError(t, err)
		for range 2 { // the API server at creation, the signer before signing
			require.NoError(t, csr.CheckSignature())
		}
		clientCert = leaf(key, x509.ExtKeyUsageClientAuth)
		cert, _ := x509.ParseCertificate(clientCert.Certificate[0])
		_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		require.NoError(t, err)
	}
	for i := range c.handshakes {
		cfg := &tls.Config{RootCAs: roots, ServerName: "leaf", Time: server.Time, NextProtos: []string{"h2"}, CurvePreferences: []tls.CurveID{tls.X25519}}
		if i == c.handshakes-1 {
			cfg.Certificates = []tls.Certificate{clientCert}
		}
		a, b := net.Pipe()
		var wg sync.WaitGroup
		wg.Go(func() {
			s := tls.Server(b, server)
			if err := s.Handshake(); err != nil {
				t.Error(err)
			}
			io.Copy(io.Discard, b)
		})
		require.NoError(t, tls.Client(a, cfg).Handshake())
		a.Close()
		wg.Wait()
	}
	return time.Since(start)
}
