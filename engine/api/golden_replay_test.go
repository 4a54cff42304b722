package api_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/api"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// replay is an API server on the state that a folder begins with.
type replay struct {
	era    era.Era
	server *api.Server
	store  *api.Store
	disk   *sim.Disk
	chance *sim.Chance
	now    time.Time
	ca     *pki.Authority
	ca2    *pki.Authority // of j2
	chains map[string][][]byte
	// versions maps recorded resourceVersions to ours, back ours to recorded.
	versions, back map[string]string
	lines          []string      // the log
	began          map[int]int   // where the log stood when a request began
	made           []string      // CSRs of the admin that go before the next request
	secret         *sim.Response // the answer to the creation of S(abcdef)
	ids            uint64
	kubelets       *kubelets // of n
	token          string    // of s
	space          string    // of k: the namespace of the test
	testing        bool      // of k: the test makes a user
	recorder       func(any) // takes out of a body what is the recorder's build's
}

const (
	admin   = "kubernetes-admin (O=system:masters)"
	csrPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
	secrets = "/api/v1/namespaces/kube-system/secrets"
)

// identities are the client certificates of the recorder.
var identities = map[string]pkix.Name{
	admin:          {CommonName: "kubernetes-admin", Organization: []string{"system:masters"}},
	"alice":        {CommonName: "alice", Organization: []string{"dev"}},
	"node-x":       {CommonName: "system:node:node-x", Organization: []string{"system:nodes"}},
	"node-nogroup": {CommonName: "system:node:node-x"},
}

const tokens = `02b50b05283e98dd0fd71db496ef01e8,kubelet-bootstrap,10001,"system:bootstrappers"
plaintoken0000000000000000000000,carol,10002,dev
admintoken0000000000000000000000,token-admin,10003,"system:masters"
`

// usualFlags are those of the recorder's API server.
const usualFlags = `--etcd-servers=http://127.0.0.1:2379 --bind-address=127.0.0.1 --advertise-address=127.0.0.1
		--secure-port=16443 --endpoint-reconciler-type=none --tls-cert-file=/etc/kubernetes/pki/apiserver.crt --tls-private-key-file=/etc/kubernetes/pki/apiserver.key
		--client-ca-file=/etc/kubernetes/pki/ca.crt --authorization-mode=Node,RBAC --enable-bootstrap-token-auth=true --token-auth-file=/etc/kubernetes/pki/token.csv
		--enable-admission-plugins=NodeRestriction --service-account-issuer=https://kubernetes.default.svc
		--service-account-key-file=/etc/kubernetes/pki/sa.key --service-account-signing-key-file=/etc/kubernetes/pki/sa.key --service-cluster-ip-range=10.96.0.0/16 --allow-privileged --v=3`

// newReplay starts a server as the recordings' README says, on a fresh store.
func newReplay(t *testing.T, folder string) *replay {
	t.Helper()
	w := newReplayOf(t, era.Usual, folder, usualFlags)
	if strings.HasPrefix(folder, "j2-") {
		w.strangers(t)
	}
	if strings.HasPrefix(folder, "n-") {
		w.callKubelets(t)
	}
	if strings.HasPrefix(folder, "i-") {
		w.putToken(t, "abcdef", nil)
		w.bindings(t)
	}
	if strings.HasPrefix(folder, "b1-") {
		resp := w.putToken(t, "abcdef", nil)
		w.secret = &resp
	}
	return w
}

// flagsOf are the flags of some that a release takes, and what it has for others.
func flagsOf(e era.Era, flags string) (out []string) {
	for _, f := range strings.Fields(flags) {
		name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		if _, known := era.FlagOf(e, "kube-apiserver", name); known {
			out = append(out, f)
		} else if name == "enable-admission-plugins" {
			out = append(out, "--admission-control=NamespaceLifecycle,LimitRanger,ServiceAccount,DefaultTolerationSeconds,ResourceQuota,"+value)
		} else if name == "enable-bootstrap-token-auth" {
			out = append(out, "--experimental-bootstrap-token-auth")
		}
	}
	return out
}

