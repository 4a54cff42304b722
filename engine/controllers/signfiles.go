package controllers

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// pair are signing files as last read with success.
type pair struct {
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
}

const contentName = "csr-controller::"

// load reads the signing files. Files that can't be read as a pair leave the
// last good pair in use. Models
// k8s.io/apiserver/pkg/server/dynamiccertificates DynamicCertKeyPairContent.
func (m *ControllerManager) load(c *sim.Ctx, certFile, keyFile string) (changed bool, err error) {
	id := certFile + "::" + keyFile
	cert, err := c.Disk.ReadFile(certFile)
	if err != nil {
		return false, err
	}
	key, err := c.Disk.ReadFile(keyFile)
	if err != nil {
		return false, err
	}
	if len(cert) == 0 || len(key) == 0 {
		return false, fmt.Errorf("missing content for serving cert %q", contentName+id)
	}
	if last := m.Pairs[id]; string(last.Cert) == string(cert) && string(last.Key) == string(key) {
		return false, nil
	}
	if _, err := pki.Pair(cert, key); err != nil {
		return false, err
	}
	m.Pairs[id] = pair{cert, key}
	return true, nil
}

func (m *ControllerManager) loaded(c *sim.Ctx, certFile, keyFile string) {
	m.say(c, &era.LinePairLoaded, contentName+certFile+"::"+keyFile)
}

// authority is the CA of the signing files as last read. Two certificates in
// the file are a pair and an error all the same. Words as recorded in o. Files that
// are read once were looked at then, and nobody looked whether they are a pair.
func (m *ControllerManager) authority(certFile, keyFile string) (*pki.Authority, error) {
	id := certFile + "::" + keyFile
	now := m.Pairs[id]
	if !era.SigningReload.In(m.era()).ByItself {
		return pki.ParseUnmatched(now.Cert, now.Key)
	}
	a, err := pki.ParseAuthority(now.Cert, now.Key)
	if err != nil {
		return nil, fmt.Errorf("error reading CA cert file %q: %w", contentName+id, err)
	}
	return a, nil
}

// firstAuthority reads a signer's files when the manager starts: what can't be
// used ends it.
func (m *ControllerManager) firstAuthority(c *sim.Ctx, certFile, keyFile string) error {
	if !era.SigningReload.In(m.era()).ByItself {
		return m.readOnce(c, certFile, keyFile)
	}
	if _, err := m.load(c, certFile, keyFile); err != nil {
		return fmt.Errorf("error reading CA cert file %q: %w", certFile, err)
	}
	m.loaded(c, certFile, keyFile)
	_, err := m.authority(certFile, keyFile)
	return err
}

// readOnce reads signing files as up to 1.17: by cfssl, whose words are JSON, or by
// signer.go. What is kept of an encrypted key is the key.
func (m *ControllerManager) readOnce(c *sim.Ctx, certFile, keyFile string) error {
	cert, err := c.Disk.ReadFile(certFile)
	if err != nil {
		return fmt.Errorf("error reading CA cert file %q: %w", certFile, err)
	}
	old := era.SigningCFSSL.In(m.era())
	if !old {
		certs, err := readCerts(cert)
		if err != nil {
			return fmt.Errorf("error reading CA cert file %q: %w", certFile, err)
		}
		if certs != 1 {
			return fmt.Errorf("error reading CA cert file %q: expected 1 certificate, found %d", certFile, certs)
		}
	}
	key, err := c.Disk.ReadFile(keyFile)
	if err != nil {
		return fmt.Errorf("error reading CA key file %q: %w", keyFile, err)
	}
	if old {
		if err := cfsslCert(cert); err != nil {
			return fmt.Errorf("error parsing CA cert file %q: %w", certFile, err)
		}
		if key, err = cfsslKey(key, m.Env[passwordEnv]); err != nil {
			return fmt.Errorf(era.SigningMalformed.In(m.era()), err)
		}
	} else if _, err := pki.ParseKey(key); err != nil {
		return fmt.Errorf("error reading CA key file %q: %w", keyFile, err)
	}
	m.Pairs[certFile+"::"+keyFile] = pair{cert, key}
	return nil
}

