package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/client"
	"github.com/joinery-lab/joinery/engine/controllers"
	"github.com/joinery-lab/joinery/engine/kubelet"
)

// whyCSR explains a CertificateSigningRequest.
func (w *World) whyCSR(e *Explanation, name string) error {
	for o := range api.All[*certificatesv1.CertificateSigningRequest](w.Store, "certificatesigningrequests") {
		if o.Name == name {
			w.explainCSR(e, o)
			return nil
		}
	}
	return fmt.Errorf("there is no certificate signing request %q", name)
}

func (w *World) explainCSR(e *Explanation, o *certificatesv1.CertificateSigningRequest) {
	v := lookCSR(o)
	addr, m := w.manager()
	signer := v.Signer
	if signer == "" { // up to 1.17 a request names none
		signer = "kube-controller-manager"
	}
	args := []string{"signer", signer, "by", v.Requestor}
	last := w.Decisions["csr/"+o.Name]
	switch {
	case strings.Contains(v.Condition, "Failed"):
		e.State = reason("csr-failed", append(args, "reason", v.Reason, "message", v.Message)...)
		add(&e.Knows, reason("condition", "csr", o.Name, "message", v.Message))
		add(&e.Needs, reason("request", "message", v.Message))
	case v.Condition == "Denied":
		e.State = reason("csr-denied", append(args, "reason", v.Reason, "message", v.Message)...)
		add(&e.Knows, reason("condition", "csr", o.Name, "message", v.Message))
		w.explainRule(e, last)
		add(&e.Needs, reason("new-request"))
	case v.Certificate != "":
		e.State = reason("csr-issued", args...)
		w.explainGrant(e, o)
	case v.Condition == "Approved":
		e.State = reason("csr-unsigned", args...)
		w.needSigner(e, addr, m, v.Signer)
		if last.Args["reason"] == "SigningError" {
			add(&e.Knows, w.log(last.By, last.Args["message"], 0))
			if m != nil {
				file, _ := m.Signs(v.Signer)
				host, _ := split(addr)
				add(&e.Needs, reason("file", "host", host, "path", file, "error", last.Args["message"]))
			}
		}
	default:
		e.State = reason("csr-pending", args...)
		if last.Args["reason"] == "NotPermitted" {
			add(&e.Knows, w.log(last.By, last.Args["message"], 4))
		}
		w.explainRule(e, last)
		w.explainName(e, o)
		w.needApprover(e, addr, m, o)
		add(&e.Needs, reason("approval", "csr", o.Name))
	}
	if at, after := controllers.Cleans(w.newest(), o); !at.IsZero() && m != nil && m.Runs("certificatesigningrequest-cleaner-controller") {
		add(&e.Next, reason("cleaned", "after", after.String()).at(at.UTC()))
	}
}

// explainRule says which of its rules an approver found broken.
func (w *World) explainRule(e *Explanation, last decision) {
	switch {
	case last.Args["log"] == "" && last.Args["reason"] != "ApproveFailed":
		return
	case last.Args["log"] != "":
		add(&e.Knows, w.log(last.By, last.Args["log"], 0))
	default:
		add(&e.Knows, w.log(last.By, last.Args["message"], 0))
	}
	rule := last.Args["rule"]
	if rule == "" {
		rule = last.Args["message"]
	}
	add(&e.Needs, reason("rule", "unit", last.By, "rule", rule))
}

// needSigner is what keeps an approved request from being signed.
func (w *World) needSigner(e *Explanation, addr string, m *controllers.ControllerManager, signer string) {
	switch {
	case m == nil:
		add(&e.Needs, reason("unit", "unit", "kube-controller-manager"))
	case signer != "" && !slices.Contains(ownSigners, signer):
		add(&e.Needs, reason("signer", "signer", signer))
	default:
		w.needLeader(e, addr)
		if !m.Runs("certificatesigningrequest-signing-controller") {
			add(&e.Needs, reason("controller", "unit", addr, "name", "csrsigning"))
		} else if flag := m.Lacks(signer); flag != "" {
			add(&e.Needs, reason("flag", "unit", addr, "flag", flag))
		}
	}
}

