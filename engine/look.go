package engine

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/shell"
)

// textLimit is how much of a file's text a View holds, in bytes.
const textLimit = 16 << 10

// explained is in how large a world every node is explained in every View.
const explained = 20

// View is the world at this moment, to be drawn.
func (w *World) View() View {
	v := View{V: ViewVersion, Now: w.Clock, Release: w.Release(), Seed: w.Config.Seed, Digest: w.Digest.String(), Last: w.Obs}
	v.Next, _ = w.Queue.Next()
	v.Faults = w.FaultNames()
	for _, m := range w.Machines {
		h := w.lookHost(m)
		if m.Role == "node" && len(w.Machines) <= explained {
			if e, err := w.Why("node/" + m.Name); err == nil {
				h.Why = &e
			}
		} else if len(w.Machines) <= explained {
			h.Why = w.whyFailed(m)
		}
		v.Hosts = append(v.Hosts, h)
		v.Lives = append(v.Lives, w.lookLives(m)...)
	}
	for o := range api.All[*certificatesv1.CertificateSigningRequest](w.Store, "certificatesigningrequests") {
		c := lookCSR(o)
		if c.Certificate == "" {
			c.Why = &Explanation{V: ExplanationVersion, Object: "csr/" + o.Name}
			w.explainCSR(c.Why, o)
		}
		v.CSRs = append(v.CSRs, c)
	}
	for o := range api.All[*corev1.Node](w.Store, "nodes") {
		v.Nodes = append(v.Nodes, lookNode(o))
	}
	for o := range api.All[*rbacv1.ClusterRoleBinding](w.Store, "clusterrolebindings") {
		if o.Labels["kubernetes.io/bootstrapping"] == "" {
			v.Bindings = append(v.Bindings, lookBinding(o))
		}
	}
	return v
}

func (w *World) lookHost(m *machine) HostView {
	h := HostView{Name: m.Name, IP: m.IP, Role: m.Role, Clock: m.Clock.At(w.Clock)}
	if p := w.Procs[m.Name+"/terminal"]; p != nil {
		if t, ok := p.actor.(*shell.Terminal); ok {
			h.Busy, h.Dir = t.Busy(), t.Dir()
		}
	}
	for _, name := range w.unitNames(m) {
		u := m.Units[name]
		if u == nil {
			u = &unit{State: "inactive"}
		}
		uv := UnitView{Name: name, State: u.State, Since: u.Since, Phase: u.Phase, PhaseArgs: u.PhaseArgs}
		if p := w.Procs[m.Name+"/"+name]; p != nil {
			uv.PID = p.PID
		}
		if f, err := m.readUnit(name); err == nil {
			uv.Flags = flagsOf(f.Args[1:])
		}
		h.Units = append(h.Units, uv)
	}
	for _, p := range m.Disk.Walk("/") {
		e := m.Disk.Entries[p]
		if e.Mode.IsDir() {
			continue
		}
		f := FileView{Path: p, Mode: lsMode(e.Mode), Size: len(e.Data), Time: e.Time, Target: e.Target}
		if len(e.Data) <= textLimit && utf8.Valid(e.Data) {
			f.Text = string(e.Data)
		}
		h.Files = append(h.Files, f)
	}
	return h
}

// unitNames lists the units with a file or a past, sorted.
func (w *World) unitNames(m *machine) []string {
	names := keys(m.Units)
	files, _ := m.Disk.ReadDir(strings.TrimSuffix(unitDir, "/"))
	for _, f := range files {
		if n, ok := strings.CutSuffix(f, ".service"); ok && !slices.Contains(names, n) {
			names = append(names, n)
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "terminal" })
	slices.Sort(names)
	return names
}

func flagsOf(args []string) map[string]string {
	out := map[string]string{}
	for _, a := range args {
		if a, ok := strings.CutPrefix(a, "--"); ok {
			k, v, eq := strings.Cut(a, "=")
			if !eq {
				v = "true"
			}
			out[k] = v
		}
	}
	return out
}

