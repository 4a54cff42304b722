package desk

import (
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

// Action is a button and the command that it types, so that clicking teaches
// kubectl.
type Action struct {
	// Name is its data-test attribute and its key in the catalogs.
	Name    string
	Host    string
	Line    string
	Leap    time.Duration
	Enabled bool
	// Primary: it is what comes next.
	Primary bool
}

const (
	roleBootstrap = "system:node-bootstrapper"
	roleApprove   = "system:certificates.k8s.io:certificatesigningrequests:nodeclient"
	roleRenew     = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
)

// Actions are the buttons, in the order in which a node joins.
func (m *Model) Actions() []Action {
	var out []Action
	here := m.Ready && !m.Ghost && m.Leaping == 0
	kubelet := m.unit("node-1", "kubelet")
	stopped := kubelet != nil && kubelet.State != "active"
	name := "NAME"
	if c := m.pending(); c != nil {
		name = c.Name
	}
	joined := slices.ContainsFunc(m.View.CSRs, func(c engine.CSRView) bool { return strings.HasSuffix(c.Condition, "Issued") })
	rows := []struct {
		name, host, line string
		leap             time.Duration
		on, next         bool
	}{
		{"start", "node-1", "systemctl start kubelet", 0, stopped, true},
		{"bind", "admin", "kubectl create clusterrolebinding kubelet-bootstrap --clusterrole=" + roleBootstrap + " --group=system:bootstrappers", 0, !m.bound(roleBootstrap), true},
		{"approve", "admin", "kubectl certificate approve " + name, 0, m.pending() != nil, true},
		{"deny", "admin", "kubectl certificate deny " + name, 0, m.pending() != nil, false},
		{"bind-renewal", "admin", "kubectl create clusterrolebinding auto-approve-renewals --clusterrole=" + roleRenew + " --group=system:nodes", 0, !m.bound(roleRenew), joined},
		{"skip-year", "", "", Year, true, joined},
	}
	suggested := false
	for _, r := range rows {
		a := Action{Name: r.name, Host: r.host, Line: r.line, Leap: r.leap, Enabled: here && r.on}
		a.Primary = a.Enabled && r.next && !suggested
		suggested = suggested || a.Primary
		out = append(out, a)
	}
	return out
}

func (m *Model) action(name string) (Action, bool) {
	for _, a := range m.Actions() {
		if a.Name == name {
			return a, true
		}
	}
	return Action{}, false
}

// bound reports whether a ClusterRoleBinding to that role exists.
func (m *Model) bound(role string) bool {
	for _, b := range m.View.Bindings {
		if b.Role == role {
			return true
		}
	}
	return false
}
