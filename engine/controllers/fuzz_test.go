package controllers

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// FuzzFiles: whatever stands in a file that a controller-manager or an approver
// reads, or in its flags, it runs for ten seconds or ends with a line that says why.
func FuzzFiles(f *testing.F) {
	const conf = "/etc/kubernetes/controller-manager.conf"
	given := strings.Fields("--kubeconfig=" + conf + " --use-service-account-credentials=true --cluster-signing-cert-file=" + caCrt + " --cluster-signing-key-file=" + caKey + " --root-ca-file=/etc/kubernetes/pki/root.crt --service-account-private-key-file=/etc/kubernetes/pki/sa.key --v=5")
	rows := []struct{ program, file string }{{"", ""}, {"", conf}, {"", caCrt}, {"", caKey}, {"", "/etc/kubernetes/pki/root.crt"}, {"", "/etc/kubernetes/pki/sa.key"},
		{csrApprover, ""}, {csrApprover, "/root/.kube/config"}, {servingApprover, ""}, {servingApprover, "/root/.kube/config"}}
	good := newRig(f)
	read := func(name string) []byte {
		b, err := good.disk.ReadFile(name)
		require.NoError(f, err)
		return b
	}
	texts := map[string][]byte{conf: read(conf), caCrt: read(caCrt), caKey: read(caKey), "/etc/kubernetes/pki/root.crt": read(caCrt), "/etc/kubernetes/pki/sa.key": read(caKey), "/root/.kube/config": read(conf)}
	for i, row := range rows {
		f.Add(byte(i), string(texts[row.file]))
	}
	f.Add(byte(0), "--controllers=*,-csrsigning --cluster-signing-duration=1x")
	f.Add(byte(0), "--cluster-signing-kubelet-client-cert-file=/x --cluster-signing-kubelet-client-key-file=/y --leader-elect-lease-duration=1s")
	f.Add(byte(6), "-level=-9 -provider-regex=( -max-expiration-sec=1")
	f.Fuzz(func(t *testing.T, which byte, text string) {
		row := rows[int(which)%len(rows)]
		r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, now: newYear, may: func(string, string) bool { return false }, watch: map[string]uint64{}, objects: map[string]object{}}
		for name, b := range texts {
			r.file(name, b)
		}
		args := given
		if row.file != "" {
			r.file(row.file, []byte(text))
		} else {
			args = append(strings.Fields(text), given...)
		}
		if row.program != "" {
			if args = nil; row.file == "" {
				args = strings.Fields(text)
			}
			r.m = NewProgram(era.Must("1.36"), row.program, args, map[string]string{"HOME": "/root"})
		} else {
			var err error
			if r.m, err = New(era.Must("1.36"), args); err != nil {
				require.NotEmpty(t, err.Error())
				return
			}
		}
		r.post(r.now, sim.Msg{Kind: sim.MsgStart})
		for steps := 0; r.code == nil; steps++ {
			at, ok := r.queue.Next()
			if !ok || at.After(newYear.Add(10*time.Second)) {
				break
			}
			require.Less(t, steps, 2000, "it does not come to rest")
			e := r.queue.Pop()
			r.now = e.At
			r.step(e.Msg)
		}
		if r.code != nil && *r.code != 0 {
			require.NotEmpty(t, r.obs, "it ended without a word")
		}
		r.step(sim.Msg{Kind: sim.MsgFile, Tag: row.file})
	})
}
