package api

import (
	"crypto"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

const (
	// saPrefix begins the user name of a ServiceAccount.
	saPrefix = "system:serviceaccount:"
	// legacyIssuer is the iss of tokens in Secrets.
	legacyIssuer = "kubernetes/serviceaccount"
	// leeway is how much clocks may differ (go-jose's jwt.DefaultLeeway).
	leeway = time.Minute

	podNameKey  = "authentication.kubernetes.io/pod-name"
	podUIDKey   = "authentication.kubernetes.io/pod-uid"
	nodeNameKey = "authentication.kubernetes.io/node-name"
	nodeUIDKey  = "authentication.kubernetes.io/node-uid"
)

// claims are what a ServiceAccount token says. The order of fields is that of
// the real one's JSON.
type claims struct {
	Audience   audiences    `json:"aud,omitempty"`
	Expiry     int64        `json:"exp,omitempty"`
	IssuedAt   int64        `json:"iat,omitempty"`
	Issuer     string       `json:"iss,omitempty"`
	ID         string       `json:"jti,omitempty"`
	Kubernetes *boundClaims `json:"kubernetes.io,omitempty"`
	NotBefore  int64        `json:"nbf,omitempty"`
	Subject    string       `json:"sub,omitempty"`

	LegacyNamespace string `json:"kubernetes.io/serviceaccount/namespace,omitempty"`
	LegacySecret    string `json:"kubernetes.io/serviceaccount/secret.name,omitempty"`
	LegacyName      string `json:"kubernetes.io/serviceaccount/service-account.name,omitempty"`
	LegacyUID       string `json:"kubernetes.io/serviceaccount/service-account.uid,omitempty"`
}

// boundClaims is what a token is bound to.
type boundClaims struct {
	Namespace      string     `json:"namespace,omitempty"`
	Node           *reference `json:"node,omitempty"`
	Pod            *reference `json:"pod,omitempty"`
	Secret         *reference `json:"secret,omitempty"`
	ServiceAccount reference  `json:"serviceaccount"`
	WarnAfter      int64      `json:"warnafter,omitempty"`
}

type reference struct {
	Name string `json:"name,omitempty"`
	UID  string `json:"uid,omitempty"`
}

// audiences is a list, which JSON may have as one string (RFC 7519, 4.1.3).
type audiences []string

func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// signedToken is a token whose signature was looked at: what it claims, or why
// it is not believed. It is derived, as verified is.
type signedToken struct {
	claims claims
	err    error
}

// readSigned checks the signature of a token; nil when it is none of this issuer.
func (s *Server) readSigned(token string) *signedToken {
	if t := s.believed[token]; t != nil {
		return t
	}
	j, ok := pki.ParseJWT(token)
	if !ok {
		return nil
	}
	t := &signedToken{}
	if json.Unmarshal(j.Claims, &t.claims) != nil {
		return nil
	}
	if t.claims.Issuer != legacyIssuer && !slices.Contains(s.opts.issuers, t.claims.Issuer) {
		return nil
	}
	t.err = s.checkSignature(j)
	if s.believed == nil || len(s.believed) >= 1024 {
		s.believed = map[string]*signedToken{}
	}
	s.believed[token] = t
	return t
}

// checkSignature tries the keys of --service-account-key-file that have the
// token's kid, or all when it has none (Models pkg/serviceaccount/jwt.go).
func (s *Server) checkSignature(j *pki.JWT) error {
	var errs []error
	for _, k := range s.tokenKeys() {
		if id, err := pki.JWTKeyID(k); err != nil || j.KeyID != "" && j.KeyID != id {
			continue
		}
		err := j.Verify(k)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return errors.New("invalid signature, no keys found")
	}
	return utilerrors.NewAggregate(errs)
}

func (s *Server) tokenKeys() []crypto.PublicKey {
	if s.tokenPool == nil && len(s.TokenKeys) > 0 {
		s.tokenPool, _ = pki.ParsePublicKeys(s.TokenKeys)
	}
	return s.tokenPool
}

// apiAudiences are the audiences that mean this API server.
func (s *Server) apiAudiences() []string {
	if len(s.opts.audiences) > 0 {
		return s.opts.audiences
	}
	return s.opts.issuers
}

// both lists what is in a and in b, in the order of a.
func both(a, b []string) []string {
	var out []string
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}

// byServiceAccountToken believes a signed token when what it is bound to is
// still there. wanted are the audiences that it must be for; those it is for
// are returned.
func (s *Server) byServiceAccountToken(c *sim.Ctx, token string, wanted []string) (*user, []string, error) {
	if len(s.TokenKeys) == 0 {
		return nil, nil, nil
	}
	t := s.readSigned(token)
	if t == nil {
		return nil, nil, nil
	}
	if t.err != nil {
		return nil, nil, t.err
	}
	is := []string(t.claims.Audience)
	if len(is) == 0 {
		is = s.apiAudiences()
	}
	of := both(is, wanted)
	if len(of) == 0 && len(s.apiAudiences()) > 0 {
		return nil, nil, fmt.Errorf("token audiences %q is invalid for the target audiences %q", is, wanted)
	}
	check := s.checkBound
	if t.claims.Issuer == legacyIssuer {
		check = s.checkLegacy
	}
	u, err := check(c, &t.claims, token)
	if err != nil {
		return nil, nil, err
	}
	return u, of, nil
}

// splitSA takes a ServiceAccount's user name apart (Models
// apiserver/pkg/authentication/serviceaccount SplitUsername).
func splitSA(name string) (namespace, account string, ok bool) {
	rest, ok := strings.CutPrefix(name, saPrefix)
	if !ok {
		return "", "", false
	}
	namespace, account, ok = strings.Cut(rest, ":")
	ok = ok && len(label(namespace)) == 0 && len(subdomain(account)) == 0
	return namespace, account, ok
}

func saUser(namespace, name, uid string) *user {
	return &user{Name: saPrefix + namespace + ":" + name, UID: uid, Groups: saGroups(namespace), method: "serviceaccount"}
}

func saGroups(namespace string) []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}

