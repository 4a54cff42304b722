package api

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// credentialID is the extra that names the certificate a user came with.
const credentialID = "authentication.kubernetes.io/credential-id"

// uidOID is the subject attribute that holds a user's UID.
var uidOID = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}

// verified remembers that a chain was good under a bundle, between two times.
// It is derived: leaving it out changes nothing but the cost.
type verified struct {
	chain       [][]byte
	bundle      *byte
	since, till time.Time
	ends        time.Time // of the leaf
	user        *user
}

// byCertificate verifies the chain that the client presented against
// --client-ca-file; the user is its CN, the groups its Os, in order (Models
// apiserver/pkg/authentication/request/x509). A certificate without a CN is
// no credential.
func byCertificate(s *Server, c *sim.Ctx, r *sim.Request) (*user, error) {
	if len(r.Peer) == 0 || s.opts.clientCA == "" {
		return nil, nil
	}
	if r := era.ServingReload.In(s.era); r.ByItself && r.Within == 0 {
		s.reloadCA(c)
	}
	now := c.Clock()
	if v := s.verified[string(r.Peer[0])]; v != nil && v.bundle == s.bundleMark() && !now.Before(v.since) && !now.After(v.till) && slices.EqualFunc(v.chain, r.Peer, bytes.Equal) {
		s.Counts.Lives.ObserveClient(v.ends.Sub(now).Seconds())
		if v.user == nil {
			return nil, nil
		}
		u := *v.user
		return &u, nil
	}
	var chain []*x509.Certificate
	for i, der := range r.Peer {
		x, err := pki.ParseDER(der)
		if err != nil && i == 0 {
			return nil, err
		}
		if err == nil {
			chain = append(chain, x)
		}
	}
	leaf := chain[0]
	s.Counts.Lives.ObserveClient(leaf.NotAfter.Sub(now).Seconds())
	if err := pki.VerifyClient(chain, s.roots(), now); err != nil {
		if !era.NamedCertificate.In(s.era) {
			err = errors.Unwrap(err)
		}
		return nil, err
	}
	u, err := s.subject(leaf)
	if err != nil {
		return nil, err
	}
	v := &verified{chain: r.Peer, bundle: s.bundleMark(), since: leaf.NotBefore, till: leaf.NotAfter, ends: leaf.NotAfter, user: u}
	// Until one of the certificates that are valid now is not any more.
	for _, x := range slices.Concat(chain, s.roots()) {
		if now.Before(x.NotBefore) || now.After(x.NotAfter) {
			continue
		}
		if x.NotBefore.After(v.since) {
			v.since = x.NotBefore
		}
		if x.NotAfter.Before(v.till) {
			v.till = x.NotAfter
		}
	}
	if s.verified == nil || len(s.verified) >= 4096 {
		s.verified = map[string]*verified{}
	}
	s.verified[string(r.Peer[0])] = v
	if u == nil {
		return nil, nil
	}
	out := *u
	return &out, nil
}

// subject maps a certificate to a user; nil when it has no CN.
func (s *Server) subject(leaf *x509.Certificate) (*user, error) {
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	u := &user{Name: leaf.Subject.CommonName, Groups: leaf.Subject.Organization, method: "x509"}
	if era.CertificateUID.In(s.era) {
		var uids []any
		for _, n := range leaf.Subject.Names {
			if n.Type.Equal(uidOID) {
				uids = append(uids, n.Value)
			}
		}
		switch len(uids) {
		case 0:
		case 1:
			text, ok := uids[0].(string)
			if !ok {
				return nil, fmt.Errorf("unable to parse UID into a string")
			}
			if text == "" {
				return nil, fmt.Errorf("UID cannot be an empty string")
			}
			u.UID = text
		default:
			return nil, fmt.Errorf("expected 1 UID, but found multiple: %v", uids)
		}
	}
	if era.CredentialID.In(s.era) {
		sum := sha256.Sum256(leaf.Raw)
		u.Extra = map[string][]string{credentialID: {"X509SHA256=" + hex.EncodeToString(sum[:])}}
	}
	return u, nil
}

func (s *Server) bundleMark() *byte {
	if len(s.CA) == 0 {
		return nil
	}
	return &s.CA[0]
}

