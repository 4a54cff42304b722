package shell

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// newKey makes a key of an encryptionAlgorithm. RSA keys are toys that
// everybody has (pki.Keyring.Toy): primes can't be drawn quickly enough.
func (a *adm) newKey(algorithm string) (crypto.Signer, error) {
	r := a.sys(func(c *sim.Ctx) reply {
		purpose := "kubeadm/" + algorithm
		n := c.Chance.Drawn[purpose]
		c.Chance.Uint64(purpose)
		kr := pki.Keyring{Seed: c.Chance.Seed}
		switch algorithm {
		case "RSA-2048":
			return reply{Data: pki.KeyPEM(kr.Toy(2048, int(n)))}
		case "RSA-3072":
			return reply{Data: pki.KeyPEM(kr.Toy(3072, int(n)))}
		case "RSA-4096":
			return reply{Data: pki.KeyPEM(kr.Toy(4096, int(n)))}
		case "ECDSA-P256":
			return reply{Data: pki.KeyPEM(kr.ECDSA(fmt.Sprintf("%s/%d", purpose, n)))}
		}
		return reply{Err: "encryptionAlgorithm " + algorithm + ": not in this shell"}
	})
	if err := r.err(); err != nil {
		return nil, err
	}
	return pki.ParseKey(r.Data)
}

// newSerial draws a serial number of 63 bits. Models
// cmd/kubeadm/app/util/pkiutil NewSignedCert.
func (a *adm) newSerial() []byte {
	return a.sys(func(c *sim.Ctx) reply {
		b := make([]byte, 8)
		c.Chance.Fill("pki/serial", b)
		b[0] &= 0x7f
		b[7] |= 1
		return reply{Data: b}
	}).Data
}

// loadCert reads the first certificate of DIR/BASE.crt.
func (a *adm) loadCert(dir, base string) ([]*x509.Certificate, error) {
	file := dir + "/" + base + ".crt"
	b, err := a.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the certificate file %s: %w", file, err)
	}
	list, err := pki.ParseCerts(b)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the certificate file %s: error reading %s: %v", file, file, err)
	}
	return list, nil
}

func (a *adm) loadKey(dir, base string) (crypto.Signer, error) {
	file := dir + "/" + base + ".key"
	b, err := a.readFile(file)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the private key file %s: %w", file, err)
	}
	key, err := pki.ParseKey(b)
	if err != nil {
		return nil, fmt.Errorf("couldn't load the private key file %s: error reading private key file %s: %v", file, file, err)
	}
	return key, nil
}

// loadAuthority reads a CA and its key.
func (a *adm) loadAuthority(dir, base string) (*pki.Authority, error) {
	if !a.exists(dir+"/"+base+".crt") && !a.exists(dir+"/"+base+".key") {
		return nil, fmt.Errorf("couldn't load %s certificate authority from %s", base, dir)
	}
	list, err := a.loadCert(dir, base)
	if err != nil {
		return nil, fmt.Errorf("failure loading %s certificate authority: %v", base, err)
	}
	key, err := a.loadKey(dir, base)
	if err != nil {
		return nil, fmt.Errorf("failure loading %s certificate authority: %v", base, err)
	}
	if !list[0].IsCA {
		return nil, fmt.Errorf("%s certificate is not a certificate authority", base)
	}
	return &pki.Authority{Cert: list[0], Key: key}, nil
}

// writePair writes DIR/BASE.key and .crt.
func (a *adm) writePair(dir, base string, cert, key []byte) error {
	if err := a.write(dir+"/"+base+".key", key, 0o600); err != nil {
		return err
	}
	return a.write(dir+"/"+base+".crt", cert, 0o644)
}

