package kubelet

import (
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// currentFile is the link to the certificate in use, by the prefix of its life.
// Models k8s.io/client-go/util/certificate certificate_store.go.
func currentFile(dir, prefix string) string { return path.Join(dir, prefix+"-current.pem") }

func updatedFile(dir, prefix string) string { return path.Join(dir, prefix+"-updated.pem") }

// certificate is a certificate that a kubelet holds, with its key.
type certificate struct {
	Cert      []byte    `json:"cert"`
	Key       []byte    `json:"key"`
	CN        string    `json:"cn"`
	DNS       []string  `json:"dns,omitempty"`
	IPs       []string  `json:"ips,omitempty"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Deadline is when it will be rotated; Noticed tells that the connections
	// use it.
	Deadline time.Time `json:"deadline,omitzero"`
	Noticed  bool      `json:"noticed,omitempty"`
}

func (x *certificate) clone() *certificate {
	if x == nil {
		return nil
	}
	y := *x
	return &y
}

// parsePair makes a certificate of PEM that was checked to match.
func parsePair(cert, key []byte) (*certificate, error) {
	certs, err := pki.ParseCerts(cert)
	if err != nil {
		return nil, err
	}
	x := certs[0]
	out := &certificate{Cert: cert, Key: key, CN: x.Subject.CommonName, NotBefore: x.NotBefore, NotAfter: x.NotAfter, DNS: x.DNSNames}
	for _, ip := range x.IPAddresses {
		out.IPs = append(out.IPs, ip.String())
	}
	return out, nil
}

// loadStore reads the current certificate: the store's, else that of the files
// given, else the pair that older releases wrote; nil when there is none. log gets
// what is read. The error is what a kubelet exits with. Models
// k8s.io/client-go/util/certificate fileStore.Current.
func loadStore(d *sim.Disk, dir, prefix, certFile, keyFile string, log func(l line, args ...any)) (*certificate, error) {
	file := currentFile(dir, prefix)
	if _, err := d.Stat(file); err != nil {
		// A rename that did not come to pass is made up for.
		updated := updatedFile(dir, prefix)
		if _, err := d.Stat(updated); err != nil {
			own := path.Join(dir, prefix)
			for i, pair := range [...][2]string{{certFile, keyFile}, {own + ".crt", own + ".key"}} {
				if there(d, pair[0]) && there(d, pair[1]) {
					log([...]line{lineLoadingPair, lineLoadingOwnPair}[i], "certFile", pair[0], "keyFile", pair[1])
					return readPair(d, pair[0], pair[1])
				}
			}
			return nil, nil
		}
		if err := d.Rename(updated, file); err != nil {
			return nil, err
		}
	}
	log(lineLoading, "filePath", file)
	cert, err := readPair(d, file, file)
	if err != nil {
		return nil, fmt.Errorf("could not convert data from %q into cert/key pair: %w", file, err)
	}
	return cert, nil
}

func there(d *sim.Disk, file string) bool {
	if file == "" {
		return false
	}
	_, err := d.Stat(file)
	return err == nil
}

// readPair reads a certificate and its key, in the words of tls.LoadX509KeyPair.
func readPair(d *sim.Disk, certFile, keyFile string) (*certificate, error) {
	cert, err := d.ReadFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := d.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	if _, err := pki.Pair(cert, key); err != nil {
		return nil, err
	}
	return parsePair(cert, key)
}

// saveStore writes a certificate and its key to a file named after the host's
// clock and makes the current link point to it. Two rotations within one second
// overwrite the same file. Old files are never removed.
func saveStore(d *sim.Disk, dir, prefix string, cert, key []byte, now time.Time) error {
	if err := d.MkdirAll(dir, 0o755, now); err != nil {
		return fmt.Errorf("could not create directory %q to store certificates: %w", dir, err)
	}
	file := path.Join(dir, prefix+now.In(sim.ZoneOf(d)).Format("-2006-01-02-15-04-05.pem"))
	if err := d.WriteFile(file, append(append([]byte(nil), cert...), key...), 0o600, now); err != nil {
		return fmt.Errorf("could not open %q: %w", file, err)
	}
	current, updated := currentFile(dir, prefix), updatedFile(dir, prefix)
	switch e, err := d.Lstat(current); {
	case err != nil:
		return d.Symlink(file, current, now)
	case e.Mode&fs.ModeSymlink == 0:
		return fmt.Errorf("expected %q to be a symlink but it is a file", current)
	}
	if _, err := d.Lstat(updated); err == nil {
		if err := d.Remove(updated); err != nil {
			return err
		}
	}
	if err := d.Symlink(file, updated, now); err != nil {
		return err
	}
	if err := d.Remove(current); err != nil {
		return err
	}
	return d.Rename(updated, current)
}
