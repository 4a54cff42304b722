package engine

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
	"github.com/joinery-lab/joinery/engine/trace"
)

// sentence: an error for a person is one, and says something.
func sentence(t *testing.T, err error) {
	require.NotEmpty(t, strings.TrimSpace(err.Error()))
}

// alive lets a world that was made of foreign bytes do what worlds do.
func alive(t *testing.T, w *World) {
	v := w.View()
	_, err := json.Marshal(v)
	require.NoError(t, err)
	b, err := w.Snapshot()
	require.NoError(t, err)
	again, err := Restore(b)
	require.NoError(t, err)
	again.Close()
}

// FuzzJournal: a journal is played, or refused with a sentence, in bounded work.
func FuzzJournal(f *testing.F) {
	add := func(inputs ...Input) {
		at := Start
		for i := range inputs {
			at = at.Add(time.Second)
			inputs[i].At = at
		}
		b, err := json.Marshal(Journal{V: JournalVersion, Config: Config{Release: "1.36", Seed: "f"}, Inputs: inputs, End: at.Add(time.Minute)})
		require.NoError(f, err)
		f.Add(b)
	}
	typed := func(host, line string) Input { return Input{Typed: &Typed{host, line}} }
	add(typed("node-1", "systemctl start kubelet"), typed("admin", "kubectl certificate approve $(kubectl get csr -o name)"))
	add(typed("admin", "while :; do kubectl get csr; done"), Input{Interrupt: &Interrupt{"admin"}})
	add(Input{Flag: &Flag{"node-1", "kubelet", "v", "9"}}, Input{Fault: &Fault{Where: Place{On: "host", Host: "node-1"}, Effect: Stop}}, Input{Lift: &Lift{"all"}})
	add(Input{External: &External{ID: "x", Addr: "10.0.0.10:6443", Request: sim.Request{Method: "GET", URL: "/api/v1/nodes?watch=1", Header: http.Header{"Accept": {"*/*"}}, Peer: [][]byte{{1}}}}}, Input{External: &External{ID: "x", Cancel: true}})
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := ReadJournal(b)
		if err != nil {
			sentence(t, err)
			return
		}
		if j.Config.Nodes > 3 || len(j.Inputs) > 50 {
			return // as much work as it says
		}
		w, err := replay(j, time.Time{}, 1500)
		if err != nil {
			sentence(t, err)
			return
		}
		defer w.Close()
		alive(t, w)
	})
}

// FuzzRestore: a snapshot is restored, or refused with a sentence. What is
// restored can be looked at and kept again.
func FuzzRestore(f *testing.F) {
	pack := func(state []byte) []byte {
		var b bytes.Buffer
		b.WriteString(snapshotMagic)
		b.WriteByte(SnapshotVersion)
		z := gzip.NewWriter(&b)
		z.Write(state)
		z.Close()
		return b.Bytes()
	}
	for _, s := range []string{"{}", `{"config":{"release":"1.36"}}`, `{"config":{"release":"1.36"},"procs":{"a/b":null},"machines":[null]}`, `{"config":{"release":"1.36"},"store":{"tables":{"nodes":[null,{"resource":"x"}]},"history":[{"type":"ADDED"}]}}`} {
		f.Add(true, []byte(s))
	}
	f.Add(false, []byte(snapshotMagic+"\x01"))
	small, err := New(Config{Seed: "f"})
	require.NoError(f, err)
	b, err := json.Marshal(&small.state)
	require.NoError(f, err)
	f.Add(true, b)
	f.Add(false, pack([]byte("{}"))[:30])
	f.Fuzz(func(t *testing.T, packed bool, b []byte) {
		if packed {
			b = pack(b)
		}
		w, err := Restore(b)
		if err != nil {
			sentence(t, err)
			return
		}
		defer w.Close()
		alive(t, w)
	})
}

// FuzzUnit: whatever stands in a unit file or in its drop-in, the unit runs or
// its journal says why it does not.
func FuzzUnit(f *testing.F) {
	base, err := New(Config{Seed: "units"})
	require.NoError(f, err)
	base.Drain()
	units := [][2]string{{"node-1", "kubelet"}, {"control-1", "kube-apiserver"}, {"control-1", "kube-controller-manager"}, {"control-1", "etcd"}, {"control-1", "kube-scheduler"}, {"control-1", "kube-proxy"}, {"control-1", "coredns"}, {"control-1", "metrics-server"}, {"control-1", "app"}}
	for i, u := range units {
		b, err := base.Disk(u[0]).ReadFile(unitDir + u[1] + ".service")
		require.NoError(f, err)
		f.Add(byte(i), string(b), "")
		f.Add(byte(i), string(b), "[Service]\nEnvironment=A=--v=4 --b\nExecStart=\nExecStart=/usr/bin/"+u[1]+" $A ${A}\nRestartSec=2s\n")
	}
	f.Fuzz(func(t *testing.T, which byte, text, dropIn string) {
		w := base.Clone()
		defer w.Close()
		host, unit := units[int(which)%len(units)][0], units[int(which)%len(units)][1]
		m := w.machine(host)
		name := unitDir + unit + ".service"
		require.NoError(t, m.Disk.WriteFile(name, []byte(text), 0o644, w.Now()))
		if dropIn != "" {
			require.NoError(t, m.Disk.MkdirAll(name+".d", 0o755, w.Now()))
			require.NoError(t, m.Disk.WriteFile(name+".d/10-x.conf", []byte(dropIn), 0o644, w.Now()))
		}
		lines := len(m.unit(unit).Journal)
		require.NoError(t, w.Apply(Input{Typed: &Typed{host, "systemctl restart " + unit + "; systemctl status " + unit}}))
		require.NotZero(t, w.AdvanceWithin(w.Now().Add(5*time.Second), 20_000), "it does not come to rest")
		said := ""
		for _, o := range w.Drain() {
			if o.Kind == trace.Printed {
				said += o.Payload
			}
		}
		if len(m.unit(unit).Journal) == lines {
			require.Contains(t, said, "Unit "+unit+".service ", "neither its journal nor systemctl says anything")
		}
	})
}

// FuzzFault: a fault that can be read is called as it was written.
func FuzzFault(f *testing.F) {
	for _, s := range []string{"link node-1 control-1 drop 30% for 5m", "apiserver control-1 status 429 PUT /apis/* 3% after 10s", "clock node-1 skew -10m", "clock admin drift 200ppm", "disk node-1 corrupt /x", "host a suspend"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x, err := ParseFault(text, Start)
		if err != nil {
			sentence(t, err)
			return
		}
		again, err := ParseFault(x.name(), Start)
		require.NoError(t, err, x.name())
		require.Equal(t, x.name(), again.name(), fmt.Sprint(x))
		Lift{x.name()}.names(x)
	})
}