// external tells whether a CA's certificate is there without its key; the
// error says what is missing then. Models cmd/kubeadm/app/phases/certs
// UsingExternalCA and UsingExternalFrontProxyCA.
func (a *adm) external(dir, base string) (bool, error) {
	for _, x := range []struct {
		base, name string
		leaves     [][2]string
	}{
		{"ca", "CA", [][2]string{{"apiserver", "API server"}, {"apiserver-kubelet-client", "API server kubelet client"}}},
		{"front-proxy-ca", "front-proxy CA", [][2]string{{"front-proxy-client", "front-proxy client"}}},
	} {
		if x.base != base {
			continue
		}
		if _, err := a.loadCert(dir, base); err != nil {
			return false, fmt.Errorf("failure loading certificate for %s: %v", x.name, err)
		}
		if a.exists(dir + "/" + base + ".key") {
			return false, nil
		}
		for _, l := range x.leaves {
			if _, err := a.loadCert(dir, l[0]); err != nil {
				return true, fmt.Errorf("failure loading certificate for %s: %v", l[1], err)
			}
			if _, err := a.loadKey(dir, l[0]); err != nil {
				return true, fmt.Errorf("failure loading certificate for %s: %v", l[1], err)
			}
		}
		return true, nil
	}
	return false, nil
}

// begin is the configuration of a phase of init, with its look at CAs that are
// managed elsewhere. Models cmd/kubeadm/app/cmd newInitData.
func (a *adm) begin() (*admConfig, error) {
	c, err := a.initConfig()
	if err != nil {
		return nil, err
	}
	for _, x := range [][2]string{{"ca", "CA"}, {"front-proxy-ca", "front-proxy CA"}} {
		ext, err := a.external(c.certDir(), x[0])
		if !ext {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("invalid or incomplete external %s: %v", x[1], err)
		}
		if x[0] == "ca" {
			if err := a.checkKubeconfigs(c); err != nil {
				return nil, err
			}
		}
	}
	return c, nil
}

func phaseCertsAll(a *adm, _ []string) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	a.printf("[certs] Using certificateDir folder %q\n", c.certDir())
	for _, x := range era.KubeadmCerts.In(a.era()) {
		if err := a.makeCert(c, x); err != nil {
			return fmt.Errorf("error execution phase certs/%s: %w", x.Name, err)
		}
	}
	return a.serviceAccount(c)
}

func (a *adm) phaseCert(x era.KubeadmCert) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	if err := a.makeCert(c, x); err != nil {
		return fmt.Errorf("error execution phase certs/%s: %w", x.Name, err)
	}
	return nil
}

// bounds warns of a certificate that is not valid now. Models
// cmd/kubeadm/app/phases/certs CheckCertificatePeriodValidity.
func (a *adm) bounds(base string, x *x509.Certificate) {
	now, what := a.now(), ""
	switch {
	case now.Before(x.NotBefore):
		what = "the certificate is not valid yet"
	case now.After(x.NotAfter):
		what = "the certificate has expired"
	default:
		return
	}
	a.log('W', 0, "certs.go:474", "WARNING: could not validate bounds for certificate %s: %s: NotBefore: %v, NotAfter: %v", base, what, x.NotBefore, x.NotAfter)
}

// makeCert makes a CA or a certificate, or is content with what is there.
// Models cmd/kubeadm/app/cmd/phases/init runCAPhase and runCertPhase.
func (a *adm) makeCert(c *admConfig, x era.KubeadmCert) error {
	dir := c.certDir()
	list, err := a.loadCert(dir, x.Base)
	switch {
	case err != nil:
		return a.issueFiles(c, x)
	case x.CA == "":
		a.bounds(x.Base, list[0])
		how := "certificate authority"
		if _, err := a.loadKey(dir, x.Base); err != nil {
			how = "keyless certificate authority"
		}
		a.printf("[certs] Using existing %s %s\n", x.Base, how)
		return nil
	}
	a.bounds(x.Base, list[0])
	ca, err := a.loadCert(dir, x.CA)
	if err != nil {
		return fmt.Errorf("couldn't load CA certificate %s: %v", x.CA, err)
	}
	a.bounds(x.CA, ca[0])
	if err := pki.Verify(list, ca[:1], x509.ExtKeyUsageAny, a.now().In(a.zone())); err != nil {
		return fmt.Errorf("[certs] certificate %s not signed by CA certificate %s: %v", x.Base, x.CA, err)
	}
	a.printf("[certs] Using existing %s certificate and key on disk\n", x.Base)
	return nil
}

