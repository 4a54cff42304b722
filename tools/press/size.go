package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// The budgets of app.wasm, in bytes.
const (
	rawBudget    = 30_000_000
	brotliBudget = 4 << 20
)

// size prints what a wasm weighs and fails when that is over budget.
func size(name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	br, err := pressBrotli(raw, 11)
	if err != nil {
		return err
	}
	over := false
	for _, row := range []struct {
		what        string
		has, budget int
	}{
		{"raw", len(raw), rawBudget},
		{"brotli 11", len(br), brotliBudget},
	} {
		fmt.Printf("%s\t%-9s %10d bytes, %5.1f %% of %d\n", name, row.what, row.has, 100*float64(row.has)/float64(row.budget), row.budget)
		over = over || row.has > row.budget
	}
	if over {
		return fmt.Errorf("%s is over its budget", name)
	}
	return reflection()
}

// reflection asks the linker whether dead methods were kept: text/template
// calls methods by name, and with it in the program the linker keeps every
// exported method, 11 MB of them.
func reflection() error {
	c := exec.Command("go", "build", "-trimpath", "-ldflags=-dumpdep", "-o", os.DevNull, "./wasm")
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
