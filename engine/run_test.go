package engine_test

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
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

// A run tells what was done while a folder of recordings was made, a step a
// line; a line that begins with a tab goes on with the one before it.
//
//	world [SEED]           a fresh world: one node, only Kubernetes' own roles;
//	                       a seed by which chance falls about as in the recording
//	HOST$ COMMAND          typed there; it must end well
//	advance D              time passes; second: until the next full second
//	flag HOST UNIT F=V     a unit's flag, and the unit is restarted
//	token ID [KEY=V] [KEY] a bootstrap token's Secret, as the recordings' README
//	                       has it; KEY=V changes a key of it, KEY alone drops it
//	authority NAME CN HOST another CA: /etc/kubernetes/pki/NAME.crt and .key there
//	serving FILE CA        a certificate for the API server by that CA: FILE.crt
//	                       and FILE.key on control-1
//	request NAME SIGNER    the admin makes a CSR; a name that ends in - is completed
//	label NAME KEY=VALUE   the admin puts a label on a CSR
//	carry HOST FILE HOST FILE  a file goes from one host to another
//	certificate FILE NODE  a client certificate of a node with its key on node-1,
//	                       valid for a day, or from=D until=D as seen from now;
//	                       with the word nokey without the key
//	kubeconfig [FILE]      the kubelet.conf that names kubelet-client-current.pem, or
//	                       another file
//	presents KIND          the API server presents another certificate from now on:
//	                       see badServers
//	embed FILE             a kubelet.conf with the certificate of a file in it
//	config KEY VALUE       another value in config.yaml
//	flags OLD NEW          another flag in the unit
//	look                   remembers which CSRs are pending
//	deny PATH, allow       node-1's disk is read-only below a path
//	kubelet NODE [K=V]…    node-1 as the recorder set a kubelet up, under that
//	                       name: see install
//	begin                  what is shown counts from here
//	VERB PATTERN …         the recordings of that name show what happened since
//	                       begin: see shows
type run struct {
	w      *engine.World
	node   string
	obs    []trace.Observation
	from   int // where obs stood at begin
	began  time.Time
	before int      // how many CSRs there were then
	calls  int      // that curl made
	looked []string // what look saw
	shown  []shown
}

// shown is what a step of the run shows, to be compared with recordings.
type shown struct {
	verb, pattern string
	compare       func(t *testing.T, text string)
}

// shows are the verbs that show something.
var shows = map[string]func(t *testing.T, r *run, args []string) func(t *testing.T, text string){
	"log":    showLog,
	"lines":  showLines,
	"head":   showHead,
	"audit":  showAudit,
	"calls":  showCalls,
	"files":  showFiles,
	"csr":    showCSR,
	"csrs":   showCSRs,
	"port":   showPort,
	"curl":   showCurl,
	"answer": showAnswer,
	"times":  showTimes,

	"addresses": showAddresses,
	"decided":   showDecided,
	"kubectl":   showKubectl,
	"rows":      showRows,
	"x509":      showX509,
	"asked":     showRequest,
	"alert":     showAlert,
	"node":      showNode,
	"lives":     showLives,
	"lost":      showLost,
	"metrics":   showMetrics,
	"seconds":   showSeconds,
	"watches":   showWatches,
}

// playRun plays the run of a folder to its end.
func playRun(t *testing.T, folder string) *run {
	t.Helper()
	file := filepath.Join("testdata/runs", folder+".txt")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	r := &run{}
	text := strings.ReplaceAll(string(b), "\n\t", "\x00")
	for n, line := range strings.Split(text, "\n") {
		line = strings.ReplaceAll(line, "\x00", "\n")
		if line != "" && line[0] != '#' {
			r.step(t, fmt.Sprintf("%s, step %d: %s", file, n+1, line), line)
		}
	}
	return r
}

var typed = regexp.MustCompile(`^([a-z0-9-]+)\$ `)

