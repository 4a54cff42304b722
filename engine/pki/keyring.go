package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
)

// Keyring derives keys from a seed: the same name gives the same key. A
// lesson's seed is public, so its keys are toys.
type Keyring struct {
	Seed string
}

var derived = newMemo[*ecdsa.PrivateKey]()

func (k Keyring) stream(kind, name string) *rand.ChaCha8 {
	return rand.NewChaCha8(sha256.Sum256([]byte("joinery key\x00" + kind + "\x00" + k.Seed + "\x00" + name)))
}

// ECDSA returns the P-256 key of that name. ecdsa.GenerateKey ignores a seeded
// reader, so the scalar is drawn and the key parsed from it.
func (k Keyring) ECDSA(name string) *ecdsa.PrivateKey {
	return derived.get(digest("ecdsa", []byte(k.Seed), []byte(name)), func() *ecdsa.PrivateKey {
		src := k.stream("ecdsa-p256", name)
		for {
			var b [32]byte
			src.Read(b[:])
			// Out of range with a chance of 2^-32: draw again.
			if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b[:]); err == nil {
				return key
			}
		}
	})
}

// Ed25519 returns the Ed25519 key of that name.
func (k Keyring) Ed25519(name string) ed25519.PrivateKey {
	var seed [ed25519.SeedSize]byte
	k.stream("ed25519", name).Read(seed[:])
	return ed25519.NewKeyFromSeed(seed[:])
}

// KeyPEM encodes a private key: ECDSA as "EC PRIVATE KEY", as the kubelet
// writes it, others as PKCS #8 "PRIVATE KEY".
func KeyPEM(key crypto.Signer) []byte {
	if k, ok := key.(*ecdsa.PrivateKey); ok {
		der, err := x509.MarshalECPrivateKey(k)
		if err != nil {
			panic("pki: an EC key that can't be encoded: " + err.Error())
		}
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic("pki: a key that can't be encoded: " + err.Error())
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

var keys = newMemo[crypto.Signer]()

// ParseKey reads the first private key in PEM data.
func ParseKey(data []byte) (crypto.Signer, error) {
	id := digest("key", data)
	if k, ok := keys.peek(id); ok {
		return k, nil
	}
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			return nil, errors.New("data does not contain a valid RSA or ECDSA private key")
		}
		var key any
		var err error
		switch b.Type {
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(b.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(b.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(b.Bytes)
		default:
			continue
		}
		if err != nil {
			continue
		}
		if s, ok := key.(crypto.Signer); ok {
			keys.put(id, s)
			return s, nil
		}
	}
}

// CertPEM encodes certificates, in order.
func CertPEM(ders ...[]byte) []byte {
	var out []byte
	for _, d := range ders {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	return out
}

var (
	certs   = newMemo[*x509.Certificate]()
	bundles = newMemo[[]*x509.Certificate]()
)

// ParseDER parses one certificate. Equal bytes give the same value: don't
// change it.
func ParseDER(der []byte) (*x509.Certificate, error) {
	id := digest("der", der)
	if c, ok := certs.peek(id); ok {
		return c, nil
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	certs.put(id, c)
	return c, nil
}

// ParseCerts reads all certificates in PEM data. None is an error.
//
// Models k8s.io/client-go/util/cert ParseCertsPEM, with its words.
func ParseCerts(data []byte) ([]*x509.Certificate, error) {
	id := digest("pem", data)
	if c, ok := bundles.peek(id); ok {
		return c, nil
	}
	var out []*x509.Certificate
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		if b.Type != "CERTIFICATE" || len(b.Headers) != 0 {
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
	bundles.put(id, out)
	return out, nil
}

// memo is a bounded cache of pure functions: a hit and a miss give the same
// value, so that a replay costs next to nothing and changes nothing.
type memo[V any] struct {
	mu sync.Mutex
	m  map[[32]byte]V
}

// memoLimit is how many values a memo holds before it starts anew.
const memoLimit = 1 << 15

var forget []func()

func newMemo[V any]() *memo[V] {
	m := &memo[V]{m: map[[32]byte]V{}}
	forget = append(forget, func() {
		m.mu.Lock()
		m.m = map[[32]byte]V{}
		m.mu.Unlock()
	})
	return m
}

func (m *memo[V]) peek(id [32]byte) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[id]
	return v, ok
}

func (m *memo[V]) put(id [32]byte, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.m) >= memoLimit {
		m.m = map[[32]byte]V{}
	}
	m.m[id] = v
}

func (m *memo[V]) get(id [32]byte, f func() V) V {
	if v, ok := m.peek(id); ok {
		return v
	}
	v := f()
	m.put(id, v)
	return v
}

// ForgetMemo empties every cache, for measurements and tests.
func ForgetMemo() {
	for _, f := range forget {
		f()
	}
}

// digest names a computation by its inputs.
func digest(what string, parts ...[]byte) (id [32]byte) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00", what)
	for _, p := range parts {
		fmt.Fprintf(h, "%d\x00", len(p))
		h.Write(p)
	}
	h.Sum(id[:0])
	return id
}
