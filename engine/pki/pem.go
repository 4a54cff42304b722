package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

// Types of PEM blocks.
const (
	blockCert    = "CERTIFICATE"
	blockRequest = "CERTIFICATE REQUEST"
	blockEC      = "EC PRIVATE KEY"
	blockRSA     = "RSA PRIVATE KEY"
	blockPKCS8   = "PRIVATE KEY"
	blockPublic  = "PUBLIC KEY"
)

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// KeyPEM encodes a private key: ECDSA as "EC PRIVATE KEY" and RSA as "RSA
// PRIVATE KEY", as Kubernetes' components write them, others as PKCS #8.
func KeyPEM(key crypto.Signer) []byte {
	var der []byte
	var err error
	kind := blockPKCS8
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		der, err = x509.MarshalECPrivateKey(k)
		if err == nil {
			out := block(blockEC, der)
			keys.put(digest("key", out), key) // who reads it is spared a multiplication
			return out
		}
	case *rsa.PrivateKey:
		out := block(blockRSA, x509.MarshalPKCS1PrivateKey(k))
		keys.put(digest("key", out), key)
		return out
	default:
		der, err = x509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		panic("pki: a key that can't be encoded: " + err.Error())
	}
	return block(kind, der)
}

// PublicKeyPEM encodes a public key, as kubeadm writes sa.pub.
func PublicKeyPEM(pub crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return block(blockPublic, der), nil
}

var keys = newMemo[crypto.Signer]()

// keyBlocks reads the private keys of PEM blocks. What isn't here is no key.
var keyBlocks = map[string]func(der []byte) (any, error){
	blockEC:    func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	blockRSA:   func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
	blockPKCS8: x509.ParsePKCS8PrivateKey,
}

// ParseKey reads the first private key in PEM data and passes over all else.
// Equal bytes give the same value: don't change it.
//
// Models k8s.io/client-go/util/keyutil ParsePrivateKeyPEM, with its words.
func ParseKey(data []byte) (crypto.Signer, error) {
	if b := onlyKey(data); b != nil {
		data = b
	}
	return keys.try(digest("key", data), func() (crypto.Signer, error) {
		for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
			parse := keyBlocks[b.Type]
			if parse == nil {
				continue
			}
			if key, err := parse(b.Bytes); err == nil {
				if s, ok := key.(crypto.Signer); ok {
					return s, nil
				}
			}
		}
		return nil, errors.New("data does not contain a valid RSA or ECDSA private key")
	})
}

var (
	beginEC = []byte("-----BEGIN " + blockEC + "-----\n")
	endEC   = []byte("-----END " + blockEC + "-----\n")
	endCert = []byte("-----END " + blockCert + "-----\n")
	private = []byte("PRIVATE KEY-----")
)

// onlyKey is the block of an ECDSA key, as KeyPEM writes it, in PEM data that has
// nothing but certificates before it and nothing after; else nil.
func onlyKey(data []byte) []byte {
	from := bytes.Index(data, beginEC)
	if from < 0 || from > 0 && !bytes.HasSuffix(data[:from], endCert) || !bytes.HasSuffix(data, endEC) || bytes.Count(data, private) != 2 {
		return nil
	}
	return data[from:]
}

// CertPEM encodes certificates, in order.
func CertPEM(ders ...[]byte) []byte {
	var out []byte
	for _, d := range ders {
		out = append(out, block(blockCert, d)...)
	}
	return out
}

// CertsPEM encodes certificates, in order.
func CertsPEM(cs ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range cs {
		out = append(out, block(blockCert, c.Raw)...)
	}
	return out
}

// KeyPair joins a certificate chain and a key, as one file of the kubelet's
// store holds them: certificates, then the key.
func KeyPair(cert, key []byte) []byte { return append(bytes.Clone(cert), key...) }

var (
	certs   = newMemo[*x509.Certificate]()
	bundles = newMemo[[]*x509.Certificate]()
)

// ParseDER parses one certificate. Equal bytes give the same value: don't
// change it.
func ParseDER(der []byte) (*x509.Certificate, error) {
	return certs.try(digest("der", der), func() (*x509.Certificate, error) { return x509.ParseCertificate(der) })
}

// ParseCerts reads all certificates in PEM data and passes over all else. None
// is an error; so is one that can't be parsed, and then those before it are
// returned too.
//
// Models k8s.io/client-go/util/cert ParseCertsPEM, with its words.
func ParseCerts(data []byte) ([]*x509.Certificate, error) {
	return bundles.try(digest("pem", data), func() (out []*x509.Certificate, err error) {
		for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
			// A block with headers is none of ours: client-go does the same.
			if b.Type != blockCert || len(b.Headers) != 0 {
				continue
			}
			c, err := ParseDER(b.Bytes)
			if err != nil {
				return out, err
			}
			out = append(out, c)
		}
		if len(out) == 0 {
			return nil, errors.New("data does not contain any valid RSA or ECDSA certificates")
		}
		return out, nil
	})
}

// CheckRoots says why a client can't load a bundle of CAs: nothing in it is a
// certificate. An empty one is no error (Models k8s.io/client-go/transport
// rootCertPool).
func CheckRoots(bundle []byte) error {
	if len(bundle) == 0 {
		return nil
	}
	why := errors.New("no valid certificate authority data seen")
	for first, rest := true, bundle; len(rest) > 0; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			if first {
				why = errors.New("unable to parse bytes as PEM block")
			}
			break
		}
		if b.Type != blockCert || len(b.Headers) != 0 {
			continue
		}
		_, err := ParseDER(b.Bytes)
		if err == nil {
			return nil
		}
		if first {
			why, first = fmt.Errorf("failed to parse certificate: %w", err), false
		}
	}
	return why
}
