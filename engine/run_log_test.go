package engine_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/trace"
)

// saying is a kind of log line: what thread of the component says it, and why it
// is compared. Lines of one thread come in one order.
type saying struct {
	thread string
	text   *regexp.Regexp
	why    string
}

func say(thread, text, why string) saying { return saying{thread, regexp.MustCompile(text), why} }

// sayings are the lines that are compared: message and values, without times,
// process and place. A line that fits none is passed over only if unsaid has it.
var sayings = []saying{
	say("start", `^"Using self-signed cert"`, "tells why the port's certificate is trusted by nobody"),
	say("start", `^"Client rotation is on`, "tells which of the two bootstraps this is"),
	say("start", `^"(Use the bootstrap credentials|Using bootstrap kubeconfig|Current kubeconfig file contents|No valid private key|No bootstrapping)`, "tells whether the token is used"),
	say("start", `^"Unhandled Error" err="(part of the existing|unable to (read|load))`, "tells why the kubeconfig was not good enough"),
	say("start", `^"Loading cert/key pair`, "tells which certificate it began with"),
	say("start", `^"Starting client certificate rotation"$`, ""),
	say("start", `^"Using lenient decoding`, "a field of the configuration is ignored"),
	say("start", `^"command failed"`, "the reason of an exit"),
	say("start", `^"(Failed to connect to apiserver|Error waiting for apiserver|Waiting for client certificate|csr for this node)`, "the wait of the synchronous bootstrap"),
	say("client", `logger="kubernetes.io/kube-apiserver-client-kubelet(\.UnhandledError)?"`, "the life of the client certificate"),
	say("serving", `logger="kubernetes.io/kubelet-serving(\.UnhandledError)?"`, "the life of the serving certificate"),
	say("start", `^"Certificate signing request (created|is approved, waiting to be issued|is issued)" csr=`, "the one CSR of the synchronous bootstrap"),
	say("transport", `^"(Certificate rotation detected|No valid client certificate is found)`, "the connections' end, or the process's"),
	say("port", `^"(loaded certificate and key pair|Loaded (client CA|serving cert|SNI cert|a new CA Bundle|a new cert/key pair)|Starting DynamicServing|Shutting down DynamicServing)`, "what the port presents and trusts"),
	say("port", `^"Unhandled Error" err="key failed with`, "a file that the port can't use"),
	say("clients", `^"(Forbidden" user|Unable to authenticate the request due to an error)`, "why a client of the port is refused"),
	say("handshakes", `^"?http: TLS handshake error`, "why clients of the port fail"),
	say("lease", `^"(Failed to ensure lease exists|Failed to update lease)`, "the first sign that the API server refuses"),
	say("node", `^"(Unable to register node|Error updating node status)`, "the first sign that the API server refuses"),
	say("signers", `logger="certificatesigningrequest-signing-controller" (csr|old)=`, "what the signers see"),
	say("approver", `logger="certificatesigningrequest-approving-controller" (csr|old)=`, "what the approver sees"),
	say("workers", `^"csr has been deleted" csr=`, "that there is nothing to do any more"),
	say("approver's tries", `^"Sync certificate request failed"`, "why nobody approves, and when it is tried again"),
	say("authentication", `^"Unable to authenticate the request"`, "the reason of a 401, which only the server knows"),
}

// registration are the lines of success about the Node: the recorder kept them
// in few logs.
var registration = say("registration", `^"(Attempting to register node|Successfully registered node|Node was previously registered)`, "the Node is there")

// unsaid are lines that are passed over, on either side.
var unsaid = []saying{
	say("", `^"?(Kubelet version|Golang settings|Systemd watchdog|Updated" featureGates|Detected umount)`, "about the process and its machine"),
	say("", `^"(Attempting to register node|Successfully registered node|Node was previously registered)`, "the recorder kept no line of success about the Node"),
	say("", `^("HTTP" |No secret of name|Bootstrap secret|Expired bootstrap Token)`, "of the API server the recorder kept only the errors here; b1 has these lines"),
	say("", `^"Finished syncing certificate request"`, "of each worker, in no order"),
	say("", `^(FLAG: |"(SyncLoop|Retrieved pods|Warning: cgroup|Error getting the current node from lister|Clean up orphaned|fail to obtain node|Unable to register mirror|Using node IP)|unrecognized feature gate)`, "of parts of the kubelet that are not simulated"),
	say("", `^"Failed to get node when trying to set owner ref`, "a Lease that is made before its Node waits for it here"),
	say("", `^"(Controller observed a|Recording (event|status change event) message for node|Event occurred|Missing timestamp for Node|Creating timestamp entry for newly observed|Node ReadyCondition updated|Node hasn't been updated|Node is (unresponsive|healthy again)|Initializing eviction metric|Controller detected that|Update ready status of pods|Made sure that node has no taint|Added taint to node)`, "of the controller of nodes, of which the recorder kept no line"),
	say("", `^"CA file unchanged, skipping transport rotation"`, "the recorder kept no line of it"),
	say("", `tls-transport-cache`, "client-go's own cache of connections, which nothing here needs"),
}

