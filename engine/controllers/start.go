package controllers

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

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
	build func(m *ControllerManager, c *sim.Ctx) (bool, error)
	start func(m *ControllerManager, c *sim.Ctx)
}

// simulated are the controllers in the order in which they are built.
var simulated []controller

func init() {
	simulated = []controller{
		{accountTokens, (*ControllerManager).buildAccountTokens, (*ControllerManager).startAccountTokens},
		{signing, (*ControllerManager).buildSigners, (*ControllerManager).startSigners},
		{approving, always, (*ControllerManager).startApprover},
		{cleaning, always, (*ControllerManager).startCleaner},
		{rootCA, (*ControllerManager).buildRootCA, (*ControllerManager).startRootCA},
		{defaultAccounts, always, (*ControllerManager).startDefaultAccounts},
		{aggregation, always, (*ControllerManager).startAggregation},
		{endings, always, (*ControllerManager).startNamespaces},
		{collecting, always, (*ControllerManager).startCollector},
		{tokenCleaner, always, (*ControllerManager).startTokenCleaner},
		{bootstrapSigner, always, (*ControllerManager).startBootstrapSigner},
	}
}

func always(*ControllerManager, *sim.Ctx) (bool, error) { return true, nil }

// start is the process until it may run its controllers: it reads the flags'
// files and, with --leader-elect, waits until it leads.
func (m *ControllerManager) start(c *sim.Ctx) {
	m.Started = c.Now
	m.CSRs, m.Secrets, m.Maps = map[string]*certv1.CertificateSigningRequest{}, map[string]*corev1.Secret{}, map[string]*corev1.ConfigMap{}
	m.Namespaces, m.Seats, m.Roles = map[string]*corev1.Namespace{}, map[string]*corev1.ServiceAccount{}, map[string]*role{}
	m.Pairs, m.Streams = map[string]pair{}, map[uint64]exchange{}
	m.Clients = []*client{{}}
	if m.Program != "" {
		programs[m.Program].start(m, c)
		return
	}
	if m.Refused != "" {
		m.die(c, m.Refused)
		return
	}
	m.log(c, 'I', 0, "controllermanager.go:188", "Starting", "version", era.KubeletPatch.In(m.era()))
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
		m.boot(c)
		return
	}
	why := "failed to get apiserver /healthz status: " + a.err()
	if e := m.era(); c.Now.Add(era.HealthPoll.In(e)).Sub(m.Health) <= era.HealthWait.In(e) {
		c.Wake(c.Now.Add(era.HealthPoll.In(e)), "health")
		return
	}
	m.log(c, 'E', 0, "controllermanager.go:224", "Error building controller context", "err", "failed to wait for apiserver being healthy: timed out waiting for the condition: "+why)
	c.Exit(1)
}

