package kubelet

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// parts are the parts of a start, by what 1.36 says before the reason, in their order,
// and after it.
var parts = [era.KubeletRun + 1][2]string{
	era.KubeletGates: {gatesFailed}, era.KubeletFlags: {"failed to validate kubelet flags: "},
	era.KubeletFile:  {"failed to load kubelet config file, path: ", ", error: "},
	era.KubeletValid: {"failed to validate kubelet configuration, error: ", ", path: &TypeMeta{Kind:,APIVersion:,}"},
	era.KubeletDeps:  {"failed to construct kubelet dependencies: "},
}

const gatesFailed = "failed to set feature gates from initial flags-based config: "

// die ends the process as a kubelet of its release does that can't start: why is in the
// words of 1.36.
func (k *Kubelet) die(c *sim.Ctx, why string) {
	part, reason := era.KubeletRun, why
	for i, words := range parts {
		if rest, ok := strings.CutPrefix(why, words[0]); ok && words[0] != "" {
			part, reason = i, strings.TrimSuffix(rest, words[1])
			if _, after, ok := strings.Cut(rest, words[1]); ok && i == era.KubeletFile {
				reason = after
			}
		}
	}
	end, whole := era.KubeletFailed(k.era(), part)
	if !whole {
		why = reason
	}
	for _, l := range end.Lines {
		c.Say(l.Level, l.Source, l.Message, l.Key, l.Text(why))
	}
	k.note(c, PhaseExited, "error", why)
	c.Exit(end.Status)
}

// start is the start-up sequence up to the moment when the certificate manager
// and the node's own requests run beside each other. Models cmd/kubelet/app
// buildKubeletClientConfig and pkg/kubelet/certificate/bootstrap LoadClientConfig.
func (k *Kubelet) start(c *sim.Ctx) {
	k.Start = c.Now
	k.Node = strings.ToLower(strings.TrimSpace(k.Flags.HostnameOverride))
	if k.Node == "" {
		k.Node = strings.ToLower(strings.TrimSpace(c.Host))
	}
	k.Health.LastGood = c.Now
	k.note(c, PhaseStarting)
	cfg, why := k.configure(c)
	if why != "" {
		k.die(c, why)
		return
	} else if cfg == nil {
		return
	}
	k.Running, k.Rotate, k.Flags.RegisterNode = cfg, k.rotates(cfg), *cfg.RegisterNode
	k.preparePort(cfg)
	if !era.KubeletOwnPairLate.In(k.era()) && !k.ownPair(c) {
		return
	}
	if wrong := cfg.invalidTLS(); wrong != "" {
		k.die(c, "failed to construct kubelet dependencies: "+wrong)
		return
	}
	k.log(c, lineVersion, "kubeletVersion", era.KubeletPatch.In(k.era()))
	if k.Flags.Kubeconfig == "" {
		k.log(c, lineStandalone)
		k.note(c, PhaseStandalone)
		return
	}
	if !k.inBackground() && k.Flags.BootstrapKubeconfig != "" {
		if k.usable(c) {
			k.log(c, lineSkipping, "path", k.Flags.Kubeconfig)
		} else {
			k.beginSync(c)
			return
		}
	}
	k.run(c)
}

// rotates tells whether a configuration makes the kubelet rotate its client
// certificate. Models cmd/kubelet/app run.
func (k *Kubelet) rotates(cfg *KubeletConfiguration) bool {
	e := k.era()
	return (cfg.RotateCertificates || !era.KubeletRotateSetting.In(e)) && (!era.KubeletRotateGate.In(e) || e.GateOn("RotateKubeletClientCertificate", cfg.FeatureGates))
}

// inBackground: the first certificate is asked for beside everything else.
func (k *Kubelet) inBackground() bool { return k.Rotate && era.KubeletBackground.In(k.era()) }

// usable tells whether there is a kubeconfig that needs no bootstrap; where nobody
// looks into it, any will do.
func (k *Kubelet) usable(c *sim.Ctx) bool {
	if !era.KubeletChecksKubeconfig.In(k.era()) {
		_, err := c.Disk.Stat(k.Flags.Kubeconfig)
		return err == nil
	}
	l, why, ok := stillValid(c.Disk, k.Flags.Kubeconfig, c.Clock())
	if why != "" {
		k.log(c, l, "path", k.Flags.Kubeconfig, "err", why)
	}
	return ok
}

