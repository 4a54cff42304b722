package engine_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// cluster is a world whose API is called with raw requests, as the recorder's
// driver did.
type cluster struct {
	w     *engine.World
	calls int
	obs   []trace.Observation
}

// newCluster is a fresh cluster whose kube-controller-manager has the given
// flags, name=value; one without a value goes.
func newCluster(t *testing.T, flags ...string) *cluster {
	t.Helper()
	w, err := engine.New(engine.Config{Seed: "golden"})
	require.NoError(t, err)
	k := &cluster{w: w}
	for _, f := range flags {
		k.flag(t, f)
	}
	k.pass(3 * time.Second)
	return k
}

const kcmUnit = "kube-controller-manager"

func (k *cluster) flag(t *testing.T, f string) {
	t.Helper()
	name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
	require.NoError(t, k.w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: kcmUnit, Name: name, Value: value}}))
}

func (k *cluster) pass(d time.Duration) {
	k.w.AdvanceTo(k.w.Now().Add(d))
	k.obs = append(k.obs, k.w.Drain()...)
}

// say types a line at a host.
func (k *cluster) say(t *testing.T, host, line string) {
	t.Helper()
	obs, err := k.w.Say(host, line, time.Minute)
	require.NoError(t, err)
	k.obs = append(k.obs, obs...)
}

// subjects are who the recorder's certificates were for.
var subjects = map[string]pkix.Name{
	"kubernetes-admin (O=system:masters)": {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
	"alice":                               {CommonName: "alice", Organization: []string{"dev"}},
	"node-x":                              {CommonName: "system:node:node-x", Organization: []string{"system:nodes"}},
	"node-nogroup":                        {CommonName: "system:node:node-x"},
}

const adminName = "kubernetes-admin (O=system:masters)"

// ca is the cluster's CA.
func (k *cluster) ca(t *testing.T, name string) *pki.Authority {
	t.Helper()
	disk := k.w.Disk("control-1")
	cert, err := disk.ReadFile("/etc/kubernetes/pki/" + name + ".crt")
	require.NoError(t, err)
	key, err := disk.ReadFile("/etc/kubernetes/pki/" + name + ".key")
	require.NoError(t, err)
	a, err := pki.ParseAuthority(cert, key)
	require.NoError(t, err)
	return a
}

// call sends a request as someone and returns the answer.
func (k *cluster) call(t *testing.T, who, method, path string, body any) (code int, out map[string]any) {
	t.Helper()
	q := sim.Request{Method: method, URL: path, Header: http.Header{}, Remote: "10.0.0.2:40000"}
	if who != "anonymous" {
		require.Contains(t, subjects, who)
		now := k.w.Now()
		leaf, err := k.clientCA(t).Leaf(pki.LeafSpec{Subject: subjects[who], Client: true, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), Serial: []byte{7}}, pki.Keyring{Seed: "golden"}.ECDSA(who).Public())
		require.NoError(t, err)
		list, err := pki.ParseCerts(leaf)
		require.NoError(t, err)
		q.Peer = [][]byte{list[0].Raw}
	}
	if body != nil {
		b, err := json.Marshal(body)
		require.NoError(t, err)
		q.Body = b
		q.Header.Set("Content-Type", "application/json")
	}
	k.calls++
	id := fmt.Sprintf("call-%d", k.calls)
	require.NoError(t, k.w.Apply(engine.Input{External: &engine.External{ID: id, Addr: "10.0.0.10:6443", Request: q}}))
	from := len(k.obs)
	k.pass(5 * time.Millisecond)
	for _, o := range k.obs[from:] {
		if o.Kind == trace.Response && o.Args["external"] == id {
			fmt.Sscan(o.Args["code"], &code)
			require.NoError(t, json.Unmarshal([]byte(o.Payload), &out), o.Payload)
			return code, out
		}
	}
	require.Fail(t, "no answer", "%s %s", method, path)
	return 0, nil
}

// clientCA is the CA that the API server trusts, whatever the signers use.
func (k *cluster) clientCA(t *testing.T) *pki.Authority {
	t.Helper()
	disk := k.w.Disk("control-1")
	if _, err := disk.Stat("/etc/kubernetes/pki/client-ca.key"); err == nil {
		return k.ca(t, "client-ca")
	}
	return k.ca(t, "ca")
}

// apart gives the API server a bundle of its own, so that ca.crt and ca.key are
// only what the signers sign with.
func (k *cluster) apart(t *testing.T) {
	t.Helper()
	k.say(t, "control-1", "cd /etc/kubernetes/pki; cp ca.crt client-ca.crt; cp ca.key client-ca.key")
	require.NoError(t, k.w.Apply(engine.Input{Flag: &engine.Flag{Host: "control-1", Unit: "kube-apiserver", Name: "client-ca-file", Value: "/etc/kubernetes/pki/client-ca.crt"}}))
	k.pass(3 * time.Second)
}

