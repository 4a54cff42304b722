package api

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// loadKubeletClient reads what the server needs to call kubelets (Models
// client-go/transport TLSConfigFor).
func (s *Server) loadKubeletClient(c *sim.Ctx) error {
	s.KubeletCA, s.KubeletCARead = nil, c.Now
	if s.opts.kubeletCA != "" {
		ca, err := c.Disk.ReadFile(s.opts.kubeletCA)
		if err != nil {
			return s.storageFailed(err)
		}
		if err := pki.CheckRoots(ca); err != nil {
			return s.storageFailed(fmt.Errorf("unable to load root certificates: %w", err))
		}
		s.KubeletCA = ca
	}
	for _, name := range []string{s.opts.kubeletCert, s.opts.kubeletKey} {
		if name == "" {
			continue
		}
		if _, err := c.Disk.ReadFile(name); err != nil {
			return err
		}
	}
	return nil
}

// storageError ends the process at once where it comes up.
type storageError struct {
	error
	era.Ending
}

// storageFailed is what err of the client of kubelets comes to, which some releases
// build with the storage.
func (s *Server) storageFailed(err error) error {
	w := era.APIRefusals.In(s.era)
	if w.Storage == "" {
		return err
	}
	return &storageError{err, era.Ending{Lines: []era.LastLine{{Level: 'F', Source: w.StorageAt, Format: w.Storage}}, Status: 255}}
}

// kubeletRoots is the bundle in use. The file is looked at again after five
// minutes at the next call, and a bad one keeps the last good one (Models
// client-go/transport atomicTransportHolder).
func (s *Server) kubeletRoots(c *sim.Ctx) []byte {
	every := era.ClientCAReload.In(s.era)
	if s.opts.kubeletCA == "" || every == 0 || c.Now.Sub(s.KubeletCARead) < every {
		return s.KubeletCA
	}
	s.KubeletCARead = c.Now
	data, err := c.Disk.ReadFile(s.opts.kubeletCA)
	switch {
	case err != nil:
		s.log(c, 'E', 0, "ca_rotation.go:97", sim.KV("Failed to read CA data from file", "err", err, "caFile", s.opts.kubeletCA))
	case len(data) == 0:
		s.log(c, 'I', 0, "ca_rotation.go:103", sim.KV("CA file empty, skipping transport rotation", "caFile", s.opts.kubeletCA))
	case pki.CheckRoots(data) != nil:
		s.log(c, 'E', 0, "ca_rotation.go:120", sim.KV("Failed to parse CA data from file", "err", pki.CheckRoots(data), "caFile", s.opts.kubeletCA))
	default:
		s.KubeletCA = data
	}
	return s.KubeletCA
}

// kubelet is where a node's kubelet is reached.
type kubelet struct{ host, port string }

// kubeletOf finds the kubelet of a node (Models pkg/kubelet/client
// GetConnectionInfo).
func (x *exchange) kubeletOf(node string) (kubelet, error) {
	o := x.s.store.Get("nodes", "", node)
	if o == nil {
		return kubelet{}, apierrors.NewNotFound(resources["nodes"].gr(), node)
	}
	n := o.typed.(*corev1.Node)
	port := int(n.Status.DaemonEndpoints.KubeletEndpoint.Port)
	if port <= 0 {
		port = 10250
	}
	for _, kind := range x.s.opts.kubeletAddresses {
		if i := slices.IndexFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return string(a.Type) == kind }); i >= 0 {
			return kubelet{n.Status.Addresses[i].Address, strconv.Itoa(port)}, nil
		}
	}
	return kubelet{}, fmt.Errorf("no preferred addresses found; known addresses: %v", n.Status.Addresses)
}

// askKubelet sends a request to a kubelet, with --kubelet-client-certificate
// and verified by --kubelet-certificate-authority, if there are any. The
// client's files are read for each handshake; a changed pair or bundle means a
// new connection.
func (x *exchange) askKubelet(kind, name string, k kubelet, insecure bool, r sim.Request) sim.Response {
	d := sim.Dial{Addr: net.JoinHostPort(k.host, k.port), ServerName: k.host, Roots: x.s.kubeletRoots(x.c)}
	if d.Insecure = insecure || x.s.opts.kubeletCA == ""; d.Insecure {
		d.Roots = nil
	}
	if x.s.opts.kubeletCert != "" && x.s.opts.kubeletKey != "" {
		d.Cert, _ = x.c.Disk.ReadFile(x.s.opts.kubeletCert)
		d.Key, _ = x.c.Disk.ReadFile(x.s.opts.kubeletKey)
	}
	return x.ask(kind, name, "kubelet "+d.Addr+" "+fingerprint(d.Roots, d.Cert), d, r)
}

func fingerprint(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}
