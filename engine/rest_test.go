package engine

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	certv1 "k8s.io/api/certificates/v1"

	"github.com/joinery-lab/joinery/engine/trace"
)

// reviews counts the questions that the approver asked.
func reviews(obs []trace.Observation) (n int) {
	for _, o := range obs {
		if o.Kind == trace.Request && strings.Contains(o.Subject, "subjectaccessreviews") {
			n++
		}
	}
	return n
}

// TestApproverRests: a CSR that nobody may approve is not asked about for ever;
// and once the rules change, it is approved when client-go's back-off of 200 ms,
// doubled each time up to 1,000 s, would have come to it: 102.2 s, 819 s and
// 1,638.2 s after the first look, and then every 1,000 s.
func TestApproverRests(t *testing.T) {
	for name, x := range map[string]struct {
		wait, at time.Duration
		before   func(*World)
	}{
		"soon":                  {wait: 60 * time.Second, at: 102200 * time.Millisecond},
		"later":                 {wait: 900 * time.Second, at: 1637400 * time.Millisecond},
		"after hours":           {wait: 6400 * time.Second, at: 6637400 * time.Millisecond},
		"after a new beginning": {wait: 900 * time.Second, at: 1637400 * time.Millisecond, before: func(w *World) { say(t, w, "control-1", "systemctl restart kube-apiserver") }},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := New(Config{Seed: "rest"})
			require.NoError(t, err)
			say(t, w, "admin", "kubectl create clusterrolebinding a --clusterrole=system:node-bootstrapper --group=system:bootstrappers")
			say(t, w, "node-1", "systemctl start kubelet")
			w.AdvanceTo(w.Now().Add(30 * time.Second))
			w.Drain()
			var list certv1.CertificateSigningRequestList
			require.NoError(t, json.Unmarshal([]byte(say(t, w, "admin", "kubectl get csr -o json")), &list))
			require.Len(t, list.Items, 1)
			made := list.Items[0].CreationTimestamp.Time
			// No other request comes between, and no cleaner.
			say(t, w, "node-1", "systemctl stop kubelet")
			w.AdvanceTo(made.Add(40 * time.Second))
			w.Drain()
			w.AdvanceTo(made.Add(x.wait - time.Second))
			require.Zero(t, reviews(w.Drain()), "nothing is asked while nothing changes")
			if x.before != nil {
				x.before(w)
			}
			say(t, w, "admin", "kubectl create clusterrolebinding b --clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient --group=system:bootstrappers")
			w.AdvanceTo(made.Add(x.at - 2*time.Second))
			w.Drain()
			require.NotContains(t, say(t, w, "admin", "kubectl get csr"), "Approved")
			w.AdvanceTo(made.Add(x.at + 3*time.Second))
			require.Contains(t, say(t, w, "admin", "kubectl get csr"), "Approved,Issued")
		})
	}
}
