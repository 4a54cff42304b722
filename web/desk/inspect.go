package desk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine"
)

func (m *Model) inspector() Inspector {
	t := m.text()
	r := Inspector{Name: t("area.inspector"), Open: m.Tabs.Right, Back: Button{Test: "back", Label: t("inspect.back"), Msg: Tab{"left", "learn"}}}
	for _, n := range RightTabs {
		r.Tabs = append(r.Tabs, Button{Test: "inspector-" + n, Label: t("tab." + n), Pressed: n == r.Open, Msg: Tab{"right", n}})
	}
	if f := inspectors[r.Open]; f != nil {
		f(m, &r)
	}
	return r
}

// inspectors fill the panel of each tab.
var inspectors = map[string]func(*Model, *Inspector){
	"request":     (*Model).inspectRequest,
	"certificate": (*Model).inspectCertificate,
	"csr":         (*Model).inspectCSR,
	"rbac":        (*Model).inspectRBAC,
	"files":       (*Model).inspectFiles,
	"trust":       (*Model).inspectTrust,
}

func (m *Model) empty(r *Inspector, key string) {
	t := m.text()
	r.Title = t(key + ".title")
	r.Blocks = append(r.Blocks, Block{Text: t(key + ".text")})
}

func (m *Model) inspectRequest(r *Inspector) {
	t := m.text()
	x := m.exchange()
	if x == nil {
		m.empty(r, "request.none")
		return
	}
	until := m.until()
	r.Title = x.Target.Method + " " + or(strings.TrimSuffix(x.Target.Resource+"/"+x.Target.Sub, "/"), x.Target.Path)
	if x.Target.Name != "" {
		r.Sub = x.Target.Name
	}
	id := Row{Key: t("request.client"), Value: t("request."+or(x.Identity, "anonymous"), "credential", x.Credential), Tone: x.Identity}
	rows := []Row{{Key: t("request.from"), Value: strings.ReplaceAll(x.Client, "/", " ")}, m.serverRow(x), id}
	if x.Agent != "" {
		rows = append(rows, Row{Key: t("request.agent"), Value: x.Agent})
	}
	answer := Row{Key: t("request.answer"), Value: t("lane.open"), Test: "request-answer"}
	if x.Failed() {
		rows = rows[:2]
		answer.Value, answer.Tone = t("lane.failed"), "no"
	}
	if o := x.Response; o != nil && o.ID <= until {
		answer.Value, answer.Tone = t("request.in", "status", status(x.Code()), "span", span(o.Until.Sub(x.At))), "ok"
		if x.Refused() {
			answer.Tone = "no"
		}
		if o.Args["open"] == "true" {
			answer.Value = t("request.watching", "status", status(x.Code()), "n", len(x.Frames))
		}
	}
	r.Blocks = append(r.Blocks, Block{Rows: append(rows, answer)})
	r.Blocks = append(r.Blocks, m.verdict(x, until)...)
	r.Blocks = append(r.Blocks, m.whyNode(hostOf(x.Client))...)
	r.Blocks = append(r.Blocks, m.insideRequest(x)...)
	if b := pretty(x.Body); b != "" {
		r.Blocks = append(r.Blocks, Block{Head: t("request.body"), Pre: b})
	}
	if o := x.Response; o != nil && o.ID <= until {
		if b := pretty(o.Payload); b != "" {
			r.Blocks = append(r.Blocks, Block{Head: t("request.reply"), Pre: b})
		}
	}
	list := Block{Head: t("request.others")}
	for _, o := range m.Ledger.Recent(until, false, 14) {
		it := Item{Text: o.Target.Label(), Note: hostOf(o.Client) + " · " + stamp(o.At), Chip: o.Code(), Tone: "ok", On: o == x, Msg: Pick{Kind: "exchange", N: o.ID}}
		if o.Refused() {
			it.Tone = "no"
		}
		list.Items = append(list.Items, it)
	}
	r.Blocks = append(r.Blocks, list)
}

func (m *Model) serverRow(x *Exchange) Row {
	t := m.text()
	// A connection may be older than all that the page has heard of.
	r := Row{Key: t("request.server"), Value: t("request.server.early")}
	if h := x.Handshake; h != nil {
		r.Value = t("request.verified", "cn", h.Args["server"], "version", h.Args["version"])
		if x.Failed() {
			r.Value, r.Tone = "CN="+h.Args["server"], "no"
		}
	}
	return r
}

