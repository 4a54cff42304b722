package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine"
	"github.com/joinery-lab/joinery/engine/trace"
)

// fault sets a fault, heal ends faults.
func fault(t testing.TB, w *engine.World, text string) {
	t.Helper()
	f, err := engine.ParseFault(text, w.Now())
	require.NoError(t, err)
	require.NoError(t, w.Apply(engine.Input{Fault: &f}))
}

func heal(t testing.TB, w *engine.World, name string) {
	t.Helper()
	require.NoError(t, w.Apply(engine.Input{Lift: &engine.Lift{Faults: name}}))
}

func TestFaultsAreReadAndNamed(t *testing.T) {
	now := engine.Start
	for text, want := range map[string]engine.Fault{
		"link node-1 control-1 drop 30% for 5m":               {Where: engine.Place{On: "link", Host: "node-1", Peer: "control-1"}, Effect: engine.Drop, Percent: 30, Until: now.Add(5 * time.Minute)},
		"host node-1 suspend for 30d after 1h":                {Where: engine.Place{On: "host", Host: "node-1"}, Effect: engine.Suspend, From: now.Add(time.Hour), Until: now.Add(time.Hour + 30*24*time.Hour)},
		"apiserver control-1 status 429 PUT /apis/* after 1s": {Where: engine.Place{On: "apiserver", Host: "control-1"}, Effect: engine.Status, N: 429, Match: "PUT /apis/*", From: now.Add(time.Second)},
		"clock node-1 skew -10m":                              {Where: engine.Place{On: "clock", Host: "node-1"}, Effect: engine.Skew, By: -10 * time.Minute},
		"clock node-1 drift 200ppm":                           {Where: engine.Place{On: "clock", Host: "node-1"}, Effect: engine.Drift, N: 200},
		"disk node-1 deny-write /var/lib/kubelet":             {Where: engine.Place{On: "disk", Host: "node-1"}, Effect: engine.DenyWrite, Match: "/var/lib/kubelet"},
		"link node-1 control-1 delay 2s":                      {Where: engine.Place{On: "link", Host: "node-1", Peer: "control-1"}, Effect: engine.Delay, By: 2 * time.Second},
	} {
		f, err := engine.ParseFault(text, now)
		require.NoError(t, err, text)
		require.Equal(t, want, f, text)
	}
	for text, want := range map[string]string{
		"":                           "a fault is on a link, a host, a disk, a clock or an apiserver",
		"moon":                       `not on "moon"`,
		"link node-1":                "link of which host? Write link node-1 control-1",
		"host node-1":                "what does host node-1 do? It can drop, delay, duplicate, cut, refuse, stop, restart, suspend",
		"disk node-1 drop":           `a fault on a disk can't "drop"; it can deny-write, full, corrupt`,
		"disk node-1 corrupt":        "corrupt needs a path",
		"disk node-1 clone":          "clone needs the host whose disk is copied",
		"disk node-1 deny-write pki": "deny-write needs a path",
		"link a b delay":             "delay needs a duration, such as 2s",
		"link a b delay soon":        `"soon" is no duration`,
		"link a b delay 2h":          "at most an hour",
		"link a b drop 0%":           "no chance from 1% to 100%",
		"link a b drop now":          `"now" says nothing about drop`,
		"link a b refuse 30%":        "refuse happens or not",
		"host a suspend for":         "for needs a duration",
		"host a restart for 5m":      "restart happens once",
		"apiserver a status 200":     "an HTTP status from 400 to 599, not 200",
		"apiserver a status":         "status needs an HTTP status",
		"clock a skew 0s":            "other than 0",
		"clock a drift 1000000ppm":   "a clock drifts by 1 to 100000 ppm",
		"clock a skew 200000d":       "skew needs a duration with a sign",
	} {
		_, err := engine.ParseFault(text, now)
		require.ErrorContains(t, err, want, text)
	}
}

