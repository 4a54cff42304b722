package engine_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// The nodes of n-apiserver-to-kubelet, in order: node-1 has the port 10251.
var recordedNodes = []string{"n-selfsigned", "n-serving-csr", "n-expired", "n-wrongname"}

// What the recorded API servers differ in: the CA and the client certificate by
// which they call kubelets, and how they reach them.
var recordedServers = map[string]struct{ ca, cert, addresses string }{
	"A-no-kubelet-ca":        {"", "apiserver-kubelet-client", "InternalIP,ExternalIP,Hostname"},
	"B-kubelet-ca":           {"ca", "apiserver-kubelet-client", "InternalIP,ExternalIP,Hostname"},
	"C-no-client-cert":       {"ca", "", "InternalIP,ExternalIP,Hostname"},
	"D-client-cert-alice":    {"ca", "alice", "InternalIP,ExternalIP,Hostname"},
	"E-client-cert-other-ca": {"ca", "stranger", "InternalIP,ExternalIP,Hostname"},
	"F-wrong-kubelet-ca":     {"ca2", "apiserver-kubelet-client", "InternalIP,ExternalIP,Hostname"},
	"main":                   {"ca", "apiserver-kubelet-client", ""},
}

// terminal is the world in which commands are typed again.
type terminal struct {
	*city
	server, state string
	// heard is what happened since the server or the state is this one.
	heard []trace.Observation
	calls int
}

// playTerminal types the recorded commands again and compares what is printed, on
// both streams, and the status.
func playTerminal(t *testing.T, _ string) golden.Play {
	w := &terminal{city: &city{t, newWorld(t, engine.Config{Seed: "terminal", Nodes: len(recordedNodes)})}}
	w.prepare()
	return w.play
}

func (w *terminal) flag(host, unit, name, value string) {
	w.t.Helper()
	require.NoError(w.t, w.Apply(engine.Input{Flag: &engine.Flag{Host: host, Unit: unit, Name: name, Value: value}}))
}

// prepare makes the nodes, their pods and certificates.
func (w *terminal) prepare() {
	pair := func(host, name string, cert, key string) {
		for suffix, text := range map[string]string{".crt": cert, ".key": key} {
			require.Empty(w.t, w.say(host, "mkdir -p /etc/kubernetes/pki; cat > /etc/kubernetes/pki/"+name+suffix+" <<'EOF'\n"+text+"EOF"))
		}
	}
	other, err := pki.NewAuthority(pki.Keyring{Seed: "ca2"}, "ca2", "ca2", w.Now().Add(-time.Hour), w.Now().AddDate(10, 0, 0))
	require.NoError(w.t, err)
	pair("control-1", "ca2", string(other.CertPEM()), string(pki.KeyPEM(other.Key)))
	cert, key := w.leaf(w.cluster(), "alice", 24*time.Hour, false)
	pair("control-1", "alice", cert, key)
	pair("admin", "alice", cert, key)
	cert, key = w.leaf(other, "stranger", 24*time.Hour, false)
	pair("control-1", "stranger", cert, key)
	w.say("admin", "kubectl create clusterrolebinding join --clusterrole=system:node-bootstrapper --group=system:bootstrappers; kubectl create clusterrolebinding auto --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
	for i, node := range recordedNodes {
		host := fmt.Sprintf("node-%d", i+1)
		config := fmt.Sprintf("port: %d\n", 10251+i)
		switch node {
		case "n-serving-csr":
			config += "serverTLSBootstrap: true\n"
		case "n-expired":
			cert, key := w.serving(node, fmt.Sprintf("10.0.0.%d", 11+i), -time.Hour)
			pair(host, "serving", cert, key)
			config += "tlsCertFile: /etc/kubernetes/pki/serving.crt\ntlsPrivateKeyFile: /etc/kubernetes/pki/serving.key\n"
		case "n-wrongname":
			cert, key := w.serving("somewhere-else", "10.9.9.9", time.Hour*24)
			pair(host, "serving", cert, key)
			config += "tlsCertFile: /etc/kubernetes/pki/serving.crt\ntlsPrivateKeyFile: /etc/kubernetes/pki/serving.key\n"
		}
		w.say(host, "cat >> /var/lib/kubelet/config.yaml <<'EOF'\n"+config+"EOF")
		w.flag(host, "kubelet", "hostname-override", node)
		w.flag(host, "kubelet", "v", "4")
		w.say(host, "systemctl start kubelet")
	}
	w.pass(time.Minute)
	for i, node := range recordedNodes {
		require.Contains(w.t, w.say("admin", "kubectl create -f - <<'EOF'\napiVersion: v1\nkind: Pod\nmetadata: {name: p-"+node+", namespace: default}\nspec:\n  nodeName: "+node+"\n  containers: [{name: c, image: c}]\nEOF"), "created")
		uid := w.say("admin", "kubectl get pod p-"+node+" -o jsonpath='{.metadata.uid}'")
		dir := "/var/log/pods/default_p-" + node + "_" + uid + "/c"
		w.say(fmt.Sprintf("node-%d", i+1), "mkdir -p "+dir+"; printf '2026-01-01T00:00:00.000000000Z stdout F line %s\\n' 1 2 3 > "+dir+"/0.log")
	}
	w.pass(time.Second)
}

// serving is a kubelet's certificate for a name and an address, which ends after
// life.
func (w *terminal) serving(name, ip string, life time.Duration) (cert, key string) {
	k := pki.Keyring{Seed: "serving"}.ECDSA(name)
	c, err := w.cluster().Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "system:node:" + name, Organization: []string{"system:nodes"}}, Server: true, DNS: []string{name},
		IPs: []net.IP{net.ParseIP(ip).To4()}, NotBefore: w.Now().Add(min(-time.Minute, 2*life)), NotAfter: w.Now().Add(life), Serial: []byte{9}}, k.Public())
	require.NoError(w.t, err)
	return string(c), string(pki.KeyPEM(k))
}