// verdict says which stage refused and what would allow it.
func (m *Model) verdict(x *Exchange, until uint64) []Block {
	t := m.text()
	o := x.refusal(until)
	if o == nil {
		if a := x.Authz; a != nil && a.ID <= until && a.Args["reason"] != "" {
			return []Block{{Tone: "ok", Bold: t("verdict.authz.yes"), Text: a.Args["reason"], Test: "verdict"}}
		}
		return nil
	}
	stage := map[bool]string{true: "tls", false: "etcd"}[x.Failed()]
	switch o {
	case x.Authn:
		stage = "authn"
	case x.Authz:
		stage = "authz"
	case x.Admit:
		stage = "admit"
	}
	said := o.Args["reason"]
	if x.Failed() {
		said = or(o.Args["client-error"], o.Args["server-error"])
	}
	if x.Response != nil && x.Response.ID <= until {
		said = or(messageOf(x.Response.Payload), said)
	}
	out := []Block{{Tone: "no", Bold: t("verdict." + stage + ".no"), Text: said, Test: "verdict"}}
	if stage == "authz" {
		out = append(out, m.wouldAllow(x)...)
	}
	return out
}

// wouldAllow says which binding would let the request pass.
func (m *Model) wouldAllow(x *Exchange) []Block {
	t := m.text()
	w := wouldOf(x.Authz)
	if w.Role == "" {
		return nil
	}
	b := Block{Tone: "plain", Bold: t("would.title"), Text: t("would.text", "subject", w.Subject, "role", w.Role), Test: "would-allow"}
	if m.bound(w.Role) {
		b.Text = t("would.now", "role", w.Role)
		return []Block{b}
	}
	if a, ok := m.action("bind"); ok && w.Role == roleBootstrap {
		b.Pre = a.Line
		b.Buttons = []Button{{Test: "fix", Label: t("would.fix"), Disabled: !a.Enabled, Primary: true, Msg: Press{"bind"}}}
	}
	return []Block{b}
}

func (m *Model) inspectCSR(r *Inspector) {
	t := m.text()
	c := m.csr()
	if c == nil {
		m.empty(r, "csr.none")
		return
	}
	r.Title = c.Name
	rows := []Row{
		{Key: t("csr.condition"), Value: c.Condition, Tone: conditionTone(c.Condition)},
		{Key: "requestor", Value: c.Requestor},
		{Key: "signerName", Value: c.Signer},
		{Key: "usages", Value: strings.Join(c.Usages, ", ")},
		{Key: t("csr.created"), Value: clock(c.Created)},
	}
	if c.Expiration != nil {
		rows = append(rows, Row{Key: "expirationSeconds", Value: fmt.Sprint(*c.Expiration)})
	}
	b := Block{Rows: rows}
	if c.Condition == "Pending" {
		for _, n := range []string{"approve", "deny"} {
			a, _ := m.action(n)
			b.Buttons = append(b.Buttons, Button{Test: "csr-" + n, Label: t("action." + n), Hint: a.Host + "$ " + a.Line, Disabled: !a.Enabled, Primary: n == "approve", Msg: Press{n}})
		}
	}
	r.Blocks = append(r.Blocks, b)
	if c.Reason != "" {
		tone := conditionTone(c.Condition)
		if tone == "wait" {
			tone = "ok"
		}
		r.Blocks = append(r.Blocks, Block{Tone: tone, Bold: c.Reason, Text: c.Message})
	}
	r.Blocks = append(r.Blocks, m.whyBlocks(c.Why)...)
	r.Blocks = append(r.Blocks, m.sheet([]byte(c.Request), t("csr.sheet"))...)
	if c.Certificate != "" {
		r.Blocks = append(r.Blocks, m.sheet([]byte(c.Certificate), t("csr.issued"))...)
	}
	r.Blocks = append(r.Blocks, m.csrList(c))
}

func (m *Model) csrList(on *engine.CSRView) Block {
	b := Block{Head: m.text()("csr.all")}
	for _, c := range slices.Backward(m.View.CSRs) {
		b.Items = append(b.Items, Item{Text: c.Name, Note: c.Requestor, Chip: c.Condition, Tone: conditionTone(c.Condition), On: c.Name == on.Name, Msg: Pick{Kind: "csr", ID: c.Name}})
		if len(b.Items) == 40 {
			break
		}
	}
	return b
}

