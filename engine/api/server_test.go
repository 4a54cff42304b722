package api

import (
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// rig is a server with a disk, a clock and a list of what happened.
type rig struct {
	t      testing.TB
	s      *Server
	store  *Store
	disk   *sim.Disk
	chance *sim.Chance
	now    time.Time
	ca     *pki.Authority
	obs    []trace.Observation
	effect []sim.Effect
	stream uint64
}

var keys = pki.Keyring{Seed: "api tests"}

// usual are the flags of every rig.
var usual = strings.Fields(`--client-ca-file=/pki/ca.crt --tls-cert-file=/pki/s.crt --tls-private-key-file=/pki/s.key --authorization-mode=Node,RBAC
	--enable-bootstrap-token-auth --enable-admission-plugins=NodeRestriction --etcd-servers=https://127.0.0.1:2379
	--service-account-issuer=https://kubernetes.default.svc --service-account-key-file=/pki/sa.key --service-account-signing-key-file=/pki/sa.key`)

func newRig(t testing.TB, flags string) *rig { return newRigAt(t, era.Usual, flags) }

func newRigAt(t testing.TB, release, flags string) *rig {
	t.Helper()
	g := &rig{t: t, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), chance: &sim.Chance{Seed: "rig"}, store: NewStore()}
	var err error
	g.ca, err = pki.NewAuthority(keys, "ca", "kubernetes", g.now.Add(-time.Hour), g.now.AddDate(10, 0, 0))
	require.NoError(t, err)
	g.disk = sim.NewDisk(g.now)
	require.NoError(t, g.disk.MkdirAll("/pki", 0o755, g.now))
	for n, b := range map[string][]byte{"/pki/ca.crt": g.ca.CertPEM(), "/pki/s.crt": g.cert(pkix.Name{CommonName: "kube-apiserver"}, g.now.AddDate(1, 0, 0)), "/pki/s.key": pki.KeyPEM(keys.ECDSA("leaf")), "/pki/sa.key": pki.KeyPEM(keys.RSA(0))} {
		require.NoError(t, g.disk.WriteFile(n, b, 0o600, g.now))
	}
	g.s, err = New(era.Must(release), append(taken(era.Must(release), usual), strings.Fields(flags)...), g.store)
	require.NoError(t, err)
	g.step(sim.Msg{Kind: sim.MsgStart})
	return g
}

// taken are the flags of some that a release takes; what was named otherwise then has
// its old name.
func taken(e era.Era, flags []string) (out []string) {
	for _, f := range flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		if _, known := era.FlagOf(e, "kube-apiserver", name); known {
			out = append(out, f)
		} else if name == "enable-admission-plugins" {
			out = append(out, "--admission-control=NamespaceLifecycle,ServiceAccount,"+value)
		}
	}
	return append(out, "--service-cluster-ip-range=10.0.0.0/24")
}

func (g *rig) cert(name pkix.Name, till time.Time) []byte {
	b, err := g.ca.Leaf(pki.LeafSpec{Subject: name, Client: true, NotBefore: g.now.Add(-time.Minute), NotAfter: till, Serial: []byte{3}}, keys.ECDSA("leaf").Public())
	require.NoError(g.t, err)
	return b
}

func (g *rig) peer(cn string, o ...string) [][]byte {
	b, _ := pem.Decode(g.cert(pkix.Name{CommonName: cn, Organization: o}, g.now.AddDate(1, 0, 0)))
	return [][]byte{b.Bytes}
}

func (g *rig) ctx() *sim.Ctx {
	return &sim.Ctx{Now: g.now, Host: "control-1", IP: "10.0.0.10", Unit: "kube-apiserver", Disk: g.disk, Chance: g.chance,
		NextStream: func() uint64 { g.stream++; return g.stream },
		Observe: func(o trace.Observation) uint64 {
			g.obs = append(g.obs, o)
			return uint64(len(g.obs))
		}}
}

func (g *rig) step(m sim.Msg) {
	c := g.ctx()
	g.s.Step(c, m)
	g.effect = append(g.effect, c.Effects...)
}