// account finds a ServiceAccount; the error is that of a lookup.
func (s *Server) account(namespace, name string) (*corev1.ServiceAccount, error) {
	o := s.store.Get("serviceaccounts", namespace, name)
	if o == nil {
		return nil, apierrors.NewNotFound(resources["serviceaccounts"].gr(), name)
	}
	return o.typed.(*corev1.ServiceAccount), nil
}

// errInvalidated is all that is said of a token whose object is gone.
var errInvalidated = errors.New("service account token has been invalidated")

// checkBound believes a token of TokenRequest (Models pkg/serviceaccount/claims.go).
func (s *Server) checkBound(c *sim.Ctx, t *claims, _ string) (*user, error) {
	now := c.Clock()
	switch {
	case t.NotBefore != 0 && now.Add(leeway).Before(time.Unix(t.NotBefore, 0)):
		return nil, errors.New("service account token is not valid yet")
	case t.Expiry != 0 && now.Add(-leeway).After(time.Unix(t.Expiry, 0)):
		return nil, errors.New("service account token has expired")
	case t.IssuedAt != 0 && now.Add(leeway).Before(time.Unix(t.IssuedAt, 0)):
		return nil, errors.New("service account token is issued in the future")
	}
	b := t.Kubernetes
	if b == nil {
		b = &boundClaims{}
	}
	sa, err := s.account(b.Namespace, b.ServiceAccount.Name)
	if err != nil {
		s.log(c, 'I', 4, "claims.go:182", fmt.Sprintf("Could not retrieve service account %s/%s: %v", b.Namespace, b.ServiceAccount.Name, err))
		return nil, err
	}
	if string(sa.UID) != b.ServiceAccount.UID {
		s.log(c, 'I', 4, "claims.go:187", fmt.Sprintf("Service account UID no longer matches %s/%s: %q != %q", b.Namespace, sa.Name, sa.UID, b.ServiceAccount.UID))
		return nil, fmt.Errorf("service account UID (%s) does not match claim (%s)", sa.UID, b.ServiceAccount.UID)
	}
	over := func(at *metav1.Time) bool { return at != nil && at.Time.Before(now.Add(-leeway)) }
	if over(sa.DeletionTimestamp) {
		s.log(c, 'I', 4, "claims.go:191", fmt.Sprintf("Service account has been deleted %s/%s", b.Namespace, sa.Name))
		return nil, fmt.Errorf("service account %s/%s has been deleted", b.Namespace, sa.Name)
	}
	u := saUser(b.Namespace, sa.Name, string(sa.UID))
	u.Extra = map[string][]string{}
	if t.ID != "" {
		u.Extra[credentialID] = []string{"JTI=" + t.ID}
	}
	bound := []struct {
		ref                     *reference
		plural, namespace, kind string
		source, what            string
	}{
		{b.Secret, "secrets", b.Namespace, "secret UID (%s) does not match service account secret ref claim (%s)", "claims.go:199", "bound secret " + b.Namespace + "/"},
		{b.Pod, "pods", b.Namespace, "pod UID (%s) does not match service account pod ref claim (%s)", "claims.go:217", "bound pod " + b.Namespace + "/"},
		{b.Node, "nodes", "", "node UID (%s) does not match service account node ref claim (%s)", "claims.go:249", "node object "},
	}
	for _, x := range bound {
		// The node of a pod's token is told, and not looked at.
		if x.ref == nil || x.plural == "nodes" && b.Pod != nil {
			continue
		}
		o := s.store.Get(x.plural, x.namespace, x.ref.Name)
		if o == nil {
			err := apierrors.NewNotFound(resources[x.plural].gr(), x.ref.Name)
			s.log(c, 'I', 4, x.source, fmt.Sprintf("Could not retrieve %s%s for service account %s/%s: %v", x.what, x.ref.Name, b.Namespace, sa.Name, err))
			return nil, errInvalidated
		}
		if string(meta(o.typed).UID) != x.ref.UID {
			return nil, fmt.Errorf(x.kind, meta(o.typed).UID, x.ref.UID)
		}
		if over(meta(o.typed).DeletionTimestamp) {
			return nil, errInvalidated
		}
	}
	if b.Pod != nil {
		u.Extra[podNameKey], u.Extra[podUIDKey] = []string{b.Pod.Name}, []string{b.Pod.UID}
	}
	if b.Node != nil {
		u.Extra[nodeNameKey] = []string{b.Node.Name}
		if b.Node.UID != "" {
			u.Extra[nodeUIDKey] = []string{b.Node.UID}
		}
	}
	return u, nil
}

