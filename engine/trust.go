package engine

import (
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

// TrustVersion is the format version of Trust.
const TrustVersion = 1

// Trust is who trusts whom at one moment: kinds and values, no words of any
// language. What a process has in memory counts; the file may be newer.
type Trust struct {
	V   int       `json:"v"`
	Now time.Time `json:"now"`
	// CAs are all that somebody trusts or signs with, oldest first: A, B, C …
	CAs []CA `json:"cas"`
	// Old is the letter of the CA that Breaks is about.
	Old     string        `json:"old,omitempty"`
	Bundles []TrustBundle `json:"bundles"`
	Shown   []TrustShown  `json:"shown"`
	// Broken is what is refused now when it is tried anew; Breaks what would be, if
	// the old CA were taken out of every bundle, with a newer one in the place of
	// nothing, and everyone were started anew.
	Broken []Break `json:"broken,omitempty"`
	Breaks []Break `json:"breaks,omitempty"`
}

// CA is an authority. Several may have one subject: their keys tell them apart.
type CA struct {
	Letter  string    `json:"letter"`
	Subject string    `json:"subject"`
	KeyID   string    `json:"keyID"`
	Print   string    `json:"print"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	// Front: it is for the front proxy alone.
	Front bool `json:"front,omitempty"`
	cert  *x509.Certificate
}

// TrustBundle is a bundle of CAs by their letters. File has other ones in There,
// when they differ. Reads is when that is taken up: "start", "0s" or an interval.
type TrustBundle struct {
	Holder string `json:"holder"`
	Use    string `json:"use"`
	File   string `json:"file,omitempty"`
	CAs    string `json:"cas"`
	There  string `json:"there,omitempty"`
	Reads  string `json:"reads,omitempty"`
}

// TrustShown is a certificate that somebody shows, or signs with. By is the letter of
// its CA, "" when that is nobody's that is known. There is the key id of the one in the
// file, when it is another one, and ThereBy its CA.
type TrustShown struct {
	Holder  string    `json:"holder"`
	Use     string    `json:"use"`
	File    string    `json:"file,omitempty"`
	Subject string    `json:"subject"`
	KeyID   string    `json:"keyID"`
	Print   string    `json:"print"`
	By      string    `json:"by,omitempty"`
	To      time.Time `json:"to"`
	There   string    `json:"there,omitempty"`
	ThereBy string    `json:"thereBy,omitempty"`
	Reads   string    `json:"reads,omitempty"`
	// Ends is when its CA ends, if that is first.
	Ends time.Time `json:"ends,omitzero"`
}

// Break is what is refused. Kind is "client" when the client refuses the server,
// "server" when the server refuses the client, "signer" when what is signed will be
// refused, and "pin" when a join command's pin fits no more.
type Break struct {
	Kind    string   `json:"kind"`
	Client  string   `json:"client"`
	Servers []string `json:"servers"`
	// Words are what the client hears or says, Log the words of the server's log.
	Words string `json:"words"`
	Log   string `json:"log,omitempty"`
	// Heals is how it heals when one waits, "" for not at all: "reads" within the
	// interval In, "rotation" at At.
	Heals string    `json:"heals,omitempty"`
	In    string    `json:"in,omitempty"`
	At    time.Time `json:"at,omitzero"`
	// Already: it is refused now, in the same words.
	Already bool `json:"already,omitempty"`
}

// Trust tells who trusts whom now. ca is a letter or the beginning of a key id, whose
// end Breaks is about; "" is the oldest of those that vouch for API servers and their
// clients.
func (w *World) Trust(ca string) (*Trust, error) {
	v := w.gather()
	t := &Trust{V: TrustVersion, Now: w.Clock, CAs: v.cas}
	old := v.old(ca)
	if old == nil && ca != "" {
		return nil, fmt.Errorf("nobody trusts a CA %q; trust lists them by letter and key id", ca)
	}
	for _, h := range v.held {
		if bundleUse(h.Use) {
			b := TrustBundle{Holder: h.holder, Use: h.use(), File: h.File, CAs: v.letters(h.Has), Reads: reads(h.Again)}
			if there := v.letters(h.Next); there != b.CAs {
				b.There = there
			}
			t.Bundles = append(t.Bundles, b)
		} else if x := firstCert(h.Has); x != nil {
			t.Shown = append(t.Shown, v.shown(h, x))
		}
	}
	t.Broken = v.breaks(func(h *trustee) []byte { return h.Has }, nil)
	if old != nil {
		t.Old = old.Letter
		t.Breaks = already(v.breaks(v.without(old), old), t.Broken)
	}
	return t, nil
}

// already tells those of breaks apart that are refused now.
func already(breaks, broken []Break) (out []Break) {
	for _, b := range breaks {
		was := b
		was.Servers, was.Already = nil, true
		is := b
		is.Servers = nil
		for _, s := range b.Servers {
			if slices.ContainsFunc(broken, func(x Break) bool {
				return x.Kind == b.Kind && x.Client == b.Client && x.Words == b.Words && x.Log == b.Log && slices.Contains(x.Servers, s)
			}) {
				was.Servers = append(was.Servers, s)
			} else {
				is.Servers = append(is.Servers, s)
			}
		}
		for _, x := range []Break{is, was} {
			if len(x.Servers) > 0 {
				out = append(out, x)
			}
		}
	}
	return out
}

func reads(again time.Duration) string {
	if again < 0 {
		return "start"
	}
	return again.String()
}

func (v *trustees) shown(h *trustee, x *x509.Certificate) TrustShown {
	s := TrustShown{Holder: h.holder, Use: h.use(), File: h.File, Subject: x.Subject.String(), KeyID: short(pki.KeyID(x)), Print: print(x), To: x.NotAfter.UTC(), Reads: reads(h.Again)}
	if ca := v.issuer(x); ca != nil {
		if s.By = ca.Letter; ca.To.Before(s.To) {
			s.Ends = ca.To
		}
	}
	if y := firstCert(h.Next); y != nil && !y.Equal(x) {
		s.There = short(pki.KeyID(y))
		if ca := v.issuer(y); ca != nil {
			s.ThereBy = ca.Letter
		}
	}
	return s
}

func short(id []byte) string { return pki.Colons(id[:min(4, len(id))]) }

func print(x *x509.Certificate) string {
	f := pki.Fingerprint(x.Raw)
	return hex.EncodeToString(f[:])
}

// bundleUse tells bundles from certificates.
func bundleUse(use string) bool { return strings.HasSuffix(use, "-ca") }

// String is a Trust as a transcript has it.
func (t *Trust) String() string {
	var b strings.Builder
	for _, c := range t.CAs {
		fmt.Fprintf(&b, "ca %s: %s key=%s sha256=%s until=%s\n", c.Letter, c.Subject, c.KeyID, c.Print[:16], c.To.Format(time.DateOnly))
	}
	for _, x := range t.Bundles {
		fmt.Fprintf(&b, "bundle: %s %s %s", x.Holder, x.Use, orNone(x.CAs))
		if x.There != "" {
			fmt.Fprintf(&b, " file-has=%s", x.There)
		}
		fmt.Fprintf(&b, " reads=%s%s\n", x.Reads, named(" file=", x.File))
	}
	for _, x := range t.Shown {
		fmt.Fprintf(&b, "shows: %s %s %s key=%s sha256=%s by=%s", x.Holder, x.Use, x.Subject, x.KeyID, x.Print[:16], orNone(x.By))
		if x.There != "" {
			fmt.Fprintf(&b, " file-has=%s by=%s", x.There, orNone(x.ThereBy))
		}
		if !x.Ends.IsZero() {
			fmt.Fprintf(&b, " ca-ends=%s", x.Ends.Format(time.RFC3339))
		}
		fmt.Fprintf(&b, " reads=%s%s\n", x.Reads, named(" file=", x.File))
	}
	for _, x := range t.Broken {
		fmt.Fprintf(&b, "broken: %s\n", x)
	}
	for _, x := range t.Breaks {
		fmt.Fprintf(&b, "without %s: %s\n", t.Old, x)
	}
	return b.String()
}

func named(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// String is a Break as a transcript has it.
func (x Break) String() string {
	s := fmt.Sprintf("%s %s at %s: %s", x.Kind, x.Client, strings.Join(x.Servers, ","), x.Words) + named(" log=", x.Log)
	switch x.Heals {
	case "":
		s += " heals=no"
	case "reads":
		s += " heals=within " + x.In
	default:
		s += " heals=" + x.Heals
	}
	if x.Already {
		s += " already"
	}
	return s
}

// trustee is what a holder has, with where it is.
type trustee struct {
	sim.Held
	holder string // "host/unit", "host:/file", or a ConfigMap or the like
	host   string
}

// use is the use with the part, for those who have several.
func (h *trustee) use() string {
	if h.Part != "" {
		return h.Part + "-" + h.Use
	}
	return h.Use
}

// trustees are all who hold something, at one moment.
type trustees struct {
	w    *World
	held []*trustee
	cas  []CA
}

// of is what a holder has for a use.
func (v *trustees) of(holder, part, use string) *trustee {
	for _, h := range v.held {
		if h.holder == holder && h.Part == part && h.Use == use {
			return h
		}
	}
	return nil
}

// find collects the CAs that are trusted or sign, oldest first.
func (v *trustees) find() {
	for _, h := range v.held {
		if !bundleUse(h.Use) && h.Use != sim.Signing {
			continue
		}
		for _, data := range [][]byte{h.Has, h.Next} {
			certs, _ := pki.ParseCerts(data)
			for _, x := range certs {
				i := slices.IndexFunc(v.cas, func(c CA) bool { return c.cert.Equal(x) })
				if i < 0 {
					i = len(v.cas)
					v.cas = append(v.cas, CA{Subject: x.Subject.String(), KeyID: pki.Colons(pki.KeyID(x)), Print: print(x), From: x.NotBefore.UTC(), To: x.NotAfter.UTC(), Front: true, cert: x})
				}
				v.cas[i].Front = v.cas[i].Front && h.Use == sim.FrontCA
			}
		}
	}
	sort.Slice(v.cas, func(i, j int) bool {
		a, b := &v.cas[i], &v.cas[j]
		if !a.From.Equal(b.From) {
			return a.From.Before(b.From)
		}
		return a.Front != b.Front && b.Front || a.Front == b.Front && a.Print < b.Print
	})
	for i := range v.cas {
		v.cas[i].Letter = string(rune('A' + i%26))
	}
}

// old is the CA that is asked about.
func (v *trustees) old(ca string) *CA {
	for i := range v.cas {
		if c := &v.cas[i]; ca == "" && !c.Front || ca != "" && (c.Letter == ca || len(ca) > 4 && strings.HasPrefix(c.KeyID, strings.ToUpper(ca))) {
			return c
		}
	}
	return nil
}

// letters names the CAs of a bundle, and "?" for what is none of them.
func (v *trustees) letters(bundle []byte) string {
	certs, _ := pki.ParseCerts(bundle)
	var out []string
	for _, x := range certs {
		l := "?"
		for _, c := range v.cas {
			if c.cert.Equal(x) {
				l = c.Letter
			}
		}
		out = append(out, l)
	}
	return strings.Join(out, "+")
}

// issuer is the CA whose key signed a certificate, whatever name it has.
func (v *trustees) issuer(x *x509.Certificate) *CA {
	for i := range v.cas {
		if pki.Signed(v.cas[i].cert, x) {
			return &v.cas[i]
		}
	}
	return nil
}

// without is what everybody would have if the old CA were taken out of every bundle
// and all were started anew. Where nothing would be left the newest of its kind takes
// its place. What API servers publish for aggregated ones is no bundle of a person's.
func (v *trustees) without(old *CA) func(h *trustee) []byte {
	var newest []byte
	for _, c := range v.cas {
		if c.Front == old.Front && c.From.After(old.From) {
			newest = pki.CertPEM(c.cert.Raw)
		}
	}
	return func(h *trustee) []byte {
		if !bundleUse(h.Use) || h.Fetched {
			return h.Next
		}
		certs, _ := pki.ParseCerts(h.Next)
		rest := slices.DeleteFunc(slices.Clone(certs), func(x *x509.Certificate) bool { return x.Equal(old.cert) })
		switch {
		case len(rest) == len(certs):
			return h.Next
		case len(rest) == 0:
			return newest
		}
		return pki.CertsPEM(rest...)
	}
}
