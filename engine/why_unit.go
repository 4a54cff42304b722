package engine

import (
	"bytes"
	"crypto/x509"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/pki"
)

// ends are the last words of programs, and what each asks for: a reason's
// arguments are the groups that have a name, and those in with. The first that
// fits counts.
var ends = []struct {
	kind, with string
	words      *regexp.Regexp
}{
	{"half-pair", "unit lacks", regexp.MustCompile(`open : no such file or directory|cannot specify (?:cert without key|key without cert)`)},
	{"file", "host", regexp.MustCompile(`(?:reading CA cert file|loading CA bundle for) "[a-z-]+::(?P<path>[^:"]+)(?:::[^"]*)?": (?P<error>[^"]+)`)},
	{"file", "host", regexp.MustCompile(`(?P<error>missing content) for [A-Za-z ]+ "[a-z-]+::(?P<path>[^:"]+)`)},
	{"file", "host", regexp.MustCompile(`(?:(?:stat|open|read|mkdir|symlink) |data from ")(?P<path>/[^ :"]+)(?:" into cert/key pair)?: (?P<error>[^"]+)`)},
	{"file", "host", regexp.MustCompile(`(?:reading|parsing) CA (?:cert|key) file "(?P<path>/[^":]+)": (?P<error>.+)`)},
	{"file", "host", regexp.MustCompile(`error loading config file "(?P<path>[^"]+)": (?P<error>.*)`)},
	{"unknown-flag", "unit release", regexp.MustCompile(`unknown (?:shorthand )?flag: (?P<flag>[^"]+)`)},
	{"flag-value", "unit", regexp.MustCompile(`invalid argument "(?P<value>.*?)" for "(?:-\w, )?(?P<flag>--[^"]+)" flag: (?P<error>.*)`)},
	{"unknown-controller", "unit", regexp.MustCompile(`"(?P<name>[^"]*)" is not in the list of known controllers`)},
	{"exclusive-flags", "unit", regexp.MustCompile(`cannot specify (?P<one>--\S+) and other (?P<other>--\S+) flags at the same time`)},
}

// explainEnd says why a unit does not run, from the last words of its program.
func (w *World) explainEnd(e *Explanation, m *machine, name string) {
	addr, u := m.Name+"/"+name, m.unit(name)
	if line := lastError(u); line != "" {
		add(&e.Knows, w.log(addr, line, 0))
		if !w.explainSame(e, m, name) {
			add(&e.Needs, w.endNeeds(m, name, line))
		}
	}
	if !u.Restarting {
		add(&e.Needs, reason("unit", "unit", name))
	} else {
		add(&e.Next, reason("restart", "unit", addr).at(u.Next))
	}
}

// whyFailed explains the first unit of a host that ended by itself; nil when none did.
func (w *World) whyFailed(m *machine) *Explanation {
	for _, name := range keys(m.Units) {
		if u := m.Units[name]; w.Procs[m.Name+"/"+name] == nil && (u.Restarting || u.State == "failed") {
			if e, err := w.Why("unit/" + m.Name + "/" + name); err == nil {
				return &e
			}
		}
	}
	return nil
}

// endNeeds is what the last words of a program ask for; when nobody knows them,
// what they name in its unit file or in a file that is named there.
func (w *World) endNeeds(m *machine, name, line string) Reason {
	said := strings.ReplaceAll(line, `\"`, `"`)
	if head, _, ok := strings.Cut(strings.TrimRight(said, `"`), ` err="`); ok {
		said = strings.TrimRight(said[len(head)+len(` err="`):], `"`)
	}
	for _, end := range ends {
		found := end.words.FindStringSubmatch(said)
		if found == nil {
			continue
		}
		var args []string
		for _, n := range strings.Fields(end.with) {
			args = append(args, n, map[string]string{"host": m.Name, "unit": m.Name + "/" + name, "release": w.eraOf(m).String(), "lacks": m.half(name)}[n])
		}
		for i, group := range end.words.SubexpNames()[1:] {
			args = append(args, group, strings.TrimSpace(found[i+1]))
		}
		return reason(end.kind, args...)
	}
	return reason("as-said", "unit", m.Name+"/"+name, "path", unitDir+name+".service", "said", said)
}

// half is the flag or field that a unit lacks beside the other half of a pair of
// certificate and key.
func (m *machine) half(unit string) string {
	f, err := m.readUnit(unit)
	if err != nil {
		return ""
	}
	flags := flagsOf(f.Args[1:])
	config, _ := m.Disk.ReadFile(flags["config"])
	has := func(n string) bool { return flags[n] != "" || bytes.Contains(config, []byte("\n"+n+":")) }
	for _, end := range [][2]string{{"tls-cert-file", "tls-private-key-file"}, {"tlsCertFile", "tlsPrivateKeyFile"}} {
		for i, n := range end {
			if has(n) && !has(end[1-i]) {
				return end[1-i]
			}
		}
	}
	for n := range flags {
		for _, end := range [][2]string{{"-cert-file", "-key-file"}, {"-key-file", "-cert-file"}} {
			if rest, ok := strings.CutSuffix(n, end[0]); ok && strings.HasPrefix(n, "cluster-signing-") && !has(rest+end[1]) {
				return rest + end[1]
			}
		}
	}
	return ""
}

