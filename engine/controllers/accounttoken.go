package controllers

import (
	"bytes"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// accountTokenRetries is how often a Secret is tried before it is left alone.
const accountTokenRetries = 10

// fillToken completes a Secret of type kubernetes.io/service-account-token, or
// deletes it when its ServiceAccount is gone. Models
// pkg/controller/serviceaccount/tokens_controller.go; recorded in
// s/12-serviceaccount-legacy-secret.json.
func (m *ControllerManager) fillToken(c *sim.Ctx, l *loop) {
	s := m.Secrets[l.Busy]
	if s == nil || s.Type != corev1.SecretTypeServiceAccountToken {
		m.finish(c, l, nil)
		return
	}
	name, uid := s.Annotations[corev1.ServiceAccountNameKey], s.Annotations[corev1.ServiceAccountUIDKey]
	path := "/api/v1/namespaces/" + s.Namespace + "/secrets/" + s.Name
	account := m.Seats[s.Namespace+"/"+name]
	if account == nil || uid != "" && uid != string(account.UID) {
		m.say(c, &era.LineAccountGone, l.Busy)
		decide(c, "secret/"+s.Name, l.Controller, "deleted", "ServiceAccountGone", name)
		m.ask(c, l, "DELETE", path, preconditions(string(s.UID)))
		return
	}
	wrongCA := len(m.RootCA) > 0 && !bytes.Equal(s.Data[corev1.ServiceAccountRootCAKey], m.RootCA)
	token := len(s.Data[corev1.ServiceAccountTokenKey]) > 0
	if token && !wrongCA && len(s.Data[corev1.ServiceAccountNamespaceKey]) > 0 {
		m.finish(c, l, nil)
		return
	}
	n := s.DeepCopy()
	n.Kind, n.APIVersion = "Secret", "v1"
	if n.Data == nil {
		n.Data = map[string][]byte{}
	}
	if wrongCA {
		n.Data[corev1.ServiceAccountRootCAKey] = m.RootCA
	}
	n.Data[corev1.ServiceAccountNamespaceKey] = []byte(s.Namespace)
	if !token {
		text, err := m.legacyToken(account, s.Name)
		if err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		n.Data[corev1.ServiceAccountTokenKey] = []byte(text)
	}
	n.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
	m.ask(c, l, "PUT", path, n)
}

// legacyToken is a token without an end. Models pkg/serviceaccount/legacy.go
// LegacyClaims.
func (m *ControllerManager) legacyToken(account *corev1.ServiceAccount, secret string) (string, error) {
	key, err := pki.ParseKey(m.AccountKey)
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(struct {
		Issuer    string `json:"iss"`
		Namespace string `json:"kubernetes.io/serviceaccount/namespace"`
		Secret    string `json:"kubernetes.io/serviceaccount/secret.name"`
		Name      string `json:"kubernetes.io/serviceaccount/service-account.name"`
		UID       string `json:"kubernetes.io/serviceaccount/service-account.uid"`
		Subject   string `json:"sub"`
	}{"kubernetes/serviceaccount", account.Namespace, secret, account.Name, string(account.UID), "system:serviceaccount:" + account.Namespace + ":" + account.Name})
	if err != nil {
		return "", err
	}
	return pki.SignJWT(key, claims)
}

func (m *ControllerManager) tokenFilled(c *sim.Ctx, l *loop, a answer) {
	switch {
	case a.ok():
		if a.Method == "PUT" {
			decide(c, "secret/"+l.Busy, l.Controller, "issued", "Token", "")
		}
	case a.code == 404 || a.code == 409:
		// Someone else was faster: the watch will tell.
	case l.Fails[l.Busy] < accountTokenRetries:
		m.finish(c, l, &failure{text: a.err()})
		return
	default:
		m.logf(c, 'I', 4, "tokens_controller.go:204", "retried %d times: %q", l.Fails[l.Busy], l.Busy)
	}
	m.finish(c, l, nil)
}

func (m *ControllerManager) tokenFillFailed(c *sim.Ctx, _ *loop, name string, f *failure) {
	account := ""
	if s := m.Secrets[name]; s != nil {
		account = s.Annotations[corev1.ServiceAccountNameKey]
	}
	m.say(c, &era.LineTokenError, f.text, name, account)
}