func (r *run) step(t *testing.T, where, line string) {
	t.Helper()
	if m := typed.FindStringSubmatch(line); m != nil {
		r.say(t, where, m[1], r.withNames(t, where, strings.TrimPrefix(line, m[0])))
		return
	}
	args := strings.Fields(line)
	if show := shows[args[0]]; show != nil {
		r.shown = append(r.shown, shown{args[0], args[1], show(t, r, args[2:])})
		return
	}
	switch args[0] {
	case "world":
		seed := append(args, "golden")[1]
		w, err := engine.New(engine.Config{Seed: seed})
		require.NoError(t, err, where)
		r.w, r.obs = w, nil
	case "advance":
		d, err := time.ParseDuration(args[1])
		require.NoError(t, err, where)
		r.w.AdvanceTo(r.w.Now().Add(d))
		r.obs = append(r.obs, r.w.Drain()...)
	case "begin":
		r.from, r.before, r.began = len(r.obs), len(r.csrNamesMade()), r.w.Now()
	case "second":
		r.w.AdvanceTo(r.w.Now().Truncate(time.Second).Add(time.Second))
		r.obs = append(r.obs, r.w.Drain()...)
	case "flag":
		name, value, _ := strings.Cut(args[3], "=")
		require.NoError(t, r.w.Apply(engine.Input{Flag: &engine.Flag{Host: args[1], Unit: args[2], Name: name, Value: value}}), where)
	case "token":
		r.token(t, where, args[1:])
	case "certificate":
		r.certificate(t, where, args[1], args[2], args[3:])
	case "kubeconfig":
		const current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
		r.write(t, where, "node-1", "/var/lib/kubelet/kubelet.conf", strings.ReplaceAll(currentConf, current, append(args, current)[1]))
	case "presents":
		present(t, r.w, args[1])
		r.w.AdvanceTo(r.w.Now().Add(time.Second))
		r.obs = append(r.obs, r.w.Drain()...)
	case "embed":
		pair, err := r.w.Disk("node-1").ReadFile(args[1])
		require.NoError(t, err, where)
		data := base64.StdEncoding.EncodeToString(pair)
		r.write(t, where, "node-1", "/var/lib/kubelet/kubelet.conf", strings.Replace(currentConf, "{client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem, client-key: /var/lib/kubelet/pki/kubelet-client-current.pem}",
			"{client-certificate-data: "+data+", client-key-data: "+data+"}", 1))
	case "deny":
		require.NoError(t, r.w.Apply(engine.Input{Fault: &engine.Fault{Where: engine.Place{On: "disk", Host: "node-1"}, Match: args[1], Effect: engine.DenyWrite}}), where)
		r.w.AdvanceTo(r.w.Now().Add(time.Millisecond))
	case "look":
		r.looked = append(r.looked, r.pending()...)
	case "config":
		// The line of config.yaml with that key gets another value.
		b, err := r.w.Disk("node-1").ReadFile("/var/lib/kubelet/config.yaml")
		require.NoError(t, err, where)
		was := regexp.MustCompile(`(?m)\b` + args[1] + `: [^ }\n]+`).FindString(string(b))
		require.NotEmpty(t, was, where)
		r.write(t, where, "node-1", "/var/lib/kubelet/config.yaml", strings.Replace(string(b), was, args[1]+": "+args[2], 1))
	case "flags":
		// The unit's command line gets another last flag.
		const unit = "/etc/systemd/system/kubelet.service"
		b, err := r.w.Disk("node-1").ReadFile(unit)
		require.NoError(t, err, where)
		r.write(t, where, "node-1", unit, strings.Replace(string(b), args[1], args[2], 1))
	case "allow":
		require.NoError(t, r.w.Apply(engine.Input{Lift: &engine.Lift{Faults: "all"}}), where)
		r.w.AdvanceTo(r.w.Now().Add(time.Millisecond))
	case "authority":
		now := r.w.Now()
		ca, err := pki.NewAuthority(pki.Keyring{Seed: "golden"}, args[1], args[2], now.Add(-time.Hour), now.AddDate(10, 0, 0))
		require.NoError(t, err, where)
		r.write(t, where, args[3], "/etc/kubernetes/pki/"+args[1]+".crt", string(ca.CertPEM()))
		r.write(t, where, args[3], "/etc/kubernetes/pki/"+args[1]+".key", string(pki.KeyPEM(ca.Key)))
	case "serving":
		r.serving(t, where, args[1], args[2])
	case "request":
		r.request(t, where, args[1], args[2])
	case "label":
		key, value, _ := strings.Cut(args[2], "=")
		body, status, _ := r.ask(t, "10.0.0.10:6443", "admin", sim.Request{Method: "PATCH", URL: csrsPath + "/" + args[1], Header: http.Header{"Content-Type": {"application/merge-patch+json"}},
			Body: fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q}}}`, key, value)})
		require.Equal(t, "200", status, "%s: %s", where, body)
	case "carry":
		b, err := r.w.Disk(args[1]).ReadFile(args[2])
		require.NoError(t, err, where)
		r.write(t, where, args[3], args[4], string(b))
	case "kubelet":
		r.install(t, where, args[1:])
	default:
		require.Fail(t, "no step of a run", where)
	}
}

// say types a line and waits for its end.
func (r *run) say(t *testing.T, where, host, line string) string {
	t.Helper()
	obs, err := r.w.Say(host, line, time.Minute)
	require.NoError(t, err, where)
	r.obs = append(r.obs, obs...)
	out, status := "", "none"
	for _, o := range obs {
		switch o.Kind {
		case trace.Printed:
			out += o.Payload
		case trace.Done:
			status = o.Args["status"]
		}
	}
	require.Equal(t, "0", status, "%s\n%s", where, out)
	return out
}

func (r *run) write(t *testing.T, where, host, file, text string) {
	t.Helper()
	r.say(t, where, host, "cat > "+file+" <<'EOF'\n"+strings.TrimSuffix(text, "\n")+"\nEOF")
}

// compare holds a recording against what the run shows for it.
func (r *run) compare(t *testing.T, rec golden.Recording) {
	n := 0
	for _, s := range r.shown {
		ok, err := path.Match(s.pattern, rec.File)
		require.NoError(t, err, s.pattern)
		if ok {
			n++
			s.compare(t, rec.Text(t))
		}
	}
	require.Positive(t, n, "no step of testdata/runs/%s.txt shows what is in this file", rec.Folder)
}

// token makes the Secret of a bootstrap token, called S(id) in the recordings'
// README.
func (r *run) token(t *testing.T, where string, args []string) {
	t.Helper()
	id := args[0]
	data := map[string]string{"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
		"usage-bootstrap-signing": "true", "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}
	for _, a := range args[1:] {
		key, value, ok := strings.Cut(a, "=")
		if data[key] = value; !ok {
			delete(data, key)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "kubectl create -f - <<'EOF'\napiVersion: v1\nkind: Secret\nmetadata:\n  name: bootstrap-token-%s\n  namespace: kube-system\ntype: bootstrap.kubernetes.io/token\nstringData:\n", id)
	for key, value := range data {
		fmt.Fprintf(&b, "  %s: %q\n", key, value)
	}
	r.say(t, where, "admin", b.String()+"EOF")
}

// options of a kubelet, with what the recorder had.
var options = map[string]string{
	"token":   "abcdef.0123456789abcdef",
	"rotate":  "true",  // rotateCertificates
	"serving": "false", // serverTLSBootstrap
	"boot":    "/var/lib/kubelet/bootstrap-kubelet.conf",
	"ca":      "/etc/kubernetes/pki/ca.crt", // what is copied to /var/lib/kubelet/ca.crt
	"port":    "10262",
	"server":  "10.0.0.10:6443", // where the bootstrap kubeconfig leads
	"flags":   "",
	"keep":    "", // true: what is in /var/lib/kubelet stays
}

// install makes node-1 a node as the recorder made one: nothing but a CA, a
// bootstrap kubeconfig and a configuration in /var/lib/kubelet.
func (r *run) install(t *testing.T, where string, args []string) {
	t.Helper()
	r.node = args[0]
	o := map[string]string{}
	for k, v := range options {
		o[k] = v
	}
	for _, a := range args[1:] {
		k, v, ok := strings.Cut(a, "=")
		_, known := options[k]
		require.True(t, ok && known, "%s: no option %q", where, a)
		o[k] = v
	}
	clean := "rm -rf /var/lib/kubelet; "
	if o["keep"] != "" {
		clean = ""
	}
	r.say(t, where, "node-1", "systemctl stop kubelet; "+clean+"mkdir -p /var/lib/kubelet; cp "+o["ca"]+" /var/lib/kubelet/ca.crt; chmod 644 /var/lib/kubelet/ca.crt")
	if o["boot"] != "" {
		r.write(t, where, "node-1", "/var/lib/kubelet/bootstrap-kubelet.conf", fmt.Sprintf(bootstrapConf, o["server"], o["token"]))
	}
	r.write(t, where, "node-1", "/var/lib/kubelet/config.yaml", fmt.Sprintf(configYAML, o["port"], o["rotate"], o["serving"]))
	boot := ""
	if o["boot"] != "" {
		boot = " --bootstrap-kubeconfig=" + o["boot"]
	}
	r.write(t, where, "node-1", "/etc/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet --config=/var/lib/kubelet/config.yaml"+boot+
		" --kubeconfig=/var/lib/kubelet/kubelet.conf --cert-dir=/var/lib/kubelet/pki --root-dir=/var/lib/kubelet/root --hostname-override="+r.node+" "+strings.ReplaceAll(o["flags"], ",", " ")+" --v=4\n")
}

// identity is the chain of a client certificate of the cluster's CA.
func (r *run) identity(t *testing.T, who string) [][]byte {
	t.Helper()
	subject := map[string]pkix.Name{
		"alice": {CommonName: "alice", Organization: []string{"dev"}},
		"admin": {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
	}[who]
	require.NotEmpty(t, subject.CommonName, who)
	ca := r.ca(t)
	now := r.w.Now()
	leaf, err := ca.Leaf(pki.LeafSpec{Subject: subject, Client: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(23 * time.Hour), Serial: []byte{7}}, pki.Keyring{Seed: "golden"}.ECDSA(who).Public())
	require.NoError(t, err)
	list, err := pki.ParseCerts(leaf)
	require.NoError(t, err)
	return [][]byte{list[0].Raw}
}

// certificate writes a node's client certificate and its key into a file.
func (r *run) certificate(t *testing.T, where, file, node string, args []string) {
	t.Helper()
	ca := r.ca(t)
	withKey, from, until := true, time.Duration(0), 24*time.Hour
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		var err error
		switch k {
		case "nokey":
			withKey = false
		case "from":
			from, err = time.ParseDuration(v)
		case "until":
			until, err = time.ParseDuration(v)
		default:
			require.Fail(t, "no such word", "%s: %s", where, a)
		}
		require.NoError(t, err, where)
	}
	now := r.w.Now()
	key := pki.Keyring{Seed: "golden"}.ECDSA(node)
	cert, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}, Client: true,
		NotBefore: now.Add(from), NotAfter: now.Add(until), Serial: []byte{8}}, key.Public())
	require.NoError(t, err)
	if !withKey {
		r.write(t, where, "node-1", file, string(cert))
		return
	}
	r.write(t, where, "node-1", file, string(pki.KeyPair(cert, pki.KeyPEM(key))))
	r.say(t, where, "node-1", "chmod 600 "+file)
}

// request makes a CSR as the admin.
func (r *run) request(t *testing.T, where, name, signer string) {
	t.Helper()
	csr, err := pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA(name), pki.Request{Subject: pkix.Name{CommonName: name}, DNS: []string{name}})
	require.NoError(t, err, where)
	key := "name"
	if strings.HasSuffix(name, "-") {
		key = "generateName"
	}
	r.say(t, where, "admin", fmt.Sprintf("kubectl create -f - <<'EOF'\napiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {%s: %s}\nspec: {signerName: %s, usages: [server auth], request: %s}\nEOF",
		key, name, signer, base64.StdEncoding.EncodeToString(csr)))
}

// serving writes a pair for the API server.
func (r *run) serving(t *testing.T, where, file, by string) {
	t.Helper()
	now := r.w.Now()
	key := pki.Keyring{Seed: "golden"}.ECDSA(file)
	cert, err := r.authority(t, by).Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, DNS: []string{"kubernetes", "localhost"}, IPs: []net.IP{{10, 0, 0, 10}}, Server: true,
		NotBefore: now.Add(-5 * time.Minute), NotAfter: now.Add(24 * time.Hour), Serial: []byte{9}}, key.Public())
	require.NoError(t, err, where)
	r.write(t, where, "control-1", file+".crt", string(cert))
	r.write(t, where, "control-1", file+".key", string(pki.KeyPEM(key)))
}

func (r *run) ca(t *testing.T) *pki.Authority { return r.authority(t, "ca") }

// authority is a CA whose pair is on control-1.
func (r *run) authority(t *testing.T, name string) *pki.Authority {
	t.Helper()
	disk := r.w.Disk("control-1")
	cert, err := disk.ReadFile("/etc/kubernetes/pki/" + name + ".crt")
	require.NoError(t, err)
	key, err := disk.ReadFile("/etc/kubernetes/pki/" + name + ".key")
	require.NoError(t, err)
	ca, err := pki.ParseAuthority(cert, key)
	require.NoError(t, err)
	return ca
}

const currentConf = `apiVersion: v1
clusters:
- cluster: {certificate-authority: /var/lib/kubelet/ca.crt, server: "https://10.0.0.10:6443"}
  name: default-cluster
contexts:
- context: {cluster: default-cluster, namespace: default, user: default-auth}
  name: default-context
current-context: default-context
kind: Config
users:
- name: default-auth
  user: {client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem, client-key: /var/lib/kubelet/pki/kubelet-client-current.pem}
`

const bootstrapConf = `apiVersion: v1
kind: Config
clusters:
- name: oracle
  cluster: {server: "https://%s", certificate-authority: /var/lib/kubelet/ca.crt}
users:
- name: tls-bootstrap-token-user
  user: {token: %s}
contexts:
- name: ctx
  context: {cluster: oracle, user: tls-bootstrap-token-user}
current-context: ctx
`

const configYAML = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
port: %s
healthzPort: 0
readOnlyPort: 0
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: /var/lib/kubelet/ca.crt}
authorization: {mode: Webhook}
rotateCertificates: %s
serverTLSBootstrap: %s
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
localStorageCapacityIsolation: false
containerRuntimeEndpoint: unix:///etc/kubernetes/cri.sock
staticPodPath: ""
`