// authority writes another CA to control-1.
func (k *cluster) authority(t *testing.T, name, cn string, from, to time.Time) {
	t.Helper()
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "golden"}, name, cn, from, to)
	require.NoError(t, err)
	k.file(t, name+".crt", ca.CertPEM())
	k.file(t, name+".key", pki.KeyPEM(ca.Key))
}

func (k *cluster) file(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NoError(t, k.w.Disk("control-1").WriteFile("/etc/kubernetes/pki/"+name, data, 0o600, k.w.Now()))
}

// as turns a body into an object of a type.
func as[T any](t *testing.T, body map[string]any) *T {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	o := new(T)
	require.NoError(t, json.Unmarshal(b, o))
	return o
}

// csrOf is a CSR of a kind that the driver often made.
func csrOf(t *testing.T, name, signer string) *certv1.CertificateSigningRequest {
	t.Helper()
	r, usage := pki.Request{Subject: pkix.Name{CommonName: "system:node:node-x", Organization: []string{"system:nodes"}}}, certv1.UsageClientAuth
	switch signer {
	case certv1.KubeletServingSignerName:
		r.DNS, usage = []string{"node-x"}, certv1.UsageServerAuth
	case certv1.KubeAPIServerClientSignerName:
		r.Subject = pkix.Name{CommonName: "bob", Organization: []string{"dev"}}
	}
	pem, err := pki.NewRequest(pki.Keyring{Seed: "golden"}.ECDSA(name), r)
	require.NoError(t, err)
	return &certv1.CertificateSigningRequest{TypeMeta: metav1.TypeMeta{Kind: "CertificateSigningRequest", APIVersion: "certificates.k8s.io/v1"}, ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certv1.CertificateSigningRequestSpec{Request: pem, SignerName: signer, Usages: []certv1.KeyUsage{certv1.UsageDigitalSignature, usage}}}
}

// approve is the driver's approval, which may come second.
func (k *cluster) approve(t *testing.T, created map[string]any) int {
	t.Helper()
	csr := as[certv1.CertificateSigningRequest](t, created)
	csr.Status.Conditions = append(csr.Status.Conditions, certv1.CertificateSigningRequestCondition{Type: "Approved", Status: "True", Reason: "OracleApprove", Message: "approved by the oracle driver"})
	code, _ := k.call(t, adminName, "PUT", csrsPath+"/"+csr.Name+"/approval", csr)
	return code
}

// read reads a CSR.
func (k *cluster) read(t *testing.T, name string) *certv1.CertificateSigningRequest {
	t.Helper()
	code, body := k.call(t, adminName, "GET", csrsPath+"/"+name, nil)
	require.Equal(t, 200, code)
	return as[certv1.CertificateSigningRequest](t, body)
}

// kcmLog are the lines of kube-controller-manager since an observation.
func (k *cluster) kcmLog(from int) (out []string) {
	for _, o := range k.obs[from:] {
		if o.Kind == trace.Log && o.Actor == "control-1/"+kcmUnit {
			out = append(out, o.Payload)
		}
	}
	return out
}

// spoken are the places in the source whose lines are compared, by thread: the
// lines of one thread come in one order. What repeats counts once.
type spoken map[string]string

var varies = regexp.MustCompile(`elapsedTime="[^"]*"|NotAfter=[^"]*`)

// says holds the recorded lines of some places against those of the world.
func (s spoken) says(t *testing.T, recorded string, got []string) {
	t.Helper()
	threads := func(lines []string) map[string][]string {
		out := map[string][]string{}
		for _, line := range lines {
			m := regexp.MustCompile(`^([IWEF])\d{4} \S+ +\d+ (\S+)\] (.*)$`).FindStringSubmatch(line)
			if m == nil {
				continue
			}
			thread, ok := s[m[2]]
			text := varies.ReplaceAllString(m[1]+" "+m[2]+" "+m[3], "(varies)")
			if list := out[thread]; ok && (len(list) == 0 || list[len(list)-1] != text) {
				out[thread] = append(list, text)
			}
		}
		return out
	}
	var lines []string
	for line := range strings.Lines(recorded) {
		line = strings.TrimRight(line, "\n")
		if line == "# last lines before it ended:" {
			break
		}
		lines = append(lines, line)
	}
	want := threads(lines)
	require.NotEmpty(t, want, "nothing in this log is compared")
	have := threads(got)
	for thread, list := range want {
		require.Equal(t, strings.Join(list, "\n"), strings.Join(have[thread], "\n"), "what the thread %q says", thread)
	}
}
