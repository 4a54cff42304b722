package engine_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// csrNamesMade are the CSRs in the order in which they were made.
func (r *run) csrNamesMade() (out []string) {
	for _, o := range r.obs {
		if name, ok := strings.CutPrefix(o.Subject, "certificatesigningrequests/"); ok && o.Kind == trace.Object && o.Args["verb"] == "create" {
			out = append(out, name)
		}
	}
	return out
}

// withNames puts names for {csr}, the newest CSR, and {csr-1}, the one before.
func (r *run) withNames(t *testing.T, where, line string) string {
	t.Helper()
	names := r.csrNamesMade()
	return regexp.MustCompile(`\{csr(-\d)?\}`).ReplaceAllStringFunc(line, func(s string) string {
		back := 0
		fmt.Sscanf(s, "{csr-%d}", &back)
		require.Less(t, back, len(names), where)
		return names[len(names)-1-back]
	})
}

// get asks the API server as the admin.
func (r *run) get(t *testing.T, path string) map[string]any {
	t.Helper()
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.say(t, path, "admin", "kubectl get --raw '"+path+"'")), &out))
	return out
}

const csrsPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests"

// showCSR compares the newest CSR, or those that are named: csr FILE [{csr-1}]….
func showCSR(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	if len(args) == 0 {
		args = []string{"{csr}"}
	}
	var got []map[string]any
	for _, a := range args {
		got = append(got, r.get(t, csrsPath+"/"+r.withNames(t, "csr", a)))
	}
	return func(t *testing.T, text string) {
		var want []map[string]any
		if json.Unmarshal([]byte(text), &want) != nil {
			want = make([]map[string]any, 1)
			require.NoError(t, json.Unmarshal([]byte(text), &want[0]))
		}
		require.Len(t, got, len(want))
		for i := range want {
			require.Equal(t, r.plainCSR(t, want[i]), r.plainCSR(t, got[i]))
		}
	}
}

// plainCSR is a CSR without what differs from run to run; of its request stays
// what it says.
func (r *run) plainCSR(t *testing.T, o map[string]any) string {
	t.Helper()
	spec := o["spec"].(map[string]any)
	var raw []byte
	b, _ := json.Marshal(spec["request"])
	require.NoError(t, json.Unmarshal(b, &raw))
	req, err := pki.ParseRequest(raw)
	require.NoError(t, err)
	spec["request"] = fmt.Sprintf("a request for %s, %v, %d addresses, %v", req.Subject, req.DNSNames, len(req.IPAddresses), req.PublicKeyAlgorithm)
	// kubectl's list leaves kind and apiVersion to the list.
	delete(o, "kind")
	delete(o, "apiVersion")
	// They are sorted by seconds, and how many requests fall into one differs.
	if meta, ok := o["metadata"].(map[string]any); ok && meta["managedFields"] != nil {
		slices.SortFunc(meta["managedFields"].([]any), func(a, b any) int {
			key := func(x any) string { m := x.(map[string]any); return fmt.Sprint(m["manager"], m["subresource"]) }
			return strings.Compare(key(a), key(b))
		})
	}
	out, err := json.MarshalIndent(golden.Plain(o), "", " ")
	require.NoError(t, err)
	return regexp.MustCompile(`\b(node-[a-z]\d?|q-[a-z]+|qs15)\b`).ReplaceAllString(csrNames.ReplaceAllString(string(out), "${1}CSR"), "NODE")
}

// showCSRs compares a file of names of CSRs by their order: csrs FILE KEY=WHAT…,
// where WHAT is pending, what was seen by the steps look, or a CSR as {csr} and
// {csr-1}. Other keys are compared by other steps.
func showCSRs(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	got := map[string][]string{}
	for _, a := range args {
		key, what, _ := strings.Cut(a, "=")
		switch what {
		case "pending":
			got[key] = r.pending()
		case "looked":
			got[key] = r.looked
		default:
			got[key] = []string{r.withNames(t, a, what)}
		}
	}
	return func(t *testing.T, text string) {
		var any any
		require.NoError(t, json.Unmarshal([]byte(text), &any))
		want := map[string][]string{}
		switch v := any.(type) {
		case []interface{}:
			want[""] = names(v)
		case map[string]interface{}:
			for key, x := range v {
				if list := names(x); key != "note" {
					want[key] = list
				}
			}
		}
		require.Equal(t, ordinals(t, want, args), ordinals(t, got, args))
	}
}

