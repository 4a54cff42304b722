package kubelet

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"path"
	"strconv"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// portAfter is when the port opens, counted from the start (recorded:
// c/kubelet.log).
const portAfter = 236 * time.Millisecond

// port is what the kubelet serves at :10250.
type port struct {
	// Addr is where, "ip:port", or ":port" for every address; Plain where it serves without TLS and without
	// asking who it is, and Healthz where it answers its own host.
	Addr    string `json:"addr,omitempty"`
	Plain   string `json:"plain,omitempty"`
	Healthz string `json:"healthz,omitempty"`
	// Bootstrap: the cluster is asked for the certificate. Else it is in files.
	Bootstrap bool     `json:"bootstrap,omitempty"`
	CertFile  string   `json:"certFile,omitempty"`
	KeyFile   string   `json:"keyFile,omitempty"`
	Cert      []byte   `json:"cert,omitempty"`
	Key       []byte   `json:"key,omitempty"`
	Template  template `json:"template"`
	// Opened is when the port was opened.
	Opened time.Time `json:"opened,omitzero"`

	// ClientCA is the file with the CAs whose clients are known here, CAs what
	// was in it. Tokens, Anonymous: whether bearer tokens are asked about, and
	// whether strangers may ask. Allow: everybody may do everything.
	ClientCA  string `json:"clientCA,omitempty"`
	CAs       []byte `json:"cas,omitempty"`
	Tokens    bool   `json:"tokens,omitempty"`
	Anonymous bool   `json:"anonymous,omitempty"`
	Allow     bool   `json:"allow,omitempty"`
	// Lives are what was left of the certificates with which clients came.
	Lives sim.Histogram `json:"lives,omitzero"`
	// Invalid is why the process will end when it comes to the port.
	Invalid string `json:"invalid,omitempty"`
	// Healthy counts how often somebody asked for its health.
	Healthy int `json:"healthy,omitempty"`
	// Debug: what enableDebuggingHandlers is about is served.
	Debug bool `json:"debug,omitempty"`
	// TokenTTL, AllowedTTL and DeniedTTL are how long the API server's words about
	// a token and about a permission are remembered.
	TokenTTL   time.Duration `json:"tokenTTL"`
	AllowedTTL time.Duration `json:"allowedTTL"`
	DeniedTTL  time.Duration `json:"deniedTTL"`
	// Waiting are the requests that wait for a word of the API server, Known
	// the words that are remembered.
	Waiting map[uint64]visit   `json:"waiting"`
	Known   map[string]verdict `json:"known"`
}

// preparePort finds what the port serves, and with what.
func (k *Kubelet) preparePort(cfg *KubeletConfiguration) {
	p := &k.Port
	if *cfg.EnableServer {
		p.Addr = bind(cfg.Address, int(cfg.Port))
	}
	p.Plain = bind(cfg.Address, int(cfg.ReadOnlyPort))
	p.Healthz = bind(cfg.HealthzBindAddress, int(*cfg.HealthzPort))
	p.ClientCA = cfg.Authentication.X509.ClientCAFile
	p.Tokens = *cfg.Authentication.Webhook.Enabled
	p.Anonymous = *cfg.Authentication.Anonymous.Enabled
	p.Allow = cfg.Authorization.Mode == "AlwaysAllow"
	p.Debug = *cfg.EnableDebuggingHandlers
	p.TokenTTL = cfg.Authentication.Webhook.CacheTTL.Duration
	p.AllowedTTL = cfg.Authorization.Webhook.CacheAuthorizedTTL.Duration
	p.DeniedTTL = cfg.Authorization.Webhook.CacheUnauthorizedTTL.Duration
	if mode := cfg.Authorization.Mode; mode != "AlwaysAllow" && mode != "Webhook" {
		p.Invalid = "unknown authorization mode " + mode
	}
	if p.ClientCA == "" && !p.Tokens && !p.Anonymous {
		p.Invalid = "no authentication method configured"
	}
	p.Bootstrap = k.asksForServing(cfg) // the files are then what is served until the first certificate is issued
	p.CertFile, p.KeyFile = cfg.TLSCertFile, cfg.TLSPrivateKeyFile
}