// ownSigners are those that kube-controller-manager serves.
var ownSigners = []string{certificatesv1.KubeAPIServerClientSignerName, certificatesv1.KubeAPIServerClientKubeletSignerName, certificatesv1.KubeletServingSignerName, "kubernetes.io/legacy-unknown"}

// needApprover is what would approve a request by itself: for a kubelet's
// client certificate the permission that the approver asks about.
func (w *World) needApprover(e *Explanation, addr string, m *controllers.ControllerManager, o *certificatesv1.CertificateSigningRequest) {
	permission := "nodeclient"
	if strings.HasPrefix(o.Spec.Username, "system:node:") {
		permission = "selfnodeclient"
	}
	if o.Spec.SignerName == "" && m != nil {
		list := m.Permissions(o)
		if len(list) == 0 {
			add(&e.Knows, reason("no-approver-shape"))
			return
		}
		permission = list[0]
	} else if o.Spec.SignerName != certificatesv1.KubeAPIServerClientKubeletSignerName {
		if w.Decisions["csr/"+o.Name].By == "" {
			add(&e.Knows, reason("no-approver", "signer", o.Spec.SignerName))
		}
		return
	}
	switch {
	case m == nil:
		add(&e.Needs, reason("unit", "unit", "kube-controller-manager"))
		return
	case !m.Runs("certificatesigningrequest-approving-controller"):
		add(&e.Needs, reason("controller", "unit", addr, "name", "csrapproving"))
		return
	}
	w.needLeader(e, addr)
	_, s := w.server()
	if s == nil {
		return
	}
	add(&e.Needs, w.permission(s, o.Spec.Username, o.Spec.Groups, permission)...)
}

func (w *World) permission(s *api.Server, user string, groups []string, sub string) []Reason {
	ok, would := s.May(user, groups, "create", "certificates.k8s.io", "certificatesigningrequests", sub, "")
	if ok {
		return nil
	}
	return bindings(would)
}

// whyNode explains a node: whether it is there, and its kubelet.
func (w *World) whyNode(e *Explanation, name string) error {
	if w.machine(name) == nil {
		return fmt.Errorf("there is no host %q; there are %v", name, w.Hosts())
	}
	if err := w.whyUnit(e, name, "kubelet"); err != nil {
		return err
	}
	w.explainSilence(e, w.machine(name).Name)
	return nil
}