// pending are the CSRs since begin that are pending, in the order of creation.
func (r *run) pending() []string {
	pending := map[string]bool{}
	for _, x := range r.w.View().CSRs {
		pending[x.Name] = x.Condition == "Pending"
	}
	out := []string{}
	for _, name := range r.csrNamesMade()[r.before:] {
		if pending[name] {
			out = append(out, name)
		}
	}
	return out
}

// under takes a part out of a JSON text: the value of a key, written with _ for
// spaces; lines for a list of texts.
func under(t *testing.T, text string, args []string) string {
	t.Helper()
	if len(args) == 0 {
		return text
	}
	var o map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(text), &o))
	part := o[strings.ReplaceAll(args[0], "_", " ")]
	require.NotEmpty(t, part, "no %s in this file", args[0])
	var lines []string
	if json.Unmarshal(part, &lines) == nil {
		return strings.Join(lines, "\n")
	}
	return string(part)
}

func names(v any) []string {
	out := []string{}
	switch v := v.(type) {
	case string:
		out = append(out, v)
	case []any:
		for _, x := range v {
			out = append(out, names(x)...)
		}
	}
	return out
}

// ordinals names CSRs by when they first appear.
func ordinals(t *testing.T, m map[string][]string, order []string) string {
	t.Helper()
	seen := map[string]int{}
	var b strings.Builder
	for _, a := range order {
		key, _, _ := strings.Cut(a, "=")
		require.Contains(t, m, key)
		fmt.Fprintf(&b, "%s:", key)
		for _, name := range m[key] {
			if seen[name] == 0 {
				seen[name] = len(seen) + 1
			}
			fmt.Fprintf(&b, " %d", seen[name])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// showPort compares what a TLS client that trusts everybody sees at the
// kubelet's port.
func showPort(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	h := shake(t, r.w, r.port())
	return func(t *testing.T, text string) { comparePort(t, h, under(t, text, args)) }
}

// shake is a handshake with a port by a client that trusts everybody.
func shake(t *testing.T, w *engine.World, addr string) pki.Handshake {
	t.Helper()
	l, ok := w.Presents(addr)
	require.True(t, ok, "nobody listens at %s", addr)
	return pki.Greet(pki.Client{Insecure: true}, pki.Server{Cert: l.Cert, Key: l.Key, Without: l.Without}, w.Now())
}

// comparePort holds a recorded handshake against another one.
func comparePort(t *testing.T, h pki.Handshake, text string) {
	t.Helper()
	var want struct {
		DialError   string
		ChainLength int
		Version     string
		Cipher      string
		Peer        struct {
			DNS             []string
			EKU             string
			IPs             []string
			IsCA            bool
			Issuer, Subject string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &want))
	require.Equal(t, want.DialError, h.ClientError)
	if want.DialError != "" {
		return
	}
	x, err := pki.ParseDER(h.ServerChain[0])
	require.NoError(t, err)
	plain := func(s string) string {
		return regexp.MustCompile(`\b(node-[a-z]\d?|q-[a-z]+)\b`).ReplaceAllString(regexp.MustCompile(`@\d+`).ReplaceAllString(s, "@TIME"), "NODE")
	}
	got := want
	got.ChainLength, got.Version, got.Cipher = len(h.ServerChain), h.Version, h.Cipher
	got.Peer.DNS, got.Peer.IsCA, got.Peer.Issuer, got.Peer.Subject = x.DNSNames, x.IsCA, x.Issuer.String(), x.Subject.String()
	require.Equal(t, len(want.Peer.IPs), len(x.IPAddresses))
	for i, ip := range want.Peer.IPs {
		// The recorder's node was 192.0.2.N where ours is 10.0.0.N, and .2 where ours is .11.
		ours := strings.Replace(strings.Replace(ip+";", "192.0.2.2;", "10.0.0.11;", 1), "192.0.2.", "10.0.0.", 1)
		require.Equal(t, ours, x.IPAddresses[i].String()+";")
	}
	got.Peer.EKU = "[serverAuth]"
	require.Len(t, x.ExtKeyUsage, 1)
	require.Equal(t, plain(fmt.Sprint(want)), plain(fmt.Sprint(got)))
}

// showAddresses compares the addresses of the node: addresses FILE KEY.
func showAddresses(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	got := r.get(t, "/api/v1/nodes/"+r.node)["status"].(map[string]any)["addresses"]
	return func(t *testing.T, text string) {
		b, err := json.Marshal(got)
		require.NoError(t, err)
		want := under(t, text, args)
		want = strings.ReplaceAll(strings.ReplaceAll(want, `"192.0.2.2"`, `"10.0.0.11"`), "192.0.2.", "10.0.0.")
		require.JSONEq(t, want, string(b))
	}
}

// port is the address of the kubelet's port.
func (r *run) port() string { return "10.0.0.11:" + options["port"] }

// showCurl compares what a client of the port gets: curl FILE PATH [WHO], where
// WHO is alice, admin or nobody.
func showCurl(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	body, code, failure := r.curl(t, args[0], append(args, "nobody")[1])
	return func(t *testing.T, text string) {
		if strings.HasPrefix(text, "000 ") {
			// curl's own words for the alert that Go calls by this name.
			require.Contains(t, text, "tlsv1 alert internal error")
			require.Equal(t, "remote error: tls: internal error", failure)
			return
		}
		require.Equal(t, strings.TrimRight(text, "\n"), body+"\n"+code)
	}
}

// curl asks the kubelet's port for a path, as alice, admin or nobody.
func (r *run) curl(t *testing.T, path, who string) (body, code, failure string) {
	t.Helper()
	return r.ask(t, r.port(), who, sim.Request{Method: "GET", URL: path, Header: http.Header{}})
}

// ask sends a request to an address, as alice, admin or nobody, or with the
// certificate that the node has.
func (r *run) ask(t *testing.T, addr, who string, q sim.Request) (body, code, failure string) {
	t.Helper()
	q.Remote = "10.0.0.2:40000"
	switch who {
	case "nobody":
	case "node":
		current, err := r.w.Disk("node-1").ReadFile("/var/lib/kubelet/pki/kubelet-client-current.pem")
		require.NoError(t, err)
		list, err := pki.ParseCerts(current)
		require.NoError(t, err)
		q.Peer = [][]byte{list[0].Raw}
	default:
		q.Peer = r.identity(t, who)
	}
	r.calls++
	id := fmt.Sprintf("curl-%d", r.calls)
	require.NoError(t, r.w.Apply(engine.Input{External: &engine.External{ID: id, Addr: addr, Request: q}}))
	r.w.AdvanceTo(r.w.Now().Add(50_000_000))
	for _, o := range r.w.Drain() {
		r.obs = append(r.obs, o)
		if o.Kind == trace.Response && o.Args["external"] == id {
			body, code, failure = o.Payload, o.Args["code"], o.Args["error"]
		}
	}
	return body, code, failure
}

// showAnswer compares what the API server answers to a GET: answer FILE WHO PATH.
func showAnswer(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	body, code, _ := r.ask(t, "10.0.0.10:6443", args[0], sim.Request{Method: "GET", URL: args[1], Header: http.Header{}})
	return func(t *testing.T, text string) {
		var want struct {
			Code    int
			Headers map[string]string
			Body    json.RawMessage
		}
		require.NoError(t, json.Unmarshal([]byte(text), &want))
		require.Equal(t, fmt.Sprint(want.Code), code)
		require.Equal(t, want.Headers["Content-Length"], fmt.Sprint(len(body)))
		require.JSONEq(t, string(want.Body), body)
	}
}
