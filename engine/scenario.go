package engine

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/shell"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// The bootstrap token that every world starts with. It is public: nothing made
// from it is ever trusted on a socket.
const (
	TokenID     = "07401b"
	TokenSecret = "f395accd246ae52d"
	tokenLife   = 24 * time.Hour
)

// FileToken is the token of the user kubelet-bootstrap in the worlds of releases that
// bootstrap with a token file, and as public.
const (
	FileToken = "6df3c701f979cee17732c30958745947"
	tokenFile = FileToken + `,kubelet-bootstrap,10001,"system:bootstrappers"` + "\n"
)

// boot is how long before Start the machines are switched on.
const boot = 30 * time.Second

// MaxNodes is how many node hosts a world may have: what Kubernetes supports.
const MaxNodes = 5000

// New makes a world at Start: a control plane that runs, an admin with
// kubectl, and nodes whose kubelet is installed and stopped; a bootstrap token
// that is valid for a day; the roles and bindings that Kubernetes itself
// creates, and no others.
func New(cfg Config) (*World, error) {
	if cfg.Release == "" {
		cfg.Release = era.Usual
	}
	if cfg.Nodes == 0 {
		cfg.Nodes = 1
	}
	e, err := era.At(cfg.Release)
	if err != nil {
		return nil, err
	}
	begin, ok := scenarios[cfg.Scenario]
	if cfg.Scenario != "" && !ok {
		return nil, fmt.Errorf("there is no scenario %q; there is %s, or leave it out", cfg.Scenario, strings.Join(keys(scenarios), ", "))
	}
	if cfg.Nodes < 0 || cfg.Nodes > MaxNodes {
		return nil, fmt.Errorf("%d nodes: a cluster has 1 to %d", cfg.Nodes, MaxNodes)
	}
	if c := cfg.ControlPlanes; c != 0 && c != 1 && c != len(controlIPs) {
		return nil, fmt.Errorf("%d control planes: a cluster here has 1 or %d", c, len(controlIPs))
	}
	cfg.Release = e.String()
	w := &World{era: e, state: state{
		Config: cfg, Clock: Start.Add(-boot), Chance: &sim.Chance{Seed: cfg.Seed}, Store: api.NewStore(),
		Procs: map[string]*proc{}, Listeners: map[string]*listener{}, Conns: map[uint64]*conn{}, Pool: map[string]uint64{}, Streams: map[uint64]*stream{},
	}}
	admin, err := w.build()
	if err != nil {
		return nil, err
	}
	if !ok {
		begin = func(w *World) error { return w.usual(admin) }
	}
	if err := begin(w); err != nil {
		return nil, err
	}
	w.AdvanceTo(Start)
	w.obs = nil
	return w, nil
}

// usual starts the control plane and makes a token.
func (w *World) usual(admin [][]byte) error {
	if err := w.startControl(); err != nil {
		return err
	}
	w.AdvanceTo(Start.Add(-5 * time.Second))
	if era.TokenFile.In(w.era) {
		return nil
	}
	return w.seedToken(admin)
}

