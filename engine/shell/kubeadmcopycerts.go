package shell

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strings"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

const certsSecret = "kubeadm-certs"

// sharedFiles are what all control planes of a cluster have in common, below the
// certificates' directory.
var sharedFiles = []string{"ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.pub", "sa.key", "etcd/ca.crt", "etcd/ca.key"}

// drawCertificateKey draws a key that certificates are uploaded with.
func (a *adm) drawCertificateKey() string {
	b := a.sys(func(c *sim.Ctx) reply {
		b := make([]byte, 32)
		c.Chance.Fill(c.Host+"/shell/kubeadm-certificate-key", b)
		return reply{Data: b}
	}).Data
	return hex.EncodeToString(b)
}

// sealer encrypts and decrypts with a certificate key. Models cmd/kubeadm/app/util/crypto EncryptBytes
// and DecryptBytes.
func sealer(key string) (cipher.AEAD, error) {
	raw, err := hex.DecodeString(key)
	if err != nil {
		return nil, fmt.Errorf("error decoding certificate key: %w", err)
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// phaseUploadCerts stores what control planes share, encrypted, for two hours.
// Models cmd/kubeadm/app/phases/copycerts UploadCerts.
func phaseUploadCerts(a *adm, _ []string) error {
	if !a.f.uploadCerts {
		a.printf("[upload-certs] Skipping phase. Please see --upload-certs\n")
		return nil
	}
	c, err := a.initConfig()
	if err != nil {
		return err
	}
	client, _, err := a.initClient()
	if err != nil {
		return phase("upload-certs", err)
	}
	defer client.close()
	if key := c.init.text("certificateKey"); a.f.certificateKey == "" && key != "" {
		a.f.certificateKey = key
	}
	if a.f.certificateKey == "" {
		a.f.certificateKey = a.drawCertificateKey()
	}
	if err := client.uploadCerts(c, a.f.certificateKey); err != nil {
		return phase("upload-certs", fmt.Errorf("error uploading certs: %w", err))
	}
	if !a.f.skipKeyPrint {
		a.printf("[upload-certs] Using certificate key:\n%s\n", a.f.certificateKey)
	}
	return nil
}

func (c *admClient) uploadCerts(config *admConfig, key string) error {
	c.printf("[upload-certs] Storing the certificates in Secret %q in the \"kube-system\" Namespace\n", certsSecret)
	gcm, err := sealer(key)
	if err != nil {
		return err
	}
	// The Secret goes when the token does that owns it.
	t := c.drawToken()
	t.description, t.expires = era.KubeadmCertsToken.In(c.era()), c.expiry(era.KubeadmCertsTTL.In(c.era()))
	if err := c.createToken(t, false); err != nil {
		return fmt.Errorf("error creating token: %w", err)
	}
	owner, err := c.do("GET", tokenSecrets+"/bootstrap-token-"+t.id, nil)
	if err != nil {
		return fmt.Errorf("error to get token reference: %w", err)
	}
	data := map[string]any{}
	for _, name := range sharedFiles {
		b, err := c.readFile(config.certDir() + "/" + name)
		if err != nil {
			data[secretKey(name)] = ""
			continue
		}
		nonce := c.sys(func(x *sim.Ctx) reply {
			n := make([]byte, gcm.NonceSize())
			x.Chance.Fill(x.Host+"/shell/kubeadm-certs-nonce", n)
			return reply{Data: n}
		}).Data
		data[secretKey(name)] = base64.StdEncoding.EncodeToString(gcm.Seal(nonce, nonce, b, nil))
	}
	o := object{"apiVersion": "v1", "kind": "Secret", "data": data, "metadata": map[string]any{"name": certsSecret, "namespace": "kube-system",
		"ownerReferences": []any{map[string]any{"apiVersion": "v1", "kind": "Secret", "name": owner.text("metadata", "name"), "uid": owner.text("metadata", "uid"), "controller": true, "blockOwnerDeletion": true}}}}
	if err := c.put(tokenSecrets, certsSecret, o); err != nil {
		return err
	}
	return c.grant(era.KubeadmCertsReader.In(c.era()))
}

func secretKey(name string) string { return strings.ReplaceAll(name, "/", "-") }

// downloadCerts models cmd/kubeadm/app/phases/copycerts DownloadCerts.
func (c *admClient) downloadCerts(config *admConfig, key string) error {
	c.printf("[download-certs] Downloading the certificates in Secret %q in the \"kube-system\" Namespace\n", certsSecret)
	gcm, err := sealer(key)
	if err != nil {
		return err
	}
	secret, err := c.do("GET", tokenSecrets+"/"+certsSecret, nil)
	if isReason(err, "NotFound") {
		err = fmt.Errorf("Secret %q was not found in the \"kube-system\" Namespace. This Secret might have expired. Please, run `kubeadm init phase upload-certs --upload-certs` on a control plane to generate a new one", certsSecret)
	}
	if err != nil {
		return fmt.Errorf("error downloading the secret: %w", err)
	}
	all, _ := secret.get("data").(map[string]any)
	plain := map[string][]byte{}
	for _, k := range sortedKeys(all) {
		b := decode64(fmt.Sprint(all[k]))
		if len(b) == 0 {
			continue
		}
		if len(b) < gcm.NonceSize() {
			return fmt.Errorf("error decoding secret data with provided key: size of data is less than the nonce")
		}
		n := gcm.NonceSize()
		if plain[k], err = gcm.Open(nil, b[:n], b[n:], nil); err != nil {
			return fmt.Errorf("error decoding secret data with provided key: %w", err)
		}
	}
	c.printf("[download-certs] Saving the certificates to the folder: %q\n", config.certDir())
	for _, name := range sharedFiles {
		file := config.certDir() + "/" + name
		if _, ok := all[secretKey(name)]; !ok {
			return fmt.Errorf("the Secret does not include the required certificate or key - name: %s, path: %s", name, file)
		}
		b := plain[secretKey(name)]
		if len(b) == 0 {
			c.log('I', 1, "copycerts.go:229", "[download-certs] Not saving %q to disk, since it is empty in the %q Secret", name, certsSecret)
			continue
		}
		mode := fs.FileMode(0o644)
		if _, err := pki.ParseKey(b); err == nil {
			mode = 0o600
		}
		if err := c.write(file, b, mode); err != nil {
			return err
		}
	}
	return nil
}
