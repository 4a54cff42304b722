package api

import (
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/pki"
	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// What the API servers of 1.7.4, 1.8.0 and 1.11.1 said of flags and files that can't be,
// and how they ended: golden-old f2-apiserver-flags and f-flags.
func TestRefusalsAsRecorded(t *testing.T) {
	const pair = "--tls-cert-file=/pki/s.crt --tls-private-key-file=/pki/s.key "
	const sums = "AnonymousAuth is not allowed with the AllowAll authorizer.  Resetting AnonymousAuth to false. You should use a different authorizer"
	warned := map[string]string{"1.7": "authentication.go:368] " + sums, "1.8": "authentication.go:380] " + sums,
		"1.11": "authentication.go:378] AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer"}
	for _, row := range []struct {
		flags, seven, eight, eleven string // eight and eleven: seven's where there is none
		norange, silent             bool
		status                      int
	}{
		{flags: pair, norange: true, seven: "no --service-cluster-ip-range specified", status: 1},                                                                                                     // f-flags/22, 24, 25
		{flags: pair + "--token-auth-file=/nosuch", seven: "invalid authentication config: open /nosuch: no such file or directory", status: 1},                                                       // 01
		{flags: pair + "--token-auth-file=/short.csv", seven: "invalid authentication config: token file '/short.csv' must have at least 3 columns (token, user name, user uid), found 2", status: 1}, // 02
		{flags: pair + "--token-auth-file=/notcsv", seven: `invalid authentication config: parse error on line 1, column 6: extraneous or missing " in quoted-field`, status: 1},                      // 04
		{flags: pair + "--authorization-mode=Bogus", silent: true, seven: "invalid authorization config: Unknown authorization mode Bogus specified",
			eleven: `authorization-mode "Bogus" is not a valid mode`, status: 1}, // 05
		{flags: pair + "--admission-control=Bogus", seven: "failed to initialize admission: Unknown admission plugin: Bogus",
			eleven: `admission-control plugin "Bogus" is unknown`, status: 1}, // 07
		{flags: pair + "--client-ca-file=/nosuch", seven: "unable to load client CA file: unable to load client CA file: open /nosuch: no such file or directory", status: 1}, // 08
		{flags: pair + "--client-ca-file=/short.csv", seven: "unable to load client CA file: unable to load client CA file: error reading /short.csv: could not read any certificates",
			eight: "unable to load client CA file: unable to load client CA file: error reading /short.csv: data does not contain any valid RSA or ECDSA certificates", status: 1}, // 09
		{flags: pair + "--kubelet-certificate-authority=/nosuch", seven: "master.go:289] Error building core storage: open /nosuch: no such file or directory",
			eight: "master.go:290] Error building core storage: open /nosuch: no such file or directory", eleven: "master.go:374] Error building core storage: open /nosuch: no such file or directory", status: 255}, // 13
		{flags: "--tls-cert-file=/pki/s.crt", seven: "unable to load server certificate: open : no such file or directory", status: 1},                                                 // 14
		{flags: "--tls-cert-file=/pki/s.crt --tls-private-key-file=/pki/other.key", seven: "unable to load server certificate: tls: private key does not match public key", status: 1}, // 15
	} {
		eight := row.eight
		if eight == "" {
			eight = row.seven
		}
		eleven := row.eleven
		if eleven == "" {
			eleven = eight
		}
		for release, want := range map[string]string{"1.7": row.seven, "1.8": eight, "1.11": eleven} {
			if release == "1.11" && want[:6] != "master" {
				want = "error: " + want
			}
			g := newRigAt(t, release, "")
			for n, b := range map[string]string{"/short.csv": "a,b\n", "/notcsv": "a,\"bb\"c\n", "/pki/other.key": string(pki.KeyPEM(keys.ECDSA("other")))} {
				require.NoError(t, g.disk.WriteFile(n, []byte(b), 0o600, g.now))
			}
			require.NoError(t, g.disk.WriteFile("/pki/s.crt", g.cert(pkix.Name{CommonName: "kube-apiserver"}, g.now.AddDate(1, 0, 0)), 0o600, g.now))
			flags := strings.Fields(row.flags + " --etcd-servers=http://127.0.0.1:2379")
			if !row.norange {
				flags = append(flags, "--service-cluster-ip-range=10.0.0.0/24")
			}
			var err error
			g.s, err = New(g.s.era, flags, NewStore())
			require.NoError(t, err, release+row.flags)
			g.obs, g.effect = nil, nil
			g.step(sim.Msg{Kind: sim.MsgStart})
			var lines []string
			for _, o := range g.obs {
				if o.Kind == trace.Log {
					lines = append(lines, string(o.Payload))
				}
			}
			require.NotEmpty(t, lines)
			require.True(t, strings.HasSuffix(lines[len(lines)-1], want), "%s %s\n%s\n%s", release, row.flags, want, lines[len(lines)-1])
			require.Equal(t, !row.silent, strings.Contains(strings.Join(lines, "\n"), warned[release]), "%s %s", release, row.flags)
			ended := -1
			for _, e := range g.effect {
				if e.Kind == sim.EffExit {
					ended = e.Code
				}
			}
			require.Equal(t, row.status, ended, "%s %s", release, row.flags)
		}
	}
}
