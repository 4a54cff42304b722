package kubelet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"sort"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	netutils "k8s.io/utils/net"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// parseNodeIPs reads --node-ip; what is no address is passed over, and told of.
// Models k8s.io/component-helpers/node/util ParseNodeIPArgument.
func (k *Kubelet) parseNodeIPs(c *sim.Ctx) error {
	var invalid []string
	k.IPs = nil
	for _, word := range strings.Split(k.Flags.NodeIP, ",") {
		if ip := netutils.ParseIPSloppy(strings.TrimSpace(word)); ip != nil {
			k.IPs = append(k.IPs, ip)
		} else if k.Flags.NodeIP != "" {
			invalid = append(invalid, strings.TrimSpace(word))
		}
	}
	switch n := len(k.IPs); {
	case n > 2 || n == 2 && (k.IPs[0].To4() == nil) == (k.IPs[1].To4() == nil):
		return fmt.Errorf("bad --node-ip %q: must contain either a single IP or a dual-stack pair of IPs", k.Flags.NodeIP)
	case n == 2 && (k.IPs[0].IsUnspecified() || k.IPs[1].IsUnspecified()):
		return fmt.Errorf("bad --node-ip %q: dual-stack node IP cannot include '0.0.0.0' or '::'", k.Flags.NodeIP)
	}
	if len(invalid) > 0 {
		k.log(c, lineNoNodeIP, "IPs", quoted(invalid))
	}
	return nil
}

// validNodeIP refuses an address that can't be the node's. Models pkg/kubelet
// validateNodeIP.
func validNodeIP(c *sim.Ctx, ip net.IP) error {
	for _, x := range []struct {
		is    bool
		words string
	}{{ip.IsLoopback(), "loopback"}, {ip.IsMulticast(), "a multicast"}, {ip.IsLinkLocalUnicast(), "a link-local unicast"}} {
		if x.is {
			return fmt.Errorf("nodeIP can't be %s address", x.words)
		}
	}
	for _, has := range c.Addresses() {
		if ip.Equal(net.ParseIP(has)) {
			return nil
		}
	}
	return fmt.Errorf("node IP: %q not found in the host's network interfaces", ip.String())
}

// addresses are what the Node says of its own. Models pkg/kubelet/nodestatus
// NodeAddress; the network resolves a host's name to its first address.
func (k *Kubelet) addresses(c *sim.Ctx) (out []corev1.NodeAddress, err error) {
	for i, ip := range k.IPs {
		if ip.IsUnspecified() {
			continue
		}
		if err := validNodeIP(c, ip); err != nil {
			return nil, fmt.Errorf("failed to validate %s: %w", [...]string{"nodeIP", "secondaryNodeIP"}[i], err)
		}
		out = append(out, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip.String()})
	}
	if out == nil {
		ip := c.IP
		if netutils.ParseIPSloppy(k.Node) != nil {
			ip = k.Node
		}
		if ip == "" {
			return nil, fmt.Errorf("can't get ip address of node %s. error: no default routes found in %q or %q", k.Node, "/proc/net/route", "/proc/net/ipv6_route")
		}
		out = append(out, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: ip})
	}
	return append(out, corev1.NodeAddress{Type: corev1.NodeHostName, Address: k.Node}), nil
}

// address is the node's first one, when it has any.
func (k *Kubelet) address(c *sim.Ctx) string {
	if list, err := k.addresses(c); err == nil {
		return list[0].Address
	}
	return ""
}

// checkAddress looks at the addresses as each report of the status does, which
// are left out while nothing happens: they may have changed, and while they can't
// be told the log says so each time. What the Node says then stays as it is.
func (k *Kubelet) checkAddress(c *sim.Ctx) {
	list, err := k.addresses(c)
	if err != nil {
		k.log(c, lineNoFields, "err", err, "node", k.Node)
		every := era.KubeletStatusCheck.In(k.era())
		if k.Reg.Faults++; k.Reg.Faults >= complaintsInFull {
			every = complaintsEvery
		}
		k.after(c, "address", every)
		return
	}
	k.Reg.Faults = 0
	if k.Reg.Done && !slices.Equal(list, k.Port.Template.Observed) {
		k.Reg.Moved = true
		k.reportStatus(c)
	}
}

// readdressed: the host has other addresses. The next look tells.
func (k *Kubelet) readdressed(c *sim.Ctx) {
	k.Reg.Faults = 0
	k.after(c, "address", time.Duration(c.Chance.N(c.Actor()+"/status", uint64(era.KubeletStatusCheck.In(k.era())))))
}

// observe takes the addresses out of what the watch of the Node showed; false
// when there are none. Models pkg/kubelet/certificate addressesToHostnamesAndIPs.
func (t *template) observe(data []byte) bool {
	const key = `"addresses":[`
	i := bytes.LastIndex(data, []byte(key))
	if i < 0 {
		return false
	}
	data = data[i+len(key)-1:]
	data = data[:bytes.IndexByte(data, ']')+1]
	if string(data) == t.Raw {
		return true
	}
	var list []corev1.NodeAddress
	if json.Unmarshal(data, &list) != nil || len(list) == 0 {
		return false
	}
	t.Raw, t.Observed, t.DNS, t.IPs = string(data), list, nil, nil
	for _, a := range list {
		names := &t.DNS
		if ip := netutils.ParseIPSloppy(a.Address); ip != nil {
			names = &t.IPs
		} else if a.Type == corev1.NodeInternalIP || a.Type == corev1.NodeExternalIP {
			continue
		}
		if a.Address != "" && !slices.Contains(*names, a.Address) {
			*names = append(*names, a.Address)
		}
	}
	sort.Strings(t.DNS)
	sort.Strings(t.IPs)
	return true
}
