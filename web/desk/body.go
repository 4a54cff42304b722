package desk

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/joinery-lab/joinery/engine/trace"
)

// preLines is how many lines of a body are shown.
const preLines = 80

// pretty indents JSON; what is no JSON is shown as it is, cut to a size that
// can be read.
func pretty(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	var b bytes.Buffer
	if json.Indent(&b, []byte(s), "", "  ") == nil {
		s = b.String()
	}
	lines := strings.Split(s, "\n")
	if len(lines) > preLines {
		lines = append(lines[:preLines], "…")
	}
	return strings.Join(lines, "\n")
}

// messageOf is the message of a Status, "" when the body is none.
func messageOf(body string) string {
	var st struct{ Kind, Message string }
	if json.Unmarshal([]byte(body), &st) != nil || st.Kind != "Status" {
		return ""
	}
	return st.Message
}

// requestOf is the PEM of the certificate request in a body, nil when there is
// none.
func requestOf(body string) []byte {
	var o struct {
		Kind string `json:"kind"`
		Spec struct {
			Request []byte `json:"request"`
		} `json:"spec"`
	}
	if json.Unmarshal([]byte(body), &o) != nil || o.Kind != "CertificateSigningRequest" {
		return nil
	}
	return o.Spec.Request
}

// would is the binding that would allow a refused request.
type would struct{ Role, Subject string }

// wouldOf reads it from the Authz observation.
func wouldOf(o *trace.Observation) would {
	if o == nil {
		return would{}
	}
	var w struct {
		Roles  []string `json:"roles"`
		Groups []string `json:"groups"`
		User   string   `json:"user"`
	}
	if json.Unmarshal([]byte(or(o.Args["would"], o.Args["would-allow"])), &w) != nil || len(w.Roles) == 0 {
		return would{}
	}
	out := would{Role: w.Roles[0], Subject: w.User}
	for _, r := range w.Roles {
		if r == roleBootstrap {
			out.Role = r
		}
	}
	for _, g := range w.Groups {
		if g == "system:bootstrappers" || g == "system:nodes" {
			out.Subject = g
		}
	}
	return out
}
