package pki

import (
	"encoding/asn1"
	"fmt"
	"net"
	"strings"
)

// extension is how one kind of extension is named and read.
type extension struct {
	name  string
	value func(der []byte) (string, error)
}

// extensions are those that Kubernetes' certificates have (RFC 5280, 4.2.1);
// others are named by their number and shown in hex.
var extensions = map[string]extension{
	"2.5.29.14": {"subjectKeyId", keyIDValue},
	"2.5.29.15": {"keyUsage", usageValue},
	"2.5.29.17": {"subjectAltName", namesValue},
	"2.5.29.19": {"basicConstraints", constraintsValue},
	"2.5.29.35": {"authorityKeyId", authorityValue},
	"2.5.29.37": {"extKeyUsage", extUsageValue},
}

// keyUsages are the bits of KeyUsage in order, in the words of
// certificates.k8s.io, which are those of RFC 5280 for the most part.
var keyUsages = []string{"digital signature", "content commitment", "key encipherment", "data encipherment",
	"key agreement", "cert sign", "crl sign", "encipher only", "decipher only"}

// extKeyUsages by object identifier, in the same words.
var extKeyUsages = map[string]string{
	"2.5.29.37.0":       "any",
	"1.3.6.1.5.5.7.3.1": "server auth",
	"1.3.6.1.5.5.7.3.2": "client auth",
	"1.3.6.1.5.5.7.3.3": "code signing",
	"1.3.6.1.5.5.7.3.4": "email protection",
	"1.3.6.1.5.5.7.3.8": "timestamping",
	"1.3.6.1.5.5.7.3.9": "ocsp signing",
}

func keyIDValue(der []byte) (string, error) {
	var id []byte
	_, err := asn1.Unmarshal(der, &id)
	return colons(id), err
}

func authorityValue(der []byte) (string, error) {
	var a struct {
		ID []byte `asn1:"optional,tag:0"`
		// Issuer and serial are allowed and nobody writes them.
		Issuer asn1.RawValue `asn1:"optional,tag:1"`
		Serial asn1.RawValue `asn1:"optional,tag:2"`
	}
	_, err := asn1.Unmarshal(der, &a)
	return colons(a.ID), err
}

func usageValue(der []byte) (string, error) {
	var bits asn1.BitString
	_, err := asn1.Unmarshal(der, &bits)
	var out []string
	for i, name := range keyUsages {
		if bits.At(i) == 1 {
			out = append(out, name)
		}
	}
	return strings.Join(out, ", "), err
}

func extUsageValue(der []byte) (string, error) {
	var ids []asn1.ObjectIdentifier
	_, err := asn1.Unmarshal(der, &ids)
	var out []string
	for _, id := range ids {
		name, ok := extKeyUsages[id.String()]
		if !ok {
			name = id.String()
		}
		out = append(out, name)
	}
	return strings.Join(out, ", "), err
}

func constraintsValue(der []byte) (string, error) {
	c := struct {
		CA  bool `asn1:"optional"`
		Max int  `asn1:"optional,default:-1"`
	}{Max: -1}
	_, err := asn1.Unmarshal(der, &c)
	out := "CA:FALSE"
	if c.CA {
		out = "CA:TRUE"
	}
	if c.Max >= 0 {
		out += fmt.Sprintf(", pathlen:%d", c.Max)
	}
	return out, err
}

// namesValue lists names as openssl prints them (RFC 5280, 4.2.1.6).
func namesValue(der []byte) (string, error) {
	var names []asn1.RawValue
	_, err := asn1.Unmarshal(der, &names)
	var out []string
	for _, n := range names {
		switch n.Tag {
		case 1:
			out = append(out, "email:"+string(n.Bytes))
		case 2:
			out = append(out, "DNS:"+string(n.Bytes))
		case 6:
			out = append(out, "URI:"+string(n.Bytes))
		case 7:
			out = append(out, "IP Address:"+net.IP(n.Bytes).String())
		default:
			out = append(out, fmt.Sprintf("[%d]:%x", n.Tag, n.Bytes))
		}
	}
	return strings.Join(out, ", "), err
}

// colons prints bytes as openssl does: "0A:1B:2C".
func colons(b []byte) string {
	return strings.ReplaceAll(fmt.Sprintf("% X", b), " ", ":")
}
