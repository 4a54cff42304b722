package shell

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/sim"
)

// network is the one that all hosts are in, on their eth0.
var network = netip.MustParsePrefix("10.0.0.0/16")

// ip is iproute2's, as far as addresses go: show, add and del.
func ip(p *process) int {
	const only = "ip: '%s' is not in this shell; there are ip addr [show [dev] DEVICE], ip addr add and del ADDRESS/24 dev eth0"
	args := p.args
	if len(args) == 0 {
		return p.fail(255, only, "")
	}
	if !strings.HasPrefix("address", args[0]) || args[0] == "" {
		return p.fail(255, only, args[0])
	}
	verb := "show"
	if args = args[1:]; len(args) > 0 {
		verb, args = args[0], args[1:]
	}
	if n := len(args); n > 0 && n <= 2 && (verb == "show" || verb == "list" || verb == "ls") && (n == 1 || args[0] == "dev") {
		return p.showAddresses(args[n-1])
	}
	switch {
	case verb == "show" || verb == "list" || verb == "ls":
		if len(args) > 0 {
			return p.fail(255, only, args[0])
		}
		return p.showAddresses("")
	case verb != "add" && verb != "del":
		return p.fail(255, only, verb)
	case len(args) < 3 || args[1] != "dev":
		return p.fail(255, `Not enough information: "dev" argument is required.`)
	case len(args) > 3:
		return p.fail(255, only, args[3])
	case args[2] != "eth0":
		return p.fail(1, `Cannot find device "%s"`, args[2])
	}
	a, err := netip.ParsePrefix(args[0])
	if err != nil {
		return p.fail(1, `Error: any valid prefix is expected rather than "%s".`, args[0])
	}
	if a.Bits() != 24 || !network.Contains(a.Addr()) {
		return p.fail(1, "ip: the hosts of this network have addresses 10.0.x.y/24; %s is none", args[0])
	}
	has, taken := p.addresses(), false
	address := a.Addr().String()
	own := slices.Contains(has, address)
	if verb == "add" && !own {
		taken = p.sys(func(*sim.Ctx) reply {
			if p.host != nil && p.host.Taken(address) {
				return reply{N: 1}
			}
			return reply{}
		}).N == 1
	}
	switch {
	case p.getenv("USER") != "root":
		return p.fail(2, "RTNETLINK answers: Operation not permitted")
	case verb == "add" && own:
		return p.fail(2, "RTNETLINK answers: File exists")
	case verb == "del" && !own:
		return p.fail(2, "RTNETLINK answers: Cannot assign requested address")
	case taken:
		return p.fail(1, "ip: %s is another host's, and two that share one are not simulated", address)
	}
	p.sys(func(c *sim.Ctx) reply { c.SetAddress(address, verb == "add"); return reply{} })
	p.live.sleep(time.Millisecond) // what is done to a host is seen in the next step
	return 0
}

// addresses are the host's own.
func (p *process) addresses() []string {
	return p.sys(func(c *sim.Ctx) reply { return reply{Names: c.Addresses()} }).Names
}

// showAddresses prints what ip addr does of a device, or of both.
func (p *process) showAddresses(device string) int {
	if device != "" && device != "lo" && device != "eth0" {
		return p.fail(1, `Device "%s" does not exist.`, device)
	}
	const for4 = "       valid_lft forever preferred_lft forever\n"
	if device != "eth0" {
		p.printf("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000\n" +
			"    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n    inet 127.0.0.1/8 scope host lo\n" + for4)
	}
	if device == "lo" {
		return 0
	}
	p.printf("2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000\n")
	more := ""
	for _, a := range p.addresses() {
		p.printf("    inet %s/24 scope global %seth0\n"+for4, a, more)
		more = "secondary "
	}
	return 0
}