var (
	terminalHead = regexp.MustCompile(`(?m)^# apiserver ([^ ,]+), node [^ ]+ \(([^)]+)\)\n`)
	terminalText = regexp.MustCompile(`(?s)^\$ kubectl (.*?)\n--- stdout\n(.*)--- stderr\n(.*)--- exit status (\d+)\n$`)
	certTime     = regexp.MustCompile(`(current time|is after|is before) [0-9T:-]+Z`)
)

// play types a recording's command at the API server that it was typed at.
func (w *terminal) play(t *testing.T, rec golden.Recording) {
	w.t = t
	switch text := rec.Text(t); {
	case strings.HasSuffix(rec.File, ".log"):
		w.compareLog(rec.File, text)
	case strings.Contains(rec.File, "-tls-"):
		i := slices.IndexFunc(recordedNodes, func(name string) bool { return strings.Contains(text, name) })
		comparePort(t, shake(t, w.World, fmt.Sprintf("10.0.0.%d:%d", 11+i, 10251+i)), strings.ReplaceAll(text, "192.0.2.2", fmt.Sprintf("10.0.0.%d", 11+i)))
	case strings.HasSuffix(rec.File, "-port-forward.txt"):
		w.forward(text)
	case rec.Number <= 3:
		// His cluster was also that of other folders, and older.
		want := readCommand(t, text)
		got, obs := perform(t, w.World, "admin", want.line)
		w.heard = append(w.heard, obs...)
		mine := regexp.MustCompile(`^p?-?n-|system:node:n-`)
		want.stdout = rowKinds(t, mine, false, want.stdout)
		got.stdout = rowKinds(t, mine, false, regexp.MustCompile(`\b10\.0\.0\.1[1-4]\b`).ReplaceAllString(got.stdout, "192.0.2.2"))
		compareCommands(t, want, got)
	case rec.File == "49-approve-to-serving.txt":
		require.Contains(t, text, "first 200 of GET /api/v1/nodes/n-serving-csr/proxy/healthz 0.0 s after")
		from := w.Now()
		for w.typed("kubectl get --raw /api/v1/nodes/n-serving-csr/proxy/healthz")["stdout"] != "ok" {
			require.Less(t, w.Now().Sub(from), 50*time.Millisecond)
		}
	default:
		w.command(t, rec, text)
	}
	w.requests(rec)
}

