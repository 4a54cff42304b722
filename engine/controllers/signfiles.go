package controllers

import (
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
	m.log(c, 'I', 2, "dynamic_serving_content.go:116", "Loaded a new cert/key pair", "name", contentName+certFile+"::"+keyFile)
}

// authority is the CA of the signing files as last read. Two certificates in
// the file are a pair and an error all the same. Words as recorded in o.
func (m *ControllerManager) authority(certFile, keyFile string) (*pki.Authority, error) {
	id := certFile + "::" + keyFile
	now := m.Pairs[id]
	a, err := pki.ParseAuthority(now.Cert, now.Key)
	if err != nil {
		return nil, fmt.Errorf("error reading CA cert file %q: %w", contentName+id, err)
	}
	return a, nil
}

// firstAuthority reads a signer's files when the manager starts: what can't be
// used ends it.
func (m *ControllerManager) firstAuthority(c *sim.Ctx, certFile, keyFile string) error {
	if _, err := m.load(c, certFile, keyFile); err != nil {
		return fmt.Errorf("error reading CA cert file %q: %w", certFile, err)
	}
	m.loaded(c, certFile, keyFile)
	_, err := m.authority(certFile, keyFile)
	return err
}

// watchFiles asks to be told when a signing file changes.
func (m *ControllerManager) watchFiles(c *sim.Ctx) {
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
			m.log(c, 'E', 0, "dynamic_serving_content.go:221", "Unhandled Error", "err", "key failed with : "+r.err.Error(), "logger", "UnhandledError")
			if errors.Is(r.err, fs.ErrNotExist) {
				m.log(c, 'E', 0, "dynamic_serving_content.go:144", "Failed to watch cert and key file, will retry later", "err", "error adding watch for file "+file+": no such file or directory")
			}
		case r.changed:
			m.loaded(c, l.CertFile, l.KeyFile)
		}
	}
}
