// Package pki is real x509 and TLS from derived keys.
//
// Keys, requests, certificates and signatures are the same bytes for the same
// seed, natively and in a browser. A TLS handshake is a real one by crypto/tls;
// its bytes can't be made reproducible, so only its facts leave this package.
//
// It imports nothing of ours and knows no Kubernetes: who may sign what, and
// for how long, is decided above.
package pki