// roots are the certificates of the bundle in use.
func (s *Server) roots() []*x509.Certificate {
	if s.pool == nil || s.poolOf != s.bundleMark() {
		s.pool, s.poolOf = certificates(s.CA), s.bundleMark()
	}
	return s.pool
}

// certificates reads the certificates of a bundle, whatever else is in it.
func certificates(data []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return out
		}
		if b.Type != "CERTIFICATE" || len(b.Headers) != 0 {
			continue
		}
		if x, err := pki.ParseDER(b.Bytes); err == nil {
			out = append(out, x)
		}
	}
}

// reloadCA takes a changed --client-ca-file into use; text without a
// certificate keeps the last good bundle (Models dynamic_cafile_content.go,
// golden j2/28).
func (s *Server) reloadCA(c *sim.Ctx) {
	e, err := c.Disk.Stat(s.opts.clientCA)
	if err != nil {
		e = nil
	}
	if e == s.caEntry && (e != nil || s.CASeen == nil) {
		return
	}
	s.caEntry = e
	if e == nil {
		s.CASeen = nil
		s.lost(c, s.opts.clientCA)
		return
	}
	if bytes.Equal(e.Data, s.CASeen) {
		return
	}
	s.CASeen = e.Data
	if s.loaded(c, "client-ca-bundle", s.opts.clientCA, e.Data, &s.CA) {
		if cert, key, err := s.servingPair(c); err == nil {
			s.listen(c, cert, key)
		}
		s.logServing(c)
	}
}

// reloadRequestCA is reloadCA for --requestheader-client-ca-file.
func (s *Server) reloadRequestCA(c *sim.Ctx) {
	data, err := c.Disk.ReadFile(s.opts.requestCA)
	if err != nil {
		s.lost(c, s.opts.requestCA)
		return
	}
	s.loaded(c, "request-header", s.opts.requestCA, data, &s.RequestCA)
}

// loaded puts a changed bundle into use and publishes it.
func (s *Server) loaded(c *sim.Ctx, purpose, file string, data []byte, into *[]byte) bool {
	name := purpose + "::" + file
	if len(data) > 0 && bytes.Equal(data, *into) {
		return false
	}
	if err := loadable(name, data); err != nil {
		s.unhandled(c, "dynamic_cafile_content.go:241", fmt.Errorf("key failed with : %w", err))
		return false
	}
	*into = data
	s.log(c, 'I', 2, "dynamic_cafile_content.go:123", sim.KV("Loaded a new CA Bundle and Verifier", "name", name))
	s.publishTrust(s.itself(c))
	return true
}

// lost tells of a bundle that is gone; the last good one stays.
func (s *Server) lost(c *sim.Ctx, file string) {
	gone := fmt.Sprintf("%s: no such file or directory", file)
	s.log(c, 'E', 0, "dynamic_cafile_content.go:170", sim.KV("Failed to watch CA file, will retry later", "err", "error adding watch for file "+gone))
	s.unhandled(c, "dynamic_cafile_content.go:241", errors.New("key failed with : open "+gone))
}

// loadable tells why the bundle of that name can't be loaded (Models
// dynamic_cafile_content.go newCABundleAndVerifier).
func loadable(name string, data []byte) error {
	if len(data) == 0 {
		return fmt.Errorf("missing content for CA bundle %q", name)
	}
	if err := checkBundle(data); err != nil {
		return fmt.Errorf("error loading CA bundle for %q: %w", name, err)
	}
	return nil
}

// checkBundle tells what is wrong with a CA bundle (Models client-go/util/cert ParseCertsPEM).
func checkBundle(data []byte) error {
	found := false
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" || len(b.Headers) != 0 {
			continue
		}
		if _, err := x509.ParseCertificates(b.Bytes); err != nil {
			return err
		}
		found = true
	}
	if !found {
		return fmt.Errorf("data does not contain any valid RSA or ECDSA certificates")
	}
	return nil
}

func (s *Server) logCAs(c *sim.Ctx, name string) {
	for i, x := range s.roots() {
		s.log(c, 'I', 2, "tlsconfig.go:181", sim.KV("Loaded client CA", "index", i, "certName", name, "certDetail", pki.Detail(x, c.Clock())))
	}
}
