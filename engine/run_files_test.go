package engine_test

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stampedName is a certificate's file, named after when it was stored.
var stampedName = regexp.MustCompile(`-\d{4}(-\d\d){5}\.pem`)

// listing is a line of ls -l.
var listing = regexp.MustCompile(`^([a-z-][rwxstST-]{9}) +\d+ \S+ \S+ +\d+ \S+ \S+ \S+ (.*)$`)

func lsMode(m fs.FileMode) string {
	kind, bits := "-", m.Perm().String()[1:]
	switch {
	case m.IsDir():
		kind = "d"
	case m&fs.ModeSymlink != 0:
		kind = "l"
	}
	return kind + bits
}

// showFiles compares names, modes, links and the plain text of the files in
// /var/lib/kubelet with what ls -l and cat gave.
func showFiles(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	disk := r.w.Disk("node-1").Clone()
	return func(t *testing.T, text string) {
		text = under(t, text, args)
		got, want := map[string]string{}, map[string]string{}
		if _, after, ok := strings.Cut(text, "\n# after"); ok {
			text = after // what was there before is what the run made
		}
		ls, cats, _ := strings.Cut(text, "\n===")
		dir := ""
		var dirs []string
		for line := range strings.Lines(ls) {
			// Where a directory was to be read-only, the recorder had a tmpfs.
			line = strings.Replace(strings.TrimSpace(line), "drwxrwxrwt", "drwxr-xr-x", 1)
			if d, ok := strings.CutSuffix(line, ":"); ok {
				dir = d
				dirs = append(dirs, d)
			} else if m := listing.FindStringSubmatch(line); m != nil {
				want[stampedName.ReplaceAllString(dir+"/"+strings.SplitN(m[2], " -> ", 2)[0], "-TIME.pem")] += stampedName.ReplaceAllString(m[1]+" "+m[2], "-TIME.pem") + "\n"
			}
		}
		require.NotEmpty(t, dirs, "no listing in this file")
		for _, d := range dirs {
			names, err := disk.ReadDir(d)
			require.NoError(t, err)
			for _, name := range names {
				e, err := disk.Lstat(path.Join(d, name))
				require.NoError(t, err)
				line := lsMode(e.Mode) + " " + name
				if e.Target != "" {
					line += " -> " + e.Target
				}
				got[stampedName.ReplaceAllString(d+"/"+name, "-TIME.pem")] += stampedName.ReplaceAllString(line, "-TIME.pem") + "\n"
			}
		}
		require.Equal(t, want, got)
		for part := range strings.SplitSeq(cats, "\n===") {
			head, body, _ := strings.Cut(part, "\n")
			name := strings.Fields(head + " -")[0]
			if name != "kubelet.conf" {
				continue // what is in certificates is compared where they are shown by openssl
			}
			data, err := disk.ReadFile("/var/lib/kubelet/" + name)
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(strings.ReplaceAll(body, "127.0.0.1:16443", "10.0.0.10:6443")), strings.TrimSpace(string(data)), fmt.Sprintf("content of %s", name))
		}
	}
}
