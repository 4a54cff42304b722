package controllers

import "slices"

// Runs tells whether a controller runs, by the name that --controllers takes.
func (m *ControllerManager) Runs(controller string) bool {
	if controller == cleaning {
		return m.Cleaner.On
	}
	return slices.ContainsFunc(m.Loops, func(l *loop) bool { return l.Controller == controller })
}

// Signs tells with which file the signer of a name signs, false when it is not
// one of this manager's.
func (m *ControllerManager) Signs(signer string) (file string, ok bool) {
	i := slices.IndexFunc(m.Loops, func(l *loop) bool { return l.Signer == signer })
	if i < 0 {
		return "", false
	}
	return m.Loops[i].CertFile, true
}

// Verbosity is its --v.
func (m *ControllerManager) Verbosity() int { return m.Flags.V }