// configure finds the configuration of this process, or why there is none; nil
// without a reason when the process has ended. Models cmd/kubelet/app
// NewKubeletCommand.
func (k *Kubelet) configure(c *sim.Ctx) (cfg *KubeletConfiguration, why string) {
	for _, line := range k.Flags.Told {
		c.LogLine('I', 0, line)
	}
	if k.Flags.Version {
		c.LogLine('I', 0, "Kubernetes "+era.KubeletPatch.In(k.era()))
		c.Exit(0)
		return nil, ""
	}
	gates, err := k.Flags.gates(k.era())
	if err == nil {
		_, err = k.era().CheckGates(gates)
	}
	if err != nil {
		return nil, gatesFailed + err.Error()
	}
	if _, err := k.Flags.nodeLabels(k.era()); err != nil {
		return nil, "failed to validate kubelet flags: " + err.Error()
	}
	if file := k.Flags.Config; file == "" {
		cfg = new(KubeletConfiguration)
		cfg.Kind, cfg.APIVersion = configKind, configVersion
		cfg.complete(k.era())
		cfg.legacy(k.era())
	} else {
		var warning string
		cfg, warning, why = k.readConfig(c.Disk, file)
		if warning != "" {
			c.LogKV('I', 0, "codec.go:102", "Using lenient decoding as strict decoding failed", "err", warning)
		}
		if why != "" {
			return nil, why
		}
		if err := k.checkGates(c, cfg.FeatureGates, gates); err != nil {
			// The defaults of the file depend on its gates.
			c.LogLine('E', 0, "panic: failed to merge global and in-flight KubeletConfiguration while setting defaults, error: "+err.Error())
			k.note(c, PhaseExited, "error", err.Error())
			c.Exit(2)
			return nil, ""
		}
	}
	if len(k.Flags.Given) > 0 {
		cfg = cfg.copied()
	}
	for _, g := range k.Flags.Given {
		if g.Name == "config-dir" && g.Value != "" {
			if err := cfg.dropIns(c.Disk, g.Value); err != nil {
				return nil, "failed to merge kubelet configs: " + err.Error()
			}
			cfg.complete(k.era())
		}
	}
	k.Flags.override(k.era(), cfg)
	over, err := k.era().CheckGates(k.gatesOf(cfg.FeatureGates))
	if err != nil {
		return nil, gatesFailed + err.Error()
	}
	for _, line := range over {
		c.Log(line.Level, line.V, line.Source, line.Text)
	}
	on := func(gate string) bool { return k.era().GateOn(gate, cfg.FeatureGates) }
	if err := cfg.Logging.invalid(on); err != nil {
		return nil, "initialize logging: " + err.Error()
	}
	if k.Flags.V == 0 {
		k.Flags.V = int(cfg.Logging.Verbosity)
	}
	if err := cfg.invalid(on, k.era()); err != nil {
		return nil, "failed to validate kubelet configuration, error: " + err.Error() + ", path: &TypeMeta{Kind:,APIVersion:,}"
	}
	return cfg, ""
}

// checkGates looks at the feature gates of a file beside those of the flags. A
// name in the file that nobody knows is passed over with a warning, as the
// recorded kubelet does (q-kubelet-states/22); one in the flags ends the process.
func (k *Kubelet) checkGates(c *sim.Ctx, gates, flags map[string]bool) error {
	all := k.gatesOf(gates)
	for _, name := range slices.Sorted(maps.Keys(gates)) {
		if _, ok := all[name]; !ok {
			c.Log('W', 0, "feature_gate.go:421", "unrecognized feature gate: "+name)
		}
	}
	for name, on := range flags {
		if _, ok := all[name]; !ok {
			all[name] = on
		}
	}
	_, err := k.era().CheckGates(all)
	return err
}

// gatesOf are those of some gates that there are.
func (k *Kubelet) gatesOf(gates map[string]bool) map[string]bool {
	out := map[string]bool{}
	for name, on := range gates {
		if k.era().KnowsGate(name) {
			out[name] = on
		}
	}
	return out
}

