package controllers

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// account is a ServiceAccount in kube-system that controllers act as: it is
// looked for, or made, by the manager itself, which asks for its token when a
// request needs one. Nothing renews a token that nobody needs. Models
// k8s.io/controller-manager/pkg/clientbuilder DynamicControllerClientBuilder.
type account struct {
	Name  string `json:"name"`
	Token string `json:"token,omitempty"`
	// Until is when the token is asked for anew.
	Until time.Time `json:"until,omitzero"`
	// Asked is what is asked for: "get", "create" or "token"; Tries counts
	// failures in a row. Booting: the manager's start waits for the answer.
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
	case !x.ok() && x.code != 409 && a.Booting:
		a.Asked, a.Booting = "", false
		m.log(c, 'E', 0, "client_builder_dynamic.go:127", "Error in getting client", "err", x.err())
		c.Exit(1)
	case !x.ok() && x.code != 409:
		m.log(c, 'I', 0, "client_builder_dynamic.go:185", "get or create service account failed", "namespace", "kube-system", "serviceAccountName", a.Name, "error", x.err())
		m.tokenFailed(c, a)
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
		m.log(c, 'I', 0, "client_builder_dynamic.go:195", "get token failed", "namespace", "kube-system", "serviceAccountName", a.Name, "error", x.err())
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