// lsMode prints a mode as ls does.
func lsMode(m fs.FileMode) string {
	kind := "-"
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	}
	return kind + m.Perm().String()[1:]
}

// lookLives finds the certificates that a kubelet keeps on its disk. The
// current ones carry the deadline that the kubelet drew.
func (w *World) lookLives(m *machine) []LifeView {
	var out []LifeView
	const dir = "/var/lib/kubelet/pki"
	names, err := m.Disk.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, use := range []string{"client", "server"} {
		current, _ := m.Disk.ReadLink(dir + "/kubelet-" + use + "-current.pem")
		for _, n := range names {
			if !strings.HasPrefix(n, "kubelet-"+use+"-2") {
				continue
			}
			b, err := m.Disk.ReadFile(path.Join(dir, n))
			if err != nil {
				continue
			}
			certs, err := pki.ParseCerts(b)
			if err != nil {
				continue
			}
			l := LifeView{Host: m.Name, Use: strings.Replace(use, "server", "serving", 1), NotBefore: certs[0].NotBefore.UTC(), NotAfter: certs[0].NotAfter.UTC(), Path: path.Join(dir, n)}
			if l.Path == current {
				l.Current = true
				args := m.unit("kubelet").PhaseArgs
				if use == "server" {
					args = m.unit("kubelet").Beside["kubelet-serving"]
				}
				l.Deadline, _ = time.Parse(time.RFC3339Nano, args["deadline"])
			}
			out = append(out, l)
		}
	}
	return out
}

func lookCSR(o *certificatesv1.CertificateSigningRequest) CSRView {
	c := CSRView{Name: o.Name, Created: o.CreationTimestamp.UTC(), Signer: o.Spec.SignerName, Requestor: o.Spec.Username, Groups: slices.Clone(o.Spec.Groups),
		Expiration: o.Spec.ExpirationSeconds, Request: string(o.Spec.Request), Certificate: string(o.Status.Certificate)}
	for _, u := range o.Spec.Usages {
		c.Usages = append(c.Usages, string(u))
	}
	var approved, denied, failed bool
	for _, k := range o.Status.Conditions {
		c.Reason, c.Message = k.Reason, k.Message
		switch k.Type {
		case certificatesv1.CertificateApproved:
			approved = true
		case certificatesv1.CertificateDenied:
			denied = true
		case certificatesv1.CertificateFailed:
			failed = true
		}
	}
	switch {
	case denied:
		c.Condition = "Denied"
	case approved:
		c.Condition = "Approved"
	default:
		c.Condition = "Pending"
	}
	if failed {
		c.Condition += ",Failed"
	}
	if c.Certificate != "" {
		c.Condition += ",Issued"
	}
	return c
}

func lookNode(o *corev1.Node) NodeView {
	n := NodeView{Name: o.Name, Status: "Unknown", Created: o.CreationTimestamp.UTC()}
	for _, k := range o.Status.Conditions {
		if k.Type == corev1.NodeReady {
			n.Status = "NotReady"
			if k.Status == corev1.ConditionTrue {
				n.Status = "Ready"
			}
		}
	}
	for _, a := range o.Status.Addresses {
		if a.Type == corev1.NodeInternalIP && n.IP == "" {
			n.IP = a.Address
		}
	}
	return n
}

func lookBinding(o *rbacv1.ClusterRoleBinding) BindingView {
	b := BindingView{Name: o.Name, Role: o.RoleRef.Name}
	for _, s := range o.Subjects {
		name := s.Name
		if s.Namespace != "" {
			name = s.Namespace + "/" + s.Name
		}
		b.Subjects = append(b.Subjects, fmt.Sprintf("%s %s", s.Kind, name))
	}
	return b
}

// ObjectNames lists the names of the stored objects of a cluster-wide resource.
func (w *World) ObjectNames(resource string) []string {
	var out []string
	for _, o := range w.Store.Tables[resource] {
		out = append(out, o.Name)
	}
	return out
}
