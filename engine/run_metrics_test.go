package engine_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ofKubelets is the recorder's filter of a kubelet's metrics, and elsewhere what
// is not simulated.
var (
	ofKubelets = regexp.MustCompile(`certificate|rotat|ttl_seconds|csr|bootstrap|exec_plugin`)
	elsewhere  = regexp.MustCompile(`^workqueue_`)
	sampled    = regexp.MustCompile(`^([a-z0-9_]+)(\{[^}]*\})? (\S+)$`)
)

// family is a metric's text, without numbers that hang on how long it ran: of a
// kubelet's client the buckets say how long its certificate lives, so there
// whether a number is zero counts.
func family(t *testing.T, text string, zeros bool) (out []string) {
	t.Helper()
	last := 0.0
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# HELP ") || strings.HasPrefix(line, "# TYPE ") {
			out, last = append(out, line), 0
			continue
		}
		m := sampled.FindStringSubmatch(line)
		if m == nil || elsewhere.MatchString(line) {
			require.True(t, m != nil || strings.HasPrefix(line, "# "), line)
			continue
		}
		v, err := strconv.ParseFloat(m[3], 64)
		require.NoError(t, err, line)
		if strings.HasSuffix(m[1], "_bucket") || strings.HasSuffix(m[1], "_count") {
			require.GreaterOrEqual(t, v, last, "what lies below a bound lies below the next: %s", line)
			last = v
		}
		require.Equal(t, m[3], strconv.FormatFloat(v, 'g', -1, 64), "as Go writes numbers")
		if value := m[3]; value != "+Inf" && (value != "0" || !zeros) {
			m[3] = "N"
		}
		out = append(out, m[1]+m[2]+" "+m[3])
	}
	return out
}

// showMetrics compares metrics: metrics FILE WHO PATH, where WHO is admin at the
// kubelet's port, or kubectl at the API server.
func showMetrics(t *testing.T, r *run, args []string) func(t *testing.T, text string) {
	var got string
	if args[0] == "kubectl" {
		got = r.say(t, "metrics", "admin", "kubectl get --raw "+args[1])
	} else {
		body, code, _ := r.curl(t, args[1], args[0])
		require.Equal(t, "200", code, body)
		got = body
	}
	return func(t *testing.T, text string) {
		atKubelet := strings.Contains(text, "kubelet_certificate_manager")
		if atKubelet {
			var lines []string
			for line := range strings.Lines(got) {
				if ofKubelets.MatchString(line) {
					lines = append(lines, line)
				}
			}
			got = strings.Join(lines, "")
			// The whole lifetime of a certificate whose TTL is told is known.
			for _, m := range regexp.MustCompile(`(?m)^kubelet_certificate_manager_(client|server)_ttl_seconds (.*)$`).FindAllStringSubmatch(got, -1) {
				left, err := strconv.Atoi(m[2])
				require.NoError(t, err, "whole seconds")
				require.Less(t, left, map[string]int{"client": 86400, "server": 3600}[m[1]])
				require.Positive(t, left)
			}
		}
		require.Equal(t, strings.Join(family(t, text, atKubelet), "\n"), strings.Join(family(t, got, atKubelet), "\n"))
	}
}
