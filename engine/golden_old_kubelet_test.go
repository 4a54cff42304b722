package engine_test

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

func init() { oldForms["kubelet"] = playOldKubelet }

// replay is a world in which node-1 has the kubelet as the recorder set it up, and
// what it showed so far.
type replay struct {
	*bygone
	node string
	// mark is where the log stood when a recording began.
	mark int
	// shown are what recordings are compared with, by their names.
	shown map[string]func(t *testing.T, text string)
}

// playOldKubelet does to a kubelet what the recorder did, and compares what it logs,
// writes, asks for and sends with the recordings.
func playOldKubelet(t *testing.T, release, folder string) golden.Play {
	kind, _, _ := strings.Cut(folder, "-")
	node := map[string]string{"b2": "node-b", "c": "node-c", "c2": "node-c", "d": "node-r", "d2": "node-r"}[kind]
	minor := golden.Minor(release)
	r := &replay{bygone: inRelease(t, engine.Config{Release: minor, Seed: rotations[minor+" "+kind].seed}), node: node, shown: map[string]func(*testing.T, string){}}
	r.setUp(kind)
	switch kind {
	case "b2":
		r.refused()
	case "c":
		r.byHand()
	case "c2":
		r.denied()
	default:
		r.rotates(kind)
	}
	return func(t *testing.T, rec golden.Recording) {
		compare := r.shown[rec.File]
		require.NotNil(t, compare, "nothing is shown for %s", rec.File)
		compare(t, rec.Text(t))
	}
}

