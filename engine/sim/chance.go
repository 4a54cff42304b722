package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math/bits"
	"math/rand/v2"
)

// Chance is all the randomness of a world: one stream for each purpose, named
// after it, so that a draw added in one place shifts nothing elsewhere. It is
// plain data: the seed and how often each stream was drawn from.
type Chance struct {
	Seed  string            `json:"seed"`
	Drawn map[string]uint64 `json:"drawn,omitempty"`

	source rand.ChaCha8 // used again for each draw
}

// Rand returns the ChaCha8 source for the n-th draw of a purpose.
func Rand(seed, purpose string, n uint64) *rand.ChaCha8 {
	return rand.NewChaCha8(key(seed, purpose, n))
}

func key(seed, purpose string, n uint64) [32]byte {
	b := append(make([]byte, 0, 128), "joinery chance\x00"...)
	b = append(append(b, seed...), 0)
	b = append(append(b, purpose...), 0)
	return sha256.Sum256(binary.BigEndian.AppendUint64(b, n))
}

func (c *Chance) next(purpose string) *rand.ChaCha8 {
	if c.Drawn == nil {
		c.Drawn = map[string]uint64{}
	}
	n := c.Drawn[purpose]
	c.Drawn[purpose] = n + 1
	c.source.Seed(key(c.Seed, purpose, n))
	return &c.source
}

// Uint64 draws 64 bits.
func (c *Chance) Uint64(purpose string) uint64 { return c.next(purpose).Uint64() }

// N draws a number in [0, n), n > 0, in integers only: floating point differs
// between processors.
func (c *Chance) N(purpose string, n uint64) uint64 {
	hi, _ := bits.Mul64(c.Uint64(purpose), n)
	return hi
}

// Fill draws len(b) bytes.
func (c *Chance) Fill(purpose string, b []byte) { c.next(purpose).Read(b) }

// Suffix draws n characters as Kubernetes' names.SimpleNameGenerator does:
// consonants and digits only (k8s.io/apimachinery/pkg/util/rand alphanums).
func (c *Chance) Suffix(purpose string, n int) string {
	const alphanums = "bcdfghjklmnpqrstvwxz2456789"
	src := c.next(purpose)
	b := make([]byte, n)
	for i := range b {
		hi, _ := bits.Mul64(src.Uint64(), uint64(len(alphanums)))
		b[i] = alphanums[hi]
	}
	return string(b)
}

// UUID draws a version 4 UUID.
func (c *Chance) UUID(purpose string) string {
	var b [16]byte
	c.Fill(purpose, b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	const hex = "0123456789abcdef"
	out := make([]byte, 0, 36)
	for i, x := range b {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			out = append(out, '-')
		}
		out = append(out, hex[x>>4], hex[x&15])
	}
	return string(out)
}

// Clone returns an independent copy.
func (c *Chance) Clone() *Chance {
	return &Chance{Seed: c.Seed, Drawn: maps.Clone(c.Drawn)}
}
