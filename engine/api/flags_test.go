package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// TestFlagsThatCannotBeRead are refused by New, in pflag's words.
func TestFlagsThatCannotBeRead(t *testing.T) {
	for flag, want := range map[string]string{
		"--bogus=1":              "unknown flag: --bogus",
		"-x":                     "unknown shorthand flag: 'x' in -x",
		"--secure-port=six":      `invalid argument "six" for "--secure-port" flag: strconv.ParseInt: parsing "six": invalid syntax`,
		"--v=loud":               `invalid argument "loud" for "-v, --v" flag: strconv.ParseUint: parsing "loud": invalid syntax`,
		"--bind-address=here":    `invalid argument "here" for "--bind-address" flag: failed to parse IP: "here"`,
		"--anonymous-auth=maybe": `invalid argument "maybe" for "--anonymous-auth" flag: strconv.ParseBool: parsing "maybe": invalid syntax`,
		"--service-account-max-token-expiration=a-year": `invalid argument "a-year" for "--service-account-max-token-expiration" flag: time: invalid duration "a-year"`,
		"--event-ttl=soon": `invalid argument "soon" for "--event-ttl" flag: time: invalid duration "soon"`,
		"--client-ca-file": "flag needs an argument: --client-ca-file",
		"serve":            `"kube-apiserver" does not take any arguments, got ["serve"]`,
	} {
		_, err := New(era.Must("1.36"), []string{flag}, NewStore())
		require.EqualError(t, err, want, flag)
	}
	// Underscores are dashes, as for all of Kubernetes.
	_, err := New(era.Must("1.36"), []string{"--client_ca_file=/x", "--allow-privileged", "--goaway-chance=0.1"}, NewStore())
	require.NoError(t, err)
}

// TestFlagsThatCannotBe are refused when the server starts: the reason stands in
// its log, and it ends with status 1.
func TestFlagsThatCannotBe(t *testing.T) {
	for flags, want := range map[string]string{
		"--authorization-mode=Foo":                                    `authorization-mode "Foo" is not a valid mode`,
		"--authorization-mode=Node":                                   `authorization-mode ["Node" "RBAC" "Node"] has mode specified more than once`,
		"--authorization-mode=ABAC":                                   `[authorization-mode ABAC's authorization policy file not passed]`,
		"--secure-port=0":                                             "--secure-port 0 must be between 1 and 65535, inclusive. It cannot be turned off with 0",
		"--enable-admission-plugins=NodeRestrictions":                 `enable-admission-plugins plugin "NodeRestrictions" is unknown`,
		"--disable-admission-plugins=NodeRestriction":                 "[NodeRestriction] in enable-admission-plugins and disable-admission-plugins overlapped",
		"--service-account-max-token-expiration=10m":                  "the service-account-max-token-expiration must be between 1 hour and 2^32 seconds",
		"--service-account-signing-key-file=/pki/none.key":            "failed to parse service-account-issuer-key-file: open /pki/none.key: no such file or directory",
		"--service-account-signing-key-file=/pki/s.crt":               "failed to parse service-account-issuer-key-file: error reading private key file /pki/s.crt: data does not contain a valid RSA or ECDSA private key",
		"--service-account-key-file=/pki/garbage":                     "error reading public key file /pki/garbage: data does not contain any valid RSA or ECDSA public keys",
		"--service-account-issuer=https://kubernetes.default.svc":     `service-account-issuer "https://kubernetes.default.svc" is already specified`,
		"--tls-cert-file=/pki/none.crt":                               "open /pki/none.crt: no such file or directory",
		"--tls-private-key-file=/pki/sa.key":                          "tls: private key type does not match public key type",
		"--client-ca-file=/pki/garbage":                               `unable to load client CA provider: error loading CA bundle for "client-ca-bundle::/pki/garbage": data does not contain any valid RSA or ECDSA certificates`,
		"--kubelet-certificate-authority=/pki/garbage":                "unable to load root certificates: unable to parse bytes as PEM block",
		"--kubelet-client-certificate=/pki/none --kubelet-client-key": "open /pki/none: no such file or directory",
	} {
		if strings.HasSuffix(flags, "-key") {
			flags += "=/pki/s.key"
		}
		t.Run(flags, func(t *testing.T) {
			g := newRig(t, "")
			require.NoError(t, g.disk.WriteFile("/pki/garbage", []byte("garbage"), 0o600, g.now))
			var err error
			g.s, err = New(era.Must("1.36"), append(usual[:len(usual):len(usual)], strings.Fields(flags)...), g.store)
			require.NoError(t, err)
			g.effect = nil
			g.step(sim.Msg{Kind: sim.MsgStart})
			last := g.obs[len(g.obs)-1].Payload
			if want[0] != '[' || strings.HasPrefix(want, "[NodeRestriction") {
				require.True(t, strings.HasSuffix(last, `run.go:72] "command failed" err=`+inQuotes(want)), last)
			} else {
				require.Contains(t, last, strings.Trim(want, "[]"))
			}
			require.Equal(t, sim.EffExit, g.effect[len(g.effect)-1].Kind)
			require.Equal(t, 1, g.effect[len(g.effect)-1].Code)
		})
	}
	g := newRig(t, "")
	g.s, _ = New(era.Must("1.36"), nil, g.store)
	g.step(sim.Msg{Kind: sim.MsgStart})
	require.Contains(t, g.obs[len(g.obs)-1].Payload, "err="+inQuotes("[--etcd-servers must be specified, service-account-issuer is a required flag, "+
		"either `--service-account-key-file` or `--service-account-signing-endpoint` must be set, --service-account-signing-key-file and --service-account-issuer are required flags]"))
}

func inQuotes(s string) string { return sim.KV("", "x", s)[len(`"" x=`):] }
