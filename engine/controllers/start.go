package controllers

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	certv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// controller is how one controller is built, which may fail, and then started.
// Build returns false when the controller has nothing to do.
type controller struct {
	name  string
	since *era.Row[bool] // nil: in every release
	build func(m *ControllerManager, c *sim.Ctx) (bool, error)
	start func(m *ControllerManager, c *sim.Ctx)
}

// simulated are the controllers in the order in which they are built.
var simulated []controller

func init() {
	simulated = []controller{
		{accountTokens, nil, (*ControllerManager).buildAccountTokens, (*ControllerManager).startAccountTokens},
		{signing, nil, (*ControllerManager).buildSigners, (*ControllerManager).startSigners},
		{approving, nil, always, (*ControllerManager).startApprover},
		{cleaning, &era.Cleaner, always, (*ControllerManager).startCleaner},
		{rootCA, nil, (*ControllerManager).buildRootCA, (*ControllerManager).startRootCA},
		{defaultAccounts, nil, always, (*ControllerManager).startDefaultAccounts},
		{aggregation, &era.Aggregation, always, (*ControllerManager).startAggregation},
		{endings, nil, always, (*ControllerManager).startNamespaces},
		{collecting, nil, always, (*ControllerManager).startCollector},
		{tokenCleaner, nil, always, (*ControllerManager).startTokenCleaner},
		{bootstrapSigner, nil, always, (*ControllerManager).startBootstrapSigner},
		{nodeLife, &era.NodeLeases, always, (*ControllerManager).startLife},
	}
}

// starts tells whether a controller that is enabled would run as far as its gate goes.
func (m *ControllerManager) starts(x controller) bool {
	gate := ""
	if x.name == rootCA {
		gate = era.RootCAGate.In(m.era())
	}
	return x.In(m.era()) && (gate == "" || m.gate(gate))
}

// In tells whether a release has the controller.
func (x *controller) In(e era.Era) bool { return x.since == nil || x.since.In(e) }

func always(*ControllerManager, *sim.Ctx) (bool, error) { return true, nil }

// start is the process until it may run its controllers: it reads the flags'
// files and, with --leader-elect, waits until it leads.
func (m *ControllerManager) start(c *sim.Ctx) {
	m.Started = c.Now
	m.CSRs, m.Secrets, m.Maps = map[string]*certv1.CertificateSigningRequest{}, map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}
	m.Namespaces, m.Seats, m.Roles = map[string]*corev1.Namespace{}, map[string]*corev1.ServiceAccount{}, map[string]*role{}
	m.Nodes, m.Pods = map[string]*corev1.Node{}, map[string]*corev1.Pod{}
	m.Pairs, m.Streams = map[string]pair{}, map[uint64]exchange{}
	m.Clients = []*client{{}}
	if m.Program != "" {
		programs[m.Program].start(m, c)
		return
	}
	for _, line := range m.Flags.Told {
		c.LogLine('I', 0, line)
	}
	if m.Refused != "" {
		m.die(c, m.Refused)
		return
	}
	m.say(c, &era.LineVersion, era.KubeletPatch.In(m.era()))
	var err error
	if m.Own, err = readIdentity(c.Disk, m.Flags.Kubeconfig, "kube-controller-manager"); err != nil {
		m.die(c, err.Error())
		return
	}
	m.Bearer = m.Own
	m.Bearer.Conn, m.Bearer.Cert, m.Bearer.Key, m.Bearer.Token = "service-accounts", nil, nil, ""
	if m.Flags.Elect.On {
		m.elect(c)
		return
	}
	m.run(c)
}

// run waits for the API server to be healthy. Models
// k8s.io/controller-manager/app WaitForAPIServer.
func (m *ControllerManager) run(c *sim.Ctx) {
	if m.Program != "" {
		m.runProgram(c)
		return
	}
	m.Health = c.Now
	m.askHealth(c)
}

func (m *ControllerManager) askHealth(c *sim.Ctx) {
	m.send(c, m.own(), exchange{To: "health"}, "GET", "/healthz", nil)
}

func (m *ControllerManager) healthy(c *sim.Ctx, a answer) {
	if a.ok() {
		if !m.chooseTokens(c) {
			m.boot(c)
		}
		return
	}
	why := "failed to get apiserver /healthz status: " + a.err()
	m.say(c, &era.LineNotHealthy)
	if e := m.era(); c.Now.Add(era.HealthPoll.In(e)).Sub(m.Health) <= era.HealthWait.In(e) {
		c.Wake(c.Now.Add(era.HealthPoll.In(e)), "health")
		return
	}
	words := era.HealthWords.In(m.era())
	if strings.Contains(words, "%s") {
		words = fmt.Sprintf(words, why)
	}
	m.quit(c, &era.LineContextError, words)
}

