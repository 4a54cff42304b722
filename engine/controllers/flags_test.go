package controllers

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/election"
	"github.com/joinery-lab/joinery/engine/era"
)

// TestFlagErrors: what pflag can't read ends the program before it logs.
func TestFlagErrors(t *testing.T) {
	e := era.Must("1.36")
	for args, want := range map[string]string{
		"--nosuch=1": "unknown flag: --nosuch",
		"run":        `"kube-controller-manager" does not take any arguments, got ["run"]`,
	} {
		_, err := New(e, strings.Fields(args))
		require.EqualError(t, err, want, args)
	}
	for _, arg := range []string{"--kube-api-qps=x", "--kube-api-burst=0.5", "--cluster-signing-duration=", "--secure-port=x", "--profiling=perhaps", "--bind-address=here", "--concurrent-gc-syncs=many"} {
		_, err := New(e, []string{arg})
		name, value, _ := strings.Cut(arg, "=")
		require.ErrorContains(t, err, fmt.Sprintf("invalid argument %q for %q flag: ", value, name))
	}
	m, err := New(e, []string{"--controllers=*,-csrsigning,bootstrapsigner", "--leader-elect", "--bind-address=127.0.0.1", "--concurrent-gc-syncs=30", "--profiling"})
	require.NoError(t, err)
	require.Empty(t, m.Refused)
}

func TestFlagDefaults(t *testing.T) {
	m, err := New(era.Must("1.36"), nil)
	require.NoError(t, err)
	require.Equal(t, Flags{Controllers: []string{"*"}, Duration: 8760 * time.Hour, QPS: 20, Burst: 30,
		Elect:     election.Rules{On: true, Duration: 15 * time.Second, Renew: 10 * time.Second, Retry: 2 * time.Second, Jitter: 120, Lock: "leases", Name: "kube-controller-manager", Namespace: "kube-system"},
		NodeGrace: 50 * time.Second, NodeStartup: time.Minute, NodePeriod: 5 * time.Second, Evict: 0.1, EvictLess: 0.01, Large: 50, Unhealthy: 0.55}, m.Flags)
}

// TestRefused: what the program itself refuses is in its log, as recorded in o.
func TestRefused(t *testing.T) {
	e := era.Must("1.36")
	for args, want := range map[string]string{
		"--controllers=x":    `"x" is not in the list of known controllers`,
		"--controllers=*,-y": `"y" is not in the list of known controllers`,
		"--controllers=-*":   `"*" is not in the list of known controllers`,
		"--cluster-signing-cert-file=a --cluster-signing-kubelet-client-cert-file=b": "cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time",
		"--cluster-signing-kubelet-client-cert-file=b":                               `"cluster-signing-kube-apiserver-client": cannot specify cert without key`,
		"--cluster-signing-legacy-unknown-key-file=b":                                `"cluster-signing-legacy-unknown": cannot specify key without cert`,
	} {
		m, err := New(e, strings.Fields(args))
		require.NoError(t, err, args)
		require.Equal(t, want, m.Refused, args)
	}
	r := newRig(t, "--controllers=x")
	r.run(time.Second)
	require.Equal(t, 1, *r.code)
	require.Equal(t, []string{`run.go:72] "command failed" err="\"x\" is not in the list of known controllers"`}, r.lines())
}

func TestElectFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--leader-elect-lease-duration=10s":                               "panic: leaseDuration must be greater than renewDeadline",
		"--leader-elect-retry-period=9s":                                  "panic: renewDeadline must be greater than retryPeriod*JitterFactor",
		"--leader-elect-renew-deadline=1s --leader-elect-retry-period=0s": "panic: retryPeriod must be greater than zero",
	} {
		r := newRig(t, append([]string{"--leader-elect=true"}, strings.Fields(args)...)...)
		r.run(time.Second)
		require.Equal(t, 2, *r.code, args)
		require.Equal(t, want, r.last())
	}
	r := newRig(t, "--leader-elect=true", "--leader-elect-resource-lock=endpoints")
	r.run(time.Second)
	require.Equal(t, 1, *r.code)
	require.Equal(t, 1, r.count(`controllermanager.go:871] "Error creating lock" err="Invalid lock-type endpoints"`))
}
