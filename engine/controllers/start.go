package controllers

import (
	"fmt"
	"path"

	certv1 "k8s.io/api/certificates/v1"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// CertificateControllerConf stands beside the manager's kubeconfig and holds
// the identity of the ServiceAccount kube-system/certificate-controller as a
// client certificate. The CSR controllers act with it when
// --use-service-account-credentials is set; a real one gets a token instead.
const CertificateControllerConf = "certificate-controller.conf"

// identity is a user of the API.
type identity struct {
	Conn   string `json:"conn,omitempty"`
	Server string `json:"server,omitempty"`
	Roots  []byte `json:"roots,omitempty"`
	Cert   []byte `json:"cert,omitempty"`
	Key    []byte `json:"key,omitempty"`
}

func (id *identity) dial() sim.Dial {
	return sim.Dial{Addr: address(id.Server), Roots: id.Roots, Cert: id.Cert, Key: id.Key}
}

// kubeconfig is the part of a kubeconfig that a controller needs.
type kubeconfig struct {
	Clusters []struct {
		Name    string `json:"name"`
		Cluster struct {
			Server string `json:"server"`
			CAFile string `json:"certificate-authority"`
			CA     []byte `json:"certificate-authority-data"`
		} `json:"cluster"`
	} `json:"clusters"`
	Contexts []struct {
		Name    string `json:"name"`
		Context struct {
			Cluster string `json:"cluster"`
			User    string `json:"user"`
		} `json:"context"`
	} `json:"contexts"`
	Current string `json:"current-context"`
	Users   []struct {
		Name string `json:"name"`
		User struct {
			CertFile string `json:"client-certificate"`
			Cert     []byte `json:"client-certificate-data"`
			KeyFile  string `json:"client-key"`
			Key      []byte `json:"client-key-data"`
		} `json:"user"`
	} `json:"users"`
}

// readIdentity reads the current context of a kubeconfig with all its files.
func readIdentity(d *sim.Disk, file, conn string) (identity, error) {
	id := identity{Conn: conn}
	b, err := d.ReadFile(file)
	if err != nil {
		return id, err
	}
	var kc kubeconfig
	if err := yaml.Unmarshal(b, &kc); err != nil {
		return id, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	var failed error
	data := func(data []byte, name string) []byte {
		if len(data) > 0 || name == "" {
			return data
		}
		if !path.IsAbs(name) {
			name = path.Join(path.Dir(file), name)
		}
		b, err := d.ReadFile(name)
		if err != nil && failed == nil {
			failed = err
		}
		return b
	}
	for _, x := range kc.Contexts {
		if x.Name != kc.Current {
			continue
		}
		for _, y := range kc.Clusters {
			if y.Name == x.Context.Cluster {
				id.Server, id.Roots = y.Cluster.Server, data(y.Cluster.CA, y.Cluster.CAFile)
			}
		}
		for _, y := range kc.Users {
			if y.Name == x.Context.User {
				id.Cert, id.Key = data(y.User.Cert, y.User.CertFile), data(y.User.Key, y.User.KeyFile)
			}
		}
	}
	if failed != nil {
		return id, failed
	}
	if id.Server == "" {
		return id, fmt.Errorf("invalid configuration: no server found for context %q in %s", kc.Current, file)
	}
	return id, nil
}

// die ends the process as the real one does that can't start.
func (m *ControllerManager) die(c *sim.Ctx, err string) {
	m.log(c, 'E', 0, "run.go:72", "command failed", "err", err)
	c.Exit(1)
}

// start reads the identities, starts the controllers that --controllers names
// and opens their watches.
func (m *ControllerManager) start(c *sim.Ctx) {
	m.Started = c.Now
	m.CSRs, m.Tokens = map[string]*certv1.CertificateSigningRequest{}, map[string]token{}
	m.Pairs, m.Streams = map[string]pair{}, map[uint64]exchange{}
	m.log(c, 'I', 0, "controllermanager.go:188", "Starting", "version", era.KubeletPatch.In(m.era()))
	var err error
	if m.Own, err = readIdentity(c.Disk, m.Flags.Kubeconfig, "kube-controller-manager"); err != nil {
		m.die(c, err.Error())
		return
	}
	m.Certs = m.Own
	if m.Flags.Credentials {
		conf := path.Join(path.Dir(m.Flags.Kubeconfig), CertificateControllerConf)
		if m.Certs, err = readIdentity(c.Disk, conf, "certificate-controller"); err != nil {
			m.die(c, err.Error())
			return
		}
	}
	e := m.era()
	for _, name := range []string{signing, approving, cleaning, tokenCleaner} {
		if !m.Flags.enabled(e, name) {
			m.log(c, 'I', 0, "controllermanager.go:735", "Warning: controller is disabled", "controller", name)
		}
	}
	if m.Flags.enabled(e, signing) && !m.startSigners(c) {
		return
	}
	if m.Flags.enabled(e, approving) {
		m.addLoop(c, &loop{Name: "csrapproving", Logger: approving, Controller: approving})
	}
	m.Cleaner.On = m.Flags.enabled(e, cleaning)
	if m.Cleaner.On {
		m.log(c, 'I', 0, "cleaner.go:83", "Starting CSR cleaner controller")
	}
	if len(m.Loops) > 0 || m.Cleaner.On {
		m.addFeed(c, &feed{Kind: "csrs", URL: csrPath})
	}
	if m.Flags.enabled(e, tokenCleaner) {
		m.log(c, 'I', 0, "tokencleaner.go:117", "Starting token cleaner controller")
		m.addFeed(c, &feed{Kind: "tokens", URL: "/api/v1/namespaces/kube-system/secrets", Selector: "type=bootstrap.kubernetes.io/token"})
	}
}

// startSigners adds a loop for each signer that has files. Any file that can't
// be used ends the process.
func (m *ControllerManager) startSigners(c *sim.Ctx) bool {
	for _, s := range signers {
		cert, key := m.Flags.CertFile, m.Flags.KeyFile
		if len(m.Flags.Pairs) > 0 {
			p, ok := m.Flags.Pairs[s.short]
			if !ok {
				m.log(c, 'I', 0, "certificates.go:124", "Skipping CSR signer controller because specific files were specified for other signers and not this one", "logger", signing, "controller", s.name)
				continue
			}
			cert, key = p[0], p[1]
		}
		if cert == "" || key == "" {
			continue
		}
		if _, err := m.authority(c, cert, key, true); err != nil {
			why := fmt.Sprintf("failed to init %s certificate controller: %v", signers[0].name, err)
			if len(m.Flags.Pairs) > 0 {
				why = fmt.Sprintf("failed to init %s certificate controller: %v", s.name, err)
			}
			m.log(c, 'E', 0, "controllermanager.go:683", "Error initializing a controller", "err", why, "controller", signing)
			m.log(c, 'E', 0, "controllermanager.go:296", "Error building controllers", "err", why)
			m.die(c, why)
			return false
		}
		m.addLoop(c, &loop{Name: s.loop, Logger: signing, Controller: signing, Signer: s.name, CertFile: cert, KeyFile: key})
	}
	return true
}

func (m *ControllerManager) addLoop(c *sim.Ctx, l *loop) {
	l.Index = len(m.Loops)
	m.Loops = append(m.Loops, l)
	m.log(c, 'I', 0, "certificate_controller.go:120", "Starting certificate controller", "name", l.Name)
}

func (m *ControllerManager) addFeed(c *sim.Ctx, f *feed) {
	f.Index = len(m.Feeds)
	m.Feeds = append(m.Feeds, f)
	m.open(c, f)
}
