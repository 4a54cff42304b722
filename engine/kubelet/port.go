package kubelet

import (
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// portAfter is when the port opens, counted from the start (recorded:
// c/kubelet.log).
const portAfter = 236 * time.Millisecond

// port is what the kubelet serves at :10250.
type port struct {
	// CertFile and KeyFile are where its certificate is; empty when the kubelet
	// asks the cluster for one.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// ClientCA is the file with the CAs whose clients are known here.
	ClientCA string `json:"clientCA,omitempty"`
}

// preparePort finds the port's certificate, and makes one that nobody trusts
// when none is named and none is to be asked for. It is never renewed. Models
// cmd/kubelet/app InitializeTLS.
func (k *Kubelet) preparePort(c *sim.Ctx, cfg KubeletConfiguration) bool {
	p := &k.Port
	p.CertFile, p.KeyFile, p.ClientCA = cfg.TLSCertFile, cfg.TLSPrivateKeyFile, cfg.Authentication.X509.ClientCAFile
	if cfg.ServerTLSBootstrap || p.CertFile != "" || p.KeyFile != "" {
		return true
	}
	p.CertFile, p.KeyFile = path.Join(k.Flags.CertDir, "kubelet.crt"), path.Join(k.Flags.CertDir, "kubelet.key")
	_, certErr := c.Disk.Stat(p.CertFile)
	_, keyErr := c.Disk.Stat(p.KeyFile)
	if certErr == nil && keyErr == nil {
		return true
	}
	if err := k.makePair(c); err != nil {
		k.die(c, "failed to construct kubelet dependencies: "+err.Error())
		return false
	}
	k.log(c, lineSelfSigned, "TLSCertFile", p.CertFile, "TLSPrivateKeyFile", p.KeyFile)
	return true
}

// makePair writes the pair that the kubelet gives itself.
func (k *Kubelet) makePair(c *sim.Ctx) error {
	stream := c.Host + "/kubelet-self-signed"
	n := c.Chance.Drawn[stream]
	var serials [2][8]byte
	for i := range serials {
		c.Chance.Fill(stream, serials[i][:])
		serials[i][0] &= 0x7f
	}
	kr := pki.Keyring{Seed: c.Chance.Seed}
	ca, key := kr.ECDSA(fmt.Sprintf("%s-ca/%d", stream, n)), kr.ECDSA(fmt.Sprintf("%s/%d", stream, n))
	pair, err := pki.SelfSignedPair(k.Node, ca, key, serials[0][:], serials[1][:], c.Clock())
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
	if k.Port.CertFile != "" {
		k.log(c, linePairLoaded, "certFile", k.Port.CertFile, "keyFile", k.Port.KeyFile)
	}
	if k.Port.ClientCA == "" {
		return
	}
	data, _ := c.Disk.ReadFile(k.Port.ClientCA)
	list, _ := pki.ParseCerts(data)
	for i, x := range list {
		k.log(c, lineClientCA, "index", i, "certName", "client-ca-bundle::"+k.Port.ClientCA, "certDetail", pki.Detail(x, c.Clock()))
	}
	k.log(c, lineServing)
}
