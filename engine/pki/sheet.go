package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// Sheet explains one PEM block field by field.
type Sheet struct {
	// Kind is "certificate", "request", "key" or "public key".
	Kind string
	// Title is the subject, or of keys the algorithm.
	Title string
	// DER is the content of the block.
	DER []byte
	// Fingerprint is the SHA-256 of DER, as openssl prints it.
	Fingerprint string
	// Fields are in the order in which they stand in DER.
	Fields []Field
}

// Field is one thing that a block says.
type Field struct {
	// Name is a key that does not change, such as "subject.CN", "notBefore",
	// "publicKey", "ext.keyUsage" or "signature". It may come more than once.
	Name string
	// Value is for people: times in RFC 3339, bytes in hex, usages in words.
	Value string
	// Offset and Len are the range of the element in DER, tag and length
	// included; an extension is a whole one with its number.
	Offset, Len int
	// Critical is set on critical extensions.
	Critical bool
}

// Field returns the first field of that name.
func (s *Sheet) Field(name string) (Field, bool) {
	for _, f := range s.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return Field{}, false
}

// explain writes a sheet while it reads.
type explain struct {
	der
	Sheet
}

// kinds are the blocks that can be explained.
var kinds = map[string]struct {
	kind string
	read func(x *explain) error
}{
	blockCert:    {"certificate", (*explain).certificate},
	blockRequest: {"request", (*explain).request},
	// Some tools write it so. The API server refuses it; a person may still look.
	"NEW CERTIFICATE REQUEST": {"request", (*explain).request},

	blockEC:     {"key", (*explain).ecKey},
	blockRSA:    {"key", (*explain).rsaKey},
	blockPKCS8:  {"key", (*explain).pkcs8Key},
	blockPublic: {"public key", (*explain).publicKeyFile},
}

var errShape = errors.New("asn1: structure error: not what the block's type says")

// Explain decodes certificates, requests and keys in PEM data, a Sheet for each
// block, and passes over other blocks. A block that can't be parsed ends it
// with crypto/x509's error and the sheets before it; so does data without any.
func Explain(data []byte) ([]Sheet, error) {
	var out []Sheet
	for b, rest := pem.Decode(data); b != nil; b, rest = pem.Decode(rest) {
		k, ok := kinds[b.Type]
		if !ok {
			continue
		}
		sum := Fingerprint(b.Bytes)
		x := &explain{der: der{data: b.Bytes}, Sheet: Sheet{Kind: k.kind, DER: b.Bytes, Fingerprint: colons(sum[:])}}
		if err := k.read(x); err != nil {
			return out, err
		}
		if x.failed {
			return out, errShape
		}
		out = append(out, x.Sheet)
	}
	if len(out) == 0 {
		return nil, errors.New("unable to parse bytes as PEM block")
	}
	return out, nil
}

func (x *explain) add(name, value string, s span) *Field {
	x.Fields = append(x.Fields, Field{Name: name, Value: value, Offset: s.at, Len: s.end - s.at})
	return &x.Fields[len(x.Fields)-1]
}

// number prints an INTEGER in hex, as openssl prints serial numbers.
func number(n *big.Int) string {
	s := fmt.Sprintf("%X", n)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// certificate reads RFC 5280, 4.1.
func (x *explain) certificate() error {
	c, err := ParseDER(x.data)
	if err != nil {
		return err
	}
	x.Title = c.Subject.String()
	top := x.kids(x.root(), 3)
	tbs := x.kids(top[0], 1)
	if tbs[0].tag == tagContext0 {
		x.add("version", fmt.Sprint(c.Version), tbs[0])
		tbs = tbs[1:]
	}
	if len(tbs) < 6 {
		return errShape
	}
	x.add("serialNumber", number(c.SerialNumber), tbs[0])
	x.add("signatureAlgorithm", c.SignatureAlgorithm.String(), tbs[1])
	x.name("issuer", tbs[2])
	window := x.kids(tbs[3], 2)
	x.add("notBefore", instant(c.NotBefore), window[0])
	x.add("notAfter", instant(c.NotAfter), window[1])
	x.name("subject", tbs[4])
	x.publicKey(tbs[5])
	for _, s := range tbs[6:] {
		if s.tag == tagContext3 {
			x.extensions(x.inside(s, 0))
		}
	}
	x.signed(c.SignatureAlgorithm, top)
	return nil
}

// request reads RFC 2986, 4.
func (x *explain) request() error {
	r, err := x509.ParseCertificateRequest(x.data)
	if err != nil {
		return err
	}
	x.Title = r.Subject.String()
	top := x.kids(x.root(), 3)
	info := x.kids(top[0], 3)
	x.add("version", fmt.Sprint(r.Version), info[0])
	x.name("subject", info[1])
	x.publicKey(info[2])
	for _, s := range info[3:] {
		x.attributes(s)
	}
	x.signed(r.SignatureAlgorithm, top)
	return nil
}

// extensionRequest is the attribute that asks for extensions (RFC 2985, 5.4.2).
const extensionRequest = "1.2.840.113549.1.9.14"

func (x *explain) attributes(s span) {
	kids := x.kids(s, 0)
	x.add("attributes", fmt.Sprint(len(kids)), s)
	for _, a := range kids {
		pair := x.kids(a, 2)
		if x.oid(pair[0]) == extensionRequest {
			x.extensions(x.inside(pair[1], 0))
		}
	}
}

func (x *explain) signed(a x509.SignatureAlgorithm, top []span) {
	x.add("signatureAlgorithm", a.String(), top[1])
	if top[2].end > top[2].body {
		// The first byte of a BIT STRING counts unused bits: none.
		x.add("signature", colons(x.content(top[2])[1:]), top[2])
	}
}

// attributeNames are the parts of a name (RFC 4519); others go by their number.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST",
	"2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "postalCode",
}

func (x *explain) name(prefix string, s span) {
	sets := x.kids(s, 0)
	if len(sets) == 0 {
		x.add(prefix, "", s)
	}
	for _, set := range sets {
		for _, part := range x.kids(set, 0) {
			kv := x.kids(part, 2)
			oid := x.oid(kv[0])
			short, ok := attributeNames[oid]
			if !ok {
				short = oid
			}
			text := string(x.content(kv[1]))
			if kv[1].tag == tagBMP {
				text = colons(x.content(kv[1]))
			}
			x.add(prefix+"."+short, strings.ToValidUTF8(text, "\uFFFD"), kv[1])
		}
	}
}

func (x *explain) extensions(s span) {
	for _, e := range x.kids(s, 0) {
		parts := x.kids(e, 2)
		oid, last := x.oid(parts[0]), parts[len(parts)-1]
		known := extensions[oid]
		if known.value == nil {
			known.name = oid
		}
		value := colons(x.content(last))
		if known.value != nil {
			if v, err := known.value(x.content(last)); err == nil {
				value = v
			}
		}
		// Critical is a BOOLEAN between number and content, left out if false.
		f := x.add("ext."+known.name, value, e)
		f.Critical = len(parts) == 3 && x.last(parts[1]) != 0
	}
}
