package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"embed"
	"fmt"
	"math/rand/v2"
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

//go:embed toys/rsa-0.pem toys/rsa-1.pem
var toys embed.FS

// rsaToys is how many RSA keys there are.
const rsaToys = 2

// RSA returns one of a few RSA-2048 keys, by n modulo their number, n >= 0.
// They do not depend on the seed: finding primes is slow, and rsa.GenerateKey
// ignores a seeded reader. Everybody has them.
func (k Keyring) RSA(n int) *rsa.PrivateKey {
	data, err := toys.ReadFile(fmt.Sprintf("toys/rsa-%d.pem", n%rsaToys))
	if err != nil {
		panic("pki: " + err.Error())
	}
	key, err := ParseKey(data)
	if err != nil {
		panic("pki: a toy that is no key: " + err.Error())
	}
	return key.(*rsa.PrivateKey)
}