// build makes the machines, their keys and certificates and their files; it
// returns the admin's certificate chain.
func (w *World) build() ([][]byte, error) {
	now := w.Clock
	kr := pki.Keyring{Seed: w.Config.Seed}
	notBefore := now.Add(-5 * time.Minute)
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", notBefore, now.AddDate(10, 0, 0))
	if err != nil {
		return nil, err
	}
	caPEM, caKey := ca.CertPEM(), pki.KeyPEM(ca.Key)

	issue := func(name string, subject pkix.Name, dns []string, ips []net.IP, server bool) (cert, key []byte, err error) {
		k := kr.ECDSA(name)
		// As long as the CA: kubeadm gives them a year, and a learner who lets
		// a year pass would find kubectl shut out before the kubelet's lesson
		// is over.
		cert, err = ca.Leaf(pki.LeafSpec{Subject: subject, DNS: dns, IPs: ips, Server: server, Client: !server,
			NotBefore: notBefore, NotAfter: ca.Cert.NotAfter, Serial: serial(w.Chance)}, k.Public())
		return cert, pki.KeyPEM(k), err
	}

	server := "https://" + w.Config.endpoint()
	var files []file
	for i := range w.Config.controls() {
		control := w.addMachine(fmt.Sprintf("control-%d", i+1), controlIPs[i], "control")
		files = append(files, file{control, "/etc/kubernetes/pki/ca.crt", 0o644, caPEM}, file{control, "/etc/kubernetes/pki/ca.key", 0o600, caKey})
	}
	adminHost := w.addMachine("admin", "10.0.0.2", "admin")
	files = append(files, file{adminHost, "/etc/kubernetes/pki/ca.crt", 0o644, caPEM})
	for i, control := range w.controlHosts() {
		name := "apiserver"
		if i > 0 {
			name += " " + control.Name
		}
		subject, dns, ips := w.servingName(control)
		cert, key, err := issue(name, subject, dns, ips, true)
		if err != nil {
			return nil, err
		}
		files = append(files, file{control, "/etc/kubernetes/pki/apiserver.crt", 0o644, cert}, file{control, "/etc/kubernetes/pki/apiserver.key", 0o600, key})
	}
	// A toy that every world has: what it signs is never trusted on a socket.
	sa := kr.RSA(0)
	saPub, err := pki.PublicKeyPEM(sa.Public())
	if err != nil {
		return nil, err
	}
	// Not verified by a bundle: kubeadm does not set --kubelet-certificate-authority either.
	kubeletCert, kubeletKey, err := issue("apiserver-kubelet-client", pkix.Name{Organization: []string{"system:masters"}, CommonName: "kube-apiserver-kubelet-client"}, nil, nil, false)
	if err != nil {
		return nil, err
	}
	adminCert, adminKey, err := issue("admin", pkix.Name{Organization: []string{"system:masters"}, CommonName: "kubernetes-admin"}, nil, nil, false)
	if err != nil {
		return nil, err
	}
	adminConf := kubeconfig("kubernetes-admin", server, caPEM, adminCert, adminKey)
	files = append(files, file{adminHost, "/etc/kubernetes/admin.conf", 0o600, adminConf})
	kcmCert, kcmKey, err := issue("system:kube-controller-manager", pkix.Name{CommonName: "system:kube-controller-manager"}, nil, nil, false)
	if err != nil {
		return nil, err
	}
	for _, control := range w.controlHosts() {
		// A controller-manager calls the API server beside it, as with kubeadm.
		own := "https://" + control.IP + ":6443"
		files = append(files,
			file{control, "/etc/kubernetes/pki/apiserver-kubelet-client.crt", 0o644, kubeletCert},
			file{control, "/etc/kubernetes/pki/apiserver-kubelet-client.key", 0o600, kubeletKey},
			file{control, "/etc/kubernetes/pki/sa.key", 0o600, pki.KeyPEM(sa)},
			file{control, "/etc/kubernetes/pki/sa.pub", 0o600, saPub},
			file{control, "/etc/kubernetes/admin.conf", 0o600, adminConf},
			file{control, "/etc/kubernetes/controller-manager.conf", 0o600, kubeconfig("system:kube-controller-manager", own, caPEM, kcmCert, kcmKey)},
		)
		for _, name := range controlUnits {
			files = append(files, file{control, unitDir + name + ".service", 0o644, []byte(w.controlUnit(name, control))})
		}
	}
	for i := 1; i <= w.Config.Nodes; i++ {
		m := w.addMachine(fmt.Sprintf("node-%d", i), nodeIP(i), "node")
		files = append(files,
			file{m, "/etc/kubernetes/pki/ca.crt", 0o644, caPEM},
			file{m, "/etc/kubernetes/bootstrap-kubelet.conf", 0o600, w.bootstrapKubeconfig(server)},
			file{m, unitDir + "kubelet.service", 0o644, []byte(w.unitText("kubelet", m))},
		)
	}
	if era.KubeletConfigFile.In(w.era) {
		for _, m := range w.Machines {
			if m.Role == "node" {
				files = append(files, file{m, "/var/lib/kubelet/config.yaml", 0o644, []byte(kubeletConfig)})
			}
		}
	}
	if era.TokenFile.In(w.era) {
		for _, m := range w.controlHosts() {
			files = append(files, file{m, "/etc/kubernetes/token.csv", 0o600, []byte(tokenFile)})
		}
	}
	// What programs on these hosts resolve names with, besides the network.
	hosts := []byte("127.0.0.1 localhost\n")
	for _, m := range w.Machines {
		hosts = append(hosts, m.IP+" "+m.Name+"\n"...)
	}
	for _, m := range append(w.controlHosts(), adminHost) {
		files = append(files, file{m, "/etc/hosts", 0o644, hosts})
	}
	more, err := w.clientFiles(caPEM, issue)
	if err != nil {
		return nil, err
	}
	front, err := w.frontProxyFiles(notBefore)
	if err != nil {
		return nil, err
	}
	files = append(append(files, more...), front...)
	for _, f := range files {
		if err := f.m.Disk.MkdirAll(path.Dir(f.name), 0o755, now); err != nil {
			return nil, err
		}
		if err := f.m.Disk.WriteFile(f.name, f.data, f.mode, now); err != nil {
			return nil, err
		}
	}
	chain, err := pki.ParseCerts(adminCert)
	if err != nil {
		return nil, err
	}
	return [][]byte{chain[0].Raw}, nil
}

type file struct {
	m    *machine
	name string
	mode fs.FileMode
	data []byte
}

func serial(c *sim.Chance) []byte {
	b := make([]byte, 16)
	c.Fill("pki/serial", b)
	return b
}

func nodeIP(i int) string {
	n := 10 + i
	return fmt.Sprintf("10.0.%d.%d", n/250, n%250)
}

