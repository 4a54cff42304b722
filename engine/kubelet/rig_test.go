package kubelet

import (
	"crypto/x509"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sent is a request that the kubelet sent.
type sent struct {
	At   time.Time
	Conn string
	Dial sim.Dial
	sim.Request
	stream uint64
}

// rig runs one kubelet against a server that a test writes.
type rig struct {
	t      testing.TB
	k      *Kubelet
	disk   *sim.Disk
	chance *sim.Chance
	ca     *pki.Authority
	now    time.Time
	queue  sim.Queue
	seq    uint64
	stream uint64

	// serve answers a request: a response, or a transport's error; neither
	// leaves it open.
	serve func(s sent) (*sim.Response, string)
	sent  []sent
	open  map[uint64]sent
	obs   []trace.Observation
	code  *int
	// answers are what the kubelet answered to requests, by stream; ports the
	// addresses at which it listens.
	answers map[uint64]*sim.Response
	ports   map[string]sim.Listen
}

const bootConf = `apiVersion: v1
clusters:
- cluster:
    certificate-authority: /etc/kubernetes/pki/ca.crt
    server: https://10.0.0.10:6443
  name: kubernetes
contexts:
- context: {cluster: kubernetes, user: boot}
  name: boot
current-context: boot
kind: Config
users:
- name: boot
  user: {token: 07401b.f395accd246ae52d}
`

const kubeletConf = "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nrotateCertificates: true\n"

const (
	csrPath    = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	leasesPath = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
)

func newRig(t testing.TB, args ...string) *rig {
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "t"}, "ca", "kubernetes", newYear.Add(-time.Hour), newYear.AddDate(10, 0, 0))
	require.NoError(t, err)
	r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, ca: ca, now: newYear, open: map[uint64]sent{}, answers: map[uint64]*sim.Response{}, ports: map[string]sim.Listen{}}
	r.serve = func(sent) (*sim.Response, string) { return status(403, "forbidden"), "" }
	for name, text := range map[string]string{"/etc/kubernetes/pki/ca.crt": string(ca.CertPEM()), "/etc/kubernetes/bootstrap-kubelet.conf": bootConf, "/var/lib/kubelet/config.yaml": kubeletConf} {
		require.NoError(t, r.disk.MkdirAll(name[:strings.LastIndex(name, "/")], 0o755, newYear))
		require.NoError(t, r.disk.WriteFile(name, []byte(text), 0o644, newYear))
	}
	r.start(args...)
	return r
}

// start starts a (new) process and runs what it does at once.
func (r *rig) start(args ...string) {
	base := []string{"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf", "--config=/var/lib/kubelet/config.yaml", "--v=2"}
	k, err := New(era.Must("1.36"), append(base, args...))
	require.NoError(r.t, err)
	r.k, r.queue, r.open, r.code = k, sim.Queue{}, map[uint64]sent{}, nil
	r.post(r.now, sim.Msg{Kind: sim.MsgStart})
}

func (r *rig) post(at time.Time, m sim.Msg) {
	r.seq++
	r.queue.Push(sim.Event{At: at, Seq: r.seq, Msg: m})
}

// run lets everything happen up to and at d after the start of the rig.
func (r *rig) run(d time.Duration) {
	for r.code == nil {
		at, ok := r.queue.Next()
		if !ok || at.After(newYear.Add(d)) {
			break
		}
		e := r.queue.Pop()
		r.now = e.At
		r.step(e.Msg)
	}
	if end := newYear.Add(d); r.now.Before(end) && r.code == nil {
		r.now = end
	}
}

func (r *rig) step(m sim.Msg) {
	c := &sim.Ctx{Now: r.now, Host: "node-1", IP: "10.0.0.11", Unit: "kubelet", PID: 7, Disk: r.disk, Chance: r.chance,
		NextStream: func() uint64 { r.stream++; return r.stream },
		Observe:    func(o trace.Observation) uint64 { r.obs = append(r.obs, o); return uint64(len(r.obs)) }}
	// The state must survive a snapshot at any moment.
	b, err := json.Marshal(r.k)
	require.NoError(r.t, err)
	k := new(Kubelet)
	require.NoError(r.t, json.Unmarshal(b, k))
	r.k = k
	k.Step(c, m)
	for _, e := range c.Effects {
		switch e.Kind {
		case sim.EffWake:
			r.post(e.At, sim.Msg{Kind: sim.MsgWake, Tag: e.Tag})
		case sim.EffExit:
			r.code = &e.Code
		case sim.EffReply:
			r.answers[e.Stream] = e.Resp
		case sim.EffListen:
			at := e.Listen.Addr
			if at[0] == ':' {
				at = "10.0.0.11" + at
			}
			r.ports[at] = *e.Listen
		case sim.EffCancel:
			delete(r.open, e.Stream)
		case sim.EffClose:
			for _, id := range slices.Sorted(maps.Keys(r.open)) {
				if r.open[id].Conn == e.Conn {
					delete(r.open, id)
					r.post(r.now, sim.Msg{Kind: sim.MsgFailed, Stream: id, Err: "http2: client connection force closed via ClientConn.Close"})
				}
			}
		case sim.EffSend:
			s := sent{At: r.now, Conn: e.Conn, Dial: *e.Dial, Request: *e.Req, stream: e.Stream}
			r.sent = append(r.sent, s)
			resp, failure := r.serve(s)
			at := r.now.Add(2 * time.Millisecond)
			switch {
			case failure != "":
				r.post(at, sim.Msg{Kind: sim.MsgFailed, Stream: e.Stream, Err: failure})
			case resp != nil:
				if resp.Stream {
					r.open[e.Stream] = s
				}
				r.post(at, sim.Msg{Kind: sim.MsgResponse, Stream: e.Stream, Resp: resp})
			}
		}
	}
}

