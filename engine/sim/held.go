package sim

import "time"

// The uses of what a process holds: bundles of CAs, and certificates.
const (
	// ClientCA is for those who come with a certificate, FrontCA for the proxy
	// that vouches for others, KubeletCA for kubelets, ServerCA for API servers,
	// and RootCA is what is handed on to pods.
	ClientCA  = "client-ca"
	FrontCA   = "front-ca"
	KubeletCA = "kubelet-ca"
	ServerCA  = "server-ca"
	RootCA    = "root-ca"

	// Serving is shown to clients, Client to API servers, KubeletClient to
	// kubelets, ProxyClient to aggregated servers; Signing signs others.
	Serving       = "serving"
	Client        = "client"
	KubeletClient = "kubelet-client"
	ProxyClient   = "proxy-client"
	Signing       = "signing"
)

// AtStart is how soon what is read at the start only is read again.
const AtStart time.Duration = -1

// Held is a bundle of CAs or a certificate that a process has in memory, and what
// it would have if it began anew: the one may be older than the file.
type Held struct {
	Use string
	// Part is whose it is within the process, "" for its own: "volume" is that of
	// the kubelet's part for a pod.
	Part string
	File string
	// Has and Next are PEM.
	Has, Next []byte
	// Again is how soon a change of the file is taken up: 0 at once, AtStart never.
	Again time.Duration
	// Fetched: it is from the API, and no file of a person's.
	Fetched bool

	// Of a bundle for servers: whom one calls, whether nobody is asked to vouch for
	// it, and whether one shows a token there instead of a certificate.
	Server, Name    string
	Insecure, Token bool
}

// Holder is an actor that trusts somebody or shows something.
type Holder interface {
	Trust(d *Disk) []Held
}

// Content is what a file has, nothing when it can't be read.
func (d *Disk) Content(name string) []byte {
	if name == "" {
		return nil
	}
	b, _ := d.ReadFile(name)
	return b
}
