package shell

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// admAPI is the version of kubeadm's configuration.
const admAPI = "kubeadm.k8s.io/v1beta4"

// admConfig is kubeadm's configuration: what a file says, with the defaults.
type admConfig struct {
	init, cluster, kubelet, join object
}

// admKnown are the fields of a document's first level; others get a warning.
var admKnown = map[string]string{
	"InitConfiguration":    "apiVersion kind bootstrapTokens dryRun nodeRegistration localAPIEndpoint certificateKey skipPhases patches timeouts",
	"ClusterConfiguration": "apiVersion kind etcd networking kubernetesVersion controlPlaneEndpoint apiServer controllerManager scheduler dns proxy certificatesDir imageRepository featureGates clusterName encryptionAlgorithm certificateValidityPeriod caCertificateValidityPeriod",
	"JoinConfiguration":    "apiVersion kind dryRun nodeRegistration caCertPath discovery controlPlane skipPhases patches timeouts",
}

// admKnownIn are the fields of what stands inside, by its path.
var admKnownIn = map[string]string{
	"nodeRegistration": "name criSocket taints kubeletExtraArgs ignorePreflightErrors imagePullPolicy imagePullSerial",
	"localAPIEndpoint": "advertiseAddress bindPort", "controlPlane": "localAPIEndpoint certificateKey", "controlPlane.localAPIEndpoint": "advertiseAddress bindPort",
	"networking": "serviceSubnet podSubnet dnsDomain", "apiServer": "extraArgs extraVolumes extraEnvs certSANs",
	"controllerManager": "extraArgs extraVolumes extraEnvs", "scheduler": "extraArgs extraVolumes extraEnvs",
	"etcd": "local external", "etcd.local": "imageRepository imageTag dataDir extraArgs extraEnvs serverCertSANs peerCertSANs",
	"etcd.external": "endpoints caFile certFile keyFile httpEndpoints", "dns": "imageRepository imageTag disabled", "proxy": "disabled", "patches": "directory",
	"discovery": "bootstrapToken file tlsBootstrapToken", "discovery.bootstrapToken": "token apiServerEndpoint caCertHashes unsafeSkipCAVerification", "discovery.file": "kubeConfigPath",
	"timeouts": "controlPlaneComponentHealthCheck kubeletHealthCheck kubernetesAPICall etcdAPICall tlsBootstrap discovery upgradeManifests",
}

// unknownFields are what strict decoding has against a document, below a path.
func unknownFields(o map[string]any, at, known string) (out []string) {
	for _, field := range sortedKeys(o) {
		name := strings.TrimPrefix(at+"."+field, ".")
		if !slices.Contains(strings.Fields(known), field) {
			out = append(out, fmt.Sprintf("unknown field %q", name))
		} else if inner, ok := o[field].(map[string]any); ok && admKnownIn[name] != "" {
			out = append(out, unknownFields(inner, name, admKnownIn[name])...)
		}
	}
	return out
}

// readConfig reads the documents of --config. The errors are kubeadm's.
func (a *adm) readConfig(wanted ...string) (*admConfig, error) {
	c := &admConfig{init: object{}, cluster: object{}, kubelet: object{}, join: object{}}
	if a.f.config == "" {
		return c, nil
	}
	source := "initconfiguration.go:269"
	if slices.Contains(wanted, "JoinConfiguration") {
		source = "joinconfiguration.go:82"
	}
	a.log('I', 1, source, "loading configuration from %q", a.f.config)
	b, err := a.readFile(a.path(a.f.config))
	if err != nil {
		return nil, fmt.Errorf("unable to read config from %q : %v", a.f.config, err)
	}
	found := false
	seen := map[string]bool{}
	for _, doc := range documents(string(b)) {
		if strings.TrimSpace(doc) == "" {
			continue
		}
		js, err := yaml.YAMLToJSON([]byte(doc))
		if err != nil {
			return nil, fmt.Errorf("error converting YAML to JSON: %v", err)
		}
		o, err := parseObject(js)
		if err != nil {
			return nil, err
		}
		api, kind := o.text("apiVersion"), o.text("kind")
		group, version, ok := strings.Cut(api, "/")
		if !ok {
			group, version = "", api
		}
		if group == "" || version == "" || kind == "" {
			return nil, fmt.Errorf("invalid configuration for GroupVersionKind %s/%s, Kind=%s: kind and apiVersion is mandatory information that must be specified", group, version, kind)
		}
		if seen[kind] {
			return nil, fmt.Errorf("invalid configuration: kind %q is specified twice in YAML file", kind)
		}
		seen[kind] = true
		known := admKnown[kind]
		switch {
		case group == "kubeadm.k8s.io" && known != "" && api != admAPI:
			return nil, fmt.Errorf("no kind %q is registered for version %q in scheme \"k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme/scheme.go\"", kind, api)
		case kind == "InitConfiguration":
			c.init = o
		case kind == "ClusterConfiguration":
			c.cluster = o
		case kind == "JoinConfiguration":
			c.join = o
		case kind == "KubeletConfiguration":
			c.kubelet = o
		case kind != "KubeProxyConfiguration":
			a.log('W', 0, "common.go:101", "[config] WARNING: Ignored configuration document with GroupVersionKind %s/%s, Kind=%s", group, version, kind)
		}
		if known != "" {
			if wrong := unknownFields(o, "", known); wrong != nil {
				a.log('W', 0, "strict.go:49", "error unmarshaling configuration schema.GroupVersionKind{Group:%q, Version:%q, Kind:%q}: strict decoding error: %s", group, version, kind, strings.Join(wrong, ", "))
			}
		}
		found = found || slices.Contains(wanted, kind)
	}
	if !found {
		return nil, fmt.Errorf("no %s kind was found in the YAML file", strings.Join(wanted, " or "))
	}
	return c, nil
}