// logged is a log line, taken apart.
type logged struct {
	at           time.Time
	thread, text string
	level        byte
}

var klog = regexp.MustCompile(`(?s)^([IWEF])(\d{4} \d\d:\d\d:\d\d\.\d{6}) +\d+ (\S+)\] (.*)$`)

// drawn is what differs from run to run in the text of a line, and what stands
// for it.
var drawn = []struct {
	text *regexp.Regexp
	by   string
}{
	{csrNames, "${1}CSR"},
	{regexp.MustCompile(`(TLS handshake error from) [0-9.]+(:\d+)?`), "$1 CLIENT"},
	{regexp.MustCompile(`(127\.0\.0\.1|10\.0\.0\.10):(16443|16451|16499|6443)`), "SERVER"},
	{regexp.MustCompile(`\bnot (127\.0\.0\.1|10\.0\.0\.10)\b`), "not SERVER"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC( m=\+\d+\.\d+)?`), "TIME"},
	{stampedName, "-TIME.pem"},
	// The recorder's CA has no name beside its subject.
	{regexp.MustCompile(`\[\] validServingFor=\[kubernetes(-ca-2)?\] issuer=`), "[] issuer="},
	{regexp.MustCompile(`validServingFor=\[(127\.0\.0\.1|10\.0\.0\.10),`), "validServingFor=[SERVER,"},
	// Its nodes were 192.0.2.N; the one that is not renumbered here .2.
	{regexp.MustCompile(`192\.0\.2\.2\b`), "10.0.0.11"},
	{regexp.MustCompile(`192\.0\.2\.`), "10.0.0."},
	// What a status is made of.
	{regexp.MustCompile(`failed to patch status .*`), "failed to patch status"},
	{regexp.MustCompile(`sleep="[0-9hmsµn.]+"`), `sleep="DRAWN"`},
	{regexp.MustCompile(`\b(SN|AKID|SKID)=[0-9A-F:]*`), "$1="},
	{regexp.MustCompile(`current time \S+ is (after|before) [0-9T:Z-]+`), "current time TIME is $1 TIME"},
}

// floater and floating are lines whose time hangs on something that has drifted.
type floater struct {
	text  *regexp.Regexp
	slack time.Duration
	why   string
}

var floating = []floater{
	{regexp.MustCompile(`"Current certificate is expired"|"Failed to update lease"`), 10400 * time.Millisecond, "a renewal of the Lease comes every 10 s and up to 4 % more; it is folded to 10 s here"},
	{regexp.MustCompile(`"Error updating node status`), 225 * time.Second, "the next report of the status is drawn between 2.5 and 7.5 minutes after the last"},
}

func neutral(text, node string) string {
	for _, d := range drawn {
		text = d.text.ReplaceAllString(text, d.by)
	}
	if node != "" {
		text = regexp.MustCompile(`\b`+regexp.QuoteMeta(node)+`\b`).ReplaceAllString(text, "NODE")
	}
	return text
}

// readLog takes lines apart; those that are passed over are gone.
func readLog(t *testing.T, lines []string, node string, more ...saying) (out []logged) {
	said := append(more, sayings...)
	for _, line := range lines {
		if strings.HasPrefix(line, "Flag --") {
			out = append(out, logged{thread: "flags", text: line})
			continue
		}
		m := klog.FindStringSubmatch(line)
		if m == nil {
			require.False(t, len(line) > 0 && strings.Contains("IWEF", line[:1]) && klog.MatchString(line), "not taken apart: %s", line)
			continue
		}
		at, err := time.Parse("0102 15:04:05.000000", m[2])
		require.NoError(t, err)
		l := logged{at: at, level: m[1][0], text: m[4]}
		is := func(s saying) bool { return s.text.MatchString(m[4]) }
		if i := slices.IndexFunc(said, is); i >= 0 {
			l.thread, l.text = said[i].thread, string(l.level)+" "+neutral(l.text, node)
			out = append(out, l)
			continue
		}
		require.True(t, slices.ContainsFunc(unsaid, is), "this line is neither compared nor passed over: %s", line)
	}
	return out
}

var (
	nodeNames = regexp.MustCompile(`nodes? \\*"([a-z][a-z0-9-]+)\\?"|node="([a-z][a-z0-9-]+)"|leases/([a-z][a-z0-9-]+)\?`)
	exitCode  = regexp.MustCompile(`^# exit (?:code|status)(?: after ([0-9.]+) ?s)?:? (\d+|None)`)
	ending    = regexp.MustCompile(`^# started .*; kubelet (still running|has exited)$`)
	leftOut   = regexp.MustCompile(`^# \.\.\. further lines like the one above left out(?: \((.*)\))?$`)
)

// showLog compares what a unit logged since begin; without an argument the
// kubelet: log FILE [ACTOR] [WORD…]. Of some logs the recorder kept only the lines
// that some source files write: files=F,F:LINE. With the word registration, lines
// of success about the Node are compared; with quiet, there is nothing to compare;
// with errors, lines of information are left out of ours;
// with whole, what counts is what was said since the world began.
func showLog(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	return r.log(args, "")
}

// showLines is for recordings of a few lines out of many: these, in their order,
// must be among ours.
func showLines(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	return r.log(args, "some")
}

// showHead is for recordings that end before the component did: what was said
// until then is compared as of a whole log.
func showHead(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	return r.log(args, "head")
}

func (r *run) log(args []string, of string) func(t *testing.T, text string) {
	actor := "node-1/kubelet"
	var files []string
	var more []saying
	quiet, errors, from := false, false, r.from
	for _, a := range args {
		list, ok := strings.CutPrefix(a, "files=")
		switch {
		case ok:
			files = strings.Split(list, ",")
		case a == "registration":
			more = append(more, registration)
		case a == "quiet":
			quiet = true
		case a == "errors":
			errors = true
		case a == "whole":
			from = 0
		default:
			actor = a
		}
	}
	var lines []string
	code := "None"
	for _, o := range r.obs[from:] {
		if o.Kind == trace.Log && o.Actor == actor && written(o.Payload, files) {
			lines = append(lines, o.Payload)
		}
		if host, unit, _ := strings.Cut(actor, "/"); o.Kind == trace.Unit && o.Actor == host+"/systemd" && o.Subject == unit && o.Args["state"] == "failed" {
			code = o.Args["code"]
		}
	}
	node := r.node
	return func(t *testing.T, text string) {
		var want []string
		var cut []string // what the recorder left out, by how it begins
		name := ""
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if m := exitCode.FindStringSubmatch(line); m != nil {
				require.Equal(t, m[2], code, "exit code")
			} else if m := ending.FindStringSubmatch(line); m != nil {
				require.Equal(t, m[1] == "has exited", code == "1", "exit code %s", code)
			} else if m := leftOut.FindStringSubmatch(line); m != nil {
				if m[1] == "" {
					m[1] = want[len(want)-1]
				}
				cut = append(cut, m[1])
			} else {
				if m := nodeNames.FindStringSubmatch(line); m != nil && name == "" {
					name = m[1] + m[2] + m[3]
				}
				if n := len(want); n > 0 && strings.Contains(want[n-1], "=<") && (strings.HasPrefix(line, "\t") || line == " >") {
					want[n-1] += "\n" + line
					continue
				}
				want = append(want, line)
			}
		}
		// He showed the last lines twice.
		seen := map[string]bool{}
		want = slices.DeleteFunc(want, func(line string) bool {
			again := seen[line]
			seen[line] = true
			return again
		})
		for i, line := range want {
			// The recorder's filter took the last line of a value in lines.
			if strings.Contains(line, "=<\n") && !strings.HasSuffix(line, "\n >") {
				want[i] += "\n >"
			}
		}
		if name == "" {
			name = node
		}
		w, g := together(readLog(t, want, name, more...)), together(readLog(t, lines, node, more...))
		if errors {
			g = slices.DeleteFunc(g, func(l logged) bool { return l.level == 'I' })
		}
		if quiet {
			require.Empty(t, w)
			require.Empty(t, g)
			return
		}
		if len(w) == 0 && of == "some" {
			return
		}
		require.NotEmpty(t, w)
		require.NotEmpty(t, g, "nothing was logged:\n%s", strings.Join(lines, "\n"))
		if of == "some" {
			at := map[string]int{}
			for _, l := range w {
				from := at[l.thread]
				i := slices.IndexFunc(g[from:], func(x logged) bool { return x.thread == l.thread && x.text == l.text })
				require.GreaterOrEqual(t, i, 0, "not logged: %s\nbut:\n%s", l.text, strings.Join(lines, "\n"))
				at[l.thread] = from + i + 1
			}
			return
		}
		var threads []string
		for _, l := range slices.Concat(w, g) {
			if !slices.Contains(threads, l.thread) {
				threads = append(threads, l.thread)
			}
		}
		// In some folders the recorder's filter did not let these pass, and where
		// he killed a process it had no last word.
		for _, words := range []string{`"Loaded client CA"`, `"Loaded a new CA Bundle`, `"Starting DynamicServing`, `"Using self-signed cert"`, `"failed to run Kubelet: timed out waiting for the condition"`, `"Forbidden" user=`} {
			has := func(l logged) bool { return strings.Contains(l.text, words) }
			if !slices.ContainsFunc(w, has) {
				g = slices.DeleteFunc(g, has)
			}
		}
		for _, th := range threads {
			a, b := ofThread(w, th), shorten(ofThread(g, th), ofThread(w, th), cut)
			if n := len(a); of == "head" && n < len(b) && b[n].at.Sub(g[0].at)+400*time.Millisecond > w[len(w)-1].at.Sub(w[0].at) {
				b = b[:n]
			}
			matchLog(t, th, a, b, w[0].at, g[0].at)
		}
	}
}

// written tells whether a line is from one of the source files, which are named
// without ".go" and, where only one line of them is meant, with its number.
func written(line string, files []string) bool {
	m := klog.FindStringSubmatch(line)
	if files == nil || m == nil {
		return files == nil
	}
	file, number, _ := strings.Cut(m[3], ".go:")
	return slices.Contains(files, file) || slices.Contains(files, file+":"+number)
}

// together leaves out the line of an approval that its certificate follows at
// once: whether a watch shows them apart is a race.
func together(list []logged) (out []logged) {
	for i, l := range list {
		if strings.Contains(l.text, "is approved, waiting to be issued") {
			next := slices.IndexFunc(list[i+1:], func(x logged) bool { return x.thread == l.thread })
			if next >= 0 && strings.Contains(list[i+1+next].text, "is issued") && list[i+1+next].at.Sub(l.at) < 100*time.Millisecond {
				continue
			}
		}
		out = append(out, l)
	}
	return out
}

// oneLast cuts off how often a line is said at the end, when that hangs on
// something that floats by more than a minute.
func oneLast(list []logged) []logged {
	for n := len(list); n > 1 && list[n-1].text == list[n-2].text; n = len(list) {
		if !slices.ContainsFunc(floating, func(f floater) bool { return f.slack > time.Minute && f.text.MatchString(list[n-1].text) }) {
			break
		}
		list = list[:n-1]
	}
	return list
}

func ofThread(list []logged, thread string) (out []logged) {
	for _, l := range list {
		if l.thread == thread {
			out = append(out, l)
		}
	}
	return out
}

// shorten leaves out of our lines what the recorder left out of his: lines like
// one that he had before, after as many as he kept.
func shorten(got, want []logged, cut []string) (out []logged) {
	kind := func(l logged) string {
		words := regexp.MustCompile(`^. "[^"]*"( err="[^ ]* ?)?`).FindString(l.text)
		return words
	}
	kept := map[string]int{}
	long := map[string]bool{}
	for _, l := range want {
		kept[kind(l)]++
		for _, c := range cut {
			_, c, _ = strings.Cut(c, "] ")
			c = neutral(c, "")
			n := min(len(c), len(l.text)-2, 40)
			if strings.HasPrefix(l.text[2:], c[:n]) {
				long[kind(l)] = true
			}
		}
	}
	for _, l := range got {
		if k := kind(l); long[k] {
			if kept[k]--; kept[k] < 0 {
				continue
			}
		}
		out = append(out, l)
	}
	return out
}

// matchLog compares one thread's lines, and the pauses between them.
func matchLog(t *testing.T, thread string, want, got []logged, zero, ours time.Time) {
	t.Helper()
	texts := func(list []logged) (out []string) {
		for _, l := range list {
			out = append(out, l.text)
		}
		return out
	}
	want, got = oneLast(want), oneLast(got)
	require.Equal(t, strings.Join(texts(want), "\n"), strings.Join(texts(got), "\n"), "what the thread %q says", thread)
	lastW, lastG := zero, ours
	for i := range want {
		a, b := want[i].at.Sub(lastW), got[i].at.Sub(lastG)
		slack := 350 * time.Millisecond
		for _, f := range floating {
			if f.text.MatchString(want[i].text) {
				slack += f.slack
			}
		}
		require.InDelta(t, a.Seconds(), b.Seconds(), slack.Seconds()+0.1*min(a, b).Seconds(), "the pause before %s", fmt.Sprint(i+1, " ", want[i].text))
		lastW, lastG = want[i].at, got[i].at
	}
}