// checkLegacy believes a token that stands in its Secret (Models
// pkg/serviceaccount/legacy.go, with --service-account-lookup).
func (s *Server) checkLegacy(c *sim.Ctx, t *claims, token string) (*user, error) {
	for _, x := range []struct{ value, name string }{{t.Subject, "sub"}, {t.LegacyNamespace, "namespace"}, {t.LegacySecret, "secretName"},
		{t.LegacyName, "serviceAccountName"}, {t.LegacyUID, "serviceAccountUID"}} {
		if x.value == "" {
			return nil, fmt.Errorf("%s claim is missing", x.name)
		}
	}
	if ns, name, ok := splitSA(t.Subject); !ok || ns != t.LegacyNamespace || name != t.LegacyName {
		return nil, errors.New("sub claim is invalid")
	}
	if !s.opts.lookup {
		return saUser(t.LegacyNamespace, t.LegacyName, t.LegacyUID), nil
	}
	account := t.LegacyNamespace + "/" + t.LegacyName
	o := s.store.Get("secrets", t.LegacyNamespace, t.LegacySecret)
	if o == nil {
		err := apierrors.NewNotFound(resources["secrets"].gr(), t.LegacySecret)
		s.log(c, 'I', 4, "legacy.go:118", fmt.Sprintf("Could not retrieve token %s/%s for service account %s: %v", t.LegacyNamespace, t.LegacySecret, account, err))
		return nil, errors.New("Token has been invalidated")
	}
	if meta(o.typed).DeletionTimestamp != nil {
		s.log(c, 'I', 4, "legacy.go:122", fmt.Sprintf("Token is deleted and awaiting removal: %s/%s for service account %s", t.LegacyNamespace, t.LegacySecret, account))
		return nil, errors.New("Token has been invalidated")
	}
	if subtle.ConstantTimeCompare(o.typed.(*corev1.Secret).Data["token"], []byte(token)) == 0 {
		s.log(c, 'I', 4, "legacy.go:126", fmt.Sprintf("Token contents no longer matches %s/%s for service account %s", t.LegacyNamespace, t.LegacySecret, account))
		return nil, errors.New("Token does not match server's copy")
	}
	sa, err := s.account(t.LegacyNamespace, t.LegacyName)
	if err != nil {
		s.log(c, 'I', 4, "legacy.go:133", fmt.Sprintf("Could not retrieve service account %s: %v", account, err))
		return nil, err
	}
	if sa.DeletionTimestamp != nil {
		s.log(c, 'I', 4, "legacy.go:137", "Service account has been deleted "+account)
		return nil, fmt.Errorf("ServiceAccount %s has been deleted", account)
	}
	if string(sa.UID) != t.LegacyUID {
		s.log(c, 'I', 4, "legacy.go:141", fmt.Sprintf("Service account UID no longer matches %s: %q != %q", account, sa.UID, t.LegacyUID))
		return nil, fmt.Errorf("ServiceAccount UID (%s) does not match claim (%s)", sa.UID, t.LegacyUID)
	}
	return saUser(t.LegacyNamespace, t.LegacyName, t.LegacyUID), nil
}