// mixed refuses flags beside --config that say what the file says. Models
// cmd/kubeadm/app/apis/kubeadm/validation ValidateMixedArguments.
func (a *adm) mixed() error {
	if a.f.config == "" {
		return nil
	}
	var bad []string
	for _, name := range []string{"apiserver-advertise-address", "apiserver-bind-port", "apiserver-cert-extra-sans", "cert-dir", "certificate-key", "control-plane", "control-plane-endpoint", "description", "discovery-file", "discovery-token", "discovery-token-ca-cert-hash", "discovery-token-unsafe-skip-ca-verification", "groups", "image-repository", "kubernetes-version", "pod-network-cidr", "service-cidr", "service-dns-domain", "tls-bootstrap-token", "token", "token-ttl", "ttl", "usages"} {
		if a.f.Changed(name) {
			bad = append(bad, name)
		}
	}
	if bad != nil {
		return fmt.Errorf("can not mix '--config' with arguments %v", bad)
	}
	return nil
}

// initConfig is the configuration of init and of all that works on its files.
func (a *adm) initConfig() (*admConfig, error) {
	if a.settled != nil {
		return a.settled, nil
	}
	c, err := a.readConfig("InitConfiguration", "ClusterConfiguration")
	if err != nil {
		return nil, err
	}
	c.take(a.f)
	if err := c.settle(a); err != nil {
		return nil, err
	}
	a.settled = c
	return c, nil
}

// take puts what flags say into a configuration.
func (c *admConfig) take(f *admFlags) {
	set := func(o object, value any, path ...string) {
		for _, p := range path[:len(path)-1] {
			inner, ok := o[p].(map[string]any)
			if !ok {
				inner = map[string]any{}
				o[p] = inner
			}
			o = inner
		}
		o[path[len(path)-1]] = value
	}
	for _, x := range []struct {
		value string
		o     object
		path  []string
	}{
		{f.nodeName, c.init, []string{"nodeRegistration", "name"}}, {f.socket, c.init, []string{"nodeRegistration", "criSocket"}},
		{f.address, c.init, []string{"localAPIEndpoint", "advertiseAddress"}}, {f.endpoint, c.cluster, []string{"controlPlaneEndpoint"}},
		{f.podCIDR, c.cluster, []string{"networking", "podSubnet"}}, {f.serviceCIDR, c.cluster, []string{"networking", "serviceSubnet"}},
		{f.dnsDomain, c.cluster, []string{"networking", "dnsDomain"}}, {f.version, c.cluster, []string{"kubernetesVersion"}}, {f.repository, c.cluster, []string{"imageRepository"}},
	} {
		if x.value != "" {
			set(x.o, x.value, x.path...)
		}
	}
	if f.Changed("apiserver-bind-port") {
		set(c.init, float64(f.port), "localAPIEndpoint", "bindPort")
	}
	if f.sans != nil {
		var list []any
		for _, s := range f.sans {
			list = append(list, s)
		}
		set(c.cluster, list, "apiServer", "certSANs")
	}
}

