package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/joinery-lab/joinery/engine/sim"
)

// caller is an actor that only keeps what it is told.
type caller struct{ got []sim.Msg }

func (a *caller) Step(c *sim.Ctx, m sim.Msg) { a.got = append(a.got, m) }
func (a *caller) Clone() sim.Actor           { n := *a; return &n }

// A client hears in Go's words that a server has no certificate, or speaks no
// TLS; the server hears of failed handshakes in its own.
func TestListeners(t *testing.T) {
	w, err := New(Config{Seed: "listen"})
	require.NoError(t, err)
	defer w.Close()
	serve, call := &caller{}, &caller{}
	for addr, a := range map[string]sim.Actor{"node-1/serve": serve, "admin/call": call} {
		w.Life++
		w.Procs[addr] = &proc{Kind: "etcd", Life: w.Life, actor: a}
	}
	other := &caller{}
	w.Life++
	w.Procs["control-1/other"] = &proc{Kind: "etcd", Life: w.Life, actor: other}
	open := func(l sim.Listen) {
		w.carry("node-1/serve", w.Procs["node-1/serve"], &sim.Effect{Kind: sim.EffListen, Listen: &l})
	}
	get := func(d sim.Dial) sim.Msg {
		call.got, serve.got = nil, nil
		w.StreamSeq++
		w.carry("admin/call", w.Procs["admin/call"], &sim.Effect{Kind: sim.EffSend, Stream: w.StreamSeq, Conn: "c", Dial: &d, Req: &sim.Request{Method: "GET", URL: "/"}})
		w.AdvanceTo(w.Now().Add(time.Second))
		if len(serve.got) > 0 && serve.got[0].Kind == sim.MsgRequest {
			w.carry("node-1/serve", w.Procs["node-1/serve"], &sim.Effect{Kind: sim.EffReply, Stream: serve.got[0].Stream, Resp: &sim.Response{Code: 200}})
			w.AdvanceTo(w.Now().Add(time.Second))
		}
		w.carry("admin/call", w.Procs["admin/call"], &sim.Effect{Kind: sim.EffClose, Conn: "c"})
		w.AdvanceTo(w.Now().Add(time.Second))
		require.Len(t, call.got, 1)
		return call.got[0]
	}
	const at = "10.0.0.11:1"
	open(sim.Listen{Addr: at, Without: "no certificate yet"})
	require.Equal(t, "remote error: tls: internal error", get(sim.Dial{Addr: at}).Err)
	require.Equal(t, "no certificate yet", serve.got[0].Err)
	require.Equal(t, sim.MsgShake, serve.got[0].Kind)
	require.Equal(t, 400, get(sim.Dial{Addr: at, Plain: true}).Resp.Code)
	require.Equal(t, "client sent an HTTP request to an HTTPS server", serve.got[0].Err)

	open(sim.Listen{Addr: at, Plain: true})
	require.Equal(t, 200, get(sim.Dial{Addr: at, Plain: true}).Resp.Code)
	require.Equal(t, "http: server gave HTTP response to HTTPS client", get(sim.Dial{Addr: at}).Err)
	l, ok := w.Presents(at)
	require.True(t, ok && l.Plain)

	open(sim.Listen{Addr: at, Closed: true})
	require.Equal(t, "dial tcp 10.0.0.11:1: connect: connection refused", get(sim.Dial{Addr: at, Plain: true}).Err)
	_, ok = w.Presents(at)
	require.False(t, ok)

	// A loopback address is a host's own.
	open(sim.Listen{Addr: "127.0.0.1:1", Plain: true})
	require.Equal(t, "dial tcp 127.0.0.1:1: connect: connection refused", get(sim.Dial{Addr: "localhost:1", Plain: true}).Err)
	w.carry("control-1/other", w.Procs["control-1/other"], &sim.Effect{Kind: sim.EffListen, Listen: &sim.Listen{Addr: "127.0.0.1:1", Plain: true}})
	w.Procs["node-1/call"] = w.Procs["admin/call"]
	delete(w.Procs, "admin/call")
	w.carry("node-1/call", w.Procs["node-1/call"], &sim.Effect{Kind: sim.EffSend, Stream: w.StreamSeq + 1, Conn: "c", Dial: &sim.Dial{Addr: "localhost:1", Plain: true}, Req: &sim.Request{Method: "GET", URL: "/"}})
	serve.got = nil
	w.AdvanceTo(w.Now().Add(time.Second))
	require.Len(t, serve.got, 1)
	require.Empty(t, other.got)
}