func TestFaultsThatThisWorldHasNot(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "faults"})
	for text, want := range map[string]string{
		"host node-9 stop":             `there is no host "node-9"`,
		"host 10.0.0.11 stop":          `there is no host "10.0.0.11"; there are`,
		"link node-1 node-9 drop":      `there is no host "node-9"`,
		"link node-1 node-1 drop":      "a link has two ends",
		"apiserver node-1 stop":        "there is no API server on node-1",
		"disk node-1 clone node-9":     `there is no host "node-9"; there are`,
		"disk node-1 clone node-1":     "a clone is of one node's disk to another node",
		"disk node-1 clone control-1":  "a clone is of one node's disk to another node",
		"disk node-1 corrupt /nowhere": "on node-1: open /nowhere: no such file or directory",
	} {
		f, err := engine.ParseFault(text, w.Now())
		require.NoError(t, err)
		require.ErrorContains(t, w.Apply(engine.Input{Fault: &f}), want, text)
	}
	require.ErrorContains(t, w.Apply(engine.Input{Lift: &engine.Lift{Faults: "host"}}), "no fault is set")
	fault(t, w, "host node-1 stop")
	require.ErrorContains(t, w.Apply(engine.Input{Lift: &engine.Lift{Faults: "link"}}), `no fault is called "link"; there are: host node-1 stop`)
	f, _ := engine.ParseFault("host node-1 stop", w.Now())
	require.ErrorContains(t, w.Apply(engine.Input{Fault: &f}), "this fault is set already")
	_, err := w.Say("node-1", "date", time.Minute)
	require.ErrorContains(t, err, "node-1 is switched off")
	require.Equal(t, []string{"host node-1 stop"}, w.FaultNames())
	require.Empty(t, w.Journal().Inputs[1:], "what was refused is in no journal")
}

// TestWhatAClientSees: the words are Go's and kubectl's.
func TestWhatAClientSees(t *testing.T) {
	for _, x := range []struct {
		fault, says string
		least, most time.Duration
	}{
		{"link admin control-1 drop", "Unable to connect to the server: dial tcp 10.0.0.10:6443: i/o timeout\n", 30 * time.Second, 31 * time.Second},
		{"host control-1 drop", "Unable to connect to the server: dial tcp 10.0.0.10:6443: i/o timeout\n", 30 * time.Second, 31 * time.Second},
		{"host control-1 stop", "Unable to connect to the server: dial tcp 10.0.0.10:6443: connect: no route to host\n", 3 * time.Second, 4 * time.Second},
		{"host control-1 suspend", "Unable to connect to the server: dial tcp 10.0.0.10:6443: i/o timeout\n", 30 * time.Second, 31 * time.Second},
		{"link admin control-1 refuse", "The connection to the server 10.0.0.10:6443 was refused - did you specify the right host or port?\n", 0, time.Second},
		{"apiserver control-1 stop", "The connection to the server 10.0.0.10:6443 was refused - did you specify the right host or port?\n", 0, time.Second},
		{"link admin control-1 cut", "Unable to connect to the server: EOF\n", 0, time.Second},
		{"link admin control-1 delay 6s", "Unable to connect to the server: net/http: TLS handshake timeout\n", 20 * time.Second, 23 * time.Second},
		{"link admin control-1 delay 16s", "Unable to connect to the server: dial tcp 10.0.0.10:6443: i/o timeout\n", 30 * time.Second, 31 * time.Second},
		{"link admin control-1 delay 2s", "NAME", 8 * time.Second, 30 * time.Second},
		{"link admin control-1 drop 30%", "NAME", 0, 30 * time.Second},
		{"apiserver control-1 delay 3s", "NAME", 3 * time.Second, 20 * time.Second},
		{"apiserver control-1 status 429", "Error from server: Too many requests, please try again later.\n", 0, time.Second},
		{"apiserver control-1 status 500", "Error from server: etcdserver: request timed out\n", 0, time.Second},
		{"apiserver control-1 status 503", "Error from server (ServiceUnavailable): the server is currently unable to handle the request\n", 0, time.Second},
		{"apiserver control-1 drop /api/v1/nodes", "Error from server (Timeout): Timeout: request did not complete within the allotted timeout\n", time.Minute, 61 * time.Second},
		{"apiserver control-1 status 500 PUT", "NAME", 0, time.Second},
		{"link node-1 control-1 drop", "NAME", 0, time.Second},
		{"clock admin skew -1d", "Unable to connect to the server: tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2025-12-31T00:01:", 0, time.Second},
	} {
		t.Run(x.fault, func(t *testing.T) {
			w := joined(t, engine.Config{Seed: "client"})
			fault(t, w, x.fault)
			from := w.Now()
			obs, err := w.Say("admin", "kubectl get nodes", 2*time.Minute)
			require.NoError(t, err)
			var says strings.Builder
			for _, o := range obs {
				if o.Kind == trace.Printed {
					says.WriteString(o.Payload)
				}
			}
			require.Contains(t, says.String(), x.says)
			require.GreaterOrEqual(t, w.Now().Sub(from), x.least)
			require.LessOrEqual(t, w.Now().Sub(from), x.most)
			heal(t, w, "all")
			after(w, 2*time.Minute)
			require.Contains(t, said(t, w, "admin", "kubectl get nodes"), "NAME", "it is healed")
		})
	}
}

