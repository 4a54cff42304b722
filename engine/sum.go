package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// Sum says in three lines what two worlds have in common exactly when they are
// the same: the digest of all Observations, that of all disks, and how far the
// world has come.
func (w *World) Sum() string {
	h := sha256.New()
	for _, host := range w.Hosts() {
		d := w.Disk(host)
		for _, p := range d.Walk("/") {
			e := d.Entries[p]
			fmt.Fprintf(h, "%s %s %v %d %q %q\n", host, p, e.Mode, e.Time.UnixNano(), e.Target, e.Data)
		}
	}
	return fmt.Sprintf("observations %s\ndisks        %s\nat           %s, %d observations\n",
		w.Digest, hex.EncodeToString(h.Sum(nil)), w.Clock.Format(time.RFC3339Nano), w.Obs)
}