// invalidTLS is what is wrong with the TLS of the port. Models
// component-base/cli/flag TLSCipherSuites, TLSVersion and TLSCurvePreferences.
func (cfg *KubeletConfiguration) invalidTLS() string {
	for _, name := range cfg.TLSCipherSuites {
		if !pki.KnownSuite(name) {
			return "Cipher suite " + name + " not supported or doesn't exist"
		}
	}
	if v := cfg.TLSMinVersion; v != "" && !among("VersionTLS10 VersionTLS11 VersionTLS12 VersionTLS13", v) {
		return fmt.Sprintf("unknown tls version %q", v)
	}
	for i, id := range cfg.TLSCurvePreferences {
		switch {
		case id <= 0 || id > math.MaxUint16:
			return fmt.Sprintf("curve preference %d is out of range (must be 1-%d)", id, math.MaxUint16)
		case slices.Contains(cfg.TLSCurvePreferences[:i], id):
			return fmt.Sprintf("duplicate curve preference %d", id)
		case !pki.KnownCurve(id):
			return fmt.Sprintf("curve preference %d is not supported by the current Go version", id)
		}
	}
	return ""
}

// run goes on once there is something to ask the API server with.
func (k *Kubelet) run(c *sim.Ctx) {
	if !k.loadClient(c) || !k.loadCertificate(c) {
		return
	}
	if k.Rotate && era.KubeletFirstTryBlocks.In(k.era()) {
		k.log(c, lineStarting)
		k.logCert(c, &k.Client, lineEnabled)
		k.Held = useClient
		k.beginCertificate(c)
		if k.Client.Attempt.Try > 0 {
			return
		}
		k.Held = ""
	}
	k.goOn(c)
}

// goOn starts all that is not the client certificate.
func (k *Kubelet) goOn(c *sim.Ctx) {
	blocks := era.KubeletFirstTryBlocks.In(k.era())
	if era.KubeletOwnPairLate.In(k.era()) && !k.ownPair(c) {
		return
	}
	if k.Port.ClientCA != "" {
		data, err := k.readClientCA(c)
		if err != nil {
			k.die(c, "failed to run Kubelet: "+err.Error())
			return
		}
		k.Port.CAs = data
	}
	if k.Port.Invalid != "" {
		k.die(c, "failed to run Kubelet: "+k.Port.Invalid)
		return
	}
	if k.Rotate && !blocks {
		k.log(c, lineStarting)
	}
	if _, err := c.Disk.Stat(k.Flags.RootDir); err != nil {
		if err := c.Disk.MkdirAll(k.Flags.RootDir, 0o750, c.Clock()); err != nil {
			k.die(c, "failed to run Kubelet: error creating root directory: "+err.Error())
			return
		}
	}
	if err := k.parseNodeIPs(c); err != nil {
		k.die(c, "failed to run Kubelet: "+err.Error())
		return
	}
	k.after(c, "port", portAfter)
	k.beginReflecting(c)
	k.after(c, "register", registerAfter)
	if !k.beats() {
		k.after(c, "lease", leaseAfter)
	}
	if k.Rotate && blocks {
		return
	}
	if k.Rotate {
		k.logCert(c, &k.Client, lineEnabled)
	}
	k.beginCertificate(c)
}

// released: the try that the start waited for is over, whatever came of it.
func (k *Kubelet) released(c *sim.Ctx) {
	held := k.Held
	k.Held = ""
	switch held {
	case useClient:
		k.goOn(c)
	case useServing:
		k.after(c, "register", registerAfter-portAfter)
	}
}

// loadClient finds out what to ask the API server with: the kubeconfig when it
// is still valid, else the bootstrap kubeconfig.
func (k *Kubelet) loadClient(c *sim.Ctx) bool {
	if k.inBackground() {
		k.log(c, lineRotationOn)
	}
	boot, conf := k.Flags.BootstrapKubeconfig, k.Flags.Kubeconfig
	use := func(l line) bool {
		cl, _, err := readKubeconfig(c.Disk, conf)
		if err != nil && !era.KubeletBackground.In(k.era()) {
			k.die(c, "failed to run Kubelet: invalid kubeconfig: "+err.Error())
			return false
		}
		if err != nil {
			return k.fatal(c, "kubeconfig", err)
		}
		k.Cluster = cl
		if k.inBackground() {
			k.log(c, l)
		}
		return true
	}
	if boot == "" || !k.inBackground() {
		return use(lineNoBootstrap)
	}
	if k.usable(c) {
		return use(lineStillValid)
	}
	cl, u, ok := k.loadBootstrap(c)
	if !ok {
		return false
	}
	k.log(c, lineBootstrap)
	k.Cluster, k.Token = cl, u.Token
	current := currentFile(k.Flags.CertDir, lives[useClient].prefix)
	if err := writeKubeconfig(k.era(), c.Disk, conf, current, current, cl, c.Clock()); err != nil {
		k.die(c, "failed to run Kubelet: "+err.Error())
		return false
	}
	return true
}

