package desk

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

func (m *Model) apiCard(x *Exchange) APICard {
	t := m.text()
	c := APICard{Name: "kube-apiserver", Addr: "10.0.0.10:6443", CSRLabel: t("api.csrs")}
	if u := m.unit("control-1", "kube-apiserver"); u != nil && u.State != "active" {
		c.Off = t("unit." + u.State)
	}
	until := m.until()
	v := x.Verdicts(until)
	for i, key := range Stages {
		st := StageChip{Key: key, Label: t("stage." + key), State: or(v[i], "idle")}
		st.Text = t("verdict." + st.State)
		c.Stages = append(c.Stages, st)
	}
	c.Lines = m.decision(x, until)
	if x != nil {
		c.Beat = m.beats[""].n
	}
	csrs := slices.Clone(m.View.CSRs)
	sort.SliceStable(csrs, func(i, j int) bool { return csrs[i].Created.After(csrs[j].Created) })
	for _, r := range csrs[:min(2, len(csrs))] {
		c.CSRs = append(c.CSRs, Chip{Text: r.Name, Title: r.Condition, Tone: conditionTone(r.Condition), Msg: Pick{Kind: "csr", ID: r.Name}})
	}
	if n := len(csrs); n > 2 {
		c.CSRs = append(c.CSRs, Chip{Text: fmt.Sprintf("+%d", n-2), Tone: "off", Msg: Tab{"right", "csr"}})
	}
	return c
}

func conditionTone(c string) string {
	switch {
	case strings.Contains(c, "Denied"), strings.Contains(c, "Failed"):
		return "no"
	case strings.Contains(c, "Issued"):
		return "ok"
	}
	return "wait"
}

// decision says who the API server thinks is asking, and what it decided.
func (m *Model) decision(x *Exchange, until uint64) []Row {
	t := m.text()
	if x == nil {
		return []Row{{Value: t("api.idle"), Plain: true}}
	}
	var out []Row
	if o := x.Authn; o != nil && o.ID <= until && o.Args["user"] != "" {
		out = append(out, Row{Key: t("api.user"), Value: o.Args["user"], Tone: x.Identity})
		if g := o.Args["groups"]; g != "" {
			out = append(out, Row{Key: t("api.groups"), Value: groups(g), Tone: x.Identity})
		}
	}
	switch o := x.refusal(until); {
	case x.Failed():
		out = append(out, Row{Key: t("api.tls"), Value: or(o.Args["client-error"], o.Args["server-error"]), Tone: "no"})
	case o != nil && o == x.Authz:
		out = append(out, Row{Value: t("api.norule", "verb", or(o.Args["verb"], strings.ToLower(x.Target.Method)), "what", resourceOf(x.Target)), Tone: "no", Plain: true})
	case o != nil:
		out = append(out, Row{Value: or(o.Args["reason"], t("verdict.no")), Tone: "no", Plain: true})
	case x.Stored != nil && x.Stored.ID <= until:
		out = append(out, Row{Value: t("api.done", "what", x.Target.Label(), "code", x.Code()), Tone: "ok", Plain: true})
	case x.Response != nil && x.Response.ID <= until:
		tone := "ok"
		if x.Refused() {
			tone = "no"
		}
		out = append(out, Row{Value: t("api.done", "what", x.Target.Label(), "code", x.Code()), Tone: tone, Plain: true})
	}
	return out
}

// groups prints a list of groups, however it was written.
func groups(s string) string {
	s = strings.Trim(s, "[]")
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '"' }), ", ")
}

func resourceOf(t Target) string {
	s := t.Resource
	if s == "" {
		return t.Path
	}
	if t.Group != "" {
		s += "." + t.Group
	}
	return s
}

// controllersShown are the controllers that take part in joining, with the
// name that 1.36 knows them by and the one they had before.
var controllersShown = []struct {
	name, long string
	on         bool
}{
	{"csrapproving", "certificatesigningrequest-approving-controller", true},
	{"csrsigning", "certificatesigningrequest-signing-controller", true},
	{"csrcleaner", "certificatesigningrequest-cleaner-controller", true},
	{"bootstrapsigner", "bootstrap-signer-controller", false},
	{"tokencleaner", "token-cleaner-controller", false},
}

func (m *Model) kcmCard() KCMCard {
	t := m.text()
	c := KCMCard{Name: "kube-controller-manager"}
	u := m.unit("control-1", "kube-controller-manager")
	if u == nil {
		return c
	}
	if u.State != "active" {
		c.Off = t("unit." + u.State)
	}
	list := strings.Split(or(u.Flags["controllers"], "*"), ",")
	for _, k := range controllersShown {
		on := k.on && slices.Contains(list, "*")
		if slices.Contains(list, k.name) || slices.Contains(list, k.long) {
			on = true
		}
		if slices.Contains(list, "-"+k.name) || slices.Contains(list, "-"+k.long) {
			on = false
		}
		on = on && u.State == "active"
		ch := Chip{Text: k.name, On: on, Title: t("kcm.on"), Tone: "controller-manager"}
		if !on {
			ch.Title, ch.Tone = t("kcm.off"), "off"
		}
		c.Chips = append(c.Chips, ch)
	}
	waiting := 0
	for _, r := range m.View.CSRs {
		if r.Condition == "Pending" {
			waiting++
		}
	}
	c.Note = t("kcm.note", "csrs", len(m.View.CSRs), "waiting", waiting, "duration", trimDuration(or(u.Flags["cluster-signing-duration"], "8760h0m0s")))
	return c
}

// trimDuration drops the zeros that Go prints: "8760h0m0s" is "8760h".
func trimDuration(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (m *Model) youCard() YouCard {
	t := m.text()
	return YouCard{Name: t("you.name"), As: t("you.as"), Identity: "kubernetes-admin (system:masters)", Note: t("you.note")}
}
