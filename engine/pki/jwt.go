package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
)

// JWT is a JSON Web Token as it was read. Nothing in it is to be believed
// before Verify.
type JWT struct {
	KeyID  string
	Claims []byte // JSON

	alg       string
	signed    string
	signature []byte
}

var b64 = base64.RawURLEncoding

var signedTokens = newMemo[string]()

// SignJWT signs claims as kube-apiserver and kube-controller-manager do: RS256
// with an RSA key, ES256 with a P-256 one, and a header of alg and kid (Models
// k8s.io/kubernetes/pkg/serviceaccount JWTTokenGenerator).
func SignJWT(key crypto.Signer, claims []byte) (string, error) {
	alg, err := algorithm(key.Public())
	if err != nil {
		return "", err
	}
	kid, err := JWTKeyID(key.Public())
	if err != nil {
		return "", err
	}
	return signedTokens.try(digest("jwt", []byte(kid), claims), func() (string, error) {
		text := b64.EncodeToString([]byte(`{"alg":"`+alg+`","kid":"`+kid+`"}`)) + "." + b64.EncodeToString(claims)
		sum := sha256.Sum256([]byte(text))
		var sig []byte
		switch key := key.(type) {
		case *ecdsa.PrivateKey:
			// A nil reader: RFC 6979, the same signature each time.
			der, err := key.Sign(nil, sum[:], crypto.SHA256)
			if err != nil {
				return "", err
			}
			if sig, err = rawECDSA(der); err != nil {
				return "", err
			}
		default:
			var err error
			if sig, err = key.Sign(nil, sum[:], crypto.SHA256); err != nil {
				return "", err
			}
		}
		return text + "." + b64.EncodeToString(sig), nil
	})
}

// rawECDSA turns a signature of P-256 into the form that a JWT has (RFC 7518, 3.4).
func rawECDSA(der []byte) ([]byte, error) {
	var n struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &n); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	n.R.FillBytes(out[:32])
	n.S.FillBytes(out[32:])
	return out, nil
}

// JWTKeyID is the kid of a key: a hash of its public half (Models
// k8s.io/kubernetes/pkg/serviceaccount keyIDFromPublicKey).
func JWTKeyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", fmt.Errorf("failed to serialize public key to DER format: %w", err)
	}
	sum := sha256.Sum256(der)
	return b64.EncodeToString(sum[:]), nil
}

func algorithm(pub crypto.PublicKey) (string, error) {
	switch pub := pub.(type) {
	case *rsa.PublicKey:
		return "RS256", nil
	case *ecdsa.PublicKey:
		if pub.Curve.Params().BitSize == 256 {
			return "ES256", nil
		}
		return "", errors.New("unknown private key curve, must be 256, 384, or 521")
	}
	return "", fmt.Errorf("unknown private key type %T, must be *rsa.PrivateKey, *ecdsa.PrivateKey, or jose.OpaqueSigner", pub)
}

// ParseJWT reads a token; false when it is none.
func ParseJWT(token string) (*JWT, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, false
	}
	var raw [3][]byte
	for i, p := range parts {
		var err error
		if raw[i], err = b64.DecodeString(p); err != nil {
			return nil, false
		}
	}
	var head struct{ Alg, Kid string }
	if json.Unmarshal(raw[0], &head) != nil || !json.Valid(raw[1]) {
		return nil, false
	}
	return &JWT{KeyID: head.Kid, Claims: raw[1], alg: head.Alg, signed: parts[0] + "." + parts[1], signature: raw[2]}, true
}

var verifiedTokens = newMemo[bool]()

// errSignature is go-jose's word for a signature that does not fit.
var errSignature = errors.New("go-jose/go-jose: error in cryptographic primitive")

// Verify checks the signature against a public key.
func (t *JWT) Verify(pub crypto.PublicKey) error {
	alg, err := algorithm(pub)
	if err != nil || alg != t.alg {
		return errSignature
	}
	kid, err := JWTKeyID(pub)
	if err != nil {
		return errSignature
	}
	ok := verifiedTokens.get(digest("jwt verify", []byte(kid), []byte(t.signed), t.signature), func() bool {
		sum := sha256.Sum256([]byte(t.signed))
		switch pub := pub.(type) {
		case *rsa.PublicKey:
			return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], t.signature) == nil
		case *ecdsa.PublicKey:
			if len(t.signature) != 64 {
				return false
			}
			r, s := new(big.Int).SetBytes(t.signature[:32]), new(big.Int).SetBytes(t.signature[32:])
			return ecdsa.Verify(pub, sum[:], r, s)
		}
		return false
	})
	if !ok {
		return errSignature
	}
	return nil
}

// ParsePublicKeys reads the public keys of PEM blocks: public and private keys
// and certificates (Models client-go/util/keyutil ParsePublicKeysPEM). The
// error says so when there is none.
func ParsePublicKeys(data []byte) ([]crypto.PublicKey, error) {
	var out []crypto.PublicKey
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		one := pem.EncodeToMemory(b)
		if key, err := ParseKey(one); err == nil {
			out = append(out, key.Public())
			continue
		}
		if pub, err := x509.ParsePKIXPublicKey(b.Bytes); err == nil {
			out = append(out, pub)
			continue
		}
		if pub, err := x509.ParsePKCS1PublicKey(b.Bytes); err == nil {
			out = append(out, pub)
			continue
		}
		if cert, err := ParseDER(b.Bytes); err == nil {
			out = append(out, cert.PublicKey)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("data does not contain any valid RSA or ECDSA public keys")
	}
	return out, nil
}
