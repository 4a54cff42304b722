package controllers

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authzv1 "k8s.io/api/authorization/v1"
	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

var newYear = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

const caCrt, caKey = "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"

// rig runs one manager against a server that keeps CSRs and knows who may what.
type rig struct {
	t      testing.TB
	m      *ControllerManager
	disk   *sim.Disk
	chance *sim.Chance
	now    time.Time
	queue  sim.Queue
	seq    uint64
	stream uint64
	code   *int
	obs    []trace.Observation
	sent   []sim.Request
	dials  []string

	csrs    map[string]*certv1.CertificateSigningRequest
	objects map[string]object
	rv      int
	// tokens counts those given; bearers are the tokens of what was sent.
	tokens  int
	bearers []string
	refuse  func(method, path string) int
	// folds: a Lease is renewed by itself; silent: the server answers nothing.
	folds  bool
	silent bool
	notify []string
	// may is asked with the user and the subresource; down is a transport error.
	may   func(user, permission string) bool
	down  string
	watch map[string]uint64
}

const csrPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

func newRig(t testing.TB, args ...string) *rig {
	r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, now: newYear, csrs: map[string]*certv1.CertificateSigningRequest{}, objects: map[string]object{},
		may: func(string, string) bool { return false }, watch: map[string]uint64{}}
	kr := pki.Keyring{Seed: "t"}
	ca, err := pki.NewAuthority(kr, "ca", "kubernetes", newYear.Add(-time.Hour), newYear.AddDate(10, 0, 0))
	require.NoError(t, err)
	r.file(caCrt, ca.CertPEM())
	r.file(caKey, pki.KeyPEM(ca.Key))
	for file, user := range map[string]string{"controller-manager.conf": "manager"} {
		b64 := base64.StdEncoding.EncodeToString
		r.file("/etc/kubernetes/"+file, []byte(fmt.Sprintf(`clusters: [{name: k, cluster: {server: "https://10.0.0.10:6443", certificate-authority-data: %s}}]
contexts: [{name: c, context: {cluster: k, user: u}}]
current-context: c
users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}]
`, b64([]byte("CA")), b64([]byte(user)), b64([]byte("key")))))
	}
	r.start(args...)
	return r
}

func (r *rig) file(name string, data []byte) {
	if slices.Contains(r.notify, name) {
		r.post(r.now, sim.Msg{Kind: sim.MsgFile, Tag: name})
	}
	require.NoError(r.t, r.disk.MkdirAll(name[:strings.LastIndex(name, "/")], 0o755, newYear))
	require.NoError(r.t, r.disk.WriteFile(name, data, 0o600, newYear))
}

func (r *rig) start(args ...string) {
	base := []string{"--kubeconfig=/etc/kubernetes/controller-manager.conf", "--use-service-account-credentials=true", "--leader-elect=false",
		"--cluster-signing-cert-file=" + caCrt, "--cluster-signing-key-file=" + caKey, "--v=4"}
	m, err := New(era.Must("1.36"), append(base, args...))
	require.NoError(r.t, err)
	r.m = m
	r.post(r.now, sim.Msg{Kind: sim.MsgStart})
}

func (r *rig) post(at time.Time, m sim.Msg) {
	r.seq++
	r.queue.Push(sim.Event{At: at, Seq: r.seq, Msg: m})
}

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

func (r *rig) step(msg sim.Msg) {
	c := &sim.Ctx{Now: r.now, Host: "control-1", IP: "10.0.0.10", Unit: "kube-controller-manager", PID: 7, Disk: r.disk, Chance: r.chance,
		NextStream: func() uint64 { r.stream++; return r.stream },
		Observe:    func(o trace.Observation) uint64 { r.obs = append(r.obs, o); return uint64(len(r.obs)) }}
	// The state must survive a snapshot at any moment.
	b, err := json.Marshal(r.m)
	require.NoError(r.t, err)
	r.m = new(ControllerManager)
	require.NoError(r.t, json.Unmarshal(b, r.m))
	r.m.Step(c, msg)
	for _, e := range c.Effects {
		switch e.Kind {
		case sim.EffWake:
			r.post(e.At, sim.Msg{Kind: sim.MsgWake, Tag: e.Tag})
		case sim.EffExit:
			r.code = &e.Code
		case sim.EffNotify:
			r.notify = append(r.notify, e.Tag)
		case sim.EffSend:
			r.sent = append(r.sent, *e.Req)
			r.dials = append(r.dials, string(e.Dial.Cert))
			r.bearers = append(r.bearers, strings.TrimPrefix(e.Req.Header.Get("Authorization"), "Bearer "))
			if r.silent {
				continue
			}
			at := r.now.Add(2 * time.Millisecond)
			if r.down != "" {
				r.post(at, sim.Msg{Kind: sim.MsgFailed, Stream: e.Stream, Err: r.down})
			} else {
				resp := r.serve(e.Req, e.Stream)
				r.post(at, sim.Msg{Kind: sim.MsgResponse, Stream: e.Stream, Resp: resp})
			}
		}
	}
}