// asksForServing tells whether the cluster is asked for the port's certificate.
func (k *Kubelet) asksForServing(cfg *KubeletConfiguration) bool {
	return (cfg.ServerTLSBootstrap || !era.KubeletServingSetting.In(k.era())) && k.era().GateOn("RotateKubeletServerCertificate", cfg.FeatureGates)
}

// ownPair makes the port a certificate that nobody trusts when none is named and
// none is to be asked for. It is never renewed. Models cmd/kubelet/app InitializeTLS.
func (k *Kubelet) ownPair(c *sim.Ctx) bool {
	p := &k.Port
	if p.Bootstrap || p.CertFile != "" || p.KeyFile != "" {
		return true
	}
	p.CertFile, p.KeyFile = path.Join(k.Flags.CertDir, "kubelet.crt"), path.Join(k.Flags.CertDir, "kubelet.key")
	_, certErr := c.Disk.Stat(p.CertFile)
	_, keyErr := c.Disk.Stat(p.KeyFile)
	switch {
	case certErr == nil && keyErr == nil:
		return true
	case certErr == nil || keyErr == nil:
		missing := p.CertFile
		if certErr == nil {
			missing = p.KeyFile
		}
		k.die(c, "failed to construct kubelet dependencies: error reading "+missing+", certificate and key must be supplied as a pair")
		return false
	}
	if err := k.makePair(c); err != nil {
		k.die(c, "failed to construct kubelet dependencies: "+err.Error())
		return false
	}
	k.log(c, lineSelfSigned, "TLSCertFile", p.CertFile, "TLSPrivateKeyFile", p.KeyFile)
	return true
}

