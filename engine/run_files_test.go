package engine_test

import (
	"fmt"
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

// showFiles compares names, modes, links and the plain text of the files in
// /var/lib/kubelet with what ls -l and cat gave.
func showFiles(t *testing.T, r *run, _ []string) func(t *testing.T, text string) {
	disk := r.w.Disk("node-1").Clone()
	return func(t *testing.T, text string) {
		got, want := map[string]string{}, map[string]string{}
		ls, cats, _ := strings.Cut(text, "\n===")
		dir := ""
		var dirs []string
		for line := range strings.Lines(ls) {
			line = strings.TrimSpace(line)
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
				mode := e.Mode.String()
				line := strings.Replace(mode, "L", "l", 1) + " " + name
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
