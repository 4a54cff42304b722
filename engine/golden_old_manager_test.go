package engine_test

import (
	"crypto/x509/pkix"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/enginetest/golden"
	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/trace"
)

func init() {
	oldForms["approved"] = playOldApproved
	subjects["kubelet-bootstrap"] = pkix.Name{CommonName: "kubelet-bootstrap", Organization: []string{"system:bootstrappers"}}
	subjects["system:node:node-r"] = pkix.Name{CommonName: "system:node:node-r", Organization: []string{"system:nodes"}}
}

// playOldApproved asks for what a kubelet asked for, and holds what the approver and the
// signer made of it, and what they said, against what they did.
func playOldApproved(t *testing.T, release, _ string) golden.Play {
	o := newOld(t, golden.Minor(release), "experimental-cluster-signing-duration=8m")
	for permission, group := range map[string]string{"nodeclient": "system:bootstrappers", "selfnodeclient": "system:nodes", "selfnodeserver": "system:nodes"} {
		o.mayGroup(t, permission, group)
	}
	o.bootstrappers(t)
	o.pass(time.Second)
	return func(t *testing.T, rec golden.Recording) {
		if strings.HasSuffix(rec.File, ".log") {
			require.Equal(t, spokenOf(strings.Split(rec.Text(t), "\n")), spokenOf(o.kcmLog(0)))
			return
		}
		var x struct {
			Response struct{ Body map[string]any }
		}
		require.NoError(t, json.Unmarshal([]byte(rec.Text(t)), &x))
		want := x.Response.Body
		md, spec := want["metadata"].(map[string]any), want["spec"].(map[string]any)
		who := spec["username"].(string)
		if who == "kubelet-bootstrap" {
			delete(spec, "uid") // of the token file
		}
		delete(md, "generateName")
		path := era.Path(o.e, "certificates.k8s.io", "certificatesigningrequests")
		code, body := o.call(t, who, "POST", path, map[string]any{"kind": "CertificateSigningRequest", "apiVersion": want["apiVersion"], "metadata": map[string]any{"name": md["name"]},
			"spec": map[string]any{"request": spec["request"], "usages": spec["usages"]}})
		require.Equal(t, 201, code, body)
		o.pass(2 * time.Second)
		code, got := o.call(t, adminName, "GET", path+"/"+md["name"].(string), nil)
		require.Equal(t, 200, code)
		was, is := signature(want), signature(got)
		require.NotEmpty(t, was)
		require.Equal(t, golden.Plain(want), golden.Plain(got))
		sameOldCertificate(t, string(was), is, o.w.Now())
	}
}

// bootstrappers lets them create requests.
func (o *old) bootstrappers(t *testing.T) {
	t.Helper()
	o.create(t, rbacGroup, "clusterrolebindings", "", map[string]any{"kind": "ClusterRoleBinding", "metadata": map[string]any{"name": "kubelet-bootstrap"},
		"roleRef": map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": "system:node-bootstrapper"}, "subjects": []any{map[string]any{"apiGroup": rbacGroup, "kind": "Group", "name": "system:bootstrappers"}}})
}

// mayGroup is may for another group.
func (o *old) mayGroup(t *testing.T, permission, group string) {
	t.Helper()
	name := "recorded-" + permission
	o.create(t, rbacGroup, "clusterroles", "", map[string]any{"kind": "ClusterRole", "metadata": map[string]any{"name": name},
		"rules": []any{map[string]any{"apiGroups": []string{"certificates.k8s.io"}, "resources": []string{"certificatesigningrequests/" + permission}, "verbs": []string{"create"}}}})
	o.create(t, rbacGroup, "clusterrolebindings", "", map[string]any{"kind": "ClusterRoleBinding", "metadata": map[string]any{"name": name},
		"roleRef": map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": name}, "subjects": []any{map[string]any{"apiGroup": rbacGroup, "kind": "Group", "name": group}}})
}

var (
	logLine = regexp.MustCompile(`^([IWEF])\d{4} \S+ +\d+ (\S+)\] (.*)$`)
	aName   = regexp.MustCompile(`(node-)?csr-[A-Za-z0-9_-]+`)
	aNumber = regexp.MustCompile(`\([^()]*\)$|\d{20,}`)
)

// spokenOf are the lines of the certificates' controllers and of cfssl, each once, in the
// alphabet, without names and numbers.
func spokenOf(lines []string) []string {
	said := map[string]bool{}
	for _, line := range lines {
		if m := logLine.FindStringSubmatch(line); m != nil && (strings.HasPrefix(m[2], "certificate_controller.go") || strings.HasPrefix(m[2], "logs.go")) && !strings.HasSuffix(m[3], "Starting certificate controller") {
			said[m[1]+" "+m[2]+" "+aNumber.ReplaceAllString(aName.ReplaceAllString(m[3], "CSR"), "N")] = true
		}
	}
	return slices.Sorted(maps.Keys(said))
}

// TestManagerAsksAsRecorded: a request that nobody may approve is looked at again after
// 5 ms, and then after twice as long each time, in 1.7 and 1.8, as their API servers
// heard it.
func TestManagerAsksAsRecorded(t *testing.T) {
	for _, release := range []string{"1.7.4", "1.8.0"} {
		t.Run(release, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata/golden-old", release, "c-bootstrap-manual-approval/25-c-audit.log"))
			require.NoError(t, err)
			var recorded []time.Time
			for line := range strings.Lines(string(text)) {
				if at, _, ok := strings.Cut(line, " AUDIT:"); ok && strings.Contains(line, `method="POST"`) && strings.Contains(line, "/subjectaccessreviews") {
					when, err := time.Parse(time.RFC3339Nano, at)
					require.NoError(t, err)
					recorded = append(recorded, when)
				}
			}
			require.Len(t, recorded, 10)
			o := newOld(t, golden.Minor(release))
			o.bootstrappers(t)
			o.pass(time.Second)
			from := len(o.obs)
			o.ask(t, "kubelet-bootstrap", "c", clientCSR)
			o.pass(4 * time.Second)
			var asked []time.Time
			for _, x := range o.obs[from:] {
				if x.Kind == trace.Request && x.Actor == "control-1/"+kcmUnit && strings.HasSuffix(x.Subject, "/apis/authorization.k8s.io/v1beta1/subjectaccessreviews") {
					asked = append(asked, x.At)
				}
			}
			require.Len(t, asked, len(recorded))
			for i := range recorded[1:] {
				require.InDelta(t, recorded[i+1].Sub(recorded[i]).Seconds(), asked[i+1].Sub(asked[i]).Seconds(), 0.012, "the pause after question %d", i+1)
			}
		})
	}
}
