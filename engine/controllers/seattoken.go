package controllers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// Up to 1.23 every ServiceAccount has a Secret with its token and the CA, and refers
// to it. Models pkg/controller/serviceaccount/tokens_controller.go syncServiceAccount.
// A name in the queue is that of the account, and with the name of a Secret that is
// gone after it asks to take the reference away.

// autoTokens tells whether this manager makes them.
func (m *ControllerManager) autoTokens() bool {
	gate := era.AutoTokensGate.In(m.era())
	return era.AutoTokens.In(m.era()) && (gate == "" || !m.gate(gate))
}

// The steps: the account as it is, its Secret, the reference to it, and the end of a
// Secret that nobody refers to.
const (
	stepSeat      = "seat"
	stepSecret    = "secret"
	stepReference = "reference"
	stepAgain     = "again"
	stepUndo      = "undo"
)

const unreference = " -"

func seatPath(key string) string {
	ns, name, _ := strings.Cut(key, "/")
	return "/api/v1/namespaces/" + ns + "/serviceaccounts/" + name
}

// ensureToken looks whether an account refers to a Secret of its own.
func (m *ControllerManager) ensureToken(c *sim.Ctx, l *loop) {
	key, gone, _ := strings.Cut(l.Busy, unreference)
	seat := m.Seats[key]
	if seat == nil || gone == "" && m.hasToken(seat) || gone != "" && !refers(seat, gone) {
		m.finish(c, l, nil)
		return
	}
	l.Work.Step = stepSeat
	m.ask(c, l, "GET", seatPath(key), nil)
}

// hasToken tells whether an account refers to a token of its own.
func (m *ControllerManager) hasToken(seat *corev1.ServiceAccount) bool {
	for _, r := range seat.Secrets {
		if s := m.Secrets[seat.Namespace+"/"+r.Name]; s != nil && s.Type == corev1.SecretTypeServiceAccountToken && tokenOf(s, seat) {
			return true
		}
	}
	return false
}

// tokenOf tells whether a Secret is for a token of an account.
func tokenOf(s *corev1.Secret, seat *corev1.ServiceAccount) bool {
	return s.Annotations[corev1.ServiceAccountNameKey] == seat.Name && s.Annotations[corev1.ServiceAccountUIDKey] == string(seat.UID)
}

func refers(seat *corev1.ServiceAccount, secret string) bool {
	for _, r := range seat.Secrets {
		if r.Name == secret {
			return true
		}
	}
	return false
}

func (m *ControllerManager) tokenEnsured(c *sim.Ctx, l *loop, a answer) {
	key, gone, _ := strings.Cut(l.Busy, unreference)
	w := &l.Work
	if !a.ok() {
		m.tokenNotEnsured(c, l, a)
		return
	}
	switch w.Step {
	case stepSeat:
		live := new(corev1.ServiceAccount)
		if err := json.Unmarshal(a.data, live); err != nil {
			m.finish(c, l, &failure{text: err.Error()})
			return
		}
		if gone != "" {
			m.refer(c, l, live, "", gone)
			return
		}
		if seat := m.Seats[key]; seat == nil || seat.ResourceVersion != live.ResourceVersion {
			if seat != nil {
				m.say(c, &era.LineSeatStale, live.ResourceVersion, seat.ResourceVersion)
			}
			m.finish(c, l, &failure{ignorable: true})
			return
		}
		m.makeToken(c, l, live)
	case stepSecret:
		s := new(corev1.Secret)
		if json.Unmarshal(a.data, s) == nil {
			m.Secrets[s.Namespace+"/"+s.Name] = s
			w.Message = string(s.UID)
		}
		w.Step = stepReference
		live := new(corev1.ServiceAccount)
		json.Unmarshal([]byte(w.Content[0]), live)
		m.refer(c, l, live, w.Reason, "")
	case stepAgain:
		live := new(corev1.ServiceAccount)
		json.Unmarshal(a.data, live)
		if m.hasToken(live) {
			m.undoToken(c, l, "")
			return
		}
		w.Step = stepReference
		m.refer(c, l, live, w.Reason, "")
	case stepReference:
		if gone == "" {
			decide(c, "secret/"+w.Reason, l.Controller, "created", "Token", key)
		}
		m.finish(c, l, nil)
	default:
		m.finish(c, l, nil)
	}
}