// addMachine makes a host with a disk and a terminal.
func (w *World) addMachine(name, ip, role string) *machine {
	m := &machine{Name: name, IP: ip, Role: role, Disk: sim.NewDisk(w.Clock), Units: map[string]*unit{}, PIDs: 600}
	for _, d := range []string{"/etc/kubernetes/pki", strings.TrimSuffix(unitDir, "/"), "/root", "/tmp", "/home", "/usr/bin", "/var/log"} {
		m.Disk.MkdirAll(d, 0o755, w.Clock)
	}
	m.Disk.WriteFile("/etc/hostname", []byte(name+"\n"), 0o644, w.Clock)
	if role == "admin" {
		m.Disk.MkdirAll("/home/admin", 0o755, w.Clock)
	}
	w.Machines = append(w.Machines, m)
	w.Life++
	w.Procs[name+"/terminal"] = &proc{Kind: "terminal", Life: w.Life, PID: 1, actor: w.newShell(m)}
	return m
}

// newShell is a person's shell at a host.
func (w *World) newShell(m *machine) *shell.Terminal {
	user, env := "root", map[string]string{}
	if m.Role == "admin" {
		user = "admin"
	}
	if m.Role != "node" {
		env["KUBECONFIG"] = "/etc/kubernetes/admin.conf"
	}
	return shell.New(w.era, user, env)
}

// kubeconfig is a kubeconfig with embedded data, as kubeadm writes it.
func kubeconfig(user, server string, ca, cert, key []byte) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return []byte(fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: %[3]s
  name: %[3]s@kubernetes
current-context: %[3]s@kubernetes
kind: Config
preferences: {}
users:
- name: %[3]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`, b64(ca), server, user, b64(cert), b64(key)))
}

// bootstrapKubeconfig is the file that kubeadm join leaves for the kubelet, or what
// an admin wrote who has a token file.
func (w *World) bootstrapKubeconfig(server string) []byte {
	user, token := "tls-bootstrap-token-user", TokenID+"."+TokenSecret
	if era.TokenFile.In(w.era) {
		user, token = "kubelet-bootstrap", FileToken
	}
	return []byte(`apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: ` + server + `
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: ` + user + `
  name: ` + user + `@kubernetes
current-context: ` + user + `@kubernetes
kind: Config
preferences: {}
users:
- name: ` + user + `
  user:
    token: ` + token + `
`)
}

const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
rotateCertificates: true
`

// unitText is the unit file of a component of the release.
func (w *World) unitText(name string, m *machine) string {
	about, more := name, ""
	switch name {
	case "kubelet":
		about, more = "kubelet: The Kubernetes Node Agent", "After=network-online.target\n"
	case "kube-apiserver":
		about, more = "Kubernetes API Server", "After=etcd.service\n"
	case "kube-controller-manager":
		about, more = "Kubernetes Controller Manager", "After=kube-apiserver.service\n"
	}
	text := "[Unit]\nDescription=" + about + "\n" + more + "\n[Service]\nExecStart=/usr/bin/" + name
	for _, flag := range era.UnitFlags(w.era, name) {
		text += " \\\n  " + flag
	}
	text = strings.NewReplacer("NODE", m.Name, "ADDRESS", m.IP, controlIPs[0], m.IP).Replace(text)
	rest := "RestartSec=10\n"
	if name == "etcd" {
		rest = ""
	}
	return text + "\nRestart=always\n" + rest + "\n[Install]\nWantedBy=multi-user.target\n"
}

// controlUnits are the components of a control plane, in the order of their start.
var controlUnits = []string{"etcd", "kube-apiserver", "kube-controller-manager"}

// seedToken lets the admin create the bootstrap token's Secret, over the API
// as everyone else.
func (w *World) seedToken(admin [][]byte) error {
	secret := map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
		"metadata": map[string]any{"name": "bootstrap-token-" + TokenID, "namespace": "kube-system"},
		"stringData": map[string]string{
			"description":                    "The bootstrap token that this world starts with.",
			"token-id":                       TokenID,
			"token-secret":                   TokenSecret,
			"expiration":                     Start.Add(tokenLife).Format(time.RFC3339),
			"usage-bootstrap-authentication": "true",
			"usage-bootstrap-signing":        "true",
			"auth-extra-groups":              "system:bootstrappers:kubeadm:default-node-token",
		},
	}
	body, err := json.Marshal(secret)
	if err != nil {
		return err
	}
	w.obs = nil
	w.external(&External{ID: "boot", Addr: w.Config.endpoint(), Request: sim.Request{
		Method: "POST", URL: "/api/v1/namespaces/kube-system/secrets", Peer: admin, Body: body,
		Header: http.Header{"Content-Type": {"application/json"}, "User-Agent": {"joinery"}},
	}})
	w.AdvanceTo(w.Clock.Add(time.Second))
	for _, o := range w.obs {
		if o.Kind == trace.Response && o.Args["external"] == "boot" && o.Args["code"] == "201" {
			return nil
		}
	}
	return fmt.Errorf("the API server did not take the bootstrap token")
}
