package api_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

const bundle = "/etc/kubernetes/pki/ca.crt"

// strangers are the certificates of j2: good, bad, and of other authorities.
func (w *replay) strangers(t *testing.T) {
	t.Helper()
	other := func(name, cn string) *pki.Authority {
		a, err := pki.NewAuthority(pki.Keyring{Seed: "golden"}, name, cn, w.now.Add(-time.Hour), w.now.AddDate(10, 0, 0))
		require.NoError(t, err)
		return a
	}
	w.ca2 = other("ca2", "kubernetes-ca-2")
	rogue := other("rogue", "kubernetes")
	client, server := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	bob := func(o ...string) pkix.Name { return pkix.Name{CommonName: "bob", Organization: o} }
	before, after := w.now.Add(-time.Hour), w.now.AddDate(1, 0, 0)
	for name, c := range map[string]struct {
		ca          *pki.Authority
		subject     pkix.Name
		from, until time.Time
		usage       []x509.ExtKeyUsage
	}{
		"x-ok":         {w.ca, bob("dev", "ops"), before, after, client},
		"x-expired":    {w.ca, bob("dev"), before.AddDate(0, 0, -1), w.now.Add(-time.Hour), client},
		"x-future":     {w.ca, bob("dev"), w.now.Add(time.Hour), after, client},
		"x-unknownca":  {w.ca2, bob("dev"), before, after, client},
		"x-rogue":      {rogue, bob("dev"), before, after, client},
		"x-serveronly": {w.ca, bob("dev"), before, after, server},
		"x-noeku":      {w.ca, bob("dev"), before, after, nil},
		"x-nocn":       {w.ca, pkix.Name{Organization: []string{"dev"}}, before, after, client},
		"x-empty":      {w.ca, pkix.Name{}, before, after, client},
	} {
		der, err := x509.CreateCertificate(nil, &x509.Certificate{SerialNumber: big.NewInt(4248672448821286714), Subject: c.subject, NotBefore: c.from, NotAfter: c.until,
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: c.usage, BasicConstraintsValid: true}, c.ca.Cert, pki.Keyring{Seed: "golden"}.ECDSA(name).Public(), c.ca.Key)
		require.NoError(t, err)
		w.chains[name] = [][]byte{der}
	}
}

// trust writes --client-ca-file as it was when j2's request of that number came.
func (w *replay) trust(t *testing.T, number int) {
	t.Helper()
	text := ""
	switch one, two := string(w.ca.CertPEM()), string(w.ca2.CertPEM()); {
	case number < 22:
		text = one
	case number < 24:
		text = one + two
	case number < 28:
		text = two
	case number == 28:
		text = "no certificate\n"
	default:
		text = one
	}
	if now, err := w.disk.ReadFile(bundle); err == nil && string(now) == text {
		return
	}
	require.NoError(t, w.disk.WriteFile(bundle, []byte(text), 0o644, w.now))
}

// reloaded replays what was recorded beside the requests: how soon a bundle
// is noticed, and two requests of one connection.
func (w *replay) reloaded(t *testing.T, r golden.Recording) {
	const whoami, body = "/apis/authentication.k8s.io/v1/selfsubjectreviews", `{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}`
	ask := func(as string) sim.Response {
		return w.send(t, "POST", whoami, as, nil, []byte(body))
	}
	if r.File == "two-cas-reload.json" {
		var want struct{ AcceptedAfterSeconds float64 }
		require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &want))
		require.Zero(t, want.AcceptedAfterSeconds)
		w.trust(t, 1)
		require.Equal(t, 401, ask("x-unknownca").Code)
		w.trust(t, 22)
		require.Equal(t, 201, ask("x-unknownca").Code, "at once")
		return
	}
	var want []given
	require.NoError(t, json.Unmarshal([]byte(r.Text(t)), &want))
	require.Len(t, want, 2)
	for i, number := range []int{22, 24} {
		w.trust(t, number)
		got := ask("x-ok")
		want[i].Headers = map[string]string{"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
		w.compare(t, &want[i], &got)
	}
}

// bundleLog finds the lines of a changed bundle in what was logged for it. Those
// about an empty file are the recorder's: it emptied the file before it wrote.
// Lines that come again count once, also one that the recording cuts short.
func (w *replay) bundleLog(t *testing.T, r golden.Recording) {
	before, after := 1, 22
	switch r.File {
	case "old-ca-removed-apiserver.log":
		before, after = 22, 24
	case "bundle-garbage-apiserver.log":
		before, after = 24, 28
	}
	w.trust(t, before)
	w.server.Step(w.ctx(), sim.Msg{Kind: sim.MsgFile, Tag: bundle})
	w.began[0] = len(w.lines)
	w.trust(t, after)
	w.server.Step(w.ctx(), sim.Msg{Kind: sim.MsgFile, Tag: bundle})
	var text []string
	for line := range strings.Lines(r.Text(t)) {
		line = strings.ReplaceAll(line, "/etc/kubernetes/pki/client-ca-bundle.crt", bundle)
		if strings.Contains(line, "missing content for CA bundle") || slices.ContainsFunc(text, func(l string) bool {
			return strings.HasPrefix(withoutChance(l), strings.TrimSuffix(withoutChance(line), "\n"))
		}) {
			continue
		}
		// A request's, compared in NN-*-apiserver.log.
		if !strings.Contains(line, "Unable to authenticate") {
			text = append(text, line)
		}
	}
	require.NotEmpty(t, text)
	w.logLines(t, golden.Recording{}, strings.Join(text, ""))
}

// TestGarbageBundle: the reason stands in the log, once for each change.
func TestGarbageBundle(t *testing.T) {
	w := newReplay(t, "j2-")
	w.trust(t, 28)
	for range 2 {
		require.Equal(t, 200, w.send(t, "GET", "/version", admin, nil, nil).Code)
	}
	require.Equal(t, 1, strings.Count(strings.Join(w.lines, "\n"), `error loading CA bundle for \"client-ca-bundle::`+bundle+`\": data does not contain any valid RSA or ECDSA certificates`))
}
