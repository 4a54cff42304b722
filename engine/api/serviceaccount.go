package api

import (
	"errors"
	"fmt"
	"slices"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

const (
	// warnAfter is the expiration that a pod's volume asks for: an hour and 7
	// seconds, by which the server knows it (Models pkg/serviceaccount/claims.go).
	warnAfter = 60*60 + 7
	// extended is how long such a token really lives.
	extended = 365 * 24 * 60 * 60
)

// tokenRow is how managedFields and decoding see a TokenRequest.
var tokenRow = &resource{Group: "authentication.k8s.io", Version: "v1", Kind: "TokenRequest", untracked: map[string][]string{"token": {"status"}}}

// core are the resources of v1: an API server without a key to sign tokens with, as one
// could have up to 1.19, gives none.
func (s *Server) core() []metav1.APIResource {
	list := s.catalog.listed("", "v1")
	if len(s.TokenSigner) == 0 {
		list = slices.DeleteFunc(list, func(r metav1.APIResource) bool { return r.Name == "serviceaccounts/token" })
	}
	return list
}

// requestToken answers POST serviceaccounts/NAME/token (Models
// pkg/registry/core/serviceaccount/storage/token.go).
func requestToken(x *exchange, r *resource) sim.Response {
	if len(x.s.TokenSigner) == 0 {
		return notServed()
	}
	if _, err := x.writeOptions(); err != nil {
		return failed(err)
	}
	req := &authenticationv1.TokenRequest{}
	if err := x.decode(tokenRow.gv().WithKind(tokenRow.Kind), req); err != nil {
		return failed(err)
	}
	if req.Spec.ExpirationSeconds == nil {
		hour := int64(60 * 60)
		req.Spec.ExpirationSeconds = &hour
	}
	req.SetGroupVersionKind(tokenRow.gv().WithKind(tokenRow.Kind))
	req.ManagedFields = nil
	x.manage(tokenRow, req, nil, "token")
	if err := x.admitEarly(r, req, nil, "create"); err != nil {
		return failed(err)
	}
	if err := x.fillToken(r, req); err != nil {
		return failed(err)
	}
	return x.finish(201, encode(req))
}

// fillToken checks a TokenRequest and writes its token.
func (x *exchange) fillToken(r *resource, req *authenticationv1.TokenRequest) error {
	name, ns := x.info.name, x.info.nspc
	invalid := func(at, value, what string) error {
		return apierrors.NewInvalid(tokenRow.gk(), name, field.ErrorList{field.Invalid(field.NewPath("metadata", at), value, what)})
	}
	if req.Name != "" && req.Name != name {
		return invalid("name", req.Name, "must match the service account name if specified")
	}
	if req.Namespace != "" && req.Namespace != ns {
		return invalid("namespace", req.Namespace, "must match the service account namespace if specified")
	}
	sa, err := x.s.account(ns, name)
	if err != nil {
		return err
	}
	if req.UID != "" && req.UID != sa.UID {
		return apierrors.NewConflict(schema.GroupResource{Group: tokenRow.Group, Resource: tokenRow.Kind}, name,
			fmt.Errorf("the UID in the token request (%s) does not match the UID of the service account (%s)", req.UID, sa.UID))
	}
	if len(req.Spec.Audiences) == 0 {
		req.Spec.Audiences = x.s.apiAudiences()
	}
	req.Name, req.Namespace, req.UID, req.CreationTimestamp = sa.Name, sa.Namespace, sa.UID, x.now()
	seconds := *req.Spec.ExpirationSeconds
	at := field.NewPath("spec", "expirationSeconds")
	switch {
	case seconds < 10*60:
		return apierrors.NewInvalid(tokenRow.gk(), "", field.ErrorList{field.Invalid(at, seconds, "may not specify a duration less than 10 minutes")})
	case seconds > 1<<32:
		return apierrors.NewInvalid(tokenRow.gk(), "", field.ErrorList{field.Invalid(at, seconds, "may not specify a duration larger than 2^32 seconds")})
	}
	if err := x.admitLate(r, req, nil, "create"); err != nil {
		return err
	}
	b := &boundClaims{Namespace: ns, ServiceAccount: reference{sa.Name, string(sa.UID)}}
	if err := x.bind(b, req.Spec.BoundObjectRef); err != nil {
		return err
	}
	if most := int64(x.s.opts.maxExpiration.Seconds()); most > 0 && seconds > most {
		x.warn(fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", seconds, most))
		seconds = most
		req.Spec.ExpirationSeconds = &seconds
	}
	now := x.c.Clock()
	lives := seconds
	if x.s.opts.extend && b.Pod != nil && seconds == warnAfter && len(both(req.Spec.Audiences, x.s.apiAudiences())) == len(req.Spec.Audiences) {
		b.WarnAfter, lives = now.Unix()+warnAfter, extended
	}
	t := claims{Audience: req.Spec.Audiences, Expiry: now.Unix() + lives, IssuedAt: now.Unix(), NotBefore: now.Unix(), Kubernetes: b, Subject: saPrefix + ns + ":" + sa.Name}
	if era.TokenID.In(x.s.era) {
		t.ID = x.c.Chance.UUID("jti")
	}
	token, err := x.s.signToken(t)
	if err != nil {
		return apierrors.NewInternalError(fmt.Errorf("failed to generate token: %w", err))
	}
	req.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(x.now().Add(time.Duration(seconds) * time.Second))}
	return nil
}

// bind writes the object that a token is bound to into its claims.
func (x *exchange) bind(b *boundClaims, ref *authenticationv1.BoundObjectReference) error {
	if ref == nil {
		return nil
	}
	gvk := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind)
	plural, namespace := map[string]string{"Pod": "pods", "Secret": "secrets", "Node": "nodes"}[gvk.Kind], x.info.nspc
	if gvk.Kind == "Node" {
		namespace = ""
	}
	if gvk.Group != "" || plural == "" || plural == "nodes" && !era.TokenPodNode.In(x.s.era) {
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token to object of type %s", gvk.String()))
	}
	o := x.s.store.Get(plural, namespace, ref.Name)
	if o == nil {
		return apierrors.NewNotFound(resources[plural].gr(), ref.Name)
	}
	is := &reference{ref.Name, string(meta(o.typed).UID)}
	switch o := o.typed.(type) {
	case *corev1.Pod:
		if o.Spec.ServiceAccountName != x.info.name {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", x.info.name))
		}
		b.Pod = is
		if node := o.Spec.NodeName; node != "" && era.TokenPodNode.In(x.s.era) {
			b.Node = &reference{Name: node}
			if n := x.s.store.Get("nodes", "", node); n != nil {
				b.Node.UID = string(meta(n.typed).UID)
			}
		}
	case *corev1.Secret:
		b.Secret = is
	case *corev1.Node:
		b.Node = is
	}
	if ref.UID != "" && ref.UID != types.UID(is.UID) {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, ref.Name,
			fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", ref.UID))
	}
	return nil
}

// signToken signs claims with --service-account-signing-key-file.
func (s *Server) signToken(t claims) (string, error) {
	if len(s.TokenSigner) == 0 {
		return "", errors.New("no signing key")
	}
	key, err := pki.ParseKey(s.TokenSigner)
	if err != nil {
		return "", err
	}
	t.Issuer = s.opts.issuers[0]
	return pki.SignJWT(key, encode(t))
}