func (m *Model) inspectRBAC(r *Inspector) {
	t := m.text()
	r.Title = t("rbac.title")
	r.Blocks = append(r.Blocks, Block{Text: t("rbac.text")})
	b := Block{Head: t("rbac.bindings")}
	for _, v := range m.View.Bindings {
		b.Items = append(b.Items, Item{Text: v.Name, Note: t("rbac.binding", "role", v.Role, "subjects", strings.Join(v.Subjects, ", "))})
	}
	if len(b.Items) == 0 {
		b.Text = t("rbac.none")
	}
	r.Blocks = append(r.Blocks, b)
	if x := m.exchange(); x != nil && x.Authz != nil && x.Authz.ID <= m.until() {
		rows := []Row{{Key: t("api.user"), Value: x.Authz.Args["user"], Tone: x.Identity}}
		if x.Authn != nil {
			rows = append(rows, Row{Key: t("api.groups"), Value: groups(x.Authn.Args["groups"]), Tone: x.Identity})
		}
		rows = append(rows, Row{Key: t("rbac.verb"), Value: or(x.Authz.Args["verb"], x.Target.Method)}, Row{Key: t("rbac.resource"), Value: resourceOf(x.Target)},
			Row{Key: t("rbac.rule"), Value: or(x.Authz.Args["rule"], x.Authz.Args["reason"], "—")})
		r.Blocks = append(r.Blocks, Block{Head: t("rbac.last"), Rows: rows})
		r.Blocks = append(r.Blocks, m.verdict(x, m.until())...)
	}
	needs := Block{Head: t("rbac.needs")}
	for _, n := range []struct{ role, key string }{{roleBootstrap, "rbac.need.create"}, {roleApprove, "rbac.need.approve"}, {roleRenew, "rbac.need.renew"}} {
		it := Item{Text: n.role, Note: t(n.key), Chip: t("rbac.unbound"), Tone: "off"}
		if m.bound(n.role) {
			it.Chip, it.Tone = t("rbac.bound"), "ok"
		}
		needs.Items = append(needs.Items, it)
	}
	r.Blocks = append(r.Blocks, needs)
}

func (m *Model) inspectFiles(r *Inspector) {
	t := m.text()
	h := m.host(or(m.Sel.Host, "node-1"))
	if h == nil {
		m.empty(r, "files.none")
		return
	}
	r.Title, r.Sub = h.Name, h.IP
	hosts := Block{}
	for _, o := range m.View.Hosts {
		hosts.Buttons = append(hosts.Buttons, Button{Label: o.Name, Pressed: o.Name == h.Name, Msg: Pick{Kind: "host", ID: o.Name}})
	}
	r.Blocks = append(r.Blocks, hosts)
	dir := ""
	var b Block
	for _, f := range h.Files {
		i := strings.LastIndexByte(f.Path, '/')
		if d := f.Path[:i+1]; d != dir {
			if len(b.Items) > 0 {
				r.Blocks = append(r.Blocks, b)
			}
			dir, b = d, Block{Head: d}
		}
		it := Item{Text: f.Path[i+1:], Note: f.Mode + "  " + fmt.Sprint(f.Size), On: f.Path == m.Sel.File, Msg: Pick{Kind: "file", ID: h.Name + ":" + f.Path}, Test: "file"}
		if f.Target != "" {
			it.Text += " → " + f.Target[strings.LastIndexByte(f.Target, '/')+1:]
		}
		b.Items = append(b.Items, it)
		if f.Path == m.Sel.File {
			b.Pre, b.Verbatim = or(f.Text, t("files.nottext")), f.Text != ""
			if f.Target != "" {
				b.Pre = "→ " + f.Target
			}
			if strings.Contains(f.Text, "-----BEGIN CERTIFICATE-----") {
				b.Buttons = append(b.Buttons, Button{Label: t("files.explain"), Msg: Pick{Kind: "cert", ID: h.Name + ":" + f.Path}})
			}
			r.Blocks = append(r.Blocks, b)
			b = Block{}
		}
	}
	if len(b.Items) > 0 {
		r.Blocks = append(r.Blocks, b)
	}
}