// frame sends an event of the watch that is open at a path.
func (r *rig) frame(path, event string, object any) {
	b, err := json.Marshal(map[string]any{"type": event, "object": object})
	require.NoError(r.t, err)
	for _, id := range slices.Sorted(maps.Keys(r.open)) {
		if strings.HasPrefix(r.open[id].URL, path) {
			r.post(r.now.Add(time.Millisecond), sim.Msg{Kind: sim.MsgFrame, Stream: id, Data: append(b, '\n')})
			return
		}
	}
	require.Fail(r.t, "no watch at "+path)
}

func status(code int, message string) *sim.Response {
	b, _ := json.Marshal(metav1.Status{Status: "Failure", Message: message, Code: int32(code)})
	return &sim.Response{Code: code, Body: b}
}

func object(code int, o any) *sim.Response {
	b, _ := json.Marshal(o)
	return &sim.Response{Code: code, Body: b}
}

// csr is what the server keeps of a request that was posted.
func (r *rig) csr(s sent, name string) *certv1.CertificateSigningRequest {
	var x certv1.CertificateSigningRequest
	require.NoError(r.t, json.Unmarshal(s.Body, &x))
	x.Name, x.UID = name, "uid-"+"x"
	return &x
}

// sign approves a CSR and issues its certificate for life from now.
func (r *rig) sign(x *certv1.CertificateSigningRequest, life time.Duration) *certv1.CertificateSigningRequest {
	req, err := pki.ParseRequest(x.Spec.Request)
	require.NoError(r.t, err)
	cert, err := r.ca.Issue(req, pki.Policy{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore: r.now.Add(-5 * time.Minute), NotAfter: r.now.Add(life), Serial: []byte{1}})
	require.NoError(r.t, err)
	x.Status.Conditions = []certv1.CertificateSigningRequestCondition{{Type: certv1.CertificateApproved, Status: "True"}}
	x.Status.Certificate = cert
	return x
}

// cluster is a server that lets nodes with a certificate do everything.
func (r *rig) cluster(life time.Duration, approve bool) func(s sent) (*sim.Response, string) {
	n := 0
	var last *certv1.CertificateSigningRequest
	return func(s sent) (*sim.Response, string) {
		path, query, _ := strings.Cut(s.URL, "?")
		watch := strings.Contains(query, "watch=true")
		switch {
		case path == csrPath && s.Method == http.MethodPost:
			n++
			last = r.csr(s, "csr-"+string(rune('a'+n-1)))
			return object(201, last), ""
		case path == csrPath && watch:
			x := last
			if approve {
				x = r.sign(last, life)
			}
			r.post(r.now.Add(2*time.Millisecond), sim.Msg{Kind: sim.MsgFrame, Stream: s.stream, Data: frameOf("ADDED", x)})
			return &sim.Response{Code: 200, Stream: true}, ""
		case path == csrPath:
			return object(200, certv1.CertificateSigningRequestList{}), ""
		case len(s.Dial.Cert) == 0:
			return status(403, "User \"system:anonymous\" cannot"), ""
		case watch:
			return &sim.Response{Code: 200, Stream: true}, ""
		case strings.Contains(path, "/storage.") || strings.Contains(path, "/node.k8s") || strings.Contains(path, "/resource."):
			return status(404, "the server could not find the requested resource"), ""
		case s.Method == http.MethodGet && strings.HasPrefix(path, leasesPath):
			return status(404, "not found"), ""
		case s.Method == http.MethodPost:
			return &sim.Response{Code: 201, Body: s.Body}, ""
		default:
			return &sim.Response{Code: 200, Body: s.Body}, ""
		}
	}
}

func frameOf(event string, o any) []byte {
	b, _ := json.Marshal(map[string]any{"type": event, "object": o})
	return append(b, '\n')
}

// lines are the log lines without their headers' times.
func (r *rig) lines() []string {
	var out []string
	for _, o := range r.obs {
		if o.Kind == trace.Log {
			_, l, _ := strings.Cut(o.Payload, "       7 ")
			out = append(out, l)
		}
	}
	return out
}

func (r *rig) count(prefix string) int {
	n := 0
	for _, l := range r.lines() {
		if strings.HasPrefix(l, prefix) {
			n++
		}
	}
	return n
}

// phases are the phases in order, without repetitions.
func (r *rig) phases() []string {
	var out []string
	for _, o := range r.obs {
		if p := o.Args["phase"]; o.Kind == trace.Phase && (len(out) == 0 || out[len(out)-1] != p) {
			out = append(out, p)
		}
	}
	return out
}

// posts are the times of requests of a method and path, in seconds.
func (r *rig) times(method, path string) []float64 {
	var out []float64
	for _, s := range r.sent {
		if p, _, _ := strings.Cut(s.URL, "?"); s.Method == method && p == path {
			out = append(out, s.At.Sub(newYear).Seconds())
		}
	}
	return out
}
