package api

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// whole says what is wrong with a store, and nothing when it is consistent: the
// objects are sorted, each once; each is the JSON of what is decoded; no version
// is beyond the store's, and those of the changes rise. What has been there at the
// version seen is known to be.
func (s *Store) whole(seen uint64) string {
	for resource, table := range s.Tables {
		last := ""
		for i, o := range table {
			if o.Resource != resource || i > 0 && o.key() <= last {
				return resource + " " + o.key() + " after " + last
			}
			last = o.key()
			if o.Version <= seen {
				continue
			}
			var x struct {
				Kind, APIVersion string
				Metadata         metav1.ObjectMeta
			}
			if err := json.Unmarshal(o.JSON, &x); err != nil {
				return o.key() + ": " + err.Error()
			}
			m := o.typed.GetObjectMeta()
			switch {
			case x.Kind == "" || x.APIVersion == "":
				return resource + " " + o.key() + " has no kind"
			case x.Metadata.Name != o.Name || x.Metadata.Namespace != o.Namespace || m.GetName() != o.Name || x.Metadata.UID == "" || x.Metadata.UID != m.GetUID():
				return resource + " " + o.key() + " is called otherwise in its JSON: " + string(o.JSON)
			case x.Metadata.ResourceVersion != m.GetResourceVersion() || o.Version > s.Version:
				return resource + " " + o.key() + " has the version " + x.Metadata.ResourceVersion
			}
		}
	}
	at := seen
	changes, _ := s.since(seen)
	for _, e := range changes {
		if e.Object.Version <= at || e.Object.Version > s.Version {
			return "changes don't rise at " + e.Object.key()
		}
		at = e.Object.Version
	}
	return ""
}

// plainErrors are the refusals that are no Status, as kube-apiserver's own are not.
var plainErrors = []string{"404 page not found\n", "400 Bad Request"}

// isStatus says what is wrong with a refusal, which has to be a Status.
func isStatus(r *sim.Response) string {
	for _, p := range plainErrors {
		if string(r.Body) == p {
			return ""
		}
	}
	var st metav1.Status
	switch err := json.Unmarshal(r.Body, &st); {
	case err != nil:
		return "no Status: " + string(r.Body)
	case st.Kind != "Status" || st.APIVersion != "v1" || st.Status != "Failure" || int(st.Code) != r.Code || st.Message == "":
		return "an odd Status: " + string(r.Body)
	}
	return ""
}

// FuzzRequest: whatever comes, the server answers, a refusal is a Status, and
// what is stored is consistent and of no earlier version.
func FuzzRequest(f *testing.F) {
	g := newRig(f, "")
	admin := g.admin()
	g.do(admin, "POST", "/api/v1/nodes", `{"metadata":{"name":"node-1"}}`)
	g.do(admin, "POST", "/api/v1/namespaces/kube-system/secrets", `{"metadata":{"name":"bootstrap-token-07401b"},"type":"bootstrap.kubernetes.io/token","stringData":{"token-id":"07401b","token-secret":"f395accd246ae52d","usage-bootstrap-authentication":"true"}}`)
	g.do(admin, "POST", csrs, g.csr("a", "example.com/x", pkix.Name{CommonName: "a"}))
	peers := [][][]byte{admin, g.peer("system:node:node-1", "system:nodes"), nil}
	f.Add(byte(0), "PATCH", csrs+"/a", "Content-Type: application/json-patch+json", `[{"op":"remove","path":"/spec/usages/7"}]`)
	f.Add(byte(0), "PATCH", csrs+"/a", "Content-Type: application/strategic-merge-patch+json", `{"status":{"conditions":[{"$patch":"delete","type":"Approved"},3]}}`)
	f.Add(byte(0), "POST", "/api/v1/namespaces/default/configmaps", "Content-Type: application/yaml", "kind: ConfigMap\nmetadata: {name: x}\ndata: {a: b, a: c}\n")
	f.Add(byte(1), "GET", "/api/v1/nodes?watch=1&fieldSelector=metadata.name%3Dnode-1&resourceVersion=1", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io", "")
	f.Add(byte(2), "GET", "/apis/certificates.k8s.io/v1", "Authorization: Bearer 07401b.f395accd246ae52d", "")
	f.Add(byte(0), "POST", "/api/v1/nodes", "Impersonate-User: x\nImpersonate-Group: system:masters\nImpersonate-Extra-a%2fb: c", `{"metadata":{"generateName":"x-"}}`)
	f.Add(byte(0), "POST", "/api/v1/namespaces/default/pods", "", `{"metadata":{"name":"p"},"spec":{"containers":[{"name":"a","image":"i","env":[{"name":"e","valueFrom":{"resourceFieldRef":{"resource":"limits.hugepages-2Mi","divisor":"1"}}}],"resources":{"limits":{"hugepages-0":"1"}},"lifecycle":{"preStop":{"sleep":{"seconds":-1}}}}],"volumes":[{"name":"v","projected":{"sources":[{}]}},{"name":"w","iscsi":{"iqn":"iqn.2001-04.com:a"}}],"affinity":{"nodeAffinity":{}},"resources":{}}}`)
	f.Add(byte(0), "POST", "/api/v1/namespaces/default/services", "", `{"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local","clusterIPs":["None","x"],"ports":[{"port":1,"nodePort":30000}]}}`)
	f.Add(byte(0), "PUT", "/api/v1/nodes/node-1/status", "", `{"metadata":{"name":"node-1"},"spec":{"podCIDRs":["a","b"]},"status":{"config":{"assigned":{}},"declaredFeatures":[""]}}`)
	f.Add(byte(0), "POST", "/api/v1/persistentvolumeclaims", "", `{"metadata":{"generateName":"-"},"spec":{"dataSource":{"kind":"x"},"selector":{"matchExpressions":[{}]}}}`)
	f.Add(byte(0), "PATCH", "/api/v1/nodes/node-1", "Content-Type: application/strategic-merge-patch+json", `{"spec":{"$retainKeys":[1],"taints":[{"$patch":"x"}],"$setElementOrder/taints":[1]},"metadata":{"$deleteFromPrimitiveList/finalizers":1}}`)
	f.Fuzz(func(t *testing.T, who byte, method, url, headers, body string) {
		store := g.store.Clone()
		s := g.s.Clone().(*Server)
		s.Attach(store)
		h := http.Header{}
		for line := range strings.Lines(headers) {
			if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				h.Add(k, strings.TrimSpace(v))
			}
		}
		peer := peers[int(who)%len(peers)]
		g.obs = nil
		// Twice, for what is there already; then all that a client may read.
		for i, r := range []sim.Request{{Method: method, URL: url, Header: h, Body: []byte(body), Peer: peer}, {Method: method, URL: url, Header: h, Body: []byte(body), Peer: peer},
			{Method: "GET", URL: csrs, Header: http.Header{}, Peer: admin}, {Method: "GET", URL: "/api/v1/nodes", Header: http.Header{"Accept": {"application/json;as=Table;v=v1;g=meta.k8s.io"}}, Peer: admin}} {
			c := g.ctx()
			before := store.Version
			r.Body = bytes.Clone(r.Body)
			s.Step(c, sim.Msg{Kind: sim.MsgRequest, Stream: uint64(1000 + i), Req: &r})
			if store.Version < before {
				t.Fatalf("the version fell from %d to %d", before, store.Version)
			}
			if wrong := store.whole(g.store.Version); wrong != "" {
				t.Fatal(wrong)
			}
			for _, e := range c.Effects {
				if e.Kind != sim.EffReply {
					continue
				}
				if e.Resp.Code < 200 || e.Resp.Code > 599 || i > 1 && e.Resp.Code != 200 {
					t.Fatalf("%s %s: code %d: %s", r.Method, r.URL, e.Resp.Code, e.Resp.Body)
				}
				ours := func(text string) bool { return strings.Contains(string(e.Resp.Body), text) }
				if e.Resp.Code == 500 && !slices.ContainsFunc([]string{"no preferred addresses found", "strconv.ParseUint: parsing", "resourceVersion should not be set", "range is full", "HealthCheck NodePort", "unknown patch type", "merge key"}, ours) {
					t.Fatalf("%s %s: %s", r.Method, r.URL, e.Resp.Body)
				}
				if e.Resp.Code >= 400 && method != "HEAD" {
					if wrong := isStatus(e.Resp); wrong != "" {
						t.Fatalf("%s %s: %s", r.Method, r.URL, wrong)
					}
				}
			}
		}
	})
}