// boot sees to it that the ServiceAccounts of all controllers that run are
// there, one after the other, and then builds the controllers.
func (m *ControllerManager) boot(c *sim.Ctx) {
	if m.legacy() && !m.TokensOn && !m.tokensFirst(c) {
		return
	}
	if m.Flags.Credentials {
		var names []string
		for _, x := range simulated {
			if name := accountOf(m.era(), x.name); name != "" && m.Flags.enabled(m.era(), x.name) && m.starts(x) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if m.Booted < len(names) {
			a := m.account(names[m.Booted])
			m.Booted++
			a.Booting = true
			m.want(c, a, "get")
			return
		}
	}
	m.build(c)
}

// tokensFirst starts the controller that gives the others their tokens.
func (m *ControllerManager) tokensFirst(c *sim.Ctx) bool {
	m.TokensOn = true
	if !m.Flags.enabled(m.era(), accountTokens) {
		return true
	}
	ok, err := m.buildAccountTokens(c)
	if err != nil {
		m.quit(c, &era.LineControllersError, err.Error())
		return false
	}
	if ok {
		m.startAccountTokens(c)
	}
	return true
}

// build makes the controllers that --controllers names, and starts them when
// all can be made. One that can't ends the process.
func (m *ControllerManager) build(c *sim.Ctx) {
	e := m.era()
	for _, x := range era.Controllers.In(e) {
		if !m.Flags.enabled(e, x.Name) {
			m.say(c, &era.LineControllerOff, x.Called(e))
		}
	}
	if m.Flags.Credentials && m.Flags.AccountKey == "" {
		m.say(c, &era.LineNoKeyForAccounts)
	}
	var ready []controller
	for _, x := range simulated {
		if !m.Flags.enabled(e, x.name) || !x.In(e) || m.TokensOn && x.name == accountTokens {
			continue
		}
		name, told := called(e, x.name), x.name != accountTokens || era.TokensTold.In(e)
		if told && !era.BuildsFirst.In(e) {
			m.say(c, &era.LineControllerStarts, name)
		}
		ok, err := x.build(m, c)
		if err != nil {
			m.say(c, &era.LineControllerError, err.Error(), name)
			m.quit(c, &era.LineControllersError, err.Error())
			return
		}
		switch {
		case !ok && told:
			m.say(c, &era.LineControllerSkipped, name)
		case ok && era.BuildsFirst.In(e):
			ready = append(ready, x)
		case ok:
			x.start(m, c)
			if told {
				m.say(c, &era.LineControllerStarted, name)
			}
		}
	}
	for _, x := range ready {
		m.say(c, &era.LineControllerStarts, x.name)
		x.start(m, c)
	}
}

// called is a controller's name in a release.
func called(e era.Era, name string) string {
	for _, x := range era.Controllers.In(e) {
		if x.Name == name {
			return x.Called(e)
		}
	}
	return name
}

// quit ends the process that can't start its controllers: by a line that is fatal
// (up to 1.26), or by what it returns.
func (m *ControllerManager) quit(c *sim.Ctx, row *era.Row[era.Line], why string) {
	m.say(c, row, why)
	switch {
	case row.In(m.era()).Level == 'F':
		c.Exit(255)
	case row == &era.LineControllersError && era.BuildsFirst.In(m.era()):
		m.die(c, why)
	default:
		c.Exit(1)
	}
}

// readCA reads a bundle of CA certificates. Models
// cmd/kube-controller-manager/app readCA.
func readCA(d *sim.Disk, file string) ([]byte, error) {
	b, err := d.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for rest := b; ; {
		var p *pem.Block
		if p, rest = pem.Decode(rest); p == nil {
			return nil, errors.New("data does not contain any valid RSA or ECDSA certificates")
		}
		if p.Type == "CERTIFICATE" && len(p.Headers) == 0 {
			if _, err := x509.ParseCertificates(p.Bytes); err != nil {
				return nil, err
			}
			return b, nil
		}
	}
}

// readCerts counts the certificates of PEM data. Models k8s.io/client-go/util/cert
// ParseCertsPEM.
func readCerts(data []byte) (n int, err error) {
	for {
		var p *pem.Block
		if p, data = pem.Decode(data); p == nil {
			break
		}
		if p.Type != "CERTIFICATE" || len(p.Headers) > 0 {
			continue
		}
		certs, err := x509.ParseCertificates(p.Bytes)
		if err != nil {
			return 0, err
		}
		n += len(certs)
	}
	if n == 0 {
		return 0, errors.New("data does not contain any valid RSA or ECDSA certificates")
	}
	return n, nil
}

// bundle is what --root-ca-file holds, or else the CA of the manager's own
// kubeconfig. It is read once.
func (m *ControllerManager) bundle(c *sim.Ctx) ([]byte, error) {
	if m.Flags.RootCAFile == "" {
		return m.Own.Roots, nil
	}
	b, err := readCA(c.Disk, m.Flags.RootCAFile)
	if err != nil {
		if _, unread := errors.AsType[*fs.PathError](err); unread && era.RootCAUnread.In(m.era()) {
			return nil, fmt.Errorf("error reading root-ca-file at %s: %w", m.Flags.RootCAFile, err)
		}
		return nil, fmt.Errorf("error parsing root-ca-file at %s: %w", m.Flags.RootCAFile, err)
	}
	return b, nil
}

// loop adds a work queue, and its client if it has none to share.
func (m *ControllerManager) loop(l *loop, cl *client) {
	l.Index, l.Client = len(m.Loops), cl.Index
	m.Loops = append(m.Loops, l)
}

func (m *ControllerManager) startApprover(c *sim.Ctx) {
	m.loop(&loop{Name: "csrapproving", Kind: kindApprove, Logger: approving, Controller: approving}, m.addClient(approving))
	m.say(c, &era.LineCSRStart, "csrapproving")
	m.addFeed(c, "csrs", m.csrs())
}

func (m *ControllerManager) startCleaner(c *sim.Ctx) {
	m.Cleaner = cleaner{On: true, Client: m.addClient(cleaning).Index}
	m.say(c, &era.LineCleanerStart)
	m.addFeed(c, "csrs", m.csrs())
}

// buildSigners adds a loop for each signer that has files. Any file that can't
// be used ends the process.
func (m *ControllerManager) buildSigners(c *sim.Ctx) (bool, error) {
	e, f := m.era(), &m.Flags
	if len(f.Pairs) == 0 && (f.CertFile == "" || f.KeyFile == "") {
		m.say(c, &era.LineNoSigner, signing)
		return false, nil
	}
	if m.missesDefaults(c) {
		return false, nil
	}
	cl := m.addClient(signing)
	rows := signers
	if !era.SigningApart.In(e) {
		rows = []signerRow{{loop: "csrsigning"}}
	}
	for i, s := range rows {
		cert, key := f.CertFile, f.KeyFile
		if len(f.Pairs) > 0 {
			p, ok := f.Pairs[s.short]
			if !ok {
				line := era.LineOtherSigner.In(e)
				line.At = fmt.Sprintf("certificates.go:%d", 85+13*i)
				m.line(c, line, signing, s.name)
				continue
			}
			cert, key = p[0], p[1]
		}
		if err := m.firstAuthority(c, cert, key); err != nil {
			words := era.SigningRefused.In(e)
			if words == "" {
				m.say(c, &era.LineSignerError, err)
				return false, nil
			}
			return false, fmt.Errorf(words, s.name, err)
		}
		m.loop(&loop{Name: s.loop, Kind: kindSign, Logger: signing, Controller: signing, Signer: s.name, CertFile: cert, KeyFile: key}, cl)
	}
	return true, nil
}

// missesDefaults looks whether the signing files are those of the flags' defaults: they
// are warned of, and none is no error, in releases that look.
func (m *ControllerManager) missesDefaults(c *sim.Ctx) bool {
	var files [2]string
	for i, flag := range []string{"cluster-signing-cert-file", "cluster-signing-key-file"} {
		x, _ := era.FlagOf(m.era(), "kube-controller-manager", flag)
		files[i] = x.Default
	}
	if !era.SigningMissesDefaults.In(m.era()) {
		return false
	}
	default1, default2 := m.Flags.CertFile == files[0], m.Flags.KeyFile == files[1]
	there := func(file string) bool { _, err := c.Disk.Stat(file); return !errors.Is(err, fs.ErrNotExist) }
	cert, key := there(m.Flags.CertFile), there(m.Flags.KeyFile)
	switch {
	case key && default2 || cert && default1:
		m.say(c, &era.LineDefaultFiles)
	case default1 && default2:
		m.say(c, &era.LineNoDefaultFiles)
		return true
	}
	return false
}

func (m *ControllerManager) startSigners(c *sim.Ctx) {
	for _, l := range m.Loops {
		if l.Kind == kindSign {
			m.say(c, &era.LineCSRStart, l.Name)
			m.say(c, &era.LinePairStart, contentName+l.CertFile+"::"+l.KeyFile)
		}
	}
	m.watchFiles(c)
	m.addFeed(c, "csrs", m.csrs())
}

func (m *ControllerManager) buildRootCA(c *sim.Ctx) (bool, error) {
	if gate := era.RootCAGate.In(m.era()); gate != "" && !m.gate(gate) {
		return false, nil
	}
	var err error
	m.RootCA, err = m.bundle(c)
	return true, err
}

func (m *ControllerManager) startRootCA(c *sim.Ctx) {
	m.loop(&loop{Name: "root_ca_cert_publisher", Kind: kindRootCA, Controller: rootCA}, m.addClient(rootCA))
	m.say(c, &era.LineRoots)
	m.addFeed(c, "configmaps", "/api/v1/configmaps")
	m.addFeed(c, "namespaces", "/api/v1/namespaces")
}

func (m *ControllerManager) startDefaultAccounts(c *sim.Ctx) {
	m.loop(&loop{Name: "serviceaccount", Kind: kindDefaultAccount, Controller: defaultAccounts}, m.addClient(defaultAccounts))
	m.say(c, &era.LineAccountsStart)
	m.addFeed(c, "serviceaccounts", "/api/v1/serviceaccounts")
	m.addFeed(c, "namespaces", "/api/v1/namespaces")
}

func (m *ControllerManager) startTokenCleaner(c *sim.Ctx) {
	m.loop(&loop{Name: "token_cleaner", Kind: kindTokenCleaner, Controller: tokenCleaner}, m.addClient(tokenCleaner))
	m.say(c, &era.LineTokenCleanerStart)
	m.addFeed(c, "secrets", "/api/v1/secrets")
}

func (m *ControllerManager) startBootstrapSigner(c *sim.Ctx) {
	m.loop(&loop{Name: "bootstrap_signer_queue", Kind: kindBootstrapSigner, Controller: bootstrapSigner}, m.addClient(bootstrapSigner))
	m.addFeed(c, "configmaps", "/api/v1/configmaps")
	m.addFeed(c, "secrets", "/api/v1/secrets")
}

// buildAccountTokens reads what the tokens of Secrets are made of.
func (m *ControllerManager) buildAccountTokens(c *sim.Ctx) (bool, error) {
	if m.Flags.AccountKey == "" {
		m.say(c, &era.LineNoAccountKey, called(m.era(), accountTokens))
		return false, nil
	}
	b, err := c.Disk.ReadFile(m.Flags.AccountKey)
	if err != nil {
		return false, fmt.Errorf("error reading key for service account token controller: error reading private key file %s: %w", m.Flags.AccountKey, err)
	}
	if _, err := pki.ParseKey(b); err != nil {
		return false, fmt.Errorf("error reading key for service account token controller: error reading private key file %s: data does not contain a valid RSA or ECDSA private key", m.Flags.AccountKey)
	}
	m.AccountKey = b
	m.RootCA, err = m.bundle(c)
	return true, err
}

func (m *ControllerManager) startAccountTokens(c *sim.Ctx) {
	cl := m.own()
	if m.autoTokens() {
		cl = m.addClient("")
		m.loop(&loop{Name: "serviceaccount_tokens_service", Kind: kindSeatToken, Controller: accountTokens}, cl)
	}
	m.loop(&loop{Name: "serviceaccount_tokens_secret", Kind: kindAccountToken, Controller: accountTokens}, cl)
	m.addFeed(c, "secrets", "/api/v1/secrets")
	m.addFeed(c, "serviceaccounts", "/api/v1/serviceaccounts")
}

// addFeed opens a watch that several controllers may share.
func (m *ControllerManager) addFeed(c *sim.Ctx, kind, url string) {
	for _, f := range m.Feeds {
		if f.Kind == kind {
			return
		}
	}
	f := &feed{Index: len(m.Feeds), Kind: kind, URL: url}
	m.Feeds = append(m.Feeds, f)
	m.open(c, f)
}