// makeToken makes a Secret with an account's token.
func (m *ControllerManager) makeToken(c *sim.Ctx, l *loop, live *corev1.ServiceAccount) {
	w := &l.Work
	base := live.Name + "-token-"
	w.Reason = base[:min(len(base), 58)] + c.Chance.Suffix(c.Actor()+"/token", 5)
	token, err := m.legacyToken(live, w.Reason)
	if err != nil {
		m.finish(c, l, &failure{text: err.Error()})
		return
	}
	s := &corev1.Secret{TypeMeta: metav1.TypeMeta{Kind: "Secret", APIVersion: "v1"}, Type: corev1.SecretTypeServiceAccountToken,
		ObjectMeta: metav1.ObjectMeta{Name: w.Reason, Namespace: live.Namespace, Annotations: map[string]string{corev1.ServiceAccountNameKey: live.Name, corev1.ServiceAccountUIDKey: string(live.UID)}},
		Data:       map[string][]byte{corev1.ServiceAccountTokenKey: []byte(token), corev1.ServiceAccountNamespaceKey: []byte(live.Namespace)}}
	if len(m.RootCA) > 0 {
		s.Data[corev1.ServiceAccountRootCAKey] = m.RootCA
	}
	b, _ := json.Marshal(live)
	w.Step, w.Content = stepSecret, []string{string(b)}
	m.ask(c, l, "POST", "/api/v1/namespaces/"+live.Namespace+"/secrets", s)
}

// refer writes an account with one reference more, or less.
func (m *ControllerManager) refer(c *sim.Ctx, l *loop, live *corev1.ServiceAccount, add, drop string) {
	var keep []corev1.ObjectReference
	for _, r := range live.Secrets {
		if r.Name != drop {
			keep = append(keep, r)
		}
	}
	if add != "" {
		keep = append(keep, corev1.ObjectReference{Name: add})
	} else if len(keep) == len(live.Secrets) {
		m.finish(c, l, nil)
		return
	}
	live.Secrets = keep
	live.Kind, live.APIVersion = "ServiceAccount", "v1"
	l.Work.Step = stepReference
	m.ask(c, l, "PUT", seatPath(live.Namespace+"/"+live.Name), live)
}

// undoToken deletes a Secret that its account could not be made to refer to.
func (m *ControllerManager) undoToken(c *sim.Ctx, l *loop, why string) {
	ns, _, _ := strings.Cut(l.Busy, "/")
	m.say(c, &era.LineTokenUndone, ns+"/"+l.Work.Reason, why)
	l.Work.Step = stepUndo
	m.ask(c, l, "DELETE", "/api/v1/namespaces/"+ns+"/secrets/"+l.Work.Reason, preconditions(l.Work.Message))
}

// tokenNotEnsured handles an answer that is no success.
func (m *ControllerManager) tokenNotEnsured(c *sim.Ctx, l *loop, a answer) {
	key, gone, _ := strings.Cut(l.Busy, unreference)
	w := &l.Work
	switch {
	case w.Step == stepReference && gone == "" && a.code == 409:
		w.Step = stepAgain
		m.ask(c, l, "GET", seatPath(key), nil)
	case (w.Step == stepReference || w.Step == stepAgain) && gone == "":
		m.undoToken(c, l, a.err())
	case w.Step == stepUndo, a.code == 404, gone != "", w.Step == stepSecret && a.terminating():
		m.finish(c, l, nil)
	case l.Fails[l.Busy] < accountTokenRetries:
		m.finish(c, l, &failure{text: a.err()})
	default:
		m.line(c, era.LineTokenGivenUp.In(m.era()), l.Fails[l.Busy], l.Busy)
		m.finish(c, l, nil)
	}
}

func (m *ControllerManager) seatFailed(c *sim.Ctx, _ *loop, name string, f *failure) {
	if !f.ignorable {
		m.say(c, &era.LineSeatError, name, f.text)
	}
}

