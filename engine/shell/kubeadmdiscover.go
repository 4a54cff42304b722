package shell

import (
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

const clusterInfo1 = "/api/v1/namespaces/kube-public/configmaps/cluster-info"

// joinConfig is what join was told, by flags or by a file.
type joinConfig struct {
	token, endpoint, file, tlsToken, caPath  string
	pins, ignored                            []string
	unpinned                                 bool
	name, socket                             string
	extraArgs                                []string
	discovery, health, tlsBootstrap, apiCall time.Duration
	control                                  joinControl
}

// joinConfig puts flags, file and defaults together and says what is wrong.
// Models cmd/kubeadm/app/cmd newJoinData and the validation of a
// JoinConfiguration.
func (a *adm) joinConfig(args []string) (*joinConfig, error) {
	if err := a.mixed(); err != nil {
		return nil, err
	}
	if a.f.nodeName == "" {
		a.log('I', 1, "join.go:423", "[preflight] found NodeName empty; using OS hostname as NodeName")
	}
	e, f := a.era(), a.f
	j := &joinConfig{token: f.discoveryToken, file: f.discoveryFile, tlsToken: f.tlsToken, pins: f.pins, unpinned: f.unpinned, ignored: f.ignored, caPath: etcKubernetes + "/pki/ca.crt",
		discovery: era.KubeadmDiscovery.In(e), health: era.KubeadmHealthCheck.In(e), tlsBootstrap: era.KubeadmTLSBootstrap.In(e), apiCall: era.KubeadmAPICall.In(e)}
	if f.token != "" {
		j.token, j.tlsToken = orText(j.token, f.token), orText(j.tlsToken, f.token)
	}
	if j.control = (joinControl{on: f.controlPlane, key: f.certificateKey, address: f.address, port: float64(f.port)}); !j.control.on {
		if f.Changed("certificate-key") || f.Changed("apiserver-advertise-address") || f.Changed("apiserver-bind-port") {
			a.log('W', 0, "join.go:404", "[preflight] WARNING: --control-plane is also required when passing control-plane related flags such as [certificate-key, apiserver-advertise-address, apiserver-bind-port]")
		}
		j.control = joinControl{}
	}
	byToken := len(args) > 0
	if byToken {
		j.endpoint = args[0]
	}
	if f.config != "" {
		var err error
		if byToken, err = a.joinFile(j); err != nil {
			return nil, err
		}
	}
	if f.dryRun && j.control.on {
		return nil, fmt.Errorf("--dry-run of a control plane: not in this shell: its later phases ask an API server that is not there")
	}
	j.name, j.socket = orText(f.nodeName, orText(j.name, a.hostname())), orText(f.socket, orText(j.socket, "unix:///var/run/containerd/containerd.sock"))
	return j, aggregate(j.wrong(a, byToken))
}

func orText(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// joinFile reads a JoinConfiguration; it tells whether discovery is by token.
func (a *adm) joinFile(j *joinConfig) (bool, error) {
	c, err := a.readConfig("JoinConfiguration")
	if err != nil {
		return false, err
	}
	o := c.join
	if control, ok := o["controlPlane"].(map[string]any); ok {
		j.control = joinControl{on: true, key: object(control).text("certificateKey"), address: object(control).text("localAPIEndpoint", "advertiseAddress")}
		j.control.port, _ = object(control).get("localAPIEndpoint", "bindPort").(float64)
	}
	boot, _ := o.get("discovery", "bootstrapToken").(map[string]any)
	b := object(boot)
	j.token, j.endpoint = b.text("token"), b.text("apiServerEndpoint")
	j.unpinned, _ = b.get("unsafeSkipCAVerification").(bool)
	for _, p := range b.list("caCertHashes") {
		j.pins = append(j.pins, fmt.Sprint(p))
	}
	j.file = o.text("discovery", "file", "kubeConfigPath")
	j.tlsToken = orText(o.text("discovery", "tlsBootstrapToken"), j.token)
	j.name, j.socket, j.caPath = o.text("nodeRegistration", "name"), o.text("nodeRegistration", "criSocket"), orText(o.text("caCertPath"), j.caPath)
	for _, x := range o.list("nodeRegistration", "ignorePreflightErrors") {
		j.ignored = append(j.ignored, fmt.Sprint(x))
	}
	j.extraArgs = extraArgs(o)
	for _, t := range []struct {
		field string
		d     *time.Duration
	}{{"discovery", &j.discovery}, {"kubeletHealthCheck", &j.health}, {"tlsBootstrap", &j.tlsBootstrap}, {"kubernetesAPICall", &j.apiCall}} {
		if s := o.text("timeouts", t.field); s != "" {
			if *t.d, err = time.ParseDuration(s); err != nil {
				return false, err
			}
		}
	}
	return boot != nil, nil
}

// extraArgs are the flags that a configuration gives the kubelet.
func extraArgs(o object) (out []string) {
	for _, x := range o.list("nodeRegistration", "kubeletExtraArgs") {
		m, _ := x.(map[string]any)
		out = append(out, fmt.Sprintf("--%v=%v", m["name"], m["value"]))
	}
	return out
}

// wrong are the complaints about what join was told.
func (j *joinConfig) wrong(a *adm, byToken bool) (out []string) {
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !byToken && j.file == "" {
		say("discovery: Invalid value: \"\": bootstrapToken or file must be set")
	}
	if byToken && j.file != "" {
		say("discovery: Invalid value: \"\": bootstrapToken and file cannot both be set")
	}
	if byToken {
		if len(j.pins) == 0 && !j.unpinned {
			say("discovery.bootstrapToken.caCertHashes: Invalid value: \"\": using token-based discovery without caCertHashes can be unsafe. Set unsafeSkipCAVerification as true in your kubeadm config file or pass --discovery-token-unsafe-skip-ca-verification flag to continue")
		}
		if !tokenForm.MatchString(j.token) {
			say("discovery.bootstrapToken.token: Invalid value: %q: the bootstrap token is invalid", j.token)
		}
		if _, _, err := net.SplitHostPort(j.endpoint); err != nil {
			say("discovery.bootstrapToken.apiServerEndpoint: Invalid value: %q: %v", j.endpoint, err)
		}
	}
	if (byToken || j.tlsToken != "") && !tokenForm.MatchString(j.tlsToken) {
		say("discovery.tlsBootstrapToken: Invalid value: %q: the bootstrap token is invalid", j.tlsToken)
	}
	out = append(out, j.control.wrong()...)
	if j.file != "" {
		switch {
		case strings.HasPrefix(j.file, "https://"):
			say("discovery.file.kubeConfigPath: Invalid value: %q: a URL: not in this shell", j.file)
		case strings.Contains(j.file, "://"):
			say("discovery.file.kubeConfigPath: Invalid value: %q: if a URL is used, the scheme must be https", j.file)
		case !a.exists(a.path(j.file)):
			say("discovery.file.kubeConfigPath: Invalid value: %q: not a valid HTTPS URL or a file on disk", j.file)
		}
	}
	return out
}

// mistrust is why join does not take a cluster for its own: a reason in one word,
// and what it was decided by.
type mistrust struct {
	error
	reason string
	args   map[string]string
}

func (m *mistrust) Unwrap() error { return m.error }

// judged notes whether the cluster was found to be the right one.
func (a *adm) judged(err error) {
	args := map[string]string{"controller": "kubeadm", "verdict": "yes"}
	if err != nil {
		args["verdict"], args["reason"], args["message"] = "no", "Unreachable", err.Error()
		if m := (*mistrust)(nil); errors.As(err, &m) {
			args["reason"] = m.reason
			maps.Copy(args, m.args)
		}
	}
	a.sys(func(c *sim.Ctx) reply {
		c.Note(trace.Decision, "join/"+c.Host, args, "")
		return reply{}
	})
}

// discover finds out what the cluster is and whether it is the right one; the
// kubeconfig is the one that the kubelet bootstraps with. Models
// cmd/kubeadm/app/discovery For.
func (a *adm) discover(j *joinConfig) (*kubeconfig.Config, error) {
	a.log('I', 1, "join.go:553", "[preflight] Discovering cluster-info")
	var c *kubeconfig.Config
	var err error
	if j.file != "" {
		c, err = a.discoverByFile(j)
	} else {
		c, err = a.discoverByToken(j)
	}
	a.judged(err)
	if err != nil {
		return nil, fmt.Errorf("couldn't validate the identity of the API Server: %w", err)
	}
	i, u := current(c)
	if j.tlsToken != "" {
		a.log('I', 1, "discovery.go:57", "[discovery] Using provided TLSBootstrapToken as authentication credentials for the join process")
		a.showAuthority(c.Clusters[i].Cluster.CAData)
		text := kubeconfigText(c.Clusters[i].Cluster.Server, "kubernetes", "tls-bootstrap-token-user", c.Clusters[i].Cluster.CAData, "token: "+j.tlsToken)
		return parseKubeconfig(text, "")
	}
	if u >= 0 {
		if x := c.Users[u].User; x.Token != "" || len(x.CertData) > 0 && len(x.KeyData) > 0 {
			return c, nil
		}
	}
	return nil, fmt.Errorf("couldn't find authentication credentials for the TLS boostrap process. Please use Token discovery, a discovery file with embedded authentication credentials or a discovery file without authentication credentials but with the TLSBootstrapToken flag")
}

// showAuthority says at -v=1 which CA was found.
func (a *adm) showAuthority(data []byte) {
	list, err := pki.ParseCerts(data)
	if err != nil || a.f.v < 1 {
		return
	}
	x := list[0]
	a.log('I', 1, "discovery.go:85", "[discovery] Using CA certificate from discovery kubeconfig:\nCA Certificate:\n\tSubject: %v\n\tIssuer: %v\n\tSerialNumber: %v\n\tNotBefore: %v\n\tNotAfter: %v\n\tSignatureAlgorithm: %v\n\tPublicKeyAlgorithm: %v\n\tHash: %s",
		x.Subject, x.Issuer, x.SerialNumber, x.NotBefore, x.NotAfter, x.SignatureAlgorithm, x.PublicKeyAlgorithm, pki.Pin(x))
}

// discoverByToken trusts what a token signed and a pin names. Models
// cmd/kubeadm/app/discovery/token RetrieveValidatedConfigInfo.
func (a *adm) discoverByToken(j *joinConfig) (*kubeconfig.Config, error) {
	a.log('I', 1, "token.go:71", "[discovery] Created cluster-info discovery client, requesting info from %q", j.endpoint)
	first, err := a.clusterInfo(j, nil)
	if err != nil {
		return nil, err
	}
	pins, err := readPins(j.pins)
	if err != nil {
		return nil, fmt.Errorf("invalid discovery token CA certificate hash: %w", err)
	}
	t, err := parseToken(j.token)
	if err != nil {
		return nil, err
	}
	text, signature := first.text("data", "kubeconfig"), first.text("data", "jws-kubeconfig-"+t.id)
	switch {
	case text == "":
		return nil, fmt.Errorf("there is no kubeconfig key in the cluster-info ConfigMap. This API Server isn't set up for token bootstrapping, can't connect")
	case signature == "":
		return nil, fmt.Errorf("token id %q is invalid for this cluster or it has expired. Use \"kubeadm token create\" on the control-plane node to create a new valid token", t.id)
	case signature != pki.DetachedJWS(text, t.id, t.secret):
		return nil, &mistrust{errors.New("failed to verify JWS signature of received cluster info object, can't trust this API Server"), "WrongSignature", map[string]string{"token": t.id}}
	}
	c, err := parseKubeconfig([]byte(text), "")
	if err != nil {
		return nil, fmt.Errorf("couldn't parse the kubeconfig file in the cluster-info ConfigMap: %w", err)
	}
	i, _ := current(c)
	if i < 0 {
		return nil, fmt.Errorf("malformed kubeconfig in the cluster-info ConfigMap: no valid cluster found")
	}
	if len(pins) == 0 {
		a.log('I', 1, "token.go:109", "[discovery] Cluster info signature and contents are valid and no TLS pinning was specified, will use API Server %q", j.endpoint)
		return c, nil
	}
	ca := c.Clusters[i].Cluster.CAData
	list, err := pki.ParseCerts(ca)
	if err != nil {
		return nil, fmt.Errorf("failed to parse cluster CA from the cluster-info ConfigMap: %w", err)
	}
	if !slices.ContainsFunc(list, func(x *x509.Certificate) bool { return slices.Contains(pins, pki.Pin(x)) }) {
		return nil, &mistrust{fmt.Errorf("cluster CA found in cluster-info ConfigMap is invalid: none of the public keys %q are pinned", strings.ReplaceAll(pinsOf(list), ", ", ":")), "NotPinned",
			map[string]string{"found": pinsOf(list), "given": strings.Join(pins, ", ")}}
	}
	a.log('I', 1, "token.go:126", "[discovery] Requesting info from %q again to validate TLS against the pinned public key", j.endpoint)
	second, err := a.clusterInfo(j, ca)
	if err != nil && strings.Contains(err.Error(), "x509: certificate signed by unknown authority") {
		return nil, &mistrust{err, "UnknownAuthority", map[string]string{"server": j.endpoint, "found": pinsOf(list)}}
	}
	if err != nil {
		return nil, err
	}
	if second.text("data", "kubeconfig") != text {
		return nil, fmt.Errorf("the second kubeconfig from the cluster-info ConfigMap (using validated TLS) was different from the first")
	}
	a.log('I', 1, "token.go:149", "[discovery] Cluster info signature and contents are valid and TLS certificate validates against pinned roots, will use API Server %q", j.endpoint)
	return c, nil
}

// clusterInfo asks for cluster-info until it is signed by the token.
func (a *adm) clusterInfo(j *joinConfig, ca []byte) (object, error) {
	client := a.client("https://"+j.endpoint, ca)
	defer client.close()
	id, _, _ := strings.Cut(j.token, ".")
	var got object
	var last error
	a.poll(min(era.KubeadmDiscoveryRetry.In(a.era()), j.discovery), j.discovery, func() bool {
		a.log('I', 1, "token.go:229", "[discovery] Waiting for the cluster-info ConfigMap to receive a JWS signature for token ID %q", id)
		if got, last = client.do("GET", clusterInfo1, nil); last != nil {
			last = fmt.Errorf("failed to request the cluster-info ConfigMap: %w", last)
		} else if got.get("data", "jws-kubeconfig-"+id) == nil {
			last = &mistrust{fmt.Errorf("could not find a JWS signature in the cluster-info ConfigMap for token ID %q", id), "NoSignature", map[string]string{"token": id}}
		} else {
			return true
		}
		a.log('I', 1, "token.go:249", "[discovery] Retrying due to error: %v", last)
		return false
	})
	return got, last
}

// pinsOf are the pins of certificates, with commas between them.
func pinsOf(list []*x509.Certificate) string {
	var out []string
	for _, x := range list {
		out = append(out, pki.Pin(x))
	}
	return strings.Join(out, ", ")
}

// readPins checks the pins' form. Models cmd/kubeadm/app/util/pubkeypin Allow.
func readPins(pins []string) (out []string, err error) {
	for _, p := range pins {
		parts := strings.Split(p, ":")
		if len(parts) != 2 {
			return nil, fmt.Errorf("invalid hash, expected \"format:hex-value\". Known format(s) are: sha256")
		}
		if strings.ToLower(parts[0]) != "sha256" {
			return nil, fmt.Errorf("unknown hash format %q. Known format(s) are: sha256", parts[0])
		}
		if n := hex.DecodedLen(len(parts[1])); n != 32 {
			return nil, fmt.Errorf("invalid hash %q, expected a 32 byte SHA-256 hash, found %d bytes", p, n)
		}
		if _, err := hex.DecodeString(parts[1]); err != nil {
			return nil, fmt.Errorf("invalid hash %q, could not decode SHA-256 from hex: %v", p, err)
		}
		out = append(out, strings.ToLower(p))
	}
	return out, nil
}

// discoverByFile trusts the CA of a kubeconfig. Models
// cmd/kubeadm/app/discovery/file ValidateConfigInfo.
func (a *adm) discoverByFile(j *joinConfig) (*kubeconfig.Config, error) {
	file := a.path(j.file)
	c, err := a.loadKubeconfig(file)
	if err != nil {
		return nil, err
	}
	if len(c.Clusters) == 0 {
		return nil, fmt.Errorf("the provided kubeconfig file must have at least one Cluster defined")
	}
	i, u := current(c)
	if i < 0 {
		return nil, fmt.Errorf("the provided kubeconfig file is malformed: no valid cluster found")
	}
	if u >= 0 {
		a.log('I', 1, "file.go:72", "[discovery] Using authentication credentials from the discovery file for validating TLS connection")
	} else {
		a.log('I', 1, "file.go:81", "[discovery] Discovery file does not contains authentication credentials, using unauthenticated request for validating TLS connection")
	}
	client, err := a.clientOf(c, path.Dir(file))
	if err != nil {
		return nil, err
	}
	defer client.close()
	a.log('I', 1, "file.go:91", "[discovery] Created cluster-info discovery client, requesting info from %q", client.server)
	var got object
	var last error
	ok := a.poll(era.KubeadmDiscoveryRetry.In(a.era()), j.discovery, func() bool {
		if got, last = client.do("GET", clusterInfo1, nil); last == nil {
			return true
		}
		if isReason(last, "Forbidden") {
			a.log('W', 0, "file.go:105", "[discovery] Could not access the cluster-info ConfigMap for refreshing the cluster-info information, but the TLS cert is valid so proceeding...")
			return true
		}
		a.log('I', 1, "file.go:108", "[discovery] Error reading the cluster-info ConfigMap, will try again: %v", last)
		return false
	})
	if !ok {
		return nil, fmt.Errorf("Abort reading the cluster-info ConfigMap after timeout of %v: %w", j.discovery, last)
	}
	text := got.text("data", "kubeconfig")
	fresh, err := parseKubeconfig([]byte(text), "")
	if text == "" || err != nil {
		return c, nil
	}
	if k, _ := current(fresh); k >= 0 {
		if other := fresh.Clusters[k].Cluster; other.Server != client.server {
			a.log('W', 0, "file.go:133", "[discovery] the API Server endpoint %q in use is different from the endpoint %q which defined in the cluster-info ConfigMap", client.server, other.Server)
		}
		if mine := &c.Clusters[i].Cluster; len(mine.CAData) == 0 {
			mine.CAData = fresh.Clusters[k].Cluster.CAData
		}
	}
	return c, nil
}
