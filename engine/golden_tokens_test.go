package engine_test

import (
	"encoding/base64"
	"encoding/json"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/trace"
)

const secretsPath = "/api/v1/namespaces/kube-system/secrets"

// bootstrapSecret is S(id) of the recordings' README.
func bootstrapSecret(id string, change map[string]string) map[string]any {
	data := map[string]string{"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
		"usage-bootstrap-signing": "true", "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token"}
	for key, value := range change {
		if data[key] = value; value == "" {
			delete(data, key)
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "bootstrap.kubernetes.io/token", "stringData": data,
		"metadata": map[string]any{"name": "bootstrap-token-" + id, "namespace": "kube-system"}}
}

// playTokens makes Secrets of bootstrap tokens and sees when they go.
func playTokens(t *testing.T, _ string) golden.Play {
	var k *cluster
	from := 0
	return func(t *testing.T, rec golden.Recording) {
		if path.Ext(rec.File) == ".log" {
			require.NotNil(t, k, "the .json comes first")
			log := strings.Join(k.kcmLog(from), "\n")
			n := 0
			for line := range strings.Lines(rec.Text(t)) {
				_, text, _ := strings.Cut(strings.TrimSpace(line), "] ")
				switch {
				case strings.Contains(line, "tokencleaner.go:202]"), strings.Contains(line, "secrets.go:66]"):
				case strings.Contains(line, "tokencleaner.go:173]") && !strings.Contains(line, "abcdef") && !strings.Contains(line, "noperm"):
					text, _, _ = strings.Cut(text, " elapsedTime")
				case strings.Contains(line, "secrets.go:73]"):
					text, _, _ = strings.Cut(text, " Secret: ")
				case strings.Contains(line, "tokencleaner.go:117]"):
				default:
					continue
				}
				require.Contains(t, log, text)
				n++
			}
			require.Positive(t, n)
			return
		}
		var rows []struct {
			Token                string
			Expiration           *string
			CreatedAt, DeletedAt time.Time
			Changed              []struct{ To *string }
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &rows))
		k = newCluster(t)
		from = len(k.obs)
		k.flag(t, "v=4") // it starts again
		k.pass(3 * time.Second)
		// The fraction of a second counts: the world stands at that of the recording.
		k.w.AdvanceTo(k.w.Now().Truncate(time.Second).Add(time.Second + rows[0].CreatedAt.Sub(rows[0].CreatedAt.Truncate(time.Second))))
		shift := rows[0].CreatedAt.Sub(k.w.Now())
		here := func(expiration *string) string {
			if expiration == nil {
				return ""
			}
			at, err := time.Parse(time.RFC3339, *expiration)
			if err != nil {
				return *expiration
			}
			layout := "2006-01-02T15:04:05.999999999"
			if strings.HasSuffix(*expiration, "Z") {
				return at.Add(-shift).UTC().Format(layout) + "Z"
			}
			return at.Add(-shift).UTC().Format(layout) + "+00:00"
		}
		for _, x := range rows {
			code, body := k.call(t, adminName, "POST", secretsPath, bootstrapSecret(x.Token, map[string]string{"expiration": here(x.Expiration)}))
			require.Equal(t, 201, code, body)
		}
		for _, x := range rows {
			for _, change := range x.Changed {
				code, secret := k.call(t, adminName, "GET", secretsPath+"/bootstrap-token-"+x.Token, nil)
				require.Equal(t, 200, code)
				data := secret["data"].(map[string]any)
				if delete(data, "expiration"); change.To != nil {
					data["expiration"] = base64.StdEncoding.EncodeToString([]byte(here(change.To)))
				}
				code, secret = k.call(t, adminName, "PUT", secretsPath+"/bootstrap-token-"+x.Token, secret)
				require.Equal(t, 200, code, secret)
			}
		}
		k.pass(90 * time.Second)
		gone := map[string]time.Time{}
		for _, o := range k.obs {
			if name, ok := strings.CutPrefix(o.Subject, "secrets/kube-system/bootstrap-token-"); ok && o.Kind == trace.Object && o.Args["verb"] == "delete" {
				gone[name] = o.At
			}
		}
		for _, x := range rows {
			if x.DeletedAt.IsZero() {
				require.NotContains(t, gone, x.Token)
				continue
			}
			require.Contains(t, gone, x.Token)
			require.WithinDuration(t, x.DeletedAt.Add(-shift), gone[x.Token], 250*time.Millisecond, x.Token)
		}
	}
}