// issueFiles makes the files of a certificate that is not there.
func (a *adm) issueFiles(c *admConfig, x era.KubeadmCert) error {
	dir, now := c.certDir(), a.now()
	var ca *pki.Authority
	var err error
	if x.CA != "" {
		if ca, err = a.loadAuthority(dir, x.CA); err != nil {
			return fmt.Errorf("couldn't load CA certificate %s: %v", x.CA, err)
		}
	}
	if a.exists(dir + "/" + x.Base + ".key") {
		// A key alone: kubeadm takes the pair for one that is there.
		_, err := a.loadCert(dir, x.Base)
		if x.CA == "" {
			return fmt.Errorf("failure loading %s certificate: %v", x.Base, err)
		}
		return fmt.Errorf("failed to write or validate certificate %q: failure loading %s certificate: %v", x.Name, x.Base, err)
	}
	key, err := a.newKey(c.cluster.text("encryptionAlgorithm"))
	if err != nil {
		return err
	}
	a.printf("[certs] Generating %q certificate and key\n", x.Base)
	if ca == nil {
		self, err := pki.SelfSigned(key, x.CN, a.newSerial(), now.Add(-era.KubeadmBackdate.In(a.era())), now.Add(c.life("caCertificateValidityPeriod")))
		if err != nil {
			return err
		}
		return a.writePair(dir, x.Base, self.CertPEM(), pki.KeyPEM(key))
	}
	spec, err := c.spec(x)
	if err != nil {
		return err
	}
	spec.NotBefore = now.Add(-era.KubeadmBackdate.In(a.era()))
	cert, err := a.sign(ca, spec, key, now.Add(c.life("certificateValidityPeriod")))
	if err != nil {
		return err
	}
	if x.Server {
		a.printf("[certs] %s serving cert is signed for DNS names %v and IPs %v\n", x.Base, spec.DNS, spec.IPs)
	}
	return a.writePair(dir, x.Base, cert, pki.KeyPEM(key))
}

// spec is what a certificate of the list says of its holder.
func (c *admConfig) spec(x era.KubeadmCert) (pki.LeafSpec, error) {
	dns, ips, err := c.names(x.Names)
	cn := strings.Replace(x.CN, "NODE", c.nodeName(), 1)
	return pki.LeafSpec{Subject: pkix.Name{CommonName: cn}, DNS: dns, IPs: ips, Server: x.Server, Client: x.Client}, err
}

// sign signs a certificate, which begins when its CA does unless it says
// otherwise. Models cmd/kubeadm/app/util/pkiutil NewSignedCert.
func (a *adm) sign(ca *pki.Authority, s pki.LeafSpec, key crypto.Signer, until time.Time) ([]byte, error) {
	if s.NotBefore.IsZero() {
		s.NotBefore = ca.Cert.NotBefore
	}
	s.NotAfter, s.Serial = until, a.newSerial()
	return ca.Leaf(s, key.Public())
}

func phaseServiceAccount(a *adm, _ []string) error {
	c, err := a.begin()
	if err != nil {
		return err
	}
	return a.serviceAccount(c)
}

// serviceAccount makes the keys that sign ServiceAccount tokens. Models
// cmd/kubeadm/app/phases/certs CreateServiceAccountKeyAndPublicKeyFiles.
func (a *adm) serviceAccount(c *admConfig) error {
	dir := c.certDir()
	if a.exists(dir + "/sa.key") {
		if _, err := a.loadKey(dir, "sa"); err != nil {
			return fmt.Errorf("error execution phase certs/sa: the existing sa key could not be loaded: %v", err)
		}
		a.printf("[certs] Using the existing \"sa\" key\n")
		return nil
	}
	key, err := a.newKey(c.cluster.text("encryptionAlgorithm"))
	if err != nil {
		return err
	}
	pub, err := pki.PublicKeyPEM(key.Public())
	if err != nil {
		return err
	}
	a.printf("[certs] Generating \"sa\" key and public key\n")
	if err := a.write(dir+"/sa.key", pki.KeyPEM(key), 0o600); err != nil {
		return err
	}
	return a.write(dir+"/sa.pub", pub, 0o600)
}
