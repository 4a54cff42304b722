package shell

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
)

// managed is a certificate that kubeadm looks after: a file of the PKI, or
// embedded in a kubeconfig. CA and base are names of files below the PKI.
type managed struct {
	name, longName, base, ca, caName string
	// config is the kubeconfig's path; empty for a file of the PKI.
	config string
}

// managedCerts are the certificates and then the CAs, each sorted by name.
// Models cmd/kubeadm/app/phases/certs/renewal NewManager.
func managedCerts(e era.Era) (certs, cas []managed) {
	names := map[string]string{}
	for _, c := range era.KubeadmCerts.In(e) {
		if c.CA == "" {
			names[c.Base] = c.Name
			cas = append(cas, managed{name: c.Name, longName: c.LongName, base: c.Base, ca: c.Base})
			continue
		}
		certs = append(certs, managed{name: c.Name, longName: c.LongName, base: c.Base, ca: c.CA, caName: names[c.CA]})
	}
	for _, k := range era.KubeadmKubeconfigs.In(e) {
		if k.LongName != "" {
			certs = append(certs, managed{name: k.File, longName: k.LongName, ca: "ca", caName: "ca", config: etcKubernetes + "/" + k.File})
		}
	}
	for _, list := range [][]managed{certs, cas} {
		sort.Slice(list, func(i, j int) bool { return list[i].name < list[j].name })
	}
	return certs, cas
}

// read is the certificate as it is on the disk.
func (m managed) read(a *adm, dir string) (*x509.Certificate, error) {
	if m.config == "" {
		list, err := a.loadCert(dir, m.base)
		if err != nil {
			return nil, err
		}
		return list[0], nil
	}
	c, err := a.loadKubeconfig(m.config)
	if err != nil {
		return nil, fmt.Errorf("failed to load kubeConfig file %s: %v", m.config, err)
	}
	_, i := current(c)
	if i < 0 {
		return nil, fmt.Errorf("invalid kubeConfig file %s: AuthInfo is missing", m.config)
	}
	u := c.Users[i].User
	data := u.CertData
	if len(data) == 0 && u.CertFile != "" {
		if data, err = a.readFile(abs(path.Dir(m.config), u.CertFile)); err != nil {
			return nil, err
		}
	}
	if len(data) == 0 {
		return nil, fmt.Errorf("kubeConfig file %s does not have an embedded client certificate", m.config)
	}
	list, err := pki.ParseCerts(data)
	if err != nil {
		return nil, fmt.Errorf("kubeConfig file %s does not contain a valid client certificate: %v", m.config, err)
	}
	return list[0], nil
}

func (m managed) exists(a *adm, dir string) bool {
	if m.config != "" {
		return a.exists(m.config)
	}
	return a.exists(dir + "/" + m.base + ".crt")
}

// expiration is one line of check-expiration, in the order of its JSON.
type expiration struct {
	Name     string `json:"name"`
	Date     string `json:"expirationDate,omitempty"`
	Residual int64  `json:"residualTime"`
	External bool   `json:"externallyManaged"`
	CA       string `json:"caName,omitempty"`
	Missing  bool   `json:"missing"`
	until    time.Time
}

func (m managed) expiration(a *adm, dir string) (expiration, error) {
	x := expiration{Name: m.name, CA: m.caName, Missing: true}
	if !m.exists(a, dir) {
		return x, nil
	}
	external, err := a.external(dir, m.ca)
	if err != nil {
		return x, fmt.Errorf("error checking external CA condition for %s certificate authority: %v", m.ca, err)
	}
	cert, err := m.read(a, dir)
	if err != nil {
		return x, err
	}
	x.Missing, x.External, x.until = false, external, cert.NotAfter
	x.Date, x.Residual = cert.NotAfter.Format(time.RFC3339), int64(cert.NotAfter.Sub(a.now())/time.Second)
	return x, nil
}