// do sends a request as a peer and returns the answer; it goes through Step,
// so that watches begin.
func (g *rig) do(peer [][]byte, method, url, body string, header ...string) sim.Response {
	g.t.Helper()
	g.stream++
	r := &sim.Request{Method: method, URL: url, Body: []byte(body), Peer: peer, Conn: 7, Header: http.Header{}}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	g.effect = nil
	stream := g.stream // the server may begin streams of its own
	g.step(sim.Msg{Kind: sim.MsgRequest, Stream: stream, Req: r})
	for _, e := range g.effect {
		if e.Kind == sim.EffReply && e.Stream == stream {
			return *e.Resp
		}
	}
	require.Fail(g.t, "no answer")
	return sim.Response{}
}

// pushed are the frames pushed to a stream by the last step.
func (g *rig) pushed(stream uint64) []string {
	var out []string
	for _, e := range g.effect {
		if e.Kind == sim.EffPush && e.Stream == stream {
			out = append(out, string(e.Data))
		}
	}
	return out
}

func (g *rig) admin() [][]byte { return g.peer("kubernetes-admin", masters) }

func (g *rig) csr(name, signer string, subject pkix.Name) string {
	b, err := pki.NewRequest(keys.ECDSA("leaf"), pki.Request{Subject: subject})
	require.NoError(g.t, err)
	enc, _ := json.Marshal(b)
	return fmt.Sprintf(`{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":%q},"spec":{"request":%s,"signerName":%q,"usages":["digital signature","client auth"]}}`, name, enc, signer)
}

const (
	csrs   = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
)

func TestStartWithoutCertificate(t *testing.T) {
	g := newRig(t, "")
	require.NoError(t, g.disk.Remove("/pki/s.crt"))
	g.effect = nil
	g.step(sim.Msg{Kind: sim.MsgStart})
	require.Equal(t, sim.EffExit, g.effect[len(g.effect)-1].Kind)
	require.Equal(t, 1, g.effect[len(g.effect)-1].Code)
}

// A refusal tells which default roles would have allowed it, least first.
func TestWould(t *testing.T) {
	g := newRig(t, "")
	require.Equal(t, 403, g.do(g.peer("alice", "dev"), "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"})).Code)
	for _, o := range g.obs {
		if o.Kind == trace.Authz {
			require.Equal(t, "no", o.Args["verdict"])
			var w Would
			require.NoError(t, json.Unmarshal([]byte(o.Args["would"]), &w))
			require.Equal(t, "system:node-bootstrapper", w.Roles[0])
			require.Equal(t, "cluster-admin", w.Roles[len(w.Roles)-1])
			require.Equal(t, []string{"dev", allAuthenticated}, w.Groups)
			return
		}
	}
	require.Fail(t, "no trace.Authz")
}

// A thousand kubelets watch one CSR each: a change tells the one it concerns.
func TestWatchByName(t *testing.T) {
	g := newRig(t, "")
	admin := g.admin()
	var streams []uint64
	for i := range 5 {
		n := fmt.Sprintf("csr-%d", i)
		require.Equal(t, 201, g.do(admin, "POST", csrs, g.csr(n, "example.com/x", pkix.Name{CommonName: n})).Code)
		r := g.do(admin, "GET", csrs+"?allowWatchBookmarks=true&fieldSelector=metadata.name%3D"+n+"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=60&watch=true", "")
		require.True(t, r.Stream)
		streams = append(streams, g.stream)
		frames := g.pushed(g.stream)
		require.Len(t, frames, 2)
		require.Contains(t, frames[0], `{"type":"ADDED","object":{"kind":"CertificateSigningRequest"`)
		require.Contains(t, frames[1], `"k8s.io/initial-events-end":"true"`)
		require.Contains(t, frames[1], `{"type":"BOOKMARK"`)
	}
	require.Equal(t, 200, g.do(admin, "DELETE", csrs+"/csr-3", "").Code)
	for i, s := range streams {
		if i == 3 {
			require.Len(t, g.pushed(s), 1)
			require.Contains(t, g.pushed(s)[0], `{"type":"DELETED"`)
		} else {
			require.Empty(t, g.pushed(s))
		}
	}
	// A clone goes on with the same watches, a restored server too.
	b, err := json.Marshal(g.s)
	require.NoError(t, err)
	sb, err := json.Marshal(g.store)
	require.NoError(t, err)
	var back Server
	require.NoError(t, json.Unmarshal(b, &back))
	store := new(Store)
	require.NoError(t, json.Unmarshal(sb, store))
	back.Attach(store)
	g.s, g.store = &back, store
	require.Equal(t, 200, g.do(admin, "DELETE", csrs+"/csr-1", "").Code)
	require.Len(t, g.pushed(streams[1]), 1)
	// Its time over, a watch ends.
	g.now = g.now.Add(time.Minute)
	g.effect = nil
	g.step(sim.Msg{Kind: sim.MsgWake, Tag: fmt.Sprint(watchTag, streams[0])})
	require.Equal(t, sim.EffEnd, g.effect[0].Kind)
	require.Len(t, g.s.Watches, 4)
}

