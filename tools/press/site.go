package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/andybalholm/brotli"
)

// worth are the endings of files that compression makes smaller.
var worth = []string{".html", ".js", ".css", ".wasm", ".json", ".svg", ".txt"}

// kept is where pressed bytes are kept between builds, by the hash of what
// they were made from: quality 11 takes a minute for 25 MB.
const kept = ".work/press"

// window is the size of brotli's window, as a power of 2: 24 is the most that
// every browser takes, and saves some percent of a wasm against the usual 22.
const window = 24

func pressSite(folder string, quality int) error {
	return filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains(worth, filepath.Ext(name)) {
			return err
		}
		return press(name, quality)
	})
}

func press(name string, quality int) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	br, err := pressBrotli(raw, quality)
	if err != nil {
		return err
	}
	gz, err := pressGzip(raw)
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".br", br, 0o644); err != nil {
		return err
	}
	return os.WriteFile(name+".gz", gz, 0o644)
}

func pressGzip(b []byte) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		return nil, err
	}
	err := z.Close()
	return out.Bytes(), err
}

// pressBrotli compresses b, or takes what an earlier build made of it.
func pressBrotli(b []byte, quality int) ([]byte, error) {
	name := filepath.Join(kept, fmt.Sprintf("%x-%d-%d.br", sha256.Sum256(b), quality, window))
	if old, err := os.ReadFile(name); err == nil {
		return old, nil
	}
	var out bytes.Buffer
	w := brotli.NewWriterOptions(&out, brotli.WriterOptions{Quality: quality, LGWin: window})
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return nil, err
	}
	return out.Bytes(), os.WriteFile(name, out.Bytes(), 0o644)
}
