package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
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
}

// Handshake is what is known of a handshake afterwards: facts, not bytes.
type Handshake struct {
	OK      bool
	Version string
	Cipher  string
	// ClientError and ServerError are each side's own words, as Go says them.
	ClientError string
	ServerError string
	// ClientChain is what the server was shown, ServerChain what the client
	// was shown: DER, leaf first.
	ClientChain [][]byte
	ServerChain [][]byte
}

var greeted = newMemo[Handshake]()

// Greet lets a client and a server shake hands by crypto/tls at a virtual time.
func Greet(c Client, s Server, now time.Time) Handshake {
	insecure := []byte{0}
	if c.Insecure {
		insecure[0] = 1
	}
	parts := [][]byte{c.Roots, insecure, []byte(c.ServerName), c.Cert, c.Key, s.Cert, s.Key}
	if !windowsHold(now, c.Roots, s.Cert) {
		// The words then name the time.
		parts = append(parts, []byte(now.Format(time.RFC3339Nano)))
	}
	return greeted.get(digest("greet", parts...), func() Handshake { return greet(c, s, now) })
}

// windowsHold tells whether all certificates are valid at now. Only then are a
// handshake's facts independent of it.
func windowsHold(now time.Time, bundles ...[]byte) bool {
	for _, b := range bundles {
		cs, _ := ParseCerts(b)
		for _, c := range cs {
			if now.Before(c.NotBefore) || now.After(c.NotAfter) {
				return false
			}
		}
	}
	return true
}

func pair(cert, key []byte) (tls.Certificate, error) {
	cs, err := ParseCerts(cert)
	if err != nil {
		return tls.Certificate{}, errors.New("tls: failed to find any PEM data in certificate input")
	}
	k, err := ParseKey(key)
	if err != nil {
		return tls.Certificate{}, errors.New("tls: failed to find any PEM data in key input")
	}
	if !samePublic(cs[0].PublicKey, k.Public()) {
		return tls.Certificate{}, errors.New("tls: private key does not match public key")
	}
	out := tls.Certificate{PrivateKey: k, Leaf: cs[0]}
	for _, c := range cs {
		out.Certificate = append(out.Certificate, c.Raw)
	}
	return out, nil
}

// curves leaves out the hybrid exchange, which costs twice as much and shows
// nothing more.
var curves = []tls.CurveID{tls.X25519, tls.CurveP256}

func greet(c Client, s Server, now time.Time) (h Handshake) {
	clock := func() time.Time { return now }
	cc := &tls.Config{Time: clock, ServerName: c.ServerName, InsecureSkipVerify: c.Insecure, RootCAs: x509.NewCertPool(),
		MinVersion: tls.VersionTLS12, CurvePreferences: curves, NextProtos: []string{"h2"}}
	if cs, err := ParseCerts(c.Roots); err == nil {
		for _, r := range cs {
			cc.RootCAs.AddCert(r)
		}
	}
	if len(c.Cert) > 0 {
		p, err := pair(c.Cert, c.Key)
		if err != nil {
			h.ClientError = err.Error()
			return h
		}
		// Without CAs from the server the client shows what it has.
		cc.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &p, nil }
	}
	sc := &tls.Config{Time: clock, ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12, CurvePreferences: curves,
		NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: true}
	sp, err := pair(s.Cert, s.Key)
	if err != nil {
		sc.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, err }
	} else {
		sc.Certificates = []tls.Certificate{sp}
	}

	a, b := duplex()
	client, server := tls.Client(a, cc), tls.Server(b, sc)
	var clientErr, serverErr error
	// The only goroutine: crypto/tls wants two ends that talk. It is joined.
	var wg sync.WaitGroup
	wg.Go(func() {
		serverErr = server.Handshake()
		if serverErr != nil {
			b.Close()
		}
	})
	clientErr = client.Handshake()
	if clientErr != nil {
		a.Close()
	}
	wg.Wait()
	cs, ss := client.ConnectionState(), server.ConnectionState()
	for _, x := range cs.PeerCertificates {
		h.ServerChain = append(h.ServerChain, x.Raw)
	}
	if len(h.ServerChain) == 0 && clientErr != nil && err == nil {
		h.ServerChain = sp.Certificate
	}
	for _, x := range ss.PeerCertificates {
		h.ClientChain = append(h.ClientChain, x.Raw)
	}
	h.Version, h.Cipher = versionName(cs.Version), tls.CipherSuiteName(cs.CipherSuite)
	h.ClientError, h.ServerError = words(clientErr), words(serverErr)
	h.OK = clientErr == nil && serverErr == nil
	return h
}

func versionName(v uint16) string {
	if v == 0 {
		return ""
	}
	return tls.VersionName(v)
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return strings.TrimPrefix(err.Error(), "local error: ")
}

// duplex is two ends of a buffered pipe: writes never block, because with
// net.Pipe a refused certificate leaves both sides writing.
func duplex() (net.Conn, net.Conn) {
	ab, ba := newHalf(), newHalf()
	return &end{r: ba, w: ab}, &end{r: ab, w: ba}
}

type half struct {
	mu     sync.Mutex
	cond   *sync.Cond
	buf    bytes.Buffer
	closed bool
}

func newHalf() *half {
	h := &half{}
	h.cond = sync.NewCond(&h.mu)
	return h
}

func (h *half) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.buf.Len() == 0 {
		if h.closed {
			return 0, io.EOF
		}
		h.cond.Wait()
	}
	return h.buf.Read(p)
}

func (h *half) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return 0, io.ErrClosedPipe
	}
	h.cond.Broadcast()
	return h.buf.Write(p)
}

func (h *half) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.cond.Broadcast()
}

type end struct{ r, w *half }

func (e *end) Read(p []byte) (int, error)  { return e.r.Read(p) }
func (e *end) Write(p []byte) (int, error) { return e.w.Write(p) }

// Close ends both directions; what was written can still be read.
func (e *end) Close() error { e.r.close(); e.w.close(); return nil }

func (e *end) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (e *end) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (e *end) SetDeadline(time.Time) error      { return nil }
func (e *end) SetReadDeadline(time.Time) error  { return nil }
func (e *end) SetWriteDeadline(time.Time) error { return nil }
