package controllers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// account is a ServiceAccount in kube-system that controllers act as: it is
// looked for, or made, by the manager itself, which asks for its token when a
// request needs one. Nothing renews a token that nobody needs. Models
// k8s.io/controller-manager/pkg/clientbuilder DynamicControllerClientBuilder.
type account struct {
	Name  string `json:"name"`
	UID   string `json:"uid,omitempty"`
	Token string `json:"token,omitempty"`
	// Until is when the token is asked for anew.
	Until time.Time `json:"until,omitzero"`
	// Asked is what is asked for: "get", "create" or "token", and where its Secret has
	// that "secrets", "watch" and "review"; Tries counts failures in a row. Booting: the manager's start waits for the answer.
	Asked   string    `json:"asked,omitempty"`
	Tries   int       `json:"tries,omitempty"`
	Booting bool      `json:"booting,omitempty"`
	Waiting []message `json:"waiting,omitempty"`
}

const accountsPath = "/api/v1/namespaces/kube-system/serviceaccounts"

func (m *ControllerManager) account(name string) *account {
	for _, a := range m.Accounts {
		if a.Name == name {
			return a
		}
	}
	a := &account{Name: name}
	m.Accounts = append(m.Accounts, a)
	return a
}

// token returns the token of a request's account, or "" after it has asked for
// one: the request then waits.
func (m *ControllerManager) token(c *sim.Ctx, msg message) string {
	a := m.account(msg.Account)
	if a.Token != "" && c.Now.Before(a.Until) {
		return a.Token
	}
	a.Waiting = append(a.Waiting, msg)
	if a.Asked == "" {
		m.want(c, a, "get")
	}
	return ""
}

// legacy tells whether controllers use the tokens in their accounts' Secrets.
func (m *ControllerManager) legacy() bool {
	return m.Flags.Credentials && era.SecretTokens.In(m.era()) && !m.Dynamic
}

// chooseTokens asks the API server whether it gives tokens, where it is a question.
func (m *ControllerManager) chooseTokens(c *sim.Ctx) bool {
	e := m.era()
	if !m.Flags.Credentials || !era.SecretTokens.In(e) || !era.TokenRequests.In(e) {
		return false
	}
	m.send(c, m.own(), exchange{To: "tokens"}, "GET", "/api/v1", nil)
	return true
}

// tokensChosen takes the answer. Models shouldTurnOnDynamicClient.
func (m *ControllerManager) tokensChosen(c *sim.Ctx, x answer) {
	var list metav1.APIResourceList
	json.Unmarshal(x.data, &list)
	for _, r := range list.APIResources {
		m.Dynamic = m.Dynamic || r.Name == "serviceaccounts/token" && r.Group == "authentication.k8s.io" && slices.Contains(r.Verbs, "create")
	}
	line := &era.LineLegacyBuilder
	if m.Dynamic {
		line = &era.LineDynamicBuilder
	}
	m.say(c, line)
	m.boot(c)
}

// want asks for the ServiceAccount, or for its token.
func (m *ControllerManager) want(c *sim.Ctx, a *account, what string) {
	a.Asked = what
	x := exchange{To: "account", Name: a.Name}
	switch what {
	case "get":
		m.send(c, m.own(), x, "GET", accountsPath+"/"+a.Name, nil)
	case "create":
		m.send(c, m.own(), x, "POST", accountsPath, map[string]any{"kind": "ServiceAccount", "apiVersion": "v1",
			"metadata": map[string]string{"name": a.Name, "namespace": "kube-system"}})
	case "secrets":
		m.send(c, m.own(), x, "GET", tokenSecrets, nil)
	case "token":
		m.send(c, m.own(), x, "POST", accountsPath+"/"+a.Name+"/token", map[string]any{"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
			"spec": map[string]any{"expirationSeconds": int64(era.AccountToken.In(m.era()) / time.Second)}})
	}
}

// accounted handles the answers.
func (m *ControllerManager) accounted(c *sim.Ctx, x answer) {
	a := m.account(x.Name)
	switch {
	case a.Asked == "get" && x.code == 404 && x.kind == sim.MsgResponse:
		m.want(c, a, "create")
	case a.Asked == "token":
		m.tokenGiven(c, a, x)
	case a.Asked == "secrets":
		m.secretListed(c, a, x)
	case a.Asked == "watch":
		m.secretWatched(c, a, x)
	case a.Asked == "review" && x.kind != sim.MsgResponse || a.Asked == "" && strings.Contains(x.URL, "watch=true"):
		// What is left of the watch.
	case a.Asked == "review":
		m.tokenReviewed(c, a, x)
	case !x.ok() && x.code != 409 && a.Booting:
		a.Asked, a.Booting = "", false
		m.quit(c, &era.LineNoClient, x.err())
	case !x.ok() && x.code != 409:
		m.say(c, &era.LineAccountFailed, "kube-system", a.Name, x.err())
		m.tokenFailed(c, a)
	case a.Booting && m.legacy():
		var o metav1.PartialObjectMetadata
		if json.Unmarshal(x.data, &o) == nil && x.ok() {
			a.UID = string(o.UID)
		}
		m.want(c, a, "secrets")
	case a.Booting:
		a.Asked, a.Booting = "", false
		m.boot(c)
	default:
		m.want(c, a, "token")
	}
}

// tokenGiven takes a token and sends what waited for it.
func (m *ControllerManager) tokenGiven(c *sim.Ctx, a *account, x answer) {
	var t struct {
		Status struct {
			Token   string    `json:"token"`
			Expires time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if !x.ok() || json.Unmarshal(x.data, &t) != nil || t.Status.Token == "" {
		m.say(c, &era.LineTokenRequestFailed, "kube-system", a.Name, x.err())
		m.tokenFailed(c, a)
		return
	}
	// A clock that is wrong must not make every request ask for a token.
	life := max(t.Status.Expires.Sub(c.Clock()), 10*time.Minute)
	a.Token, a.Until = t.Status.Token, c.Now.Add(life-life/100*time.Duration(era.AccountLeeway.In(m.era())))
	a.Asked, a.Tries = "", 0
	waiting := a.Waiting
	a.Waiting = nil
	for _, msg := range waiting {
		m.give(c, msg)
	}
}

// tokenFailed tries again, or gives up: then all that waits fails.
func (m *ControllerManager) tokenFailed(c *sim.Ctx, a *account) {
	b := era.AccountRetry.In(m.era())
	a.Asked = "pause"
	if a.Tries++; a.Tries < b.Steps {
		c.Wake(c.Now.Add(b.At(a.Tries-1)), "account 0 "+a.Name)
		return
	}
	a.Asked, a.Tries = "", 0
	waiting := a.Waiting
	a.Waiting = nil
	for _, msg := range waiting {
		m.deliver(c, answer{exchange: msg.exchange, server: m.Own.Server, kind: sim.MsgFailed,
			failure: fmt.Sprintf("failed to get token for kube-system/%s: timed out waiting for the condition", a.Name)})
	}
}