// requests sends what the recorder sent besides: after his commands with
// --insecure-skip-tls-verify-backend those of the two files that follow, which
// engine/api compares.
func (w *terminal) requests(rec golden.Recording) {
	if !strings.HasSuffix(rec.File, "-logs-insecure-backend.txt") {
		return
	}
	for n, call := range []string{"log", "node-proxy"} {
		files, err := filepath.Glob(filepath.Join(filepath.Dir(rec.Path), fmt.Sprintf("%02d-*-%s.json", rec.Number+1+n, call)))
		require.NoError(w.t, err)
		if len(files) == 0 {
			continue // kept apart
		}
		b, err := os.ReadFile(files[0])
		require.NoError(w.t, err)
		var x struct {
			Request struct{ Method, Path string }
		}
		require.NoError(w.t, json.Unmarshal(b, &x))
		w.calls++
		cert, err := w.admin()
		require.NoError(w.t, err)
		require.NoError(w.t, w.Apply(engine.Input{External: &engine.External{ID: fmt.Sprint("call-", w.calls), Addr: "10.0.0.10:6443",
			Request: sim.Request{Method: x.Request.Method, URL: x.Request.Path, Header: http.Header{}, Remote: "10.0.0.2:40000", Peer: cert}}}))
		w.AdvanceTo(w.Now().Add(50 * time.Millisecond))
		w.heard = append(w.heard, w.Drain()...)
	}
}

// admin is the chain of the admin's certificate.
func (w *terminal) admin() ([][]byte, error) {
	k := pki.Keyring{Seed: "admin"}.ECDSA("admin")
	c, err := w.cluster().Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}, Client: true, NotBefore: w.Now().Add(-time.Hour), NotAfter: w.Now().Add(time.Hour), Serial: []byte{7}}, k.Public())
	if err != nil {
		return nil, err
	}
	list, err := pki.ParseCerts(c)
	return [][]byte{list[0].Raw}, err
}

// forward types a port-forward, which in the recordings begins to forward or
// fails.
func (w *terminal) forward(text string) {
	m := regexp.MustCompile(`(?s)^\$ (kubectl .*?)   #.*?--- stdout and stderr\n(.*)--- exit status (\w+) `).FindStringSubmatch(text)
	require.NotNil(w.t, m, "a recording of another form")
	got := w.typed(m[1])
	if m[3] != "None" {
		require.Equal(w.t, w.plain(m[2]), w.plain(got["stdout"]+got["stderr"]))
		require.Equal(w.t, m[3], got["status"])
		return
	}
	// He sent a request through it then. Here nobody listens in a pod.
	begun, _, _ := strings.Cut(m[2], "Handling connection for")
	require.Equal(w.t, begun, got["stdout"])
	require.Contains(w.t, got["stderr"], "error: the connection to the pod stands, but its processes are not simulated")
	require.Equal(w.t, "1", got["status"])
}

