package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"time"
)

// LoopbackName is what the certificate is for that a kube-apiserver makes for
// itself. Models k8s.io/apiserver/pkg/server LoopbackClientServerNameOverride.
const LoopbackName = "apiserver-loopback-client"

// config is what a server speaks TLS by: from 1.2 on, HTTP/2 before HTTP/1.1, and
// it asks for a client's certificate without checking it.
func (s Server) config(own *tls.Certificate, refusal error, now time.Time) *tls.Config {
	return &tls.Config{Time: func() time.Time { return now }, MinVersion: tls.VersionTLS12, CurvePreferences: curves,
		NextProtos: []string{"h2", "http/1.1"}, SessionTicketsDisabled: true, ClientAuth: tls.RequestClientCert,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if refusal == nil && !s.Loopback.IsZero() && hello.SupportsCertificate(own) != nil {
				if other, err := s.loopback(); err == nil && hello.SupportsCertificate(other) == nil {
					return other, nil
				}
			}
			return own, refusal
		}}
}

// loopback is that certificate, with a key that everybody has: nobody trusts it.
func (s Server) loopback() (*tls.Certificate, error) {
	key := toy(2048, 0, 1)
	cert, err := SelfSignedPair(LoopbackName, toy(2048, 2, 3), key, []byte{1}, []byte{2}, s.Loopback, time.Hour, 3)
	if err != nil {
		return nil, err
	}
	return Pair(cert, KeyPEM(key))
}

// Answer is the server's side of a handshake with a client that is no part of a
// world, at the other end of raw. When it fails, the connection is closed and
// words are what net/http logs after "TLS handshake error from ADDRESS: ".
func Answer(s Server, raw net.Conn, now time.Time) (conn *tls.Conn, words string) {
	own, refusal := s.pair()
	c := s.config(own, refusal, now)
	roots, _ := ParseCerts(s.Asks)
	c.ClientCAs = x509.NewCertPool()
	for _, r := range roots {
		c.ClientCAs.AddCert(r)
	}
	conn = tls.Server(raw, c)
	err := conn.Handshake()
	if err == nil {
		return conn, ""
	}
	defer raw.Close()
	// Models net/http conn.serve and tlsRecordHeaderLooksLikeHTTP.
	if re, ok := errors.AsType[tls.RecordHeaderError](err); ok && re.Conn != nil && slices.Contains([]string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO"}, string(re.RecordHeader[:])) {
		io.WriteString(re.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		return nil, "client sent an HTTP request to an HTTPS server"
	}
	return nil, err.Error()
}
