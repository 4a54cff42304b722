package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

// Client is what the client's side of a handshake brings. All PEM.
type Client struct {
	// Roots is what it trusts; nothing is trusted when it is empty. Insecure
	// skips the check.
	Roots      []byte
	Insecure   bool
	ServerName string
	// Cert and Key are presented when the server asks. Both may be empty.
	Cert, Key []byte
}

// Server is what the server's side brings. It asks for a client certificate
// and does not verify it, as kube-apiserver and the kubelet do.
type Server struct {
	Cert, Key []byte
	// Without are the server's own words when it has no certificate yet, as a
	// kubelet that waits for one. Empty means those of crypto/tls.
	Without string
	// Asks and Loopback are of no account to who shakes hands by Greet: see
	// sim.Listen.
	Asks     []byte
	Loopback time.Time
}

// Handshake is what is known of a handshake afterwards: facts, not bytes. It
// may be remembered: don't change its slices.
type Handshake struct {
	OK bool
	// Version and Cipher are as crypto/tls names them; empty when it didn't
	// come to them.
	Version string
	Cipher  string
	// ClientError and ServerError are each side's own words, as Go says them.
	ClientError string
	ServerError string
	// ClientChain is what the server was shown, ServerChain what the client
	// was shown: DER, leaf first.
	ClientChain [][]byte
	ServerChain [][]byte
	// Flights are the messages in the order in which they were sent. None when
	// the client's own files kept it from saying hello.
	Flights []Flight
}

// Flight is one message of a handshake.
type Flight struct {
	// From is "client" or "server".
	From string
	// Name is that of RFC 8446, 4, or "Alert: " and the alert in Go's words.
	Name string
}

var greeted = newMemo[Handshake]()

// Greet lets a client and a server shake hands by crypto/tls at a virtual time.
func Greet(c Client, s Server, now time.Time) Handshake {
	insecure := []byte{0}
	if c.Insecure {
		insecure[0] = 1
	}
	// What can't be parsed counts for nothing in the handshake either.
	roots, _ := ParseCerts(c.Roots)
	shown, _ := ParseCerts(s.Cert)
	k := digest("greet", c.Roots, insecure, []byte(c.ServerName), c.Cert, c.Key, s.Cert, s.Key, []byte(s.Without), windows(now, roots, shown))
	if h, ok := greeted.peek(k); ok {
		return h
	}
	h := greet(c, s, roots, moment(now))
	if timeless(h.ClientError) {
		greeted.put(k, h)
	}
	return h
}

// curves leaves out the hybrid exchange, which costs twice as much and shows
// nothing more.
var curves = []tls.CurveID{tls.X25519, tls.CurveP256}

// cipher is what two machines with AES in hardware agree on. crypto/tls asks
// the processor, and a browser has none: the fact must not depend on that.
const cipher = "TLS_AES_128_GCM_SHA256"

func greet(c Client, s Server, roots []*x509.Certificate, now time.Time) (h Handshake) {
	own, refusal := s.pair()
	sc := s.config(own, refusal, now)
	cc := &tls.Config{Time: sc.Time, MinVersion: tls.VersionTLS13, CurvePreferences: curves, NextProtos: []string{"h2"},
		ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	// Never nil: nil stands for the system's roots.
	cc.RootCAs = x509.NewCertPool()
	for _, r := range roots {
		cc.RootCAs.AddCert(r)
	}
	if len(c.Cert) > 0 || len(c.Key) > 0 {
		p, err := Pair(c.Cert, c.Key)
		if err != nil {
			// It hangs up when it is asked for its certificate.
			h.ClientError, h.ServerError = err.Error(), "EOF"
			return h
		}
		// A client shows what it has, whoever signed it.
		cc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return p, nil }
	}

	a, b := duplex()
	client, server := tls.Client(a, cc), tls.Server(b, sc)
	var clientErr, serverErr error
	// The only goroutine: crypto/tls wants two ends that talk. It is joined.
	var wg sync.WaitGroup
	wg.Go(func() {
		if serverErr = server.Handshake(); serverErr != nil {
			b.Close()
		}
	})
	if clientErr = client.Handshake(); clientErr != nil {
		a.Close()
	}
	wg.Wait()

	h.OK = clientErr == nil && serverErr == nil
	h.ClientError, h.ServerError = words(clientErr), words(serverErr)
	heard := server.ConnectionState()
	if heard.Version == 0 {
		return h // the client never said hello
	}
	if refusal == nil {
		h.Version, h.Cipher = tls.VersionName(tls.VersionTLS13), cipher
		// Also when the client refused it: then crypto/tls does not keep it.
		h.ServerChain = own.Certificate
	}
	for _, x := range heard.PeerCertificates {
		h.ClientChain = append(h.ClientChain, x.Raw)
	}
	h.Flights = h.flights()
	return h
}

func (s Server) pair() (*tls.Certificate, error) {
	if len(s.Cert) > 0 {
		return Pair(s.Cert, s.Key)
	}
	if s.Without != "" {
		return nil, errors.New(s.Without)
	}
	return nil, errors.New("tls: no certificates configured")
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// flights tells from the outcome what was sent: most of it is encrypted, and
// TLS 1.3 leaves no choice of order (RFC 8446, 2).
func (h *Handshake) flights() (out []Flight) {
	say := func(from string, names ...string) {
		for _, n := range names {
			out = append(out, Flight{from, n})
		}
	}
	// The side that stopped is quoted by the other one.
	alert := func(heard string) string { return "Alert: " + strings.TrimPrefix(heard, "remote error: tls: ") }
	say("client", "ClientHello")
	if len(h.ServerChain) == 0 {
		say("server", alert(h.ClientError))
		return out
	}
	say("server", "ServerHello", "EncryptedExtensions", "CertificateRequest", "Certificate", "CertificateVerify", "Finished")
	switch {
	case h.ClientError != "":
		say("client", alert(h.ServerError))
	case len(h.ClientChain) == 0:
		say("client", "Certificate", "Finished")
	default:
		say("client", "Certificate", "CertificateVerify", "Finished")
	}
	return out
}

// KnownSuite tells whether a cipher suite can be named in a component's
// configuration. Models component-base/cli/flag allCiphers.
func KnownSuite(name string) bool {
	switch name {
	case "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305":
		return true // as they were called once
	}
	return slices.ContainsFunc(append(tls.CipherSuites(), tls.InsecureCipherSuites()...), func(s *tls.CipherSuite) bool { return s.Name == name })
}

// KnownCurve tells whether Go has a name for a key exchange. Models
// component-base/cli/flag TLSCurvePreferences.
func KnownCurve(id int32) bool { return !strings.HasPrefix(tls.CurveID(id).String(), "CurveID(") }
