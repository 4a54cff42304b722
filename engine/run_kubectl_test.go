package engine_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

// recordedCommand is a recorded command: what it read, what it wrote on both
// streams, and its status.
type recordedCommand struct{ line, stdin, stdout, stderr, status string }

func readCommand(t *testing.T, text string) (c recordedCommand) {
	t.Helper()
	in, rest, _ := strings.Cut(text, "--- stdout\n")
	for line := range strings.Lines(in) {
		if s, ok := strings.CutPrefix(line, "#| "); ok {
			c.stdin += s
		} else if line == "#|\n" {
			c.stdin += "\n"
		} else if s, ok := strings.CutPrefix(line, "$ "); ok {
			c.line = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(s), "# stdin:"))
		}
	}
	c.stdout, rest, _ = strings.Cut(rest, "--- stderr\n")
	var ok bool
	c.stderr, c.status, ok = strings.Cut(rest, "--- exit status ")
	require.True(t, ok, "a recording of another form")
	c.status = strings.TrimSpace(c.status)
	return c
}

// typed is the line with what it reads.
func (c recordedCommand) typed() string {
	if c.stdin == "" {
		return c.line
	}
	return c.line + " <<'EOF'\n" + c.stdin + "EOF"
}

// perform types a line at a host, and tells what it did.
func perform(t *testing.T, w *engine.World, host, line string) (c recordedCommand, obs []trace.Observation) {
	t.Helper()
	obs, err := w.Say(host, line, time.Minute)
	require.NoError(t, err)
	c.line = line
	c.stdout, c.stderr, c.status = printed(obs)
	return c, obs
}

// printed is what a command wrote to its streams, and its status, empty while it runs.
func printed(obs []trace.Observation) (stdout, stderr, status string) {
	for _, o := range obs {
		switch {
		case o.Kind == trace.Printed && o.Args["stream"] == "stderr":
			stderr += o.Payload
		case o.Kind == trace.Printed:
			stdout += o.Payload
		case o.Kind == trace.Done:
			status = o.Args["status"]
		}
	}
	return stdout, stderr, status
}

// passedColumns are columns that a container runtime or an operating system fills.
var passedColumns = regexp.MustCompile(`^(OS-IMAGE|KERNEL-VERSION|CONTAINER-RUNTIME|IP)$`)

// compareCommands holds what a command printed against what the recorded one
// did: its streams and its status, but for what differs from run to run. Rows of
// a table are compared cell by cell; ages may be two seconds and a tenth apart.
func compareCommands(t *testing.T, want, got recordedCommand) {
	t.Helper()
	require.Equal(t, plainOutput(t, want.stderr), plainOutput(t, got.stderr), "stderr")
	if head, _, ok := strings.Cut(want.stdout, "   "); ok && (head == "NAME" || strings.HasSuffix(want.line, "--no-headers")) {
		compareTables(t, want.stdout, got.stdout)
	} else {
		require.Equal(t, plainOutput(t, want.stdout), plainOutput(t, got.stdout), "stdout")
	}
	require.Equal(t, want.status, got.status)
}

// cells are a table's, row by row.
func cells(text string) (rows [][]string) {
	for line := range strings.Lines(strings.ReplaceAll(text, "6.x         (amd64)", "6.x (amd64)")) {
		rows = append(rows, regexp.MustCompile(` {2,}`).Split(strings.TrimRight(line, " \n"), -1))
	}
	return rows
}

func compareTables(t *testing.T, want, got string) {
	t.Helper()
	w, g := cells(want), cells(got)
	require.Equal(t, len(w), len(g), "%s", got)
	passed := map[int]bool{}
	for i, name := range w[0] {
		passed[i] = passedColumns.MatchString(name)
	}
	for n := range w {
		require.Equal(t, len(w[n]), len(g[n]), "%q", g[n])
		for i := range w[n] {
			a, err := age(w[n][i])
			b, wrong := age(g[n][i])
			switch {
			case n > 0 && passed[i]:
			case err == nil && wrong == nil:
				require.InDelta(t, a.Seconds(), b.Seconds(), 2+a.Seconds()/10, "the age of %s", w[n][0])
			default:
				require.Equal(t, plainOutput(t, w[n][i]), plainOutput(t, g[n][i]), "%q", w[n])
			}
		}
	}
}

// age reads one that kubectl prints.
func age(s string) (d time.Duration, err error) {
	days, rest, ok := strings.Cut(s, "d")
	if ok {
		var n int
		if _, err = fmt.Sscan(days, &n); err != nil {
			return 0, err
		}
		if d, s = time.Duration(n)*24*time.Hour, rest; s == "" {
			return d, nil
		}
	}
	more, err := time.ParseDuration(s)
	return d + more, err
}

