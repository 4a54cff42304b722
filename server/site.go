package main

import (
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// built is the site that make put here. In a fresh clone there is only .keep.
//
//go:embed all:site
var built embed.FS

// siteFiles is the built site: the folder that is asked for, else the one
// inside this program, else ./dist.
func siteFiles(dir string) (fs.FS, error) {
	if dir != "" {
		files := os.DirFS(dir)
		if _, err := fs.Stat(files, "index.html"); err != nil {
			return nil, coded{fmt.Errorf("%s holds no built site: there is no index.html in it", dir), unreadable}
		}
		return files, nil
	}
	inside, err := fs.Sub(built, "site")
	if err != nil {
		return nil, err
	}
	for _, files := range []fs.FS{inside, os.DirFS("dist")} {
		if _, err := fs.Stat(files, "index.html"); err == nil {
			return files, nil
		}
	}
	return nil, errors.New("this program was built without the site and there is no ./dist here: `make site` builds it")
}

func siteCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "site --out DIR",
		Short: "Write the playground as static files",
		Args:  noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if out == "" {
				return coded{errors.New("site needs --out DIR, the folder to write to"), unreadable}
			}
			files, err := siteFiles("")
			if err != nil {
				return err
			}
			return writeSite(files, out)
		},
	}
	c.Flags().StringVar(&out, "out", "", "the folder to write to")
	return c
}

func writeSite(files fs.FS, dir string) error {
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(dir, filepath.FromSlash(name))
		switch {
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case d.Name() == ".keep":
			return nil
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, b, 0o644)
	})
}

// csp is the policy of every page: nothing from another host, ever. go-app
// sets style attributes, so styles may be inline; scripts may be WebAssembly;
// a Worker in a sandboxed frame comes from a blob. Any page may frame us.
const csp = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; " +
	"base-uri 'none'; form-action 'none'"

// kinds are content types by ending; the system's own table may lack wasm.
var kinds = map[string]string{
	".html":        "text/html; charset=utf-8",
	".js":          "text/javascript; charset=utf-8",
	".css":         "text/css; charset=utf-8",
	".wasm":        "application/wasm",
	".json":        "application/json",
	".svg":         "image/svg+xml",
	".png":         "image/png",
	".ico":         "image/x-icon",
	".txt":         "text/plain; charset=utf-8",
	".webmanifest": "application/manifest+json",
}

// hashed are names that carry the hash of their content, so that what they
// name never changes.
var hashed = regexp.MustCompile(`\.[0-9a-f]{8,64}\.[a-z]+$`)

// routes are the pages beside their file.
var routes = map[string]string{"/": "index.html", "/embed": "index.html"}

// site serves built files, precompressed where the client takes that.
type site struct {
	files fs.FS
	sent  map[string]packet // by name
}

// packet is a file that is there: what to send of it.
type packet struct {
	body []byte
	etag string
}

// newSite reads all files once: they don't change while we run.
func newSite(files fs.FS) *site {
	s := &site{files: files, sent: map[string]packet{}}
	fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".keep" {
			return nil
		}
		if b, err := fs.ReadFile(files, name); err == nil {
			s.sent[name] = packet{b, fmt.Sprintf(`"%x"`, sha256.Sum256(b))[:18] + `"`}
		}
		return nil
	})
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", csp)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "The playground is read by GET.", http.StatusMethodNotAllowed)
		return
	}
	name := strings.TrimPrefix(path.Clean(r.URL.Path), "/")
	if to, ok := routes[path.Clean(r.URL.Path)]; ok {
		name = to
	}
	p, ok := s.sent[name]
	if !ok {
		h.Set("Cache-Control", "no-store")
		http.Error(w, "There is no such page here; the playground is at /.", http.StatusNotFound)
		return
	}
	kind := kinds[path.Ext(name)]
	if kind == "" {
		kind = mime.TypeByExtension(path.Ext(name))
	}
	if kind == "" {
		kind = "application/octet-stream"
	}
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", caching(name))
	// A sandboxed frame has an origin of its own, and so must ask for the
	// program as a stranger would. All of this is public.
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "X-Raw-Length")
	h.Add("Vary", "Accept-Encoding")
	for _, coding := range []struct{ name, ending string }{{"br", ".br"}, {"gzip", ".gz"}} {
		if small, ok := s.sent[name+coding.ending]; ok && accepts(r, coding.name) {
			// The page's loader counts what it has unpacked.
			h.Set("X-Raw-Length", fmt.Sprint(len(p.body)))
			p = small
			h.Set("Content-Encoding", coding.name)
			break
		}
	}
	h.Set("ETag", p.etag)
	if strings.Contains(r.Header.Get("If-None-Match"), p.etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(p.body)))
	if r.Method == http.MethodGet {
		w.Write(p.body)
	}
}

// caching: pages are always asked for, hashed names never again, all else is
// kept and checked by its ETag.
func caching(name string) string {
	switch {
	case path.Ext(name) == ".html":
		return "no-store"
	case hashed.MatchString(name):
		return "public, max-age=31536000, immutable"
	}
	return "no-cache"
}

// accepts reports whether a client takes a content coding.
func accepts(r *http.Request, coding string) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, q, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		if strings.TrimSpace(name) == coding {
			return !zero.MatchString(strings.ReplaceAll(q, " ", ""))
		}
	}
	return false
}

var zero = regexp.MustCompile(`^q=0(\.0*)?$`)
