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
	require.Equal(t, []GateLine{
		{'I', 0, "feature_gate.go:362", `"Warning: setting deprecated feature gate. It will be removed in a future release." featureGate="AllowDNSOnlyNodeCSR" value=true`},
		{'I', 0, "feature_gate.go:362", `"Warning: setting GA feature gate. It will be removed in a future release." featureGate="AuthorizeNodeWithSelectors" value=true`},
		{'I', 0, "feature_gate.go:362", `"Warning: setting GA feature gate. It will be removed in a future release." featureGate="CustomCPUCFSQuotaPeriod" value=false`},
	}, over)
	_, err = e.CheckGates(map[string]bool{"AllAlpha": false})
	require.NoError(t, err)
}

// Each line of the table is in order: names rise, what holds begins after what held
// before, and nothing is said twice.
func TestGateTable(t *testing.T) {
	last := ""
	for line := range tableLines(gateText) {
		words := strings.Fields(line)
		require.Less(t, last, words[0])
		last = words[0]
		stage, needs := 0, 0
		for i, word := range words[1:] {
			since, what := sinceOf(word)
			of := &stage
			if what[0] == '>' {
				of = &needs
			} else {
				require.Regexp(t, `^([abgd]\+?!?|-)$`, what, line)
				require.False(t, i == 0 && what == "-", line)
			}
			require.Less(t, *of, since, line)
			require.LessOrEqual(t, since, Newest, line)
			*of = since
		}
	}
	for _, release := range Releases() {
		e := Must(release)
		// As they stand by default nothing lacks what it needs, and what is needed is there.
		_, err := e.CheckGates(map[string]bool{"AllAlpha": false})
		require.NoError(t, err, release)
		for _, g := range e.Gates() {
			for _, n := range g.Needs {
				require.True(t, e.KnowsGate(n), "%s: %s needs %s", release, g.Name, n)
			}
		}
	}
}