// newReplayOf is a server of a release with the recorder's flags, on a fresh store.
func newReplayOf(t *testing.T, minor, folder, flags string) *replay {
	t.Helper()
	w := &replay{era: era.Must(minor), now: time.Date(2026, 11, 23, 2, 27, 2, 0, time.UTC), chance: &sim.Chance{Seed: folder}, store: api.NewStore(),
		chains: map[string][][]byte{}, versions: map[string]string{}, back: map[string]string{}, began: map[int]int{}}
	keys := pki.Keyring{Seed: "golden"}
	ca, err := pki.NewAuthority(keys, "ca", "kubernetes", w.now.Add(-time.Hour), w.now.AddDate(10, 0, 0))
	require.NoError(t, err)
	w.ca = ca
	w.disk = sim.NewDisk(w.now)
	require.NoError(t, w.disk.MkdirAll("/etc/kubernetes/pki", 0o755, w.now))
	serving := w.leaf(t, pkix.Name{CommonName: "kube-apiserver"}, "apiserver")
	for name, data := range map[string][]byte{"ca.crt": ca.CertPEM(), "apiserver.crt": serving, "apiserver.key": pki.KeyPEM(keys.ECDSA("apiserver")), "token.csv": []byte(tokens), "sa.key": pki.KeyPEM(keys.RSA(0))} {
		require.NoError(t, w.disk.WriteFile("/etc/kubernetes/pki/"+name, data, 0o600, w.now))
	}
	for as, subject := range identities {
		block, _ := pem.Decode(w.leaf(t, subject, as))
		w.chains[as] = [][]byte{block.Bytes}
	}
	w.server, err = api.New(w.era, flagsOf(w.era, flags), w.store)
	require.NoError(t, err)
	w.server.Step(w.ctx(), sim.Msg{Kind: sim.MsgStart})
	return w
}

func (w *replay) leaf(t *testing.T, subject pkix.Name, name string) []byte {
	t.Helper()
	w.ids++
	b, err := w.ca.Leaf(pki.LeafSpec{Subject: subject, Client: true, NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.AddDate(1, 0, 0), Serial: []byte{1, byte(w.ids)}},
		pki.Keyring{Seed: "golden"}.ECDSA(name).Public())
	require.NoError(t, err)
	return b
}

func (w *replay) ctx() *sim.Ctx {
	return &sim.Ctx{Now: w.now, Host: "control-1", IP: "127.0.0.1", Unit: "kube-apiserver", PID: 11705, Disk: w.disk, Chance: w.chance,
		NextStream: func() uint64 { w.ids++; return w.ids },
		Observe: func(o trace.Observation) uint64 {
			if o.Kind == trace.Log {
				w.lines = append(w.lines, o.Payload)
			}
			w.ids++
			return w.ids
		}}
}

// send makes one request as an identity of the recordings.
func (w *replay) send(t *testing.T, method, url, as string, header http.Header, body []byte) sim.Response {
	t.Helper()
	return w.sendTo(t, nil, method, url, as, header, body)
}

// sendTo is send to another server than the usual one.
func (w *replay) sendTo(t *testing.T, at *api.Server, method, url, as string, header http.Header, body []byte) sim.Response {
	t.Helper()
	r := &sim.Request{Method: method, URL: url, Header: header, Body: body, Remote: "127.0.0.1:57170"}
	if header == nil {
		r.Header = http.Header{"Content-Type": {"application/json"}}
	}
	if token, ok := strings.CutPrefix(as, "bearer "); ok {
		r.Header.Set("Authorization", "Bearer "+token)
	} else if as != "anonymous" {
		require.Contains(t, w.chains, as, "an unknown identity")
		r.Peer = w.chains[as]
	}
	if at != nil {
		return settleAt(t, w, at, r)
	}
	return w.server.ServeHTTP(w.ctx(), r)
}

