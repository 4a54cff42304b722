package engine_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// meet lets a client that is no part of the world speak with who listens at an
// address, as the shells do with real ones: the server's half is pki.Answer, and
// what it says of a failure goes into the world.
func (w *shakes) meet(client func(conn net.Conn)) (words string) {
	t := w.t
	const addr = "10.0.0.10:6443"
	l, ok := w.Presents(addr)
	require.True(t, ok)
	here, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer here.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if there, err := net.Dial("tcp", here.Addr().String()); err == nil {
			client(there)
			there.Close()
		}
	}()
	conn, err := here.Accept()
	require.NoError(t, err)
	served, words := pki.Answer(pki.Server{Cert: l.Cert, Key: l.Key, Without: l.Without, Asks: l.Asks, Loopback: l.Loopback}, conn, w.Now())
	if words == "" {
		io.Copy(io.Discard, served) // until the client has seen enough
	}
	conn.Close()
	<-done
	if words != "" {
		w.calls++
		require.NoError(t, w.Apply(engine.Input{External: &engine.External{ID: fmt.Sprint("call-", w.calls), Addr: addr, Refused: words, Request: sim.Request{Remote: "10.0.0.2:40000"}}}))
		w.AdvanceTo(w.Now().Add(10 * time.Millisecond))
		w.heard = append(w.heard, w.Drain()...)
	}
	return words
}

// compareBytes sends the recorded bytes and compares those that come back.
func (w *shakes) compareBytes(text string) {
	var want struct{ SentHex, ReceivedHex string }
	require.NoError(w.t, json.Unmarshal([]byte(text), &want))
	sent, err := hex.DecodeString(want.SentHex)
	require.NoError(w.t, err)
	var got bytes.Buffer
	words := w.meet(func(conn net.Conn) {
		if len(sent) == 0 {
			return
		}
		conn.Write(sent)
		io.Copy(&got, conn)
	})
	require.NotEmpty(w.t, words)
	require.Equal(w.t, want.ReceivedHex, hex.EncodeToString(got.Bytes()))
}

// openSSL are the flags of s_client, as what crypto/tls calls them.
var openSSL = map[string]func(c *tls.Config, value string){
	"-tls1":   func(c *tls.Config, _ string) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS10 },
	"-tls1_1": func(c *tls.Config, _ string) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 },
	"-tls1_2": func(c *tls.Config, _ string) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 },
	"-tls1_3": func(c *tls.Config, _ string) { c.MinVersion = tls.VersionTLS13 },
	"-alpn":   func(c *tls.Config, value string) { c.NextProtos = []string{value} },
	"-cipher": func(c *tls.Config, value string) {
		for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
			if opensslSuite(s.ID) == value {
				c.CipherSuites = []uint16{s.ID}
			}
		}
	},
	"-CAfile": func(c *tls.Config, _ string) { c.InsecureSkipVerify = false },
}

// opensslSuite is OpenSSL's name of a suite, which only since TLS 1.3 is that of
// everybody.
func opensslSuite(id uint16) string {
	name := tls.CipherSuiteName(id)
	if rest, ok := strings.CutPrefix(name, "TLS_RSA_WITH_"); ok {
		name = "TLS_" + rest
	} else if !strings.Contains(name, "_WITH_") {
		return name
	}
	name = regexp.MustCompile(`AES_(\d+)_(CBC_)?`).ReplaceAllString(strings.TrimPrefix(name, "TLS_"), "AES${1}_")
	return strings.ReplaceAll(strings.ReplaceAll(name, "WITH_", ""), "_", "-")
}

// scheme is OpenSSL's name of an algorithm by which a client may sign.
func scheme(s tls.SignatureScheme) string {
	return strings.NewReplacer("PSSWith", "RSA-PSS+", "PKCS1With", "RSA+", "ECDSAWithP256AndSHA256", "ECDSA+SHA256", "ECDSAWithP384AndSHA384", "ECDSA+SHA384",
		"ECDSAWithP521AndSHA512", "ECDSA+SHA512", "Ed25519", "ed25519").Replace(s.String())
}

// compareOpenSSL shakes hands as openssl s_client was told to, and compares the
// alert that it got, or what it was told and shown.
func (w *shakes) compareOpenSSL(text string) {
	t := w.t
	m := blocks.FindStringSubmatch(text)
	require.NotNil(t, m, "a recording of another form")
	said := m[2] + m[3]
	// s_client sends no name for an address.
	c := &tls.Config{InsecureSkipVerify: true, ServerName: "10.0.0.10", CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}, Time: w.Now, RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(w.cluster().CertPEM())
	args := strings.Fields(m[1])
	for i, a := range args {
		if set := openSSL[a]; set != nil {
			set(c, append(args, "")[i+1])
		}
	}
	var asked *tls.CertificateRequestInfo
	c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		asked = r
		return &tls.Certificate{}, nil
	}
	var failed error
	var state tls.ConnectionState
	words := w.meet(func(conn net.Conn) {
		client := tls.Client(conn, c)
		failed = client.Handshake()
		state = client.ConnectionState()
	})
	if alert := regexp.MustCompile(`SSL alert number (\d+)`).FindStringSubmatch(said); alert != nil {
		var number uint8
		fmt.Sscan(alert[1], &number)
		require.NotEmpty(t, words)
		require.ErrorContains(t, failed, "remote error: "+tls.AlertError(number).Error())
		require.Equal(t, "1", m[4])
		return
	}
	require.NoError(t, failed)
	require.Empty(t, words)
	require.Equal(t, "0", m[4])
	has := func(line string) {
		t.Helper()
		require.Contains(t, strings.Split(regexp.MustCompile(`@\d+`).ReplaceAllString(said, "@TIME"), "\n"), line)
	}
	named := func(x *x509.Certificate) string {
		return regexp.MustCompile(`@\d+`).ReplaceAllString("CN = "+x.Subject.CommonName, "@TIME")
	}
	version := strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	var schemes []string
	for _, s := range asked.SignatureSchemes {
		schemes = append(schemes, scheme(s))
	}
	has("Requested Signature Algorithms: " + strings.Join(schemes, ":"))
	has("Server Temp Key: " + state.CurveID.String() + ", 253 bits")
	require.Empty(t, state.NegotiatedProtocol)
	if slices.Contains(args, "-brief") {
		has("Protocol version: " + version)
		has("Ciphersuite: " + opensslSuite(state.CipherSuite))
		has("Peer certificate: " + named(state.PeerCertificates[0]))
		has("depth=" + fmt.Sprint(len(state.PeerCertificates)-1) + " " + named(state.PeerCertificates[len(state.PeerCertificates)-1]))
		return
	}
	has("New, " + version + ", Cipher is " + opensslSuite(state.CipherSuite))
	has("No ALPN negotiated")
	has("Verification: OK")
	has("Server public key is 256 bit")
	_, list, _ := strings.Cut(said, "Acceptable client certificate CA names\n")
	list, _, _ = strings.Cut(list, "\nRequested")
	var names []string
	for _, raw := range asked.AcceptableCAs {
		var rdn pkix.RDNSequence
		_, err := asn1.Unmarshal(raw, &rdn)
		require.NoError(t, err)
		var name pkix.Name
		name.FillFromRDNSequence(&rdn)
		names = append(names, "CN = "+name.CommonName)
	}
	require.Equal(t, list, strings.Join(names, "\n"))
}