func TestHeartbeatsStopWithTheirWay(t *testing.T) {
	for _, x := range []struct{ fault, last string }{
		{"link node-1 control-1 drop", "00:01:"},
		{"host node-1 suspend", "00:01:"},
		{"host node-1 stop", "00:01:"},
		{"apiserver control-1 status 500 PUT", "00:01:"},
		{"clock node-1 skew +1h", "01:05:"},
	} {
		w := joined(t, engine.Config{Seed: "heartbeat"})
		after(w, 50*time.Second)
		fault(t, w, x.fault)
		after(w, 4*time.Minute)
		const lease = "kubectl get lease -n kube-node-lease node-1 -o yaml | grep renewTime"
		require.Contains(t, said(t, w, "admin", lease), "T"+x.last, x.fault)
		heal(t, w, "all")
		after(w, 5*time.Minute)
		require.Contains(t, said(t, w, "admin", lease), "T00:10:", x.fault)
	}
}

// TestHeartbeatsMeetChance: each heartbeat meets a fault that strikes now and
// then, and when it has ended one stands for many again.
func TestHeartbeatsMeetChance(t *testing.T) {
	for _, x := range []string{"apiserver control-1 status 500 PUT 50%", "apiserver control-1 duplicate PUT 50%", "link node-1 control-1 drop 50%", "host node-1 duplicate 50%", "apiserver control-1 drop /apis/coordination.k8s.io/* 50%"} {
		w := joined(t, engine.Config{Seed: "chance"})
		after(w, 50*time.Second)
		w.Drain()
		fault(t, w, x)
		after(w, 10*time.Minute)
		strikes, renewals := 0, 0
		for _, o := range w.Drain() {
			if o.Kind == trace.Fault && o.Args["state"] == "strike" {
				strikes++
			}
			if o.Kind == trace.Request && strings.HasPrefix(o.Subject, "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/") {
				renewals++
			}
		}
		require.Greater(t, strikes, 8, x)
		require.Greater(t, renewals, 20, x)
		heal(t, w, "all")
		after(w, 2*time.Minute)
		w.Drain()
		after(w, 20*time.Minute)
		for _, o := range w.Drain() {
			require.NotContains(t, o.Subject, "PUT /apis/coordination.k8s.io/v1/namespaces/kube-node-lease/", x)
		}
		w.Close()
	}
}

