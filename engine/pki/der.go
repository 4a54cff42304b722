package pki

import "encoding/asn1"

// span is one DER element and where it stands: tag and length from at, content
// from body, up to end.
type span struct {
	tag           byte
	at, body, end int
}

// tags of elements that are looked for (X.690, 8; X.509 uses no long tags).
const (
	tagBitString = 0x03
	tagBMP       = 0x1e
	tagContext0  = 0xa0
	tagContext3  = 0xa3
)

// der reads elements and keeps their places, which encoding/asn1 and
// crypto/x509 forget. When something is not as it should be it fails, and from
// then on yields empty elements.
type der struct {
	data   []byte
	failed bool
}

// element reads the element at an offset; it must end by limit.
func (d *der) element(at, limit int) span {
	fail := func() span { d.failed = true; return span{} }
	if d.failed || at+2 > limit {
		return fail()
	}
	s := span{tag: d.data[at], at: at, body: at + 2}
	if s.tag&0x1f == 0x1f {
		return fail()
	}
	size := int(d.data[at+1])
	if size >= 0x80 {
		n := size & 0x7f
		// Three bytes of length are 16 MB: no certificate has more.
		if n == 0 || n > 3 || s.body+n > limit {
			return fail()
		}
		size = 0
		for _, b := range d.data[s.body : s.body+n] {
			size = size<<8 | int(b)
		}
		s.body += n
	}
	if s.end = s.body + size; s.end > limit {
		return fail()
	}
	return s
}

// root is the element that all of the data is.
func (d *der) root() span {
	s := d.element(0, len(d.data))
	d.failed = d.failed || s.end != len(d.data)
	return s
}

// kids reads all elements within s, of which there must be at least n.
func (d *der) kids(s span, n int) (out []span) {
	for at := s.body; at < s.end && !d.failed; {
		k := d.element(at, s.end)
		out = append(out, k)
		at = k.end
	}
	for d.failed = d.failed || len(out) < n; len(out) < n; {
		out = append(out, span{})
	}
	return out
}

// inside reads the one element that the content of s is, from offset skip on.
func (d *der) inside(s span, skip int) span { return d.element(s.body+skip, s.end) }

// last is the last byte of s: of a small INTEGER or a BOOLEAN its value.
func (d *der) last(s span) byte {
	if s.end == 0 {
		return 0
	}
	return d.data[s.end-1]
}

func (d *der) bytes(s span) []byte   { return d.data[s.at:s.end] }
func (d *der) content(s span) []byte { return d.data[s.body:s.end] }

// oid reads an object identifier: "2.5.29.15".
func (d *der) oid(s span) string {
	var o asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(d.bytes(s), &o); err != nil || len(rest) > 0 {
		d.failed = true
		return ""
	}
	return o.String()
}
