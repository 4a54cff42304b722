package engine_test

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
)

func (p *tape) read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := p.w.Disk(p.host).ReadFile(name)
	require.NoError(t, err)
	return b
}

// tree lists the files and directories below dirs: their mode as the recordings
// write it, what a link leads to, and their size.
func (p *tape) tree(t *testing.T, dirs ...string) map[string]string {
	t.Helper()
	disk := p.w.Disk(p.host)
	out := map[string]string{}
	var walk func(name string)
	walk = func(name string) {
		e, err := disk.Lstat(name)
		require.NoError(t, err)
		mode := fmt.Sprintf("0o%03o", e.Mode.Perm())
		switch {
		case e.Mode&fs.ModeSymlink != 0:
			out[name] = mode + " -> " + e.Target
		case e.Mode.IsDir():
			out[name] = mode + " dir"
			names, err := disk.ReadDir(name)
			require.NoError(t, err)
			for _, n := range names {
				walk(path.Join(name, n))
			}
		default:
			out[name] = fmt.Sprintf("%s %d", mode, len(e.Data))
		}
	}
	for _, d := range dirs {
		if _, err := disk.Lstat(d); err == nil {
			walk(d)
		}
	}
	return out
}

var listingLine = regexp.MustCompile(`(?m)^(0o\d+) +(dir|\d+) (\S+)$`)

// compareListing compares modes and names; sizes may differ by what DER makes
// of numbers that begin with a zero.
func compareListing(t *testing.T, p *tape, rec golden.Recording) {
	got := p.tree(t, "/etc/kubernetes")
	seen := 0
	for _, m := range listingLine.FindAllStringSubmatch(rec.Text(t), -1) {
		require.Contains(t, got, m[3])
		seen++
		mode, size, _ := strings.Cut(got[m[3]], " ")
		require.Equal(t, m[1], mode, m[3])
		if m[2] == "dir" {
			require.Equal(t, "dir", size, m[3])
			continue
		}
		want, _ := strconv.Atoi(m[2])
		have, err := strconv.Atoi(size)
		require.NoError(t, err, m[3])
		require.InDelta(t, want, have, 16, m[3])
	}
	require.Equal(t, seen, len(got), "%v", got)
}

// compareFiles compares the files of a node with their modes and text.
func compareFiles(t *testing.T, p *tape, rec golden.Recording) {
	text := rec.Text(t)
	want, got := map[string]string{}, map[string]string{}
	name := ""
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if body, ok := strings.CutPrefix(line, "    "); ok {
			want[name] += body + "\n"
		} else if mode, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(mode, "0o") {
			file, target, _ := strings.Cut(rest, " -> ")
			name = stampedName.ReplaceAllString(file, "-TIME.pem")
			want[name] = mode + "\n"
			if target != "" {
				want[name] += "-> " + stampedName.ReplaceAllString(target, "-TIME.pem") + "\n"
			}
		}
	}
	for file, what := range p.tree(t, "/etc/kubernetes", "/var/lib/kubelet") {
		mode, more, _ := strings.Cut(what, " ")
		key := stampedName.ReplaceAllString(file, "-TIME.pem")
		switch {
		case more == "dir":
			continue
		case strings.HasPrefix(more, "-> "):
			got[key] = mode + "\n" + stampedName.ReplaceAllString(more, "-TIME.pem") + "\n"
		case strings.HasSuffix(file, ".pem"):
			got[key] = mode + "\n"
		default:
			got[key] = mode + "\n" + string(p.read(t, file))
		}
	}
	plain := func(s string) string {
		if head, rest, ok := strings.Cut(s, "-----BEGIN CERTIFICATE-----"); ok {
			return head + described(t, []byte("-----BEGIN CERTIFICATE-----"+rest))
		}
		return plainSaid(t, s)
	}
	require.Equal(t, len(want), len(got), "%v\n%v", want, got)
	for name := range want {
		require.Contains(t, got, name)
		require.Equal(t, plain(want[name]), plain(got[name]), name)
	}
}