// command types what was typed.
func (w *terminal) command(t *testing.T, rec golden.Recording, text string) {
	if m := terminalHead.FindStringSubmatch(text); m != nil {
		w.become(m[1], m[2])
		text = strings.TrimPrefix(text, m[0])
	}
	if rec.File == "49-approve-serving.txt" {
		w.become("B-kubelet-ca", "signed")
	}
	m := terminalText.FindStringSubmatch(text)
	require.NotNil(t, m, "a recording of another form")
	line := "kubectl " + csrNames.ReplaceAllString(m[1], "$(kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -o name)")
	if strings.Contains(rec.File, "-alice-") {
		line = "kubectl --server=https://10.0.0.10:6443 --kubeconfig=/tmp/alice.conf " + m[1]
		w.say("admin", "cat > /tmp/alice.conf <<'EOF'\nclusters: [{name: k, cluster: {server: 'https://10.0.0.10:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {client-certificate: /etc/kubernetes/pki/alice.crt, client-key: /etc/kubernetes/pki/alice.key}}]\nEOF")
	}
	got := w.typed(line)
	if strings.HasSuffix(rec.File, "-attach.txt") {
		// "attached" was all that the recorder's fake runtime had to say. Here the
		// kubelet says what there is not.
		require.Equal(t, "attached\n", m[2])
		require.Empty(t, got["stdout"])
		rest, ok := strings.CutPrefix(got["stderr"], m[3])
		require.True(t, ok, got["stderr"])
		require.Contains(t, rest, "error: the connection to the container stands, but its process is not simulated")
		require.Equal(t, "1", got["status"])
		return
	}
	if strings.HasSuffix(rec.File, "-exec-fail.txt") {
		// So the recorder's fake runtime, and what note.txt says of a real one.
		require.Contains(t, m[3], "error executing command in container: exit status 3")
		require.Equal(t, "command terminated with exit code 3\n", got["stderr"])
		require.Equal(t, "3", got["status"])
		return
	}
	if strings.HasSuffix(rec.File, "-exec-nocmd.txt") {
		// A real runtime says more about who did not find it.
		got["stderr"] = regexp.MustCompile(`failed to exec in container: failed to start exec "[0-9a-f]{64}": OCI runtime exec failed: exec failed: unable to start container process: `).ReplaceAllString(got["stderr"], "")
	}
	require.Equal(t, w.plain(m[2]), w.plain(got["stdout"]))
	require.Equal(t, w.plain(m[3]), w.plain(got["stderr"]))
	require.Equal(t, m[4], got["status"])
}

// typed is what a line at the admin's printed, by stream, and its status.
func (w *terminal) typed(line string) map[string]string {
	obs, err := w.Say("admin", line, time.Minute)
	require.NoError(w.t, err)
	w.heard = append(w.heard, obs...)
	got := map[string]string{}
	for _, o := range obs {
		switch o.Kind {
		case trace.Printed:
			got[o.Args["stream"]] += o.Payload
		case trace.Done:
			got["status"] = o.Args["status"]
		}
	}
	return got
}

// plain takes out of a text what differs from place to place: addresses, and times.
func (w *terminal) plain(text string) string {
	for i := range recordedNodes {
		text = strings.ReplaceAll(text, fmt.Sprintf("192.0.2.2:%d", 10251+i), fmt.Sprintf("10.0.0.%d:%d", 11+i, 10251+i))
		text = strings.ReplaceAll(text, fmt.Sprintf("certificate for 10.0.0.%d ", 11+i), "certificate for 192.0.2.2 ")
		text = strings.ReplaceAll(text, fmt.Sprintf("not 10.0.0.%d\n", 11+i), "not 192.0.2.2\n")
	}
	for _, d := range []struct{ form, by string }{
		{`\d{4}-\d\d-\d\dT[0-9:.]+Z line`, "TIME line"},
		{`(process_start_time_seconds) 1\.\d+e\+09`, "$1 N"},
	} {
		text = regexp.MustCompile(d.form).ReplaceAllString(text, d.by)
	}
	return certTime.ReplaceAllString(csrNames.ReplaceAllString(strings.ReplaceAll(text, "192.0.2.53", "10.0.0.2"), "${1}CSR"), "$1 TIME")
}