func TestGatesByRelease(t *testing.T) {
	for _, row := range []struct{ release, name, want string }{
		// The fact sheet's rows of 1.1 to 1.4; golden-old f-flags/*-help-excerpt for 1.7, 1.8 and 1.11.
		{"1.7", "RotateKubeletClientCertificate", "ALPHA - default=false"},
		{"1.8", "RotateKubeletClientCertificate", "BETA - default=true"},
		{"1.18", "RotateKubeletClientCertificate", "BETA - default=true"},
		{"1.19", "RotateKubeletClientCertificate", "default=true, locked"},
		{"1.21", "RotateKubeletClientCertificate", ""},
		{"1.7", "RotateKubeletServerCertificate", "ALPHA - default=false"},
		{"1.11", "RotateKubeletServerCertificate", "ALPHA - default=false"},
		{"1.12", "RotateKubeletServerCertificate", "BETA - default=true"},
		{"1.36", "RotateKubeletServerCertificate", "BETA - default=true"},
		{"1.30", "AllowDNSOnlyNodeCSR", ""},
		{"1.31", "AllowDNSOnlyNodeCSR", "DEPRECATED - default=false"},
		{"1.30", "ReloadKubeletServerCertificateFile", ""},
		{"1.31", "ReloadKubeletServerCertificateFile", "BETA - default=true"},
		{"1.35", "ReloadKubeletClientCAFile", ""},
		{"1.36", "ReloadKubeletClientCAFile", "BETA - default=true"},
		{"1.31", "AnonymousAuthConfigurableEndpoints", "ALPHA - default=false"},
		{"1.32", "AnonymousAuthConfigurableEndpoints", "BETA - default=true"},
		{"1.34", "AnonymousAuthConfigurableEndpoints", "default=true, locked"},
		{"1.33", "AllowParsingUserUIDFromCertAuth", "BETA - default=true"},
		{"1.13", "BoundServiceAccountTokenVolume", "ALPHA - default=false"},
		{"1.19", "BoundServiceAccountTokenVolume", "ALPHA - default=false"},
		{"1.20", "RootCAConfigMap", "BETA - default=true"},
		{"1.21", "RootCAConfigMap", "default=true, locked"},
		{"1.21", "CSRDuration", ""},
		{"1.22", "CSRDuration", "BETA - default=true"},
		{"1.24", "CSRDuration", "default=true, locked"},
		{"1.26", "CSRDuration", ""},
		{"1.27", "ClusterTrustBundle", "ALPHA - default=false"},
		{"1.33", "ClusterTrustBundle", "BETA - default=false"},
		{"1.34", "PodCertificateRequest", "ALPHA - default=false"},
		{"1.35", "PodCertificateRequest", "BETA - default=false, needs AuthorizeNodeWithSelectors"},
		{"1.31", "AllowInsecureKubeletCertificateSigningRequests", "DEPRECATED - default=false"},
	} {
		g, known := Must(row.release).Gate(row.name)
		require.Equal(t, row.want != "", known, row)
		if known {
			require.Equal(t, row.want, g.String(), row)
		}
	}
	for _, row := range []struct {
		release, values, err string
		over                 []GateLine
	}{
		{"1.7", "Bogus=true", "unrecognized key: Bogus", nil}, // golden-old 1.7.4/f-flags/18
		{"1.8", "RotateKubeletClientCertificate=maybe", `invalid value of RotateKubeletClientCertificate: maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax`, nil}, // golden-old 1.8.0/f-flags/09
		{"1.7", "RotateKubeletClientCertificate=true", "", []GateLine{{'I', 0, "feature_gate.go:144", "feature gates: map[RotateKubeletClientCertificate:true]"}}},              // golden-old 1.7.4/f-flags/08
		{"1.8", "RotateKubeletClientCertificate=true", "", []GateLine{{'I', 0, "feature_gate.go:156", "feature gates: map[RotateKubeletClientCertificate:true]"}}},              // golden-old 1.8.0/f-flags/08
		{"1.11", "Bogus=true", "unrecognized key: Bogus", nil}, // golden-old 1.11.1/f2-apiserver-flags/10
		{"1.11", "Bogus", "unrecognized key: Bogus", nil},
		{"1.12", "Bogus", "missing bool value for Bogus", nil},
		{"1.12", "Bogus=true", "unrecognized feature gate: Bogus", nil},
		{"1.19", "RotateKubeletClientCertificate=true", "", []GateLine{{'W', 0, "feature_gate.go:235", "Setting GA feature gate RotateKubeletClientCertificate=true. It will be removed in a future release."}}},
		{"1.19", "RotateKubeletClientCertificate=false", "cannot set feature gate RotateKubeletClientCertificate to false, feature is locked to true", nil},
		{"1.21", "RotateKubeletClientCertificate=true", "unrecognized feature gate: RotateKubeletClientCertificate", nil},
		{"1.22", "DynamicKubeletConfig=true", "", []GateLine{{'W', 0, "feature_gate.go:235", "Setting deprecated feature gate DynamicKubeletConfig=true. It will be removed in a future release."}}},
		{"1.30", "kube:RotateKubeletServerCertificate=true", "unrecognized feature gate: kube:RotateKubeletServerCertificate", nil},
		{"1.31", "kube:RotateKubeletServerCertificate=true", "", nil},
		{"1.34", "ClusterTrustBundleProjection=true", "", nil},
		{"1.35", "ClusterTrustBundleProjection=true", "ClusterTrustBundleProjection is enabled, but depends on features that are disabled: [ClusterTrustBundle]", nil},
	} {
		over, err := Must(row.release).ReadGates([]string{row.values})
		if row.err == "" {
			require.NoError(t, err, row)
			require.Equal(t, row.over, over, row)
		} else {
			require.EqualError(t, err, row.err, row)
		}
	}
	over, err := Must("1.7").CheckGates(nil)
	require.NoError(t, err)
	require.Equal(t, []GateLine{{'I', 0, "feature_gate.go:144", "feature gates: map[]"}}, over)
}

// Every gate and every flag can be walked over by release, with its source.
func TestTablesAreTold(t *testing.T) {
	for release, want := range map[string][]Told{
		"1.21": {{"flag/kubelet/network-plugin", "string, deprecated: will be removed along with dockershim.", "pkg/kubelet/config/flags.go"}},
		"1.22": {{"gate/CSRDuration", "BETA - default=true", gateSource},
			{"flag/kube-apiserver/insecure-port", "int, deprecated: This flag has no effect now and will be removed in v1.24.", "cmd/kube-apiserver/app/options/options.go"}},
	} {
		require.Subset(t, Must(release).All(), want)
	}
	for _, f := range Must("1.24").All() {
		require.NotEmpty(t, f.Source, f.Name)
		require.NotEqual(t, "flag/kubelet/network-plugin", f.Name)
	}
}