// exchange is one recorded request and its answer.
type exchanged struct {
	Request struct {
		Method, Path, As string
		Body             map[string]any
	}
	Response struct {
		Code int
		Body map[string]any
	}
}

func readExchange(t *testing.T, rec golden.Recording) (x exchanged) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
	return x
}

// replay sends a recorded request and compares the answer.
func (k *cluster) replay(t *testing.T, x exchanged) {
	t.Helper()
	var body any
	if x.Request.Body != nil {
		body = x.Request.Body
	}
	code, got := k.call(t, x.Request.As, x.Request.Method, x.Request.Path, body)
	require.Equal(t, x.Response.Code, code, got)
	require.Equal(t, golden.Plain(x.Response.Body), golden.Plain(got))
}

// playClusterInfo has cluster-info signed by the tokens that may.
func playClusterInfo(t *testing.T, _ string) golden.Play {
	k := newCluster(t)
	for id, change := range map[string]map[string]string{"abcdef": nil, "second": {"token-secret": "fedcba9876543210"}, "nosign": {"usage-bootstrap-signing": ""}} {
		code, body := k.call(t, adminName, "POST", secretsPath, bootstrapSecret(id, change))
		require.Equal(t, 201, code, body)
	}
	// The token that every world starts with may sign too, and was not there.
	k.call(t, adminName, "DELETE", secretsPath+"/bootstrap-token-07401b", nil)
	k.w.AdvanceTo(k.w.Now().Truncate(time.Second).Add(time.Second))
	const info = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
	return func(t *testing.T, rec golden.Recording) {
		x := readExchange(t, rec)
		switch rec.Number {
		case 3:
			code, cm := k.call(t, adminName, "GET", info, nil)
			require.Equal(t, 200, code)
			cm["data"].(map[string]any)["kubeconfig"] = x.Response.Body["data"].(map[string]any)["kubeconfig"]
			code, cm = k.call(t, adminName, "PUT", info, cm)
			require.Equal(t, 200, code, cm)
		case 4:
			code, _ := k.call(t, adminName, "DELETE", secretsPath+"/bootstrap-token-second", nil)
			require.Equal(t, 200, code)
		}
		// The recorder did it all within a second, which orders managedFields.
		k.pass(100 * time.Millisecond)
		k.replay(t, x)
	}
}

