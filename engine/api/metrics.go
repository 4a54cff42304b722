package api

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/joinery-lab/joinery/engine/sim"
)

// counts are what /metrics tells about credentials and certificates since the
// process began. What is folded into a heartbeat is not counted again.
type counts struct {
	// Lives are what was left of the certificates that came with requests.
	Lives sim.Histogram `json:"lives,omitzero"`
	// Shakes are handshakes that failed; Errors and Failures requests whose
	// credentials were wrong, and that had none where nobody may be anonymous.
	Shakes   uint64 `json:"shakes,omitempty"`
	Errors   uint64 `json:"errors,omitempty"`
	Failures uint64 `json:"failures,omitempty"`
	// Users are the other requests, by what is left of the user's name.
	Users map[string]uint64 `json:"users,omitempty"`
}

// known counts a request of a user that is known. Models
// apiserver/pkg/endpoints/filters compressUsername.
func (n *counts) known(user string) {
	switch {
	case user == "admin" || user == "client" || user == "kube_proxy" || user == "kubelet" || user == "system:serviceaccount:kube-system:default":
	case strings.Contains(user, "@"):
		user = "email_id"
	default:
		user = "other"
	}
	if n.Users == nil {
		n.Users = map[string]uint64{}
	}
	n.Users[user]++
}

// String is the text of /metrics, sorted by name (recorded: q-kubelet-metrics/04).
func (n *counts) String() string {
	var e sim.Exposition
	e.ClientLives(&n.Lives)
	e.Insecure("kube_aggregator")
	e.Count("apiserver_tls_handshake_errors_total", "counter", "Number of requests dropped with 'TLS handshake error from' error", n.Shakes)
	e.Insecure("webhooks")
	all := uint64(0)
	e.Family("authenticated_user_requests", "counter", "ALPHA", "Counter of authenticated requests broken out by username.")
	for _, user := range slices.Sorted(maps.Keys(n.Users)) {
		all += n.Users[user]
		e.Sample("authenticated_user_requests", `{username="`+user+`"}`, strconv.FormatUint(n.Users[user], 10))
	}
	e.Family("authentication_attempts", "counter", "ALPHA", "Counter of authenticated attempts.")
	for _, x := range []struct {
		result string
		n      uint64
	}{{"error", n.Errors}, {"failure", n.Failures}, {"success", all}} {
		if x.n > 0 {
			e.Sample("authentication_attempts", `{result="`+x.result+`"}`, strconv.FormatUint(x.n, 10))
		}
	}
	return e.String()
}
