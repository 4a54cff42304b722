package controllers

import (
	"slices"
	"time"
)

// Runs tells whether --controllers has a controller run.
func (m *ControllerManager) Runs(controller string) bool {
	return m.Flags.enabled(m.era(), controller)
}

// Leads tells whether it works, and does not wait for a lease or the API server.
func (m *ControllerManager) Leads() bool { return len(m.Loops) > 0 || m.Cleaner.On }

// Signs tells with which file the signer of a name signs, false when it is not
// one of this manager's.
func (m *ControllerManager) Signs(signer string) (file string, ok bool) {
	i := slices.IndexFunc(m.Loops, func(l *loop) bool { return l.Kind == kindSign && l.signs(signer) })
	if i < 0 {
		return "", false
	}
	return m.Loops[i].CertFile, true
}

// Lacks is the flag without which a signer of this manager's signs nothing, none
// when it has its files. The one for all signers can't stand beside those for
// single ones.
func (m *ControllerManager) Lacks(signer string) string {
	if f := m.Flags; len(f.Pairs) == 0 {
		if f.CertFile == "" {
			return "--cluster-signing-cert-file"
		}
		if f.KeyFile == "" {
			return "--cluster-signing-key-file"
		}
		return ""
	}
	for _, s := range signers {
		if _, ok := m.Flags.Pairs[s.short]; !ok && s.name == signer {
			return "--cluster-signing-" + s.short + "-cert-file"
		}
	}
	return ""
}

// Verbosity is its --v.
func (m *ControllerManager) Verbosity() int { return m.Flags.V }

// Silent is when a node that does not renew its Lease will be found silent; zero when
// it is heard of, or not known.
func (m *ControllerManager) Silent(now time.Time, node string) time.Time {
	if m.Life == nil || m.Life.Began.IsZero() || m.Nodes[node] == nil || m.Life.Beats[node].Every > 0 {
		return time.Time{}
	}
	// One that was heard of a moment ago is renewed again in a moment.
	if _, met := m.Life.Health[node]; !met || now.Sub(m.Life.Beats[node].At) < m.Flags.NodeGrace/4 {
		return time.Time{}
	}
	return m.over(now, node)
}

// Renewed tells whether a node renews its Lease, as far as the manager has heard.
func (m *ControllerManager) Renewed(node string) bool {
	return m.Life != nil && m.Life.Beats[node].Every > 0
}
