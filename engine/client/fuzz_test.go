package client

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/era"
	"github.com/joinery-lab/joinery/engine/sim"
)

// FuzzFiles: whatever stands in a file that a client of the API reads, or in its
// flags, it runs for a minute or ends with a line that says why.
func FuzzFiles(f *testing.F) {
	files := []string{"", "/conf", "/pki/ca.crt", "/pki/token", "/Corefile"}
	good := newRig(f, "kube-proxy", nil, "--kubeconfig=/conf")
	texts := map[string]string{"/Corefile": ".:53 {\n    kubernetes cluster.local {\n        kubeconfig /conf c\n    }\n}\n"}
	for i, name := range files[1:] {
		if b, err := good.disk.ReadFile(name); err == nil {
			texts[name] = string(b)
		}
		f.Add(byte(i), byte(i+1), texts[name])
	}
	f.Add(byte(2), byte(0), "--kubelet-insecure-tls --secure-port=70000 --kubelet-client-key=/x")
	f.Add(byte(0), byte(0), "-conf /Corefile -x")
	f.Fuzz(func(t *testing.T, program, which byte, text string) {
		name := Programs()[int(program)%len(Programs())]
		file := files[int(which)%len(files)]
		r := &rig{t: t, disk: sim.NewDisk(newYear), chance: &sim.Chance{Seed: "t"}, now: newYear}
		r.answer = func(q sim.Request) (int, string, string) { return 403, `{"kind":"Status","message":"no"}`, "" }
		for n, x := range texts {
			r.file(n, x)
		}
		var args []string
		switch {
		case file == "":
			args = strings.Fields(text)
		case name == "coredns":
			args = []string{"-conf", "/Corefile"}
		default:
			args = []string{"--kubeconfig=/conf"}
		}
		if file != "" {
			r.file(file, text)
		}
		var err error
		if r.k, err = New(era.Must("1.36"), name, args, nil); err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		r.start()
		require.Less(t, r.run(time.Minute), 3000, "it does not come to rest")
		if r.code != nil {
			require.NotEmpty(t, r.log.String(), "it ended without a word")
		} else if file != "" {
			r.step(sim.Msg{Kind: sim.MsgFile, Tag: file})
		}
	})
}