func (r *rig) serve(q *sim.Request, stream uint64) *sim.Response {
	path, query, _ := strings.Cut(q.URL, "?")
	name, sub, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, csrPath), "/"), "/")
	switch {
	case strings.Contains(query, "watch=true"):
		r.watch[path] = stream
		if !strings.Contains(query, "sendInitialEvents=true") {
			return &sim.Response{Code: 200, Stream: true}
		}
		if path == csrPath {
			for _, x := range r.csrs {
				r.frame("ADDED", x, 3*time.Millisecond)
			}
		}
		for _, key := range sorted(func() map[string]bool { have := map[string]bool{}; keysOf(r.objects, have); return have }()) {
			if strings.HasPrefix(key, path+"|") {
				r.event(path, "ADDED", r.objects[key], 3*time.Millisecond)
			}
		}
		mark := &certv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}}
		r.event(path, "BOOKMARK", mark, 4*time.Millisecond)
		return &sim.Response{Code: 200, Stream: true}
	case path == "/healthz":
		return &sim.Response{Code: 200, Body: []byte("ok")}
	case strings.HasPrefix(path, "/api/v1/"), strings.HasPrefix(path, "/apis/coordination.k8s.io/"):
		return r.keep(q, path)
	case strings.HasSuffix(path, "/subjectaccessreviews"):
		var x authzv1.SubjectAccessReview
		require.NoError(r.t, json.Unmarshal(q.Body, &x))
		require.Equal(r.t, "create certificates.k8s.io/certificatesigningrequests", x.Spec.ResourceAttributes.Verb+" "+x.Spec.ResourceAttributes.Group+"/"+x.Spec.ResourceAttributes.Resource)
		require.Equal(r.t, r.m.Program == "", x.Spec.ResourceAttributes.Version == "*")
		x.Status.Allowed = r.may(x.Spec.User, x.Spec.ResourceAttributes.Subresource)
		b, _ := json.Marshal(x)
		return &sim.Response{Code: 201, Body: b}
	case q.Method == "PUT":
		x := new(certv1.CertificateSigningRequest)
		require.NoError(r.t, json.Unmarshal(q.Body, x))
		if old := r.csrs[name]; old == nil || old.ResourceVersion != x.ResourceVersion {
			b, _ := json.Marshal(metav1.Status{Message: "the object has been modified"})
			return &sim.Response{Code: 409, Body: b}
		}
		require.Contains(r.t, []string{"approval", "status"}, sub)
		r.put(x)
		return &sim.Response{Code: 200, Body: q.Body}
	case q.Method == "GET" && r.csrs[name] != nil:
		b, _ := json.Marshal(r.csrs[name])
		return &sim.Response{Code: 200, Body: b}
	case q.Method == "DELETE":
		if x := r.csrs[name]; x != nil {
			delete(r.csrs, name)
			r.frame("DELETED", x, time.Millisecond)
		}
		return &sim.Response{Code: 200}
	}
	return &sim.Response{Code: 404}
}

// put stores a CSR and shows it to the watch.
func (r *rig) put(x *certv1.CertificateSigningRequest) {
	kind := "MODIFIED"
	if r.csrs[x.Name] == nil {
		kind = "ADDED"
		x.UID, x.CreationTimestamp = types.UID("uid-"+x.Name), metav1.Time{Time: r.now}
	}
	for i := range x.Status.Conditions {
		if x.Status.Conditions[i].LastUpdateTime.IsZero() {
			x.Status.Conditions[i].LastUpdateTime = metav1.Time{Time: r.now}
		}
	}
	r.rv++
	x.ResourceVersion = fmt.Sprint(r.rv)
	r.csrs[x.Name] = x
	r.frame(kind, x, time.Millisecond)
}

func (r *rig) frame(kind string, x *certv1.CertificateSigningRequest, d time.Duration) {
	r.event(csrPath, kind, x, d)
}

func (r *rig) event(path, kind string, x any, d time.Duration) {
	if r.watch[path] == 0 {
		return
	}
	b, err := json.Marshal(map[string]any{"type": kind, "object": x})
	require.NoError(r.t, err)
	r.post(r.now.Add(d), sim.Msg{Kind: sim.MsgFrame, Stream: r.watch[path], Data: append(b, '\n')})
}

// node is the CSR of a kubelet.
func node(t *testing.T, name, user string) *certv1.CertificateSigningRequest {
	csr, err := pki.NewRequest(pki.Keyring{Seed: "t"}.ECDSA("node"), pki.Request{Subject: pkix.Name{Organization: []string{"system:nodes"}, CommonName: "system:node:node-1"}})
	require.NoError(t, err)
	return &certv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: certv1.CertificateSigningRequestSpec{
		Request: csr, SignerName: certv1.KubeAPIServerClientKubeletSignerName, Usages: []certv1.KeyUsage{"digital signature", "client auth"}, Username: user, Groups: []string{"system:bootstrappers"}}}
}

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

// last is the last line of the log as it is.
func (r *rig) last() string {
	for i := len(r.obs) - 1; i >= 0; i-- {
		if r.obs[i].Kind == trace.Log {
			return r.obs[i].Payload
		}
	}
	return ""
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

// decisions are "controller verdict reason: message".
func (r *rig) decisions(subject string) []string {
	var out []string
	for _, o := range r.obs {
		if o.Kind == trace.Decision && o.Subject == subject {
			out = append(out, o.Args["verdict"]+" "+o.Args["reason"]+": "+o.Args["message"])
		}
	}
	return out
}