// become makes the API server the recorded one, and the node what it was then.
func (w *terminal) become(server, state string) {
	if w.state != state {
		w.heard = nil
		switch w.state = state; state {
		case "kubelet-down":
			w.say("node-4", "systemctl stop kubelet")
		}
	}
	if w.server == server {
		return
	}
	w.server, w.heard = server, nil
	s, known := recordedServers[server]
	require.True(w.t, known, server)
	file := func(name, suffix string) string {
		if name == "" {
			return ""
		}
		return "/etc/kubernetes/pki/" + name + suffix
	}
	w.say("control-1", "systemctl stop kube-apiserver")
	w.flag("control-1", "kube-apiserver", "kubelet-certificate-authority", file(s.ca, ".crt"))
	w.flag("control-1", "kube-apiserver", "kubelet-client-certificate", file(s.cert, ".crt"))
	w.flag("control-1", "kube-apiserver", "kubelet-client-key", file(s.cert, ".key"))
	w.flag("control-1", "kube-apiserver", "kubelet-preferred-address-types", s.addresses)
	w.say("control-1", "systemctl start kube-apiserver")
	w.pass(30 * time.Second)
}

// portPlaces are the places whose lines are compared, each a thread of its own. Those
// of a kubelet's certificate are compared in other folders.
var portPlaces = regexp.MustCompile(`^([IWEF])\d{4} \S+ +\d+ ((?:httplog|server|status|streamtunnel)\.go:\d+|\?\?\?:1)\] (.*)$`)

// compareLog holds the lines of an API server or a kubelet against those of the
// recorded one since it was asked, in their order. Where the recorder left
// lines out, and of the API server's requests, ours may be more.
func (w *terminal) compareLog(file, text string) {
	actor, all := "control-1/kube-apiserver", false
	if strings.HasSuffix(file, "-kubelet.log") {
		i := slices.IndexFunc(recordedNodes, func(node string) bool {
			return strings.Contains(map[string]string{"self-signed": "n-selfsigned", "pending": "n-serving-csr", "signed": "n-serving-csr", "expired": "n-expired", "wrong-name": "n-wrongname"}[stateOf(file)], node)
		})
		actor, all = fmt.Sprintf("node-%d/kubelet", i+1), !strings.Contains(text, "lines like the one above left out")
	}
	var lines []string
	for _, o := range w.heard {
		if o.Kind == trace.Log && o.Actor == actor {
			lines = append(lines, o.Payload)
		}
	}
	want, got := w.threads(strings.Split(text, "\n")), w.threads(lines)
	require.NotEmpty(w.t, want, "nothing in this log is compared")
	for source, list := range want {
		if all {
			require.Equal(w.t, strings.Join(list, "\n"), strings.Join(got[source], "\n"))
			continue
		}
		rest := got[source]
		for _, line := range list {
			i := slices.Index(rest, line)
			require.GreaterOrEqual(w.t, i, 0, "not logged: %s\nbut:\n%s", line, strings.Join(rest, "\n"))
			rest = rest[i+1:]
		}
	}
}

// stateOf is the state that a file's name tells: NN-LETTER-STATE-WHAT.
func stateOf(file string) string {
	m := regexp.MustCompile(`^\d+-\w-(.*)-(kubelet|apiserver)\.log$`).FindStringSubmatch(file)
	if m == nil {
		return ""
	}
	return m[1]
}

// threads are the lines by their place, without what differs from run to run.
func (w *terminal) threads(lines []string) map[string][]string {
	out := map[string][]string{}
	for _, line := range lines {
		line, _, _ = strings.Cut(line, "\n")
		m := portPlaces.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		text := m[3]
		for _, d := range []struct{ form, by string }{
			{` latency="[^"]*"| audit-ID="[^"]*"| srcIP="[^"]*"| apf_\w+=("[^"]*"|\d)| statusStack=<`, ""},
			{`0x[0-9a-f]+`, "POINTER"},
			{`userAgent="(\w+)[^"]*"`, `userAgent="$1"`},
			{`(handshake error from) [0-9.]+:\d+`, "$1 CLIENT"},
			{`\b(SN|AKID|SKID)=[0-9A-F:]*`, "$1="},
		} {
			text = regexp.MustCompile(d.form).ReplaceAllString(text, d.by)
		}
		text = regexp.MustCompile(`10\.0\.0\.1[1-4]\b|192\.0\.2\.2\b`).ReplaceAllString(w.plain(text), "NODE")
		out[m[2]] = append(out[m[2]], m[1]+" "+text)
	}
	return out
}
