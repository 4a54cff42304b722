package api

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// servingPair reads --tls-cert-file and --tls-private-key-file (Models
// apiserver/pkg/server/dynamiccertificates loadCertKeyPair).
func (s *Server) servingPair(c *sim.Ctx) (cert, key []byte, err error) {
	if cert, err = c.Disk.ReadFile(s.opts.cert); err != nil {
		return nil, nil, err
	}
	if key, err = c.Disk.ReadFile(s.opts.key); err != nil {
		return nil, nil, err
	}
	if len(cert) == 0 || len(key) == 0 {
		return nil, nil, fmt.Errorf("missing content for serving cert %q", s.servingName())
	}
	if _, err := tls.X509KeyPair(cert, key); err != nil {
		return nil, nil, err
	}
	return cert, key, nil
}

func (s *Server) servingName() string { return "serving-cert::" + s.opts.cert + "::" + s.opts.key }

// listen presents the pair at the address that the flags name.
func (s *Server) listen(c *sim.Ctx, cert, key []byte) {
	host := s.opts.bind
	if host == "0.0.0.0" || host == "::" || host == "" {
		host = c.IP
	}
	s.Serving = cert
	c.Listen(sim.Listen{Addr: net.JoinHostPort(host, strconv.Itoa(s.opts.port)), Cert: cert, Key: key})
}

// changedFile takes a file that changed on the disk into use, as soon as the
// kernel tells of it: the client CA bundle and the serving pair. All others are
// read once. A pair that does not fit, as between the writing of its two
// files, leaves the last good one in place (golden m/3).
func (s *Server) changedFile(c *sim.Ctx, path string) {
	switch path {
	case s.opts.clientCA:
		s.reloadCA(c)
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
		s.logCAs(c, "client-ca-bundle::"+s.opts.clientCA)
		if list, err := pki.ParseCerts(cert); err == nil && len(list) > 0 {
			s.log(c, 'I', 2, "tlsconfig.go:203", sim.KV("Loaded serving cert", "certName", s.servingName(), "certDetail", certDetail(list[0], c.Clock())))
		}
	}
}

// certDetail describes a certificate in a log line (Models
// apiserver/pkg/server/dynamiccertificates GetHumanCertDetail).
func certDetail(x *x509.Certificate, now time.Time) string {
	const form = "2006-01-02 15:04:05 -0700 MST"
	issuer := x.Issuer.CommonName
	if issuer == x.Subject.CommonName {
		issuer = "<self>"
	}
	var usages, names []string
	for _, u := range x.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageClientAuth:
			usages = append(usages, "client")
		case x509.ExtKeyUsageServerAuth:
			usages = append(usages, "serving")
		default:
			usages = append(usages, strconv.Itoa(int(u)))
		}
	}
	for _, ip := range x.IPAddresses {
		names = append(names, ip.String())
	}
	names = append(names, x.DNSNames...)
	more := ""
	if len(x.Subject.Organization) > 0 {
		more += " groups=[" + strings.Join(x.Subject.Organization, ",") + "]"
	}
	if len(names) > 0 {
		more += " validServingFor=[" + strings.Join(names, ",") + "]"
	}
	return fmt.Sprintf("%q [%s]%s issuer=%q (%s to %s (now=%s))", x.Subject.CommonName, strings.Join(usages, ","), more, issuer,
		x.NotBefore.UTC().Format(form), x.NotAfter.UTC().Format(form), now.Format("2006-01-02 15:04:05.999999999 -0700 MST"))
}