// whyUnit explains a unit; of a kubelet, how far it is with joining.
func (w *World) whyUnit(e *Explanation, host, name string) error {
	m := w.machine(host)
	if m == nil {
		return fmt.Errorf("there is no host %q; there are %v", host, w.Hosts())
	}
	if _, err := m.readUnit(name); err != nil {
		return fmt.Errorf("on %s: %w", host, err)
	}
	host = m.Name // it may have been asked for by its address
	addr := host + "/" + name
	u := m.unit(name)
	if m.away() {
		e.State = reason(map[bool]string{true: "off", false: "asleep"}[m.Off], "host", host)
		add(&e.Needs, reason("host", "host", host))
		return nil
	}
	if w.Procs[addr] == nil {
		e.State = reason(map[bool]string{true: "restarting", false: "stopped"}[u.Restarting], "state", u.State, "code", strconv.Itoa(u.Code))
		if last, ok := w.Decisions["join/"+host]; ok && name == "kubelet" {
			w.explainJoin(e, last)
			return nil
		}
		w.explainEnd(e, m, name)
		if lock := w.lockOf(name); lock != "" {
			w.explainLeader(e, lock)
		}
		return nil
	}
	phase := u.PhaseArgs
	e.State = reason(w.phaseState(addr, u.Phase), "phase", u.Phase, "as", phase["user"], "csr", phase["csr"])
	if c, ok := w.actorAt(addr).(candidate); ok {
		if lock, leads, _ := c.Candidate(); lock != "" && !leads {
			e.State = reason("standby", "lease", lock, "leader", w.explainLeader(e, lock))
		}
	}
	w.explainTroubles(e, addr, m)
	if u.Phase == kubelet.PhaseJoined && e.State.Kind != "kubelet-joined" {
		add(&e.Next, reason("keeps-trying", "unit", addr))
	}
	if t, err := time.Parse(time.RFC3339Nano, phase["next"]); err == nil && u.Phase != "" && t.After(w.Clock) {
		kind := "retry"
		if u.Phase == "joined" {
			kind = "rotate"
		} else if u.Phase == "pending" {
			kind = "ask-again"
		} else if u.Phase == "expired" {
			kind = "exit"
		}
		// One that believes that no server answers stays and complains; one that
		// waits for its first certificate before all else ends.
		if k, ok := w.Procs[addr].actor.(*kubelet.Kubelet); ok && kind == "ask-again" && k.Client.Sync {
			add(&e.Next, reason("blocked", "csr", phase["csr"]).at(t))
		} else if k, ok := w.Procs[addr].actor.(*kubelet.Kubelet); !ok || kind != "exit" || k.Health.Server {
			add(&e.Next, reason(kind).at(t))
		}
	}
	if name := phase["csr"]; name != "" && u.Phase != "joined" {
		var inner Explanation
		if w.whyCSR(&inner, name) == nil {
			add(&e.Knows, inner.Knows...)
			add(&e.Needs, inner.Needs...)
		}
	}
	w.explainHeld(e, addr, m)
	w.explainShared(e, addr, m)
	if k, ok := w.Procs[addr].actor.(*kubelet.Kubelet); ok && k.Reg.Faults > 0 {
		add(&e.Knows, w.log(addr, "Failed to set some node status fields", 0))
		add(&e.Needs, reason("node-ip", "unit", addr, "flag", "--node-ip="+k.Flags.NodeIP, "host", host, "has", strings.Join(m.addresses(), ", ")))
	}
	switch u.Phase {
	case "joined":
		w.explainRenewal(e, m, phase)
		w.explainServing(e, m)
		w.explainPort(e, m)
		w.explainCallers(e, m)
	case "rotating":
		w.explainTries(e, addr, m)
	case "expired":
		add(&e.Needs, reason("certificate", "subject", "system:node:"+host))
		if by := m.Clock.Skew(w.Clock); by.Abs() > time.Minute {
			add(&e.Needs, reason("clock", "host", host, "by", (-by).String()))
		}
	}
	return nil
}

// phaseState names what the phase of a unit means.
func (w *World) phaseState(addr, phase string) string {
	switch w.actorAt(addr).(type) {
	case *kubelet.Kubelet:
		if phase != "" {
			return "kubelet-" + phase
		}
	case *client.Client:
		if phase != "" {
			return "client-" + phase
		}
	}
	return "running"
}

