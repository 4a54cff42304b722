//go:build unix

package engine_test

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math"
	"math/big"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// TestSpeed is `make bench`: what a join costs beside its bare crypto, and
// what 1,000 joins cost beside one. Costs are processor time, garbage
// collection included, and are compared within one run, because machines are
// noisy.
func TestSpeed(t *testing.T) {
	if os.Getenv("JOINERY_BENCH") == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_BENCH")
	}
	engine.Tidy(1400 << 20) // as the server does
	const rounds, each, many = 15, 20, 1000
	single, thousand := crowd(t, each), crowd(t, many)
	var tally counts
	one := func() time.Duration {
		w := single.Clone()
		pki.ForgetMemo()
		tally = counts{}
		return cost(func() {
			for i := range each { // one after the other
				tally.add(joinAll(t, w, i, i+1))
			}
		}) / each
	}
	// What is compared is measured side by side, and the median of the rounds
	// counts: a machine that is slow for a second is slow for both.
	var joins, bares []time.Duration
	var ratios []float64
	for range rounds {
		join := one()
		crypto, _ := bareCrypto(t)
		bare := cost(func() { crypto(tally) }) / each
		joins, bares, ratios = append(joins, join), append(bares, bare), append(ratios, float64(join)/float64(bare))
	}
	fmt.Printf("%d joins, one after the other: %d handshakes, %d requests, %d certificates; one: %v; bare crypto %v; ratio %.2f (at most 2)\n",
		each, tally.Handshakes, tally.Requests, tally.Certificates, median(joins), median(bares), median(ratios))
	require.LessOrEqual(t, median(ratios), 2.0, "one join beside its bare crypto")

	ratios = nil
	var all []time.Duration
	for range 5 {
		before := one()
		w := thousand.Clone()
		pki.ForgetMemo()
		spent := cost(func() { tally = joinAll(t, w, 0, many) })
		require.Equal(t, many, tally.Certificates)
		got := tally
		join := (before + one()) / 2
		tally = got
		all, ratios = append(all, spent), append(ratios, float64(spent)/many/float64(join))
	}
	fmt.Printf("%d joins, %d handshakes, %d requests: %v, %v a node; ratio to one %.2f (at most 1.3)\n", many, tally.Handshakes, tally.Requests, median(all), median(all)/many, median(ratios))
	require.LessOrEqual(t, median(ratios), 1.3, "a join among 1,000 beside one alone")
}

func median[T cmp.Ordered](list []T) T { return slices.Sorted(slices.Values(list))[len(list)/2] }

// TestScale is the other half of `make bench`: joins in clusters of 100 to 5,000
// nodes, the size that Kubernetes supports. The nodes start one after the other,
// as fast as the approver and the signer keep up, so that each makes as many
// handshakes and requests as a recorded one.
func TestScale(t *testing.T) {
	if os.Getenv("JOINERY_BENCH") == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_BENCH")
	}
	engine.Tidy(1400 << 20) // as the server does
	const apart, turns = 20 * time.Millisecond, 50
	per := map[int]time.Duration{}
	sizes := []int{100, 1000, 5000}
	for _, n := range sizes {
		w := crowd(t, n)
		pki.ForgetMemo()
		r := newRival(t)
		var all, tally counts
		turn := func() {
			r.turn(tally)
			all.add(tally)
			tally = counts{}
		}
		for i := 1; i <= n; i++ {
			require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: fmt.Sprintf("node-%d", i), Line: "systemctl start kubelet"}}))
			w.AdvanceTo(w.Now().Add(apart))
			tally.count(w.Drain())
			if i%(n/turns) == 0 {
				turn()
			}
		}
		tally.add(joinAll(t, w, n, n))
		turn()
		per[n] = r.ours() / time.Duration(n)
		heap := heapSys()
		fmt.Printf("%d nodes: %.1f handshakes, %.1f requests a node; %v a node; ratio to bare crypto %.2f (at most 1.5), %.2f without the chains that requests show; heap %d MB (at most 1,500)\n",
			n, float64(all.Handshakes)/float64(n), float64(all.Requests)/float64(n), per[n], r.ratio(), r.strict(), heap)
		require.Equal(t, n, all.Certificates)
		require.Less(t, heap, 1500)
		if n == sizes[len(sizes)-1] {
			require.LessOrEqual(t, r.ratio(), 1.5)
		}
	}
	small, large := sizes[0], sizes[len(sizes)-1]
	exponent := 1 + math.Log(float64(per[large])/float64(per[small]))/math.Log(float64(large)/float64(small))
	fmt.Printf("growth from %d to %d nodes: exponent %.2f (at most 1.1)\n", small, large, exponent)
	require.LessOrEqual(t, exponent, 1.1)
}