func (k *Kubelet) fatal(c *sim.Ctx, what string, err error) bool {
	k.die(c, fmt.Sprintf("failed to run Kubelet: unable to load %s: %v", what, err))
	return false
}

// loadBootstrap reads the bootstrap kubeconfig.
func (k *Kubelet) loadBootstrap(c *sim.Ctx) (cluster, userInfo, bool) {
	boot := k.Flags.BootstrapKubeconfig
	if _, err := c.Disk.Stat(boot); err != nil {
		return cluster{}, userInfo{}, k.fatal(c, "bootstrap kubeconfig", err)
	}
	cl, u, err := readKubeconfig(c.Disk, boot)
	if err != nil {
		return cl, u, k.fatal(c, "bootstrap kubeconfig", err)
	}
	return cl, u, true
}

// loadCertificate takes the certificate from the store, else the one embedded
// in the kubeconfig, which is then rotated at once.
func (k *Kubelet) loadCertificate(c *sim.Ctx) bool {
	if !k.Rotate {
		// What the kubeconfig names is presented for as long as the process lives.
		_, u, _ := readKubeconfig(c.Disk, k.Flags.Kubeconfig)
		if cert, err := parsePair(u.CertData, u.KeyData); err == nil {
			cert.Noticed = true
			k.Client.Cert, k.Health.Had = cert, true
		}
		return true
	}
	// What only passes through this directory must exist; a kubelet makes it.
	if err := c.Disk.MkdirAll(k.Flags.CertDir, 0o755, c.Clock()); err != nil {
		k.die(c, "failed to run Kubelet: failed to initialize certificate manager: "+err.Error())
		return false
	}
	_, u, _ := readKubeconfig(c.Disk, k.Flags.Kubeconfig)
	checks := era.KubeletStoreChecks.In(k.era())
	cert, err := k.loadStore(c, &k.Client, u.CertFile, u.KeyFile)
	if cert != nil && checks && !c.Clock().Before(cert.NotAfter) {
		cert = nil
	}
	if err == nil && cert == nil && u.CertFile == "" && len(u.CertData) > 0 {
		// What is embedded goes into the store, and is rotated at once.
		if _, err = pki.Pair(u.CertData, u.KeyData); err == nil {
			cert, err = parsePair(u.CertData, u.KeyData)
			k.Client.Attempt.Forced = true
			if !checks {
				// It is only shown until then.
			} else if err := saveStore(c.Disk, k.Flags.CertDir, k.Client.life().prefix, u.CertData, u.KeyData, c.Clock()); err != nil {
				k.log(c, lineNotInStore, "err", err, "logger", k.Client.life().signer+".UnhandledError")
			}
		}
	}
	if err != nil {
		k.die(c, "failed to run Kubelet: failed to initialize client certificate manager: "+err.Error())
		return false
	}
	if cert != nil {
		// It was there before the first connection, so nothing is to be noticed.
		cert.Noticed = true
		k.Health.Had = true
	}
	k.Client.Cert = cert
	return true
}

// loadStore reads the current certificate of one use, and says so.
func (k *Kubelet) loadStore(c *sim.Ctx, r *rotation, certFile, keyFile string) (*certificate, error) {
	return loadStore(c.Disk, k.Flags.CertDir, r.life().prefix, certFile, keyFile, func(l line, args ...any) { k.log(c, l, args...) })
}

// beginCertificate starts the client certificate's life.
func (k *Kubelet) beginCertificate(c *sim.Ctx) {
	k.watchExpiry(c)
	r := &k.Client
	switch {
	case !k.Rotate:
	case r.Cert == nil:
		if after := era.KubeletExitAfter.In(k.era()); after > 0 {
			k.after(c, "lost", after)
		}
		k.rotateAtOnce(c, r)
	case r.Attempt.Forced:
		k.rotateAtOnce(c, r)
	case era.KubeletTemplate.In(k.era()) > 0 && r.Cert.CN != k.user():
		k.logCert(c, r, lineOtherName, "currentName", r.Cert.CN, "requestedName", k.user())
		k.rotate(c, r)
	default:
		k.drawDeadline(c, r)
	}
}

// rotateAtOnce rotates because there is no certificate that will do.
func (k *Kubelet) rotateAtOnce(c *sim.Ctx, r *rotation) {
	if k.Held == r.Use {
		k.log(c, lineForcing)
	}
	k.rotate(c, r)
}

// user is who the node's certificate says it is.
func (k *Kubelet) user() string { return "system:node:" + k.Node }