// explainTroubles says what goes wrong for a client of the API server now.
func (w *World) explainTroubles(e *Explanation, addr string, m *machine) {
	_, isKubelet := w.actorAt(addr).(*kubelet.Kubelet)
	if t, ok := w.trouble(addr, aspectConn); ok && isKubelet {
		e.State = reason("unreachable", "error", t.Error, "server", t.Server)
		add(&e.Knows, w.log(addr, t.Error, 0))
		add(&e.Needs, w.connNeeds(addr, t)...)
		return
	}
	if !isKubelet {
		w.explainPeers(e, addr)
	}
	// A node that waits for its certificate is refused as anonymous, which is no
	// 401: what counts is how its request fares.
	t, ok := w.trouble(addr, aspectCSR)
	if !ok {
		if t, ok = w.trouble(addr, aspectOther); !ok || isKubelet && m.unit("kubelet").Phase != "joined" && t.Code != 401 {
			return
		}
	}
	e.State = reason("refused", "code", strconv.Itoa(t.Code), "request", t.Request, "as", t.Args["user"])
	switch t.Code {
	case 401:
		add(&e.Knows, w.log(t.Server, t.Log, t.V))
		switch {
		case strings.Contains(t.Log, "unknown authority"):
			add(&e.Needs, reason("client-ca", "unit", t.Server))
		case strings.Contains(t.Log, "is before"), strings.Contains(t.Log, "is after"):
			host, _ := split(t.Server)
			if !w.renewed(addr, m) {
				add(&e.Needs, reason("certificate", "subject", w.who(addr, m)))
			}
			if by := w.machine(host).Clock.Skew(w.Clock); by.Abs() > time.Minute {
				add(&e.Needs, reason("clock", "host", host, "by", (-by).String()))
			}
		}
		if id := tokenOf(t.Log); id != "" {
			var inner Explanation
			if w.whyToken(&inner, id) == nil {
				add(&e.Needs, inner.Needs...)
			}
		}
	case 403:
		add(&e.Knows, reason("answer", "unit", addr, "code", "403"))
		if t.Log != "" {
			add(&e.Knows, w.log(t.Server, t.Log, t.V))
		}
		switch {
		case t.Args["user"] == "system:anonymous":
			// It needs a name, not rights for everyone.
			add(&e.Needs, reason("credentials", "host", m.Name))
			return
		case t.Args["plugin"] != "":
			add(&e.Needs, reason("admission", "plugin", t.Args["plugin"], "message", t.Args["reason"]))
			return
		}
		var would api.Would
		if json.Unmarshal([]byte(t.Args["would"]), &would) == nil {
			add(&e.Needs, bindings(&would)...)
		}
	}
}

// tokenOf is the id of the bootstrap token that a line of a log is about.
func tokenOf(line string) string {
	_, rest, ok := strings.Cut(line, "bootstrap-token-")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, " ")
	return id
}

// explainRenewal looks ahead: what will keep the next certificate from coming,
// and what happens then.
func (w *World) explainRenewal(e *Explanation, m *machine, phase map[string]string) {
	if end, err := time.Parse(time.RFC3339Nano, phase["notAfter"]); err == nil {
		add(&e.Next, reason("expires").at(w.Clock.Add(end.Sub(m.Clock.At(w.Clock)))))
	}
	if p := w.Procs[m.Name+"/kubelet"]; p != nil {
		if k, ok := p.actor.(*kubelet.Kubelet); ok && !k.Rotate {
			add(&e.Needs, reason("rotation", "host", m.Name, "path", k.Flags.Config))
			return
		}
	}
	_, s := w.server()
	if s == nil {
		return
	}
	if missing := w.permission(s, phase["user"], []string{"system:nodes", "system:authenticated"}, "selfnodeclient"); missing != nil {
		for i := range missing {
			missing[i].Kind = "renewal-binding"
		}
		add(&e.Needs, missing...)
	}
	for _, use := range []string{"client", "serving"} {
		w.explainLate(e, m, use)
	}
}

// explainPort says until when the certificate of a kubelet's port is good, and when
// the kubelet asks for the next one: at 70 to 90 % of its life, if it asks at all.
func (w *World) explainPort(e *Explanation, m *machine) {
	k, ok := w.actorAt(m.Name + "/kubelet").(*kubelet.Kubelet)
	if !ok {
		return
	}
	there := func(t time.Time) time.Time { return w.Clock.Add(t.Sub(m.Clock.At(w.Clock))) }
	if x := k.Serving.Cert; k.Port.Bootstrap && x != nil {
		life := x.NotAfter.Sub(x.NotBefore)
		stamp := func(tenths time.Duration) string {
			return x.NotBefore.Add(life / 10 * tenths).UTC().Format(time.RFC3339)
		}
		if !x.Deadline.IsZero() && x.Deadline.After(m.Clock.At(w.Clock)) {
			add(&e.Next, reason("serving-rotates", "from", stamp(7), "to", stamp(9)).at(there(x.Deadline)))
		}
		add(&e.Next, reason("serving-expires").at(there(x.NotAfter)))
	} else if b, err := m.Disk.ReadFile(k.Port.CertFile); err == nil && firstCert(b) != nil {
		add(&e.Next, reason("pair-expires", "path", k.Port.CertFile, "host", m.Name).at(there(firstCert(b).NotAfter)))
	}
}