// lastError is the last line of an error in a unit's journal.
func lastError(u *unit) string {
	last := true
	for _, e := range slices.Backward(u.Journal) {
		if e.By == "systemd" {
			continue
		}
		if strings.HasPrefix(e.Line, "E") || strings.HasPrefix(e.Line, "F") && klogLine(e.Line) || strings.HasPrefix(e.Line, "panic: ") || last && !klogLine(e.Line) {
			return e.Line
		}
		last = false
	}
	return ""
}

// klogLine tells whether a line is one of a log, and not printed.
func klogLine(line string) bool {
	return len(line) > 5 && strings.IndexByte("IWEF", line[0]) >= 0 && strings.Trim(line[1:5], "0123456789") == ""
}

// explainSame says of a kubelet that waits for one request before all else that it
// makes the same one again, however often it is started, because the key for it is
// still there: what was denied stays denied.
func (w *World) explainSame(e *Explanation, m *machine, name string) bool {
	f, err := m.readUnit(name)
	if err != nil || name != "kubelet" {
		return false
	}
	dir := flagsOf(f.Args[1:])["cert-dir"]
	if dir == "" {
		dir = "/var/lib/kubelet/pki"
	}
	file := path.Join(dir, "kubelet-client.key.tmp")
	data, _ := m.Disk.ReadFile(file)
	key, err := pki.ParseKey(data)
	if err != nil {
		return false
	}
	mine, _ := x509.MarshalPKIXPublicKey(key.Public())
	for o := range api.All[*certificatesv1.CertificateSigningRequest](w.Store, "certificatesigningrequests") {
		r, err := pki.ParseRequest(o.Spec.Request)
		if err != nil || !bytes.Equal(r.RawSubjectPublicKeyInfo, mine) {
			continue
		}
		var csr Explanation
		w.explainCSR(&csr, o)
		if k := csr.State.Kind; k == "csr-denied" || k == "csr-failed" {
			csr.Needs = []Reason{reason("same-request", "csr", o.Name, "path", file, "host", m.Name)}
		}
		add(&e.Knows, csr.Knows...)
		add(&e.Needs, csr.Needs...)
		add(&e.Next, csr.Next...)
		return true
	}
	return false
}

// candidate is an actor that takes part in an election: for which Lease, whether it
// leads, and until when it holds that another one does; zero while that one renews.
type candidate interface {
	Candidate() (lock string, leads bool, until time.Time)
}

// candidates are those for a Lease on hosts that are awake, by address.
func (w *World) candidates(lock string) (out []string) {
	for _, addr := range keys(w.Procs) {
		host, _ := split(addr)
		if c, ok := w.Procs[addr].actor.(candidate); ok && !w.machine(host).away() {
			if l, _, _ := c.Candidate(); l == lock {
				out = append(out, addr)
			}
		}
	}
	return out
}

// lockOf is the Lease that the units of a name elsewhere are candidates for.
func (w *World) lockOf(unit string) string {
	for _, addr := range keys(w.Procs) {
		if _, name := split(addr); name == unit {
			if c, ok := w.Procs[addr].actor.(candidate); ok {
				lock, _, _ := c.Candidate()
				return lock
			}
		}
	}
	return ""
}

// explainLeader finds who leads by a Lease. When nobody does, it says whose that
// still is, and which candidate takes over, at the earliest when it is over.
func (w *World) explainLeader(e *Explanation, lock string) (leader string) {
	var next string
	var at time.Time
	for _, addr := range w.candidates(lock) {
		_, leads, until := w.Procs[addr].actor.(candidate).Candidate()
		if leads {
			return addr
		}
		if next == "" || until.Before(at) {
			next, at = addr, until
		}
	}
	namespace, name, _ := strings.Cut(lock, "/")
	if l := w.Store.Lease(w.Clock, namespace, name); l != nil && l.Spec.HolderIdentity != nil && l.Spec.RenewTime != nil && l.Spec.LeaseDurationSeconds != nil {
		add(&e.Knows, reason("lease-held", "lease", lock, "holder", *l.Spec.HolderIdentity, "renewed", l.Spec.RenewTime.UTC().Format(time.RFC3339),
			"for", (time.Duration(*l.Spec.LeaseDurationSeconds)*time.Second).String()))
	}
	if next != "" {
		if at.Before(w.Clock) {
			at = w.Clock
		}
		add(&e.Next, reason("takes-over", "unit", next, "lease", lock).at(at))
	}
	return ""
}

// needLeader: a program that is a candidate works when it leads, or another does.
func (w *World) needLeader(e *Explanation, addr string) {
	c, ok := w.actorAt(addr).(candidate)
	if !ok {
		return
	}
	if lock, leads, _ := c.Candidate(); lock != "" && !leads && w.explainLeader(e, lock) == "" {
		add(&e.Needs, reason("leader", "lease", lock))
	}
}