// FuzzFiles: whatever stands in a file that the server reads, or in its flags, it
// starts or ends with a line that says why.
func FuzzFiles(f *testing.F) {
	files := []string{"", "/pki/ca.crt", "/pki/s.crt", "/pki/s.key", "/pki/sa.key", "/pki/tokens.csv", "/pki/kubelet-ca.crt", "/pki/front.crt"}
	g := newRig(f, "")
	flags := append(strings.Fields("--token-auth-file=/pki/tokens.csv --kubelet-certificate-authority=/pki/kubelet-ca.crt --requestheader-client-ca-file=/pki/front.crt --v=5"), usual...)
	good := map[string][]byte{"/pki/tokens.csv": []byte("secret,jane,1,\"a,b\"\n"), "/pki/kubelet-ca.crt": g.ca.CertPEM(), "/pki/front.crt": g.ca.CertPEM()}
	for i, name := range files[1:] {
		if _, ok := good[name]; !ok {
			good[name], _ = g.disk.ReadFile(name)
		}
		f.Add(byte(i+1), string(good[name]))
	}
	f.Add(byte(0), "--authorization-mode=ABAC,Webhook,Node --secure-port=0 --v=9")
	f.Add(byte(0), "--anonymous-auth=maybe")
	f.Fuzz(func(t *testing.T, which byte, text string) {
		name := files[int(which)%len(files)]
		g := &rig{t: t, now: g.now, chance: &sim.Chance{Seed: "files"}, store: NewStore(), disk: sim.NewDisk(g.now), ca: g.ca}
		g.disk.MkdirAll("/pki", 0o755, g.now)
		for n, b := range good {
			g.disk.WriteFile(n, b, 0o600, g.now)
		}
		args := flags
		if name == "" {
			args = append(strings.Fields(text), flags...)
		} else {
			g.disk.WriteFile(name, []byte(text), 0o600, g.now)
		}
		var err error
		if g.s, err = New(era.Must("1.36"), args, g.store); err != nil {
			if strings.TrimSpace(err.Error()) == "" {
				t.Fatal("refused without a word")
			}
			return
		}
		g.step(sim.Msg{Kind: sim.MsgStart})
		for _, e := range g.effect {
			if e.Kind == sim.EffExit {
				if e.Code == 0 || g.lastLog() == "" {
					t.Fatalf("it ended with %d and without a word", e.Code)
				}
				return
			}
		}
		g.step(sim.Msg{Kind: sim.MsgRequest, Stream: 5, Req: &sim.Request{Method: "GET", URL: "/api/v1/nodes", Peer: g.admin(), Header: http.Header{"Authorization": {"Bearer secret"}}}})
		g.step(sim.Msg{Kind: sim.MsgFile, Tag: name})
	})
}