// places say where what a recording shows is; $1 is a path with _ for /.
var places = []struct {
	file *regexp.Regexp
	at   string
}{
	{regexp.MustCompile(`^03-certs-all-(pki_.*\.crt)\.x509\.txt$`), "/etc/kubernetes/$1"},
	{regexp.MustCompile(`^03-(.*\.(?:key|pub))-form\.txt$`), "/etc/kubernetes/pki/$1"},
	{regexp.MustCompile(`^06-(.*\.conf)(?:\.x509\.txt)?$`), "/etc/kubernetes/$1"},
	{regexp.MustCompile(`^3[68]-((?:ECDSA|RSA)-[P0-9]+)-(.*)\.x509\.txt$`), "/etc/kubernetes/pki-$1/$2.crt"},
	{regexp.MustCompile(`^3[68]-((?:ECDSA|RSA)-[P0-9]+)-(.*)\.key-form\.txt$`), "/etc/kubernetes/pki-$1/$2.key"},
	{regexp.MustCompile(`^33-generate-csr-(pki_.*)\.txt$`), "/etc/kubernetes/csr/$1.csr"},
	{regexp.MustCompile(`^33-generate-csr-(.*\.conf)\.txt$`), "/etc/kubernetes/csr/$1.csr"},
}

// shownAt is the file that a recording shows; nothing for what was printed.
func shownAt(t *testing.T, rec golden.Recording) string {
	t.Helper()
	for _, p := range places {
		if m := p.file.FindStringSubmatchIndex(rec.File); m != nil {
			return strings.ReplaceAll(string(p.file.ExpandString(nil, p.at, rec.File, m)), "_", "/")
		}
	}
	return ""
}

// clientCert is the certificate that a kubeconfig holds.
func clientCert(t *testing.T, text []byte) []byte {
	t.Helper()
	var c struct {
		Users []struct {
			User struct {
				Cert []byte `json:"client-certificate-data"`
			} `json:"user"`
		} `json:"users"`
	}
	require.NoError(t, yaml.Unmarshal(text, &c))
	require.Len(t, c.Users, 1)
	return c.Users[0].User.Cert
}

// compareCertificate compares the certificate at the end of openssl's text with
// the one that is here.
func compareCertificate(t *testing.T, p *tape, rec golden.Recording) {
	_, text, ok := strings.Cut(rec.Text(t), "-----BEGIN CERTIFICATE-----")
	require.True(t, ok)
	want, err := pki.ParseCerts([]byte("-----BEGIN CERTIFICATE-----" + text))
	require.NoError(t, err)
	var data []byte
	switch at := shownAt(t, rec); {
	case at == "":
		data = clientCert(t, []byte(p.of(t, rec.Number).stdout))
	case strings.HasSuffix(at, ".conf"):
		data = clientCert(t, p.read(t, at))
	default:
		data = p.read(t, at)
	}
	got, err := pki.ParseCerts(data)
	require.NoError(t, err)
	require.Equal(t, describe(t, want[0]), describe(t, got[0]))
}

// compareKey compares a key's PEM and length.
func compareKey(t *testing.T, p *tape, rec golden.Recording) {
	b, _ := pem.Decode(p.read(t, shownAt(t, rec)))
	require.NotNil(t, b)
	got := "-----BEGIN " + b.Type + "-----\n"
	if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		got += fmt.Sprintf("Private-Key: (%d bit, %d primes)\n", key.N.BitLen(), len(key.Primes))
	} else if pub, err := x509.ParsePKIXPublicKey(b.Bytes); err == nil {
		got += fmt.Sprintf("Public-Key: (%d bit)\n", pub.(*rsa.PublicKey).N.BitLen())
	}
	require.Contains(t, got, strings.TrimSpace(rec.Text(t)))
}