// setUp gives node-1 the recorder's files and command line.
func (r *replay) setUp(kind string) {
	more := "--rotate-certificates --feature-gates=RotateKubeletClientCertificate=true,RotateKubeletServerCertificate=true"
	switch {
	case kind[0] != 'd':
		more = ""
	case r.e.String() == "1.7":
		more = strings.TrimPrefix(more, "--rotate-certificates ")
	}
	if r.e.String() == "1.7" {
		more += " --require-kubeconfig"
	}
	r.on("mkdir -p /var/lib/kubelet; cp /etc/kubernetes/pki/ca.crt /var/lib/kubelet/ca.crt; rm -f /var/lib/kubelet/config.yaml")
	boot, err := r.w.Disk("node-1").ReadFile("/etc/kubernetes/bootstrap-kubelet.conf")
	require.NoError(r.t, err)
	r.on("cat > /var/lib/kubelet/bootstrap.kubeconfig <<'EOF'\n" + strings.ReplaceAll(strings.TrimSpace(string(boot)), "/etc/kubernetes/pki/", "/var/lib/kubelet/") + "\nEOF")
	r.on("cat > /etc/systemd/system/kubelet.service <<'EOF'\n[Service]\nExecStart=/usr/bin/kubelet --bootstrap-kubeconfig=/var/lib/kubelet/bootstrap.kubeconfig --kubeconfig=/var/lib/kubelet/kubelet.kubeconfig" +
		" --cert-dir=/var/lib/kubelet/pki --root-dir=/var/lib/kubelet/root --hostname-override=" + r.node + " --client-ca-file=/var/lib/kubelet/ca.crt --anonymous-auth=false --read-only-port=0 --healthz-port=0 --v=4 " + more + "\nRestart=no\nEOF")
	r.on("systemctl daemon-reload")
	if r.e.String() == "1.11" {
		// The recorder's token was one of --token-auth-file in every release.
		r.say(r.t, "control-1", "echo '02b50b05283e98dd0fd71db496ef01e8,kubelet-bootstrap,10001,\"system:bootstrappers\"' > /etc/kubernetes/token.csv")
		require.NoError(r.t, r.w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-apiserver", Name: "token-auth-file", Value: "/etc/kubernetes/token.csv"}}))
		r.edit("/var/lib/kubelet/bootstrap.kubeconfig", `token: .*`, "token: 02b50b05283e98dd0fd71db496ef01e8")
	}
	r.pass(5 * time.Second)
}

// begin starts the kubelet, and what is shown counts from here.
func (r *replay) begin() {
	r.mark = len(r.all())
	r.say(r.t, "node-1", "systemctl start kubelet")
}

// all is the log without what systemd says of the unit, which it does not keep.
func (r *replay) all() string { return strings.TrimPrefix(r.log(), "-- No entries --\n") }

// write writes a file of node-1; edit replaces what fits a pattern in one.
func (r *replay) write(file, text string) {
	r.on("cat > " + file + " <<'EOF'\n" + strings.TrimSpace(text) + "\nEOF")
}

func (r *replay) edit(file, pattern, by string) {
	text, err := r.w.Disk("node-1").ReadFile(file)
	require.NoError(r.t, err)
	require.Regexp(r.t, pattern, string(text))
	r.write(file, regexp.MustCompile(pattern).ReplaceAllString(string(text), by))
}

// logged compares what was logged since begin with a recorded log.
func (r *replay) logged(files ...string) {
	r.pass(time.Second)
	got := r.all()[r.mark:]
	for _, f := range files {
		r.shown[f] = func(t *testing.T, text string) {
			if m := exitedWith.FindStringSubmatch(text); m != nil && m[1] != "None" {
				require.Contains(t, got, "code=exited, status="+m[1]+exitWords[m[1]])
			}
			// Of lines that come again and again the recorder kept the first few.
			require.Equal(t, once(sayable(text)), once(sayable(got)))
		}
	}
}

var (
	exitedWith = regexp.MustCompile(`(?m)^# exit (?:code after \S+ )?(\w+)`)
	exitWords  = map[string]string{"1": "/FAILURE", "255": "/EXCEPTION"}
	oldHead    = regexp.MustCompile(`^([IWEF])\d{4} [\d:.]+ +\d+ ([^\]]+)\] `)
	anyCSR     = regexp.MustCompile(`node-csr-[\w-]{43}`)
	oldTime    = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC|\b(\d+h)?(\d+m)?\d+\.\d+m?s\b`)
	oldCause   = regexp.MustCompile(` \(possibly because of .*\)`)
)

// unshown are lines that the recorder did not keep, or that tell of what is not here:
// plugins, containers, events, the build of the recorded program.
var unshown = regexp.MustCompile(`plugins.go|event.go|proto: |feature gates: |^I server.go:\d+ (Version: |Using self-signed)|Node \S+ was previously|^W |systemd|kubelet.service|Successfully registered node|Flag --|Unable to update node status`)

// sayable are the lines of a log that are compared, without what differs each time.
func sayable(text string) (out []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		line = oldHead.ReplaceAllString(line, "$1 $2 ")
		line = strings.NewReplacer("127.0.0.1:16443", "10.0.0.10:6443", ": no RBAC policy matched", "").Replace(line)
		line = oldCause.ReplaceAllString(anyCSR.ReplaceAllString(oldTime.ReplaceAllString(line, "T"), "node-csr-X"), "")
		if line == "" || line[0] == '#' || unshown.MatchString(line) {
			continue
		}
		out = append(out, line)
	}
	return out
}

// files compares names, modes and links below /var/lib/kubelet, and the kubeconfig.
func (r *replay) files(names ...string) {
	disk := r.w.Disk("node-1").Clone()
	for _, f := range names {
		r.shown[f] = func(t *testing.T, text string) {
			want, got := map[string]string{}, map[string]string{}
			ls, cats, _ := strings.Cut(text, "\n===")
			dir := ""
			for line := range strings.Lines(ls) {
				line = strings.TrimSpace(line)
				if d, ok := strings.CutSuffix(line, ":"); ok {
					dir = d
				} else if m := listing.FindStringSubmatch(line); m != nil && !strings.HasSuffix(dir, "/root") {
					want[stampedName.ReplaceAllString(dir+"/"+strings.SplitN(m[2], " -> ", 2)[0], "-TIME.pem")] = stampedName.ReplaceAllString(m[1]+" "+m[2], "-TIME.pem")
				}
			}
			for _, dir := range []string{"/var/lib/kubelet", "/var/lib/kubelet/pki"} {
				list, _ := disk.ReadDir(dir)
				for _, name := range list {
					e, err := disk.Lstat(path.Join(dir, name))
					require.NoError(t, err)
					line := lsMode(e.Mode) + " " + name
					if e.Target != "" {
						line += " -> " + e.Target
					}
					got[stampedName.ReplaceAllString(dir+"/"+name, "-TIME.pem")] = stampedName.ReplaceAllString(line, "-TIME.pem")
				}
			}
			require.Equal(t, want, got)
			for part := range strings.SplitSeq(cats, "\n===") {
				if head, body, _ := strings.Cut(part, "\n"); strings.HasPrefix(strings.TrimSpace(head), "kubelet.kubeconfig ") {
					data, err := disk.ReadFile("/var/lib/kubelet/kubelet.kubeconfig")
					require.NoError(t, err)
					require.Equal(t, strings.TrimSpace(strings.ReplaceAll(body, "127.0.0.1:16443", "10.0.0.10:6443")), strings.TrimSpace(string(data)))
				}
			}
		}
	}
}

// request compares a request for a certificate: who asks for what, and how it was
// decided. Own is of the node itself, for a client certificate or for serving.
func (r *replay) request(file string) {
	all := r.csrs()
	r.shown[file] = func(t *testing.T, text string) {
		var rec struct{ Response struct{ Body map[string]any } }
		require.NoError(t, json.Unmarshal([]byte(text), &rec))
		want := rec.Response.Body
		var seen []string
		for _, csr := range all {
			seen = append(seen, requested(csr))
		}
		require.Contains(t, seen, requested(want))
	}
}

// requested is what counts in a request.
func requested(csr map[string]any) string {
	spec, _ := csr["spec"].(map[string]any)
	status, _ := csr["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	var decided []string
	for _, x := range conditions {
		c := x.(map[string]any)
		decided = append(decided, fmt.Sprint(c["type"]))
	}
	return fmt.Sprint(spec["username"], spec["groups"], spec["usages"], decided, status["certificate"] != nil)
}

// asks compares the requests of the kubelet with those in an audit log, in the order
// in which each thing was asked for first.
func (r *replay) asks(file string, from int) {
	var got []string
	for _, o := range r.obs[from:] {
		if o.Kind == trace.Request && strings.HasPrefix(o.Actor, "node-1/") {
			got = append(got, bareURL(o.Subject))
		}
	}
	r.shown[file] = func(t *testing.T, text string) {
		var want []string
		for line := range strings.Lines(text) {
			m := legacyAudit.FindStringSubmatch(line)
			if m == nil || m[2] != "kubelet-bootstrap" && !strings.HasPrefix(m[2], "system:node:") || strings.Contains(m[3], "/events") {
				continue
			}
			want = append(want, m[1]+" "+bareURL(m[3]))
		}
		require.NotEmpty(t, want)
		require.ElementsMatch(t, once(want), once(got))
	}
}

var (
	legacyAudit = regexp.MustCompile(`method="(\w+)" user="([^"]*)".* uri="([^"]*)"`)
	drawnQuery  = regexp.MustCompile(`(resourceVersion|timeoutSeconds)=[1-9]\d*`)
)

func bareURL(url string) string {
	return drawnQuery.ReplaceAllString(anyCSR.ReplaceAllString(url, "node-csr-X"), "$1=N")
}

func once(list []string) (out []string) {
	seen := map[string]bool{}
	for _, x := range list {
		if !seen[x] {
			out = append(out, x)
		}
		seen[x] = true
	}
	return out
}

// refused: nothing is allowed, wrong tokens, files that are not there, another CA.
func (r *replay) refused() {
	const boot, unit = "/var/lib/kubelet/bootstrap.kubeconfig", "/etc/systemd/system/kubelet.service"
	code, _ := r.call(r.t, adminName, "DELETE", "/apis/rbac.authorization.k8s.io/v1beta1/clusterrolebindings/bootstrap", nil)
	require.Equal(r.t, 200, code)
	r.on("cp " + boot + " /root/boot; cp " + unit + " /root/unit")
	try := func(name string, before func(), after string) {
		before()
		r.on("systemctl daemon-reload")
		r.begin()
		r.logged(name)
		r.on(after + "; systemctl daemon-reload; systemctl reset-failed kubelet")
	}
	try("01-tokencsv-no-binding-kubelet.log", func() {}, "true")
	try("02-wrong-token-kubelet.log", func() { r.edit(boot, `token: .*`, "token: wrong") }, "cp /root/boot "+boot)
	for _, name := range []string{"03-no-credentials-kubelet.log", "04-no-bootstrap-no-kubeconfig-kubelet.log"} {
		try(name, func() { r.edit(unit, `--bootstrap-kubeconfig=\S+`, "") }, "cp /root/unit "+unit)
	}
	try("05-bootstrap-file-missing-kubelet.log", func() { r.on("rm " + boot) }, "cp /root/boot "+boot)
	try("06-wrong-ca-kubelet.log", func() { r.another("/var/lib/kubelet/ca.crt") }, "cp /etc/kubernetes/pki/ca.crt /var/lib/kubelet/ca.crt")
	r.files("07-after-refusals-files.txt")
}

// byHand: the request is approved by a person.
func (r *replay) byHand() {
	from := len(r.obs)
	r.begin()
	r.logged("08-pending-kubelet.log")
	r.request("01-pending.json")
	r.files("07-pending-files.txt")
	r.pass(2 * time.Second)
	r.settle("Approved")
	r.pass(5 * time.Second)
	r.request("11-issued.json")
	r.files("22-issued-files.txt")
	r.logged("23-kubelet.log")
	r.asks("25-c-audit.log", from)
	r.on("systemctl stop kubelet")
	r.begin()
	r.pass(5 * time.Second)
	r.logged("27-restarted-kubelet.log")
	r.files("28-restarted-files.txt")
}

// denied: restarted while the request waits, denied, and deleted.
func (r *replay) denied() {
	r.begin()
	r.pass(2 * time.Second)
	r.files("01-pending-files.txt")
	r.on("systemctl stop kubelet")
	r.begin()
	r.logged("03-restart-kubelet.log")
	r.files("04-after-restart-files.txt")
	require.Len(r.t, r.csrs(), 1, "it is the same request")
	r.mark = len(r.all())
	r.settle("Denied")
	r.logged("09-denied-kubelet.log")
	r.files("14-denied-files.txt")
	r.request("08-denied.json")
	r.begin()
	r.logged("15-restart-after-denied-kubelet.log")
	require.Len(r.t, r.csrs(), 1)
	name := r.csrs()[0]["metadata"].(map[string]any)["name"].(string)
	const path = "/apis/certificates.k8s.io/v1beta1/certificatesigningrequests/"
	remove := func() {
		code, _ := r.call(r.t, adminName, "DELETE", path+name, nil)
		require.Equal(r.t, 200, code)
	}
	remove()
	r.on("systemctl reset-failed kubelet; systemctl start kubelet")
	r.pass(2 * time.Second)
	r.mark = len(r.all())
	remove()
	r.pass(15 * time.Second)
	r.logged("17-deleted-while-pending-kubelet.log")
}

// another puts another CA into a file of node-1.
func (r *replay) another(file string) {
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "another"}, "ca", "kubernetes", r.w.Now().Add(-time.Hour), r.w.Now().AddDate(1, 0, 0))
	require.NoError(r.t, err)
	r.write(file, string(ca.CertPEM()))
}

// rotates: with the roles of the articles everything is approved, and certificates
// live for 8 minutes, of which 5 have passed when they are made.
func (r *replay) rotates(kind string) {
	r.automatic()
	const api = "rbac.authorization.k8s.io/v1beta1"
	code, out := r.call(r.t, adminName, "POST", "/apis/"+api+"/clusterroles", map[string]any{"apiVersion": api, "kind": "ClusterRole", "metadata": map[string]any{"name": "approve-node-server-renewal-csr"},
		"rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"certificatesigningrequests/selfnodeserver"}, "verbs": []string{"create"}}}})
	require.Equal(r.t, 201, code, out)
	r.bind("node-server-auto-renew-crt", "approve-node-server-renewal-csr", "system:nodes")
	r.flag(r.t, "--experimental-cluster-signing-duration=8m")
	// The second within the minute decides how much of its life a certificate has.
	how := rotations[r.e.String()+" "+kind]
	r.pass(time.Minute + how.second - r.w.Now().Sub(r.w.Now().Truncate(time.Minute)))
	r.begin()
	r.pass(how.watched)
	r.logged("11-kubelet.log", "12-kubelet.log")
	r.files("10-end-files.txt", "11-end-files.txt")
	if r.e.String() == "1.7" && kind == "d2" {
		r.on("systemctl stop kubelet")
		r.begin()
		r.pass(20 * time.Second)
		r.logged("16-restarted-kubelet.log")
		r.files("17-restarted-files.txt")
	}
}

// rotations are the recorded rotations: at which second of a minute they began, how
// long they were watched, and a seed by which renewals fall in the same order.
var rotations = map[string]struct {
	second, watched time.Duration
	seed            string
}{
	"1.7 d":  {46 * time.Second, 203 * time.Second, "s2"},
	"1.7 d2": {32 * time.Second, 275 * time.Second, "s8"},
	"1.8 d2": {36 * time.Second, 102 * time.Second, "s1"},
}