// heapSys is what the heap takes of the machine, in MB.
func heapSys() int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapSys >> 20)
}

// TestYear is a year of 1,000 nodes that rotate two certificates, which are
// valid for 30 days: the client's, which kube-controller-manager approves, and
// the serving one, which kubelet-csr-approver does.
func TestYear(t *testing.T) {
	if os.Getenv("JOINERY_BENCH") == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_BENCH")
	}
	engine.Tidy(1400 << 20) // as the server does
	const n, days = 1000, 365
	w := crowd(t, n)
	say := func(host, line string) (out string) {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: host, Line: line}}))
		w.AdvanceTo(w.Now().Add(2 * time.Second))
		for _, o := range w.Drain() {
			if o.Kind == trace.Printed {
				out += o.Payload
			}
			require.False(t, o.Kind == trace.Done && o.Args["status"] != "0", "%s: %s", line, out)
		}
		return out
	}
	require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "cluster-signing-duration", Value: "720h"}}))
	for _, line := range []string{engine.ApproverRoles, "kubectl create clusterrolebinding c --clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient --group=system:nodes"} {
		say("admin", line)
	}
	token := say("admin", "kubectl get secret approver -n kube-system -o jsonpath='{.data.token}' | base64 -d")
	say("control-1", strings.Replace(engine.ApproverConf, "TOKEN", token, 1))
	say("control-1", strings.Replace(engine.ApproverUnit, "PATTERN", `^node-[0-9]+$`, 1))
	for i := 1; i <= n; i++ {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: fmt.Sprintf("node-%d", i), Line: "echo 'serverTLSBootstrap: true' >> /var/lib/kubelet/config.yaml; systemctl start kubelet"}}))
		w.AdvanceTo(w.Now().Add(20 * time.Millisecond))
	}
	joinAll(t, w, n, n)
	w.AdvanceTo(w.Now().Add(time.Minute))
	w.Drain()
	pki.ForgetMemo()

	r := newRival(t)
	var all counts
	for range days {
		w.AdvanceTo(w.Now().Add(24 * time.Hour))
		var day counts
		day.count(w.Drain())
		r.turn(day)
		all.add(day)
	}
	fmt.Printf("a year of %d nodes: %d certificates, %d tokens, %d handshakes, %d requests; %v; ratio to bare crypto %.2f (at most 1.5), %.2f without the chains that requests show; heap %d MB\n",
		n, all.Certificates, all.Tokens, all.Handshakes, all.Requests, r.ours(), r.ratio(), r.strict(), heapSys())
	// Of 30 days 70 to 90 % pass before a certificate is rotated.
	require.Greater(t, all.Certificates, 2*n*days/27)
	require.Less(t, all.Certificates, 2*n*days/21)
	require.LessOrEqual(t, r.ratio(), 1.5)
}

// TestLeap is a jump over a year in which nothing happens.
func TestLeap(t *testing.T) {
	if os.Getenv("JOINERY_BENCH") == "" {
		t.Skip("a measurement, not a check of every run: make bench sets JOINERY_BENCH")
	}
	w := crowd(t, 100)
	for _, unit := range []string{"kube-controller-manager", "kube-apiserver", "etcd"} {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "control-1", Line: "systemctl stop " + unit}}))
		w.AdvanceTo(w.Now().Add(time.Second))
	}
	start := time.Now()
	w.AdvanceTo(w.Now().Add(365 * 24 * time.Hour))
	took := time.Since(start)
	fmt.Printf("a year without events: %v (less than 1 ms)\n", took)
	require.Less(t, took, time.Millisecond)
}

// cost is the processor time that f takes.
func cost(f func()) time.Duration {
	runtime.GC()
	start := spent()
	f()
	return spent() - start
}

// counts is what happened; Mutual are the handshakes in which the client showed
// a certificate, Shown the requests to the API server over their connections, Tokens
// the ServiceAccounts' tokens that were asked for.
type counts struct{ Handshakes, Mutual, Requests, Shown, Certificates, Own, Tokens int }

func (c *counts) add(d counts) {
	c.Handshakes += d.Handshakes
	c.Mutual += d.Mutual
	c.Requests += d.Requests
	c.Shown += d.Shown
	c.Certificates += d.Certificates
	c.Own += d.Own
	c.Tokens += d.Tokens
}

func (c *counts) count(obs []trace.Observation) {
	for _, o := range obs {
		switch {
		case o.Kind == trace.Handshake:
			if c.Handshakes++; o.Args["client"] != "" {
				c.Mutual++
			}
		case o.Kind == trace.Request:
			if o.Args["identity"] == "client-cert" && strings.HasSuffix(o.Args["to"], "/kube-apiserver") {
				c.Shown++
			}
			if c.Requests++; strings.HasPrefix(o.Subject, "POST ") && strings.HasSuffix(o.Subject, "/token") {
				c.Tokens++
			}
		case o.Kind == trace.Decision && o.Args["verdict"] == "issued":
			c.Certificates++
		case o.Kind == trace.File && o.Subject == "/var/lib/kubelet/pki/kubelet.crt" && o.Args["op"] == "write":
			c.Own++
		}
	}
}

