package api

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// servingPair reads --tls-cert-file and --tls-private-key-file.
func (s *Server) servingPair(c *sim.Ctx) (cert, key []byte, err error) {
	return loadPair(c.Disk, s.servingName(), s.opts.cert, s.opts.key)
}

// loadPair reads a certificate with its key (Models
// apiserver/pkg/server/dynamiccertificates loadCertKeyPair).
func loadPair(d *sim.Disk, name, certFile, keyFile string) (cert, key []byte, err error) {
	if cert, err = d.ReadFile(certFile); err != nil {
		return nil, nil, err
	}
	if key, err = d.ReadFile(keyFile); err != nil {
		return nil, nil, err
	}
	if len(cert) == 0 || len(key) == 0 {
		return nil, nil, fmt.Errorf("missing content for serving cert %q", name)
	}
	if _, err := pki.Pair(cert, key); err != nil {
		return nil, nil, err
	}
	return cert, key, nil
}

func (s *Server) servingName() string { return "serving-cert::" + s.opts.cert + "::" + s.opts.key }

// listen presents the pair at the address that the flags name.
func (s *Server) listen(c *sim.Ctx, cert, key []byte) {
	host := s.opts.bind
	if host == "0.0.0.0" || host == "::" || host == "" {
		host = ""
	}
	s.Serving = cert
	c.Listen(sim.Listen{Addr: net.JoinHostPort(host, strconv.Itoa(s.opts.port)), Cert: cert, Key: key, Asks: slices.Concat(s.CA, s.RequestCA), Loopback: s.Began})
}

// changedFile takes a file that changed on the disk into use, in releases that do
// so as soon as the kernel tells of it: the CA bundles of clients and the serving
// pair. All others are read once.
func (s *Server) changedFile(c *sim.Ctx, path string) {
	switch r := era.ServingReload.In(s.era); {
	case !r.ByItself:
	case r.Within == 0:
		s.reread(c, path)
	default:
		c.Wake(c.Now.Add(r.Within-c.Clock().Sub(s.Began)%r.Within), fileTag+path)
	}
}

// fileTag begins the tag of the wake at which a file is looked at.
const fileTag = "file "

// reread takes a file into use. A pair that does not fit, as between the writing of its two
// files, leaves the last good one in place (golden m/3).
func (s *Server) reread(c *sim.Ctx, path string) {
	switch path {
	case s.opts.clientCA:
		s.reloadCA(c)
	case s.opts.requestCA:
		s.reloadRequestCA(c)
	case s.opts.cert, s.opts.key:
		cert, key, err := s.servingPair(c)
		if err != nil {
			s.unhandled(c, "dynamic_serving_content.go:221", fmt.Errorf("key failed with : %w", err))
			return
		}
		if bytes.Equal(cert, s.Serving) {
			return
		}
		s.listen(c, cert, key)
		s.log(c, 'I', 2, "dynamic_serving_content.go:116", sim.KV("Loaded a new cert/key pair", "name", s.servingName()))
		s.logServing(c)
	}
}

// logServing tells all that the server presents and trusts, as it does whenever
// one of them changes (Models apiserver/pkg/server/dynamiccertificates syncCerts).
// The last line is of a certificate that kube-apiserver makes for itself when
// it starts; nobody here calls it by that.
func (s *Server) logServing(c *sim.Ctx) {
	s.logCAs(c, "client-ca-bundle::"+s.opts.clientCA)
	if list, err := pki.ParseCerts(s.Serving); err == nil && len(list) > 0 {
		s.log(c, 'I', 2, "tlsconfig.go:203", sim.KV("Loaded serving cert", "certName", s.servingName(), "certDetail", pki.Detail(list[0], c.Clock())))
	}
	const name = pki.LoopbackName
	began := s.Began.Truncate(time.Second)
	at := strconv.FormatInt(began.Unix(), 10)
	own := &x509.Certificate{Subject: pkix.Name{CommonName: name + "@" + at}, Issuer: pkix.Name{CommonName: name + "-ca@" + at}, DNSNames: []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, NotBefore: began.Add(-time.Hour), NotAfter: began.Add(-time.Hour).AddDate(3, 0, 0)}
	s.log(c, 'I', 2, "named_certificates.go:53", sim.KV("Loaded SNI cert", "index", 0, "certName", "self-signed loopback", "certDetail", pki.Detail(own, c.Clock())))
}