// compareRequest compares what openssl shows of a request.
func compareRequest(t *testing.T, p *tape, rec golden.Recording) {
	r, err := pki.ParseRequest(p.read(t, shownAt(t, rec)))
	require.NoError(t, err)
	require.NoError(t, pki.CheckRequest(r))
	var name []string
	for _, a := range r.Subject.Names {
		name = append(name, map[string]string{"2.5.4.10": "O", "2.5.4.3": "CN"}[a.Type.String()]+" = "+fmt.Sprint(a.Value))
	}
	want := rec.Text(t)
	require.Contains(t, want, "Subject: "+strings.Join(name, ", ")+"\n")
	require.Contains(t, want, fmt.Sprintf("Public-Key: (%d bit)\n", r.PublicKey.(*rsa.PublicKey).N.BitLen()))
	require.Equal(t, x509.SHA256WithRSA, r.SignatureAlgorithm)
	require.Contains(t, want, "Signature Algorithm: sha256WithRSAEncryption\n")
	var names []string
	for _, d := range r.DNSNames {
		names = append(names, "DNS:"+d)
	}
	for _, ip := range r.IPAddresses {
		names = append(names, "IP Address:"+ip.String())
	}
	if names == nil {
		require.NotContains(t, want, "Subject Alternative Name")
		return
	}
	require.Contains(t, want, "X509v3 Subject Alternative Name: \n                    "+strings.Join(names, ", ")+"\n")
}

func compareKubeconfig(t *testing.T, p *tape, rec golden.Recording) {
	require.Equal(t, plainSaid(t, rec.Text(t)), plainSaid(t, string(p.read(t, shownAt(t, rec)))))
}

// issue makes a certificate for a key that is there: issue FILE CA FROM UNTIL,
// where FILE is its path without extension, CA that of its CA, or "other" for
// one that nobody knows, and the rest how far from now it is valid.
func (p *tape) issue(t *testing.T, where string, args []string) {
	t.Helper()
	key, err := pki.ParseKey(p.read(t, args[0]+".key"))
	require.NoError(t, err, where)
	now := p.w.Now()
	ca, err := pki.NewAuthority(pki.Keyring{Seed: "golden"}, "other", "other", now.Add(-time.Hour), now.AddDate(10, 0, 0))
	if args[1] != "other" {
		ca, err = pki.ParseAuthority(p.read(t, args[1]+".crt"), p.read(t, args[1]+".key"))
	}
	require.NoError(t, err, where)
	var at [2]time.Time
	for i := range at {
		d, err := time.ParseDuration(args[2+i])
		require.NoError(t, err, where)
		at[i] = now.Add(d)
	}
	cert, err := ca.Leaf(pki.LeafSpec{Subject: pkix.Name{CommonName: "kube-apiserver"}, DNS: []string{"kubernetes"}, Server: true, NotBefore: at[0], NotAfter: at[1], Serial: []byte{1, 2, 3, 4, 5, 6, 7, 8}}, key.Public())
	require.NoError(t, err, where)
	p.write(t, where, p.host, args[0]+".crt", string(cert))
}

// signatures are those of tokens in cluster-info: what they sign differs with
// the CA.
var signatures = regexp.MustCompile(`("jws-kubeconfig-[a-z0-9]{6}": "[A-Za-z0-9_-]+)\.\.[A-Za-z0-9_-]{43}"`)

// plainObject is an object without what differs from run to run.
func plainObject(t *testing.T, o any) string {
	t.Helper()
	b, err := json.MarshalIndent(golden.Plain(o), "", " ")
	require.NoError(t, err)
	text := signatures.ReplaceAllString(string(b), `$1..SIGNATURE"`)
	text = regexp.MustCompile(`"expiration": "[A-Za-z0-9=]{28}"`).ReplaceAllString(text, `"expiration": "TIME"`)
	return plainSaid(t, strings.ReplaceAll(text, `\n`, "\n"))
}