func checkExpiration(a *adm, _ []string) error {
	if a.f.output != "text" && a.f.output != "json" {
		return fmt.Errorf("unable to match a printer suitable for the output format %q, allowed formats are: json,text", a.f.output)
	}
	c, err := a.clusterConfig("check-expiration")
	if err != nil {
		return err
	}
	certs, cas := managedCerts(a.era())
	var lists [2][]expiration
	for i, list := range [][]managed{certs, cas} {
		for _, m := range list {
			x, err := m.expiration(a, c.certDir())
			if err != nil {
				return err
			}
			lists[i] = append(lists[i], x)
		}
	}
	if a.f.output == "json" {
		b, err := json.MarshalIndent(struct {
			Kind         string       `json:"kind"`
			APIVersion   string       `json:"apiVersion"`
			Certificates []expiration `json:"certificates"`
			Authorities  []expiration `json:"certificateAuthorities"`
		}{"CertificateExpirationInfo", "output.kubeadm.k8s.io/v1alpha3", lists[0], lists[1]}, "", "    ")
		if err != nil {
			return err
		}
		a.printf("%s\n", b)
		return nil
	}
	w := tabwriter.NewWriter(a.out, 10, 4, 3, ' ', 0)
	fmt.Fprintln(w, "CERTIFICATE\tEXPIRES\tRESIDUAL TIME\tCERTIFICATE AUTHORITY\tEXTERNALLY MANAGED")
	for i, list := range lists {
		if i == 1 {
			fmt.Fprintln(w, "\nCERTIFICATE AUTHORITY\tEXPIRES\tRESIDUAL TIME\tEXTERNALLY MANAGED")
		}
		for _, x := range list {
			cells := []string{"!MISSING! " + x.Name, "", "", "", ""}
			if !x.Missing {
				cells = []string{x.Name, x.until.Format("Jan 02, 2006 15:04 MST"), duration.ShortHumanDuration(x.until.Sub(a.now())), x.CA, fmt.Sprintf("%-8v", map[bool]string{true: "yes", false: "no"}[x.External])}
			}
			if i == 1 {
				cells = slices.Delete(cells, 3, 4)
			}
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
	}
	return w.Flush()
}

func renewAll(a *adm, _ []string) error {
	c, err := a.clusterConfig("renew")
	if err != nil {
		return err
	}
	certs, _ := managedCerts(a.era())
	for _, m := range certs {
		if err := m.renew(a, c); err != nil {
			return err
		}
	}
	a.printf("\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, so that they can use the new certificates.\n")
	return nil
}

func (a *adm) renewOne(name string) error {
	c, err := a.clusterConfig("renew")
	if err != nil {
		return err
	}
	certs, _ := managedCerts(a.era())
	i := slices.IndexFunc(certs, func(m managed) bool { return m.name == name })
	return certs[i].renew(a, c)
}

// renew makes a certificate anew, with a new key, as the old one was. Models
// cmd/kubeadm/app/phases/certs/renewal RenewUsingLocalCA.
func (m managed) renew(a *adm, c *admConfig) error {
	dir := c.certDir()
	if !m.exists(a, dir) {
		a.printf("MISSING! %s\n", m.longName)
		return nil
	}
	external, err := a.external(dir, m.ca)
	if err != nil {
		return fmt.Errorf("error checking external CA condition for %s certificate authority: %v", m.ca, err)
	}
	if external {
		a.printf("Detected external %s, %s can't be renewed\n", m.ca, m.longName)
		return nil
	}
	old, err := m.read(a, dir)
	if err != nil {
		return err
	}
	ca, err := a.loadAuthority(dir, m.ca)
	if err != nil {
		return err
	}
	key, err := a.newKey(c.cluster.text("encryptionAlgorithm"))
	if err != nil {
		return err
	}
	spec := pki.LeafSpec{Subject: pkix.Name{CommonName: old.Subject.CommonName, Organization: old.Subject.Organization}, DNS: old.DNSNames, IPs: old.IPAddresses,
		Server: slices.Contains(old.ExtKeyUsage, x509.ExtKeyUsageServerAuth), Client: slices.Contains(old.ExtKeyUsage, x509.ExtKeyUsageClientAuth)}
	cert, err := a.sign(ca, spec, key, a.now().Add(c.life("certificateValidityPeriod")))
	if err != nil {
		return fmt.Errorf("failed to renew certificate %s: %v", m.name, err)
	}
	if err := m.store(a, dir, ca, cert, pki.KeyPEM(key)); err != nil {
		return err
	}
	a.printf("%s renewed\n", m.longName)
	return nil
}

// store writes a renewed certificate to where the old one is.
func (m managed) store(a *adm, dir string, ca *pki.Authority, cert, key []byte) error {
	if m.config == "" {
		return a.writePair(dir, m.base, cert, key)
	}
	k, err := a.loadKubeconfig(m.config)
	if err != nil {
		return err
	}
	i, j := current(k)
	if i < 0 || j < 0 {
		return fmt.Errorf("invalid kubeConfig file %s: AuthInfo is missing", m.config)
	}
	return a.write(m.config, kubeconfigText(k.Clusters[i].Cluster.Server, k.Clusters[i].Name, k.Users[j].Name, ca.CertPEM(), withCert(cert, key)...), 0o600)
}

func certificateKey(a *adm, _ []string) error {
	a.printf("%s\n", a.drawCertificateKey())
	return nil
}

// generateCSRs makes keys and requests for a CA that is managed elsewhere.
func generateCSRs(a *adm, _ []string) error {
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	request := func(file string, s pki.LeafSpec) ([]byte, error) {
		key, err := a.newKey(c.cluster.text("encryptionAlgorithm"))
		if err != nil {
			return nil, err
		}
		csr, err := pki.NewRequest(key, pki.Request{Subject: s.Subject, DNS: s.DNS, IPs: s.IPs})
		if err != nil {
			return nil, err
		}
		return pki.KeyPEM(key), a.write(file+".csr", csr, 0o600)
	}
	dir := c.certDir()
	a.printf("generating keys and CSRs in %s\n", dir)
	for _, x := range era.KubeadmCerts.In(a.era()) {
		if x.CA == "" {
			continue
		}
		if file := dir + "/" + x.Base; a.exists(file+".key") || a.exists(file+".csr") {
			return fmt.Errorf("file already exists: key or CSR %s", file)
		}
		spec, err := c.spec(x)
		if err != nil {
			return err
		}
		key, err := request(dir+"/"+x.Base, spec)
		if err != nil {
			return err
		}
		if err := a.write(dir+"/"+x.Base+".key", key, 0o600); err != nil {
			return err
		}
		a.printf("  %s\n", x.Base)
	}
	configs := a.path(a.f.kubeconfigDir)
	a.printf("generating keys and CSRs in %s\n", configs)
	for _, k := range era.KubeadmKubeconfigs.In(a.era()) {
		user := c.userOf(k)
		key, err := request(configs+"/"+k.File, clientSubject(user, k.O))
		if err != nil {
			return err
		}
		if err := a.write(configs+"/"+k.File, kubeconfigText(c.serverOf(k), c.cluster.text("clusterName"), user, nil, withCert(nil, key)[1:]...), 0o600); err != nil {
			return err
		}
		a.printf("  %s\n", k.File)
	}
	return nil
}