// settle puts the defaults in and says what is wrong.
func (c *admConfig) settle(a *adm) error {
	e := a.era()
	if a.f.certDir != "" {
		c.cluster["certificatesDir"] = a.path(a.f.certDir)
	}
	fill(c.cluster, object{"apiVersion": admAPI, "kind": "ClusterConfiguration", "apiServer": map[string]any{}, "controllerManager": map[string]any{}, "scheduler": map[string]any{}, "dns": map[string]any{}, "proxy": map[string]any{},
		"caCertificateValidityPeriod": admDuration(era.KubeadmCALife.In(e)), "certificateValidityPeriod": admDuration(era.KubeadmCertLife.In(e)),
		"certificatesDir": etcKubernetes + "/pki", "clusterName": "kubernetes", "encryptionAlgorithm": era.KubeadmAlgorithm.In(e), "imageRepository": "registry.k8s.io", "kubernetesVersion": era.KubeadmVersion.In(e),
		"etcd": map[string]any{"local": map[string]any{"dataDir": "/var/lib/etcd"}}, "networking": map[string]any{"dnsDomain": "cluster.local", "serviceSubnet": "10.96.0.0/12"}})
	host, ip := a.hostname(), a.sys(func(c *sim.Ctx) reply { return reply{Text: c.IP} }).Text
	fill(c.init, object{"localAPIEndpoint": map[string]any{"advertiseAddress": ip, "bindPort": 6443.0}, "nodeRegistration": map[string]any{"name": host, "criSocket": "unix:///var/run/containerd/containerd.sock"}})
	for _, f := range []string{"caCertificateValidityPeriod", "certificateValidityPeriod"} {
		if _, err := time.ParseDuration(c.cluster.text(f)); err != nil {
			return err
		}
	}
	var wrong []string
	if known, got := era.KubeadmAlgorithms.In(e), c.cluster.text("encryptionAlgorithm"); !slices.Contains(known, got) {
		wrong = append(wrong, fmt.Sprintf("encryptionAlgorithm: Invalid value: %q: Invalid encryption algorithm %[1]q. Must be one of %v", got, known))
	}
	if v := c.init.text("localAPIEndpoint", "advertiseAddress"); net.ParseIP(v) == nil {
		wrong = append(wrong, fmt.Sprintf("localAPIEndpoint.advertiseAddress: Invalid value: %q: ip address is not valid", v))
	}
	for _, f := range []string{"serviceSubnet", "podSubnet"} {
		for _, s := range strings.Split(c.cluster.text("networking", f), ",") {
			if _, _, err := net.ParseCIDR(s); err != nil && s != "" {
				wrong = append(wrong, fmt.Sprintf("networking.%s: Invalid value: %q: couldn't parse subnet", f, s))
			}
		}
	}
	for i, t := range c.init.list("bootstrapTokens") {
		m, _ := t.(map[string]any)
		if v := object(m).text("token"); v != "" && !tokenForm.MatchString(v) {
			wrong = append(wrong, fmt.Sprintf("bootstrapTokens.%d.token: Invalid value: %q: the bootstrap token is invalid", i, v))
		}
	}
	return aggregate(wrong)
}

// aggregate is several errors as one. Models
// k8s.io/apimachinery/pkg/util/errors Aggregate.
func aggregate(words []string) error {
	switch len(words) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s", words[0])
	}
	return fmt.Errorf("[%s]", strings.Join(words, ", "))
}

// fill puts defaults where nothing is said, also within mappings.
func fill(o, defaults object) {
	for k, v := range defaults {
		have, ok := o[k]
		if !ok || have == nil || have == "" {
			o[k] = v
			continue
		}
		inner, ok1 := have.(map[string]any)
		more, ok2 := v.(map[string]any)
		if ok1 && ok2 {
			fill(inner, more)
		}
	}
}

// admDuration is a duration as metav1.Duration is written.
func admDuration(d time.Duration) string { return d.String() }

func (c *admConfig) certDir() string  { return c.cluster.text("certificatesDir") }
func (c *admConfig) nodeName() string { return c.init.text("nodeRegistration", "name") }

func (c *admConfig) life(field string) time.Duration {
	d, _ := time.ParseDuration(c.cluster.text(field))
	return d
}

// local is this node's API server, endpoint the cluster's.
func (c *admConfig) local() string {
	port, _ := c.init.get("localAPIEndpoint", "bindPort").(float64)
	return "https://" + net.JoinHostPort(c.init.text("localAPIEndpoint", "advertiseAddress"), strconv.Itoa(int(port)))
}

func (c *admConfig) endpoint() string {
	e := c.cluster.text("controlPlaneEndpoint")
	if e == "" {
		return c.local()
	}
	if !strings.Contains(e, ":") {
		e += ":6443"
	}
	return "https://" + e
}

