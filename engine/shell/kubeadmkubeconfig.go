package shell

import (
	"bytes"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// userOf is the user of a kubeconfig of the list.
func (c *admConfig) userOf(k era.KubeadmKubeconfig) string {
	if strings.HasSuffix(k.User, ":") {
		return k.User + c.nodeName()
	}
	return k.User
}

func (c *admConfig) serverOf(k era.KubeadmKubeconfig) string {
	if k.Local {
		return c.local()
	}
	return c.endpoint()
}

func clientSubject(user string, groups ...string) pki.LeafSpec {
	s := pki.LeafSpec{Subject: pkix.Name{CommonName: user}, Client: true}
	for _, g := range groups {
		if g != "" {
			s.Subject.Organization = append(s.Subject.Organization, g)
		}
	}
	return s
}

// clientKubeconfig is a kubeconfig with a fresh client certificate.
func (a *adm) clientKubeconfig(c *admConfig, server, user string, until time.Time, groups ...string) ([]byte, error) {
	ca, err := a.loadAuthority(c.certDir(), "ca")
	if err != nil {
		return nil, fmt.Errorf("couldn't create a kubeconfig; the CA files couldn't be loaded: %v", err)
	}
	key, err := a.newKey(c.cluster.text("encryptionAlgorithm"))
	if err != nil {
		return nil, err
	}
	cert, err := a.sign(ca, clientSubject(user, groups...), key, until)
	if err != nil {
		return nil, fmt.Errorf("failure while creating %s client certificate: %v", user, err)
	}
	return kubeconfigText(server, c.cluster.text("clusterName"), user, ca.CertPEM(), withCert(cert, pki.KeyPEM(key))...), nil
}

func phaseKubeconfigAll(a *adm, _ []string) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	a.printf("[kubeconfig] Using kubeconfig folder %q\n", a.f.kubeconfigDir)
	for _, k := range era.KubeadmKubeconfigs.In(a.era()) {
		if err := a.makeKubeconfig(c, k); err != nil {
			return err
		}
	}
	return nil
}

func (a *adm) phaseKubeconfig(k era.KubeadmKubeconfig) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	return a.makeKubeconfig(c, k)
}

// makeKubeconfig writes a kubeconfig, or is content with one that is there and
// has the same CA. Models cmd/kubeadm/app/phases/kubeconfig
// createKubeConfigFileIfNotExists.
func (a *adm) makeKubeconfig(c *admConfig, k era.KubeadmKubeconfig) error {
	phase := "error execution phase kubeconfig/" + strings.TrimSuffix(k.File, ".conf") + ": "
	file := a.path(a.f.kubeconfigDir) + "/" + k.File
	if a.exists(file) {
		if err := a.checkKubeconfig(c, k, file); err != nil {
			return fmt.Errorf("%s%w", phase, err)
		}
		a.printf("[kubeconfig] Using existing kubeconfig file: %q\n", file)
		return nil
	}
	text, err := a.clientKubeconfig(c, c.serverOf(k), c.userOf(k), a.now().Add(c.life("certificateValidityPeriod")), k.O)
	if err != nil {
		return fmt.Errorf("%s%w", phase, err)
	}
	a.printf("[kubeconfig] Writing %q kubeconfig file\n", k.File)
	return a.write(file, text, 0o600)
}

// checkKubeconfig says what is wrong with a kubeconfig that is there; another
// server is only worth a warning. Models cmd/kubeadm/app/phases/kubeconfig
// validateKubeConfig.
func (a *adm) checkKubeconfig(c *admConfig, k era.KubeadmKubeconfig, file string) error {
	got, err := a.loadKubeconfig(file)
	if err != nil {
		return fmt.Errorf("failed to load kubeconfig file %s that already exists on disk: %v", file, err)
	}
	i, _ := current(got)
	if i < 0 {
		return fmt.Errorf("failed to load kubeconfig file %s that already exists on disk: invalid configuration", file)
	}
	cl := got.Clusters[i].Cluster
	ca, err := a.readFile(c.certDir() + "/ca.crt")
	if err == nil && !bytes.Equal(bytes.TrimSpace(cl.CAData), bytes.TrimSpace(ca)) {
		return fmt.Errorf("a kubeconfig file %q exists already but has got the wrong CA cert", file)
	}
	if want := c.serverOf(k); cl.Server != want {
		a.log('W', 0, "kubeconfig.go:291", "a kubeconfig file %q exists already but has an unexpected API Server URL: expected: %s, got: %s", file, want, cl.Server)
	}
	return nil
}

// checkKubeconfigs looks at the files that an external CA must have made. The
// kubelet's is expected to name the cluster's endpoint. Models
// cmd/kubeadm/app/phases/kubeconfig ValidateKubeconfigsForExternalCA.
func (a *adm) checkKubeconfigs(c *admConfig) error {
	for _, k := range era.KubeadmKubeconfigs.In(a.era()) {
		if k.File == "super-admin.conf" {
			continue
		}
		if k.File == "kubelet.conf" {
			k.Local = false
		}
		if err := a.checkKubeconfig(c, k, etcKubernetes+"/"+k.File); err != nil {
			return err
		}
	}
	return nil
}

func kubeconfigUser(a *adm, _ []string) error {
	var missing []string
	for _, name := range []string{"client-name", "config"} {
		if !a.f.Changed(name) {
			missing = append(missing, fmt.Sprintf("%q", name))
		}
	}
	if missing != nil {
		return fmt.Errorf("required flag(s) %s not set", strings.Join(missing, ", "))
	}
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	if longest := era.KubeadmCertLife.In(a.era()); a.f.validity > longest {
		a.log('W', 0, "kubeconfig.go:89", "WARNING: the specified certificate validity period %v is longer than the default duration %v, this may increase security risks.", a.f.validity, longest)
	}
	var text []byte
	if a.f.token != "" {
		ca, err := a.loadAuthority(c.certDir(), "ca")
		if err != nil {
			return fmt.Errorf("couldn't create a kubeconfig; the CA files couldn't be loaded: %v", err)
		}
		text = kubeconfigText(c.endpoint(), c.cluster.text("clusterName"), a.f.clientName, ca.CertPEM(), "token: "+a.f.token)
	} else if text, err = a.clientKubeconfig(c, c.endpoint(), a.f.clientName, a.now().Add(a.f.validity), a.f.organizations...); err != nil {
		return err
	}
	a.printf("%s\n", text)
	return nil
}
