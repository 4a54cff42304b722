package era

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGates(t *testing.T) {
	e := Must("1.36")
	for values, want := range map[string]string{
		"":                                      "",
		"Nosuch=true":                           "unrecognized feature gate: Nosuch",
		"AllAlpha=true,Nosuch=true":             "unrecognized feature gate: Nosuch",
		"RotateKubeletServerCertificate=true":   "",
		"kube:RotateKubeletServerCertificate=0": "",
		"RotateKubeletServerCertificate":        "missing bool value for RotateKubeletServerCertificate",
		"RotateKubeletServerCertificate=yes":    `invalid value of RotateKubeletServerCertificate=yes, err: strconv.ParseBool: parsing "yes": invalid syntax`,
		"wardle:A=true":                         "component not registered: wardle",
		"A=true,kube:B=true":                    "set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use",
		"AuthorizeNodeWithSelectors=false":      "cannot set feature gate AuthorizeNodeWithSelectors to false, feature is locked to true",
		"ClusterTrustBundleProjection=true":     "ClusterTrustBundleProjection is enabled, but depends on features that are disabled: [ClusterTrustBundle]",
		"ClusterTrustBundleProjection=true,ClusterTrustBundle=true": "",
	} {
		_, err := e.ReadGates([]string{values})
		if want == "" {
			require.NoError(t, err, values)
		} else {
			require.EqualError(t, err, want)
		}
	}
	// What is on its way out is told of; a flag may come several times.
	over, err := e.ReadGates([]string{"AllowDNSOnlyNodeCSR=true", "AuthorizeNodeWithSelectors=true,CustomCPUCFSQuotaPeriod=false"})
	require.NoError(t, err)
	require.Equal(t, []string{
		`"Warning: setting deprecated feature gate. It will be removed in a future release." featureGate="AllowDNSOnlyNodeCSR" value=true`,
		`"Warning: setting GA feature gate. It will be removed in a future release." featureGate="AuthorizeNodeWithSelectors" value=true`,
		`"Warning: setting GA feature gate. It will be removed in a future release." featureGate="CustomCPUCFSQuotaPeriod" value=false`,
	}, over)
	// The rows fit together: what needs others names gates, and as they stand by
	// default nothing lacks what it needs.
	for _, word := range strings.Fields(GateNeeds.In(e)) {
		name, needs, _ := strings.Cut(word, ":")
		for _, n := range append(strings.Split(needs, ","), name) {
			require.True(t, e.KnowsGate(n), n)
		}
	}
	_, err = e.CheckGates(map[string]bool{"AllAlpha": false})
	require.NoError(t, err)
}