// bind is the address of a port; none when the port is 0.
func bind(host string, port int) string {
	if port <= 0 {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = ""
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

func orText(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func truth(b *bool, other bool) bool {
	if b == nil {
		return other
	}
	return *b
}

// makePair writes the pair that the kubelet gives itself.
func (k *Kubelet) makePair(c *sim.Ctx) error {
	stream := c.Host + "/kubelet-self-signed"
	var serials [2][8]byte
	for i := range serials {
		c.Chance.Fill(stream, serials[i][:])
		serials[i][0] &= 0x7f
	}
	kr := pki.Keyring{Seed: c.Chance.Seed}
	n := int(serials[0][7]) // any will do
	ca, key := kr.Toy(2048, n), kr.Toy(2048, n+1)
	how := era.KubeletOwnPair.In(k.era())
	pair, err := pki.SelfSignedPair(k.Node, ca, key, serials[0][:], serials[1][:], c.Clock(), how.Early, 1)
	if how.Authority {
		pair, err = pki.SelfSignedAuthority(k.Node, key, c.Clock())
	}
	if err != nil {
		return fmt.Errorf("unable to generate self signed cert: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
		mode fs.FileMode
	}{{k.Port.CertFile, pair, 0o644}, {k.Port.KeyFile, pki.KeyPEM(key), 0o600}} {
		if err := c.Disk.MkdirAll(path.Dir(f.name), 0o755, c.Clock()); err != nil {
			return err
		}
		if err := c.Disk.WriteFile(f.name, f.data, f.mode, c.Clock()); err != nil {
			return err
		}
	}
	return nil
}

// openPort opens the port.
func (k *Kubelet) openPort(c *sim.Ctx) {
	p := &k.Port
	if p.Bootstrap {
		if !k.beginServing(c) {
			return
		}
	} else if err := k.loadPair(c); err != nil {
		k.die(c, "failed to run Kubelet: failed to create kubelet: failed to initialize file based certificate manager: unable to set up dynamic certificate manager for kubelet server cert files: "+err.Error())
		return
	}
	p.Opened = c.Now
	if p.ClientCA != "" {
		if data, err := k.readClientCA(c); err == nil {
			p.CAs = data
		}
		if era.KubeletClientCAReload.In(k.era()).ByItself {
			c.Notify(p.ClientCA)
		}
		if era.KubeletCAsShown.In(k.era()) {
			k.showClientCAs(c)
			k.log(c, lineServing)
		}
	}
	k.present(c)
	if p.Plain != "" {
		c.Listen(sim.Listen{Addr: p.Plain, Plain: true})
	}
	if p.Healthz != "" {
		c.Listen(sim.Listen{Addr: p.Healthz, Plain: true})
	}
}

// loadPair reads the port's certificate from its files. A pair that does not
// fit is an error at the start, and later leaves the last good one.
func (k *Kubelet) loadPair(c *sim.Ctx) error {
	p := &k.Port
	cert, err := c.Disk.ReadFile(p.CertFile)
	if err != nil {
		return err
	}
	key, err := c.Disk.ReadFile(p.KeyFile)
	if err != nil {
		return err
	}
	if len(cert) == 0 || len(key) == 0 {
		return fmt.Errorf("missing content for serving cert %q", "kubelet-server-cert-files::"+p.CertFile+"::"+p.KeyFile)
	}
	if _, err := pki.Pair(cert, key); err != nil {
		return err
	}
	first := p.Cert == nil
	p.Cert, p.Key = cert, key
	if !era.KubeletPairReload.In(k.era()) {
		return nil
	}
	k.log(c, linePairLoaded, "certFile", p.CertFile, "keyFile", p.KeyFile)
	if first {
		c.Notify(p.CertFile)
		c.Notify(p.KeyFile)
	}
	return nil
}

// readClientCA reads the file of the CAs of clients. Models
// apiserver/pkg/server/dynamiccertificates dynamic_cafile_content.go loadCABundle.
func (k *Kubelet) readClientCA(c *sim.Ctx) ([]byte, error) {
	name := "client-ca-bundle::" + k.Port.ClientCA
	data, err := c.Disk.ReadFile(k.Port.ClientCA)
	if err != nil {
		return nil, err
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("missing content for CA bundle %q", name)
	}
	if _, err := pki.ParseCerts(data); err != nil {
		return nil, fmt.Errorf("error loading CA bundle for %q: %w", name, err)
	}
	return data, nil
}

// loadClientCA takes a changed file of the CAs of clients into use at once; one
// that can't be used leaves the last good one (recorded: m2/2).
func (k *Kubelet) loadClientCA(c *sim.Ctx) {
	p := &k.Port
	data, err := k.readClientCA(c)
	switch {
	case err != nil:
		k.log(c, lineBadCAs, "err", "key failed with : "+err.Error(), "logger", "UnhandledError")
	case !bytes.Equal(data, p.CAs):
		p.CAs = data
		k.log(c, lineNewCAs, "name", "client-ca-bundle::"+p.ClientCA)
		// The handshake's hint, which CAs are known, is renewed every minute.
		if !era.KubeletCAsShown.In(k.era()) {
			break
		}
		k.after(c, "cas", caHints-c.Now.Sub(p.Opened)%caHints)
	}
}

// caHints is how often the controller of the port's handshakes looks, counted
// from when the port opened (Models apiserver/pkg/server/dynamiccertificates
// tlsconfig.go Run; recorded: m/4).
const caHints = time.Minute

// showClientCAs tells which CAs the port's handshakes name to clients.
func (k *Kubelet) showClientCAs(c *sim.Ctx) {
	list, _ := pki.ParseCerts(k.Port.CAs)
	for i, x := range list {
		k.log(c, lineClientCA, "index", i, "certName", "client-ca-bundle::"+k.Port.ClientCA, "certDetail", pki.Detail(x, c.Clock()))
	}
}

// changedFile takes a changed file of the port into use, in releases that do so.
func (k *Kubelet) changedFile(c *sim.Ctx, name string) {
	r := era.KubeletServingReload.In(k.era())
	if name == k.Port.ClientCA {
		r = era.KubeletClientCAReload.In(k.era())
	}
	switch {
	case !r.ByItself:
	case r.Within == 0:
		k.reread(c, name)
	default:
		k.after(c, "file "+name, r.Within-c.Now.Sub(k.Port.Opened)%r.Within)
	}
}

func (k *Kubelet) reread(c *sim.Ctx, name string) {
	switch name {
	case k.Port.ClientCA:
		k.loadClientCA(c)
	case k.Port.CertFile, k.Port.KeyFile:
		if err := k.loadPair(c); err == nil {
			k.present(c)
		}
	}
}

// portNumber is what the Node object says of the port.
func (k *Kubelet) portNumber() int32 {
	_, port, _ := net.SplitHostPort(k.Port.Addr)
	n, _ := strconv.Atoi(port)
	return int32(n)
}
