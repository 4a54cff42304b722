package engine_test

import (
	"crypto/x509/pkix"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// plan is a random world as plain data: all that will be done to it.
type plan struct {
	Seed   uint64
	Config engine.Config
	Inputs []engine.Input
	End    time.Time
	// Forks are the inputs before which the world goes on in a copy.
	Forks []int
	// Last is how many inputs at the end bring all in order for good.
	Last int
}

func typing(at time.Time, host, line string) engine.Input {
	return engine.Input{At: at, Typed: &engine.Typed{Host: host, Line: line}}
}

// drawRelease is the usual release in every other world, and else any.
func drawRelease(seed uint64) string {
	if seed%2 == 0 {
		return era.Usual
	}
	return era.Releases()[int(seed/2)%len(era.Releases())]
}

// planner draws a plan.
type planner struct {
	*rand.Rand
	*plan
	era era.Era
	now time.Time
	// life is how long certificates live, and the measure of all waiting.
	life  time.Duration
	admin [][]byte
	csr   []byte
	// scarred: what happened needs a person to heal. hurt are the hosts on whose
	// disk a file is damaged, which are healed at once.
	scarred bool
	hurt    map[string]bool
	// kubelets are how they are set up.
	kubelets []setup
}

// setup is what a kubelet's configuration and flags say.
type setup struct {
	rotate, serving, files bool
	dir                    string
}

func (p *planner) setup() setup {
	k := setup{rotate: p.IntN(5) > 0, serving: p.IntN(3) == 0, dir: p.one(usualDir, usualDir, usualDir, "/etc/kubernetes/kubelet-pki")}
	k.files = !k.serving && p.IntN(4) == 0
	return k
}

const usualDir = "/var/lib/kubelet/pki"

// configure writes a kubelet's configuration; it is read when it starts next.
func (p *planner) configure(i int) {
	k, host := p.kubelets[i], fmt.Sprintf("node-%d", i+1)
	more := ""
	if k.files {
		more = "tlsCertFile: /root/tls.crt\ntlsPrivateKeyFile: /root/tls.key\n"
	}
	p.typ(host, fmt.Sprintf("cat > /var/lib/kubelet/config.yaml <<EOF\n"+kubeletYAML+"EOF", k.rotate, k.serving, more))
	p.flag(host, "cert-dir", k.dir)
	if !era.KubeletServingNames.In(p.era) {
		p.flag(host, "feature-gates", fmt.Sprintf("RotateKubeletClientCertificate=%v,RotateKubeletServerCertificate=%v", k.rotate, k.serving))
	}
	if era.KubeletConfigFile.In(p.era) {
		return
	}
	// The same by flags.
	if era.KubeletRotateSetting.In(p.era) {
		p.flag(host, "rotate-certificates", fmt.Sprint(k.rotate))
	}
	files := [2]string{}
	if k.files {
		files = [2]string{"/root/tls.crt", "/root/tls.key"}
	}
	p.flag(host, "tls-cert-file", files[0])
	p.flag(host, "tls-private-key-file", files[1])
}

func (p *planner) flag(host, name, value string) {
	p.do(engine.Input{Flag: &engine.Flag{Host: host, Unit: "kubelet", Name: name, Value: value}})
}

const kubeletYAML = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /etc/kubernetes/pki/ca.crt}
authorization: {mode: Webhook}
rotateCertificates: %v
serverTLSBootstrap: %v
%s`

// nodeFiles and controlFiles may be damaged; what is not made anew is kept
// beside.
var (
	nodeFiles    = []string{"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/bootstrap-kubelet.conf", "/etc/systemd/system/kubelet.service"}
	nodeMakes    = []string{"/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/config.yaml", usualDir + "/kubelet-client-current.pem", usualDir + "/kubelet-server-current.pem", usualDir + "/kubelet.crt", usualDir + "/kubelet-client.key.tmp"}
	controlFiles = []string{"/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key", "/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/apiserver.key", "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub", "/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/controller-manager.conf"}
)

// keep puts copies of files beside them, on every host; restore puts them back.
func (p *planner) keep(host string, files []string, restore bool) {
	line := ""
	for i, f := range files {
		from, to := f, fmt.Sprintf("/root/kept-%d", i)
		if restore {
			from, to = to, from
		}
		line += "cp " + from + " " + to + "; "
	}
	p.typ(host, line)
}

func filesOf(host string) []string {
	if strings.HasPrefix(host, "node") {
		return nodeFiles
	}
	return controlFiles
}

func (p *planner) node() string            { return fmt.Sprintf("node-%d", 1+p.IntN(p.Config.Nodes)) }
func (p *planner) one(of ...string) string { return of[p.IntN(len(of))] }
func (p *planner) do(in engine.Input)      { in.At = p.now; p.Inputs = append(p.Inputs, in) }
func (p *planner) typ(host, line string)   { p.do(typing(p.now, host, line)) }

// span is a duration from a second up to most, small ones as often as large.
func (p *planner) span(most time.Duration) time.Duration {
	d := time.Second
	for d < most && p.IntN(4) > 0 {
		d *= 4
	}
	return min(d+time.Duration(p.Int64N(int64(d))), most).Truncate(time.Millisecond)
}

// lives are the lifetimes of certificates that plans draw from.
var lives = []time.Duration{time.Hour, time.Hour, 6 * time.Hour, 24 * time.Hour}

func newPlan(seed uint64) *plan {
	p := &planner{Rand: rand.New(rand.NewPCG(seed, 36)), plan: &plan{Seed: seed}, now: engine.Start}
	p.Config = engine.Config{Seed: fmt.Sprint("simulation ", seed), Nodes: 1 + min(p.IntN(4), p.IntN(4)), Release: drawRelease(seed)}
	p.era = era.Must(p.Config.Release)
	if p.IntN(8) == 0 {
		p.Config.Nodes = 1 + p.IntN(6)
	}
	if p.IntN(6) == 0 {
		p.Config.ControlPlanes = 3
	}
	p.hurt = map[string]bool{}
	p.life = lives[p.IntN(len(lives))]
	p.admin, p.csr = identities(p.Config)
	p.do(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: strings.TrimPrefix(durationFlag(p.era), "--"), Value: p.life.String()}})
	p.keep("control-1", controlFiles, false)
	for i := range p.Config.Nodes {
		host := fmt.Sprintf("node-%d", i+1)
		p.kubelets = append(p.kubelets, p.setup())
		p.keep(host, nodeFiles, false)
		p.certify(i)
		p.configure(i)
	}
	// Acts: much happens within minutes, then all is brought in order, and then
	// nothing happens for long: a kubelet that is refused asks every second and
	// ends every five minutes, so that a day of it costs as much as years do.
	p.order()
	for range 2 + p.IntN(3) {
		for range 4 + p.IntN(6) {
			p.move()
			p.now = p.now.Add(p.span(2 * time.Minute))
			if p.IntN(8) == 0 {
				p.Forks = append(p.Forks, len(p.Inputs)-1)
			}
		}
		p.order()
		p.now = p.now.Add(p.span(2 * p.life))
	}
	last := len(p.Inputs)
	for i, k := range p.kubelets {
		// One that does not rotate has to begin with a new certificate to be
		// there at the end, and so has one that does not look whether the one in its
		// kubeconfig has expired.
		if p.scarred || !k.rotate || !era.KubeletChecksKubeconfig.In(p.era) {
			p.clean(fmt.Sprintf("node-%d", i+1))
		}
	}
	p.order()
	// Somebody looks after the serving certificates.
	for _, d := range []time.Duration{time.Minute, 4 * time.Minute, 10 * time.Minute, 10 * time.Minute, 11 * time.Minute, 3 * time.Minute} {
		p.now = p.now.Add(d)
		p.approve()
	}
	p.Last = len(p.Inputs) - last
	p.End = p.now.Add(time.Minute)
	return p.plan
}

// certify gives a node a serving certificate of its own.
func (p *planner) certify(i int) {
	host := fmt.Sprintf("node-%d", i+1)
	kr := pki.Keyring{Seed: "files"}
	ca, err := pki.NewAuthority(kr, "ca", "somebody", engine.Start.AddDate(-1, 0, 0), engine.Start.AddDate(30, 0, 0))
	if err != nil {
		panic(err)
	}
	cert, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: host}, DNS: []string{host}, Server: true, NotBefore: engine.Start.AddDate(-1, 0, 0), NotAfter: engine.Start.AddDate(30, 0, 0), Serial: []byte{2}}, kr.ECDSA(host).Public())
	if err != nil {
		panic(err)
	}
	p.typ(host, "cat > /root/tls.crt <<EOF\n"+string(cert)+"EOF")
	p.typ(host, "cat > /root/tls.key <<EOF\n"+string(pki.KeyPEM(kr.ECDSA(host)))+"EOF")
}

func (p *planner) clean(host string) {
	p.typ(host, "systemctl stop kubelet; rm -rf "+usualDir+" /etc/kubernetes/kubelet-pki /etc/kubernetes/kubelet.conf")
}

func (p *planner) approve() {
	p.typ("admin", "kubectl certificate approve $(kubectl get csr -o name)")
}

// identities are the admin's chain in a world, and a CSR of someone's.
func identities(c engine.Config) (admin [][]byte, csr []byte) {
	kr := pki.Keyring{Seed: c.Seed}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", engine.Start.AddDate(-1, 0, 0), engine.Start.AddDate(30, 0, 0))
	if err != nil {
		panic(err)
	}
	leaf, err := ca.Leaf(pki.LeafSpec{Subject: master, Client: true, NotBefore: engine.Start.AddDate(-1, 0, 0), NotAfter: engine.Start.AddDate(30, 0, 0), Serial: []byte{1}}, kr.ECDSA("simulation").Public())
	if err != nil {
		panic(err)
	}
	certs, err := pki.ParseCerts(leaf)
	if err != nil {
		panic(err)
	}
	csr, err = pki.NewRequest(kr.ECDSA("someone"), pki.Request{Subject: someone})
	if err != nil {
		panic(err)
	}
	return [][]byte{certs[0].Raw}, csr
}

// moves are what may happen, each as often as its weight.
var moves = []struct {
	weight int
	do     func(p *planner)
}{
	{6, func(p *planner) {
		p.typ(p.node(), "systemctl "+p.one("start", "start", "start", "stop", "restart")+" kubelet")
	}},
	{6, func(p *planner) { p.typ("admin", p.one(bindings...)) }},
	{2, func(p *planner) {
		p.typ("admin", "kubectl delete clusterrolebinding "+p.one("kubelet-bootstrap", "approve-client", "approve-renewal"))
	}},
	{4, func(p *planner) { p.approve() }},
	{2, func(p *planner) {
		i := p.IntN(p.Config.Nodes)
		p.kubelets[i] = p.setup()
		p.configure(i)
	}},
	{2, func(p *planner) { p.typ("admin", "kubectl certificate deny $(kubectl get csr -o name)") }},
	{1, func(p *planner) { p.typ("admin", "kubectl delete csr --all") }},
	{2, func(p *planner) { p.typ("admin", "kubectl delete node "+p.node()) }},
	{1, func(p *planner) {
		p.typ("admin", p.one("kubectl get csr -w | head -n 2", "kubectl get nodes,csr", "sleep 1h"))
	}},
	{1, func(p *planner) { p.do(engine.Input{Interrupt: &engine.Interrupt{Host: p.one("admin", p.node())}}) }},
	{2, func(p *planner) {
		p.typ("control-1", "systemctl "+p.one("restart", "stop", "start")+" "+p.one("kube-apiserver", "kube-controller-manager"))
	}},
	{2, func(p *planner) {
		f := controllerFlags[p.IntN(len(controllerFlags))]
		p.do(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: f[0], Value: f[1]}})
	}},
	{10, func(p *planner) { p.fault() }},
	{4, func(p *planner) { p.probe() }},
	{3, func(p *planner) { p.request() }},
	{2, func(p *planner) {
		p.typ(p.node(), fmt.Sprintf("date -s '%+d minutes'", p.IntN(2000)-1000))
	}},
}

var bindings = []string{bindBootstrap, bindApproval, bindRenewal}

var controllerFlags = [][2]string{
	{"controllers", "*"}, {"controllers", "*,-csrapproving"}, {"controllers", "*,-csrsigning"}, {"controllers", "*,bootstrapsigner,tokencleaner"},
	{"v", "2"}, {"v", "5"},
}

func (p *planner) move() {
	sum := 0
	for _, m := range moves {
		sum += m.weight
	}
	n := p.IntN(sum)
	for _, m := range moves {
		if n -= m.weight; n < 0 {
			m.do(p)
			return
		}
	}
}

// fault draws a fault that ends by itself, mostly.
func (p *planner) fault() {
	node := p.node()
	host := p.one(node, node, "control-1")
	text := p.one(
		"link "+node+" control-1 drop", "link "+node+" control-1 drop 30%", "link "+node+" control-1 delay "+p.one("50ms", "2s", "9s"),
		"link "+node+" control-1 duplicate 50%", "link "+node+" control-1 cut 40%", "link "+node+" control-1 refuse",
		"host "+host+" "+p.one("drop", "drop 20%", "delay 3s", "duplicate 30%", "cut 50%", "refuse"), "host "+host+" stop", "host "+host+" restart", "host "+node+" suspend",
		"disk "+node+" deny-write "+p.one("/var/lib/kubelet/pki", "/etc/kubernetes", "/"), "disk "+node+" full",
		"clock "+node+" skew "+p.one("-10m", "+1h", "-3d", "+40d"), "clock "+p.one(node, "control-1", "admin")+" drift "+p.one("50", "-300"),
		"clock control-1 skew "+p.one("-1m", "+4m", "+2h"),
		"apiserver control-1 status "+p.one("429", "500", "503")+" "+p.one("", "PUT", "GET", "POST", "/apis/certificates.k8s.io/*")+" "+p.one("", "30%"),
		"apiserver control-1 drop "+p.one("", "20%", "PUT 50%"), "apiserver control-1 delay "+p.one("1s", "20s", "20s 30%"), "apiserver control-1 duplicate "+p.one("", "50%"), "apiserver control-1 stop", "apiserver control-1 restart",
	)
	if p.IntN(5) == 0 {
		host = p.one(node, node, node, "control-1")
		file := p.one(append(filesOf(host), map[bool][]string{true: nodeMakes}[host == node]...)...)
		p.hurt[host] = true
		text = "disk " + host + " corrupt " + file
	}
	if strings.Contains(text, "control-1 skew +2h") {
		p.scarred = true
	}
	if !strings.HasSuffix(text, "restart") && !strings.Contains(text, " corrupt ") && p.IntN(6) > 0 {
		text += fmt.Sprintf(" for %dms", p.span(10*time.Minute).Milliseconds())
	}
	f, err := engine.ParseFault(text, p.now)
	if err != nil {
		panic(text + ": " + err.Error())
	}
	p.do(engine.Input{Fault: &f})
}

// probe is a question of authorization: the admin asks as someone else.
func (p *planner) probe() {
	user := p.one("jane", "system:bootstrap:07401b", "system:node:"+p.node(), "system:serviceaccount:kube-system:certificate-controller", "system:kube-controller-manager", "system:anonymous")
	h := http.Header{"Impersonate-User": {user}, "Accept": {"application/json"}}
	for range p.IntN(3) {
		h.Add("Impersonate-Group", p.one("system:nodes", "system:bootstrappers", "system:authenticated", "developers", "system:bootstrappers:kubeadm:default-node-token"))
	}
	p.external(p.one("GET", "GET", "DELETE", "POST", "PUT"), p.path(), h, nil)
}

func (p *planner) path() string {
	name := p.one("", "", "/"+p.node(), "/x")
	return p.one("/api/v1/nodes"+name, "/api/v1/nodes/"+p.node()+"/status", "/api/v1/namespaces/kube-system/secrets"+name, era.Path(p.era, "certificates.k8s.io", "certificatesigningrequests")+name,
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"+name, "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"+name, "/api/v1/namespaces/kube-public/configmaps"+name, "/api", "/version", "/healthz", "/metrics", "/apis/storage.k8s.io/v1/csinodes"+name)
}

// request is a CSR that may be any, of the admin.
func (p *planner) request() {
	signer := p.one("kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving", "example.com/serving", "kubernetes.io/legacy-unknown")
	usages := p.one(`"client auth"`, `"server auth"`, `"client auth","digital signature"`, `"digital signature","key encipherment","client auth"`, `"any"`)
	body := fmt.Sprintf(`{"apiVersion":%q,"kind":"CertificateSigningRequest","metadata":{"generateName":"someone-"},"spec":{"signerName":%q,"usages":[%s],"expirationSeconds":%d,"request":%q}}`,
		era.Preferred(p.era, "certificates.k8s.io", "certificatesigningrequests"), signer, usages, []int{600, 3600, 99999999}[p.IntN(3)], base64Of(p.csr))
	p.external("POST", era.Path(p.era, "certificates.k8s.io", "certificatesigningrequests"), http.Header{}, []byte(body))
}

func (p *planner) external(method, url string, h http.Header, body []byte) {
	h.Set("Content-Type", "application/json")
	p.do(engine.Input{External: &engine.External{ID: fmt.Sprint("probe ", len(p.Inputs)), Addr: "10.0.0.10:6443", Request: sim.Request{Method: method, URL: url, Header: h, Body: body, Peer: p.admin}}})
}

// order ends all faults and does what a person does who wants every node to
// join.
func (p *planner) order() {
	p.do(engine.Input{Lift: &engine.Lift{Faults: "all"}})
	// Hosts that were off boot.
	p.now = p.now.Add(time.Minute)
	hosts := []string{"control-1", "admin"}
	for i := range p.Config.Nodes {
		hosts = append(hosts, fmt.Sprintf("node-%d", i+1))
	}
	for _, h := range hosts {
		p.do(engine.Input{Interrupt: &engine.Interrupt{Host: h}})
		if h != "admin" { // only root sets clocks, and nobody set the admin's
			p.typ(h, "date -s @"+fmt.Sprint(p.now.Unix()))
		}
	}
	for _, h := range append([]string{"control-1"}, hosts[2:]...) {
		if p.hurt[h] {
			p.keep(h, filesOf(h), true)
			if h != "control-1" {
				p.clean(h)
			}
			delete(p.hurt, h)
		}
	}
	for i := range p.kubelets {
		p.configure(i)
	}
	p.typ("control-1", "systemctl restart kube-apiserver")
	p.now = p.now.Add(10 * time.Second)
	p.do(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-controller-manager", Name: "controllers", Value: "*"}})
	p.typ("control-1", "systemctl restart kube-controller-manager")
	p.now = p.now.Add(10 * time.Second)
	if era.TokenFile.In(p.era) {
		// The oldest have not the roles that are bound.
		for _, sub := range []string{"nodeclient", "selfnodeclient"} {
			role := "system:certificates.k8s.io:certificatesigningrequests:" + sub
			p.typ("admin", "kubectl get clusterrole "+role+" || kubectl create -f - "+roleText(p.era, role, sub))
		}
	}
	for _, b := range bindings {
		p.typ("admin", b)
	}
	p.typ("admin", "kubectl apply -f - <<EOF\n"+fmt.Sprintf(freshToken, engine.TokenID, engine.TokenID, engine.TokenSecret, p.now.AddDate(1, 0, 0).Format(time.RFC3339))+"EOF")
	for _, h := range hosts[2:] {
		p.typ(h, "systemctl restart kubelet")
	}
	p.now = p.now.Add(time.Minute)
	p.approve()
}

const freshToken = `apiVersion: v1
kind: Secret
metadata:
  name: bootstrap-token-%s
  namespace: kube-system
type: bootstrap.kubernetes.io/token
stringData:
  token-id: "%s"
  token-secret: "%s"
  expiration: "%s"
  usage-bootstrap-authentication: "true"
  auth-extra-groups: system:bootstrappers:kubeadm:default-node-token
`