func TestWatchTable(t *testing.T) {
	g := newRig(t, "")
	admin := g.admin()
	g.do(admin, "GET", csrs+"?watch=true", "", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	s := g.stream
	require.Empty(t, g.pushed(s))
	g.do(admin, "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	require.Contains(t, g.pushed(s)[0], `"columnDefinitions":[{"name":"Name"`)
	g.do(admin, "POST", csrs, g.csr("b", "example.com/x", pkix.Name{CommonName: "b"}))
	require.Contains(t, g.pushed(s)[0], `"columnDefinitions":null`)
}

func TestWatchFromThePast(t *testing.T) {
	g := newRig(t, "")
	admin := g.admin()
	from := g.store.Version
	g.do(admin, "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	g.do(admin, "GET", fmt.Sprintf("%s?watch=1&resourceVersion=%d", csrs, from), "")
	require.Len(t, g.pushed(g.stream), 1)
	for range 3 * historyLength {
		g.store.put(g.s.catalog.of["certificatesigningrequests"], twin(g.store.Get("certificatesigningrequests", "", "a").typed))
	}
	g.do(admin, "GET", fmt.Sprintf("%s?watch=1&resourceVersion=%d", csrs, from), "")
	require.Contains(t, g.pushed(g.stream)[0], `{"type":"ERROR"`)
	require.Contains(t, g.pushed(g.stream)[0], `"reason":"Expired"`)
}

// seen is an object of a test with the version of the one that is stored.
func (g *rig) seen(resource, namespace, body string) string {
	o := g.store.Get(resource, namespace, "node-1")
	return strings.Replace(body, `"metadata":{`, fmt.Sprintf(`"metadata":{"resourceVersion":"%d",`, o.Version), 1)
}

// A folded Lease is renewed for readers, without versions or observations.
func TestFold(t *testing.T) {
	g := newRig(t, "")
	node := g.peer("system:node:node-1", "system:nodes")
	const lease = `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"node-1","namespace":"kube-node-lease"},"spec":{"holderIdentity":"node-1","leaseDurationSeconds":40,"renewTime":"2026-01-01T00:00:00.000000Z"}}`
	require.Equal(t, 201, g.do(node, "POST", leases, lease).Code)
	require.Equal(t, 403, g.do(g.peer("system:node:node-2", "system:nodes"), "PUT", leases+"/node-1", lease).Code)
	require.Equal(t, 200, g.do(node, "PUT", leases+"/node-1", g.seen("leases", "kube-node-lease", lease), foldHeader, "10s").Code)
	version, seen := g.store.Version, len(g.obs)
	for range 3 {
		g.now = g.now.Add(11 * time.Second)
	}
	require.Contains(t, string(g.do(g.admin(), "GET", leases+"/node-1", "").Body), `"renewTime":"2026-01-01T00:00:30.000000Z"`)
	require.Equal(t, version, g.store.Version)
	for _, o := range g.obs[seen:] {
		require.NotEqual(t, trace.Object, o.Kind)
	}
	g.step(sim.Msg{Kind: sim.MsgGone, Tag: "conn 7"})
	g.now = g.now.Add(time.Hour)
	require.Contains(t, string(g.do(g.admin(), "GET", leases+"/node-1", "").Body), `"renewTime":"2026-01-01T00:00:30.000000Z"`)
}

// A fold does not outlive the client's certificate, nor the server.
func TestFoldEnds(t *testing.T) {
	g := newRig(t, "")
	b, _ := pem.Decode(g.cert(pkix.Name{CommonName: "system:node:node-1", Organization: []string{"system:nodes"}}, g.now.Add(25*time.Second)))
	node := [][]byte{b.Bytes}
	const lease = `{"metadata":{"name":"node-1","namespace":"kube-node-lease"},"spec":{"renewTime":"2026-01-01T00:00:00.000000Z"}}`
	require.Equal(t, 201, g.do(node, "POST", leases, lease).Code)
	require.Equal(t, 200, g.do(node, "PUT", leases+"/node-1", g.seen("leases", "kube-node-lease", lease), foldHeader, "10s").Code)
	g.now = g.now.Add(time.Hour)
	require.Contains(t, string(g.do(g.admin(), "GET", leases+"/node-1", "").Body), `"renewTime":"2026-01-01T00:00:20.000000Z"`)
	require.Len(t, g.store.Folds, 1)
	g.step(sim.Msg{Kind: sim.MsgStop})
	require.Empty(t, g.store.Folds)
}

func TestNodeStatusPatch(t *testing.T) {
	g := newRig(t, "")
	node := g.peer("system:node:node-1", "system:nodes")
	const body = `{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1","labels":{"kubernetes.io/hostname":"node-1"}},"status":{"conditions":[{"type":"MemoryPressure","status":"False"},{"type":"Ready","status":"False"}]}}`
	r := g.do(node, "POST", "/api/v1/nodes", body, "User-Agent", "kubelet/v1.36.3")
	require.Equal(t, 201, r.Code, string(r.Body))
	require.Contains(t, string(r.Body), `"manager":"kubelet"`)
	r = g.do(node, "PATCH", "/api/v1/nodes/node-1/status", `{"status":{"$setElementOrder/conditions":[{"type":"MemoryPressure"},{"type":"Ready"}],"conditions":[{"type":"Ready","status":"True"}]}}`, "Content-Type", "application/strategic-merge-patch+json")
	require.Equal(t, 200, r.Code, string(r.Body))
	require.Contains(t, string(r.Body), `"type":"Ready","status":"True"`)
	require.Contains(t, string(r.Body), `"type":"MemoryPressure"`)
	r = g.do(node, "GET", "/api/v1/nodes", "")
	require.Equal(t, 403, r.Code)
	require.Contains(t, string(r.Body), "node 'node-1' cannot read all nodes, only its own Node object")
	require.Equal(t, 200, g.do(node, "GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dnode-1", "").Code)
	require.Equal(t, 403, g.do(g.peer("system:node:node-2", "system:nodes"), "POST", "/api/v1/nodes", body).Code)
}

// What the Node authorizer says to a node that reaches further.
func TestNodeAuthorizer(t *testing.T) {
	g := newRig(t, "")
	node := g.peer("system:node:node-1", "system:nodes")
	for url, want := range map[string]string{
		"/api/v1/nodes/node-2":                               "node 'node-1' cannot read 'node-2', only its own Node object",
		"/api/v1/pods":                                       "can only list/watch pods with spec.nodeName field selector",
		"/api/v1/namespaces/kube-system/secrets/x":           "no relationship found between node 'node-1' and this object",
		"/api/v1/namespaces/kube-system/secrets":             "No Object name found",
		"/api/v1/secrets":                                    "can only read namespaced object of this type",
		"/apis/storage.k8s.io/v1/csinodes/node-2":            "can only access CSINode with the same name as the requesting node",
		"/apis/storage.k8s.io/v1/csinodes":                   "can only get, create, update, patch, or delete a CSINode",
		"/apis/coordination.k8s.io/v1/namespaces/a/leases/b": `can only access leases in the \"kube-node-lease\" system namespace`,
	} {
		r := g.do(node, "GET", url, "")
		require.Equal(t, 403, r.Code, url)
		require.Contains(t, string(r.Body), ": "+want, url)
	}
	for _, url := range []string{"/api/v1/services", "/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1", csrs, "/apis/storage.k8s.io/v1/csidrivers", "/apis/node.k8s.io/v1/runtimeclasses"} {
		require.Equal(t, 200, g.do(node, "GET", url, "").Code, url)
	}
	// The name alone makes no node.
	require.Equal(t, 403, g.do(g.peer("system:node:node-1"), "GET", "/api/v1/services", "").Code)
}

// An expired certificate is 401, and the reason stands in the log only.
func TestCertificateExpires(t *testing.T) {
	g := newRig(t, "")
	peer := g.admin()
	require.Equal(t, 200, g.do(peer, "GET", "/api/v1/nodes", "").Code)
	g.now = g.now.AddDate(1, 0, 1)
	r := g.do(peer, "GET", "/api/v1/nodes", "")
	require.Equal(t, 401, r.Code)
	require.NotContains(t, string(r.Body), "expired")
	require.Contains(t, g.obs[len(g.obs)-1].Args["reason"], "x509: certificate has expired or is not yet valid: current time 2027-01-02T00:00:00Z is after 2027-01-01T00:00:00Z")
}

// Two servers on one store: what one changes, the other tells its watchers.
func TestPoke(t *testing.T) {
	g := newRig(t, "")
	g.do(g.admin(), "GET", csrs+"?watch=1", "")
	s := g.stream
	first := g.s
	g.s = first.Clone().(*Server)
	g.s.Watches, g.s.index = nil, nil
	g.do(g.admin(), "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	require.Empty(t, g.pushed(s))
	c := g.ctx()
	first.Poke(c)
	require.Len(t, c.Effects, 1)
	first.Poke(c)
	require.Len(t, c.Effects, 1)
}

func TestClone(t *testing.T) {
	g := newRig(t, "")
	copied := g.store.Clone()
	g.do(g.admin(), "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	require.NotNil(t, g.store.Get("certificatesigningrequests", "", "a"))
	require.Nil(t, copied.Get("certificatesigningrequests", "", "a"))
	require.Less(t, copied.Version, g.store.Version)
}

func BenchmarkGet(b *testing.B) {
	g := newRig(b, "")
	peer := g.admin()
	g.do(peer, "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	r := &sim.Request{Method: "GET", URL: csrs + "/a", Peer: peer, Header: http.Header{"User-Agent": {"kubelet/v1.36.3"}}}
	for b.Loop() {
		g.obs = g.obs[:0]
		g.s.ServeHTTP(g.ctx(), r)
	}
}

func BenchmarkUpdate(b *testing.B) {
	g := newRig(b, "")
	node := g.peer("system:node:node-1", "system:nodes")
	g.do(node, "POST", "/api/v1/nodes", `{"metadata":{"name":"node-1"},"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	states := []string{"True", "False"}
	i := 0
	for b.Loop() {
		g.obs = g.obs[:0]
		i++
		r := &sim.Request{Method: "PATCH", URL: "/api/v1/nodes/node-1/status", Peer: node, Header: http.Header{"Content-Type": {"application/strategic-merge-patch+json"}},
			Body: []byte(`{"status":{"conditions":[{"type":"Ready","status":"` + states[i%2] + `"}]}}`)}
		g.s.ServeHTTP(g.ctx(), r)
	}
}

// Signer names: the rules between the recorded ones.
func TestSignerNames(t *testing.T) {
	long := strings.Repeat("a", 63)
	for name, want := range map[string][]string{
		"example.com/a":                     nil,
		"example.com/A":                     {`Invalid value: "A": validating label "A": a lowercase RFC 1123 subdomain`},
		"example.com/":                      {`Invalid value: "": validating label "": a lowercase RFC 1123 subdomain`},
		"example.com/a..b":                  {`Invalid value: "a..b": validating label ""`},
		"Aa.Bb/c":                           {`Invalid value: "Aa.Bb": validating label "Aa"`}, // the first one only
		"example.com//a":                    {"must be a fully qualified domain and path"},
		long + "." + long + ".com/a":        nil,
		long + "a.com/a":                    {"must be no more than 63"},
		strings.Repeat("a.", 130) + "com/a": {"Too long: may not be more than 253 bytes"},
	} {
		errs := validateSigner(field.NewPath("spec"), name)
		require.Len(t, errs, len(want), "%s: %v", name, errs)
		for i, w := range want {
			require.Contains(t, errs[i].Error(), w, name)
		}
	}
}

// The order of several errors is that of the fields, kind by kind.
func TestSeveralErrors(t *testing.T) {
	g := newRig(t, "")
	body := `{"metadata":{"name":"a"},"spec":{"request":"","signerName":"x","usages":["foo","any","any","bar"]}}`
	r := g.do(g.admin(), "POST", csrs, body)
	require.Equal(t, 422, r.Code)
	var st struct {
		Details struct {
			Causes []struct{ Field, Message string }
		}
	}
	require.NoError(t, json.Unmarshal(r.Body, &st))
	var got []string
	for _, c := range st.Details.Causes {
		got = append(got, c.Field)
	}
	require.Equal(t, []string{"spec.request", "spec.usages[0]", "spec.usages[3]", "spec.usages[2]", "spec.signerName"}, got)
	require.Equal(t, `Invalid value: "": PEM block type must be CERTIFICATE REQUEST`, st.Details.Causes[0].Message)
}
