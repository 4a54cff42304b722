package era_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
)

func TestBackoff(t *testing.T) {
	e := era.Must("1.36")
	csr := era.KubeletCSRBackoff.In(e)
	for n, want := range []time.Duration{2, 4, 8, 16} {
		require.Equal(t, want*time.Second, csr.At(n))
	}
	require.Equal(t, 1600*time.Millisecond, csr.Stretch(csr.At(3)))
	retry := era.CSRRetry.In(e)
	require.Equal(t, 200*time.Millisecond, retry.At(0))
	require.Equal(t, 1000*time.Second, retry.At(13))
	require.Equal(t, 1000*time.Second, retry.At(1000000), "it stops growing")
	require.Zero(t, retry.Stretch(time.Hour))
	lease := era.KubeletLease.In(e)
	require.Equal(t, 6400*time.Millisecond, lease.At(5))
	require.Equal(t, 7*time.Second, lease.At(6))
}

func TestControllerNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range era.Controllers.In(era.Must(era.Usual)) {
		for _, name := range []string{c.Name, c.Alias} {
			require.False(t, name != "" && seen[name], name)
			seen[name] = true
		}
	}
}