// playCleaner has old CSRs there before the cleaner starts, which deletes none
// of them: its first round comes before it knows of any.
func playCleaner(t *testing.T, _ string) golden.Play {
	k := newCluster(t)
	k.say(t, "control-1", "systemctl stop kube-controller-manager")
	k.pass(26 * time.Hour)
	from := 0
	return func(t *testing.T, rec golden.Recording) {
		switch {
		case path.Ext(rec.File) == ".log":
			spoken{"cleaner.go:83": "cleaner"}.says(t, rec.Text(t), k.kcmLog(from))
			require.NotContains(t, strings.Join(k.kcmLog(from), "\n"), "Cleaning CSR")
		case rec.Number == 1:
			var list []map[string]any
			require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &list))
			shift := time.Duration(0)
			for _, o := range list {
				want := as[certv1.CertificateSigningRequest](t, o)
				csr := csrOf(t, want.Name, want.Spec.SignerName)
				csr.Spec = certv1.CertificateSigningRequestSpec{Request: want.Spec.Request, SignerName: want.Spec.SignerName, Usages: want.Spec.Usages}
				code, body := k.call(t, adminName, "POST", csrsPath, csr)
				require.Equal(t, 201, code, body)
				made := as[certv1.CertificateSigningRequest](t, body)
				if shift == 0 {
					shift = want.CreationTimestamp.Sub(made.CreationTimestamp.Time)
				}
				if len(want.Status.Certificate) > 0 {
					made.Status.Certificate = want.Status.Certificate
					code, body = k.call(t, adminName, "PUT", csrsPath+"/"+want.Name+"/status", made)
					require.Equal(t, 200, code, body)
					made = as[certv1.CertificateSigningRequest](t, body)
				}
				if len(want.Status.Conditions) > 0 {
					made.Status.Conditions = slices.Clone(want.Status.Conditions)
					for i := range made.Status.Conditions {
						c := &made.Status.Conditions[i]
						c.LastUpdateTime.Time = c.LastUpdateTime.Add(-shift)
					}
					code, body = k.call(t, adminName, "PUT", csrsPath+"/"+want.Name+"/approval", made)
					require.Equal(t, 200, code, body)
				}
				got := k.read(t, want.Name)
				require.Len(t, got.Status.Conditions, len(want.Status.Conditions))
				for i, c := range got.Status.Conditions {
					require.WithinDuration(t, want.Status.Conditions[i].LastUpdateTime.Add(-shift), c.LastUpdateTime.Time, 2*time.Second, "a client's time is kept")
				}
			}
		default:
			var x struct {
				Seconds float64 `json:"seconds after kcm start"`
				CSRs    []struct {
					Name    string
					Deleted bool
				}
			}
			require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
			from = len(k.obs)
			k.say(t, "control-1", "systemctl start kube-controller-manager")
			k.pass(time.Duration(x.Seconds * float64(time.Second)))
			for _, c := range x.CSRs {
				code, _ := k.call(t, adminName, "GET", csrsPath+"/"+c.Name, nil)
				require.Equal(t, c.Deleted, code == 404, c.Name)
			}
		}
	}
}

const rootCAPath = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"

// playRootCA follows kube-root-ca.crt through the recorder's steps.
func playRootCA(t *testing.T, _ string) golden.Play {
	const file = "/etc/kubernetes/pki/root-ca.crt"
	k := newCluster(t)
	k.authority(t, "ca2", "kubernetes-ca-2", k.w.Now().Add(-time.Hour), k.w.Now().AddDate(10, 0, 0))
	k.say(t, "control-1", "cd /etc/kubernetes/pki; cp ca.crt root-ca.crt")
	k.flag(t, "root-ca-file="+file)
	k.pass(3 * time.Second)
	bundle := func(ns string) string {
		code, cm := k.call(t, adminName, "GET", strings.Replace(rootCAPath, "default", ns, 1), nil)
		require.Equal(t, 200, code, cm)
		require.Len(t, cm["data"], 1)
		return cm["data"].(map[string]any)["ca.crt"].(string)
	}
	names := map[string]string{"ca": string(k.ca(t, "ca").CertPEM()), "ca+ca2": string(k.ca(t, "ca").CertPEM()) + string(k.ca(t, "ca2").CertPEM())}
	edit := func(t *testing.T) {
		_, cm := k.call(t, adminName, "GET", rootCAPath, nil)
		cm["data"] = map[string]any{"ca.crt": "x", "more": "y"}
		code, body := k.call(t, adminName, "PUT", rootCAPath, cm)
		require.Equal(t, 200, code, body)
		k.pass(1500 * time.Millisecond)
	}
	steps := map[string]func(t *testing.T){
		"start, file holds ca": func(*testing.T) {},
		"ConfigMap deleted: there again after 0.04 s": func(t *testing.T) {
			code, _ := k.call(t, adminName, "DELETE", rootCAPath, nil)
			require.Equal(t, 200, code)
			k.pass(40 * time.Millisecond)
		},
		"data edited by hand, 1.5 s later": edit,
		"file of --root-ca-file replaced by ca + ca2, 8 s later, no restart": func(t *testing.T) {
			k.say(t, "control-1", "cd /etc/kubernetes/pki; cat ca.crt ca2.crt > x; mv x root-ca.crt")
			k.pass(8 * time.Second)
		},
		"new namespace made now": func(t *testing.T) {
			code, _ := k.call(t, adminName, "POST", "/api/v1/namespaces", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "made-now"}})
			require.Equal(t, 201, code)
			k.pass(time.Second)
		},
		"kcm restarted: 1.7 s later": func(t *testing.T) {
			k.say(t, "control-1", "systemctl restart kube-controller-manager")
			k.pass(1700 * time.Millisecond)
		},
	}
	return func(t *testing.T, rec golden.Recording) {
		switch rec.Number {
		case 4, 5:
			if rec.Number == 5 {
				edit(t)
			}
			x := readExchange(t, rec)
			x.Response.Body["data"] = map[string]any{"ca.crt": names["ca"]}
			k.replay(t, x)
		case 6:
			var list []struct {
				Step  string
				Holds string `json:"kube-root-ca.crt holds"`
				Count int    `json:"certificates in its kube-root-ca.crt"`
			}
			require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &list))
			for _, x := range list {
				require.Contains(t, steps, x.Step)
				steps[x.Step](t)
				if x.Holds != "" {
					require.Equal(t, names[x.Holds], bundle("default"), x.Step)
				} else {
					require.Equal(t, x.Count, strings.Count(bundle("made-now"), "BEGIN"), x.Step)
				}
			}
		default:
			from := len(k.obs)
			k.say(t, "control-1", "echo garbage > "+file+"; systemctl restart kube-controller-manager")
			k.pass(2 * time.Second)
			code, _ := k.exited(from)
			require.NotNil(t, code)
			require.Contains(t, rec.Text(t), "# exit status 1")
			require.Equal(t, 1, *code)
			spoken{"controllermanager.go:683": "errors", "controllermanager.go:296": "errors", "run.go:72": "errors"}.says(t, rec.Text(t), k.kcmLog(from))
		}
	}
}