// passwordEnv is the variable with the password of an encrypted key.
const passwordEnv = "CFSSL_CA_PK_PASSWORD"

// Password takes the password of an encrypted signing key from the process's variables.
func (m *ControllerManager) Password(env map[string]string) {
	if p := env[passwordEnv]; p != "" && era.SigningCFSSL.In(m.era()) {
		m.Env = map[string]string{passwordEnv: p}
	}
}

// cfsslCert looks at a CA's certificate. Models helpers.ParseCertificatePEM.
func cfsslCert(data []byte) error {
	b, rest := pem.Decode(bytes.TrimSpace(data))
	if b == nil {
		return cfssl(1002, "Failed to decode certificate")
	}
	if _, err := x509.ParseCertificate(b.Bytes); err != nil {
		return cfssl(1003, "Failed to parse certificate")
	}
	if len(rest) > 0 {
		return cfssl(1003, "the PEM file should contain only one object")
	}
	return nil
}

// cfsslKey looks at a CA's key and returns it without encryption. Models
// helpers.ParsePrivateKeyPEMWithPassword.
func cfsslKey(data []byte, password string) ([]byte, error) {
	b, _ := pem.Decode(data)
	if b == nil {
		return nil, cfssl(2002, "Failed to decode private key")
	}
	if x509.IsEncryptedPEMBlock(b) { //nolint:staticcheck // what these releases did
		if password == "" {
			return nil, cfssl(2100, "Private key is encrypted.")
		}
		der, err := x509.DecryptPEMBlock(b, []byte(password)) //nolint:staticcheck // as above
		if err != nil {
			return nil, err
		}
		data = pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: der})
	}
	if _, err := pki.ParseKey(data); err != nil {
		return nil, cfssl(2003, "Failed to parse private key")
	}
	return data, nil
}

// watchFiles asks to be told when a signing file changes, in releases that look.
func (m *ControllerManager) watchFiles(c *sim.Ctx) {
	if !era.SigningReload.In(m.era()).ByItself {
		return
	}
	var seen []string
	for _, l := range m.Loops {
		for _, file := range []string{l.CertFile, l.KeyFile} {
			if file != "" && !slices.Contains(seen, file) {
				seen = append(seen, file)
				c.Notify(file)
			}
		}
	}
}

// fileChanged reads signing files again, in releases that do so by themselves.
func (m *ControllerManager) fileChanged(c *sim.Ctx, file string) {
	switch r := era.SigningReload.In(m.era()); {
	case !r.ByItself:
	case r.Within == 0:
		m.reread(c, file)
	default:
		c.Wake(c.Now.Add(r.Within-c.Now.Sub(m.Started)%r.Within), "file 0 "+file)
	}
}

// reread reads signing files again. Every signer has its own eye on them,
// and says what it sees.
func (m *ControllerManager) reread(c *sim.Ctx, file string) {
	type result struct {
		changed bool
		err     error
	}
	done := map[string]result{}
	for _, l := range m.Loops {
		if l.CertFile != file && l.KeyFile != file {
			continue
		}
		id := l.CertFile + "::" + l.KeyFile
		r, ok := done[id]
		if !ok {
			r.changed, r.err = m.load(c, l.CertFile, l.KeyFile)
			done[id] = r
		}
		switch {
		case r.err != nil:
			m.unhandled(c, "dynamic_serving_content.go:221", "key failed with : "+r.err.Error())
			if errors.Is(r.err, fs.ErrNotExist) && era.SigningReload.In(m.era()).Within == 0 {
				m.log(c, 'E', 0, "dynamic_serving_content.go:144", "Failed to watch cert and key file, will retry later", "err", "error adding watch for file "+file+": no such file or directory")
			}
		case r.changed:
			m.loaded(c, l.CertFile, l.KeyFile)
		}
	}
}
