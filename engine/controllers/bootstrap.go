package controllers

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// clusterInfo is the ConfigMap that anonymous users may read, signed by every
// bootstrap token that may sign.
const clusterInfo = metav1.NamespacePublic + "/" + bootstrapapi.ConfigMapClusterInfo

// expires tells how long a bootstrap token has still to live; 0 and false is
// for ever. Models k8s.io/cluster-bootstrap/util/secrets GetExpiration; an
// expiration that can't be read has passed, as recorded in h.
func (m *ControllerManager) expires(c *sim.Ctx, s *corev1.Secret) (left time.Duration, expired bool) {
	text := string(s.Data[bootstrapapi.BootstrapTokenExpirationKey])
	if text == "" {
		return 0, false
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		m.logf(c, 'I', 3, "secrets.go:66", "Unparseable expiration time (%s) in %s/%s Secret: %v. Treating as expired.", text, s.Namespace, s.Name, err)
		return 0, true
	}
	if left = at.Sub(c.Clock()); left <= 0 {
		m.logf(c, 'I', 3, "secrets.go:73", "Expired bootstrap token in %s/%s Secret: %s", s.Namespace, s.Name, text)
		return 0, true
	}
	return left, false
}

// cleanToken deletes the Secret of a bootstrap token that has expired, or comes
// back when it will have. Models pkg/controller/bootstrap/tokencleaner.go;
// recorded in h and s.
func (m *ControllerManager) cleanToken(c *sim.Ctx, l *loop) {
	s := m.Secrets[l.Busy]
	if s == nil {
		m.say(c, &era.LineTokenGone, l.Busy)
		m.finish(c, l, nil)
		return
	}
	left, expired := m.expires(c, s)
	if !expired {
		if left > 0 {
			c.Wake(m.noticed(c, c.Now.Add(left)), fmt.Sprintf("retry %d %s", l.Index, l.Busy))
		}
		m.finish(c, l, nil)
		return
	}
	m.say(c, &era.LineTokenDeleted, l.Busy)
	decide(c, "secret/"+s.Name, l.Controller, "deleted", "Expired", string(s.Data[bootstrapapi.BootstrapTokenExpirationKey]))
	m.ask(c, l, "DELETE", "/api/v1/namespaces/"+s.Namespace+"/secrets/"+s.Name, preconditions(string(s.UID)))
}

// noticed is when the cleaner looks at a Secret that expires at a time: then, or, before
// 1.16, at its next look at all of them: every 10 s, or at the informer's resync.
func (m *ControllerManager) noticed(c *sim.Ctx, at time.Time) time.Time {
	e := m.era()
	every := era.TokenCleanerTick.In(e)
	switch {
	case era.TokenCleanerTimer.In(e):
		return at
	case every == 0:
		if m.Resync == 0 {
			least := era.Resync.In(e)
			m.Resync = least + time.Duration(c.Chance.N(c.Actor()+"/resync", uint64(least)))
		}
		every = m.Resync
	}
	return m.Started.Add((at.Sub(m.Started) + every - 1) / every * every)
}

// preconditions are the options of a deletion that is meant for one object only.
func preconditions(uid string) any {
	return map[string]any{"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": map[string]string{"uid": uid}}
}

func (m *ControllerManager) tokenCleaned(c *sim.Ctx, l *loop, a answer) {
	if !a.ok() && a.code != 404 && a.code != 409 {
		m.say(c, &era.LineTokenStays, a.err())
	}
	m.finish(c, l, nil)
}

func (m *ControllerManager) tokenFinished(c *sim.Ctx, name string, took time.Duration) {
	m.say(c, &era.LineTokenSynced, name, took)
}

// signingTokens are the tokens that sign cluster-info: their IDs and secrets.
// Models pkg/controller/bootstrap/util.go validateSecretForSigning.
func (m *ControllerManager) signingTokens(c *sim.Ctx) map[string]string {
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(m.Secrets)) {
		s := m.Secrets[key]
		if s.Type != corev1.SecretTypeBootstrapToken {
			continue
		}
		id, secret := string(s.Data[bootstrapapi.BootstrapTokenIDKey]), string(s.Data[bootstrapapi.BootstrapTokenSecretKey])
		named, ok := strings.CutPrefix(s.Name, bootstrapapi.BootstrapTokenSecretPrefix)
		ok = ok && len(named) == 6 && strings.Trim(named, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
		switch {
		case !ok:
			m.say(c, &era.LineTokenName, s.Name)
		case id == "":
			m.say(c, &era.LineTokenNoID, bootstrapapi.BootstrapTokenIDKey, key)
		case id != named:
			m.say(c, &era.LineTokenID, id, s.Name, named)
		case secret == "":
			m.say(c, &era.LineTokenNoSecret, bootstrapapi.BootstrapTokenSecretKey, key)
		default:
			if _, expired := m.expires(c, s); !expired && string(s.Data[bootstrapapi.BootstrapTokenUsageSigningKey]) == "true" {
				out[id] = secret
			}
		}
	}
	return out
}

// signInfo writes the signatures of cluster-info anew when one is missing, wrong
// or left over. Models pkg/controller/bootstrap/bootstrapsigner.go; recorded in
// h/01 to h/04.
func (m *ControllerManager) signInfo(c *sim.Ctx, l *loop) {
	old := m.Maps[clusterInfo]
	if old == nil {
		m.finish(c, l, nil)
		return
	}
	content, ok := old.Data[bootstrapapi.KubeConfigKey]
	if !ok {
		m.say(c, &era.LineInfoNoKey, bootstrapapi.KubeConfigKey, clusterInfo)
		m.finish(c, l, nil)
		return
	}
	data := map[string]string{}
	for k, v := range old.Data {
		if !strings.HasPrefix(k, bootstrapapi.JWSSignatureKeyPrefix) {
			data[k] = v
		}
	}
	for id, secret := range m.signingTokens(c) {
		data[bootstrapapi.JWSSignatureKeyPrefix+id] = pki.DetachedJWS(content, id, secret)
	}
	if maps.Equal(data, old.Data) {
		m.finish(c, l, nil)
		return
	}
	cm := old.DeepCopy()
	cm.Kind, cm.APIVersion, cm.Data = "ConfigMap", "v1", data
	m.ask(c, l, "PUT", "/api/v1/namespaces/"+cm.Namespace+"/configmaps/"+cm.Name, cm)
}

func (m *ControllerManager) infoSigned(c *sim.Ctx, l *loop, a answer) {
	switch {
	case a.ok():
		decide(c, "configmap/"+clusterInfo, l.Controller, "signed", "", "")
	case a.code != 404 && a.code != 409:
		// The real one does not try again by itself either.
		m.say(c, &era.LineInfoError, a.err())
	}
	m.finish(c, l, nil)
}