// must makes a request of the admin that has to succeed.
func (w *replay) must(t *testing.T, method, url string, body any) map[string]any {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	resp := w.send(t, method, url, admin, nil, b)
	require.Less(t, resp.Code, 300, "%s %s: %s", method, url, resp.Body)
	var out map[string]any
	require.NoError(t, json.Unmarshal(resp.Body, &out))
	return out
}

// putToken creates the usual bootstrap Secret S(id), changed by data, whose
// keys have "_" for "-": null takes a key away.
func (w *replay) putToken(t *testing.T, id string, data map[string]*string) sim.Response {
	t.Helper()
	values := map[string]string{"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
		"auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}
	for k, v := range data {
		k = strings.ReplaceAll(k, "_", "-")
		if v == nil {
			delete(values, k)
		} else {
			values[k] = *v
		}
	}
	b, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token",
		"metadata": map[string]string{"name": "bootstrap-token-" + id, "namespace": "kube-system"}, "stringData": values})
	require.NoError(t, err)
	resp := w.send(t, "POST", secrets, admin, nil, b)
	require.Equal(t, 201, resp.Code, string(resp.Body))
	return resp
}

var tokenID = regexp.MustCompile(`^bearer (t[0-9]{5})\.`)

// prepare brings the state to what a request was recorded on. The rules are
// those of the recordings' README, "How to replay".
func (w *replay) prepare(t *testing.T, r golden.Recording, x *exchange) {
	t.Helper()
	switch {
	case strings.HasPrefix(r.Folder, "b1-"):
		id := ""
		if m := tokenID.FindStringSubmatch(x.Request.As); m != nil {
			id = m[1]
		}
		for _, o := range w.store.List("secrets") {
			var s struct{ Metadata struct{ Name string } }
			require.NoError(t, json.Unmarshal(o, &s))
			if rest, ok := strings.CutPrefix(s.Metadata.Name, "bootstrap-token-t0"); ok && "t0"+rest != id {
				w.must(t, "DELETE", secrets+"/"+s.Metadata.Name, nil)
			}
		}
		if _, text, ok := strings.Cut(x.Note, "data: "); ok && id != "" && w.store.Get("secrets", "kube-system", "bootstrap-token-"+id) == nil {
			var data map[string]*string
			require.NoError(t, json.Unmarshal([]byte(text), &data))
			w.putToken(t, id, data)
		}
	case strings.HasPrefix(r.Folder, "e1-"):
		for _, n := range w.made {
			w.must(t, "DELETE", csrPath+"/"+n, nil)
		}
		w.made = nil
		if r.Number == 43 {
			var o map[string]any
			require.NoError(t, json.Unmarshal(x.Request.Body, &o))
			w.must(t, "POST", csrPath, o)
			w.made = append(w.made, o["metadata"].(map[string]any)["name"].(string))
		}
	case strings.HasPrefix(r.Folder, "e3-"):
		w.prepareUpdate(t, r, x)
	case strings.HasPrefix(r.Folder, "j2-"):
		w.trust(t, r.Number)
	case strings.HasPrefix(r.Folder, "i-") && r.Number >= 25:
		w.tableRequests(t)
	case strings.HasPrefix(r.Folder, "n-"):
		w.kubeletState(t, r)
	}
}

