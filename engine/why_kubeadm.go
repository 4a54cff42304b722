package engine

import (
	"fmt"
	"time"

	"github.com/joinery-lab/joinery/engine/kubelet"
	"github.com/joinery-lab/joinery/engine/sim"
)

// explainJoin says why kubeadm join gave up before there was a kubelet to ask.
// It ends when it gives up, so nothing happens by itself.
func (w *World) explainJoin(e *Explanation, last decision) {
	a := last.Args
	host, _ := split(last.By)
	e.State = reason("join-refused", "host", host, "message", a["message"])
	add(&e.Knows, reason("said", "program", "kubeadm", "host", host, "message", a["message"]))
	switch a["reason"] {
	case "NotPinned":
		add(&e.Needs, reason("pin", "found", a["found"], "given", a["given"]))
	case "WrongSignature":
		add(&e.Needs, reason("token-secret", "secret", "bootstrap-token-"+a["token"]))
	case "NoSignature":
		add(&e.Needs, w.signatureNeeds(a["token"])...)
	case "UnknownAuthority":
		add(&e.Needs, reason("cluster-info", "server", a["server"], "has", a["found"]))
	default:
		if t, ok := w.trouble(last.By, aspectConn); ok {
			add(&e.Needs, w.connNeeds(last.By, t)...)
		}
	}
	add(&e.Next, reason("nothing", "program", "kubeadm"))
}

// signatureNeeds is what keeps a bootstrap token from signing cluster-info.
func (w *World) signatureNeeds(id string) []Reason {
	addr, m := w.manager()
	_, s := w.server()
	secret := "bootstrap-token-" + id
	switch {
	case m == nil:
		return []Reason{reason("unit", "unit", "kube-controller-manager")}
	case !m.Runs("bootstrap-signer-controller"):
		return []Reason{reason("controller", "unit", addr, "name", "bootstrapsigner")}
	case s == nil:
		return []Reason{reason("unit", "unit", "kube-apiserver")}
	case !m.Leads():
		var inner Explanation
		w.needLeader(&inner, addr)
		return inner.Needs
	}
	found, signs := s.TokenSigns(id)
	switch {
	case !found:
		return []Reason{reason("token", "secret", secret)}
	case !signs:
		return []Reason{reason("token-signing", "secret", secret)}
	}
	var inner Explanation
	if w.whyToken(&inner, id) == nil {
		return inner.Needs
	}
	return nil
}

// explainLate says that a certificate's rotation is overdue: the timer for it
// counts no sleep and no jump of the clock, and nobody's log tells of it.
func (w *World) explainLate(e *Explanation, m *machine, use string) {
	addr := m.Name + "/kubelet"
	k, ok := w.actorAt(addr).(*kubelet.Kubelet)
	if !ok {
		return
	}
	x, now := k.Client.Cert, m.Clock.At(w.Clock)
	if use == "serving" {
		x = k.Serving.Cert
	}
	if x == nil || x.Deadline.IsZero() || now.Before(x.Deadline) || now.After(x.NotAfter) {
		return
	}
	tag := fmt.Sprintf("rotate %s#%d", use, k.Timers["rotate "+use])
	var at time.Time
	for i := range w.Queue.Events {
		if q := w.Queue.Events[i]; q.To == addr && q.Msg.Kind == sim.MsgWake && q.Msg.Tag == tag {
			at = q.At
		}
	}
	if at.IsZero() {
		return
	}
	add(&e.Knows, reason("late", "use", use, "deadline", x.Deadline.UTC().Format(time.RFC3339)))
	add(&e.Needs, reason("restart", "unit", addr))
	if end := w.Clock.Add(x.NotAfter.Sub(now)); use == "serving" && end.Before(at) {
		add(&e.Next, reason("serving-expires").at(end))
	}
	add(&e.Next, reason("rotate-late", "use", use).at(at))
}