// TestALaptop: who sleeps for a month gets nothing, and has timers that are
// late by a month.
func TestALaptop(t *testing.T) {
	w := joined(t, engine.Config{Seed: "laptop"})
	require.NoError(t, w.Apply(engine.Input{Typed: &engine.Typed{Host: "node-1", Line: "sleep 600; date > /root/woke"}}))
	fault(t, w, "host node-1 suspend for 30d")
	w.Drain()
	after(w, 29*24*time.Hour)
	for _, o := range w.Drain() {
		require.NotEqual(t, "node-1", o.Host(), "%+v", o)
	}
	_, err := w.Say("node-1", "date", time.Minute)
	require.ErrorContains(t, err, "node-1 is asleep")
	after(w, 24*time.Hour+time.Minute)
	_, err = w.Disk("node-1").ReadFile("/root/woke")
	require.Error(t, err)
	after(w, 9*time.Minute)
	woke, err := w.Disk("node-1").ReadFile("/root/woke")
	require.NoError(t, err)
	require.Contains(t, string(woke), "Sat Jan 31 00:1")
	require.Contains(t, said(t, w, "admin", "kubectl get nodes"), "Ready")
	// It slept through the deadline that it had drawn: it rotates late.
	w = joined(t, engine.Config{Seed: "laptop"})
	deadline := w.View().Lives[0].Deadline
	fault(t, w, "host node-1 suspend for 30d")
	w.AdvanceTo(deadline.Add(29 * 24 * time.Hour))
	require.Len(t, w.View().Lives, 1)
	w.AdvanceTo(deadline.Add(30*24*time.Hour + time.Hour))
	require.Len(t, w.View().Lives, 2)
}

func TestDisksAtFault(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "disk"})
	fault(t, w, "disk node-1 deny-write /tmp")
	require.Equal(t, "bash: /tmp/x: Read-only file system\n", said(t, w, "node-1", "echo a > /tmp/x"))
	require.Empty(t, said(t, w, "node-1", "echo a > /root/x"))
	fault(t, w, "disk node-1 full")
	require.Equal(t, "mkdir: cannot create directory '/root/y': No space left on device\n", said(t, w, "node-1", "mkdir /root/y"))
	require.Empty(t, said(t, w, "node-1", "rm /root/x"))
	heal(t, w, "all")
	said(t, w, "node-1", "printf abcdefgh > /tmp/x")
	fault(t, w, "disk node-1 corrupt /tmp/x")
	require.Equal(t, "abcd", said(t, w, "node-1", "cat /tmp/x"))
	require.Empty(t, w.FaultNames(), "what happens once is over")
}

func TestARequestThatArrivesTwice(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "twice"})
	fault(t, w, "link admin control-1 duplicate")
	require.Contains(t, said(t, w, "admin", bindBootstrap), "kubelet-bootstrap created")
	after(w, time.Second)
	require.Contains(t, said(t, w, "control-1", "journalctl -u kube-apiserver | grep -c 'POST.*clusterrolebindings'"), "2")
}

func TestAHostThatLosesPower(t *testing.T) {
	w := joined(t, engine.Config{Seed: "power"})
	said(t, w, "node-1", "(sleep 1000) &")
	before := w.View().Hosts
	fault(t, w, "host node-1 restart")
	after(w, 10*time.Second)
	for i, h := range w.View().Hosts {
		for j, u := range h.Units {
			require.Equal(t, h.Name != "node-1" && before[i].Units[j].State == "active", u.State == "active", "%s/%s", h.Name, u.Name)
		}
	}
	after(w, time.Minute)
	require.Contains(t, said(t, w, "node-1", "systemctl is-active kubelet"), "active")
	require.Contains(t, said(t, w, "node-1", "journalctl -u kubelet | tail -n 3"), "Successfully registered node")
}

// TestAYearWithoutEvents: a leap costs what happens in it, and nothing does.
func TestAYearWithoutEvents(t *testing.T) {
	w := newWorld(t, engine.Config{Seed: "idle"})
	after(w, 30*24*time.Hour)
	best := time.Hour
	for range 5 {
		began := time.Now()
		after(w, 365*24*time.Hour)
		best = min(best, time.Since(began))
	}
	require.Less(t, best, time.Millisecond)
}
