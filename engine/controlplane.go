package engine

import (
	"crypto/x509/pkix"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/sim"
)

// controlIPs are the addresses of control-1 to control-3; with three of them
// everyone else calls balancedIP, where a load balancer stands.
var controlIPs = []string{"10.0.0.10", "10.0.0.4", "10.0.0.5"}

const balancedIP = "10.0.0.3"

// controls is how many control planes there are: one or three.
func (c Config) controls() int { return max(1, c.ControlPlanes) }

// endpoint is where the API is reached: the server itself, or the load balancer.
func (c Config) endpoint() string {
	if c.controls() > 1 {
		return balancedIP + ":6443"
	}
	return controlIPs[0] + ":6443"
}

// controlHosts are the machines of the control planes, in order.
func (w *World) controlHosts() []*machine {
	var out []*machine
	for i := range w.Config.controls() {
		if m := w.machine(fmt.Sprintf("control-%d", i+1)); m != nil {
			out = append(out, m)
		}
	}
	return out
}

// servingName is whom kube-apiserver's certificate on a host is for.
func (w *World) servingName(m *machine) (subject pkix.Name, dns []string, ips []net.IP) {
	ips = []net.IP{net.IPv4(10, 96, 0, 1).To4(), net.ParseIP(m.IP).To4()}
	if w.Config.controls() > 1 {
		ips = append(ips, net.ParseIP(balancedIP).To4())
	}
	return pkix.Name{CommonName: "kube-apiserver"}, []string{m.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}, ips
}

// controlUnit is the unit file of a component on a control plane. Among several
// kube-controller-managers one leads.
func (w *World) controlUnit(name string, m *machine) string {
	text := w.unitText(name, m)
	if w.Config.controls() > 1 {
		text = strings.ReplaceAll(text, "--leader-elect=false", "--leader-elect=true")
	}
	return text
}

// startControl starts the control planes, component by component.
func (w *World) startControl() error {
	for _, u := range controlUnits {
		for _, m := range w.controlHosts() {
			if err := w.startUnit(m, u); err != nil {
				return fmt.Errorf("the control plane does not start: %w", err)
			}
		}
		w.AdvanceTo(w.Clock.Add(5 * time.Second))
	}
	return nil
}

// behind is the server that the load balancer hands a new connection to: the
// next one in turn that listens. Other addresses stay as they are.
func (w *World) behind(target string) string {
	if w.Config.controls() == 1 || target != w.Config.endpoint() {
		return target
	}
	_, port, _ := strings.Cut(target, ":")
	for range controlIPs {
		w.Turn = (w.Turn + 1) % uint64(w.Config.controls())
		if next := controlIPs[w.Turn] + ":" + port; w.Listeners[next] != nil {
			return next
		}
	}
	return target
}

// tellOthers lets the other API servers know that one of them changed what etcd
// holds: their watches of etcd tell them, a moment later.
func (w *World) tellOthers(addr string) {
	for _, m := range w.controlHosts() {
		other := m.Name + "/kube-apiserver"
		if p := w.Procs[other]; p != nil && other != addr {
			w.post(w.Clock.Add(latency), other, p.Life, sim.Msg{Kind: sim.MsgWake, Tag: api.Changed})
		}
	}
}
