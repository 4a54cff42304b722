package golden

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/joinery-lab/joinery/engine/pki"
)

// dropped are keys whose values differ from run to run.
var dropped = map[string]bool{"uid": true, "resourceVersion": true, "creationTimestamp": true, "time": true, "lastUpdateTime": true, "lastTransitionTime": true}

// times are those that an error of x509 tells.
var times = regexp.MustCompile(`current time \S+ is (after|before) [0-9T:Z-]+`)

// Plain takes out of a body what differs from run to run.
func Plain(v any) any { return plain(v, "") }

func plain(v any, key string) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, x := range v {
			if _, text := x.(string); text && dropped[k] {
				out[k] = "(differs)"
				continue
			}
			out[k] = plain(x, k)
		}
		if base, ok := v["generateName"].(string); ok {
			if name, ok := v["name"].(string); ok && strings.HasPrefix(name, base) {
				out["name"] = fmt.Sprintf("%s(%d)", base, len(name))
			}
		}
		if v["kind"] == "Table" {
			table(out)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = plain(x, key)
		}
		if key == "authentication.kubernetes.io/credential-id" {
			return "(differs)"
		}
		return out
	case string:
		if key == "certificate" {
			return certificate(v)
		}
		return times.ReplaceAllString(v, "current time (differs) is $1 (differs)")
	}
	return v
}

// table takes ages, and names of generated objects, out of a Table's rows.
func table(t map[string]any) {
	age := -1
	columns, _ := t["columnDefinitions"].([]any)
	for i, c := range columns {
		if c.(map[string]any)["name"] == "Age" {
			age = i
		}
	}
	rows, _ := t["rows"].([]any)
	for _, r := range rows {
		r := r.(map[string]any)
		cells := r["cells"].([]any)
		if age >= 0 {
			cells[age] = "(differs)"
		}
		if o, ok := r["object"].(map[string]any); ok {
			cells[0] = o["metadata"].(map[string]any)["name"]
		}
	}
}

// certificate is what a certificate says, without key, serial and times.
func certificate(text string) string {
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return text
	}
	list, err := pki.ParseCerts(der)
	if err != nil || len(list) == 0 {
		return text
	}
	return "a certificate of " + list[0].Subject.String()
}