// prepareUpdate brings the CSR that a recording of e3 is about to the state
// before it, and gives alice her roles.
func (w *replay) prepareUpdate(t *testing.T, r golden.Recording, x *exchange) {
	t.Helper()
	name, _, _ := strings.Cut(strings.TrimPrefix(x.Request.Path, csrPath+"/"), "/")
	var sent, answered object
	_ = json.Unmarshal(x.Request.Body, &sent)
	_ = json.Unmarshal(x.Response.Body, &answered)
	if w.store.Get("certificatesigningrequests", "", name) == nil && strings.HasPrefix(name, "u") {
		spec := answered.Spec
		if spec == nil {
			spec = sent.Spec
		}
		w.must(t, "POST", csrPath, map[string]any{"metadata": map[string]any{"name": name}, "spec": map[string]any{"request": spec["request"], "signerName": spec["signerName"], "usages": spec["usages"]}})
	}
	approved := func(reason, message string) {
		o := w.must(t, "GET", csrPath+"/"+name, nil)
		status := o["status"].(map[string]any)
		list, _ := status["conditions"].([]any)
		if strings.Contains(fmt.Sprint(list), "Approved") {
			return
		}
		status["conditions"] = append(list, map[string]any{"type": "Approved", "status": "True", "reason": reason, "message": message})
		w.must(t, "PUT", csrPath+"/"+name+"/approval", o)
	}
	switch r.Number {
	case 38:
		approved("", "")
		o := w.must(t, "GET", csrPath+"/"+name, nil)
		if o["status"].(map[string]any)["certificate"] == nil {
			o["status"].(map[string]any)["certificate"] = sent.Status["certificate"]
			w.must(t, "PUT", csrPath+"/"+name+"/status", o)
		}
	case 40:
		approved("R", "m")
	}
	const csrs = "certificatesigningrequests"
	if r.Number >= 46 {
		w.grant(t, "updater", map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{csrs + "/approval", csrs + "/status"}, "verbs": []string{"update"}},
			map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{csrs}, "verbs": []string{"get", "create"}})
	}
	if r.Number >= 50 {
		w.grant(t, "approver", map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"signers"}, "resourceNames": []string{"example.com/*"}, "verbs": []string{"approve"}})
	}
}

// object is the part of a body that preparations look at.
type object struct{ Spec, Status map[string]any }

// grant gives alice a ClusterRole, once.
func (w *replay) grant(t *testing.T, name string, rules ...map[string]any) {
	t.Helper()
	if w.store.Get("clusterroles", "", name) != nil {
		return
	}
	const rbac = "/apis/rbac.authorization.k8s.io/v1/"
	w.must(t, "POST", rbac+"clusterroles", map[string]any{"metadata": map[string]any{"name": name}, "rules": rules})
	w.must(t, "POST", rbac+"clusterrolebindings", map[string]any{"metadata": map[string]any{"name": name},
		"roleRef": map[string]any{"kind": "ClusterRole", "name": name}, "subjects": []any{map[string]any{"kind": "User", "name": "alice"}}})
}

// settle does what happens after a request before the next one.
func (w *replay) settle(t *testing.T, r golden.Recording, x *exchange, resp *sim.Response) {
	t.Helper()
	if !strings.HasPrefix(r.Folder, "e1-") || x.Request.Method != "POST" || x.Request.As != admin || resp.Code != 201 || strings.Contains(x.Request.Path, "dryRun") {
		return
	}
	var o map[string]any
	require.NoError(t, json.Unmarshal(resp.Body, &o))
	name := o["metadata"].(map[string]any)["name"].(string)
	if name == "Name_Upper" {
		w.sign(t, name)
		return
	}
	w.made = append(w.made, name)
}

// sign does what kube-controller-manager's approver and signer do to a CSR.
func (w *replay) sign(t *testing.T, name string) {
	t.Helper()
	o := w.must(t, "GET", csrPath+"/"+name, nil)
	o["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Approved", "status": "True", "reason": "AutoApproved",
		"message": "Auto approving kubelet client certificate after SubjectAccessReview."}}}
	w.must(t, "PUT", csrPath+"/"+name+"/approval", o)
	w.issue(t, name)
}

// issue does what the signer does to an approved CSR.
func (w *replay) issue(t *testing.T, name string) {
	t.Helper()
	o := w.must(t, "GET", csrPath+"/"+name, nil)
	var request []byte
	b, err := json.Marshal(o["spec"].(map[string]any)["request"])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &request))
	req, err := pki.ParseRequest(request)
	require.NoError(t, err)
	cert, err := w.ca.Issue(req, pki.Policy{NotBefore: w.now.Add(-5 * time.Minute), NotAfter: w.now.Add(time.Hour), Serial: []byte{7}})
	require.NoError(t, err)
	o["status"].(map[string]any)["certificate"] = cert
	w.must(t, "PUT", csrPath+"/"+name+"/status", o)
}

