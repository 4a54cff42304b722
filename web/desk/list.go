package desk

import "strings"

// list says the stage in sentences, for those who hear it.
func (m *Model) list(s *Stage) []string {
	t := m.text()
	var out []string
	for _, c := range s.Cards {
		out = append(out, t("list.node", "name", c.Name, "phase", c.Phase.Text, "identity", c.Identity.Text, "status", or(c.Status.Text, "—")))
	}
	for _, st := range s.API.Stages {
		if st.State != "idle" {
			out = append(out, t("list.stage", "stage", st.Label, "verdict", st.Text))
		}
	}
	for _, r := range s.API.Lines {
		out = append(out, strings.TrimSpace(r.Key+" "+r.Value))
	}
	for _, c := range m.View.CSRs {
		out = append(out, t("list.csr", "name", c.Name, "condition", c.Condition, "requestor", c.Requestor))
	}
	for _, l := range s.Lanes {
		if l.Title != "" {
			out = append(out, l.Title)
		}
	}
	return out
}

// said is the last thing that happened that matters, for the live region.
func (m *Model) said() string {
	marks := marksUpTo(m.Ledger.Marks, m.until())
	if len(marks) == 0 {
		return ""
	}
	return m.markText(marks[len(marks)-1])
}

func (m *Model) markText(k Mark) string {
	kv := []any{}
	for _, name := range []string{"who", "what", "code", "name", "unit", "host", "state"} {
		if v, ok := k.Args[name]; ok {
			kv = append(kv, name, v)
		}
	}
	return m.text()(k.Key, kv...)
}