// compareAnswer compares what an API server answered to a GET.
func compareAnswer(t *testing.T, p *tape, rec golden.Recording) {
	var x struct {
		Request  struct{ Path string }
		Response struct {
			Code int
			Body map[string]any
		}
	}
	require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
	if x.Response.Code != 200 {
		text, code, _ := p.ask(t, "10.0.0.10:6443", "admin", sim.Request{Method: "GET", URL: x.Request.Path, Header: http.Header{}})
		var body map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &body))
		require.Equal(t, fmt.Sprint(x.Response.Code), code)
		require.Equal(t, plainObject(t, x.Response.Body), plainObject(t, body))
		return
	}
	require.Equal(t, plainObject(t, x.Response.Body), plainObject(t, p.get(t, x.Request.Path)))
}

// compareRows compares what kubectl get csr shows of the token's CSRs, each kind
// of row once: the other rows, and some of these, are of other recordings.
func compareRows(t *testing.T, p *tape, rec golden.Recording) {
	rows := func(text string) (out []string) {
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > 5 && (f[0] == "NAME" || f[3] == "system:bootstrap:9vr73a") {
				f[0], f[1] = csrNames.ReplaceAllString(f[0], "CSR"), strings.TrimLeft(f[1], "0123456789")
				out = append(out, strings.Join(f, " "))
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	m := blocks.FindStringSubmatch(rec.Text(t))
	require.NotNil(t, m)
	require.Equal(t, "kubectl get csr", m[1])
	want := rows(m[2])
	require.Greater(t, len(want), 1)
	require.Equal(t, want, rows(p.say(t, rec.Name(), "admin", m[1])))
}

// compareObject compares an object that kubectl printed. As YAML it is without
// managedFields.
func compareObject(t *testing.T, p *tape, rec golden.Recording) {
	var want map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(rec.Text(t)), &want))
	meta := want["metadata"].(map[string]any)
	version := want["apiVersion"].(string)
	at := "/apis/" + version
	if version == "v1" {
		at = "/api/v1"
	}
	if ns, ok := meta["namespace"].(string); ok {
		at += "/namespaces/" + ns
	}
	got := p.get(t, at+"/"+strings.ToLower(want["kind"].(string))+"s/"+meta["name"].(string))
	if _, ok := meta["managedFields"]; !ok {
		delete(got["metadata"].(map[string]any), "managedFields")
	}
	require.Equal(t, plainObject(t, want), plainObject(t, got))
}

// compareCalls compares the calls that kubeadm made of an API server: those of
// the command of that number, or of all since the last such recording. How
// often a ConfigMap is asked for in 350 ms at 50 ms each is the clock's affair.
func compareCalls(t *testing.T, p *tape, rec golden.Recording) {
	var list []struct {
		Verb, URI, User string
		Code            int
	}
	require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &list))
	var want, got []string
	for _, c := range list {
		want = append(want, fmt.Sprintf("%s %s %s %d", c.Verb, c.URI, c.User, c.Code))
	}
	for _, r := range p.recs {
		if word, n := form(r); word == "typed" && n <= rec.Number && (n == rec.Number || strings.HasPrefix(rec.Folder, "r")) {
			for _, c := range p.played[r.File].calls {
				if strings.HasPrefix(c, "get ") && !strings.Contains(c, "kubernetes-admin") {
					got = append(got, c)
				}
			}
		}
	}
	few := func(list []string) string {
		var out strings.Builder
		for i, n := 0, 0; i < len(list); i++ {
			if n++; i+1 < len(list) && list[i+1] == list[i] {
				continue
			}
			if strings.Contains(list[i], "/kube-proxy?") {
				n = 7
			}
			fmt.Fprintf(&out, "%d %s\n", n, list[i])
			n = 0
		}
		return out.String()
	}
	require.Equal(t, few(want), few(got))
}