// ours puts our own uid, version and creation time into the body of a PUT: it
// is an object as it was read, with something changed.
func (w *replay) ours(t *testing.T, x *exchange) []byte {
	t.Helper()
	var text string
	if json.Unmarshal(x.Request.Body, &text) == nil {
		return []byte(text)
	}
	if x.Request.Method != "PUT" {
		return x.Request.Body
	}
	var o map[string]any
	require.NoError(t, json.Unmarshal(x.Request.Body, &o))
	m := o["metadata"].(map[string]any)
	name := m["name"].(string)
	current := w.store.Get("certificatesigningrequests", "", name)
	if current == nil {
		return x.Request.Body
	}
	var now struct{ Metadata, Status map[string]any }
	require.NoError(t, json.Unmarshal(current.JSON, &now))
	for _, k := range []string{"uid", "creationTimestamp"} {
		if m[k] != nil {
			m[k] = now.Metadata[k]
		}
	}
	if v, ok := m["resourceVersion"].(string); ok {
		if m["resourceVersion"] = now.Metadata["resourceVersion"]; w.versions[v] != "" {
			m["resourceVersion"] = w.versions[v]
		} else {
			w.versions[v], w.back[now.Metadata["resourceVersion"].(string)] = now.Metadata["resourceVersion"].(string), v
		}
	}
	if w.recorder != nil {
		ownTimesInOrder(o["status"], now.Status)
	} else {
		ownTimes(o["status"], now.Status)
	}
	b, err := json.Marshal(o)
	require.NoError(t, err)
	return b
}

// ownTimes gives conditions that were read, and so have times, our times.
func ownTimes(sent any, now map[string]any) {
	status, _ := sent.(map[string]any)
	list, _ := status["conditions"].([]any)
	current, _ := now["conditions"].([]any)
	for _, c := range list {
		for _, o := range current {
			c, o := c.(map[string]any), o.(map[string]any)
			for _, k := range []string{"lastUpdateTime", "lastTransitionTime"} {
				if c["type"] == o["type"] && c[k] != nil {
					c[k] = o[k]
				}
			}
		}
	}
}

// ownTimesInOrder is ownTimes for conditions of any types, twice too.
func ownTimesInOrder(sent any, now map[string]any) {
	status, _ := sent.(map[string]any)
	list, _ := status["conditions"].([]any)
	current, _ := now["conditions"].([]any)
	for i, c := range list {
		if i < len(current) {
			c, o := c.(map[string]any), current[i].(map[string]any)
			if c["type"] == o["type"] && c["lastUpdateTime"] != nil {
				c["lastUpdateTime"] = o["lastUpdateTime"]
			}
		}
	}
}

// request replays one request and compares the answer.
func (w *replay) request(t *testing.T, r golden.Recording, x *exchange) {
	if r.Release != "" {
		w.prepareOld(t, r, x)
	} else {
		w.prepare(t, r, x)
		w.began[r.Number] = len(w.lines)
	}
	w.now = w.now.Add(10 * time.Millisecond)
	header := http.Header{}
	var body []byte
	if x.Request.Body != nil {
		header.Set("Content-Type", "application/json")
		body = w.ours(t, x)
		if w.recorder != nil {
			body = asPython(body)
		}
	}
	if x.Request.Ctype != "" {
		header.Set("Content-Type", x.Request.Ctype)
	}
	if x.Request.Accept != "" {
		header.Set("Accept", x.Request.Accept)
	}
	if r.Folder[:3] == "j2-" && r.Number == 19 {
		header.Set("Authorization", "Bearer plaintoken0000000000000000000000") // not in the file
	}
	resp := w.sendTo(t, w.asked(t, x), x.Request.Method, x.Request.Path, x.Request.As, header, body)
	w.compare(t, x.Response, &resp)
	w.settle(t, r, x, &resp)
}

// compareSecret compares the creation of S(abcdef), which began the folder.
func (w *replay) compareSecret(t *testing.T, want *given) {
	require.NotNil(t, w.secret)
	w.compare(t, want, w.secret)
}

