package api

import (
	"bytes"
	"crypto/subtle"
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// tokenRecord is a line of --token-auth-file.
type tokenRecord struct {
	Token  string   `json:"token"`
	User   string   `json:"user"`
	UID    string   `json:"uid"`
	Groups []string `json:"groups,omitempty"`
}

// readTokens reads a token file: token, user, uid and, optionally, groups
// (Models apiserver/pkg/authentication/token/tokenfile). The last of equal
// tokens wins; warnings are told to warn.
func readTokens(name string, data []byte, warn func(line int, text string)) ([]tokenRecord, error) {
	r := csv.NewReader(bytes.NewReader(data))
	r.FieldsPerRecord = -1
	var out []tokenRecord
	for n := 1; ; n++ {
		f, err := r.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(f) < 3 {
			return nil, fmt.Errorf("token file '%s' must have at least 3 columns (token, user name, user uid), found %d", name, len(f))
		}
		if f[0] == "" {
			warn(70, fmt.Sprintf("empty token has been found in token file '%s', record number '%d'", name, n))
			continue
		}
		t := tokenRecord{Token: f[0], User: f[1], UID: f[2]}
		if len(f) >= 4 {
			t.Groups = strings.Split(f[3], ",")
		}
		if i := slices.IndexFunc(out, func(o tokenRecord) bool { return o.Token == t.Token }); i >= 0 {
			warn(79, fmt.Sprintf("duplicate token has been found in token file '%s', record number '%d'", name, n))
			out[i] = t
			continue
		}
		out = append(out, t)
	}
}

const (
	bootstrapType   = "bootstrap.kubernetes.io/token"
	bootstrapPrefix = "bootstrap-token-"
)

// byBootstrapToken checks a token against its Secret. Why it is refused is told
// in the log, and only there.
func (s *Server) byBootstrapToken(c *sim.Ctx, token string) *user {
	id, secret, ok := s.splitToken(token)
	if !ok {
		return nil
	}
	u, refused := s.judgeToken(c.Clock(), id, secret)
	if u == nil {
		s.refused = refused
		s.log(c, 'I', refused.V, refused.Source, refused.Line)
	}
	return u
}

// refusal is a line of the log that tells why somebody is refused.
type refusal struct {
	V      int
	Source string
	Line   string
}

// judgeToken checks a token's Secret in the order in which kube-apiserver does; the
// first rule that fails is told (Models
// plugin/pkg/auth/authenticator/token/bootstrap).
func (s *Server) judgeToken(now time.Time, id, secret string) (*user, refusal) {
	name := bootstrapPrefix + id
	refuse := func(source, format string, args ...any) (*user, refusal) {
		return nil, refusal{3, source, fmt.Sprintf(format, args...)}
	}
	at := era.BootstrapLog.In(s.era)
	stored := s.store.Get("secrets", "kube-system", name)
	if stored == nil {
		return refuse(at[0], "No secret of name %s to match bootstrap bearer token", name)
	}
	o := stored.typed.(*corev1.Secret)
	wrong := func(what string) (*user, refusal) {
		return refuse(at[1], "Bootstrap secret kube-system/%s matching bearer token %s", name, what)
	}
	presented := func(word string) string {
		if era.TokenShown.In(s.era) {
			return ", expected " + word
		}
		return ""
	}
	if o.DeletionTimestamp != nil && era.BootstrapDeleted.In(s.era) {
		return wrong("is deleted and awaiting removal")
	}
	if o.Type != bootstrapType || o.Data == nil {
		return wrong("has invalid type, expected " + bootstrapType + ".")
	}
	if subtle.ConstantTimeCompare(o.Data["token-secret"], []byte(secret)) != 1 {
		return wrong("has invalid value for key token-secret" + presented(secret) + ".")
	}
	if string(o.Data["token-id"]) != id {
		return wrong("has invalid value for key token-id" + presented(id) + ".")
	}
	if text := string(o.Data["expiration"]); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		plain := !era.BootstrapExpiry.In(s.era)
		switch {
		case err != nil && plain:
			return wrong("has unparsable expiration time (" + text + "). Treating as expired.")
		case !now.Before(at) && plain:
			return wrong("has expired.%!(EXTRA string=" + text + ")") // it has a value too many
		}
		if err != nil {
			return refuse("secrets.go:66", "Unparseable expiration time (%s) in kube-system/%s Secret: %v. Treating as expired.", text, name, err)
		}
		if !now.Before(at) {
			return refuse("secrets.go:73", "Expired bootstrap token in kube-system/%s Secret: %s", name, text)
		}
	}
	if string(o.Data["usage-bootstrap-authentication"]) != "true" {
		return wrong("not marked usage-bootstrap-authentication=true.")
	}
	groups := []string{"system:bootstrappers"}
	if extra := string(o.Data["auth-extra-groups"]); extra != "" && era.BootstrapGroups.In(s.era) != "" {
		for _, g := range strings.Split(extra, ",") {
			if g != s.lastGroup && !s.groupForm.MatchString(g) {
				return wrong(fmt.Sprintf("has invalid value for key auth-extra-groups: bootstrap group %q is invalid (must match %s).", g, era.BootstrapGroupsShown.In(s.era)))
			}
			s.lastGroup = g
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	return &user{Name: "system:bootstrap:" + id, Groups: slices.Compact(groups), method: "bootstrap"}, refusal{}
}

// splitToken takes a bootstrap token apart. It remembers the last one: a
// thousand nodes come with the same.
func (s *Server) splitToken(token string) (id, secret string, ok bool) {
	if token != s.lastToken || s.lastParts == nil {
		s.lastToken, s.lastParts = token, append(s.tokenForm.FindStringSubmatch(token), "")
	}
	if len(s.lastParts) < 3 {
		return "", "", false
	}
	return s.lastParts[1], s.lastParts[2], true
}

// tokenForms are the two regular expressions of an era.
func tokenForms(e era.Era) (token, group *regexp.Regexp) {
	return regexp.MustCompile(era.BootstrapToken.In(e)), regexp.MustCompile(era.BootstrapGroups.In(e))
}
