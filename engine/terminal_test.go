package engine_test

import (
	"fmt"
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
			cert, key := w.serving(fmt.Sprintf("10.0.0.%d", 11+i), -time.Hour)
			pair(host, "serving", cert, key)
			config += "tlsCertFile: /etc/kubernetes/pki/serving.crt\ntlsPrivateKeyFile: /etc/kubernetes/pki/serving.key\n"
		case "n-wrongname":
			cert, key := w.serving("10.9.9.9", time.Hour*24)
			pair(host, "serving", cert, key)
			config += "tlsCertFile: /etc/kubernetes/pki/serving.crt\ntlsPrivateKeyFile: /etc/kubernetes/pki/serving.key\n"
		}
		w.say(host, "cat >> /var/lib/kubelet/config.yaml <<'EOF'\n"+config+"EOF")
		w.flag(host, "kubelet", "hostname-override", node)
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

// serving is a kubelet's certificate for an address, which ends after life.
func (w *terminal) serving(ip string, life time.Duration) (cert, key string) {
	return w.leafFor(w.cluster(), "system:node:"+ip, life, ip)
}

var (
	terminalHead = regexp.MustCompile(`(?m)^# apiserver ([^ ,]+), node [^ ]+ \(([^)]+)\)\n`)
	terminalText = regexp.MustCompile(`(?s)^\$ kubectl (.*?)\n--- stdout\n(.*)--- stderr\n(.*)--- exit status (\d+)\n$`)
	certTime     = regexp.MustCompile(`(current time|is after|is before) [0-9T:-]+Z`)
)

// play types a recording's command at the API server that it was typed at.
func (w *terminal) play(t *testing.T, rec golden.Recording) {
	w.t = t
	text := rec.Text(t)
	if m := terminalHead.FindStringSubmatch(text); m != nil {
		w.become(m[1], m[2])
		text = strings.TrimPrefix(text, m[0])
	}
	m := terminalText.FindStringSubmatch(text)
	require.NotNil(t, m, "a recording of another form")
	line := "kubectl " + m[1]
	if strings.Contains(rec.File, "-alice-") {
		line = "kubectl --server=https://10.0.0.10:6443 --kubeconfig=/tmp/alice.conf " + m[1]
		w.say("admin", "cat > /tmp/alice.conf <<'EOF'\nclusters: [{name: k, cluster: {server: 'https://10.0.0.10:6443', certificate-authority: /etc/kubernetes/pki/ca.crt}}]\ncontexts: [{name: c, context: {cluster: k, user: u}}]\ncurrent-context: c\nusers: [{name: u, user: {client-certificate: /etc/kubernetes/pki/alice.crt, client-key: /etc/kubernetes/pki/alice.key}}]\nEOF")
	}
	obs, err := w.Say("admin", line, time.Minute)
	require.NoError(t, err)
	got := map[string]string{}
	for _, o := range obs {
		switch o.Kind {
		case trace.Printed:
			got[o.Args["stream"]] += o.Payload
		case trace.Done:
			got["status"] = o.Args["status"]
		}
	}
	require.Equal(t, w.plain(m[2]), w.plain(got["stdout"]))
	require.Equal(t, w.plain(m[3]), w.plain(got["stderr"]))
	require.Equal(t, m[4], got["status"])
}

// plain takes out of a text what differs from place to place: addresses, and times.
func (w *terminal) plain(text string) string {
	for i := range recordedNodes {
		text = strings.ReplaceAll(text, fmt.Sprintf("192.0.2.2:%d", 10251+i), fmt.Sprintf("10.0.0.%d:%d", 11+i, 10251+i))
		text = strings.ReplaceAll(text, fmt.Sprintf("certificate for 10.0.0.%d ", 11+i), "certificate for 192.0.2.2 ")
		text = strings.ReplaceAll(text, fmt.Sprintf("not 10.0.0.%d\n", 11+i), "not 192.0.2.2\n")
	}
	return certTime.ReplaceAllString(strings.ReplaceAll(text, "192.0.2.53", "10.0.0.2"), "$1 TIME")
}

// become makes the API server the recorded one, and the node what it was then.
func (w *terminal) become(server, state string) {
	if w.state != state {
		switch w.state = state; state {
		case "signed":
			w.say("admin", "kubectl certificate approve $(kubectl get csr --field-selector spec.signerName=kubernetes.io/kubelet-serving -o name)")
			w.pass(30 * time.Second)
		case "kubelet-down":
			w.say("node-4", "systemctl stop kubelet")
		}
	}
	if w.server == server {
		return
	}
	w.server = server
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