// crowd is a cluster of n nodes that may join, with automatic approval.
func crowd(t *testing.T, n int) *engine.World {
	w, err := engine.New(engine.Config{Release: "1.36", Seed: "bench", Nodes: n})
	require.NoError(t, err)
	// The controllers must keep up: at 20 requests a second, their default, the
	// nodes would ask in vain for minutes.
	for _, flag := range []string{"kube-api-qps", "kube-api-burst"} {
		require.NoError(t, w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: flag, Value: "100000"}}))
		w.AdvanceTo(w.Now().Add(time.Second))
	}
	for _, line := range []string{
		"kubectl create clusterrolebinding a --clusterrole=system:node-bootstrapper --group=system:bootstrappers",
		"kubectl create clusterrolebinding b --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers",
	} {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "admin", Line: line}}))
		w.AdvanceTo(w.Now().Add(10 * time.Second))
	}
	w.Drain()
	return w
}

// joinAll lets the nodes from+1 to to join at once, until the last is registered.
func joinAll(t *testing.T, w *engine.World, from, to int) counts {
	for i := from + 1; i <= to; i++ {
		require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: fmt.Sprintf("node-%d", i), Line: "systemctl start kubelet"}}))
	}
	var c counts
	for limit := w.Now().Add(10 * time.Minute); w.Now().Before(limit) && len(nodesReady(w)) < to; {
		w.AdvanceTo(w.Now().Add(500 * time.Millisecond))
		c.count(w.Drain())
	}
	require.Len(t, nodesReady(w), to)
	return c
}

func nodesReady(w *engine.World) []string { return w.ObjectNames("nodes") }

// bareCrypto does the crypto of c joins' worth with nothing around it. Joins is per
// certificate a key, a request and its checks (at creation and before signing), a
// signature and the check of its chain; what a kubelet signs itself; of each token
// the signature and one check; every handshake. Chains is what requests need
// besides: an API server checks its client's chain at every one (Models
// k8s.io/apiserver/pkg/authentication/request/x509 AuthenticateRequest). A world
// does that too, and remembers the answer; so figures are told with and without.
func bareCrypto(t *testing.T) (joins, chains func(c counts)) {
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

	tokenKey := pki.Keyring{}.RSA(0) // as the worlds' sa.key

	der := leaf(serverKey, x509.ExtKeyUsageClientAuth).Certificate[0]
	shown, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	chains = func(c counts) {
		for range c.Shown {
			_, err := shown.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			require.NoError(t, err)
		}
	}
	joins = func(c counts) {
		bareJoins(t, c, leaf, roots, server)
		for range c.Tokens {
			sum := sha256.Sum256([]byte("claims"))
			sig, err := rsa.SignPKCS1v15(nil, tokenKey, crypto.SHA256, sum[:])
			require.NoError(t, err)
			require.NoError(t, rsa.VerifyPKCS1v15(&tokenKey.PublicKey, crypto.SHA256, sum[:], sig))
		}
	}
	return joins, chains
}

func bareJoins(t *testing.T, c counts, leaf func(*ecdsa.PrivateKey, x509.ExtKeyUsage) tls.Certificate, roots *x509.CertPool, server *tls.Config) {
	now := server.Time()
	var clientCert tls.Certificate
	for range c.Certificates {
		key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "leaf"}}, key)
		require.NoError(t, err)
		csr, err := x509.ParseCertificateRequest(der)
		require.NoError(t, err)
		for range 2 { // the API server at creation, the signer before signing
			require.NoError(t, csr.CheckSignature())
		}
		clientCert = leaf(key, x509.ExtKeyUsageClientAuth)
		cert, err := x509.ParseCertificate(clientCert.Certificate[0])
		require.NoError(t, err)
		_, err = cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		require.NoError(t, err)
	}
	for range c.Own {
		for n := range 2 { // a kubelet here makes no primes either
			by := pki.Keyring{}.RSA(n)
			tmpl := &x509.Certificate{SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "own"}, NotBefore: now, NotAfter: now.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
			_, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, by.Public(), by)
			require.NoError(t, err)
		}
	}
	for i := range c.Handshakes {
		cfg := &tls.Config{RootCAs: roots, ServerName: "leaf", Time: server.Time, NextProtos: []string{"h2"}, CurvePreferences: []tls.CurveID{tls.X25519}}
		if i < c.Mutual {
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
}
