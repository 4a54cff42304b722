package kubelet

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/kubeconfig"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// cluster says where the API server is and who vouches for it.
type cluster struct {
	kubeconfig.Cluster
	// Roots is the content of CAFile, or CAData.
	Roots []byte `json:"roots,omitempty"`
	// Again is what was in CAFile when client-go looked at it, last at Read.
	Again []byte    `json:"again,omitempty"`
	Read  time.Time `json:"read,omitzero"`
}

type userInfo struct {
	kubeconfig.User
	// unread is why a file that is there could not be read.
	unread error
}

// readKubeconfig reads a kubeconfig's current context, with the files that it
// names. The error is client-go's.
func readKubeconfig(d *sim.Disk, file string) (cluster, userInfo, error) {
	var cl cluster
	var u userInfo
	if _, err := d.Stat(file); err != nil {
		return cl, u, err
	}
	b, err := d.ReadFile(file)
	if err != nil {
		return cl, u, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	kc, err := kubeconfigs.of(b)
	if err != nil {
		return cl, u, fmt.Errorf("error loading config file %q: %w", file, err)
	}
	k, user := kc.Current()
	if k == nil || k.Cluster.Server == "" {
		return cl, u, fmt.Errorf("invalid configuration: no configuration has been provided, try setting KUBERNETES_MASTER environment variable")
	}
	cl.Cluster = k.Cluster
	if user != nil {
		u.User = user.User
	}
	content, unread := kubeconfig.Read(d.ReadFile, path.Dir(file), k, user)
	unread = slices.DeleteFunc(unread, func(x kubeconfig.Unread) bool {
		e, err := d.Stat(x.File)
		if err != nil || !e.Mode.IsDir() {
			return false
		}
		// It can be opened, which is all that is looked at here.
		u.unread = x.Err
		return true
	})
	cl.Roots = content.Roots
	if content.CAFile != "" {
		cl.CAFile = content.CAFile
	}
	u.CertData, u.KeyData, u.Token = content.Cert, content.Key, content.Token
	return cl, u, kubeconfig.Invalid(unread)
}

// writeKubeconfig writes the kubeconfig of a kubelet that bootstraps: one that does
// so in the background names the certificate's place before there is one (recorded:
// c/files-while-pending.txt).
func writeKubeconfig(e era.Era, d *sim.Disk, file, certFile, keyFile string, boot cluster, now time.Time) error {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nclusters:\n- cluster:\n")
	if boot.CAFile != "" {
		fmt.Fprintf(&b, "    certificate-authority: %s\n", boot.CAFile)
	} else if len(boot.CAData) > 0 {
		enc, _ := yaml.Marshal(map[string][]byte{"certificate-authority-data": boot.CAData})
		fmt.Fprintf(&b, "    %s", enc)
	}
	if boot.Insecure {
		b.WriteString("    insecure-skip-tls-verify: true\n")
	}
	fmt.Fprintf(&b, "    server: %s\n", boot.Server)
	b.WriteString("  name: default-cluster\ncontexts:\n- context:\n    cluster: default-cluster\n    namespace: default\n    user: default-auth\n" +
		"  name: default-context\ncurrent-context: default-context\nkind: Config\n")
	if era.KubeconfigPreferences.In(e) {
		b.WriteString("preferences: {}\n")
	}
	b.WriteString("users:\n- name: default-auth\n  user:\n")
	fmt.Fprintf(&b, "    client-certificate: %s\n    client-key: %s\n", certFile, keyFile)
	if err := d.MkdirAll(path.Dir(file), 0o755, now); err != nil {
		return err
	}
	return d.WriteFile(file, []byte(b.String()), 0o600, now)
}

// stillValid tells whether a kubeconfig can be used as it is; when not, the line
// and what is wrong say why. Only an expired certificate and an unreadable one
// count: who signed it is not checked (recorded: j1, c, q-kubelet-states/03).
func stillValid(d *sim.Disk, file string, now time.Time) (l line, why string, ok bool) {
	if _, err := d.Stat(file); err != nil {
		return "", "", false
	}
	_, u, err := readKubeconfig(d, file)
	if err != nil {
		return lineConfUnread, err.Error(), false
	}
	if u.unread != nil {
		return lineConfTLS, u.unread.Error(), false
	}
	certs, err := pki.ParseCerts(u.CertData)
	if err != nil {
		return lineConfCerts, err.Error(), false
	}
	for _, x := range certs {
		if now.After(x.NotAfter) {
			return lineConfExpired, x.NotAfter.String(), false
		}
	}
	return "", "", true
}

// readConfig reads a KubeletConfiguration, which must not be changed. The error is
// what a kubelet exits with; the warning is a strict error that lenient decoding
// let pass.
func (k *Kubelet) readConfig(d *sim.Disk, file string) (cfg *KubeletConfiguration, warning, failure string) {
	fail := func(err any) string {
		return fmt.Sprintf("failed to load kubelet config file, path: %s, error: failed to load Kubelet config file %s, error failed to decode: %v", file, file, err)
	}
	b, err := d.ReadFile(file)
	if err != nil {
		return nil, "", fmt.Sprintf("failed to load kubelet config file, path: %s, error: failed to load Kubelet config file %s, error failed to read kubelet config file %q, error: %v", file, file, file, err)
	}
	read, err := configurations.of(append([]byte(k.Release+"\n"), b...))
	if err != nil {
		return nil, "", fail(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
	}
	cfg = read.KubeletConfiguration
	if cfg.APIVersion != configVersion || cfg.Kind != configKind {
		return nil, "", fail(fmt.Sprintf("no kind %q is registered for version %q in scheme \"pkg/kubelet/apis/config/scheme/scheme.go:33\"", cfg.Kind, cfg.APIVersion))
	}
	return cfg, read.strict, ""
}

const configVersion, configKind = "kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"

// copied is a configuration that may be changed.
func (cfg *KubeletConfiguration) copied() *KubeletConfiguration {
	b, _ := json.Marshal(cfg)
	n := new(KubeletConfiguration)
	json.Unmarshal(b, n)
	return n
}

// dropIns merges the files of --config-dir into a configuration. Models
// cmd/kubelet/app mergeKubeletConfigurations.
func (cfg *KubeletConfiguration) dropIns(d *sim.Disk, dir string) error {
	if _, err := d.Lstat(dir); err != nil {
		return fmt.Errorf("failed to walk through kubelet dropin directory %q: %w", dir, err)
	}
	for _, file := range d.Walk(dir) {
		if e, err := d.Lstat(file); err != nil || e.Mode.IsDir() || path.Ext(file) != ".conf" {
			continue
		}
		b, err := d.ReadFile(file)
		if err == nil {
			b, err = yaml.YAMLToJSON(b)
		}
		var of struct{ APIVersion, Kind string }
		if err == nil {
			err = json.Unmarshal(b, &of)
		}
		switch {
		case err != nil:
			err = fmt.Errorf("path: %s, error: failed to load drop-in kubelet config file %s, error %w", file, file, err)
		case of.APIVersion == "" && of.Kind == "":
			err = fmt.Errorf("path: %s, no apiVersion/kind", file)
		case of.APIVersion != configVersion || of.Kind != configKind:
			group, version, _ := strings.Cut(of.APIVersion, "/")
			err = fmt.Errorf("path: %s, unknown apiVersion/kind: %s/%s, Kind=%s", file, group, version, of.Kind)
		}
		if err != nil {
			return fmt.Errorf("failed to walk through kubelet dropin directory %q: failed to load kubelet dropin file, %w", dir, err)
		}
		if err := json.Unmarshal(b, cfg); err != nil {
			return fmt.Errorf("failed to unmarshal merged JSON into kubelet configuration: %w", err)
		}
	}
	return nil
}

// strictly is what strict decoding has against a configuration that lenient
// decoding took: keys that are there twice, else fields that nobody knows.
func strictly(text []byte) string {
	data, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return "strict decoding error: " + strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	}
	found, err := kjson.UnmarshalStrict(data, new(KubeletConfiguration))
	if err != nil || len(found) == 0 {
		return ""
	}
	words := make([]string, len(found))
	for i, e := range found {
		words[i] = e.Error()
	}
	return "strict decoding error: " + strings.Join(words, ", ")
}
