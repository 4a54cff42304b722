// Command replay makes the world of a journal again, as one comes with a
// report of a crash, and prints its digest: `go run ./tools/replay FILE`.
// It fails where the journal's own digest is another one.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/joinery-lab/joinery/engine"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: replay FILE")
		os.Exit(2)
	}
	if err := replay(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "replay:", err)
		os.Exit(1)
	}
}

func replay(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	j, err := engine.ReadJournal(b)
	if err != nil {
		return err
	}
	w, err := engine.Replay(j, time.Time{})
	if err != nil {
		return err
	}
	v := w.View()
	fmt.Printf("%d inputs until %s: digest %s\n", len(j.Inputs), v.Now.Format(time.RFC3339Nano), v.Digest)
	if v.Digest != j.Digest {
		return fmt.Errorf("the journal, of build %q, ended in digest %s", j.Build, j.Digest)
	}
	return nil
}