// boot sees to it that the ServiceAccounts of all controllers that run are
// there, one after the other, and then builds the controllers.
func (m *ControllerManager) boot(c *sim.Ctx) {
	if m.Flags.Credentials {
		var names []string
		for _, x := range simulated {
			if name := accountOf(m.era(), x.name); name != "" && m.Flags.enabled(m.era(), x.name) && !slices.Contains(names, name) {
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

// build makes the controllers that --controllers names, and starts them when
// all can be made. One that can't ends the process.
func (m *ControllerManager) build(c *sim.Ctx) {
	e := m.era()
	for _, x := range era.Controllers.In(e) {
		if !m.Flags.enabled(e, x.Name) {
			m.log(c, 'I', 0, "controllermanager.go:735", "Warning: controller is disabled", "controller", x.Name)
		}
	}
	var ready []controller
	for _, x := range simulated {
		if !m.Flags.enabled(e, x.name) {
			continue
		}
		ok, err := x.build(m, c)
		if err != nil {
			m.log(c, 'E', 0, "controllermanager.go:683", "Error initializing a controller", "err", err.Error(), "controller", x.name)
			m.log(c, 'E', 0, "controllermanager.go:296", "Error building controllers", "err", err.Error())
			m.die(c, err.Error())
			return
		}
		if !ok {
			m.log(c, 'I', 0, "controllermanager.go:687", "Warning: skipping controller", "controller", x.name)
			continue
		}
		ready = append(ready, x)
	}
	for _, x := range ready {
		m.log(c, 'I', 1, "controllermanager.go:810", "Controller starting...", "controller", x.name)
		x.start(m, c)
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

// bundle is what --root-ca-file holds, or else the CA of the manager's own
// kubeconfig. It is read once.
func (m *ControllerManager) bundle(c *sim.Ctx) ([]byte, error) {
	if m.Flags.RootCAFile == "" {
		return m.Own.Roots, nil
	}
	b, err := readCA(c.Disk, m.Flags.RootCAFile)
	if err != nil {
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
	m.log(c, 'I', 0, "certificate_controller.go:120", "Starting certificate controller", "name", "csrapproving")
	m.addFeed(c, "csrs", m.csrs())
}

func (m *ControllerManager) startCleaner(c *sim.Ctx) {
	m.Cleaner = cleaner{On: true, Client: m.addClient(cleaning).Index}
	m.log(c, 'I', 0, "cleaner.go:83", "Starting CSR cleaner controller")
	m.addFeed(c, "csrs", m.csrs())
}

// buildSigners adds a loop for each signer that has files. Any file that can't
// be used ends the process.
func (m *ControllerManager) buildSigners(c *sim.Ctx) (bool, error) {
	if len(m.Flags.Pairs) == 0 && (m.Flags.CertFile == "" || m.Flags.KeyFile == "") {
		m.log(c, 'I', 0, "certificates.go:59", "Skipping CSR signer controller because no csr cert/key was specified", "logger", signing)
		return false, nil
	}
	cl := m.addClient(signing)
	for i, s := range signers {
		cert, key := m.Flags.CertFile, m.Flags.KeyFile
		if len(m.Flags.Pairs) > 0 {
			p, ok := m.Flags.Pairs[s.short]
			if !ok {
				m.log(c, 'I', 0, fmt.Sprintf("certificates.go:%d", 85+13*i), "Skipping CSR signer controller because specific files were specified for other signers and not this one", "logger", signing, "controller", s.name)
				continue
			}
			cert, key = p[0], p[1]
		}
		if err := m.firstAuthority(c, cert, key); err != nil {
			return false, fmt.Errorf("failed to init %s certificate controller: %w", s.name, err)
		}
		m.loop(&loop{Name: s.loop, Kind: kindSign, Logger: signing, Controller: signing, Signer: s.name, CertFile: cert, KeyFile: key}, cl)
	}
	return true, nil
}

func (m *ControllerManager) startSigners(c *sim.Ctx) {
	for _, l := range m.Loops {
		if l.Signer != "" {
			m.log(c, 'I', 0, "certificate_controller.go:120", "Starting certificate controller", "name", l.Name)
			m.log(c, 'I', 0, "dynamic_serving_content.go:135", "Starting controller", "name", contentName+l.CertFile+"::"+l.KeyFile)
		}
	}
	m.watchFiles(c)
	m.addFeed(c, "csrs", m.csrs())
}

func (m *ControllerManager) buildRootCA(c *sim.Ctx) (bool, error) {
	var err error
	m.RootCA, err = m.bundle(c)
	return true, err
}

func (m *ControllerManager) startRootCA(c *sim.Ctx) {
	m.loop(&loop{Name: "root_ca_cert_publisher", Kind: kindRootCA, Controller: rootCA}, m.addClient(rootCA))
	m.log(c, 'I', 0, "publisher.go:107", "Starting root CA cert publisher controller")
	m.addFeed(c, "configmaps", "/api/v1/configmaps")
	m.addFeed(c, "namespaces", "/api/v1/namespaces")
}

func (m *ControllerManager) startDefaultAccounts(c *sim.Ctx) {
	m.loop(&loop{Name: "serviceaccount", Kind: kindDefaultAccount, Controller: defaultAccounts}, m.addClient(defaultAccounts))
	m.log(c, 'I', 0, "serviceaccounts_controller.go:114", "Starting service account controller")
	m.addFeed(c, "serviceaccounts", "/api/v1/serviceaccounts")
	m.addFeed(c, "namespaces", "/api/v1/namespaces")
}

func (m *ControllerManager) startTokenCleaner(c *sim.Ctx) {
	m.loop(&loop{Name: "token_cleaner", Kind: kindTokenCleaner, Controller: tokenCleaner}, m.addClient(tokenCleaner))
	m.log(c, 'I', 0, "tokencleaner.go:117", "Starting token cleaner controller")
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
		m.log(c, 'I', 0, "controllermanager.go:620", "Controller is disabled because there is no private key", "controller", accountTokens)
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
	m.loop(&loop{Name: "serviceaccount_tokens_secret", Kind: kindAccountToken, Controller: accountTokens}, m.own())
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
