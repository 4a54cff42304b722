package kubelet

import "github.com/joinery-lab/joinery/engine/sim"

// line is a log line as release 1.36 writes it: recorded in b2, c, c3, d, j1,
// m and q-kubelet-timings. Its v is the verbosity that shows it.
type line struct {
	level  byte
	v      int
	source string
	msg    string
}

var (
	lineVersion       = line{'I', 0, "server.go:545", "Kubelet version"}
	lineCommand       = line{'E', 0, "run.go:72", "command failed"}
	lineRotationOn    = line{'I', 0, "server.go:991", "Client rotation is on, will bootstrap in background"}
	lineStillValid    = line{'I', 2, "bootstrap.go:85", "Current kubeconfig file contents are still valid, no bootstrap necessary"}
	lineBootstrap     = line{'I', 2, "bootstrap.go:101", "Use the bootstrap credentials to request a cert, and set kubeconfig to point to the certificate dir"}
	lineNotValid      = line{'E', 0, "bootstrap.go:267", "Unhandled Error"}
	lineNoBootstrap   = line{'I', 2, "bootstrap.go:65", "No bootstrapping requested, will use kubeconfig"}
	lineSkipping      = line{'I', 2, "bootstrap.go:117", "Kubeconfig exists and is valid, skipping bootstrap"}
	lineSync          = line{'I', 2, "bootstrap.go:121", "Using bootstrap kubeconfig to generate TLS client cert, key and kubeconfig file"}
	lineNoKey         = line{'I', 2, "bootstrap.go:152", "No valid private key and/or certificate found, reusing existing private key or creating a new one"}
	lineNoServer      = line{'I', 0, "bootstrap.go:297", "Failed to connect to apiserver"}
	lineServerLate    = line{'I', 0, "bootstrap.go:162", "Error waiting for apiserver to come up"}
	lineAwaiting      = line{'I', 2, "bootstrap.go:359", "Waiting for client certificate to be issued"}
	lineReusing       = line{'I', 0, "csr.go:90", "csr for this node already exists, reusing"}
	lineStillGood     = line{'I', 0, "csr.go:98", "csr for this node is still valid"}
	lineLoading       = line{'I', 0, "certificate_store.go:147", "Loading cert/key pair from a file"}
	lineLoadingPair   = [...]line{{'I', 0, "certificate_store.go:160", "Loading cert/key pair"}, {'I', 0, "certificate_store.go:175", "Loading cert/key pair"}}
	lineNotInStore    = line{'E', 0, "certificate_manager.go:538", "Unable to set the cert/key pair to the bootstrap certificate"}
	lineStarting      = line{'I', 2, "server.go:1048", "Starting client certificate rotation"}
	lineEnabled       = line{'I', 2, "certificate_manager.go:422", "Certificate rotation is enabled"}
	lineRotating      = line{'I', 2, "certificate_manager.go:566", "Rotating certificates"}
	lineCreated       = line{'I', 2, "csr.go:86", "Certificate signing request created"}
	lineApproved      = line{'I', 2, "csr.go:276", "Certificate signing request is approved, waiting to be issued"}
	lineIssued        = line{'I', 2, "csr.go:272", "Certificate signing request is issued"}
	lineRefused       = line{'E', 0, "certificate_manager.go:596", "Failed while requesting a signed certificate from the control plane"}
	lineNotSigned     = line{'E', 0, "certificate_manager.go:613", "Certificate request was not signed"}
	lineNotStored     = line{'E', 0, "certificate_manager.go:633", "Unable to store the new cert/key pair"}
	lineLimit         = line{'E', 0, "certificate_manager.go:461", "Reached backoff limit, still unable to rotate certs"}
	lineDeadline      = line{'I', 2, "certificate_manager.go:715", "Certificate rotation deadline determined"}
	lineWaiting       = line{'I', 2, "certificate_manager.go:431", "Waiting for next certificate rotation"}
	lineExpired       = line{'I', 2, "certificate_manager.go:387", "Current certificate is expired"}
	lineOtherName     = line{'I', 2, "certificate_manager.go:650", "Current certificate CN does not match requested CN"}
	lineMissingIPs    = line{'I', 2, "certificate_manager.go:672", "Current certificate is missing requested IP addresses"}
	lineMissingDNS    = line{'I', 2, "certificate_manager.go:662", "Current certificate is missing requested DNS names"}
	lineTemplate      = line{'I', 2, "certificate_manager.go:445", "Certificate template changed, rotating"}
	lineRotated       = line{'I', 0, "transport.go:147", "Certificate rotation detected, shutting down client connections to start using new credentials"}
	lineExiting       = line{'E', 0, "transport.go:120", "No valid client certificate is found and the server is responsive, exiting."}
	lineUnresponsive  = line{'E', 0, "transport.go:123", "No valid client certificate is found but the server is not responsive. A restart may be necessary to retrieve new initial credentials."}
	lineSelfSigned    = line{'I', 4, "server.go:1170", "Using self-signed cert"}
	linePairLoaded    = line{'I', 4, "kubelet.go:295", "loaded certificate and key pair in kubelet server certificate manager"}
	lineClientCA      = line{'I', 2, "tlsconfig.go:181", "Loaded client CA"}
	lineNewCAs        = line{'I', 2, "dynamic_cafile_content.go:123", "Loaded a new CA Bundle and Verifier"}
	lineBadCAs        = line{'E', 0, "dynamic_cafile_content.go:241", "Unhandled Error"}
	lineNoCAFile      = line{'E', 0, "ca_rotation.go:99", "Failed to read CA data from file"}
	lineEmptyCAFile   = line{'I', 0, "ca_rotation.go:105", "CA file empty, skipping transport rotation"}
	lineSameCAFile    = line{'I', 4, "ca_rotation.go:111", "CA file unchanged, skipping transport rotation"}
	lineNewCAFile     = line{'I', 4, "ca_rotation.go:116", "CA content changed, updating transport"}
	lineBadCAFile     = line{'E', 0, "ca_rotation.go:122", "Failed to parse CA data from file"}
	lineUpdated       = line{'I', 4, "ca_rotation.go:136", "Transport updated for CA rotation"}
	lineServing       = line{'I', 0, "tlsconfig.go:243", "Starting DynamicServingCertificateController"}
	lineUnknownClient = line{'E', 0, "server.go:376", "Unable to authenticate the request due to an error"}
	lineForbidden     = line{'I', 2, "server.go:414", "Forbidden"}
	lineHTTP          = line{'I', 3, "httplog.go:134", "HTTP"}
	lineNoAccess      = line{'E', 0, "server.go:404", "Authorization error"}
	lineStopping      = line{'I', 0, "tlsconfig.go:258", "Shutting down DynamicServingCertificateController"}
	lineRegister      = line{'I', 0, "kubelet_node_status.go:78", "Attempting to register node"}
	lineRegistered    = line{'I', 0, "kubelet_node_status.go:81", "Successfully registered node"}
	lineKnown         = line{'I', 0, "kubelet_node_status.go:128", "Node was previously registered"}
	lineNoRegister    = line{'E', 0, "kubelet_node_status.go:111", "Unable to register node with API server"}
	lineNoNode        = line{'E', 0, "kubelet_node_status.go:117", "Unable to register node with API server, error getting existing node"}
	lineNoNodeIP      = line{'I', 0, "server.go:1249", "Could not parse some node IP(s), ignoring them"}
	lineNoFields      = line{'E', 0, "kubelet_node_status.go:673", "Failed to set some node status fields"}
	lineNoStatus      = line{'E', 0, "kubelet_node_status.go:529", "Error updating node status, will retry"}
	lineNoLease       = line{'E', 0, "controller.go:201", "Failed to ensure lease exists, will retry"}
	lineNoRenewal     = line{'E', 0, "controller.go:251", "Failed to update lease"}
)

func (k *Kubelet) log(c *sim.Ctx, l line, kv ...any) {
	if l.v <= k.Flags.V {
		c.LogKV(l.level, l.v, l.source, l.msg, kv...)
	}
}

// logCert writes a line of a life: it carries the signer's name.
func (k *Kubelet) logCert(c *sim.Ctx, r *rotation, l line, kv ...any) {
	if !r.Sync {
		kv = append([]any{"logger", r.life().signer}, kv...)
	}
	k.log(c, l, kv...)
}

// logCertError writes an error of a life.
func (k *Kubelet) logCertError(c *sim.Ctx, r *rotation, l line, err string) {
	k.log(c, l, "err", err, "logger", r.life().signer+".UnhandledError")
}
