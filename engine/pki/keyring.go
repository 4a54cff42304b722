package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"embed"
	"fmt"
	"math/big"
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

// toys are primes of 1024, 1536 and 2048 bits, as crypto/rand.Prime made them
// once: their two top bits are set, and 65537 does not divide one less.
//
//go:embed toys/primes-1024.bin toys/primes-1536.bin toys/primes-2048.bin
var toys embed.FS

// rsaToys is how many keys RSA has.
const rsaToys = 2

// RSA returns one of a few RSA-2048 keys, by n modulo their number, n >= 0.
// They do not depend on the seed: finding primes is slow, and rsa.GenerateKey
// ignores a seeded reader. Everybody has them.
func (k Keyring) RSA(n int) *rsa.PrivateKey { return toy(2048, n%rsaToys*2, n%rsaToys*2+1) }

// Toy returns an RSA key of 2048, 3072 or 4096 bits; n >= 0 is how many were
// made before it. Any two primes of the toys make a key, so there are 276 of
// 2048 bits and 15 of the others, and those of one seed come in an order of its
// own before one is there again. Like all that RSA gives, everybody has them.
func (k Keyring) Toy(bits, n int) *rsa.PrivateKey {
	count := len(primes(bits)) / (bits / 16)
	pairs := count * (count - 1) / 2
	// 97 shares no factor with either number of pairs, so it visits all.
	at := (int(k.stream("rsa", "toys").Uint64()%uint64(pairs)) + n%pairs*97) % pairs
	i := 0
	for ; at >= count-1-i; i++ {
		at -= count - 1 - i
	}
	return toy(bits, i, i+1+at)
}

func primes(bits int) []byte {
	data, err := toys.ReadFile(fmt.Sprintf("toys/primes-%d.bin", bits/2))
	if err != nil {
		panic("pki: " + err.Error())
	}
	return data
}

var built = newMemo[*rsa.PrivateKey]()

// toy is the key of two primes.
func toy(bits, i, j int) *rsa.PrivateKey {
	size := bits / 16
	data := primes(bits)
	a, b := data[i*size:(i+1)*size], data[j*size:(j+1)*size]
	return built.get(digest("toy", a, b), func() *rsa.PrivateKey {
		p, q, one, e := new(big.Int).SetBytes(a), new(big.Int).SetBytes(b), big.NewInt(1), big.NewInt(65537)
		p1, q1 := new(big.Int).Sub(p, one), new(big.Int).Sub(q, one)
		// The private exponent as crypto/rsa makes it: modulo the least common
		// multiple.
		totient := new(big.Int).Div(new(big.Int).Mul(p1, q1), new(big.Int).GCD(nil, nil, p1, q1))
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: new(big.Int).ModInverse(e, totient), Primes: []*big.Int{p, q}}
		key.Precompute()
		return key
	})
}