// secretGone lets the tokens' controller look at the account of a Secret that is gone.
func (m *ControllerManager) secretGone(c *sim.Ctx, old *corev1.Secret) {
	if name := old.Annotations[corev1.ServiceAccountNameKey]; old.Type == corev1.SecretTypeServiceAccountToken && name != "" {
		m.each(c, kindSeatToken, old.Namespace+"/"+name+unreference+old.Name)
	}
}

// With --use-service-account-credentials controllers of these releases send the token
// in their account's Secret. Models SAControllerClientBuilder.

// tokenSecrets are the Secrets with tokens in kube-system.
const tokenSecrets = "/api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dkubernetes.io%2Fservice-account-token"

// secretListed takes the Secrets that there are; if none is the account's the next
// ones are waited for.
func (m *ControllerManager) secretListed(c *sim.Ctx, a *account, x answer) {
	var list struct {
		Metadata metav1.ListMeta
		Items    []corev1.Secret
	}
	if err := json.Unmarshal(x.data, &list); err != nil || !x.ok() {
		m.noToken(c, a, x.err())
		return
	}
	for i := range list.Items {
		if m.secretSeen(c, a, &list.Items[i]) {
			return
		}
	}
	a.Asked = "watch"
	wait := era.SecretTokenWait.In(m.era())
	c.Wake(c.Now.Add(wait), fmt.Sprintf("account 1 %s", a.Name))
	m.send(c, m.own(), exchange{To: "account", Name: a.Name}, "GET", tokenSecrets+"&resourceVersion="+list.Metadata.ResourceVersion+"&timeoutSeconds="+fmt.Sprint(int(wait.Seconds()))+"&watch=true", nil)
}

// secretWatched takes what the watch of Secrets brings.
func (m *ControllerManager) secretWatched(c *sim.Ctx, a *account, x answer) {
	if x.kind != sim.MsgFrame {
		return
	}
	for _, line := range bytes.Split(bytes.TrimSpace(x.data), []byte("\n")) {
		s := new(corev1.Secret)
		if kind, object, ok := sim.OpenFrame(line); ok && (kind == "ADDED" || kind == "MODIFIED") && json.Unmarshal(object, s) == nil && m.secretSeen(c, a, s) {
			return
		}
	}
}

// secretSeen takes an account's Secret, and asks whether its token is good.
func (m *ControllerManager) secretSeen(c *sim.Ctx, a *account, s *corev1.Secret) bool {
	token := s.Data[corev1.ServiceAccountTokenKey]
	if s.Annotations[corev1.ServiceAccountNameKey] != a.Name || a.UID != "" && s.Annotations[corev1.ServiceAccountUIDKey] != a.UID || len(token) == 0 {
		return false
	}
	a.Asked, a.Token = "review", string(token)
	m.send(c, m.own(), exchange{To: "account", Name: a.Name}, "POST", "/apis/authentication.k8s.io/v1/tokenreviews", map[string]any{"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": map[string]string{"token": a.Token}})
	return true
}

// tokenReviewed uses a token that is good; a review that failed says nothing against it.
func (m *ControllerManager) tokenReviewed(c *sim.Ctx, a *account, x answer) {
	var r struct{ Status struct{ Authenticated bool } }
	switch {
	case !x.ok():
	case json.Unmarshal(x.data, &r) == nil && !r.Status.Authenticated:
		m.say(c, &era.LineInvalidToken, "kube-system", a.Name)
		a.Token = ""
		m.noToken(c, a, "")
		return
	default:
		m.say(c, &era.LineVerified, "kube-system", a.Name)
	}
	// It has no end.
	a.Asked, a.Booting, a.Until = "", false, c.Now.AddDate(100, 0, 0)
	m.boot(c)
}

// noToken ends the process: it waited in vain.
func (m *ControllerManager) noToken(c *sim.Ctx, a *account, why string) {
	if why == "" {
		why = "timed out waiting for the condition"
	}
	a.Asked = ""
	m.quit(c, &era.LineNoClient, "unable to get token for service account: "+why)
}
