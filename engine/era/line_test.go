package era

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLines: a line is a format or a message with names, from its release on until the
// next, and none after it ends.
func TestLines(t *testing.T) {
	in := func(r Row[Line], release string) string { return r.In(Must(release)).String() }
	require.Equal(t, "I4 certificate_controller.go:73] Adding certificate request %[2]s", in(LineCSRAdded, "1.7"))
	require.Equal(t, "I4 certificate_controller.go:77] Adding certificate request %[2]s", in(LineCSRAdded, "1.27"))
	require.Equal(t, `I4 certificate_controller.go:84] "Adding certificate request" logger csr`, in(LineCSRAdded, "1.28"))
	require.Equal(t, "-", in(LineSigned, "1.17"))
	require.Equal(t, "-", in(LineCleanerStart, "1.8"))
	require.Equal(t, []Key{{"object", 2}, {"objectUID", 3}, {"kind", 4}, {"virtual", 1}}, LineCollects.In(Must("1.24")).Keys)
	for _, release := range Releases() {
		for _, told := range Must(release).All() {
			if strings.Contains(told.Name, "/log/") && told.Value != "-" {
				require.Regexp(t, `^[IWEF][0-5] [a-z_]+\.go:\d+\] \S`, told.Value, told.Name)
				require.NotEmpty(t, told.Source, told.Name)
			}
		}
	}
}
