package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// algorithms are the kinds of public keys, by object identifier.
var algorithms = map[string]string{
	"1.2.840.10045.2.1":    "ECDSA",
	"1.2.840.113549.1.1.1": "RSA",
	"1.3.101.112":          "Ed25519",
}

// curveNames of elliptic curves, by object identifier (RFC 5480, 2.1.1.1).
var curveNames = map[string]string{
	"1.2.840.10045.3.1.7": "P-256", "1.3.132.0.34": "P-384", "1.3.132.0.35": "P-521", "1.3.132.0.33": "P-224",
}

func named(names map[string]string, oid string) string {
	if n, ok := names[oid]; ok {
		return n
	}
	return oid
}

// algorithm prints an AlgorithmIdentifier: "ECDSA P-256".
func (x *explain) algorithm(s span) string {
	parts := x.kids(s, 1)
	out := named(algorithms, x.oid(parts[0]))
	if out == "ECDSA" && len(parts) > 1 {
		out += " " + named(curveNames, x.oid(parts[1]))
	}
	return out
}

// publicKey reads a SubjectPublicKeyInfo: what it is, then the bits of it. For
// ECDSA these are a point, 04 and both coordinates.
func (x *explain) publicKey(s span) string {
	parts := x.kids(s, 2)
	what := x.algorithm(parts[0])
	x.add("publicKeyAlgorithm", what, parts[0])
	x.bits("publicKey", parts[1])
	return what
}

func (x *explain) bits(name string, s span) {
	if s.tag != tagBitString || s.end == s.body {
		x.failed = true
		return
	}
	x.add(name, colons(x.content(s)[1:]), s)
}

func (x *explain) publicKeyFile() error {
	if _, err := x509.ParsePKIXPublicKey(x.data); err != nil {
		return err
	}
	x.Title = x.publicKey(x.root())
	return nil
}

// ecKey reads SEC 1, C.4, as RFC 5915 has it.
func (x *explain) ecKey() error {
	k, err := x509.ParseECPrivateKey(x.data)
	if err != nil {
		return err
	}
	x.Title = "ECDSA " + k.Params().Name
	x.ec(x.root())
	return nil
}

func (x *explain) ec(s span) {
	parts := x.kids(s, 2)
	x.add("version", fmt.Sprint(x.last(parts[0])), parts[0])
	x.add("privateKey", colons(x.content(parts[1])), parts[1])
	for _, p := range parts[2:] {
		in := x.inside(p, 0)
		if p.tag == tagContext0 {
			x.add("curve", named(curveNames, x.oid(in)), in)
		} else {
			x.bits("publicKey", in)
		}
	}
}

// rsaParts are the numbers of a key in order (RFC 8017, A.1.2).
var rsaParts = []string{"version", "modulus", "publicExponent", "privateExponent", "prime1", "prime2", "exponent1", "exponent2", "coefficient"}

func (x *explain) rsaKey() error {
	k, err := x509.ParsePKCS1PrivateKey(x.data)
	if err != nil {
		return err
	}
	x.Title = fmt.Sprintf("RSA %d", k.N.BitLen())
	x.rsa(x.root())
	return nil
}

func (x *explain) rsa(s span) {
	for i, p := range x.kids(s, len(rsaParts))[:len(rsaParts)] {
		x.add(rsaParts[i], colons(x.content(p)), p)
	}
}

// pkcs8Key reads RFC 5208, 5, and within it what the algorithm says.
func (x *explain) pkcs8Key() error {
	k, err := x509.ParsePKCS8PrivateKey(x.data)
	if err != nil {
		return err
	}
	parts := x.kids(x.root(), 3)
	x.add("version", fmt.Sprint(x.last(parts[0])), parts[0])
	x.Title = x.algorithm(parts[1])
	x.add("publicKeyAlgorithm", x.Title, parts[1])
	switch k := k.(type) {
	case *ecdsa.PrivateKey:
		x.ec(x.inside(parts[2], 0))
	case *rsa.PrivateKey:
		x.Title = fmt.Sprintf("RSA %d", k.N.BitLen())
		x.rsa(x.inside(parts[2], 0))
	case ed25519.PrivateKey:
		in := x.inside(parts[2], 0)
		x.add("privateKey", colons(x.content(in)), in)
	default:
		x.add("privateKey", colons(x.content(parts[2])), parts[2])
	}
	return nil
}