// playLegacySecret has a Secret filled with a token that does not expire.
func playLegacySecret(t *testing.T, _ string) golden.Play {
	k := newCluster(t)
	return func(t *testing.T, rec golden.Recording) {
		var x struct {
			Body   map[string]any
			Header map[string]any `json:"tokenHeader"`
			Claims map[string]any `json:"tokenPayload"`
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
		// It is filled in another second than it is made in, which orders managedFields.
		k.w.AdvanceTo(k.w.Now().Truncate(time.Second).Add(time.Second - 60*time.Microsecond))
		code, body := k.call(t, adminName, "POST", "/api/v1/namespaces/default/secrets", map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
			"metadata": map[string]any{"name": "sa-legacy", "annotations": map[string]any{"kubernetes.io/service-account.name": "default"}}})
		require.Equal(t, 201, code, body)
		k.pass(time.Second)
		code, got := k.call(t, adminName, "GET", "/api/v1/namespaces/default/secrets/sa-legacy", nil)
		require.Equal(t, 200, code)
		data := got["data"].(map[string]any)
		text, err := base64.StdEncoding.DecodeString(data["token"].(string))
		require.NoError(t, err)
		jwt, ok := pki.ParseJWT(string(text))
		require.True(t, ok)
		_, account := k.call(t, adminName, "GET", "/api/v1/namespaces/default/serviceaccounts/default", nil)
		uid := account["metadata"].(map[string]any)["uid"]
		var claims map[string]any
		require.NoError(t, json.Unmarshal(jwt.Claims, &claims))
		x.Claims["kubernetes.io/serviceaccount/service-account.uid"] = uid
		require.Equal(t, x.Claims, claims)
		require.NotEmpty(t, x.Header["kid"])
		require.NotEmpty(t, jwt.KeyID)
		// What is of this cluster and not of the recorded one.
		require.Equal(t, base64.StdEncoding.EncodeToString(k.ca(t, "ca").CertPEM()), data["ca.crt"])
		data["token"], data["ca.crt"] = "(masked)", x.Body["data"].(map[string]any)["ca.crt"]
		x.Body["metadata"].(map[string]any)["annotations"].(map[string]any)["kubernetes.io/service-account.uid"] = uid
		require.Equal(t, golden.Plain(x.Body), golden.Plain(got))
	}
}
