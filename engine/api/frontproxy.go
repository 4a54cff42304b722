package api

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// byFrontProxy believes the X-Remote- headers of a proxy whose certificate is
// of --requestheader-client-ca-file (Models
// apiserver/pkg/authentication/request/headerrequest). A request without such
// headers is nobody's business here.
func byFrontProxy(s *Server, c *sim.Ctx, r *sim.Request) (*user, error) {
	o := s.opts
	if len(s.RequestCA) == 0 || len(r.Peer) == 0 {
		return nil, nil
	}
	name := ""
	for _, h := range o.requestUsers {
		if name = strings.TrimSpace(r.Header.Get(h)); name != "" {
			break
		}
	}
	if name == "" {
		return nil, nil
	}
	var chain []*x509.Certificate
	for _, der := range r.Peer {
		x, err := pki.ParseDER(der)
		if err != nil {
			return nil, err
		}
		chain = append(chain, x)
	}
	if err := pki.Verify(chain, certificates(s.RequestCA), x509.ExtKeyUsageClientAuth, c.Clock()); err != nil {
		return nil, err
	}
	if cn := chain[0].Subject.CommonName; len(o.requestNames) > 0 && !slices.Contains(o.requestNames, cn) {
		return nil, fmt.Errorf("x509: subject with cn=%s is not in the allowed list", cn)
	}
	u := &user{Name: name, method: "front-proxy"}
	for _, h := range o.requestUIDs {
		if u.UID == "" {
			u.UID = r.Header.Get(h)
		}
	}
	for _, h := range o.requestGroups {
		u.Groups = append(u.Groups, r.Header.Values(h)...)
	}
	for _, key := range sortedKeys(r.Header) {
		for _, prefix := range o.requestExtras {
			rest, ok := strings.CutPrefix(strings.ToLower(key), strings.ToLower(prefix))
			if !ok {
				continue
			}
			if plain, err := url.PathUnescape(rest); err == nil {
				rest = plain
			}
			if u.Extra == nil {
				u.Extra = map[string][]string{}
			}
			u.Extra[rest] = append(u.Extra[rest], r.Header[key]...)
		}
	}
	return u, nil
}