var (
	certText    = regexp.MustCompile(`LS0tLS1CRUdJTiBDRVJUSUZJQ0FUR[A-Za-z0-9+/=]+`)
	printedVary = []struct {
		form *regexp.Regexp
		by   string
	}{
		{regexp.MustCompile(`(uid|resourceVersion|creationTimestamp|lastUpdateTime|lastTransitionTime): \S+`), "$1: (differs)"},
		{regexp.MustCompile(`(CreationTimestamp:) .*`), "$1 (differs)"},
		{regexp.MustCompile(`X509SHA256=[0-9a-f]+`), "X509SHA256=(differs)"},
		{regexp.MustCompile(`127\.0\.0\.1:16443`), "10.0.0.10:6443"},
		{regexp.MustCompile(`\b192\.0\.2\.2\b`), "10.0.0.11"},
		{csrNames, "${1}CSR"},
	}
)

// plainOutput takes out of kubectl's output what differs from run to run: names
// of objects' versions and of CSRs, times, and all of a certificate or a request
// but what it says.
func plainOutput(t *testing.T, text string) string {
	t.Helper()
	text = certText.ReplaceAllStringFunc(text, func(s string) string {
		der, err := base64.StdEncoding.DecodeString(s)
		require.NoError(t, err)
		if list, err := pki.ParseCerts(der); err == nil {
			return "a certificate of " + list[0].Subject.String() + " by " + list[0].Issuer.String()
		}
		r, err := pki.ParseRequest(der)
		require.NoError(t, err)
		return fmt.Sprintf("a request for %s, %v, %d addresses, %v", r.Subject, r.DNSNames, len(r.IPAddresses), r.PublicKeyAlgorithm)
	})
	for _, d := range printedVary {
		text = d.form.ReplaceAllString(text, d.by)
	}
	return text
}

// showKubectl types a recorded command as the admin and compares what it does:
// kubectl FILE [--kubeconfig=X] COMMAND…
func showKubectl(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	got, obs := perform(t, r.w, "admin", r.withNames(t, "kubectl", "kubectl "+strings.Join(args, " ")))
	r.obs = append(r.obs, obs...)
	got.line = regexp.MustCompile(` --kubeconfig=\S+`).ReplaceAllString(got.line, "")
	return func(t *testing.T, text string) {
		want := readCommand(t, text)
		require.Equal(t, csrNames.ReplaceAllString(want.line, "${1}CSR"), csrNames.ReplaceAllString(got.line, "${1}CSR"))
		compareCommands(t, want, got)
	}
}

// showRows is for lists that hold what other folders made as well: of the rows
// that match ONLY each kind is compared once, with ages or without:
// rows FILE ONLY aged|ageless COMMAND…
func showRows(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	only := regexp.MustCompile(args[0])
	got, obs := perform(t, r.w, "admin", "kubectl "+strings.Join(args[2:], " "))
	r.obs = append(r.obs, obs...)
	return func(t *testing.T, text string) {
		want := readCommand(t, text)
		// In which order they are told is not compared.
		require.Equal(t, strings.TrimSuffix(want.line, " --sort-by=.metadata.creationTimestamp"), got.line)
		require.Empty(t, got.stderr)
		aged := args[1] == "aged"
		want.stdout, got.stdout = rowKinds(t, only, aged, want.stdout), rowKinds(t, only, aged, got.stdout)
		require.Greater(t, strings.Count(want.stdout, "\n"), 1, "nothing of this list is compared")
		compareCommands(t, want, got)
	}
}

// rowKinds are a table's rows that match only, each kind once: with its greatest
// age, or without one.
func rowKinds(t *testing.T, only *regexp.Regexp, aged bool, text string) string {
	t.Helper()
	head, rest, _ := strings.Cut(text, "\n")
	oldest := map[string]string{}
	at := slices.Index(cells(head)[0], "AGE")
	for _, row := range cells(rest) {
		row[0] = csrNames.ReplaceAllString(row[0], "${1}CSR")
		this := row[at]
		row[at] = "AGE"
		key := strings.Join(row, "   ")
		a, err := age(this)
		require.NoError(t, err, "%q", row)
		if before, err := age(oldest[key]); only.MatchString(key) && (err != nil || a > before) {
			oldest[key] = this
		}
	}
	out := []string{head}
	for _, key := range slices.Sorted(maps.Keys(oldest)) {
		if aged {
			key = strings.Replace(key, "   AGE", "   "+oldest[key], 1)
		}
		out = append(out, key)
	}
	return strings.Join(out, "\n") + "\n"
}
