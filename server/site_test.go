package main

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

var toySite = fstest.MapFS{
	".keep":             {},
	"index.html":        {Data: []byte("<!doctype html>")},
	"app.wasm":          {Data: []byte("raw")},
	"app.wasm.br":       {Data: []byte("brotli")},
	"app.wasm.gz":       {Data: []byte("gzip")},
	"app.01234567ab.js": {Data: []byte("//")},
	"boot.js":           {Data: []byte("//")},
}

func get(t *testing.T, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	newSite(toySite).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return string(b)
}

func TestSiteSendsWhatTheClientTakes(t *testing.T) {
	for accept, want := range map[string][2]string{
		"gzip, deflate, br":   {"br", "brotli"},
		"gzip":                {"gzip", "gzip"},
		"br;q=0, gzip":        {"gzip", "gzip"},
		"BR; q=0.0":           {"", "raw"},
		"":                    {"", "raw"},
		"identity, brotlish":  {"", "raw"},
		"br;q=1.0, gzip;q=.8": {"br", "brotli"},
	} {
		r := get(t, "/app.wasm", "Accept-Encoding", accept)
		require.Equal(t, "application/wasm", r.Header.Get("Content-Type"))
		require.Equal(t, want[0], r.Header.Get("Content-Encoding"), accept)
		require.Equal(t, want[1], body(t, r), accept)
		require.Equal(t, "Accept-Encoding", r.Header.Get("Vary"))
	}
}

func TestSiteKeepsWhatNeverChanges(t *testing.T) {
	for path, want := range map[string]string{
		"/":                  "no-store",
		"/embed":             "no-store",
		"/app.01234567ab.js": "public, max-age=31536000, immutable",
		"/boot.js":           "no-cache",
		"/app.wasm":          "no-cache",
	} {
		r := get(t, path)
		require.Equal(t, http.StatusOK, r.StatusCode, path)
		require.Equal(t, want, r.Header.Get("Cache-Control"), path)
		require.Equal(t, "*", r.Header.Get("Access-Control-Allow-Origin"), "a sandboxed frame may read %s", path)
		require.Equal(t, csp, r.Header.Get("Content-Security-Policy"))
	}
	tag := get(t, "/boot.js").Header.Get("ETag")
	require.Equal(t, http.StatusNotModified, get(t, "/boot.js", "If-None-Match", tag).StatusCode)
	require.Equal(t, http.StatusOK, get(t, "/boot.js", "If-None-Match", `"other"`).StatusCode)
}

func TestSiteServesPagesOnly(t *testing.T) {
	require.Equal(t, "<!doctype html>", body(t, get(t, "/embed?lesson=first-join")))
	for _, path := range []string{"/nothing", "/.keep", "/../server/main.go", "/app.wasm/x"} {
		r := get(t, path)
		require.Equal(t, http.StatusNotFound, r.StatusCode, path)
		require.NotEmpty(t, r.Header.Get("Content-Security-Policy"))
	}
	w := httptest.NewRecorder()
	newSite(toySite).ServeHTTP(w, httptest.NewRequest("POST", "/", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
}

func TestWriteSite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	require.NoError(t, writeSite(toySite, dir))
	b, err := os.ReadFile(filepath.Join(dir, "app.wasm.br"))
	require.NoError(t, err)
	require.Equal(t, "brotli", string(b))
	_, err = os.Stat(filepath.Join(dir, ".keep"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWithoutASite(t *testing.T) {
	if _, err := fs.Stat(built, "site/index.html"); err == nil {
		t.Skip("the site is built into this program")
	}
	t.Chdir(t.TempDir())
	status, out, errs := joinery("", "serve", "--listen", "127.0.0.1:0")
	require.Equal(t, failed, status)
	require.Empty(t, out)
	require.Equal(t, "joinery: this program was built without the site and there is no ./dist here: `make site` builds it\n", errs)

	require.NoError(t, writeSite(toySite, "dist"))
	files, err := siteFiles("")
	require.NoError(t, err)
	_, err = fs.Stat(files, "app.wasm")
	require.NoError(t, err)

	status, _, errs = joinery("", "serve", "--site", "nowhere")
	require.Equal(t, unreadable, status)
	require.Equal(t, "joinery: nowhere holds no built site: there is no index.html in it\n", errs)
}

func TestServeUntilToldToStop(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	ended := make(chan error)
	go func() { ended <- serve(ctx, l, newSite(toySite)) }()
	r, err := http.Get("http://" + l.Addr().String() + "/embed")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, r.StatusCode)
	r.Body.Close()
	stop()
	require.NoError(t, <-ended)
}

func TestReachable(t *testing.T) {
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080}
	for asked, want := range map[string]string{
		"localhost:8080": "localhost:8080",
		":0":             "localhost:8080",
		"0.0.0.0:0":      "localhost:8080",
		"[::]:0":         "localhost:8080",
		"127.0.0.1:0":    "127.0.0.1:8080",
		"example.org:0":  "example.org:8080",
	} {
		require.Equal(t, want, reachable(at, asked))
	}
}
