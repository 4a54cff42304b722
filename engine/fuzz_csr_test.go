package engine_test

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// signedAnew signs what a request says with the key of those who may try
// anything, so that a changed request reaches what comes after the signature.
func signedAnew(der []byte) []byte {
	var r struct {
		Info, Algorithm asn1.RawValue
		Signature       asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &r); err != nil {
		return der
	}
	sum := sha256.Sum256(r.Info.FullBytes)
	sig, err := anyone.Sign(nil, sum[:], nil)
	if err != nil {
		return der
	}
	r.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	b, err := asn1.Marshal(r)
	if err != nil {
		return der
	}
	return b
}

var anyone = pki.Keyring{Seed: "fuzz"}.ECDSA("anyone")

// usages are all that a CSR may ask for.
var usages = []string{"signing", "digital signature", "content commitment", "key encipherment", "key agreement", "data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth", "client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel", "ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"}

var signerNames = []string{"kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving", "kubernetes.io/legacy-unknown", "example.com/serving"}

// FuzzCSR: whatever a CSR asks for, and though an admin approves it, no
// certificate comes of it that its signer may not issue.
func FuzzCSR(f *testing.F) {
	base, err := engine.New(engine.Config{Seed: "csrs"})
	require.NoError(f, err)
	laws := newLaws(base)
	admin, _ := identities(base.Journal().Config)
	for i, r := range []pki.Request{
		{Subject: pkix.Name{CommonName: "jane", Organization: []string{"developers"}}}, {Subject: pkix.Name{CommonName: "eve", Organization: []string{"system:masters"}}}, {Subject: pkix.Name{}},
		{Subject: pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes"}}}, {Subject: pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes", "system:masters"}}},
		{Subject: pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes"}}, DNS: []string{"node-1"}, IPs: []net.IP{{10, 0, 0, 11}}},
		{Subject: pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes"}}, DNS: []string{"*"}, Emails: []string{"a@b"}},
	} {
		b, err := pki.NewRequest(anyone, r)
		require.NoError(f, err)
		p, _ := pem.Decode(b)
		for signer := range signerNames {
			f.Add(p.Bytes, i%2 == 0, byte(signer), uint32(1<<1|1<<12), int32(0))
		}
		f.Add(p.Bytes, true, byte(2), uint32(1<<1|1<<3|1<<11), int32(600))
	}
	f.Add([]byte{}, false, byte(0), uint32(0), int32(-1))
	f.Fuzz(func(t *testing.T, der []byte, again bool, signer byte, use uint32, seconds int32) {
		w := base.Clone()
		defer w.Close()
		if again {
			der = signedAnew(der)
		}
		spec := map[string]any{"request": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), "signerName": signerNames[int(signer)%len(signerNames)]}
		var asked []string
		for i, name := range usages {
			if use&(1<<i) != 0 {
				asked = append(asked, name)
			}
		}
		spec["usages"] = asked
		if seconds != 0 {
			spec["expirationSeconds"] = seconds
		}
		body, err := json.Marshal(map[string]any{"metadata": map[string]string{"name": "a"}, "spec": spec})
		require.NoError(t, err)
		ask := func(method, path, kind string, body []byte) {
			require.NoError(t, w.Apply(engine.Input{External: &engine.External{ID: method, Addr: "10.0.0.10:6443", Request: sim.Request{Method: method, URL: csrsURL + path, Header: http.Header{"Content-Type": {kind}}, Body: body, Peer: admin}}}))
			require.NotZero(t, w.AdvanceWithin(w.Now().Add(3*time.Second), 5000), "it does not come to rest")
		}
		ask("POST", "", "application/json", body)
		ask("PATCH", "/a/approval", "application/merge-patch+json", []byte(`{"status":{"conditions":[{"type":"Approved","status":"True","reason":"x"}]}}`))
		l := *laws
		l.issued = map[string]bool{}
		for _, o := range w.Drain() {
			if says := issuedAsAsked(&l, w, &o); says != "" {
				t.Fatal(fmt.Sprint(asked, " ", spec["signerName"], ": ", says))
			}
		}
		t.Log(len(l.issued))
	})
}

const csrsURL = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
