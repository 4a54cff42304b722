package main

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// joinery runs the program as main does.
func joinery(stdin string, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = command(args, strings.NewReader(stdin), &out, &errs)
	return status, out.String(), errs.String()
}

// TestSessions plays testdata. The name of a file begins with the exit status
// that it must have; a first line "# runs with: FLAGS" gives the command flags.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/*.session")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			first, _ := os.ReadFile(f)
			head, _, _ := strings.Cut(string(first), "\n")
			args := []string{"run"}
			if flags, ok := strings.CutPrefix(head, "# runs with: "); ok {
				args = append(args, strings.Fields(flags)...)
			}
			status, out, errs := joinery("", append(args, f)...)
			require.Equal(t, filepath.Base(f)[:1], string(rune('0'+status)), "%s%s", out, errs)
			if says, ok := strings.CutPrefix(head, "# says: "); ok {
				require.Contains(t, errs, says)
			}
			require.NotContains(t, errs, "goroutine")
			require.Equal(t, status == 0, errs == "", errs)
		})
	}
}

func TestBadArguments(t *testing.T) {
	for args, want := range map[string]string{
		"run":              "joinery run takes one session, not 0",
		"run no-such-file": "the session can't be read: open no-such-file",
		"run -":            "standard input:1:1: this session has no steps",
		"run --sed 1 -":    "unknown flag: --sed",
		"run --scenario x testdata/0-broken-manifest.session": "there is no scenario \"x\"; there is empty, kubeadm, or leave it out",
		"site":               "site needs --out DIR",
		"play":               `joinery has no command "play"`,
		"era tell":           `joinery era has no command "tell"`,
		"era show":           "joinery era show takes one release, not 0",
		"era show 1.99":      `release "1.99" is not here; choose one of 1.7 to 1.37`,
		"era diff 1.8":       "joinery era diff takes two releases, not 1",
		"era diff 1.8 later": `release "later" is not here`,
		"version 3":          `joinery version takes no argument "3"`,
	} {
		status, out, errs := joinery("", strings.Fields(args)...)
		require.Equal(t, unreadable, status, args)
		require.Empty(t, out, args)
		require.Contains(t, errs, want, args)
		require.Len(t, strings.Split(strings.TrimSpace(errs), "\n"), 1, "one sentence")
	}
}

func TestUnknownRelease(t *testing.T) {
	status, _, errs := joinery("admin$ date\n", "run", "--release", "1.5", "-")
	require.Equal(t, unreadable, status)
	require.Contains(t, errs, `release "1.5" is not here; choose one of`)
}

func TestRunPrintsWhatHostsPrinted(t *testing.T) {
	status, out, errs := joinery("admin$ echo hello\nnode-1# cat /no\nexit 1\n", "run", "-")
	require.Zero(t, status, errs)
	require.Equal(t, "admin$ echo hello\nhello\nnode-1# cat /no\ncat: /no: No such file or directory\n", out)
}

func TestRunTellsTheFirstExpectationThatFails(t *testing.T) {
	status, out, errs := joinery("admin$ echo hello\nexpect bye\nexpect never judged\n", "run", "-")
	require.Equal(t, failed, status)
	require.Equal(t, "admin$ echo hello\nhello\n", out)
	require.Equal(t, "standard input:2: expected \"bye\"; what was printed:\nhello\n", errs)
}

func TestRunJSON(t *testing.T) {
	const session = "node-1# systemctl start kubelet\nadvance 5s\n"
	status, out, errs := joinery(session, "run", "--json", "--seed", "a", "-")
	require.Zero(t, status, errs)
	obs, err := trace.Decode(strings.NewReader(out))
	require.NoError(t, err)
	require.NotEmpty(t, obs)
	for i, o := range obs {
		require.Equal(t, obs[0].ID+uint64(i), o.ID, "none is missing")
	}
	_, again, _ := joinery(session, "run", "--json", "--seed", "a", "-")
	require.Equal(t, out, again, "the same seed, the same world")
	_, other, _ := joinery(session, "run", "--json", "--seed", "b", "-")
	require.NotEqual(t, out, other)
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	session := "node-1# ln -s /etc/hostname /tmp/link\n"
	status, _, errs := joinery(session, "run", "--export", dir, "-")
	require.Zero(t, status, errs)
	for _, f := range []string{"admin/etc/kubernetes/admin.conf", "control-1/etc/kubernetes/pki/ca.key", "node-1/etc/kubernetes/bootstrap-kubelet.conf"} {
		info, err := os.Stat(filepath.Join(dir, f))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f)
		require.Equal(t, 2025, info.ModTime().UTC().Year(), "the disk's own time")
	}
	status, _, errs = joinery(session, "run", "--export", dir, "-")
	require.Equal(t, unreadable, status)
	require.Contains(t, errs, "is not empty")
}

func TestLinksStayInside(t *testing.T) {
	for _, c := range []struct{ name, target, want string }{
		{"/var/lib/kubelet/pki/current.pem", "/var/lib/kubelet/pki/a.pem", "a.pem"},
		{"/etc/a", "/var/b", "../var/b"},
		{"/etc/a", "b", "b"},
		{"/etc/a", "../../../../etc/shadow", "shadow"},
		{"/a", "/", "."},
	} {
		require.Equal(t, c.want, within(c.name, c.target))
	}
}

func TestVersion(t *testing.T) {
	status, out, _ := joinery("", "version")
	require.Zero(t, status)
	require.Contains(t, out, "Kubernetes releases: ")

	require.Equal(t, "joinery, of an unknown build", build(nil))
	require.Equal(t, "joinery abc of 2026-01-02 (changed) built with go1", build(&debug.BuildInfo{GoVersion: "go1", Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-01-02"}, {Key: "vcs.modified", Value: "true"}}}))
	require.Equal(t, "joinery v1.2.3 built with go1", build(&debug.BuildInfo{GoVersion: "go1", Main: debug.Module{Version: "v1.2.3"}}))
}

func TestEras(t *testing.T) {
	status, out, _ := joinery("", "era", "list")
	require.Zero(t, status)
	require.Regexp(t, `(?m)^1\.7 .*the first$`, out)
	require.Regexp(t, `(?m)^1\.36 +v1\.36\.3 +\d+ facts since 1\.35$`, out)
	status, out, _ = joinery("", "era", "show", "1.8", "--only", "api/certificates")
	require.Zero(t, status)
	require.Regexp(t, `api/certificates.k8s.io/v1beta1 +certificatesigningrequests +pkg/master`, out)
	require.NotContains(t, out, "gate/")
	status, out, _ = joinery("", "era", "diff", "1.18", "1.19")
	require.Zero(t, status)
	require.Contains(t, out, "api/certificates.k8s.io/v1\n  + certificatesigningrequests\n  Where CSRs live.")
	status, out, _ = joinery("", "era", "diff", "1.19", "1.18", "--lang", "zh")
	require.Zero(t, status)
	require.Contains(t, out, "api/certificates.k8s.io/v1\n  - certificatesigningrequests\n  CSR 所在的 API。")
}
