package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// The budgets of app.wasm, in bytes: for the page of one release, and for all
// releases beside it.
const (
	rawBudget    = 30_000_000
	brotliBudget = 4<<20 + 150_000
)

// budgetAt is the budget for what a quality of brotli makes. Quality 11 takes a
// minute; it made 0.820 to 0.832 of what quality 5 made of three builds of
// app.wasm in three seconds, so 0.832 is on the safe side.
func budgetAt(quality int) int {
	if quality == 11 {
		return brotliBudget
	}
	return brotliBudget * 1000 / 832
}

// size prints what a wasm weighs and fails when that is over budget. The flags
// are those of the go build that made it.
func size(name string, quality int, flags []string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	br, err := pressBrotli(raw, quality)
	if err != nil {
		return err
	}
	over := false
	for _, row := range []struct {
		what        string
		has, budget int
	}{
		{"raw", len(raw), rawBudget},
		{fmt.Sprintf("brotli %d", quality), len(br), budgetAt(quality)},
	} {
		fmt.Printf("%s\t%-9s %10d bytes, %5.1f %% of %d\n", name, row.what, row.has, 100*float64(row.has)/float64(row.budget), row.budget)
		over = over || row.has > row.budget
	}
	if over {
		return fmt.Errorf("%s is over its budget", name)
	}
	return reflection(flags)
}

// reflection asks the linker whether dead methods were kept: text/template
// calls methods by name, and with it in the program the linker keeps every
// exported method, 11 MB of them.
func reflection(flags []string) error {
	// Go remembers what a linker printed by the package that it linked, whatever
	// its own flags were, and prints it again at the next build of that package.
	// So it is another one here: -e changes nothing but that.
	c := exec.Command("go", slices.Concat([]string{"build"}, flags, []string{"-gcflags=./wasm=-e", "-ldflags=-dumpdep", "-o", os.DevNull, "./wasm"})...)
	c.Env = append(os.Environ(), "GOOS=js", "GOARCH=wasm")
	out, err := c.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build -ldflags=-dumpdep: %w: %.500s", err, out)
	}
	if who := reflecting(bytes.NewReader(out)); who != "" {
		return fmt.Errorf("%s calls methods by name, so the linker keeps every exported method; leave it out of the wasm", who)
	}
	fmt.Println("no method is called by name: dead methods are left out")
	return nil
}

// reflecting finds the first function that the linker's dump marks with
// <ReflectMethod>; empty when there is none.
func reflecting(dump io.Reader) string {
	s := bufio.NewScanner(dump)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		for part := range strings.SplitSeq(s.Text(), " -> ") {
			if who, flags, _ := strings.Cut(part, " <"); strings.Contains(flags, "ReflectMethod>") {
				return who
			}
		}
	}
	return ""
}