// objects compares default objects as kubectl wrote them.
func (w *replay) objects(t *testing.T, data []byte) {
	var doc map[string]any
	require.NoError(t, yaml.Unmarshal(data, &doc))
	list := []any{doc}
	if doc["kind"] == "List" {
		list = doc["items"].([]any)
	}
	require.NotEmpty(t, list)
	plurals := map[string]string{"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings"}
	for _, o := range list {
		want := o.(map[string]any)
		m := want["metadata"].(map[string]any)
		url := "/apis/" + want["apiVersion"].(string) + "/"
		if ns, ok := m["namespace"].(string); ok {
			url += "namespaces/" + ns + "/"
		}
		got := w.must(t, "GET", url+plurals[want["kind"].(string)]+"/"+m["name"].(string), nil)
		gm := got["metadata"].(map[string]any)
		for _, k := range []string{"apiVersion", "kind", "rules", "roleRef", "subjects", "aggregationRule"} {
			if list, ok := want[k].([]any); ok && len(list) == 0 {
				want[k] = nil // 1.7 and 1.8 write nobody as an empty list
			}
			require.Equal(t, want[k], got[k], "%s of %s", k, m["name"])
		}
		for _, k := range []string{"name", "namespace", "labels", "annotations"} {
			require.Equal(t, m[k], gm[k], "metadata.%s of %s", k, m["name"])
		}
	}
}

// names compares the names of all default ClusterRoles or their bindings. Those of
// OpenShift are no part of Kubernetes.
func (w *replay) names(t *testing.T, plural, text string) {
	var want, got []string
	for _, n := range strings.Fields(text) {
		if !strings.Contains(n, "openshift") && n != "system:controller:service-ca-cert-publisher" {
			want = append(want, n)
		}
	}
	for _, b := range w.store.List(plural) {
		var o struct{ Metadata struct{ Name string } }
		require.NoError(t, json.Unmarshal(b, &o))
		got = append(got, o.Metadata.Name)
	}
	require.Equal(t, want, got)
}

// logLines finds the recorded lines, in order, in what was logged for the
// request of the file's number and the one before.
func (w *replay) logLines(t *testing.T, r golden.Recording, text string) {
	from, ok := w.began[r.Number-1]
	if strings.HasPrefix(r.Folder, "j2-") {
		from, ok = w.began[r.Number]
	}
	if !ok {
		from, ok = w.began[r.Number]
	}
	require.True(t, ok, "no request was replayed that this log belongs to")
	var got []string
	for _, l := range w.lines[from:] {
		got = append(got, withoutChance(l))
	}
	at := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") || r.Release != "" && othersLine(line) {
			continue
		}
		want := withoutChance(line)
		for at < len(got) && got[at] != want {
			at++
		}
		require.Less(t, at, len(got), "not logged: %s\nbut:\n%s", want, strings.Join(got, "\n"))
		at++
	}
}

var ids = regexp.MustCompile(`\b(SN|AKID)=[0-9A-F:]+`)
var times = regexp.MustCompile(`current time \S+ is (after|before) [0-9T:Z-]+`)

// details are what a log line says of a certificate: names and times differ.
var details = regexp.MustCompile(`(certDetail="\\"[a-z-]+).*$`)
var took = regexp.MustCompile(`\(\S+s\) (\d|hijacked)(.*:)\d+\]$`)
var chancy = regexp.MustCompile(`(latency|audit-ID|srcIP|apf_execution_time)="[^"]*"`)

// withoutChance takes time and process out of a log line, and what differs
// from run to run.
func withoutChance(line string) string {
	if _, rest, ok := strings.Cut(line, "] "); ok {
		head := strings.Fields(line[:len(line)-len(rest)])
		line = fmt.Sprintf("%c %s %s", line[0], head[len(head)-1], rest)
	}
	line = took.ReplaceAllString(line, "() $1$2]")
	line = ids.ReplaceAllString(line, "$1=")
	line = details.ReplaceAllString(line, "$1")
	line = times.ReplaceAllString(line, "current time (differs) is $1 (differs)")
	return chancy.ReplaceAllString(line, `$1=""`)
}