// names are the DNS names and addresses of a certificate. Models
// cmd/kubeadm/app/util/pkiutil GetAPIServerAltNames and getAltNames.
func (c *admConfig) names(kind string) (dns []string, ips []net.IP, err error) {
	add := func(list ...string) {
		for _, s := range list {
			ip := net.ParseIP(s)
			if v4 := ip.To4(); v4 != nil {
				ip = v4
			}
			switch {
			case ip == nil && !slices.Contains(dns, s):
				dns = append(dns, s)
			case ip != nil && !slices.ContainsFunc(ips, ip.Equal):
				ips = append(ips, ip)
			}
		}
	}
	address := c.init.text("localAPIEndpoint", "advertiseAddress")
	var extra []any
	switch kind {
	case "apiserver":
		subnet := c.cluster.text("networking", "serviceSubnet")
		ip, cidr, err := net.ParseCIDR(subnet)
		if err != nil {
			return nil, nil, fmt.Errorf("unable to get first IP address from the given CIDR: %v: %v", subnet, err)
		}
		ip = cidr.IP
		ip[len(ip)-1]++
		add(c.nodeName(), "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc."+c.cluster.text("networking", "dnsDomain"), ip.String(), address)
		if host, _, _ := strings.Cut(strings.TrimPrefix(c.endpoint(), "https://"), ":"); host != "" {
			add(host)
		}
		extra = c.cluster.list("apiServer", "certSANs")
	case "etcd":
		add(c.nodeName(), "localhost", address, "127.0.0.1", "::1")
	}
	for _, s := range extra {
		add(fmt.Sprint(s))
	}
	slices.Sort(dns)
	return dns, ips, nil
}

// clusterConfig is the configuration that commands on certificates take: that
// of --config, or the cluster's own, or the defaults. Models
// cmd/kubeadm/app/cmd getInternalCfg.
func (a *adm) clusterConfig(prefix string) (*admConfig, error) {
	if a.f.config != "" {
		return a.initConfig()
	}
	file := a.f.kubeconfig
	if file == "" {
		file = etcKubernetes + "/admin.conf"
	}
	if k, err := a.loadKubeconfig(a.path(file)); err == nil {
		if client, err := a.clientOf(k, etcKubernetes); err == nil {
			defer client.close()
			c, err := client.fetchConfig(prefix, 0)
			if err == nil {
				a.printf("\n")
				return c, c.settle(a)
			}
			a.printf("[%s] Error reading configuration from the Cluster. Falling back to default configuration\n\n", prefix)
		}
	}
	c := &admConfig{init: object{}, cluster: object{}, kubelet: object{}}
	return c, c.settle(a)
}

// fetchConfig reads the cluster's configuration out of its ConfigMaps, and
// tries for so long to get the first: join has time (recorded: h/16), commands
// on certificates have none (r-kubeadm/09). Models cmd/kubeadm/app/util/config
// FetchInitConfigurationFromCluster.
func (c *admClient) fetchConfig(prefix string, patience time.Duration) (*admConfig, error) {
	c.printf("[%s] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n", prefix)
	c.printf("[%s] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.\n", prefix)
	out := &admConfig{init: object{}, cluster: object{}, kubelet: object{}, join: object{}}
	const maps = "/api/v1/namespaces/kube-system/configmaps/"
	e := c.era()
	var o object
	var err error
	c.poll(era.KubeadmAPIRetry.In(e), patience, func() bool {
		o, err = c.do("GET", maps+"kubeadm-config", nil)
		return err == nil
	})
	if err != nil {
		return nil, fmt.Errorf("failed to get config map: %w", err)
	}
	text, ok := o.get("data", "ClusterConfiguration").(string)
	if !ok {
		return nil, fmt.Errorf("unexpected error when reading kubeadm-config ConfigMap: ClusterConfiguration key value pair missing")
	}
	if err := yaml.Unmarshal([]byte(text), &out.cluster); err != nil {
		return nil, fmt.Errorf("failed to decode cluster configuration data: %w", err)
	}
	for _, x := range []struct{ name, group, key string }{
		{"kube-proxy", "kubeproxy.config.k8s.io/v1alpha1", "config.conf"},
		{era.KubeadmKubeletConfig.In(e), "kubelet.config.k8s.io/v1beta1", "kubelet"},
	} {
		if x.name == "" {
			continue
		}
		var last error
		var got object
		c.poll(era.KubeadmShortRetry.In(e), era.KubeadmShortTry.In(e), func() bool {
			got, last = c.do("GET", maps+x.name, nil)
			return last == nil
		})
		if last != nil {
			c.log('W', 0, "configset.go:77", "Warning: No %s config is loaded. Continuing without it: %v", x.group, last)
			continue
		}
		if x.key == "kubelet" {
			if err := yaml.Unmarshal([]byte(got.text("data", x.key)), &out.kubelet); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}
